# SPDX-License-Identifier: GPL-2.0-or-later
"""What was seen, what was decided and what was sent: one SQLite file.

Belongs here: the tables, and the questions that are asked of them. Does not belong here: deciding
anything (`policy`, `bot`), sending (`send`). Every change is made within `transaction()`, which takes
the write lock first; what a killed process had not committed did not happen. Times are kept as whole
seconds since 1970.

A mail goes out at most once because of three steps, each committed before the next begins: `claim()`
inserts the row with the mail's Message-ID, which is unique; `point_of_no_return()` says that the server
is about to be told that the mail is complete; `settle()` says what it answered. Who dies before the
second step has sent nothing, and `release_dead()` gives the mail free; who dies behind it may have, and
the mail is `uncertain` until the archive shows it or a person decides.
"""

from __future__ import annotations

import os
import re
import socket
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Self

from reviewbot.config import Config, state_file
from reviewbot.database import Database, reason
from reviewbot.model import ReviewbotError

# How long a pass on another host is believed to be alive without a sign.
LEASE = timedelta(minutes=15)
# Thread names followed from one mail, and names that one mail may tie to its own: a hostile References: header
# names thousands of threads, and each of their postings would be weighed with all mails of all of them.
_MOST_NAMES = 20_000
_MOST_ANSWERED = 50
# Seconds to wait for another process's transaction; each of ours takes milliseconds.
_BUSY = 30
# File systems whose files several hosts share, where SQLite's shared memory (WAL) does not work
# (https://www.sqlite.org/wal.html, "all processes using a database must be on the same host computer").
_SHARED = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph", "glusterfs", "fuse.glusterfs", "afs")

# Each entry takes the file from the version before to its own (PRAGMA user_version). Never change one that was
# released: append.
MIGRATIONS = (
    """
    CREATE TABLE cursor (source TEXT PRIMARY KEY, position TEXT NOT NULL, at INTEGER NOT NULL);
    CREATE TABLE mail (
        id INTEGER PRIMARY KEY,
        message_id TEXT NOT NULL UNIQUE,
        arrived INTEGER NOT NULL,      -- as the archive says, never later than when it was read
        sender TEXT NOT NULL,          -- address in lower case
        title TEXT NOT NULL,           -- without prefixes, case and white space folded
        kind TEXT NOT NULL,            -- patch, cover, reply, other
        counter INTEGER,               -- n of n/m
        revision INTEGER NOT NULL,     -- 1 where the subject does not say
        change_id TEXT,
        due INTEGER,                   -- when to look at it (again); NULL: it is settled
        reason TEXT,                   -- why it is not reviewed; NULL: it is, or was
        text TEXT);
    CREATE INDEX mail_due ON mail (due) WHERE due IS NOT NULL;
    CREATE INDEX mail_sender ON mail (sender, title, arrived);
    CREATE INDEX mail_change ON mail (change_id) WHERE change_id IS NOT NULL;
    CREATE INDEX mail_arrived ON mail (arrived);
    CREATE TABLE place (
        mail INTEGER NOT NULL REFERENCES mail ON DELETE CASCADE,
        source TEXT NOT NULL, place TEXT NOT NULL,
        nth INTEGER NOT NULL,          -- 0 for the source that had it first, whose mail counts
        PRIMARY KEY (mail, source)) WITHOUT ROWID;
    CREATE TABLE name (               -- Message-IDs that a mail bears or answers: what threads hang together by
        name TEXT NOT NULL, mail INTEGER NOT NULL REFERENCES mail ON DELETE CASCADE,
        PRIMARY KEY (name, mail)) WITHOUT ROWID;
    CREATE INDEX name_mail ON name (mail);

    CREATE TABLE series (
        id INTEGER PRIMARY KEY,
        author TEXT NOT NULL, change_id TEXT,
        stopped TEXT);                 -- Message-ID of the answer that said stop
    CREATE INDEX series_change ON series (change_id) WHERE change_id IS NOT NULL;
    CREATE TABLE title (author TEXT NOT NULL, title TEXT NOT NULL, series INTEGER NOT NULL REFERENCES series,
        PRIMARY KEY (author, title, series)) WITHOUT ROWID;
    CREATE TABLE posting (
        id INTEGER PRIMARY KEY,
        series INTEGER NOT NULL REFERENCES series,
        message_id TEXT NOT NULL,      -- of the cover letter or first patch
        revision INTEGER NOT NULL, subject TEXT NOT NULL, author TEXT NOT NULL,
        arrived INTEGER NOT NULL,
        reviewed INTEGER);             -- when; NULL: not yet
    CREATE TABLE member (message_id TEXT PRIMARY KEY, posting INTEGER NOT NULL REFERENCES posting) WITHOUT ROWID;
    CREATE INDEX member_posting ON member (posting);
    CREATE INDEX posting_series ON posting (series);
    CREATE TABLE decision (
        id INTEGER PRIMARY KEY, posting INTEGER NOT NULL REFERENCES posting,
        at INTEGER NOT NULL, reason TEXT NOT NULL, text TEXT NOT NULL, final INTEGER NOT NULL);
    CREATE INDEX decision_posting ON decision (posting);
    CREATE TABLE finding (
        id INTEGER PRIMARY KEY, series INTEGER NOT NULL REFERENCES series,
        fingerprint TEXT NOT NULL, rule TEXT NOT NULL, severity TEXT NOT NULL,
        path TEXT NOT NULL, function TEXT, message TEXT NOT NULL,
        first INTEGER NOT NULL, last INTEGER NOT NULL,   -- revisions
        state TEXT NOT NULL,           -- see FindingState
        fixed_in INTEGER,              -- revision; NULL while it is there
        fix_told INTEGER NOT NULL DEFAULT 0,
        UNIQUE (series, fingerprint));
    CREATE INDEX finding_rule ON finding (rule);
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY,
        message_id TEXT NOT NULL UNIQUE,
        posting INTEGER NOT NULL REFERENCES posting,
        target TEXT NOT NULL, kind TEXT NOT NULL,
        author TEXT NOT NULL,          -- whom it answers, in lower case
        recipients TEXT NOT NULL,      -- addresses, one a line
        lists TEXT NOT NULL,           -- those among them that are lists
        raw BLOB NOT NULL,
        state TEXT NOT NULL,           -- see MailState
        reason TEXT, text TEXT NOT NULL DEFAULT '',
        manual INTEGER NOT NULL DEFAULT 0,  -- a person approved it
        created INTEGER NOT NULL, next_try INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
        sent INTEGER, archived INTEGER);
    CREATE INDEX outbox_state ON outbox (state);
    CREATE INDEX outbox_posting ON outbox (posting);
    CREATE TABLE said (outbox INTEGER NOT NULL REFERENCES outbox ON DELETE CASCADE,
        fingerprint TEXT NOT NULL, PRIMARY KEY (outbox, fingerprint)) WITHOUT ROWID;
    CREATE INDEX said_fingerprint ON said (fingerprint);
    CREATE TABLE claim (message_id TEXT PRIMARY KEY, token TEXT NOT NULL, holder TEXT NOT NULL, at INTEGER NOT NULL,
        step TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE lease (one INTEGER PRIMARY KEY CHECK (one = 1), holder TEXT NOT NULL, until INTEGER NOT NULL);
    CREATE TABLE answer (
        id INTEGER PRIMARY KEY, message_id TEXT NOT NULL, line INTEGER NOT NULL,
        sender TEXT NOT NULL, command TEXT NOT NULL, rule TEXT, reason TEXT NOT NULL,
        series INTEGER, at INTEGER NOT NULL,
        state TEXT NOT NULL,           -- see AnswerState
        how TEXT NOT NULL DEFAULT '', tries INTEGER NOT NULL DEFAULT 0, due INTEGER,
        UNIQUE (message_id, line));
    CREATE INDEX answer_series ON answer (series);
    CREATE TABLE opted_out (address TEXT PRIMARY KEY, message_id TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE patchwork (message_id TEXT PRIMARY KEY, state TEXT NOT NULL, description TEXT NOT NULL,
        result TEXT, at INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0, due INTEGER) WITHOUT ROWID;
    CREATE TABLE pass (id INTEGER PRIMARY KEY, began INTEGER NOT NULL, ended INTEGER, holder TEXT NOT NULL,
        mails INTEGER, postings INTEGER, queued INTEGER, sent INTEGER, trouble TEXT);
    """,
)


