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
from pathlib import Path

import pytest
from golden_cases import CASES, COVER, compare
from hypothesis import given, settings
from hypothesis import strategies as st
from reviews import DIFF, at, finding, patch_of, raw_mail, replace, review
from test_output import hostile_review, hostile_text

from reviewbot.finding import Fault
from reviewbot.mail import parse_mail, split_mbox
from reviewbot.model import Address, ConfigError, Severity, SpanKind
from reviewbot.reply import (
    UNCONFIGURED,
    Per,
    ReplySettings,
    header_text,
    make_replies,
    message_id,
    serialise,
    wrap,
    write_mbox,
)

NOW = datetime(2024, 5, 7, 12, 0, tzinfo=UTC)
BOT = ReplySettings(sender=Address("reviewbot", "bot@reviews.example"), ruleset="1.0")
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
        ([], "<20240506.3-ann@example.org>"),
    ],
)
def test_references_are_whole(headers: list[str], references: str) -> None:
    mail = reply_to(raw_mail(headers=headers))
    assert mail["In-Reply-To"] == "<20240506.3-ann@example.org>"
    assert mail["References"] == references


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
        ("Ann <ann@x.org>", "", ["Reply-To: list@x.org"], ["ann@x.org"], ["list@x.org"]),
        ("via <devnull+a.x@kernel.org>", "From: Ann <ann@x.org>\n\n", [], ["ann@x.org"], []),
        ("via <devnull+a.x@kernel.org>", "", ["Reply-To: ann@x.org", "To: l@x.org"], ["ann@x.org"], ["l@x.org"]),
        ("via <devnull+a.x@kernel.org>", "", ["To: l@x.org"], ["l@x.org"], []),
        ('"Doe, Ann (TI)" <ann@x.org>', "", ['Cc: "b, c" <b@x.org>, d@x.org'], ["ann@x.org"], ["b@x.org", "d@x.org"]),
    ],
)
def test_the_author_gets_the_mail_and_who_else_had_the_original(
    sender: str, message: str, headers: list[str], to: list[str], cc: list[str]
) -> None:
    assert recipients(reply_to(raw_mail(message=message + "x\n---\n", sender=sender, headers=headers))) == (to, cc)


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


@pytest.mark.parametrize("message", [None, "a\x1b@x", "=?utf-8?q?a?=@x", "é@x"])
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
    text = text_of(reply_to(raw_mail(), replace(BOT, template_dir=tmp_path)))
    assert "This patch has 1 error." in text
    assert text.endswith("\n-- \nGrüße, 1.0^[[2J\n")


def test_what_both_templates_share_can_be_overridden_once(tmp_path: Path) -> None:
    (tmp_path / "mail.j2").write_text('{% extends "packaged/mail.j2" %}{% block intro %}Hello.\n{% endblock %}')
    for per in Per:
        text = text_of(reply_to(raw_mail(), replace(BOT, template_dir=tmp_path, per=per)))
        assert text.startswith("Hello.\n\n> diff")


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
        reply_to(raw_mail(), replace(BOT, template_dir=tmp_path))


def test_a_template_cannot_make_a_trailer(tmp_path: Path) -> None:
    (tmp_path / "patch.j2").write_text("Reviewed-by: A B <a@b.org>\n  Cc: x@y.org\nFrom here\n")
    text = text_of(reply_to(raw_mail(), replace(BOT, template_dir=tmp_path)))
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
