# SPDX-License-Identifier: GPL-2.0-or-later
"""`--format full`: findings with their code lines, for a terminal.

Belongs here: the frame, how it is fitted to a width, hyperlinks; and nothing that decides what is shown. Pure; the
machine's name is in the hyperlinks to its files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from reviewbot.finding import Fault, Finding, Review
from reviewbot.model import Confidence, Patch, Severity, Span, SpanKind
from reviewbot.output.text import (
    BLUE,
    BOLD,
    COLORS,
    PLAIN,
    RESET,
    Screen,
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
_CUT = "..."
_RESERVED = ":/?#[]@!$&'()*+,;=%~"  # of an address that is complete already
_MOST = 10_000  # characters of a line that are looked at where it is fitted: a line may be a megabyte

# Nothing sensible can be shown in fewer columns: such a terminal folds.
_NARROWEST = 40
_REMARK = 24  # columns that a remark should have where it stands by itself


class _Mark(NamedTuple):
    """A stretch of a code line that has carets, from 0, and the remark to it: "" for the finding itself."""

    begin: int
    end: int
    remark: str = ""

    def moved(self, by: int, most: int) -> _Mark:
        """The same stretch of a line that has lost some of its beginning."""
        return self._replace(begin=min(self.begin + by, most), end=min(self.end + by, most))


class _Row:
    """A code line of the frame."""

    __slots__ = ("main", "mark", "marks", "position", "span")

    def __init__(self, span: Span, mark: str, position: tuple[int, int]) -> None:
        self.span = span
        self.mark = mark
        self.position = position  # line after the patch, and which of the removed lines behind it
        self.main = False
        self.marks: list[_Mark] = []


class _Word(NamedTuple):
    """What is never broken: as it is counted, and as it is printed, with colour and hyperlink."""

    plain: str
    painted: str


def render(reviews: Sequence[Review], screen: Screen) -> str:
    """Of each review every finding that is shown, and the summary line."""
    if screen.width is not None:
        screen = screen._replace(width=max(_NARROWEST, screen.width))
    return "".join(_review(review, screen) for review in reviews)


def _review(review: Review, screen: Screen) -> str:
    blocks = [
        "\n".join(_fault(entry, screen) if isinstance(entry, Fault) else _finding(entry, screen))
        for entry in entries(review)
    ]
    return "\n\n".join([*blocks, "\n".join(_flow(_words(summary(review)), 0, screen))]) + "\n"


def _paint(text: str, code: str, screen: Screen) -> str:
    return f"{code}{text}{RESET}" if screen.color and text else text


def _link(text: str, address: str | None) -> str:
    """OSC 8; the address has no character that could end it."""
    return f"\x1b]8;;{address}\x1b\\{text}\x1b]8;;\x1b\\" if address else text


def _file(span: Span, screen: Screen) -> str | None:
    """The address of the span's file; None where it is none of the work tree, or nobody looks."""
    if screen.root is None or screen.width is None or span.kind not in (SpanKind.SOURCE, SpanKind.REMOVED):
        return None
    if not span.path or span.path.startswith("/") or ".." in span.path.split("/"):
        return None  # a stranger's path that leads out of it
    # a terminal opens only files of its own machine, and knows by the name that they are
    return f"file://{_quote(os.uname().nodename)}{_quote(screen.root.rstrip('/'))}/{_quote(span.path)}"


def _page(rule: str, screen: Screen) -> str | None:
    """The address of a rule's page; None where none is configured, or nobody looks."""
    if screen.width is None or not screen.docs or not screen.docs.startswith(("http://", "https://")):
        return None
    return f"{_quote(screen.docs.rstrip('/'), _RESERVED)}/{_quote(rule)}"


def _quote(text: str, safe: str = "/") -> str:
    from urllib.parse import quote  # only where there are hyperlinks

    return quote(text, safe=safe, errors="replace")


def _words(text: str, code: str = "", screen: Screen = PLAIN) -> list[_Word]:
    return [_Word(word, _paint(word, code, screen)) for word in text.split(" ")]


def _flow(words: Sequence[_Word], indent: int, screen: Screen) -> Iterator[str]:
    """Words as lines of the screen's width; the lines behind the first are indented."""
    line, column = "", 0
    for number, word in enumerate(words):
        size = advance(0, word.plain)
        if number and screen.width is not None and column + 1 + size > screen.width and column > indent:
            yield line.rstrip(" ")
            line, column = " " * indent + word.painted.lstrip(" "), indent + advance(0, word.plain.lstrip(" "))
        else:
            line += f" {word.painted}" if number else word.painted
            column += size + (1 if number else 0)
    yield line


