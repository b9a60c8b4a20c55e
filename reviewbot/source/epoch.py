# SPDX-License-Identifier: GPL-2.0-or-later
"""Mail out of public-inbox's git repositories, with git alone.

A public-inbox (v2) keeps its mails in epochs: bare repositories with one commit a mail, the mail being
the file `m` of that commit (`d` is one that was taken down). Neither public-inbox's index nor its
software is needed: a thread is found by reading the headers of all mails, about 10,000 a second, and
an author's mails by the commits, which bear the mails' authors and subjects, about 100,000 a second.
Runs git, which is kept from every configuration but the repository's own; the content is not trusted.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import IO

from reviewbot.mail import parse_subject
from reviewbot.mime import MAX_MAIL
from reviewbot.model import InputError, NotFoundError
from reviewbot.source import MAX_RELATED, Head, Lineage, look, read_head, thread_members

_EPOCH = re.compile(r"(\d{1,4})\.git")


class EpochSource:
    """A public-inbox directory (`git/0.git`, `git/1.git` ...), or one bare epoch."""

    def __init__(self, path: str | PathLike[str]) -> None:
        """Raises InputError where `path` is not there or no such directory."""
        self.path = Path(path)
        look(path)
        self.epochs = tuple(at for _, at in list_epochs(self.path))
        if not self.epochs:
            raise InputError(f"'{path}' is no public-inbox archive: it has no git/0.git")
        self._read: tuple[list[tuple[Path, str, str]], list[Head], set[str]] | None = None

    def mails(self) -> Iterator[tuple[str, bytes]]:
        """(commit, raw mail) of every mail in the order in which the archive took them, oldest first."""
        for git_dir in self.epochs:
            for commit, _, raw in read_files(git_dir, _commits(git_dir)):
                if raw is not None:
                    yield commit, raw

    def thread(self, message_id: str) -> list[bytes]:
        """See `Source.thread`; in the archive's order. Raises InputError where git cannot read the archive.

        The archive is read once: what comes in later is not seen.
        """
        places, heads, gone = self._read = self._read or self._heads()
        members = [places[n] for n in thread_members(heads, message_id) if places[n][2] not in gone]
        if not members:
            raise NotFoundError(f"no mail <{message_id}> in '{self.path}'")
        mails = []
        for git_dir in self.epochs:
            commits = [commit for where, commit, _ in members if where == git_dir]
            mails += [raw for _, _, raw in read_files(git_dir, commits) if raw is not None]
        return mails

    def _heads(self) -> tuple[list[tuple[Path, str, str]], list[Head], set[str]]:
        """Where each mail lies (epoch, commit, blob), its Message-IDs, and the blobs that were taken down."""
        places: list[tuple[Path, str, str]] = []
        heads: list[Head] = []
        gone: set[str] = set()
        for git_dir in self.epochs:
            empty = []
            for commit, blob, raw in read_files(git_dir, _commits(git_dir)):
                if raw is None:
                    empty.append(commit)
                else:
                    # only the headers are kept: an epoch may have a gigabyte
                    places.append((git_dir, commit, blob))
                    heads.append(read_head(raw))
            gone.update(blob for _, blob, raw in read_files(git_dir, empty, "d") if raw is not None)
        return places, heads, gone

    def related(self, lineage: Lineage) -> list[bytes]:
        """See `Source.related`; in the archive's order. Raises InputError where git cannot read the archive."""
        found: list[tuple[str, bytes]] = []
        gone: set[str] = set()
        for git_dir in reversed(self.epochs):
            # a mail may be taken down in a later epoch than its own
            gone.update(blob for _, blob, raw in read_files(git_dir, _commits(git_dir, "d"), "d") if raw is not None)
            mails = read_files(git_dir, _candidates(git_dir, lineage))
            here = [(blob, raw) for _, blob, raw in mails if raw is not None and lineage.claims_raw(raw)]
            found = [*here, *found]
            if len(found) >= MAX_RELATED:
                break
        return [raw for blob, raw in found if blob not in gone][-MAX_RELATED:]


def is_epoch(path: Path) -> bool:
    """The directory looks like a public-inbox archive or a bare git repository."""
    return bool(list_epochs(path)) or (path / "all.git").is_dir()


