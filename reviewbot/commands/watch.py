# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot watch`: one pass over the configured archives, then exit; or a rehearsal, or a replay of history.

Belongs here: one pass at a time, what is printed of it, and the clock of a replay. The pass is `bot`'s.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Self

from reviewbot.bot import Bot
from reviewbot.bot.checks import post_checks
from reviewbot.bot.site import Event, Site
from reviewbot.commands.common import choose_rules, open_tree, parse_when, say
from reviewbot.config import Config, index_path
from reviewbot.index import Index, SeriesIndexError
from reviewbot.ledger import Ledger, LedgerError, MailState, ledger_path
from reviewbot.model import ConfigError, InputError, ReviewbotError
from reviewbot.output.text import clean
from reviewbot.policy import Reason
from reviewbot.send import Outcome, Result, open_transport
from reviewbot.source.feed import Arrival, EpochFeed, Feed, LoreFeed

# An archive that took mails in long after they were sent (an import) tells no arrival: then the Date: is taken.
_IMPORT = timedelta(days=60)
_DATE = re.compile(rb"^date:[ \t]*([^\r\n]{1,100})", re.I | re.M)


def run(args: argparse.Namespace, config: Config) -> int:
    """The process's exit code: 0 also where another pass is at it, 75 where a source or server failed."""
    rules = choose_rules(args, config)
    if not config.source:
        raise ConfigError("no archive to watch is configured: [source.NAME] with git or lore, and list")
    since, until = parse_when(args.since, "--since"), parse_when(args.until, "--until")
    if until and not since:
        raise InputError("--until needs --since")
    if since and until and until <= since:
        raise InputError("--until must be later than --since")
    path = ledger_path(config)
    with ExitStack() as stack:
        tree = stack.enter_context(open_tree(args, config))
        tree = None if isinstance(tree, str) else tree
        feeds, failed = open_feeds(config, Path(path).parent)
        for feed in feeds.values():
            stack.callback(feed.close)
        broken: list[ReviewbotError] = []
        if since or until or args.dry_run:
            replay = since is not None
            printer = _Rehearsal(replay=replay)
            if not replay and not os.path.exists(path):
                say(args, "note: there is no ledger yet, so only what comes is new: --since 30d looks at what came")
            ledger = stack.enter_context(Ledger(":memory:") if replay else Ledger.copy(path))
            index = open_index(stack, broken, lambda: Index(":memory:") if replay else Index.copy(index_path(config)))
            clock = Clock() if replay else None
            bot = Bot(Site(
                config, ledger, rules=rules, transport=Rehearsal, tell=printer.tell, feeds=feeds, tree=tree,
                index=index, now=clock or _now, replay=replay, failed=failed,
            ))  # fmt: skip
            bot.site.troubles += broken
            if clock:
                play(bot, clock, feeds, since, until)
            else:
                bot.run()
            if not replay:
                printer.tell_later(bot)
            printer.end(bot)
            if config.send.server:
                open_transport(config.send)  # raises where the way out is set up wrongly
        else:
            if (holder := stack.enter_context(only_one(path))) is not None:
                say(args, f"note: another pass is at it ({holder}): nothing is done")
                return 0
            ledger = stack.enter_context(Ledger(path))
            if (other := ledger.lease(_now())) is not None:
                say(args, f"note: another pass is at it ({other}): nothing is done")
                return 0
            stack.callback(end_lease, ledger)
            if damage := ledger.check(quick=True):
                raise LedgerError(f"ledger '{path}' is damaged, nothing is sent: {damage[0]}")
            index = open_index(stack, broken, lambda: Index(index_path(config)))
            bot = Bot(Site(
                config, ledger, rules=rules, transport=lambda: open_transport(config.send), tell=print_event,
                feeds=feeds, tree=tree, index=index, failed=failed,
            ))  # fmt: skip
            bot.site.troubles += broken
            number = ledger.begin_pass(_now())
            trouble = "died"
            try:
                bot.run()
                post_checks(bot.site)
                trouble = "; ".join(map(str, bot.site.troubles))[:1000]
            except (ConfigError, InputError) as error:
                trouble = str(error)[:1000]
                raise
            finally:
                ledger.end_pass(
                    number, _now(), (bot.site.mails, bot.site.postings, bot.site.queued, bot.site.sent), trouble or None
                )
        for each in bot.site.troubles:
            print_error(each)
        return max((each.exit_code for each in bot.site.troubles), default=0)


