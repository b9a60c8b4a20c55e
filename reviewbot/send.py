# SPDX-License-Identifier: GPL-2.0-or-later
"""Mails on their way out: SMTP, or a local program like sendmail. The only sender of mail.

Belongs here: credentials, encryption, the dialogue with the server, and what became of a mail. Does not belong here:
what a mail says and to whom (`reply`), whether it may go out (`policy`), and that it goes out once (`ledger`, `bot`).
`smtplib`, `ssl` and `patatt` are imported when they are used.

`b4.send_mail` is not reused: it has no timeouts, trusts any certificate after STARTTLS, does not say which recipients
were refused, and leaves nobody a moment between "the server has the mail" and "the server may deliver it".

Who is told what. For one mail: `Result`, also where the server was lost half-way. For the way out as a whole, an
exception, and then the mail that was asked for has certainly not gone out:

- `TemporaryError`: no connection, no name, no greeting, no session, or three connections lost in a row. Stop this pass.
- `ConfigError`: no encryption where it is demanded, a certificate that does not hold, a login that is refused. Stop,
  and tell a person: the next pass ends the same way.
- whatever `last` raises: the connection was dropped before the server could take the mail.

Every step has a deadline: `SendConfig.timeout` for each answer, `_WHOLE` times as much for each of setting up a
connection, offering a mail and waiting for the answer to the final dot. Looking up a name takes as long as the
system's resolver allows.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import selectors
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol, Self

from reviewbot.config import SendConfig
from reviewbot.model import ConfigError, TemporaryError
from reviewbot.output.text import clean

if TYPE_CHECKING:
    import smtplib
    import ssl

# Times the timeout, for a step of several answers and for the answer to the final dot. With the timeout's default of a
# minute that is the ten minutes that RFC 5321 4.5.3.2.6 wants a client to wait there, or it will send twice.
_WHOLE = 10
# Mails whose connection broke, one behind the other, until the server is believed to be ill and not the mails.
_LOSSES = 3
# Bytes of an answer that are read, and characters of it that a person is shown.
_MAX_REPLY = 64 * 1024
_MAX_TEXT = 300
# Bytes written under one timeout.
_CHUNK = 16 * 1024

# RFC 5321's dot-string and a domain. Quoted local parts and address literals are nobody's on a mailing list; a leading
# '-' is refused although it is legal, for programs that do not know "--".
_ADDRESS = re.compile(r"(?!-)[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,255}")
_HOST = re.compile(r"[A-Za-z0-9._-]{1,255}|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_SIZE = re.compile(r"[0-9]{1,18}")

# "authentication required", "mechanism too weak", "credentials invalid", "encryption required" (RFC 4954): whatever
# the mail. Taken for a refusal, each mail of a wrongly configured bot would be given up for ever.
_LOGIN = frozenset({530, 534, 535, 538})

# Exit codes of sendmail(8), from <sysexits.h>, that say nothing of the mail: a fork, a disk, "later", a login, a file
# of settings. All others are the program's "no".
_LATER = frozenset({os.EX_OSERR, os.EX_IOERR, os.EX_TEMPFAIL, os.EX_NOPERM, os.EX_CONFIG})

# Where git is told to look for a repository: nowhere. The directory that a pass happens to run in has no say.
_NO_REPOSITORY = {"GIT_DIR": os.devnull}
# Nobody sits there to be asked for a password.
_NO_QUESTIONS = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS": "", "GCM_INTERACTIVE": "never"}
_GIT_PATIENCE = 60  # seconds for a credential helper, which may ask a key ring or the network


class Outcome(StrEnum):
    """What became of a mail. The value is what is printed and stored."""

    SENT = "sent"  # the server or program took it
    TRANSIENT = "transient"  # it has certainly not; later it may
    PERMANENT = "permanent"  # it has certainly not, and will not
    UNCERTAIN = "uncertain"  # it had the whole mail, and then nothing more was heard


class Result(NamedTuple):
    """What became of one mail."""

    outcome: Outcome
    code: int | None  # the server's last reply, or the program's exit code; None where there was none
    text: str  # one harmless line for a person, of at most 300 characters
    refused: tuple[str, ...] = ()  # recipients refused while others were taken: "a@b: 550 no such user"


class Transport(Protocol):
    """A way out, to be used in a `with`."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def send(self, sender: str, recipients: Sequence[str], data: bytes, last: Callable[[], None]) -> Result:
        """Hand over one mail, with line ends of either kind, from `sender` (where bounces go) to `recipients`.

        `last` is the point of no return: it is called once, when the whole mail was transmitted and only the mark of
        its end was not. If it raises, the mail has not gone out and the exception passes through. Before it every
        failure is a certain one; after it nothing raises. See the module for what is raised. ValueError where the
        data is no mail (a bare CR, a NUL, a header that is not ASCII): that is a bug.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Server:
    """Where to connect, and who we are there."""

    host: str
    port: int
    encryption: str  # "starttls", "tls" or "none"
    context: ssl.SSLContext | None  # None without encryption
    timeout: float  # seconds
    user: str = ""  # '' does not log in
    password: str = field(default="", repr=False)
    domain: str = ""  # what to call ourselves; '' takes the address that we connect from

    def __str__(self) -> str:
        return f"'{self.host}:{self.port}'"


def open_transport(config: SendConfig, home: str | None = None) -> Transport:
    """The way out that is configured: in [send], or in git's sendemail.* where [send] names no server.

    Reads credentials and certificates; nothing is connected or started before the first mail. Of git's configuration
    the system's and the user's are read, never that of a repository. `home` is the user's home directory, for ~ and
    for git; None takes the process's. Raises ConfigError.
    """
    if not config.timeout:
        raise ConfigError("'send.timeout' must be more than nothing")
    if not config.server:
        for name in ("port", "user", "password_file", "ca_file"):
            if getattr(config, name):
                raise ConfigError(f"'send.{name.replace('_', '-')}' needs 'send.server'")
        return _from_git(config, home)
    if "/" in config.server:
        return _Program((_executable(_path(config.server, home)),), config.timeout.total_seconds())
    if bool(config.user) != bool(config.password_file):
        raise ConfigError("'send.user' and 'send.password-file' need each other")
    if config.user and config.encryption == "none":
        raise ConfigError("'send.user' needs encryption: a password is never sent in clear")
    return _Smtp(
        _server(
            host=config.server,
            port=config.port or {"starttls": 587, "tls": 465}.get(config.encryption, 25),
            encryption=config.encryption,
            authorities=_path(config.ca_file, home) if config.ca_file else "",
            timeout=config.timeout.total_seconds(),
            user=config.user,
            password=_read_password(_path(config.password_file, home)) if config.user else "",
        )
    )


def sign(data: bytes) -> bytes:
    """The mail with an X-Developer-Signature, made by patatt with the user's key (`patatt genkey`).

    patatt.* and user.* are read from the user's and the system's git configuration. Raises ConfigError where there is
    no key or it cannot be used.
    """
    import patatt

    # it tells of missing keys on its own; without a handler Python would print that on stderr
    logging.getLogger("patatt").addHandler(logging.NullHandler())
    before = {name: os.environ.get(name) for name in _NO_REPOSITORY}
    os.environ.update(_NO_REPOSITORY)  # patatt runs git and takes no environment for it
    try:
        # get_main_config() would remember the first answer for the life of the process
        config = patatt.get_config_from_git(r"patatt\..*", multivals=["keyringsrc"])
        patatt.set_bin_paths(config)
        return patatt.rfc2822_sign(data, config)
    # a damaged key raises what its library raises, a missing gpg OSError
    except (patatt.Error, AssertionError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(f"cannot sign: {_line(str(error)) or type(error).__name__}") from error
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# --- what is sent ---------------------------------------------------------------------------------


def _checked(data: bytes) -> bytes:
    r"""The mail with \n at the end of each line. Raises ValueError where it could be taken for another one."""
    text = data.replace(b"\r\n", b"\n")
    # servers disagree on what a bare CR is: to some it ends a line, and then the mail (SMTP smuggling)
    if b"\r" in text:
        raise ValueError("a mail must not have a bare CR")
    if b"\0" in text:
        raise ValueError("a mail must not have a NUL")
    head, end, _ = text.partition(b"\n\n")
    if not end or not head.isascii():
        raise ValueError("a mail begins with headers in ASCII and an empty line")
    return text if text.endswith(b"\n") else text + b"\n"


def _addressed(sender: str, recipients: Sequence[str]) -> tuple[list[str], dict[str, str]] | Result:
    """The recipients that can be named to a server, and those that cannot, with the reason."""
    if not _ADDRESS.fullmatch(sender):
        return Result(Outcome.PERMANENT, None, _line(f"'{sender}' is not an address to send from"))
    each = list(dict.fromkeys(recipients))
    wrong = {recipient: "not an address" for recipient in each if not _ADDRESS.fullmatch(recipient)}
    good = [recipient for recipient in each if recipient not in wrong]
    if not good:
        return Result(Outcome.PERMANENT, None, _line("; ".join(_refused(wrong)) or "no recipient"))
    return good, wrong


def _refused(refusals: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(_line(f"{recipient}: {why}") for recipient, why in refusals.items())


def _line(words: str | bytes) -> str:
    """What a stranger said, as one harmless line."""
    text = words[: 10 * _MAX_TEXT]
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return clean(" ".join(text.split()))[:_MAX_TEXT]


# --- SMTP -----------------------------------------------------------------------------------------


class _Wire:
    """A socket as smtplib uses one, that lets no step take longer and no answer be larger than it may."""

    def __init__(self, sock: socket.socket, step: float) -> None:
        self.sock = sock
        self._step = step
        self._end = 0.0
        self._budget = 0
        self.within(step)

    def within(self, whole: float, step: float | None = None) -> None:
        """All that follows is to take at most `whole` seconds, and each wait in it `step`."""
        self._end = time.monotonic() + whole
        self._wait = min(whole, step or self._step)
        self._budget = _MAX_REPLY

    def arm(self) -> None:
        """Set the socket's timeout for one wait. Raises TimeoutError where the time is over."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self.sock.settimeout(min(left, self._wait))

    def sendall(self, data: bytes) -> None:
        self._budget = _MAX_REPLY
        for at in range(0, len(data), _CHUNK):
            self.arm()
            self.sock.sendall(data[at : at + _CHUNK])

    def recv_into(self, buffer: memoryview) -> int:
        self.arm()
        count = self.sock.recv_into(buffer)
        self._budget -= count
        if self._budget < 0:
            raise OSError("the answer is too long")
        return count

    def makefile(self, mode: str) -> io.BufferedReader:
        assert mode == "rb"
        return io.BufferedReader(_Raw(self))

    def close(self) -> None:
        self.sock.close()


