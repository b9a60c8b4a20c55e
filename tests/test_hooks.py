# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot hook`, called by real git: commits, pushes and mails that are let through and that are stopped.

Belongs here: what git gives the hooks and what becomes of it. Not here: what is found in a patch.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import git_world
import pytest
from git_world import BAD_LINE, GOOD_LINE, Done, World, make_world

RULE = "[mmap-lock/direct-mmap-sem]"
COMMIT = "exec reviewbot hook pre-commit"
PUSH = 'exec reviewbot hook pre-push "$@"'
SEND = 'exec reviewbot hook --strict sendemail-validate "$@"'
THIRD = "\trange_third(mm);\n"

# What git send-email of 2.41 and later does before it sends: git hook run with a second file and two variables.
NEW_SEND = """\
#!/bin/sh
n=0
for file; do
	n=$((n + 1))
	printf 'From: ada@example.org\\nTo: linux-mm@example.org,\\n\\tRex <Rex@example.net>\\n' >.git/header
	GIT_DIR="$PWD/.git" GIT_SENDEMAIL_FILE_COUNTER=$n GIT_SENDEMAIL_FILE_TOTAL=$# \\
		git hook run --ignore-missing sendemail-validate -- "$file" "$PWD/.git/header" || exit 29
	test -z "$STOP" || exit 3
	test -z "$LOSE" || rm -r .git/reviewbot
	test -z "$WAIT" -o $n != 1 || { touch ../waits; while test ! -e ../goes; do sleep 0.02; done; }
done
echo sent
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "linux")


# -- pre-commit -----------------------------------------------------------------------------------


def test_a_commit_with_a_finding_is_stopped(world: World) -> None:
    world.hook("pre-commit", COMMIT)
    world.insert("mm/walk.c", BAD_LINE)
    world.git("add", "-A")
    done = world.run("git", "commit", "-m", "mm: bad")
    assert done.code == 1
    assert RULE in done.err
    assert "mm/walk.c:9:" in done.err
    assert done.err.endswith("reviewbot: 'git commit --no-verify' goes on in spite of it\n")
    assert world.git("rev-list", "--count", "HEAD") == "1"


def test_a_clean_commit_is_let_through_without_a_word(world: World) -> None:
    world.hook("pre-commit", COMMIT)
    world.insert("mm/walk.c", GOOD_LINE)
    assert world.run("git", "commit", "-q", "-a", "-m", "mm: good") == Done(0, "", "")


def test_commit_a_is_judged_by_the_index_that_git_makes_for_it(world: World) -> None:
    world.hook("pre-commit", COMMIT)
    world.insert("mm/walk.c", BAD_LINE)
    assert RULE in world.run("git", "commit", "-a", "-m", "mm: bad").err


def test_commit_of_a_file_is_judged_by_that_file_alone(world: World) -> None:
    world.hook("pre-commit", COMMIT)
    world.insert("mm/other.c", BAD_LINE)
    world.git("add", "-A")
    world.insert("mm/walk.c", GOOD_LINE)
    assert world.run("git", "commit", "-q", "mm/walk.c", "-m", "mm: good") == Done(0, "", "")
    assert world.run("git", "commit", "-q", "mm/other.c", "-m", "mm: bad").code == 1


def test_what_is_not_staged_is_not_judged(world: World) -> None:
    world.hook("pre-commit", COMMIT)
    world.insert("mm/other.c", GOOD_LINE)
    world.git("add", "-A")
    world.insert("mm/walk.c", BAD_LINE)
    assert world.run("git", "commit", "-q", "-m", "mm: good") == Done(0, "", "")


def test_the_first_commit_of_all_can_be_judged(tmp_path: Path) -> None:
    world = make_world(tmp_path / "new", empty=True)
    world.hook("pre-commit", COMMIT)
    world.insert("mm/walk.c", BAD_LINE)
    world.git("add", "-A")
    done = world.run("git", "commit", "-m", "mm: the first")
    assert done.code == 1
    assert RULE in done.err


def test_a_change_of_the_message_alone_is_none_of_ours(world: World) -> None:
    world.hook("pre-commit", COMMIT)
    assert world.run("git", "commit", "-q", "--amend", "-m", "mm: another word") == Done(0, "", "")
    assert world.run("git", "commit", "-q", "--allow-empty", "-m", "mm: nothing") == Done(0, "", "")


def test_a_merge_is_let_through_even_if_it_was_in_conflict(world: World) -> None:
    world.git("checkout", "-q", "-b", "topic")
    world.change("mm: bad", BAD_LINE)
    world.git("checkout", "-q", "master")
    world.change("mm: good", GOOD_LINE)
    world.hook("pre-commit", COMMIT)
    assert world.run("git", "merge", "topic").code == 1
    text = (world.top / "mm/walk.c").read_text()
    kept = [line for line in text.split("\n") if not line.startswith(("<<<", "===", ">>>"))]
    world.write("mm/walk.c", "\n".join(kept))
    assert world.run("git", "commit", "-q", "-a", "--no-edit") == Done(0, "", "")


def test_hooks_work_in_a_worktree_and_through_hooks_path(world: World, tmp_path: Path) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    shutil.move(world.hook("pre-commit", COMMIT), hooks / "pre-commit")
    world.git("config", "core.hooksPath", str(hooks))
    world.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    side = World(tmp_path / "side")
    side.insert("mm/walk.c", BAD_LINE)
    assert RULE in side.run("git", "commit", "-a", "-m", "mm: bad").err
    world.insert("mm/walk.c", GOOD_LINE)
    assert world.run("git", "commit", "-q", "-a", "-m", "mm: good") == Done(0, "", "")


@pytest.mark.parametrize("path", ["", "hooks-of-mine"])
@pytest.mark.parametrize("where", ["linux", "side"])
def test_the_two_lines_of_the_readme_install_a_hook(world: World, tmp_path: Path, where: str, path: str) -> None:
    world.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    if path:
        (tmp_path / path).mkdir()
        world.git("config", "core.hooksPath", str(tmp_path / path))
    here = World(tmp_path / where)
    two_lines = """\
