# SPDX-License-Identifier: GPL-2.0-or-later
"""A small world for the bot: an archive, a clock, a configuration, and a way out that can be looked at.

Belongs here: what tests of passes share. The archive is a real public-inbox epoch; the way out is a list
of mails, which may flow back into the archive. No mail here is a real one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import NamedTuple, Self

from inbox import write_epoch
from mails import AUTHOR, START, mail

from reviewbot import registry
from reviewbot.bot import Bot
from reviewbot.bot.site import Event, Site
from reviewbot.config import Config, load_config
from reviewbot.ledger import Ledger, MailState
from reviewbot.send import Outcome, Result
from reviewbot.source.feed import EpochFeed, Feed

LIST = "linux-mm@example.org"
CONFIG = """\
[reply]
sender = "reviewbot <bot@reviews.example>"
[policy]
wait = "1h"
[source.walk]
git = "{archive}"
list = "linux-mm@example.org"
[list."linux-mm@example.org"]
mode = "author+list"
send = "auto"
"""

# Rules that the patches below break: ML01 by old_name(), ML02 by raw_call(). Both are of high confidence.
OLD_NAME, RAW_CALL = "mmap-lock/direct-mmap-sem", "mmap-lock/raw-rwsem-call"


def diff(name: str, *lines: str) -> str:
    """A diff that adds lines to lumen_<name>() in drivers/misc/<name>.c."""
    added = "".join(f"+\t{line}\n" for line in lines)
    return (
        f"diff --git a/drivers/misc/{name}.c b/drivers/misc/{name}.c\n"
        "index 1111111111111111..2222222222222222 100644\n"
        f"--- a/drivers/misc/{name}.c\n+++ b/drivers/misc/{name}.c\n"
        f"@@ -10,3 +10,{3 + len(lines)} @@ static int lumen_{name}(struct mm_struct *mm)\n"
        f" \tint ret;\n \n{added} \treturn ret;\n"
    )


def old_name(name: str) -> str:
    """A diff with a finding of OLD_NAME."""
    return diff(name, "down_read(&mm->mmap_sem);", "ret = lumen_walk(mm);", "up_read(&mm->mmap_sem);")


def raw_call(name: str) -> str:
    """A diff with a finding of RAW_CALL."""
    return diff(name, "down_write(&mm->mmap_lock);", "ret = lumen_walk(mm);", "up_write(&mm->mmap_lock);")


def clean(name: str) -> str:
    """A diff of which there is nothing to say."""
    return diff(name, "mmap_read_lock(mm);", "ret = lumen_walk(mm);", "mmap_read_unlock(mm);")


def series(
    *diffs: str,
    key: str = "lumen",
    revision: int = 1,
    minute: int = 0,
    sender: str = AUTHOR,
    prefix: str = "PATCH",
    headers: Sequence[str] = (),
    notes: Sequence[str] = (),
    above: str | None = None,
) -> list[bytes]:
    """A posting: with several diffs a cover letter `<key>-v<revision>-0@example.org` and patches -1, -2 ... below."""
    version = f" v{revision}" if revision > 1 else ""

    def name(n: int) -> str:
        return f"{key}-v{revision}-{n}@example.org"

    mails = []
    if len(diffs) > 1:
        subject = f"[{prefix}{version} 0/{len(diffs)}] misc: {key}: walk more"
        mails.append(
            mail(subject, "Walk more.\n", name(0), minute=minute, sender=sender, headers=headers, in_reply_to=above)
        )
    for n, text in enumerate(diffs, 1):
        counter = f" {n}/{len(diffs)}" if len(diffs) > 1 else ""
        below = f"{notes[n - 1]}\n" if n <= len(notes) else ""
        body = f"Walk step {n} of {key}.\n\nSigned-off-by: {sender}\n---\n{below} x.c | 3 +++\n\n{text}-- \n2.39.5\n"
        mails.append(
            mail(
                f"[{prefix}{version}{counter}] misc: {key}: step {n}",
                body,
                name(n),
                minute=minute + n,
                sender=sender,
                headers=headers,
                in_reply_to=name(0) if len(diffs) > 1 else above,
            )
        )
    return mails


class Sending(NamedTuple):
    """A mail that went out."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes

    @property
    def message(self) -> EmailMessage:
        """Parsed."""
        message = BytesParser(policy=policy.default).parsebytes(self.data)
        assert isinstance(message, EmailMessage)
        return message

    @property
    def message_id(self) -> str:
        """Without brackets."""
        return str(self.message["Message-ID"]).strip("<>")

    @property
    def text(self) -> str:
        """The body."""
        return str(self.message.get_content())


