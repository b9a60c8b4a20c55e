# SPDX-License-Identifier: GPL-2.0-or-later
"""Which statement can follow which within a function, and what a taken branch tells.

Belongs here: control flow over the statement skeleton. Every walk visits a statement at most once, so
its cost is linear in the function. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from reviewbot.c.pattern import closing
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Token

_WRAPPERS = frozenset(("likely", "unlikely", "WARN_ON", "WARN_ON_ONCE", "VM_WARN_ON", "VM_WARN_ON_ONCE"))
# calls that do not come back: kernel/panic.c, kernel/exit.c, arch/*/kernel/traps.c
_NORETURN = frozenset(
    "panic die die_if_kernel BUG unreachable do_exit make_task_dead do_group_exit parisc_terminate nmi_panic".split()
)
# conditions nested deeper, or of more tokens, tell nothing: real ones have under 10 and 200
_DEEP, _LONG = 20, 200
_FALSE = frozenset(("NULL", "0", "false"))
_TRUE = frozenset(("true",))


class Edge(NamedTuple):
    """A step of the flow: `truth` is the outcome of the condition at its beginning, None where there is none."""

    to: Statement | None  # None: out of the function, or out of what is seen
    truth: bool | None


class Flow:
    """The control flow of one function (or the part of it that is seen)."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self._next: dict[Statement, list[Edge]] = {}
        self._labels = {s.tokens[0].text: s for s in function.walk() if s.kind is StatementKind.LABEL and s.tokens}
        self.entry = self._sequence(function.statements, None, None, None)

    def edges(self, statement: Statement) -> Sequence[Edge]:
        """Where the flow can go from a statement."""
        return self._next.get(statement, ())

    def after(
        self,
        start: Statement,
        stop: Callable[[Statement], bool],
        cut: Callable[[Statement, Edge], bool] | None = None,
        first: Callable[[Edge], bool] | None = None,
    ) -> Iterator[Statement]:
        """Statements that the flow can reach from `start`, each once; nothing behind one where `stop` is true.

        The stopping statement itself is yielded. `cut` says of an edge that it is not to be followed; `first`
        chooses among the edges out of `start`.
        """
        todo = [e.to for e in self.edges(start) if (first is None or first(e)) and not (cut and cut(start, e))]
        seen: set[Statement] = set()
        spend = self.function.effort.spend
        while todo:
            now = todo.pop()
            if now is None or now in seen:
                continue
            seen.add(now)
            spend()
            yield now
            if stop(now):
                continue
            todo.extend(e.to for e in reversed(self.edges(now)) if not (cut and cut(now, e)))

    @cached_property
    def _previous(self) -> dict[Statement, list[Statement]]:
        """The edges the other way round."""
        found: dict[Statement, list[Statement]] = {}
        for statement, edges in self._next.items():
            for edge in edges:
                if edge.to is not None:
                    found.setdefault(edge.to, []).append(statement)
        return found

    def only_next(self, statement: Statement) -> Statement | None:
        """The one statement that the flow goes to from here; None where there is a choice, or an end."""
        edges = self.edges(statement)
        return edges[0].to if len(edges) == 1 else None

    def only_previous(self, statement: Statement) -> Statement | None:
        """The one statement that leads here, and nowhere else; None where there are several, or it branches."""
        found = self._previous.get(statement, ())
        return found[0] if len(found) == 1 and len(self.edges(found[0])) == 1 else None

    def before(self, target: Statement, stop: Callable[[Statement], bool] | None = None) -> Iterator[Statement]:
        """Statements from which the flow can reach `target`, each once, nearest first.

        Nothing in front of one where `stop` is true.
        """
        seen = {target}
        todo = list(self._previous.get(target, ()))
        while todo:
            now = todo.pop()
            if now in seen:
                continue
            seen.add(now)
            self.function.effort.spend()
            yield now
            if not (stop and stop(now)):
                todo.extend(self._previous.get(now, ()))

    # -- building, from the end backwards ---------------------------------------------------------

    def _sequence(
        self, statements: Sequence[Statement], then: Statement | None, brk: Statement | None, cont: Statement | None
    ) -> Statement | None:
        for statement in reversed(statements):
            then = self._link(statement, then, brk, cont)
        return then

    def _link(
        self, s: Statement, then: Statement | None, brk: Statement | None, cont: Statement | None
    ) -> Statement | None:
        """Enter the edges of `s`, which is followed by `then`; returns where the flow enters it."""
        kind = s.kind
        if kind is StatementKind.RETURN or (
            kind is StatementKind.EXPRESSION and s.tokens and s.tokens[0].text in _NORETURN
        ):
            self._next[s] = []
        elif kind is StatementKind.GOTO:
            label = self._labels.get(s.tokens[0].text) if s.tokens else None
            self._next[s] = [Edge(label, None)]
        elif kind is StatementKind.BREAK:
            self._next[s] = [Edge(brk, None)]
        elif kind is StatementKind.CONTINUE:
            self._next[s] = [Edge(cont, None)]
        elif kind is StatementKind.IF:
            taken = self._sequence(s.body, then, brk, cont)
            other = self._sequence(s.orelse, then, brk, cont)
            self._next[s] = [Edge(taken, True), Edge(other, False)]
        elif kind is StatementKind.LOOP:
            # where its end is not seen, nothing is known of the way back
            body = self._sequence(s.body, s if s.complete else None, then, s)
            self._next[s] = [Edge(body, True)]
            if not endless(s):
                self._next[s].append(Edge(then, False))
        elif kind is StatementKind.DO:
            if not s.complete:
                return self._sequence(s.body, None, then, None)
            body = self._sequence(s.body, s, then, s)
            self._next[s] = [] if endless(s) else [Edge(then, False)]
            if [t.text for t in s.tokens] not in (["0"], ["false"]):
                self._next[s].insert(0, Edge(body, True))
            return body
        elif kind is StatementKind.SWITCH:
            self._sequence(s.body, then, then, cont)
            cases = list(_own_cases(s.body))
            self._next[s] = [Edge(c, None) for c in cases]
            if not any(not c.tokens for c in cases):
                self._next[s].append(Edge(then, None))
        elif kind is StatementKind.BLOCK:
            return self._sequence(s.body, then, brk, cont)
        elif kind is StatementKind.ONCE:
            self._next[s] = [Edge(self._sequence(s.body, then, then, then), None)]
        else:
            self._next[s] = [Edge(then, None)]
        return s


