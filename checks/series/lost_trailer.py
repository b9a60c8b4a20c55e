# SPDX-License-Identifier: GPL-2.0-or-later
"""A tag was lost, kept on a changed patch or put on another one; no Signed-off-by; a Fixes: that names no commit"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from reviewbot.checks.series._trailers import (

    free_text,
    kinds_of,
    person_of,
    same_person,
    trailer_span,
)
from reviewbot.dossier import Dossier, History, Revision, SeriesTree, header_span, message_lines, message_span
from reviewbot.matching import How, Pair, became, changes, likeness, match_patches
from reviewbot.model import Address, Patch, Series, Severity, Span, Trailer
from reviewbot.rule import SeriesReport, series_rule

# Where a tag's patch has less in common with the one that it was given for, it is another patch.
_ALIKE = 0.6
# Revisions that are looked through for the one before a patch's: more are between the parts of a series only.
_BACK = 6

_NEVER = datetime.min.replace(tzinfo=UTC)


@series_rule(Severity.NOTE, id="HY14")
def check(dossier: Dossier) -> Iterator[SeriesReport]:
    """First what a posting shows by itself, then what it has made of the tags of the one before."""
    series = dossier.series
    yield from _signatures(series)
    for patch in series.patches:
        yield from _fixes(patch, dossier.ground)
    history = dossier.history if dossier.has("history") else None
    if history is not None:
        yield from _tags(history)


# -- what was given before ------------------------------------------------------------------------------------------


class _Tag(NamedTuple):
    """A tag of a person to a patch of an earlier revision."""

    trailer: Trailer
    person: Address
    kinds: frozenset[str]
    patch: Patch  # of the earlier revision
    given: bool  # in an answer; else it stands in the patch itself
    whole: bool  # to the cover letter: for all patches

    @property
    def text(self) -> str:
        return f"{self.trailer.name}: {self.person.name or self.person.email}"


class _Lost(NamedTuple):
    tag: _Tag
    revision: Revision
    patch: Patch


def _tags(history: History) -> Iterator[SeriesReport]:
    """Each patch is held against the newest revision that has it."""
    series = history.this.series
    open_ = {patch.index for patch in series.patches}
    told = _told(series)
    lost: list[_Lost] = []
    for revision in _before(history):
        if not open_:
            break
        pairs = match_patches(revision.series.patches, series.patches)
        tags = tuple(_given(revision, series))
        moved: set[tuple[str, str]] = set()
        for pair in pairs:
            if pair.new is None or pair.old is None or pair.new.index not in open_:
                continue
            open_.discard(pair.new.index)
            if pair.new.mail.message_id == pair.old.mail.message_id or pair.how in (How.SPLIT, How.SQUASHED):
                continue  # taken from there, or a part of it
            mine = [tag for tag in tags if tag.patch.index == pair.old.index]
            if pair.how is How.SAME:
                lost += [_Lost(tag, revision, pair.new) for tag in mine if not _has(pair.new, tag) and not told]
            else:
                yield from _stale(series, revision, pair, mine)
        del moved
    yield from _lost(lost, series)


def _before(history: History) -> Iterator[Revision]:
    """The one that this is a reroll of, or an earlier sending of this one, and a few before it, newest first."""
    until = max(0, history.at - _BACK)
    yield from reversed(history.revisions[until : history.at])


def _given(revision: Revision, series: Series) -> Iterator[_Tag]:
    """The tags of others that a revision's patches have, or were given in time."""
    patches = {patch.index: patch for patch in revision.series.patches}
    when = min((patch.mail.date or _NEVER for patch in series.patches), default=_NEVER)
    dates = {reply.mail.message_id: reply.mail.date or _NEVER for reply in revision.replies}
    mails = {reply.mail.message_id: reply.mail for reply in revision.replies}
    for patch in revision.series.patches:
        for trailer in patch.trailers:
            yield from _tag(trailer, patch, given=False, whole=False)
    for trailer in revision.series.followups:
        mail = mails.get(trailer.source or "")
        if mail is None or not dates[mail.message_id] < when or _conditional(mail.body, trailer):
            continue
        if trailer.patch == 0:
            for patch in patches.values():
                yield from _tag(trailer, patch, given=True, whole=True)
        elif trailer.patch in patches:
            yield from _tag(trailer, patches[trailer.patch], given=True, whole=False)


