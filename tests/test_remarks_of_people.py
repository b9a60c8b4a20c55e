# SPDX-License-Identifier: GPL-2.0-or-later
"""What people say below the lines of a patch that they quote: which words, which line, and what was answered.

Belongs here: reading replies to one posting. Whether a remark was taken up is on the page of series/unaddressed-review.
"""

from __future__ import annotations

import time

import pytest

from reviewbot.dossier import Asks, Remark, Reply, Stance
from reviewbot.mime import parse_mail
from reviewbot.model import LineKind, Mail
from reviewbot.remarks import asks, read_remarks, stance, withdraws
from reviewbot.series import build_series

PATCH = b"""\
From: Ada Ranger <ada@example.org>
Subject: [PATCH] mm: teach the walk about ranges
Date: Wed, 20 Nov 2024 10:00:00 +0000
Message-ID: <patch@example.org>

Ranges are walked now.

Signed-off-by: Ada Ranger <ada@example.org>
---
 mm/walk.c | 4 ++++
 1 file changed, 4 insertions(+)

diff --git a/mm/walk.c b/mm/walk.c
--- a/mm/walk.c
+++ b/mm/walk.c
@@ -9,2 +9,6 @@ static int range_walk(struct mm_struct *mm)
 \tint ret;
+\tret = range_first_of_all_that_there_are(mm, RANGE_WITH_HOLES | RANGE_WITHOUT_LOCK);
+\tif (ret)
+\t\treturn ret;
+\trange_account(mm);
 \treturn ret;
--\x20
2.39.5
"""
LONG = "+\tret = range_first_of_all_that_there_are(mm, RANGE_WITH_HOLES | RANGE_WITHOUT_LOCK);"


def mail(
    body: str, by: str = "Rex Reader <rex@example.org>", name: str = "one", to: str = "patch", more: str = ""
) -> Mail:
    """An answer."""
    head = f"From: {by}\nSubject: Re: [PATCH] mm: teach the walk about ranges\nMessage-ID: <{name}@example.org>\n"
    head += f"Date: Wed, 20 Nov 2024 11:00:00 +0000\nIn-Reply-To: <{to}@example.org>\n{more}\n"
    return parse_mail((head + body + "\n").encode())


def read(*mails: Mail) -> list[Remark]:
    """The remarks in answers to the patch."""
    return list(read_remarks(build_series([PATCH], "patch@example.org"), [Reply(one, 1) for one in mails]))


def only(body: str) -> Remark:
    """The one remark of an answer."""
    (remark,) = read(mail(body))
    return remark


def test_a_remark_is_of_the_line_right_above_it() -> None:
    remark = only("> +\tif (ret)\n> +\t\treturn ret;\n> +\trange_account(mm);\n\nPlease take the lock\nbefore that.\n")
    assert remark.text == "Please take the lock before that."
    assert (remark.quoted, remark.path, remark.function) == ("+\trange_account(mm);", "mm/walk.c", "range_walk")
    assert remark.line is not None
    assert (remark.line.kind, remark.line.new) == (LineKind.ADDED, 13)
    assert remark.asks is Asks.CHANGE


def test_a_remark_on_the_message_has_no_line() -> None:
    remark = only("> Ranges are walked now.\n\ns/walked/visited/\n")
    assert (remark.line, remark.path, remark.quoted) == (None, None, "Ranges are walked now.")


@pytest.mark.parametrize(
    "quote",
    [
        f"> {LONG}",
        f">{LONG}",
        f"> {LONG[:70]}\n> {LONG[70:]}",  # wrapped by the mail program
        f"> {LONG[:60]}...",
        f"> {LONG.replace(chr(9), '    ')}",
        f"> {LONG}\n>\n> [...]",
    ],
)
def test_a_quote_that_was_wrapped_cut_or_squeezed_is_known(quote: str) -> None:
    remark = only(f"{quote}\n\nWhy is this without the lock?\n")
    assert remark.quoted == LONG
    assert remark.asks is Asks.ANSWER or remark.asks is Asks.CHANGE


def test_the_code_that_a_person_suggests_belongs_to_the_remark() -> None:
    remark = only("> +\trange_account(mm);\n\nThis should rather be\n\n\trange_account_locked(mm);\n\nI think.\n")
    assert remark.code == ("range_account_locked(mm);",)
    assert "range_account" not in remark.words


@pytest.mark.parametrize(
    "body",
    [
        "> +\trange_account(mm);\n\nReviewed-by: Rex Reader <rex@example.org>\n",
        "> +\trange_account(mm);\n\nThanks!\n",
        "> +\trange_account(mm);\n\nLGTM\n",
        "> +\trange_account(mm);\n\n-- \nPlease remember that the opinions above are mine.\n",
        "Please add a test, this looks wrong.\n",  # below nothing
        "> > +\trange_account(mm);\n> Please take the lock.\n",
        "> +\trange_account(mm);\n\n[...]\n",
    ],
)
def test_tags_thanks_signatures_and_quoted_words_are_no_remarks(body: str) -> None:
    assert read(mail(body)) == []


def test_praise_wants_nothing() -> None:
    assert only("> +\trange_account(mm);\n\nNow I see how the accounting comes out, lovely.\n").asks is Asks.NOTHING


@pytest.mark.parametrize("by", ["kernel test robot <lkp@intel.com>", "syzbot <syzbot+1@syzkaller.appspotmail.com>"])
def test_robots_make_no_remarks(by: str) -> None:
    assert read(mail("> +\trange_account(mm);\n\nPlease fix the warning here.\n", by)) == []


