# SPDX-License-Identifier: GPL-2.0-or-later
"""A new FOLL_ flag takes a bit that another flag has, or a bit of the other range."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reviewbot.c.code import Code
from reviewbot.kernel import FIRST_INTERNAL_BIT, FOLL_BITS, FOLL_SINCE, foll_definitions
from reviewbot.model import Severity
from reviewbot.rule import Report, Scope, code_rule

HEADERS = Scope(include=("include/linux/mm.h", "include/linux/mm_types.h", "mm/internal.h"))
SHIFT = re.compile(r"\(*(?:\(__force\w*\))?(?:1U?L?|BIT\()<{0,2}(\d+)\)*$")
NUMBER = re.compile(r"\(*(0x[0-9a-fA-F]+|\d+)U?L?\)*$")


@code_rule(Severity.ERROR, id="FL03", words=("FOLL_",), scope=HEADERS)
def check(code: Code) -> Iterator[Report]:
    """Compared with the flags that the hunk shows and, from v6.3 on, with both enums as they stand in 6.12."""
    shown = [(name, bit_of(value)) for name, value in foll_definitions(code)]
    gone = _removed_names(code)
    enums = code.version is None or code.version >= (6, 3)
    for name, bit in shown:
        if bit is None or not code.changed(name) or (name.text in FOLL_BITS and FOLL_BITS[name.text] == bit):
            continue
        twin = next((other for other, its in shown if its == bit and other.text != name.text), None)
        if twin:
            yield Report([name], f"{name.text} has the value of {twin.text}", (([twin], "the same bit"),))
            continue
        if not enums:
            continue
        taken = (flag for flag, its in FOLL_BITS.items() if its == bit and flag not in gone and flag != name.text)
        known = next(
            (flag for flag in taken if code.version is None or code.version >= FOLL_SINCE.get(flag, (6, 3))), None
        )
        if known:
            yield Report([name], f"{name.text} takes bit {bit}, which {known} has")
        elif code.path == "mm/internal.h" and bit < FIRST_INTERNAL_BIT:
            yield Report(
                [name], f"{name.text} is internal and takes bit {bit}: internal flags begin at {FIRST_INTERNAL_BIT}"
            )
        elif code.path != "mm/internal.h" and bit >= FIRST_INTERNAL_BIT:
            yield Report(
                [name], f"{name.text} is external and takes bit {bit}: bits from {FIRST_INTERNAL_BIT} on are mm's own"
            )


def bit_of(value: str) -> int | None:
    """The bit that a value sets; None where it is not one bit."""
    if match := SHIFT.match(value):
        return int(match[1]) if "<<" in value or "BIT(" in value else None
    if match := NUMBER.match(value):
        number = int(match[1], 0)
        return number.bit_length() - 1 if number and number & (number - 1) == 0 else None
    return None


def _removed_names(code: Code) -> frozenset[str]:
    """Flags whose definition the patch removes: their bits are free."""
    return frozenset(
        word
        for other in code.patch
        if other.diff
        for text in other.diff.removed()
        for word in re.findall(r"\bFOLL_\w+", text)
    )
