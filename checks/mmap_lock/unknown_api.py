# SPDX-License-Identifier: GPL-2.0-or-later
"""A function of the mmap locking API is named that the kernel does not have."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reviewbot.c.code import Call, Code
from reviewbot.c.tokens import Comment, Kind, Token
from reviewbot.kernel import LONGEST_LINE, MMAP_API, MMAP_NEVER, is_mm, mm_names, substituted
from reviewbot.model import Confidence, LineKind, Severity
from reviewbot.rule import Report, code_rule

NAME = re.compile(r"mmap_\w*(?:lock|downgrade)\w*\Z")
SPOKEN = re.compile(r"(?<![\w>.])(mmap_\w+|mm_\w+)(?=\()")
# of names that begin with mmap_read_ or mmap_write_ the API alone speaks in a comment
OURS = re.compile(r"mmap_(?:read|write)_\w*(?:lock|downgrade)\w*\Z")


@code_rule(
    Severity.ERROR,
    id="ML05",
    since="v5.8",
    words=("mmap_", "mm_read_", "mm_write_", "mm_might_lock_read", "mm_release_fault_lock"),
    style=True,
    build=True,
    confidence=Confidence.HIGH,
)
def check(code: Code) -> Iterator[Report]:
    """Calls on an mm, and comments; with a tree every name of its headers is known, without one the names in kernel."""
    own = _defined(code)
    mms = mm_names(code)
    names = {word for word in code.vocabulary if word in MMAP_NEVER or NAME.match(word)}
    wrong = {name: why for name in names if name not in own and (why := _unknown(code, name, NAME))}
    for call in code.calls(*wrong):
        if _on_an_mm(call, mms):
            right = _meant(call.name)
            cure = substituted(code, call.tokens[:1], right) if right else None
            yield Report(call.tokens, f"{call.name}() {wrong[call.name]}", suggestion=cure)
    if code.facts is None and any(
        _on_an_mm(call, mms) for call in code.calls(*(names - own - wrong.keys() - MMAP_API.keys()))
    ):
        code.abstain()
    words = frozenset(code.vocabulary)
    for comment in code.comments:
        if "mm" not in comment.text or code.lines[comment.line].kind is LineKind.CONTEXT:
            continue
        for match in SPOKEN.finditer(comment.text):
            name = match[1]
            why = None if name in own or name in words - names else _unknown(code, name, OURS)
            if why:
                right = _meant(name)
                at = Comment(name, comment.line, comment.column + match.start(1))
                line = code.lines[comment.line].text
                cure = line.replace(name + "(", right + "(") if right and len(line) <= LONGEST_LINE else None
                yield Report([at], f"the comment names {name}(), which {why}", suggestion=cure, severity=Severity.NOTE)


def _unknown(code: Code, name: str, known_by: re.Pattern[str]) -> str | None:
    """Why there is no such function, None where there is one or where nobody knows."""
    if code.defines(name):
        return None
    if code.facts:
        known = name in code.facts.names or not (name in MMAP_NEVER or known_by.match(name))
        # a static function of the file may stand where a hunk does not show it
        return None if known or not (code.whole or name in MMAP_NEVER) else "is not in this tree"
    if name in MMAP_NEVER:
        return "has never existed"
    # any other name may be newer than what is known here
    gone = MMAP_API.get(name)
    if gone and (code.version is None or code.version >= gone):
        return f"is gone since v{gone[0]}.{gone[1]} at the latest"
    return None


def _meant(name: str) -> str | None:
    return MMAP_NEVER.get(name)


def _on_an_mm(call: Call, mms: frozenset[str]) -> bool:
    """Its first argument is an mm (or, for the names with mm_, what else has one)."""
    if not call.arguments:
        return False
    first = call.arguments[0]
    texts = [t.text for t in first]
    return is_mm(first) or call.text(0) in mms or (call.name.startswith("mm_") and texts[-1:] in (["vmf"], ["vma"]))


def _defined(code: Code) -> frozenset[str]:
    """Names that the file itself defines or declares as functions or macros."""
    found = {function.name for function in code.functions if function.opened and function.name}
    tokens = code.tokens
    for word in code.vocabulary:
        if word.startswith("mm") and any(n and _declares(tokens[n - 1]) for n in code.words(word)):
            found.add(word)
    return frozenset(found)


def _declares(before: Token) -> bool:
    """`int f(`, `struct x *f(`, `#define f(`; `= *f(` is none that such names have."""
    return (before.kind is Kind.WORD and before.text not in ("return", "else", "do", "case", "goto")) or (
        before.text == "*"
    )
