# SPDX-License-Identifier: GPL-2.0-or-later
"""A FOLL_ flag that is internal to mm/ is used outside of it, or handed to the external GUP interface."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reviewbot.c.code import Code
from reviewbot.c.tokens import Token
from reviewbot.kernel import INTERNAL_FOLL, flag_tokens
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, Scope, code_rule

EXTERNAL = re.compile(r"(?:get|pin)_user_pages(?:_fast|_unlocked|_remote)?$")
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
CURES = {
    "FOLL_PIN": "pin_user_pages*() sets it",
    "FOLL_REMOTE": "*_user_pages_remote() sets it",
    "FOLL_FAST_ONLY": "use *_user_pages_fast_only()",
}


@code_rule(
    Severity.ERROR,
    id="FL01",
    words=tuple(INTERNAL_FOLL),
    since="v5.6",
    scope=SCOPE,
    style=True,
    confidence=Confidence.HIGH,
)
def check(code: Code) -> Iterator[Report]:
    """Whole words in code; within mm/ only arguments of the exported get_user_pages*() and pin_user_pages*()."""
    inside = set[Token]()
    if code.path.startswith("mm/"):
        names = {t.text for t in code.tokens if EXTERNAL.match(t.text)}
        for call in code.calls(*names):
            function = code.function_of(call.tokens[0])
            inside.update(token for argument in call.arguments for token in flag_tokens(function, argument))
    for token in code.tokens:
        first = INTERNAL_FOLL.get(token.text)
        if first is None or (code.version and code.version < first) or not code.changed(token):
            continue
        if code.path.startswith("mm/") and token not in inside:
            continue
        hint = CURES.get(token.text, "the external interface rejects it with -EINVAL")
        yield Report([token], f"{token.text} is internal to mm (mm/internal.h): {hint}")
