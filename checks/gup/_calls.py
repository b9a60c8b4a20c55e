# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls of get_user_pages*() and pin_user_pages*(), their arguments by meaning, and the flags that can reach them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from reviewbot.c.code import Call, Code, calls
from reviewbot.c.pattern import closing
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


class Gup(NamedTuple):
    """One call of the interface. `statement` is where it stands."""

    call: Call
    function: Function
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
    names = NAMES.intersection(token.text for token in code.tokens)
    if not names or (code.version and code.version < _FIRST):
        return
    for function in code.functions:
        for statement in function.walk():
            for call in calls(statement.tokens, *names):
                order = _ORDERS.get((call.name, len(call.arguments)))
                if order and not declared(call):
                    yield Gup(call, function, statement, tuple(order))


def declared(call: Call) -> bool:
    """Its arguments read as parameters: a declaration, whose return type hides behind a *."""
    first = [token.text for token in call.arguments[0]] if call.arguments else []
    return first[:1] in (["struct"], ["unsigned"], ["const"], ["void"]) or first[:2] in (["int", "nr"], ["long", "nr"])


def flag_set(code: Code, gup: Gup, *flags: str) -> Token | None:
    """Where one of the flags is set that the call can get: in its argument, or in a local variable on the way to it.

    None where that cannot be seen. What is masked out, tested or set on another branch does not count.
    """
    return next(flags_set(code, gup, flags), None)


def flags_set(code: Code, gup: Gup, flags: Collection[str]) -> Iterator[Token]:
    """Every place where one of the flags is set that the call can get."""
    argument = gup.argument("flags")
    masked = {token.text for token in argument}
    for token in set_in(argument):
        if token.text in flags:
            yield token
            masked.discard(token.text)
    for token in argument:
        if token.kind is Kind.WORD and not token.text.isupper():
            yield from (flag for flag in _by_variable(code, gup, token.text, flags) if flag.text not in masked)


def set_in(tokens: Sequence[Token]) -> list[Token]:
    """The words among flags that are set: not behind ~ or &, not the condition of ?:, not what is compared."""
    found: list[Token] = []
    n = 0
    while n < len(tokens):
        token = tokens[n]
        before = tokens[n - 1].text if n else ""
        if token.text in ("~", "&"):
            while n < len(tokens) and tokens[n].text in ("~", "&"):
                n += 1
            bracket = n < len(tokens) and tokens[n].text == "("
            n = (closing(tokens, n) or len(tokens)) if bracket else n + 1
            continue
        if token.text == "?":
            found.clear()  # what stood before was asked, not given
        elif token.text in ("==", "!="):
            return []
        elif token.kind is Kind.WORD and before not in ("->", "."):
            found.append(token)
        n += 1
    return found


def assignments(statement: Statement, name: str) -> Iterator[tuple[str, tuple[Token, ...]]]:
    """(operator, value) of each assignment to a variable in a statement, initialisers among them."""
    tokens = statement.tokens
    for n, token in enumerate(tokens):
        operator = tokens[n + 1].text if token.text == name and n + 1 < len(tokens) else ""
        if operator in ("=", "|=", "&=", "^=", "+=") and (not n or tokens[n - 1].text not in ("->", ".")):
            end, depth = n + 2, 0
            while end < len(tokens):
                depth += tokens[end].text in ("(", "[", "{")
                depth -= tokens[end].text in (")", "]", "}")
                if depth < 0 or (depth == 0 and tokens[end].text in (",", ";")):
                    break
                end += 1
            yield operator, tokens[n + 2 : end]


def _by_variable(code: Code, gup: Gup, name: str, flags: Collection[str]) -> Iterator[Token]:
    """Where a variable gets one of the flags and keeps it up to the call."""
    around = None
    for statement in gup.function.walk():
        for operator, value in assignments(statement, name):
            for flag in (t for t in set_in(value) if t.text in flags and operator in ("=", "|=")):
                around = conditions(gup.function) if around is None else around

                def stop(s: Statement, text: str = flag.text) -> bool:
                    return s is gup.statement or any(
                        operator == "=" or (operator in ("&=", "^=") and any(t.text == text for t in value))
                        for operator, value in assignments(s, name)
                    )

                reached = code.flow(gup.function).after(statement, stop, contradicts(around.get(statement, ())))
                if any(s is gup.statement for s in reached):
                    yield flag


def certain(gup: Gup, flag: Token) -> bool:
    """A flag that the call can get (`flag_set`) is set whatever the way to the call, and not by the choice of ?:."""
    if flag in gup.statement.tokens:
        return not any(token.text == "?" for token in gup.statement.tokens)
    for statement, around in conditions(gup.function).items():
        if flag in statement.tokens:
            return not around and not any(token.text == "?" for token in statement.tokens)
    return False


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
