# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot watch` as cron runs it: an archive, a configuration file, a ledger and a mail server, all real.

Belongs here: what is printed, how it ends, what is left behind. What a pass decides is in test_bot.py.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mails import mail
from site_of_bot import LIST, Site, is_harmless
from smtp_server import Faults, smtp_server
from world import clean, old_name, raw_call, series

from reviewbot.ledger import MailState

PROGRAM = Path(sys.executable).with_name("reviewbot")
PULL = mail("[GIT PULL] mm", "for you to fetch changes up to x\n", "pull@example.org")


@pytest.fixture
def site(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Site:
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    return Site(tmp_path, capfd)


def snapshot(directory: Path) -> dict[str, str]:
    """Every file below a directory, with what it holds."""
    # SQLite's shared memory and log come and go with whoever reads; they hold nothing then
    files = (path for path in sorted(directory.rglob("*")) if path.is_file() and path.name[-4:] not in ("-shm", "-wal"))
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# --- a pass ---------------------------------------------------------------------------------------


def test_the_first_pass_says_where_it_begins_and_a_pass_without_news_says_nothing(site: Site) -> None:
    assert site("watch") == (0, "note: source 'mm' is read from now on\n", "")
    assert site("watch") == (0, "", "")


def test_a_posting_is_answered_by_a_real_server_and_only_once(site: Site) -> None:
    with smtp_server() as server:
        site.configure(port=server.port)
        site.begin(old_name("a"))
        ran = site("watch")
        assert ran.code == 0
        assert ran.out == (
            f"sent <lumen-v1-1@example.org>: 2 findings to ada@example.org, {LIST} [[PATCH] misc: lumen: step 1]\n"
        )
        assert ran.err == ""
        assert site("watch") == (0, "", "")
    (sent,) = server.mails
    assert sent.sender == "bot@reviews.example"
    assert sent.recipients == ("ada@example.org", LIST)
    assert b"\r\nIn-Reply-To: <lumen-v1-1@example.org>\r\n" in sent.data
    assert b"[mmap-lock/direct-mmap-sem, error]" in sent.data


def test_a_pass_is_quiet_about_what_it_only_decided(site: Site) -> None:
    site.begin(clean("a"))
    site.post([PULL])
    assert site("watch") == (0, "", "")


def test_a_mail_that_waits_for_a_person_is_told_once(site: Site) -> None:
    site.configure(send="approve")
    site.begin(old_name("a"))
    assert site("watch").out.startswith("queued <lumen-v1-1@example.org> awaiting-approval: ")
    assert site("watch") == (0, "", "")


def test_the_installed_command_makes_a_pass_with_an_empty_environment(site: Site) -> None:
    with smtp_server() as server:
        site.configure(port=server.port)
        site.begin(old_name("a"))
        command = [str(PROGRAM), "watch", "--config", str(site.file)]
        env = {"PATH": os.environ["PATH"], "HOME": str(site.directory / "nobody")}  # what cron gives is little more
        done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("sent <lumen-v1-1@example.org>")
        done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(server.mails) == 1


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_second_pass_at_the_same_time_is_a_note_and_no_failure(site: Site, elsewhere: bool) -> None:
    site.begin(old_name("a"))
    before = snapshot(site.state)
    if elsewhere:
        with site.ledger(host="another") as other:
            assert other.lease(site.now()) is None
            ran = site("watch")
            assert ran.err.startswith("note: another pass is at it (another:")
    else:
        with open(f"{site.ledger_file}.lock", "r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            ran = site("watch")
            assert ran.err == f"note: another pass is at it (process {os.getpid()}): nothing is done\n"
            assert site("watch", "-q") == (0, "", "")
            assert snapshot(site.state) == before
    assert (ran.code, ran.out) == (0, "")
    with site.ledger() as ledger:
        assert not ledger.knows("lumen-v1-1@example.org")


def test_the_kill_switch_stops_all_and_what_waited_goes_out_without_it(site: Site) -> None:
    with smtp_server() as server:
        site.configure(port=server.port)
        site.begin(old_name("a"))
        (site.state / "STOP").touch()
        said = f"note kill-switch: '{site.state}/STOP' is there: nothing is sent\n"
        assert [site("watch") for _ in range(2)] == [(0, said, ""), (0, "", "")]
        assert server.mails == []
        assert f"nothing is sent: '{site.state}/STOP' is there\n" in site("ledger").out
        (site.state / "STOP").unlink()
        assert site("watch").out.startswith("sent ")
    assert len(server.mails) == 1


# --- what is wrong --------------------------------------------------------------------------------


def test_a_source_that_is_down_is_75_and_the_others_are_read(site: Site) -> None:
    with smtp_server() as server:
        down = '[source.down]\nlore = "http://127.0.0.1:1/down/"\nlist = "down@example.org"\n'
        site.configure(port=server.port, more=down)
        assert site("watch").code == 75
        site.post(series(old_name("a")))
        ran = site("watch")
        assert ran.code == 75
        assert ran.out.startswith("sent ")
        assert ran.err.startswith("reviewbot: ")
        assert "127.0.0.1" in ran.err
        assert ran.err.count("\n") == 1
    assert len(server.mails) == 1


def test_a_mail_server_that_is_down_is_75_and_the_mail_stays(site: Site) -> None:
    site.begin(old_name("a"))
    assert site("watch") == (75, "", "reviewbot: cannot connect to '127.0.0.1:1': Connection refused\n")
    with site.ledger() as ledger:
        assert [one.state for one in ledger.outgoing()] == [MailState.READY]
    # it is tried again in a later pass, not in each
    assert site("watch") == (0, "", "")


def test_a_mail_that_is_refused_is_told_and_not_tried_again(site: Site) -> None:
    with smtp_server(Faults(mail="550 not \x1b[31myou")) as server:
        site.configure(port=server.port)
        site.begin(old_name("a"))
        ran = site("watch")
        assert ran.code == 0
        assert ran.out.startswith("failed <lumen-v1-1@example.org>: ")
        assert is_harmless(ran.out)
        assert site("watch") == (0, "", "")
    assert server.mails == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("[polizy]\n", "unknown key 'polizy' in 'FILE', did you mean 'policy'?"),
        (
            '[list."other@example.org"]\nmod = "off"\n',
            "unknown key 'list.\"other@example.org\".mod' in 'FILE', did you mean 'list.\"other@example.org\".mode'?",
        ),
        (
            '[list."other@example.org"]\nmode = "on"\n',
            (
                "'list.\"other@example.org\".mode' must be one of "
                "off, draft, author-only, author+list, not 'on' (in 'FILE')"
            ),
        ),
    ],
)
def test_a_wrong_configuration_is_2_and_touches_nothing(site: Site, wrong: str, said: str) -> None:
    site.configure(more=wrong)
    assert site("watch") == (2, "", f"reviewbot: {said.replace('FILE', str(site.file))}\n")
    assert not site.state.exists()


