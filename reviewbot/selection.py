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
from reviewbot.model import Base, Confidence, Patch, Series, Severity, SpanKind

# reviewbot: ignore lock-drop/stale-vma the walk is restarted by the caller
_IGNORE = re.compile(r"\s*reviewbot:\s+ignore\s+([A-Za-z0-9/_-]{1,80})\s+(\S.*)", re.I)
# What was meant to be one.
_ATTEMPT = re.compile(r"\s*reviewbot:\s*ignore\b", re.I)
_MOST_REFUSED = 10  # lines of one patch that are told
_FORM = "(write 'reviewbot: ignore RULE reason')"

PREEXISTING = "preexisting"
IGNORED = "ignored"
LOW_CONFIDENCE = "low confidence"
SEVERITY = "severity"
SAID_BY = "said by"
RESOLVED = "resolved by"  # a later patch of the series, whose number stands behind it
FOLDED = "folded"  # one of the places of a finding that is shown


class PathRule(NamedTuple):
    """What is shown of the files that a glob names. Of several that match a file, all hold.

    The glob is fnmatch's, against the whole path in the tree: `*` goes over `/`, too, and upper case is not lower
    case. `dir/` and `dir/**` are everything below dir.
    """

    glob: str
    select: tuple[str, ...] = ()  # families, rule names or ids: only these; empty: all
    ignore: tuple[str, ...] = ()  # not these


def path_rules(tables: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]) -> tuple[PathRule, ...]:
    """The rules of [per-path] tables: (select, ignore) by glob."""
    return tuple(PathRule(glob, select, ignore) for glob, (select, ignore) in tables.items())


class Selection(NamedTuple):
    """What a person asked to see, or a list wants to get."""

    strict: bool = False  # whatever its severity and confidence
    least: Severity = Severity.WARNING  # the least severe that is shown
    low: bool = False  # low confidence too
    ignore: tuple[str, ...] = ()  # families, rule names or ids
    select: tuple[str, ...] = ()  # only these; empty: all
    known: Mapping[str, str] = MappingProxyType({})  # fingerprint -> why it is not shown again
    per_path: tuple[PathRule, ...] = ()
    fold: bool = True  # findings that say the same are one, with places


def matches(wanted: Sequence[str], rule: str, rule_id: str = "") -> bool:
    """A rule is named by one of: its name, its family, its id."""
    return any(word in (rule, rule.split("/", maxsplit=1)[0], rule_id) for word in wanted)


def select(review: Review, selection: Selection) -> Review:
    """The same review with `shown` and `why_not_shown` set."""
    paths = _Paths(selection.per_path)
    decided = [_decide(finding, selection, paths, review.series.expected) for finding in review.findings]
    # a rule that has spoken of the line before has spoken, too; not one whose finding does not last
    said = {
        (f.rule, f.patch.index, f.span.path, f.span.line)
        for f in decided
        if f.resolved_by is None and (f.shown or f.why_not_shown == selection.known.get(f.fingerprint, ""))
    }
    yielded = (_yield(finding, said) for finding in decided)
    chosen = _fold(yielded, review.series.base) if selection.fold else yielded
    return review._replace(findings=tuple(sorted(chosen, key=order)))


class _Paths:
    """Which tables of per-path hold for a file; asked once a file."""

    def __init__(self, rules: Sequence[PathRule]) -> None:
        self.known: dict[str, tuple[PathRule, ...]] = {}
        self.rules: list[tuple[PathRule, re.Pattern[str]]] = []
        if rules:
            from fnmatch import translate  # no pattern of which takes exponential time: its stars are atomic

            for rule in rules:
                below = rule.glob.endswith("/")
                self.rules.append((rule, re.compile(translate(rule.glob + "*" if below else rule.glob))))

    def why(self, finding: Finding) -> str | None:
        """Why a finding is not shown at its place; None where it may be."""
        # what lies in a mail's text or headers is in no file
        if not self.rules or finding.span.kind not in (SpanKind.SOURCE, SpanKind.REMOVED):
            return None
        path = finding.span.path
        if path not in self.known:
            self.known[path] = tuple(rule for rule, pattern in self.rules if pattern.match(path))
        for rule in self.known[path]:
            unwanted = rule.select and not matches(rule.select, finding.rule, finding.rule_id)
            if unwanted or matches(rule.ignore, finding.rule, finding.rule_id):
                return f"{IGNORED}: per-path '{rule.glob}'"
        return None


