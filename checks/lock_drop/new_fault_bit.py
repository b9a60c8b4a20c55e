# SPDX-License-Identifier: GPL-2.0-or-later
"""A new FAULT_FLAG_ or VM_FAULT_ bit is not needed, not documented, not told apart from others, or misspelt"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from reviewbot.c.code import Code
from reviewbot.c.tokens import Comment, Token, tokenize
from reviewbot.kernel import FAULT_CODES, FAULT_FLAG_BITS
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, code_rule

KNOWN = {**{name: 1 << bit for name, bit in FAULT_FLAG_BITS.items()}, **FAULT_CODES}
# macros of include/linux/mm.h:501, :524 and mm_types.h:1336-1343, not bits
OTHERS = (
    "VM_FAULT_ERROR",
    "VM_FAULT_RESULT_TRACE",
    "VM_FAULT_SET_HINDEX",
    "VM_FAULT_GET_HINDEX",
    "FAULT_FLAG_DEFAULT",
    "FAULT_FLAG_TRACE",
)
SPELLING = {name.upper(): name for name in (*KNOWN, *OTHERS)}
# "the lock was dropped", in the words that series have used: seed 004, and its kin
DROPPED = re.compile(r"LOCK_?(?:DROP|RELEAS)|(?:DROP|RELEAS)(?:PED|ED)_?(?:MMAP_|VMA_)?LOCK|UNLOCKED")
# what a 0 among bits is called: the special case that is not told from success
NOTHING = re.compile(r"VM_FAULT_(?:NONE|OK|SUCCESS|NOTHING|NULL|ZERO)$")


@code_rule(Severity.WARNING, id="DR10", since="v5.13", words=("VM_FAULT_", "FAULT_FLAG_"), confidence=Confidence.HIGH)
def check(code: Code) -> Iterator[Report]:
    """New members of enum fault_flag and enum vm_fault_reason, and names that nothing defines."""
    bits = list(_bits(code))
    for bit in bits:
        yield from _judge(code, bit, bits)
    defined = {bit.name.text for bit in bits}
    for n in code.words(*(word for word in code.vocabulary if word.startswith(("VM_FAULT_", "FAULT_FLAG_")))):
        yield from _misspelt(code.tokens[n])
        yield from _nothing(code, n, code.tokens[n], defined)


class _Bit(NamedTuple):
    """`FAULT_FLAG_X = 1 << 13`: its name, its value (None where that is no plain number), and all of its tokens."""

    name: Token
    value: int | None
    tokens: tuple[Token, ...]


def _bits(code: Code) -> Iterator[_Bit]:
    """Members of an enum, and macros, in the kernel's headers."""
    if code.path.startswith("include/linux/mm"):
        yield from _members(code.tokens)


def _members(tokens: Sequence[Token]) -> Iterator[_Bit]:
    for n, token in enumerate(tokens):
        if not token.text.startswith(("VM_FAULT_", "FAULT_FLAG_")) or n + 1 >= len(tokens):
            continue
        if token.text.startswith(("VM_FAULT_SET_", "VM_FAULT_GET_")) or token.text in OTHERS:
            continue
        end = n + 2
        if tokens[n + 1].text == "=" and (n == 0 or tokens[n - 1].text in ("{", ",")):
            while end < len(tokens) and tokens[end].text not in (",", "}", ";"):
                end += 1
            yield _Bit(token, _number(tokens[n + 2 : end]), tuple(tokens[n:end]))
        elif n and tokens[n - 1].text == "define" and tokens[n + 1].directive == token.directive != 0:
            while end < len(tokens) and tokens[end].directive == token.directive:
                end += 1
            yield _Bit(token, _number(tokens[n + 1 : end]), tuple(tokens[n:end]))


