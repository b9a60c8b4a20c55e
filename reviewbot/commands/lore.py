# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot lore`: fetch a thread, review the posting that holds the Message-ID, print the findings."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from reviewbot.commands.common import (
    Ground,
    choose_rules,
    describe_base,
    exit_code,
    find_ground,
    numbers,
    open_tree,
    parse_numbers,
    run_review,
    say,
    show,
    try_branches,
    wanted_branches,
)
from reviewbot.config import Config
from reviewbot.gather import Around
from reviewbot.model import Series

if TYPE_CHECKING:
    from reviewbot.source import Source
    from reviewbot.tree import Tree


def run(args: argparse.Namespace, config: Config) -> int:
    """The process's exit code."""
    rules = choose_rules(args, config)  # before anything is fetched: a wrong name needs no network
    with open_tree(args, config) as tree:
        ground = load_series(args, config, tree)
        only = parse_numbers(args.patches, ground.series.expected) if args.patches else None
        reviewed = run_review(args, config, ground, rules, only)
    show(args, config, [reviewed])
    return exit_code(args, config, [reviewed])


def load_series(args: argparse.Namespace, config: Config, tree: Tree | str | None) -> Ground:
    """The posting that the arguments name, on its base; says on stderr what was fetched and what it is."""
    from reviewbot.revisions import find_series

    source, raws, message_id = fetch_thread(args, config)
    found = find_series(source, raws, message_id, revision=args.revision, latest=args.latest)
    series = found.series
    if found.fetched:
        say(args, f"fetched {_mails(found.fetched)} of <{series.message_id}>")
    describe(args, series)
    ground = find_ground(args, tree, series)
    if ground.files is None:
        say(args, f"base: {describe_base(series.base)}")
    if args.revision or args.latest:
        say(args, f"note: v{series.revision} is <{series.message_id}>")
    if found.newest:
        say(args, f"note: v{series.newest} is known: <{found.newest}>, --latest reviews it")
    if found.trouble:
        say(args, f"note: cannot look for newer revisions: {found.trouble}")
    ground = ground._replace(around=Around(source, found.raws, tell=lambda text: say(args, text)))
    return try_branches(ground, tree, wanted_branches(args, config, tree))


def fetch_thread(args: argparse.Namespace, config: Config) -> tuple[Source, list[bytes], str]:
    """Where the mail that the arguments name comes from, its thread, and its Message-ID; says what was fetched."""
    from reviewbot.source import open_source
    from reviewbot.source.lore import LoreSource

    url = args.lore_url or config.lore.url
    message_id, its_url = _find_target(args, config, url)
    source: Source = open_source(args.mbox) if args.mbox else LoreSource(args.lore_url or its_url or url)
    raws = source.thread(message_id)
    place = source.url if isinstance(source, LoreSource) else args.mbox
    say(args, f"fetched {_mails(len(raws))} from {place}")
    return source, raws, message_id


def _find_target(args: argparse.Namespace, config: Config, lore_url: str) -> tuple[str, str | None]:
    """As `parse_target` has it, also for an address of Patchwork; says what a number there stands for."""
    from reviewbot.patchwork import Numbered, find_message_id, parse_address
    from reviewbot.source.lore import parse_target

    address = parse_address(args.target, config.patchwork.url)
    if address is None:
        return parse_target(args.target, lore_url)
    if not isinstance(address, Numbered):
        return address, None
    message_id = find_message_id(address)
    say(args, f"{address} is <{message_id}>")
    return message_id, None


def _mails(count: int) -> str:
    return "1 mail" if count == 1 else f"{count} mails"


def describe(args: argparse.Namespace, series: Series) -> None:
    """On stderr: which revision, and whether it is complete."""
    count = (
        f"{len(series.patches)} of {series.expected} patches"
        if series.missing
        else ("1 patch" if series.expected == 1 else f"{series.expected} patches")
    )
    say(args, f"reviewing v{series.revision}, {count}: {series.subject}")
    if series.missing:
        lacking = f"missing {numbers(series.missing)} of {series.expected}"
        say(args, f"warning: incomplete series, {lacking}: the rest is reviewed")
    for warning in series.warnings:
        say(args, f"warning: {warning}")
