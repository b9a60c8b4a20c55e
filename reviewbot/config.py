# SPDX-License-Identifier: GPL-2.0-or-later
"""The user's TOML -> Config; an unknown key is an error that names the nearest known one.

Belongs here: which settings there are and their defaults. Does not belong here: what they do. Reads
one file: --config FILE, else $XDG_CONFIG_HOME/reviewbot/config.toml. Nothing of the current
directory, of git's or of b4's configuration plays a part.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar, get_type_hints

from reviewbot.model import ConfigError

T = TypeVar("T", bound=tuple[Any, ...])
LIMITS = ("error", "warning", "note", "info", "never")  # of fail-on
# What a list gets, the most restrictive first: `policy.Mode` says what each means.
MODES = ("off", "draft", "author-only", "author+list")

_SPAN = re.compile(r"(\d{1,6}) ?(s|m|h|d|w)")
_ADDRESS = re.compile(r"[^\s@<>,]+@[^\s@<>,]+")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


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
    salt: str = ""  # goes into the Message-IDs, so that nobody can tell them beforehand


class ListConfig(NamedTuple):
    """[list."linux-mm@kvack.org"]: what one list gets. What is not set there is as [policy] has it.

    A posting to several lists gets the most restrictive of each.
    """

    mode: str = "off"  # one of MODES
    send: str = "approve"  # "approve": a mail waits in the queue for a person; "auto": it goes out
    per: str = ""  # "patch" or "series": what gets a mail of its own; empty: as [reply] has it
    wait: timedelta = timedelta(hours=12)  # from the arrival of the last patch: people answer first
    severity: str = "warning"  # the least that is mailed
    confidence: str = "high"  # the least that is mailed: "high" or "low"
    rfc: bool = False  # RFC series are answered, too
    max_per_series: int = 3  # more patches with findings get one mail for the series
    max_per_list: int = 20  # mails to the list in 24 hours
    max_per_author: int = 5  # mails to one author in 24 hours
    ignore: tuple[str, ...] = ()  # families, rule names or ids that the list does not want
    template_dir: str = ""  # as reply.template-dir, for this list's mails
    action_required: bool = False  # have Patchwork mark a reply with an error as unaddressed


class PolicyConfig(NamedTuple):
    """[policy]: when no mail goes out. The first fields are the defaults of [list]."""

    send: str = "approve"
    per: str = ""
    wait: timedelta = timedelta(hours=12)
    severity: str = "warning"
    confidence: str = "high"
    rfc: bool = False
    max_per_series: int = 3
    max_per_list: int = 20
    max_per_author: int = 5
    ignore: tuple[str, ...] = ()
    max_per_day: int = 50  # mails in 24 hours, whoever gets them
    # what becomes of a posting that also goes to a list without a table: one of MODES, or "leave-out": the list
    # gets no copy, and the others decide
    unknown_list: str = "off"
    complete_within: timedelta = timedelta(hours=24)  # patches that come later make an incomplete series
    max_age: timedelta = timedelta(days=7)  # a mail that could not go out for so long never will
    projects: tuple[str, ...] = ()  # further subject prefixes of other projects' patches: "ndctl"
    bots: tuple[str, ...] = ()  # further address patterns of robots: neither answered nor copied
    opted_out: tuple[str, ...] = ()  # address patterns that get no mail
    maintainers: tuple[str, ...] = ()  # addresses whose answers are obeyed like the author's
    kill_switch: str = ""  # while this file is there nothing is sent; empty: the file STOP beside the ledger


class SourceConfig(NamedTuple):
    """[source.NAME]: an archive that `watch` reads; exactly one of `git` and `lore`."""

    git: str = ""  # a public-inbox directory that is kept up to date, or an address to pull its epochs from
    lore: str = ""  # address of a list on a public-inbox server, searched instead
    list: str = ""  # the list's mail address
    overlap: timedelta = timedelta(hours=25)  # how far back a search looks for late mail


class SendConfig(NamedTuple):
    """[send]: the way out. Without `server`, git's sendemail.* configuration is taken."""

    server: str = ""  # host name, or the path of a program like sendmail
    port: int = 0  # 0: as the encryption has it
    encryption: str = "starttls"  # "starttls", "tls" or "none"
    user: str = ""
    password_file: str = ""  # a file that holds the password and nobody else may read
    ca_file: str = ""  # certificates to trust instead of the system's
    envelope_from: str = ""  # where bounces go; empty: the sender
    timeout: timedelta = timedelta(seconds=60)
    sign: bool = False  # X-Developer-Signature, with the key that patatt is configured for
    resend_after: timedelta = timedelta(hours=24)  # a mail of unknown fate that the archive lacks for so long
    attempts: int = 12  # then a server that always says "later" is believed to mean "no"


