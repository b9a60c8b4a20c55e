# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel calls things: the mmap locking API, what drops the lock, FOLL_ flags, pointers to a VMA.

Belongs here: names and facts that several rules share, each with its source in linux 6.12.117. Does not
belong here: reading C, judging it. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from reviewbot.c.code import Call, Code, calls
from reviewbot.c.flow import Edge, Flow, facts
from reviewbot.c.pattern import Match, Pattern, closing
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Kind, Token

# include/linux/mmap_lock.h:96-200
MMAP_LOCKS = (
    "mmap_read_lock",
    "mmap_write_lock",
    "mmap_read_lock_killable",
    "mmap_write_lock_killable",
    "mmap_read_trylock",
    "mmap_write_lock_nested",
)
MMAP_UNLOCKS = ("mmap_read_unlock", "mmap_write_unlock", "mmap_read_unlock_non_owner")
RAW_LOCKS = (
    "down_read",
    "down_write",
    "down_read_killable",
    "down_write_killable",
    "down_read_trylock",
    "down_write_trylock",
    "down_read_nested",
    "down_write_nested",
)
RAW_UNLOCKS = ("up_read", "up_write", "up_read_non_owner")
# what ends the protection of a VMA: include/linux/mm.h (vma_end_read, release_fault_lock)
VMA_UNLOCKS = ("vma_end_read", "release_fault_lock")

# no suggestion for a longer line: code has 100 columns, and a hostile line would be copied for each call on it
LONGEST_LINE = 400

# old call -> new call (include/linux/mmap_lock.h; the conversion of 5.8, d8ed45c5dcd4 and its series)
REPLACEMENTS = {
    "init_rwsem": "mmap_init_lock",
    "down_read": "mmap_read_lock",
    "up_read": "mmap_read_unlock",
    "down_read_killable": "mmap_read_lock_killable",
    "down_read_trylock": "mmap_read_trylock",
    "down_write": "mmap_write_lock",
    "up_write": "mmap_write_unlock",
    "down_write_killable": "mmap_write_lock_killable",
    "down_write_trylock": "mmap_write_trylock",  # where MMAP_API still has it
    "down_write_nested": "mmap_write_lock_nested",
    "downgrade_write": "mmap_write_downgrade",
    "up_read_non_owner": "mmap_read_unlock_non_owner",
    "rwsem_is_contended": "mmap_lock_is_contended",
    "lockdep_assert_held": "mmap_assert_locked",
    "lockdep_assert_held_read": "mmap_assert_locked",
    "lockdep_assert_held_write": "mmap_assert_write_locked",
    "rwsem_assert_held": "mmap_assert_locked",
    "rwsem_assert_held_write": "mmap_assert_write_locked",
}

# of those the one that is not as old as the API (5.8); without a tree later is safe
_LATER_API = {"mmap_lock_is_contended": (5, 10)}
# calls that make and end a stretch of code under the lock: they are converted together
PAIRED = frozenset((*RAW_LOCKS, *RAW_UNLOCKS, "downgrade_write"))
# the same, for which the API has nothing
UNPAIRED = frozenset(
    "down_write_killable_nested down_read_killable_nested down_read_non_owner down_read_interruptible".split()
)

# "it must be locked", by hand
IS_LOCKED = (
    Pattern("{BUG_ON, WARN_ON, WARN_ON_ONCE, VM_BUG_ON, VM_WARN_ON, VM_WARN_ON_ONCE} (!rwsem_is_locked($lock))"),
    Pattern("{VM_BUG_ON_MM, VM_BUG_ON_VMA, VM_WARN_ON_ONCE_MM, VM_WARN_ON_ONCE_VMA} (!rwsem_is_locked($lock), ...)"),
)

# mm/internal.h:1332-1347, and the first kernel in which each was internal: FOLL_PIN and FOLL_FAST_ONLY from
# their first day on (5.6, 5.8: "internal" in their comment), the others since they moved there (2c2241081f7d)
INTERNAL_FOLL = {
    "FOLL_PIN": (5, 6),
    "FOLL_FAST_ONLY": (5, 8),
    "FOLL_TOUCH": (6, 3),
    "FOLL_TRIED": (6, 3),
    "FOLL_REMOTE": (6, 3),
    "FOLL_UNLOCKABLE": (6, 3),
    "FOLL_MADV_POPULATE": (6, 9),
}
# include/linux/mm_types.h:1510-1549 and mm/internal.h:1332-1347: flag -> bit, from 6.3 on
FOLL_BITS = {
    "FOLL_WRITE": 0, "FOLL_GET": 1, "FOLL_DUMP": 2, "FOLL_FORCE": 3, "FOLL_NOWAIT": 4, "FOLL_NOFAULT": 5,
    "FOLL_HWPOISON": 6, "FOLL_ANON": 7, "FOLL_LONGTERM": 8, "FOLL_SPLIT_PMD": 9, "FOLL_PCI_P2PDMA": 10,
    "FOLL_INTERRUPTIBLE": 11, "FOLL_HONOR_NUMA_FAULT": 12,
    "FOLL_TOUCH": 16, "FOLL_TRIED": 17, "FOLL_REMOTE": 18, "FOLL_PIN": 19, "FOLL_FAST_ONLY": 20,
    "FOLL_UNLOCKABLE": 21, "FOLL_MADV_POPULATE": 22,
}  # fmt: skip
# flags of that table that came after 6.3: FOLL_HONOR_NUMA_FAULT was posted in 2023-08, FOLL_MADV_POPULATE is new in 6.9
FOLL_SINCE = {"FOLL_HONOR_NUMA_FAULT": (6, 5), "FOLL_MADV_POPULATE": (6, 9)}
# bits 13 to 15 are kept for external flags, internal ones begin at 16 (mm/internal.h:1331)
FIRST_INTERNAL_BIT = 16