def _tag(trailer: Trailer, patch: Patch, *, given: bool, whole: bool) -> Iterator[_Tag]:
    kinds, person = kinds_of(trailer.name), person_of(trailer.value)
    if kinds and person and not same_person(person, patch.author):
        yield _Tag(trailer, person, kinds, patch, given, whole)


def _conditional(body: Sequence[str], trailer: Trailer) -> bool:
    return False


def _has(patch: Patch, tag: _Tag) -> bool:
    """The patch bears the tag, or a stronger one of the same person."""
    if same_person(patch.author, tag.person):
        return True
    said: set[str] = set()
    for trailer in patch.trailers:
        person = person_of(trailer.value)
        if person and same_person(person, tag.person):
            said |= kinds_of(trailer.name)
            if trailer.name.lower() in ("signed-off-by", "co-developed-by"):
                said |= {"reviewed", "acked"}
    wanted = tag.kinds
    if said & {"reviewed", "acked"}:
        said |= {"reviewed", "acked"}
    return wanted <= said


_DROPPED = re.compile(
    r"\b(?:drop|remov|did(?: not|n't)|not (?:carr|pick|keep|add|includ)|left out|strip|clear|reset|without|discard|lost)"
    r"[^\n]{0,80}\b(?:tags?\b|trailers?\b|[rat]-?bs?\b|(?:reviewed|acked|tested)(?:-by)?\b|acks?\b|reviews?\b)",
    re.I,
)


def _told(series: Series) -> bool:
    """The changelog says that tags were dropped."""
    texts = [series.cover.text] if series.cover else []
    texts += [text for patch in series.patches for text in (patch.notes, patch.message)]
    return any(_DROPPED.search(text) for text in texts)


def _lost(lost: Sequence[_Lost], series: Series) -> Iterator[SeriesReport]:
    """One report for each tag, at the first patch that lacks it."""
    groups: dict[tuple[str, str], list[_Lost]] = {}
    for one in lost:
        groups.setdefault((one.tag.trailer.name.lower(), one.tag.trailer.value.lower()), []).append(one)
    for ones in groups.values():
        first = ones[0]
        tag = first.tag
        others = sorted({one.patch.index for one in ones[1:]} - {first.patch.index})
        where = f" here and on patch {', '.join(map(str, others))}" if others else ""
        how = "given on" if tag.given else "in"
        message = f"{tag.text}, {how} {_name(first.revision, series)}, is missing{where}: the patch is unchanged"
        yield SeriesReport(
            first.patch,
            header_span(first.patch),
            message,
            notes=(f"https://lore.kernel.org/r/{tag.trailer.source}",) if tag.trailer.source else (),
            identity=("lost", tag.trailer.name, tag.trailer.value),
        )


def _name(revision: Revision, series: Series) -> str:
    return f"v{revision.series.revision}"


def _stale(series: Series, revision: Revision, pair: Pair, tags: Sequence[_Tag]) -> Iterator[SeriesReport]:
    old, new = pair.old, pair.new
    assert old and new
    kept = [tag for tag in tags if _has(new, tag) and not same_person(new.author, tag.person)]
    if not kept:
        return
    alike = likeness(changes(old), changes(new))
    if alike >= _ALIKE:
        return
    said = free_text(new.notes)
    for tag in kept:
        yield SeriesReport(
            new, header_span(new), f"STALE {alike:.2f} said={said} {tag.text} given={tag.given} on {_name(revision, series)}"
        )


