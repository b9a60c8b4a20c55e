# SPDX-License-Identifier: GPL-2.0-or-later
"""reviewbot.mime and reviewbot.mail: bytes -> mails, subjects, patches, local series.

`git mailinfo` says what a body is where it can.
"""

from __future__ import annotations

import base64
import os
import quopri
import subprocess
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from growth import seconds
from hypothesis import given
from hypothesis import strategies as st
from mails import diff, mail, patch_body, posting, reply

from reviewbot import mime as module
from reviewbot.mail import (
    declared_base,
    declared_change_id,
    declared_prerequisites,
    has_diff,
    local_series,
    make_cover,
    make_patch,
    parse_subject,
)
from reviewbot.mime import addresses, decode, parse_mail, parse_patch, split_mbox
from reviewbot.model import Address, InputError, Patch, Series

HEAD = b"From: Ada <ada@example.org>\nSubject: [PATCH] mm: x\nDate: Wed, 20 Nov 2024 10:00:00 +0000\n"
BODY = patch_body("walk")


def raw(body: bytes, *headers: str) -> bytes:
    """A mail of HEAD, further headers and a body."""
    return HEAD + "".join(header + "\n" for header in headers).encode("latin-1") + b"\n" + body


def patch(data: bytes) -> Patch:
    return make_patch(parse_patch(data, "x.patch"), 1)


def added(data: bytes) -> list[str]:
    """The lines that a mail's readable hunks add."""
    return [line.text for file in patch(data).files for hunk in file.hunks for line in hunk.lines if line.kind == "+"]


def git_patch(tmp_path: Path, data: bytes) -> list[str]:
    """The patch part of a mail as git reads it (the commit message is in the other file)."""
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "mailinfo", str(tmp_path / "msg"), str(tmp_path / "patch")]
    subprocess.run(command, input=data, env=environment, cwd=tmp_path, check=True, capture_output=True)
    return (tmp_path / "patch").read_bytes().decode().split("\n")


# -- bodies ---------------------------------------------------------------------------------------

UMLAUT = BODY.replace("Teach", "Für Grüße").replace("+\tret", "+\t/* Größe = 1 */ ret")


@pytest.mark.parametrize(
    ("encoding", "encoded"),
    [
        ("8bit", UMLAUT.encode()),
        ("quoted-printable", quopri.encodestring(UMLAUT.encode())),
        ("base64", base64.encodebytes(UMLAUT.encode())),
        ("base64", base64.encodebytes(UMLAUT.encode().replace(b"\n", b"\r\n"))),
        ("BASE64", base64.encodebytes(UMLAUT.encode())),
    ],
)
def test_a_transfer_encoding_is_undone(tmp_path: Path, encoding: str, encoded: bytes) -> None:
    data = raw(encoded, "Content-Type: text/plain; charset=utf-8", f"Content-Transfer-Encoding: {encoding}")
    assert parse_mail(data).body == tuple(UMLAUT.removesuffix("\n").split("\n"))
    assert added(data) == ["\t/* Größe = 1 */ ret = range_walk(range);"]
    assert [line for line in git_patch(tmp_path, data) if "Größe" in line]


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_a_body_that_was_decoded_while_its_header_was_kept_is_taken_as_it_is(encoding: str) -> None:
    # b4 review pipes such mails to its checks
    body = UMLAUT.replace("range_walk(range)", "range == 3D")
    data = raw(body.encode(), "Content-Type: text/plain; charset=utf-8", f"Content-Transfer-Encoding: {encoding}")
    assert added(data) == ["\t/* Größe = 1 */ ret = range == 3D;"]


def test_equals_signs_in_real_quoted_printable_stay_decoded() -> None:
    body = quopri.encodestring(BODY.replace("ret =", "ret == 0x3D;").encode())
    assert added(raw(body, "Content-Transfer-Encoding: quoted-printable")) == ["\tret == 0x3D; range_walk(range);"]


