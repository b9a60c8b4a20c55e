# SPDX-License-Identifier: GPL-2.0-or-later
"""The index of series in flight over a whole archive: time, size, growth with the mails, and how long a look-up takes.

Prints what a look-up finds, too: with --read each overlap, for a person to judge.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from common import archive, arguments, raw_mails, table

from reviewbot.commands.index import run
from reviewbot.config import Config
from reviewbot.index import Index, posted
from reviewbot.mail import local_series
from reviewbot.mime import parse_mail
from reviewbot.model import Series

PARTS = (8, 4, 2, 1)
LARGEST = 20  # series that are looked up
TIMES = 5
# A series of the size that look-ups are measured for; the largest of all has more.
LONG = 30


class Built(NamedTuple):
    """What making an index of some mails took."""

    mails: int
    seconds: float  # CPU
    size: int  # bytes
    rows: tuple[int, ...]  # of TABLES


TABLES = ("posting", "mail", "path", "touch", "name", "claim")


def build(raws: Sequence[bytes], file: Path) -> Built:
    """Make an index of mails as the command does."""
    import argparse

    mbox = file.with_suffix(".mbox")
    mbox.write_bytes(b"".join(b"From x@y Thu Jan  1 00:00:00 1970\n" + raw + b"\n" for raw in raws))
    args = argparse.Namespace(mbox=[str(mbox)], what=[], since=None, prune=False, quiet=True, format="text")
    begin = time.process_time()
    run(args, Config(index=str(file)))
    took = time.process_time() - begin
    with Index(file) as index:
        index._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        rows = tuple(int(index._one(f"SELECT count(*) FROM {name}")[0]) for name in TABLES)
    return Built(len(raws), took, os.path.getsize(file), rows)


def postings(raws: Sequence[bytes], index: Index) -> list[Series]:
    """The postings that are in an index."""
    names: dict[int, list[str]] = defaultdict(list)
    for name, posting in index._all("SELECT message_id, posting FROM mail ORDER BY posting, counter"):
        names[posting].append(name)
    wanted = {name for ids in names.values() for name in ids}
    mails = {mail.message_id: mail for mail in map(parse_mail, raws) if mail.message_id in wanted}
    return [one for ids in names.values() for one in local_series([mails[name] for name in ids if name in mails])]


def look_up(index: Index, series: Series, now: datetime) -> tuple[float, int]:
    """Milliseconds, the median, and what is met."""
    took, found = [], 0
    for _ in range(TIMES):
        begin = time.perf_counter()
        found = len(index.flight(series, posted(series, now)).overlaps())
        took.append(1000 * (time.perf_counter() - begin))
    return statistics.median(took), found


def main() -> None:
    """Print the tables."""
    parser = arguments(__doc__)
    parser.add_argument("--read", action="store_true", help="print each overlap of the archive's postings")
    options = parser.parse_args()
    raws = list(raw_mails(archive(options.corpus, options.cache)))
    with tempfile.TemporaryDirectory() as directory:
        built = []
        for part in PARTS:
            file = Path(directory) / f"{part}.sqlite"
            built.append(build(raws[: len(raws) // part], file))
        head = ("mails", "cpu s", "ms a mail", "KiB", "bytes a mail", *TABLES)
        table(head, (
            (one.mails, one.seconds, 1000 * one.seconds / one.mails, one.size // 1024, one.size // one.mails, *one.rows)
            for one in built
        ))  # fmt: skip
        now = datetime.now(UTC)
        with Index(file, readonly=True) as index:
            every = sorted(postings(raws, index), key=lambda one: -len(one.patches))
            print(f"\nlook-ups of the {LARGEST} largest of {len(every)} postings")
            took = [(len(one.patches), *look_up(index, one, now), one.subject[:60]) for one in every[:LARGEST]]
            table(("patches", "ms", "overlaps", "series"), took)
            print(f"median {statistics.median(ms for _, ms, _, _ in took):.1f} ms")
            near = min(took, key=lambda one: abs(one[0] - LONG))
            print(f"of {near[0]} patches: {near[1]:.1f} ms")
            for series in every if options.read else ():
                for one in index.flight(series, posted(series, now)).overlaps():
                    how = "lines" if one.lines else "function"
                    print(f"{series.subject[:60]} | {one.patch} {one.path} {one.what} {how} | {one.other.subject[:60]}")


if __name__ == "__main__":
    main()
