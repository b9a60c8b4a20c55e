# SPDX-License-Identifier: GPL-2.0-or-later
"""What a rule over a series is given: the posting, and what is known of it beyond its own mails.

Belongs here: the values and interfaces between those who find things out (`history` earlier revisions and answers,
`tree` and `source.commits` files, `branches` whether it applies, `index` other series in flight) and the rules that
ask; and how a rule names a place in a mail. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple, Protocol

from reviewbot.model import CoverLetter, FileDiff, Line, LineKind, Mail, Patch, Series, Span, SpanKind


class Needs(StrEnum):
    """What a rule over a series cannot do without."""

    SERIES = "series"  # the posting itself: it is always there
    HISTORY = "history"  # the other revisions, and what was answered to them
    TREE = "tree"  # the files that the series applies to; without them it is run all the same, and abstains
    BRANCHES = "branches"  # whether it applies to the branches that are configured
    FLIGHT = "flight"  # the index of other series


# -- earlier revisions ----------------------------------------------------------------------------------------------


class Reply(NamedTuple):
    """A mail below a posting."""

    mail: Mail
    patch: int  # index of the patch that it answers, directly or through other replies; 0: the cover letter


class Asks(StrEnum):
    """What a remark wants, by the look of its words."""

    CHANGE = "change"  # a request or an objection
    ANSWER = "answer"  # a question
    NOTHING = "nothing"  # praise, an explanation, something for another patch


class Stance(StrEnum):
    """How an answer stands to the remark."""

    PROMISES = "promises"  # "will do", "done", and no more
    AGREES = "agrees"  # "right", and no more
    ARGUES = "argues"  # explains, objects, asks back
    WITHDRAWS = "withdraws"  # the reviewer: "fair enough"
    INSISTS = "insists"  # the reviewer: anything else


class Answer(NamedTuple):
    """What is said to a remark in a mail further below."""

    mail: Mail
    text: str  # one line, white space squeezed, cut
    by_author: bool  # of the posting
    stance: Stance


class Remark(NamedTuple):
    """What a person says below a quoted line of a patch."""

    mail: Mail  # that it stands in
    patch: int  # index of the patch in its own revision, 0: the cover letter
    quoted: str  # the line right above it, without quote marks, as the patch's mail has it
    text: str  # the person's own words, one line, white space squeezed, at most some hundred characters
    path: str | None  # the file of the quoted line; None where it is none of the diff
    function: str | None
    line: Line | None  # of the patch, where the quoted one is one of its diff
    place: int = 0  # of the quoted line in the patch's mail, from 1
    words: str = ""  # all that the person says there, without code
    code: tuple[str, ...] = ()  # the lines of code among it, squeezed
    asks: Asks = Asks.NOTHING
    quote: tuple[int, ...] = ()  # the lines of the patch's mail that are quoted above it, from 1, at most some forty
    answers: tuple[Answer, ...] = ()  # by anybody, oldest first

    @property
    def is_open(self) -> bool:
        """It wants something, and what was answered, if anything, is that it will be done."""
        last: Stance | None = None
        argued = False
        for answer in self.answers:
            if answer.stance is Stance.WITHDRAWS or (answer.stance is Stance.ARGUES and not answer.by_author):
                return False
            if answer.by_author:
                last = answer.stance
                argued = argued or last is Stance.ARGUES
        settled = last is Stance.ARGUES or (argued and last is not Stance.PROMISES)
        return self.asks is not Asks.NOTHING and not settled

    @property
    def agreed(self) -> Mail | None:
        """The last mail in which the author says that it will be done; None where he does not."""
        ready = (Stance.AGREES, Stance.PROMISES)
        return next((one.mail for one in reversed(self.answers) if one.by_author and one.stance in ready), None)


class Revision(NamedTuple):
    """One posting of a series, and what was answered to it."""

    series: Series
    replies: tuple[Reply, ...]  # oldest first, without those below another posting
    remarks: tuple[Remark, ...] = ()  # of people in those replies, in their order


class History(NamedTuple):
    """All postings of a series that are known, oldest first.

    Among them may be resends, and parts that were posted as series of their own for a while.
    """

    revisions: tuple[Revision, ...]
    at: int  # the place of the one under review
    before: int | None = None  # the place of the revision that it is a reroll of; None where none is known

    @property
    def this(self) -> Revision:
        """The one under review."""
        return self.revisions[self.at]

    @property
    def earlier(self) -> tuple[Revision, ...]:
        """Those before it, oldest first."""
        return self.revisions[: self.at]

    @property
    def previous(self) -> Revision | None:
        """The one that it is a reroll of; None where none is known."""
        return None if self.before is None else self.revisions[self.before]


# -- a tree ---------------------------------------------------------------------------------------------------------


class Hit(NamedTuple):
    """A line of a file in which a word was found."""

    path: str
    line: int  # from 1
    text: str


class Commit(NamedTuple):
    """A commit of a tree."""

    id: str  # full hash
    title: str
    date: datetime | None = None  # of the committer

    def __str__(self) -> str:
        return f'commit {self.id[:12]} ("{self.title[:120]}")'


class SeriesTree(Protocol):
    """The tree that a series applies to, before its first patch and behind its last. Nothing is raised: what cannot be
    read is not there."""

    def before(self, path: str) -> str | None:
        """A file as the base has it; None where there is none."""

    def after(self, path: str) -> str | None:
        """A file behind the last patch; None where there is none, or the patches do not apply to it."""

    def grep(
        self, words: Collection[str], paths: Sequence[str] = (), commit: str | None = None
    ) -> Mapping[str, tuple[Hit, ...]] | None:
        """Where words stand as whole words in the base's files below `paths`, all where it is empty.

        A path is a directory, a file, or "*.h" for all files of that ending. With `commit`, a full hash, in that
        commit's files: a branch's tip. Every word is in the answer, its places by path and line. None where it cannot
        be found out, or there is too much of it.
        """

    def commit(self, name: str) -> Commit | None:
        """A commit by its hash, which may be short; None where there is none, or several."""


# -- branches -------------------------------------------------------------------------------------------------------


class Conflict(NamedTuple):
    """Where a series does not apply to a branch, and the commit that is to blame."""

    patch: int  # index in the series
    path: str
    hunk: int | None  # its number in the file's diff, from 1; None where no hunk is to blame
    line: int | None  # of the file before the patch, as the hunk's header says
    why: str  # "does not apply", "is not in the base"
    cause: Commit | None = None  # which moved or changed the lines; None where that is not known
    moved_to: str | None = None  # the file that the lines stand in now; None where they were not moved
    moved: tuple[str, ...] = ()  # lines of the hunk that were moved there, as the hunk has them

    @property
    def at(self) -> str:
        """The file, and the hunk of it."""
        return f"{self.path} hunk {self.hunk}" if self.hunk else self.path

    @property
    def because(self) -> str:
        """What is in the way, as the end of a sentence: the commit and what it did, else what is wrong."""
        if self.cause is None:
            return "" if self.why == "does not apply" else f"it {self.why}"
        if self.hunk is None:
            # "was renamed to mm/new.c", "exists already"
            return (
                f"it {self.why} by {self.cause}" if self.why.startswith("was ") else f"it {self.why}, see {self.cause}"
            )
        return f"{self.cause} {f'moved these lines to {self.moved_to}' if self.moved_to else 'changed these lines'}"


class Standing(NamedTuple):
    """How a series stands on a branch."""

    branch: str
    commit: str  # full hash of its tip
    conflicts: tuple[Conflict, ...]  # the first of each file; empty where it applies
    applied: tuple[int, ...] = ()  # patches that the branch has already, by index
    date: datetime | None = None  # of its tip; None where that is not known

    @property
    def applies(self) -> bool:
        """All of it does, or is there already."""
        return not self.conflicts


# -- other series in flight -----------------------------------------------------------------------------------------


class Flying(NamedTuple):
    """Another series that is neither old nor superseded."""

    message_id: str  # of the patch that touches the same
    subject: str
    author: str  # mail address
    date: datetime
    series: str = ""  # Message-ID of its cover letter or first patch, as far as that is known


class Overlap(NamedTuple):
    """What a patch has in common with a patch of another series."""

    patch: int  # ours, by index
    path: str
    what: str  # the function ("walk()") or definition ("struct walk", "WALK_MAX"); '' where it is lines alone
    line: int  # of the file before our patch where it begins, from 1
    other: Flying
    lines: bool = False  # both change the same lines of it, or such as stand side by side: they conflict


class Claim(NamedTuple):
    """A bit that another series gives to a flag of its own."""

    flag: str  # FOLL_STRICT
    bit: int
    other: Flying
    path: str = ""  # of the header


class Flight(Protocol):
    """The index of series in flight, as it is at the time of the posting under review."""

    def overlaps(self) -> Sequence[Overlap]:
        """What other series touch of the lines and definitions that this one touches."""

    def claims(self, prefix: str, bit: int) -> Sequence[Claim]:
        """The flags of other series that begin with `prefix` ("FOLL_") and take this bit."""


# -- all of it ------------------------------------------------------------------------------------------------------


class Dossier:
    """All that is known of a series. What was not looked for is None; what costs much is looked for when it is asked
    for."""

    def __init__(
        self,
        series: Series,
        *,
        history: Callable[[], History | None] | None = None,
        ground: SeriesTree | None = None,
        branches: Callable[[], Sequence[Standing]] | None = None,
        flight: Callable[[], Flight | None] | None = None,
    ) -> None:
        self.series = series
        self.ground = ground
        self._history = history
        self._branches = branches
        self._flight = flight
        self.abstained: str | None = None  # why a rule could not decide; the engine clears it before each

    def abstain(self, why: str) -> None:
        """Tell that a rule has something to decide and cannot: "needs --tree"."""
        self.abstained = why

    def has(self, needs: str) -> bool:
        """Somebody has looked, or will where it is asked for."""
        known: dict[str, object] = {
            Needs.SERIES: self.series,
            Needs.HISTORY: self._history,
            Needs.TREE: self.ground,
            Needs.BRANCHES: self._branches,
            Needs.FLIGHT: self._flight,
        }
        return known[needs] is not None

    @cached_property
    def history(self) -> History | None:
        """The revisions of the series; None where they could not be looked for."""
        return self._history() if self._history else None

    @cached_property
    def branches(self) -> Sequence[Standing]:
        """How it stands on each branch that is configured and that the tree has."""
        return self._branches() if self._branches else ()

    @cached_property
    def flight(self) -> Flight | None:
        """The index of other series; None where there is none."""
        return self._flight() if self._flight else None

    @cached_property
    def cover(self) -> Patch | None:
        """The cover letter as patch 0; None where there is none."""
        return cover_patch(self.series.cover) if self.series.cover else None

    @property
    def first(self) -> Patch:
        """Where what concerns the whole series is said: the cover letter, else the first patch."""
        return self.cover or self.series.patches[0]


def cover_patch(cover: CoverLetter) -> Patch:
    """A cover letter as a patch without a diff, number 0, so that something can be said of it."""
    return Patch(0, cover.mail, cover.subject, cover.author, cover.text, "", (), (), ())


# -- places in a mail -----------------------------------------------------------------------------------------------


def header_span(patch: Patch, name: str = "Subject") -> Span:
    """The subject of a mail."""
    text = patch.subject.full
    return Span(SpanKind.HEADER, name, 1, 1, 1, len(text) + 1, text)


def message_span(patch: Patch, line: int, begin: int = 0, end: int | None = None) -> Span:
    """A line of the mail's body, from 1, or the characters of it from `begin` (from 0) to before `end`."""
    text = patch.mail.body[line - 1]
    stop = len(text) if end is None else end
    return Span(SpanKind.MESSAGE, patch.mail.name, line, begin + 1, line, stop + 1, text, line)


