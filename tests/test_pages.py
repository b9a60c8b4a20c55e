# SPDX-License-Identifier: GPL-2.0-or-later
"""Every rule has a page, and does what its page says.

Belongs here: what a page must hold, and that its blocks come true in both views. The notation is pages.py's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from pages import Block, View, blocks, differences
from series_pages import SeriesBlock, series_blocks, series_differences

from reviewbot import registry
from reviewbot.rule import Over, Rule

HEADINGS = ("what", "why it matters", "example", "use instead", "cases", "known limits", "references")
RULES = registry.load()
PAGED = tuple(rule for rule in RULES if registry.has_page(rule))  # test_layout.py demands that all are
BLOCKS = tuple((rule, block) for rule in PAGED for block in blocks(rule.name, registry.page(rule)))
SERIES_BLOCKS = tuple((rule, block) for rule in PAGED for block in series_blocks(rule.name, registry.page(rule)))

each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


@each_rule
def test_every_rule_has_a_page_with_the_headings_in_order(rule: Rule) -> None:
    text = re.sub(r"```.*?```", "", registry.page(rule), flags=re.S)
    assert re.findall(r"^# (.+)$", text, re.M) == [rule.name]
    assert tuple(re.findall(r"^## (.+)$", text, re.M)) == HEADINGS
    sections = re.split(r"^## .+$", registry.page(rule), flags=re.M)[1:]
    assert all(section.strip() for section in sections)


@pytest.mark.parametrize("view", View)
@pytest.mark.parametrize(("rule", "block"), BLOCKS, ids=[str(block) for _, block in BLOCKS])
def test_a_block_of_a_page_comes_true(rule: Rule, block: Block, view: View) -> None:
    assert differences(rule, block, view) == []


@pytest.mark.parametrize(("rule", "block"), SERIES_BLOCKS, ids=[str(block) for _, block in SERIES_BLOCKS])
def test_a_series_of_a_page_comes_true(rule: Rule, block: SeriesBlock) -> None:
    assert series_differences(rule, block) == []


def every_block(rule: Rule, text: str) -> Sequence[Block | SeriesBlock]:
    """The blocks that are the rule's test: diffs of a rule over code, whole series of a rule over a series."""
    return blocks(rule.name, text) if rule.over is Over.CODE else series_blocks(rule.name, text)


@each_rule
def test_every_page_has_a_block_that_fires_and_one_that_is_silent(rule: Rule) -> None:
    found = every_block(rule, registry.page(rule))
    assert any(block.marked for block in found)
    assert any(not block.marked for block in found)


@each_rule
def test_every_page_shows_what_its_rule_is_named_for_in_the_example(rule: Rule) -> None:
    example = registry.page(rule).split("\n## example\n")[1].split("\n## ")[0]
    assert any(block.marked for block in every_block(rule, example))


@each_rule
def test_the_summary_of_a_rule_is_one_line_without_full_stop(rule: Rule) -> None:
    assert rule.summary
    assert "\n" not in rule.summary
    assert not rule.summary.endswith(".")
    assert len(rule.summary) <= 120
