# SPDX-License-Identifier: GPL-2.0-or-later
"""How mails leave, against a real server on loopback and real programs; and that no fault sends one twice or unseen.

Belongs here: what `reviewbot.send` promises. A real mail transfer agent is in test_send_mta.py.
"""

from __future__ import annotations

import base64
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from smtp_server import Faults, Mail, Server, certificates, missing_openssl, smtp_server

from reviewbot import send
from reviewbot.config import SendConfig
from reviewbot.model import ConfigError, TemporaryError
from reviewbot.send import Outcome, Result, open_transport, sign

BOT = "bot@example.org"
ANN, BEN = "ann@example.org", "ben@example.net"
MAIL = b"From: bot <bot@example.org>\nSubject: Re: [PATCH] mm: x\n\nIs vma still valid here?\n"
CRLF = MAIL.replace(b"\n", b"\r\n")

# What a server or the network may do, and never ends by itself.
ENDLESS = ("drop", "timeout", "dribble", "flood")


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without any configuration."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "GIT_CONFIG_GLOBAL", "GIT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to the dot is waited for as little as a test can bear."""
    monkeypatch.setattr(send, "_WHOLE", 2)


def plain(server: Server, *, seconds: float = 20) -> SendConfig:
    return SendConfig(server="127.0.0.1", port=server.port, encryption="none", timeout=timedelta(seconds=seconds))


def fault_at(step: str, action: str) -> Faults:
    return replace(Faults(), **{step: action})  # type: ignore[arg-type]


def nothing() -> None:
    """What happens at the point of no return, for who does not ask."""


def send_one(
    config: SendConfig, to: tuple[str, ...] = (ANN,), data: bytes = MAIL, last: Callable[[], None] = nothing
) -> Result:
    with open_transport(config) as transport:
        return transport.send(BOT, to, data, last)


def calls() -> tuple[list[str], Callable[[], None]]:
    """A list, and what adds to it when called."""
    seen: list[str] = []
    return seen, lambda: seen.append("last")


# --- the dialogue ---------------------------------------------------------------------------------


def test_a_mail_arrives_byte_for_byte() -> None:
    body = b".\n..\n.leading dot\n\xc5\xbdofie, and latin \xe9\n" + b"x" * 900 + b"\n\n\n"
    with smtp_server() as server:
        result = send_one(plain(server), (ANN, BEN), MAIL + body)
    assert result == Result(Outcome.SENT, 250, "kept")
    assert server.mails == [Mail(BOT, (ANN, BEN), (MAIL + body).replace(b"\n", b"\r\n"))]


def test_line_ends_of_either_kind_are_the_same_mail() -> None:
    with smtp_server() as server, open_transport(plain(server)) as transport:
        for data in (MAIL, CRLF, MAIL.rstrip(b"\n")):
            transport.send(BOT, [ANN], data, nothing)
    assert [mail.data for mail in server.mails] == [CRLF] * 3


def test_a_large_mail_arrives() -> None:
    data = MAIL + b"0123456789abcde\n" * 100_000
    with smtp_server() as server:
        assert send_one(plain(server), data=data).outcome is Outcome.SENT
    assert server.mails[0].data == data.replace(b"\n", b"\r\n")


def test_several_mails_go_over_one_connection() -> None:
    with smtp_server() as server, open_transport(plain(server)) as transport:
        before = server.connections
        results = [transport.send(BOT, [to], MAIL, nothing) for to in (ANN, BEN, ANN)]
    assert {result.outcome for result in results} == {Outcome.SENT}
    assert [mail.recipients for mail in server.mails] == [(ANN,), (BEN,), (ANN,)]
    assert (before, server.connections) == (0, 1)
    assert server.commands[-1] == "QUIT"


def test_eight_bit_and_size_are_announced_where_the_server_knows_them() -> None:
    with smtp_server() as server:
        send_one(plain(server), data=MAIL + b"\xc5\xbd\n")
        send_one(plain(server))
    mails = [command for command in server.commands if command.startswith("MAIL")]
    assert mails == [
        f"MAIL FROM:<{BOT}> SIZE={len(CRLF) + 4} BODY=8BITMIME",
        f"MAIL FROM:<{BOT}> SIZE={len(CRLF)}",
    ]


def test_neither_is_announced_to_a_server_that_does_not_know_them() -> None:
    with smtp_server(without=("8BITMIME", "SIZE")) as server:
        assert send_one(plain(server), data=MAIL + b"\xc5\xbd\n").outcome is Outcome.SENT
    assert f"MAIL FROM:<{BOT}>" in server.commands


def test_a_server_that_only_knows_helo_takes_a_mail() -> None:
    with smtp_server(Faults(ehlo="502 what?")) as server:
        assert send_one(plain(server)).outcome is Outcome.SENT


def test_a_mail_larger_than_the_server_takes_is_not_offered() -> None:
    with smtp_server(size=1000) as server:
        seen, last = calls()
        result = send_one(plain(server), data=MAIL + b"y" * 1000, last=last)
    assert result.outcome is Outcome.PERMANENT
    assert "the server takes 1000" in result.text
    assert not seen
    assert not any(command.startswith("MAIL") for command in server.commands)


def test_the_same_recipient_is_named_once() -> None:
    with smtp_server() as server:
        send_one(plain(server), (ANN, BEN, ANN))
    assert server.mails[0].recipients == (ANN, BEN)


# --- the point of no return -----------------------------------------------------------------------


def test_the_server_has_not_taken_the_mail_when_last_is_called() -> None:
    at: list[tuple[int, str]] = []
    with smtp_server() as server:
        send_one(plain(server), last=lambda: at.append((len(server.mails), server.commands[-1])))
        assert len(server.mails) == 1
    assert at == [(0, "DATA")]


@pytest.mark.parametrize("error", [OSError("disk full"), TemporaryError("locked"), KeyboardInterrupt()])
def test_where_last_raises_the_server_never_has_the_mail(error: BaseException) -> None:
    def last() -> None:
        raise error

    with smtp_server() as server, open_transport(plain(server)) as transport:
        with pytest.raises(type(error)) as caught:
            transport.send(BOT, [ANN], MAIL, last)
        assert caught.value is error
        # the next mail goes, on a connection of its own
        assert transport.send(BOT, [BEN], MAIL, nothing).outcome is Outcome.SENT
    assert [mail.recipients for mail in server.mails] == [(BEN,)]
    assert server.connections == 2


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["mail", "rcpt", "data"])
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [("451 4.3.0 later", Outcome.TRANSIENT), ("421 closing", Outcome.TRANSIENT), ("554 5.7.1 no", Outcome.PERMANENT)],
)
def test_a_refusal_before_the_mail_is_certain(step: str, answer: str, outcome: Outcome) -> None:
    seen, last = calls()
    with smtp_server(fault_at(step, answer)) as server, open_transport(plain(server)) as transport:
        result = transport.send(BOT, [ANN], MAIL, last)
        assert (result.outcome, result.code) == (outcome, int(answer[:3]))
        assert answer[4:] in result.text
        assert not seen
        server.faults = Faults()
        assert transport.send(BOT, [BEN], MAIL, nothing).outcome is Outcome.SENT
    assert [mail.recipients for mail in server.mails] == [(BEN,)]
    assert server.connections == (2 if answer.startswith("421") else 1)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [("452 disk full", Outcome.TRANSIENT), ("421 closing", Outcome.TRANSIENT), ("550 spam", Outcome.PERMANENT)],
)
def test_a_refusal_of_the_whole_mail_is_certain(answer: str, outcome: Outcome) -> None:
    seen, last = calls()
    with smtp_server(Faults(after_dot=answer)) as server, open_transport(plain(server)) as transport:
        result = transport.send(BOT, [ANN], MAIL, last)
        assert result == Result(outcome, int(answer[:3]), answer[4:])
        assert seen == ["last"]
        server.faults = Faults()
        assert transport.send(BOT, [BEN], MAIL, nothing).outcome is Outcome.SENT
    assert [mail.recipients for mail in server.mails] == [(BEN,)]


def test_the_mail_goes_to_those_who_are_taken_and_the_others_are_told() -> None:
    with smtp_server(Faults(rcpt={ANN: "550 5.1.1 no such user"})) as server:
        result = send_one(plain(server), (ANN, BEN, "no address"))
    assert result.outcome is Outcome.SENT
    assert sorted(result.refused) == [f"{ANN}: 550 5.1.1 no such user", "no address: not an address"]
    assert [mail.recipients for mail in server.mails] == [(BEN,)]


def test_behind_a_421_nobody_else_is_named() -> None:
    with smtp_server(Faults(rcpt={ANN: "421 closing"})) as server:
        assert send_one(plain(server), (ANN, BEN)) == Result(Outcome.TRANSIENT, 421, "closing")
    assert server.commands[-1] == f"RCPT TO:<{ANN}>"


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [("550 no", "550 no", Outcome.PERMANENT), ("450 later", "550 no", Outcome.TRANSIENT),
     ("550 no", "450 later", Outcome.TRANSIENT)],
)  # fmt: skip
def test_where_all_are_refused_one_later_makes_it_later(first: str, second: str, outcome: Outcome) -> None:
    seen, last = calls()
    with smtp_server(Faults(rcpt={ANN: first, BEN: second})) as server:
        result = send_one(plain(server), (ANN, BEN), last=last)
    assert result.outcome is outcome
    assert result.text == f"{ANN}: {first}; {BEN}: {second}"
    assert not server.mails
    assert not seen
    assert "DATA" not in server.commands


@pytest.mark.parametrize("step", ["mail", "rcpt", "data"])
def test_a_server_that_wants_a_login_is_no_refusal_of_the_mail(step: str) -> None:
    with (
        smtp_server(fault_at(step, "530 5.7.0 Authentication required")) as server,
        pytest.raises(ConfigError, match="wants a login: 530"),
    ):
        send_one(plain(server))
    assert not server.mails


def test_what_a_server_says_is_one_harmless_line() -> None:
    with smtp_server(Faults(after_dot="550-\x1b[2Jgone\r\n550 " + "z" * 900)) as server:
        result = send_one(plain(server))
    assert result.outcome is Outcome.PERMANENT
    assert result.text.startswith("^[[2Jgone zzz")
    assert len(result.text) == 300


# --- the connection -------------------------------------------------------------------------------


def test_nobody_listens() -> None:
    with socket.socket() as idle:
        idle.bind(("127.0.0.1", 0))
        port = idle.getsockname()[1]
        with pytest.raises(TemporaryError, match=rf"cannot connect to '127.0.0.1:{port}': Connection refused"):
            send_one(SendConfig(server="127.0.0.1", port=port, encryption="none"))


def test_a_host_that_does_not_exist_may_exist_later() -> None:
    with pytest.raises(TemporaryError, match=r"cannot connect to 'mail\.invalid:25'"):
        send_one(SendConfig(server="mail.invalid", encryption="none"))


@pytest.mark.parametrize("fault", ["421 too busy", "554 go away", "hello", *ENDLESS])
def test_without_a_greeting_the_pass_stops(fault: str, hasty: None) -> None:
    with smtp_server(Faults(connect=fault)) as server, pytest.raises(TemporaryError, match="cannot connect") as caught:
        send_one(plain(server, seconds=0.3))
    assert fault in ENDLESS or fault in str(caught.value) or fault == "hello"


@pytest.mark.parametrize("fault", ["421 too busy", *ENDLESS])
def test_without_a_session_the_pass_stops(fault: str, hasty: None) -> None:
    with smtp_server(Faults(ehlo=fault)) as server, pytest.raises(TemporaryError):
        send_one(plain(server, seconds=0.3))


@pytest.mark.parametrize(
    ("step", "fault"),
    # while it sends, the client does not read: what is said then makes no difference
    [*((step, fault) for step in ("mail", "rcpt", "data") for fault in ENDLESS), ("body", "drop"), ("body", "timeout")],
)
def test_a_connection_lost_before_the_dot_is_certain(step: str, fault: str, hasty: None) -> None:
    seen, last = calls()
    # larger than what the system buffers, so that a connection lost in the body is noticed there
    data = MAIL + b"0123456789abcde\n" * 1_000_000
    with smtp_server(fault_at(step, fault)) as server:
        result = send_one(plain(server, seconds=0.4), data=data if step == "body" else MAIL, last=last)
    assert (result.outcome, result.code) == (Outcome.TRANSIENT, None)
    assert result.text.startswith("connection lost: ")
    assert fault != "flood" or "the answer is too long" in result.text
    assert not seen
    assert not server.mails


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("fault", ENDLESS)
def test_a_connection_lost_behind_the_dot_leaves_the_mail_uncertain(fault: str, keep: bool, hasty: None) -> None:
    with smtp_server(Faults(after_dot=fault, keep=keep)) as server:
        result = send_one(plain(server, seconds=0.3))
    assert (result.outcome, result.code) == (Outcome.UNCERTAIN, None)
    assert result.text.startswith("no answer to the mail: ")
    assert fault != "flood" or "the answer is too long" in result.text
    assert len(server.mails) == keep


@pytest.mark.parametrize("answer", ["354 more", "x", "999 what", "250-" + "y" * 9000])
def test_an_answer_to_the_dot_that_is_none_leaves_the_mail_uncertain(answer: str) -> None:
    # the last is what smtplib makes "500 Line too long." of
    with smtp_server(Faults(after_dot="2" if answer == "x" else answer)) as server:
        if answer == "x":
            server.faults = Faults(after_dot="2xx")
        result = send_one(plain(server))
    assert (result.outcome, result.code) == (Outcome.UNCERTAIN, None)


@pytest.mark.parametrize("step", ["rset", "quit"])
@pytest.mark.parametrize("fault", ["500 what?", "421 bye", *ENDLESS])
def test_what_fails_behind_a_sent_mail_does_not_unsend_it(step: str, fault: str, hasty: None) -> None:
    with smtp_server(fault_at(step, fault)) as server, open_transport(plain(server, seconds=0.3)) as transport:
        results = [transport.send(BOT, [to], MAIL, nothing) for to in (ANN, BEN)]
    assert [result.outcome for result in results] == [Outcome.SENT, Outcome.SENT]
    assert [mail.recipients for mail in server.mails] == [(ANN,), (BEN,)]
    assert server.connections == (2 if step == "rset" else 1)


def test_a_server_that_loses_mail_after_mail_is_left_alone(hasty: None) -> None:
    with smtp_server(Faults(mail="drop")) as server, open_transport(plain(server)) as transport:
        for _ in range(3):
            assert transport.send(BOT, [ANN], MAIL, nothing).outcome is Outcome.TRANSIENT
        with pytest.raises(TemporaryError, match="broke off 3 mails in a row"):
            transport.send(BOT, [ANN], MAIL, nothing)
    assert server.connections == 3


def test_one_mail_that_kills_the_connection_does_not_stop_the_others() -> None:
    with smtp_server() as server, open_transport(plain(server)) as transport:
        for _ in range(4):
            server.faults = Faults(mail="drop")
            assert transport.send(BOT, [ANN], MAIL, nothing).outcome is Outcome.TRANSIENT
            server.faults = Faults()
            assert transport.send(BOT, [BEN], MAIL, nothing).outcome is Outcome.SENT


# --- what is not sent -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [b"Subject: x\n\na\rb\n", b"Subject: x\0y\n\nb\n", b"Subject: \xc5\xbd\n\nb\n", b"Subject: x\n",
     b"Subject: x\n\nb\r\r\n.\r\r\nMAIL FROM:<x@y>\n"],
)  # fmt: skip
def test_what_could_be_taken_for_another_mail_is_not_sent(data: bytes) -> None:
    with smtp_server() as server, pytest.raises(ValueError, match="a mail"):
        send_one(plain(server), data=data)
    assert not server.connections


BAD = [
    "", "ann", "ann@", "@example.org", "a b@example.org", "a@example.org\r\nRCPT TO:<x@y>", "a@example.org\n",
    "<a@b.c>", "a@b.c> NOTIFY=x", "žofie@example.org", "a@žofie.example", "a@b@c", "a@b.c,d@e.f", '"a b"@c.d',
    "-oQ/tmp@b.c",     "a\0@b.c", "a@[127.0.0.1]", "a\t@b.c", "\u202ea@b.c", "x" * 65 + "@b.c",
]  # fmt: skip


@pytest.mark.parametrize("address", BAD)
def test_what_is_no_address_is_not_named_to_a_server(address: str) -> None:
    with smtp_server() as server, open_transport(plain(server)) as transport:
        results = [transport.send(BOT, [address], MAIL, nothing), transport.send(address, [ANN], MAIL, nothing)]
    assert [result.outcome for result in results] == [Outcome.PERMANENT] * 2
    assert all(result.text.isprintable() for result in results)
    assert not server.connections


def test_a_mail_to_nobody_is_not_sent() -> None:
    with smtp_server() as server:
        assert send_one(plain(server), ()) == Result(Outcome.PERMANENT, None, "no recipient")


# --- encryption and login -------------------------------------------------------------------------


class Place:
    """A server's certificate for localhost, and what a user of it has."""

    def __init__(self, directory: Path) -> None:
        if missing := missing_openssl():
            pytest.skip(f"not installed: {missing}")
        directory.mkdir()
        self.authority, self.context = certificates(directory)
        self.password = directory / "password"
        self.password.write_text("geheim\nsecond line\n")
        self.password.chmod(0o600)

    def config(self, server: Server, encryption: str = "starttls", *, login: bool = False) -> SendConfig:
        config = plain(server)._replace(server="localhost", encryption=encryption, ca_file=str(self.authority))
        return config._replace(user="bot", password_file=str(self.password)) if login else config


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("tls") / "x")


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
@pytest.mark.parametrize("login", [True, False])
def test_a_mail_goes_encrypted(place: Place, encryption: str, login: bool) -> None:
    users = {"bot": "geheim"} if login else None
    with smtp_server(tls=place.context, wrapped=encryption == "tls", users=users) as server:
        assert send_one(place.config(server, encryption, login=login)).outcome is Outcome.SENT
    assert [mail.data for mail in server.mails] == [CRLF]
    # what was said in clear does not count: EHLO again behind STARTTLS
    before = [
        command.split()[0]
        for command in server.commands[: server.commands.index(f"MAIL FROM:<{BOT}> SIZE={len(CRLF)}")]
    ]
    start = ["EHLO", "STARTTLS"] if encryption == "starttls" else []
    assert before == [*start, "EHLO", *(["AUTH"] if login else [])]


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
def test_a_certificate_for_another_host_stops_the_pass(place: Place, encryption: str) -> None:
    with smtp_server(tls=place.context, wrapped=encryption == "tls") as server:
        config = place.config(server, encryption, login=True)._replace(server="127.0.0.1")
        with pytest.raises(ConfigError, match=r"the certificate of '127.0.0.1:\d+' does not hold"):
            send_one(config)
    assert not {"AUTH PLAIN", "MAIL"} & {*server.commands}


