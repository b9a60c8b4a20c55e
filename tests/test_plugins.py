# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules of others: installed distributions (the one in tests/plugin, for real) and the user's own directories.

Belongs here: that they are found, run and remembered, and what is said of those that cannot be. Does not belong here:
our own rules (test_registry.py), and where the configuration names directories (test_config.py).
"""

from __future__ import annotations

import compileall
import json
import marshal
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import pytest
from pages import View, blocks, differences, run

from reviewbot import registry
from reviewbot.model import ConfigError, NotFoundError
from reviewbot.registry import find, load, origin
from reviewbot.rule import Rule

ROOT = Path(__file__).resolve().parents[1]
PLUGIN = ROOT / "tests" / "plugin"

RULE = '''"""A word is said."""
from reviewbot.model import Severity
from reviewbot.rule import Report, code_rule

@code_rule(Severity.{severity}, id="{id}", words=("lumen_get",))
def check(code):
    for call in code.calls("lumen_get"):
        yield Report(call.tokens, "{message}")
'''
PATCH = """\
From: Ann Author <ann@example.org>
Subject: [PATCH] lumen: reset at once
Message-ID: <plug-in@example.org>
Date: Mon, 14 Sep 2026 08:12:00 +0000

Signed-off-by: Ann Author <ann@example.org>
---
 drivers/misc/lumen.c | 1 +

diff --git a/drivers/misc/lumen.c b/drivers/misc/lumen.c
--- a/drivers/misc/lumen.c
+++ b/drivers/misc/lumen.c
@@ -8,3 +8,4 @@ static irqreturn_t lumen_irq(int irq, void *data)
 {
+\tlumen_reset_now(data);
 \treturn IRQ_HANDLED;
 }
"""


def rule(severity: str = "WARNING", number: str = "XX01", message: str = "said") -> str:
    """The text of a rule that reports each call of lumen_get()."""
    return RULE.format(severity=severity, id=number, message=message)


def write(directory: Path, files: Mapping[str, str]) -> Path:
    """Python files of a directory, by their paths without .py."""
    for name, text in files.items():
        path = directory / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


def distribution(site: Path, name: str, package: str, files: Mapping[str, str], points: str | None = None) -> None:
    """What an installer leaves of a plug-in, without one."""
    write(site / package, {"__init__": "", **files})
    info = site / f"{name.replace('-', '_')}-0.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.3\n")
    (info / "entry_points.txt").write_text(f"[reviewbot.checks]\n{points or f'lumen = {package}'}\n")


# -- in this process ----------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def forgetful(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is known from another test, nothing is noted beside the package, and sys.path is as it was."""
    notes = str(tmp_path_factory.mktemp("notes"))
    monkeypatch.setattr(registry, "_places", lambda: iter([(notes, True)]))
    before = set(sys.modules)
    _forget()
    yield
    _forget()
    for name in set(sys.modules) - before:
        if name.partition(".")[0].startswith(("plug_", "lumen_rules", "reviewbot_rules_")):
            del sys.modules[name]
    registry._top.cache_clear()


def _forget() -> None:
    registry._load.cache_clear()
    registry._evidence.cache_clear()
    registry._loaded.clear()


def of_others(*directories: Path | str) -> list[Rule]:
    """The rules that are not ours."""
    return [known for known in load([str(directory) for directory in directories]) if origin(known) != "reviewbot"]


def refusal(*directories: Path | str) -> str:
    """The one line that is said instead of loading the rules."""
    with pytest.raises(ConfigError) as caught:
        load([str(directory) for directory in directories])
    assert caught.value.exit_code == 2
    text = str(caught.value)
    assert "\n" not in text
    return text


def said(rules: Sequence[Rule], text: str) -> list[tuple[str, str]]:
    """(rule, message) of all findings and failures in a block as a page has it."""
    (block,) = blocks("lumen/page", f"```diff\n@@ static int lumen_run(void)\n{text}```\n")
    reviewed = run(rules, block, View.HUNK)
    return [(f.rule, f.message) for f in reviewed.findings] + [(e.rule or "", e.message) for e in reviewed.errors]


