# SPDX-License-Identifier: GPL-2.0-or-later
"""The series converts some users to a new helper, and others in the tree have exactly the same shape"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from reviewbot.checks.series._tree import Behind, changes, is_comment, is_kernel, places, without_comments

from reviewbot.dossier import Dossier, Hit, line_span
from reviewbot.model import FileDiff, Line, LineKind, Patch, Series, Severity
from reviewbot.rule import SeriesReport, series_rule

# Tokens that make code a shape: shorter ones are everywhere, longer ones nowhere else.
_SHORTEST, _LONGEST = 12, 200
# How often it must have been converted, shapes that are looked for, and their functions in one question.
_FEWEST, _SHAPES, _WORDS = 2, 8, 16

_TOKEN = re.compile(r"\w++|->|[^\w\s]", re.A)
_HEAD = re.compile(
    r"(?!(?:return|if|while|for|switch|else|case|goto)\b)"
    r"(?:[A-Za-z_][^(=#;]{0,200}?(?<!\w))(\w++)[ \t]*+\((?!.*;[ \t]*+$)",
    re.A,
)
_MACRO = re.compile(r"[ \t]*+#[ \t]*+define[ \t]++(\w++)\(", re.A)
_WORD = re.compile(r"[A-Za-z_]\w*+", re.A)
# What is no variable of the user's own.
_FIXED = frozenset(
    """
    if else while for switch do return goto break continue case default sizeof typeof struct union enum const volatile
    unsigned signed int char long short bool void static true false NULL u8 u16 u32 u64 s8 s16 s32 s64 size_t ssize_t
    """.split()
)
_DECLARES = frozenset(("struct", "union", "enum", "unsigned", "int", "long", "bool", "u32", "u64"))


class _Helper(NamedTuple):
    """A function or macro that the series adds."""

    patch: Patch
    diff: FileDiff
    line: Line


class _Shape(NamedTuple):
    """Code that the series has replaced by a call of a helper."""

    helper: str
    tokens: tuple[str, ...]  # variables by number
    calls: tuple[tuple[str, int], ...]  # the functions that it calls, and where
    directory: str | None  # where the helper can be called; None: everywhere


@series_rule(Severity.INFO, id="HY13", needs="tree")
def check(dossier: Dossier) -> Iterator[SeriesReport]:
    """Said where the helper is defined."""
    helpers = _helpers(dossier.series)
    shapes = _shapes(dossier.series, helpers)[:_SHAPES] if helpers else []
    if not shapes:
        return
    if dossier.ground is None:
        dossier.abstain("needs --tree")
        return
    behind = Behind(dossier)
    left: dict[str, set[Hit]] = {}
    for directory in dict.fromkeys(shape.directory for shape in shapes):
        mine = [shape for shape in shapes if shape.directory == directory]
        words = sorted({word for shape in mine for word, _ in shape.calls})[:_WORDS]
        found = behind.find(words, ("*.c", "*.h") if directory is None else (directory,))
        for shape in mine if found is not None else ():
            assert found is not None
            left.setdefault(shape.helper, set()).update(_others(behind, shape, found))
    for name, some in left.items():
        if some:
            helper, hits = helpers[name], sorted(some)
            some_places = "one more place has" if len(hits) == 1 else f"{len(hits)} more places have"
            yield SeriesReport(
                helper.patch,
                line_span(helper.diff, helper.line),
                f"{some_places} the same code that {name}() replaces",
                notes=places(hits),
                identity=(name,),
            )


def _helpers(series: Series) -> dict[str, _Helper]:
    """The functions and macros that the series adds; not those that it moves or changes."""
    added: dict[str, _Helper] = {}
    known: set[str] = set()
    for patch in series.patches:
        for diff in patch.files:
            if not is_kernel(diff.path) or not diff.path.endswith((".c", ".h")):
                continue
            for hunk in diff.hunks:
                for line in hunk.lines:
                    if line.kind is LineKind.ADDED:
                        if match := _HEAD.match(line.text) or _MACRO.match(line.text):
                            added.setdefault(match[1], _Helper(patch, diff, line))
                    elif match := _HEAD.match(line.text) or _MACRO.match(line.text):
                        known.add(match[1])
    return {name: helper for name, helper in added.items() if name not in known}


def _shapes(series: Series, helpers: Mapping[str, _Helper]) -> list[_Shape]:
    """What was replaced by a call of one of the helpers, more than once."""
    times: dict[_Shape, int] = {}
    for patch in series.patches:
        for diff in patch.files:
            if not is_kernel(diff.path) or not diff.path.endswith((".c", ".h")):
                continue
            for removed, added in changes(diff):
                called = _called(added, helpers)
                if called is None or not removed:
                    continue
                tokens = _tokens(removed)
                # one statement is a step of many things; a declared variable may be used further down
                if not _SHORTEST <= len(tokens) <= _LONGEST or tokens.count(";") < 2 or _DECLARES & set(tokens):
                    continue
                calls = tuple(
                    (word, n)
                    for n, word in enumerate(tokens[:-1])
                    if tokens[n + 1] == "(" and _WORD.fullmatch(word) and word not in _FIXED
                )
                # __walk() in the place of walk() is its other half, for those who hold the lock
                if calls and not any(word.strip("_") == called.strip("_") for word, _ in calls):
                    shape = _Shape(called, _normal(tokens), calls, _reach(helpers[called]))
                    times[shape] = times.get(shape, 0) + 1
    return [shape for shape, often in times.items() if often >= _FEWEST]


def _called(added: Sequence[Line], helpers: Mapping[str, _Helper]) -> str | None:
    """The one helper that lines call; None where they define it, or call several."""
    tokens = _tokens(added)
    found = {word for word, after in pairwise(tokens) if after == "(" and word in helpers}
    name = found.pop() if len(found) == 1 else None
    if name is None or any(
        (match := _HEAD.match(line.text) or _MACRO.match(line.text)) and match[1] == name for line in added
    ):
        return None
    return name


def _reach(helper: _Helper) -> str | None:
    path = helper.diff.path
    if path.endswith(".h") and ("/include/" in f"/{path}"):
        return None
    return path if path.endswith(".c") and helper.line.text.startswith("static") else path.rpartition("/")[0]


def _tokens(lines: Sequence[Line]) -> list[str]:
    text = "\n".join(line.text for line in lines if not is_comment(line.text))
    return _TOKEN.findall(without_comments(text[:20_000]))


def _normal(tokens: Sequence[str]) -> tuple[str, ...]:
    """The tokens with variables numbered: the same code about other variables is the same."""
    numbers: dict[str, str] = {}
    made: list[str] = []
    for n, token in enumerate(tokens):
        after = tokens[n + 1] if n + 1 < len(tokens) else ""
        before = tokens[n - 1] if n else ""
        if (
            not _WORD.fullmatch(token)
            or token in _FIXED
            or token.isupper()
            or after == "("
            or before in ("->", ".", "struct", "union", "enum", "goto")
        ):
            made.append(token)
        else:
            made.append(numbers.setdefault(token, f"${len(numbers)}"))
    return tuple(made)


def _others(behind: Behind, shape: _Shape, found: Mapping[str, Sequence[Hit]]) -> Iterator[Hit]:
    """Where the shape stands in the tree, outside of the helper itself."""
    asked = [(len(found[word]), word, at) for word, at in shape.calls if word in found]
    if not asked:
        return
    _, word, at = min(asked)
    for path in dict.fromkeys(hit.path for hit in found[word] if is_kernel(hit.path)):
        lines = behind.code(path)
        if lines is None:
            continue
        # no more than a window around each place
        for hit in found[word]:
            number = _stands(shape, word, at, lines, hit.line) if hit.path == path else None
            if number and not _inside(lines, number, shape.helper):
                yield Hit(path, number, lines[number - 1])


def _stands(shape: _Shape, word: str, at: int, lines: Sequence[str], line: int) -> int | None:
    """The line on which the shape begins, where its function is called on a line; None where it does not."""
    first = max(line - 60, 1)
    tokens: list[str] = []
    numbers: list[int] = []
    for number in range(first, min(line + 60, len(lines)) + 1):
        some = _TOKEN.findall(lines[number - 1][:1000])
        tokens += some
        numbers += [number] * len(some)
    for n, token in enumerate(tokens):
        if token == word and numbers[n] == line and n >= at:
            window = tokens[n - at : n - at + len(shape.tokens)]
            if len(window) == len(shape.tokens) and _normal(window) == shape.tokens:
                return numbers[n - at]
    return None


def _inside(lines: Sequence[str], number: int, helper: str) -> bool:
    """A line is part of the helper's own definition."""
    for n in range(number, max(number - 200, 0), -1):
        match = _HEAD.match(lines[n - 1]) or _MACRO.match(lines[n - 1])
        if match:
            return match[1] == helper
        if n < number and lines[n - 1].startswith("}"):
            return False
    return False
