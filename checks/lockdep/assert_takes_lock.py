# SPDX-License-Identifier: GPL-2.0-or-later
"""An assertion tries to take the mmap_lock, and keeps it where it succeeds."""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.checks.lockdep._asserts import WARNINGS, enclosing, found, negated

from reviewbot.c.code import Code
from reviewbot.c.skeleton import StatementKind
from reviewbot.kernel import lock_operand, mm_of_lock, unlocks
from reviewbot.model import Severity
from reviewbot.rule import Report, Scope, code_rule

TRY = ("mmap_read_trylock", "mmap_write_trylock", "down_read_trylock", "down_write_trylock")


@code_rule(
    Severity.NOTE,
    id="LD08",
    words=("_trylock",),
    # vm_insert_page() and vm_insert_pages() assert so that their caller is mmap(): mm/memory.c:2179, :2224
    scope=Scope(exclude=(*Scope().exclude, "mm/memory.c")),
)
def check(code: Code) -> Iterator[Report]:
    """WARN_ON(trylock()); WARN_ON(!trylock()) takes the lock and says where it could not."""
    for _, statement, call in found(code, *TRY):
        if call.name.startswith("down_") and (not call.arguments or mm_of_lock(call.arguments[0]) is None):
            continue
        warning = next((name for name in enclosing(statement.tokens, call) if name in WARNINGS), None)
        if warning is None or negated(statement.tokens, call):
            continue
        released = statement.kind is StatementKind.IF and any(
            lock_operand(unlock) == lock_operand(call)
            for inner in statement.body
            for s in inner.walk()
            for unlock in unlocks(s)
        )
        if not released:
            yield Report(call.tokens, f"{call.name}() within {warning}() keeps the lock where the assertion fails")