def line_span(diff: FileDiff, line: Line, begin: int | None = None, end: int | None = None) -> Span:
    """A line of a diff without its indentation, or the characters of it from `begin` (from 0) to before `end`."""
    removed = line.kind is LineKind.REMOVED
    path = (diff.old_path if removed else diff.new_path) or diff.path
    number = (line.old if removed else line.new) or 0
    first = len(line.text) - len(line.text.lstrip()) if begin is None else begin
    last = max(len(line.text.rstrip()), first) if end is None else end
    kind = SpanKind.REMOVED if removed else SpanKind.SOURCE
    return Span(kind, path, number, first + 1, number, last + 1, line.text, line.message_line)


# The head of a function begins in the first column and is neither a label nor a declaration.
_HEAD = re.compile(
    r"(?!(?:else|if|for|while|switch|return|typedef|goto)\b)[A-Za-z_][\w \t*]{0,200}?\b(\w{1,100})[ \t]?\("
)


def function_of(diff: FileDiff, line: Line) -> str | None:
    """The function that a line of a diff stands in, or begins; None where the diff does not show it, or it is none."""
    for hunk in diff.hunks:
        if hunk.lines and hunk.lines[0].message_line <= line.message_line <= hunk.lines[-1].message_line:
            break
    else:
        return None
    at = next((n for n, other in enumerate(hunk.lines) if other.message_line == line.message_line), 0)
    for n in range(at, -1, -1):
        text = hunk.lines[n].text
        if text[:1] == "}" and n < at:
            return None
        if text[:1].isalpha() or text[:1] == "_":
            match = _HEAD.match(text)
            if match and not text.rstrip().endswith(";"):
                return match[1]
            if text.startswith(("struct ", "enum ", "union ")) and text.rstrip().endswith("{"):
                return None
    match = _HEAD.match(hunk.section)
    return match[1] if match else None