hook=$(git rev-parse --git-path hooks/pre-commit)
printf '#!/bin/sh\\nexec reviewbot hook pre-commit\\n' >"$hook" && chmod +x "$hook"
"""
    assert here.run("sh", "-c", two_lines) == Done(0, "", "")
    here.insert("mm/walk.c", BAD_LINE)
    assert RULE in here.run("git", "commit", "-a", "-m", "mm: bad").err


def test_a_hook_that_fails_itself_says_how_to_go_on(world: World) -> None:
    world.hook("pre-commit", "exec reviewbot hook --select no/such-rule pre-commit")
    world.insert("mm/walk.c", GOOD_LINE)
    done = world.run("git", "commit", "-a", "-m", "mm: good")
    assert done.code == 1  # git's own; ours was 2
    assert done.err.count("\n") == 1
    assert done.err.startswith("reviewbot: no rule or family is named 'no/such-rule'")
    assert done.err.endswith("; 'git commit --no-verify' goes on without it\n")


def test_a_wrong_configuration_says_how_to_go_on(world: World) -> None:
    world.write("../nobody/.config/reviewbot/config.toml", "strcit = true\n")
    for name, way in (
        ("pre-commit", "git commit --no-verify"),
        ("pre-push", "git push --no-verify"),
        ("sendemail-validate", "git send-email --no-validate"),
    ):
        done = world.run("reviewbot", "hook", name)
        assert done.code == 2
        assert done.err.count("\n") == 1
        assert done.err.endswith(f"; '{way}' goes on without it\n")


# -- pre-push -------------------------------------------------------------------------------------


@pytest.fixture
def pushing(world: World, tmp_path: Path) -> World:
    """A repository whose master is on the remote, and a branch that is not."""
    world.git("init", "-q", "--bare", str(tmp_path / "remote.git"))
    world.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    world.git("push", "-q", "origin", "master")
    world.hook("pre-push", PUSH)
    world.git("checkout", "-q", "-b", "topic")
    return world


def test_a_new_branch_is_judged_from_where_it_left_what_the_remote_has(pushing: World) -> None:
    pushing.change("mm: good", GOOD_LINE)
    assert pushing.run("git", "push", "-q", "origin", "topic") == Done(0, "", "")
    pushing.change("mm: bad", BAD_LINE)
    done = pushing.run("git", "push", "origin", "topic")
    assert done.code == 1
    assert RULE in done.err
    assert "[PATCH] mm: bad" in done.err
    assert "reviewbot: 'git push --no-verify' goes on in spite of it\n" in done.err


def test_a_branch_to_another_remote_is_not_judged_for_what_the_first_has(pushing: World, tmp_path: Path) -> None:
    pushing.git("push", "-q", "--no-verify", "origin", f"{pushing.change('mm: bad', BAD_LINE)}:refs/heads/old")
    pushing.change("mm: third", THIRD)
    pushing.git("init", "-q", "--bare", str(tmp_path / "mine.git"))
    assert pushing.run("git", "push", "-q", str(tmp_path / "mine.git"), "topic") == Done(0, "", "")


def test_a_forced_push_is_judged_by_what_is_new(pushing: World) -> None:
    pushing.change("mm: bad", BAD_LINE)
    pushing.git("push", "-q", "--no-verify", "origin", "topic")
    pushing.change("mm: third", THIRD, "mm/other.c")
    assert pushing.run("git", "push", "-q", "origin", "topic") == Done(0, "", "")
    pushing.git("reset", "-q", "--hard", "HEAD~1")
    pushing.git("commit", "-q", "--amend", "-m", "mm: bad, said anew")
    assert "mm: bad, said anew" in pushing.run("git", "push", "-f", "origin", "topic").err


def test_deletions_and_tags_of_what_is_there_go_through(pushing: World) -> None:
    pushing.change("mm: bad", BAD_LINE)
    pushing.git("push", "-q", "--no-verify", "origin", "topic")
    pushing.git("tag", "-a", "-m", "x", "v1", "topic")
    pushing.git("tag", "blob", "master:Makefile")
    assert pushing.run("git", "push", "-q", "origin", "v1", "blob") == Done(0, "", "")
    assert pushing.run("git", "push", "-q", "origin", ":topic") == Done(0, "", "")


def test_a_tag_of_new_commits_is_judged_and_no_commit_twice(pushing: World) -> None:
    pushing.change("mm: bad", BAD_LINE)
    pushing.git("tag", "-a", "-m", "x", "v1", "topic")
    done = pushing.run("git", "push", "origin", "v1", "topic")
    assert done.code == 1
    assert done.err.count(RULE) == 1


def test_the_sides_of_a_merge_are_judged_and_the_merge_is_not(pushing: World) -> None:
    pushing.change("mm: good", GOOD_LINE)
    pushing.git("checkout", "-q", "master")
    pushing.change("mm: third", THIRD, "mm/other.c")
    pushing.git("merge", "-q", "--no-ff", "--no-verify", "-m", "merge topic", "topic")
    told = "reviewbot: 1 merge in 'refs/heads/master' not reviewed, the commits of both sides are\n"
    assert pushing.run("git", "push", "-q", "origin", "master") == Done(0, "", told)


def test_a_giant_push_gets_a_line_and_goes_through(pushing: World) -> None:
    start = pushing.git("rev-parse", "HEAD")
    commits = "".join(
        f"commit refs/heads/big\ncommitter a <a@example.org> {1700000000 + n} +0000\ndata 1\nx\n"
        + (f"from {start}\n" if n == 0 else "")
        for n in range(201)
    )
    pushing.git("fast-import", "--quiet", given=commits)
    told = "reviewbot: more than 200 commits of 'refs/heads/big' are on no remote: they are not reviewed\n"
    assert pushing.run("git", "push", "-q", "origin", "big") == Done(0, "", told)


def test_the_edge_of_a_shallow_clone_is_not_taken_for_new_files(pushing: World, tmp_path: Path) -> None:
    pushing.change("mm: bad", BAD_LINE)
    pushing.change("mm: third", THIRD)
    pushing.git("clone", "-q", "--depth=1", "--branch=topic", f"file://{pushing.top}", str(tmp_path / "shallow"))
    shallow = World(tmp_path / "shallow")
    shallow.git("remote", "remove", "origin")
    shallow.hook("pre-push", PUSH)
    told = "reviewbot: 'refs/heads/topic' reaches the edge of a shallow clone: what is there is not reviewed\n"
    done = shallow.run("git", "push", "-q", str(tmp_path / "remote.git"), "topic")
    assert told in done.err
    assert RULE not in done.err


def test_a_name_that_is_no_utf8_and_does_things_to_terminals_is_harmless(pushing: World) -> None:
    pushing.change("mm: bad", BAD_LINE)
    name = b"refs/heads/\xff\xc2\x9b31m"
    zeros = b"0" * 40
    line = b"%s %s refs/heads/x %s\n" % (name, pushing.git("rev-parse", "topic").encode(), zeros)
    done = subprocess.run(
        ["reviewbot", "hook", "pre-push", "origin", "x"],
        cwd=pushing.top,
        env=pushing.environment,
        input=line,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert RULE.encode() in done.stderr
    assert not any(byte > 126 for byte in done.stderr)


def test_what_git_would_not_write_is_refused(pushing: World) -> None:
    done = pushing.run("reviewbot", "hook", "pre-push", "origin", "x", given="refs/heads/a --all refs/heads/b 0\n")
    assert done.code == 2
    assert done.err.startswith("reviewbot: not what git gives a pre-push hook")


# -- sendemail-validate ---------------------------------------------------------------------------


class Post:
    """git send-email into a file."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sent = world.top.parent / "sent"
        self.sink = world.top.parent / "sink"
        self.sink.write_text(f"#!/bin/sh\ncat >>{self.sent}\n")
        self.sink.chmod(0o755)

    def send(self, *words: str) -> Done:
        """One run."""
        options = ("--quiet", "--confirm=never", "--suppress-cc=all", "--from=ada@example.org", "--to=mm@example.org")
        return self.world.run("git", "send-email", *options, f"--smtp-server={self.sink}", *words)

    def count(self) -> int:
        """Mails that went out."""
        return self.sent.read_text().count("\nMessage-Id: ") if self.sent.exists() else 0


