# SPDX-License-Identifier: GPL-2.0-or-later
"""What a posting consists of: series, patches, diffs, lines, places.

Belongs here: frozen values that the rest passes around, and what can be read off them without
looking anywhere else. Does not belong here: reading mail (`mail`), reading diffs (`diff`), reading
C (`c/`). Pure; imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """How bad a finding is, worst first. The value is what is printed."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for the worst; smaller is more severe."""
        return _RANKS[self]


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


class Confidence(StrEnum):
    """Whether a rule has earned being shown on a list: `high` only after its hits were judged."""

    HIGH = "high"
    LOW = "low"


class LineKind(StrEnum):
    """The mark of a line in a unified diff. The value is the mark."""

    CONTEXT = " "
    ADDED = "+"
    REMOVED = "-"


class Line(NamedTuple):
    """One line of a hunk (a tuple, not a dataclass: a series has tens of thousands of them)."""

    kind: LineKind
    text: str  # without mark and line end
    old: int | None  # line number in the pre-image, from 1; None for an added line
    new: int | None  # line number in the post-image, from 1; None for a removed line
    message_line: int  # line number in the mail's body, from 1; 0 where there is no mail


class Hunk(NamedTuple):
    """A hunk: `section` is what git prints behind the second @@, stripped, '' where it is absent."""

    old_start: int
    old_count: int
    new_start: int
    new_count: int
    section: str
    lines: tuple[Line, ...]
    message_line: int  # of the @@ line, from 1


class Change(StrEnum):
    """What a file diff does to its file."""

    MODIFIED = "modified"
    ADDED = "added"
    DELETED = "deleted"
    RENAMED = "renamed"
    COPIED = "copied"


class FileDiff(NamedTuple):
    """The changes to one file. Paths are names only: nothing here is ever opened."""

    old_path: str | None  # None for an added file
    new_path: str | None  # None for a deleted file
    change: Change
    hunks: tuple[Hunk, ...]
    binary: bool = False
    old_mode: str | None = None  # git's six octal digits; None where the diff does not say
    new_mode: str | None = None
    message_line: int = 0  # where the file's diff begins, from 1
    old_id: str | None = None  # blob ids of git's index line, mostly abbreviated; None where the diff has none,
    new_id: str | None = None  # or there is no file on that side

    @property
    def path(self) -> str:
        """The name after the patch, or before it for a deleted file."""
        return self.new_path or self.old_path or ""

    def removed(self) -> Iterator[str]:
        """The text of each line that it removes, in order."""
        return (line.text for hunk in self.hunks for line in hunk.lines if line.kind is LineKind.REMOVED)


class Facts(NamedTuple):
    """What a tree's headers say; read where a tree is given, instead of what is known of its kernel version.

    `names` are the functions and macros that include/linux/{mm,mmap_lock,pagemap,rmap,...}.h and mm/internal.h declare
    (`tree.FACT_FILES`); `foll` is the bit of each FOLL_ flag; `internal` are those that mm/internal.h defines.
    """

    names: frozenset[str]
    foll: Mapping[str, int]
    internal: frozenset[str]


class Whole(NamedTuple):
    """A file before and after a patch, as a tree has it.

    `diff` is the patch's own with the line numbers at which it really applies. A text is None where there is no file.
    """

    diff: FileDiff
    before: str | None
    after: str | None


class Applied(NamedTuple):
    """A patch on top of its base and of the patches before it: the files that could be had, by index in its diffs."""

    files: Mapping[int, Whole]
    facts: Facts | None  # None where the tree has none of the headers
    # reads them, where that is dear and few rules ask; None where they are read
    later: Callable[[], Facts | None] | None = None


class Unreadable(NamedTuple):
    """A piece of a mail that should have been a diff and is none."""

    message_line: int  # from 1
    reason: str
    text: str  # the offending line, '' where there is none


class Address(NamedTuple):
    """A mail address; `name` is '' where the mail gives none."""

    name: str
    email: str

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>" if self.name else self.email


class Trailer(NamedTuple):
    """`Reviewed-by: A <a@b>` and its like, as written; `source` is the Message-ID it came in, or None."""

    name: str
    value: str
    source: str | None = None
    patch: int | None = None  # index of the patch that it was given to in a reply, 0: the cover letter; else None


class Mail(NamedTuple):
    """A mail as reviewbot reads it: decoded headers and the text that git would apply.

    Header values are unfolded and decoded; they may still hold control characters, which whoever
    prints or sends them must deal with (`output.text.clean`, `reply`).
    """

    message_id: str  # without angle brackets; '' where the mail has none (a file of git format-patch --stdout may)
    subject: str
    sender: Address  # From: header
    date: datetime | None  # always with a time zone; None where missing or impossible
    in_reply_to: str | None
    references: tuple[str, ...]  # oldest first, without brackets
    reply_to: Sequence[Address]
    to: Sequence[Address]
    cc: Sequence[Address]
    list_id: str | None
    auto_submitted: bool
    body: tuple[str, ...]  # decoded lines, without line ends; line n of the message is body[n - 1]
    origin: str = ""  # what to call it in messages: a file name, or '' for the Message-ID
    charset: str = "utf-8"  # what the body was decoded from, for who wants its bytes: files of a tree are bytes
    original_from: Address | None = None  # X-Original-From:, where a list or relay has put itself into From:

    @property
    def name(self) -> str:
        """How to name this mail to a person: `<message-id>`, or the file it came from."""
        return f"<{self.message_id}>" if self.message_id else self.origin or "(mail without Message-ID)"


