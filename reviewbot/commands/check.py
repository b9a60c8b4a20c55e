# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot check`: review patch files, an mbox or standard input; offline, without b4 and requests."""

from __future__ import annotations

import argparse

from reviewbot.commands.common import (
    choose_rules,
    exit_code,
    find_ground,
    numbers,
    open_tree,
    run_review,
    say,
    show,
)
from reviewbot.config import Config
from reviewbot.mail import local_series, parse_patch
from reviewbot.model import InputError, Mail
from reviewbot.source.mbox import MboxSource


def run(args: argparse.Namespace, config: Config) -> int:
    """The process's exit code."""
    rules = choose_rules(args, config)
    mails: list[Mail] = []
    refused: list[InputError] = []
    for name in args.files:
        for origin, raw in MboxSource(name).mails():
            try:
                mails.append(parse_patch(raw, origin))
            except InputError as error:
                refused.append(error)
    found = local_series(mails)
    if not found:
        # one bad mail never stops a run; nothing but bad mails is no run
        raise refused[0] if refused else InputError(f"no patch in '{', '.join(args.files)}'")
    for bad in refused:
        say(args, f"warning: {bad}")
    reviews = []
    with open_tree(args, config) as tree:
        for series in found:
            if series.missing:
                lacking = f"missing {numbers(series.missing)} of {series.expected}"
                say(args, f"warning: {lacking} of '{series.subject}': the rest is reviewed")
            reviews.append(run_review(args, config, find_ground(args, tree, series), rules))
    show(args, reviews)
    return exit_code(args, config, reviews)
