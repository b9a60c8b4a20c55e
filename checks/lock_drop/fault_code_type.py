# SPDX-License-Identifier: GPL-2.0-or-later
"""A vm_fault_t is kept in an int, or VM_FAULT_ bits are mixed with an errno"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from reviewbot.checks.lock_drop._declared import INTEGERS, declarations, declared_at, returns

from reviewbot.c.code import Code, calls
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Kind, Token
from reviewbot.kernel import FAULT_CODES, FAULT_FUNCTIONS
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, code_rule

CODES = frozenset((*FAULT_CODES, "VM_FAULT_ERROR"))
# what an errno is called; a vm_fault_t is often called ret, too
ERRNOS = ("rc", "err")
NAMES = (*ERRNOS, "ret", "retval")


@code_rule(Severity.WARNING, id="DR11", since="v4.17", words=("_fault", "VM_FAULT_"), confidence=Confidence.HIGH)
def check(code: Code) -> Iterator[Report]:
    """What a variable is declared as against what is put into it; what a function returns; what is compared."""
    for function in code.functions:
        if function.macro:
            continue
        types = declarations(function, code.functions)
        kept: dict[str, Report] = {}
        for statement in function.walk():
            if statement.kind in (StatementKind.EXPRESSION, StatementKind.IF, StatementKind.LOOP):
                for name, report in _assigned(code, function, types, statement):
                    # said once of a variable: where the patch has to do with it
                    if name is None:
                        yield report
                    elif name not in kept or (code.changed(*report.at) and not code.changed(*kept[name].at)):
                        kept[name] = report
            if statement.kind is StatementKind.RETURN:
                yield from _returned(code, function, types, statement)
            if statement.kind in (StatementKind.IF, StatementKind.LOOP, StatementKind.DO):
                yield from _compared(types, statement)
        yield from kept.values()


def _assigned(
    code: Code, function: Function, types: Mapping[str, str], statement: Statement
) -> Iterator[tuple[str | None, Report]]:
    """`int ret = handle_mm_fault(..)`, `fault = -EFAULT`, `ret = VM_FAULT_SIGBUS`."""
    tokens = statement.tokens
    for n, token in enumerate(tokens):
        if token.text not in ("=", "|=") or n == 0 or tokens[n - 1].kind is not Kind.WORD:
            continue
        if n > 1 and tokens[n - 2].text in ("->", "."):
            continue
        name = tokens[n - 1]
        value = _value(tokens, n + 1)
        type_ = types.get(name.text)
        if type_ in INTEGERS:
            what = _fault_value(value)
            at = declared_at(function, name.text, code.functions)
            if what and at is not None and not _cast(value):
                yield (
                    name.text,
                    Report(
                        tokens[n - 1 : n + 1 + len(value)] if at is name else tokens[n - 1 : n + 2],
                        f"{_is(what)} a vm_fault_t, and '{name.text}' is declared {type_}",
                        () if at is name else (([at], "declared here"),),
                    ),
                )
        elif type_ is None and (what := _fault_value(value)) and what.text in FAULT_FUNCTIONS:
            # not seen declared: an errno beside it tells
            if declared_at(function, name.text, code.functions) is not None:
                continue
            given = f"'{name.text}' is given what {what.text}() returns, a vm_fault_t"
            if errno_too := _errno_of(function, name.text):
                report = Report(tokens[n - 1 : n + 2], f"{given}, and an errno", ((errno_too, "errno"),))
            elif name.text in NAMES and (test := _negative(function, name.text)):
                report = Report(tokens[n - 1 : n + 2], f"{given}, and compared with 0", ((test, "never true"),))
            elif name.text in ERRNOS and what.text == "handle_mm_fault" and not function.whole:
                report = Report(tokens[n - 1 : n + 2], f"{given}, and has the name of an errno")
            else:
                continue
            yield name.text, report
        elif type_ == "vm_fault_t" and (errno := _errno(value)):
            yield None, Report(errno, f"an errno is put into '{name.text}', which is a vm_fault_t")


def _returned(code: Code, function: Function, types: Mapping[str, str], statement: Statement) -> Iterator[Report]:
    """`return -ENOMEM` of a vm_fault_t; VM_FAULT_ bits of an int that is an errno elsewhere."""
    gives = returns(function)
    tokens = statement.tokens
    if gives == "vm_fault_t":
        if errno := _errno(tokens):
            yield Report(errno, f"{function.name}() returns an errno as a vm_fault_t")
        elif len(tokens) == 1 and types.get(tokens[0].text) in INTEGERS:
            at = declared_at(function, tokens[0].text, code.functions)
            if at is not None and not _holds_codes(function, tokens[0].text):
                yield Report(
                    tokens,
                    f"{function.name}() returns '{tokens[0].text}', {types[tokens[0].text]}, as a vm_fault_t",
                    (([at], "declared here"),),
                )
    elif gives in INTEGERS:
        what = _fault_value(tokens)
        errno_too = next((s for s in function.walk() if s.kind is StatementKind.RETURN and _errno(s.tokens)), None)
        if what and errno_too is not None and not _cast(tokens):
            yield Report(
                [what],
                f"{function.name}() returns {what.text} here and an errno there",
                ((errno_too.tokens, "errno"),),
            )
        elif what and not _cast(tokens) and any(t.text == "vm_fault" for t in function.header):
            yield Report([what], f"{function.name}() returns a vm_fault_t as {gives}")


def _compared(types: Mapping[str, str], statement: Statement) -> Iterator[Report]:
    """`if (fault < 0)`, `fault == -EFAULT`, `IS_ERR_VALUE(fault)` of a vm_fault_t: never true."""
    tokens = statement.tokens
    for n, token in enumerate(tokens[:-2]):
        if types.get(token.text) != "vm_fault_t" or (n and tokens[n - 1].text in ("->", ".", "&", "*")):
            continue
        after = [t.text for t in tokens[n + 1 : n + 4]]
        if after[:2] == ["<", "0"] or (after[:2] in (["==", "-"], ["!=", "-"]) and after[2:3] and _is_errno(after[2])):
            end = n + 3 + (after[0] != "<")
            yield Report(tokens[n:end], f"'{token.text}' is a vm_fault_t, and is compared with an errno")


def _errno_of(function: Function, name: str) -> list[Token]:
    """`name = -ENOMEM` anywhere in the function."""
    for statement in function.walk():
        tokens = statement.tokens
        for n, token in enumerate(tokens[:-2]):
            if token.text == name and tokens[n + 1].text == "=" and (not n or tokens[n - 1].text not in ("->", ".")):
                errno = _errno(_value(tokens, n + 2))
                if errno and errno[0].text == "-":
                    return errno
    return []


def _negative(function: Function, name: str) -> list[Token]:
    """`if (name < 0)` anywhere in the function."""
    for statement in function.walk():
        if statement.kind in (StatementKind.IF, StatementKind.LOOP, StatementKind.DO):
            tokens = statement.tokens
            for n, token in enumerate(tokens[:-2]):
                own = not n or tokens[n - 1].text in ("(", "&&", "||", "!")
                if token.text == name and own and (tokens[n + 1].text, tokens[n + 2].text) == ("<", "0"):
                    return list(tokens[n : n + 3])
    return []


def _is(what: Token) -> str:
    return f"{what.text}() returns" if what.text in FAULT_FUNCTIONS else f"{what.text} is"


def _value(tokens: Sequence[Token], start: int) -> tuple[Token, ...]:
    """The tokens of an assigned value, up to the comma or bracket that ends it."""
    depth = 0
    for n in range(start, len(tokens)):
        text = tokens[n].text
        depth += text in ("(", "[", "{")
        depth -= text in (")", "]", "}")
        if depth < 0 or (depth == 0 and text in (",", ";")):
            return tuple(tokens[start:n])
    return tuple(tokens[start:])


def _fault_value(value: Sequence[Token]) -> Token | None:
    """The code or call that makes a value a vm_fault_t: `handle_mm_fault(..)`, `VM_FAULT_OOM | x`, `a ? CODE : 0`."""
    if not value:
        return None
    if value[0].text in FAULT_FUNCTIONS and len(value) > 1 and value[1].text == "(":
        call = next(calls(value, value[0].text), None)
        return value[0] if call and len(call.tokens) == len(value) else None
    texts = [t.text for t in value]
    if any(text in ("&", "==", "!=", "!", "~", "(", "&&", "||") for text in texts):
        return None
    if "?" in texts:
        value = value[texts.index("?") + 1 :]
    return next((t for t in value if t.text in CODES), None)


def _errno(value: Sequence[Token]) -> list[Token]:
    """`-ENOMEM`, `PTR_ERR(x)`: the tokens; [] where the value is something else."""
    texts = [t.text for t in value]
    if texts[:1] == ["PTR_ERR"]:
        return list(value)
    if "(" in texts:
        return []
    for n, (first, second) in enumerate(pairwise(value)):
        before = texts[n - 1] if n else ""
        if first.text == "-" and _is_errno(second.text) and before in ("", "?", ":"):
            return [first, second]
    return []


def _is_errno(text: str) -> bool:
    return len(text) > 2 and text[0] == "E" and text.isalnum() and text.isupper()


def _cast(value: Sequence[Token]) -> bool:
    return any(t.text == "__force" for t in value)


def _holds_codes(function: Function, name: str) -> bool:
    """Something said at another place: the variable is given VM_FAULT_ codes, and that is reported."""
    for statement in function.walk():
        tokens = statement.tokens
        for n, token in enumerate(tokens[:-1]):
            if token.text == name and tokens[n + 1].text in ("=", "|=") and _fault_value(_value(tokens, n + 2)):
                return True
    return False
