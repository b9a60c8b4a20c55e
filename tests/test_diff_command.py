# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot diff`: which revisions it compares, as mailed and through git range-diff, and what became of findings.

Belongs here: the command on archives of mails made here, and on trees. Matching is test_matching's, finding revisions
test_history's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from git_world import BAD_LINE, GOOD_LINE, World, make_world
from mails import mail, posting

from reviewbot.cli import main
from reviewbot.output.text import harmless

DAY = 24 * 60


def write(path: Path, mails: Sequence[bytes]) -> str:
    path.write_bytes(b"".join(b"From mboxrd@z Thu Jan  1 00:00:00 1970\n" + raw + b"\n" for raw in mails))
    return str(path)


def three(tmp_path: Path) -> str:
    """v1 of two patches, v2 of three (the second changed), v3 of two (the first dropped)."""
    second = posting(3, revision=2, minute=7 * DAY)
    second[2] = second[2].replace(b"range_walk2(range)", b"range_walk2(range, 0)")
    third = [second[0].replace(b"-v2-", b"-v3-").replace(b"v2 0/3", b"v3 0/2").replace(b"27 Nov", b"04 Dec")]
    third += [
        raw.replace(b"-v2-", b"-v3-").replace(b"v2 %d/3" % (n + 1), b"v3 %d/2" % n).replace(b"27 Nov", b"04 Dec")
        for n, raw in enumerate(second[2:], 1)
    ]
    return write(tmp_path / "mails.mbox", [*posting(2), *second, *third])


def heads(out: str) -> list[str]:
    """The lines that name a pair of patches."""
    return re.findall(r"^ *(?:\d+|-): [=!<>] +(?:\d+|-):", out, re.M)


def test_the_revision_named_is_compared_with_the_one_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "-m", three(tmp_path), "walk-v2-2@example.org"]) == 0
    out, err = capsys.readouterr()
    assert heads(out) == ["1: = 1:", "2: ! 2:", "-: > 3:"]
    assert "    -+\tret = range_walk2(range);\n    ++\tret = range_walk2(range, 0);\n" in out
    assert "    @@ mm/walk2.c\n" in out
    assert out.endswith("\nv1 to v2: 1 same, 1 changed, 1 new; findings: none in either\n")
    assert "3 postings known: v1, v2, v3\n" in err
    assert "comparing v1 <walk-v1-0@example.org> (2 patches) with v2 <walk-v2-0@example.org> (3 patches)\n" in err


def test_the_first_revision_is_compared_with_what_became_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", "-m", three(tmp_path), "walk-v1-0@example.org"]) == 0
    assert capsys.readouterr().out.endswith("\nv1 to v2: 1 same, 1 changed, 1 new; findings: none in either\n")


@pytest.mark.parametrize(
    "words",
    [
        ["walk-v1-0@example.org", "-v", "1", "3"],
        ["-v", "v1", "v3", "walk-v1-0@example.org"],
        ["-v", "1", "3", "walk-v2-1@example.org"],
    ],
)
def test_two_revisions_are_named_by_number_in_any_place(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", "-m", three(tmp_path), *words]) == 0
    out = capsys.readouterr().out
    assert heads(out) == ["1: < -:", "2: ! 1:", "-: > 2:"]
    assert out.endswith("\nv1 to v3: 1 changed, 1 new, 1 dropped; findings: none in either\n")


@pytest.mark.parametrize("words", [["--latest"], ["-v", "3"]])
def test_the_newest_or_one_number_is_compared_with_the_one_before(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", "-m", three(tmp_path), "walk-v1-0@example.org", *words]) == 0
    assert capsys.readouterr().out.endswith("\nv2 to v3: 2 same, 1 dropped; findings: none in either\n")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["walk-v1-0@example.org", "-v", "7"], "no v7 is known: only v1, v2, v3"),
        (
            ["walk-v1-0@example.org", "-v", "1"],
            "no revision before v1 of <walk-v1-0@example.org> is known: only v1, v2, v3",
        ),
        (["walk-v1-0@example.org", "-v", "1", "2", "3"], "-v takes one revision or two, not '1 2 3'"),
        (["walk-v1-0@example.org", "-v", "0"], "-v takes one revision or two, not '0'"),
        (["-v", "1", "2"], "say which series: its Message-ID or address is missing"),
        (["nobody@example.org"], "no mail <nobody@example.org> in '"),
    ],
)
def test_what_cannot_be_compared_is_an_error_of_one_line(
    words: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", "-q", "-m", three(tmp_path), *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"reviewbot: {why}")
    assert err.count("\n") == 1


def test_a_series_of_which_one_revision_is_known_has_nothing_to_compare(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mbox = write(tmp_path / "one.mbox", posting(2))
    assert main(["diff", "-q", "-m", mbox, "walk-v1-0@example.org"]) == 2
    assert "no revision before v1" in capsys.readouterr().err


def test_only_the_patches_asked_for_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "-m", three(tmp_path), "walk-v2-0@example.org", "-P", "2-"]) == 0
    assert heads(capsys.readouterr().out) == ["2: ! 2:", "-: > 3:"]


