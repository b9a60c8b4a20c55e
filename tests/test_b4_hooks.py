# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot b4-prep` and `reviewbot b4-check`, called by real b4: `b4 prep --check`, and b4 review's own check runner.

Belongs here: the two protocols, which series a mail is taken for, what b4 makes of failures. Nothing here needs a
network: b4 is told that there is none.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from git_world import BAD_LINE, GOOD_LINE, World, make_world

RULE = "mmap-lock/direct-mmap-sem"
FAR_RULE = "mmap-lock/user-access-under-lock"
PREP = "reviewbot b4-prep -"
THIRD = "\trange_third(mm);\n"
FROM = b"From mboxrd@z Thu Jan  1 00:00:00 1970\n"

# b4's own way from mails to a review branch and to the results of the check commands, as its screen goes it
# (review_tui/_tracking_app.py, _do_checkout(); review_tui/_common.py, _fetch_and_check())
REVIEW = """\
import argparse, email.parser, io, json, os, sys, tempfile
import b4, b4.review
import b4.review.checks as checks
mbox, change, base = sys.argv[1:]
b4.can_network = False
b4.setup_config(argparse.Namespace(config={}, no_cache=False))
top = b4.git_get_toplevel()
parser = email.parser.BytesParser(policy=b4.emlpolicy)
raws = open(mbox, "rb").read().split(b"From mboxrd@z Thu Jan  1 00:00:00 1970\\n")[1:]
mails = [parser.parsebytes(raw) for raw in raws]
branch = f"b4/review/{change}"
if base and not b4.git_branch_exists(top, branch):
    box = b4.LoreMailbox()
    for mail in mails:
        box.add_message(mail)
    series = box.get_series(codereview_trailers=False)
    out = io.BytesIO()
    b4.save_mboxrd_mbox(series.get_am_ready(noaddtrailers=True), out)
    link = "https://example.org/%s"
    b4.git_fetch_am_into_repo(top, ambytes=out.getvalue(), at_base=base, origin=link, am_flags=["-3"])
    b4.review.create_review_branch(top, branch, base, series, link, link)
    b4.git_run_command(top, ["checkout", "master"])
env = {}
if b4.git_branch_exists(top, branch):
    _, tracking = b4.review.load_tracking(top, branch)
    fd, name = tempfile.mkstemp(suffix=".json")
    with os.fdopen(fd, "w") as stream:
        json.dump(tracking, stream)
    env["B4_TRACKING_FILE"] = name
patch_commands, series_commands = checks.load_check_cmds()
pairs = [(mail["message-id"].strip("<>"), mail) for mail in mails]
cover = next((pair for pair in pairs if " 0/" in pair[1]["subject"]), None)
patches = [pair for pair in pairs if pair is not cover]
found = checks.run_perpatch_checks(patches, patch_commands, top, extra_env=env)
whole = checks.run_series_checks(cover or patches[0], series_commands, top, extra_env=env)
print(json.dumps([[found[name] for name, _ in patches], whole]))
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "linux")


def far_function(world: World) -> None:
    """A function in which a lock is taken too far above its middle for a diff to show it."""
    middle = "".join(f"\tstep_{n}(mm);\n" for n in range(12))
    body = f"\tmmap_read_lock(mm);\n{middle}\tstep_last(mm);\n{middle}\tmmap_read_unlock(mm);\n"
    world.write("mm/far.c", f"static int far(struct mm_struct *mm, int __user *p)\n{{\n{body}\treturn 0;\n}}\n")


# -- b4 prep --check ------------------------------------------------------------------------------


@pytest.fixture
def prep(world: World) -> World:
    """A prep branch of two commits, the second with a finding."""
    world.git("config", "b4.prep-perpatch-check-cmd", PREP)
    done = world.run("b4", "prep", "-n", "walk", "-f", "master")
    assert done.code == 0, done.err
    world.change("mm: good", GOOD_LINE)
    world.change("mm: bad", BAD_LINE, body="Übel.")
    return world


def check(world: World, *words: str) -> str:
    """What b4 prep --check says."""
    done = world.run("b4", *words, "prep", "--check", "--no-cache")
    assert done.code == 0, done.err
    return done.out + done.err


def test_prep_check_shows_a_line_a_finding_and_nothing_else(prep: World) -> None:
    said = check(prep)
    assert "reviewbot: mm/walk.c:10: ERROR: mmap_sem is mmap_lock since v5.8" in said
    assert f"[{RULE}]" in said
    assert "Success: 1, Warning: 0, Error: 1" in said


def test_prep_check_passes_what_is_clean(prep: World) -> None:
    prep.git("reset", "-q", "--hard", "HEAD~1")
    assert "Success: 1, Warning: 0, Error: 0" in check(prep)


def test_prep_check_knows_the_whole_files_of_the_commit(prep: World) -> None:
    prep.git("reset", "-q", "--hard", "HEAD~1")
    far_function(prep)
    prep.commit("mm: far")
    prep.insert("mm/far.c", "\tput_user(1, p);\n", "\tstep_last(mm);\n")
    prep.commit("mm: it faults")
    prep.git("config", "b4.prep-perpatch-check-cmd", "reviewbot b4-prep --strict -")
    said = check(prep)
    assert f"[{FAR_RULE}]" in said
    assert said.count("b4-prep") + said.count("reviewbot: ") == 2  # the command's name, and one line
    # the mail alone does not tell
    patch = prep.run("git", "format-patch", "-1", "--stdout").out
    assert prep.run("reviewbot", "b4-prep", "--strict", given=patch, cwd=prep.home).out == ""


def test_prep_check_knows_the_other_patches_of_the_series(prep: World) -> None:
    line = "\tgot = pin_user_pages(start, count, FOLL_FORCE | FOLL_WRITE, pages);\n"
    prep.git("reset", "-q", "--hard", "master")
    for name, inside in (("one", line), ("two", "")):
        prep.write(f"drivers/dma/{name}.c", f"int {name}_get(void)\n{{\n{inside}\treturn 0;\n}}\n")
    prep.commit("dma: both")
    assert prep.run("b4", "prep", "-n", "move", "-f", "HEAD").code == 0
    text = (prep.top / "drivers/dma/one.c").read_text()
    prep.write("drivers/dma/one.c", text.replace(line, ""))
    prep.commit("dma: take it away")
    prep.insert("drivers/dma/two.c", line, "\treturn 0;\n")
    prep.commit("dma: put it here")
    assert "Success: 2, Warning: 0, Error: 0" in check(prep)
    # alone, the second patch brings what it only moves
    patch = prep.run("git", "format-patch", "-1", "--stdout").out
    assert "FOLL_FORCE" in prep.run("reviewbot", "b4-prep", given=patch, cwd=prep.home).out


def test_prep_check_finds_the_commit_whatever_the_diffs_look_like(prep: World) -> None:
    prep.git("reset", "-q", "--hard", "master")
    far_function(prep)
    prep.commit("mm: far")
    assert prep.run("b4", "prep", "-n", "odd", "-f", "HEAD").code == 0
    text = (prep.top / "mm/far.c").read_text()
    (prep.top / "mm/far.c").unlink()
    prep.write("mm/near.c", text.replace("\tstep_last(mm);\n", "\tput_user(1, p);\n\tstep_last(mm);\n"))
    prep.commit("mm: it faults, elsewhere")
    prep.git("config", "b4.prep-perpatch-check-cmd", "reviewbot b4-prep --strict -")
    for name, value in (("algorithm", "patience"), ("renames", "false"), ("context", "1"), ("noprefix", "true")):
        prep.git("config", f"diff.{name}", value)
        assert f"[{FAR_RULE}]" in check(prep), name


def test_prep_check_tells_a_failure_as_a_line_with_error(prep: World) -> None:
    said = check(prep, "-c", "b4.prep-perpatch-check-cmd=reviewbot b4-prep --select no/such-rule -")
    assert "reviewbot: ERROR: not reviewed: no rule or family is named 'no/such-rule'" in said
    assert "Error: 2" in said


def test_prep_check_tells_a_wrong_configuration_once_a_patch(prep: World) -> None:
    prep.write("../nobody/.config/reviewbot/config.toml", "strcit = true\n")
    said = check(prep)
    assert said.count("ERROR: not reviewed: unknown key 'strcit'") == 2
    assert "Error: 2" in said


def test_the_version_of_the_rules_is_not_read_but_makes_b4_ask_anew(prep: World) -> None:
    said = check(prep, "-c", "b4.prep-perpatch-check-cmd=reviewbot b4-prep --ruleset-version=2026.1 -")
    assert "Success: 1, Warning: 0, Error: 1" in said


def test_a_patch_that_is_on_no_branch_is_reviewed_alone(prep: World) -> None:
    patch = prep.run("git", "format-patch", "-1", "--stdout").out
    prep.git("checkout", "-q", "master")
    done = prep.run("reviewbot", "b4-prep", "-", given=patch)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("mm/walk.c:10: ERROR: ")
    assert done.out.count("\n") == 1


@pytest.mark.parametrize("given", ["", "\n", "Subject: lunch\n\nToday?\n", "\0\xff\x1b[31m\n\n"])
def test_what_is_no_patch_is_one_line(prep: World, given: str) -> None:
    done = prep.run("reviewbot", "b4-prep", "-", given=given)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("ERROR: not reviewed: ")
    assert done.out.count("\n") == 1
    assert done.out[:-1].isprintable()


# -- b4 review ------------------------------------------------------------------------------------


@pytest.fixture
def review(world: World) -> World:
    """The commands are configured; a series of three patches lies beside the repository as an mbox."""
    world.git("config", "b4.review-perpatch-check-cmd", "reviewbot b4-check --strict")
    world.git("config", "b4.review-series-check-cmd", "reviewbot b4-check --strict --series")
    world.git("config", "b4.attestation-policy", "off")
    far_function(world)
    world.commit("mm: far")
    world.git("checkout", "-q", "-b", "topic")
    world.change("mm: good", GOOD_LINE)
    world.change("mm: bad", BAD_LINE, body="Übel.")
    world.insert("mm/far.c", "\tput_user(1, p);\n", "\tstep_last(mm);\n")
    world.commit("mm: it faults")
    post(world)
    return world


def post(world: World, *words: str) -> None:
    """The branch as mails in ../m.mbox; master is checked out."""
    out = world.top.parent / "out"
    world.git("format-patch", "-q", "--thread", "-o", str(out), *words, "master")
    raws = [FROM + path.read_bytes().partition(b"\n")[2] for path in sorted(out.iterdir())]
    (world.top.parent / "m.mbox").write_bytes(b"".join(raws))
    world.git("checkout", "-q", "master")


def run_review(world: World, base: str = "master") -> tuple[list[list[dict[str, str]]], list[dict[str, str]]]:
    """What b4 has of the check commands: for each patch, and for the series. Without `base` there is no branch."""
    script = world.top.parent / "review.py"
    script.write_text(REVIEW)
    base = world.git("rev-parse", base) if base else ""
    done = world.run(sys.executable, str(script), str(world.top.parent / "m.mbox"), "20261121-walk-1", base)
    assert done.code == 0, done.err
    patches, whole = json.loads(done.out)
    return patches, whole


def told(result: dict[str, str]) -> list[Any]:
    """The structured list behind a result."""
    return [(entry["status"], entry["context"]) for entry in json.loads(result["details"] or "[]")]


def test_review_shows_each_patch_as_its_commit_has_it(review: World) -> None:
    patches, whole = run_review(review)
    assert [[result["status"] for result in results] for results in patches] == [["pass"], ["fail"], ["fail"]]
    assert told(patches[1][0]) == [("fail", RULE)]
    assert told(patches[2][0]) == [("fail", FAR_RULE)]  # the lock is not in the diff
    assert [result["tool"] for result in whole] == ["reviewbot"]
    assert told(whole[0]) == [("fail", RULE), ("fail", FAR_RULE)]


def test_review_without_a_branch_has_the_diff_alone_and_says_so_of_the_series(review: World) -> None:
    patches, whole = run_review(review, base="")
    assert [[result["status"] for result in results] for results in patches] == [["pass"], ["fail"], ["pass"]]
    assert [(result["status"], result["summary"]) for result in whole] == [
        ("warn", "not reviewed: the series is on no review branch here: check it out in b4 review, then R asks again")
    ]


def test_review_of_patches_that_had_to_be_moved_has_the_commits_lines(review: World) -> None:
    review.write("mm/walk.c", "/* one */\n/* two */\n" + (review.top / "mm/walk.c").read_text())
    review.commit("mm: two lines more")
    patches, _ = run_review(review)
    (entry,) = json.loads(patches[1][0]["details"])
    assert entry["description"].startswith("mm/walk.c:12:13: ")


def test_another_revision_is_not_taken_for_the_one_on_the_branch(review: World) -> None:
    run_review(review)
    review.git("checkout", "-q", "topic")
    review.git("reset", "-q", "--hard", "master")
    review.change("mm: good", GOOD_LINE)
    review.change("mm: bad", THIRD)
    for path in (review.top.parent / "out").iterdir():
        path.unlink()
    post(review, "-v2")
    patches, _ = run_review(review)
    assert [results[0]["status"] for results in patches] == ["pass", "pass"]


def test_an_ignore_below_the_cut_is_heard_although_git_am_drops_it(review: World) -> None:
    file = review.top.parent / "m.mbox"
    below = f"\n---\nreviewbot: ignore {RULE} it is a test\n"
    head, cut, rest = file.read_text().partition("Subject: [PATCH 2/3]")
    file.write_text(head + cut + rest.replace("\n---\n", below, 1))
    patches, whole = run_review(review)
    assert patches[1][0]["status"] == "pass"
    assert told(whole[0]) == [("fail", FAR_RULE)]


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_a_body_that_b4_has_decoded_below_its_old_header_is_read(review: World, encoding: str) -> None:
    raws = (review.top.parent / "m.mbox").read_bytes().split(FROM)[1:]
    head, _, body = raws[1].partition(b"\n\n")
    assert b"Content-Transfer-Encoding: 8bit" in head
    head = head.replace(b"8bit", encoding.encode())
    if encoding == "base64":
        body = base64.encodebytes(body)
    else:
        import quopri

        body = quopri.encodestring(body)
    raws[1] = head + b"\n\n" + body
    (review.top.parent / "m.mbox").write_bytes(b"".join(FROM + raw for raw in raws))
    for base in ("", "master"):
        patches, _ = run_review(review, base)
        assert told(patches[1][0]) == [("fail", RULE)]


def test_every_failure_is_json_that_b4_takes(review: World) -> None:
    review.write("../nobody/.config/reviewbot/config.toml", "strcit = true\n")
    patches, whole = run_review(review)
    for result in [*(result for results in patches for result in results), *whole]:
        assert result["status"] == "warn"
        assert result["summary"].startswith("not reviewed: unknown key 'strcit'")


@pytest.mark.parametrize("tracking", ["", "{", "[]", '{"series": {}, "patches": []}', '{"series": 1, "patches": 2}'])
@pytest.mark.parametrize("given", ["", "Subject: lunch\n\nToday?\n", "\0\x1b[31m"])
def test_no_input_keeps_it_from_answering(review: World, given: str, tracking: str) -> None:
    file = review.top.parent / "tracking.json"
    file.write_text(tracking)
    done = review.run("reviewbot", "b4-check", given=given, more={"B4_TRACKING_FILE": str(file)})
    assert (done.code, done.err) == (0, "")
    (result,) = json.loads(done.out)
    assert (result["tool"], result["status"]) == ("reviewbot", "warn")


@pytest.mark.parametrize("change", ["x/../../heads/topic", "x@{1}", "-x", "x^{/bad}", "x y", "x:mm", "", 7])
def test_a_change_id_is_a_name_and_no_revision_language(review: World, change: object, tmp_path: Path) -> None:
    from reviewbot.commands.b4_check import read_tracking

    file = tmp_path / "tracking.json"
    first = review.git("rev-parse", "topic~2")
    data = {"series": {"change-id": change, "first-patch-commit": first}, "patches": []}
    file.write_text(json.dumps(data))
    assert read_tracking(str(file)) is None
    file.write_text(json.dumps({**data, "series": {"change-id": "20261121-walk-1", "first-patch-commit": first}}))
    tracked = read_tracking(str(file))
    assert tracked is not None
    assert tracked.branch == "refs/heads/b4/review/20261121-walk-1"
