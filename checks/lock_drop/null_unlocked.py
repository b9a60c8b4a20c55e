# SPDX-License-Identifier: GPL-2.0-or-later
"""fixup_user_fault() may retry, and is given no (or no initialised) place to say that it dropped the lock."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from reviewbot.c.code import Code
from reviewbot.c.skeleton import Function
from reviewbot.kernel import RETRY_FLAGS, flag_tokens, has_word, variable_tokens
from reviewbot.model import Severity
from reviewbot.rule import Report, code_rule


@code_rule(Severity.ERROR, id="DR04", words=("fixup_user_fault",))
def check(code: Code) -> Iterator[Report]:
    """The last argument, against the flags as far as they are seen; plain FAULT_FLAG_WRITE with NULL is right."""
    for call in code.calls("fixup_user_fault"):
        if len(call.arguments) < 4:
            continue
        function = code.function_of(call.tokens[0])
        last = call.text(-1)
        flags = flag_tokens(function, call.arguments[-2])
        if last in ("NULL", "0") and has_word(flags, *RETRY_FLAGS):
            flag = next(t for t in flags if t.text in RETRY_FLAGS)
            yield Report(
                call.tokens,
                f"fixup_user_fault() writes *unlocked when it retries, which {flag.text} lets it: NULL is dereferenced",
                () if flag in call.tokens else (([flag], "may retry by this flag"),),
            )
        elif function and last.startswith("&") and _uninitialised(function, last[1:]):
            yield Report(
                call.tokens, f"fixup_user_fault() only ever sets '{last[1:]}' to true: it must be false before"
            )


def _uninitialised(function: Function, name: str) -> bool:
    """`bool x;` is seen, somebody reads it, and nothing gives it a value."""
    declared = read = False
    for statement in function.walk():
        texts = [t.text for t in statement.tokens]
        if texts[:1] == ["bool"] and name in texts:
            declared = texts[texts.index(name) + 1 : texts.index(name) + 2] != ["="]
        elif any(text == name and (not n or texts[n - 1] != "&") for n, text in enumerate(texts)):
            read = True
        elif any(pair == ("&", name) for pair in pairwise(texts)) and "fixup_user_fault" not in texts:
            return False  # somebody else was asked to give it its value
    return declared and read and not variable_tokens(function, name)
