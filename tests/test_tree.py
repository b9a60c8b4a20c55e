# SPDX-License-Identifier: GPL-2.0-or-later
"""reviewbot.tree and --tree, against real git: what patches make of files, which base is found, what falls back."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mails import mail

from reviewbot import git as git_module
from reviewbot import tree as tree_module
from reviewbot.cli import main
from reviewbot.git import GitError
from reviewbot.mail import local_series, make_patch
from reviewbot.mime import parse_mail, parse_patch
from reviewbot.model import Applied, BaseHow, InputError, Patch, Series
from reviewbot.tree import Files, Tree, apply_hunks, blob_ids, read_facts

DATA = Path(__file__).parent / "data"
EXAMPLE = DATA / "example.mbox"
EXAMPLE_ID = "20260914081200.1234-1-mara@example.org"
EXAMPLE_BASE = "95164ef62e052abc6545a54129ed9ff1f4037724"
DATE = "2024-11-19T12:00:00+0000"  # the day before the mails of tests/mails.py

LINES = "".join(f"\tline({n});\n" for n in range(1, 41))
MAKEFILE = "# SPDX-License-Identifier: GPL-2.0\nVERSION = 6\nPATCHLEVEL = 9\nSUBLEVEL = 0\nEXTRAVERSION = -rc3\n"


class Repo:
    """A repository with a work tree, and what was posted from it."""

    def __init__(self, where: Path, *options: str) -> None:
        self.path = where
        where.mkdir(parents=True)
        self.git("init", "-q", "-b", "main", *options)

    def git(self, *words: str, given: bytes | None = None, **variables: str) -> str:
        return self.raw(*words, given=given, **variables).decode().strip()

    def raw(self, *words: str, given: bytes | None = None, **variables: str) -> bytes:
        who = {f"GIT_{role}_{what}": text for role in ("AUTHOR", "COMMITTER") for what, text in WHO.items()}
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.path), **who, **variables}
        quiet = ("-c", "gc.auto=0", "-c", "protocol.file.allow=always", "-c", "safe.directory=*")
        command = ["git", *quiet, *words]
        return subprocess.run(
            command, cwd=self.path, env=environment, input=given, capture_output=True, check=True
        ).stdout

    def write(self, files: dict[str, str | bytes | None]) -> None:
        for name, text in files.items():
            file = self.path / name
            if text is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode() if isinstance(text, str) else text)

    def commit(self, files: dict[str, str | bytes | None], title: str = "mm: step", date: str = DATE) -> str:
        """Its hash."""
        self.write(files)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", title, GIT_AUTHOR_DATE=date, GIT_COMMITTER_DATE=date)
        return self.git("rev-parse", "HEAD")

    def post(self, since: str, *options: str, date: str = "Wed, 20 Nov 2024 10:00:00 +0000") -> Series:
        """The commits since another as a series."""
        count = int(self.git("rev-list", "--count", f"{since}..HEAD"))
        raws = []
        for n in range(count):
            end = f"HEAD~{count - 1 - n}"
            raw = self.raw("format-patch", "--stdout", "-M", *options, f"{end}~1..{end}")
            numbered = raw.replace(b"Subject: [PATCH] ", b"Subject: [PATCH %d/%d] " % (n + 1, count))
            raws.append(re.sub(rb"(?m)^Date: .*$", b"Date: " + date.encode(), numbered, count=1))
        (series,) = local_series([parse_mail(raw) for raw in raws])
        return series

    def blob(self, commit: str, path: str | None) -> bytes | None:
        return self.raw("cat-file", "blob", f"{commit}:{path}") if path else None


WHO = {"NAME": "Ada Ranger", "EMAIL": "ada@example.org", "DATE": DATE}


@pytest.fixture(autouse=True)
def no_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of whoever runs the tests is read."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """One commit: two files of forty lines and a Makefile of 6.9-rc3."""
    made = Repo(tmp_path / "linux")
    made.commit({"mm/a.c": LINES, "mm/b.c": LINES.replace("line", "row"), "Makefile": MAKEFILE}, "base")
    return made


def all_of(tree: Tree, commit: str, series: Series) -> tuple[Files, list[Applied]]:
    files = tree.files(commit)
    return files, [files.apply(patch) for patch in series.patches]


def patch_of(diff: str, subject: str = "[PATCH] mm: x", message_id: str = "1@x") -> Patch:
    return make_patch(parse_mail(mail(subject, f"Do it.\n---\n\n{diff}-- \n2.39.5\n", message_id)), 1)


def apply_one(repo: Repo, diff: str) -> tuple[Files, Applied]:
    """A diff on top of HEAD."""
    with Tree.open(str(repo.path)) as tree:
        files = tree.files(repo.git("rev-parse", "HEAD"))
        return files, files.apply(patch_of(diff))


def change(path: str, *, old: str = "line(20)", new: str = "better(20)", at: int = 19) -> str:
    """A diff of one line in the middle of LINES."""
    name = old.partition("(")[0]
    return (
        f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -{at},3 +{at},3 @@\n"
        f" \t{name}(19);\n-\t{old};\n+\t{new};\n \t{name}(21);\n"
    )


# -- the files of a patch -------------------------------------------------------------------------


def test_each_patch_gives_what_git_has_before_and_after_it(repo: Repo) -> None:
    base = repo.git("rev-parse", "HEAD")
    latin = LINES.encode().replace(b"line(3)", b"/* M\xfcller */ line(3)")
    crlf = LINES.replace("\n", "\r\n")
    steps: list[dict[str, str | bytes | None]] = [
        {"mm/a.c": LINES.replace("line(9)", "nine(9)"), "mm/new.c": "int x;\n", "mm/latin.c": latin, "mm/crlf.c": crlf},
        {"mm/a.c": "#include <x.h>\n" + LINES, "mm/new.c": "int x;\nint y;", "mm/crlf.c": crlf.replace("9", "nine")},
        {"mm/b.c": None, "mm/c.c": LINES.replace("line", "row").replace("row(30)", "thirty"), "mm/empty.c": ""},
        {"mm/latin.c": latin.replace(b"line(4)", b"line(4) /* gr\xf6\xdfer */"), "mm/new.c": "int x;\nint y;\n"},
        {"mm/c.c": None, "mm/new.c": "int x;\nint z;", "mm/utf8.c": "/* größer, 大 */\n", "mm/empty.c": "int e;\n"},
        {"mm/utf8.c": "/* größer, 大き */\nint u;\n", "mm/empty.c": "", "mm/new.c": None, "a x/c d.c": "int s;\n"},
        {
            "mm/a.c": LINES,
            "mm/c.c": "int c;\n",
            "a x/c d.c": "int s;\nint t;\n",
            "Ü/ö.c": "int ö;\n",
            'q"\\\t.c': "q\n",
        },
    ]
    commits = [repo.commit(files, f"step {n}") for n, files in enumerate(steps)]
    series = repo.post(base)
    with Tree.open(str(repo.path)) as tree:
        files, applied = all_of(tree, base, series)
    assert (files.failures, files.trouble) == ([], None)
    changes = set()
    for patch, found, commit in zip(series.patches, applied, commits, strict=True):
        assert sorted(found.files) == list(range(len(patch.files)))
        for n, whole in found.files.items():
            diff = patch.files[n]
            for text, raw in (
                (whole.before, repo.blob(f"{commit}~1", diff.old_path)),
                (whole.after, repo.blob(commit, diff.new_path)),
            ):
                codec = "latin-1" if diff.path == "mm/latin.c" else "utf-8"
                assert (None if text is None else text.encode(codec)) == raw, diff.path
            assert whole.diff == diff
            changes.add(diff.change)
    assert {str(kind) for kind in changes} == {"modified", "added", "deleted", "renamed"}


def test_a_copy_and_a_swap_are_of_the_files_before_the_patch(repo: Repo) -> None:
    diff = (
        "diff --git a/mm/a.c b/mm/b.c\nsimilarity index 100%\nrename from mm/a.c\nrename to mm/b.c\n"
        "diff --git a/mm/b.c b/mm/a.c\nsimilarity index 100%\nrename from mm/b.c\nrename to mm/a.c\n"
        "diff --git a/mm/a.c b/mm/copy.c\nsimilarity index 90%\ncopy from mm/a.c\ncopy to mm/copy.c\n"
        + change("mm/a.c").split("\n", 1)[1].replace("+++ b/mm/a.c", "+++ b/mm/copy.c")
    )
    files, applied = apply_one(repo, diff)
    assert files.failures == []
    assert applied.files[0].after == LINES
    assert (applied.files[1].after or "").startswith("\trow(1);")
    assert applied.files[2].before == LINES
    assert applied.files[2].after == LINES.replace("line(20)", "better(20)")


def test_a_copy_that_fails_costs_the_copy_and_not_its_source(repo: Repo) -> None:
    repo.commit({"mm/e.c": ""})
    for target in ("mm/b.c", "mm/e.c"):
        copy = f"diff --git a/mm/a.c b/{target}\nsimilarity index 100%\ncopy from mm/a.c\ncopy to {target}\n"
        files, applied = apply_one(repo, copy + change("mm/a.c"))
        assert [str(failure) for failure in files.failures] == [f"{target}: exists already"]
        assert list(applied.files) == [1]


def test_a_name_may_be_given_away_and_taken_again_in_one_patch(repo: Repo) -> None:
    new = "diff --git a/mm/a.c b/mm/a.c\nnew file mode 100644\n--- /dev/null\n+++ b/mm/a.c\n@@ -0,0 +1 @@\n+int a;\n"
    away = "diff --git a/mm/a.c b/mm/z.c\nsimilarity index 100%\nrename from mm/a.c\nrename to mm/z.c\n"
    for diff in (new + away, away + new):
        files, applied = apply_one(repo, diff)
        assert files.failures == []
        assert {whole.after for whole in applied.files.values()} == {LINES, "int a;\n"}
        assert files.apply(patch_of(change("mm/z.c"))).files[0].before == LINES
        added = change("mm/a.c").split("@@")[0] + "@@ -1 +1,2 @@\n int a;\n+int b;\n"
        assert files.apply(patch_of(added)).files[0].after == "int a;\nint b;\n"


def test_a_hunk_that_has_moved_bears_the_numbers_of_where_it_applies(repo: Repo) -> None:
    files, applied = apply_one(repo, change("mm/a.c", at=5) + change("mm/b.c", old="row(20)", at=30))
    assert files.failures == []
    for whole in applied.files.values():
        (hunk,) = whole.diff.hunks
        assert (hunk.old_start, hunk.new_start) == (19, 19)
        assert [(line.old, line.new) for line in hunk.lines] == [(19, 19), (20, None), (None, 20), (21, 21)]
        assert (whole.after or "").split("\n")[19] == "\tbetter(20);"


def test_hunks_in_the_wrong_order_are_put_in_order(repo: Repo) -> None:
    one = "@@ -30,3 +30,4 @@\n \tline(30);\n+\tthirty;\n \tline(31);\n \tline(32);\n"
    two = "@@ -3,3 +3,5 @@\n \tline(3);\n+\tthree;\n+\tthree;\n \tline(4);\n \tline(5);\n"
    files, applied = apply_one(repo, change("mm/a.c").split("@@")[0] + one + two)
    assert files.failures == []
    whole = applied.files[0]
    assert [(hunk.old_start, hunk.new_start) for hunk in whole.diff.hunks] == [(3, 3), (30, 32)]
    after = (whole.after or "").split("\n")
    for line in (line for hunk in whole.diff.hunks for line in hunk.lines if line.new):
        assert after[(line.new or 0) - 1] == line.text


DELETED = "diff --git a/mm/a.c b/mm/a.c\ndeleted file mode 100644\n--- a/mm/a.c\n+++ /dev/null\n"
EMPTY = "diff --git a/mm/e.c b/mm/e.c\nnew file mode 100644\nindex 0000000..e69de29\n"
LINK = (
    "diff --git a/mm/l b/mm/l\nnew file mode 120000\nindex 0000000..1234567\n--- /dev/null\n+++ b/mm/l\n"
    "@@ -0,0 +1 @@\n+../x\n\\ No newline at end of file\n"
)
BINARY = "diff --git a/x.bin b/x.bin\nindex 1234567..89abcde 100644\nBinary files a/x.bin and b/x.bin differ\n"
LITERAL = (
    "diff --git a/y.bin b/y.bin\nnew file mode 100644\nindex 0000000..1234567\nGIT binary patch\nliteral 3\n"
    "Kcmcb~0ssI2\n\nliteral 0\nHcmV?d00001\n\n"
)
SUBMODULE = (
    "diff --git a/sub b/sub\nindex 1234567..89abcde 160000\n--- a/sub\n+++ b/sub\n@@ -1 +1 @@\n"
    "-Subproject commit 1\n+Subproject commit 2\n"
)


@pytest.mark.parametrize(("diff", "had"), [(EMPTY, 1), (LINK, 0), (BINARY, 0), (LITERAL, 0), (SUBMODULE, 0)])
def test_links_submodules_and_binary_files_are_left_out_without_a_word(repo: Repo, diff: str, had: int) -> None:
    files, applied = apply_one(repo, diff)
    assert (len(applied.files), files.failures, files.trouble) == (had, [], None)


@pytest.mark.parametrize(
    ("diff", "why"),
    [
        (change("mm/a.c", old="line(99)"), "mm/a.c, hunk 1 at line 19: does not apply"),
        (change("mm/none.c"), "mm/none.c: is not in the base"),
        (
            "diff --git a/mm/a.c b/mm/a.c\nnew file mode 100644\n--- /dev/null\n+++ b/mm/a.c\n@@ -0,0 +1 @@\n+int a;\n",
            "mm/a.c: exists already",
        ),
        (
            DELETED + "@@ -1,2 +0,0 @@\n-\tline(1);\n-\tline(2);\n",
            "mm/a.c, hunk 1 at line 1: does not apply",
        ),
        (
            change("mm/a.c").split("@@")[0] + "@@ -19,3 +19,3 @@\n \tline(19);\n \tline(20);\n \tline(21);\n",
            "mm/a.c, hunk 1 at line 19: has a hunk without a change",
        ),
        (
            change("mm/a.c").split("@@")[0] + "@@ -19,0 +20 @@\n+\tx;\n",
            "mm/a.c, hunk 1 at line 19: has a hunk without context",
        ),
        (
            change("mm/a.c") + change("mm/a.c", new="best(20)"),
            "mm/a.c, hunk 1 at line 19: does not apply",
        ),
    ],
)
def test_what_does_not_apply_is_named(repo: Repo, diff: str, why: str) -> None:
    files, _ = apply_one(repo, diff)
    assert [str(failure) for failure in files.failures] == [why]
    assert files.failed == 1


def test_what_does_not_apply_costs_only_its_file_and_is_told_once(repo: Repo) -> None:
    files, applied = apply_one(repo, change("mm/a.c", old="line(99)") + change("mm/b.c", old="row(20)"))
    assert list(applied.files) == [1]
    # what the file holds now is not known, so no later patch to it is looked at
    assert files.apply(patch_of(change("mm/a.c"))).files == {}
    assert files.failed == 1
    gone = "diff --git a/mm/a.c b/mm/a.c\ndeleted file mode 100644\nindex 1234567..0000000\n"
    files.apply(patch_of(gone))
    new = "diff --git a/mm/a.c b/mm/a.c\nnew file mode 100644\n--- /dev/null\n+++ b/mm/a.c\n@@ -0,0 +1 @@\n+int a;\n"
    assert files.apply(patch_of(new)).files[0].after == "int a;\n"
    assert files.failed == 1


def test_a_file_whose_diff_cannot_be_read_is_left_out(repo: Repo) -> None:
    broken = change("mm/a.c") + "@@ -30,3 +30,3 @@\n \tline(30);\n wrapped\nline\n"
    files, applied = apply_one(repo, broken + change("mm/b.c", old="row(20)"))
    assert (list(applied.files), files.failures) == ([1], [])


# -- as git apply ---------------------------------------------------------------------------------

# few different lines, so that hunks fit in several places; with CR, Latin-1, UTF-8 and white space
WORDS = st.sampled_from([b"", b"a", b"b", b"\tc", b"{", b"}", b"x\r", b"\xfc\xe9", "ü".encode(), b"d ", b"1", b"2"])
TEXTS = st.tuples(st.lists(WORDS, max_size=30), st.booleans())
EDITS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3), st.lists(WORDS, max_size=3)), max_size=4)


def edited(lines: Sequence[bytes], edits: Sequence[tuple[int, int, list[bytes]]]) -> list[bytes]:
    made = list(lines)
    for at, count, new in edits:
        made[at : at + count] = new
    return made


def joined(lines: Sequence[bytes], ended: bool) -> bytes:
    return b"\n".join(lines) + (b"\n" if ended and lines else b"")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS, EDITS, EDITS, st.booleans(), st.integers(1, 4), st.lists(st.integers(-9, 9), max_size=4), st.booleans())
def test_files_are_byte_by_byte_what_git_apply_makes_of_them(
    bench: Path,
    text: tuple[list[bytes], bool],
    change: list[tuple[int, int, list[bytes]]],
    drift: list[tuple[int, int, list[bytes]]],
    ended: bool,
    context: int,
    shifts: list[int],
    swapped: bool,
) -> None:
    lines, end = text
    old, new, other = joined(lines, end), joined(edited(lines, change), ended), joined(edited(lines, drift), end)
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CEILING_DIRECTORIES": str(bench.parent)}

    def git(*words: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["git", *words], cwd=bench, env=environment, input=data, capture_output=True, check=False)

    (bench / "a").mkdir(exist_ok=True)
    (bench / "b").mkdir(exist_ok=True)
    (bench / "a" / "f").write_bytes(old)
    (bench / "b" / "f").write_bytes(new)
    diff = git("diff", "--no-index", "--no-prefix", "--text", f"-U{context}", "a/f", "b/f").stdout
    head, *hunks = re.split(rb"(?m)^(?=@@ )", diff)
    if not hunks:
        return
    for n, shift in enumerate(shifts[: len(hunks)]):
        start = rb"@@ -(\d+)(.*?) \+(\d+)"
        hunks[n] = re.sub(
            start,
            lambda m, s=shift: b"@@ -%d%s +%d" % (max(int(m[1]) + s, 0), m[2], max(int(m[3]) + s, 0)),
            hunks[n],
            count=1,
        )
    diff = head + b"".join(reversed(hunks) if swapped else hunks)
    file = bench / "f"
    file.write_bytes(other)
    done = git("apply", "--whitespace=nowarn", "-", data=diff)
    wanted = file.read_bytes() if done.returncode == 0 else None
    (fetched,) = [make_patch(parse_patch(diff, "x"), 1)]
    try:
        got, placed = apply_hunks(other, fetched.files[0], fetched.mail)
    except tree_module.Refused as refused:
        got, placed, why = None, None, refused.why
    if placed is None:
        assert wanted is None or "without" in why
        return
    assert got == wanted
    assert got is not None
    before, after = other.split(b"\n"), got.split(b"\n")
    assert placed.hunks == tuple(sorted(placed.hunks, key=lambda hunk: hunk.new_start))
    for line in (line for hunk in placed.hunks for line in hunk.lines):
        raw = {line.text.encode(codec) for codec in ("utf-8", "latin-1")}
        assert line.old is None or before[line.old - 1] in raw
        assert line.new is None or after[line.new - 1] in raw


# -- the base -------------------------------------------------------------------------------------


def found(repo: Repo, series: Series) -> tuple[str | None, str, tuple[str, ...], BaseHow]:
    with Tree.open(str(repo.path)) as tree:
        base = tree.find_base(series)
    assert base.commit is None or base.base.commit == base.commit
    return base.commit, base.said, base.notes, base.base.how


def test_a_declared_base_is_taken_with_the_version_of_its_makefile(repo: Repo) -> None:
    base = repo.git("rev-parse", "HEAD")
    repo.commit({"mm/a.c": LINES.replace("line(9)", "nine(9)")})
    series = repo.post(base, f"--base={base}")
    repo.commit({"mm/a.c": "int rewritten;\n", "Makefile": "VERSION = 7\nPATCHLEVEL = 0\n"})
    with Tree.open(str(repo.path)) as tree:
        base_found = tree.find_base(series)
    assert (base_found.commit, base_found.said, base_found.notes) == (base, "declared", ())
    assert (base_found.base.version, base_found.base.version_how) == ((6, 9), BaseHow.TREE)
    short = series._replace(base=series.base._replace(commit=base[:12]))
    assert found(repo, short)[0] == base


def test_without_a_kernels_makefile_the_version_is_what_the_mails_say(repo: Repo) -> None:
    base = repo.commit({"Makefile": "all:\n"})
    repo.commit({"mm/a.c": LINES.replace("line(9)", "nine(9)")})
    with Tree.open(str(repo.path)) as tree:
        base_found = tree.find_base(repo.post(base, f"--base={base}")).base
    assert (base_found.version, base_found.how, base_found.version_how) == ((6, 12), BaseHow.DECLARED, BaseHow.DATE)


def test_a_base_is_found_by_the_blob_ids_of_the_index_lines(repo: Repo) -> None:
    base = repo.git("rev-parse", "HEAD")
    repo.commit({"mm/a.c": LINES.replace("line(9)", "nine(9)")})
    repo.commit({"mm/a.c": LINES.replace("line(9)", "ten(10)"), "mm/b.c": "int b;\n"})
    series = repo.post(base)
    assert list(blob_ids(series.patches)) == ["mm/a.c", "mm/b.c"]
    repo.git("reset", "-q", "--hard", base)
    assert found(repo, series) == (base, "2 of 2 blob ids", (), BaseHow.BLOBS)
    # both files changed since, one of them before the series was sent
    repo.commit({"mm/a.c": "int new;\n"}, date="2024-11-20T08:00:00+0000")
    repo.commit({"mm/b.c": "int new;\n"}, date="2024-12-24T12:00:00+0000")
    assert found(repo, series) == (base, "2 of 2 blob ids", (), BaseHow.BLOBS)


@pytest.mark.parametrize("date", ["Fri, 31 Dec 9999 23:00:00 +0000", "Mon, 1 Jan 0001 01:00:00 +0000", "never"])
def test_an_impossible_date_only_ends_the_search(repo: Repo, date: str) -> None:
    base = repo.git("rev-parse", "HEAD")
    repo.commit({"mm/a.c": LINES.replace("line(9)", "nine(9)")})
    series = repo.post(base, date=date)
    head = repo.commit({"mm/a.c": "// new\n" + LINES})
    assert found(repo, series) == (head, "HEAD", (), BaseHow.HEAD)


def test_a_base_on_another_branch_is_found(repo: Repo) -> None:
    repo.git("checkout", "-q", "-b", "topic")
    topic = repo.commit({"mm/a.c": "int topic;\nint b;\n"})
    repo.commit({"mm/a.c": "int topic;\nint c;\n"})
    series = repo.post(topic)
    repo.git("reset", "-q", "--hard", topic)
    repo.git("checkout", "-q", "main")
    assert found(repo, series) == (topic, "1 of 1 blob ids", (), BaseHow.BLOBS)


def test_head_is_the_base_where_the_series_applies_to_it(repo: Repo) -> None:
    head = repo.git("rev-parse", "HEAD")
    (series,) = local_series([parse_mail(mail("[PATCH] x", f"x\n---\n{change('mm/a.c')}", "1@x"))])
    assert found(repo, series) == (head, "HEAD", (), BaseHow.HEAD)
    (other,) = local_series([parse_mail(mail("[PATCH] x", f"x\n---\n{change('fs/a.c')}", "1@x"))])
    with Tree.open(str(repo.path)) as tree:
        base = tree.find_base(other)
    assert (base.commit, base.base) == (None, other.base)
    (note,) = base.notes
    assert note.startswith(f"the series does not apply to the HEAD of '{repo.path}' (patch 1/1, fs/a.c")
    assert note.endswith("), and no other base is known")


def test_a_declared_base_that_is_not_there_is_told(repo: Repo) -> None:
    head = repo.git("rev-parse", "HEAD")
    repo.commit({"mm/a.c": LINES.replace("line(9)", "nine(9)")})
    series = repo.post(head)
    series = series._replace(base=series.base._replace(commit="0123456789abcdef" * 2 + "01234567"))
    repo.git("reset", "-q", "--hard", head)
    note = f"base commit 0123456789ab is not in '{repo.path}'"
    assert found(repo, series) == (head, "1 of 1 blob ids", (note,), BaseHow.BLOBS)


def test_the_search_for_the_base_of_a_hundred_thousand_files_is_bounded(repo: Repo) -> None:
    for n in range(30):
        repo.commit({"mm/a.c": f"int a{n % 2};\n"})
    index = f"index {repo.git('rev-parse', 'HEAD:mm/a.c')[:12]}..123456789abc 100644\n"
    diff = "".join(
        f"diff --git a/d/{n} b/d/{n}\n{index}--- a/d/{n}\n+++ b/d/{n}\n@@ -1 +1 @@\n-a\n+b\n" for n in range(20_000)
    )
    (series,) = local_series([parse_mail(mail("[PATCH] x", f"x\n---\n{diff}", "1@x"))])
    start = time.process_time()
    assert found(repo, series)[0] is None
    assert time.process_time() - start < 4


def test_a_tag_or_a_blob_is_no_commit(repo: Repo) -> None:
    blob = repo.git("rev-parse", "HEAD:mm/a.c")
    with Tree.open(str(repo.path)) as tree:
        assert tree.commit(blob) is None
        assert tree.commit("HEAD") is None  # of a mail nothing but hashes is looked up
        assert tree.commit("0000") is None
        assert tree.commit("--all") is None


def test_prerequisites_that_the_base_lacks_are_told(repo: Repo) -> None:
    base = repo.git("rev-parse", "HEAD")
    ready = repo.commit({"mm/a.c": LINES.replace("line(20)", "prepared(20)")})
    repo.commit({"mm/a.c": LINES.replace("line(20)", "used(20)")})
    series = repo.post(ready, f"--base={base}")
    assert (series.base.commit, len(series.prerequisites)) == (base, 1)
    # the tree has them: what the index lines say is better than the base
    commit, said, notes, _ = found(repo, series)
    assert (commit, said) == (ready, "1 of 1 blob ids")
    assert notes == (f"base commit {base[:12]} lacks the 1 prerequisite patch of the series",)
    repo.git("reset", "-q", "--hard", base)
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("gc", "-q", "--prune=now")
    commit, said, notes, _ = found(repo, series)
    assert (commit, said) == (base, "declared")
    assert notes == ("the 1 prerequisite patch that the series wants on its base cannot be had",)


def test_a_repository_without_a_commit_gives_no_base(tmp_path: Path) -> None:
    empty = Repo(tmp_path / "empty")
    (series,) = local_series([parse_mail(mail("[PATCH] x", f"x\n---\n{change('mm/a.c')}", "1@x"))])
    commit, _, notes, _ = found(empty, series)
    assert commit is None
    assert notes[-1].startswith(f"the series does not apply to '{empty.path}', which has no commit")


# -- facts ----------------------------------------------------------------------------------------

MM_H = """\
#define FOLL_OLD 0x04 /* an old way */
#define VM_X\t0x1
struct vm_area_struct *find_vma(struct mm_struct *mm, unsigned long addr);
static inline int
mm_next(struct mm_struct *mm)
{
	return inner(mm);
}
static inline void one_line(void) { other(); }
"""
INTERNAL_H = """\
enum {
	/* mark page accessed */
	FOLL_TOUCH = 1 << 16,
	FOLL_PIN = 1 << 19,
};
"""


def test_facts_come_from_the_headers_and_what_the_series_makes_of_them(repo: Repo) -> None:
    base = repo.commit({"include/linux/mm.h": MM_H, "mm/internal.h": INTERNAL_H})
    added = INTERNAL_H.replace("\tFOLL_PIN", "\tFOLL_NEW = BIT(17),\n\tFOLL_PIN")
    repo.commit({"mm/internal.h": added})
    repo.commit({"include/linux/mmap_lock.h": "void mmap_read_lock_twice(struct mm_struct *mm);\n"})
    repo.commit({"mm/internal.h": None})
    with Tree.open(str(repo.path)) as tree:
        _, applied = all_of(tree, base, repo.post(base))
    first, second, last = (found.facts for found in applied)
    assert first
    assert second
    assert last
    assert first.foll == {"FOLL_OLD": 2, "FOLL_TOUCH": 16, "FOLL_PIN": 19, "FOLL_NEW": 17}
    assert first.internal == {"FOLL_TOUCH", "FOLL_PIN", "FOLL_NEW"}
    assert first.names == {"FOLL_OLD", "VM_X", "find_vma", "mm_next", "one_line"}
    assert second.names == {*first.names, "mmap_read_lock_twice"}
    assert (last.internal, last.foll) == (frozenset(), {"FOLL_OLD": 2})


def test_a_tree_without_the_headers_has_no_facts(repo: Repo) -> None:
    assert apply_one(repo, change("mm/a.c"))[1].facts is None


@pytest.mark.parametrize("text", ["x" * 500_000, "x " * 250_000, "x" + " " * 500_000, "FOLL_" + "x" * 500_000])
def test_facts_of_a_hostile_header_take_no_time(text: str) -> None:
    start = time.process_time()
    read_facts(text)
    read_facts(f"#define {text}")
    read_facts(f"FOLL_X {text}")
    assert time.process_time() - start < 1


# -- a tree that is none --------------------------------------------------------------------------


def opened(directory: Path) -> str:
    with pytest.raises(InputError) as error:
        Tree.open(str(directory))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_is_no_repository_is_told_in_gits_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "plain").mkdir()
    (tmp_path / "file").write_text("x")
    assert opened(tmp_path / "none") == f"cannot open tree '{tmp_path}/none': no such file or directory"
    assert opened(tmp_path / "file") == f"cannot open tree '{tmp_path}/file': not a directory"
    assert opened(tmp_path / "plain").startswith(f"cannot open tree '{tmp_path}/plain': not a git repository")


def test_without_git_that_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "cannot run git" in opened(tmp_path)


def test_a_repository_of_somebody_else_is_told_in_gits_words(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    if os.geteuid() == 0:
        os.chown(repo.path, 12345, 12345)
    else:
        pytest.skip("only root can give a directory away")
    assert "detected dubious ownership in repository" in opened(repo.path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(repo.path / "mine"))
    (repo.path / "mine").write_text("[safe]\n\tdirectory = *\n")
    Tree.open(str(repo.path)).close()


def test_git_variables_of_the_caller_do_not_count(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Repo(tmp_path / "other")
    other.commit({"x": "y"})
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.path))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(other.path / ".git" / "objects"))
    with Tree.open(str(repo.path)) as tree:
        assert tree.commit(repo.git("rev-parse", "HEAD"))


def copies(repo: Repo, tmp_path: Path) -> dict[str, Path]:
    """The same repository in other shapes."""
    made = {name: tmp_path / name for name in ("bare", "worktree", "shallow", "inside")}
    repo.git("clone", "-q", "--bare", str(repo.path), str(made["bare"]))
    repo.git("worktree", "add", "-q", "--detach", str(made["worktree"]))
    repo.git("clone", "-q", "--depth=1", f"file://{repo.path}", str(made["shallow"]))
    made["inside"] = repo.path / "mm"
    made["git"] = repo.path / ".git"
    return made


def test_bare_worktree_shallow_and_a_directory_inside_are_trees(repo: Repo, tmp_path: Path) -> None:
    head = repo.git("rev-parse", "HEAD")
    for path in copies(repo, tmp_path).values():
        with Tree.open(str(path)) as tree:
            assert tree.read(head, "mm/a.c") == LINES.encode()


def test_a_shallow_clone_without_the_base_says_that_it_is_one(repo: Repo, tmp_path: Path) -> None:
    base = repo.git("rev-parse", "HEAD")
    repo.commit({"mm/a.c": "int a;\n"})
    repo.commit({"mm/a.c": "int a;\nint b;\n", "fs/x.c": "int x;\n"})
    series = repo.post(base, f"--base={base}")
    shallow = copies(repo, tmp_path)["shallow"]
    with Tree.open(str(shallow)) as tree:
        base_found = tree.find_base(series)
    assert base_found.commit is None
    assert base_found.notes[0] == f"base commit {base[:12]} is not in '{shallow}', which is a shallow clone"


def test_a_sha256_repository_is_a_tree(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "sha256", "--object-format=sha256")
    base = repo.commit({"mm/a.c": LINES, "mm/d/e.c": LINES})
    repo.commit({"mm/a.c": LINES.replace("line(9)", "nine(9)"), "mm/d/e.c": LINES + "x\n", "mm/new.c": ""})
    series = repo.post(base, f"--base={base}")
    with Tree.open(str(repo.path)) as tree:
        assert tree.find_base(series).commit == base
        files, (applied,) = all_of(tree, base, series)
    assert (len(applied.files), files.failures) == (3, [])


def test_a_partial_clone_fetches_nothing(repo: Repo, tmp_path: Path) -> None:
    head = repo.git("rev-parse", "HEAD")
    repo.git("config", "uploadpack.allowFilter", "true")
    repo.git("clone", "-q", "--bare", "--filter=blob:none", f"file://{repo.path}", str(tmp_path / "partial"))
    with Tree.open(str(tmp_path / "partial")) as tree:
        files = tree.files(head)
        assert files.apply(patch_of(change("mm/a.c"))).files == {}
    assert [str(failure) for failure in files.failures] == ["mm/a.c: is too large or cannot be read"]


def loose(repo: Repo, name: str) -> Path:
    return repo.path / ".git" / "objects" / name[:2] / name[2:]


def spoil(file: Path) -> None:
    file.chmod(0o644)
    file.write_bytes(b"not an object")


def test_a_broken_blob_costs_only_its_file(repo: Repo) -> None:
    spoil(loose(repo, repo.git("rev-parse", "HEAD:mm/a.c")))
    files, applied = apply_one(repo, change("mm/a.c") + change("mm/b.c", old="row(20)"))
    assert [str(failure) for failure in files.failures] == ["mm/a.c: is too large or cannot be read"]
    assert (list(applied.files), files.trouble) == ([1], None)


def test_a_broken_tree_is_one_line_and_the_end_of_the_files(repo: Repo) -> None:
    spoil(loose(repo, repo.git("rev-parse", "HEAD:mm")))
    files, applied = apply_one(repo, change("mm/a.c"))
    assert applied == Applied({}, None)
    assert files.trouble
    assert files.trouble.startswith(f"cannot read tree '{repo.path}': ")
    assert "\n" not in files.trouble


def test_git_may_be_ended_in_between(repo: Repo) -> None:
    head = repo.git("rev-parse", "HEAD")
    with Tree.open(str(repo.path)) as tree:
        process = tree._objects._process
        assert process
        process.kill()
        process.wait()
        # what was asked for is lost, the rest is not
        assert tree.commit(head) is None
        assert tree.read(head, "mm/a.c") == LINES.encode()


def test_a_git_that_ends_again_and_again_is_given_up(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = repo.git("rev-parse", "HEAD")
    with Tree.open(str(repo.path)) as tree:
        tree._objects._stop()
        (tmp_path / "bin").mkdir()
        fake = tmp_path / "bin" / "git"
        fake.write_text("#!/bin/sh\necho 'fatal: out of sorts' >&2\necho 'more' >&2\nexit 128\n")
        fake.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
        for _ in range(git_module._RESTARTS - 1):
            assert tree.commit(head) is None
        with pytest.raises(GitError, match=f"^cannot read tree '{re.escape(str(repo.path))}': out of sorts$"):
            tree.commit(head)


def test_nothing_of_a_tree_is_written(repo: Repo, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch '{mark}'\n")
    script.chmod(0o755)
    for hook in ("post-checkout", "post-index-change", "reference-transaction", "fsmonitor-watchman"):
        (repo.path / ".git" / "hooks" / hook).write_text(script.read_text())
        (repo.path / ".git" / "hooks" / hook).chmod(0o755)
    for key in ("core.fsmonitor", "diff.external", "diff.c.textconv", "core.pager", "core.sshCommand"):
        repo.git("config", key, str(script))
    repo.write({".gitattributes": "*.c diff=c\n"})
    base = repo.commit({"mm/a.c": "int other;\n"})
    mark.unlink(missing_ok=True)
    repo.write({"mm/a.c": "not committed\n", "mm/untracked.c": "int x;\n"})
    (repo.path / ".git" / "index.lock").write_text("")

    def snapshot() -> dict[str, tuple[int, int]]:
        every = [path for path in repo.path.rglob("*") if path.is_file()]
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in every}

    before = snapshot()
    index = f"index {repo.git('rev-parse', 'HEAD~1:mm/a.c')[:12]}..123456789abc 100644\n"
    diff = change("mm/a.c").replace("--- a/", f"{index}--- a/")
    (series,) = local_series([parse_mail(mail("[PATCH] x", f"x\n---\n{diff}", "1@x"))])
    with Tree.open(str(repo.path)) as tree:
        base_found = tree.find_base(series)
        assert base_found.commit == repo.git("rev-parse", f"{base}~1")
        files, _ = all_of(tree, base_found.commit, series)
    assert files.failures == []
    assert snapshot() == before
    assert not mark.exists()


# -- hostile patches ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "../outside.c",
        "mm/../mm/a.c",
        "/etc/passwd",
        "./mm/a.c",
        "mm//a.c",
        "mm",
        "mm/a.c/b",
        ".git/config",
        "--all",
        "HEAD",
        "\udcff",
        "x" * 10_000,
        "a/" * 10_000,
    ],
)
def test_a_path_is_nothing_but_names_in_the_base(repo: Repo, path: str) -> None:
    (repo.path.parent / "outside.c").write_text(LINES)
    patch = patch_of(change("mm/a.c"))
    (diff,) = patch.files
    odd = patch._replace(files=(diff._replace(old_path=path, new_path=path),))
    with Tree.open(str(repo.path)) as tree:
        files = tree.files(repo.git("rev-parse", "HEAD"))
        assert files.apply(odd).files == {}
        assert files.trouble is None
        # and git is still where it was
        assert len(files.apply(patch).files) == 1


def test_a_path_with_a_line_feed_reaches_nobody(repo: Repo) -> None:
    secret = repo.git("rev-parse", "HEAD:mm/b.c")
    odd = change("mm/a.c").replace("mm/a.c", f'"mm/a.c\\n{secret}\\n"'.strip('"'))
    quoted = (
        odd.replace(" a/mm", ' "a/mm')
        .replace(" b/mm", ' "b/mm')
        .replace("\\n b/", '\\n" b/')
        .replace("\\n\n", '\\n"\n')
    )
    files, applied = apply_one(repo, quoted)
    assert (applied.files, files.trouble) == ({}, None)


def test_ten_thousand_hunks_and_a_hundred_thousand_files_take_linear_time(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"\tcall({n});" for n in range(100_000)]
    head = repo.commit({"mm/big.c": "\n".join(lines) + "\n"})
    hunks = "".join(
        f"@@ -{n + 1},3 +{n + 1 + n // 10},4 @@\n {lines[n]}\n+\tnew({n});\n {lines[n + 1]}\n {lines[n + 2]}\n"
        for n in range(0, 99_990, 10)
    )
    many = "".join(
        f"diff --git a/d/{n} b/d/{n}\n--- a/d/{n}\n+++ b/d/{n}\n@@ -1 +1 @@\n-a\n+b\n" for n in range(20_000)
    )
    with Tree.open(str(repo.path)) as tree:
        for diff, most in ((change("mm/big.c").split("@@")[0] + hunks, 4), (many, 6)):
            patch = patch_of(diff)
            files = tree.files(head)
            start = time.process_time()
            applied = files.apply(patch)
            assert time.process_time() - start < most
            if diff is many:
                assert (files.failed, len(files.failures), applied.files) == (20_000, tree_module.MAX_TOLD, {})
            else:
                assert files.failures == []
                assert (applied.files[0].after or "").count("new(") == 9_999


@pytest.mark.parametrize("backwards", [False, True])
def test_hunks_that_are_far_off_are_not_searched_for_without_end(repo: Repo, backwards: bool) -> None:
    count = 60_000
    head = repo.commit({"mm/big.c": "\tx();\n" * count + "".join(f"\tcall({n});\n" for n in range(30_000))})
    numbers = range(0, 29_990, 5)
    hunks = "".join(
        f"@@ -{count + n + 1 if backwards else 5},3 +{count + n + 1 if backwards else 5},4 @@\n"
        f" \tcall({n});\n+\tnew({n});\n \tcall({n + 1});\n \tcall({n + 2});\n"
        for n in (reversed(numbers) if backwards else numbers)
    )
    with Tree.open(str(repo.path)) as tree:
        files = tree.files(head)
        patch = patch_of(change("mm/big.c").split("@@")[0] + hunks)
        start = time.process_time()
        files.apply(patch)
        assert time.process_time() - start < 10
    assert [failure.why for failure in files.failures] == [tree_module._TOO_FAR]


def test_a_giant_file_is_not_kept(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_module, "MAX_FILE", 1000)
    repo.commit({"mm/a.c": LINES + "\tmore();\n" * 1000, "mm/c.c": "int a;\n"})
    small = "diff --git a/mm/c.c b/mm/c.c\n--- a/mm/c.c\n+++ b/mm/c.c\n@@ -1 +1 @@\n-int a;\n+int b;\n"
    files, applied = apply_one(repo, change("mm/a.c") + small)
    assert [str(failure) for failure in files.failures] == ["mm/a.c: is too large or cannot be read"]
    assert applied.files[1].after == "int b;\n"


def test_what_is_kept_has_a_bound(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_module, "MAX_TEXT", 3 * len(LINES))
    files, applied = apply_one(repo, change("mm/a.c") + change("mm/b.c", old="row(20)"))
    assert list(applied.files) == [0]
    assert [str(failure) for failure in files.failures] == ["mm/b.c: too much to keep in memory"]


# -- the commands ---------------------------------------------------------------------------------


class Run(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    """Call main() with arguments."""

    def call(*arguments: str | Path) -> Run:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        return Run(code, *capfd.readouterr())

    return call


@pytest.fixture(scope="module")
def lumen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree that the example series is for."""
    repo = Repo(tmp_path_factory.mktemp("example") / "lumen")
    who = {"GIT_COMMITTER_NAME": "Mara Lindqvist", "GIT_COMMITTER_EMAIL": "mara@example.org"}
    repo.raw("am", "-q", "--committer-date-is-author-date", str(DATA / "example-base.patch"), given=None, **who)
    assert repo.git("rev-parse", "HEAD") == EXAMPLE_BASE
    return repo.path


