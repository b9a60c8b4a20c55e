# SPDX-License-Identifier: GPL-2.0-or-later
"""How a lock is held where a function is called, as far as the calls of lock functions in the caller tell."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from reviewbot.checks.lockdep._asserts import LOCKDEP, MMAP, RWSEM, negated

from reviewbot.c.code import Call, Code, calls
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Kind, Token
from reviewbot.kernel import mm_of_lock


class Held(StrEnum):
    """In which way a lock is taken."""

    READ = "reading"
    WRITE = "writing"
    ONLY = "holding it"  # a lock that has one way
    FREE = "free"


_SUFFIXES = ("", "_irq", "_irqsave", "_bh")
_TAKE: dict[str, Held] = {
    **dict.fromkeys(
        ("down_read", "down_read_nested", "percpu_down_read", "mmap_read_lock", *(f"read_lock{s}" for s in _SUFFIXES)),
        Held.READ,
    ),
    **dict.fromkeys(
        (
            "down_write",
            "down_write_nested",
            "percpu_down_write",
            "mmap_write_lock",
            "mmap_write_lock_nested",
            *(f"write_lock{s}" for s in _SUFFIXES),
        ),
        Held.WRITE,
    ),
    **dict.fromkeys(
        (
            "mutex_lock",
            "mutex_lock_nested",
            *(f"spin_lock{s}" for s in _SUFFIXES),
            *(f"raw_spin_lock{s}" for s in _SUFFIXES),
        ),
        Held.ONLY,
    ),
}
# 0 when taken
_FAIL: dict[str, Held] = {
    "down_read_killable": Held.READ,
    "down_read_interruptible": Held.READ,
    "mmap_read_lock_killable": Held.READ,
    "down_write_killable": Held.WRITE,
    "mmap_write_lock_killable": Held.WRITE,
    "mutex_lock_interruptible": Held.ONLY,
    "mutex_lock_killable": Held.ONLY,
}
# true when taken
_TRY: dict[str, Held] = {
    "down_read_trylock": Held.READ,
    "mmap_read_trylock": Held.READ,
    "read_trylock": Held.READ,
    "down_write_trylock": Held.WRITE,
    "write_trylock": Held.WRITE,
    "mutex_trylock": Held.ONLY,
    "spin_trylock": Held.ONLY,
}
_RELEASE = frozenset(
    (
        "up_read",
        "up_write",
        "percpu_up_read",
        "percpu_up_write",
        "mmap_read_unlock",
        "mmap_write_unlock",
        "mutex_unlock",
        *(
            f"{kind}_unlock{suffix}"
            for kind in ("read", "write", "spin", "raw_spin")
            for suffix in ("", "_irq", "_irqrestore", "_bh")
        ),
    )
)
_DOWNGRADE = frozenset(("downgrade_write", "mmap_write_downgrade"))
_ALL = frozenset((*_TAKE, *_FAIL, *_TRY, *_RELEASE, *_DOWNGRADE))

# the name of a lock that too many structures have: its structure must be the same one, by its name
_COMMON = frozenset("lock mutex sem rwsem mtx lk".split())


_ASSERTS = frozenset((*LOCKDEP, *RWSEM, *MMAP))


class Asserted(NamedTuple):
    """An assertion that a lock is held."""

    function: Function
    statement: Statement
    call: Call
    key: str
    how: Held | None  # the way it asks for; None: any


def asserted(code: Code) -> Iterator[Asserted]:
    """The assertions of a file on a lock that has a name."""
    for function in code.functions:
        if function.macro:
            continue
        for statement in function.walk():
            if statement.kind is not StatementKind.EXPRESSION or not statement.tokens[:1]:
                continue
            if statement.tokens[0].text not in _ASSERTS:
                continue
            for call in calls(statement.tokens, statement.tokens[0].text):
                key = lock_key(call)
                if key and call.tokens[0] is statement.tokens[0]:
                    how = Held.WRITE if "write" in call.name else Held.READ if call.name.endswith("_read") else None
                    yield Asserted(function, statement, call, key, how)


def lock_key(call: Call) -> str | None:
    """Which lock a call is about: its member, and its structure's name where the member's tells too little."""
    argument: Sequence[Token] = call.arguments[0] if call.arguments else ()
    if call.name.startswith("mmap_"):
        return "mmap_lock" if argument else None
    if mm_of_lock(argument) is not None:
        return "mmap_lock"
    while len(argument) > 2 and argument[0].text == "(" and argument[-1].text == ")":
        argument = argument[1:-1]
    if len(argument) < 2 or argument[0].text != "&" or argument[-1].kind is not Kind.WORD:
        return None
    last = argument[-1].text
    if len(argument) == 2:
        return f"&{last}"
    if argument[-2].text not in ("->", ".") or len(argument) < 4:
        return None
    return f"{argument[-3].text}.{last}" if last in _COMMON or last == "mmap_lock" else f".{last}"


def releases(statement: Statement) -> bool:
    """Some lock may be given up here: by a function that says so."""
    return any("unlock" in t.text or t.text.startswith(("up_", "downgrade_")) for t in statement.tokens)


def top(function: Function) -> Sequence[Statement]:
    """The statements that stand in no block but the function's own, whose { may be all that is seen of its header."""
    statements = function.statements
    return statements[0].body if len(statements) == 1 and statements[0].kind is StatementKind.BLOCK else statements


