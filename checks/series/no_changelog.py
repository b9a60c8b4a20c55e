# SPDX-License-Identifier: GPL-2.0-or-later
"""A later revision does not say what has changed since the one before."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reviewbot.checks.series._changelog import tells

from reviewbot.dossier import Dossier, header_span
from reviewbot.model import Patch, Series, Severity
from reviewbot.rule import SeriesReport, series_rule

# what git and b4 write below the ---, and trailers: all that is not a person's text
_MADE = re.compile(
    r"\s*(?:$|---\s*$|-- ?$|\S[^|]{0,400}\| +(?:\d+|Bin)\b|\d+ files? changed\b|(?:create|delete|rename|mode|copy) "
    r"|(?:base-commit|change-id|prerequisite-\S{1,40}|base-branch|base): "
    r"|(?:Cc|To|Link|Closes|Fixes|[A-Z][a-z-]{1,30}-by): )"
    r"|\.{3}/",
    re.I,
)
_ADDRESS = re.compile(r"<?https?://\S++|<[^<>\s@]{1,120}@[^<>\s]{1,120}>")
_AGAIN = re.compile(r"re-?(?:send|sent|post)", re.I)
# what is left of a line that is a link: "v1:", "Link to v1", "[1]", "- V2 RFC"
_LABEL = re.compile(
    r"[\W_]*(?:(?:link|links|to|the|of|at|for|see|lore|previous|version|series|patch|rfc|v?\d{1,4})\b[\W_]*)*+$", re.I
)


@series_rule(Severity.NOTE, id="HY01", rerolls=True)
def check(dossier: Dossier) -> Iterator[SeriesReport]:
    """Said once, where the changelog ought to be: in the cover letter, else in the only patch."""
    series = dossier.series
    if _cannot_tell(series):
        return
    first = dossier.first
    if any(_says(patch) for patch in (first, *series.patches)):
        return
    yield SeriesReport(
        first,
        header_span(first),
        f"v{series.revision} does not say what has changed since v{series.revision - 1}",
        identity=(f"v{series.revision}",),
    )


def _cannot_tell(series: Series) -> bool:
    """The mail that has the changelog may not be at hand, or there is nothing that has changed."""
    if series.missing or series.partial_reroll or (series.cover is None and series.expected > 1):
        return True
    subjects = [patch.subject for patch in series.patches] + ([series.cover.subject] if series.cover else [])
    return any(_AGAIN.search(subject.full) for subject in subjects)


def _says(patch: Patch) -> bool:
    """A patch or cover letter says what is new: below the --- in any words, above it in those of a changelog."""
    return any(_free(line) for line in patch.notes.split("\n")) or tells(patch.message.split("\n"))


def _free(line: str) -> bool:
    """A line below the --- that a person wrote and that is more than a link."""
    line = line[:1000]
    if _MADE.match(line):
        return False
    text = _ADDRESS.sub("", line)
    return text == line or not _LABEL.match(text)
