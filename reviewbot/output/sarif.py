# SPDX-License-Identifier: GPL-2.0-or-later
"""`--format sarif`: SARIF 2.1.0 (OASIS), as code scanning takes it: one document of one run for all reviews.

Belongs here: that document. What shaped it:
- GitHub refuses several runs of one tool and category since 2025, and wants a location of every
  result: what lies in a mail and in no file is said of the patch's first file, as a whole.
- It ignores `suppressions` and opens an alert for each (codeql-action issue 1230): a finding that is
  not shown is not in the document. `--format json` has all of them.
- It reads primaryLocationLineHash alone of the fingerprints, which its upload step computes and warns
  where somebody else did: ours goes under a name of its own.
- Lines are those of the tree that the whole series makes (`spots`); columns count characters.
Reads the rules' summaries and pages; pure apart from that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from reviewbot import __version__
from reviewbot.finding import NO_TREE, NOT_APPLIED, Fault, Finding, Review
from reviewbot.model import Confidence, Severity, Span, SpanKind
from reviewbot.output.json import dump
from reviewbot.output.spots import (
    Spot,
    Spots,
    fault_rule,
    page_url,
    quoted,
    said,
    said_of_fault,
    shortened,
)
from reviewbot.output.text import Screen, clean, entries

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT = "%SRCROOT%"
_LEVEL = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note", Severity.INFO: "note"}
# GitHub's own scale of what is no security finding
_PROBLEM = {Severity.ERROR: "error", Severity.WARNING: "warning"}


def render(reviews: Sequence[Review], screen: Screen) -> str:
    """One document with one run, whatever the number of reviews, that ends with a line end."""
    rules = _Rules(screen)
    results = [
        _result(entry, spots, rules)
        for review in reviews
        for spots in (Spots(review),)
        for entry in entries(review)
        if isinstance(entry, Finding)
    ]
    driver: dict[str, Any] = {"name": "reviewbot", "version": __version__}
    if screen.docs and screen.docs.startswith(("http://", "https://")):
        driver["informationUri"] = screen.docs
    driver["rules"] = rules.descriptors
    root: dict[str, Any] = {"description": {"text": "the top of the tree under review"}}
    if screen.root:
        root["uri"] = f"file://{quoted(screen.root.rstrip('/'))}/"
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT: root},
        "invocations": [
            {
                "executionSuccessful": not any(review.errors for review in reviews),
                "toolExecutionNotifications": [*_notifications(reviews)],
            }
        ],
        "results": results,
    }
    return dump({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}) + "\n"


class _Rules:
    """The rules that have findings, in the order of their first ones."""

    def __init__(self, screen: Screen) -> None:
        self.descriptors: list[dict[str, Any]] = []
        self._screen = screen
        self._indices: dict[str, int] = {}

    def index(self, finding: Finding) -> int:
        """Of the rule of a finding in `descriptors`."""
        if finding.rule not in self._indices:
            self._indices[finding.rule] = len(self.descriptors)
            self.descriptors.append(_descriptor(finding, self._screen))
        return self._indices[finding.rule]


def _descriptor(finding: Finding, screen: Screen) -> dict[str, Any]:
    from reviewbot import registry  # the review has loaded it; who shows another's review needs no rules

    name = shortened(clean(finding.rule))
    rule = registry.known(finding.rule) or next((rule for rule in registry.load() if rule.name == finding.rule), None)
    severity = rule.severity if rule else finding.severity
    confidence = rule.confidence if rule else finding.confidence
    summary = {"text": rule.summary if rule else name}
    found: dict[str, Any] = {
        "id": name,
        "shortDescription": summary,
        "fullDescription": summary,
        "help": {"text": f"reviewbot rules {name}" if rule else name},
        "defaultConfiguration": {"level": _LEVEL[severity]},
        "properties": {
            "tags": [name.split("/")[0]],
            "precision": "high" if confidence is Confidence.HIGH else "low",
            "problem.severity": _PROBLEM.get(severity, "recommendation"),
        },
    }
    if rule and registry.has_page(rule):
        found["help"]["markdown"] = registry.page(rule)
    if url := page_url(screen, finding):
        found["helpUri"] = url
    return found


def _result(finding: Finding, spots: Spots, rules: _Rules) -> dict[str, Any]:
    spot = spots.of(finding)
    index = rules.index(finding)
    location: dict[str, Any] = {"physicalLocation": _physical(spot)}
    if finding.function:
        location["logicalLocations"] = [{"name": shortened(clean(finding.function)), "kind": "function"}]
    found: dict[str, Any] = {
        "ruleId": rules.descriptors[index]["id"],
        "ruleIndex": index,
        "level": _LEVEL[finding.severity],
        "message": {"text": said(finding, spot)},
        "locations": [location],
        "partialFingerprints": {"reviewbot/v1": shortened(clean(finding.fingerprint))},
    }
    if further := [*spots.further(finding)]:
        found["relatedLocations"] = [
            {"id": number, "physicalLocation": _physical(at), "message": {"text": remark}}
            for number, (at, remark) in enumerate(further, 1)
        ]
    if spot.span and finding.suggestion is not None and finding.span.kind is SpanKind.SOURCE:
        found["fixes"] = [_fix(spot.path, spot.span, finding.suggestion)]
    patch = finding.patch
    found["properties"] = {
        "patch": patch.index,
        "messageId": shortened(patch.mail.message_id),
        "commit": patch.commit,
        "confidence": finding.confidence,
        "fixable": finding.fixable,
    }
    return found


def _fix(path: str, span: Span, suggestion: str) -> dict[str, Any]:
    line = {"startLine": span.line, "startColumn": 1, "endLine": span.line, "endColumn": len(span.text) + 1}
    change = {
        "artifactLocation": _artifact(path),
        "replacements": [{"deletedRegion": line, "insertedContent": {"text": suggestion.rstrip("\n")}}],
    }
    return {"description": {"text": "the line as suggested"}, "artifactChanges": [change]}


def _physical(spot: Spot) -> dict[str, Any]:
    found: dict[str, Any] = {"artifactLocation": _artifact(spot.path)}
    if span := spot.span:
        found["region"] = {
            "startLine": span.line,
            "startColumn": span.column,
            "endLine": span.end_line,
            "endColumn": span.end_column,
        }
    return found


def _artifact(path: str) -> dict[str, str]:
    return {"uri": quoted(path), "uriBaseId": _ROOT}


def _notifications(reviews: Sequence[Review]) -> Iterator[dict[str, Any]]:
    """What could not be reviewed, and which rules were not run."""
    said_before = set()
    for review in reviews:
        for entry in entries(review):
            if isinstance(entry, Fault):
                yield _notification("error", said_of_fault(entry), fault_rule(entry), entry.rule)
        for lacking in review.not_run:
            if lacking not in said_before:
                said_before.add(lacking)
                foreign = lacking.rule in (NO_TREE, NOT_APPLIED)
                yield _notification(
                    "note", shortened(clean(lacking.why)), "reviewbot/not-run", None if foreign else lacking.rule
                )


def _notification(level: str, text: str, kind: str, rule: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"level": level, "message": {"text": text}, "descriptor": {"id": kind}}
    if rule:
        found["associatedRule"] = {"id": shortened(clean(rule))}
    return found
