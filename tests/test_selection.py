# SPDX-License-Identifier: GPL-2.0-or-later
"""reviewbot.selection: what is shown of which file, and what is said of a suppression that does not count.

Belongs here: per-path and refused suppressions. What else is shown and why not stands beside the engine's tests.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from mails import mail

from reviewbot.engine import review
from reviewbot.finding import Finding
from reviewbot.mail import local_series
from reviewbot.mime import parse_mail
from reviewbot.model import Series, SpanKind
from reviewbot.output.text import summary
from reviewbot.registry import find, load
from reviewbot.selection import PathRule, Selection, refused_suppressions, select

# what a tool finds has a family alone
KNOWN = {"sparse"} | frozenset(word for rule in load() for word in (rule.name, rule.name.split("/")[0], rule.id))
OLD = "mmap-lock/direct-mmap-sem"
RULES = [find(OLD)]


def diff(path: str, line: str = "down_read(&mm->mmap_sem);") -> str:
    return (
        f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -10,2 +10,3 @@ int walk(struct mm_struct *mm)\n"
        f" \tint ret;\n+\t{line}\n \treturn ret;\n"
    )


def posted(*diffs: str, message: str = "Do it.", notes: str = "") -> Series:
    """One patch with all of the diffs."""
    text = f"{message}\n---\n{notes}\n\n{''.join(diffs)}-- \n2.39.5\n"
    (series,) = local_series([parse_mail(mail("[PATCH] mm: x", text, "1@x"))])
    return series


def shown(series: Series, rules: Sequence[PathRule]) -> dict[str, str | None]:
    """Why the finding in each file is not shown."""
    reviewed = select(review(series, RULES), Selection(strict=True, per_path=tuple(rules)))
    why = {finding.span.path: finding.why_not_shown for finding in reviewed.findings}
    assert len(why) == len(reviewed.findings) == len(series.patches[0].files)
    return why


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("drivers/staging/", "drivers/staging/x/y.c", True),
        ("drivers/staging/", "drivers/staging/y.c", True),
        ("drivers/staging/", "drivers/staging2/y.c", False),
        ("drivers/staging/", "sound/drivers/staging/y.c", False),
        ("drivers/staging/**", "drivers/staging/x/y.c", True),
        ("drivers/staging/**", "drivers/staging2/y.c", False),
        ("drivers/*/y.c", "drivers/a/b/y.c", True),
        ("drivers/?.c", "drivers/y.c", True),
        ("drivers/[xy].c", "drivers/y.c", True),
        ("drivers/[!xy].c", "drivers/y.c", False),
        ("*.c", "mm/y.c", True),
        ("mm/y.c", "mm/y.c", True),
        ("mm/y", "mm/y.c", False),
        ("y.c", "mm/y.c", False),
        ("MM/y.c", "mm/y.c", False),
        ("mm/y.c", "mm/yxc.c", False),
        ("mm/[", "mm/y.c", False),
        ("mm/+.c", "mm/y.c", False),
    ],
)
def test_a_glob_is_of_the_whole_path(glob: str, path: str, matches: bool) -> None:
    why = f"ignored: per-path '{glob}'" if matches else None
    assert shown(posted(diff(path)), [PathRule(glob, ignore=(OLD,))]) == {path: why}


@pytest.mark.parametrize(
    ("rule", "hidden"),
    [
        (PathRule("mm/", ignore=("mmap-lock",)), True),
        (PathRule("mm/", ignore=("ML01",)), True),
        (PathRule("mm/", ignore=("vma", "PV01")), False),
        (PathRule("mm/", select=("vma",)), True),
        (PathRule("mm/", select=("vma", "ML01")), False),
        (PathRule("mm/", select=("mmap-lock",), ignore=(OLD,)), True),
        (PathRule("mm/"), False),
    ],
)
def test_a_path_names_rules_families_and_ids(rule: PathRule, hidden: bool) -> None:
    assert shown(posted(diff("mm/x.c")), [rule]) == {"mm/x.c": "ignored: per-path 'mm/'" if hidden else None}


def test_of_several_paths_that_match_all_hold() -> None:
    rules = [PathRule("mm/", select=("mmap-lock",)), PathRule("*.c", select=("vma",)), PathRule("*.h", ignore=(OLD,))]
    found = shown(posted(diff("mm/x.c"), diff("mm/x.h"), diff("fs/x.h"), diff("fs/y.c")), rules)
    assert found == {
        "mm/x.c": "ignored: per-path '*.c'",
        "mm/x.h": "ignored: per-path '*.h'",
        "fs/x.h": "ignored: per-path '*.h'",
        "fs/y.c": "ignored: per-path '*.c'",
    }


def test_what_a_path_hides_counts_as_ignored() -> None:
    reviewed = select(review(posted(diff("mm/x.c")), RULES), Selection(per_path=(PathRule("mm/", ignore=(OLD,)),)))
    assert summary(reviewed) == "1 patch, no findings; 1 ignored"


def test_the_first_place_that_is_not_hidden_is_the_one_that_is_shown() -> None:
    series = posted(diff("a/x.c"), diff("b/x.c"), diff("c/x.c"))
    reviewed = select(review(series, RULES), Selection(per_path=(PathRule("a/", ignore=(OLD,)),)))
    (finding,) = reviewed.shown
    assert (finding.span.path, [span.path for span in finding.places]) == ("b/x.c", ["c/x.c"])


def test_a_path_says_nothing_of_what_lies_in_the_mail() -> None:
    reviewed = review(posted(diff("mm/x.c")), RULES)
    (found,) = reviewed.findings

    def hidden(finding: Finding) -> bool:
        selection = Selection(strict=True, per_path=(PathRule("*", ignore=(OLD,)),))
        return not select(reviewed._replace(findings=(finding,)), selection).shown

    assert [kind for kind in SpanKind if hidden(found._replace(span=found.span._replace(kind=kind)))] == [
        SpanKind.SOURCE,
        SpanKind.REMOVED,
    ]


def test_a_glob_of_many_stars_takes_no_time() -> None:
    # exponential time would not end
    path = "mm/" + "a" * 4000 + ".c"
    assert shown(posted(diff(path)), [PathRule("*a" * 100 + "*b", ignore=(OLD,))]) == {path: None}


# -- suppressions that do not count -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("reviewbot: ignore vma", "it gives no reason (write 'reviewbot: ignore RULE reason')"),
        ("  Reviewbot:  IGNORE ML01  ", "it gives no reason (write 'reviewbot: ignore RULE reason')"),
        ("reviewbot: ignore", "it names no rule (write 'reviewbot: ignore RULE reason')"),
        ("reviewbot: ignore vmas it is so", "it names no rule or family that there is, did you mean 'vma'?"),
        ("reviewbot: ignore vma: it is so", "it names no rule or family that there is, did you mean 'vma'?"),
        ("reviewbot: ignore all of it", "it names no rule or family that there is"),
        ("reviewbot: ignore zzzzzz", "it names no rule or family that there is"),
        ("reviewbot: ignore vma,pin it is so", "it names no rule or family that there is, did you mean 'vma'?"),
        ("reviewbot: ignore sparse/x", "it gives no reason (write 'reviewbot: ignore RULE reason')"),
        ("reviewbot: ignore vma/zzzzzzzzzz it is so", "it names no rule or family that there is"),
        ("reviewbot:ignore vma it is so", "it is not understood (write 'reviewbot: ignore RULE reason')"),
        ("reviewbot: ignore: vma it is so", "it is not understood (write 'reviewbot: ignore RULE reason')"),
    ],
)
def test_a_suppression_that_lacks_something_is_refused_with_its_place(line: str, why: str) -> None:
    # the mail's lines: message, ---, three of notes
    (said,) = refused_suppressions(posted(diff("mm/x.c"), notes=f"Since v1:\n\n{line}"), KNOWN)
    assert said == f"<1@x>:5: '{line.strip()}' is refused: {why}"


@pytest.mark.parametrize(
    "line",
    [
        "reviewbot: ignore vma it is so",
        "reviewbot: ignore mmap-lock/direct-mmap-sem -",
        "reviewbot: ignore sparse/address-space it is so",
        "reviewbot: wontfix vma",
        "reviewbot: ignored",
        "> reviewbot: ignore vma",
        "the line reviewbot: ignore vma",
    ],
)
def test_what_counts_and_what_is_none_is_not_refused(line: str) -> None:
    assert list(refused_suppressions(posted(diff("mm/x.c"), notes=line), KNOWN)) == []


def test_what_is_refused_hides_nothing() -> None:
    for line in ("reviewbot: ignore ML01", "reviewbot:ignore ML01 it is so", "reviewbot: ignore: ML01 it is so"):
        series = posted(diff("mm/x.c"), notes=line)
        assert list(refused_suppressions(series, KNOWN))
        assert shown(series, ()) == {"mm/x.c": None}


def test_a_suppression_in_the_commit_message_is_refused_for_its_place() -> None:
    series = posted(diff("mm/x.c"), message="Do it.\n\nreviewbot: ignore ML01 it is so")
    assert list(refused_suppressions(series, KNOWN)) == [
        "<1@x>:3: 'reviewbot: ignore ML01 it is so' is refused: it stands above the ---, put it below"
    ]
    assert shown(series, ()) == {"mm/x.c": None}


def test_the_same_line_twice_is_told_at_both_places() -> None:
    said = list(
        refused_suppressions(posted(diff("mm/x.c"), notes="reviewbot: ignore vma\n\nreviewbot: ignore vma"), KNOWN)
    )
    assert [line.split("'")[0] for line in said] == ["<1@x>:3: ", "<1@x>:5: "]


def test_a_patch_of_nothing_but_suppressions_is_told_in_a_few_lines() -> None:
    notes = "\n".join(f"reviewbot: ignore {'x' * 5000}{n}" for n in range(3000))
    said = list(refused_suppressions(posted(diff("mm/x.c"), notes=notes), KNOWN))
    assert len(said) == 11
    assert said[-1] == "<1@x>: more lines of the kind"
    assert max(map(len, said)) < 200
