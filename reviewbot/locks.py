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
from weakref import WeakKeyDictionary

from reviewbot.c.code import Call, Code, calls
from reviewbot.c.flow import bare, decide, facts, split
from reviewbot.c.paths import Fact, Outcome, Paths
from reviewbot.c.pattern import MAX_REACH
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Kind, Token
from reviewbot.kernel import flag_tokens, has_word, is_mm, lock_operand, mm_of_lock


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
    way: str = ""  # what a call that may do it in several ways has told: "RETRY", "COMPLETED"


# one word for what is one mm in nearly every function
_SAME = frozenset(("mm", "current->mm", "vma->vm_mm", "vmf->vma->vm_mm"))

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
# released with NULL or false, else held: mm/memory.c:6198, :6636 (since 6.5: with an mm), fs/userfaultfd.c:779
_NULL_IS_FREE = frozenset(("lock_mm_and_find_vma", "expand_stack", "userfaultfd_remove"))
# released with 0 where the last argument says so: mm/vma.c:1507, mm/mmap.c:1640
_ZERO_IS_FREE = frozenset(("do_vmi_munmap", "do_vmi_align_munmap"))
# parts of a name that say that a function's "unlock" is about an mm's lock
_ABOUT = frozenset(("mm", "mmap", "vma", "fault"))
_RAW = ("down_", "up_", "downgrade_")
_WORDS = frozenset((*_TAKE, *_KILLABLE, *_TRY, *_RELEASE, *_DOWNGRADE, *_NULL_IS_FREE))
_FAULTS = frozenset(("handle_mm_fault",))
_WATCHED = frozenset((*_WORDS, *_FAULTS, *_ZERO_IS_FREE))
# a statement with more calls that may be about a lock is not read: real ones have under five
_CALLS = 50
# more outcomes of one statement than these are not told apart
_MOST = 16
_CONSTANTS = {"0": False, "false": False, "NULL": False, "1": True, "true": True}
# a condition nested deeper is not taken apart
_DEEP = 20


