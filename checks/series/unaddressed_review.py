# SPDX-License-Identifier: GPL-2.0-or-later
"""A reviewer's remark on an earlier revision was not taken up: the line is unchanged, and nobody has said why"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from reviewbot.checks.series._changelog import heading
from reviewbot.checks.series._trailers import kinds_of, person_of, same_person

from reviewbot.dossier import (
    Asks,
    Dossier,
    History,
    Remark,
    Revision,
    function_of,
    line_span,
    message_lines,
    message_span,
)
from reviewbot.matching import became, match_patches
from reviewbot.model import Address, FileDiff, Line, LineKind, Mail, Patch, Series, Severity, Span
from reviewbot.rule import SeriesReport, series_rule

# One posting's reports: who has ignored more than that is told so in a word.
_MOST = 10
# Changed lines around the quoted one that must be as they were: what a reviewer misses is added near it.
_ABOVE, _BELOW = 2, 1
_FAR = 5  # above a line that stands everywhere
_TELLING = 12  # characters of a line without signs
_ALIKE = 60  # characters with which a remark begins that is made several times
_FEWEST = 2  # words that say something
_LONG = 60  # lines of a paragraph
# Remarks on a revision that are followed up: no person makes as many.
_REMARKS = 400
# Places where a line may stand again
_PLACES = 50
# Revisions that are looked through, the newest first.
_BACK = 6
_LINK = "https://lore.kernel.org/r/"
_NEVER = datetime.min.replace(tzinfo=UTC)


class _Open(NamedTuple):
    """A remark that nothing was done about."""

    revision: Revision
    remark: Remark
    patch: Patch  # of the posting under review
    span: Span
    agreed: Mail | None  # in which the author says that he will


@series_rule(Severity.NOTE, id="HY07", needs="history", rerolls=True, yields_to=("lock-drop/rejected-before",))
def check(dossier: Dossier) -> Iterator[SeriesReport]:
    """The remarks on the revision before, then those on older ones that nobody has come back to."""
    history = dossier.history
    if history is None:
        return
    found = list(_open(history))
    for one in found[:_MOST]:
        last = one is found[_MOST - 1] if len(found) > _MOST else False
        yield _report(one, history.this.series, f"{len(found) - _MOST} more remarks were not taken up" if last else "")


def _report(one: _Open, series: Series, more: str) -> SeriesReport:
    remark = one.remark
    what = "line" if remark.line else "sentence"
    where = remark.path or "the message"
    label = _label(one.revision.series)
    end = "" if remark.text.endswith((".", "?", "!")) else "."
    notes = [f"{_LINK}{remark.mail.message_id}"]
    if one.agreed:
        notes.append(f"the author agreed in {_LINK}{one.agreed.message_id}")
    if more:
        notes.append(more)
    return SeriesReport(
        one.patch,
        one.span,
        f"{label}: {remark.mail.sender.name or remark.mail.sender.email} on {where}: '{remark.text}'{end} "
        f"The {what} is unchanged in v{series.revision} and the changelog does not mention it",
        notes=tuple(notes),
        identity=(remark.mail.message_id, remark.quoted.strip()),
    )


def _label(series: Series) -> str:
    return f"{'RFC ' if _is_rfc(series) else ''}v{series.revision}"


def _is_rfc(series: Series) -> bool:
    return any(prefix.upper() == "RFC" for patch in series.patches for prefix in patch.subject.prefixes)


def _open(history: History) -> Iterator[_Open]:
    series = history.this.series
    when = min((patch.mail.date or _NEVER for patch in series.patches), default=_NEVER)
    seen: set[tuple[str, int, str]] = set()
    later: list[Revision] = []  # those between it and the one under review
    for revision in reversed(history.revisions[max(0, history.at - _BACK) : history.at]):
        wanted = [remark for remark in revision.remarks if _wanted(remark, when)][:_REMARKS]
        if wanted and _label(revision.series) != _label(series):
            pairs = match_patches(revision.series.patches, series.patches)
            patches = {patch.index: patch for patch in revision.series.patches}
            looked = set(_looked(revision, later, when))
            text = _News(revision.series, series)
            made: dict[tuple[int, int], _Became] = {}
            for remark in wanted:
                old = patches.get(remark.patch)
                if old is None or _content(remark, revision) or (remark.mail.sender, old.index) in looked:
                    continue
                for new in became(pairs, old):
                    if new.mail.message_id == old.mail.message_id:
                        continue  # it was not sent again
                    key = (remark.mail.sender.email.lower(), new.index, remark.text[:_ALIKE].lower())
                    pair = made.setdefault((old.index, new.index), _Became(old, new))
                    if key in seen or (span := pair.span(remark)) is None:
                        continue
                    if _approved(remark, new) or pair.elsewhere(remark) or text.mentions(remark, new):
                        continue
                    seen.add(key)
                    yield _Open(revision, remark, new, span, remark.agreed)
                    break
        later.append(revision)


def _wanted(remark: Remark, when: datetime) -> bool:
    return _in_time(remark.mail, when) and remark.is_open and len(_WORD.findall(remark.text)) >= _FEWEST


def _in_time(mail: Mail, when: datetime) -> bool:
    return mail.date is None or mail.date < when


# -- what was said of it --------------------------------------------------------------------------------------------


_CONDITION = re.compile(
    r"\b(?:with (?:that|this|those|these|the|it)\b|fixed|other than|apart from|besides|except|otherwise|after"
    r"|once|if you"
    r"|address|assuming|provided|minor|nits?\b|unless)",
    re.I,
)


def _content(remark: Remark, revision: Revision) -> bool:
    """The reviewer has given the patch a tag since."""
    who, said = remark.mail.sender, remark.mail.date or _NEVER
    for trailer in revision.series.followups:
        if trailer.patch not in (0, remark.patch) or not kinds_of(trailer.name) & {"reviewed", "acked"}:
            continue
        person = person_of(trailer.value)
        if person is None or not same_person(person, who):
            continue
        mail = next((r.mail for r in revision.replies if r.mail.message_id == trailer.source), None)
        if mail is None or mail.message_id != remark.mail.message_id:
            if mail is not None and (mail.date or _NEVER) > said:
                return True
        elif not any(_CONDITION.search(line) for line in mail.body if not line.startswith(">")):
            return True
    return False


def _looked(revision: Revision, later: Sequence[Revision], when: datetime) -> Iterator[tuple[Address, int]]:
    """Who had something to say of a later revision of a patch of this one: he can come back to it himself."""
    for other in later:
        pairs = match_patches(revision.series.patches, other.series.patches)
        before = defaultdict[int, list[int]](list)
        for pair in pairs:
            if pair.old and pair.new:
                before[pair.new.index].append(pair.old.index)
        for reply in other.replies:
            if _in_time(reply.mail, when):
                yield from ((reply.mail.sender, index) for index in before[reply.patch])


def _approved(remark: Remark, new: Patch) -> bool:
    """The patch bears the reviewer's tag."""
    people = (person_of(trailer.value) for trailer in new.trailers if kinds_of(trailer.name) & {"reviewed", "acked"})
    return any(person is not None and same_person(person, remark.mail.sender) for person in people)