def test_the_example_is_reviewed_on_its_base(run: Any, lumen: Path) -> None:
    code, out, err = run("lore", EXAMPLE_ID, "-m", EXAMPLE, "--tree", lumen, "--format", "json")
    document = json.loads(out)
    assert code == 1
    assert "base: commit 95164ef62e05 (declared), taken for v7.1 (by date, the commit alone does not tell)\n" in err
    assert "does not apply" not in err
    base = document["series"]["base"]
    assert (base["commit"], base["how"], base["version_how"], base["tree"]) == (EXAMPLE_BASE, "declared", "date", True)
    assert not [entry for entry in document["not_run"] if entry["rule"].startswith("reviewbot/")]


def test_every_file_of_the_example_is_had(lumen: Path) -> None:
    from reviewbot.series import build_series
    from reviewbot.source.mbox import MboxSource

    series = build_series([raw for _, raw in MboxSource(str(EXAMPLE)).mails()], EXAMPLE_ID)
    with Tree.open(str(lumen)) as tree:
        files, applied = all_of(tree, tree.find_base(series).commit or "", series)
    assert files.failures == []
    assert [len(found.files) for found in applied] == [len(patch.files) for patch in series.patches]


def test_what_the_example_has_to_show_is_shown_on_its_base_too(run: Any, lumen: Path) -> None:
    def shown(*more: str | Path) -> set[tuple[str, str, int]]:
        out = run("lore", EXAMPLE_ID, "-m", EXAMPLE, "-q", "--format", "json", *more).out
        return {
            (found["rule"], found["location"]["path"], found["location"]["line"])
            for found in json.loads(out)["findings"]
            if found["shown"]
        }

    assert shown() <= shown("--tree", lumen)


