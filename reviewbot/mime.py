# SPDX-License-Identifier: GPL-2.0-or-later
"""Bytes -> mails: headers decoded, the body as the text that git would apply.

Belongs here: all that needs the standard library's email package, which takes a tenth of `check`'s start to load and
which commits do without. Does not belong here: what a mail says (`mail`). Pure.
"""

from __future__ import annotations

import re
from codecs import lookup
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from email.message import Message
from email.parser import BytesParser
from email.utils import getaddresses, parsedate_to_datetime
from itertools import islice
from typing import Any, overload

from reviewbot.model import Address, InputError, Mail

# A larger mail is refused: the largest patch mails on kernel lists are about 1 MB, vger's limit was 100 kB.
MAX_MAIL = 32 * 1024 * 1024

# So is one of more lines: a line of a diff takes 600 bytes of memory, and 32 MB may be 16 million of them.
# The longest patches, register headers of graphics chips, have some 300,000.
MAX_LINES = 1_000_000

# Python's readers of MIME parameters and of encoded words are quadratic. No longer parameter list (a file
# name of 255 bytes, encoded) and no longer subject was seen; what is behind is not read.
_MAX_PARAMETERS = 2000
_MAX_ENCODED = 10_000

# Codecs that Python takes for charsets and no mail is written in: quadratic, or complaining of bad escapes.
_NO_CHARSETS = frozenset(("idna", "punycode", "raw-unicode-escape", "unicode-escape"))

# git mailsplit's test (mailsplit.c, is_from_line()): mailbox.mbox of the standard library splits at
# any "From " behind a blank line, so a commit message with such a sentence would be cut in two.
_FROM_LINE = re.compile(rb"^From \S.{0,300}\d{1,2}:\d\d(?::\d\d)?(?: .{0,40})? \d{4}(?: [-+]\d{4})?[ \t\r]*$", re.M)
_MBOXRD = re.compile(rb"^>(>*From )", re.M)
_MESSAGE_ID = re.compile(r"<([^<>\s]{1,998})>")
_NOT_QP = re.compile(rb"=(?![0-9A-Fa-f]{2}|[ \t]*\r?\n|[ \t]*\Z)")
_STUFFED = re.compile(r"^  \t", re.M)
_UNSTUFFED = re.compile(r"^ \t", re.M)
_LF_HEADER = re.compile(r"^(?:diff --git |@@ -)[^\r\n]*\n", re.M)

# Halves of characters: UTF-7 and escapes can make them, and no file, terminal, database or mail takes them.
_HALVES = re.compile("[\ud800-\udfff]")


class _Part(Message):
    """A mail or a part of it whose headers are read as far as they may reasonably go."""

    def get(self, name: str, failobj: Any = None) -> Any:
        """As Message.get(), through which it reads a part's type, charset and boundary."""
        value = super().get(name, failobj)
        return value if value is failobj or len(text := str(value)) <= _MAX_PARAMETERS else text[:_MAX_PARAMETERS]


def split_mbox(data: bytes) -> Iterator[bytes]:
    """The mails of an mbox (mboxrd or mboxo), or the one mail that `data` is."""
    starts = [match.start() for match in _FROM_LINE.finditer(data)]
    if not starts or starts[0] != 0:
        yield data
        return
    # an mbox's separator stands at the very start or behind a line end; within a mail a diff's or
    # message's "From 1a2b.. Mon Sep 17 00:00:00 2001" is the next patch of a format-patch --stdout
    for begin, end in zip(starts, [*starts[1:], len(data)], strict=False):
        head = data.index(b"\n", begin) + 1 if b"\n" in data[begin:end] else end
        mail = data[head:end]
        if mail.strip():
            yield _MBOXRD.sub(rb"\1", mail)