class LedgerError(ReviewbotError):
    """The ledger cannot be read or written: nothing may be sent."""


class FindingState(StrEnum):
    """What became of a finding. The value is what is printed."""

    OPEN = "open"
    FIXED = "fixed"
    ANSWERED = "answered"  # its author or a maintainer said wontfix or false-positive
    SUPPRESSED = "suppressed"  # somebody else said it, or a person dropped the mail


class MailState(StrEnum):
    """Where a mail of ours is. The value is what is printed."""

    DRAFT = "draft"  # its list gets drafts alone: a person may read it, it never goes out
    QUEUED = "queued"  # waits for a person
    READY = "ready"  # goes out with the next pass
    SENT = "sent"
    UNCERTAIN = "uncertain"  # the server may or may not have taken it
    FAILED = "failed"
    DROPPED = "dropped"  # by a person
    WITHDRAWN = "withdrawn"  # something came up before it was sent: `reason` says what


# What nobody has seen and nobody will be asked about any more.
WAITING = (MailState.DRAFT, MailState.QUEUED, MailState.READY)
# What people have read, or may have.
OUT = (MailState.SENT, MailState.UNCERTAIN)


class AnswerState(StrEnum):
    """What became of an answer. The value is what is printed."""

    NEW = "new"
    OBEYED = "obeyed"
    UNPROVEN = "not proven"  # recorded and not obeyed
    REFUSED = "refused"  # by somebody who may not, or of a rule that does not exist
    MALFORMED = "malformed"


class MailRow(NamedTuple):
    """A mail of an archive, as far as threads and revisions need it."""

    message_id: str
    arrived: datetime
    sender: str
    title: str
    kind: str
    counter: int | None
    revision: int
    change_id: str | None
    names: tuple[str, ...]  # what it answers: In-Reply-To and References
    due: datetime | None
    reason: str | None = None
    text: str | None = None


class Pending(NamedTuple):
    """A patch or cover letter to look at."""

    message_id: str
    arrived: datetime
    sender: str


class Posting(NamedTuple):
    """One revision of a series, as the ledger knows it."""

    id: int
    series: int
    message_id: str
    revision: int
    subject: str
    author: str
    arrived: datetime
    reviewed: datetime | None


class Decision(NamedTuple):
    """Why nothing went out, or what did."""

    at: datetime
    reason: str
    text: str
    final: bool


class Row(NamedTuple):
    """A finding across revisions."""

    fingerprint: str
    rule: str
    severity: str
    path: str
    function: str | None
    message: str
    first: int
    last: int
    state: FindingState
    fixed_in: int | None
    fix_told: bool


class Seen(NamedTuple):
    """A finding as one review has it."""

    fingerprint: str
    rule: str
    severity: str
    path: str
    function: str | None
    message: str


class Outgoing(NamedTuple):
    """A mail of ours."""

    id: int
    message_id: str  # without brackets
    posting: int
    target: str
    kind: str
    author: str
    recipients: tuple[str, ...]
    lists: tuple[str, ...]
    raw: bytes
    state: MailState
    reason: str | None
    text: str
    manual: bool
    created: datetime
    next_try: datetime
    attempts: int
    sent: datetime | None
    archived: datetime | None


class AnswerRow(NamedTuple):
    """What somebody told us to do."""

    id: int
    message_id: str
    line: int
    sender: str
    command: str
    rule: str | None
    reason: str
    series: int | None
    at: datetime
    state: AnswerState
    how: str
    tries: int


class CheckRow(NamedTuple):
    """A check for Patchwork."""

    message_id: str
    state: str
    description: str
    result: str | None
    tries: int


class Sums(NamedTuple):
    """Mails of a time: in all, to one author, to each of some lists."""

    day: int
    author: int
    lists: tuple[tuple[str, int], ...]


class Ledger(Database):
    """An open ledger. Not for several threads."""

    noun = "ledger"
    error = LedgerError

    def __init__(self, path: str | os.PathLike[str], *, host: str | None = None) -> None:
        """Opens or makes the file; ':memory:' keeps nothing. `host` is the system's name by default.

        Raises LedgerError where it cannot be opened, is damaged, or is a newer reviewbot's.
        """
        self.path = os.fspath(path)
        self.holder = f"{host or socket.gethostname()}:{os.getpid()}"
        try:
            if self.path != ":memory:":
                # what is in it was said to maintainers or is a draft: nobody else's
                Path(self.path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                if not os.path.exists(self.path):
                    os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o600))
            self._db = sqlite3.connect(self.path, timeout=_BUSY, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(f"cannot open ledger '{self.path}': {reason(error)}") from error
        try:
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    def _prepare(self) -> None:
        with self._guard("open"):
            self._db.execute("PRAGMA foreign_keys = ON")
            mode = "DELETE" if is_shared(self.path) else "WAL"
            version = int(self._one("PRAGMA user_version")[0])
            if version > len(MIGRATIONS):
                raise LedgerError(
                    f"ledger '{self.path}' is of a newer reviewbot: version {version}, {len(MIGRATIONS)} is known"
                )
            # a migration is one transaction: tables without a version are never ours
            if version == 0 and self._one("SELECT 1 FROM sqlite_master"):
                raise LedgerError(f"'{self.path}' is no ledger: it is a database of another program")
            if self.path != ":memory:" and str(self._one("PRAGMA journal_mode")[0]).upper() != mode:
                self._db.execute(f"PRAGMA journal_mode = {mode}")
            # a claim must be on the disk before a mail goes out
            self._db.execute("PRAGMA synchronous = FULL")
            if version < len(MIGRATIONS):
                self._migrate()

    def _migrate(self) -> None:
        with self.transaction():
            # another process may have been first
            version = int(self._one("PRAGMA user_version")[0])
            for number, script in enumerate(MIGRATIONS[version:], version + 1):
                # executescript() would commit what is open
                for statement in re.split(r";[ \t]*(?:--[^\n]*)?\n", script):
                    if statement.strip():
                        self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {number}")

    @classmethod
    def copy(cls, path: str | os.PathLike[str]) -> Self:
        """A copy in memory, of nothing where there is no file: for what must leave no trace."""
        ledger = cls(":memory:")
        if os.path.exists(path):
            try:
                source = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY)
                try:
                    source.backup(ledger._db)
                finally:
                    source.close()
            except sqlite3.Error as error:
                raise LedgerError(f"cannot read ledger '{os.fspath(path)}': {reason(error)}") from error
            ledger._prepare()
        return ledger

    def _do(self, sql: str, *values: object) -> int:
        """Rows that were changed."""
        with self.transaction():
            return self._db.execute(sql, values).rowcount

    def check(self, *, quick: bool = False) -> tuple[str, ...]:
        """What SQLite finds wrong with the file; () where it is sound. `quick` leaves out what is between tables."""
        found = [str(row[0]) for row in self._all("PRAGMA quick_check" if quick else "PRAGMA integrity_check")]
        if quick:
            return tuple(line for line in found if line != "ok")
        broken = [
            f"row {row[1]} of {row[0]} names a {row[2]} that is not there"
            for row in self._all("PRAGMA foreign_key_check")
        ]
        return tuple([line for line in found if line != "ok"] + broken)

    # --- one pass at a time -----------------------------------------------------------------------

    def lease(self, now: datetime) -> str | None:
        """Take or renew the right to make a pass. Who has it where that is another host, else None."""
        with self.transaction():
            row = self._one("SELECT holder, until FROM lease")
            host = self.holder.rpartition(":")[0]
            # on one host a lock file tells the living from the dead; a clock that was ahead keeps nobody out
            alive = row and _stamp(now) < row[1] <= _stamp(now + 2 * LEASE)
            if row and alive and row[0] != self.holder and row[0].rpartition(":")[0] != host:
                return str(row[0])
            self._do("REPLACE INTO lease VALUES (1, ?, ?)", self.holder, _stamp(now + LEASE))
        return None

    def end_lease(self) -> None:
        """Let others make a pass."""
        self._do("DELETE FROM lease WHERE holder = ?", self.holder)

    def begin_pass(self, now: datetime) -> int:
        """A pass's number."""
        with self.transaction():
            self._do("INSERT INTO pass (began, holder) VALUES (?, ?)", _stamp(now), self.holder)
            return int(self._one("SELECT last_insert_rowid()")[0])

    def end_pass(self, number: int, now: datetime, counts: Sequence[int], trouble: str | None) -> None:
        """`counts` are mails read, postings looked at, replies queued, replies sent."""
        self._do(
            "UPDATE pass SET ended = ?, mails = ?, postings = ?, queued = ?, sent = ?, trouble = ? WHERE id = ?",
            _stamp(now), *counts, trouble, number,
        )  # fmt: skip

    def last_pass(self) -> tuple[datetime, datetime | None, str | None] | None:
        """Begin, end (None: it goes on, or died) and trouble of the newest pass."""
        row = self._one("SELECT began, ended, trouble FROM pass ORDER BY id DESC LIMIT 1")
        return (_time(row[0]), _time(row[1]) if row[1] is not None else None, row[2]) if row else None

    # --- mails of the archives --------------------------------------------------------------------

    def cursor(self, source: str) -> str | None:
        """Where to go on in a source; None where it was never read."""
        row = self._one("SELECT position FROM cursor WHERE source = ?", source)
        return str(row[0]) if row else None

    def set_cursor(self, source: str, position: str, now: datetime) -> None:
        """What comes before is dealt with."""
        self._do("REPLACE INTO cursor VALUES (?, ?, ?)", source, position, _stamp(now))

    def add_mail(self, mail: MailRow, source: str, place: str) -> bool:
        """Note a mail, and where it lies. False where it was known from this or another archive.

        `source` is '' for what a person named: to an archive that has it later it is new.
        """
        with self.transaction():
            known = self._one("SELECT id FROM mail WHERE message_id = ?", mail.message_id)
            if known is None:
                self._do(
                    "INSERT INTO mail"
                    " (message_id, arrived, sender, title, kind, counter, revision, change_id, due, reason, text)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    mail.message_id, _stamp(mail.arrived), mail.sender, mail.title, mail.kind, mail.counter,
                    mail.revision, mail.change_id, _stamp(mail.due) if mail.due else None, mail.reason, mail.text,
                )  # fmt: skip
                number = int(self._one("SELECT last_insert_rowid()")[0])
                self._db.executemany(
                    "INSERT OR IGNORE INTO name VALUES (?, ?)",
                    [(name, number) for name in (mail.message_id, *_near(mail.names))],
                )
            else:
                number = int(known[0])
                if source and self._one(_BY_HAND, number):
                    self._do("DELETE FROM place WHERE mail = ?", number)
                    self._do(
                        "UPDATE mail SET arrived = ?, due = ?, reason = ?, text = ? WHERE id = ?",
                        _stamp(mail.arrived), _stamp(mail.due) if mail.due else None, mail.reason, mail.text, number,
                    )  # fmt: skip
                    known = None
            self._put_place(number, source, place)
        return known is None

    def _put_place(self, mail: int, source: str, place: str) -> None:
        self._do(
            "INSERT INTO place VALUES (?, ?, ?, (SELECT count(*) FROM place WHERE mail = ?))"
            " ON CONFLICT DO UPDATE SET place = excluded.place",
            mail, source, place, mail,
        )  # fmt: skip

    def add_place(self, message_id: str, source: str, place: str) -> bool:
        """Note that a source has a mail. False where the mail is not known, or known from a person alone."""
        row = self._one("SELECT id FROM mail WHERE message_id = ?", message_id) if message_id else None
        if row is None or self._one(_BY_HAND, row[0]):
            return False
        self._put_place(row[0], source, place)
        return True

    def knows(self, message_id: str) -> bool:
        """An archive has the mail."""
        return self._one("SELECT 1 FROM mail WHERE message_id = ?", message_id) is not None

    def thread(self, message_id: str) -> list[str]:
        """Message-IDs of the mails above this one and of all below those, as they arrived; [] where it is not known.

        Mails that are missing hold a thread together, too. What else a mail further down answers is not in it:
        with one answer to two threads a stranger would have tied them together, and with a hundred all of a day.
        """
        rows = self._all(
            "WITH RECURSIVE above (name) AS (VALUES (?) UNION SELECT name.name FROM above"
            " JOIN mail ON mail.message_id = above.name JOIN name ON name.mail = mail.id LIMIT ?),"
            " net (name) AS (SELECT name FROM above UNION SELECT mail.message_id FROM net"
            " JOIN name ON name.name = net.name JOIN mail ON mail.id = name.mail LIMIT ?)"
            " SELECT message_id FROM mail WHERE message_id IN net ORDER BY id",
            message_id, _MOST_NAMES, _MOST_NAMES,
        )  # fmt: skip
        found = [str(row[0]) for row in rows]
        return found if message_id in found else []

    def places(self, message_id: str) -> list[tuple[str, str]]:
        """(source, place) of a mail, the source that had it first before the others."""
        sql = "SELECT source, place FROM place JOIN mail ON mail.id = place.mail WHERE message_id = ? ORDER BY nth"
        return [(str(row[0]), str(row[1])) for row in self._all(sql, message_id)]

    def arrived(self, message_ids: Collection[str]) -> datetime | None:
        """When the last of these mails arrived; None where none is known."""
        sql = f"SELECT max(arrived) FROM mail WHERE message_id IN ({_marks(message_ids)})"
        row = self._one(sql, *message_ids)
        return _time(row[0]) if row[0] is not None else None

    def candidates(
        self, sender: str, titles: Collection[str], change_id: str | None, since: datetime | None
    ) -> list[str]:
        """Message-IDs of cover letters and first patches by a sender with one of the titles, or with the change-id."""
        rows = self._all(
            f"SELECT message_id, id FROM mail WHERE kind IN ('patch', 'cover') AND (counter IS NULL OR counter < 2)"
            f" AND sender = ? AND title IN ({_marks(titles)}) AND arrived >= ?"
            " UNION SELECT message_id, id FROM mail WHERE change_id = ? AND (counter IS NULL OR counter < 2)"
            " ORDER BY 2",
            sender, *titles, _stamp(since) if since else 0, change_id,
        )  # fmt: skip
        return [str(row[0]) for row in rows]

    def has_archived(self, name: str) -> bool:
        """A mail of ours to this list was seen in an archive."""
        rows = self._all("SELECT lists FROM outbox WHERE archived IS NOT NULL")
        return any(name in row[0].split("\n") for row in rows)

    def newest_mail(self, source: str) -> datetime | None:
        """When the newest mail of a source arrived; None where there is none."""
        row = self._one("SELECT max(arrived) FROM mail JOIN place ON mail.id = place.mail WHERE source = ?", source)
        return _time(row[0]) if row[0] is not None else None

    def pending(self, now: datetime, max_age: timedelta) -> list[Pending]:
        """The mails to look at, oldest first; also those to be looked at when they will be older than `max_age`.

        Nothing waits for so long: that time was noted by a clock that was ahead.
        """
        rows = self._all(
            "SELECT message_id, arrived, sender FROM mail WHERE due IS NOT NULL AND (due <= ? OR due > arrived + ?)"
            " ORDER BY arrived, id",
            _stamp(now), int(max_age.total_seconds()) + 86_400,
        )  # fmt: skip
        return [Pending(row[0], _time(row[1]), row[2]) for row in rows]

    def later(self, now: datetime) -> list[tuple[str, datetime]]:
        """(Message-ID, when) of the mails that are to be looked at later, soonest first."""
        sql = "SELECT message_id, due FROM mail WHERE due > ? ORDER BY due, id"
        return [(str(row[0]), _time(row[1])) for row in self._all(sql, _stamp(now))]

    def count_postings(self, author: str, since: datetime) -> int:
        """How many postings of an author came in since then and were looked at."""
        return int(self._one("SELECT count(*) FROM posting WHERE author = ? AND arrived > ?", author, _stamp(since))[0])

    def is_pending(self, message_id: str) -> bool:
        """The mail is not settled."""
        return self._one("SELECT 1 FROM mail WHERE message_id = ? AND due IS NOT NULL", message_id) is not None

    def next_due(self) -> datetime | None:
        """When the next mail is to be looked at; None where none is."""
        row = self._one("SELECT min(due) FROM mail")
        return _time(row[0]) if row[0] is not None else None

    def postpone(
        self, message_ids: Collection[str], due: datetime | None, reason: str | None = None, text: str | None = None
    ) -> None:
        """Look at these mails again then; None settles them."""
        with self.transaction():
            for name in message_ids:
                self._do(
                    "UPDATE mail SET due = ?, reason = coalesce(?, reason), text = coalesce(?, text)"
                    " WHERE message_id = ?",
                    _stamp(due) if due else None, reason, text, name,
                )  # fmt: skip

    def settle_mails(self, message_ids: Collection[str]) -> None:
        """What is to be said of these mails stands with their posting."""
        with self.transaction():
            for name in message_ids:
                self._do("UPDATE mail SET due = NULL, reason = NULL, text = NULL WHERE message_id = ?", name)

    def mail_reason(self, message_id: str) -> tuple[str, str, str] | None:
        """(kind, reason, text) of a mail that was not reviewed; None where it was, or is not known."""
        row = self._one("SELECT kind, reason, text FROM mail WHERE message_id = ? AND reason IS NOT NULL", message_id)
        return (row[0], row[1], row[2] or "") if row else None

    def skipped(self) -> list[tuple[str, int]]:
        """(reason, how many) of the mails that were not reviewed."""
        sql = "SELECT reason, count(*) FROM mail WHERE reason IS NOT NULL GROUP BY reason ORDER BY 2 DESC, 1"
        return [(str(row[0]), int(row[1])) for row in self._all(sql)]

    def prune(self, before: datetime) -> int:
        """Forget settled mails that arrived earlier; what was decided and sent stays. How many they were."""
        with self.transaction():
            self._do("DELETE FROM pass WHERE began < ?", _stamp(before))
            return self._do("DELETE FROM mail WHERE arrived < ? AND due IS NULL", _stamp(before))

    # --- series and their postings ----------------------------------------------------------------

    def posting_of(self, message_id: str) -> Posting | None:
        """The posting that a mail belongs to, or that a mail of ours answers."""
        row = self._one(
            f"{_POSTING} WHERE id = coalesce((SELECT posting FROM member WHERE message_id = ?),"
            " (SELECT posting FROM outbox WHERE message_id = ?))",
            message_id, message_id,
        )  # fmt: skip
        return _posting(row) if row else None

    def posting(self, number: int) -> Posting:
        """By its number."""
        return _posting(self._one(f"{_POSTING} WHERE id = ?", number))

    def postings(self, series: int) -> list[Posting]:
        """All postings of a series, oldest revision first."""
        return [_posting(row) for row in self._all(f"{_POSTING} WHERE series = ? ORDER BY revision, id", series)]

    def members(self, posting: int) -> list[str]:
        """Message-IDs of a posting's mails."""
        return [str(row[0]) for row in self._all("SELECT message_id FROM member WHERE posting = ?", posting)]

    def senders(self, posting: int) -> list[str]:
        """The address that a posting's first mail came from; [] where the mail is forgotten.

        Those of the others do not speak for it: a stranger may have sent the patch that was missing.
        """
        sql = "SELECT mail.sender FROM mail JOIN posting USING (message_id) WHERE posting.id = ?"
        return [str(row[0]) for row in self._all(sql, posting)]

    def add_posting(
        self,
        members: Sequence[str],
        *,
        revision: int,
        subject: str,
        author: str,
        titles: Collection[str],
        change_id: str | None,
        answers: Collection[str],
        arrived: datetime,
    ) -> Posting:
        """The posting of these mails, cover letter or first patch first; known ones are brought up to date.

        It belongs to the series with the same author and change-id; else to that of a mail by the same author, of an
        earlier revision, that it answers; else to the newest with the same author and title (`titles`
        folded), in the year before.
        """
        answers = _near(tuple(answers))
        with self.transaction():
            old = self._one(
                f"SELECT posting FROM member WHERE message_id IN ({_marks(members)}) ORDER BY posting LIMIT 1", *members
            )
            if old is not None:
                posting = int(old[0])
                self._do(
                    "UPDATE posting SET message_id = ?, revision = ?, subject = ?, author = ?,"
                    " arrived = max(arrived, ?) WHERE id = ?",
                    members[0], revision, subject, author, _stamp(arrived), posting,
                )  # fmt: skip
                series = self.posting(posting).series
            else:
                series = self._series(author, titles, change_id, answers, arrived, revision)
                self._do(
                    "INSERT INTO posting (series, message_id, revision, subject, author, arrived)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    series, members[0], revision, subject, author, _stamp(arrived),
                )  # fmt: skip
                posting = int(self._one("SELECT last_insert_rowid()")[0])
            # a partial reroll has patches of the posting before: they stay with that one
            self._db.executemany("INSERT OR IGNORE INTO member VALUES (?, ?)", [(name, posting) for name in members])
            self._db.executemany(
                "INSERT OR IGNORE INTO title VALUES (?, ?, ?)", [(author, title, series) for title in titles]
            )
            if change_id:
                self._do("UPDATE series SET change_id = coalesce(change_id, ?) WHERE id = ?", change_id, series)
        return self.posting(posting)

    def _series(
        self,
        author: str,
        titles: Collection[str],
        change_id: str | None,
        answers: Collection[str],
        arrived: datetime,
        revision: int,
    ) -> int:
        tries: list[tuple[str, tuple[object, ...]]] = []
        if change_id:
            # anybody can copy it: a stranger's v2 of somebody's series is another series
            sql = "SELECT id FROM series WHERE change_id = ? AND author = ? ORDER BY id DESC LIMIT 1"
            tries.append((sql, (change_id, author)))
        answered = (
            "SELECT posting.series FROM posting JOIN member ON member.posting = posting.id"
            f" WHERE member.message_id IN ({_marks(answers)}) AND posting.author = ? AND posting.revision < ?"
            " ORDER BY posting.id DESC LIMIT 1"
        )
        tries.append((answered, (*answers, author, revision)))
        named = (
            "SELECT posting.series FROM posting JOIN title USING (series) WHERE title.author = ?"
            f" AND title.title IN ({_marks(titles)}) AND posting.arrived > ? ORDER BY posting.arrived DESC LIMIT 1"
        )
        tries.append((named, (author, *titles, _stamp(arrived - timedelta(days=365)))))
        for sql, values in tries:
            if row := self._one(sql, *values):
                return int(row[0])
        self._do("INSERT INTO series (author, change_id) VALUES (?, ?)", author, change_id)
        return int(self._one("SELECT last_insert_rowid()")[0])

    def decide(self, posting: int, now: datetime, reason: str, text: str, *, final: bool) -> bool:
        """Note why nothing went out, or what did. False where the last decision was the same."""
        with self.transaction():
            last = self._one(
                "SELECT reason, text, final FROM decision WHERE posting = ? ORDER BY id DESC LIMIT 1", posting
            )
            if last and tuple(last) == (reason, text, int(final)):
                return False
            self._do(
                "INSERT INTO decision (posting, at, reason, text, final) VALUES (?, ?, ?, ?, ?)",
                posting, _stamp(now), reason, text, int(final),
            )  # fmt: skip
        return True

    def decisions(self, posting: int) -> list[Decision]:
        """In the order in which they were made."""
        sql = "SELECT at, reason, text, final FROM decision WHERE posting = ? ORDER BY id"
        return [Decision(_time(row[0]), row[1], row[2], bool(row[3])) for row in self._all(sql, posting)]

    def recent(self, most: int) -> list[tuple[Posting, Decision | None]]:
        """The newest postings, each with its last decision."""
        found = [_posting(row) for row in self._all(f"{_POSTING} ORDER BY arrived DESC, id DESC LIMIT ?", most)]
        return [(posting, next(reversed(self.decisions(posting.id)), None)) for posting in found]

    # --- findings ---------------------------------------------------------------------------------

    def findings(self, series: int) -> list[Row]:
        """All findings of a series, in the order in which they were first seen."""
        return [_row(row) for row in self._all(f"{_FINDING} WHERE series = ? ORDER BY id", series)]

    def sender_of(self, message_id: str) -> str | None:
        """The address that a mail came from; None where it is not known."""
        row = self._one("SELECT sender FROM mail WHERE message_id = ?", message_id)
        return str(row[0]) if row else None

    def has_newer(self, sender: str, titles: Collection[str], revision: int, since: datetime) -> int | None:
        """A newer revision by its subject, sender and title alone, whatever its Date: says; None where none came in.

        It came in after `since`, may be incomplete, and need not have been looked at yet.
        """
        row = self._one(
            "SELECT max(revision) FROM mail WHERE sender = ? AND kind IN ('patch', 'cover')"
            f" AND title IN ({_marks(titles)}) AND revision > ? AND arrived >= ?",
            sender, *titles, revision, _stamp(since),
        )  # fmt: skip
        return int(row[0]) if row[0] is not None else None

    def said(self, posting: Posting, change_id: str | None, thread: Collection[str]) -> dict[str, str]:
        """Fingerprint -> Message-ID of the mail that said it.

        In this series, to this author, in this thread, or of a posting with this change-id: who takes a series over
        is not told again what its author was.
        """
        rows = self._all(
            "SELECT said.fingerprint, outbox.message_id FROM said JOIN outbox ON outbox.id = said.outbox"
            " JOIN posting ON posting.id = outbox.posting"
            f" WHERE outbox.state IN ({_marks(OUT)}) AND (posting.series = ? OR posting.author = ?"
            " OR posting.series IN (SELECT id FROM series WHERE change_id = ?)"
            f" OR outbox.message_id IN ({_marks(thread)})) ORDER BY outbox.id DESC",
            *OUT, posting.series, posting.author, change_id, *thread,
        )  # fmt: skip
        return {str(row[0]): str(row[1]) for row in rows}

    def record(
        self, posting: Posting, seen: Iterable[Seen], present: Collection[str], rules: Collection[str], now: datetime
    ) -> None:
        """What a review of a whole posting found: `seen` is what may be said, `present` all fingerprints.

        What was open, is not present and has a rule that was run counts as fixed in this revision.
        """
        with self.transaction():
            for one in seen:
                self._do(
                    "INSERT INTO finding"
                    " (series, fingerprint, rule, severity, path, function, message, first, last, state)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET last = max(last, excluded.last),"
                    " message = excluded.message, fixed_in = NULL, fix_told = 0,"
                    " state = CASE state WHEN 'fixed' THEN 'open' ELSE state END",
                    posting.series, *one, posting.revision, posting.revision, FindingState.OPEN,
                )  # fmt: skip
            for row in self.findings(posting.series):
                older = row.last < posting.revision
                if row.state is FindingState.OPEN and row.fingerprint not in present and row.rule in rules and older:
                    self._do(
                        "UPDATE finding SET state = ?, fixed_in = ? WHERE series = ? AND fingerprint = ?",
                        FindingState.FIXED, posting.revision, posting.series, row.fingerprint,
                    )  # fmt: skip
            self._do("UPDATE posting SET reviewed = ? WHERE id = ?", _stamp(now), posting.id)

    def set_finding(self, series: int, fingerprint: str, state: FindingState) -> None:
        """What became of it. What was fixed stays so."""
        self._do(
            "UPDATE finding SET state = ? WHERE series = ? AND fingerprint = ? AND state != ?",
            state, series, fingerprint, FindingState.FIXED,
        )  # fmt: skip

    def tell_fixed(self, series: int, fingerprints: Collection[str], *, told: bool = True) -> None:
        """A mail said that these are fixed: none says it again; or it did not get out after all."""
        with self.transaction():
            for fingerprint in fingerprints:
                self._do(
                    "UPDATE finding SET fix_told = ? WHERE series = ? AND fingerprint = ?",
                    int(told), series, fingerprint,
                )  # fmt: skip

    def rule_counts(self, rule: str) -> list[tuple[str, int]]:
        """(state, how many) of a rule's or family's findings, and how many were mailed and called false."""
        where = "(rule = ? OR rule LIKE ? || '/%')"
        counts = [
            (str(row[0]), int(row[1]))
            for row in self._all(f"SELECT state, count(*) FROM finding WHERE {where} GROUP BY state", rule, rule)
        ]
        mailed = self._one(
            "SELECT count(DISTINCT finding.id) FROM finding JOIN posting USING (series)"
            " JOIN outbox ON outbox.posting = posting.id"
            " JOIN said ON said.outbox = outbox.id AND said.fingerprint = finding.fingerprint"
            f" WHERE {where} AND outbox.state IN ({_marks(OUT)})",
            rule, rule, *OUT,
        )  # fmt: skip
        false = self._one(
            f"SELECT count(*) FROM answer WHERE {where} AND command = 'false-positive' AND state = ?",
            rule, rule, AnswerState.OBEYED,
        )  # fmt: skip
        return [*counts, ("mailed", int(mailed[0])), ("called false", int(false[0]))]

    def findings_of_rule(self, rule: str, most: int) -> list[tuple[Row, str]]:
        """A rule's or family's newest findings, each with the Message-ID of its series' newest posting."""
        rows = self._all(f"{_FINDING} WHERE rule = ? OR rule LIKE ? || '/%' ORDER BY id DESC LIMIT ?", rule, rule, most)
        numbers = self._all(
            "SELECT (SELECT message_id FROM posting WHERE posting.series = finding.series ORDER BY id DESC LIMIT 1)"
            " FROM finding WHERE rule = ? OR rule LIKE ? || '/%' ORDER BY id DESC LIMIT ?",
            rule, rule, most,
        )  # fmt: skip
        return [(_row(row), str(name[0] or "")) for row, name in zip(rows, numbers, strict=True)]

    # --- mails of ours ----------------------------------------------------------------------------

    def put(
        self,
        message_id: str,
        *,
        posting: Posting,
        author: str,
        target: str,
        kind: str,
        recipients: Sequence[str],
        lists: Sequence[str],
        raw: bytes,
        fingerprints: Collection[str],
        state: MailState,
        manual: bool,
        now: datetime,
    ) -> bool:
        """Put a mail into the outbox, or in the place of one with the same Message-ID that waits there.

        False where that one is out, failed or was dropped: then nothing is changed.
        """
        with self.transaction():
            old = self._one("SELECT id, state, manual FROM outbox WHERE message_id = ?", message_id)
            if old and old[1] not in (*WAITING, MailState.WITHDRAWN):
                return False
            if old and self._one("SELECT 1 FROM claim WHERE message_id = ?", message_id):
                return False
            values = (posting.id, target, kind, author, "\n".join(recipients), "\n".join(lists), raw)
            if old:
                number = int(old[0])
                self._do(
                    "UPDATE outbox SET posting = ?, target = ?, kind = ?, author = ?, recipients = ?, lists = ?,"
                    " raw = ?, state = ?, manual = ?, reason = NULL, text = '' WHERE id = ?",
                    *values, state, int(manual), number,
                )  # fmt: skip
                self._do("DELETE FROM said WHERE outbox = ?", number)
            else:
                self._do(
                    "INSERT INTO outbox (message_id, posting, target, kind, author, recipients, lists, raw, state,"
                    " manual, created, next_try) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    message_id, *values, state, int(manual), _stamp(now), _stamp(now),
                )  # fmt: skip
                number = int(self._one("SELECT last_insert_rowid()")[0])
            self._db.executemany("INSERT OR IGNORE INTO said VALUES (?, ?)", [(number, one) for one in fingerprints])
        return True

    def outgoing(self, *states: MailState) -> list[Outgoing]:
        """The mails in these states, all where none is given, oldest first."""
        where = f"WHERE state IN ({_marks(states)})" if states else ""
        return [_outgoing(row) for row in self._all(f"{_OUTBOX} {where} ORDER BY id", *states)]

    def outgoing_of(self, posting: int) -> list[Outgoing]:
        """The mails that answer a posting, in order."""
        return [_outgoing(row) for row in self._all(f"{_OUTBOX} WHERE posting = ? ORDER BY id", posting)]

    def count_ours(self, message_ids: Collection[str]) -> int:
        """How many of these, the first and the last of which count, are mails of ours."""
        message_ids = _near(tuple(message_ids))
        sql = f"SELECT count(*) FROM outbox WHERE message_id IN ({_marks(message_ids)})"
        return int(self._one(sql, *message_ids)[0])

    def outgoing_by(self, number: int) -> Outgoing | None:
        """The mail with this number; None where there is none."""
        row = self._one(f"{_OUTBOX} WHERE id = ?", number)
        return _outgoing(row) if row else None

    def fingerprints(self, number: int) -> list[str]:
        """What a mail says."""
        return [str(row[0]) for row in self._all("SELECT fingerprint FROM said WHERE outbox = ?", number)]

    def delay(self, number: int, until: datetime) -> None:
        """Do not try to send a mail before."""
        self._do("UPDATE outbox SET next_try = ? WHERE id = ?", _stamp(until), number)

    def move(
        self, number: int, state: MailState, reason: str | None = None, text: str = "", *, manual: bool | None = None
    ) -> None:
        """Put a mail into another state."""
        self._do(
            "UPDATE outbox SET state = ?, reason = ?, text = ?, manual = coalesce(?, manual) WHERE id = ?",
            state, reason, text, None if manual is None else int(manual), number,
        )  # fmt: skip

    def sums(self, author: str, lists: Collection[str], since: datetime, *, queued: bool) -> Sums:
        """How many mails went out in the day since then; with `queued` also those made in it that wait to go out."""
        states: tuple[str, ...] = (*OUT, MailState.QUEUED, MailState.READY) if queued else OUT
        # what was noted by a clock that was ahead does not count for ever
        rows = self._all(
            f"SELECT author, lists FROM outbox WHERE state IN ({_marks(states)})"
            " AND coalesce(sent, created) BETWEEN ? AND ?",
            *states, _stamp(since) + 1, _stamp(since + timedelta(days=2)),
        )  # fmt: skip
        return Sums(
            len(rows),
            sum(row[0] == author for row in rows),
            tuple((name, sum(name in row[1].split("\n") for row in rows)) for name in lists),
        )

    def claim(self, message_id: str, now: datetime) -> str | None:
        """The right to send a mail that is ready: a token. None where somebody else has it, or it is not ready."""
        token = os.urandom(16).hex()
        try:
            with self.transaction():
                row = self._one("SELECT state FROM outbox WHERE message_id = ?", message_id)
                if row is None or row[0] != MailState.READY:
                    return None
                self._db.execute(
                    "INSERT INTO claim VALUES (?, ?, ?, ?, 'claimed')", (message_id, token, self.holder, _stamp(now))
                )
        except LedgerError as error:
            if isinstance(error.__cause__, sqlite3.IntegrityError):
                return None
            raise
        return token

    def point_of_no_return(
        self, message_id: str, token: str, now: datetime, *, series: int = 0, fixed: Collection[str] = ()
    ) -> None:
        """The next thing that happens may send the mail, which tells that these findings are `fixed`.

        Raises LedgerError where the claim is no longer ours.
        """
        with self.transaction():
            changed = self._do(
                "UPDATE claim SET step = 'sending', at = ? WHERE message_id = ? AND token = ? AND step = 'claimed'",
                _stamp(now), message_id, token,
            )  # fmt: skip
            if changed != 1:
                raise LedgerError(f"somebody else has taken over <{message_id}>")
            # seen from outside it may be out from now on
            changed = self._do(
                "UPDATE outbox SET state = ?, sent = ? WHERE message_id = ? AND state = ?",
                MailState.UNCERTAIN, _stamp(now), message_id, MailState.READY,
            )  # fmt: skip
            if changed != 1:
                raise LedgerError(f"somebody has dropped or sent <{message_id}> meanwhile")
            self.tell_fixed(series, fixed)

    def settle(
        self,
        message_id: str,
        token: str,
        state: MailState,
        now: datetime,
        *,
        text: str = "",
        next_try: datetime | None = None,
        counted: bool = True,
    ) -> None:
        """How sending ended: sent, uncertain, failed, or ready to be tried again at `next_try`.

        It is an attempt unless it is not to be `counted`: the server never saw the mail.

        Who was given up meanwhile (a host that slept) is believed that a mail may be out, and nothing else; and what
        a person dropped is not tried again.
        """
        with self.transaction():
            ours = self._one("SELECT 1 FROM claim WHERE message_id = ? AND token = ?", message_id, token)
            row = self._one("SELECT state FROM outbox WHERE message_id = ?", message_id)
            moved = not ours or row[0] not in (MailState.READY, MailState.UNCERTAIN)
            known = state is MailState.SENT or (state is MailState.UNCERTAIN and row[0] != MailState.SENT)
            if moved and not known:
                self._do("DELETE FROM claim WHERE message_id = ? AND token = ?", message_id, token)
                return
            self._do(
                "UPDATE outbox SET state = ?, text = ?, attempts = attempts + ?, sent = ?,"
                " next_try = coalesce(?, next_try) WHERE message_id = ?",
                state, text, int(counted), _stamp(now) if state in OUT else None,
                _stamp(next_try) if next_try else None, message_id,
            )  # fmt: skip
            if state is not MailState.UNCERTAIN:
                self._do("DELETE FROM claim WHERE message_id = ? AND token = ?", message_id, token)

    def release_dead(self, now: datetime) -> None:
        """Give free what a dead pass had claimed and certainly not sent. Only for who has the lock of this host."""
        host = self.holder.rpartition(":")[0]
        with self.transaction():
            for message_id, holder, at in self._all("SELECT message_id, holder, at FROM claim WHERE step = 'claimed'"):
                # with the lock in our hands no other process of this host is at it
                dead = holder != self.holder and holder.rpartition(":")[0] == host
                if dead or holder == self.holder or at < _stamp(now - LEASE):
                    self._do("DELETE FROM claim WHERE message_id = ? AND step = 'claimed'", message_id)

    def arrive(self, message_id: str, now: datetime) -> bool:
        """An archive has a mail of ours: it is sent, whatever was known of it. False where it is none of ours."""
        with self.transaction():
            row = self._one("SELECT state, archived, posting FROM outbox WHERE message_id = ?", message_id)
            if row is None:
                return False
            if row[0] != MailState.SENT:
                self.decide(row[2], now, "sent", f"<{message_id}>", final=True)
            if row[1] is None:
                self._do("DELETE FROM claim WHERE message_id = ?", message_id)
                self._do(
                    "UPDATE outbox SET state = ?, archived = ?, sent = coalesce(sent, ?), reason = NULL"
                    " WHERE message_id = ?",
                    MailState.SENT, _stamp(now), _stamp(now), message_id,
                )  # fmt: skip
        return True

    def send_again(self, number: int, *, manual: bool) -> None:
        """A mail of unknown fate is tried anew, under the same Message-ID."""
        with self.transaction():
            row = self._one("SELECT message_id FROM outbox WHERE id = ?", number)
            self._do("DELETE FROM claim WHERE message_id = ?", row[0])
            self._do(
                "UPDATE outbox SET state = ?, sent = NULL, manual = max(manual, ?) WHERE id = ?",
                MailState.READY, int(manual), number,
            )  # fmt: skip

    # --- answers ----------------------------------------------------------------------------------

    def add_answer(
        self,
        message_id: str,
        line: int,
        sender: str,
        command: str,
        rule: str | None,
        reason: str,
        at: datetime,
        state: AnswerState,
        how: str = "",
    ) -> None:
        """Note what somebody told us, once."""
        self._do(
            "INSERT OR IGNORE INTO answer (message_id, line, sender, command, rule, reason, at, state, how, due)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            message_id, line, sender, command, rule, reason, _stamp(at), state, how,
            _stamp(at) if state is AnswerState.NEW else None,
        )  # fmt: skip

    def new_answers(self, now: datetime, members: Collection[str] | None = None) -> list[AnswerRow]:
        """What is still to be judged, oldest first; with `members` only what is in these mails or answers them."""
        if members is None:
            return [_answer(row) for row in self._all(f"{_ANSWER} WHERE due <= ? ORDER BY id", _stamp(now))]
        rows = self._all(
            f"{_ANSWER} WHERE due <= ? AND message_id IN (SELECT message_id FROM mail JOIN name ON name.mail = mail.id"
            f" WHERE name.name IN ({_marks(members)})) ORDER BY id",
            _stamp(now), *members,
        )  # fmt: skip
        return [_answer(row) for row in rows]

    def answered(self, message_id: str) -> Posting | None:
        """The newest posting that a mail is part of or answers, also through a mail of ours; None for none."""
        row = self._one(
            "SELECT max(posting) FROM (SELECT member.posting FROM mail JOIN name ON name.mail = mail.id"
            " JOIN member ON member.message_id = name.name WHERE mail.message_id = ?"
            " UNION SELECT outbox.posting FROM mail JOIN name ON name.mail = mail.id"
            " JOIN outbox ON outbox.message_id = name.name WHERE mail.message_id = ?)",
            message_id, message_id,
        )  # fmt: skip
        return self.posting(int(row[0])) if row[0] is not None else None

    def judge_answer(
        self, number: int, state: AnswerState, how: str, series: int | None, due: datetime | None = None
    ) -> None:
        """What became of an answer; with `due` it is looked at again."""
        self._do(
            "UPDATE answer SET state = ?, how = ?, series = ?, tries = tries + 1, due = ? WHERE id = ?",
            state, how, series, _stamp(due) if due else None, number,
        )  # fmt: skip

    def answers(self, series: int | None = None) -> list[AnswerRow]:
        """Of a series, or all; oldest first."""
        where = "WHERE series = ?" if series is not None else ""
        return [
            _answer(row) for row in self._all(f"{_ANSWER} {where} ORDER BY id", *([] if series is None else [series]))
        ]

    def opt_out(self, address: str, message_id: str, now: datetime) -> None:
        """No mail to this address any more."""
        self._do("INSERT OR IGNORE INTO opted_out VALUES (?, ?, ?)", address.lower(), message_id, _stamp(now))

    def opt_in(self, address: str) -> None:
        """Mail to this address again."""
        self._do("DELETE FROM opted_out WHERE address = ?", address.lower())

    def opted_out(self) -> list[str]:
        """Addresses that asked for no mail."""
        return [str(row[0]) for row in self._all("SELECT address FROM opted_out ORDER BY address")]

    def stop(self, series: int, message_id: str | None) -> None:
        """No mail about a series any more; None undoes it."""
        self._do("UPDATE series SET stopped = ? WHERE id = ?", message_id, series)

    def stopped(self, series: int) -> str | None:
        """Message-ID of the answer that stopped a series; None where none did."""
        row = self._one("SELECT stopped FROM series WHERE id = ?", series)
        return row[0] if row else None

    # --- checks for Patchwork ---------------------------------------------------------------------

    def want_check(self, message_id: str, state: str, description: str, now: datetime) -> None:
        """A patch is to have this check; one that was posted already is not posted again."""
        self._do(
            "INSERT INTO patchwork (message_id, state, description, at, due) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET state = excluded.state, description = excluded.description, due = excluded.due,"
            " tries = 0, result = NULL WHERE state != excluded.state OR description != excluded.description",
            message_id, state, description, _stamp(now), _stamp(now),
        )  # fmt: skip

    def wanted_checks(self, now: datetime) -> list[CheckRow]:
        """What is to be posted."""
        sql = "SELECT message_id, state, description, result, tries FROM patchwork WHERE due <= ? ORDER BY at"
        return [CheckRow(*row) for row in self._all(sql, _stamp(now))]

    def settle_check(self, message_id: str, result: str, now: datetime, due: datetime | None = None) -> None:
        """How posting a check ended; with `due` it is tried again."""
        self._do(
            "UPDATE patchwork SET result = ?, at = ?, due = ?, tries = tries + 1 WHERE message_id = ?",
            result, _stamp(now), _stamp(due) if due else None, message_id,
        )  # fmt: skip

    def checks_of(self, message_ids: Collection[str]) -> list[CheckRow]:
        """Of these patches."""
        sql = (
            "SELECT message_id, state, description, result, tries FROM patchwork"
            f" WHERE message_id IN ({_marks(message_ids)})"
        )
        return [CheckRow(*row) for row in self._all(sql, *message_ids)]


