# SPDX-License-Identifier: GPL-2.0-or-later
"""The shape of the tree: which module may import which, what is packaged, what every file begins with.

Belongs here: what can be read off the files, and what a start of `check` loads. Not what any of it does.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "tests" / "data" / "example.mbox"

# Imports run downwards or within a rank. A name stands for a module or a package of reviewbot.
RANKS = (
    ("model",),
    ("base", "diff", "dossier", "finding", "mail", "matching", "mime", "touches"),
    ("c",),
    ("kernel", "rule"),
    ("locks",),
    ("checks",),
    ("registry",),
    ("answers", "baseline", "config", "database", "engine", "fixes", "git", "reports", "selection", "verdict"),
    ("index", "ledger", "output", "policy", "recipients", "reply", "send", "series", "source", "templates", "tree"),
    (
        "attest",
        "branches",
        "forecast",
        "ground",
        "history",
        "news",
        "patchwork",
        "rangediff",
        "remarks",
        "revisions",
        "tools",
    ),
    ("gather",),
    ("bot",),
    ("commands",),
    ("cli",),
    ("__main__",),
)
RANK = {name: rank for rank, names in enumerate(RANKS) for name in names}
HEAVY = {"b4", "jinja2", "liblore", "requests", "urllib3"}

SOURCES = sorted((ROOT / "reviewbot").rglob("*.py"))
RULES = sorted(path for path in (ROOT / "checks").rglob("*.py") if path.name != "__init__.py")
PYTHON = sorted(path for top in ("reviewbot", "checks", "templates", "tests") for path in (ROOT / top).rglob("*.py"))


def name_of(path: Path) -> str:
    """reviewbot/c/code.py -> reviewbot.c.code; checks/gup/x.py -> reviewbot.checks.gup.x."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[0] != "reviewbot":
        parts = ("reviewbot", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports at any depth, `from a import b` as a.b where that is a module of ours."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inside = ROOT / node.module.replace(".", "/") / alias.name
                module = inside.is_dir() or inside.with_suffix(".py").exists()
                yield f"{node.module}.{alias.name}" if module else node.module


def rank(module: str) -> int:
    """The rank of a module of ours; reviewbot itself (its version) may be imported by all."""
    _, _, inside = module.partition(".")
    top = inside.partition(".")[0]
    return RANK[top] if top else -1


def short(path: Path) -> str:
    """How a file is named in a test's id."""
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [*SOURCES, *RULES], ids=short)
def test_imports_run_one_way(path: Path) -> None:
    name = name_of(path)
    top = name.split(".")[1] if "." in name else "model"
    assert top in RANK, f"{short(path)}: RANKS in tests/test_layout.py must say where {top} belongs"
    upwards = [module for module in imports(path) if module.split(".")[0] == "reviewbot" and rank(module) > RANK[top]]
    assert not upwards, f"{name} imports {', '.join(upwards)}"


@pytest.mark.parametrize(
    ("library", "owners"),
    [("b4", ("reviewbot/attest.py", "reviewbot/series.py")), ("unidiff", ("reviewbot/diff.py",))],
)
def test_a_library_behind_a_wall_has_these_importers(library: str, owners: tuple[str, ...]) -> None:
    users = {short(path) for path in SOURCES for module in imports(path) if module.split(".")[0] == library}
    assert users == {*owners}


def test_there_are_rules() -> None:
    assert RULES


@pytest.mark.parametrize("path", RULES, ids=short)
def test_a_rule_imports_the_standard_library_and_reviewbot(path: Path) -> None:
    others = {module.split(".")[0] for module in imports(path)} - sys.stdlib_module_names - {"reviewbot"}
    assert not others


@pytest.mark.parametrize("path", RULES, ids=short)
def test_a_rule_imports_no_rule_of_another_family(path: Path) -> None:
    family = path.parent.name
    foreign = [m for m in imports(path) if m.startswith("reviewbot.checks.") and m.split(".")[2] != family]
    assert not foreign


def test_check_loads_neither_b4_nor_requests_nor_jinja2(tmp_path: Path) -> None:
    mails = EXAMPLE.read_bytes().split(b"From mboxrd@z Thu Jan  1 00:00:00 1970\n")
    patch = tmp_path / "example.patch"
    patch.write_bytes(next(mail for mail in mails if b"\nSubject: [PATCH v2 4/5]" in mail))
    start = "import sys; from reviewbot.cli import main; sys.argv[0] = 'reviewbot'; sys.exit(main())"
    command = [sys.executable, "-X", "importtime", "-c", start, "check", "--strict", str(patch)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    loaded = {name.split(".")[0] for name in re.findall(r"^import time:.*\| +(\S+)$", done.stderr, re.M)}
    assert "unidiff" in loaded
    assert not loaded & HEAVY


def test_every_directory_with_python_files_is_packaged() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    directories = {path.parent for path in PYTHON if path.relative_to(ROOT).parts[0] != "tests"}
    assert sorted(name_of(directory / "__init__.py") for directory in directories) == sorted(listed)


@pytest.mark.parametrize("directory", sorted({path.parent for path in [*SOURCES, *RULES]}), ids=short)
def test_every_package_has_its_init(directory: Path) -> None:
    assert (directory / "__init__.py").exists()


@pytest.mark.parametrize("path", PYTHON, ids=short)
def test_every_file_begins_with_the_licence_and_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = text.split("\n")
    first = lines[1] if lines[0].startswith("#!") else lines[0]
    assert first == "# SPDX-License-Identifier: GPL-2.0-or-later"
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("path", [path for path in RULES if not path.name.startswith("_")], ids=short)
def test_a_rule_has_its_page_beside_it(path: Path) -> None:
    assert path.with_suffix(".md").exists()


def test_the_table_of_rules_in_the_readme_is_the_generated_one() -> None:
    from reviewbot.commands.rules import markdown_table

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.split("<!-- rules:begin -->\n")[1].split("<!-- rules:end -->")[0]
    assert table.strip() == markdown_table().strip()
