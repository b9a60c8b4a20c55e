# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot check`: review commits, patch files, an mbox or standard input; offline, without b4 and requests."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from reviewbot.commands.common import (
    Ground,
    choose_rules,
    describe_base,
    exit_code,
    find_ground,
    foresee,
    numbers,
    open_tree,
    run_review,
    say,
    settle,
    settle_baseline,
    show,
    tell_forecast,
    try_branches,
    wanted_branches,
    watched,
)
from reviewbot.config import Config
from reviewbot.finding import Review
from reviewbot.mail import local_series
from reviewbot.model import InputError, Mail, NotFoundError, Series
from reviewbot.rule import Rule

if TYPE_CHECKING:
    from reviewbot.source.commits import Commits, Repository
    from reviewbot.tree import Tree

# What can only be meant as a file, so that git need not be asked whether it is a branch, too.
_FILES = (".patch", ".diff", ".mbox", ".mbx", ".eml", ".txt")


def run(args: argparse.Namespace, config: Config) -> int:
    """The process's exit code."""
    if args.staged and args.what:
        raise InputError(f"--staged is what is staged, not '{args.what[0]}'")
    files = [name for name in args.what if name == "-" or (os.path.lexists(name) and _is_file(name))]
    if any(name.endswith(_FILES) or name.startswith(("/", "./", "../")) for name in args.what):
        files = args.what  # one that is not there is told as a file that is not there
    if args.what and len(files) == len(args.what):
        if args.fix:
            raise InputError(f"--fix needs commits of a work tree, '{files[0]}' is a file: see --format diff")
        return _check_files(args, config)
    return _check_commits(args, config, files)


def _is_file(name: str) -> bool:
    """What is there under a name is meant. Raises InputError where it may be a branch as well, as git does."""
    if name.endswith(_FILES) or os.sep in name:
        return True
    from reviewbot.source.commits import Repository

    try:
        repository = Repository.open()
    except InputError:
        return True
    with repository:
        if not repository.is_revision(name):
            return True
        if repository.top is None:
            return False  # a bare repository has a file HEAD
        raise InputError(f"'{name}' is both a file and a revision: write ./{name} or refs/heads/{name}")


# -- files ----------------------------------------------------------------------------------------


def _check_files(args: argparse.Namespace, config: Config) -> int:
    own, config = config, settle(args, config, None)
    rules = choose_rules(args, config, all_of=True)
    return _conclude(args, own, config, review_files(args, config, rules, args.what), None)


def review_files(args: argparse.Namespace, config: Config, rules: Sequence[Rule], names: Sequence[str]) -> list[Review]:
    """The reviews of the series in files. Raises InputError where there is no patch."""
    from reviewbot.mime import parse_patch
    from reviewbot.source.mbox import MboxSource

    mails: list[Mail] = []
    refused: list[InputError] = []
    for name in names:
        try:
            for origin, raw in MboxSource(name).mails():
                try:
                    mails.append(parse_patch(raw, origin))
                except InputError as error:
                    refused.append(error)
        except NotFoundError:
            raise
        except InputError as error:  # git format-patch writes an empty file of an empty commit
            refused.append(error)
    found = local_series(mails)
    if not found:
        # one bad mail never stops a run; nothing but bad mails is no run
        raise refused[0] if refused else InputError(f"no patch in '{', '.join(names)}'")
    for bad in refused:
        say(args, f"warning: {bad}")
    return review_mails(args, config, rules, found)


def review_mails(
    args: argparse.Namespace, config: Config, rules: Sequence[Rule], found: Sequence[Series]
) -> list[Review]:
    """The reviews of series that were read from mails."""
    reviews = []
    with open_tree(args, config) as tree:
        branches = wanted_branches(args, config, tree)
        for series in found:
            if series.missing:
                lacking = f"missing {numbers(series.missing)} of {series.expected}"
                say(args, f"warning: {lacking} of '{series.subject}': the rest is reviewed")
            ground = try_branches(find_ground(args, tree, series), tree, branches)
            reviews.append(run_review(args, config, ground, rules))
    return reviews


