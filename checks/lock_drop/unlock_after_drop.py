# SPDX-License-Identifier: GPL-2.0-or-later
"""The lock is released on a way on which a call has said that it dropped it"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reviewbot.checks.lock_drop._drops import DropPaths, target

from reviewbot.c.code import Call, Code, calls
from reviewbot.c.skeleton import Function, Statement
from reviewbot.c.tokens import Kind, Token
from reviewbot.kernel import (
    DROPS,
    VMA_UNLOCKS,
    Drop,
    Tells,
    conditions,
    has_word,
    lock_operand,
    locks,
    mentions,
    told_in,
    unlocks,
)
from reviewbot.model import Severity
from reviewbot.rule import Report, code_rule

RELEASES = ("mmap_read_unlock", "mmap_write_unlock", "up_read", "up_write", *VMA_UNLOCKS)
# the VMA lock comes back by these
OWN_LOCK = ("lock_vma_under_rcu", "vma_start_read", "vma_start_read_locked", "lock_vma", "uffd_lock_vma")


@code_rule(
    Severity.ERROR,
    id="DR03",
    words=("mmap_read_unlock", "mmap_write_unlock", "up_read", *VMA_UNLOCKS),
    yields_to=("vma-lock/unconditional-end-read",),
)
def check(code: Code) -> Iterator[Report]:
    """Releases to which every way leads over a test that says that the lock is gone."""
    for function in code.functions:
        if function.macro or not any(mentions(s, *RELEASES) for s in function.walk()):
            continue
        paths = DropPaths(code, function, _taken)
        if not paths.calls or _other_mm(function):
            continue
        around = conditions(function)
        for statement in function.walk():
            for release in (*unlocks(statement), *calls(statement.tokens, *VMA_UNLOCKS)):
                by = paths.tested(statement) or paths.dropped(statement)
                if not by or any(drop.held or not _same_lock(call, release) for _, call, drop in by):
                    continue
                _, call, drop = by[0]
                if _knows_more(around[statement], paths.calls) or _unasked(code, function, by[0], statement):
                    continue
                yield Report(
                    release.tokens,
                    f"{release.name}() releases a lock that {call.name}() has dropped: {_sign(call, drop)}",
                    ((call.tokens, "dropped here"),),
                    evidence=[s.tokens[0] for s in function.walk() if s.holds(statement) and s.tokens],
                )


def _taken(statement: Statement) -> bool:
    """The lock is taken again, or released a first time: what comes then is for other rules."""
    return (
        next(locks(statement), None) is not None
        or next(unlocks(statement), None) is not None
        or mentions(statement, *OWN_LOCK, *VMA_UNLOCKS)
        or any("lock" in t.text and "mm" in t.text and t.text not in DROPS for t in _called(statement))
    )


def _called(statement: Statement) -> Iterator[Token]:
    for token, after in zip(statement.tokens, statement.tokens[1:], strict=False):
        if token.kind is Kind.WORD and after.text == "(":
            yield token


def _other_mm(function: Function) -> bool:
    """More than one mm: which of the two was dropped is not told by names. A VMA that a call exchanges is another's."""
    objects = {lock_operand(call) for s in function.walk() for call in (*locks(s), *unlocks(s)) if "mmap" in call.name}
    if len(objects) > 1:
        return True
    for s in function.walk():
        for a, b, c in zip(s.tokens, s.tokens[1:], s.tokens[2:], strict=False):
            if (a.text, b.text) in (("(", "&"), (",", "&")) and (c.text == "vma" or c.text.endswith("_vma")):
                return True
    return False


def _same_lock(call: Call, release: Call) -> bool:
    """The VMA lock goes with FAULT_FLAG_VMA_LOCK, the mmap lock without."""
    vma_lock = (
        call.name == "handle_mm_fault"
        and len(call.arguments) > 2
        and has_word(call.arguments[2], "FAULT_FLAG_VMA_LOCK")
    )
    if release.name == "vma_end_read":
        return vma_lock
    return not vma_lock and call.name not in ("vmf_anon_prepare", "vmf_can_call_fault", "hugetlb_fault")


def _knows_more(around: Sequence[tuple[str, bool]], dropping: Sequence[tuple[Statement, Call, Drop]]) -> bool:
    """The release stands under a condition about something else too: `if (is_shared && fault & VM_FAULT_RETRY)`."""
    results = {"fault", "ret"}
    for statement, call, drop in dropping:
        results.update(filter(None, (target(statement, call), told_in(call, drop))))
    return not all(
        any(operand.lstrip("*").split("&")[0].split("<")[0].split("=")[0] == r.lstrip("*") for r in results)
        or "VM_FAULT_" in operand
        or any(name in operand for name in (*DROPS, "fault_signal_pending"))
        for operand, _ in around
    )


def _unasked(code: Code, function: Function, dropping: tuple[Statement, Call, Drop], release: Statement) -> bool:
    """A way on which nothing asks leads there too: that is for retry-unhandled and locked-protocol."""
    at, call, drop = dropping
    name = told_in(call, drop) if drop.tells is Tells.LOCKED else None
    words = (name,) if name else ("VM_FAULT_RETRY", "VM_FAULT_COMPLETED")
    if drop.tells not in (Tells.LOCKED, Tells.RETRY) or mentions(at, "VM_FAULT_RETRY", "VM_FAULT_COMPLETED"):
        return False
    if mentions(release, *words):
        return False

    def asked(s: Statement) -> bool:
        return mentions(s, *words, "fault_signal_pending") and s is not at

    return any(s is release for s in code.flow(function).after(at, asked))


def _sign(call: Call, drop: Drop) -> str:
    name = told_in(call, drop)
    if name is not None and drop.argument is not None and call.name != "handle_mm_fault":
        return f"'{name}' is {'true' if drop.tells == 'unlocked' else '0'}"
    values = {"retry": "VM_FAULT_RETRY or VM_FAULT_COMPLETED", "non-zero": "not 0", "zero": "0"}
    return f"its result is {values.get(drop.tells, drop.tells)}"
