# SPDX-License-Identifier: GPL-2.0-or-later
"""TOML in layers -> Config; an unknown key is an error that names the nearest known one.

Belongs here: which settings there are, their defaults, and which layer wins. Does not belong here: what they
do, and finding the tree's own file (`commands.config`). A later layer wins:

1. the defaults;
2. --config FILE, else $XDG_CONFIG_HOME/reviewbot/config.toml: the only file that is read here;
3. the tree's own .reviewbot.toml, which a stranger may have written: it may choose among the rules, and that is
   all. Its `ignore` adds to the user's, its `select` takes the place of the user's; so within each per-path table;
4. `-c key=value`, in the order given.

Nothing of git's or of b4's configuration plays a part.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any, NamedTuple, get_type_hints

from reviewbot.model import ConfigError

LIMITS = ("error", "warning", "note", "info", "never")  # of fail-on
# What a list gets, the most restrictive first: `policy.Mode` says what each means.
MODES = ("off", "draft", "author-only", "author+list")

_SPAN = re.compile(r"(\d{1,6}) ?(s|m|h|d|w)")
_ADDRESS = re.compile(r"[^\s@<>,]+@[^\s@<>,]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# A branch, a tag or a hash as `branches` and --branch name them: nothing that git takes for an option or walks from.
REF_NAME = re.compile(r"(?!.*(?:\.\.|//))[A-Za-z0-9_][A-Za-z0-9_./+-]{0,254}")
# What stands before the first = of -c that is not in quotes.
_SETTING = re.compile(r"((?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^\"'=])*)=(.*)", re.S)
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


class PathConfig(NamedTuple):
    """[per-path."GLOB"]: rules for the files that the glob names. Of several tables that match a file, all hold."""

    select: tuple[str, ...] = ()  # only these are shown there; empty: all
    ignore: tuple[str, ...] = ()  # these are not


class ToolConfig(NamedTuple):
    """[tool.NAME]: another program whose findings are shown. Never a tree's to set: it is a command that is run."""

    command: str = ""  # with its arguments, as a shell splits them
    reads: str = "gcc"  # what it prints: "gcc" (file:line: error: text), "checkpatch", "diff", "b4" (JSON)
    on: str = "patch"  # what it is run on: "patch" (each one), "files" (each that a patch touches), "series"
    checkout: str = "files"  # what it finds in its directory: "files" (those that are touched), "tree" (all)
    suffixes: tuple[str, ...] = (".c", ".h")  # of the files that it is for
    always: bool = True  # in every `check`; else by --tool NAME
    timeout: timedelta = timedelta(minutes=5)


class Config(NamedTuple):
    """All settings. `select` and `ignore` hold families, rule names or ids."""

    lore: LoreConfig = LoreConfig()
    reply: ReplyConfig = ReplyConfig()
    select: tuple[str, ...] = ()  # empty: all rules
    ignore: tuple[str, ...] = ()
    strict: bool = False
    fail_on: str = "warning"
    tree: str = ""  # git repository that --tree names elsewise; ~ is the home directory
    branches: tuple[str, ...] = ()  # of that tree, to which series should apply: "mm-unstable", "linux-next/master"
    ledger: str = ""  # file; empty: $XDG_STATE_HOME/reviewbot/ledger.sqlite
    index: str = ""  # type: ignore[assignment]  # of series in flight; empty: index.sqlite beside the ledger
    policy: PolicyConfig = PolicyConfig()
    list: dict[str, ListConfig] = {}  # noqa: RUF012 - by mail address in lower case; never changed
    source: dict[str, SourceConfig] = {}  # noqa: RUF012 - by name; never changed
    send: SendConfig = SendConfig()
    answers: AnswersConfig = AnswersConfig()
    patchwork: PatchworkConfig = PatchworkConfig()
    rules: tuple[str, ...] = ()  # directories of the user's own rules
    baseline: str = ""  # file of findings that are known and not shown; --baseline names another
    per_path: dict[str, PathConfig] = {}  # noqa: RUF012 - by glob; never changed
    tool: dict[str, ToolConfig] = {}  # noqa: RUF012 - by name; never changed