# -- commits --------------------------------------------------------------------------------------


def _check_commits(args: argparse.Namespace, config: Config, files: Sequence[str]) -> int:
    from reviewbot.source.commits import Repository

    if args.tree:
        raise InputError("--tree is for patch files: commits are reviewed in their own repository")
    try:
        repository = Repository.open()
    except NotFoundError as error:
        if args.what and not files:
            raise InputError(f"cannot open '{args.what[0]}': No such file or directory, and {error}") from None
        raise
    with repository:
        if files:
            rest = next((name for name in args.what if name not in files), args.what[0])
            raise InputError(f"'{files[0]}' is a file and '{rest}' is none: name files or commits")
        own, config = config, settle(args, config, repository)
        rules = choose_rules(args, config, all_of=True)
        if args.staged:
            if args.fix:
                raise InputError("--fix is for commits: commit what is staged first")
            reviewed = review_series(args, config, rules, repository, repository.staged())
        else:
            commits = repository.find(args.what)
            if not commits.ids:
                say(args, f"nothing to review in {commits.name}")
                if args.format:
                    show(args, config, [], repository.top)
                return 0
            reviewed = review_commits(args, config, rules, repository, commits)
        if args.fix:
            from reviewbot.commands.fixing import apply_fixes

            return apply_fixes(args, repository, [reviewed], config)
        return _conclude(args, own, config, [reviewed], repository.top)


def review_commits(
    args: argparse.Namespace,
    config: Config,
    rules: Sequence[Rule],
    repository: Repository,
    commits: Commits,
    only: Sequence[int] | None = None,
) -> Review:
    """The review of commits as the series that they are. Raises InputError where there are none."""
    with watched(args) as update:
        total = len(commits.ids)
        progress = (lambda done: update(done, total, "commits read")) if update else None
        series = repository.series(commits, progress)
    return review_series(args, config, rules, repository, series, only)


def review_series(
    args: argparse.Namespace,
    config: Config,
    rules: Sequence[Rule],
    repository: Repository,
    series: Series,
    only: Sequence[int] | None = None,
) -> Review:
    """The review of a series that came out of a repository, in which its files are."""
    for warning in series.warnings:
        say(args, f"note: {warning}")
    say(args, f"base: {describe_base(series.base)}" if series.base.commit else "base: none, the first commit is a root")
    files = repository.files(series)
    with _as_tree(args, config, repository) as tree:
        ground = try_branches(Ground(series, files), tree, wanted_branches(args, config, tree), series.base.commit)
        reviewed = run_review(args, config, ground, rules, only, repository)
    for lost in files.lost:
        say(args, f"warning: {lost}: the diff alone is reviewed there")
    return reviewed


@contextmanager
def _as_tree(args: argparse.Namespace, config: Config, repository: Repository) -> Iterator[Tree | str | None]:
    """The repository as one that series are applied to; None where no branch of it is named."""
    if not config.branches and not getattr(args, "branches", None):
        yield None
        return
    from reviewbot.tree import Tree

    try:
        tree = Tree.open(repository.git_dir)
    except InputError as error:
        say(args, f"warning: {error}: whether it applies to branches is not looked at")
        yield str(error)
        return
    with tree:
        yield tree


# -- both -----------------------------------------------------------------------------------------


def _conclude(args: argparse.Namespace, own: Config, config: Config, reviews: Sequence[Review], top: str | None) -> int:
    """Show reviews, say what the bot would make of them, keep the baseline. The process's exit code.

    `own` is the configuration without the tree's file, which the bot does not read.
    """
    foreseen = [foresee(args, own, reviewed) for reviewed in reviews]
    show(args, config, foreseen, top)
    for reviewed in foreseen:
        tell_forecast(args, reviewed)
    if settle_baseline(args, config, foreseen):
        return 0
    return exit_code(args, config, foreseen)