# -- whether it is as it was ----------------------------------------------------------------------------------------


def _sentence(remark: Remark, old: Patch, new: Patch) -> Span | None:
    """The same of a line of the commit message: its paragraph must be what it was."""
    if not any(number == remark.place for number, _ in message_lines(old)) or _TRAILER.match(remark.quoted):
        return None
    if not _WORDING.search(remark.words):
        return None  # the code may be the answer
    wanted = _paragraph(old, remark.place)
    for number, text in message_lines(new):
        if text.strip() == remark.quoted.strip() and _paragraph(new, number) == wanted:
            return message_span(new, number)
    return None


# About the text, not about what it says is done
_WORDING = re.compile(
    r"\bs[/!|][^/!|]{1,80}[/!|][^/!|]{0,80}[/!|]|\b(?:typo|spell\w*|grammar|wording|word|sentence|paragraph"
    r"|reword|rephrase"
    r"|(?:commit|patch) (?:message|log|msg)|change ?log|description|subject|title|missing an?)\b",
    re.I,
)


def _paragraph(patch: Patch, place: int) -> str:
    """The paragraph of a mail's line, white space squeezed."""
    body = patch.mail.body
    first = last = place - 1
    while first > 0 and place - first < _LONG and body[first - 1].strip():
        first -= 1
    while last + 1 < len(body) and last - place < _LONG and body[last + 1].strip():
        last += 1
    return " ".join(" ".join(body[first : last + 1]).split())


_TRAILER = re.compile(r"\s*(?:[A-Z][A-Za-z-]{1,30}: |---)")


# About the line, whatever is around it
_ITSELF = re.compile(
    r"\bs[/!|][^/!|]{1,80}[/!|][^/!|]{0,80}[/!|]|\b(?:typo|renam|naming|name\b|called|return (?:a |an )?(?:bool"
    r"|int|void)|const\b"
    r"|static\b|type\b|brackets?|parenthes|spelling|never used|unused|format specifier)",
    re.I,
)


