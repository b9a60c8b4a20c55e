# SPDX-License-Identifier: GPL-2.0-or-later
"""`--format rdjsonl`: a line of JSON a finding, in the Reviewdog Diagnostic Format.

Belongs here: that line (reviewdog, proto/rdf/reviewdog.proto). Line numbers are those of the tree that
the whole series makes (`spots`), as reviewdog compares them with one diff. Columns count bytes of
UTF-8 from 1, ends are exclusive. What lies in a mail and in no file is said of the patch's first
file, without a line, with its place in the message: reviewdog wants a path. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reviewbot.finding import Fault, Finding, Review
from reviewbot.model import Severity, Span, SpanKind
from reviewbot.output.json import dump
from reviewbot.output.spots import Spot, Spots, fault_rule, page_url, said, said_of_fault, shortened
from reviewbot.output.text import Screen, clean, entries, place

# reviewdog reads with Go's bufio.Scanner, which stops without a word at a line of 64 KiB.
_MOST = 65_000

_SEVERITY = {Severity.ERROR: "ERROR", Severity.WARNING: "WARNING", Severity.NOTE: "INFO", Severity.INFO: "INFO"}


def render(reviews: Sequence[Review], screen: Screen) -> str:
    """A line for every finding that is shown and for what could not be reviewed; '' where there is none."""
    return "".join(
        _line(_fault(entry, spots) if isinstance(entry, Fault) else _finding(entry, spots, screen))
        for review in reviews
        for spots in (Spots(review),)
        for entry in entries(review)
    )


def _line(record: dict[str, Any]) -> str:
    """The record as a line that reviewdog reads: of a very long one the parts that can be missed go first."""
    for spared in (None, "related_locations", "suggestions", "original_output"):
        record.pop(spared or "", None)
        text = dump(record, None)
        if len(text.encode()) < _MOST:
            return text + "\n"
    # a path of so many characters is no file's
    return dump({**record, "location": {"path": record["location"]["path"][:1000]}}, None) + "\n"


def _finding(finding: Finding, spots: Spots, screen: Screen) -> dict[str, Any]:
    spot = spots.of(finding)
    rule = shortened(clean(finding.rule))
    code = {"value": rule}
    if url := page_url(screen, finding):
        code["url"] = url
    record: dict[str, Any] = {
        "message": said(finding, spot),
        "location": _location(spot),
        "severity": _SEVERITY[finding.severity],
        "source": {"name": "reviewbot"},
        "code": code,
    }
    if spot.span and finding.suggestion is not None and finding.span.kind is SpanKind.SOURCE:
        # without columns a range is its lines, and the text has no line end
        line = {"line": spot.span.line}
        record["suggestions"] = [{"range": {"start": line, "end": line}, "text": finding.suggestion.rstrip("\n")}]
    if further := [{"message": remark, "location": _location(at)} for at, remark in spots.further(finding)]:
        record["related_locations"] = further
    at = shortened(place(finding.span, finding.patch.mail))
    # what reviewdog's local reporter prints: without it the whole record
    record["original_output"] = f"{at}: {finding.severity}: {shortened(clean(finding.message))} [{rule}]"
    return record


def _fault(fault: Fault, spots: Spots) -> dict[str, Any]:
    message = said_of_fault(fault)
    return {
        "message": message,
        "location": _location(spots.of_fault(fault)),
        "severity": "ERROR",
        "source": {"name": "reviewbot"},
        "code": {"value": fault_rule(fault)},
        "original_output": f"{message} [{fault_rule(fault)}]",
    }


def _location(spot: Spot) -> dict[str, Any]:
    found: dict[str, Any] = {"path": spot.path}
    if span := spot.span:
        if span.end_line == span.line:
            start, end = ({"line": span.line, "column": _column(span, n)} for n in (span.column, span.end_column))
        else:  # of the last line no text is known to count bytes in: whole lines
            start, end = {"line": span.line}, {"line": span.end_line}
        found["range"] = {"start": start, "end": end}
    return found


def _column(span: Span, column: int) -> int:
    return len(span.text[: column - 1].encode("utf-8", "replace")) + 1
