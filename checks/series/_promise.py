# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a series says that something is still to come, for rules that would ask where it is.

Belongs here: the words people say it with.
"""

from __future__ import annotations

import re

from reviewbot.model import Series

_PROMISE = re.compile(
    r"\b(?:follow(?:s|ing|ed|-?ups?)?|later|subsequent(?:ly)?|upcoming|forthcoming|future|eventually"
    r"|next (?:patch|commit|series|release|cycle)"
    r"|will (?:be |need |want |then |also )?"
    r"(?:us(?:e|ed|ing)|call(?:ed)?|consum|remov|add|need|convert|go away)"
    r"|(?:to be|be|is|are) (?:used|called|consumed|needed|required|removed) (?:by|in|for|from|when|once)"
    r"|(?:another|separate|other|different) (?:series|patch|patchset|tree)"
    r"|prepar(?:e|es|ing|ation|atory)|ground-?work|out[- ]of[- ]tree"
    r"|no (?:in-tree )?(?:users?|callers?)|going to|plans? to|intend(?:s|ed)?)\b",
    re.I,
)
# Characters of a message that are read.
_MOST = 40_000


def promised(series: Series, name: str) -> bool:
    """The cover letter or a message speaks of `name` and, in the same paragraph, of what is to come of it."""
    texts = [patch.message for patch in series.patches]
    if series.cover:
        texts.append(series.cover.text)
    return any(
        name in paragraph and _PROMISE.search(paragraph) for text in texts for paragraph in text[:_MOST].split("\n\n")
    )
