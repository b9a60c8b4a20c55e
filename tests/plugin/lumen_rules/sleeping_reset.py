# SPDX-License-Identifier: GPL-2.0-or-later
"""A function that sleeps is called where one that does not is there."""

from __future__ import annotations

from collections.abc import Iterator

from lumen_rules._names import SLEEPING
from reviewbot.c.code import Code
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, code_rule


@code_rule(Severity.WARNING, id="LU01", words=tuple(SLEEPING), confidence=Confidence.HIGH)
def check(code: Code) -> Iterator[Report]:
    """Every call."""
    for call in code.calls(*SLEEPING):
        yield Report(call.tokens, f"{call.name}() sleeps, {SLEEPING[call.name]}() does not")