@pytest.mark.parametrize(
    ("declared", "used"),
    [
        ("gb2312", "gb2312"),
        ("iso-8859-1", "iso-8859-1"),
        ("koi8-r", "koi8-r"),
        ('"UTF-8"', "utf-8"),
        ("Yes", "utf-8"),  # git send-email asked for a charset, and was answered
        ("Yes", "iso-8859-1"),
        ("utf-8", "iso-8859-1"),
        ("us-ascii", "utf-8"),
        ("no-such-charset", "utf-8"),
        ("punycode", "utf-8"),
        ("unicode_escape", "utf-8"),
        (None, "utf-8"),
        (None, "iso-8859-1"),
    ],
)
def test_a_charset_is_decoded_also_where_it_is_missing_or_wrong(declared: str | None, used: str) -> None:
    word = {"gb2312": "内存", "koi8-r": "память"}.get(used, "Größe")
    headers = [f"Content-Type: text/plain; charset={declared}"] if declared else []
    data = raw(BODY.replace("ret = ", f"/* {word} */ ret = ").encode(used), *headers)
    assert added(data) == [f"\t/* {word} */ ret = range_walk(range);"]
    # and the bytes that git would apply can be had again
    got = parse_mail(data)
    assert word.encode(used) in "\n".join(got.body).encode(got.charset)


def test_transport_line_ends_go_and_the_files_own_stay() -> None:
    plain = raw(BODY.encode())
    assert parse_mail(plain.replace(b"\n", b"\r\n")).body == parse_mail(plain).body
    dos = BODY.replace("(range);\n", "(range);\r\n").replace("ret;\n", "ret;\r\n")
    assert added(raw(dos.encode())) == ["\tret = range_walk(range);\r"]
    both = raw(dos.encode()).replace(b"\n", b"\r\n")
    assert added(both) == ["\tret = range_walk(range);\r"]


def test_a_long_file_with_crlf_keeps_its_line_ends_although_most_lines_of_the_mail_have_them() -> None:
    body = "Add it.\n---\n" + "diff --git a/x.bat b/x.bat\nnew file mode 100644\n--- /dev/null\n+++ b/x.bat\n"
    body += "@@ -0,0 +1,1000 @@\n" + "+rem\r\n" * 1000
    assert set(added(raw(body.encode()))) == {"rem\r"}
    assert set(added(body[body.index("diff") :].encode())) == {"rem\r"}


def flow(text: str, *, delsp: bool = False) -> str:
    """RFC 3676: no space at a line's end, lines that begin with one are stuffed, a long line is broken behind one."""
    lines = []
    for line in (line if line == "-- " else line.rstrip() for line in text.split("\n")):
        if line.startswith((" ", ">", "From ")):
            line = " " + line
        if line == "+/* a long comment of ours */":
            line = line.replace("long ", "long " + (" " if delsp else "") + "\n")
        lines.append(line)
    return "\n".join(lines)


@pytest.mark.parametrize("delsp", [False, True])
def test_format_flowed_is_undone(tmp_path: Path, delsp: bool) -> None:
    body = BODY.replace("+\tret", "+/* a long comment of ours */ ret").replace(" = range_walk(range);", "")
    body = body.replace(" */ ret", " */")
    header = "Content-Type: text/plain; charset=utf-8; format=flowed" + ("; delsp=yes" if delsp else "")
    data = raw(flow(body, delsp=delsp).encode(), header)
    assert b"long \n" in data or b"long  \n" in data
    assert added(data) == ["/* a long comment of ours */"]
    assert not patch(data).unreadable
    if not delsp:  # git 2.39 takes delsp's space for the text's
        assert "+/* a long comment of ours */" in git_patch(tmp_path, data)


def test_a_sender_that_says_flowed_and_does_not_stuff_keeps_its_context_marks() -> None:
    data = raw(BODY.encode(), "Content-Type: text/plain; charset=utf-8; format=flowed")
    assert parse_mail(data).body == parse_mail(raw(BODY.encode())).body
    assert not patch(data).unreadable


def test_a_flowed_signature_is_not_joined_to_anything() -> None:
    body = flow(BODY) + "a \nb \n"
    got = parse_mail(raw(body.encode(), "Content-Type: text/plain; format=flowed")).body
    assert got[-3:] == ("-- ", "2.39.5", "a b ")


# -- parts ----------------------------------------------------------------------------------------


def multipart(*parts: tuple[str, str], kind: str = "mixed") -> bytes:
    body = "".join(f"--bound\n{head}\n\n{text}\n" for head, text in parts) + "--bound--\n"
    return raw(body.encode(), "MIME-Version: 1.0", f'Content-Type: multipart/{kind}; boundary="bound"')


PLAIN = "Content-Type: text/plain; charset=utf-8"
ATTACHED = diff("a") + diff("b")


