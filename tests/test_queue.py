# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot queue`, and `reviewbot reply --send`: what a person decides of the mails that are to go out.

Belongs here: what is printed, asked and refused, and that nothing goes out twice, up to a real public-inbox
that takes the reply in. What makes a reply is in test_reply.py.
"""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import pty
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from email import policy
from email.parser import BytesParser
from pathlib import Path

import pytest
from inbox import deliver_all, missing_programs, refresh, serve, write_epoch
from mails import mail
from site_of_bot import LIST, Run, Site, is_harmless
from smtp_server import Faults, Server, smtp_server
from world import clean, diff, old_name, raw_call, series

from reviewbot.ledger import FindingState, MailState
from reviewbot.policy import Reason

PROGRAM = Path(sys.executable).with_name("reviewbot")
FROM = b"From mboxrd@z Thu Jan  1 00:00:00 1970\n"


@pytest.fixture
def site(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Site:
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    return Site(tmp_path, capfd)


@pytest.fixture
def server(site: Site) -> Iterator[Server]:
    """A mail server, and a site that asks for approval before it sends there."""
    with smtp_server() as server:
        site.configure(send="approve", port=server.port)
        yield server


def waiting(site: Site, *diffs: str) -> None:
    """The replies to a posting wait as mails 1, 2 ..."""
    site.begin(*diffs)
    assert site("watch").out.startswith("queued ")


def states(site: Site) -> list[MailState]:
    with site.ledger() as ledger:
        return [one.state for one in ledger.outgoing()]


# --- list and show --------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["queue", "ledger"])
def test_without_a_ledger_there_is_nothing_and_none_is_made(site: Site, command: str) -> None:
    ran = site(command)
    assert ran == (0, "", f"nothing: there is no ledger '{site.ledger_file}' yet\n")
    assert site(command, "-q") == (0, "", "")
    assert json.loads(site(command, "--format", "json").out) == ([] if command == "queue" else {})
    assert not site.state.exists()


def test_the_list_has_number_state_subject_and_recipients(site: Site, server: Server) -> None:
    waiting(site, old_name("a"), raw_call("b"))
    ran = site("queue")
    assert (ran.code, ran.err) == (0, "")
    first, second = ran.out.splitlines()
    assert first.startswith("    1  queued     20")
    assert first.endswith("  Re: [PATCH 1/2] misc: lumen: step 1  to ada@example.org and 1 more")
    assert second.startswith("    2  queued ")
    (one, _) = json.loads(site("queue", "list", "--format", "json").out)
    assert (one["number"], one["state"], one["answers"]) == (1, "queued", "lumen-v1-1@example.org")
    assert one["recipients"] == ["ada@example.org", LIST]


def test_an_empty_queue_says_so_on_stderr_alone(site: Site) -> None:
    site.begin()
    assert site("queue") == (0, "", "nothing waits\n")
    assert site("queue", "-q") == (0, "", "")


def test_a_mail_is_shown_as_it_would_go_out(site: Site, server: Server) -> None:
    waiting(site, old_name("a"))
    shown = site("queue", "show", "1").out
    (record,) = json.loads(site("queue", "show", "1", "--format", "json").out)
    assert record["mail"] == shown
    assert site("queue", "approve", "1").code == 0
    (sent,) = server.mails

    def without_date(raw: bytes) -> list[bytes]:
        return [line for line in raw.replace(b"\r\n", b"\n").split(b"\n") if not line.startswith(b"Date: ")]

    assert without_date(sent.data) == without_date(shown.encode())


def test_a_strangers_text_in_a_mail_does_not_act_on_the_terminal(site: Site, server: Server) -> None:
    site.begin()
    bad = "down_read(&mm->mmap_sem); /* \x1b]0;x\x07 \u202e \x9b2J \r */"
    posting = series(diff("a", bad), sender="Ev\x1b[31m\u202eil <evil@example.org>", key="k\x1b[31m")
    site.post([raw.replace(b"Message-ID: <k\x1b[31m", b"Message-ID: <k") for raw in posting])
    assert site("watch").out.startswith("queued ")
    for command in (("queue",), ("queue", "show", "1"), ("ledger", "k-v1-1@example.org"), ("ledger", "mmap-lock")):
        ran = site(*command)
        assert ran.code == 0
        assert len(ran.out) > 50
        assert is_harmless(ran.out), command


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "99"), "no mail '99' in the queue"),
        (("show", "1", "0"), "no mail '0' in the queue"),
        (("approve", "-"), "no mail '-' in the queue"),
        (("drop", "9" * 30), f"no mail '{'9' * 30}' in the queue"),
        (("show", "²"), "no mail '²' in the queue"),
        (("approve",), "which mail? reviewbot queue approve NUMBER"),
        (("list", "1"), "'1': to see a mail: reviewbot queue show 1"),
    ],
)
def test_a_wrong_number_is_said_and_nothing_is_done(
    site: Site, server: Server, words: tuple[str, ...], said: str
) -> None:
    waiting(site, old_name("a"))
    assert site("queue", *words) == (2, "", f"reviewbot: {said}\n")
    assert states(site) == [MailState.QUEUED]


def test_a_number_without_a_ledger_is_an_error(site: Site) -> None:
    ran = site("queue", "approve", "1")
    assert ran == (2, "", f"reviewbot: no mail '1' in the queue: there is no ledger '{site.ledger_file}' yet\n")


# --- approve --------------------------------------------------------------------------------------


def test_what_is_approved_goes_out_at_once_and_only_once(site: Site, server: Server) -> None:
    waiting(site, old_name("a"), raw_call("b"))
    ran = site("queue", "approve", "2", "2")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("sent <lumen-v1-2@example.org>: 2 findings to ada@example.org")
    assert states(site) == [MailState.QUEUED, MailState.SENT]
    assert site("queue", "approve", "2") == (2, "", "reviewbot: mail 2 is sent: there is nothing to decide\n")
    assert site("queue", "drop", "2") == (2, "", "reviewbot: mail 2 is sent: there is nothing to decide\n")
    assert site("watch") == (0, "", "")
    assert len(server.mails) == 1


def test_one_wrong_number_approves_none(site: Site, server: Server) -> None:
    waiting(site, old_name("a"))
    assert site("queue", "approve", "1", "7").code == 2
    assert server.mails == []
    assert states(site) == [MailState.QUEUED]


def test_approval_does_not_overrule_what_came_up_since(site: Site, server: Server) -> None:
    waiting(site, old_name("a"))
    site.post(series(clean("a"), revision=2), hours=0)
    ran = site("queue", "approve", "1")
    assert (ran.code, ran.out) == (1, "skipped <lumen-v1-1@example.org> superseded: v2 is known\n") or (
        ran.code == 1 and ran.err == "mail 1 is withdrawn, not sent: superseded v2 is known\n"
    )
    assert server.mails == []
    assert states(site) == [MailState.WITHDRAWN]


def test_approved_under_the_kill_switch_waits(site: Site, server: Server) -> None:
    waiting(site, old_name("a"))
    (site.state / "STOP").touch()
    ran = site("queue", "approve", "1")
    assert (ran.code, ran.out) == (1, f"note kill-switch: '{site.state}/STOP' is there: nothing is sent\n")
    assert ran.err == f"mail 1 is ready, not sent: '{site.state}/STOP' is there\n"
    assert server.mails == []
    (site.state / "STOP").unlink()
    assert site("watch").out.startswith("sent ")


def test_a_server_that_is_down_leaves_the_mail_approved(site: Site) -> None:
    site.configure(send="approve")
    waiting(site, old_name("a"))
    ran = site("queue", "approve", "1")
    assert (ran.code, ran.out) == (75, "")
    assert "mail 1 is ready, not sent: cannot connect to '127.0.0.1:1': Connection refused\n" in ran.err
    with smtp_server() as server:
        site.configure(send="approve", port=server.port)
        assert site("queue", "approve", "1").code == 0
    assert len(server.mails) == 1


def test_a_draft_cannot_be_approved(site: Site) -> None:
    site.configure(mode="draft")
    site.begin(old_name("a"))
    assert site("watch").out.startswith("drafted ")
    ran = site("queue", "approve", "1")
    assert ran == (2, "", 'reviewbot: mail 1 is a draft: its lists get no mail (mode = "draft")\n')
    assert site("queue", "drop", "1").code == 0


def test_approved_while_a_pass_is_at_it_goes_out_with_the_next(site: Site, server: Server) -> None:
    waiting(site, old_name("a"))
    with open(f"{site.ledger_file}.lock", "r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ran = site("queue", "approve", "1")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.startswith("approved; a pass is at it (process ")
    assert server.mails == []
    assert site("watch").out.startswith("sent ")


@pytest.mark.parametrize("action", ["approve", "drop"])
def test_a_mail_that_a_pass_may_be_sending_is_left_alone(site: Site, server: Server, action: str) -> None:
    # while the server has not answered the mail counts as uncertain: given free then, it would go out twice
    waiting(site, old_name("a"))
    with site.ledger() as ledger:
        (one,) = ledger.outgoing()
        ledger.move(one.id, MailState.READY, manual=True)
        token = ledger.claim(one.message_id, site.now())
        assert token
        ledger.point_of_no_return(one.message_id, token, site.now())
    with open(f"{site.ledger_file}.lock", "r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ran = site("queue", action, "1")
    assert (ran.code, ran.out) == (75, "")
    assert "may be sending mail 1: try again when it is done\n" in ran.err
    assert states(site) == [MailState.UNCERTAIN]
    assert server.mails == []


def test_a_mail_of_unknown_fate_goes_out_again_when_a_person_says_so(site: Site) -> None:
    with smtp_server(Faults(after_dot="drop", keep=False)) as server:
        site.configure(port=server.port)
        site.begin(old_name("a"))
        assert site("watch").out.startswith("uncertain ")
        server.faults = Faults()
        assert site("watch") == (0, "", "")
        assert "    1  uncertain  " in site("queue").out
        assert site("queue", "approve", "1").out.startswith("sent ")
    assert len(server.mails) == 1


# --- drop -----------------------------------------------------------------------------------------


def test_what_is_dropped_is_not_said_of_the_next_revision_either(site: Site, server: Server) -> None:
    waiting(site, old_name("a"))
    ran = site("queue", "drop", "1", "--reason", "they know")
    assert ran == (0, "", "dropped mail 1: what it says is not said of this series again\n")
    assert states(site) == [MailState.DROPPED]
    with site.ledger() as ledger:
        posting = ledger.posting_of("lumen-v1-1@example.org")
        assert posting
        assert ledger.decisions(posting.id)[-1][1:] == (Reason.DROPPED, "they know", True)
        assert {row.state for row in ledger.findings(posting.series)} == {FindingState.SUPPRESSED}
    site.post(series(old_name("a"), revision=2), hours=2)
    assert site("watch") == (0, "", "")
    assert server.mails == []


# --- reply --send ---------------------------------------------------------------------------------


def on_terminal(site: Site, answer: str, *words: str) -> Run:
    """Run the installed command with a terminal to ask at."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer.encode())
        command = [str(PROGRAM), *words, "--config", str(site.file)]
        env = {"PATH": os.environ["PATH"], "HOME": str(site.directory / "nobody")}
        done = subprocess.run(command, env=env, stdin=theirs, capture_output=True, text=True, check=False, timeout=60)
    finally:
        os.close(theirs)
        os.close(ours)
    return Run(done.returncode, done.stdout, done.stderr)


