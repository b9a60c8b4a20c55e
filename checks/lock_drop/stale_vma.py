# SPDX-License-Identifier: GPL-2.0-or-later
"""A VMA is used after a call that may have dropped the lock which kept it alive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reviewbot.checks.lock_drop._drops import DropPaths, dropping, no_code, target

from reviewbot.c.code import Call, Code, assigned, calls
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Kind, Token
from reviewbot.kernel import (
    DROPS,
    VMA_UNLOCKS,
    Drop,
    Tells,
    conditions,
    contradicts,
    locks,
    looked_up_by_loop,
    mentions,
    pointer_uses,
    reads_first,
    takes_vm_fault,
    told_in,
    vma_names,
)
from reviewbot.model import Severity
from reviewbot.rule import Report, code_rule

# what may only be called with the mmap lock held: mm/mmap.c, mm/memory.c, mm/gup.c, mm/pagewalk.c
NEED_LOCK = (
    "find_vma", "vma_lookup", "find_vma_intersection", "find_extend_vma_locked", "get_user_pages", "pin_user_pages",
    "follow_pfnmap_start", "follow_pte", "walk_page_range", "walk_page_vma", "__gmap_link", "vm_insert_page",
    "zap_page_range_single", "mmap_assert_locked",
)  # fmt: skip
# pointers into page tables, which go with the VMA: include/linux/mm_types.h, asm-generic/pgtable*.h
TABLES = frozenset(("pte_t", "pmd_t", "pud_t"))


@code_rule(
    Severity.ERROR,
    id="DR06",
    words=(
        "fault", "_user_pages", "_user_pages_remote", "userfaultfd_remove", "walk", "populate_vma_page_range",
        "expand_stack", "madvise_", "do_vmi_", "_or_retry", "anon_prepare", "hpage_collapse",
    ),
)  # fmt: skip
def check(code: Code) -> Iterator[Report]:
    """From each such call to a use of the VMA: where nobody asked, and where the answer was that the lock is gone."""
    for function in code.functions:
        if function.macro:
            continue
        if _in_walk(function):
            for statement in function.walk():
                yield from _dropped_in_walk(statement)
        if not any(mentions(s, *DROPS) for s in function.walk()):
            continue
        seen = {t.text for s in function.walk() for t in s.tokens if t.kind is Kind.WORD}
        names = [name for name in sorted(_pointers(function)) if name.split("->")[-1] in seen]
        around = conditions(function)
        for statement in function.walk():
            for call, drop in dropping(code, function, statement) if mentions(statement, *DROPS) else ():
                if not mentions(statement, "VM_FAULT_RETRY", "VM_FAULT_COMPLETED"):
                    yield from _unasked(code, function, statement, call, drop, names, around[statement])
        for name in names:
            yield from _answered(code, function, name)
        yield from _unlocked(code, function)


def _pointers(function: Function) -> frozenset[str]:
    """Names of what goes with the lock: VMAs, and pointers into page tables."""
    found = set(vma_names(function))
    for tokens in (function.header, *(s.tokens for s in function.walk())):
        for a, b, c in zip(tokens, tokens[1:], tokens[2:], strict=False):
            if a.text in TABLES and b.text == "*" and c.kind is Kind.WORD:
                found.add(c.text)
    if takes_vm_fault(function):
        found.update(("vmf->pte", "vmf->pmd"))
    return frozenset(found)


def _asked(statement: Statement, call: Call, drop: Drop) -> frozenset[str]:
    """Words by which the code learns that the lock was dropped."""
    if drop.tells is Tells.RETRY:
        return frozenset(("VM_FAULT_RETRY", "VM_FAULT_COMPLETED"))
    by_argument = drop.tells in (Tells.LOCKED, Tells.UNLOCKED, Tells.PREV)
    name = told_in(call, drop) if by_argument else target(statement, call)
    return frozenset((name.lstrip("*"),)) if name else frozenset()


def _unasked(
    code: Code,
    function: Function,
    statement: Statement,
    call: Call,
    drop: Drop,
    names: Sequence[str],
    around: Sequence[tuple[str, bool]],
) -> Iterator[Report]:
    """Uses on a way on which nothing asks whether the lock is still held."""
    told = _asked(statement, call, drop)
    if not told and statement.kind is not StatementKind.EXPRESSION:
        return  # asked on the spot: that is for `_answered`
    if drop.tells is Tells.RETRY and target(statement, call) is None and statement.kind is StatementKind.RETURN:
        return
    result = target(statement, call)
    # a way on which the result is 0 is none on which a lock was dropped
    known = (*around, (result, True), *no_code(result)) if result and drop.tells is Tells.RETRY else tuple(around)
    cut = contradicts(known)
    flow = code.flow(function)
    for name in names:

        def stop(s: Statement, name: str = name) -> bool:
            return s is statement or _renewed(s, name) or mentions(s, *told) or any(pointer_uses(s.tokens, name))

        if _renewed(statement, name):
            continue
        for reached in flow.after(statement, stop, cut):
            if reached is statement or mentions(reached, *told) or looked_up_by_loop(reached, name):
                continue
            use = next(_uses(reached, name), None)
            if use and (not _renewed(reached, name) or reads_first(reached, name)):
                yield Report(
                    use,
                    f"'{name}' is used after {call.name}(), which may have dropped the lock that kept it alive",
                    ((call.tokens, "may drop the lock"),),
                )


def _answered(code: Code, function: Function, name: str) -> Iterator[Report]:
    """Uses on a way that has been told that the lock was dropped, and has not looked the pointer up again."""
    paths = DropPaths(code, function, lambda s: _renewed(s, name) or _handed(s, name), of_lock=False)
    for statement in function.walk() if paths.calls else ():
        use = next(_uses(statement, name), None)
        if use is None or (_renewed(statement, name) and not reads_first(statement, name)):
            continue
        every = paths.dropped(statement)
        for at, call, drop in (every or paths.answered(statement))[:1]:
            if drop.tells in (Tells.NULL, Tells.PREV) and name in (target(at, call), told_in(call, drop)):
                continue  # NULL is no stale pointer
            if looked_up_by_loop(statement, name):
                continue
            yield Report(
                use,
                f"'{name}' is used {'where' if every else 'after'} {call.name}() has said that it dropped the lock "
                "that kept it alive",
                ((call.tokens, "dropped here"),),
            )


def _unlocked(code: Code, function: Function) -> Iterator[Report]:
    """Calls that need the lock where every way has been told that it was dropped, and none has taken it again."""
    if not any(mentions(s, *NEED_LOCK) for s in function.walk()):
        return
    paths = DropPaths(code, function, _may_take)
    for statement in function.walk() if paths.calls else ():
        for need in calls(statement.tokens, *NEED_LOCK):
            for _, call, drop in (paths.tested(statement) or paths.dropped(statement))[:1]:
                if not drop.held:
                    yield Report(
                        need.tokens,
                        f"{need.name}() is called where {call.name}() has said that it dropped the lock that it needs",
                        ((call.tokens, "dropped here"),),
                    )


def _may_take(statement: Statement) -> bool:
    """The lock is taken again, or may be by a function whose name says so."""
    return next(locks(statement), None) is not None or any(
        "lock" in t.text and t.text not in DROPS
        for t in statement.tokens
        if t.kind is Kind.WORD and "unlock" not in t.text
    )


def _renewed(statement: Statement, name: str) -> bool:
    """The name stands for something else from here on."""
    if looked_up_by_loop(statement, name):
        return True
    if "->" in name:
        return f"{name}=" in "".join(t.text for t in statement.tokens[:5])
    return name in assigned(statement)


def _uses(statement: Statement, name: str) -> Iterator[tuple[Token, ...]]:
    """Uses of a pointer, but not the release of its own lock: whether that may be is for unlock-after-drop."""
    released = {id(t) for call in calls(statement.tokens, *VMA_UNLOCKS) for t in call.tokens}
    return (use for use in pointer_uses(statement.tokens, name) if id(use[0]) not in released)


def _handed(statement: Statement, name: str) -> bool:
    """What the pointer is a member of is handed to a call, which may look it up again; in a vm_fault it is const."""
    owner, arrow, _ = name.rpartition("->")
    return (
        bool(arrow) and owner != "vmf" and any(use[-1].text == owner for use in pointer_uses(statement.tokens, owner))
    )


def _in_walk(function: Function) -> bool:
    """A callback of a page walk, or what it calls: given an address or the walk, and not the mm in which it looks."""
    header = [t.text for t in function.header]
    start = header.index("(") + 1 if "(" in header else 0
    given = "mm_walk" in header or header[start : start + 2] in (["unsigned", "long"], ["pmd_t", "*"], ["pte_t", "*"])
    return given and not any(mentions(s, "vma_lookup", "find_vma") for s in function.walk())


def _dropped_in_walk(statement: Statement) -> Iterator[Report]:
    """`*walk->locked = 0`: told from inside a page walk, whose caller goes on with the VMA."""
    tokens = statement.tokens
    end = next((n for n, token in enumerate(tokens) if token.text == "="), 0)
    if end < 4 or tokens[0].text != "*" or [t.text for t in tokens[end + 1 :]] not in (["0"], ["false"]):
        return
    if "walk" in tokens[1].text and tokens[end - 1].text in ("locked", "mmap_locked"):
        yield Report(
            tokens, "mmap_lock is dropped inside a page walk: walk_page_range() and its callbacks go on to use the VMA"
        )