@pytest.mark.parametrize(
    "head",
    [
        "Content-Type: text/x-patch; charset=utf-8",
        "Content-Type: text/x-diff",
        'Content-Type: application/octet-stream; name="0001-mm.patch"',
        "Content-Type: application/x-patch\nContent-Disposition: attachment; filename=mm.DIFF",
        "Content-Type: application/octet-stream\nContent-Disposition: attachment; filename*=utf-8''mm%2Epatch",
    ],
)
def test_a_patch_that_is_attached_is_read(head: str) -> None:
    got = patch(multipart((PLAIN, "See the patch.\n"), (head, ATTACHED)))
    assert [file.path for file in got.files] == ["mm/a.c", "mm/b.c"]
    assert got.message.startswith("See the patch.")


def test_several_attached_patches_are_read_in_order() -> None:
    parts = [("Content-Type: text/x-patch", diff(name)) for name in ("b", "a", "c")]
    got = patch(multipart((PLAIN, "Three."), *parts))
    assert [file.path for file in got.files] == ["mm/b.c", "mm/a.c", "mm/c.c"]
    assert not got.unreadable


def test_an_encoded_attachment_is_decoded() -> None:
    text = base64.encodebytes(ATTACHED.encode()).decode()
    got = patch(multipart((PLAIN, "x"), ("Content-Type: text/x-patch\nContent-Transfer-Encoding: base64", text)))
    assert len(got.files) == 2


def test_a_signed_mail_is_read_without_its_signature() -> None:
    got = patch(multipart((PLAIN, BODY), ("Content-Type: application/pgp-signature", "-----BEGIN"), kind="signed"))
    assert got.mail.body[-2:] == ("-- ", "2.39.5")
    assert not got.unreadable


def test_a_lists_footer_is_no_part_of_the_patch() -> None:
    footer = "_______________________________________________\nlist mailing list\nlist@example.org\n"
    for data in (multipart((PLAIN, BODY), (PLAIN, footer)), raw((BODY + footer).encode())):
        got = patch(data)
        assert [(file.path, len(file.hunks[0].lines)) for file in got.files] == [("mm/walk.c", 4)]
        assert not got.unreadable


def test_html_is_not_read() -> None:
    both = multipart((PLAIN, BODY), ("Content-Type: text/html", f"<pre>{BODY}</pre>"), kind="alternative")
    assert len(patch(both).files) == 1
    alone = raw(f"<pre>{BODY}</pre>".encode(), "Content-Type: text/html; charset=utf-8")
    assert parse_mail(alone).body == ()
    assert not has_diff(parse_mail(alone))


@pytest.mark.parametrize("charset", ["idna", "utf-16", "rot13", "unicode_escape", "undefined", "\xff"])
@pytest.mark.parametrize("parameter", ["charset", "name", "format", "delsp", "boundary"])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-patch", "multipart/mixed"])
def test_a_hostile_parameter_costs_no_more_than_its_mail(charset: str, parameter: str, kind: str) -> None:
    head = f"Content-Type: {kind}; {parameter}*={charset}''%ff%5cu%5c"
    for data in (raw(BODY.encode(), head), multipart((head, BODY))):
        try:
            mail = parse_mail(data)
        except InputError:
            continue
        assert all(isinstance(line, str) for line in mail.body)


# -- a patch's parts ------------------------------------------------------------------------------


def test_a_diff_quoted_in_the_commit_message_is_not_the_patch() -> None:
    quoted = diff("quoted") + "\nis what we had.\n\n"
    assert [file.path for file in patch(raw((quoted + BODY).encode())).files] == ["mm/walk.c"]


def test_prose_with_plus_and_minus_signs_is_no_diff() -> None:
    text = "--- so far\n--- and further\n+++ more\n@@ what @@\ndiff --stat\n"
    assert not has_diff(parse_mail(raw(text.encode()))) or patch(raw(text.encode())).files == ()
    assert patch(raw((text + BODY).encode())).files[-1].path == "mm/walk.c"


def test_what_stands_between_the_dashes_and_the_diff_is_notes() -> None:
    body = BODY.replace("---\n", "---\nv2: mend it\nreviewbot: ignore a/b because\n", 1)
    got = patch(raw(body.encode()))
    assert got.notes.startswith("v2: mend it\nreviewbot: ignore a/b because\n mm/walk.c | 1 +")
    assert got.message == "Teach range_walk() about walk.\n\nSigned-off-by: Ada Ranger <ada@example.org>"


