# SPDX-License-Identifier: GPL-2.0-or-later
"""Which mmap lock is held where: every way through a function, with what each call does to the lock.

Belongs here: the states of an mm's lock (and how killable, try- and dropping calls change them), for every rule that
asks "is it held here". Does not belong here: the walk itself (`c.paths`), names (`kernel`), judging. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from reviewbot.c.code import Call, Code, calls
from reviewbot.c.flow import facts, split
from reviewbot.c.paths import Fact, Outcome, Paths
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Kind, Token
from reviewbot.kernel import flag_tokens, has_word, is_mm, lock_operand, locked_argument, mm_of_lock


class Mode(StrEnum):
    """What is known of the lock."""

    GIVEN = "given"  # as the caller left it: nothing was done here yet
    READ = "read"
    WRITE = "write"
    FREE = "free"  # taken or given, and released here
    UNSURE = "unsure"  # something that is not seen may have changed it


HELD = (Mode.READ, Mode.WRITE)


class State(NamedTuple):
    """The lock at one place: its mode, and which of `LockPaths.calls` made it so (-1: none)."""

    mode: Mode
    by: int = -1


# one word for what is one mm in nearly every function
_SAME = {"mm", "current->mm", "vma->vm_mm", "vmf->vma->vm_mm"}

# call -> mode when it succeeds (include/linux/mmap_lock.h:96-200)
_TAKE = {
    "mmap_read_lock": Mode.READ,
    "mmap_write_lock": Mode.WRITE,
    "mmap_write_lock_nested": Mode.WRITE,
    "down_read": Mode.READ,
    "down_read_nested": Mode.READ,
    "down_write": Mode.WRITE,
    "down_write_nested": Mode.WRITE,
}
# 0 when taken
_KILLABLE = {
    "mmap_read_lock_killable": Mode.READ,
    "mmap_write_lock_killable": Mode.WRITE,
    "down_read_killable": Mode.READ,
    "down_write_killable": Mode.WRITE,
}
# true when taken
_TRY = {
    "mmap_read_trylock": Mode.READ,
    "mmap_write_trylock": Mode.WRITE,
    "mmap_read_trylock_non_owner": Mode.READ,
    "down_read_trylock": Mode.READ,
    "down_write_trylock": Mode.WRITE,
}
_RELEASE = frozenset(
    (
        "mmap_read_unlock",
        "mmap_write_unlock",
        "mmap_read_unlock_non_owner",
        "up_read",
        "up_write",
        "up_read_non_owner",
        "release_fault_lock",
    )
)
_DOWNGRADE = frozenset(("mmap_write_downgrade", "mmap_downgrade_write_lock", "downgrade_write"))
# hold the lock for a scope and give it back by themselves (include/linux/mmap_lock.h, 6.17 and later)
_GUARD_MODES = {"mmap_read_lock": Mode.READ, "mmap_write_lock": Mode.WRITE}
# release with NULL, else hold: mm/memory.c:6198 and :6636
_NULL_IS_FREE = frozenset(("lock_mm_and_find_vma", "expand_stack"))
# parts of a name that say that a function's "unlock" is about an mm's lock
_ABOUT = frozenset(("mm", "mmap", "vma", "fault"))
_RAW = ("down_", "up_", "downgrade_")
_WORDS = frozenset((*_TAKE, *_KILLABLE, *_TRY, *_RELEASE, *_DOWNGRADE, *_NULL_IS_FREE))


class LockPaths:
    """The states of one mm's lock in one function, on arrival at each of its statements."""

    def __init__(self, code: Code, function: Function, operand: str, operands: frozenset[str]) -> None:
        self.function = function
        self.operand = operand  # as written at its first lock or unlock; '' where it is written in several ways
        self.operands = operands
        self.calls: list[Call] = []  # every call that changes the lock
        self._number: dict[Token, int] = {}
        self._code = code
        self._paths: Paths[State] = Paths(code.flow(function), State(Mode.GIVEN), self._step)
        self.cut = self._paths.cut
        self.exits = tuple(self._paths.exits)

    def states(self, statement: Statement) -> Sequence[State]:
        """The states in which the flow can come to a statement."""
        return self._paths.states(statement)

    def surely(self, statement: Statement) -> State | None:
        """The one state in which the flow comes to a statement; None where there are several, or none."""
        return self._paths.surely(statement)

    def held(self, statement: Statement) -> State | None:
        """A state that holds on every way to the statement, in whatever mode; None where the lock may be free."""
        found = self.states(statement)
        return found[0] if found and all(state.mode in HELD for state in found) else None

    def call(self, state: State) -> Call | None:
        """The call that brought a state about; None where there was none."""
        return self.calls[state.by] if state.by >= 0 else None

    # -- what a statement does --------------------------------------------------------------------

    def _step(self, statement: Statement, state: State, known: Mapping[str, bool]) -> Iterable[Outcome[State]]:
        names = {t.text for t in statement.tokens if t.kind is Kind.WORD}
        outcomes: list[Outcome[State]] = [Outcome(state)]
        unlocking = {name for name in names if "unlock" in name and "unlocked" not in name}
        lent = any(a.text == "&" and b.text.endswith("locked") for a, b in pairwise(statement.tokens))
        if not names & _WATCHED and not unlocking and not lent:
            return outcomes
        watched = names if lent else names & _WATCHED | unlocking
        for call in calls(statement.tokens, *watched):
            outcomes = [
                Outcome(after.state, (*before.told, *after.told), before.truth if after.truth is None else after.truth)
                for before in outcomes
                for after in self._call(statement, call, before.state)
            ]
            if len(outcomes) > 8:
                return [Outcome(State(Mode.UNSURE))]
        return [o._replace(told=(*o.told, *_signal(statement, known))) for o in outcomes]

    def _call(self, statement: Statement, call: Call, state: State) -> Iterator[Outcome[State]]:
        name = call.name
        text = "".join(t.text for t in call.tokens)
        if name in _FAULTS:
            yield from self._fault(statement, call, state)
        elif name not in _WORDS:
            flag = locked_argument(call)
            if flag is not None and not flag.endswith("unlocked"):
                yield Outcome(state, ((flag, True),))
                yield Outcome(self._state(Mode.FREE, call), ((flag, False),))
            elif state.mode in HELD and "unlock" in name and _unlocks_unseen(call, self.operands):
                yield Outcome(State(Mode.UNSURE))
            else:
                yield Outcome(state)
        elif not self._mine(call):
            yield Outcome(state)
        elif name in _TAKE:
            yield Outcome(self._state(_TAKE[name], call))
        elif name in _RELEASE:
            yield Outcome(self._state(Mode.FREE, call))
        elif name in _DOWNGRADE:
            yield Outcome(self._state(Mode.READ, call))
        elif name in _NULL_IS_FREE:
            target = _target(statement, call)
            if target is None:
                yield Outcome(State(Mode.UNSURE))
            else:
                held = self._state(Mode.READ, call) if name == "lock_mm_and_find_vma" else state
                yield Outcome(held, ((target, True),))
                yield Outcome(self._state(Mode.FREE, call), ((target, False),))
        else:
            modes, taken = (_KILLABLE, False) if name in _KILLABLE else (_TRY, True)
            target = _target(statement, call)
            before, skipped = _evaluated(statement, call)
            yield Outcome(self._state(modes[name], call), _told(text, target, taken) + before)
            yield Outcome(state, _told(text, target, not taken) + before)
            if skipped is not None:
                yield Outcome(state, (), skipped)

    def _fault(self, statement: Statement, call: Call, state: State) -> Iterator[Outcome[State]]:
        """handle_mm_fault() and its like: released with RETRY and with COMPLETED, where the flags allow it."""
        target = _target(statement, call)
        flags = flag_tokens(self.function, call.arguments[2]) if len(call.arguments) > 2 else []
        allowed = has_word(flags, "FAULT_FLAG_ALLOW_RETRY", "FAULT_FLAG_DEFAULT", "FAULT_FLAG_KILLABLE")
        constant = all(t.text.isupper() or t.kind is not Kind.WORD for t in flags)
        if not allowed and constant:
            yield Outcome(state)
            return
        if target is None:
            yield Outcome(State(Mode.UNSURE))
            return
        retry, completed = f"{target}&VM_FAULT_RETRY", f"{target}&VM_FAULT_COMPLETED"
        yield Outcome(state, ((retry, False), (completed, False)))
        yield Outcome(self._state(Mode.FREE, call), ((retry, True), (completed, False)))
        yield Outcome(self._state(Mode.FREE, call), ((retry, False), (completed, True)))

    def _state(self, mode: Mode, call: Call) -> State:
        first = call.tokens[0]
        number = self._number.get(first)
        if number is None:
            number = self._number[first] = len(self.calls)
            self.calls.append(call)
        return State(mode, number)

    def _mine(self, call: Call) -> bool:
        """The call is about this mm's lock."""
        if call.name.startswith(_RAW):
            return bool(call.arguments) and mm_of_lock(call.arguments[0]) in self.operands
        if call.name == "release_fault_lock":
            return True
        return call.text(0) in self.operands or call.name == "expand_stack" or len(self.operands) > 1


