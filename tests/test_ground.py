# SPDX-License-Identifier: GPL-2.0-or-later
"""reviewbot.ground against real git: files before and behind a series, and where words stand in a whole tree.

Belongs here: both kinds of trees, the work tree as a short cut, hostile words, paths and repositories, bounds. What the
rules make of it is on their pages.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from git_world import World, make_world

from reviewbot import ground as ground_module
from reviewbot.dossier import Commit, Dossier, Hit
from reviewbot.git import GitError, output
from reviewbot.ground import CommitGround, TreeGround, find_ground, grep
from reviewbot.mail import local_series
from reviewbot.mime import parse_mail
from reviewbot.model import Series
from reviewbot.source.commits import Repository
from reviewbot.tree import Tree


@pytest.fixture(autouse=True)
def no_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of whoever runs the tests is read."""
    for name in [name for name in os.environ if name.startswith(("GIT_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A base with a few files, and two commits behind it: one changes, moves and deletes, one adds."""
    made = make_world(tmp_path / "linux")
    made.write("include/linux/range.h", "int range_first(struct mm_struct *mm);\n#define RANGE_ALL 1\n")
    made.write("mm/gone.c", "int gone(void)\n{\n\treturn range_first(0);\n}\n")
    made.write("mm/moved.c", "int moved(void)\n{\n\tint a = 1;\n\tint b = 2;\n\treturn a + b;\n}\n")
    made.commit("mm: range: the base")
    made.git("tag", "base")
    made.insert("mm/walk.c", "\tret += range_first(mm);\n")
    made.git("mv", "mm/moved.c", "mm/there.c")
    made.git("rm", "-q", "mm/gone.c")
    made.commit("mm: walk: the first twice")
    made.write("mm/new.c", "int new_one(void)\n{\n\treturn range_second();\n}\n")
    made.commit("mm: new: another")
    return made


Ground = TreeGround | CommitGround


def posted(world: World, since: str = "base") -> Series:
    """The commits since another, by mail."""
    ids = world.git("rev-list", "--reverse", f"{since}..HEAD").split()
    raws = [world.git("format-patch", "--stdout", "-M", "-1", one) for one in ids]
    raws = [raw.replace("[PATCH]", f"[PATCH {n}/{len(ids)}]", 1) + "\n" for n, raw in enumerate(raws, 1)]
    (series,) = local_series([parse_mail(raw.encode()) for raw in raws])
    return series


@contextmanager
def mailed(world: World, since: str = "base") -> Iterator[Ground]:
    """The ground of mails, behind a review."""
    series = posted(world, since)
    with Tree.open(str(world.top)) as tree:
        files = tree.files(world.git("rev-parse", since))
        for patch in series.patches:
            files.apply(patch)
        ground = find_ground(series, files)
        assert isinstance(ground, TreeGround)
        yield ground


@contextmanager
def committed(world: World, words: Sequence[str] = ("base..HEAD",)) -> Iterator[Ground]:
    """The ground of commits."""
    with Repository.open(str(world.top)) as repository:
        series = repository.series(repository.find(words))
        ground = find_ground(series, repository.files(series))
        assert isinstance(ground, CommitGround)
        yield ground


BOTH = pytest.mark.parametrize("kind", [mailed, committed])


def spots(hits: Sequence[Hit] | None) -> list[str]:
    assert hits is not None
    return [f"{hit.path}:{hit.line}" for hit in hits]


def head(world: World) -> str:
    return world.git("rev-parse", "HEAD")


# -- files ----------------------------------------------------------------------------------------


@BOTH
def test_a_file_is_had_before_the_first_and_behind_the_last_patch(world: World, kind: Any) -> None:
    with kind(world) as ground:
        before, after = ground.before("mm/walk.c"), ground.after("mm/walk.c")
        assert "ret += range_first" not in before
        assert "ret += range_first" in after
        assert ground.before("mm/new.c") is None
        assert "range_second" in ground.after("mm/new.c")
        assert ground.after("mm/gone.c") is None
        assert "range_first" in ground.before("mm/gone.c")
        assert (ground.after("mm/moved.c"), ground.after("mm/there.c")) == (None, ground.before("mm/moved.c"))
        assert ground.after("mm/other.c") == ground.before("mm/other.c")


@BOTH
@pytest.mark.parametrize(
    "path", ["", "mm", "/etc/passwd", "../x", "mm/walk.c\n", "mm/walk.c\0", "a" * 5000, "mm/\udc80", "-x"]
)
def test_a_path_that_is_none_is_not_there(world: World, kind: Any, path: str) -> None:
    with kind(world) as ground:
        assert ground.before(path) is None
        assert ground.after(path) is None


def test_a_patch_that_does_not_apply_leaves_the_file_unknown(world: World) -> None:
    series = posted(world)
    world.git("checkout", "-q", "base")
    world.write("mm/walk.c", "int other;\n")
    world.commit("mm: walk: rewritten")
    with Tree.open(str(world.top)) as tree:
        files = tree.files(head(world))
        for patch in series.patches:
            files.apply(patch)
        ground = TreeGround(files)
        assert ground.after("mm/walk.c") is None
        assert ground.before("mm/walk.c") == "int other;\n"
        assert ground.after("mm/new.c") is not None


def test_what_is_staged_is_behind_the_last_patch(world: World) -> None:
    world.write("mm/walk.c", "int staged_one;\n")
    world.git("add", "-A")
    world.git("mv", "mm/new.c", "mm/newer.c")
    world.write("mm/walk.c", "int not_staged;\n")
    with Repository.open(str(world.top)) as repository:
        series = repository.staged()
        ground = CommitGround(repository.files(series), series)
        assert ground.after("mm/walk.c") == "int staged_one;\n"
        assert ground.after("mm/new.c") is None
        assert ground.after("mm/newer.c") == ground.before("mm/new.c")
        assert ground.after("mm/other.c") == ground.before("mm/other.c")
        found = ground.grep(["staged_one", "not_staged", "range_first"])
        assert found is not None
        assert not found["staged_one"]
        assert not found["not_staged"]
        assert "mm/walk.c:8" in spots(found["range_first"])


def test_commits_that_are_no_neighbours_have_no_tree_behind_them(world: World) -> None:
    with committed(world, ["HEAD", "base"]) as ground:
        assert ground.after("mm/walk.c") is None
        assert ground.grep(["range_first"]) is None
    with committed(world, ["HEAD~1", "HEAD"]) as ground:
        assert ground.after("mm/walk.c") is not None


def test_before_a_root_there_is_nothing(world: World) -> None:
    with committed(world, ["base~1"]) as ground:
        assert ground.before("mm/walk.c") is None
        assert ground.after("mm/walk.c") is not None
        assert ground.grep(["range_first"]) == {"range_first": ()}


# -- words ----------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("at", ["base", "HEAD", "HEAD~1"])
def test_words_are_found_in_the_base_wherever_the_work_tree_is(world: World, kind: Any, at: str) -> None:
    with ExitStack() as stack:
        ground = stack.enter_context(kind(world))
        world.git("checkout", "-q", at)
        found = ground.grep(["range_first", "RANGE_ALL", "range_second", "range"])
    assert found is not None
    assert spots(found["range_first"]) == ["include/linux/range.h:1", "mm/gone.c:3", "mm/other.c:8", "mm/walk.c:8"]
    assert found["RANGE_ALL"] == (Hit("include/linux/range.h", 2, "#define RANGE_ALL 1"),)
    assert (found["range_second"], found["range"]) == ((), ())


def test_a_dirty_work_tree_is_not_trusted(world: World) -> None:
    world.git("checkout", "-q", "base")
    base = head(world)
    world.write("mm/walk.c", "range_first\nrange_first\n")  # changed
    (world.top / "mm" / "gone.c").unlink()  # deleted
    world.write("mm/untracked.c", "range_first\n")
    world.write("mm/added.c", "range_first\n")
    world.git("add", "mm/added.c")
    world.write("mm/intended.c", "range_first\n")
    world.git("add", "-N", "mm/intended.c")
    world.git("update-index", "--assume-unchanged", "mm/other.c")
    world.write("mm/other.c", "nothing\n")
    found = grep(str(world.top), base, ["range_first"])
    assert found is not None
    assert spots(found["range_first"]) == ["include/linux/range.h:1", "mm/gone.c:3", "mm/other.c:8", "mm/walk.c:8"]


def test_a_sparse_work_tree_is_no_smaller_answer(world: World) -> None:
    world.git("checkout", "-q", "base")
    world.git("sparse-checkout", "set", "include")
    assert not (world.top / "mm" / "walk.c").exists()
    found = grep(str(world.top), head(world), ["range_first"])
    assert found is not None
    assert len(found["range_first"]) == 4


def test_the_work_tree_is_read_where_it_is_the_commit_and_only_then(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []
    real = ground_module._lines

    def lines(directory: str, commit: str | None, *more: Any) -> Any:
        asked.append(commit)
        return real(directory, commit, *more)

    monkeypatch.setattr(ground_module, "_lines", lines)
    tip, base = head(world), world.git("rev-parse", "base")
    for words in ([], ["*.c", "*.h"]):
        asked.clear()
        grep(str(world.top), tip, ["range_first"], words)
        assert asked == [None]
    asked.clear()
    grep(str(world.top), base, ["range_first"])
    assert asked == [None, base]  # but for the files that differ
    asked.clear()
    grep(str(world.top), tip, ["range_first"], ["mm"])
    assert asked == [tip]  # a directory of a commit is read at once
    asked.clear()
    monkeypatch.setattr(ground_module, "MAX_DIFFERING", 1)
    grep(str(world.top), base, ["range_first"])
    assert asked == [base]


def test_a_bare_repository_and_a_directory_inside_are_the_whole_tree(world: World, tmp_path: Path) -> None:
    world.git("clone", "-q", "--bare", str(world.top), str(tmp_path / "bare"))
    for directory in (tmp_path / "bare", world.top / "mm"):
        found = grep(str(directory), head(world), ["RANGE_ALL", "range_second"])
        assert found is not None
        assert spots(found["RANGE_ALL"]) == ["include/linux/range.h:2"]
        assert spots(found["range_second"]) == ["mm/new.c:3"]


@pytest.mark.parametrize(
    ("paths", "wanted"),
    [
        (["mm"], ["mm/other.c:8", "mm/walk.c:8", "mm/walk.c:9"]),
        (["mm/"], ["mm/other.c:8", "mm/walk.c:8", "mm/walk.c:9"]),
        (["mm/walk.c"], ["mm/walk.c:8", "mm/walk.c:9"]),
        (["*.h"], ["include/linux/range.h:1"]),
        (["*.h", "mm/other.c"], ["include/linux/range.h:1", "mm/other.c:8"]),
        (["mm/w*.c"], []),
        (["m"], []),
        ([":(exclude)mm"], []),
        (["../mm"], []),
        (["nowhere"], []),
    ],
)
def test_paths_are_names_and_endings_and_nothing_else(world: World, paths: list[str], wanted: list[str] | None) -> None:
    found = grep(str(world.top), head(world), ["range_first"], paths)
    assert (None if found is None else spots(found["range_first"])) == wanted


@pytest.mark.parametrize(
    "word",
    [
        "",
        "-e",
        "--open-files-in-pager=touch x",
        "a b",
        "a\nb",
        "a\0b",
        "x.*",
        "1a",
        "\u00e4",
        "a" * 201,
        "-f/etc/passwd",
    ],
)
def test_what_is_no_identifier_is_not_asked_for(world: World, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground_module, "output", None)  # nothing is run
    assert grep(str(world.top), head(world), ["range_first", word]) is None


@pytest.mark.parametrize("commit", ["HEAD", "base", "--all", "", "0" * 39, "0" * 40])
def test_what_is_no_commit_is_not_known(world: World, commit: str) -> None:
    assert grep(str(world.top), commit, ["range_first"]) is None


def test_no_words_are_no_question(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground_module, "output", None)
    assert grep(str(world.top), head(world), []) == {}
    assert grep(str(world.top), head(world), [f"w{n}" for n in range(ground_module.MAX_WORDS + 1)]) is None


def test_one_process_looks_for_all_words(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    greps: list[Sequence[str]] = []

    def counted(directory: str, *words: str, **more: Any) -> Any:
        greps.extend([words] if words[0] == "grep" else [])
        return output(directory, *words, **more)

    monkeypatch.setattr(ground_module, "output", counted)
    grep(str(world.top), head(world), [f"w{n}" for n in range(ground_module.MAX_WORDS)])
    assert len(greps) == 1


def test_more_than_is_wanted_is_cut_or_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write("mm/many.c", "often();\n" * 30 + "x" * 5000 + " often();\n")
    world.commit("mm: many")
    monkeypatch.setattr(ground_module, "MAX_HITS", 20)
    found = grep(str(world.top), head(world), ["often", "range_first"])
    assert found is not None
    assert (len(found["often"]), len(found["range_first"])) == (20, 4)
    monkeypatch.setattr(ground_module, "MAX_HITS", 100)
    found = grep(str(world.top), head(world), ["often"])
    assert found is not None
    assert max(len(hit.text) for hit in found["often"]) == ground_module.MAX_LINE
    monkeypatch.setattr(ground_module, "MAX_OUTPUT", 300)
    assert grep(str(world.top), head(world), ["often"]) is None
    monkeypatch.setattr(ground_module, "MAX_OUTPUT", 1 << 20)
    monkeypatch.setattr(ground_module, "PATIENCE", 0.0)
    assert grep(str(world.top), head(world), ["often"]) is None


def test_a_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    began = datetime.now(UTC)
    make_world(tmp_path / "x")
    assert output(str(tmp_path / "x"), "-c", "alias.x=!sleep 60", "x", most=10, patience=0.3) is None
    assert datetime.now(UTC) - began < timedelta(seconds=20)


def test_git_that_is_not_there_is_not_known(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = head(world)
    monkeypatch.setenv("PATH", "/nowhere")
    assert grep(str(world.top), commit, ["range_first"]) is None
    with pytest.raises(GitError):
        output(str(world.top), "status", most=1)


# -- what a repository may hold -------------------------------------------------------------------


def test_binary_files_links_and_submodules_are_no_text(world: World) -> None:
    (world.top / "blob.bin").write_bytes(b"\0\1 range_first \0\n")
    (world.top / "latin.c").write_bytes(b"/* \xe9 */ range_first();\n")
    (world.top / "link.c").symlink_to("range_first")
    inner = make_world(world.top / "sub")
    inner.write("x.c", "range_first();\n")
    inner.commit("x")
    world.write(".gitattributes", "*.c -diff\n")
    world.git("add", "-A")
    commit = world.commit("everything")
    for directory in (world.top, Path(world.git("rev-parse", "--absolute-git-dir"))):
        found = grep(str(directory), commit, ["range_first"])
        assert found is not None
        assert spots(found["range_first"]) == [
            "include/linux/range.h:1", "latin.c:1", "mm/other.c:8", "mm/walk.c:8", "mm/walk.c:9",
        ]  # fmt: skip
        assert found["range_first"][1].text == "/* \u00e9 */ range_first();"


def test_a_name_with_a_line_feed_makes_no_place(world: World) -> None:
    world.write("mm/a\nmm/fake.c", "range_first();\n")
    world.write("mm/b\u00e4.c", "range_first();\n")
    commit = world.commit("names")
    shutil.rmtree(world.top / "mm")
    found = grep(str(world.top), commit, ["range_first"], ["mm"])
    assert found is not None
    assert spots(found["range_first"]) == ["mm/b\u00e4.c:1", "mm/other.c:8", "mm/walk.c:8", "mm/walk.c:9"]


def test_a_file_that_cannot_be_read_makes_the_answer_unknown(world: World) -> None:
    name = world.git("rev-parse", "HEAD:mm/walk.c")
    world.git("checkout", "-q", "base")
    (world.top / ".git" / "objects" / name[:2] / name[2:]).unlink()
    assert grep(str(world.top), world.git("rev-parse", "master"), ["range_first"]) is None


def test_nothing_that_a_repository_configures_is_run(world: World) -> None:
    ran = world.top.parent / "ran"
    for key in (
        "filter.x.clean",
        "filter.x.process",
        "filter.x.smudge",
        "core.fsmonitor",
        "core.pager",
        "diff.x.textconv",
    ):
        world.git("config", key, f"touch {ran}; cat")
    for key, value in {"filter.x.required": "true", "grep.patternType": "perl", "grep.column": "true"}.items():
        world.git("config", key, value)
    for key, value in {"submodule.recurse": "true", "color.ui": "always", "grep.fullName": "false"}.items():
        world.git("config", key, value)
    (world.top / ".git" / "info").mkdir(exist_ok=True)
    (world.top / ".git" / "info" / "attributes").write_text("*.c filter=x diff=x\n")
    for name in ("walk", "other", "new"):  # the index is as young as the files: git would look into them
        (world.top / "mm" / f"{name}.c").touch()
    os.utime(world.top / ".git" / "index")
    ran.unlink(missing_ok=True)
    found = grep(str(world.top), world.git("rev-parse", "HEAD"), ["range_first"])
    assert found is not None
    assert spots(found["range_first"]) == ["include/linux/range.h:1", "mm/other.c:8", "mm/walk.c:8", "mm/walk.c:9"]
    assert not ran.exists()


def test_the_index_is_not_written(world: World) -> None:
    index = world.top / ".git" / "index"
    os.utime(world.top / "mm" / "walk.c", (1, 1))
    before = index.read_bytes()
    assert grep(str(world.top), head(world), ["range_first"]) is not None
    assert index.read_bytes() == before


# -- commits, and when git is asked -----------------------------------------------------------------


@BOTH
def test_a_commit_is_known_by_its_hash(world: World, kind: Any) -> None:
    base, tree = world.git("rev-parse", "base"), world.git("rev-parse", "base^{tree}")
    with kind(world) as ground:
        found = ground.commit(base)
        assert found == Commit(base, "mm: range: the base", found.date)
        assert found.date is not None
        assert datetime.now(UTC) - found.date < timedelta(hours=1)
        assert ground.commit(base[:12]) == found
        for name in ("base", "HEAD", tree, "0" * 40, "", "-x", "g" * 12, f"{base}^"):
            assert ground.commit(name) is None


@BOTH
def test_another_commit_can_be_asked(world: World, kind: Any) -> None:
    with kind(world) as ground:
        found = ground.grep(["range_second"], (), head(world))
        assert spots(found["range_second"]) == ["mm/new.c:3"]


def test_nothing_is_asked_before_a_rule_asks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with Repository.open(str(world.top)) as repository:
        series = repository.series(repository.find(["base..HEAD"]))
        monkeypatch.setattr(subprocess, "Popen", None)
        dossier = Dossier(series, ground=find_ground(series, repository.files(series)))
        assert dossier.has("tree")
    assert find_ground(series, None) is None


UNUSED = "mm/walk.c:12:1: note: the last use of range_is_first() goes, its definition stays"


def test_check_and_lore_give_the_rules_the_tree(world: World) -> None:
    world.write("include/linux/first.h", "static inline int range_is_first(int a)\n{\n\treturn a == 1;\n}\n")
    world.insert("mm/walk.c", "\tret = range_is_first(ret);\n")
    base = world.commit("mm: walk: is it the first?")
    text = (world.top / "mm" / "walk.c").read_text().replace("range_is_first(ret)", "0")
    world.write("mm/walk.c", text)
    world.commit("mm: walk: it is not")
    options = ("--select", "HY16", "--strict", "--format", "terse")
    done = world.run("reviewbot", "check", *options, "HEAD")
    assert "the last use of range_is_first() goes, its definition stays" in done.out, done.err
    patch = world.top.parent / "x.patch"
    patch.write_text(world.git("format-patch", "--stdout", "-1") + "\n")
    done = world.run("reviewbot", "check", *options, str(patch))
    assert "range_is_first" not in done.out
    world.git("checkout", "-q", base)
    done = world.run("reviewbot", "check", *options, "--tree", ".", str(patch))
    assert "the last use of range_is_first() goes, its definition stays" in done.out, done.err
    done = world.run("reviewbot", "lore", *options, "--tree", ".", "--mbox", mbox(patch), message_id(patch))
    assert "the last use of range_is_first() goes, its definition stays" in done.out, done.err


def mbox(patch: Path) -> str:
    """The patch as a mail in an mbox."""
    text = patch.read_text()
    head, _, rest = text.partition("\n")
    patch.write_text(f"{head}\nMessage-ID: <1@example.org>\n{rest}")
    return str(patch)


def message_id(patch: Path) -> str:
    return "1@example.org"