def _title(severity: Severity, message: str, rule: str, screen: Screen) -> Iterator[str]:
    name = _paint(severity, COLORS[severity], screen)
    link = _link(clean(rule), _page(rule, screen))
    whole = f"{name}: {_paint(clean(message), BOLD, screen)}" + (f" [{link}]" if rule else "")
    words = [_Word(f"{severity}:", f"{name}:"), *_words(clean(message), BOLD, screen)]
    if rule:
        words.append(_Word(f"[{clean(rule)}]", f"[{link}]"))
    lines = [*_flow(words, 4, screen)]
    # one stretch of bold a line will do
    yield from (line.replace(f"{RESET} {BOLD}", " ") for line in lines) if len(lines) > 1 else [whole]


def _where(arrow: str, place: str, address: str | None, subject: str, screen: Screen) -> Iterator[str]:
    words = [_Word(arrow, _paint(arrow, BLUE, screen)), _Word(place, _link(place, address))]
    if subject:
        first, *rest = _words(subject)
        words += [_Word(f" {first.plain}", f" {first.plain}"), *rest]
    yield from (line.rstrip() for line in _flow(words, len(arrow) + 1, screen))


def _fault(fault: Fault, screen: Screen) -> Iterator[str]:
    message = fault.message if rule_failed(fault) else f"cannot read the diff: {fault.message}"
    yield from _title(Severity.ERROR, message, "", screen)
    yield from _where(" -->", fault_place(fault), None, clean(fault.mail.subject), screen)
    if fault.text:
        gutter = f"{fault.message_line:>4}  "
        text, _ = _cut(fault.text, [_Mark(0, 0)], len(_HERE) + len(gutter), screen)
        yield f"{_paint(_HERE, BLUE, screen)}{gutter}{clean(text, tabs=True)}"


def _finding(finding: Finding, screen: Screen) -> Iterator[str]:
    mail, span = finding.patch.mail, finding.span
    yield from _title(finding.severity, finding.message, finding.rule, screen)
    yield from _where(" -->", place(span, mail), _file(span, screen), clean(mail.subject), screen)
    rows = _rows(finding)
    digits = max(4, *(len(str(row.span.line)) for row in rows))
    path, last = span.path, None
    for row in rows:
        if row.span.path != path:
            path, last = row.span.path, None
            yield from _where(" :::", place(row.span, mail), _file(row.span, screen), "", screen)
        # a single line left out goes without saying: the numbers show it
        if last is not None and row.position[0] - last > 2:
            yield "    ..."
        last = row.position[0]
        yield from _row(row, digits, finding.severity, screen)
    if finding.places:
        yield from _note(_words(f"also at {also_at(finding.places)}"), screen)
    for note in finding.notes:
        yield from _note(_words(clean(note)), screen)
    if finding.resolved_by is not None:
        yield from _note(_words(f"patch {finding.resolved_by} of the series resolves it"), screen)
    if finding.confidence is Confidence.LOW:
        yield from _note(_words("low confidence"), screen)
    if finding.preexisting:
        yield from _note(_words("was there before this patch"), screen)
    if finding.suggestion is not None:
        yield from _note(_words("suggestion:"), screen)
        mark = "+" if span.kind in (SpanKind.SOURCE, SpanKind.REMOVED) else " "
        for line in finding.suggestion.rstrip("\n").split("\n"):
            # whole, whatever its length: it is there to be copied
            yield f"{_paint(_GUTTER, BLUE, screen)}{'':{digits}} {mark}{clean(line, tabs=True)}"
    rule = clean(finding.rule)
    yield from _note([*_words("reviewbot rules"), _Word(rule, _link(rule, _page(finding.rule, screen)))], screen)


def _note(words: Sequence[_Word], screen: Screen) -> Iterator[str]:
    sign = "    ="
    yield from _flow([_Word(sign, _paint(sign, BLUE, screen)), *words], len(_GUTTER), screen)


