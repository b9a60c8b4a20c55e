# SPDX-License-Identifier: GPL-2.0-or-later
"""Trailers: whose they are, what a tree says of a Fixes:, and what hostile mail costs.

Belongs here: what the page of series/lost-trailer cannot show in mails alone.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence

import pytest
from reviewbot.checks.series import lost_trailer
from reviewbot.checks.series._trailers import kinds_of, person_of, same_person

from reviewbot.dossier import Commit, Dossier, History, Hit, Reply, Revision
from reviewbot.mail import find_trailers, local_series
from reviewbot.mime import parse_mail
from reviewbot.model import Address, Series, SpanKind, Trailer
from reviewbot.rule import SeriesReport

ROOT = "1da177e4c3f41524e886b7f1b8a0c1fc7321cac2"
WALK = "1b2c3d4e5f60718293a4b5c6d7e8f90123456789"
DIFF = """---
diff --git a/mm/walk.c b/mm/walk.c
--- a/mm/walk.c
+++ b/mm/walk.c
@@ -1,2 +1,3 @@ static int walk(struct mm_struct *mm)
 \tint ret;
+\tret = range_first(mm);
 \treturn ret;
"""


class Ground:
    """A tree that has these commits."""

    def __init__(self, *commits: Commit) -> None:
        self.commits = commits

    def before(self, path: str) -> str | None:  # noqa: ARG002
        return None

    def after(self, path: str) -> str | None:  # noqa: ARG002
        return None

    def grep(
        self,
        words: Collection[str],  # noqa: ARG002
        paths: Sequence[str] = (),  # noqa: ARG002
        commit: str | None = None,  # noqa: ARG002
    ) -> Mapping[str, tuple[Hit, ...]] | None:
        return None

    def commit(self, name: str) -> Commit | None:
        found = [commit for commit in self.commits if commit.id.startswith(name)]
        return found[0] if len(found) == 1 else None


def series(message: str, *, subject: str = "[PATCH] mm: walk ranges", day: int = 20, sender: str = "") -> Series:
    raw = (
        f"From: {sender or 'Ada Ranger <ada@example.org>'}\nSubject: {subject}\nMessage-ID: <{day}@example.org>\n"
        f"Date: {day} Nov 2024 10:00:00 +0000\n\n{message}\n{DIFF}"
    )
    return local_series([parse_mail(raw.encode())])[0]


def reports(given: Series, ground: Ground | None = None, history: History | None = None) -> list[SeriesReport]:
    look = (lambda: history) if history else None
    return list(lost_trailer.check.check(Dossier(given, ground=ground, history=look)))


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("Reviewed-by", {"reviewed"}),
        ("Acked-and-Tested-by", {"acked", "tested"}),
        ("Reviewed-and-tested-by", {"reviewed", "tested"}),
        ("Suggested-by", set()),
        ("Reported-by", set()),
        ("Signed-off-by", set()),
        ("Tested", set()),
    ],
)
def test_what_a_person_says(name: str, kinds: set[str]) -> None:
    assert kinds_of(name) == kinds


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada Ranger <ada@example.org>", "Ada Ranger <ranger@example.com>"),
        ("Ada Ranger <ada@example.org>", "A.R. <ADA@example.org>"),
        ("Ada Ranger <ada@example.org>", '"Ranger, Ada (kernel)" <x@example.com>'),
        ("Ada Ranger <ada@example.org>", "Ada Lumen Ranger <x@example.com>"),
        ("Åda Ränger <ada@example.org>", "Ada Ranger <x@example.com>"),
        ("Ada Ranger <ada@example.org>", "rangerada <x@example.com>"),
        ("Ada <ada+kernel@example.org>", "Ranger <ada@example.org>"),
        ("Ada <ada@linux.example.org>", "Ranger <ada@example.org>"),
        ("Ada <ada@example.org>", "ada@example.org"),
        ("Ada <ada@example.org>", "Ranger mailto:ada@example.org"),
    ],
)
def test_one_person(one: str, other: str) -> None:
    mine, theirs = person_of(one), person_of(other)
    assert mine is not None
    assert theirs is not None
    assert same_person(mine, theirs)
    assert same_person(theirs, mine)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada Ranger <ada@example.org>", "Ada Walker <walker@example.org>"),
        ("Ada <ada@example.org>", "Ada Ranger <x@example.org>"),
        ("Ada <ada@example.org>", "Rex <ada@notexample.org>"),
        ("", ""),
    ],
)
def test_two_people(one: str, other: str) -> None:
    assert not same_person(person_of(one) or Address("", ""), person_of(other) or Address("", ""))


def test_the_commit_of_a_fixes_is_looked_up() -> None:
    ground = Ground(Commit(WALK, "mm: a  walk"), Commit(ROOT, "Linux-2.6.12-rc2"))
    text = f'Fixes: {WALK[:12]} ("%s")\nSigned-off-by: Ada Ranger <ada@example.org>\n'
    assert reports(series(text % "mm: A walk"), ground) == []
    found = reports(series(text % "mm: a run"), ground)
    assert [report.message for report in found] == [f"commit {WALK[:12]} has another title: 'mm: a  walk'"]
    assert found[0].suggestion == f'Fixes: {WALK[:12]} ("mm: a  walk")'
    assert found[0].span.kind is SpanKind.MESSAGE
    assert found[0].span.text.startswith("Fixes: ")


def test_a_short_hash_and_a_wrapped_title_are_set_right() -> None:
    ground = Ground(Commit(WALK, "mm: a walk over the ranges"))
    text = f'Fixes: {WALK[:8]} ("mm: a walk over the\nranges")\nSigned-off-by: Ada Ranger <ada@example.org>\n'
    found = reports(series(text), ground)
    assert [report.message for report in found] == ["Fixes: has 8 characters of the commit's hash, not 12"]
    assert found[0].suggestion == f'Fixes: {WALK[:12]} ("mm: a walk over the ranges")'


@pytest.mark.parametrize("text", ['Fixes: abcdef012345 ("mm: a run")', "This reverts commit abcdef0123456789abcd."])
def test_a_commit_is_missed_only_where_all_history_is_there(text: str) -> None:
    given = series(f"{text}\nSigned-off-by: Ada Ranger <ada@example.org>\n")
    assert reports(given) == []
    assert reports(given, Ground(Commit(WALK, "mm: a walk"))) == []
    found = reports(given, Ground(Commit(WALK, "mm: a walk"), Commit(ROOT, "Linux-2.6.12-rc2")))
    assert [report.message for report in found] == ["the tree has no commit abcdef012345: rebased, or of another tree"]


def test_a_relay_is_no_sender() -> None:
    text = "From: Ada Ranger <ada@example.org>\n\nWalk.\n\nSigned-off-by: Ada Ranger <ada@example.org>\n"
    relay = "Ada Ranger via B4 Relay <devnull+ada.example.org@example.net>"
    assert reports(series(text, sender=relay)) == []
    assert reports(series(text, sender="Bo Walker via linux-mm <linux-mm@example.net>")) == []
    assert len(reports(series(text, sender="Bo Walker <bo@example.org>"))) == 1


def test_what_is_staged_is_not_signed_yet() -> None:
    given = series("")
    patch = given.patches[0]._replace(author=Address("", ""), message="", trailers=())
    assert reports(given._replace(patches=(patch,))) == []


def test_of_a_commit_the_author_is_asked() -> None:
    given = series(
        "From: Ada Ranger <ada@example.org>\n\nSigned-off-by: Ada Ranger <ada@example.org>\n", sender="Bo <bo@b.org>"
    )
    patch = given.patches[0]
    assert len(reports(given)) == 1
    assert reports(given._replace(patches=(patch._replace(commit=WALK),))) == []
    unsigned = patch._replace(commit=WALK, message="Walk.", trailers=())
    assert [r.message for r in reports(given._replace(patches=(unsigned,)))] == ["there is no Signed-off-by:"]


SIGNED = "Signed-off-by: Ada Ranger <ada@example.org>\n"


def before(day: int, answers: Sequence[tuple[int, str]] = (), message: str = SIGNED) -> Revision:
    """A posting of this day, with answers of other days."""
    made = series(message, day=day)
    mails = [
        parse_mail(
            f"From: Rex Reader <rex@example.org>\nSubject: Re: x\nMessage-ID: <re-{day}-{n}@example.org>\n"
            f"Date: {when} Nov 2024 10:00:00 +0000\n\n{text}\n".encode()
        )
        for n, (when, text) in enumerate(answers)
    ]
    followups = [
        Trailer(t.name, t.value, mail.message_id, 1)
        for mail in mails
        for t in find_trailers("\n".join(mail.body), None)
    ]
    return Revision(made._replace(followups=tuple(followups)), tuple(Reply(mail, 1) for mail in mails))


TAG = "Reviewed-by: Rex Reader <rex@example.org>"


def lost(*revisions: Revision) -> list[str]:
    now = series(SIGNED, subject="[PATCH v3] mm: walk ranges", day=28)
    history = History((*revisions, Revision(now, ())), len(revisions), len(revisions) - 1)
    return [report.message for report in reports(now, history=history)]


def test_a_tag_that_comes_after_the_next_revision_is_for_the_one_after_that() -> None:
    message = "Reviewed-by: Rex Reader, given on the earlier v1, is missing: the patch is unchanged"
    second = series(SIGNED, subject="[PATCH v2] mm: walk ranges", day=22)
    late = lost(before(20, [(24, TAG)]), Revision(second, ()))
    assert late == [message.replace("the earlier ", "")]
    # what was given before that one was lost there, and has been said
    assert lost(before(20, [(21, TAG)]), Revision(second, ())) == []


def test_a_tag_that_comes_too_late_is_not_lost() -> None:
    assert lost(before(20, [(29, TAG)])) == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (TAG, 1),
        (f"Looks good, feel free to add\n{TAG}", 1),
        (f"Apart from that\n{TAG}", 0),
        (f"{TAG}\nonce the name is another", 0),
        (f"Please do this with the lock held.\n> +\tret = 0;\n{TAG}", 1),
    ],
)
def test_a_tag_on_a_condition_is_not_missed(answer: str, said: int) -> None:
    assert len(lost(before(20, [(21, answer)]))) == said


def test_hostile_trailers_cost_little() -> None:
    many = "".join(f"Reviewed-by: Rex Reader {n} <rex{n}@example.org>\n" for n in range(20_000))
    fixes = "".join(f"Fixes: {n:07x}a ((((((((\n" for n in range(20_000))
    now = series(f"{many}{fixes}{SIGNED}", subject="[PATCH v2] mm: walk ranges", day=28)
    old = before(20, [(21, many)], message=f"{many}{SIGNED}")
    started = time.perf_counter()
    reports(now, history=History((old, Revision(now, ())), 1, 0))
    assert time.perf_counter() - started < 5
