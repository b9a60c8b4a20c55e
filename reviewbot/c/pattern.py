# SPDX-License-Identifier: GPL-2.0-or-later
"""Patterns over tokens: C with `$name` (one operand), `...` (bracket-balanced rest), `{a, b}` (one of).

Belongs here: the notation that rules are written in, known to SmPL and semgrep users. Pure.

    Pattern("fixup_user_fault(..., NULL)")
    Pattern("{down_read, up_read} (&$mm->mmap_lock)")

The same `$name` twice must match the same tokens. `$_` matches any operand and binds nothing. A
pattern never looks further than MAX_REACH tokens, so a search is linear in the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from reviewbot.c.tokens import Kind, Token, tokenize

# What is longer is not looked at: the longest real call seen in whole files of 6.12 has about 300.
MAX_REACH = 400

_OPEN = {"(": ")", "[": "]", "{": "}"}
_CLOSE = frozenset(_OPEN.values())
_PREFIX = frozenset("&*!~-+")


class Match(NamedTuple):
    """Where a pattern matched: `tokens` is the whole, `bound` what each $name stands for."""

    tokens: tuple[Token, ...]
    bound: dict[str, tuple[Token, ...]]

    def text(self, name: str) -> str:
        """The tokens bound to $name, without white space."""
        return "".join(token.text for token in self.bound[name])


class _Literal(NamedTuple):
    texts: frozenset[str]


class _Operand(NamedTuple):
    name: str


class _Rest:
    pass


class Pattern:
    """A compiled pattern. Raises ValueError where the text is no pattern."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._items = _compile(text)
        first = self._items[0]
        # what its first token is one of; None where that may be any
        self.first = first.texts if isinstance(first, _Literal) else None

    def match(self, tokens: Sequence[Token], at: int = 0) -> Match | None:
        """The match that begins at `at`, or None."""
        found = next(_walk(self._items, 0, tokens, at, {}, min(len(tokens), at + MAX_REACH)), None)
        return None if found is None else Match(tuple(tokens[at : found[0]]), found[1])

    def find(self, tokens: Sequence[Token]) -> Iterator[Match]:
        """All matches, in order, overlapping ones included."""
        first = self.first
        for at, token in enumerate(tokens):
            if (first is None or token.text in first) and (match := self.match(tokens, at)):
                yield match


_Item = _Literal | _Operand | _Rest


def _compile(text: str) -> list[_Item]:
    tokens, _ = tokenize([text])
    items: list[_Item] = []
    at = 0
    while at < len(tokens):
        value = tokens[at].text
        if value == "...":
            items.append(_Rest())
        elif value.startswith("$"):
            items.append(_Operand(value[1:]))
        elif value == "{":
            end = next((n for n in range(at, len(tokens)) if tokens[n].text == "}"), None)
            if end is None:
                raise ValueError(f"'{{' is not closed in pattern '{text}'")
            items.append(_Literal(frozenset(t.text for t in tokens[at + 1 : end] if t.text != ",")))
            at = end
        else:
            items.append(_Literal(frozenset((value,))))
        at += 1
    if not items or isinstance(items[0], _Rest):
        raise ValueError(f"pattern must begin with something definite: '{text}'")
    return items


def _walk(
    items: Sequence[_Item], n: int, tokens: Sequence[Token], at: int, bound: dict[str, tuple[Token, ...]], end: int
) -> Iterator[tuple[int, dict[str, tuple[Token, ...]]]]:
    """All ways (end, bindings) in which items[n:] match from `at`, before `end`."""
    while n < len(items):
        item = items[n]
        if isinstance(item, _Literal):
            if at >= end or tokens[at].text not in item.texts:
                return
            at, n = at + 1, n + 1
            continue
        stops = _operand_ends(tokens, at, end) if isinstance(item, _Operand) else _rest_ends(tokens, at, end)
        for stop in stops:
            now = bound
            if isinstance(item, _Operand) and item.name != "_":
                value = tuple(tokens[at:stop])
                earlier = bound.get(item.name)
                if earlier is not None and [t.text for t in earlier] != [t.text for t in value]:
                    continue
                now = {**bound, item.name: value}
            yield from _walk(items, n + 1, tokens, stop, now, end)
        return
    yield at, bound


def _rest_ends(tokens: Sequence[Token], at: int, end: int) -> Iterator[int]:
    """Ends of a bracket-balanced stretch from `at`, shortest first; never out of the brackets around it."""
    depth = 0
    yield at
    while at < end:
        text = tokens[at].text
        if text in _OPEN:
            depth += 1
        elif text in _CLOSE:
            depth -= 1
            if depth < 0:
                return
        elif text == ";" and depth == 0:
            return
        at += 1
        if depth == 0:
            yield at


def _operand_ends(tokens: Sequence[Token], at: int, end: int) -> Iterator[int]:
    """Ends of one operand from `at`: prefixes, a primary, and postfixes (->x .x [..] (..)), longest first."""
    while at < end and tokens[at].text in _PREFIX:
        at += 1
    if at >= end:
        return
    if tokens[at].text == "(":
        primary = closing(tokens, at, end)
    elif tokens[at].kind is Kind.PUNCT:
        return
    else:
        primary = at + 1
    if primary is None:
        return
    ends = [primary]
    while ends[-1] < end:
        now = ends[-1]
        text = tokens[now].text
        if text in ("->", ".") and now + 1 < end and tokens[now + 1].kind is Kind.WORD:
            ends.append(now + 2)
        elif text in ("(", "[") and (close := closing(tokens, now, end)):
            ends.append(close)
        else:
            break
    yield from reversed(ends)


def closing(tokens: Sequence[Token], at: int, end: int | None = None) -> int | None:
    """Index behind the bracket that closes the one at `at`; None where it is not there."""
    depth = 0
    for n in range(at, len(tokens) if end is None else end):
        text = tokens[n].text
        if text in _OPEN:
            depth += 1
        elif text in _CLOSE:
            depth -= 1
            if depth == 0:
                return n + 1
            if depth < 0:
                return None
    return None


def matching(tokens: Sequence[Token]) -> dict[int, int]:
    """Index of each ( [ { -> index behind the bracket that closes it; those that are never closed are not in it."""
    found: dict[int, int] = {}
    stack: list[int] = []
    for n, token in enumerate(tokens):
        if token.text in _OPEN:
            stack.append(n)
        elif token.text in _CLOSE and stack:
            found[stack.pop()] = n + 1
    return found


def split_arguments(tokens: Sequence[Token], at: int, end: int) -> tuple[tuple[Token, ...], ...]:
    """The arguments of the call whose ( is at `at` and whose ) is before `end`; () for none."""
    arguments: list[tuple[Token, ...]] = []
    start, depth = at + 1, 0
    for n in range(at, end):
        text = tokens[n].text
        if text in _OPEN:
            depth += 1
        elif text in _CLOSE:
            depth -= 1
        if (text == "," and depth == 1) or n == end - 1:
            arguments.append(tuple(tokens[start:n]))
            start = n + 1
    return () if len(arguments) == 1 and not arguments[0] else tuple(arguments)