def test_a_program_that_says_so_makes_no_remarks() -> None:
    more = "Auto-Submitted: auto-generated\n"
    assert read(mail("> +\trange_account(mm);\n\nPlease fix the warning here.\n", more=more)) == []


def test_the_author_makes_no_remarks_from_another_address_either() -> None:
    assert read(mail("> +\trange_account(mm);\n\nThis should be locked.\n", "Ada Ranger <ada@example.com>")) == []


ASK = "> +\trange_account(mm);\n\nPlease take the lock before that.\n"


def answered(body: str, by: str = "Ada Ranger <ada@example.org>") -> list[tuple[bool, Stance]]:
    """Who answers ASK how."""
    (remark,) = read(mail(ASK), mail(body, by, "two", "one"))
    return [(answer.by_author, answer.stance) for answer in remark.answers]


def test_an_answer_is_to_the_words_above_it() -> None:
    quote = "> > +\trange_account(mm);\n>\n> Please take the lock before that.\n\n"
    assert answered(f"{quote}Good point, will do.\n") == [(True, Stance.PROMISES)]
    assert answered(f"{quote}The caller holds it, because it walks the list.\n") == [(True, Stance.ARGUES)]
    assert answered(f"{quote}Never mind, I see that the caller has it.\n", "Rex Reader <rex@example.org>") == [
        (False, Stance.WITHDRAWS)
    ]


def test_an_answer_on_top_is_to_all_that_was_said() -> None:
    top = "Thanks, I will fix both.\n\nOn Wed, 20 Nov 2024, Rex Reader wrote:\n"
    assert answered(f"{top}> > +\trange_account(mm);\n>\n> Please take the lock before that.\n") == [
        (True, Stance.PROMISES)
    ]


def test_an_answer_below_the_quoted_line_alone_is_one_to_its_remark() -> None:
    assert answered("> > +\trange_account(mm);\n\nDone.\n") == [(True, Stance.PROMISES)]


def test_words_below_another_remark_are_no_answer_to_this_one() -> None:
    asked = f"> +\tif (ret)\n\nWhy is this tested?\n\n{ASK}"
    answer = "> > +\tif (ret)\n>\n> Why is this tested?\n\nIt may be out of memory.\n"
    first, second = read(mail(asked), mail(answer, "Ada Ranger <ada@example.org>", "two", "one"))
    assert [one.stance for one in first.answers] == [Stance.ARGUES]
    assert second.answers == ()
    assert second.is_open


def test_a_discussion_belongs_to_the_remark_that_began_it() -> None:
    two = mail("> Please take the lock before that.\n\nIs it not held?\n", "Ada Ranger <ada@example.org>", "two", "one")
    three = mail("> > Please take the lock before that.\n> Is it not held?\n\nIt is not.\n", name="three", to="two")
    (remark,) = read(mail(ASK), two, three)
    assert [answer.mail.message_id for answer in remark.answers] == ["two@example.org", "three@example.org"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Please drop this", Asks.CHANGE),
        ("nit: extra blank line", Asks.CHANGE),
        ("s/walk/range_walk/", Asks.CHANGE),
        ("Is that reached?", Asks.ANSWER),
        ("Looks good to me", Asks.NOTHING),
        ("This should be shared one day, in a follow-up", Asks.NOTHING),
        ("Feel free to rename it, up to you", Asks.NOTHING),
    ],
)
def test_what_is_asked_for_is_told_by_the_words(text: str, wanted: Asks) -> None:
    assert asks(text) is wanted


@pytest.mark.parametrize(
    ("text", "to", "wanted"),
    [
        ("Will fix in v2, thanks", Asks.CHANGE, Stance.PROMISES),
        ("Right", Asks.CHANGE, Stance.AGREES),
        ("Done", Asks.CHANGE, Stance.PROMISES),
        ("Yes", Asks.ANSWER, Stance.ARGUES),
        ("Yes, but the caller needs it", Asks.CHANGE, Stance.ARGUES),
        ("Actually this is right", Asks.CHANGE, Stance.ARGUES),
        ("What do you mean?", Asks.CHANGE, Stance.ARGUES),
    ],
)
def test_how_an_answer_stands_to_it_is_told_by_the_words(text: str, to: Asks, wanted: Stance) -> None:
    assert stance(text, to) is wanted


def test_who_is_content_withdraws() -> None:
    assert withdraws("Ah, never mind then")
    assert withdraws("Ok, makes sense")
    assert not withdraws("Ok, makes sense", promised=True)
    assert withdraws("Never mind", promised=True)
    assert not withdraws("That does not convince me, the lock is missing")


@pytest.mark.parametrize(
    "body",
    [
        "> +\trange_account(mm);\n\nPlease lock.\n" * 20_000,
        "> +\trange_account(mm);\n" * 100_000 + "\nPlease lock.\n",
        "> +\trange_account(mm);\n\n" + "please " * 300_000,
        ">" * 500_000 + "\n\nPlease lock.\n",
        "> +\trange_account(mm);\n\n" + "On " + "at " * 200_000 + "\n" + "s/a" * 100_000,
        "> +\trange_account(mm);\n\n" + "would " * 100_000 + "thanks, " * 10_000,
    ],
    ids=["speeches", "quotes", "words", "marks", "wrote", "phrases"],
)
def test_huge_mails_are_read_in_no_time(body: str) -> None:
    started = time.process_time()
    read(
        mail(body),
        mail("> " + body.replace("\n", "\n> ") + "\n\nWill do.\n", "Ada Ranger <ada@example.org>", "two", "one"),
    )
    assert time.process_time() - started < 6