@pytest.mark.parametrize(
    "above",
    [
        "From: Bo Author <bo@example.org>\n\n",
        "\nFrom: Bo Author <bo@example.org>\nSubject: mm: other\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n\n",
        "From: =?utf-8?q?Bo?= Author <bo@example.org>\n",
    ],
)
def test_the_author_is_whom_the_body_names(above: str) -> None:
    got = patch(raw((above + BODY).encode()))
    assert got.author == Address("Bo Author", "bo@example.org")
    assert got.mail.sender == Address("Ada", "ada@example.org")
    assert got.message.startswith("Teach")


def test_a_from_that_names_nobody_leaves_the_sender_the_author() -> None:
    assert patch(raw(("From: here on\n\n" + BODY).encode())).author.email == "ada@example.org"


def test_trailers_are_read_in_order_with_the_mail_they_came_in() -> None:
    lines = ['Fixes: 123456789abc ("mm: x")', "Cc: <stable@vger.kernel.org> # 6.1", "Reviewed-by: Bo <bo@example.org>"]
    body = patch_body("x", trailers=lines).replace("Teach range_walk()", "Note: this is prose\nTeach it")
    got = patch(raw(body.encode(), "Message-ID: <a@b>"))
    assert [f"{trailer.name}: {trailer.value}" for trailer in got.trailers] == [
        *lines,
        "Signed-off-by: Ada Ranger <ada@example.org>",
    ]
    assert {trailer.source for trailer in got.trailers} == {"a@b"}


def test_base_commit_and_change_id_are_found_wherever_a_tool_puts_them() -> None:
    base, change = "1" * 40, "20241120-walk-0123456789ab"
    cover = parse_mail(mail("[PATCH 0/1] x", f"It.\n\n---\nbase-commit: {base}\nchange-id: {change}\n", "a@b"))
    below = parse_mail(raw(patch_body("x", below=f"\nbase-commit: {base}\nchange-id: {change}\n").encode()))
    quoted = parse_mail(raw(f"> base-commit: {base}\n> change-id: {change}\nbase-commit: none\n".encode()))
    for found in (cover, below):
        assert declared_base([quoted, found]) == base
        assert declared_change_id([quoted, found]) == change
    assert declared_base([quoted]) is declared_change_id([quoted]) is None


def test_prerequisites_are_those_that_git_format_patch_lists() -> None:
    first, second = "a" * 40, "b" * 40
    below = f"\nbase-commit: {'1' * 40}\nprerequisite-patch-id: {first}\nprerequisite-patch-id: {second}\n"
    got = parse_mail(raw(patch_body("x", below=below).encode()))
    quoted = parse_mail(raw(f"> prerequisite-patch-id: {first}\nprerequisite-patch-id: none\n".encode()))
    assert declared_prerequisites([quoted, got, got]) == (first, second)
    assert local_series([got])[0].prerequisites == (first, second)
    assert declared_prerequisites([quoted]) == ()


def test_a_cover_letter_ends_at_its_signature() -> None:
    assert make_cover(parse_mail(mail("[PATCH 0/2] x", "\nAbout.\n\n-- \n2.39.5\n", "a@b"))).text == "About."


