# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot check --fix` changes the files of a clean work tree, or nothing, and says what it did.

Belongs here: the work tree and what is said; which edits there are is test_fixes.py's.
"""

from __future__ import annotations

import os
import random
import shutil
import stat
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from test_fixes import ENVIRONMENT, NAME, PLAIN, Repo, changed, function, locked

from reviewbot import reports
from reviewbot.cli import main
from reviewbot.commands import fixing
from reviewbot.source.commits import Repository

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is missing")

FIXED = locked("mmap_read_lock(mm);", "mmap_read_unlock(mm);")
Run = Callable[..., tuple[int, str, str]]
Later = Callable[[Callable[[], object]], None]


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    """A work tree whose last commit has something to fix; the working directory."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    made = Repo(tmp_path / "repo")
    made.commit({NAME: PLAIN, "other.c": "int other;\n"})
    made.git("tag", "base")
    made.commit({NAME: locked()}, "lumen: lock")
    monkeypatch.chdir(made.top)
    return made


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """`reviewbot check --fix ...`: exit status, stdout, stderr."""

    def call(*words: str) -> tuple[int, str, str]:
        code = main(["check", "--fix", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """Something that happens once the work tree was seen to be clean."""
    real = fixing._require_clean

    def happens(what: Callable[[], object]) -> None:
        def look(repository: Repository) -> None:
            real(repository)
            what()

        monkeypatch.setattr(fixing, "_require_clean", look)

    return happens


def unchanged(repo: Repo) -> bool:
    """No tracked file was changed and nothing was left behind."""
    return repo.git("status", "--porcelain") == b""


def test_it_fixes_the_files_and_says_so(repo: Repo, run: Run) -> None:
    code, out, err = run("base..HEAD")
    assert (code, out) == (0, "")
    assert repo.read().decode() == FIXED
    assert f"fixed 2 in {NAME}: mmap-lock/direct-mmap-sem\n" in err
    assert f"'git checkout -- {NAME}' undoes it" in err
    assert repo.git("status", "--porcelain").decode() == f" M {NAME}\n"
    repo.git("checkout", "--", NAME)
    assert repo.read().decode() == locked()


def test_what_remains_is_shown_and_makes_the_exit_status(repo: Repo, run: Run) -> None:
    repo.commit({NAME: locked() + locked("down_read_nested(&mm->mmap_sem, 1);").replace("lumen_look", "lumen_two")})
    code, out, err = run("base..HEAD")
    assert code == 1
    assert out.count("[mmap-lock/direct-mmap-sem]") == 1
    assert f"{NAME}:16:" in out
    assert f"also at {NAME}:18" in out
    assert f"left 1 in {NAME}: down_read_nested() in line 16, which goes with it" in err
    assert "2 findings remain\n" in err
    assert run("base..HEAD")[0] == 2, "the work tree is not clean now"


def test_what_says_something_else_is_shown_by_itself(repo: Repo, run: Run) -> None:
    repo.git("reset", "-q", "--hard", "base")
    repo.commit({NAME: locked("down_read_nested(&mm->mmap_lock, 1);", "up_read(&mm->mmap_lock);")})
    code, out, err = run("base..HEAD")
    assert code == 1
    assert [line.split(": ")[2].split()[0] for line in out.splitlines()] == ["down_read_nested()", "up_read()"]
    assert "2 findings remain\n" in err


@pytest.mark.parametrize(("limit", "status"), [("never", 0), ("error", 1)])
def test_the_exit_status_minds_the_limit(repo: Repo, run: Run, limit: str, status: int) -> None:
    repo.commit({NAME: locked("down_read_nested(&mm->mmap_sem, 1);")})
    assert run("--fail-on", limit, "base..HEAD")[0] == status


def test_one_rule_alone(repo: Repo, run: Run) -> None:
    text = locked("lockdep_assert_held(&mm->mmap_lock);\n\tdown_read(&mm->mmap_sem);")
    repo.commit({NAME: text})
    code, _, err = run("--select", "lockdep/raw-mmap-lock-assert", "base..HEAD")
    assert code == 0
    assert repo.read().decode() == text.replace("lockdep_assert_held(&mm->mmap_lock)", "mmap_assert_locked(mm)")
    assert "direct-mmap-sem" not in err


def test_a_note_is_fixed_under_strict_alone(repo: Repo, run: Run) -> None:
    repo.git("reset", "-q", "--hard", "base")
    repo.commit({NAME: "/* the mmap_sem */\n" + PLAIN})
    _, _, err = run("base..HEAD")
    assert unchanged(repo)
    assert "1 more could be fixed with --strict\n" in err
    assert "nothing to fix\n" in err
    assert run("--strict", "base..HEAD")[0] == 0
    assert repo.read().decode() == "/* the mmap_lock */\n" + PLAIN


def test_an_unlock_far_below_is_converted_too(repo: Repo, run: Run) -> None:
    far = "".join(f"\tlumen_step({n});\n" for n in range(30))
    text = (
        locked("lumen_take(mm);")
        .replace("\tlumen_count", f"{far}\tlumen_count")
        .replace("\tup_read", f"{far}\tup_read")
    )
    repo.commit({NAME: text})
    repo.git("tag", "-f", "base")
    repo.commit({NAME: text.replace("lumen_take(mm)", "down_read(&mm->mmap_sem)")})
    code, _, err = run("base..HEAD")
    assert code == 0
    assert b"mmap_sem" not in repo.read()
    assert f"changed {NAME}:37, too: the other side of what was converted\n" in err


def test_several_files_and_other_directories(repo: Repo, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.commit({"mm/b c.c": locked()})
    monkeypatch.chdir(repo.top / "mm")
    assert run("base..HEAD")[0] == 0
    assert repo.read("mm/b c.c").decode() == repo.read().decode() == FIXED
    repo.git("checkout", "--", ".")
    _, _, err = run("base..HEAD")
    assert f"git checkout -- ../{NAME} 'b c.c'" in err


def test_the_mode_of_a_file_stays(repo: Repo, run: Run) -> None:
    os.chmod(repo.top / NAME, 0o755)
    repo.git("commit", "-qam", "mode")
    os.chmod(repo.top / NAME, 0o750)
    run("base..HEAD")
    assert repo.read().decode() == FIXED
    assert stat.S_IMODE((repo.top / NAME).stat().st_mode) == 0o750


def test_line_ends_stay(repo: Repo, run: Run) -> None:
    repo.git("reset", "-q", "--hard", "base")
    repo.commit({NAME: locked().replace("\n", "\r\n")})
    run("base..HEAD")
    assert repo.read().decode() == FIXED.replace("\n", "\r\n")


def test_a_work_tree_with_cr_lf_where_git_has_lf(repo: Repo, run: Run) -> None:
    repo.git("config", "core.autocrlf", "true")
    (repo.top / NAME).unlink()
    repo.git("checkout", "--", NAME)
    assert b"\r\n" in repo.read()
    assert run("base..HEAD")[0] == 0
    assert repo.read().decode() == FIXED.replace("\n", "\r\n")


def test_a_file_that_is_no_utf_8_keeps_its_bytes(repo: Repo, run: Run) -> None:
    text = locked("down_read(&mm->mmap_sem); /* gr\xfcn */").encode("latin-1") + b"/* \xff\xfe */"
    repo.git("reset", "-q", "--hard", "base")
    repo.commit({NAME: text})
    assert run("base..HEAD")[0] == 0
    assert repo.read() == text.replace(b"down_read(&mm->mmap_sem)", b"mmap_read_lock(mm)").replace(
        b"up_read(&mm->mmap_sem)", b"mmap_read_unlock(mm)"
    )


# -- what is refused ----------------------------------------------------------------------------------------------


def test_a_work_tree_that_is_not_clean_is_left_alone(repo: Repo, run: Run) -> None:
    (repo.top / "other.c").write_text("int mine;\n")
    code, _, err = run("base..HEAD")
    assert code == 2
    assert "reviewbot: the work tree is not clean ('other.c'): commit or 'git stash' first, or --format diff" in err
    assert repo.read().decode() == locked()


def test_what_is_staged_makes_it_unclean_and_what_is_untracked_does_not(repo: Repo, run: Run) -> None:
    (repo.top / "mine.c").write_text("int mine;\n")
    assert run("base..HEAD")[0] == 0
    repo.git("checkout", "--", NAME)
    repo.git("add", "mine.c")
    assert run("base..HEAD")[0] == 2


def test_a_range_that_does_not_end_at_head_is_refused(repo: Repo, run: Run) -> None:
    repo.commit({"other.c": "int more;\n"})
    code, _, err = run("base..HEAD~1")
    assert code == 2
    assert "the last commit reviewed: 'git checkout " in err
    assert unchanged(repo)


def test_a_cover_letter_at_the_tip_does_no_harm(repo: Repo, run: Run) -> None:
    repo.commit({}, "cover letter")
    assert run("base..HEAD~1")[0] == 0
    assert repo.read().decode() == FIXED


def test_within_a_rebase_each_commit_is_fixed(repo: Repo, run: Run) -> None:
    repo.commit({"other.c": "int more;\n"})
    repo.git("rebase", "-q", "-x", "test -e lumen.stop || { touch lumen.stop; exit 1; }", "base", code=1)
    assert run("HEAD")[0] == 0
    repo.git("commit", "-q", "--amend", "--no-edit", "-a")
    repo.git("rebase", "--continue", code=None)
    assert repo.git("show", f"HEAD:{NAME}").decode() == FIXED
    assert repo.read("other.c") == b"int more;\n"


def test_a_bare_repository_has_no_files_to_fix(
    repo: Repo, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.git("clone", "-q", "--bare", ".", str(tmp_path / "bare"))
    monkeypatch.chdir(tmp_path / "bare")
    code, _, err = run("base..HEAD")
    assert code == 2
    assert "has none: --format diff prints the same as a patch" in err


def test_nothing_is_written_through_a_symbolic_link(repo: Repo, run: Run, later: Later, tmp_path: Path) -> None:
    outside = tmp_path / "outside"

    def turn() -> None:
        shutil.move(repo.top / "drivers", outside)
        (repo.top / "drivers").symlink_to(outside)

    later(turn)
    code, _, err = run("base..HEAD")
    assert code == 1
    assert f"left 2 in {NAME}: a directory above it is a symbolic link" in err
    assert (outside / "misc/lumen/lumen.c").read_text() == locked()


def test_a_file_that_is_a_symbolic_link_is_left_alone(repo: Repo, run: Run, later: Later, tmp_path: Path) -> None:
    def turn() -> None:
        shutil.move(repo.top / NAME, tmp_path / "outside.c")
        (repo.top / NAME).symlink_to(tmp_path / "outside.c")

    later(turn)
    code, _, err = run("base..HEAD")
    assert code == 1
    assert f"left 2 in {NAME}: cannot be read: " in err
    assert (tmp_path / "outside.c").read_text() == locked()


def test_a_file_that_is_a_fifo_or_gone_is_left_alone(repo: Repo, run: Run, later: Later) -> None:
    def turn() -> None:
        (repo.top / NAME).unlink()
        os.mkfifo(repo.top / NAME)

    later(turn)
    assert f"left 2 in {NAME}: it is no regular file" in run("base..HEAD")[2]
    repo.git("checkout", "-f", "HEAD")
    later((repo.top / NAME).unlink)
    assert "cannot be read: No such file or directory" in run("base..HEAD")[2]


@pytest.mark.parametrize("bit", ["assume-unchanged", "skip-worktree"])
def test_a_file_whose_changes_git_does_not_show_is_left_alone(repo: Repo, run: Run, bit: str) -> None:
    repo.commit({"mm/b.c": locked()})
    repo.git("update-index", f"--{bit}", NAME)
    mine = locked() + "/* mine */\n"
    (repo.top / NAME).write_text(mine)
    code, _, err = run("base..HEAD")
    assert code == 1
    assert f"left 2 in {NAME}: git is told to ignore its changes ({bit})\n" in err
    assert repo.read().decode() == mine
    assert repo.read("mm/b.c").decode() == FIXED
    assert "'git checkout -- mm/b.c' undoes it" in err


def test_a_line_that_is_not_what_was_reviewed_is_left_with_its_pair(repo: Repo, run: Run, later: Later) -> None:
    mine = locked().replace("\tup_read(&mm->mmap_sem);", "\tup_read(&mm->mmap_sem); /* mine */")
    later(lambda: (repo.top / NAME).write_text(mine))
    code, _, err = run("base..HEAD")
    assert code == 1
    assert f"left 1 in {NAME}: the line is not what was reviewed\n" in err
    assert "up_read() in line 7, which goes with it, is to stay (the line is not what was reviewed)" in err
    assert (repo.top / NAME).read_text() == mine


def test_where_one_file_cannot_be_written_none_is(repo: Repo, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.commit({"mm/b.c": locked()})
    real = os.fchmod
    calls: list[int] = []

    def fail(descriptor: int, mode: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        real(descriptor, mode)

    monkeypatch.setattr(os, "fchmod", fail)
    code, _, err = run("base..HEAD")
    assert code == 2
    assert "cannot write 'mm/b.c': No space left on device: nothing was changed" in err
    assert unchanged(repo)


def test_where_one_file_cannot_be_put_in_its_place_the_way_back_for_the_others_is_told(
    repo: Repo, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.commit({"mm/a b.c": locked(), "mm/b.c": locked()})
    repo.commit({NAME: PLAIN})
    monkeypatch.chdir(repo.top / "mm")
    real = os.replace

    def fail(new: str, name: str) -> None:
        if name.endswith("/b.c"):
            raise OSError(1, "Operation not permitted")
        real(new, name)

    monkeypatch.setattr(os, "replace", fail)
    code, _, err = run("base..HEAD")
    assert code == 2
    assert "cannot write 'mm/b.c': Operation not permitted: 'git checkout -- 'a b.c'' undoes the rest" in err
    assert repo.read("mm/a b.c").decode() == FIXED


def test_a_file_that_changes_meanwhile_is_not_overwritten(
    repo: Repo, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fixing._changed

    def slow(*given: object) -> object:
        (repo.top / NAME).write_text("int mine;\n")
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(fixing, "_changed", slow)
    code, _, err = run("base..HEAD")
    assert code == 2
    assert "was changed while it was read: nothing was changed, try again" in err
    assert repo.read() == b"int mine;\n"
    assert sorted(os.listdir((repo.top / NAME).parent)) == ["lumen.c"]


def test_staged_changes_and_files_are_refused(repo: Repo, run: Run, tmp_path: Path) -> None:
    mails = tmp_path / "series.mbox"
    mails.write_bytes(repo.mails())
    assert run(str(mails))[0] == 2
    (repo.top / "other.c").write_text("int staged;\n")
    repo.git("add", "other.c")
    code, _, err = run("--staged")
    assert code == 2
    assert "commit what is staged first" in err


# -- what git would run -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("driver", ["x", "a=b", ""])
@pytest.mark.parametrize("key", ["clean", "process"])
def test_a_filter_that_the_repository_configures_is_not_run(
    repo: Repo, run: Run, tmp_path: Path, driver: str, key: str
) -> None:
    mark = tmp_path / "ran"
    repo.git("config", f"filter.{driver}.{key}", f"touch {mark}; cat")
    repo.git("config", f"filter.{driver}.required", "true")
    (repo.top / ".git/info").mkdir(exist_ok=True)
    (repo.top / ".git/info/attributes").write_text(f"*.c filter={driver}\n")
    for name in (NAME, "other.c"):
        os.utime(repo.top / name, (1, 1))  # git has to look at what is in it
    assert run("base..HEAD")[0] == 0
    assert repo.read().decode() == FIXED
    assert not mark.exists()


def test_a_filter_of_the_command_line_git_was_called_with_is_not_run(
    repo: Repo, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "ran"
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", f"'filter.x.clean'='touch {mark}; cat'")
    monkeypatch.setenv("GIT_CONFIG", os.devnull)
    (repo.top / ".git/info").mkdir(exist_ok=True)
    (repo.top / ".git/info/attributes").write_text("*.c filter=x\n")
    os.utime(repo.top / NAME, (1, 1))
    assert run("base..HEAD")[0] == 0
    assert not mark.exists()


def test_a_filter_of_a_submodule_is_not_run(repo: Repo, run: Run, tmp_path: Path) -> None:
    inner = Repo(repo.top / "sub")
    inner.commit({"a.c": "int a;\n"})
    repo.commit({})
    mark = tmp_path / "ran"
    inner.git("config", "filter.x.clean", f"touch {mark}; cat")
    (inner.top / ".git/info").mkdir(exist_ok=True)
    (inner.top / ".git/info/attributes").write_text("*.c filter=x\n")
    os.utime(inner.top / "a.c", (1, 1))
    assert run("base..HEAD")[0] == 0
    assert not mark.exists()


def test_what_only_a_filter_makes_equal_is_told_as_not_clean(repo: Repo, run: Run) -> None:
    repo.git("config", "filter.x.clean", "tr X Y")
    (repo.top / ".git/info").mkdir(exist_ok=True)
    (repo.top / ".git/info/attributes").write_text("other.c filter=x\n")
    repo.commit({"other.c": "int XXX;\n"})
    os.utime(repo.top / "other.c", (2, 2))
    repo.git("status")
    assert run("base..HEAD")[0] == 0, "git has noted how the file looks"
    repo.git("checkout", "--", NAME)
    os.utime(repo.top / "other.c", (1, 1))
    code, _, err = run("base..HEAD")
    assert code == 2
    assert "not clean ('other.c')" in err
    assert "'git status' first, where a filter such as git lfs makes them" in err
    repo.git("status")
    assert run("base..HEAD")[0] == 0


# -- what is said -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "status"), [("warning", 1), ("error", 1), ("never", 0)])
def test_where_a_rule_was_stopped_it_is_said_that_more_may_remain(
    repo: Repo, run: Run, monkeypatch: pytest.MonkeyPatch, limit: str, status: int
) -> None:
    repo.git("reset", "-q", "--hard", "base")
    repo.commit({NAME: locked() + locked().replace("lumen_look", "lumen_two")})
    monkeypatch.setattr(reports, "MOST", 2)
    code, _, err = run("--fail-on", limit, "base..HEAD")
    assert repo.read().decode() == FIXED + locked().replace("lumen_look", "lumen_two")
    assert f"more may remain in {NAME}: mmap-lock/direct-mmap-sem was stopped: commit what is fixed and run it" in err
    assert code == status
    repo.git("commit", "-qa", "--amend", "--no-edit")
    monkeypatch.setattr(reports, "MOST", 3)
    code, _, err = run("--fail-on", limit, "base..HEAD")
    assert code == 0
    assert "more may remain" not in err
    assert b"mmap_sem" not in repo.read()


@pytest.mark.parametrize(("limit", "status"), [("warning", 1), ("error", 0)])
def test_where_a_rule_below_the_limit_was_stopped_it_is_no_failure(
    repo: Repo, run: Run, monkeypatch: pytest.MonkeyPatch, limit: str, status: int
) -> None:
    repo.git("reset", "-q", "--hard", "base")
    text = locked("lockdep_assert_held(&mm->mmap_lock);", "lockdep_assert_held(&mm->mmap_lock);")
    repo.commit({NAME: text + text.replace("lumen_look", "lumen_two")})
    monkeypatch.setattr(reports, "MOST", 2)
    code, _, err = run("--fail-on", limit, "base..HEAD")
    assert f"more may remain in {NAME}: lockdep/raw-mmap-lock-assert was stopped" in err
    assert code == status


def test_what_was_fixed_is_said_before_anything_is_printed(
    repo: Repo, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fixing, "show", full)
    code, _, err = run("base..HEAD")
    assert code == 2
    assert repo.read().decode() == FIXED
    assert f"fixed 2 in {NAME}: mmap-lock/direct-mmap-sem\n" in err
    assert f"'git checkout -- {NAME}' undoes it" in err


def hint(err: str) -> str:
    """The command that undoes it."""
    return err.split("shows it, '")[1].split("' undoes it", maxsplit=1)[0]


@pytest.mark.parametrize("name", ["mm/$(touch ran).c", "mm/it's;.c", "-x.c", ":!b.c", "mm/*.c"])
def test_the_command_that_undoes_it_names_the_file_and_nothing_else(repo: Repo, run: Run, name: str) -> None:
    mine = locked() + "/* mine */\n"
    repo.commit({name: locked(), "mm/b.c": locked()})
    repo.git("update-index", "--assume-unchanged", "mm/b.c", NAME)
    (repo.top / "mm/b.c").write_text(mine)
    _, _, err = run("base..HEAD")
    assert repo.read(name).decode() == FIXED
    subprocess.run(["sh", "-c", hint(err)], check=True, capture_output=True)
    assert repo.read(name).decode() == locked()
    assert repo.read("mm/b.c").decode() == mine
    assert not (repo.top / "ran").exists()


@pytest.mark.parametrize("where", [".", "mm"])
def test_the_command_that_undoes_many_files_leaves_alone_what_git_does_not_show(
    repo: Repo, run: Run, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    mine = locked() + "/* mine */\n"
    repo.commit({f"mm/{n}.c": locked() for n in range(30)})
    repo.git("update-index", "--assume-unchanged", NAME)
    (repo.top / NAME).write_text(mine)
    monkeypatch.chdir(repo.top / where)
    _, _, err = run("base..HEAD")
    assert repo.read("mm/7.c").decode() == FIXED
    subprocess.run(["sh", "-c", hint(err)], check=True, capture_output=True)
    assert unchanged(repo)
    assert repo.read().decode() == mine


def test_a_name_that_does_not_print_is_no_part_of_a_command(repo: Repo, run: Run) -> None:
    repo.commit({"mm/\x1b[2J.c": locked()})
    _, _, err = run("base..HEAD")
    assert "\x1b" not in err
    assert "nothing is committed: 'git diff' shows it\n" in err


# -- at random ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_the_files_are_what_the_plan_says_and_nothing_else(repo: Repo, run: Run, seed: int) -> None:
    chance = random.Random(seed)
    lines = [line for n in range(6) for line in function(f"f{n}", *(f"step({n}, {m});" for m in range(7))).split("\n")]
    repo.commit({NAME: "\n".join(lines)})
    repo.git("tag", "-f", "base")
    for _ in range(3):
        lines = changed(chance, lines)
        repo.commit({NAME: "\n".join(lines)})
    before = repo.read().decode().split("\n")
    code, _, err = run("--strict", "base..HEAD")
    after = repo.read().decode().split("\n")
    assert code in (0, 1)
    assert len(before) == len(after)
    lines_changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert bool(lines_changed) is ("undoes it" in err)
    assert all("mmap_sem" in old or "mmap_lock" in old for old, _ in lines_changed)
    assert all("mmap_" in new for _, new in lines_changed)
    # the other half of what was converted is converted
    for name, body in functions(after).items():
        converted = [new for new in body if (new not in before or before.count(new) < after.count(new))]
        taken = any("mmap_read_lock(mm)" in line or "mmap_write_lock(mm)" in line for line in converted)
        assert not (taken and any("_read(&mm->" in line or "_write(&mm->" in line for line in body)), name


@pytest.mark.parametrize("seed", range(6))
def test_the_patch_of_commits_applies_to_their_work_tree(
    repo: Repo, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    chance = random.Random(100 + seed)
    lines = ["/* gr\u00fcn */", *locked().split("\n"), *function("f", *(f"step({n});" for n in range(9))).split("\n")]
    ends = ("\n", "", "\r\n")
    repo.commit({NAME: "\n".join(lines).encode("latin-1" if seed % 2 else "utf-8")})
    repo.git("tag", "-f", "base")
    for _ in range(3):
        lines = changed(chance, lines)
        text = "\n".join(lines) + chance.choice(ends)
        repo.commit({NAME: text.encode("latin-1", "replace") if seed % 2 else text})
    main(["check", "--strict", "--format", "diff", "base..HEAD"])
    patch = capsys.readouterr().out.encode()
    if b"\n@@ " in patch:
        repo.git("apply", "--check", "--index", given=patch)


def functions(lines: Sequence[str]) -> dict[int, list[str]]:
    """Runs of lines from one } in the first column to the next, by number."""
    found: dict[int, list[str]] = {0: []}
    for line in lines:
        found[len(found) - 1].append(line)
        if line == "}":
            found[len(found)] = []
    return found
