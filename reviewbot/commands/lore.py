# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot lore`: fetch a thread, review the posting that holds the Message-ID, print the findings."""

from __future__ import annotations

import argparse

from reviewbot.commands.common import exit_code, parse_numbers, run_review, say, show
from reviewbot.config import Config
from reviewbot.model import Series


def run(args: argparse.Namespace, config: Config) -> int:
    """The process's exit code."""
    series = load_series(args, config)
    only = parse_numbers(args.patches, series.expected) if args.patches else None
    reviewed = run_review(args, config, series, only)
    show(args, reviewed)
    return exit_code(args, config, [reviewed])


def load_series(args: argparse.Namespace, config: Config) -> Series:
    """The posting that the arguments name; says on stderr what was fetched and what it is."""
    from reviewbot.series import build_series
    from reviewbot.source import open_source
    from reviewbot.source.lore import LoreSource, parse_target

    url = args.lore_url or config.lore.url
    message_id, its_url = parse_target(args.target, url)
    if args.mbox:
        raws, place = open_source(args.mbox).thread(message_id), args.mbox
    else:
        source = LoreSource(args.lore_url or its_url or url)
        raws, place = source.thread(message_id), source.url
    say(args, f"fetched {len(raws)} {'mail' if len(raws) == 1 else 'mails'} from {place}")
    series = build_series(raws, message_id, revision=args.revision, latest=args.latest)
    describe(args, series)
    return series


def describe(args: argparse.Namespace, series: Series) -> None:
    """On stderr: which revision, whether it is complete, which base and how it was chosen."""
    count = f"{len(series.patches)} of {series.expected} patches" if series.missing else (
        "1 patch" if series.expected == 1 else f"{series.expected} patches"
    )
    say(args, f"reviewing v{series.revision}, {count}: {series.subject}")
    if series.missing:
        numbers = ", ".join(map(str, series.missing))
        say(args, f"warning: incomplete series, missing {numbers} of {series.expected}: the rest is reviewed")
    for warning in series.warnings:
        say(args, f"warning: {warning}")
    version = "v{}.{}".format(*series.base.version) if series.base.version else "the newest kernel"
    if series.base.commit:
        say(args, f"base: commit {series.base.commit[:12]} (declared), taken for {version} (by date, the commit alone does not tell)")
    else:
        say(args, f"base: {version} ({series.base.how})")
    if series.newest is not None and series.newest > series.revision:
        say(args, f"note: v{series.newest} is known, --latest reviews it")
