# SPDX-License-Identifier: GPL-2.0-or-later
"""A real public-inbox for tests: writes mails into its git, indexes them, serves them on loopback.

Needs Debian's public-inbox (and git, perl) for `public_inbox`; `write_epoch` needs only git.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("public-inbox-init", "public-inbox-index", "public-inbox-httpd", "perl", "git")

# Socket activation: the server inherits a listening socket, so no port is guessed and none is waited for.
_ACTIVATE = "dup2(shift, 3); $ENV{LISTEN_FDS} = 1; $ENV{LISTEN_PID} = $$; exec @ARGV"


def missing_programs() -> str:
    """The programs that are not installed, '' where all are."""
    return ", ".join(name for name in PROGRAMS if shutil.which(name) is None)


def write_epoch(git_dir: Path, mails: Iterable[bytes], *, name: str = "m") -> None:
    """Append mails to a bare repository as public-inbox does: one commit a mail, the mail is the file `m`."""
    environment = _environment(git_dir.parent)
    new = not git_dir.exists()
    if new:
        command = ["git", "init", "-q", "--bare", "--initial-branch=master", str(git_dir)]
        subprocess.run(command, env=environment, check=True)
    stream = []
    for n, raw in enumerate(mails):
        parent = b"" if new or n else b"from refs/heads/master^0\n"
        stream += [
            b"commit refs/heads/master\ncommitter t <t@example.org> 1732096800 +0000\ndata 1\nx\n",
            parent,
            b"deleteall\nM 100644 inline %s\ndata %d\n" % (name.encode(), len(raw)),
            raw,
            b"\n",
        ]
    command = ["git", f"--git-dir={git_dir}", "fast-import", "--quiet"]
    subprocess.run(command, env=environment, input=b"".join(stream), check=True)


@contextmanager
def public_inbox(directory: Path, mails: Iterable[bytes], *, name: str = "walk", level: str = "full") -> Iterator[str]:
    """Serve mails as the list `name`; gives the list's address, such as http://127.0.0.1:40001/walk/."""
    write_epoch(directory / name / "git" / "0.git", mails)
    with serve(directory, name, level) as url:
        yield url


@contextmanager
def serve(directory: Path, name: str, level: str) -> Iterator[str]:
    """Index the epochs that lie in <directory>/<name>/git and serve them; `level` is public-inbox-index's -L."""
    environment = _environment(directory)
    inbox = directory / name
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        for command in (
            ["public-inbox-init", "-V2", "-L", level, "-j2", name, str(inbox), f"{url}/{name}", f"{name}@example.org"],
            ["public-inbox-index", "-L", level, "-j0", "--no-fsync", str(inbox)],
        ):
            subprocess.run(command, env=environment, check=True, capture_output=True)
        number = listener.fileno()
        command = ["perl", "-MPOSIX=dup2", "-e", _ACTIVATE, str(number), "public-inbox-httpd", "-W0"]
        with (
            (directory / "httpd.log").open("wb") as log,
            subprocess.Popen(command, env=environment, pass_fds=[number], stdout=log, stderr=log) as server,
        ):
            try:
                yield f"{url}/{name}/"
            finally:
                server.terminate()


def _environment(directory: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "PI_CONFIG": str(directory / "pi-config"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }
