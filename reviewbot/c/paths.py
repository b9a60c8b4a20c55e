# SPDX-License-Identifier: GPL-2.0-or-later
"""Which states the flow of a function can be in at each statement, where branches that ask the same agree.

Belongs here: the walk that carries a state (is the lock held?) along every way through a function together with
what the branches on that way have told. Ways that meet in the same state go on as one, with what both know: so the
cost is bounded by statements times states, never by the number of ways. Does not belong here: what a state means
(`reviewbot.locks` has the mmap lock's). Pure.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar

from reviewbot.c.flow import Edge, Flow, bare, decide, facts, split
from reviewbot.c.skeleton import Statement, StatementKind
from reviewbot.c.tokens import Kind, Token

S = TypeVar("S", bound=Hashable)
Fact = tuple[str, bool]

# states at one statement, and facts of one state: more than these no rule's question needs
MOST_STATES, MOST_FACTS = 12, 32
# conditions nested deeper, or of more tokens, tell nothing (as in `flow`)
MOST_DEEP, MOST_LONG = 20, 200


class Outcome(NamedTuple, Generic[S]):
    """What a statement makes of a state: the new one, what it tells besides, and which way a branch must then go."""

    state: S
    told: Sequence[Fact] = ()
    truth: bool | None = None  # None: either way


class Exit(NamedTuple, Generic[S]):
    """A way out of the function: its last statement and the state behind it."""

    statement: Statement
    state: S
    known: Mapping[str, bool]


Step = Callable[[Statement, S, Mapping[str, bool]], Iterable[Outcome[S]]]


class Paths(Generic[S]):
    """The states of a function. `cut`: there were too many, so that absence means nothing."""

    def __init__(self, flow: Flow, start: S, step: Step[S]) -> None:
        self.at: dict[Statement, dict[S, dict[str, bool]]] = {}  # on arrival, each with what is surely known
        self.exits: list[Exit[S]] = []
        self.cut = False
        self._flow = flow
        self._step = step
        self._told: dict[Statement, _Says] = {}
        self._asked = _Asked(flow)
        self._ends: dict[tuple[Statement, S], dict[str, bool]] = {}
        self._todo: deque[tuple[Statement, S]] = deque()
        self._waiting: set[tuple[Statement, S]] = set()
        if flow.entry is not None:
            self._arrive(flow.entry, start, {})
        spend = flow.function.effort.spend
        spend(10)
        while self._todo and not self.cut:
            now = self._todo.popleft()
            self._waiting.discard(now)
            spend(2)
            self._leave(*now)
        if not self.cut:
            self.exits.extend(Exit(statement, state, known) for (statement, state), known in self._ends.items())

    def states(self, statement: Statement) -> Sequence[S]:
        """The states in which the flow can arrive at a statement; none where it cannot, or the walk was cut."""
        return () if self.cut else tuple(self.at.get(statement, ()))

    def surely(self, statement: Statement) -> S | None:
        """The one state in which the flow arrives; None where there are several, or none."""
        found = self.states(statement)
        return found[0] if len(found) == 1 else None

    def _leave(self, statement: Statement, state: S) -> None:
        known = self.at[statement][state]
        says = self._told.get(statement)
        if says is None:
            says = self._told[statement] = _Says.of(statement)
        for outcome in self._step(statement, state, known):
            here = dict(known)
            _forget(here, says.changed)
            if any(_denies(here, fact) for fact in outcome.told):
                continue  # on this way the answer is known to be another one
            self._add(here, says.constants, 1)
            self._add(here, outcome.told, 0)
            if statement.kind is StatementKind.RETURN:
                self._end(statement, outcome.state, here)
                continue
            for edge in self._flow.edges(statement):
                if outcome.truth is not None and edge.truth not in (None, outcome.truth):
                    continue
                then = self._taken(statement, edge, here)
                if then is None:
                    continue
                if edge.to is not None:
                    self._arrive(edge.to, outcome.state, then)
                elif self._flow.function.closed and statement.kind not in _JUMPS:
                    self._end(statement, outcome.state, then)

    def _taken(self, statement: Statement, edge: Edge, known: dict[str, bool]) -> dict[str, bool] | None:
        """What is known behind an edge; None where it contradicts what was known before."""
        then = dict(known)
        told: Sequence[Fact] = ()
        if edge.truth is not None and statement.tokens and statement.kind in _BRANCHES and statement.head != "for":
            if decide(statement.tokens, known) is (not edge.truth):
                return None
            told = facts(statement.tokens, edge.truth)
        elif statement.kind is StatementKind.SWITCH and edge.to is not None and len(edge.to.tokens) == 1:
            told = ((f"{''.join(t.text for t in statement.tokens)}=={edge.to.tokens[0].text}", True),)
        if any(_denies(known, fact) for fact in told) or len(dict(told)) < len(set(told)):
            return None
        self._add(then, told, 2)
        back = edge.to if _backwards(statement, edge) else None
        for text in list(then):
            call = "(" in text
            # what is not this function's own may have changed by the next turn
            if (back and not _local(text) and self._asked.again(text, statement, back)) or (
                call and ("lock" in text or not self._asked.worth(text, 2))
            ):
                # what a call returned is known for the branch on it, not for the next such call
                del then[text]
        return then

    def _add(self, known: dict[str, bool], told: Iterable[Fact], times: int) -> None:
        """Enter what is told and what follows from it, as far as so many conditions ask for it; 0: all of it."""
        for fact in told:
            if not times:
                known[fact[0]] = fact[1]
            known.update((text, value) for text, value in _follows(fact) if self._asked.worth(text, times or 1))
        if len(known) > MOST_FACTS:
            self.cut = True  # with some of them forgotten, ways would be found that do not exist

    def _arrive(self, statement: Statement, state: S, known: dict[str, bool]) -> None:
        here = self.at.setdefault(statement, {})
        before = here.get(state)
        if before is None:
            if len(here) >= MOST_STATES:
                self.cut = True
                return
            here[state] = known
        else:
            both = {text: value for text, value in before.items() if known.get(text) is value}
            if len(both) == len(before):
                return
            here[state] = both
        if (statement, state) not in self._waiting:
            self._waiting.add((statement, state))
            self._todo.append((statement, state))

    def _end(self, statement: Statement, state: S, known: dict[str, bool]) -> None:
        before = self._ends.get((statement, state))
        self._ends[statement, state] = (
            known if before is None else {t: v for t, v in before.items() if known.get(t) is v}
        )


_JUMPS = frozenset((StatementKind.GOTO, StatementKind.BREAK, StatementKind.CONTINUE))
_BRANCHES = frozenset((StatementKind.IF, StatementKind.LOOP, StatementKind.DO))


class _Says(NamedTuple):
    """What a statement tells by itself: constants that it assigns, names that may have another value behind it."""

    constants: tuple[Fact, ...]
    changed: frozenset[str]

    @classmethod
    def of(cls, statement: Statement) -> _Says:
        # the first part of a for's head is not evaluated again on the way back
        constants = () if statement.head == "for" else tuple(_constants(statement.tokens))
        return cls(constants, frozenset((*changed(statement.tokens), *_cursors(statement))))


class _Asked:
    """What the conditions of a function ask: what nobody asks again is not worth knowing."""

    def __init__(self, flow: Flow) -> None:
        self._subjects: Counter[str] = Counter()  # in how many conditions: `ret` of ret, ret < 0, ret == A
        self._compared: set[str] = set()  # `mode` of mode == A
        self._places: dict[str, list[int]] = {}
        statements = list(flow.function.walk())
        jumps = {s.tokens[0].text: s.extent[1] for s in statements if s.kind is StatementKind.GOTO and s.tokens}
        turning = 0  # as far as this a loop reaches, in which each question is asked again
        for s in statements:
            if s.kind in (StatementKind.LOOP, StatementKind.DO):
                turning = max(turning, s.extent[1])
            elif s.kind is StatementKind.LABEL and s.tokens:
                turning = max(turning, jumps.get(s.tokens[0].text, 0))
            times = 2 if s.extent[0] < turning else 1
            if s.kind in _BRANCHES and s.head != "for":
                texts = set(_atoms(s.tokens))
                for text in texts:
                    self._places.setdefault(text, []).append(s.extent[0])
                    if "==" in text:
                        self._compared.add(text.partition("==")[0])
                for subject in {_subject(text) for text in texts}:
                    self._subjects[subject] += times
            elif s.kind is StatementKind.SWITCH:
                self._subjects["".join(t.text for t in s.tokens)] += times

    def worth(self, text: str, times: int) -> bool:
        """So many conditions ask for the fact, or for another one that it rules out."""
        asked = text in self._places or ("==" in text and text.partition("==")[0] in self._compared)
        return asked and self._subjects[_subject(text)] >= times

    def again(self, text: str, statement: Statement, to: Statement) -> bool:
        """The way back from a statement to an earlier one leads to the question again."""
        first, last = min(to.extent[0], statement.extent[0]), max(to.extent[1], statement.extent[1])
        places = self._places.get(text, ())
        return bisect_left(places, first) < bisect_left(places, last)


def _subject(text: str) -> str:
    """What a condition is about: `ret` of ret < 0."""
    if "==" in text:
        return text.partition("==")[0]
    if text.startswith(("IS_ERR(", "IS_ERR_OR_NULL(")):
        return text.partition("(")[2][:-1]
    for relation in (*_ORDER, *_OPPOSITE):
        if text.endswith(relation):
            return text.removesuffix(relation)
    return text


def _atoms(tokens: Sequence[Token], depth: int = 0) -> Iterator[str]:
    """The texts by which `decide` looks for the operands of a condition."""
    if depth > MOST_DEEP or len(tokens) > MOST_LONG:
        return
    bare_tokens, _ = bare(tokens)
    for operator in ("||", "&&"):
        parts = split(bare_tokens, operator)
        if len(parts) > 1:
            for part in parts:
                yield from _atoms(part, depth + 1)
            return
    for text, _ in facts(bare_tokens, True):
        yield text
        if "&(" in text and text.endswith(")"):
            name, _, bits = text.partition("&(")
            yield from (f"{name}&{bit}" for bit in bits[:-1].split("|"))


def _follows(fact: Fact) -> Iterator[Fact]:
    """A fact and what it implies: `ret < 0` says that ret is not 0."""
    text, value = fact
    yield fact
    if text.isidentifier():
        if not value:
            yield from ((f"{text}<0", False), (f"{text}>0", False), (f"{text}>=0", True), (f"{text}<=0", True))
    elif text[-2:] in _OPPOSITE:
        name, relation = text[:-2], text[-2:]
        if name.isidentifier():
            yield f"{name}{_OPPOSITE[relation]}", not value
            if value:
                yield name, True
                yield f"{name}{'>0' if relation == '<0' else '<0'}", False
    elif text[-3:] in _ORDER and text[:-3].isidentifier():
        yield from _follows((f"{text[:-3]}{_ORDER[text[-3:]]}", not value))
    elif text.startswith("IS_ERR(") and value:
        yield text[7:-1], True


_OPPOSITE = {"<0": ">=0", ">0": "<=0"}
_ORDER = {">=0": "<0", "<=0": ">0"}


def _denies(known: Mapping[str, bool], fact: Fact) -> bool:
    """The fact cannot be true beside what is known: the opposite is, or `mode == A` and this says `mode == B`."""
    text, value = fact
    if known.get(text, value) is not value:
        return True
    name, equal, constant = text.partition("==")
    return bool(
        value
        and equal
        and _constant(constant)
        and any(
            true and other.startswith(name + "==") and _constant(other[len(name) + 2 :]) and other != text
            for other, true in known.items()
        )
    )


def _constant(text: str) -> bool:
    return text.isupper() or text.isdigit()


def _backwards(statement: Statement, edge: Edge) -> bool:
    """The edge leads to where the flow has been."""
    if edge.to is None:
        return False
    return edge.to.extent[0] <= statement.extent[0] or (statement.kind is StatementKind.DO and statement.holds(edge.to))


def _local(text: str) -> bool:
    """A fact of a variable of the function: nobody else changes it from one turn of a loop to the next."""
    return not any(mark in text for mark in ("(", "->", ".", "[", "*"))


def _constants(tokens: Sequence[Token]) -> Iterator[Fact]:
    """What an assignment of a constant tells: `locked = false`, `ret = -EINVAL`, `x->locked = 1`."""
    if tokens and tokens[0].text == "static":
        return
    for n, token in enumerate(tokens):
        if token.text != "=" or n == 0 or tokens[n - 1].kind is not Kind.WORD:
            continue
        start = n - 1
        while start > 1 and tokens[start - 1].text in ("->", ".") and tokens[start - 2].kind is Kind.WORD:
            start -= 2
        if tokens[start - 1].text in ("->", ".") if start else False:
            continue
        name = "".join(t.text for t in tokens[start:n])
        if start and tokens[start - 1].text == "*" and len(tokens) > n + 1 and tokens[0].text == "*":
            name = "*" + name
        value = tokens[n + 1 : n + 3]
        end = tokens[n + 3].text if n + 3 < len(tokens) else ";"
        if value and (len(value) == 1 or value[1].text in (",", ";")):
            text = value[0].text
            if text in ("0", "NULL", "false"):
                yield name, False
            elif text in ("1", "true"):
                yield name, True
            elif text.isupper() and name.isidentifier():
                yield f"{name}=={text}", True
        elif value and value[0].text == "-" and end in (",", ";") and value[1].text[:1] in "E123456789":
            yield name, True
            yield f"{name}<0", True


def _cursors(statement: Statement) -> Iterator[str]:
    """for_each_x(cursor, &head, member): what is an argument by itself may be the cursor."""
    if statement.kind is StatementKind.LOOP and "for_each" in statement.head:
        around = (None, *statement.tokens, None)
        for before, now, after in zip(around, around[1:], around[2:], strict=False):
            if now and now.kind is Kind.WORD and _comma(before) and _comma(after):
                yield now.text


def _comma(token: Token | None) -> bool:
    return token is None or token.text == ","


def _forget(known: dict[str, bool], names: frozenset[str]) -> None:
    """Drop what is known of a variable that the statement may give a new value."""
    if names:
        for text in [text for text in known if not names.isdisjoint(_words(text))]:
            del known[text]


def changed(tokens: Sequence[Token]) -> Iterator[str]:
    """Names that may have another value behind these tokens: assigned in any way, counted, or handed out by address.

    Of a member (`x->locked = 1`, `&x->locked`) it is the member's name.
    """
    for n, token in enumerate(tokens):
        if token.kind is not Kind.WORD:
            continue
        before = tokens[n - 1].text if n else ""
        after = tokens[n + 1].text if n + 1 < len(tokens) else ""
        if after in _ASSIGNING or before in ("++", "--"):
            yield token.text
        elif before == "&" and (n < 2 or tokens[n - 2].text in ("(", ",", "=")):
            while n + 2 < len(tokens) and tokens[n + 1].text in ("->", ".") and tokens[n + 2].kind is Kind.WORD:
                n += 2
            yield tokens[n].text


_ASSIGNING = frozenset(("=", "+=", "-=", "|=", "&=", "^=", "*=", "/=", "%=", "<<=", ">>=", "++", "--"))


@lru_cache(4096)
def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text))


_WORD = re.compile(r"\w+")
