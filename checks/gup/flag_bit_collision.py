# SPDX-License-Identifier: GPL-2.0-or-later
"""A new FOLL_ flag takes a bit that another flag has, or a bit of the other range."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from reviewbot.c.code import Code
from reviewbot.c.tokens import Token
from reviewbot.kernel import FIRST_INTERNAL_BIT, FOLL_BITS, FOLL_SINCE, foll_definitions
from reviewbot.model import Severity
from reviewbot.rule import Report, Scope, code_rule

HEADERS = Scope(include=("include/linux/mm.h", "include/linux/mm_types.h", "mm/internal.h"))
SHIFT = re.compile(r"\(*(?:\(__force\w*\))?(?:1U?L?|BIT\()<{0,2}(\d+)\)*$")
NUMBER = re.compile(r"\(*(0x[0-9a-fA-F]+|\d+)U?L?\)*$")
# the enums in two headers, with bits of their own each (b5054174ac7c, 2c2241081f7d)
ENUMS = (6, 3)
# include/linux/mm.h:3087-3105 of 6.1 and 6.2: flag -> bit, and the first base whose patches met it. What is posted
# against a kernel lands in the next: FOLL_PIN was posted from 2019-08 on, FOLL_PCI_P2PDMA from 2021-12 on.
OLD_BITS = {
    "FOLL_WRITE": (0, (4, 9)), "FOLL_TOUCH": (1, (4, 9)), "FOLL_GET": (2, (4, 9)), "FOLL_DUMP": (3, (4, 9)),
    "FOLL_FORCE": (4, (4, 9)), "FOLL_NOWAIT": (5, (4, 9)), "FOLL_NOFAULT": (7, (5, 15)), "FOLL_HWPOISON": (8, (4, 9)),
    "FOLL_TRIED": (11, (4, 9)), "FOLL_REMOTE": (13, (4, 9)), "FOLL_ANON": (15, (5, 0)), "FOLL_LONGTERM": (16, (5, 2)),
    "FOLL_SPLIT_PMD": (17, (5, 4)), "FOLL_PIN": (18, (5, 3)), "FOLL_FAST_ONLY": (19, (5, 7)),
    "FOLL_PCI_P2PDMA": (20, (5, 16)), "FOLL_INTERRUPTIBLE": (21, (6, 1)),
}  # fmt: skip
# the first kernels with those that were on their way
MERGED = {
    "FOLL_PIN": (5, 6), "FOLL_FAST_ONLY": (5, 8), "FOLL_NOFAULT": (5, 16), "FOLL_PCI_P2PDMA": (6, 2),
    "FOLL_INTERRUPTIBLE": (6, 2),
}  # fmt: skip
# how far the enums have been seen as they stand in FOLL_BITS: in later kernels a hole may be none
NEWEST_SEEN = (6, 18)


@code_rule(Severity.ERROR, id="FL03", words=("FOLL_",), scope=HEADERS)
def check(code: Code) -> Iterator[Report]:
    """Compared with the flags that the hunk shows and with all of the kernel: the tree's, else those of its version."""
    shown = [(name, bit_of(value)) for name, value in foll_definitions(code)]
    # a tree's flags are those after the patch
    gone = () if code.facts else code.once("removed flags", _removed_names)
    live = {flag: bit for flag, bit in live_bits(code).items() if flag not in gone}
    enums = code.version is None or code.version >= ENUMS
    first = FIRST_INTERNAL_BIT if code.path == "mm/internal.h" else 0
    by_bit: dict[int | None, list[Token]] = {}
    for name, bit in shown:
        by_bit.setdefault(bit, []).append(name)
    taken = {*live.values(), *(bit for _, bit in shown)}
    for name, bit in shown:
        if bit is None or not code.changed(name) or _was(code, name.text, bit, live):
            continue
        twin = next((other for other in by_bit[bit] if other.text != name.text), None)
        if twin:
            yield Report([name], f"{name.text} has the value of {twin.text}", (([twin], "the same bit"),))
        elif known := next((flag for flag, its in live.items() if its == bit and flag != name.text), None):
            coming = code.version is not None and code.version < MERGED.get(known, code.version)
            takes = "takes in a later kernel" if coming else "has"
            yield Report([name], f"{name.text} takes bit {bit}, which {known} {takes}")
        elif claim := next((one for one in code.claims("FOLL_", bit) if one.flag != name.text), None):
            # who is merged second has to move: that is no error yet
            other = f"'{claim.other.subject[:150]}' <{claim.other.message_id}>"
            message = f"{name.text} takes bit {bit}, which {claim.flag} of {other} takes, too"
            yield Report([name], message, severity=Severity.WARNING)
        elif not enums:
            continue
        elif first and bit < first:
            yield Report([name], f"{name.text} is internal and takes bit {bit}: internal flags begin at {first}")
        elif not first and bit >= FIRST_INTERNAL_BIT:
            yield Report(
                [name], f"{name.text} is external and takes bit {bit}: bits from {FIRST_INTERNAL_BIT} on are mm's own"
            )
        elif _all_known(code) and bit > first and bit - 1 not in taken:
            free = next(n for n in range(first, bit) if n not in taken)
            message = f"{name.text} takes bit {bit} and leaves a hole: {free} is the next that is free"
            yield Report([name], message, severity=Severity.NOTE)


def live_bits(code: Code) -> Mapping[str, int]:
    """The bits of the flags that the kernel has: as its tree has them, else as its version is known to."""
    if code.facts is not None and code.facts.foll:
        return code.facts.foll
    version = code.version
    if version is None or version >= ENUMS:
        return {
            flag: bit for flag, bit in FOLL_BITS.items() if version is None or version >= FOLL_SINCE.get(flag, ENUMS)
        }
    return {flag: bit for flag, (bit, since) in OLD_BITS.items() if version >= since}


def _all_known(code: Code) -> bool:
    """No flag has come that `live_bits` does not know."""
    return bool(code.facts and code.facts.foll) or (code.version is not None and code.version <= NEWEST_SEEN)


def _was(code: Code, flag: str, bit: int, live: Mapping[str, int]) -> bool:
    """The kernel has the flag with this value already; the tree's own flags are those after the patch."""
    return code.facts is None and live.get(flag) == bit


def bit_of(value: str) -> int | None:
    """The bit that a value sets; None where it is not one bit."""
    if match := SHIFT.match(value):
        return int(match[1]) if "<<" in value or "BIT(" in value else None
    if match := NUMBER.match(value):
        number = int(match[1], 0)
        return number.bit_length() - 1 if number and number & (number - 1) == 0 else None
    return None


def _removed_names(files: Sequence[Code]) -> Collection[str]:
    """Flags whose definition the patch removes: their bits are free."""
    return frozenset(
        word
        for other in files
        if other.diff
        for text in other.diff.removed()
        for word in re.findall(r"\bFOLL_\w+", text)
    )