def test_a_certificate_of_an_unknown_authority_stops_the_pass(place: Place) -> None:
    with smtp_server(tls=place.context) as server, pytest.raises(ConfigError, match="does not hold"):
        send_one(place.config(server)._replace(ca_file=""))


def test_without_starttls_nothing_is_sent_in_clear(place: Place) -> None:
    with smtp_server() as server, pytest.raises(ConfigError, match="does not offer STARTTLS"):
        send_one(place.config(server, login=True))
    assert server.commands == ["EHLO [127.0.0.1]"]


@pytest.mark.parametrize("fault", ["454 not now", "drop", "timeout"])
def test_where_starttls_fails_nothing_is_sent_in_clear(place: Place, fault: str) -> None:
    with smtp_server(Faults(starttls=fault), tls=place.context) as server, pytest.raises(TemporaryError):
        send_one(place.config(server, login=True)._replace(timeout=timedelta(seconds=0.4)))
    assert server.commands == ["EHLO [127.0.0.1]", "STARTTLS"]


def test_tls_to_a_server_that_speaks_in_clear_fails(place: Place) -> None:
    with smtp_server() as server, pytest.raises(TemporaryError, match="cannot connect"):
        send_one(place.config(server, "tls"))
    assert not server.commands


def test_a_wrong_password_stops_the_pass_and_is_not_told(place: Place) -> None:
    secret = base64.b64encode(b"\0bot\0geheim").decode()
    with smtp_server(tls=place.context, users={"bot": "other"}) as server:
        with pytest.raises(ConfigError, match="refuses the login of 'bot': 535"):
            send_one(place.config(server, login=True))
        # a server that repeats what it was told
        server.faults = Faults(auth=f"535 not geheim nor {secret}")
        with pytest.raises(ConfigError) as caught:
            send_one(place.config(server, login=True))
    assert str(caught.value).endswith("535 not *** nor ***")
    assert not server.mails


