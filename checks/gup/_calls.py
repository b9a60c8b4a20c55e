# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls of get_user_pages*() and pin_user_pages*(), their arguments by meaning, and the flags that can reach them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from reviewbot.c.code import Call, Code, calls
from reviewbot.c.pattern import MAX_REACH, closing
from reviewbot.c.skeleton import Function, Statement
from reviewbot.c.tokens import Kind, Token
from reviewbot.kernel import LONGEST_LINE, conditions, contradicts

# (end of the name, number of arguments) -> their order: include/linux/mm.h:2534-2588; with vmas until 6.4
# (54d020692b34), with a task until 5.8 (64019a2e467a)
_ORDER = {
    ("", 4): "start nr flags pages",
    ("", 5): "start nr flags pages vmas",
    ("_locked", 5): "start nr flags pages locked",
    ("_longterm", 5): "start nr flags pages vmas",
    ("_unlocked", 4): "start nr pages flags",
    ("_fast", 4): "start nr flags pages",
    ("_fast_only", 4): "start nr flags pages",
    ("_remote", 6): "mm start nr flags pages locked",
    ("_remote", 7): "mm start nr flags pages vmas locked",
    ("_remote", 8): "task mm start nr flags pages vmas locked",
}
_ORDERS = {
    **{(f"{verb}_user_pages{end}", n): order.split() for verb in ("get", "pin") for (end, n), order in _ORDER.items()},
    ("get_user_page_fast_only", 3): ["start", "flags", "pages"],
    ("get_user_page_vma_remote", 4): ["mm", "start", "flags", "vma"],
}
# one of these stands in every file with such a call
WORDS = ("user_pages", "get_user_page_fast_only", "get_user_page_vma_remote")
NAMES = frozenset(name for name, _ in _ORDERS)
# the first kernels with these orders throughout: 768ae309a961 and its like, 5b56d49fc31d
_FIRST = (4, 10)


# operator and value
Assignment = tuple[str, tuple[Token, ...]]


_ASKING = frozenset(("==", "!=", "<", ">", "<=", ">=", "&&", "||"))


class Body:
    """What a function does with its variables; made once for all the calls in it."""

    def __init__(self, code: Code, function: Function) -> None:
        self._code = code
        self._function = function
        self._carried: dict[str, dict[Statement, list[Token]]] = {}

    @cached_property
    def around(self) -> dict[Statement, tuple[tuple[str, bool], ...]]:
        """What the branches around each statement tell."""
        return conditions(self._function)

    @cached_property
    def stands(self) -> dict[Token, Statement]:
        """Where each FOLL_ flag stands."""
        return {token: s for s in self._function.walk() for token in s.tokens if token.text.startswith("FOLL_")}

    @cached_property
    def assigned(self) -> dict[str, dict[Statement, list[Assignment]]]:
        """(operator, value) of each assignment to each variable, initialisers among them."""
        found: dict[str, dict[Statement, list[Assignment]]] = {}
        for statement in self._function.walk():
            for name, operator, value in assignments(statement):
                found.setdefault(name, {}).setdefault(statement, []).append((operator, value))
        return found

    def values(self, name: str) -> Iterator[tuple[Token, ...]]:
        """All that is assigned to a variable."""
        return (value for found in self.assigned.get(name, {}).values() for _, value in found)

    def carried(self, name: str) -> dict[Statement, list[Token]]:
        """For each statement the flags and macros, where they are set, with which a variable can come there."""
        if name not in self._carried:
            found = self._carried[name] = {}
            for statement, assigned in self.assigned.get(name, {}).items():
                for flag in (flag for operator, value in assigned if operator in ("=", "|=") for flag in set_in(value)):
                    if flag.text.isupper():
                        for reached in self._reached(statement, name, flag.text):
                            found.setdefault(reached, []).append(flag)
        return self._carried[name]

    def _reached(self, start: Statement, name: str, flag: str) -> Iterator[Statement]:
        """The statements that the flow comes to from an assignment, until the variable loses the flag."""
        assigned = self.assigned[name]

        def stop(s: Statement) -> bool:
            return any(
                operator == "=" or (operator in ("&=", "^=") and any(token.text == flag for token in value))
                for operator, value in assigned.get(s, ())
            )

        return self._code.flow(self._function).after(start, stop, contradicts(self.around.get(start, ())))


class Gup(NamedTuple):
    """One call of the interface. `statement` is where it stands."""

    call: Call
    function: Function
    body: Body
    statement: Statement
    order: tuple[str, ...]

    def argument(self, what: str) -> tuple[Token, ...]:
        """The tokens of start, nr, flags, pages, vmas, locked, mm, task or vma; () where the call has no such one."""
        return self.call.arguments[self.order.index(what)] if what in self.order else ()

    def given(self, what: str) -> bool:
        """There is such an argument, and it is not NULL."""
        return "".join(token.text for token in self.argument(what)) not in ("", "NULL", "0")


