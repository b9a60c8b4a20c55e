# SPDX-License-Identifier: GPL-2.0-or-later
"""output/: the formats for code hosts, b4 and editors, as those who read them read them.

The schema of SARIF is not ours to copy: the test that needs it looks for REVIEWBOT_SARIF_SCHEMA, a file
such as npm's @microsoft/sarif-multitool-linux ships.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from difflib import unified_diff
from email.message import EmailMessage
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from golden_cases import CASES, folded, large
from hypothesis import example, given, settings
from hypothesis import strategies as st
from reviews import at, finding, patch_of, raw_mail, replace, review, simple

from reviewbot.finding import TOO_LARGE, Fault, Finding, Fold, NotRun, Review
from reviewbot.model import Patch, Severity, Span, SpanKind
from reviewbot.output import render
from reviewbot.output.spots import Spots, inside, quoted
from reviewbot.output.text import PLAIN, Screen, harmless

DOCS = Screen(docs="https://reviews.example/rules/")
MACHINES = ("rdjsonl", "sarif", "github", "b4")
OF_NOTHING = {"full": "", "terse": "", "json": "[]\n", "rdjsonl": "", "github": "", "b4": "[]\n", "diff": ""}


def patch() -> Patch:
    """The usual one."""
    return patch_of(raw_mail())


def one(found: Finding, *others: Finding) -> Review:
    """A review of these findings."""
    return review(found, *others)


def sarif(*reviews: Review, screen: Screen = PLAIN) -> dict[str, Any]:
    """The run of the document."""
    document = json.loads(render("sarif", reviews, screen))
    (run,) = document["runs"]
    assert document["version"] == "2.1.0"
    return dict(run)


def records(*reviews: Review, screen: Screen = PLAIN) -> list[dict[str, Any]]:
    """What reviewdog reads."""
    return [json.loads(line) for line in render("rdjsonl", reviews, screen).splitlines()]


# --- where a finding is put -------------------------------------------------------------------------


def series_of(versions: Sequence[Sequence[str]], context: int) -> Iterator[Patch]:
    """The patches from each version of mm/x.c to the next; a patch that changes nothing is of another file."""
    for index, (before, after) in enumerate(pairwise(versions), 1):
        lines = [*unified_diff(before, after, "a/mm/x.c", "b/mm/x.c", n=context, lineterm="")]
        lines = lines or ["--- a/mm/y.c", "+++ b/mm/y.c", "@@ -1 +1 @@", "-a", "+b"]
        yield patch_of(raw_mail(diff="\n".join(lines) + "\n"), index)


@st.composite
def histories(draw: st.DrawFn) -> list[list[str]]:
    """Versions of a file all of whose lines differ, each made from the one before by cutting and putting in."""
    fresh = (f"line {n};" for n in range(10_000))
    versions = [[next(fresh) for _ in range(draw(st.integers(3, 20)))]]
    for _ in range(draw(st.integers(2, 5))):
        now = [line for line in versions[-1] if draw(st.integers(0, 5))]
        for _ in range(draw(st.integers(0, 3))):
            now.insert(draw(st.integers(0, len(now))), next(fresh))
        versions.append(now or [next(fresh)])
    return versions


@given(histories(), st.integers(0, 3))
@example([["a;"], ["b;"], ["c;", "b;"]], 0)
@settings(deadline=None)
def test_a_line_is_found_where_the_last_patch_leaves_it(versions: list[list[str]], context: int) -> None:
    patches = tuple(series_of(versions, context))
    spots = Spots(review(patches=patches))
    for given_patch, after in zip(patches, versions[1:], strict=True):
        for number, text in enumerate(after, 1):
            span = Span(SpanKind.SOURCE, "mm/x.c", number, 1, number, 5, text)
            found = spots.at(span, given_patch)
            if text in versions[-1]:
                assert found.span is not None
                assert versions[-1][found.span.line - 1] == text
            else:
                assert found.span is None


def test_a_line_keeps_its_place_where_its_file_is_renamed() -> None:
    first = patch_of(raw_mail(), 1)
    moved = "diff --git a/mm/foo.c b/mm/new.c\nsimilarity index 100%\nrename from mm/foo.c\nrename to mm/new.c\n"
    found = finding(first, at(first, "put_user"))
    path, span = Spots(review(found, patches=(first, patch_of(raw_mail(diff=moved), 2)))).of(found)
    assert (path, span) == ("mm/new.c", found.span)


def test_a_copy_leaves_a_line_where_it_is() -> None:
    first = patch_of(raw_mail(), 1)
    copy = "diff --git a/mm/foo.c b/mm/new.c\nsimilarity index 99%\ncopy from mm/foo.c\ncopy to mm/new.c\n"
    copy += "--- a/mm/foo.c\n+++ b/mm/new.c\n@@ -1 +1,2 @@\n x\n+y\n"
    found = finding(first, at(first, "put_user"))
    assert Spots(review(found, patches=(first, patch_of(raw_mail(diff=copy), 2)))).of(found) == ("mm/foo.c", found.span)


def test_a_removed_line_is_found_where_the_tree_has_it() -> None:
    gone = finding(patch(), replace(at(patch(), "ret = 0;", SpanKind.REMOVED), line=126, end_line=126))
    span = Spots(one(gone)).of(gone).span
    assert span is not None
    assert span.line == 132


def test_a_removed_line_at_a_hunks_end_is_shown_at_the_line_before() -> None:
    end = patch_of(raw_mail(diff="--- a/mm/x.c\n+++ b/mm/x.c\n@@ -8,2 +8 @@\n a\n-put_user(v);\n"))
    found = finding(end, at(end, "put_user", SpanKind.REMOVED))
    span = Spots(one(found)).of(found).span
    assert span is not None
    assert (span.line, span.text) == (8, "a")


def test_a_removed_line_is_shown_at_the_line_that_follows_it() -> None:
    gone = finding(patch(), at(patch(), "ret = 0;", SpanKind.REMOVED))
    span = Spots(one(gone)).of(gone).span
    assert span is not None
    assert (span.line, span.text) == (32, '\tpr_debug("done");')


def test_a_line_of_a_file_that_goes_away_is_said_of_the_file() -> None:
    diff = "--- a/mm/x.c\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-a\n-put_user(v);\n"
    gone = patch_of(raw_mail(diff=diff))
    found = finding(gone, at(gone, "put_user", SpanKind.REMOVED))
    assert Spots(one(found)).of(found) == ("mm/x.c", None)


@pytest.mark.parametrize("kind", [SpanKind.MESSAGE, SpanKind.HEADER])
def test_what_lies_in_a_mail_is_said_of_the_first_file_with_its_place_in_the_message(kind: SpanKind) -> None:
    found = one(finding(patch(), at(patch(), "eport", kind), "too short"))
    said = "<20240506.3-ann@example.org>:" + ("Subject:1:21" if kind is SpanKind.HEADER else "1:2") + ": too short"
    (record,) = records(found)
    assert (record["location"], record["message"]) == ({"path": "mm/foo.c"}, said)
    (result,) = sarif(found)["results"]
    assert result["message"]["text"] == said
    assert result["locations"][0]["physicalLocation"].keys() == {"artifactLocation"}
    assert render("github", [found]) == f"::error title=mmap-lock/user-access-under-lock::{said}\n"


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "a/../../etc/passwd", "//host/x", "./..", ""])
def test_no_path_leads_out_of_the_tree(path: str) -> None:
    found = one(finding(patch(), replace(at(patch(), "put_user"), path=path)))
    (record,) = records(found)
    (result,) = sarif(found)["results"]
    shown = re.findall("file=([^,]*)", render("github", [found]))
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    for name in (record["location"]["path"], uri, *shown):
        assert name
        assert not name.startswith("/")
        assert ".." not in name.split("/")
    assert inside(record["location"]["path"]) == record["location"]["path"]


def test_a_place_in_another_patch_is_counted_from_that_patch() -> None:
    versions = [["a;", "b;"], ["a;", "use(1);", "b;"], ["new;", "a;", "use(1);", "use(2);", "b;"]]
    first, second = series_of(versions, 3)
    other = finding(second, at(second, "use(2)"), hidden="folded")._replace(fold=Fold.SERIES)
    main = finding(first, at(first, "use(1)"), places=(other.span,))._replace(fold=Fold.SERIES)
    spots = Spots(review(main, other))
    assert [spot.span.line for spot, _ in spots.further(main) if spot.span] == [4]


def test_places_are_told_up_to_a_number() -> None:
    (result,) = sarif(folded())["results"]
    assert len(result["relatedLocations"]) == 20


# --- all of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "text"), OF_NOTHING.items())
def test_no_review_is_no_finding(name: str, text: str) -> None:
    assert render(name, []) == text


@pytest.mark.parametrize("name", MACHINES)
def test_several_reviews_are_said_together(name: str) -> None:
    both = render(name, [simple(), CASES["whole-series"]()])
    assert "unreadable" in both
    assert "put_user() may fault" in both
    if name == "rdjsonl":
        assert both == render(name, [simple()]) + render(name, [CASES["whole-series"]()])
    if name == "b4":
        assert [result["status"] for result in json.loads(both)] == ["fail", "fail"]


@pytest.mark.parametrize("name", MACHINES)
def test_what_is_not_shown_is_not_there(name: str) -> None:
    found = review(finding(patch(), at(patch(), "put_user"), "secret", hidden="ignored: mine"), patches=(patch(),))
    assert "secret" not in render(name, [found])


@pytest.mark.parametrize("name", [*MACHINES, "json"])
def test_a_line_of_a_megabyte_makes_no_megabyte(name: str) -> None:
    text = render(name, [large()])
    # json has each finding's subject, of 100,000 characters here
    assert len(text) < (600_000 if name == "json" else 100_000)
    broken = Fault(patch().mail, 3, 9, "x" * 1_000_000, "y" * 1_000_000)
    assert len(render(name, [review(patches=(patch(),), errors=(broken,))])) < 20_000


@pytest.mark.parametrize("name", MACHINES)
def test_a_rule_has_a_link_to_its_page_where_pages_are_known(name: str) -> None:
    ours = replace(finding(patch(), at(patch(), "put_user")), rule_id="ML01")
    link = "https://reviews.example/rules/mmap-lock/user-access-under-lock"
    assert (link in render(name, [one(ours)], DOCS)) == (name != "github")
    assert "https://reviews" not in render(name, [one(ours)])
    foreign = replace(ours, rule="checkpatch/LINE_SPACING", rule_id="")
    assert "https://reviews.example/rules/checkpatch" not in render(name, [one(foreign)], DOCS)


# --- rdjsonl --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("severity", "said"),
    [
        (Severity.ERROR, "ERROR error error fail"),
        (Severity.WARNING, "WARNING warning warning warn"),
        (Severity.NOTE, "INFO note notice pass"),
        (Severity.INFO, "INFO note notice pass"),
    ],
)
def test_each_reader_has_its_word_for_a_severity(severity: Severity, said: str) -> None:
    found = one(finding(patch(), at(patch(), "put_user"), severity=severity))
    (record,), (result,) = records(found), sarif(found)["results"]
    command = re.match(r"::(\w+) ", render("github", [found]))
    assert command
    status = json.loads(render("b4", [found]))[0]["status"]
    assert [record["severity"], result["level"], command[1], status] == said.split()


@pytest.mark.parametrize("before", ["\t", "é", "中文", "\U0001d11e", "e\u0301", "\u202e"])
def test_columns_count_what_their_reader_counts(before: str) -> None:
    line = f"{before}put_user(v);"
    column = len(before) + 1
    found = one(finding(patch(), replace(at(patch(), "put_user"), text=line, column=column, end_column=column + 8)))
    (record,), (result,) = records(found), sarif(found)["results"]
    span = record["location"]["range"]
    start, end = span["start"]["column"] - 1, span["end"]["column"] - 1
    assert line.encode()[start:end] == b"put_user"
    region = result["locations"][0]["physicalLocation"]["region"]
    assert sarif(found)["columnKind"] == "unicodeCodePoints"
    assert line[region["startColumn"] - 1 : region["endColumn"] - 1] == "put_user"


def test_a_span_of_several_lines_has_no_columns_for_reviewdog_and_github() -> None:
    found = one(finding(patch(), replace(at(patch(), "put_user"), end_line=33, end_column=2)))
    (record,), (result,) = records(found), sarif(found)["results"]
    assert record["location"]["range"] == {"start": {"line": 31}, "end": {"line": 33}}
    region = result["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 31, "startColumn": 8, "endLine": 33, "endColumn": 2}
    assert "file=mm/foo.c,line=31,endLine=33,title=" in render("github", [found])


def test_a_suggestion_takes_the_place_of_its_whole_line() -> None:
    span = at(patch(), "put_user")
    found = one(finding(patch(), span, suggestion="\tif (put_user(v, p))\n\t\treturn;\n"))
    (record,), (result,) = records(found), sarif(found)["results"]
    text = "\tif (put_user(v, p))\n\t\treturn;"
    assert record["suggestions"] == [{"range": {"start": {"line": 31}, "end": {"line": 31}}, "text": text}]
    ((change,),) = [fix["artifactChanges"] for fix in result["fixes"]]
    (replacement,) = change["replacements"]
    end = len(span.text) + 1
    region = {"startLine": 31, "startColumn": 1, "endLine": 31, "endColumn": end}
    assert replacement == {"deletedRegion": region, "insertedContent": {"text": text}}
    assert change["artifactLocation"]["uri"] == "mm/foo.c"


@pytest.mark.parametrize("kind", [SpanKind.REMOVED, SpanKind.MESSAGE])
def test_nothing_is_suggested_for_what_is_not_in_the_tree(kind: SpanKind) -> None:
    words = "ret = 0;" if kind is SpanKind.REMOVED else "Report"
    found = one(finding(patch(), at(patch(), words, kind), suggestion="x"))
    (record,), (result,) = records(found), sarif(found)["results"]
    assert "suggestions" not in record
    assert "fixes" not in result


def test_no_line_is_longer_than_reviewdog_reads() -> None:
    span = at(patch(), "put_user")
    related = tuple((replace(span, path="\u202e" * 3_000), "\U0001d11e" * 5_000) for _ in range(30))
    long = finding(patch(), span, "\u202e" * 5_000, rule="\U000e0041" * 5_000, related=related, suggestion="y" * 70_000)
    path = finding(patch(), replace(span, path="\u202e" * 70_000))
    for line in render("rdjsonl", [one(long, path)]).splitlines():
        assert len(line.encode()) < 65_536
        assert json.loads(line)["severity"] == "ERROR"


def test_a_local_reviewdog_prints_the_line_that_terse_prints() -> None:
    found = simple()
    assert [record["original_output"] + "\n" for record in records(found)] == [render("terse", [found])]


def test_what_could_not_be_reviewed_is_an_error_of_the_patchs_first_file() -> None:
    *_, record = records(CASES["whole-series"]())
    assert record["severity"] == "ERROR"
    assert record["location"] == {"path": "mm/foo.c"}
    assert record["code"] == {"value": "reviewbot/unreadable-diff"}
    assert "cannot read the diff" in record["message"]


# --- sarif ----------------------------------------------------------------------------------------


def schema() -> dict[str, Any]:
    """SARIF's own."""
    name = os.environ.get("REVIEWBOT_SARIF_SCHEMA")
    if not name:
        pytest.skip("no REVIEWBOT_SARIF_SCHEMA: sarif-2.1.0.json of npm's @microsoft/sarif-multitool-linux")
    return dict(json.loads(Path(name).read_text(encoding="utf-8-sig")))