@pytest.fixture
def post(world: World) -> Post:
    """Three commits on a branch: a good one and two bad ones; the hook is installed."""
    if world.run("git", "send-email", "--dump-aliases").code != 0 and not os.environ.get("REVIEWBOT_CI"):
        pytest.skip("not installed: git send-email (Debian: git-email)")
    world.git("checkout", "-q", "-b", "topic")
    world.change("mm: good", GOOD_LINE)
    world.change("mm: bad", BAD_LINE)
    world.change("mm: worse", "\tmmap_read_lock(mm);\n\tput_user(ret, p);\n\tmmap_read_unlock(mm);\n", "mm/other.c")
    world.hook("sendemail-validate", SEND)
    return Post(world)


def test_a_series_is_refused_at_once_with_all_that_is_found(post: Post) -> None:
    done = post.send("master")
    assert done.code != 0
    assert "[PATCH 2/3] mm: bad" in done.err
    assert "[PATCH 3/3] mm: worse" in done.err
    assert done.err.count("3 patches, ") == 1
    assert "reviewbot: 'git send-email --no-validate' goes on in spite of it\n" in done.err
    assert "warning: no patches were sent" in done.err
    assert post.count() == 0


def test_a_clean_series_is_sent_without_a_word(post: Post) -> None:
    post.world.git("reset", "-q", "--hard", "HEAD~2")
    post.world.change("mm: third", THIRD)
    done = post.send("master")
    assert (done.code, done.err) == (0, "")
    assert post.count() == 2


