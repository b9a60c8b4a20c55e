# SPDX-License-Identifier: GPL-2.0-or-later
"""Remarks of a tool -> Findings: where they lie, which patch brought them about, what was there before.

Belongs here: places in a patch and in files, the comparison of before and after, fingerprints. Does not belong here:
how the tool is run. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from reviewbot.finding import Finding, fingerprint
from reviewbot.model import Confidence, FileDiff, Hunk, LineKind, Patch, Series, Span, SpanKind
from reviewbot.tools.remarks import LONGEST, Remark

_TAB = 8
# Characters of a line that a fingerprint is made of.
_MOST_TEXT = 2_000

# what git takes for the line that a function begins with (xdiff/xemit.c, def_ff()), unless it is a label
_BEGINS = re.compile(r"[A-Za-z_$]")
_LABEL = re.compile(r"\w+:\s*$")
_CALLED = re.compile(r"(\w+)\s*\(")
_TYPE = re.compile(r"\b(?:struct|union|enum)\s+(\w+)")
_WORD = re.compile(r"\w+|[^\w\s]")
_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d+")


class Placed(NamedTuple):
    """A remark where it belongs."""

    remark: Remark
    span: Span
    patch: Patch
    function: str | None
    changed: bool  # the patch adds or removes the line, or it is no line of a file
    related: tuple[tuple[Span, str], ...] = ()


class Places:
    """The lines of a patch, by number."""

    def __init__(self, patch: Patch) -> None:
        self.patch = patch
        self.by_mail: dict[int, tuple[FileDiff, Hunk, int]] = {}
        self.by_file: dict[tuple[str, int], tuple[FileDiff, Hunk, int]] = {}
        self._texts: dict[str, tuple[FileDiff, Hunk, int] | int] = {}
        for diff in patch.files:
            for hunk in diff.hunks:
                for index, line in enumerate(hunk.lines):
                    at = (diff, hunk, index)
                    if line.message_line:
                        self.by_mail[line.message_line] = at
                    if line.new is not None:
                        self.by_file.setdefault((diff.path, line.new), at)

    def subject(self, remark: Remark) -> Placed:
        """A remark about the patch as a whole."""
        text = self.patch.mail.subject
        return Placed(remark, Span(SpanKind.HEADER, "Subject", 1, 1, 1, len(text) + 1, text), self.patch, None, True)

    def in_mail(self, remark: Remark, number: int) -> Placed:
        """A remark about line `number` of the body, from 1."""
        if at := self.by_mail.get(number):
            return self.in_hunk(remark, at)
        body = self.patch.mail.body
        if not 1 <= number <= len(body):
            return self.subject(remark)
        first, last = _extent(body[number - 1], remark)
        span = Span(SpanKind.MESSAGE, "", number, first, number, last, body[number - 1], number)
        return Placed(remark, span, self.patch, None, True)

    def in_hunk(self, remark: Remark, at: tuple[FileDiff, Hunk, int]) -> Placed:
        """A remark about a line of the diff."""
        diff, hunk, index = at
        line = hunk.lines[index]
        gone = line.kind is LineKind.REMOVED
        span = _span(
            SpanKind.REMOVED if gone else SpanKind.SOURCE,
            (diff.old_path if gone else diff.new_path) or diff.path,
            (line.old if gone else line.new) or 1,
            remark,
            line.text,
            line.message_line,
        )
        other_side = LineKind.ADDED if gone else LineKind.REMOVED
        seen = [other.text for other in hunk.lines[:index] if other.kind is not other_side]
        name = function([hunk.section, *seen])
        return Placed(remark, span, self.patch, name, line.kind is not LineKind.CONTEXT)

    def by_text(self, text: str) -> tuple[FileDiff, Hunk, int] | int | None:
        """The added line, else the line of the body, that reads like this but for the space around it."""
        if not self._texts:
            for number, line in enumerate(self.patch.mail.body, 1):
                at = self.by_mail.get(number)
                if at is None:
                    self._texts.setdefault(line.strip(), number)
                elif at[1].lines[at[2]].kind is LineKind.ADDED:
                    # the diff's own goes before the message's, which may only speak of it
                    known = self._texts.get(added := at[1].lines[at[2]].text.strip())
                    self._texts[added] = at if known is None or isinstance(known, int) else known
        wanted = text.strip()
        for key in (wanted, wanted.removeprefix("+").strip()):
            if key and key in self._texts:
                return self._texts[key]
        return None


def function(lines: Sequence[str]) -> str | None:
    """The function that what comes behind these lines is in, as git finds it for a hunk's header."""
    for text in reversed(lines):
        if _BEGINS.match(text) and not _LABEL.match(text):
            text = text[:_MOST_TEXT]
            match = _CALLED.search(text) or _TYPE.search(text)
            return match[1] if match else None
    return None


def in_file(
    remark: Remark, places: Places, path: str, lines: Sequence[str], texts: Mapping[str, Sequence[str]]
) -> Placed:
    """A remark about a line of a file that is there as a whole; of `texts` are the files of its notes."""
    text = lines[remark.line - 1] if 0 < remark.line <= len(lines) else ""
    at = places.by_file.get((path, remark.line))
    # the diff's line only where it is this one: before the patch the same number is another's
    if at and at[1].lines[at[2]].text.rstrip("\r") != text.rstrip("\r"):
        at = None
    line = at[1].lines[at[2]] if at else None
    span = _span(SpanKind.SOURCE, path, remark.line or 1, remark, text, line.message_line if line else 0)
    related = tuple(
        (_span(SpanKind.SOURCE, other, number, remark._replace(column=0), texts[other][number - 1]), said)
        for other, number, said in remark.notes
        if other in texts and 0 < number <= len(texts[other])
    )
    changed = line is not None and line.kind is LineKind.ADDED
    return Placed(remark, span, places.patch, function(lines[: max(remark.line - 1, 0)]), changed, related)


