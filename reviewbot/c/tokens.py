# SPDX-License-Identifier: GPL-2.0-or-later
"""Text of C -> tokens and comments, each with its place.

Belongs here: the lexical level, where a comment or string that began above the first line is told
from code. One linear pass of one regular expression; no look-ahead that backs up. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple


class Kind(IntEnum):
    """What a token is."""

    WORD = 0  # identifiers and keywords
    NUMBER = 1
    STRING = 2
    CHAR = 3
    PUNCT = 4


class Token(NamedTuple):
    """A token (a tuple, not a dataclass: a file has a hundred thousand)."""

    kind: Kind
    text: str
    line: int  # index of its line in the text, from 0
    column: int  # characters before it on that line
    directive: int  # 0 in code, else the number of the preprocessor directive it is part of, from 1


class Comment(NamedTuple):
    """One line of a comment: a comment of three lines is three of them."""

    text: str
    line: int
    column: int


# Each match is one token with the white space before it; the groups are in the order of `_WORD` to `_PUNCT`.
_TOKEN = re.compile(
    r"""
    [ \t\f\v\r]*(?:
        ([A-Za-z_$][\w$]*)
      | (\n)
      | (\\[ \t]*\n)
      | (/\*[\s\S]*?(?:\*/|\Z) | //[^\n]*)
      | ("(?:[^"\\\n]|\\[\s\S])*"?)
      | ('(?:[^'\\\n]|\\.)*'?)
      | (\.?[0-9](?:[eEpP][-+]|[\w.])*)
      | (<<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|\#\#|[\s\S])
    )?
    """,
    re.X,
)
_WORD, _NEWLINE, _SPLICE, _COMMENT, _STRING, _CHAR, _NUMBER, _PUNCT = range(1, 9)
_KINDS = {_STRING: Kind.STRING, _CHAR: Kind.CHAR, _NUMBER: Kind.NUMBER}
# a comment's inner line in kernel style: ` * text`, ` *`; not `*locked = 0;`
_STAR = re.compile(r"\s*\*(?:[ \t/]|$)")


def comment_head(lines: Sequence[str]) -> int:
    """How many of the first lines are the inside of a comment that was opened above them.

    The line with the closing */ counts. 0 where the text begins in code.
    """
    for n, line in enumerate(lines):
        close, opening = line.find("*/"), line.find("/*")
        if close >= 0 and (opening < 0 or close < opening):
            return n + 1
        if opening >= 0:
            break
    stars = 0
    while stars < len(lines) and _STAR.match(lines[stars]):
        stars += 1
    return stars


def tokenize(lines: Sequence[str], offset: int = 0) -> tuple[list[Token], list[Comment]]:
    """The tokens and comment lines of a text that may begin or end anywhere.

    `offset` is added to every line index: the place of this text in a larger one.
    """
    tokens: list[Token] = []
    comments: list[Comment] = []
    head = comment_head(lines)
    start = 0
    for n in range(head):
        text = lines[n]
        if n == head - 1 and (close := text.find("*/")) >= 0:
            comments.append(Comment(text[: close + 2], n + offset, 0))
            start = close + 2
        else:
            comments.append(Comment(text, n + offset, 0))
            start = len(text) if n == head - 1 else 0
    first = max(head - 1, 0)
    text = "\n".join(lines[first:])
    line, line_start = first + offset, 0  # line_start: offset in text where the current line begins
    directive, directives, fresh = 0, 0, True
    # a file of 7,000 lines has 30,000 tokens: what is done for each is done the shortest way
    add, make, word, punct = tokens.append, tuple.__new__, Kind.WORD, Kind.PUNCT
    for match in _TOKEN.finditer(text, start):
        group = match.lastindex
        if group == _WORD:
            fresh = False
            add(make(Token, (word, match[_WORD], line, match.start(_WORD) - line_start, directive)))
        elif group == _PUNCT:
            value = match[_PUNCT]
            if fresh and value == "#":
                directives += 1
                directive = directives
            fresh = False
            add(make(Token, (punct, value, line, match.start(_PUNCT) - line_start, directive)))
        elif group == _NEWLINE:
            line, line_start, directive, fresh = line + 1, match.end(), 0, True
        elif group == _SPLICE:
            line, line_start = line + 1, match.end()
        elif group is not None:
            value, at = match[group], match.start(group)
            if group == _COMMENT:
                for n, piece in enumerate(value.split("\n")):
                    comments.append(Comment(piece, line + n, 0 if n else at - line_start))
            else:
                fresh = False
                add(make(Token, (_KINDS[group], value, line, at - line_start, directive)))
            if "\n" in value:
                line += value.count("\n")
                line_start = at + value.rindex("\n") + 1
    return tokens, comments
