# SPDX-License-Identifier: GPL-2.0-or-later
"""mmap_sem is reached by its name: it was renamed to mmap_lock in v5.8 and has an API."""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.c.code import Code
from reviewbot.c.tokens import Kind
from reviewbot.kernel import REPLACEMENTS, replacement
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, code_rule


@code_rule(Severity.ERROR, id="ML01", since="v5.8", words=("mmap_sem",), build=True, confidence=Confidence.HIGH)
def check(code: Code) -> Iterator[Report]:
    """Every `->mmap_sem` and `.mmap_sem` in code."""
    tokens = code.tokens
    cures = {call.tokens[-2]: replacement(code, call) for call in code.calls(*REPLACEMENTS) if len(call.arguments) == 1}
    for n in code.words("mmap_sem"):
        if n == 0 or tokens[n - 1].text not in ("->", ".") or not code.changed(tokens[n]):
            continue
        start = n - 1  # the expression in front: a real one has few members
        while start > max(0, n - 20) and (tokens[start - 1].text in ("->", ".") or tokens[start - 1].kind is Kind.WORD):
            start -= 1
        message = "mmap_sem is mmap_lock since v5.8, and only to be reached through the mmap locking API"
        yield Report(tokens[start : n + 1], message, suggestion=cures.get(tokens[n]))
