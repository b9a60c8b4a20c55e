# SPDX-License-Identifier: GPL-2.0-or-later
"""What the terminal is and can: colour, width, hyperlinks; the pager; a line of progress.

Belongs here: all that is asked of the environment, of git and of the terminal before something is printed for a
person. Does not belong here: what is printed (`output/`). Nothing of it is asked where output goes into a file or is
for a program.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import TracebackType
from typing import NamedTuple, TextIO

from reviewbot.config import Config
from reviewbot.output.text import PLAIN, Screen, advance, clean

# The formats that a person reads; None is the default, which is one on a terminal.
_FOR_PEOPLE = (None, "full", "diff", "text")

# Terminals that know OSC 8, by what they tell of themselves. Where a terminal is wrong about it: FORCE_HYPERLINK=0.
_PROGRAMS = frozenset("iTerm.app WezTerm vscode ghostty Hyper mintty rio Tabby zed WarpTerminal".split())
_MARKS = ("WT_SESSION", "KITTY_WINDOW_ID", "DOMTERM", "KONSOLE_VERSION", "ALACRITTY_WINDOW_ID", "GHOSTTY_RESOURCES_DIR")
_TERMS = ("xterm-kitty", "xterm-ghostty", "alacritty", "foot", "contour")
_VTE = 5000  # VTE 0.50.0 has hyperlinks and crashes on some
_TMUX = (3, 4)  # passes them on from there
_LESS = 566  # the first less that passes OSC 8 on (its NEWS)

_LINK = re.compile(r"\x1b\]8;[^\x1b]*\x1b\\")
_STYLE = re.compile(r"\x1b\[[0-9;]*m")

_PATIENCE = 5  # seconds for git to tell its configuration


class GitSettings(NamedTuple):
    """What git's configuration says of terminals."""

    color: bool = True  # color.reviewbot, else color.ui: False for never
    color_paged: bool = True  # color.pager
    paging: bool = True  # pager.reviewbot, where it is a truth value
    pager: str | None = None  # pager.reviewbot, where it is a command, else core.pager; None where neither is set


def make_screen(args: argparse.Namespace, config: Config, root: str | None = None) -> Screen:
    """What is printed on, by --color, the environment, git's color.ui and the terminal.

    `root` is the directory of the work tree whose files are shown; None where there is none.
    """
    if getattr(args, "format", None) not in _FOR_PEOPLE:
        return PLAIN
    color = use_color(args)
    if not sys.stdout.isatty():
        return Screen(color=color)
    linked = getattr(args, "color", "auto") != "never" and knows_links()
    return Screen(
        color=color,
        width=terminal_width(),
        root=os.path.abspath(root) if linked and root else None,
        docs=config.reply.docs or None if linked else None,
    )