# Tables that hold tables, by the name of each.
_NAMED: dict[str, type[tuple[Any, ...]]] = {
    "list": ListConfig,
    "source": SourceConfig,
    "per-path": PathConfig,
    "tool": ToolConfig,
}
_SHARED = tuple(name for name in ListConfig._fields if name in PolicyConfig._fields)

# A tree's file is a stranger's. 64 KiB are a hundred times what it may hold. tomllib takes time that grows with the
# square of a key's dots (3.11: 10,000 of them take a second, 30,000 ten), and a key that is wanted has two.
TREE_FILE = ".reviewbot.toml"
MAX_TREE_FILE = 64 * 1024
_MAX_DOTS = 256
_MAX_GLOBS = 200  # each is tried on each file with a finding
_MAX_GLOB = 256
_FOR_TREES = ("select", "ignore", "per-path")
_USER_FILE = "~/.config/reviewbot/config.toml"
# Lines of one array or text over several lines, to say where a key stands; longer ones have no line number.
_MAX_LINES = 200

# How a key is named: ("list", "linux-mm@kvack.org", "max-per-list"), a list's address in lower case.
Key = tuple[str, ...]


class TreeFile(NamedTuple):
    """The .reviewbot.toml of the tree under review, read by whoever knows the tree."""

    name: str
    text: str


class Layer(NamedTuple):
    """A place that sets values; the one with the higher rank wins."""

    rank: int
    name: str  # of the file, or "-c"
    text: str | None = None  # of the file; None for -c
    tree: bool = False  # it is the tree's


class Origin(NamedTuple):
    """Where a value was set."""

    layer: Layer
    key: Key  # as it is written there

    @property
    def line(self) -> int | None:
        """Line of the file, from 1; None for -c, and where it is not known."""
        return None if self.layer.text is None else _lines(self.layer.text).get(self.key)

    def __str__(self) -> str:
        if self.layer.text is None:
            return self.layer.name
        return f"'{self.layer.name}'" + (f" line {self.line}" if self.line else "")

    @property
    def short(self) -> str:
        """As an error names it: the user knows the lines of his own file, but not those of a tree's."""
        return str(self) if self.layer.tree or self.layer.text is None else f"'{self.layer.name}'"


class Given(NamedTuple):
    """A value that is not a default, and who set it: several only where they add up."""

    value: Any  # None for the table itself: one may be empty
    origins: tuple[Origin, ...]


def state_file(name: str, given: str) -> str:
    """Where a file of ours lies: as the configuration has it, else by its name among those of the user's programs."""
    if given:
        return os.path.expanduser(given)
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(state, "reviewbot", name)


def index_path(config: Config) -> str:
    """Where the index of series in flight lies; it may not be there yet."""
    beside = os.path.dirname(state_file("ledger.sqlite", config.ledger))
    return state_file("", config.index) if config.index else os.path.join(beside, "index.sqlite")


def list_defaults(policy: PolicyConfig, **more: Any) -> ListConfig:
    """What a list gets that has no table of its own: as [policy] has it, but for `more`."""
    return ListConfig(**{**{name: getattr(policy, name) for name in _SHARED}, **more})


def load_config(path: str | None, settings: Sequence[str] = (), tree: TreeFile | None = None) -> Config:
    """The settings of a file (of the user's own where `path` is None), of a tree's file, and of -c; the later wins.

    Raises ConfigError where a file cannot be read, is no TOML, or has a key or value that is wrong, and where a tree
    sets what is not its own.
    """
    return explain_config(path, settings, tree)[0]