class _Raw(io.RawIOBase):
    def __init__(self, wire: _Wire) -> None:
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # a Buffer is a memoryview here
        return self._wire.recv_into(buffer)


class _Smtp:
    """A server. One connection for all mails, made again where the server closed it in between."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self._smtp: smtplib.SMTP | None = None
        self._wire: _Wire | None = None
        self._losses = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        import smtplib

        # what the server says to QUIT changes nothing
        if self._smtp and self._wire:
            self._wire.within(self._server.timeout)
            with contextlib.suppress(smtplib.SMTPException, OSError, ValueError):
                self._smtp.docmd("QUIT")
        self._drop()

    def send(self, sender: str, recipients: Sequence[str], data: bytes, last: Callable[[], None]) -> Result:
        """See `Transport.send`."""
        import smtplib

        text = _checked(data).replace(b"\n", b"\r\n")
        addressed = _addressed(sender, recipients)
        if isinstance(addressed, Result):
            return addressed
        good, refusals = addressed
        if self._losses >= _LOSSES:
            raise TemporaryError(f"{self._server} broke off {self._losses} mails in a row")
        try:
            smtp, wire = self._session()
            wire.within(_WHOLE * self._server.timeout)
            try:
                refusal = self._offer(smtp, sender, good, refusals, text)
            except (smtplib.SMTPException, OSError) as error:
                self._drop()
                self._losses += 1
                return Result(Outcome.TRANSIENT, None, _line(f"connection lost: {_why(error)}"))
            if refusal:
                self._losses = 0
                return refusal
            last()
        except BaseException:
            # without the dot there is no mail: a server that loses its client here throws away what it has
            self._drop()
            raise
        return self._finish(smtp, wire, _refused(refusals))

    def _offer(
        self, smtp: smtplib.SMTP, sender: str, recipients: Sequence[str], refusals: dict[str, str], text: bytes
    ) -> Result | None:
        """Transmit the mail but for the final dot; None where the server waits for it. Adds to `refusals`."""
        options = ""
        if smtp.has_extn("size"):
            limit = smtp.esmtp_features["size"]
            if _SIZE.fullmatch(limit) and 0 < int(limit) < len(text):
                said = f"the mail has {len(text)} bytes and the server takes {limit}"
                return Result(Outcome.PERMANENT, None, said)
            options += f" SIZE={len(text)}"
        if not text.isascii() and smtp.has_extn("8bitmime"):
            options += " BODY=8BITMIME"
        code, reply = smtp.docmd("MAIL", f"FROM:<{sender}>{options}")
        if code // 100 != 2:
            return self._refusal(code, reply)
        taken, later = 0, False
        for recipient in recipients:
            code, reply = smtp.docmd("RCPT", f"TO:<{recipient}>")
            if code // 100 == 2:
                taken += 1
                continue
            refusal = self._refusal(code, reply)
            if self._smtp is None:  # 421 or no SMTP at all: the connection is done
                return refusal
            later = later or refusal.outcome is Outcome.TRANSIENT
            refusals[recipient] = f"{code} {_line(reply)}"
        if not taken:
            outcome = Outcome.TRANSIENT if later else Outcome.PERMANENT
            return Result(outcome, code, _line("; ".join(_refused(refusals))))
        code, reply = smtp.docmd("DATA")
        if code != 354:
            return self._refusal(code, reply)
        smtp.send(re.sub(rb"(?m)^\.", b"..", text))
        return None

    def _refusal(self, code: int, said: bytes) -> Result:
        """What a reply other than "yes" means, before the dot. Raises ConfigError where it is about who we are."""
        if code in _LOGIN:
            raise ConfigError(f"{self._server} wants a login: {code} {_line(said)}")
        if code == 421 or code // 100 not in (4, 5):
            self._drop()  # whatever comes next, the server and we may take it for different things
        if not 200 <= code <= 599:
            return Result(Outcome.TRANSIENT, None, _line(b"not an answer of SMTP: " + said))
        outcome = Outcome.PERMANENT if code // 100 == 5 else Outcome.TRANSIENT
        return Result(outcome, code, _line(said))

    def _finish(self, smtp: smtplib.SMTP, wire: _Wire, refused: tuple[str, ...]) -> Result:
        """Send the dot, and tell what the server says to it."""
        import smtplib

        patience = _WHOLE * self._server.timeout
        wire.within(patience, patience)
        try:
            smtp.send(b".\r\n")
            code, said = smtp.getreply()
        # also what smtplib makes of an endless line: a 500 that the server never said
        except (smtplib.SMTPException, OSError, ValueError) as error:
            self._drop()
            self._losses += 1
            return Result(Outcome.UNCERTAIN, None, _line(f"no answer to the mail: {_why(error)}"), refused)
        except BaseException:
            self._drop()
            raise
        if code == 421 or code // 100 not in (2, 4, 5):
            self._drop()
        if code // 100 not in (2, 4, 5):
            return Result(Outcome.UNCERTAIN, None, _line(b"not an answer of SMTP: " + said), refused)
        self._losses = 0
        outcome = {2: Outcome.SENT, 4: Outcome.TRANSIENT, 5: Outcome.PERMANENT}[code // 100]
        return Result(outcome, code, _line(said), refused if outcome is Outcome.SENT else ())

    def _session(self) -> tuple[smtplib.SMTP, _Wire]:
        """A connection on which a mail can begin."""
        import smtplib

        if self._smtp and self._wire:
            self._wire.within(self._server.timeout)
            with contextlib.suppress(smtplib.SMTPException, OSError):
                if self._smtp.docmd("RSET")[0] == 250:
                    return self._smtp, self._wire
            self._drop()  # closed in between, as servers do: that is nobody's fault
        try:
            self._connect()
        except BaseException:
            self._drop()
            raise
        assert self._smtp
        assert self._wire
        return self._smtp, self._wire

    def _connect(self) -> None:
        import smtplib
        import ssl

        server = self._server
        cannot = f"cannot connect to {server}:"
        try:
            sock = socket.create_connection((server.host, server.port), server.timeout)
        except OSError as error:
            raise TemporaryError(f"{cannot} {_why(error)}") from error
        except UnicodeError as error:
            raise ConfigError(f"{cannot} not a host name") from error
        try:
            smtp = self._dialogue(sock, encrypt=server.encryption == "tls")
            code, said = smtp.getreply()
            if code != 220:
                raise TemporaryError(f"{cannot} {code} {_line(said)}")
            if server.encryption == "starttls":
                code, said = smtp.ehlo()
                if code // 100 == 4:
                    raise TemporaryError(f"{cannot} {code} {_line(said)}")
                if not smtp.has_extn("starttls"):
                    # also what somebody on the way does who wants to read along
                    raise ConfigError(f"{server} does not offer STARTTLS, and nothing is sent in clear")
                code, said = smtp.docmd("STARTTLS")
                if code != 220:
                    raise TemporaryError(f"{server} does not start TLS: {code} {_line(said)}")
                assert self._wire
                # a new dialogue: nothing that was said in clear is believed (RFC 3207)
                smtp = self._dialogue(self._wire.sock, encrypt=True)
            smtp.ehlo_or_helo_if_needed()
            if server.user:
                self._login(smtp)
        except ssl.SSLCertVerificationError as error:
            raise ConfigError(f"the certificate of {server} does not hold: {_line(error.verify_message)}") from error
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise TemporaryError(f"{cannot} {_why(error)}") from error
        self._smtp = smtp

    def _dialogue(self, sock: socket.socket, *, encrypt: bool) -> smtplib.SMTP:
        import smtplib

        server = self._server
        self._wire = wire = _Wire(sock, server.timeout)
        wire.within(_WHOLE * server.timeout)
        wire.arm()
        if encrypt:
            assert server.context
            wire.sock = server.context.wrap_socket(sock, server_hostname=server.host)
        here = wire.sock.getsockname()[0]
        literal = f"[IPv6:{here.partition('%')[0]}]" if ":" in here else f"[{here}]"
        # smtplib would ask DNS for our own name, which takes its time and is often localhost
        smtp = smtplib.SMTP(local_hostname=server.domain or literal)
        smtp.sock = wire  # type: ignore[assignment]  # it only sends, reads lines and closes
        return smtp

    def _login(self, smtp: smtplib.SMTP) -> None:
        import base64
        import smtplib

        server = self._server
        try:
            smtp.login(server.user, server.password)
        except smtplib.SMTPServerDisconnected:
            raise
        except smtplib.SMTPAuthenticationError as error:
            said = error.smtp_error if isinstance(error.smtp_error, bytes) else error.smtp_error.encode()
            # a server may repeat what it was told
            for told in (f"\0{server.user}\0{server.password}", server.password):
                said = said.replace(base64.b64encode(told.encode()), b"***")
            said = said.replace(server.password.encode(), b"***")
            text = f"{server} refuses the login of '{server.user}': {error.smtp_code} {_line(said)}"
            raise (TemporaryError if error.smtp_code // 100 == 4 else ConfigError)(text) from None
        except smtplib.SMTPException as error:
            # no way in that both know, or a server that asks without end; its words may hold what it was told
            raise ConfigError(f"cannot log in at {server}: {type(error).__name__}") from None

    def _drop(self) -> None:
        """Close the connection as it is."""
        smtp, wire, self._smtp, self._wire = self._smtp, self._wire, None, None
        with contextlib.suppress(OSError):
            if smtp:
                smtp.close()
        if wire:
            wire.close()


def _why(error: BaseException) -> str:
    # smtplib says "Server not connected" where a send failed, and has the reason in the context only
    said = getattr(error, "smtp_error", None)  # of an answer that was not what smtplib wanted
    if isinstance(said, bytes):
        return f"{getattr(error, 'smtp_code', '')} {_line(said)}"
    cause = error.__context__ if isinstance(error.__context__, OSError) else error
    return _line((cause.strerror if isinstance(cause, OSError) else None) or str(cause)) or type(cause).__name__


# --- a program ------------------------------------------------------------------------------------


class _Program:
    """A local program that takes a mail as sendmail(8) does."""

    def __init__(self, command: Sequence[str], timeout: float) -> None:
        self._command = (*command, "-i")  # a line with a dot alone does not end the mail
        self._timeout = timeout

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def send(self, sender: str, recipients: Sequence[str], data: bytes, last: Callable[[], None]) -> Result:
        """See `Transport.send`; `last` is called when all but the last byte was written.

        The program's exit code is `Result.code`: 0 is SENT, what <sysexits.h> says of the machine (EX_TEMPFAIL, a
        login, a configuration ...) TRANSIENT, all else PERMANENT. One that was killed after `last` leaves UNCERTAIN.
        """
        text = _checked(data)
        addressed = _addressed(sender, recipients)
        if isinstance(addressed, Result):
            return addressed
        good, wrong = addressed
        command = [*self._command, "-f", sender, "--", *good]
        with tempfile.TemporaryFile() as output:
            try:
                # a session of its own, so that it can be ended with all that it started
                program = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=output, stderr=output, cwd="/", start_new_session=True
                )
            except OSError as error:
                raise ConfigError(f"cannot run '{self._command[0]}': {error.strerror}") from error
            with program:
                try:
                    return self._feed(program, text, output, last)._replace(refused=_refused(wrong))
                finally:
                    _kill(program)  # nothing of it is left where it has ended; before its stdin is closed where not

    def _feed(
        self, program: subprocess.Popen[bytes], text: bytes, output: IO[bytes], last: Callable[[], None]
    ) -> Result:
        assert program.stdin
        whole = _WHOLE * self._timeout
        try:
            _write(program.stdin.fileno(), text[:-1], whole)
        except TimeoutError:
            return Result(Outcome.TRANSIENT, None, "the program does not read the mail")
        except OSError:
            # it has gone away before the end: what it says it did, it did not do with this mail
            code = self._exit(program, self._timeout)
            permanent = code is not None and code > 0 and code not in _LATER
            said = _said(output) or "the program did not read the mail"
            return Result(Outcome.PERMANENT if permanent else Outcome.TRANSIENT, code, said)
        last()
        with contextlib.suppress(OSError):
            _write(program.stdin.fileno(), text[-1:], self._timeout)
        with contextlib.suppress(OSError):
            program.stdin.close()
        code = self._exit(program, whole)
        said = _said(output)
        if code is None:
            return Result(Outcome.UNCERTAIN, None, said or "the program did not come to an end")
        if code < 0:
            return Result(Outcome.UNCERTAIN, None, said or f"the program was killed by signal {-code}")
        outcome = Outcome.TRANSIENT if code in _LATER else Outcome.PERMANENT if code else Outcome.SENT
        return Result(outcome, code, said or f"exit code {code}")

    @staticmethod
    def _exit(program: subprocess.Popen[bytes], seconds: float) -> int | None:
        try:
            return program.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


def _kill(program: subprocess.Popen[bytes]) -> None:
    if program.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        program.wait()


def _write(number: int, data: bytes, seconds: float) -> None:
    """Write all to a pipe. Raises TimeoutError, or OSError where nobody reads."""
    os.set_blocking(number, False)
    end = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(number, selectors.EVENT_WRITE)
        while data:
            if not selector.select(max(0.0, end - time.monotonic())):
                raise TimeoutError
            with contextlib.suppress(BlockingIOError):
                data = data[os.write(number, data[:_CHUNK]) :]


def _said(output: IO[bytes]) -> str:
    output.seek(0)
    return _line(output.read(10 * _MAX_TEXT))


# --- configuration --------------------------------------------------------------------------------


def _server(
    *,
    host: str,
    port: int,
    encryption: str,
    authorities: str,
    timeout: float,
    user: str,
    password: str,
    domain: str = "",
) -> _Server:
    if not _HOST.fullmatch(host):
        raise ConfigError(f"'{_line(host)}' is not the name of a mail server")
    if not 0 < port < 65536:
        raise ConfigError(f"{port} is not a port")
    if not (user + password).isascii() or not (user + password + "x").isprintable():
        raise ConfigError("user and password of the mail server must be printable ASCII")
    context = None
    if encryption != "none":
        import ssl

        try:
            if os.path.isdir(authorities):
                context = ssl.create_default_context(capath=authorities)
            else:
                context = ssl.create_default_context(cafile=authorities or None)
        except OSError as error:  # ssl.SSLError, where the file has no certificate, is one
            raise ConfigError(f"cannot read certificates from '{authorities}': {_why(error)}") from error
    return _Server(host, port, encryption, context, timeout, user, password, domain)


def _path(path: str, home: str | None) -> str:
    if home is not None and (path == "~" or path.startswith("~/")):
        return home + path[1:]
    return os.path.expanduser(path)


def _executable(path: str) -> str:
    found = shutil.which(path)
    if found is None:
        raise ConfigError(f"cannot run '{path}': no such program")
    return os.path.abspath(found)


def _read_password(path: str) -> str:
    """The first line of a file that only its owner may read."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise ConfigError(f"cannot read '{path}': not a file")
            if mode & 0o077:
                raise ConfigError(f"'{path}' holds a password and can be read by others (chmod 600 '{path}')")
            password = file.readline(4096).decode("utf-8").rstrip("\r\n")
    except OSError as error:
        raise ConfigError(f"cannot open '{path}': {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"cannot read '{path}': not text") from None
    if not password:
        raise ConfigError(f"'{path}' has no password in its first line")
    return password


def _git(arguments: Sequence[str], home: str | None, text: bytes = b"") -> bytes | None:
    """What git prints; None where it fails."""
    environment = {**os.environ, **_NO_REPOSITORY, **_NO_QUESTIONS}
    for name in ("GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_CONFIG"):
        environment.pop(name, None)
    if home is not None:
        environment["HOME"] = home
        environment.pop("XDG_CONFIG_HOME", None)
    try:
        done = subprocess.run(
            ["git", *arguments], input=text, capture_output=True, check=False, timeout=_GIT_PATIENCE, cwd="/",
            env=environment, start_new_session=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None
    except OSError as error:
        raise ConfigError(f"cannot run git: {error.strerror}") from error
    return done.stdout if done.returncode == 0 else None


def _git_settings(home: str | None) -> tuple[dict[str, list[str]], str]:
    """git's sendemail.* as git and b4 read it, the identity's before the general, and what to call its place."""
    general: dict[str, list[str]] = {}
    special: dict[str, dict[str, list[str]]] = {}
    chosen = ""
    printed = _git(["config", "--includes", "-z", "--get-regexp", r"^(sendemail|b4)\."], home) or b""
    for entry in printed.decode("utf-8", "surrogateescape").split("\0"):
        key, _, value = entry.partition("\n")
        section, _, rest = key.partition(".")
        identity, _, name = rest.rpartition(".")
        if section == "b4":
            chosen = value if rest == "sendemail-identity" else chosen
        elif name:
            (special.setdefault(identity, {}) if identity else general).setdefault(name, []).append(value)
    chosen = chosen or general.get("identity", [""])[-1]
    if chosen and chosen not in special:
        raise ConfigError(f"git has no settings of 'sendemail.{_line(chosen)}', the identity that is configured")
    return general | special.get(chosen, {}), f"sendemail.{chosen}" if chosen else "sendemail"


def _from_git(config: SendConfig, home: str | None) -> Transport:
    """The way out that `git send-email` and `b4 send` take."""
    settings, where = _git_settings(home)

    def get(name: str) -> str:
        return settings.get(name, [""])[-1]

    timeout = config.timeout.total_seconds()
    host = get("smtpserver")
    options = settings.get("smtpserveroption", [])
    if command := get("sendmailcmd"):
        try:
            program, *arguments = shlex.split(command)
        except ValueError as error:
            raise ConfigError(f"cannot read {where}.sendmailCmd: {error}") from error
        return _Program((_executable(_path(program, home)), *arguments, *options), timeout)
    if "/" in host:
        return _Program((_executable(_path(host, home)), *options), timeout)
    if not host:
        raise ConfigError(f"no way to send: neither 'send.server' is set nor git's {where}.smtpServer")
    encryption = get("smtpencryption").lower()
    if not encryption and get("smtpssl").lower() in ("true", "yes", "on", "1"):
        encryption = "ssl"  # how it was said before git 1.6
    known = {"": "none", "none": "none", "tls": "starttls", "starttls": "starttls", "ssl": "tls", "smtps": "tls"}
    if encryption not in known:
        raise ConfigError(f"{where}.smtpEncryption must be one of tls, ssl, not '{_line(encryption)}'")
    given = get("smtpserverport")
    if given and not re.fullmatch(r"[0-9]{1,5}", given):
        raise ConfigError(f"{where}.smtpServerPort is not a number: '{_line(given)}'")
    port = int(given or 0) or (465 if known[encryption] == "tls" else 25)
    mechanisms = get("smtpauth").upper().split()
    user = get("smtpuser") if mechanisms != ["NONE"] else ""
    if mechanisms and user and not {"PLAIN", "LOGIN", "CRAM-MD5"} & {*mechanisms}:
        raise ConfigError(f"{where}.smtpAuth: cannot log in by {_line(', '.join(mechanisms))}")
    if user and known[encryption] == "none":
        raise ConfigError(f"{where}.smtpUser needs {where}.smtpEncryption: a password is never sent in clear")
    authorities = get("smtpsslcertpath")
    return _Smtp(
        _server(
            host=host,
            port=port,
            encryption=known[encryption],
            authorities=_path(authorities, home) if authorities else "",
            timeout=timeout,
            user=user,
            password=(get("smtppass") or _ask_git(host, port, user, home)) if user else "",
            domain=get("smtpdomain"),
        )
    )


def _ask_git(host: str, port: int, user: str, home: str | None) -> str:
    """The password that git's credential helpers have, named as git send-email and (without the port) b4 name it."""
    for name in (f"{host}:{port}", host):
        question = f"protocol=smtp\nhost={name}\nusername={user}\n\n"
        if question.count("\n") != 4 or "\0" in question:
            raise ConfigError("git's sendemail.smtpUser has a line break")
        answer = _git(["credential", "fill"], home, question.encode("utf-8", "surrogateescape")) or b""
        for line in answer.decode("utf-8", "surrogateescape").split("\n"):
            if line.startswith("password=") and line != "password=":
                return line.removeprefix("password=")
    raise ConfigError(f"git knows no password of '{_line(user)}' at '{host}:{port}' (git credential approve)")
