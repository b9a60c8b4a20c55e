# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot index`: which series in flight touch which files, functions and bits: make it, and look in it."""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from reviewbot.commands.common import parse_when, say, watched
from reviewbot.config import Config, index_path
from reviewbot.index import IN_FLIGHT, REMEMBERED, UNANSWERED, Entry, Index, Sums
from reviewbot.mime import header_text, parse_mail
from reviewbot.model import InputError, NotFoundError
from reviewbot.output.text import clean
from reviewbot.policy import judge_mail
from reviewbot.source import open_source, read_head
from reviewbot.source.epoch import is_epoch, list_epochs
from reviewbot.source.feed import EpochFeed

# Mails are taken in transactions of so many: who stops it reads at most these again.
_BATCH = 500
# Mails between two lines of progress.
_TOLD = 100
# Nearly every answer: three fifths of a list's mails need not be read further.
_ANSWER = re.compile(rb"^subject:[ \t]*re:", re.I | re.M)
# Names of one patch that are listed.
_MOST_NAMES = 5


class _Taken(NamedTuple):
    """A mail of an archive, None where it need not be looked at, and where to go on behind it."""

    raw: bytes | None
    arrived: datetime | None  # None where the archive does not tell
    position: str | None  # None where it is always read from its beginning


def run(args: argparse.Namespace, config: Config) -> int:
    """The process's exit code. Raises InputError for what is no archive, SeriesIndexError where the file is broken."""
    path = index_path(config)
    now = datetime.now(UTC)
    since = parse_when(args.since, "--since")
    if args.mbox and args.what:
        raise InputError(f"'{args.what[0]}' is looked for in an index that is made: without -m")
    if args.mbox or args.prune:
        with Index(path) as index:
            if args.mbox:
                _build(args, config, index, since, now)
            if args.prune:
                gone = index.prune(since or now - REMEMBERED)
                say(args, f"{_count(gone, 'mail')} older than {since or now - REMEMBERED:%Y-%m-%d} forgotten")
        return 0
    if not os.path.exists(path):
        raise NotFoundError(f"there is no index '{path}' yet: reviewbot index -m ARCHIVE makes one")
    with Index(path, readonly=True) as index:
        if not args.what:
            _overview(args, index)
        else:
            _list(args, index, since or now - IN_FLIGHT, now)
    return 0


# -- making it ------------------------------------------------------------------------------------------------------


def _build(args: argparse.Namespace, config: Config, index: Index, since: datetime | None, now: datetime) -> None:
    begin = time.monotonic()
    before = index.sums()
    read = 0
    with watched(args) as update:
        for name in args.mbox:
            batch: list[_Taken] = []
            for taken in _mails(args, index, name, since):
                batch.append(taken)
                read += taken.raw is not None
                if update and read % _TOLD == 0:
                    update(read, 0, "mails read")
                if len(batch) == _BATCH:
                    _take(config, index, name, batch, since, now)
                    batch = []
            _take(config, index, name, batch, since, now)
    after = index.sums()
    took = time.monotonic() - begin
    patches = _count(after.patches - before.patches, "patch", "patches")
    postings = _count(after.postings - before.postings, "posting")
    say(args, f"{_count(read, 'mail')} read, {patches} of {postings}, {took:.1f} s")


def _mails(args: argparse.Namespace, index: Index, name: str, since: datetime | None) -> Iterator[_Taken]:
    """What is new in an archive; with `since` all from there on, and some of what came before."""
    if name == "-" or not (os.path.isdir(name) and is_epoch(Path(name))):
        yield from (_Taken(raw, None, None) for _, raw in open_source(name).mails())
        return
    feed = EpochFeed(name, name, Path(os.devnull))
    try:
        position = index.position(_source(name))
        if since is not None:
            position = feed.begin(since)
        elif position is None:
            position = f"{list_epochs(Path(name))[0][0]}:"
        for arrival in feed.news(position):
            yield _Taken(arrival.raw, arrival.arrived, arrival.cursor)
        for note in feed.notes:
            say(args, f"note: {note}")
        yield _Taken(None, None, feed.position)
    finally:
        feed.close()


def _source(name: str) -> str:
    """What an archive is remembered by."""
    return os.path.realpath(name)


def _take(
    config: Config, index: Index, name: str, batch: Sequence[_Taken], since: datetime | None, now: datetime
) -> None:
    if not batch:
        return
    with index.transaction():
        for taken in batch:
            if taken.raw is not None and not _ANSWER.search(taken.raw.partition(b"\n\n")[0]):
                _add(config, index, taken.raw, taken.arrived, since, now)
        if batch[-1].position is not None:
            index.set_position(_source(name), batch[-1].position)


def _add(
    config: Config, index: Index, raw: bytes, arrived: datetime | None, since: datetime | None, now: datetime
) -> None:
    ids = read_head(raw).own
    if ids and index.knows(header_text(ids[0])):
        return
    try:
        mail = parse_mail(raw)
    except Exception:  # noqa: BLE001 - the email package raises what it likes on hostile mail
        return
    if since is not None and (mail.date or arrived or now) < since:
        return
    verdict = judge_mail(mail, config, ())
    if verdict is None or verdict.reason in UNANSWERED:
        index.add(mail, arrived, now)


# -- looking in it --------------------------------------------------------------------------------------------------


def _overview(args: argparse.Namespace, index: Index) -> None:
    sums = index.sums()
    if args.format == "json":
        print(json.dumps(_sums_json(index, sums), indent=1))
        return
    if sums.oldest is None or sums.newest is None:
        print("nothing is in the index")
        return
    print(f"{_count(sums.patches, 'patch', 'patches')} of {_count(sums.postings, 'posting')}")
    print(f"{_count(sums.files, 'file')} touched")
    print(f"from {sums.oldest:%Y-%m-%d} to {sums.newest:%Y-%m-%d}")


def _sums_json(index: Index, sums: Sums) -> dict[str, object]:
    return {
        "file": index.path,
        "patches": sums.patches,
        "postings": sums.postings,
        "files": sums.files,
        "oldest": sums.oldest.isoformat() if sums.oldest else None,
        "newest": sums.newest.isoformat() if sums.newest else None,
    }


def _list(args: argparse.Namespace, index: Index, since: datetime, now: datetime) -> None:
    found = list(dict.fromkeys(entry for what in args.what for entry in index.find(what[:1000], now, since)))
    if args.format == "json":
        print(json.dumps([_entry_json(entry) for entry in found], indent=1))
        return
    for entry in found:
        names = ", ".join(entry.names[:_MOST_NAMES])
        more = f" and {len(entry.names) - _MOST_NAMES} more" if len(entry.names) > _MOST_NAMES else ""
        print(clean(f"{entry.other.date:%Y-%m-%d}  <{entry.other.message_id}>  {entry.other.subject[:100]}"))
        print(clean(f"            {entry.path}{f': {names}{more}' if names else ''}"))
    if not found:
        newest = index.sums().newest
        until = f"; the newest in the index is of {newest:%Y-%m-%d}" if newest else ""
        said = "', '".join(args.what)
        say(args, f"no series since {since:%Y-%m-%d} touches '{said}'{until}")


def _entry_json(entry: Entry) -> dict[str, object]:
    return {
        "message_id": entry.other.message_id,
        "series": entry.other.series,
        "subject": entry.other.subject,
        "author": entry.other.author,
        "date": entry.other.date.isoformat(),
        "path": entry.path,
        "names": list(entry.names),
    }


def _count(number: int, what: str, many: str = "") -> str:
    """'7,083 mails'."""
    return f"{number:,} {what if number == 1 else many or f'{what}s'}"
