# SPDX-License-Identifier: GPL-2.0-or-later
"""The `locked` argument of get_user_pages_remote() and its kin is not treated as they demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from reviewbot.c.code import Call, Code, assigned, calls
from reviewbot.c.flow import Edge, facts
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.kernel import (
    DROPS,
    LOCKED_CALLS,
    conditions,
    contradicts,
    lock_operand,
    locked_argument,
    locks,
    mentions,
    unlocks,
    variable_tokens,
)
from reviewbot.locks import Mode, lock_paths
from reviewbot.model import Severity
from reviewbot.rule import Report, code_rule

IF = StatementKind.IF
HMM = ("mm/hmm.c", "include/linux/hmm.h")
MOST_HEADER = 60  # tokens of a function's parameters: the longest of mm/ has under 50

# they find the mm themselves: current->mm, vma->vm_mm
NO_MM = ("get_user_pages_locked", "pin_user_pages_locked", "populate_vma_page_range")


@code_rule(Severity.ERROR, id="DR05", words=(*LOCKED_CALLS, "locked"))
def check(code: Code) -> Iterator[Report]:
    """An int that is 1 at the call, tested before the unlock, and set to 1 again before the next call."""
    tested = {operand for f in code.functions for s in f.walk() if s.kind is IF for operand, _ in facts(s.tokens, True)}
    for function in code.functions:
        around = conditions(function)
        for statement in function.walk():
            for call in calls(statement.tokens, *LOCKED_CALLS):
                name = locked_argument(call)
                if name:
                    yield from _held(code, function, statement, call)
                    yield from _before(function, call, name)
                    yield from _after(code, function, statement, call, name, contradicts(around[statement]))
            pointer = _written(statement)
            if pointer in tested and (pointer, True) not in around[statement]:
                yield Report(
                    statement.tokens, f"'{pointer}' may be NULL, for it is tested elsewhere, and is written to"
                )
        yield from _given_null(code, function)
    yield from _undocumented(code)
    yield from _int_of_hmm(code)


def _held(code: Code, function: Function, statement: Statement, call: Call) -> Iterator[Report]:
    """The callee releases the lock as a reader does: it must be held, and for reading."""
    if call.name.startswith("__"):
        return
    for paths in lock_paths(code, function):
        state = paths.surely(statement)
        if state is None or state.mode not in (Mode.WRITE, Mode.FREE):
            continue
        by = paths.call(state)
        if by is None or not (call.name in NO_MM or call.text(0) in paths.operands):
            continue
        if by.name in DROPS:
            continue  # dropped by such a call before: that is about its `locked`
        held = "held for writing, and is released as a reader does" if state.mode is Mode.WRITE else "not held"
        yield Report(
            call.tokens,
            f"{call.name}() is called with mmap_lock {held}",
            ((by.tokens, "taken here" if state.mode is Mode.WRITE else "released here"),),
        )
        return


def _given_null(code: Code, function: Function) -> Iterator[Report]:
    """`*locked = 0` of a parameter for which a caller in this file has NULL."""
    place = _parameter(function)
    if place is None or function.name is None or not function.whole:
        return
    n, name = place
    null = next((c for c in code.calls(function.name) if c.text(n) in ("NULL", "0")), None)
    if null is None or any(s.kind is IF and mentions(s, name) for s in function.walk()):
        return
    for s in function.walk():
        if [t.text for t in s.tokens] in (["*", name, "=", "0"], ["*", name, "=", "false"]):
            yield Report(
                s.tokens,
                f"'{name}' is written to, and {function.name}() is called with NULL for it",
                ((null.tokens, "NULL"),),
            )
            return


def _parameter(function: Function) -> tuple[int, str] | None:
    """(position, name) of the parameter `int *locked`."""
    texts = [t.text for t in function.header]
    if "(" not in texts:
        return None
    position, depth = 0, 0
    for n in range(texts.index("("), len(texts)):
        depth += texts[n] in ("(", "[")
        depth -= texts[n] in (")", "]")
        position += texts[n] == "," and depth == 1
        kind, star, name = ["", "", "", *texts[n : n + 3]][-3:]
        if kind in ("int", "bool") and star == "*" and name.endswith("locked"):
            return position, name
    return None


def _undocumented(code: Code) -> Iterator[Report]:
    """`int locked;` that is -1, 0 or 1. Kevin Tian: "document what locked==-1/0/1 means"."""
    tokens = code.tokens
    third = {
        tokens[n].text
        for n in code.words(*(word for word in code.vocabulary if word.endswith("locked")))
        if n < len(tokens) - 3
        and tokens[n + 1].text in ("=", "==", "!=")
        and (tokens[n + 2].text == "-" or tokens[n + 2].text in ("2", "3"))
    }
    if not third:
        return
    lines = {c.line for c in code.comments}
    about = [c.text for c in code.comments if any(f"@{name}" in c.text for name in third)]
    for n in code.words("int"):
        name = tokens[n + 1].text if n + 2 < len(tokens) else ""
        if name in third and tokens[n + 2].text == ";":
            line = tokens[n].line
            if not lines & {line, line - 1} and not any(f"@{name}" in text for text in about):
                yield Report(
                    tokens[n : n + 3],
                    f"'{name}' has more than two values, and nothing says what each of them means",
                    severity=Severity.NOTE,
                )


def _int_of_hmm(code: Code) -> Iterator[Report]:
    """The HMM interface that may drop the lock is new: "Let's use bool"."""
    tokens = code.tokens
    for n in code.words("int"):
        if n < len(tokens) - 3 and tokens[n + 1].text == "*" and tokens[n + 2].text.endswith("locked"):
            inside = code.path in HMM
            at = n
            while not inside and at > max(0, n - MOST_HEADER) and tokens[at].text not in (";", "{", "}"):
                at -= 1
                inside = tokens[at].text == "(" and tokens[at - 1].text.startswith("hmm_")
            if inside:
                yield Report(
                    tokens[n : n + 3],
                    f"'{tokens[n + 2].text}' of HMM is an int: bool says that it has two values",
                    severity=Severity.NOTE,
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


def _after(
    code: Code,
    function: Function,
    statement: Statement,
    call: Call,
    name: str,
    cut: Callable[[Statement, Edge], bool],
) -> Iterator[Report]:
    flow = code.flow(function)

    def settled(s: Statement) -> bool:
        return name in assigned(s) or (mentions(s, name) and s is not statement)

    mm = call.text(0)
    objects = {lock_operand(c) for s in function.walk() for c in (*locks(s), *unlocks(s))}
    for reached in flow.after(statement, settled, cut):
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
