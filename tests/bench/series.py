# SPDX-License-Identifier: GPL-2.0-or-later
"""How often each rule over a series speaks, on every posting of the corpus archive with all that surrounds it.

Each posting has its earlier revisions, what was answered to them, and the other series that were in flight then. The
hits stand beside those that evidence.toml records, with how many of these were read, right and wrong; --show prints
them, to be read and judged. Exit status 1 where a recorded number is another one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from common import archive, arguments, raw_mails, table

from reviewbot.commands.index import run as make_index
from reviewbot.config import Config
from reviewbot.dossier import Needs
from reviewbot.engine import review
from reviewbot.gather import Around, gather
from reviewbot.index import Index, posted
from reviewbot.model import InputError
from reviewbot.registry import evidence, load
from reviewbot.revisions import find_series
from reviewbot.rule import Over, Rule
from reviewbot.series import Thread
from reviewbot.source import read_head
from reviewbot.source.epoch import EpochSource

WHERE = "nvdimm archive"


def threads(raws: Sequence[bytes]) -> Iterator[list[bytes]]:
    """The mails by thread: what is connected by In-Reply-To and References."""
    above: dict[bytes, bytes] = {}

    def root(name: bytes) -> bytes:
        while above.setdefault(name, name) != name:
            above[name] = above[above[name]]
            name = above[name]
        return name

    heads = [read_head(raw) for raw in raws]
    for head in heads:
        for own in head.own[:1]:
            for other in head.others:
                above[root(own)] = root(other)
    found: dict[bytes, list[bytes]] = defaultdict(list)
    for head, raw in zip(heads, raws, strict=True):
        if head.own:
            found[root(head.own[0])].append(raw)
    yield from found.values()


def hits(inbox: Path, rules: Sequence[Rule], counted: Counter[str]) -> Iterator[tuple[str, str]]:
    """(rule, place and words) of each finding; `counted` gets the postings, and those of a later revision."""
    raws = list(raw_mails(inbox))
    source = EpochSource(inbox)
    with tempfile.TemporaryDirectory() as directory:
        file = str(Path(directory) / "index.sqlite")
        options = {"mbox": [str(inbox)], "what": [], "since": None, "prune": False, "quiet": True, "format": "text"}
        make_index(argparse.Namespace(**options), Config(index=file))
        with Index(file, readonly=True) as index:
            for thread in threads(raws):
                for posting in Thread(thread).postings:
                    name = posting.ids[0]
                    try:
                        series = find_series(source, thread, name).series
                    except InputError:
                        continue  # a cover letter without its patches
                    counted["postings"] += 1
                    counted["later revisions"] += series.revision > 1
                    at = posted(series, datetime.now(UTC))
                    dossier = gather(series, Around(source=source, raws=thread, opened=index, at=at))
                    for finding in review(series, rules, dossier=dossier).findings:
                        yield finding.rule, f"<{finding.patch.mail.message_id}> {finding.message}"


def main() -> None:
    """Print the table, and what differs from the evidence."""
    parser = arguments(__doc__)
    parser.add_argument("--rules", help="only these: names, families or ids, with commas between them")
    parser.add_argument("--show", action="store_true", help="print every hit")
    options = parser.parse_args()
    wanted = options.rules.split(",") if options.rules else []
    rules = [
        rule
        for rule in load()
        if rule.over is Over.SERIES
        and rule.needs not in (Needs.TREE, Needs.BRANCHES)
        and (not wanted or {rule.name, rule.name.split("/", maxsplit=1)[0], rule.id} & set(wanted))
    ]
    found: Counter[str] = Counter()
    counted: Counter[str] = Counter()
    begin = time.process_time()
    for name, text in hits(archive(options.corpus, options.cache), rules, counted):
        found[name] += 1
        if options.show:
            print(f"{name}: {text}")
    said = ", ".join(f"{number} {what}" for what, number in counted.items())
    print(f"{said}: {time.process_time() - begin:.0f} CPU s", file=sys.stderr)
    rows, other = [], []
    for rule in rules:
        known = next((entry for entry in evidence().get(rule.name, ()) if entry.where.startswith(WHERE)), None)
        judged = (known.hits, known.right + known.wrong, known.right, known.wrong) if known else ("", "", "", "")
        rows.append((rule.id, rule.name, str(rule.confidence), found[rule.name], *judged))
        if known is None or known.hits != found[rule.name]:
            other.append(f"{rule.name}: {found[rule.name]} hits, {known.hits if known else None} recorded")
    table(("id", "rule", "confidence", "hits", "recorded", "read", "right", "wrong"), rows)
    print("\n".join(["", *other]) if other else "")
    sys.exit(1 if other else 0)


if __name__ == "__main__":
    main()
