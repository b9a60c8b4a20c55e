# SPDX-License-Identifier: GPL-2.0-or-later
"""Time and peak memory of a whole `reviewbot lore` of a long series out of the archive, offline."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from common import REVIEWBOT, Cost, archive, arguments, median, run, table


def cover_of(inbox: Path, length: int) -> str:
    """The Message-ID of the first cover letter of a series of that many patches.

    Read with git alone: a public-inbox's commit subjects are its mails'.
    """
    git = ["git", "-C", str(inbox / "git" / "0.git")]
    log = subprocess.run([*git, "log", "--reverse", "--format=%H %s"], capture_output=True, check=True)
    for line in log.stdout.decode(errors="replace").splitlines():
        commit, _, subject = line.partition(" ")
        if re.match(rf"\[[^\]]*\b0*0/{length}\]", subject):
            mail = subprocess.run([*git, "cat-file", "blob", f"{commit}:m"], capture_output=True, check=True)
            if found := re.search(rb"^Message-Id:\s*<([^>\s]+)>", mail.stdout, re.M | re.I):
                return found[1].decode()
    sys.exit(f"no series of {length} patches in '{inbox}'")


def main() -> None:
    """Print the table."""
    parser = arguments(__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of each command (%(default)s)")
    parser.add_argument("--length", type=int, default=20, help="patches of the series (%(default)s)")
    parser.add_argument("--message-id", help="take this posting instead")
    options = parser.parse_args()
    inbox = archive(options.corpus, options.cache)
    wanted = options.message_id or cover_of(inbox, options.length)
    commands = {
        "python -c 'import b4'": [sys.executable, "-c", "import b4"],
        f"reviewbot lore {wanted}": [REVIEWBOT, "lore", wanted, "-m", str(inbox)],
    }
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(options.runs):
        for name, argv in commands.items():
            costs[name].append(run(argv, allowed=(0, 1)))
    middle = {name: median(measured) for name, measured in costs.items()}
    table(
        ("command", "wall ms", "cpu ms", "peak MB"),
        [(name, cost.wall * 1000, cost.cpu * 1000, cost.rss) for name, cost in middle.items()],
    )


if __name__ == "__main__":
    main()
