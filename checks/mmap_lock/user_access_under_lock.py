# SPDX-License-Identifier: GPL-2.0-or-later
"""User memory is accessed, or an mm let go of, while mmap_lock is held"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reviewbot.c.code import Call, Code, calls
from reviewbot.c.flow import Flow
from reviewbot.c.skeleton import Function, Statement
from reviewbot.kernel import mentions, variable_tokens
from reviewbot.locks import LockPaths, guarded, lock_paths
from reviewbot.model import Severity
from reviewbot.rule import Report, code_rule

# what calls might_fault() or faults pages in: include/linux/uaccess.h, lib/usercopy.c, lib/strncpy_from_user.c,
# lib/strnlen_user.c, mm/util.c:240-330, mm/gup.c (fault_in_*), include/asm-generic/uaccess.h
USER = (
    "copy_to_user", "copy_from_user", "__copy_to_user", "__copy_from_user", "copy_in_user", "raw_copy_in_user",
    "get_user", "put_user", "__get_user", "__put_user", "unsafe_get_user", "unsafe_put_user",
    "clear_user", "__clear_user", "strncpy_from_user", "strnlen_user", "strndup_user", "memdup_user",
    "memdup_user_nul", "vmemdup_user", "memdup_array_user", "vmemdup_array_user", "copy_struct_from_user",
    "copy_struct_to_user", "copy_siginfo_to_user", "copy_siginfo_from_user",
    "import_iovec", "get_timespec64", "put_timespec64",
)  # fmt: skip
# an mm that came from these is another task's, or may be
OTHERS = ("get_task_mm", "mm_access", "proc_mem_open", "task", "tsk", "child")
# m68k's sys_atomic_cmpxchg_32() looks at the page table first, and holds its lock
BEGIN = ("pagefault_disable", "pte_offset_map_lock", "pte_lockptr")
END = ("pagefault_enable", "pte_unmap_unlock")


@code_rule(
    Severity.ERROR,
    id="ML11",
    words=("mmap_read_", "mmap_write_lock", "mmap_sem"),
    yields_to=("mmap-lock/foreign-mm-without-ref",),
)
def check(code: Code) -> Iterator[Report]:
    """Calls that may fault, at places that every way reaches with the lock held by a call that is seen."""
    for function in code.functions:
        uses = [(s, call) for s in function.walk() for call in calls(s.tokens, *USER, "mmput")]
        if not uses:
            continue
        around = guarded(function)
        locks = lock_paths(code, function)
        for s, call in uses:
            for taken, names in _held(locks, s, around.get(s)):
                related = ((taken.tokens, "lock taken here"),)
                if call.name == "mmput":
                    if call.text(0) in names:
                        yield Report(
                            call.tokens,
                            "mmput() may be the last one, which takes the mmap_lock that is held here",
                            related,
                            severity=Severity.NOTE,
                        )
                elif not _atomic(code.flow(function), s):
                    others = _others(function, taken)
                    yield Report(
                        call.tokens,
                        f"{call.name}() may fault with {'another mm' + chr(39) + 's ' if others else ''}mmap_lock held",
                        related,
                        severity=Severity.WARNING if others else None,
                    )
                break


def _held(locks: Sequence[LockPaths], s: Statement, guard: Call | None) -> Iterator[tuple[Call, frozenset[str]]]:
    """The calls that hold a lock at a statement, and what their mm is called."""
    for paths in locks:
        state = paths.held(s)
        call = paths.call(state) if state else None
        if call and not any(c.tokens[0] is call.tokens[0] for c in calls(s.tokens, call.name)):
            yield call, paths.names
    if guard:
        yield guard, frozenset((guard.text(0),))


def _others(function: Function, taken: Call) -> bool:
    """The lock is that of another task's mm, by where the mm comes from."""
    mm = taken.text(0).removeprefix("&").removesuffix("->mmap_sem").removesuffix("->mmap_lock")
    if mm.isidentifier():
        words = {t.text for t in variable_tokens(function, mm)}
        if not words and any(t.text == mm for t in function.header):
            return any(t.text == "task_struct" for t in function.header)
        return bool(words.intersection(OTHERS)) and "current" not in words
    return not {"task", "tsk", "child"}.isdisjoint(mm.split("->"))


def _atomic(flow: Flow, s: Statement) -> bool:
    """It cannot fault: behind pagefault_disable(), with the page table's lock held, or on kernel memory."""

    def marks(other: Statement) -> bool:
        return mentions(other, *BEGIN, *END, "set_fs")

    return any(
        mentions(b, *BEGIN) or (mentions(b, "set_fs") and mentions(b, "KERNEL_DS", "get_ds"))
        for b in flow.before(s, marks)
    )
