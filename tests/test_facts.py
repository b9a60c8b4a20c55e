# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules that know more where a tree is given: which functions and FOLL_ flags there are is the headers' to say.

A page's block cannot state that; what the headers say is read in test_tree.py.
"""

from __future__ import annotations

import pytest
from test_engine import file, hunk, posted

from reviewbot import registry
from reviewbot.engine import review
from reviewbot.model import Applied, Facts, LineKind, Patch, Whole

NAMES = frozenset(("mmap_read_lock", "mmap_read_unlock", "mmap_read_lock_lumen", "get_user_pages"))
FACTS = Facts(NAMES, {"FOLL_WRITE": 0, "FOLL_LUMEN": 13, "FOLL_INSIDE": 17}, frozenset(("FOLL_INSIDE",)))


class Headers:
    """A tree with these facts; each file of a patch is whole, and its hunk begins at line 10 of it."""

    def apply(self, patch: Patch) -> Applied:
        found = {}
        for n, diff in enumerate(patch.files):
            lines = diff.hunks[0].lines
            before = "".join(f"{line.text}\n" for line in lines if line.kind is not LineKind.ADDED)
            after = "".join(f"{line.text}\n" for line in lines if line.kind is not LineKind.REMOVED)
            found[n] = Whole(diff, "\n" * 9 + before, "\n" * 9 + after)
        return Applied(found, FACTS)


def messages(rule: str, lines: str, path: str = "drivers/x.c", *, tree: bool = True) -> list[str]:
    """What a rule says of a hunk of added lines."""
    series = posted(file(hunk(f" \tint a;\n{lines}"), path=path))
    found = review(series, [registry.find(rule)], files=Headers() if tree else None).findings
    return [finding.message for finding in found if not finding.preexisting]


@pytest.mark.parametrize(
    ("name", "with_tree", "without"),
    [
        ("mmap_read_lock_lumen", False, False),  # the tree has it, or may
        ("mmap_read_lock_gone", True, False),  # the tree does not: without it a newer kernel might
        ("mmap_read_lock", False, False),
    ],
)
def test_the_tree_says_which_members_the_locking_api_has(name: str, with_tree: bool, without: bool) -> None:
    assert bool(messages("ML05", f"+\t{name}(mm);")) is with_tree
    assert bool(messages("ML05", f"+\t{name}(mm);", tree=False)) is without


def test_the_tree_says_which_flags_are_internal() -> None:
    call = "+\tget_user_pages(a, 1, {}, p);"
    assert messages("FL01", call.format("FOLL_INSIDE"))
    assert not messages("FL01", call.format("FOLL_INSIDE"), tree=False)
    assert not messages("FL01", call.format("FOLL_LUMEN"))


def test_the_tree_says_which_bits_are_taken() -> None:
    new = "+\tFOLL_OTHER = 1 << 13, /* x */"
    assert any("FOLL_LUMEN" in message for message in messages("FL03", new, "include/linux/mm_types.h"))
    assert not any("FOLL_LUMEN" in m for m in messages("FL03", new, "include/linux/mm_types.h", tree=False))
