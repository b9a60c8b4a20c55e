# SPDX-License-Identifier: GPL-2.0-or-later
"""FOLL_LONGTERM is passed to get_user_pages*(): only pin_user_pages*() may hold a page for long."""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.checks.gup._calls import flag_set, gup_calls, set_in

from reviewbot.c.code import Code
from reviewbot.c.pattern import MAX_REACH
from reviewbot.c.tokens import Token
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, Scope, code_rule


@code_rule(
    Severity.ERROR,
    id="FL05",
    # pin_user_pages*() is new in 5.6: what was posted against 5.5 is for 5.6
    since="v5.5",
    words=("FOLL_LONGTERM",),
    scope=Scope(exclude=(*Scope().exclude, "mm/gup.c")),
    confidence=Confidence.HIGH,
)
def check(code: Code) -> Iterator[Report]:
    """The flag in the argument, or in a variable on the way to the call."""
    macros = _macros(code)
    for gup in gup_calls(code):
        name = gup.call.name
        flag = flag_set(gup, "FOLL_LONGTERM", *macros) if name.startswith("get_") else None
        flag = macros.get(flag.text, flag) if flag else None
        if flag is None or not code.changed(flag, *gup.call.tokens):
            continue
        instead = f"pin_{name.removeprefix('get_')}()" if name.startswith("get_user_pages") else "pin_user_pages*()"
        rejects = "rejects" if code.version is None or code.version >= (6, 3) else "should not get"
        related = () if flag.line == gup.call.tokens[0].line else (([flag], "set here"),)
        yield Report(gup.call.tokens, f"{name}() {rejects} FOLL_LONGTERM: that needs {instead}", related)


def _macros(code: Code) -> dict[str, Token]:
    """Macros without parameters that set the flag, by name: where they do."""
    found: dict[str, Token] = {}
    for n in code.words("define"):
        name = code.tokens[n + 1 : n + 2]
        if not code.tokens[n].directive or not name or not name[0].text.isupper():
            continue
        end = n + 2
        while end < min(len(code.tokens), n + MAX_REACH) and code.tokens[end].directive:
            if code.tokens[end].text == "#":
                break
            end += 1
        value = code.tokens[n + 2 : end]
        # what has parameters begins with a ( next to its name
        if value and value[0].text == "(" and value[0].column == name[0].column + len(name[0].text):
            continue
        if flag := next((token for token in set_in(value) if token.text == "FOLL_LONGTERM"), None):
            found[name[0].text] = flag
    return found
