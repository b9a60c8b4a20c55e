# SPDX-License-Identifier: GPL-2.0-or-later
"""A hunk does not apply to a branch where a commit has moved the definitions it changes to another file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reviewbot.checks.series._branches import is_held, moved_definitions, names, place

from reviewbot.dossier import Conflict, Dossier
from reviewbot.model import Severity
from reviewbot.rule import SeriesReport, series_rule


@series_rule(Severity.WARNING, id="HY05", needs="branches")
def check(dossier: Dossier) -> Iterator[SeriesReport]:
    """Once for a commit, on the first hunk that it is in the way of."""
    if not is_held(dossier):
        return
    found: dict[str, tuple[Conflict, list[str]]] = {}
    for standing in dossier.branches:
        for conflict in standing.conflicts:
            if conflict.cause and moved_definitions(conflict):
                branches = found.setdefault(conflict.cause.id, (conflict, []))[1]
                if standing.branch not in branches:
                    branches.append(standing.branch)
    for conflict, branches in found.values():
        patch, span = place(dossier, conflict)
        yield SeriesReport(
            patch,
            span,
            f"conflicts with {conflict.cause} in {names(branches)}: {_what(moved_definitions(conflict))} moved to "
            f"{conflict.moved_to}",
            identity=(conflict.path, conflict.moved_to or ""),
        )


def _what(found: Sequence[str]) -> str:
    """'the FOLL_* definitions', 'the definition of range_walk()', 'the definitions of a and b'."""
    first, last = min(found), max(found)
    shared = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    stem = first[: first.rfind("_", 0, shared) + 1]
    if len(found) > 2 and len(stem) > 2:
        return f"the {stem}* definitions"
    return f"the definition{'s' if len(found) > 1 else ''} of {names(found)}"