def explain_config(
    path: str | None, settings: Sequence[str] = (), tree: TreeFile | None = None
) -> tuple[Config, Mapping[Key, Given]]:
    """As `load_config`, and all that is not a default, with its origins."""
    given: dict[Key, Given] = {}
    file = _user_layer(path)
    if file is not None:
        _add(given, _read(_parse(file), Config, file))
    if tree is not None:
        layer = Layer(2, tree.name, tree.text, tree=True)
        _add(given, _read(_parse(layer), Config, layer))
    for rank, setting in enumerate(settings, 3):
        layer = Layer(rank, "-c")
        _add(given, _read(_setting(setting), Config, layer))
    if not given:
        return Config(), given
    config = _build(given)
    _check(config, given)
    return config, given


def _user_layer(path: str | None) -> Layer | None:
    file = path or _user_file()
    if file is None:
        return None
    try:
        with open(file, encoding="utf-8") as stream:
            return Layer(1, file, stream.read())
    except FileNotFoundError as error:
        if path is None:
            return None
        raise ConfigError(f"cannot open '{file}': {error.strerror}") from error
    except OSError as error:
        raise ConfigError(f"cannot open '{file}': {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot read '{file}': not UTF-8") from error


def _user_file() -> str | None:
    home = os.environ.get("XDG_CONFIG_HOME") or (os.environ.get("HOME") and os.environ["HOME"] + "/.config")
    return f"{home}/reviewbot/config.toml" if home else None


def _parse(layer: Layer) -> dict[str, Any]:
    text = layer.text or ""
    if layer.tree:
        if len(text.encode("utf-8", "surrogatepass")) > MAX_TREE_FILE:
            raise ConfigError(f"'{layer.name}' is too large: a tree's may have {MAX_TREE_FILE // 1024} KiB")
        for number, line in enumerate(text.split("\n"), 1):
            if line.count(".") > _MAX_DOTS and not line.lstrip().startswith("#"):
                raise ConfigError(f"'{layer.name}' line {number} has more than {_MAX_DOTS} dots")
    try:
        return _toml(text)
    except (ValueError, RecursionError) as error:
        # a number of 5,000 digits is a ValueError of Python's own; a thousand brackets end the stack
        why = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise ConfigError(f"cannot read '{layer.name}': {why}") from error


def _toml(text: str) -> dict[str, Any]:
    import tomllib  # only where there is something to read: start-up counts

    return tomllib.loads(text)


@cache
def _lines(text: str) -> dict[Key, int]:
    """The line, from 1, where each key of a file that is sound begins. tomllib does not tell."""
    found: dict[Key, int] = {}
    table: Key = ()
    lines = text.split("\n")
    n = 0
    while n < len(lines):
        start, statement = n, lines[n]
        n += 1
        if not statement.strip() or statement.lstrip().startswith("#"):
            continue
        # a statement ends at the first line end where it is whole: no part of an array or a text is one
        while (parsed := _try(statement)) is None and n < len(lines) and n - start < _MAX_LINES:
            statement += "\n" + lines[n]
            n += 1
        if parsed is None:
            break
        keys = list(_keys(parsed))
        if statement.lstrip().startswith("["):
            table = keys[-1] if keys else ()
            keys = [table[:end] for end in range(1, len(table) + 1)]
        else:
            keys = [(*table, *key) for key in keys]
        for key in keys:
            found.setdefault(key, start + 1)
    return found


def _try(statement: str) -> dict[str, Any] | None:
    try:
        return _toml(statement)
    except (ValueError, RecursionError):
        return None


def _keys(table: Mapping[str, Any], prefix: Key = ()) -> Iterator[Key]:
    for name, value in table.items():
        yield (*prefix, name)
        if isinstance(value, dict):
            yield from _keys(value, (*prefix, name))


def _setting(text: str) -> dict[str, Any]:
    """The -c `policy.wait=6h` as the table that TOML would give."""
    match = _SETTING.fullmatch(text)
    name, _, value = (match[1], "=", match[2]) if match else text.partition("=")
    key = _split(name.strip())
    if not name.strip() or "=" not in text:
        raise ConfigError(f"-c '{text}' sets nothing: '{name.strip() or 'key'}=VALUE' is expected")
    table: Any = _value_of(value.strip(), _type_of(key))
    for part in reversed(key):
        table = {part: table}
    return dict(table)


def _split(name: str) -> Key:
    """The parts of a dotted key. What stands between the first and the last is a name, quoted or not: a shell takes

    the quotes of list."linux-mm@kvack.org".mode away.
    """
    first, _, rest = name.partition(".")
    first, rest = first.strip(), rest.strip()
    if first not in _NAMED or not rest:
        return tuple(part.strip() for part in name.split("."))
    if "." not in rest or (rest[0] in "\"'" and rest[0] == rest[-1]):
        return first, _unquote(rest)
    middle, _, last = rest.rpartition(".")
    return first, _unquote(middle.strip()), last.strip()


def _unquote(name: str) -> str:
    parsed = _try(f"x = {name}") if name[:1] in ("'", '"') else None
    return parsed["x"] if parsed and len(parsed) == 1 and isinstance(parsed.get("x"), str) else name


def _type_of(key: Key) -> Any:
    """The type that a key wants; None for a table, and where there is no such key."""
    of: Any = Config
    if len(key) > 1 and key[0] in _NAMED:
        of, key = _NAMED[key[0]], key[2:]
    for part in key:
        of = get_type_hints(of).get(part.replace("-", "_")) if hasattr(of, "_fields") else None
    return None if hasattr(of, "_fields") else of


def _value_of(text: str, wanted: Any) -> Any:
    """What stands behind -c key=: as TOML where that has the type that is wanted, else the words as they are."""
    parsed = _try(f"x = {text}")
    value = parsed["x"] if parsed and len(parsed) == 1 and "x" in parsed else text
    if wanted == tuple[str, ...]:
        if isinstance(value, list):
            return value
        words = value if isinstance(value, str) else text
        if words.startswith("[") and words.endswith("]"):  # a shell took the quotes away
            words = words[1:-1]
        return [word.strip() for word in words.split(",") if word.strip()]
    if wanted in (str, timedelta):
        return value if isinstance(value, str) else text
    return value


def _dotted(key: Key) -> str:
    """A key as errors name it: in one line, however long a stranger made it."""
    key = tuple(part[:100] for part in key)
    if len(key) > 1 and key[0] in _NAMED:
        return ".".join((key[0], f'"{key[1]}"', *key[2:]))
    return ".".join(key)


def _nearest(name: str, known: Sequence[str], prefix: Key, *, cutoff: float = 0.5) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name[:100], known, 1, cutoff)
    return f", did you mean '{_dotted((*prefix, near[0]))}'?" if near else ""


def _read(table: Mapping[str, Any], of: Any, layer: Layer, prefix: Key = ()) -> Iterator[tuple[Key, Given]]:
    """What a table sets, by key. Raises ConfigError for a key that `of` does not have, or a value of another type."""
    hints = get_type_hints(of)
    known = {name.replace("_", "-"): name for name in hints}
    for name, value in table.items():
        key = (*prefix, name)
        origin = Origin(layer, key)
        where = f"'{_dotted(key)}' in {{}}"
        if layer.tree and not prefix and name not in _FOR_TREES:
            if name in known:
                raise ConfigError(f"{where.format(origin.short)} is not for a tree to set: put it into {_USER_FILE}")
            # the nearest may be much else than what was meant: a tree has but three
            hint = _nearest(name, _FOR_TREES, ()) or f": a tree may set {', '.join(_FOR_TREES)}"
            raise ConfigError(f"unknown key '{_dotted(key)}' in {origin.short}{hint}")
        if name not in known:
            raise ConfigError(f"unknown key '{_dotted(key)}' in {origin.short}{_nearest(name, list(known), prefix)}")
        wanted = hints[known[name]]
        if not prefix and name in _NAMED:
            if not isinstance(value, dict) or not all(isinstance(inner, dict) for inner in value.values()):
                raise ConfigError(f'{where.format(origin.short)} must hold tables, such as [{name}."NAME"]')
            for inner, content in value.items():
                mine = inner.lower() if name == "list" else inner
                yield (name, mine), Given(None, (Origin(layer, (name, inner)),))
                for under, one in _read(content, _NAMED[name], layer, (name, inner)):
                    yield (name, mine, *under[2:]), one
        elif hasattr(wanted, "_fields"):
            if not isinstance(value, dict):
                raise ConfigError(f"{where.format(origin.short)} must be a table")
            yield from _read(value, wanted, layer, key)
        else:
            yield key, Given(_typed(value, wanted, where, origin), (origin,))


