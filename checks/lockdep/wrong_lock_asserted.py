# SPDX-License-Identifier: GPL-2.0-or-later
"""The mmap_lock is asserted where the VMA lock may be what is held, or is not taken where it is asserted"""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.checks.lockdep._asserts import LOCKDEP, MMAP, RWSEM, begins

from reviewbot.c.code import Call, Code, calls
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.kernel import conditions, has_word, mentions, mm_of_lock, takes_vm_fault
from reviewbot.model import Severity
from reviewbot.rule import Report, Scope, code_rule

# assert the lock of the mm that they walk: mm/pagewalk.c:380-382, :543, :585-593
WALKS = ("walk_page_range", "walk_page_range_novma", "walk_page_range_debug", "walk_kernel_page_table_range")
# what may tell, or see to it, that the mmap_lock is held: mm/internal.h:1046, mm/memory.c:3272
TELLS = ("FAULT_FLAG_VMA_LOCK", "vmf_can_call_fault", "vmf_anon_prepare", "mmap_read_lock", "mmap_read_trylock")
# file-backed memory and swap are faulted in under the VMA lock, and RETRY drops it: table 0.1 of the rule book, 6.6
VMA_LOCK_SINCE = (6, 6)


@code_rule(
    Severity.WARNING,
    id="LD05",
    since="v5.8",
    words=("mmap_assert_", "mmap_lock", "init_mm", "walk_kernel_page_table_range"),
    # assert_fault_locked() itself: include/linux/mm.h:797
    scope=Scope(exclude=(*Scope().exclude, "include/linux/mm.h", "include/linux/mmap_lock.h", "mm/pagewalk.c")),
)
def check(code: Code) -> Iterator[Report]:
    """In fault handlers, and around walks of the kernel's page tables."""
    for function in code.functions:
        if takes_vm_fault(function) and (code.version is None or code.version >= VMA_LOCK_SINCE):
            yield from _handler(code, function)
    yield from _walks(code)


def _handler(code: Code, function: Function) -> Iterator[Report]:
    around = conditions(function)
    told = not begins(code, function)
    for statement in function.walk():
        if told and not any("FAULT_FLAG_VMA_LOCK" in operand for operand, _ in around[statement]):
            continue
        for call in calls(statement.tokens, *MMAP, *LOCKDEP, *RWSEM):
            if call.name not in MMAP and (not call.arguments or mm_of_lock(call.arguments[0]) is None):
                continue
            under = [value for operand, value in around[statement] if operand.endswith("&FAULT_FLAG_VMA_LOCK")]
            if False in under:
                yield Report(
                    call.tokens,
                    f"{call.name}() under a test for FAULT_FLAG_VMA_LOCK does half of what assert_fault_locked() does",
                    severity=Severity.NOTE,
                )
            elif not told:
                name = function.name or "a fault handler"
                yield Report(call.tokens, f"{call.name}() in {name}(), which may run under the VMA lock alone")
        told = told or (mentions(statement, *TELLS) and not _only_asserts(statement))


def _only_asserts(statement: Statement) -> bool:
    """`if (!(vmf->flags & FAULT_FLAG_VMA_LOCK)) mmap_assert_locked(mm);` changes nothing for what follows."""
    return statement.kind is StatementKind.IF and all("assert" in s.tokens[0].text for s in statement.body if s.tokens)


def _walks(code: Code) -> Iterator[Report]:
    """Walks of init_mm in a function that does not take its lock, nor any other of the file."""
    if next(code.calls(*WALKS), None) is None or _locks_init_mm(code):
        return
    for function in code.functions:
        found = [
            call
            for statement in function.walk()
            for call in calls(statement.tokens, *WALKS)
            if call.name == "walk_kernel_page_table_range" or call.text(0) == "&init_mm"
        ]
        if not found or not function.whole or function.macro:
            continue
        # its callers may hold the lock, and are seen where the file is; what others call says so in its name
        if not code.whole and has_word(function.header, "static"):
            code.abstain()
            continue
        if function.name and ("locked" in function.name or function.name.startswith("__")):
            continue
        for call in found:
            yield Report(
                call.tokens,
                f"{call.name}() asserts that the mmap_lock of init_mm is held, and {function.name}() does not take it",
            )


def _locks_init_mm(code: Code) -> bool:
    """Somewhere in what is seen of the file the lock of init_mm is taken or asserted."""
    tokens = code.tokens
    return any(
        tokens[n - 1].text == "&"
        and n >= 3
        and tokens[n - 2].text == "("
        and tokens[n - 3].text.startswith(("mmap_", "down_", "lockdep_", "guard", "scoped_guard"))
        for n in code.words("init_mm")
    ) or any(_same(call) for call in code.calls("mmap_read_lock", "mmap_write_lock", "mmap_assert_locked"))


def _same(call: Call) -> bool:
    """mm, which may be &init_mm."""
    return call.text(0) in ("mm", "init_mm")
