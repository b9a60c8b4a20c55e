# SPDX-License-Identifier: GPL-2.0-or-later
"""git, called so that it reads and does nothing else: no hook, pager, lazy fetch or configured program.

Belongs here: how git is called, and `git cat-file --batch`. What is asked of it is `tree`'s (a base to apply patches
to) and `source.commits`' (commits to review). Neither a repository's content nor its configuration is trusted.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from threading import Timer
from typing import IO, NamedTuple

from reviewbot.model import ReviewbotError

# A larger file is not read: the largest of Linux is 24 MB of register names, the largest that anybody edits has 1 MB.
MAX_FILE = 8 * 1024 * 1024

_PATIENCE = 30  # seconds for a command
_RESTARTS = 8  # of git, where an object that it cannot read has ended it
_OBJECT = re.compile(rb"([0-9a-f]{40,64}) ([a-z]+) ([0-9]+)\n")

# What tells which repository, index and objects are meant, where git called us as a hook, or a person set it.
_PLACE = frozenset(
    """
    GIT_DIR GIT_WORK_TREE GIT_COMMON_DIR GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
    GIT_QUARANTINE_PATH GIT_CEILING_DIRECTORIES GIT_DISCOVERY_ACROSS_FILESYSTEM GIT_NAMESPACE
    """.split()
)


class GitError(ReviewbotError):
    """The repository could be opened and then not be read."""


def _scratch() -> IO[bytes]:
    """A file without a name."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("git"), "w+b")
    import tempfile  # 5 ms of start-up

    return tempfile.TemporaryFile()


class Object(NamedTuple):
    id: str  # full hash
    kind: str  # "commit", "tree", "blob"
    data: bytes


class Objects:
    """`git cat-file --batch`, started when the first object is asked for."""

    def __init__(self, directory: str, *, own: bool = False) -> None:
        self._directory = directory
        self._own = own
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = _scratch()
        self._starts = 0

    def close(self) -> None:
        """End git; nothing can be read afterwards."""
        self._stop()
        self._errors.close()

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe:
                    pipe.close()
            except OSError:
                pass  # git is gone
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def read(self, name: str, *, keep: bool = True) -> Object | None:
        """An object by its id, or an id with ^{commit} or ^{tree}; without `keep`, without its content.

        None where there is none, it is too large, or git cannot read it. Raises GitError where git ends again and
        again.
        """
        if self._errors.closed:
            raise GitError(f"tree '{self._directory}' is closed")
        try:
            return self._read(name, keep)
        except (OSError, EOFError):
            # a broken object, or one that is to be fetched, ends git: only this one is lost
            self._stop()
            if self._starts > _RESTARTS:
                raise GitError(f"cannot read tree '{self._directory}': {self.said() or 'git ends at once'}") from None
            return None

    def said(self) -> str:
        """What git complained of first, '' where it did not."""
        self._errors.seek(0)
        return first(self._errors.read(100_000))

    def _read(self, name: str, keep: bool) -> Object | None:
        process = self._process or self._start()
        assert process.stdin
        assert process.stdout
        process.stdin.write(name.encode("ascii") + b"\n")
        process.stdin.flush()
        head = process.stdout.readline()
        if not head.endswith(b"\n"):
            raise EOFError
        match = _OBJECT.fullmatch(head)
        if not match:
            return None  # "missing", "ambiguous"
        size = int(match[3])
        kept = keep and size <= MAX_FILE
        data = process.stdout.read(size) if kept else b""
        left = size + 1 - len(data)
        while left > 0:
            piece = process.stdout.read(min(left, 1 << 20))
            if not piece:
                raise EOFError
            left -= len(piece)
        return Object(match[1].decode(), match[2].decode(), data) if kept or not keep else None

    def _start(self) -> subprocess.Popen[bytes]:
        self._starts += 1
        line, environment = command(self._directory, "cat-file", "--batch", own=self._own)
        self._process = subprocess.Popen(
            line, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
        )
        return self._process


