# SPDX-License-Identifier: GPL-2.0-or-later
"""Passes over mail by strangers who mean harm: nobody is silenced or written to for more than a mail is worth.

What a forged From: can do is written down here, too: it keeps mail back, or has its owner get what is
said of a patch. Only words to the bot are proven (test_bot_answers).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from email import policy
from email.parser import BytesParser
from email.utils import getaddresses
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from mails import AUTHOR, mail, reply
from world import LIST, OLD_NAME, RAW_CALL, Sending, World, clean, diff, old_name, raw_call, series

from reviewbot import engine
from reviewbot.bot.weighing import Weighed, Weighing
from reviewbot.finding import Review
from reviewbot.ledger import MailState, Outgoing
from reviewbot.model import Series
from reviewbot.policy import Reason

ADA = "ada@example.org"
EVE = "Eve <eve@example.com>"
FIRST = "lumen-v1-1@example.org"
HEADERS = {
    "From", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted",
    "X-Reviewbot-Version", "X-Reviewbot-Revision", "X-Reviewbot-Rules", "X-Reviewbot-Fingerprints",
    "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
}  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def forged(raw: bytes, *, name: str, path: str = "mail.eve.example") -> bytes:
    """As it comes from somebody else's machine: the same From:, another way."""
    return f"Received: from {path}\n".encode() + raw.replace(FIRST.encode(), name.encode())


# --- forged senders -------------------------------------------------------------------------------


def test_a_strangers_v2_supersedes_nothing(world: World) -> None:
    world.post([one.replace(b"\n---\n", b"\nchange-id: c-1\n---\n") for one in series(old_name("a"))])
    v2 = series(clean("a"), revision=2, sender=EVE, minute=20)[0].replace(b"\n---\n", b"\nchange-id: c-1\n---\n")
    world.post([v2])
    world.wait(hours=2)
    (sent,) = world.run()
    assert sent.recipients == (ADA, LIST)


def test_a_strangers_v2_in_reply_supersedes_nothing(world: World) -> None:
    world.post(series(old_name("a")))
    world.post(series(clean("a"), revision=2, sender=EVE, minute=20, above=FIRST))
    world.wait(hours=2)
    (sent,) = world.run()
    assert sent.message["In-Reply-To"] == f"<{FIRST}>"


def test_a_strangers_v2_marks_nothing_as_fixed(world: World) -> None:
    world.post(series(old_name("a")))
    world.wait(hours=2)
    world.run()
    world.post(series(clean("a"), raw_call("b"), revision=2, sender=EVE, minute=20, above=FIRST))
    world.wait(hours=2)
    (sent,) = world.run()
    assert sent.recipients[0] == "eve@example.com"
    assert "Fixed" not in sent.text


def test_a_forged_v2_keeps_the_mail_for_v1_back_and_no_more(world: World) -> None:
    # nothing is proven of a posting; who forges one has a mail less be sent, which is the harmless side
    world.post(series(old_name("a")))
    world.post([forged(series(clean("a"), revision=2, minute=20)[0], name="x")])
    world.wait(hours=2)
    assert world.run() == []
    assert world.decisions(FIRST)[-1] == Reason.SUPERSEDED
    world.post(series(old_name("a"), revision=3, minute=200))
    world.wait(hours=2)
    assert [sent.message["In-Reply-To"] for sent in world.run()] == ["<lumen-v3-1@example.org>"]


def test_a_forged_patch_makes_no_more_mail_than_the_authors_cap(world: World) -> None:
    for n in range(12):
        world.post([forged(series(old_name(f"f{n}"), key=f"k{n}", minute=n)[0], name="x")])
    world.wait(hours=2)
    assert {sent.recipients for sent in world.run()} == {(ADA, LIST)}
    assert len(world.out) == 5
    world.wait(hours=20)
    assert world.run() == []


def test_the_same_title_by_another_author_is_another_series(world: World) -> None:
    world.post(series(old_name("a")))
    world.wait(hours=2)
    assert len(world.run()) == 1
    world.post(series(old_name("a"), revision=2, key="hers", sender=EVE, minute=200))
    hers = series(old_name("a"), revision=2, key="hers2", sender=EVE, minute=300)
    world.post([hers[0].replace(b"misc: hers2:", b"misc: lumen:")])
    world.wait(hours=2)
    sent = world.run()
    assert [one.recipients[0] for one in sent] == ["eve@example.com"]  # the same finding is said once to her
    with world.ledger() as ledger:
        numbers = {one.series for name in (FIRST, "hers2-v2-1@example.org") if (one := ledger.posting_of(name))}
    assert len(numbers) == 2


