# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs another tool: bounded in time and output, and it leaves nothing behind.

Belongs here: its environment, its process group, what becomes of one that fails. Does not belong here: what it is given
and what its output says.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from reviewbot.tools.signals import came, held

# Bytes of each of the two outputs that are read: 1,000 findings of 1,000 characters.
MOST_OUTPUT = 1_000_000
# Seconds for what a tool has left running with its output open, once the tool itself has ended.
_LINGER = 1.0
_PIECE = 1 << 16
# What a shell returns where a command cannot be run or is not found.
_SHELL = (126, 127)


class Done(NamedTuple):
    """How a tool ended and what it printed up to there."""

    code: int  # negative: the signal that ended it
    out: bytes
    err: bytes
    why: str | None = None  # why it has not come to its end; None where it has
    final: bool = False  # so it would be the next time: it is not there, or takes too long


def run(command: Sequence[str], cwd: str, given: bytes, timeout: float) -> Done:
    """Run a command without a shell, with `given` on its standard input; at most `timeout` seconds.

    All that it started is ended with it, also where we are interrupted.
    """
    # held: between its start and our knowing of it, an exception would lose it
    # a file, not a pipe: a tool that does not read cannot block us
    with held(), tempfile.TemporaryFile() as source:
        source.write(given)
        source.seek(0)
        try:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=environment(cwd),
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            return Done(127, b"", b"", f"cannot run '{command[0]}': {reason.lower()}", final=True)
        try:
            out, err, why = _collect(process, time.monotonic() + timeout)
        finally:
            _end(process)
    if why == _TIMEOUT:
        return Done(process.returncode, out, err, f"takes longer than {_span(timeout)}", final=True)
    if why is None and process.returncode < 0:
        why = f"was ended by signal {-process.returncode}"
    if why is None and process.returncode in _SHELL:
        why = f"exit status {process.returncode}: {_first(err) or 'nothing said'}"
    return Done(process.returncode, out, err, why)


_TIMEOUT = "timeout"


def _collect(process: subprocess.Popen[bytes], deadline: float) -> tuple[bytes, bytes, str | None]:
    """Both outputs, and why reading them was given up."""
    assert process.stdout
    assert process.stderr
    kept = {process.stdout: bytearray(), process.stderr: bytearray()}
    why: str | None = None
    ended: float | None = None  # when the tool was seen to have ended
    with selectors.DefaultSelector() as selector:
        for stream in kept:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            if came():
                break  # who holds it raises it
            now = time.monotonic()
            if now >= deadline:
                why = _TIMEOUT
                break
            if ended is None and _has_ended(process.pid):
                ended = now
            if ended is not None and now >= ended + _LINGER:
                break
            # what lingers is noticed by asking now and then, and so is a signal
            for key, _ in selector.select(min(deadline - now, 0.2)):
                stream = process.stdout if key.fileobj is process.stdout else process.stderr
                piece = os.read(key.fd, _PIECE)
                if not piece:
                    selector.unregister(stream)
                room = MOST_OUTPUT - len(kept[stream])
                kept[stream] += piece[:room]
                if len(piece) > room:
                    why = f"prints more than {MOST_OUTPUT // 1_000_000} MB"
            if why:
                break
        else:
            # it has closed its outputs, and may go on all the same
            while not _has_ended(process.pid) and not came():
                if time.monotonic() >= deadline:
                    why = _TIMEOUT
                    break
                time.sleep(0.005)
    return bytes(kept[process.stdout]), bytes(kept[process.stderr]), why


def _has_ended(pid: int) -> bool:
    """The process has ended and is not yet waited for: its id is still its own, and that of its group."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the process group; its leader is waited for afterwards, so that the id is no other's."""
    with suppress(ProcessLookupError, PermissionError):  # nothing is left, or nothing but the leader
        os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()
    process.wait()


def environment(cwd: str) -> dict[str, str]:
    """Ours, without what git and b4 tell their own hooks, and with what makes output plain."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GIT_", "B4_")) or name.startswith(("GIT_CONFIG", "GIT_EXEC_PATH"))
    }
    return kept | {
        "LC_ALL": "C",
        "TERM": "dumb",
        "NO_COLOR": "1",
        "PWD": cwd,
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_PAGER": "cat",
        # a checkout lies in the directory for temporary files: what lies around that is none of the tool's business
        "GIT_CEILING_DIRECTORIES": os.path.dirname(cwd),
    }


def failed(done: Done, unread: str) -> str:
    """What to say of a tool that ended with an error and said nothing that can be read."""
    said = _first(done.err) or unread
    return f"exit status {done.code}" + (f": {said}" if said else "")


def _first(err: bytes) -> str:
    lines = err.decode("utf-8", "replace").split("\n")
    return next((" ".join(line.split())[:200] for line in lines if line.strip()), "")


def _span(seconds: float) -> str:
    whole = int(seconds)
    if whole >= 60 and whole % 60 == 0:
        return f"{whole // 60} minute{'s' if whole > 60 else ''}"
    return f"{seconds:g} second{'' if seconds == 1 else 's'}"
