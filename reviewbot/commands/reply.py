# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot reply`: the mails that would answer a posting, printed or written as drafts. Sends nothing."""

from __future__ import annotations

import argparse
import re
import sys
from email.message import EmailMessage
from pathlib import Path

from reviewbot.commands.common import choose_rules, open_tree, parse_numbers, run_review, say
from reviewbot.commands.lore import load_series
from reviewbot.config import Config
from reviewbot.mail import addresses
from reviewbot.model import ConfigError, InputError
from reviewbot.reply import Per, ReplySettings, make_replies, write_mbox


def run(args: argparse.Namespace, config: Config) -> int:
    """The process's exit code: 0 also where there are findings, for the mails are what was asked for."""
    settings, rules = _settings(config), choose_rules(args, config)
    with open_tree(args, config) as tree:
        ground = load_series(args, config, tree)
        only = parse_numbers(args.patches, ground.series.expected) if args.patches else None
        reviewed = run_review(args, config, ground, rules, only)
    mails = make_replies(reviewed, settings)
    if not mails:
        say(args, "no reply: there is nothing to say")
    elif args.output is None:
        write_mbox(mails, sys.stdout.buffer)
        sys.stdout.flush()
    else:
        for number, mail in enumerate(mails, 1):
            say(args, f"wrote {_write(mail, args.output, ground.series.message_id, number)}")
    if mails and not settings.configured:
        say(args, "note: no [reply] sender is configured, so the drafts have none that could be answered")
    return 0


def _write(mail: EmailMessage, directory: str, message_id: str, number: int) -> Path:
    """One draft in a file of its own, as git send-email wants it; the file is an mbox, as mutt wants it."""
    # the name comes from a stranger's Message-ID: letters and digits, and never a path
    name = re.sub(r"[^A-Za-z0-9@_-]+", "-", message_id)[:120].strip("-") or "series"
    file = Path(directory) / f"{number:04}-{name}.mbox"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_mbox([mail], file)
    except OSError as error:
        raise InputError(f"cannot write '{file}': {error.strerror}") from error
    return file


def _settings(config: Config) -> ReplySettings:
    reply = config.reply
    if reply.per not in tuple(Per):
        raise ConfigError(f"'reply.per' must be patch or series, not '{reply.per}'")
    sender = addresses(reply.sender)
    if reply.sender and len(sender) != 1:
        raise ConfigError(f"'reply.sender' must be one address, not '{reply.sender}'")
    return ReplySettings(
        sender=sender[0] if sender else ReplySettings().sender,
        domain=reply.domain,
        per=Per(reply.per),
        template_dir=Path(reply.template_dir).expanduser() if reply.template_dir else None,
        budget=reply.budget,
        docs=reply.docs or None,
    )
