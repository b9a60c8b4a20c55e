# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot ledger`: what was seen, what was sent and why not: of a series, of a rule, or as a whole."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from datetime import datetime

from reviewbot import registry
from reviewbot.bot.site import kill_switch
from reviewbot.commands.common import say
from reviewbot.commands.queue import as_json, subject_of
from reviewbot.config import Config
from reviewbot.ledger import OUT, Decision, Ledger, LedgerError, MailState, Posting, Row, ledger_path
from reviewbot.model import NotFoundError
from reviewbot.output.text import clean

# Postings and findings that are listed.
_MOST = 30


def run(args: argparse.Namespace, config: Config) -> int:
    """The process's exit code. Raises NotFoundError for a name that the ledger does not know, LedgerError if broken."""
    path = ledger_path(config)
    if not os.path.exists(path):
        if args.name:
            raise NotFoundError(f"'{clean(args.name)[:100]}' is not known: there is no ledger '{path}' yet")
        say(args, f"nothing: there is no ledger '{path}' yet")
        if args.format == "json":
            print("[]" if args.sent else "{}")
        return 0
    with Ledger(path) as ledger:
        if args.check:
            return _check(args, ledger)
        if args.sent:
            value: object = [as_json(mail) for mail in ledger.outgoing(*OUT)]
            lines = _sent(ledger)
        elif args.name is None:
            stop = kill_switch(config)
            value, lines = _overview_json(ledger, stop), _overview(ledger, stop)
        elif posting := ledger.posting_of(args.name.strip("<>")):
            value, lines = _series_json(ledger, posting), _series(ledger, posting)
        elif reason := ledger.mail_reason(args.name.strip("<>")):
            kind, code, text = reason
            value, lines = {"kind": kind, "reason": code, "text": text}, iter([f"{kind}, not reviewed: {code}: {text}"])
        elif ledger.knows(args.name.strip("<>")):
            pending = ledger.is_pending(args.name.strip("<>"))
            value, lines = {"pending": pending}, iter(["not looked at yet" if pending else "nothing to look at"])
        elif rule := _rule_name(config, ledger, args.name):
            value, lines = _rule_json(ledger, rule), _rule(ledger, rule)
        else:
            raise NotFoundError(f"'{clean(args.name)[:100]}' is not known: neither a mail of the archives nor a rule")
        if args.format == "json":
            print(json.dumps(value, indent=1))
        else:
            for line in lines:
                print(clean(line))
    return 0


def _rule_name(config: Config, ledger: Ledger, name: str) -> str | None:
    """The rule or family that is meant, also by a rule's id or one that is no more; None where there is none."""
    for rule in registry.load(config.rules):
        if name == rule.id:
            return rule.name
        if name in (rule.name, rule.name.partition("/")[0]):
            return name
    return name if any(number for _, number in ledger.rule_counts(name)) else None


def _check(args: argparse.Namespace, ledger: Ledger) -> int:
    broken = ledger.check()
    if args.format == "json":
        print(json.dumps({"sound": not broken, "broken": broken}, indent=1))
    else:
        for line in broken[:_MOST]:
            print(clean(line))
    if broken:
        raise LedgerError(f"ledger '{ledger.path}' is damaged")
    say(args, f"ledger '{ledger.path}' is sound")
    return 0