def _about_mm(call: Call) -> bool:
    return bool(call.arguments) and mm_of_lock(call.arguments[0]) is not None


_FAULTS = frozenset(("handle_mm_fault",))
_WATCHED = _WORDS | _FAULTS


def lock_paths(code: Code, function: Function) -> Iterator[LockPaths]:
    """For each mm whose lock a function takes or releases, the states along its ways."""
    found: dict[str, None] = {}
    for statement in function.walk():
        for call in calls(statement.tokens, *_WORDS):
            if call.name == "release_fault_lock":
                found["vma->vm_mm"] = None
            elif call.name == "expand_stack" or (call.name.startswith(_RAW) and not _about_mm(call)):
                continue
            elif operand := lock_operand(call):
                found[operand] = None
    if set(found) <= _SAME:
        if found:
            yield LockPaths(code, function, next(iter(found)) if len(found) == 1 else "", frozenset(found))
        return
    for operand in found:
        yield LockPaths(code, function, operand, frozenset((operand,)))


def guarded(function: Function) -> dict[Statement, Call]:
    """The statements that run under guard(mmap_read_lock)(mm) or scoped_guard(mmap_read_lock, mm), with the guard."""
    found: dict[Statement, Call] = {}

    def enter(statements: Sequence[Statement], by: Call | None) -> None:
        for s in statements:
            function.effort.spend()
            if by is not None:
                found[s] = by
            texts = [t.text for t in s.tokens[:4]]
            if texts[:2] == ["guard", "("] and texts[2:3] and texts[2] in _GUARD_MODES:
                by = Call(texts[2], (tuple(s.tokens[5:-1]),), s.tokens)
            inner = by
            if s.kind is StatementKind.ONCE and texts and texts[0] in _GUARD_MODES:
                inner = Call(texts[0], (tuple(s.tokens[2:]),), s.tokens)
            enter(s.body, inner)
            enter(s.orelse, inner)

    enter(function.statements, None)
    return found


