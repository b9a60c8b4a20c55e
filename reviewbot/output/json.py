# SPDX-License-Identifier: GPL-2.0-or-later
"""`--format json`: the whole review as one document for programs.

Belongs here: the keys, which are the interface: within a version they are only added to. Every
finding is in it, the hidden ones with the reason. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from reviewbot.dossier import Standing
from reviewbot.finding import Fault, Finding, Forecast, Review, order
from reviewbot.model import Series, Span
from reviewbot.output.text import Screen, harmless

VERSION = 1

# Characters of a code line: one of a megabyte would be written for each finding on it.
LONGEST = 2_000

_NOT_ASCII = re.compile(r"[^\n -~]")


def render(reviews: Sequence[Review], screen: Screen) -> str:  # noqa: ARG001 - every format is called alike
    """One JSON document that ends with a line end; of several reviews a list. Never coloured."""
    documents = [_document(review) for review in reviews]
    return dump(documents[0] if len(documents) == 1 else documents) + "\n"


def dump(document: object, indent: int | None = 2) -> str:
    """JSON that is harmless on a terminal, too."""
    return _NOT_ASCII.sub(_escape, json.dumps(document, ensure_ascii=False, indent=indent))


def _document(review: Review) -> dict[str, Any]:
    return {
        "version": VERSION,
        "series": series_document(review.series),
        "findings": [finding_document(finding) for finding in sorted(review.findings, key=order)],
        "not_run": [{"rule": entry.rule, "why": entry.why} for entry in review.not_run],
        "errors": [_fault(fault) for fault in review.errors],
        "forecast": _forecast(review.forecast) if review.forecast else None,
        "branches": [_standing(standing) for standing in review.branches],
    }


def _escape(match: re.Match[str]) -> str:
    r"""C1, bidi and format characters as \u escapes, so that the document is harmless on a terminal, too.

    A lone surrogate cannot be written as UTF-8 and strict readers refuse its escape: U+FFFD stands for it.
    """
    char = match[0]
    if harmless(char):
        return char
    if "\ud800" <= char <= "\udfff":
        return "\ufffd"
    return json.dumps(char, ensure_ascii=True)[1:-1] if char != "\x7f" else "\\u007f"


def series_document(series: Series) -> dict[str, Any]:
    """The `series` of a document."""
    base = series.base
    version = ".".join(map(str, base.version)) if base.version else None
    return {
        "message_id": series.message_id,
        "subject": series.subject,
        "revision": series.revision,
        "patches": len(series.patches),
        "complete": series.complete,
        "base": {
            "commit": base.commit,
            "version": version,
            "how": base.how,
            "version_how": base.version_how,
            "tree": base.version_from is not None,
            "prerequisites": list(series.prerequisites),
        },
    }


def _standing(standing: Standing) -> dict[str, Any]:
    return {
        "branch": standing.branch,
        "commit": standing.commit,
        "applies": standing.applies,
        "applied": list(standing.applied),
        "conflicts": [
            {
                "patch": conflict.patch,
                "path": conflict.path,
                "hunk": conflict.hunk,
                "line": conflict.line,
                "why": conflict.why,
                "cause": conflict.cause.id if conflict.cause else None,
                "title": conflict.cause.title[:LONGEST] if conflict.cause else None,
                "moved_to": conflict.moved_to,
            }
            for conflict in standing.conflicts
        ],
    }


def _forecast(forecast: Forecast) -> dict[str, Any]:
    return {
        "mails": forecast.mails,
        "findings": forecast.findings,
        "silent": [{"patch": one.patch, "why": one.why} for one in forecast.silent],
        "lists": list(forecast.lists),
        "verdict": forecast.verdict,
    }


def finding_document(finding: Finding) -> dict[str, Any]:
    """One of the `findings` of a document."""
    patch = finding.patch
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "confidence": finding.confidence,
        "shown": finding.shown,
        "why_not_shown": finding.why_not_shown,
        "message": finding.message,
        "fingerprint": finding.fingerprint,
        "preexisting": finding.preexisting,
        "patch": {
            "index": patch.index,
            "message_id": patch.mail.message_id,
            "subject": patch.mail.subject,
            "commit": patch.commit,
        },
        "location": _location(finding.span),
        "related": [{"path": span.path, "line": span.line, "message": said} for span, said in finding.related],
        "places": [_location(span) for span in finding.places],
        "suggestion": finding.suggestion,
        "fixable": finding.fixable,
        "notes": [note[:LONGEST] for note in finding.notes],
        "resolved_by": finding.resolved_by,
    }


def _location(span: Span) -> dict[str, Any]:
    return {
        "kind": span.kind,
        "path": span.path,
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
        "text": span.text[:LONGEST],
    }


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "message_id": fault.mail.message_id,
        "patch": fault.patch,
        "line": fault.message_line,
        "message": fault.message[:LONGEST],
        "text": fault.text[:LONGEST],
    }
