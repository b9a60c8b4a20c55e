# SPDX-License-Identifier: GPL-2.0-or-later
"""output/full.py where the screen has a width or hyperlinks; without, test_output.py and the golden files hold it.

Belongs here: what the width does to a frame, where its carets stand, where hyperlinks lead. Pure.
"""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

import pytest
from golden_cases import CASES
from hypothesis import example, given, settings
from hypothesis import strategies as st
from reviews import at, finding, patch_of, raw_mail, replace, review, simple
from test_output import hostile_review, hostile_text

from reviewbot.finding import Review
from reviewbot.model import Severity, SpanKind
from reviewbot.output import render
from reviewbot.output.text import Screen, advance, harmless

ROOT = "/src/li nux"
FILES = f"file://{os.uname().nodename}/src/li%20nux"
DOCS = "https://example.org/rules/"
LINK = re.compile(r"\x1b\]8;;([!-~]*)\x1b\\")
STYLE = re.compile(r"\x1b\[[0-9;]*m")
FRAME = ("    | ", "  > | ")


def drawn(
    found: Review, width: int | None, root: str | None = None, docs: str | None = None, *, color: bool = False
) -> list[str]:
    """The lines of a review in that width."""
    return render("full", [found], Screen(color, width, root, docs)).splitlines()


def framed(found: Review, width: int) -> list[str]:
    """The rows of the frame: code, carets and what stands below these."""
    return [line for line in drawn(found, width) if line.startswith(FRAME)]


def one_line(code: str, words: str, *related: tuple[str, str], message: str = "m") -> Review:
    """A finding at `words` of the only line of a patch, with remarks to other words of it."""
    patch = patch_of(raw_mail(diff=f"--- a/mm/x.c\n+++ b/mm/x.c\n@@ -0,0 +1 @@\n+{code}\n"))
    return review(
        finding(patch, at(patch, words), message, "vma/x", related=tuple((at(patch, w), said) for w, said in related))
    )


def under(code: str, carets: str) -> str:
    """What of a code line the carets of another stand below; tabs as wide as they are."""
    cells: list[str] = []
    for char in code:
        size = advance(len(cells), char) - len(cells)
        if size:
            cells += [char, *[""] * (size - 1)]
        else:
            cells[-1] += char
    row = carets.expandtabs(8)
    first = row.index("^")
    return "".join(cells[first : first + row.count("^")])


def test_a_screen_without_a_width_or_wide_enough_changes_nothing() -> None:
    for case in CASES.values():
        found = case()
        assert render("full", [found], Screen(width=5000)) == render("full", [found]) or "..." in render(
            "full", [found]
        )
    assert drawn(simple(), 200) == drawn(simple(), None)


@pytest.mark.parametrize("width", [40, 41, 57, 80, 133])
@pytest.mark.parametrize("case", CASES)
def test_every_line_of_a_frame_fits(case: str, width: int) -> None:
    suggested = False
    for line in drawn(CASES[case](), width):
        suggested = line.startswith("    = suggestion:") or (suggested and line.startswith("    | "))
        if line.startswith(FRAME) and not suggested:
            assert advance(0, line) <= width, line
        elif advance(0, line) > width and not suggested:
            # what cannot be broken: a path, a rule's name
            assert advance(0, line.strip().split(" ")[-1]) > width - 12, line


@pytest.mark.parametrize("width", range(40, 110, 7))
@pytest.mark.parametrize(
    "code",
    [
        "\tif (first(a) &&\tput_user(v, p) /* " + "x " * 60 + "*/)",
        "\t\t\t" + "中文 " * 30 + "put_user(v, p);",
        "a" * 300 + " put_user(v, p) " + "b" * 300,
        "put_user(v, p)" + "\t" * 40,
        "\x1b[1m" * 20 + "put_user(v, p)",
        "\t\t\t\t\tput_user(v, p)",
        "e\u0301" * 90 + "put_user(v, p)",
    ],
)
def test_carets_stand_below_their_code_in_any_width(code: str, width: int) -> None:
    rows = framed(one_line(code, "put_user(v, p)"), width)
    assert under(*rows) == "put_user(v, p)"
    assert all(advance(0, row) <= width for row in rows)


