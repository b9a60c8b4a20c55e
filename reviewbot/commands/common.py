# SPDX-License-Identifier: GPL-2.0-or-later
"""What several commands do alike: choose rules, show a review, talk on stderr, say how it ended.

Belongs here: the steps between a Series and the process's exit code.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from reviewbot import registry
from reviewbot.config import Config, index_path, parse_span
from reviewbot.dossier import Needs
from reviewbot.engine import review
from reviewbot.finding import NO_TREE, NOT_APPLIED, TOO_LARGE, NotRun, Review
from reviewbot.model import Base, BaseHow, Confidence, ConfigError, InputError, ReviewbotError, Series, Severity
from reviewbot.output import render
from reviewbot.output.text import Screen, clean
from reviewbot.rule import Rule
from reviewbot.selection import Selection, matches, path_rules, refused_suppressions, select

if TYPE_CHECKING:
    from reviewbot.baseline import Baseline
    from reviewbot.config import TreeFile
    from reviewbot.dossier import Standing
    from reviewbot.gather import Around
    from reviewbot.source.commits import CommitFiles, Repository
    from reviewbot.tree import Files, Tree

# Lines on stderr about files that do not apply; all of them are in the JSON.
_MOST_TOLD = 10
DIFF_ALONE = "the diff alone is reviewed"


def say(args: argparse.Namespace, text: str) -> None:
    """A line on stderr for a person; nothing under -q. That it cannot be written is no reason not to go on."""
    if args.quiet:
        return
    if screen := sys.modules.get("reviewbot.commands.screen"):  # else there is no line of progress
        screen.wipe()
    try:
        print(clean(text), file=sys.stderr, flush=True)
    except OSError:
        # what is left in the buffer would make Python end with 120
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _names(given: Sequence[str] | None) -> tuple[str, ...]:
    """What an option that may be given several times, each time with commas, names."""
    return tuple(name for names in given or () for name in names.split(","))


def choose_rules(args: argparse.Namespace, config: Config, *, all_of: bool = False) -> list[Rule]:
    """The rules that --select and --ignore leave. Raises ConfigError for a name that is no rule, family or id.

    What the configuration leaves out is not run either, but for `all_of`: then it is run and not shown (`run_review`),
    so that it can be told what the bot, which has a configuration of its own, would say.
    """
    rules = registry.load(config.rules)
    chosen, ignored = _names(args.select), _names(args.ignore)
    lists = (name for one in config.list.values() for name in one.ignore)
    paths = (name for one in config.per_path.values() for name in (*one.select, *one.ignore))
    known = known_names(rules)
    for name in config.tool:
        if name in known:
            raise ConfigError(f"'tool.{name}' has the name of a rule or family: call it otherwise")
    said = (*chosen, *ignored)
    for name in (*said, *config.select, *config.ignore, *config.policy.ignore, *lists, *paths):
        if name not in known and name.split("/")[0] not in config.tool:
            where = "" if name in said else " (in the configuration)"
            raise ConfigError(f"no rule or family is named '{name}'{_nearest(name, known)}{where}")
    if not all_of:
        chosen, ignored = chosen or config.select, (*ignored, *config.ignore)
    return [
        rule
        for rule in rules
        if (not chosen or matches(chosen, rule.name, rule.id)) and not matches(ignored, rule.name, rule.id)
    ]


def _nearest(name: str, known: Collection[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name[:80], sorted(known), 1, 0.5)
    return f", did you mean '{near[0]}'?" if near else ""


def known_names(rules: Sequence[Rule]) -> frozenset[str]:
    """What a rule may be called: its name, its family, its id."""
    return frozenset(word for rule in rules for word in (rule.name, rule.name.split("/")[0], rule.id))


class Ground(NamedTuple):
    """A series and what it stands on."""

    series: Series  # with the base that a tree has
    files: Files | CommitFiles | None = None  # None where the diff alone is reviewed
    why: str | None = None  # why there are no files; None where there are, or none were asked for
    around: Around | None = None  # what else rules over the series may ask; None: nothing


@contextmanager
def open_tree(args: argparse.Namespace, config: Config) -> Iterator[Tree | str | None]:
    """The repository of --tree; why it cannot be opened, which is said and no error; None where none was asked for."""
    name = config.tree if args.tree is None else args.tree
    if not name:
        yield None
        return
    from reviewbot.tree import Tree

    try:
        tree = Tree.open(os.path.expanduser(name))
    except ReviewbotError as error:
        say(args, f"warning: {error}: {DIFF_ALONE}")
        yield str(error)
        return
    with tree:
        yield tree


def find_ground(args: argparse.Namespace, tree: Tree | str | None, series: Series) -> Ground:
    """The base of a series in the tree; says what was found and what it lacks."""
    if tree is None or isinstance(tree, str):
        return Ground(series, None, tree)
    try:
        found = tree.find_base(series)
    except ReviewbotError as error:
        say(args, f"warning: {error}: {DIFF_ALONE}")
        return Ground(series, None, str(error))
    if found.commit is None:
        say(args, f"warning: {'; '.join(found.notes)}: {DIFF_ALONE}")
        return Ground(series, None, "; ".join(found.notes))
    for note in found.notes:
        say(args, f"note: {note}")
    series = series._replace(base=found.base)
    say(args, f"base: {describe_base(found.base, found.said)}")
    return Ground(series, tree.files(found.commit))


def wanted_branches(args: argparse.Namespace, config: Config, tree: Tree | str | None) -> tuple[str, ...]:
    """The branches that series are to be tried on, of those that the tree has; says once which it has not."""
    if not hasattr(args, "branches"):
        return ()
    named = args.branches or ()
    if tree is None or isinstance(tree, str):
        if named and tree is None:
            say(args, "warning: --branch needs --tree: whether it applies is not looked at")
        return ()
    from reviewbot.branches import find_branch

    found: list[str] = []
    for name in dict.fromkeys((*config.branches, *named)):
        try:
            if find_branch(tree, name):
                found.append(name)
                continue
            why = f"no branch '{name}' in '{tree.directory}'"
        except ReviewbotError as error:
            why = str(error)
        say(args, f"warning: {why}: whether it applies there is not looked at")
    return tuple(found)


def try_branches(ground: Ground, tree: Tree | str | None, names: Sequence[str], base: str | None = None) -> Ground:
    """The series, to be tried on branches as well; `base` is what it applies to where no tree has found it."""
    if not names or tree is None or isinstance(tree, str):
        return ground
    from reviewbot.gather import Around
    from reviewbot.tree import Files

    commit = ground.files.commit if isinstance(ground.files, Files) else base
    return ground._replace(around=(ground.around or Around())._replace(tree=tree, commit=commit, branches=names))


def _tell_standings(args: argparse.Namespace, series: Series, standings: Sequence[Standing]) -> None:
    """One line for a person: which branches take a series, which have it, and where the others refuse it."""
    total = len(series.patches)
    takes: list[str] = []
    has: list[str] = []
    said: list[str] = []
    for standing in standings:
        some = f" (it has {numbers(standing.applied)}/{series.expected} already)" if standing.applied else ""
        if not standing.applies:
            first = standing.conflicts[0]
            because = f": {first.because}" if first.because else ""
            said.append(
                f"conflicts with {standing.branch}{some} in patch {first.patch}/{series.expected}, {first.at}{because}"
            )
        elif len(standing.applied) == total:
            has.append(standing.branch)
        else:
            takes.append(f"{standing.branch}{some}")
    if has:
        said.insert(0, f"is already in {', '.join(has)}")
    if takes:
        said.insert(0, f"applies to {', '.join(takes)}")
    if said:
        say(args, f"branches: {'; '.join(said)}")


def describe_base(base: Base, said: str = "declared") -> str:
    """The commit and how it was found, the version and what tells it."""
    version = "v{}.{}".format(*base.version) if base.version else "the newest kernel"
    if base.how is BaseHow.COMMITS:
        said = "the commit before"
    commit = f"commit {base.commit[:12]} ({said}), " if base.commit else ""
    if base.version_from is BaseHow.TREE:
        return f"{commit}{version} (its Makefile)"
    if base.commit and base.version_how is BaseHow.DATE:
        return f"{commit}taken for {version} (by date, the commit alone does not tell)"
    return f"{commit}{version} ({base.version_how})"


def tree_file(repository: Repository | None) -> TreeFile | None:
    """The .reviewbot.toml at the top of a repository, or of the work tree around the process; None where there is none.

    Of a bare repository it is HEAD's. Raises ConfigError where it is there and cannot be read.
    """
    from reviewbot.config import MAX_TREE_FILE, TREE_FILE, TreeFile

    top = repository.top if repository else _top(os.getcwd())
    if top is None:
        raw = repository.read("HEAD", TREE_FILE) if repository else None
    else:
        name = os.path.join(top, TREE_FILE)
        try:
            # a link may lead anywhere: out of the tree, to a device
            if not os.path.isfile(name) or os.path.islink(name):
                return None
            with open(name, "rb") as stream:
                raw = stream.read(MAX_TREE_FILE + 1)
        except OSError as error:
            raise ConfigError(f"cannot open '{name}': {error.strerror}") from error
    if raw is None:
        return None
    try:
        return TreeFile(TREE_FILE, raw.decode())
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot read '{TREE_FILE}': not UTF-8") from error


def _top(directory: str) -> str | None:
    """The work tree that a directory lies in, without asking git: the next one up that has a .git."""
    while not os.path.exists(os.path.join(directory, ".git")):
        if directory == (directory := os.path.dirname(directory)):
            return None
    return directory


def settle(args: argparse.Namespace, config: Config, repository: Repository | None) -> Config:
    """The settings with those of the tree: of the repository, or of the work tree that the process is in."""
    from reviewbot.config import load_config

    file = tree_file(repository)
    if file is None:
        return config
    settled = load_config(args.config, args.settings or (), file)
    known = known_names(registry.load(config.rules))

    def there_are(names: Sequence[str]) -> tuple[str, ...]:
        """A tree may have been written for a newer version of this program: that stops nothing."""
        for name in names:
            if name not in known and name.split("/")[0] not in config.tool:
                say(args, f"warning: no rule or family is named '{name}' in '{file.name}'{_nearest(name, known)}")
        return tuple(name for name in names if name in known or name.split("/")[0] in config.tool)

    ours = (*config.select, *config.ignore)
    settled = settled._replace(
        select=tuple(name for name in settled.select if name in ours or there_are([name])),
        ignore=tuple(name for name in settled.ignore if name in ours or there_are([name])),
        per_path={
            glob: table if config.per_path.get(glob) == table else type(table)(*map(there_are, table))
            for glob, table in settled.per_path.items()
        },
    )
    _tell_tree_file(args, config, settled, file.name)
    return settled


def _tell_tree_file(args: argparse.Namespace, config: Config, settled: Config, name: str) -> None:
    """What a tree's own file leaves out is no secret: it may be a stranger's."""
    said = []
    if ignored := [rule for rule in settled.ignore if rule not in config.ignore]:
        said.append(f"ignores {', '.join(ignored)}")
    if settled.select != config.select:
        said.append(f"selects {', '.join(settled.select) or 'everything'}")
    if globs := [glob for glob, table in settled.per_path.items() if config.per_path.get(glob) != table]:
        said.append(f"has rules of its own for {', '.join(globs)}")
    if said:
        say(args, f"note: '{name}' of the tree {'; '.join(said)}"[:1000])


def run_review(
    args: argparse.Namespace,
    config: Config,
    ground: Ground,
    rules: Sequence[Rule],
    only: Sequence[int] | None = None,
    repository: Repository | None = None,
    *,
    fold: bool = True,
) -> Review:
    """The review of a series by the chosen rules and tools, with what is to be shown marked; says what is lacking.

    Without `fold` what is found in several places is so many findings.
    """
    from reviewbot.gather import Around, gather

    around = ground.around or Around()
    if around.tell is None:
        around = around._replace(tell=lambda text: say(args, text))
    dossier = gather(ground.series, around._replace(files=ground.files, index_file=_index(config)))
    with watched(args) as update:
        total = len(ground.series.patches)
        progress = (lambda done: update(done, total, "patches reviewed")) if update else None
        reviewed = review(ground.series, rules, only, ground.files, progress, dossier)
    reviewed = reviewed._replace(not_run=(*reviewed.not_run, *_lacking(args, ground)))
    _tell_cut(args, reviewed)
    if dossier.has(Needs.BRANCHES):
        reviewed = reviewed._replace(branches=tuple(dossier.branches))
        _tell_standings(args, ground.series, dossier.branches)
    if any("reviewbot:" in text for patch in ground.series.patches for text in (patch.message, patch.notes)):
        for refusal in refused_suppressions(ground.series, known_names(registry.load(config.rules)) | set(config.tool)):
            say(args, f"warning: {refusal}")
    if (config.tool or getattr(args, "tool", None)) and not getattr(args, "no_tools", True):
        reviewed = _with_tools(args, config, reviewed, repository)
    known = _baseline(args, config)
    selection = Selection(
        strict=args.strict or config.strict,
        select=() if args.select else config.select,
        ignore=config.ignore,
        known=known.known if known else {},
        per_path=path_rules(config.per_path),
        fold=fold,
    )
    return select(reviewed, selection)


def _index(config: Config) -> str:
    """The file that has other series in flight; '' where there is none."""
    path = index_path(config)
    return path if os.path.exists(path) else ""


def _tell_cut(args: argparse.Namespace, reviewed: Review) -> None:
    """Say what was too much to be read or told: nothing found there does not mean that nothing is there."""
    cut = [entry.why for entry in reviewed.not_run if entry.rule == TOO_LARGE]
    cut += [
        f"{entry.rule} {entry.why}"
        for entry in reviewed.not_run
        if entry.why.startswith(("stopped after", "gave up")) and entry.rule != TOO_LARGE
    ]
    for why in cut[:_MOST_TOLD]:
        say(args, f"warning: {why}")
    if len(cut) > _MOST_TOLD:
        say(args, f"warning: so it is with {len(cut) - _MOST_TOLD} more")


@contextmanager
def watched(args: argparse.Namespace) -> Iterator[Callable[[int, int, str], None] | None]:
    """How progress is told: by (done, of how many, of what); None where nobody looks."""
    if args.quiet or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from reviewbot.commands.screen import Progress

    with Progress() as progress:
        yield progress.update


def _with_tools(args: argparse.Namespace, config: Config, reviewed: Review, repository: Repository | None) -> Review:
    """The review and what the configured tools say of the same series."""
    from reviewbot.tools import choose_tools, run_tools

    # the configuration's own `select` is about our rules: it does not silence a tool that it has itself
    wanted, ignore = _names(args.select), (*_names(args.ignore), *config.ignore)
    chosen = choose_tools(config.tool, args.tool or (), wanted, ignore)
    ran = run_tools(
        chosen, reviewed.series, repository, told=lambda text: say(args, f"warning: {text}"), only=reviewed.only
    ).wanted(wanted, ignore)
    return reviewed._replace(findings=(*reviewed.findings, *ran.findings), not_run=(*reviewed.not_run, *ran.not_run))


def _baseline(args: argparse.Namespace, config: Config) -> Baseline | None:
    """The findings that are known; None where no file of them is named."""
    name = getattr(args, "baseline", None) or config.baseline
    if not name:
        return None
    from reviewbot.baseline import read_baseline

    # what is to be written may not be there yet
    if getattr(args, "write_baseline", None) == name and not os.path.exists(os.path.expanduser(name)):
        return None
    return read_baseline(os.path.expanduser(name))


def settle_baseline(args: argparse.Namespace, config: Config, reviews: Sequence[Review]) -> bool:
    """Write the baseline that --write-baseline asks for, or say which entries of the one in use no finding has.

    True where one was written: what is in it is no reason to fail.
    """
    if getattr(args, "write_baseline", None):
        from reviewbot.baseline import write_baseline

        number = write_baseline(os.path.expanduser(args.write_baseline), reviews)
        say(args, f"wrote {number} finding{'' if number == 1 else 's'} to {args.write_baseline}")
        return True
    if known := _baseline(args, config):
        from reviewbot.baseline import unused

        ran = {rule.name for rule in choose_rules(args, config)}
        left = list(dict.fromkeys(map(str, unused(known, reviews, ran))))
        for entry in left[:_MOST_TOLD]:
            say(args, f"note: unused in the baseline: {entry}")
        if len(left) > _MOST_TOLD:
            say(args, f"note: so are {len(left) - _MOST_TOLD} more entries")
    return False


def foresee(args: argparse.Namespace, config: Config, reviewed: Review, addresses: Sequence[str] = ()) -> Review:
    """The review with what the bot would send, where somebody will read it."""
    if args.quiet and getattr(args, "format", None) != "json":
        return reviewed
    from reviewbot.forecast import forecast

    if args.select or args.ignore:
        return reviewed  # rules that the bot has were not run
    if not any(patch.author.email for patch in reviewed.series.patches) or not _sayable(reviewed):
        return reviewed  # what is staged has no author; where nothing is found nothing is sent
    return reviewed._replace(forecast=forecast(reviewed, config, addresses))


def _sayable(reviewed: Review) -> bool:
    """Some list may want to hear of it. Notes of low confidence are the author's own: no word on the bot for them."""
    return any(
        not finding.preexisting
        and finding.rule_id
        and (finding.confidence is Confidence.HIGH or finding.severity.rank <= Severity.WARNING.rank)
        for finding in reviewed.findings
    )