def test_a_rule_directory_is_laid_out_as_our_own(tmp_path: Path) -> None:
    write(tmp_path, {"lumen/get_twice": rule(), "glow/dim": rule(number="XX02", message="dimmed")})
    rules = of_others(tmp_path)
    assert [(r.name, r.id, r.summary, origin(r)) for r in rules] == [
        ("glow/dim", "XX02", "A word is said", str(tmp_path)),
        ("lumen/get-twice", "XX01", "A word is said", str(tmp_path)),
    ]
    assert said(rules, "+\tlumen_get();\n") == [("glow/dim", "dimmed"), ("lumen/get-twice", "said")]
    assert find("xx01", [str(tmp_path)]).name == "lumen/get-twice"
    assert find("glow/dim", [str(tmp_path)]).id == "XX02"


def test_our_rules_are_there_with_and_without_others(tmp_path: Path) -> None:
    ours = [known.name for known in load()]
    write(tmp_path, {"aaa/first": rule()})
    assert ours
    assert [known.name for known in load([str(tmp_path)])] == [*ours, "aaa/first"]
    assert origin(load()[0]) == "reviewbot"


def test_a_rule_directory_imports_what_is_beside_it(tmp_path: Path) -> None:
    text = rule().replace('"said"', "WORD + OTHER").replace("\n", "\nfrom ._words import WORD\n", 1)
    files = {
        "lumen/get_twice": text.replace("\n", "\nfrom .._shared import OTHER\n", 1),
        "lumen/_words": "WORD = 'so '\n",
        "_shared": "OTHER = 'be it'\n",
    }
    write(tmp_path, files)
    assert said(of_others(tmp_path), "+\tlumen_get();\n") == [("lumen/get-twice", "so be it")]


def test_two_directories_may_have_helpers_of_the_same_name(tmp_path: Path) -> None:
    text = rule().replace('"said"', "WORD").replace("\n", "\nfrom ._words import WORD\n", 1)
    write(tmp_path / "a", {"lumen/one": text, "lumen/_words": "WORD = 'first'\n"})
    write(tmp_path / "b", {"lumen/two": text.replace("XX01", "XX02"), "lumen/_words": "WORD = 'second'\n"})
    rules = of_others(tmp_path / "a", tmp_path / "b")
    assert said(rules, "+\tlumen_get();\n") == [("lumen/one", "first"), ("lumen/two", "second")]


def test_a_directory_that_is_named_twice_counts_once(tmp_path: Path) -> None:
    write(tmp_path / "rules", {"lumen/one": rule()})
    (tmp_path / "link").symlink_to(tmp_path / "rules")
    assert len(of_others(tmp_path / "rules", f"{tmp_path}/rules/", tmp_path / "link")) == 1


def test_a_tilde_is_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "rules", {"lumen/one": rule()})
    assert [known.name for known in of_others("~/rules")] == ["lumen/one"]


def test_what_is_no_family_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path, {"lumen/one": rule(), "_private/two": "nonsense(", "_hooks": "nonsense("})
    (tmp_path / ".git" / "hooks").mkdir(parents=True)
    (tmp_path / ".git" / "x.py").write_text("nonsense(")
    (tmp_path / "Documentation").mkdir()
    (tmp_path / "README.md").write_text("text")
    (tmp_path / "lumen" / ".#one.py").symlink_to("user@host.4711")  # an editor's lock
    assert [known.name for known in of_others(tmp_path)] == ["lumen/one"]


def test_an_empty_rule_directory_is_none(tmp_path: Path) -> None:
    assert of_others(tmp_path) == []


def test_a_rule_is_known_once_it_was_loaded(tmp_path: Path) -> None:
    ours = load()[0]
    assert registry.known("lumen/one") is None
    assert registry.known(ours.name) == ours
    write(tmp_path, {"lumen/one": rule()})
    (loaded,) = of_others(tmp_path)
    assert registry.known("lumen/one") == loaded
    registry._loaded.clear()
    registry._load.cache_clear()
    assert registry.known(ours.name)


@pytest.mark.parametrize("given", ["rules", "./rules", "../rules", ""])
def test_a_rule_directory_is_never_looked_for_below_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    write(tmp_path / "rules", {"lumen/one": rule()})
    monkeypatch.chdir(tmp_path)
    assert refusal(given) == f"'{given}' in 'rules' is not a whole path: it must begin with '/' or '~/'"


