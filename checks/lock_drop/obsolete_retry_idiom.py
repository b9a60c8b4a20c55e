# SPDX-License-Identifier: GPL-2.0-or-later
"""A retry of a fault is written as it was before v5.7, or a stack is grown as before v6.5"""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.c.code import Code, calls
from reviewbot.c.flow import facts
from reviewbot.c.pattern import Pattern
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Kind, Token
from reviewbot.kernel import mentions, substituted
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, code_rule

ALLOW = "FAULT_FLAG_ALLOW_RETRY"
# FAULT_FLAG_DEFAULT: include/linux/mm.h:501
PARTS = frozenset((ALLOW, "FAULT_FLAG_KILLABLE", "FAULT_FLAG_INTERRUPTIBLE"))

# what is given the flags: mm/memory.c:6071, mm/gup.c:1607
FAULTS = ("handle_mm_fault", "fixup_user_fault")

# what every handler asks before it grows the stack: mm/memory.c:6198, lock_mm_and_find_vma()
GROWTH = frozenset(("vm_start", "vm_flags", "VM_GROWSDOWN", "likely", "unlikely", "NULL"))
BOTH = (
    Pattern("($fault & VM_FAULT_RETRY) && ($_ & FAULT_FLAG_ALLOW_RETRY)"),
    Pattern("($_ & FAULT_FLAG_ALLOW_RETRY) && ($fault & VM_FAULT_RETRY)"),
)


@code_rule(Severity.NOTE, id="DR09", since="v5.7", words=(ALLOW, "expand_stack"), confidence=Confidence.HIGH)
def check(code: Code) -> Iterator[Report]:
    """ALLOW_RETRY taken away, spelt out or asked for beside RETRY; find_vma() and expand_stack() in a handler."""
    for function in code.functions:
        for statement in function.walk():
            if mentions(statement, ALLOW):
                yield from _taken_away(code, function, statement)
                yield from _spelt_out(code, statement)
                yield from _asked_for(code, statement)
        if code.path.startswith("arch/") and (code.version is None or code.version >= (6, 5)):
            yield from _grown(code, function)


def _taken_away(code: Code, function: Function, statement: Statement) -> Iterator[Report]:
    """`flags &= ~FAULT_FLAG_ALLOW_RETRY`, `flags = flags & ~(..)`."""
    tokens = statement.tokens
    texts = [t.text for t in tokens]
    at = next((n for n, t in enumerate(texts) if t in ("=", "&=")), None)
    if statement.kind is not StatementKind.EXPRESSION or at is None or at == 0 or ALLOW not in texts[at + 1 :]:
        return
    target, value = texts[:at], texts[at + 1 :]
    tilde = value.index("~") if "~" in value else None
    if tilde is None or value.index(ALLOW) < tilde:
        return
    if texts[at] == "=" and value[: len(target) + 1] != [*target, "&"]:
        return
    if any([t.text for t in s.tokens[: at + 1]] == [*target, "="] and len(s.tokens) == at + 2 for s in function.walk()):
        return  # put back as it was: taken out for one call, not for the next try
    if _first_try(code, function, statement):
        return
    # where nothing says TRIED, that is what the line should have said
    tried = any(mentions(s, "FAULT_FLAG_TRIED") for s in function.walk())
    alone = value[tilde:] in (["~", ALLOW], ["~", "(", ALLOW, ")"])
    name = "".join(target)
    yield Report(
        tokens,
        f"{ALLOW} is taken out of '{name}': since v5.7 it stays, and FAULT_FLAG_TRIED is added to it",
        suggestion=substituted(code, tokens, f"{name} |= FAULT_FLAG_TRIED") if alone and not tried else None,
    )


def _first_try(code: Code, function: Function, statement: Statement) -> bool:
    """The flag is taken out before the one fault there is, of which nobody asks whether it is to be retried."""
    if not function.opened or any(
        mentions(s, "VM_FAULT_RETRY", "VM_FAULT_COMPLETED", "FAULT_FLAG_TRIED", "retry") for s in function.walk()
    ):
        return False
    flow = code.flow(function)
    return any(mentions(s, *FAULTS) for s in flow.after(statement, lambda _: False)) and not any(
        mentions(s, *FAULTS) for s in flow.before(statement)
    )


