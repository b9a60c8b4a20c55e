# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the lock surely was dropped by a call that may drop it: every way through a function, with what its tests tell.

Shared by the rules of this family. `kernel.DROPS` says which calls, and how each of them tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from reviewbot.c.code import Call, Code, calls
from reviewbot.c.paths import Fact, Outcome, Paths
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Kind
from reviewbot.kernel import ALLOWING_FLAGS, DROPS, Drop, Tells, drop_of, flag_tokens, has_word, mentions, told_in


class Way(NamedTuple):
    """How a call may turn out: whether it dropped the lock, and what is then known."""

    dropped: bool
    told: tuple[Fact, ...]


class At(NamedTuple):
    """What became of the lock: the number of the call that dropped it, -1 where none has, and in which of its ways.

    `asked`: a branch on the way here has asked, and did not jump away.
    """

    call: int
    way: int = 0
    asked: bool = False


KEPT = At(-1)
ERRORS = (
    "VM_FAULT_ERROR",
    "VM_FAULT_OOM",
    "VM_FAULT_SIGBUS",
    "VM_FAULT_SIGSEGV",
    "VM_FAULT_HWPOISON",
    "VM_FAULT_LOCKED",
)
_BRANCHES = frozenset((StatementKind.IF, StatementKind.LOOP, StatementKind.DO))
_JUMPS = frozenset((StatementKind.GOTO, StatementKind.BREAK, StatementKind.CONTINUE))


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
            unseen = expected and _one_variable(call)
            if has_word(flags, "FAULT_FLAG_RETRY_NOWAIT") or not (has_word(flags, *ALLOWING_FLAGS) or unseen):
                continue
            if code.version and code.version < (6, 6) and has_word(flags, "FAULT_FLAG_VMA_LOCK"):
                continue
        yield call, drop


def _one_variable(call: Call) -> bool:
    """`flags`, `flags | FAULT_FLAG_VMA_LOCK`."""
    given = call.arguments[2] if len(call.arguments) > 2 else ()
    return not any(t.text in ("?", "(", "~") for t in given) and any(not t.text.isupper() for t in given[:1])


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
        # never together with an error bit (mm/filemap.c:3301), and only where it was allowed
        flags = call.text(2) if call.name == "handle_mm_fault" else ""
        gone = (
            (result, True),
            *no_code(result),
            *([(f"{flags}&FAULT_FLAG_ALLOW_RETRY", True)] if flags.isidentifier() else []),
        )
        return (
            Way(False, ((retry, False), (completed, False))),
            Way(True, (*gone, (retry, True), (completed, False))),
            Way(True, (*gone, (retry, False), (completed, True))),
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


def no_code(result: str) -> tuple[Fact, ...]:
    """What the result surely is not where the lock was dropped: an error, a locked page, one other code."""
    return (
        *((f"{result}&{code}", False) for code in ERRORS),
        *((f"{result}=={code}", False) for code in ("VM_FAULT_LOCKED", "VM_FAULT_NOPAGE")),
    )


def _ored(statement: Statement, call: Call) -> bool:
    tokens = statement.tokens
    at = next((n for n, t in enumerate(tokens) if t is call.tokens[0]), 0)
    return at > 0 and tokens[at - 1].text == "|="


class DropPaths:
    """At each statement of a function: by which call the lock may be dropped on arrival there.

    `renews` says of a statement that it makes all well again: the lock is retaken, the pointer looked up. `of_lock`:
    it is the lock that is followed, not what it kept alive.
    """

    def __init__(
        self, code: Code, function: Function, renews: Callable[[Statement], bool], *, of_lock: bool = True
    ) -> None:
        self._of_lock = of_lock
        self._function = function
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

    def tested(self, statement: Statement) -> Sequence[tuple[Statement, Call, Drop]]:
        """The calls that dropped the lock on some way to a statement, of which the function asks whether they did.

        An answer that nobody asked for is not of this kind: then every way leads everywhere.
        """
        states = self._paths.states(statement) if self._paths else ()
        found = []
        for state in sorted(set(states)):
            if state.call < 0:
                continue
            at, call, drop = self.calls[state.call]
            if drop.tells is Tells.RETRY:
                word: str | None = _code(state.way)
            elif drop.tells is Tells.LOCKED:
                word = told_in(call, drop)
            else:
                word = target(at, call)
            if word is not None and word in self._asked:
                found.append(self.calls[state.call])
        return found

    def answered(self, statement: Statement) -> Sequence[tuple[Statement, Call, Drop]]:
        """The calls that dropped the lock on some way to a statement on which a branch was told so, and fell through.

        Only where it is what the lock kept alive that is followed.
        """
        states = self._paths.states(statement) if self._paths else ()
        return [self.calls[n] for n in sorted({state.call for state in states if state.asked})]

    @cached_property
    def _asked(self) -> frozenset[str]:
        """All words of all conditions."""
        return frozenset(
            t.text for s in self._function.walk() if s.kind in _BRANCHES for t in s.tokens if t.kind is Kind.WORD
        )

    def _step(self, statement: Statement, state: At, known: Mapping[str, bool]) -> Sequence[Outcome[At]]:
        numbers = self._by.get(statement)
        if numbers is None:
            after = KEPT if self._renews(statement) else self._after(statement, state)
            return (Outcome(after, tuple(_signal(statement, known))),)
        if len(numbers) > 1:
            return (Outcome(KEPT),)  # nobody writes two of them into one statement
        _, call, drop = self.calls[numbers[0]]
        if not self._of_lock and self._renews(statement):
            return [Outcome(KEPT, way.told) for way in ways(statement, call, drop)]
        # a call that needs the lock and kept it: it was held, whatever was not seen of that
        kept = KEPT if self._of_lock else state
        return [
            Outcome(self._after(statement, At(numbers[0], n)) if way.dropped else kept, way.told)
            for n, way in enumerate(ways(statement, call, drop))
        ]

    def _after(self, statement: Statement, state: At) -> At:
        """The state with whether its answer was asked for; a jump leads to where that is dealt with."""
        if self._of_lock or state.call < 0:
            return state
        if statement.kind in _JUMPS:
            return state._replace(asked=False)
        if state.asked or statement.kind not in _BRANCHES:
            return state
        at, call, drop = self.calls[state.call]
        return state._replace(asked=statement is at or _asks(statement, _word(at, call, drop, state.way)))


def _code(way: int) -> str:
    """The code that tells of a drop: see `ways`."""
    return "VM_FAULT_COMPLETED" if way == 2 else "VM_FAULT_RETRY"


def _word(at: Statement, call: Call, drop: Drop, way: int) -> str | None:
    """What a branch must name that asks whether a call dropped the lock: a code, `unlocked`, `*locked`, `ret`."""
    if drop.tells is Tells.RETRY:
        return _code(way)
    return told_in(call, drop) if drop.tells in (Tells.LOCKED, Tells.UNLOCKED, Tells.PREV) else target(at, call)


def _asks(statement: Statement, word: str | None) -> bool:
    if word is None:
        return False
    star, name = word.startswith("*"), word.lstrip("*")
    tokens = statement.tokens
    return any(t.text == name and (not star or (n > 0 and tokens[n - 1].text == "*")) for n, t in enumerate(tokens))


def _signal(statement: Statement, known: Mapping[str, bool]) -> Iterator[Fact]:
    """fault_signal_pending(fault, regs) is true only with VM_FAULT_RETRY: include/linux/sched/signal.h:430."""
    for call in calls(statement.tokens, "fault_signal_pending"):
        if known.get(f"{call.text(0)}&VM_FAULT_RETRY") is False:
            yield "".join(t.text for t in call.tokens), False
