# SPDX-License-Identifier: GPL-2.0-or-later
"""Time and peak memory of `reviewbot diff` of the first and the last known revision of a long series, offline."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from common import REVIEWBOT, archive, arguments, compare, find_cover


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
    name = find_cover(inbox, rf"\[PATCH v{options.revision} 0*0/{options.length}\]")
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
    compare(commands, options.runs)


if __name__ == "__main__":
    main()
