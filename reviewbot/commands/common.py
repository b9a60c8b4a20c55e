# SPDX-License-Identifier: GPL-2.0-or-later
"""What several commands do alike: choose rules, show a review, talk on stderr, say how it ended.

Belongs here: the steps between a Series and the process's exit code.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from reviewbot import registry
from reviewbot.config import Config
from reviewbot.engine import review
from reviewbot.finding import NO_TREE, NOT_APPLIED, NotRun, Review
from reviewbot.model import Base, BaseHow, ConfigError, InputError, ReviewbotError, Series, Severity
from reviewbot.output import render
from reviewbot.output.text import clean
from reviewbot.rule import CodeRule
from reviewbot.selection import Selection, matches, select

if TYPE_CHECKING:
    from reviewbot.tree import Files, Tree

# Lines on stderr about files that do not apply; all of them are in the JSON.
_MOST_TOLD = 10
DIFF_ALONE = "the diff alone is reviewed"


def say(args: argparse.Namespace, text: str) -> None:
    """A line on stderr for a person; nothing under -q."""
    if not args.quiet:
        print(clean(text), file=sys.stderr)


def choose_rules(args: argparse.Namespace, config: Config) -> list[CodeRule]:
    """The rules that --select and --ignore leave. Raises ConfigError for a name that is no rule, family or id."""
    rules = registry.load()
    chosen = tuple(name for names in args.select or () for name in names.split(",")) or config.select
    ignored = (*(name for names in args.ignore or () for name in names.split(",")), *config.ignore)
    lists = (name for one in config.list.values() for name in one.ignore)
    known = {word for rule in rules for word in (rule.name, rule.name.split("/")[0], rule.id)}
    for name in (*chosen, *ignored, *config.policy.ignore, *lists):
        if name not in known:
            from difflib import get_close_matches

            near = get_close_matches(name, sorted(known), 1, 0.5)
            raise ConfigError(f"no rule or family is named '{name}'" + (f", did you mean '{near[0]}'?" if near else ""))
    return [
        rule
        for rule in rules
        if (not chosen or matches(chosen, rule.name, rule.id)) and not matches(ignored, rule.name, rule.id)
    ]


class Ground(NamedTuple):
    """A series and what it stands on."""

    series: Series  # with the base that a tree has
    files: Files | None = None  # None where the diff alone is reviewed
    why: str | None = None  # why there are no files; None where there are, or none were asked for


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


def describe_base(base: Base, said: str = "declared") -> str:
    """The commit and how it was found, the version and what tells it."""
    version = "v{}.{}".format(*base.version) if base.version else "the newest kernel"
    commit = f"commit {base.commit[:12]} ({said}), " if base.commit else ""
    if base.version_from is BaseHow.TREE:
        return f"{commit}{version} (its Makefile)"
    if base.commit and base.version_how is BaseHow.DATE:
        return f"{commit}taken for {version} (by date, the commit alone does not tell)"
    return f"{commit}{version} ({base.version_how})"


def run_review(
    args: argparse.Namespace,
    config: Config,
    ground: Ground,
    rules: Sequence[CodeRule],
    only: Sequence[int] | None = None,
) -> Review:
    """The review of a series by the chosen rules, with what is to be shown marked; says what does not apply."""
    reviewed = review(ground.series, rules, only, ground.files)
    reviewed = reviewed._replace(not_run=(*reviewed.not_run, *_lacking(args, ground)))
    return select(reviewed, Selection(strict=args.strict or config.strict))


def _lacking(args: argparse.Namespace, ground: Ground) -> Iterator[NotRun]:
    """What of a series is not known from the tree, and why; says the first of the files."""
    files = ground.files
    if ground.why:
        yield NotRun(NO_TREE, ground.why)
    if files is None:
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


def show(args: argparse.Namespace, reviews: Sequence[Review]) -> None:
    """Print reviews in the format asked for: full on a terminal, terse when piped; JSON of several is a list."""
    chosen = args.format or ("full" if sys.stdout.isatty() else "terse")
    texts = [render(chosen, reviewed, color=use_color(args)) for reviewed in reviews]
    if chosen == "json" and len(texts) > 1:
        texts = ["[\n", ",\n".join(text.rstrip("\n") for text in texts), "\n]\n"]
    sys.stdout.write("".join(texts))


def use_color(args: argparse.Namespace) -> bool:
    """--color, else NO_COLOR (any value but an empty one says no), else whether stdout is a terminal."""
    if args.color != "auto":
        return bool(args.color == "always")
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


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
