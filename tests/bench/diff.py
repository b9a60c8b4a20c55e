# SPDX-License-Identifier: GPL-2.0-or-later
"""Time and peak memory of `reviewbot diff` of the first and the last known revision of a long series, offline."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from common import REVIEWBOT, Cost, archive, arguments, median, run, table


def newest_cover(inbox: Path, length: int, revision: int) -> str:
    """The Message-ID of a cover letter of that revision and so many patches, by the subjects of the archive's git."""
    git = ["git", "-C", str(inbox / "git" / "0.git")]
    log = subprocess.run([*git, "log", "--reverse", "--format=%H %s"], capture_output=True, check=True)
    for line in log.stdout.decode(errors="replace").splitlines():
        commit, _, subject = line.partition(" ")
        if re.match(rf"\[PATCH v{revision} 0*0/{length}\]", subject):
            mail = subprocess.run([*git, "cat-file", "blob", f"{commit}:m"], capture_output=True, check=True)
            if found := re.search(rb"^Message-Id:\s*<([^>\s]+)>", mail.stdout, re.M | re.I):
                return found[1].decode()
    sys.exit(f"no v{revision} of {length} patches in '{inbox}'")


def revisions_of(inbox: Path, name: str) -> list[int]:
    """The revisions that the archive has of a series."""
    done = subprocess.run([REVIEWBOT, "diff", "-m", str(inbox), name], capture_output=True, text=True, check=False)
    found = re.search(r"postings known: (.*)$", done.stderr, re.M)
    return [int(word[1:]) for word in found[1].split(", ")] if found else []


def main() -> None:
    """Print the table."""
    parser = arguments(__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of each command (%(default)s)")
    parser.add_argument("--length", type=int, default=20, help="patches of the newer revision (%(default)s)")
    parser.add_argument("--revision", type=int, default=9, help="the newer revision (%(default)s)")
    options = parser.parse_args()
    inbox = archive(options.corpus, options.cache)
    name = newest_cover(inbox, options.length, options.revision)
    known = revisions_of(inbox, name)
    print(f"revisions of <{name}> that the archive has: {', '.join(f'v{n}' for n in known)}")
    diff = [REVIEWBOT, "diff", "-q", "-m", str(inbox), name, "-v"]
    commands = {
        "reviewbot lore": [REVIEWBOT, "lore", "-q", "-m", str(inbox), name],
        f"reviewbot diff -v {options.revision - 1} {options.revision}": [
            *diff, str(options.revision - 1), str(options.revision),
        ],
        f"reviewbot diff -v {min(known)} {options.revision}": [*diff, str(min(known)), str(options.revision)],
    }  # fmt: skip
    costs: dict[str, list[Cost]] = {command: [] for command in commands}
    for _ in range(options.runs):
        for command, argv in commands.items():
            costs[command].append(run(argv, allowed=(0, 1)))
    middle = {command: median(measured) for command, measured in costs.items()}
    table(
        ("command", "wall ms", "cpu ms", "peak MB"),
        [(command, cost.wall * 1000, cost.cpu * 1000, cost.rss) for command, cost in middle.items()],
    )


if __name__ == "__main__":
    main()