# the mmap locking API: function -> the first kernel that has it no more, None where 6.12 (mmap_lock.h:63-200) or the
# newest header seen has it: edf9dabf3b1b (6.6) took mmap_write_trylock(), 6.1 has no mmap_read_trylock_non_owner()
MMAP_API: dict[str, tuple[int, int] | None] = {
    "mmap_init_lock": None, "mmap_write_lock": None, "mmap_write_lock_nested": None, "mmap_write_lock_killable": None,
    "mmap_write_trylock": (6, 6), "mmap_write_unlock": None, "mmap_write_downgrade": None, "mmap_read_lock": None,
    "mmap_read_lock_killable": None, "mmap_read_trylock": None, "mmap_read_unlock": None,
    "mmap_read_trylock_non_owner": (6, 1), "mmap_read_unlock_non_owner": None, "mmap_assert_locked": None,
    "mmap_assert_write_locked": None, "mmap_lock_is_contended": None,
    # 6.14
    "mmap_lock_speculate_try_begin": None, "mmap_lock_speculate_retry": None,
    # mm/memory.c:6155, static there
    "mmap_upgrade_trylock": None,
}  # fmt: skip
# names that no kernel has had -> what was meant, None where that is not one function
MMAP_NEVER: dict[str, str | None] = {
    "mmap_lock": None, "mmap_unlock": None, "mmap_trylock": None, "mmap_lock_killable": None,
    "mmap_release_lock": None, "mmap_read_lock_interruptible": None, "mmap_write_lock_interruptible": None,
    "mmap_lock_read": "mmap_read_lock", "mmap_read_locked": "mmap_read_lock", "mmap_readlock": "mmap_read_lock",
    "mmap_lock_write": "mmap_write_lock", "mmap_write_locked": "mmap_write_lock", "mmap_writelock": "mmap_write_lock",
    "mmap_unlock_read": "mmap_read_unlock", "mmap_lock_read_unlock": "mmap_read_unlock",
    "mmap_unlock_write": "mmap_write_unlock", "mmap_lock_write_unlock": "mmap_write_unlock",
    "mmap_lock_read_killable": "mmap_read_lock_killable", "mmap_read_killable": "mmap_read_lock_killable",
    "mmap_read_lock_kill": "mmap_read_lock_killable", "mmap_lock_write_killable": "mmap_write_lock_killable",
    "mmap_write_killable": "mmap_write_lock_killable", "mmap_write_lock_kill": "mmap_write_lock_killable",
    "mmap_lock_read_trylock": "mmap_read_trylock", "mmap_trylock_read": "mmap_read_trylock",
    "mmap_lock_trylock_read": "mmap_read_trylock", "mmap_read_lock_trylock": "mmap_read_trylock",
    "mmap_downgrade_write_lock": "mmap_write_downgrade", "mmap_write_lock_downgrade": "mmap_write_downgrade",
    "mmap_downgrade_write": "mmap_write_downgrade", "mmap_downgrade_lock": "mmap_write_downgrade",
    "mmap_lock_downgrade": "mmap_write_downgrade", "mmap_write_unlock_downgrade": "mmap_write_downgrade",
    "mmap_read_downgrade": "mmap_write_downgrade", "mmap_downgrade": "mmap_write_downgrade",
    "mmap_is_locked": "mmap_assert_locked", "mmap_lock_is_locked": "mmap_assert_locked",
    "mmap_lock_assert_held": "mmap_assert_locked", "mmap_lock_assert_locked": "mmap_assert_locked",
    "mmap_assert_lock_held": "mmap_assert_locked", "mmap_assert_read_locked": "mmap_assert_locked",
    "mmap_assert_lock": "mmap_assert_locked", "mmap_assert_write_lock": "mmap_assert_write_locked",
    "mmap_lock_assert_write_held": "mmap_assert_write_locked", "mmap_lock_init": "mmap_init_lock",
    "mmap_lock_contended": "mmap_lock_is_contended", "mmap_is_contended": "mmap_lock_is_contended",
    "mm_read_lock": "mmap_read_lock", "mm_read_unlock": "mmap_read_unlock", "mm_write_lock": "mmap_write_lock",
    "mm_write_unlock": "mmap_write_unlock", "mm_might_lock_read": None, "mm_release_fault_lock": "release_fault_lock",
}  # fmt: skip

# flags with which handle_mm_fault() and fixup_user_fault() may drop the lock: mm/memory.c:6071, mm/gup.c:1611
RETRY_FLAGS = frozenset(("FAULT_FLAG_ALLOW_RETRY", "FAULT_FLAG_KILLABLE", "FAULT_FLAG_DEFAULT"))
# with only KILLABLE the lock goes on a fatal signal alone: mm/gup.c and mm/ksm.c live with that
ALLOWING_FLAGS = RETRY_FLAGS - {"FAULT_FLAG_KILLABLE"}

