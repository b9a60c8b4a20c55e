# SPDX-License-Identifier: GPL-2.0-or-later
"""Another series that is in flight changes the same lines, function or flag bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from reviewbot.dossier import Dossier, Flying, Overlap, header_span, line_span
from reviewbot.model import FileDiff, Line, LineKind, Patch, Severity, Span
from reviewbot.rule import SeriesReport, series_rule
from reviewbot.touches import bits

# Other series that are told of: those with the same lines first.
MOST = 10
# Further places of one of them that are named.
PLACES = 3
LORE = "https://lore.kernel.org/r/"


class Meeting(NamedTuple):
    """A place where another series does the same."""

    patch: Patch
    span: Span
    other: Flying
    rank: int  # 0: a bit, 1: the same lines, 2: the same function
    text: str  # what both do, with {other} for the other one
    place: str  # where it is, for the notes
    key: tuple[str, ...]


@series_rule(Severity.INFO, id="HY15", needs="flight")
def check(dossier: Dossier) -> Iterator[SeriesReport]:
    """One report for each other series, where it meets ours first; what else both touch is in the notes."""
    groups: dict[str, list[Meeting]] = {}
    for meeting in [*_bits(dossier), *_overlaps(dossier)]:
        groups.setdefault(meeting.other.series or meeting.other.message_id, []).append(meeting)
    chosen = sorted(groups.values(), key=lambda group: min(one.rank for one in group))
    for number, group in enumerate(chosen[:MOST]):
        first, *others = sorted(group, key=lambda one: one.rank)
        notes = [f"{LORE}{_escaped(first.other.message_id)}"]
        places = list(dict.fromkeys(one.place for one in others if one.place != first.place))
        if places:
            more = f" and {len(places) - PLACES} more" if len(places) > PLACES else ""
            notes.append(f"also {', '.join(places[:PLACES])}{more}")
        if number == MOST - 1 and len(chosen) > MOST:
            notes.append(f"{len(chosen) - MOST} more series in flight touch the same as this one")
        yield SeriesReport(
            first.patch,
            first.span,
            first.text.replace("{other}", _named(first.other), 1),
            notes=tuple(notes),
            identity=(*first.key, first.other.author),
        )


def _overlaps(dossier: Dossier) -> Iterator[Meeting]:
    flight = dossier.flight
    patches = {patch.index: patch for patch in dossier.series.patches}
    for one in flight.overlaps() if flight else ():
        patch = patches[one.patch]
        what = one.what or one.path
        if one.lines:
            inside = f"{one.what} of {one.path}" if one.what else one.path
            text = f"changes the same lines of {inside} as {{other}}"
        else:
            text = f"touches {what} like {{other}}"
        place = f"{what} in {patch.index}/{dossier.series.expected}"
        yield Meeting(patch, _span(patch, one), one.other, 1 if one.lines else 2, text, place, (one.path, one.what))


def _bits(dossier: Dossier) -> Iterator[Meeting]:
    """Bits of the same header's flags; those of FOLL_ are gup/flag-bit-collision's."""
    flight = dossier.flight
    for patch in dossier.series.patches if flight else ():
        for ours in bits(patch):
            if ours.prefix == "FOLL_" or not ours.shared:
                continue
            for claim in flight.claims(ours.prefix, ours.bit) if flight else ():
                if claim.flag != ours.flag and claim.path == ours.path:
                    text = f"gives {ours.flag} bit {ours.bit}, which {claim.flag} of {{other}} takes, too"
                    place = f"{ours.flag} in {patch.index}/{dossier.series.expected}"
                    span = line_span(ours.diff, ours.line)
                    yield Meeting(patch, span, claim.other, 0, text, place, (ours.path, ours.flag))


def _span(patch: Patch, overlap: Overlap) -> Span:
    """The first line that the patch changes at the place where the other series is, too."""
    for diff in patch.files:
        if (diff.old_path or diff.path) == overlap.path and (line := _changed(diff, overlap.line)):
            return line_span(diff, line)
    return header_span(patch)


def _changed(diff: FileDiff, begin: int) -> Line | None:
    """The changed line at a place of the file before the patch, or the last one above it."""
    found = None
    last = 0
    for hunk in diff.hunks:
        last = hunk.old_start
        for line in hunk.lines:
            last = line.old or last
            if line.kind is LineKind.CONTEXT or not line.text.strip():
                continue
            if found and last > begin:
                return found
            found = line
            if last >= begin:
                return line
    return found


def _named(other: Flying) -> str:
    return f"'{other.subject[:120]}' <{other.message_id}> of {other.date:%Y-%m-%d}"


def _escaped(message_id: str) -> str:
    """As the archive wants a Message-ID in an address."""
    return message_id.replace("%", "%25").replace("/", "%2F").replace("?", "%3F").replace("#", "%23")
