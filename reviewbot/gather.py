# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known around a series -> its Dossier.

Belongs here: which of the means at hand (an archive, a tree, branches, an index) answers which question of the rules
over a series. Nothing is looked for before a rule asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from reviewbot.dossier import Dossier, Flight, History, Standing
from reviewbot.model import ReviewbotError, Series

if TYPE_CHECKING:
    from datetime import datetime

    from reviewbot.dossier import SeriesTree
    from reviewbot.index import Index
    from reviewbot.source import Source
    from reviewbot.source.commits import CommitFiles
    from reviewbot.tree import Files, Tree


class Around(NamedTuple):
    """The means at hand; what is None is not there."""

    source: Source | None = None  # the archive that the posting comes from
    raws: Sequence[bytes] = ()  # the posting's thread
    tree: Tree | None = None
    commit: str | None = None  # what the series is applied to
    files: Files | CommitFiles | None = None  # the same that the review uses: it knows what the patches made of them
    branches: Sequence[str] = ()  # of the tree
    opened: Index | None = None  # the index of other series, where it is open already
    at: datetime | None = None  # when the posting arrived, for the index; None: as its mails say
    index_file: str = ""  # that has other series, to be opened; '' for none
    mails: Sequence[bytes] = ()  # of other series, to be indexed instead
    tell: Callable[[str], None] | None = None  # a line for the person
    history: History | None = None  # where somebody has looked for the revisions already


def gather(series: Series, around: Around) -> Dossier:
    """The dossier of a series."""
    return Dossier(
        series,
        history=_history(series, around),
        ground=_ground(series, around),
        branches=_branches(series, around),
        flight=_flight(series, around),
    )


def _history(series: Series, around: Around) -> Callable[[], History | None] | None:
    if around.history is not None:
        return lambda: around.history
    if not around.raws:
        return None

    def look() -> History | None:
        from reviewbot.history import find_history

        found = find_history(around.source, around.raws, series)
        if found.trouble and around.tell:
            around.tell(f"note: cannot look for all earlier revisions: {found.trouble}")
        return found.history

    return look


def _ground(series: Series, around: Around) -> SeriesTree | None:
    if around.files is None:
        return None
    from reviewbot.ground import find_ground

    return find_ground(series, around.files)


def _branches(series: Series, around: Around) -> Callable[[], Sequence[Standing]] | None:
    tree = around.tree
    if tree is None or not around.branches:
        return None

    def look() -> Sequence[Standing]:
        from reviewbot.branches import standings

        return standings(tree, around.branches, series, around.commit)

    return look


def _flight(series: Series, around: Around) -> Callable[[], Flight | None] | None:
    if not (around.opened or around.index_file or around.mails):
        return None

    def trouble(error: ReviewbotError) -> None:
        if around.tell:
            around.tell(f"warning: {error}: other series are not looked at")

    def look() -> Flight | None:
        from datetime import UTC, datetime

        from reviewbot.index import Index, posted
        from reviewbot.mime import parse_mail

        now = datetime.now(UTC)
        try:
            index = around.opened or (Index(":memory:") if around.mails else Index(around.index_file, readonly=True))
            for raw in around.mails:
                index.add(parse_mail(raw), None, now)
        except ReviewbotError as error:
            trouble(error)
            return None
        return index.flight(series, around.at or posted(series, now), trouble)

    return look