def _around(diff: FileDiff, at: Line) -> tuple[str, str]:
    """The nearest lines above and below that the patch leaves alone; '' where the hunk shows none."""
    for hunk in diff.hunks:
        if hunk.lines and hunk.lines[0].message_line <= at.message_line <= hunk.lines[-1].message_line:
            above = below = ""
            for line in hunk.lines:
                if line.kind is LineKind.CONTEXT and line.text.strip() and line.message_line != at.message_line:
                    if line.message_line < at.message_line:
                        above = line.text.strip()
                    else:
                        below = line.text.strip()
                        break
            return above, below
    return "", ""


_MOVES = re.compile(r"\b(?:mov|order|sort|alphabet|above|below|before|after|up|down|place|put|belong|first|last)", re.I)


def _same_place(remark: Remark, old: tuple[str, str], new: tuple[str, str]) -> bool:
    """It has not been moved: one of the lines around must be the same, both where a move is what was asked for."""
    if old == ("", "") or _MOVES.search(remark.words):
        return old == new
    return old[0] == new[0] or old[1] == new[1]


_CALLED = re.compile(r"\b(\w{3,60})\(")


class _File:
    """The lines of a file's diff, by their text and in their order."""

    def __init__(self, diff: FileDiff) -> None:
        self.diff = diff
        lines = [line for hunk in diff.hunks for line in hunk.lines]
        changed = [line for line in lines if line.kind is not LineKind.CONTEXT]
        self._texts = [_text(line) for line in changed]
        self._numbers = [line.message_line for line in changed]
        self._places: dict[str, list[Line]] = {}
        for line in lines:
            self._places.setdefault(_text(line), []).append(line)

    def near(self, line: Line, above: int, below: int) -> list[str]:
        """The changed lines around a line, and it itself where it is one."""
        at = bisect_left(self._numbers, line.message_line)
        return self._texts[max(0, at - above) : at + below + (line.kind is not LineKind.CONTEXT)]

    def same(self, line: Line) -> Sequence[Line]:
        """The lines that read as another one does."""
        return self._places.get(_text(line), [])[:_PLACES]

    def lacks(self, line: Line) -> bool:
        """No line reads as this one does."""
        return _text(line) not in self._places


class _Became:
    """A patch before and after."""

    def __init__(self, old: Patch, new: Patch) -> None:
        self._old, self._new = old, new
        self._files: dict[tuple[str, bool], _File | None] = {}
        self._fresh: dict[str, tuple[frozenset[str], frozenset[str]]] = {}

    def _file(self, path: str, *, new: bool) -> _File | None:
        if (path, new) not in self._files:
            files = (self._new if new else self._old).files
            self._files[path, new] = next((_File(diff) for diff in files if diff.path == path), None)
        return self._files[path, new]

    def span(self, remark: Remark) -> Span | None:
        """Where the quoted line stands now; None where it, or what is around it, is another."""
        line = remark.line
        if line is None or remark.path is None:
            return _sentence(remark, self._old, self._new)
        before, after = self._file(remark.path, new=False), self._file(remark.path, new=True)
        if before is None or after is None:
            return None
        plain = len(re.sub(r"\W", "", line.text)) < _TELLING  # a brace, a return: what is above is meant
        above, below = (_FAR, _BELOW) if plain else (0, 0) if _ITSELF.search(remark.words) else (_ABOVE, _BELOW)
        wanted, around = before.near(line, above, below), _around(before.diff, line)
        for other in after.same(line):
            if after.near(other, above, below) != wanted:
                continue
            if function_of(after.diff, other) not in (remark.function, None):
                continue
            if _same_place(remark, around, _around(after.diff, other)):
                return line_span(after.diff, other)
        return None

    def elsewhere(self, remark: Remark) -> bool:
        """A line that is new in the file has a name that the remark has: it was taken up in another way."""
        if remark.path is None:
            return False
        if remark.path not in self._fresh:
            self._fresh[remark.path] = self._names(remark.path)
        names, called = self._fresh[remark.path]
        texts = [text[:2000] for text in (remark.words, *remark.code)]
        return any(
            not names.isdisjoint(name.lower() for name in _NAME.findall(text))
            or not called.isdisjoint(word.lower() for word in _WORD.findall(text))
            for text in texts
        )

    def _names(self, path: str) -> tuple[frozenset[str], frozenset[str]]:
        """The words of the lines that are new in a file, and those among them that are called."""
        before, after = self._file(path, new=False), self._file(path, new=True)
        if before is None or after is None:
            return frozenset(), frozenset()
        lines = (line for hunk in after.diff.hunks for line in hunk.lines if line.kind is LineKind.ADDED)
        texts = [line.text[:500].lower() for line in lines if before.lacks(line)]
        words = frozenset(word for text in texts for word in _WORD.findall(text))
        return words, frozenset(word for text in texts for word in _CALLED.findall(text))


