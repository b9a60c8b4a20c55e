# SPDX-License-Identifier: GPL-2.0-or-later
"""reviewbot.diff: text -> FileDiffs. What a good diff says is git's word: `git apply --numstat` over `git mailinfo`."""

from __future__ import annotations

import builtins
import io
import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from growth import seconds
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.diff import diff_start, read_diff
from reviewbot.mail import has_diff, make_patch
from reviewbot.mime import parse_mail, parse_patch
from reviewbot.model import Change, FileDiff, Hunk, LineKind, Mail, Unreadable
from reviewbot.source.epoch import EpochSource

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "ada@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(where: Path, *arguments: str, data: bytes | None = None, ok: tuple[int, ...] = (0,)) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=where, env=ENVIRONMENT, input=data, capture_output=True, check=False)
    assert done.returncode in ok, done.stderr.decode()
    return done.stdout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An empty repository."""
    git(tmp_path, "init", "-q", "tree")
    return tmp_path / "tree"


def committed(tree: Path, *options: str) -> bytes:
    """Commit all that is there, and the mail of that commit."""
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "--allow-empty", "-m", "mm: change it\n\nBecause.")
    return git(tree, "format-patch", "-1", "--stdout", "--root", *options)


def write(tree: Path, name: str, text: str) -> None:
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).write_bytes(text.encode())


def numstat(where: Path, mail: bytes) -> dict[str, tuple[str, str]] | None:
    """Path -> added and removed lines as git reads a mail; None where it says that the patch is corrupt."""
    git(where, "mailinfo", "-b", str(where / "m.msg"), str(where / "m.patch"), data=mail)
    command = ["git", "apply", "--numstat", "-z", str(where / "m.patch")]
    done = subprocess.run(command, cwd=where, env=ENVIRONMENT, capture_output=True, check=False)
    if done.returncode:
        return None
    found = {}
    fields = done.stdout.decode("utf-8", "replace").split("\0")
    for field in filter(None, fields):
        plus, minus, name = field.split("\t", 2)
        found[name] = (plus, minus)
    return found


def ours(files: tuple[FileDiff, ...]) -> dict[str, tuple[str, str]]:
    """The same of what we read."""
    found = {}
    for file in files:
        kinds = [line.kind for hunk in file.hunks for line in hunk.lines]
        count = ("-", "-") if file.binary else (str(kinds.count(LineKind.ADDED)), str(kinds.count(LineKind.REMOVED)))
        found[file.path] = count
    return found


def read(text: str) -> tuple[tuple[FileDiff, ...], tuple[Unreadable, ...]]:
    return read_diff(text.removesuffix("\n").split("\n"))


def good(text: str) -> tuple[FileDiff, ...]:
    files, unreadable = read(text)
    assert unreadable == ()
    return files


def lines(hunk: Hunk) -> list[str]:
    return [line.kind + line.text for line in hunk.lines]


# -- what git writes ------------------------------------------------------------------------------

OLD = "".join(f"line {n}\n" for n in range(40))


def test_a_mail_with_every_kind_of_change_is_read_as_git_reads_it(tree: Path) -> None:
    for name in ("mod.c", "gone.c", "from.c", "same.c", "copied.c", "mode.sh", "no newline.c", "dir/ü.c"):
        write(tree, name, name + "\n" + OLD)
    (tree / "blob.bin").write_bytes(bytes(range(256)))
    (tree / "link").symlink_to("mod.c")
    committed(tree)
    write(tree, "mod.c", ("mod.c\n" + OLD).replace("line 3\n", "three\n- \n").replace("line 30\n", ""))
    (tree / "gone.c").unlink()
    (tree / "from.c").rename(tree / "to.c")
    (tree / "same.c").rename(tree / "dir/same.c")
    write(tree, "dir/same.c", ("same.c\n" + OLD).replace("line 9\n", "nine\n"))
    write(tree, "copy.c", "copied.c\n" + OLD)
    (tree / "mode.sh").chmod(0o755)
    write(tree, "no newline.c", ("no newline.c\n" + OLD).removesuffix("\n"))
    write(tree, "dir/ü.c", "new\n")
    write(tree, "new dir/a new.c", "a\nb\n")
    write(tree, "empty.c", "")
    (tree / "blob.bin").write_bytes(bytes(range(255)))
    (tree / "link").unlink()
    (tree / "link").symlink_to("to.c")
    mail = committed(tree, "--binary", "-M", "-C", "--find-copies-harder")
    patch = make_patch(parse_mail(mail), 1)
    assert patch.unreadable == ()
    assert ours(patch.files) == numstat(tree, mail)
    by_path = {file.path: file for file in patch.files}
    assert {path: file.change for path, file in by_path.items() if file.change is not Change.MODIFIED} == {
        "gone.c": Change.DELETED,
        "to.c": Change.RENAMED,
        "dir/same.c": Change.RENAMED,
        "copy.c": Change.COPIED,
        "new dir/a new.c": Change.ADDED,
        "empty.c": Change.ADDED,
    }
    assert (by_path["to.c"].old_path, by_path["to.c"].hunks) == ("from.c", ())
    assert (by_path["copy.c"].old_path, by_path["gone.c"].new_path) == ("copied.c", None)
    assert (by_path["mode.sh"].old_mode, by_path["mode.sh"].new_mode) == ("100644", "100755")
    assert by_path["link"].new_mode == "120000"
    assert by_path["blob.bin"].binary
    assert "--\x20" not in {line.text for file in patch.files for hunk in file.hunks for line in hunk.lines[-1:]}
    assert "- " in [line.text for line in by_path["mod.c"].hunks[0].lines if line.kind is LineKind.ADDED]
    assert [patch.mail.body[file.message_line - 1][:11] for file in patch.files] == ["diff --git "] * len(patch.files)


def test_a_submodule_is_a_file_of_one_line(tree: Path) -> None:
    committed(tree)
    git(tree, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    git(tree, "commit", "-q", "-m", "sub")
    mail = git(tree, "format-patch", "-1", "--stdout")
    (file,) = make_patch(parse_mail(mail), 1).files
    assert (file.path, file.change, file.new_mode, lines(file.hunks[0])) == (
        "sub",
        Change.ADDED,
        "160000",
        ["+Subproject commit " + "1" * 40],
    )
    assert ours((file,)) == numstat(tree, mail)


def test_a_file_of_diffs_is_read_as_one_file(tree: Path) -> None:
    write(tree, "old.patch", "-- a/x\n++ b/x\ndiff --git a/x b/x\n@@ -1 +1 @@\n-a\n+b\n-- \n2.39.5\n---\n")
    added = committed(tree)
    write(tree, "old.patch", "- a\n-- b\n++ c\n")
    changed = committed(tree)
    (tree / "old.patch").unlink()
    for mail in (added, changed, committed(tree)):
        patch = make_patch(parse_mail(mail), 1)
        assert patch.unreadable == ()
        assert ours(patch.files) == numstat(tree, mail)


@pytest.mark.parametrize("seed", range(12))
def test_random_edits_are_read_as_git_reads_them(tree: Path, seed: int) -> None:
    chance = random.Random(seed)
    pool = [
        "",
        " ",
        "\t",
        "-- ",
        "--- a/x",
        "+++ b/x",
        "@@ -1 +1 @@",
        "diff --git a/x b/x",
        "\\ No newline",
        "x\r",
        "\f",
    ]
    texts = {name: [chance.choice([*pool, f"l{n}"]) for n in range(60)] for name in ("a.c", "b/c.h", "d e.c")}
    for name, text in texts.items():
        write(tree, name, "\n".join(text) + chance.choice(["", "\n"]))
    mails = [committed(tree)]
    for name, text in texts.items():
        for _ in range(8):
            at = chance.randrange(len(text))
            text[at : at + chance.randrange(3)] = [chance.choice([*pool, "new"]) for _ in range(chance.randrange(3))]
        write(tree, name, "\n".join(text) + chance.choice(["", "\n"]))
    mails.append(committed(tree, f"-U{chance.randrange(5)}"))
    for mail in mails:
        patch = make_patch(parse_mail(mail), 1)
        assert patch.unreadable == ()
        assert ours(patch.files) == numstat(tree, mail)
        check_places(patch.files, patch.mail.body)


def check_places(files: tuple[FileDiff, ...], body: tuple[str, ...] | list[str]) -> None:
    """Every line and hunk is where it says, and its numbers follow from its hunk's."""
    for file in files:
        for hunk in file.hunks:
            assert body[hunk.message_line - 1].startswith(f"@@ -{hunk.old_start}")
            old, new = hunk.old_start, hunk.new_start
            for line in hunk.lines:
                assert body[line.message_line - 1][1:] == line.text
                assert body[line.message_line - 1][:1] in (line.kind, "")
                assert (line.old, line.new) == (
                    None if line.kind is LineKind.ADDED else old,
                    None if line.kind is LineKind.REMOVED else new,
                )
                old += line.kind is not LineKind.ADDED
                new += line.kind is not LineKind.REMOVED
            assert (old, new) == (hunk.old_start + hunk.old_count, hunk.new_start + hunk.new_count)


