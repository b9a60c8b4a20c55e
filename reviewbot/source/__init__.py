# SPDX-License-Identifier: GPL-2.0-or-later
"""Where mail comes from: what the sources have in common.

Belongs here: the interface of a source, which mails make a thread, and which may begin another
revision of a series. Each source's own reading is in its file: `lore` (a public-inbox server), `epoch`
(public-inbox's git), `mbox` (files, stdin). All is pure but `open_source`, which looks at the disk.
"""

from __future__ import annotations

import os
import re
import stat
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from os import PathLike
from typing import NamedTuple, Protocol

from reviewbot.mail import declared_change_id, fold_title, has_diff, parse_subject
from reviewbot.model import InputError, Mail

# A larger archive answer or compressed file is refused. The largest threads of kernel lists are some
# 1,500 mails and 30 MB; a bomb of 256 kB unpacks to more than this.
MAX_UNPACKED = 256 * 1024 * 1024

# More mails that may begin another revision are not looked at: the newest count. The longest-lived series
# have some 40 revisions, a cover letter and a first patch each, and their resends.
MAX_RELATED = 200

_HEADERS_END = re.compile(rb"\n\r?\n")
_HEADER = re.compile(rb"^(message-id|in-reply-to|references):([^\n]*(?:\n[ \t][^\n]*)*)", re.I | re.M)
_ID = re.compile(rb"<([^<>\s]{1,998})>")


class Source(Protocol):
    """A place that threads can be had from."""

    def thread(self, message_id: str) -> list[bytes]:
        """All mails of the thread that holds `message_id` (no angle brackets), as raw bytes.

        They are unescaped and without an mbox "From " line, in the source's own order; a mail that
        came twice may be there twice. Raises NotFoundError where the source has no such mail.
        """

    def related(self, lineage: Lineage) -> list[bytes]:
        """Raw mails, in any thread and any order, that `lineage` claims: MAX_RELATED at most, the newest.

        None where there are none. Raises InputError or TemporaryError where that cannot be found out.
        """


class LocalSource(Source, Protocol):
    """A source on disk, which can also be read from end to end."""

    def mails(self) -> Iterator[tuple[str, bytes]]:
        """(where it lies, raw bytes) of every mail: a file's name, or a commit for an archive's epoch."""


class Lineage(NamedTuple):
    """What the revisions of a series have in common, wherever they were posted."""

    titles: tuple[str, ...]  # of the cover letter and of the first patch, as parse_subject() gives them
    email: str  # the sender's, in lower case
    change_id: str | None  # b4's; None where the series declares none
    since: datetime | None = None  # an older mail needs the change-id: titles are used again; None for no limit

    def same_title(self, title: str) -> bool:
        """The title is one of ours but for case and white space."""
        plain = fold_title(title)
        return bool(plain) and any(fold_title(own) == plain for own in self.titles)

    def same_change(self, mail: Mail) -> bool:
        """The mail declares the same change-id."""
        return self.change_id is not None and declared_change_id([mail]) == self.change_id

    def claims(self, mail: Mail) -> bool:
        """The mail is a cover letter or a first patch of the same author, with the same title or change-id."""
        subject = parse_subject(mail.subject)
        if mail.sender.email.lower() != self.email or subject.reply or not subject.patch:
            return False
        if subject.counter not in (None, 0, 1) or not (subject.counter == 0 or has_diff(mail)):
            return False
        recent = self.since is None or mail.date is None or mail.date >= self.since
        return (recent and self.same_title(subject.title)) or self.same_change(mail)

    def claims_raw(self, raw: bytes) -> bool:
        """`claims` for a mail that is not yet read; False for what cannot be read."""
        end = _HEADERS_END.search(raw)
        # nearly every mail of an archive is by somebody else: that is seen without parsing it
        if self.email.encode("utf-8", "surrogateescape") not in raw[: end.start() if end else len(raw)].lower():
            return False
        try:
            from reviewbot.mime import parse_mail  # `source.commits` is in this package and does without

            return self.claims(parse_mail(raw))
        except Exception:  # noqa: BLE001 - the email package raises what it likes on hostile mail
            return False


class Head(NamedTuple):
    """What threading needs of a mail: Message-IDs as bytes, without angle brackets."""

    own: tuple[bytes, ...]  # nearly always one
    others: tuple[bytes, ...]  # In-Reply-To and References


def read_head(raw: bytes) -> Head:
    """The Message-IDs in a mail's headers; nothing else of the mail is looked at."""
    end = _HEADERS_END.search(raw)
    own: list[bytes] = []
    others: list[bytes] = []
    for match in _HEADER.finditer(raw, 0, end.start() + 1 if end else len(raw)):
        (own if match[1].lower() == b"message-id" else others).extend(_ID.findall(match[2]))
    return Head(tuple(own), tuple(others))


def thread_members(heads: Sequence[Head], message_id: str) -> list[int]:
    """Indexes, ascending, of the mails in the same thread as `message_id`; none where no mail has that id.

    A thread is what is connected by In-Reply-To and References, through mails that are missing too,
    which is how public-inbox groups them.
    """
    wanted = message_id.encode("utf-8", "surrogateescape")
    naming: defaultdict[bytes, list[int]] = defaultdict(list)
    for n, head in enumerate(heads):
        for name in {*head.own, *head.others}:
            naming[name].append(n)
    if not any(wanted in heads[n].own for n in naming.get(wanted, ())):
        return []
    found: set[int] = set()
    ahead = [wanted]
    while ahead:
        for n in naming.pop(ahead.pop(), ()):
            if n not in found:
                found.add(n)
                ahead += heads[n].own + heads[n].others
    return sorted(found)


def open_source(path: str | PathLike[str]) -> LocalSource:
    """The source that lies at `path`: a public-inbox directory or epoch, a maildir, an mbox, mails; '-' is stdin.

    Raises InputError where there is nothing, or nothing that is known.
    """
    from pathlib import Path  # not in `check`, which starts without it

    from reviewbot.source.epoch import EpochSource, is_epoch
    from reviewbot.source.mbox import MboxSource

    if str(path) != "-" and stat.S_ISDIR(look(path).st_mode) and is_epoch(Path(path)):
        return EpochSource(path)
    return MboxSource(path)


def look(path: str | PathLike[str]) -> os.stat_result:
    """os.stat() whose failure is an InputError as git words it."""
    try:
        return os.stat(path)
    except (OSError, ValueError) as error:
        raise cannot_open(path, error) from error


def cannot_open(path: str | PathLike[str], error: OSError | ValueError) -> InputError:
    """The error for a path that the system refuses (ValueError: it holds a NUL)."""
    return InputError(f"cannot open '{path}': {getattr(error, 'strerror', None) or error}")
