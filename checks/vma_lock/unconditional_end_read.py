# SPDX-License-Identifier: GPL-2.0-or-later
"""vma_end_read() after handle_mm_fault() under the VMA lock, which the fault may already have dropped."""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.c.code import Code, calls
from reviewbot.c.skeleton import Statement
from reviewbot.kernel import conditions, flag_tokens, has_word, mentions
from reviewbot.model import Severity
from reviewbot.rule import Report, code_rule


@code_rule(Severity.ERROR, id="PV01", since="v6.6", words=("vma_end_read",))
def check(code: Code) -> Iterator[Report]:
    """From a call with FAULT_FLAG_VMA_LOCK to a vma_end_read() without a test for RETRY on the way."""
    for function in code.functions:
        around = conditions(function)
        for statement in function.walk():
            for call in calls(statement.tokens, "handle_mm_fault"):
                if len(call.arguments) < 3 or not has_word(
                    flag_tokens(function, call.arguments[2]), "FAULT_FLAG_VMA_LOCK"
                ):
                    continue

                def stop(s: Statement) -> bool:
                    return mentions(s, "VM_FAULT_RETRY", "VM_FAULT_COMPLETED", "vma_end_read", "handle_mm_fault")

                for reached in code.flow(function).after(statement, stop):
                    end = next(calls(reached.tokens, "vma_end_read"), None)
                    if end and len(around[reached]) <= len(around[statement]):
                        yield Report(
                            end.tokens,
                            "vma_end_read() does not depend on whether handle_mm_fault() has dropped the VMA lock",
                            ((call.tokens, "may drop the VMA lock"),),
                        )
                        break