@pytest.mark.parametrize("fault", ["454 later", "drop"])
def test_a_login_that_fails_for_now_is_tried_later(place: Place, fault: str) -> None:
    with smtp_server(Faults(auth=fault), tls=place.context, users={}) as server, pytest.raises(TemporaryError):
        send_one(place.config(server, login=True))


def test_a_server_without_login_does_not_get_the_mail_of_who_has_one(place: Place) -> None:
    with (
        smtp_server(tls=place.context, without=("AUTH",)) as server,
        pytest.raises(ConfigError, match="cannot log in"),
    ):
        send_one(place.config(server, login=True))


def test_a_password_file_that_others_may_read_is_refused(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("geheim\n")
    config = SendConfig(server="localhost", user="bot", password_file=str(file))
    for mode in (0o640, 0o604, 0o620):
        file.chmod(mode)
        with pytest.raises(ConfigError, match="can be read by others") as caught:
            open_transport(config)
        assert "geheim" not in str(caught.value)
    file.chmod(0o400)
    open_transport(config)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"encryption": "none", "user": "u", "password_file": "x"}, "never sent in clear"),
        ({"user": "u"}, "need each other"),
        ({"password_file": "x"}, "need each other"),
        ({"user": "u", "password_file": "/nonexistent"}, "cannot open '/nonexistent'"),
        ({"user": "u", "password_file": "/dev/null"}, "not a file"),
        ({"ca_file": "/nonexistent"}, "cannot read certificates from '/nonexistent'"),
        ({"ca_file": __file__}, "cannot read certificates"),
        ({"server": "a b"}, "not the name of a mail server"),
        ({"server": "mail.example.org:25"}, "not the name of a mail server"),
        ({"port": 70000}, "not a port"),
        ({"timeout": timedelta(0)}, "'send.timeout' must be more than nothing"),
        ({"server": "/nonexistent/sendmail"}, "no such program"),
        ({"server": "", "user": "u"}, "'send.user' needs 'send.server'"),
        ({"server": ""}, "no way to send"),
    ],
)
def test_a_configuration_that_cannot_work_is_told_at_once(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        open_transport(SendConfig(server="localhost")._replace(**change))


def test_the_password_is_in_no_repr(place: Place) -> None:
    transport = open_transport(SendConfig(server="localhost", user="bot", password_file=str(place.password)))
    assert "geheim" not in repr(vars(transport))


# --- git's configuration --------------------------------------------------------------------------


def git_config(tmp_path: Path, text: str) -> None:
    (tmp_path / "home" / ".gitconfig").write_text(text)


def test_gits_configuration_is_taken_where_there_is_none_of_ours(place: Place, tmp_path: Path) -> None:
    with smtp_server(tls=place.context, users={"bot": "geheim"}) as server:
        git_config(
            tmp_path,
            f"[sendemail]\nsmtpServer = localhost\nsmtpServerPort = {server.port}\nsmtpEncryption = tls\n"
            f"smtpUser = bot\nsmtpPass = geheim\nsmtpSSLCertPath = {place.authority}\nsmtpDomain = bot.example.org\n",
        )
        assert send_one(SendConfig()).outcome is Outcome.SENT
    assert server.commands[:2] == ["EHLO bot.example.org", "STARTTLS"]


@pytest.mark.parametrize("key", ["[sendemail]\nidentity = work\n", "[b4]\nsendemail-identity = work\n"])
def test_an_identity_goes_before_the_general_settings(place: Place, tmp_path: Path, key: str) -> None:
    with smtp_server(tls=place.context, wrapped=True, users={"bot": "geheim"}) as server:
        git_config(
            tmp_path,
            key + '[sendemail "other"]\nsmtpServer = other.invalid\n[sendemail "work"]\nsmtpServer = localhost\n'
            f"smtpServerPort = {server.port}\nsmtpUser = bot\nsmtpPass = geheim\n[sendemail]\n"
            f"smtpServer = wrong.invalid\nsmtpEncryption = ssl\nsmtpSSLCertPath = {place.authority}\n",
        )
        assert send_one(SendConfig()).outcome is Outcome.SENT


def test_the_password_comes_from_a_credential_helper(place: Place, tmp_path: Path) -> None:
    helper = tmp_path / "helper"
    helper.write_text(
        f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\ncat >>{tmp_path}/asked\nenv >>{tmp_path}/asked\n'
        "echo username=bot\necho password=geheim\n"
    )
    helper.chmod(0o755)
    with smtp_server(tls=place.context, users={"bot": "geheim"}) as server:
        git_config(
            tmp_path,
            f"[credential]\nhelper = {helper}\n[sendemail]\nsmtpServer = localhost\nsmtpServerPort = {server.port}\n"
            f"smtpEncryption = tls\nsmtpUser = bot\nsmtpSSLCertPath = {place.authority}\n",
        )
        assert send_one(SendConfig()).outcome is Outcome.SENT
    asked = (tmp_path / "asked").read_text()
    assert f"get\nprotocol=smtp\nhost=localhost:{server.port}\nusername=bot\n" in asked
    assert "geheim" not in asked


def test_without_a_password_nobody_is_asked_at_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = tmp_path / "ask"
    ask.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\necho geheim\n")
    ask.chmod(0o755)
    for name in ("GIT_ASKPASS", "SSH_ASKPASS"):
        monkeypatch.setenv(name, str(ask))
    git_config(
        tmp_path,
        f"[core]\naskPass = {ask}\n[sendemail]\nsmtpServer = localhost\nsmtpEncryption = tls\nsmtpUser = bot\n",
    )
    with pytest.raises(ConfigError, match="git knows no password of 'bot' at 'localhost:25'"):
        open_transport(SendConfig())
    assert not (tmp_path / "asked").exists()


def test_the_repository_that_a_pass_stands_in_has_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = tmp_path / "tree"
    subprocess.run(["git", "init", "-q", str(tree)], check=True)
    subprocess.run(["git", "config", "sendemail.smtpServer", "evil.example"], cwd=tree, check=True)
    monkeypatch.chdir(tree)
    monkeypatch.setenv("GIT_DIR", str(tree / ".git"))
    with pytest.raises(ConfigError, match="no way to send"):
        open_transport(SendConfig())


def test_another_home_can_be_named(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / ".gitconfig").write_text("[sendemail]\nsmtpEncryption = rot13\nsmtpServer = localhost\n")
    with pytest.raises(ConfigError, match="must be one of tls, ssl, not 'rot13'"):
        open_transport(SendConfig(), str(other))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("smtpServer = localhost\nsmtpUser = u\nsmtpPass = geheim", "never sent in clear"),
        ("smtpServer = localhost\nsmtpServerPort = many", "is not a number: 'many'"),
        ("smtpServer = localhost\nsmtpEncryption = tls\nsmtpUser = u\nsmtpAuth = XOAUTH2", "cannot log in by XOAUTH2"),
        ("identity = work", "no settings of 'sendemail.work'"),
        ("smtpServer = /nonexistent/sendmail", "no such program"),
        ("sendmailCmd = 'msmtp", "cannot read sendemail.sendmailCmd"),
    ],
)
def test_settings_of_git_that_cannot_work_are_told_at_once(tmp_path: Path, settings: str, said: str) -> None:
    git_config(tmp_path, f"[sendemail]\n{settings}\n")
    with pytest.raises(ConfigError, match=said) as caught:
        open_transport(SendConfig())
    assert "geheim" not in str(caught.value)


