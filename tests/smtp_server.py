# SPDX-License-Identifier: GPL-2.0-or-later
"""A real SMTP server on loopback for tests, with faults to order, and certificates for it.

    with smtp_server(Faults(rcpt={"a@example.org": "550 no such user"})) as server:
        ...  # send to 127.0.0.1, server.port
        assert server.mails == [Mail(sender, recipients, data)]
        server.faults = Faults()  # from the next command on

The server is aiosmtpd in a thread. Needs `openssl` for certificates alone.
"""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class Mail(NamedTuple):
    """A mail that the server took."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes  # as it came, without dot-stuffing: lines end in CR LF


@dataclass(frozen=True)
class Faults:
    r"""What goes wrong, by step; '' where nothing does.

    - "451 later", "550 no": that answer instead of the server's own (behind a 421 it closes the connection);
    - "drop": the connection is reset; "timeout": silence from here on;
    - "dribble": an answer of one letter at a time, without end; "flood": lines of an answer without end.
    """

    connect: str = ""  # instead of the greeting
    ehlo: str = ""
    starttls: str = ""
    auth: str = ""
    mail: str = ""
    rcpt: str | Mapping[str, str] = ""  # for all recipients, or by recipient; "*" is any other
    data: str = ""  # instead of 354
    body: str = ""  # behind 354, when the first bytes of the mail have come
    after_dot: str = ""  # instead of the 250 for the mail
    keep: bool = True  # a "drop", "timeout" ... after the dot hides that the mail was taken; False: it was not
    rset: str = ""
    quit: str = ""


@dataclass
class Server:
    """A running server. All but `faults` is to be read only."""

    port: int = 0
    faults: Faults = field(default_factory=Faults)
    mails: list[Mail] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)  # what came, in order: "EHLO", "MAIL FROM:<a@b> SIZE=5" ...
    connections: int = 0
    host: str = "127.0.0.1"


class _Dialogue(SMTP):
    """aiosmtpd with faults. The names of commands are those of its methods."""

    def __init__(self, server: Server, handler: Any, **options: Any) -> None:
        super().__init__(handler, hostname="mail.example.org", enable_SMTPUTF8=False, timeout=60, **options)
        self._order = server

    async def _fault(self, action: str) -> bool:
        """Do what is ordered; False where nothing is. Does not return from what never ends."""
        if not action:
            return False
        assert self.transport
        if action == "drop":
            self.transport.abort()  # type: ignore[attr-defined]
        while action == "dribble":
            self._writer.write(b"2")
            await asyncio.sleep(0.01)
        while action == "flood":
            self._writer.write(b"250-and more\r\n" * 1000)
            await self._writer.drain()
            await asyncio.sleep(0)
        if action in ("drop", "timeout"):
            await asyncio.Event().wait()  # until the connection is lost
        await self.push(action)
        if action.startswith("421"):
            self.transport.close()
        return True

    async def _handle_client(self) -> None:
        self._order.connections += 1
        if action := self._order.faults.connect:
            await self._fault(action)
            assert self.transport
            self.transport.close()
        else:
            await super()._handle_client()

    async def _step(self, name: str, argument: str | None, action: str) -> None:
        secret = name == "AUTH" and argument
        self._order.commands.append(name + (f" {argument.split()[0] if secret else argument}" if argument else ""))
        if not await self._fault(action):
            await getattr(super(), f"smtp_{name}")(argument)

    async def smtp_EHLO(self, hostname: str) -> None:
        await self._step("EHLO", hostname, self._order.faults.ehlo)

    async def smtp_STARTTLS(self, arg: str) -> None:
        await self._step("STARTTLS", arg, self._order.faults.starttls)

    async def smtp_AUTH(self, arg: str) -> None:
        await self._step("AUTH", arg, self._order.faults.auth)

    async def smtp_MAIL(self, arg: str | None) -> None:
        await self._step("MAIL", arg, self._order.faults.mail)

    async def smtp_RCPT(self, arg: str | None) -> None:
        faults = self._order.faults.rcpt
        if not isinstance(faults, str):
            address = (arg or "").partition("<")[2].partition(">")[0]
            faults = faults.get(address, faults.get("*", ""))
        await self._step("RCPT", arg, faults)

    async def smtp_DATA(self, arg: str) -> None:
        if action := self._order.faults.body:
            self._order.commands.append("DATA")
            await self.push("354 go on")
            await self._reader.read(1)
            await self._fault(action)
        else:
            await self._step("DATA", arg, self._order.faults.data)

    async def smtp_RSET(self, arg: str) -> None:
        await self._step("RSET", arg, self._order.faults.rset)

    async def smtp_QUIT(self, arg: str) -> None:
        await self._step("QUIT", arg, self._order.faults.quit)


class _Handler:
    def __init__(self, server: Server, without: tuple[str, ...]) -> None:
        self._order, self._without = server, without

    async def handle_EHLO(
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [line for line in responses if not line[4:].startswith(self._without)] if self._without else responses

    async def handle_DATA(self, server: _Dialogue, _session: Session, envelope: Envelope) -> str:
        action = self._order.faults.after_dot
        assert isinstance(envelope.content, bytes)
        assert envelope.mail_from
        if not action or (self._order.faults.keep and not action[:1].isdigit()):
            self._order.mails.append(Mail(envelope.mail_from, tuple(envelope.rcpt_tos), envelope.content))
        if action and not action[:1].isdigit():
            await server._fault(action)
        return action or "250 kept"


@contextmanager
def smtp_server(
    faults: Faults = Faults(),
    *,
    tls: ssl.SSLContext | None = None,
    wrapped: bool = False,
    users: Mapping[str, str] | None = None,
    without: tuple[str, ...] = (),
    size: int = 33_554_432,
) -> Iterator[Server]:
    """A server on an ephemeral port of 127.0.0.1.

    `tls` offers STARTTLS, or with `wrapped` speaks TLS from the first byte on. With `users` (their passwords) nobody
    else may send. `without` names what is left out of the answer to EHLO: ("8BITMIME", "SIZE"). `size` is the largest
    mail in bytes.
    """
    server = Server(faults=faults)
    handler = _Handler(server, without)

    def login(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: Any) -> AuthResult:
        known = isinstance(given, LoginPassword) and (users or {}).get(given.login.decode()) == given.password.decode()
        return AuthResult(success=known, handled=False)

    dialogues: list[_Dialogue] = []

    def dialogue() -> _Dialogue:
        options = {"tls_context": None if wrapped else tls, "data_size_limit": size, "loop": loop}
        new = _Dialogue(server, handler, authenticator=login, auth_required=users is not None, **options)
        new._auth_require_tls = not wrapped  # it does not know of a TLS that was there before it
        dialogues.append(new)
        return new

    loop = asyncio.new_event_loop()
    listener = loop.run_until_complete(loop.create_server(dialogue, "127.0.0.1", 0, ssl=tls if wrapped else None))
    server.port = listener.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def end() -> None:
        listener.close()
        for one in dialogues:
            for transport in (one.transport, one._original_transport):
                # of a TLS connection that is closed already Python 3.11.2 has nothing left to abort
                with suppress(AttributeError):
                    if transport:
                        transport.abort()  # type: ignore[attr-defined]
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(3):  # rounds in which closed connections are told so
            await asyncio.sleep(0)

    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def missing_openssl() -> str:
    """'openssl' where it is not installed, else ''."""
    return "" if shutil.which("openssl") else "openssl"


def certificates(directory: Path, name: str = "localhost") -> tuple[Path, ssl.SSLContext]:
    """An authority of our own, and the context of a server whose certificate is for `name`: (authority's file, it)."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    for command in (
        [*key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority",
         "-addext", "keyUsage=critical,keyCertSign"],
        [*key, "-CA", "ca.pem", "-CAkey", "ca.key", "-keyout", "server.key", "-out", "server.pem", "-subj",
         f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-addext", "basicConstraints=critical,CA:FALSE"],
    ):  # fmt: skip
        subprocess.run(["openssl", "req", "-x509", *command], cwd=directory, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.pem", directory / "server.key")
    return directory / "ca.pem", context
