# SPDX-License-Identifier: GPL-2.0-or-later
"""attest: a sender is proven where b4 and a hostile reader agree, and by nothing else.

Keys are made here; DNS is a server on loopback that knows only them.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from email.utils import formatdate
from pathlib import Path
from typing import Any

import dkim  # type: ignore[import-untyped]
import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import patatt
import pytest
from mails import patch_body
from nacl.signing import SigningKey

from reviewbot.answers import Answer, read_answers
from reviewbot.attest import Proof, prove
from reviewbot.config import AnswersConfig
from reviewbot.mime import parse_mail
from reviewbot.series import bootstrap

SIGNED = ("from", "to", "subject", "date", "message-id", "in-reply-to", "references", "content-type")
TEXT = "> Teach range_walk() more.\n\nreviewbot: wontfix gup/foll-force-in-driver it is a debugger\n"
KEYS = {domain: SigningKey(domain.encode().ljust(32)[:32]) for domain in ("example.org", "example.net")}
SERVFAIL, SILENCE = b"SERVFAIL", b"SILENCE"


class Dns:
    """A DNS server on loopback: TXT records by name."""

    def __init__(self) -> None:
        self.records: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def serve(self) -> None:
        while True:
            data, peer = self.socket.recvfrom(4096)
            if data == b"end":
                return
            query = dns.message.from_wire(data)
            name = query.question[0].name.to_text(omit_final_dot=True)
            self.asked.append(name)
            found = self.records.get(name)
            if found == SILENCE:
                continue
            response = dns.message.make_response(query)
            if found == SERVFAIL:
                response.set_rcode(dns.rcode.SERVFAIL)
            elif found is None:
                response.set_rcode(dns.rcode.NXDOMAIN)
            else:
                text = '"' + found.decode() + '"'
                response.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "TXT", text))
            self.socket.sendto(response.to_wire(), peer)


class Quick(dns.resolver.Resolver):
    """Does not wait for dkimpy's five seconds (the eighth argument of dns.resolver.resolve())."""

    patience = 5.0

    def resolve(self, *args: Any) -> Any:
        inner: Any = super()
        return inner.resolve(*args[:7], self.patience, *args[8:])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Dns]:
    """DNS for the time of a test, with the keys of example.org and example.net."""
    found = Dns()
    for domain, key in KEYS.items():
        found.records[f"s1._domainkey.{domain}"] = b"v=DKIM1; k=ed25519; p=" + base64.b64encode(key.verify_key.encode())
    thread = threading.Thread(target=found.serve)
    thread.start()
    resolver = Quick(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], found.port
    monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
    yield found
    found.socket.sendto(b"end", ("127.0.0.1", found.port))
    thread.join()
    found.socket.close()


def answer(
    text: str = TEXT, *, sender: str = "Ann <ann@example.org>", headers: Sequence[str] = (), days: float = 0
) -> bytes:
    lines = [
        f"From: {sender}",
        "To: linux-mm@example.org",
        "Subject: Re: [PATCH] mm: walk",
        f"Date: {formatdate(time.time() + days * 86400)}",
        "Message-ID: <answer@example.org>",
        "In-Reply-To: <patch@example.org>",
        "References: <patch@example.org>",
        *headers,
    ]
    return ("\n".join(lines) + "\n\n" + text).encode()


class Signer(dkim.DKIM):  # type: ignore[misc]
    """Signs with tags that a decent signer would not write; a tag that is None is left out."""

    tags: Sequence[tuple[bytes, bytes | None]] = ()

    def gen_header(self, fields: list[tuple[bytes, bytes]], *args: Any, **named: Any) -> bytes:
        names = [name for name, _ in self.tags]
        kept = [field for field in fields if field[0] not in names or field[0] == b"b"]
        extra = [(name, value) for name, value in self.tags if value is not None]
        return bytes(super().gen_header([*kept[:-1], *extra, kept[-1]], *args, **named))