# --- a program like sendmail ----------------------------------------------------------------------


@contextmanager
def program(tmp_path: Path, script: str) -> Iterator[SendConfig]:
    """A sendmail whose arguments and input land in files."""
    file = tmp_path / "send mail"
    file.write_text(f'#!/bin/sh\ncd {tmp_path}\nprintf "%s\\n" "$@" >arguments\n{script}\n')
    file.chmod(0o755)
    yield SendConfig(server=str(file), timeout=timedelta(seconds=20))


def test_a_program_takes_a_mail(tmp_path: Path) -> None:
    data = MAIL + b".\n\xc5\xbd\n"
    with program(tmp_path, "cat >mail") as config:
        result = send_one(config, (ANN, BEN, "-oQ/x@example.org"), data.replace(b"\n", b"\r\n"))
    assert result == Result(Outcome.SENT, 0, "exit code 0", ("-oQ/x@example.org: not an address",))
    assert (tmp_path / "mail").read_bytes() == data
    assert (tmp_path / "arguments").read_text().split() == ["-i", "-f", BOT, "--", ANN, BEN]


@pytest.mark.parametrize(
    ("script", "outcome", "code"),
    [
        ("cat >/dev/null; exit 75", Outcome.TRANSIENT, 75),
        ("cat >/dev/null; exit 77", Outcome.TRANSIENT, 77),
        ("cat >/dev/null; exit 67", Outcome.PERMANENT, 67),
        ("cat >/dev/null; exit 1", Outcome.PERMANENT, 1),
        ("cat >/dev/null; kill -9 $$", Outcome.UNCERTAIN, None),
    ],
)
def test_a_programs_exit_code_is_its_answer(tmp_path: Path, script: str, outcome: Outcome, code: int | None) -> None:
    with program(tmp_path, f"printf 'no \\033[1m' >&2; {script}") as config:
        result = send_one(config)
    assert result == Result(outcome, code, "no ^[[1m")