def tell_forecast(args: argparse.Namespace, reviewed: Review) -> None:
    """Say what the bot would send: 'the list bot would send 1 mail with 2 findings; silent on 3/7 (low confidence)'."""
    seen = reviewed.forecast
    if seen is None:
        return
    bot = f"the bot of {', '.join(seen.lists)}" if seen.lists else "the list bot"
    if seen.verdict:
        say(args, f"{bot} would send nothing ({seen.verdict})")
        return
    sent = "nothing"
    if seen.mails:
        sent = f"{seen.mails} mail{'' if seen.mails == 1 else 's'} with {seen.findings} finding"
        sent += "" if seen.findings == 1 else "s"
    groups: dict[str, list[int]] = {}
    for patch, why in seen.silent:
        groups.setdefault(why, []).append(patch)
    count = reviewed.series.expected
    silent = "; ".join(f"silent on {numbers(patches)}/{count} ({why})" for why, patches in groups.items())
    say(args, f"{bot} would send {sent}{'; ' if silent else ''}{silent}")


def _lacking(args: argparse.Namespace, ground: Ground) -> Iterator[NotRun]:
    """What of a series is not known from the tree, and why; says the first of the files."""
    files = ground.files
    if ground.why:
        yield NotRun(NO_TREE, ground.why)
    if files is None:
        return
    from reviewbot.tree import Files

    if not isinstance(files, Files):
        return
    count = ground.series.expected
    for number, failure in enumerate(files.failures):
        text = f"patch {failure.patch}/{count}, {failure}"
        if number < _MOST_TOLD:
            say(args, f"warning: {text}: the diff alone is reviewed there")
        yield NotRun(NOT_APPLIED, text)
    if files.failed > len(files.failures):
        yield NotRun(NOT_APPLIED, f"{files.failed - len(files.failures)} more files")
    if files.failed > _MOST_TOLD:
        say(args, f"warning: so it is with {files.failed - _MOST_TOLD} more files")
    if files.trouble:
        say(args, f"warning: {files.trouble}: {DIFF_ALONE} from there on")
        yield NotRun(NO_TREE, files.trouble)