def replied(site: Site) -> tuple[str, ...]:
    """A posting is in the archive; the words that answer it."""
    site.post(series(old_name("a")), hours=0.1)
    return ("reply", "lumen-v1-1@example.org", "-m", str(site.directory / "mm"), "--send")


@pytest.mark.parametrize(("answer", "sent"), [("y\n", True), ("yes\n", True), ("n\n", False), ("\n", False)])
def test_a_reply_is_shown_and_sent_after_a_yes(site: Site, server: Server, answer: str, sent: bool) -> None:
    ran = on_terminal(site, answer, *replied(site))
    assert "Subject: Re: [PATCH] misc: lumen: step 1\n" in ran.out
    assert "Send this mail? [y/N] " in ran.err
    assert ran.code == (0 if sent else 1)
    assert ("sent <lumen-v1-1@example.org>" in ran.out) is sent
    assert len(server.mails) == sent
    assert states(site) == ([MailState.SENT] if sent else [])


def test_without_a_terminal_it_wants_a_yes_on_the_command_line(
    site: Site, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = replied(site)
    with open(os.devnull) as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        ran = site(*words)
        assert ran.code == 2
        assert ran.err.endswith("standard input is no terminal to ask at: --yes sends without asking\n")
        assert server.mails == []
        # neither the wait nor the need for approval holds up a person
        ran = site(*words, "--yes")
    assert ran.code == 0
    assert "sent <lumen-v1-1@example.org>" in ran.out
    assert len(server.mails) == 1


def test_a_reply_is_not_sent_twice_by_hand_or_by_a_pass(site: Site, server: Server) -> None:
    assert site("watch").code == 0
    words = replied(site)
    assert site(*words, "--yes").code == 0
    ran = site(*words, "--yes")
    assert (ran.code, ran.out) == (1, "")
    assert "not sent: already-said: " in ran.err
    site.post(series(old_name("b"), key="later"))
    assert site("watch").out.startswith("queued <later-v1-1@example.org>")
    assert len(server.mails) == 1


def test_the_policy_refuses_with_its_reason(site: Site, server: Server) -> None:
    words = replied(site)
    site.configure(mode="off", port=server.port)
    ran = site(*words, "--yes")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.endswith(f"not sent: list-off: {LIST} is off\n")
    site.configure(mode="draft", port=server.port)
    ran = site(*words, "--yes")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.endswith(f"not sent: draft: {LIST} gets drafts alone\n")
    assert server.mails == []


def test_nothing_found_is_no_failure(site: Site, server: Server) -> None:
    site.post(series(clean("a")))
    ran = site("reply", "lumen-v1-1@example.org", "-m", str(site.directory / "mm"), "--send", "--yes")
    assert ran.code == 0
    assert ran.err.endswith("not sent: nothing-found\n")


@pytest.mark.parametrize("delivered", [False, True])
def test_a_file_proves_nothing_but_by_the_list_that_delivered_it(site: Site, server: Server, delivered: bool) -> None:
    headers = ["List-Id: <linux-mm.example.org>"] if delivered else []
    file = site.directory / "box"
    file.write_bytes(b"".join(FROM + raw + b"\n" for raw in series(old_name("a"), headers=headers)))
    ran = site("reply", "lumen-v1-1@example.org", "-m", str(file), "--send", "--yes")
    assert len(server.mails) == delivered
    if not delivered:
        assert ran.code == 1
        assert "not sent: private: nothing proves that it is public" in ran.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--send", "-P", "1"), "--send answers the whole posting that is named: without -P, -v and --latest"),
        (("--send", "--latest"), "--send answers the whole posting that is named: without -P, -v and --latest"),
        (("--send", "--strict"), "--send says what the lists' severity and confidence allow: without --strict"),
        (("--yes",), "--yes is for --send"),
    ],
)
def test_what_makes_no_sense_with_send_is_refused(site: Site, words: tuple[str, ...], said: str) -> None:
    assert site("reply", "x@example.org", *words) == (2, "", f"reviewbot: {said}\n")


