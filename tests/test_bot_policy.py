# SPDX-License-Identifier: GPL-2.0-or-later
"""Passes under every setting: what goes out, what does not and which reason the ledger and the events give."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from mails import mail, reply
from world import LIST, OLD_NAME, RAW_CALL, World, clean, diff, old_name, raw_call, series

from reviewbot import engine
from reviewbot.finding import Finding, Review
from reviewbot.ledger import FindingState, MailState
from reviewbot.model import Confidence, Severity
from reviewbot.policy import Reason
from reviewbot.send import Outcome, Result

NET = "netdev@lists.example.org"
ADA = "ada@example.org"
FIRST = "lumen-v1-1@example.org"
FROM = 'sender = "reviewbot <bot@reviews.example>"\n'


def config(
    *,
    sender: str = FROM,
    policy: str = "",
    mode: str = "author+list",
    send: str = "auto",
    table: str = "",
    more: str = "",
) -> str:
    """Settings for LIST; `more` are further tables."""
    return (
        f'[reply]\n{sender}[policy]\nwait = "1h"\n{policy}[source.walk]\ngit = "{{archive}}"\nlist = "{LIST}"\n'
        f'[list."{LIST}"]\nmode = "{mode}"\nsend = "{send}"\n{table}{more}'
    )


def net(mode: str = "author+list", send: str = "auto", table: str = "") -> str:
    """A second list."""
    return f'[list."{NET}"]\nmode = "{mode}"\nsend = "{send}"\n{table}'


CC_NET = [f"Cc: {NET}"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, config())


def approve(world: World, number: int = 1) -> None:
    """As `reviewbot queue approve` does before it delivers."""
    with world.ledger() as ledger:
        ledger.move(number, MailState.READY, manual=True)


# --- every reason is written down -----------------------------------------------------------------

AT_THE_MAIL = [
    (series(old_name("a"), headers=["Auto-Submitted: auto-generated"])[0], Reason.ROBOT),
    (mail("Re: [PATCH] misc: lumen", "> x\n\nNo.\n", FIRST), Reason.REPLY),
    (mail("[GIT PULL] misc", "are available in the git repository at:\n", FIRST), Reason.PULL_REQUEST),
    (mail("[ANNOUNCE] lumen 2", "It is there.\n", FIRST), Reason.ANNOUNCEMENT),
    (series(old_name("a"), prefix="PATCH 6.1.y")[0], Reason.STABLE),
    (series(old_name("a"), prefix="PATCH iproute2")[0], Reason.OTHER_PROJECT),
    (mail("lumen does not walk", "It stands.\n", FIRST), Reason.NOT_A_PATCH),
    (series(old_name("a"), sender="Nobody")[0], Reason.NO_AUTHOR),
    (series(old_name("a"), sender="Otto <otto@quiet.example>")[0], Reason.OPTED_OUT),
    (series(old_name("a"), headers=["Cc: security@kernel.org"])[0], Reason.EMBARGOED),
    (series(old_name("a"), sender="reviewbot <bot@reviews.example>")[0], Reason.OWN_MAIL),
]


@pytest.mark.parametrize(("raw", "reason"), AT_THE_MAIL, ids=[reason for _, reason in AT_THE_MAIL])
def test_what_a_mail_is_decides_by_itself(tmp_path: Path, raw: bytes, reason: Reason) -> None:
    world = World(tmp_path, config(policy='opted-out = ["*@quiet.example"]\n'))
    world.post([raw])
    world.run()
    told = [] if reason in (Reason.NOT_A_PATCH, Reason.OWN_MAIL) else [(FIRST, reason)]
    assert world.reasons() == told
    with world.ledger() as ledger:
        found = ledger.mail_reason(FIRST)
        assert found is not None
        assert found[1] == reason
        assert reason in dict(ledger.skipped())
    world.wait(hours=30)
    assert world.run() == []


def silent(*mails: bytes, reason: Reason, what: str = "skipped", **settings: str) -> object:
    return pytest.param(mails, settings, reason, what, id=reason)


PATCH = series(old_name("a"))[0]
TWO = series(old_name("a"), clean("b"))


@pytest.mark.parametrize(
    ("mails", "settings", "reason", "what"),
    [
        silent(PATCH, mode="off", reason=Reason.LIST_OFF),
        silent(series(old_name("a"), headers=["Cc: dev@lists.else.example"])[0], reason=Reason.UNKNOWN_LIST),
        silent(series(old_name("a"), prefix="PATCH RFC")[0], reason=Reason.RFC),
        silent(
            PATCH.replace(b"drivers/misc/a.c", b"tcpip/lwip/a.c"), reason=Reason.OTHER_PROJECT
        ),
        silent(*TWO[:2], reason=Reason.INCOMPLETE, what="waiting"),
        silent(PATCH, table='wait = "1d"\n', reason=Reason.WAITING, what="waiting"),
        silent(
            PATCH, reply(PATCH, "no@x", "Please ignore this patch, I will resend.", sender=f"Ada <{ADA}>"),
            reason=Reason.RETRACTED,
        ),
        silent(PATCH, reply(PATCH, "yes@x", "Applied to misc-next, thanks!"), reason=Reason.APPLIED),
        silent(
            PATCH, reply(PATCH, "said@x", "> +\tdown_read(&mm->mmap_sem);\n\nThis is called mmap_lock nowadays."),
            reason=Reason.SAID_BY_OTHER,
        ),
        silent(
            series(raw_call("a"), notes=[f"reviewbot: ignore {RAW_CALL} it is a copy"])[0], reason=Reason.ANSWERED
        ),
        silent(PATCH, table='ignore = ["mmap-lock"]\n', reason=Reason.ANSWERED),
        silent(series(clean("a"))[0], reason=Reason.NOTHING_FOUND),
        silent(PATCH, table="max-per-series = 0\n", reason=Reason.CAP_SERIES),
        silent(PATCH, table="max-per-list = 0\n", reason=Reason.CAP_LIST, what="waiting"),
        silent(PATCH, sender="", reason=Reason.NO_SENDER),
        silent(series(old_name("a"), sender=f"Walk <{LIST}>")[0], reason=Reason.NO_AUTHOR),
        silent(PATCH, mode="draft", reason=Reason.DRAFT, what="drafted"),
        silent(PATCH, send="approve", reason=Reason.AWAITING_APPROVAL, what="queued"),
    ],
)  # fmt: skip
def test_what_a_posting_is_decides_and_is_written_down(
    tmp_path: Path, mails: Sequence[bytes], settings: dict[str, str], reason: Reason, what: str
) -> None:
    world = World(tmp_path, config(**settings))
    world.post(mails)
    world.wait(hours=2)
    assert world.run() == []
    assert [why for _, why in world.reasons(what) if why != Reason.REPLY] == [reason]
    assert world.decisions(parse_name(mails))[-1] == reason
    # told and written once
    world.run()
    assert reason not in [why for _, why in world.reasons(what)]
    assert world.decisions(parse_name(mails)).count(reason) == 1


def parse_name(mails: Sequence[bytes]) -> str:
    """The Message-ID of the first mail."""
    return mails[0].partition(b"Message-ID: <")[2].partition(b">")[0].decode()


@pytest.mark.parametrize(
    ("table", "text", "sent"),
    [
        ("", diff("a", "ret = lumen_walk(mm);"), 0),
        ('severity = "error"\n', old_name("a"), 1),
        ('severity = "warning"\n', old_name("a"), 1),
    ],
)
def test_the_least_severity_is_the_lists(tmp_path: Path, table: str, text: str, sent: int) -> None:
    world = World(tmp_path, config(table=table))
    world.post(series(text))
    world.wait(hours=2)
    assert len(world.run()) == sent


def test_what_is_below_the_lists_minimum_is_counted_and_not_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []

    def review(*given: Any) -> Review:
        real = engine.review(*given)
        return real._replace(findings=tuple(weaken(finding) for finding in real.findings))

    def weaken(finding: Finding) -> Finding:
        found.append(finding)
        return finding._replace(severity=severity, confidence=confidence)

    monkeypatch.setattr("reviewbot.bot.weighing.review", review)
    world = World(tmp_path, config())
    severity, confidence = Severity.NOTE, Confidence.HIGH
    world.post(series(old_name("a")))
    world.wait(hours=2)
    assert world.run() == []
    assert found
    assert world.decisions(FIRST)[-1] == Reason.BELOW_MINIMUM
    severity, confidence = Severity.ERROR, Confidence.LOW
    world.post(series(old_name("b"), key="low", minute=300))
    world.wait(hours=2)
    assert world.run() == []
    assert world.decisions("low-v1-1@example.org")[-1] == Reason.BELOW_MINIMUM
    world.configure(config(table='confidence = "low"\n'))
    world.post(series(old_name("c"), key="more", minute=600))
    world.wait(hours=2)
    assert len(world.run()) == 1


def test_a_posting_that_could_not_be_looked_at_for_long_is_too_old(world: World) -> None:
    world.post(series(old_name("a")))
    world.wait(days=8)
    assert world.run() == []
    assert world.decisions(FIRST) == [Reason.TOO_OLD]


def test_a_server_that_says_no_is_believed(world: World) -> None:
    world.result = lambda _sending: Result(Outcome.PERMANENT, 550, "no such user")
    world.post(series(old_name("a")))
    world.wait(hours=2)
    world.run()
    assert world.decisions(FIRST)[-1] == Reason.FAILED
    assert world.reasons("failed") == [(FIRST, Reason.FAILED)]
    world.wait(hours=50)
    world.run()
    assert world.states() == [MailState.FAILED]


def test_a_server_that_says_nothing_leaves_it_open(tmp_path: Path) -> None:
    world = World(tmp_path, config(), archived=False)
    world.result = lambda _sending: Result(Outcome.UNCERTAIN, 0, "no answer")
    world.post(series(old_name("a")))
    world.wait(hours=2)
    world.run()
    assert world.decisions(FIRST)[-1] == Reason.UNCERTAIN
    assert world.reasons("uncertain") == [(FIRST, Reason.UNCERTAIN)]
    world.run()
    assert len(world.out) == 1


def test_while_the_stop_file_is_there_nothing_is_sent(world: World) -> None:
    world.post(series(old_name("a")))
    world.wait(hours=2)
    stop = world.state / "STOP"
    stop.touch()
    for _ in range(2):
        assert world.run() == []
        assert world.reasons("waiting") == [(FIRST, Reason.KILL_SWITCH)]
    assert world.decisions(FIRST) == [Reason.KILL_SWITCH]
    stop.unlink()
    assert len(world.run()) == 1
    assert world.decisions(FIRST) == [Reason.KILL_SWITCH, "sent"]


def test_the_stop_file_may_lie_elsewhere(tmp_path: Path) -> None:
    world = World(tmp_path, config(policy=f'kill-switch = "{tmp_path}/halt"\n'))
    (tmp_path / "halt").symlink_to("nowhere")
    world.post(series(old_name("a")))
    world.wait(hours=2)
    assert world.run() == []


# --- lists ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("walk", "other", "recipients", "states"),
    [
        ("author+list", "author+list", [(ADA, LIST, NET)], [MailState.SENT]),
        ("author+list", "author-only", [(ADA,)], [MailState.SENT]),
        ("author-only", "author+list", [(ADA,)], [MailState.SENT]),
        ("author+list", "draft", [], [MailState.DRAFT]),
        ("author-only", "draft", [], [MailState.DRAFT]),
        ("author+list", "off", [], []),
        ("off", "author+list", [], []),
        ("draft", "off", [], []),
    ],
)
def test_of_two_lists_the_more_restrictive_decides(
    tmp_path: Path, walk: str, other: str, recipients: list[tuple[str, ...]], states: list[MailState]
) -> None:
    world = World(tmp_path, config(mode=walk, more=net(other)))
    world.post(series(old_name("a"), headers=CC_NET))
    world.wait(hours=2)
    assert [sent.recipients for sent in world.run()] == recipients
    assert world.states() == states


@pytest.mark.parametrize("first", ["auto", "approve"])
def test_of_two_lists_one_that_wants_approval_is_enough(tmp_path: Path, first: str) -> None:
    second = {"auto": "approve", "approve": "auto"}[first]
    world = World(tmp_path, config(send=first, more=net(send=second)))
    world.post(series(old_name("a"), headers=CC_NET))
    world.wait(hours=2)
    assert world.run() == []
    assert world.states() == [MailState.QUEUED]


def test_of_two_lists_the_longer_wait_counts(tmp_path: Path) -> None:
    world = World(tmp_path, config(more=net(table='wait = "5h"\n')))
    world.post([*series(old_name("a"), headers=CC_NET), *series(old_name("b"), key="here")])
    world.wait(hours=2)
    assert [sent.message["In-Reply-To"] for sent in world.run()] == ["<here-v1-1@example.org>"]
    world.wait(hours=2, minutes=55)
    assert world.run() == []
    world.wait(minutes=10)
    assert len(world.run()) == 1


def test_what_one_list_does_not_want_is_said_on_none(tmp_path: Path) -> None:
    world = World(tmp_path, config(more=net(table=f'ignore = ["{RAW_CALL}"]\n')))
    world.post(series(old_name("a"), raw_call("b"), headers=CC_NET))
    world.wait(hours=2)
    (sent,) = world.run()
    assert OLD_NAME in sent.text
    assert RAW_CALL not in sent.text


@pytest.mark.parametrize(
    ("unknown", "recipients", "states"),
    [
        ("off", [], []),
        ("draft", [], [MailState.DRAFT]),
        ("author-only", [(ADA,)], [MailState.SENT]),
        ("author+list", [(ADA, LIST)], [MailState.SENT]),
        ("leave-out", [(ADA, LIST)], [MailState.SENT]),
    ],
)
def test_a_list_without_a_table_never_gets_a_copy(
    tmp_path: Path, unknown: str, recipients: list[tuple[str, ...]], states: list[MailState]
) -> None:
    world = World(tmp_path, config(policy=f'unknown-list = "{unknown}"\nsend = "auto"\n'))
    world.post(series(old_name("a"), headers=["Cc: dev@lists.else.example"]))
    world.wait(hours=2)
    assert [sent.recipients for sent in world.run()] == recipients
    assert world.states() == states


def test_rfc_is_answered_where_the_list_wants_it(tmp_path: Path) -> None:
    world = World(tmp_path, config(table="rfc = true\n", more=net()))
    world.post(series(old_name("a"), prefix="RFC PATCH"))
    world.post(series(old_name("b"), key="both", prefix="RFC PATCH", headers=CC_NET))
    world.wait(hours=2)
    assert [sent.message["In-Reply-To"] for sent in world.run()] == [f"<{FIRST}>"]
    assert world.decisions("both-v1-1@example.org")[-1] == Reason.RFC


def test_a_mail_of_two_archives_gets_one_reply(tmp_path: Path) -> None:
    more = '[source.net]\ngit = "{directory}/net"\nlist = "' + NET + '"\n'
    world = World(tmp_path, config(more=net() + more))
    patch = series(old_name("a"), headers=CC_NET)
    world.post_to("net", [])
    world.post(patch)
    world.wait(minutes=30)
    world.run()
    world.post_to("net", [patch[0] + b"_______\nnetdev mailing list\n"])
    world.wait(hours=2)
    (sent,) = world.run()
    assert sent.recipients == (ADA, LIST, NET)
    world.post_to("net", [sent.data])
    for _ in range(2):
        world.wait(hours=3)
        assert world.run() == []
    with world.ledger() as ledger:
        assert len(ledger.places(FIRST)) == 2


def test_an_archive_that_has_it_makes_its_list_count(tmp_path: Path) -> None:
    # sent to the second list by Bcc:
    more = '[source.net]\ngit = "{directory}/net"\nlist = "' + NET + '"\n'
    world = World(tmp_path, config(more=net("off") + more))
    patch = series(old_name("a"))
    world.post_to("net", patch)
    world.post(patch)
    world.wait(hours=2)
    assert world.run() == []
    assert world.decisions(FIRST) == [Reason.LIST_OFF]


# --- one mail, and when ---------------------------------------------------------------------------


def test_more_patches_than_mails_get_one_for_the_series(tmp_path: Path) -> None:
    world = World(tmp_path, config(table="max-per-series = 1\n"))
    world.post(series(old_name("a"), clean("b")))
    world.post(series(old_name("c"), raw_call("d"), key="long"))
    world.wait(hours=2)
    assert [sent.message["In-Reply-To"] for sent in world.run()] == [
        f"<{FIRST}>",
        "<long-v1-0@example.org>",
    ]


def test_a_list_that_wants_one_mail_a_series_gets_one(tmp_path: Path) -> None:
    world = World(tmp_path, config(more=net(table='per = "series"\n')))
    world.post(series(old_name("a"), raw_call("b"), headers=CC_NET))
    world.wait(hours=2)
    assert [sent.message["In-Reply-To"] for sent in world.run()] == ["<lumen-v1-0@example.org>"]


def test_an_authors_cap_waits_for_the_next_day(tmp_path: Path) -> None:
    world = World(tmp_path, config(table="max-per-author = 1\n"))
    world.post([*series(old_name("a")), *series(old_name("b"), key="other", minute=2)])
    world.wait(hours=2)
    assert len(world.run()) == 1
    assert world.reasons("waiting") == [("other-v1-1@example.org", Reason.CAP_AUTHOR)]
    world.wait(hours=20)
    assert world.run() == []
    world.wait(hours=5)
    assert [sent.message["In-Reply-To"] for sent in world.run()] == ["<other-v1-1@example.org>"]


def test_the_days_cap_waits_for_the_next_day(tmp_path: Path) -> None:
    world = World(tmp_path, config(policy="max-per-day = 1\n"))
    world.post([*series(old_name("a")), *series(old_name("b"), key="b", minute=2, sender="Bob <bob@example.net>")])
    world.wait(hours=2)
    assert len(world.run()) == 1
    assert world.reasons("waiting") == [("b-v1-1@example.org", Reason.CAP_DAY)]
    world.wait(hours=25)
    assert len(world.run()) == 1


def test_a_list_that_is_full_leaves_the_others_alone(tmp_path: Path) -> None:
    world = World(tmp_path, config(table="max-per-list = 1\n"))
    senders = [f"P{n} <p{n}@example.net>" for n in range(3)]
    world.post([series(old_name(f"f{n}"), key=f"k{n}", minute=n, sender=who)[0] for n, who in enumerate(senders)])
    world.wait(hours=2)
    assert len(world.run()) == 1
    assert [why for _, why in world.reasons("waiting")] == [Reason.CAP_LIST] * 2


def test_a_series_that_completes_late_waits_anew(world: World) -> None:
    cover, first, second = series(old_name("a"), raw_call("b"))
    world.post([cover, second])
    world.wait(hours=5)
    assert world.run() == []
    world.post([first])
    world.wait(minutes=50)
    assert world.run() == []
    world.wait(minutes=20)
    assert len(world.run()) == 2


def test_a_series_that_never_completes_is_settled(world: World) -> None:
    cover, first, _ = series(old_name("a"), raw_call("b"))
    world.post([cover, first])
    for _ in range(3):
        world.wait(hours=12)
        assert world.run() == []
    assert world.decisions(FIRST)[-1] == Reason.INCOMPLETE
    with world.ledger() as ledger:
        assert ledger.next_due() is None


@pytest.mark.parametrize("order", [(2, 1, 0), (1, 0, 2), (2, 0, 1)])
def test_mails_in_any_order_and_passes_between_give_the_same(world: World, order: Sequence[int]) -> None:
    mails = series(old_name("a"), raw_call("b"))
    for n in order:
        world.post([mails[n]])
        world.run()
        world.wait(minutes=20)
    world.wait(hours=2)
    assert [sent.message["In-Reply-To"] for sent in world.run()] == [f"<{FIRST}>", "<lumen-v1-2@example.org>"]
    assert world.reasons("skipped") == []


def test_a_v1_that_comes_behind_its_v2_is_superseded(world: World) -> None:
    world.post(series(old_name("a"), revision=2, minute=20))
    world.wait(hours=2)
    assert len(world.run()) == 1
    world.post(series(old_name("a"), raw_call("b")))
    world.wait(hours=2)
    assert world.run() == []


# --- between the queue and the way out -------------------------------------------------------------


@pytest.fixture
def waiting(tmp_path: Path) -> World:
    """A mail for a patch waits for a person."""
    world = World(tmp_path, config(send="approve"))
    world.post(series(old_name("a")))
    world.wait(hours=2)
    world.run()
    assert world.states() == [MailState.QUEUED]
    return world


def test_an_approved_mail_goes_out(waiting: World) -> None:
    approve(waiting)
    (sent,) = waiting.run()
    assert sent.recipients == (ADA, LIST)
    assert waiting.decisions(FIRST) == [Reason.AWAITING_APPROVAL, "sent"]


def test_what_is_said_in_the_meantime_withdraws_an_approved_mail(waiting: World) -> None:
    remark = "> +\tdown_read(&mm->mmap_sem);\n\nThis field is called mmap_lock nowadays."
    waiting.post([reply(PATCH, "said@example.net", remark)])
    approve(waiting)
    assert waiting.run() == []
    assert waiting.states() == [MailState.WITHDRAWN]
    assert waiting.decisions(FIRST)[-1] == Reason.SAID_BY_OTHER
    with waiting.ledger() as ledger:
        assert {row.state for row in ledger.findings(1)} == {FindingState.SUPPRESSED}
    # nor is it said of the next revision
    waiting.post(series(old_name("a"), revision=2, minute=300))
    waiting.wait(hours=2)
    waiting.run()
    assert waiting.states() == [MailState.WITHDRAWN]


@pytest.mark.parametrize(
    ("text", "sender", "reason"),
    [
        ("Applied to misc-next, thanks!", "Rex <rex@example.net>", Reason.APPLIED),
        ("Please ignore this patch, I will resend.", f"Ada <{ADA}>", Reason.RETRACTED),
    ],
)
def test_what_is_applied_or_taken_back_in_the_meantime_is_withdrawn(
    waiting: World, text: str, sender: str, reason: Reason
) -> None:
    waiting.post([reply(PATCH, "word@example.net", text, sender=sender)])
    approve(waiting)
    assert waiting.run() == []
    assert waiting.states() == [MailState.WITHDRAWN]
    assert waiting.decisions(FIRST)[-1] == reason


def test_a_newer_revision_withdraws_what_waits(waiting: World) -> None:
    waiting.post(series(old_name("a"), revision=2, minute=300))
    approve(waiting)
    assert waiting.run() == []
    assert waiting.decisions(FIRST)[-1] == Reason.SUPERSEDED
    waiting.wait(hours=2)
    waiting.run()
    assert waiting.states() == [MailState.WITHDRAWN, MailState.QUEUED]


@pytest.mark.parametrize(
    ("mode", "state", "reason"),
    [
        ("off", MailState.WITHDRAWN, Reason.LIST_OFF),
        ("draft", MailState.DRAFT, Reason.DRAFT),
        ("author-only", MailState.SENT, "sent"),
    ],
)
def test_a_list_that_changed_its_mode_in_the_meantime_is_heard(
    waiting: World, mode: str, state: MailState, reason: str
) -> None:
    waiting.configure(config(send="approve", mode=mode))
    approve(waiting)
    assert [sent.recipients for sent in waiting.run()] == ([(ADA,)] if state is MailState.SENT else [])
    assert waiting.states() == [state]
    assert waiting.decisions(FIRST)[-1] == reason


def test_a_list_that_wants_approval_again_gets_no_mail_that_was_ready(world: World) -> None:
    world.post(series(old_name("a")))
    world.wait(hours=2)
    world.result = lambda _sending: Result(Outcome.TRANSIENT, 451, "later")
    world.run()
    assert world.states() == [MailState.READY]
    world.configure(config(send="approve"))
    world.result = lambda _sending: Result(Outcome.SENT, 250, "ok")
    world.wait(hours=2)
    assert world.run() == []
    assert world.states() == [MailState.QUEUED]


@pytest.mark.parametrize("pattern", [ADA, "*@example.org"])
def test_who_is_opted_out_in_the_meantime_gets_no_mail(waiting: World, pattern: str) -> None:
    waiting.configure(config(send="approve", policy=f'opted-out = ["{pattern}"]\n'))
    approve(waiting)
    assert waiting.run() == []
    assert waiting.decisions(FIRST)[-1] == Reason.OPTED_OUT


def test_the_stop_file_stops_what_a_person_approved(waiting: World) -> None:
    (waiting.state / "STOP").touch()
    approve(waiting)
    assert waiting.run() == []
    assert waiting.states() == [MailState.READY]


# --- across revisions ------------------------------------------------------------------------------


def rows(world: World) -> list[tuple[str, FindingState, int, int, int | None]]:
    """(path, state, first, last, fixed in) of the findings of the first series."""
    with world.ledger() as ledger:
        return [(row.path[-3:], row.state, row.first, row.last, row.fixed_in) for row in ledger.findings(1)]


def test_a_series_through_three_revisions(world: World) -> None:
    world.post(series(old_name("a"), raw_call("b")))
    world.wait(hours=2)
    assert len(world.run()) == 2
    assert rows(world) == [
        ("a.c", FindingState.OPEN, 1, 1, None), ("a.c", FindingState.OPEN, 1, 1, None),
        ("b.c", FindingState.OPEN, 1, 1, None), ("b.c", FindingState.OPEN, 1, 1, None),
    ]  # fmt: skip
    # v2 has nothing new: no mail, and what was fixed is kept for the next
    world.post(series(clean("a"), raw_call("b"), revision=2, minute=300))
    world.wait(hours=2)
    assert world.run() == []
    assert world.decisions("lumen-v2-1@example.org")[-1] == Reason.ALREADY_SAID
    assert [row for row in rows(world) if row[0] == "a.c"] == [("a.c", FindingState.FIXED, 1, 1, 2)] * 2
    # v3 brings an old one back, and a new one
    world.post(series(old_name("a"), clean("b"), raw_call("c"), revision=3, minute=600))
    world.wait(hours=2)
    (sent,) = world.run()
    assert sent.message["In-Reply-To"] == "<lumen-v3-3@example.org>"
    assert "Fixed since v2: mmap-lock/raw-rwsem-call in drivers/misc/b.c." in " ".join(sent.text.split())
    assert "drivers/misc/a.c" not in sent.text
    world.post(series(clean("a"), clean("b"), clean("c"), old_name("d"), revision=4, minute=900))
    world.wait(hours=2)
    (sent,) = world.run()
    assert "misc/b.c" not in sent.text  # told once
    with world.ledger() as ledger:
        assert [posting.revision for posting in ledger.postings(1)] == [1, 2, 3, 4]
        assert ledger.check() == ()


def test_a_finding_that_moves_with_a_reroll_is_the_same(world: World) -> None:
    world.post(series(old_name("a")))
    world.wait(hours=2)
    assert len(world.run()) == 1
    moved = old_name("a").replace("@@ -10,3 +10,6 @@", "@@ -410,3 +510,6 @@")
    world.post(series(clean("z"), moved, revision=2, minute=300))
    world.wait(hours=2)
    assert world.run() == []
    assert world.decisions("lumen-v2-1@example.org")[-1] == Reason.ALREADY_SAID


def test_what_waited_and_was_never_mailed_is_not_told_as_fixed(waiting: World) -> None:
    waiting.configure(config())
    waiting.post(series(clean("a"), raw_call("b"), revision=2, minute=300))
    waiting.wait(hours=2)
    (sent,) = waiting.run()
    assert "Fixed" not in sent.text


def test_what_a_person_dropped_is_not_said_again(waiting: World) -> None:
    with waiting.ledger() as ledger:
        ledger.move(1, MailState.DROPPED, Reason.DROPPED)
        for fingerprint in ledger.fingerprints(1):
            ledger.set_finding(1, fingerprint, FindingState.SUPPRESSED)
    waiting.configure(config())
    waiting.wait(hours=2)
    assert waiting.run() == []
    waiting.post(series(old_name("a"), revision=2, minute=300))
    waiting.wait(hours=2)
    assert waiting.run() == []
