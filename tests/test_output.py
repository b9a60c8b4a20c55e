# SPDX-License-Identifier: GPL-2.0-or-later
"""output/: the formats for people and for programs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import import_module

import pytest
from golden_cases import CASES, compare
from hypothesis import given, settings
from hypothesis import strategies as st
from reviews import at, finding, patch_of, raw_mail, replace, review, simple

from reviewbot.finding import Fault, Review
from reviewbot.model import ConfigError, Severity, SpanKind
from reviewbot.output import FORMATS, render
from reviewbot.output.text import Screen, advance, blank, clean, harmless, summary

DESIGN = """\
error: put_user() may fault with mmap_lock held [mmap-lock/user-access-under-lock]
 --> mm/foo.c:31:8  [PATCH v2 3/7] mm: report ranges
    |   29 +	mmap_read_lock(mm);
    |       	^^^^^^^^^^^^^^ lock taken here
  > |   31 +	ret = put_user(v, p);
    |       	      ^^^^^^^^
    = reviewbot rules mmap-lock/user-access-under-lock

7 patches, 1 error; 2 notes hidden (--strict), 1 ignored, 2 rules not run (need --tree)
"""


def hostile_text() -> st.SearchStrategy[str]:
    """Text of any characters, lone surrogates too; what is dangerous comes often."""
    some = st.sampled_from("\x1b\x9b\x07\r\n\t\x7f\u202e\u2066\u2069\u200b\ufeff\u2028\udc80\ud800中é\U000e0041 aZ=?")
    return st.text(st.one_of(some, st.characters(exclude_categories=()))).map(str)


def hostile_review(text: str) -> Review:
    """`text` wherever a stranger's text can stand."""
    patch = patch_of(raw_mail())
    patch = replace(patch, mail=replace(patch.mail, subject=text, message_id=text))
    span = replace(at(patch, "put_user"), text=text, path=text, column=1 + len(text) // 2, end_column=len(text) + 1)
    fault = Fault(patch.mail, 3, 7, text, text)
    one = finding(patch, span, text, related=((span, text),), places=(span,), suggestion=text)
    header = replace(one, span=replace(span, kind=SpanKind.HEADER))
    return review(one, header, replace(one, shown=False, why_not_shown=text), errors=(fault,))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["full", "terse", "json", "rdjsonl", "sarif", "github", "b4"])
