# SPDX-License-Identifier: GPL-2.0-or-later
"""What human reviewers said of the seed series, and the rule's page that shows the same remark being made.

Belongs here: which page must have which remark. The blocks themselves are on the pages, and test_pages.py runs them:
behind the words "remark N" stand one that fires and one that is silent.
"""

from __future__ import annotations

import re

import pytest
from pages import blocks
from series_pages import series_blocks

from reviewbot import registry

# remark -> rules that make it
REMARKS = {
    1: ("LD02",),  # the assertion hard-codes the lock's name
    2: ("LD02",),  # delete might_lock_read() from the driver
    3: ("LD03",),  # "maybe might lock"
    4: ("FL01",),  # FOLL_FAST_ONLY is internal to gup.c
    5: ("HY15",),  # another patch to the same file is in flight
    6: ("PN05", "PN01"),  # pages for DMA are to be pinned, and unpinned
    7: ("FL02",),  # a comment that this is an internal flag
    8: ("HY05",),  # conflicts with the commit that moved the FOLL_* definitions
    9: ("FL02",),  # FOLL_UNLOCK sounds like an instruction
    10: ("FL02", "FL03"),  # internal flags belong in mm/internal.h, in the highest bits
    11: ("FL02",),  # is_valid_gup_args() must reject it
    12: ("DR05",),  # at the external interface *locked must be 1
    13: ("FL12",),  # no vmas where the lock may be dropped
    14: ("FL13",),  # get_user_pages_unlocked() would do
    15: ("FL10", "FL13"),  # which call for which lock state
    16: ("ML01", "ML02"),  # direct rwsem calls on mmap_sem
    17: ("LD01",),  # lockdep_assert_held() becomes mmap_assert_locked()
    18: ("ML03",),  # comments still say mmap_sem
    20: ("HY17",),  # the file needs a new include
    19: ("HY16",),  # the definition is still there, unused
    21: ("HY10",),  # new code that uses the old name before the rename lands
    22: ("ML07",),  # non_owner and nested pairs
    23: ("HY01", "HY03"),  # what is it based on?
    24: ("DR10",),  # no new FAULT_FLAG needed
    25: ("HY07", "DR13"),  # what the last revision was told about this bit
    26: ("PV02",),  # no mmap_read_unlock() under a vm_fault
    27: ("DR06", "VM02"),  # the VMA is gone where the lock was dropped
}
# how many blocks behind the words belong to the remark
NEAR = 6


@pytest.mark.parametrize(("remark", "rule"), [(n, rule) for n, rules in REMARKS.items() for rule in rules])
def test_the_remark_is_made_and_is_not_made_where_it_would_be_wrong(remark: int, rule: str) -> None:
    text = registry.page(registry.find(rule))
    at = re.search(rf"\bremarks? (?:\d+,? (?:and )?)*{remark}\b", text, re.I)
    assert at, f"no 'remark {remark}' on the page of {rule}"
    behind = [block.marked for block in blocks(rule, text[at.end() :])[:NEAR]]
    behind += [block.marked for block in series_blocks(rule, text[at.end() :])[:NEAR]]
    assert any(behind)
    assert not all(behind)
