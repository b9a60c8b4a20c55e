# SPDX-License-Identifier: GPL-2.0-or-later
"""`--format github`: workflow commands, which GitHub Actions shows as annotations.

Belongs here: the command's line and its escaping (actions/toolkit, packages/core/src/command.ts).
Lines are those of the tree that the whole series makes (`spots`). What lies in a mail and in no file
has no `file=`: it is shown with the run. GitHub shows ten errors, ten warnings and ten notices a
step. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reviewbot.finding import Fault, Finding, Review
from reviewbot.model import Severity
from reviewbot.output.spots import Spots, fault_rule, said, said_of_fault, shortened
from reviewbot.output.text import Screen, also_at, clean, entries

_COMMAND = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice", Severity.INFO: "notice"}


def render(reviews: Sequence[Review], screen: Screen) -> str:  # noqa: ARG001 - every format is called alike
    """`::error file=mm/gup.c,line=31,...::text`, a line a finding; '' where there is none."""
    return "".join(
        _fault(entry) if isinstance(entry, Fault) else _finding(entry, spots)
        for review in reviews
        for spots in (Spots(review),)
        for entry in entries(review)
    )


def _finding(finding: Finding, spots: Spots) -> str:
    spot = spots.of(finding)
    properties: dict[str, object] = {}
    if span := spot.span:
        properties = {"file": spot.path, "line": span.line, "endLine": span.end_line}
        if span.line == span.end_line:  # GitHub refuses columns of several lines
            properties |= {"col": span.column, "endColumn": span.end_column}
    properties["title"] = finding.rule
    return _command(_COMMAND[finding.severity], properties, "\n".join(_text(finding, said(finding, spot))))


def _text(finding: Finding, message: str) -> Iterator[str]:
    yield message
    yield from (f"{clean(span.path)}:{span.line}: {shortened(clean(text))}" for span, text in finding.related[:3])
    if finding.places:
        yield f"also at {shortened(also_at(finding.places))}"


def _fault(fault: Fault) -> str:
    return _command("error", {"title": fault_rule(fault)}, said_of_fault(fault))


def _command(name: str, properties: dict[str, object], message: str) -> str:
    given = ",".join(f"{key}={_property(shortened(clean(str(value))))}" for key, value in properties.items())
    return f"::{name} {given}::{_data(message)}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
