# SPDX-License-Identifier: GPL-2.0-or-later
"""Safe suggestions become a patch that git applies, and locks are converted with their unlocks.

Belongs here: `fixes` and `output.diff`, tried with git's own hands: the series is committed, mailed, reviewed from the
mails alone, and the patch is given to `git apply`. Does not belong here: the work tree (test_fixing.py).
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pytest

from reviewbot import fixes, registry
from reviewbot.engine import review
from reviewbot.finding import Finding, Review
from reviewbot.mail import local_series
from reviewbot.mime import parse_patch, split_mbox
from reviewbot.model import InputError
from reviewbot.output import render
from reviewbot.output.diff import quoted
from reviewbot.selection import Selection, select
from reviewbot.source.commits import Repository

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is missing")

RULES = registry.load()
NAME = "drivers/misc/lumen/lumen.c"
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ann Author",
    "GIT_AUTHOR_EMAIL": "ann@example.org",
    "GIT_COMMITTER_NAME": "Ann Author",
    "GIT_COMMITTER_EMAIL": "ann@example.org",
    "GIT_AUTHOR_DATE": "2024-12-01T12:00:00Z",
    "GIT_COMMITTER_DATE": "2024-12-01T12:00:00Z",
}


class Repo:
    """A repository to commit to."""

    def __init__(self, top: Path) -> None:
        self.top = top
        top.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *words: str, given: bytes = b"", code: int | None = 0) -> bytes:
        """What git prints."""
        done = subprocess.run(
            ["git", *words], cwd=self.top, env=ENVIRONMENT, input=given, capture_output=True, check=False
        )
        assert code is None or done.returncode == code, (words, done.stdout, done.stderr)
        return done.stdout

    def commit(self, files: Mapping[str, str | bytes | None], title: str = "change") -> None:
        """Write files, remove those that are None, and commit all there is."""
        for name, text in files.items():
            path = self.top / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        self.git("add", "-A", ".")
        self.git("commit", "-q", "--allow-empty", "-m", title)

    def mails(self, base: str = "base", *options: str) -> bytes:
        """The commits since a tag as git would mail them."""
        return self.git("format-patch", "--stdout", "-M", *options, f"{base}..HEAD")

    def read(self, name: str = NAME) -> bytes:
        """A file of the work tree."""
        return (self.top / name).read_bytes()


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """With nothing in it."""
    return Repo(tmp_path / "repo")


def reviewed(
    mails: bytes | Sequence[bytes], rules: Collection[str] = (), strict: bool = True, version: tuple[int, int] = (6, 12)
) -> Review:
    """The review of mails, nothing known but them."""
    found = local_series([parse_patch(raw, "") for raw in (split_mbox(mails) if isinstance(mails, bytes) else mails)])
    assert len(found) == 1
    series = found[0]._replace(base=found[0].base._replace(version=version))
    chosen = [rule for rule in RULES if not rules or rule.name in rules]
    return select(review(series, chosen), Selection(strict=strict))


def whys(reviews: Review) -> list[str]:
    """Why suggestions are not taken."""
    return [left.why for left in fixes.plan(reviews).left]


def nothing_but_reasons(found: Review) -> bool:
    """The patch says why nothing is fixed, a line for each reason, and has nothing to apply."""
    lines = render("diff", [found]).splitlines()
    return bool(lines) and all(line.startswith("# not fixed: ") for line in lines)


def fixed(repo: Repo, found: Review) -> bytes:
    """The file once git has applied the patch: to the tree, and before to a tree that has the patched files alone."""
    patch = render("diff", [found]).encode()
    assert patch
    repo.git("apply", "--check", "--index", given=patch)
    repo.git("apply", "--whitespace=nowarn", given=patch)
    return repo.read()


def function(name: str, *body: str) -> str:
    """A function of the file."""
    return f"static int {name}(struct mm_struct *mm)\n{{\n" + "".join(f"\t{line}\n" for line in body) + "}\n\n"


PLAIN = function("lumen_look", "int ret;", "", "ret = lumen_walk(mm);", "lumen_count(mm);", "return ret;")


def locked(take: str = "down_read(&mm->mmap_sem);", drop: str = "up_read(&mm->mmap_sem);") -> str:
    """PLAIN under a lock."""
    return PLAIN.replace("\tret = l", f"\t{take}\n\tret = l").replace("\tlumen_count", f"\t{drop}\n\tlumen_count")


def posted(repo: Repo, before: str, *after: str) -> Review:
    """The review of a series in which the file has these contents one after the other."""
    repo.commit({NAME: before})
    repo.git("tag", "base")
    for text in after:
        repo.commit({NAME: text})
    return reviewed(repo.mails())


# -- what is converted --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("take", "drop", "taken", "dropped"),
    [
        ("down_read(&mm->mmap_sem);", "up_read(&mm->mmap_sem);", "mmap_read_lock(mm);", "mmap_read_unlock(mm);"),
        ("down_write(&mm->mmap_lock);", "up_write(&mm->mmap_lock);", "mmap_write_lock(mm);", "mmap_write_unlock(mm);"),
        (
            "if (down_read_killable(&mm->mmap_sem))",
            "up_read_non_owner(&mm->mmap_sem);",
            "if (mmap_read_lock_killable(mm))",
            "mmap_read_unlock_non_owner(mm);",
        ),
        (
            "down_write_nested(&mm->mmap_lock, SINGLE_DEPTH_NESTING);",
            "up_write(&mm->mmap_lock);",
            "mmap_write_lock_nested(mm, SINGLE_DEPTH_NESTING);",
            "mmap_write_unlock(mm);",
        ),
        (
            "down_write_nested(&mm->mmap_lock,\n\t\t\t  1);",
            "downgrade_write(&mm->mmap_lock);\n\tup_read(&mm->mmap_lock);",
            "mmap_write_lock_nested(mm,\n\t\t\t  1);",
            "mmap_write_downgrade(mm);\n\tmmap_read_unlock(mm);",
        ),
        (
            "if (!down_read_trylock(&((struct lumen *)ctx)->mm->mmap_sem))",
            "up_read(&((struct lumen *)ctx)->mm->mmap_sem);",
            "if (!mmap_read_trylock(((struct lumen *)ctx)->mm))",
            "mmap_read_unlock(((struct lumen *)ctx)->mm);",
        ),
        (
            "init_rwsem(&mm->mmap_sem);",
            "if (rwsem_is_contended(&mm->mmap_sem))",
            "mmap_init_lock(mm);",
            "if (mmap_lock_is_contended(mm))",
        ),
        (
            "lockdep_assert_held(&mm->mmap_lock);",
            "lockdep_assert_held_write(&mm->mmap_sem);",
            "mmap_assert_locked(mm);",
            "mmap_assert_write_locked(mm);",
        ),
        (
            "VM_BUG_ON(!rwsem_is_locked(&mm->mmap_sem));",
            "VM_BUG_ON(!rwsem_is_locked(&mm->mmap_lock));",
            "mmap_assert_locked(mm);",
            "mmap_assert_locked(mm);",
        ),
        (
            "lockdep_assert_held(&vma->vm_mm->mmap_sem); /* mmap_sem is held */",
            "/* the mmap_sem */",
            "mmap_assert_locked(vma->vm_mm); /* mmap_lock is held */",
            "/* the mmap_lock */",
        ),
    ],
)
def test_the_replacement_table_is_followed(repo: Repo, take: str, drop: str, taken: str, dropped: str) -> None:
    found = posted(repo, PLAIN, locked(take, drop))
    assert fixed(repo, found).decode() == locked(taken, dropped)
    assert not whys(found)


def test_the_initialiser_brings_its_own_comma(repo: Repo) -> None:
    start = "struct mm_struct lumen_mm = {\n\t.mm_users = 2,\n"
    old = "\t.mmap_sem\t= __RWSEM_INITIALIZER(lumen_mm.mmap_sem),\n"
    found = posted(repo, f"{start}}};\n", f"{start}{old}}};\n")
    assert fixed(repo, found).decode() == f"{start}\tMMAP_LOCK_INITIALIZER(lumen_mm)\n}};\n"


@pytest.mark.parametrize(("version", "converted"), [((6, 1), True), ((6, 12), False)])
def test_a_trylock_for_writing_is_converted_while_the_kernel_has_it(
    repo: Repo, version: tuple[int, int], converted: bool
) -> None:
    repo.commit({NAME: PLAIN})
    repo.git("tag", "base")
    repo.commit({NAME: locked("if (!down_write_trylock(&mm->mmap_sem))", "up_write(&mm->mmap_sem);")})
    found = reviewed(repo.mails(), version=version)
    if converted:
        text = locked("if (!mmap_write_trylock(mm))", "mmap_write_unlock(mm);")
        assert fixed(repo, found).decode() == text
    else:
        assert nothing_but_reasons(found)
        assert any("down_write_trylock() in line" in why for why in whys(found))


def test_what_is_no_safe_suggestion_is_not_in_the_patch(repo: Repo) -> None:
    found = posted(repo, PLAIN, locked("gup_flags = 0;", "mmap_lock_read(mm);"))
    assert any(finding.suggestion and not finding.fixable for finding in found.shown)
    assert render("diff", [found]) == ""


def test_what_is_not_shown_is_not_fixed(repo: Repo) -> None:
    repo.commit({NAME: PLAIN})
    repo.git("tag", "base")
    repo.commit({NAME: locked("/* mmap_sem */", "/* none */")})
    found = reviewed(repo.mails(), strict=False)
    assert fixes.plan(found).hidden == 1
    assert render("diff", [found]) == ""


def test_two_findings_on_one_line_are_both_fixed(repo: Repo) -> None:
    take = "down_read(&mm->mmap_sem); down_read(&current->mm->mmap_sem);"
    found = posted(repo, PLAIN, locked(take, "up_read(&current->mm->mmap_sem); up_read(&mm->mmap_sem);"))
    text = locked(
        "mmap_read_lock(mm); mmap_read_lock(current->mm);", "mmap_read_unlock(current->mm); mmap_read_unlock(mm);"
    )
    assert fixed(repo, found).decode() == text


def test_of_two_suggestions_for_one_word_the_first_is_taken_and_the_other_told(repo: Repo) -> None:
    found = posted(repo, PLAIN, locked("lockdep_assert_held(&mm->mmap_lock);", "lumen_drop(mm);"))
    one = next(finding for finding in found.shown if finding.rule == "lockdep/raw-mmap-lock-assert")
    other = one._replace(rule="lumen/other", suggestion="\tmmap_assert_write_locked(mm);")
    both = found._replace(findings=(*found.findings, other))
    plan = fixes.plan(both)
    assert [(left.finding.rule, left.why) for left in plan.left] == [
        ("lumen/other", "another suggestion for the same line is taken first")
    ]
    assert fixed(repo, both).decode() == locked("mmap_assert_locked(mm);", "lumen_drop(mm);")


def test_a_suggestion_may_have_several_lines(repo: Repo) -> None:
    found = posted(repo, PLAIN, locked("lockdep_assert_held(&mm->mmap_lock);", "lumen_drop(mm);"))
    changed = [
        finding._replace(suggestion="\tmmap_assert_locked(mm);\n\tlumen_assert(mm);") for finding in found.findings
    ]
    expected = locked("mmap_assert_locked(mm);\n\tlumen_assert(mm);", "lumen_drop(mm);")
    assert fixed(repo, found._replace(findings=tuple(changed))).decode() == expected


# -- pairs --------------------------------------------------------------------------------------------------------


def test_a_call_without_counterpart_holds_back_the_calls_it_belongs_to(repo: Repo) -> None:
    found = posted(repo, PLAIN, locked("down_read_nested(&mm->mmap_sem, 1);") + locked().replace("lumen_look", "other"))
    assert set(whys(found)) == {"down_read_nested() in line 5, which goes with it, has no counterpart in the API"}
    text = fixed(repo, found).decode()
    assert text.count("up_read(&mm->mmap_sem)") == 1
    assert text.count("mmap_read_unlock(mm)") == 1


def test_a_call_over_several_lines_holds_back_the_calls_it_belongs_to(repo: Repo) -> None:
    found = posted(repo, PLAIN, locked("if (down_read_killable(\n\t\t&mm->mmap_sem))"))
    assert set(whys(found)) == {"down_read_killable() in line 5, which goes with it, stands on several lines"}
    assert nothing_but_reasons(found)


def test_an_unlock_that_was_there_before_is_converted_with_the_lock(repo: Repo) -> None:
    before = locked("lumen_take(mm);")
    found = posted(repo, before, locked())
    assert fixed(repo, found).decode() == locked("mmap_read_lock(mm);", "mmap_read_unlock(mm);")


def test_an_unlock_out_of_sight_holds_back_the_lock(repo: Repo) -> None:
    far = "".join(f"\tlumen_step({n});\n" for n in range(20))
    before = locked("lumen_take(mm);").replace("\tret = l", f"{far}\tret = l")
    found = posted(repo, before, before.replace("\tlumen_take(mm);", "\tdown_read(&mm->mmap_sem);"))
    assert whys(found) == ["what releases it is not in sight"]
    assert nothing_but_reasons(found)


def test_an_unlock_on_an_error_path_below_counts_by_its_mode(repo: Repo) -> None:
    far = "".join(f"\tlumen_step({n});\n" for n in range(20))
    text = locked("down_read(&mm->mmap_sem);", "up_write(&mm->mmap_sem);").replace(
        "\tlumen_count", f"{far}\tlumen_count"
    )
    found = posted(repo, text.replace("\tdown_read(&mm->mmap_sem);\n", ""), text)
    assert whys(found) == ["part of the locking is not in sight"]


def test_locks_of_different_mms_are_different_locks(repo: Repo) -> None:
    take = "down_read_nested(&other_mm->mmap_sem, 1);\n\tdown_read(&mm->mmap_sem);"
    drop = "up_read(&mm->mmap_sem);\n\tup_read(&other_mm->mmap_sem);"
    found = posted(repo, PLAIN, locked(take, drop))
    expected = locked(
        take.replace("down_read(&mm->mmap_sem)", "mmap_read_lock(mm)"),
        drop.replace("up_read(&mm->mmap_sem)", "mmap_read_unlock(mm)"),
    )
    assert fixed(repo, found).decode() == expected


def test_a_lock_that_is_released_under_another_name_is_one_lock(repo: Repo) -> None:
    found = posted(repo, PLAIN, locked("down_read_nested(&mm->mmap_sem, 1);", "up_read(&current->mm->mmap_sem);"))
    assert nothing_but_reasons(found)
    assert any("down_read_nested()" in why for why in whys(found))


def test_a_lock_that_is_handed_on_is_left_alone(repo: Repo) -> None:
    found = posted(
        repo, PLAIN, locked("down_read(&mm->mmap_lock);\n\tlumen_park(&mm->mmap_lock);", "up_read(&mm->mmap_lock);")
    )
    assert set(whys(found)) == {"the lock is reached in another way, too, in this function"}


def test_a_call_that_the_author_wants_as_it_is_holds_back_the_others(repo: Repo) -> None:
    found = posted(repo, PLAIN, locked(drop="up_read(&mm->mmap_lock);"))
    kept = select(
        found._replace(findings=tuple(f._replace(shown=True, why_not_shown=None) for f in found.findings)),
        Selection(strict=True, ignore=("mmap-lock/raw-rwsem-call",)),
    )
    assert nothing_but_reasons(kept)
    assert any("is to stay" in why for why in whys(kept))


def test_a_helper_that_only_locks_is_left_as_what_unlocks_is_elsewhere(repo: Repo) -> None:
    found = posted(repo, PLAIN, PLAIN + function("lumen_lock", "down_write(&mm->mmap_sem);", "return 0;"))
    made = fixes.plan(found)
    assert made.files == ()
    assert [one.why for one in made.left] == ["what releases it is not in sight"]


@pytest.mark.parametrize("other", ["lumen_unlock(mm)", "lumen_unlock((mm))", "ops->unlock(mm)", "LUMEN_UNLOCK()"])
def test_a_pair_with_a_way_out_through_a_macro_is_left(repo: Repo, other: str) -> None:
    lines = ("down_read(&mm->mmap_sem);", "if (mm->owner) {", "up_read(&mm->mmap_sem);", "return 1;", "}")
    found = posted(repo, PLAIN, PLAIN + function("lumen_half", *lines, f"{other};", "return 0;"))
    made = fixes.plan(found)
    assert made.files == ()
    assert {one.why.partition("()")[2] for one in made.left} == {", to which the mm goes, may be the other half of it"}


def test_another_lock_beside_a_pair_is_no_other_half_of_it(repo: Repo) -> None:
    lines = ("down_read(&mm->mmap_sem);", "spin_lock(&mm->page_table_lock);", "spin_unlock(&mm->page_table_lock);")
    found = posted(repo, PLAIN, PLAIN + function("lumen_both", *lines, "up_read(&mm->mmap_sem);", "return 0;"))
    assert b"mmap_read_lock(mm);" in fixed(repo, found)


# -- series -------------------------------------------------------------------------------------------------------


def test_a_line_is_followed_through_later_patches_and_a_rename(repo: Repo) -> None:
    repo.commit({NAME: PLAIN})
    repo.git("tag", "base")
    repo.commit({NAME: locked()})
    repo.commit({NAME: "/* lumen */\n#include <linux/mm.h>\n\n" + locked()})
    repo.git("mv", NAME, "mm-lumen.c")
    repo.commit({})
    repo.git("apply", "--check", "--index", given=(patch := render("diff", [reviewed(repo.mails())]).encode()))
    assert b"@@ -5,9 +5,9 @@" in patch
    repo.git("apply", given=patch)
    assert repo.read("mm-lumen.c").decode().endswith(locked("mmap_read_lock(mm);", "mmap_read_unlock(mm);"))


def test_a_line_that_a_later_patch_changes_is_left_to_it(repo: Repo) -> None:
    found = posted(repo, PLAIN, locked(), locked("mmap_read_lock(mm);", "mmap_read_unlock(mm);"))
    assert set(whys(found)) == {"patch 2 resolves it: there is nothing to fix"}
    assert nothing_but_reasons(found)


def test_a_file_that_a_later_patch_removes_is_left_to_it(repo: Repo) -> None:
    repo.commit({NAME: PLAIN, "other.c": "int other;\n"})
    repo.git("tag", "base")
    repo.commit({NAME: locked()})
    repo.commit({NAME: None})
    assert set(whys(reviewed(repo.mails()))) == {"patch 2 resolves it: there is nothing to fix"}


def test_files_that_swap_their_names_are_told_apart(repo: Repo) -> None:
    one, two = locked(), function("lumen_two", *(f"lumen_step({n});" for n in range(30)))
    repo.commit({"a.c": PLAIN, "b.c": two})
    repo.git("tag", "base")
    repo.commit({"a.c": one})
    repo.commit({"a.c": two, "b.c": one})
    patch = render("diff", [reviewed(repo.mails("base", "-B"))]).encode()
    repo.git("apply", "--check", "--index", given=patch)
    assert b"--- a/b.c" in patch
    assert b"a/a.c" not in patch


def mixed(repo: Repo, *options: str) -> Sequence[bytes]:
    """The first mail as git writes it, the others as it does with options."""
    first, *_ = split_mbox(repo.mails())
    _, *rest = split_mbox(repo.mails("base", *options))
    return [first, *rest]


def test_a_line_is_followed_through_a_patch_without_context(repo: Repo) -> None:
    start = "/* lumen */\n/* gone */\n"
    posted(repo, start + PLAIN, start + locked(), "int lumen;\n\n\n" + start.replace("/* gone */\n", "") + locked())
    patch = render("diff", [reviewed(mixed(repo, "-U0"))])
    at = repo.read().decode().split("\n").index("\tdown_read(&mm->mmap_sem);") + 1
    assert f"@@ -{at - 3},9 +{at - 3},9 @@" in patch
    repo.git("apply", "--check", "--index", given=patch.encode())


def test_a_series_that_does_not_fit_together_is_not_guessed_at(repo: Repo) -> None:
    posted(repo, PLAIN, locked(), locked().replace("int ret;", "int ret = 0;"))
    one, two = split_mbox(repo.mails())
    bent = two.replace(b"\n \tdown_read(&mm->mmap_sem);", b"\n \tdown_read(&mm->mmap_sem); /* by hand */")
    assert bent != two
    found = reviewed([one, bent])
    assert "patch 2 does not fit the patch before it: there is nothing to fix" in whys(found)
    assert nothing_but_reasons(found)


def test_a_call_on_the_last_line_that_is_seen_is_left_with_its_lock(repo: Repo) -> None:
    text = locked().replace("\tup_read", "\tlumen_more(mm);\n\tup_read")
    found = posted(repo, text.replace("down_read(&mm->mmap_sem)", "lumen_take(mm)"), text)
    assert whys(found) == ["line 8, which goes with it, cannot be converted"]
    assert nothing_but_reasons(found)


# -- the text of a patch ------------------------------------------------------------------------------------------


def test_a_file_without_newline_at_its_end(repo: Repo) -> None:
    text = "#define lumen_x 1\n#define lumen_y 2\n/* lumen */\n"
    found = posted(repo, text, text + "/* under mmap_sem */")
    assert render("diff", [found]).count("\\ No newline at end of file\n") == 2
    assert fixed(repo, found).decode() == text + "/* under mmap_lock */"


def test_a_last_line_of_context_without_newline(repo: Repo) -> None:
    text = "/* lumen */\n#define lumen_x 1\n#define lumen_y 2"
    found = posted(repo, text, text.replace("#define lumen_x", "/* under mmap_sem */\n#define lumen_x"))
    assert render("diff", [found]).count("\\ No newline at end of file\n") == 1
    assert fixed(repo, found).decode() == text.replace("#define lumen_x", "/* under mmap_lock */\n#define lumen_x")


def test_lines_that_end_with_cr_keep_it(repo: Repo) -> None:
    before = PLAIN.replace("\n", "\r\n")
    found = posted(repo, before, locked().replace("\n", "\r\n"))
    expected = locked("mmap_read_lock(mm);", "mmap_read_unlock(mm);").replace("\n", "\r\n")
    assert fixed(repo, found).decode() == expected


@pytest.mark.parametrize("name", ["with space.c", 'quo"te.c', "back\\slash.c", "tab\there.c", "größe.c", "a-b/-x.c"])
def test_odd_file_names_are_written_as_git_writes_them(repo: Repo, name: str) -> None:
    repo.commit({name: PLAIN})
    repo.git("tag", "base")
    repo.commit({name: locked()})
    patch = render("diff", [reviewed(repo.mails())]).encode()
    repo.git("apply", "--check", "--index", given=patch)
    repo.git("apply", given=patch)
    ours = [line for line in patch.split(b"\n") if line.startswith((b"--- ", b"+++ ", b"diff "))]
    theirs = [line for line in repo.git("diff").split(b"\n") if line.startswith((b"--- ", b"+++ ", b"diff "))]
    assert ours == theirs
    assert repo.read(name).decode() == locked("mmap_read_lock(mm);", "mmap_read_unlock(mm);")


def test_a_quoted_name_is_git_s() -> None:
    assert quoted("a/mm/gup.c") == "a/mm/gup.c"
    assert quoted("a/\x01\n.c") == '"a/\\001\\n.c"'


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../x.c",
        "mm/../x.c",
        "mm//x.c",
        "./x.c",
        ".git/config",
        "a/.GIT/x",
        "a/git~1/x",
        ".git ./x",
        ".g\u200cit/x",
    ],
)
def test_a_path_that_git_refuses_is_not_written(path: str) -> None:
    assert fixes.refuse_path(path)


def test_a_bad_path_does_not_spoil_the_patch(repo: Repo) -> None:
    found = posted(repo, PLAIN, locked())
    mails = repo.mails().replace(b"\n-- \n", b"").rstrip().split(b"\n2.")[0]
    evil = reviewed(mails.replace(NAME.encode(), b"../../lumen.c"))
    assert nothing_but_reasons(evil)
    assert set(whys(evil)) == {"its path leads nowhere inside of the tree"}
    assert render("diff", [evil, found]).startswith("# not fixed: ../../lumen.c: its path leads nowhere")
    assert b"mmap_read_lock(mm)" in fixed(repo, found)


def test_a_line_that_would_move_a_terminal_s_cursor_is_no_context(repo: Repo) -> None:
    before = "/* \x1b[2J */\n" + PLAIN
    found = posted(repo, before, before.replace("static", "/* mmap_sem */\nstatic"))
    patch = render("diff", [found])
    assert "\x1b" not in patch
    assert b"/* mmap_lock */" in fixed(repo, found)


def test_a_line_in_another_encoding_is_no_context(repo: Repo) -> None:
    before = "/* grün */\n".encode("latin-1") + PLAIN.encode()
    repo.commit({NAME: before})
    repo.git("tag", "base")
    repo.commit({NAME: before.replace(b"static", b"/* mmap_sem */\nstatic")})
    assert b"/* mmap_lock */\nstatic" in fixed(repo, reviewed(repo.mails()))


def committed(repo: Repo) -> Review:
    """The review of the commits since the tag."""
    with Repository.open(str(repo.top)) as repository:
        series = repository.series(repository.find(["base..HEAD"]))
    return select(review(series._replace(base=series.base._replace(version=(6, 12))), RULES), Selection(strict=True))


@pytest.mark.parametrize("line", ["/* gr\u00fcn \u00e9 \u00d8 */", "/* a\u00a0b\u3000c */", "/* \u201cheld\u201d */"])
def test_a_line_of_a_commit_in_utf_8_is_context(repo: Repo, line: str) -> None:
    repo.commit({NAME: PLAIN})
    repo.git("tag", "base")
    repo.commit({NAME: locked("down_read(&mm->mmap_sem);\n\t" + line)})
    found = committed(repo)
    assert not whys(found)
    assert line in render("diff", [found])
    assert fixed(repo, found).decode() == locked("mmap_read_lock(mm);\n\t" + line, "mmap_read_unlock(mm);")


@pytest.mark.parametrize("other", ["int other;", "/* gr\u00fcn */"])
def test_a_line_whose_bytes_are_not_known_is_told_as_that(repo: Repo, other: str) -> None:
    repo.commit({NAME: PLAIN})
    repo.git("tag", "base")
    text = locked("down_read(&mm->mmap_sem);\n\t/* gr\u00fcn */").encode("latin-1")
    repo.commit({NAME: text, "other.c": f"{other}\n"})
    found = committed(repo)
    assert nothing_but_reasons(found)
    assert "the bytes of the line below it are not known, or do not print" in whys(found)


def test_why_nothing_is_fixed_is_told_where_nothing_can_be_applied(repo: Repo) -> None:
    found = posted(repo, PLAIN, locked("down_read_nested(&mm->mmap_sem, 1);"))
    assert render("diff", [found]) == (
        f"# not fixed: {NAME}: down_read_nested() in line 5, which goes with it, has no counterpart in the API\n"
    )


def test_nothing_to_fix_is_an_empty_patch(repo: Repo) -> None:
    assert render("diff", [posted(repo, PLAIN, PLAIN + "int lumen;\n")]) == ""


@pytest.mark.parametrize("context", [0, 1, 2])
def test_a_diff_with_little_context_gives_no_patch_that_lies(repo: Repo, context: int) -> None:
    repo.commit({NAME: PLAIN})
    repo.git("tag", "base")
    repo.commit({NAME: locked()})
    found = reviewed(repo.mails("base", f"-U{context}"))
    if context == 0:
        assert nothing_but_reasons(found)
        return
    repo.git("apply", "--check", "--index", given=render("diff", [found]).encode())


# -- at random ----------------------------------------------------------------------------------------------------

POOL = (
    "\tdown_read(&mm->mmap_sem);",
    "\tup_read(&mm->mmap_sem);",
    "\tdown_write(&mm->mmap_lock);",
    "\tup_write(&mm->mmap_lock);",
    "\tdown_read_nested(&mm->mmap_sem, 1);",
    "\tmmap_read_lock(mm);",
    "\tmmap_read_unlock(mm);",
    "\tif (down_write_killable(&other_mm->mmap_lock)) /* mmap_sem */",
    "\tup_write(&other_mm->mmap_lock); up_read(&mm->mmap_sem);",
    "\tlockdep_assert_held(&mm->mmap_lock);",
    "\tlockdep_assert_held(mm->mmap_lock);",
    "\t/* the mmap_sem, \u201cheld\u201d */",
    "\tlumen_count(mm);",
    "\treturn 0;",
    "",
    "}",
    "static int lumen_more(struct mm_struct *mm)",
    "{",
)


def changed(chance: random.Random, lines: Sequence[str]) -> list[str]:
    """Some lines put in, taken out or replaced."""
    made = list(lines)
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(made) + 1)
        width = chance.choice((0, 0, 1, 3))
        made[at : at + width] = [chance.choice(POOL) for _ in range(chance.randrange(0, 5))]
    return made


def where(finding: Finding) -> tuple[str, str, str | None, str]:
    """What makes two findings the same on both sides of a fix, lines aside."""
    return finding.rule, finding.span.path, finding.function, finding.span.text


@pytest.mark.parametrize("seed", range(15))
def test_a_patch_always_applies_and_cures_what_it_says(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    names = ["mm/a.c", "mm/b.c"]
    repo = Repo(tmp_path / "repo")
    state = {
        name: [
            line for n in range(6) for line in function(f"f{n}", *(f"step({n}, {m});" for m in range(7))).split("\n")
        ]
        for name in names
    }

    def texts() -> dict[str, str]:
        return {name: "\n".join(lines) + chance.choice(("\n", "\n", "")) for name, lines in state.items()}

    repo.commit(texts())
    repo.git("tag", "base")
    for number in range(chance.randrange(1, 5)):
        for name in list(state):
            if chance.random() < 0.8:
                state[name] = changed(chance, state[name])
        if chance.random() < 0.2:
            old = chance.choice(list(state))
            repo.git("mv", old, new := f"mm/new{number}.c")
            state[new] = state.pop(old)
        repo.commit(texts())
    found = reviewed(repo.mails())
    plan = fixes.plan(found)
    patch = render("diff", [found]).encode()
    assert (b"\n@@ " in patch) is bool(plan.files)
    if not plan.files:
        return
    repo.git("apply", "--check", "--index", given=patch)
    # where there is nothing but the patched files
    bare = Repo(tmp_path / "bare")
    bare.commit({file.path: repo.read(file.path) for file in plan.files})
    bare.git("apply", "--whitespace=nowarn", given=patch)
    repo.git("apply", "--whitespace=nowarn", given=patch)
    assert {f.path: bare.read(f.path) for f in plan.files} == {f.path: repo.read(f.path) for f in plan.files}
    # the whole as one patch, without the fixes and with them
    repo.git("stash", "-q")
    before = squashed(repo)
    repo.git("stash", "pop", "-q")
    after = squashed(repo)
    fresh = {line for file in plan.files for edit in file.edits for line in edit.new}
    for what, count in Counter(where(finding) for finding in plan.fixed if finding.span.text not in fresh).items():
        assert after[what] <= max(0, before[what] - count), what


@pytest.mark.parametrize("seed", range(60))
def test_mails_that_were_tampered_with_never_break_it(seed: int) -> None:
    chance = random.Random(seed)
    other = TAMPERED.replace(b"1/2", b"2/2").replace(b"one@", b"two@").replace(b"n.c", b"o.c")
    mails = [bytearray(TAMPERED), bytearray(other)]
    for mail in mails:
        start = mail.index(b"\n\n")
        for _ in range(chance.randrange(1, 12)):
            at = chance.randrange(start, len(mail))
            mail[at : at + chance.choice((0, 1, 1, 5))] = chance.choice(
                (
                    b"",
                    b"\n",
                    b"+",
                    b"-",
                    b" ",
                    b"\\",
                    b"9",
                    b"0",
                    b"@@ -1 +1 @@\n",
                    b"\r",
                    b"\0",
                    b"\xff",
                    b"&mm->mmap_sem",
                )
            )
    try:
        found = reviewed([bytes(mail) for mail in mails])
    except (AssertionError, InputError):
        return  # no series any more
    patch = render("diff", [found])
    assert patch == "" or "\n@@ " in patch or nothing_but_reasons(found)


TAMPERED = (
    b"From: Ann Author <ann@example.org>\nSubject: [PATCH 1/2] lumen: one\nDate: Sun, 1 Dec 2024 12:00:00 +0000\n"
    b"Message-ID: <one@example.org>\n\nText.\n\n---\n"
    + f"diff --git a/{NAME} b/{NAME}\n--- a/{NAME}\n+++ b/{NAME}\n@@ -1,9 +1,11 @@\n".encode()
    + "".join(f"{'+' if '_read' in line else ' '}{line}\n" for line in locked().split("\n")[:-1]).encode()
    + b"\\ No newline at end of file\n"
)


def squashed(repo: Repo) -> Counter[tuple[str, str, str | None, str]]:
    """What is found where the whole series and what is in the work tree are one patch."""
    tree = repo.git("stash", "create").decode().strip() or "HEAD"
    commit = repo.git("commit-tree", "-p", "base", "-m", "all", f"{tree}^{{tree}}").decode().strip()
    mails = repo.git("format-patch", "--stdout", "-M", "-1", commit)
    # a series that takes back all it did
    return Counter(where(finding) for finding in reviewed(mails).findings if finding.fixable) if mails else Counter()
