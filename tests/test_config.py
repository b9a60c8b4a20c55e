# SPDX-License-Identifier: GPL-2.0-or-later
"""reviewbot.config: TOML -> Config, and what is said of a file that is wrong."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from reviewbot.config import (
    AnswersConfig,
    Config,
    ListConfig,
    LoreConfig,
    PatchworkConfig,
    PolicyConfig,
    ReplyConfig,
    SendConfig,
    SourceConfig,
    load_config,
    parse_span,
)
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


# --- the tables of the bot ------------------------------------------------------------------------

SHARED = """\
send = "auto"
per = "series"
wait = "90m"
severity = "error"
confidence = "low"
rfc = true
max-per-series = 4
max-per-list = 5
max-per-author = 6
ignore = ["pin"]
"""
SHARED_VALUES = ("auto", "series", timedelta(minutes=90), "error", "low", True, 4, 5, 6, ("pin",))


def test_every_setting_of_the_bot_is_read(file: Path) -> None:
    file.write_text(
        'tree = "~/linux"\nledger = "/l"\n[reply]\nsalt = "s"\n'
        f'[list."a@example.org"]\nmode = "draft"\n{SHARED}template-dir = "t"\naction-required = true\n'
        f"[policy]\n{SHARED}max-per-day = 7\nunknown-list = 'leave-out'\ncomplete-within = '3h'\nmax-age = '2w'\n"
        "projects = ['p']\nbots = ['b@*']\nopted-out = ['o@*']\nmaintainers = ['m@example.org']\nkill-switch = '/s'\n"
        "[source.one]\ngit = '/g'\nlist = 'a@example.org'\n"
        "[source.two-2]\nlore = 'https://example.org/x/'\noverlap = '45s'\n"
        "[send]\nserver = 'h'\nport = 1\nencryption = 'tls'\nuser = 'u'\npassword-file = '/p'\nca-file = '/c'\n"
        "envelope-from = 'e@example.org'\ntimeout = '5s'\nsign = true\nresend-after = '2d'\nattempts = 3\n"
        "[answers]\ndkim = false\nkeyring = '/k'\n"
        "[patchwork]\nurl = 'https://pw'\nproject = 'p'\ntoken-file = '/t'\ncontext = 'c'\ntarget-url = 'u'\n"
    )
    assert load_config(str(file)) == Config(
        reply=ReplyConfig(salt="s"),
        tree="~/linux",
        ledger="/l",
        policy=PolicyConfig(
            *SHARED_VALUES, 7, "leave-out", timedelta(hours=3), timedelta(days=14), ("p",), ("b@*",), ("o@*",),
            ("m@example.org",), "/s",
        ),
        list={"a@example.org": ListConfig("draft", *SHARED_VALUES, "t", True)},
        source={
            "one": SourceConfig(git="/g", list="a@example.org"),
            "two-2": SourceConfig(lore="https://example.org/x/", overlap=timedelta(seconds=45)),
        },
        send=SendConfig(
            "h", 1, "tls", "u", "/p", "/c", "e@example.org", timedelta(seconds=5), True, timedelta(days=2), 3
        ),
        answers=AnswersConfig(False, "/k"),
        patchwork=PatchworkConfig("https://pw", "p", "/t", "c", "u"),
    )  # fmt: skip


def test_by_default_nothing_is_sent_anywhere() -> None:
    config = Config()
    assert (config.policy.unknown_list, config.policy.send, config.source, config.list) == ("off", "approve", {}, {})
    assert (ListConfig().mode, ListConfig().send) == ("off", "approve")
    assert not config.patchwork.url


def test_what_a_list_does_not_set_is_as_the_policy_has_it_wherever_that_stands(file: Path) -> None:
    lists = '[list."a@example.org"]\nmode = "draft"\nwait = "1h"\n[list."b@example.org"]\nsend = "approve"\n'
    policy = "[policy]\nsend = 'auto'\nwait = '2h'\nseverity = 'error'\n"
    for text in (lists + policy, policy + lists):
        file.write_text(text)
        config = load_config(str(file))
        assert config.list == {
            "a@example.org": ListConfig("draft", send="auto", wait=timedelta(hours=1), severity="error"),
            "b@example.org": ListConfig("off", send="approve", wait=timedelta(hours=2), severity="error"),
        }


def test_what_policy_and_lists_share_has_the_same_defaults() -> None:
    for name in set(PolicyConfig._fields) & set(ListConfig._fields):
        assert getattr(PolicyConfig(), name) == getattr(ListConfig(), name)


def test_a_list_is_known_by_its_address_in_any_case(file: Path) -> None:
    file.write_text('[list."Linux-MM@Example.ORG"]\nmode = "draft"\n')
    assert list(load_config(str(file)).list) == ["linux-mm@example.org"]


LIST = '[list."a@example.org"]\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[polcy]", "unknown key 'polcy' in 'FILE', did you mean 'policy'?"),
        ("[policy]\nmode = 'off'", "unknown key 'policy.mode' in 'FILE'"),
        ("[policy]\nmax_age = '1d'", "unknown key 'policy.max_age' in 'FILE', did you mean 'policy.max-age'?"),
        ("[source.x]\nurl = ''", "unknown key 'source.\"x\".url' in 'FILE'"),
        ("[source.x]\nlists = ''", "unknown key 'source.\"x\".lists' in 'FILE', did you mean 'source.\"x\".list'?"),
        ("[send]\npasword-file = ''", "unknown key 'send.pasword-file' in 'FILE', did you mean 'send.password-file'?"),
        ("[send]\npassword = ''", "unknown key 'send.password' in 'FILE', did you mean 'send.password-file'?"),
        ("[answers]\ndikm = true", "unknown key 'answers.dikm' in 'FILE', did you mean 'answers.dkim'?"),
        ("[patchwork]\ntoken = 'x'", "unknown key 'patchwork.token' in 'FILE', did you mean 'patchwork.token-file'?"),
        (
            LIST + "max-per-serie = 1",
            (
                "unknown key 'list.\"a@example.org\".max-per-serie' in 'FILE', "
                "did you mean 'list.\"a@example.org\".max-per-series'?"
            ),
        ),
        (LIST + "max-per-day = 1", "unknown key 'list.\"a@example.org\".max-per-day' in 'FILE'"),
        (
            LIST + "mode = 'all'",
            "'list.\"a@example.org\".mode' must be one of off, draft, author-only, author+list, not 'all' (in 'FILE')",
        ),
        (LIST + "send = 'yes'", "'list.\"a@example.org\".send' must be one of approve, auto, not 'yes' (in 'FILE')"),
        ("[policy]\nper = 'mail'", "'policy.per' must be one of patch, series, not 'mail' (in 'FILE')"),
        ("[policy]\nseverity = 'never'", "'policy.severity' must be one of error, warning, note, info, not 'never'"),
        ("[policy]\nconfidence = ''", "'policy.confidence' must be one of high, low, not ''"),
        (
            "[policy]\nunknown-list = 'on'",
            "'policy.unknown-list' must be one of off, draft, author-only, ",
        ),
        ("[send]\nencryption = 'ssl'", "'send.encryption' must be one of starttls, tls, none, not 'ssl'"),
        ("fail-on = 'all'", "'fail-on' must be one of error, warning, note, info, never, not 'all'"),
        ("[policy]\nwait = 12", '\'policy.wait\' in \'FILE\' must be a time such as "30m", "12h" or "7d", not 12'),
        ("[policy]\nwait = '12'", "'policy.wait' in 'FILE' must be a time such as"),
        ("[policy]\nwait = '-1h'", "'policy.wait' in 'FILE' must be a time such as"),
        ("[policy]\nwait = '1h30m'", "'policy.wait' in 'FILE' must be a time such as"),
        ("[policy]\nmax-per-day = -1", "'policy.max-per-day' in 'FILE' must not be negative, -1 is"),
        ("[policy]\nmax-per-day = true", "'policy.max-per-day' in 'FILE' must be a int, not True"),
        ("[policy]\nmax-per-day = 1.5", "'policy.max-per-day' in 'FILE' must be a int, not 1.5"),
        ("[policy]\nrfc = 1", "'policy.rfc' in 'FILE' must be a bool, not 1"),
        ("[policy]\nbots = 'b@*'", "'policy.bots' in 'FILE' must be a list of strings"),
        ("policy = 1", "'policy' in 'FILE' must be a table"),
        ("list = ['a@example.org']", "'list' in 'FILE' must hold tables, such as [list.\"NAME\"]"),
        ("[list]\nmode = 'off'", "'list' in 'FILE' must hold tables, such as [list.\"NAME\"]"),
        ("[list.linux-mm]\nmode = 'off'", "'list.\"linux-mm\"' in 'FILE': a list is named by its mail address"),
        ("[source.x]", "'source.x' in 'FILE' needs one of 'git' and 'lore'"),
        ("[source.x]\ngit = 'a'\nlore = 'b'", "'source.x' in 'FILE' needs one of 'git' and 'lore'"),
        ("[source.\"../x\"]\ngit = 'a'", "'source.\"../x\"' in 'FILE': a name has letters, digits, '.', '_' and '-'"),
    ],
)
def test_what_is_wrong_in_a_table_of_the_bot_is_said(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(str(file))
    assert str(caught.value).startswith(said.replace("FILE", str(file)))


def test_a_time_is_a_number_and_a_letter() -> None:
    assert [parse_span(text) for text in ("90s", "30m", "12 h", "7d", "2w", "0s")] == [
        timedelta(seconds=90), timedelta(minutes=30), timedelta(hours=12), timedelta(days=7), timedelta(days=14),
        timedelta(),
    ]  # fmt: skip
    assert [parse_span(text) for text in ("", "h", "1", "1y", "1h ", "-1h", "1.5h", "9999999s", "1h\n")] == [None] * 9


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[policy]\nopted-out = ['Ann <ann@example.org>']",
            "'policy.opted-out' in 'FILE': 'Ann <",
        ),
        ("[policy]\nmaintainers = ['nobody']", "'policy.maintainers' in 'FILE': 'nobody' is no mail address"),
        ("[policy]\nbots = ['bot']", "'policy.bots' in 'FILE': 'bot' is no mail address"),
        ("[policy]\nwait = '8d'", "'policy.wait' must be less than 'policy.max-age'"),
        ("[list.'a@example.org']\nwait = '7d'", "'list.\"a@example.org\".wait' must be less than 'policy.max-age'"),
        ("[send]\nport = 99999", "'send.port' must be a port, not 99999"),
        ("[send]\ntimeout = '0s'", "'send.timeout' must not be nothing"),
        (
            "[patchwork]\nurl = 'https://example.org'\nproject = 'x'",
            "'patchwork' in 'FILE' needs url, project and token-file",
        ),
        ("[source.x]\ngit = 'x'\nlist = 'x'", "'source.x.list' in 'FILE': 'x' is no mail address"),
    ],
)
def test_what_cannot_be_meant_is_said_when_it_is_read(file: Path, text: str, said: str) -> None:
    file.write_text(text + "\n")
    with pytest.raises(ConfigError) as raised:
        load_config(str(file))
    assert str(raised.value).startswith(said.replace("FILE", str(file)))