class LockPaths:
    """The states of one mm's lock in one function, on arrival at each of its statements."""

    def __init__(
        self, code: Code, function: Function, operand: str, operands: frozenset[str], alone: bool = True
    ) -> None:
        self.function = function
        self.operand = operand  # as written at its first lock or unlock; '' where it is written in several ways
        self.operands = operands
        self.calls: list[Call] = []  # every call that changes the lock
        self.given = False  # the function releases what its caller has taken
        # as it may be written besides
        self.names = operands | _SAME if operands <= _SAME else operands
        self._alone = alone  # no other mm is locked here
        self._helpers = frozenset[str]()
        if code not in _BUSY:
            self._helpers = code.once("mmap lock helpers", _all_helpers) - {function.name or ""}
        self._number: dict[Token, int] = {}
        self._wild: set[Statement] = set()  # with more calls than are told apart
        self._targets: dict[Token, str] = {}  # where the result of a call goes
        self._relevant: dict[Statement, frozenset[str]] = {}
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

    @property
    def words(self) -> frozenset[str]:
        """Names of the calls that are looked at."""
        return _WATCHED

    def touches(self, statement: Statement) -> bool:
        """The statement may have to do with the lock, and the flow can come to it."""
        return bool(self._relevant.get(statement))

    # -- what a statement does --------------------------------------------------------------------

    def _step(self, statement: Statement, state: State, known: Mapping[str, bool]) -> Iterable[Outcome[State]]:
        relevant = self._relevant.get(statement)
        if relevant is None:
            relevant = self._relevant[statement] = self._watched(statement)
        signal = tuple(_signal(statement, known))
        if not relevant:
            return (Outcome(state, signal),)
        if statement.kind is StatementKind.OPAQUE or statement in self._wild:
            return (Outcome(State(Mode.UNSURE)),)
        outcomes: list[Outcome[State]] = []
        for outcome in self._evaluated(statement, relevant, state):
            if len(outcomes) == _MOST:
                return (Outcome(State(Mode.UNSURE)),)
            outcomes.append(outcome._replace(told=(*outcome.told, *signal)))
        return outcomes

    def _watched(self, statement: Statement) -> frozenset[str]:
        """Names of the calls of a statement that may have to do with the lock."""
        names = {a.text for a, b in pairwise(statement.tokens) if b.text == "(" and a.kind is Kind.WORD}
        lent = any(t.text.endswith("locked") for t in statement.tokens)
        found: set[str] = set()
        looked_at = tuple(calls(statement.tokens, *(names if lent else filter(self._candidate, names))))
        if len(looked_at) > _CALLS:
            self._wild.add(statement)
            return frozenset(names)
        for call in looked_at:
            name = call.name
            if (
                name in self._helpers
                or (name in _WATCHED and (name not in _WORDS or self._mine(call)))
                or (_sounds(name) and name not in _WATCHED and _about(call, self.names))
                or (lent and self._flag(call) is not None)
            ):
                found.add(name)
                if target := _target(statement.tokens, call):
                    self._targets[call.tokens[0]] = target
        return frozenset(found)

    def _candidate(self, name: str) -> bool:
        return name in _WATCHED or name in self._helpers or _sounds(name)

    def _evaluated(self, statement: Statement, names: frozenset[str], state: State) -> Iterator[Outcome[State]]:
        tokens = statement.tokens
        if statement.head == "for" or statement.kind in (StatementKind.ONCE, StatementKind.SWITCH):
            yield from (o._replace(truth=None) for o in self._atom(tokens, names, state))
        elif statement.kind in (StatementKind.IF, StatementKind.LOOP, StatementKind.DO):
            yield from self._condition(tokens, names, state)
        elif tokens and tokens[0].text in _STOPS:
            # it does not go on where the condition is true
            for o in self._condition(tokens[2:-1], names, state):
                if o.truth is not True:
                    yield o._replace(truth=None)
        else:
            parts = split(tokens, "=")
            target = _variable(parts[0]) if len(parts) == 2 else None
            for o in self._condition(parts[-1] if target else tokens, names, state):
                told = ((target, o.truth), *_below(target, o.truth)) if target and o.truth is not None else ()
                yield o._replace(told=(*o.told, *told), truth=None)

    def _condition(
        self, tokens: Sequence[Token], names: frozenset[str], state: State, depth: int = 0
    ) -> Iterator[Outcome[State]]:
        """The ways in which an expression is evaluated, each with what it comes to."""
        if depth > _DEEP or len(tokens) > MAX_REACH:
            yield Outcome(State(Mode.UNSURE) if any(t.text in names for t in tokens) else state)
            return
        inner, negated = bare(tokens)
        if not any(t.text in names for t in inner):
            value = _CONSTANTS.get("".join(t.text for t in inner))
            if value is None and len(inner) == 2 and inner[0].text == "-":
                value = True  # -EINTR
            yield Outcome(state, (), value if value is None else value is not negated)
            return
        for operator, ends in (("||", True), ("&&", False)):
            parts = split(inner, operator)
            if len(parts) > 1:
                for o in self._chain(parts, ends, names, state, depth):
                    yield o if o.truth is None else o._replace(truth=o.truth is not negated)
                return
        question = split(inner, "?")
        answers = split(question[1], ":") if len(question) == 2 else []
        if len(answers) == 2:
            for o in self._decided(question[0], names, state, depth):
                for then in self._condition(answers[not o.truth], names, o.state, depth + 1):
                    truth = then.truth if then.truth is None else then.truth is not negated
                    yield Outcome(then.state, (*o.told, *then.told), truth)
            return
        for o in self._atom(inner, names, state):
            yield o if o.truth is None else o._replace(truth=o.truth is not negated)

    def _chain(
        self,
        parts: Sequence[Sequence[Token]],
        ends: bool,
        names: frozenset[str],
        state: State,
        depth: int,
    ) -> Iterator[Outcome[State]]:
        """a || b || c with `ends` true, a && b && c with false: each is evaluated only if those before did not end it.

        Operands behind the last call are left to the branch itself.
        """
        last = max(n for n, part in enumerate(parts) if any(t.text in names for t in part))
        going: list[Outcome[State]] = [Outcome(state)]
        for part in parts[: last + 1]:
            now, going = going, []
            for before in now:
                for o in self._decided(part, names, before.state, depth):
                    here = Outcome(o.state, (*before.told, *o.told), o.truth)
                    if o.truth is ends:
                        yield here
                    else:
                        going.append(here)
            if len(going) > _MOST:
                going = [Outcome(State(Mode.UNSURE))]
        for o in going:
            yield o if last + 1 == len(parts) and o.truth is not None else o._replace(truth=None)

    def _decided(
        self, tokens: Sequence[Token], names: frozenset[str], state: State, depth: int
    ) -> Iterator[Outcome[State]]:
        """`_condition`, where an operand that may come out either way is two outcomes."""
        for o in self._condition(tokens, names, state, depth + 1):
            if o.truth is None:
                for truth in (True, False):
                    yield Outcome(o.state, (*o.told, *facts(tokens, truth)), truth)
            else:
                yield o

    def _atom(self, tokens: Sequence[Token], names: frozenset[str], state: State) -> Iterator[Outcome[State]]:
        """The calls of an expression, one after the other."""
        outcomes: list[Outcome[State]] = [Outcome(state)]
        for call in calls(tokens, *names):
            outcomes = [
                Outcome(after.state, (*before.told, *after.told))
                for before in outcomes
                for after in self._call(call, before.state)
            ]
            if len(outcomes) > _MOST:
                yield Outcome(State(Mode.UNSURE))
                return
        for o in outcomes:
            yield o._replace(truth=decide(tokens, dict(o.told)))

    def _call(self, call: Call, state: State) -> Iterator[Outcome[State]]:
        name = call.name
        text = "".join(t.text for t in call.tokens)
        target = self._targets.get(call.tokens[0])
        flag = self._flag(call)
        if flag is not None:
            if self._foreign(call):
                yield Outcome(state)
            elif flag:
                yield Outcome(state, ((flag, True),))
                yield Outcome(self._free(call, state), ((flag, False),))
            else:
                yield Outcome(State(Mode.UNSURE))
        elif name in _FAULTS:
            yield from self._fault(target, call, state)
        elif name in _ZERO_IS_FREE:
            yield from self._munmap(text, target, call, state)
        elif name not in _WORDS:
            about = name in self._helpers or _about(call, self.names)
            if about and (state.mode in HELD or name in self._helpers or "unlock" not in name):
                yield Outcome(state if state.mode is Mode.GIVEN and name not in self._helpers else State(Mode.UNSURE))
            else:
                yield Outcome(state)
        elif not self._mine(call):
            yield Outcome(state)
        elif name in _TAKE:
            yield Outcome(self._state(_TAKE[name], call))
        elif name in _RELEASE:
            yield Outcome(self._free(call, state))
        elif name in _DOWNGRADE:
            self.given = self.given or state.mode is Mode.GIVEN
            yield Outcome(self._state(Mode.READ, call))
        elif name in _NULL_IS_FREE:
            held = self._state(Mode.READ, call) if name == "lock_mm_and_find_vma" else state
            yield Outcome(held, _told(text, target, True))
            free = self._state(Mode.FREE, call) if name == "lock_mm_and_find_vma" else self._free(call, state)
            yield Outcome(free, _told(text, target, False))
        else:
            modes, taken = (_KILLABLE, False) if name in _KILLABLE else (_TRY, True)
            for mode, truth in ((self._state(modes[name], call), taken), (state, not taken)):
                signs = [f for what in (text, target, f"({target}={text})") if what for f in _below(what, truth)]
                yield Outcome(mode, (*_told(text, target, truth), *(signs if name in _KILLABLE else ())))

    def _fault(self, target: str | None, call: Call, state: State) -> Iterator[Outcome[State]]:
        """handle_mm_fault() and its like: released with RETRY and with COMPLETED, where the flags allow it."""
        flags = flag_tokens(self.function, call.arguments[2]) if len(call.arguments) > 2 else []
        allowed = has_word(flags, "FAULT_FLAG_ALLOW_RETRY", "FAULT_FLAG_DEFAULT", "FAULT_FLAG_KILLABLE")
        constant = all(t.text.isupper() or t.kind is not Kind.WORD for t in flags)
        if has_word(call.arguments[2] if len(call.arguments) > 2 else (), "FAULT_FLAG_VMA_LOCK"):
            yield Outcome(state)  # another lock
            return
        if not allowed and constant:
            yield Outcome(state)
            return
        if target is None or not self._alone:
            yield Outcome(State(Mode.UNSURE))
            return
        retry, completed = f"{target}&VM_FAULT_RETRY", f"{target}&VM_FAULT_COMPLETED"
        yield Outcome(state, ((retry, False), (completed, False)))
        free = self._free(call, state)
        yield Outcome(free._replace(way="RETRY"), ((retry, True), (completed, False)))
        yield Outcome(free._replace(way="COMPLETED"), ((retry, False), (completed, True)))

    def _munmap(self, text: str, target: str | None, call: Call, state: State) -> Iterator[Outcome[State]]:
        """do_vmi_munmap(.., unlock): released with 0 where `unlock` is true."""
        unlock = call.text(-1)
        if self._foreign(call) or unlock in ("false", "0"):
            yield Outcome(state)
            return
        if unlock in ("true", "1"):
            yield Outcome(self._free(call, state), _told(text, target, False))
            yield Outcome(state, _told(text, target, True))
        else:
            yield Outcome(State(Mode.UNSURE))

    def _flag(self, call: Call) -> str | None:
        """The place where a call says whether it dropped the lock (`&locked`, `&x->locked`).

        '' where that is the caller's, None where there is none.
        """
        for argument in reversed(call.arguments):
            if not argument or not argument[-1].text.endswith("locked") or argument[-1].text.endswith("unlocked"):
                continue
            if argument[0].text == "&" and len(argument) > 1:
                return "".join(t.text for t in argument[1:])
            header = self.function.header
            if len(argument) == 1 and any(a.text == "*" and b.text == argument[0].text for a, b in pairwise(header)):
                return ""
        return None

    def _foreign(self, call: Call) -> bool:
        """A call about an mm that it names, and that is another one."""
        named = [call.text(n) for n, argument in enumerate(call.arguments) if is_mm(argument)]
        return bool(named) and self.names.isdisjoint(named)

    def _free(self, call: Call, state: State) -> State:
        self.given = self.given or state.mode is Mode.GIVEN
        return self._state(Mode.FREE, call)

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
            return bool(call.arguments) and mm_of_lock(call.arguments[0]) in self.names
        if call.name == "release_fault_lock":
            return self._alone or "vma->vm_mm" in self.operands
        if call.name == "userfaultfd_remove":
            return self._alone
        if call.name == "expand_stack" and not (call.arguments and is_mm(call.arguments[0])):
            return False  # before 6.5 it was given the VMA and left the lock alone
        return call.text(0) in self.names


# BUG_ON(!mmap_read_trylock(mm)): it goes on only where the condition is false
_STOPS = frozenset(("BUG_ON", "VM_BUG_ON", "VM_BUG_ON_MM", "VM_BUG_ON_VMA"))
_HELPERS: WeakKeyDictionary[Code, frozenset[str]] = WeakKeyDictionary()
_BUSY: set[Code] = set()


def _all_helpers(files: Sequence[Code]) -> frozenset[str]:
    return frozenset[str]().union(*(_helpers(file) for file in files))


def _helpers(code: Code) -> frozenset[str]:
    """Functions of the file that take a lock for their caller or release their caller's, by themselves or by others."""
    found = _HELPERS.get(code)
    if found is not None:
        return found
    if not code.says(*_WORDS):
        return _HELPERS.setdefault(code, frozenset())
    code.effort.allow(len(code.tokens))  # found once a file, for all that ask; another file's may be spent
    _BUSY.add(code)
    try:
        names: set[str] = set()
        calling: dict[str, list[str]] = {}
        known = {f.name for f in code.functions if f.name}
        for function in code.functions:
            if not function.name:
                continue
            paths = list(lock_paths(code, function))
            if any(p.cut or p.given or any(e.state.mode in (*HELD, Mode.UNSURE) for e in p.exits) for p in paths):
                names.add(function.name)
            if not paths:
                for s in function.walk():
                    for a, b in pairwise(s.tokens):
                        if b.text == "(" and a.text in known:
                            calling.setdefault(a.text, []).append(function.name)
        todo = list(names)
        while todo:
            for caller in calling.get(todo.pop(), ()):
                if caller not in names:
                    names.add(caller)
                    todo.append(caller)
    finally:
        _BUSY.discard(code)
    _HELPERS[code] = frozenset(names)
    return _HELPERS[code]