def test_a_program_has_not_the_whole_mail_when_last_is_called(tmp_path: Path) -> None:
    mail = tmp_path / "mail"

    def last() -> None:
        while not mail.exists() or len(mail.read_bytes()) < len(MAIL) - 1:
            time.sleep(0.01)
        raise OSError("disk full")

    with program(tmp_path, "cat >mail; touch delivered") as config, pytest.raises(OSError, match="disk full"):
        send_one(config, last=last)
    assert mail.read_bytes() == MAIL[:-1]
    assert not (tmp_path / "delivered").exists()


def test_a_program_that_never_ends_leaves_the_mail_uncertain(tmp_path: Path, hasty: None) -> None:
    with program(tmp_path, "cat >mail; sleep 1000") as config:
        result = send_one(config._replace(timeout=timedelta(seconds=0.2)))
    assert (result.outcome, result.code) == (Outcome.UNCERTAIN, None)


def test_a_program_that_does_not_read_is_ended(tmp_path: Path, hasty: None) -> None:
    seen, last = calls()
    with program(tmp_path, "exec sleep 1000") as config:
        short = config._replace(timeout=timedelta(seconds=0.2))
        result = send_one(short, data=MAIL + b"x\n" * 1_000_000, last=last)
    assert (result.outcome, result.code, seen) == (Outcome.TRANSIENT, None, [])


