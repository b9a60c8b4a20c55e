# SPDX-License-Identifier: GPL-2.0-or-later
"""reviewbot.baseline: what is written, what is read, what is refused, and which entries nothing needs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from mails import mail

from reviewbot.baseline import HEADER, Baseline, Entry, read_baseline, unused, write_baseline
from reviewbot.c.code import Code
from reviewbot.engine import review
from reviewbot.finding import Fault, NotRun, Review
from reviewbot.mail import local_series
from reviewbot.mime import parse_mail
from reviewbot.model import Confidence, ConfigError, InputError, NotFoundError, ReviewbotError, Series, Severity
from reviewbot.output.text import summary
from reviewbot.rule import Report, Rule, Scope
from reviewbot.selection import Selection, select

OLD, RAW = "test/old", "test/raw"
OLD_LINE, RAW_LINE = "old(mm);", "raw(mm);"
ENTRY = "0123456789abcdef\tvma/x\tmm/x.c\twhat is wrong\tmm: x"


def rule(name: str) -> Rule:
    """A rule that reports every call of the second half of its name."""
    word = name.split("/")[1]

    def calls(code: Code) -> Iterator[Report]:
        for call in code.calls(word):
            yield Report(call.tokens, f"{word}() is called")

    return Rule(
        name=name, id=word, severity=Severity.ERROR, confidence=Confidence.HIGH, since=None, until=None, scope=Scope(),
        words=(word,), style=False, needs="diff", yields_to=(), build=False, summary="x", check=calls,
    )  # fmt: skip


RULES = [rule(OLD), rule(RAW)]


def diff(path: str, *lines: str) -> str:
    added = "".join(f"+\t{line}\n" for line in lines)
    return (
        f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n"
        f"@@ -10,2 +10,{2 + len(lines)} @@ int walk(struct mm_struct *mm)\n \tint ret;\n{added} \treturn ret;\n"
    )


def posted(*diffs: str, title: str = "mm: x") -> Series:
    """A series of patches, each with one of the diffs, and the title with its number."""
    count = len(diffs)
    mails = [
        parse_mail(mail(f"[PATCH {n}/{count}] {title}{n}", f"Do it.\n---\n\n{text}-- \n2.39.5\n", f"{n}@x"))
        for n, text in enumerate(diffs, 1)
    ]
    (series,) = local_series(mails)
    return series


def reviewed(*diffs: str, title: str = "mm: x", known: Baseline | None = None) -> Review:
    return select(review(posted(*diffs, title=title), RULES), Selection(known=known.known if known else {}))


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "known.txt")


def kept(text: str, file: str) -> Baseline:
    Path(file).write_text(text)
    return read_baseline(file)


def test_what_was_written_hides_just_what_was_found(file: str) -> None:
    before = reviewed(diff("mm/x.c", OLD_LINE), diff("mm/y.c", RAW_LINE))
    assert write_baseline(file, [before]) == 2
    known = read_baseline(file)
    after = reviewed(diff("mm/x.c", "ret = 1;", OLD_LINE), diff("mm/y.c", RAW_LINE, OLD_LINE), known=known)
    assert [(f.span.path, f.rule, f.why_not_shown) for f in after.findings] == [
        ("mm/x.c", OLD, f"ignored: in baseline '{file}'"),
        ("mm/y.c", RAW, f"ignored: in baseline '{file}'"),
        ("mm/y.c", OLD, None),
    ]
    assert summary(after) == "2 patches, 1 error; 2 ignored"
    assert unused(known, [after]) == ()


def test_a_file_is_a_header_and_a_sorted_line_for_each_finding(file: str) -> None:
    found = reviewed(diff("mm/x.c", OLD_LINE), diff("mm/y.c", RAW_LINE))
    write_baseline(file, [found])
    lines = Path(file).read_text().split("\n")
    assert (lines[0], lines[-1]) == (HEADER, "")
    assert lines[1:-1] == sorted(
        f"{f.fingerprint}\t{f.rule}\t{f.span.path}\t{f.message}\tmm: x{f.patch.index}" for f in found.findings
    )


def test_the_places_that_are_told_with_a_finding_are_known_with_it(file: str) -> None:
    before = reviewed(diff("mm/x.c", OLD_LINE, "ret = 1;", OLD_LINE, "ret = 2;", OLD_LINE))
    assert [f.why_not_shown for f in before.findings] == [None, "folded", "folded"]
    assert write_baseline(file, [before]) == 3
    after = reviewed(diff("mm/x.c", OLD_LINE, "ret = 1;", OLD_LINE, "ret = 2;", OLD_LINE), known=read_baseline(file))
    assert after.shown == ()


def test_what_is_hidden_for_another_reason_is_not_written(file: str) -> None:
    series = posted(diff("mm/x.c", OLD_LINE), diff("mm/y.c", RAW_LINE))
    hidden = select(review(series, RULES), Selection(ignore=(OLD,)))
    assert write_baseline(file, [hidden]) == 1
    assert [entry.rule for entry in read_baseline(file).entries] == [RAW]


def test_a_baseline_that_is_written_again_keeps_what_is_still_found_and_nothing_else(file: str) -> None:
    write_baseline(file, [reviewed(diff("mm/x.c", OLD_LINE), diff("mm/y.c", RAW_LINE))])
    fixed = reviewed(diff("mm/x.c", OLD_LINE), diff("mm/y.c", "ret = 1;"), known=read_baseline(file))
    assert fixed.shown == ()
    assert write_baseline(file, [fixed]) == 1
    assert [entry.path for entry in read_baseline(file).entries] == ["mm/x.c"]
    assert write_baseline(file, []) == 0
    assert Path(file).read_text() == HEADER + "\n"
    assert read_baseline(file).entries == ()


def test_the_words_of_a_stranger_stay_in_their_column(file: str) -> None:
    found = reviewed(diff("mm/x.c", OLD_LINE), title="a\\b \u202e\u00e4 ")
    (finding,) = found.findings
    odd = finding._replace(span=finding.span._replace(path="mm/a\tb\n\x1b\udcff.c"), message="x\u2028y\rz")
    write_baseline(file, [found._replace(findings=(odd,))])
    (entry,) = read_baseline(file).entries
    assert entry[2:] == ("mm/a\\tb\\n\\x1b\\udcff.c", "x\\u2028y\\rz", "a\\\\b \\u202eä 1")


# -- reading ----------------------------------------------------------------------------------------


def test_comments_empty_lines_and_doubled_entries_are_no_trouble(file: str) -> None:
    text = f"{HEADER}\r\n# judged by Ada\n\n{ENTRY}\r\n{ENTRY}\n"
    assert kept(text, file).entries == (Entry("0123456789abcdef", "vma/x", "mm/x.c", "what is wrong", "mm: x"),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", f"'FILE' is no baseline: its first line is not '{HEADER}'"),
        ("int main;\n", f"'FILE' is no baseline: its first line is not '{HEADER}'"),
        (f"{HEADER}.5\n", f"'FILE' is no baseline: its first line is not '{HEADER}'"),
        ("# reviewbot baseline 2\n", "'FILE' line 1 is of version 2: this reviewbot reads version 1"),
        (
            f"{HEADER}\n\n{ENTRY}\tx\n",
            "'FILE' line 3 is no entry: fingerprint, rule, path, message and patch are expec",
        ),
        (
            f"{HEADER}\n{ENTRY[:30]}\n",
            "'FILE' line 2 is no entry: fingerprint, rule, path, message and patch are expec",
        ),
        (f"{HEADER}\nx{ENTRY}\n", "'FILE' line 2 is no entry: fingerprint, rule, path, message and patch are expected"),
        (
            f"{HEADER}\n{ENTRY}\n<<<<<<< HEAD\n",
            "'FILE' line 3 is of a merge that is not done: keep the entries of both",
        ),
        (f"{HEADER}\n" + "#" * 2**22, "'FILE' is too large for a baseline: 4 MiB are allowed"),
    ],
)
def test_what_is_broken_in_a_file_is_said_with_its_line(file: str, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        kept(text, file)
    assert str(caught.value).startswith(said.replace("FILE", file))


def test_a_file_that_cannot_be_read_is_one_line(file: str, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=f"^cannot open '{file}': No such file or directory: --write-baseline make"):
        read_baseline(file)
    os.mkfifo(tmp_path / "fifo")
    for name in (str(tmp_path), str(tmp_path / "fifo"), "/dev/zero"):
        with pytest.raises(ConfigError, match=f"^'{name}' is no regular file: a baseline is one$"):
            read_baseline(name)
    Path(file).write_bytes(HEADER.encode() + b"\n\xff")
    with pytest.raises(ConfigError, match=f"^cannot read '{file}': not UTF-8$"):
        read_baseline(file)


# -- writing ----------------------------------------------------------------------------------------


def test_nothing_but_a_baseline_is_ever_written_over(file: str, tmp_path: Path) -> None:
    found = [reviewed(diff("mm/x.c", OLD_LINE))]
    source = tmp_path / "x.c"
    source.write_text("int main;\n")
    with pytest.raises(InputError, match=f"^'{source}' is there and is no baseline: name another file, or remove it$"):
        write_baseline(str(source), found)
    assert source.read_text() == "int main;\n"
    os.symlink(source, file)
    with pytest.raises(InputError, match=f"^'{file}' is a symbolic link: name the file that is to be written$"):
        write_baseline(file, found)
    with pytest.raises(InputError, match=r"^'/dev/null' is no regular file: "):
        write_baseline("/dev/null", found)
    with pytest.raises(InputError, match=f"^'{tmp_path}' is no regular file"):
        write_baseline(str(tmp_path), found)
    with pytest.raises(InputError, match=f"^cannot write '{tmp_path}/none/x': No such file or directory$"):
        write_baseline(f"{tmp_path}/none/x", found)
    assert sorted(os.listdir(tmp_path)) == ["known.txt", "x.c"]


def test_an_empty_file_may_be_written_over(file: str) -> None:
    Path(file).touch()
    assert write_baseline(file, [reviewed(diff("mm/x.c", OLD_LINE))]) == 1


def test_a_baseline_that_could_not_be_written_is_as_it_was(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept(f"{HEADER}\n{ENTRY}\n", file)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ReviewbotError, match=f"^cannot write '{file}': No space left on device$"):
        write_baseline(file, [reviewed(diff("mm/x.c", OLD_LINE))])
    assert Path(file).read_text() == f"{HEADER}\n{ENTRY}\n"
    assert os.listdir(os.path.dirname(file)) == ["known.txt"]


# -- entries that nothing needs ---------------------------------------------------------------------


@pytest.fixture
def known(file: str) -> Baseline:
    """Of a series of two patches with a finding each."""
    write_baseline(file, [reviewed(diff("mm/x.c", OLD_LINE), diff("mm/y.c", RAW_LINE))])
    return read_baseline(file)


def test_what_was_fixed_in_its_patch_is_unused(known: Baseline) -> None:
    fixed = reviewed(diff("mm/x.c", OLD_LINE), diff("mm/y.c", "ret = 1;"), known=known)
    (entry,) = unused(known, [fixed])
    assert str(entry).startswith("mm/y.c: ")
    assert str(entry).endswith(f" [{RAW}] in 'mm: x2'")


def test_a_fix_in_a_file_that_the_patch_has_left_is_seen(known: Baseline) -> None:
    moved = reviewed(diff("mm/x.c", OLD_LINE), diff("mm/z.c", "ret = 1;"))
    assert [entry.path for entry in unused(known, [moved])] == ["mm/y.c"]


def test_another_series_says_nothing_of_an_entry(known: Baseline) -> None:
    other = reviewed(diff("mm/x.c", "ret = 1;"), diff("mm/y.c", "ret = 1;"), title="mm: other ")
    assert unused(known, [other]) == ()
    assert unused(known, []) == ()


def test_a_patch_that_was_not_looked_at_says_nothing(known: Baseline) -> None:
    fixed = reviewed(diff("mm/x.c", "ret = 1;"), diff("mm/y.c", "ret = 1;"))
    assert [entry.path for entry in unused(known, [fixed._replace(only=(1,))])] == ["mm/x.c"]
    fault = Fault(fixed.series.patches[1].mail, 2, 1, "cannot be read", "")
    assert [entry.path for entry in unused(known, [fixed._replace(errors=(fault,))])] == ["mm/x.c"]
    assert unused(known, [fixed._replace(errors=(fault._replace(patch=None),))]) == ()


def test_a_rule_that_was_not_run_says_nothing(known: Baseline) -> None:
    fixed = reviewed(diff("mm/x.c", "ret = 1;"), diff("mm/y.c", "ret = 1;"))
    assert [entry.rule for entry in unused(known, [fixed], {OLD, "vma/x"})] == [OLD]
    assert [entry.rule for entry in unused(known, [fixed._replace(not_run=(NotRun(OLD, "needs --tree"),))])] == [RAW]
    assert len(unused(known, [fixed])) == 2


def test_an_entry_that_a_hidden_finding_has_is_used(known: Baseline) -> None:
    hidden = select(review(posted(diff("mm/x.c", OLD_LINE), diff("mm/y.c", RAW_LINE)), RULES), Selection(ignore=(OLD,)))
    assert unused(known, [hidden]) == ()