def test_a_mark_wider_than_the_screen_begins_where_it_begins_and_ends_at_the_edge() -> None:
    words = "put_user(" + "v" * 200 + ")"
    rows = framed(one_line(f"\tx = 1;\t{words};", words), 60)
    assert under(*rows).startswith("put_user(vvv")
    assert advance(0, rows[1]) <= 60


def test_the_findings_own_place_is_what_is_seen_of_a_long_line() -> None:
    found = one_line("lock(mm); " + "x " * 100 + "put_user(v, p);", "put_user(v, p)", ("lock(mm)", "taken here"))
    code, taken, _ = framed(found, 60)
    assert "put_user(v, p)" in code
    # at the dots: what it is about is left of them
    assert taken.endswith("^ taken here")
    assert code.index("...") == taken.index("^")


def test_what_stands_about_a_mark_is_seen_on_both_sides() -> None:
    code, _ = framed(one_line("a " * 99 + "put_user(v, p)" + " b" * 99, "put_user(v, p)"), 80)
    assert code.startswith("  > |    1 +...")
    assert code.endswith("...")
    before, after = code.split("put_user(v, p)")
    assert abs(len(before) - len("  > |    1 +") - len(after)) <= 4


def test_a_caret_behind_the_last_character_fits() -> None:
    for size in range(20, 32):
        patch = patch_of(raw_mail(diff="--- a/x.c\n+++ b/x.c\n@@ -0,0 +1 @@\n+" + "y" * size + "\n"))
        span = replace(at(patch, "y"), column=size + 1, end_column=size + 1)
        rows = framed(review(finding(patch, span)), 40)
        assert rows[1].index("^") == len(rows[0])
        assert all(len(row) <= 40 for row in rows)


def test_a_long_remark_goes_below_its_carets() -> None:
    remark = "the lock that kept it alive is taken here and dropped in the next line"
    lines = drawn(one_line("\tlock(mm); put_user(v, p);", "put_user(v, p)", ("lock(mm)", remark)), 60)
    assert lines[3] == "    |       \t^^^^^^^^"
    assert lines[4:6] == [
        "    |           the lock that kept it alive is taken here",
        "    |           and dropped in the next line",
    ]


def test_a_remark_below_carets_at_the_edge_still_has_room() -> None:
    remark = "a remark of some length"
    lines = drawn(one_line("\t" * 4 + "lock(mm); x", "x", ("lock(mm)", remark)), 52)
    assert lines[4].endswith(remark)
    assert advance(0, lines[4]) <= 52


def test_a_title_and_a_subject_are_wrapped_and_a_path_is_not() -> None:
    patch = patch_of(raw_mail("[PATCH v2 3/7] mm: " + "report " * 12))
    path = "drivers/" + "very_long_name/" * 4 + "x.c"
    lines = drawn(review(finding(patch, replace(at(patch, "put_user"), path=path), "word " * 20 + "end")), 50)
    assert lines[0].startswith("error: word word")
    assert lines[1].startswith("    word")
    where = next(line for line in lines if line.startswith(" --> "))
    assert where == f" --> {path}:31:8"
    after = lines[lines.index(where) + 1]
    assert after.startswith("     [PATCH v2 3/7] mm: report")
    assert " ".join(line.strip() for line in lines).count("report") == 12


def test_a_terminal_narrower_than_sense_is_taken_for_one_of_forty_columns() -> None:
    for width in (0, 1, 39):
        assert drawn(simple(), width) == drawn(simple(), 40)