def sign(
    raw: bytes,
    domain: str = "example.org",
    *tags: tuple[bytes, bytes | None],
    headers: Sequence[str] = SIGNED,
    canon: tuple[bytes, bytes] = (b"relaxed", b"relaxed"),
    length: bool = False,
    key: SigningKey | None = None,
) -> bytes:
    signer = Signer(raw, signature_algorithm=b"ed25519-sha256", linesep=b"\n")
    signer.tags = tags
    seed = base64.b64encode((key or KEYS[domain]).encode())
    present = [name.encode() for name in headers if re.search(rf"(?mi)^{name}:", raw.decode("latin-1"))]
    header = signer.sign(
        b"s1", domain.encode(), seed, canonicalize=canon, include_headers=[*present, b"from"], length=length
    )
    return bytes(header.replace(b"\r\n", b"\n")) + raw


def b4_says(raw: bytes) -> list[dict[str, Any]]:
    """What b4 itself says of a mail."""
    bootstrap()
    from email.parser import BytesParser

    import b4

    saved = b4.MAIN_CONFIG, b4.can_network
    b4.MAIN_CONFIG = {**b4.DEFAULT_CONFIG, "gpgbin": "gpg", "keyringsrc": ["/nonexistent"]}
    b4.can_network = True
    try:
        message = b4.LoreMessage(BytesParser(policy=b4.emlpolicy).parsebytes(raw))
        return list(message.get_attestation_status("softfail", 30)[0])
    finally:
        b4.MAIN_CONFIG, b4.can_network = saved


def passes_b4(raw: bytes) -> bool:
    return any(status["passing"] and "mismatch" not in status for status in b4_says(raw))


def test_a_domains_signature_proves_its_senders(server: Dns) -> None:
    assert prove(sign(answer())) == Proof(True, "DKIM/example.org", False)


@pytest.mark.parametrize("canon", [(b"simple", b"simple"), (b"simple", b"relaxed"), (b"relaxed", b"simple")])
def test_every_canonical_form_is_read(server: Dns, canon: tuple[bytes, bytes]) -> None:
    assert prove(sign(answer(), canon=canon)).proven


def test_a_mail_with_crlf_and_an_mbox_line_is_proven(server: Dns) -> None:
    assert prove(b"From ann@example.org Mon Nov 18 10:00:00 2024\n" + sign(answer()).replace(b"\n", b"\r\n")).proven


def test_without_a_signature_nobody_is_asked(server: Dns) -> None:
    assert prove(answer()) == Proof(False, "no signature", False)
    assert not server.asked


def test_a_forged_sender_is_not_proven(server: Dns) -> None:
    forged = sign(answer(), "example.net")
    assert prove(forged) == Proof(False, "signed by example.net, not the sender's domain", False)
    assert not server.asked  # a stranger's name servers learn nothing of us


def test_a_stranger_cannot_sign_with_a_key_of_his_own(server: Dns) -> None:
    assert prove(sign(answer(), key=KEYS["example.net"])) == Proof(False, "bad signature", False)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"it is a debugger", b"it is a debuggee"),
        (b"ann@example.org", b"eve@example.org"),
        (b"Subject: Re: [PATCH] mm: walk", b"Subject: Re: [PATCH] mm: run"),
        (b"In-Reply-To: <patch@", b"In-Reply-To: <other@"),
        (b"References: <patch@", b"References: <other@"),
    ],
)
def test_a_changed_mail_is_not_proven(server: Dns, old: bytes, new: bytes) -> None:
    raw = sign(answer())
    assert prove(raw).proven
    assert prove(raw.replace(old, new, 1)) == Proof(False, "bad signature", False)


def test_text_behind_a_signed_length_is_not_the_senders(server: Dns) -> None:
    raw = sign(answer("Thank you.\n"), length=True) + b"reviewbot: stop\n"
    assert passes_b4(raw)
    assert prove(raw) == Proof(False, "signature does not cover the whole body", False)


def test_a_signature_that_does_not_cover_from_proves_nothing(server: Dns) -> None:
    raw = sign(answer(), "example.org", (b"h", b"to:subject:date:message-id"))
    assert prove(raw) == Proof(False, "signature does not cover From:", False)


