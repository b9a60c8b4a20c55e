# SPDX-License-Identifier: GPL-2.0-or-later
"""One pass of the bot: what is new in the archives -> reviews -> replies -> the way out.

Belongs here: the order of the steps, and what is written down between them. What may be said to whom is
decided in `policy`, what a thread says in `news`, what is remembered in `ledger`; mail is made by `reply`
and sent by `send`. Each step takes from the ledger what the one before has committed, so that a pass
that dies anywhere is taken up by the next:

- `collect`: mails of the archives into the ledger, together with the resume point;
- `obey`: answers to earlier mails;
- `consider`: postings that are due are reviewed; their mails go into the outbox;
- `deliver`: right before a mail is sent its posting is weighed once more, on what is known by then.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import NamedTuple

from reviewbot.answers import Answer, Command, read_answers
from reviewbot.attest import prove
from reviewbot.config import Config
from reviewbot.engine import review
from reviewbot.finding import Finding, Review
from reviewbot.ledger import (
    LEASE,
    WAITING,
    AnswerRow,
    AnswerState,
    FindingState,
    Ledger,
    LedgerError,
    MailRow,
    MailState,
    Outgoing,
    Posting,
    Row,
    Seen,
    fold_title,
    ledger_path,
)
from reviewbot.mail import declared_change_id, has_diff, parse_mail, parse_subject
from reviewbot.model import (
    ConfigError,
    InputError,
    Mail,
    NotFoundError,
    ReviewbotError,
    Series,
    TemporaryError,
)
from reviewbot.news import News, read_news
from reviewbot.patchwork import Patchwork, Posted, State, is_configured, states
from reviewbot.policy import (
    Mode,
    Reason,
    Sent,
    Terms,
    Verdict,
    is_list,
    judge_caps,
    judge_mail,
    judge_series,
    terms_of,
)
from reviewbot.reply import (
    Earlier,
    History,
    Per,
    ReplySettings,
    fingerprints_of,
    make_replies,
    message_id,
    recipients,
    reply_settings,
    serialise,
    target_of,
)
from reviewbot.revisions import find_series
from reviewbot.rule import CodeRule
from reviewbot.selection import FOLDED, IGNORED, PREEXISTING, Selection, folded, matches, select
from reviewbot.send import Outcome, Transport, sign
from reviewbot.source import MAX_RELATED, Lineage, Source, read_head
from reviewbot.source.feed import Arrival, Feed, LoreFeed
from reviewbot.tree import Tree

# Mails are noted in transactions of so many: a pass that dies reads at most these again.
_BATCH = 100
# When what cannot be decided is looked at again.
_AGAIN = timedelta(minutes=10)
_CAPPED = timedelta(hours=1)
# An archive's mails are remembered for so long: threads and revisions are found among them.
REMEMBERED = timedelta(days=200)
# No patch is so old: a clock without a battery.
_NEVER = datetime(1971, 1, 1, tzinfo=UTC)
# Between attempts to send: doubled each time, at most so long.
_BACK_OFF = timedelta(minutes=5)
_MOST_BACK_OFF = timedelta(hours=6)
# How long an answer waits for its series to come in.
_ANSWERABLE = timedelta(days=30)
# How often an answer is tried whose proof the network did not give.
_PROOFS = 12
_DAY = timedelta(days=1)

_DATE = re.compile(rb"^Date: [^\n]*$", re.M)
# How the reasons begin why a finding that was said or answered is not said again.
_KNOWN = ("already said", "answered")
_OBEYED = (Command.WONTFIX, Command.FALSE_POSITIVE)


class Event(NamedTuple):
    """Something that a pass did, would do, or decided not to do."""

    what: str  # "sent", "would send", "queued", "skipped", "note", ...
    message_id: str  # of the mail answered, or that would be; '' for what is about no mail
    reason: str
    text: str
    subject: str = ""


class Draft(NamedTuple):
    """A reply that could be sent."""

    message_id: str  # without brackets
    target: str
    kind: str
    recipients: tuple[str, ...]
    lists: tuple[str, ...]
    raw: bytes
    fingerprints: tuple[str, ...]


class Weighed(NamedTuple):
    """What is to be said of a posting, or why nothing is."""

    series: Series
    posting: Posting
    members: tuple[str, ...]
    terms: Terms
    verdict: Verdict | None  # None where there are drafts
    drafts: tuple[Draft, ...]
    review: Review | None  # None where it was not reviewed
    fixed: tuple[Row, ...]  # mailed before, gone now, and not yet told
    said_by: Mapping[str, str]  # fingerprint -> Message-ID of who else said it
    thread: frozenset[str]


class Archives:
    """The feeds as a source of threads: what the ledger knows, read from where it lies."""

    def __init__(self, ledger: Ledger, feeds: Mapping[str, Feed], *, known_only: bool = False) -> None:
        """`known_only` leaves out what a server has and the ledger does not."""
        self.ledger, self.feeds, self.known_only = ledger, feeds, known_only

    def thread(self, message_id: str) -> list[bytes]:
        """See `Source.thread`; of what is in the ledger. Raises TemporaryError where a server does not answer."""
        names = self.ledger.thread(message_id)
        if not names:
            raise NotFoundError(f"no mail <{message_id}> in the ledger")
        raws: list[bytes] = []
        remote: list[LoreFeed] = []
        for name in names:
            raw, servers = self._read(name)
            if raw is not None:
                raws.append(raw)
            remote += [server for server in servers if raw is None and server not in remote]
        for feed in remote:
            raws += [raw for raw in feed.source.thread(message_id) if self._counts(raw)]
        if not raws:
            raise NotFoundError(f"no mail <{message_id}> in the archives any more")
        return raws

    def related(self, lineage: Lineage) -> list[bytes]:
        """See `Source.related`."""
        titles = [fold_title(title) for title in lineage.titles]
        names = self.ledger.candidates(lineage.email, titles, lineage.change_id, lineage.since)
        # one title may have been posted thousands of times
        raws = [raw for name in names[-MAX_RELATED:] if (raw := self._read(name)[0]) is not None]
        for feed in self.feeds.values():
            if isinstance(feed, LoreFeed):
                raws += [raw for raw in feed.source.related(lineage) if self._counts(raw)]
        return [raw for raw in raws if lineage.claims_raw(raw)][-MAX_RELATED:]

    def raw(self, message_id: str) -> bytes | None:
        """A mail's bytes; None where no archive has it any more."""
        raw, servers = self._read(message_id)
        for feed in servers if raw is None else ():
            for other in feed.source.thread(message_id):
                if parse_mail(other).message_id == message_id:
                    return other
        return raw

    def _counts(self, raw: bytes) -> bool:
        mail = _parse(raw) if self.known_only else None
        return not self.known_only or (mail is not None and self.ledger.knows(mail.message_id))

    def _read(self, message_id: str) -> tuple[bytes | None, list[LoreFeed]]:
        """A mail's bytes where they lie on this machine, and the servers that have it."""
        servers: list[LoreFeed] = []
        for name, place in self.ledger.places(message_id):
            feed = self.feeds.get(name)
            if isinstance(feed, LoreFeed):
                servers.append(feed)
            elif feed is not None and (raw := feed.read(place)) is not None:
                return raw, servers
        return None, servers


