# SPDX-License-Identifier: GPL-2.0-or-later
"""Which patch of one revision of a series became which of another: by patch-id, by title, by what they change.

Belongs here: comparing patches of two revisions. Does not belong here: finding the revisions (`history`), showing how
a patch has changed (`commands.diff`). Pure, and linear in the number of lines but for the pairs of patches without an
equal.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from reviewbot.mail import fold_title
from reviewbot.model import LineKind, Patch

# Of what two patches change so much must be the same for one to be the other, where neither title nor diff is: git
# range-diff's creation factor of 60 lets as much differ.
_ALIKE = 0.4
# So much of a patch must come out of another one for it to be a part of that.
_PART = 0.6
_FEWEST = 3  # lines that a part must have: less is in every patch
# Lines shorter than that stand everywhere: braces, else, break.
_SHORT = 8
# Patches without an equal that are compared with each other, on each side: the longest series have some hundred.
_MOST = 300


class How(StrEnum):
    """How a patch of a revision stands to one of the other. The value is what is printed."""

    SAME = "same"  # the same patch-id
    CHANGED = "changed"
    NEW = "new"
    DROPPED = "dropped"
    SPLIT = "split"  # the new one is a part of an old one, which has become another patch, too
    SQUASHED = "squashed"  # the old one has become a part of a new one


class Pair(NamedTuple):
    """A patch before and after; one of them is None where it is new or dropped."""

    old: Patch | None
    new: Patch | None
    how: How


class _Side:
    """The patches of a revision, and what they are compared by."""

    def __init__(self, patches: Sequence[Patch]) -> None:
        self.patches = patches
        self.ids = [patch_id(patch) for patch in patches]
        self.titles = [fold_title(patch.subject.title) for patch in patches]
        self.changes = [changes(patch) for patch in patches]

    def keys(self, n: int) -> tuple[object, ...]:
        """What makes a patch equal to one of the other side, the surest first; what is empty equals nothing."""
        title = self.titles[n]
        return self.ids[n], (title, paths_of(self.patches[n])) if title else (), title

    def source_of(self, part: Counter[str]) -> int | None:
        """The place of the patch that has most of these changes; None where none has enough of them."""
        total = part.total()
        if total < _FEWEST or not self.patches:
            return None
        most, at = max(((theirs & part).total(), -n) for n, theirs in enumerate(self.changes))
        return -at if most >= _PART * total else None


def match_patches(old: Sequence[Patch], new: Sequence[Patch]) -> tuple[Pair, ...]:
    """The patches of two revisions in pairs, in the order of the new one, those that were dropped at their old place.

    Every patch is in at least one pair; one that was split, or that others were squashed into, is in several.
    """
    before, after = _Side(old), _Side(new)
    partner: dict[int, int] = {}  # place in new -> place in old
    taken: set[int] = set()
    for key in range(3):
        places: dict[object, list[int]] = defaultdict(list)
        for o in range(len(old)):
            if o not in taken and (value := before.keys(o)[key]):
                places[value].append(o)
        for n in range(len(new)):
            if n not in partner and (found := places.get(after.keys(n)[key])):
                partner[n] = found.pop(0)
                taken.add(partner[n])
    rest_old = [o for o in range(len(old)) if o not in taken][:_MOST]
    rest_new = [n for n in range(len(new)) if n not in partner][:_MOST]
    scores = sorted(
        (-likeness(before.changes[o], after.changes[n]), abs(n - o), n, o) for n in rest_new for o in rest_old
    )
    for score, _, n, o in scores:
        if -score >= _ALIKE and n not in partner and o not in taken:
            partner[n] = o
            taken.add(o)
    return tuple(_ordered(before, after, partner, taken))


def _ordered(before: _Side, after: _Side, partner: Mapping[int, int], taken: Collection[int]) -> Iterator[Pair]:
    old, new = before.patches, after.patches
    into: dict[int, list[int]] = defaultdict(list)  # place in new -> those that were squashed into it
    dropped: list[int] = []
    for o in range(len(old)):
        if o not in taken:
            n = after.source_of(before.changes[o])
            (dropped if n is None else into[n]).append(o)
    for n, patch in enumerate(new):
        at = partner.get(n)
        while dropped and at is not None and dropped[0] < at:
            yield Pair(old[dropped.pop(0)], None, How.DROPPED)
        if at is not None:
            yield Pair(old[at], patch, How.SAME if before.ids[at] == after.ids[n] else How.CHANGED)
        elif (source := before.source_of(after.changes[n])) is not None:
            yield Pair(old[source], patch, How.SPLIT)
        elif n not in into:
            yield Pair(None, patch, How.NEW)
        yield from (Pair(old[o], patch, How.SQUASHED) for o in into.get(n, ()))
    yield from (Pair(old[o], None, How.DROPPED) for o in dropped)


def became(pairs: Sequence[Pair], old: Patch) -> tuple[Patch, ...]:
    """The patches of the newer revision that hold what a patch of the older one does; () where it was dropped."""
    return tuple(pair.new for pair in pairs if pair.new and pair.old and pair.old.index == old.index)


def patch_id(patch: Patch) -> int:
    """Equal for two patches where git patch-id gives the same: line numbers and white space do not count.

    0 for a patch without a diff, which equals no other. A number of this process only.
    """
    parts: list[str] = []
    for diff in patch.files:
        parts += [diff.old_path or "", diff.new_path or "", diff.change]
        parts += [f"{line.kind}{''.join(line.text.split())}" for hunk in diff.hunks for line in hunk.lines]
        if diff.binary:
            parts += [diff.old_id or "", diff.new_id or ""]
    return hash(tuple(parts)) or 1 if parts else 0


def changes(patch: Patch) -> Counter[str]:
    """The lines that a patch adds and removes, squeezed, with their marks; short ones are left out."""
    return Counter(
        f"{line.kind}{' '.join(line.text.split())}"
        for diff in patch.files
        for hunk in diff.hunks
        for line in hunk.lines
        if line.kind is not LineKind.CONTEXT and len(line.text.strip()) >= _SHORT
    )


def likeness(mine: Counter[str], theirs: Counter[str]) -> float:
    """How much of what two patches change (`changes`) is the same: 0 nothing, 1 all."""
    whole = mine.total() + theirs.total()
    return 2 * (mine & theirs).total() / whole if whole else 0.0


def paths_of(patch: Patch) -> tuple[str, ...]:
    """The files of a patch."""
    return tuple(diff.path for diff in patch.files)
