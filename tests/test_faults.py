# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever is killed, full, slow, gone or damaged: one mail per reply, no series lost, and what is in doubt is shown.

Belongs here: `reviewbot watch` as a whole, in processes of their own, against a real SMTP server, while something
goes wrong. What each part promises for itself is tested with that part. REVIEWBOT_FAULTS=all kills a pass at every
point at which it touches the outside, not at a choice of them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from faults import Ended, Nursery, Order, nursery
from inbox import deliver_all, missing_programs, serve, write_epoch
from mails import mail
from smtp_server import Faults, Server, smtp_server
from world import CONFIG, LIST, World, clean, old_name, raw_call, series

from reviewbot.ledger import LEASE, Ledger, MailState

ALL = os.environ.get("REVIEWBOT_FAULTS") == "all"
SEND = '[send]\nserver = "127.0.0.1"\nport = {port}\nencryption = "none"\ntimeout = "20s"\n'
PIA = "Pia Primer <pia@example.com>"

V1 = (*series(old_name("a"), raw_call("b")), *series(old_name("s"), key="single"))
V2 = series(clean("a"), raw_call("b"), old_name("c"), revision=2, minute=300)


class Scene:
    """A world whose passes are processes, with a real server that has real faults, and a list that archives."""

    def __init__(self, directory: Path, server: Server, run: Nursery, config: str = CONFIG) -> None:
        self.server, self.run = server, run
        self.world = World(directory / "world")
        self.configure(config)
        self.archiving = True
        self._archived = self._chatter = 0

    def configure(self, config: str, port: int = 0) -> None:
        """Write the configuration anew."""
        send = SEND.format(port=port or self.server.port)
        text = send + config.replace("{archive}", str(self.world.archive))
        self.world.file.write_text(f'ledger = "{self.world.ledger_file}"\n{text}')

    def order(self, *words: str, **more: Any) -> Order:
        """A command of reviewbot, at the world's time."""
        command = [*(words or ("watch",)), "--config", str(self.world.file)]
        return Order(command, self.world.now.timestamp(), **more)

    def watch(self, **more: Any) -> Ended:
        """A pass that may fail; the list archives what went out."""
        ended = self.run(self.order(**more))
        self.take()
        return ended

    def quiet(self, **more: Any) -> Ended:
        """A pass that goes well."""
        ended = self.watch(**more)
        assert (ended.code, ended.err) == (0, ""), ended
        return ended

    def take(self) -> None:
        """The list archives what the server took since."""
        new = self.server.mails[self._archived :]
        self._archived = len(self.server.mails)
        if self.archiving and (there := [one.data.replace(b"\r\n", b"\n") for one in new if LIST in one.recipients]):
            self.world.post(there)

    def chat(self) -> None:
        """Somebody writes to the list about something else."""
        self._chatter += 1
        self.world.post([mail("the weather", "Fine.\n", f"chat-{self._chatter}@example.net", sender=PIA)])

    def recover(self) -> None:
        """Time goes by: the next pass, one when mails of unknown fate are looked for, one with nothing to do."""
        self.world.wait(minutes=20)
        self.quiet()
        self.world.wait(hours=25)
        self.chat()
        self.quiet()
        self.world.wait(hours=1)
        assert self.quiet().out == ""

    def ids(self) -> list[str]:
        """Message-IDs that the server took, in order."""
        return [ids_of(one.data) for one in self.server.mails]

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The ledger, to be read."""
        with Ledger(self.world.ledger_file, host="test") as ledger:
            yield ledger

    def states(self) -> list[str]:
        """Of all mails of ours, oldest first."""
        with self.ledger() as ledger:
            return [str(mail.state) for mail in ledger.outgoing()]

    def wrong(self) -> list[str]:
        """What is not as it must be when all has come to rest."""
        found = [f"{name} {count} times" for name, count in Counter(self.ids()).items() if count > 1]
        with self.ledger() as ledger:
            found += ledger.check()
            found += [f"waits: {one.message_id}" for one in ledger.pending(self.world.now, timedelta(days=7))]
            found += [f"{one.state}: {one.message_id}" for one in ledger.outgoing() if one.state is not MailState.SENT]
            if self.archiving:
                found += [f"not archived: {one.message_id}" for one in ledger.outgoing() if not one.archived]
        with sqlite3.connect(self.world.ledger_file) as db:
            found += [
                f"claim left: {row[0]}" for row in db.execute("SELECT message_id FROM claim WHERE step = 'claimed'")
            ]
            found += [f"lease left: {row[0]}" for row in db.execute("SELECT holder FROM lease")]
        db.close()
        return found

    def trace(self) -> list[str]:
        """The points of a pass, which is made."""
        file = self.world.directory / "trace"
        self.quiet(trace=str(file))
        return file.read_text().splitlines()


class Snapshot:
    """A scene as it was."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._copy = scene.world.directory.with_name(f"copy-{scene.world.now.timestamp()}")
        shutil.copytree(scene.world.directory, self._copy)
        self._kept = scene.world.now, list(scene.server.mails), scene._archived, scene._chatter

    def restore(self) -> None:
        """As it was then."""
        scene = self._scene
        shutil.rmtree(scene.world.directory)
        shutil.copytree(self._copy, scene.world.directory)
        scene.world.now, mails, scene._archived, scene._chatter = self._kept
        scene.server.mails[:] = mails
        scene.server.faults = Faults()