def test_no_validate_sends_in_spite_of_it(post: Post) -> None:
    assert post.send("--no-validate", "master").code == 0
    assert post.count() == 3


@pytest.fixture
def files(post: Post) -> list[str]:
    """The series in files, with a cover letter."""
    directory = post.world.top.parent / "out"
    post.world.git("format-patch", "-q", "-o", str(directory), "--cover-letter", "master")
    cover = directory / "0000-cover-letter.patch"
    cover.write_text(cover.read_text().replace("*** SUBJECT HERE ***", "mm: all").replace("*** BLURB HERE ***", "All."))
    return sorted(map(str, directory.iterdir()))


def test_a_part_of_a_series_is_judged_for_itself(post: Post, files: list[str]) -> None:
    Path(files[0]).unlink()
    assert post.send(files[1]) == Done(0, "Sent [PATCH 1/3] mm: good\n", "")
    done = post.send(*files[1:3])
    assert "[PATCH 2/3] mm: bad" in done.err
    assert "mm: worse" not in done.err
    assert f"fatal: {files[1]}: rejected" in done.err  # at once, and not when its turn comes


def test_a_directory_is_judged_as_the_series_that_lies_there(post: Post, files: list[str]) -> None:
    done = post.send(str(Path(files[0]).parent))
    assert "[PATCH 2/3] mm: bad" in done.err
    assert "[PATCH 3/3] mm: worse" in done.err
    assert done.err.count("3 patches, ") == 1


