# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds the rules: every checks/<family>/<rule>.py, each with its page beside it.

Belongs here: where rules and their pages come from. Does not belong here: running them (`engine`).
"""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import reviewbot.checks
from reviewbot.c.code import Code
from reviewbot.model import Confidence, NotFoundError, Severity
from reviewbot.rule import Check, CodeRule, Report, Scope


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
    """All rules, by name. A rule's module is imported when the rule is run: sixty would take longer than the review."""
    state = _state()
    families = frozenset(_families())  # the state has more directories than those
    files = [(family, name[:-3]) for family, name, _, _ in state if family in families and name[0] != "_"]
    known = _recall(state)
    if known is None:
        known = [_import(family, name).check._replace(check=_lost) for family, name in files]
        _remember(state, known)
    return tuple(rule._replace(check=_Later(*file)) for rule, file in zip(known, files, strict=True))


def _import(family: str, name: str) -> ModuleType:
    return import_module(f"reviewbot.checks.{family}.{name}")


class _Later:
    """A rule's check, imported at its first use."""

    def __init__(self, family: str, name: str) -> None:
        self.family, self.name = family, name

    def __call__(self, code: Code) -> Iterable[Report]:
        check: Check = _import(self.family, self.name).check.check
        return check(code)


def _lost(_: Code) -> Iterable[Report]:
    raise AssertionError("the check of a rule is imported by _Later")


_State = tuple[tuple[str, str, int, int], ...]


def _state() -> _State:
    """Directory, name, time of change and size of each file that what rules declare can depend on."""
    found = []
    families = [(family, os.path.join(_directory(), family)) for family in _families()]
    ours = os.path.dirname(__file__)
    for name, directory in (*families, ("reviewbot", ours), ("reviewbot/c", os.path.join(ours, "c"))):
        for entry in os.scandir(directory):
            if entry.name.endswith(".py"):
                status = entry.stat()
                found.append((name, entry.name, status.st_mtime_ns, status.st_size))
    return tuple(sorted(found))


# What rules declare of themselves is kept where Python keeps their compiled code, and believed as long as it does.
def _cache() -> str:
    name = f"rules-{reviewbot.__version__}.{sys.implementation.cache_tag}"
    return os.path.join(_directory(), "__pycache__", name)


def _recall(state: _State) -> list[CodeRule] | None:
    """The rules as they were written down when their files were the same; None where there is no such note."""
    try:
        with open(_cache(), "rb") as stream:
            noted, rules = marshal.load(stream)  # noqa: S302 - as trustworthy as the .pyc files beside it
        return [_unpack(rule) for rule in rules] if noted == state else None
    except (OSError, ValueError, EOFError, TypeError):
        return None


def _remember(state: _State, rules: Sequence[CodeRule]) -> None:
    if sys.dont_write_bytecode:
        return
    temporary = f"{_cache()}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(temporary), exist_ok=True)
        with open(temporary, "wb") as stream:
            marshal.dump((state, [_pack(rule) for rule in rules]), stream)
        os.replace(temporary, _cache())
    except OSError:
        pass  # a directory of somebody else's: it is imported each time


def _pack(rule: CodeRule) -> tuple[Any, ...]:
    plain = (getattr(rule, name) for name in _PLAIN)
    return str(rule.severity), str(rule.confidence), tuple(rule.scope), *plain


def _unpack(values: tuple[Any, ...]) -> CodeRule:
    severity, confidence, scope, *plain = values
    return CodeRule(
        severity=Severity(severity),
        confidence=Confidence(confidence),
        scope=Scope(*scope),
        check=_lost,
        **dict(zip(_PLAIN, plain, strict=True)),
    )


# what marshal writes as it is
_PLAIN = tuple(name for name in CodeRule._fields if name not in ("severity", "confidence", "scope", "check"))


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