def command(
    directory: str, *words: str, own: bool = False, settings: Sequence[tuple[str, str]] = ()
) -> tuple[list[str], dict[str, str]]:
    """Command and environment.

    Of git's variables only those that name configuration count: safe.directory is the user's to set. Where the
    repository lies is told by a GIT_DIR only where it is the person's `own`, which git may have called us in.
    `settings` are keys and values that come before all that is configured.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_")
        # GIT_CONFIG itself would have `git config` alone read another file
        or name.startswith("GIT_CONFIG_")
        or name == "GIT_EXEC_PATH"
        or (own and name in _PLACE)
    }
    environment |= {
        "LC_ALL": "C",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        # a partial clone must not make git fetch: its remote could be a command
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_TERMINAL_PROMPT": "0",
    }
    quiet = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}")
    # not -c, to which the first '=' ends a key; unlike GIT_CONFIG_COUNT it goes before a -c that git was called with
    more: list[str] = []
    for n, (key, value) in enumerate(settings):
        environment[f"REVIEWBOT_SETTING_{n}"] = value
        more.append(f"--config-env={key}=REVIEWBOT_SETTING_{n}")
    return ["git", "--no-pager", "-C", directory, *quiet, *more, *words], environment


def run(
    directory: str, *words: str, given: bytes = b"", own: bool = False, settings: Sequence[tuple[str, str]] = ()
) -> tuple[int, bytes, bytes]:
    """Exit status, output and error output of a git command. Raises GitError where git is not there or hangs."""
    line, environment = command(directory, *words, own=own, settings=settings)
    try:
        done = subprocess.run(line, env=environment, input=given, capture_output=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise GitError(f"git takes too long in '{directory}'") from None
    except (OSError, ValueError) as error:
        raise GitError(f"cannot run git: {error}") from None
    return done.returncode, done.stdout, done.stderr


def output(
    directory: str,
    *words: str,
    given: bytes = b"",
    own: bool = False,
    settings: Sequence[tuple[str, str]] = (),
    most: int,
    patience: float = _PATIENCE,
) -> tuple[int, bytes, bytes] | None:
    """As `run`; None where git prints more than `most` bytes or takes longer than `patience` seconds, and is ended.

    Raises GitError where git is not there.
    """
    line, environment = command(directory, *words, own=own, settings=settings)
    with _scratch() as source, _scratch() as errors:
        source.write(given)
        source.seek(0)
        try:
            # a group of its own, so that what git has started is ended with it
            process = subprocess.Popen(
                line, env=environment, stdin=source, stdout=subprocess.PIPE, stderr=errors, process_group=0
            )
        except (OSError, ValueError) as error:
            raise GitError(f"cannot run git: {error}") from None
        late = threading.Event()

        def end() -> None:
            late.set()
            _end_group(process)

        timer = threading.Timer(patience, end)
        timer.daemon = True
        with process:
            try:
                timer.start()
                assert process.stdout
                out = process.stdout.read(most + 1)
                if len(out) > most:
                    _end_group(process)
                    return None
                code = process.wait()
            except BaseException:
                _end_group(process)
                raise
            finally:
                timer.cancel()
        if late.is_set():
            return None
        errors.seek(0)
        return code, out, errors.read(100_000)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (OSError, AttributeError):  # it has ended
        process.kill()


def stream(directory: str, *words: str, given: bytes = b"", own: bool = False) -> Iterator[bytes]:
    """The lines that a git command prints, with their ends, as they come. Raises GitError where it fails."""
    line, environment = command(directory, *words, own=own)
    # what is given may be more than a pipe holds, and so may what is complained of
    with _scratch() as source, _scratch() as errors:
        source.write(given)
        source.seek(0)
        try:
            process = subprocess.Popen(line, env=environment, stdin=source, stdout=subprocess.PIPE, stderr=errors)
        except OSError as error:
            raise GitError(f"cannot run git: {error}") from None
        with process:
            assert process.stdout
            try:
                yield from process.stdout
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            errors.seek(0)
            verb = next(word for word in words if not word.startswith("-") and "=" not in word)
            raise GitError(f"git {verb} failed in '{directory}': {first(errors.read(100_000))}")


def glimpse(directory: str, *words: str, seconds: float, size: int, given: bytes = b"") -> tuple[bytes, bool] | None:
    """What a git command prints within a time and so many bytes, and whether that is all; None where it fails.

    For what is a help and no must. Raises GitError where git is not there.
    """
    line, environment = command(directory, *words)
    with _scratch() as source:
        source.write(given)
        source.seek(0)
        try:
            process = subprocess.Popen(
                line, env=environment, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except (OSError, ValueError) as error:
            raise GitError(f"cannot run git: {error}") from None
        killed: list[bool] = []

        def kill() -> None:
            killed.append(True)
            process.kill()

        late = Timer(max(seconds, 0), kill)
        with process:
            assert process.stdout
            try:
                late.start()
                out = process.stdout.read(size + 1)
                if len(out) > size:
                    kill()
            except BaseException:
                process.kill()
                raise
            finally:
                late.cancel()
        if process.returncode and not killed:
            return None
        return out[:size], not killed


def first(said: bytes) -> str:
    """What git complains of first."""
    lines = said.decode("utf-8", "replace").split("\n")
    told = next((line for line in lines if line.startswith("fatal: ")), lines[0])
    return told.removeprefix("fatal: ").removeprefix("error: ").strip()
