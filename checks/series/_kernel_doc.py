# SPDX-License-Identifier: GPL-2.0-or-later
"""kernel-doc comments of functions, and the prototype right below each.

Belongs here: what such a comment says of which function, by the look of it (Documentation/doc-guide/kernel-doc.rst).
Does not belong here: whether that is right.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from reviewbot.c.code import Code
from reviewbot.c.pattern import closing, split_arguments
from reviewbot.c.tokens import Comment, Kind, Token

# lines of a comment, tokens up to a prototype's (, and of it: more has none in 6.12
LONGEST, BEFORE, REACH = 400, 24, 300
VARIADIC = "..."

# ` * name - what it does`, ` * name() - ..`, ` * name:`; `struct name - ..` and `DOC: ..` are of something else
_NAMED = re.compile(r"\s*+\*\s*+(?:function\s++)?([A-Za-z_]\w*+)\s*+(\(\w{0,40}\))?\s*+(?:[-:]|$)")
_ONE = re.compile(r"\s*+\*[ \t]*+@(\w++|\.\.\.)(?:\.\.\.)?[ \t]*+:")
_NOT_FUNCTIONS = frozenset("struct union enum typedef define DOC".split())


class Prototype(NamedTuple):
    """A function's head."""

    name: Token
    parameters: tuple[Token, ...]  # their names; the ... of a variadic function is one
    tokens: tuple[Token, ...]  # from the first word to the )


class Doc(NamedTuple):
    """A kernel-doc comment that is seen from its /** to its */, and the function right below it."""

    lines: tuple[Comment, ...]  # without the /**, with the */
    name: Comment | None  # the function's name in it; None where it does not begin with one
    parameters: tuple[Comment, ...]  # the name of each `@name:`, in order
    prototype: Prototype

    @property
    def text(self) -> str:
        """All of it in one line, without the stars."""
        return " ".join(bare(line) for line in self.lines)


def bare(line: Comment) -> str:
    """A comment's line without its star and what closes it."""
    text = line.text.strip().removesuffix("*/").strip()
    return text.removeprefix("*").strip()


def docs(code: Code) -> Iterator[Doc]:
    """Those of a file. What they cost is spent from the rule's effort."""
    starts = _starts(code)
    comments = code.comments
    n = 0
    while n < len(comments):
        first = n
        n += 1
        if comments[first].text.rstrip() != "/**":
            continue
        while n < len(comments) and not _closed(comments[n - 1]):
            if comments[n].line != comments[n - 1].line + 1 or comments[n].line in starts or n - first > LONGEST:
                break
            n += 1
        if not _closed(comments[n - 1]) or n - first < 2:
            continue
        code.effort.spend(3)
        end = comments[n - 1].line
        at = bisect_left(code.tokens, end + 1, key=lambda token: token.line)
        if at == len(code.tokens) or _between(starts, end, code.tokens[at].line):
            continue
        if doc := _doc(comments[first + 1 : n], prototype_at(code.tokens, at)):
            yield doc


def _closed(line: Comment) -> bool:
    return line.text.rstrip().endswith("*/")


def _doc(lines: Sequence[Comment], prototype: Prototype | None) -> Doc | None:
    if prototype is None or any(word in _NOT_FUNCTIONS for word in re.findall(r"\w+", bare(lines[0]))[:1]):
        return None
    name = _NAMED.match(lines[0].text)
    named = Comment(name[1], lines[0].line, lines[0].column + name.start(1)) if name else None
    found = tuple(
        Comment(match[1], line.line, line.column + match.start(1)) for line in lines if (match := _ONE.match(line.text))
    )
    return Doc(tuple(lines), named, found, prototype)


def _starts(code: Code) -> frozenset[int]:
    """The index of each fragment's first line."""
    found, at = set[int](), 0
    for fragment in code.fragments:
        found.add(at)
        at += len(fragment.lines)
    return frozenset(found)


def _between(starts: frozenset[int], line: int, other: int) -> bool:
    """A fragment begins behind one line and no later than another, which is below it."""
    return other > line + LONGEST or any(n in starts for n in range(line + 1, other + 1))


def prototype_at(tokens: Sequence[Token], at: int) -> Prototype | None:
    """The function's head that begins there; None where it is none, is not seen to its ), or is made by a macro."""
    words, n = 0, at
    while n < min(len(tokens), at + BEFORE):
        token = tokens[n]
        if token.directive:
            return None
        if token.kind is Kind.WORD:
            words += 1
            if token.text in ("struct", "union", "enum") and n + 2 < len(tokens) and tokens[n + 2].text == "{":
                return None
        elif token.text == "(" and words:
            name = tokens[n - 1]
            end = closing(tokens, n, min(len(tokens), n + REACH))
            if end is None or name.kind is not Kind.WORD:
                return None
            if name.text.startswith("__") and end < len(tokens) and tokens[end].kind is Kind.WORD and words < 4:
                # __printf(1, 2) in front of the type
                n = end
                continue
            if words < 2 or name.text.upper() == name.text or any(token.directive for token in tokens[n:end]):
                return None
            if end < len(tokens) and not (tokens[end].text in ("{", ";") or tokens[end].kind is Kind.WORD):
                return None
            parameters = _parameters(tokens, n, end)
            return None if parameters is None else Prototype(name, parameters, tuple(tokens[at:end]))
        elif token.text != "*":
            return None
        n += 1
    return None


def _parameters(tokens: Sequence[Token], at: int, end: int) -> tuple[Token, ...] | None:
    """The names of the parameters between two parentheses; None where one of them cannot be told."""
    found = []
    arguments = split_arguments(tokens, at, end)
    for argument in arguments:
        texts = [token.text for token in argument]
        if texts in ([], ["void"]) and len(arguments) == 1:
            return ()
        if texts == [VARIADIC]:
            found.append(argument[0])
            continue
        name = _parameter(argument, texts)
        if name is None:
            return None
        found.append(name)
    return tuple(found)


def _parameter(argument: Sequence[Token], texts: Sequence[str]) -> Token | None:
    if "(" in texts:
        # int (*name)(..): the first word behind the star
        first = texts.index("(")
        if texts[first + 1 : first + 2] != ["*"]:
            return None
        rest = argument[first + 2 :]
        return next(
            (t for t in rest if t.kind is Kind.WORD and not t.text.startswith("__") and t.text != "const"), None
        )
    if "[" in texts:
        argument = argument[: texts.index("[")]
    words = [token for token in argument if token.kind is Kind.WORD]
    while len(words) > 2 and words[-1].text in _ATTRIBUTES:
        words.pop()
    if len(words) < 2 or words[-1].text in _TYPES or words[-2].text in ("struct", "union", "enum"):
        return None  # the type alone
    return words[-1]


# what may stand behind a parameter's name: include/linux/compiler_attributes.h
_ATTRIBUTES = frozenset("__maybe_unused __always_unused __unused __noreturn __ref".split())
_TYPES = frozenset(
    "char short int long unsigned signed float double void bool const volatile u8 u16 u32 u64 s8 s16 s32 s64".split()
)