@pytest.mark.parametrize(
    ("code", "outcome"), [(0, Outcome.TRANSIENT), (75, Outcome.TRANSIENT), (64, Outcome.PERMANENT)]
)
def test_a_program_that_ends_before_the_mail_has_not_sent_it(tmp_path: Path, code: int, outcome: Outcome) -> None:
    seen, last = calls()
    with program(tmp_path, f"exit {code}") as config:
        result = send_one(config, data=MAIL + b"x\n" * 1_000_000, last=last)
    assert (result.outcome, seen) == (outcome, [])


def test_a_program_of_gits_configuration_gets_its_arguments(tmp_path: Path) -> None:
    with program(tmp_path, "cat >mail") as config:
        command = shlex.quote(config.server) + " -a work"
        git_config(
            tmp_path, f'[sendemail]\nsendmailCmd = "{command}"\nsmtpServerOption = -v\nsmtpServer = wrong.invalid\n'
        )
        assert send_one(SendConfig()).outcome is Outcome.SENT
    assert (tmp_path / "arguments").read_text().split() == ["-a", "work", "-v", "-i", "-f", BOT, "--", ANN]
    assert (tmp_path / "mail").read_bytes() == MAIL


def test_a_server_of_gits_that_is_a_path_is_a_program(tmp_path: Path) -> None:
    with program(tmp_path, "cat >mail") as config:
        git_config(tmp_path, f'[sendemail]\nsmtpServer = "{config.server}"\n')
        assert send_one(SendConfig()).outcome is Outcome.SENT
    assert (tmp_path / "mail").read_bytes() == MAIL


