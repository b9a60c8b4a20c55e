# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot rules`: the table and the pages, piped, on a terminal and as JSON.

Belongs here: how they are shown. What rules and pages there are is test_registry's and test_pages'.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter

import pytest

from reviewbot import registry
from reviewbot.cli import main
from reviewbot.commands import rules
from reviewbot.config import Config
from reviewbot.output.text import Screen, advance, harmless
from reviewbot.rule import Rule

STYLE = re.compile(r"\x1b\[[0-9;]*m")
NAMES = [rule.name for rule in registry.load()]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> object:
    """Runs the command where the screen is what the test says."""

    def show(name: str | None, width: int | None, *, color: bool = False) -> str:
        monkeypatch.setattr(rules, "make_screen", lambda *_: Screen(color=color, width=width))
        assert rules.run(argparse.Namespace(name=name, format="text"), Config()) == 0
        return capsys.readouterr().out

    return show


def test_piped_the_table_is_a_line_a_rule(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines] == [
        [rule.id, rule.name, rule.severity, rule.confidence] for rule in registry.load()
    ]
    assert all(line.endswith(rule.summary) for line, rule in zip(lines, registry.load(), strict=True))


def test_a_family_has_a_table_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "vma"]) == 0
    names = [line.split()[1] for line in capsys.readouterr().out.splitlines()]
    assert names == [name for name in NAMES if name.startswith("vma/")]


def test_piped_a_page_is_its_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    rule = registry.find("vma/used-after-unlock")
    assert main(["rules", rule.name]) == 0
    out = capsys.readouterr().out
    assert out.startswith(registry.page(rule))
    assert f"\n## evidence\n{rule.id}, {rule.severity}, confidence {rule.confidence}" in out


def test_json_says_whose_a_rule_is_and_whether_it_can_fix(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "--format", "json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert list(records[0]) == [
        "name", "id", "severity", "confidence", "needs", "since", "until", "summary", "evidence", "fix", "origin",
    ]  # fmt: skip
    assert {record["name"]: (record["fix"], record["origin"]) for record in records} == {
        rule.name: (rule.fix, registry.origin(rule)) for rule in registry.load()
    }


@pytest.mark.parametrize("width", [40, 60, 80, 99, 100, 140, 300])
def test_on_a_terminal_the_table_fits_and_has_every_rule(shown: object, width: int) -> None:
    assert callable(shown)
    out = shown(None, width)
    assert all(advance(0, line) <= width for line in out.splitlines())
    # narrow columns are folded
    seen = re.sub(r"\s", "", out)
    for rule in registry.load():
        assert rule.id in seen
        if width >= 80:
            assert re.search(
                rf"^   {rule.id} +{rule.name.split('/')[1]} +{rule.severity} +{rule.confidence} ", out, re.M
            )
    assert [line for line in out.splitlines() if line in {name.split("/")[0] for name in NAMES}] == list(
        dict.fromkeys(name.split("/")[0] for name in NAMES)
    )


@pytest.mark.parametrize("name", [None, "gup", *NAMES[::7]])
def test_colour_changes_nothing_else(shown: object, name: str | None) -> None:
    assert callable(shown)
    painted = shown(name, 80, color=True)
    assert "\x1b[" in painted
    lines = [line.rstrip() for line in STYLE.sub("", painted).splitlines()]
    assert lines == shown(name, 80).splitlines()


@pytest.mark.parametrize("name", NAMES[::5])
def test_on_a_terminal_a_page_says_what_its_markdown_says(shown: object, name: str) -> None:
    assert callable(shown)
    out = shown(name, 80)
    assert all(advance(0, line) <= 80 for line in out.splitlines())

    def letters(text: str) -> Counter[str]:
        # of a table the cells are mixed, and a long line of code is folded in the midst of a word
        return Counter("".join(re.findall(r"[A-Za-z0-9]", text)))

    page = re.sub(r"^```.*$", "", registry.page(registry.find(name)), flags=re.M)
    assert letters(page) <= letters(out)
    assert "```" not in out


def test_the_lines_of_a_block_keep_tabs_and_have_the_colours_of_a_diff(shown: object) -> None:
    assert callable(shown)
    out = shown("gup/longterm-without-pin", 120, color=True)
    assert re.search(r"\n     {4}\s+int ret;\n", STYLE.sub("", out))
    assert "\x1b[1;31m// error" in out
    assert "\x1b[32m+" in out


def test_nothing_of_a_foreign_rule_acts_on_a_terminal(monkeypatch: pytest.MonkeyPatch, shown: object) -> None:
    assert callable(shown)
    bad = "x\x1b]0;owned\x07\x1b[31m\u202ey"
    (rule, *_) = registry.load()
    hostile: Rule = rule._replace(name=f"f/{bad}", summary=bad)
    monkeypatch.setattr(registry, "load", lambda *_: (hostile,))
    monkeypatch.setattr(registry, "page", lambda _: f"# {bad}\n\n{bad} `{bad}`\n\n```diff\n+{bad} // error\n```\n")
    for name in (None, hostile.name):
        for width in (None, 60, 120):
            out = shown(name, width)
            assert "owned" in out
            assert all(harmless(char) or char in "\n\t" for char in out)


def test_rich_is_not_loaded_where_output_is_piped() -> None:
    import subprocess

    code = "import sys; from reviewbot.cli import main; main(['rules']); sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode == 0
