# SPDX-License-Identifier: GPL-2.0-or-later
"""FOLL_ flags are lost: `&=` where `|=` or `&= ~` was meant, or an assignment over what the caller asked for."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from reviewbot.c.code import Code
from reviewbot.c.pattern import closing
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Kind, Token
from reviewbot.kernel import substituted
from reviewbot.model import Severity
from reviewbot.rule import Report, code_rule

# a line that begins a function: int lumen_pin(
DEFINED = re.compile(r"^[a-z].{0,200}?\b(\w+)\(", re.M)
ASKING = (StatementKind.IF, StatementKind.SWITCH, StatementKind.LOOP, StatementKind.RETURN)


@code_rule(Severity.ERROR, id="FL08", words=("FOLL_",))
def check(code: Code) -> Iterator[Report]:
    """`x &= FOLL_A;` whose result is not only tested, and `gup_flags = FOLL_A | ..;` of a parameter not yet read."""
    gone = frozenset(DEFINED.findall("\n".join(code.diff.removed()))) if code.diff else frozenset()
    for first, function in zip((None, *code.functions), code.functions, strict=False):
        header = _header(function, first, gone)
        for statement in function.walk():
            tokens = statement.tokens
            if statement.kind is not StatementKind.EXPRESSION or not any(t.text.startswith("FOLL_") for t in tokens):
                continue
            operator = next((n for n, t in enumerate(tokens) if t.text in ("=", "&=")), 0)
            left, right = tokens[:operator], tokens[operator + 1 :]
            name = left[-1].text if left and left[-1].kind is Kind.WORD else ""
            if not name or not code.changed(*tokens):
                continue
            if tokens[operator].text == "&=":
                if _one_flag(right) and not _only_tested(code, function, statement, name):
                    flag = _bare(right)[0].text
                    yield Report(
                        tokens,
                        f"'{name}' keeps no flag but {flag} here: '&=' without '~' where '|=' or '&= ~' is meant",
                    )
            elif len(left) == 1 and _flags(right, name) and _overwrites(code, function, header, statement, name):
                yield Report(
                    tokens,
                    f"'{name}' loses the flags that the caller gave: '=' where '|=' is meant",
                    suggestion=substituted(code, [tokens[operator]], "|="),
                )


def _bare(tokens: Sequence[Token]) -> Sequence[Token]:
    while tokens and tokens[0].text == "(" and closing(tokens, 0) == len(tokens):
        tokens = tokens[1:-1]
    return tokens


def _one_flag(tokens: Sequence[Token]) -> bool:
    """The right side is one flag; a list of several may be the ones that a function accepts."""
    bare = _bare(tokens)
    return len(bare) == 1 and bare[0].text.startswith("FOLL_")


def _flags(tokens: Sequence[Token], name: str) -> bool:
    """The right side has a flag, and nothing of what the variable was."""
    return any(t.text.startswith("FOLL_") for t in tokens) and not any(t.text == name for t in tokens)


def _only_tested(code: Code, function: Function, statement: Statement, name: str) -> bool:
    """What is left of the flags is looked at and not handed on: every later statement with it is a test or a return."""
    later = [s for s in code.flow(function).after(statement, lambda _: False) if _names(s, name)]
    return bool(later) and all(s.kind in ASKING and not _handed_on(s.tokens, name) for s in later)


def _names(statement: Statement, name: str) -> bool:
    return any(t.text == name for t in statement.tokens)


def _handed_on(tokens: Sequence[Token], name: str) -> bool:
    """The variable is an argument of a call."""
    return any(
        t.text == name
        and n
        and (tokens[n - 1].text == "," or (tokens[n - 1].text == "(" and n > 1 and tokens[n - 2].kind is Kind.WORD))
        for n, t in enumerate(tokens)
    )


def _header(function: Function, first: Function | None, gone: Collection[str]) -> tuple[Token, ...]:
    """The function's header; of one that a hunk shows in two pieces, the header that the first piece has.

    git heads the second piece with the line that was there before the patch, which may have given it a new name.
    """
    if function.opened or first is None or not first.opened or first.closed:
        return function.header
    return first.header if first.name == function.name or function.name in gone else function.header


def _overwrites(code: Code, function: Function, header: Sequence[Token], statement: Statement, name: str) -> bool:
    """The variable is a parameter of flags, and nobody has looked at it or kept it before."""
    at = next((n for n, t in enumerate(header) if t.text == name), 0)
    if not at or header[at - 1].kind is not Kind.WORD or not any(word in name for word in ("gup", "foll")):
        return False
    return not any(_names(s, name) for s in code.flow(function).before(statement))