def ids_of(data: bytes) -> str:
    """The Message-ID of a mail of ours."""
    return data.partition(b"Message-ID: <")[2].partition(b">")[0].decode()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with nursery(tmp_path_factory.mktemp("nursery") / "a") as one:
        yield one


@pytest.fixture(scope="module")
def run_other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """A second host's."""
    with nursery(tmp_path_factory.mktemp("nursery") / "b") as one:
        yield one


@pytest.fixture
def scene(tmp_path: Path, run: Nursery) -> Iterator[Scene]:
    with smtp_server() as server:
        yield Scene(tmp_path, server, run)


def primed(scene: Scene) -> None:
    """The list has archived a mail of ours, days ago."""
    scene.world.post(series(old_name("p"), key="prime", sender=PIA))
    scene.world.wait(hours=2)
    scene.quiet()
    assert len(scene.server.mails) == 1
    scene.world.wait(hours=30)
    scene.quiet()


# Steps that are never left out: what comes after each of them is another story.
TURNS = (
    "sql INSERT INTO claim", "sql UPDATE claim SET", "smtp > .", "sql REPLACE INTO cursor", "sql INSERT INTO outbox",
)  # fmt: skip


def chosen(kinds: Sequence[str], stride: int) -> list[int]:
    """Numbers of points: a third of those on the way of the second mail, and of the first of each kind; the TURNS."""
    if ALL:
        return list(range(1, len(kinds) + 1))
    claims = [n for n, kind in enumerate(kinds, 1) if kind == "sql INSERT INTO claim"]
    begin = claims[1] if len(claims) > 1 else claims[0] if claims else len(kinds)
    end = next((n for n, kind in enumerate(kinds, 1) if n > begin and kind == "sql INSERT INTO decision"), begin) + 2
    near = [
        n
        for n, kind in enumerate(kinds, 1)
        # who dies at a read leaves what the write before it left
        if n % stride == 0 or (begin <= n <= end and not kind.startswith("sql SELECT"))
    ]
    return sorted(
        {n for n in near if n % 3 == 0 or kinds[n - 1] in TURNS or kinds[n - 2] in TURNS}
        | {kinds.index(kind) + 1 for kind in sorted(set(kinds))[::3] if not kind.startswith("sql SELECT")}
    )


def killed_at(scene: Scene, stride: int, after: Callable[[], None]) -> list[str]:
    """Kill the pass that is next at many points, each time in the same world; what was wrong when all was at rest."""
    start = Snapshot(scene)
    kinds = scene.trace()
    after()
    wanted = sorted(scene.ids())
    assert scene.wrong() == []
    wrong = []
    numbers = chosen(kinds, stride)
    died = 0
    for number in numbers:
        start.restore()
        died += scene.watch(stop_at=number).code == -signal.SIGKILL
        after()
        found = scene.wrong()
        if sorted(scene.ids()) != wanted:
            found.append(f"went out: {scene.ids()}")
        wrong += [f"point {number} ({kinds[number - 1]}): {one}" for one in found]
    assert died == len(numbers)
    print(f"{len(numbers)} of {len(kinds)} points, {died} passes killed, {len(wanted)} mails in all")
    return wrong


