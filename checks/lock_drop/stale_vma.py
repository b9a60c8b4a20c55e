# SPDX-License-Identifier: GPL-2.0-or-later
"""A VMA is used after a call that may have dropped the lock which kept it alive."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from reviewbot.c.code import Call, Code, assigned, calls
from reviewbot.c.flow import Edge, facts
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.kernel import (
    ALLOWING_FLAGS,
    LOCKED_CALLS,
    conditions,
    contradicts,
    flag_tokens,
    has_word,
    locked_argument,
    looked_up_by_loop,
    mentions,
    pointer_uses,
    reads_first,
    vma_names,
)
from reviewbot.model import Severity
from reviewbot.rule import Report, code_rule


@code_rule(
    Severity.ERROR,
    id="DR06",
    words=("fixup_user_fault", "handle_mm_fault", "userfaultfd_remove", "walk", *LOCKED_CALLS),
)
def check(code: Code) -> Iterator[Report]:
    """From each such call to a use of the VMA on a way on which nobody asked whether the lock is still held."""
    for function in code.functions:
        names = vma_names(function)
        around = conditions(function)
        for statement in function.walk():
            for call in calls(
                statement.tokens, "fixup_user_fault", "handle_mm_fault", "userfaultfd_remove", *LOCKED_CALLS
            ):
                told = _told_by(code, function, call)
                if told is None or mentions(statement, "VM_FAULT_RETRY", "VM_FAULT_COMPLETED"):
                    continue
                yield from _uses(code, function, statement, call, told, names, contradicts(around[statement]))
            yield from _dropped_in_walk(statement)


def _told_by(code: Code, function: Function, call: Call) -> frozenset[str] | None:
    """Words by which the code learns that the lock was dropped; None where this call cannot drop it."""
    if call.name == "handle_mm_fault":
        flags = flag_tokens(function, call.arguments[2]) if len(call.arguments) > 2 else []
        if code.version and code.version < (6, 6) and has_word(flags, "FAULT_FLAG_VMA_LOCK"):
            return None
        allowing = has_word(flags, *ALLOWING_FLAGS)
        return frozenset(("VM_FAULT_RETRY", "VM_FAULT_COMPLETED")) if allowing else None
    if call.name == "userfaultfd_remove":
        return frozenset()
    name = locked_argument(call)
    return frozenset((name,)) if name else None


def _dropped(statement: Statement, call: Call) -> Callable[[Edge], bool] | None:
    """`if (!userfaultfd_remove(..))` asks on the spot: only the branch on which it said false has lost the lock."""
    if call.name != "userfaultfd_remove" or statement.kind is not StatementKind.IF:
        return None
    return lambda edge: (
        edge.truth is not None
        and any(call.name in operand and not value for operand, value in facts(statement.tokens, edge.truth))
    )


def _uses(
    code: Code,
    function: Function,
    statement: Statement,
    call: Call,
    told: frozenset[str],
    names: frozenset[str],
    cut: Callable[[Statement, Edge], bool],
) -> Iterator[Report]:
    flow = code.flow(function)
    for name in sorted(names):

        def stop(s: Statement, name: str = name) -> bool:
            return (
                s is statement
                or name in assigned(s)
                or mentions(s, *told)
                or looked_up_by_loop(s, name)
                or any(pointer_uses(s.tokens, name))
            )

        for reached in flow.after(statement, stop, cut, _dropped(statement, call)):
            if reached is statement or mentions(reached, *told) or looked_up_by_loop(reached, name):
                continue
            use = next(pointer_uses(reached.tokens, name), None)
            if use and (name not in assigned(reached) or reads_first(reached, name)):
                yield Report(
                    use,
                    f"'{name}' is used after {call.name}(), which may have dropped the lock that kept it alive",
                    ((call.tokens, "may drop the lock"),),
                )


def _dropped_in_walk(statement: Statement) -> Iterator[Report]:
    """`*walk->locked = 0`: told from inside a page walk, whose caller goes on with the VMA."""
    tokens = statement.tokens
    end = next((n for n, token in enumerate(tokens) if token.text == "="), 0)
    if end < 4 or tokens[0].text != "*" or [t.text for t in tokens[end + 1 :]] not in (["0"], ["false"]):
        return
    if "walk" in tokens[1].text and tokens[end - 1].text in ("locked", "mmap_locked"):
        yield Report(
            tokens, "mmap_lock is dropped inside a page walk: walk_page_range() and its callbacks go on to use the VMA"
        )
