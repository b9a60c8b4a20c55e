# SPDX-License-Identifier: GPL-2.0-or-later
"""reviewbot.branches, against real git: whether a series applies, what of it is there, what is in the way."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from test_tree import DATE, LINES, MAKEFILE, Repo, no_user, patch_of  # noqa: F401 - no_user is for all tests

from reviewbot import branches as module
from reviewbot.branches import find_branch, standings
from reviewbot.cli import main
from reviewbot.dossier import Standing
from reviewbot.git import glimpse
from reviewbot.model import Series
from reviewbot.tree import Tree

LATER = "2024-11-25T12:00:00+0000"
HEADER = "".join(
    [
        "/* how a range is walked */\n",
        *(
            f"#define WALK_{name} 0x{1 << n:02x}\n"
            for n, name in enumerate(("HOLES", "DIRTY", "YOUNG", "CLEAN", "LOCKED"))
        ),
        "\nint range_walk(struct range *range, unsigned int flags);\n",
    ]
)
TYPES = "struct range {\n\tunsigned long start;\n\tunsigned long end;\n};\n"


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """One commit on main, and a branch `next` on it."""
    made = Repo(tmp_path / "linux")
    files = {
        "mm/a.c": LINES,
        "mm/b.c": LINES.replace("line", "row"),
        "include/range.h": HEADER,
        "include/types.h": TYPES,
    }
    made.commit({**files, "Makefile": MAKEFILE}, "base")
    made.git("branch", "next")
    return made


def on_next(repo: Repo, files: dict[str, str | bytes | None], title: str, **more: str) -> str:
    """A commit on `next`; main is checked out again."""
    repo.git("checkout", "-q", "next")
    made = repo.commit(files, title, LATER)
    repo.git("checkout", "-q", "main")
    return made


def stands(repo: Repo, series: Series, name: str = "next", base: str | None = "") -> Standing:
    """On one branch; the base is the commit before the series where nothing else is said."""
    with Tree.open(str(repo.path)) as tree:
        known = repo.git("rev-parse", f"main~{len(series.patches)}") if base == "" else base
        (standing,) = standings(tree, [name], series, known)
    assert standing.date
    return standing._replace(date=None)


def edited(old: str, new: str, text: str = LINES) -> str:
    assert old in text
    return text.replace(old, new)


def one(repo: Repo, files: dict[str, str | bytes | None], title: str = "mm: better") -> Series:
    """A commit on main as a series of one."""
    repo.commit(files, title)
    return repo.post("HEAD~1")


# -- applies --------------------------------------------------------------------------------------


def test_it_applies_to_a_branch_that_has_changed_elsewhere(repo: Repo) -> None:
    series = one(repo, {"mm/a.c": edited("line(30)", "better(30)")})
    tip = on_next(repo, {"mm/a.c": edited("line(2)", "first();\n\tsecond()")}, "mm: others")
    standing = stands(repo, series)
    assert standing == Standing("next", tip, ())
    assert standing.applies


def test_an_empty_branch_is_its_base(repo: Repo) -> None:
    series = one(repo, {"mm/a.c": edited("line(30)", "better(30)")})
    assert stands(repo, series).conflicts == ()


def test_a_series_that_builds_on_itself_applies(repo: Repo) -> None:
    repo.commit({"mm/new.c": "one();\ntwo();\n"}, "mm: add")
    repo.git("mv", "mm/new.c", "mm/newer.c")
    repo.commit({"mm/newer.c": "one();\nthree();\n"}, "mm: move")
    repo.commit({"mm/newer.c": None}, "mm: drop")
    series = repo.post("HEAD~3")
    assert stands(repo, series) == Standing("next", repo.git("rev-parse", "next"), ())


def test_without_a_base_the_year_before_the_series_counts(repo: Repo) -> None:
    series = one(repo, {"mm/a.c": edited("line(30)", "better(30)")})
    cause = on_next(repo, {"mm/a.c": edited("line(30)", "worse(30)")}, "mm: worse")
    (conflict,) = stands(repo, series, base=None).conflicts
    assert conflict.cause
    assert conflict.cause.id == cause


# -- conflicts ------------------------------------------------------------------------------------


def test_a_line_that_a_commit_changed(repo: Repo) -> None:
    repo.commit({"mm/b.c": "whole();\n"}, "mm: b")
    repo.commit({"mm/a.c": edited("line(30)", "better(30)", edited("line(3)", "better(3)"))}, "mm: a")
    series = repo.post("HEAD~2")
    cause = on_next(repo, {"mm/a.c": edited("line(30)", "worse(30)")}, "mm: make it worse")
    on_next(repo, {"mm/a.c": edited("line(30)", "worse(30)", edited("line(12)", "worse(12)"))}, "mm: something else")
    (conflict,) = stands(repo, series).conflicts
    assert (conflict.patch, conflict.path, conflict.hunk, conflict.line) == (2, "mm/a.c", 2, 27)
    assert conflict.why == "does not apply"
    assert conflict.cause
    assert (conflict.cause.id, conflict.cause.title) == (cause, "mm: make it worse")
    assert conflict.cause.date
    assert conflict.cause.date.isoformat() == "2024-11-25T12:00:00+00:00"
    assert conflict.moved_to is None


def test_a_line_that_a_commit_put_between(repo: Repo) -> None:
    series = one(repo, {"mm/a.c": edited("line(30)", "better(30)")})
    cause = on_next(repo, {"mm/a.c": edited("line(31);", "line(31);\n\tanother_call();")}, "mm: one more")
    on_next(
        repo, {"mm/a.c": edited("line(31);", "line(31);\n\tanother_call();", edited("line(9)", "nine()"))}, "mm: nine"
    )
    (conflict,) = stands(repo, series).conflicts
    assert conflict.cause
    assert conflict.cause.id == cause


def test_lines_that_a_commit_moved_to_another_file(repo: Repo) -> None:
    series = one(
        repo,
        {
            "include/range.h": edited(
                "#define WALK_LOCKED 0x10\n", "#define WALK_LOCKED 0x10\n#define WALK_RETRY 0x20\n", HEADER
            )
        },
    )
    defines = "".join(line + "\n" for line in HEADER.split("\n") if line.startswith("#define"))
    cause = on_next(
        repo, {"include/range.h": HEADER.replace(defines, ""), "include/types.h": TYPES + defines}, "mm: move"
    )
    (conflict,) = stands(repo, series).conflicts
    assert conflict.cause
    assert conflict.cause.id == cause
    assert conflict.moved_to == "include/types.h"
    assert conflict.moved == ("#define WALK_YOUNG 0x04", "#define WALK_CLEAN 0x08", "#define WALK_LOCKED 0x10")


def test_definitions_that_were_rewritten_on_the_way(repo: Repo) -> None:
    series = one(
        repo,
        {
            "include/range.h": edited(
                "#define WALK_LOCKED 0x10\n", "#define WALK_LOCKED 0x10\n#define WALK_RETRY 0x20\n", HEADER
            )
        },
    )
    names = ("HOLES", "DIRTY", "YOUNG", "CLEAN", "LOCKED")
    enum = "enum {\n" + "".join(f"\tWALK_{name} = 1 << {n},\n" for n, name in enumerate(names)) + "};\n"
    kept = "".join(line + "\n" for line in HEADER.split("\n")[:-1] if not line.startswith("#define"))
    on_next(repo, {"include/range.h": kept, "include/types.h": TYPES + enum}, "mm: turn them into an enum")
    (conflict,) = stands(repo, series).conflicts
    assert conflict.moved_to == "include/types.h"
    assert conflict.moved[-1] == "#define WALK_LOCKED 0x10"


def test_what_was_moved_and_then_removed_is_not_there(repo: Repo) -> None:
    series = one(repo, {"include/range.h": edited("0x10\n", "0x10\n#define WALK_RETRY 0x20\n", HEADER)})
    defines = "".join(line + "\n" for line in HEADER.split("\n") if line.startswith("#define"))
    cause = on_next(
        repo, {"include/range.h": HEADER.replace(defines, ""), "include/types.h": TYPES + defines}, "mm: move"
    )
    on_next(repo, {"include/types.h": TYPES}, "mm: remove")
    (conflict,) = stands(repo, series).conflicts
    assert conflict.cause
    assert (conflict.cause.id, conflict.moved_to, conflict.moved) == (cause, None, ())


def test_a_file_that_was_renamed_twice(repo: Repo) -> None:
    series = one(repo, {"mm/a.c": edited("line(30)", "better(30)")})
    cause = on_next(repo, {"mm/a.c": None, "mm/walk.c": LINES}, "mm: rename")
    on_next(repo, {"mm/walk.c": None, "mm/ranges/walk.c": LINES}, "mm: a directory of its own")
    (conflict,) = stands(repo, series).conflicts
    assert (conflict.hunk, conflict.line) == (None, None)
    assert conflict.why == "was renamed to mm/ranges/walk.c"
    assert conflict.moved_to == "mm/ranges/walk.c"
    assert conflict.cause
    assert (conflict.cause.id, conflict.cause.title) == (cause, "mm: rename")


def test_a_file_that_was_deleted(repo: Repo) -> None:
    series = one(repo, {"mm/a.c": edited("line(30)", "better(30)")})
    cause = on_next(repo, {"mm/a.c": None}, "mm: nobody walks")
    (conflict,) = stands(repo, series).conflicts
    assert conflict.why == "was deleted"
    assert conflict.cause
    assert (conflict.cause.id, conflict.moved_to) == (cause, None)


def test_a_file_that_was_never_there(repo: Repo) -> None:
    repo.commit({"mm/c.c": LINES}, "mm: c is not posted")
    series = one(repo, {"mm/c.c": edited("line(30)", "better(30)")})
    (conflict,) = stands(repo, series, base=None).conflicts
    assert (conflict.why, conflict.cause) == ("is not in the branch", None)


def test_a_new_file_that_is_there_already(repo: Repo) -> None:
    series = one(repo, {"mm/c.c": "mine();\n"})
    cause = on_next(repo, {"mm/c.c": "theirs();\n"}, "mm: c")
    (conflict,) = stands(repo, series).conflicts
    assert (conflict.why, conflict.hunk) == ("exists already", None)
    assert conflict.cause
    assert conflict.cause.id == cause


def test_a_file_is_told_once(repo: Repo) -> None:
    repo.commit({"mm/a.c": edited("line(30)", "better(30)")}, "mm: one")
    repo.commit({"mm/a.c": edited("line(30)", "best(30)")}, "mm: two")
    series = repo.post("HEAD~2")
    on_next(repo, {"mm/a.c": edited("line(30)", "worse(30)")}, "mm: worse")
    assert [conflict.patch for conflict in stands(repo, series).conflicts] == [1]


def test_a_commit_behind_a_merge_is_found(repo: Repo) -> None:
    series = one(repo, {"mm/a.c": edited("line(30)", "better(30)")})
    repo.git("checkout", "-q", "-b", "topic", "next")
    cause = repo.commit({"mm/a.c": edited("line(30)", "worse(30)")}, "mm: worse", LATER)
    on_next(repo, {"mm/b.c": "other();\n"}, "mm: b")
    repo.git("checkout", "-q", "next")
    repo.git("merge", "-q", "--no-ff", "-m", "Merge topic", "topic")
    repo.git("checkout", "-q", "main")
    (conflict,) = stands(repo, series).conflicts
    assert conflict.cause
    assert conflict.cause.id == cause


def test_the_commit_that_a_history_begins_with_changed_nothing(repo: Repo) -> None:
    series = one(repo, {"mm/a.c": edited("line(30)", "better(30)"), "mm/c.c": "mine();\n"})
    repo.git("checkout", "-q", "--orphan", "import")
    repo.commit(
        {"mm/a.c": edited("line(31);", "line(31);\n\tanother_call();"), "mm/c.c": "theirs();\n"}, "import", LATER
    )
    repo.git("checkout", "-q", "main")
    conflicts = stands(repo, series, "import", None).conflicts
    assert [(conflict.why, conflict.cause) for conflict in conflicts] == [
        ("does not apply", None),
        ("exists already", None),
    ]


def test_the_tree_may_be_named_by_a_directory_in_it(repo: Repo) -> None:
    series = one(repo, {"mm/a.c": edited("line(30)", "better(30)")})
    cause = on_next(repo, {"mm/a.c": edited("line(30)", "worse(30)")}, "mm: worse")
    with Tree.open(str(repo.path / "mm")) as tree:
        (standing,) = standings(tree, ["next"], series, repo.git("rev-parse", "main~1"))
    assert standing.conflicts[0].cause
    assert standing.conflicts[0].cause.id == cause


def test_a_brace_tells_nothing(repo: Repo) -> None:
    text = "".join(f"}}\n{{\n\tif (a{n})\n" for n in range(9))
    repo.commit({"mm/c.c": text}, "mm: c")
    repo.git("branch", "-f", "next")
    series = one(repo, {"mm/c.c": text.replace("\tif (a4)\n", "\tif (a5)\n")})
    on_next(repo, {"mm/c.c": text.replace("{\n\tif (a4)", "\tif (a4)")}, "mm: unlike C")
    (conflict,) = stands(repo, series).conflicts
    assert conflict.cause is None


# -- already there --------------------------------------------------------------------------------


def test_all_of_it_is_there(repo: Repo) -> None:
    files: dict[str, str | bytes | None] = {
        "mm/a.c": edited("line(30)", "better(30)"), "mm/c.c": "new();\n", "mm/b.c": None
    }  # fmt: skip
    series = one(repo, files)
    tip = on_next(repo, files, "mm: squashed into something of another name")
    assert stands(repo, series) == Standing("next", tip, (), (1,))


def test_it_was_applied_and_then_changed_once_more(repo: Repo) -> None:
    repo.commit({"mm/a.c": edited("line(30)", "better(30)")}, "mm: better")
    later = edited("line(3)", "better(3)", edited("line(30)", "better(30)"))
    repo.commit({"mm/a.c": later}, "mm: better, too")
    series = repo.post("HEAD~2")
    on_next(repo, {"mm/a.c": edited("line(30)", "better(30)")}, "mm: better")
    on_next(repo, {"mm/a.c": edited("line(30)", "best(30)")}, "mm: best")
    standing = stands(repo, series)
    assert (standing.applied, standing.conflicts) == ((1,), ())


def test_a_title_of_somebody_else_is_another_patch(repo: Repo) -> None:
    series = one(repo, {"mm/a.c": edited("line(30)", "better(30)")})
    repo.git("checkout", "-q", "next")
    repo.write({"mm/a.c": edited("line(30)", "worse(30)")})
    repo.git("commit", "-qa", "-m", "mm: better", "--author=Rex Reader <rex@example.org>")
    repo.git("checkout", "-q", "main")
    standing = stands(repo, series)
    assert standing.applied == ()
    assert len(standing.conflicts) == 1


def test_a_series_is_there_that_changes_its_own_lines(repo: Repo) -> None:
    repo.commit({"mm/c.c": "one();\ntwo();\n"}, "mm: add")
    repo.commit({"mm/c.c": "one();\nthree();\n"}, "mm: three")
    repo.commit({"mm/c.c": "one();\nfour();\n"}, "mm: four")
    repo.commit({"mm/a.c": edited("line(30)", "better(30)")}, "mm: a")
    series = repo.post("HEAD~4")
    tip = on_next(repo, {"mm/c.c": "one();\nfour();\n"}, "mm: all at once")
    assert stands(repo, series) == Standing("next", tip, (), (1, 2, 3))


def test_a_part_of_a_patch_is_there(repo: Repo) -> None:
    series = one(repo, {"mm/a.c": edited("line(30)", "better(30)"), "mm/b.c": "whole();\n"})
    tip = on_next(repo, {"mm/a.c": edited("line(30)", "better(30)")}, "mm: a alone")
    assert stands(repo, series) == Standing("next", tip, ())


def test_the_second_patch_of_a_file_whose_first_is_there(repo: Repo) -> None:
    first = edited("line(30)", "better(30)")
    repo.commit({"mm/a.c": first}, "mm: one")
    repo.commit({"mm/a.c": edited("better(30)", "best(30)", first)}, "mm: two")
    series = repo.post("HEAD~2")
    on_next(repo, {"mm/a.c": first}, "mm: under another name")
    standing = stands(repo, series)
    assert (standing.applied, standing.conflicts) == ((1,), ())


def test_a_file_to_be_deleted_was_renamed(repo: Repo) -> None:
    series = one(repo, {"mm/a.c": None})
    on_next(repo, {"mm/a.c": None, "mm/walk.c": LINES}, "mm: rename")
    (conflict,) = stands(repo, series).conflicts
    assert conflict.why == "was renamed to mm/walk.c"


# -- what is no text ------------------------------------------------------------------------------


def test_binary_files_are_known_by_their_ids(repo: Repo) -> None:
    repo.commit({"logo.bin": b"\0one", "flag.bin": b"\0one"}, "pictures")
    repo.git("branch", "-f", "next")
    repo.commit({"logo.bin": b"\0two", "flag.bin": b"\0two"}, "other pictures")
    series = repo.post("HEAD~1", "--full-index")
    assert stands(repo, series).conflicts == ()
    cause = on_next(repo, {"logo.bin": b"\0three", "flag.bin": b"\0two"}, "a third")
    (conflict,) = stands(repo, series).conflicts
    assert (conflict.path, conflict.why, conflict.hunk) == ("logo.bin", "does not apply", None)
    assert conflict.cause
    assert conflict.cause.id == cause


def test_a_symbolic_link_says_nothing(repo: Repo) -> None:
    series = one(repo, {"mm/a.c": edited("line(30)", "better(30)")})
    repo.git("checkout", "-q", "next")
    (repo.path / "mm/a.c").unlink()
    (repo.path / "mm/a.c").symlink_to("b.c")
    repo.git("commit", "-qam", "mm: a link")
    repo.git("checkout", "-q", "main")
    assert stands(repo, series).conflicts == ()


# -- names, and what is hostile -------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-h",
        "--output=x",
        "main..next",
        "main^{/base}",
        "main~1",
        "@{-1}",
        ":/base",
        "a b",
        "a\nb",
        "x\0",
        "main:mm",
        "no-such",
    ],
)
def test_a_name_that_is_no_branch_is_left_out(repo: Repo, name: str) -> None:
    series = one(repo, {"mm/a.c": edited("line(30)", "better(30)")})
    with Tree.open(str(repo.path)) as tree:
        assert find_branch(tree, name) is None
        found = standings(tree, [name, "next"], series)
    assert [standing.branch for standing in found] == ["next"]


def test_branches_of_a_remote_and_tags_count_and_the_same_commit_is_looked_at_once(repo: Repo) -> None:
    series = one(repo, {"mm/a.c": edited("line(30)", "better(30)")})
    repo.git("update-ref", "refs/remotes/akpm/mm-unstable", "next")
    repo.git("tag", "-m", "a tag", "next-20241125", "next")
    with Tree.open(str(repo.path)) as tree:
        found = standings(tree, ["akpm/mm-unstable", "next-20241125", "next", "next"], series)
    assert [standing.branch for standing in found] == ["akpm/mm-unstable", "next-20241125", "next"]
    assert len({standing.commit for standing in found}) == 1


@pytest.mark.parametrize("path", [":(glob)**", "--output=stolen", "mm/*", "a\\b", ":!mm", "mm/../mm/a.c", "'", '"'])
def test_a_path_is_nothing_but_a_path(repo: Repo, path: str) -> None:
    hunk = "@@ -1,2 +1,3 @@\n \tline(1);\n+\tx();\n \tline(2);\n"
    diff = f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n{hunk}"
    patch = patch_of(diff)
    series = Series("x", 1, 1, None, (patch,), one(repo, {"mm/a.c": "y();\n"}).base)
    on_next(repo, {"mm/a.c": None}, "mm: gone")
    standing = stands(repo, series, base=None)
    assert [conflict.cause for conflict in standing.conflicts] == [None] * len(standing.conflicts)
    assert not [file for file in repo.path.rglob("*") if "stolen" in file.name]


def test_what_a_repository_configures_is_not_minded_and_not_run(repo: Repo) -> None:
    series = one(repo, {"include/range.h": edited("0x10\n", "0x10\n#define WALK_RETRY 0x20\n", HEADER)})
    defines = "".join(line + "\n" for line in HEADER.split("\n") if line.startswith("#define"))
    cause = on_next(
        repo, {"include/range.h": HEADER.replace(defines, ""), "include/types.h": TYPES + defines}, "mm: move"
    )
    ran = repo.path.parent / "ran"
    (repo.path / ".git/info").mkdir(exist_ok=True)
    (repo.path / ".git/info/attributes").write_text("* diff=odd\n")
    for key, value in {
        "diff.external": f"touch {ran}",
        "diff.odd.textconv": f"touch {ran}; cat",
        "diff.odd.command": f"touch {ran}",
        "color.ui": "always",
        "diff.noprefix": "true",
        "diff.renames": "copies",
        "diff.relative": "true",
        "log.showSignature": "true",
        "gpg.program": f"touch {ran}",
        "core.pager": f"touch {ran}",
    }.items():
        repo.git("config", key, value)
    (conflict,) = stands(repo, series).conflicts
    assert conflict.cause
    assert (conflict.cause.id, conflict.moved_to) == (cause, "include/types.h")
    assert not ran.exists()


def test_what_git_prints_is_cut_where_it_is_too_much_or_takes_too_long(repo: Repo) -> None:
    top = str(repo.path)
    assert glimpse(top, "rev-parse", "HEAD", seconds=10, size=100) == (
        f"{repo.git('rev-parse', 'HEAD')}\n".encode(),
        True,
    )
    assert glimpse(top, "cat-file", "blob", "HEAD:mm/a.c", seconds=10, size=7) == (b"\tline(1", False)
    assert glimpse(top, "rev-parse", "--verify", "nothing", seconds=10, size=100) is None
    assert glimpse(top, "cat-file", "--batch", seconds=10, size=100, given=b"nothing\n") == (b"nothing missing\n", True)
    begin = time.monotonic()
    os.mkfifo(repo.path / "never")
    assert glimpse(top, "hash-object", "never", seconds=0.5, size=100) == (b"", False)
    assert time.monotonic() - begin < 10


def test_much_of_it_ends(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"mm/f{n}.c" for n in range(200)]
    repo.commit(dict.fromkeys(names, LINES), "mm: many")
    repo.git("branch", "-f", "next")
    series = one(repo, dict.fromkeys(names, edited("line(30)", "better(30)")))
    on_next(repo, dict.fromkeys(names, edited("line(30)", "worse(30)")), "mm: worse")
    start = time.monotonic()
    conflicts = stands(repo, series).conflicts
    assert time.monotonic() - start < 10
    assert len(conflicts) == len(names)
    assert [bool(conflict.cause) for conflict in conflicts] == [n < module.MAX_BLAMED for n in range(len(names))]
    monkeypatch.setattr(module, "MAX_SECONDS", 0)
    assert not any(conflict.cause for conflict in stands(repo, series).conflicts)


def test_a_time_that_no_clock_has_is_no_bound(repo: Repo) -> None:
    repo.commit({"mm/a.c": edited("line(30)", "better(30)")}, "mm: better")
    series = repo.post("HEAD~1", date="Fri, 31 Dec 1 00:00:00 +0000")
    on_next(repo, {"mm/a.c": edited("line(30)", "worse(30)")}, "mm: worse")
    (conflict,) = stands(repo, series, base=None).conflicts
    assert conflict.cause


# -- the commands ---------------------------------------------------------------------------------


def posted(repo: Repo, since: str = "HEAD~1") -> Path:
    """The commits since another as a file."""
    file = repo.path.parent / "series.mbox"
    file.write_bytes(repo.raw("format-patch", "--stdout", f"--base={since}", since))
    return file


@pytest.fixture
def conflicting(repo: Repo) -> str:
    """main has one commit that `next` refuses; the cause's hash."""
    repo.git("branch", "other")
    cause = on_next(repo, {"mm/a.c": edited("line(30)", "worse(30)")}, "mm: worse")
    repo.commit({"mm/a.c": edited("line(30)", "better(30)")}, "mm: better")
    return cause