def held_at(code: Code, function: Function, at: Statement, key: str) -> tuple[Held, Call] | None:
    """How the lock is held on arrival at a statement by all that is seen, and since which call; None: who knows.

    The nearest call on every way back must take it, in one and the same way.
    """
    flow = code.flow(function)
    found: list[tuple[Held, Call]] = []
    if at is flow.entry:
        return None
    for statement in flow.before(at, lambda s: _operation(s, key, at) is not None):
        operation = _operation(statement, key, at)
        if operation is not None:
            found.append(operation)
        elif statement is flow.entry:
            return None
    if not found or len({held for held, _ in found}) != 1 or found[0][0] is Held.FREE:
        return None
    return found[0]


def _operation(statement: Statement, key: str, target: Statement) -> tuple[Held, Call] | None:
    """What the last call in a statement does to a lock, seen from where `target` is reached behind it."""
    last: tuple[Held, Call] | None = None
    if not any(t.text in _ALL for t in statement.tokens):
        return None
    for call in calls(statement.tokens, *_ALL):
        if lock_key(call) != key:
            continue
        if call.name in _TAKE:
            last = _TAKE[call.name], call
        elif call.name in _DOWNGRADE:
            last = Held.READ, call
        elif call.name in _RELEASE:
            last = Held.FREE, call
        else:
            held, fails = (_FAIL[call.name], True) if call.name in _FAIL else (_TRY[call.name], False)
            inside = any(s.holds(target) for s in statement.body)
            taken_inside = negated(statement.tokens, call) is fails
            known = statement.kind is StatementKind.IF and inside is taken_inside
            last = (held if known else Held.FREE), call
    return last


Site = tuple[Function, Statement, Call]


def callers(code: Code, functions: Collection[Function]) -> dict[Function, list[Site]]:
    """Every place from which static functions are called; a function of which not all of them are seen is left out.

    They are seen where the file is whole, and where the patch itself brings the function along.
    """
    names = {f.name: f for f in functions if f.name and _all_seen(code, f)}
    sites: dict[Function, list[Site]] = {function: [] for function in names.values()}
    if not names:
        return sites
    called: set[tuple[int, int]] = set()
    for other in code.every_function:
        for statement in other.walk():
            here = {t.text for t in statement.tokens if t.text in names}
            for call in calls(statement.tokens, *here) if here else ():
                sites[names[call.name]].append((other, statement, call))
                called.add((call.tokens[0].line, call.tokens[0].column))
    tokens = code.tokens
    for n in code.words(*names):
        token = tokens[n]
        if (token.line, token.column) in called:
            continue
        # its definition and its declaration: a type before it, a ( behind it; all else takes its address
        before, after = tokens[n - 1] if n else None, tokens[n + 1].text if n + 1 < len(tokens) else ""
        if after != "(" or before is None or not (before.kind is Kind.WORD or before.text in ("*", ")")):
            sites.pop(names[token.text], None)
    return sites


def _all_seen(code: Code, function: Function) -> bool:
    header = [t for t in function.header if t.line >= 0]
    if not code.path.endswith(".c") or not function.opened or not any(t.text == "static" for t in header):
        return False
    return code.whole or all(code.changed(t) for t in header)