# calls that tell by *locked = 0 that they have dropped the lock: mm/gup.c:2698, :3606, :1720, :1888, :1962
LOCKED_CALLS = (
    "get_user_pages_remote",
    "pin_user_pages_remote",
    "__get_user_pages_locked",
    "get_user_pages_locked",
    "pin_user_pages_locked",
    "__get_user_pages_remote",
    "populate_vma_page_range",
    "faultin_page_range",
    "faultin_vma_page_range",
)
# what a fault handler may call that drops the lock before VM_FAULT_RETRY: mm/filemap.c:1687, fs/userfaultfd.c:373,
# mm/internal.h:1046 and :365, mm/memory.c:3272, drivers/gpu/drm/ttm/ttm_bo_vm.c
HANDLER_DROPS = frozenset(
    (
        "mmap_read_unlock release_fault_lock up_read folio_lock_or_retry __folio_lock_or_retry lock_page_or_retry "
        "__lock_page_or_retry handle_userfault maybe_unlock_mmap_for_io lock_folio_maybe_drop_mmap "
        "lock_page_maybe_drop_mmap vmf_can_call_fault vmf_anon_prepare ttm_bo_vm_reserve filemap_fault "
        "do_async_mmap_readahead do_sync_mmap_readahead mmap_write_unlock folio_lock_fault __folio_lock_fault"
    ).split()
)

# include/linux/mm_types.h:1318-1333, and the macros behind it (:1336, :1339, :1343)
FAULT_CODES = {
    "VM_FAULT_OOM": 0x1, "VM_FAULT_SIGBUS": 0x2, "VM_FAULT_MAJOR": 0x4, "VM_FAULT_HWPOISON": 0x10,
    "VM_FAULT_HWPOISON_LARGE": 0x20, "VM_FAULT_SIGSEGV": 0x40, "VM_FAULT_NOPAGE": 0x100, "VM_FAULT_LOCKED": 0x200,
    "VM_FAULT_RETRY": 0x400, "VM_FAULT_FALLBACK": 0x800, "VM_FAULT_DONE_COW": 0x1000, "VM_FAULT_NEEDDSYNC": 0x2000,
    "VM_FAULT_COMPLETED": 0x4000, "VM_FAULT_HINDEX_MASK": 0xF0000,
}  # fmt: skip
# include/linux/mm_types.h:1435-1450; flag -> bit
FAULT_FLAG_BITS = {
    "FAULT_FLAG_WRITE": 0, "FAULT_FLAG_MKWRITE": 1, "FAULT_FLAG_ALLOW_RETRY": 2, "FAULT_FLAG_RETRY_NOWAIT": 3,
    "FAULT_FLAG_KILLABLE": 4, "FAULT_FLAG_TRIED": 5, "FAULT_FLAG_USER": 6, "FAULT_FLAG_REMOTE": 7,
    "FAULT_FLAG_INSTRUCTION": 8, "FAULT_FLAG_INTERRUPTIBLE": 9, "FAULT_FLAG_UNSHARE": 10,
    "FAULT_FLAG_ORIG_PTE_VALID": 11, "FAULT_FLAG_VMA_LOCK": 12,
}  # fmt: skip
# functions that return a vm_fault_t: include/linux/mm.h, huge_mm.h, hugetlb.h, dax.h, iomap.h, userfaultfd_k.h,
# mm/internal.h, drivers/gpu/drm/ttm; vmf_insert_page_mkwrite() and vmf_insert_folio_*() came in 6.14 and 6.15. Not
# folio_lock_or_retry(): a bool before 6.6.
FAULT_FUNCTIONS = frozenset(
    (
        "handle_mm_fault __handle_mm_fault filemap_fault filemap_map_pages filemap_page_mkwrite hugetlb_fault "
        "handle_userfault finish_fault finish_mkwrite_fault do_swap_page do_huge_pmd_wp_page vmf_error vmf_fs_error "
        "vmf_insert_page vmf_insert_pfn vmf_insert_pfn_prot vmf_insert_pfn_pmd vmf_insert_pfn_pud vmf_insert_mixed "
        "vmf_insert_mixed_mkwrite vmf_insert_page_mkwrite vmf_insert_folio_pmd vmf_insert_folio_pud vmf_can_call_fault "
        "vmf_anon_prepare dax_iomap_fault dax_finish_sync_fault "
        "iomap_page_mkwrite netfs_page_mkwrite ttm_bo_vm_reserve ttm_bo_vm_fault_reserved ttm_bo_vm_fault shmem_fault"
    ).split()
)


class Tells(StrEnum):
    """How a function says that it has dropped the lock it was called with."""

    RETRY = "retry"  # VM_FAULT_RETRY or VM_FAULT_COMPLETED in its result
    NONZERO = "non-zero"  # its result is not 0
    NULL = "NULL"  # its result is NULL
    FALSE = "false"  # its result is false
    ZERO = "zero"  # its result is 0: it did what it was asked to
    LOCKED = "locked"  # *locked is 0
    UNLOCKED = "unlocked"  # *unlocked is true
    PREV = "prev"  # *prev is NULL


class Drop(NamedTuple):
    """A function that may drop the mmap lock or the VMA lock of its caller."""

    tells: Tells
    argument: int | None = None  # the one that points to `locked`, `unlocked`, `prev`, or is the flag that allows it
    held: bool = False  # the lock is held again on return; what it kept alive may be gone all the same
    since: tuple[int, int] | None = None
    until: tuple[int, int] | None = None


