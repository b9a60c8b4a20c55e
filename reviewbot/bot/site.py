# SPDX-License-Identifier: GPL-2.0-or-later
"""What the steps of a pass work with: configuration, ledger, archives, clock, rules, and who is told of what.

Belongs here: what every step needs and none of them owns. Does not belong here: doing anything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import NamedTuple

from reviewbot.bot.archives import Archives
from reviewbot.config import Config
from reviewbot.index import Index
from reviewbot.ledger import LEASE, Ledger, LedgerError, ledger_path
from reviewbot.model import ReviewbotError
from reviewbot.recipients import reply_settings
from reviewbot.rule import Rule
from reviewbot.send import Transport
from reviewbot.source import Source
from reviewbot.source.feed import Feed
from reviewbot.tree import Tree


class Event(NamedTuple):
    """Something that a pass did, would do, or decided not to do."""

    what: str  # "sent", "would send", "queued", "skipped", "note", ...
    message_id: str  # of the mail answered, or that would be; '' for what is about no mail
    reason: str
    text: str
    subject: str = ""


class Site:
    """What a pass works with. `now` is the clock, `transport` opens the way out, `tell` hears of every event."""

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        *,
        rules: Sequence[Rule],
        transport: Callable[[], AbstractContextManager[Transport]],
        tell: Callable[[Event], None],
        feeds: Mapping[str, Feed] | None = None,
        source: Source | None = None,
        tree: Tree | None = None,
        index: Index | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        replay: bool = False,
        via: Collection[str] = (),
        failed: Mapping[str, ReviewbotError] | None = None,
    ) -> None:
        """`via` are the lists that surely have what `source` has. What comes in is put into `index`, too.

        A `replay` reads nothing that is new, sees of a server only what was noted, and takes every mail for approved.
        """
        self.config, self.ledger, self.rules, self.tree = config, ledger, rules, tree
        self.index = index  # of series in flight; None where there is none, or it was found to be broken
        self.feeds = feeds or {}
        self.archives = Archives(ledger, self.feeds, known_only=replay)
        self.source: Source = source or self.archives
        self.transport, self.tell, self.now = transport, tell, now
        self.replay, self.via = replay, tuple(via)
        self.settings = reply_settings(config)
        self.own = (self.settings.sender.email.lower(),)
        self.troubles: list[ReviewbotError] = [*(failed or {}).values()]
        self.failed_sources = set(failed or ())  # what could not be opened or read in this pass
        self.mails = self.postings = self.queued = self.sent = 0
        waits = [config.policy.wait, *(table.wait for table in config.list.values())]
        self.least_wait = min(waits)

    def trouble(self, error: ReviewbotError) -> None:
        """Something went wrong that the pass survives; each is told once, at its end."""
        if str(error) not in {str(other) for other in self.troubles}:
            self.troubles.append(error)

    def renew(self) -> None:
        """Say that the pass is alive. Raises LedgerError where another host has taken over."""
        if self.ledger.path != ":memory:" and (other := self.ledger.lease(self.now())):
            raise LedgerError(f"ledger '{self.ledger.path}' was taken over by {other}, which is told after {LEASE}")

    def kill_switch(self) -> str | None:
        """The file that stops all sending, where it is there."""
        return None if self.replay else kill_switch(self.config)


def kill_switch(config: Config) -> str | None:
    """The file that stops all sending, where it is there: the configured one, or STOP beside the ledger."""
    name = config.policy.kill_switch
    path = os.path.expanduser(name) if name else os.path.join(os.path.dirname(ledger_path(config)), "STOP")
    return path if os.path.lexists(path) else None
