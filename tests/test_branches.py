# SPDX-License-Identifier: GPL-2.0-or-later
"""reviewbot.branches, against real git: whether a series applies, what of it is there, what is in the way."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from test_tree import DATE, LINES, MAKEFILE, Repo, no_user, patch_of  # noqa: F401 - no_user is for all tests

from reviewbot import branches as module
from reviewbot.branches import find_branch, standings
from reviewbot.dossier import Standing
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
    return standing


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
