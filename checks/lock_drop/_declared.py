# SPDX-License-Identifier: GPL-2.0-or-later
"""What a function declares its variables and parameters as; shared by the rules of this family."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reviewbot.c.skeleton import Function, StatementKind
from reviewbot.c.tokens import Kind, Token

# words a declaration of a plain variable begins with
_BEGINS = frozenset(
    "int long short unsigned signed char bool u8 u16 u32 u64 s8 s16 s32 s64 ssize_t size_t vm_fault_t const static "
    "register struct enum volatile".split()
)
INTEGERS = frozenset(
    "int|long|unsigned|unsigned int|unsigned long|short|signed int|long int|s32|u32|s64|u64|ssize_t|size_t".split("|")
)


def declarations(function: Function, others: Sequence[Function] = ()) -> dict[str, str]:
    """Name -> type ("int", "vm_fault_t", "struct file *") of each variable and parameter that is seen declared.

    `others` are the file's functions: another hunk may show the beginning of this one. A name that is declared as two
    things is left out.
    """
    found: dict[str, str] = {}
    twice: set[str] = set()
    for part in _parts(function, others):
        for name, type_ in (*_parameters(part), *_locals(part)):
            if found.setdefault(name, type_) != type_:
                twice.add(name)
    return {name: type_ for name, type_ in found.items() if name not in twice}


def declared_at(function: Function, name: str, others: Sequence[Function] = ()) -> Token | None:
    """The name where it is declared; None for a parameter and for what is not seen."""
    for part in _parts(function, others):
        for statement in part.walk():
            if statement.kind is StatementKind.EXPRESSION and statement.tokens and statement.tokens[0].text in _BEGINS:
                for token, _ in _declarators(statement.tokens):
                    if token.text == name:
                        return token
    return None


def _parts(function: Function, others: Sequence[Function]) -> Iterator[Function]:
    """The hunks of one function: itself, and, where it is not seen from its header on, those of its name."""
    yield function
    if not function.opened and function.name is not None:
        yield from (f for f in others if f is not function and f.name == function.name)


def returns(function: Function) -> str:
    """The type a function returns, "" where its header does not tell."""
    words: list[str] = []
    for token in function.header:
        if token.text == "(":
            break
        words.append(token.text)
    return " ".join(w for w in words[:-1] if w not in ("static", "inline", "extern", "noinline", "__always_inline"))


def _parameters(function: Function) -> Iterator[tuple[str, str]]:
    texts = list(function.header)
    start = next((n for n, t in enumerate(texts) if t.text == "("), None)
    if start is None:
        return
    part: list[Token] = []
    for token in texts[start + 1 :]:
        if token.text in (",", ")"):
            if len(part) > 1 and part[-1].kind is Kind.WORD:
                yield part[-1].text, " ".join(t.text for t in part[:-1] if t.text != "const")
            part = []
        else:
            part.append(token)


def _locals(function: Function) -> Iterator[tuple[str, str]]:
    for statement in function.walk():
        if statement.kind is StatementKind.EXPRESSION and statement.tokens and statement.tokens[0].text in _BEGINS:
            for token, type_ in _declarators(statement.tokens):
                yield token.text, type_


def _declarators(tokens: Sequence[Token]) -> Iterator[tuple[Token, str]]:
    base: list[str] = []
    n = 0
    while n < len(tokens) and tokens[n].kind is Kind.WORD:
        after = tokens[n + 1].text if n + 1 < len(tokens) else ""
        if after in ("=", ",", "[", ";", "") and base:
            break
        if tokens[n].text not in ("const", "static", "register", "volatile"):
            base.append(tokens[n].text)
        n += 1
    depth, stars, fresh = 0, 0, True
    for m in range(n, len(tokens)):
        token = tokens[m]
        depth += token.text in ("(", "[", "{")
        depth -= token.text in (")", "]", "}")
        if depth:
            continue
        if token.text == ",":
            fresh, stars = True, 0
        elif fresh and token.text == "*":
            stars += 1
        elif fresh and token.kind is Kind.WORD:
            yield token, " ".join([*base, *(["*" * stars] if stars else [])])
            fresh = False
        else:
            fresh = False
