# SPDX-License-Identifier: GPL-2.0-or-later
"""What the rules about assertions share: the assertions' names, and what stands around a token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reviewbot.c.code import Call, Code, calls
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Kind, Token

# include/linux/lockdep.h:284-297
LOCKDEP = (
    "lockdep_assert_held",
    "lockdep_assert_held_read",
    "lockdep_assert_held_write",
    "lockdep_assert_held_once",
)
# include/linux/rwsem.h:78-206
RWSEM = (
    "rwsem_assert_held",
    "rwsem_assert_held_write",
    "rwsem_assert_held_nolockdep",
    "rwsem_assert_held_write_nolockdep",
)
# include/linux/mmap_lock.h:63, :68
MMAP = ("mmap_assert_locked", "mmap_assert_write_locked")
# include/asm-generic/bug.h, include/linux/mmdebug.h
WARNINGS = (
    "BUG_ON",
    "WARN",
    "WARN_ON",
    "WARN_ONCE",
    "WARN_ON_ONCE",
    "VM_BUG_ON",
    "VM_BUG_ON_MM",
    "VM_BUG_ON_VMA",
    "VM_BUG_ON_PAGE",
    "VM_BUG_ON_FOLIO",
    "VM_WARN_ON",
    "VM_WARN_ON_ONCE",
    "VM_WARN_ON_ONCE_MM",
    "VM_WARN_ON_ONCE_VMA",
    "VM_WARN_ON_ONCE_PAGE",
    "VM_WARN_ON_ONCE_FOLIO",
    "VM_WARN_ON_VMG",
    "VM_WARN_ONCE",
)

# a statement of more tokens is not looked into: what is asked of one call costs as much as the statement is long
LONG = 1_000


def enclosing(tokens: Sequence[Token], call: Call) -> tuple[str, ...]:
    """The words in front of the brackets around a call, outermost first: `if (WARN_ON(f()))` has WARN_ON for f."""
    stack: list[str] = []
    for n, token in enumerate(tokens):
        if token is call.tokens[0]:
            break
        if token.text == "(":
            before = tokens[n - 1] if n else None
            stack.append(before.text if before and before.kind is Kind.WORD else "")
        elif token.text == ")" and stack:
            stack.pop()
    return tuple(name for name in stack if name)


def negated(tokens: Sequence[Token], call: Call) -> bool:
    """The call has a ! in front of it, or is compared with 0 or false."""
    at = next(n for n, token in enumerate(tokens) if token is call.tokens[0])
    end = at + len(call.tokens)
    before = tokens[at - 1].text if at else ""
    after = [t.text for t in tokens[end : end + 2]]
    return before == "!" or after in (["==", "0"], ["==", "false"], ["!=", "1"], ["!=", "true"])


def asserts(statement: Statement) -> bool:
    """A statement that is an assertion and nothing else."""
    tokens = statement.tokens
    if len(tokens) < 2 or tokens[1].text != "(":
        return False
    name = tokens[0].text
    return "assert" in name or name in WARNINGS


def found(code: Code, *names: str) -> Iterator[tuple[Function, Statement, Call]]:
    """Calls of the named functions with where they stand, macros' bodies included."""
    for function in code.functions:
        for statement in function.walk():
            if len(statement.tokens) <= LONG:
                for call in calls(statement.tokens, *names):
                    yield function, statement, call


def begins(code: Code, function: Function) -> bool:
    """The function is seen from its first statement on: by its header, or by git's hunk heading and a { below it."""
    if function.opened or not function.header or not function.statements:
        return function.opened
    first = function.statements[0]
    return first.kind is StatementKind.BLOCK and code.lines[first.span[0]].text.rstrip() == "{"
