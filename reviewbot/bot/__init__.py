# SPDX-License-Identifier: GPL-2.0-or-later
"""One pass of the bot: what is new in the archives -> reviews -> replies -> the way out.

Belongs here: the order of the steps, and what is written down between them. What may be said to whom is
decided in `policy`, what a thread says in `news`, what is remembered in `ledger`; mail is made by `reply`
and sent by `send`. Each step takes from the ledger what the one before has committed, so that a pass
that dies anywhere is taken up by the next:

- `intake`: mails of the archives into the ledger, together with the resume point;
- `answering`: answers to earlier mails;
- `Bot.consider`: postings that are due are weighed (`weighing`); their mails go into the outbox;
- `delivery`: right before a mail is sent its posting is weighed once more, on what is known by then.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from reviewbot.bot.answering import Answering
from reviewbot.bot.delivery import Delivery
from reviewbot.bot.intake import REMEMBERED, Intake
from reviewbot.bot.site import Event, Site
from reviewbot.bot.weighing import Weighed, Weighing
from reviewbot.ledger import WAITING, LedgerError, MailState, Posting
from reviewbot.model import ConfigError, ReviewbotError, TemporaryError
from reviewbot.policy import Reason, Verdict

# When what cannot be decided is looked at again.
_AGAIN = timedelta(minutes=10)
_CAPPED = timedelta(hours=1)
_DAY = timedelta(days=1)
# Postings of one sender that are looked at in 24 hours: the busiest people post some thirty on their busiest days.
_POSTINGS = 100


class Bot:
    """A pass: its steps, and what becomes of a posting in between."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.intake = Intake(site)
        self.answering = Answering(site)
        self.weighing = Weighing(site, self.answering)
        self.delivery = Delivery(site, self.intake, self.answering, self.weighing)

    def run(self) -> None:
        """The whole pass. Raises LedgerError, and ConfigError where sending is set up wrongly."""
        self.intake.collect()
        self.answering.obey()
        self.delivery.resolve()
        self.consider()
        self.delivery.deliver()
        self.site.ledger.prune(self.site.now() - REMEMBERED)
        self.intake.prune()

    def consider(self) -> None:
        """Look at every posting that is due. One that cannot be dealt with costs only itself."""
        for pending in self.site.ledger.pending(self.site.now(), self.site.config.policy.max_age):
            if not self.site.ledger.is_pending(pending.message_id):
                continue  # settled together with another mail of its posting
            self.site.renew()
            if verdict := self._full(pending.sender):
                self._postpone((pending.message_id,), self.site.now() + _CAPPED, verdict)
                continue
            try:
                weighed = self.weighing.weigh(pending.message_id)
                self._settle(weighed, pending.message_id)
            except LedgerError:
                raise
            except TemporaryError as error:
                self.site.trouble(error)
                self.site.ledger.postpone((pending.message_id,), self.site.now() + _AGAIN)
            except ConfigError:
                raise
            except ReviewbotError as error:
                # a cover letter whose patches did not arrive, or a mail that is gone
                places = {name for name, _ in self.site.ledger.places(pending.message_id)}
                if places and places <= self.site.failed_sources:
                    verdict = Verdict(Reason.ARCHIVE_DOWN, str(error)[:200], final=False)
                    self._postpone((pending.message_id,), self.site.now() + _AGAIN, verdict)
                    continue
                until = pending.arrived + self.site.config.policy.complete_within
                verdict = Verdict(Reason.INCOMPLETE, str(error)[:200], final=self.site.now() >= until)
                self._postpone((pending.message_id,), None if verdict.final else until, verdict)
            except Exception as error:  # noqa: BLE001 - a bug on one posting must not stop the others
                verdict = Verdict(Reason.UNREADABLE, f"internal error: {type(error).__name__}: {error}"[:200])
                self._postpone((pending.message_id,), None, verdict)
                self.site.trouble(ReviewbotError(f"<{pending.message_id}>: {verdict.text}"))

    def _full(self, sender: str) -> Verdict | None:
        """A cap that no posting of this sender gets past now: it need not be reviewed."""
        since = self.site.now() - _DAY
        sums = self.site.ledger.sums(sender, (), since, queued=True)
        most = max(
            [self.site.config.policy.max_per_author, *(one.max_per_author for one in self.site.config.list.values())]
        )
        if sums.author >= most:
            return Verdict(
                Reason.CAP_AUTHOR, f"{sums.author} mails to its author in 24 h, sent or waiting", final=False
            )
        if self.site.ledger.count_postings(sender, since) >= _POSTINGS:
            return Verdict(Reason.CAP_AUTHOR, f"{_POSTINGS} postings in 24 h", final=False)
        if sums.day >= self.site.config.policy.max_per_day:
            return Verdict(Reason.CAP_DAY, f"{sums.day} mails in 24 h, sent or waiting", final=False)
        return None

    def _postpone(self, members: Collection[str], due: datetime | None, verdict: Verdict) -> None:
        """A verdict on mails of which no posting could be made."""
        arrived = self.site.ledger.arrived(members)
        if due is not None and arrived is not None and self.site.now() > arrived + self.site.config.policy.max_age:
            due = None
        told = {self.site.ledger.mail_reason(name) for name in members}
        self.site.ledger.postpone(members, due, verdict.reason, verdict.text)
        if told != {self.site.ledger.mail_reason(name) for name in members}:
            for name in members:
                self.site.tell(Event("skipped" if due is None else "waiting", name, verdict.reason, verdict.text))

    def _settle(self, weighed: Weighed, message_id: str) -> None:
        """Write down what was decided of a posting, all at once."""
        self.site.postings += 1
        members = tuple(dict.fromkeys((*weighed.members, message_id)))
        with self.site.ledger.transaction():
            self._withdraw_older(weighed.posting)
            if weighed.review is not None:
                self.weighing.record(weighed, weighed.review)
            if weighed.verdict is not None:
                self._refuse(weighed, members, weighed.verdict)
                return
            self.delivery.enqueue(weighed)
            self.site.ledger.settle_mails(members)

    def _refuse(self, weighed: Weighed, members: Sequence[str], verdict: Verdict) -> None:
        posting, due = weighed.posting, None
        if verdict.reason is Reason.TOO_OLD and not self.site.replay and not self._is_awake():
            # no archive has anything newer: perhaps it is our clock that is ahead
            verdict = verdict._replace(final=False)
        if not verdict.final:
            due = self.site.now() + (_CAPPED if verdict.reason.startswith("cap-") else _AGAIN)
            if verdict.reason is Reason.WAITING:
                due = max(posting.arrived + weighed.terms.wait, self.site.now() + timedelta(seconds=1))
            elif verdict.reason is Reason.INCOMPLETE:
                due = posting.arrived + self.site.config.policy.complete_within
        if due is None:
            self.site.ledger.settle_mails(members)
        else:
            self.site.ledger.postpone(members, due)
        if self.site.ledger.decide(posting.id, self.site.now(), verdict.reason, verdict.text, final=verdict.final):
            what = "skipped" if verdict.final else "waiting"
            self.site.tell(Event(what, posting.message_id, verdict.reason, verdict.text, posting.subject))

    def _is_awake(self) -> bool:
        """Some archive took in a mail not long ago by our clock, or none has any."""
        newest = [self.site.ledger.newest_mail(name) for name in self.site.feeds]
        known = [when for when in newest if when is not None]
        return not known or max(known) > self.site.now() - self.site.config.policy.max_age

    def _withdraw_older(self, posting: Posting) -> None:
        for other in self.site.ledger.postings(posting.series):
            if other.revision < posting.revision and other.arrived <= posting.arrived:
                for mail in self.site.ledger.outgoing_of(other.id):
                    if mail.state in WAITING:
                        text = f"v{posting.revision} is known"
                        self.site.ledger.move(mail.id, MailState.WITHDRAWN, Reason.SUPERSEDED, text)
                        if self.site.ledger.decide(other.id, self.site.now(), Reason.SUPERSEDED, text, final=True):
                            self.site.tell(Event("skipped", other.message_id, Reason.SUPERSEDED, text, other.subject))