def test_a_bare_diff_is_a_patch_without_headers() -> None:
    for data in (diff("a").encode(), diff("a").encode().replace(b"\n", b"\r\n")):
        got = parse_patch(data, "x.diff")
        assert (got.message_id, got.subject, got.sender, got.date) == ("", "x.diff", Address("", ""), None)
        assert added(data) == ["\tret = range_a(range);"]
    assert len(patch(b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n").files) == 1


def test_what_b4_prep_pipes_is_read() -> None:
    data = mail("[PATCH 1/2] mm: walk", BODY, "20241120-walk-v1-1-0123@example.org", headers=["X-Mailer: b4"])
    (series,) = local_series([parse_patch(data, "standard input")])
    assert (series.expected, series.missing, [p.index for p in series.patches]) == (2, (2,), [1])


# -- headers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "title", "prefixes", "revision", "place"),
    [
        ("[PATCH] mm: x", "mm: x", (), None, None),
        ("[PATCH v2] mm: x", "mm: x", (), 2, None),
        ("[PATCH V3 1/3] mm: x", "mm: x", (), 3, (1, 3)),
        ("[PATCHv2 1/3] mm: x", "mm: x", (), 2, (1, 3)),
        ("[PATCH-v2 1/3] mm: x", "mm: x", ("PATCH-",), 2, (1, 3)),
        ("[PATCH,v2,1/3] mm: x", "mm: x", (), 2, (1, 3)),
        ("[PATCH 1/3 v2] mm: x", "mm: x", (), 2, (1, 3)),
        ("[PATCH v2.1 1/3] mm: x", "mm: x", (), 2, (1, 3)),
        ("[PATCH][v2] mm: x", "mm: x", (), 2, None),
        ("[Nouveau] [PATCH v3 02/14] mm: x", "mm: x", ("Nouveau",), 3, (2, 14)),
        ("[PATCH net-next v4 00/11] mm: x", "mm: x", ("net-next",), 4, (0, 11)),
        ("[RFC v2 PATCH 3/4] mm: x", "mm: x", ("RFC",), 2, (3, 4)),
        ("[RFC] mm: x", "mm: x", ("RFC",), None, None),
        ("[RFCv2] mm: x", "mm: x", ("RFC",), 2, None),
        ("[ndctl PATCH 1/2] mm: x", "mm: x", ("ndctl",), None, (1, 2)),
        ("[v3 1/5] mm: x", "mm: x", (), 3, (1, 5)),
        ("[PATCH 1/2][next] mm: x", "mm: x", ("next",), None, (1, 2)),
        ("[PATCH RESEND v2 1/2] mm: x", "mm: x", ("RESEND",), 2, (1, 2)),
        ("[PATCH 5.4 1/7] mm: x", "mm: x", ("5.4",), None, (1, 7)),
        ("[PATCH v5.15 1/7] mm: x", "mm: x", ("v5.15",), None, (1, 7)),
        ("[PATCH ipv6] mm: x", "mm: x", ("ipv6",), None, None),
        ("[PATCH] ipv6: [RFC 1/2] is meant", "ipv6: [RFC 1/2] is meant", (), None, None),
    ],
)
def test_a_patchs_subject_is_taken_apart(
    subject: str, title: str, prefixes: tuple[str, ...], revision: int | None, place: tuple[int, int] | None
) -> None:
    got = parse_subject(subject)
    assert got.patch
    assert not got.reply
    assert (got.full, got.title, got.revision) == (subject, title, revision)
    assert tuple(p for p in got.prefixes if p) == tuple(p for p in prefixes if p != "PATCH-")
    assert (got.counter, got.expected) == (place or (None, None))
    answer = parse_subject("Re: " + subject)
    assert answer == got._replace(full="Re: " + subject, reply=True)


@pytest.mark.parametrize("subject", ["mm: x", "[GIT PULL] x", "[syzbot] [mm?] x", "x [PATCH] y", "", "[nfsv4] help"])
def test_what_is_no_patch_is_not_taken_for_one(subject: str) -> None:
    got = parse_subject(subject)
    assert not got.patch
    assert got.revision is got.counter is None


@pytest.mark.parametrize("answer", ["Re: ", "RE: Re: ", "Aw: ", "Fwd: ", "回复: ", "Re[2]: ", "[list] Re: "])
def test_an_answer_is_known_in_the_languages_of_mailers(answer: str) -> None:
    got = parse_subject(answer + "[PATCH v2 1/2] mm: x")
    assert (got.reply, got.title, got.revision, got.counter) == (True, "mm: x", 2, 1)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("[PATCH] =?utf-8?q?Gr=C3=B6=C3=9Fe?= x", "[PATCH] Größe x"),
        ("=?utf-8?q?Gr=C3?=\n =?utf-8?q?=B6=C3=9Fe?=", "Größe"),
        ("=?gb2312?B?xNq05g==?=", "内存"),
        ("=?Yes?q?=E4?=", "ä"),
        ("=?utf-8?b?a?=", "=?utf-8?b?a?="),
        ("a folded\n\tsubject", "a folded\tsubject"),
        ("内存 =?utf-8?q?=C3=A4?=", "内存 ä"),
    ],
)
def test_a_header_is_decoded_and_unfolded(value: str, text: str) -> None:
    assert decode(value) == text


@pytest.mark.parametrize("used", ["utf-8", "latin-1"])
def test_raw_eight_bit_headers_are_read(used: str) -> None:
    got = parse_mail("From: Jürgen <j@example.org>\nSubject: Größe\n\nx\n".encode(used))
    assert (got.sender, got.subject) == (Address("Jürgen", "j@example.org"), "Größe")