def test_whole_files_are_judged_where_the_commits_are_at_hand(post: Post) -> None:
    """The lock is taken too far above the new line for the diff to show it."""
    world = post.world
    world.git("checkout", "-q", "-b", "far", "master")
    middle = "".join(f"\tstep_{n}(mm);\n" for n in range(12))
    body = f"\tmmap_read_lock(mm);\n{middle}\tstep_last(mm);\n{middle}\tmmap_read_unlock(mm);\n"
    world.write("mm/far.c", f"static int far(struct mm_struct *mm, int __user *p)\n{{\n{body}\treturn 0;\n}}\n")
    world.commit("mm: far")
    world.insert("mm/far.c", "\tput_user(1, p);\n", "\tstep_last(mm);\n")
    world.commit("mm: it faults")
    done = post.send("HEAD~1")
    assert "[mmap-lock/user-access-under-lock]" in done.err
    assert "lock taken here" in done.err


def test_a_file_that_was_written_over_is_judged_as_it_is_now(post: Post, files: list[str]) -> None:
    file = Path(files[2])
    file.write_text(file.read_text().replace(BAD_LINE.strip(), "range_second(mm);"))
    assert post.send(files[2]) == Done(0, "Sent [PATCH 2/3] mm: bad\n", "")


def test_two_copies_of_a_number_in_a_directory_are_judged_each_for_itself(post: Post, files: list[str]) -> None:
    Path(files[1]).with_name("0001-mm-older.patch").write_text(Path(files[1]).read_text())
    told = "reviewbot: missing 2-3 of 3 of '[PATCH 1/3] mm: good'\n"
    assert post.send(files[1]) == Done(0, "Sent [PATCH 1/3] mm: good\n", told)


def new_send(post: Post, *files: str, name: str = "git-send-email", **more: str) -> Done:
    """What a newer git does."""
    script = post.world.top.parent / name
    script.write_text(NEW_SEND)
    script.chmod(0o755)
    return post.world.run(str(script), *files, more=more)


@pytest.mark.parametrize("name", ["git-send-email", "another-name"])
def test_a_newer_git_tells_which_is_the_last(post: Post, files: list[str], name: str, tmp_path: Path) -> None:
    # in directories of their own: nothing can be learnt from what lies beside them
    apart: list[str] = []
    for n, file in enumerate(files):
        (tmp_path / str(n)).mkdir()
        apart.append(str(shutil.copy(file, tmp_path / str(n) / "mail")))
    done = new_send(post, *apart, name=name)
    assert done.code == 29
    assert "[PATCH 2/3] mm: bad" in done.err
    assert "[PATCH 3/3] mm: worse" in done.err
    assert done.err.count("3 patches, ") == 1
    assert not (post.world.top / ".git" / "reviewbot").exists()
    assert new_send(post, *apart[:2], name=name).out == "sent\n"
    assert not (post.world.top / ".git" / "reviewbot").exists()


