# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the sender of a mail is proven: DKIM or patatt, as b4 judges it.

Belongs here: the proof that a mail's From: is true and that its words are the sender's. Does not belong
here: what the words say (`answers`), who may say it. Not pure: it asks DNS for DKIM's keys, starts git
(patatt's canonical form) and perhaps gpg or ssh-keygen; it reads the keyring and writes nothing that stays.
Not for threads: what b4, patatt and dnspython keep for a whole process is set for the call and put back.

b4 judges for a person who reads on; a command is obeyed by a program. So what b4 accepts must also hold
where somebody tries: each signature is looked at by itself, and passes only where
 - it says in plain characters whose it is. b4 takes blanks out of a DKIM-Signature before it reads it, and
   i='s domain from between the first two "@", dkimpy does neither: "i=@example.org@example.net" signed by
   example.net would be example.org's for b4 (LoreMessage._load_dkim_attestors(), LoreAttestorDKIM).
 - it is the From: address' own, and there is one From: address. b4 takes X-Original-From: where that fails.
 - it covers the whole body. DKIM's l= does not, and patatt's l= lets b4 cut the body to what was signed.
 - what is read as a command is in the text that was signed. patatt signs what `git mailinfo` makes of a
   mail, and that takes header lines at the top of the body out, with the lines that continue them.
 - it cannot be moved to another thread.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import IntEnum
from pathlib import Path
from quopri import decodestring
from typing import TYPE_CHECKING, Any, NamedTuple

from reviewbot.answers import may_hold_command
from reviewbot.config import AnswersConfig
from reviewbot.mail import has_diff, parse_subject
from reviewbot.mime import addresses, decode, parse_mail
from reviewbot.model import InputError, Mail
from reviewbot.series import bootstrap

if TYPE_CHECKING:
    from email.message import EmailMessage

    from b4 import LoreAttestor

# b4's own default (attestation-staleness-days): between the Date: of a mail and the time of its signature.
MAX_DRIFT = timedelta(days=30)
# Of one mail no more signatures are tried: a mail of an honest sender has two or three, the relays' among them.
MAX_SIGNATURES = 4
# A larger mail is not proven: patatt and dkimpy take time that grows with the square of a mail's lines.
# The kernel's lists take mails of a few hundred kB.
MAX_SIZE = 1024 * 1024
MAX_LINES = 20_000
_MAX_HEADERS = 64 * 1024  # together; Received:, ARC and long Cc: lists come to some 20 kB
_MAX_HEADER = 8 * 1024  # of one that b4 reads; Python's parser of addresses is quadratic
_MAX_BLANKS = 300  # in a row: regular expressions of dkimpy and patatt are quadratic in them
_MAX_FOLD = 40  # the same within a signature

# What is signed once and read once must be there once: DKIM covers the last, we read the first.
_SINGLE = (
    "from", "date", "subject", "message-id", "in-reply-to", "references",
    "content-type", "content-transfer-encoding",
)  # fmt: skip
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,100}@([A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?)")
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,30}")
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,250}[A-Za-z0-9])?")
_PLAIN = re.compile(r"[\t\r\n -~]*")
_PART = re.compile(rb"^--[^\r\n]+\r?\ncontent-", re.I | re.M)  # of a multipart mail


class Proof(NamedTuple):
    """Whether a mail's From: address is proven.

    `proven` says nothing of X-Original-From:, Reply-To: or a From: line in the body: only `Mail.sender` is meant.
    """

    proven: bool
    how: str  # "DKIM/example.org", "ed25519/ann@example.org"; or why not: "no signature", "bad signature", ...
    again: bool = False  # it may be another time: DNS did not answer


class _Why(IntEnum):
    """Kinds of failure; of several signatures the highest tells."""

    NONE = 0
    OTHER = 1  # somebody else's signature
    KEY = 2
    BAD = 3
    AGAIN = 4


class _Failed(Exception):
    """What is looked at proves nothing."""

    def __init__(self, why: _Why, how: str) -> None:
        super().__init__(how)
        self.proof = Proof(False, how, why is _Why.AGAIN)
        self.why = why


