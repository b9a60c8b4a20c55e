# SPDX-License-Identifier: GPL-2.0-or-later
"""Passes whose mails come from a server, and whose checks go to one: real public-inbox, Patchwork as it answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from inbox import deliver, missing_programs, public_inbox
from patchwork_server import FakePatchwork, patchwork
from world import OLD_NAME, World, clean, old_name, raw_call, series

from reviewbot import registry
from reviewbot.bot import Bot
from reviewbot.bot.checks import post_checks
from reviewbot.bot.site import Event, Site
from reviewbot.config import load_config
from reviewbot.ledger import Ledger
from reviewbot.source.feed import LoreFeed


def now_dated(raw: bytes, minutes: float = -0.05) -> bytes:
    """The mail as if sent so many minutes ago: what is older than a first pass is not new."""
    date = format_datetime(datetime.now(UTC) - timedelta(minutes=minutes)).encode()
    lines = [b"Date: " + date if line.startswith(b"Date: ") else line for line in raw.split(b"\n")]
    return b"\n".join(lines)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    if missing := missing_programs():
        pytest.skip(f"not installed: {missing}")
    first = now_dated(series(clean("old"), key="old")[0], 60 * 24 * 30)
    with public_inbox(tmp_path / "server", [first], name="walk") as url:
        yield tmp_path / "server", url


class LoreWorld(World):
    """A world whose archive is behind a server."""

    url: str
    places: Path

    def run_lore(self) -> list[str]:
        """A pass; the Message-IDs of the mails that went out."""
        before = len(self.out)
        self.events = []
        with ExitStack() as stack:
            ledger = stack.enter_context(Ledger(self.ledger_file))
            feed = LoreFeed("walk", self.url, timedelta(hours=2))
            bot = Bot(Site(
                load_config(str(self.file)), ledger, rules=registry.load(), transport=lambda: self,
                tell=self.events.append, feeds={"walk": feed}, now=lambda: self.now,
            ))  # fmt: skip
            bot.run()
            assert bot.site.troubles == []
        return [sent.message_id for sent in self.out[before:]]


@pytest.fixture
def lore(tmp_path: Path, server: tuple[Path, str]) -> LoreWorld:
    world = LoreWorld(tmp_path / "world", archived=False)
    world.places, world.url = server
    world.file.write_text(world.file.read_text().replace(f'git = "{world.archive}"', f'lore = "{world.url}"'))
    world.ledger_file.unlink()
    world.now = datetime.now(UTC)
    return world


def test_mails_of_a_server_are_found_answered_once_and_seen_again(lore: LoreWorld) -> None:
    assert lore.run_lore() == []
    for raw in series(old_name("a"), clean("b")):
        deliver(lore.places, "walk", now_dated(raw))
    lore.now += timedelta(minutes=1)
    assert lore.run_lore() == []
    lore.now += timedelta(hours=2)
    (name,) = lore.run_lore()
    (sent,) = lore.out
    assert sent.message["In-Reply-To"] == "<lumen-v1-1@example.org>"
    with lore.ledger() as ledger:
        assert [mail.archived for mail in ledger.outgoing()] == [None]
    deliver(lore.places, "walk", now_dated(sent.data))
    lore.now += timedelta(minutes=1)
    assert lore.run_lore() == []
    with lore.ledger() as ledger:
        assert [mail.archived is not None for mail in ledger.outgoing()] == [True]
        assert ledger.knows(name)


def test_the_servers_thread_is_read_again_right_before_sending(lore: LoreWorld) -> None:
    lore.run_lore()
    deliver(lore.places, "walk", now_dated(series(old_name("a"))[0]))
    lore.now += timedelta(minutes=1)
    lore.run_lore()
    deliver(lore.places, "walk", now_dated(series(clean("a"), revision=2)[0]))
    lore.now += timedelta(hours=2)
    assert lore.run_lore() == []
    assert ("lumen-v1-1@example.org", "superseded") in lore.reasons()


# --- Patchwork ------------------------------------------------------------------------------------


@pytest.fixture
def checks(tmp_path: Path) -> Iterator[FakePatchwork]:
    with patchwork() as server:
        token = tmp_path / "token"
        token.write_text("s3cret-token\n")
        token.chmod(0o600)
        yield server


def patchwork_world(tmp_path: Path, server: FakePatchwork) -> World:
    world = World(tmp_path / "world")
    table = f'[patchwork]\nurl = "{server.url}"\nproject = "linux-mm"\ntoken-file = "{tmp_path / "token"}"\n'
    world.file.write_text(world.file.read_text() + table)
    return world


def run_checks(world: World) -> list[Event]:
    """A pass with its checks; the events of the checks."""
    world.run()
    with world.ledger() as ledger:
        bot = Bot(Site(
            world.config, ledger, rules=registry.load(), transport=lambda: world, tell=world.events.append,
            now=lambda: world.now,
        ))  # fmt: skip
        post_checks(bot.site)
        assert [str(trouble) for trouble in bot.site.troubles] == []
    return [event for event in world.events if event.what == "check"]


def test_every_patch_of_a_posting_gets_its_check_once(tmp_path: Path, checks: FakePatchwork) -> None:
    world = patchwork_world(tmp_path, checks)
    for number in (1, 2):
        checks.add_mail("patches", number, f"lumen-v1-{number}@example.org")
    world.post(series(old_name("a"), clean("b")))
    assert run_checks(world) == []
    world.wait(hours=2)
    assert len(run_checks(world)) == 2
    assert {number: [row["state"] for row in rows] for number, rows in checks.checks.items()} == {
        1: ["fail"],
        2: ["success"],
    }
    assert OLD_NAME in checks.checks[1][0]["description"]
    world.wait(hours=2)
    assert run_checks(world) == []


def test_a_finding_that_was_mailed_before_still_fails_its_check(tmp_path: Path, checks: FakePatchwork) -> None:
    world = patchwork_world(tmp_path, checks)
    checks.add_mail("patches", 1, "lumen-v1-1@example.org")
    checks.add_mail("patches", 2, "lumen-v2-1@example.org")
    world.post(series(raw_call("a")))
    world.wait(hours=2)
    run_checks(world)
    world.post(series(raw_call("a"), revision=2))
    world.wait(hours=2)
    run_checks(world)
    assert len(world.out) == 1
    assert [checks.checks[number][0]["state"] for number in (1, 2)] == ["fail", "fail"]


def test_a_patch_that_patchwork_does_not_have_yet_is_tried_again(tmp_path: Path, checks: FakePatchwork) -> None:
    world = patchwork_world(tmp_path, checks)
    world.post(series(old_name("a")))
    world.wait(hours=2)
    assert run_checks(world) == []
    checks.add_mail("patches", 1, "lumen-v1-1@example.org")
    world.wait(hours=1)
    assert len(run_checks(world)) == 1


def test_a_list_that_gets_no_mail_may_get_checks(tmp_path: Path, checks: FakePatchwork) -> None:
    world = patchwork_world(tmp_path, checks)
    world.file.write_text(world.file.read_text().replace('mode = "author+list"', 'mode = "off"'))
    checks.add_mail("patches", 1, "lumen-v1-1@example.org")
    world.post(series(old_name("a")))
    world.wait(hours=2)
    assert len(run_checks(world)) == 1
    assert world.out == []
    assert world.states() == []