@pytest.mark.parametrize(
    ("value", "date"),
    [
        ("Wed, 20 Nov 2024 10:00:00 +0100", datetime(2024, 11, 20, 9, tzinfo=UTC)),
        ("Wed, 20 Nov 2024 10:00:00 -0000", datetime(2024, 11, 20, 10, tzinfo=UTC)),
        ("Wed, 20 Nov 2024 10:00:00 +1700", datetime(2024, 11, 19, 17, tzinfo=UTC)),
        ("20 Nov 24 10:00:00 GMT (comment)", datetime(2024, 11, 20, 10, tzinfo=UTC)),
        ("Wed, 20 Nov 2024 10:00:00 +9999", None),
        ("Wed, 20 Nov 2024 25:00:00 +0000", None),
        ("Fri, 31 Dec 9999 23:59:59 -1200", None),
        ("Wed, 20 Nov 99999999999999999999 10:00:00 +0000", None),
        ("now", None),
        ("", None),
    ],
)
def test_a_date_is_utc_or_none(value: str, date: datetime | None) -> None:
    assert parse_mail(f"From: a@b.c\nDate: {value}\n\nx\n".encode()).date == date


def test_year_zero_is_no_error() -> None:
    # email.utils takes it for 2000
    assert parse_mail(b"From: a@b.c\nDate: Sat, 01 Jan 0000 00:00:00 +0000\n\nx\n").date in (
        None,
        datetime(2000, 1, 1, tzinfo=UTC),
    )


def test_threading_headers_are_read_and_a_second_header_of_a_name_is_not() -> None:
    headers = [
        "Message-ID: <a@b>",
        "Message-ID: <c@d>",
        "In-Reply-To: A's mail <e@f>",
        "References: <g@h>\n <e@f>\n <g@h>",
    ]
    got = parse_mail(raw(b"x", *headers))
    assert (got.message_id, got.in_reply_to, got.references) == ("a@b", "e@f", ("g@h", "e@f"))


def test_recipients_of_all_headers_are_read() -> None:
    headers = ["To: A <a@b.c>, undisclosed-recipients:;", 'Cc: "B, C" <d@e.f>', "cc: g@h.i", "Reply-To: j@k.l"]
    got = parse_mail(raw(b"x", *headers))
    assert list(got.to) == [Address("A", "a@b.c")]
    assert list(got.cc) == [Address("B, C", "d@e.f"), Address("", "g@h.i")]
    assert list(got.reply_to) == [Address("", "j@k.l")]


def test_comments_within_comments_without_end_are_no_address() -> None:
    assert addresses("(" * 5000) == ()


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"\n", b"From \n", b"no header\n", b"X-A: b\n\nbody\n", b"\xff\x00"])
def test_what_has_no_header_of_a_mail_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(InputError, match="not a mail: 'some file'"):
        parse_mail(data, "some file")


def test_a_giant_mail_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MAIL", 1000)
    data = raw(b"x" * 2000)
    with pytest.raises(InputError, match=f"too large: 'big' has {len(data)} bytes, 1000 are read"):
        parse_mail(data, "big")
    assert parse_mail(raw(b"x")).body == ("x",)


def test_a_mail_of_too_many_lines_is_refused_whatever_its_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINES", 100)
    long, just = (b"--- a/x\n" + b"+\n" * n for n in (100, 99))
    coded = "Content-Transfer-Encoding: base64"
    for data in (raw(long), raw(base64.encodebytes(long), coded), long):
        with pytest.raises(InputError, match="too large: 'long' has more than 100 lines"):
            parse_patch(data, "long")
    for data in (raw(just), raw(base64.encodebytes(just), coded), just):
        assert len(parse_patch(data, "x").body) == 100


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"Content-Type: message/rfc822\n\n" * 5000 + b"x",
        HEAD + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(5000)),
    ],
)
def test_parts_nested_without_end_are_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="cannot read mail 'deep': RecursionError"):
        parse_mail(data, "deep")


@given(st.binary(max_size=2000))
def test_no_bytes_raise_anything_but_an_input_error(data: bytes) -> None:
    for one in split_mbox(data):
        with suppress(InputError):
            make_patch(parse_patch(one, ""), 1)


