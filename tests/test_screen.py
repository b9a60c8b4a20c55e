# SPDX-License-Identifier: GPL-2.0-or-later
"""commands/screen.py: what is found out of the terminal, the pager, the line of progress.

Belongs here: the program on a pseudo-terminal of the test's own, and the decisions by themselves. Nothing waits for a
clock: progress is given one.
"""

from __future__ import annotations

import argparse
import fcntl
import io
import os
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from reviewbot.commands import screen
from reviewbot.commands.screen import Progress, git_settings, knows_links, make_screen, paged, use_color
from reviewbot.config import Config, ReplyConfig
from reviewbot.output.text import PLAIN

PROGRAM = Path(sys.executable).with_name("reviewbot")
NAMES = """
    NO_COLOR FORCE_COLOR CLICOLOR CLICOLOR_FORCE COLUMNS GIT_PAGER PAGER LESS LV FORCE_HYPERLINK VTE_VERSION
    TERM_PROGRAM TERM_PROGRAM_VERSION TMUX STY WT_SESSION KITTY_WINDOW_ID DOMTERM KONSOLE_VERSION ALACRITTY_WINDOW_ID
    GHOSTTY_RESOURCES_DIR GIT_CONFIG_COUNT GIT_CONFIG_PARAMETERS
""".split()


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Ended(NamedTuple):
    """What a program did on a terminal."""

    code: int
    out: str


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An environment that says nothing but that it is an xterm; git has the configuration that a test writes."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in (("TERM", "xterm"), ("HOME", str(tmp_path)), ("GIT_CONFIG_NOSYSTEM", "1")):
        monkeypatch.setenv(name, value)
    for name in ("XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_DIR", "GIT_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    git_settings.cache_clear()
    yield tmp_path
    git_settings.cache_clear()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Standard output as the module sees it: pytest puts its own in sys at the beginning of each test."""
    streams = argparse.Namespace(stdout=Terminal(), stderr=Terminal())
    monkeypatch.setattr(screen, "sys", streams)
    stream: Terminal = streams.stdout
    return stream


def asked(**named: object) -> argparse.Namespace:
    """The options of a command."""
    return argparse.Namespace(**{"color": "auto", "format": None, "no_pager": False, **named})


def say(text: str) -> None:
    """Print, where `terminal` is standard output."""
    vars(screen)["sys"].stdout.write(text)


def configure(home: Path, text: str) -> None:
    """Write the user's own configuration of git."""
    (home / ".gitconfig").write_text(text)


def on_terminal(*arguments: str, columns: int = 80, lines: int = 24, **environment: str) -> Ended:
    """Run the program with a terminal as stdout and stderr."""
    ours, its = os.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    command = [str(PROGRAM), *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=its, stderr=its, env={**os.environ, **environment}
    ) as process:
        os.close(its)
        pieces = []
        try:
            while piece := os.read(ours, 65536):
                pieces.append(piece)
        except OSError:
            pass  # how Linux says that nobody has the terminal any more
        os.close(ours)
    return Ended(process.returncode, b"".join(pieces).decode().replace("\r\n", "\n"))


# -- colour -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "environment", "colored"),
    [
        ("auto", {}, True),
        ("auto", {"NO_COLOR": "1"}, False),
        ("auto", {"NO_COLOR": ""}, True),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ("auto", {"TERM": "dumb"}, False),
        ("auto", {"TERM": "dumb", "CLICOLOR_FORCE": "1"}, True),
        ("auto", {"CLICOLOR": "0"}, False),
        ("always", {"NO_COLOR": "1", "TERM": "dumb"}, True),
        ("never", {"FORCE_COLOR": "1"}, False),
    ],
)
def test_colour_on_a_terminal_is_as_option_and_environment_say(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, option: str, environment: dict[str, str], colored: bool
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert use_color(asked(color=option)) is colored


@pytest.mark.parametrize(
    ("written", "colored"),
    [
        ("", True),
        ("[color]\n\tui = never\n", False),
        ("[color]\n\tui = false\n", False),
        ("[color]\n\tui = 0\n", False),
        ("[color]\n\tui\n", True),
        ("[color]\n\tui = always\n", True),
        ("[color]\n\tui = never\n\treviewbot = auto\n", True),
        ("[color]\n\treviewbot = never\n\tui = auto\n", False),
        ("[color]\n\tui = mauve\n", True),
        ("[color]\n\tpager = false\n", False),
        ("[color]\n\tpager = false\n[core]\n\tpager = cat\n", True),
        ("[color\n", True),
    ],
)
def test_colour_is_as_git_is_configured(home: Path, terminal: Terminal, written: str, colored: bool) -> None:
    configure(home, written)
    assert use_color(asked()) is colored


def test_a_machine_without_git_has_colour(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert use_color(asked()) is True


def test_git_is_not_asked_where_output_is_piped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(screen, "git_settings", lambda: pytest.fail("git was asked"))
    assert make_screen(asked(), Config(), "/x") == PLAIN
    with paged(asked()):
        print("x")


# -- width and hyperlinks -----------------------------------------------------------------------------------------


def test_a_program_is_given_nothing_of_the_terminal(terminal: Terminal) -> None:
    assert make_screen(asked(format="sarif", color="always"), Config(), "/x") == PLAIN


@pytest.mark.parametrize(("columns", "width"), [("60", 60), ("", 80), ("0", 80), ("-3", 80), ("x", 80), ("9" * 30, 80)])
def test_the_width_is_what_columns_says(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, columns: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((80, 24)))
    assert make_screen(asked(), Config()).width == width


@pytest.mark.parametrize(
    ("environment", "known"),
    [
        ({}, False),
        ({"VTE_VERSION": "7006"}, True),
        ({"VTE_VERSION": "5000"}, False),
        ({"VTE_VERSION": "x" * 99}, False),
        ({"TERM_PROGRAM": "WezTerm"}, True),
        ({"TERM_PROGRAM": "Apple_Terminal"}, False),
        ({"WT_SESSION": "1"}, True),
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM": "dumb", "WT_SESSION": "1"}, False),
        ({"TERM": "screen-256color", "VTE_VERSION": "7006"}, False),
        ({"TERM_PROGRAM": "tmux", "TERM_PROGRAM_VERSION": "3.4", "TMUX": "x"}, True),
        ({"TERM_PROGRAM": "tmux", "TERM_PROGRAM_VERSION": "3.3a", "TMUX": "x", "VTE_VERSION": "7006"}, False),
        ({"FORCE_HYPERLINK": "1"}, True),
        ({"FORCE_HYPERLINK": "0", "WT_SESSION": "1"}, False),
    ],
)
def test_hyperlinks_are_for_terminals_that_are_known_to_have_them(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], known: bool
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert knows_links() is known


def test_hyperlinks_lead_to_the_work_tree_and_the_configured_pages(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_HYPERLINK", "1")
    config = Config(reply=ReplyConfig(docs="https://example.org/rules/"))
    made = make_screen(asked(), config, "/src/linux")
    assert (made.root, made.docs) == ("/src/linux", "https://example.org/rules/")
    assert make_screen(asked(color="never"), config, "/src")[2:] == (None, None)
    assert make_screen(asked(), Config(), None)[2:] == (None, None)


# -- the pager ----------------------------------------------------------------------------------------------------


def test_the_pager_gets_all_with_colour_and_its_options_and_the_status_is_ours(home: Path) -> None:
    pager = 'cat >got; echo "$LESS $LV" >options; exit 7'
    ended = on_terminal("rules", "gup", GIT_PAGER=pager)
    assert ended == Ended(0, "")
    assert "\x1b[1;31merror" in (home / "got").read_text()
    assert (home / "options").read_text() == "FRX -c\n"


def test_the_pagers_options_of_the_user_stay(home: Path) -> None:
    on_terminal("rules", "gup", GIT_PAGER='cat >/dev/null; echo "$LESS" >options', LESS="-R")
    assert (home / "options").read_text() == "-R\n"


@pytest.mark.parametrize(
    ("written", "environment", "which"),
    [
        ("[core]\n\tpager = cat >core\n", {}, "core"),
        ("[core]\n\tpager = cat >core\n", {"PAGER": "cat >env"}, "core"),
        ("[core]\n\tpager = cat >core\n", {"GIT_PAGER": "cat >first"}, "first"),
        ("", {"PAGER": "cat >env"}, "env"),
        ("[core]\n\tpager = cat >core\n[pager]\n\treviewbot = cat >own\n", {}, "own"),
        ("[pager]\n\treviewbot = true\n[core]\n\tpager = cat >core\n", {}, "core"),
        ("[pager]\n\treviewbot = false\n", {"GIT_PAGER": "cat >first"}, ""),
        ("", {"GIT_PAGER": "cat", "PAGER": "cat >env"}, ""),
        ("", {"GIT_PAGER": "", "PAGER": "cat >env"}, ""),
        ("[core]\n\tpager =\n", {"PAGER": "cat >env"}, ""),
        ("", {"TERM": "dumb", "GIT_PAGER": "cat >first"}, ""),
    ],
)
def test_the_pager_is_the_one_that_git_would_take(
    home: Path, monkeypatch: pytest.MonkeyPatch, written: str, environment: dict[str, str], which: str
) -> None:
    configure(home, written)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    before = {path.name for path in home.iterdir()}
    ended = on_terminal("rules", "vma")
    assert ended.code == 0
    assert {path.name for path in home.iterdir()} - before == ({which} if which else set())
    assert ("vma" in ended.out) is not bool(which)


def test_a_repositorys_own_configuration_names_no_pager(home: Path) -> None:
    subprocess.run(["git", "init", "-q", "."], check=True)
    for name in ("core.pager", "pager.reviewbot"):
        subprocess.run(["git", "config", name, "cat >stolen"], check=True)
    assert "vma" in on_terminal("rules", "vma", PAGER="cat").out
    assert not (home / "stolen").exists()


def test_a_repository_may_ask_for_no_pager(home: Path) -> None:
    subprocess.run(["git", "init", "-q", "."], check=True)
    subprocess.run(["git", "config", "pager.reviewbot", "false"], check=True)
    assert "vma" in on_terminal("rules", "vma", PAGER="cat >got").out


@pytest.mark.parametrize("pager", ["nonexistent-pager -R", "/nonexistent/pager", "x=1; nonexistent-pager"])
def test_a_pager_that_does_not_exist_costs_nothing(pager: str) -> None:
    ended = on_terminal("rules", "vma", GIT_PAGER=pager)
    assert ended.code == 0
    assert "used-after-unlock" in ended.out


def test_a_reader_that_leaves_before_the_end_is_no_error() -> None:
    # more than a pipe holds
    code = (
        "import sys; from reviewbot.commands.screen import paged; from argparse import Namespace\n"
        "with paged(Namespace()): print('x\\n' * 1_000_000)\n"
        "sys.stdout.write('after')"
    )
    ours, its = os.openpty()
    environment = {**os.environ, "GIT_PAGER": "head -1"}
    with subprocess.Popen([sys.executable, "-c", code], stdout=its, stderr=its, env=environment) as process:
        os.close(its)
        assert process.wait(60) == 0
        assert os.read(ours, 1000) == b"x\r\nafter"
        os.close(ours)


def test_an_interrupt_is_the_pagers_while_it_runs(home: Path) -> None:
    ended = on_terminal("rules", "vma", GIT_PAGER="kill -INT $PPID; cat >got")
    assert ended == Ended(0, "")
    assert "used-after-unlock" in (home / "got").read_text()


def test_a_short_text_is_printed_without_less(home: Path) -> None:
    (home / "bin").mkdir()
    less = home / "bin" / "less"
    less.write_text("#!/bin/sh\ncat >/dev/null; echo paged\n")
    less.chmod(0o755)
    path = f"{home}/bin:{os.environ['PATH']}"
    assert "used-after-unlock" in on_terminal("rules", "vma", lines=60, columns=200, PATH=path).out
    assert on_terminal("rules", "vma", lines=5, columns=200, PATH=path).out == "paged\n"
    # without F it stays until it is told to go
    assert on_terminal("rules", "vma", lines=60, columns=200, PATH=path, LESS="-R").out == "paged\n"


@pytest.mark.parametrize(
    ("version", "options", "linked"), [("590", "FRX", True), ("551", "FRX", False), ("590", "FX", False)]
)
def test_hyperlinks_go_only_through_a_less_that_knows_them(
    home: Path, monkeypatch: pytest.MonkeyPatch, terminal: Terminal, version: str, options: str, linked: bool
) -> None:
    less = home / "less"
    less.write_text(f"#!/bin/sh\n[ $# = 1 ] && echo 'less {version} (x)' || cat >got\n")
    less.chmod(0o755)
    monkeypatch.setenv("GIT_PAGER", str(less))
    monkeypatch.setenv("LESS", options)
    with paged(asked()):
        say("a \x1b]8;;https://example.org\x1b\\b\x1b]8;;\x1b\\ c\n")
    assert terminal.getvalue() == ""
    assert ("example.org" in (home / "got").read_text()) is linked
    assert linked or (home / "got").read_text() == "a b c\n"


@pytest.mark.parametrize("named", [{"no_pager": True}, {"format": "json"}])
def test_there_is_no_pager_where_none_is_wanted(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, named: dict[str, object]
) -> None:
    monkeypatch.setenv("GIT_PAGER", "cat >got")
    with paged(asked(**named)):
        say("x\n")
    assert terminal.getvalue() == "x\n"


def test_the_screen_is_the_terminals_within_the_pager_too(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_PAGER", "cat >/dev/null")
    before = make_screen(asked(), Config())
    with paged(asked()):
        assert make_screen(asked(), Config()) == before
    assert before.color
    assert before.width


def test_what_was_printed_before_an_error_is_shown(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_PAGER", "nonexistent-pager")

    def fail() -> None:
        say("x\n")
        raise RuntimeError

    with pytest.raises(RuntimeError), paged(asked()):
        fail()
    assert terminal.getvalue() == "x\n"


# -- progress -----------------------------------------------------------------------------------------------------


class Clock:
    """Time that passes when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_short_work_has_no_line_of_progress() -> None:
    stream, clock = Terminal(), Clock()
    with Progress(stream=stream, clock=clock) as progress:
        for done in range(5000):
            progress.update(done, 5000, "reviewing")
        clock.now = 0.49
        progress.update(5000, 5000, "reviewing")
    assert stream.getvalue() == ""


def test_long_work_has_one_that_is_erased_at_the_end() -> None:
    stream, clock = Terminal(), Clock()
    with Progress(stream=stream, clock=clock) as progress:
        clock.now = 0.5
        progress.update(600, 5000, "reviewing")
        progress.update(601, 5000, "reviewing")
        clock.now = 0.7
        progress.update(7, 0, "reading\x1b[31m")
    assert stream.getvalue() == "\rreviewing:  12% (600/5000)\x1b[K\rreading^[[31m: 7\x1b[K\r\x1b[K"


def test_an_interrupt_leaves_a_clean_line() -> None:
    stream, clock = Terminal(), Clock()

    def work(progress: Progress) -> None:
        clock.now = 1
        progress.update(1, 2, "reviewing")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Progress(stream=stream, clock=clock) as progress:
        work(progress)
    assert stream.getvalue().endswith("(1/2)\x1b[K\r\x1b[K")


def test_another_line_on_stderr_wipes_it_first() -> None:
    stream, clock = Terminal(), Clock()
    with Progress(stream=stream, clock=clock) as progress:
        clock.now = 1
        progress.update(1, 2, "reviewing")
        screen.wipe()
        screen.wipe()
        stream.write("warning\n")
    assert stream.getvalue() == "\rreviewing:  50% (1/2)\x1b[K\r\x1b[Kwarning\n"


def test_progress_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    stream, clock = Terminal(), Clock()
    with Progress(stream=stream, clock=clock) as progress:
        clock.now = 1
        progress.update(1, 2, "中" * 40)
        assert stream.getvalue() == "\r" + "中" * 9 + "\x1b[K"


@pytest.mark.parametrize(("quiet", "stream"), [(True, Terminal()), (False, io.StringIO())])
def test_progress_is_for_terminals_and_not_under_quiet(quiet: bool, stream: io.StringIO) -> None:
    clock = Clock()
    with Progress(quiet=quiet, stream=stream, clock=clock) as progress:
        clock.now = 9
        progress.update(1, 2, "x")
    assert stream.getvalue() == ""


def test_a_dumb_terminal_has_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream, clock = Terminal(), Clock()
    with Progress(stream=stream, clock=clock) as progress:
        clock.now = 9
        progress.update(1, 2, "x")
    assert not re.search(".", stream.getvalue())
