# SPDX-License-Identifier: GPL-2.0-or-later
"""The time of checkpatch.pl over a sample of the archive's patches, one process a mail as b4 runs it.

checkpatch is run inside a kernel tree: --linux or $REVIEWBOT_LINUX is one, or a directory into which
Debian's linux-source is unpacked. Beside it reviewbot on the same mails, once a process a mail and
once all in one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import REVIEWBOT, Cost, archive, arguments, median, patch_mails, raw_mails, review_mail, run, table

SOURCE = Path("/usr/src/linux-source-6.12.tar.xz")


def tree(directory: Path) -> Path:
    """A kernel tree with checkpatch.pl; unpacks Debian's source package where there is none."""
    if not (directory / "scripts" / "checkpatch.pl").exists():
        if not SOURCE.exists():
            sys.exit(f"no kernel tree in '{directory}' and no '{SOURCE}': apt install linux-source-6.12")
        directory.mkdir(parents=True, exist_ok=True)
        subprocess.run(["tar", "-C", directory, "--strip-components=1", "-xf", SOURCE], check=True)
    return directory


def main() -> None:
    """Print the table."""
    parser = arguments(__doc__)
    parser.add_argument("--linux", default=os.environ.get("REVIEWBOT_LINUX"), help="default: $REVIEWBOT_LINUX")
    parser.add_argument("--sample", type=int, default=100, help="how many mails, evenly spread (%(default)s)")
    options = parser.parse_args()
    if not options.linux:
        parser.error("say --linux DIR or set REVIEWBOT_LINUX")
    linux = tree(Path(options.linux)).resolve()
    both = list(patch_mails(raw_mails(archive(options.corpus, options.cache))))
    both = both[:: max(len(both) // options.sample, 1)][: options.sample]
    checkpatch = ["perl", str(linux / "scripts/checkpatch.pl"), "-q", "--terse", "--no-summary", "--mailback", "-"]
    theirs: list[Cost] = []
    ours: list[Cost] = []
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "mail.eml")
        for raw, _ in both:
            file.write_bytes(raw)
            theirs.append(run(checkpatch, stdin=file, cwd=linux, allowed=(0, 1)))
            # 2 is a patch that cannot be read
            ours.append(run([REVIEWBOT, "check", str(file)], allowed=(0, 1, 2)))
    review_mail(both[0][1])
    begin = time.process_time()
    for _, mail in both:
        review_mail(mail)
    inside = time.process_time() - begin
    base = sum(cost.cpu for cost in theirs)
    rows: list[tuple[object, ...]] = []
    for name, costs in (("checkpatch.pl, a process a mail", theirs), ("reviewbot check, a process a mail", ours)):
        total = sum(cost.cpu for cost in costs)
        middle = median(costs)
        rows.append((name, total, middle.cpu * 1000, middle.wall * 1000, middle.rss, base / total))
    rows.append(("reviewbot, all in one process", inside, 1000 * inside / len(both), "", "", base / inside))
    print(f"{len(both)} patches")
    table(("", "cpu s", "median cpu ms", "median wall ms", "peak MB", "times as fast"), rows)


if __name__ == "__main__":
    main()
