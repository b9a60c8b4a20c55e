# SPDX-License-Identifier: GPL-2.0-or-later
"""The user's TOML -> Config; an unknown key is an error that names the nearest known one.

Belongs here: which settings there are and their defaults. Does not belong here: what they do. Reads
one file: --config FILE, else $XDG_CONFIG_HOME/reviewbot/config.toml. Nothing of the current
directory, of git's or of b4's configuration plays a part.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple, TypeVar, get_type_hints

from reviewbot.model import ConfigError

T = TypeVar("T")
LIMITS = ("error", "warning", "note", "info", "never")  # of fail-on


class LoreConfig(NamedTuple):
    """[lore]"""

    url: str = "https://lore.kernel.org/all/"  # a public-inbox list, or a server's /all/


class ReplyConfig(NamedTuple):
    """[reply]"""

    sender: str = ""  # "reviewbot <bot@example.org>": From: of the mails
    domain: str = ""  # right side of the Message-IDs; empty: the sender's
    per: str = "patch"  # "patch" or "series": what gets a mail of its own
    template_dir: str = ""  # files here go before the packaged templates of the same name
    budget: int = 10  # findings in one mail
    docs: str = ""  # URL of the rules' pages


class Config(NamedTuple):
    """All settings. `select` and `ignore` hold families, rule names or ids."""

    lore: LoreConfig = LoreConfig()
    reply: ReplyConfig = ReplyConfig()
    select: tuple[str, ...] = ()  # empty: all rules
    ignore: tuple[str, ...] = ()
    strict: bool = False
    fail_on: str = "warning"
    tree: str = ""  # git repository that --tree names elsewise; ~ is the home directory


def load_config(path: str | None) -> Config:
    """The settings of a file; of the user's own where `path` is None; the defaults where there is none.

    Raises ConfigError where the file cannot be read, is no TOML, or has a key or value that is wrong.
    """
    file = path or _user_file()
    if file is None:
        return Config()
    try:
        with open(file, encoding="utf-8") as stream:
            text = stream.read()
    except FileNotFoundError as error:
        if path is None:
            return Config()
        raise ConfigError(f"cannot open '{file}': {error.strerror}") from error
    except OSError as error:
        raise ConfigError(f"cannot open '{file}': {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot read '{file}': not UTF-8") from error
    import tomllib  # only where there is a file to read: start-up counts

    try:
        config = _fill(Config, tomllib.loads(text), file, "")
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"cannot read '{file}': {error}") from error
    if config.fail_on not in LIMITS:
        raise ConfigError(f"'fail-on' must be one of {', '.join(LIMITS)}, not '{config.fail_on}' (in '{file}')")
    return config


def _user_file() -> str | None:
    home = os.environ.get("XDG_CONFIG_HOME") or (os.environ.get("HOME") and os.environ["HOME"] + "/.config")
    return f"{home}/reviewbot/config.toml" if home else None


def _fill(kind: type[T], table: dict[str, Any], file: str, prefix: str) -> T:
    hints = get_type_hints(kind)
    known = {name.replace("_", "-"): name for name in hints}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            from difflib import get_close_matches

            near = get_close_matches(key, known, 1, 0.5)
            hint = f", did you mean '{prefix}{near[0]}'?" if near else ""
            raise ConfigError(f"unknown key '{prefix}{key}' in '{file}'{hint}")
        name = known[key]
        wanted = hints[name]
        if wanted in (LoreConfig, ReplyConfig):
            if not isinstance(value, dict):
                raise ConfigError(f"'{prefix}{key}' in '{file}' must be a table")
            values[name] = _fill(wanted, value, file, f"{prefix}{key}.")
        elif wanted == tuple[str, ...]:
            if not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
                raise ConfigError(f"'{prefix}{key}' in '{file}' must be a list of strings")
            values[name] = tuple(value)
        elif type(value) is not wanted:
            raise ConfigError(f"'{prefix}{key}' in '{file}' must be a {wanted.__name__}, not {value!r}")
        else:
            values[name] = value
    return kind(**values)
