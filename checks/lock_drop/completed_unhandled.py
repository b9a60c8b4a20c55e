# SPDX-License-Identifier: GPL-2.0-or-later
"""VM_FAULT_RETRY is tested to know whether the lock was dropped, VM_FAULT_COMPLETED is not."""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.c.code import Code, calls
from reviewbot.c.flow import facts
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Token
from reviewbot.kernel import VMA_UNLOCKS, mentions, takes_vm_fault, unlocks
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, code_rule


@code_rule(Severity.ERROR, id="DR02", since="v6.0", words=("VM_FAULT_RETRY",), confidence=Confidence.HIGH)
def check(code: Code) -> Iterator[Report]:
    """Where the outcome of the test decides whether the lock is released, in a file diff that never says COMPLETED."""
    if any(code.words("VM_FAULT_COMPLETED")):
        return
    for function in code.functions:
        for statement in function.walk():
            if statement.kind is not StatementKind.IF or not mentions(statement, "VM_FAULT_RETRY"):
                continue
            test = tuple(t for t in statement.tokens if t.text == "VM_FAULT_RETRY")
            released = _released_unless_retry(code, function, statement)
            if released:
                yield Report(
                    test,
                    "VM_FAULT_COMPLETED (v6.0) also means that the lock is released, and is not tested",
                    ((released, "released a second time here"),),
                )


def _released_unless_retry(code: Code, function: Function, statement: Statement) -> tuple[Token, ...] | None:
    """The call that releases the lock on the way on which RETRY is not set."""
    if not _of_a_whole_fault(function):
        return None
    without = next(
        (edge for edge in code.flow(function).edges(statement) if _means_no_retry(statement, edge.truth)), None
    )
    if without is None or without.to is None or (takes_vm_fault(function) and not _calls_fault(function)):
        return None
    flow = code.flow(function)

    def stop(s: Statement) -> bool:
        return mentions(s, "VM_FAULT_RETRY", "handle_mm_fault") or next(unlocks(s), None) is not None

    for reached in (without.to, *(flow.after(without.to, stop) if not stop(without.to) else ())):
        call = next(unlocks(reached), None) or next(calls(reached.tokens, *VMA_UNLOCKS), None)
        if call:
            return call.tokens
    return None


def _means_no_retry(statement: Statement, truth: bool | None) -> bool:
    return truth is not None and any(
        "VM_FAULT_RETRY" in operand and not value for operand, value in facts(statement.tokens, truth)
    )


def _of_a_whole_fault(function: Function) -> bool:
    """COMPLETED comes from handle_mm_fault(); the steps below it, such as do_swap_page(), only know RETRY."""
    if any(mentions(s, "do_swap_page", "filemap_fault", "do_fault") for s in function.walk()):
        return False
    return not function.whole or _calls_fault(function)


def _calls_fault(function: Function) -> bool:
    return any(next(calls(s.tokens, "handle_mm_fault", "__handle_mm_fault"), None) for s in function.walk())
