# SPDX-License-Identifier: GPL-2.0-or-later
"""Time and peak memory of a whole `reviewbot check` of one patch, beside what Python itself takes.

The commands take turns, so that a busy machine is busy for all of them.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from common import EXAMPLE, REVIEWBOT, Cost, arguments, median, run, table


def one_patch() -> bytes:
    """Patch 4 of v2 of the example series, cut out."""
    mails = EXAMPLE.read_bytes().split(b"From mboxrd@z Thu Jan  1 00:00:00 1970\n")
    return next(mail for mail in mails if b"\nSubject: [PATCH v2 4/5]" in mail)


def main() -> None:
    """Print the table."""
    parser = arguments(__doc__)
    parser.add_argument("--runs", type=int, default=21, help="of each command (%(default)s)")
    parser.add_argument("--patch", type=Path, help="a mail to check (default: a patch of the example series)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        patch = options.patch or Path(directory, "example.patch")
        if not options.patch:
            patch.write_bytes(one_patch())
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "python -c 'import unidiff'": [sys.executable, "-c", "import unidiff"],
            "reviewbot --version": [REVIEWBOT, "--version"],
            "reviewbot check PATCH": [REVIEWBOT, "check", str(patch)],
        }
        for argv in commands.values():
            run(argv, allowed=(0, 1))  # caches warm, .pyc files written
        costs: dict[str, list[Cost]] = {name: [] for name in commands}
        for _ in range(options.runs):
            for name, argv in commands.items():
                costs[name].append(run(argv, allowed=(0, 1)))
    middle = {name: median(measured) for name, measured in costs.items()}
    bare, unidiff = middle["python -c pass"].cpu, middle["python -c 'import unidiff'"].cpu
    table(
        ("command", "wall ms", "cpu ms", "peak MB", "x pass", "x unidiff"),
        [(n, c.wall * 1000, c.cpu * 1000, c.rss, c.cpu / bare, c.cpu / unidiff) for n, c in middle.items()],
    )


if __name__ == "__main__":
    main()