def _when(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"


def _sent(ledger: Ledger) -> Iterator[str]:
    for mail in ledger.outgoing(*OUT):
        where = "in the archive" if mail.archived else mail.state
        yield f"{mail.id:5}  {_when(mail.sent or mail.created)}  {where:<14}  <{mail.message_id}>  {subject_of(mail)}"


def _overview(ledger: Ledger, stop: str | None) -> Iterator[str]:
    if stop:
        yield f"nothing is sent: '{stop}' is there"
    last = ledger.last_pass()
    if last:
        ended = f"ended {_when(last[1])}" if last[1] else "has not ended"
        yield f"last pass: {_when(last[0])}, {ended}{f', {last[2]}' if last[2] else ''}"
    counts = _counts(ledger)
    yield "mails: " + (", ".join(f"{number} {state}" for state, number in counts.items()) or "none")
    skipped = ", ".join(f"{number} {reason}" for reason, number in ledger.skipped())
    if skipped:
        yield f"not reviewed: {skipped}"
    for address in ledger.opted_out():
        yield f"opted out: {address}"
    for posting, decision in ledger.recent(_MOST):
        yield f"{_when(posting.arrived)}  <{posting.message_id}>  {posting.subject[:60]}"
        yield f"                  {_decision(decision) if decision else 'not decided'}"


def _decision(decision: Decision) -> str:
    return f"{decision.reason}{'' if decision.final else ' (for now)'}: {decision.text}".removesuffix(": ")


def _counts(ledger: Ledger) -> dict[MailState, int]:
    found: dict[MailState, int] = {}
    for mail in ledger.outgoing():
        found[mail.state] = found.get(mail.state, 0) + 1
    return found


def _overview_json(ledger: Ledger, stop: str | None) -> object:
    last = ledger.last_pass()
    began, ended, trouble = last or (None, None, None)
    return {
        "last_pass": {
            "began": began.isoformat() if began else None,
            "ended": ended.isoformat() if ended else None,
            "trouble": trouble,
        },
        "kill_switch": stop,
        "mails": _counts(ledger),
        "not_reviewed": dict(ledger.skipped()),
        "opted_out": ledger.opted_out(),
        "postings": [_posting_json(ledger, posting) for posting, _ in ledger.recent(_MOST)],
    }


def _series(ledger: Ledger, posting: Posting) -> Iterator[str]:
    rows = ledger.findings(posting.series)
    for one in ledger.postings(posting.series):
        yield f"v{one.revision}  {_when(one.arrived)}  <{one.message_id}>  {one.subject[:80]}"
        for decision in ledger.decisions(one.id):
            yield f"    {_when(decision.at)}  {_decision(decision)}"
        for mail in ledger.outgoing_of(one.id):
            why = f", {mail.reason}" if mail.reason else ""
            yield f"    mail {mail.id}: {mail.state}{why}  <{mail.message_id}>  {mail.text}".rstrip()
        for check in ledger.checks_of(ledger.members(one.id)):
            yield f"    check {check.state}: {check.result or 'to be posted'}  <{check.message_id}>"
    if rows:
        yield "findings:"
    said = ledger.said(posting, None, ())
    for row in rows:
        yield f"    {_row(row)}" + (f"  mailed in <{said[row.fingerprint]}>" if row.fingerprint in said else "")
    for answer in ledger.answers(posting.series):
        words = f"{answer.command} {answer.rule or ''} {answer.reason}".replace("  ", " ").strip()
        yield f"answer of {answer.sender}: {words}: {answer.state} ({answer.how})"
    if stopped := ledger.stopped(posting.series):
        yield f"stopped by <{stopped}>"


def _row(row: Row) -> str:
    seen = f"v{row.first}" if row.first == row.last else f"v{row.first} to v{row.last}"
    fixed = f" in v{row.fixed_in}" if row.fixed_in else ""
    where = f"{row.path}{f', {row.function}()' if row.function else ''}"
    return f"{row.state}{fixed}  {seen}  {row.severity}: {row.message} [{row.rule}] {where}"


def _row_json(row: Row) -> dict[str, object]:
    return {name: value for name, value in row._asdict().items() if name != "fix_told"}


def _posting_json(ledger: Ledger, posting: Posting) -> dict[str, object]:
    return {
        "message_id": posting.message_id,
        "revision": posting.revision,
        "subject": posting.subject,
        "author": posting.author,
        "arrived": posting.arrived.isoformat(),
        "reviewed": posting.reviewed.isoformat() if posting.reviewed else None,
        "decisions": [
            {"at": one.at.isoformat(), "reason": one.reason, "text": one.text, "final": one.final}
            for one in ledger.decisions(posting.id)
        ],
        "mails": [as_json(mail) for mail in ledger.outgoing_of(posting.id)],
    }


def _series_json(ledger: Ledger, posting: Posting) -> object:
    return {
        "revisions": [_posting_json(ledger, one) for one in ledger.postings(posting.series)],
        "findings": [_row_json(row) for row in ledger.findings(posting.series)],
        "answers": [
            {
                "message_id": answer.message_id,
                "sender": answer.sender,
                "command": answer.command,
                "rule": answer.rule,
                "reason": answer.reason,
                "state": answer.state,
                "how": answer.how,
            }
            for answer in ledger.answers(posting.series)
        ],
        "stopped": ledger.stopped(posting.series),
    }


def _rule(ledger: Ledger, rule: str) -> Iterator[str]:
    yield f"{rule}: " + ", ".join(f"{number} {state}" for state, number in ledger.rule_counts(rule))
    for row, message_id in ledger.findings_of_rule(rule, _MOST):
        yield f"    {_row(row)}  <{message_id}>"


def _rule_json(ledger: Ledger, rule: str) -> object:
    return {
        "rule": rule,
        "counts": dict(ledger.rule_counts(rule)),
        "findings": [{**_row_json(row), "series": name} for row, name in ledger.findings_of_rule(rule, _MOST)],
    }
