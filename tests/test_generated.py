# SPDX-License-Identifier: GPL-2.0-or-later
"""commands/generated.py: completion in the real shells, the manual page under the real formatters.

Needs bash; zsh, fish and mandoc where they are (Debian's packages of these names): with REVIEWBOT_CI=1 they have to be.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reviewbot.cli import COMMANDS, make_parser
from reviewbot.commands.generated import completion, man

SHELLS = ("bash", "zsh", "fish")

# Sets what bash sets before it calls the function; the words come as arguments.
_BASH = r"""
source ./script
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
known=$(complete -p reviewbot)
known=${known##*-F }
${known%% *} 2>/dev/null
printf '%s\n' "${COMPREPLY[@]}"
"""

# A second zsh on a terminal of its own, where compadd tells what it is given that fits what is typed. The marks are
# quoted in two pieces, so that they are not found where the terminal shows what was typed.
_ZSH = r"""
zmodload zsh/zpty
zpty z zsh -f -i
line() { zpty -w z "$1"; }
line 'PROMPT=; fpath=($PWD/functions $fpath); autoload -Uz compinit; compinit -u -D'
line 'compadd() { [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]] && { builtin compadd "$@"; return }; local -a __h;
builtin compadd -O __h "$@"; print -rl -- "<""<"$^__h">"">"; builtin compadd "$@" }'
line 'bindkey "^I" complete-word; ended() { print "<""<END>"">"; zle kill-whole-line }'
line 'zle -N ended; bindkey "^X" ended'
zpty -n -w z "$1"$'\t'$'\C-X'
zpty -r -m z out "*<<END>>*"
print -r -- "$out"
zpty -d z
"""


def needed(program: str) -> str:
    """The program; skips where it is not installed, but in the CI."""
    if shutil.which(program) is None:
        if os.environ.get("REVIEWBOT_CI"):
            pytest.fail(f"{program} is not installed")
        pytest.skip(f"{program} is not installed")
    return program


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A shell, in a repository with a branch and some files where its script lies."""
    name = needed(str(request.param))
    for words in (["init", "-q", "-b", "topic/walk"], ["commit", "-q", "--allow-empty", "-m", "x"], ["tag", "v6.12"]):
        command = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *words]
        subprocess.run(command, cwd=tmp_path, check=True, env={**os.environ, "HOME": str(tmp_path)})
    (tmp_path / "functions").mkdir()
    (tmp_path / "typhoon.patch").touch()
    (tmp_path / ("functions/_reviewbot" if name == "zsh" else "script")).write_text(completion(make_parser(), name))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return name


def offered(shell: str, line: str) -> set[str]:
    """What the shell offers for the last word of a line."""
    if shell == "bash":
        command = ["bash", "--norc", "-c", _BASH, "bash", *line.split(" ")]
    elif shell == "fish":
        command = ["fish", "--no-config", "-c", 'source ./script; complete -C "$argv[1]"', line]
    else:
        command = ["zsh", "-f", "-c", _ZSH, "zsh", line]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, stdin=subprocess.DEVNULL)
    if shell == "zsh":
        found = re.findall("<<(.*?)>>", done.stdout)
        return {word for some in found for word in some.split(" ")} - {"END", ""}
    return {word.split("\t")[0] for word in done.stdout.splitlines()} - {""}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("reviewbot ch", {"check"}),
        ("reviewbot b4", {"b4-check", "b4-prep"}),
        ("reviewbot check --form", {"--format"}),
        ("reviewbot check --format s", {"sarif"}),
        ("reviewbot hook pre-", {"pre-commit", "pre-push"}),
        ("reviewbot rules vma/used", {"vma/used-after-unlock"}),
        ("reviewbot lore --select lock-drop/stale", {"lock-drop/stale-vma"}),
        ("reviewbot check --tree fun", {"functions"}),
        ("reviewbot check v6", {"v6.12"}),
        ("reviewbot check ty", {"typhoon.patch"}),
    ],
)
def test_a_shell_completes(shell: str, line: str, words: set[str]) -> None:
    assert {word.rstrip("/") for word in offered(shell, line)} == words


def test_a_family_is_offered_beside_its_rules(shell: str) -> None:
    words = offered(shell, "reviewbot rules vma")
    assert {"vma", "vma-lock", "vma/used-after-unlock"} <= words
    assert all(word.startswith("vma") for word in words)


def test_commits_and_files_are_offered_for_a_review(shell: str) -> None:
    assert offered(shell, "reviewbot check t") == {"topic/walk", "typhoon.patch"}


def test_the_second_commit_of_a_range_is_offered(shell: str) -> None:
    (word,) = offered(shell, "reviewbot check v6.12..top")
    assert word.removeprefix("v6.12..") == "topic/walk"


def test_the_second_rule_of_a_list_is_offered(shell: str) -> None:
    (word,) = offered(shell, "reviewbot check --ignore gup,vma/used")
    assert word.removeprefix("gup,") == "vma/used-after-unlock"


@pytest.mark.parametrize("name", SHELLS)
def test_a_script_is_printed_by_the_option(name: str) -> None:
    program = Path(sys.executable).with_name("reviewbot")
    done = subprocess.run([program, "--print-completion", name], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == completion(make_parser(), name)


# -- the manual page ----------------------------------------------------------------------------------------------


def lines_of(command: list[str], text: str) -> list[str]:
    """What a program says of a text that it is given."""
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout.splitlines()


def test_the_manual_page_has_no_fault() -> None:
    said = lines_of([needed("mandoc"), "-T", "lint", "-W", "warning"], man(make_parser()))
    # none is given: the page is made of the program as it is
    assert [line for line in said if "missing date" not in line] == []


def test_the_manual_page_reads_as_the_help_does() -> None:
    page = "\n".join(lines_of([needed("mandoc"), "-T", "utf8", "-O", "width=200"], man(make_parser())))
    page = re.sub(".\b", "", page)
    for name in COMMANDS:
        assert re.search(rf"^ +reviewbot {name}( |$)", page, re.M), name
    for words in (
        "--print-completion bash|zsh|fish",
        "-c KEY=VALUE",
        "--fail-on error|warning|note|info|never",
        "Settings, instead of ~/.config/reviewbot/config.toml.",
        "(default: @{upstream}..HEAD, or b4's prep branch), *.patch",
        "--staged",
        "EXIT STATUS",
        "75     The network or a server: try again later.",
        "NO_COLOR",
        "reviewbot check --format diff | git apply",
    ):
        assert words in page, words


def test_an_option_of_several_commands_is_explained_once() -> None:
    page = man(make_parser())
    assert page.count("\n\\fB\\-\\-fail\\-on\\fR ") == 1
    assert page.count("\n\\fB\\-\\-staged\\fR\n") == 1


def test_nothing_in_the_manual_page_is_taken_for_a_request() -> None:
    parser = make_parser()
    parser.description = ".so /etc/passwd \\fBx 'y"
    page = man(parser)
    assert "\\&.so /etc/passwd \\efBx \\(aqy" in page
    known = r"\.(TH|SH|SS|TP|PP|br)( |$)"
    assert all(re.match(known, line) for line in page.splitlines() if line.startswith((".", "'")))