FRAGMENTS = st.sampled_from(
    [
        *"From: |Subject: |Date: |Content-Type: |Content-Transfer-Encoding: |text/plain|multipart/mixed".split("|"),
        *"; boundary=|; charset=|; charset*=|; name*0*=|; format=flowed|; delsp=yes|base64|quoted-printable".split("|"),
        *"=?utf-8?q?|?=|=?x?b?|=41|'|\"|(|<|>|@|,|\0|\x85|\u2028|\xff|utf-16|9999|1|[PATCH v2 1/2]|Re: ".split("|"),
        *"\n|\n\n|\r\n|--|-- \n|---\n|From x Mon Sep 17 00:00:00 2001\n|Index: x\n|diff --git a/x b/x\n".split("|"),
        *"--- a/x\n|+++ b/x\n|+++ /dev/null\n|--- /dev/null\n|new file mode 100644\n|deleted file mode 1\n".split("|"),
        *"@@ -1,2 +1,2 @@\n|@@ -0,0 +0,0 @@\n|@@ -1 +1 @@|@@ -99999999999 +1 @@\n|+a\n|-b\n| c\n".split("|"),
        *'\\ No newline at end of file\n|Binary files a and b differ\n|GIT binary patch\n|"a/\\377"'.split("|"),
        *"rename from x\n|rename to ../y\n|copy from x\n|old mode 100644\n|new mode 1\n|index 1..2 160000\n".split("|"),
        *"diff --cc x\n|@@@ -1 -1 +1 @@@\n".split("|"),
    ]
)


@given(st.lists(FRAGMENTS, max_size=60).map("".join), st.booleans())
def test_no_mail_of_broken_pieces_raises_anything_but_an_input_error(text: str, bare: bool) -> None:
    data = text.encode("utf-8", "surrogateescape")
    for one in split_mbox(data if bare else HEAD + data):
        try:
            read = parse_patch(one, "")
        except InputError:
            continue
        list(read.to)
        local_series([read])
        make_patch(read, 1)
        make_cover(read)


# -- mboxes ---------------------------------------------------------------------------------------

FROM = b"From mboxrd@z Thu Jan  1 00:00:00 1970\n"
MAGIC = b"From 0123456789abcdef0123456789abcdef01234567 Mon Sep 17 00:00:00 2001\n"


def subjects(data: bytes) -> list[str]:
    return [parse_mail(one).subject for one in split_mbox(data)]


def test_an_mbox_is_split_at_its_from_lines() -> None:
    one, two = mail("one", "a\n", "1@x"), mail("two", "b\n", "2@x")
    assert list(split_mbox(FROM + one + b"\n" + FROM + two)) == [one + b"\n", two]
    assert list(split_mbox(one)) == [one]


def test_what_format_patch_writes_to_stdout_is_split() -> None:
    data = b"".join(MAGIC + mail(f"[PATCH {n}/3] mm: x", patch_body(f"x{n}"), f"{n}@x") + b"\n" for n in (1, 2, 3))
    assert subjects(data) == [f"[PATCH {n}/3] mm: x" for n in (1, 2, 3)]
    (series,) = local_series([parse_patch(one, "x") for one in split_mbox(data)])
    assert [[file.path for file in p.files] for p in series.patches] == [["mm/x1.c"], ["mm/x2.c"], ["mm/x3.c"]]


def test_from_in_a_commit_message_does_not_split_it() -> None:
    body = "From the beginning this was wrong.\n\nFrom x to y, in 2024\nFrom 10:00 on all was well\n" + BODY
    assert len(list(split_mbox(FROM + mail("one", body, "1@x")))) == 1


def test_an_mbox_with_crlf_or_without_a_last_line_end_is_split() -> None:
    data = FROM + mail("one", BODY, "1@x") + b"\n" + FROM + mail("two", BODY, "2@x")
    for form in (data.replace(b"\n", b"\r\n"), data.rstrip(b"\n"), data.replace(b"\n", b"\r\n").rstrip()):
        assert subjects(form) == ["one", "two"]
        assert all(len(patch(one).files) == 1 for one in split_mbox(form))


def test_empty_mails_of_an_mbox_are_left_out() -> None:
    assert subjects(FROM + b"\n" + FROM + mail("one", "x", "1@x") + b"\n" + FROM) == ["one"]
    assert list(split_mbox(FROM)) == []
    assert list(split_mbox(FROM.rstrip())) == []


def test_quoted_from_lines_lose_one_mark() -> None:
    (one,) = split_mbox(FROM + mail("one", ">From a\n>>From b\n> From c\n>Fromage\n", "1@x"))
    assert parse_mail(one).body == ("From a", ">From b", "> From c", ">Fromage")


