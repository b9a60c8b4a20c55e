# SPDX-License-Identifier: GPL-2.0-or-later
"""The ```diff blocks of a rule's page: what they say, the series they stand for, and what the rule finds there.

Belongs here: the blocks' notation. A line begins as in a diff, with ' ', '+' or '-', or with '|' where only the
tree has it: the hunk does not show it and is split there. `@@ heading` begins a hunk, `--- path` another file.
`// error` (warning, note, info) ends a line that must be found, with that severity; `// error (tree)` is found
only where the whole file is known, `// error (hunk)` only in the hunk. The info string of a block may hold
`path=mm/foo.c`, `base=6.12` and `reply`. Does not belong here: what a page must hold (test_pages.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from reviewbot.base import parse_version
from reviewbot.engine import review
from reviewbot.finding import Finding, Review
from reviewbot.model import (
    Address,
    Applied,
    Base,
    BaseHow,
    Change,
    FileDiff,
    Hunk,
    Line,
    LineKind,
    Mail,
    Patch,
    Series,
    Severity,
    Span,
    SpanKind,
    Subject,
    Whole,
)
from reviewbot.rule import Rule

DEFAULT_PATH = "drivers/misc/lumen/lumen.c"
DEFAULT_BASE = "6.12"
# git hunks of one file that a block does not join lie this many lines apart
GAP = 100

_FENCE = re.compile(r"```diff\b(.*)$")
_MARK = re.compile(r"[ \t]*// (error|warning|note|info)(?: \((tree|hunk)\))?$")
# what git shows as a hunk's heading for C (userdiff.c, "cpp"): no label, begins in the first column
_HEADING = re.compile(r"(?![A-Za-z_]\w*:\s*(?:$|/[/*]))[A-Za-z_]")


class View(StrEnum):
    """How much of a file the rule is shown."""

    HUNK = "hunk"
    TREE = "tree"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a block."""

    mark: str  # ' ', '+', '-' or '|'
    text: str  # without the marks at both ends
    number: int  # line of the page, from 1
    severity: Severity | None = None  # what must be found on it
    view: View | None = None  # where it must be found; None: in both


@dataclass(frozen=True, slots=True)
class Part:
    """What stands behind one @@ line."""

    heading: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class File:
    """One file of a block."""

    path: str
    parts: tuple[Part, ...]

    def rows(self) -> Iterator[Row]:
        """All lines, in order."""
        for part in self.parts:
            yield from part.rows

    def joined(self) -> tuple[tuple[Part, ...], ...]:
        """The parts by groups between which something is missing: a heading that no line before it explains."""
        groups: list[tuple[Part, ...]] = []
        for part in self.parts:
            seen = {row.text.strip() for group in groups for earlier in group for row in earlier.rows}
            if groups and (not part.heading or part.heading in seen):
                groups[-1] = (*groups[-1], part)
            else:
                groups.append((part,))
        return tuple(groups)

    @property
    def whole(self) -> bool:
        """With the lines that only the tree has, nothing of the file is missing."""
        groups = self.joined()
        return len(groups) == 1 and not groups[0][0].heading


@dataclass(frozen=True, slots=True)
class Block:
    """One ```diff block: a patch, and what a rule must find in it."""

    page: str  # name of the rule
    number: int  # line of the page on which it begins, from 1
    base: str
    reply: bool
    files: tuple[File, ...]

    def __str__(self) -> str:
        return f"{self.page}:{self.number}"

    def rows(self) -> Iterator[Row]:
        """All lines of all files."""
        for file in self.files:
            yield from file.rows()

    @property
    def marked(self) -> bool:
        """Something must be found."""
        return any(row.severity for row in self.rows())

    def expected(self, view: View) -> set[tuple[int, Severity]]:
        """(line of the page, severity) of all that must be found in a view."""
        return {(row.number, row.severity) for row in self.rows() if row.severity and row.view in (None, view)}

    def map(self, change: Callable[[File], Sequence[Part]]) -> Block:
        """The block with other lines in each file."""
        return replace(self, files=tuple(replace(file, parts=tuple(change(file))) for file in self.files))