def test_a_rule_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    text = refusal(tmp_path / "none")
    assert f"cannot open '{tmp_path}/none': No such file or directory; make it, or take" in text
    (tmp_path / "file").write_text("")
    assert f"cannot open '{tmp_path}/file': Not a directory" in refusal(tmp_path / "file")


def test_a_rule_in_no_family_is_told_where_it_belongs(tmp_path: Path) -> None:
    write(tmp_path, {"some_rule": rule()})
    assert refusal(tmp_path) == f"'{tmp_path}/some_rule.py' is in no family: a rule is '{tmp_path}/<family>/<rule>.py'"


@pytest.mark.parametrize("name", ["Lumen", "lumen-drop", "lu men", "9lumen", "lümen", "lu\x1b[31mmen"])
def test_a_family_or_rule_that_could_not_be_named_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path / "a" / name, {"one": rule()})
    assert f"'{tmp_path}/a/{name}' is no family's name: it may have small letters" in refusal(tmp_path / "a")
    write(tmp_path / "b" / "lumen", {name: rule()})
    assert f"'{tmp_path}/b/lumen/{name}.py' is no rule's name: it may have small letters" in refusal(tmp_path / "b")


BROKEN = {
    "def check(:\n": "SyntaxError: invalid syntax ('{file}' line 1)",
    '"""Says."""\nimport no_such_module\n': "ModuleNotFoundError: No module named 'no_such_module' ('{file}' line 2)",
    '"""Says."""\n\nraise SystemExit(0)\n': "SystemExit: 0 ('{file}' line 3)",
    '"""Says."""\nraise BaseException("odd")\n': "BaseException: odd ('{file}' line 2)",
    '"""Says."""\nraise GeneratorExit\n': "GeneratorExit: ('{file}' line 2)",
    '"""Says."""\nraise ValueError("a\\nb")\n': "ValueError: a b ('{file}' line 2)",
    "from ._broken import WORDS\n": "NameError: name 'nothing' is not defined ('{directory}/lumen/_broken.py' line 2)",
    rule().replace('id="XX01"', 'id="XX01", since="new"'): "ValueError: ",
    rule().replace("Severity.WARNING, ", ""): "TypeError: ",
    '"""Says."""\n': "'{file}' has no 'check' made by @code_rule (a helper's name begins with '_')",
    '"""Says."""\ndef check(code):\n    yield\n': "'{file}' has no 'check' made by @code_rule",
    rule(number="x-1"): "the id 'x-1' is not of capitals and digits, such as XY01",
    rule(number=""): "the id '' is not of capitals and digits",
    rule().replace('("lumen_get",)', "()"): "'words' must hold the words without which it cannot find anything",
    rule().replace('("lumen_get",)', "(1,)"): "'words' must hold the words",
    rule().replace("A word is said.", ""): "the module's docstring must say in a line what is wrong",
    rule().replace('id="XX01"', 'id="XX01", needs="luck"'): "it needs 'luck', which is none of diff, file and tree",
    rule().replace("Severity.WARNING", "'awful'"): "'awful' is not a valid Severity",
    rule().replace('id="XX01"', 'id="XX01", scope="mm/"'): "declares what it cannot be: ",
    rule().replace('id="XX01"', 'id="XX01", build=object()'): "declares what it cannot be: ",
}


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_a_rule_that_cannot_be_loaded_is_one_line_with_the_cause_and_the_way_out(tmp_path: Path, text: str) -> None:
    write(tmp_path, {"lumen/some_rule": text, "lumen/_broken": "\nnothing\n"})
    line = refusal(tmp_path)
    expected = BROKEN[text].format(file=f"{tmp_path}/lumen/some_rule.py", directory=tmp_path)
    assert expected in line
    assert str(tmp_path / "lumen") in line
    assert line.endswith(f"; mend it, or take '{tmp_path}' out of 'rules'")


def test_a_name_or_an_id_of_ours_is_taken(tmp_path: Path) -> None:
    ours = load()[0]
    family, stem = ours.name.replace("-", "_").split("/")
    write(tmp_path / "a" / family, {stem: rule()})
    assert refusal(tmp_path / "a").startswith(
        f"'{ours.name}' names two rules: '{ours.name}' of reviewbot and '{ours.name}' of {tmp_path}/a; "
    )
    write(tmp_path / "b", {"lumen/one": rule(number=ours.id)})
    assert refusal(tmp_path / "b").startswith(
        f"'{ours.id}' names two rules: '{ours.name}' of reviewbot and 'lumen/one' of {tmp_path}/b; "
    )


