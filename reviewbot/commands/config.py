# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot config show`: every value and where it came from, as TOML that can be pasted or as JSON.

Belongs here: finding out what holds in this directory, and printing it. Does not belong here: what wins over what
(`config`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from reviewbot.commands.common import tree_file
from reviewbot.config import Config, Given, Key, PolicyConfig, TreeFile, explain_config
from reviewbot.model import InputError
from reviewbot.output.text import advance, harmless

DEFAULT = "default"
# What is said to be set, and no more: who knows it can tell a reply's Message-ID beforehand.
_SECRET: tuple[Key, ...] = (("reply", "salt"),)
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_WIDEST = 48  # column that the origins of longer values do not wait for
_VERSION = 1


class _Line(NamedTuple):
    """A value, or with `value` None the head of a table."""

    key: Key
    value: Any
    origin: str  # for people
    given: Given | None  # None for a default


def run(args: argparse.Namespace, config: Config) -> int:  # noqa: ARG001 - it is asked for its origins, too
    """The process's exit code. Raises ConfigError as any other command does."""
    found, given = explain_config(args.config, args.settings or (), _tree_file())
    lines = list(_lines(found, given))
    sys.stdout.write(_json(lines) if args.format == "json" else _toml(lines))
    return 0


def _tree_file() -> TreeFile | None:
    """What `check` would read in this directory."""
    from reviewbot.source.commits import Repository

    try:
        repository = Repository.open()
    except InputError:
        return tree_file(None)
    with repository:
        return tree_file(repository)


def _lines(config: Config, given: Mapping[Key, Given]) -> Iterator[_Line]:
    """All of a configuration: what is in no table comes first, as TOML wants it."""
    tables: list[tuple[Key, Any]] = []
    for field, value in zip(config._fields, config, strict=True):
        key: Key = (field.replace("_", "-"),)
        if isinstance(value, dict):
            tables += [((*key, name), table) for name, table in value.items()]
        elif hasattr(value, "_fields"):
            tables.append((key, value))
        else:
            yield _line(key, value, given)
    for key, table in tables:
        yield _Line(key, None, "", given.get(key))
        for field, value in zip(table._fields, table, strict=True):
            yield _line((*key, field.replace("_", "-")), value, given)


def _line(key: Key, value: object, given: Mapping[Key, Given]) -> _Line:
    one, origin = given.get(key), DEFAULT
    if one is None and key[0] == "list" and key[-1].replace("-", "_") in PolicyConfig._fields:
        # what a list does not set is as [policy] has it
        one = given.get(("policy", key[-1]))
        origin = "[policy]" if one else DEFAULT
    elif one is not None:
        origin = ", ".join(str(origin) for origin in one.origins)
    return _Line(key, value, origin, one)


# -- TOML -----------------------------------------------------------------------------------------


def _toml(lines: list[_Line]) -> str:
    rows = [(_row(line), line.origin) for line in lines]
    widths = [advance(0, row) for row, origin in rows if origin]
    column = max((width for width in widths if width <= _WIDEST), default=0) + 2
    return "".join(
        f"{row}{' ' * max(2, column - advance(0, row))}# {_shown(origin)}\n" if origin else f"\n{row}\n"
        for row, origin in rows
    )


def _row(line: _Line) -> str:
    if line.value is None:
        return f"[{'.'.join(_name(part) for part in line.key)}]"
    if line.key in _SECRET and line.value:
        return f"# {line.key[-1]} = (set)"  # commented out: whoever pastes it must not replace the value by that
    return f"{_name(line.key[-1])} = {_value(line.value)}"


def _name(part: str) -> str:
    return part if part and part.isascii() and part.replace("-", "").replace("_", "").isalnum() else _text(part)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        return f'"{span(value)}"'
    if isinstance(value, tuple):
        return f"[{', '.join(_text(item) for item in value)}]"
    return _text(value) if isinstance(value, str) else str(value)


def span(time: timedelta) -> str:
    """A time as the configuration writes it: '12h', '7d'."""
    seconds = int(time.total_seconds())
    return next(f"{seconds // size}{unit}" for unit, size in _UNITS if seconds % size == 0 and (seconds or unit == "s"))


def _text(text: str) -> str:
    """A TOML string that shows itself and does nothing else on a terminal."""
    return f'"{"".join(_char(char) for char in text)}"'


def _char(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if harmless(char):
        return char
    # TOML knows no surrogates: such a byte of -c or of a file's name is no text
    if "\ud800" <= char <= "\udfff":
        return "\ufffd"
    return f"\\u{ord(char):04X}" if ord(char) < 0x10000 else f"\\U{ord(char):08X}"


def _shown(origin: str) -> str:
    return _text(origin)[1:-1] if not all(map(harmless, origin)) else origin


# -- JSON -----------------------------------------------------------------------------------------


def _json(lines: list[_Line]) -> str:
    """{"version": 1, "values": [{"key": ["policy", "wait"], "value": "12h", "default": false, "origins": [...]}]}"""
    from reviewbot.output.json import dump

    values = [
        {
            "key": list(line.key),
            "value": "(set)" if line.key in _SECRET and line.value else _plain(line.value),
            "default": line.given is None,
            "origins": [
                {"name": origin.layer.name, "line": origin.line, "tree": origin.layer.tree}
                for origin in (line.given.origins if line.given else ())
            ],
        }
        for line in lines
        if line.value is not None
    ]
    return dump({"version": _VERSION, "values": values}, 1) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return span(value)
    return list(value) if isinstance(value, tuple) else value