def test_who_says_that_it_is_applied_keeps_one_mail_back(world: World) -> None:
    (patch,) = series(old_name("a"))
    world.post([patch, reply(patch, "x@example.com", "Applied to for-next, thanks!", sender=EVE)])
    world.wait(hours=2)
    assert world.run() == []
    assert world.decisions(FIRST)[-1] == Reason.APPLIED
    assert len(_next(world, old_name("a"))) == 1


def test_a_stranger_cannot_take_a_series_back(world: World) -> None:
    (patch,) = series(old_name("a"))
    world.post([patch, reply(patch, "x@example.com", "Please ignore this series, I will resend.", sender=EVE)])
    world.wait(hours=2)
    assert len(world.run()) == 1


def _next(world: World, *diffs: str) -> list[Sending]:
    world.post(series(*diffs, revision=2, minute=300))
    world.wait(hours=2)
    return world.run()


# --- loops ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sender", "most"),
    [("Patch Service <service@example.com>", 5), ("kernel-bot <k@example.com>", 0), ("K <k-bot@example.com>", 0)],
)
@pytest.mark.parametrize("same", [True, False])
def test_a_bot_that_answers_each_mail_with_a_patch_gets_few(world: World, sender: str, most: int, same: bool) -> None:
    # each of its patches has something new to say of, and hangs below our mail
    def answer(n: int, above: Sending) -> bytes:
        subject = "[PATCH] misc: mend" + ("" if same else f" {n}")
        body = f"Mend.\n\n---\n x.c | 3 +++\n\n{old_name(f'm{n}')}-- \n2.39.5\n"
        return mail(subject, body, f"bot-{n}@example.com", sender=sender, minute=100 + n, in_reply_to=above.message_id)

    world.post(series(old_name("a")))
    world.wait(hours=2)
    (first,) = world.run()
    answered = [first]
    for n in range(12):
        world.post([answer(n, answered[-1])])
        world.wait(hours=1, minutes=10)
        answered += world.run()
    assert len(answered) <= 1 + most
    assert len(world.out) == len(answered)


def test_a_bot_that_answers_each_mail_in_words_gets_none(world: World) -> None:
    world.post(series(old_name("a")))
    world.wait(hours=2)
    (first,) = world.run()
    for n in range(3):
        text = b"> " + first.data.replace(b"\n", b"\n> ") + old_name("z").encode()
        world.post([reply(first.data, f"auto-{n}@example.com", text.decode(), sender=EVE)])
        world.wait(hours=2)
        assert world.run() == []


def test_our_own_mail_that_comes_back_changed_is_not_answered(world: World) -> None:
    world.post(series(old_name("a")))
    world.wait(hours=2)
    (first,) = world.run()
    world.post([first.data.replace(b"Subject: Re: ", b"Subject: ") + old_name("z").encode()])
    back = first.data.replace(b"Subject: Re: ", b"Subject: ").replace(b"Message-ID: <", b"Message-ID: <fwd.")
    world.post([back + b"---\n" + old_name("z").encode()])
    world.wait(hours=2)
    assert world.run() == []


# --- volume ---------------------------------------------------------------------------------------


def flood(number: int, sender: str = "", same: bool = False, text: str = "") -> list[bytes]:
    """Patches of an hour, each with a finding in another file."""
    return [
        series(
            text or old_name(f"f{n}"),
            key="same" if same else f"k{n}",
            minute=n % 60,
            sender=sender or f"Ann <ann{n}@example.com>",
        )[0].replace(b"same-v1-1@", b"same-%d@" % n)
        for n in range(number)
    ]


def cpu(directory: Path, number: int, sender: str, same: bool, text: str) -> tuple[float, World]:
    """Seconds of three passes over so many mails."""
    world = World(directory)
    world.archived = False
    world.post(flood(number, sender, same, text))
    begin = time.process_time()
    for _ in range(3):
        world.wait(hours=2)
        world.run()
    return time.process_time() - begin, world


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize(
    ("sender", "most", "text"),
    [(AUTHOR, 5, ""), ("", 20, ""), (AUTHOR, 0, clean("a"))],
    ids=["one author", "forged", "nothing to say"],
)
def test_a_flood_is_capped_and_costs_in_proportion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sender: str, most: int, text: str, same: bool
) -> None:
    # of mails with one title no more than these are read for each: reached with few mails here
    monkeypatch.setattr("reviewbot.bot.archives.MAX_RELATED", 20)
    few, _ = cpu(tmp_path / "few", 60, sender, same, text)
    many, world = cpu(tmp_path / "many", 240, sender, same, text)
    assert len(world.out) <= most
    assert (len(world.out) > 0) == bool(most)
    assert many < 4 * few * 2.5


