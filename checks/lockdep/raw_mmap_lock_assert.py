# SPDX-License-Identifier: GPL-2.0-or-later
"""A lockdep or rwsem assertion names an mm's mmap_lock instead of mmap_assert_locked()."""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.c.code import Code
from reviewbot.c.pattern import Pattern
from reviewbot.kernel import REPLACEMENTS, mm_of_lock, replacement, substituted
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, Scope, code_rule

ASSERTS = (
    "lockdep_assert_held",
    "lockdep_assert_held_read",
    "lockdep_assert_held_write",
    "lockdep_assert_not_held",
    "lockdep_assert_held_once",
    "rwsem_assert_held",
    "rwsem_assert_held_nolockdep",
    "rwsem_assert_held_write_nolockdep",
    "rwsem_assert_held_write",
    "lockdep_is_held",
)
IS_LOCKED = Pattern("{BUG_ON, WARN_ON, WARN_ON_ONCE, VM_BUG_ON, VM_WARN_ON, VM_WARN_ON_ONCE} (!rwsem_is_locked($lock))")
IS_LOCKED_MM = Pattern(
    "{VM_BUG_ON_MM, VM_BUG_ON_VMA, VM_WARN_ON_ONCE_MM, VM_WARN_ON_ONCE_VMA} (!rwsem_is_locked($lock), ...)"
)
API = Scope(exclude=(*Scope().exclude, "include/linux/mmap_lock.h", "mm/mmap_lock.c"))


@code_rule(
    Severity.WARNING,
    id="LD01",
    since="v5.8",
    words=("mmap_lock", "mmap_sem"),
    scope=API,
    style=True,
    confidence=Confidence.HIGH,
    yields_to=("mmap-lock/direct-mmap-sem", "lockdep/wrong-lock-asserted"),
)
def check(code: Code) -> Iterator[Report]:
    """Assertions whose operand is the lock of an mm; another structure's mmap_lock is none of ours."""
    for call in code.calls(*ASSERTS):
        mm = mm_of_lock(call.arguments[0]) if call.arguments else None
        if mm is None or not code.changed(*call.tokens):
            continue
        if call.name in REPLACEMENTS:
            message = f"{call.name}() names mmap_lock instead of going through the mmap locking API"
            yield Report(call.tokens, message, suggestion=replacement(code, call))
        else:
            # 6.12 has no mmap_assert_not_locked(): arch/s390 has to name the lock
            message = f"{call.name}() names mmap_lock, for which the mmap locking API has no assertion"
            yield Report(call.tokens, message, severity=Severity.INFO)
    for pattern in (IS_LOCKED, IS_LOCKED_MM):
        for match in pattern.find(code.tokens):
            mm = mm_of_lock(match.bound["lock"])
            if mm is not None and code.changed(*match.tokens):
                message = (
                    f"{match.tokens[0].text}(!rwsem_is_locked()) on mmap_lock: mmap_assert_locked() is the assertion"
                )
                # mmap_assert_locked() has no value: it cannot stand in `if (WARN_ON(..))`
                line = code.lines[match.tokens[0].line].text.strip()
                alone = line.startswith(match.tokens[0].text) and line.endswith(");")
                cure = substituted(code, match.tokens, f"mmap_assert_locked({mm})") if alone else None
                yield Report(match.tokens, message, suggestion=cure)