def blocks(rule: str, text: str) -> tuple[Block, ...]:
    """The diff blocks of a page. Raises ValueError where a block cannot be read."""
    found: list[Block] = []
    inside: list[tuple[int, str]] | None = None
    info, start = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        if inside is None:
            if match := _FENCE.match(line):
                inside, info, start = [], match[1], number
        elif line.startswith("```"):
            found.append(_block(rule, start, info, inside))
            inside = None
        else:
            inside.append((number, line))
    if inside is not None:
        raise ValueError(f"{rule}:{start}: block is not closed")
    return tuple(found)


def _block(rule: str, start: int, info: str, lines: Sequence[tuple[int, str]]) -> Block:
    path, base, reply = DEFAULT_PATH, DEFAULT_BASE, False
    for word in info.split():
        key, _, value = word.partition("=")
        if key == "path" and value:
            path = value
        elif key == "base" and value:
            base = value
        elif word == "reply":
            reply = True
        else:
            raise ValueError(f"{rule}:{start}: unknown word '{word}'")
    files: list[File] = []
    parts: list[Part] = []
    rows: list[Row] = []

    def close_part(heading: str) -> None:
        nonlocal rows
        if rows:
            parts.append(Part(heading, tuple(rows)))
        rows = []

    def close_file() -> None:
        nonlocal parts
        if parts:
            files.append(File(path, tuple(parts)))
        parts = []

    heading = ""
    for number, line in lines:
        if line.startswith("@@"):
            close_part(heading)
            heading = line[2:].strip()
        elif line.startswith("--- "):
            close_part(heading)
            close_file()
            path, heading = line[4:].strip(), ""
        elif line and line[0] not in " +-|":
            raise ValueError(f"{rule}:{number}: neither context nor '+', '-', '|', '@@': '{line}'")
        else:
            rows.append(_row(rule, number, line))
    close_part(heading)
    close_file()
    if not files:
        raise ValueError(f"{rule}:{start}: block is empty")
    return Block(rule, start, base, reply, tuple(files))


def _row(rule: str, number: int, line: str) -> Row:
    mark, text = line[:1] or " ", line[1:]
    match = _MARK.search(text)
    if not match:
        return Row(mark, text, number)
    if mark == "-":
        raise ValueError(f"{rule}:{number}: a removed line cannot be found")
    view = View(match[2]) if match[2] else None
    if mark == "|" and view is not View.TREE:
        raise ValueError(f"{rule}:{number}: a line that only the tree has is found in the tree only")
    return Row(mark, text[: match.start()], number, Severity(match[1]), view)


# -- the series of a block ----------------------------------------------------------------------------------------


def series(block: Block, view: View) -> tuple[Series, dict[tuple[str, SpanKind, int], Row]]:
    """The block as a posting of one patch, and for each place in it the row that it comes from."""
    places: dict[tuple[str, SpanKind, int], Row] = {}
    files = tuple(_diff(file, view, places) for file in block.files)
    subject = Subject(
        full="Re: [PATCH] page" if block.reply else "[PATCH] page",
        title="page",
        reply=block.reply,
        patch=True,
        prefixes=(),
        revision=None,
        counter=None,
        expected=None,
    )
    author = Address("Ann Author", "ann@example.org")
    mail = Mail("page@example.org", subject.full, author, None, None, (), (), (), (), None, False, ())
    patch = Patch(1, mail, subject, author, "", "", (), files, ())
    base = Base(None, parse_version(block.base), BaseHow.PREFIX)
    return Series(subject.full, 1, 1, None, (patch,), base), places


