# SPDX-License-Identifier: GPL-2.0-or-later
"""Small random C functions that take and release a lock, and what really can happen in them.

Belongs here: such programs as text, and the states in which each of their lines is reached, found by running every
way with every value of every variable. For the tests of reviewbot.c.paths and reviewbot.locks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hypothesis import strategies as st

# expressions that may take the lock -> what they are where they have taken it
TAKES = {"mmap_read_lock_killable(mm)": False, "mmap_read_trylock(mm)": True}


@dataclass(frozen=True)
class Node:
    """A statement or an expression: `parts` are its blocks or operands."""

    kind: str
    name: str = ""
    value: bool | None = None
    parts: tuple[tuple[Node, ...], ...] = ()


Block = tuple[Node, ...]
# the lock, and the value of each variable
Config = tuple[str, tuple[bool, ...]]


def _of(kind: str, *parts: Block) -> Node:
    return Node(kind, parts=parts)


def conditions(variables: str, takes: bool) -> st.SearchStrategy[Node]:
    """Expressions over the variables, calls of which nothing is known and, with `takes`, calls that take the lock."""
    unknown = st.just(Node("unknown"))
    variable = st.builds(Node, st.just("var"), st.sampled_from(variables or "a"), st.booleans())
    # one variable stands in an expression once, and so does a call that takes the lock: nobody writes more
    other = st.one_of(variable, unknown) if len(variables) > 1 else unknown
    leaves = [variable, unknown] if variables else [unknown]
    if takes:
        leaves.append(st.builds(Node, st.just("take"), st.sampled_from(tuple(TAKES)), st.booleans()))
    leaf = st.one_of(leaves)
    operators = st.sampled_from(("&&", "||"))
    pair = st.one_of(
        st.builds(lambda kind, a, b: _of(kind, (a,), (b,)), operators, leaf, other),
        st.builds(lambda kind, a, b: _of(kind, (a,), (b,)), operators, other, leaf),
    )
    nested = st.builds(lambda kind, a, b: _of(kind, (a,), (b,)), operators, other, pair)
    return st.one_of(leaf, leaf, pair, nested, st.builds(lambda a: _of("!", (a,)), pair))


def blocks(variables: str, takes: bool = False) -> st.SearchStrategy[Block]:
    """Bodies of a function."""
    condition = conditions(variables, takes)
    name = st.sampled_from(variables)
    simple = [
        st.sampled_from((Node("lock"), Node("unlock"))),
        st.builds(Node, st.just("set"), name, st.sampled_from((True, False, None))),
        st.sampled_from((Node("return"), Node("goto"))),
    ]
    if takes:
        # what is assigned is said by calls alone: of copies nothing is known
        value = conditions("", takes).filter(lambda node: "take" in str(node))
        simple.append(st.builds(lambda name, take: Node("set", name, None, ((take,),)), name, value))

    def nest(inner: st.SearchStrategy[Block]) -> st.SearchStrategy[Block]:
        branch = st.builds(lambda c, a, b: _of("if", (c,), a, b), condition, inner, inner)
        turn = st.sampled_from((Node("break"), Node("continue")))
        jump = st.builds(lambda c, t: _of("if", (c,), (t,), ()), condition, turn)
        body = st.builds(lambda a, j, b: (*a, j, *b), inner, jump, inner)
        loop = st.builds(lambda k, c, b: _of(k, (c,), b), st.sampled_from(("while", "do")), condition, body)
        return st.lists(st.one_of(*simple, branch, branch, loop), max_size=4).map(tuple)

    return st.recursive(st.lists(st.one_of(simple[:2]), max_size=2).map(tuple), nest, max_leaves=8)


class Placed(NamedTuple):
    """A statement and the line on which it begins."""

    node: Node
    line: int
    blocks: tuple[tuple[Placed, ...], ...]


class Program:
    """A function of such a body: `text`, the states `at` each line (from 0) and those in which it is left, `exits`."""

    def __init__(self, body: Block, variables: str) -> None:
        parameters = ", ".join(("struct mm_struct *mm", *(f"bool {name}" for name in variables)))
        self.lines = [f"static int lumen_run({parameters})", "{"]
        self.at: dict[int, set[str]] = {}
        self.exits: set[str] = set()
        self._variables = variables
        self._calls = 0
        self._broken: list[set[Config]] = []
        self._continued: list[set[Config]] = []
        self._out: set[Config] = set()
        placed = self._write(body, 1)
        self.lines += ["out:", "\treturn 0;", "}"]
        start: set[Config] = {("given", ())}
        for _ in variables:
            start = {(state, (*values, value)) for state, values in start for value in (True, False)}
        ends = self._block(placed, start) | self._out
        self._note(len(self.lines) - 2, ends)
        self.exits |= {state for state, _ in ends}

    @property
    def text(self) -> str:
        """The function."""
        return "\n".join(self.lines)

    # -- writing ----------------------------------------------------------------------------------

    def _write(self, block: Sequence[Node], depth: int) -> tuple[Placed, ...]:
        return tuple(self._statement(node, depth) for node in block)

    def _statement(self, node: Node, depth: int) -> Placed:
        line, tabs = len(self.lines), "\t" * depth
        if node.kind in ("if", "while", "do"):
            (condition,) = node.parts[0]
            text = self._expression(condition)
            self.lines.append(f"{tabs}do {{" if node.kind == "do" else f"{tabs}{node.kind} ({text}) {{")
            inner = [self._write(node.parts[1], depth + 1)]
            if node.kind == "if" and node.parts[2]:
                self.lines.append(f"{tabs}}} else {{")
                inner.append(self._write(node.parts[2], depth + 1))
            self.lines.append(f"{tabs}}} while ({text});" if node.kind == "do" else f"{tabs}}}")
            return Placed(node, line, tuple(inner))
        self.lines.append(tabs + self._simple(node))
        return Placed(node, line, ())

    def _simple(self, node: Node) -> str:
        if node.kind == "set":
            known = "true" if node.value else "false"
            value = self._expression(node.parts[0][0]) if node.parts else "lumen_get()" if node.value is None else known
            return f"{node.name} = {value};"
        return {"lock": "mmap_read_lock(mm);", "unlock": "mmap_read_unlock(mm);", "return": "return 1;"}.get(
            node.kind, f"{node.kind} out;" if node.kind == "goto" else f"{node.kind};"
        )

    def _expression(self, node: Node) -> str:
        """The C text of an expression; each call of which nothing is known is one of its own."""
        if node.kind in ("var", "take"):
            return node.name if node.value else f"!{node.name}"
        if node.kind == "unknown":
            self._calls += 1
            return f"lumen_ready{self._calls}()"
        parts = [self._expression(part[0]) for part in node.parts]
        parts = [f"({text})" if part[0].parts else text for text, part in zip(parts, node.parts, strict=True)]
        return f"!{parts[0]}" if node.kind == "!" else f" {node.kind} ".join(parts)

    # -- running, with all that can be at once ----------------------------------------------------

    def _note(self, line: int, configs: set[Config]) -> None:
        if configs:
            self.at.setdefault(line, set()).update(state for state, _ in configs)

    def _block(self, block: Sequence[Placed], configs: set[Config]) -> set[Config]:
        for placed in block:
            configs = self._run(placed, configs)
        return configs

    def _run(self, placed: Placed, configs: set[Config]) -> set[Config]:
        node = placed.node
        if node.kind != "do":
            self._note(placed.line, configs)
        if node.kind == "lock":
            return {("read", values) for _, values in configs}
        if node.kind == "unlock":
            return {("free", values) for _, values in configs}
        if node.kind == "set":
            return self._set(node, configs)
        if node.kind == "if":
            taken, other = self._ask(node.parts[0][0], configs)
            then = self._block(placed.blocks[0], taken)
            return then | (self._block(placed.blocks[1], other) if len(placed.blocks) > 1 else other)
        if node.kind in ("while", "do"):
            return self._loop(placed, configs)
        if node.kind == "return":
            self.exits |= {state for state, _ in configs}
        elif node.kind == "goto":
            self._out |= configs
        else:
            (self._broken if node.kind == "break" else self._continued)[-1].update(configs)
        return set()

    def _set(self, node: Node, configs: set[Config]) -> set[Config]:
        n = self._variables.index(node.name)
        if node.parts:
            answers = self._ask(node.parts[0][0], configs)
        else:
            answers = (
                configs if node.value is not False else set(),
                configs if node.value is not True else set(),
            )
        return {
            (state, (*values[:n], value, *values[n + 1 :]))
            for value, answer in zip((True, False), answers, strict=True)
            for state, values in answer
        }

    def _loop(self, placed: Placed, configs: set[Config]) -> set[Config]:
        """Turn after turn, until nothing new comes round."""
        condition = placed.node.parts[0][0]
        entered, turned, left = set(configs), set[Config](), set[Config]()
        head = placed.node.kind == "while"
        while True:
            before = (len(entered), len(turned), len(left))
            if head:
                turned, other = self._condition(placed, condition, entered)
                left |= other
            self._broken.append(set())
            self._continued.append(set())
            ends = self._block(placed.blocks[0], turned if head else entered) | self._continued.pop()
            left |= self._broken.pop()
            if head:
                entered |= ends
            else:
                again, other = self._condition(placed, condition, ends)
                entered |= again
                left |= other
            if (len(entered), len(turned), len(left)) == before:
                return left

    def _condition(self, placed: Placed, node: Node, configs: set[Config]) -> tuple[set[Config], set[Config]]:
        self._note(placed.line, configs)
        return self._ask(node, configs)

    def _ask(self, node: Node, configs: set[Config]) -> tuple[set[Config], set[Config]]:
        """What goes on as true, and what as false."""
        if node.kind == "unknown":
            return configs, configs
        if node.kind == "var":
            n = self._variables.index(node.name)
            true = {config for config in configs if config[1][n] is node.value}
            return true, configs - true
        if node.kind == "take":
            taken: set[Config] = {("read", values) for _, values in configs}
            return (taken, configs) if TAKES[node.name] is node.value else (configs, taken)
        if node.kind == "!":
            true, false = self._ask(node.parts[0][0], configs)
            return false, true
        (left,), (right,) = node.parts
        true, false = self._ask(left, configs)
        if node.kind == "&&":
            both, other = self._ask(right, true)
            return both, false | other
        either, other = self._ask(right, false)
        return true | either, other