# --- killed -----------------------------------------------------------------------------------------


def test_a_pass_that_is_killed_anywhere_is_made_good_by_the_next(scene: Scene) -> None:
    primed(scene)
    scene.world.post(V1)
    scene.world.wait(hours=2)

    def after() -> None:
        scene.recover()
        scene.world.post(V2)
        scene.world.wait(hours=2)
        scene.quiet()
        scene.world.wait(hours=1)
        assert scene.quiet().out == ""
        assert len(set(scene.ids())) == 5

    assert killed_at(scene, 151, after) == []


def test_a_pass_that_is_killed_at_a_second_version_is_made_good_by_the_next(scene: Scene) -> None:
    primed(scene)
    scene.world.post(V1)
    scene.world.wait(hours=2)
    scene.quiet()
    scene.world.wait(hours=3)
    scene.world.post(V2)
    scene.world.wait(hours=2)
    assert killed_at(scene, 211, scene.recover) == []


def test_the_very_first_pass_may_be_killed_anywhere(scene: Scene) -> None:
    shutil.rmtree(scene.world.state)
    start = Snapshot(scene)
    trace = scene.world.directory / "trace"
    scene.watch(trace=str(trace))
    kinds = trace.read_text().splitlines()
    for number in range(1, len(kinds) + 1) if ALL else range(1, len(kinds) + 1, 11):
        start.restore()
        assert scene.watch(stop_at=number).code == -signal.SIGKILL
        scene.quiet()
        scene.world.post(V1)
        scene.world.wait(hours=2)
        scene.quiet()
        assert len(set(scene.ids())) == 3
        scene.world.wait(hours=1)
        scene.quiet()
        assert (kinds[number - 1], scene.wrong()) == (kinds[number - 1], [])


@pytest.mark.parametrize("mode", ["author-only", "author+list"])
def test_without_a_trace_in_the_archive_a_mail_goes_out_at_most_once(scene: Scene, mode: str) -> None:
    # to its author alone; or to a list that throws it away, which by now has never shown a mail of ours
    scene.archiving = False
    scene.configure(CONFIG.replace('"author+list"', f'"{mode}"'))
    scene.world.post(V1)
    scene.world.wait(hours=2)
    start = Snapshot(scene)
    kinds = scene.trace()
    wanted = sorted(scene.ids())
    assert len(wanted) == 3
    first = kinds.index("sql INSERT INTO claim")
    points = [
        n
        for n, kind in enumerate(kinds, 1)
        if n > first and (ALL or "smtp > ." in (kind, kinds[n - 2]) or (kind.startswith("smtp") and n % 5 == 0))
    ]
    doubtful = 0
    for number in points:
        start.restore()
        scene.watch(stop_at=number)
        scene.recover()
        with scene.ledger() as ledger:
            assert ledger.check() == ()
            states = {one.message_id: one.state for one in ledger.outgoing()}
        assert sorted(states) == wanted
        assert {*states.values()} <= {MailState.SENT, MailState.UNCERTAIN}
        assert max(Counter(scene.ids()).values()) == 1, f"point {number} ({kinds[number - 1]})"
        missing = {*wanted} - {*scene.ids()}
        in_doubt = {name for name, state in states.items() if state is MailState.UNCERTAIN}
        assert missing <= in_doubt
        assert len(in_doubt) <= 1
        shown = json.loads(scene.run(scene.order("queue", "--format", "json")).out)
        assert {one["message_id"] for one in shown} == in_doubt
        doubtful += len(in_doubt)
    # where nobody can know: between "the dot is sent" and "its answer is written down"
    assert doubtful >= 3


# --- SMTP -------------------------------------------------------------------------------------------


def one_reply(scene: Scene) -> None:
    """A patch that gets a mail in the next pass."""
    scene.world.post(series(old_name("s"), key="single"))
    scene.world.wait(hours=2)


TRANSIENT = [
    Faults(mail="451 later"),
    Faults(rcpt="450 later"),
    Faults(data="452 full"),
    Faults(after_dot="451 later"),
    Faults(after_dot="421 going down"),
    Faults(mail="drop"),
    Faults(rcpt="drop"),
    Faults(data="drop"),
]


