# SPDX-License-Identifier: GPL-2.0-or-later
"""A later revision does not say what has changed since the one before."""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.dossier import Dossier, header_span
from reviewbot.model import Severity
from reviewbot.rule import SeriesReport, series_rule


@series_rule(Severity.NOTE, id="HY01", rerolls=True)
def check(dossier: Dossier) -> Iterator[SeriesReport]:
    """Said once, where the changelog ought to be: in the cover letter, else in the only patch."""
    series = dossier.series
    if series.cover is None and series.expected > 1:
        return
    first = dossier.first
    texts = [first.message, *(patch.notes for patch in series.patches)]
    if not any("change" in text.lower() or "v1" in text for text in texts):
        yield SeriesReport(
            first, header_span(first), f"v{series.revision} does not say what has changed since v{series.revision - 1}"
        )