def _decide(finding: Finding, selection: Selection, paths: _Paths, patches: int) -> Finding:
    why: str | None = None
    if finding.preexisting:
        why = PREEXISTING
    elif reason := suppressed(finding.patch, finding.rule, finding.rule_id):
        why = f"{IGNORED}: {reason}"
    elif matches(selection.ignore, finding.rule, finding.rule_id):
        why = f"{IGNORED}: not wanted"
    elif selection.select and finding.rule_id and not matches(selection.select, finding.rule, finding.rule_id):
        why = f"{IGNORED}: not selected"
    elif elsewhere := paths.why(finding):
        why = elsewhere
    elif finding.resolved_by is not None and not selection.strict:
        # for the author alone, and never on a list, whatever is wanted there
        why = f"{RESOLVED} {finding.resolved_by}/{patches}"
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
            if (other.resolved_by is None) is not (finding.resolved_by is None):
                continue
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
    if finding.resolved_by is not None:
        # what the comment says of the later patch is true of all its places
        return finding.rule, finding.message, finding.patch.index, finding.resolved_by
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


def refused_suppressions(series: Series, known: Collection[str]) -> Iterator[str]:
    """A line for each `reviewbot: ignore` of the patches that does not count: the mail, its line, and what it lacks.

    `known` are the names of the rules and families, and the ids, that there are; of a family without a rule among
    them, such as a tool, all rules are known. What is refused hides nothing: `suppressed` does not know it. Above the
    --- it does not count either: there it would become part of the commit.
    """
    ours = frozenset(name.partition("/")[0] for name in known if "/" in name)
    for patch in series.patches:
        for number, line in enumerate(_refusals(patch, known, ours)):
            if number == _MOST_REFUSED:
                yield f"{patch.mail.name}: more lines of the kind"
                break
            yield line


def _refusals(patch: Patch, known: Collection[str], ours: Collection[str]) -> Iterator[str]:
    def is_known(name: str) -> bool:
        family = name.partition("/")[0]
        return name in known or (family in known and family not in ours)

    for place, text in _attempts(patch, patch.message):
        yield f"{place}: '{_cut(text)}' is refused: it stands above the ---, put it below"
    for place, text in _attempts(patch, patch.notes):
        counts = _IGNORE.match(text)
        if counts and is_known(counts[1]):
            continue
        words = text.partition(":")[2].strip()[len("ignore") :].lstrip(": ").split(maxsplit=1)
        if not words:
            why = f"it names no rule {_FORM}"
        elif not is_known(words[0]):
            why = f"it names no rule or family that there is{_nearest(words[0], known)}"
        elif len(words) == 1:
            why = f"it gives no reason {_FORM}"
        else:
            why = f"it is not understood {_FORM}"
        yield f"{place}: '{_cut(text)}' is refused: {why}"


def _attempts(patch: Patch, text: str) -> Iterator[tuple[str, str]]:
    """The lines of a text of the patch that are meant to be a suppression, with their places in the mail."""
    body, after = patch.mail.body, 0
    for line in text.split("\n"):
        if _ATTEMPT.match(line):
            number = next((n for n in range(after, len(body)) if body[n] == line), None)
            after = after if number is None else number + 1
            yield patch.mail.name + (f":{after}" if number is not None else ""), line.strip()


def _cut(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."


def _nearest(name: str, known: Collection[str]) -> str:
    from difflib import get_close_matches  # only where there is something to refuse

    near = get_close_matches(name[:80], sorted(known), 1, 0.5)
    return f", did you mean '{near[0]}'?" if near else ""