def use_color(args: argparse.Namespace) -> bool:
    """--color, else NO_COLOR (no-color.org), FORCE_COLOR, CLICOLOR_FORCE, TERM, CLICOLOR, else git's configuration.

    Git is asked only where stdout is a terminal; then `color.reviewbot` and `color.ui` say yes but for `never`.
    """
    if (chosen := getattr(args, "color", "auto")) != "auto":
        return bool(chosen == "always")
    if os.environ.get("NO_COLOR"):
        return False
    if any(os.environ.get(name, "") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    if not sys.stdout.isatty() or _dumb() or os.environ.get("CLICOLOR") == "0":
        return False
    settings = git_settings()
    return settings.color and (settings.color_paged or _pager(args) is None)


def _dumb() -> bool:
    return os.environ.get("TERM", "dumb") == "dumb"


def terminal_width() -> int:
    """The columns of the terminal that stdout is: COLUMNS, else what it says of itself, else 80."""
    return _columns(1)


def _columns(descriptor: int) -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and 0 < len(columns) < 5 and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(descriptor).columns or 80  # 0 is what a serial line says
    except OSError:
        return 80


def knows_links() -> bool:
    """The terminal shows OSC 8 hyperlinks, as its environment tells; FORCE_HYPERLINK=0 or 1 has the last word."""
    given = os.environ
    if forced := given.get("FORCE_HYPERLINK"):
        return forced != "0"
    if _dumb():
        return False
    # what runs inside another inherits that one's marks
    if given.get("TERM_PROGRAM") == "tmux":
        found = re.match(r"(\d+)\.(\d+)", given.get("TERM_PROGRAM_VERSION", ""))
        return found is not None and (int(found[1]), int(found[2])) >= _TMUX
    if given.get("TMUX") or given.get("STY") or given["TERM"].startswith("screen"):
        return False
    version = given.get("VTE_VERSION", "")
    return (
        (version.isdecimal() and len(version) < 9 and int(version) > _VTE)
        or given.get("TERM_PROGRAM") in _PROGRAMS
        or any(given.get(name) for name in _MARKS)
        or given["TERM"].startswith(_TERMS)
    )


@cache
def git_settings() -> GitSettings:
    """One question to git; the defaults where it is not there, fails or says what is none of the values.

    What the repository itself has for a pager is not taken: it is a command, and a tree may be a stranger's.
    """
    import subprocess

    names = r"^(color\.(ui|reviewbot|pager)|core\.pager|pager\.reviewbot)$"
    command = ["git", "config", "--show-scope", "--null", "--get-regexp", names]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False
        ).stdout.decode(errors="replace")
    except (OSError, subprocess.TimeoutExpired):
        return GitSettings()
    colors: list[str] = []
    settings = GitSettings()
    by_name: str | None = None
    fields = done.split("\0")
    for scope, entry in zip(fields[::2], fields[1::2], strict=False):
        name, equals, value = entry.partition("\n")
        value = value if equals else "true"
        if name == "color.reviewbot":
            colors.append(value)
        elif name == "color.ui":
            colors.insert(0, value)
        elif name == "color.pager":
            settings = settings._replace(color_paged=_truth(value) is not False)
        elif name == "pager.reviewbot" and (paging := _truth(value)) is not None:
            settings, by_name = settings._replace(paging=paging), None
        elif scope not in ("local", "worktree"):
            if name == "core.pager":
                settings = settings._replace(pager=value)
            else:
                settings, by_name = settings._replace(paging=True), value
    color = colors[-1] if colors else "auto"
    return settings._replace(
        color=color.lower() != "never" and _truth(color) is not False,
        pager=settings.pager if by_name is None else by_name,
    )


def _truth(value: str) -> bool | None:
    """A truth value as git reads it; None for what is none."""
    if value.lower() in ("true", "yes", "on") or (value.lstrip("-").isdecimal() and value.strip("-0")):
        return True
    return False if value.lower() in ("false", "no", "off", "") or not value.strip("-0") else None


def _pager(args: argparse.Namespace) -> str | None:
    """The command to show a text with, as git would choose it; None where there is to be none."""
    if getattr(args, "no_pager", False) or not sys.stdout.isatty() or _dumb():
        return None
    settings = git_settings()
    if not settings.paging:
        return None
    chosen = os.environ.get("GIT_PAGER")
    if chosen is None:
        chosen = settings.pager
    if chosen is None:
        chosen = os.environ.get("PAGER", "less")
    return None if chosen.strip() in ("", "cat") else chosen


@contextmanager
def paged(args: argparse.Namespace) -> Iterator[None]:
    """What is printed within is shown in the pager that git would take, where stdout is a terminal and a person reads.

    The text is collected and shown at the end. That the reader leaves before its end is no error; a pager that does
    not exist is none. ^C is the pager's while it runs.
    """
    pager = _pager(args) if getattr(args, "format", None) in _FOR_PEOPLE else None
    if pager is None:
        yield
        return
    import io

    terminal, collected = sys.stdout, io.StringIO()
    # a terminal is where it will be shown
    collected.isatty = lambda: True  # type: ignore[method-assign]
    sys.stdout = collected
    try:
        yield
    finally:
        sys.stdout = terminal
        text = collected.getvalue()
        if text and (_fits(text, pager) or not _show(text, pager)):
            terminal.write(text)