# -- who signs ------------------------------------------------------------------------------------------------------

_SIGNED = re.compile(r"\s{0,8}signed-off-by:\s*(.*)", re.I)
_DRAFT = re.compile(r"\b(?:rfc|wip|do.?not|not.?for|dnm|test\w*|debug|hack|poc|example|draft|prototype)\b", re.I)


def _signatures(series: Series) -> Iterator[SeriesReport]:
    found: dict[str, list[Patch]] = {}
    for patch in series.patches:
        what = _unsigned(patch)
        if what and not _is_draft(patch, series):
            found.setdefault(what, []).append(patch)
    for what, patches in found.items():
        others = ", ".join(str(patch.index) for patch in patches[1:])
        where = f", nor on patch {others}" if others else ""
        yield SeriesReport(patches[0], header_span(patches[0]), f"{what}{where}", identity=("Signed-off-by", what))


def _is_draft(patch: Patch, series: Series) -> bool:
    words = [*patch.subject.prefixes, *(series.cover.subject.prefixes if series.cover else ())]
    return bool(_DRAFT.search(" ".join(words)) or re.match(r"do not|not for|\[?rfc|wip|dnm", patch.subject.title, re.I))


def _unsigned(patch: Patch) -> str | None:
    author = patch.author
    if not author.email:
        return None  # a diff without a mail, or what is staged
    signed = [
        person_of(match[1]) or Address(match[1].strip(), "")
        for line in patch.message.split("\n")
        if (match := _SIGNED.match(line[:500]))
    ]
    if not signed:
        below = any(_SIGNED.match(line[:500]) for line in patch.notes.split("\n"))
        return "Signed-off-by: stands below the ---, where git am drops it" if below else "there is no Signed-off-by:"
    if not any(same_person(person, author) for person in signed):
        return f"there is no Signed-off-by: of the author, {author}"
    sender = patch.mail.original_from or patch.mail.sender
    if patch.commit is None and not same_person(sender, author) and not _is_relay(sender):
        if not any(same_person(person, sender) for person in signed):
            return f"there is no Signed-off-by: of the sender, {sender}"
        if not same_person(signed[-1], sender):
            return f"LAST: the last Signed-off-by: is not the sender's, {sender}"
    return None


def _is_relay(sender: Address) -> bool:
    return " via " in sender.name.lower() or sender.email.startswith(("devnull+", "devnull@"))


# -- what it fixes --------------------------------------------------------------------------------------------------

_FIXES = re.compile(r"Fixes:?[ \t]+(?:commit[ \t]+)?([0-9a-f]{5,64})\b[ \t]*(.*)$", re.I)
_TITLE = re.compile(r"\((.*)\)\s*(?:#.*|\[.*\])?$")
_QUOTED = re.compile(r"\(\"(.*)\"\)")
_ENOUGH = 12
# Linux-2.6.12-rc2: who has it has all that a Fixes: may name
_ROOT = "1da177e4c3f41524e886b7f1b8a0c1fc7321cac2"


def _fixes(patch: Patch, ground: SeriesTree | None) -> Iterator[SeriesReport]:
    if "fixes" not in patch.message.lower():
        return
    lines = [*message_lines(patch), (0, "")]
    for (number, text), (_, below) in zip(lines, lines[1:]):
        match = _FIXES.match(text[:1000])
        if match is None:
            continue
        message = _wrong_fixes(match, below)
        if message:
            yield SeriesReport(patch, message_span(patch, number), message, identity=("Fixes", match[1]))


def _wrong_fixes(match, below):
    name, rest = match[1], match[2].strip()
    if not rest.endswith(")") and rest.startswith("(") and below.rstrip().endswith(")"):
        return "FIXES wrapped"
    if len(name) < _ENOUGH:
        return f"FIXES short {len(name)}: {match[0]}"
    if not _QUOTED.match(rest):
        return f"FIXES title form: {match[0]}"
    return None
