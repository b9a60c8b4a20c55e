# SPDX-License-Identifier: GPL-2.0-or-later
"""A fault handler returns VM_FAULT_RETRY, and what it did to the lock does not fit that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reviewbot.c.code import Code, calls
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Token
from reviewbot.kernel import (
    FAULT_CODES,
    HANDLER_DROPS,
    VMA_UNLOCKS,
    conditions,
    contradicts,
    locks,
    mentions,
    takes_vm_fault,
    told_near,
    unlocks,
)
from reviewbot.model import Severity
from reviewbot.rule import Report, code_rule

ERRORS = (
    "VM_FAULT_SIGBUS",
    "VM_FAULT_SIGSEGV",
    "VM_FAULT_OOM",
    "VM_FAULT_HWPOISON",
    "VM_FAULT_ERROR",
    "VM_FAULT_HWPOISON_LARGE",
    "VM_FAULT_FALLBACK",
)


@code_rule(
    Severity.ERROR, id="DR07", words=("VM_FAULT_RETRY", "mmap_read_unlock", "release_fault_lock", "vma_end_read")
)
def check(code: Code) -> Iterator[Report]:
    """Functions that are given a struct vm_fault."""
    for function in code.functions:
        # what ->page_mkwrite returns beside errors and LOCKED is not looked at: mm/memory.c:3152, do_page_mkwrite()
        if not takes_vm_fault(function) or "page_mkwrite" in (function.name or ""):
            continue
        around = conditions(function)
        for statement in function.walk():
            if token := _gives_retry(statement):
                yield from _judge(code, function, statement, token)
            yield from _after_drop(code, function, statement, around)


def _gives_retry(statement: Statement) -> Token | None:
    """`return VM_FAULT_RETRY`, `err = VM_FAULT_RETRY`, `return ok ? 0 : VM_FAULT_RETRY`: given, not tested."""
    if statement.kind is StatementKind.RETURN:
        value: tuple[Token, ...] = statement.tokens
    elif statement.kind is StatementKind.EXPRESSION:
        start = next((n for n, t in enumerate(statement.tokens) if t.text in ("=", "|=")), None)
        value = statement.tokens[start + 1 :] if start is not None else ()
    else:
        return None
    asked = next((n for n, t in enumerate(value) if t.text == "?"), None)
    value = value if asked is None else value[asked + 1 :]
    if any(t.text in ("&", "~", "?", "==", "(") for t in value):
        return None
    return next((t for t in value if t.text == "VM_FAULT_RETRY"), None)


def _judge(code: Code, function: Function, statement: Statement, token: Token) -> Iterator[Report]:
    if error := next((t for t in statement.tokens if t.text in ERRORS), None):
        yield Report([token], f"VM_FAULT_RETRY together with {error.text}: a handler returns one of them, never both")
        return
    before = _before(code, function, statement)
    if before is None:
        return
    # `ret = VM_FAULT_RETRY;` may come first, as in handle_userfault(): what drops the lock may follow it
    later = () if statement.kind is StatementKind.RETURN else code.flow(function).after(statement, _never)
    for earlier in (*before, *later):
        if any(
            t.text in HANDLER_DROPS or ("unlock" in t.text and "mmap" in t.text) for t in earlier.tokens
        ) or _given_vmf(function, earlier):
            return
    around = [s for s in function.walk() if s.kind is StatementKind.IF and s.holds(statement)]
    if any(mentions(s, "FAULT_FLAG_VMA_LOCK", "FAULT_FLAG_RETRY_NOWAIT") for s in around):
        return  # under the VMA lock alone, vma_end_read() and RETRY asks for the mmap_lock; with NOWAIT the lock stays
    # what makes it true is that nothing on the way here drops the lock: removing what did is the patch's doing
    evidence = [s.tokens[0] for s in before if s.tokens]
    dropped = next((s for s in before if mentions(s, "vma_end_read")), None)
    if dropped:
        condition = next(
            (
                s
                for s in before
                if s.kind is StatementKind.IF and s.holds(dropped) and mentions(s, "FAULT_FLAG_VMA_LOCK")
            ),
            None,
        )
        if condition is None:
            return
        yield Report(
            [token],
            "VM_FAULT_RETRY is returned with mmap_lock still held: only the VMA lock is dropped",
            ((dropped.tokens, "the VMA lock, if that is what is held"),),
            evidence=evidence,
        )
    elif function.opened:
        yield Report(
            [token],
            f"{function.name}() returns VM_FAULT_RETRY without having dropped the lock",
            evidence=evidence,
        )


def _after_drop(
    code: Code, function: Function, statement: Statement, around: Mapping[Statement, tuple[tuple[str, bool], ...]]
) -> Iterator[Report]:
    """A handler that releases the lock itself: may it, and does it say so?"""
    drop = next((call for call in unlocks(statement) if "write" not in call.name), None) or next(
        calls(statement.tokens, *VMA_UNLOCKS), None
    )
    if drop is None or not function.opened:
        return
    flow = code.flow(function)
    if any(next(locks(s), None) for s in flow.before(statement)):
        return  # its own lock, not the one it was called with
    known = around.get(statement, ())
    if any("FAULT_FLAG_RETRY_NOWAIT" in operand and true for operand, true in known):
        yield Report(drop.tokens, f"{drop.name}() where FAULT_FLAG_RETRY_NOWAIT is set: the lock is to be kept")
    # Oleg Nesterov: "why is it safe to drop ->mmap_sem without checking FAULT_FLAG_ALLOW_RETRY/RETRY_NOWAIT ?"
    words = [t.text for s in function.walk() for t in s.tokens]
    asked = any("ALLOW_RETRY" in w or "allow_retry" in w or "RETRY_NOWAIT" in w for w in words)
    if (
        function.whole
        and not asked
        # the VMA lock may always go: the caller comes back with the mmap_lock
        and drop.name != "vma_end_read"
        and not any("FAULT_FLAG_VMA_LOCK" in operand and true for operand, true in known)
        and any(_gives_retry(s) for s in function.walk())
    ):
        yield Report(drop.tokens, f"{drop.name}() in a fault handler that does not ask whether a retry is allowed")
    if not any(t.text == "vm_fault_t" for t in function.header):
        return  # a helper, whose 0 says something else
    cut = contradicts((*known, *told_near(flow, statement)))
    for reached in flow.after(statement, lambda s: next(locks(s), None) is not None, cut):
        value = reached.tokens[0].text if reached.kind is StatementKind.RETURN and len(reached.tokens) == 1 else ""
        if value == "0" or (value in FAULT_CODES and value not in ("VM_FAULT_RETRY", "VM_FAULT_COMPLETED")):
            yield Report(
                reached.tokens,
                f"{value} is returned with the lock dropped: the caller releases it a second time",
                ((drop.tokens, "dropped here"),),
            )


def _before(code: Code, function: Function, target: Statement) -> list[Statement] | None:
    """Statements that can come before `target`, as they stand; None where the flow into it is not all seen."""
    if not function.opened and not any(mentions(s, "vma_end_read") for s in function.walk()):
        return None
    return list(code.flow(function).before(target))


def _never(_: Statement) -> bool:
    return False


def _given_vmf(function: Function, statement: Statement) -> bool:
    """A call gets the vm_fault itself: it may be what dropped the lock."""
    tokens = statement.tokens
    names = {"vmf"} | {
        name.text
        for kind, star, name in zip(function.header, function.header[1:], function.header[2:], strict=False)
        if (kind.text, star.text) == ("vm_fault", "*")
    }
    for n, token in enumerate(tokens):
        if (
            token.text in names
            and n
            and tokens[n - 1].text in ("(", ",")
            and n + 1 < len(tokens)
            and tokens[n + 1].text in (")", ",")
        ):
            return True
    return next(calls(tokens, "userfaultfd_missing", "do_fault"), None) is not None