def test_the_days_cap_holds_over_all_lists_and_authors(tmp_path: Path) -> None:
    world = World(tmp_path, '[reply]\nsender = "reviewbot <bot@reviews.example>"\n', archived=False)
    world.configure(_config(policy="max-per-day = 7\nmax-per-list = 1000\n"))
    world.post(flood(40))
    for _ in range(12):
        world.wait(hours=2)
        world.run()
    assert len(world.out) == 7
    world.wait(hours=3)  # the next day
    world.run()
    assert len(world.out) <= 14


def _config(policy: str = "", table: str = "", more: str = "") -> str:
    return (
        f'[reply]\nsender = "reviewbot <bot@reviews.example>"\n[policy]\nwait = "1h"\n{policy}'
        f'[source.walk]\ngit = "{{archive}}"\nlist = "{LIST}"\n'
        f'[list."{LIST}"]\nmode = "author+list"\nsend = "auto"\n{table}{more}'
    )


# --- headers --------------------------------------------------------------------------------------

CRLF = "=?utf-8?q?x=0D=0ABcc:_evil=40example.com=0D=0A=0D=0Abody?="


@pytest.mark.parametrize(
    "change",
    [
        (b"[PATCH] misc: lumen: step 1", b"[PATCH] " + CRLF.encode()),
        (b"[PATCH] misc: lumen: step 1", b"[PATCH] misc:\n Bcc: evil@example.com"),
        (b"[PATCH] misc: lumen: step 1", b"[PATCH] misc:\r\n\tx\rBcc: evil@example.com"),
        (b"[PATCH] misc: lumen: step 1", b"[PATCH] \x00\x1b]0;evil\x07\x0b\x0c\xe2\x80\xa8Bcc: e@x\xc2\x85X: y"),
        (b"[PATCH] misc: lumen: step 1", b"[PATCH] " + b"x" * 20_000),
        (b"[PATCH] misc: lumen: step 1", b"[PATCH] =?utf-8?q?=3D=3Futf-8=3Fq=3Fx=3D0ABcc=3A=5Fe=40x=3F=3D?="),
        (b"Ada Ranger <ada@", CRLF.encode() + b" <ada@"),
        (b"Ada Ranger <ada@", b"\"Ada\r\n Bcc: evil@example.com\" <ada@"),
        (b"To: linux", b"Reply-To: " + CRLF.encode() + b" <rex@example.net>\nTo: linux"),
        (b"To: linux", b"Cc: \"x\\\r\n Bcc: y\" <rex@example.net>, <a\rb@example.net>, evil\n@example.com\nTo: linux"),
        (b"To: linux", b"List-Id: <x>\nList-Id: =?utf-8?q?=0D=0ABcc=3A_e=40x?=\nTo: linux"),
        (b"To: linux", b"References: <a@b> <c\rBcc:@d> <" + b"y" * 5000 + b"@e> =?utf-8?q?=0D=0AX:_y?=\nTo: linux"),
        (b"To: linux", b"In-Reply-To: <a@b>\r X: y\nTo: linux"),
        (b"Message-ID: <lumen-v1-1@example.org>", b"Message-ID: <a\r\tb@x> <lumen-v1-1@example.org>"),
        (b"Message-ID: <lumen-v1-1@example.org>", b"Message-ID: <'\"();--../../$(id)%0d%0aX:@example.org>"),
        (b"Date: ", b"Date: \xff\xfe"),
        (b"\n\nWalk step", b"\n\nFrom: " + CRLF.encode() + b" <ada@example.org>\n\nWalk step"),
        (b"drivers/misc/a.c", b"drivers/misc/a\rBcc: evil@example.com\x1b[2J.c"),
        (b"lumen_a(", b"lumen_a\r\n.\r\nMAIL FROM:<evil@example.com>\r\n("),
    ],
)  # fmt: skip
def test_no_field_of_a_strangers_mail_becomes_a_header_of_ours(world: World, change: tuple[bytes, bytes]) -> None:
    (patch,) = series(old_name("a"))
    assert change[0] in patch
    world.post([patch.replace(*change)])
    world.wait(hours=2)
    for sent in world.run():
        message = BytesParser(policy=policy.compat32).parsebytes(sent.data)
        names = message.keys()
        assert len(names) == len(set(names))
        assert set(names) <= HEADERS
        assert set(sent.recipients) <= {ADA, LIST, "rex@example.net"}
        written = getaddresses([str(message[name]) for name in ("To", "Cc") if name in message])
        assert {email for _, email in written} == set(sent.recipients)
        head = sent.data.partition(b"\n\n")[0]
        assert all(32 <= byte < 127 or byte in b"\n\t" for byte in head)
        assert max(map(len, sent.data.split(b"\n"))) <= 998
        assert b"\x1b" not in sent.data
        assert b"\r" not in sent.data
        assert message["Auto-Submitted"] == "auto-generated"
    assert len(world.out) == 1 or change[0] in (b"drivers/misc/a.c", b"lumen_a(")


