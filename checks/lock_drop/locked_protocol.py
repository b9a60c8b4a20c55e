# SPDX-License-Identifier: GPL-2.0-or-later
"""The `locked` argument of get_user_pages_remote() and its kin is not treated as they demand."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from reviewbot.c.code import Call, Code, assigned, calls
from reviewbot.c.flow import facts
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.kernel import (
    LOCKED_CALLS,
    conditions,
    lock_operand,
    locked_argument,
    locks,
    mentions,
    unlocks,
    variable_tokens,
)
from reviewbot.model import Severity
from reviewbot.rule import Report, code_rule

IF = StatementKind.IF

# they find the mm themselves: current->mm, vma->vm_mm
NO_MM = ("get_user_pages_locked", "pin_user_pages_locked", "populate_vma_page_range")


@code_rule(Severity.ERROR, id="DR05", words=(*LOCKED_CALLS, "locked"))
def check(code: Code) -> Iterator[Report]:
    """An int that is 1 at the call, tested before the unlock, and set to 1 again before the next call."""
    tested = {operand for f in code.functions for s in f.walk() if s.kind is IF for operand, _ in facts(s.tokens, True)}
    for function in code.functions:
        for statement in function.walk():
            for call in calls(statement.tokens, *LOCKED_CALLS):
                name = locked_argument(call)
                if name:
                    yield from _before(function, call, name)
                    yield from _after(code, function, statement, call, name)
            pointer = _written(statement)
            if pointer in tested and (pointer, True) not in conditions(function)[statement]:
                yield Report(
                    statement.tokens, f"'{pointer}' may be NULL, for it is tested elsewhere, and is written to"
                )


def _written(statement: Statement) -> str | None:
    """`*walk->locked = 0;` -> 'walk->locked'.

    A parameter is its function's own business: mm/gup.c knows by FOLL_UNLOCKABLE that it is none of NULL.
    """
    texts = [t.text for t in statement.tokens]
    if texts[:1] == ["*"] and "->" in texts and texts[-3:-1] == ["locked", "="] and texts[-1] in ("0", "false"):
        return "".join(texts[1:-2])
    return None


def _before(function: Function, call: Call, name: str) -> Iterator[Report]:
    if call.name.startswith("__"):
        return  # mm's own: it takes the lock itself where *locked is 0 (mm/gup.c:2767, get_user_pages_unlocked())
    values = variable_tokens(function, name)
    for statement in function.walk():
        texts = [t.text for t in statement.tokens]
        if name not in texts or statement.kind is not StatementKind.EXPRESSION:
            continue
        declared = texts[0] in ("int", "bool") and texts[1:2] != ["*"]
        if declared and not values and function.whole:
            yield Report(
                call.tokens,
                f"'{name}' has no value when {call.name}() reads it: it must be 1 (WARN, -EINVAL)",
                ((statement.tokens, "declared here"),),
            )
        elif (
            declared
            and texts[texts.index(name) + 1 : texts.index(name) + 3] in (["=", "0"], ["=", "false"])
            and {v.text for v in values} <= {"0", "false"}
        ):
            yield Report(
                call.tokens,
                f"'{name}' is 0 when {call.name}() reads it: it must be 1 (WARN, -EINVAL)",
                ((statement.tokens, "declared here"),),
            )
        else:
            continue
        return


def _after(code: Code, function: Function, statement: Statement, call: Call, name: str) -> Iterator[Report]:
    flow = code.flow(function)

    def settled(s: Statement) -> bool:
        return name in assigned(s) or (mentions(s, name) and s is not statement)

    mm = call.text(0)
    objects = {lock_operand(c) for s in function.walk() for c in (*locks(s), *unlocks(s))}
    for reached in flow.after(statement, settled):
        if settled(reached):
            continue
        for release in unlocks(reached):
            # no mm among the arguments, or one lock in all of the function: it is that one
            if lock_operand(release) == mm or call.name in NO_MM or len(objects) == 1:
                yield Report(
                    call.tokens,
                    f"{call.name}() may have dropped the lock: {release.name}() without a test of '{name}'",
                    ((release.tokens, "released again here"),),
                )
                return
    retaken = [
        s for s in flow.after(statement, lambda s: name in assigned(s) and s is not statement) if next(locks(s), None)
    ]
    for lock in retaken:
        again = flow.after(lock, lambda s: name in assigned(s) or s is statement)
        if any(s is statement for s in again) and not _set_at_loop(function, statement, name):
            yield Report(
                call.tokens,
                f"'{name}' is still 0 when {call.name}() is called again: set it to 1 after retaking the lock",
                ((lock.tokens, "retaken here"),),
            )
            return


def _given_value(statement: Statement, name: str) -> bool:
    texts = [t.text for t in statement.tokens]
    return any(pair == (name, "=") for pair in pairwise(texts))


def _set_at_loop(function: Function, statement: Statement, name: str) -> bool:
    """The variable is declared with its value inside the loop that holds the call."""
    return any(
        s.kind in (StatementKind.LOOP, StatementKind.DO)
        and s.holds(statement)
        and any(_given_value(x, name) for x in s.body)
        for s in function.walk()
    )
