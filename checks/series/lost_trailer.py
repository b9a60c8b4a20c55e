# SPDX-License-Identifier: GPL-2.0-or-later
"""A tag was lost, kept on a changed patch or put on another one; no Signed-off-by; a Fixes: that names no commit"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import islice, pairwise, takewhile
from typing import NamedTuple

from reviewbot.checks.series._changelog import heading, tells
from reviewbot.checks.series._trailers import (
    code_changes,
    free_text,
    kinds_of,
    person_of,
    same_person,
    skeleton,
    trailer_span,
)

from reviewbot.dossier import Dossier, History, Revision, SeriesTree, header_span, message_lines, message_span
from reviewbot.mail import find_trailers, fold_title
from reviewbot.matching import How, Pair, likeness, match_patches
from reviewbot.model import Address, Mail, Patch, Series, Severity, Trailer
from reviewbot.rule import SeriesReport, series_rule

# Revisions that are looked through for the one before a patch's: more are between the parts of a series only.
_BACK = 6
# Where a patch has less in common with the one that its tag was given for, somebody ought to look again.
_ALIKE = 0.7
_FEWEST = 3  # lines of code that must be new there
# Tags of a revision, and trailers of a patch, that are read: real ones have some hundred, and twenty.
_MOST_TAGS = 2_000
_MOST_TRAILERS = 100
_MOST_LOST = 100  # tags that are told of
_LINK = "https://lore.kernel.org/r/"

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
    patch: Patch  # of that revision
    mail: Mail | None  # it was given in; None where it stands in the patch itself
    whole: bool = False  # it was given to the cover letter, for all patches

    @property
    def text(self) -> str:
        return f"{self.trailer.name}: {self.person.name or self.person.email}"

    @property
    def notes(self) -> tuple[str, ...]:
        return (f"{_LINK}{self.mail.message_id}",) if self.mail else ()


class _Lost(NamedTuple):
    """A tag that a patch lacks, though it is what the tag was given for."""

    tag: _Tag
    revision: Revision
    patch: Patch


def _tags(history: History) -> Iterator[SeriesReport]:
    """Each patch is held against the newest revision that has it; what is given to an older one after that, too."""
    series = history.this.series
    text = _changelog(series)
    ahead = {patch.index for patch in series.patches}
    unchanged: dict[int, datetime] = {}  # patches by number, since when they are as they are
    lost: list[_Lost] = []
    given: list[_Tag] = []  # to all patches of the revisions looked at
    for revision in reversed(history.revisions[max(0, history.at - _BACK) : history.at]):
        if not ahead and not unchanged:
            break
        pairs = match_patches(revision.series.patches, series.patches)
        tags = tuple(islice(_given(revision, pairs, series), _MOST_TAGS))
        given += tags
        for pair in pairs:
            old, new = pair.old, pair.new
            if old is None or new is None or not (new.index in ahead or new.index in unchanged):
                continue
            mine = [tag for tag in tags if tag.patch.index == old.index]
            if pair.how is How.SAME and new.mail.message_id != old.mail.message_id:
                since = unchanged.get(new.index)
                if since is not None:
                    mine = [tag for tag in mine if tag.mail and (tag.mail.date or _NEVER) > since]
                lost += [_Lost(tag, revision, new) for tag in mine if not _bears(new, tag)]
                unchanged[new.index] = old.mail.date or _NEVER
            else:  # what has the same Message-ID was taken from there: nobody has sent it again
                unchanged.pop(new.index, None)
                if pair.how is How.CHANGED and new.index in ahead and not _TAGS_KEPT.search(text):
                    yield from _stale(revision, old, new, mine, series)
            ahead.discard(new.index)
    if not _TAGS_DROPPED.search(text):
        yield from _lost(lost, given, series)


# The changelog has a word for it
_TAG = r"(?:tags?|trailers?|[rat]-bs?|(?:reviewed|acked|tested)(?:-by)?s?|acks?|reviews)\b"
_TAGS_DROPPED = re.compile(
    r"\b(?:drop|remov|did(?: not|n't)|not (?:carr|pick|keep|add|includ)|left out|strip|clear|reset|without|discard)"
    r"[^\n]{0,60}\b" + _TAG,
    re.I,
)
_TAGS_KEPT = re.compile(r"\b(?:kept|keep|keeping|retain|carr(?:y|ied)|preserv)[^\n]{0,60}\b" + _TAG, re.I)


def _changelog(series: Series) -> str:
    """Where a word about tags may stand."""
    texts = [series.cover.text] if series.cover else []
    return "\n".join(texts + [f"{patch.message}\n{patch.notes}" for patch in series.patches])


def _given(revision: Revision, pairs: Sequence[Pair], series: Series) -> Iterator[_Tag]:
    """The tags that others have given to a revision's patches: in them, or in answers that came in time.

    Who has tested a series has tested no other one; what the cover letter of this one repeats is not lost.
    """
    same = all(pair.how is How.SAME for pair in pairs)
    cover = find_trailers(series.cover.text, None) if series.cover else ()
    when = min((patch.mail.date or _NEVER for patch in series.patches), default=_NEVER)
    patches = {patch.index: patch for patch in revision.series.patches}
    mails = {reply.mail.message_id: reply.mail for reply in revision.replies}
    on_condition = cache(lambda name: _on_condition(mails[name].body))
    for_all = cache(lambda name: _for_all(mails[name].body))
    for patch in revision.series.patches:
        for trailer in patch.trailers[:_MOST_TRAILERS]:
            yield from _tag(trailer, patch, None)
    for trailer in revision.series.followups:
        mail = mails.get(trailer.source or "")
        if mail is None or (mail.date or _NEVER) >= when or on_condition(mail.message_id):
            continue
        if trailer.patch == 0:
            whole = kinds_of(trailer.name)
            if for_all(mail.message_id) and (same or "tested" not in whole) and not _has(cover, trailer):
                for patch in revision.series.patches:
                    yield from _tag(trailer, patch, mail, whole=True)
        elif trailer.patch in patches:
            yield from _tag(trailer, patches[trailer.patch], mail)


def _tag(trailer: Trailer, patch: Patch, mail: Mail | None, *, whole: bool = False) -> Iterator[_Tag]:
    kinds, person = kinds_of(trailer.name), person_of(trailer.value)
    if kinds and person and not same_person(person, patch.author):
        yield _Tag(trailer, person, kinds, patch, mail, whole)


# "With that fixed", "once the above is sorted out": what becomes of the remark is not this rule's
_CONDITION = re.compile(
    r"\b(?:with (?:that|this|those|these|the above)|(?:apart|aside) from|other than|besides|except|once|after"
    r"|provided|assuming|as long as|if (?:you|that|this|those|these|we|it)|when (?:you|that|this)|modulo|unless)\b",
    re.I,
)
_PART = re.compile(
    r"\b(?:patch(?:es)? ?#?\d|\d{1,3}[-/]\d|(?:first|last|next|other) \w+ ?patch|parts?\b|bits\b|portions?\b)", re.I
)


def _said_above(body: Sequence[str]) -> str:
    """A person's own words right above the tags in an answer."""
    own: list[str] = []
    for line in body[:2000]:
        if line.startswith(">"):
            own = []
        elif _is_tag(line):
            break
        elif line.strip():
            own.append(line.strip()[:300])
    return " ".join(own[-2:])


