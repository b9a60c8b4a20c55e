# SPDX-License-Identifier: GPL-2.0-or-later
"""A tool has its own copy of a FOLL_ flag's value, which the kernel may change"""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.c.code import Code
from reviewbot.kernel import FOLL_BITS, foll_definitions
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, Scope, code_rule

# flags that the kernel had: include/linux/mm.h until 6.2
DEAD = frozenset("FOLL_MLOCK FOLL_POPULATE FOLL_COW FOLL_NUMA FOLL_SPLIT FOLL_MIGRATION FOLL_NOUNSHARE".split())

# harnesses that compile code of the kernel with stubs of its headers: a copy is what they are made of
HARNESSES = ("tools/include/linux/", "tools/testing/vma/", "tools/testing/memblock/", "tools/testing/radix-tree/")
TOOLS = Scope(include=("tools/",), exclude=HARNESSES)


@code_rule(Severity.NOTE, id="FL11", words=("FOLL_",), scope=TOOLS, confidence=Confidence.HIGH)
def check(code: Code) -> Iterator[Report]:
    """#define FOLL_X n and FOLL_X = n, of a flag that the kernel has; one with a value of a copied flag is no copy."""
    known = {*FOLL_BITS, *DEAD, *(code.facts.foll if code.facts else ())}
    for name, value in foll_definitions(code):
        if name.text in known and value and code.changed(name) and not value.startswith("FOLL_"):
            yield Report(
                [name], f"{name.text} is a copy of the kernel's value, which is no ABI: the values moved in v6.3"
            )