BAD = b"\tret = range_walk1(range);\n"
WORSE = b"\tdown_read(&mm->mmap_sem);\n"


def with_findings(tmp_path: Path) -> str:
    """v1 has a bad line in both patches, v2 in the second and in a third one."""
    one, two = posting(2), posting(3, revision=2, minute=7 * DAY)
    for mails, bad in ((one, (1, 2)), (two, (2, 3))):
        for n in bad:
            mails[n] = mails[n].replace(b"+\tret = range_walk%d(range);\n" % n, b"+" + WORSE)
    return write(tmp_path / "mails.mbox", [*one, *two])


def test_findings_stand_beside_their_patches_as_fixed_new_and_still_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", "-m", with_findings(tmp_path), "walk-v2-0@example.org", "--select", "ML01"]) == 1
    out = capsys.readouterr().out
    rows = re.split(r"^(?=(?:\d|-): [=!<>])", out, flags=re.M)[1:]
    assert "    fixed since v1: mm/walk1.c:12:13: error: " in rows[0]
    assert "    still there: mm/walk2.c:12:13: error: " in rows[1]
    assert "    new: mm/walk3.c:12:13: error: " in rows[2]
    assert out.endswith("; findings: 1 fixed, 1 new, 1 still there\n")


def test_the_exit_status_is_the_newer_revision_s(tmp_path: Path) -> None:
    mbox = with_findings(tmp_path)
    assert main(["diff", "-q", "-m", mbox, "walk-v2-0@example.org"]) == 1
    assert main(["diff", "-q", "-m", mbox, "walk-v2-0@example.org", "--fail-on", "never"]) == 0
    clean = write(tmp_path / "clean.mbox", [*posting(1, revision=1), *posting(1, revision=2, minute=DAY)])
    assert main(["diff", "-q", "-m", clean, "walk-v2-0@example.org"]) == 0


def test_json_has_the_pairs_and_their_findings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["-m", with_findings(tmp_path), "walk-v2-0@example.org", "--select", "ML01", "--format", "json"]
    assert main(["diff", *words]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["version"], document["by"]) == (1, "mails")
    assert (document["old"]["revision"], document["new"]["revision"]) == (1, 2)
    assert [(row["old"], row["new"], row["how"]) for row in document["patches"]] == [
        (1, 1, "changed"), (2, 2, "same"), (None, 3, "new"),
    ]  # fmt: skip
    assert [[len(row[key]) for key in ("fixed", "new_findings", "still_there")] for row in document["patches"]] == [
        [1, 0, 0], [0, 0, 1], [0, 1, 0],
    ]  # fmt: skip
    assert document["patches"][0]["fixed"][0]["rule"] == "mmap-lock/direct-mmap-sem"
    assert "++\tret = range_walk1(range);" in document["patches"][0]["diff"]


def test_nothing_of_a_mail_acts_on_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = "x\x1b]0;owned\x07\x1b[31m\u202ey"
    one, two = posting(1), posting(1, revision=2, minute=7 * DAY)
    two[1] = two[1].replace(b"Teach range_walk()", f"Teach {bad}".encode()).replace(b"step 1", f"step {bad}".encode())
    mbox = write(tmp_path / "mails.mbox", [*one, *two])
    for words in ([], ["--format", "json"], ["--color", "always"]):
        main(["diff", "-m", mbox, "walk-v2-1@example.org", *words])
        out, err = capsys.readouterr()
        assert "owned" in out
        plain = re.sub(r"\x1b\[[0-9;]*m", "", out) if "always" in words else out
        assert all(harmless(char) or char in "\n\t" for char in plain + err)


# -- on a tree ------------------------------------------------------------------------------------------------------


def post(world: World, base: str, revision: int, tmp_path: Path) -> list[bytes]:
    """The commits behind `base` as git format-patch mails them."""
    out = tmp_path / f"v{revision}"
    words = ["--thread", "--cover-letter", "--cover-from-description=none", f"-v{revision}", "--subject-prefix=PATCH"]
    world.git("format-patch", "-q", *words, "-o", str(out), f"{base}..HEAD")
    mails = []
    for file in sorted(out.iterdir()):
        raw = file.read_bytes().partition(b"\n")[2]
        raw = raw.replace(b"*** SUBJECT HERE ***", b"mm: teach the walk more").replace(b"*** BLURB HERE ***", b"It is.")
        mails.append(raw)
    return mails


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "tree")


