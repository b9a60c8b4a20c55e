# SPDX-License-Identifier: GPL-2.0-or-later
"""mmap_sem is reached by its name: it was renamed to mmap_lock in v5.8 and has an API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reviewbot.c.code import Code
from reviewbot.c.pattern import Pattern
from reviewbot.c.tokens import Kind, Token
from reviewbot.kernel import REPLACEMENTS, assertion, is_locked_checks, replacement, substituted
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, code_rule

INITIALISER = Pattern(".mmap_sem = __RWSEM_INITIALIZER($name)")


@code_rule(
    Severity.ERROR, id="ML01", since="v5.8", words=("mmap_sem",), build=True, confidence=Confidence.HIGH, fix=True
)
def check(code: Code) -> Iterator[Report]:
    """Every `->mmap_sem` and `.mmap_sem` in code."""
    tokens = code.tokens
    cures = _cures(code) if any(code.words("mmap_sem")) else {}
    for n in code.words("mmap_sem"):
        if n == 0 or tokens[n - 1].text not in ("->", ".") or not code.changed(tokens[n]):
            continue
        start = n - 1  # the expression in front: a real one has few members
        while start > max(0, n - 20) and (tokens[start - 1].text in ("->", ".") or tokens[start - 1].kind is Kind.WORD):
            start -= 1
        message = "mmap_sem is mmap_lock since v5.8, and only to be reached through the mmap locking API"
        yield Report(tokens[start : n + 1], message, suggestion=cures.get(tokens[n]))


def _cures(code: Code) -> dict[Token, str | None]:
    """What the line of each `mmap_sem` should be, by the word: of calls, checks that it is locked, initialisers."""
    found: dict[Token, str | None] = {}
    for call in code.calls(*REPLACEMENTS):
        if call.arguments and (word := _last(call.arguments[0])):
            found[word] = replacement(code, call)
    for check_ in is_locked_checks(code):
        if word := _last(check_.bound["lock"]):
            found[word] = assertion(code, check_)
    for match in code.matches(INITIALISER):
        name = match.bound["name"]
        words = [token for token in match.tokens if token.text == "mmap_sem"]
        if len(words) == 2 and len(name) == 3 and name[1].text == ".":
            cure = _initialiser(code, match.tokens, name[0].text)
            found |= dict.fromkeys(words, cure)
    return found


def _last(argument: Sequence[Token]) -> Token | None:
    """The member that an argument ends with, brackets aside."""
    return next((token for token in reversed(argument) if token.kind is Kind.WORD), None)


def _initialiser(code: Code, tokens: Sequence[Token], name: str) -> str | None:
    """The line with MMAP_LOCK_INITIALIZER(), which brings its own comma: include/linux/mmap_lock.h:11."""
    line = substituted(code, tokens, f"MMAP_LOCK_INITIALIZER({name})")
    end = tokens[-1].column + len(tokens[-1].text)
    rest = code.lines[tokens[-1].line].text[end:]
    if line is None or not rest.lstrip().startswith(","):
        return None
    return line.removesuffix(rest) + rest.replace(",", "", 1)