# --- signing --------------------------------------------------------------------------------------


def make_key(tmp_path: Path, identity: str) -> Path:
    """A key as `patatt genkey` makes it, in the user's configuration; gives the key ring."""
    git_config(tmp_path, f"[user]\nname = bot\nemail = {identity}\n")
    genkey = [str(Path(sys.executable).with_name("patatt")), "genkey", "-n", "one"]
    if not shutil.which(genkey[0]):
        pytest.skip("not installed: patatt")
    done = subprocess.run(genkey, check=True, capture_output=True, text=True, cwd=tmp_path, env={**os.environ})
    assert "signingkey = ed25519:one" in done.stderr + done.stdout
    git_config(
        tmp_path,
        f"[user]\nname = bot\nemail = {identity}\n[patatt]\nsigningkey = ed25519:one\nselector = one\n",
    )
    return tmp_path / "home" / ".local" / "share" / "patatt" / "public"


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_signature_is_valid_where_the_mail_arrives(tmp_path: Path, end: bytes) -> None:
    import patatt

    identity = f"bot{len(end)}@example.org"  # patatt remembers keys by identity
    ring = make_key(tmp_path, identity)
    data = (
        MAIL.replace(BOT.encode(), identity.encode()).replace(
            b"\n\n", b"\nMessage-ID: <m@example.org>\nContent-Type: text/plain; charset=utf-8\n\n", 1
        )
        + b".\n\xc5\xbdofie\n-- \nreviewbot\n"
    )
    signed = sign(data.replace(b"\n", end))
    assert b"X-Developer-Signature: " in signed
    with smtp_server() as server:
        assert send_one(plain(server), data=signed).outcome is Outcome.SENT
    (result, who, *_), *others = patatt.validate_message(server.mails[0].data, [str(ring)])
    assert (result, who, others) == (patatt.RES_VALID, identity, [])
    changed = server.mails[0].data.replace(b"still", b"not")
    assert patatt.validate_message(changed, [str(ring)])[0][0] == patatt.RES_BADSIG


