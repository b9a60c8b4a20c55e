# SPDX-License-Identifier: GPL-2.0-or-later
"""get_user_pages*() or pin_user_pages*() gets a flag, or two arguments together, that it rejects."""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.checks.gup._calls import WORDS, Gup, assignments, certain, flag_set, gup_calls

from reviewbot.c.code import Code
from reviewbot.c.tokens import Token
from reviewbot.model import Severity
from reviewbot.rule import Report, Scope, code_rule

# mm/gup.c:3445 (gup_fast_fallback) accepts WRITE, LONGTERM, FORCE, PIN, GET, FAST_ONLY, NOFAULT, PCI_P2PDMA and
# HONOR_NUMA_FAULT; of the external flags these are left. The mask is of 5.2 (73b0140bf0fe).
NOT_FAST = ("FOLL_NOWAIT", "FOLL_HWPOISON", "FOLL_INTERRUPTIBLE", "FOLL_DUMP", "FOLL_ANON", "FOLL_SPLIT_PMD")
FAST_MASK = (5, 2)
# FOLL_PCI_P2PDMA is of 6.2, and rejected together with FOLL_LONGTERM from its first day on (mm/gup.c:2629)
P2PDMA = (6, 2)


@code_rule(
    Severity.ERROR,
    id="FL12",
    words=WORDS,
    scope=Scope(exclude=(*Scope().exclude, "mm/gup.c", "mm/gup_test.c")),
)
def check(code: Code) -> Iterator[Report]:
    """One report a call: the first flag that its function rejects."""
    for gup in gup_calls(code):
        found = next(_rejected(code, gup), None)
        if found:
            flags, what = found
            related = tuple(([flag], "set here") for flag in flags if flag.line != gup.call.tokens[0].line)
            yield Report(gup.call.tokens, f"{gup.call.name}() {what}", related)


def _rejected(code: Code, gup: Gup) -> Iterator[tuple[list[Token], str]]:
    name = gup.call.name
    if "_fast" in name and (code.version is None or code.version >= FAST_MASK):
        for flag in filter(None, (flag_set(code, gup, flag) for flag in NOT_FAST)):
            yield [flag], f"rejects {flag.text} with -EINVAL: it is not in gup_fast_fallback()'s mask"
    if name == "get_user_page_vma_remote" and (flag := flag_set(code, gup, "FOLL_NOWAIT")):
        yield [flag], "rejects FOLL_NOWAIT with -EINVAL: its caller expects a page or an error"
    if name.startswith("pin_") and (flag := flag_set(code, gup, "FOLL_GET")):
        yield [flag], "rejects FOLL_GET: a page is either pinned or got"
    if code.version is None or code.version >= P2PDMA:
        both = flag_set(code, gup, "FOLL_LONGTERM"), flag_set(code, gup, "FOLL_PCI_P2PDMA")
        # one way may have the one and another way the other
        if both[0] and both[1] and (certain(gup, both[0]) or certain(gup, both[1])):
            yield [both[0], both[1]], "rejects FOLL_PCI_P2PDMA with FOLL_LONGTERM: the device may be unplugged"
    if _pointer(gup, "vmas") and _pointer(gup, "locked"):
        yield [], "may drop the lock ('locked' is given), and then the VMAs that 'vmas' returns are stale"


def _pointer(gup: Gup, what: str) -> bool:
    """The argument is surely not NULL: the address of something, an array, or what an allocation gave."""
    argument = gup.argument(what)
    if len(argument) != 1:
        return bool(argument) and argument[0].text == "&"
    name = argument[0].text
    for statement in gup.function.walk():
        for n, token in enumerate(statement.tokens[:-1]):
            array = statement.tokens[n + 1].text == "[" and n and statement.tokens[n - 1].text == "*"
            if token.text == name and array:
                return True
        if any("alloc" in token.text for _, value in assignments(statement, name) for token in value):
            return True
    return False