@pytest.mark.parametrize("faults", TRANSIENT, ids=repr)
def test_a_server_that_says_later_is_asked_later_and_less_and_less_often(scene: Scene, faults: Faults) -> None:
    primed(scene)
    one_reply(scene)
    scene.server.faults = faults
    waits = []
    for _ in range(4):
        scene.quiet()
        with scene.ledger() as ledger:
            (one,) = ledger.outgoing(MailState.READY)
        waits.append(one.next_try - scene.world.now)
        asked = scene.server.connections
        scene.world.now = one.next_try - timedelta(seconds=1)
        scene.quiet()
        assert scene.server.connections == asked
        scene.world.wait(seconds=1)
    assert waits == sorted(set(waits))
    scene.server.faults = Faults()
    scene.quiet()
    assert len(scene.server.mails) == 2
    scene.recover()
    assert scene.wrong() == []


@pytest.mark.parametrize(
    "faults",
    [Faults(connect="drop"), Faults(connect="421 busy"), Faults(connect="554 no"), Faults(ehlo="drop"), None],
    ids=repr,
)
def test_a_server_that_is_not_there_is_told_of_and_costs_no_mail(scene: Scene, faults: Faults | None) -> None:
    primed(scene)
    scene.world.post(V1)
    scene.world.wait(hours=2)
    scene.server.faults = faults or Faults()
    if not faults:
        scene.configure(CONFIG, port=9)
    # more often than a mail that is refused is tried
    for _ in range(15):
        ended = scene.watch()
        assert ended.code == 75
        assert ended.err.count("\n") == 1
        assert "cannot connect" in ended.err
        scene.world.wait(hours=7)
    assert scene.states() == ["sent", "ready", "ready", "ready"]
    scene.configure(CONFIG)
    scene.server.faults = Faults()
    scene.quiet()
    assert len(scene.server.mails) == 4
    scene.recover()
    assert scene.wrong() == []


@pytest.mark.parametrize(
    "faults",
    [Faults(mail="550 no"), Faults(rcpt="550 no"), Faults(data="554 no"), Faults(after_dot="554 no")],
    ids=repr,
)
def test_a_server_that_says_no_is_not_asked_again(scene: Scene, faults: Faults) -> None:
    one_reply(scene)
    scene.server.faults = faults
    assert "failed" in scene.quiet().out
    asked = scene.server.connections
    scene.server.faults = Faults()
    scene.recover()
    assert (scene.states(), scene.server.connections) == (["failed"], asked)
    assert "failed" in scene.run(scene.order("queue")).out


@pytest.mark.parametrize("action", ["drop", "timeout", "dribble", "flood"])
@pytest.mark.parametrize("keep", [True, False])
def test_no_answer_to_the_dot_is_no_second_mail(scene: Scene, action: str, keep: bool) -> None:
    primed(scene)
    scene.world.file.write_text(scene.world.file.read_text().replace('timeout = "20s"', 'timeout = "1s"'))
    one_reply(scene)
    scene.server.faults = Faults(after_dot=action, keep=keep)
    assert "uncertain" in scene.quiet(whole=1).out
    assert scene.states() == ["sent", "uncertain"]
    scene.server.faults = Faults()
    # the archive is alive, but it is too early to say that it has not got the mail
    scene.world.wait(hours=20)
    scene.chat()
    scene.quiet()
    assert len(scene.server.mails) == 1 + keep
    scene.recover()
    assert len(scene.server.mails) == 2
    assert scene.wrong() == []


def test_an_archive_that_stands_still_proves_nothing(scene: Scene) -> None:
    primed(scene)
    one_reply(scene)
    scene.server.faults = Faults(after_dot="drop")
    scene.archiving = False
    scene.quiet()
    scene.server.faults = Faults()
    # the mirror saw one more mail, and then nothing: neither ours nor anybody else's
    scene.world.wait(minutes=5)
    scene.chat()
    scene.quiet()
    for _ in range(3):
        scene.world.wait(hours=30)
        scene.quiet()
    assert len(scene.server.mails) == 2
    assert scene.states() == ["sent", "uncertain"]


# --- archives ---------------------------------------------------------------------------------------


