# SPDX-License-Identifier: GPL-2.0-or-later
"""The state of a VMA is tested before its lock is taken, and not again after"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reviewbot.c.code import Code, assigned, calls
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Kind, Token
from reviewbot.kernel import locks, mentions
from reviewbot.model import Severity
from reviewbot.rule import Report, code_rule

# vma_read_trylock() was its name in the first postings
TRIES = ("vma_start_read", "vma_read_trylock")
# say that the mmap_lock is held
HOLDING = ("mmap_assert_locked", "mmap_assert_write_locked", "lockdep_assert_held")
# may be looked at with nothing but RCU: the lock itself and what it is found by (include/linux/mm_types.h:700-775)
FREE = frozenset("vm_lock vm_lock_seq vm_refcnt vm_mm detached vm_rcu".split())
# functions that read the state of the VMA they are given: include/linux/mm.h, userfaultfd_k.h, mempolicy.h
STATES = (
    "userfaultfd_armed", "userfaultfd_wp", "userfaultfd_missing", "userfaultfd_minor", "vma_is_accessible",
    "vma_is_temporary_stack", "vma_wants_writenotify", "access_error", "vma_pkey", "vma_policy", "range_in_vma",
)  # fmt: skip
# what a mapping is for all its life. Only since v6.15, when the memory of a VMA may be another one's before its lock is
# had (SLAB_TYPESAFE_BY_RCU), may it be gone too
FIXED = frozenset(("vm_ops", "vm_file"))
FIXED_STATES = ("vma_is_anonymous", "vma_is_dax", "vma_is_shmem", "vma_is_anon_shmem", "is_vm_hugetlb_page")
REUSED = (6, 15)


@code_rule(Severity.WARNING, id="PV06", words=TRIES)
def check(code: Code) -> Iterator[Report]:
    """From an attempt to take the lock backwards to the conditions on the same VMA that are not repeated under it."""
    reused = code.version is None or code.version >= REUSED
    for function in code.functions:
        for statement in function.walk():
            for call in calls(statement.tokens, *TRIES):
                name = call.text(len(call.arguments) - 1)
                if not name.isidentifier():
                    continue
                yield from _before(code, function, statement, name, call.tokens, reused)


def _before(
    code: Code, function: Function, attempt: Statement, name: str, at: Sequence[Token], reused: bool
) -> Iterator[Report]:
    flow = code.flow(function)

    def renewed(s: Statement) -> bool:
        return name in assigned(s)

    if any(next(locks(s), None) or mentions(s, *HOLDING) for s in flow.before(attempt)):
        return  # it cannot change before the attempt
    earlier = list(flow.before(attempt, renewed))
    behind: set[str] = set()
    for s in (attempt, *flow.after(attempt, renewed)):
        tokens = s.tokens
        if s is attempt:
            tokens = tokens[next(n for n, t in enumerate(tokens) if t is at[-1]) + 1 :]
        behind.update(state for state, _ in _states(tokens, name, reused))
    for s in (*earlier, attempt):
        if s.kind is not StatementKind.IF and s.kind is not StatementKind.LOOP:
            continue
        tokens = s.tokens
        if s is attempt:
            tokens = tokens[: next(n for n, t in enumerate(tokens) if t is at[0])]
        for state, place in _states(tokens, name, reused):
            if state not in behind:
                yield Report(
                    place,
                    f"'{state}' of '{name}' is tested before the VMA is locked and may change until then",
                    ((at, "locked here"),),
                )


def _states(tokens: Sequence[Token], name: str, reused: bool) -> Iterator[tuple[str, Sequence[Token]]]:
    """What of the VMA is read: the member or the function, with its place."""
    for n, token in enumerate(tokens):
        if token.text != name or token.kind is not Kind.WORD or (n and tokens[n - 1].text in ("->", ".")):
            continue
        after = tokens[n + 1].text if n + 1 < len(tokens) else ""
        member = tokens[n + 2].text if after == "->" and n + 2 < len(tokens) else ""
        if member and member not in FREE and (reused or member not in FIXED):
            yield member, tokens[n : n + 3]
    for call in calls(tokens, *STATES, *(FIXED_STATES if reused else ())):
        if any(call.text(n) == name for n in range(len(call.arguments))):
            yield f"{call.name}()", call.tokens