# -- what others write ----------------------------------------------------------------------------

HUNK = "@@ -1,2 +1,3 @@ int f(void)\n a\n+new\n b\n"


@pytest.mark.parametrize(
    ("header", "path"),
    [
        ("--- a/mm/x.c\n+++ b/mm/x.c\n", "mm/x.c"),
        ("--- linux-6.12.orig/mm/x.c\n+++ linux-6.12/mm/x.c\n", "mm/x.c"),
        ("--- linux.orig/mm/x.c\t2024-11-20 10:00:00 +0100\n+++ linux/mm/x.c\t2024-11-20 10:00:01 +0100\n", "mm/x.c"),
        ("Index: linux/mm/x.c\n" + "=" * 67 + "\n--- linux.orig/mm/x.c\n+++ linux/mm/x.c\n", "mm/x.c"),
        ("Index: trunk/x.c\n" + "=" * 67 + "\n--- trunk/x.c\t(revision 1)\n+++ trunk/x.c\t(working copy)\n", "x.c"),
        ('diff --git "a/\\303\\274 x.c" "b/\\303\\274 x.c"\n--- "a/\\303\\274 x.c"\n+++ "b/\\303\\274 x.c"\n', "ü x.c"),
        ('--- "a/mm/\\"\\\\\\t.c"\n+++ "b/mm/\\"\\\\\\t.c"\n', 'mm/"\\\t.c'),
        ("diff --git a/my dir/x.c b/my dir/x.c\n--- a/my dir/x.c\t\n+++ b/my dir/x.c\t\n", "my dir/x.c"),
        ("diff --git a/../../etc/x b/../../etc/x\n--- a/../../etc/x\n+++ b/../../etc/x\n", "../../etc/x"),
        ("diff -urN a/mm/x.c b/mm/x.c\n--- a/mm/x.c\n+++ b/mm/x.c\n", "mm/x.c"),
    ],
)  # fmt: skip
def test_a_path_is_read_with_its_first_directory_off(header: str, path: str) -> None:
    (file,) = good(header + HUNK)
    assert (file.path, file.old_path, file.change) == (path, path, Change.MODIFIED)
    assert lines(file.hunks[0]) == [" a", "+new", " b"]
    assert file.hunks[0].section == "int f(void)"