def test_a_rewritten_epoch_loses_nothing_and_repeats_nothing(scene: Scene) -> None:
    scene.world.post(V1)
    scene.world.wait(hours=2)
    scene.quiet()
    assert len(scene.server.mails) == 3
    git = scene.world.archive / "git" / "0.git"
    mails = [found.raw for found in scene.world.feed().news("0:") if found.raw]
    shutil.rmtree(git)
    # the first was purged, so that every commit is another one
    scene.world.post([*mails[1:], *series(old_name("late"), key="late", sender=PIA)])
    ended = scene.quiet()
    assert "rewritten" in ended.out
    scene.world.wait(hours=2)
    scene.quiet()
    assert len(scene.server.mails) == 4
    scene.recover()
    assert scene.wrong() == []


@pytest.mark.skipif(bool(missing_programs()), reason=f"not installed: {missing_programs()}")
def test_an_archive_that_goes_down_within_a_pass_stops_no_other_and_is_read_by_the_next(
    scene: Scene, tmp_path: Path
) -> None:
    far = tmp_path / "far"
    far.mkdir()
    write_epoch(far / "far" / "git" / "0.git", [mail("it begins", "Hello.\n", "far@example.org")])
    there, away = far / "far" / "git" / "0.git", far / "away"
    with serve(far, "far", "basic") as url:
        scene.configure(CONFIG + f'[source.far]\ngit = "{url.rstrip("/")}"\nlist = "{LIST}"\n')
        scene.quiet()
        deliver_all(far, "far", series(old_name("f"), key="far", sender=PIA))
        one_reply(scene)
        start = Snapshot(scene)
        kinds = scene.trace()
        assert len(scene.server.mails) == 2
        # before the first time that it is contacted, and each later one: also right before something is sent
        points = [n for n, kind in enumerate(kinds, 1) if kind in ("git fetch", "git ls-remote")]
        assert len(points) > 2
        for number in points:
            start.restore()
            ended = scene.watch(act_at=number, act=("rename", str(there), str(away)))
            away.rename(there)
            # that there is no next epoch is no trouble
            assert ended.code == (0 if number == points[-1] and kinds[number - 1] == "git ls-remote" else 75), ended
            assert ended.err.count("\n") == (ended.code == 75)
            assert "single-v1-1" in ended.out
            # the other archive's mail goes out; this one's does not while its thread cannot be read once more
            assert ("far-v1-1" in ended.out) == (ended.code == 0)
            scene.world.wait(hours=1)
            scene.quiet()
            assert len(scene.server.mails) == 2
            scene.world.wait(hours=20)
            scene.quiet()
            assert scene.wrong() == []


IMPOSSIBLE = "Mon, 31 Feb 2100 25:61:00 +9999"


@pytest.mark.parametrize("when", ["1970-01-01", "2001-09-09", "2100-01-01", "9999-01-01"])
@pytest.mark.parametrize("date", ["", "Thu, 01 Jan 1970 00:00:00 +0000", "Tue, 1 Jun 2100 00:00:00 +0000", IMPOSSIBLE])
def test_wrong_clocks_lose_nothing_and_hold_nothing_up(scene: Scene, when: str, date: str) -> None:
    mails = []
    for raw in V1:
        head, blank, body = raw.partition(b"\n\n")
        lines = [line for line in head.split(b"\n") if not date or not line.startswith(b"Date: ")]
        mails.append(b"\n".join([*lines, *([b"Date: " + date.encode()] if date else [])]) + blank + body)
    scene.world.post(mails, when=datetime.fromisoformat(when).replace(tzinfo=UTC))
    scene.world.wait(hours=2)
    scene.quiet()
    scene.world.wait(hours=2)
    scene.quiet()
    # a mail that is old by its archive and not newer by itself is taken for an import, and that is told
    too_old = when.startswith("2001") and date and "Jun 2100" not in date
    with scene.ledger() as ledger:
        reasons = {decision.reason for _, decision in ledger.recent(9) if decision}
    assert reasons == {"too-old" if too_old else "sent"}
    assert len(scene.server.mails) == (3 if reasons == {"sent"} else 0)
    scene.recover()
    assert scene.wrong() == []


