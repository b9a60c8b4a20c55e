# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds the rules: every checks/<family>/<rule>.py, each with its page beside it, and those of others.

Rules of others come from two places. An installed distribution names a package in the entry-point group
`reviewbot.checks`: `family = "package"`, and the package is laid out as one family's directory is. And the user's own
configuration names directories that are laid out as checks/ is. A rule directory is no package that Python could find
by name: what a rule imports from beside it, it imports relatively (`from ._names import GETS`, or `from .._common
import x` from the top of the directory).

Belongs here: where rules and their pages come from. Does not belong here: running them (`engine`), and who may name a
directory (`config`: never the tree under review).
"""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from itertools import count
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

import reviewbot.checks
from reviewbot.dossier import Needs
from reviewbot.model import Confidence, ConfigError, InputError, NotFoundError, Severity
from reviewbot.rule import Over, Rule, Scope

T = TypeVar("T")
GROUP = "reviewbot.checks"  # of entry points
PACKAGED = "reviewbot"  # the origin of our own rules


class Evidence(NamedTuple):
    """What a rule found somewhere, after every hit was read and judged."""

    where: str
    hits: int
    right: int
    wrong: int
    note: str = ""


class Family(NamedTuple):
    """A directory of rules: <rule>.py with <rule>.md beside it, helpers that begin with '_', evidence.toml."""

    name: str  # as it stands in the rules' names: lock-drop
    package: str  # the directory as Python's package; in a rule directory its name there
    directory: str
    origin: str  # "reviewbot", name and version of a distribution, or the rule directory
    root: str = ""  # the rule directory; '' where Python itself finds the package


def load(directories: Sequence[str] = ()) -> tuple[Rule, ...]:
    """All rules: ours by name, then those of installed distributions and of the user's directories.

    `directories` are absolute or begin with ~. A rule's module is imported when the rule is run: sixty would take
    longer than the review. Raises ConfigError, which names the culprit, where a directory is not there, a rule of
    others cannot be imported or declares nothing, and where two rules have the same name or id.
    """
    return _load(tuple(directories))


@cache
def _load(directories: tuple[str, ...]) -> tuple[Rule, ...]:
    state = _state()
    ours = _packaged(state)
    rules = (*ours, *_others(directories, state, ours))
    _loaded.update((rule.name, rule) for rule in rules)
    return rules


_loaded: dict[str, Rule] = {}


def known(name: str) -> Rule | None:
    """The rule of that name among all that this process has loaded; None where there is none.

    For who prints a finding, and does not know which directories its rule was looked for in.
    """
    if not _loaded:
        load()
    return _loaded.get(name)


def find(name: str, directories: Sequence[str] = ()) -> Rule:
    """The rule of that name or id. Raises NotFoundError, which names the nearest one."""
    rules = load(directories)
    for rule in rules:
        if name.lower() in (rule.name, rule.id.lower()):
            return rule
    from difflib import get_close_matches  # only on the way out with an error

    near = get_close_matches(name, [rule.name for rule in rules], 1, 0.4)
    raise NotFoundError(f"no rule is named '{name}'" + (f", did you mean '{near[0]}'?" if near else ""))


def origin(rule: Rule) -> str:
    """Where a rule comes from: "reviewbot", a distribution's name and version, or the user's directory."""
    return _home(rule).origin


def page(rule: Rule) -> str:
    """The rule's page: its documentation and its test. Raises NotFoundError where there is none, InputError."""
    name = _page_name(rule)
    try:
        return _read(name)
    except OSError as error:
        raise NotFoundError(f"rule '{rule.name}' has no page: cannot open '{name}': {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read '{name}': not UTF-8") from error


def has_page(rule: Rule) -> bool:
    """There is a page beside the rule."""
    return os.path.exists(_page_name(rule))


def evidence(directories: Sequence[str] = ()) -> dict[str, tuple[Evidence, ...]]:
    """The judgements of each rule's hits, from its family's evidence.toml; a rule that is not in it has none.

    Raises ConfigError where such a file of others cannot be read, or speaks of a rule that is not its family's.
    """
    return _evidence(tuple(directories))


# -- our own rules ------------------------------------------------------------------------------------------------


def _directory() -> str:
    return str(next(iter(reviewbot.checks.__path__)))