def test_a_name_that_is_no_utf_8_is_a_name_all_the_same() -> None:
    (file,) = good('--- "a/\\377.c"\n+++ "b/\\377.c"\n' + HUNK)
    assert file.path == "\ufffd.c"


def test_no_path_is_ever_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("the file system was touched")

    names = ["../../../etc/passwd", "/etc/passwd", "/dev/stdin", "~/.ssh/id", "a\0b", "x" * 5000]
    text = "".join(f"diff --git a/{n} b/{n}\n--- a/{n}\n+++ b/{n}\n{HUNK}--- {n}\n+++ {n}\n{HUNK}" for n in names)
    mail = parse_mail(b"Subject: [PATCH] x\n\nx\n---\n" + text.encode())
    for module, name in (
        (builtins, "open"),
        (io, "open"),
        *((os, name) for name in ("open", "stat", "lstat", "access", "listdir", "scandir", "readlink", "mkdir")),
    ):
        monkeypatch.setattr(module, name, forbidden)
    files = make_patch(mail, 1).files
    monkeypatch.undo()
    assert {"../../../etc/passwd", "/etc/passwd", "~/.ssh/id"} <= {file.path for file in files}


def test_files_without_git_headers_that_come_or_go_are_known_by_dev_null() -> None:
    new, gone = good("--- /dev/null\n+++ b/new.c\n@@ -0,0 +1 @@\n+a\n--- a/gone.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n")
    assert (new.old_path, new.new_path, new.change) == (None, "new.c", Change.ADDED)
    assert (gone.old_path, gone.new_path, gone.change) == ("gone.c", None, Change.DELETED)