def test_an_import_of_old_mail_is_not_answered(scene: Scene) -> None:
    # an archive that is completed takes in mails of years at once: their dates are true
    old = datetime(2019, 3, 1, tzinfo=UTC)
    mails = [raw.replace(b"20 Nov 2024", b"20 Nov 2019") for raw in V1]
    scene.world.post(mails, when=old)
    scene.world.wait(hours=2)
    scene.quiet()
    scene.recover()
    assert scene.server.mails == []


# --- the ledger -------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["pages", "largest"])
def test_a_full_disk_stops_a_pass_in_one_line_and_the_next_sends_once(scene: Scene, limit: str) -> None:
    primed(scene)
    scene.world.post(V1)
    scene.world.wait(hours=2)
    start = Snapshot(scene)
    sizes = range(1, 99) if limit == "pages" else range(4096, 1 << 20, 48 * 1024)
    full = 0
    for size in sizes:
        start.restore()
        ended = scene.watch(**{limit: size})
        if ended.code == 0:
            break
        full += 1
        assert ended.code == 2
        assert ended.err.count("\n") == 1
        assert re.match(
            rf"reviewbot: cannot (open|read|write to) ledger '{scene.world.ledger_file}': (disk I/O|.* disk is full)",
            ended.err,
        )
        scene.recover()
        assert len(scene.server.mails) == 4
        assert scene.wrong() == []
    assert full


def test_a_ledger_that_cannot_be_written_stops_a_pass_before_it_sends(scene: Scene) -> None:
    one_reply(scene)
    ended = scene.watch(read_only=str(scene.world.state))
    if ended.code == 77:
        pytest.skip("a directory cannot be mounted read-only here")
    assert ended.code == 2
    assert ended.err == (f"reviewbot: cannot write to ledger '{scene.world.ledger_file}': Read-only file system\n")
    assert scene.server.connections == 0
    scene.quiet()
    assert len(scene.server.mails) == 1


def damage(path: Path, how: str) -> None:
    """Make a ledger unreadable."""
    whole = path.read_bytes()
    if how == "garbage":
        path.write_bytes(b"\x00\xff\x17reviewbot" * 5000)
    elif how == "text":
        path.write_text("where I keep my notes\n")
    elif how == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif how == "head alone":
        path.write_bytes(whole[:100])
    elif how == "middle":
        path.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 8192) + whole[-4096:])
    else:
        path.unlink()
        with sqlite3.connect(path) as db:
            if how == "newer":
                db.execute("PRAGMA user_version = 999")
            else:
                db.execute("CREATE TABLE moz_places (id INTEGER PRIMARY KEY, url TEXT)")
        db.close()


@pytest.mark.parametrize("how", ["garbage", "text", "cut", "head alone", "middle", "newer", "another program's"])
def test_a_damaged_ledger_stops_a_pass_and_is_left_as_it_is(scene: Scene, how: str) -> None:
    one_reply(scene)
    damage(scene.world.ledger_file, how)
    before = scene.world.ledger_file.read_bytes()
    ended = scene.watch()
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert ended.err.startswith("reviewbot: ")
    assert str(scene.world.ledger_file) in ended.err
    assert "internal error" not in ended.err
    assert scene.server.connections == 0
    assert scene.world.ledger_file.read_bytes() == before


# --- two hosts --------------------------------------------------------------------------------------


def test_two_hosts_with_one_ledger_send_once(scene: Scene, run_other: Nursery) -> None:
    # without locks between them, as on some network file systems: the lease and the claims are all there is
    held = 0
    for n in range(25 if ALL else 8):
        scene.world.post(series(old_name(f"n{n}"), raw_call(f"m{n}"), key=f"n{n}", sender=f"A {n} <a{n}@example.org>"))
        scene.world.wait(hours=2)
        order = scene.order(no_locks=True)
        scene.run.start(order)
        run_other.start(replace(order, host="b"))
        both = [scene.run.wait(), run_other.wait()]
        assert [one.code for one in both] == [0, 0], both
        held += sum("another pass is at it (" in one.err for one in both)
        scene.take()
        assert len(set(scene.ids())) == len(scene.ids())
        scene.world.wait(hours=23)
        scene.quiet()
        assert len(scene.ids()) == 2 * (n + 1)
        assert scene.wrong() == []
    assert held


def sending(kinds: Sequence[str]) -> list[int]:
    """The points from the first claim to where the first mail's end is sent, outside of transactions."""
    begin, end = kinds.index("sql INSERT INTO claim"), kinds.index("smtp > .")
    found, inside = [], True
    for n in range(begin, end):
        inside = kinds[n] != "sql COMMIT" and (inside or kinds[n].startswith("sql BEGIN"))
        if (not inside and kinds[n] != "sql COMMIT") or kinds[n].startswith("sql BEGIN"):
            found.append(n + 1)
    return found


def test_a_dead_hosts_mails_are_taken_over_when_its_lease_is_over(scene: Scene) -> None:
    primed(scene)
    scene.world.post(V1)
    scene.world.wait(hours=2)
    start = Snapshot(scene)
    kinds = scene.trace()
    for number in sending(kinds)[:: 1 if ALL else 3]:
        start.restore()
        assert scene.watch(stop_at=number).code == -signal.SIGKILL
        scene.world.now += LEASE - timedelta(minutes=1)
        ended = scene.watch(host="b")
        assert (ended.code, ended.out) == (0, "")
        assert ended.err.startswith("note: another pass is at it (a:")
        scene.world.wait(minutes=2)
        scene.quiet(host="b")
        assert len(scene.server.mails) == 4, kinds[number - 1]
        scene.world.wait(hours=1)
        scene.quiet(host="b")
        assert scene.wrong() == []


def test_a_host_that_wakes_up_after_it_was_given_up_sends_nothing(scene: Scene, run_other: Nursery) -> None:
    primed(scene)
    one_reply(scene)
    start = Snapshot(scene)
    kinds = scene.trace()
    points = sending(kinds)
    assert "smtp > From" in {kinds[n - 1] for n in points}
    for number in points if ALL else points[::3]:
        for fault in (Faults(), Faults(mail="451 later", rcpt="451 later", data="451 later")):
            start.restore()
            assert scene.run(scene.order(no_locks=True, stop_at=number, signal=int(signal.SIGSTOP))).stopped
            scene.world.now += LEASE + timedelta(minutes=1)
            other = run_other(scene.order(no_locks=True, host="b"))
            assert (other.code, other.err) == (0, ""), kinds[number - 1]
            assert len(scene.server.mails) == 2
            scene.server.faults = fault
            scene.run.go_on()
            woken = scene.run.wait()
            assert woken.code in (0, 2), woken
            assert len(scene.server.mails) == 2, kinds[number - 1]
            assert scene.states() == ["sent", "sent"], kinds[number - 1]
            scene.server.faults = Faults()
            # the list takes its time: nothing but the ledger says that the mail is out
            scene.world.wait(hours=1)
            assert scene.run(scene.order(host="b")).code == 0
            assert len(scene.server.mails) == 2, kinds[number - 1]
            scene.take()
            scene.world.wait(hours=1)
            scene.quiet(host="b")
            assert (kinds[number - 1], scene.wrong()) == (kinds[number - 1], [])


# --- the kill switch --------------------------------------------------------------------------------


def test_a_kill_switch_within_a_pass_stops_what_is_not_out_and_its_removal_lets_it_go(scene: Scene) -> None:
    primed(scene)
    scene.world.post(V1)
    scene.world.wait(hours=2)
    start = Snapshot(scene)
    kinds = scene.trace()
    stop = scene.world.state / "STOP"
    first = kinds.index("sql INSERT INTO claim")
    points = range(first - 20, len(kinds))
    for number in points if ALL else points[::11]:
        start.restore()
        ended = scene.watch(act_at=number, act=("touch", str(stop)))
        # a mail whose last byte but the dot is out was asked about before
        gone = kinds[: number - 1].count("smtp > From")
        assert len(scene.server.mails) <= 1 + gone, f"point {number} ({kinds[number - 1]})"
        assert ended.code in (0, 75)
        assert ended.err.count("\n") <= 1
        sent = len(scene.server.mails)
        scene.world.wait(hours=1)
        scene.watch()
        assert len(scene.server.mails) == sent
        stop.unlink()
        scene.world.wait(hours=1)
        scene.quiet()
        assert len(scene.server.mails) == 4
        scene.world.wait(hours=1)
        scene.quiet()
        assert scene.wrong() == []
