# SPDX-License-Identifier: GPL-2.0-or-later
"""`--format full`: findings with their code lines, for a terminal.

Belongs here: the frame, and nothing that decides what is shown. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from reviewbot.finding import Fault, Finding, Review
from reviewbot.model import Confidence, Patch, Severity, Span, SpanKind
from reviewbot.output.text import (
    BLUE,
    BOLD,
    COLORS,
    RESET,
    advance,
    also_at,
    blank,
    clean,
    entries,
    fault_place,
    place,
    rule_failed,
    summary,
)

_GUTTER, _HERE = "    | ", "  > | "
# A longer code line is cut to a window about its span: carets below a line that the terminal folds point nowhere.
_LONG = 200
_LEAD = 60  # characters of such a line that stay before the span


@dataclass(slots=True)
class _Row:
    """A code line of the frame, and the stretches of it that have carets: begin and end from 0, and the remark."""

    span: Span
    mark: str
    position: tuple[int, int]  # line after the patch, and which of the removed lines behind it
    main: bool = False
    marks: list[tuple[int, int, str]] = field(default_factory=list)


def render(review: Review, *, color: bool) -> str:
    """Every finding that is shown, and the summary line."""
    blocks = [
        "\n".join(_fault(entry, color) if isinstance(entry, Fault) else _finding(entry, color))
        for entry in entries(review)
    ]
    return "\n\n".join([*blocks, summary(review)]) + "\n"


def _paint(text: str, code: str, color: bool) -> str:
    return f"{code}{text}{RESET}" if color else text


def _title(severity: Severity, message: str, color: bool) -> str:
    return f"{_paint(severity, COLORS[severity], color)}: {_paint(clean(message), BOLD, color)}"


def _where(place: str, subject: str, color: bool) -> str:
    return f"{_paint(' -->', BLUE, color)} {place}  {clean(subject)}".rstrip()


def _fault(fault: Fault, color: bool) -> Iterator[str]:
    message = fault.message if rule_failed(fault) else f"cannot read the diff: {fault.message}"
    yield _title(Severity.ERROR, message, color)
    yield _where(fault_place(fault), fault.mail.subject, color)
    if fault.text:
        text, _ = _window(fault.text, [(0, 0, "")])
        yield f"{_paint(_HERE, BLUE, color)}{fault.message_line:>4}  {clean(text, tabs=True)}"


def _finding(finding: Finding, color: bool) -> Iterator[str]:
    mail = finding.patch.mail
    yield f"{_title(finding.severity, finding.message, color)} [{clean(finding.rule)}]"
    yield _where(place(finding.span, mail), mail.subject, color)
    rows = _rows(finding)
    digits = max(4, *(len(str(row.span.line)) for row in rows))
    path, last = finding.span.path, None
    for row in rows:
        if row.span.path != path:
            path, last = row.span.path, None
            yield f"{_paint(' :::', BLUE, color)} {place(row.span, mail)}"
        # a single line left out goes without saying: the numbers show it
        if last is not None and row.position[0] - last > 2:
            yield "    ..."
        last = row.position[0]
        yield from _row(row, digits, finding.severity, color)
    tail = _paint("    =", BLUE, color)
    if finding.places:
        yield f"{tail} also at {also_at(finding.places)}"
    if finding.confidence is Confidence.LOW:
        yield f"{tail} low confidence"
    if finding.preexisting:
        yield f"{tail} was there before this patch"
    if finding.suggestion is not None:
        yield f"{tail} suggestion:"
        mark = "+" if finding.span.kind in (SpanKind.SOURCE, SpanKind.REMOVED) else " "
        for line in finding.suggestion.rstrip("\n").split("\n"):
            yield f"{_paint(_GUTTER, BLUE, color)}{'':{digits}} {mark}{clean(line, tabs=True)}"
    yield f"{tail} reviewbot rules {clean(finding.rule)}"


def _row(row: _Row, digits: int, severity: Severity, color: bool) -> Iterator[str]:
    prefix = f"{row.span.path}: " if row.span.kind is SpanKind.HEADER else ""
    number = "" if row.span.kind is SpanKind.HEADER else str(row.span.line)
    text, marks = _window(row.span.text, row.marks)
    gutter = _paint(_HERE if row.main else _GUTTER, BLUE, color)
    yield f"{gutter}{number:>{digits}} {row.mark}{clean(prefix + text, tabs=True)}"
    margin = f"{'':{digits}}  "
    origin = len(_GUTTER) + len(margin)
    for begin, end, remark in sorted(marks):
        before = clean(prefix + text[:begin], tabs=True)
        start = advance(origin, before)
        carets = "^" * max(1, advance(start, clean(text[begin:end], tabs=True)) - start)
        said = f"{carets} {clean(remark)}" if remark else carets
        yield f"{_paint(_GUTTER, BLUE, color)}{margin}{blank(before)}{_paint(said, COLORS[severity], color)}"


def _rows(finding: Finding) -> list[_Row]:
    """The lines to show: those of the finding's file in order, then those of other files."""
    rows: dict[tuple[str, SpanKind, int], _Row] = {}
    for span, remark in ((finding.span, ""), *finding.related):
        row = rows.get((span.path, span.kind, span.line))
        if row is None:
            mark, position = _find(finding.patch, span)
            row = rows[span.path, span.kind, span.line] = _Row(span, mark, position)
        row.main = row.main or span is finding.span
        end = span.end_column - 1 if span.end_line == span.line else len(span.text.rstrip())
        row.marks.append((min(span.column - 1, len(span.text)), min(end, len(span.text)), remark))
    return sorted(rows.values(), key=lambda row: (row.span.path != finding.span.path, row.span.path, row.position))


def _find(patch: Patch, span: Span) -> tuple[str, tuple[int, int]]:
    """The mark of a span's line, and where it stands among the lines after the patch, removed ones between them."""
    if span.kind in (SpanKind.MESSAGE, SpanKind.HEADER):
        return " ", (span.line, 0)
    for file in patch.files:
        if span.path not in (file.new_path, file.old_path) or not span.message_line:
            continue
        for hunk in file.hunks:
            new, removed = hunk.new_start - 1, 0
            for line in hunk.lines:
                if line.new is not None:
                    new, removed = line.new, 0
                else:
                    removed += 1
                if line.message_line == span.message_line:
                    # in a tree the hunk may lie elsewhere than the mail says
                    moved = span.line - ((line.old if span.kind is SpanKind.REMOVED else line.new) or 0)
                    return line.kind, (new + moved, removed)
    # known from the tree
    return ("-" if span.kind is SpanKind.REMOVED else " "), (span.line, 0)


def _window(text: str, marks: list[tuple[int, int, str]]) -> tuple[str, list[tuple[int, int, str]]]:
    """A long line cut to what lies about its first mark, and the marks moved with it."""
    if len(text) <= _LONG:
        return text, marks
    start = max(0, min(begin for begin, _, _ in marks) - _LEAD)
    stop = start + _LONG
    lead = "..." if start else ""
    shown = lead + text[start:stop]
    shift = len(lead) - start
    moved = [(min(begin + shift, len(shown)), min(end + shift, len(shown)), remark) for begin, end, remark in marks]
    return shown + ("..." if stop < len(text) else ""), moved