def revisions(world: World, tmp_path: Path) -> tuple[str, str]:
    """An mbox of two revisions made from commits, and the Message-ID of the second's cover letter."""
    base = world.git("rev-parse", "HEAD")
    world.change("mm: take the next", GOOD_LINE)
    world.change("mm: fetch ahead", BAD_LINE, path="mm/other.c")
    one = post(world, base, 1, tmp_path)
    world.git("reset", "-q", "--hard", base)
    world.change("mm: take the next", GOOD_LINE, body="Because it is needed now.")
    world.change("mm: fetch ahead", "\tprefetch(mm);\n", path="mm/other.c")
    world.write("mm/new.c", "int fresh;\n")
    world.commit("mm: a new file")
    two = post(world, base, 2, tmp_path)
    world.git("reset", "-q", "--hard", base)
    name = re.search(rb"^Message-Id: <(.+)>$", two[0], re.M | re.I)
    assert name
    return write(tmp_path / "mails.mbox", [*one, *two]), name[1].decode()


def test_on_a_tree_git_range_diff_compares(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mbox, name = revisions(world, tmp_path)
    before = sorted(str(path) for path in (world.top / ".git").rglob("*"))
    assert main(["diff", "-m", mbox, name, "--tree", str(world.top), "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["by"] == "git range-diff"
    assert [(row["old"], row["new"], row["how"]) for row in document["patches"]] == [
        (1, 1, "changed"), (2, 2, "changed"), (None, 3, "new"),
    ]  # fmt: skip
    assert "    -    Because it is needed." in [f"    {line}" for line in document["patches"][0]["diff"]]
    assert [finding["rule"] for finding in document["patches"][1]["fixed"]] == ["mmap-lock/direct-mmap-sem"]
    assert sorted(str(path) for path in (world.top / ".git").rglob("*")) == before


def test_it_is_what_git_range_diff_says_of_the_commits_themselves(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = world.git("rev-parse", "HEAD")
    mbox, name = revisions(world, tmp_path)
    for revision in (1, 2):
        world.git("checkout", "-q", "-b", f"v{revision}", base)
        for file in sorted((tmp_path / f"v{revision}").iterdir())[1:]:
            world.git("am", "-q", str(file))
    theirs = world.git("range-diff", "--no-color", f"{base}..v1", f"{base}..v2")
    assert main(["diff", "-m", mbox, name, "--tree", str(world.top)]) == 0
    out = capsys.readouterr().out
    ours = out[: out.index("\n\nv1 to v2: ")]
    plain = re.sub(
        r"^( *(?:\d+|-)):  ?[0-9a-f-]+ ([=!<>])( +(?:\d+|-)):  ?[0-9a-f-]+ ", r"\1: \2\3: ", theirs, flags=re.M
    )
    kept = [line for line in ours.split("\n") if not re.match(r"    (?:fixed|new|still)", line)]
    assert kept == plain.split("\n")


def test_where_a_revision_does_not_apply_the_mails_are_compared_and_why_is_said(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mbox, name = revisions(world, tmp_path)
    world.write("mm/walk.c", "int nothing;\n")
    world.write("mm/other.c", "int nothing;\n")
    world.commit("mm: all new")
    world.git("update-ref", "-d", "HEAD")
    world.git("commit", "-q", "-m", "no past")
    world.git("reflog", "expire", "--expire=now", "--all")
    assert main(["diff", "-m", mbox, name, "--tree", str(world.top)]) == 0
    out, err = capsys.readouterr()
    assert heads(out) == ["1: ! 1:", "2: ! 2:", "-: > 3:"]
    assert "note: no git range-diff, the patches are compared as mailed: v1: the series does not apply" in err


def spoilt(world: World, tmp_path: Path, path: str, text: str) -> tuple[str, str]:
    """Two revisions whose first patch adds a file that cannot be compared as text, or where none can be."""
    base = world.git("rev-parse", "HEAD")
    mails: list[bytes] = []
    for revision, line in ((1, "one"), (2, "two")):
        body = (
            f"Because.\n\nSigned-off-by: Ada Ranger <ada@example.org>\n---\ndiff --git a/{path} b/{path}\n"
            f"new file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,2 @@\n+{text}\n+{line}\n-- \n2.39.5\n\n"
            f"base-commit: {base}\n"
        )
        mails.append(
            mail(f"[PATCH v{revision}] mm: spoil it", body, f"spoilt-{revision}@example.org", minute=revision * DAY)
        )
    return write(tmp_path / "spoilt.mbox", mails), "spoilt-2@example.org"


@pytest.mark.parametrize(
    ("path", "text", "why"),
    [
        ("mm/nul.c", "a\0b", "v1, patch 1: git takes mm/nul.c for binary"),
        ("mm/walk.c/sub.c", "int x;", "'mm/walk.c' is no directory"),
        ("../out.c", "int x;", "not a path: '../out.c'"),
        ("a/.GIT/config", "int x;", "not a path: 'a/.GIT/config'"),
    ],
)
def test_what_git_would_not_compare_as_text_is_compared_as_mailed(
    path: str, text: str, why: str, world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mbox, name = spoilt(world, tmp_path, path, text)
    assert main(["diff", "-m", mbox, name, "--tree", str(world.top)]) in (0, 1)
    out, err = capsys.readouterr()
    assert heads(out) == ["1: ! 1:"]
    assert "-+one\n    ++two" in out
    assert f"note: no git range-diff, the patches are compared as mailed: {why}\n" in err
