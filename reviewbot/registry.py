# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds the rules: every checks/<family>/<rule>.py, each with its page beside it.

Belongs here: where rules and their pages come from. Does not belong here: running them (`engine`).
"""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from typing import NamedTuple

import reviewbot.checks
from reviewbot.model import NotFoundError
from reviewbot.rule import CodeRule


class Evidence(NamedTuple):
    """What a rule found somewhere, after every hit was read and judged."""

    where: str
    hits: int
    right: int
    wrong: int
    note: str = ""


def _directory() -> str:
    return str(next(iter(reviewbot.checks.__path__)))


def _families() -> list[str]:
    return sorted(e.name for e in os.scandir(_directory()) if e.is_dir() and not e.name.startswith(("_", ".")))


@cache
def load() -> tuple[CodeRule, ...]:
    """All rules, by name."""
    return tuple(
        import_module(f"reviewbot.checks.{family}.{entry[:-3]}").check
        for family in _families()
        for entry in sorted(os.listdir(os.path.join(_directory(), family)))
        if entry.endswith(".py") and not entry.startswith("_")
    )


def find(name: str) -> CodeRule:
    """The rule of that name or id. Raises NotFoundError, which names the nearest one."""
    for rule in load():
        if name.lower() in (rule.name, rule.id.lower()):
            return rule
    from difflib import get_close_matches  # only on the way out with an error

    near = get_close_matches(name, [rule.name for rule in load()], 1, 0.4)
    raise NotFoundError(f"no rule is named '{name}'" + (f", did you mean '{near[0]}'?" if near else ""))


def page(rule: CodeRule) -> str:
    """The rule's page: its documentation and its test."""
    return _read(_page_name(rule))


def has_page(rule: CodeRule) -> bool:
    """There is a page beside the rule."""
    return os.path.exists(os.path.join(_directory(), _page_name(rule)))


def _page_name(rule: CodeRule) -> str:
    family, stem = rule.name.replace("-", "_").split("/")
    return f"{family}/{stem}.md"


@cache
def evidence() -> dict[str, tuple[Evidence, ...]]:
    """The judgements of each rule's hits, from checks/<family>/evidence.toml; a rule that is not in it has none."""
    import tomllib  # for `rules` alone

    return {
        name: tuple(Evidence(**entry) for entry in judged)
        for family in _families()
        for name, judged in tomllib.loads(_read(f"{family}/evidence.toml")).items()
    }


def _read(name: str) -> str:
    with open(os.path.join(_directory(), name), encoding="utf-8") as stream:
        return stream.read()
