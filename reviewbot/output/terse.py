# SPDX-License-Identifier: GPL-2.0-or-later
"""`--format terse`: one line a finding, in gcc's form, so that editors jump to it.

Belongs here: that line. No summary: every line is a finding, and nothing found prints nothing. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from reviewbot.finding import Fault, Finding, Review
from reviewbot.output.text import Screen, also_at, clean, entries, fault_place, place, rule_failed, sentence


def render(reviews: Sequence[Review], screen: Screen) -> str:  # noqa: ARG001 - every format is called alike
    """`mm/gup.c:31:2: warning: text [lock-drop/stale-vma]` for every finding that is shown. Never coloured."""
    return "".join(_line(entry) + "\n" for review in reviews for entry in entries(review))


def _line(entry: Finding | Fault) -> str:
    if isinstance(entry, Fault):
        name = "rule-failed" if rule_failed(entry) else "unreadable-diff"
        return f"{fault_place(entry)}: error: {clean(entry.message)} [reviewbot/{name}]"
    also = f" (also at {also_at(entry.places)})" if entry.places else ""
    message = f"{entry.severity}: {sentence(entry)}{also} [{clean(entry.rule)}]"
    return f"{place(entry.span, entry.patch.mail)}: {message}"
