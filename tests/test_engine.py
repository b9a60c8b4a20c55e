# SPDX-License-Identifier: GPL-2.0-or-later
"""reviewbot.engine and reviewbot.selection, with small rules made here: what every rule need not do for itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import pytest
from mails import mail

from reviewbot import engine, reports
from reviewbot.c.code import Code
from reviewbot.c.tokens import Token
from reviewbot.engine import review
from reviewbot.finding import TOO_LARGE, Finding, Review
from reviewbot.mail import local_series
from reviewbot.mime import parse_mail
from reviewbot.model import Applied, Confidence, Patch, Series, Severity, SpanKind, Whole
from reviewbot.rule import Report, Rule, Scope, code_rule
from reviewbot.selection import Selection, select, suppressed

ALL = Selection(strict=True)


def rule(
    name: str = "test/bad", word: str = "bad", check: Callable[[Code], Iterator[Report]] | None = None, **more: Any
) -> Rule:
    """A rule that reports every call of `word`; `more` are fields of Rule."""

    def calls(code: Code) -> Iterator[Report]:
        for call in code.calls(word):
            yield Report(call.tokens, f"{word}() is called")

    made = Rule(
        name=name, id="T01", severity=Severity.ERROR, confidence=Confidence.HIGH, since=None, until=None,
        scope=Scope(), words=(word,), style=False, needs="diff", yields_to=(), build=False, summary="x",
        check=check or calls,
    )  # fmt: skip
    return made._replace(**more)


def hunk(text: str, start: int = 10) -> str:
    """A hunk of lines with their marks, its header counted."""
    lines = text.strip("\n").split("\n")
    old, new = (sum(line[:1] != mark for line in lines) for mark in "+-")
    return f"@@ -{start},{old} +{start},{new} @@ int walk(void)\n" + "".join(line + "\n" for line in lines)


def file(*hunks: str, path: str = "mm/x.c") -> str:
    return f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n" + "".join(hunks)


def posted(*diffs: str, subject: str = "[PATCH{}] mm: x", notes: str = "", headers: Sequence[str] = ()) -> Series:
    """A series of patches, each with one of the diffs."""
    count = len(diffs)
    mails = []
    for n, diff in enumerate(diffs, 1):
        named = subject.format(f" {n}/{count}" if count > 1 else "")
        mails.append(parse_mail(mail(named, f"Do it.\n---\n{notes}\n\n{diff}-- \n2.39.5\n", f"{n}@x", headers=headers)))
    (series,) = local_series(mails)
    return series


def found(series: Series, *rules: Rule) -> tuple[Finding, ...]:
    """What the rules find that was not there before."""
    reviewed = review(series, rules)
    assert reviewed.errors == ()
    return tuple(finding for finding in reviewed.findings if not finding.preexisting)


ADDS = file(hunk(" \tint a;\n+\tbad(a);\n \treturn a;"))
NEUTRAL = file(hunk(" \tint a;\n+\tgood(a);\n \treturn a;"))


def test_a_report_becomes_a_finding_with_its_place() -> None:
    (finding,) = found(posted(ADDS), rule())
    span = finding.span
    assert (finding.rule, finding.severity, finding.confidence) == ("test/bad", Severity.ERROR, Confidence.HIGH)
    assert (span.kind, span.path, span.line, span.column, span.end_line, span.end_column) == (
        SpanKind.SOURCE, "mm/x.c", 11, 2, 11, 8,
    )  # fmt: skip
    assert finding.patch.mail.body[span.message_line - 1] == "+\tbad(a);"
    assert (finding.function, finding.message, span.text) == ("walk", "bad() is called", "\tbad(a);")


# -- base gate ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "runs"),
    [
        ("[PATCH] mm: x", {"always", "since 6.11", "since 6.12"}),  # 20 November 2024: three days after v6.12
        ("[PATCH 5.4] mm: x", {"always", "until 6.12"}),
        ("[PATCH stable-6.1] mm: x", {"always", "until 6.12"}),
        ("[PATCH 6.12.y] mm: x", {"always", "since 6.11", "since 6.12"}),
        ("[PATCH v5.15] mm: x", {"always", "until 6.12"}),
    ],
)
def test_a_rule_runs_only_for_kernels_in_which_it_holds(subject: str, runs: set[str]) -> None:
    rules = [
        rule("always"),
        rule("since 6.11", since=(6, 11)),
        rule("since 6.12", since=(6, 12)),
        rule("until 6.12", until=(6, 12)),
    ]
    assert {finding.rule for finding in found(posted(ADDS, subject=subject), *rules)} == runs


def test_without_a_date_a_patch_is_for_a_current_kernel() -> None:
    (series,) = local_series([parse_mail(b"Subject: [PATCH] x\n\nx\n---\n" + ADDS.encode())])
    rules = [rule("since", since=(7, 1)), rule("until", until=(6, 1))]
    assert [finding.rule for finding in found(series, *rules)] == ["since"]


def test_the_code_knows_the_kernel_it_is_for() -> None:
    versions = []

    def check(code: Code) -> Iterator[Report]:
        versions.append(code.version)
        return iter(())

    review(posted(ADDS, subject="[PATCH 5.4] x"), [rule(check=check)])
    assert versions == [(5, 4)]


# -- scope and words ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "scope", "looked_at"),
    [
        ("mm/x.c", Scope(), True),
        ("mm/x.h", Scope(), True),
        ("mm/x.rst", Scope(), False),
        ("tools/x.c", Scope(), False),
        ("Documentation/x.c", Scope(), False),
        ("tools/x.c", Scope(exclude=()), True),
        ("mm/x.c", Scope(include=("mm/",)), True),
        ("fs/x.c", Scope(include=("mm/",)), False),
        ("mm/x.c", Scope(include=("mm/",), exclude=("mm/x.c",)), False),
        ("mm/x.rs", Scope(suffixes=(".rs",)), True),
    ],
)
def test_a_rule_looks_at_the_files_of_its_scope(path: str, scope: Scope, looked_at: bool) -> None:
    series = posted(file(hunk(" \tint a;\n+\tbad(a);"), path=path))
    assert bool(found(series, rule(scope=scope))) is looked_at


def test_a_rule_is_not_run_where_none_of_its_words_is() -> None:
    def check(code: Code) -> Iterator[Report]:
        raise AssertionError

    assert review(posted(NEUTRAL), [rule(check=check)]).errors == ()
    assert len(review(posted(ADDS), [rule(check=check)]).errors) == 1


def test_only_the_patches_asked_for_are_reviewed() -> None:
    reviewed = review(posted(ADDS, ADDS, ADDS), [rule()], only=(1, 3))
    assert [finding.patch.index for finding in reviewed.findings] == [1, 3]


# -- causation ------------------------------------------------------------------------------------


def test_what_was_there_before_is_preexisting() -> None:
    series = posted(file(hunk(" \tbad(a);\n+\tgood(a);\n \treturn a;")))
    (finding,) = review(series, [rule()]).findings
    assert finding.preexisting
    (shown,) = select(review(series, [rule()]), ALL).findings
    assert (shown.shown, shown.why_not_shown) == (False, "preexisting")


@pytest.mark.parametrize(
    "text",
    [
        "-\tbad(a);\n+\t\tbad(a);",  # indented again
        "-\tbad(a);\n+\tbad( a );",
        "-\tbad(a);\n \tgood();\n+\tbad(a);",  # moved within the function
        "-\tx = bad(a);\n+\ty = bad(a);",
    ],
)
def test_old_code_on_a_new_line_is_preexisting(text: str) -> None:
    assert found(posted(file(hunk(f" \tint a;\n{text}\n \treturn a;"))), rule()) == ()


def test_one_more_of_the_same_is_one_finding() -> None:
    (finding,) = found(posted(file(hunk(" \tbad(a);\n \tgood();\n+\tbad(a);\n \treturn a;"))), rule())
    assert finding.span.line == 12


def test_other_words_in_an_old_place_are_new() -> None:
    (finding,) = found(posted(file(hunk("-\tbad(a);\n+\tbad(b);\n \treturn a;"))), rule())
    assert finding.span.text == "\tbad(b);"


def unbalanced(code: Code) -> Iterator[Report]:
    """A return between lock() and the end, without unlock(): absence as evidence."""
    for function in code.functions:
        tokens: list[Token] = [token for statement in function.statements for token in statement.tokens]
        texts = [token.text for token in tokens]
        if "lock" in texts and "unlock" not in texts:
            at, last = tokens[texts.index("lock")], tokens[-1]
            yield Report([at], "lock() without unlock()", related=(([last], "returns here"),))


def test_removing_an_unlock_counts() -> None:
    lock = rule(word="lock", check=unbalanced)
    (finding,) = found(posted(file(hunk(" \tlock();\n \twork();\n-\tunlock();\n \treturn done;"))), lock)
    assert finding.span.text == "\tlock();"
    assert found(posted(file(hunk(" \tlock();\n \twork();\n-\tother();\n \tunlock();\n \treturn done;"))), lock) == ()


def test_a_change_outside_of_the_evidence_does_not_count() -> None:
    lock = rule(word="lock", check=unbalanced)
    assert found(posted(file(hunk("-\tint a;\n+\tint b;\n \tint c;\n \tlock();\n \treturn done;"))), lock) == ()


def test_a_deleted_file_is_not_reviewed() -> None:
    gone = "--- a/mm/x.c\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-int a;\n-int b = bad(a);\n"
    assert review(posted(gone), [rule()]).findings == ()


@pytest.mark.parametrize("style", [False, True])
def test_a_moved_line_is_new_to_all_rules_but_those_of_style(style: bool) -> None:
    here, there = file(hunk(" \tint a;\n+\tbad(a);"), path="mm/new.c"), file(hunk("-\t\tbad(a);\n \tint a;"))
    there = there.replace("int walk", "int run")
    for series in (posted(here + there), posted(here, there)):
        assert bool(found(series, rule(style=style))) is not style


# -- replies, faults, order -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("severity", "lowered"),
    [(Severity.ERROR, Severity.NOTE), (Severity.WARNING, Severity.NOTE), (Severity.INFO, Severity.INFO)],
)
def test_a_draft_in_a_discussion_gets_notes(severity: Severity, lowered: Severity) -> None:
    (finding,) = found(posted(ADDS, subject="Re: [PATCH] mm: x"), rule(severity=severity))
    assert finding.severity is lowered


def test_a_report_may_have_a_severity_of_its_own() -> None:
    def check(code: Code) -> Iterator[Report]:
        for call in code.calls("bad"):
            yield Report(call.tokens, "x", severity=Severity.INFO)

    (finding,) = found(posted(ADDS), rule(check=check))
    assert finding.severity is Severity.INFO


def test_a_rule_that_raises_costs_only_its_findings_and_becomes_an_error() -> None:
    def check(code: Code) -> Iterator[Report]:
        yield from (Report(call.tokens, "x") for call in code.calls("bad"))
        raise KeyError("oops")

    reviewed = review(posted(ADDS), [rule("test/broken", check=check), rule()])
    assert [finding.rule for finding in reviewed.findings] == ["test/bad"]
    (fault,) = reviewed.errors
    assert fault.message == "rule test/broken failed on mm/x.c: KeyError: 'oops'"
    assert (fault.rule, fault.patch, fault.message_line) == ("test/broken", 1, 5)
    assert reviewed.worst() is Severity.ERROR


def test_what_cannot_be_read_is_an_error_and_the_rest_is_reviewed() -> None:
    reviewed = review(
        posted(file(hunk(" \tint a;\n+\tbad(a);")) + "@@ -50,3 +51,3 @@\n a\nwrapped\n b\n c\n"), [rule()]
    )
    assert len(reviewed.findings) == 1
    (fault,) = reviewed.errors
    assert (fault.text, fault.rule, fault.mail.body[fault.message_line - 1]) == ("wrapped", None, "wrapped")


def test_a_place_that_is_reached_on_two_ways_is_one_finding() -> None:
    def check(code: Code) -> Iterator[Report]:
        for call in (*code.calls("bad"), *code.calls("bad")):
            yield Report(call.tokens, "x")

    assert len(found(posted(ADDS), rule(check=check))) == 1


def test_findings_are_in_the_order_of_the_mails() -> None:
    two = file(hunk(" \tint a;\n+\tbad(1);\n+\tworse(1); bad(2);"), path="z.c") + file(
        hunk(" \tint a;\n+\tbad(3);"), path="a.c"
    )
    findings = found(posted(two, two), rule("z"), rule("a", word="worse"))
    assert [(f.patch.index, f.rule, f.span.text.strip()) for f in findings[:4]] == [
        (1, "z", "bad(1);"),
        (1, "a", "worse(1); bad(2);"),
        (1, "z", "worse(1); bad(2);"),
        (1, "z", "bad(3);"),
    ]
    assert [f.patch.index for f in findings] == [1, 1, 1, 1, 2, 2, 2, 2]


# -- fingerprints ---------------------------------------------------------------------------------


def prints(diff: str, *, name: str = "test/bad") -> list[str]:
    return [finding.fingerprint for finding in found(posted(diff), rule(name))]


def test_a_fingerprint_survives_a_reroll() -> None:
    first = prints(file(hunk(" \tint a;\n+\tbad(a);\n \treturn a;", 10)))
    again = prints(
        file(hunk(" \tint z;\n+\tgood(z);\n \tint b;", 50), hunk(" \tint a;\n+\n+\t\tbad(a );\n \tx();", 90))
    )
    assert len(first) == 1
    assert len(first[0]) == 16
    assert first == again


def test_a_fingerprint_is_of_rule_path_function_words_and_occurrence() -> None:
    text = " \tint a;\n+\tbad(a);\n \treturn a;"
    other = hunk(text).replace("walk", "run")
    twice = hunk(text + "\n+\tbad(a);")
    seen = [
        *prints(file(hunk(text))),
        *prints(file(hunk(text)), name="test/other"),
        *prints(file(hunk(text), path="mm/y.c")),
        *prints(file(other)),
        *prints(file(hunk(text.replace("bad(a)", "bad(b)")))),
        prints(file(twice))[1],
    ]
    assert len(set(seen)) == 6
    assert prints(file(twice))[0] == seen[0]


# -- selection ------------------------------------------------------------------------------------


def hidden(reviewed: Review) -> list[str | None]:
    return [finding.why_not_shown for finding in reviewed.findings]


def test_what_a_rule_says_again_in_one_patch_is_folded_into_the_first() -> None:
    diff = file(hunk(" \tint a;\n+\tbad(a);\n \tint b;\n+\tbad(b);\n+\tbad(c);"))
    reviewed = select(review(posted(diff, diff), [rule()]), Selection())
    assert hidden(reviewed) == [None, "folded", "folded"] * 2
    assert [span.text for span in reviewed.shown[0].places] == ["\tbad(b);", "\tbad(c);"]
    assert [finding.span.text for finding in reviewed.shown] == ["\tbad(a);"] * 2


def test_low_confidence_notes_and_info_are_for_those_who_ask() -> None:
    rules = [
        rule("low", confidence=Confidence.LOW),
        rule("note", severity=Severity.NOTE),
        rule("info", severity=Severity.INFO),
        rule("warning", severity=Severity.WARNING),
    ]
    reviewed = review(posted(ADDS), rules)
    assert dict(zip([f.rule for f in reviewed.findings], hidden(select(reviewed, Selection())), strict=True)) == {
        "low": "low confidence",
        "note": "severity",
        "info": "severity",
        "warning": None,
    }
    assert hidden(select(reviewed, ALL)) == [None] * 4


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("reviewbot: ignore test/bad the caller holds it", "the caller holds it"),
        ("  Reviewbot: IGNORE test it is so", "it is so"),
        ("reviewbot: ignore test/bad", None),
        ("reviewbot: ignore test/bad   ", None),
        ("reviewbot: ignore test/other because", None),
        ("reviewbot: ignore all because", None),
        ("> reviewbot: ignore test/bad because", None),
    ],
)
def test_an_author_ignores_a_rule_with_a_reason_below_the_dashes(line: str, reason: str | None) -> None:
    series = posted(ADDS, notes=line)
    assert suppressed(series.patches[0], "test/bad") == reason
    assert hidden(select(review(series, [rule()]), ALL)) == [f"ignored: {reason}" if reason else None]


def test_a_rule_is_not_ignored_by_the_commit_message_or_the_code() -> None:
    text = "reviewbot: ignore test/bad because"
    commented = file(hunk(f" \tint a;\n+\t/* {text} */\n+\tbad(a);"))
    (series,) = local_series([parse_mail(mail("[PATCH] x", f"{text}\n---\n\n{commented}", "1@x"))])
    assert hidden(select(review(series, [rule()]), ALL)) == [None]


def test_ignoring_is_the_patchs_own() -> None:
    series = posted(ADDS, ADDS)
    first = series.patches[0]._replace(notes="reviewbot: ignore test/bad because")
    reviewed = select(review(series._replace(patches=(first, series.patches[1])), [rule()]), ALL)
    assert hidden(reviewed) == ["ignored: because", None]


def test_of_two_rules_about_a_line_the_one_that_knows_more_speaks() -> None:
    rules = [rule("test/general", yields_to=("test/special",)), rule("test/special", word="worse")]
    both = file(hunk(" \tint a;\n+\tbad(worse(a));\n \tint b;\n+\tbad(b, c);"))
    reviewed = select(review(posted(both), rules), Selection())
    assert [(f.rule, f.span.line, f.why_not_shown) for f in reviewed.findings] == [
        ("test/general", 11, "said by test/special"),
        ("test/special", 11, None),
        ("test/general", 13, None),
    ]


def test_a_rule_yields_to_none_that_is_not_shown_itself() -> None:
    special = rule("test/special", word="worse", confidence=Confidence.LOW)
    rules = [rule("test/general", yields_to=("test/special",)), special]
    reviewed = review(posted(file(hunk(" \tint a;\n+\tbad(worse(a));"))), rules)
    assert hidden(select(reviewed, Selection())) == [None, "low confidence"]


# -- the decorator --------------------------------------------------------------------------------


def test_a_rule_has_its_name_from_its_files_place(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("reviewbot.checks.my_family.my_rule", "What is wrong with it.\n\nMore.")
    source = "def check(code):\n    return iter(())\n"
    exec(compile(source, "my_rule.py", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    made = code_rule(Severity.NOTE, id="X01", words=["bad"], since="v5.8", until="6.1")(module.check)
    assert (made.name, made.summary, made.since, made.until) == (
        "my-family/my-rule",
        "What is wrong with it",
        (5, 8),
        (6, 1),
    )
    assert (made.confidence, made.words) == (Confidence.LOW, ("bad",))
    with pytest.raises(ValueError, match="not a kernel version: 'soon'"):
        code_rule(Severity.NOTE, id="X01", words=["bad"], since="soon")(module.check)


def test_what_is_too_much_for_whole_files_is_read_as_the_diff_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MOST_TEXT", 3_000)
    names = [f"mm/f{n}.c" for n in range(6)]
    series = posted(
        "".join(file("@@ -201,2 +201,3 @@\n \tint a;\n+\tbad();\n \tint a;\n", path=name) for name in names)
    )

    class Trees:
        """Files of 1,700 characters: one of them is all that is read as a whole."""

        def apply(self, patch: Patch) -> Applied:
            before, after = "\tint a;\n" * 202, "\tint a;\n" * 201 + "\tbad();\n\tint a;\n"
            return Applied({n: Whole(diff, before, after) for n, diff in enumerate(patch.files)}, None)

    reviewed = review(series, [rule()], None, Trees())
    assert {finding.span.path for finding in reviewed.findings} == set(names)
    told = [entry.why for entry in reviewed.not_run if entry.rule == TOO_LARGE]
    assert told == [f"more than is read of one patch, only its diff is: {name}" for name in names[1:]]


def test_a_large_file_does_not_hide_those_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MOST_TEXT", 3_000)
    junk = file(hunk("+\tbad();\n" + "+\tint junk;\n" * 400, 1), path="arch/a.c")
    reviewed = review(posted(junk + file(hunk(" \tint a;\n+\tbad();\n \tint a;"))), [rule()])
    assert [finding.span.path for finding in reviewed.findings] == ["mm/x.c"]
    assert [entry.why for entry in reviewed.not_run] == ["more than is read of one patch: arch/a.c"]


def test_a_rule_that_ends_the_process_costs_only_its_own_findings() -> None:
    def leaves(_: Code) -> Iterator[Report]:
        sys.exit(0)
        yield

    series = posted(file(hunk(" \tint a;\n+\tbad();\n \tint a;")))
    reviewed = review(series, [rule("test/leaves", check=leaves), rule()])
    assert [fault.rule for fault in reviewed.errors] == ["test/leaves"]
    assert len(reviewed.findings) == 1


def test_a_rule_that_says_the_same_for_ever_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "MOST", 20)

    def repeats(code: Code) -> Iterator[Report]:
        while True:
            yield Report(code.tokens[:1], "again")

    reviewed = review(posted(file(hunk(" \tint a;\n+\tbad();\n \tint a;"))), [rule(check=repeats)])
    assert "says the same again and again" in reviewed.not_run[0].why