def _is_tag(line: str) -> bool:
    name, colon, value = line[:300].partition(":")
    return bool(colon) and bool(kinds_of(name.strip())) and "@" in value


def _on_condition(body: Sequence[str]) -> bool:
    said = _said_above(body)
    below = next((n for n, line in enumerate(body[:2000]) if _is_tag(line)), len(body))
    after = " ".join(line[:300] for line in body[below + 1 : below + 4] if not line.startswith(">"))
    return bool(
        _CONDITION.search(said.replace("feel free", ""))
        or re.match(r"\s*(?:after|once|if|with|when|provided)\b", after, re.I)
    )


def _for_all(body: Sequence[str]) -> bool:
    """An answer to the cover letter names no patches."""
    return not _PART.search(_said_above(body))


def _bears(patch: Patch, tag: _Tag) -> bool:
    """The patch has the tag, or one of the same person that says as much."""
    return _has(patch.trailers, tag.trailer)


def _has(trailers: Sequence[Trailer], wanted: Trailer) -> bool:
    """A tag, or one that says as much, is among trailers: who signs a patch off has read it."""
    whose = person_of(wanted.value)
    said: set[str] = set()
    for trailer in trailers[:_MOST_TRAILERS]:
        name = trailer.name.lower()
        if not whose or not name.endswith("-by") or not (person := person_of(trailer.value)):
            continue
        if same_person(person, whose):
            said |= kinds_of(name)
            if name in ("signed-off-by", "co-developed-by"):
                said.add("reviewed")
    kinds = kinds_of(wanted.name)
    read = bool(said & {"reviewed", "acked"})
    return ("tested" not in kinds or "tested" in said) and (kinds == {"tested"} or read)


