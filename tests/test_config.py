# SPDX-License-Identifier: GPL-2.0-or-later
"""reviewbot.config: TOML -> Config, and what is said of a file that is wrong."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviewbot.config import (
    AnswersConfig,
    Config,
    ListConfig,
    LoreConfig,
    PatchworkConfig,
    PathConfig,
    PolicyConfig,
    ReplyConfig,
    SendConfig,
    SourceConfig,
    ToolConfig,
    TreeFile,
    explain_config,
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


def test_branches_are_the_users_and_no_trees(file: Path) -> None:
    names = (
        "mm-unstable",
        "linux-next/master",
        "refs/remotes/akpm/mm-new",
        "next-20241125",
        "v6.12",
        "0123abcd",
        "a+b_c",
    )
    file.write_text(f"branches = {list(names)}")
    assert load_config(str(file)).branches == names
    assert load_config(str(file), ["branches=mm-stable, x/y"]).branches == ("mm-stable", "x/y")
    with pytest.raises(ConfigError, match=r"'branches' in '\.reviewbot\.toml' line 1 is not for a tree to set"):
        load_config(str(file), (), TreeFile(".reviewbot.toml", "branches = ['x']"))


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
        ("branches = ['mm-unstable', '--all']", "'branches' in 'FILE': '--all' is no name of a branch"),
        ("branches = ['a..b']", "'branches' in 'FILE': 'a..b' is no name of a branch"),
        ("branches = ['HEAD^{/x}']", "'branches' in 'FILE': 'HEAD^{/x}' is no name of a branch"),
        ("branches = ['']", "'branches' in 'FILE': '' is no name of a branch"),
        ("branches = 'mm-unstable'", "'branches' in 'FILE' must be a list of strings"),
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


# --- the tables of the author's side --------------------------------------------------------------


def test_every_setting_of_paths_tools_rules_and_baseline_is_read(file: Path) -> None:
    file.write_text(
        "rules = ['~/rules', '/r']\nbaseline = 'known.txt'\n"
        "[per-path.'drivers/staging/']\nselect = ['vma']\nignore = ['pin', 'ML01']\n[per-path.'*.h']\n"
        "[tool.sparse]\ncommand = 'sparse -Wall'\nreads = 'b4'\non = 'files'\ncheckout = 'tree'\nsuffixes = ['.c']\n"
        "always = false\ntimeout = '90s'\n[tool.check-patch]\ncommand = 'checkpatch.pl -'\n"
    )
    assert load_config(str(file)) == Config(
        rules=("~/rules", "/r"),
        baseline="known.txt",
        per_path={"drivers/staging/": PathConfig(("vma",), ("pin", "ML01")), "*.h": PathConfig()},
        tool={
            "sparse": ToolConfig("sparse -Wall", "b4", "files", "tree", (".c",), False, timedelta(seconds=90)),
            "check-patch": ToolConfig("checkpatch.pl -"),
        },
    )
    assert ToolConfig("x") == ToolConfig("x", "gcc", "patch", "files", (".c", ".h"), True, timedelta(minutes=5))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.x]", "'tool.x' in 'FILE' needs a command"),
        ("[tool.x]\ncommand = ' '", "'tool.x' in 'FILE' needs a command"),
        ("[tool.x]\ncommand = ['a']", "'tool.\"x\".command' in 'FILE' must be a str, not ['a']"),
        (
            "[tool.x]\ncommand = 'x'\nreads = 'xml'",
            "'tool.\"x\".reads' must be one of gcc, checkpatch, diff, b4, not 'xml'",
        ),
        ("[tool.x]\ncommand = 'x'\non = 'hunk'", "'tool.\"x\".on' must be one of patch, files, series, not 'hunk'"),
        ("[tool.x]\ncommand = 'x'\ncheckout = ''", "'tool.\"x\".checkout' must be one of files, tree, not ''"),
        ("[tool.x]\ncommand = 'x'\ntimeout = '0s'", "'tool.x.timeout' must not be nothing (in 'FILE')"),
        ("[tool.x]\ncomand = 'x'", "unknown key 'tool.\"x\".comand' in 'FILE', did you mean 'tool.\"x\".command'?"),
        ("[tool.'../x']\ncommand = 'x'", "'tool.\"../x\"' in 'FILE': a name has letters, digits, '.', '_' and '-'"),
        ("[per-path]\nignore = ['x']", "'per-path' in 'FILE' must hold tables, such as [per-path.\"NAME\"]"),
        (
            "[per-path.x]\nignores = []",
            "unknown key 'per-path.\"x\".ignores' in 'FILE', did you mean 'per-path.\"x\".ig",
        ),
        ("[per-path.'/etc/*']", "'per-path.\"/etc/*\"' in 'FILE' must not be absolute: paths begin at the tree's top"),
        ("[per-path.'~/x']", "'per-path.\"~/x\"' in 'FILE' must not be absolute"),
        ("[per-path.'mm/../fs/*']", "'per-path.\"mm/../fs/*\"' in 'FILE' must be a path as git writes it"),
        ("[per-path.'..']", "'per-path.\"..\"' in 'FILE' must be a path as git writes it"),
        ("[per-path.'./mm/']", "'per-path.\"./mm/\"' in 'FILE' must be a path as git writes it"),
        ("[per-path.'mm//x']", "'per-path.\"mm//x\"' in 'FILE' must be a path as git writes it"),
        ("[per-path.'']", "'per-path.\"\"' in 'FILE' must have 1 to 256 characters"),
        ('[per-path."a\\u001bb"]', "'per-path.\"a\x1bb\"' in 'FILE' must not have control characters"),
        ("\n".join(f"[per-path.a{n}]" for n in range(201)), "'per-path' in 'FILE' has more than 200 tables"),
        ("rules = 'x'", "'rules' in 'FILE' must be a list of strings"),
    ],
)
def test_what_is_wrong_in_a_table_of_the_author_is_said(file: Path, text: str, said: str) -> None:
    file.write_text(text + "\n")
    with pytest.raises(ConfigError) as caught:
        load_config(str(file))
    assert str(caught.value).startswith(said.replace("FILE", str(file)))


def test_a_glob_may_have_dots_in_its_names_and_a_slash_at_its_end(file: Path) -> None:
    globs = ["drivers/*/a..b.c", "x/", "**/x.c", "a/**", ".clang-format", "[!a]*"]
    file.write_text("".join(f"[per-path.'{glob}']\n" for glob in globs))
    assert list(load_config(str(file)).per_path) == globs


# --- the tree's own file --------------------------------------------------------------------------


def of_tree(text: str) -> TreeFile:
    return TreeFile(".reviewbot.toml", text)


def test_a_tree_adds_to_what_is_ignored_and_replaces_what_is_selected(file: Path) -> None:
    file.write_text("select = ['vma']\nignore = ['pin', 'gup']\nstrict = true\n")
    config = load_config(str(file), (), of_tree("select = ['mmap-lock']\nignore = ['gup', 'ML01']\n"))
    assert (config.select, config.ignore, config.strict) == (("mmap-lock",), ("pin", "gup", "ML01"), True)
    assert load_config(str(file), (), of_tree("")) == load_config(str(file))


def test_a_trees_paths_are_joined_with_the_users_in_the_same_way(file: Path) -> None:
    file.write_text("[per-path.'mm/']\nselect = ['vma']\nignore = ['pin']\n[per-path.'fs/']\nignore = ['gup']\n")
    tree = of_tree("[per-path.'mm/']\nselect = ['gup']\nignore = ['ML01']\n[per-path.'net/']\nignore = ['vma']\n")
    assert load_config(str(file), (), tree).per_path == {
        "mm/": PathConfig(("gup",), ("pin", "ML01")),
        "fs/": PathConfig((), ("gup",)),
        "net/": PathConfig((), ("vma",)),
    }


def test_a_tree_needs_no_file_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    assert load_config(None, (), of_tree("ignore = ['pin']")) == Config(ignore=("pin",))


@pytest.mark.parametrize(
    "key", sorted({name.replace("_", "-") for name in Config._fields} - {"select", "ignore", "per-path"})
)
def test_a_tree_sets_nothing_but_what_is_shown_of_it(file: Path, key: str) -> None:
    file.write_text("")
    value = getattr(Config(), key.replace("-", "_"))
    table = isinstance(value, dict) or hasattr(value, "_fields")
    for text in (f"ignore = []\n{key} = []\n", f"ignore = []\n[{key}.x]\n" if table else f"\n'{key}' = 1\n"):
        with pytest.raises(ConfigError) as caught:
            load_config(str(file), (), of_tree(text))
        assert str(caught.value) == (
            f"'{key}' in '.reviewbot.toml' line 2 is not for a tree to set: put it into ~/.config/reviewbot/config.toml"
        )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# all\n\nignor = []", "unknown key 'ignor' in '.reviewbot.toml' line 3, did you mean 'ignore'?"),
        ("trees = ''", "unknown key 'trees' in '.reviewbot.toml' line 1: a tree may set select, ignore, per-path"),
        ("[list.a]\n[list.b]", "'list' in '.reviewbot.toml' line 1 is not for a tree to set"),
        ("per_path = {}", "unknown key 'per_path' in '.reviewbot.toml' line 1, did you mean 'per-path'?"),
        ("ignore = []\nselect = 'vma'", "'select' in '.reviewbot.toml' line 2 must be a list of strings"),
        (
            "ignore = [\n'a',\n# b\n]\n[per-path.x]\nignore = [\n]\nselekt = ['vma']",
            "unknown key 'per-path.\"x\".selekt' in '.reviewbot.toml' line 8, did you mean 'per-path.\"x\".select'?",
        ),
        ("[per-path]\n'/x'.ignore = []", "'per-path.\"/x\"' in '.reviewbot.toml' line 2 must not be absolute"),
        ("\n[per-path.'a/../b']", "'per-path.\"a/../b\"' in '.reviewbot.toml' line 2 must be a path as git writes it"),
        ("ignore = ['a'", "cannot read '.reviewbot.toml': "),
        ("ignore = [1" + "0" * 5000 + "]", "cannot read '.reviewbot.toml': "),
        ("ignore = " + "[" * 30000, "cannot read '.reviewbot.toml': nested too deep"),
        ("ignore = []\n" + ".".join("a" * 300) + " = 1", "'.reviewbot.toml' line 2 has more than 256 dots"),
        ("#" * 65537, "'.reviewbot.toml' is too large: a tree's may have 64 KiB"),
        ("# " + "ä" * 40000, "'.reviewbot.toml' is too large: a tree's may have 64 KiB"),
        ("[[ignore]]\nselect = []", "'ignore' in '.reviewbot.toml' line 1 must be a list of strings"),
        ("x" * 5000 + " = 1", f"unknown key '{'x' * 100}' in '.reviewbot.toml' line 1: a tree may set"),
    ],
)
def test_what_is_wrong_in_a_trees_file_is_said_with_its_line(file: Path, text: str, said: str) -> None:
    file.write_text("select = ['vma']\n")
    with pytest.raises(ConfigError) as caught:
        load_config(str(file), (), of_tree(text))
    assert str(caught.value).startswith(said)
    assert len(str(caught.value)) < 400


def test_a_trees_file_of_the_largest_size_is_read(file: Path) -> None:
    file.write_text("")
    text = "ignore = ['pin']\n"
    text += "#" * (64 * 1024 - len(text))
    assert load_config(str(file), (), of_tree(text)).ignore == ("pin",)


def test_the_line_of_a_key_is_found_behind_all_that_toml_allows(file: Path) -> None:
    file.write_text(
        "# [policy]\n"
        "ledger = '''\n"
        "[policy]\n"
        "wait = 1\n"
        "'''\n"
        "select = [ # ]\n"
        "  'a',\n"
        "]\n"
        "policy = {wait = '1h', rfc = true}\n"
        'list."A@example.org".mode = "draft"\n'
        "[ source . one ]\r\n"
        "git = 'x'\r\n"
    )
    _, found = explain_config(str(file))
    assert {".".join(key): one.origins[0].line for key, one in found.items()} == {
        "ledger": 2,
        "select": 6,
        "policy.wait": 9,
        "policy.rfc": 9,
        "list.a@example.org": 10,
        "list.a@example.org.mode": 10,
        "source.one": 11,
        "source.one.git": 12,
    }


# --- one setting at a time ------------------------------------------------------------------------

LISTED = '[list."a@example.org"]\nmode = "draft"\n'


@pytest.mark.parametrize(
    ("setting", "config"),
    [
        ("strict=true", Config(strict=True)),
        ("reply.per=series", Config(reply=ReplyConfig(per="series"))),
        (' reply.per = "series" ', Config(reply=ReplyConfig(per="series"))),
        ("reply.budget=3", Config(reply=ReplyConfig(budget=3))),
        ("reply.salt=3", Config(reply=ReplyConfig(salt="3"))),
        ("reply.docs=a=b", Config(reply=ReplyConfig(docs="a=b"))),
        ("reply.docs=", Config(reply=ReplyConfig())),
        ("reply.docs='a\nsalt = 1", Config(reply=ReplyConfig(docs="'a\nsalt = 1"))),
        ("policy.wait=6h", Config(policy=PolicyConfig(wait=timedelta(hours=6)))),
        ("policy.wait='6h'", Config(policy=PolicyConfig(wait=timedelta(hours=6)))),
        ("policy={wait='6h', rfc=true}", Config(policy=PolicyConfig(wait=timedelta(hours=6), rfc=True))),
        ("ignore=pin,gup", Config(ignore=("pin", "gup"))),
        ("ignore= pin , gup,", Config(ignore=("pin", "gup"))),
        ('ignore=["pin", "gup"]', Config(ignore=("pin", "gup"))),
        ("ignore=[pin,gup]", Config(ignore=("pin", "gup"))),
        ("ignore='pin,gup'", Config(ignore=("pin", "gup"))),
        ("ignore=", Config()),
        ('list."A@example.org".mode=draft', Config(list={"a@example.org": ListConfig("draft")})),
        ("list.'a@example.org'.mode=draft", Config(list={"a@example.org": ListConfig("draft")})),
        ("list.a@example.org.mode=draft", Config(list={"a@example.org": ListConfig("draft")})),
        ('list."a@example.org"={mode="draft"}', Config(list={"a@example.org": ListConfig("draft")})),
        ("per-path.drivers/x.y/*.c.ignore=pin", Config(per_path={"drivers/x.y/*.c": PathConfig((), ("pin",))})),
        ('per-path."a=b".ignore=pin', Config(per_path={"a=b": PathConfig((), ("pin",))})),
        ("per-path.it's.ignore=pin", Config(per_path={"it's": PathConfig((), ("pin",))})),
        ("tool.x.command=sparse -D'A=1'", Config(tool={"x": ToolConfig("sparse -D'A=1'")})),
    ],
)
def test_a_setting_is_named_as_in_the_file_and_needs_no_quotes(file: Path, setting: str, config: Config) -> None:
    file.write_text("")
    assert load_config(str(file), [setting]) == config


def test_of_several_settings_the_last_wins_and_all_win_over_the_files(file: Path) -> None:
    file.write_text("ignore = ['pin']\nselect = ['vma']\nfail-on = 'error'\n[per-path.x]\nignore = ['vma']\n")
    tree = of_tree("ignore = ['gup']\nselect = ['gup']\n[per-path.x]\nignore = ['gup']\n")
    words = ["ignore=ML01", "fail-on=note", "fail-on=never", "per-path.x.ignore=pin"]
    config = load_config(str(file), words, tree)
    assert (config.ignore, config.select, config.fail_on) == (("ML01",), ("gup",), "never")
    assert config.per_path == {"x": PathConfig((), ("pin",))}
    assert load_config(str(file), ["ignore="], tree).ignore == ()


def test_what_a_list_does_not_set_is_as_the_last_layer_has_it_in_policy(file: Path) -> None:
    file.write_text(LISTED + '[list."b@example.org"]\nwait = "3h"\n[policy]\nwait = "2h"\nrfc = true\n')
    config = load_config(str(file), ["policy.wait=6h", "list.c@example.org.mode=off"])
    assert {name: (one.wait.seconds // 3600, one.rfc) for name, one in config.list.items()} == {
        "a@example.org": (6, True),
        "b@example.org": (3, True),
        "c@example.org": (6, True),
    }


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("selekt=a", "unknown key 'selekt' in -c, did you mean 'select'?"),
        ("policy.wiat=6h", "unknown key 'policy.wiat' in -c, did you mean 'policy.wait'?"),
        ("list.a@example.org.mod=off", "unknown key 'list.\"a@example.org\".mod' in -c, did you mean 'list.\"a@exa"),
        ("policy.wait=soon", '\'policy.wait\' in -c must be a time such as "30m", "12h" or "7d", not \'soon\''),
        ("policy.wait=6", '\'policy.wait\' in -c must be a time such as "30m", "12h" or "7d", not \'6\''),
        ("policy.wait=30d", "'policy.wait' must be less than 'policy.max-age' (in -c)"),
        ("policy.max-age=1h", "'policy.wait' must be less than 'policy.max-age' (in -c)"),
        ("policy.severity=bad", "'policy.severity' must be one of error, warning, note, info, not 'bad' (in -c)"),
        ("strict=yes", "'strict' in -c must be a bool, not 'yes'"),
        ("reply.budget=many", "'reply.budget' in -c must be a int, not 'many'"),
        ("reply.budget=-1", "'reply.budget' in -c must not be negative, -1 is"),
        ("ignore=[1, 2]", "'ignore' in -c must be a list of strings"),
        ("policy=6h", "'policy' in -c must be a table"),
        ("list.mode=off", "'list' in -c must hold tables, such as [list.\"NAME\"]"),
        ("list=off", "'list' in -c must hold tables, such as [list.\"NAME\"]"),
        ("select.x=1", "'select' in -c must be a list of strings"),
        ("strict", "-c 'strict' sets nothing: 'strict=VALUE' is expected"),
        ("=1", "-c '=1' sets nothing: 'key=VALUE' is expected"),
        ("", "-c '' sets nothing: 'key=VALUE' is expected"),
        ("per-path./etc.ignore=pin", "'per-path.\"/etc\"' in -c must not be absolute"),
        ("tool.x.always=true", "'tool.x' in -c needs a command"),
    ],
)
def test_what_is_wrong_in_a_setting_is_said_of_it(file: Path, setting: str, said: str) -> None:
    file.write_text("[policy]\nwait = '2h'\n")
    with pytest.raises(ConfigError) as caught:
        load_config(str(file), ["fail-on=error", setting])
    assert str(caught.value).startswith(said)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.text(max_size=40), st.text(max_size=40))
def test_no_words_of_a_setting_or_a_tree_do_more_than_be_refused(setting: str, text: str) -> None:
    for prefix in ("", "per-path.", "list.x@y.", "ignore=", "policy.wait="):
        with suppress(ConfigError):
            load_config("/dev/null", [prefix + setting])
        with suppress(ConfigError):
            load_config("/dev/null", (), of_tree(prefix + text))
