# SPDX-License-Identifier: GPL-2.0-or-later
"""A field of the per-VMA lock is reached directly, around its functions"""

from __future__ import annotations

import re
from collections.abc import Iterator

from reviewbot.c.code import Code
from reviewbot.c.skeleton import Function
from reviewbot.kernel import is_mm, is_vma, member_owner, mm_names, struct_names
from reviewbot.model import Severity
from reviewbot.rule import Report, Scope, code_rule

# include/linux/mm_types.h:763, :772, :946; vm_refcnt is 6.15's
OF_VMA = frozenset(("vm_lock", "vm_lock_seq", "vm_refcnt"))
OF_MM = frozenset(("mm_lock_seq",))
# the implementation, and what makes, copies or prints a VMA (mm/vma_init.c and mm/debug.c of 6.15 and later)
SCOPE = Scope(
    exclude=(
        *Scope().exclude,
        "include/linux/mm",
        "kernel/fork.c",
        "mm/vma.c",
        "mm/vma.h",
        "mm/vma_init.c",
        "mm/mmap_lock.c",
        "mm/userfaultfd.c",
        "mm/init-mm.c",
        "mm/debug.c",
    )
)

# the lock's own functions, in mm/memory.c before mm/mmap_lock.c had them (6.15: __vma_start_write())
OWN = re.compile(r"_*(?:is_)?(?:vma_|lock_vma|lock_next_vma|vm_area_)")


@code_rule(Severity.ERROR, id="PV05", words=("vm_lock", "vm_lock_seq", "vm_refcnt", "mm_lock_seq"), scope=SCOPE)
def check(code: Code) -> Iterator[Report]:
    """Members of what is a VMA or an mm, by declaration or name."""
    tokens = code.tokens
    known: dict[Function | None, dict[str, str]] = {}
    mms = mm_names(code)
    for n in code.words(*OF_VMA, *OF_MM):
        token = tokens[n]
        if n == 0 or tokens[n - 1].text not in ("->", "."):
            continue
        owner = member_owner(tokens, n)
        if not owner:
            continue
        function = code.function_of(token)
        if code.path.startswith("mm/") and function and OWN.match(function.name or ""):
            continue
        if function not in known:
            known[function] = struct_names(function)
        name = "".join(t.text for t in owner)
        if token.text in OF_VMA:
            found = is_vma(owner, known[function])
        else:
            tag = known[function].get(name)
            found = tag == "mm_struct" or (tag is None and (is_mm(owner) or name in mms))
        if found:
            at = tokens[n - 1 - len(owner) : n + 1]
            yield Report(
                at,
                f"'{''.join(t.text for t in at)}' is private to the VMA lock: vma_start_read(), vma_start_write() "
                "and the assertions reach it",
            )