# linux 6.12.117; `argument` counts from the end where it is negative
DROPS = {
    "handle_mm_fault": Drop(Tells.RETRY, 2),  # mm/memory.c:6071, by its flags
    "handle_userfault": Drop(Tells.RETRY),  # fs/userfaultfd.c:373
    "filemap_fault": Drop(Tells.RETRY),  # mm/filemap.c:3303
    "hugetlb_fault": Drop(Tells.RETRY),  # mm/hugetlb.c, the VMA lock
    "do_swap_page": Drop(Tells.RETRY),  # mm/memory.c:4200
    "vmf_anon_prepare": Drop(Tells.NONZERO, since=(6, 10)),  # mm/internal.h:365, the VMA lock
    "vmf_can_call_fault": Drop(Tells.NONZERO, since=(6, 8)),  # mm/memory.c:3272, the VMA lock
    "folio_lock_or_retry": Drop(Tells.NONZERO, since=(6, 6)),  # include/linux/pagemap.h:1207; a bool before
    "ttm_bo_vm_reserve": Drop(Tells.NONZERO),  # drivers/gpu/drm/ttm/ttm_bo_vm.c:118
    "fixup_user_fault": Drop(Tells.UNLOCKED, -1, held=True),  # mm/gup.c:1635
    "get_user_pages_remote": Drop(Tells.LOCKED, -1),  # mm/gup.c:2698
    "pin_user_pages_remote": Drop(Tells.LOCKED, -1),  # mm/gup.c:3606
    "get_user_pages_locked": Drop(Tells.LOCKED, -1, until=(5, 18)),  # 73fd16d8080f
    "pin_user_pages_locked": Drop(Tells.LOCKED, -1, until=(5, 18)),
    "__get_user_pages_locked": Drop(Tells.LOCKED, -2),  # mm/gup.c:1720
    "__get_user_pages_remote": Drop(Tells.LOCKED, -1),  # before 6.3
    "populate_vma_page_range": Drop(Tells.LOCKED, -1),  # mm/gup.c:1888
    "faultin_page_range": Drop(Tells.LOCKED, -1),  # mm/gup.c:1962
    "faultin_vma_page_range": Drop(Tells.LOCKED, -1),  # before 631426ba1d45, 6.9
    "hpage_collapse_scan_pmd": Drop(Tells.LOCKED, -2),  # mm/khugepaged.c:1257
    "lock_mm_and_find_vma": Drop(Tells.NULL),  # mm/memory.c:6198; 6.5, and in 6.1.y
    "expand_stack": Drop(Tells.NULL, since=(6, 5)),  # mm/memory.c:6636, mm/mmap.c:1328
    "userfaultfd_remove": Drop(Tells.FALSE),  # fs/userfaultfd.c:779
    "madvise_willneed": Drop(Tells.PREV, 1, held=True),  # mm/madvise.c:306
    "madvise_dontneed_free": Drop(Tells.PREV, 1, held=True),  # mm/madvise.c:904
    "madvise_remove": Drop(Tells.PREV, 1, held=True),  # mm/madvise.c:1002
    "madvise_collapse": Drop(Tells.PREV, 1, held=True),  # mm/khugepaged.c:2789
    "madvise_vma_behavior": Drop(Tells.PREV, 1, held=True),  # mm/madvise.c:1043, any of the above
    "do_vmi_munmap": Drop(Tells.ZERO, 5, since=(6, 3)),  # mm/vma.c:1399, where `unlock` is true
    "do_vmi_align_munmap": Drop(Tells.ZERO, 6, since=(6, 3)),  # mm/vma.c:1352
}


def drop_of(code: Code, call: Call) -> Drop | None:
    """How a call would tell that it dropped the lock; None where it surely does not: no retry flag, no `locked`."""
    drop = DROPS.get(call.name)
    if drop is None or (code.version and drop.since and code.version < drop.since):
        return None
    if code.version and drop.until and code.version >= drop.until:
        return None
    if drop.tells in (Tells.LOCKED, Tells.UNLOCKED, Tells.PREV) and told_in(call, drop) is None:
        return None
    if drop.tells is Tells.ZERO and call.text(drop.argument or 0) not in ("true", "1"):
        return None
    return drop


def told_in(call: Call, drop: Drop) -> str | None:
    """The variable that learns that the lock was dropped, `*p` where a pointer was handed on; None for NULL."""
    if drop.argument is None or not -len(call.arguments) <= drop.argument < len(call.arguments):
        return None
    given = call.arguments[drop.argument]
    if len(given) == 2 and given[0].text == "&":
        return given[1].text
    text = "".join(t.text for t in given)
    return None if text in ("NULL", "0", "") else f"*{text}"


def foll_definitions(code: Code) -> Iterator[tuple[Token, str]]:
    """(name, value) of each FOLL_X = 1 << n and #define FOLL_X n."""
    tokens = code.tokens
    for n in code.words(*(word for word in code.vocabulary if word.startswith("FOLL_"))):
        token = tokens[n]
        if n + 1 >= len(tokens):
            continue
        if tokens[n + 1].text == "=" and n + 2 < len(tokens):
            end = n + 2
            while end < len(tokens) and tokens[end].text not in (",", "}", ";"):
                end += 1
            yield token, "".join(t.text for t in tokens[n + 2 : end])
        elif n >= 2 and tokens[n - 1].text == "define" and tokens[n + 1].directive == token.directive != 0:
            end = n + 1
            while end < len(tokens) and tokens[end].directive == token.directive:
                end += 1
            yield token, "".join(t.text for t in tokens[n + 1 : end])


