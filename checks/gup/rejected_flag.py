# SPDX-License-Identifier: GPL-2.0-or-later
"""get_user_pages*() or pin_user_pages*() gets a flag, or two arguments together, that it rejects."""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.checks.gup._calls import WORDS, Gup, certain, flags_set, gup_calls

from reviewbot.c.code import Code
from reviewbot.c.tokens import Token
from reviewbot.model import Severity
from reviewbot.rule import Report, Scope, code_rule

# mm/gup.c:3445 (gup_fast_fallback) accepts WRITE, LONGTERM, FORCE, PIN, GET, FAST_ONLY, NOFAULT, PCI_P2PDMA and
# HONOR_NUMA_FAULT; of the external flags these are left. The mask is of 5.2 (73b0140bf0fe).
NOT_FAST = frozenset("FOLL_NOWAIT FOLL_HWPOISON FOLL_INTERRUPTIBLE FOLL_DUMP FOLL_ANON FOLL_SPLIT_PMD".split())
FAST_MASK = (5, 2)
# FOLL_PCI_P2PDMA is of 6.2, and rejected together with FOLL_LONGTERM from its first day on (mm/gup.c:2629)
P2PDMA = (6, 2)
TOGETHER = frozenset(("FOLL_LONGTERM", "FOLL_PCI_P2PDMA"))
ASKED = NOT_FAST | TOGETHER | {"FOLL_GET"}


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
    given = {flag.text: flag for flag in flags_set(gup, ASKED)}
    if "_fast" in name and (code.version is None or code.version >= FAST_MASK):
        for text in sorted(given.keys() & NOT_FAST):
            yield [given[text]], f"rejects {text} with -EINVAL: it is not in gup_fast_fallback()'s mask"
    if name == "get_user_page_vma_remote" and "FOLL_NOWAIT" in given:
        yield [given["FOLL_NOWAIT"]], "rejects FOLL_NOWAIT with -EINVAL: its caller expects a page or an error"
    if name.startswith("pin_") and "FOLL_GET" in given:
        yield [given["FOLL_GET"]], "rejects FOLL_GET: a page is either pinned or got"
    if given.keys() >= TOGETHER and (code.version is None or code.version >= P2PDMA):
        both = [given[text] for text in sorted(TOGETHER)]
        # one way may have the one and another way the other
        if any(certain(gup, flag) for flag in both):
            yield both, "rejects FOLL_PCI_P2PDMA with FOLL_LONGTERM: the device may be unplugged"
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
    return any("alloc" in token.text for value in gup.body.values(name) for token in value)