def _fits(text: str, pager: str) -> bool:
    """The pager would print the text and end: it is less -F, and there are fewer lines than the terminal has."""
    if pager != "less" or "F" not in os.environ.get("LESS", "FRX"):
        return False
    try:
        columns, lines = os.get_terminal_size(1)
    except OSError:
        return False
    if text.count("\n") >= lines:
        return False
    shown = _STYLE.sub("", _LINK.sub("", text)).split("\n")
    return sum(max(0, advance(0, line) - 1) // max(1, columns) + 1 for line in shown) <= lines


def _show(text: str, pager: str) -> bool:
    """Run the pager as git does, by the shell; False where there is no such program, and nothing was shown."""
    import shutil
    import signal
    import subprocess

    word = pager.split(maxsplit=1)[0]
    if re.fullmatch(r"[\w./+-]+", word) and shutil.which(word) is None:
        return False
    environment = {"LESS": "FRX", "LV": "-c", **os.environ}
    if "\x1b]8;" in text and not _passes_links(pager, environment["LESS"]):
        text = _LINK.sub("", text)
    sys.stdout.flush()
    # not SIG_IGN: what a process ignores, its children do, too; a handler is gone with their exec
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        with subprocess.Popen(["sh", "-c", pager], stdin=subprocess.PIPE, env=environment) as process:
            # it is no error to communicate() that the reader has seen enough
            process.communicate(text.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))
    except OSError:
        return False
    finally:
        signal.signal(signal.SIGINT, before)
    return process.returncode not in (126, 127)  # the shell's word that it could not be run


def _passes_links(pager: str, options: str) -> bool:
    """The pager is a less that knows OSC 8, and is told to pass escapes on."""
    import subprocess

    word, *flags = pager.split()
    if os.path.basename(word) != "less" or not any("r" in one.lower() for one in (options, *flags)):
        return False
    try:
        said = subprocess.run([word, "--version"], capture_output=True, timeout=_PATIENCE, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    found = re.match(rb"less (\d{1,6})", said)
    return found is not None and int(found[1]) >= _LESS


_DELAY = 0.5  # seconds before there is a line: most runs are over by then
_EVERY = 0.1  # seconds between two

_shown: list[Progress] = []


class Progress:
    """One line on stderr that tells how far the work is: on a terminal alone, after half a second, erased at the end.

    To be used in a `with`, so that ^C leaves a clean line, too.
    """

    def __init__(
        self, *, quiet: bool = False, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._on = not quiet and self._stream.isatty() and not _dumb()
        self._next = clock() + _DELAY
        self.drawn = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.wipe()

    def update(self, done: int, total: int, what: str) -> None:
        """`done` of `total` (0: nobody knows of how many); `what` is said before it: "reviewing"."""
        if not self._on:
            return
        now = self._clock()
        if now < self._next:
            return
        self._next = now + _EVERY
        if not self._foreground():
            return
        many = f"{100 * done // total:3}% ({done}/{total})" if total else str(done)
        line, room = clean(f"{what}: {many}"), _columns(_descriptor(self._stream)) - 1
        while advance(0, line) > room:
            line = line[:-1]
        _shown[:] = [self]
        self.drawn = True
        self._stream.write(f"\r{line}\x1b[K")
        self._stream.flush()

    def wipe(self) -> None:
        """Erase the line; the next update draws it again."""
        if self.drawn:
            self.drawn = False
            _shown.clear()
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _foreground(self) -> bool:
        """Somebody else may have the terminal: after ^Z and bg."""
        try:
            return os.tcgetpgrp(_descriptor(self._stream)) == os.getpgrp()
        except OSError:
            return True  # not our controlling terminal


def _descriptor(stream: TextIO) -> int:
    try:
        return stream.fileno()
    except (OSError, ValueError):  # io.UnsupportedOperation is both
        return 2


def wipe() -> None:
    """Erase the line of progress, where there is one: to be called before another line is written to stderr."""
    for progress in tuple(_shown):
        progress.wipe()
