# SPDX-License-Identifier: GPL-2.0-or-later
"""Which series in flight touch which files, functions and bits: one SQLite file, made of the archives' mails.

Belongs here: the tables, what of a mail goes into them, and what of them a posting meets. Does not belong here: what is
compared (`touches`), finding mails. Nothing in it cannot be made anew from the archives (`reviewbot index`), so unlike
the ledger it need not survive a power cut. Mails may come in any order and again and again.

In flight is a series that was posted in the last 90 days before the posting under review, and that no newer revision
has taken the place of. That is found out when it is asked for: of a posting of last year it is what was in flight then.
"""

from __future__ import annotations

import os
import re
import sqlite3
from array import array
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Self

from reviewbot.dossier import Claim, Flying, Overlap
from reviewbot.ledger import is_shared
from reviewbot.mail import declared_change_id, fold_title, has_diff, make_patch, parse_subject
from reviewbot.model import Mail, Patch, ReviewbotError, Series, Subject
from reviewbot.touches import Touch, bits, compares_names, touches

# How long a series is taken to be in flight.
IN_FLIGHT = timedelta(days=90)
# What is older goes with the next pass of the bot: series in flight, and as long again for a replay.
REMEMBERED = timedelta(days=200)
# A posting is compared with what came up to so long after it: clocks differ, and a replay must not see the future.
_AHEAD = timedelta(days=1)
# An archive that took a mail in so long after it was sent imported it: then its arrival tells nothing.
_IMPORT = timedelta(days=60)
# Patches to one file that are looked at, the newest: the busiest of linux-mm (mm/memory.c) has some 300 in 90 days.
_MOST_PATCHES = 2_000
# Files of a posting that are looked up.
_MOST_PATHS = 2_000
# A title of fewer words is used again by others.
_TITLE_WORDS = 3
_BUSY = 30
# "rvbi": PRAGMA application_id, by which the file is known for ours
_APPLICATION = 0x72766269
_LONGEST = 500

# As those of the ledger: never change one that was released.
MIGRATIONS = (
    """
    CREATE TABLE source (name TEXT PRIMARY KEY, position TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE posting (
        id INTEGER PRIMARY KEY,
        sender TEXT NOT NULL,          -- address in lower case
        revision INTEGER NOT NULL, expected INTEGER NOT NULL,
        root TEXT NOT NULL,            -- the first mail of the thread
        person TEXT NOT NULL,          -- the sender's name, folded; '' where it has less than two words
        change_id TEXT,
        UNIQUE (sender, revision, expected, root));
    CREATE INDEX posting_root ON posting (root);
    CREATE INDEX posting_change ON posting (change_id) WHERE change_id IS NOT NULL;
    CREATE TABLE mail (
        id INTEGER PRIMARY KEY,
        message_id TEXT NOT NULL UNIQUE,
        posting INTEGER NOT NULL REFERENCES posting,
        counter INTEGER NOT NULL,      -- n of n/m; 0: the cover letter
        author TEXT NOT NULL,          -- address in lower case, also of one who let somebody else send it
        title TEXT NOT NULL,           -- folded
        subject TEXT NOT NULL,
        date INTEGER NOT NULL);
    CREATE INDEX mail_posting ON mail (posting);
    CREATE INDEX mail_title ON mail (title, date);
    CREATE INDEX mail_date ON mail (date);
    CREATE TABLE path (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE);
    CREATE TABLE touch (
        id INTEGER PRIMARY KEY,
        path INTEGER NOT NULL REFERENCES path, mail INTEGER NOT NULL REFERENCES mail ON DELETE CASCADE,
        date INTEGER NOT NULL,
        gaps BLOB NOT NULL, added BLOB NOT NULL);  -- of touches.Touch, 32 bits each
    CREATE INDEX touch_path ON touch (path, date);
    CREATE INDEX touch_mail ON touch (mail);
    CREATE TABLE name (
        touch INTEGER NOT NULL REFERENCES touch ON DELETE CASCADE, name TEXT NOT NULL,
        PRIMARY KEY (touch, name)) WITHOUT ROWID;
    CREATE INDEX name_name ON name (name);
    CREATE TABLE claim (
        bit INTEGER NOT NULL, flag TEXT NOT NULL, path TEXT NOT NULL,
        mail INTEGER NOT NULL REFERENCES mail ON DELETE CASCADE, PRIMARY KEY (bit, flag, mail, path)) WITHOUT ROWID;
    CREATE INDEX claim_mail ON claim (mail);
    """,
)


class SeriesIndexError(ReviewbotError):
    """The index cannot be read or written; it can be made anew."""


class Sums(NamedTuple):
    """How much an index holds."""

    postings: int
    patches: int
    files: int  # that they touch
    oldest: datetime | None  # None where it is empty
    newest: datetime | None


class Entry(NamedTuple):
    """A patch of a series in flight, and what it touches of a file or a name that was asked for."""

    other: Flying
    path: str
    names: tuple[str, ...]


class _Row(NamedTuple):
    """A touch of a patch of somebody else."""

    touch: int
    path: str
    mail: int
    posting: int
    gaps: bytes
    added: bytes


class _Mail(NamedTuple):
    """A patch of somebody else."""

    id: int
    posting: int
    message_id: str
    subject: str
    title: str
    author: str
    sender: str
    person: str
    revision: int
    change_id: str | None
    root: str
    date: int


class Index:
    """An open index. Not for several threads."""

    def __init__(self, path: str | os.PathLike[str], *, readonly: bool = False) -> None:
        """Opens the file, and makes it where it is not there, but for `readonly`; ':memory:' keeps nothing.

        Raises SeriesIndexError where it cannot be opened, is damaged, another program's, or a newer reviewbot's.
        """
        self.path = os.fspath(path)
        self._deep = 0
        try:
            if readonly:
                name = f"{Path(self.path).absolute().as_uri()}?mode=ro"
                self._db = sqlite3.connect(name, timeout=_BUSY, isolation_level=None, uri=True)
            else:
                if self.path != ":memory:":
                    Path(self.path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._db = sqlite3.connect(self.path, timeout=_BUSY, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise SeriesIndexError(f"cannot open index '{self.path}': {_why(error)}") from error
        try:
            with self._guard("open"):
                self._prepare(readonly=readonly)
        except BaseException:
            self._db.close()
            raise

    def _prepare(self, *, readonly: bool) -> None:
        self._db.execute("PRAGMA foreign_keys = ON")
        version = int(self._one("PRAGMA user_version")[0])
        ours = int(self._one("PRAGMA application_id")[0]) == _APPLICATION
        if not ours and (version or self._one("SELECT 1 FROM sqlite_master")):
            raise SeriesIndexError(f"'{self.path}' is no index: it is a database of another program")
        if version > len(MIGRATIONS):
            known = len(MIGRATIONS)
            raise SeriesIndexError(f"index '{self.path}' is of a newer reviewbot: version {version}, {known} is known")
        if readonly:
            if version < len(MIGRATIONS):
                raise SeriesIndexError(f"index '{self.path}' is empty, or of an older reviewbot: make it anew")
            return
        mode = "DELETE" if is_shared(self.path) else "WAL"
        if self.path != ":memory:" and str(self._one("PRAGMA journal_mode")[0]).upper() != mode:
            self._db.execute(f"PRAGMA journal_mode = {mode}")
        self._db.execute("PRAGMA synchronous = NORMAL")
        if version == len(MIGRATIONS):
            return
        with self.transaction():
            # another process may have been first
            version = int(self._one("PRAGMA user_version")[0])
            for number, script in enumerate(MIGRATIONS[version:], version + 1):
                for statement in re.split(r";[ \t]*(?:--[^\n]*)?\n", script):
                    if statement.strip():
                        self._db.execute(statement)
                self._db.execute(f"PRAGMA application_id = {_APPLICATION}")
                self._db.execute(f"PRAGMA user_version = {number}")

    @classmethod
    def copy(cls, path: str | os.PathLike[str]) -> Self:
        """A copy in memory, of nothing where there is no file: for what must leave no trace."""
        index = cls(":memory:")
        if os.path.exists(path):
            with cls(path, readonly=True) as source, source._guard("read"):
                source._db.backup(index._db)
        return index

    def close(self) -> None:
        """Nothing can be asked afterwards."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _guard(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise SeriesIndexError(f"cannot {what} index '{self.path}': {_why(error)}") from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. Raises SeriesIndexError where it cannot be written: read-only, full disk, damaged."""
        if self._deep:
            yield
            return
        with self._guard("write to"):
            self._db.execute("BEGIN IMMEDIATE")
            self._deep = 1
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            finally:
                self._deep = 0

    def _all(self, sql: str, *values: object) -> list[Any]:
        with self._guard("read"):
            return self._db.execute(sql, values).fetchall()

    def _one(self, sql: str, *values: object) -> Any:
        with self._guard("read"):
            return self._db.execute(sql, values).fetchone()

    def _do(self, sql: str, *values: object) -> int:
        """The row that was inserted last."""
        return self._db.execute(sql, values).lastrowid or 0

    # --- what goes in -----------------------------------------------------------------------------

    def position(self, source: str) -> str | None:
        """Where to go on in an archive; None where it was never read."""
        row = self._one("SELECT position FROM source WHERE name = ?", source)
        return str(row[0]) if row else None

    def set_position(self, source: str, position: str) -> None:
        """What comes before is in the index."""
        with self.transaction():
            self._do("REPLACE INTO source VALUES (?, ?)", source, position)

    def knows(self, message_id: str) -> bool:
        """The patch or cover letter is in the index."""
        return self._one("SELECT 1 FROM mail WHERE message_id = ?", message_id[:_LONGEST]) is not None

    def add(self, mail: Mail, arrived: datetime | None, now: datetime) -> bool:
        """Take what a mail says; False where it is neither patch nor cover letter, or is known.

        `arrived` is when an archive took it, None where that is not known. Whether it is a patch for the kernel under
        development is the caller's to know (`policy.judge_mail`).
        """
        subject = parse_subject(mail.subject[:2000])
        if not mail.message_id or not subject.patch or subject.reply or self.knows(mail.message_id):
            return False
        if not (diff := has_diff(mail)) and subject.counter != 0:
            return False
        date = int(_sent(mail, arrived, now).timestamp())
        patch = make_patch(mail, subject.counter or 1) if diff else None
        with self.transaction():
            number = self._add_mail(mail, subject, patch, date)
            if patch is not None:
                self._add_patch(number, patch, date)
        return True

    def _add_mail(self, mail: Mail, subject: Subject, patch: Patch | None, date: int) -> int:
        sender = (mail.original_from or mail.sender).email.lower()[:_LONGEST]
        key = (sender, min(subject.revision or 1, 9999), subject.expected or 0, _root(mail)[:_LONGEST])
        row = self._one(
            "SELECT id, change_id FROM posting WHERE sender = ? AND revision = ? AND expected = ? AND root = ?", *key
        )
        change_id = declared_change_id([mail])
        if row is None:
            posting = self._do(
                "INSERT INTO posting (sender, revision, expected, root, person, change_id) VALUES (?, ?, ?, ?, ?, ?)",
                *key, _person(mail), change_id,
            )  # fmt: skip
        else:
            posting = int(row[0])
            if change_id and row[1] is None:
                self._do("UPDATE posting SET change_id = ? WHERE id = ?", change_id, posting)
        author = patch.author.email.lower()[:_LONGEST] if patch else sender
        return self._do(
            "INSERT INTO mail (message_id, posting, counter, author, title, subject, date)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            mail.message_id[:_LONGEST], posting, 1 if subject.counter is None else subject.counter, author,
            fold_title(subject.title), subject.full[:_LONGEST], date,
        )  # fmt: skip

    def _add_patch(self, mail: int, patch: Patch, date: int) -> None:
        for touch in touches(patch):
            self._do("INSERT OR IGNORE INTO path (path) VALUES (?)", touch.path)
            path = int(self._one("SELECT id FROM path WHERE path = ?", touch.path)[0])
            number = self._do(
                "INSERT INTO touch (path, mail, date, gaps, added) VALUES (?, ?, ?, ?, ?)",
                path, mail, date, _pack(touch.gaps), _pack(touch.added),
            )  # fmt: skip
            self._db.executemany("INSERT OR IGNORE INTO name VALUES (?, ?)", [(number, name) for name in touch.names])
        self._db.executemany(
            "INSERT OR IGNORE INTO claim VALUES (?, ?, ?, ?)",
            [(one.bit, one.flag, one.path, mail) for one in bits(patch)],
        )

    def prune(self, before: datetime) -> int:
        """Forget the mails that are older; their number."""
        with self.transaction():
            gone = self._db.execute("DELETE FROM mail WHERE date < ?", (int(before.timestamp()),)).rowcount
            if gone:
                self._db.execute("DELETE FROM posting WHERE id NOT IN (SELECT posting FROM mail)")
                self._db.execute("DELETE FROM path WHERE id NOT IN (SELECT path FROM touch)")
        return gone

    # --- what is asked ----------------------------------------------------------------------------

    def sums(self) -> Sums:
        """How much it holds."""
        oldest, newest = self._one("SELECT min(date), max(date) FROM mail")
        counts = [
            int(self._one(f"SELECT count(*) FROM {table}")[0])
            for table in ("posting", "mail WHERE id IN (SELECT mail FROM touch)", "path")
        ]
        times = [datetime.fromtimestamp(stamp, UTC) if stamp is not None else None for stamp in (oldest, newest)]
        return Sums(counts[0], counts[1], counts[2], times[0], times[1])

    def find(self, what: str, at: datetime, since: datetime) -> list[Entry]:
        """The patches of series in flight at a time, posted since another, that touch a file or a name; oldest first.

        `what` is a path, the end of one behind a /, or the name of a function or definition.
        """
        begin, end = int(since.timestamp()), int((at + _AHEAD).timestamp())
        rows = self._all(
            "SELECT touch.id, path.path, touch.mail FROM touch JOIN path ON path.id = touch.path"
            " WHERE (path.path = ? OR substr(path.path, ?) = ?) AND date BETWEEN ? AND ? UNION"
            " SELECT touch.id, path.path, touch.mail FROM name JOIN touch ON touch.id = name.touch"
            " JOIN path ON path.id = touch.path WHERE name.name IN (?, ?, ?, ?) AND date BETWEEN ? AND ?",
            what, -len(what) - 1, f"/{what}", begin, end,
            what, f"struct {what}", f"enum {what}", f"union {what}", begin, end,
        )  # fmt: skip
        flight = _Flight(self, None, at, None)
        found = []
        for touch, path, number in rows:
            mail = flight.mail(number)
            if not flight.superseded(mail):
                names = self._all("SELECT name FROM name WHERE touch = ? ORDER BY name", touch)
                found.append(Entry(flight.flying(mail), path, tuple(row[0] for row in names)))
        return sorted(found, key=lambda entry: (entry.other.date, entry.other.message_id, entry.path))

    def flight(
        self, series: Series, at: datetime, trouble: Callable[[ReviewbotError], None] | None = None
    ) -> _Flight:
        """The series in flight at a time, as a posting meets them (`dossier.Flight`).

        An index that cannot be read is one in which nothing is; `trouble` is told why.
        """
        return _Flight(self, series, at, trouble)


class _Flight:
    """What a posting meets at a time."""

    def __init__(
        self, index: Index, series: Series | None, at: datetime, trouble: Callable[[ReviewbotError], None] | None
    ) -> None:
        self._index, self._series, self._trouble = index, series, trouble
        self._begin, self._end = int((at - IN_FLIGHT).timestamp()), int((at + _AHEAD).timestamp())
        self._mails: dict[int, _Mail] = {}
        self._own = _Own(series) if series else None
        self._known: list[Overlap] | None = None

    def overlaps(self) -> Sequence[Overlap]:
        """See `dossier.Flight`; by patch and path."""
        if self._known is None:
            self._known = self._guarded(self._overlaps)
        return self._known

    def claims(self, prefix: str, bit: int) -> Sequence[Claim]:
        """See `dossier.Flight`; the newest first. Copies of headers below tools/ are left out."""
        return self._guarded(lambda: self._claims(prefix, bit))

    def _guarded[T](self, ask: Callable[[], list[T]]) -> list[T]:
        try:
            return ask()
        except SeriesIndexError as error:
            if self._trouble:
                self._trouble(error)
            return []