def _about_mm(call: Call) -> bool:
    return bool(call.arguments) and mm_of_lock(call.arguments[0]) is not None


def lock_paths(code: Code, function: Function) -> Sequence[LockPaths]:
    """For each mm whose lock a function takes or releases, the states along its ways; made once."""
    if code in _BUSY:
        return tuple(_lock_paths(code, function))
    made = _PATHS.setdefault(code, {})
    if function not in made:
        made[function] = tuple(_lock_paths(code, function))
    return made[function]


_PATHS: WeakKeyDictionary[Code, dict[Function, tuple[LockPaths, ...]]] = WeakKeyDictionary()


def _lock_paths(code: Code, function: Function) -> Iterator[LockPaths]:
    found: dict[str, None] = {}
    for statement in function.walk():
        for call in calls(statement.tokens, *_WORDS):
            if call.name == "release_fault_lock":
                found["vma->vm_mm"] = None
            elif call.name in _NULL_IS_FREE - {"lock_mm_and_find_vma"} or (
                call.name.startswith(_RAW) and not _about_mm(call)
            ):
                continue
            elif operand := lock_operand(call) or (call.text(0) if call.name == "lock_mm_and_find_vma" else ""):
                found[operand] = None
    if found and set(found) <= _SAME:
        yield LockPaths(code, function, next(iter(found)) if len(found) == 1 else "", frozenset(found))
        return
    for operand in found:
        yield LockPaths(code, function, operand, frozenset((operand,)), len(found) == 1)


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


