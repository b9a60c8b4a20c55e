# SPDX-License-Identifier: GPL-2.0-or-later
"""What is new in the archives -> the ledger, together with the resume point.

Belongs here: when a mail counts as arrived, which of several under one Message-ID counts, and noting down the
answers that it holds. Does not belong here: judging those (`answering`), reading archives (`source.feed`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from reviewbot.answers import Answer, read_answers
from reviewbot.bot.answering import NO_COMMAND
from reviewbot.bot.site import Event, Site
from reviewbot.index import UNANSWERED, Index, SeriesIndexError
from reviewbot.ledger import AnswerState, LedgerError, MailRow
from reviewbot.mail import declared_change_id, fold_title, has_diff, parse_subject
from reviewbot.mime import header_text, parse_mail
from reviewbot.model import Mail, ReviewbotError
from reviewbot.policy import Reason, judge_mail
from reviewbot.source import read_head
from reviewbot.source.feed import Arrival, Feed

# Mails are noted in transactions of so many: a pass that dies reads at most these again.
_BATCH = 100
# An archive's mails are remembered for so long: threads and revisions are found among them.
REMEMBERED = timedelta(days=200)
# Clocks that are set by hand differ by hours.
_SKEW = timedelta(days=1)
# No patch is so old: a clock without a battery.
_NEVER = datetime(1971, 1, 1, tzinfo=UTC)


class Intake:
    """The first step of a pass."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def collect(self) -> None:
        """Note the new mails of every source. One that fails is told of, the others go on."""
        if self.site.replay:
            return
        for name, feed in self.site.feeds.items():
            try:
                self._collect(name, feed)
                self.site.failed_sources.discard(name)
            except LedgerError:
                raise
            except ReviewbotError as error:
                self.site.failed_sources.add(name)
                self.site.trouble(error)

    def _collect(self, name: str, feed: Feed) -> None:
        cursor = self.site.ledger.cursor(name)
        if cursor is None:
            cursor = feed.begin(None)
            self.site.ledger.set_cursor(name, cursor, self.site.now())
            self.site.tell(Event("note", "", "begin", f"source '{name}' is read from now on"))
        batch: list[Arrival] = []
        for arrival in feed.news(cursor):
            batch.append(arrival)
            if len(batch) >= _BATCH:
                self._note(name, batch, batch[-1].cursor)
                batch = []
        self._note(name, batch, feed.position)
        while feed.notes:
            self.site.tell(Event("note", "", "source", f"source '{name}': {feed.notes.pop(0)}"))

    def _note(self, name: str, batch: Sequence[Arrival], cursor: str) -> None:
        new, names = [], set()
        with self.site.ledger.transaction():
            for arrival in batch:
                # a server gives the same mails again and again, and a list's mail comes over other lists, too
                ids = read_head(arrival.raw).own if arrival.raw else ()
                known = header_text(ids[0]) if ids else ""
                # the first mail under a Message-ID counts
                if known and (known in names or self._is_taken(known, name, arrival)):
                    continue
                names.add(known)
                if not self.site.ledger.add_place(known, name, arrival.place):
                    new.append(arrival)
        read = [found for arrival in new if (found := self._read(arrival))]
        self._index(read)
        with self.site.ledger.transaction():
            for row, mail, place in read:
                self._note_mail(row, mail, name, place)
            self.site.ledger.set_cursor(name, cursor, self.site.now())
        self.site.renew()

    def _index(self, read: Sequence[tuple[MailRow, Mail, str]]) -> None:
        """Before the ledger has them: what a pass that dies leaves undone is done by the next."""
        wanted = [(row, mail) for row, mail, _ in read if row.reason is None or row.reason in UNANSWERED]
        if self.site.index is None or not wanted:
            return
        try:
            with self.site.index.transaction():
                for row, mail in wanted:
                    self._index_one(self.site.index, row, mail)
        except SeriesIndexError as error:
            # it can be made anew, and is no reason to answer nobody
            self.site.index = None
            self.site.trouble(error)

    def _index_one(self, index: Index, row: MailRow, mail: Mail) -> None:
        try:
            # the archive tells better than the sender's clock when it was sent: it was read right away
            index.add(mail._replace(date=row.arrived), row.arrived, self.site.now())
        except SeriesIndexError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug on one mail must not stop the others
            why = f"{type(error).__name__}: {error}"[:200]
            self.site.trouble(ReviewbotError(f"<{row.message_id}> cannot be indexed: {why}"))

    def prune(self) -> None:
        """Forget the series that are in flight no more."""
        if self.site.index is not None:
            try:
                self.site.index.prune(self.site.now() - REMEMBERED)
            except SeriesIndexError as error:
                self.site.trouble(error)

    def note(self, name: str, arrival: Arrival, *, considered: bool) -> None:
        """Note one mail of a source; one that is not to be considered is only known."""
        if found := self._read(arrival):
            row, mail, place = found
            if self._is_taken(row.message_id, name, arrival):
                return
            self._index([found])
            with self.site.ledger.transaction():
                if considered:
                    self._note_mail(row, mail, name, place)
                else:
                    self.site.ledger.add_mail(row._replace(due=None), name, place)

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
        verdict = judge_mail(mail, self.site.config, self.site.own)
        diff = has_diff(mail)
        kind = "reply" if subject.reply else "patch" if diff else "cover" if subject.counter == 0 else "other"
        due = arrived + self.site.least_wait if verdict is None else None
        above = [*mail.references, *([mail.in_reply_to] if mail.in_reply_to else [])]
        return MailRow(
            message_id=mail.message_id,
            arrived=arrived,
            sender=mail.sender.email.lower(),
            title=fold_title(subject.title),
            kind=kind,
            counter=subject.counter,
            revision=min(subject.revision or 1, 9999),
            change_id=declared_change_id([mail]),
            names=tuple(dict.fromkeys(above)),
            due=due,
            reason=verdict.reason if verdict else None,
            text=verdict.text if verdict else None,
        )

    def _arrived(self, mail: Mail, arrived: datetime) -> datetime:
        """When a new mail arrived: as the archive says, and where that is long ago (a clock that was reset) the mail.

        The later of both: what is old by both was imported, and what is told by neither arrives now. Where archive
        and mail agree on a time to come, it is our own clock that is wrong.
        """
        now = self.site.now()
        if arrived > now + _SKEW and mail.date is not None and abs(mail.date - arrived) < _SKEW:
            return arrived
        if arrived < now - REMEMBERED:
            arrived = max((when for when in (arrived, mail.date) if when is not None and when > _NEVER), default=now)
        return min(arrived, now)

    def _note_mail(self, row: MailRow, mail: Mail, source: str, place: str) -> None:
        if not self.site.ledger.add_mail(row, source, place):
            return
        self.site.mails += 1
        if self.site.ledger.arrive(row.message_id, self.site.now()) or row.sender in self.site.own:
            return
        if row.reason and row.reason != Reason.NOT_A_PATCH:
            self.site.tell(Event("skipped", row.message_id, row.reason, row.text or "", mail.subject))
        ledger, now = self.site.ledger, self.site.now()
        for found in read_answers(mail):
            about = (row.message_id, found.line, row.sender)
            if isinstance(found, Answer):
                ledger.add_answer(*about, found.command, found.rule, found.reason, now, AnswerState.NEW)
            else:
                ledger.add_answer(*about, NO_COMMAND, None, found.text, now, AnswerState.NEW, found.why)

    def _is_taken(self, message_id: str, source: str, arrival: Arrival) -> bool:
        """The source has another mail under this Message-ID, which came first and counts."""
        first = dict(self.site.ledger.places(message_id)).get(source, "")
        # the same bytes at another place: the epoch was rewritten
        return first not in ("", arrival.place) and self.site.feeds[source].read(first) not in (None, arrival.raw)

    def add(self, raws: Sequence[bytes]) -> None:
        """Note mails that come from no feed: a thread that a person named."""
        with self.site.ledger.transaction():
            for raw in raws:
                if found := self._read(Arrival(raw, "", self.site.now(), "")):
                    row, mail, _ = found
                    self._note_mail(row._replace(due=None), mail, "", "")