def _families() -> list[str]:
    return sorted(e.name for e in os.scandir(_directory()) if e.is_dir() and not e.name.startswith(("_", ".")))


def _own(family: str) -> Family:
    directory = os.path.join(_directory(), family)
    return Family(family.replace("_", "-"), f"reviewbot.checks.{family}", directory, PACKAGED)


def _packaged(state: _State) -> tuple[Rule, ...]:
    families = {family: _own(family) for family in _families()}
    # the state has more directories than those
    files = [(families[label], name[:-3]) for label, name, _, _ in state if label in families and name[0] != "_"]
    noted = _recall("rules", state, lambda rules: [_unpack(rule) for rule in rules])
    if noted is None:
        noted = [_module(*file).check._replace(check=_lost) for file in files]
        _remember("rules", state, [_pack(rule) for rule in noted])
    return tuple(rule._replace(check=_Later(*file)) for rule, file in zip(noted, files, strict=True))


class _Later:
    """A rule's check, imported at its first use."""

    def __init__(self, family: Family, stem: str) -> None:
        self.family, self.name = family, stem

    def __call__(self, given: Any) -> Iterable[Any]:
        check: Callable[[Any], Iterable[Any]] = _module(self.family, self.name).check.check
        return check(given)


def _lost(_: Any) -> Iterable[Any]:
    raise AssertionError("the check of a rule is imported by _Later")


def _module(family: Family, stem: str) -> ModuleType:
    top = f"{_top(family.root)}." if family.root else ""
    return import_module(f"{top}{family.package}.{stem}")


_numbers = count()


@cache
def _top(root: str) -> str:
    """The name of the package that a rule directory is to Python: nothing is put on sys.path, where it would hide."""
    name = f"reviewbot_rules_{next(_numbers)}"
    sys.modules[name] = module = ModuleType(name)
    module.__path__ = [root]
    return name


def _home(rule: Rule) -> Family:
    if isinstance(rule.check, _Later):
        return rule.check.family
    return _own(rule.name.split("/")[0].replace("-", "_"))


def _page_name(rule: Rule) -> str:
    return os.path.join(_home(rule).directory, rule.name.split("/")[1].replace("-", "_") + ".md")


def _read(name: str) -> str:
    with open(name, encoding="utf-8") as stream:
        return stream.read()


@cache
def _evidence(directories: tuple[str, ...]) -> dict[str, tuple[Evidence, ...]]:
    import tomllib  # for `rules` alone

    names: dict[Family, set[str]] = {_own(family): set() for family in _families()}
    for rule in load(directories):
        names.setdefault(_home(rule), set()).add(rule.name)
    found: dict[str, tuple[Evidence, ...]] = {}
    for family, own in names.items():
        file = os.path.join(family.directory, "evidence.toml")
        try:
            judged = {
                name: tuple(Evidence(**entry) for entry in entries)
                for name, entries in tomllib.loads(_read(file)).items()
            }
        except FileNotFoundError:
            continue
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise ConfigError(f"cannot read '{file}': {_line(error)}; {_way_out(family)}") from error
        for name in judged:
            if name not in own and family.origin != PACKAGED:
                raise ConfigError(f"'{file}' speaks of '{name}', which is no rule beside it; {_way_out(family)}")
        found.update(judged)
    return found


# -- the rules of others ------------------------------------------------------------------------------------------


def _others(directories: Sequence[str], state: _State, ours: Sequence[Rule]) -> Sequence[Rule]:
    """The rules of installed distributions and of the user's directories, by name."""
    roots = _roots(directories)
    # our own files are in the key: what they declare decides what a note looks like, and which names are taken
    key = (state, _search_path(), tuple((root, tuple(families)) for root, families in roots))

    def read(note: tuple[Any, ...]) -> list[Rule] | None:
        families, further, stamps, rules = note
        homes = [Family(*family) for family in families]
        if stamps != _stamps(homes, further):
            return None
        return [_unpack(rule)._replace(check=_Later(homes[n], stem)) for n, stem, rule in rules]

    found = _recall("others", key, read)
    if found is not None:
        return found
    homes = [*_installed(), *(_in_root(root, family) for root, families in roots for family in families)]
    try:
        stamps = _stamps(homes)
        files = [(n, stem) for n, home in enumerate(homes) for stem in _stems(home)]
    except OSError as error:
        raise ConfigError(f"cannot open '{error.filename}': {error.strerror}") from error
    packed = [(n, stem, _declared(homes[n], stem)) for n, stem in files]
    found = [_unpack(rule)._replace(check=_Later(homes[n], stem)) for n, stem, rule in packed]
    _refuse_twins(ours, found)
    order = sorted(range(len(found)), key=lambda n: found[n].name)
    further = _imported(homes)
    note = ([tuple(home) for home in homes], further, (*stamps, *_stamps((), further)), [packed[n] for n in order])
    _remember("others", key, note)
    return [found[n] for n in order]


