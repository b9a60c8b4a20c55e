# SPDX-License-Identifier: GPL-2.0-or-later
"""A FOLL_ flag that is internal to mm/ is used outside of it, or handed to the external GUP interface."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from reviewbot.checks.gup._calls import flags_set, gup_calls

from reviewbot.c.code import Code
from reviewbot.c.tokens import Token
from reviewbot.kernel import INTERNAL_FOLL
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, Scope, code_rule

SCOPE = Scope(
    exclude=(
        *Scope().exclude,
        "include/linux/mm_types.h",
        "include/linux/mm.h",
        "include/trace/",
        "mm/gup.c",
        "mm/gup_test.c",
        "mm/gup_benchmark.c",
        "mm/internal.h",
    )
)
# internal from their first day on, by their comment
ALWAYS = frozenset(("FOLL_PIN", "FOLL_FAST_ONLY"))
CURES = {
    "FOLL_PIN": "pin_user_pages*() sets it",
    "FOLL_REMOTE": "*_user_pages_remote() sets it",
    "FOLL_FAST_ONLY": "use *_user_pages_fast_only()",
}


@code_rule(
    Severity.ERROR,
    id="FL01",
    build=True,
    words=("FOLL_",),
    since="v5.6",
    scope=SCOPE,
    style=True,
    confidence=Confidence.HIGH,
)
def check(code: Code) -> Iterator[Report]:
    """Whole words in code; within mm/ only what get_user_pages*() and pin_user_pages*() are given."""
    internal = internal_flags(code)
    inside: set[Token] | None = None
    if code.path.startswith("mm/"):
        inside = {token for gup in gup_calls(code) for token in flags_set(gup, internal)}
    for token in (code.tokens[n] for n in code.words(*internal)):
        if not code.changed(token) or (inside is not None and token not in inside):
            continue
        hint = CURES.get(token.text, "the external interface rejects it with -EINVAL")
        yield Report([token], f"{token.text} is internal to mm (mm/internal.h): {hint}")


def internal_flags(code: Code) -> Collection[str]:
    """The flags that mm/internal.h of the tree has, besides those that were internal before it had any."""
    known = {flag for flag, since in INTERNAL_FOLL.items() if code.version is None or code.version >= since}
    if code.facts is None:
        return known
    return known & ALWAYS | code.facts.internal if code.facts.internal else known