# --- odd Message-IDs and threads ------------------------------------------------------------------

NAMES = [
    "../../../etc/passwd@example.org",
    "'; DROP TABLE mail; --@example.org".replace(" ", "_"),
    '"quoted\\"@example.org',
    "%00%0a%s%n$(id)`id`@example.org",
    "x" * 840 + "@e.org",
    "y" * 980 + "@example.org",
    "no-at-sign",
    "ümlaut@example.org",
    "reviewbot.patch.0123456789abcdef01234567@elsewhere.example",
]


def test_odd_message_ids_are_names_and_nothing_else(tmp_path: Path) -> None:
    world = World(tmp_path, _config(policy="max-per-author = 50\n"))
    for n, name in enumerate(NAMES):
        (raw,) = series(old_name(f"f{n}"), key=f"k{n}", minute=n)
        world.post([raw.replace(f"k{n}-v1-1@example.org".encode(), name.encode())])
    world.wait(hours=2)
    sent = world.run()
    # the longest cannot stand on a line, the last looks as if it were ours
    assert len(sent) >= len(NAMES) - 3
    with world.ledger() as ledger:
        assert ledger.check() == ()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.toml", "state", "walk"]
    assert not world.run()


def test_references_that_tie_all_threads_together_cost_little(world: World) -> None:
    many = [series(clean("a"), key=f"k{n}", sender=f"P{n} <p{n}@example.net>")[0] for n in range(400)]
    names = [f"k{n}-v1-1@example.org" for n in range(400)]
    ties = [
        mail("Re: all", "Hello.\n", f"tie-{n}@example.com", sender=EVE, in_reply_to=names[n], references=names[:n])
        for n in range(0, 400, 10)
    ]
    world.post([*many, *ties, *series(old_name("a"))])
    world.wait(hours=2)
    assert len(world.run()) == 1
    with world.ledger() as ledger:
        assert max(len(ledger.thread(name)) for name in names[1:]) <= 7  # itself and those that answer it


def test_a_patch_with_two_thousand_references_is_answered(world: World) -> None:
    names = [f"ref-{n}@example.com" for n in range(2000)]
    (raw,) = series(old_name("a"))
    lines = "References: " + "\n ".join(f"<{name}>" for name in names)
    world.post([raw.replace(b"To: linux", lines.encode() + b"\nTo: linux")])
    world.wait(hours=2)
    (sent,) = world.run()
    assert str(sent.message["References"]).split()[-1] == f"<{FIRST}>"
    assert len(sent.data.partition(b"\n\n")[0]) < 20_000


def test_mails_that_answer_each_other_in_a_circle_are_a_thread(world: World) -> None:
    (patch,) = series(old_name("a"))
    ring = [
        mail("Re: x", "Hello.\n", f"ring-{n}@x", sender=EVE, in_reply_to=f"ring-{(n + 1) % 9}@x", references=[FIRST])
        for n in range(9)
    ]
    world.post([patch.replace(b"To: linux", b"In-Reply-To: <ring-0@x>\nTo: linux"), *ring])
    world.wait(hours=2)
    assert len(world.run()) == 1


