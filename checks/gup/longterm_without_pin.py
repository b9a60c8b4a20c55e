# SPDX-License-Identifier: GPL-2.0-or-later
"""FOLL_LONGTERM is passed to get_user_pages*(): only pin_user_pages*() may hold a page for long."""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.checks.gup._calls import flag_set, gup_calls

from reviewbot.c.code import Code
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
    for gup in gup_calls(code):
        name = gup.call.name
        flag = flag_set(gup, "FOLL_LONGTERM") if name.startswith("get_") else None
        if flag is None or not code.changed(flag, *gup.call.tokens):
            continue
        instead = f"pin_{name.removeprefix('get_')}()" if name.startswith("get_user_pages") else "pin_user_pages*()"
        rejects = "rejects" if code.version is None or code.version >= (6, 3) else "should not get"
        related = () if flag.line == gup.call.tokens[0].line else (([flag], "set here"),)
        yield Report(gup.call.tokens, f"{name}() {rejects} FOLL_LONGTERM: that needs {instead}", related)