@pytest.mark.parametrize("case", [*CASES, "nothing", "everything", "large", "folded", "links"])
def test_sarif_is_what_its_schema_says(case: str) -> None:
    given_schema = schema()
    validators: Any = import_module("jsonschema.validators")  # without types of its own
    not_run = (NotRun("gup/one", "needs --tree"), NotRun("reviewbot/no-tree", "'x' is no repository"))
    others = {
        "nothing": [],
        "everything": [make()._replace(not_run=not_run) for make in CASES.values()],
        "large": [large()],
        "folded": [folded()],
        "links": [one(replace(finding(patch(), at(patch(), "put_user")), rule_id="ML01"))],
    }
    screen = Screen(root="/home/ann/lin ux", docs=DOCS.docs) if case == "links" else PLAIN
    document = json.loads(render("sarif", others[case] if case in others else [CASES[case]()], screen))
    kind = validators.validator_for(given_schema)
    checker = kind(given_schema, format_checker=kind.FORMAT_CHECKER)
    assert [error.message for error in checker.iter_errors(document)] == []
    document["runs"][0]["columnKind"] = "bytes"
    assert [*checker.iter_errors(document)]  # the schema is one


def test_several_reviews_are_one_run() -> None:
    run = sarif(*(make() for make in CASES.values()))
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(rules) == len(set(rules))
    assert len(run["results"]) == 14
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uriBaseId"] in run["originalUriBaseIds"]


