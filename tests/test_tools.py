# SPDX-License-Identifier: GPL-2.0-or-later
"""reviewbot.tools: what other tools print, which of it a patch has caused, and tools that misbehave."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from mails import mail

from reviewbot.config import ToolConfig
from reviewbot.finding import Finding
from reviewbot.mail import local_series
from reviewbot.mime import parse_patch
from reviewbot.model import InputError, Series, Severity, SpanKind
from reviewbot.source.commits import Repository
from reviewbot.tools import ToolRun, choose_tools, mail_bytes, run_tools
from reviewbot.tools.checkout import Checkout, CheckoutError
from reviewbot.tools.remarks import Remark, read
from reviewbot.tools.signals import came, cleaned_up

STANDIN = Path(__file__).parent / "tools_standin.py"


def standin(what: str, *words: str) -> str:
    """The command that runs the stand-in."""
    return " ".join([shlex.quote(sys.executable), shlex.quote(str(STANDIN)), what, *words])


class Work:
    """A repository with a work tree, and its commits as reviewbot reads them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *words: str, given: bytes | None = None) -> str:
        who = {
            f"GIT_{role}_{what}": "ann@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.path.parent), **who}
        done = subprocess.run(
            ["git", *words], cwd=self.path, env=environment, input=given, capture_output=True, check=True
        )
        return done.stdout.decode().strip()

    def commit(self, files: dict[str, str | None], title: str = "mm: step") -> str:
        """Its hash; a file that is None goes."""
        for name, text in files.items():
            file = self.path / name
            if text is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", title)
        return self.git("rev-parse", "HEAD")

    def run(self, tool: ToolConfig, *commits: str, told: list[str] | None = None) -> ToolRun:
        """One tool, of the name t, on commits (the last one)."""
        with Repository.open(str(self.path)) as repository:
            series = repository.series(repository.find(list(commits) or ["HEAD"]))
            return run_tools({"t": tool}, series, repository, told=(told if told is not None else []).append)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    monkeypatch.setenv("HOME", str(tmp_path))
    return Work(tmp_path / "work")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where checkouts are made: whatever a test does, nothing is left there."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    yield directory
    assert not list(directory.iterdir())


def new(run: ToolRun) -> list[tuple[str, int, str]]:
    """What the patches have caused: path, line, rule."""
    return [(f.span.path, f.span.line, f.rule) for f in run.findings if not f.preexisting]


def old(run: ToolRun) -> list[tuple[str, int]]:
    """What was there before."""
    return [(f.span.path, f.span.line) for f in run.findings if f.preexisting]


FILES = ToolConfig(command=standin("gcc", "{files}"), on="files")
C = "int f(void)\n{\n\treturn 0;\n}\n"


# -- what is read ------------------------------------------------------------------------------------


def only(reads: str, text: str) -> Remark:
    (remark,) = read(reads, text.encode(), b"").remarks
    return remark


def test_a_line_of_gcc_has_its_place_severity_and_flag() -> None:
    remark = only("gcc", "mm/a.c:31:2: warning: unused variable 'x' [-Wunused-variable]\n")
    assert remark == Remark("mm/a.c", 31, 2, Severity.WARNING, "unused-variable", "unused variable 'x'")
    assert only("gcc", "mm/a.c:3: fatal error: x.h: none").severity is Severity.ERROR
    assert only("gcc", "mm/a.c:3:1: error: unused [-Werror=unused-label]").kind == "unused-label"


def test_a_note_of_gcc_is_a_second_place_of_what_comes_before() -> None:
    remark = only("gcc", "mm/a.c:3:1: error: declared twice\nmm/a.h:7:5: note: here, too\n")
    assert remark.notes == (("mm/a.h", 7, "here, too"),)


def test_sparse_goes_on_with_its_warning_on_further_lines() -> None:
    said = "mm/a.c:6:33: warning: incorrect type\nmm/a.c:6:33:    expected int *q\nmm/a.c:6:33:    got int *p\n"
    assert only("gcc", said).message == "incorrect type: expected int *q, got int *p"


def test_columns_of_spatch_count_from_0() -> None:
    remark = only("gcc", "mm/a.c:8:7-8: ERROR: reference preceded by free on line 7\n")
    assert (remark.line, remark.column, remark.severity) == (8, 8, Severity.ERROR)
    assert remark.message == "reference preceded by free on line 7"
    org = "* TODO [[view:mm/a.c::face=ovl-face1::linb=6::colb=7::cole=9][WARNING comparing to 0]]"
    assert only("gcc", org) == Remark("mm/a.c", 6, 8, Severity.WARNING, "", "comparing to 0", characters=True)


def test_smatch_is_read() -> None:
    remark = only("gcc", "mm/a.c:12 walk() warn: inconsistent returns\n")
    assert (remark.line, remark.severity, remark.message) == (12, Severity.WARNING, "inconsistent returns")


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("-:19: ERROR:OPEN_BRACE: open brace\n", "", 19),
        ("mm/a.c:3: ERROR:OPEN_BRACE: open brace\n", "mm/a.c", 3),
        (":2: ERROR:OPEN_BRACE: open brace\n", "", 0),
        ("ERROR:OPEN_BRACE: open brace\n#19: FILE: mm/a.c:3:\n+int f(void){\n\n", "", 19),
        ("ERROR:OPEN_BRACE: open brace\n\n", "", 0),
        ("\x1b[31m-:19: ERROR:OPEN_BRACE:\x1b[0m open brace\n", "", 19),
    ],
)
def test_every_form_of_checkpatch_is_read(text: str, path: str, line: int) -> None:
    assert only("checkpatch", text) == Remark(path, line, 0, Severity.ERROR, "OPEN_BRACE", "open brace")