def test_without_a_source_the_error_says_what_to_configure(site: Site) -> None:
    site.file.write_text("")
    ran = site("watch")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "reviewbot: no archive to watch is configured: [source.NAME] with git or lore, and list\n"


def test_a_wrong_way_out_is_2_and_the_mail_stays(site: Site) -> None:
    site.file.write_text(site.file.read_text().replace('server = "127.0.0.1"', 'server = "/nowhere/sendmail"'))
    site.begin(old_name("a"))
    ran = site("watch")
    assert (ran.code, ran.out) == (2, "")
    assert "/nowhere/sendmail" in ran.err
    with site.ledger() as ledger:
        assert [one.state for one in ledger.outgoing()] == [MailState.READY]


def test_a_state_directory_that_cannot_be_made_is_one_line(site: Site) -> None:
    site.state.write_text("a file is in its place")
    for command in (("watch",), ("watch", "-q")):
        ran = site(*command)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err == f"reviewbot: cannot write to ledger '{site.ledger_file}': File exists\n"


def test_a_ledger_that_is_none_is_one_line_and_nothing_is_sent(site: Site) -> None:
    with smtp_server() as server:
        site.configure(port=server.port)
        site.begin(old_name("a"))
        site.ledger_file.write_bytes(b"not a database at all" * 1000)
        for command in (("watch",), ("watch", "--dry-run"), ("queue",), ("ledger",), ("ledger", "--check")):
            ran = site(*command)
            assert (ran.code, ran.out) == (2, ""), command
            assert "file is not a database" in ran.err
            assert ran.err.count("\n") == 1
    assert server.mails == []


def test_debug_shows_where_an_error_came_from_and_quiet_hides_no_error(site: Site) -> None:
    site.state.write_text("a file is in its place")
    assert "Traceback" in site("watch", "--debug").err
    assert "Traceback" not in site("watch").err
    assert site("watch", "-q").err.startswith("reviewbot: ")


def test_a_strangers_text_never_reaches_the_terminal_as_it_is(site: Site) -> None:
    site.configure(send="approve")
    site.begin()
    sender = "Ev\x1b]0;x\x07\u202eil <evil@example.org>"
    key = "\x1b[31m\x9b2J\u202e"
    posting = series(old_name("a"), sender=sender, key=key)
    site.post(posting)
    site.post([raw.replace(f"Message-ID: <{key}".encode(), b"Message-ID: <evil") for raw in posting])
    site.post([mail("[GIT PULL] \x1b[31m\u202e mm", "\x1b[31m", "pull-\u202e@example.org")])
    for command in (("watch", "--dry-run"), ("watch", "--since", "2d"), ("watch",), ("queue",), ("ledger",)):
        ran = site(*command)
        assert "<evil-v1-1@example.org>" in ran.out or "to evil@example.org" in ran.out, command
        assert is_harmless(ran.out), command
        assert is_harmless(ran.err), command


# --- rehearsal and replay -------------------------------------------------------------------------


