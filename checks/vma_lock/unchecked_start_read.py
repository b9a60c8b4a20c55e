# SPDX-License-Identifier: GPL-2.0-or-later
"""The result of an attempt to read-lock a VMA is not checked"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reviewbot.c.code import Call, Code, assigned, calls
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Kind, Token
from reviewbot.kernel import pointer_uses
from reviewbot.model import Severity
from reviewbot.rule import Report, code_rule

# function -> the first kernel in which it may fail (include/linux/mm.h:692, :805; void before 6.15)
MAY_FAIL = {
    "vma_start_read": (6, 4),
    "lock_vma_under_rcu": (6, 4),
    "vma_start_read_locked": (6, 15),
    "vma_start_read_locked_nested": (6, 15),
}
# return the VMA, NULL where it is not locked
POINTERS = frozenset(("lock_vma_under_rcu", "vma_start_read"))
# follow the pointer they are given
FOLLOWING = ("vma_end_read", "handle_mm_fault", "vma_is_anonymous", "vma_assert_locked")


@code_rule(
    Severity.ERROR,
    id="PV04",
    words=("vma_start_read", "lock_vma_under_rcu", "vma_start_read_locked", "vma_start_read_locked_nested"),
)
def check(code: Code) -> Iterator[Report]:
    """A call whose result goes nowhere, and a pointer that is followed before anybody asks whether it is NULL."""
    for function in code.functions:
        for statement in function.walk():
            for call in calls(statement.tokens, *MAY_FAIL):
                if code.version and code.version < MAY_FAIL[call.name]:
                    continue
                if _ignored(statement, call):
                    yield Report(call.tokens, f"the result of {call.name}() is ignored: the VMA may not be locked")
                    continue
                name = _target(statement, call)
                if name is None:
                    continue
                use = _followed(code, function, statement, name) if call.name in POINTERS else None
                if use:
                    yield Report(
                        use,
                        f"'{name}' is followed before it is known that {call.name}() found and locked a VMA",
                        ((call.tokens, "may return NULL"),),
                    )
                elif function.closed and not _asked(code, function, statement, name):
                    yield Report(call.tokens, f"the result of {call.name}() is never looked at")


def _ignored(statement: Statement, call: Call) -> bool:
    """The call is a statement of its own."""
    if statement.kind is not StatementKind.EXPRESSION:
        return False
    texts = [t.text for t in statement.tokens]
    if texts[:3] == ["(", "void", ")"]:
        texts = texts[3:]
    return texts[:1] == [call.name] and len(texts) - len(call.tokens) in (0, 1)


def _target(statement: Statement, call: Call) -> str | None:
    """The variable that the result goes to in a plain assignment."""
    tokens = statement.tokens
    at = next(n for n, t in enumerate(tokens) if t is call.tokens[0])
    behind = tokens[at + len(call.tokens) :]
    if statement.kind is not StatementKind.EXPRESSION or at < 2 or tokens[at - 1].text != "=":
        return None
    if behind and behind[0].text not in (";", ","):
        return None
    if tokens[at - 2].kind is not Kind.WORD or (at > 2 and tokens[at - 3].text in ("->", ".")):
        return None
    if at > 2 and tokens[at - 3].text == "*" and tokens[0].text == "*":
        return None  # *vmap = lock_vma_under_rcu(): the caller asks
    return tokens[at - 2].text


def _followed(code: Code, function: Function, start: Statement, name: str) -> Sequence[Token] | None:
    """The first place on a way from the call that follows the pointer and asks nothing."""

    def stop(s: Statement) -> bool:
        return name in assigned(s) or any(t.text == name for t in s.tokens)

    for s in code.flow(function).after(start, stop):
        if s is start or _asks(s, name):
            continue
        for use in pointer_uses(s.tokens, name):
            if len(use) > 1 or any(c.text(0) == name for c in calls(s.tokens, *FOLLOWING)):
                return use
    return None


def _asks(s: Statement, name: str) -> bool:
    """The pointer is tested: `if (vma)`, `!vma`, `vma &&`, IS_ERR(vma)."""
    tokens = s.tokens
    for n, token in enumerate(tokens):
        if token.text != name or (n and tokens[n - 1].text in ("->", ".")):
            continue
        before, after = tokens[n - 1].text if n else "", tokens[n + 1].text if n + 1 < len(tokens) else ""
        if before == "!" or after in ("&&", "||", "==", "!=", "?") or before in ("==", "!="):
            return True
        if s.kind in (StatementKind.IF, StatementKind.LOOP, StatementKind.DO) and after in ("", ")", "&&", "||"):
            return True
        if before == "(" and n > 1 and tokens[n - 2].text.startswith(("IS_ERR", "likely", "unlikely", "PTR_ERR")):
            return True
    return False


def _asked(code: Code, function: Function, start: Statement, name: str) -> bool:
    """The variable is named again before it gets another value."""
    if sum(t.text == name for t in start.tokens) > 1:
        return True
    return any(any(t.text == name for t in s.tokens) for s in code.flow(function).after(start, lambda _: False))
