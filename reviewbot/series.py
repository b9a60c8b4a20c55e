# SPDX-License-Identifier: GPL-2.0-or-later
"""A thread's mails -> the Series that a Message-ID belongs to, through b4's model.

Belongs here: which mails of a thread are one posting, and everything that touches b4, which nothing
else imports. b4 decides the places of patches, naked covers, rerolls and whose trailers count; what
it gets wrong on real threads is kept from it: it merges postings of the same revision, so it is shown
one posting at a time. It sees plain copies of the mails (decoded by `mail`), and what it selects is
read again by `mail`, so no b4 object leaves this file.

No input or output: no network, no git, no configuration, no cache. b4 is imported at the first call
(0.15 s).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import charset
from email.message import Message
from email.utils import format_datetime, quote
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, cast

from reviewbot.base import find_base
from reviewbot.diff import diff_start
from reviewbot.mail import (
    declared_base,
    declared_change_id,
    declared_prerequisites,
    make_cover,
    make_patch,
    parse_subject,
)
from reviewbot.mime import parse_mail
from reviewbot.model import InputError, Mail, NotFoundError, Patch, Series, Subject, Trailer

if TYPE_CHECKING:
    from email.message import EmailMessage

    from b4 import LoreSeries

_NEVER = datetime.min.replace(tzinfo=UTC)
# How far below a patch b4 is shown replies: it walks up from each, so its time grows with the depth's
# cube (1,500 replies in a chain: minutes). Trailers come in the first few answers.
_DEPTH = 40
# How far a cover letter may be from its patches where nothing but author and numbers connects them.
_ONE_SENDING = timedelta(hours=12)
# Within this time nobody sends a revision and then, under another title, the next one.
_TOGETHER = timedelta(hours=1)


@cache
def bootstrap() -> None:
    """Import b4 and tame it: it leaves no mark on the process and reads nothing from its surroundings."""
    liblore_logger, utf8 = logging.getLogger("liblore"), charset.CHARSETS["utf-8"]
    parent = liblore_logger.parent
    import b4

    # b4 sets how the whole process encodes mail, and takes liblore's log messages
    charset.CHARSETS["utf-8"] = utf8
    liblore_logger.parent = parent
    # it logs at "warning" what the Series' own warnings say
    logging.getLogger("b4").addHandler(logging.NullHandler())
    logging.getLogger("b4").propagate = False
    # b4.setup_config() would read git's configuration and the .b4-config of the tree we stand in, which
    # may name commands to run
    b4.MAIN_CONFIG = {**b4.DEFAULT_CONFIG, "attestation-policy": "off", "attestation-check-dkim": "no"}
    b4.USER_CONFIG = {"name": "", "email": ""}
    b4.can_network = False


def build_series(
    raws: Sequence[bytes], message_id: str, *, revision: int | None = None, latest: bool = False
) -> Series:
    """The posting that `message_id` (a cover letter, a patch, a reply to one) belongs to.

    `raws` are the mails of its thread, in any order; what cannot be read as a mail is left out.
    `revision` asks for another revision of the same series, `latest` for the newest. A diff in a reply
    is a series of its own where that reply is asked for.

    Raises NotFoundError where the thread has no such mail or revision, InputError where it has no patch.
    """
    return select_series(Thread(raws), message_id, revision=revision, latest=latest)


def select_series(thread: Thread, message_id: str, *, revision: int | None = None, latest: bool = False) -> Series:
    """`build_series` for a thread that is read already. It can be selected from once."""
    mail = thread.mails.get(message_id)
    if mail is None:
        raise NotFoundError(f"no mail <{message_id}> in the thread")
    if revision is None and not latest and thread.is_draft(message_id):
        return _draft(mail)
    posting = thread.posting(message_id)
    newest = max(thread.revisions(posting))
    if latest:
        revision = newest
    if revision is not None and revision != posting.revision:
        posting = thread.other_revision(posting, revision, message_id)
        message_id = posting.ids[0]
    anchor = message_id if message_id in posting.ids else posting.ids[0]
    return _freeze(thread, _select(thread, posting, anchor), newest)


@dataclass(slots=True)
class Posting:
    """Patches (and cover) that were sent together; `ids` has the cover letter first, then the patches by number."""

    author: str
    revision: int
    title: str
    date: datetime
    ids: list[str]


class Thread:
    """The mails of a thread by Message-ID, and the postings among them."""

    def __init__(self, raws: Iterable[bytes]) -> None:
        self.mails: dict[str, Mail] = {}
        self.unread = 0
        kept: dict[str, bytes] = {}
        for raw in raws:
            try:
                mail = parse_mail(raw)
            except Exception:  # noqa: BLE001 - the email package raises what it likes on hostile mail
                self.unread += 1
                continue
            name = mail.message_id
            if name and (name not in self.mails or _preferred(raw, kept[name])):
                self.mails[name], kept[name] = mail, raw
        self._cut_circles()
        self.subjects: dict[str, Subject] = {name: parse_subject(mail.subject) for name, mail in self.mails.items()}
        self._diffs = {name for name, mail in self.mails.items() if diff_start(mail.body) is not None}
        self.postings = self._postings()
        self._home = {name: posting for posting in self.postings for name in posting.ids}

    def parent(self, name: str) -> str | None:
        """The mail answered, or the nearest of its References that is there."""
        mail = self.mails[name]
        if mail.in_reply_to in self.mails:
            return mail.in_reply_to
        return next((ref for ref in reversed(mail.references) if ref in self.mails and ref != name), None)

    def ancestors(self, name: str) -> Iterator[str]:
        """From the mail itself upward."""
        seen: set[str] = set()
        above: str | None = name
        while above is not None and above not in seen:
            seen.add(above)
            yield above
            above = self.parent(above)

    def _cut_circles(self) -> None:
        """Mails that answer each other in a circle answer nothing: b4 would follow them for ever."""
        ends: set[str] = set()
        for name in list(self.mails):
            path: dict[str, None] = {}
            at: str | None = name
            while at in self.mails and at not in ends and at not in path:
                path[at] = None
                at = self.mails[at].in_reply_to
            if at in path:
                self.mails[at] = self.mails[at]._replace(in_reply_to=None)
            ends.update(path)

    def is_draft(self, name: str) -> bool:
        """A reply that carries a diff of its own (a quoted one does not count)."""
        return self.subjects[name].reply and name in self._diffs

    def is_cover(self, name: str) -> bool:
        """Says 0/N and is no reply."""
        return self.subjects[name].counter == 0 and not self.subjects[name].reply

    def is_patch(self, name: str) -> bool:
        """Carries a diff and is no reply."""
        return name in self._diffs and not self.subjects[name].reply and not self.is_cover(name)

    def is_deep(self, name: str) -> bool:
        """A reply to a reply to a reply and so on."""
        return all(self.subjects[above].reply for above in islice(self.ancestors(name), _DEPTH))

    def author(self, name: str) -> str:
        return self.mails[name].sender.email.lower()

    def date(self, name: str) -> datetime:
        return self.mails[name].date or _NEVER

    def posting(self, name: str) -> Posting:
        """The posting that a mail belongs to, answers, or that answers it. Raises InputError where there is none."""
        for above in self.ancestors(name):
            if above in self._home:
                return self._home[above]
        # a mail that is answered with patches: a bug report, or a cover letter that does not say 0/N
        below = [p for p in self.postings if any(name in self.ancestors(patch) for patch in p.ids)]
        for found in (below, self.postings):
            if found:
                return min(found, key=lambda posting: posting.date)
        raise InputError(f"no patch in the thread of <{name}>")

    def revisions(self, posting: Posting) -> dict[int, Posting]:
        """The postings by the same author, one of each revision: the last, of the same title where there is one."""
        found: dict[int, Posting] = {}
        for other in self.postings:
            # what was sent together under another title is another series: a tool's patches beside the kernel's
            same = other.title == posting.title or abs(other.date - posting.date) > _TOGETHER
            if same and other.author == posting.author:
                ranked = (found.get(other.revision, other), other)
                found[other.revision] = max(ranked, key=lambda o: (o.title == posting.title, len(o.ids), o.date))
        return {**found, posting.revision: posting}

    def other_revision(self, posting: Posting, revision: int, name: str) -> Posting:
        """The last posting of a revision by the same author, of the same title where there is one."""
        known = self.revisions(posting)
        if revision not in known:
            numbers = ", ".join(f"v{number}" for number in sorted(known))
            raise NotFoundError(f"no v{revision} in the thread of <{name}>: it has {numbers}")
        return known[revision]

    def answered(self, name: str) -> str | None:
        """The mail of a posting that a mail answers, directly or through others; None where it answers none."""
        return next((above for above in islice(self.ancestors(name), 1, None) if above in self._home), None)

    def replies(self, posting: Posting) -> list[str]:
        """What answers a posting, oldest first, without what answers another posting below it."""
        found = []
        for name in self.mails:
            # who repeats a cover letter's subject without Re: would take its place in b4's model
            if name not in self._home and not self.is_cover(name):
                owner = next((above for above in self.ancestors(name) if above in self._home), None)
                if owner is not None and self._home[owner] is posting:
                    found.append(name)
        return sorted(found, key=self.date)

    def _top(self, name: str) -> str:
        """Upward as far as it is the same posting: patch n answers an earlier patch or the cover letter."""
        top = name
        for above in islice(self.ancestors(name), 1, None):
            below, subject = self.subjects[top], self.subjects[above]
            cover = self.is_cover(above)
            if not (cover or (self.is_patch(above) and self.author(above) == self.author(name))):
                break
            if (subject.counter or 0) >= (below.counter or 1) or (subject.expected or 1) != (below.expected or 1):
                break
            # `[PATCH 1/3]` below `[PATCH v2 0/3]` is v2; `[PATCH v2 1/3]` below `[PATCH 0/3]` is another posting
            if below.revision is not None and below.revision != (subject.revision or 1):
                break
            top = above
            if cover:
                break
        return top

    def _postings(self) -> list[Posting]:
        groups: dict[tuple[object, ...], list[str]] = {}
        for name in sorted(filter(self.is_patch, self.mails), key=self.date):
            top = self._top(name)
            subject = self.subjects[top]
            if self.is_cover(top):
                key: tuple[object, ...] = (top,)
            elif subject.counter is None or self.mails[top].in_reply_to is None:
                key = (top,)
            else:
                # patches side by side below a mail that is none of theirs (the revision before, a lost cover)
                resend = any("resend" in prefix.lower() for prefix in subject.prefixes)
                above = self.mails[top].in_reply_to
                said = self.subjects[above].revision if above in self.mails and self.is_cover(above) else None
                key = (self.author(top), subject.revision or said or 1, subject.expected, resend, above)
            groups.setdefault(key, []).append(name)
        postings: list[Posting] = []
        for key, names in groups.items():
            cover = str(key[0]) if len(key) == 1 and self.is_cover(str(key[0])) else None
            parts: list[list[str]] = []
            for name in names:
                number = self.subjects[name].counter or 1
                # a number that is taken: the same was sent again to the same place
                part = next((p for p in parts if all((self.subjects[n].counter or 1) != number for n in p)), None)
                if part is None:
                    part = []
                    parts.append(part)
                part.append(name)
            postings += [self._posting(cover if n == 0 else None, part) for n, part in enumerate(parts)]
        covers = {posting.ids[0] for posting in postings}
        for name in filter(self.is_cover, self.mails):
            if name not in covers and not self._repeats(name):
                postings = self._adopt(name, postings)
        return sorted(postings, key=lambda posting: posting.date)

    def _repeats(self, cover: str) -> bool:
        """An answer to a cover letter that has its subject, without Re:."""
        subject = self.subjects[cover]
        above = [self.subjects[name] for name in islice(self.ancestors(cover), 1, None) if self.is_cover(name)]
        return any((other.title, other.revision) == (subject.title, subject.revision) for other in above)

    def _adopt(self, cover: str, postings: list[Posting]) -> list[Posting]:
        """Put a cover letter that no patch answers before its patches, or alone where none are there.

        A relay may have changed its Message-ID, or the patches answer the revision before.
        """
        subject, date = self.subjects[cover], self.date(cover)
        found = [
            posting
            for posting in postings
            if self.is_patch(posting.ids[0])
            and posting.author == self.author(cover)
            and posting.revision == (subject.revision or 1)
            and (
                self.subjects[posting.ids[0]].expected == subject.expected
                or self.mails[self._top(posting.ids[0])].in_reply_to == cover
            )
            and abs(posting.date - date) < _ONE_SENDING
        ]
        if not found:
            return [*postings, self._posting(cover, [])]
        nearest = min(found, key=lambda posting: abs(posting.date - date))
        return [self._posting(cover, other.ids) if other is nearest else other for other in postings]

    def _posting(self, cover: str | None, patches: list[str]) -> Posting:
        patches = sorted(patches, key=lambda name: self.subjects[name].counter or 1)
        if cover is None:
            # as b4 defines it: by the patches' author, the root of the thread
            cover = self._naked_cover(patches)
        ids = [cover, *patches] if cover else patches
        revisions = [self.subjects[name].revision for name in ids]
        return Posting(
            author=self.author(ids[0]),
            revision=max((number for number in revisions if number is not None), default=1),
            title=self.subjects[ids[0]].title,
            date=self.date(ids[-1]),
            ids=ids,
        )

    def _naked_cover(self, patches: list[str]) -> str | None:
        """A mail without 0/N above the patches, by their author, that begins the thread (as b4 defines it)."""
        above = self.mails[self._top(patches[0])].in_reply_to
        if above is None or above not in self.mails or above in self._diffs:
            return None
        root = self.mails[above].in_reply_to is None and not self.subjects[above].reply
        return above if root and self.author(above) == self.author(patches[0]) and not self.is_cover(above) else None


def build_posting(thread: Thread, posting: Posting, *, followups: bool = True) -> Series:
    """One posting of a thread. Raises InputError where it has no patch that can be read.

    Without `followups` one that is complete and in order is put together without b4, which takes a third of the time.
    """
    numbers = [thread.subjects[name].counter or 1 for name in posting.ids if thread.is_patch(name)]
    chosen = None
    if not followups and numbers == list(range(1, len(numbers) + 1)):
        chosen = _by_number(thread, posting)
    if chosen is None or chosen.expected != len(numbers):
        chosen = _select(thread, posting, posting.ids[0])
    return _freeze(thread, chosen, posting.revision)


@dataclass(slots=True)
class _Chosen:
    """What b4 made of a posting, by Message-ID."""

    revision: int
    expected: int
    cover: str | None
    patches: dict[int, str]  # place, from 1 -> Message-ID
    taken: dict[int, int]  # place -> older revision that the patch was taken from
    followups: list[Trailer]
    orderly: bool  # every patch stands at the number that it bears, all of them by one author


def _select(thread: Thread, posting: Posting, anchor: str) -> _Chosen:
    """The posting through b4; with the whole thread where the posting alone is not complete and in order."""
    alone = _through_b4(thread, [*posting.ids, *thread.replies(posting)], anchor, posting, reroll=False)
    if alone and alone.orderly and len(alone.patches) >= alone.expected:
        return alone
    # wrong numbers in subjects, or a reroll of some patches in answer to the revision before
    strict = _strict_thread(thread, anchor)
    whole = _through_b4(thread, strict, anchor, posting, reroll=True)
    if whole and thread.is_cover(posting.ids[0]):
        whole.cover = posting.ids[0]
    if whole and whole.orderly and (not alone or not alone.orderly or len(whole.patches) > len(alone.patches)):
        return whole
    return alone or whole or _by_number(thread, posting)


def _by_number(thread: Thread, posting: Posting) -> _Chosen:
    """The posting as its subjects say, where b4 sees no patch in it."""
    patches = {thread.subjects[name].counter or 1: name for name in posting.ids if thread.is_patch(name)}
    if not patches:
        raise InputError(f"no patch in the posting of <{posting.ids[0]}>: only its cover letter is in the thread")
    said = [thread.subjects[name].expected or 1 for name in posting.ids]
    cover = None if thread.is_patch(posting.ids[0]) else posting.ids[0]
    return _Chosen(posting.revision, max([*said, *patches]), cover, patches, {}, [], True)


def _through_b4(thread: Thread, names: Sequence[str], anchor: str, posting: Posting, *, reroll: bool) -> _Chosen | None:
    bootstrap()
    import b4

    mailbox = b4.LoreMailbox()
    for name in names:
        if thread.is_deep(name):
            continue
        try:
            # b4 takes a cover letter in answer to something for a reply where it holds a line like a trailer
            mailbox.add_message(_plain(thread.mails[name], root=not reroll and thread.is_cover(name)))
        except Exception:  # noqa: BLE001 - one mail that b4 cannot read must not stop the others
            thread.unread += 1
    for message in mailbox.msgid_map.values():
        # b4 would run `git patch-id` for each patch, to carry trailers over from older revisions
        message._git_patch_id = ""
    # never by revision alone: a subject may say another one than the posting it came in
    wanted = {anchor} if thread.is_patch(anchor) else set(posting.ids)
    found = [
        (sum(patch is not None and patch.msgid in wanted for patch in series.patches), number)
        for number, series in mailbox.series.items()
    ]
    number = max(found)[1] if found and max(found)[0] else posting.revision
    if number not in mailbox.series or (thread.is_patch(anchor) and not max(found)[0]):
        return None
    try:
        # once only: a second call puts the cover letter in patch 1's place
        series = mailbox.get_series(number, codereview_trailers=False, reroll=reroll)
    except Exception:  # noqa: BLE001 - b4's reroll indexes past the end where revisions differ in length
        return None
    return _chosen(series) if series else None


def _chosen(series: LoreSeries) -> _Chosen:
    members = {n: patch for n, patch in enumerate(series.patches) if patch is not None}
    patches = {n: patch for n, patch in members.items() if n}
    authors = {patch.fromemail.lower() for patch in patches.values()}
    followups = dict.fromkeys(
        Trailer(trailer.name, trailer.value, trailer.lmsg.msgid if trailer.lmsg else None, n)
        for n, patch in members.items()
        for trailer in patch.followup_trailers
    )
    return _Chosen(
        revision=series.revision,
        expected=max([series.expected, *patches]),
        cover=members[0].msgid if 0 in members else None,
        patches={n: patch.msgid for n, patch in patches.items()},
        taken={
            n: patch.reroll_from_revision
            for n, patch in patches.items()
            if patch.reroll_from_revision and patch.reroll_from_revision != series.revision
        },
        followups=list(followups),
        orderly=len(authors) == 1
        and all(patch.counter == n and patch.revision == series.revision for n, patch in patches.items()),
    )


def _freeze(thread: Thread, chosen: _Chosen, newest: int) -> Series:
    warnings: list[str] = []
    cover = make_cover(thread.mails[chosen.cover]) if chosen.cover else None
    patches: list[Patch] = []
    for n, name in sorted(chosen.patches.items()):
        try:
            patches.append(make_patch(thread.mails[name], n))
        except Exception as error:  # noqa: BLE001 - one broken patch must not stop the others
            warnings.append(f"patch {n} <{name}> cannot be read: {error}")
    if not patches:
        raise InputError(f"no patch can be read in the posting of <{next(iter(chosen.patches.values()))}>")
    for old in sorted(set(chosen.taken.values())):
        numbers = ", ".join(str(n) for n, number in sorted(chosen.taken.items()) if number == old)
        warnings.append(f"v{chosen.revision} is a partial reroll: patch {numbers} taken from v{old}")
    if not chosen.orderly:
        warnings.append("patches are not numbered as the posting says, their order is a guess")
    if thread.unread:
        warnings.append(f"{thread.unread} of the thread's mails cannot be read")
    # what this revision says comes before what the patches taken from the one before say
    patches_by_age = sorted(patches, key=lambda patch: -chosen.taken.get(patch.index, chosen.revision))
    mails = [*([cover.mail] if cover else []), *(patch.mail for patch in patches_by_age)]
    first = cover.subject if cover else patches[0].subject
    return Series(
        subject=first.full,
        revision=chosen.revision,
        expected=chosen.expected,
        cover=cover,
        patches=tuple(patches),
        base=find_base(declared_base(mails), [first, *(p.subject for p in patches)], [mail.date for mail in mails]),
        change_id=declared_change_id(mails),
        newest=max(newest, chosen.revision),
        partial_reroll=bool(chosen.taken),
        followups=tuple(chosen.followups),
        prerequisites=declared_prerequisites(mails),
        warnings=tuple(warnings),
    )


def _draft(mail: Mail) -> Series:
    """A series of the one diff in a reply."""
    patch = make_patch(mail, 1)
    return Series(
        subject=patch.subject.full,
        revision=patch.subject.revision or 1,
        expected=1,
        cover=None,
        patches=(patch,),
        base=find_base(declared_base([mail]), [patch.subject], [mail.date]),
        change_id=declared_change_id([mail]),
        prerequisites=declared_prerequisites([mail]),
    )


def _plain(mail: Mail, *, root: bool = False) -> EmailMessage:
    """A copy for b4: decoded, nothing in it that the email package's parsers of structured headers choke on.

    `root` leaves out what it answers.
    """
    message = Message()
    message["Message-ID"] = f"<{mail.message_id}>"
    message["Subject"] = mail.subject
    message["From"] = f'"{quote(mail.sender.name)}" <{mail.sender.email}>'
    # b4 takes the present time where there is none
    message["Date"] = format_datetime(mail.date or _NEVER.replace(year=1970))
    if mail.in_reply_to and not root:
        message["In-Reply-To"] = f"<{mail.in_reply_to}>"
    if mail.references and not root:
        # b4's time grows with their number squared; the last are those that a patch is found by
        message["References"] = " ".join(f"<{name}>" for name in mail.references[-_DEPTH:])
    message["Content-Type"] = 'text/plain; charset="utf-8"'
    message["Content-Transfer-Encoding"] = "8bit"
    body = "\n".join(mail.body) + "\n"
    message.set_payload(body.encode("utf-8", "replace").decode("ascii", "surrogateescape"))
    # b4's annotations say EmailMessage; what it uses of one, its base class has
    return cast("EmailMessage", message)


def _strict_thread(thread: Thread, anchor: str) -> list[str]:
    """The mails that are connected with `anchor` without the mails that are missing, parents first."""
    bootstrap()
    import b4

    messages = [_plain(mail) for mail in sorted(thread.mails.values(), key=lambda mail: mail.date or _NEVER)]
    strict = b4.get_strict_thread(messages, anchor) or []
    return [str(b4.LoreMessage.get_clean_msgid(message)) for message in strict]


def _preferred(raw: bytes, other: bytes) -> bool:
    """Of two copies of one mail: whether this came over a list that changes less (liblore's order)."""
    from liblore.utils import get_preferred_duplicate, parse_message

    try:
        one, two = parse_message(other), parse_message(raw)
        return get_preferred_duplicate(one, two) is two
    except Exception:  # noqa: BLE001 - as above; the first copy does then
        return False