def parse_mail(raw: bytes, origin: str = "") -> Mail:
    """A mail from its bytes, a leading mbox "From " line allowed.

    Raises InputError where the bytes are no mail (no header at all), more than MAX_MAIL or of more than MAX_LINES.
    """
    if len(raw) > MAX_MAIL:
        raise InputError(f"mail is too large: '{origin}' has {len(raw)} bytes, {MAX_MAIL} are read")
    if raw.startswith(b"From "):
        raw = raw.partition(b"\n")[2]
    # compat32: the default policy crashes on real headers such as charset=Yes and costs three times as much
    try:
        message = BytesParser(_Part).parsebytes(raw)
    except Exception as error:  # the email package raises what it likes on hostile mail, RecursionError among it
        raise InputError(f"cannot read mail '{origin}': {type(error).__name__}: {error}") from error
    headers: dict[str, str] = {}
    for name, value in message.raw_items():
        headers.setdefault(name.lower(), value)
    if not headers.keys() & {"from", "subject", "message-id", "date"}:
        raise InputError(f"not a mail: '{origin}' has no From:, Subject:, Date: or Message-ID: header")
    sender = addresses(headers.get("from", ""))
    original = addresses(headers.get("x-original-from", ""))
    charsets: list[str] = []
    body = _bounded(_body(message, charsets), origin)
    ids = _MESSAGE_ID.findall(_text(headers.get("message-id", "")))
    parents = _MESSAGE_ID.findall(_text(headers.get("in-reply-to", "")))
    return Mail(
        message_id=ids[0] if ids else "",
        subject=decode(headers.get("subject", "")),
        sender=sender[0] if sender else Address("", ""),
        date=_date(headers.get("date", "")),
        in_reply_to=parents[0] if parents else None,
        references=tuple(dict.fromkeys(_MESSAGE_ID.findall(_text(headers.get("references", ""))))),
        reply_to=_Addresses(headers.get("reply-to", "")),
        to=_Addresses(", ".join(v for n, v in message.raw_items() if n.lower() == "to")),
        cc=_Addresses(", ".join(v for n, v in message.raw_items() if n.lower() == "cc")),
        list_id=decode(headers["list-id"]) if "list-id" in headers else None,
        auto_submitted=_text(headers.get("auto-submitted", "no")).strip().lower() not in ("", "no"),
        body=body,
        origin=origin,
        charset=charsets[-1] if charsets else "utf-8",
        original_from=original[0] if original else None,
    )


def parse_patch(raw: bytes, origin: str) -> Mail:
    """A mail, or a bare diff as `git diff` prints it, which is taken for a mail without headers.

    Raises InputError where it is neither.
    """
    if not re.match(rb"(?:diff --git |--- \S|Index: )", raw):
        return parse_mail(raw, origin)
    nobody = Address("", "")
    text, charset = _decode(raw, None)
    body = _bounded(_split(text), origin)
    return Mail("", origin, nobody, None, None, (), (), (), (), None, False, body, origin, charset)


def decode(value: str) -> str:
    """A header's value unfolded and decoded (RFC 2047, or raw 8-bit as UTF-8, else Latin-1)."""
    text = re.sub(r"\r?\n(?=[ \t])", "", _text(value)).strip()
    if "=?" not in text or len(text) > _MAX_ENCODED:
        return text
    from email.header import decode_header  # only where a header is encoded: start-up counts

    try:
        parts = decode_header(text)
    except Exception:  # noqa: BLE001 - binascii, email.errors and others, all of them by hostile input
        return text
    return "".join(part if isinstance(part, str) else _word(part, charset) for part, charset in parts)


# Newer Pythons (and Debian's 3.11.2) give up a whole header for one bad address in it, unless they are told not to;
# what is no address is left out here.
_LENIENT: dict[str, Any] = {"strict": False} if "strict" in getaddresses.__code__.co_varnames else {}


def addresses(value: str) -> tuple[Address, ...]:
    """The addresses of a header's raw value; what is no address is left out."""
    unfolded = re.sub(r"\r?\n(?=[ \t])", "", _text(value))
    try:
        pairs = getaddresses([unfolded], **_LENIENT)
    except RecursionError:  # a thousand comments in each other
        return ()
    return tuple(Address(decode(name), email) for name, email in pairs if "@" in email)