def _lost(lost: Sequence[_Lost], given: Sequence[_Tag], series: Series) -> Iterator[SeriesReport]:
    """One report for each tag, at the first patch that lacks it, or where it stands instead."""
    groups: dict[tuple[str, str], list[_Lost]] = {}
    for one in lost:
        groups.setdefault((one.tag.trailer.name.lower(), one.tag.trailer.value.lower()), []).append(one)
    for ones in islice(groups.values(), _MOST_LOST):
        tag, revision, patch = ones[0]
        numbers = sorted({one.patch.index for one in ones} - {patch.index})
        instead = _instead(tag, given, series) if tag.mail and not tag.whole and not numbers else None
        identity = ("lost", tag.trailer.name, tag.trailer.value)
        if instead and (span := trailer_span(instead, tag.trailer.name, tag.person)):
            message = f"{tag.text} was given to patch {patch.index} of this series, which lacks it, and not to this one"
            yield SeriesReport(instead, span, message, notes=tag.notes, identity=identity)
            continue
        what = "the patches are unchanged" if numbers else "the patch is unchanged"
        how = "given on" if tag.mail else "in"
        message = f"{tag.text}, {how} {_called(revision, series)}, is missing{_here_and_on(numbers)}: {what}"
        yield SeriesReport(patch, header_span(patch), message, notes=tag.notes, identity=identity)


def _instead(tag: _Tag, given: Sequence[_Tag], series: Series) -> Patch | None:
    """The patch that bears a lost tag instead: the only one that it was not given for; None where there is none."""
    bearing = [patch for patch in series.patches if _bears(patch, tag)]
    if not bearing:
        return None
    theirs = {fold_title(other.patch.subject.title) for other in given if same_person(other.person, tag.person)}
    found = [patch for patch in bearing if fold_title(patch.subject.title) not in theirs]
    return found[0] if len(found) == 1 else None


def _here_and_on(numbers: Sequence[int]) -> str:
    """What a report at one patch says of others."""
    if len(numbers) < 2:
        return "".join(f" here and on patch {number}" for number in numbers)
    return f" here and on patches {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def _called(revision: Revision, series: Series) -> str:
    """How a revision is called beside this one."""
    rfc = _is_rfc(revision.series)
    if revision.series.revision == series.revision and rfc == _is_rfc(series):
        return f"the earlier v{series.revision}"
    return f"{'RFC ' if rfc else ''}v{revision.series.revision}"


def _is_rfc(series: Series) -> bool:
    subject = series.cover.subject if series.cover else series.patches[0].subject
    return any(prefix.upper() == "RFC" for prefix in subject.prefixes)


def _stale(revision: Revision, old: Patch, new: Patch, tags: Sequence[_Tag], series: Series) -> Iterator[SeriesReport]:
    """A patch of which much has changed keeps its tags, and nothing tells their givers."""
    kept = [tag for tag in tags if _keeps(new, tag)]
    if not kept or (series.cover is None and series.expected > 1):
        return  # where the cover letter is not at hand, what it tells is not known
    before, after = code_changes(old), code_changes(new)
    fresh, gone = after - before, before - after
    if fresh.total() < _FEWEST or likeness(before, after) >= _ALIKE:
        return
    if likeness(skeleton(before), skeleton(after)) >= _ALIKE:
        return  # only names are others
    if free_text(new.notes) or tells(new.message.split("\n")) or _mentions(series, new, (*gone, *fresh)):
        return
    first = kept[0]
    if span := trailer_span(new, first.trailer.name, first.person):
        names = " and ".join(dict.fromkeys(tag.text for tag in kept))
        were = "was" if len(kept) == 1 else "were"
        message = (
            f"{names} {were} given to {_called(revision, series)}, of which much has changed: no changelog says what"
        )
        identity = ("stale", first.trailer.name, first.trailer.value)
        yield SeriesReport(new, span, message, notes=first.notes, identity=identity)


