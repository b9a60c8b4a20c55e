# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands in processes of their own that are killed or stopped at the n-th thing they do with the outside.

    with nursery() as run:
        ended = run(Order(["watch", "--config", file], now=..., stop_at=17))

Belongs here: the processes, and where in them a stop may be. What must hold behind one is in test_faults.py.
A nursery is a process with one thread that has imported everything and forks for each order: a pass then begins
within milliseconds, and the threads of a test's servers are not forked along. Run as a script this file is one.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Order:
    """A command of reviewbot to run, and what happens to it."""

    words: list[str]
    now: float  # the clock, seconds since 1970
    host: str = "a"
    stop_at: int = 0  # number of the point, from 1 on; 0: none
    signal: int = int(signal.SIGKILL)
    trace: str = ""  # a file to write the points to, one a line
    pages: int = 0  # the ledger may grow by one page less than so many, then the disk is full; 0: no limit
    act_at: int = 0  # number of the point at which `act` is done; 0: none
    act: tuple[str, ...] = ()  # ("touch", FILE), ("kill", PROCESS) or ("rename", FROM, TO)
    whole: int = 0  # send._WHOLE: how patient the sender is; 0: as it is
    largest: int = 0  # bytes that a file may have (RLIMIT_FSIZE); 0: no limit
    read_only: str = ""  # a directory that cannot be written to; the exit code is 77 where that cannot be had
    no_locks: bool = False  # flock() does nothing, as between hosts that share a file


class Ended(NamedTuple):
    """How a command ended."""

    code: int  # negative: the signal that killed it, or stopped it
    out: str
    err: str
    stopped: int = 0  # process id of one that is only stopped


class Nursery:
    """Runs orders, one after the other."""

    def __init__(self, directory: Path) -> None:
        self._out, self._err = directory / "out", directory / "err"
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", __file__, str(self._out), str(self._err)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    def start(self, order: Order) -> None:
        """Begin; `wait` ends it."""
        self._tell(json.dumps(asdict(order)))

    def go_on(self) -> None:
        """Wake what was stopped; `wait` ends it."""
        self._tell("{}")

    def _tell(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def wait(self) -> Ended:
        """How the command that was begun has ended."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the nursery died"
        code, stopped = json.loads(line)
        return Ended(code, self._out.read_text(errors="replace"), self._err.read_text(errors="replace"), stopped)

    def __call__(self, order: Order) -> Ended:
        """Run it."""
        self.start(order)
        return self.wait()

    def close(self) -> None:
        """End the process; what it has stopped is killed."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@contextmanager
def nursery(directory: Path) -> Iterator[Nursery]:
    """One, with a directory of its own for what the commands print."""
    directory.mkdir(parents=True)
    one = Nursery(directory)
    try:
        yield one
    finally:
        one.close()


# --- in the child -----------------------------------------------------------------------------------


class _Points:
    """Counts what is done with the outside, and stops where that was ordered."""

    def __init__(self, order: Order) -> None:
        self._order, self._count = order, 0
        self._trace = os.open(order.trace, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600) if order.trace else -1

    def __call__(self, kind: str) -> None:
        self._count += 1
        if self._trace >= 0:
            os.write(self._trace, f"{kind}\n".encode())
        if self._count == self._order.act_at:
            _act(*self._order.act)
        if self._count == self._order.stop_at:
            os.kill(os.getpid(), self._order.signal)


def _act(what: str, *words: str) -> None:
    if what == "touch":
        Path(words[0]).touch()
    elif what == "kill":
        os.kill(int(words[0]), signal.SIGKILL)
    else:
        os.rename(*words)


def _before(owner: Any, name: str, point: Callable[[str], None], kind: Callable[..., str]) -> None:
    """Have `owner.name` come to a point before it does its work."""
    work = getattr(owner, name)

    def call(*given: Any, **named: Any) -> Any:
        point(kind(*given))
        return work(*given, **named)

    setattr(owner, name, call)


def _verb(words: Sequence[str]) -> str:
    """fetch, for: git -c a=b --git-dir=x fetch"""
    return next(word for word in words[1:] if word[0] != "-" and "=" not in word)


def _set_points(point: Callable[[str], None], pages: int) -> None:
    """A point before each SQL statement, git process, mail that is read, step of SMTP, and lock."""
    import smtplib

    from reviewbot import send
    from reviewbot.source import epoch, feed

    class Connection(sqlite3.Connection):
        def __init__(self, *given: Any, **named: Any) -> None:
            point("sql open")
            super().__init__(*given, **named)
            if pages:
                (now,) = super().execute("PRAGMA page_count").fetchone()
                super().execute(f"PRAGMA max_page_count = {now + pages - 1}")

        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            point("sql " + " ".join(sql.split()[:3]))
            return super().execute(sql, *values)

        def executemany(self, sql: str, *values: Any) -> sqlite3.Cursor:
            point("sql many " + " ".join(sql.split()[:4]))
            return super().executemany(sql, *values)

        def close(self) -> None:
            point("sql close")
            super().close()

    sqlite3.connect = partial(sqlite3.connect, factory=Connection)  # type: ignore[assignment]
    _before(subprocess.Popen, "__init__", point, lambda _self, words, *_: f"git {_verb(words)}")
    _before(feed, "_ask", point, lambda *_: "read mail")
    _before(send._Wire, "sendall", point, lambda _self, data: f"smtp > {data[:4].decode('ascii', 'replace').strip()}")
    # not each recv(): an answer comes in one piece or in several, and points must have the same numbers each time
    _before(smtplib.SMTP, "getreply", point, lambda *_: "smtp <")
    _before(socket, "create_connection", point, lambda *_: "smtp connect")
    _before(fcntl, "flock", point, lambda *_: "lock")
    _before(os, "ftruncate", point, lambda *_: "lock truncate")
    _before(os, "pwrite", point, lambda *_: "lock write")
    files = epoch.read_files

    def read_files(*given: Any) -> Iterator[Any]:
        for one in files(*given):
            point("read file")
            yield one

    setattr(feed, "read_files", read_files)  # noqa: B010 - mypy: it is imported there, not exported


def _child(order: Order) -> int:
    from reviewbot import cli, send
    from reviewbot.bot.site import Site
    from reviewbot.commands import watch

    def now() -> datetime:
        return datetime.fromtimestamp(order.now, UTC)

    socket.gethostname = lambda: order.host
    watch._now = now
    setattr(watch, "Site", partial(Site, now=now))  # noqa: B010 - mypy: it is imported there, not exported
    if order.no_locks:
        fcntl.flock = lambda *_: None
    _set_points(_Points(order), order.pages)
    if order.whole:
        send._WHOLE = order.whole
    if order.largest:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order.largest, order.largest))
    if order.read_only and not _protect(order.read_only):
        return 77
    return cli.main(order.words)