def _search_path() -> tuple[tuple[str, int], ...]:
    """Where Python looks for packages, and when what is there was last changed: an install adds a directory there.

    Without the current directory, which `python -m` puts there: it may be the tree under review, and names no rules.
    """
    found = []
    for entry in map(str, sys.path):
        if _is_here(entry):
            continue
        try:
            found.append((entry, os.stat(entry).st_mtime_ns))
        except OSError:
            found.append((entry, -1))
    return tuple(found)


def _is_here(directory: str) -> bool:
    try:
        return not directory or os.path.samefile(directory, ".")
    except OSError:
        return False


def _installed() -> Iterator[Family]:
    """The families that installed distributions have, by name."""
    from importlib.metadata import entry_points  # 15 ms and more: only where sys.path has changed

    try:
        points = sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value))
    except Exception as error:
        raise ConfigError(f"cannot read what installed packages say of themselves: {_line(error)}") from error
    for point in points:
        if point.dist is None or _is_here(str(point.dist.locate_file(""))):
            continue
        origin = f"{point.dist.name} {point.dist.version}"
        family = Family(point.name.replace("_", "-"), point.value, "", origin)
        if not _proper(point.name.replace("-", "_")):
            raise ConfigError(f"{origin} has a rule family '{point.name}': {_NAMES}; {_way_out(family)}")
        try:
            package = import_module(point.value)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise ConfigError(
                f"cannot load the rules '{point.name}' of {origin}: {_line(error)}; {_way_out(family)}"
            ) from error
        directory = next(iter(getattr(package, "__path__", ())), "")
        if not os.path.isdir(directory):
            raise ConfigError(
                f"the rules '{point.name}' of {origin} are in '{point.value}', which is no package; {_way_out(family)}"
            )
        yield family._replace(directory=os.path.abspath(directory))


def _roots(directories: Sequence[str]) -> list[tuple[str, list[str]]]:
    """The rule directories, each once, and the families in each. Raises ConfigError where one cannot be read."""
    found: dict[str, tuple[str, list[str]]] = {}
    for given in directories:
        root = os.path.normpath(os.path.expanduser(given))
        if not os.path.isabs(root):
            # from the current directory, it would be the tree under review that brings code
            raise ConfigError(f"'{given}' in 'rules' is not a whole path: it must begin with '/' or '~/'")
        try:
            entries = sorted((e for e in os.scandir(root) if e.name[0] not in "_."), key=lambda e: e.name)
            families = [e.name for e in entries if e.is_dir() and _sources(e.path)]
        except OSError as error:
            raise ConfigError(
                f"cannot open '{error.filename}': {error.strerror}; make it, or take '{given}' out of 'rules'"
            ) from error
        for entry in entries:
            if entry.name.endswith(".py"):
                raise ConfigError(f"'{entry.path}' is in no family: a rule is '{root}/<family>/<rule>.py'")
        for family in families:
            if not _proper(family):
                raise ConfigError(f"'{root}/{family}' is no family's name: {_NAMES}")
        found.setdefault(os.path.realpath(root), (root, families))
    return list(found.values())


def _in_root(root: str, family: str) -> Family:
    return Family(family.replace("_", "-"), family, os.path.join(root, family), root, root)


_NAMES = "it may have small letters, digits and '_'"


def _proper(name: str) -> bool:
    """It can be named with --select, in a suppression, and be imported."""
    return name.isascii() and name.isidentifier() and name == name.lower() and name[0] != "_"