def _keeps(patch: Patch, tag: _Tag) -> bool:
    """The patch has this tag, or one of the same kind by the same person."""
    return any(
        kinds_of(trailer.name) & tag.kinds and (person := person_of(trailer.value)) and same_person(person, tag.person)
        for trailer in patch.trailers[:_MOST_TRAILERS]
    )


_SHORTLOG = re.compile(r"\S.{0,100} \(\d{1,4}\):\s*$| \d+ files? changed")


def _mentions(series: Series, patch: Patch, lines: Sequence[str]) -> bool:
    """The cover letter's changelog speaks of the patch: by its number, or of a name in its title or changed lines."""
    if series.cover is None:
        return False
    told = list(takewhile(lambda line: not _SHORTLOG.match(line[:200]), series.cover.text.split("\n")))
    start = next((n for n, line in enumerate(told) if heading(line)), 0)
    text = "\n".join(told[start:])
    if re.search(rf"\bpatch(?:es)?\b[^\n]{{0,30}}\b{patch.index}\b|\b0?{patch.index}/\d", text, re.I):
        return True
    names = {name for line in (patch.subject.title, *lines) for name in _NAME.findall(line[:300]) if "_" in name}
    return not names.isdisjoint(_NAME.findall(text))


_NAME = re.compile(r"\b[A-Za-z_]\w{4,60}\b")


# -- who signs ------------------------------------------------------------------------------------------------------

_SIGNED = re.compile(r"\s{0,8}signed-off-by:\s*(.*)", re.I)
_DRAFT = re.compile(r"\b(?:rfc|wip|do.?not|not.?for|dnm|test\w*|debug|hack|poc|example|draft|prototype)\b", re.I)
_DRAFT_TITLE = re.compile(r"(?:do not|don't|not for|rfc|wip|dnm)\b", re.I)


def _signatures(series: Series) -> Iterator[SeriesReport]:
    """One report for what several patches lack, at the first of them."""
    found: dict[str, list[Patch]] = {}
    for patch in series.patches:
        what = None if _is_draft(patch, series) else _unsigned(patch)
        if what:
            found.setdefault(what, []).append(patch)
    for what, patches in found.items():
        where = _here_and_on([patch.index for patch in patches[1:]]).replace(" here", ", here", 1)
        yield SeriesReport(patches[0], header_span(patches[0]), f"{what}{where}", identity=("Signed-off-by", what))


def _is_draft(patch: Patch, series: Series) -> bool:
    """It is not to be applied; or it stands in an answer, below what it answers."""
    words = [*patch.subject.prefixes, *(series.cover.subject.prefixes if series.cover else ())]
    if _DRAFT.search(" ".join(words)) or _DRAFT_TITLE.match(patch.subject.title):
        return True
    return "\n> " in f"\n{patch.message}" and _SIGNED_QUOTED.search(patch.message) is not None


_SIGNED_QUOTED = re.compile(r"^(?:> ?){1,8}(?:signed-off-by|from): ", re.I | re.M)


def _unsigned(patch: Patch) -> str | None:
    """What a patch lacks, as checkpatch has it: who has the author's name or address is the author."""
    author = patch.author
    if not author.email or not patch.files:
        return None  # what is staged has no message
    signed = [
        person_of(match[1]) or Address(match[1].strip()[:200], "")
        for line in patch.message.split("\n")
        if (match := _SIGNED.match(line[:500]))
    ]
    if not signed:
        if any(_SIGNED.match(line[:500]) for line in patch.notes.split("\n")):
            return "the Signed-off-by: is below the ---, where it gets lost"
        return "there is no Signed-off-by:"
    if not any(same_person(person, author) for person in signed):
        return f"there is no Signed-off-by: of the author, {author}"
    sender = patch.mail.original_from or patch.mail.sender
    if patch.commit is not None or same_person(sender, author) or _is_relay(sender):
        return None
    if not any(same_person(person, sender) for person in signed):
        return f"there is no Signed-off-by: of the sender, {sender}"
    if not same_person(signed[-1], sender):
        return f"the last Signed-off-by: is not that of the sender, {sender}"
    return None