class Subject(NamedTuple):
    """A Subject: header taken apart. Numbers are None where the subject does not give them."""

    full: str  # exactly as decoded
    title: str  # without Re: and [..] prefixes
    reply: bool
    patch: bool  # has a [PATCH] prefix, or [RFC] alone
    prefixes: tuple[str, ...]  # what else stands in the brackets: RFC, RESEND, net-next, 5.4
    revision: int | None  # vN; None where not given (which means 1)
    counter: int | None  # n of n/m; 0 is a cover letter
    expected: int | None  # m of n/m


class Patch(NamedTuple):
    """One mail that is one commit to be."""

    index: int  # type: ignore[assignment]  # place in the series, from 1 (hides tuple.index)
    mail: Mail
    subject: Subject
    author: Address  # the in-body From: where there is one, else the sender
    message: str  # the commit message, without trailers' evaluation, up to the --- line
    notes: str  # between --- and the diff
    trailers: tuple[Trailer, ...]
    files: tuple[FileDiff, ...]
    unreadable: tuple[Unreadable, ...]
    commit: str | None = None  # full hash, where the patch was read from a commit and not from a mail

    @property
    def reply(self) -> bool:
        """A diff inside a reply ("something like this?"): a draft, not a submission."""
        return self.subject.reply


class CoverLetter(NamedTuple):
    """The 0/N mail. `text` is its body without signature."""

    mail: Mail
    subject: Subject
    author: Address
    text: str


class BaseHow(StrEnum):
    """How the base was chosen, most trustworthy first. The value is what is printed."""

    DECLARED = "declared"  # base-commit: in the cover letter or a patch
    BLOBS = "blobs"  # the commit of a tree that has the blob ids of the patches' index lines
    COMMITS = "commits"  # the patches are commits: what comes before the first
    HEAD = "head"  # of a tree, where the series applies to it
    PREFIX = "prefix"  # [PATCH 5.4], stable-5.4, 5.4.y, AUTOSEL
    TREE = "tree"  # a version: as the Makefile of the commit says
    DATE = "date"  # the mail's date: the newest kernel whose merge window had closed
    UNKNOWN = "unknown"


class Base(NamedTuple):
    """What the series applies to, as far as known."""

    commit: str | None  # full or abbreviated hash as declared, the full one where a tree has it; None where not known
    version: tuple[int, int] | None  # kernel version whose rules hold, (6, 12); None where unknown
    how: BaseHow
    version_from: BaseHow | None = None  # where that is not what the commit is from; None without a tree

    def __str__(self) -> str:
        version = ".".join(map(str, self.version)) if self.version else "unknown version"
        commit = f"commit {self.commit[:12]}, " if self.commit else ""
        return f"{commit}v{version}" if self.version else f"{commit}{version}"

    @property
    def version_how(self) -> BaseHow:
        """What tells the version: a commit alone tells none."""
        if self.version_from:
            return self.version_from
        return BaseHow.DATE if self.how is BaseHow.DECLARED and self.version else self.how


class Series(NamedTuple):
    """The patches of one posting; a single patch is a series of one."""

    subject: str  # of the cover letter, else of the first patch; decoded
    revision: int  # 1 where the subject does not say
    expected: int  # how many patches the posting says it has
    cover: CoverLetter | None
    patches: tuple[Patch, ...]  # those that are there, by index
    base: Base
    change_id: str | None = None
    newest: int | None = None  # the newest revision known of; None where not looked for
    partial_reroll: bool = False  # some patches of this revision were taken from the one before
    followups: tuple[Trailer, ...] = ()  # trailers that people gave in replies
    prerequisites: tuple[str, ...] = ()  # patch ids that the series says come between its base and itself
    warnings: tuple[str, ...] = ()  # what a person should know of how the series was put together

    @property
    def missing(self) -> tuple[int, ...]:
        """Numbers of the patches that are not there."""
        present = {patch.index for patch in self.patches}
        return tuple(n for n in range(1, self.expected + 1) if n not in present)

    @property
    def complete(self) -> bool:
        """No patch is missing."""
        return not self.missing

    @property
    def message_id(self) -> str:
        """Of the cover letter, else of the first patch; '' where there is none."""
        if self.cover:
            return self.cover.mail.message_id
        return self.patches[0].mail.message_id if self.patches else ""


class SpanKind(StrEnum):
    """Where a span lies. The value is printed in JSON."""

    SOURCE = "source"  # a line of the post-image
    REMOVED = "removed"  # a line that the patch removes: numbers are the pre-image's
    MESSAGE = "message"  # a line of the mail's body
    HEADER = "header"  # a header of the mail: `path` is its name, the numbers are 1


class Span(NamedTuple):
    """A stretch of text. Lines and columns count from 1, the end is exclusive; columns count characters."""

    kind: SpanKind
    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    text: str  # the whole first line that the span lies on
    message_line: int = 0  # the same line in the mail's body, from 1; 0 where it is known from the tree alone


class ReviewbotError(Exception):
    """Something a person should be told in one line, as git words it; `exit_code` is the process's."""

    exit_code = 2


class InputError(ReviewbotError):
    """What was named cannot be read or is not what it should be."""


class NotFoundError(InputError):
    """The Message-ID, file or rule asked for does not exist."""


class ConfigError(ReviewbotError):
    """The configuration is wrong."""


class TemporaryError(ReviewbotError):
    """The network or a server: trying again later may help."""

    exit_code = 75
