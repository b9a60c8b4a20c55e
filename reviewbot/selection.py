# SPDX-License-Identifier: GPL-2.0-or-later
"""What is shown to whom and, where not, why.

Belongs here: every reason not to show a finding. Does not belong here: finding it, printing it. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from reviewbot.finding import Finding, Fold, Review, order
from reviewbot.model import Base, Confidence, Patch, Severity

# reviewbot: ignore lock-drop/stale-vma the walk is restarted by the caller
_IGNORE = re.compile(r"\s*reviewbot:\s+ignore\s+([A-Za-z0-9/_-]{1,80})\s+(\S.*)", re.I)

PREEXISTING = "preexisting"
IGNORED = "ignored"
LOW_CONFIDENCE = "low confidence"
SEVERITY = "severity"
SAID_BY = "said by"
FOLDED = "folded"  # one of the places of a finding that is shown


class Selection(NamedTuple):
    """What a person asked to see, or a list wants to get."""

    strict: bool = False  # whatever its severity and confidence
    least: Severity = Severity.WARNING  # the least severe that is shown
    low: bool = False  # low confidence too
    ignore: tuple[str, ...] = ()  # families, rule names or ids
    known: Mapping[str, str] = MappingProxyType({})  # fingerprint -> why it is not shown again


def matches(wanted: Sequence[str], rule: str, rule_id: str = "") -> bool:
    """A rule is named by one of: its name, its family, its id."""
    return any(word in (rule, rule.split("/", maxsplit=1)[0], rule_id) for word in wanted)


def select(review: Review, selection: Selection) -> Review:
    """The same review with `shown` and `why_not_shown` set."""
    decided = [_decide(finding, selection) for finding in review.findings]
    # a rule that has spoken of the line before has spoken, too
    said = {
        (f.rule, f.patch.index, f.span.path, f.span.line)
        for f in decided
        if f.shown or f.why_not_shown == selection.known.get(f.fingerprint, "")
    }
    return review._replace(
        findings=tuple(sorted(_fold((_yield(finding, said) for finding in decided), review.series.base), key=order))
    )


def _decide(finding: Finding, selection: Selection) -> Finding:
    why: str | None = None
    if finding.preexisting:
        why = PREEXISTING
    elif reason := suppressed(finding.patch, finding.rule, finding.rule_id):
        why = f"{IGNORED}: {reason}"
    elif matches(selection.ignore, finding.rule, finding.rule_id):
        why = f"{IGNORED}: not wanted"
    elif not (selection.strict or selection.low) and finding.confidence is Confidence.LOW:
        why = LOW_CONFIDENCE
    elif not selection.strict and finding.severity.rank > selection.least.rank:
        why = SEVERITY
    else:
        why = selection.known.get(finding.fingerprint)
    return finding._replace(shown=why is None, why_not_shown=why)


def _yield(finding: Finding, said: Collection[tuple[str, int, str, int]]) -> Finding:
    """Two rules about one line: the one that knows more speaks."""
    for rule in finding.yields_to:
        lines = range(finding.span.line, finding.span.end_line + 1)
        if finding.shown and any((rule, finding.patch.index, finding.span.path, line) in said for line in lines):
            return finding._replace(shown=False, why_not_shown=f"{SAID_BY} {rule}")
    return finding


def folded(finding: Finding, findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings that `select` made places of this one: they are said with it."""
    places = frozenset(finding.places)
    for other in findings if places else ():
        if other.why_not_shown == FOLDED and other.fold is finding.fold and other.span in places:
            same = (other.rule, other.message) == (finding.rule, finding.message)
            near = finding.fold is not Fold.PATCH or other.patch.index == finding.patch.index
            if finding.fold is Fold.BUILD or (same and near):
                yield other


def _fold(findings: Iterable[Finding], base: Base) -> Iterator[Finding]:
    """One comment, not twenty: what a rule says in the same words of one patch is said once, with its places.

    Of a line as such it is said once a series; so is all that does not build on a current kernel.
    """
    groups: dict[object, list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.shown, _group(finding) if finding.shown else finding.fingerprint), []).append(
            finding
        )
    for group in groups.values():
        first, rest = group[0], group[1:]
        if not first.shown or not rest:
            yield from group
            continue
        message = first.message
        if first.fold is Fold.BUILD and any(f.rule != first.rule or f.patch.index != first.patch.index for f in rest):
            version = "on v{}.{}".format(*base.version) if base.version else "on a current kernel"
            message = f"{message}; {len(rest)} more places do not build {version}: please rebase"
        yield first._replace(message=message, places=tuple(finding.span for finding in rest))
        yield from (finding._replace(shown=False, why_not_shown=FOLDED) for finding in rest)


def _group(finding: Finding) -> object:
    """Findings that are one comment have the same."""
    if finding.fold is Fold.BUILD:
        return Fold.BUILD
    if finding.fold is Fold.SERIES:
        return finding.rule, finding.message
    return finding.rule, finding.message, finding.patch.index


def suppressed(patch: Patch, rule: str, rule_id: str = "") -> str | None:
    """The reason given below the patch's --- for not reporting a rule; None where there is none.

    Without a reason it does not count: that is the price of silence.
    """
    for line in patch.notes.split("\n"):
        if (match := _IGNORE.match(line)) and matches((match[1],), rule, rule_id):
            return match[2].strip()
    return None