def _span(kind: SpanKind, path: str, number: int, remark: Remark, text: str, message_line: int = 0) -> Span:
    first, last = _extent(text, remark)
    return Span(kind, path, number, first, number, last, text, message_line)


def _extent(text: str, remark: Remark) -> tuple[int, int]:
    """Where in a line what a tool means begins and ends, in characters from 1: the word there, else all of the line."""
    start = _index(text, remark)
    if start is None:
        stripped = text.strip()
        first = text.find(stripped) + 1 if stripped else 1
        return first, first + max(len(stripped), 1)
    match = _WORD.match(text, start)
    return start + 1, (match.end() if match else start + 1) + 1


def _index(text: str, remark: Remark) -> int | None:
    """The index of the character that is meant; None where none is.

    gcc and sparse count columns of the screen; clang, whose lines look the same, counts characters. Where the one makes
    no sense it is the other.
    """
    column, at = remark.column, 0
    if not column:
        return None
    if remark.characters:
        return column - 1 if column <= len(text) else None
    for index, char in enumerate(text[:_MOST_TEXT]):
        if at == column - 1 and not char.isspace():
            return index
        if at >= column - 1:
            break
        at += _TAB - at % _TAB if char == "\t" else 1
    return column - 1 if column <= len(text) else None


# -- findings ----------------------------------------------------------------------------------------


def rule(tool: str, remark: Remark) -> str:
    """checkpatch/LINE_SPACING, in the tool's own words, which people look up; sparse/warning where it has none."""
    return f"{tool}/{remark.kind or remark.severity}"


def _tokens(placed: Placed) -> tuple[str, ...]:
    """What makes two remarks the same one: no numbers, which lines and sizes are, and no white space."""
    said = _NUMBER.sub("#", placed.remark.message)
    # without [PATCH v2 3/7], which is another in the next revision
    text = placed.patch.subject.title if placed.span.kind is SpanKind.HEADER else placed.span.text
    return (*_WORD.findall(said), "", *_WORD.findall(text[:_MOST_TEXT]))


def judged(tool: str, found: Iterable[Placed], series: Series) -> Iterator[Finding]:
    """Findings of a tool that was given the patch itself: what it says of the patch's own lines, the patch has caused.

    What lies in context was there before, and so was a line that the series only moves.
    """
    removed = {
        text for patch in series.patches for diff in patch.files for text in diff.removed() if re.search(r"\w", text)
    }
    seen: Counter[tuple[object, ...]] = Counter()
    for placed in found:
        moved = placed.span.kind is SpanKind.SOURCE and placed.span.text in removed
        preexisting = placed.remark.preexisting or not placed.changed or moved
        yield _finding(tool, placed, seen, preexisting)


def compared(tool: str, after: Iterable[Placed], before: Iterable[Placed]) -> Iterator[Finding]:
    """Findings of a tool that saw the files before and after one patch: it has caused what it made more of.

    First within each file, then among all: what has vanished from one was moved to another, or the file was renamed.
    """
    # what was there before keeps its place among equals only as long as the patch has not touched it
    ordered = sorted(after, key=lambda placed: (placed.changed, placed.span.path, placed.span.line, placed.span.column))
    keys = [(rule(tool, placed.remark), placed.span.path, _tokens(placed)) for placed in ordered]
    old = Counter((rule(tool, placed.remark), placed.span.path, _tokens(placed)) for placed in before)
    gone: Counter[tuple[str, tuple[str, ...]]] = Counter()
    # of a build's other files it may say less afterwards because there was nothing to do for them
    touched = {diff.old_path for placed in ordered[:1] for diff in placed.patch.files}
    for key, times in (old - Counter(keys)).items():
        if key[1] in touched:
            gone[key[0], key[2]] += times
    seen: Counter[tuple[object, ...]] = Counter()
    used: Counter[tuple[object, ...]] = Counter()
    for placed, key in zip(ordered, keys, strict=True):
        used[key] += 1
        preexisting = placed.remark.preexisting or used[key] <= old[key]
        if not preexisting and gone[key[0], key[2]] > 0:
            gone[key[0], key[2]] -= 1
            preexisting = True
        yield _finding(tool, placed, seen, preexisting)


def _finding(tool: str, placed: Placed, seen: Counter[tuple[object, ...]], preexisting: bool) -> Finding:
    name, path, tokens = rule(tool, placed.remark), placed.span.path, _tokens(placed)
    # the subject of every patch has the same path
    equal = (name, path, placed.function, tokens, placed.patch.index)
    occurrence = seen[equal]
    seen[equal] += 1
    return Finding(
        rule=name,
        severity=placed.remark.severity,
        confidence=Confidence.HIGH,  # whoever configured the tool wants to hear it
        message=placed.remark.message[:LONGEST] or "(the tool gives no text)",
        span=placed.span,
        related=placed.related,
        places=(),
        suggestion=placed.remark.suggestion,
        patch=placed.patch,
        function=placed.function,
        fingerprint=fingerprint(name, path, placed.function, tokens, occurrence),
        preexisting=preexisting,
    )