def test_a_context_line_whose_only_space_a_mailer_took_is_context() -> None:
    (file,) = good("--- a/x.c\n+++ b/x.c\n@@ -1,3 +1,4 @@\n a\n\n+new\n b\n")
    assert lines(file.hunks[0]) == [" a", " ", "+new", " b"]
    assert [(line.old, line.new, line.message_line) for line in file.hunks[0].lines][1] == (2, 2, 5)


def test_no_newline_marks_are_no_lines() -> None:
    mark = "\\ No newline at end of file\n"
    (file,) = good(f"--- a/x.c\n+++ b/x.c\n@@ -1,2 +1,2 @@\n a\n-b\n{mark}+c\n{mark}")
    assert lines(file.hunks[0]) == [" a", "-b", "+c"]
    assert [line.message_line for line in file.hunks[0].lines] == [4, 5, 7]


def test_the_blob_ids_of_index_lines_are_kept() -> None:
    changed, new, gone, plain, odd = good(
        f"diff --git a/x.c b/x.c\nindex 1234567..89abcde 100644\n--- a/x.c\n+++ b/x.c\n{HUNK}"
        "diff --git a/y.c b/y.c\nnew file mode 100644\nindex 000000000000..89abcdef0123\n"
        "diff --git a/z.c b/z.c\ndeleted file mode 100644\nindex 1234567..0000000\n"
        f"diff --git a/p.c b/p.c\n--- a/p.c\n+++ b/p.c\n{HUNK}"
        f"diff --git a/q.c b/q.c\nindex --all..HEAD\n--- a/q.c\n+++ b/q.c\n{HUNK}"
    )
    assert (changed.old_id, changed.new_id) == ("1234567", "89abcde")
    assert (new.old_id, new.new_id) == (None, "89abcdef0123")
    assert (gone.old_id, gone.new_id) == ("1234567", None)
    assert {plain.old_id, plain.new_id, odd.old_id, odd.new_id} == {None}


def test_binary_files_have_no_hunks() -> None:
    said, full, plain, last = good(
        "diff --git a/x.bin b/x.bin\nindex 1..2 100644\nBinary files a/x.bin and b/x.bin differ\n"
        "diff --git a/y.bin b/y.bin\nindex 1..2 100644\nGIT binary patch\n"
        "literal 3\nKcmZ?wbhEHb6krfz00000\n\nliteral 0\nHcmV?d00001\n\n"
        f"diff --git a/z.c b/z.c\n--- a/z.c\n+++ b/z.c\n{HUNK}"
        "Binary files a/w.bin and b/w.bin differ\n"
    )
    assert [(f.path, f.binary, len(f.hunks)) for f in (said, full, plain, last)] == [
        ("x.bin", True, 0),
        ("y.bin", True, 0),
        ("z.c", False, 1),
        ("w.bin", True, 0),
    ]


def test_a_merges_combined_diff_is_no_patch() -> None:
    combined = "diff --cc mm/x.c\nindex 1,2..3\n--- a/mm/x.c\n+++ b/mm/x.c\n@@@ -1,1 -1,1 +1,1 @@@\n- a\n -b\n++c\n"
    assert read(combined) == ((), ())
    assert [f.path for f in good(combined + "diff --git a/y.c b/y.c\n--- a/y.c\n+++ b/y.c\n" + HUNK)] == ["y.c"]


def test_text_without_a_diff_has_none() -> None:
    assert read("Just prose.\n\n--- so\n+ far\n") == ((), ())
    assert diff_start(["--- a/x", "prose"]) is None