class World:
    """An archive, a ledger, a clock. `archived` has what goes out come in again, as with a list."""

    def __init__(self, directory: Path, config: str = "", *, archived: bool = True, host: str | None = None) -> None:
        """`config` is put before the usual settings, or replaces them where it begins with [reply]."""
        self.directory = directory
        self.archive = directory / "walk"
        self.state = directory / "state"
        self.file = directory / "config.toml"
        self.ledger_file = self.state / "ledger.sqlite"
        self.configure(config)
        self.now = START + timedelta(minutes=30)
        self.archived, self.host = archived, host
        self.out: list[Sending] = []
        self.events: list[Event] = []
        self.more: list[str] = []  # names of further archives, beside `walk`
        self.result: Callable[[Sending], Result] = lambda _sending: Result(Outcome.SENT, 250, "ok")
        if not (self.archive / "git" / "0.git").exists():
            self.archive.mkdir(parents=True, exist_ok=True)
            (self.archive / "git").mkdir(exist_ok=True)
            self.post([mail("the list begins", "Hello.\n", "first@example.org", minute=-600)])
            with self.ledger() as ledger:
                feed = self.feed()
                ledger.set_cursor("walk", feed.begin(START - timedelta(days=1)), self.now)
                feed.close()

    def configure(self, config: str = "") -> None:
        """Write the configuration anew."""
        text = config if config.startswith("[reply]") else config + CONFIG
        self.file.parent.mkdir(parents=True, exist_ok=True)
        text = text.replace("{archive}", str(self.archive)).replace("{directory}", str(self.directory))
        self.file.write_text(f'ledger = "{self.ledger_file}"\n' + text)

    @property
    def config(self) -> Config:
        """As it is in the file."""
        return load_config(str(self.file))

    def feed(self) -> EpochFeed:
        """The archive."""
        return EpochFeed("walk", str(self.archive), self.state / "archives")

    def ledger(self) -> Ledger:
        """The ledger, opened."""
        return Ledger(self.ledger_file, host=self.host)

    def post(self, mails: Sequence[bytes], *, when: datetime | None = None) -> None:
        """Mails come into the archive."""
        write_epoch(self.archive / "git" / "0.git", mails, when=int((when or self.now).timestamp()))

    def post_to(self, name: str, mails: Sequence[bytes]) -> None:
        """Mails come into a further archive, `{directory}/<name>` in the configuration; a first one must be told of."""
        path = self.directory / name
        if name not in self.more:
            self.more.append(name)
            (path / "git").mkdir(parents=True, exist_ok=True)
            first = [mail("the list begins", "Hello.\n", f"first-{name}@example.org", minute=-600)]
            write_epoch(path / "git" / "0.git", first, when=int(self.now.timestamp()))
            with self.ledger() as ledger:
                feed = EpochFeed(name, str(path), self.state / "archives")
                ledger.set_cursor(name, feed.begin(START - timedelta(days=1)), self.now)
                feed.close()
        if mails:
            write_epoch(path / "git" / "0.git", mails, when=int(self.now.timestamp()))

    def wait(self, **time: float) -> None:
        """Time goes by: hours=2."""
        self.now += timedelta(**time)

    # the way out; `send` is what tests replace
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def send(self, sender: str, recipients: Sequence[str], data: bytes, last: Callable[[], None]) -> Result:
        """Take a mail as a server would."""
        sending = Sending(sender, tuple(recipients), data.replace(b"\r\n", b"\n"))
        result = self.result(sending)
        if result.outcome in (Outcome.SENT, Outcome.UNCERTAIN):
            last()
            self.take(sending)
        return result

    def take(self, sending: Sending) -> None:
        """The list has it."""
        self.out.append(sending)
        if self.archived and LIST in sending.recipients:
            self.post([sending.data])

    def run(self) -> list[Sending]:
        """One pass; what it sent. Its events are in `events`."""
        before = len(self.out)
        self.events = []
        with ExitStack() as stack:
            ledger = stack.enter_context(self.ledger())
            feeds: dict[str, Feed] = {"walk": self.feed()}
            for name in self.more:
                feeds[name] = EpochFeed(name, str(self.directory / name), self.state / "archives")
            for feed in feeds.values():
                stack.callback(feed.close)
            bot = Bot(Site(
                self.config, ledger, rules=registry.load(), transport=lambda: self, tell=self.events.append,
                feeds=feeds, now=lambda: self.now,
            ))  # fmt: skip
            bot.run()
            assert [str(trouble) for trouble in bot.site.troubles] == []
        return self.out[before:]

    def reasons(self, what: str = "skipped") -> list[tuple[str, str]]:
        """(Message-ID, reason) of the last pass's events of a kind."""
        return [(event.message_id, event.reason) for event in self.events if event.what == what]

    def decisions(self, message_id: str) -> list[str]:
        """The reasons noted of the posting that a mail belongs to, in order; [] where it is none."""
        with self.ledger() as ledger:
            posting = ledger.posting_of(message_id)
            return [one.reason for one in ledger.decisions(posting.id)] if posting else []

    def states(self) -> list[MailState]:
        """Of all mails of ours, oldest first."""
        with self.ledger() as ledger:
            return [mail.state for mail in ledger.outgoing()]
