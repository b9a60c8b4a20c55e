# SPDX-License-Identifier: GPL-2.0-or-later
"""reviewbot.registry: rules are found where they are, and what is remembered of them never outlives their files.

Belongs here: finding and remembering. What a rule finds is on its page.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reviewbot import registry

ROOT = Path(__file__).resolve().parents[1]

RULE = '''"""A word is said."""
from reviewbot.model import Severity
from reviewbot.rule import code_rule

@code_rule(Severity.{severity}, id="XX01", words=("word",))
def check(code):
    yield from ()
'''
LIST = "from reviewbot.registry import load; [print(r.name, r.severity, r.summary, r.check.name) for r in load()]"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the package with one family that has one rule."""
    for name in ("__init__", "model", "base", "dossier", "rule", "registry"):
        _copy(ROOT / "reviewbot" / f"{name}.py", tmp_path / "reviewbot")
    for path in (ROOT / "reviewbot" / "c").glob("*.py"):
        _copy(path, tmp_path / "reviewbot" / "c")
    family = tmp_path / "reviewbot" / "checks" / "some_family"
    family.mkdir(parents=True)
    (family.parent / "__init__.py").write_text("")
    (family / "__init__.py").write_text("")
    (family / "some_word.py").write_text(RULE.format(severity="ERROR"))
    return tmp_path


def _copy(source: Path, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / source.name).write_bytes(source.read_bytes())


def listed(tree: Path, *options: str) -> list[str]:
    """What a new process finds, where Python may write down what it compiled."""
    env = {"PATH": os.environ["PATH"]}
    command = [sys.executable, "-S", *options, "-c", LIST]
    done = subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def remembered(tree: Path) -> list[Path]:
    """The notes in the package's cache."""
    return list((tree / "reviewbot" / "checks" / "__pycache__").glob("rules-*"))


SAID = ["some-family/some-word error A word is said some_word"]


def test_what_is_remembered_is_what_the_rules_declare(tree: Path) -> None:
    assert listed(tree) == SAID
    assert len(remembered(tree)) == 1
    assert listed(tree) == SAID


def test_a_rule_is_not_imported_before_it_is_run(tree: Path) -> None:
    listed(tree)
    code = f"{LIST}; import sys; print('reviewbot.checks.some_family.some_word' in sys.modules)"
    command = [sys.executable, "-S", "-c", code]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_a_new_rule_is_found_and_a_deleted_one_is_gone(tree: Path) -> None:
    listed(tree)
    family = tree / "reviewbot" / "checks" / "some_family"
    (family / "other_word.py").write_text(RULE.format(severity="NOTE"))
    assert listed(tree) == ["some-family/other-word note A word is said other_word", *SAID]
    (family / "some_word.py").unlink()
    assert listed(tree) == ["some-family/other-word note A word is said other_word"]


def test_a_changed_rule_is_read_again(tree: Path) -> None:
    listed(tree)
    (tree / "reviewbot" / "checks" / "some_family" / "some_word.py").write_text(RULE.format(severity="WARNING"))
    assert listed(tree) == ["some-family/some-word warning A word is said some_word"]


def test_a_rule_is_read_again_when_what_it_may_have_its_words_from_has_changed(tree: Path) -> None:
    family = tree / "reviewbot" / "checks" / "some_family"
    (family / "_words.py").write_text("LEVEL = 'ERROR'\n")
    text = RULE.format(severity="ERROR").replace("Severity.ERROR", "Severity[LEVEL]")
    (family / "some_word.py").write_text(
        text.replace("\n", "\nfrom reviewbot.checks.some_family._words import LEVEL\n", 1)
    )
    assert listed(tree) == SAID
    (family / "_words.py").write_text("LEVEL = 'WARNING'\n")
    assert listed(tree) == ["some-family/some-word warning A word is said some_word"]


@pytest.mark.parametrize("text", [b"", b"nonsense", b"\xe9\x00", b"(\x02\x00\x00\x00NN"])
def test_a_broken_note_is_made_anew(tree: Path, text: bytes) -> None:
    listed(tree)
    (note,) = remembered(tree)
    note.write_bytes(text)
    assert listed(tree) == SAID
    assert remembered(tree)[0].read_bytes() != text


def test_nothing_is_written_where_python_is_told_not_to(tree: Path) -> None:
    assert listed(tree, "-B") == SAID
    assert remembered(tree) == []


def test_rules_are_the_same_whether_they_are_remembered_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = registry.load()
    packed = [registry._unpack(registry._pack(rule)) for rule in rules]
    assert [rule._replace(check=None) for rule in packed] == [rule._replace(check=None) for rule in rules]  # type: ignore[arg-type]