def test_check_and_reply_take_a_tree_too_and_so_does_the_configuration(run: Any, repo: Repo, tmp_path: Path) -> None:
    head = repo.git("rev-parse", "HEAD")
    file = tmp_path / "x.patch"
    file.write_bytes(mail("[PATCH] mm: x", f"x\n---\n{change('mm/a.c')}\nbase-commit: {head}\n", "1@x"))
    line = f"base: commit {head[:12]} (declared), v6.9 (its Makefile)\n"
    assert run("check", file, "--tree", repo.path) == Run(0, "", line)
    config = tmp_path / "config.toml"
    config.write_text(f"tree = '{repo.path}'\n")
    assert run("check", file, "--config", config) == Run(0, "", line)
    assert run("check", file, "--config", config, "--tree", "") == Run(0, "", "")
    assert line in run("reply", "1@x", "-m", file, "--tree", repo.path).err
    assert run("check", file, "--tree", repo.path, "-q") == Run(0, "", "")


def test_what_does_not_apply_is_said_and_in_the_json(run: Any, repo: Repo, tmp_path: Path) -> None:
    head = repo.git("rev-parse", "HEAD")
    file = tmp_path / "x.patch"
    diff = change("mm/a.c", old="line(99)") + change("mm/b.c", old="row(20)")
    file.write_bytes(mail("[PATCH] mm: x", f"x\n---\n{diff}\nbase-commit: {head}\n", "1@x"))
    code, out, err = run("check", file, "--tree", repo.path, "--format", "json")
    said = "patch 1/1, mm/a.c, hunk 1 at line 19: does not apply"
    assert code == 0
    assert f"warning: {said}: the diff alone is reviewed there\n" in err
    assert {"rule": "reviewbot/does-not-apply", "why": said} in json.loads(out)["not_run"]