def list_epochs(path: Path) -> list[tuple[int, Path]]:
    """The bare repositories with their numbers, oldest first; one without an archive around it is number 0."""
    try:
        numbered = [(int(match[1]), at) for at in (path / "git").iterdir() if (match := _EPOCH.fullmatch(at.name))]
    except OSError:
        numbered = []
    if numbered:
        return sorted(numbered)
    return [(0, path)] if (path / "HEAD").is_file() and (path / "objects").is_dir() else []


def git_command(git_dir: Path, *words: str) -> tuple[list[str], dict[str, str]]:
    """Command and environment for git on a repository; it contacts no other.

    The environment is made anew, so no GIT_DIR or GIT_CONFIG_* of the caller counts.
    """
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        # a repository that claims to be a partial clone must not make git fetch: its remote could be a command
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",
    }
    # named so, an archive may belong to another user (a mirror daemon): git checks that only where it searches
    return ["git", f"--git-dir={git_dir}", *words], environment


def _commits(git_dir: Path, *names: str) -> list[str]:
    """Commits, oldest first, all of them or those that touch a file; none for an epoch that has just begun."""
    return rev_list(git_dir, "HEAD", "--", *names).decode("ascii").split()


def _candidates(git_dir: Path, lineage: Lineage) -> list[str]:
    """Commits of the mails that may be claimed, oldest first, judged by author and subject alone."""
    email = lineage.email.encode("utf-8", "surrogateescape")
    commits = []
    # each commit is two lines: "commit <hash>", and the format, in which git puts no line end; rev-list,
    # for unlike log it takes no orders (log.showSignature) from the repository's configuration
    lines = rev_list(git_dir, "--encoding=UTF-8", "--format=%ae%x00%s", "HEAD", "--").split(b"\n")
    for commit, line in zip(lines[::2], lines[1::2], strict=False):
        author, _, words = line.partition(b"\0")
        # of what a relay sends as devnull+ada.example.org@kernel.org the commit's author is ada@example.org
        if author.lower() != email and (b"@" not in author or author.lower().replace(b"@", b".") not in email):
            continue
        subject = parse_subject(words.decode("utf-8", "replace"))
        if subject.reply or subject.counter not in (None, 0, 1):
            continue
        # public-inbox puts U+FFFD for each byte of a subject with 8-bit characters that are not MIME-encoded
        if lineage.change_id is not None or "\ufffd" in subject.title or lineage.same_title(subject.title):
            commits.append(commit.decode("ascii").removeprefix("commit "))
    return commits


def rev_list(git_dir: Path, *words: str) -> bytes:
    """What git rev-list --reverse prints; b'' for an epoch that has just begun. Raises InputError where git fails."""
    command, environment = git_command(git_dir, "rev-list", "--reverse", *words)
    try:
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as error:
        raise InputError(f"cannot run git: {error.strerror}") from error
    if done.returncode:
        why = done.stderr.decode("utf-8", "replace")
        if "bad revision 'HEAD'" in why:
            return b""
        raise InputError(f"cannot read '{git_dir}': {(why.splitlines() or ['git failed'])[0]}")
    return done.stdout


def read_files(git_dir: Path, commits: Sequence[str], name: str = "m") -> Iterator[tuple[str, str, bytes | None]]:
    """(commit, blob, content) of a file in each commit; the content is None where it is missing or too large."""
    if not commits:
        return
    command, environment = git_command(git_dir, "cat-file", "--batch", "--buffer")
    with tempfile.TemporaryFile() as wanted:
        # a file, not a pipe: git may answer while it is still being asked
        wanted.write("".join(f"{commit}:{name}\n" for commit in commits).encode())
        wanted.seek(0)
        with subprocess.Popen(
            command, env=environment, stdin=wanted, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=1 << 20
        ) as git:
            assert git.stdout is not None
            try:
                for commit in commits:
                    words = git.stdout.readline().split()
                    if words[1:] == [b"missing"]:
                        yield commit, "", None
                        continue
                    if len(words) != 3:
                        raise InputError(f"archive '{git_dir}' is damaged: git cat-file stopped at {commit[:12]}")
                    size = int(words[2])
                    content = None
                    if words[1] == b"blob" and size <= MAX_MAIL:
                        content = git.stdout.read(size)
                    else:
                        _skip(git.stdout, size)
                    git.stdout.read(1)
                    yield commit, words[0].decode("ascii"), content
            finally:
                git.kill()


def _skip(stream: IO[bytes], size: int) -> None:
    while size > 0 and (chunk := stream.read(min(size, 1 << 20))):
        size -= len(chunk)