def test_blanks_in_a_list_of_headers_do_not_hide_what_is_missing(server: Dns) -> None:
    raw = sign(answer(), "example.org", (b"h", b"fr om:to:subject:date:message-id"))
    assert prove(raw) == Proof(False, "signature does not cover From:", False)


@pytest.mark.parametrize("place", ["above", "below"])
def test_one_good_signature_of_two_is_enough(server: Dns, place: str) -> None:
    raw = answer()
    good = sign(raw)[: -len(raw)]
    bad = good.replace(b"bh=", b"bh=AAAA")
    other = sign(raw, "example.net")[: -len(raw)]
    signatures = [other, bad, good] if place == "below" else [good, bad, other]
    assert prove(b"".join(signatures) + raw) == Proof(True, "DKIM/example.org", False)


def test_many_signatures_do_not_make_many_questions(server: Dns) -> None:
    raw = answer()
    bad = sign(raw, key=KEYS["example.net"])[: -len(raw)]
    assert prove(bad * 50 + raw) == Proof(False, "bad signature", False)
    assert len(server.asked) <= 4


def test_an_expired_signature_is_bad(server: Dns) -> None:
    assert prove(sign(answer(), "example.org", (b"x", b"%d" % (time.time() + 86400)))).proven
    early = (b"t", b"%d" % (time.time() - 3 * 86400)), (b"x", b"%d" % (time.time() - 2 * 86400))
    assert prove(sign(answer(), "example.org", *early)) == Proof(False, "bad signature", False)


@pytest.mark.parametrize("days", [-40, 40])
def test_a_date_far_from_the_signature_is_refused(server: Dns, days: float) -> None:
    raw = sign(answer(days=days), headers=[name for name in SIGNED if name != "date"])
    assert prove(raw) == Proof(False, "signature is too old or too new for the mail's date", False)


def test_a_signature_without_a_time_counts_where_it_covers_the_date(server: Dns) -> None:
    undated = (b"t", None)
    assert prove(sign(answer(), "example.org", undated)).proven
    assert not prove(sign(answer(), "example.org", undated, headers=[n for n in SIGNED if n != "date"])).proven


@pytest.mark.parametrize(
    ("sender", "domain", "tags", "proven"),
    [
        ("ann@sub.example.org", "example.org", (), False),
        ("ann@sub.example.org", "example.org", ((b"i", b"@sub.example.org"),), True),
        ("ann@example.org", "example.org", ((b"i", b"@sub.example.org"),), False),
        ("ann@EXAMPLE.org", "example.org", (), True),
        ("ann@notexample.org", "example.org", (), False),
    ],
)
def test_a_part_of_a_domain_is_not_the_domain(
    server: Dns, sender: str, domain: str, tags: tuple[tuple[bytes, bytes], ...], proven: bool
) -> None:
    raw = sign(answer(sender=f"Ann <{sender}>"), domain, *tags)
    assert passes_b4(raw) is proven
    assert prove(raw).proven is proven


def test_a_stranger_cannot_make_b4_read_another_domain(server: Dns) -> None:
    raw = sign(answer(), "example.net", (b"i", b"@example.org@example.net"))
    assert passes_b4(raw)  # if this fails b4 has learned it
    assert prove(raw) == Proof(False, "signature has an odd domain", False)


@pytest.mark.parametrize("tag", [b"i\x1c", b"d\x1f", b"\x0bd", b"d\xc2\xa0", b"D", b"i."])
def test_a_tag_that_only_some_read_is_refused(server: Dns, tag: bytes) -> None:
    assert not prove(sign(answer(), "example.net", (tag, b"example.org"))).proven


@pytest.mark.parametrize(
    "sender",
    [
        "Ann <ann@example.org>, Eve <eve@example.net>",
        "Eve <eve@example.net>, Ann <ann@example.org>",
        "friends: Ann <ann@example.org>;",
        "friends: Ann <ann@example.org>, eve@example.net;",
        "=?utf-8?q?Ann_=3Cann=40example=2Eorg=3E=2C?= <eve@example.net>",
        '"ann@example.org" <eve@example.net>',
        "ann@example.org <eve@example.net>",
        "<eve@example.net> <ann@example.org>",
        "ann@example.net@example.org",
        "",
        "Ann",
        "<>",
        "\x1b[31m ann@example.org\x00",
        "ann\udcff".encode("utf-8", "surrogatepass").decode("latin-1") + "@example.org",
    ],
)
def test_only_one_plain_sender_is_proven(server: Dns, sender: str) -> None:
    raw = sign(answer(sender=sender))
    proof = prove(raw)
    assert not proof.proven
    assert not proof.again


@pytest.mark.parametrize("name", ["From: Eve <eve@example.net>", "Subject: other", "In-Reply-To: <other@example.org>"])
def test_a_second_header_of_a_kind_is_refused(server: Dns, name: str) -> None:
    raw = name.encode() + b"\n" + sign(answer())
    assert prove(raw).how == f"more than one {name.split(':', maxsplit=1)[0]}: header"


def test_an_original_sender_in_another_header_is_nobody(server: Dns) -> None:
    raw = sign(
        answer(sender="Ann <ann@example.org>", headers=["X-Original-From: Eve <eve@example.net>"]), "example.net"
    )
    assert passes_b4(raw)
    assert prove(raw) == Proof(False, "signed by example.net, not the sender's domain", False)


def test_a_list_that_signs_for_itself_proves_only_itself(server: Dns) -> None:
    headers = ["X-Original-From: Ann <ann@example.org>"]
    proof = prove(sign(answer(sender="Ann via list <list@example.net>", headers=headers), "example.net"))
    assert proof == Proof(True, "DKIM/example.net", False)
    raw = answer(sender="Ann via list <list@example.net>", headers=headers)
    assert prove(sign(raw, "example.net", headers=[*SIGNED, "x-original-from"])).proven


def test_an_answer_cannot_be_moved_to_another_thread(server: Dns) -> None:
    unbound = sign(answer(), headers=["from", "to", "subject", "date"])
    assert passes_b4(unbound)
    assert prove(unbound).how == "signature does not cover which mail is answered"
    assert prove(sign(answer(), headers=["from", "subject", "date", "message-id"])).proven
    assert prove(sign(answer(), headers=["from", "subject", "date", "in-reply-to", "references"])).proven


def test_headers_that_say_how_to_read_a_body_must_be_signed(server: Dns) -> None:
    plain = [name for name in SIGNED if name != "content-type"]
    parts = "--x\nContent-Type: text/plain\n\nhello\n--x--\n"
    typed = 'Content-Type: multipart/mixed; boundary="x"'
    assert prove(sign(answer(parts, headers=["MIME-Version: 1.0", typed]))).proven
    assert prove(sign(answer(parts), headers=plain)).how == "signature does not cover Content-Type:"


@pytest.mark.parametrize("encoding", ["quoted-printable", "8bit"])
@pytest.mark.parametrize("text", ["> to be quiet write =\nreviewbot: stop\n", "to be quiet write=0Areviewbot: stop\n"])
def test_a_soft_line_break_makes_no_command(server: Dns, encoding: str, text: str) -> None:
    headers = [f"Content-Transfer-Encoding: {encoding}"]
    raw = answer(text, headers=headers)
    assert prove(sign(raw)).how == "signature does not cover Content-Transfer-Encoding:"
    assert prove(sign(raw, headers=[*SIGNED, "content-transfer-encoding"])).proven
    assert prove(sign(answer("a =3D b=\n\nreviewbot: stop\n", headers=headers))).proven


def test_a_blank_that_flowed_text_loses_makes_no_command(server: Dns) -> None:
    text = "Write\n    reviewbot: stop\nto stop it\n"
    raw = sign(answer(text))
    assert prove(raw).proven
    flowed = raw.replace(b"To: ", b"Content-Type: text/plain; format=flowed\nTo: ", 1)
    assert read_answers(parse_mail(flowed))
    assert passes_b4(flowed)
    assert prove(flowed).how == "signature does not cover Content-Type:"


def test_how_far_a_command_is_indented_must_be_signed(server: Dns) -> None:
    raw = sign(answer("Write\n    reviewbot: stop\nto stop it\n"))
    assert prove(raw).proven
    moved = raw.replace(b"    reviewbot", b" reviewbot")
    assert passes_b4(moved)
    assert prove(moved).how == "signature does not cover how far a command is indented"


