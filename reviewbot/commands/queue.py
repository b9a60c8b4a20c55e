# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot queue`: the mails that wait for a person: list, show, approve (and send), drop."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from email import policy
from email.parser import BytesHeaderParser
from pathlib import Path

from reviewbot.bot import Bot
from reviewbot.bot.site import Site
from reviewbot.commands.common import choose_rules, open_tree, say
from reviewbot.commands.watch import end_lease, only_one, open_feeds, open_index, print_error, print_event
from reviewbot.config import Config, index_path
from reviewbot.index import Index
from reviewbot.ledger import FindingState, Ledger, MailState, Outgoing, ledger_path
from reviewbot.model import InputError, NotFoundError, ReviewbotError, TemporaryError
from reviewbot.output.text import clean
from reviewbot.policy import Reason
from reviewbot.send import open_transport

# What a person can do something about.
_OPEN = (MailState.QUEUED, MailState.DRAFT, MailState.READY, MailState.UNCERTAIN, MailState.FAILED)


def run(args: argparse.Namespace, config: Config) -> int:
    """The process's exit code. Raises NotFoundError where a number is no mail's."""
    path = ledger_path(config)
    if args.action == "list" and args.ids:
        raise InputError(f"'{args.ids[0]}': to see a mail: reviewbot queue show {args.ids[0]}")
    if not os.path.exists(path):
        if args.ids:
            raise NotFoundError(f"no mail '{args.ids[0]}' in the queue: there is no ledger '{path}' yet")
        ledger_is_empty(args, path)
        return 0
    if args.action != "list" and not args.ids:
        raise InputError(f"which mail? reviewbot queue {args.action} NUMBER")
    if args.action in ("list", "show"):
        with Ledger(path) as ledger:
            if args.action == "list":
                _list(args, ledger.outgoing(*_OPEN))
            else:
                _show(args, [_find(ledger, name) for name in args.ids])
        return 0
    if args.action == "drop":
        with only_one(path) as holder, Ledger(path) as ledger:
            mails = _find_open(ledger, args.ids)
            try:
                _check_idle(ledger, holder, mails, (MailState.READY, MailState.UNCERTAIN))
                for mail in mails:
                    _drop(args, ledger, mail)
            finally:
                end_lease(ledger)
        return 0
    return _approve(args, config, path)


def ledger_is_empty(args: argparse.Namespace, path: str) -> None:
    """There is nothing to list."""
    if args.format == "json":
        print("[]")
    else:
        say(args, f"nothing: there is no ledger '{path}' yet")


def _find(ledger: Ledger, name: str) -> Outgoing:
    mail = ledger.outgoing_by(int(name)) if name.isdecimal() and len(name) < 16 else None
    if mail is None:
        raise NotFoundError(f"no mail '{clean(name)[:80]}' in the queue")
    return mail


def _find_open(ledger: Ledger, names: Sequence[str]) -> list[Outgoing]:
    """The mails of these numbers, each once; none is touched where one of them is no mail, or is done with."""
    mails = {mail.id: mail for mail in (_find(ledger, name) for name in names)}
    for mail in mails.values():
        if mail.state not in _OPEN:
            raise InputError(f"mail {mail.id} is {mail.state}: there is nothing to decide")
    return list(mails.values())


def _check_idle(ledger: Ledger, holder: str | None, mails: Sequence[Outgoing], states: Collection[MailState]) -> None:
    """Raises TemporaryError where a pass is at it, and may be sending one of the mails at this moment."""
    other = holder or ledger.lease(datetime.now(UTC))
    if other and (mail := next((mail for mail in mails if mail.state in states), None)):
        raise TemporaryError(f"a pass is at it ({other}) and may be sending mail {mail.id}: try again when it is done")


def subject_of(mail: Outgoing) -> str:
    """The Subject: of a mail of ours."""
    return str(BytesHeaderParser(policy=policy.default).parsebytes(mail.raw)["Subject"] or "")


def _list(args: argparse.Namespace, mails: Sequence[Outgoing]) -> None:
    if args.format == "json":
        print(json.dumps([as_json(mail) for mail in mails], indent=1))
        return
    for mail in mails:
        who = f"{mail.author}" + (f" and {len(mail.recipients) - 1} more" if len(mail.recipients) > 1 else "")
        why = f" ({mail.text})" if mail.text else ""
        when = f"{mail.created:%Y-%m-%d %H:%M}"
        print(clean(f"{mail.id:5}  {mail.state:<9}  {when}  {subject_of(mail)}  to {who}{why}"))
    if not mails:
        say(args, "nothing waits")


def as_json(mail: Outgoing) -> dict[str, object]:
    """A mail of ours, without its text."""
    return {
        "number": mail.id,
        "state": mail.state,
        "reason": mail.reason,
        "text": mail.text,
        "message_id": mail.message_id,
        "answers": mail.target,
        "subject": subject_of(mail),
        "recipients": list(mail.recipients),
        "created": mail.created.isoformat(),
        "sent": mail.sent.isoformat() if mail.sent else None,
        "archived": mail.archived.isoformat() if mail.archived else None,
        "attempts": mail.attempts,
    }


def _show(args: argparse.Namespace, mails: Sequence[Outgoing]) -> None:
    if args.format == "json":
        found = [{**as_json(mail), "mail": mail.raw.decode("utf-8", "replace")} for mail in mails]
        print(json.dumps(found, indent=1))
        return
    for mail in mails:
        # as it would go out; what could act on a terminal was taken out when it was made
        sys.stdout.flush()
        sys.stdout.buffer.write(mail.raw)
        sys.stdout.buffer.flush()


def _drop(args: argparse.Namespace, ledger: Ledger, mail: Outgoing) -> None:
    posting = ledger.posting(mail.posting)
    with ledger.transaction():
        ledger.move(mail.id, MailState.DROPPED, Reason.DROPPED, args.reason[:300])
        ledger.decide(posting.id, datetime.now(UTC), Reason.DROPPED, args.reason[:200] or "by a person", final=True)
        for fingerprint in ledger.fingerprints(mail.id):
            # who dropped it does not want to see it again with the next revision
            ledger.set_finding(posting.series, fingerprint, FindingState.SUPPRESSED)
    say(args, f"dropped mail {mail.id}: what it says is not said of this series again")


def describe(mail: Outgoing) -> str:
    """What became of a mail that did not go out."""
    return f"mail {mail.id} is {mail.state}, not sent: {mail.reason or ''} {mail.text}".replace(":  ", ": ").rstrip(
        ": "
    )


def _approve(args: argparse.Namespace, config: Config, path: str) -> int:
    with ExitStack() as stack:
        holder = stack.enter_context(only_one(path))
        ledger = stack.enter_context(Ledger(path))
        mails = _find_open(ledger, args.ids)
        for mail in mails:
            if mail.state is MailState.DRAFT:
                raise InputError(f'mail {mail.id} is a draft: its lists get no mail (mode = "draft")')
        # given free while a pass waits for the server's answer, it would go out twice
        _check_idle(ledger, holder, mails, (MailState.UNCERTAIN,))
        for mail in mails:
            if mail.state in (MailState.UNCERTAIN, MailState.FAILED):
                ledger.send_again(mail.id, manual=True)
            else:
                ledger.move(mail.id, MailState.READY, manual=True)
        if holder is not None or (holder := ledger.lease(datetime.now(UTC))) is not None:
            say(args, f"approved; a pass is at it ({holder}): this or the next one sends")
            return 0
        stack.callback(end_lease, ledger)
        feeds, failed = open_feeds(config, Path(path).parent)
        for feed in feeds.values():
            stack.callback(feed.close)
        tree = stack.enter_context(open_tree(args, config))
        broken: list[ReviewbotError] = []
        bot = Bot(Site(
            config, ledger, rules=choose_rules(args, config), transport=lambda: open_transport(config.send),
            tell=print_event, feeds=feeds, tree=None if isinstance(tree, str) else tree, failed=failed,
            index=open_index(stack, broken, lambda: Index(index_path(config))),
        ))  # fmt: skip
        bot.site.troubles += broken
        ledger.release_dead(datetime.now(UTC))
        bot.delivery.deliver([mail.message_id for mail in mails], at_once=True)
        left = [
            after
            for mail in mails
            if (after := ledger.outgoing_by(mail.id)) is not None and after.state is not MailState.SENT
        ]
        stop = bot.site.kill_switch()
        for after in left:
            say(args, describe(after._replace(text=after.text or f"'{stop}' is there" if stop else after.text)))
        for error in bot.site.troubles:
            print_error(error)
        return max([int(bool(left)), *(error.exit_code for error in bot.site.troubles)])