def test_output_is_byte_for_byte_what_the_golden_file_holds(
    case: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a rule's page and the version are written down elsewhere
    monkeypatch.setattr("reviewbot.registry.load", lambda: ())
    monkeypatch.setattr("reviewbot.registry.known", lambda _name: None)
    monkeypatch.setattr("reviewbot.output.sarif.__version__", "0")
    compare(case, name + ".out", render(name, [CASES[case]()]).encode())


def test_the_example_of_the_design_comes_out_as_pinned() -> None:
    assert render("full", [simple()]) == DESIGN


@given(hostile_text())
@settings(deadline=None)
def test_nothing_that_acts_on_a_terminal_gets_out_of_any_format(text: str) -> None:
    found = hostile_review(text)
    for name in FORMATS:
        out = render(name, [found])
        assert all(harmless(char) or char in "\n\t" for char in out)
        assert not out or out.encode().endswith(b"\n")


@given(hostile_text())
@settings(deadline=None)
def test_a_line_of_text_stays_one_line_in_terse(text: str) -> None:
    assert render("terse", [hostile_review(text)]).count("\n") == 3


@given(hostile_text())
@settings(deadline=None)
def test_json_gives_back_every_text_that_can_be_written(text: str) -> None:
    document = json.loads(render("json", [hostile_review(text)]).encode())
    assert document["findings"][0]["message"] == re.sub("[\ud800-\udfff]", "\ufffd", text)


@given(hostile_text())
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\x1b[31m", "^[[31m"),
        ("\x7f", "^?"),
        ("\x9b", "<U+009B>"),
        ("\u202e\u2066", "<U+202E><U+2066>"),
        ("\u200b\udc80", "<U+200B><U+DC80>"),
        ("a\tb", "a^Ib"),
        ("中 é", "中 é"),
    ],
)
def test_control_characters_become_visible(text: str, seen: str) -> None:
    assert clean(text) == seen


def test_tabs_stay_where_they_are_asked_for() -> None:
    assert clean("a\tb\x1b", tabs=True) == "a\tb^["


@given(hostile_text(), st.integers(0, 12))
def test_white_space_below_a_text_is_as_wide_as_the_text(text: str, column: int) -> None:
    shown = clean(text, tabs=True)
    assert advance(column, blank(shown)) == advance(column, shown)


@pytest.mark.parametrize(
    "line", ["\tx = f(a);", "x\t=\tf(a);", "/* 中文 */\tx = f(a);", "\x1b[1m x = f(a);", "e\u0301 = f(a);", "f(a);"]
)
def test_carets_stand_below_the_span(line: str) -> None:
    patch = patch_of(raw_mail())
    column = line.index("f(a)") + 1
    span = replace(at(patch, "put_user"), text=line, column=column, end_column=column + 4)
    _, _, code, carets, *_ = render("full", [review(finding(patch, span))]).splitlines()
    begin = advance(0, code[: code.index("f(a)")])
    assert advance(0, carets[: carets.index("^")]) == begin
    assert advance(0, carets) == begin + 4


def test_a_span_of_several_lines_is_underlined_to_the_end_of_its_first() -> None:
    patch = patch_of(raw_mail())
    span = replace(at(patch, "put_user"), end_line=33, end_column=2)
    assert "      ^^^^^^^^^^^^^^^\n" in render("full", [review(finding(patch, span))])


def test_an_empty_span_gets_one_caret() -> None:
    patch = patch_of(raw_mail())
    span = replace(at(patch, "put_user"), end_column=8)
    assert "      ^\n" in render("full", [review(finding(patch, span))])


def test_a_long_line_is_cut_about_its_span() -> None:
    diff = "--- a/x.c\n+++ b/x.c\n@@ -0,0 +1 @@\n+" + "a " * 900 + "put_user(v, p)" + " b" * 100 + "\n"
    patch = patch_of(raw_mail(diff=diff))
    lines = render("full", [review(finding(patch, at(patch, "put_user")))]).splitlines()
    assert max(map(len, lines)) < 240
    assert lines[2].index("put_user") == lines[3].index("^")
    assert lines[2].count("...") == 2


def test_dots_stand_where_more_than_one_line_is_left_out() -> None:
    patch = patch_of(raw_mail())
    near, far = at(patch, "find_vma"), at(patch, "might_sleep")
    for other, dots in ((near, 0), (far, 1)):
        found = review(finding(patch, at(patch, "put_user"), related=((other, "x"),)))
        assert render("full", [found]).count("\n    ...\n") == dots


def test_a_removed_line_stands_between_its_neighbours_and_keeps_its_mark() -> None:
    patch = patch_of(raw_mail())
    gone = at(patch, "ret = 0", SpanKind.REMOVED)
    related = ((at(patch, "pr_debug"), "after"), (at(patch, "put_user"), "before"))
    out = render("full", [review(finding(patch, gone, related=related))])
    assert re.findall(r"\| +(\d+ .)\t", out) == ["31 +", "26 -", "32  "]
    assert "..." not in out


def test_a_related_place_in_another_file_is_named() -> None:
    patch = patch_of(raw_mail())
    related = ((at(patch, "sched.h"), "x"),)
    out = render("full", [review(finding(patch, at(patch, "put_user"), related=related))])
    assert " ::: mm/bar.c:2:17\n    |    2 +#include <linux/sched.h>\n" in out


def test_findings_are_printed_by_patch_and_then_by_line() -> None:
    one, two = patch_of(raw_mail(), 1), patch_of(raw_mail(), 2)
    fault = Fault(two.mail, 2, 1, "broken", "x")
    found = review(finding(two, at(two, "put_user"), "c"), finding(one, at(one, "down_read"), "b"),
                   finding(one, at(one, "put_user"), "a"), errors=(fault,))  # fmt: skip
    out = render("terse", [found])
    assert re.findall(r"error: (\w+)", out) == ["a", "b", "broken", "c"]


def test_colour_changes_nothing_but_the_colour() -> None:
    for case in CASES.values():
        plain, painted = (render("full", [case()], Screen(color=color)) for color in (False, True))
        assert "\x1b[" in painted
        assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == plain


def test_hidden_findings_are_in_json_alone() -> None:
    patch = patch_of(raw_mail())
    found = review(finding(patch, at(patch, "put_user"), "hidden one", hidden="low confidence"), patches=(patch,))
    assert "hidden one" not in render("full", [found])
    assert render("terse", [found]) == ""
    (only,) = json.loads(render("json", [found]))["findings"]
    assert (only["shown"], only["why_not_shown"]) == (False, "low confidence")


@pytest.mark.parametrize(
    ("hidden", "line"),
    [
        ([], "1 patch, no findings"),
        (["severity"], "1 patch, no findings; 1 note hidden (--strict)"),
        (["severity", "low confidence"], "1 patch, no findings; 1 note, 1 of low confidence hidden (--strict)"),
        (["ignored: severity", "ignored: low confidence"], "1 patch, no findings; 2 ignored"),
        (["preexisting", "folded", "baseline"], "1 patch, no findings; 1 baseline, 1 preexisting"),
    ],
)
def test_the_summary_says_what_is_held_back_and_why(hidden: list[str], line: str) -> None:
    patch = patch_of(raw_mail())
    span = at(patch, "put_user")
    found = [finding(patch, span, severity=Severity.NOTE, hidden=why) for why in hidden]
    assert summary(review(*found, patches=(patch,))) == line


def test_a_fault_counts_as_an_error_in_the_summary() -> None:
    patch = patch_of(raw_mail())
    found = review(patches=(patch,), errors=(Fault(patch.mail, 3, 9, "hunk is corrupt", "+x"),))
    assert summary(found) == "1 patch, 1 error"
    said = "error: cannot read the diff: hunk is corrupt\n --> <20240506.3-ann@example.org>:9  "
    assert said in render("full", [found])


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="unknown format 'xml'; there are: full, terse, json"):
        render("xml", [simple()])


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_starts_fast(name: str) -> None:
    module = import_module(FORMATS[name]).__name__
    heavy = ("jinja2", "requests", "b4", "liblore", "email")
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
