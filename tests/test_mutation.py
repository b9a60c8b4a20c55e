# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages would notice: a rule that is broken on purpose fails blocks of its page that it passes as it is.

Belongs here: what shows that test_pages.py can fail. Each test breaks one thing of a rule, or misspells one of its
words in the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pytest
from pages import Block, View, blocks, differences
from series_pages import series_blocks, series_differences

from reviewbot import registry
from reviewbot.c.code import Code
from reviewbot.dossier import Dossier, header_span
from reviewbot.model import Severity
from reviewbot.rule import Over, Report, Rule, SeriesReport

RULES = [rule for rule in registry.load() if rule.over is Over.CODE]
SERIES_RULES = [rule for rule in registry.load() if rule.over is Over.SERIES]
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
each_series_rule = pytest.mark.parametrize("rule", SERIES_RULES, ids=lambda rule: rule.name)

# rules about code that documentation, tools and samples do not hold: no block of their pages lies there
ANYWHERE = frozenset(
    "lock-drop/completed-unhandled lock-drop/handler-return lock-drop/locked-protocol lock-drop/null-unlocked "
    "lock-drop/retry-unhandled lock-drop/stale-vma vma-lock/unconditional-end-read".split()
)
# gup/internal-flag-outside-mm knows the first kernel of each flag besides
OWN_GATE = frozenset(("gup/internal-flag-outside-mm",))


def page(rule: Rule) -> tuple[Block, ...]:
    return blocks(rule.name, registry.page(rule))


def passes(rule: Rule, block: Block, view: View) -> bool:
    """The block comes true; a rule that raises fails it."""
    try:
        return not differences(rule, block, view)
    except AssertionError:
        return False


def noticed(rule: Rule, mutant: Rule, mutants: Sequence[Block] = ()) -> bool:
    """A block of the page comes true with the rule and not with the mutant (over the mutated blocks, where given)."""
    found = page(rule)
    return any(
        passes(rule, block, view) and not passes(mutant, other, view)
        for block, other in zip(found, mutants or found, strict=True)
        for view in View
    )


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
def test_a_rule_that_finds_nothing_fails_every_marked_block_and_no_other(rule: Rule) -> None:
    broken = rule._replace(check=silent)
    for block in page(rule):
        failed = any(differences(broken, block, view) for view in View)
        assert failed == block.marked, str(block)


@each_rule
def test_a_rule_that_finds_everything_fails_its_page(rule: Rule) -> None:
    assert noticed(rule, rule._replace(check=shouting))


@pytest.mark.parametrize("rule", [r for r in RULES if r.since and r.name not in OWN_GATE], ids=lambda rule: rule.name)
def test_a_rule_without_its_base_gate_fails_its_page(rule: Rule) -> None:
    assert noticed(rule, rule._replace(since=None))


@each_rule
def test_a_rule_for_later_kernels_only_fails_its_page(rule: Rule) -> None:
    assert noticed(rule, rule._replace(since=(99, 0)))


@pytest.mark.parametrize("rule", [r for r in RULES if r.style], ids=lambda rule: rule.name)
def test_a_rule_that_reports_moved_lines_fails_its_page(rule: Rule) -> None:
    assert noticed(rule, rule._replace(style=False))


@each_rule
def test_a_rule_of_another_severity_fails_its_page(rule: Rule) -> None:
    assert all(noticed(rule, rule._replace(severity=other)) for other in Severity if other is not rule.severity)


@pytest.mark.parametrize(
    "rule", [r for r in RULES if not r.scope.include and r.name not in ANYWHERE], ids=lambda rule: rule.name
)
def test_a_rule_that_looks_into_excluded_files_fails_its_page(rule: Rule) -> None:
    assert noticed(rule, rule._replace(scope=rule.scope._replace(exclude=(), suffixes=("",))))


@pytest.mark.parametrize("rule", [r for r in RULES if r.scope.include], ids=lambda rule: rule.name)
def test_a_rule_that_looks_into_files_not_included_fails_its_page(rule: Rule) -> None:
    assert noticed(rule, rule._replace(scope=rule.scope._replace(include=())))


@each_rule
def test_every_word_that_a_rule_looks_for_is_needed_by_its_page(rule: Rule) -> None:
    """Misspelt in the page, each word of the rule's pre-filter leaves a line that is no longer found."""
    for word in rule.words:
        end = r"(?![A-Za-z0-9])" if word[-1].isalnum() else ""
        scrambled = "x" + word[-2::-1] + word[-1]
        text = re.sub(re.escape(word) + end, scrambled, registry.page(rule))
        assert noticed(rule, rule, blocks(rule.name, text)), word


# -- rules over a series --------------------------------------------------------------------------------------------


def told(rule: Rule, mutant: Rule) -> bool:
    """A block of the page comes true with the rule and not with the mutant."""
    found = series_blocks(rule.name, registry.page(rule))
    return any(not series_differences(rule, block) and series_differences(mutant, block) for block in found)


def mute(_: Dossier) -> Iterator[SeriesReport]:
    yield from ()


def loud(dossier: Dossier) -> Iterator[SeriesReport]:
    """One report for each mail of the posting."""
    for patch in (dossier.first, *dossier.series.patches):
        yield SeriesReport(patch, header_span(patch), "something is wrong here")


@each_series_rule
def test_a_series_rule_that_finds_nothing_fails_every_marked_block_and_no_other(rule: Rule) -> None:
    for block in series_blocks(rule.name, registry.page(rule)):
        assert bool(series_differences(rule._replace(check=mute), block)) == block.marked, str(block)


@each_series_rule
def test_a_series_rule_that_finds_everything_fails_its_page(rule: Rule) -> None:
    assert told(rule, rule._replace(check=loud))


@each_series_rule
def test_a_series_rule_for_later_kernels_only_or_of_another_severity_fails_its_page(rule: Rule) -> None:
    assert told(rule, rule._replace(since=(99, 0)))
    other = next(severity for severity in Severity if severity is not rule.severity)
    assert told(rule, rule._replace(severity=other))