def _number(tokens: Sequence[Token]) -> int | None:
    """`1 << 13`, `BIT(13)`, `(__force vm_fault_t)0x004000`."""
    texts = [t.text.rstrip("uUlL") for t in tokens]
    while texts[:1] == ["("] and texts[-1:] == [")"]:
        texts = texts[1:-1]
    if texts[:4] == ["(", "__force", "vm_fault_t", ")"]:
        texts = texts[4:]
    try:
        if len(texts) == 1:
            return int(texts[0], 0)
        if len(texts) == 3 and texts[1] == "<<":
            return _shifted(int(texts[0], 0), int(texts[2], 0))
        if len(texts) == 4 and texts[0] == "BIT":
            return _shifted(1, int(texts[2], 0))
    except ValueError:
        pass
    return None


def _shifted(value: int, by: int) -> int | None:
    return value << by if 0 <= by < 64 else None


def _judge(code: Code, bit: _Bit, bits: Sequence[_Bit]) -> Iterator[Report]:
    name, at = bit.name.text, bit.tokens
    if name in KNOWN:
        before = next((old for old in _removed(code) if old.name.text == name), None)
        if before and before.value is not None and bit.value is not None and before.value != bit.value:
            yield Report(at, f"{name} is renumbered from {before.value:#x} to {bit.value:#x}")
        return
    line = next((c for c in code.comments if f"@{name}:" in c.text or f"@{name} " in c.text), None)
    about = () if line is None else (([line], "documented here"),)
    if bit.value == 0:
        yield Report(at, f"{name} is 0, as success is: the two cannot be told apart", about)
        return
    if name.endswith("_MASK"):
        return
    if DROPPED.search(name) or (line is not None and _says_dropped(line)):
        yield Report(at, f"{name}: VM_FAULT_RETRY and VM_FAULT_COMPLETED already say that the lock was dropped", about)
    taken = next((b for b in bits if b.value == bit.value and b.name.text != name and b.value is not None), None)
    other = taken.name.text if taken else next((n for n, v in KNOWN.items() if _same(n, name) and v == bit.value), None)
    if other:
        yield Report(at, f"{name} has the bit of {other}", ((taken.tokens, "the same bit"),) if taken else ())
    if line is None:
        yield Report(at, f"{name} has no line in the kernel-doc comment of its enum")
    if name.startswith("VM_FAULT_") and not _traced(code, name):
        yield Report(at, f"{name} has no entry in VM_FAULT_RESULT_TRACE")


def _same(one: str, other: str) -> bool:
    return one.startswith("VM_") is other.startswith("VM_")


def _says_dropped(line: Comment) -> bool:
    """A kernel-doc line: `@X: The mmap_lock has been dropped`."""
    text = line.text.lower()
    return "lock" in text and any(word in text for word in ("dropped", "was released", "been released"))


def _traced(code: Code, name: str) -> bool:
    """`{ VM_FAULT_X, "X" }` of the macro."""
    tokens = code.tokens
    return any(
        n and tokens[n - 1].text == "{" and n + 1 < len(tokens) and tokens[n + 1].text == "," for n in code.words(name)
    )


def _removed(code: Code) -> Iterator[_Bit]:
    """Members on lines that the patch removes."""
    texts = list(code.diff.removed()) if code.diff else []
    if any("FAULT_" in text for text in texts):
        yield from _members(tokenize(texts)[0])


def _misspelt(token: Token) -> Iterator[Report]:
    """VM_FAULT_RETRy."""
    right = SPELLING.get(token.text.upper())
    if right is not None and right != token.text:
        yield Report([token], f"{token.text} is defined nowhere: the name is {right}")


def _nothing(code: Code, n: int, token: Token, defined: set[str]) -> Iterator[Report]:
    """`fault == VM_FAULT_NONE`, `fault = VM_FAULT_NONE`, `return VM_FAULT_NONE`."""
    if token.text in defined or not NOTHING.match(token.text):
        return
    around = {t.text for t in (*code.tokens[max(0, n - 1) : n], *code.tokens[n + 1 : n + 2])}
    given = n > 0 and code.tokens[n - 1].text in ("=", "return") and not code.defines(token.text)
    if given or around & {"==", "!="}:
        yield Report([token], f"{token.text} is 0, as the success of a fault handler is: the two cannot be told apart")
