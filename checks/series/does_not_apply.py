# SPDX-License-Identifier: GPL-2.0-or-later
"""The series applies to none of the branches that are configured."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta

from reviewbot.checks.series._branches import first_conflict, is_held, names, place

from reviewbot.dossier import Dossier, Standing
from reviewbot.model import BaseHow, Series, Severity
from reviewbot.rule import SeriesReport, series_rule

# the tree knows what the series applies to: what is in the way must have come later
_KNOWN = (BaseHow.DECLARED, BaseHow.BLOBS, BaseHow.COMMITS, BaseHow.HEAD)
_FRESH = timedelta(days=7)
# "depends on the series at", "on top of mm-unstable", "based on"
_ELSEWHERE = re.compile(
    r"\b(?:depend(?:s|ing|ent|ency)?|prerequisites?|on top of|(?:re)?based (?:up)?on(?:to)?|applies to|against)\b",
    re.I,
)


@series_rule(Severity.WARNING, id="HY03", needs="branches", yields_to=("series/moved-definition",))
def check(dossier: Dossier) -> Iterator[SeriesReport]:
    """Once a series: what is in the way of the first branch, with the others below."""
    series, standings = dossier.series, dossier.branches
    if not is_held(dossier) or not series.complete or series.partial_reroll or series.prerequisites:
        return
    if not standings or any(standing.applies for standing in standings) or _is_elsewhere(series, standings):
        return
    if series.revision > 1 and any(standing.applied for standing in standings):
        return  # an earlier revision is in the branch, and this one will take its place
    standing, conflict = first_conflict(standings)
    if conflict.cause is None and (_is_known(series) or _says_where(series) or _is_newer(series, standings)):
        return
    patch, span = place(dossier, conflict)
    others = [other for other in standings if other is not standing]
    because = f": {conflict.because}" if conflict.because else ""
    nor = f" nor to {names([other.branch for other in others])}" if others else ""
    yield SeriesReport(
        patch,
        span,
        f"does not apply to {standing.branch} (patch {conflict.patch}/{series.expected}, {conflict.at}){nor}{because}"
        f"{_advice(series)}",
        notes=tuple(_note(other, series) for other in others),
        identity=("does not apply",),
    )


def _is_known(series: Series) -> bool:
    return series.base.how in _KNOWN


def _is_newer(series: Series, standings: Sequence[Standing]) -> bool:
    """A branch was last fetched so long before the series was posted that it may be for what came in between."""
    dates = [patch.mail.date for patch in series.patches if patch.mail.date]
    return bool(dates) and any(standing.date and standing.date < max(dates) - _FRESH for standing in standings)


def _is_elsewhere(series: Series, standings: Sequence[Standing]) -> bool:
    """It is for another tree: its base is not in this one, or none of its files are in the branches."""
    if series.base.how is BaseHow.DECLARED and series.base.version_from is None:
        return True
    made: set[str] = set()
    old: set[str] = set()
    for diff in (diff for patch in series.patches for diff in patch.files):
        if diff.old_path and diff.old_path not in made:
            old.add(diff.old_path)
        if diff.new_path and not diff.old_path:
            made.add(diff.new_path)
    return all(
        old <= {c.path for c in standing.conflicts if c.hunk is None and c.cause is None} for standing in standings
    ) and bool(old)


def _says_where(series: Series) -> bool:
    """The author says what it is for: that it cannot be had here is no fault of the series."""
    cover = series.cover.text if series.cover else ""
    first = series.patches[0]
    return any(_ELSEWHERE.search(text) for text in (cover, first.notes, first.message))


def _advice(series: Series) -> str:
    if series.base.how in (BaseHow.DECLARED, BaseHow.COMMITS):
        return "; please rebase"
    bodies = [patch.mail.body for patch in series.patches]
    bodies += [series.cover.mail.body] if series.cover else []
    if any(line.startswith("base-commit:") for body in bodies for line in body):
        return ""
    return "; no base-commit says what it is for"


def _note(standing: Standing, series: Series) -> str:
    _, conflict = first_conflict([standing])
    because = f": {conflict.because}" if conflict.because else ""
    return f"{standing.branch}: patch {conflict.patch}/{series.expected}, {conflict.at}{because}"
