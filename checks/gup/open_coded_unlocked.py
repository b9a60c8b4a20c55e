# SPDX-License-Identifier: GPL-2.0-or-later
"""mmap_read_lock(), one get_user_pages() or pin_user_pages(), mmap_read_unlock(): that is the *_unlocked() call."""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.checks.gup._calls import Gup, gup_calls

from reviewbot.c.code import Call, Code
from reviewbot.c.flow import Flow, facts
from reviewbot.c.skeleton import Statement, StatementKind
from reviewbot.kernel import lock_operand, locks, unlocks
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, Scope, code_rule

READ_LOCKS = ("mmap_read_lock", "mmap_read_lock_killable", "down_read", "down_read_killable")
READ_UNLOCKS = ("mmap_read_unlock", "up_read")
PLAIN = ("get_user_pages", "pin_user_pages")


@code_rule(
    Severity.NOTE,
    id="FL13",
    words=PLAIN,
    scope=Scope(exclude=(*Scope().exclude, "mm/gup.c", "mm/gup_test.c")),
    confidence=Confidence.HIGH,
)
def check(code: Code) -> Iterator[Report]:
    """The three statements in a row, about one mm, with no VMA asked for."""
    for gup in gup_calls(code):
        if gup.call.name not in PLAIN or gup.given("vmas") or gup.statement.kind is not StatementKind.EXPRESSION:
            continue
        flow = code.flow(gup.function)
        taken, released = _taken(flow, gup.statement), _released(flow, gup.statement)
        if taken is None or released is None or lock_operand(taken) != lock_operand(released):
            continue
        if not _current(gup, lock_operand(taken)):
            continue
        yield Report(
            gup.call.tokens,
            f"{gup.call.name}() is all that {taken.name}() is for: {gup.call.name}_unlocked() takes the lock itself",
            ((taken.tokens, "taken here"), (released.tokens, "released here")),
        )


def _current(gup: Gup, operand: str) -> bool:
    """The mm that the plain calls work on: current->mm, a local that is nothing else, or a `mm` set out of sight."""
    values = list(gup.body.values(operand))
    if values:
        return all([token.text for token in value] == ["current", "->", "mm"] for value in values)
    seen = gup.function.opened or any(token.text == operand for token in gup.function.header)
    return operand == "current->mm" or (operand == "mm" and not seen)


def _taken(flow: Flow, statement: Statement) -> Call | None:
    """The read lock of an mm that the one statement in front takes; a killable one may be the head of an if."""
    found = list(flow.before(statement, lambda _: True))
    if len(found) == 1 and (tested := _tested(found[0])):
        # ret = mmap_read_lock_killable(mm); if (ret) return ret;
        found = [s for s in flow.before(found[0], lambda _: True) if [t.text for t in s.tokens[:2]] == [tested, "="]]
    if len(found) != 1:
        return None
    call = next(locks(found[0]), None)
    if call is None or call.name not in READ_LOCKS:
        return None
    plain = found[0].kind is StatementKind.EXPRESSION
    return call if plain or (found[0].kind is StatementKind.IF and call.name.endswith("_killable")) else None


def _tested(statement: Statement) -> str | None:
    """The variable that is all of an if's condition."""
    asked = facts(statement.tokens, True) if statement.kind is StatementKind.IF else []
    return asked[0][0] if len(asked) == 1 and asked[0][0].isidentifier() and asked[0][1] else None


def _released(flow: Flow, statement: Statement) -> Call | None:
    """The release that the one statement behind is."""
    after = flow.only_next(statement)
    if after is None or after.kind is not StatementKind.EXPRESSION:
        return None
    call = next(unlocks(after), None)
    return call if call and call.name in READ_UNLOCKS else None
