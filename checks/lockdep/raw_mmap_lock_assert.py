# SPDX-License-Identifier: GPL-2.0-or-later
"""A lockdep or rwsem assertion names an mm's mmap_lock instead of mmap_assert_locked()."""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.c.code import Code
from reviewbot.kernel import REPLACEMENTS, assertion, is_locked_checks, mm_of_lock, replacement
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
    fix=True,
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
    for found in is_locked_checks(code):
        if mm_of_lock(found.bound["lock"]) is not None and code.changed(*found.tokens):
            message = f"{found.tokens[0].text}(!rwsem_is_locked()) on mmap_lock: mmap_assert_locked() is the assertion"
            yield Report(found.tokens, message, suggestion=assertion(code, found))