@given(st.binary(max_size=200))
def test_splitting_loses_no_byte_of_what_is_no_mbox(data: bytes) -> None:
    if not data.startswith(b"From "):
        assert list(split_mbox(data)) == [data]


# -- series ---------------------------------------------------------------------------------------


def grouped(mails: list[bytes]) -> list[Series]:
    return local_series([parse_patch(data, f"{n}.patch") for n, data in enumerate(mails)])


def shape(mails: list[bytes]) -> list[tuple[bool, list[int], tuple[int, ...]]]:
    return [(s.cover is not None, [p.index for p in s.patches], s.missing) for s in grouped(mails)]


def test_a_posting_is_one_series_with_its_cover_letter() -> None:
    (series,) = grouped(posting(3, revision=2))
    assert (series.revision, series.expected, series.complete) == (2, 3, True)
    assert series.cover is not None
    assert series.subject == series.cover.subject.full == "[PATCH v2 0/3] mm: teach walk more"
    assert series.message_id == "walk-v2-0@example.org"


def test_patches_are_put_in_their_order() -> None:
    cover, one, two, three = posting(3)
    assert shape([three, cover, one, two]) == [(True, [1, 2, 3], ())]


def test_a_missing_patch_is_known_by_its_number() -> None:
    assert shape(posting(4, only=(1, 4))) == [(True, [1, 4], (2, 3))]


@pytest.mark.parametrize("cover", [False, True])
def test_two_postings_in_one_mbox_are_two_series(cover: bool) -> None:
    whole = (cover, [1, 2], ())
    assert shape([*posting(2, cover=cover), *posting(2, key="other", cover=cover)]) == [whole, whole]
    assert shape([*posting(2, cover=cover), *posting(2, revision=2, cover=cover)]) == [whole, whole]
    assert shape([*posting(2, cover=cover), *posting(3, cover=cover)]) == [whole, (cover, [1, 2, 3], ())]


def test_a_cover_letter_behind_a_whole_series_begins_the_next() -> None:
    assert shape([*posting(2, cover=False), *posting(2, key="other")]) == [(False, [1, 2], ()), (True, [1, 2], ())]


def test_patches_without_numbers_are_one_series_in_their_order() -> None:
    mails = [mail(f"[PATCH] mm: {name}", patch_body(name), f"{name}@x") for name in ("b", "a")]
    (series,) = grouped(mails)
    assert [(p.index, p.files[0].path) for p in series.patches] == [(1, "mm/b.c"), (2, "mm/a.c")]
    assert series.complete


def test_answers_without_a_diff_are_left_out_and_one_with_a_diff_is_its_own_series() -> None:
    mails = posting(2)
    answer = reply(mails[1], "r@x", "Fine.")
    draft = mail("Re: [PATCH 1/2] mm: walk step 1", "Like this?\n\n" + diff("draft"), "d@x")
    assert shape([mails[0], mails[1], answer, mails[2]]) == [(True, [1, 2], ())]
    assert grouped([answer]) == []
    first, second = grouped([*mails, draft])
    assert [p.reply for p in first.patches] == [False, False]
    assert [p.reply for p in second.patches] == [True]


def test_a_cover_letter_with_a_quoted_subject_is_no_cover_letter() -> None:
    assert grouped([mail("Re: [PATCH 0/2] x", "Thanks.\n", "a@x")]) == []


# -- growth ---------------------------------------------------------------------------------------


# each of these once took time that grows with the square of the size
HOSTILE: dict[str, Callable[[int], bytes]] = {
    "parameters": lambda n: HEAD + b'Content-Type: text/plain; a="' + b'\\";' * n + b"\n\nx",
    "continuations": lambda n: HEAD + b"Content-Type: text/plain" + b"; charset*1=b" * n + b"\n\nx",
    "encoded words": lambda n: HEAD.replace(b"mm: x", b"=?utf-8?q?a?= " * n) + b"\nx",
    "punycode": lambda n: HEAD + b"Content-Type: text/plain; charset=punycode\n\n" + b"a" * n + b"-" + b"ab" * n,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_time_grows_no_faster_than_a_mail_that_means_harm(name: str) -> None:
    small, large = (HOSTILE[name](n) for n in (20_000, 160_000))
    # eight times the size: sixty-four times the time if it were quadratic; the 10 ms are for the clock
    assert seconds(lambda: parse_mail(large)) < 24 * (seconds(lambda: parse_mail(small)) + 0.01)
