# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages would notice: a rule that is broken on purpose fails the blocks of its page.

Belongs here: what shows that test_pages.py can fail. Each mutant changes one thing about a rule or its page, which
must contradict it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from pages import Block, View, blocks, differences

from reviewbot import registry
from reviewbot.c.code import Code
from reviewbot.rule import CodeRule, Report

RULES = registry.load()
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)

def page(rule: CodeRule) -> tuple[Block, ...]:
    return blocks(rule.name, registry.page(rule))


def fails_somewhere(rule: CodeRule, found: tuple[Block, ...]) -> bool:
    for block in found:
        for view in View:
            try:
                if differences(rule, block, view):
                    return True
            except AssertionError:  # the mutant raised
                return True
    return False


def silent(_: Code) -> Iterator[Report]:
    yield from ()


def shouting(code: Code) -> Iterator[Report]:
    """One report for each added line that holds a token."""
    seen: set[int] = set()
    for token in code.tokens:
        if code.changed(token) and token.line not in seen:
            seen.add(token.line)
            yield Report([token], "something is wrong here")


@each_rule
def test_a_rule_that_finds_nothing_fails_every_marked_block(rule: CodeRule) -> None:
    broken = rule._replace(check=silent)
    for block in page(rule):
        failed = any(differences(broken, block, view) for view in View)
        assert failed == block.marked, str(block)


@each_rule
def test_a_rule_that_finds_everything_fails_its_page(rule: CodeRule) -> None:
    assert fails_somewhere(rule._replace(check=shouting), tuple(block for block in page(rule) if not block.marked))


@each_rule
def test_a_rule_without_base_gate_fails_its_page(rule: CodeRule) -> None:
    if rule.since is None:
        pytest.skip("holds for every kernel")
    major, minor = rule.since
    # gup/internal-flag-outside-mm knows the first kernel of each flag besides
    assert fails_somewhere(rule._replace(since=None), page(rule)) or rule.name == "gup/internal-flag-outside-mm"
    assert fails_somewhere(rule._replace(since=(major + 5, minor)), page(rule))


@each_rule
def test_a_rule_that_reports_moved_lines_fails_its_page(rule: CodeRule) -> None:
    if not rule.style:
        pytest.skip("a moved line is reported")
    assert fails_somewhere(rule._replace(style=False), page(rule))


@each_rule
def test_a_rule_of_another_severity_fails_its_page(rule: CodeRule) -> None:
    others = [severity for severity in type(rule.severity) if severity is not rule.severity]
    assert all(fails_somewhere(rule._replace(severity=severity), page(rule)) for severity in others)


@each_rule
def test_a_rule_that_looks_into_every_file_fails_its_page(rule: CodeRule) -> None:
    scope = rule.scope._replace(include=(), exclude=())
    if rule.scope.include or rule.name in ANYWHERE:
        pytest.skip("the code decides, not the file")
    assert fails_somewhere(rule._replace(scope=scope), page(rule))


# rules about code that documentation, tools and samples do not hold
ANYWHERE = frozenset(
    "lock-drop/completed-unhandled lock-drop/handler-return lock-drop/locked-protocol lock-drop/null-unlocked "
    "lock-drop/retry-unhandled lock-drop/stale-vma vma-lock/unconditional-end-read".split()
)


@each_rule
def test_every_word_that_a_rule_looks_for_is_needed_by_its_page(rule: CodeRule) -> None:
    """Misspelt in the page, each word of the rule's pre-filter leaves a line that is no longer found."""
    text = registry.page(rule)
    for word in rule.words:
        end = r"(?![A-Za-z0-9])" if word[-1].isalnum() else ""
        misspelt = re.sub(rf"(?<![A-Za-z0-9_]){re.escape(word)}{end}", f"x{word[:-1][::-1]}{word[-1]}", text)
        noticed = misspelt != text and fails_somewhere(rule, blocks(rule.name, misspelt))
        assert noticed != ((rule.name, word) in REDUNDANT), word


# words of a pre-filter that never stand without another one of them
REDUNDANT = frozenset({("lock-drop/stale-vma", "mm_walk")})
