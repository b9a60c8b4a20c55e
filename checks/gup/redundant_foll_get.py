# SPDX-License-Identifier: GPL-2.0-or-later
"""FOLL_GET is passed to get_user_pages*(), which sets it itself."""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.checks.gup._calls import flag_set, gup_calls, line_without

from reviewbot.c.code import Code
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, Scope, code_rule


@code_rule(
    Severity.NOTE,
    id="FL04",
    words=("FOLL_GET",),
    scope=Scope(exclude=(*Scope().exclude, "mm/gup.c")),
    style=True,
    confidence=Confidence.HIGH,
    fix=True,
)
def check(code: Code) -> Iterator[Report]:
    """The flag in the argument, or in the variable that is the argument; pin_user_pages*() rejects it (FL12)."""
    for gup in gup_calls(code):
        flag = flag_set(gup, "FOLL_GET") if gup.call.name.startswith("get_") else None
        if flag is None:
            continue
        related = () if flag.line == gup.call.tokens[0].line else ((gup.call.tokens[:1], "passed here"),)
        yield Report(
            [flag],
            f"{gup.call.name}() sets FOLL_GET itself",
            related,
            suggestion=line_without(code, gup.argument("flags"), flag),
        )