# <linux/sched.h>, <linux/mount.h>
_NEW_MOUNTS, _READ_ONLY, _REMOUNT, _BIND, _PRIVATE = 0x20000, 1, 32, 4096, (1 << 18) | 16384


def _protect(directory: str) -> bool:
    """Have this process see a directory that is mounted read-only: root may write whatever a file's mode is."""
    libc = ctypes.CDLL(None)
    at = directory.encode()
    return not (
        libc.unshare(_NEW_MOUNTS)
        or libc.mount(None, b"/", None, ctypes.c_ulong(_PRIVATE), None)
        or libc.mount(at, at, None, ctypes.c_ulong(_BIND), None)
        or libc.mount(None, at, None, ctypes.c_ulong(_REMOUNT | _BIND | _READ_ONLY), None)
    )


def _serve(out: str, err: str) -> None:
    import smtplib  # noqa: F401 - not again in each child

    import jinja2  # noqa: F401
    import patatt  # noqa: F401

    from reviewbot import registry
    from reviewbot.commands import queue, watch  # noqa: F401

    registry.load()
    child = 0
    for line in sys.stdin:
        order = json.loads(line)
        if order:
            child = os.fork()
            if not child:
                for path, number in ((os.devnull, 0), (out, 1), (err, 2)):
                    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
                    os.dup2(file, number)
                    os.close(file)
                code = 70
                try:
                    code = _child(Order(**order))
                except BaseException:  # noqa: BLE001 - nothing may get back into the parent's loop
                    traceback.print_exc()
                finally:
                    sys.stdout.flush()
                    sys.stderr.flush()
                    os._exit(code)
        else:
            os.kill(child, signal.SIGCONT)
        _, status = os.waitpid(child, os.WUNTRACED)
        stopped = os.WIFSTOPPED(status)
        code = -os.WSTOPSIG(status) if stopped else os.waitstatus_to_exitcode(status)
        child = child if stopped else 0
        print(json.dumps((code, child)), flush=True)
    if child:
        os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
