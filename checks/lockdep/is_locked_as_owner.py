# SPDX-License-Identifier: GPL-2.0-or-later
"""rwsem_is_locked() on an mmap_lock is taken for "this task holds it"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reviewbot.checks.lockdep._asserts import WARNINGS, asserts, enclosing, found

from reviewbot.c.code import Code
from reviewbot.c.flow import Flow
from reviewbot.c.skeleton import Statement, StatementKind
from reviewbot.kernel import mm_names, mm_of_lock
from reviewbot.model import Severity
from reviewbot.rule import Report, Scope, code_rule

# what only tells a person: pr_info(), dump_mm(), seq_printf(), trace_lumen(), drm_dbg()
TELLS = re.compile(r"print|^pr_|dump|^trace_|^seq_|^dev_|_dbg$|_info$|_warn$|_err$")


@code_rule(
    Severity.WARNING,
    id="LD09",
    words=("rwsem_is_locked",),
    scope=Scope(exclude=(*Scope().exclude, "include/linux/mmap_lock.h", "mm/mmap_lock.c")),
    yields_to=("lockdep/raw-mmap-lock-assert", "mmap-lock/direct-mmap-sem"),
)
def check(code: Code) -> Iterator[Report]:
    """Conditions, values and assertions; of these lockdep/raw-mmap-lock-assert speaks where it does."""
    names = mm_names(code)
    for function, statement, call in found(code, "rwsem_is_locked"):
        if not call.arguments or mm_of_lock(call.arguments[0], names=names) is None:
            continue
        around = enclosing(statement.tokens, call)
        asserted = any(name in WARNINGS for name in around)
        if any(TELLS.search(name) for name in around):
            continue
        if not asserted and _chooses_assertion(code.flow(function), statement):
            continue
        yield Report(
            call.tokens, "rwsem_is_locked() on mmap_lock is true whoever holds it: it does not tell that this task does"
        )


def _chooses_assertion(flow: Flow, statement: Statement) -> bool:
    """`if (!rwsem_is_locked(..)) vma_assert_locked(vma)`, `if (rwsem_is_locked(..)) return;` before an assertion."""
    if statement.kind is not StatementKind.IF:
        return False
    inner = [s for part in (statement.body, statement.orelse) for s in part]
    rest = [s for s in inner if not asserts(s)]
    if not rest:
        return bool(inner)
    if not all(s.kind is StatementKind.RETURN and not s.tokens for s in rest):
        return False
    after = next((e.to for e in flow.edges(statement) if e.truth is False), None)
    return after is not None and asserts(after)
