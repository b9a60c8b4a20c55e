# SPDX-License-Identifier: GPL-2.0-or-later
"""A series on the branches that are configured, for the rules that say where it does not apply.

Belongs here: which series are held to it, and where a conflict is told. Whether one is there is `dossier.Standing`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from reviewbot.base import find_base
from reviewbot.dossier import Conflict, Dossier, Standing, header_span, line_span
from reviewbot.model import BaseHow, LineKind, Patch, Span

_MACRO = re.compile(r"[ \t]*#[ \t]*define[ \t]+(\w+)(\()?")
_TYPE = re.compile(r"(?:typedef[ \t]+)?(?:enum|struct|union)[ \t]+(\w+)[ \t]*\{")
_CONSTANT = re.compile(r"[ \t]+([A-Z][A-Z0-9_]+)[ \t]*(?:=[^=;]*)?,")
# begins in the first column, with a type before the name: static inline int range_walk(
_FUNCTION = re.compile(r"[A-Za-z_][\w \t*]{0,200}?[ \t*](\w+)(\()")

# of what stands in the brackets of a subject
_SAY_NO_TREE = frozenset(("", "resend", "resent", "repost", "rebase", "rebased", "fix", "bugfix", "trivial"))


def is_held(dossier: Dossier) -> bool:
    """The series is to go into one of the branches: it is no draft, and its subject names no other kernel or tree."""
    series = dossier.series
    first = series.cover or series.patches[0]
    subjects = [first.subject, *(patch.subject for patch in series.patches)]
    words = {prefix.lower().strip("-+/") for subject in subjects for prefix in subject.prefixes} - _SAY_NO_TREE
    if "rfc" in words or find_base(None, subjects, ()).how is BaseHow.PREFIX:
        return False
    return all(any(word in standing.branch.lower() for standing in dossier.branches) for word in words)


def place(dossier: Dossier, conflict: Conflict) -> tuple[Patch, Span]:
    """Where a conflict is told: on the hunk's line that is in the way, else its first; on the subject without one."""
    patch = next(patch for patch in dossier.series.patches if patch.index == conflict.patch)
    diff = next((diff for diff in patch.files if diff.path == conflict.path), None)
    if conflict.hunk and diff and conflict.hunk <= len(diff.hunks):
        lines = diff.hunks[conflict.hunk - 1].lines
        old = [line for line in lines if line.kind is not LineKind.ADDED]
        moved = [line for line in old if line.text in conflict.moved]
        chosen = next(iter(moved or [line for line in lines if line.text.strip()] or lines), None)
        if chosen:
            return patch, line_span(diff, chosen)
    return patch, header_span(patch)


def defined(lines: Sequence[str]) -> Iterator[str]:
    """The names of what lines define or declare: macros, types, constants, functions, which have () behind them."""
    for text in lines:
        line = text[:500]
        for pattern in (_MACRO, _TYPE, _CONSTANT, _FUNCTION):
            match = pattern.match(line)
            if match and not (pattern is _FUNCTION and match[1].isupper()):
                yield match[1] + ("()" if match.re.groups > 1 and match[2] else "")
                break


def moved_definitions(conflict: Conflict) -> tuple[str, ...]:
    """The definitions that are in the way because a commit has moved them to another file."""
    if not conflict.cause or not conflict.moved_to:
        return ()
    return tuple(dict.fromkeys(defined(conflict.moved)))


def names(found: Sequence[str], most: int = 3) -> str:
    """'a', 'a and b', 'a, b, c and 4 more'."""
    if len(found) > most:
        return f"{', '.join(found[:most])} and {len(found) - most} more"
    return " and ".join(filter(None, (", ".join(found[:-1]), found[-1])))


def first_conflict(standings: Sequence[Standing]) -> tuple[Standing, Conflict]:
    """What is told of several: definitions that were moved, else what has a cause, else the first."""
    pairs = [(standing, conflict) for standing in standings for conflict in standing.conflicts]
    return min(pairs, key=lambda pair: (not moved_definitions(pair[1]), pair[1].cause is None))
