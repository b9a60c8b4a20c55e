# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests of the bot's commands share: a directory with an archive, a configuration and a ledger.

Belongs here: the way from a test to `reviewbot.cli.main` and back. The archive is a real public-inbox epoch,
the clock is the real one: mails have come in hours ago because the archive says so.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from inbox import write_epoch
from mails import mail
from world import series

from reviewbot.cli import main
from reviewbot.ledger import Ledger

LIST = "linux-mm@example.org"
CONFIG = """\
ledger = "{directory}/state/ledger.sqlite"
{top}
[reply]
sender = "reviewbot <bot@reviews.example>"
[policy]
wait = "1h"
{policy}
[source.mm]
git = "{directory}/mm"
list = "linux-mm@example.org"
[list."linux-mm@example.org"]
mode = "{mode}"
send = "{send}"
[send]
server = "127.0.0.1"
port = {port}
encryption = "none"
timeout = "5s"
"""


class Run(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


class Site:
    """An archive that begins with one mail, and a configuration."""

    def __init__(self, directory: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.directory, self.capture = directory, capture
        self.state = directory / "state"
        self.ledger_file = self.state / "ledger.sqlite"
        self.file = directory / "config.toml"
        self.configure()
        (directory / "mm" / "git").mkdir(parents=True)
        self.post([mail("the list begins", "Hello.\n", "first@example.org")], hours=40)

    def configure(
        self,
        *,
        mode: str = "author+list",
        send: str = "auto",
        port: int = 1,
        policy: str = "",
        top: str = "",
        more: str = "",
    ) -> None:
        """Write the configuration anew; nothing listens on port 1."""
        text = CONFIG.format(directory=self.directory, top=top, policy=policy, mode=mode, send=send, port=port)
        self.file.write_text(text + more)

    def post(self, mails: Sequence[bytes], *, hours: float = 3) -> None:
        """Mails have come into the archive so many hours ago."""
        write_epoch(self.directory / "mm" / "git" / "0.git", mails, when=int(time.time() - hours * 3600))

    def begin(self, *diffs: str, hours: float = 3) -> None:
        """A first pass, which takes the archive's end for the beginning; then a posting comes in."""
        assert self("watch").code == 0
        if diffs:
            self.post(series(*diffs), hours=hours)

    def __call__(self, *words: str) -> Run:
        """Run a command with the configuration."""
        self.capture.readouterr()
        try:
            code = main([*words, "--config", str(self.file)])
        except SystemExit as error:  # argparse
            code = int(error.code or 0)
        return Run(code, *self.capture.readouterr())

    def ledger(self, host: str | None = None) -> Ledger:
        """The ledger, opened; `host` is who opens it."""
        return Ledger(self.ledger_file, host=host)

    def now(self) -> datetime:
        """The time."""
        return datetime.now(UTC)


def is_harmless(text: str) -> bool:
    """A terminal only prints it."""
    return all(char in "\n\t" or char.isprintable() for char in text)