class Bot:
    """What a pass works with. `now` is the clock, `transport` opens the way out, `tell` hears of every event."""

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        *,
        rules: Sequence[CodeRule],
        transport: Callable[[], AbstractContextManager[Transport]],
        tell: Callable[[Event], None],
        feeds: Mapping[str, Feed] | None = None,
        source: Source | None = None,
        tree: Tree | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        replay: bool = False,
        via: Collection[str] = (),
    ) -> None:
        """`via` are the lists that surely have what `source` has.

        A `replay` reads nothing that is new, sees of a server only what was noted, and takes every mail for approved.
        """
        self.config, self.ledger, self.rules, self.tree = config, ledger, rules, tree
        self.feeds = feeds or {}
        self.archives = Archives(ledger, self.feeds, known_only=replay)
        self.source: Source = source or self.archives
        self.transport, self.tell, self.now = transport, tell, now
        self.replay, self.via = replay, tuple(via)
        self.settings = reply_settings(config)
        self.own = (self.settings.sender.email.lower(),)
        self.troubles: list[ReviewbotError] = []
        self.failed_sources: set[str] = set()
        self.mails = self.postings = self.queued = self.sent = 0
        waits = [config.policy.wait, *(table.wait for table in config.list.values())]
        self._least_wait = min(waits)

    def run(self) -> None:
        """The whole pass. Raises LedgerError, and ConfigError where sending is set up wrongly."""
        self.collect()
        self.obey()
        self.resolve()
        self.consider()
        self.deliver()
        self.ledger.prune(self.now() - REMEMBERED)

    # --- what is new ------------------------------------------------------------------------------

    def collect(self) -> None:
        """Note the new mails of every source. One that fails is told of, the others go on."""
        if self.replay:
            return
        for name, feed in self.feeds.items():
            try:
                self._collect(name, feed)
                self.failed_sources.discard(name)
            except LedgerError:
                raise
            except ReviewbotError as error:
                self.failed_sources.add(name)
                self._trouble(error)

    def _collect(self, name: str, feed: Feed) -> None:
        cursor = self.ledger.cursor(name)
        if cursor is None:
            cursor = feed.begin(None)
            self.ledger.set_cursor(name, cursor, self.now())
            self.tell(Event("note", "", "begin", f"source '{name}' is read from now on"))
        batch: list[Arrival] = []
        for arrival in feed.news(cursor):
            batch.append(arrival)
            if len(batch) >= _BATCH:
                self._note(name, batch, batch[-1].cursor)
                batch = []
        self._note(name, batch, feed.position)
        while feed.notes:
            self.tell(Event("note", "", "source", f"source '{name}': {feed.notes.pop(0)}"))

    def _note(self, name: str, batch: Sequence[Arrival], cursor: str) -> None:
        new, names = [], set()
        with self.ledger.transaction():
            for arrival in batch:
                # a server gives the same mails again and again, and a list's mail comes over other lists, too
                ids = read_head(arrival.raw).own if arrival.raw else ()
                known = ids[0].decode("utf-8", "surrogateescape") if ids else ""
                # the first mail under a Message-ID counts
                if known and (known in names or self._is_taken(known, name, arrival)):
                    continue
                names.add(known)
                if not self.ledger.add_place(known, name, arrival.place):
                    new.append(arrival)
        read = [found for arrival in new if (found := self._read(arrival))]
        with self.ledger.transaction():
            for row, mail, place in read:
                self._note_mail(row, mail, name, place)
            self.ledger.set_cursor(name, cursor, self.now())
        self._renew()

    def note(self, name: str, arrival: Arrival, *, considered: bool) -> None:
        """Note one mail of a source; one that is not to be considered is only known."""
        if found := self._read(arrival):
            row, mail, place = found
            if self._is_taken(row.message_id, name, arrival):
                return
            with self.ledger.transaction():
                if considered:
                    self._note_mail(row, mail, name, place)
                else:
                    self.ledger.add_mail(row._replace(due=None), name, place)

    def _read(self, arrival: Arrival) -> tuple[MailRow, Mail, str] | None:
        """A new mail as the ledger notes it; None for what cannot be referred to."""
        if arrival.raw is None:
            return None
        try:
            mail = parse_mail(arrival.raw)
        except Exception:  # noqa: BLE001 - the email package raises what it likes on hostile mail
            return None
        return (self._row(mail, arrival.arrived), mail, arrival.place) if mail.message_id else None

    def _row(self, mail: Mail, arrived: datetime) -> MailRow:
        arrived = self._arrived(mail, arrived)
        subject = parse_subject(mail.subject)
        verdict = judge_mail(mail, self.config, self.own)
        diff = has_diff(mail)
        kind = "reply" if subject.reply else "patch" if diff else "cover" if subject.counter == 0 else "other"
        due = arrived + self._least_wait if verdict is None else None
        above = [*mail.references, *([mail.in_reply_to] if mail.in_reply_to else [])]
        return MailRow(
            message_id=mail.message_id,
            arrived=arrived,
            sender=mail.sender.email.lower(),
            title=fold_title(subject.title),
            kind=kind,
            counter=subject.counter,
            change_id=declared_change_id([mail]),
            names=tuple(dict.fromkeys(above)),
            due=due,
            reason=verdict.reason if verdict else None,
            text=verdict.text if verdict else None,
        )

    def _arrived(self, mail: Mail, arrived: datetime) -> datetime:
        """When a new mail arrived: as the archive says, and where that is long ago (a clock that was reset) the mail.

        The later of both: what is old by both was imported, and what is told by neither arrives now.
        """
        now = self.now()
        if arrived < now - REMEMBERED:
            arrived = max((when for when in (arrived, mail.date) if when is not None and when > _NEVER), default=now)
        return min(arrived, now)

    def _note_mail(self, row: MailRow, mail: Mail, source: str, place: str) -> None:
        if not self.ledger.add_mail(row, source, place):
            return
        self.mails += 1
        if self.ledger.arrive(row.message_id, self.now()) or row.sender in self.own:
            return
        if row.reason and row.reason != Reason.NOT_A_PATCH:
            self.tell(Event("skipped", row.message_id, row.reason, row.text or "", mail.subject))
        for found in read_answers(mail):
            if isinstance(found, Answer):
                self.ledger.add_answer(
                    row.message_id, found.line, row.sender, found.command, found.rule, found.reason, self.now(),
                    AnswerState.NEW,
                )  # fmt: skip
            else:
                self.ledger.add_answer(
                    row.message_id, found.line, row.sender, "?", None, found.text, self.now(), AnswerState.MALFORMED,
                    found.why,
                )  # fmt: skip

    def _is_taken(self, message_id: str, source: str, arrival: Arrival) -> bool:
        """The source has another mail under this Message-ID, which came first and counts."""
        first = dict(self.ledger.places(message_id)).get(source, "")
        # the same bytes at another place: the epoch was rewritten
        return first not in ("", arrival.place) and self.feeds[source].read(first) not in (None, arrival.raw)

    def add(self, raws: Sequence[bytes]) -> None:
        """Note mails that come from no feed: a thread that a person named."""
        with self.ledger.transaction():
            for raw in raws:
                if found := self._read(Arrival(raw, "", self.now(), "")):
                    row, mail, _ = found
                    self._note_mail(row._replace(due=None), mail, "", "")

    # --- answers ----------------------------------------------------------------------------------

    def obey(self, members: Collection[str] | None = None) -> None:
        """Judge the answers that are new, and do what those say that count; with `members` those to these mails."""
        for answer in self.ledger.new_answers(self.now(), members):
            posting = self.ledger.answered(answer.message_id)
            if posting is not None:
                self._obey(answer, posting)
            elif answer.at < self.now() - _ANSWERABLE:
                self.ledger.judge_answer(answer.id, AnswerState.REFUSED, "it answers no series that is known", None)

    def _raw(self, message_id: str) -> bytes | None:
        try:
            if self.source is not self.archives:
                mails = self.source.thread(message_id)
                return next((raw for raw in mails if parse_mail(raw).message_id == message_id), None)
            return self.archives.raw(message_id)
        except (ReviewbotError, ValueError):
            return None

    def _obey(self, answer: AnswerRow, posting: Posting) -> None:
        maintainer = answer.sender in {address.lower() for address in self.config.policy.maintainers}
        command = Command(answer.command)
        series, now = posting.series, self.now()
        if answer.sender not in (posting.author, *self.ledger.senders(posting.id)) and not maintainer:
            self._judged(answer, AnswerState.REFUSED, "neither the author nor a configured maintainer", series)
            return
        if answer.rule and not any(matches((answer.rule,), rule.name, rule.id) for rule in self.rules):
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
        proof = prove(raw, self.config.answers)
        if not proof.proven:
            due = now + _AGAIN * 2**answer.tries if proof.again and answer.tries < _PROOFS else None
            state = AnswerState.NEW if due else AnswerState.UNPROVEN
            if due:
                self.ledger.judge_answer(answer.id, state, proof.how, series, due)
            else:
                self._judged(answer, state, proof.how, series)
            return
        with self.ledger.transaction():
            self._judged(answer, AnswerState.OBEYED, proof.how, series)
            if command is Command.STOP and not (maintainer and answer.sender != posting.author):
                self.ledger.opt_out(answer.sender, answer.message_id, now)
            elif command is Command.STOP:
                self.ledger.stop(series, answer.message_id)
            elif command is Command.START:
                # each takes back what is his: the author his opting out, a maintainer what stopped the series
                self.ledger.opt_in(answer.sender)
                if maintainer:
                    self.ledger.stop(series, None)
            elif command in _OBEYED and answer.rule:
                for row in self.ledger.findings(series):
                    if self._names(answer.rule, row.rule):
                        self.ledger.set_finding(series, row.fingerprint, FindingState.ANSWERED)

    def _says(self, raw: bytes, answer: AnswerRow, posting: Posting) -> bool:
        """The mail has the sender that is known for the answer, answers this posting, and the answer stands in it."""
        mail = _parse(raw)
        if mail is None or mail.sender.email.lower() != answer.sender:
            return False
        about = {*self.ledger.members(posting.id), *(ours.message_id for ours in self.ledger.outgoing_of(posting.id))}
        if about.isdisjoint((mail.message_id, mail.in_reply_to, *mail.references)):
            return False
        found = [one for one in read_answers(mail) if isinstance(one, Answer) and one.line == answer.line]
        return any((one.command, one.rule) == (answer.command, answer.rule) for one in found)

    def _judged(self, answer: AnswerRow, state: AnswerState, how: str, series: int) -> None:
        self.ledger.judge_answer(answer.id, state, how, series)
        self.tell(Event("answer", answer.message_id, state, f"{answer.command} {answer.rule or ''}: {how}"))

    def _names(self, word: str, rule: str) -> bool:
        """A word that an answer used means this rule."""
        return any(one.name == rule and matches((word,), one.name, one.id) for one in self.rules)

    # --- mails whose fate is not known ------------------------------------------------------------

    def resolve(self) -> None:
        """What a dead pass left: mails certainly not sent are free again; others when their archive lacks them."""
        now = self.now()
        self.ledger.release_dead(now)
        for mail in self.ledger.outgoing(MailState.UNCERTAIN):
            if mail.sent is None or now < mail.sent + self.config.send.resend_after:
                continue
            if self._lacks(mail, mail.sent + self.config.send.resend_after):
                self.ledger.send_again(mail.id, manual=False)
                text = f"no archive has <{mail.message_id}>: it is sent again under the same Message-ID"
                self.tell(Event("note", mail.target, "resend", text))

    def _lacks(self, mail: Outgoing, since: datetime) -> bool:
        """An archive that would have the mail is alive, was read in this pass, and does not have it at `since`."""
        for name, source in self.config.source.items():
            if source.list.lower() in mail.lists and name in self.feeds and name not in self.failed_sources:
                newest = self.ledger.newest_mail(name)
                # somebody else's mail came in since then: the archive is not merely standing still; and mail of ours
                # did before: the list does not keep it out, and its absence means something
                if newest is not None and newest >= since and self.ledger.has_archived(source.list.lower()):
                    return True
        return False

    # --- postings ---------------------------------------------------------------------------------

    def consider(self) -> None:
        """Look at every posting that is due. One that cannot be dealt with costs only itself."""
        for pending in self.ledger.pending(self.now()):
            if not self.ledger.is_pending(pending.message_id):
                continue  # settled together with another mail of its posting
            self._renew()
            if verdict := self._full(pending.sender):
                self._postpone((pending.message_id,), self.now() + _CAPPED, verdict)
                continue
            try:
                weighed = self.weigh(pending.message_id)
                self._settle(weighed, pending.message_id)
            except LedgerError:
                raise
            except TemporaryError as error:
                self._trouble(error)
                self.ledger.postpone((pending.message_id,), self.now() + _AGAIN)
            except ConfigError:
                raise
            except ReviewbotError as error:
                # a cover letter whose patches did not arrive, or a mail that is gone
                until = pending.arrived + self.config.policy.complete_within
                verdict = Verdict(Reason.INCOMPLETE, str(error)[:200], final=self.now() >= until)
                self._postpone((pending.message_id,), None if verdict.final else until, verdict)
            except Exception as error:  # noqa: BLE001 - a bug on one posting must not stop the others
                verdict = Verdict(Reason.UNREADABLE, f"internal error: {type(error).__name__}: {error}"[:200])
                self._postpone((pending.message_id,), None, verdict)
                self._trouble(ReviewbotError(f"<{pending.message_id}>: {verdict.text}"))

    def _full(self, sender: str) -> Verdict | None:
        """A cap that no posting of this sender gets past now: it need not be reviewed."""
        since = self.now() - _DAY
        sums = self.ledger.sums(sender, (), since, queued=True)
        most = max([self.config.policy.max_per_author, *(one.max_per_author for one in self.config.list.values())])
        if sums.author >= most:
            return Verdict(Reason.CAP_AUTHOR, f"{sums.author} mails to its author in 24 h", final=False)
        if sums.day >= self.config.policy.max_per_day:
            return Verdict(Reason.CAP_DAY, f"{sums.day} mails in 24 h", final=False)
        return None

    def _postpone(self, members: Collection[str], due: datetime | None, verdict: Verdict) -> None:
        """A verdict on mails of which no posting could be made."""
        arrived = self.ledger.arrived(members)
        if due is not None and arrived is not None and self.now() > arrived + self.config.policy.max_age:
            due = None
        told = {self.ledger.mail_reason(name) for name in members}
        self.ledger.postpone(members, due, verdict.reason, verdict.text)
        if told != {self.ledger.mail_reason(name) for name in members}:
            for name in members:
                self.tell(Event("skipped" if due is None else "waiting", name, verdict.reason, verdict.text))

    def weigh(self, name: str, row: Outgoing | None = None, *, manual: bool = False) -> Weighed:
        """What is to be said of the posting that a mail belongs to, as things stand now.

        `row` is a mail about to be sent: waiting and caps are behind it, and its kind is kept. `manual` is
        for a person who does not wait. Raises what the source raises, InputError where there is no posting.
        """
        raws = self.source.thread(name)
        found = find_series(self.source, raws, name)
        series = found.series
        mails = [mail for raw in raws if (mail := _parse(raw)) is not None]
        members = tuple(
            dict.fromkeys(
                mail.message_id
                for mail in (*([series.cover.mail] if series.cover else ()), *(p.mail for p in series.patches))
                if mail.message_id
            )
        )
        posting = self._register(series, members, mails)
        self.obey(members)
        lists = tuple(dict.fromkeys(
            self.config.source[name].list.lower()
            for member in members
            for name, _ in self.ledger.places(member)
            if name in self.config.source and self.config.source[name].list
        ))  # fmt: skip
        terms = terms_of(series, self.config, (*self.via, *lists))
        thread = frozenset(mail.message_id for mail in mails)
        base = Weighed(series, posting, members, terms, None, (), None, (), {}, thread)
        verdict = self._verdict(base, row, manual=manual)
        news = read_news(series, mails, (), self.own)
        if verdict is None:
            verdict = _news_verdict(news, series)
        wants_check = self._wants_check() and (
            verdict is None or verdict.reason in (Reason.LIST_OFF, Reason.UNKNOWN_LIST)
        )
        if verdict is not None and not wants_check:
            return base._replace(verdict=verdict)
        weighed = self._review(base, mails, row)
        return weighed._replace(verdict=verdict, drafts=()) if verdict is not None else weighed

    def _register(self, series: Series, members: Sequence[str], mails: Sequence[Mail]) -> Posting:
        subjects = [series.cover.subject if series.cover else None, *(p.subject for p in series.patches[:1])]
        above = {name for mail in mails if mail.message_id in members for name in (*mail.references, mail.in_reply_to)}
        first = series.cover.mail if series.cover else series.patches[0].mail
        # who would get a reply: whom a relay or list sends for
        settings = replace(self.settings, is_list=lambda email: is_list(email, self.config))
        found = recipients(first, series.cover.author if series.cover else series.patches[0].author, settings).author
        author = (found or first.sender).email.lower()
        return self.ledger.add_posting(
            members,
            revision=series.revision,
            subject=series.subject[:500],
            author=author,
            titles=[fold_title(subject.title) for subject in subjects if subject is not None and subject.title],
            change_id=series.change_id,
            answers=[name for name in above if name and name not in members],
            arrived=self.ledger.arrived(members) or self.now(),
        )

    def _verdict(self, base: Weighed, row: Outgoing | None, *, manual: bool) -> Verdict | None:
        series, posting, terms = base.series, base.posting, base.terms
        if not self.settings.configured and terms.mode is not Mode.OFF:
            return Verdict(Reason.NO_SENDER, "no [reply] sender is configured")
        verdict = judge_series(series, terms, self.config, arrived=posting.arrived, now=self.now())
        # a person need not wait, and may answer what is old
        by_hand = manual or (row is not None and row.manual)
        passed = (Reason.WAITING, Reason.TOO_OLD) if by_hand else (Reason.WAITING,) if row else ()
        if verdict is not None and verdict.reason not in passed:
            return verdict
        if series.warnings and any("numbered" in warning for warning in series.warnings):
            return Verdict(Reason.INCOMPLETE, series.warnings[0][:200])
        ours = {
            message_id(member, series.revision, self.settings, per).strip("<>")
            for member in base.members
            for per in Per
        }
        if not row and (there := sorted(ours & base.thread)) and not self.ledger.outgoing_of(posting.id):
            # another ledger's: a second host, or this one was lost
            return Verdict(Reason.ALREADY_SAID, f"the thread has <{there[0]}>")
        if posting.author in self.ledger.opted_out():
            return Verdict(Reason.OPTED_OUT, "the author asked for no mail")
        if stopped := self.ledger.stopped(posting.series):
            return Verdict(Reason.OPTED_OUT, f"stopped by <{stopped}>")
        newer = [
            other
            for other in self.ledger.postings(posting.series)
            # a title is used again: what is older was no newer revision
            if other.revision > posting.revision and other.arrived >= posting.arrived
        ]
        if newer:
            return Verdict(Reason.SUPERSEDED, f"v{newer[-1].revision} is known")
        if row or manual:
            return None
        return self._caps(base, queued=True)

    def _caps(self, base: Weighed, *, queued: bool) -> Verdict | None:
        sums = self.ledger.sums(base.posting.author, base.terms.lists, self.now() - _DAY, queued=queued)
        out = [
            mail
            for mail in self.ledger.outgoing_of(base.posting.id)
            if mail.state in (MailState.SENT, MailState.UNCERTAIN)
        ]
        return judge_caps(Sent(len(out), sums.author, sums.day, dict(sums.lists)), base.terms, self.config)

    def _room(self, base: Weighed) -> int:
        """How many mails this posting may get."""
        sums = self.ledger.sums(base.posting.author, base.terms.lists, self.now() - _DAY, queued=True)
        lists = dict(sums.lists)
        return min(
            base.terms.max_per_series,
            base.terms.max_per_author - sums.author,
            self.config.policy.max_per_day - sums.day,
            *(most - lists.get(name, 0) for name, most in base.terms.max_per_list),
        )

    def _review(self, base: Weighed, mails: Sequence[Mail], row: Outgoing | None) -> Weighed:
        series, posting, terms = base.series, base.posting, base.terms
        reviewed = self._run_rules(series)
        wanted = Selection(least=terms.severity, low=terms.confidence == "low", ignore=terms.ignore)
        answered = self._answers(posting, reviewed.findings)
        said = self.ledger.said(posting.series, posting.author)
        known = {**{name: f"already said in <{by}>" for name, by in said.items()}, **answered}
        chosen = select(reviewed, wanted._replace(known=known))
        news = read_news(series, mails, chosen.shown, self.own)
        others = {one.fingerprint: one.message_id for one in news.said}
        for finding in chosen.shown:
            # who speaks of one place has spoken of those that would be named with it
            if finding.fingerprint in others:
                others |= {one.fingerprint: others[finding.fingerprint] for one in folded(finding, chosen.findings)}
        gone = _gone(news, series)
        if others or gone:
            known |= {name: f"said by <{by}>" for name, by in others.items()}
            known |= {
                f.fingerprint: "the patch was applied or taken back" for f in chosen.findings if f.patch.index in gone
            }
            chosen = select(reviewed, wanted._replace(known=known))
        fixed = self._fixed(posting, chosen, said)
        # as they were said: places of one remark count as one
        still = {
            (f.rule, f.message, f.patch.index) for f in chosen.findings if (f.why_not_shown or "").startswith(_KNOWN)
        }
        weighed = base._replace(review=chosen, fixed=fixed, said_by=others)
        if not chosen.shown:
            return weighed._replace(verdict=_silence(chosen, others))
        earlier = dict.fromkeys(Earlier(one.rule, one.path, one.last) for one in fixed)
        history = History(tuple(earlier), len(still))
        room = len(series.patches) if row else max(1, self._room(base))
        settings = self._settings(terms, room, row)
        made = make_replies(chosen, settings, now=self.now(), history=history)
        if not made:
            return weighed._replace(verdict=Verdict(Reason.NO_AUTHOR, "nobody can be written to"))
        drafts = []
        for message in made:
            to = [
                address.addr_spec.lower()
                for name in ("To", "Cc")
                for address in getattr(message[name], "addresses", ())
            ]
            drafts.append(
                Draft(
                    message_id=str(message["Message-ID"]).strip("<>"),
                    target=target_of(message) or "",
                    kind=str(message["Message-ID"]).split(".")[1],
                    recipients=tuple(to),
                    lists=tuple(name for name in to if name in terms.lists),
                    raw=serialise(message),
                    fingerprints=fingerprints_of(message),
                )
            )
        return weighed._replace(drafts=tuple(drafts))

    def _run_rules(self, series: Series) -> Review:
        files = None
        if self.tree is not None:
            try:
                found = self.tree.find_base(series)
                if found.commit is not None:
                    series = series._replace(base=found.base)
                    files = self.tree.files(found.commit)
            except ReviewbotError as error:
                self._trouble(error)
        return review(series, self.rules, None, files)

    def _answers(self, posting: Posting, findings: Sequence[Finding]) -> dict[str, str]:
        """Fingerprint -> the answer to it."""
        found: dict[str, str] = {}
        for answer in self.ledger.answers(posting.series):
            if answer.state is AnswerState.OBEYED and Command(answer.command) in _OBEYED and answer.rule:
                for finding in findings:
                    if matches((answer.rule,), finding.rule, finding.rule_id):
                        found[finding.fingerprint] = f"answered in <{answer.message_id}>"
        for row in self.ledger.findings(posting.series):
            if row.state in (FindingState.ANSWERED, FindingState.SUPPRESSED):
                found.setdefault(row.fingerprint, f"answered: {row.state}")
        return found

    def _fixed(self, posting: Posting, chosen: Review, said: Mapping[str, str]) -> tuple[Row, ...]:
        """Findings that were mailed for an earlier revision, are gone, and were not told to be."""
        if chosen.errors:
            return ()  # what could not be read may still have them
        present = {finding.fingerprint for finding in chosen.findings}
        rules = {rule.name for rule in self.rules}
        return tuple(
            row
            for row in self.ledger.findings(posting.series)
            if row.fingerprint in said
            and row.fingerprint not in present
            and row.rule in rules
            and row.last < posting.revision
            and not row.fix_told
            and row.state in (FindingState.OPEN, FindingState.FIXED)
        )

    def _settings(self, terms: Terms, most: int, row: Outgoing | None) -> ReplySettings:
        draft = terms.mode is Mode.DRAFT
        directory = terms.template_dir or self.config.reply.template_dir
        return replace(
            self.settings,
            per=Per(row.kind) if row else Per(terms.per or "patch"),
            max_mails=0 if row else most,
            template_dir=Path(directory).expanduser() if directory else None,
            author_only=terms.mode is Mode.AUTHOR,
            opted_out=(*self.config.policy.opted_out, *self.ledger.opted_out()),
            robots=self.config.policy.bots,
            lists=None if draft else frozenset(terms.lists),
            is_list=lambda email: is_list(email, self.config),
            action_required=terms.action_required,
        )

    def _settle(self, weighed: Weighed, message_id: str) -> None:
        """Write down what was decided of a posting, all at once."""
        self.postings += 1
        members = tuple(dict.fromkeys((*weighed.members, message_id)))
        with self.ledger.transaction():
            self._withdraw_older(weighed.posting)
            if weighed.review is not None:
                self._record(weighed, weighed.review)
            if weighed.verdict is not None:
                self._refuse(weighed, members, weighed.verdict)
                return
            self.enqueue(weighed)
            self.ledger.settle_mails(members)

    def _refuse(self, weighed: Weighed, members: Sequence[str], verdict: Verdict) -> None:
        posting, due = weighed.posting, None
        if not verdict.final:
            due = self.now() + (_CAPPED if verdict.reason.startswith("cap-") else _AGAIN)
            if verdict.reason is Reason.WAITING:
                due = max(posting.arrived + weighed.terms.wait, self.now() + timedelta(seconds=1))
            elif verdict.reason is Reason.INCOMPLETE:
                due = posting.arrived + self.config.policy.complete_within
        if due is None:
            self.ledger.settle_mails(members)
        else:
            self.ledger.postpone(members, due)
        if self.ledger.decide(posting.id, self.now(), verdict.reason, verdict.text, final=verdict.final):
            what = "skipped" if verdict.final else "waiting"
            self.tell(Event(what, posting.message_id, verdict.reason, verdict.text, posting.subject))

    def _record(self, weighed: Weighed, chosen: Review) -> None:
        posting = weighed.posting
        sayable = [f for f in chosen.findings if not f.preexisting and _sayable(f)]
        seen = [
            Seen(f.fingerprint, f.rule, f.severity, f.span.path[:500], f.function, f.message[:500]) for f in sayable
        ]
        present = {finding.fingerprint for finding in chosen.findings}
        rules = set() if chosen.errors else {rule.name for rule in self.rules}
        self.ledger.record(posting, seen, present, rules, self.now())
        for fingerprint in weighed.said_by:
            self.ledger.set_finding(posting.series, fingerprint, FindingState.SUPPRESSED)
        for answer, names in self._answers(posting, sayable).items():
            if names.startswith("answered in"):
                self.ledger.set_finding(posting.series, answer, FindingState.ANSWERED)
        if self._wants_check():
            # what was said of an earlier revision and is still there keeps its check red; what was answered does not
            counted = [
                f._replace(shown=True, why_not_shown=None)
                for f in sayable
                if not (f.why_not_shown or "").startswith("answered")
            ]
            for check in states(chosen, counted):
                self.ledger.want_check(check.message_id, check.state, check.description, self.now())

    def _wants_check(self) -> bool:
        return is_configured(self.config.patchwork)

    def _withdraw_older(self, posting: Posting) -> None:
        for other in self.ledger.postings(posting.series):
            if other.revision < posting.revision and other.arrived <= posting.arrived:
                for mail in self.ledger.outgoing_of(other.id):
                    if mail.state in WAITING:
                        self.ledger.move(
                            mail.id, MailState.WITHDRAWN, Reason.SUPERSEDED, f"v{posting.revision} is known"
                        )

    def enqueue(self, weighed: Weighed, *, manual: bool = False) -> list[str]:
        """Put the drafts into the outbox; the Message-IDs of those that are new there."""
        posting, terms = weighed.posting, weighed.terms
        state = MailState.DRAFT if terms.mode is Mode.DRAFT else MailState.QUEUED
        if terms.mode is not Mode.DRAFT and (terms.auto or manual or self.replay):
            state = MailState.READY
        reason = {MailState.DRAFT: Reason.DRAFT, MailState.QUEUED: Reason.AWAITING_APPROVAL}.get(state)
        put = []
        for draft in weighed.drafts:
            done = self.ledger.put(
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
                now=self.now(),
            )
            if not done:
                continue
            put.append(draft.message_id)
            if draft.message_id in weighed.thread or self.ledger.knows(draft.message_id):
                # another host, or a ledger that was lost: the archive knows better
                self.ledger.arrive(draft.message_id, self.now())
                continue
            self.queued += 1
            if state is not MailState.READY:
                addresses = f"{len(draft.recipients)} address{'' if len(draft.recipients) == 1 else 'es'}"
                text = f"{_count(len(draft.fingerprints), 'finding')}, to {addresses}"
                self.tell(
                    Event(
                        "queued" if state is MailState.QUEUED else "drafted",
                        draft.target,
                        str(reason),
                        text,
                        posting.subject,
                    )
                )
        if reason and put:
            self.ledger.decide(posting.id, self.now(), reason, _count(len(put), "mail"), final=True)
        return put

    # --- the way out ------------------------------------------------------------------------------

    def kill_switch(self) -> str | None:
        """The file that stops all sending, where it is there."""
        return None if self.replay else kill_switch(self.config)

    def deliver(self, only: Collection[str] | None = None, *, at_once: bool = False) -> None:
        """Send what is ready, or some of it; `at_once` does not wait for the next attempt's time.

        Raises LedgerError and ConfigError; nothing more is sent then.
        """
        ready = [
            mail
            for mail in self.ledger.outgoing(MailState.READY)
            if (at_once or mail.next_try <= self.now()) and (only is None or mail.message_id in only)
        ]
        if not ready:
            return
        # what came in while others were reviewed counts, too
        self.collect()
        self.obey()
        try:
            with self.transport() as transport:
                for mail in ready:
                    self._renew()
                    if stop := self.kill_switch():
                        text = f"'{stop}' is there: nothing is sent"
                        self.tell(Event("waiting", mail.target, Reason.KILL_SWITCH, text))
                        for other in ready:
                            self._decide(
                                other, Reason.KILL_SWITCH, "nothing is sent while the file is there", final=False
                            )
                        break
                    self._deliver(mail, transport)
        except TemporaryError as error:
            self._trouble(error)

    def _decide(self, mail: Outgoing, reason: str, text: str, *, final: bool) -> None:
        self.ledger.decide(mail.posting, self.now(), reason, text, final=final)

    def _deliver(self, mail: Outgoing, transport: Transport) -> None:
        posting = self.ledger.posting(mail.posting)
        if self.ledger.knows(mail.message_id):
            self.ledger.arrive(mail.message_id, self.now())
            self.tell(Event("note", mail.target, "already-there", f"<{mail.message_id}> is in the archive"))
            return
        places = {name for name, _ in self.ledger.places(mail.target)}
        if not mail.manual and places and places <= self.failed_sources:
            # the thread cannot be read once more: who knows what was said in it since
            text = f"source '{min(places)}' cannot be read"
            self._decide(mail, "archive-down", text, final=False)
            self.tell(Event("waiting", mail.target, "archive-down", text, posting.subject))
            return
        try:
            weighed = self.weigh(mail.target, mail)
        except TemporaryError as error:
            self._trouble(error)
            return
        except LedgerError:
            raise
        except InputError as error:
            weighed = None
            verdict: Verdict | None = Verdict(Reason.UNREADABLE, str(error)[:200])
        draft = None
        if weighed is not None:
            verdict = weighed.verdict
            draft = next((one for one in weighed.drafts if one.message_id == mail.message_id), None)
            if verdict is None and draft is None:
                verdict = Verdict(Reason.SAID_BY_OTHER, "there is nothing left to say")
            if verdict is not None and weighed.review is not None:
                with self.ledger.transaction():
                    self._record(weighed, weighed.review)
        if weighed is None or draft is None or weighed.terms.mode is Mode.DRAFT:
            verdict = verdict or Verdict(Reason.DRAFT, "its lists get drafts")
            with self.ledger.transaction():
                state = MailState.DRAFT if verdict.reason is Reason.DRAFT else MailState.WITHDRAWN
                self.ledger.move(mail.id, state, verdict.reason, verdict.text)
                self._decide(mail, verdict.reason, verdict.text, final=True)
            self.tell(Event("skipped", mail.target, verdict.reason, verdict.text, posting.subject))
            return
        if not mail.manual and not (weighed.terms.auto or self.replay):
            self.ledger.move(mail.id, MailState.QUEUED, Reason.AWAITING_APPROVAL, "its lists want approval")
            return
        if not mail.manual and (verdict := self._caps(weighed, queued=False)):
            with self.ledger.transaction():
                if verdict.final:
                    self.ledger.move(mail.id, MailState.WITHDRAWN, verdict.reason, verdict.text)
                else:
                    self.ledger.delay(mail.id, self.now() + _CAPPED)
                self._decide(mail, verdict.reason, verdict.text, final=verdict.final)
            self.tell(Event("waiting", mail.target, verdict.reason, verdict.text, posting.subject))
            return
        raw, recipients = mail.raw, mail.recipients
        if set(draft.fingerprints) != set(self.ledger.fingerprints(mail.id)) or set(draft.recipients) != set(
            recipients
        ):
            changed = not set(draft.fingerprints) <= set(self.ledger.fingerprints(mail.id))
            self._replace(
                mail, draft, weighed.posting, MailState.QUEUED if mail.manual and changed else MailState.READY
            )
            if mail.manual and changed:
                self.tell(
                    Event("queued", mail.target, Reason.AWAITING_APPROVAL, "it says more than when it was approved")
                )
                return
            raw, recipients = draft.raw, draft.recipients
        self._send(mail, raw, recipients, posting, weighed, transport)

    def _replace(self, mail: Outgoing, draft: Draft, posting: Posting, state: MailState) -> None:
        self.ledger.put(
            mail.message_id,
            posting=posting,
            author=draft.recipients[0],
            target=draft.target,
            kind=draft.kind,
            recipients=draft.recipients,
            lists=draft.lists,
            raw=draft.raw,
            fingerprints=draft.fingerprints,
            state=state,
            manual=mail.manual and state is MailState.READY,
            now=self.now(),
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
        date = format_datetime(self.now()).encode("ascii")
        raw = _DATE.sub(b"Date: " + date, head, count=1) + blank + body
        if self.config.send.sign:
            raw = sign(raw)
        token = self.ledger.claim(mail.message_id, self.now())
        if token is None:
            return  # another host is at it

        def last() -> None:
            if stop := self.kill_switch():
                raise _StoppedError(f"'{stop}' is there: nothing is sent")
            self.ledger.point_of_no_return(mail.message_id, token, self.now())

        sender = self.config.send.envelope_from or self.settings.sender.email
        try:
            result = transport.send(sender, recipients, raw.replace(b"\n", b"\r\n"), last)
        except _StoppedError:
            self.ledger.settle(mail.message_id, token, MailState.READY, self.now(), text="kill switch")
            raise
        except (TemporaryError, ConfigError) as error:
            # the server as such: this mail is as good as before
            self._later(mail, token, str(error))
            raise
        except ValueError as error:
            # nothing that could be sent: the others can
            self._fail(mail, token, f"internal error: {error}"[:300], posting)
            self._trouble(ReviewbotError(f"<{mail.message_id}> cannot be sent: {error}"))
            return
        if result.outcome is Outcome.SENT:
            refused = f"; refused: {', '.join(result.refused)}"[:500] if result.refused else ""
            with self.ledger.transaction():
                self.ledger.settle(mail.message_id, token, MailState.SENT, self.now(), text=f"{result.text}{refused}")
                self.ledger.tell_fixed(posting.series, [row.fingerprint for row in weighed.fixed])
                self.ledger.decide(posting.id, self.now(), "sent", f"<{mail.message_id}>", final=True)
            self.sent += 1
            said = f"{_count(len(set(self.ledger.fingerprints(mail.id))), 'finding')} to {', '.join(recipients[:3])}"
            more = f" and {len(recipients) - 3} more" if len(recipients) > 3 else ""
            self.tell(Event("sent", mail.target, "sent", said + more + refused, posting.subject))
        elif result.outcome is Outcome.TRANSIENT:
            if mail.attempts + 1 >= self.config.send.attempts:
                self._fail(mail, token, f"gave up: {result.text}", posting)
            else:
                self._later(mail, token, result.text)
                self.tell(Event("waiting", mail.target, "later", result.text, posting.subject))
        elif result.outcome is Outcome.PERMANENT:
            self._fail(mail, token, result.text, posting)
        else:
            with self.ledger.transaction():
                self.ledger.settle(mail.message_id, token, MailState.UNCERTAIN, self.now(), text=result.text)
                self._decide(mail, Reason.UNCERTAIN, result.text, final=True)
            self.tell(Event("uncertain", mail.target, Reason.UNCERTAIN, result.text, posting.subject))

    def _later(self, mail: Outgoing, token: str, text: str) -> None:
        delay = min(_BACK_OFF * 2 ** min(mail.attempts, 20), _MOST_BACK_OFF)
        self.ledger.settle(mail.message_id, token, MailState.READY, self.now(), text=text, next_try=self.now() + delay)

    def _fail(self, mail: Outgoing, token: str, text: str, posting: Posting) -> None:
        with self.ledger.transaction():
            self.ledger.settle(mail.message_id, token, MailState.FAILED, self.now(), text=text)
            self._decide(mail, Reason.FAILED, text, final=True)
        self.tell(Event("failed", mail.target, Reason.FAILED, text, posting.subject))

    # --- Patchwork --------------------------------------------------------------------------------

    def post_checks(self) -> None:
        """Post the checks that are wanted. What Patchwork does not have yet is tried again for some hours."""
        if not self._wants_check() or not (wanted := self.ledger.wanted_checks(self.now())):
            return
        with Patchwork(self.config.patchwork) as patchwork:
            for check in wanted:
                try:
                    posted = patchwork.post(check.message_id, State(check.state), check.description)
                except TemporaryError as error:
                    due = self.now() + _AGAIN * 2**check.tries if check.tries < 10 else None
                    self.ledger.settle_check(check.message_id, str(error)[:300], self.now(), due)
                    self._trouble(error)
                    return  # the server is not well: the others would fare the same
                again = posted is Posted.NO_PATCH and check.tries < 6
                due = self.now() + _AGAIN * 2**check.tries if again else None
                self.ledger.settle_check(check.message_id, posted, self.now(), due)
                if posted is Posted.FORBIDDEN:
                    if check.tries == 0:
                        self._trouble(ReviewbotError(f"'{self.config.patchwork.url}' does not let us post checks"))
                    return
                if posted is Posted.POSTED:
                    self.tell(Event("check", check.message_id, check.state, check.description))

    # --- odds -------------------------------------------------------------------------------------

    def _trouble(self, error: ReviewbotError) -> None:
        if str(error) not in {str(other) for other in self.troubles}:
            self.troubles.append(error)

    def _renew(self) -> None:
        if self.ledger.path != ":memory:" and (other := self.ledger.lease(self.now())):
            raise LedgerError(f"ledger '{self.ledger.path}' was taken over by {other}, which is told after {LEASE}")


class _StoppedError(TemporaryError):
    """The kill switch appeared at the last moment."""


def kill_switch(config: Config) -> str | None:
    """The file that stops all sending, where it is there: the configured one, or STOP beside the ledger."""
    name = config.policy.kill_switch
    path = os.path.expanduser(name) if name else os.path.join(os.path.dirname(ledger_path(config)), "STOP")
    return path if os.path.lexists(path) else None


def _parse(raw: bytes) -> Mail | None:
    try:
        return parse_mail(raw)
    except Exception:  # noqa: BLE001 - the email package raises what it likes on hostile mail
        return None


def _sayable(finding: Finding) -> bool:
    """It is said, or would be if it had not been said, answered, or made a place of another one."""
    why = finding.why_not_shown
    return finding.shown or why == FOLDED or (why is not None and why.startswith((*_KNOWN, "said by <")))


def _news_verdict(news: News, series: Series) -> Verdict | None:
    """The whole posting was taken back or applied."""
    patches = [patch.index for patch in series.patches]
    for reason, find in ((Reason.RETRACTED, news.retraction), (Reason.APPLIED, news.application)):
        told = [find(index) for index in patches]
        if told and all(told) and told[0]:
            return Verdict(reason, f"<{told[0].message_id}> says so")
    return None


def _gone(news: News, series: Series) -> frozenset[int]:
    """Patches that were taken back or applied."""
    patches = [patch.index for patch in series.patches]
    return frozenset(index for index in patches if news.retraction(index) or news.application(index))


def _silence(chosen: Review, others: Mapping[str, str]) -> Verdict:
    """Why a review says nothing."""
    hidden = [finding for finding in chosen.findings if not finding.preexisting]
    whys = [finding.why_not_shown or "" for finding in hidden]
    for reason, begin in (
        (Reason.ALREADY_SAID, "already said"),
        (Reason.ANSWERED, "answered"),
        (Reason.SAID_BY_OTHER, "said by <"),
        (Reason.ANSWERED, f"{IGNORED}: "),
        (Reason.APPLIED, "the patch was"),
    ):
        if said := [why for why in whys if why.startswith(begin)]:
            return Verdict(reason, f"{_count(len(said), 'finding')}: {said[0]}"[:200])
    if any(why in ("low confidence", "severity") for why in whys):
        return Verdict(Reason.BELOW_MINIMUM, f"{_count(len(hidden), 'finding')} below the list's minimum")
    del others
    old = sum(finding.why_not_shown == PREEXISTING for finding in chosen.findings)
    return Verdict(Reason.NOTHING_FOUND, f"{_count(old, 'finding')} from before the patches" if old else "")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