def open_index(stack: ExitStack, troubles: list[ReviewbotError], open_it: Callable[[], Index]) -> Index | None:
    """The index of series in flight, which a pass can do without; why it cannot be opened goes to `troubles`."""
    try:
        return stack.enter_context(open_it())
    except SeriesIndexError as error:
        troubles.append(error)
        return None


def read_index(stack: ExitStack, troubles: list[ReviewbotError], config: Config) -> Index | None:
    """As `open_index`, to be read alone; None where there is none yet."""
    path = index_path(config)
    return open_index(stack, troubles, lambda: Index(path, readonly=True)) if os.path.exists(path) else None


def end_lease(ledger: Ledger) -> None:
    """Let others make a pass."""
    with suppress(LedgerError):  # it runs out by itself; what went wrong has been told
        ledger.end_lease()


def _now() -> datetime:
    return datetime.now(UTC)


def open_feeds(config: Config, state: Path) -> tuple[dict[str, Feed], dict[str, ReviewbotError]]:
    """The configured archives, and why others cannot be opened; nothing is contacted yet.

    `state` is where what is pulled is kept.
    """
    feeds: dict[str, Feed] = {}
    failed: dict[str, ReviewbotError] = {}
    for name, source in config.source.items():
        try:
            if source.git:
                feeds[name] = EpochFeed(name, os.path.expanduser(source.git), state / "archives")
            else:
                feeds[name] = LoreFeed(name, source.lore, source.overlap)
        except InputError as error:
            failed[name] = error
    return feeds, failed


@contextmanager
def only_one(path: str) -> Iterator[str | None]:
    """The lock of this host's passes. Who has it, where somebody else has; else None. Raises LedgerError."""
    name = f"{path}.lock"
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        number = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LedgerError(f"cannot write to ledger '{path}': {error.strerror}") from error
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield os.read(number, 100).decode("ascii", "replace").strip() or "just begun"
            return
        except OSError as error:
            raise LedgerError(f"cannot lock '{name}': {error.strerror}") from error
        try:
            os.ftruncate(number, 0)
            os.pwrite(number, f"process {os.getpid()}\n".encode("ascii"), 0)
        except OSError as error:
            raise LedgerError(f"cannot write to ledger '{path}': {error.strerror}") from error
        yield None
    finally:
        os.close(number)


# --- what is printed ------------------------------------------------------------------------------

# A pass is quiet: what was only decided is in the ledger.
_LOUD = ("sent", "queued", "drafted", "failed", "uncertain", "answer", "note", "check")


def line(event: Event) -> str:
    """An event for a person."""
    about = f" <{event.message_id}>" if event.message_id else ""
    reason = "" if event.reason in ("", event.what, "begin", "source") else f" {event.reason}"
    text = f": {event.text}" if event.text else ""
    return clean(f"{event.what}{about}{reason}{text}" + (f" [{event.subject[:100]}]" if event.subject else ""))


def print_event(event: Event) -> None:
    """What a pass says: that something happened."""
    if event.what in _LOUD:
        print(line(event), flush=True)


def print_error(error: Exception) -> None:
    """On stderr, as every error."""
    import sys

    print(f"reviewbot: {clean(' '.join(str(error).split(chr(10))))}", file=sys.stderr)


