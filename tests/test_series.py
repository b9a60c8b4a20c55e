# SPDX-License-Identifier: GPL-2.0-or-later
"""Threads -> Series: which posting is taken, what b4 makes of it, what odd and hostile threads do to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mails import AUTHOR, COVER, REVIEWER, diff, mail, patch_body, posting, reply

from reviewbot.model import BaseHow, InputError, NotFoundError, Series, Trailer
from reviewbot.series import build_series
from reviewbot.source import read_head
from reviewbot.source.epoch import EpochSource

SOB = f"Signed-off-by: {AUTHOR}"


def name(n: int, revision: int = 1, key: str = "walk") -> str:
    return f"{key}-v{revision}-{n}@example.org"


def ids(series: Series) -> list[str]:
    """Message-IDs of cover letter and patches, in order."""
    cover = [series.cover.mail.message_id] if series.cover else []
    return [*cover, *(patch.mail.message_id for patch in series.patches)]


def in_order(series: Series) -> bool:
    return all(patch.subject.counter in (None, patch.index) for patch in series.patches)


def one_line_or(build: Callable[[], Series]) -> Series | None:
    """A series, or None where it is refused in one line; anything else that is raised fails the test."""
    try:
        return build()
    except InputError as error:
        text = str(error)
    assert text
    assert "\n" not in text
    return None


# ---- one posting


@pytest.mark.parametrize("asked", range(4))
def test_a_series_is_found_by_its_cover_letter_and_by_each_patch(asked: int) -> None:
    series = build_series(posting(3), name(asked))
    assert ids(series) == [name(n) for n in range(4)]
    assert [patch.index for patch in series.patches] == [1, 2, 3]
    assert (series.revision, series.expected, series.complete, series.newest) == (1, 3, True, 1)
    assert series.subject == "[PATCH 0/3] mm: teach walk more"
    assert series.warnings == ()
    assert [file.path for patch in series.patches for file in patch.files] == [f"mm/walk{n}.c" for n in (1, 2, 3)]


def test_the_order_of_the_mails_does_not_matter() -> None:
    assert build_series(posting(11)[::-1], name(7)) == build_series(posting(11), name(7))


def test_a_series_of_twelve_without_a_cover_letter_is_in_order() -> None:
    series = build_series(posting(12, cover=False), name(3))
    assert series.cover is None
    assert ids(series) == [name(n) for n in range(1, 13)]
    assert series.subject == "[PATCH 01/12] mm: walk step 1"


def test_patches_in_a_chain_each_in_reply_to_the_one_before_are_one_series() -> None:
    mails = [
        mail(
            f"[PATCH {n}/4] mm: {n}", patch_body(f"w{n}"), name(n), minute=n, in_reply_to=name(n - 1) if n > 1 else None
        )
        for n in range(1, 5)
    ]
    assert ids(build_series(mails, name(4))) == [name(n) for n in range(1, 5)]


def test_a_patch_alone_is_a_series_of_one() -> None:
    raw = mail("[PATCH] mm: one", patch_body("one"), "one@example.org")
    series = build_series([raw], "one@example.org")
    assert (series.expected, ids(series), series.cover) == (1, ["one@example.org"], None)


@pytest.mark.parametrize("prefix", ["PATCH net-next", "RFC", "RFC PATCH", "PATCH RFC", "PATCH RESEND", "ndctl PATCH"])
def test_other_words_in_the_brackets_do_not_matter(prefix: str) -> None:
    series = build_series(posting(3, prefix=prefix, revision=2), name(2, 2))
    assert (series.revision, series.complete, len(series.patches)) == (2, True, 3)


def test_a_tag_that_a_list_puts_before_the_brackets_does_not_matter() -> None:
    series = build_series(posting(14, tag="[Nouveau] ", revision=3), name(2, 3))
    assert (series.revision, series.expected, series.complete) == (3, 14, True)
    assert series.subject.startswith("[Nouveau] [PATCH v3 00/14] ")


def test_a_reply_to_a_patch_gives_the_patchs_series() -> None:
    mails = posting(2)
    first = reply(mails[1], "r1@example.net", "Why?")
    second = reply(first, "r2@example.org", "Because.", sender=AUTHOR)
    assert ids(build_series([*mails, first, second], "r2@example.org")) == [name(0), name(1), name(2)]


def test_a_missing_patch_is_missing_and_a_missing_cover_letter_is_none() -> None:
    mails = posting(3)
    without_patch = build_series([mails[0], mails[1], mails[3]], name(0))
    assert (without_patch.missing, without_patch.complete) == ((2,), False)
    without_cover = build_series(mails[1:], name(2))
    assert (without_cover.cover, ids(without_cover)) == (None, [name(1), name(2), name(3)])


def test_a_cover_letter_without_0_of_n_is_known_by_its_author_and_place() -> None:
    mails = posting(2, cover=False, above="naked@example.org")
    naked = mail("mm: teach walk", "What it is about.\n", "naked@example.org", minute=-1)
    for asked in ("naked@example.org", name(2)):
        series = build_series([naked, *mails], asked)
        assert series.cover is not None
        assert series.cover.mail.message_id == "naked@example.org"
        assert series.subject == "mm: teach walk"


def test_a_bug_report_by_somebody_else_is_no_cover_letter_but_leads_to_the_fix() -> None:
    report = mail("BUG in walk", "It crashes.\n", "bug@example.net", sender=REVIEWER, minute=-1)
    fix = posting(2, cover=False, above="bug@example.net")
    series = build_series([report, *fix], "bug@example.net")
    assert (series.cover, ids(series)) == (None, [name(1), name(2)])


def test_a_cover_letter_in_reply_to_something_with_a_line_like_a_trailer_stays_one() -> None:
    cover_body = COVER.replace("What it is about.", f"What it is about.\n\nReviewed-by: {REVIEWER}")
    series = build_series(posting(2, above="gone@example.org", cover_body=cover_body), name(1))
    assert series.cover is not None


# ---- revisions and resends


def thread_of_three() -> list[bytes]:
    return [
        *posting(3),
        *posting(4, revision=2, minute=100, above=name(0)),
        *posting(2, revision=4, minute=200, above=name(0)),
    ]


@pytest.mark.parametrize(("revision", "count"), [(1, 3), (2, 4), (4, 2)])
def test_the_posting_that_holds_the_mail_is_taken_and_the_newest_is_known(revision: int, count: int) -> None:
    series = build_series(thread_of_three(), name(1, revision))
    assert ids(series) == [name(n, revision) for n in range(count + 1)]
    assert (series.revision, series.newest) == (revision, 4)


def test_another_revision_is_taken_where_it_is_asked_for() -> None:
    assert build_series(thread_of_three(), name(2), revision=2).message_id == name(0, 2)
    assert build_series(thread_of_three(), name(2, 4), revision=1).message_id == name(0)
    assert build_series(thread_of_three(), name(3), latest=True).message_id == name(0, 4)


def test_a_revision_that_is_not_there_is_not_found_and_those_that_are_there_are_named() -> None:
    with pytest.raises(NotFoundError, match=rf"^no v3 in the thread of <{name(1)}>: it has v1, v2, v4$"):
        build_series(thread_of_three(), name(1), revision=3)


def test_somebody_elses_patches_in_the_thread_are_no_newer_revision() -> None:
    theirs = posting(1, key="theirs", revision=9, sender=REVIEWER, above=name(1), cover=False, minute=50)
    series = build_series([*posting(3), *theirs], name(2))
    assert series.newest == 1
    assert build_series([*posting(3), *theirs], name(1, 9, "theirs")).patches[0].author.name == "Rex Reader"


def test_a_resend_of_the_same_revision_is_a_posting_of_its_own() -> None:
    again = posting(3, key="again", prefix="PATCH RESEND", above=name(0), minute=100)
    for asked, expected in ((name(2), "walk"), (name(2, 1, "again"), "again")):
        series = build_series([*posting(3), *again], asked)
        assert ids(series) == [name(n, 1, expected) for n in range(4)]
        assert in_order(series)


def test_the_same_patches_sent_twice_to_the_same_place_are_two_postings() -> None:
    mails = [
        *posting(3, cover=False, above="gone@example.org"),
        *posting(3, key="again", cover=False, above="gone@example.org", minute=60),
    ]
    assert ids(build_series(mails, name(3))) == [name(n) for n in (1, 2, 3)]
    assert ids(build_series(mails, name(1, 1, "again"))) == [name(n, 1, "again") for n in (1, 2, 3)]


def test_a_resend_beside_an_incomplete_posting_does_not_complete_it() -> None:
    mails = [
        *posting(3, cover=False, above="gone@example.org", only=(1, 2)),
        *posting(3, key="again", prefix="PATCH RESEND", cover=False, above="gone@example.org", minute=60),
    ]
    assert ids(build_series(mails, name(1))) == [name(1), name(2)]
    assert ids(build_series(mails, name(3, 1, "again"))) == [name(n, 1, "again") for n in (1, 2, 3)]


def test_a_reroll_without_cover_letter_below_the_cover_letter_before_is_not_mixed_with_it() -> None:
    mails = [*posting(3), *posting(3, revision=2, cover=False, above=name(0), minute=100)]
    assert ids(build_series(mails, name(2))) == [name(n) for n in range(4)]
    assert ids(build_series(mails, name(2, 2))) == [name(n, 2) for n in (1, 2, 3)]


def test_a_cover_letter_beside_its_patches_is_theirs() -> None:
    cover = mail("[PATCH v2 0/2] mm: teach walk more", COVER, name(0, 2), minute=99, in_reply_to=name(0))
    mails = [*posting(2), cover, *posting(2, revision=2, cover=False, above=name(0), minute=100)]
    assert ids(build_series(mails, name(2, 2))) == [name(n, 2) for n in range(3)]
    assert ids(build_series(mails, name(0, 2))) == [name(n, 2) for n in range(3)]


def test_several_series_of_one_sending_whose_ids_a_relay_changed_are_kept_apart() -> None:
    mails = []
    for n, (key, count) in enumerate((("one", 4), ("two", 3))):
        # the trailer makes b4 take it for a reply
        text = f"{COVER}\nReviewed-by: {REVIEWER}\n"
        cover = mail(f"[PATCH V5 0/{count}] {key}", text, f"{key}-0@relay", minute=20 * n, in_reply_to="compound@gone")
        mails += [cover, *posting(count, key=key, prefix="PATCH V5", cover=False, above=f"{key}@gone", minute=20 * n)]
    for key, count in (("one", 4), ("two", 3)):
        for asked in (f"{key}-0@relay", name(2, 1, key)):
            series = build_series(mails, asked)
            assert ids(series) == [f"{key}-0@relay", *(name(n, 1, key) for n in range(1, count + 1))]
            assert series.revision == 5


def test_a_patch_with_wrong_numbers_is_found_with_its_series() -> None:
    # as sent to nvdimm in December 2025: five patches below 0/4, the last without its v2
    cover = mail("[PATCH V2 0/4] mm: teach", COVER, name(0))
    mails = [cover] + [
        mail(
            f"[PATCH{' V2' if n < 5 else ''} {n}/5] mm: {n}",
            patch_body(f"w{n}"),
            name(n),
            minute=n,
            in_reply_to=name(0),
        )
        for n in range(1, 6)
    ]
    for asked in range(6):
        series = build_series(mails, name(asked))
        assert ids(series) == [name(n) for n in range(6)]
        assert (series.revision, series.expected, in_order(series)) == (2, 5, True)


def test_an_answer_to_a_cover_letter_without_re_is_an_answer() -> None:
    theirs = mail(
        "[PATCH 0/2] mm: teach walk more", "Looks good.\n", "t@example.net", sender=REVIEWER, in_reply_to=name(0)
    )
    assert ids(build_series([*posting(2), theirs], "t@example.net")) == [name(0), name(1), name(2)]


def test_a_patch_more_than_announced_is_in_the_series() -> None:
    extra = mail("[PATCH 3/2] mm: forgot this", patch_body("w3"), name(3), minute=9, in_reply_to=name(0))
    series = build_series([*posting(2), extra], name(3))
    assert (ids(series), series.expected) == ([name(n) for n in range(4)], 3)


# ---- partial rerolls


def rerolled(base: str = "") -> list[bytes]:
    """v1 of three patches, and v2 of the second in reply to it."""
    first = posting(3, cover_body=COVER + base)
    second = mail("[PATCH v2 2/3] mm: walk step 2", patch_body("better"), name(2, 2), minute=90, in_reply_to=name(2))
    return [*first, second]


def test_a_partial_reroll_takes_the_other_patches_from_the_revision_before_and_says_so() -> None:
    series = build_series(rerolled(), name(2, 2))
    assert [patch.mail.message_id for patch in series.patches] == [name(1), name(2, 2), name(3)]
    assert (series.revision, series.complete, series.partial_reroll) == (2, True, True)
    assert "v2 is a partial reroll: patch 1, 3 taken from v1" in series.warnings
    assert series.patches[1].files[0].path == "mm/better.c"


def test_the_revision_that_was_rerolled_stays_what_it_was() -> None:
    series = build_series(rerolled(), name(2))
    assert ids(series) == [name(n) for n in range(4)]
    assert (series.partial_reroll, series.revision, series.newest) == (False, 1, 2)


def test_a_partial_reroll_keeps_the_base_commit_of_the_cover_letter() -> None:
    series = build_series(rerolled("\nbase-commit: 0123456789abcdef0123456789abcdef01234567\n"), name(2, 2))
    assert series.base.commit == "0123456789abcdef0123456789abcdef01234567"
    assert series.base.how is BaseHow.DECLARED


def test_a_reroll_of_a_reroll_takes_each_patch_from_where_it_is_newest() -> None:
    third = mail("[PATCH v3 3/3] mm: walk step 3", patch_body("third"), name(3, 3), minute=95, in_reply_to=name(3))
    series = build_series([*rerolled(), third], name(3, 3))
    assert [patch.mail.message_id for patch in series.patches] == [name(1), name(2, 2), name(3, 3)]
    assert series.partial_reroll


def test_a_resend_of_the_revision_before_does_not_spoil_a_partial_reroll() -> None:
    again = posting(3, key="again", prefix="PATCH RESEND", above=name(0), minute=50)
    series = build_series([*rerolled(), *again], name(2, 2))
    assert name(2, 2) in ids(series)
    assert in_order(series)


# ---- what else a series knows


def test_trailers_of_replies_are_followups_and_say_where_they_come_from() -> None:
    mails = posting(2)
    given = [
        reply(mails[0], "r0@example.net", f"Acked-by: {REVIEWER}"),
        reply(mails[2], "r2@example.net", f"Reviewed-by: {REVIEWER}"),
        reply(mails[1], "r1@example.net", "Reviewed-by: Somebody Else <else@example.com>"),
    ]
    series = build_series([*mails, *given], name(0))
    assert set(series.followups) == {
        Trailer("Acked-by", REVIEWER, "r0@example.net", 0),
        Trailer("Reviewed-by", REVIEWER, "r2@example.net", 2),
    }
    assert SOB in [f"{trailer.name}: {trailer.value}" for trailer in series.patches[0].trailers]


def test_trailers_for_another_revision_do_not_count() -> None:
    mails = thread_of_three()
    given = reply(mails[1], "r1@example.net", f"Reviewed-by: {REVIEWER}")
    assert build_series([*mails, given], name(1)).followups
    assert not build_series([*mails, given], name(1, 2)).followups


def test_base_commit_and_change_id_are_read_from_any_patch() -> None:
    below = "-- \n2.39.5\n\nbase-commit: fedcba9876543210fedcba9876543210fedcba98\nchange-id: 20241120-walk-abc\n"
    mails = [
        *posting(2)[:2],
        mail("[PATCH 2/2] mm: b", patch_body("b") + below, name(2), minute=2, in_reply_to=name(0)),
    ]
    series = build_series(mails, name(1))
    assert series.base.commit == "fedcba9876543210fedcba9876543210fedcba98"
    assert series.change_id == "20241120-walk-abc"


def test_the_author_is_who_the_body_says() -> None:
    body = "From: Wanda Writer <wanda@example.org>\n\n" + patch_body("one")
    series = build_series([mail("[PATCH] mm: one", body, "a@example.org")], "a@example.org")
    assert series.patches[0].author.email == "wanda@example.org"


def test_a_diff_in_a_reply_is_reviewed_alone_where_it_is_asked_for() -> None:
    mails = posting(2)
    draft = reply(mails[1], "draft@example.net", "Something like this?\n\n" + diff("draft"))
    series = build_series([*mails, draft], "draft@example.net")
    assert (ids(series), series.expected, series.complete) == (["draft@example.net"], 1, True)
    assert series.patches[0].reply
    assert series.patches[0].files[0].path == "mm/draft.c"
    assert ids(build_series([*mails, draft], name(1))) == [name(0), name(1), name(2)]


def test_a_quoted_diff_in_a_reply_is_no_diff() -> None:
    mails = posting(2)
    quoted = reply(mails[1], "q@example.net", "".join(f"> {line}\n" for line in diff("w1").splitlines()))
    assert ids(build_series([*mails, quoted], "q@example.net")) == [name(0), name(1), name(2)]


# ---- errors and hostile threads


def test_a_mail_that_is_not_in_the_thread_is_not_found() -> None:
    with pytest.raises(NotFoundError, match=r"^no mail <no@example.org> in the thread$"):
        build_series(posting(2), "no@example.org")


def test_a_thread_without_a_patch_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"^no patch in the thread of <a@example.org>$"):
        build_series([mail("Hello", "World\n", "a@example.org")], "a@example.org")


def test_a_cover_letter_without_its_patches_is_an_input_error_and_no_other_revision() -> None:
    lone = mail("[PATCH v2 0/3] mm: teach walk more", COVER, name(0, 2), minute=99, in_reply_to=name(0))
    with pytest.raises(InputError, match="only its cover letter is in the thread"):
        build_series([*posting(3), lone], name(0, 2))


def test_an_empty_thread_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        build_series([], "a@example.org")


BROKEN = [
    b"",
    b"\n\n\n",
    b"no mail at all",
    b"Subject: [PATCH 1/3] no id\n\n" + patch_body("x").encode(),
    b"Message-ID: <>\nSubject: [PATCH 1/3] empty id\n\nx\n",
    b"Message-ID: <no-subject@x>\n\n" + patch_body("x").encode(),
    b"Message-ID: <bad-date@x>\nDate: Sat, 99 Foo 99999 99:99:99 +9999\nSubject: [PATCH 2/3] d\n\n",
    b'Message-ID: <bad-from@x>\nFrom: "\xff\xfe <<>@@,;:\nSubject: Re: =?x?q?=ff?= =?utf-8?b?!!!?=\n\nAcked-by: <@>\n',
    b'Message-ID: <mime@x>\nContent-Type: multipart/mixed; boundary="\nSubject: [PATCH] m\n\n--\n--\n',
    b'Message-ID: <charset@x>\nContent-Type: text/plain; charset="\0"\nSubject: [PATCH] \xe4\n\n' + diff("c").encode(),
    b"Message-ID: <b64@x>\nContent-Transfer-Encoding: base64\nSubject: [PATCH] b\n\n====\xff\n",
    b"Message-ID: <loop-a@x>\nIn-Reply-To: <loop-b@x>\nSubject: Re: a\n\nAcked-by: A <a@b.c>\n",
    b"Message-ID: <loop-b@x>\nIn-Reply-To: <loop-a@x>\nSubject: Re: b\n\nAcked-by: B <b@b.c>\n",
    b"Message-ID: <self@x>\nIn-Reply-To: <self@x>\nSubject: [PATCH v2 1/1] s\n\n" + diff("s").encode(),
    b"Message-ID: <huge@x>\nSubject: [PATCH v999 9999/9999] h\nIn-Reply-To: <walk-v1-0@example.org>\n\n"
    + diff("h").encode(),
]


@pytest.mark.parametrize("raw", BROKEN)
def test_a_broken_mail_does_not_stop_the_others(raw: bytes) -> None:
    series = build_series([raw, *posting(3), raw], name(2))
    assert ids(series) == [name(n) for n in range(4)]


def test_all_broken_mails_together_do_not_stop_the_others_and_are_counted() -> None:
    series = build_series([*BROKEN, *posting(3)], name(2))
    assert ids(series) == [name(n) for n in range(4)]
    assert any("cannot be read" in warning for warning in series.warnings)


@pytest.mark.parametrize("asked", ["loop-a@x", "self@x", "huge@x", "charset@x", "mime@x", "no-subject@x"])
def test_a_broken_mail_that_is_asked_for_gives_a_series_or_an_input_error(asked: str) -> None:
    series = one_line_or(lambda: build_series([*BROKEN, *posting(3)], asked))
    assert series is None or series.patches


def test_a_copy_over_a_list_that_changes_mails_does_not_replace_the_good_one() -> None:
    good = mail("[PATCH] mm: a", patch_body("a"), "a@example.org", headers=["List-Id: <linux-mm.vger.kernel.org>"])
    bad = mail(
        "[Devel] [PATCH] mm: a",
        patch_body("a"),
        "a@example.org",
        sender="Ada via Devel <devel@lists.example>",
        headers=["List-Id: <devel.lists.example>"],
    )
    for mails in ([good, bad], [bad, good]):
        assert build_series(mails, "a@example.org").patches[0].mail.sender.email == "ada@example.org"


@pytest.fixture
def impatient() -> Iterator[None]:
    """Fails the test after ten seconds, also in a loop that catches every Exception."""

    def fail(*_: object) -> None:
        pytest.fail("it takes too long")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("impatient")
def test_replies_that_answer_each_other_in_a_circle_end() -> None:
    acked = f"Acked-by: {REVIEWER}\n"
    circle = [
        mail("Re: a", acked, "a@x", in_reply_to="b@x", references=[name(0)]),
        mail("Re: b", acked, "b@x", in_reply_to="c@x", references=[name(0)]),
        mail("Re: c", acked, "c@x", in_reply_to="a@x", references=[name(0)]),
        mail("Re: d", acked, "d@x", in_reply_to="d@x", references=[name(0)]),
    ]
    # a patch is missing, so that the whole thread is looked at
    assert ids(build_series([*circle, *posting(3)[:3]], name(1))) == [name(n) for n in range(3)]


@pytest.mark.usefixtures("impatient")
def test_patches_that_answer_each_other_in_a_circle_end() -> None:
    mails = [
        mail("[PATCH 1/3] a", patch_body("a"), "a@x", in_reply_to="b@x"),
        mail("[PATCH 3/3] b", patch_body("b"), "b@x", in_reply_to="a@x"),
        mail("[PATCH v2 2/3] c", patch_body("c"), "c@x", in_reply_to="a@x", minute=9),
    ]
    assert ids(build_series(mails, "c@x")) == ["c@x"]


@pytest.mark.usefixtures("impatient")
def test_thousands_of_replies_in_a_chain_end() -> None:
    mails = posting(3)[:3]
    for n in range(3000):
        mails.append(
            mail("Re: x", f"Acked-by: {REVIEWER}\n", f"{n}@x", in_reply_to=f"{n - 1}@x" if n else name(1), minute=n)
        )
    assert len(build_series(mails, "2999@x").patches) == 2


_SUBJECTS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "Re: ", "[list] ", "Fwd: "]),
    st.sampled_from(["[PATCH", "[RFC", "[PATCH RESEND", "[", ""]),
    st.sampled_from(["", " v2", " v3", " V2"]),
    st.sampled_from(["", " 0/3]", " 1/3]", " 2/3]", " 3/3]", " 4/3]", " 1/1]", "] x", " 0/0]", " 2/9999]"]),
)
_IDS = st.sampled_from([f"{n}@x" for n in range(6)])
_MAILS = st.builds(
    mail,
    _SUBJECTS,
    st.sampled_from([COVER, patch_body("a"), patch_body("b"), f"Acked-by: {REVIEWER}\n", "x\n"]),
    _IDS,
    sender=st.sampled_from([AUTHOR, REVIEWER]),
    minute=st.integers(0, 30),
    in_reply_to=st.none() | _IDS,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_MAILS, min_size=1, max_size=10), st.booleans())
def test_any_thread_gives_a_series_that_holds_the_patch_asked_for_or_an_input_error(
    mails: list[bytes], latest: bool
) -> None:
    for raw in mails:
        asked = read_head(raw).own[0].decode()
        series = one_line_or(partial(build_series, mails, asked, latest=latest))
        if series is None:
            continue
        assert len({patch.index for patch in series.patches}) == len(series.patches)
        assert max(patch.index for patch in series.patches) <= series.expected
        assert series.newest is None or series.newest >= series.revision


# ---- b4 kept in its place


def test_b4_changes_nothing_in_the_process_and_reads_nothing_around_it(tmp_path: Path) -> None:
    """In a tree with a .b4-config and a git of our own, where each start of git leaves a mark."""
    for directory in ("bin", "home", "tree"):
        (tmp_path / directory).mkdir()
    subprocess.run(["git", "init", "-q", str(tmp_path / "tree")], check=True)
    (tmp_path / "tree/.b4-config").write_text("[b4]\n\tmidmask = https://evil.example/%s\n")
    mark = tmp_path / "ran"
    for program in ("git", "gpg", "sh"):
        (tmp_path / "bin" / program).write_text(f"#!/bin/bash\necho {program} >> {mark}\n")
        (tmp_path / "bin" / program).chmod(0o755)
    (tmp_path / "thread.py").write_text(
        "import email.charset, logging, socket, sys\n"
        "def refuse(*args, **kwargs): raise AssertionError('network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "before = email.charset.CHARSETS['utf-8'], logging.getLogger('liblore').parent\n"
        "from mails import posting, reply\n"
        "from reviewbot.series import build_series\n"
        "assert 'b4' not in sys.modules\n"
        "mails = posting(3) + posting(2, revision=2, minute=50, above='walk-v1-0@example.org')\n"
        "mails.append(reply(mails[1], 'r@example.net', 'Acked-by: Rex Reader <rex@example.net>'))\n"
        "series = build_series(mails, 'walk-v1-1@example.org')\n"
        "assert series.complete and series.followups\n"
        "import b4\n"
        "assert 'evil' not in b4.MAIN_CONFIG['midmask'] and not b4.can_network\n"
        "assert (email.charset.CHARSETS['utf-8'], logging.getLogger('liblore').parent) == before\n"
    )
    environment = {
        "PATH": str(tmp_path / "bin"),
        "HOME": str(tmp_path / "home"),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parent)]),
    }
    command = [sys.executable, str(tmp_path / "thread.py")]
    done = subprocess.run(command, cwd=tmp_path / "tree", env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not mark.exists()
    assert list((tmp_path / "home").iterdir()) == []


# ---- real mail


def test_every_posting_of_a_real_archive_is_built_with_each_patch_at_its_number(corpus_archive: Path) -> None:
    threads: defaultdict[bytes, list[bytes]] = defaultdict(list)
    for _, raw in EpochSource(corpus_archive).mails():
        head = read_head(raw)
        # the first reference is the thread's root: not exact, but no search
        threads[(head.others or head.own or (b"",))[0]].append(raw)
    built = 0
    for mails in sorted(threads.values(), key=len)[-120:-10]:
        for raw in mails:
            if b"\nSubject: [PATCH" not in raw.split(b"\n\n")[0] or b"\ndiff --git " not in raw:
                continue
            series = build_series(mails, read_head(raw).own[0].decode())
            assert in_order(series), series.subject
            assert read_head(raw).own[0].decode() in ids(series)
            built += 1
            break
    assert built > 80