def _is_relay(sender: Address) -> bool:
    """A list, or a program that sends for others: who it was is not told."""
    return " via " in sender.name.lower() or sender.email.lower().startswith(("devnull+", "devnull@"))


# -- what it fixes --------------------------------------------------------------------------------------------------

_FIXES = re.compile(r"Fixes:[ \t]*(?:commit[ \t]+)?([0-9a-f]{5,64})(?=[\s(,:]|$)[ \t]*(.*)$", re.I)
_REVERTS = re.compile(r"This reverts commit ([0-9a-f]{12,64})\b", re.I)
_QUOTED = re.compile(r"\([\"\u201c](.*)[\"\u201d]\)")
_PARENTHESES = re.compile(r"\((.*)\)")
_ENOUGH = 12  # submitting-patches.rst: "at least the first 12 characters"
# Linux-2.6.12-rc2: a tree that has it has all that a kernel's Fixes: may name
_ROOT = "1da177e4c3f41524e886b7f1b8a0c1fc7321cac2"


def _fixes(patch: Patch, ground: SeriesTree | None) -> Iterator[SeriesReport]:
    """Each Fixes: of a patch, and the commit that it reverts."""
    if "fixes:" not in patch.message.lower() and "This reverts" not in patch.message:
        return
    lines = [*message_lines(patch), (0, "")]
    for (number, text), (_, below) in pairwise(lines):
        text = text[:1000]
        wrong, suggestion = None, None
        if match := _FIXES.match(text):
            wrong, suggestion = _wrong_fixes(match[1], match[2].strip(), below.strip()[:300], ground)
        elif (match := _REVERTS.match(text)) and ground:
            wrong = _unknown(match[1], ground)
        if match and wrong:
            yield SeriesReport(
                patch,
                message_span(patch, number),
                wrong,
                suggestion=suggestion,
                identity=(text.partition(" ")[0], match[1]),
            )


def _wrong_fixes(name: str, rest: str, below: str, ground: SeriesTree | None) -> tuple[str | None, str | None]:
    """What is wrong with a Fixes:, and what it should read; both None where nothing is."""
    wrapped = rest.startswith("(") and ")" not in rest and below.endswith(")")
    text = f"{rest} {below}" if wrapped else rest
    match = _QUOTED.match(text) or _PARENTHESES.match(text)
    title = match[1].strip() if match else None
    if title is None and name.isdecimal():
        return None, None  # the number of a bug
    commit = ground.commit(name.lower()) if ground else None
    right = None
    if commit:
        right = f'Fixes: {commit.id[:_ENOUGH]} ("{commit.title}")'
    elif len(name) >= _ENOUGH and title:
        right = f'Fixes: {name} ("{title}")'
    if commit and title is not None and fold_title(title) != fold_title(commit.title):
        return f"commit {name[:_ENOUGH]} has another title: '{commit.title}'", right
    if ground and not commit and (unknown := _unknown(name, ground)):
        return unknown, None
    if len(name) < _ENOUGH:
        return f"Fixes: has {len(name)} characters of the commit's hash, not {_ENOUGH}", right
    if wrapped:
        return "Fixes: goes over two lines: tools read one", right
    if not _QUOTED.match(rest):
        return 'Fixes: does not give the commit\'s title as ("title")', right
    return None, None


def _unknown(name: str, ground: SeriesTree) -> str | None:
    """Where the tree has all of Linux's history, and not this commit; a short hash may be that of several."""
    if len(name) < _ENOUGH or ground.commit(name.lower()) or not ground.commit(_ROOT):
        return None
    return f"the tree has no commit {name[:_ENOUGH]}: rebased, or of another tree"