class AnswersConfig(NamedTuple):
    """[answers]: how it is proven who wrote an answer."""

    dkim: bool = True  # asks DNS for keys
    keyring: str = ""  # directory of public keys as patatt lays it out; empty: patatt's own keyring


class PatchworkConfig(NamedTuple):
    """[patchwork]: checks are posted where all of url, project and token-file are set."""

    url: str = ""  # https://patchwork.kernel.org
    project: str = ""  # its link name: linux-mm
    token_file: str = ""  # a file that holds the API token and nobody else may read
    context: str = "reviewbot"
    target_url: str = ""  # what a check links to; {msgid} stands for the patch's Message-ID


class Config(NamedTuple):
    """All settings. `select` and `ignore` hold families, rule names or ids."""

    lore: LoreConfig = LoreConfig()
    reply: ReplyConfig = ReplyConfig()
    select: tuple[str, ...] = ()  # empty: all rules
    ignore: tuple[str, ...] = ()
    strict: bool = False
    fail_on: str = "warning"
    tree: str = ""  # git repository that --tree names elsewise; ~ is the home directory
    ledger: str = ""  # file; empty: $XDG_STATE_HOME/reviewbot/ledger.sqlite
    policy: PolicyConfig = PolicyConfig()
    list: dict[str, ListConfig] = {}  # noqa: RUF012 - by mail address in lower case; never changed
    source: dict[str, SourceConfig] = {}  # noqa: RUF012 - by name; never changed
    send: SendConfig = SendConfig()
    answers: AnswersConfig = AnswersConfig()
    patchwork: PatchworkConfig = PatchworkConfig()


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
        config = _fill(Config(), tomllib.loads(text), file, "")
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"cannot read '{file}': {error}") from error
    _check(config, file)
    return config


def _user_file() -> str | None:
    home = os.environ.get("XDG_CONFIG_HOME") or (os.environ.get("HOME") and os.environ["HOME"] + "/.config")
    return f"{home}/reviewbot/config.toml" if home else None


def _fill(base: T, table: dict[str, Any], file: str, prefix: str) -> T:
    """`base` with what the table sets. [policy] is read before the lists, which begin with it."""
    hints = get_type_hints(type(base))
    known = {name.replace("_", "-"): name for name in hints}
    values: dict[str, Any] = {}
    for key, value in sorted(table.items(), key=lambda item: item[0] != "policy"):
        if key not in known:
            from difflib import get_close_matches

            near = get_close_matches(key, known, 1, 0.5)
            hint = f", did you mean '{prefix}{near[0]}'?" if near else ""
            raise ConfigError(f"unknown key '{prefix}{key}' in '{file}'{hint}")
        name = known[key]
        wanted = hints[name]
        where = f"'{prefix}{key}' in '{file}'"
        if wanted in (dict[str, ListConfig], dict[str, SourceConfig]):
            tables = value.items() if isinstance(value, dict) else ()
            if not isinstance(value, dict) or not all(isinstance(inner, dict) for inner in value.values()):
                raise ConfigError(f'{where} must hold tables, such as [{prefix}{key}."NAME"]')
            start: ListConfig | SourceConfig = SourceConfig()
            if wanted == dict[str, ListConfig]:
                policy = values.get("policy", PolicyConfig())
                shared = set(ListConfig._fields) & set(PolicyConfig._fields)
                start = ListConfig(**{field: getattr(policy, field) for field in shared})
            values[name] = {
                inner.lower() if name == "list" else inner: _fill(start, content, file, f'{prefix}{key}."{inner}".')
                for inner, content in tables
            }
        elif isinstance(getattr(base, name), tuple) and wanted != tuple[str, ...]:
            if not isinstance(value, dict):
                raise ConfigError(f"{where} must be a table")
            values[name] = _fill(getattr(base, name), value, file, f"{prefix}{key}.")
        elif wanted == tuple[str, ...]:
            if not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
                raise ConfigError(f"{where} must be a list of strings")
            values[name] = tuple(value)
        elif wanted is timedelta:
            values[name] = _span(value, where)
        elif type(value) is not wanted:
            raise ConfigError(f"{where} must be a {wanted.__name__}, not {value!r}")
        elif wanted is int and value < 0:
            raise ConfigError(f"{where} must not be negative, {value} is")
        else:
            values[name] = value
    return base._replace(**values)  # type: ignore[attr-defined,no-any-return]  # every T is a NamedTuple


