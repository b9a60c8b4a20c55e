# SPDX-License-Identifier: GPL-2.0-or-later
"""news: what a thread says of a posting: taken back, applied, said already; and what only sounds like it.

Pure: every mail is made up here. Sentences are of the kind that people write, none is anybody's.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
from growth import seconds
from mails import AUTHOR, COVER, REVIEWER, diff, mail, posting, reply
from reviews import at, finding, patch_of, raw_mail, replace

from reviewbot.finding import Finding
from reviewbot.mail import local_series, make_cover, parse_subject
from reviewbot.mime import parse_mail
from reviewbot.model import Mail, Series, SpanKind
from reviewbot.news import News, Said, Told, read_news

ONE = posting(1, prefix="PATCH", cover=False)
THREE = posting(3)


def series(*raws: bytes) -> Series:
    (one,) = local_series([parse_mail(raw) for raw in raws])
    return one


def news(raws: list[bytes], *answers: bytes, own: tuple[str, ...] = ()) -> News:
    return read_news(series(*raws), [parse_mail(raw) for raw in (*raws, *answers)], (), own)


def by_author(text: str, to: bytes = ONE[0]) -> News:
    return news(ONE if to in ONE else THREE, reply(to, "a@example.org", text, sender=AUTHOR))


def by_other(text: str, to: bytes = ONE[0], sender: str = REVIEWER) -> News:
    return news(ONE if to in ONE else THREE, reply(to, "r@example.net", text, sender=sender))


# -- taken back -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Please ignore this series, I sent the wrong branch.",
        "Please ignore this patch.",
        "please ignore",
        "Sorry, wrong tree. Please disregard v1.",
        "Please drop this one, the walk is fine as it is.",
        "Andrew, could I ask you: please don't apply this patch.",
        "Please do not merge this series yet.",
        "Good catch!\n\nI'll send a v2 tomorrow.",
        "I will send out a new version with that fixed.",
        "Will fix and resend.",
        "I'm going to respin this on top of -next.",
        "Let me repost with the right prefix.",
        "Self-NAK, the caller holds the lock already.",
        "NAK this, the caller holds the lock.",
        "I withdraw this patch.",
        "Ignore this version, the first patch is missing.",
        "Disregard, it needs the lock after all.",
        "Ignore please.",
        "This patch is obsolete, the caller is gone.",
        "This series is superseded by the one of yesterday.",
        "I\u2019ll resend with a better subject.",
    ],
)
def test_an_author_takes_a_posting_back(text: str) -> None:
    (told,) = by_author(text).retracted
    assert (told.patch, told.message_id) == (None, "a@example.org")
    assert by_other(text).retracted == ()


@pytest.mark.parametrize(
    "text",
    [
        "Please ignore this comment, I misread the walk.",
        "I will drop this check in the loop.",
        "Please ignore this hunk of the diff.",
        "Should I resend?",
        "If that is better I'll send a v2.",
        "I won't send another version.",
        "I will not resend.",
        "The pages are ignored by the walk.",
        "I'll send a follow-up patch as a separate series.",
        "Let me know if I should resend.",
        "I resent the walk for a long time.",
        "> I'll send a v2.",
        "Thanks, fixed in v1 already.",
        "I'll fix that.",
        "Please have a look at this series.",
        "It was decided to just drop it completely from the walk.",
    ],
)
def test_what_only_sounds_like_it_takes_nothing_back(text: str) -> None:
    assert by_author(text).retracted == ()


def test_a_revision_that_is_there_already_is_none_to_come() -> None:
    second = posting(1, revision=2, cover=False)
    for number, expected in ((2, 0), (3, 1)):
        answer = reply(second[0], "a@example.org", f"I'll send v{number} with that.", sender=AUTHOR)
        assert len(news(second, answer).retracted) == expected


def test_another_revision_that_is_to_be_ignored_is_not_this_one() -> None:
    second = posting(1, revision=2, cover=False)
    for number, expected in ((1, 0), (2, 1)):
        answer = reply(second[0], "a@example.org", f"Please ignore v{number}.", sender=AUTHOR)
        assert len(news(second, answer).retracted) == expected


@pytest.mark.parametrize(
    ("text", "number", "patch"),
    [
        ("Please drop this patch, I found a better way.", 2, 2),
        ("Please drop this one.", 2, 2),
        ("Self-NAK.", 2, 2),
        ("Please ignore this series.", 2, None),
        ("Please ignore. The mail server failed after this.", 2, None),
        ("I'll send a v2 of it.", 2, None),
        ("Please drop this patch set.", 0, None),
        ("Please ignore this patch.", 0, None),
    ],
)
def test_one_patch_of_a_series_may_be_taken_back(text: str, number: int, patch: int | None) -> None:
    found = by_author(text, THREE[number])
    assert [told.patch for told in found.retracted] == [patch]
    assert bool(found.retraction(1)) is (patch is None)
    assert found.retraction(2)


@pytest.mark.parametrize(
    ("sender", "headers"),
    [
        ("Ada Ranger via B4 Relay <devnull+ada.example.org@kernel.org>", []),
        ("Ada Ranger <walk@example.com>", ["Reply-To: ada@example.org"]),
        ("Ada via walkers <walkers@lists.example>", ["X-Original-From: Ada <ada@example.org>"]),
    ],
)
def test_an_author_behind_another_address_may_take_it_back(sender: str, headers: list[str]) -> None:
    body = "From: Ada Ranger <ada@example.org>\n\nWalk.\n---\n" + diff("walk")
    sent = mail("[PATCH] mm: walk", body, "walk-v1-1@example.org", sender=sender, headers=headers)
    again = reply(sent, "a@example.org", "Please ignore this patch.", sender=AUTHOR)
    assert news([sent], again).retracted


def test_whose_patch_somebody_else_sends_does_not_take_it_back() -> None:
    body = "From: Ada Ranger <ada@example.org>\n\nWalk.\n---\n" + diff("walk")
    sent = mail("[PATCH] mm: walk", body, "walk-v1-1@example.org", sender="Bea <bea@example.org>")
    assert not news([sent], reply(sent, "a@example.org", "I'll send a v2.", sender=AUTHOR)).retracted


# -- applied ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Applied, thanks!",
        "Applied to for-next.",
        "Thanks, applied.",
        "Hi Ada,\n\nApplied to walk/next for 6.13, thanks.",
        "Series applied to walk.git (next):",
        "Now applied to https://git.example.org/walk",
        "I've applied this to pending.",
        "Reviewed, tested and applied to walk-next.",
        "Applied with minor edits.",
        "Queued for 6.13.",
        "Queued up, thanks.",
        "Picked up, thanks!",
        "I've queued this up for v6.13.",
        "Merged into walk/next.",
        "Pushed to drm-walk-next, thank you.",
        "Yes, queued for 6.13.",
        "All added to mm-new, thanks.",
        "The patch titled\n     Subject: mm: walk\nhas been added to the -mm mm-unstable branch.",
        "This patch has been applied to the fixes branch of walk.git.",
        "This series was applied to walk/walk.git (main)\nby Rex Reader <rex@example.net>:",
        "Here is the summary with links:",
        "This is now in for-next.",
        "I'm taking this through the walk tree.",
    ],
)
def test_somebody_has_applied_it(text: str) -> None:
    (told,) = by_other(text).applied
    assert (told.patch, told.message_id) == (None, "r@example.net")
    assert by_author(text).applied == ()


@pytest.mark.parametrize(
    "text",
    [
        "This can be applied to for-next.",
        "Not applied, it does not build.",
        "It does not apply to walk-next.",
        "With this patch applied to 6.12 the machine boots.",
        "If applied to for-next, does it build?",
        "Once applied to mainline, stable needs it, too.",
        "This should be applied to for-next after -rc1.",
        "Has this been applied to for-next?",
        "Was this applied to walk-next?",
        "Applied on top of linux-next and tested on two machines.",
        "I applied this to see whether it builds.",
        "I have applied this patch in my tree and ran the tests.",
        "Applied cleanly to for-next, but the test fails.",
        "Will be merged into mainline next week.",
        "I will apply it to for-next.",
        "> Applied to for-next, thanks!",
        "The fix was merged into mainline last year.",
        "The page has been added to the LRU list.",
        "The same applied here.",
        "These folios are added to the tree.",
        "I applied your suggestions to v1.",
        "The work is queued on the next tick.",
        "I picked up this series but it breaks the walk.",
        "Previously merged to mainline, this now needs a fix.",
        "-- \nApplied, thanks!",
        "-----Original Message-----\n\nApplied, thanks!",
        "From: Max <max@example.org>\nSent: Monday\n\nApplied, thanks!",
    ],
)
def test_what_only_sounds_like_it_is_not_applied(text: str) -> None:
    assert by_other(text).applied == ()


def test_a_robot_of_the_tree_says_applied_and_no_other() -> None:
    text = "This patch was applied to walk/walk.git (main):"
    assert by_other(text, sender="patchwork-bot+walk@kernel.org").applied
    assert not by_other(text, sender="kernel test robot <lkp@intel.com>").applied


@pytest.mark.parametrize(
    ("text", "number", "patches"),
    [
        ("Applied, thanks!", 0, [None]),
        ("Applied this one to for-next.", 2, [2]),
        ("Series applied to for-next.", 2, [None]),
        ("Patch 2 applied to for-next.", 0, [2]),
        ("Patches 1-2 applied to for-next.", 0, [1, 2]),
        ("Applied patches 1 and 3 to for-next.", 0, [1, 3]),
        ("First two patches applied to for-next.", 0, [1, 2]),
        ("Applied patches 1-3 to for-next.", 0, [None]),
    ],
)
def test_one_patch_of_a_series_may_be_applied(text: str, number: int, patches: list[int | None]) -> None:
    found = by_other(text, THREE[number])
    assert [told.patch for told in found.applied] == patches
    assert [bool(found.application(n)) for n in (1, 2, 3)] == [None in patches or n in patches for n in (1, 2, 3)]


LISTED = """\
Applied to walk-next, thanks!