class Rehearsal:
    """A way out that leads nowhere."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def send(self, sender: str, recipients: Sequence[str], data: bytes, last: Callable[[], None]) -> Result:  # noqa: ARG002
        """As if a server had taken it."""
        last()
        return Result(Outcome.SENT, 250, "rehearsed")


class _Rehearsal:
    """Prints every decision, with its reason, and sums them up; of a replay not what was decided for a while."""

    def __init__(self, *, replay: bool) -> None:
        self.counts: Counter[str] = Counter()
        self.replay = replay
        self.waiting: dict[str, Event] = {}

    def tell(self, event: Event) -> None:
        if self.replay and event.what == "waiting":
            self.waiting[event.message_id] = event
            return
        self.waiting.pop(event.message_id, None)
        self._print(event)

    def _print(self, event: Event) -> None:
        what = {"sent": "would send", "queued": "would queue", "drafted": "would draft"}.get(event.what, event.what)
        if what in ("would send", "would queue", "would draft", "skipped", "waiting"):
            self.counts[what if what.startswith("would") else f"{what}, {event.reason}"] += 1
        print(line(event._replace(what=what, reason="" if event.reason == event.what else event.reason)))

    def tell_later(self, bot: Bot) -> None:
        """What waits for a time to come."""
        ledger, now = bot.site.ledger, bot.site.now()
        for mail in ledger.outgoing(MailState.READY):
            if mail.next_try > now:
                text = f"{mail.text or 'not before its time'}; next attempt {mail.next_try:%Y-%m-%d %H:%M}"
                self.tell(Event("waiting", mail.target, "later", text))
        for name, due in ledger.later(now):
            posting = ledger.posting_of(name)
            last = next(reversed(ledger.decisions(posting.id)), None) if posting else None
            reason = last.reason if last else (ledger.mail_reason(name) or ("", Reason.WAITING, ""))[1]
            self.tell(Event("waiting", name, reason, f"looked at again {due:%Y-%m-%d %H:%M}"))

    def end(self, bot: Bot) -> None:
        settled = {mail.target for mail in bot.site.ledger.outgoing() if mail.state is not MailState.READY}
        for event in self.waiting.values():
            # a cover letter that waited was settled with its patches
            if event.message_id not in settled and not _is_settled(bot.site.ledger, event.message_id):
                self._print(event)
        print(f"\n{bot.site.mails} new mails, {bot.site.postings} postings looked at")
        for what, number in sorted(self.counts.items(), key=lambda item: (not item[0].startswith("would"), -item[1])):
            print(f"{number:7} {what}")


def _is_settled(ledger: Ledger, message_id: str) -> bool:
    posting = ledger.posting_of(message_id)
    last = ledger.decisions(posting.id)[-1:] if posting else []
    return bool(last) and last[0].final


# --- replay ---------------------------------------------------------------------------------------


class Clock:
    """The time in a replay."""

    def __init__(self) -> None:
        self.time = datetime(1970, 1, 2, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


def play(bot: Bot, clock: Clock, feeds: Mapping[str, Feed], since: datetime | None, until: datetime | None) -> None:
    """Have `bot` live through what the archives took in between two times; what came before is known to it.

    Mails come at the time at which the archive took them in, or at their Date: where that was long before:
    an import. All that was due has been looked at in the end, on what was known at `until`.
    """
    before = since - timedelta(days=90) if since else None
    order: list[tuple[datetime, int, str, Arrival]] = []
    for name, feed in feeds.items():
        for arrival in feed.news(feed.begin(before)):
            if arrival.raw is not None:
                kept = arrival if not arrival.place else arrival._replace(raw=None)
                order.append((_time(arrival), len(order), name, kept))
    for time, _, name, arrival in sorted(order, key=lambda item: item[:2]):
        if until and time >= until:
            break
        while (due := bot.site.ledger.next_due()) is not None and due <= time:
            clock.time = max(clock.time, due)
            bot.consider()
            bot.delivery.deliver()
        clock.time = max(clock.time, time)
        raw = arrival.raw if arrival.raw is not None else feeds[name].read(arrival.place)
        bot.intake.note(name, arrival._replace(raw=raw, arrived=clock.time), considered=since is None or time >= since)
    while (due := bot.site.ledger.next_due()) is not None:
        clock.time = max(clock.time + timedelta(seconds=1), due)
        bot.consider()
        bot.delivery.deliver()


def _time(arrival: Arrival) -> datetime:
    head = (arrival.raw or b"").partition(b"\n\n")[0]
    match = _DATE.search(head)
    try:
        date = parsedate_to_datetime(match[1].decode("ascii", "replace")) if match else arrival.arrived
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return date.astimezone(UTC) if timedelta() < arrival.arrived - date < _IMPORT else arrival.arrived
    except (ValueError, TypeError, OverflowError):
        return arrival.arrived