def test_checkpatch_without_types_is_read_and_its_chatter_is_not() -> None:
    said = read("checkpatch", b"-:3: CHECK: a word\ntotal: 0 errors, 1 warnings, 9 lines checked\n", b"")
    assert [(r.severity, r.kind) for r in said.remarks] == [(Severity.NOTE, "")]


DIFF_OF_SPATCH = """\
--- mm/a.c
+++ /tmp/cocci-output-1-2-a.c
@@ -3,7 +3,7 @@ static struct a *f(void){
 \tint *p;
-\tif (p == 0) return 0;
+\tif (!p) return 0;
 \tone();
-\ttwo();
-\tthree();
+\tfour();
 \tfive();
+\tsix();
 \tseven();
@@ -20,2 +20,1 @@
-\teight();
 \tnine();
"""


def test_each_change_of_a_diff_is_a_remark() -> None:
    said = read("diff", DIFF_OF_SPATCH.encode(), b"").remarks
    assert [(r.path, r.line, r.message, r.suggestion) for r in said] == [
        ("mm/a.c", 4, "would become 'if (!p) return 0;'", "\tif (!p) return 0;"),
        ("mm/a.c", 6, "would become 'four();'", None),
        ("mm/a.c", 8, "would be followed by 'six();'", None),
        ("mm/a.c", 20, "would be removed", None),
    ]


def test_b4_results_are_read_with_their_details() -> None:
    details = [
        {"status": "fail", "context": "lock drop", "description": "mm/a.c:3:5: error: dropped", "srcline": "x();"},
        {"status": "warn", "description": "-:7: WARNING: long line"},
        {"status": "pass", "description": "(pre-existing) mm/a.c:9: stale"},
        {"status": "pass", "description": "all is well"},
    ]
    result = {"tool": "x", "status": "fail", "summary": "2", "details": json.dumps(details)}
    remarks = read("b4", json.dumps([result]).encode(), b"").remarks
    assert [(r.path, r.line, r.kind, r.message, r.preexisting) for r in remarks] == [
        ("mm/a.c", 3, "lock-drop", "dropped", False),
        ("", 7, "", "long line", False),
        ("mm/a.c", 9, "", "stale", True),
    ]


def test_b4_results_without_details_are_one_remark_each() -> None:
    said = [
        {"status": "warn", "summary": "slow", "details": "\nby half\nor more", "url": "https://ci.example.org/1"},
        {"status": "pass", "summary": "fine"},
        {"status": "odd", "summary": "what"},
    ]
    remarks = read("b4", json.dumps(said).encode(), b"").remarks
    assert [(r.severity, r.message) for r in remarks] == [
        (Severity.WARNING, "slow: by half (https://ci.example.org/1)"),
        (Severity.ERROR, "what"),
    ]
    assert read("b4", b"\n", b"").remarks == ()


@pytest.mark.parametrize("text", ["no JSON", "[1]", "3", "[" * 100_000, '{"status": '])
def test_what_is_no_json_of_b4_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read("b4", text.encode(), b"")