[1/3] mm: walk step 1
      commit: 0123456789abcdef
[2/3] mm: walk step 2
      (no commit info)
[3/3] mm: walk step 3
      commit: 0123456789abcde0
"""

LINKS = """\
This series was applied to walk/walk.git (main)
by Rex Reader <rex@example.net>:

Here is the summary with links:
  - [v1,1/3] mm: walk step 1
    https://git.example.org/walk/c/0123456789ab
  - [v1,2/3] mm: walk step 2
    (no matching commit)
  - [v1,3/3] mm: walk step 3
    https://git.example.org/walk/c/0123456789ac
"""


@pytest.mark.parametrize("text", [LISTED, LINKS])
def test_tools_list_what_was_applied(text: str) -> None:
    assert [told.patch for told in by_other(text, THREE[0]).applied] == [1, 3]
    whole = text.replace("(no commit info)", "commit: 0123").replace(
        "(no matching commit)", "https://x.example/c/0123456"
    )
    assert [told.patch for told in by_other(whole, THREE[0]).applied] == [None]


def test_an_author_with_a_tree_of_his_own_is_believed_with_the_commits() -> None:
    assert [told.patch for told in by_author(LISTED, THREE[0]).applied] == [1, 3]


def test_the_sentence_is_cut_and_shows_itself() -> None:
    (told,) = by_other("Applied to for-next \x1b[31m, " + "x" * 1000).applied
    assert told.text.startswith("applied to for-next ?[31m, xxx")
    assert len(told.text) == 100


# -- which mails count ------------------------------------------------------------------------------


def test_an_answer_to_an_answer_counts() -> None:
    first = reply(THREE[2], "r1@example.net", "Why?")
    second = reply(first, "r2@example.net", "Applied, thanks.")
    assert news(THREE, first, second).applied == (Told(2, "r2@example.net", "applied, thanks."),)
    # in whatever order they come
    assert news(THREE, second, first).applied == (Told(2, "r2@example.net", "applied, thanks."),)


def test_an_answer_to_a_mail_that_is_missing_counts_by_its_references() -> None:
    name = "walk-v1-2@example.org"
    lost = mail(
        "Re: x", "Applied, thanks.\n", "r@example.net", sender=REVIEWER, in_reply_to="gone@x", references=[name]
    )
    assert [told.patch for told in news(THREE, lost).applied] == [2]


def test_what_is_said_of_another_revision_in_the_thread_does_not_count() -> None:
    second = posting(3, revision=2, above="walk-v1-0@example.org")
    assert news(THREE, *second, reply(second[1], "r@example.net", "Applied, thanks.")).applied == ()
    assert news(second, *THREE, reply(THREE[1], "r@example.net", "Applied, thanks.")).applied == ()
    assert news(second, *THREE, reply(second[1], "r@example.net", "Applied, thanks.")).applied


def test_a_mail_of_another_thread_does_not_count() -> None:
    other = posting(1, key="other", cover=False)
    assert news(ONE, *other, reply(other[0], "r@example.net", "Applied, thanks.")) == News()


def test_our_own_mail_does_not_count() -> None:
    answer = reply(ONE[0], "r@example.net", "Applied, thanks.", sender="Reviews <ME@reviews.example>")
    assert news(ONE, answer).applied
    assert news(ONE, answer, own=("me@reviews.example",)) == News()


def test_a_mail_that_is_there_twice_counts_once() -> None:
    answer = reply(ONE[0], "r@example.net", "Applied, thanks.")
    assert len(news(ONE, answer, answer).applied) == 1


def test_references_in_a_circle_end() -> None:
    one = mail("Re: x", "Applied.\n", "1@x", in_reply_to="2@x")
    two = mail("Re: x", "Applied.\n", "2@x", in_reply_to="1@x")
    assert news(ONE, one, two) == News()


def test_the_posting_itself_says_nothing() -> None:
    raws = posting(1, cover=False)
    raws = [raws[0].replace(b"Teach range_walk() about", b"Applied, thanks.\n\nPlease ignore this patch.\n\n")]
    assert news(raws) == News()


# -- said already -----------------------------------------------------------------------------------

PATCH = patch_of(raw_mail(), 3)
COVER_MAIL = make_cover(
    parse_mail(
        mail("[PATCH v2 0/7] mm: ranges", COVER, "20240506.0-ann@example.org", sender="Ann Author <ann@example.org>")
    )
)
SERIES = Series("x", 2, 7, COVER_MAIL, (PATCH,), series(*ONE).base)
PUT_USER = finding(PATCH, at(PATCH, "put_user"))
CLEARED = finding(PATCH, at(PATCH, "ret = 0", SpanKind.REMOVED), rule="x/short")
REPEATED = finding(PATCH, at(PATCH, "vma = find_vma"))


def answer(text: str, *, to: str = PATCH.mail.message_id, sender: str = REVIEWER, name: str = "r@example.net") -> Mail:
    return parse_mail(mail("Re: [PATCH v2 3/7] mm: report ranges", text, name, sender=sender, in_reply_to=to))


def said(text: str, *findings: Finding, to: str = PATCH.mail.message_id, sender: str = REVIEWER) -> bool:
    wanted = findings or (PUT_USER,)
    found = read_news(SERIES, [answer(text, to=to, sender=sender)], wanted, ("bot@reviews.example",)).said
    assert all(one.message_id == "r@example.net" for one in found)
    return {one.fingerprint for one in found} == {one.fingerprint for one in wanted}


QUOTED = "> +\tret = put_user(v, p);\n"
REMARK = "\nThis may sleep with the lock held.\n"


def test_a_remark_below_the_line_says_it() -> None:
    assert read_news(SERIES, [answer(QUOTED + REMARK)], [PUT_USER]).said == (
        Said(PUT_USER.fingerprint, "r@example.net"),
    )


@pytest.mark.parametrize(
    "text",
    [
        "> > >+\tret = put_user(v, p);\n" + REMARK,
        ">> +    ret   =  put_user(v, p);\n" + REMARK,
        "> ret = put_user(v, p);\n" + REMARK,
        QUOTED + "> -\tret = 0;\n>  \tpr_debug();\n>  \treturn ret;\n" + REMARK,
        QUOTED + ">\n>\n>\n>\n>\n" + REMARK,
        QUOTED + "Why?\n",
        QUOTED + "[...]\n" + REMARK,
    ],
)
def test_however_a_mail_program_quotes_it(text: str) -> None:
    assert said(text)


@pytest.mark.parametrize(
    "text",
    [
        QUOTED,
        REMARK,
        REMARK + QUOTED,
        QUOTED + "\nReviewed-by: Rex Reader <rex@example.net>\n",
        QUOTED + "\nNice.\n",
        QUOTED + "\nLooks good to me, thanks!\n\nRex\n",
        QUOTED + "\n[...]\n",
        QUOTED + "\nOn a day in May, Ann Author wrote:\n> x\n",
        QUOTED + "-- \nRex Reader of the Readers of Reading\n",
        QUOTED + "> @@ -80,3 +85,4 @@ static void drop(struct mm_struct *mm)\n" + REMARK,
        QUOTED + "> diff --git a/mm/bar.c b/mm/bar.c\n" + REMARK,
        QUOTED + "> +\ta();\n> +\tb();\n> +\tc();\n> +\td();\n" + REMARK,
        "> +\tret = put_user(v, q);\n" + REMARK,
        "+\tret = put_user(v, p);\n" + REMARK,
    ],
)
def test_what_is_no_remark_on_the_line_says_nothing(text: str) -> None:
    assert not said(text)


def test_our_own_remark_is_for_the_ledger() -> None:
    assert not said(QUOTED + REMARK, sender="bot@reviews.example")


def test_another_robots_remark_counts() -> None:
    assert said(QUOTED + REMARK, sender="walk-bot@example.org")


def test_a_remark_on_the_cover_letter_counts_and_one_on_another_patch_does_not() -> None:
    other = replace(PATCH, index=4, mail=replace(PATCH.mail, message_id="4@example.org"))
    both = SERIES._replace(patches=(PATCH, other))
    for to, count in (("20240506.0-ann@example.org", 1), ("4@example.org", 0), (PATCH.mail.message_id, 1)):
        assert len(read_news(both, [answer(QUOTED + REMARK, to=to)], [PUT_USER]).said) == count


HUNK = "> @@ -20,9 +20,14 @@ static int report(struct mm_struct *mm, int __user *p)\n"


def test_a_line_that_stands_everywhere_counts_below_its_functions_name() -> None:
    text = "> -\tret = 0;\n" + REMARK
    assert not said(text, CLEARED)
    assert said(HUNK + text, CLEARED)
    assert not said(HUNK + "> @@ -80,3 +85,4 @@ static void drop(struct mm_struct *mm)\n" + text, CLEARED)
    assert not said(HUNK + text, CLEARED._replace(function=None))


def test_a_long_line_may_be_cut_or_wrapped() -> None:
    long = "ret = put_user(the_value_of_the_first_range, &argument->ranges[number].value);"
    body = raw_mail().replace(b"ret = put_user(v, p);", long.encode())
    patch = patch_of(body, 3)
    one = finding(patch, at(patch, "put_user"))
    for quote in (f"> +\t{long[:60]}...\n", f"> +\t{long[:47]}\n> {long[47:]}\n", f"> +\t{long[:47]}\n"):
        found = read_news(SERIES._replace(patches=(patch,)), [answer(quote + REMARK)], [one])
        assert len(found.said) == 1
    for quote in (f"> +\t{long[:20]}\n", f"> +\t{long[:47]} + 1);\n"):
        assert not read_news(SERIES._replace(patches=(patch,)), [answer(quote + REMARK)], [one]).said


def test_a_robot_that_names_file_and_line_says_it() -> None:
    line = PUT_USER.span.line
    assert said(f"mm/foo.c:{line}:8: warning: may sleep\n")
    assert said(f">> mm/foo.c:{line}: may sleep\n")
    for other in (
        f"mm/foo.c:{line + 1}:8: warning",
        f"xmm/foo.c:{line}: warning",
        f"mm/bar.c:{line}: x",
        f"foo.c:{line}: x",
    ):
        assert not said(other + "\n")


def test_each_finding_is_said_once_by_the_first() -> None:
    thread = [answer(QUOTED + REMARK, name=f"{n}@example.net") for n in (1, 2)]
    assert read_news(SERIES, thread, [PUT_USER]).said == (Said(PUT_USER.fingerprint, "1@example.net"),)


def test_a_remark_on_the_message_counts() -> None:
    one = finding(PATCH, at(PATCH, "Report the ranges", SpanKind.MESSAGE))
    assert said("> Report the ranges of a process.\n\nWhich ranges?\n", one)


def test_a_finding_in_a_header_is_not_looked_for() -> None:
    one = finding(PATCH, at(PATCH, "report", SpanKind.HEADER))
    assert not said("> [PATCH v2 3/7] mm: report ranges\n\nWhich ranges do you mean?\n", one)


def test_the_posting_that_the_mails_are_about_is_the_one_of_the_fixture() -> None:
    assert parse_subject(PATCH.mail.subject).counter == 3


# -- hostile mail -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "> +\tret = put_user(v, p);",
        "> " * 60 + "ret = put_user(v, p);",
        "ret = put_user(v, p); mm/foo.c:30: " * 3,
        "applied queued picked merged to this the series patch 1 2 3 and all now been has have " * 3,
        "please please ignore i will i'll let me going to about to send a new the my v v v " * 3,
        "this has been is are was were this has been is are applied to is was has been " * 3,
        "thanks good ok nice looks good to me thanks " * 5,
        "From: <<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<" * 4,
        "On schrieb schrieb schrieb wrote wrote at at a at wrote:",
        "- [v1,1/3] [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
        "patch 1, 2, 3, 4, 5, 6, 7 and 8 and 9 & 10, applied? " * 4,
        "> @@ -20,9 +20,14 @@ report report report",
        "a" * 300,
        " " * 300 + "x",
    ],
)
@pytest.mark.parametrize("end", ["\n", " ", "\n\n"])
def test_reading_grows_no_faster_than_the_mail(line: str, end: str) -> None:
    wanted = [PUT_USER, CLEARED, REPEATED, *(PUT_USER._replace(fingerprint=str(n)) for n in range(50))]

    def work(count: int) -> float:
        thread = [answer((line + end) * count, sender="Ann Author <ann@example.org>")]
        thread.append(answer((line + end) * count, name="2@example.net"))
        return seconds(lambda: read_news(SERIES, thread, wanted))

    small = work(400)
    assert work(3200) < 8 * 3 * small + 0.05


def test_a_long_chain_of_answers_is_read_in_time_that_grows_with_it() -> None:
    def work(count: int) -> float:
        names = [PATCH.mail.message_id, *(f"{n}@x" for n in range(count))]
        thread = [answer("Why?\n", to=above, name=name) for above, name in pairwise(names)]
        thread.reverse()
        return seconds(lambda: read_news(SERIES, thread, [PUT_USER]))

    small = work(300)
    assert work(2400) < 8 * 3 * small + 0.05
