# SPDX-License-Identifier: GPL-2.0-or-later
"""A pass of the bot over the newest mails of the archive, and a replay of all of it: cost, and what would be sent.

The pass is a real one (ledger on disk, fsync and all) but for the way out, which leads nowhere; its clock
stands half a day behind the newest mail. The replay prints every mail that would go out: read them.
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

from common import archive, arguments, patch_mails, raw_mails, table

from reviewbot import registry
from reviewbot.bot import Bot
from reviewbot.bot.site import Event, Site
from reviewbot.cli import main as cli
from reviewbot.commands.watch import Rehearsal
from reviewbot.config import load_config
from reviewbot.ledger import Ledger
from reviewbot.source.feed import EpochFeed

SIZES = (125, 250, 500, 1_000, 2_000)  # new mails
CONFIG = """\
ledger = "{state}/ledger.sqlite"
[reply]
sender = "reviewbot <bot@reviews.example>"
[policy]
unknown-list = "leave-out"
[source.archive]
git = "{archive}"
list = "{list}"
[list."{list}"]
mode = "author+list"
send = "auto"
"""


def one_pass(state: Path, inbox: Path, config: str, mails: int) -> list[object]:
    """CPU seconds and wall seconds of a pass over so many mails, and what it did."""
    file = state / "config.toml"
    file.write_text(config.format(state=state, archive=inbox, list="nvdimm@lists.linux.dev"))
    git_dir = inbox / "git" / "0.git"
    words = ["git", f"--git-dir={git_dir}", "rev-list", "--max-count=1", f"--skip={mails}", "HEAD"]
    start = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    words = ["git", f"--git-dir={git_dir}", "log", "-1", "--format=%ct", "HEAD"]
    newest = int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    events: list[Event] = []
    ledger = Ledger(state / "ledger.sqlite")
    feed = EpochFeed("archive", str(inbox), state / "archives")
    settings = load_config(str(file))
    # a mail is as old as its arrival, and an import arrives at once: nothing is too old here
    settings = settings._replace(policy=settings.policy._replace(max_age=timedelta(days=3650)))
    bot = Bot(Site(
        settings, ledger, rules=registry.load(), transport=Rehearsal, tell=events.append, feeds={"archive": feed},
        now=lambda: datetime.fromtimestamp(newest, UTC) + timedelta(hours=13),
    ))  # fmt: skip
    ledger.set_cursor("archive", f"0:{start}", bot.site.now())
    begin, cpu = time.perf_counter(), _cpu()
    steps = []
    for step in (bot.intake.collect, bot.consider, bot.delivery.deliver):
        before = _cpu()
        step()
        steps.append(_cpu() - before)
    whole = [_cpu() - cpu, time.perf_counter() - begin]
    again = _cpu()
    bot.run()
    idle = _cpu() - again
    ledger.close()
    feed.close()
    return [mails, bot.site.postings, bot.site.sent, *steps, *whole, whole[0] * 1000 / mails, idle]


def _cpu() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def replay(inbox: Path, name: str) -> None:
    """All of the archive's history: reasons, and the mails that would go out."""
    patches = sum(1 for _ in patch_mails(raw_mails(inbox)))
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "config.toml"
        file.write_text(CONFIG.format(state=directory, archive=inbox, list=name))
        out, begin = StringIO(), time.perf_counter()
        with redirect_stdout(out):
            code = cli(["watch", "--config", str(file), "--since", "1990-01-01"])
        print(f"exit status {code}, {time.perf_counter() - begin:.0f} s")
    lines = out.getvalue().split("\n")
    sent = [line for line in lines if line.startswith("would send ")]
    print(f"{len(sent)} mails for {patches} patches: {1000 * len(sent) / patches:.1f} per 1,000 patches")
    print("\n".join(sent))
    print("\n".join(line for line in lines if re.match(r" *\d+ ", line)))


def main(_argv: Sequence[str] = ()) -> int:
    """Print the tables."""
    args = arguments(__doc__).parse_args()
    inbox = archive(args.corpus, args.cache)
    rows = []
    for size in SIZES:
        with tempfile.TemporaryDirectory() as directory:
            rows.append(one_pass(Path(directory), inbox, CONFIG, size))
    head = ("mails", "postings", "sent", "collect", "consider", "deliver", "CPU s", "wall s", "ms a mail", "next pass")
    table(head, rows)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB\n")
    replay(inbox, "nvdimm@lists.linux.dev")
    return 0


if __name__ == "__main__":
    sys.exit(main())
