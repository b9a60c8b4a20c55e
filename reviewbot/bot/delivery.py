# SPDX-License-Identifier: GPL-2.0-or-later
"""The way out: drafts -> outbox -> weighed once more -> claimed -> sent.

Belongs here: everything between a draft and its fate. A mail is claimed before the server is asked, the point of no
return is noted before the last byte, the outcome after it; see `ledger`. Does not belong here: SMTP (`send`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from email.utils import format_datetime

from reviewbot.bot.answering import Answering
from reviewbot.bot.intake import Intake
from reviewbot.bot.site import Event, Site
from reviewbot.bot.weighing import Draft, Weighed, Weighing, count
from reviewbot.ledger import MailState, Outgoing, Posting
from reviewbot.model import ConfigError, InputError, ReviewbotError, TemporaryError
from reviewbot.policy import Mode, Reason, Verdict
from reviewbot.send import Outcome, Transport, sign

# When a mail that a cap holds back is looked at again.
_CAPPED = timedelta(hours=1)
# Between attempts to send: doubled each time, at most so long.
_BACK_OFF = timedelta(minutes=5)
_MOST_BACK_OFF = timedelta(hours=6)

_DATE = re.compile(rb"^Date: [^\n]*$", re.M)
_WHO_AND_WHEN = re.compile(rb"^(?:To|Cc|Date):[^\n]*\n(?:[ \t][^\n]*\n)*", re.M)


class Delivery:
    """The last step of a pass."""

    def __init__(self, site: Site, intake: Intake, answering: Answering, weighing: Weighing) -> None:
        self.site, self.intake, self.answering, self.weighing = site, intake, answering, weighing

    def resolve(self) -> None:
        """What a dead pass left: mails certainly not sent are free again; others when their archive lacks them."""
        now = self.site.now()
        self.site.ledger.release_dead(now)
        for mail in self.site.ledger.outgoing(MailState.UNCERTAIN):
            if mail.sent is None or now < mail.sent + self.site.config.send.resend_after:
                continue
            if self._lacks(mail, mail.sent + self.site.config.send.resend_after):
                self.site.ledger.send_again(mail.id, manual=False)
                text = f"no archive has <{mail.message_id}>: it is sent again under the same Message-ID"
                self.site.tell(Event("note", mail.target, "resend", text))

    def _lacks(self, mail: Outgoing, since: datetime) -> bool:
        """An archive that would have the mail is alive, was read in this pass, and does not have it at `since`."""
        for name, source in self.site.config.source.items():
            if source.list.lower() in mail.lists and name in self.site.feeds and name not in self.site.failed_sources:
                newest = self.site.ledger.newest_mail(name)
                # somebody else's mail came in since then: the archive is not merely standing still; and mail of ours
                # did before: the list does not keep it out, and its absence means something
                if newest is not None and newest >= since and self.site.ledger.has_archived(source.list.lower()):
                    return True
        return False

    def enqueue(self, weighed: Weighed, *, manual: bool = False) -> list[str]:
        """Put the drafts into the outbox; the Message-IDs of those that are new there."""
        posting, terms = weighed.posting, weighed.terms
        state = MailState.DRAFT if terms.mode is Mode.DRAFT else MailState.QUEUED
        if terms.mode is not Mode.DRAFT and (terms.auto or manual or self.site.replay):
            state = MailState.READY
        reason = {MailState.DRAFT: Reason.DRAFT, MailState.QUEUED: Reason.AWAITING_APPROVAL}.get(state)
        put = []
        for draft in weighed.drafts:
            if not self._put(draft, posting, state, manual=manual):
                continue
            put.append(draft.message_id)
            if draft.message_id in weighed.thread or self.site.ledger.knows(draft.message_id):
                # another host, or a ledger that was lost: the archive knows better
                self.site.ledger.arrive(draft.message_id, self.site.now())
                continue
            self.site.queued += 1
            if state is not MailState.READY:
                addresses = f"{len(draft.recipients)} address{'' if len(draft.recipients) == 1 else 'es'}"
                text = f"{count(len(draft.fingerprints), 'finding')}, to {addresses}"
                what = "queued" if state is MailState.QUEUED else "drafted"
                self.site.tell(Event(what, draft.target, str(reason), text, posting.subject))
        if reason and put:
            self.site.ledger.decide(posting.id, self.site.now(), reason, count(len(put), "mail"), final=True)
        return put

    def deliver(self, only: Collection[str] | None = None, *, at_once: bool = False) -> None:
        """Send what is ready, or some of it; `at_once` does not wait for the next attempt's time.

        Raises LedgerError and ConfigError; nothing more is sent then.
        """
        ready = [
            mail
            for mail in self.site.ledger.outgoing(MailState.READY)
            if (at_once or mail.next_try <= self.site.now()) and (only is None or mail.message_id in only)
        ]
        if not ready:
            return
        # what came in while others were reviewed counts, too
        self.intake.collect()
        self.answering.obey()
        try:
            with self.site.transport() as transport:
                for mail in ready:
                    self.site.renew()
                    if stop := self.site.kill_switch():
                        text = f"'{stop}' is there: nothing is sent"
                        new = [self._decide(other, Reason.KILL_SWITCH, text, final=False) for other in ready]
                        self.site.tell(Event("waiting", mail.target, Reason.KILL_SWITCH, text))
                        if any(new):
                            self.site.tell(Event("note", "", Reason.KILL_SWITCH, text))
                        break
                    try:
                        self._deliver(mail, transport)
                    except ReviewbotError:
                        raise
                    except Exception as error:  # noqa: BLE001 - a bug on one mail must not stop the others
                        self.site.ledger.delay(mail.id, self.site.now() + _CAPPED)
                        self.site.trouble(ReviewbotError(f"<{mail.target}>: {type(error).__name__}: {error}"))
        except TemporaryError as error:
            self.site.trouble(error)

    def _decide(self, mail: Outgoing, reason: str, text: str, *, final: bool) -> bool:
        return self.site.ledger.decide(mail.posting, self.site.now(), reason, text, final=final)

    def _deliver(self, mail: Outgoing, transport: Transport) -> None:
        posting = self.site.ledger.posting(mail.posting)
        if self.site.ledger.knows(mail.message_id):
            self.site.ledger.arrive(mail.message_id, self.site.now())
            self.site.tell(Event("note", mail.target, "already-there", f"<{mail.message_id}> is in the archive"))
            return
        places = {name for name, _ in self.site.ledger.places(mail.target)}
        if not mail.manual and places and places <= self.site.failed_sources:
            # the thread cannot be read once more: who knows what was said in it since
            text = f"source '{min(places)}' cannot be read"
            self._decide(mail, Reason.ARCHIVE_DOWN, text, final=False)
            self.site.tell(Event("waiting", mail.target, Reason.ARCHIVE_DOWN, text, posting.subject))
            return
        try:
            weighed = self.weighing.weigh(mail.target, mail)
        except TemporaryError as error:
            self.site.trouble(error)
            return
        except InputError as error:
            # git could not be started, an archive is being rebuilt: for as long as a mail may wait, that may pass
            verdict = Verdict(Reason.UNREADABLE, str(error)[:200])
            if self.site.now() > mail.created + self.site.config.policy.max_age:
                self._withdraw(mail, verdict, posting)
            else:
                self.site.ledger.delay(mail.id, self.site.now() + _CAPPED)
                self._decide(mail, verdict.reason, verdict.text, final=False)
                self.site.trouble(error)
            return
        draft = next((one for one in weighed.drafts if one.message_id == mail.message_id), None)
        if draft is None:
            with self.site.ledger.transaction():
                if weighed.review is not None:
                    self.weighing.record(weighed, weighed.review)
                nothing = Verdict(Reason.SAID_BY_OTHER, "there is nothing left to say")
                self._withdraw(mail, weighed.verdict or nothing, posting)
            return
        if weighed.terms.mode is Mode.DRAFT:
            self._withdraw(mail, Verdict(Reason.DRAFT, "its lists get drafts"), posting)
            return
        if not mail.manual and not (weighed.terms.auto or self.site.replay):
            self.site.ledger.move(mail.id, MailState.QUEUED, Reason.AWAITING_APPROVAL, "its lists want approval")
            return
        if not mail.manual and (cap := self.weighing.caps(weighed, queued=False)):
            with self.site.ledger.transaction():
                if cap.final:
                    self.site.ledger.move(mail.id, MailState.WITHDRAWN, cap.reason, cap.text)
                else:
                    self.site.ledger.delay(mail.id, self.site.now() + _CAPPED)
                self._decide(mail, cap.reason, cap.text, final=cap.final)
            self.site.tell(Event("waiting", mail.target, cap.reason, cap.text, posting.subject))
            return
        raw, recipients = mail.raw, mail.recipients
        said = set(self.site.ledger.fingerprints(mail.id))
        if set(draft.fingerprints) != said or set(draft.recipients) != set(recipients):
            # what a person approved goes out as it was approved, perhaps to fewer people, or not at all
            fewer = set(draft.recipients) <= set(recipients) and _same(draft.raw, raw)
            state = MailState.QUEUED if mail.manual and not fewer else MailState.READY
            self._put(draft, weighed.posting, state, manual=mail.manual and state is MailState.READY)
            if mail.manual and not fewer:
                text = "it is not what was approved any more: look at it again"
                self.site.ledger.move(mail.id, state, Reason.AWAITING_APPROVAL, text, manual=False)
                self.site.tell(Event("queued", mail.target, Reason.AWAITING_APPROVAL, text))
                return
            raw, recipients = draft.raw, draft.recipients
        self._send(mail, raw, recipients, posting, weighed, transport)

    def _withdraw(self, mail: Outgoing, verdict: Verdict, posting: Posting) -> None:
        """A mail that does not go out after all."""
        with self.site.ledger.transaction():
            state = MailState.DRAFT if verdict.reason is Reason.DRAFT else MailState.WITHDRAWN
            self.site.ledger.move(mail.id, state, verdict.reason, verdict.text)
            self._decide(mail, verdict.reason, verdict.text, final=True)
        self.site.tell(Event("skipped", mail.target, verdict.reason, verdict.text, posting.subject))

    def _put(self, draft: Draft, posting: Posting, state: MailState, *, manual: bool) -> bool:
        return self.site.ledger.put(
            draft.message_id,
            posting=posting,
            author=draft.recipients[0],
            target=draft.target,
            kind=draft.kind,
            recipients=draft.recipients,
            lists=draft.lists,
            raw=draft.raw,
            fingerprints=draft.fingerprints,
            state=state,
            manual=manual,
            now=self.site.now(),
        )

    def _send(
        self,
        mail: Outgoing,
        raw: bytes,
        recipients: Sequence[str],
        posting: Posting,
        weighed: Weighed,
        transport: Transport,
    ) -> None:
        head, blank, body = raw.partition(b"\n\n")
        date = format_datetime(self.site.now()).encode("ascii")
        raw = _DATE.sub(b"Date: " + date, head, count=1) + blank + body
        if self.site.config.send.sign:
            raw = sign(raw)
        token = self.site.ledger.claim(mail.message_id, self.site.now())
        if token is None:
            return  # another host is at it

        fixed = [row.fingerprint for row in weighed.fixed]

        def last() -> None:
            if stop := self.site.kill_switch():
                raise _StoppedError(f"'{stop}' is there: nothing is sent")
            self.site.ledger.point_of_no_return(
                mail.message_id, token, self.site.now(), series=posting.series, fixed=fixed
            )

        sender = self.site.config.send.envelope_from or self.site.settings.sender.email
        try:
            result = transport.send(sender, recipients, raw.replace(b"\n", b"\r\n"), last)
        except _StoppedError:
            self.site.ledger.settle(
                mail.message_id, token, MailState.READY, self.site.now(), text="kill switch", counted=False
            )
            raise
        except (TemporaryError, ConfigError) as error:
            # the server as such: this mail is as good as before
            self._later(mail, token, str(error), counted=False)
            raise
        except ValueError as error:
            # nothing that could be sent: the others can
            self._fail(mail, token, f"internal error: {error}"[:300], posting)
            self.site.trouble(ReviewbotError(f"<{mail.message_id}> cannot be sent: {error}"))
            return
        if result.outcome is Outcome.SENT:
            refused = f"; refused: {', '.join(result.refused)}"[:500] if result.refused else ""
            with self.site.ledger.transaction():
                self.site.ledger.settle(
                    mail.message_id, token, MailState.SENT, self.site.now(), text=f"{result.text}{refused}"
                )
                self.site.ledger.decide(posting.id, self.site.now(), "sent", f"<{mail.message_id}>", final=True)
            self.site.sent += 1
            said = (
                f"{count(len(set(self.site.ledger.fingerprints(mail.id))), 'finding')} to {', '.join(recipients[:3])}"
            )
            more = f" and {len(recipients) - 3} more" if len(recipients) > 3 else ""
            self.site.tell(Event("sent", mail.target, "sent", said + more + refused, posting.subject))
        elif result.outcome is Outcome.TRANSIENT:
            self.site.ledger.tell_fixed(posting.series, fixed, told=False)
            if mail.attempts + 1 >= self.site.config.send.attempts:
                self._fail(mail, token, f"gave up: {result.text}", posting)
            else:
                self._later(mail, token, result.text)
                self.site.tell(Event("note", mail.target, "later", result.text, posting.subject))
        elif result.outcome is Outcome.PERMANENT:
            self.site.ledger.tell_fixed(posting.series, fixed, told=False)
            self._fail(mail, token, result.text, posting)
        else:
            with self.site.ledger.transaction():
                self.site.ledger.settle(mail.message_id, token, MailState.UNCERTAIN, self.site.now(), text=result.text)
                self._decide(mail, Reason.UNCERTAIN, result.text, final=True)
            self.site.tell(Event("uncertain", mail.target, Reason.UNCERTAIN, result.text, posting.subject))

    def _later(self, mail: Outgoing, token: str, text: str, *, counted: bool = True) -> None:
        delay = min(_BACK_OFF * 2 ** min(mail.attempts, 20), _MOST_BACK_OFF)
        now = self.site.now()
        self.site.ledger.settle(
            mail.message_id, token, MailState.READY, now, text=text, next_try=now + delay, counted=counted
        )

    def _fail(self, mail: Outgoing, token: str, text: str, posting: Posting) -> None:
        with self.site.ledger.transaction():
            self.site.ledger.settle(mail.message_id, token, MailState.FAILED, self.site.now(), text=text)
            self._decide(mail, Reason.FAILED, text, final=True)
        self.site.tell(Event("failed", mail.target, Reason.FAILED, text, posting.subject))


class _StoppedError(TemporaryError):
    """The kill switch appeared at the last moment."""


def _same(one: bytes, other: bytes) -> bool:
    """Two mails differ in nothing but when they are sent and to whom."""

    def rest(raw: bytes) -> tuple[bytes, bytes]:
        head, _, body = raw.partition(b"\n\n")
        return _WHO_AND_WHEN.sub(b"", head + b"\n"), body

    return rest(one) == rest(other)