def _typed(value: Any, wanted: Any, where: str, origin: Origin) -> Any:
    if wanted == tuple[str, ...]:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise ConfigError(f"{where.format(origin.short)} must be a list of strings")
    if wanted is timedelta:
        span = parse_span(value) if isinstance(value, str) else None
        if span is None:
            said = f'must be a time such as "30m", "12h" or "7d", not {value!r}'
            raise ConfigError(f"{where.format(origin.short)} {said}")
        return span
    if type(value) is not wanted:
        raise ConfigError(f"{where.format(origin.short)} must be a {wanted.__name__}, not {value!r}")
    if wanted is int and value < 0:
        raise ConfigError(f"{where.format(origin.short)} must not be negative, {value} is")
    return value


def _add(given: dict[Key, Given], values: Iterator[tuple[Key, Given]]) -> None:
    """Lay a layer over those before it."""
    for key, one in values:
        before = given.get(key)
        if before and one.origins[0].layer.tree and key[-1] == "ignore":
            together = tuple(dict.fromkeys((*before.value, *one.value)))
            given[key] = Given(together, (*before.origins, *one.origins))
        else:
            given[key] = one


def _build(given: Mapping[Key, Given]) -> Config:
    values: dict[str, Any] = {}
    tables: dict[str, dict[str, Any]] = {}
    named: dict[str, dict[str, dict[str, Any]]] = {}
    for key, one in given.items():
        field = key[-1].replace("-", "_")
        if len(key) == 1:
            values[field] = one.value
        elif key[0] not in _NAMED:
            tables.setdefault(key[0], {})[field] = one.value
        else:
            table = named.setdefault(key[0], {}).setdefault(key[1], {})
            if len(key) > 2:
                table[field] = one.value
    config = Config()._replace(**values)
    config = config._replace(**{name: getattr(config, name)._replace(**table) for name, table in tables.items()})
    # what a list does not set is as [policy] has it, whichever layer says so
    shared = {name: getattr(config.policy, name) for name in _SHARED}
    made: dict[str, Any] = {
        kind.replace("-", "_"): {
            name: _NAMED[kind](**{**(shared if kind == "list" else {}), **table}) for name, table in entries.items()
        }
        for kind, entries in named.items()
    }
    return config._replace(**made)


def parse_span(text: str) -> timedelta | None:
    """'90s', '30m', '12h', '7d', '2w' -> that time; None for what is none."""
    match = _SPAN.fullmatch(text)
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]]) if match else None


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
    "reads": ("gcc", "checkpatch", "diff", "b4"),
    "on": ("patch", "files", "series"),
    "checkout": ("files", "tree"),
}


