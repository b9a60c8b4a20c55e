# SPDX-License-Identifier: GPL-2.0-or-later
"""A temporary directory with files of a commit, made from git's objects.

Belongs here: writing them so that nothing of the repository runs (no hook, no smudge filter, no attribute) and nothing
outside the directory is touched, whatever names and links a commit has. No ref, index or work tree of the person's
plays a part, and `git worktree` knows nothing of it.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Protocol

from reviewbot.model import ReviewbotError

# Entries of a commit that are written; Linux has 87,000.
MOST_FILES = 300_000

_ENTRY = re.compile(rb"([0-7]{6}) (blob|commit|tree) ([0-9a-f]{40,64})\t(.+)", re.S)
_CHANGE = re.compile(rb":[0-7]{6} ([0-7]{6}) [0-9a-f]{40,64} ([0-9a-f]{40,64}) [A-Z]")
_LINK, _EXECUTABLE, _SUBMODULE, _GONE = "120000", "100755", "160000", "000000"


class CheckoutError(ReviewbotError):
    """The files of a commit cannot be written."""


class ToolTree(Protocol):
    """The repository that the commits are in: `source.commits.Repository` is one."""

    @property
    def top(self) -> str | None:
        """The work tree's top directory, absolute; None in a bare repository."""

    def git(self, *words: str, given: bytes = b"") -> tuple[int, bytes, bytes]:
        """Exit status, output and error output of a git command."""

    def read(self, commit: str, path: str) -> bytes | None:
        """A file of a commit; None where there is none, or it is too large."""

    def blob(self, name: str) -> bytes | None:
        """A blob by its full id; None where there is none, or it is too large."""


class _Entry(NamedTuple):
    path: str
    mode: str  # git's six octal digits; _GONE for what is not there any more
    id: str


def safe(path: str) -> bool:
    """A path that lies below whatever directory it is put into, and is none of git's own."""
    parts = path.split("/")
    return not any(part in ("", ".", "..") or part.lower() == ".git" or "\0" in part for part in parts)


class Checkout:
    """The directory; to be used in a `with`, at whose end it is gone."""

    def __init__(self, repository: ToolTree) -> None:
        self._repository = repository
        self._commit: str | None = None  # whose whole tree is there
        self._links: set[str] = set()
        self._temporary = tempfile.TemporaryDirectory(prefix="reviewbot-", ignore_cleanup_errors=True)
        self.directory = os.path.realpath(self._temporary.name)

    def __enter__(self) -> Checkout:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._temporary.cleanup()

    def put_files(self, commit: str, paths: Iterable[str]) -> None:
        """These files of a commit and nothing else; one that the commit has not is left out. Raises CheckoutError."""
        for name in os.listdir(self.directory):
            self._remove(name)
        for path in dict.fromkeys(paths):
            if safe(path) and (data := self._repository.read(commit, path)) is not None:
                self._write(path, data, executable=False)

    def put_tree(self, commit: str) -> None:
        """All files of a commit; from the second on only what differs is written, so that `make` has little to do.

        What a tool has made itself stays. A file of more than `read` gives is left out. Raises CheckoutError.
        """
        if commit == self._commit:
            return
        entries = [*(self._changes(self._commit, commit) if self._commit else self._all(commit))]
        self._commit = None  # until it is complete
        entries = [entry for entry in entries if safe(entry.path) and entry.mode != _SUBMODULE]
        for entry in entries:
            self._remove(entry.path)
            self._links.discard(entry.path)
        # links last: no file is written through one
        for entry in sorted(entries, key=lambda entry: entry.mode == _LINK):
            if entry.mode == _GONE:
                continue
            data = self._repository.blob(entry.id)
            if data is None:
                continue
            if entry.mode != _LINK:
                self._write(entry.path, data, executable=entry.mode == _EXECUTABLE)
            elif b"\0" not in data and not data.startswith(b"/"):
                self._link(entry.path, os.fsdecode(data))
        self._drop_links_out()
        self._commit = commit

    def touch(self, paths: Iterable[str]) -> None:
        """Make files new, so that `make` builds anew whatever depends on them, and says all of it again."""
        # by our clock: the kernel's is coarse, and a file written right behind a build could be as old as its object
        now = time.time_ns()
        for path in filter(safe, paths):
            name = os.path.join(self.directory, path)
            if os.path.realpath(os.path.dirname(name)) == os.path.dirname(name):
                with suppress(OSError):  # the commit does not have it
                    os.utime(name, ns=(now, now), follow_symlinks=False)

    def _all(self, commit: str) -> Iterator[_Entry]:
        for number, line in enumerate(self._git("ls-tree", "-r", "-z", "--full-tree", commit)):
            if number == MOST_FILES:
                raise CheckoutError(f"commit {commit[:12]} has more than {MOST_FILES} files")
            if match := _ENTRY.fullmatch(line):
                yield _Entry(os.fsdecode(match[4]), match[1].decode(), match[3].decode())

    def _changes(self, old: str, new: str) -> Iterator[_Entry]:
        words = iter(self._git("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-relative", old, new))
        for word in words:
            match = _CHANGE.fullmatch(word)
            path = next(words, b"")
            if match and path:
                yield _Entry(os.fsdecode(path), match[1].decode(), match[2].decode())

    def _git(self, *words: str) -> list[bytes]:
        code, out, err = self._repository.git(*words)
        if code:
            raise CheckoutError(f"git {words[0]} failed: {err.decode('utf-8', 'replace').strip().split(chr(10))[0]}")
        return [piece for piece in out.split(b"\0") if piece]

    def _parents(self, path: str) -> None:
        """Make the directories of a path; none of them may be a link, which only a forged tree object has there."""
        where = self.directory
        for part in path.split("/")[:-1]:
            where = os.path.join(where, part)
            try:
                if not stat.S_ISDIR(os.lstat(where).st_mode):
                    raise CheckoutError(f"'{path}' lies below what is no directory")
            except FileNotFoundError:
                os.mkdir(where)

    def _write(self, path: str, data: bytes, *, executable: bool) -> None:
        try:
            self._parents(path)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with open(os.open(os.path.join(self.directory, path), flags, 0o755 if executable else 0o644), "wb") as file:
                file.write(data)
        except OSError as error:
            raise CheckoutError(f"cannot write '{path}': {error.strerror}") from error

    def _link(self, path: str, target: str) -> None:
        try:
            self._parents(path)
            os.symlink(target, os.path.join(self.directory, path))
        except OSError as error:
            raise CheckoutError(f"cannot write '{path}': {error.strerror}") from error
        self._links.add(path)

    def _remove(self, path: str) -> None:
        """A file, link or directory, and the directories that are empty without it."""
        name = os.path.join(self.directory, path)
        try:
            if os.path.realpath(os.path.dirname(name)) != os.path.dirname(name):
                return  # behind a link: not ours
            if os.path.isdir(name) and not os.path.islink(name):
                shutil.rmtree(name)
            else:
                os.unlink(name)
            while (name := os.path.dirname(name)) != self.directory:
                os.rmdir(name)
        except OSError:
            pass  # was not there, or is not empty

    def _drop_links_out(self) -> None:
        """Without the links that lead out of the directory, on whatever way."""
        for path in sorted(self._links):
            name = os.path.join(self.directory, path)
            real = os.path.realpath(name)
            if os.path.islink(name) and not f"{real}/".startswith(f"{self.directory}/"):
                os.unlink(name)
                self._links.discard(path)