def _stems(family: Family) -> list[str]:
    return [name[:-3] for name, _, _ in _sources(family.directory) if name[0] != "_"]


def _declared(family: Family, stem: str) -> tuple[Any, ...]:
    """What a rule declares, packed. Raises ConfigError where there is none, or nothing that could be a rule."""
    file = os.path.join(family.directory, f"{stem}.py")
    name = f"{family.name}/{stem.replace('_', '-')}"
    if family.name == PACKAGED:  # reviewbot/too-large and others are said by the engine
        raise ConfigError(f"'{file}' is in the family 'reviewbot', which is taken; {_way_out(family)}")
    if not _proper(stem):
        raise ConfigError(f"'{file}' is no rule's name: {_NAMES}; {_way_out(family)}")
    try:
        rule = getattr(_module(family, stem), "check", None)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        where = _where(error, family) or f"'{file}'"
        raise ConfigError(
            f"cannot load rule '{name}' of {family.origin}: {_line(error)} ({where}); {_way_out(family)}"
        ) from error
    if not isinstance(rule, Rule):
        raise ConfigError(
            f"'{file}' has no 'check' made by @code_rule (a helper's name begins with '_'); {_way_out(family)}"
        )
    try:
        if not isinstance(rule.scope, Scope):
            raise TypeError(f"its scope is no Scope but {rule.scope!r}")
        packed = _pack(rule._replace(name=name))
        # a value that is none of its kind would come up in the middle of a review
        again = _unpack(marshal.loads(marshal.dumps(packed)))  # noqa: S302 - just made
        if wrong := _wrong(again):
            raise ValueError(wrong)
    except (TypeError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"rule '{name}' ('{file}') declares what it cannot be: {error}; {_way_out(family)}"
        ) from error
    return packed


def _wrong(rule: Rule) -> str | None:
    """What makes it no rule that others could name, or that would ever run; None for nothing."""
    if not (rule.id.isascii() and rule.id.isalnum() and rule.id.isupper() and rule.id[-1].isdecimal()):
        return f"the id '{rule.id}' is not of capitals and digits, such as XY01"
    code = rule.over is Over.CODE
    if (code and not rule.words) or not all(isinstance(word, str) and word for word in rule.words):
        return "'words' must hold the words without which it cannot find anything"
    needs = ("diff", "file", "tree") if code else tuple(Needs)
    if rule.needs not in needs:
        return f"it needs '{rule.needs}', which is none of {', '.join(needs[:-1])} and {needs[-1]}"
    return None if rule.summary else "the module's docstring must say in a line what is wrong"


def _refuse_twins(ours: Sequence[Rule], others: Sequence[Rule]) -> None:
    """Raises ConfigError for a name or an id that is taken: to suppress the one rule would silence the other."""
    seen = {word: rule for rule in ours for word in (rule.name, rule.id)}
    for rule in others:
        for word in (rule.name, rule.id):
            if other := seen.get(word):
                raise ConfigError(
                    f"'{word}' names two rules: '{other.name}' of {origin(other)} and '{rule.name}' of {origin(rule)}; "
                    f"{_way_out(_home(rule))}"
                )
            seen[word] = rule


def _way_out(family: Family) -> str:
    if family.root:
        return f"mend it, or take '{family.root}' out of 'rules'"
    return f"mend it, or uninstall {family.origin.rpartition(' ')[0]}"


def _line(error: BaseException) -> str:
    """An exception in one line."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return " ".join(f"{type(error).__name__}: {text}".split())


def _where(error: BaseException, family: Family) -> str | None:
    """The line of the family's that was run last, None where there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"'{error.filename}' line {error.lineno}"
    last, trace = None, error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename.startswith(os.path.join(family.root or family.directory, "")):
            last = f"'{trace.tb_frame.f_code.co_filename}' line {trace.tb_lineno}"
        trace = trace.tb_next
    return last


# -- what is remembered of them -----------------------------------------------------------------------------------

_File = tuple[str, int, int]  # name, time of change (ns), size
_State = tuple[tuple[str, str, int, int], ...]


def _sources(directory: str) -> list[_File]:
    """Python's files in a directory, by name; an editor's own, which begin with a dot, are none."""
    found = []
    for entry in os.scandir(directory):
        if entry.name.endswith(".py") and entry.name[0] != ".":
            status = entry.stat()
            found.append((entry.name, status.st_mtime_ns, status.st_size))
    return sorted(found)


