# SPDX-License-Identifier: GPL-2.0-or-later
"""reviewbot.bot: passes over an archive, one after the other: what is said, to whom, and how often."""

from __future__ import annotations

from pathlib import Path

import pytest
from mails import mail, reply
from world import LIST, OLD_NAME, World, clean, old_name, raw_call, series

from reviewbot.ledger import MailState
from reviewbot.policy import Reason


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_finding_is_mailed_to_author_and_list_after_the_wait(world: World) -> None:
    world.post(series(old_name("a")))
    assert world.run() == []
    world.wait(hours=2)
    (sent,) = world.run()
    assert sent.recipients == ("ada@example.org", LIST)
    assert sent.sender == "bot@reviews.example"
    assert sent.message["In-Reply-To"] == "<lumen-v1-1@example.org>"
    assert OLD_NAME in sent.text
    assert world.states() == [MailState.SENT]


def test_the_next_passes_send_nothing(world: World) -> None:
    world.post(series(old_name("a"), raw_call("b")))
    world.wait(hours=2)
    assert len(world.run()) == 2
    for _ in range(3):
        world.wait(hours=5)
        assert world.run() == []


def test_nothing_found_is_no_mail(world: World) -> None:
    world.post(series(clean("a")))
    world.wait(hours=2)
    assert world.run() == []
    assert world.reasons() == [("lumen-v1-1@example.org", Reason.NOTHING_FOUND)]


def test_what_is_fixed_is_said_once_and_what_is_still_there_is_not_said_again(world: World) -> None:
    world.post(series(old_name("a"), raw_call("b")))
    world.wait(hours=2)
    assert len(world.run()) == 2
    # v2 mends the one, keeps the other, and has a new one: which alone is said
    world.post(series(clean("a"), raw_call("b"), old_name("c"), revision=2))
    world.wait(hours=2)
    (sent,) = world.run()
    assert sent.message["In-Reply-To"] == "<lumen-v2-3@example.org>"
    assert "Fixed since v1: mmap-lock/direct-mmap-sem in drivers/misc/a.c." in sent.text
    assert "2 findings of earlier revisions are still there and not repeated" in sent.text.replace("\n", " ")
    world.post(series(clean("a"), raw_call("b"), clean("c"), old_name("d"), revision=3))
    world.wait(hours=2)
    (sent,) = world.run()
    assert "drivers/misc/a.c" not in sent.text
    assert "Fixed since v2: mmap-lock/direct-mmap-sem in drivers/misc/c.c." in sent.text


def test_a_new_revision_without_anything_new_gets_no_mail(world: World) -> None:
    world.post(series(old_name("a")))
    world.wait(hours=2)
    assert len(world.run()) == 1
    world.post(series(old_name("a"), revision=2))
    world.wait(hours=2)
    assert world.run() == []
    assert world.reasons() == [("lumen-v2-1@example.org", Reason.ALREADY_SAID)]


def test_a_posting_that_was_superseded_while_it_waited_gets_no_mail(world: World) -> None:
    world.post(series(old_name("a")))
    world.run()
    world.post(series(old_name("a"), revision=2, minute=20))
    world.wait(hours=2)
    (sent,) = world.run()
    assert sent.message["In-Reply-To"] == "<lumen-v2-1@example.org>"
    assert ("lumen-v1-1@example.org", Reason.SUPERSEDED) in world.reasons()


def test_an_incomplete_series_waits_for_the_rest(world: World) -> None:
    cover, first, second = series(old_name("a"), clean("b"))
    world.post([second, cover])
    world.wait(hours=2)
    assert world.run() == []
    assert world.reasons("waiting") == [("lumen-v1-0@example.org", Reason.INCOMPLETE)]
    world.wait(hours=6)
    world.post([first])
    world.wait(hours=2)
    (sent,) = world.run()
    assert sent.message["In-Reply-To"] == "<lumen-v1-1@example.org>"


def test_what_somebody_says_between_review_and_sending_stops_the_mail(world: World) -> None:
    patch = series(old_name("a"))
    world.post(patch)
    world.wait(hours=2)
    remark = "> +\tdown_read(&mm->mmap_sem);\n\nThis field is called mmap_lock nowadays, please rebase."
    world.post([reply(patch[0], "review@example.net", remark)])
    assert world.run() == []
    assert ("lumen-v1-1@example.org", Reason.SAID_BY_OTHER) in world.reasons()


def test_approval_is_the_default_and_the_mail_waits(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.file.write_text(world.file.read_text().replace('send = "auto"\n', ""))
    world.post(series(old_name("a")))
    world.wait(hours=2)
    assert world.run() == []
    assert world.states() == [MailState.QUEUED]
    world.wait(hours=2)
    assert world.run() == []


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (mail("[GIT PULL] mm", "for you to fetch changes up to x\n", "x@example.org"), Reason.PULL_REQUEST),
        (mail("Re: [PATCH] x", old_name("a"), "x@example.org"), Reason.REPLY),
        (series(old_name("a"), sender="syzbot <syzbot@syzkaller.appspotmail.com>")[0], Reason.ROBOT),
        (series(old_name("a"), prefix="PATCH ndctl")[0], Reason.OTHER_PROJECT),
        (series(old_name("a"), prefix="PATCH 5.10.y")[0], Reason.STABLE),
        (series(old_name("a"), prefix="RFC PATCH")[0], Reason.RFC),
        (series(old_name("a"), headers=["Cc: other-devel@lists.example.net"])[0], Reason.UNKNOWN_LIST),
        (series(old_name("a"), headers=["Cc: security@kernel.org"])[0], Reason.EMBARGOED),
        (series(old_name("a"), headers=["Auto-Submitted: auto-generated"])[0], Reason.ROBOT),
        (series(old_name("a"), sender="reviewbot <bot@reviews.example>")[0], None),
    ],
)
def test_these_mails_are_never_answered(world: World, raw: bytes, reason: Reason | None) -> None:
    world.post([raw])
    world.wait(hours=2)
    assert world.run() == []
    assert [why for _, why in world.reasons()] == ([reason] if reason else [])


def test_who_posts_in_answer_to_every_mail_of_ours_gets_no_more_of_them(world: World) -> None:
    world.post(series(old_name("a"), key="turn0"))
    above: list[str] = []
    for turn in range(1, 9):
        world.wait(hours=30)
        above += [sent.message_id for sent in world.run()]
        chain = f"References: {' '.join(f'<{name}>' for name in above)}"
        world.post(series(old_name(f"a{turn}"), key=f"turn{turn}", headers=[chain, f"In-Reply-To: <{above[-1]}>"]))
    assert len(above) == 5
    assert ("turn7-v1-1@example.org", Reason.ROBOT) in world.reasons()
