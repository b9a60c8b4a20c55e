# SPDX-License-Identifier: GPL-2.0-or-later
"""VM_FAULT_RETRY is tested to know whether the lock was dropped, VM_FAULT_COMPLETED is not."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import pairwise

from reviewbot.c.code import Call, Code, calls
from reviewbot.c.flow import facts
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Kind, Token
from reviewbot.kernel import RETRY_FLAGS, VMA_UNLOCKS, flag_tokens, has_word, mentions, takes_vm_fault, unlocks
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, code_rule


@code_rule(Severity.ERROR, id="DR02", since="v6.0", words=("VM_FAULT_RETRY",), confidence=Confidence.HIGH)
def check(code: Code) -> Iterator[Report]:
    """Where the outcome of the test decides whether the lock is released, in a function that never says COMPLETED."""
    asking = {f.name for f in code.functions if any(mentions(s, "VM_FAULT_COMPLETED") for s in f.walk())}
    for function in code.functions:
        if asking and (None in asking or function.name in (None, *asking) or _calls_one(function, asking)):
            continue
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


def _calls_one(function: Function, names: Collection[str | None]) -> bool:
    """A function that asks for COMPLETED is asked."""
    return any(t.text in names for s in function.walk() for t in s.tokens if t.kind is Kind.WORD)


def _released_unless_retry(code: Code, function: Function, statement: Statement) -> tuple[Token, ...] | None:
    """The call that releases the lock on the way on which RETRY is not set."""
    flow = code.flow(function)
    without = next((edge.to for edge in flow.edges(statement) if _means_no_retry(statement, edge.truth)), None)
    if without is None or not _of_a_whole_fault(function) or (takes_vm_fault(function) and not _calls_fault(function)):
        return None
    # `if (!(ret & VM_FAULT_RETRY)) unlock` speaks for itself where ret is the function's own; else what stands between
    # the fault and the test must be seen: it may have returned on COMPLETED
    direct = any(next(_releases(s), None) for s in statement.body) and _own_result(code, function, statement)
    if not direct and not _taken_away(code) and not _seen_from_fault(code, function, statement):
        return None

    def stop(s: Statement) -> bool:
        return mentions(s, "VM_FAULT_RETRY", "handle_mm_fault") or next(unlocks(s), None) is not None

    for reached in (without, *(flow.after(without, stop) if not stop(without) else ())):
        if call := next(_releases(reached), None):
            return call.tokens
    return None


def _taken_away(code: Code) -> bool:
    """The patch removes a test for COMPLETED."""
    return code.diff is not None and any("VM_FAULT_COMPLETED" in text for text in code.diff.removed())


def _own_result(code: Code, function: Function, test: Statement) -> bool:
    """What is tested is declared in the function, in this hunk or another; a parameter may have been tested before."""
    results = {t.text for t in test.tokens if t.kind is Kind.WORD and not t.text.isupper()}
    return any(
        pair[0].text == "vm_fault_t" and pair[1].text in results
        for f in code.functions
        if f is function or (f.name is not None and f.name == function.name)
        for s in f.walk()
        for pair in pairwise(s.tokens)
    )


def _releases(statement: Statement) -> Iterator[Call]:
    yield from unlocks(statement)
    yield from calls(statement.tokens, *VMA_UNLOCKS)


def _seen_from_fault(code: Code, function: Function, test: Statement) -> bool:
    """The call that faults is seen, may retry as far as its flags tell, and nobody else is asked about its result."""
    earlier = list(code.flow(function).before(test, lambda s: mentions(s, "handle_mm_fault")))
    fault = next((c for s in earlier for c in calls(s.tokens, "handle_mm_fault") if len(c.arguments) > 2), None)
    if fault is None:
        return False
    flags = flag_tokens(function, fault.arguments[2])
    if all(t.text.isupper() for t in flags if t.kind is Kind.WORD) and not has_word(flags, *RETRY_FLAGS):
        return False
    results = {t.text for t in test.tokens if t.kind is Kind.WORD and not t.text.isupper()}
    return not any(
        len(argument) == 1 and argument[0].text in results and call != "fault_signal_pending"
        for s in earlier
        for call, arguments in _all_calls(s)
        for argument in arguments
    )


def _all_calls(statement: Statement) -> Iterator[tuple[str, tuple[tuple[Token, ...], ...]]]:
    names = {t.text for t in statement.tokens if t.kind is Kind.WORD} - {"unlikely", "likely"}
    for call in calls(statement.tokens, *names):
        yield call.name, call.arguments


def _means_no_retry(statement: Statement, truth: bool | None) -> bool:
    if truth is None:
        return False
    if any("VM_FAULT_RETRY" in operand and not value for operand, value in facts(statement.tokens, truth)):
        return True
    # `(fault & VM_FAULT_RETRY) && (flags & FAULT_FLAG_ALLOW_RETRY)`: RETRY comes only where it is allowed
    return (
        not truth
        and mentions(statement, "FAULT_FLAG_ALLOW_RETRY")
        and any("VM_FAULT_RETRY" in operand and value for operand, value in facts(statement.tokens, True))
    )


def _of_a_whole_fault(function: Function) -> bool:
    """COMPLETED comes from handle_mm_fault(); the steps below it, such as do_swap_page(), only know RETRY."""
    if any(mentions(s, "do_swap_page", "filemap_fault", "do_fault") for s in function.walk()):
        return False
    return not function.whole or _calls_fault(function)


def _calls_fault(function: Function) -> bool:
    return any(next(calls(s.tokens, "handle_mm_fault", "__handle_mm_fault"), None) for s in function.walk())
