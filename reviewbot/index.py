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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

from reviewbot.database import Database, reason
from reviewbot.dossier import Claim, Flying, Overlap
from reviewbot.ledger import is_shared
from reviewbot.mail import declared_change_id, fold_title, has_diff, make_patch, parse_subject
from reviewbot.model import Mail, Patch, ReviewbotError, Series, Subject
from reviewbot.policy import Reason
from reviewbot.touches import Bit, Touch, bits, compares_names, few, touches

T = TypeVar("T")

# How long a series is taken to be in flight.
IN_FLIGHT = timedelta(days=90)
# What is older goes with the next pass of the bot: series in flight, and as long again for a replay.
REMEMBERED = timedelta(days=200)
# Of mails that get no answer (`policy.judge_mail`) those that are patches in flight all the same.
UNANSWERED = (Reason.OPTED_OUT, Reason.NO_AUTHOR)
# A posting is compared with what came up to so long after it: clocks differ, and a replay must not see the future.
_AHEAD = timedelta(days=1)
# No patch was made by git before there was one.
_FIRST = datetime(2005, 4, 1, tzinfo=UTC)
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
        gaps BLOB NOT NULL, added BLOB NOT NULL, before BLOB NOT NULL);  -- of touches.Touch, 32 bits each
    CREATE INDEX touch_path ON touch (path, date);
    CREATE INDEX touch_mail ON touch (mail);
    CREATE TABLE name (
        touch INTEGER NOT NULL REFERENCES touch ON DELETE CASCADE, name TEXT NOT NULL,
        anew INTEGER NOT NULL,         -- its very first line is changed
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

    path: str
    mail: int
    posting: int
    gaps: frozenset[int]
    added: frozenset[int]
    before: frozenset[int]
    names: Mapping[str, bool]  # whether the very first line is changed


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


class Index(Database):
    """An open index. Not for several threads."""

    noun = "index"
    error = SeriesIndexError

    def __init__(self, path: str | os.PathLike[str], *, readonly: bool = False) -> None:
        """Opens the file, and makes it where it is not there, but for `readonly`; ':memory:' keeps nothing.

        Raises SeriesIndexError where it cannot be opened, is damaged, another program's, or a newer reviewbot's.
        """
        self.path = os.fspath(path)
        try:
            if readonly:
                name = f"{Path(self.path).absolute().as_uri()}?mode=ro"
                self._db = sqlite3.connect(name, timeout=_BUSY, isolation_level=None, uri=True)
            else:
                if self.path != ":memory:":
                    Path(self.path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._db = sqlite3.connect(self.path, timeout=_BUSY, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise SeriesIndexError(f"cannot open index '{self.path}': {reason(error)}") from error
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
        touched, claimed = (list(touches(patch)), list(bits(patch))) if patch else ([], [])
        with self.transaction():
            number = self._add_mail(mail, subject, patch, date)
            self._add_patch(number, touched, claimed, date)
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

    def _add_patch(self, mail: int, touched: Sequence[Touch], claimed: Sequence[Bit], date: int) -> None:
        for touch in touched:
            self._do("INSERT OR IGNORE INTO path (path) VALUES (?)", touch.path)
            path = int(self._one("SELECT id FROM path WHERE path = ?", touch.path)[0])
            number = self._do(
                "INSERT INTO touch (path, mail, date, gaps, added, before) VALUES (?, ?, ?, ?, ?, ?)",
                path, mail, date, _pack(touch.gaps), _pack(touch.added), _pack(few(touch.before)),
            )  # fmt: skip
            self._db.executemany(
                "INSERT OR IGNORE INTO name VALUES (?, ?, ?)",
                [(number, name, name in touch.anew) for name in touch.names],
            )
        self._db.executemany(
            "INSERT OR IGNORE INTO claim VALUES (?, ?, ?, ?)",
            [(one.bit, one.flag, one.path, mail) for one in claimed],
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
        counts = self._one(
            "SELECT (SELECT count(*) FROM posting), (SELECT count(DISTINCT mail) FROM touch),"
            " (SELECT count(*) FROM path)"
        )
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
            what, f"{what}()", f"struct {what}", f"enum {what}", begin, end,
        )  # fmt: skip
        flight = _Flight(self, None, at, None)
        found = []
        for touch, path, number in rows:
            mail = flight.mail(number)
            if not flight.superseded(mail):
                names = self._all("SELECT name FROM name WHERE touch = ? ORDER BY name", touch)
                found.append(Entry(flight.flying(mail), path, tuple(row[0] for row in names)))
        return sorted(found, key=lambda entry: (entry.other.date, entry.other.message_id, entry.path))

    def flight(self, series: Series, at: datetime, trouble: Callable[[ReviewbotError], None] | None = None) -> _Flight:
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

    def _guarded(self, ask: Callable[[], list[T]]) -> list[T]:
        try:
            return ask()
        except SeriesIndexError as error:
            if self._trouble:
                self._trouble(error)
            return []

    # --- who else ---------------------------------------------------------------------------------

    def mail(self, number: int) -> _Mail:
        """A patch of the index."""
        if number not in self._mails:
            row = self._index._one(
                "SELECT mail.id, posting, message_id, subject, title, author, sender, person, revision, change_id,"
                " root, date FROM mail JOIN posting ON posting.id = mail.posting WHERE mail.id = ?",
                number,
            )
            self._mails[number] = _Mail(*row)
        return self._mails[number]

    def flying(self, mail: _Mail) -> Flying:
        """As the rules are told of it."""
        row = self._index._one(
            "SELECT message_id FROM mail WHERE posting = ? ORDER BY counter, date, id LIMIT 1", mail.posting
        )
        date = datetime.fromtimestamp(mail.date, UTC)
        return Flying(mail.message_id, mail.subject, mail.author, date, str(row[0]))

    def superseded(self, mail: _Mail) -> bool:
        """A newer posting has the patch, or is a reroll of its series, be it by somebody else who took it over."""
        leads = self._index._all(
            "SELECT title FROM mail WHERE posting = ? AND counter <= 1 ORDER BY counter LIMIT 2", mail.posting
        )
        titles = list({mail.title, *(row[0] for row in leads)})
        marks = ", ".join("?" * len(titles))
        for title, sender, person in self._index._all(
            "SELECT title, sender, person FROM mail JOIN posting ON posting.id = mail.posting"
            f" WHERE title IN ({marks}) AND posting.id != ? AND (date > ? OR (date = ? AND revision > ?))"
            " AND date <= ? LIMIT 100",
            *titles, mail.posting, mail.date, mail.date, mail.revision, self._end,
        ):  # fmt: skip
            if len(title.split()) >= _TITLE_WORDS or sender == mail.sender or (person and person == mail.person):
                return True
        return mail.change_id is not None and bool(
            self._index._one(
                "SELECT 1 FROM posting JOIN mail ON mail.posting = posting.id"
                " WHERE change_id = ? AND posting.id != ? AND date > ? AND date <= ?",
                mail.change_id, mail.posting, mail.date, self._end,
            )
        )  # fmt: skip

    def _is_own(self, mail: _Mail) -> bool:
        """It is the author's, or of the same thread, or the series under review under another name; or known to it."""
        own = self._own
        assert own is not None
        if mail.sender in own.senders or mail.author in own.senders or (mail.person and mail.person in own.persons):
            return True
        if mail.root in own.roots or mail.message_id in own.ids or mail.message_id in own.named:
            return True
        if mail.change_id is not None and mail.change_id in own.change_ids:
            return True
        if mail.title in own.titles and len(mail.title.split()) >= _TITLE_WORDS:
            return True
        for title, counter, message_id in self._index._all(
            "SELECT title, counter, message_id FROM mail WHERE posting = ? LIMIT 500", mail.posting
        ):
            if message_id in own.ids or message_id in own.named:
                return True
            if counter <= 1 and title in own.leads and len(title.split()) >= _TITLE_WORDS:
                return True
        return False

    # --- what is met ------------------------------------------------------------------------------

    def _overlaps(self) -> list[Overlap]:
        assert self._series is not None
        ours = [(patch.index, touch) for patch in self._series.patches for touch in touches(patch)]
        titles = {patch.index: fold_title(patch.subject.title) for patch in self._series.patches}
        rows: dict[str, list[_Row]] = {}
        for path in list(dict.fromkeys(touch.path for _, touch in ours))[:_MOST_PATHS]:
            rows[path] = self._touching(path)
        met: list[tuple[int, Touch, _Row, str, int, bool]] = []
        for index, touch in ours:
            met += [
                (index, touch, row, *at)
                for row in rows.get(touch.path, ())
                if (at := self._common(touch, row, titles[index]))
            ]
        if not met:
            return []
        kept: dict[int, bool] = {}
        below = self._below({row.posting for _, _, row, *_ in met}, ours, rows)
        found = []
        for index, touch, row, what, line, lines in met:
            mail = self.mail(row.mail)
            if mail.id not in kept:
                kept[mail.id] = mail.posting not in below and not self._is_own(mail) and not self.superseded(mail)
            if kept[mail.id]:
                found.append(Overlap(index, touch.path, what, line, self.flying(mail), lines))
        return sorted(
            _newest(found), key=lambda one: (one.patch, one.path, one.line, one.other.date, one.other.message_id)
        )

    def _touching(self, path: str) -> list[_Row]:
        """What touches a file and was posted in time, the newest first; without what has the author's own address."""
        assert self._own is not None
        where = "WHERE path = (SELECT id FROM path WHERE path = ?) AND touch.date BETWEEN ? AND ?"
        names: dict[int, dict[str, bool]] = {}
        for number, name, anew in self._index._all(
            f"SELECT touch, name, anew FROM touch JOIN name ON name.touch = touch.id {where}",
            path,
            self._begin,
            self._end,
        ):
            names.setdefault(number, {})[name] = bool(anew)
        return [
            _Row(path, row[1], row[2], _unpack(row[3]), _unpack(row[4]), _unpack(row[5]), names.get(row[0], {}))
            for row in self._index._all(
                "SELECT touch.id, touch.mail, mail.posting, gaps, added, before, sender FROM touch"
                " JOIN mail ON mail.id = touch.mail JOIN posting ON posting.id = mail.posting"
                f" {where} ORDER BY touch.date DESC LIMIT ?",
                path, self._begin, self._end, _MOST_PATCHES,
            )
            if row[6] not in self._own.senders
        ]  # fmt: skip

    def _common(self, touch: Touch, row: _Row, title: str) -> tuple[str, int, bool] | None:
        """The function, the line before our patch, and whether lines meet; None where nothing does."""
        if marks := row.gaps & touch.gaps.keys():
            mark = min(marks, key=lambda one: touch.gaps[one])
            return touch.places.get(mark, ""), touch.gaps[mark], True
        if row.names.keys().isdisjoint(touch.names):
            return None
        # a long function is many things: they are to meet in it, or one of them is to be about it as a whole
        shared = not row.before.isdisjoint(touch.before)
        words = frozenset(re.findall(r"\w+", f"{title} {self.mail(row.mail).title}"))
        names = [
            name
            for name, anew in row.names.items()
            if name in touch.names
            and compares_names(touch.path, name)
            and (anew or name in touch.anew or shared or name.removesuffix("()").casefold() in words)
        ]
        if names:
            name = min(names, key=lambda one: touch.names[one])
            return name, touch.names[name], False
        return None

    def _below(
        self, postings: Collection[int], ours: Sequence[tuple[int, Touch]], rows: Mapping[str, Sequence[_Row]]
    ) -> frozenset[int]:
        """The postings that ours was made on top of: the files have lines that these add."""
        shown: defaultdict[str, set[int]] = defaultdict(set)
        for _, touch in ours:
            shown[touch.path] |= touch.before
        for _, touch in ours:
            shown[touch.path] -= touch.added  # by an earlier patch of ours
        return frozenset(
            row.posting
            for path, them in rows.items()
            for row in them
            if row.posting in postings and not shown[path].isdisjoint(row.added)
        )

    def _claims(self, prefix: str, bit: int) -> list[Claim]:
        rows = self._index._all(
            "SELECT flag, claim.path, mail.id FROM claim JOIN mail ON mail.id = claim.mail"
            " WHERE bit = ? AND flag >= ? AND flag < ? AND date BETWEEN ? AND ? ORDER BY date DESC LIMIT 200",
            bit, prefix, f"{prefix}\U0010ffff", self._begin, self._end,
        )  # fmt: skip
        found = []
        for flag, path, number in rows:
            mail = self.mail(number)
            if not path.startswith("tools/") and not self._is_own(mail) and not self.superseded(mail):
                found.append(Claim(flag, bit, self.flying(mail), path))
        return found


class _Own:
    """What the posting under review is known by."""

    def __init__(self, series: Series) -> None:
        mails = [*([series.cover.mail] if series.cover else []), *(patch.mail for patch in series.patches)]
        subjects = [*([series.cover.subject] if series.cover else []), *(patch.subject for patch in series.patches)]
        self.ids = frozenset(mail.message_id for mail in mails) - {""}
        self.roots = frozenset(map(_root, mails)) | self.ids
        senders = {(mail.original_from or mail.sender).email.lower() for mail in mails}
        self.senders = (senders | {patch.author.email.lower() for patch in series.patches}) - {""}
        self.persons = frozenset(map(_person, mails)) - {""}
        self.titles = frozenset(fold_title(subject.title) for subject in subjects) - {""}
        self.leads = frozenset(fold_title(subject.title) for subject in subjects[:2]) - {""}
        texts = [line for mail in mails for line in _head(mail)]
        self.named = frozenset(name for line in texts for name in _NAMED.findall(line[:1000]))
        change_ids = {match[1] for line in texts if (match := _ON_CHANGE.match(line))}
        self.change_ids = change_ids | ({series.change_id} if series.change_id else set())


# Message-IDs in a text, be it in an address of an archive; of a series that it builds on.
_NAMED = re.compile(r"[^\s<>/\"'(),;]{1,200}@[\w.-]{1,200}\w")
_ON_CHANGE = re.compile(r"prerequisite-change-id: ([^\s:]{1,200})")


def _head(mail: Mail) -> Iterator[str]:
    """The lines of a mail that are no diff; b4 writes what it builds on behind it."""
    inside = False
    for line in mail.body[:100_000]:
        inside = inside or line.startswith("diff --git ")
        if not inside or line.startswith("prerequisite-"):
            yield line


def _root(mail: Mail) -> str:
    """The first mail of its thread."""
    return mail.references[0] if mail.references else mail.in_reply_to or mail.message_id


def _person(mail: Mail) -> str:
    """The sender's name, for who has several addresses; '' for one of a single word, which several have."""
    name = (mail.original_from or mail.sender).name
    name = " ".join(name.partition(" via ")[0].replace('"', " ").casefold().split())[:100]
    return name if " " in name else ""


def posted(series: Series, now: datetime) -> datetime:
    """When a series was posted, as its mails say; now where they do not, tell of a time to come, or are commits."""
    if any(patch.commit for patch in series.patches):
        return now
    mails = [*([series.cover.mail] if series.cover else []), *(patch.mail for patch in series.patches)]
    return min(max((mail.date for mail in mails if mail.date), default=now), now)


def _sent(mail: Mail, arrived: datetime | None, now: datetime) -> datetime:
    """When a mail was sent, never later than it arrived; an archive may have taken it in years later.

    Who sends from a machine without a clock is taken to have sent it when it arrived.
    """
    latest = min(arrived, now) if arrived else now
    return latest if mail.date is None or not _FIRST <= mail.date <= latest else mail.date


def _newest(found: Sequence[Overlap]) -> Iterator[Overlap]:
    """Of what one author posted of the same place the newest: a reroll under another name is no second series."""
    newest: dict[tuple[str, int, str, str], Overlap] = {}
    for one in sorted(found, key=lambda one: one.other.date):
        newest[one.other.author, one.patch, one.path, one.what or str(one.line)] = one
    yield from newest.values()


def _pack(marks: Collection[int]) -> bytes:
    return array("I", sorted(marks)).tobytes()


def _unpack(packed: bytes) -> frozenset[int]:
    marks = array("I")
    marks.frombytes(packed[: len(packed) // 4 * 4])
    return frozenset(marks)