def test_a_mail_in_a_mail_is_not_the_senders_word(server: Dns) -> None:
    inner = "From: Eve <eve@example.net>\nSubject: x\n\nreviewbot: stop\n"
    body = f"--x\nContent-Type: text/plain\n\nlook\n--x\nContent-Type: message/rfc822\n\n{inner}\n--x--\n"
    raw = sign(answer(body, headers=["MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="x"']))
    assert prove(raw) == Proof(False, "another mail is attached", False)


def test_an_old_kind_of_signature_is_refused(server: Dns) -> None:
    raw = sign(answer()).replace(b"a=ed25519-sha256", b"a=rsa-sha1")
    assert prove(raw).how == "signature is of a weak or unknown kind"


def test_only_a_dns_failure_is_tried_again(server: Dns, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "s1._domainkey.example.org"
    raw = sign(answer())
    server.records[name] = SERVFAIL
    assert prove(raw) == Proof(False, "DNS does not answer", True)
    server.records[name] = SILENCE
    monkeypatch.setattr(Quick, "patience", 0.2)
    assert prove(raw) == Proof(False, "DNS does not answer", True)
    server.records[name] = b"v=DKIM1; k=ed25519; p="
    assert prove(raw) == Proof(False, "bad signature", False)
    del server.records[name]
    assert prove(raw) == Proof(False, "no key", False)


def test_without_a_resolver_it_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*args: object, **named: object) -> None:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver, "default_resolver", None)
    monkeypatch.setattr(dns.resolver, "Resolver", none)
    assert prove(sign(answer())) == Proof(False, "DNS does not answer", True)


def test_dkim_can_be_off(server: Dns) -> None:
    assert prove(sign(answer()), AnswersConfig(dkim=False)).how == "no signature but DKIM's, which is off"
    assert not server.asked


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n\n",
        b"DKIM-Signature: x\n\n",
        b"DKIM-Signature: a=b; a=c\nFrom: a@example.org\nDate: Mon, 18 Nov 2024 10:00:00 +0000\n\n",
        b"From: a@example.org\nDKIM-Signature: d=example.org\n\n",
        b"X-Developer-Signature: v=1\nFrom: a@example.org\nDate: Mon, 18 Nov 2024 10:00:00 +0000\n\nx\n",
        b"From: a@example.org\nDKIM-Signature: b=" + b" " * 5000 + b"\nDate: Mon, 18 Nov 2024 10:00:00 +0000\n\nx\n",
        b"From: a@example.org\nDKIM-Signature: d=example.org\nSubject: =?utf-8?b?" + b"A" * 7001 + b"?=\n\nx\n",
        b"From: " + b"(" * 5000 + b"a@example.org\nDKIM-Signature: d=example.org\n\nx\n",
        b"Content-Type: multipart/mixed; boundary=x\nFrom: a@example.org\nDKIM-Signature: d=example.org\n\n"
        + b"--x\n" * 500,
        b"DKIM-Signature: d=example.org\nFrom: a@example.org\n\n" + b"\n" * 500_000,
        b"DKIM-Signature: d=example.org\nFrom: a@example.org\n\n" + b" " * 900_000,
        b"DKIM-Signature: d=example.org\nFrom: a@example.org\n\n" + b"x" * 5_000_000,
        bytes(range(256)) + b"\nDKIM-Signature: d=example.org\n\nx",
    ],
)
def test_no_mail_makes_it_raise(server: Dns, raw: bytes) -> None:
    proof = prove(raw)
    assert not proof.proven
    assert proof.how.isprintable()


def test_a_library_that_gives_up_proves_nothing(server: Dns, monkeypatch: pytest.MonkeyPatch) -> None:
    import b4

    def leave(*args: object) -> None:
        raise SystemExit(1)

    monkeypatch.setattr(b4, "LoreMessage", leave)
    assert not prove(sign(answer())).proven


