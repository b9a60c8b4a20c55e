# SPDX-License-Identifier: GPL-2.0-or-later
"""Every rule has a page, and does what its page says.

Belongs here: what a page must hold, and that its blocks come true in both views. The notation is pages.py's.
"""

from __future__ import annotations

import re

import pytest
from pages import Block, View, blocks, differences

from reviewbot import registry
from reviewbot.rule import CodeRule

HEADINGS = ("what", "why it matters", "example", "use instead", "cases", "known limits", "references")
RULES = registry.load()
PAGED = tuple(rule for rule in RULES if registry.has_page(rule))  # test_layout.py demands that all are
BLOCKS = tuple((rule, block) for rule in PAGED for block in blocks(rule.name, registry.page(rule)))

each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


@each_rule
def test_every_rule_has_a_page_with_the_headings_in_order(rule: CodeRule) -> None:
    text = re.sub(r"```.*?```", "", registry.page(rule), flags=re.S)
    assert re.findall(r"^# (.+)$", text, re.M) == [rule.name]
    assert tuple(re.findall(r"^## (.+)$", text, re.M)) == HEADINGS
    sections = re.split(r"^## .+$", registry.page(rule), flags=re.M)[1:]
    assert all(section.strip() for section in sections)


@pytest.mark.parametrize("view", View)
@pytest.mark.parametrize(("rule", "block"), BLOCKS, ids=[str(block) for _, block in BLOCKS])
def test_a_block_of_a_page_comes_true(rule: CodeRule, block: Block, view: View) -> None:
    assert differences(rule, block, view) == []


@each_rule
def test_every_page_has_a_block_that_fires_and_one_that_is_silent(rule: CodeRule) -> None:
    found = blocks(rule.name, registry.page(rule))
    assert any(block.marked for block in found)
    assert any(not block.marked for block in found)


@each_rule
def test_every_page_shows_what_its_rule_is_named_for_in_the_example(rule: CodeRule) -> None:
    example = registry.page(rule).split("\n## example\n")[1].split("\n## ")[0]
    assert any(block.marked for block in blocks(rule.name, example))


@each_rule
def test_the_summary_of_a_rule_is_one_line_without_full_stop(rule: CodeRule) -> None:
    assert rule.summary
    assert "\n" not in rule.summary
    assert not rule.summary.endswith(".")
    assert len(rule.summary) <= 120