_BY_HAND = "SELECT 1 FROM place WHERE mail = ? AND source = ''"
_POSTING = "SELECT id, series, message_id, revision, subject, author, arrived, reviewed FROM posting"
_FINDING = (
    "SELECT fingerprint, rule, severity, path, function, message, first, last, state, fixed_in, fix_told FROM finding"
)
_OUTBOX = (
    "SELECT id, message_id, posting, target, kind, author, recipients, lists, raw, state, reason, text, manual,"
    " created, next_try, attempts, sent, archived FROM outbox"
)
_ANSWER = "SELECT id, message_id, line, sender, command, rule, reason, series, at, state, how, tries FROM answer"


def _posting(row: Any) -> Posting:
    return Posting._make((*row[:6], _time(row[6]), _time(row[7]) if row[7] is not None else None))


def _row(row: Any) -> Row:
    return Row._make((*row[:8], FindingState(row[8]), row[9], bool(row[10])))


def _answer(row: Any) -> AnswerRow:
    return AnswerRow._make((*row[:8], _time(row[8]), AnswerState(row[9]), *row[10:]))


def _outgoing(row: Any) -> Outgoing:
    (number, message_id, posting, target, kind, author, recipients, lists, raw, state, reason, text, manual, created,
     next_try, attempts, sent, archived) = row  # fmt: skip
    return Outgoing(
        number,
        message_id,
        posting,
        target,
        kind,
        author,
        tuple(recipients.split("\n")) if recipients else (),
        tuple(lists.split("\n")) if lists else (),
        bytes(raw),
        MailState(state),
        reason,
        text,
        bool(manual),
        _time(created),
        _time(next_try),
        attempts,
        _time(sent) if sent is not None else None,
        _time(archived) if archived is not None else None,
    )


def _near(names: Sequence[str]) -> Sequence[str]:
    """What a mail answers, without the middle of a long chain: that hangs together by itself."""
    return names if len(names) <= _MOST_ANSWERED else (names[0], *names[1 - _MOST_ANSWERED :])


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))


def _stamp(when: datetime) -> int:
    return int(when.timestamp())


def _time(stamp: int) -> datetime:
    return datetime.fromtimestamp(stamp, UTC)


def is_shared(path: str) -> bool:
    """The file lies on a file system that other hosts may share."""
    if path == ":memory:":
        return False
    try:
        real = os.path.realpath(path)
        with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as file:
            mounts = [line.split(" ")[1:3] for line in file]
    except (OSError, IndexError):
        return False
    found = [(len(at), kind) for at, kind in mounts if real == at or real.startswith(at.rstrip("/") + "/")]
    return bool(found) and max(found)[1] in _SHARED


def ledger_path(config: Config) -> str:
    """Where the ledger lies."""
    return state_file("ledger.sqlite", config.ledger)
