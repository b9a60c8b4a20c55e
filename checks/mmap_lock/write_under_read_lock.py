# SPDX-License-Identifier: GPL-2.0-or-later
"""A VMA or the address space is changed with mmap_lock held for reading only"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reviewbot.c.code import Call, Code, calls
from reviewbot.c.skeleton import Function, Statement
from reviewbot.c.tokens import Kind, Token
from reviewbot.kernel import has_word, vma_names
from reviewbot.locks import LockPaths, Mode, guarded, lock_paths
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, code_rule

# members that only a writer may change (include/linux/mm_types.h:690-760)
FIELDS = frozenset("vm_start vm_end vm_pgoff vm_page_prot vm_flags __vm_flags vm_ops vm_private_data vm_file".split())
ASSIGNING = frozenset(("=", "+=", "-=", "|=", "&=", "^=", "<<=", ">>=", "++", "--"))
# they assert the write lock, or change vm_flags, which does: include/linux/mm.h:900-990 (vm_flags_*),
# mm/memory.c:2785 (remap_pfn_range sets VM_IO), mm/mmap.c, mm/vma.c, mm/ksm.c:2790, mm/mprotect.c, mm/mlock.c
NEEDS_WRITE = (
    "vm_flags_set", "vm_flags_clear", "vm_flags_mod", "vm_flags_reset", "vm_flags_reset_once", "__vm_flags_mod",
    "vma_start_write", "vma_set_page_prot", "remap_pfn_range", "io_remap_pfn_range", "remap_vmalloc_range",
    "remap_vmalloc_range_partial", "do_munmap", "do_vmi_munmap", "do_vmi_align_munmap", "do_mmap", "mmap_region",
    "do_brk_flags", "ksm_madvise", "mprotect_fixup", "split_vma", "insert_vm_struct", "mm_take_all_locks",
)  # fmt: skip
# they set VM_MIXEDMAP unless the driver's ->mmap() has done so: mm/memory.c:2172 and :2220
INSERTS = ("vm_insert_page", "vm_insert_pages", "vm_map_pages", "vm_map_pages_zero")
# what a reader may do as well
READS = frozenset(
    "find_vma vma_lookup find_vma_intersection find_vma_prev get_user_pages pin_user_pages get_user_pages_remote "
    "pin_user_pages_remote vma_is_anonymous vma_is_shmem is_vm_hugetlb_page follow_pfn follow_pte pte_unmap_unlock "
    "follow_pfnmap_start follow_pfnmap_end if for while return sizeof likely unlikely IS_ERR PTR_ERR "
    "pr_err pr_debug pr_info pr_warn dev_err dev_dbg dev_info dev_warn min max range_in_vma vma_pages "
    "mmap_write_unlock up_write get_file file_inode file_user_path".split()
)
LOOKUPS = ("find_vma", "vma_lookup", "find_vma_intersection", "get_user_pages", "pin_user_pages")


@code_rule(
    Severity.ERROR,
    id="ML10",
    words=("mmap_read_", "mmap_write_lock", "mmap_write_downgrade", "mmap_sem"),
    confidence=Confidence.HIGH,
)
def check(code: Code) -> Iterator[Report]:
    """Changes at places that every way reaches with the lock taken for reading; and the other way round."""
    for function in code.functions:
        locks = [paths for paths in lock_paths(code, function) if not paths.cut]
        around = {s: call for s, call in guarded(function).items() if call.name == "mmap_read_lock"}
        if not (locks or around):
            continue
        names = vma_names(function)
        mixed = code.once("VM_MIXEDMAP", _mixed)
        for s in function.walk():
            taken = _reading(locks, s) or around.get(s)
            if taken is None:
                continue
            how = "downgraded here" if "downgrade" in taken.name else "taken for reading here"
            for change, what in _changes(s, names):
                yield Report(change, f"{what} with mmap_lock held for reading only", ((taken.tokens, how),))
            for call in calls(s.tokens, *NEEDS_WRITE, *(() if mixed else INSERTS)):
                why = "may set VM_MIXEDMAP" if call.name in INSERTS else "needs mmap_lock for writing"
                held = "with mmap_lock held for reading only" if call.name in INSERTS else "which is held for reading"
                yield Report(call.tokens, f"{call.name}() {why}, {held}", ((taken.tokens, how),))
        for paths in locks:
            yield from _needless(function, paths, names)


def _mixed(files: Sequence[Code]) -> bool:
    return any(file.says("VM_MIXEDMAP") and any(True for _ in file.words("VM_MIXEDMAP")) for file in files)


def _reading(locks: Sequence[LockPaths], s: Statement) -> Call | None:
    """The call by which the lock is held for reading on every way to a statement; None where one is held otherwise."""
    found = None
    for paths in locks:
        states = paths.states(s)
        if any(state.mode is Mode.WRITE for state in states):
            return None
        if states and all(state.mode is Mode.READ for state in states):
            found = found or paths.call(states[0])
    return found


def _changes(s: Statement, names: frozenset[str]) -> Iterator[tuple[tuple[Token, ...], str]]:
    """Assignments to a member of a VMA, with WRITE_ONCE() too."""
    tokens = s.tokens
    for n, token in enumerate(tokens):
        if token.text not in FIELDS or n < 2 or tokens[n - 1].text != "->" or tokens[n - 2].kind is not Kind.WORD:
            continue
        start = n - 2
        while start > 1 and tokens[start - 1].text in ("->", ".") and tokens[start - 2].kind is Kind.WORD:
            start -= 2
        name = "".join(t.text for t in tokens[start : n - 1])
        if name not in names:
            continue
        before, after = tokens[start - 1].text if start else "", tokens[n + 1].text if n + 1 < len(tokens) else ""
        once = before == "(" and start > 1 and tokens[start - 2].text == "WRITE_ONCE" and after == ","
        if after in ASSIGNING or before in ("++", "--") or once:
            yield tuple(tokens[start : n + 1]), f"'{name}->{token.text}' is written"


def _needless(function: Function, paths: LockPaths, names: frozenset[str]) -> Iterator[Report]:
    """Between a mmap_write_lock() and its unlock nothing but lookups."""
    inside: dict[int, list[Statement]] = {}
    outside: set[int] = set()
    for s in function.walk():
        states = paths.states(s)
        written = {state.by for state in states if state.mode is Mode.WRITE}
        if len(states) == 1 and written:
            inside.setdefault(states[0].by, []).append(s)
        else:
            outside |= written
    for by, statements in inside.items():
        call = paths.calls[by]
        if by in outside or "downgrade" in call.name or not any(_releases(s) for s in statements):
            continue
        looked = [c for s in statements for c in calls(s.tokens, *LOOKUPS)]
        if looked and all(_reads(s, names) for s in statements):
            yield Report(
                call.tokens,
                f"{call.name}() takes mmap_lock for writing, and only {looked[0].name}() is done under it",
                ((looked[0].tokens, "would do with mmap_lock held for reading"),),
                severity=Severity.INFO,
            )


def _releases(s: Statement) -> bool:
    return has_word(s.tokens, "mmap_write_unlock", "up_write")


def _reads(s: Statement, names: frozenset[str]) -> bool:
    """Nothing is changed by a statement but local variables."""
    for n, token in enumerate(s.tokens):
        after = s.tokens[n + 1].text if n + 1 < len(s.tokens) else ""
        if after == "(" and token.kind is Kind.WORD and token.text not in READS:
            return False
        if after in ASSIGNING and n and s.tokens[n - 1].text in ("->", ".", "*") and token.text not in names:
            return False
    return not any(_changes(s, names))
