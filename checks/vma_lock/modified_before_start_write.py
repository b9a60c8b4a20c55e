# SPDX-License-Identifier: GPL-2.0-or-later
"""A VMA is changed first and write-locked after"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reviewbot.c.code import Call, Code, assigned, calls
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Token
from reviewbot.kernel import looked_up_by_loop, mentions
from reviewbot.model import Severity
from reviewbot.rule import Report, code_rule

# vma_write_lock() was its name in the first postings
START = ("vma_start_write", "vma_start_write_killable", "vma_write_lock")
# fields that readers under the VMA lock look at: include/linux/mm_types.h, struct vm_area_struct
FIELDS = frozenset(
    "vm_start vm_end vm_pgoff vm_page_prot vm_ops vm_file vm_private_data anon_vma vm_policy vm_userfaultfd_ctx".split()
)
# write what they are given of a VMA, or its page tables: mm/vma.h, mm/memory.c, mm/mprotect.c, mm/mremap.c, mm/mlock.c
CHANGING = (
    "vma_set_range", "vma_set_page_prot", "vma_set_anonymous", "vma_iter_store", "vma_mas_store",
    "vm_flags_reset", "vm_flags_reset_once", "unmap_page_range", "zap_page_range_single", "zap_vma_ptes", "unmap_vmas",
    "unmap_single_vma", "change_protection", "move_page_tables", "remap_pfn_range", "io_remap_pfn_range",
    "hugetlb_change_protection", "userfaultfd_set_ctx", "userfaultfd_set_vm_flags",
    "uprobe_munmap", "vma_adjust_trans_huge",
)  # fmt: skip
# lock before they write (include/linux/mm.h:884-917), or say that it is done; the VMA of vm_area_alloc() and of
# vm_flags_init() is in no tree (:855)
LOCKING = (
    *START, "vm_flags_set", "vm_flags_clear", "vm_flags_mod", "vma_assert_write_locked", "vma_assert_locked",
    "vm_area_alloc", "vm_area_dup", "vm_flags_init", "vma_init", "vma_mark_detached", "vma_prepare",
)  # fmt: skip


@code_rule(Severity.WARNING, id="PV03", words=START)
def check(code: Code) -> Iterator[Report]:
    """Backwards from vma_start_write() to a change of the same VMA that nothing before it has locked."""
    for function in code.functions:
        decided: list[Statement] | None = None
        for statement in function.walk():
            for call in calls(statement.tokens, *START):
                name = call.text(0)
                found = _changed_before(code, function, statement, name)
                if found:
                    yield Report(
                        call.tokens,
                        f"'{name}' is write-locked in {function.name or 'this function'}() only after it was changed",
                        ((found, "changed here"),),
                    )
                    continue
                decided = _downgrading(function) if decided is None else decided
                branch = next((s for s in decided if s.holds(statement)), None)
                if branch is not None and (downgrade := _downgrade_beside(branch, statement)):
                    yield Report(
                        call.tokens,
                        f"'{name}' is write-locked where {function.name or 'the function'}() would already give the "
                        "write lock back: what it is to protect is done",
                        ((downgrade, "downgraded here"),),
                    )


def _changed_before(code: Code, function: Function, start: Statement, name: str) -> Sequence[Token] | None:
    flow = code.flow(function)

    def stop(s: Statement) -> bool:
        return _renewed(s, name) or _locks(s, name)

    for s in flow.before(start, stop):
        if stop(s):
            continue
        change = _change(s, name)
        if not change:
            continue
        earlier = list(flow.before(s))
        # where it comes from is not seen: it may be a new one, which nobody else reaches
        given = any(t.text == name for t in function.header) or any(name in assigned(b) for b in earlier)
        if given and not any(_locks(b, name) for b in earlier):
            return change
    return None


def _renewed(s: Statement, name: str) -> bool:
    return name in assigned(s) or looked_up_by_loop(s, name)


def _made(s: Statement, name: str) -> bool:
    return name in assigned(s) and mentions(s, "vm_area_alloc", "vm_area_dup")


def _locks(s: Statement, name: str) -> bool:
    return any(name in (call.text(0), call.text(1)) for call in calls(s.tokens, *LOCKING)) or _made(s, name)


def _change(s: Statement, name: str) -> Sequence[Token] | None:
    """What a statement writes of the VMA: a field, or through a function."""
    tokens = s.tokens
    for n in range(len(tokens) - 3):
        if (
            tokens[n].text == name
            and tokens[n + 1].text == "->"
            and tokens[n + 2].text in FIELDS
            and tokens[n + 3].text in ("=", "+=", "-=")
            and (n == 0 or tokens[n - 1].text not in ("->", "."))
        ):
            return tokens[n : n + 3]
    found: Call | None = next((c for c in calls(tokens, *CHANGING) if any(c.text(i) == name for i in range(3))), None)
    return found.tokens if found else None


def _downgrading(function: Function) -> list[Statement]:
    """The ifs that decide whether the lock is downgraded, outermost first."""
    return [
        s
        for s in function.walk()
        if s.kind is StatementKind.IF and s.orelse and any(mentions(i, "mmap_write_downgrade") for i in s.walk())
    ]


def _downgrade_beside(branch: Statement, statement: Statement) -> Sequence[Token] | None:
    """The mmap_write_downgrade() in a branch of an if in whose other branch the statement stands."""
    for mine, other in ((branch.body, branch.orelse), (branch.orelse, branch.body)):
        if not any(s.holds(statement) for s in mine):
            continue
        for s in other:
            for inner in s.walk():
                call = next(calls(inner.tokens, "mmap_write_downgrade"), None)
                if call:
                    return call.tokens
        for s in mine:  # else if
            if s.kind is StatementKind.IF and s.holds(statement):
                return _downgrade_beside(s, statement)
    return None