def test_of_many_files_that_do_not_apply_the_first_are_said(run: Any, repo: Repo, tmp_path: Path) -> None:
    head = repo.git("rev-parse", "HEAD")
    file = tmp_path / "x.patch"
    diff = "".join(change(f"mm/x{n}.c") for n in range(200))
    file.write_bytes(mail("[PATCH] mm: x", f"x\n---\n{diff}\nbase-commit: {head}\n", "1@x"))
    _, out, err = run("check", file, "--tree", repo.path, "--format", "json")
    assert len(err.splitlines()) == 12
    assert err.splitlines()[-1] == "warning: so it is with 190 more files"
    assert len([entry for entry in json.loads(out)["not_run"] if "does-not-apply" in entry["rule"]]) == 101


def test_a_tree_that_cannot_be_used_changes_nothing_but_a_line_on_stderr(
    run: Any, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "plain").mkdir()
    alone = run("lore", EXAMPLE_ID, "-m", EXAMPLE)
    for name, said in (
        ("none", f"cannot open tree '{tmp_path}/none': no such file or directory"),
        ("plain", f"cannot open tree '{tmp_path}/plain': not a git repository"),
        ("linux", f"base commit {EXAMPLE_BASE[:12]} is not in '{repo.path}'; the series does not apply to the HEAD of"),
    ):
        code, out, err = run("lore", EXAMPLE_ID, "-m", EXAMPLE, "--tree", tmp_path / name)
        assert (code, out) == (alone.code, alone.out)
        more = [line for line in err.splitlines() if line not in alone.err.splitlines()]
        assert len(more) == 1, more
        assert more[0].startswith(f"warning: {said}")
        assert more[0].endswith(": the diff alone is reviewed")
    document = json.loads(run("lore", EXAMPLE_ID, "-m", EXAMPLE, "--tree", tmp_path / "none", "--format", "json").out)
    assert {entry["rule"] for entry in document["not_run"]} >= {"reviewbot/no-tree"}