def _diff(file: File, view: View, places: dict[tuple[str, SpanKind, int], Row]) -> FileDiff:
    hunks: list[Hunk] = []
    lines: list[Line] = []
    old = new = 1
    for n, group in enumerate(file.joined()):
        if n:
            old, new = old + GAP, new + GAP
        # the heading of the hunk at hand, and the one of a hunk that would begin here
        heading = above = group[0].heading
        for part in group:
            if view is View.HUNK:
                _add(hunks, heading, lines)
                heading = above
            for row in part.rows:
                hidden = view is View.HUNK and row.mark == "|"
                if hidden:
                    _add(hunks, heading, lines)
                if row.mark != "+" and _HEADING.match(row.text):
                    above = row.text.strip()
                if hidden:
                    old, new, heading = old + 1, new + 1, above
                    continue
                kind = LineKind.CONTEXT if row.mark == "|" else LineKind(row.mark)
                has_old, has_new = kind is not LineKind.ADDED, kind is not LineKind.REMOVED
                lines.append(Line(kind, row.text, old if has_old else None, new if has_new else None, row.number))
                side = SpanKind.SOURCE if has_new else SpanKind.REMOVED
                places[file.path, side, new if has_new else old] = row
                old, new = old + has_old, new + has_new
        _add(hunks, heading, lines)
    return FileDiff(file.path, file.path, Change.MODIFIED, tuple(hunks))


def _add(hunks: list[Hunk], heading: str, lines: list[Line]) -> None:
    """Make a hunk of the lines so far, unless they are none."""
    if not lines:
        return
    old = [line.old for line in lines if line.old is not None]
    new = [line.new for line in lines if line.new is not None]
    starts = old[0] if old else 0, new[0] if new else 0
    hunks.append(Hunk(starts[0], len(old), starts[1], len(new), heading, tuple(lines), lines[0].message_line))
    lines.clear()


# -- what is found in it ------------------------------------------------------------------------------------------


class Tree:
    """The files of a block of which nothing is missing, whole."""

    def __init__(self, whole: Collection[str]) -> None:
        self.whole = whole

    def apply(self, patch: Patch) -> Applied:
        found = {}
        for n, diff in enumerate(patch.files):
            if diff.path in self.whole:
                lines = [line for hunk in diff.hunks for line in hunk.lines]
                before = "".join(f"{line.text}\n" for line in lines if line.kind is not LineKind.ADDED)
                after = "".join(f"{line.text}\n" for line in lines if line.kind is not LineKind.REMOVED)
                found[n] = Whole(diff, before, after)
        return Applied(found, None)


def run(rules: Sequence[Rule], block: Block, view: View) -> Review:
    """The review of a block. A file of which nothing is missing is known as whole."""
    posting, _ = series(block, view)
    whole = {file.path for file in block.files if view is View.TREE and file.whole}
    return review(posting, rules, files=Tree(whole))


def findings(rule: Rule, block: Block, view: View) -> list[tuple[Row, Finding]]:
    """What a rule finds in a block and would show: each finding with the row it stands on. A rule must not raise."""
    result = run([rule], block, view)
    if result.errors:
        raise AssertionError(f"{block} ({view}): {result.errors[0].message}")
    _, places = series(block, view)
    return [
        (places[f.span.path, f.span.kind, f.span.line], f)
        for f in result.findings
        if f.rule == rule.name and not f.preexisting
    ]


def differences(rule: Rule, block: Block, view: View) -> list[str]:
    """What a block promises and the rule does not do, or does unasked; one sentence each."""
    found = findings(rule, block, view)
    texts = {row.number: row.text.strip() for row in block.rows()}
    messages = {(row.number, f.severity): f.message for row, f in found}
    expected, actual = block.expected(view), {(row.number, f.severity) for row, f in found}
    said = [(f.span, f.message) for _, f in found]
    return [
        *(
            f"line {number}, {view}: no {severity} at '{texts[number]}'"
            for number, severity in sorted(expected - actual)
        ),
        *(
            f"line {number}, {view}: unexpected {severity} at '{texts[number]}': {messages[number, severity]}"
            for number, severity in sorted(actual - expected)
        ),
        *(f"line {span.line} of {span.path}, {view}: said twice: {message}" for span, message in _repeated(said)),
    ]


def _repeated(said: Sequence[tuple[Span, str]]) -> Iterator[tuple[Span, str]]:
    for n, item in enumerate(said):
        if item in said[:n]:
            yield item