def test_nothing_of_the_process_is_left_changed(server: Dns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap()
    import b4

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "0")
    before = (b4.MAIN_CONFIG, dict(b4.MAIN_CONFIG), b4.can_network, patatt.GPGBIN, patatt.SSHKBIN, patatt.logger)
    resolver, environment = dns.resolver.default_resolver, dict(os.environ)
    assert prove(sign(answer())).proven
    prove(developer_signed(answer(), SigningKey.generate()))
    assert before == (
        b4.MAIN_CONFIG,
        dict(b4.MAIN_CONFIG),
        b4.can_network,
        patatt.GPGBIN,
        patatt.SSHKBIN,
        patatt.logger,
    )
    assert b4.MAIN_CONFIG["attestation-policy"] == "off"
    assert not b4.can_network
    assert dns.resolver.default_resolver is resolver
    assert dict(os.environ) == environment
    assert not list(tmp_path.iterdir())


# patatt


def developer_signed(
    raw: bytes, key: SigningKey, identity: str = "ann@example.org", selector: str = "default"
) -> bytes:
    return bytes(patatt.sign_message(raw, "ed25519", base64.b64encode(key.encode()), identity, selector))


def keyring(directory: Path, key: SigningKey, identity: str = "ann@example.org") -> AnswersConfig:
    user, domain = identity.split("@")
    file = directory / "ed25519" / domain / user / "default"
    file.parent.mkdir(parents=True)
    file.write_bytes(base64.b64encode(key.verify_key.encode()))
    return AnswersConfig(dkim=False, keyring=str(directory))


def test_a_developers_signature_proves_her(tmp_path: Path) -> None:
    key = SigningKey.generate()
    proof = prove(developer_signed(answer(), key), keyring(tmp_path, key))
    assert proof == Proof(True, "ed25519/ann@example.org", False)


def test_a_developers_signature_of_a_patch_proves_her(tmp_path: Path) -> None:
    key = SigningKey.generate()
    body = patch_body("walk").replace("---\n", "---\nreviewbot: wontfix FL06 it is a debugger\n", 1)
    raw = developer_signed(answer(body).replace(b"Re: ", b""), key)
    assert prove(raw, keyring(tmp_path, key)).proven
    assert [type(found) for found in read_answers(parse_mail(raw))] == [Answer]


@pytest.mark.parametrize(
    ("change", "how"),
    [
        (lambda raw: raw.replace(b"debugger", b"debuggee"), "bad signature"),
        (lambda raw: raw + b"reviewbot: stop\n", "signature does not cover the whole body"),
        (lambda raw: raw.replace(b"mm: walk", b"mm: run", 1), "bad signature"),
        (lambda raw: raw.replace(b"ann@example.org>\n", b"eve@example.org>\n", 1),
         "signed by ann@example.org, not the sender"),
        (lambda raw: raw.replace(b"\n\n", b"\n\nDate: today\n reviewbot: stop\n\n", 1),
         "signature does not cover a command"),
        (lambda raw: raw.replace(b"answer@example.org", b"other@example.org"), "bad signature"),
    ],
)  # fmt: skip
def test_a_tampered_developers_mail_is_not_proven(tmp_path: Path, change: Callable[[bytes], bytes], how: str) -> None:
    key = SigningKey.generate()
    raw = developer_signed(answer(), key)
    config = keyring(tmp_path, key)
    assert prove(raw, config).proven
    assert prove(change(raw), config) == Proof(False, how, False)


def test_a_length_that_b4_cannot_cut_is_no_way_in(tmp_path: Path) -> None:
    key = SigningKey.generate()
    raw = developer_signed(answer(), key) + b"reviewbot: stop\n"
    raw = re.sub(rb"; l=", b";l=", raw)
    assert not prove(raw, keyring(tmp_path, key)).proven


def test_another_persons_key_proves_nothing(tmp_path: Path) -> None:
    ann, eve = SigningKey.generate(), SigningKey.generate()
    config = keyring(tmp_path, ann)
    keyring(tmp_path, eve, "eve@example.net")
    assert prove(developer_signed(answer(), eve), config) == Proof(False, "bad signature", False)
    forged = developer_signed(answer(), eve, "eve@example.net")
    assert prove(forged, config) == Proof(False, "signed by eve@example.net, not the sender", False)