def prove(raw: bytes, config: AnswersConfig | None = None) -> Proof:
    """Whether `raw`, one mail as it came, is from whom its From: says. Never raises.

    DNS may take 5 seconds a signature. The keyring is `config.keyring`, laid out as patatt has it
    (ed25519/example.org/ann/default), or patatt's own, $XDG_DATA_HOME/patatt/public; neither the keyrings
    in the git repository we stand in nor gpg's are looked at.
    """
    config = config or AnswersConfig()
    if raw.startswith(b"From "):
        raw = raw.partition(b"\n")[2]
    try:
        return _prove(raw, config)
    except _Failed as failed:
        return failed.proof
    except InputError as error:
        return Proof(False, _short(str(error)))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - b4 exits, the email package raises what it likes
        return Proof(False, _short(f"signature cannot be read: {type(error).__name__}: {error}"))


def _prove(raw: bytes, config: AnswersConfig) -> Proof:
    head, _ = _split(raw)
    if not re.search(rb"^(?:dkim-signature|x-developer-signature)[ \t]*:", head, re.I | re.M):
        return Proof(False, "no signature")
    if len(raw) > MAX_SIZE or raw.count(b"\n") > MAX_LINES or len(head) > _MAX_HEADERS:
        return Proof(False, "mail is too large to be proven")
    if any(len(match[0]) > _MAX_BLANKS for match in re.finditer(rb"\s{40,}", raw)):
        return Proof(False, "too many blanks in a row")
    mail = parse_mail(raw)
    bootstrap()
    message = _parse(raw)
    headers = [(name.lower(), str(value)) for name, value in message.raw_items()]
    sender = _only_sender(headers, mail)
    if mail.date is None:
        return Proof(False, "no date")
    if any(part.get_content_type() == "message/rfc822" for part in message.walk()):
        return Proof(False, "another mail is attached")  # whose words its parsers do not tell apart
    worst = _Failed(_Why.NONE, "no signature")
    tried = 0
    for name, check in (("x-developer-signature", _patatt), ("dkim-signature", _dkim)):
        if name == "dkim-signature" and not config.dkim:
            if worst.why is _Why.NONE and any(n == name for n, _ in headers):
                worst = _Failed(_Why.NONE, "no signature but DKIM's, which is off")
            continue
        # a relay puts its own above the sender's; b4 begins with the oldest as well
        for value in reversed([value for n, value in headers if n == name]):
            try:
                tags = _tags(value)
                _is_senders(name, tags, sender)
                tried += 1
                if tried > MAX_SIGNATURES:
                    raise _Failed(_Why.BAD, "too many signatures")
                return check(_alone(raw, name, value), tags, mail, sender, config)
            except _Failed as failed:
                worst = max(worst, failed, key=lambda one: one.why)
            except InputError:
                raise
            except (Exception, SystemExit) as error:  # noqa: BLE001 - as above; the next one may be good
                how = _short(f"signature cannot be read: {type(error).__name__}: {error}")
                worst = max(worst, _Failed(_Why.BAD, how), key=lambda one: one.why)
    return worst.proof


def _split(raw: bytes) -> tuple[bytes, bytes]:
    """Headers and body, roughly: as far as it is not the email package that decides."""
    match = re.search(rb"\r?\n\r?\n", raw)
    return (raw[: match.start()], raw[match.end() :]) if match else (raw, b"")


def _only_sender(headers: list[tuple[str, str]], mail: Mail) -> str:
    """The From: address, in lower case, where nobody can read another one."""
    for name in _SINGLE:
        same = {value.strip() for n, value in headers if n == name}
        if len(same) > 1:
            raise _Failed(_Why.BAD, f"more than one {name.title()}: header")
        if any(len(value) > _MAX_HEADER for value in same):
            raise _Failed(_Why.BAD, f"{name.title()}: header is too long")
    values = [value for n, value in headers if n == "from"]
    found = addresses(values[0]) if values else ()
    email = mail.sender.email
    if len(values) != 1 or len(found) != 1 or found[0].email != email or not _EMAIL.fullmatch(email):
        raise _Failed(_Why.BAD, "From: is not one plain address")
    if re.search("[:;]", re.sub(r'"[^"]*"', "", values[0])):  # a group
        raise _Failed(_Why.BAD, "From: is not one plain address")
    return email.lower()


