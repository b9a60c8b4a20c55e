# SPDX-License-Identifier: GPL-2.0-or-later
"""find_vma() is taken for an exact lookup: it also finds the next VMA above the address"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from reviewbot.c.code import Call, Code, assigned, calls
from reviewbot.c.pattern import closing
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Kind, Token
from reviewbot.kernel import has_word, looked_up_by_loop, pointer_uses
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, Scope, code_rule

COMPARISONS = frozenset(("<", ">", "<=", ">=", "==", "!="))
# what asks where the VMA begins, or means the next one: a search for a gap, a stack that may grow (include/linux/mm.h)
ASKING = frozenset(
    "vm_start_gap range_in_vma expand_stack VM_GROWSDOWN handle_mm_fault vm_unmapped_area mmap_min_addr".split()
)
# compare what they are given: include/linux/minmax.h
LIMITS = ("max", "max_t", "min", "min_t", "clamp", "clamp_t")
# one VMA after the other is wanted
GOING_ON = ("find_vma", "vma_next", "mas_next", "mas_find", "vm_next", "next_vma", "find_vma_prev")
# with fewer lines below the call, the question may come where the hunk does not reach; vm_start within them may be
# the question, however it is put (the rule book's six)
BELOW = 6
# a fault handler looks for the stack that may grow, and tells it from a gap in its own ways
ARCH_FAULT = re.compile(r"arch/(?:\w+/)+fault\w*\.c")


@code_rule(
    Severity.NOTE,
    id="VM03",
    since="v5.14",
    words=("find_vma",),
    # where find_vma() is, and the searches that are made of it
    scope=Scope(exclude=(*Scope().exclude, "mm/mmap.c", "mm/nommu.c", "mm/vma.c")),
    confidence=Confidence.HIGH,
)
def check(code: Code) -> Iterator[Report]:
    """`vma = find_vma(mm, addr)` and then a use of it, on no way to which its start is compared with anything."""
    if ARCH_FAULT.fullmatch(code.path):
        return
    for function in code.functions:
        if code.path.startswith("arch/") and "fault" in (function.name or ""):
            continue
        for statement in function.walk():
            for call in calls(statement.tokens, "find_vma"):
                name = _target(statement, call)
                if name is None or len(call.arguments) != 2 or _next_one(call):
                    continue
                use = _use(code, function, statement, call, name)
                if use:
                    yield Report(
                        call.tokens,
                        f"'{name}' may begin above '{_short(call.arguments[1])}': find_vma() also finds the next VMA",
                        ((use, "used without a look at vm_start"),),
                    )


def _use(code: Code, function: Function, start: Statement, call: Call, name: str) -> Sequence[Token] | None:
    """The first place that uses the result, where none asks for its start."""
    if start.kind is StatementKind.LOOP or _asks(start.tokens, name):
        return None
    found: Sequence[Token] | None = None
    behind = list(start.tokens)
    behind = behind[next(n for n, t in enumerate(behind) if t is call.tokens[-1]) + 1 :]
    if uses := list(pointer_uses(behind, name)):
        found = uses[0]
    if any(t.text == "vm_start" for t in behind):
        return None
    near = call.tokens[-1].line + BELOW
    address = {t.text for t in call.arguments[1] if t.kind is Kind.WORD}
    for s in code.flow(function).after(start, lambda s: name in assigned(s)):
        if _asks(s.tokens, name) or looked_up_by_loop(s, name):
            return None
        if any(t.text == "vm_start" and t.line <= near for t in s.tokens):
            return None
        if name in assigned(s) and has_word(s.tokens, *GOING_ON):
            return None  # a walk from one to the next
        if s.kind is StatementKind.RETURN and [t.text for t in s.tokens] == [name]:
            return None  # the caller may ask
        use = next(pointer_uses(s.tokens, name), None)
        if use is None:
            continue
        if len(use) == 1 and _checked_by(s, use[0], address):
            return None
        if found is None or use[0].line < found[0].line:
            found = use
    if not function.closed and _lines_below(code, call) < BELOW:
        return None
    return found


def _lines_below(code: Code, call: Call) -> int:
    """How many lines of the same hunk follow the call."""
    at = call.tokens[-1].line
    offset = 0
    for fragment in code.fragments:
        offset += len(fragment.lines)
        if at < offset:
            return offset - at - 1
    return 0


def _target(statement: Statement, call: Call) -> str | None:
    """The variable that the result goes to: `vma = find_vma(..)`, also within a condition."""
    tokens = statement.tokens
    at = next(n for n, t in enumerate(tokens) if t is call.tokens[0])
    if at < 2 or tokens[at - 1].text != "=" or tokens[at - 2].kind is not Kind.WORD:
        return None
    if at > 2 and tokens[at - 3].text in ("->", ".", "=", "*") and not has_word(tokens[: at - 2], "struct"):
        return None  # handed on to somebody else: `*vmap = vma = find_vma()`
    return tokens[at - 2].text


def _next_one(call: Call) -> bool:
    """The address says that the next VMA is meant: 0, the end of one."""
    address = call.arguments[1]
    return any("end" in t.text for t in address) or [t.text for t in address] in (["0"], ["0UL"], ["TASK_SIZE"])


def _asks(tokens: Sequence[Token], name: str) -> bool:
    """The statement compares where the VMA begins."""
    if has_word(tokens, *ASKING):
        return True
    for n, token in enumerate(tokens):
        if token.text != "vm_start" or n < 2 or tokens[n - 1].text != "->" or tokens[n - 2].text != name:
            continue
        if has_word(tokens, *LIMITS) or any(t.text in COMPARISONS for t in tokens) or tokens[0].text == "*":
            return True  # by itself, or by the caller who is told
    return False


def _checked_by(statement: Statement, use: Token, address: set[str]) -> bool:
    """A condition hands the VMA to a function together with the address: `if (!lumen_covers(vma, addr))`."""
    if statement.kind is not StatementKind.IF:
        return False
    return any(t.text in address for t in statement.tokens) and any(t is use for t in statement.tokens)


def _short(tokens: Sequence[Token]) -> str:
    """An address as it is written, without its casts."""
    while len(tokens) > 1 and tokens[0].text == "(" and (end := closing(tokens, 0)) and end < len(tokens):
        tokens = tokens[end:]
    return "".join(t.text for t in tokens) if len(tokens) < 8 else "the address"