class _Addresses(Sequence[Address]):
    """The addresses of a header, taken apart when somebody asks: 30 recipients cost more than the rest of a mail,
    and only a reply needs them."""

    __slots__ = ("_found", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        self._found: tuple[Address, ...] | None = None

    def _all(self) -> tuple[Address, ...]:
        if self._found is None:
            self._found = addresses(self._value)
        return self._found

    def __len__(self) -> int:
        return len(self._all())

    @overload
    def __getitem__(self, at: int) -> Address: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[Address, ...]: ...

    def __getitem__(self, at: int | slice) -> Address | tuple[Address, ...]:
        return self._all()[at]

    def __eq__(self, other: object) -> bool:
        return self._all() == tuple(other) if isinstance(other, Sequence) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return repr(self._all())


def header_text(raw: bytes) -> str:
    """A header's bytes as text: UTF-8, else Latin-1."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _text(value: str) -> str:
    """A raw header value whose 8-bit bytes the parser kept as surrogates, as text."""
    return value if value.isascii() else header_text(str(value).encode("utf-8", "surrogateescape"))


def _decode(data: bytes, charset: str | None) -> tuple[str, str]:
    """Bytes in the charset that the mail declares; UTF-8 and then Latin-1 where that is wrong or unknown. And which."""
    for name in (charset, "utf-8"):
        try:
            if name and lookup(name).name not in _NO_CHARSETS:
                return _HALVES.sub("\ufffd", data.decode(name)), name
        except (LookupError, ValueError):
            continue
    return data.decode("latin-1"), "latin-1"


def _word(part: bytes, charset: str | None) -> str:
    """A piece that decode_header() gives; what was not encoded it hands out as bytes in a code of its own."""
    return _decode(part, charset)[0] if charset else _HALVES.sub("\ufffd", part.decode("raw-unicode-escape", "replace"))


def _date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(_text(value).strip())
        date = (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
        # Linux was announced in August 1991: what is older was dated by a clock without a battery
        return date if date.year > 1990 else None
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _bounded(lines: Iterable[str], origin: str) -> tuple[str, ...]:
    body = tuple(islice(lines, MAX_LINES + 1))
    if len(body) > MAX_LINES:
        raise InputError(f"mail is too large: '{origin}' has more than {MAX_LINES} lines")
    return body


def _body(message: Message, charsets: list[str]) -> Iterator[str]:
    """The lines that git would apply: every text part but HTML, and attached *.patch and *.diff files, in order.

    The charset of each part that is not ASCII goes to `charsets`.
    """
    for part in message.walk():
        if part.is_multipart():
            continue
        kind = part.get_content_type()
        if kind in ("text/html", "text/calendar"):
            continue
        if kind.startswith("text/") or _file_name(part).lower().endswith((".patch", ".diff")):
            yield from _lines(part, charsets)


def _file_name(part: Message) -> str:
    try:
        return str(part.get_filename() or "")
    except Exception:  # noqa: BLE001 - the email package raises what it likes on a hostile name parameter
        return ""


def _lines(part: Message, charsets: list[str]) -> Iterator[str]:
    encoding = _text(str(part.get("content-transfer-encoding", ""))).strip().lower()
    raw = _payload(part)
    if encoding in ("base64", "quoted-printable"):
        del part["content-transfer-encoding"]
        plain = _payload(part)
        # b4 review pipes the decoded body below headers that still say base64 or quoted-printable
        if (b"\n--- " in plain or b"\ndiff --git " in plain) and (encoding == "base64" or _NOT_QP.search(plain)):
            raw = plain
    try:
        charset = part.get_content_charset()
    except Exception:  # noqa: BLE001 - the email package raises what it likes on a hostile charset parameter
        charset = None
    text, charset = _decode(raw, charset)
    if not text.isascii():
        charsets.append(charset)
    lines: Iterable[str] = _split(text)
    flowed = str(part.get_param("format", "")).lower() == "flowed"
    # a sender that declares format=flowed and does not space-stuff: RFC 3676 would eat the context marks
    if flowed and not (_UNSTUFFED.search(text) and not _STUFFED.search(text)):
        lines = _unflow(lines, delsp=str(part.get_param("delsp", "")).lower() == "yes")
    yield from lines


def _split(text: str) -> list[str]:
    """The lines of a text, without the line ends that transport has given it."""
    # transport CRLF, not a file's own line ends: nearly every line has it, and so have the diff's headers
    ends, crlf = text.count("\n"), text.count("\r\n")
    if crlf and crlf >= 0.95 * ends and not _LF_HEADER.search(text):
        text = text.replace("\r\n", "\n")
    return text.removesuffix("\n").split("\n")


def _payload(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _unflow(lines: Iterable[str], delsp: bool) -> Iterator[str]:
    """RFC 3676 undone as git mailinfo does (mailinfo.c, handle_filter_flowed())."""
    held = ""
    for line in lines:
        if line == "-- ":
            if held:
                yield held
            held = ""
            yield line
            continue
        line = line.removeprefix(" ")
        if line.endswith(" "):
            held += line[:-1] if delsp else line
            continue
        yield held + line
        held = ""
    if held:
        yield held