def _told(text: str, target: str | None, value: bool) -> tuple[Fact, ...]:
    return ((text, value), (target, value)) if target else ((text, value),)


def _target(statement: Statement, call: Call) -> str | None:
    """The variable that the result of a call goes to: `ret = call(..)`, `if ((ret = call(..)))`."""
    tokens = statement.tokens
    at = next((n for n, t in enumerate(tokens) if t is call.tokens[0]), 0)
    if at < 2 or tokens[at - 1].text not in ("=", "|=") or tokens[at - 2].kind is not Kind.WORD:
        return None
    return None if at > 2 and tokens[at - 3].text in ("->", ".") else tokens[at - 2].text


def _evaluated(statement: Statement, call: Call) -> tuple[tuple[Fact, ...], bool | None]:
    """What is known where a call within && or || is evaluated, and what the whole is where it is not.

    None where it is always evaluated.
    """
    for operator, going_on in (("||", False), ("&&", True)):
        parts = split(statement.tokens, operator)
        at = next((n for n, part in enumerate(parts) if any(t is call.tokens[0] for t in part)), 0)
        if len(parts) > 1 and at:
            told = tuple(fact for part in parts[:at] for fact in facts(part, going_on))
            return told, not going_on
    return (), None


def _signal(statement: Statement, known: Mapping[str, bool]) -> Iterator[Fact]:
    """fault_signal_pending(fault, regs) is true only with VM_FAULT_RETRY (include/linux/sched/signal.h)."""
    for call in calls(statement.tokens, "fault_signal_pending"):
        if known.get(f"{call.text(0)}&VM_FAULT_RETRY") is False:
            yield "".join(t.text for t in call.tokens), False


def _unlocks_unseen(call: Call, operands: frozenset[str]) -> bool:
    """A function that may release the lock for its caller: lumen_unlock_mm(), lumen_unlock(mm)."""
    if call.name in _WATCHED or call.name in _VMA_LOCK:
        return False
    return not _ABOUT.isdisjoint(call.name.split("_")) or any(call.text(n) in operands for n in range(3))


_VMA_LOCK = frozenset(("hugetlb_vma_unlock_read", "hugetlb_vma_unlock_write", "anon_vma_unlock_write"))


def foreign(operand: Sequence[Token]) -> bool:
    """The mm is not the current task's own, by its name."""
    return is_mm(operand) and "".join(t.text for t in operand) != "current->mm"