def _spelt_out(code: Code, statement: Statement) -> Iterator[Report]:
    """`flags = FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_KILLABLE` in an architecture's fault handler."""
    if not code.path.startswith("arch/") or "/kvm/" in code.path or statement.kind is not StatementKind.EXPRESSION:
        return
    tokens = statement.tokens
    at = next((n for n, t in enumerate(tokens) if t.text == "=" and n), None)
    if at is None:
        return
    # x = A | B | C: the stretch of it that FAULT_FLAG_DEFAULT stands for
    value = tokens[at + 1 :]
    found = [n for n, t in enumerate(value) if t.text in PARTS]
    if any(t.text in ("~", "&", "?", "FAULT_FLAG_RETRY_NOWAIT") for t in value):
        return
    if not {ALLOW, "FAULT_FLAG_KILLABLE"} <= {value[n].text for n in found}:
        return
    stretch = value[found[0] : found[-1] + 1]
    whole = all(t.text in PARTS or t.text == "|" for t in stretch)
    yield Report(
        stretch,
        f"{ALLOW} and FAULT_FLAG_KILLABLE are spelt out: FAULT_FLAG_DEFAULT has them, and FAULT_FLAG_INTERRUPTIBLE",
        suggestion=substituted(code, stretch, "FAULT_FLAG_DEFAULT") if whole else None,
    )


def _asked_for(code: Code, statement: Statement) -> Iterator[Report]:
    """`(fault & VM_FAULT_RETRY) && (flags & FAULT_FLAG_ALLOW_RETRY)`, in one condition or in two."""
    if statement.kind is not StatementKind.IF or mentions(statement, "FAULT_FLAG_RETRY_NOWAIT", "FAULT_FLAG_TRIED"):
        return
    asked = _told(statement, ALLOW)
    retry = _told(statement, "VM_FAULT_RETRY")
    message = f"VM_FAULT_RETRY is tested together with {ALLOW}: it comes only where that is set"
    if asked and retry:
        yield Report(retry, message, suggestion=_without(code, statement))
        return
    if not asked or retry or statement.orelse:
        return
    for inner in statement.body:
        if inner.kind is StatementKind.IF and (retry := _told(inner, "VM_FAULT_RETRY")):
            yield Report(asked, message, ((retry, "tested here"),))
            return


def _told(statement: Statement, word: str) -> list[Token]:
    """The word where the condition is only true with it: `x & word`."""
    if not any(word in operand and "&" in operand and true for operand, true in facts(statement.tokens, True)):
        return []
    return [t for t in statement.tokens if t.text == word][:1]


def _without(code: Code, statement: Statement) -> str | None:
    """The line without the question for ALLOW_RETRY."""
    tokens = statement.tokens
    for pattern in BOTH:
        for match in pattern.find(tokens):
            at = tokens.index(match.tokens[0])
            end = at + len(match.tokens)
            alone = len(match.tokens) == len(tokens) or (tokens[at - 1].text, tokens[end].text) == ("(", ")")
            return substituted(code, match.tokens, f"{match.text('fault')} & VM_FAULT_RETRY") if alone else None
    return None


def _grown(code: Code, function: Function) -> Iterator[Report]:
    """find_vma() and expand_stack() where nothing but the stack's growth is decided between them."""
    statements = list(function.walk())
    looked = next(((n, c) for n, s in enumerate(statements) for c in calls(s.tokens, "find_vma")), None)
    if looked is None or "fault" not in (function.name or "") + code.path:
        return
    at, call = looked
    for n, s in enumerate(statements[at + 1 :], at + 1):
        grow = next(calls(s.tokens, "expand_stack"), None)
        if grow is None:
            continue
        between = statements[at + 1 : n]
        # an architecture that asks for more before it grows the stack (openrisc, m68k) cannot use it
        own = {t.text for t in (*statements[at].tokens, *s.tokens)} | GROWTH
        other = any(
            t.text not in own for b in between for t in b.tokens if b.kind is StatementKind.IF and t.kind is Kind.WORD
        )
        if not other and (call.text(0), call.text(1)) == (grow.text(0), grow.text(1)):
            yield Report(
                call.tokens,
                "find_vma() and expand_stack() do by hand what lock_mm_and_find_vma() does",
                ((grow.tokens, "the stack is grown here"),),
            )
        return