def diff_lines(patch: Patch) -> Iterator[tuple[FileDiff, Line]]:
    """Every line of a patch's diffs, in order."""
    for diff in patch.files:
        for hunk in diff.hunks:
            for line in hunk.lines:
                yield diff, line


def message_lines(patch: Patch) -> Iterator[tuple[int, str]]:
    """(line number in the mail's body, text) of the commit message, up to the --- or the diff; of a cover letter all.

    In-body headers are left out.
    """
    wanted = patch.message.split("\n")
    yield from _lines(patch, wanted, 0)


def note_lines(patch: Patch) -> Iterator[tuple[int, str]]:
    """(line number in the mail's body, text) of what stands between the --- and the diff."""
    if not patch.notes.strip():
        return
    cut = next((n for n, text in enumerate(patch.mail.body) if text.rstrip() == "---"), 0)
    yield from _lines(patch, patch.notes.split("\n"), cut + 1)


def _lines(patch: Patch, wanted: Sequence[str], start: int) -> Iterator[tuple[int, str]]:
    """Lines that stand below one another in the body, from the first place where they do."""
    body = patch.mail.body
    at = next(
        (n for n in range(start, len(body)) if body[n] == wanted[0] and body[n : n + len(wanted)] == (*wanted,)), None
    )
    if at is not None:
        yield from ((at + n + 1, text) for n, text in enumerate(wanted))