def _tags(value: str) -> dict[str, str]:
    """The tags of a signature header that every reader takes for the same."""
    # Python encodes long headers that it writes; b4 and patatt undo it
    text = decode(value) if "=?" in value else value
    if len(text) > _MAX_HEADER or not _PLAIN.fullmatch(text) or re.search(rf"\s{{{_MAX_FOLD}}}", text):
        raise _Failed(_Why.BAD, "signature has odd characters")
    tags: dict[str, str] = {}
    for spec in text.strip().removesuffix(";").split(";"):
        name, equals, rest = (word.strip() for word in spec.partition("="))
        if not equals or name in tags or not _TAG.fullmatch(name):
            raise _Failed(_Why.BAD, "signature has odd tags")
        tags[name] = re.sub(r"\s*:\s*", ":", rest) if name == "h" else rest
    return tags


def _is_senders(header: str, tags: Mapping[str, str], sender: str) -> None:
    if header == "x-developer-signature":
        if (identity := tags.get("i", sender).lower()) != sender:
            raise _Failed(_Why.OTHER, f"signed by {_short(identity)}, not the sender")
        return
    domain = tags.get("d", "").lower()
    user, at, identity = tags.get("i", f"@{domain}").lower().rpartition("@")
    if not _DOMAIN.fullmatch(domain) or not _DOMAIN.fullmatch(tags.get("s", "")) or not at or "@" in user:
        raise _Failed(_Why.BAD, "signature has an odd domain")
    # b4 asks for the domain itself, whoever is above it; what is signed for a part of a domain names that in i=
    if sender.rpartition("@")[2] != identity or (identity != domain and not identity.endswith("." + domain)):
        raise _Failed(_Why.OTHER, f"signed by {_short(identity)}, not the sender's domain")


def _parse(raw: bytes) -> EmailMessage:
    from email.parser import BytesParser

    import b4

    return BytesParser(policy=b4.emlpolicy).parsebytes(raw)


def _alone(raw: bytes, name: str, value: str) -> EmailMessage:
    """A copy of the mail with one signature: what b4 says is said of this one."""
    message = _parse(raw)
    kept = next((n, v) for n, v in message.raw_items() if n.lower() == name and str(v) == value)
    for header in ("DKIM-Signature", "X-Developer-Signature"):
        del message[header]
    message.set_raw(kept[0], decode(value) if "=?" in value else value)  # its name as it was: "simple" signs that
    return message


def _dkim(message: EmailMessage, tags: Mapping[str, str], mail: Mail, sender: str, config: AnswersConfig) -> Proof:
    if "l" in tags:
        raise _Failed(_Why.BAD, "signature does not cover the whole body")
    # RFC 8301: rsa-sha1 must not be taken for valid; dkimpy does
    if tags.get("a") not in ("rsa-sha256", "ed25519-sha256"):
        raise _Failed(_Why.BAD, "signature is of a weak or unknown kind")
    signed = {name.lower() for name in tags.get("h", "").split(":")}
    if "from" not in signed:
        raise _Failed(_Why.BAD, "signature does not cover From:")
    subject = parse_subject(mail.subject)
    _is_bound(signed, message, posting=subject.patch and not subject.reply and "subject" in signed)
    _is_read_as_signed(signed, message, mail)
    _, _, canon = tags.get("c", "simple/simple").partition("/")
    if canon.lower() == "relaxed" and any(line[:1].isspace() and may_hold_command(line) for line in mail.body):
        # it makes one blank of many, and four of them are code
        raise _Failed(_Why.BAD, "signature does not cover how far a command is indented")
    with _b4(config, dkim=True) as (_, dns):
        attestor, how = _judge(message, sender)
    if attestor is None:
        if dns.failed:
            raise _Failed(_Why.AGAIN, "DNS does not answer")
        if dns.missing:
            raise _Failed(_Why.KEY, "no key")
        raise _Failed(_Why.BAD, how)
    return Proof(True, how)


