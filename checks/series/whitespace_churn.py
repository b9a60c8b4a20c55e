# SPDX-License-Identifier: GPL-2.0-or-later
"""Many lines of a file are changed only in their white space, beside the few that the patch is about"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from reviewbot.dossier import Dossier, line_span
from reviewbot.model import Change, Hunk, Line, LineKind, Patch, Severity
from reviewbot.rule import Scope, SeriesReport, series_rule

_MOST = 5  # lines that may be touched up on the way: the rule book's number
_SCOPE = Scope(exclude=("Documentation/", "scripts/", "samples/"))

# a patch that is about white space says so
_MEANT = re.compile(
    r"\b(?:re-?)?indent|white-?\s?space|clean(?:ed)?[ -]?up|coding[ -]?style|\bstyle\b|clang-format|checkpatch"
    r"|\b(?:re-?)?align"
    r"|(?:re-?)?format(?:ting|ted)?\b|\btabs?\b|\bspacing|\btid(?:y|ies)\b|\bbeautif",
    re.I,
)
# a line that opens or closes what other lines stand in
_BLOCK = re.compile(
    r"[{}]|\b(?:if|else|for|while|do|switch|case|default|scoped_guard|scoped_cond_guard|\w{1,40}_for_each\w{0,40}|for_each\w{0,40})\b"
    r"|^\s*#\s*(?:if|el|endif)|^\s*\w+:$|[(,]$|^\s*\)"
)
_GAP = re.compile(r"(?<=\S)(?:\t| {2,}| (?==))")


class _Pair(NamedTuple):
    """A removed and an added line that are the same without white space."""

    old: Line
    new: Line

    @property
    def indent_only(self) -> bool:
        """They differ where they begin, and nowhere else."""
        return self.old.text.lstrip() == self.new.text.lstrip()


class _Run(NamedTuple):
    """Lines that are removed, and what is put in their place."""

    removed: Sequence[Line]
    added: Sequence[Line]


@series_rule(Severity.NOTE, id="HY08")
def check(dossier: Dossier) -> Iterator[SeriesReport]:
    """Each file of each patch by itself."""
    for patch in dossier.series.patches:
        if any(diff.change is Change.MODIFIED and _SCOPE.covers(diff.path) for diff in patch.files):
            yield from _of_patch(patch)


def _of_patch(patch: Patch) -> Iterator[SeriesReport]:
    meant: bool | None = None
    for diff in patch.files:
        if diff.change is not Change.MODIFIED or not _SCOPE.covers(diff.path):
            continue
        churn: list[_Pair] = []
        real = 0
        for hunk in diff.hunks:
            idle, others = _of_hunk(hunk)
            churn += idle
            real += others
        if len(churn) <= _MOST or not 0 < real <= len(churn):
            continue
        meant = bool(_MEANT.search(f"{patch.subject.title}\n{patch.message}")) if meant is None else meant
        if not meant:
            few = "one line" if real == 1 else f"{real} lines"
            message = f"{len(churn)} lines are changed only in their white space, to change {few} of the file"
            last = (line_span(diff, churn[-1].new), "to here")
            yield SeriesReport(patch, line_span(diff, churn[0].new), message, related=(last,), identity=(diff.path,))


def _of_hunk(hunk: Hunk) -> tuple[list[_Pair], int]:
    """The pairs that nothing in the hunk asks for, and the number of lines that it changes otherwise, a line that is
    replaced counted once."""
    pairs: list[_Pair] = []
    others: list[Line] = []
    real = 0
    for run in _runs(hunk):
        mine, rest = _pairs(run) if run.removed and run.added else ([], [*run.removed, *run.added])
        pairs += mine
        others += rest
        removed = sum(line.kind is LineKind.REMOVED for line in rest)
        real += max(removed, len(rest) - removed)
    if not pairs:
        return [], real
    if any(_BLOCK.search(line.text.rstrip()) for line in others):
        pairs = [pair for pair in pairs if not pair.indent_only]
    widest = max((_width(line) for line in others if line.kind is LineKind.ADDED), default=0)
    # a table whose columns a longer entry moves
    if widest and widest > max((_width(pair.old) for pair in pairs), default=0):
        pairs = [pair for pair in pairs if pair.new.text.rstrip() == pair.old.text.rstrip()]
    return pairs, real


def _runs(hunk: Hunk) -> Iterator[_Run]:
    removed: list[Line] = []
    added: list[Line] = []
    for line in hunk.lines:
        if line.kind is LineKind.CONTEXT or (line.kind is LineKind.REMOVED and added):
            if removed or added:
                yield _Run(removed, added)
            removed, added = [], []
        if line.kind is LineKind.REMOVED:
            removed.append(line)
        elif line.kind is LineKind.ADDED:
            added.append(line)
    if removed or added:
        yield _Run(removed, added)


def _pairs(run: _Run) -> tuple[list[_Pair], list[Line]]:
    """The pairs of a run in their order, and the lines that are in none; blank lines are in neither."""
    waiting: dict[str, list[Line]] = {}
    for line in reversed(run.removed):
        waiting.setdefault("".join(line.text.split()), []).append(line)
    pairs: list[_Pair] = []
    rest: list[Line] = []
    for line in run.added:
        key = "".join(line.text.split())
        if key and waiting.get(key):
            old = waiting[key].pop()
            if old.text != line.text and len(key) > 1:
                pairs.append(_Pair(old, line))
        elif key:
            rest.append(line)
    rest += [line for key, lines in waiting.items() if key for line in lines]
    return pairs, rest


def _width(line: Line) -> int:
    """Columns of what stands before the first gap of a table's row; 0 where a line has none."""
    match = _GAP.search(line.text)
    return len(line.text[: match.start()].expandtabs(8)) if match else 0