def parse_span(text: str) -> timedelta | None:
    """'90s', '30m', '12h', '7d', '2w' -> that time; None for what is none."""
    match = _SPAN.fullmatch(text)
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]]) if match else None


def _span(value: object, where: str) -> timedelta:
    span = parse_span(value) if isinstance(value, str) else None
    if span is None:
        raise ConfigError(f'{where} must be a time such as "30m", "12h" or "7d", not {value!r}')
    return span


# What a value may be, where its type allows more.
_CHOICES: dict[str, tuple[str, ...]] = {
    "mode": MODES,
    "send": ("approve", "auto"),
    "per": ("", "patch", "series"),
    "severity": ("error", "warning", "note", "info"),
    "confidence": ("high", "low"),
    "unknown_list": (*MODES, "leave-out"),
    "encryption": ("starttls", "tls", "none"),
    "fail_on": LIMITS,
}


def _check(config: Config, file: str) -> None:
    """Raises ConfigError for a value that is none of those it may have, and for tables that cannot be meant so."""
    tables: list[tuple[str, Any]] = [("", config), ("policy.", config.policy), ("send.", config.send)]
    tables += [(f'list."{name}".', table) for name, table in config.list.items()]
    for prefix, table in tables:
        for name, choices in _CHOICES.items():
            value = getattr(table, name, None)
            if isinstance(value, str) and value not in choices:
                key = prefix + name.replace("_", "-")
                known = ", ".join(choice for choice in choices if choice)
                raise ConfigError(f"'{key}' must be one of {known}, not '{value}' (in '{file}')")
    for key in ("bots", "opted_out", "maintainers"):
        for value in getattr(config.policy, key):
            if not _ADDRESS.fullmatch(value):
                raise ConfigError(f"'policy.{key.replace('_', '-')}' in '{file}': '{value}' is no mail address")
    if config.send.port > 65535:
        raise ConfigError(f"'send.port' must be a port, not {config.send.port} (in '{file}')")
    if not config.send.timeout:
        raise ConfigError(f"'send.timeout' must not be nothing (in '{file}')")
    # an address alone is for `lore`, which takes it
    patchwork = (config.patchwork.project, config.patchwork.token_file)
    if any(patchwork) and not (config.patchwork.url and all(patchwork)):
        raise ConfigError(f"'patchwork' in '{file}' needs url, project and token-file")
    for where, wait in (("policy", config.policy.wait), *((f'list."{n}"', t.wait) for n, t in config.list.items())):
        if wait >= config.policy.max_age:
            raise ConfigError(f"'{where}.wait' must be less than 'policy.max-age' (in '{file}')")
    for name in config.list:
        if not _ADDRESS.fullmatch(name):
            raise ConfigError(f"'list.\"{name}\"' in '{file}': a list is named by its mail address")
    for name, source in config.source.items():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
            raise ConfigError(f"'source.\"{name}\"' in '{file}': a name has letters, digits, '.', '_' and '-'")
        if source.list and not _ADDRESS.fullmatch(source.list):
            raise ConfigError(f"'source.{name}.list' in '{file}': '{source.list}' is no mail address")
        if bool(source.git) == bool(source.lore):
            raise ConfigError(f"'source.{name}' in '{file}' needs one of 'git' and 'lore'")