# mm, vm_mm, init_mm; dup_mmap()'s oldmm (kernel/fork.c), mm1
_MM_NAME = re.compile(r"(?:^|_|^old|^new)mm\d?$")


def is_mm(operand: Sequence[Token]) -> bool:
    """An expression that is a pointer to an mm_struct, by its last name: mm, vma->vm_mm, current->mm, src_mm."""
    texts = [t.text for t in operand]
    while texts and texts[-1] in (")", "("):
        texts.pop()
    return bool(texts) and texts[-1] != "drm_mm" and _MM_NAME.search(texts[-1]) is not None


def mm_names(code: Code) -> frozenset[str]:
    """Names that the file declares as `struct mm_struct *`."""
    tokens = code.tokens
    return frozenset(
        tokens[n + 2].text for n in code.words("mm_struct") if n + 2 < len(tokens) and tokens[n + 1].text == "*"
    )


def mm_of_lock(
    argument: Sequence[Token],
    members: Sequence[str] = ("mmap_lock", "mmap_sem"),
    names: Collection[str] = (),
) -> str | None:
    """`&current->mm->mmap_lock` -> 'current->mm'; None where it is not the address of an mm's lock.

    mmap_sem was a member of mm_struct alone; mmap_lock is one of many structures, so its owner must be an mm, by its
    name or because it is one of `names` (`mm_names`).
    """
    found = _lock_owner(argument, members, names)
    return found[0] + "".join(t.text for t in found[1]) if found else None


def _lock_owner(
    argument: Sequence[Token], members: Sequence[str], names: Collection[str]
) -> tuple[str, Sequence[Token]] | None:
    """What stands in front of an mm as an argument, '&' for an object, and its tokens; None as `mm_of_lock`."""
    tokens = list(argument)
    while tokens and tokens[0].text == "(" and tokens[-1].text == ")":
        tokens = tokens[1:-1]
    if len(tokens) > 2 and tokens[0].text == "&" and closing(tokens, 1) == len(tokens):
        tokens = [tokens[0], *tokens[2:-1]]  # &(mm->mmap_lock)
    if len(tokens) < 4 or tokens[0].text != "&" or tokens[-1].text not in members or tokens[-2].text not in ("->", "."):
        return None
    owner = tokens[1:-2]
    if tokens[-1].text == "mmap_lock" and not is_mm(owner) and "".join(t.text for t in owner).strip("()") not in names:
        return None
    return ("&" if tokens[-2].text == "." else ""), owner


def replacement(code: Code, call: Call, names: Collection[str] = ()) -> str | None:
    """The line of a raw call on an mm's lock with the API's call instead; None where there is no such call.

    `names` as in `mm_of_lock`. A second argument, down_write_nested()'s subclass, stays as it is.
    """
    new = _api_call(code, call.name)
    if new is None or len(call.arguments) != (2 if call.name == "down_write_nested" else 1):
        return None
    mm = mm_as_written(code, call.arguments[0], names)
    if mm is None:
        return None
    if len(call.arguments) == 2:
        return substituted(code, call.tokens[: 2 + len(call.arguments[0])], f"{new}({mm}")
    return substituted(code, call.tokens, f"{new}({mm})")


def mm_as_written(code: Code, argument: Sequence[Token], names: Collection[str] = ()) -> str | None:
    """The mm of which `argument` is the address of the lock, as it stands in its line, to be handed to the API.

    None where it is no such address, or stands on several lines.
    """
    found = _lock_owner(argument, ("mmap_lock", "mmap_sem"), names)
    if found is None:
        return None
    prefix, owner = found
    first, last = owner[0], owner[-1]
    if first.line != last.line or len(code.lines[first.line].text) > LONGEST_LINE:
        return None
    mm = code.lines[first.line].text[first.column : last.column + len(last.text)]
    if not prefix and len(owner) == 3 and owner[0].text == "(" and owner[1].kind is Kind.WORD:
        return owner[1].text  # a macro's (mm)
    return prefix + mm


def _api_call(code: Code, name: str) -> str | None:
    """The API's name for an rwsem function, where the kernel at hand has it."""
    new = REPLACEMENTS.get(name)
    if new is None:
        return None
    if code.facts and "mmap_read_lock" in code.facts.names:
        return new if new in code.facts.names else None
    gone, version = MMAP_API.get(new), code.version
    if gone and (version is None or version >= gone):
        return None
    return new if version is None or version >= _LATER_API.get(new, version) else None


def is_locked_checks(code: Code) -> Iterator[Match]:
    """VM_BUG_ON(!rwsem_is_locked($lock)) and its like, on whatever lock."""
    for pattern in IS_LOCKED:
        yield from code.matches(pattern)


def assertion(code: Code, check: Match) -> str | None:
    """The line of such a check with mmap_assert_locked() instead; None where it is no statement of its own.

    mmap_assert_locked() has no value: it cannot stand in `if (WARN_ON(..))`.
    """
    tokens = check.tokens
    line = code.lines[tokens[0].line].text.strip()
    mm = mm_as_written(code, check.bound["lock"])
    if mm is None or not (line.startswith(tokens[0].text) and line.endswith(");")):
        return None
    return substituted(code, tokens, f"mmap_assert_locked({mm})")


def substituted(code: Code, tokens: Sequence[Token], text: str) -> str | None:
    """The line that the tokens stand on with `text` in their place; None where they span lines, or it is too long."""
    first, last = tokens[0], tokens[-1]
    if first.line != last.line or len(code.lines[first.line].text) > LONGEST_LINE:
        return None
    line = code.lines[first.line].text
    return line[: first.column] + text + line[last.column + len(last.text) :]


