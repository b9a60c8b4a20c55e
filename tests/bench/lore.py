# SPDX-License-Identifier: GPL-2.0-or-later
"""Time and peak memory of a whole `reviewbot lore` of a long series out of the archive, offline."""

from __future__ import annotations

import sys

from common import REVIEWBOT, archive, arguments, compare, find_cover


def main() -> None:
    """Print the table."""
    parser = arguments(__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of each command (%(default)s)")
    parser.add_argument("--length", type=int, default=20, help="patches of the series (%(default)s)")
    parser.add_argument("--message-id", help="take this posting instead")
    options = parser.parse_args()
    inbox = archive(options.corpus, options.cache)
    wanted = options.message_id or find_cover(inbox, rf"\[[^\]]*\b0*0/{options.length}\]")
    commands = {
        "python -c 'import b4'": [sys.executable, "-c", "import b4"],
        f"reviewbot lore {wanted}": [REVIEWBOT, "lore", wanted, "-m", str(inbox)],
    }
    compare(commands, options.runs)


if __name__ == "__main__":
    main()
