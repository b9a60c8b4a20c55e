# SPDX-License-Identifier: GPL-2.0-or-later
"""reviewbot.config: TOML -> Config, and what is said of a file that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from reviewbot.config import Config, LoreConfig, ReplyConfig, load_config
from reviewbot.model import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_every_setting_is_read(file: Path) -> None:
    file.write_text(
        "select = ['vma', 'ML01']\nignore = []\nstrict = true\nfail-on = 'error'\n"
        "[lore]\nurl = 'https://example.org/x/'\n"
        "[reply]\nsender = 'B <b@example.org>'\ndomain = 'example.org'\nper = 'series'\n"
        "template-dir = 't'\nbudget = 3\n"
        "docs = 'https://example.org/'\n"
    )
    assert load_config(str(file)) == Config(
        LoreConfig("https://example.org/x/"),
        ReplyConfig("B <b@example.org>", "example.org", "series", "t", 3, "https://example.org/"),
        ("vma", "ML01"),
        (),
        True,
        "error",
    )


def test_what_is_not_set_has_its_default(file: Path) -> None:
    file.write_text("[reply]\nbudget = 3\n")
    assert load_config(str(file)) == Config(reply=ReplyConfig(budget=3))


@pytest.mark.parametrize("xdg", [False, True])
def test_the_users_own_file_is_read_where_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, xdg: bool
) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    if xdg:
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    directory = (tmp_path / "xdg" if xdg else tmp_path / "home/.config") / "reviewbot"
    assert load_config(None) == Config()
    directory.mkdir(parents=True)
    (directory / "config.toml").write_text("strict = true\n")
    assert load_config(None) == Config(strict=True)


def test_without_a_home_there_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    assert load_config(None) == Config()


def test_the_current_directory_plays_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "none"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    for name in ("config.toml", "reviewbot.toml", ".reviewbot.toml", "pyproject.toml"):
        (tmp_path / name).write_text("strict = true\n[tool.reviewbot]\nstrict = true\n")
    assert load_config(None) == Config()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("selekt = []", "unknown key 'selekt' in 'FILE', did you mean 'select'?"),
        ("fail_on = 'error'", "unknown key 'fail_on' in 'FILE', did you mean 'fail-on'?"),
        (
            "[reply]\ntemplate_dir = ''",
            "unknown key 'reply.template_dir' in 'FILE', did you mean 'reply.template-dir'?",
        ),
        ("[lor]\nurl = ''", "unknown key 'lor' in 'FILE', did you mean 'lore'?"),
        ("zzzzzzzzzz = 1", "unknown key 'zzzzzzzzzz' in 'FILE'"),
        ("select = 'vma'", "'select' in 'FILE' must be a list of strings"),
        ("select = ['vma', 1]", "'select' in 'FILE' must be a list of strings"),
        ("strict = 'yes'", "'strict' in 'FILE' must be a bool, not 'yes'"),
        ("[reply]\nbudget = true", "'reply.budget' in 'FILE' must be a int, not True"),
        ("lore = 'x'", "'lore' in 'FILE' must be a table"),
    ],
)
def test_what_is_wrong_is_said_with_the_nearest_known_key(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(str(file))
    assert str(caught.value) == said.replace("FILE", str(file))


def test_a_file_that_cannot_be_read_is_one_line(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"^cannot open '{file}': No such file or directory$"):
        load_config(str(file))
    with pytest.raises(ConfigError, match=f"^cannot open '{tmp_path}': Is a directory$"):
        load_config(str(tmp_path))
    file.write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError, match=f"^cannot read '{file}': not UTF-8$"):
        load_config(str(file))
    file.write_text("a = [1")
    with pytest.raises(ConfigError, match=rf"^cannot read '{file}': .*\(at .*\)$"):
        load_config(str(file))