def unlocks(statement: Statement) -> Iterator[Call]:
    """Calls in a statement that release an mmap_lock, by the API or by hand."""
    for call in calls(statement.tokens, *MMAP_UNLOCKS, *RAW_UNLOCKS):
        if call.name in MMAP_UNLOCKS or (call.arguments and mm_of_lock(call.arguments[0]) is not None):
            yield call


def locks(statement: Statement) -> Iterator[Call]:
    """Calls in a statement that take an mmap_lock, by the API or by hand."""
    for call in calls(statement.tokens, *MMAP_LOCKS, *RAW_LOCKS):
        if call.name in MMAP_LOCKS or (call.arguments and mm_of_lock(call.arguments[0]) is not None):
            yield call


def lock_operand(call: Call) -> str:
    """Which mm a lock or unlock call is about, as text."""
    if call.name.startswith("mmap_"):
        return call.text(0)
    return mm_of_lock(call.arguments[0]) or "" if call.arguments else ""


def locked_argument(call: Call) -> str | None:
    """The local variable by which a call tells that it dropped the lock (`&locked`); None for NULL and for what the
    caller was given."""
    found = (a[1].text for a in reversed(call.arguments) if len(a) == 2 and a[0].text == "&")
    return next((name for name in found if name.endswith("locked")), None)


def has_word(tokens: Sequence[Token], *words: str) -> bool:
    """One of the words stands among the tokens."""
    return any(t.text in words for t in tokens if t.kind is Kind.WORD)


def mentions(statement: Statement, *words: str) -> bool:
    """One of the words stands in what the statement evaluates (not in its body)."""
    return has_word(statement.tokens, *words)


# what they return is a VMA: include/linux/mm.h:805, :3481-3500
VMA_LOOKUPS = ("find_vma", "vma_lookup", "lock_vma_under_rcu", "find_vma_intersection")


def _result(tokens: Sequence[Token], n: int) -> str | None:
    """The variable that the result of the call at tokens[n] goes to: `area = find_vma(..)`; None for a member."""
    if n < 2 or [t.text for t in tokens[n - 1 : n + 2 : 2]] != ["=", "("] or tokens[n - 2].kind is not Kind.WORD:
        return None
    return None if n > 2 and tokens[n - 3].text in ("->", ".") else tokens[n - 2].text


def vma_names(function: Function) -> frozenset[str]:
    """Names in a function that stand for a pointer to a VMA: what is declared as one or looked up, and `vma`.

    Not where `vma` is declared as something else: struct i915_vma, struct drm_gpuva.
    """
    names, others = {"vma"}, set[str]()
    for tokens in (function.header, *(s.tokens for s in function.walk())):
        for n, token in enumerate(tokens):
            if token.text == "vm_area_struct" and n + 2 < len(tokens) and tokens[n + 1].text == "*":
                n += 2
                if tokens[n].kind is Kind.WORD:
                    names.add(tokens[n].text)
                # struct vm_area_struct *vma, *prev;
                while n + 3 < len(tokens) and tokens[n + 1].text == "," and tokens[n + 2].text == "*":
                    n += 3
                    names.add(tokens[n].text)
            elif [t.text for t in tokens[n : n + 3 : 2]] == ["struct", "*"] and tokens[n + 1].text != "vm_area_struct":
                others.update(t.text for t in tokens[n + 3 : n + 4])
            elif token.text in ("vm_area_alloc", "vm_area_dup") and n >= 2 and tokens[n - 1].text == "=":
                others.add(tokens[n - 2].text)  # not yet in any tree: its function's own
            elif token.text in VMA_LOOKUPS and (result := _result(tokens, n)):
                names.add(result)
    if takes_vm_fault(function):
        names.add("vmf->vma")
    return frozenset(names - others)


def pointer_uses(tokens: Sequence[Token], name: str) -> Iterator[tuple[Token, ...]]:
    """Where a pointer is followed (`p->x`, `*p`) or handed to a call (`f(p)`, `f(a, p)`); comparing it is no use.

    `name` may be a member: `vmf->vma`.
    """
    parts = name.replace("->", " -> ").split()
    depth: list[str] = []  # for each open bracket: the word before it
    for n, token in enumerate(tokens):
        if token.text in ("(", "["):
            before = tokens[n - 1] if n else None
            depth.append(before.text if before and before.kind is Kind.WORD else "")
        elif token.text in (")", "]") and depth:
            depth.pop()
        if token.text != parts[0] or token.kind is not Kind.WORD or (n and tokens[n - 1].text in ("->", ".")):
            continue
        end = n + len(parts)
        if len(parts) > 1 and [t.text for t in tokens[n:end]] != parts:
            continue
        before_, after = tokens[n - 1].text if n else "", tokens[end].text if end < len(tokens) else ""
        if after == "->":
            if not _offset_only(tokens, n):
                yield tuple(tokens[n : end + 2])
        elif (before_ in ("(", ",") and after in (")", ",") and depth and depth[-1] not in _NO_CALL) or (
            before_ == "*"
            and n >= 2
            and tokens[n - 2].text in ("=", "(", ",")
            and (not depth or depth[-1] not in ("sizeof", "typeof"))
        ):
            yield tuple(tokens[n:end])


