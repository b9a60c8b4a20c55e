# SPDX-License-Identifier: GPL-2.0-or-later
"""A real public-inbox for tests: writes mails into its git, indexes them, serves them on loopback.

Needs Debian's public-inbox (and git, perl) for `public_inbox`; `write_epoch` needs only git.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("public-inbox-init", "public-inbox-index", "public-inbox-httpd", "perl", "git")

# The real writer of a v2 inbox: mails on stdin, each behind its length. Unlike public-inbox-mda it takes what has no
# recipient or is HTML, as an importer of a list does; the second argument is when to begin another epoch, in bytes.
_WRITE = r"""
use strict;
use PublicInbox::Config; use PublicInbox::InboxWritable; use PublicInbox::Eml;
my ($name, $rotate) = @ARGV;
my $inbox = PublicInbox::Config->new->lookup_name($name) or die "no inbox $name\n";
my $writer = PublicInbox::InboxWritable->new($inbox)->importer(0);
$writer->{rotate_bytes} = $rotate if $rotate;
while (defined(my $size = <STDIN>)) {
    read(STDIN, my $raw, $size + 0) == $size or die "short input\n";
    $writer->add(PublicInbox::Eml->new(\$raw));
}
$writer->done;
"""

# Socket activation: the server inherits a listening socket, so no port is guessed and none is waited for.
_ACTIVATE = "dup2(shift, 3); $ENV{LISTEN_FDS} = 1; $ENV{LISTEN_PID} = $$; exec @ARGV"


def missing_programs() -> str:
    """The programs that are not installed, '' where all are."""
    return ", ".join(name for name in PROGRAMS if shutil.which(name) is None)


def write_epoch(git_dir: Path, mails: Iterable[bytes], *, name: str = "m", when: int = 1732096800) -> None:
    """Append mails to a bare repository as public-inbox does: one commit a mail, the mail is the file `m`.

    `when` is the date of the commits, in seconds; it need not be a possible one.
    """
    environment = _environment(git_dir.parent)
    new = not git_dir.exists()
    if new:
        command = ["git", "init", "-q", "--bare", "--initial-branch=master", str(git_dir)]
        subprocess.run(command, env=environment, check=True)
    stream = []
    for n, raw in enumerate(mails):
        parent = b"" if new or n else b"from refs/heads/master^0\n"
        stream += [
            b"commit refs/heads/master\ncommitter t <t@example.org> %d +0000\ndata 1\nx\n" % when,
            parent,
            b"deleteall\nM 100644 inline %s\ndata %d\n" % (name.encode(), len(raw)),
            raw,
            b"\n",
        ]
    command = ["git", f"--git-dir={git_dir}", "fast-import", "--quiet", "--date-format=raw-permissive"]
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
        start_inbox(directory, name, level, url)
        command = ["public-inbox-index", "-L", level, "-j0", "--no-fsync", str(inbox)]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        number = listener.fileno()
        command = ["perl", "-MPOSIX=dup2", "-e", _ACTIVATE, str(number), "public-inbox-httpd", "-W0"]
        with (
            (directory / "httpd.log").open("wb") as log,
            subprocess.Popen(command, env=environment, pass_fds=[number], stdout=log, stderr=log) as server,
        ):
            (directory / "httpd.pid").write_text(str(server.pid))
            try:
                yield f"{url}/{name}/"
            finally:
                (directory / "httpd.pid").unlink()
                server.terminate()


def start_inbox(directory: Path, name: str, level: str = "basic", url: str = "http://127.0.0.1") -> None:
    """Make <directory>/<name> an inbox that `deliver` can write to; mails that lie there stay."""
    words = ["-V2", "-L", level, "-j2", name, str(directory / name), f"{url}/{name}", f"{name}@example.org"]
    subprocess.run(["public-inbox-init", *words], env=_environment(directory), check=True, capture_output=True)


def deliver(directory: Path, name: str, raw: bytes) -> None:
    """Add a mail to an inbox, also one that `serve` or `public_inbox` serves from the same directory just now."""
    deliver_all(directory, name, [raw])


def deliver_all(directory: Path, name: str, mails: Iterable[bytes], *, rotate: int = 0) -> None:
    """Add mails; `rotate` are the bytes behind which the writer begins another epoch, 0 for its own gigabyte."""
    given = b"".join(b"%d\n%s" % (len(raw), raw) for raw in mails)
    command = ["perl", "-e", _WRITE, name, str(rotate)]
    subprocess.run(command, env=_environment(directory), input=given, check=True, capture_output=True)
    refresh(directory)


def purge(directory: Path, name: str, raw: bytes) -> None:
    """Remove a mail from an inbox's history, as is done when somebody asks for it."""
    command = ["public-inbox-purge", str(directory / name)]
    subprocess.run(command, env=_environment(directory), input=raw, check=True, capture_output=True)
    refresh(directory)


def refresh(directory: Path) -> None:
    """Make the server, where there is one, find what is new: its search looks only each 30 s for itself."""
    pid = directory / "httpd.pid"
    if pid.exists():
        os.kill(int(pid.read_text()), signal.SIGHUP)


def _environment(directory: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "PI_CONFIG": str(directory / "pi-config"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }
