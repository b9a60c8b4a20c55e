# SPDX-License-Identifier: GPL-2.0-or-later
"""reviewbot.ledger: what one SQLite file promises, without a pass around it."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reviewbot.ledger import (
    LEASE,
    MIGRATIONS,
    AnswerState,
    FindingState,
    Ledger,
    LedgerError,
    MailRow,
    MailState,
    Posting,
    Seen,
)
from reviewbot.mail import fold_title

NOW = datetime(2024, 11, 20, 12, tzinfo=UTC)
ANN, EVE = "ann@example.org", "eve@example.net"
OURS = "reviewbot.patch.0@reviews.example"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger(path) as opened:
        yield opened


def add(
    ledger: Ledger,
    name: str,
    *,
    sender: str = ANN,
    title: str = "walk more",
    kind: str = "patch",
    counter: int | None = None,
    change: str | None = None,
    answers: Sequence[str] = (),
    due: datetime | None = NOW,
    arrived: datetime = NOW,
    source: str = "walk",
    place: str = "0:aa",
) -> bool:
    """Note a mail."""
    row = MailRow(name, arrived, sender, fold_title(title), kind, counter, 1, change, tuple(answers), due)
    return ledger.add_mail(row, source, place)


def post(
    ledger: Ledger,
    name: str,
    *,
    revision: int = 1,
    author: str = ANN,
    title: str = "walk more",
    change: str | None = None,
    answers: Sequence[str] = (),
    arrived: datetime = NOW,
    members: Sequence[str] = (),
) -> Posting:
    """Note a posting."""
    return ledger.add_posting(
        [name, *members], revision=revision, subject=title, author=author, titles=[fold_title(title)],
        change_id=change, answers=answers, arrived=arrived,
    )  # fmt: skip


def put(
    ledger: Ledger,
    posting: Posting,
    name: str = OURS,
    *,
    state: MailState = MailState.READY,
    author: str = ANN,
    lists: Sequence[str] = ("l@example.org",),
    fingerprints: Sequence[str] = ("f1",),
    now: datetime = NOW,
) -> bool:
    """Put a mail into the outbox."""
    return ledger.put(
        name, posting=posting, author=author, target=posting.message_id, kind="patch", recipients=(author, *lists),
        lists=lists, raw=b"raw", fingerprints=fingerprints, state=state, manual=False, now=now,
    )  # fmt: skip


def seen(fingerprint: str, rule: str = "a/b") -> Seen:
    return Seen(fingerprint, rule, "warning", "mm/a.c", "walk", "is wrong")


def state_of(ledger: Ledger, name: str = OURS) -> MailState:
    return next(mail.state for mail in ledger.outgoing() if mail.message_id == name)


# --- the file -------------------------------------------------------------------------------------


def test_an_empty_file_is_taken_to_the_newest_version(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with Ledger(path) as ledger:
        assert ledger.check() == ()
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    database.close()


def test_a_file_of_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    Ledger(path).close()
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    database.close()
    with pytest.raises(LedgerError, match="newer reviewbot"):
        Ledger(path)
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
    database.close()


def test_a_migration_that_fails_leaves_the_version_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Ledger(path).close()
    monkeypatch.setattr("reviewbot.ledger.MIGRATIONS", (*MIGRATIONS, "CREATE TABLE more (x);\n    SELECT nonsense;\n"))
    with pytest.raises(LedgerError):
        Ledger(path)
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert database.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'more'").fetchone() == (0,)
    database.close()


def test_a_later_migration_keeps_what_is_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger(path) as ledger:
        add(ledger, "a@x")
    monkeypatch.setattr("reviewbot.ledger.MIGRATIONS", (*MIGRATIONS, "ALTER TABLE mail ADD COLUMN more TEXT;\n"))
    with Ledger(path) as ledger:
        assert ledger.knows("a@x")


def test_readers_do_not_wait_for_a_writer(path: Path, ledger: Ledger) -> None:
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()
    with Ledger(path) as other, ledger.transaction():
        add(ledger, "a@x")
        assert not other.knows("a@x")


def test_nobody_else_may_read_the_file(path: Path) -> None:
    before = os.umask(0o022)
    try:
        with Ledger(path) as ledger:
            add(ledger, "a@x")
            files = [path, *path.parent.glob("ledger.sqlite-*")]
            assert len(files) == 3
            assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    finally:
        os.umask(before)


def test_damage_is_found(path: Path) -> None:
    with Ledger(path) as ledger:
        for n in range(200):
            add(ledger, f"{n}@x", title="a long title " * 20)
        assert ledger.check() == ()
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(data)
    try:
        with Ledger(path) as ledger:
            assert ledger.check() != ()
    except LedgerError as error:
        assert "ledger" in str(error)  # noqa: PT017 - which of both depends on the page that was hit


def test_a_row_that_names_nothing_is_found(path: Path, ledger: Ledger) -> None:
    database = sqlite3.connect(path)
    database.execute("INSERT INTO member VALUES ('a@x', 99)")
    database.commit()
    database.close()
    assert ledger.check() == ("row None of member names a posting that is not there",)


def test_what_is_no_ledger_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"This is a letter to my aunt.\n" * 100)
    with pytest.raises(LedgerError, match="not a database"):
        Ledger(path)


def test_a_copy_leaves_the_file_as_it_was(path: Path) -> None:
    with Ledger(path) as ledger:
        add(ledger, "a@x")
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    with Ledger.copy(path) as copy:
        assert copy.knows("a@x")
        add(copy, "b@x")
        put(copy, post(copy, "b@x"))
    assert {file.name: file.read_bytes() for file in path.parent.iterdir() if "-" not in file.name} == before
    with Ledger(path) as ledger:
        assert not ledger.knows("b@x")
        assert ledger.outgoing() == []


def test_a_copy_of_nothing_is_empty_and_makes_nothing(path: Path) -> None:
    with Ledger.copy(path) as copy:
        assert not copy.knows("a@x")
    assert not path.exists()


def test_a_copy_of_a_newer_file_is_refused(path: Path) -> None:
    Ledger(path).close()
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    database.close()
    with pytest.raises(LedgerError, match="newer reviewbot"):
        Ledger.copy(path)


def test_what_a_transaction_began_and_did_not_end_did_not_happen(ledger: Ledger) -> None:
    def work() -> None:
        with ledger.transaction():
            add(ledger, "a@x")
            with ledger.transaction():
                add(ledger, "b@x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert not ledger.knows("a@x")
    assert not ledger.knows("b@x")
    with ledger.transaction():
        add(ledger, "c@x")
    assert ledger.knows("c@x")


# --- mails of the archives ------------------------------------------------------------------------


def test_a_mail_is_noted_once_with_all_its_places(ledger: Ledger) -> None:
    assert add(ledger, "a@x")
    assert not add(ledger, "a@x", source="other", place="0:bb")
    assert not ledger.add_place("b@x", "other", "0:cc")
    assert ledger.add_place("a@x", "third", "0:dd")
    assert ledger.places("a@x") == [("walk", "0:aa"), ("other", "0:bb"), ("third", "0:dd")]


def test_what_a_person_named_is_new_to_an_archive(ledger: Ledger) -> None:
    add(ledger, "a@x", source="", place="", due=None)
    assert not ledger.add_place("a@x", "walk", "0:aa")
    assert add(ledger, "a@x")
    assert [one.message_id for one in ledger.pending(NOW, timedelta(days=7))] == ["a@x"]
    assert ledger.places("a@x") == [("walk", "0:aa")]


def test_a_thread_hangs_together_through_mails_that_are_missing(ledger: Ledger) -> None:
    add(ledger, "a@x", answers=["gone@x"])
    add(ledger, "b@x", answers=["gone@x"])
    add(ledger, "c@x", answers=["b@x"])
    add(ledger, "else@x")
    assert ledger.thread("c@x") == ["a@x", "b@x", "c@x"]
    assert ledger.thread("gone@x") == []


def test_one_mail_does_not_tie_thousands_of_threads_together(ledger: Ledger) -> None:
    with ledger.transaction():
        for n in range(1000):
            add(ledger, f"{n}@x")
        add(ledger, "hostile@x", answers=[f"{n}@x" for n in range(1000)])
    assert ledger.thread("999@x") == ["999@x", "hostile@x"]
    assert ledger.thread("500@x") == ["500@x"]
    # a patch that names many is looked at with these, and no more than that
    assert len(ledger.thread("hostile@x")) == 51


def test_many_mails_do_not_tie_all_threads_together(ledger: Ledger) -> None:
    with ledger.transaction():
        for n in range(1000):
            add(ledger, f"{n}@x")
        for n in range(0, 1000, 20):
            add(ledger, f"tie-{n}@x", kind="reply", answers=[f"{m}@x" for m in range(n, n + 40)])
    assert ledger.thread("500@x") == ["500@x", "tie-480@x", "tie-500@x"]


def test_a_long_thread_whose_mails_name_all_of_it_stays_whole(ledger: Ledger) -> None:
    with ledger.transaction():
        for n in range(300):
            add(ledger, f"{n}@x", answers=[f"{m}@x" for m in range(n)])
    assert len(ledger.thread("0@x")) == 300


def test_candidates_are_first_mails_by_the_sender(ledger: Ledger) -> None:
    add(ledger, "cover@x", kind="cover", counter=0, title="Walk  MORE")
    add(ledger, "first@x", counter=1)
    add(ledger, "second@x", counter=2)
    add(ledger, "reply@x", kind="reply")
    add(ledger, "hers@x", sender=EVE)
    add(ledger, "old@x", arrived=NOW - timedelta(days=400))
    add(ledger, "renamed@x", title="run", change="id-1")
    title = [fold_title("walk more")]
    assert ledger.candidates(ANN, title, None, NOW - timedelta(days=365)) == ["cover@x", "first@x"]
    assert ledger.candidates(ANN, title, None, None) == ["cover@x", "first@x", "old@x"]
    assert ledger.candidates(ANN, [], "id-1", NOW) == ["renamed@x"]


@pytest.mark.parametrize("name", ["'; DROP TABLE mail; --@x", "../../etc/passwd", '"@x', "%s%n@x", "x" * 998, "\x00@x"])
def test_odd_names_are_names(ledger: Ledger, name: str) -> None:
    assert add(ledger, name, answers=[f"{name}1"], title=name, sender=name)
    assert ledger.thread(name) == [name]
    posting = post(ledger, name, author=name, title=name)
    assert ledger.posting_of(name) == posting
    assert put(ledger, posting, f"our{name}")
    assert ledger.claim(f"our{name}", NOW)
    assert ledger.check() == ()


def test_prune_forgets_mails_and_keeps_what_was_decided_and_sent(ledger: Ledger) -> None:
    old = NOW - timedelta(days=300)
    add(ledger, "settled@x", arrived=old, due=None)
    add(ledger, "open@x", arrived=old)
    add(ledger, "new@x", due=None)
    posting = post(ledger, "settled@x", arrived=old)
    ledger.decide(posting.id, old, "sent", "", final=True)
    ledger.record(posting, [seen("f1")], ["f1"], ["a/b"], old)
    put(ledger, posting, state=MailState.SENT, now=old)
    assert ledger.prune(NOW - timedelta(days=200)) == 1
    assert [name for name in ("settled@x", "open@x", "new@x") if ledger.knows(name)] == ["open@x", "new@x"]
    assert ledger.thread("settled@x") == []
    assert [one.reason for one in ledger.decisions(posting.id)] == ["sent"]
    assert ledger.posting_of("settled@x") == ledger.posting(posting.id)
    assert list(ledger.said(posting, None, ())) == ["f1"]
    assert ledger.check() == ()


# --- series ---------------------------------------------------------------------------------------


def test_the_same_mails_are_the_same_posting(ledger: Ledger) -> None:
    first = post(ledger, "1@x", members=["2@x"])
    again = post(ledger, "0@x", members=["1@x", "2@x"], arrived=NOW + timedelta(hours=1))
    assert again == first._replace(message_id="0@x", arrived=NOW + timedelta(hours=1))
    assert sorted(ledger.members(first.id)) == ["0@x", "1@x", "2@x"]


def test_revisions_are_one_series_by_change_id_by_answer_or_by_title(ledger: Ledger) -> None:
    first = post(ledger, "v1@x", change="id-1")
    by_change = post(ledger, "v2@x", revision=2, title="run", change="id-1")
    by_answer = post(ledger, "v3@x", revision=3, title="jump", answers=["v2@x"])
    by_title = post(ledger, "v4@x", revision=4, title="RUN ")
    assert {one.series for one in (by_change, by_answer, by_title)} == {first.series}
    assert [one.revision for one in ledger.postings(first.series)] == [1, 2, 3, 4]


@pytest.mark.parametrize("same", [{"title": "walk more"}, {"answers": ["v1@x"]}, {"change": "id-1"}])
def test_another_author_has_another_series(ledger: Ledger, same: dict[str, str]) -> None:
    first = post(ledger, "v1@x", change="id-1")
    other = post(ledger, "v2@x", revision=2, author=EVE, **{"title": "run", **same})  # type: ignore[arg-type]
    assert other.series != first.series
    # nor does she get hers into his later
    assert post(ledger, "v3@x", revision=3, change="id-1").series == first.series


def test_a_title_of_long_ago_is_another_series(ledger: Ledger) -> None:
    old = post(ledger, "old@x", arrived=NOW - timedelta(days=400))
    assert post(ledger, "new@x").series != old.series


def test_only_who_sent_the_first_mail_speaks_for_a_posting(ledger: Ledger) -> None:
    add(ledger, "1@x")
    add(ledger, "2@x", sender=EVE)
    posting = post(ledger, "1@x", members=["2@x"])
    assert ledger.senders(posting.id) == [ANN]


def test_the_same_decision_is_noted_once(ledger: Ledger) -> None:
    posting = post(ledger, "1@x")
    assert ledger.decide(posting.id, NOW, "waiting", "", final=False)
    assert not ledger.decide(posting.id, NOW, "waiting", "", final=False)
    assert ledger.decide(posting.id, NOW, "sent", "", final=True)
    assert [one.reason for one in ledger.decisions(posting.id)] == ["waiting", "sent"]
    assert [(one.id, last.reason if last else "") for one, last in ledger.recent(5)] == [(posting.id, "sent")]


# --- findings -------------------------------------------------------------------------------------


def test_a_finding_is_open_fixed_and_open_again(ledger: Ledger) -> None:
    for revision, present, state, fixed in (
        (1, ["f1"], FindingState.OPEN, None),
        (2, [], FindingState.FIXED, 2),
        (3, ["f1"], FindingState.OPEN, None),
    ):
        posting = post(ledger, f"v{revision}@x", revision=revision)
        ledger.record(posting, [seen(one) for one in present], present, ["a/b"], NOW)
        (row,) = ledger.findings(posting.series)
        assert (row.state, row.fixed_in) == (state, fixed)
    assert (row.first, row.last) == (1, 3)


def test_a_rule_that_was_not_run_fixes_nothing(ledger: Ledger) -> None:
    first = post(ledger, "v1@x")
    ledger.record(first, [seen("f1")], ["f1"], ["a/b"], NOW)
    ledger.record(post(ledger, "v2@x", revision=2), [], [], ["other/rule"], NOW)
    assert [row.state for row in ledger.findings(first.series)] == [FindingState.OPEN]


def test_what_was_answered_stays_so(ledger: Ledger) -> None:
    first = post(ledger, "v1@x")
    ledger.record(first, [seen("f1")], ["f1"], ["a/b"], NOW)
    ledger.set_finding(first.series, "f1", FindingState.ANSWERED)
    ledger.record(post(ledger, "v2@x", revision=2), [seen("f1")], ["f1"], ["a/b"], NOW)
    assert [row.state for row in ledger.findings(first.series)] == [FindingState.ANSWERED]


def test_a_rules_counts_tell_mailed_from_found(ledger: Ledger) -> None:
    posting = post(ledger, "v1@x")
    ledger.record(posting, [seen("f1"), seen("f2"), seen("f3", "a/c")], ["f1", "f2", "f3"], ["a/b"], NOW)
    put(ledger, posting, state=MailState.SENT)
    assert dict(ledger.rule_counts("a/b")) == {"open": 2, "mailed": 1, "called false": 0}
    assert dict(ledger.rule_counts("a")) == {"open": 3, "mailed": 1, "called false": 0}
    assert [(row.fingerprint, name) for row, name in ledger.findings_of_rule("a", 2)] == [
        ("f3", "v1@x"),
        ("f2", "v1@x"),
    ]


# --- mails of ours --------------------------------------------------------------------------------


def test_of_two_who_claim_a_mail_one_has_it(path: Path, ledger: Ledger) -> None:
    put(ledger, post(ledger, "1@x"))
    with Ledger(path, host="elsewhere") as other:
        tokens = [ledger.claim(OURS, NOW), other.claim(OURS, NOW), ledger.claim(OURS, NOW)]
        assert [token is not None for token in tokens] == [True, False, False]
        with pytest.raises(LedgerError, match="somebody else"):
            other.point_of_no_return(OURS, "forged", NOW)
        assert state_of(ledger) is MailState.READY


@pytest.mark.parametrize("state", [state for state in MailState if state is not MailState.READY])
def test_only_what_is_ready_can_be_claimed(ledger: Ledger, state: MailState) -> None:
    put(ledger, post(ledger, "1@x"), state=state)
    assert ledger.claim(OURS, NOW) is None
    assert ledger.claim("unknown@x", NOW) is None


def test_before_the_point_of_no_return_the_dead_are_released(path: Path) -> None:
    with Ledger(path) as dead:
        put(dead, post(dead, "1@x"))
        assert dead.claim(OURS, NOW)
    with Ledger(path) as ledger:
        assert ledger.claim(OURS, NOW) is None
        ledger.release_dead(NOW)
        assert ledger.claim(OURS, NOW)


def test_behind_it_a_mail_stays_uncertain(path: Path) -> None:
    with Ledger(path) as dead:
        put(dead, post(dead, "1@x"))
        dead.point_of_no_return(OURS, dead.claim(OURS, NOW) or "", NOW)
    with Ledger(path) as ledger:
        ledger.release_dead(NOW + timedelta(days=9))
        assert state_of(ledger) is MailState.UNCERTAIN
        assert ledger.claim(OURS, NOW) is None
        # seen from another posting it counts as said, and from outside as sent
        assert ledger.sums(ANN, ["l@example.org"], NOW - timedelta(days=1), queued=False) == (
            1,
            1,
            (("l@example.org", 1),),
        )


def test_another_hosts_claim_is_believed_for_a_while(path: Path, ledger: Ledger) -> None:
    put(ledger, post(ledger, "1@x"))
    with Ledger(path, host="elsewhere") as other:
        assert other.claim(OURS, NOW)
    ledger.release_dead(NOW + LEASE)
    assert ledger.claim(OURS, NOW) is None
    ledger.release_dead(NOW + LEASE + timedelta(seconds=1))
    assert ledger.claim(OURS, NOW)


def test_a_mail_that_may_be_tried_again_can_be_claimed_again(ledger: Ledger) -> None:
    put(ledger, post(ledger, "1@x"))
    token = ledger.claim(OURS, NOW) or ""
    ledger.settle(OURS, token, MailState.READY, NOW, text="later", next_try=NOW + timedelta(minutes=5))
    (mail,) = ledger.outgoing(MailState.READY)
    assert (mail.attempts, mail.next_try, mail.text) == (1, NOW + timedelta(minutes=5), "later")
    assert ledger.claim(OURS, NOW)


@pytest.mark.parametrize("state", [MailState.UNCERTAIN, MailState.SENT, MailState.FAILED, MailState.DROPPED])
def test_what_is_out_or_was_dropped_is_not_replaced(ledger: Ledger, state: MailState) -> None:
    posting = post(ledger, "1@x")
    assert put(ledger, posting, state=state)
    assert not put(ledger, posting, fingerprints=["f2"])
    assert state_of(ledger) is state
    assert ledger.fingerprints(1) == ["f1"]


def test_what_waits_is_replaced(ledger: Ledger) -> None:
    posting = post(ledger, "1@x")
    put(ledger, posting, state=MailState.QUEUED)
    assert put(ledger, posting, fingerprints=["f2", "f3"])
    assert sorted(ledger.fingerprints(1)) == ["f2", "f3"]
    assert len(ledger.outgoing()) == 1


def test_an_archive_knows_best(ledger: Ledger) -> None:
    put(ledger, post(ledger, "1@x"), state=MailState.UNCERTAIN)
    assert not ledger.arrive("somebody@x", NOW)
    assert ledger.arrive(OURS, NOW)
    assert ledger.arrive(OURS, NOW + timedelta(hours=1))
    (mail,) = ledger.outgoing()
    assert (mail.state, mail.sent, mail.archived) == (MailState.SENT, NOW, NOW)


def test_a_mail_of_unknown_fate_can_be_tried_anew(ledger: Ledger) -> None:
    put(ledger, post(ledger, "1@x"))
    ledger.point_of_no_return(OURS, ledger.claim(OURS, NOW) or "", NOW)
    ledger.send_again(1, manual=True)
    (mail,) = ledger.outgoing(MailState.READY)
    assert (mail.manual, mail.sent) == (True, None)
    assert ledger.claim(OURS, NOW)


def test_sums_count_what_is_out_and_what_waits(ledger: Ledger) -> None:
    posting = post(ledger, "1@x")
    for n, state in enumerate(MailState):
        put(ledger, posting, f"{n}@x", state=state)
    put(ledger, posting, "eve@x", state=MailState.SENT, author=EVE, lists=["k@example.org", "l@example.org"])
    put(ledger, posting, "long-ago@x", state=MailState.SENT, now=NOW - timedelta(hours=25))
    names, since = ["l@example.org", "k@example.org", "example.org"], NOW - timedelta(hours=24)
    sent = ledger.sums(ANN, names, since, queued=False)
    assert sent == (3, 2, (("l@example.org", 3), ("k@example.org", 1), ("example.org", 0)))
    waiting = ledger.sums(ANN, names, since, queued=True)
    # a draft never goes out
    assert waiting == (5, 4, (("l@example.org", 5), ("k@example.org", 1), ("example.org", 0)))


def test_the_lease_is_another_hosts_until_it_ends(path: Path, ledger: Ledger) -> None:
    assert ledger.lease(NOW) is None
    with Ledger(path, host="elsewhere") as other:
        assert other.lease(NOW) == ledger.holder
        ledger.end_lease()
        assert other.lease(NOW) is None
        assert ledger.lease(NOW) == other.holder
        assert ledger.lease(NOW + LEASE) is None


# --- answers --------------------------------------------------------------------------------------


def test_an_answer_is_noted_once_and_judged_when_due(ledger: Ledger) -> None:
    for _ in range(2):
        ledger.add_answer("a@x", 3, ANN, "wontfix", "a/b", "why", NOW, AnswerState.NEW)
    ledger.add_answer("a@x", 4, ANN, "?", None, "reviewbot: what", NOW, AnswerState.MALFORMED)
    (answer,) = ledger.new_answers(NOW)
    ledger.judge_answer(answer.id, AnswerState.NEW, "no DNS", 1, NOW + timedelta(minutes=10))
    assert ledger.new_answers(NOW) == []
    (answer,) = ledger.new_answers(NOW + timedelta(minutes=10))
    assert answer.tries == 1
    ledger.judge_answer(answer.id, AnswerState.OBEYED, "DKIM", 1)
    assert ledger.new_answers(NOW + timedelta(days=1)) == []
    assert [one.state for one in ledger.answers()] == [AnswerState.OBEYED, AnswerState.MALFORMED]


def test_an_answer_belongs_to_the_newest_posting_that_its_mail_names(ledger: Ledger) -> None:
    first = post(ledger, "v1@x")
    second = post(ledger, "v2@x", revision=2)
    put(ledger, first)
    for name, answers in (
        ("to-v1@x", ["v1@x"]),
        ("to-both@x", ["v1@x", "v2@x"]),
        ("to-us@x", [OURS]),
        ("to-none@x", []),
    ):
        add(ledger, name, kind="reply", answers=answers)
    found = [ledger.answered(name) for name in ("to-v1@x", "to-both@x", "to-us@x", "to-none@x", "v1@x")]
    assert [one.id if one else None for one in found] == [first.id, second.id, first.id, None, None]


def test_opting_out_knows_no_case_and_can_be_undone(ledger: Ledger) -> None:
    ledger.opt_out("Ann@Example.ORG", "a@x", NOW)
    assert ledger.opted_out() == [ANN]
    ledger.opt_in("ANN@example.org")
    assert ledger.opted_out() == []


def test_a_rules_findings_are_named_with_their_own_series(ledger: Ledger) -> None:
    for who, name in ((ANN, "1@x"), (EVE, "2@x")):
        add(ledger, name, sender=who)
        ledger.record(post(ledger, name, author=who), [seen("same")], ["same"], ["a/b"], NOW)
    assert [name for _, name in ledger.findings_of_rule("a/b", 9)] == ["2@x", "1@x"]