def _patatt(message: EmailMessage, tags: Mapping[str, str], mail: Mail, sender: str, config: AnswersConfig) -> Proof:
    algorithm = tags.get("a", "").partition("-")[0]
    if algorithm not in ("ed25519", "openpgp", "openssh") or tags["a"] != f"{algorithm}-sha256":
        raise _Failed(_Why.BAD, "signature is of an unknown kind")
    if message.is_multipart() or message.get_content_maintype() != "text":
        raise _Failed(_Why.BAD, "patatt's signature of a mail with parts")  # git reads parts as we do not
    signed = {name.lower() for name in tags.get("h", "").split(":")}
    # git mailinfo takes Re: and brackets off before the subject is signed, so it cannot tell a posting
    _is_bound(signed, message, posting=has_diff(mail) and not parse_subject(mail.subject).reply)
    with _b4(config, dkim=False) as (keyring, _):
        import b4
        import patatt

        try:
            # without one patatt would ask gpg's own keyring, where anybody's key may lie
            key, _ = patatt.get_public_key(keyring, algorithm, sender, tags.get("s", "default"))
        except KeyError:
            key = b""
        if not key.strip():
            raise _Failed(_Why.KEY, "no key")
        canonical = patatt.PatattMessage(message.as_bytes(policy=b4.emlpolicy))
        canonical.git_canonicalize()
        text = canonical.canon_body or b""
        if "l" in tags and tags["l"] != str(len(text)):
            raise _Failed(_Why.BAD, "signature does not cover the whole body")
        if _commands(mail.body) - _commands(_ascii(text).split("\n")):
            raise _Failed(_Why.BAD, "signature does not cover a command")
        attestor, how = _judge(message, sender)
    if attestor is None:
        raise _Failed(_Why.BAD, how)
    return Proof(True, how)


def _is_bound(signed: set[str], message: EmailMessage, *, posting: bool) -> None:
    """The mail cannot be sent again as an answer to something else.

    By its Message-ID (a ledger knows that it was read), by the headers that say what it answers, or because
    it is a posting, which carries all that it is about. kernel.org signs no Message-ID:, Exchange only that.
    """
    if "message-id" in signed and "message-id" in message:
        return
    above = [name for name in ("in-reply-to", "references") if name in message]
    if not posting and not (above and signed.issuperset(above)):
        raise _Failed(_Why.BAD, "signature does not cover which mail is answered")


def _is_read_as_signed(signed: set[str], message: EmailMessage, mail: Mail) -> None:
    """Headers that say how to read the body are signed, or whoever changes them makes no command of other words.

    kernel.org signs neither, so it is not asked for as such.
    """
    import b4

    body = _split(message.as_bytes(policy=b4.emlpolicy))[1]
    typed, encoded = "content-type" in signed, "content-transfer-encoding" in signed
    if not typed and (message.is_multipart() or _PART.search(body)):
        raise _Failed(_Why.BAD, "signature does not cover Content-Type:")
    if message.is_multipart():  # its parts' headers are in the body
        return
    payload = message.get_payload(decode=True)
    plain = _count(payload if isinstance(payload, bytes) else b"")
    # format=flowed takes a blank off, so that code is none any more; charsets are as many as one likes
    if not typed and _commands(mail.body).total() != plain:
        raise _Failed(_Why.BAD, "signature does not cover Content-Type:")
    # a soft line break of quoted-printable may stand before "reviewbot:" in the middle of a sentence;
    # nobody writes what is a command in base64
    base64 = str(message.get("content-transfer-encoding", "")).strip().lower() == "base64"
    if not encoded and not base64 and not plain == _count(body) == _count(decodestring(body)):
        raise _Failed(_Why.BAD, "signature does not cover Content-Transfer-Encoding:")


def _count(text: bytes) -> int:
    """How many lines may be commands."""
    return _commands(_ascii(text).split("\n")).total()


def _ascii(text: bytes) -> str:
    return "".join(map(chr, (byte for byte in text.replace(b"\r\n", b"\n") if byte < 128)))


def _commands(lines: Any) -> Counter[str]:
    """The lines that may be commands; what is not ASCII is left out, its code may differ."""
    return Counter(
        "".join(char for char in line if char.isascii()).rstrip() for line in lines if may_hold_command(line)
    )


