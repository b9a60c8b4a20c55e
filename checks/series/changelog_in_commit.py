# SPDX-License-Identifier: GPL-2.0-or-later
"""The changes since an earlier revision stand in the commit message and not below the ---"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from reviewbot.checks.series._changelog import heading, is_backport

from reviewbot.dossier import Dossier, message_lines, message_span
from reviewbot.model import Patch, Severity
from reviewbot.rule import SeriesReport, series_rule

# the names of a changelog that have no number; "Changes:" may be the commit's own
_NAMED = re.compile(r"change[ -]?log|history|previous|prior|last|initial|first|earlier", re.I)
_NUMBER = re.compile(r"v(?:er(?:sion)?)?\.? ?([0-9]{1,3})(?![\w]|\.[0-9])", re.I)
_TRAILER = re.compile(r"[A-Za-z][A-Za-z-]{0,30}: \S")
# where a changelog in the commit is the custom
_KEPT = (
    *("drivers/gpu/drm/", "drivers/accel/", "drivers/dma-buf/", "include/drm/", "include/uapi/drm/"),
    *("net/", "drivers/net/", "include/net/"),
)
_KEPT_TITLE = re.compile(r"(?:drm|accel|dma-buf|net)\b", re.I)
_KEPT_PREFIX = re.compile(r"net(?:-next)?$|drm-\S+$|bluetooth$", re.I)


class _Found(NamedTuple):
    """Where a patch has a changelog in its message: line numbers of the body, from 1."""

    heading: int
    entry: int | None  # the first line below it that says something
    begin: int  # of the heading's words, characters from 0


@series_rule(Severity.NOTE, id="HY02", rerolls=True)
def check(dossier: Dossier) -> Iterator[SeriesReport]:
    """Said once a series, of the first patch: who does it once does it in each."""
    series = dossier.series
    found = [(patch, place) for patch in series.patches if (place := _in_message(patch, series.revision))]
    if not found:
        return
    patch, place = found[0]
    others = ", ".join(str(other.index) for other, _ in found[1:])
    entry = [(message_span(patch, place.entry), "what has changed")] if place.entry else []
    yield SeriesReport(
        patch,
        message_span(patch, place.heading, place.begin),
        "the changes since an earlier revision stand in the commit message: they belong below the ---",
        related=tuple(entry),
        notes=(f"so they do in patch {others}",) if others else (),
    )


def _in_message(patch: Patch, revision: int) -> _Found | None:
    if _customary(patch) or is_backport(patch.message):
        return None
    lines = list(message_lines(patch))
    for place, (number, text) in enumerate(lines):
        # what is indented is quoted; in brackets the one who applied it says what he changed
        if not text or text[0] == "[" or text.startswith(("\t", "    ")):
            continue
        above = lines[place - 1][1].strip() if place else ""
        if above and not _TRAILER.match(above):
            continue  # "... of cgroup" and below it "v2: ..." is a sentence
        match = heading(text)
        if match is None or not _between_revisions(match[0], revision):
            continue
        below = next(((n, t) for n, t in lines[place + 1 : place + 4] if t.strip()), None)
        return _Found(number, below[0] if below else None, len(text) - len(text.lstrip()))
    return None


def _between_revisions(words: str, revision: int) -> bool:
    """It names a revision that there may have been, or calls itself a changelog."""
    numbers = [int(number) for number in _NUMBER.findall(words)]
    return max(numbers) <= revision if numbers else bool(_NAMED.search(words))


def _customary(patch: Patch) -> bool:
    if any(_KEPT_PREFIX.match(prefix) for prefix in patch.subject.prefixes) or _KEPT_TITLE.match(patch.subject.title):
        return True
    return bool(patch.files) and all(diff.path.startswith(_KEPT) for diff in patch.files)