def looked_up_by_loop(statement: Statement, name: str) -> bool:
    """for_each_vma(vmi, vma): every turn gives the name a new value."""
    return statement.kind is StatementKind.LOOP and "for_each" in statement.head and mentions(statement, name)


def reads_first(statement: Statement, name: str) -> bool:
    """`vma = vma_lookup(mm, vma->vm_start)`: the old value is followed before the new one is there."""
    texts = [t.text for t in statement.tokens]
    end = texts.index(";") if ";" in texts else len(texts)  # of a for's first part
    return texts[:2] == [name, "="] and any(pointer_uses(statement.tokens[2:end], name))


# names before a ( that do not follow the pointer they are given
_NO_CALL = frozenset(
    (
        "",
        "if",
        "while",
        "return",
        "sizeof",
        "typeof",
        "likely",
        "unlikely",
        "IS_ERR",
        "PTR_ERR",
        "IS_ERR_OR_NULL",
        "PTR_ERR_OR_ZERO",
        "ERR_CAST",
        "VM_WARN_ON",
        "VM_WARN_ON_ONCE",
        "offsetof",
        "printk",
        "pr_debug",
        "pr_info",
        "pr_warn",
        "pr_err",
        "WARN_ON",
        "BUG_ON",
        "VM_BUG_ON",
        "WARN_ON_ONCE",
        "for",
        "switch",
        "vm_area_free",
        "kfree",
        "remove_vma",
        "put_vma",
    )
)


def _offset_only(tokens: Sequence[Token], n: int) -> bool:
    """&p->member is only followed by whoever gets it; sizeof(p->x) never."""
    return n >= 2 and tokens[n - 1].text == "(" and tokens[n - 2].text in ("sizeof", "typeof")


def conditions(function: Function) -> dict[Statement, tuple[tuple[str, bool], ...]]:
    """For each statement of a function, what the branches around it tell."""
    known: dict[Statement, tuple[tuple[str, bool], ...]] = {}

    def enter(statements: Sequence[Statement], around: tuple[tuple[str, bool], ...]) -> None:
        for s in statements:
            known[s] = around
            if s.kind is StatementKind.IF and s.tokens:
                enter(s.body, (*around, *facts(s.tokens, True)))
                enter(s.orelse, (*around, *facts(s.tokens, False)))
            else:
                enter(s.body, around)
                enter(s.orelse, around)

    enter(function.statements, ())
    return known


def told_near(flow: Flow, start: Statement) -> tuple[tuple[str, bool], ...]:
    """What straight-line code around a statement sets to a constant, as `facts` would tell it.

    `locked = false;` tells ("locked", False), `op = AGAIN;` tells ("op==AGAIN", True). Such a flag is set next to
    the unlock that it tells of, so eight statements each way are enough.
    """
    known: list[tuple[str, bool]] = []
    for step in (flow.only_next, flow.only_previous):
        now = step(start)
        for _ in range(8):
            if now is None:
                break
            texts = [t.text for t in now.tokens]
            if now.kind is StatementKind.EXPRESSION and len(texts) == 3 and texts[1] == "=":
                if texts[2] in ("0", "1", "true", "false"):
                    known.append((texts[0], texts[2] in ("1", "true")))
                elif now.tokens[2].kind is Kind.WORD:
                    known.append((f"{texts[0]}=={texts[2]}", True))
            now = step(now)
    return tuple(known)


def contradicts(known: Sequence[tuple[str, bool]]) -> Callable[[Statement, Edge], bool]:
    """A `cut` for Flow.after: an edge that needs the opposite of what is known where the walk began."""
    truth = dict(known)
    values = dict(operand.split("==", 1) for operand, true in known if true and "==" in operand)

    def other(operand: str, value: bool) -> bool:
        """`mode == B` where mode is known to be A."""
        name, equal, constant = operand.partition("==")
        return bool(value and equal and values.get(name, constant) != constant)

    def cut(statement: Statement, edge: Edge) -> bool:
        if statement.kind is StatementKind.SWITCH:
            value = values.get("".join(t.text for t in statement.tokens))
            cases = (s for s in statement.walk() if s.kind is StatementKind.CASE)
            wanted = next((s for s in cases if "".join(t.text for t in s.tokens) == value), None)
            return wanted is not None and edge.to is not wanted
        if statement.kind is not StatementKind.IF or edge.truth is None:
            return False
        return any(
            truth.get(operand, value) is not value or other(operand, value)
            for operand, value in facts(statement.tokens, edge.truth)
        )

    return cut


def variable_tokens(function: Function, name: str) -> list[Token]:
    """All tokens that are assigned to a variable in a function (`x = ..`, `x |= ..`, its initialiser)."""
    return [token for _, _, value in _assignments(function, name) for token in value]


def _assignments(function: Function, name: str) -> Iterator[tuple[Statement, str, list[Token]]]:
    """(statement, operator, value) of each assignment to a variable."""
    for s in function.walk():
        tokens = s.tokens
        for n, token in enumerate(tokens):
            operator = tokens[n + 1].text if token.text == name and n + 1 < len(tokens) else ""
            if operator in ("=", "|=", "&=", "^=") and (not n or tokens[n - 1].text not in ("->", ".")):
                value: list[Token] = []
                depth = 0
                for t in tokens[n + 2 :]:
                    depth += t.text in ("(", "[", "{")
                    depth -= t.text in (")", "]", "}")
                    if depth < 0 or (depth == 0 and t.text == ","):
                        break
                    value.append(t)
                yield s, operator, value


