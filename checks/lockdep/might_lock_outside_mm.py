# SPDX-License-Identifier: GPL-2.0-or-later
"""might_lock() on mmap_lock outside mm/: the functions that may take the lock say so themselves."""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.c.code import Code
from reviewbot.kernel import mm_of_lock
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, Scope, code_rule

OUTSIDE = Scope(exclude=(*Scope().exclude, "mm/", "include/"))


@code_rule(
    Severity.WARNING,
    id="LD02",
    since="v5.8",
    words=("might_lock",),
    scope=OUTSIDE,
    style=True,
    confidence=Confidence.HIGH,
)
def check(code: Code) -> Iterator[Report]:
    """might_lock*(&mm->mmap_lock) in a driver, a file system, an architecture."""
    for call in code.calls("might_lock", "might_lock_read", "might_lock_nested"):
        if call.arguments and mm_of_lock(call.arguments[0]) is not None and code.changed(*call.tokens):
            yield Report(
                call.tokens,
                f"{call.name}() hard-codes the name of mmap_lock: get_user_pages_fast() and pin_user_pages_fast() "
                "assert it themselves, might_fault() does for user access",
            )