def _below(what: str, truth: bool) -> tuple[Fact, ...]:
    """A result that is 0 or a negative error: what is asked by `< 0`."""
    return ((f"{what}<0", truth),)


def _target(tokens: Sequence[Token], call: Call) -> str | None:
    """The variable that the result of a call goes to: `ret = call(..)`, `if ((ret = call(..)))`."""
    at = next((n for n, t in enumerate(tokens) if t is call.tokens[0]), 0)
    end = at + len(call.tokens)
    if (
        at < 2
        or tokens[at - 1].text not in ("=", "|=")
        or (end < len(tokens) and tokens[end].text not in (")", ",", ";"))
    ):
        return None
    return _variable(tokens[: at - 1])


def _variable(tokens: Sequence[Token]) -> str | None:
    """`int ret`, `*fault` in front of a =; None for a member."""
    if not tokens or tokens[-1].kind is not Kind.WORD or (len(tokens) > 1 and tokens[-2].text in ("->", ".")):
        return None
    return ("*" if len(tokens) == 2 and tokens[0].text == "*" else "") + tokens[-1].text


def _signal(statement: Statement, known: Mapping[str, bool]) -> Iterator[Fact]:
    """fault_signal_pending(fault, regs) is true only with VM_FAULT_RETRY (include/linux/sched/signal.h)."""
    for call in calls(statement.tokens, "fault_signal_pending"):
        if known.get(f"{call.text(0)}&VM_FAULT_RETRY") is False:
            yield "".join(t.text for t in call.tokens), False


def _sounds(name: str) -> bool:
    """A function that is not seen and may take or release a lock, by its name."""
    return "lock" in name and "locked" not in name and "assert" not in name and name not in _OTHER_LOCKS


def _about(call: Call, operands: frozenset[str]) -> bool:
    """It may be the mm's lock: lumen_unlock_mm(), lumen_unlock(mm)."""
    return not _ABOUT.isdisjoint(call.name.split("_")) or any(call.text(n) in operands for n in range(3))


# with an mm, a VMA or a fault in their names or arguments, and locks of their own: include/linux/mm.h, rmap.h, fs.h
_OTHER_LOCKS = frozenset(
    (
        "hugetlb_vma_lock_read hugetlb_vma_unlock_read hugetlb_vma_lock_write hugetlb_vma_unlock_write "
        "hugetlb_vma_trylock_write anon_vma_lock_write anon_vma_unlock_write anon_vma_lock_read anon_vma_unlock_read "
        "anon_vma_trylock_read vma_start_read_locked lock_vma_under_rcu i_mmap_lock_write i_mmap_unlock_write "
        "i_mmap_lock_read i_mmap_unlock_read i_mmap_trylock_write i_mmap_trylock_read pte_offset_map_lock "
        "pte_unmap_unlock pmd_lock pud_lock pmd_trans_huge_lock pud_trans_huge_lock __pmd_trans_huge_lock "
        "huge_pte_lock pte_lockptr pmd_lockptr pte_alloc_map_lock get_locked_pte task_lock task_unlock "
        "filemap_invalidate_lock filemap_invalidate_unlock mmap_lock_is_contended mm_lock_seqcount_begin "
        "flush_dcache_mmap_lock flush_dcache_mmap_unlock ptep_get_lockless spin_lock spin_unlock mutex_lock "
        "mutex_unlock rcu_read_lock rcu_read_unlock account_locked_vm __account_locked_vm mmap_init_lock "
        "mmu_notifier_synchronize might_lock might_lock_read lockdep_assert_held"
    ).split()
)


def foreign(operand: Sequence[Token]) -> bool:
    """The mm is not the current task's own, by its name."""
    return is_mm(operand) and "".join(t.text for t in operand) != "current->mm"