def test_nobody_sends_while_a_pass_is_at_it(site: Site, server: Server) -> None:
    assert site("watch").code == 0
    words = replied(site)
    with open(f"{site.ledger_file}.lock", "r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ran = site(*words, "--yes")
    assert (ran.code, ran.out) == (75, "")
    assert "a pass is at it (process " in ran.err
    assert server.mails == []


# --- a real public-inbox takes the reply in -------------------------------------------------------


def deliver_as_mail(directory: Path, name: str, raw: bytes) -> None:
    """Give a mail to public-inbox-mda, as a mail server does that has it for the list."""
    config = directory / "pi-config"
    subprocess.run(["git", "config", "-f", str(config), "publicinboxmda.spamcheck", "none"], check=True)
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "PI_CONFIG": str(config),
        "ORIGINAL_RECIPIENT": f"{name}@example.org",
    }
    subprocess.run(["public-inbox-mda"], env=env, input=raw, check=True, capture_output=True)
    refresh(directory)


def fetch(url: str) -> str:
    """A page of the archive, unpacked."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        raw: bytes = answer.read()
    return (gzip.decompress(raw) if url.endswith(".gz") else raw).decode()


@pytest.mark.parametrize("kind", ["git", "lore"])
def test_the_reply_stands_in_the_thread_of_a_real_archive_and_the_next_pass_knows(
    site: Site, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if missing := missing_programs():
        pytest.skip(f"not installed: {missing}")
    # public-inbox takes for a mail's arrival what the mail says
    monkeypatch.setattr("mails.START", site.now() - timedelta(hours=3))
    directory, name = site.directory / "lists", "linux-mm"
    write_epoch(directory / name / "git" / "0.git", [mail("begin", "Hello.\n", "first@example.org", minute=-600)])
    with smtp_server() as server, serve(directory, name, "full") as url:
        site.configure(port=server.port)
        archive = f'git = "{directory}/{name}"' if kind == "git" else f'lore = "{url}"'
        text = site.file.read_text().replace(f'git = "{site.directory}/mm"', archive)
        # a server does not tell when it took a mail: the wait would begin with the pass
        site.file.write_text(text if kind == "git" else text.replace('wait = "1h"', 'wait = "0s"'))
        assert site("watch").code == 0
        if kind == "lore":  # where only what is stamped later than the first pass is news
            monkeypatch.setattr("mails.START", site.now() + timedelta(minutes=1))
        deliver_all(directory, name, series(old_name("a"), raw_call("b")))
        assert site("watch").out.count("sent ") == 2
        for sent in server.mails:
            deliver_as_mail(directory, name, sent.data.replace(b"\r\n", b"\n"))
        ours = [str(BytesParser(policy=policy.default).parsebytes(sent.data)["Message-ID"]) for sent in server.mails]
        top = "lumen-v1-0@example.org"
        box = fetch(f"{url}{top}/t.mbox.gz")
        assert all(f"\nMessage-ID: {reply}\n" in box for reply in ours)
        # the page of the thread has each reply one step below its patch
        page = fetch(f"{url}{top}/T/")
        for n in (1, 2):
            below = (
                rf"<b>Re: \[PATCH {n}/2\] misc: lumen: step {n}</b>\n"
                rf'  \S+ +\S+ ` <a\nhref="#m\w+">\[PATCH {n}/2\] misc: lumen: step {n}</a> Ada Ranger\n'
                r"<b>@ \S+ +\S+   ` reviewbot</b>\n"
            )
            assert re.search(below, page), page
        # the pass sees what it said
        assert site("watch") == (0, "", "")
        with site.ledger() as ledger:
            assert [one.archived is not None for one in ledger.outgoing()] == [True, True]
        assert site("ledger", "--sent").out.count("in the archive") == 2
        # a review of the thread is not misled by it
        ran = site("lore", top, "--lore-url", url, "--format", "terse")
        assert ran.code == 1
        assert ran.out.count("[mmap-lock/") == 3
        assert ran.err.startswith("fetched 5 mails from ")
        # who asks by hand is told, too, even where the ledger was lost
        site.file.write_text(site.file.read_text().replace("/state/", "/lost/"))
        ran = site("reply", top, "--lore-url", url, "--send", "--yes")
        assert (ran.code, ran.out) == (1, "")
        assert "not sent: already-said: the thread has <reviewbot.patch." in ran.err
    assert len(server.mails) == 2
