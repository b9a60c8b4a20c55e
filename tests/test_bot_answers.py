# SPDX-License-Identifier: GPL-2.0-or-later
"""Passes over answers: who may say what, what proves it, and what the next mail makes of it.

Keys are made here; the mails are signed by patatt itself.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from email.utils import formatdate
from pathlib import Path

import patatt
import pytest
from mails import mail
from nacl.signing import SigningKey
from world import LIST, OLD_NAME, RAW_CALL, World, clean, old_name, raw_call, series

from reviewbot.ledger import AnswerState, FindingState, Ledger, MailState, Posting

ADA, MAX, EVE = "ada@example.org", "max@example.net", "eve@example.com"
KEYS = {who: SigningKey(who.encode().ljust(32)[:32]) for who in (ADA, MAX, EVE)}
FIRST = "lumen-v1-1@example.org"


@pytest.fixture
def world(tmp_path: Path) -> World:
    for who, key in KEYS.items():
        user, domain = who.split("@")
        file = tmp_path / "keys" / "ed25519" / domain / user / "default"
        file.parent.mkdir(parents=True)
        file.write_bytes(base64.b64encode(key.verify_key.encode()))
    world = World(tmp_path)
    text = world.file.read_text().replace("[policy]\n", f'[policy]\nmaintainers = ["{MAX}"]\n')
    world.file.write_text(f'{text}[answers]\ndkim = false\nkeyring = "{tmp_path}/keys"\n')
    return world


def signed(raw: bytes, who: str, key: SigningKey | None = None) -> bytes:
    """With X-Developer-Signature:."""
    # a signature is of its own time, and a mail's date must be near it
    raw = re.sub(rb"(?m)^Date: .*$", b"Date: " + formatdate().encode(), raw, count=1)
    secret = base64.b64encode((key or KEYS[who]).encode())
    return bytes(patatt.sign_message(raw, "ed25519", secret, who, "default"))


def answer(text: str, who: str = ADA, *, to: str = FIRST, name: str = "answer@example.org", day: int = 0) -> bytes:
    """An answer that is not signed."""
    subject = "Re: [PATCH] misc: lumen: step 1"
    return mail(subject, text + "\n", name, sender=f"Somebody <{who}>", in_reply_to=to, minute=200 + 1440 * day)


def said(text: str, who: str = ADA, *, to: str = FIRST, name: str = "answer@example.org") -> bytes:
    """An answer as its sender signed it."""
    return signed(answer(text, who, to=to, name=name), who)


def states(world: World) -> list[AnswerState]:
    with world.ledger() as ledger:
        return [one.state for one in ledger.answers()]


def findings(world: World, name: str = FIRST) -> dict[str, FindingState]:
    """Rule -> what became of it."""
    with world.ledger() as ledger:
        posting = ledger.posting_of(name)
        assert posting is not None
        return {row.rule: row.state for row in ledger.findings(posting.series)}


def first_mail(world: World, *diffs: str) -> None:
    """v1 is answered by us."""
    world.post(series(*(diffs or (old_name("a"),))))
    world.wait(hours=2)
    assert world.run()


def next_revision(world: World, *diffs: str, revision: int = 2, notes: Sequence[str] = ()) -> list[str]:
    """Another revision; the texts of the mails that it gets."""
    world.post(series(*diffs, revision=revision, minute=300 * revision, notes=notes))
    world.wait(hours=2)
    return [sent.text for sent in world.run()]


@pytest.mark.parametrize("who", [ADA, MAX])
@pytest.mark.parametrize("command", ["wontfix", "false-positive"])
def test_a_signed_answer_settles_a_finding(world: World, who: str, command: str) -> None:
    first_mail(world)
    world.post([said(f"reviewbot: {command} {OLD_NAME} the field is a copy", who)])
    world.run()
    assert states(world) == [AnswerState.OBEYED]
    assert world.reasons("answer") == [("answer@example.org", "obeyed")]
    assert findings(world) == {OLD_NAME: FindingState.ANSWERED}
    # also at another place of the series, where it was never mailed
    assert next_revision(world, old_name("a"), old_name("b")) == []
    assert world.decisions("lumen-v2-1@example.org")[-1] in ("already-said", "answered")


def test_another_rule_is_still_spoken_of(world: World) -> None:
    first_mail(world)
    world.post([said(f"reviewbot: wontfix {OLD_NAME} the field is a copy")])
    world.run()
    (text,) = next_revision(world, old_name("a"), raw_call("b"))
    assert RAW_CALL in text
    assert OLD_NAME not in text


def test_an_answer_to_our_own_mail_counts(world: World) -> None:
    first_mail(world)
    world.post([said(f"reviewbot: wontfix {OLD_NAME} the field is a copy", to=world.out[0].message_id)])
    world.run()
    assert findings(world) == {OLD_NAME: FindingState.ANSWERED}


def test_an_answer_before_our_mail_keeps_it_back(world: World) -> None:
    world.post(series(old_name("a")))
    world.run()
    world.post([said(f"reviewbot: wontfix {OLD_NAME} the field is a copy")])
    world.wait(hours=2)
    assert world.run() == []
    assert states(world) == [AnswerState.OBEYED]
    assert world.decisions(FIRST)[-1] == "answered"


def test_an_answer_between_review_and_sending_keeps_the_mail_back(world: World) -> None:
    world.post(series(old_name("a")))
    world.wait(hours=2)
    world.file.write_text(world.file.read_text().replace('send = "auto"', 'send = "approve"'))
    world.run()
    world.post([said(f"reviewbot: wontfix {OLD_NAME} the field is a copy")])
    with world.ledger() as ledger:
        ledger.move(1, MailState.READY, manual=True)
    assert world.run() == []
    assert world.states() == [MailState.WITHDRAWN]
    assert world.decisions(FIRST)[-1] == "answered"


def test_an_answer_in_the_next_revision_below_its_line_counts(world: World) -> None:
    first_mail(world)
    raw = series(old_name("a"), raw_call("b"), revision=2, minute=300, notes=[f"reviewbot: wontfix {OLD_NAME} a copy"])
    world.post([signed(one, ADA) for one in raw])
    world.wait(hours=2)
    (sent,) = world.run()
    assert OLD_NAME not in sent.text.partition("\n-- \n")[0].replace("reviewbot: wontfix", "")
    assert states(world) == [AnswerState.OBEYED]
    assert findings(world) == {OLD_NAME: FindingState.ANSWERED, RAW_CALL: FindingState.OPEN}


def test_an_answer_in_the_cover_letter_counts(world: World) -> None:
    first_mail(world)
    cover, *patches = series(old_name("a"), old_name("c"), revision=2, minute=300)
    cover = cover.replace(b"Walk more.\n", f"Walk more.\n\nreviewbot: wontfix {OLD_NAME} a copy\n".encode())
    world.post([signed(cover, ADA), *patches])
    world.wait(hours=2)
    assert world.run() == []
    assert states(world) == [AnswerState.OBEYED]


def test_fixed_is_noted_and_what_is_still_there_is_not_said_again(world: World) -> None:
    first_mail(world)
    world.post([said("reviewbot: fixed in v2, thanks")])
    world.run()
    assert states(world) == [AnswerState.OBEYED]
    assert findings(world) == {OLD_NAME: FindingState.OPEN}
    (text,) = next_revision(world, clean("a"), raw_call("b"))
    assert f"Fixed since v1: {OLD_NAME}" in text
    assert findings(world) == {OLD_NAME: FindingState.FIXED, RAW_CALL: FindingState.OPEN}


# --- who is not obeyed ----------------------------------------------------------------------------

WONTFIX = f"reviewbot: wontfix {OLD_NAME} the field is a copy"


@pytest.mark.parametrize(
    ("make", "state"),
    [
        (lambda: answer(WONTFIX), AnswerState.UNPROVEN),
        (lambda: answer(WONTFIX, MAX), AnswerState.UNPROVEN),
        (lambda: signed(answer(WONTFIX), ADA, KEYS[EVE]), AnswerState.UNPROVEN),
        (lambda: signed(answer(WONTFIX), EVE, KEYS[EVE]), AnswerState.UNPROVEN),
        (lambda: said(WONTFIX).replace(b"a copy", b"no copy"), AnswerState.UNPROVEN),
        (lambda: said(WONTFIX, EVE), AnswerState.REFUSED),
        (lambda: said("reviewbot: wontfix no/such-rule why"), AnswerState.REFUSED),
        (lambda: said("reviewbot: wontfix"), AnswerState.MALFORMED),
        (lambda: said("reviewbot: rm -rf /"), AnswerState.MALFORMED),
    ],
    ids=["unsigned", "unsigned maintainer", "wrong key", "signed by another", "changed", "stranger", "no rule",
         "no words", "no command"],
)  # fmt: skip
def test_who_is_not_proven_or_may_not_is_recorded_and_not_obeyed(
    world: World, make: Callable[[], bytes], state: AnswerState
) -> None:
    first_mail(world)
    world.post([make()])
    world.run()
    assert states(world) == [state]
    assert findings(world) == {OLD_NAME: FindingState.OPEN}
    assert len(next_revision(world, old_name("a"), old_name("b"))) == 1


@pytest.mark.parametrize(
    "text",
    [
        f"> {WONTFIX}\n\nI disagree.",
        f"Hello,\n\n-----Original Message-----\nFrom: Ada\n\n{WONTFIX}",
        f"Thanks.\n\n-- \n{WONTFIX}",
        f"On a day, Ada <{ADA}> wrote:\n{WONTFIX}",
    ],
)
def test_what_is_quoted_is_nobodys_answer(world: World, text: str) -> None:
    first_mail(world)
    world.post([said(text)])
    world.run()
    assert states(world) == []
    assert findings(world) == {OLD_NAME: FindingState.OPEN}


def test_the_author_of_another_series_answers_only_for_his_own(world: World) -> None:
    first_mail(world)
    world.post(series(clean("b"), key="other", sender=f"Eve <{EVE}>", minute=5))
    world.wait(hours=2)
    world.run()
    both = said(WONTFIX, EVE, to="other-v1-1@example.org")
    world.post([both, said(WONTFIX, EVE, to=FIRST, name="second@example.org")])
    world.run()
    assert states(world) == [AnswerState.OBEYED, AnswerState.REFUSED]
    assert findings(world) == {OLD_NAME: FindingState.OPEN}


def test_who_sends_a_patch_that_was_missing_does_not_speak_for_the_series(world: World) -> None:
    cover, first, second = series(old_name("a"), clean("b"))
    hers = second.replace(b"Ada Ranger <ada@example.org>", f"Eve <{EVE}>".encode())
    world.post([cover, first, hers])
    world.wait(hours=2)
    world.run()
    world.post([said(WONTFIX, EVE)])
    world.run()
    assert states(world) == [AnswerState.REFUSED]


def test_another_mail_under_the_same_name_proves_nothing(world: World) -> None:
    # noted is who the first says he is; the second is proven to be by somebody else
    first_mail(world)
    world.post([answer(WONTFIX), said(WONTFIX, EVE)])
    world.run()
    assert states(world) == [AnswerState.UNPROVEN]
    assert findings(world) == {OLD_NAME: FindingState.OPEN}


def test_another_mail_under_the_same_name_on_another_list_proves_nothing(world: World) -> None:
    world.file.write_text(world.file.read_text() + '[source.aaa]\ngit = "{directory}/aaa"\nlist = "aaa@example.org"\n')
    world.file.write_text(world.file.read_text().replace("{directory}", str(world.directory)))
    world.post_to("aaa", [])
    first_mail(world)
    world.post([answer(WONTFIX)])
    world.post_to("aaa", [said(WONTFIX, EVE)])
    world.run()
    assert states(world) == [AnswerState.UNPROVEN]
    assert findings(world) == {OLD_NAME: FindingState.OPEN}


def test_an_answer_that_is_posted_again_elsewhere_is_nobodys(world: World) -> None:
    # the signature holds In-Reply-To: together with the words, and the Message-ID
    first_mail(world)
    world.post(series(old_name("z"), key="other", minute=5))
    world.wait(hours=2)
    world.run()
    genuine = said(WONTFIX)
    moved = genuine.replace(FIRST.encode(), b"other-v1-1@example.org")
    world.post([moved.replace(b"<answer@", b"<moved@"), genuine.replace(b"<answer@", b"<again@")])
    world.run()
    assert states(world) == [AnswerState.UNPROVEN, AnswerState.UNPROVEN]


# --- stop and start -------------------------------------------------------------------------------


def test_an_author_who_says_stop_gets_no_mail_about_anything(world: World) -> None:
    first_mail(world)
    world.post([said("reviewbot: stop")])
    world.run()
    assert next_revision(world, raw_call("a")) == []
    assert world.decisions("lumen-v2-1@example.org")[-1] == "opted-out"
    world.post(series(old_name("b"), key="other", minute=700))
    world.post(series(old_name("c"), key="his", minute=700, sender=f"Bob <{EVE}>"))
    world.wait(hours=2)
    assert [sent.recipients for sent in world.run()] == [(EVE, LIST)]
    world.post([said("reviewbot: start", name="start@example.org")])
    world.run()
    assert len(next_revision(world, raw_call("d"), revision=3)) == 1


def test_a_mail_that_waits_is_not_sent_to_who_said_stop(world: World) -> None:
    world.file.write_text(world.file.read_text().replace('send = "auto"', 'send = "approve"'))
    world.post(series(old_name("a")))
    world.wait(hours=2)
    world.run()
    world.post([said("reviewbot: stop")])
    with world.ledger() as ledger:
        ledger.move(1, MailState.READY, manual=True)
    assert world.run() == []
    assert (FIRST, "opted-out") in world.reasons()
    assert world.states() == [MailState.WITHDRAWN]


def test_a_maintainer_stops_one_series_and_starts_it_again(world: World) -> None:
    first_mail(world)
    world.post([said("reviewbot: stop", MAX)])
    world.run()
    assert next_revision(world, raw_call("a")) == []
    assert world.decisions("lumen-v2-1@example.org")[-1] == "opted-out"
    world.post(series(old_name("b"), key="other", minute=700))
    world.wait(hours=2)
    assert len(world.run()) == 1
    # the author takes back what is hers alone
    world.post([said("reviewbot: start", name="hers@example.org")])
    world.run()
    assert next_revision(world, raw_call("c"), revision=3) == []
    world.post([said("reviewbot: start", MAX, name="his@example.org")])
    world.run()
    assert len(next_revision(world, raw_call("d"), revision=4)) == 1


def test_a_maintainer_does_not_take_back_that_an_author_wants_no_mail(world: World) -> None:
    first_mail(world)
    world.post([said("reviewbot: stop")])
    world.run()
    world.post([said("reviewbot: start", MAX, name="his@example.org")])
    world.run()
    assert states(world) == [AnswerState.OBEYED, AnswerState.OBEYED]
    assert next_revision(world, raw_call("b")) == []


@pytest.mark.parametrize("make", [lambda: answer("reviewbot: stop"), lambda: said("reviewbot: stop", EVE)])
def test_nobody_can_stop_mail_to_somebody_else(world: World, make: Callable[[], bytes]) -> None:
    first_mail(world)
    world.post([make()])
    world.run()
    assert len(next_revision(world, raw_call("b"))) == 1


def test_thousands_of_answers_to_nothing_are_not_read_for_every_posting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.post([answer("reviewbot: stop", to=f"{n}@example.com", name=f"{n}@example.net") for n in range(200)])
    world.post([one for n in range(10) for one in series(clean("a"), key=f"k{n}", minute=n)])
    world.wait(hours=2)
    asked: list[str] = []
    real = Ledger.answered

    def answered(self: Ledger, name: str) -> Posting | None:
        asked.append(name)
        return real(self, name)

    monkeypatch.setattr(Ledger, "answered", answered)
    world.run()
    assert len(world.reasons()) >= 10
    assert len(asked) <= 3 * 200  # a few times a pass
    assert states(world) == [AnswerState.NEW] * 200
    world.wait(days=31)
    world.run()
    assert set(states(world)) == {AnswerState.REFUSED}


def test_on_a_list_that_writes_its_own_from_nobody_speaks_for_the_author(tmp_path: Path, world: World) -> None:
    key = SigningKey(LIST.encode().ljust(32)[:32])
    user, domain = LIST.split("@")
    file = tmp_path / "keys" / "ed25519" / domain / user / "default"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(base64.b64encode(key.verify_key.encode()))
    munged = f'"Ada Ranger via linux-mm" <{LIST}>'
    world.post(series(old_name("a"), sender=munged, headers=[f"Reply-To: Ada Ranger <{ADA}>"]))
    stop = answer("reviewbot: stop", LIST)
    world.post([signed(stop.replace(b"Somebody", b'"Eve via linux-mm"'), LIST, key)])
    world.wait(hours=2)
    assert [sent.recipients for sent in world.run()] == [(ADA, LIST)]
    assert states(world) == [AnswerState.REFUSED]
    with world.ledger() as ledger:
        assert ledger.opted_out() == []


def test_who_names_somebody_else_as_author_in_the_body_does_not_speak_for_his_series(world: World) -> None:
    (eves,) = series(clean("zz"), key="eve", sender=f"Eve <{EVE}>")
    eves = eves.replace(b"misc: eve: step 1", b"misc: lumen: step 1")
    world.post([eves.replace(b"\nWalk step", f"\nFrom: Ada Ranger <{ADA}>\n\nWalk step".encode(), 1)])
    world.post([said("reviewbot: wontfix mmap-lock because I say so", EVE, to="eve-v1-1@example.org")])
    world.post(series(old_name("a")))
    world.wait(hours=2)
    assert [sent.recipients for sent in world.run()] == [(ADA, LIST)]


def test_a_line_that_is_no_command_is_kept_with_the_reason(world: World) -> None:
    first_mail(world)
    world.post([said("reviewbot: wontfx ML01 because")])
    world.run()
    with world.ledger() as ledger:
        posting = ledger.posting_of(FIRST)
        assert posting is not None
        assert [one.state for one in ledger.answers(posting.series)] == [AnswerState.MALFORMED]