def test_two_plug_ins_cannot_have_the_same_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution(tmp_path / "site", "Glow-Rules", "plug_glow", {"one": rule()})
    monkeypatch.syspath_prepend(tmp_path / "site")
    write(tmp_path / "a", {"lumen/one": rule(number="XX02")})
    write(tmp_path / "b", {"lumen/two": rule(number="XX01")})
    assert refusal(tmp_path / "a").startswith(
        f"'lumen/one' names two rules: 'lumen/one' of Glow-Rules 0.3 and 'lumen/one' of {tmp_path}/a; mend it, or take"
    )
    assert refusal(tmp_path / "b").startswith(
        f"'XX01' names two rules: 'lumen/one' of Glow-Rules 0.3 and 'lumen/two' of {tmp_path}/b; mend it, or take"
    )


def test_families_of_different_plug_ins_may_have_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution(tmp_path / "site", "glow-rules", "plug_shared", {"one": rule()})
    monkeypatch.syspath_prepend(tmp_path / "site")
    write(tmp_path / "a", {"lumen/two": rule(number="XX02")})
    assert [(known.name, origin(known)) for known in of_others(tmp_path / "a")] == [
        ("lumen/one", "glow-rules 0.3"),
        ("lumen/two", str(tmp_path / "a")),
    ]


def test_a_rule_is_of_the_family_that_the_entry_point_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution(tmp_path, "deep", "plug_deep", {"rules/some_rule": rule()}, "glow_worm = plug_deep.rules")
    monkeypatch.syspath_prepend(tmp_path)
    assert [known.name for known in of_others()] == ["glow-worm/some-rule"]
    assert said(of_others(), "+\tlumen_get();\n") == [("glow-worm/some-rule", "said")]


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ("lumen = plug_none", "cannot load the rules 'lumen' of glow-rules 0.3: ModuleNotFoundError: No module named"),
        ("lumen = plug_bad._module", "the rules 'lumen' of glow-rules 0.3 are in 'plug_bad._module', which is no pack"),
        ("lumen = plug_bad:check", "cannot load the rules 'lumen' of glow-rules 0.3: ModuleNotFoundError"),
        ("Lumen = plug_bad", "glow-rules 0.3 has a rule family 'Lumen': it may have small letters, digits and '_'"),
        ("reviewbot = plug_bad", "'{file}' is in the family 'reviewbot', which is taken; mend it, or"),
        ("lumen/x = plug_bad", "glow-rules 0.3 has a rule family 'lumen/x': it may have small letters"),
        ("lumen = plug_bad", "cannot load rule 'lumen/bad' of glow-rules 0.3: NameError: name 'nothing' is not def"),
    ],
)
def test_a_plug_in_that_cannot_be_loaded_is_named_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, expected: str
) -> None:
    distribution(tmp_path, "glow-rules", "plug_bad", {"_module": "", "bad": "nothing\n"}, point)
    monkeypatch.syspath_prepend(tmp_path)
    line = refusal()
    assert line.startswith(expected.format(file=tmp_path / "plug_bad" / "bad.py"))
    assert line.endswith("; mend it, or uninstall glow-rules")


def test_a_rule_that_raises_costs_only_itself(tmp_path: Path) -> None:
    files = {
        "lumen/fine": rule(),
        "lumen/raises": rule(number="XX02").replace("yield", "assert code is None, 'no luck'\n        yield"),
        "lumen/late": rule(number="XX03").replace("for call", "import no_such_module\n    for call"),
    }
    write(tmp_path, files)
    path = "drivers/misc/lumen/lumen.c"
    assert said(of_others(tmp_path), "+\tlumen_get();\n") == [
        ("lumen/fine", "said"),
        ("lumen/late", f"rule lumen/late failed on {path}: ModuleNotFoundError: No module named 'no_such_module'"),
        ("lumen/raises", f"rule lumen/raises failed on {path}: AssertionError: no luck"),
    ]