def _state() -> _State:
    """Directory and file of all that what our own rules declare can depend on."""
    families = [(family, os.path.join(_directory(), family)) for family in _families()]
    ours = os.path.dirname(__file__)
    labelled = (*families, ("reviewbot", ours), ("reviewbot/c", os.path.join(ours, "c")))
    return tuple(sorted((label, *file) for label, directory in labelled for file in _sources(directory)))


def _stamps(families: Iterable[Family], further: Iterable[str] = ()) -> tuple[_File, ...]:
    """All that what the families' rules declare can depend on; `further` are files outside their directories."""
    found = [
        (f"{home.directory}/{name}", when, size) for home in families for name, when, size in _sources(home.directory)
    ]
    for name in further:
        status = os.stat(name)
        found.append((name, status.st_mtime_ns, status.st_size))
    return tuple(found)


def _imported(families: Sequence[Family]) -> list[str]:
    """The files beyond the families' own directories that came with them: what their distributions share."""
    tops = {_top(home.root) if home.root else home.package.partition(".")[0] for home in families}
    own = {home.directory for home in families}
    files = (getattr(m, "__file__", None) for n, m in tuple(sys.modules.items()) if n.partition(".")[0] in tops)
    return sorted({file for file in files if file and os.path.dirname(file) not in own})


# What rules declare of themselves is kept where Python keeps their compiled code, and believed as long as it does.
# Where that is somebody else's (a distribution's, root's), it is kept in the user's own cache: who can write there has
# the user's configuration beside it, which names code to run. A note of anybody else is not read: marshal trusts it.


def _places() -> Iterator[tuple[str, bool]]:
    """The directories for notes, and whether one has to be the user's alone."""
    yield os.path.join(_directory(), "__pycache__"), False
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ.get("HOME", ""), ".cache")
    if os.path.isabs(home):
        yield os.path.join(home, "reviewbot"), True


def _note(name: str) -> str:
    return f"{name}-{reviewbot.__version__}.{sys.implementation.cache_tag}"


def _private(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _recall(name: str, key: object, read: Callable[[Any], T | None]) -> T | None:
    """What was noted for the same key, as `read` makes it; None where there is no such note."""
    for directory, private in _places():
        try:
            if private and not _private(os.stat(directory)):
                continue
            with open(os.path.join(directory, _note(name)), "rb") as stream:
                if private and not _private(os.fstat(stream.fileno())):
                    continue
                noted, value = marshal.load(stream)  # noqa: S302 - as trustworthy as .pyc files, see above
            if noted == key and (found := read(value)) is not None:
                return found
        except (OSError, ValueError, EOFError, TypeError, LookupError, AttributeError):
            continue
    return None


def _remember(name: str, key: Any, value: Any) -> None:
    """Note it in the first place that takes it; where there is none, rules are imported each time."""
    if sys.dont_write_bytecode:
        return
    for directory, private in _places():
        temporary = os.path.join(directory, f"{_note(name)}.{os.getpid()}")
        try:
            os.makedirs(directory, 0o700 if private else 0o777, exist_ok=True)
            if private and not _private(os.stat(directory)):
                continue
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with open(os.open(temporary, flags, 0o600 if private else 0o666), "wb") as stream:
                marshal.dump((key, value), stream)
            os.replace(temporary, os.path.join(directory, _note(name)))
            return
        except OSError:
            with suppress(OSError):
                os.unlink(temporary)


def _pack(rule: Rule) -> tuple[Any, ...]:
    plain = (getattr(rule, name) for name in _PLAIN)
    return str(rule.severity), str(rule.confidence), tuple(rule.scope), str(rule.over), *plain


def _unpack(values: tuple[Any, ...]) -> Rule:
    severity, confidence, scope, over, *plain = values
    return Rule(
        severity=Severity(severity),
        confidence=Confidence(confidence),
        scope=Scope(*scope),
        over=Over(over),
        check=_lost,
        **dict(zip(_PLAIN, plain, strict=True)),
    )


# what marshal writes as it is
_PLAIN = tuple(name for name in Rule._fields if name not in ("severity", "confidence", "scope", "check", "over"))
