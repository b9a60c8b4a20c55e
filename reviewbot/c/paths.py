# SPDX-License-Identifier: GPL-2.0-or-later
"""Which states the flow of a function can be in at each statement, where branches that ask the same agree.

Belongs here: the walk that carries a state (is the lock held?) along every way through a function together with
what the branches on that way have told. Ways that meet in the same state go on as one, with what both know: so the
cost is bounded by statements times states, never by the number of ways. Does not belong here: what a state means
(`reviewbot.locks` has the mmap lock's). Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from reviewbot.c.flow import Edge, Flow, decide, facts
from reviewbot.c.skeleton import Statement, StatementKind
from reviewbot.c.tokens import Kind, Token

S = TypeVar("S", bound=Hashable)
Fact = tuple[str, bool]

# states at one statement, and facts of one state: more than these no rule's question needs
MOST_STATES, MOST_FACTS = 12, 24


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
        self._ends: dict[tuple[Statement, S], dict[str, bool]] = {}
        self._todo: deque[tuple[Statement, S]] = deque()
        if flow.entry is not None:
            self._arrive(flow.entry, start, {})
        spend = flow.function.effort.spend
        while self._todo and not self.cut:
            statement, state = self._todo.popleft()
            spend()
            self._leave(statement, state)
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
        edges = self._flow.edges(statement)
        for outcome in self._step(statement, state, known):
            here = dict(known)
            if any(here.get(text, value) is not value for text, value in outcome.told):
                continue  # on this way the answer is known to be another one
            _forget(here, statement)
            _add(here, (*_constants(statement), *outcome.told))
            if statement.kind is StatementKind.RETURN:
                self._end(statement, outcome.state, here)
                continue
            for edge in edges:
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
        if edge.truth is not None and statement.tokens and statement.kind in _BRANCHES and statement.head != "for":
            if decide(statement.tokens, known) is (not edge.truth):
                return None
            told = facts(statement.tokens, edge.truth)
            if any(known.get(text, value) is not value for text, value in told):
                return None
            _add(then, told)
        # what a call returned is known for the branch on it, not for the next call of the same name
        for text in [text for text in then if text.endswith(")") and _CALL in text and "lock" in text]:
            del then[text]
        return then

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
        self._todo.append((statement, state))

    def _end(self, statement: Statement, state: S, known: dict[str, bool]) -> None:
        before = self._ends.get((statement, state))
        self._ends[statement, state] = (
            known if before is None else {t: v for t, v in before.items() if known.get(t) is v}
        )


_JUMPS = frozenset((StatementKind.GOTO, StatementKind.BREAK, StatementKind.CONTINUE))
_BRANCHES = frozenset((StatementKind.IF, StatementKind.LOOP, StatementKind.DO))
_CALL = "("


def _add(known: dict[str, bool], told: Iterable[Fact]) -> None:
    """Enter what is told and what follows from it: `ret < 0` says that ret is not 0."""
    for text, value in told:
        known.pop(text, None)
        known[text] = value
        name = text.rstrip("0").rstrip("<>")
        if name != text and text.endswith(("<0", ">0")) and name.isidentifier():
            if value:
                known[name] = True
        elif text.isidentifier() and not value:
            known[f"{text}<0"] = known[f"{text}>0"] = False
    for text in list(known)[: max(0, len(known) - MOST_FACTS)]:
        del known[text]


def _constants(statement: Statement) -> Iterable[Fact]:
    """What an assignment of a constant tells: `locked = false`, `ret = -EINVAL`, `vma = NULL`."""
    tokens = statement.tokens
    for n, token in enumerate(tokens):
        if token.text != "=" or n == 0 or tokens[n - 1].kind is not Kind.WORD:
            continue
        if n > 1 and tokens[n - 2].text in ("->", "."):
            continue
        name, value = tokens[n - 1].text, tokens[n + 1 : n + 3]
        end = tokens[n + 3].text if n + 3 < len(tokens) else ";"
        if value and (len(value) == 1 or value[1].text in (",", ";")):
            text = value[0].text
            if text in ("0", "NULL", "false"):
                yield name, False
            elif text in ("1", "true"):
                yield name, True
        elif value and value[0].text == "-" and end in (",", ";") and value[1].text[:1] in "E123456789":
            yield name, True
            yield f"{name}<0", True


def _forget(known: dict[str, bool], statement: Statement) -> None:
    """Drop what is known of a variable that the statement may give a new value."""
    if not known:
        return
    names = set(changed(statement.tokens))
    if statement.kind is StatementKind.LOOP and "for_each" in statement.head:
        # for_each_x(cursor, &head, member): what is an argument by itself may be the cursor
        around = (None, *statement.tokens, None)
        names.update(
            now.text
            for before, now, after in zip(around, around[1:], around[2:], strict=False)
            if now and now.kind is Kind.WORD and (not before or before.text == ",") and (not after or after.text == ",")
        )
    if not names:
        return
    for text in list(known):
        if any(name in text and name in _words(text) for name in names):
            del known[text]


def changed(tokens: Sequence[Token]) -> Iterable[str]:
    """Names that may have another value behind these tokens: assigned in any way, counted, or handed out by address."""
    for n, token in enumerate(tokens):
        if token.kind is not Kind.WORD:
            continue
        before = tokens[n - 1].text if n else ""
        after = tokens[n + 1].text if n + 1 < len(tokens) else ""
        lent = before == "&" and (n < 2 or tokens[n - 2].text in ("(", ",", "=")) and after not in ("->", ".")
        if lent or after in _ASSIGNING or before in ("++", "--"):
            yield token.text


_ASSIGNING = frozenset(("=", "+=", "-=", "|=", "&=", "^=", "*=", "/=", "%=", "<<=", ">>=", "++", "--"))


def _words(text: str) -> list[str]:
    words, word = [], ""
    for char in (*text, " "):
        if char.isalnum() or char == "_":
            word += char
        elif word:
            words.append(word)
            word = ""
    return words