def test_a_rule_without_a_page_says_so(tmp_path: Path) -> None:
    write(tmp_path, {"lumen/one": rule()})
    (known,) = of_others(tmp_path)
    assert not registry.has_page(known)
    with pytest.raises(NotFoundError, match=r"rule 'lumen/one' has no page: cannot open '.*/lumen/one\.md': No such"):
        registry.page(known)
    (tmp_path / "lumen" / "one.md").write_text("# lumen/one\n")
    assert registry.has_page(known)
    assert registry.page(known) == "# lumen/one\n"


def test_evidence_of_others_is_about_their_own_rules(tmp_path: Path) -> None:
    write(tmp_path, {"lumen/one": rule()})
    ours = registry.evidence()
    assert registry.evidence([str(tmp_path)]) == ours
    registry._evidence.cache_clear()
    file = tmp_path / "lumen" / "evidence.toml"
    file.write_text('[["lumen/one"]]\nwhere = "here"\nhits = 2\nright = 1\nwrong = 1\n')
    assert registry.evidence([str(tmp_path)]) == {**ours, "lumen/one": (registry.Evidence("here", 2, 1, 1),)}
    for text, expected in (
        (f'[["{next(iter(ours))}"]]\nwhere = "here"\nhits = 9\nright = 9\nwrong = 0\n', "which is no rule beside it"),
        ('[["lumen/one"]]\nwho = "me"\n', "TypeError"),
        ("nonsense\n", "TOMLDecodeError"),
        ("lumen = 3\n", "TypeError"),
    ):
        registry._evidence.cache_clear()
        file.write_text(text)
        with pytest.raises(ConfigError, match=expected) as caught:
            registry.evidence([str(tmp_path)])
        assert str(file) in str(caught.value)
        assert "\n" not in str(caught.value)


# -- installed, and seen by new processes -------------------------------------------------------------------------


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory into which pip has installed the plug-in of tests/plugin."""
    try:
        version("pip")
        able = tuple(map(int, version("setuptools").split(".")[:2])) >= (70, 1)  # the first that builds wheels itself
    except PackageNotFoundError:
        able = False
    if not able and not os.environ.get("REVIEWBOT_CI"):
        pytest.skip("not installed: pip and setuptools >= 70.1, to build a plug-in")
    work = tmp_path_factory.mktemp("plugin")
    shutil.copytree(PLUGIN, work / "source", ignore=shutil.ignore_patterns("__pycache__"))
    options = ["--quiet", "--isolated", "--disable-pip-version-check", "--no-index", "--no-deps"]
    command = [sys.executable, "-m", "pip", "install", *options, "--no-build-isolation", "--no-compile"]
    done = subprocess.run(
        [*command, "--target", work / "site", work / "source"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return work / "site"


def test_an_installed_plug_in_has_its_page_and_evidence(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(installed)
    (known,) = of_others()
    assert (known.name, known.id, origin(known)) == ("lumen/sleeping-reset", "LU01", "lumen-rules 1.2")
    assert registry.evidence()[known.name][0].hits == 3
    page = blocks(known.name, registry.page(known))
    assert [block.marked for block in page] == [True, False]
    assert [differences(known, block, view) for block in page for view in View] == [[]] * 4


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of reviewbot with one rule of its own."""
    top = tmp_path_factory.mktemp("compiled")
    shutil.copytree(ROOT / "reviewbot", top / "reviewbot", ignore=shutil.ignore_patterns("__pycache__"))
    files = {"__init__": "", "ours/__init__": "", "ours/known": rule(number="OU01")}
    write(top / "reviewbot" / "checks", files)
    compileall.compile_dir(top, quiet=1)
    return top