def test_without_a_key_nothing_is_signed(tmp_path: Path) -> None:
    git_config(tmp_path, "[user]\nemail = keyless@example.org\n")
    before = dict(os.environ)
    with pytest.raises(ConfigError, match=r"cannot sign: .*signingkey is not set"):
        sign(MAIL)
    assert dict(os.environ) == before


def test_what_patatt_says_of_a_missing_key_is_said_once(tmp_path: Path) -> None:
    git_config(tmp_path, "[user]\nemail = keyless@example.org\n")
    code = "from reviewbot.send import *\ntry: sign(b'Subject: x\\n\\nb\\n')\nexcept ConfigError: print('told')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("told\n", "")


def test_a_damaged_key_is_told(tmp_path: Path) -> None:
    make_key(tmp_path, "damaged@example.org")
    (tmp_path / "home" / ".local" / "share" / "patatt" / "private" / "one.key").write_text("nonsense")
    with pytest.raises(ConfigError, match="cannot sign"):
        sign(MAIL)


def test_a_key_of_the_repository_that_a_pass_stands_in_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = tmp_path / "tree"
    subprocess.run(["git", "init", "-q", str(tree)], check=True)
    for key, value in (
        ("patatt.signingkey", "openpgp:x"),
        ("gpg.program", "/bin/true"),
        ("user.email", "a@example.org"),
    ):
        subprocess.run(["git", "config", key, value], cwd=tree, check=True)
    monkeypatch.chdir(tree)
    with pytest.raises(ConfigError, match=r"cannot sign: .*Identity"):
        sign(MAIL)