def test_a_rule_is_described_by_its_summary_and_page() -> None:
    (rule,) = sarif(simple(), screen=DOCS)["tool"]["driver"]["rules"]
    assert rule["shortDescription"]["text"] != rule["id"]
    assert rule["help"]["markdown"].startswith("# mmap-lock/user-access-under-lock\n")
    assert rule["defaultConfiguration"] == {"level": "error"}


def test_a_foreign_tools_rule_is_described_by_its_name() -> None:
    found = finding(patch(), at(patch(), "put_user"), rule="checkpatch/LINE_SPACING", severity=Severity.WARNING)
    (rule,) = sarif(one(found))["tool"]["driver"]["rules"]
    assert rule["shortDescription"] == {"text": "checkpatch/LINE_SPACING"}
    assert rule["defaultConfiguration"] == {"level": "warning"}


def test_the_fingerprint_is_ours_and_leaves_githubs_to_github() -> None:
    found = simple()
    (result,) = sarif(found)["results"]
    assert result["partialFingerprints"] == {"reviewbot/v1": found.shown[0].fingerprint}


@pytest.mark.parametrize(
    "path", ["a b#c?d%20.c", "a:b/c.c", "mm/中文.c", "x;y&z=.c", "[a]{b}|^`\\.c", "a\nb.c", "~a-_.c"]
)
def test_a_path_is_percent_encoded(path: str) -> None:
    (result,) = sarif(one(finding(patch(), replace(at(patch(), "put_user"), path=path))))["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert re.fullmatch(r"(?:[A-Za-z0-9/._~-]|%[0-9A-F]{2})+", uri)
    assert unquote(uri) == path


@given(st.text(st.characters(codec="utf-8")))
def test_paths_are_quoted_as_the_library_does_it(path: str) -> None:
    assert quoted(path) == quote(path)


def test_the_root_is_told_where_it_is_known() -> None:
    assert "uri" not in sarif(simple())["originalUriBaseIds"]["%SRCROOT%"]
    root = sarif(simple(), screen=Screen(root="/home/ann/lin ux"))["originalUriBaseIds"]["%SRCROOT%"]
    assert root["uri"] == "file:///home/ann/lin%20ux/"


def test_what_was_not_done_is_told_once_as_a_notification() -> None:
    lacking = (NotRun("gup/one", "needs --tree"), NotRun("gup/one", "needs --tree"), NotRun("reviewbot/no-tree", "x"))
    (invocation,) = sarif(simple()._replace(not_run=lacking))["invocations"]
    told = [(entry["level"], entry["message"]["text"]) for entry in invocation["toolExecutionNotifications"]]
    assert told == [("note", "needs --tree"), ("note", "x")]
    assert invocation["executionSuccessful"] is True


def test_what_failed_is_told_as_an_error_and_the_run_did_not_succeed() -> None:
    (invocation,) = sarif(CASES["whole-series"]())["invocations"]
    raised, unreadable = invocation["toolExecutionNotifications"]
    assert raised["level"] == unreadable["level"] == "error"
    assert raised["associatedRule"] == {"id": "a/b"}
    assert "cannot read the diff" in unreadable["message"]["text"]
    assert invocation["executionSuccessful"] is False


# --- github ---------------------------------------------------------------------------------------


def read_command(line: str) -> tuple[str, dict[str, str], str]:
    """As actions/runner reads it (ActionCommand.TryParseV2): up to the first `::` the properties, undone last %25."""
    head, found, data = line.removeprefix("::").partition("::")
    assert line.startswith("::")
    assert found
    command, _, rest = head.partition(" ")
    pairs = [pair.split("=", 1) for pair in rest.split(",") if "=" in pair]

    def undone(text: str, *codes: str) -> str:
        for code in codes:
            text = text.replace(code, chr(int(code[1:], 16)))
        return text

    properties = {key.strip(): undone(value, "%0D", "%0A", "%3A", "%2C", "%25") for key, value in pairs}
    return command, properties, undone(data, "%0D", "%0A", "%25")


@given(st.text(st.one_of(st.sampled_from("%:,=\r\n;#[]\x1b0123ADC "), st.characters(codec="utf-8"))))
@example("100%25 %0A%3A%2C")
@example("a,line=1,title=x::y")
@settings(deadline=None)
def test_what_github_reads_is_what_was_meant(text: str) -> None:
    found = one(finding(patch(), replace(at(patch(), "put_user"), path=f"mm/{text}.c"), f"<{text}>", f"a/{text}x"))
    (line,) = render("github", [found]).splitlines()
    command, properties, message = read_command(line)
    assert command == "error"
    assert properties.keys() == {"file", "line", "endLine", "col", "endColumn", "title"}
    assert properties["line"] == "31"
    if all(harmless(char) for char in text):
        assert message == f"<{text}>"
        assert properties["title"] == f"a/{text}x"
        assert properties["file"] == inside(f"mm/{text}.c")


def test_the_places_follow_the_message() -> None:
    *_, line = render("github", [CASES["several"]()]).splitlines()
    assert read_command(line)[2].splitlines()[1:] == ["also at mm/foo.c:29, 30; mm/bar.c:2"]


# --- b4 -------------------------------------------------------------------------------------------


@pytest.fixture
def checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """b4's own module for check commands, with its data in an empty directory."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return import_module("b4.review.checks")


def as_b4_reads(checks: Any, directory: Path, *reviews: Review) -> list[dict[str, str]]:
    """The results that b4 makes of a command that prints the format."""
    printed = directory / "printed"
    printed.write_text(render("b4", reviews, DOCS), encoding="utf-8")
    command = [
        sys.executable,
        "-c",
        "import shutil, sys; shutil.copyfileobj(open(sys.argv[1]), sys.stdout)",
        str(printed),
    ]
    return list(checks._run_external_cmd(command, EmailMessage(), str(directory)))


def test_b4_reads_status_summary_and_details(checks: Any, tmp_path: Path) -> None:
    (result,) = as_b4_reads(checks, tmp_path, CASES["several"]())
    assert (result["tool"], result["status"]) == ("reviewbot", "fail")
    assert result["summary"] == "2 errors, 1 warning, 2 notes, 1 info"
    details = json.loads(result["details"])
    assert [entry["status"] for entry in details] == ["pass", "pass", "warn", "fail", "pass", "fail"]
    assert details[2]["context"] == "gup/unchecked"
    assert details[2]["state"] == "warning"
    assert details[2]["description"] == "mm/foo.c:31:8: the return value of put_user() is not looked at"
    assert details[2]["srcline"] == "ret = put_user(v, p);"
    assert all(isinstance(value, str) for entry in details for value in entry.values())


def test_b4_keeps_that_a_patch_is_clean(checks: Any, tmp_path: Path) -> None:
    results = as_b4_reads(checks, tmp_path, review(patches=(patch(),)))
    assert [(result["status"], result["summary"]) for result in results] == [("pass", "no findings")]
    with checks.get_db() as connection:
        checks.store_results(connection, "a@b", results)
        assert checks.get_cached_results(connection, ["a@b"]) == {"a@b": results}


def test_b4_hears_of_what_was_there_before_but_does_not_count_it(checks: Any, tmp_path: Path) -> None:
    old = finding(patch(), at(patch(), "might_sleep"), "old error", hidden="preexisting")
    quiet = finding(patch(), at(patch(), "pr_debug"), "old note", severity=Severity.NOTE, hidden="preexisting")
    (result,) = as_b4_reads(checks, tmp_path, one(old, quiet))
    assert (result["status"], result["summary"]) == ("pass", "no new findings")
    (entry,) = json.loads(result["details"])
    assert (entry["status"], entry["description"]) == ("pass", "(pre-existing) mm/foo.c:25:2: old error")
    new = finding(patch(), at(patch(), "put_user"), severity=Severity.WARNING)
    (result,) = as_b4_reads(checks, tmp_path, one(new, old))
    assert (result["status"], result["summary"]) == ("warn", "1 warning")


def test_b4_hears_once_of_what_was_there_before_where_it_is_shown() -> None:
    old = replace(finding(patch(), at(patch(), "might_sleep")), preexisting=True)
    (result,) = json.loads(render("b4", [one(old)]))
    assert len(json.loads(result["details"])) == 1


def test_b4_hears_of_ten_things_that_were_there_before() -> None:
    old = [finding(patch(), at(patch(), "might_sleep"), f"old {n}", hidden="preexisting") for n in range(30)]
    (result,) = json.loads(render("b4", [review(*old)]))
    assert len(json.loads(result["details"])) == 10


def test_what_nobody_has_read_is_no_pass_for_b4() -> None:
    unread = NotRun(TOO_LARGE, "more than is read of one patch: mm/x.c")
    found = review(patches=(patch_of(raw_mail(), 1),), not_run=(unread,))
    (result,) = json.loads(render("b4", [found]))
    assert (result["status"], result["summary"]) == ("warn", "no findings, 1 file not read as a whole")


def test_b4_hears_of_a_diff_that_cannot_be_read(checks: Any, tmp_path: Path) -> None:
    broken = Fault(patch().mail, 3, 9, "hunk is \x1b[2J corrupt", "x")
    (result,) = as_b4_reads(checks, tmp_path, review(patches=(patch(),), errors=(broken,)))
    assert (result["status"], result["summary"]) == ("fail", "1 error")
    (entry,) = json.loads(result["details"])
    assert entry["description"] == "<20240506.3-ann@example.org>:9: cannot read the diff: hunk is ^[[2J corrupt"


@given(st.text(st.one_of(st.sampled_from("\x1b\x9b\u202e\ud800\n\r\t[]"), st.characters(exclude_categories=()))))
@settings(deadline=None)
def test_what_b4_prints_is_harmless_when_it_is_decoded(text: str) -> None:
    span = replace(at(patch(), "put_user"), path=text, text=text, column=1, end_column=2)
    found = one(finding(patch(), span, text, rule=text))
    (result,) = json.loads(render("b4", [found]))
    for entry in json.loads(result["details"]):
        assert all(harmless(char) or char == "\t" for value in entry.values() for char in value)


# --- json, terse ----------------------------------------------------------------------------------


def test_json_says_of_which_commit_a_patch_is_and_what_may_be_applied() -> None:
    commit = replace(patch(), commit="1" * 40)
    found = one(finding(patch(), at(patch(), "put_user")), replace(finding(commit, at(patch(), "v, p")), fixable=True))
    records_ = json.loads(render("json", [found]))["findings"]
    assert [record["patch"]["commit"] for record in records_] == [None, "1" * 40]
    assert [record["fixable"] for record in records_] == [False, True]


@pytest.mark.skipif(not shutil.which("vim") and not os.environ.get("REVIEWBOT_CI"), reason="vim is not installed")
def test_vim_jumps_to_what_terse_prints(tmp_path: Path) -> None:
    (tmp_path / "mm").mkdir()
    (tmp_path / "mm/foo.c").write_text("\n" * 100)
    (tmp_path / "terse").write_text(render("terse", [CASES["several"]()]))
    entries = "map(getqflist(), {_, v -> json_encode([bufname(v.bufnr), v.lnum, v.col, v.text])})"
    script = ["set efm&", "cgetfile terse", f"call writefile({entries}, 'seen')", "cc 4"]
    script += ["call writefile([expand('%') .. ':' .. line('.')], 'here')", "qall!"]
    commands = [word for line in script for word in ("-c", line)]
    done = subprocess.run(
        ["vim", "-es", "-N", "-u", "NONE", "-i", "NONE", *commands], cwd=tmp_path, timeout=60, check=False
    )
    assert done.returncode == 0
    seen = [json.loads(line) for line in (tmp_path / "seen").read_text().splitlines()]
    assert seen[3][:3] == ["mm/foo.c", 31, 8]
    assert seen[3][3].strip() == "error: put_user() may fault with mmap_lock held [mmap-lock/user-access-under-lock]"
    assert (tmp_path / "here").read_text() == "mm/foo.c:31\n"