class World(NamedTuple):
    """A user's machine: a copy of the package, a site directory and a home of its own."""

    package: Path
    site: Path
    home: Path
    here: Path

    @property
    def notes(self) -> Path:
        """What is remembered beside the package."""
        return self.package / "reviewbot" / "checks" / "__pycache__"

    @property
    def own_notes(self) -> Path:
        """What is remembered where the package is somebody else's."""
        return self.home / ".cache" / "reviewbot"

    def python(self, *command: str) -> str:
        """What a new process prints."""
        # the libraries that `check` needs come last: the copies go before what is installed
        path = os.pathsep.join([str(self.package), str(self.site), *(entry for entry in sys.path if "site-" in entry)])
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "PYTHONPATH": path}
        done = subprocess.run(
            [sys.executable, "-S", *command], cwd=self.here, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode in (0, 1), done.stderr
        return done.stdout

    def rules(self, *directories: Path) -> list[str]:
        """The rules that are not ours, as a new process finds them: name, severity, and where from."""
        code = (
            "import sys; from reviewbot.registry import load, origin; "
            "[print(r.name, r.severity, origin(r)) for r in load(sys.argv[1:]) if origin(r) != 'reviewbot']"
        )
        return self.python("-c", code, *map(str, directories)).splitlines()

    def imported(self, *directories: Path) -> list[str]:
        """What a new process has imported, of what it had better not."""
        code = (
            "import sys; from reviewbot.registry import load; load(sys.argv[1:]); "
            "print(*(m for m in sys.modules if m == 'importlib.metadata' or m.startswith(('lumen_rules', "
            "'reviewbot_rules', 'reviewbot.checks.ours.'))))"
        )
        return self.python("-c", code, *map(str, directories)).split()


@pytest.fixture
def world(tmp_path: Path, compiled: Path) -> World:
    """The machine before anything was started on it."""
    made = World(tmp_path / "package", tmp_path / "site", tmp_path / "home", tmp_path / "here")
    shutil.copytree(compiled, made.package)
    for directory in made[1:]:
        directory.mkdir()
    return made


INSTALLED = ["lumen/sleeping-reset warning lumen-rules 1.2"]


def test_a_plug_in_is_there_once_installed_and_gone_once_uninstalled(world: World, installed: Path) -> None:
    assert world.rules() == []
    shutil.copytree(installed, world.site, dirs_exist_ok=True)
    assert world.rules() == INSTALLED
    assert world.rules() == INSTALLED
    for entry in world.site.iterdir():
        shutil.rmtree(entry)
    assert world.rules() == []


def test_check_and_rules_know_an_installed_plug_in(world: World, installed: Path) -> None:
    shutil.copytree(installed, world.site, dirs_exist_ok=True)
    (world.here / "one.patch").write_text(PATCH)
    for _ in range(2):
        printed = world.python("-m", "reviewbot", "check", "one.patch")
        assert "drivers/misc/lumen.c:9:2: warning: lumen_reset_now() sleeps, lumen_reset() does not" in printed
        assert "[lumen/sleeping-reset]" in printed
    table = json.loads(world.python("-m", "reviewbot", "rules", "--format", "json"))
    assert [entry["name"] for entry in table] == ["ours/known", "lumen/sleeping-reset"]
    assert "lumen_flush_now()" in world.python("-m", "reviewbot", "rules", "lumen/sleeping-reset")


def test_nothing_is_looked_up_or_imported_at_each_start(world: World, installed: Path) -> None:
    shutil.copytree(installed, world.site, dirs_exist_ok=True)
    write(world.home / "rules", {"glow/dim": rule()})
    first = world.imported(world.home / "rules")
    assert {"importlib.metadata", "lumen_rules.sleeping_reset", "reviewbot_rules_0.glow.dim"} < set(first)
    assert world.imported(world.home / "rules") == []


def test_without_plug_ins_nothing_is_looked_up_at_each_start(world: World) -> None:
    assert "importlib.metadata" in world.imported()
    assert world.imported() == []


def test_what_has_changed_in_a_rule_directory_is_seen(world: World) -> None:
    rules = world.home / "rules"
    place = f"warning {rules}"
    text = rule().replace("Severity.WARNING", "LEVEL").replace("\n", "\nfrom .._shared import LEVEL\n", 1)
    shared = "from reviewbot.model import Severity\nLEVEL = Severity.{}\n"
    write(rules, {"glow/dim": text, "_shared": shared.format("WARNING")})
    assert world.rules(rules) == [f"glow/dim {place}"]
    write(rules, {"glow/bright": rule(number="XX02")})
    assert world.rules(rules) == [f"glow/bright {place}", f"glow/dim {place}"]
    (rules / "glow" / "bright.py").unlink()
    assert world.rules(rules) == [f"glow/dim {place}"]
    write(rules, {"_shared": shared.format("INFO")})
    assert world.rules(rules) == [f"glow/dim info {rules}"]
    write(rules, {"other/far": rule(number="XX03")})
    assert world.rules(rules) == [f"glow/dim info {rules}", f"other/far {place}"]
    assert world.rules() == []


def test_a_changed_file_of_an_installed_plug_in_is_seen(world: World, installed: Path) -> None:
    shutil.copytree(installed, world.site, dirs_exist_ok=True)
    assert world.rules() == INSTALLED
    file = world.site / "lumen_rules" / "sleeping_reset.py"
    file.write_text(file.read_text().replace("Severity.WARNING", "Severity.INFO"))
    assert world.rules() == ["lumen/sleeping-reset info lumen-rules 1.2"]


def test_a_plug_in_in_the_current_directory_is_not_believed(world: World) -> None:
    marker = world.home / "was-run"
    evil = f"{rule()}\nopen({str(marker)!r}, 'w').close()\n"
    distribution(world.here, "evil", "plug_evil", {"one": evil})
    distribution(world.site, "evil", "plug_evil", {"one": evil})
    start = "import sys; sys.argv[1:] = ['rules']; import runpy; runpy.run_module('reviewbot', run_name='__main__')"
    shutil.move(world.site, world.home / "kept")
    world.site.mkdir()
    assert "lumen/one" not in world.python("-c", start)
    shutil.rmtree(world.site)
    shutil.move(world.home / "kept", world.site)
    in_site = world._replace(here=world.site)
    assert "lumen/one" not in in_site.python("-c", start)
    assert not marker.exists()
    # and what was noted there is not believed elsewhere, nor the other way round
    elsewhere = world._replace(here=world.home)
    assert "lumen/one" in elsewhere.python("-c", start)
    assert marker.exists()
    assert "lumen/one" not in in_site.python("-c", start)


@pytest.mark.parametrize("text", [b"", b"nonsense", b"(\x02\x00\x00\x00NN", marshal.dumps((1, 2, 3))])
def test_a_broken_note_is_made_anew(world: World, installed: Path, text: bytes) -> None:
    shutil.copytree(installed, world.site, dirs_exist_ok=True)
    world.rules()
    (note,) = world.notes.glob("others-*")
    key, value = marshal.loads(note.read_bytes())
    for broken in (text, marshal.dumps((key, text)), marshal.dumps((key, (value[0], *value[1:3], [(7, "x", ())])))):
        note.write_bytes(broken)
        assert world.rules() == INSTALLED
        assert note.read_bytes() != broken


# -- where it is remembered ---------------------------------------------------------------------------------------


def lock(world: World) -> None:
    """Nobody can write beside the package, root included."""
    shutil.rmtree(world.notes)
    world.notes.write_text("")


def test_where_the_package_is_somebody_elses_the_users_cache_remembers(world: World) -> None:
    lock(world)
    world.imported()
    assert sorted(note.name.split("-")[0] for note in world.own_notes.iterdir()) == ["others", "rules"]
    assert world.own_notes.stat().st_mode & 0o777 == 0o700
    assert {note.stat().st_mode & 0o777 for note in world.own_notes.iterdir()} == {0o600}
    assert world.imported() == []


def test_the_users_cache_is_left_alone_where_the_package_can_remember(world: World) -> None:
    world.imported()
    assert not world.own_notes.exists()


@pytest.mark.parametrize("whose", ["directory", "note"])
def test_a_cache_that_others_can_write_to_is_neither_read_nor_written(
    world: World, installed: Path, whose: str
) -> None:
    shutil.copytree(installed, world.site, dirs_exist_ok=True)
    lock(world)
    world.rules()
    (note,) = world.own_notes.glob("others-*")
    forged = note.read_bytes().replace(b"warning", b"error\0\0").replace(b"lumen-rules", b"forged-note")
    assert b"forged-note" in forged
    note.write_bytes(forged.replace(b"error\0\0", b"warning"))
    assert world.rules() == ["lumen/sleeping-reset warning forged-note 1.2"]  # ours: it is read
    (world.own_notes if whose == "directory" else note).chmod(0o777)
    assert world.rules() == INSTALLED
    if whose == "directory":
        assert b"forged-note" in note.read_bytes()
        world.own_notes.chmod(0o700)


def test_without_any_place_to_remember_rules_are_found_all_the_same(world: World, installed: Path) -> None:
    shutil.copytree(installed, world.site, dirs_exist_ok=True)
    lock(world)
    (world.home / ".cache").write_text("")
    assert world.rules() == INSTALLED
    assert world.rules() == INSTALLED
