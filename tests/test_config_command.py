# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot config show`: every value, where it came from, and nothing that a terminal or a paste suffers from."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from reviewbot.cli import main
from reviewbot.commands.config import span
from reviewbot.config import Config, ListConfig, PathConfig, ToolConfig, load_config, parse_span

FULL = """\
ignore = ["pin"]
[reply]
sender = "B <b@example.org>"
salt = "never shown"
[policy]
wait = "90m"
max-age = "2w"
[list."Linux-MM@example.org"]
mode = "draft"
[source.one]
git = "/g"
[tool.sparse]
command = "sparse -D'A=\\"1\\"'"
[per-path."drivers/staging/"]
ignore = ["vma"]
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without settings; the process is in a directory beside it that is no repository's."""
    for name in ("XDG_CONFIG_HOME", "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def user_file(home: Path, text: str) -> Path:
    file = home / ".config/reviewbot/config.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def show(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["config", "show", *words]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def line(text: str, key: str, table: str = "") -> str:
    """What is shown of a key."""
    part = (text.partition(f"\n[{table}]\n")[2] if table else text).partition("\n[")[0]
    (found,) = (one for one in part.split("\n") if one.lstrip("# ").startswith(f"{key} ="))
    return " ".join(found.split())


def git(*words: str) -> None:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *words], check=True, capture_output=True)


