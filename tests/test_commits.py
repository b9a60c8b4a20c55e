# SPDX-License-Identifier: GPL-2.0-or-later
"""Commits of a repository as a series: which ones, what git's settings must not change, what cannot be reviewed.

Belongs here: `source.commits` over real git, and `check` on commits. Hooks have their own tests.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from git_world import BAD_LINE, GOOD_LINE, World, make_world

from reviewbot.model import BaseHow, InputError, Series
from reviewbot.source import commits as commits_module
from reviewbot.source.commits import Repository


@pytest.fixture(autouse=True)
def no_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of whoever runs the tests is read."""
    for name in [name for name in os.environ if name.startswith(("GIT_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Two commits on top of master's base, which is the upstream of branch topic: the first is bad."""
    made = make_world(tmp_path / "linux")
    made.git("checkout", "-q", "-b", "topic", "--track", "master")
    made.change("mm: walk: lock", BAD_LINE, body="For the reader.\n---\nreviewbot: ignore LD02 it is a test")
    made.change("mm: other: go on", GOOD_LINE, "mm/other.c")
    return made


def read(world: World, *words: str, directory: Path | None = None) -> Series:
    with Repository.open(str(directory or world.top)) as repository:
        return repository.series(repository.find(words))


def refused(world: World, *words: str, directory: Path | None = None) -> str:
    """The one line with which commits are refused."""
    with pytest.raises(InputError) as error:
        read(world, *words, directory=directory)
    assert "\n" not in str(error.value)
    return str(error.value)


def check(world: World, *words: str, code: int = 1, cwd: Path | None = None, given: str = "") -> str:
    """What `check` prints on stdout, in terse form."""
    done = world.run("reviewbot", "check", *words, cwd=cwd, given=given)
    assert done.code == code, done.err + done.out
    return done.out


FOUND = "mm/walk.c:9:13: error: mmap_sem is mmap_lock since v5.8, and only to be reached through the mmap locking API"


# -- which commits --------------------------------------------------------------------------------


def test_without_words_it_is_what_upstream_lacks(world: World) -> None:
    series = read(world)
    assert [patch.mail.subject for patch in series.patches] == [
        "[PATCH 1/2] mm: walk: lock",
        "[PATCH 2/2] mm: other: go on",
    ]
    assert series.base.how is BaseHow.COMMITS
    assert series.base.commit == world.git("rev-parse", "master")
    assert series.base.version == (6, 12)
    assert [patch.commit for patch in series.patches] == world.git("rev-list", "--reverse", "master..").split()


def test_a_commit_is_read_as_its_mail_would_be(world: World) -> None:
    first = read(world).patches[0]
    assert str(first.author) == "Ada Ranger <ada@example.org>"
    assert first.message == "For the reader."
    assert first.notes.startswith("reviewbot: ignore LD02 it is a test")
    (diff,) = first.files
    (line,) = [line for hunk in diff.hunks for line in hunk.lines if line.kind == "+"]
    assert (diff.path, line.text, line.new) == ("mm/walk.c", BAD_LINE.rstrip("\n"), 9)
    # a finding's place in the mail is that of its line
    assert first.mail.body[line.message_line - 1] == "+" + line.text


@pytest.mark.parametrize(
    ("words", "titles"),
    [
        (("HEAD",), ["mm: other: go on"]),
        (("HEAD~1",), ["mm: walk: lock"]),
        (("master..",), ["mm: walk: lock", "mm: other: go on"]),
        (("master..HEAD~1",), ["mm: walk: lock"]),
        (("HEAD", "^HEAD~1"), ["mm: other: go on"]),
        (("HEAD~1", "HEAD"), ["mm: walk: lock", "mm: other: go on"]),
        (("@",), ["mm: other: go on"]),
        (("HEAD^{/lock}",), ["mm: walk: lock"]),
        (("HEAD^!",), ["mm: other: go on"]),
    ],
)
def test_ranges_and_single_commits_are_named_as_git_names_them(
    world: World, words: tuple[str, ...], titles: list[str]
) -> None:
    assert [patch.subject.title for patch in read(world, *words).patches] == titles


def test_a_root_commit_can_be_reviewed(world: World) -> None:
    root = world.git("rev-list", "--max-parents=0", "HEAD")
    series = read(world, root)
    assert series.base.commit is None
    assert {diff.path for diff in series.patches[0].files} == {"Makefile", "mm/walk.c", "mm/other.c"}


def test_what_a_commit_message_quotes_is_no_diff(world: World) -> None:
    quoted = "This fixes\n\ndiff --git a/x.c b/x.c\n--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-a\n+b\n\nwhich is wrong."
    world.change("mm: quote", GOOD_LINE, body=quoted)
    (patch,) = read(world, "HEAD").patches
    assert [diff.path for diff in patch.files] == ["mm/walk.c"]
    assert patch.unreadable == ()


def test_a_title_with_brackets_stays_what_it_is(world: World) -> None:
    world.change("[RFC v7] mm: Re: brackets", GOOD_LINE)
    series = read(world, "HEAD")
    assert (series.revision, series.subject) == (1, "[PATCH] [RFC v7] mm: Re: brackets")
    assert not series.patches[0].reply


# -- what cannot be -------------------------------------------------------------------------------


def test_outside_of_a_repository_the_way_out_is_files(tmp_path: Path, world: World) -> None:
    done = world.run("reviewbot", "check", cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.err == "reviewbot: not in a git repository: name patch files, or '-' for standard input\n"


def test_a_branch_without_upstream_wants_a_range(world: World) -> None:
    world.git("branch", "--unset-upstream")
    said = refused(world)
    assert said == (
        "branch 'topic' has no upstream: name a range, such as origin/master..HEAD, or one commit,"
        " or set one with 'git branch -u'"
    )
    world.git("checkout", "-q", "--detach")
    assert refused(world).startswith("HEAD is detached: name a range")


def test_an_unborn_branch_has_what_is_staged_and_no_more(tmp_path: Path) -> None:
    world = make_world(tmp_path / "new", empty=True)
    assert refused(world) == "there is no commit yet: --staged reviews what is staged for the first"
    assert refused(world, "HEAD") == "'HEAD' is no revision: there is no commit yet"
    world.insert("mm/walk.c", BAD_LINE)
    world.git("add", "-A")
    assert check(world, "--staged", "--ignore=mmap-lock", code=0) == ""
    assert "(also at mm/walk.c:9, 15)" in check(world, "--staged")


def test_a_merge_is_refused_with_what_comes_after_it(world: World) -> None:
    world.git("checkout", "-q", "-b", "side", "master")
    world.write("mm/third.c", "int third;\n")
    world.commit("mm: third")
    world.git("checkout", "-q", "topic")
    world.git("merge", "-q", "--no-edit", "side")
    merge = world.git("rev-parse", "HEAD")
    world.change("mm: walk: again", GOOD_LINE)
    said = refused(world)
    assert said == (
        f"'@{{upstream}}..HEAD' has a merge in it, a series has none: name what comes after, such as {merge[:12]}..HEAD"
    )
    assert [patch.subject.title for patch in read(world, f"{merge}..").patches] == ["mm: walk: again"]
    assert refused(world, merge).startswith(f"{merge[:12]} is a merge: name one side of it")


def test_a_merge_at_the_tip_has_nothing_behind_it_to_name(world: World) -> None:
    world.git("checkout", "-q", "-b", "side", "master")
    world.write("mm/third.c", "int third;\n")
    world.commit("mm: third")
    world.git("checkout", "-q", "topic")
    world.git("merge", "-q", "--no-edit", "side")
    merge = world.git("rev-parse", "HEAD")[:12]
    said = refused(world)
    assert said.endswith(f"name one side of the last, such as {merge}^1..{merge}^2")
    assert [patch.subject.title for patch in read(world, f"{merge}^1..{merge}^2").patches] == ["mm: third"]


def test_both_sides_of_a_fork_are_no_series(world: World) -> None:
    assert refused(world, "master...HEAD") == "'master...HEAD' names both sides of a fork: name a range with two dots"


@pytest.mark.parametrize(
    "word", ["nothing", "--all", "HEAD~99", "a..b", "", ":mm/walk.c", "HEAD:mm/walk.c", "HEAD^{tree}"]
)
def test_what_is_no_commit_is_refused(world: World, word: str) -> None:
    assert f"'{word}'" in refused(world, word)


def test_what_a_tag_of_no_commit_names_is_refused(world: World) -> None:
    world.git("tag", "tree", "HEAD^{tree}")
    world.git("tag", "-a", "-m", "a file", "blob", "HEAD:mm/walk.c")
    world.git("tag", "-a", "-m", "a commit", "good", "HEAD")
    for word in ("tree", "blob", "HEAD..tree"):
        assert f"'{word}'" in refused(world, word)
    assert read(world, "good").patches[0].subject.title == "mm: other: go on"


def test_an_empty_range_is_nothing_to_do_and_no_error(world: World) -> None:
    done = world.run("reviewbot", "check", "HEAD..HEAD")
    assert (done.code, done.out, done.err) == (0, "", "nothing to review in HEAD..HEAD\n")
    world.git("reset", "-q", "--hard", "master")
    assert world.run("reviewbot", "check").code == 0


def test_a_range_of_too_many_commits_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits_module, "MAX_COMMITS", 1)
    assert refused(world) == "'@{upstream}..HEAD' has more than 1 commits: name a smaller range"


def test_a_name_that_is_a_file_and_a_branch_is_ambiguous(world: World) -> None:
    world.git("branch", "mm")
    done = world.run("reviewbot", "check", "mm")
    assert (done.code, done.err) == (2, "reviewbot: 'mm' is both a file and a revision: write ./mm or refs/heads/mm\n")
    assert world.run("reviewbot", "check", "refs/heads/mm", "-q").code == 0


def test_files_and_commits_do_not_mix(world: World) -> None:
    done = world.run("reviewbot", "check", "HEAD", "Makefile")
    assert (done.code, done.err) == (2, "reviewbot: 'Makefile' is a file and 'HEAD' is none: name files or commits\n")


def test_a_repository_that_is_broken_is_told_in_a_line(world: World) -> None:
    tree = world.git("rev-parse", "HEAD:mm")
    (world.top / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    done = world.run("reviewbot", "check", "HEAD")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "git diff-tree failed" in done.err


# -- where ----------------------------------------------------------------------------------------


def test_it_works_from_below_the_top_and_in_another_work_tree(world: World, tmp_path: Path) -> None:
    world.git("worktree", "add", "-q", str(tmp_path / "other"), "-b", "elsewhere", "topic")
    assert FOUND in check(world, "master..", cwd=world.top / "mm")
    assert FOUND in check(world, "master..", cwd=tmp_path / "other")
    with Repository.open(str(tmp_path / "other" / "mm")) as repository:
        assert repository.top == str((tmp_path / "other").resolve())


def test_it_works_in_a_bare_repository(world: World, tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "-q", "--bare", world.top, tmp_path / "bare.git"], check=True)
    assert FOUND in check(world, "master..topic", cwd=tmp_path / "bare.git")
    with Repository.open(str(tmp_path / "bare.git")) as repository:
        assert repository.top is None


def test_the_edge_of_a_shallow_clone_is_no_commit_to_review(world: World, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth=2", "-b", "topic", f"file://{world.top}", shallow], check=True)
    assert "mm: other" in read(world, "HEAD", directory=shallow).subject
    edge = world.git("rev-parse", "HEAD~1")
    assert refused(world, "HEAD~1", directory=shallow) == (
        f"commit {edge[:12]} is the edge of a shallow clone, what it changes is not known:"
        " 'git fetch --deepen=1' gets its parent"
    )


def test_git_dir_is_followed_as_git_does(world: World, tmp_path: Path) -> None:
    more = {"GIT_DIR": str(world.top / ".git"), "GIT_WORK_TREE": str(world.top)}
    done = world.run("reviewbot", "check", "-q", "master..", cwd=tmp_path, more=more)
    assert (done.code, FOUND in done.out) == (1, True), done.err


def test_in_a_bare_repository_head_is_a_commit_and_nothing_is_staged(world: World, tmp_path: Path) -> None:
    bare = tmp_path / "bare.git"
    subprocess.run(["git", "clone", "-q", "--bare", world.top, bare], check=True)
    assert FOUND in check(world, "HEAD~1", cwd=bare)
    assert check(world, "HEAD", code=0, cwd=bare) == ""
    done = world.run("reviewbot", "check", "--staged", cwd=bare)
    assert (done.code, done.out) == (2, "")
    assert "is a bare repository: nothing is staged there" in done.err


def test_what_git_will_not_read_is_told_with_its_reason(world: World) -> None:
    (world.top / ".git" / "config").write_text("[core\n", encoding="utf-8")
    done = world.run("reviewbot", "check", "HEAD")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "bad config" in done.err


# -- settings of git that must not mislead ----------------------------------------------------------

ODD = {
    "diff.external": "/bin/false",
    "diff.noprefix": "true",
    "diff.mnemonicPrefix": "true",
    "diff.renames": "false",
    "diff.context": "0",
    "diff.interHunkContext": "50",
    "diff.algorithm": "patience",
    "diff.colorMoved": "zebra",
    "diff.wordRegex": ".",
    "diff.orderFile": "/etc/passwd",
    "diff.submodule": "log",
    "diff.ignoreSubmodules": "all",
    "diff.suppressBlankEmpty": "true",
    "diff.srcPrefix": "x/",
    "diff.relative": "true",
    "color.ui": "always",
    "color.diff": "always",
    "core.quotePath": "false",
    "core.pager": "/bin/false",
    "core.abbrev": "4",
    "core.fsmonitor": "/bin/false",
    "commit.gpgsign": "true",
    "log.showSignature": "true",
    "format.pretty": "oneline",
    "format.subjectPrefix": "HACK",
    "i18n.logOutputEncoding": "latin1",
    "diff.upper.textconv": "tr a-z A-Z <",
    "diff.upper.command": "/bin/false",
}


@pytest.mark.parametrize("name", [*ODD, "all"])
def test_no_setting_of_git_changes_what_is_seen(world: World, name: str) -> None:
    plain = read(world)
    for key, value in ODD.items() if name == "all" else [(name, ODD[name])]:
        world.git("config", key, value)
    world.write(".git/info/attributes", "*.c diff=upper\n")
    odd = read(world)
    assert [patch.files for patch in odd.patches] == [patch.files for patch in plain.patches]
    assert odd == plain
    below = world.run("reviewbot", "check", "master..", cwd=world.top / "mm")
    assert FOUND in below.out, below.err


@pytest.mark.parametrize("where", [".gitattributes", ".git/info/attributes"])
@pytest.mark.parametrize("attribute", ["-diff", "binary", "diff=b"])
def test_no_attribute_hides_a_file(world: World, where: str, attribute: str) -> None:
    world.git("config", "diff.b.binary", "true")
    world.write(where, f"*.c {attribute}\n")
    assert FOUND in check(world)


def test_a_binary_file_is_none_to_look_into_and_said_so(world: World) -> None:
    (world.top / "mm" / "blob.c").write_bytes(b"int a;\n\0\x01\n")
    world.commit("mm: a blob")
    (diff,) = read(world, "HEAD").patches[0].files
    assert (diff.binary, diff.hunks) == (True, ())
    done = world.run("reviewbot", "check", "HEAD")
    assert (done.code, done.out) == (0, "")
    assert "note: patch 1/1, mm/blob.c: a binary file is not looked into\n" in done.err


def test_a_large_binary_file_hides_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits_module, "MAX_DIFF", 100_000)
    (world.top / "fw.bin").write_bytes(os.urandom(300_000))
    world.change("mm: walk: firmware", "\tup_read(&mm->mmap_sem);\n", "mm/other.c")
    series = read(world, "HEAD")
    assert [(diff.path, diff.binary) for diff in series.patches[0].files] == [("fw.bin", True), ("mm/other.c", False)]
    assert "mm/other.c:10:11: error" in check(world, "HEAD")


def test_a_nul_far_down_makes_no_file_binary_as_with_git(world: World) -> None:
    text = (world.top / "mm" / "walk.c").read_bytes()
    (world.top / "mm" / "late.c").write_bytes(text + b"\n" * 9_000 + b"\0")
    world.commit("mm: late")
    assert [diff.binary for diff in read(world, "HEAD").patches[0].files] == [False]


def test_hidden_files_are_shown_where_they_are_staged_and_many(world: World) -> None:
    for n in range(520):
        world.write(f"mm/many{n}.c", f"int a{n};\n")
    world.write(".gitattributes", "*.c -diff\n")
    world.insert("mm/other.c", BAD_LINE)
    world.git("add", "-A")
    assert "mm/other.c:10:13: error" in check(world, "--staged")
    world.commit("mm: many")
    (patch,) = read(world, "HEAD").patches
    assert len([diff for diff in patch.files if diff.path.endswith(".c") and diff.hunks]) == 521
    assert patch.unreadable == ()


def test_what_an_attribute_hides_has_a_limit_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write(".gitattributes", "*.c -diff\n")
    world.write("mm/large.c", "int a;\n" * 2_000)
    world.commit("mm: large")
    monkeypatch.setattr(commits_module, "MAX_DIFF", 10_000)
    (patch,) = read(world, "HEAD").patches
    assert (patch.files, len(patch.unreadable)) == ((), 1)


def test_a_diff_that_is_too_large_is_told_and_the_other_commits_are_reviewed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write("mm/large.c", "int a;\n" * 2_000)
    world.commit("mm: large")
    world.change("mm: walk: again", GOOD_LINE)
    monkeypatch.setattr(commits_module, "MAX_DIFF", 10_000)
    series = read(world)
    assert [len(patch.files) for patch in series.patches] == [1, 1, 0, 1]
    (piece,) = series.patches[2].unreadable
    assert piece.reason == "it has more than 0 MiB, no more is read of one patch"


def test_odd_names_lines_and_encodings_are_read_as_they_are(world: World) -> None:
    latin = "/* caf\xe9 */\nint cafe;\n".encode("latin-1")
    world.write("mm/walk two.c", "int a;\r\nint b;\r\n")
    (world.top / "mm" / "caf\u00e9.c").write_bytes(latin)
    world.write("mm/no end.c", "int c;")
    world.commit("mm: odd")
    with Repository.open(str(world.top)) as repository:
        series = repository.series(repository.find(["HEAD"]))
        found = repository.files(series).apply(series.patches[0])
    (patch,) = series.patches
    texts = {patch.files[n].path: whole.after for n, whole in found.files.items()}
    assert texts == {
        "mm/walk two.c": "int a;\r\nint b;\r\n",
        "mm/caf\u00e9.c": "/* caf\u00e9 */\nint cafe;\n",
        "mm/no end.c": "int c;",
    }
    assert patch.unreadable == ()


def test_a_moved_file_is_one_file(world: World) -> None:
    world.git("mv", "mm/walk.c", "mm/moved.c")
    world.change("mm: move", GOOD_LINE, "mm/moved.c")
    (diff,) = read(world, "HEAD").patches[0].files
    assert (diff.old_path, diff.new_path, diff.change) == ("mm/walk.c", "mm/moved.c", "renamed")


def test_a_submodule_is_named_and_left_alone(world: World) -> None:
    head = world.git("rev-parse", "HEAD")
    world.git("update-index", "--add", "--cacheinfo", f"160000,{head},lib/sub.c")
    world.git("commit", "-q", "-m", "lib: a submodule")
    (patch,) = read(world, "HEAD").patches
    assert patch.files[0].path == "lib/sub.c"
    done = world.run("reviewbot", "check", "HEAD")
    assert (done.code, done.out) == (0, "")
    assert "note: patch 1/1, lib/sub.c: a submodule is not looked into\n" in done.err


def test_the_files_are_git_s_own_before_and_after_each_commit(world: World) -> None:
    with Repository.open(str(world.top)) as repository:
        series = repository.series(repository.find())
        files = repository.files(series)
        for patch in series.patches:
            applied = files.apply(patch)
            for n, whole in applied.files.items():
                path = patch.files[n].path
                assert whole.after == world.run("git", "show", f"{patch.commit}:{path}").out
                assert whole.before == world.run("git", "show", f"{patch.commit}~1:{path}").out
        assert files.lost == []


# -- what is staged -------------------------------------------------------------------------------


def test_what_is_staged_is_reviewed_and_what_is_not_is_not(world: World) -> None:
    assert check(world, "--staged", code=2) == ""
    world.insert("mm/other.c", BAD_LINE)
    world.git("add", "mm/other.c")
    world.insert("mm/walk.c", "\tdown_read(&mm->mmap_sem);\n")
    out = check(world, "--staged", "-q")
    assert out.count("\n") == 1
    assert out.startswith("mm/other.c:10:13: error: mmap_sem")


def test_a_file_that_is_only_intended_to_be_added_is_not_staged(world: World) -> None:
    world.write("mm/new.c", "int a;\n")
    world.git("add", "-N", "mm/new.c")
    done = world.run("reviewbot", "check", "--staged")
    assert (done.code, done.err) == (2, "reviewbot: nothing is staged: 'git add' what is to be reviewed\n")


def test_a_conflict_in_the_index_is_told(world: World) -> None:
    world.git("checkout", "-q", "-b", "side", "master")
    world.change("mm: walk: differently", "\tother_line(mm);\n")
    assert world.run("git", "merge", "topic").code == 1
    done = world.run("reviewbot", "check", "--staged")
    assert (done.code, done.err) == (
        2,
        "reviewbot: 'mm/walk.c' is in conflict: resolve it and 'git add' it first\n",
    )


# -- prep branches of b4 --------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["commit", "branch-description", "tip-commit"])
def test_a_prep_branch_is_read_as_b4_would_send_it(world: World, strategy: str) -> None:
    b4 = shutil.which("b4", path=world.environment["PATH"])
    assert b4, "b4 is a dependency"
    world.git("checkout", "-q", "-b", "b4/walkers", "master")
    world.git("config", "b4.prep-cover-strategy", strategy)
    if strategy == "tip-commit":
        world.change("mm: walk: one", BAD_LINE)
        world.change("mm: other: two", GOOD_LINE, "mm/other.c")
    done = world.run(b4, "prep", "-e", "master")
    assert done.code == 0, done.err
    if strategy != "tip-commit":
        world.change("mm: walk: one", BAD_LINE)
        world.change("mm: other: two", GOOD_LINE, "mm/other.c")
    assert world.run(b4, "prep", "--force-revision", "3").code == 0
    assert world.run(b4, "prep", "--set-prefixes", "RFC", "mm").code == 0
    shown = world.run(b4, "prep", "--show-info")
    info = dict(line.split(": ", 1) for line in shown.out.splitlines() if ": " in line)
    assert "change-id" in info, shown.err
    with Repository.open(str(world.top)) as repository:
        found = repository.find()
        series = repository.series(found)
    assert found.name == "prep branch b4/walkers"
    assert series.change_id == info["change-id"]
    assert series.revision == 3
    assert series.base.commit == info["base-commit"]
    assert [p.mail.subject for p in series.patches] == [
        "[PATCH RFC mm v3 1/2] mm: walk: one",
        "[PATCH RFC mm v3 2/2] mm: other: two",
    ]
    assert series.cover
    assert series.subject.startswith("[PATCH RFC mm v3 0/2] ")
    assert FOUND in check(world)


def test_a_prep_branch_whose_note_is_broken_is_a_branch(world: World) -> None:
    world.change("mm: cover", GOOD_LINE, body='--- b4-submit-tracking ---\n{"series": {"revision": "x"')
    assert len(read(world).patches) == 3


# -- what comes out -------------------------------------------------------------------------------


def test_the_json_names_the_commit_and_what_the_bot_would_do(world: World) -> None:
    document = json.loads(check(world, "--format", "json"))
    (finding,) = [found for found in document["findings"] if found["shown"]]
    assert finding["patch"]["commit"] == world.git("rev-parse", "HEAD~1")
    assert document["series"]["base"]["how"] == "commits"
    assert document["forecast"] == {"mails": 1, "findings": 1, "silent": [], "lists": [], "verdict": None}


def test_nothing_to_review_is_a_document_all_the_same(world: World) -> None:
    assert check(world, "HEAD..HEAD", "--format", "json", code=0) == "[]\n"
    assert check(world, "HEAD..HEAD", "--format", "b4", code=0) == "[]\n"
    assert json.loads(check(world, "HEAD..HEAD", "--format", "sarif", code=0))["runs"][0]["results"] == []


def test_a_commit_without_changes_gets_no_mail_and_does_not_silence_the_bot(world: World) -> None:
    world.git("commit", "-q", "--allow-empty", "-m", "mm: empty")
    assert json.loads(check(world, "--format", "json"))["forecast"]["mails"] == 1
    world.git("format-patch", "-q", "-o", "out", "master")
    files = sorted(str(file) for file in (world.top / "out").iterdir())
    done = world.run("reviewbot", "check", *files)
    assert (done.code, "it is empty" in done.err) == (1, True)


def test_what_the_tree_s_own_file_leaves_out_is_said_and_does_not_change_the_forecast(world: World) -> None:
    before = json.loads(check(world, "--format", "json"))["forecast"]
    for text in (
        'ignore = ["mmap-lock"]',
        'select = ["pin"]',
        '[per-path."mm/"]\nignore = ["mmap-lock"]',
    ):
        world.write(".reviewbot.toml", text + "\n")
        done = world.run("reviewbot", "check", "--format", "json")
        assert done.code == 0
        assert "note: '.reviewbot.toml' of the tree " in done.err
        document = json.loads(done.out)
        assert document["forecast"] == before
        assert {f["why_not_shown"].split(":")[0] for f in document["findings"] if not f["preexisting"]} <= {
            "ignored",
            "said by mmap-lock/direct-mmap-sem",
            "folded",
            "low confidence",  # the Signed-off-by: of the first commit stands below a ---
        }
    world.write(".reviewbot.toml", 'ignore = ["newer/rule"]\n')
    done = world.run("reviewbot", "check")
    assert (done.code, FOUND in done.out) == (1, True)
    assert "warning: no rule or family is named 'newer/rule' in '.reviewbot.toml'" in done.err


def test_the_forecast_is_left_out_where_rules_were_not_run(world: World) -> None:
    assert json.loads(check(world, "--format", "json", "--select", "mmap-lock"))["forecast"] is None


def test_findings_come_where_stderr_cannot_be_written(world: World) -> None:
    for way in ("2>/dev/full", "2>&-"):
        done = world.run("sh", "-c", f"reviewbot check {way}")
        assert (done.code, FOUND in done.out) == (1, True), way


def test_a_commit_s_ignore_with_a_reason_holds_and_one_without_is_refused(world: World) -> None:
    body = "Because.\n---\nreviewbot: ignore mmap-lock/direct-mmap-sem {}"
    world.git("reset", "-q", "--hard", "master")
    world.change("mm: walk: lock", BAD_LINE, body=body.format("the macro wants it"))
    done = world.run("reviewbot", "check")
    assert (done.code, done.out) == (0, "")
    world.git("reset", "-q", "--hard", "master")
    world.change("mm: walk: lock", BAD_LINE, body=body.format("").rstrip())
    done = world.run("reviewbot", "check")
    assert done.code == 1
    assert "gives no reason" in done.err


def test_only_one_git_writes_nothing_and_leaves_nothing(world: World) -> None:
    def state() -> set[tuple[str, int]]:
        return {(str(p), p.stat().st_mtime_ns) for p in world.top.rglob("*")}

    before = state()
    check(world)
    check(world, "HEAD", code=0)
    assert state() == before