@pytest.mark.parametrize("selector", ["default", "20241118", "../../example.net/eve/default"])
def test_an_unknown_key_proves_nothing(tmp_path: Path, selector: str) -> None:
    key = SigningKey.generate()
    config = keyring(tmp_path, key, "eve@example.net")
    assert prove(developer_signed(answer(), key, selector=selector), config) == Proof(False, "no key", False)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="not installed: ssh-keygen")
def test_an_ssh_key_is_a_developers_key(tmp_path: Path) -> None:
    for name in ("ann", "eve"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(tmp_path / name)]
        subprocess.run(command, check=True)
    place = tmp_path / "keys" / "openssh" / "example.org" / "ann" / "default"
    place.parent.mkdir(parents=True)
    place.write_bytes((tmp_path / "ann.pub").read_bytes())
    config = AnswersConfig(dkim=False, keyring=str(tmp_path / "keys"))
    ours, theirs = (
        patatt.sign_message(answer(), "openssh", str(tmp_path / name), "ann@example.org", None)
        for name in ("ann", "eve")
    )
    assert prove(ours, config) == Proof(True, "openssh/ann@example.org", False)
    assert prove(theirs, config) == Proof(False, "bad signature", False)


def test_gpgs_own_keyring_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def gpg(arguments: list[str], stdin: bytes | None = None) -> tuple[int, bytes, bytes]:
        started.append(arguments)
        return 2, b"", b""

    monkeypatch.setattr(patatt, "gpg_run_command", gpg)
    raw = developer_signed(answer(), SigningKey.generate()).replace(b"a=ed25519-sha256", b"a=openpgp-sha256")
    config = AnswersConfig(dkim=False, keyring=str(tmp_path))
    assert prove(raw, config) == Proof(False, "no key", False)
    (tmp_path / "openpgp" / "example.org" / "ann").mkdir(parents=True)
    (tmp_path / "openpgp" / "example.org" / "ann" / "default").touch()
    assert prove(raw, config) == Proof(False, "no key", False)
    assert not started


def test_the_place_we_stand_in_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository with a keyring of its own, a .b4-config, and a configuration that names programs."""
    repository = tmp_path / "repository"
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    eve = SigningKey.generate()
    keyring(repository / ".keys", eve)
    marker = tmp_path / "ran"
    evil = repository / "evil"
    evil.write_text(f"#!/bin/sh\ntouch {marker}\nexit 1\n")
    evil.chmod(0o755)
    (repository / ".b4-config").write_text(f"[b4]\n\tgpgbin = {evil}\n\tkeyringsrc = {repository}/.keys\n")
    for name in ("gpg.program", "gpg.ssh.program", "patatt.gpg-bin"):
        subprocess.run(["git", "-C", str(repository), "config", name, str(evil)], check=True)
    monkeypatch.chdir(repository)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for algorithm in (b"ed25519", b"openpgp", b"openssh"):
        raw = developer_signed(answer(), eve).replace(b"a=ed25519-sha256", b"a=" + algorithm + b"-sha256")
        assert prove(raw, AnswersConfig(dkim=False)) == Proof(False, "no key", False)
    ann = SigningKey.generate()
    assert prove(developer_signed(answer(), ann), keyring(tmp_path / "data" / "patatt" / "public", ann)).proven
    assert prove(developer_signed(answer(), ann), AnswersConfig(dkim=False)).proven
    assert not marker.exists()
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["patatt"]


def test_a_good_developers_signature_makes_up_for_a_bad_relay(server: Dns, tmp_path: Path) -> None:
    key = SigningKey.generate()
    raw = sign(developer_signed(answer(), key), key=KEYS["example.net"])
    config = keyring(tmp_path, key)._replace(dkim=True)
    assert prove(raw, config) == Proof(True, "ed25519/ann@example.org", False)
    tampered = sign(developer_signed(answer(), key).replace(b"debugger", b"debuggee"))
    assert prove(tampered, config) == Proof(True, "DKIM/example.org", False)
