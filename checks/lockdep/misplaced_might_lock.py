# SPDX-License-Identifier: GPL-2.0-or-later
"""might_lock() on mmap_lock stands where it says less than it should, or too late."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reviewbot.checks.lockdep._asserts import begins

from reviewbot.c.code import Call, Code, calls
from reviewbot.c.flow import facts
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Kind, Token
from reviewbot.kernel import has_word, lock_operand, locks, mentions, mm_of_lock
from reviewbot.model import Severity
from reviewbot.rule import Report, Scope, code_rule

MIGHT = ("might_lock", "might_lock_read", "might_lock_nested")
HELD = (
    "mmap_assert_locked",
    "mmap_assert_write_locked",
    "lockdep_assert_held",
    "lockdep_assert_held_read",
    "lockdep_assert_held_write",
)
# a return behind one of these is for callers that are wrong anyway: mm/gup.c:3445, before its might_lock_read()
# pagefault_disabled() decides whether a fault can take the lock at all: mm/memory.c:6752
CHECKS = (
    "pagefault_disabled",
    "faulthandler_disabled",
    "WARN_ON",
    "WARN_ON_ONCE",
    "VM_WARN_ON",
    "VM_WARN_ON_ONCE",
    "BUG_ON",
    "VM_BUG_ON",
)
# take the lock of an mm themselves: mm/gup.c:2000, :2767, :3540, :3574, :3660, mm/memory.c:6694, :6705,
# mm/util.c:575, :598, mm/mmap.c:1633, :1651, :1868, mm/mmu_notifier.c:699
READERS = frozenset(
    (
        "get_user_pages_fast pin_user_pages_fast get_user_pages_unlocked pin_user_pages_unlocked access_process_vm "
        "access_remote_vm mm_populate"
    ).split()
)
WRITERS = frozenset("vm_mmap vm_mmap_pgoff vm_munmap __vm_munmap vm_brk_flags mmu_notifier_register".split())


@code_rule(
    Severity.WARNING,
    id="LD03",
    since="v5.8",
    words=("might_lock",),
    scope=Scope(include=("mm/", "include/")),
)
def check(code: Code) -> Iterator[Report]:
    """Outside mm/ it is lockdep/might-lock-outside-mm's: there it has no place at all."""
    for function in code.functions:
        for statement in function.walk():
            for call in calls(statement.tokens, *MIGHT):
                if call.arguments and mm_of_lock(call.arguments[0]) is not None:
                    yield from _judge(code, function, statement, call)


def _judge(code: Code, function: Function, might: Statement, call: Call) -> Iterator[Report]:
    statements = list(function.walk())
    at = statements.index(might)
    before, after = statements[:at], statements[at + 1 :]
    seen = begins(code, function)
    for statement in before:
        taken = next(locks(statement), None)
        if taken and _plain(lock_operand(taken)) == _plain(mm_of_lock(call.arguments[0])):
            message = f"{call.name}() comes after {taken.name}() has taken the lock: it can tell nothing any more"
            yield Report(call.tokens, message, ((taken.tokens, "lock taken here"),))
            return
    for statement in (*before, *after):
        held = next(
            (
                c
                for c in calls(statement.tokens, *HELD)
                if c.name.startswith("mmap_") or mm_of_lock(c.arguments[0] if c.arguments else ())
            ),
            None,
        )
        if held:
            message = f"{call.name}() beside {held.name}(): the lock cannot be held and still to be taken"
            yield Report(call.tokens, message, ((held.tokens, "held, it says here"),))
            return
    for statement in before:
        if statement.kind is not StatementKind.IF or statement.holds(might):
            continue
        leaves = [s for s in statement.walk() if s.kind in (StatementKind.RETURN, StatementKind.GOTO)]
        if seen and leaves and statement.tokens and not mentions(statement, *CHECKS):
            message = f"{call.name}() comes after an early exit: the callers that take it are never checked"
            yield Report(call.tokens, message, ((statement.tokens, "left early here"),))
            return
    for statement in before:
        if statement.kind is StatementKind.IF and statement.tokens and statement.holds(might):
            words = [t.text for t in statement.tokens if t.text.isidentifier()]
            decides = any(
                s is not statement and has_word(s.tokens, *words) and s.kind is StatementKind.IF
                for s in function.walk()
            )
            # `if (mm) might_lock_read(&mm->mmap_lock)`: without an mm there is no lock
            guard = any(
                value and (mm_of_lock(call.arguments[0]) or "") == operand
                for operand, value in facts(statement.tokens, True)
            )
            if function.whole and not decides and not guard:
                message = f"{call.name}() is under a condition that does not decide whether the lock is taken"
                yield Report(call.tokens, message, ((statement.tokens, "this condition"),))
                return
    lockers = _lockers(code) if function.whole else {}
    later = [taking for s in after for taking in _takes(s, lockers)] if function.whole else []
    reading = call.name == "might_lock_read"
    if later and all(read is not reading for read, _, _ in later):
        _, taken, place = later[0]
        message = f"{call.name}() announces another kind of lock than {taken.name}() takes"
        yield Report(call.tokens, message, ((place, "taken here"),))


def _plain(operand: str | None) -> str:
    """A macro's (mm) is mm."""
    return operand[1:-1] if operand and operand[0] == "(" and operand[1:-1].isidentifier() else operand or ""


def _takes(
    statement: Statement, lockers: Mapping[str, Sequence[Call]]
) -> Iterator[tuple[bool, Call, tuple[Token, ...]]]:
    """The locks that a statement takes, itself or in a function of the file: (for reading, which call, where)."""
    for taken in locks(statement):
        yield "read" in taken.name, taken, taken.tokens
    names = {t.text for t in statement.tokens if t.kind is Kind.WORD}
    for inner in calls(statement.tokens, *(names & (READERS | WRITERS))):
        yield inner.name in READERS, inner, inner.tokens
    for inner in calls(statement.tokens, *(names & lockers.keys())):
        for taken in lockers[inner.name]:
            yield "read" in taken.name, taken, inner.tokens


def _lockers(code: Code) -> dict[str, list[Call]]:
    """The functions of the file that take an mmap_lock, and how."""
    found: dict[str, list[Call]] = {}
    for function in code.every_function:
        taken = [] if function.macro or not function.name else [c for s in function.walk() for c in locks(s)]
        if taken and function.name:
            found[function.name] = taken[:10]
    return found