def show(args: argparse.Namespace, config: Config, reviews: Sequence[Review], top: str | None = None) -> None:
    """Print reviews in the format asked for: full on a terminal, terse when piped. `top` is the work tree's, if any."""
    terminal = sys.stdout.isatty()
    chosen = args.format or ("full" if terminal else "terse")
    if not terminal or chosen not in ("full", "terse"):
        color = chosen == "full" and args.color == "always"
        sys.stdout.write(render(chosen, reviews, Screen(color=color, root=top, docs=config.reply.docs or None)))
        return
    from reviewbot.commands.screen import make_screen, paged

    with paged(args):
        sys.stdout.write(render(chosen, reviews, make_screen(args, config, top)))


def exit_code(args: argparse.Namespace, config: Config, reviews: Sequence[Review]) -> int:
    """1 where something at or above --fail-on is shown, else 0."""
    limit = args.fail_on or config.fail_on
    if limit == "never":
        return 0
    rank = Severity(limit).rank
    worst = [severity.rank for reviewed in reviews if (severity := reviewed.worst()) is not None]
    return 1 if worst and min(worst) <= rank else 0


def numbers(found: Sequence[int]) -> str:
    """Ascending numbers for a person: '1-3, 7'."""
    runs: list[list[int]] = []
    for number in found:
        if runs and number == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    return ", ".join("-".join(map(str, run)) for run in runs)


def parse_numbers(text: str, expected: int) -> tuple[int, ...]:
    """'1-3,5' or '2-' -> patch numbers. Raises InputError for what is no list of numbers of this series."""
    chosen: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (first or last).isdecimal() or not all(n == "" or n.isdecimal() for n in (first, last)) or len(part) > 9:
            raise InputError(f"not a list of patch numbers: '{text}', such as 1-3,5 is expected")
        start = int(first or 1)
        end = int(last or expected) if dash else start
        if not 1 <= start <= end <= expected:
            raise InputError(f"no patch {part.strip()} in a series of {expected}")
        chosen.extend(range(start, end + 1))
    return tuple(dict.fromkeys(chosen))


# Before all mail that is archived anywhere.
_FIRST = datetime(1970, 6, 1, tzinfo=UTC)


def parse_when(text: str | None, option: str) -> datetime | None:
    """'2026-01-31', '2026-01-31T12:00', '30d' (ago) -> that time; None for None. Raises InputError for what is none."""
    if text is None:
        return None
    try:
        if (span := parse_span(text)) is not None:
            return max(datetime.now(UTC) - span, _FIRST)
        when = datetime.fromisoformat(text)
        return max(when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC), _FIRST)
    except OverflowError:
        return _FIRST
    except ValueError as error:
        raise InputError(f"{option}: not a time: '{text}', such as 2026-01-31 or 30d is expected") from error