def test_a_place_far_away_and_one_in_another_file_are_shown_with_their_lines() -> None:
    patch = patch_of(raw_mail())
    related = ((at(patch, "sched.h"), "needed by"), (at(patch, "down_read"), "taken again"))
    lines = drawn(review(finding(patch, at(patch, "put_user"), related=related)), 100)
    assert lines[2:-3] == [
        "  > |   31 +\tret = put_user(v, p);",
        "    |       \t      ^^^^^^^^",
        "    ...",
        "    |   87 +\tdown_read(&mm->mmap_sem);",
        "    |       \t^^^^^^^^^ taken again",
        " ::: mm/bar.c:2:17",
        "    |    2 +#include <linux/sched.h>",
        "    |                       ^^^^^^^ needed by",
    ]


@pytest.mark.parametrize("width", [None, 50, 100])
def test_hyperlinks_and_colour_take_no_room(width: int | None) -> None:
    for case in CASES.values():
        plain = "\n".join(drawn(case(), width))
        for color in (False, True):
            linked = "\n".join(drawn(case(), width, root=ROOT, docs=DOCS, color=color))
            assert STYLE.sub("", LINK.sub("", linked)) == plain


def test_places_lead_to_files_and_rules_to_their_pages() -> None:
    patch = patch_of(raw_mail())
    found = review(finding(patch, at(patch, "put_user"), related=((at(patch, "sched.h"), "x"),)))
    page = f"{DOCS}mmap-lock/user-access-under-lock"
    addresses = LINK.findall("\n".join(drawn(found, 80, ROOT, DOCS)))
    assert addresses == [page, "", f"{FILES}/mm/foo.c", "", f"{FILES}/mm/bar.c", "", page, ""]
    # no address that a browser opens
    assert LINK.findall("\n".join(drawn(found, 80, docs="javascript:alert(1)"))) == []
    # into a file
    assert LINK.findall("\n".join(drawn(found, None, ROOT, DOCS))) == []
    # a mail is no file of the tree
    message = review(finding(patch, at(patch, "Report", SpanKind.MESSAGE)))
    assert LINK.findall("\n".join(drawn(message, 80, root=ROOT))) == []


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "mm/../../x", ""])
def test_a_path_that_leads_out_of_the_tree_is_no_hyperlink(path: str) -> None:
    patch = patch_of(raw_mail())
    found = review(finding(patch, replace(at(patch, "put_user"), path=path)))
    assert LINK.findall("\n".join(drawn(found, 80, root=ROOT))) == []


@given(hostile_text(), st.one_of(st.none(), st.integers(0, 120)), st.booleans())
@example("\x1b\\\x1b]8;;https://evil.example\x1b\\", 40, True)
@example("a;b\x07?#%\x9c", None, True)
@settings(deadline=None)
def test_nothing_of_a_stranger_acts_on_a_terminal_in_any_width(text: str, width: int | None, color: bool) -> None:
    out = render("full", [hostile_review(text)], Screen(color, width, ROOT, DOCS))
    assert all(harmless(char) or char in "\n\t" for char in STYLE.sub("", LINK.sub("", out)))
    addresses = LINK.findall(out)
    assert all(address.startswith((f"{FILES}/", DOCS)) for address in addresses[::2])
    assert not any(addresses[1::2])
    assert all(".." not in unquote(address).split("/") for address in addresses)


@given(hostile_text(), st.integers(0, 300), st.integers(0, 40), st.integers(40, 100))
@settings(deadline=None)
def test_a_row_of_any_text_fits(text: str, begin: int, size: int, width: int) -> None:
    patch = patch_of(raw_mail())
    begin = min(begin, len(text))
    span = replace(at(patch, "put_user"), text=text, column=begin + 1, end_column=min(len(text), begin + size) + 1)
    found = review(finding(patch, span, severity=Severity.NOTE))
    rows = [line for line in drawn(found, width) if line.startswith(FRAME)]
    assert len(rows) == 2
    assert all(advance(0, row) <= width for row in rows)


def test_a_line_of_a_megabyte_is_cut() -> None:
    lines = drawn(one_line("x" * 1_000_000 + " put_user(v, p)", "put_user(v, p)"), 80)
    assert max(map(len, lines)) <= 80