def test_a_tree_that_breaks_in_between_is_one_line(run: Any, repo: Repo, tmp_path: Path) -> None:
    head = repo.git("rev-parse", "HEAD")
    spoil(loose(repo, repo.git("rev-parse", "HEAD:mm")))
    file = tmp_path / "x.patch"
    file.write_bytes(mail("[PATCH] mm: x", f"x\n---\n{change('mm/a.c')}\nbase-commit: {head}\n", "1@x"))
    code, out, err = run("check", file, "--tree", repo.path)
    assert (code, out) == (0, "")
    (line,) = [line for line in err.splitlines() if line.startswith("warning: ")]
    assert line.startswith(f"warning: cannot read tree '{repo.path}': ")
    assert line.endswith(": the diff alone is reviewed from there on")


def test_check_with_a_tree_loads_neither_b4_nor_requests(repo: Repo, tmp_path: Path) -> None:
    file = tmp_path / "x.patch"
    file.write_bytes(mail("[PATCH] mm: x", f"x\n---\n{change('mm/a.c')}", "1@x"))
    start = "import sys; from reviewbot.cli import main; code = main(sys.argv[1:]); print(sorted(sys.modules))"
    for more in ([], ["--tree", str(repo.path)]):
        command = [sys.executable, "-c", start, "check", str(file), *more]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        modules = set(re.findall(r"'([\w.]+)'", done.stdout.splitlines()[-1]))
        assert not {module.split(".")[0] for module in modules} & {"b4", "requests", "liblore", "jinja2"}
        assert ("reviewbot.tree" in modules) is bool(more)