def _row(row: _Row, digits: int, severity: Severity, screen: Screen) -> Iterator[str]:
    prefix = f"{row.span.path}: " if row.span.kind is SpanKind.HEADER else ""
    number = "" if row.span.kind is SpanKind.HEADER else str(row.span.line)
    margin = f"{'':{digits}}  "
    origin = len(_GUTTER) + len(margin)
    text, marks = _cut(row.span.text, row.marks, origin + advance(0, clean(prefix)), screen)
    gutter = _paint(_HERE if row.main else _GUTTER, BLUE, screen)
    yield f"{gutter}{number:>{digits}} {row.mark}{clean(prefix + text, tabs=True)}"
    gutter = _paint(_GUTTER, BLUE, screen)
    color = COLORS[severity]
    for begin, end, remark in sorted(marks):
        before = clean(prefix + text[:begin], tabs=True)
        start = advance(origin, before)
        size = max(1, advance(start, clean(text[begin:end], tabs=True)) - start)
        said = f"{'^' * size} {clean(remark)}" if remark else "^" * size
        fits = screen.width is None or start + advance(0, said) <= screen.width
        yield f"{gutter}{margin}{blank(before)}{_paint(said if fits else '^' * size, color, screen)}"
        if not fits:
            yield from _below(clean(remark), start, gutter, color, screen)


def _below(remark: str, start: int, gutter: str, color: str, screen: Screen) -> Iterator[str]:
    """A remark that has no room behind its carets: in lines of its own, below them as far as that is possible."""
    room = (screen.width or 0) - len(_GUTTER)
    indent = max(0, min(start - len(_GUTTER), room - min(_REMARK, advance(0, remark))))
    for line in _flow(_words(remark), 0, screen._replace(width=room - indent)):
        yield f"{gutter}{' ' * indent}{_paint(line, color, screen)}"


def _cut(text: str, marks: Sequence[_Mark], origin: int, screen: Screen) -> tuple[str, list[_Mark]]:
    if screen.width is None:
        return _window(text, marks)
    return _fit(text, marks, origin, screen.width)


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
        row.marks.append(_Mark(min(span.column - 1, len(span.text)), min(end, len(span.text)), remark))
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


def _window(text: str, marks: Sequence[_Mark]) -> tuple[str, list[_Mark]]:
    """A long line cut to what lies about its first mark, and the marks moved with it."""
    if len(text) <= _LONG:
        return text, [*marks]
    start = max(0, min(mark.begin for mark in marks) - _LEAD)
    stop = start + _LONG
    lead = _CUT if start else ""
    shown = lead + text[start:stop]
    shift = len(lead) - start
    moved = [mark.moved(shift, len(shown)) for mark in marks]
    return shown + (_CUT if stop < len(text) else ""), moved


def _fit(text: str, marks: Sequence[_Mark], origin: int, width: int) -> tuple[str, list[_Mark]]:
    """A line that begins at column `origin` cut to the width, about its first mark; the marks moved with it.

    What is cut has no tabs: they would be of another width where the line's beginning is missing.
    """
    if any(mark.begin >= len(text) for mark in marks):
        width -= 1  # a caret behind the text
    # where a character of the text begins in what is shown of it, and at which column
    shown, offsets, columns = "", [], []
    column = origin
    for char in text[:_MOST]:
        offsets.append(len(shown))
        columns.append(column)
        end = advance(column, clean(char, tabs=True))
        shown += " " * (end - column) if char == "\t" else clean(char)
        column = end
    offsets.append(len(shown))
    columns.append(column)
    if column <= width and len(text) <= _MOST:
        return text, [*marks]
    room = width - origin
    # of a finding's row the first mark is its own
    begin, end = (min(place, len(offsets) - 1) for place in marks[0][:2])
    start = 0
    if columns[end] + len(_CUT) > width:
        # the whole mark with something before it, else its beginning
        before = max(len(_CUT), (room - (columns[end] - columns[begin])) // 2)
        start = begin
        while start and columns[begin] - columns[start - 1] + len(_CUT) <= min(before, room // 2):
            start -= 1
    lead = _CUT if start else ""
    stop = start
    limit = room - len(lead) - len(_CUT)
    while stop < len(offsets) - 1 and columns[stop + 1] - columns[start] <= limit:
        stop += 1
    if stop == len(offsets) - 2 and columns[stop + 1] - columns[start] <= limit + len(_CUT):
        stop += 1
    rest = _CUT if stop < len(text) else ""
    window = lead + shown[offsets[start] : offsets[stop]]
    moved = [
        mark._replace(
            begin=_place(offsets, mark.begin, start, stop, lead), end=_place(offsets, mark.end, start, stop, lead)
        )
        for mark in marks
    ]
    return window + rest, moved


def _place(offsets: Sequence[int], at: int, start: int, stop: int, lead: str) -> int:
    """Where in a window of a line a character stands; what is left out is at its edge."""
    if at < start:
        return 0
    return len(lead) + offsets[min(at, stop)] - offsets[start]