def _check(config: Config, given: Mapping[Key, Given]) -> None:
    """Raises ConfigError for a value that is none of those it may have, and for tables that cannot be meant so."""

    def where(*keys: Key) -> str:
        """The latest that has a part in it."""
        origins = [given[key].origins[-1] for key in keys if key in given]
        return max(origins, key=lambda origin: origin.layer.rank).short if origins else "the defaults"

    tables: list[tuple[Key, Any]] = [((), config), (("policy",), config.policy), (("send",), config.send)]
    tables += [(("list", name), table) for name, table in config.list.items()]
    tables += [(("tool", name), table) for name, table in config.tool.items()]
    for prefix, table in tables:
        for name, choices in _CHOICES.items():
            value = getattr(table, name, None)
            if isinstance(value, str) and value not in choices:
                key = (*prefix, name.replace("_", "-"))
                known = ", ".join(choice for choice in choices if choice)
                place = where(key, ("policy", key[-1]))
                raise ConfigError(f"'{_dotted(key)}' must be one of {known}, not '{value}' (in {place})")
    for name in ("bots", "opted-out", "maintainers"):
        for value in getattr(config.policy, name.replace("-", "_")):
            if not _ADDRESS.fullmatch(value):
                place = where(("policy", name))
                raise ConfigError(f"'policy.{name}' in {place}: '{value}' is no mail address")
    for name in config.branches:
        if not REF_NAME.fullmatch(name):
            raise ConfigError(f"'branches' in {where(('branches',))}: '{name[:100]}' is no name of a branch")
    if config.send.port > 65535:
        raise ConfigError(f"'send.port' must be a port, not {config.send.port} (in {where(('send', 'port'))})")
    if not config.send.timeout:
        raise ConfigError(f"'send.timeout' must not be nothing (in {where(('send', 'timeout'))})")
    # an address alone is for `lore`, which takes it
    patchwork = (config.patchwork.project, config.patchwork.token_file)
    if any(patchwork) and not (config.patchwork.url and all(patchwork)):
        place = where(*(("patchwork", name) for name in ("url", "project", "token-file")))
        raise ConfigError(f"'patchwork' in {place} needs url, project and token-file")
    waits: list[tuple[Key, timedelta]] = [(("policy", "wait"), config.policy.wait)]
    waits += [(("list", name, "wait"), one.wait) for name, one in config.list.items()]
    for key, wait in waits:
        if wait >= config.policy.max_age:
            place = where(key, ("policy", "wait"), ("policy", "max-age"))
            raise ConfigError(f"'{_dotted(key)}' must be less than 'policy.max-age' (in {place})")
    for name in config.list:
        if not _ADDRESS.fullmatch(name):
            raise ConfigError(f"'list.\"{name}\"' in {where(('list', name))}: a list is named by its mail address")
    for kind in ("source", "tool"):
        for name in getattr(config, kind):
            if not _NAME.fullmatch(name):
                place = where((kind, name))
                raise ConfigError(f"'{kind}.\"{name}\"' in {place}: a name has letters, digits, '.', '_' and '-'")
    for name, source in config.source.items():
        place = where(("source", name))
        if source.list and not _ADDRESS.fullmatch(source.list):
            raise ConfigError(f"'source.{name}.list' in {place}: '{source.list}' is no mail address")
        if bool(source.git) == bool(source.lore):
            raise ConfigError(f"'source.{name}' in {place} needs one of 'git' and 'lore'")
    for name, tool in config.tool.items():
        place = where(("tool", name), ("tool", name, "command"), ("tool", name, "timeout"))
        if not tool.command.strip():
            raise ConfigError(f"'tool.{name}' in {place} needs a command")
        if not tool.timeout:
            raise ConfigError(f"'tool.{name}.timeout' must not be nothing (in {place})")
    if len(config.per_path) > _MAX_GLOBS:
        place = where(*(("per-path", glob) for glob in config.per_path))
        raise ConfigError(f"'per-path' in {place} has more than {_MAX_GLOBS} tables: put several files into one glob")
    for glob in config.per_path:
        if wrong := _wrong_glob(glob):
            raise ConfigError(f"'per-path.\"{glob[:100]}\"' in {where(('per-path', glob))} {wrong}")


def _wrong_glob(glob: str) -> str | None:
    """Why a glob can match no path of a tree as git writes it; None where it may."""
    if not glob or len(glob) > _MAX_GLOB:
        return f"must have 1 to {_MAX_GLOB} characters"
    if glob.startswith(("/", "~")):
        return "must not be absolute: paths begin at the tree's top"
    if any(part in ("", ".", "..") for part in glob.removesuffix("/").split("/")):
        return "must be a path as git writes it: without '.', '..' and '//'"
    return None if glob.isprintable() else "must not have control characters"
