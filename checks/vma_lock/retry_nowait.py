# SPDX-License-Identifier: GPL-2.0-or-later
"""FAULT_FLAG_RETRY_NOWAIT is combined with FAULT_FLAG_VMA_LOCK, which handle_mm_fault() refuses"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reviewbot.c.code import Code, calls
from reviewbot.c.flow import split
from reviewbot.c.pattern import closing
from reviewbot.c.skeleton import Function, StatementKind
from reviewbot.c.tokens import Kind, Token
from reviewbot.kernel import flag_tokens, mentions, variable_tokens
from reviewbot.model import Severity
from reviewbot.rule import Report, code_rule

NOWAIT, VMA_LOCK = "FAULT_FLAG_RETRY_NOWAIT", "FAULT_FLAG_VMA_LOCK"


@code_rule(Severity.NOTE, id="PV07", words=(NOWAIT,))
def check(code: Code) -> Iterator[Report]:
    """Both in the flags of one call, or in one value that is stored."""
    for function in code.functions:
        said: set[Token] = set()
        for statement in function.walk():
            for call in calls(statement.tokens, "handle_mm_fault"):
                flags = _flags(function, call.arguments[2]) if len(call.arguments) > 2 else []
                yield from _both(flags, said)
            if statement.kind is StatementKind.EXPRESSION:
                for value in _stored(statement.tokens):
                    yield from _both(value, said)


def _both(flags: Sequence[Token], said: set[Token]) -> Iterator[Report]:
    nowait = next((t for t in flags if t.text == NOWAIT), None)
    lock = next((t for t in flags if t.text == VMA_LOCK), None)
    if nowait and lock and nowait not in said:
        said.add(nowait)
        yield Report(
            [nowait],
            "handle_mm_fault() refuses FAULT_FLAG_RETRY_NOWAIT together with FAULT_FLAG_VMA_LOCK",
            (([lock], "under the VMA lock"),),
        )


def _flags(function: Function, argument: Sequence[Token]) -> list[Token]:
    """The flags of an argument, and those that its variables have on some way; not where it is asked for NOWAIT."""
    found = flag_tokens(function, argument)
    if any(s.kind is StatementKind.IF and mentions(s, NOWAIT) for s in function.walk()):
        return found
    for token in argument:
        if token.kind is Kind.WORD and not token.text.isupper():
            values = variable_tokens(function, token.text)
            if not any(t.text in ("~", "?") for t in values):
                found.extend(values)
    return found


def _stored(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """Each value that a statement assigns and that is flags or-ed together; a mask is none: `x & (A | B)`."""
    if not _mentions_both(tokens):
        return
    for n, token in enumerate(tokens):
        if token.text not in ("=", "|="):
            continue
        depth, end = 0, n + 1
        while end < len(tokens):
            depth += tokens[end].text in ("(", "[", "{")
            depth -= tokens[end].text in (")", "]", "}")
            if depth < 0 or (depth == 0 and tokens[end].text in (",", ";")):
                break
            end += 1
        value = tokens[n + 1 : end]
        while len(value) > 2 and value[0].text == "(" and closing(value, 0) == len(value):
            value = value[1:-1]
        if len(split(value, "|")) > 1 and not any(t.text in ("&", "==", "!=", "?", "~", "{") for t in value):
            yield value


def _mentions_both(tokens: Sequence[Token]) -> bool:
    """Both flags stand among the tokens."""
    return {NOWAIT, VMA_LOCK} <= {t.text for t in tokens}