def check(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["check", "--select", "HY03,HY05", "--strict", *map(str, words)])
    return code, *capsys.readouterr()


def test_check_says_where_it_applies_and_the_rule_is_silent(
    repo: Repo, conflicting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = posted(repo)
    code, out, err = check(capsys, "--tree", repo.path, "--branch", "next", "--branch", "other", file)
    assert (code, out) == (0, "")
    said = (
        f'conflicts with next in patch 1/1, mm/a.c hunk 1: commit {conflicting[:12]} ("mm: worse") changed these lines'
    )
    assert f"branches: applies to other; {said}\n" in err


def test_check_says_that_no_branch_takes_it(repo: Repo, conflicting: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = posted(repo)
    setting = "branches=next"
    code, out, err = check(capsys, "-c", setting, "--tree", repo.path, file)
    assert code == 1
    cause = f'commit {conflicting[:12]} ("mm: worse") changed these lines; please rebase'
    assert f"does not apply to next (patch 1/1, mm/a.c hunk 1): {cause}" in out
    assert "branches: conflicts with next in patch 1/1" in err
    code, out, err = check(capsys, "-q", "-c", setting, "--tree", repo.path, file)
    assert (code, err) == (1, "")


def test_check_of_commits_takes_the_branches_of_their_repository(
    repo: Repo, conflicting: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repo.path / "mm")
    code, out, err = check(capsys, "--branch", "next", "HEAD")
    assert code == 1
    assert "changed these lines; please rebase" in out
    code, out, err = check(capsys, "--branch", "main", "HEAD")
    assert (code, out) == (0, "")
    assert "branches: is already in main\n" in err
    assert "branches: " not in check(capsys, "HEAD")[2]
    assert conflicting


def test_a_branch_that_is_not_there_is_told_once_and_is_no_error(
    repo: Repo, conflicting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = posted(repo)
    code, out, err = check(capsys, "--tree", repo.path, "--branch=--exec=x", "--branch", "gone", file, file)
    assert (code, out) == (0, "")
    assert err.count("warning: no branch 'gone' in ") == 1
    assert err.count("warning: no branch '--exec=x' in ") == 1
    assert "branches: " not in err
    assert conflicting


def test_without_a_tree_a_branch_is_asked_for_in_vain(
    repo: Repo, conflicting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = check(capsys, "--branch", "next", posted(repo))
    assert (code, out) == (0, "")
    assert "warning: --branch needs --tree" in err
    assert "warning: " not in check(capsys, "-c", "branches=next", posted(repo))[2]
    assert conflicting


def test_lore_says_it_too(repo: Repo, conflicting: str, capsys: pytest.CaptureFixture[str]) -> None:
    raw = posted(repo).read_bytes().replace(b"Subject:", b"Message-ID: <1@example.org>\nSubject:", 1)
    posted(repo).write_bytes(raw)
    file = repo.path.parent / "lore.mbox"
    file.write_bytes(raw)
    words = ["lore", "-m", str(file), "--tree", str(repo.path), "--select", "HY03", "--strict", "--branch", "next"]
    assert main([*words, "1@example.org"]) == 1
    out, err = capsys.readouterr()
    assert "does not apply to next" in out
    assert f"branches: conflicts with next in patch 1/1, mm/a.c hunk 1: commit {conflicting[:12]}" in err


def test_moved_definitions_are_told_in_place_of_the_other(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    defines = "".join(line + "\n" for line in HEADER.split("\n") if line.startswith("#define"))
    on_next(repo, {"include/range.h": HEADER.replace(defines, ""), "include/types.h": TYPES + defines}, "mm: move")
    repo.commit({"include/range.h": edited("0x10\n", "0x10\n#define WALK_RETRY 0x20\n", HEADER)}, "mm: retry")
    code, out, _ = check(capsys, "--tree", repo.path, "--branch", "next", posted(repo))
    assert code == 1
    assert "the WALK_* definitions moved to include/types.h" in out
    assert "does not apply" not in out


def test_a_series_for_another_tree_is_left_alone(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    other = Repo(repo.path.parent / "tools")
    other.commit({"ndctl/list.c": LINES}, "base")
    other.commit({"ndctl/list.c": edited("line(30)", "better(30)")}, "list: better")
    file = repo.path.parent / "tools.mbox"
    file.write_bytes(other.raw("format-patch", "--stdout", "HEAD~1"))
    code, out, err = check(capsys, "--tree", repo.path, "--branch", "next", file)
    assert (code, out) == (0, "")
    assert "branches: conflicts with next in patch 1/1, ndctl/list.c: it is not in the branch" in err


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("PATCH", 1),
        ("PATCH next", 1),
        ("PATCH -next v2", 1),
        ("PATCH RESEND", 1),
        ("PATCH net", 0),
        ("ndctl PATCH", 0),
        ("RFC PATCH", 0),
        ("PATCH 6.1.y", 0),
    ],
)
def test_a_subject_that_names_another_tree_is_believed(
    repo: Repo, conflicting: str, capsys: pytest.CaptureFixture[str], prefix: str, found: int
) -> None:
    file = posted(repo)
    file.write_bytes(file.read_bytes().replace(b"[PATCH]", f"[{prefix}]".encode()))
    assert check(capsys, "--tree", repo.path, "--branch", "next", file)[0] == found
    assert conflicting


def unposted(repo: Repo, date: str) -> Path:
    """A patch on top of one that nobody has, without a base; the branch is of the 25th."""
    on_next(repo, {"mm/c.c": "other();\n"}, "mm: c")
    repo.commit({"mm/a.c": edited("line(29)", "nobody_has(29)")}, "mm: nobody has it")
    repo.commit({"mm/a.c": edited("line(30)", "better(30)", edited("line(29)", "nobody_has(29)"))}, "mm: better", date)
    file = posted(repo)
    raw = file.read_bytes()
    file.write_bytes(
        b"".join(line for line in raw.splitlines(True) if not line.startswith((b"base-commit:", b"index ")))
    )
    other = Repo(repo.path.parent / "fetched")
    other.git("fetch", "-q", str(repo.path), "next:next")
    return file


@pytest.mark.parametrize(("date", "found"), [("2024-11-26T12:00:00+0000", 1), ("2024-12-26T12:00:00+0000", 0)])
def test_nothing_is_in_the_way_and_the_base_is_not_known(
    repo: Repo, capsys: pytest.CaptureFixture[str], date: str, found: int
) -> None:
    file = unposted(repo, date)
    tree = repo.path.parent / "fetched"
    code, out, err = check(capsys, "--tree", tree, "--branch", "next", file)
    assert code == found, err
    assert ("does not apply to next (patch 1/1, mm/a.c hunk 1); no base-commit says what it is for" in out) == bool(
        found
    )
    assert "branches: conflicts with next in patch 1/1, mm/a.c hunk 1\n" in err
    file.write_bytes(file.read_bytes().replace(b"---\n", b"---\nThis depends on a series of Rex.\n", 1))
    assert check(capsys, "--tree", tree, "--branch", "next", file)[:2] == (0, "")