def test_without_any_file_all_is_default(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = show(capsys)
    assert {one.split("#")[1] for one in text.split("\n") if "#" in one} == {" default"}
    table = tomllib.loads(text)
    nested = {"list", "source", "per-path", "tool"}
    assert set(table) == {name.replace("_", "-") for name in Config._fields} - nested
    assert all(set(table[name]) == {key.replace("_", "-") for key in value._fields}
               for name, value in Config()._asdict().items() if hasattr(value, "_fields"))  # fmt: skip


def test_what_is_shown_can_be_pasted_and_means_the_same(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = user_file(home, FULL)
    pasted = tmp_path / "pasted.toml"
    pasted.write_text(show(capsys, "-c", "policy.severity=error"))
    config = load_config(str(file), ["policy.severity=error"])
    assert load_config(str(pasted)) == config._replace(reply=config.reply._replace(salt=""))
    assert config.tool == {"sparse": ToolConfig("sparse -D'A=\"1\"'")}


def test_each_value_has_its_origin(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = user_file(home, FULL)
    git("init", "-q")
    Path(".reviewbot.toml").write_text("# ours\nignore = [\n'gup']\n[per-path.'x/']\nselect = ['vma']\n")
    os.mkdir("below")
    os.chdir("below")
    text = show(capsys, "-c", "policy.severity=error", "-c", "strict=true", "-c", "strict=false")
    assert line(text, "select") == "select = [] # default"
    assert line(text, "ignore") == f"ignore = [\"pin\", \"gup\"] # '{file}' line 1, '.reviewbot.toml' line 2"
    assert line(text, "strict") == "strict = false # -c"
    assert line(text, "wait", "policy") == f"wait = \"90m\" # '{file}' line 6"
    assert line(text, "max-age", "policy") == f"max-age = \"14d\" # '{file}' line 7"
    assert line(text, "mode", 'list."linux-mm@example.org"') == f"mode = \"draft\" # '{file}' line 9"
    assert line(text, "wait", 'list."linux-mm@example.org"') == 'wait = "90m" # [policy]'
    assert line(text, "severity", 'list."linux-mm@example.org"') == 'severity = "error" # [policy]'
    assert line(text, "rfc", 'list."linux-mm@example.org"') == "rfc = false # default"
    assert line(text, "ignore", 'per-path."drivers/staging/"') == f"ignore = [\"vma\"] # '{file}' line 15"
    assert line(text, "select", 'per-path."x/"') == "select = [\"vma\"] # '.reviewbot.toml' line 5"


def test_the_origins_of_short_values_stand_below_one_another(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    user_file(home, f'ledger = "{"x" * 60}"\ntree = "ää"\n')
    text = show(capsys)
    columns = {one.rindex("#") for one in text.split("\n") if "#" in one}
    assert sorted(columns)[1:] == [len(f'ledger = "{"x" * 60}"  ')]


def test_a_secret_is_said_to_be_set_and_not_shown(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = user_file(home, FULL)
    assert line(show(capsys), "salt", "reply") == f"# salt = (set) # '{file}' line 4"
    as_json = show(capsys, "--format", "json")
    assert "never shown" not in show(capsys) + as_json
    (value,) = (one for one in json.loads(as_json)["values"] if one["key"] == ["reply", "salt"])
    assert (value["value"], value["default"]) == ("(set)", False)


def test_json_has_keys_values_and_origins(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = user_file(home, FULL)
    git("init", "-q")
    Path(".reviewbot.toml").write_text("ignore = ['gup']\n")
    document = json.loads(show(capsys, "--format", "json", "-c", "fail-on=error"))
    values = {".".join(one["key"]): one for one in document["values"]}
    assert document["version"] == 1
    assert values["ignore"] == {
        "key": ["ignore"],
        "value": ["pin", "gup"],
        "default": False,
        "origins": [
            {"name": str(file), "line": 1, "tree": False},
            {"name": ".reviewbot.toml", "line": 1, "tree": True},
        ],
    }
    assert values["fail-on"]["origins"] == [{"name": "-c", "line": None, "tree": False}]
    assert values["policy.wait"]["value"] == "90m"
    assert values["list.linux-mm@example.org.wait"]["origins"] == [{"name": str(file), "line": 6, "tree": False}]
    assert values["lore.url"] == {
        "key": ["lore", "url"], "value": "https://lore.kernel.org/all/", "default": True, "origins": [],
    }  # fmt: skip


def test_of_a_bare_repository_it_is_heads_file(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git("init", "-q", "../one")
    Path("../one/.reviewbot.toml").write_text("select = ['vma']\n")
    git("-C", "../one", "add", ".")
    git("-C", "../one", "commit", "-q", "-m", "x")
    git("clone", "-q", "--bare", "../one", "../bare.git")
    os.chdir("../bare.git")
    assert line(show(capsys), "select") == "select = [\"vma\"] # '.reviewbot.toml' line 1"


def test_without_git_the_trees_file_is_found_all_the_same(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    git("init", "-q")
    Path(".reviewbot.toml").write_text("select = ['vma']\n")
    monkeypatch.setenv("PATH", str(home))
    assert line(show(capsys), "select") == "select = [\"vma\"] # '.reviewbot.toml' line 1"


def test_a_tree_that_wants_more_than_its_own_is_an_error(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git("init", "-q")
    Path(".reviewbot.toml").write_text("\n[tool.x]\ncommand = 'touch x'\n")
    assert main(["config", "show"]) == 2
    said = "is not for a tree to set: put it into ~/.config/reviewbot/config.toml"
    assert capsys.readouterr() == ("", f"reviewbot: 'tool' in '.reviewbot.toml' line 2 {said}\n")


def test_a_link_out_of_the_tree_is_not_followed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git("init", "-q")
    Path("../outside.toml").write_text("select = ['vma']\n")
    os.symlink("../outside.toml", ".reviewbot.toml")
    assert "vma" not in show(capsys)


def test_what_a_stranger_wrote_does_nothing_on_a_terminal(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git("init", "-q")
    Path(".reviewbot.toml").write_text('ignore = ["a\\u001b]0;x\\u0007\\\\\\"", "\\u202e\\U000E0001\\t\\n"]\n')
    text = show(capsys, "-c", "tree=\udcff")
    assert all(one.isprintable() for one in text.split("\n"))
    assert tomllib.loads(text)["ignore"] == ['a\x1b]0;x\x07\\"', "\u202e\U000e0001\t\n"]
    assert all(one.isprintable() for one in show(capsys, "--format", "json").split("\n"))


def test_a_file_with_an_odd_name_is_named_in_one_line(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a\n\x1bb.toml"
    file.write_text("strict = true\n")
    text = show(capsys, "--config", str(file))
    assert line(text, "strict").endswith("a\\u000A\\u001Bb.toml' line 1")
    assert tomllib.loads(text)["strict"] is True


def test_a_time_is_shown_as_it_is_read() -> None:
    for text in ("0s", "1s", "90s", "1m", "90m", "1h", "25h", "1d", "7d", "14d"):
        time = parse_span(text)
        assert time is not None
        assert span(time) == text
    assert Config().policy.max_age == parse_span("7d")


def test_tables_that_are_empty_are_there(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    user_file(home, "[list.'a@example.org']\n[per-path.'b\"c']\n")
    text = show(capsys)
    assert line(text, "mode", 'list."a@example.org"') == 'mode = "off" # default'
    assert line(text, "select", 'per-path."b\\"c"') == "select = [] # default"
    assert (ListConfig(), PathConfig()) == (load_config(None).list["a@example.org"], load_config(None).per_path['b"c'])
