# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers to our mails: who may say what, whether he is proven, and what follows.

Belongs here: obeying. Does not belong here: finding answers in a mail (`answers`), proving a sender (`attest`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta

from reviewbot.answers import Answer, Command, read_answers
from reviewbot.attest import prove
from reviewbot.bot.archives import parse
from reviewbot.bot.site import Event, Site
from reviewbot.finding import Finding
from reviewbot.ledger import AnswerRow, AnswerState, FindingState, Posting
from reviewbot.mime import parse_mail
from reviewbot.model import ReviewbotError
from reviewbot.policy import is_list, is_robot
from reviewbot.selection import matches

# How long an answer waits for its series to come in.
_ANSWERABLE = timedelta(days=30)
# How often an answer is tried whose proof the network did not give, and how long after the first time.
_PROOFS = 12
_AGAIN = timedelta(minutes=10)
# What stands for a command where a line is none; why is in `how`.
NO_COMMAND = "?"
_OBEYED = (Command.WONTFIX, Command.FALSE_POSITIVE)


class Answering:
    """Judges answers and does what those say that count."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def obey(self, members: Collection[str] | None = None) -> None:
        """Judge the answers that are new, and do what those say that count; with `members` those to these mails."""
        for answer in self.site.ledger.new_answers(self.site.now(), members):
            posting = self.site.ledger.answered(answer.message_id)
            if posting is not None:
                self._obey(answer, posting)
            elif answer.at < self.site.now() - _ANSWERABLE:
                self.site.ledger.judge_answer(
                    answer.id, AnswerState.REFUSED, "it answers no series that is known", None
                )

    def _raw(self, message_id: str) -> bytes | None:
        try:
            if self.site.source is not self.site.archives:
                mails = self.site.source.thread(message_id)
                return next((raw for raw in mails if parse_mail(raw).message_id == message_id), None)
            return self.site.archives.raw(message_id)
        except (ReviewbotError, ValueError):
            return None

    def _obey(self, answer: AnswerRow, posting: Posting) -> None:
        maintainer = answer.sender in {address.lower() for address in self.site.config.policy.maintainers}
        if answer.command == NO_COMMAND:
            self._judged(answer, AnswerState.MALFORMED, answer.how, posting.series)
            return
        command = Command(answer.command)
        series, now = posting.series, self.site.now()
        if is_list(answer.sender, self.site.config) or is_robot(answer.sender, self.site.config):
            # on a list that writes its own From: everybody has this address, and the list signs for all of them
            self._judged(answer, AnswerState.REFUSED, "a list's or robot's address is nobody's", series)
            return
        if answer.sender not in (posting.author, *self.site.ledger.senders(posting.id)) and not maintainer:
            self._judged(answer, AnswerState.REFUSED, "neither the author nor a configured maintainer", series)
            return
        if answer.rule and not any(matches((answer.rule,), rule.name, rule.id) for rule in self.site.rules):
            self._judged(answer, AnswerState.REFUSED, "no rule has this name", series)
            return
        raw = self._raw(answer.message_id)
        if raw is None:
            self._judged(answer, AnswerState.UNPROVEN, "the mail is gone", series)
            return
        if not self._says(raw, answer, posting):
            # another mail under the same Message-ID: what it proves is not proven of the one that was noted
            self._judged(answer, AnswerState.UNPROVEN, "the archive has another mail in its place", series)
            return
        proof = prove(raw, self.site.config.answers)
        if not proof.proven:
            due = now + _AGAIN * 2**answer.tries if proof.again and answer.tries < _PROOFS else None
            state = AnswerState.NEW if due else AnswerState.UNPROVEN
            if due:
                self.site.ledger.judge_answer(answer.id, state, proof.how, series, due)
            else:
                self._judged(answer, state, proof.how, series)
            return
        with self.site.ledger.transaction():
            self._judged(answer, AnswerState.OBEYED, proof.how, series)
            if command is Command.STOP and not (maintainer and answer.sender != posting.author):
                self.site.ledger.opt_out(answer.sender, answer.message_id, now)
            elif command is Command.STOP:
                self.site.ledger.stop(series, answer.message_id)
            elif command is Command.START:
                # each takes back what is his: the author his opting out, a maintainer what stopped the series
                self.site.ledger.opt_in(answer.sender)
                if maintainer:
                    self.site.ledger.stop(series, None)
            elif command in _OBEYED and answer.rule:
                for row in self.site.ledger.findings(series):
                    if self._names(answer.rule, row.rule):
                        self.site.ledger.set_finding(series, row.fingerprint, FindingState.ANSWERED)

    def _says(self, raw: bytes, answer: AnswerRow, posting: Posting) -> bool:
        """The mail has the sender that is known for the answer, answers this posting, and the answer stands in it."""
        mail = parse(raw)
        if mail is None or mail.sender.email.lower() != answer.sender:
            return False
        about = {
            *self.site.ledger.members(posting.id),
            *(ours.message_id for ours in self.site.ledger.outgoing_of(posting.id)),
        }
        if about.isdisjoint((mail.message_id, mail.in_reply_to, *mail.references)):
            return False
        found = [one for one in read_answers(mail) if isinstance(one, Answer) and one.line == answer.line]
        return any((one.command, one.rule) == (answer.command, answer.rule) for one in found)

    def _judged(self, answer: AnswerRow, state: AnswerState, how: str, series: int) -> None:
        self.site.ledger.judge_answer(answer.id, state, how, series)
        self.site.tell(Event("answer", answer.message_id, state, f"{answer.command} {answer.rule or ''}: {how}"))

    def _names(self, word: str, rule: str) -> bool:
        """A word that an answer used means this rule."""
        return any(one.name == rule and matches((word,), one.name, one.id) for one in self.site.rules)

    def answered(self, posting: Posting, findings: Sequence[Finding]) -> dict[str, str]:
        """Fingerprint -> the answer to it."""
        found: dict[str, str] = {}
        for answer in self.site.ledger.answers(posting.series):
            if answer.state is AnswerState.OBEYED and Command(answer.command) in _OBEYED and answer.rule:
                for finding in findings:
                    if matches((answer.rule,), finding.rule, finding.rule_id):
                        found[finding.fingerprint] = f"answered in <{answer.message_id}>"
        for row in self.site.ledger.findings(posting.series):
            if row.state in (FindingState.ANSWERED, FindingState.SUPPRESSED):
                found.setdefault(row.fingerprint, f"answered: {row.state}")
        return found