def test_a_rehearsal_without_a_ledger_leaves_none_and_says_how_to_look_back(site: Site) -> None:
    before = snapshot(site.directory)
    ran = site("watch", "--dry-run")
    assert ran.code == 0
    assert ran.out == "note: source 'mm' is read from now on\n\n0 new mails, 0 postings looked at\n"
    assert "--since" in ran.err
    assert snapshot(site.directory) == before
    assert not site.state.exists()


def test_a_rehearsal_says_what_it_would_send_and_why_not_and_changes_nothing(site: Site) -> None:
    with smtp_server() as server:
        site.configure(port=server.port)
        site.begin(old_name("a"), raw_call("b"))
        site.post([PULL, *series(clean("c"), key="fine"), *series(old_name("d"), key="other", prefix="PATCH ndctl")])
        site.post(series(old_name("e"), key="young"), hours=0.5)
        before = snapshot(site.state)
        ran = site("watch", "--dry-run")
        assert snapshot(site.state) == before
        assert server.connections == 0
        assert (ran.code, ran.err) == (0, "")
        lines = ran.out.splitlines()
        subject = "[[PATCH 0/2] misc: lumen: walk more]"
        for line in (
            "skipped <pull@example.org> pull-request: the subject says pull request [[GIT PULL] mm]",
            (
                "skipped <other-v1-1@example.org> other-project: the subject's prefix 'ndctl' is another project's"
                " [[PATCH ndctl] misc: other: step 1]"
            ),
            "skipped <fine-v1-1@example.org> nothing-found [[PATCH] misc: fine: step 1]",
            f"would send <lumen-v1-1@example.org>: 2 findings to ada@example.org, {LIST} {subject}",
            f"would send <lumen-v1-2@example.org>: 2 findings to ada@example.org, {LIST} {subject}",
            "7 new mails, 2 postings looked at",
            "      2 would send",
            "      1 skipped, nothing-found",
        ):
            assert line in lines, ran.out
        assert [line.partition(" again ")[0] for line in lines if "young" in line] == [
            "waiting <young-v1-1@example.org>: looked at"
        ]
        # what was rehearsed then happens
        assert len(site("watch").out.splitlines()) == 2
    assert len(server.mails) == 2


def test_a_rehearsal_knows_of_the_kill_switch(site: Site) -> None:
    site.begin(old_name("a"))
    (site.state / "STOP").touch()
    ran = site("watch", "--dry-run")
    assert "would send" not in ran.out
    assert f"kill-switch: '{site.state}/STOP' is there: nothing is sent" in ran.out


def test_a_replay_shows_history_as_if_it_had_been_watched(site: Site) -> None:
    site.configure(send="approve")
    site.post(series(old_name("a"), key="old"), hours=30)
    site.post(series(old_name("b"), key="new"), hours=10)
    site.post(series(old_name("b"), key="new", revision=2), hours=9.5)
    ran = site("watch", "--since", "2d")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert (
        f"would send <old-v1-1@example.org>: 2 findings to ada@example.org, {LIST} [[PATCH] misc: old: step 1]" in lines
    )
    assert "skipped <new-v1-1@example.org> superseded: v2 is known [[PATCH] misc: new: step 1]" in lines
    assert any(line.startswith("would send <new-v2-1@example.org>: ") for line in lines)
    assert "      2 would send" in lines
    assert "      1 skipped, superseded" in lines
    assert not any("waiting" in line for line in lines)
    assert not site.state.exists()


def test_a_replay_ends_where_it_is_told_to(site: Site) -> None:
    site.post(series(old_name("a"), key="old"), hours=30)
    site.post(series(old_name("b"), key="new"), hours=10)
    ran = site("watch", "--since", "2d", "--until", "20h")
    assert "old-v1-1" in ran.out
    assert "new-v1-1" not in ran.out
    ran = site("watch", "--since", "20h")
    assert "old-v1-1" not in ran.out
    assert "new-v1-1" in ran.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--since", "tomorrow"), "--since: not a time: 'tomorrow', such as 2026-01-31 or 30d is expected"),
        (("--until", "2026-01-31"), "--until needs --since"),
        (("--since", "2026-01-31", "--until", "2026-01-30"), "--until must be later than --since"),
        (("--since", "30\x1b[31md"), "--since: not a time: '30^[[31md', such as 2026-01-31 or 30d is expected"),
    ],
)
def test_a_wrong_time_is_said(site: Site, words: tuple[str, ...], said: str) -> None:
    ran = site("watch", *words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"reviewbot: {said}\n"


@pytest.mark.parametrize("when", ["999999w", "0001-01-01", "0d", "2020-01-01T10:00+02:00", "9999-12-31T23:59-12:00"])
def test_any_time_is_taken(site: Site, when: str) -> None:
    ran = site("watch", "--since", when)
    assert (ran.code, ran.err) == (0, "")


def test_a_rule_that_is_not_selected_says_nothing(site: Site) -> None:
    site.begin(old_name("a"))
    assert "nothing-found" in site("watch", "--dry-run", "--ignore", "mmap-lock").out
    assert site("watch", "--dry-run", "--ignore", "mmap-lok").code == 2
