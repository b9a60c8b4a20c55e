# SPDX-License-Identifier: GPL-2.0-or-later
"""One run against a real mail transfer agent: Debian's opensmtpd, which delivers into a file.

Needs root and opensmtpd. The daemon has a configuration, a port of loopback and, where the system allows a mount
namespace, spool and socket of its own; nothing of it is left running.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from reviewbot.config import SendConfig
from reviewbot.send import Outcome, open_transport

USER = "nobody"  # opensmtpd delivers to anybody but root
SOCKET = Path("/var/run/smtpd.sock")
# Without it a smtpd that runs already would be in the way: place of spool and socket are compiled in.
APART = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs t /var/spool && mount -t tmpfs t /run && exec "$@"', "sh"]

CONFIGURATION = """\
table people {{ "ann@example.org" = "{user}" }}
table domains {{ "example.org" }}
listen on 127.0.0.1 port {port} hostname mail.example.org
action "deliver" mda "/bin/cat >>{directory}/mbox" virtual <people>
match from any for domain <domains> action "deliver"
"""


class Daemon(NamedTuple):
    """A running smtpd."""

    port: int
    mbox: Path
    log: Path


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    smtpd = shutil.which("smtpd", path=os.environ["PATH"] + ":/usr/sbin")
    if smtpd is None:
        pytest.skip("not installed: smtpd (opensmtpd)")
    if os.geteuid():
        pytest.skip("smtpd needs root")
    allowed = (
        shutil.which("unshare") and subprocess.run([*APART, "true"], capture_output=True, check=False).returncode == 0
    )
    apart = APART if allowed else []
    if not apart and SOCKET.exists():
        pytest.skip("a smtpd runs already")
    # pytest's own directories are closed to the user that the mail is delivered as
    with tempfile.TemporaryDirectory(prefix="reviewbot-mta-") as name, socket.socket() as taken:
        directory = Path(name)
        shutil.chown(directory, USER)
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.close()
        file = directory / "smtpd.conf"
        file.write_text(CONFIGURATION.format(user=USER, port=port, directory=directory))
        file.chmod(0o600)
        daemon = Daemon(port, directory / "mbox", directory / "log")
        with daemon.log.open("wb") as log:
            process = subprocess.Popen([*apart, smtpd, "-d", "-f", str(file)], stdout=log, stderr=log)
        with process:
            try:
                wait(daemon, lambda: answers(port))
                yield daemon
            finally:
                process.terminate()


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def wait(daemon: Daemon, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, daemon.log.read_text()
        time.sleep(0.05)


def test_a_mail_is_delivered_by_a_real_server_as_it_was_sent(daemon: Daemon) -> None:
    body = b".\n.leading dot\n\xc5\xbdofie\n\n-- \nreviewbot\n"
    # with all that opensmtpd would add: a Date:, a Message-ID:
    head = b"From: bot <bot@example.org>\nTo: ann@example.org\nSubject: Re: x\nDate: Fri, 20 Nov 2026 22:00:00 +0000\n"
    data = head + b"Message-ID: <m@example.org>\n\n" + body
    config = SendConfig(server="127.0.0.1", port=daemon.port, encryption="none", timeout=timedelta(seconds=20))
    seen: list[bool] = []
    with open_transport(config) as transport:
        refused = transport.send("bot@example.org", ["ben@elsewhere.example"], data, lambda: seen.append(False))
        sent = transport.send(
            "bot@example.org", ["ann@example.org", "ben@elsewhere.example"], data, lambda: seen.append(True)
        )
    assert (refused.outcome, refused.code) == (Outcome.PERMANENT, 550)
    assert seen == [True]
    assert (sent.outcome, sent.code) == (Outcome.SENT, 250)
    assert sent.refused == ("ben@elsewhere.example: 550 Invalid recipient: <ben@elsewhere.example>",)
    wait(daemon, lambda: daemon.mbox.exists() and daemon.mbox.read_bytes().endswith(b"-- \nreviewbot\n"))
    delivered = daemon.mbox.read_bytes()
    # the server puts its own headers above ours and changes nothing below
    assert delivered.endswith(data)
    assert delivered.startswith((b"Return-Path: ", b"Received: ", b"Delivered-To: "))
    assert delivered.count(b"Message-ID: <m@example.org>") == 1
