# SPDX-License-Identifier: GPL-2.0-or-later
"""How the engine runs rules over a series: when, with what, and what becomes of what they say.

Belongs here: made-up rules. What our own find is on their pages; how the dossier is filled is the tests' of its parts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType

import pytest
from mails import REVIEWER, mail, patch_body, posting

from reviewbot.dossier import (
    Dossier,
    History,
    Revision,
    header_span,
    line_span,
    message_lines,
    message_span,
    note_lines,
)
from reviewbot.engine import review
from reviewbot.finding import Finding, NotRun, Review
from reviewbot.mail import local_series
from reviewbot.mime import parse_mail
from reviewbot.model import Series, Severity, SpanKind
from reviewbot.reports import LONGEST, MOST
from reviewbot.rule import Rule, SeriesCheck, SeriesReport, series_rule


def rule(check: SeriesCheck, needs: str = "series", words: Sequence[str] = (), *, rerolls: bool = False) -> Rule:
    """A rule made/up of a check."""
    module = ModuleType("reviewbot.checks.made.up")
    module.__doc__ = "Something is wrong."
    sys.modules[module.__name__] = module
    check.__module__ = module.__name__
    return series_rule(Severity.NOTE, id="MU01", needs=needs, words=words, rerolls=rerolls)(check)


def saying(*words: str) -> SeriesCheck:
    """Says so many things of the first mail."""

    def check(dossier: Dossier) -> Iterator[SeriesReport]:
        for word in words:
            yield SeriesReport(dossier.first, header_span(dossier.first), word)

    return check


def of(raws: Sequence[bytes]) -> Series:
    (series,) = local_series([parse_mail(raw) for raw in raws])
    return series


def messages(found: Review) -> list[str]:
    return [finding.message for finding in found.findings]


def test_what_concerns_the_series_is_said_of_its_cover_letter_which_is_patch_0() -> None:
    (finding,) = review(of(posting(2)), [rule(saying("so it is"))]).findings
    assert (finding.patch.index, finding.patch.mail.message_id) == (0, "walk-v1-0@example.org")
    assert (finding.span.kind, finding.span.path, finding.span.text) == (
        SpanKind.HEADER,
        "Subject",
        "[PATCH 0/2] mm: teach walk more",
    )
    (finding,) = review(of(posting(2, cover=False)), [rule(saying("so it is"))]).findings
    assert finding.patch.index == 1


def test_a_rule_for_rerolls_is_silent_on_the_first_revision() -> None:
    one = rule(saying("x"), rerolls=True)
    assert messages(review(of(posting(1)), [one])) == []
    assert messages(review(of(posting(1, revision=2)), [one])) == ["x"]


def history(*series: Series) -> Callable[[], History]:
    return lambda: History(tuple(Revision(one, ()) for one in series), len(series) - 1)


def test_where_the_history_is_known_a_first_revision_may_have_one() -> None:
    rfc, first = of(posting(1, prefix="RFC PATCH")), of(posting(1))
    one = rule(saying("x"), needs="history", rerolls=True)
    assert messages(review(first, [one], dossier=Dossier(first, history=history(rfc, first)))) == ["x"]
    assert review(first, [one]).not_run == ()


def test_without_an_archive_a_later_revision_s_history_is_missed() -> None:
    one = rule(saying("x"), needs="history", rerolls=True)
    found = review(of(posting(1, revision=2)), [one])
    assert found.findings == ()
    assert found.not_run == (NotRun("made/up", "needs an archive"),)


@pytest.mark.parametrize("needs", ["branches", "flight"])
def test_what_is_not_configured_is_not_missed(needs: str) -> None:
    found = review(of(posting(1)), [rule(saying("x"), needs=needs)])
    assert (found.findings, found.not_run) == ((), ())


def test_without_a_tree_a_rule_says_itself_whether_it_would_have_something_to_decide() -> None:
    def check(dossier: Dossier) -> Iterator[SeriesReport]:
        if dossier.series.expected > 1:
            dossier.abstain("needs --tree")
        yield from ()

    one = rule(check, needs="tree")
    assert review(of(posting(1)), [one]).not_run == ()
    assert review(of(posting(2)), [one]).not_run == (NotRun("made/up", "needs --tree"),)


def test_a_rule_is_run_where_one_of_its_words_is_in_a_mail_of_the_posting() -> None:
    series = of(posting(2))
    for word in ("teach walk more", "What it is about", "walk step 2", "Teach range_walk()", "ret = range_walk2"):
        assert messages(review(series, [rule(saying("x"), words=["nowhere", word])])) == ["x"], word
    assert messages(review(series, [rule(saying("x"), words=["nowhere"])])) == []


def test_a_rule_that_raises_costs_only_itself() -> None:
    def check(dossier: Dossier) -> Iterator[SeriesReport]:
        yield SeriesReport(dossier.first, header_span(dossier.first), "before")
        raise ValueError("no")

    found = review(of(posting(2)), [rule(check), rule(saying("after"))])
    assert messages(found) == ["before", "after"]
    (fault,) = found.errors
    assert fault.message == "rule made/up failed: ValueError: no"


def test_of_a_flood_the_first_are_kept_and_it_is_told() -> None:
    found = review(of(posting(1)), [rule(saying(*["x" * (LONGEST + 5)] * (MOST + 5)))])
    assert len(found.findings) == MOST
    assert len(found.findings[0].message) == LONGEST
    assert found.not_run == (NotRun("made/up", f"stopped after {MOST} findings"),)


def every(dossier: Dossier) -> Iterator[SeriesReport]:
    for patch in (dossier.first, *dossier.series.patches):
        yield SeriesReport(patch, header_span(patch), f"{patch.index}")


def test_only_the_patches_asked_for_are_spoken_of_and_the_cover_letter_always() -> None:
    assert messages(review(of(posting(3)), [rule(every)], only=[2])) == ["0", "2"]


def test_a_draft_in_a_discussion_is_no_posting() -> None:
    raw = mail("Re: [PATCH] mm: x", patch_body("a"), "r@example.org", sender=REVIEWER)
    assert messages(review(of([raw]), [rule(every)])) == []


def prints(raws: Sequence[bytes], check: SeriesCheck) -> list[str]:
    return [finding.fingerprint for finding in review(of(raws), [rule(check)]).findings]


def test_a_fingerprint_is_the_same_in_the_next_revision_by_text_or_by_identity() -> None:
    def named(dossier: Dossier) -> Iterator[SeriesReport]:
        for _ in range(2):
            yield SeriesReport(dossier.first, header_span(dossier.first), "x", identity=("who", "what"))

    def line(dossier: Dossier) -> Iterator[SeriesReport]:
        patch = dossier.series.patches[0]
        diff = patch.files[0]
        yield SeriesReport(patch, line_span(diff, diff.hunks[0].lines[2]), "x")

    one, two = posting(1), [raw.replace(b"@@ -10,3 +10,4", b"@@ -90,3 +90,4") for raw in posting(1, revision=2)]
    assert prints(one, named) == prints(two, named)
    assert len(set(prints(one, named))) == 2
    assert prints(one, line) == prints(two, line)
    assert prints(one, every)[0] != prints(two, every)[0]  # the subjects differ


def test_spans_say_where_a_line_of_a_message_a_note_and_a_diff_stands() -> None:
    body = patch_body("a").replace("---\n mm/a.c", "---\nv2: taller\n mm/a.c", 1)
    series = of([mail("[PATCH v2] mm: x", "From: Bo <bo@example.org>\n\n" + body, "m@example.org")])
    (patch,) = series.patches
    assert next(iter(message_lines(patch))) == (3, "Teach range_walk() about a.")
    assert patch.mail.body[list(message_lines(patch))[2][0] - 1].startswith("Signed-off-by: ")
    assert next(iter(note_lines(patch))) == (7, "v2: taller")
    span = message_span(patch, 7, 4)
    assert (span.line, span.column, span.end_column, span.text) == (7, 5, 11, "v2: taller")
    added = next(line for line in patch.files[0].hunks[0].lines if line.kind == "+")
    span = line_span(patch.files[0], added)
    assert (span.path, span.line, span.column, span.end_column) == ("mm/a.c", 12, 2, 2 + len(added.text.strip()))


def test_notes_are_kept_for_who_prints_them() -> None:
    def check(dossier: Dossier) -> Iterator[SeriesReport]:
        yield SeriesReport(dossier.first, header_span(dossier.first), "x", notes=("where it was said",))

    findings: tuple[Finding, ...] = review(of(posting(1)), [rule(check)]).findings
    assert findings[0].notes == ("where it was said",)


def test_a_cover_letter_without_patches_is_nothing_to_speak_of() -> None:
    series = of(posting(1))._replace(patches=())
    assert review(series, [rule(every)]).findings == ()
