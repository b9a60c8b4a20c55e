# SPDX-License-Identifier: GPL-2.0-or-later
"""Many lines are changed only in their white space, to change a few"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from reviewbot.dossier import Dossier, line_span
from reviewbot.model import Change, FileDiff, Hunk, Line, LineKind, Patch, Severity
from reviewbot.rule import KERNEL, SeriesReport, series_rule

_FEW = 5  # lines that may follow what is changed: the rule book's number


class _Churn(NamedTuple):
    """Lines of a file that are the same without white space, after the patch, and how many others it changes."""

    same: list[Line]
    real: int


@series_rule(Severity.NOTE, id="HY08")
def check(dossier: Dossier) -> Iterator[SeriesReport]:
    """Each file of each patch by itself."""
    for patch in dossier.series.patches:
        for diff in patch.files:
            if diff.change in (Change.ADDED, Change.DELETED) or not KERNEL.covers(diff.path):
                continue
            same: list[Line] = []
            real = 0
            for hunk in diff.hunks:
                for removed, added in _runs(hunk):
                    pairs = _pairs(removed, added)
                    same += [a for _, a in pairs]
                    real += sum(bool(l.text.strip()) for l in (*removed,*added)) - 2*len(pairs)
            if len(same) > _FEW:
                yield SeriesReport(patch, line_span(diff, same[0]), f"{len(same)} same, {real} real")


def _runs(hunk: Hunk) -> Iterator[tuple[list[Line], list[Line]]]:
    removed: list[Line] = []
    added: list[Line] = []
    for line in hunk.lines:
        if line.kind is LineKind.CONTEXT or (line.kind is LineKind.REMOVED and added):
            if removed and added:
                yield removed, added
            removed, added = [], []
        if line.kind is LineKind.REMOVED:
            removed.append(line)
        elif line.kind is LineKind.ADDED:
            added.append(line)
    if removed and added:
        yield removed, added


def _pairs(removed, added):
    where: dict[str, list[Line]] = {}
    for line in removed:
        where.setdefault("".join(line.text.split()), []).append(line)
    out=[]
    for line in added:
        key="".join(line.text.split())
        if len(key)>1 and where.get(key):
            old=where[key].pop(0)
            if old.text!=line.text: out.append((old,line))
    return out
