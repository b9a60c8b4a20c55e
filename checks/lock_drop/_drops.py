# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the lock surely was dropped by a call that may drop it: every way through a function, with what its tests tell.

Shared by the rules of this family. `kernel.DROPS` says which calls, and how each of them tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from reviewbot.c.code import Call, Code, calls
from reviewbot.c.paths import Fact, Outcome, Paths
from reviewbot.c.skeleton import Function, Statement
from reviewbot.c.tokens import Kind
from reviewbot.kernel import ALLOWING_FLAGS, DROPS, Drop, Tells, drop_of, flag_tokens, has_word, mentions, told_in


class Way(NamedTuple):
    """How a call may turn out: whether it dropped the lock, and what is then known."""

    dropped: bool
    told: tuple[Fact, ...]


class At(NamedTuple):
    """What became of the lock: the number of the call that dropped it, -1 where none has, and in which of its ways."""

    call: int
    way: int = 0


KEPT = At(-1)


def dropping(
    code: Code, function: Function, statement: Statement, *, expected: bool = False
) -> Iterator[tuple[Call, Drop]]:
    """Calls in a statement that may drop the lock, as far as their arguments tell.

    `expected`: the function asks for VM_FAULT_RETRY, so flags that are not seen are taken to allow it.
    """
    for call in calls(statement.tokens, *DROPS):
        drop = drop_of(code, call)
        if drop is None:
            continue
        if call.name == "handle_mm_fault":
            flags = flag_tokens(function, call.arguments[2]) if len(call.arguments) > 2 else []
            unseen = expected and any(t.kind is Kind.WORD and not t.text.isupper() for t in flags)
            if has_word(flags, "FAULT_FLAG_RETRY_NOWAIT") or not (has_word(flags, *ALLOWING_FLAGS) or unseen):
                continue
            if code.version and code.version < (6, 6) and has_word(flags, "FAULT_FLAG_VMA_LOCK"):
                continue
        yield call, drop


def target(statement: Statement, call: Call) -> str | None:
    """The variable that the result of a call goes to: `x = f(..)`, `x |= f(..)`."""
    tokens = statement.tokens
    at = next((n for n, t in enumerate(tokens) if t is call.tokens[0]), 0)
    if at < 2 or tokens[at - 1].text not in ("=", "|=") or tokens[at - 2].kind is not Kind.WORD:
        return None
    other = at > 2 and (tokens[at - 3].text in ("->", ".") or (at == 3 and tokens[0].text == "*"))
    return None if other else tokens[at - 2].text


def ways(statement: Statement, call: Call, drop: Drop) -> tuple[Way, ...]:
    """The ways a call may turn out."""
    result = target(statement, call) or "".join(t.text for t in call.tokens)
    retry, completed = f"{result}&VM_FAULT_RETRY", f"{result}&VM_FAULT_COMPLETED"
    if drop.tells is Tells.RETRY:
        return (
            Way(False, ((retry, False), (completed, False))),
            Way(True, ((result, True), (retry, True), (completed, False))),
            Way(True, ((result, True), (retry, False), (completed, True))),
        )
    name, dropped = result, drop.tells in (Tells.NONZERO, Tells.UNLOCKED)
    if drop.tells in (Tells.LOCKED, Tells.UNLOCKED, Tells.PREV):
        name = told_in(call, drop) or result
    kept: tuple[Fact, ...] = ((name, not dropped),)
    if drop.tells is Tells.NONZERO:
        # `ret |= f()` may have been something before
        kept = ((retry, False),) if _ored(statement, call) else (*kept, (retry, False))
        return Way(False, kept), Way(True, ((name, True), (retry, True)))
    return Way(False, kept), Way(True, ((name, dropped),))


def _ored(statement: Statement, call: Call) -> bool:
    tokens = statement.tokens
    at = next((n for n, t in enumerate(tokens) if t is call.tokens[0]), 0)
    return at > 0 and tokens[at - 1].text == "|="


class DropPaths:
    """At each statement of a function: by which call the lock may be dropped on arrival there.

    `renews` says of a statement that it makes all well again: the lock is retaken, the pointer looked up.
    """

    def __init__(self, code: Code, function: Function, renews: Callable[[Statement], bool]) -> None:
        self.calls: list[tuple[Statement, Call, Drop]] = []
        self._by: dict[Statement, list[int]] = {}
        statements = list(function.walk())
        expected = any(mentions(s, "VM_FAULT_RETRY", "VM_FAULT_COMPLETED") for s in statements) and not any(
            mentions(s, "FAULT_FLAG_RETRY_NOWAIT") for s in statements
        )
        for statement in statements:
            found = dropping(code, function, statement, expected=expected) if mentions(statement, *DROPS) else ()
            for call, drop in found:
                self._by.setdefault(statement, []).append(len(self.calls))
                self.calls.append((statement, call, drop))
        self._renews = renews
        self._paths: Paths[At] | None = Paths(code.flow(function), KEPT, self._step) if self.calls else None

    def dropped(self, statement: Statement) -> Sequence[tuple[Statement, Call, Drop]]:
        """The calls that dropped the lock, where on every way to a statement one of them has; else ()."""
        states = self._paths.states(statement) if self._paths else ()
        if not states or KEPT in states:
            return ()
        return [self.calls[n] for n in sorted({state.call for state in states})]

    def _step(self, statement: Statement, state: At, known: Mapping[str, bool]) -> Sequence[Outcome[At]]:
        numbers = self._by.get(statement)
        if numbers is None:
            return (Outcome(KEPT if self._renews(statement) else state, tuple(_signal(statement, known))),)
        if len(numbers) > 1:
            return (Outcome(KEPT),)  # nobody writes two of them into one statement
        _, call, drop = self.calls[numbers[0]]
        return [
            Outcome(At(numbers[0], n) if way.dropped else state, way.told)
            for n, way in enumerate(ways(statement, call, drop))
        ]


def _signal(statement: Statement, known: Mapping[str, bool]) -> Iterator[Fact]:
    """fault_signal_pending(fault, regs) is true only with VM_FAULT_RETRY: include/linux/sched/signal.h:430."""
    for call in calls(statement.tokens, "fault_signal_pending"):
        if known.get(f"{call.text(0)}&VM_FAULT_RETRY") is False:
            yield "".join(t.text for t in call.tokens), False
