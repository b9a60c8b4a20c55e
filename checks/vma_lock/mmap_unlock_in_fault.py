# SPDX-License-Identifier: GPL-2.0-or-later
"""A fault handler drops the mmap_lock, where it may hold the VMA lock instead"""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.c.code import Code, calls
from reviewbot.c.skeleton import Function, Statement
from reviewbot.kernel import locks, mentions, takes_vm_fault, variable_tokens
from reviewbot.model import Severity
from reviewbot.rule import Report, code_rule

UNLOCKS = ("mmap_read_unlock", "mmap_read_unlock_non_owner")
# asks which of the two locks is held: include/linux/mm_types.h, FAULT_FLAG_VMA_LOCK; mm/internal.h:1046 calls it so
FLAG = "FAULT_FLAG_VMA_LOCK"


@code_rule(Severity.ERROR, id="PV02", since="v6.4", words=("mmap_read_unlock",))
def check(code: Code) -> Iterator[Report]:
    """mmap_read_unlock() of the faulting mm in a function with a struct vm_fault that does not ask for the flag.

    A driver's ->fault is only called with the VMA lock held where its vm_ops have a map_pages, ->huge_fault always
    may be (mm/memory.c:3272, :5656): elsewhere it is a note.
    """
    for function in code.functions:
        if not takes_vm_fault(function) or function.name == "release_fault_lock":
            continue
        vmf = _parameter(function)
        for statement in function.walk():
            for call in calls(statement.tokens, *UNLOCKS):
                operand = call.text(0)
                if not _faulting(function, operand, vmf) or _known(code, function, statement, operand):
                    continue
                if _under_vma_lock(code, function):
                    yield Report(
                        call.tokens,
                        f"{call.name}() in {function.name}() may run with the VMA lock held instead: "
                        f"release_fault_lock({vmf}) drops the one that is",
                    )
                else:
                    yield Report(
                        call.tokens,
                        f"{call.name}() in {function.name}() relies on never running under the VMA lock: "
                        f"release_fault_lock({vmf}) drops the one that is held",
                        severity=Severity.NOTE,
                    )


def _under_vma_lock(code: Code, function: Function) -> bool:
    """The function may be called with the VMA lock held, for all that is seen."""
    if not code.path.startswith(("drivers/", "arch/", "sound/", "samples/")):
        return True
    return (
        "huge" in (function.name or "")
        or any(t.text == "order" for t in function.header)
        or next(code.words("map_pages"), None) is not None
    )


def _parameter(function: Function) -> str:
    """The name of the struct vm_fault."""
    texts = [t.text for t in function.header]
    return next((texts[n + 2] for n in range(len(texts) - 2) if texts[n : n + 2] == ["vm_fault", "*"]), "vmf")


def _faulting(function: Function, operand: str, vmf: str) -> bool:
    """The mm is the one that the fault is in: through the vmf, or by a variable that is set to nothing else."""
    if operand == f"{vmf}->vma->vm_mm":
        return True
    name, arrow, member = operand.partition("->")
    if arrow and member != "vm_mm":
        return operand == "current->mm"
    value = "".join(t.text for t in variable_tokens(function, name))
    if arrow:
        return value in ("", f"{vmf}->vma") and (name == "vma" or bool(value))
    return value in (f"{vmf}->vma->vm_mm", "vma->vm_mm", "current->mm") or (not value and name == "mm")


def _known(code: Code, function: Function, statement: Statement, operand: str) -> bool:
    """On a way to here it was asked which lock is held, or this very lock was taken."""
    return any(
        mentions(s, FLAG) or any(call.text(0) == operand for call in locks(s))
        for s in code.flow(function).before(statement)
    )
