# SPDX-License-Identifier: GPL-2.0-or-later
"""handle_mm_fault() may drop the lock, and its result is not tested for VM_FAULT_RETRY."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from reviewbot.checks.lock_drop._drops import target

from reviewbot.c.code import Code, assigned, calls
from reviewbot.c.flow import Edge
from reviewbot.c.skeleton import Statement, StatementKind
from reviewbot.kernel import (
    ALLOWING_FLAGS,
    VMA_UNLOCKS,
    conditions,
    contradicts,
    flag_tokens,
    has_word,
    mentions,
    pointer_uses,
    reads_first,
    unlocks,
)
from reviewbot.model import Severity
from reviewbot.rule import Report, code_rule

TOLD = ("VM_FAULT_RETRY", "VM_FAULT_COMPLETED")


@code_rule(Severity.ERROR, id="DR01", since="v5.7", words=("handle_mm_fault",))
def check(code: Code) -> Iterator[Report]:
    """Calls whose flags are seen to allow a retry; without ALLOW_RETRY the lock stays, and so does this rule."""
    for function in code.functions:
        around: dict[Statement, tuple[tuple[str, bool], ...]] | None = None
        for statement in function.walk():
            for call in calls(statement.tokens, "handle_mm_fault"):
                flags = flag_tokens(function, call.arguments[2]) if len(call.arguments) > 2 else []
                if not has_word(flags, *ALLOWING_FLAGS) or has_word(flags, "FAULT_FLAG_RETRY_NOWAIT"):
                    continue
                if code.version and code.version < (6, 6) and has_word(flags, "FAULT_FLAG_VMA_LOCK"):
                    continue
                if mentions(statement, *TOLD):
                    continue
                result = target(statement, call)
                vma = call.text(0)

                def settled(s: Statement, result: str | None = result, here: Statement = statement) -> bool:
                    return mentions(s, *TOLD) or s is here or (result is not None and _handed_on(s, result))

                def stop(s: Statement, vma: str = vma) -> bool:
                    return (
                        settled(s)
                        or next(unlocks(s), None) is not None
                        or mentions(s, *VMA_UNLOCKS)
                        or vma in assigned(s)
                        or any(pointer_uses(s.tokens, vma))
                    )

                around = conditions(function) if around is None else around
                other = contradicts(around[statement])

                def cut(s: Statement, edge: Edge, other: Callable[[Statement, Edge], bool] = other) -> bool:
                    return _signalled(s, edge) or other(s, edge)

                for reached in code.flow(function).after(statement, stop, cut):
                    if settled(reached):
                        continue
                    released = next(unlocks(reached), None) or next(calls(reached.tokens, *VMA_UNLOCKS), None)
                    use = next(pointer_uses(reached.tokens, vma), None)
                    if released:
                        yield Report(
                            call.tokens,
                            f"{released.name}() does not depend on whether handle_mm_fault() has dropped the lock",
                            ((released.tokens, "released again here"),),
                        )
                        break
                    if use and (vma not in assigned(reached) or reads_first(reached, vma)):
                        yield Report(
                            call.tokens,
                            f"'{vma}' is used whether or not handle_mm_fault() has dropped the lock",
                            ((use, "used here"),),
                        )
                        break
                else:
                    if (
                        function.whole
                        and not any(mentions(s, *TOLD) for s in function.walk())
                        and _result_dropped(statement)
                    ):
                        yield Report(
                            call.tokens, "handle_mm_fault() may drop the lock here, and nobody looks at its result"
                        )


def _result_dropped(statement: Statement) -> bool:
    return statement.kind is StatementKind.EXPRESSION and statement.tokens[0].text == "handle_mm_fault"


def _signalled(statement: Statement, edge: Edge) -> bool:
    """The branch for a pending signal, on which the lock is known to be gone: include/linux/sched/signal.h:430."""
    return edge.truth is True and mentions(statement, "fault_signal_pending")


def _handed_on(statement: Statement, result: str) -> bool:
    """Somebody else is asked about the result, or told it: `f(fault)`, `return fault`, `*flt = fault`."""
    tokens = statement.tokens
    if statement.kind is StatementKind.RETURN:
        return mentions(statement, result)
    for n, token in enumerate(tokens):
        if token.text == result and n and statement.kind is StatementKind.EXPRESSION:
            before, after = tokens[n - 1].text, tokens[n + 1].text if n + 1 < len(tokens) else ""
            if before == "=" or (before in ("(", ",") and after in (")", ",")):
                return True
    return False