def _text(line: Line) -> str:
    return f"{line.kind}{line.text.rstrip()}"


# -- whether it is mentioned ----------------------------------------------------------------------------------------

_WORD = re.compile(r"[A-Za-z_][\w-]{2,60}")
_NAME = re.compile(r"\b(?:\w*[a-z0-9]_\w+|\w+_[A-Za-z0-9]\w*|[a-z]+[A-Z]\w+|[A-Z][A-Z0-9]{3,}|\w{3,}(?=\())")
_EMPTY = frozenset(
    """
    the and for that this with from not but are was were will would should could can you your our its it's have
    has had here there then than they them their what when where which while who why how into onto over under
    also just only more most some any all one two new old use used using uses add added adds remove removed fix
    fixed fixes change changed changes make made makes move moved need needs needed please think like see same
    other may might must does did done don't doesn't isn't patch patches series version code line lines function
    functions instead rather better good nice comment comments review feedback suggested suggestion per based
    int char void struct static const return null bool unsigned long size
    """.split()
)


class _News:
    """What a posting says that the earlier one did not: changelogs and messages in items, each as its words."""

    def __init__(self, old: Series, new: Series) -> None:
        texts = [old.cover.text] if old.cover else []
        texts += [f"{patch.message}\n{patch.notes}" for patch in old.patches]
        self._old = {" ".join(line.split()) for text in texts for line in text.split("\n")}
        self._cover = list(self._items(_changelog(new.cover.text))) if new.cover else []
        self._patches: dict[int, list[frozenset[str]]] = {}
        self._messages: dict[int, list[frozenset[str]]] = {}

    def _items(self, text: str) -> Iterator[frozenset[str]]:
        item: list[str] = []
        for line in text.split("\n"):
            if item and _ITEM.match(line):
                yield frozenset(item)
                item = []
            if " ".join(line.split()) not in self._old and not _STAT.match(line):
                item += [_stem(word) for word in _WORD.findall(line[:1000])]
        if item:
            yield frozenset(item)

    def mentions(self, remark: Remark, new: Patch) -> bool:
        """The changelog has a name of the remark or its line, or several of its words; the message, to a question."""
        if new.index not in self._patches:
            notes = f"{new.notes}\n\n{_changelog(new.message) if _has_changelog(new.message) else ''}"
            self._patches[new.index] = list(self._items(notes))
            self._messages[new.index] = list(self._items(new.message))
        names = {
            _stem(name) for text in (remark.quoted, remark.words, *remark.code) for name in _NAME.findall(text[:2000])
        }
        if remark.function:
            names.add(_stem(remark.function))
        words = {_stem(word) for word in _WORD.findall(remark.words)} - _EMPTY
        reviewer = {_stem(word) for word in _WORD.findall(remark.mail.sender.name)}
        for item in (*self._cover, *self._patches[new.index]):
            if item & names or len(item & words) >= (1 if item & reviewer else 2):
                return True
        told = self._messages[new.index] if remark.asks is Asks.ANSWER or remark.line is None else ()
        return any(len(item & (words | names)) >= 2 for item in told)


_ITEM = re.compile(r"\s*(?:[-*+o•]|\(?\d{1,2}[.)]) |\s*$")
_STAT = re.compile(r"\s*\S[^|]{0,200}\|\s+(?:\d+|Bin)\b|\s*(?:create|delete|rename) ")


def _has_changelog(text: str) -> bool:
    return any(heading(line) for line in text.split("\n"))


def _changelog(text: str) -> str:
    """What stands below the first words that begin a changelog; all of a text that has none."""
    lines = text.split("\n")
    at = next((n for n, line in enumerate(lines) if heading(line)), 0)
    return "\n".join(lines[at:])


def _stem(word: str) -> str:
    low = word.lower().strip("-_")
    if "_" in low or len(low) < 5:
        return low
    for end in ("ations", "ation", "ings", "ing", "ed", "es", "s"):
        if low.endswith(end) and len(low) - len(end) >= 4:
            return low[: -len(end)]
    return low