def test_the_diff_below_the_dashes_is_the_patch_and_one_above_is_quoted() -> None:
    above, below = "--- a/x.c\n+++ b/x.c\n" + HUNK, "--- a/y.c\n+++ b/y.c\n" + HUNK
    assert [f.path for f in good(f"As in\n{above}\n---\n y.c | 1 +\n\n{below}-- \n2.39.5\n")] == ["y.c"]
    assert [f.path for f in good(f"As in\n{above}\n---\nnothing below\n")] == ["x.c"]


@pytest.mark.parametrize(
    "tail",
    [
        "-- \n2.39.5\n",
        "--\nAda\n",
        "\n-- \nAda\n",
        "___\nlist\n",
        "\n+1 from me\n",
        "base-commit: 1234567\n\n-- \n2.39.5\n",
        "---\nx\n",
        "",
        "-----BEGIN PGP SIGNATURE-----\n",
    ],
)
def test_what_follows_the_last_hunk_is_no_part_of_it(tail: str) -> None:
    (file,) = good("--- a/x.c\n+++ b/x.c\n" + HUNK + tail)
    assert lines(file.hunks[0]) == [" a", "+new", " b"]


# -- what is broken -------------------------------------------------------------------------------

BEFORE = "diff --git a/one.c b/one.c\n--- a/one.c\n+++ b/one.c\n@@ -1,2 +1,3 @@\n a\n+one\n b\n"
FIRST = "@@ -1,2 +1,3 @@\n a\n+two\n b\n"
LAST = "@@ -31,2 +32,3 @@\n a\n+four\n b\n"
AFTER = "diff --git a/five.c b/five.c\n--- a/five.c\n+++ b/five.c\n@@ -1,2 +1,3 @@\n a\n+five\n b\n"
TWO = "diff --git a/two.c b/two.c\n--- a/two.c\n+++ b/two.c\n"
PLAIN = "--- a/two.c\n+++ b/two.c\n"

# the broken piece, and which of its lines is to blame
BROKEN = {
    "a line was wrapped": ("@@ -11,2 +12,3 @@\n a\n+a long\nline\n b\n", 4, "not a diff line"),
    "a line was wrapped and begins with a space": ("@@ -11,2 +12,3 @@\n a\n+a long\n line\n b\n", 1, "more lines"),
    "the hunk's heading was wrapped": ("@@ -11,2 +12,3 @@ int f(int a,\nint b)\n a\n+x\n b\n", 2, "not a diff line"),
    "the hunk's numbers were wrapped": ("@@ -11,2\n+12,3 @@\n a\n+x\n b\n", 1, "header is broken"),
    "the hunk is cut off": ("@@ -11,2 +12,9 @@\n a\n+x\n b\n", 1, "fewer lines"),
    "one line is missing": ("@@ -11,3 +12,4 @@\n a\n+x\n b\n", 1, "fewer lines"),
    "one line is too many": ("@@ -11,2 +12,2 @@\n a\n+x\n b\n", 1, "more lines"),
    "an added line is too many": ("@@ -11,2 +12,2 @@\n a\n b\n+x\n", 1, "more lines"),
    "a context line is too many": ("@@ -11,1 +12,2 @@\n a\n+x\n b\n", 1, "more lines"),
    "a removed line is too many": ("@@ -11,1 +12,2 @@\n a\n+x\n-b\n", 1, "more lines"),
    "a number is too large for C": ("@@ -11111111111,2 +12,3 @@\n a\n+x\n b\n", 1, "header is broken"),
    "a number is too large for Python": (f"@@ -{'1' * 5000},2 +12,3 @@\n a\n+x\n b\n", 1, "header is broken"),
    "white space was replaced": ("@@ -11,2 +12,3 @@\n a\n+x\n\xa0b\n", 4, "not a diff line"),
}


