# SPDX-License-Identifier: GPL-2.0-or-later
"""The feeds as a source of threads: the ledger knows which mails hang together, they are read where they lie.

Belongs here: finding mails again. Does not belong here: finding out that there are new ones (`intake`).
"""

from __future__ import annotations

from collections.abc import Mapping

from reviewbot.ledger import Ledger
from reviewbot.mail import fold_title
from reviewbot.mime import parse_mail
from reviewbot.model import Mail, NotFoundError
from reviewbot.source import MAX_RELATED, Lineage
from reviewbot.source.feed import Feed, LoreFeed

# Mails of one thread that are read, those nearest to the one asked for: the longest of real threads have some 1,500,
# and who posts ten thousand patches in one has each of them read with its neighbours.
MOST_READ = 1_000


class Archives:
    """The feeds as a source of threads: what the ledger knows, read from where it lies."""

    def __init__(self, ledger: Ledger, feeds: Mapping[str, Feed], *, known_only: bool = False) -> None:
        """`known_only` leaves out what a server has and the ledger does not."""
        self.ledger, self.feeds, self.known_only = ledger, feeds, known_only

    def thread(self, message_id: str) -> list[bytes]:
        """See `Source.thread`; of what is in the ledger. Raises TemporaryError where a server does not answer."""
        names = _nearest(self.ledger.thread(message_id), message_id)
        if not names:
            raise NotFoundError(f"no mail <{message_id}> in the ledger")
        raws: list[bytes] = []
        remote: list[LoreFeed] = []
        for name in names:
            raw, servers = self._read(name)
            if raw is not None:
                raws.append(raw)
            remote += [server for server in servers if raw is None and server not in remote]
        for feed in remote:
            raws += [raw for raw in feed.source.thread(message_id) if self._counts(raw)]
        if not raws:
            raise NotFoundError(f"no mail <{message_id}> in the archives any more")
        return raws

    def related(self, lineage: Lineage) -> list[bytes]:
        """See `Source.related`."""
        titles = [fold_title(title) for title in lineage.titles]
        names = self.ledger.candidates(lineage.email, titles, lineage.change_id, lineage.since)
        # one title may have been posted thousands of times
        raws = [raw for name in names[-MAX_RELATED:] if (raw := self._read(name)[0]) is not None]
        for feed in self.feeds.values():
            if isinstance(feed, LoreFeed):
                raws += [raw for raw in feed.source.related(lineage) if self._counts(raw)]
        return [raw for raw in raws if lineage.claims_raw(raw)][-MAX_RELATED:]

    def raw(self, message_id: str) -> bytes | None:
        """A mail's bytes; None where no archive has it any more."""
        raw, servers = self._read(message_id)
        for feed in servers if raw is None else ():
            for other in feed.source.thread(message_id):
                if parse_mail(other).message_id == message_id:
                    return other
        return raw

    def _same(self, raw: bytes, message_id: str) -> bool:
        """What a second archive has under this Message-ID comes from the same sender."""
        mail = parse(raw)
        return mail is not None and mail.sender.email.lower() == self.ledger.sender_of(message_id)

    def _counts(self, raw: bytes) -> bool:
        mail = parse(raw) if self.known_only else None
        return not self.known_only or (mail is not None and self.ledger.knows(mail.message_id))

    def _read(self, message_id: str) -> tuple[bytes | None, list[LoreFeed]]:
        """A mail's bytes where they lie on this machine, and the servers that have it."""
        servers: list[LoreFeed] = []
        for nth, (name, place) in enumerate(self.ledger.places(message_id)):
            feed = self.feeds.get(name)
            if isinstance(feed, LoreFeed):
                servers.append(feed)
            elif (
                feed is not None and (raw := feed.read(place)) is not None and (not nth or self._same(raw, message_id))
            ):
                return raw, servers
        return None, servers


def parse(raw: bytes) -> Mail | None:
    """A mail; None for what cannot be read as one."""
    try:
        return parse_mail(raw)
    except Exception:  # noqa: BLE001 - the email package raises what it likes on hostile mail
        return None


def _nearest(names: list[str], name: str) -> list[str]:
    """As many as are read, those that arrived next to `name` before and behind it."""
    at = names.index(name) if name in names else 0
    begin = max(0, min(at - MOST_READ // 2, len(names) - MOST_READ))
    return names[begin : begin + MOST_READ]
