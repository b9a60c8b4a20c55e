# SPDX-License-Identifier: GPL-2.0-or-later
"""(Rule, Code) -> Reports: a rule run on one side of a file, what makes two reports the same, and a finding of one.

Belongs here: what the engine asks of a patch and `verdict` of the patches behind it. Pure.
"""

from __future__ import annotations

from reviewbot.c.code import Code, Place
from reviewbot.c.skeleton import TooMuchError
from reviewbot.finding import Finding, Fold, fingerprint
from reviewbot.model import LineKind, Patch, Severity
from reviewbot.rule import Report, Rule

# Reports of one rule in one file: nobody reads more, and a hostile patch has a hundred thousand.
MOST = 1_000

# Characters of a message: a name in it is a stranger's, and may be a megabyte long.
LONGEST = 500

# The function, '' outside of any, and the texts that a report is about.
Key = tuple[str, ...]


def run_rule(rule: Rule, code: Code) -> tuple[list[Report], str | None]:
    """What a rule reports of one side of a file, and why it was stopped, None where it came to its end.

    A place that is reached on two ways is one report.
    """
    found: dict[tuple[object, ...], Report] = {}
    code.abstained = None
    code.looked.clear()
    code.effort.allow(len(code.tokens))
    try:
        for number, report in enumerate(rule.check(code)):
            if number == MOST * MOST:
                return list(found.values()), "gave up: says the same again and again"
            found.setdefault((report.at[0], report.at[-1], report.message), report)
            if len(found) == MOST:
                return list(found.values()), f"stopped after {MOST} findings"
    except TooMuchError:
        return list(found.values()), "gave up: more to follow than in real code"
    return list(found.values()), None


def key_of(report: Report, code: Code) -> Key:
    """What makes two reports the same one on both sides of a patch: no line numbers, no white space."""
    function = code.function_of(report.at[0])
    return (function.name or "" if function else "", *(place.text for place in report.identity or report.at))


def touched(report: Report, code: Code) -> bool:
    """A line of the patch is in the evidence: one that it adds, or the gap where one was removed."""
    places = evidence(report)
    if code.changed(*places):
        return True
    lines = [place.line for place in places if place.line >= 0]
    return any(_gap(code, n) for n in range(min(lines) + 1, max(lines) + 1))


def evidence(report: Report) -> list[Place]:
    """All places that make a report true."""
    places: list[Place] = [*report.at, *report.evidence]
    for at, _ in report.related:
        places.extend(at)
    return places


def _gap(code: Code, n: int) -> bool:
    """Line n - 1 or n was added, or something was removed between them."""
    before, after = code.lines[n - 1], code.lines[n]
    if LineKind.ADDED in (before.kind, after.kind):
        return True
    return (before.new or 0) + 1 == after.new and (before.old or 0) + 1 != after.old


def finding_of(
    rule: Rule, patch: Patch, code: Code, report: Report, key: Key, occurrence: int, *, preexisting: bool = False
) -> Finding:
    """The finding that a report is; `occurrence` counts those of the same key, from 0."""
    function = code.function_of(report.at[0])
    severity = report.severity or rule.severity
    if patch.reply:
        # a draft in a discussion ("something like this?") is not held to what a submission is
        severity = max(severity, Severity.NOTE, key=lambda s: s.rank)
    name = function.name if function else None
    return Finding(
        rule=rule.name,
        severity=severity,
        confidence=rule.confidence,
        message=report.message[:LONGEST],
        span=code.span(report.at),
        related=tuple((code.span(at), text) for at, text in report.related),
        places=(),
        suggestion=report.suggestion,
        patch=patch,
        function=name,
        fingerprint=fingerprint(rule.name, code.path, name, key[1:], occurrence),
        rule_id=rule.id,
        yields_to=rule.yields_to,
        fold=_fold(rule, report),
        preexisting=preexisting,
        fixable=rule.fix and report.suggestion is not None,
    )


def _fold(rule: Rule, report: Report) -> Fold:
    if rule.build and report.severity is None:  # what is less than the rule's own severity does build
        return Fold.BUILD
    return Fold.SERIES if rule.style else Fold.PATCH
