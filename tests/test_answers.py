# SPDX-License-Identifier: GPL-2.0-or-later
"""answers: what a mail's sender wrote is obeyed, and nothing that he quotes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mails import COVER, diff, mail, patch_body
from reviews import raw_mail
from test_reply import reply_to, text_of

from reviewbot.answers import MAX_COMMANDS, MAX_REASON, Answer, Command, Malformed, may_hold_command, read_answers
from reviewbot.mime import parse_mail

RULE = "gup/foll-force-in-driver"


def read(text: str, subject: str = "Re: [PATCH] mm: walk", headers: tuple[str, ...] = ()) -> list[Answer | Malformed]:
    return [*read_answers(parse_mail(mail(subject, text, "a@example.org", headers=headers)))]


def commands(text: str, subject: str = "Re: [PATCH] mm: walk") -> list[str]:
    return [found.command.value for found in read(text, subject) if isinstance(found, Answer)]


@pytest.mark.parametrize(
    ("line", "command", "rule", "reason"),
    [
        (f"reviewbot: wontfix {RULE} it is a debugger", Command.WONTFIX, RULE, "it is a debugger"),
        ("reviewbot: wontfix FL06 it is a debugger", Command.WONTFIX, "FL06", "it is a debugger"),
        ("reviewbot: wontfix gup a tool", Command.WONTFIX, "gup", "a tool"),
        (f"reviewbot: ignore {RULE} it is a debugger", Command.WONTFIX, RULE, "it is a debugger"),
        (f"reviewbot: false-positive {RULE} the caller has it", Command.FALSE_POSITIVE, RULE, "the caller has it"),
        (f"reviewbot: false-positive {RULE}", Command.FALSE_POSITIVE, RULE, ""),
        (f"reviewbot: false-positive [{RULE}], really", Command.FALSE_POSITIVE, RULE, "really"),
        (f"reviewbot: fixed {RULE} in v3", Command.FIXED, RULE, "in v3"),
        ("reviewbot: fixed gup", Command.FIXED, "gup", ""),
        ("reviewbot: fixed FL06 in v3", Command.FIXED, "FL06", "in v3"),
        ("reviewbot: fixed in v3", Command.FIXED, None, "in v3"),
        ("reviewbot: fixed", Command.FIXED, None, ""),
        ("reviewbot: stop", Command.STOP, None, ""),
        ("reviewbot: stop.", Command.STOP, None, ""),
        ("reviewbot: stop too much mail", Command.STOP, None, "too much mail"),
        ("reviewbot: start", Command.START, None, ""),
        ("ReviewBot:STOP", Command.STOP, None, ""),
        ("   reviewbot:\tstop\t\r", Command.STOP, None, ""),
        (f"reviewbot:  wontfix   {RULE}   two   blanks ", Command.WONTFIX, RULE, "two blanks"),
    ],
)
def test_a_command_is_read(line: str, command: Command, rule: str | None, reason: str) -> None:
    assert read(f"Hello,\n\n{line}\n\nAnn\n") == [Answer(command, rule, reason, 3)]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (f"reviewbot: wontfix {RULE}", "wontfix needs a rule and a reason"),
        ("reviewbot: wontfix", "wontfix needs a rule and a reason"),
        (f"reviewbot: ignore {RULE}", "ignore needs a rule and a reason"),
        ("reviewbot: false-positive", "false-positive needs a rule"),
        ("reviewbot: false-positive it's/wrong", "false-positive needs a rule"),
        (f"reviewbot: wontfix {'x' * 81} long", "wontfix needs a rule and a reason"),
        ("reviewbot: wontfix RULE reason", "RULE stands for the name of a rule"),
        ("reviewbot: thank you", "no such command: 'thank'"),
        ("reviewbot:", "no command"),
    ],
)
def test_what_only_begins_like_a_command_is_told(line: str, why: str) -> None:
    (found,) = read(f"{line}\n")
    assert found == Malformed(1, line, why)


@pytest.mark.parametrize(
    "line",
    [
        "> reviewbot: stop",
        ">reviewbot: stop",
        "    reviewbot: stop",
        "| reviewbot: stop",
        "AR> reviewbot: stop",
        'reply with "reviewbot: stop"',
        '"reviewbot: stop"',
        "please, reviewbot: stop",
        "+reviewbot: stop",
        "reviewbot stop",
        "x-reviewbot: stop",
        "reviewbots: stop",
    ],
)
def test_a_command_begins_its_line(line: str) -> None:
    assert read(f"Hello,\n{line}\n") == []


@pytest.mark.parametrize(
    "head",
    [
        "-- ",
        "--",
        "-----Original Message-----",
        "---------- Forwarded message ---------",
        "-------- Forwarded Message --------",
        "________________________________",
        "Begin forwarded message:",
        "From: reviewbot <bot@reviews.example>\nSent: Monday\nTo: Ann",
        "*From:* reviewbot\n*Date:* Monday",
        "Von: reviewbot\nGesendet: Montag",
        "On Mon, 18 Nov 2024, reviewbot wrote:",
        "On Mon, 18 Nov 2024 at 10:00, reviewbot\n<bot@reviews.example> wrote:",
        "On Mon, 18 Nov 2024, reviewbot <bot@reviews.example>\nwrote:",
        "Am Montag schrieb reviewbot <bot@reviews.example>:",
        "reviewbot <bot@reviews.example> a écrit :",
        "reviewbot <bot@reviews.example> 于2024年写道：",
        "reviewbot <bot@reviews.example>:",
    ],
)
@pytest.mark.parametrize("indent", ["", "  "])
def test_what_is_quoted_without_marks_is_not_the_senders(head: str, indent: str) -> None:
    quoted = f"{head}\n\n{indent}This patch has 1 warning.\n{indent}reviewbot: stop\n"
    assert read(f"Thanks.\n{quoted}") == []
    assert commands(f"reviewbot: start\n{quoted}") == ["start"]


def test_a_quote_with_marks_may_stand_above_a_command() -> None:
    text = "On Mon, 18 Nov 2024, Rex <rex@example.net> wrote:\n\n> Hello,\n> reviewbot: stop\n\nreviewbot: start\n"
    assert commands(text) == ["start"]


@pytest.mark.parametrize("mark", ["", "  ", "> ", ">", "\t"])
def test_our_own_mail_quoted_is_no_command(mark: str) -> None:
    ours = text_of(reply_to(raw_mail()))
    assert "reviewbot: stop" in ours
    quoted = "".join(f"{mark}{line}\n" for line in ours.split("\n"))
    assert read(f"On Monday, reviewbot <bot@reviews.example> wrote:\n{quoted}") == []
    assert read(quoted) == []


def test_mail_by_a_program_has_no_answers() -> None:
    assert read("reviewbot: stop\n", headers=("Auto-Submitted: auto-generated",)) == []
    assert len(read("reviewbot: stop\n", headers=("Auto-Submitted: no",))) == 1


def test_a_patch_is_read_between_its_line_and_its_diff() -> None:
    body = patch_body("walk").replace("Teach", "reviewbot: stop\n\nTeach", 1)
    body = body.replace("---\n mm", f"---\nreviewbot: wontfix {RULE} a tool\n mm", 1)
    body = body.replace(" \tint ret;", " reviewbot: stop\n+reviewbot: stop\nreviewbot: stop\n \tint ret;")
    found = read(body + "reviewbot: stop\n", "[PATCH] mm: walk")
    assert [(type(answer), answer.line) for answer in found] == [(Answer, body.split("\n").index("---") + 2)]


def test_ignore_below_the_line_of_a_patch_is_for_its_own_findings() -> None:
    body = patch_body("walk").replace("---\n mm", f"---\nreviewbot: ignore {RULE} a tool\nreviewbot: ignore x\n mm", 1)
    assert [found.why for found in read(body, "[PATCH] mm: walk") if isinstance(found, Malformed)] == [
        "ignore needs a rule and a reason"
    ]
    assert commands(body, "[PATCH] mm: walk") == []


@pytest.mark.parametrize("text", ["reviewbot: stop\n\n" + COVER, "About.\n\n---\nreviewbot: stop\n" + COVER])
def test_a_cover_letter_is_read_above_its_signature(text: str) -> None:
    assert commands(text + "reviewbot: start\n", "[PATCH 0/2] mm: walk") == ["stop"]


def test_a_reply_is_not_read_in_a_diff() -> None:
    text = f"reviewbot: start\n\nHow about this?\n\n{diff('walk')} reviewbot: stop\nreviewbot: stop\n"
    assert commands(text) == ["start"]
    assert commands("Or\n\n@@ -1,2 +1,2 @@\n reviewbot: stop\n") == []


@pytest.mark.parametrize(
    "line",
    [
        "------------------------",
        "------------[ cut here ]------------",
        "---- 8< ----",
        "> -----Original Message-----",
        "> From: Ann\n> To: Rex",
        "> On Monday, Rex wrote:\n> Hello",
        "From: here on it is wrong",
        "On Monday, Rex wrote:\n\n[...]\n\n> Hello",
        "On Monday, Rex wrote:\n<snip>\n> Hello",
    ],
)
def test_what_only_looks_like_the_head_of_a_quote_ends_nothing(line: str) -> None:
    assert commands(f"Hello,\n{line}\n\nreviewbot: stop\n") == ["stop"]


def test_a_mail_has_so_many_commands_and_no_more() -> None:
    assert len(read("reviewbot: stop\nreviewbot: what\n" * 500_000)) == MAX_COMMANDS


def test_a_reason_is_one_printable_line() -> None:
    (found,) = read(f"reviewbot: wontfix {RULE} a\x1b[31mb\u202ec\x00d\x85e " + "x" * 2_000_000 + "\n")
    assert isinstance(found, Answer)
    assert found.reason.startswith("a [31mb c d e xxx")
    assert len(found.reason) == MAX_REASON
    (wrong,) = read("reviewbot: \x1b[2J" + "y" * 2_000_000 + "\n")
    assert isinstance(wrong, Malformed)
    assert (wrong.text + wrong.why).isprintable()
    assert len(wrong.text) <= MAX_REASON


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["reviewbot:", " stop", " wontfix", " a/b", "> ", "\n", "-- ", "wrote:", "x", "---"])))
def test_what_is_read_stands_where_it_says(pieces: list[str]) -> None:
    read_mail = parse_mail(mail("Re: x", "".join(pieces), "a@example.org"))
    for found in read_answers(read_mail):
        assert may_hold_command(read_mail.body[found.line - 1])
        assert not read_mail.body[found.line - 1].startswith(">")