def _judge(message: EmailMessage, sender: str) -> tuple[LoreAttestor | None, str]:
    """b4's own verdict, for the one signature of a mail: who attests and how b4 calls it, or None and why not."""
    import b4

    lore = b4.LoreMessage(message)
    if lore.fromemail.lower() != sender:
        return None, "From: is not one plain address"
    statuses, _, critical = lore.get_attestation_status("softfail", MAX_DRIFT.days)
    attestors = lore.attestors
    if len(statuses) != 1 or len(attestors) != 1 or critical:
        return None, "bad signature"
    status, attestor = statuses[0], attestors[0]
    if status["status"] == "nokey":
        return None, "no key"
    if not status["passing"]:
        if _drifts(attestor.signtime, lore.date):
            return None, "signature is too old or too new for the mail's date"
        return None, "bad signature"
    # a signature that is a year older than the mail's date passes b4, which looks at the other side only
    if _drifts(attestor.signtime, lore.date):
        return None, "signature is too old or too new for the mail's date"
    if "mismatch" in status or lore.fromemail.lower() != sender or not attestor.check_identity(sender):
        return None, "signature is not the sender's"
    return attestor, _short(str(status["identity"]))


def _drifts(signed: datetime | None, sent: datetime) -> bool:
    return signed is None or abs(signed - sent) > MAX_DRIFT


class _Dns:
    """Stands where dnspython has its default resolver, and remembers what dkimpy makes nothing of.

    b4 sets the same place for its attestation-dns-resolvers.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.failed = False  # no server, no answer in time, or a server that says it cannot
        self.missing = False  # there is no such name, or it has no key

    def resolve(self, *args: Any, **named: Any) -> Any:
        import dns.exception
        import dns.resolver

        try:
            inner = self._inner or dns.resolver.Resolver()
            answer = inner.resolve(*args, **named)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            self.missing = True
            raise
        except (
            dns.exception.Timeout,
            dns.resolver.NoNameservers,
            dns.resolver.NoResolverConfiguration,
            OSError,
        ):
            self.failed = True
            raise
        self.missing = self.missing or answer.rrset is None
        return answer


@contextmanager
def _b4(config: AnswersConfig, *, dkim: bool) -> Iterator[tuple[str, _Dns]]:
    """b4 and what it uses, set for one judgement: the keyring's directory, and what DNS said."""
    import b4
    import dns.resolver
    import patatt

    keyring = os.path.abspath(os.path.expanduser(config.keyring)) if config.keyring else str(_patatt_keyring())
    asked = _Dns(dns.resolver.default_resolver)
    saved = b4.MAIN_CONFIG, b4.can_network, patatt.GPGBIN, patatt.SSHKBIN, patatt.logger
    resolver, environment = dns.resolver.default_resolver, dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="reviewbot-") as nowhere:
        try:
            b4.MAIN_CONFIG = {
                **b4.DEFAULT_CONFIG,
                "attestation-policy": "softfail",
                "attestation-staleness-days": str(MAX_DRIFT.days),
                "attestation-check-dkim": "yes" if dkim else "no",
                # b4 would fall back to keyrings in the repository that we stand in
                "keyringsrc": [keyring],
                "gpgbin": "gpg",
            }
            b4.can_network = dkim
            # patatt would ask git's configuration for these, which may name any program
            patatt.GPGBIN, patatt.SSHKBIN = "gpg", "ssh-keygen"
            dns.resolver.default_resolver = asked  # type: ignore[assignment]
            for name, value in _surroundings(nowhere).items():
                _set(name, value)
            yield keyring, asked
        finally:
            b4.MAIN_CONFIG, b4.can_network, patatt.GPGBIN, patatt.SSHKBIN, patatt.logger = saved
            dns.resolver.default_resolver = resolver
            for name in _surroundings(nowhere):
                _set(name, environment.get(name))


def _surroundings(nowhere: str) -> dict[str, str | None]:
    """The environment that b4 and git see: b4 makes itself a directory below XDG_DATA_HOME, and git mailinfo
    would read the configuration of the user and of the repository that we stand in."""
    return {
        "XDG_DATA_HOME": nowhere,
        "GIT_DIR": os.path.join(nowhere, "none"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_COUNT": None,
        "GIT_CONFIG_PARAMETERS": None,
    }


def _set(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _patatt_keyring() -> Path:
    """Where `patatt` looks for other people's keys itself."""
    home = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
    return Path(home) / "patatt" / "public"


def _short(text: str) -> str:
    """Strangers' text in a reason: one printable line."""
    return "".join(char if char.isprintable() else "?" for char in text[:200])