@pytest.mark.parametrize("reads", ["gcc", "checkpatch", "diff"])
def test_hostile_output_is_read_in_linear_time(reads: str) -> None:
    for piece in (
        "a",
        ":",
        " ",
        "a:1:",
        "-:1: ",
        "* TODO [[view:",
        "[-W",
        "ERROR:",
        "a:1: error: [a",
        "\x1b[",
        "--- a\n+++ b\n",
    ):
        read(reads, piece.encode() * (1_000_000 // len(piece)), b"")
        read(reads, (piece * 400 + "\n").encode() * (1_000_000 // (400 * len(piece))), b"")


# -- what a patch has caused -------------------------------------------------------------------------


def test_what_was_in_a_file_before_is_not_the_patchs(work: Work) -> None:
    work.commit({"mm/a.c": f"int BAD;\n{C}"})
    work.commit({"mm/a.c": f"int x;\nint BAD;\n{C}int worse_BAD;\n"})
    run = work.run(FILES)
    assert new(run) == [("mm/a.c", 7, "t/bad")]
    assert old(run) == [("mm/a.c", 2)]
    (finding,) = (f for f in run.findings if not f.preexisting)
    assert finding.span.text == "int worse_BAD;"
    assert finding.message == "BAD on line 7"
    assert finding.span.message_line > 0
    assert finding.patch.mail.body[finding.span.message_line - 1] == "+int worse_BAD;"


def test_of_equal_lines_the_added_one_is_the_patchs(work: Work) -> None:
    work.commit({"mm/a.c": f"{C}int BAD;\n"})
    work.commit({"mm/a.c": f"int BAD;\n{C}int BAD;\n"})
    run = work.run(FILES)
    assert (new(run), old(run)) == ([("mm/a.c", 1, "t/bad")], [("mm/a.c", 6)])


def test_a_line_that_moves_within_its_file_is_not_the_patchs(work: Work) -> None:
    work.commit({"mm/a.c": f"{C}int BAD;\n"})
    work.commit({"mm/a.c": f"int BAD;\n{C}"})
    assert new(work.run(FILES)) == []


def test_a_line_that_moves_to_another_file_is_not_the_patchs(work: Work) -> None:
    work.commit({"mm/a.c": f"{C}int BAD;\n", "mm/b.c": C})
    work.commit({"mm/a.c": C, "mm/b.c": f"{C}int BAD;\n"})
    assert new(work.run(FILES)) == []
    work.commit({"mm/a.c": f"{C}int BAD;\n"})
    assert new(work.run(FILES)) == [("mm/a.c", 5, "t/bad")]


def test_a_renamed_file_brings_nothing_new(work: Work) -> None:
    work.commit({"mm/a.c": f"{C * 5}int BAD;\n"})
    work.commit({"mm/a.c": None, "mm/b.c": f"{C * 5}int BAD;\nint BAD2;\n"})
    assert new(work.run(FILES)) == [("mm/b.c", 22, "t/bad")]


def test_a_deleted_file_has_nothing(work: Work) -> None:
    work.commit({"mm/a.c": "int BAD;\n"})
    work.commit({"mm/a.c": None})
    run = work.run(FILES)
    assert (run.findings, run.not_run) == ((), ())


def test_each_patch_of_a_series_answers_for_its_own(work: Work) -> None:
    base = work.commit({"mm/a.c": C})
    work.commit({"mm/a.c": f"{C}int BAD1;\n"})
    work.commit({"mm/a.c": f"{C}int BAD1;\nint BAD2;\n"})
    work.commit({"mm/a.c": f"{C}int BAD2;\n"})
    run = work.run(FILES, f"{base}..HEAD")
    assert [(f.patch.index, f.span.text) for f in run.findings if not f.preexisting] == [
        (1, "int BAD1;"),
        (2, "int BAD2;"),
    ]


def test_a_build_says_the_same_of_both_sides_of_a_patch(work: Work) -> None:
    base = work.commit({"mm/a.c": f"int BAD;\n{C}", "mm/b.c": f"int BAD;\n{C}", "mm/c.c": "int BAD3;\n"})
    work.commit({"mm/a.c": f"int BAD;\n{C}int BAD3;\n"})  # what c.c had from the beginning, and has still
    work.commit({"mm/b.c": f"int BAD;\n{C}int BAD2;\n"})
    run = work.run(ToolConfig(command=standin("build"), on="files", checkout="tree"), f"{base}..")
    assert new(run) == [("mm/a.c", 6, "t/warning"), ("mm/b.c", 6, "t/warning")]


def test_the_first_commit_of_a_repository_has_caused_everything(work: Work) -> None:
    work.commit({"mm/a.c": "int BAD;\n"})
    assert new(work.run(FILES)) == [("mm/a.c", 1, "t/bad")]


def test_a_fingerprint_survives_other_lines_above(work: Work) -> None:
    base = work.commit({"mm/a.c": C})
    work.commit({"mm/a.c": C.replace("\treturn", "\tint BAD = 1;\n\treturn")})
    first = work.run(FILES)
    work.git("reset", "-q", "--hard", base)
    work.commit({"mm/a.c": "int x;\nint y;\n" + C.replace("\treturn", "    int BAD =  1;\n\treturn")})
    second = work.run(FILES)
    assert [f.fingerprint for f in first.findings] == [f.fingerprint for f in second.findings]
    assert [f.function for f in first.findings] == ["f"]
    assert first.findings[0].span.line != second.findings[0].span.line


def test_only_files_with_the_suffixes_are_given(work: Work) -> None:
    work.commit({"mm/a.c": "BAD\n", "mm/a.rst": "BAD\n", "mm/b.h": "BAD\n"})
    assert [path for path, _, _ in new(work.run(FILES))] == ["mm/a.c", "mm/b.h"]
    assert [path for path, _, _ in new(work.run(FILES._replace(suffixes=(".rst",))))] == ["mm/a.rst"]


def test_a_file_at_a_time_is_as_good_as_all_at_once(work: Work) -> None:
    work.commit({"mm/a.c": "BAD\n", "mm/b.c": "BAD\n"})
    each = work.run(FILES._replace(command=standin("gcc", "{file}")))
    assert sorted(new(each)) == sorted(new(work.run(FILES)))
    assert [f.fingerprint for f in each.findings] == [f.fingerprint for f in work.run(FILES).findings]


def test_paths_of_the_checkout_become_the_trees_and_others_are_dropped(work: Work) -> None:
    work.commit({"mm/a.c": "int BAD;\n"})
    run = work.run(FILES._replace(command=standin("absolute", "{files}")))
    assert [(f.span.path, f.message) for f in run.findings] == [("mm/a.c", "see mm/a.c")]


@pytest.mark.parametrize("path", ["/etc/passwd", "../mm/a.c", "mm/../../mm/a.c", "{top}/../mm/a.c"])
def test_what_lies_outside_of_the_tree_is_dropped(work: Work, path: str) -> None:
    work.commit({"mm/a.c": C})
    for on in ("patch", "series", "files"):
        run = work.run(ToolConfig(command=standin("print", f"'{path}:1:1: error: outside'"), on=on))
        assert (run.findings, run.not_run) == ((), ())
    (finding,) = work.run(ToolConfig(command=standin("print", "'{top}/mm/x/../a.c:1:1: error: inside'"))).findings
    assert (finding.span.path, finding.span.line) == ("mm/a.c", 1)


def test_a_suggestion_of_a_tool_is_one_of_ours(work: Work) -> None:
    work.commit({"mm/a.c": C})
    work.commit({"mm/a.c": f"{C}int x==0;\n"})
    diff = r"'--- mm/a.c\n+++ /tmp/x.c\n@@ -5 +5 @@\n-int x==0;\n+int x;'"
    run = work.run(ToolConfig(command=standin("print", diff), reads="diff", on="files"))
    (finding,) = (finding for finding in run.findings if not finding.preexisting)
    assert (finding.span.line, finding.span.text, finding.suggestion) == (5, "int x==0;", "int x;")
    assert not finding.fixable


def test_what_spatch_points_at_is_the_word(work: Work) -> None:
    work.commit({"mm/a.c": "\treturn BAD;\n"})
    (finding,) = work.run(FILES._replace(command=standin("spatch", "{files}"))).findings
    assert (finding.span.column, finding.span.end_column) == (9, 12)
    assert finding.rule == "t/warning"


PATCH = ToolConfig(command=standin("checkpatch"), reads="checkpatch", on="patch")


def kinds(run: ToolRun) -> list[tuple[SpanKind, str, str, bool]]:
    return [(f.span.kind, f.span.path, f.span.text, f.preexisting) for f in run.findings if "BAD_WORD" in f.rule]


def test_checkpatch_speaks_of_lines_of_the_mail(work: Work) -> None:
    work.commit({"mm/a.c": f"int x_BAD;\nint y_BAD;\nint z;\n{C}"})
    work.commit({"mm/a.c": f"int x_BAD;\nint v_BAD;\nint z;\n{C}"}, "mm: step\n\nThe text is BAD, too.")
    run = work.run(PATCH)
    assert kinds(run) == [
        (SpanKind.MESSAGE, "", "The text is BAD, too.", False),
        (SpanKind.SOURCE, "mm/a.c", "int x_BAD;", True),  # context
        (SpanKind.REMOVED, "mm/a.c", "int y_BAD;", False),
        (SpanKind.SOURCE, "mm/a.c", "int v_BAD;", False),
    ]
    (missing,) = (f for f in run.findings if f.rule == "t/MISSING_WORD")
    assert (missing.span.kind, missing.span.path, missing.preexisting) == (SpanKind.HEADER, "Subject", False)
    assert missing.severity is Severity.ERROR


def test_a_line_that_a_series_moves_is_not_its_own(work: Work) -> None:
    base = work.commit({"mm/a.c": f"int BAD;\n{C}", "mm/b.c": C})
    work.commit({"mm/b.c": f"int BAD;\nint BAD2;\n{C}"})
    work.commit({"mm/a.c": C})
    found = [(text, before) for kind, _, text, before in kinds(work.run(PATCH, f"{base}..")) if kind is SpanKind.SOURCE]
    assert found == [("int BAD;", True), ("int BAD2;", False)]


def test_the_fingerprint_of_a_remark_on_the_subject_survives_a_reroll(work: Work) -> None:
    def said(subject: str) -> Finding:
        body = "Text.\n\n---\ndiff --git a/mm/a.c b/mm/a.c\n--- a/mm/a.c\n+++ b/mm/a.c\n@@ -1 +1,2 @@\n x\n+y\n"
        (series,) = local_series([parse_patch(mail(subject, body, "1@x"), "x.patch")])
        work.commit({"x": "y"})
        with Repository.open(str(work.path)) as repository:
            (finding,) = run_tools({"t": PATCH}, series, repository, told=print).findings
        return finding

    first, second = said("[PATCH 2/7] mm: step"), said("[PATCH v2 3/9] mm: step")
    assert first.rule == "t/MISSING_WORD"
    assert first.fingerprint == second.fingerprint
    assert said("[PATCH] mm: other").fingerprint != first.fingerprint


def posting(*bodies: str, charset: str = "utf-8") -> Series:
    count = len(bodies)
    raws = [
        mail(f"[PATCH {n}/{count}] mm: é {n}", body, f"{n}@x", headers=[f"Content-Type: text/plain; charset={charset}"])
        for n, body in enumerate(bodies, 1)
    ]
    (series,) = local_series([parse_patch(raw, "x.patch") for raw in raws])
    return series


DIFF = "---\ndiff --git a/mm/a.c b/mm/a.c\n--- a/mm/a.c\n+++ b/mm/a.c\n@@ -1 +1,2 @@\n x\n+y BAD\n"


def test_the_mail_that_a_tool_is_given_counts_lines_as_said() -> None:
    (patch,) = posting(f"Füße\n\n{DIFF}").patches
    raw, head = mail_bytes(patch.mail._replace(message_id="a\nBcc: evil@example.org\n"))
    lines = raw.decode().split("\n")
    assert lines[head : head + len(patch.mail.body)] == list(patch.mail.body)
    assert lines[head - 1] == ""
    assert not any(line.startswith("Bcc") for line in lines)
    assert all(line.isascii() for line in lines[:head])


def test_mails_without_commits_are_given_to_what_reads_a_patch_and_to_nothing_else(work: Work) -> None:
    work.commit({"x": "y"})
    told: list[str] = []
    with Repository.open(str(work.path)) as repository:
        run = run_tools({"p": PATCH, "f": FILES}, posting(DIFF), repository, told=told.append)
    assert [f.rule for f in run.findings] == ["p/BAD_WORD", "p/MISSING_WORD"]
    assert told == ["tool 'f': needs commits: their files are what it is run on"]
    assert [entry.rule for entry in run.not_run] == ["f"]


def test_without_a_repository_a_tool_is_not_run() -> None:
    run = run_tools({"p": PATCH}, posting(DIFF), None, told=print)
    assert [tuple(entry) for entry in run.not_run] == [("p", "needs a work tree")]


def test_a_result_of_b4_lies_where_its_source_line_is(work: Work) -> None:
    work.commit({"mm/a.c": C})
    work.commit({"mm/a.c": f"{C}int BAD;\n"})
    item = {"status": "warn", "context": "x", "description": "is bad", "srcline": "int BAD;"}
    said = shlex.quote(json.dumps([{"status": "warn", "summary": "1", "details": json.dumps([item])}]))
    run = work.run(ToolConfig(command=standin("b4", said), reads="b4", on="patch"))
    assert new(run) == [("mm/a.c", 5, "t/x")]
    assert run.findings[0].message == "is bad"


def test_a_series_is_told_of_by_its_first_patch_and_placed_by_its_last(work: Work) -> None:
    base = work.commit({"mm/a.c": C})
    work.commit({"mm/a.c": f"{C}int x;\n"}, "mm: first")
    work.commit({"mm/a.c": f"{C}int x;\nint y;\n"}, "mm: second")
    tool = ToolConfig(
        command=standin("print", r"'mm/a.c:6:5: error: y\nmm/a.c:900:5: error: far'"), reads="gcc", on="series"
    )
    run = work.run(tool, f"{base}..")
    assert [(f.patch.index, f.span.kind, f.message) for f in run.findings] == [
        (2, SpanKind.SOURCE, "y"),
        (1, SpanKind.HEADER, "far"),
    ]
    echo = ToolConfig(command=standin("echo"), reads="b4", on="series")
    (finding,) = work.run(echo, f"{base}..").findings
    assert "mm: first" in finding.message


# -- what it runs in ---------------------------------------------------------------------------------


def test_a_tool_on_a_patch_runs_in_the_top_of_the_work_tree(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    work.commit({"mm/a.c": C})
    monkeypatch.chdir(work.path / "mm")
    (finding,) = work.run(ToolConfig(command=standin("pwd", "{top}/x"), reads="b4")).findings
    assert finding.message == f"{work.path} {work.path}/x"


def test_a_program_named_with_a_directory_is_the_work_trees(work: Work) -> None:
    script = f'#!/bin/sh\nexec {standin("gcc")} "$@"\n'
    work.commit({"scripts/tool": script, "mm/a.c": "int BAD;\n"})
    (work.path / "scripts/tool").chmod(0o755)
    assert new(work.run(FILES._replace(command="scripts/tool {files}"))) == [("mm/a.c", 1, "t/bad")]


def test_what_git_and_b4_tell_their_hooks_does_not_reach_a_tool(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    work.commit({"mm/a.c": C})
    monkeypatch.setenv("B4_TRACKING_FILE", "/tmp/secret")
    monkeypatch.setenv("GIT_INDEX_FILE", str(work.path / ".git/index"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "0")
    from reviewbot.tools.program import environment

    names = {name for name in environment("/x") if name.startswith(("GIT_", "B4_"))}
    assert names >= {"GIT_CONFIG_COUNT", "GIT_OPTIONAL_LOCKS"}
    assert not names & {"B4_TRACKING_FILE", "GIT_INDEX_FILE"}


def test_a_checkout_of_files_has_those_and_one_of_the_tree_has_all(work: Work) -> None:
    work.commit({"mm/a.c": "x\n", "include/a.h": "y\n"})
    work.commit({"mm/a.c": "z\n"})
    listing = ToolConfig(command=standin("list"), on="files")
    assert {f.message for f in work.run(listing).findings} == {"mm/a.c"}
    assert {f.message for f in work.run(listing._replace(checkout="tree")).findings} == {"mm/a.c", "include/a.h"}


def test_a_whole_checkout_follows_the_commits(work: Work, tmp_path: Path) -> None:
    first = work.commit({"mm/a.c": "1\n", "mm/b.c": "1\n", "d/x": "1\n", "run.sh": "1\n"})
    (work.path / "run.sh").chmod(0o755)
    (work.path / "link").symlink_to("mm/a.c")
    second = work.commit({"mm/a.c": "2\n", "d/x": None})
    (work.path / "d").rmdir()
    third = work.commit({"d": "now a file\n", "mm/b.c": None})
    with Repository.open(str(work.path)) as repository, Checkout(repository) as checkout:
        for commit in (first, second, third, first):
            checkout.put_tree(commit)
            work.git("checkout", "-q", commit)
            left, right = (
                {
                    os.path.relpath(os.path.join(top, name), where): (
                        os.path.islink(os.path.join(top, name)),
                        Path(top, name).read_bytes(),
                        os.access(os.path.join(top, name), os.X_OK),
                    )
                    for top, directories, names in os.walk(where)
                    if ".git" not in Path(top).parts
                    for name in names
                }
                for where in (checkout.directory, str(work.path))
            )
            assert left == right


def test_neither_a_filter_nor_a_hook_of_the_repository_runs(work: Work, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    work.git("config", "filter.evil.smudge", f"touch {mark}; cat")
    work.git("config", "filter.evil.clean", "cat")
    work.commit({".gitattributes": "*.c filter=evil ident export-subst\n", "mm/a.c": "BAD $Id$ $Format:%H$\n"})
    hook = work.path / ".git/hooks/post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
    hook.chmod(0o755)
    for checkout in ("files", "tree"):
        (finding,) = work.run(FILES._replace(checkout=checkout)).findings
        assert finding.span.text == "BAD $Id$ $Format:%H$"
    assert not mark.exists()
    assert work.git("worktree", "list").count("\n") == 0


def tree_of(work: Work, *entries: tuple[str, str, str]) -> str:
    """A commit whose tree git itself would not make: of (mode, name, content), the content of a tree is its id."""
    raw = b""
    for mode, name, content in entries:
        if mode == "40000":
            raw += f"{mode} {name}".encode() + b"\0" + bytes.fromhex(content)
            continue
        object_id = work.git("hash-object", "-w", "--stdin", given=content.encode())
        raw += f"{mode} {name}".encode() + b"\0" + bytes.fromhex(object_id)
    tree = work.git("hash-object", "-w", "--literally", "-t", "tree", "--stdin", given=raw)
    return work.git("commit-tree", "-m", "x", tree)


def sub_tree(work: Work, *entries: tuple[str, str, str]) -> str:
    return work.git("rev-parse", tree_of(work, *entries) + "^{tree}")


def test_a_forged_tree_writes_nothing_outside(work: Work, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept\n")
    deep = sub_tree(work, ("120000", "up", "../.."), ("100644", "file", "x\n"))
    inner = sub_tree(work, ("100644", "pwned", "x\n"))
    commits = [
        tree_of(work, ("40000", "..", inner), ("100644", "ok", "1\n")),
        tree_of(work, ("40000", ".git", inner), ("100644", "ok", "2\n")),
        tree_of(work, ("120000", "abs", str(outside)), ("100644", "ok", "3\n")),
        tree_of(work, ("120000", "rel", "../outside"), ("40000", "a", deep), ("120000", "b", "a/up/../outside/kept")),
    ]
    with Repository.open(str(work.path)) as repository:
        for commit in commits:
            with Checkout(repository) as checkout:
                checkout.put_tree(commit)
                links = [path for path in Path(checkout.directory).rglob("*") if path.is_symlink()]
                root = Path(checkout.directory)
                assert all(link.resolve().is_relative_to(root) for link in links)
                assert not list(root.rglob("pwned"))
        both = tree_of(work, ("120000", "d", str(outside)), ("40000", "d", inner))
        with Checkout(repository) as checkout:
            checkout.put_tree(both)
        # a link to a place inside, and a directory of the same name
        both = tree_of(work, ("120000", "d", "e"), ("40000", "d", inner), ("40000", "e", inner))
        with Checkout(repository) as checkout, pytest.raises(CheckoutError):
            checkout.put_tree(both)
    assert sorted(path.name for path in outside.iterdir()) == ["kept"]
    assert not (tmp_path / "temporary" / "pwned").exists()


def test_a_name_that_could_be_an_option_or_a_command_is_not_one(work: Work) -> None:
    work.commit({"-BAD.c": "BAD\n", "a;touch pwned;.c": "BAD\n", "b c.c": "BAD\n", "CC=x.c": "BAD\n", "ok.c": "BAD\n"})
    told: list[str] = []
    run = work.run(FILES._replace(command=f"sh -c '{standin('gcc')} {{files}}'"), told=told)
    assert sorted(path for path, _, _ in new(run)) == ["-BAD.c", "ok.c"]
    assert len(told) == 1
    assert "a name that no command is given" in told[0]


def test_a_name_that_a_tool_would_read_its_options_from_is_only_a_name(work: Work) -> None:
    # gcc's @file: the file without the @ has the options, and -wrapper is one of them
    work.commit({"@a.c": "BAD\n", "a.c": "-wrapper ./b\n", "mm/@b.c": "BAD\n", "+c.c": "BAD\n"})
    run = work.run(ToolConfig(command=standin("pwd", "{files}"), on="files", reads="b4"))
    assert run.findings[0].message.split()[1:] == ["./+c.c", "./@a.c", "a.c", "mm/@b.c"]
    assert ("@a.c", 1, "t/bad") in new(work.run(FILES))


# -- tools that misbehave ----------------------------------------------------------------------------


def failing(
    work: Work, command: str, *, on: str = "patch", reads: str = "gcc", timeout: float = 60.0
) -> tuple[ToolRun, str]:
    """What a tool gives that fails, and the one line that is told of it."""
    work.commit({"mm/a.c": "int BAD;\n"})
    told: list[str] = []
    tool = ToolConfig(command=command, on=on, reads=reads, timeout=timedelta(seconds=timeout))
    run = work.run(tool, told=told)
    assert len(told) == 1
    assert {entry.rule for entry in run.not_run} == {"t"}
    return run, told[0]


@pytest.mark.parametrize(
    ("command", "reads", "why"),
    [
        ("no-such-program -x", "gcc", "cannot run 'no-such-program': no such file or directory"),
        ("/", "gcc", "cannot run '/': permission denied"),
        ("", "gcc", "has no command"),
        ("'", "gcc", "cannot read its command: no closing quotation"),
        (standin("fail"), "gcc", "exit status 3: cannot find its data"),
        (standin("fail"), "b4", "exit status 3: cannot find its data"),
        (standin("abort"), "gcc", "was ended by signal 6"),
        ("sh -c 'no-such-program'", "gcc", "exit status 127: sh: 1: no-such-program: not found"),
        (standin("print", "'{'"), "b4", "prints no JSON that b4 would read"),
        (standin("flood"), "gcc", "prints more than 1 MB"),
    ],
)
def test_a_tool_that_fails_is_told_of_in_one_line(work: Work, command: str, reads: str, why: str) -> None:
    run, told = failing(work, command, reads=reads)
    assert told.startswith(f"tool 't': {why}"), told
    assert run.findings == ()


def test_the_others_run_where_one_is_missing(work: Work) -> None:
    work.commit({"mm/a.c": "int BAD;\n"})
    with Repository.open(str(work.path)) as repository:
        series = repository.series(repository.find(["HEAD"]))
        tools = {"missing": ToolConfig(command="no-such-program"), "there": FILES}
        run = run_tools(tools, series, repository, told=print)
    assert new(run) == [("mm/a.c", 1, "there/bad")]


def gone(pid: int) -> bool:
    """The process has ended, or will as soon as its parent asks."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def wait_for(done: Callable[[], bool]) -> None:
    """A killed process may take a moment."""
    for _ in range(1000):
        if done():
            return
        time.sleep(0.01)
    raise AssertionError("still there")


def test_a_tool_that_hangs_is_ended_with_what_it_started(work: Work, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    _, told = failing(work, standin("hang", str(pids)), timeout=2)
    assert told == "tool 't': takes longer than 2 seconds"
    # on a busy machine it may not have come so far
    wait_for(lambda: all(gone(int(pid)) for pid in (pids.read_text().split() if pids.exists() else ())))


def test_an_interrupt_ends_the_tool_and_leaves_no_checkout(work: Work, tmp_path: Path) -> None:
    work.commit({"mm/a.c": "int BAD;\n"})
    pids = tmp_path / "pids"

    def interrupt() -> None:
        while not (pids.exists() and len(pids.read_text().split()) == 2):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        work.run(ToolConfig(command=standin("hang", str(pids)), on="files"))
    thread.join()
    wait_for(lambda: all(gone(int(pid)) for pid in pids.read_text().split()))


ENDING = """
import sys
from reviewbot.cli import main
sys.exit(main(["check", "HEAD", "--config", sys.argv[1]]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_us_ends_the_tool_and_leaves_no_checkout(
    work: Work, tmp_path: Path, temporary: Path, number: signal.Signals
) -> None:
    work.commit({"mm/a.c": "int BAD;\n"})
    pids, config = tmp_path / "pids", tmp_path / "config.toml"
    config.write_text(
        f"[tool.t]\ncommand = {json.dumps(standin('hang', str(pids)))}\non = 'files'\ncheckout = 'tree'\n"
    )
    # whoever runs the tests may have SIGHUP ignored, as by nohup
    script = f"import signal\nsignal.signal({int(number)}, signal.SIG_DFL)\n{ENDING}"
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(config)], cwd=work.path, env={**os.environ, "TMPDIR": str(temporary)}
    )
    try:
        wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 2)
        assert [*temporary.iterdir()]
        process.send_signal(number)
        assert process.wait() == 128 + number
        wait_for(lambda: all(gone(int(pid)) for pid in pids.read_text().split()))
    finally:
        process.kill()
        process.wait()
        for pid in pids.read_text().split() if pids.exists() else ():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


@pytest.fixture
def default() -> Iterator[None]:
    """SIGTERM and SIGHUP as a process has them."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("default")
def test_further_signals_do_not_end_the_cleaning(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    work.commit({"mm/a.c": "int BAD;\n"})
    seen = []

    def leave(self: Checkout, *_: object) -> None:
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            seen.append(number)
            os.kill(os.getpid(), number)
        self._temporary.cleanup()

    monkeypatch.setattr(Checkout, "__exit__", leave)
    with pytest.raises(SystemExit) as left:
        work.run(FILES._replace(command="sh -c 'kill -TERM $PPID; sleep 600'"))
    assert (left.value.code, len(seen)) == (143, 3)
    assert signal.getsignal(signal.SIGTERM) is signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("default")
def test_a_signal_between_two_findings_leaves_no_checkout(
    work: Work, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Found:
        @property
        def preexisting(self) -> bool:
            os.kill(os.getpid(), signal.SIGTERM)
            return True

    work.commit({"mm/a.c": "int BAD;\n"})
    monkeypatch.setattr("reviewbot.tools.compared", lambda *_: iter([Found()]))
    with pytest.raises(SystemExit) as left:
        work.run(FILES)
    # what is raised still has the frames
    assert left.tb
    assert not [*temporary.iterdir()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.usefixtures("default")
def test_a_signal_while_a_tool_is_started_ends_it(
    work: Work, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    work.commit({"mm/a.c": "int BAD;\n"})
    started = []

    class Slow(subprocess.Popen[bytes]):
        def __init__(self, command: Sequence[str], **options: Any) -> None:
            super().__init__(command, **options)
            if command[0] == "sleep":
                started.append(self.pid)
                os.kill(os.getpid(), number)

    monkeypatch.setattr(subprocess, "Popen", Slow)
    with pytest.raises(KeyboardInterrupt if number is signal.SIGINT else SystemExit):
        work.run(FILES._replace(command="sleep 600"))
    assert len(started) == 1
    assert gone(started[0])


@pytest.mark.usefixtures("default")
def test_a_signal_that_is_ignored_stays_so(work: Work) -> None:
    work.commit({"mm/a.c": "int BAD;\n"})
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    run = work.run(FILES._replace(command=f"sh -c 'kill -HUP $PPID; exec {standin('gcc', '{files}')}'"))
    assert new(run) == [("mm/a.c", 1, "t/bad")]
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.usefixtures("default")
def test_a_signal_whose_exception_is_lost_ends_us_later() -> None:
    def lose() -> None:
        with suppress(SystemExit):  # as Python does in a __del__
            os.kill(os.getpid(), signal.SIGTERM)
        assert came()

    with pytest.raises(SystemExit), cleaned_up():
        lose()
    assert not came()


def test_tools_run_in_another_thread_too(work: Work) -> None:
    work.commit({"mm/a.c": "int BAD;\n"})
    runs: list[ToolRun] = []
    thread = threading.Thread(target=lambda: runs.append(work.run(FILES)))
    thread.start()
    thread.join()
    assert new(runs[0]) == [("mm/a.c", 1, "t/bad")]


def test_what_a_tool_leaves_running_is_not_waited_for(work: Work) -> None:
    work.commit({"mm/a.c": "int BAD;\n"})
    run = work.run(ToolConfig(command=standin("linger"), on="files", timeout=timedelta(seconds=300)))
    assert [f.message for f in run.findings] == ["said before it went"]


def test_no_more_than_a_thousand_findings_are_taken(work: Work) -> None:
    work.commit({"mm/a.c": "int BAD;\n"})
    run = work.run(ToolConfig(command=standin("many"), on="files"))
    assert len(run.findings) == 1000
    assert [tuple(entry) for entry in run.not_run] == [("t", "stopped after 1000 findings")]


def test_without_the_state_before_nothing_is_said(work: Work) -> None:
    work.commit({"mm/a.c": "int BAD;\n"})
    script = f"test -e good.c && exec {standin('gcc')} {{files}}; {standin('fail')}"
    work.commit({"mm/a.c": "int x;\nint BAD;\n", "good.c": "\n"})
    told: list[str] = []
    run = work.run(FILES._replace(command=f"sh -c {shlex.quote(script)}", checkout="tree"), told=told)
    assert run.findings == ()
    assert told == ["tool 't': exit status 3: cannot find its data"]


# -- which tools -------------------------------------------------------------------------------------


def test_tools_are_chosen_by_always_and_by_name() -> None:
    tools = {"a": ToolConfig(command="a"), "checkpatch": ToolConfig(command="c", always=False)}

    def chosen(*named: str, select: Sequence[str] = (), ignore: Sequence[str] = ()) -> Sequence[str]:
        return [*choose_tools(tools, named, select, ignore)]

    assert chosen() == ["a"]
    assert chosen("checkpatch") == ["a", "checkpatch"]
    assert chosen("checkpatch", ignore=["a", "checkpatch"]) == ["checkpatch"]
    assert chosen(select=["lock-drop"]) == []
    assert chosen(select=["lock-drop", "a/x"]) == ["a"]
    with pytest.raises(InputError, match=r"no tool is named 'checkpatchh', did you mean 'checkpatch'"):
        chosen("checkpatchh")
    with pytest.raises(InputError, match=r"there is no \[tool.zz\] in the configuration"):
        chosen("zz")


def test_rules_of_a_tool_are_selected_and_ignored_like_ours(work: Work) -> None:
    work.commit({"mm/a.c": "int BAD;\n"})
    run = work.run(PATCH)

    def left(select: Sequence[str] = (), ignore: Sequence[str] = ()) -> list[str]:
        return [finding.rule for finding in run.wanted(select, ignore).findings]

    assert left() == ["t/BAD_WORD", "t/MISSING_WORD"]
    assert left(ignore=["t/BAD_WORD"]) == ["t/MISSING_WORD"]
    assert left(select=["t/BAD_WORD", "other"]) == ["t/BAD_WORD"]
    assert left(select=["t"]) == ["t/BAD_WORD", "t/MISSING_WORD"]
    assert left(select=["other"]) == ["t/BAD_WORD", "t/MISSING_WORD"]  # was asked for by name
    assert left(ignore=["t"]) == []


# -- the real ones -----------------------------------------------------------------------------------

needs_sparse = pytest.mark.skipif(shutil.which("sparse") is None, reason="needs sparse")
needs_spatch = pytest.mark.skipif(shutil.which("spatch") is None, reason="needs spatch (coccinelle)")


@needs_sparse
def test_sparse_finds_what_a_patch_brought(work: Work) -> None:
    before = "static int old(int *p)\n{\n\treturn p == 0;\n}\n"
    work.commit({"mm/a.c": before, "include/x.h": "#define X 1\n"})
    after = '#include "../include/x.h"\nstatic int now(int *p)\n{\n\treturn X && p == 0;\n}\n'
    work.commit({"mm/a.c": before + after})
    tool = ToolConfig(command="sparse -Wnon-pointer-null {file}", on="files", checkout="tree")
    run = work.run(tool)
    assert run.not_run == ()
    assert (new(run), old(run)) == ([("mm/a.c", 8, "t/warning")], [("mm/a.c", 3)])
    (finding,) = (f for f in run.findings if not f.preexisting)
    assert finding.message == "Using plain integer as NULL pointer"
    assert finding.span.text[finding.span.column - 1] == "0"
    assert finding.function == "now"


COCCI = """\
virtual report
@r@
expression E;
position p;
@@
E ==@p 0
@script:python depends on report@
p << r.p;
@@
coccilib.report.print_report(p[0], "WARNING comparing to 0")
"""


@needs_spatch
def test_spatch_finds_what_a_patch_brought(work: Work, tmp_path: Path) -> None:
    rule = tmp_path / "zero.cocci"
    rule.write_text(COCCI)
    work.commit({"mm/a.c": "int f(int a)\n{\n\treturn a == 0;\n}\n"})
    work.commit(
        {"mm/a.c": "int f(int a)\n{\n\treturn a == 0;\n}\n\nint g(int b)\n{\n\tif (b == 0)\n\t\treturn 1;\n}\n"}
    )
    command = f"spatch --very-quiet -D report --sp-file {rule} {{files}}"
    run = work.run(ToolConfig(command=command, on="files"))
    assert run.not_run == ()
    assert (new(run), old(run)) == ([("mm/a.c", 8, "t/warning")], [("mm/a.c", 3)])
    (finding,) = (f for f in run.findings if not f.preexisting)
    assert finding.span.text[finding.span.column - 1 : finding.span.end_column - 1].startswith("=")
