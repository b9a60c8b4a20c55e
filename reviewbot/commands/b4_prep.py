# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot b4-prep`: the check of `b4 prep --check`: a patch on standard input, a line a finding.

Belongs here: that protocol (LoreMessage.run_local_check() of b4 0.16). Every line on stdout is a warning, or an error
where it holds `ERROR:`; every line on stderr is an error; the exit status counts where there is neither. So there is no
banner, no summary, no empty line, nothing on stderr, and what goes wrong is one line with `ERROR:`. b4 has no check for
whole series: the patch is looked for on the branch, and reviewed as a part of what it finds there.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from typing import TYPE_CHECKING

from reviewbot.commands.b4_check import find_patch, join, open_repository, put, read_mail
from reviewbot.commands.common import Ground, choose_rules, find_ground, open_tree, run_review, settle
from reviewbot.config import Config
from reviewbot.finding import Fault, Finding, Review
from reviewbot.mail import local_series
from reviewbot.model import InputError, Patch, ReviewbotError, Series
from reviewbot.output.text import also_at, clean, entries, fault_place, place, rule_failed, sentence

if TYPE_CHECKING:
    from reviewbot.source.commits import Repository


def run(args: argparse.Namespace, config: Config) -> int:
    """Always 0: b4 reads the lines."""
    args.quiet = True
    reviewed = _review(args, config)
    sys.stdout.write("".join(f"{_line(entry)}\n" for entry in entries(reviewed)))
    return 0


def tell(_args: argparse.Namespace, text: str) -> int:
    """What went wrong, as a line that b4 shows; gives the exit status."""
    sys.stdout.write(f"ERROR: not reviewed: {clean(' '.join(text.split()))}\n")
    return 0


def _review(args: argparse.Namespace, config: Config) -> Review:
    found = local_series([read_mail()])
    if not found or not found[0].patches:
        raise InputError("there is no patch on standard input")
    alone = found[0]
    with contextlib.ExitStack() as stack:
        repository = open_repository(stack)
        config = settle(args, config, repository)
        rules = choose_rules(args, config)
        if repository and not args.tree and (branch := _on_branch(repository, alone.patches[0])):
            series, index = branch
            ground = Ground(series, repository.files(series))
            return run_review(args, config, ground, rules, (index,), repository)
        tree = stack.enter_context(open_tree(args, config))
        return run_review(args, config, find_ground(args, tree, alone), rules)


def _on_branch(repository: Repository, mailed: Patch) -> tuple[Series, int] | None:
    """The series of the branch that is checked out, and the patch's number in it; None where it is not in it."""
    try:
        series = repository.series(repository.find())
    except ReviewbotError:
        return None
    patch = find_patch(mailed, series)
    return (put(series, join(mailed, patch)), patch.index) if patch else None


def _line(entry: Finding | Fault) -> str:
    if isinstance(entry, Fault):
        name = "rule-failed" if rule_failed(entry) else "unreadable-diff"
        return f"{fault_place(entry)}: ERROR: {clean(entry.message)} [reviewbot/{name}]"
    also = f" (also at {also_at(entry.places)})" if entry.places else ""
    where = place(entry.span, entry.patch.mail).rpartition(":")[0]
    return f"{where}: {entry.severity.upper()}: {sentence(entry)}{also} [{clean(entry.rule)}]"