@pytest.mark.parametrize("header", [TWO, PLAIN], ids=["git", "plain"])
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_hunk_is_reported_once_and_costs_no_other(name: str, header: str) -> None:
    hunk, at, reason = BROKEN[name]
    above = "x\n---\n" + BEFORE + header + FIRST
    if header is PLAIN:
        above = above.replace(BEFORE, BEFORE.split("\n", 1)[1])
    text = above + hunk + LAST + AFTER + "-- \n2.39.5\n"
    files, unreadable = read(text)
    (broken,) = unreadable
    assert broken.message_line == above.count("\n") + at
    assert reason in broken.reason
    assert broken.text == text.split("\n")[broken.message_line - 1]
    added = {line.text for file in files for h in file.hunks for line in h.lines if line.kind is LineKind.ADDED}
    assert {"one", "two", "four", "five"} <= added
    assert [file.path for file in files] == ["one.c", "two.c", "five.c"]


@pytest.mark.parametrize(
    "name", ["a line was wrapped", "the hunk is cut off", "an added line is too many", "one line is missing"]
)
@pytest.mark.parametrize("tail", ["", "-- \n2.39.5\n", "-- \nAda\n\n_____\nlist\n"])
def test_a_broken_last_hunk_is_reported_once(name: str, tail: str) -> None:
    hunk, at, reason = BROKEN[name]
    files, unreadable = read(TWO + FIRST + hunk + tail)
    (broken,) = unreadable
    assert (broken.message_line, reason in broken.reason) == ((TWO + FIRST).count("\n") + at, True)
    assert files[0].hunks[0].lines[1].text == "two"
    assert "- " not in [line.text for hunk in files[0].hunks for line in hunk.lines]


def test_garbage_between_hunks_is_reported_where_it_stands() -> None:
    text = BEFORE + TWO + FIRST + "garbage\nand more\n" + LAST + AFTER
    files, (broken,) = read(text)
    assert (broken.text, text.split("\n")[broken.message_line - 1]) == ("garbage", "garbage")
    assert [len(file.hunks) for file in files] == [1, 2, 1]


def test_several_broken_hunks_are_each_reported() -> None:
    wrapped = "@@ -11,2 +12,3 @@\n a\n+a long\nline\n b\n"
    files, unreadable = read(BEFORE + TWO + wrapped + FIRST.replace("@@ -1,", "@@ -21,") + wrapped + AFTER)
    assert [broken.text for broken in unreadable] == ["line", "line"]
    assert [file.path for file in files] == ["one.c", "two.c", "five.c"]


def test_a_hunk_without_a_file_is_reported() -> None:
    files, (broken,) = read("prose\n" + FIRST)
    assert (files, broken) == ((), Unreadable(2, "hunk without a file header", "@@ -1,2 +1,3 @@"))


def test_a_git_header_without_names_below_is_enough_for_a_hunk() -> None:
    (file,) = good("diff --git a/x.c b/x.c\nindex 1..2 100644\n" + HUNK)
    assert (file.path, len(file.hunks)) == ("x.c", 1)


# git lets large numbers overflow
@pytest.mark.parametrize("name", [name for name in BROKEN if "number is too large" not in name])
def test_git_finds_broken_what_we_do(tree: Path, name: str) -> None:
    mail = ("From: a@b.c\nSubject: [PATCH] x\n\nx\n---\n" + TWO + FIRST + BROKEN[name][0] + LAST).encode()
    assert numstat(tree, mail) is None


def test_places_are_right_also_in_a_broken_mail() -> None:
    text = "x\n---\n" + BEFORE + TWO + FIRST + BROKEN["a line was wrapped"][0] + LAST + AFTER
    files, _ = read(text)
    body = text.split("\n")
    for line in (line for file in files for hunk in file.hunks for line in hunk.lines):
        assert body[line.message_line - 1][1:] == line.text


MARKED = st.sampled_from([" ", "+", "-"])
TEXT = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=12)


@given(st.lists(st.lists(st.tuples(MARKED, TEXT), min_size=1, max_size=8), min_size=1, max_size=4), st.booleans())
def test_every_line_points_at_its_line_of_the_body(hunks: list[list[tuple[str, str]]], git_header: bool) -> None:
    body = ["prose", "---", ""]
    at = 1
    body += (["diff --git a/x.c b/x.c"] if git_header else []) + ["--- a/x.c", "+++ b/x.c"]
    for marked in hunks:
        old, new = (sum(mark != other for mark, _ in marked) for other in "+-")
        body.append(f"@@ -{at},{old} +{at},{new} @@")
        body += [mark + text for mark, text in marked]
        at += 100
    body += ["-- ", "2.39.5"]
    files, unreadable = read_diff(body)
    assert unreadable == ()
    check_places(files, body)
    assert [[line.kind + line.text for line in hunk.lines] for hunk in files[0].hunks] == [
        [mark + text for mark, text in marked] for marked in hunks
    ]


