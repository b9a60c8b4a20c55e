# SPDX-License-Identifier: GPL-2.0-or-later
"""An rwsem function is called on an mm's mmap_lock instead of the mmap locking API."""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.c.code import Code
from reviewbot.c.pattern import Pattern
from reviewbot.kernel import PAIRED, UNPAIRED, mm_names, mm_of_lock, replacement
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, Scope, code_rule

CALLS = (*PAIRED, *UNPAIRED, "init_rwsem", "rwsem_is_contended")
GUARDS = (
    Pattern("guard({rwsem_read, rwsem_write})($lock)"),
    Pattern("scoped_guard({rwsem_read, rwsem_write}, $lock)"),
)
# the implementation of the API, and code that must reach the lock itself (RULES: 12 uses in 6.12, all of these)
ALLOWED = Scope(
    exclude=(
        *Scope().exclude,
        "include/linux/mmap_lock.h",
        "mm/mmap_lock.c",
        "kernel/bpf/mmap_unlock_work.h",
        "lib/test_lockup.c",
        "arch/x86/kernel/tboot.c",
        "drivers/firmware/efi/efi.c",
        "mm/init-mm.c",
    )
)


@code_rule(
    Severity.ERROR,
    id="ML02",
    since="v5.8",
    words=("mmap_lock", "mmap_sem"),
    scope=ALLOWED,
    confidence=Confidence.HIGH,
    yields_to=("mmap-lock/direct-mmap-sem",),
    fix=True,
)
def check(code: Code) -> Iterator[Report]:
    """Calls with the address of an mm's lock as their one address argument (mm_take_all_locks has it second)."""
    names = mm_names(code)
    for call in code.calls(*CALLS):
        mm = mm_of_lock(call.arguments[0], names=names) if call.arguments else None
        if mm is None or not code.changed(*call.tokens):
            continue
        why = ", and does not end the per-VMA write locks" if call.name == "up_write" else ""
        message = f"{call.name}() on mmap_lock goes around the mmap locking API{why}"
        yield Report(call.tokens, message, suggestion=replacement(code, call, names))
    for match in (match for pattern in GUARDS for match in code.matches(pattern)):
        if mm_of_lock(match.bound["lock"], names=names) is not None and code.changed(*match.tokens):
            name = f"{match.tokens[0].text}({match.tokens[2].text})"
            yield Report(match.tokens, f"{name} on mmap_lock goes around the mmap locking API")
