# SPDX-License-Identifier: GPL-2.0-or-later
"""A Message-ID -> the Series asked for, and the newest revision of it that is known, in whatever thread.

A new revision is usually no reply to the one before. Belongs here: which postings of a source are
revisions of one series (same author, and same title or change-id), and which of them is taken. Which
mails of one thread make a posting is left to `series`, finding mails to the sources.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple

from reviewbot.mail import declared_change_id, parse_subject
from reviewbot.mime import parse_mail
from reviewbot.model import Mail, NotFoundError, ReviewbotError, Series, Subject
from reviewbot.series import Posting, Thread, select_series
from reviewbot.source import Lineage, Source

# How far back a title means the same series, as b4 has it (get_extra_series()).
_BACK = timedelta(days=365)
# How much earlier than an older revision a newer one may claim to be: clocks of senders are wrong.
_SKEW = timedelta(days=1)
# Cover letter and patches are sent within this time.
_ONE_SENDING = timedelta(hours=12)
# Which stable kernel a backport is for: 5.4, 5.10.y, stable-6.1, linux-6.1.y. Each has its own revisions.
_STABLE = re.compile(r"\d+\.\d+")


class Found(NamedTuple):
    """What a Message-ID led to."""

    series: Series  # `newest` counts what other threads have
    newest: str | None  # Message-ID of the newest revision known, where it is newer than `series`
    fetched: int  # mails of the other thread that `series` comes from; 0 where it is the one asked for
    trouble: str | None  # why other threads could not be looked at; None where they were, or need not be
    raws: Sequence[bytes] = ()  # the thread that `series` comes from


def find_series(
    source: Source, raws: Sequence[bytes], message_id: str, *, revision: int | None = None, latest: bool = False
) -> Found:
    """The posting that `message_id` belongs to, or another revision of it, from this thread or another one.

    `raws` is source.thread(message_id); the rest is as for `series.build_series`. A revision that the
    thread has is taken from it. That other threads cannot be looked at is an error only where the
    revision asked for depends on it.

    Raises NotFoundError where there is no such mail or revision, InputError where it has no patch, and
    what the source raises.
    """
    thread = Thread(raws)
    if message_id not in thread.mails or (revision is None and not latest and thread.is_draft(message_id)):
        return Found(select_series(thread, message_id), None, 0, None, raws)
    posting = thread.posting(message_id)
    here = thread.revisions(posting)
    elsewhere: dict[int, str] = {}
    trouble = None
    try:
        elsewhere = _elsewhere(source, thread, posting)
    except ReviewbotError as error:
        if latest or (revision is not None and revision not in here):
            raise
        trouble = str(error)
    # an author may have put another series in the same thread
    here = {number: other for number, other in here.items() if other.title == posting.title or number not in elsewhere}
    known = {**elsewhere, **{number: other.ids[0] for number, other in here.items()}}
    wanted = max(known) if latest else posting.revision if revision is None else revision
    if wanted not in known:
        raise NotFoundError(f"no v{wanted} of <{message_id}>: {_listed(known)} known")
    fetched = 0
    if wanted in here:
        series = select_series(thread, message_id, revision=wanted if latest else revision)
    else:
        raws = source.thread(known[wanted])
        fetched = len(raws)
        other = Thread(raws)
        # that thread may hold a still newer one, in reply and with another title
        further = other.revisions(other.posting(known[wanted])) if known[wanted] in other.mails else {}
        series = select_series(other, known[wanted], latest=latest)
        known = {**{number: found.ids[0] for number, found in further.items()}, **known}
    newest = max([series.revision, *known])
    later = known[newest] if newest > series.revision else None
    return Found(series._replace(newest=newest), later, fetched, trouble, raws)


def _elsewhere(source: Source, thread: Thread, posting: Posting) -> dict[int, str]:
    """Message-IDs of other revisions in other threads, by revision; of several the one nearest in time."""
    if not posting.author:
        return {}
    first = thread.mails[posting.ids[0]]
    change_id = declared_change_id(thread.mails[name] for name in posting.ids)
    since = first.date - _BACK if first.date else None
    # where the cover letter was named anew, the first patch may still have its title
    titles = [thread.subjects[name].title for name in posting.ids[:2] if thread.subjects[name].counter in (None, 0, 1)]
    lineage = Lineage(tuple(dict.fromkeys(titles)), posting.author, change_id, since)
    branch = stable_branch(thread.subjects[posting.ids[0]])
    found: dict[int, tuple[bool, int, bool, str]] = {}
    for mail in map(parse_mail, source.related(lineage)):
        subject = parse_subject(mail.subject)
        number = subject.revision or 1
        if not mail.message_id or mail.message_id in thread.mails or stable_branch(subject) != branch:
            continue
        same_change = lineage.same_change(mail)
        if not same_change and _out_of_order(first, mail, number - posting.revision):
            continue
        away = abs(mail.date - first.date) // _ONE_SENDING if mail.date and first.date else sys.maxsize
        # the change-id is better evidence than a title, which may be used again; the cover letter names a posting
        ranked = (not same_change, away, subject.counter != 0, mail.message_id)
        found[number] = min(found.get(number, ranked), ranked)
    return {number: message_id for number, (_, _, _, message_id) in found.items()}


def _out_of_order(first: Mail, other: Mail, step: int) -> bool:
    """The other mail claims to be `step` revisions newer, and its date says the opposite."""
    if first.date is None or other.date is None or step == 0:
        return False
    later = other.date - first.date
    return later < -_SKEW if step > 0 else later > _SKEW


def stable_branch(subject: Subject) -> frozenset[str]:
    """The stable kernels that a backport is for: it is no revision of one for another kernel."""
    return frozenset(match[0] for prefix in subject.prefixes if (match := _STABLE.search(prefix)))


def _listed(revisions: Iterable[int]) -> str:
    """'only v1 is', 'v1, v2 and v4 are'."""
    names = [f"v{number}" for number in sorted(revisions)]
    return f"only {names[0]} is" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} are"
