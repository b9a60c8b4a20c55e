# SPDX-License-Identifier: GPL-2.0-or-later
"""`--format b4`: what b4 review's check commands print (b4, src/b4/review/checks.py): a result a review.

Belongs here: that JSON. `details` is a text that holds JSON itself, of which b4's screen makes a list
(review_tui/_modals.py, _render_detail_lines). A clean review is an explicit `pass`: b4 keeps no empty
answer and would ask anew. Every text is harmless on a terminal: b4 prints it as it is. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from reviewbot.finding import TOO_LARGE, Fault, Finding, Review
from reviewbot.model import Confidence, Severity, SpanKind
from reviewbot.output.json import dump
from reviewbot.output.spots import fault_rule, page_url, said_of_fault, shortened
from reviewbot.output.text import Screen, also_at, clean, counts, entries, place, sentence

_STATUS = {Severity.ERROR: "fail", Severity.WARNING: "warn", Severity.NOTE: "pass", Severity.INFO: "pass"}
# Characters of a code line; b4 does not cut it.
_LONGEST_LINE = 200
# What was there before is told, but a file of 20,000 lines may be full of it.
_MOST_PREEXISTING = 10


def render(reviews: Sequence[Review], screen: Screen) -> str:
    """A JSON array, `[]` of no reviews. Preexisting findings come as passes that are not counted."""
    return dump([_result(review, screen) for review in reviews]) + "\n"


def _result(review: Review, screen: Screen) -> dict[str, str]:
    shown = entries(review)
    severities = [Severity.ERROR if isinstance(entry, Fault) else entry.severity for entry in shown]
    details = [_fault(entry) if isinstance(entry, Fault) else _finding(entry, screen) for entry in shown]
    # as far as anybody wants to hear of it: what was there before is marked before its severity is looked at
    before = (
        finding
        for finding in review.findings
        if finding.preexisting
        and not finding.shown
        and finding.confidence is Confidence.HIGH
        and finding.severity.rank <= Severity.WARNING.rank
    )
    details += [
        {**_finding(finding, screen), "status": "pass", "description": f"(pre-existing) {_text(finding)}"}
        for finding in islice(before, _MOST_PREEXISTING)
    ]
    clean_word = "no new findings" if details else "no findings"
    result = {
        "tool": "reviewbot",
        "status": _STATUS[min(severities, key=lambda severity: severity.rank)] if severities else "pass",
        "summary": counts(severities) or clean_word,
    }
    unread = sum(entry.rule == TOO_LARGE for entry in review.not_run)
    if unread:
        # a pass of what nobody has read would be none
        result["status"] = result["status"].replace("pass", "warn")
        result["summary"] += f", {unread} {'file' if unread == 1 else 'files'} not read as a whole"
    if screen.docs:
        result["url"] = screen.docs
    if details:
        result["details"] = dump(details, None)
    return result


def _finding(finding: Finding, screen: Screen) -> dict[str, str]:
    found = {
        "status": _STATUS[finding.severity],
        "context": shortened(clean(finding.rule)),
        "state": str(finding.severity),
        "description": _text(finding),
    }
    if url := page_url(screen, finding):
        found["url"] = url
    # a header's line is the header, which stands above the findings anyway
    if finding.span.kind is not SpanKind.HEADER and (
        line := clean(finding.span.text.strip()[:_LONGEST_LINE], tabs=True)
    ):
        found["srcline"] = line
    return found


def _text(finding: Finding) -> str:
    also = f" (also at {also_at(finding.places)})" if finding.places else ""
    return shortened(f"{place(finding.span, finding.patch.mail)}: {sentence(finding)}{also}")


def _fault(fault: Fault) -> dict[str, str]:
    return {
        "status": "fail",
        "context": fault_rule(fault),
        "state": str(Severity.ERROR),
        "description": said_of_fault(fault),
    }