@given(st.lists(st.sampled_from((BEFORE + TWO + PLAIN + FIRST + LAST + AFTER + "x\n\n-- \n").split("\n")), max_size=40))
def test_whatever_is_broken_no_line_is_made_up(body: list[str]) -> None:
    files, unreadable = read_diff(body)
    seen = []
    for line in (line for file in files for hunk in file.hunks for line in hunk.lines):
        assert body[line.message_line - 1][1:] == line.text
        seen.append(line.message_line)
    assert len(seen) == len(set(seen))
    for broken in unreadable:
        assert body[broken.message_line - 1] == broken.text


# -- large and hostile input ----------------------------------------------------------------------


def test_ten_thousand_hunks_and_five_megabytes_are_read() -> None:
    many = "".join(f"@@ -{n},2 +{n},3 @@\n a\n+new\n b\n" for n in range(1, 100_000, 10))
    (file,) = good("--- a/x.c\n+++ b/x.c\n" + many)
    assert len(file.hunks) == 10_000
    (file,) = good("--- /dev/null\n+++ b/x.c\n@@ -0,0 +1,100000 @@\n" + ("+" + "x" * 51 + "\n") * 100_000)
    assert len(file.hunks[0].lines) == 100_000


# most of these once took time that grows with the square of the size, or with its cube
HOSTILE: dict[str, Callable[[int], str]] = {
    "a binary file's names": lambda n: "diff --git a/x b/x\nBinary files " + " and a" * n,
    "garbage before a hunk": lambda n: TWO + "foo\n" * n + "@@ -1,3 +1,3 @@\n>b",
    "garbage behind a hunk": lambda n: TWO + "@@ -1,3 +1,3 @@\n" + "foo\n" * n,
    "broken headers": lambda n: TWO + "@@ -x\nfoo\n" * n + "@@ -1,3 +1,3 @@\n-a\n>b",
    "broken hunks": lambda n: TWO + "@@ -1,3 +1,3 @@\n-a\n>b\n" * n,
    "broken files": lambda n: (TWO + "@@ -1,3 +1,3 @@\n-a\n>b\n") * (n // 4),
    "hunks without a file": lambda n: "@@ -1 +1 @@\n-a\n+b\n" * n,
    "spaces in a name": lambda n: "diff --git " + "a/x b/x " * n,
    "dashes": lambda n: "---" + " " * n + "x\n" + "--- a\n" * n,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_time_grows_no_faster_than_a_diff_that_means_harm(name: str) -> None:
    small, large = (HOSTILE[name](n).split("\n") for n in (2_000, 16_000))
    # eight times the size: sixty-four times the time if it were quadratic; the 10 ms are for the clock
    assert seconds(lambda: read_diff(large)) < 24 * (seconds(lambda: read_diff(small)) + 0.01)


# -- real mail ------------------------------------------------------------------------------------


def test_every_diff_of_the_archive_is_read_and_what_is_unreadable_is_so_for_git(
    corpus_archive: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    git(tmp_path, "init", "-q")
    diffs = 0
    broken: list[tuple[str, bytes, tuple[Unreadable, ...]]] = []
    drafts: list[tuple[str, bytes, tuple[Unreadable, ...]]] = []
    for name, raw in EpochSource(corpus_archive).mails():
        mail: Mail = parse_patch(raw, name)
        if not has_diff(mail):
            continue
        diffs += 1
        patch = make_patch(mail, 1)
        if patch.unreadable:
            (drafts if patch.reply else broken).append((name, raw, patch.unreadable))
    record_property("unreadable", [(name, why) for name, _, why in (*broken, *drafts)])
    assert diffs > 2000
    assert [name for name, raw, _ in broken if numstat(tmp_path, raw) is not None] == []
    # a discussion's drafts are wrapped, quoted and cut; a submission hardly ever is
    assert len(broken) <= diffs / 500