def _own_cases(statements: Sequence[Statement]) -> Iterator[Statement]:
    for s in statements:
        if s.kind is StatementKind.CASE:
            yield s
        elif s.kind is not StatementKind.SWITCH:
            yield from _own_cases(s.body)
            yield from _own_cases(s.orelse)


def endless(s: Statement) -> bool:
    """while (1), while (true), for (;;), do .. while (1): left only by break, goto or return."""
    texts = [t.text for t in s.tokens]
    if s.head == "for":
        return texts == [";", ";"]
    return s.head in ("while", "do") and texts in (["1"], ["true"])


def facts(condition: Sequence[Token], truth: bool, depth: int = 0) -> list[tuple[str, bool]]:
    """What the outcome of a condition tells: (operand without white space, whether it is true), surely known only.

    `if (likely(vma) && !err)` taken gives [("vma", True), ("err", False)]; not taken it gives nothing,
    for either may have failed. `x == NULL` speaks of x, `a & FLAG` is an operand of its own.
    """
    if depth > _DEEP or len(condition) > _LONG:
        return []
    tokens, negated = bare(condition)
    truth = truth is not negated
    for operator, sure in (("||", False), ("&&", True)):
        parts = split(tokens, operator)
        if len(parts) > 1:
            return [fact for part in parts for fact in facts(part, truth, depth + 1)] if truth is sure else []
    for operator, same in (("==", True), ("!=", False)):
        parts = split(tokens, operator)
        if len(parts) == 2:
            left, right = "".join(t.text for t in parts[0]), "".join(t.text for t in parts[1])
            if right in _FALSE:
                return facts(parts[0], truth is not same, depth + 1)
            if right in _TRUE:
                return facts(parts[0], truth is same, depth + 1)
            return [(f"{left}=={right}", truth is same)]
    # `if ((ret = f()))`: what is assigned is what is tested
    assigned = split(tokens, "=")
    if len(assigned) == 2:
        return facts(assigned[0], truth, depth + 1)
    text = "".join(t.text for t in tokens)
    return [(text, truth)] if text else []


def decide(condition: Sequence[Token], known: Mapping[str, bool], depth: int = 0) -> bool | None:
    """What a condition comes to where some operands are known, as `facts` names them; None where that is not enough."""
    if not known or depth > _DEEP or len(condition) > _LONG:
        return None
    tokens, negated = bare(condition)
    value: bool | None
    for operator, ends in (("||", True), ("&&", False)):
        parts = split(tokens, operator)
        if len(parts) > 1:
            values = [decide(part, known, depth + 1) for part in parts]
            value = ends if ends in values else (None if None in values else not ends)
            return None if value is None else value is not negated
    told = facts(tokens, True)
    if len(told) != 1:
        return None
    text, meaning = told[0]
    value = known.get(text)
    if value is None and "&(" in text and text.endswith(")"):
        # fault & (A | B) is what fault & A and fault & B are
        name, _, bits = text.partition("&(")
        values = [known.get(f"{name}&{bit}") for bit in bits[:-1].split("|")]
        value = True if True in values else (None if None in values else False)
    return None if value is None else (value is meaning) is not negated


def bare(condition: Sequence[Token]) -> tuple[list[Token], bool]:
    """A condition without parentheses, likely() and ! around all of it, and whether the ! negate it."""
    tokens, negated = list(condition), False
    while tokens:
        if tokens[0].text == "(" and closing(tokens, 0) == len(tokens):
            tokens = tokens[1:-1]
        elif (
            len(tokens) > 1
            and tokens[0].text in _WRAPPERS
            and tokens[1].text == "("
            and closing(tokens, 1) == len(tokens)
        ):
            tokens = tokens[2:-1]
        elif tokens[0].text == "!" and _unary(tokens):
            tokens, negated = tokens[1:], not negated
        else:
            break
    return tokens, negated


def _unary(tokens: Sequence[Token]) -> bool:
    """The ! in front is for all of the rest, not for its first operand only."""
    depth = 0
    for token in tokens[1:]:
        depth += token.text in "(["
        depth -= token.text in ")]"
        if depth == 0 and token.text in ("&&", "||", "==", "!=", "&", "|", "<", ">", "<=", ">=", "?", "="):
            return False
    return True


def split(tokens: Sequence[Token], operator: str) -> list[list[Token]]:
    """The operands of an operator outside of brackets; one where it does not stand there."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += token.text in ("(", "[", "{")
        depth -= token.text in (")", "]", "}")
        if depth == 0 and token.text == operator:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts
