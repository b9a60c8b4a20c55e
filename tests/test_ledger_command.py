# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot ledger`: what is told of a series, a rule, a mail and of all. What the file keeps is in test_ledger.py.

Belongs here: what is printed, as text and as JSON, and how it ends.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mails import mail
from site_of_bot import LIST, Site
from smtp_server import smtp_server
from world import OLD_NAME, RAW_CALL, clean, old_name, raw_call, series

PULL = mail("[GIT PULL] mm", "for you to fetch changes up to x\n", "pull@example.org")
FIRST = "lumen-v1-1@example.org"


@pytest.fixture
def site(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Site:
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    return Site(tmp_path, capfd)


@pytest.fixture
def told(site: Site) -> Site:
    """v1 of a series was answered, v2 has mended one finding and kept the other; more came by that got no mail."""
    with smtp_server() as server:
        site.configure(port=server.port)
        site.begin(old_name("a"), raw_call("b"))
        assert site("watch").out.count("sent ") == 2
        site.post([*series(clean("a"), raw_call("b"), revision=2), PULL, *series(clean("c"), key="fine")], hours=2)
        assert site("watch").out == ""
        site.configure(port=server.port, policy='max-age = "6d"')
        site.post(series(clean("y"), key="young"), hours=0)
        assert site("watch").out == ""
    return site


def test_the_overview_has_mails_reasons_and_postings(told: Site) -> None:
    ran = told("ledger")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0].startswith("last pass: 20")
    assert "mails: 2 sent" in lines
    assert "not reviewed: 1 not-a-patch, 1 pull-request" in lines or "not reviewed: 1 pull-request" in lines
    for message_id, said in (
        ("lumen-v2-0@example.org", "already-said: 2 findings: already said in <reviewbot.patch."),
        ("fine-v1-1@example.org", "nothing-found"),
        ("lumen-v1-0@example.org", "sent: <reviewbot.patch."),
    ):
        (number,) = (n for n, line in enumerate(lines) if f"<{message_id}>" in line)
        assert lines[number + 1].strip().startswith(said)
    value = json.loads(told("ledger", "--format", "json").out)
    assert value["mails"] == {"sent": 2}
    assert value["not_reviewed"]["pull-request"] == 1
    assert value["kill_switch"] is None
    assert value["last_pass"]["trouble"] is None
    assert [one["message_id"] for one in value["postings"]][-1] == "lumen-v1-0@example.org"


@pytest.mark.parametrize("name", [FIRST, f"<{FIRST}>", "lumen-v2-2@example.org"])
def test_a_series_is_told_by_any_of_its_mails_across_its_revisions(told: Site, name: str) -> None:
    ran = told("ledger", name)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("v1  20")
    assert "\nv2  20" in ran.out
    assert "fixed in v2  v1  error: mmap_sem is mmap_lock since v5.8" in ran.out
    assert "open  v1 to v2  error: down_write() on mmap_lock" in ran.out
    assert "  mailed in <reviewbot.patch." in ran.out
    value = json.loads(told("ledger", name, "--format", "json").out)
    assert [one["revision"] for one in value["revisions"]] == [1, 2]
    assert {(row["rule"], row["state"], row["fixed_in"]) for row in value["findings"]} == {
        (OLD_NAME, "fixed", 2),
        (RAW_CALL, "open", None),
    }
    assert value["revisions"][0]["mails"][0]["recipients"] == ["ada@example.org", LIST]


def test_a_mail_of_ours_names_its_series(told: Site) -> None:
    with told.ledger() as ledger:
        ours = ledger.outgoing()[0].message_id
    assert told("ledger", ours).out == told("ledger", FIRST).out


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pull@example.org", "other, not reviewed: pull-request: the subject says pull request\n"),
        ("young-v1-1@example.org", "not looked at yet\n"),
    ],
)
def test_a_mail_that_was_not_reviewed_says_why(told: Site, name: str, said: str) -> None:
    assert told("ledger", name) == (0, said, "")


@pytest.mark.parametrize("name", [RAW_CALL, "ML02", "mmap-lock"])
def test_a_rule_is_told_by_name_id_or_family(told: Site, name: str) -> None:
    ran = told("ledger", name)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"{'mmap-lock' if name == 'mmap-lock' else RAW_CALL}: ")
    assert ("2 fixed" in ran.out.splitlines()[0]) is (name == "mmap-lock")
    assert "2 open, " in ran.out
    assert "4 mailed" in ran.out if name == "mmap-lock" else "2 mailed" in ran.out
    assert json.loads(told("ledger", name, "--format", "json").out)["counts"]["open"] == 2


def test_a_rule_that_found_nothing_is_no_error_and_no_rule_is_one(told: Site) -> None:
    assert told("ledger", "pin") == (0, "pin: 0 mailed, 0 called false\n", "")
    ran = told("ledger", "mmap-lok")
    assert ran == (2, "", "reviewbot: 'mmap-lok' is not known: neither a mail of the archives nor a rule\n")
    ran = told("ledger", "a\x1b[31mb@example.org")
    assert (ran.code, "\x1b" in ran.err) == (2, False)


def test_what_was_sent_is_listed(told: Site) -> None:
    ran = told("ledger", "--sent")
    assert (ran.code, ran.err) == (0, "")
    assert [line.split()[0] for line in ran.out.splitlines()] == ["1", "2"]
    assert all("  sent " in line and "  Re: [PATCH " in line for line in ran.out.splitlines())
    assert [one["state"] for one in json.loads(told("ledger", "--sent", "--format", "json").out)] == ["sent", "sent"]


def test_a_sound_file_is_said_so(told: Site) -> None:
    assert told("ledger", "--check") == (0, "", f"ledger '{told.ledger_file}' is sound\n")
    assert json.loads(told("ledger", "--check", "--format", "json").out) == {"sound": True, "broken": []}


def test_a_damaged_file_is_an_error(told: Site) -> None:
    with told.ledger() as ledger:
        ledger._db.execute("PRAGMA foreign_keys = OFF")
        ledger._db.execute("DELETE FROM series")
    ran = told("ledger", "--check")
    assert ran.code == 2
    assert "names a series that is not there\n" in ran.out
    assert ran.err == f"reviewbot: ledger '{told.ledger_file}' is damaged\n"


@pytest.mark.parametrize("words", [("--sent", "--check"), (FIRST, "--sent"), (FIRST, "--check")])
def test_one_question_at_a_time(site: Site, words: tuple[str, ...]) -> None:
    ran = site("ledger", *words)
    assert ran.code == 2
    assert "not allowed with argument" in ran.err
