# SPDX-License-Identifier: GPL-2.0-or-later
"""FOLL_FORCE outside of code that looks into a process like a debugger."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reviewbot.c.code import Code
from reviewbot.c.skeleton import StatementKind
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, code_rule

WORD = "FOLL_FORCE"
# its users in linux 6.12 (38), and uprobes of an architecture: ptrace and its like, shadow stacks, /proc/PID/mem,
# tomoyo's look at an argument page, the header that defines it
ALLOWED = re.compile(
    r"mm/|include/|kernel/(?:ptrace|fork|events/uprobes)\.c|fs/proc/|fs/exec\.c|security/tomoyo/"
    r"|arch/\w+/math-emu/|arch/\w+/kernel/(?:\w+/)*(?:ptrace|mte|gcs|step|shstk|uprobes)|arch/arm64/mm/gcs"
)
# before, a read-only pin for long had to break COW with it (84209e87c696 and the series of David Hildenbrand)
UNNEEDED = (6, 2)
# how far back a mask may begin: the longest in 6.12 has 17 tokens
REACH = 60


@code_rule(Severity.WARNING, id="FL06", words=(WORD,), style=True, confidence=Confidence.HIGH)
def check(code: Code) -> Iterator[Report]:
    """Where it is set, not where it is tested or cleared; before 6.2 only where it is set in any case."""
    if ALLOWED.match(code.path):
        return
    early = code.version is not None and code.version < UNNEEDED
    for n in code.words(WORD):
        flag = code.tokens[n]
        if not code.changed(flag) or not _sets(code, n) or (early and _depends(code, n)):
            continue
        cure = "" if early else ": a read-only long-term pin needs FOLL_LONGTERM alone"
        yield Report([flag], f"FOLL_FORCE is for debugger-style access, not for a driver{cure}")


def _sets(code: Code, n: int) -> bool:
    """The flag becomes part of a value: it is not defined, tested, masked out or compared here."""
    tokens = code.tokens
    after = tokens[n + 1].text if n + 1 < len(tokens) else ""
    if after in ("&", "==", "!=", "=", ":") or tokens[n - 1].text in ("define", "case", "ifdef", "ifndef", "defined"):
        return after == ":" and _since(code, n, "?")
    depth = 0
    for token in reversed(tokens[max(n - REACH, 0) : n]):
        if token.text == ")":
            depth += 1
        elif token.text == "(":
            depth -= 1
        elif depth <= 0 and token.text in (";", "{", "}", ",", "=", "|=", "?", ":", "&&", "||", "return"):
            return True
        elif depth <= 0 and token.text in ("~", "&", "&=", "==", "!="):
            return False
    return True


def _since(code: Code, n: int, text: str) -> bool:
    """The text stands in the same statement, before token n."""
    for token in reversed(code.tokens[max(n - REACH, 0) : n]):
        if token.text in (";", "{", "}"):
            return False
        if token.text == text:
            return True
    return False


def _depends(code: Code, n: int) -> bool:
    """Whether it is set depends on a condition: of ?:, or of an if."""
    token = code.tokens[n]
    function = code.function_of(token)
    return _since(code, n, "?") or (
        function is not None
        and any(
            token in inner.tokens
            for branch in function.walk()
            if branch.kind is StatementKind.IF and branch.span[0] <= token.line <= branch.span[1]
            for inner in (*branch.body, *branch.orelse)
        )
    )