@pytest.mark.parametrize("together", [False, True])
def test_the_first_mail_under_a_message_id_counts(world: World, together: bool) -> None:
    (patch,) = series(old_name("a"))
    other = patch.replace(old_name("a").encode(), raw_call("b").encode())
    world.post([patch])
    if not together:
        world.run()
    world.post([other])
    world.wait(hours=2)
    (sent,) = world.run()
    assert OLD_NAME in sent.text
    assert RAW_CALL not in sent.text


def test_two_mails_under_one_message_id_on_two_lists_are_one_posting(tmp_path: Path) -> None:
    more = '[source.other]\ngit = "{directory}/other"\nlist = "other@lists.example.org"\n'
    world = World(tmp_path, _config(more=more))
    (patch,) = series(old_name("a"))
    world.post([patch])
    world.post_to("other", [patch.replace(old_name("a").encode(), raw_call("b").encode()).replace(b"ada@", b"eve@")])
    world.wait(hours=2)
    world.run()
    world.wait(hours=2)
    world.run()
    assert len(world.out) <= 1


def test_who_takes_our_message_id_only_keeps_one_mail_back(world: World) -> None:
    # with [reply] salt nobody can tell it beforehand
    world.post(series(old_name("a")))
    world.wait(hours=2)
    (sent,) = world.run()
    other = World(world.directory / "other")
    stolen = mail("Re: x", "Hello.\n", sent.message_id, sender=EVE)
    other.post([stolen, *series(old_name("a")), *series(raw_call("b"), key="second")])
    other.wait(hours=2)
    assert [one.message["In-Reply-To"] for one in other.run()] == ["<second-v1-1@example.org>"]
    salted = World(world.directory / "salted", _config().replace("[policy]", 'salt = "secret"\n[policy]'))
    salted.post([stolen, *series(old_name("a"))])
    salted.wait(hours=2)
    assert len(salted.run()) == 1


# --- what breaks parsers --------------------------------------------------------------------------


def test_mails_that_cannot_be_read_cost_only_themselves(world: World) -> None:
    head = b"From: eve@example.com\nSubject: [PATCH] x\nMessage-ID: <%b@x>\nTo: linux-mm@example.org\n"
    deep = b"(" * 5000
    odd = [
        b"",
        b"\x00" * 1000,
        b"no header at all\n\nbody\n",
        head % b"1" + b"Content-Type: multipart/mixed; boundary=\n\n--\n--\n",
        head % b"2" + b"Content-Type: text/plain; charset=\xff\xfe\n\nx\n",
        head % b"3" + b"Content-Transfer-Encoding: base64\n\n====\n",
        head % b"4" + b"Cc: " + deep + b"\n\nx\n",
        head.replace(b"eve@", deep + b"@") % b"5" + b"\nx\n",
        head % b"6" + b"Content-Type: message/rfc822\n\n" * 500,
        head % b"7" + b"Date: Mon, 99 Foo 99999 99:99:99 +9999\n\n" + old_name("x").encode(),
        head % b"8" + b"\n" + old_name("x").replace("@@ -10,3", "@@ -99999999999999999999,3").encode(),
        head % b"9" + b"\n" + old_name("x").replace(",6 @@", ",600000000 @@").encode(),
        head % b"10" + b"\n" + b"diff --git a/x b/x\n" * 2000,
    ]
    world.post([*odd[:6], *series(old_name("a")), *odd[6:]])
    world.wait(hours=2)
    assert FIRST in [str(sent.message["In-Reply-To"]).strip("<>") for sent in world.run()]
    world.wait(hours=48)
    world.run()
    assert world.reasons("waiting") == []


def test_a_bug_on_one_posting_does_not_stop_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def review(series: Series, *rest: Any) -> Review:
        if "k1" in series.subject:
            raise RecursionError("\x1b[31mtoo deep")
        return engine.review(series, *rest)

    monkeypatch.setattr("reviewbot.bot.weighing.review", review)
    world.post([series(old_name(f"f{n}"), key=f"k{n}", minute=n)[0] for n in range(3)])
    world.wait(hours=2)
    with pytest.raises(AssertionError):  # it is a trouble of the pass
        world.run()
    assert len(world.out) == 2
    assert world.reasons() == [("k1-v1-1@example.org", Reason.UNREADABLE)]
    world.wait(hours=2)
    assert world.run() == []


def test_huge_mails_are_passed_by_quickly(world: World) -> None:
    (patch,) = series(old_name("a"))
    big = b"x" * 60 + b"\n"
    added = "".join(f"+\tline_{n} = {n};\n" for n in range(60_000))
    hunk = f"@@ -10,3 +10,{60_003} @@ int f(void)\n \tint ret;\n \n{added} \treturn ret;\n"
    head = "diff --git a/drivers/misc/h.c b/drivers/misc/h.c\n--- a/drivers/misc/h.c\n+++ b/drivers/misc/h.c\n"
    huge = mail("[PATCH] misc: huge", f"Huge.\n\n---\n\n{head}{hunk}", "huge@x", sender=EVE)
    words = mail("[PATCH] misc: words", "Words.\n" + big.decode() * 80_000, "words@x", sender=EVE)
    line = mail("[PATCH] misc: line", "Line.\n---\n" + diff("l", "y" * 5_000_000), "line@x", sender=EVE)
    talk = reply(patch, "talk@x", "> " + "z" * 5_000_000 + "\n\n" + "word " * 100_000, sender=EVE)
    begin = time.process_time()
    world.post([huge, words, line, talk, patch])
    world.wait(hours=2)
    assert [str(sent.message["In-Reply-To"]) for sent in world.run()] == [f"<{FIRST}>"]
    # not a measure: a quadratic step in any of it takes minutes
    assert time.process_time() - begin < 60 or "pytest_cov" in sys.modules


def test_a_patch_with_nul_and_terminal_escapes_is_answered_without_them(world: World) -> None:
    (patch,) = series(old_name("a"))
    world.post([patch.replace(b"ret = lumen_walk(mm);", b"ret = \x00\x1b[2J\x9blumen\xe2\x80\xae_walk(mm);")])
    world.wait(hours=2)
    for sent in islice(world.run(), 5):
        assert not set(sent.data) & {0, 0x1B, 0x0D}


def test_no_more_than_one_mail_goes_to_many_recipients(world: World) -> None:
    copied = ", ".join(f"P{n} <p{n}@example.com>" for n in range(5000))
    world.post(series(old_name("a"), headers=[f"Cc: {copied}"]))
    world.wait(hours=2)
    (sent,) = world.run()
    assert len(sent.recipients) <= 501
    assert world.states() == [MailState.SENT]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Message-ID: <odd", b"Message-ID: <\xffodd"),
        (b"Subject: [PATCH]", b"Subject: [PATCH] =?utf-7?q?+2AA-?="),
        (b"Subject: [PATCH]", b"Subject: [PATCH] \\ud800 =?utf-8?q?x?="),
        (b"\n\nWalk", b'\nContent-Type: text/plain; charset="utf-7"\n\nchange-id: +2AA-\n\nWalk'),
        (b"From: ", b"From: =?utf-7?q?+2AA-?= "),
    ],
)
def test_half_a_character_stops_nothing(world: World, old: bytes, new: bytes) -> None:
    (odd,) = series(clean("b"), key="odd")
    assert old in odd
    world.post([odd.replace(old, new, 1), *series(old_name("a"))])
    world.wait(hours=2)
    assert [sent.message["In-Reply-To"] for sent in world.run()] == ["<lumen-v1-1@example.org>"]
    assert world.run() == []


SECOND = """\
[source.aaa]
git = "{directory}/aaa"
list = "linux-aaa@example.org"
[list."linux-aaa@example.org"]
mode = "author+list"
send = "auto"
"""


def test_what_a_second_archive_has_under_the_same_name_changes_no_reply(tmp_path: Path) -> None:
    world = World(tmp_path, "")
    world.file.write_text(world.file.read_text() + SECOND.replace("{directory}", str(tmp_path)))
    world.post_to("aaa", [])
    world.post(series(old_name("a")))
    world.run()
    forged = series(old_name("evil"), sender="Eve <eve@example.com>")[0]
    world.post_to("aaa", [forged.replace(b"To: linux-mm@", b"To: victim@innocent.example, linux-mm@")])
    world.wait(hours=2)
    (sent,) = world.run()
    assert sent.recipients == ("ada@example.org", "linux-mm@example.org")
    assert "drivers/misc/a.c" in sent.text


@pytest.mark.parametrize("days", [-20_000, -30, 30])
def test_one_pass_with_a_wrong_clock_loses_nothing(world: World, days: int) -> None:
    world.post(series(old_name("a")))
    if days > 0:
        world.run()
    right = world.now
    world.wait(days=days)
    assert world.run() == []
    world.now = right
    world.wait(hours=3)
    assert len(world.run()) == 1


