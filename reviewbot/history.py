# SPDX-License-Identifier: GPL-2.0-or-later
"""A posting -> all postings of the same series that an archive has, with what was answered to each.

They are found as b4 finds them (same author, and same title or change-id), by what answers what, and by the links that
cover letters hold. Belongs here: which postings are the same series. Does not belong here: which of them a Message-ID
means (`revisions`), what a reply says (`remarks`), which patch became which (`matching`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from reviewbot.dossier import History, Reply, Revision
from reviewbot.mail import declared_change_id, fold_title, parse_subject
from reviewbot.mime import parse_mail
from reviewbot.model import InputError, Mail, ReviewbotError, Series
from reviewbot.remarks import read_remarks
from reviewbot.revisions import stable_branch
from reviewbot.series import Posting, Thread, build_posting
from reviewbot.source import Lineage, Source
from reviewbot.source.lore import parse_target

# How far back a title means the same series, as b4 has it (get_extra_series()).
_BACK = timedelta(days=365)
_LONG_AGO = datetime(1991, 1, 1, tzinfo=UTC)
_NEAR = timedelta(days=90)
# The longest-lived series have some 40 revisions; each may be a thread of its own.
MOST = 60
_TAGGED = 6  # postings before the one under review of which it is asked who gave tags
_LINKS = 40  # of one cover letter that are followed
_URL = re.compile(r"https?://[^\s<>()\[\]\"']{1,500}")
# What stands in the line of a link to an earlier revision, or above it.
_EARLIER = re.compile(r"\bv\d{1,3}\b|\bRFC\b|\bprevious|\bearlier|\bchange(?:s|log)?\b|\bv ?\d{1,3}:|\[\d{1,2}\]", re.I)
# The number stands right before the link, or is what the line above is about: "Link to v1:", "v2: Changes since v1:".
_NUMBERED = re.compile(r"(?:^|[^\w/])(?:RFC )?v(\d{1,3})\W{0,4}(?:link\W{1,3}|at\W|here\W|is\W)?\W{0,4}$", re.I)
# So many of the shorter posting's titles must be among the other's for two to be one series by their patches alone.
_SAME_TITLES = 0.5


class Known(NamedTuple):
    """A posting, in the thread that it was found in."""

    thread: Thread
    posting: Posting

    @property
    def name(self) -> str:
        """The Message-ID of its first mail."""
        return self.posting.ids[0]


class Found(NamedTuple):
    """The revisions, and why not all places could be looked at, None where they could."""

    history: History
    trouble: str | None


def find_history(source: Source | None, raws: Sequence[bytes], series: Series) -> Found:
    """All postings of a series. `raws` is its thread; without a source only that is looked at.

    `series` stands in the history as it is given. A place that cannot be reached costs only what is there. Raises
    InputError where the thread does not hold the series.
    """
    search = _Search(source)
    mine = search.begin(Thread(raws), own_name(series))
    search.run()
    revisions: list[Revision] = []
    places: list[Known] = []
    for known in sorted(search.found.values(), key=lambda known: (known.posting.date, known.posting.revision)):
        try:
            own = known.name == mine.name
            built = series if own else build_posting(known.thread, known.posting, followups=False)
        except InputError:
            continue  # a cover letter without its patches
        revisions.append(_revision(known, built))
        places.append(known)
    at = next(n for n, known in enumerate(places) if known.name == mine.name)
    for n in range(max(0, at - _TAGGED), at):
        # whose trailers count is b4's to say, and asked of the last ones alone
        known = places[n]
        revisions[n] = revisions[n]._replace(series=build_posting(known.thread, known.posting))
    return Found(History(tuple(revisions), at, predecessor(revisions, at)), search.trouble)


def own_name(series: Series) -> str:
    """A mail of the posting itself: cover letter and patches may be those of the revision before."""
    if series.partial_reroll:
        for patch in series.patches:
            if (patch.subject.revision or 1) == series.revision:
                return patch.mail.message_id
    return series.message_id


def predecessor(revisions: Sequence[Revision], at: int) -> int | None:
    """The place of the revision that the one at `at` is a reroll of; None where none is known.

    Of the postings before it that is the last of another number; of several of that number, the one that has most of
    its patches.
    """
    mine = revisions[at].series
    kind, titles = _kind(mine), _patch_titles(mine)
    earlier = [n for n in range(at) if _kind(revisions[n].series) != kind]
    if not earlier:
        return None
    last = _kind(revisions[earlier[-1]].series)

    def common(n: int) -> tuple[bool, int, int]:
        other = revisions[n].series
        same = fold_title(parse_subject(other.subject).title) == fold_title(parse_subject(mine.subject).title)
        return same, len(_patch_titles(other) & titles), n

    return max((n for n in earlier if _kind(revisions[n].series) == last), key=common)


def _kind(series: Series) -> tuple[int, bool]:
    """An RFC may have the number of the revision behind it."""
    return series.revision, any(prefix.upper() == "RFC" for prefix in parse_subject(series.subject).prefixes)


def _patch_titles(series: Series) -> frozenset[str]:
    return frozenset(fold_title(patch.subject.title) for patch in series.patches)


def _revision(known: Known, series: Series) -> Revision:
    members = {patch.mail.message_id: patch.index for patch in series.patches}
    if series.cover:
        members[series.cover.mail.message_id] = 0
    replies = tuple(
        Reply(known.thread.mails[name], members.get(known.thread.answered(name) or "", 0))
        for name in known.thread.replies(known.posting)
    )
    return Revision(series, replies, tuple(read_remarks(series, replies)))


class _Search:
    """Goes from posting to posting as long as there are new ones."""

    def __init__(self, source: Source | None) -> None:
        self.source = source
        self.threads: dict[str, Thread] = {}  # by the Message-ID of each mail
        self.found: dict[str, Known] = {}  # by the Message-ID of the first mail
        self.asked: set[str] = set()
        self.searched: dict[Lineage, datetime] = {}  # since when each was searched for
        self.ahead: list[Known] = []
        self.trouble: str | None = None

    def begin(self, thread: Thread, message_id: str) -> Known:
        self._add_thread(thread)
        known = Known(thread, thread.posting(message_id))
        self._add(known)
        return known

    def run(self) -> None:
        while self.ahead and len(self.found) < MOST:
            known = self.ahead.pop(0)
            for other in known.thread.postings:
                if _is_same(known, Known(known.thread, other)):
                    self._add(Known(known.thread, other))
            for name, number in self._linked(known):
                self._take(name, known, linked=True, number=number)
            for name in self._related(known):
                self._take(name, known, linked=False)

    def _add_thread(self, thread: Thread) -> None:
        for name in thread.mails:
            self.threads.setdefault(name, thread)

    def _add(self, known: Known) -> None:
        if known.name not in self.found and len(self.found) >= MOST:
            self.trouble = self.trouble or f"there are more than {MOST} postings, and some are left out"
        elif known.name not in self.found:
            self.found[known.name] = known
            self.ahead.append(known)

    def _take(self, name: str, near: Known, *, linked: bool, number: int | None = None) -> None:
        """The posting of a mail that a posting names, or that has its author and title."""
        thread = self.threads.get(name)
        if thread is None:
            if self.source is None or name in self.asked:
                return
            self.asked.add(name)
            try:
                thread = Thread(self.source.thread(name))
            except ReviewbotError as error:
                if not linked:  # a link may lead anywhere, also to another archive
                    self.trouble = self.trouble or str(error)
                return
            self._add_thread(thread)
        if name not in thread.mails:
            return
        try:
            known = Known(thread, thread.posting(name))
        except InputError:
            return
        said = number is not None and number == known.posting.revision and known.posting.author == near.posting.author
        if (not linked and name in known.posting.ids) or said or _is_same(near, known, linked=linked):
            self._add(known)

    def _related(self, known: Known) -> Iterator[str]:
        if self.source is None or not known.posting.author:
            return
        lineage = _lineage(known)
        key = lineage._replace(since=None)
        since = lineage.since or _LONG_AGO
        if self.searched.get(key, since + _NEAR) < since + _NEAR or not (lineage.titles or lineage.change_id):
            return  # what a search from some weeks earlier on would find, the next older revision finds, too
        self.searched[key] = since
        try:
            raws = self.source.related(lineage)
        except ReviewbotError as error:
            self.trouble = self.trouble or str(error)
            return
        mails: list[Mail] = []
        for raw in raws:
            try:
                mails.append(parse_mail(raw))
            except InputError:
                continue
        # of too many those nearest in time count
        first = known.posting.date
        mails.sort(key=lambda mail: abs(mail.date - first) if mail.date else timedelta.max)
        yield from (mail.message_id for mail in mails if mail.message_id and _may_be(known, mail, lineage))

    def _linked(self, known: Known) -> Iterator[tuple[str, int | None]]:
        """The Message-IDs of the links in its cover letter, or below the --- of its first patch.

        Each with the number of the revision that it is said to be; None where none is said.
        """
        seen: set[str] = set()
        for name in known.posting.ids[:2]:
            above = ""
            for line in known.thread.mails[name].body[:2000]:
                if line.startswith(("diff --git ", "@@ -")):
                    break
                for match in _URL.finditer(line[:2000]) if "://" in line else ():
                    target = _target(match[0])
                    told = _EARLIER.search(line[: match.start()][-200:]) or _EARLIER.search(above[-200:])
                    if target and told and target not in seen and len(seen) < _LINKS:
                        seen.add(target)
                        lead = line[: match.start()][-200:].strip()
                        said = _NUMBERED.search(lead)
                        if not said and len(lead) < 10:  # "- Link:" below "v1:"
                            said = _NUMBERED.search(above[-200:].strip())
                        yield target, int(said[1]) if said and int(said[1]) < known.posting.revision else None
                above = line if line.strip() else above


def _target(url: str) -> str | None:
    try:
        message_id, _ = parse_target(url.rstrip(".,;:"))
    except InputError:
        return None
    return message_id if "@" in message_id else None


def _lineage(known: Known) -> Lineage:
    thread, ids = known.thread, known.posting.ids
    first = thread.mails[ids[0]]
    titles = [thread.subjects[name].title for name in ids[:2] if thread.subjects[name].counter in (None, 0, 1)]
    change_id = declared_change_id(thread.mails[name] for name in ids)
    since = first.date - _BACK if first.date else None
    return Lineage(tuple(dict.fromkeys(titles)), known.posting.author, change_id, since)


def _may_be(known: Known, mail: Mail, lineage: Lineage) -> bool:
    """Not for another stable kernel, and where only the title is the same, not a year away."""
    if stable_branch(parse_subject(mail.subject)) != _branch(known):
        return False
    if lineage.same_change(mail):
        return True
    first = known.thread.mails[known.name].date
    return mail.date is None or first is None or abs(mail.date - first) <= _BACK


def _is_same(one: Known, other: Known, *, linked: bool = False) -> bool:
    """Two postings are of one series: by change-id, by author and title, or by author and what they consist of.

    Where one is `linked` from the other as its earlier revision, somebody else may have sent it.
    """
    if one.name == other.name or not other.posting.ids:
        return False
    changed = _change_id(one)
    if changed and changed == _change_id(other):
        return True
    if one.posting.author != other.posting.author and not linked:
        return False
    if _branch(one) != _branch(other):
        return False
    if _answers(one, other) or _answers(other, one):
        return True
    mine, theirs = _titles(one), _titles(other)
    if fold_title(one.posting.title) == fold_title(other.posting.title):
        return True
    fewest = min(len(mine), len(theirs))
    return fewest > 0 and len(mine & theirs) >= _SAME_TITLES * fewest


def _answers(newer: Known, older: Known) -> bool:
    """One was sent in reply to the other under the next number, and changes a file that the other changes."""
    above = newer.thread.parent(newer.name)
    if newer.thread is not older.thread or above not in older.posting.ids:
        return False
    return newer.posting.revision > older.posting.revision and bool(_paths(newer) & _paths(older))


def _paths(known: Known) -> frozenset[str]:
    """The files that its diffs name."""
    thread = known.thread
    lines = (line for name in known.posting.ids if thread.is_patch(name) for line in thread.mails[name].body)
    return frozenset(line.removeprefix("+++ ").strip() for line in lines if line.startswith("+++ "))


def _branch(known: Known) -> frozenset[str]:
    return stable_branch(known.thread.subjects[known.name])


def _change_id(known: Known) -> str | None:
    return declared_change_id(known.thread.mails[name] for name in known.posting.ids)


def _titles(known: Known) -> frozenset[str]:
    """Of the patches."""
    return frozenset(
        fold_title(known.thread.subjects[name].title) for name in known.posting.ids if known.thread.is_patch(name)
    )
