# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot reply`: the mails that would answer a posting: printed, written as drafts, or with --send sent."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

from reviewbot.commands.common import choose_rules, open_tree, parse_numbers, run_review, say
from reviewbot.commands.lore import load_series
from reviewbot.config import Config
from reviewbot.model import InputError, ReviewbotError, TemporaryError
from reviewbot.recipients import reply_settings
from reviewbot.reply import make_replies, write_mbox
from reviewbot.rule import Rule


def run(args: argparse.Namespace, config: Config) -> int:
    """The process's exit code: 0 also where there are findings, for the mails are what was asked for."""
    if args.yes and not args.send:
        raise InputError("--yes is for --send")
    settings, rules = reply_settings(config), choose_rules(args, config)
    if args.send:
        return _send(args, config, rules)
    with open_tree(args, config) as tree:
        ground = load_series(args, config, tree)
        only = parse_numbers(args.patches, ground.series.expected) if args.patches else None
        reviewed = run_review(args, config, ground, rules, only)
    mails = make_replies(reviewed, settings)
    if not mails:
        some = any(not finding.preexisting and finding.resolved_by is None for finding in reviewed.shown)
        say(args, f"no reply: {'nobody can be written to' if some else 'there is nothing to say'}")
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


def _send(args: argparse.Namespace, config: Config, rules: Sequence[Rule]) -> int:
    """Send the replies now, as the policy allows, but for the wait and the caps: a person has decided."""
    from reviewbot.bot import Bot
    from reviewbot.bot.site import Site
    from reviewbot.commands.lore import fetch_thread
    from reviewbot.commands.queue import describe
    from reviewbot.commands.watch import end_lease, only_one, print_error, print_event, read_index
    from reviewbot.ledger import Ledger, MailState, ledger_path
    from reviewbot.mime import parse_mail
    from reviewbot.policy import Mode, Reason, is_list
    from reviewbot.send import open_transport
    from reviewbot.source.mbox import MboxSource

    if args.patches or args.revision or args.latest:
        raise InputError("--send answers the whole posting that is named: without -P, -v and --latest")
    if args.strict:
        raise InputError("--send says what the lists' severity and confidence allow: without --strict")
    source, raws, name = fetch_thread(args, config)
    now = datetime.now(UTC)
    with ExitStack() as stack:
        tree = stack.enter_context(open_tree(args, config))
        path = ledger_path(config)
        holder = stack.enter_context(only_one(path))
        ledger = stack.enter_context(Ledger(path))
        if holder is not None or (holder := ledger.lease(now)) is not None:
            raise TemporaryError(f"a pass is at it ({holder}): try again when it is done")
        stack.callback(end_lease, ledger)
        broken: list[ReviewbotError] = []
        bot = Bot(Site(
            config, ledger, rules=rules, transport=lambda: open_transport(config.send), tell=print_event,
            source=source, tree=None if isinstance(tree, str) else tree, index=read_index(stack, broken, config),
        ))  # fmt: skip
        bot.site.troubles += broken
        if not isinstance(source, MboxSource):
            # an archive has it, so it is public, on every list it went to; a file proves nothing
            mail = next(mail for raw in raws if (mail := parse_mail(raw)).message_id == name)
            bot.site.via = tuple(one.email.lower() for one in (*mail.to, *mail.cc) if is_list(one.email, config))
        bot.intake.add(raws)
        ledger.release_dead(now)
        weighed = bot.weighing.weigh(name, manual=True)
        if weighed.verdict is not None:
            ledger.decide(weighed.posting.id, now, weighed.verdict.reason, weighed.verdict.text, final=True)
            say(args, f"not sent: {weighed.verdict.reason}: {weighed.verdict.text}".rstrip(": "))
            return 0 if weighed.verdict.reason is Reason.NOTHING_FOUND else 1
        if weighed.terms.mode is Mode.DRAFT:
            say(args, f"not sent: {Reason.DRAFT}: {weighed.terms.decided_by} gets drafts alone")
            return 1
        for draft in weighed.drafts:
            sys.stdout.flush()
            sys.stdout.buffer.write(draft.raw + b"\n")
            sys.stdout.flush()
        if not args.yes and not _agreed(len(weighed.drafts)):
            say(args, "not sent")
            return 1
        put = bot.delivery.enqueue(weighed, manual=True)
        bot.delivery.deliver(put, at_once=True)
        for error in bot.site.troubles:
            print_error(error)
        waiting = [mail for mail in ledger.outgoing() if mail.message_id in put and mail.state is not MailState.SENT]
        for left in waiting:
            say(args, describe(left))
        if not put:
            say(args, "not sent: these replies were sent before, or wait in the queue")
        return max([int(bool(waiting or not put)), *(error.exit_code for error in bot.site.troubles)])


def _agreed(count: int) -> bool:
    """A person at the terminal says yes."""
    if not sys.stdin.isatty():
        raise InputError("standard input is no terminal to ask at: --yes sends without asking")
    print(f"Send {'this mail' if count == 1 else f'these {count} mails'}? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