def test_an_archive_that_cannot_be_read_for_a_day_loses_nothing(world: World) -> None:
    world.post(series(old_name("a")))
    world.run()
    epoch, away = world.archive / "git" / "0.git", world.directory / "away"
    epoch.rename(away)
    subprocess.run(["git", "init", "-q", "--bare", str(epoch)], check=True)  # a mirror that is being made anew
    for hours in (2, 25):
        world.wait(hours=hours)
        with pytest.raises(AssertionError):  # the pass tells of its trouble
            world.run()
    shutil.rmtree(epoch)
    away.rename(epoch)
    world.wait(hours=1)
    assert len(world.run()) == 1


@pytest.mark.parametrize("change", ["change-id: 20241120-lumen-1\n", ""])
def test_who_takes_a_series_over_is_not_told_again(world: World, change: str) -> None:
    notes = [change] if change else []
    world.post(series(old_name("a"), notes=notes))
    world.wait(hours=2)
    assert len(world.run()) == 1
    above = None if change else "lumen-v1-1@example.org"
    world.post(series(old_name("a"), revision=2, sender="Bo <bo@example.net>", notes=notes, above=above))
    world.wait(hours=2)
    assert world.run() == []
    assert ("lumen-v2-1@example.org", Reason.ALREADY_SAID) in world.reasons()


def test_a_newer_revision_with_a_date_of_1970_is_newer(world: World) -> None:
    world.post(series(old_name("a")))
    world.run()
    world.wait(minutes=50)
    (second,) = series(clean("a"), revision=2)
    world.post([re.sub(rb"(?m)^Date: .*$", b"Date: Thu, 01 Jan 1970 00:00:00 +0000", second)])
    world.wait(minutes=40)
    assert world.run() == []
    assert ("lumen-v1-1@example.org", Reason.SUPERSEDED) in world.reasons()


def test_of_one_sender_only_so_many_postings_are_looked_at_in_a_day(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reviewbot.bot._POSTINGS", 3)
    world.post([mail for n in range(6) for mail in series(clean(f"c{n}"), key=f"flood{n}")])
    world.wait(hours=2)
    world.run()
    assert [reason for _, reason in world.reasons()] == [Reason.NOTHING_FOUND] * 3
    assert [reason for _, reason in world.reasons("waiting")] == [Reason.CAP_AUTHOR] * 3


def test_a_reference_list_of_megabytes_costs_little(world: World) -> None:
    chain = "References: " + "\n ".join(f"<{n}-{'x' * 40}@example.net>" for n in range(40_000))
    world.post(series(old_name("a"), headers=[chain]))
    world.wait(hours=2)
    (sent,) = world.run()
    assert len(sent.message["References"]) < 32_768


def test_a_bug_on_one_mail_that_is_due_does_not_stop_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.post([*series(old_name("a")), *series(old_name("b"), key="other", sender="Bo <bo@example.net>")])
    world.wait(hours=2)
    weigh = Weighing.weigh

    def broken(self: Weighing, name: str, row: Outgoing | None = None, *, manual: bool = False) -> Weighed:
        if row is not None and name.startswith("lumen"):
            raise OverflowError("too much")
        return weigh(self, name, row, manual=manual)

    monkeypatch.setattr(Weighing, "weigh", broken)
    with pytest.raises(AssertionError):  # the pass tells of it
        world.run()
    assert [sent.message["In-Reply-To"] for sent in world.out] == ["<other-v1-1@example.org>"]
    monkeypatch.undo()
    world.wait(hours=2)
    assert len(world.run()) == 1


def test_drafts_for_one_list_do_not_silence_another(tmp_path: Path) -> None:
    world = World(tmp_path)
    text = world.file.read_text().replace("[policy]\n", "[policy]\nmax-per-day = 2\n")
    world.file.write_text(text + SECOND.replace("{directory}", str(tmp_path)).replace('"author+list"', '"draft"'))
    people = [f"P{n} <p{n}@example.net>" for n in range(4)]
    drafts = [m for n, who in enumerate(people) for m in series(old_name(f"d{n}"), key=f"d{n}", sender=who)]
    world.post_to("aaa", [raw.replace(b"To: linux-mm@", b"To: linux-aaa@") for raw in drafts])
    world.wait(minutes=5)
    world.post(series(old_name("a")))
    world.wait(hours=2)
    assert len(world.run()) == 1
