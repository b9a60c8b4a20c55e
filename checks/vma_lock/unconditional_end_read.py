# SPDX-License-Identifier: GPL-2.0-or-later
"""vma_end_read() after handle_mm_fault() under the VMA lock, which the fault may already have dropped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from reviewbot.c.code import Call, Code, assigned, calls
from reviewbot.c.paths import Outcome, Paths
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Kind
from reviewbot.kernel import conditions, flag_tokens, has_word, mentions
from reviewbot.model import Severity
from reviewbot.rule import Report, code_rule

# states of the VMA lock; from 0 on: the fault of that number may have dropped it
UNKNOWN, HELD = -2, -1


@code_rule(Severity.ERROR, id="PV01", since="v6.6", words=("vma_end_read",))
def check(code: Code) -> Iterator[Report]:
    """From a call with FAULT_FLAG_VMA_LOCK to a vma_end_read() on a way on which VM_FAULT_RETRY may be set."""
    for function in code.functions:
        faults = [
            (statement, call)
            for statement in function.walk()
            for call in calls(statement.tokens, "handle_mm_fault")
            if len(call.arguments) > 2 and has_word(flag_tokens(function, call.arguments[2]), "FAULT_FLAG_VMA_LOCK")
        ]
        if not faults:
            continue
        around = conditions(function)
        for statement, call in faults:
            # from the call on, whatever leads to it; any question for RETRY is an answer
            for reached in code.flow(function).after(statement, _decides):
                end = next(calls(reached.tokens, "vma_end_read"), None)
                if end and len(around[reached]) <= len(around[statement]):
                    yield _report(end, call)
                    break
        yield from _by_path(code, function, dict(faults))


def _report(end: Call, fault: Call) -> Report:
    return Report(
        end.tokens,
        "vma_end_read() does not depend on whether handle_mm_fault() has dropped the VMA lock",
        ((fault.tokens, "may drop the VMA lock"),),
    )


def _decides(s: Statement) -> bool:
    return mentions(s, "VM_FAULT_RETRY", "VM_FAULT_COMPLETED", "vma_end_read", "handle_mm_fault")


def _by_path(code: Code, function: Function, faults: Mapping[Statement, Call]) -> Iterator[Report]:
    """The question was asked, and the way of the wrong answer leads to vma_end_read()."""
    numbers = {statement: n for n, statement in enumerate(faults)}
    results = {name for statement, call in faults.items() if (name := _result(statement, call))}

    def step(s: Statement, state: int, _: Mapping[str, bool]) -> Iterable[Outcome[int]]:
        call = faults.get(s)
        if call is not None:
            name = _result(s, call)
            if name is None:
                return [Outcome(UNKNOWN)]
            retry, error = f"{name}&VM_FAULT_RETRY", f"{name}&VM_FAULT_ERROR"
            # never together: mm/filemap.c:3301
            return [Outcome(HELD, ((retry, False),)), Outcome(numbers[s], ((retry, True), (error, False)))]
        if state >= 0 and (_hides(s, results) or mentions(s, "vma_end_read") or "vma" in assigned(s)):
            return [Outcome(UNKNOWN)]
        return [Outcome(state)]

    paths: Paths[int] = Paths(code.flow(function), UNKNOWN, step)
    by_number = list(faults.values())
    for statement in function.walk():
        end = next(calls(statement.tokens, "vma_end_read"), None)
        if end is not None:
            for state in paths.states(statement):
                if state >= 0:
                    yield _report(end, by_number[state])


def _result(statement: Statement, call: Call) -> str | None:
    """The variable that has what the fault returned."""
    tokens = statement.tokens
    at = next(n for n, t in enumerate(tokens) if t is call.tokens[0])
    if at < 2 or tokens[at - 1].text != "=" or tokens[at - 2].kind is not Kind.WORD:
        return None
    return None if at > 2 and tokens[at - 3].text in ("->", ".") else tokens[at - 2].text


def _hides(s: Statement, results: set[str]) -> bool:
    """The result goes where no branch is seen to ask for it: into another variable, a function, a switch."""
    if not mentions(s, *results):
        return False
    if s.kind is not StatementKind.IF:
        return True
    return any(
        n > 1
        and t.text in results
        and s.tokens[n - 1].text in ("(", ",")
        and s.tokens[n - 2].kind is Kind.WORD
        and s.tokens[n - 2].text not in ("likely", "unlikely", "fault_signal_pending")
        for n, t in enumerate(s.tokens)
    )