def flag_tokens(function: Function | None, argument: Sequence[Token]) -> list[Token]:
    """The flags that an argument surely has: its own, and those of the local variables in it.

    A variable whose value depends on the way (set twice, cleared, set under a condition) tells only what it has on
    every way; what stands behind ~ is not set.
    """
    found = _set_flags(argument)
    if function:
        around: dict[Statement, tuple[tuple[str, bool], ...]] | None = None
        for token in argument:
            if token.kind is Kind.WORD and not token.text.isupper():
                assigned_to = list(_assignments(function, token.text))
                if sum(operator == "=" for _, operator, _ in assigned_to) > 1 or any(
                    operator in ("&=", "^=") for _, operator, _ in assigned_to
                ):
                    continue
                around = conditions(function) if around is None and assigned_to else around
                for s, operator, value in assigned_to:
                    if operator == "=" or not (around or {}).get(s):
                        found.extend(_set_flags(value))
    return found


def _set_flags(tokens: Sequence[Token]) -> list[Token]:
    """Tokens without those behind a ~."""
    found: list[Token] = []
    n = 0
    while n < len(tokens):
        if tokens[n].text == "~":
            bracket = n + 1 < len(tokens) and tokens[n + 1].text == "("
            n = (closing(tokens, n + 1) or len(tokens)) if bracket else n + 2
            continue
        found.append(tokens[n])
        n += 1
    return found


def takes_vm_fault(function: Function) -> bool:
    """The function has a `struct vm_fault *` parameter: it runs under the mmap_lock or the VMA lock."""
    texts = [t.text for t in function.header]
    return any(texts[n : n + 2] == ["vm_fault", "*"] for n in range(len(texts)))


# a pointer to a VMA by its name alone: vma, src_vma, vma2, vmas
_VMA_NAME = re.compile(r"(?:^|_)vma(?:p|s|\d|_prev|_next|_new|_old)?$")
# an expression in front of a -> or . that is longer than this is none of a person's
_MAX_OWNER = 60


def member_owner(tokens: Sequence[Token], n: int) -> tuple[Token, ...]:
    """The expression of which tokens[n] is a member, `(*prev)` of `(*prev)->vm_end`; () where there is none."""
    if n < 2 or tokens[n - 1].text not in ("->", "."):
        return ()
    at = n - 2
    least = max(0, n - _MAX_OWNER)
    while True:
        while tokens[at].text in ("]", ")"):
            opening = _opening(tokens, at, least)
            if opening is None:
                return ()
            named = opening > least and tokens[opening - 1].kind is Kind.WORD
            if tokens[at].text == ")" and (not named or tokens[opening - 1].text in _NO_CALL):
                return tuple(tokens[opening : n - 1])
            at = opening - 1
        if tokens[at].kind is not Kind.WORD:
            return ()
        if at - 2 < least or tokens[at - 1].text not in ("->", "."):
            return tuple(tokens[at : n - 1])
        at -= 2


def _opening(tokens: Sequence[Token], at: int, least: int) -> int | None:
    depth = 0
    for n in range(at, least - 1, -1):
        depth += tokens[n].text in (")", "]")
        depth -= tokens[n].text in ("(", "[")
        if depth == 0:
            return n
    return None


def struct_names(function: Function | None) -> dict[str, str]:
    """Name -> structure of each variable and parameter of a function that is seen declared as `struct x`, of any depth
    of pointer; a name that stands for two of them tells nothing and is left out."""
    found: dict[str, str] = {}
    if function is None:
        return found
    twice: set[str] = set()
    for tokens in (function.header, *(s.tokens for s in function.walk())):
        for n, token in enumerate(tokens):
            if token.text != "struct" or n + 2 >= len(tokens):
                continue
            tag, depth, fresh = tokens[n + 1].text, 0, True
            for t in tokens[n + 2 : n + 200]:
                depth += t.text in ("(", "[", "{")
                depth -= t.text in (")", "]", "}")
                if depth < 0 or t.text in (";", "struct"):
                    break
                if depth == 0 and t.text == ",":
                    fresh = True
                elif depth == 0 and fresh and t.kind is Kind.WORD and t.text not in ("const", "__rcu", "__user"):
                    if found.setdefault(t.text, tag) != tag:
                        twice.add(t.text)
                    fresh = False
    return {name: tag for name, tag in found.items() if name not in twice}


def is_vma(owner: Sequence[Token], declared: Mapping[str, str]) -> bool:
    """An expression that is a VMA or a pointer to one, by what it is declared as (`struct_names`) or by its name."""
    tokens = list(owner)
    while tokens and (tokens[0].text in ("*", "&") or (tokens[0].text == "(" and closing(tokens, 0) == len(tokens))):
        tokens = tokens[1:] if tokens[0].text != "(" else tokens[1:-1]
    while tokens and tokens[-1].text == "]":
        opening = _opening(tokens, len(tokens) - 1, 0)
        tokens = tokens[:opening]
    if not tokens:
        return False
    if len(tokens) > 1 and tokens[1].text == "(":
        return tokens[0].text in ("find_vma", "vma_lookup", "find_vma_intersection", "vma_next", "find_extend_vma")
    if len(tokens) == 1 and tokens[0].text in declared:
        return declared[tokens[0].text] == "vm_area_struct"
    return tokens[-1].kind is Kind.WORD and _VMA_NAME.search(tokens[-1].text) is not None