def test_a_run_that_was_broken_off_does_no_harm_to_the_next(post: Post, files: list[str]) -> None:
    # by process group, as where nobody says who called: the next run has the same name
    assert new_send(post, *files[2:], STOP="1", name="other").code == 3
    assert len(list((post.world.top / ".git" / "reviewbot").iterdir())) == 1
    assert new_send(post, *files[:2], name="other").out == "sent\n"
    assert not (post.world.top / ".git" / "reviewbot").exists()


def test_a_list_that_got_lost_is_made_up_for_by_what_lies_in_the_directory(post: Post, files: list[str]) -> None:
    done = new_send(post, files[1], files[3], LOSE="1")
    assert done.code == 29
    assert "[PATCH 3/3] mm: worse" in done.err
    assert "mm: bad" not in done.err
    assert "missing" not in done.err


def test_what_broken_off_runs_left_is_removed_after_a_day(post: Post, files: list[str]) -> None:
    state = post.world.top / ".git" / "reviewbot"
    state.mkdir()
    (state / "sendemail-1-2").touch()
    (state / "sendemail-3-4").touch()
    (state / "not-ours").touch()
    for name in ("sendemail-1-2", "not-ours"):
        os.utime(state / name, (0, 0))
    assert new_send(post, *files[:2]).out == "sent\n"
    assert sorted(path.name for path in state.iterdir()) == ["not-ours", "sendemail-3-4"]


def test_two_runs_at_a_time_do_not_mix(post: Post, files: list[str]) -> None:
    script = post.world.top.parent / "git-send-email"
    script.write_text(NEW_SEND)
    script.chmod(0o755)
    environment = {**post.world.environment, "WAIT": "1"}
    with subprocess.Popen(
        [str(script), *files[2:]], cwd=post.world.top, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    ) as first:
        while not (post.world.top.parent / "waits").exists():
            assert first.poll() is None
            time.sleep(0.02)
        assert post.world.run(str(script), *files[:2]).out == "sent\n"
        (post.world.top.parent / "goes").touch()
        _, err = first.communicate(timeout=60)
    assert first.returncode == 29
    assert b"[PATCH 2/3] mm: bad" in err
    assert b"[PATCH 3/3] mm: worse" in err
    assert b"2 patches, " in err


def test_the_addresses_that_git_gives_decide_what_the_bot_would_say(post: Post, files: list[str]) -> None:
    config = post.world.home / ".config" / "reviewbot" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[list."linux-mm@example.org"]\nmode = "off"\n')
    done = new_send(post, *files)
    assert "the bot of linux-mm@example.org would send nothing" in done.err
    assert done.code == 29
    config.write_text('[list."rex@example.net"]\nmode = "author+list"\nwait = "0s"\n')
    assert "the bot of rex@example.net would send " in new_send(post, *files).err


def test_a_state_directory_that_cannot_be_written_is_done_without(post: Post, files: list[str]) -> None:
    (post.world.top / ".git" / "reviewbot").write_text("in the way")
    done = new_send(post, *files)
    assert done.code == 29
    assert "[PATCH 3/3] mm: worse" in done.err


def test_what_is_no_patch_is_let_through(post: Post, tmp_path: Path) -> None:
    plain = tmp_path / "plain.txt"
    plain.write_text("From: a@example.org\nSubject: lunch\n\nToday?\n")
    assert post.send(str(plain)).code == 0
    assert post.count() == 1


# -- git rebase -x --------------------------------------------------------------------------------


def test_rebase_stops_at_the_commit_that_has_a_finding(world: World) -> None:
    world.git("checkout", "-q", "-b", "topic")
    world.change("mm: good", GOOD_LINE)
    world.change("mm: bad", BAD_LINE)
    world.change("mm: third", THIRD)
    done = world.run("git", "rebase", "-x", "reviewbot check -q HEAD", "master")
    assert done.code == 1
    assert RULE in done.out
    assert world.git("log", "-1", "--format=%s") == "mm: bad"


def test_the_world_has_no_configuration_of_ours(world: World) -> None:
    assert git_world.PROGRAM.exists()
    assert world.run("git", "config", "--global", "--list").out == ""
