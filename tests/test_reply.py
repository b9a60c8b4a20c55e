# SPDX-License-Identifier: GPL-2.0-or-later
"""reply: what the mails say, to whom they go, and that no stranger's text can change that."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import getaddresses
from pathlib import Path
from typing import Any

import pytest
import reviewbot.templates
from golden_cases import BOT, CASES, COVER, MAILS, PUBLIC, compare, references
from hypothesis import given, settings
from hypothesis import strategies as st
from reviews import DIFF, at, finding, patch_of, raw_mail, replace, review
from test_output import hostile_review, hostile_text

import reviewbot.reply
from reviewbot.config import Config, ReplyConfig
from reviewbot.finding import Fault, Finding, Fold, Review
from reviewbot.mime import parse_mail, split_mbox
from reviewbot.model import Address, Confidence, ConfigError, Severity, SpanKind
from reviewbot.recipients import MAX_RECIPIENTS, ROBOTS, UNCONFIGURED, Per, ReplySettings, reply_settings, series_target
from reviewbot.reply import (
    MAX_BODY,
    MAX_FINGERPRINTS,
    MAX_REFERENCES,
    Earlier,
    History,
    fingerprints_of,
    header_text,
    make_replies,
    message_id,
    rules_of,
    serialise,
    target_of,
    wrap,
    write_mbox,
)
from reviewbot.selection import FOLDED, Selection, select

NOW = datetime(2024, 5, 7, 12, 0, tzinfo=UTC)
HEADERS = [
    "From", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted",
    "X-Reviewbot-Version", "X-Reviewbot-Revision", "X-Reviewbot-Rules", "X-Reviewbot-Fingerprints",
    "Content-Type", "Content-Transfer-Encoding", "MIME-Version",
]  # fmt: skip


def reply_to(raw: bytes, how: ReplySettings = BOT, message: str = "put_user() may fault") -> EmailMessage:
    """The one reply to a patch mail with one finding."""
    patch = patch_of(raw)
    (mail,) = make_replies(review(finding(patch, at(patch, "put_user"), message)), how, now=NOW)
    return mail


def no_reply(raw: bytes, how: ReplySettings = BOT) -> bool:
    """Nobody is written to, neither for the patch nor for the series."""
    patch = patch_of(raw)
    found = review(finding(patch, at(patch, "put_user")))
    return all(make_replies(found, replace(how, per=per), now=NOW) == () for per in Per)


def text_of(mail: EmailMessage) -> str:
    return str(read(serialise(mail)).get_content())


def read(data: bytes) -> EmailMessage:
    message = BytesParser(policy=policy.default).parsebytes(data)
    assert isinstance(message, EmailMessage)
    return message


def own_lines(text: str) -> list[str]:
    """What we say ourselves, above the signature."""
    return [line for line in text.split("\n-- \n", maxsplit=1)[0].split("\n") if not line.startswith(("> ", "| "))]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("per", Per)
def test_replies_are_byte_for_byte_what_the_golden_files_hold(case: str, per: Per) -> None:
    mails = make_replies(CASES[case](), replace(BOT, per=per), now=NOW)
    stream = io.BytesIO()
    write_mbox(mails, stream)
    compare(case, f"replies-per-{per}.mbox", stream.getvalue())


def mails_of(name: str) -> tuple[EmailMessage, ...]:
    case = MAILS[name]
    return make_replies(case.review(), case.settings, now=NOW, history=case.history)


@pytest.mark.parametrize("name", MAILS)
def test_replies_to_odd_mails_are_byte_for_byte_what_the_golden_files_hold(name: str) -> None:
    stream = io.BytesIO()
    write_mbox(mails_of(name), stream)
    compare(name, "replies.mbox", stream.getvalue())


def every_golden_mail() -> list[tuple[str, EmailMessage]]:
    mails = [
        (case, mail)
        for case, found in CASES.items()
        for per in Per
        for mail in make_replies(found(), replace(BOT, per=per), now=NOW)
    ]
    return mails + [(name, mail) for name in MAILS for mail in mails_of(name)]


def meant(mail: EmailMessage) -> tuple[str, list[tuple[str, str]]]:
    """Subject and recipients as the mail was made with them."""
    who = [(a.display_name, a.addr_spec) for name in ("To", "Cc") if mail[name] for a in mail[name].addresses]
    return str(mail["Subject"]), who


def test_python_b4_and_git_read_the_same_subject_and_recipients_out_of_every_golden_mail(tmp_path: Path) -> None:
    import b4

    mails = every_golden_mail()
    assert len(mails) > 25
    for case, mail in mails:
        data = serialise(mail)
        subject, who = meant(mail)
        assert {email for _, email in who}.isdisjoint({"eve@example.org", "e@x.org"}), case
        again = read(data)
        assert not again.defects, case
        assert not any(again[name].defects for name in ("From", "To", "Subject", "Message-ID")), case
        assert again.keys() == mail.keys(), case
        assert str(again["Subject"]) == subject, case
        assert [email for _, email in meant(again)[1]] == [email for _, email in who], case
        mine = parse_mail(data)
        assert (mine.subject, [(a.name, a.email) for a in (*mine.to, *mine.cc)]) == (subject, who), case
        theirs = BytesParser(policy=b4.emlpolicy).parsebytes(data)
        lore = b4.LoreMessage(theirs)
        assert lore.full_subject == subject, case
        assert lore.reply, case
        values = [str(v) for name in ("To", "Cc") for v in theirs.get_all(name, [])]
        assert getaddresses([b4.LoreMessage.clean_header(value) for value in values]) == who, case
        assert f"<{lore.in_reply_to}>" == mail["In-Reply-To"], case
        assert [f"<{name}>" for name in lore.references] == mail["References"].split(), case
        if shutil.which("git"):
            command = ["git", "mailinfo", "-k", "--encoding=UTF-8", f"{tmp_path}/message", f"{tmp_path}/patch"]
            done = subprocess.run(command, input=data, capture_output=True, check=True)
            info = dict(line.split(": ", 1) for line in done.stdout.decode().split("\n") if ": " in line)
            assert (info["Email"], info.get("Subject", "")) == ("bot@reviews.example", subject), case


def test_a_reply_has_these_headers_and_no_others() -> None:
    mail = reply_to(raw_mail())
    assert mail.keys() == HEADERS
    assert mail["Auto-Submitted"] == "auto-generated"


def test_the_date_is_the_systems_unless_it_is_given() -> None:
    patch = patch_of(raw_mail())
    (mail,) = make_replies(review(finding(patch, at(patch, "put_user"))), BOT)
    assert abs((mail["Date"].datetime - datetime.now(UTC)).total_seconds()) < 60
    assert reply_to(raw_mail())["Date"].datetime == NOW


@pytest.mark.parametrize(
    ("subject", "answer"),
    [
        ("[PATCH v2 3/7] mm: x", "Re: [PATCH v2 3/7] mm: x"),
        ("Re: [PATCH] mm: x", "Re: [PATCH] mm: x"),
        ("RE: mm: x", "RE: mm: x"),
        ("", "Re:"),
    ],
)
def test_the_subject_is_the_originals_behind_one_re(subject: str, answer: str) -> None:
    assert str(read(serialise(reply_to(raw_mail(subject))))["Subject"]) == answer


@pytest.mark.parametrize(
    ("headers", "references"),
    [
        (["References: <a@x>\n <b@x>", "In-Reply-To: <b@x>"], "<a@x> <b@x> <20240506.3-ann@example.org>"),
        (["In-Reply-To: <b@x>"], "<b@x> <20240506.3-ann@example.org>"),
        (["In-Reply-To: <b@x>", "References: <a@x>"], "<a@x> <20240506.3-ann@example.org>"),
        (["References: <20240506.3-ann@example.org> <a@x> <a@x>"], "<a@x> <20240506.3-ann@example.org>"),
        ([], "<20240506.3-ann@example.org>"),
    ],
)
def test_references_are_whole(headers: list[str], references: str) -> None:
    mail = reply_to(raw_mail(headers=headers))
    assert mail["In-Reply-To"] == "<20240506.3-ann@example.org>"
    assert mail["References"] == references


def test_of_a_chain_of_references_that_is_too_long_the_middle_goes() -> None:
    whole = references().series.patches[0].mail.references
    (mail,) = make_replies(references(), BOT, now=NOW)
    names = mail["References"].replace("<", "").replace(">", "").split()
    assert len(mail["References"]) <= MAX_REFERENCES < len(" ".join(whole))
    assert names[0] == whole[0]
    assert names[-1] == "20240506.3-ann@example.org"
    assert names[1:-1] == list(whole[-len(names) + 2 :])
    assert len(names) > 300


def test_of_a_chain_of_two_giant_references_both_stay() -> None:
    first = "a" * 840 + "@x"
    mail = reply_to(raw_mail(headers=[f"References: <{first}>"], message_id="b" * 840 + "@x"))
    assert read(serialise(mail))["References"].split() == [f"<{first}>", mail["In-Reply-To"]]
    assert read(serialise(mail))["In-Reply-To"] == f"<{'b' * 840}@x>"
    assert max(map(len, serialise(mail).split(b"\n"))) <= 998


def test_a_reply_to_the_same_mail_has_the_same_message_id_whatever_was_found() -> None:
    assert reply_to(raw_mail())["Message-ID"] == reply_to(raw_mail(), message="else")["Message-ID"]
    assert re.fullmatch(r"<reviewbot\.patch\.[0-9a-f]{24}@reviews\.example>", reply_to(raw_mail())["Message-ID"])


@pytest.mark.parametrize(
    ("target", "revision", "how"),
    [("b@x", 1, BOT), ("a@x", 2, BOT), ("a@x", 1, replace(BOT, per=Per.SERIES)), ("a@x", 1, replace(BOT, salt="s"))],
)
def test_another_target_revision_kind_or_salt_gives_another_message_id(
    target: str, revision: int, how: ReplySettings
) -> None:
    digest = [message_id(*args).split(".")[2] for args in (("a@x", 1, BOT), (target, revision, how))]
    assert digest[0] != digest[1]


def test_both_kinds_of_message_id_are_known_before_a_mail_is_made() -> None:
    found = CASES["whole-series"]()
    for per in Per:
        for mail in make_replies(found, replace(BOT, per=per), now=NOW):
            target = target_of(mail)
            assert target
            assert mail["Message-ID"] == message_id(target, 2, BOT, per)
    letter = series_target(found.series, BOT)
    assert letter
    assert letter.mail.message_id == "20240506.0-ann@example.org"


def test_the_default_sender_can_never_get_mail() -> None:
    assert not ReplySettings().configured
    assert UNCONFIGURED.email.endswith(".invalid")
    assert BOT.configured


# --- recipients -----------------------------------------------------------------------------------


def recipients(mail: EmailMessage) -> tuple[list[str], list[str]]:
    again = read(serialise(mail))
    to, cc = ([a.addr_spec for a in again[name].addresses] if again[name] else [] for name in ("To", "Cc"))
    return to, cc


@pytest.mark.parametrize(
    ("sender", "message", "headers", "to", "cc"),
    [
        ("Ann <ann@x.org>", "", ["To: l@x.org", "Cc: m@x.org"], ["ann@x.org"], ["l@x.org", "m@x.org"]),
        ("Max <max@x.org>", "From: Ann <ann@x.org>\n\n", ["To: l@x.org"], ["ann@x.org"], ["max@x.org", "l@x.org"]),
        ("Ann <ann@x.org>", "", ["Reply-To: l@x.org", "To: l@x.org"], ["ann@x.org"], ["l@x.org"]),
        ("Ann <ann@x.org>", "", ["Reply-To: ann@home.org", "To: l@x.org"], ["ann@home.org"], ["ann@x.org", "l@x.org"]),
        ("Ann <ann@x.org>", "", ["Reply-To: Max <m@x.org>, ANN@x.org"], ["ann@x.org"], ["m@x.org"]),
        ("Ann <ann@x.org>", "", ["X-Original-From: eve@x.org"], ["ann@x.org"], []),
        ("via <devnull+a.x@kernel.org>", "From: Ann <ann@x.org>\n\n", [], ["ann@x.org"], []),
        ("via <devnull+a.x@kernel.org>", "", ["Reply-To: ann@x.org", "To: l@x.org"], ["ann@x.org"], ["l@x.org"]),
        ('"Doe, Ann (TI)" <ann@x.org>', "", ['Cc: "b, c" <b@x.org>, d@x.org'], ["ann@x.org"], ["b@x.org", "d@x.org"]),
    ],
)
def test_the_author_gets_the_mail_and_who_else_had_the_original(
    sender: str, message: str, headers: list[str], to: list[str], cc: list[str]
) -> None:
    assert recipients(reply_to(raw_mail(message=message + "x\n---\n", sender=sender, headers=headers))) == (to, cc)


@pytest.mark.parametrize(
    ("sender", "headers", "to", "cc"),
    [
        # Mailman and Google's groups
        ("Ann via foo <foo@lists.example>", ["X-Original-From: Ann <ann@x.org>"], ["ann@x.org"], []),
        ("Ann via foo <linux-foo@lists.example>", ["Reply-To: ann@x.org"], ["ann@x.org"], ["linux-foo@lists.example"]),
        ("foo@lists.example", ["Reply-To: foo@lists.example, ann@x.org"], ["ann@x.org"], []),
        # what List-Id names is a list, whoever knows of it
        ("Ann via foo <foo@y.org>", ["Reply-To: a@x.org, foo@y.org", "List-Id: f <foo.y.org>"], ["a@x.org"], []),
        ("Ann <ann@x.org>", ["Reply-To: foo@y.org", "List-Id: <foo.y.org>"], ["ann@x.org"], []),
        ("Ann <ann@x.org>", ["Reply-To: foo@lists.example"], ["ann@x.org"], []),
        ("Ann <ann@x.org>", ["To: LINUX-MM@kvack.example, x@kvack.example"], ["ann@x.org"], ["LINUX-MM@kvack.example"]),
    ],
)
def test_a_list_is_no_author_and_gets_a_copy_only_where_it_may(
    sender: str, headers: list[str], to: list[str], cc: list[str]
) -> None:
    assert recipients(reply_to(raw_mail(sender=sender, headers=headers), PUBLIC)) == (to, cc)


def test_a_draft_keeps_every_list_of_the_original() -> None:
    how = replace(PUBLIC, lists=None)
    assert recipients(reply_to(raw_mail(headers=["Cc: x@lists.example, m@x.org"]), how)) == (
        ["ann@example.org"],
        ["x@lists.example", "m@x.org"],
    )


@pytest.mark.parametrize(
    ("sender", "headers"),
    [
        (None, ["To: l@x.org"]),
        ("not an address", ["To: l@x.org"]),
        ("undisclosed:;", ["To: l@x.org"]),
        ("x" * 250 + "@x.org", ["To: l@x.org"]),
        ("via <devnull+a.x@kernel.org>", ["To: l@x.org"]),
        ("foo@lists.example", ["Reply-To: x@lists.example", "To: l@x.org"]),
        ("Ann via foo <foo@nobody.told.us>", ["To: l@x.org"]),
        ("reviewbot <BOT@reviews.example>", ["To: l@x.org"]),
        ("kernel test robot <lkp@intel.com>", ["To: l@x.org"]),
        ("A machine <machine@x.org>", ["To: l@x.org"]),
        ("Ann <gone@x.org>", ["Reply-To: ann@home.org, gone@x.org", "To: l@x.org"]),
    ],
)
def test_a_mail_without_an_author_to_write_to_gets_no_reply(sender: str | None, headers: list[str]) -> None:
    how = replace(PUBLIC, robots=("Machine@*",), opted_out=("Gone@*",))
    assert no_reply(raw_mail(sender=sender, headers=headers), how)
    assert not no_reply(raw_mail(sender="Ann <ann@x.org>", headers=headers), how)


def test_whoever_opted_out_as_the_author_in_the_body_gets_nothing_through_another() -> None:
    raw = raw_mail(message="From: Ann <ann@x.org>\n\nx\n---\n", sender="Max <max@x.org>")
    assert no_reply(raw, replace(BOT, opted_out=("ann@x.org",)))


@pytest.mark.parametrize(
    "robot",
    [
        "lkp@intel.com", "oe-kbuild-all@lists.linux.dev", "syzbot@syzkaller.appspotmail.com",
        "syzbot+0123456789abcdef@syzkaller.appspotmail.com", "patchwork-bot+netdevbpf@kernel.org",
        "patchwork-bot@kernel.org", "sashiko-bot@kernel.org", "sashiko@sashiko.dev", "tip-bot2@linutronix.de",
        "bot+bpf-ci@kernel.org", "no-reply@patchew.org", "noreply@github.com", "NoReply@X.org", "mailer-daemon@x.org",
        "bot@x.org", "netdev-ci@x.org", "notifications@github.com",
        "1+ann@users.noreply.github.com", "kernelci-results@groups.io", "bugzilla-daemon@kernel.org",
    ],
)  # fmt: skip
def test_robots_get_no_mail(robot: str) -> None:
    assert no_reply(raw_mail(sender=f"Robot <{robot}>"))
    assert recipients(reply_to(raw_mail(headers=[f"Cc: {robot}, max@example.org"])))[1] == ["max@example.org"]


@pytest.mark.parametrize(
    "person", ["abbott@x.org", "robot.smith@x.org", "bot.t@x.org", "talbot@x.org", "l.kp@intel.com", "c.i@x.org"]
)
def test_people_are_no_robots(person: str) -> None:
    assert recipients(reply_to(raw_mail(sender=person, headers=[])))[0] == [person]


def test_we_never_write_to_ourselves() -> None:
    how = replace(BOT, sender=Address("Reviews", "Reviews@example.org"))
    assert no_reply(raw_mail(sender="reviews@EXAMPLE.org"), how)
    assert recipients(reply_to(raw_mail(headers=["Cc: reviews@example.org"]), how)) == (["ann@example.org"], [])


def test_patterns_of_robots_are_in_lower_case() -> None:
    assert all(pattern == pattern.lower() for pattern in ROBOTS)


def test_nobody_gets_a_reply_whom_the_original_does_not_name() -> None:
    for case, mail in every_golden_mail():
        found = MAILS[case].review() if case in MAILS else CASES[case]()
        letters = [*(p.mail for p in found.series.patches), *([found.series.cover.mail] if found.series.cover else [])]
        answered = next(m for m in letters if m.message_id == target_of(mail))
        authors = [p.author for p in found.series.patches if p.mail is answered]
        known = [answered.sender, *answered.reply_to, *answered.to, *answered.cc, *authors, answered.original_from]
        to, cc = recipients(mail)
        assert {*to, *cc} <= {address.email for address in known if address}, case


def test_a_mail_to_ten_thousand_is_not_answered_to_all_of_them() -> None:
    mail = reply_to(raw_mail(headers=["Cc: " + ",\n ".join(f"p{n}@example.org" for n in range(10_000))]))
    assert sum(map(len, recipients(mail))) == MAX_RECIPIENTS


def test_robots_logs_ourselves_and_who_opted_out_get_no_mail() -> None:
    headers = [
        "To: stable@vger.kernel.org, Stable <STABLE@VGER.KERNEL.ORG>, bot@reviews.example, ann@example.org",
        "Cc: mm-commits@vger.kernel.org, linux-tip-commits@x.org, no@more.org, ok@x.org, OK@x.org",
    ]
    how = replace(BOT, opted_out=("*@more.org",))
    assert recipients(reply_to(raw_mail(headers=headers), how)) == (["ann@example.org"], ["ok@x.org"])


def test_with_author_only_nobody_else_gets_it() -> None:
    assert recipients(reply_to(raw_mail(), replace(BOT, author_only=True))) == (["ann@example.org"], [])


def test_three_hundred_recipients_are_all_kept_on_short_lines() -> None:
    many = [f"p{n}@example.org" for n in range(300)]
    mail = reply_to(raw_mail(headers=["Cc: " + ",\n ".join(f'"P, {n}" <{a}>' for n, a in enumerate(many))]))
    assert recipients(mail)[1] == many
    assert max(map(len, serialise(mail).split(b"\n"))) <= 78


# --- hostile originals ----------------------------------------------------------------------------


@given(hostile_text(), st.text(), hostile_text())
@settings(deadline=None)
def test_no_text_of_a_stranger_can_add_a_header_or_change_another(subject: str, name: str, words: str) -> None:
    patch = patch_of(raw_mail(headers=["To: l@x.org"]))
    author = Address(name + words, "ann@example.org")
    patch = replace(patch, author=author, mail=replace(patch.mail, subject=subject, sender=author))
    (mail,) = make_replies(review(finding(patch, at(patch, "put_user"), words)), BOT, now=NOW)
    data = serialise(mail, newline="\r\n")
    again = read(data)
    assert again.keys() == HEADERS
    assert not again.defects
    assert re.search(rb"[^\r]\n|\r[^\n]", data) is None
    wanted = header_text(subject)
    assert str(again["Subject"]).removeprefix("Re:").strip() == wanted.removeprefix("Re:").strip()
    assert [a.addr_spec for a in again["To"].addresses] == ["ann@example.org"]
    # policy.default puts a space between the encoded words of a name (RFC 2047, 6.2, says none)
    assert parse_mail(data).to[0].name == header_text(author.name)[:128].strip()
    assert parse_mail(data).subject == str(again["Subject"])
    assert max(len(line) for line in data.split(b"\r\n")) <= 998


@given(hostile_text())
@settings(deadline=None)
def test_every_body_survives_its_encoding_and_holds_nothing_that_acts_on_a_terminal(text: str) -> None:
    found = hostile_review(text)
    patch = found.series.patches[0]
    patch = replace(patch, mail=replace(patch.mail, message_id="a@x"))
    found = replace(found, findings=tuple(replace(f, patch=patch) for f in found.findings))
    (mail,) = make_replies(found, BOT, now=NOW)
    body = read(serialise(mail)).get_content()
    assert body == mail.get_content()
    assert all(char.isprintable() or char in "\n\t" or char.isspace() for char in body)


@given(st.text(st.sampled_from("abc é中,\"\\()[]<>@;:.=?_\u200b\n'"), max_size=300))
@settings(deadline=None)
def test_every_subject_and_name_survives_the_round_trip(text: str) -> None:
    patch = patch_of(raw_mail())
    patch = replace(patch, author=Address(text, "ann@example.org"), mail=replace(patch.mail, subject="[PATCH] " + text))
    (mail,) = make_replies(review(finding(patch, at(patch, "put_user"))), BOT, now=NOW)
    mine = parse_mail(serialise(mail))
    assert mine.subject == "Re: " + header_text("[PATCH] " + text)
    assert mine.to[0].name == header_text(text)[:128].strip()


def test_a_line_too_long_for_mail_is_encoded_and_not_wrapped() -> None:
    long = "+\tx = " + "a + " * 600 + "put_user(v, p);"
    mail = reply_to(raw_mail(diff=f"--- a/x.c\n+++ b/x.c\n@@ -0,0 +1 @@\n{long}\n"))
    assert mail["Content-Transfer-Encoding"] == "quoted-printable"
    assert max(len(line) for line in serialise(mail).split(b"\n")) <= 78
    assert f"> {long}\n" in text_of(mail)


@pytest.mark.parametrize(("word", "encoding"), [("x", "7bit"), ("é", "8bit")])
def test_a_body_is_encoded_no_further_than_it_needs(word: str, encoding: str) -> None:
    mail = reply_to(raw_mail(diff=DIFF.replace("put_user(v", f"put_user({word}")))
    assert mail["Content-Transfer-Encoding"] == encoding
    assert mail["Content-Type"] == 'text/plain; charset="utf-8"'
    assert f"put_user({word}, p)".encode() in serialise(mail)


def test_a_message_id_is_quoted_for_the_shell() -> None:
    text = text_of(reply_to(raw_mail(message_id="$(reboot)'@example.org")))
    assert """reviewbot lore '$(reboot)'"'"'@example.org'\n""" in text


@pytest.mark.parametrize("message", [None, "a\x1b@x", "=?utf-8?q?a?=@x", "é@x", "a" * 860 + "@x"])
def test_a_mail_that_cannot_be_named_in_a_header_gets_no_reply(message: str | None) -> None:
    patch = patch_of(raw_mail(message_id=message))
    for per in Per:
        assert make_replies(review(finding(patch, at(patch, "put_user"))), replace(BOT, per=per)) == ()


# --- what is said ---------------------------------------------------------------------------------


def test_the_first_lines_say_what_was_checked_and_what_was_found() -> None:
    text = text_of(reply_to(raw_mail()))
    first = " ".join(text.split("\n\n> ")[0].split())
    assert first == (
        "reviewbot 1.0 checked v2 of this series (1 of 7 patches; base v6.9, from the mail's date). "
        "This patch has 1 error."
    )


def test_quoted_lines_are_the_originals_lines() -> None:
    for case in ("several", "relay", "whole-series"):
        found = CASES[case]()
        for mail in make_replies(found, BOT, now=NOW):
            patch = next(p for p in found.series.patches if f"<{p.mail.message_id}>" == mail["In-Reply-To"])
            original = {f"> {line}" for line in patch.mail.body} | {f"> Subject: {patch.mail.subject}"}
            lines = [line for line in text_of(mail).split("\n") if line.startswith(">")]
            assert len(lines) > 3
            assert set(lines) <= original


def test_a_remark_stands_directly_below_its_line() -> None:
    text = text_of(reply_to(raw_mail()))
    remark = "put_user() may fault  [mmap-lock/user-access-under-lock, error]"
    assert f"\n> +\tret = put_user(v, p);\n\n{remark}\n\n-- \n" in text


def test_a_statement_of_several_lines_is_quoted_to_its_end() -> None:
    patch = patch_of(raw_mail())
    span = replace(at(patch, "find_vma"), end_line=31, end_column=5)
    (mail,) = make_replies(review(finding(patch, span)), BOT, now=NOW)
    assert "put_user(v, p);\n\nput_user() may fault" in text_of(mail)


def test_findings_on_one_line_share_its_quote() -> None:
    patch = patch_of(raw_mail())
    span = at(patch, "put_user")
    (mail,) = make_replies(review(finding(patch, span, "one"), finding(patch, span, "two")), BOT, now=NOW)
    assert text_of(mail).count("put_user(v, p);") == 1


def test_a_diff_without_git_header_is_quoted_with_its_file_names() -> None:
    text = text_of(reply_to(raw_mail(diff=re.sub(r"(?m)^(diff|index) .*\n", "", DIFF))))
    assert "\n> --- a/mm/foo.c\n> +++ b/mm/foo.c\n> @@ -20,9" in text


def test_a_wrapped_hunk_header_is_quoted_whole() -> None:
    patch = patch_of(raw_mail(diff=DIFF.replace("int report(struct", "int\nreport(struct")))
    (mail,) = make_replies(review(finding(patch, at(patch, "put_user"))), BOT, now=NOW)
    assert (
        "\n> diff --git a/mm/foo.c b/mm/foo.c\n> @@ -20,9 +20,14 @@ static int\n"
        "> report(struct mm_struct *mm, int __user *p)\n[ ... ]\n"
    ) in text_of(mail)


def test_a_line_that_only_the_tree_has_is_not_passed_off_as_the_mails() -> None:
    patch = patch_of(raw_mail())
    span = replace(at(patch, "put_user"), text="\tup_read(x);", line=400, end_line=400, message_line=0)
    (mail,) = make_replies(review(finding(patch, span, "never unlocked")), BOT, now=NOW)
    assert "\nIn mm/foo.c, outside of what the patch shows:\n\n| \tup_read(x);\n\nnever unlocked" in text_of(mail)


def test_over_the_budget_the_worst_are_kept_and_the_rest_is_counted() -> None:
    patch = patch_of(raw_mail())
    first, last = at(patch, "find_vma"), at(patch, "sched.h")
    found = review(finding(patch, first, "mild", severity=Severity.WARNING), finding(patch, last, "grave"))
    (mail,) = make_replies(found, replace(BOT, budget=1), now=NOW)
    text = text_of(mail)
    assert "grave" in text
    assert "mild" not in text
    assert "This patch has 1 error, 1 warning. A mail has at most 1 finding (held\nback: 1 warning).\n" in text


def test_no_line_of_our_own_is_wide_or_anything_but_ascii() -> None:
    long = "the caller of foo_bar() holds the lock, so häufig " * 8
    lines = own_lines(text_of(reply_to(raw_mail(), message=long)))
    assert max(map(len, lines)) <= 72
    assert "".join(lines).isascii()
    assert len(lines) > 8


@given(st.text(st.sampled_from("ab \n-:@.<>()F"), max_size=150))
def test_wrapping_loses_no_word_and_makes_no_quote(text: str) -> None:
    assert wrap(text).removeprefix("| ").split() == text.split()
    assert not any(line.startswith(">") for line in wrap(text).split("\n"))


_TRAILERS = st.sampled_from(
    'Reviewed-by: | A B | <a@b.org> | Fixes: | 123456789abc | ("mm: x") | Link: | https://x.org/ | Note: | From | foo: '
    "| abcdef | (bar | baz) | Closes: | \u00e9x: | a.b@c.org | Change-Id: | I12 | [x] | # | -- ".split(" | ")
)


@given(st.lists(_TRAILERS).map(" ".join), st.lists(st.one_of(_TRAILERS, st.just("\n"))).map("".join))
@settings(deadline=None, max_examples=200)
def test_b4_finds_no_trailer_in_a_reply(message: str, suggestion: str) -> None:
    import b4

    patch = patch_of(raw_mail())
    found = finding(patch, at(patch, "put_user"), message, suggestion=suggestion, places=(at(patch, "sched.h"),))
    quote = finding(patch, at(patch, "Signed-off-by", SpanKind.MESSAGE), message)
    (mail,) = make_replies(review(found, quote), BOT, now=NOW)
    trailers, _ = b4.LoreMessage.find_trailers(mail.get_content(), followup=True)
    assert trailers == []


def test_the_test_above_would_see_a_trailer() -> None:
    import b4

    trailers, _ = b4.LoreMessage.find_trailers("x\n\nReviewed-by: A B <a@b.org>\n", followup=True)
    assert len(trailers) == 1


# --- which mails ----------------------------------------------------------------------------------


def test_what_is_hidden_or_was_there_before_is_never_mailed() -> None:
    patch = patch_of(raw_mail())
    span = at(patch, "put_user")
    old = replace(finding(patch, span), preexisting=True)  # shown, as with a terminal's option
    assert make_replies(review(old, finding(patch, span, hidden="low confidence"), patches=(patch,)), BOT) == ()


def folding(*patches: str) -> Review:
    """Each patch has the same finding twice, of two more the text differs, and what is said once is folded."""
    found: list[Finding] = []
    for index, message in enumerate(patches, 1):
        patch = patch_of(raw_mail(message_id=f"{index}@x"), index)
        spans = at(patch, "find_vma"), at(patch, "put_user")
        found += [replace(finding(patch, span, message), fingerprint=f"{index}{n}") for n, span in enumerate(spans)]
    return review(*found)


@pytest.mark.parametrize(
    ("fold", "said"),
    [
        (Fold.PATCH, [{"10", "11"}, {"20", "21"}, {"30", "31"}]),
        (Fold.SERIES, [{"10", "11", "20", "21"}, {"30", "31"}]),
        (Fold.BUILD, [{"10", "11", "20", "21", "30", "31"}]),
    ],
)
def test_the_fingerprints_of_a_mail_are_those_of_all_that_it_says(fold: Fold, said: list[set[str]]) -> None:
    found = folding("same", "same", "other")
    found = found._replace(findings=tuple(replace(f, fold=fold) for f in found.findings))
    mails = make_replies(select(found, Selection(strict=True)), BOT, now=NOW)
    assert [set(fingerprints_of(mail)) for mail in mails] == said
    assert [set(fingerprints_of(read(serialise(mail)))) for mail in mails] == said


def test_a_patch_whose_findings_are_said_with_anothers_is_not_called_silent() -> None:
    found = folding("same", "same", "other")
    found = found._replace(findings=tuple(replace(f, fold=Fold.BUILD) for f in found.findings))
    (mail,) = make_replies(select(found, Selection(strict=True)), BOT, now=NOW)
    assert "nothing" not in text_of(mail)


def test_what_is_held_back_is_not_among_the_fingerprints_said() -> None:
    patch = patch_of(raw_mail())
    mild = finding(patch, at(patch, "find_vma"), "mild", "a/mild", Severity.WARNING)
    grave = finding(patch, at(patch, "sched.h"), "grave", "a/grave")
    (mail,) = make_replies(review(mild, grave), replace(BOT, budget=1), now=NOW)
    assert fingerprints_of(mail) == (grave.fingerprint,)
    assert rules_of(mail) == ("a/grave",)


def test_the_headers_for_machines_are_read_back_whole() -> None:
    (mail,) = mails_of("folded")
    found = MAILS["folded"].review().findings
    wanted = [f.fingerprint for f in found if f.shown or f.why_not_shown == FOLDED]
    for again in (mail, read(serialise(mail)), BytesParser().parsebytes(serialise(mail))):
        assert list(fingerprints_of(again)) == wanted[:MAX_FINGERPRINTS]
        assert len(fingerprints_of(again)) == MAX_FINGERPRINTS
        assert rules_of(again) == ("mmap-lock/old-name",)
        assert target_of(again) == "3@x.org"
    assert fingerprints_of(EmailMessage()) == rules_of(EmailMessage()) == ()
    assert target_of(EmailMessage()) is None


def test_more_mails_than_allowed_become_one_for_the_series() -> None:
    found = CASES["whole-series"]()
    kinds = [
        [str(mail["Message-ID"]).split(".")[1] for mail in make_replies(found, replace(BOT, max_mails=n), now=NOW)]
        for n in (0, 1, 2)
    ]
    assert kinds == [["patch", "patch"], ["series"], ["patch", "patch"]]


def test_an_error_may_be_marked_for_patchwork_and_nothing_less() -> None:
    patch = patch_of(raw_mail())
    error = finding(patch, at(patch, "find_vma"))
    warning = replace(error, severity=Severity.WARNING)
    marked = [
        make_replies(review(found), replace(BOT, action_required=asked), now=NOW)[0]["X-Patchwork-Action-Required"]
        for found, asked in ((error, True), (error, False), (warning, True))
    ]
    assert marked == ["yes", None, None]


def test_the_worst_are_kept_and_among_them_the_surest() -> None:
    patch = patch_of(raw_mail())
    span = at(patch, "put_user")
    sure = finding(patch, span, "surely", "a/sure")
    guess = finding(patch, span, "perhaps", "a/guess", confidence=Confidence.LOW)
    (mail,) = make_replies(review(guess, sure), replace(BOT, budget=1), now=NOW)
    assert rules_of(mail) == ("a/sure",)
    (mail,) = make_replies(review(guess, sure), BOT, now=NOW)
    assert "perhaps  [a/guess, error, low confidence]\n" in text_of(mail)


def test_a_mail_that_would_be_too_long_says_less_and_says_so() -> None:
    diff = "".join(f"+\tput_user_{n:02}({'x' * 2400});\n" for n in range(99))
    patch = patch_of(raw_mail(diff=f"--- a/x.c\n+++ b/x.c\n@@ -0,0 +1,99 @@\n{diff}"))
    found = review(*(finding(patch, at(patch, f"put_user_{n:02}"), f"number {n}") for n in range(99)))
    (mail,) = make_replies(found, replace(BOT, budget=99), now=NOW)
    assert MAX_BODY / 3 < len(text_of(mail)) <= MAX_BODY
    said = len(re.findall("(?m)^number", text_of(mail)))
    assert said < 99
    assert f"This patch has 99 errors. More would make this mail too long (held\nback: {99 - said} errors)." in text_of(
        mail
    )
    assert len(fingerprints_of(mail)) == said


# --- what became of earlier findings --------------------------------------------------------------

ROW = Earlier("lock-drop/stale-vma", "mm/foo.c", 1)


@pytest.mark.parametrize(
    ("history", "said"),
    [
        (History((ROW,)), "Fixed since v1: lock-drop/stale-vma in mm/foo.c."),
        (History((ROW, ROW)), "Fixed since v1: lock-drop/stale-vma in mm/foo.c."),
        (History((ROW._replace(path=""),)), "Fixed since v1: lock-drop/stale-vma."),
        (
            History(
                (ROW, Earlier("a/b", "x.c", 1), Earlier("a/c", "x.c", 2), Earlier("a/d", "", 2), Earlier("a/e", "", 3))
            ),
            "Fixed since v1: lock-drop/stale-vma in mm/foo.c, a/b in x.c; since v2: a/c in x.c and 2 more.",
        ),
        (History(still=1), "1 finding of earlier revisions is still there and not repeated."),
        (History(still=2), "2 findings of earlier revisions are still there and not repeated."),
        (
            History((ROW,), 1),
            (
                "Fixed since v1: lock-drop/stale-vma in mm/foo.c. "
                "1 finding of earlier revisions is still there and not repeated."
            ),
        ),
    ],
)
def test_what_became_of_earlier_findings_is_said_once_in_the_first_mail(history: History, said: str) -> None:
    found = CASES["whole-series"]()
    first, second = make_replies(found, BOT, now=NOW, history=history)
    plain = make_replies(found, BOT, now=NOW)[0]
    _, begin, rest = text_of(first).partition("unchecked.\n\n")
    added = rest.split("> diff")[0]
    assert " ".join(added.split()) == said
    assert text_of(first).replace(added, "", 1) == text_of(plain)
    assert begin
    assert said[:9] not in text_of(second)
    (mail,) = make_replies(found, replace(BOT, per=Per.SERIES), now=NOW, history=history)
    assert said in " ".join(text_of(mail).split())


def test_where_findings_are_still_there_a_patch_without_new_ones_has_nothing_new() -> None:
    (mail,) = make_replies(CASES["simple"](), BOT, now=NOW, history=History(still=1))
    assert "There is nothing new to say of 6 other\npatches." in text_of(mail)


def test_what_was_fixed_alone_makes_no_mail() -> None:
    patch = patch_of(raw_mail())
    assert make_replies(review(patches=(patch,)), BOT, history=History((ROW,), 1)) == ()


# --- the footer -----------------------------------------------------------------------------------


def test_the_footer_says_how_to_see_the_same_to_answer_and_to_opt_out() -> None:
    footer = text_of(reply_to(raw_mail())).split("\n-- \n")[1]
    assert len(footer.strip("\n").split("\n")) <= 8
    assert max(map(len, footer.split("\n"))) <= 72
    said = " ".join(footer.split())
    for words in (
        "an automated check; it may be wrong", "reviewbot rules NAME", "reviewbot lore 20240506.3-ann@example.org",
        '"reviewbot: wontfix RULE reason"', '"reviewbot: false-positive RULE reason"',
        '"reviewbot: ignore RULE reason"',
        '"reviewbot: stop"',
    ):  # fmt: skip
        assert words in said


def test_no_line_of_a_mail_is_a_word_to_reviewbot_when_it_is_quoted_without_marks(tmp_path: Path) -> None:
    (tmp_path / "patch.j2").write_text("reviewbot: stop\n\n-- \n  reviewbot : stop\n")
    texts = [text_of(reply_to(raw_mail(), replace(BOT, template_dir=str(tmp_path))))]
    texts += [text_of(mail) for _, mail in every_golden_mail()]
    assert not any(re.search(r"(?im)^\s*reviewbot\s*:", text) for text in texts)
    assert "| reviewbot: stop\n" in texts[0]


def test_findings_in_a_patch_that_cannot_be_answered_are_not_said_to_be_in_a_reply() -> None:
    one, two = patch_of(raw_mail(message_id="1@x"), 1), patch_of(raw_mail(message_id=None), 2)
    (mail,) = make_replies(review(finding(one, at(one, "put_user")), finding(two, at(two, "put_user"))), BOT, now=NOW)
    assert "\nThis patch has 1 error.\n\n" in text_of(mail)


def test_faults_alone_make_no_mail() -> None:
    patch = patch_of(raw_mail())
    assert make_replies(review(patches=(patch,), errors=(Fault(patch.mail, 3, 1, "broken", ""),)), BOT) == ()


def test_per_series_there_is_one_mail_and_it_answers_the_cover_letter() -> None:
    (mail,) = make_replies(CASES["whole-series"](), replace(BOT, per=Per.SERIES), now=NOW)
    assert mail["In-Reply-To"] == "<20240506.0-ann@example.org>"
    assert re.findall("(?m)^> Subject: .*", text_of(mail)) == [
        "> Subject: [PATCH v2 1/2] mm: one",
        "> Subject: [PATCH v2 2/2] mm: two",
    ]


def test_per_series_without_a_cover_letter_the_first_patch_is_answered() -> None:
    one, two = patch_of(raw_mail(message_id="1@x"), 1), patch_of(raw_mail(message_id="2@x"), 2)
    found = review(finding(two, at(two, "put_user")), patches=(one, two))
    (mail,) = make_replies(found, replace(BOT, per=Per.SERIES), now=NOW)
    assert mail["In-Reply-To"] == "<1@x>"


def test_the_cover_letters_list_of_recipients_is_cleaned_too() -> None:
    patch = patch_of(raw_mail())
    found = review(finding(patch, at(patch, "put_user")), cover=COVER)
    (mail,) = make_replies(found, replace(BOT, per=Per.SERIES), now=NOW)
    assert recipients(mail) == (["ann@example.org"], ["linux-mm@kvack.example"])


# --- templates ------------------------------------------------------------------------------------


def test_a_users_template_overrides_and_extends_the_packaged_one(tmp_path: Path) -> None:
    (tmp_path / "patch.j2").write_text(
        '{% extends "packaged/patch.j2" %}{% block footer %}Grüße, {{ version }}\x1b[2J\n{% endblock %}'
    )
    text = text_of(reply_to(raw_mail(), replace(BOT, template_dir=str(tmp_path))))
    assert "This patch has 1 error." in text
    assert text.endswith("\n-- \nGrüße, 1.0^[[2J\n")


def test_what_both_templates_share_can_be_overridden_once(tmp_path: Path) -> None:
    (tmp_path / "mail.j2").write_text('{% extends "packaged/mail.j2" %}{% block intro %}Hello.\n{% endblock %}')
    for per in Per:
        text = text_of(reply_to(raw_mail(), replace(BOT, template_dir=str(tmp_path), per=per)))
        assert text.startswith("Hello.\n\n> diff")


@pytest.mark.parametrize("name", ["mail", "patch", "series"])
@pytest.mark.parametrize("block", ["intro", "found", "history", "section", "footer"])
def test_every_block_of_every_packaged_template_can_be_replaced(tmp_path: Path, name: str, block: str) -> None:
    own = f'{{% extends "packaged/{name}.j2" %}}{{% block {block} %}}MINE <{{{{ super() }}}}>\n{{% endblock %}}'
    (tmp_path / f"{name}.j2").write_text(own)
    pers = Per if name == "mail" else [Per(name)]
    for per in pers:
        how = replace(BOT, template_dir=str(tmp_path), per=per)
        (mail,) = make_replies(CASES["simple"](), how, now=NOW, history=History((ROW,), 1))
        # what a block of mail.j2 says may be replaced once more by what extends it
        assert text_of(mail).count("MINE <") == (block != "found" or name != "mail")


DOCUMENTED = re.findall(r"(?m)^    ([a-z_]+) {2,}", reviewbot.templates.__doc__ or "")


def test_the_variables_told_of_are_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def render(_name: str, _directory: Path | None, values: dict[str, Any]) -> str:
        seen.extend(values)
        return "A reply."

    monkeypatch.setattr(reviewbot.reply, "_render", render)
    reply_to(raw_mail())
    assert sorted(DOCUMENTED) == sorted(seen)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_each_variable_told_of_can_be_used(tmp_path: Path, name: str) -> None:
    fields = {
        "series": "{{ series.subject }}, {{ series.revision }}, {{ series.expected }}, {{ series.message_id }}",
        "fixed": "{% for row in fixed %}{{ row.rule }}, {{ row.path }}, {{ row.revision }}{% endfor %}",
        "sections": "{% for part in sections %}{{ part.heading }}{{ part.patch.subject.title }}"
        "{% for quote in part.quotes %}{{ quote.lines | length }}{% for remark in quote.remarks %}, {{ remark.text }}, "
        "{{ remark.tag }}, {{ remark.suggestion | length }}, {{ remark.finding.fingerprint }}"
        "{% endfor %}{% endfor %}{% endfor %}",
    }
    said = {
        "version": "1.0", "per": "patch",
        "series": "[PATCH v2 3/7] mm: report ranges, 2, 7, 20240506.3-ann@example.org",
        "checked": "7", "base": "v6.9, from the mail's date", "counts": "1 error", "held_back": "", "large": "False",
        "budget": "10", "elsewhere": "0", "silent": "6", "unread": "0", "fixed": "lock-drop/stale-vma, mm/foo.c, 1",
        "still": "1", "docs": "None", "command": "reviewbot lore 20240506.3-ann@example.org",
        "sections": "mm: report ranges7, put_user() may fault with mmap_lock held (lock taken here: "
        '"mmap_read_lock(mm);"), [mmap-lock/user-access-under-lock, error], 0, 9a5defeeb80077f3',
    }  # fmt: skip
    (tmp_path / "patch.j2").write_text(f"={fields.get(name, '{{ ' + name + ' }}')}=")
    how = replace(BOT, template_dir=str(tmp_path))
    (mail,) = make_replies(CASES["simple"](), how, now=NOW, history=History((ROW,), 1))
    assert text_of(mail) == f"={said[name]}=\n"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ nothing }}", "'nothing' is undefined"),
        ("{% if %}", "template 'patch.j2', line 1"),
        ('{% extends "packaged/../patch.j2" %}', "does not exist"),
        ('{% extends "patch.j2" %}', "template 'patch.j2'"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ 1 / 0 }}", "division"),
    ],
)
def test_a_wrong_template_is_a_configuration_error(tmp_path: Path, template: str, said: str) -> None:
    (tmp_path / "patch.j2").write_text(template)
    with pytest.raises(ConfigError, match=re.escape(said)):
        reply_to(raw_mail(), replace(BOT, template_dir=str(tmp_path)))


def test_a_template_cannot_make_a_trailer(tmp_path: Path) -> None:
    (tmp_path / "patch.j2").write_text("Reviewed-by: A B <a@b.org>\n  Cc: x@y.org\nFrom here\n")
    text = text_of(reply_to(raw_mail(), replace(BOT, template_dir=str(tmp_path))))
    assert text == "| Reviewed-by: A B <a@b.org>\n|   Cc: x@y.org\n| From here\n"


def test_the_rules_url_goes_into_the_footer() -> None:
    assert "\nThe rules and their reasons: https://x.org/\n" in text_of(
        reply_to(raw_mail(), replace(BOT, docs="https://x.org/"))
    )


# --- drafts ---------------------------------------------------------------------------------------


def test_an_mbox_gives_back_its_mails(tmp_path: Path) -> None:
    mails = [mail for case in CASES.values() for mail in make_replies(case(), BOT, now=NOW)]
    write_mbox(mails, tmp_path / "drafts.mbox")
    again = [mail.rstrip(b"\n") + b"\n" for mail in split_mbox((tmp_path / "drafts.mbox").read_bytes())]
    assert again == [serialise(mail) for mail in mails]


def test_a_draft_that_was_read_back_is_written_as_before() -> None:
    for case in CASES.values():
        for mail in make_replies(case(), BOT, now=NOW):
            assert serialise(read(serialise(mail))) == serialise(mail)


def shell(command: str) -> str:
    return subprocess.run(command.split(), capture_output=True, text=True, check=True).stdout.strip()


def test_git_send_email_takes_a_draft(tmp_path: Path) -> None:
    if not (Path(shell("git --exec-path")) / "git-send-email").exists():
        pytest.skip("git send-email is not installed")
    mail = reply_to(raw_mail("[PATCH] mm: zähle", headers=["Cc: " + ", ".join(f"p{n}@x.org" for n in range(9))]))
    write_mbox([mail], tmp_path / "draft.mbox")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    done = subprocess.run(
        ["git", "send-email", "--dry-run", "--suppress-cc=author", "--suppress-cc=body", "--confirm=never",
         "--from=reviewbot <bot@reviews.example>", "--smtp-server=/bin/false", "draft.mbox"],
        cwd=tmp_path, check=False, capture_output=True, text=True, env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    out = re.sub(r"\n\t", " ", done.stdout)
    for name in ("In-Reply-To", "References", "Auto-Submitted"):
        assert f"\n{name}: {mail[name]}\n" in out
    assert f"\nMessage-Id: {mail['Message-ID']}\n".lower() in out.lower()
    assert set(re.findall(r"\bp\d@x\.org", out)) == {f"p{n}@x.org" for n in range(9)}


def test_mutt_reads_the_drafts(tmp_path: Path) -> None:
    if not (shutil.which("mutt") and shutil.which("script")):
        pytest.skip("mutt or script(1) is not installed")
    # mutt shows mails of one Message-ID as one
    hows = {name: replace(BOT, salt=name) for name in CASES}
    mails = [mail for name, case in CASES.items() for mail in make_replies(case(), hows[name], now=NOW)]
    write_mbox(mails, tmp_path / "drafts.mbox")
    keys = f"<tag-pattern>~A<enter><tag-prefix><copy-message>{tmp_path}/copy<enter><exit>"
    settings = "set copy=no confirmcreate=no confirmappend=no mbox_type=mbox"
    command = f"mutt -R -n -F /dev/null -e '{settings}' -e 'push \"{keys}\"' -f {tmp_path}/drafts.mbox"
    subprocess.run(
        ["script", "-qec", command, "/dev/null"],
        stdin=subprocess.DEVNULL, check=False, capture_output=True, timeout=60, env={**os.environ, "TERM": "xterm"},
    )  # fmt: skip
    copied = [read(mail) for mail in split_mbox((tmp_path / "copy").read_bytes())]
    assert [mail["Message-ID"] for mail in copied] == [mail["Message-ID"] for mail in mails]
    assert [mail.get_content().rstrip() for mail in copied] == [mail.get_content().rstrip() for mail in mails]


def test_a_template_directory_that_is_not_there_or_makes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot open template directory"):
        reply_to(raw_mail(), replace(BOT, template_dir=str(tmp_path / "none")))
    (tmp_path / "patch.j2").write_text("")
    with pytest.raises(ConfigError, match=r"template 'patch\.j2' makes an empty mail"):
        reply_to(raw_mail(), replace(BOT, template_dir=str(tmp_path)))


@pytest.mark.parametrize("domain", ["localhost", "a b", "example.org>", "-"])
def test_the_domain_of_message_ids_is_one(domain: str) -> None:
    config = Config(reply=ReplyConfig(sender="B <b@example.org>", domain=domain))
    with pytest.raises(ConfigError, match=r"'reply\.domain' must be a domain"):
        reply_settings(config)