def gup_calls(code: Code) -> Iterator[Gup]:
    """Every call whose number of arguments is one that its function has had; not on kernels before 4.10."""
    names = NAMES.intersection(code.vocabulary)
    if not names or (code.version and code.version < _FIRST):
        return
    for function in code.functions:
        body = Body(code, function)
        for statement in function.walk():
            for call in calls(statement.tokens, *names):
                order = _ORDERS.get((call.name, len(call.arguments)))
                if order and not declared(call):
                    yield Gup(call, function, body, statement, tuple(order))


def declared(call: Call) -> bool:
    """Its arguments read as parameters: a declaration, whose return type hides behind a *."""
    first = [token.text for token in call.arguments[0]] if call.arguments else []
    return first[:1] in (["struct"], ["unsigned"], ["const"], ["void"]) or first[:2] in (["int", "nr"], ["long", "nr"])


def flag_set(gup: Gup, *flags: str) -> Token | None:
    """Where one of the flags is set that the call can get: in its argument, or in a local variable on the way to it.

    None where that cannot be seen. What is masked out, tested or set on another branch does not count.
    """
    return next(flags_set(gup, flags), None)


def flags_set(gup: Gup, flags: Collection[str]) -> Iterator[Token]:
    """Every place where one of the flags is set that the call can get."""
    argument = gup.argument("flags")
    masked = {token.text for token in argument}
    for token in set_in(argument):
        if token.text in flags:
            yield token
            masked.discard(token.text)
    for token in argument:
        if token.kind is Kind.WORD and not token.text.isupper():
            carried = gup.body.carried(token.text).get(gup.statement, ())
            yield from (flag for flag in carried if flag.text in flags and flag.text not in masked)


def set_in(tokens: Sequence[Token]) -> list[Token]:
    """The words among flags that are set: not behind ~ or &, not the condition of ?:, not what is compared."""
    found: list[Token] = []
    groups = [
        (0, False)
    ]  # for each open bracket: how many were found before it, and whether something is compared in it
    n = 0
    while n < len(tokens):
        token = tokens[n]
        if token.text in ("~", "&"):
            while n < len(tokens) and tokens[n].text in ("~", "&"):
                n += 1
            bracket = n < len(tokens) and tokens[n].text == "("
            n = (closing(tokens, n) or len(tokens)) if bracket else n + 1
            continue
        start, compared = groups[-1]
        if token.text == "(":
            groups.append((len(found), compared))
        elif token.text == ")" and len(groups) > 1:
            groups.pop()
        elif token.text == "?":
            # what stood before was asked, not given
            del found[start:]
            groups[-1] = (start, False)
        elif token.text in _ASKING:
            del found[start:]
            groups[-1] = (start, True)
        elif token.kind is Kind.WORD and not compared and (not n or tokens[n - 1].text not in ("->", ".")):
            found.append(token)
        n += 1
    return found


def assignments(statement: Statement) -> Iterator[tuple[str, str, tuple[Token, ...]]]:
    """(variable, operator, value) of each assignment in a statement, initialisers among them."""
    tokens = statement.tokens
    for n in range(len(tokens) - 1):
        name, operator = tokens[n], tokens[n + 1].text
        if operator not in ("=", "|=", "&=", "^=", "+=") or name.kind is not Kind.WORD:
            continue
        if n and tokens[n - 1].text in ("->", "."):
            continue
        end, depth = n + 2, 0
        while end < min(len(tokens), n + MAX_REACH):
            depth += tokens[end].text in ("(", "[", "{")
            depth -= tokens[end].text in (")", "]", "}")
            if depth < 0 or (depth == 0 and tokens[end].text in (",", ";")):
                break
            end += 1
        yield name.text, operator, tokens[n + 2 : end]


def certain(gup: Gup, flag: Token) -> bool:
    """A flag that the call can get (`flag_set`) is set whatever the way to the call, and not by the choice of ?:."""
    statement = gup.statement if flag in gup.call.tokens else gup.body.stands[flag]
    chosen = any(token.text == "?" for token in statement.tokens)
    return not chosen and (statement is gup.statement or not gup.body.around.get(statement))


def line_without(code: Code, argument: Sequence[Token], flag: Token) -> str | None:
    """The flag's line without it, `A | FLAG` -> `A`, a flag alone -> `0`; None where that is not all on one line."""
    at = next((n for n, token in enumerate(argument) if token == flag), None)
    if at is None:
        return None
    start, end, instead = flag, flag, ""
    if at >= 2 and argument[at - 1].text == "|":
        before = argument[at - 2]
        line, first = before.line, before.column + len(before.text)
        last = flag.column + len(flag.text)
        start = before
    elif at + 2 < len(argument) and argument[at + 1].text == "|":
        end = argument[at + 2]
        line, first, last = flag.line, flag.column, end.column
    elif len(argument) == 1:
        line, first, last, instead = flag.line, flag.column, flag.column + len(flag.text), "0"
    else:
        return None
    text = code.lines[line].text
    if start.line != end.line or len(text) > LONGEST_LINE:
        return None
    return text[:first] + instead + text[last:]
