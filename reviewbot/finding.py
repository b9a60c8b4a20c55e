# SPDX-License-Identifier: GPL-2.0-or-later
"""What a review says: findings, what was not run, what could not be read; and their order.

Belongs here: the values between the engine and everything that shows or sends. Does not belong
here: who sees what (`selection`), how it looks (`output/`, `reply`). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from reviewbot.dossier import Standing
from reviewbot.model import Confidence, Mail, Patch, Series, Severity, Span


class Fold(StrEnum):
    """How far findings that say the same are one comment with several places."""

    PATCH = "patch"
    SERIES = "series"
    BUILD = "build"  # whatever they say: none of it builds on the kernel at hand


class Finding(NamedTuple):
    """A report together with its rule, its patch and its fingerprint: what people see."""

    rule: str  # lock-drop/stale-vma
    severity: Severity
    confidence: Confidence
    message: str  # one phrase, present tense
    span: Span
    related: tuple[tuple[Span, str], ...]  # further places, each with what is to be seen there
    places: tuple[Span, ...]  # where else in the series the same rule finds the same kind of line
    suggestion: str | None  # the line(s) to put in the span's line's place; None where no safe cure is known
    patch: Patch  # the patch that brought it about
    function: str | None
    fingerprint: str
    rule_id: str = ""  # DR06
    yields_to: tuple[str, ...] = ()  # rules whose findings on the same line say it already
    fold: Fold = Fold.PATCH
    preexisting: bool = False  # was there before the patch: never shown by default, never mailed
    shown: bool = True
    why_not_shown: str | None = None  # None while shown
    fixable: bool = False  # the suggestion says the same in every case: it may be applied without a person's look
    notes: tuple[str, ...] = ()  # lines to be printed below it: whose remark it is, and where that can be read
    resolved_by: int | None = None  # index of the later patch of the series behind which it is gone; None: it stays


# What stands for a rule in a NotRun: why a tree is not used, and a file that is not known from it.
NO_TREE = "reviewbot/no-tree"
NOT_APPLIED = "reviewbot/does-not-apply"
TOO_LARGE = "reviewbot/too-large"  # a part of a patch was not read


class NotRun(NamedTuple):
    """A rule that could not be decided from what is there."""

    rule: str
    why: str  # "needs --tree"


class Fault(NamedTuple):
    """What could not be reviewed: a diff that cannot be read, a rule that raised. Counts as an error."""

    mail: Mail
    patch: int | None  # index in the series; None where it is not one patch's
    message_line: int  # in the mail's body, from 1; 0 where no line is to blame
    message: str
    text: str  # the line, '' where there is none
    rule: str | None = None  # the rule that raised; None for a diff that cannot be read


class Silence(NamedTuple):
    """A patch with findings of which the bot would say nothing."""

    patch: int
    why: str


class Forecast(NamedTuple):
    """What the bot would send if the patches were posted."""

    mails: int
    findings: int  # in them
    silent: tuple[Silence, ...]
    lists: tuple[str, ...]  # configured lists that they would go to; (): as [policy] has it
    verdict: str | None  # why nothing at all would be sent, whatever is found; None where it depends on the findings


class Review(NamedTuple):
    """All that a series gave: every finding, shown or not, in order."""

    series: Series
    findings: tuple[Finding, ...]
    not_run: tuple[NotRun, ...] = ()
    errors: tuple[Fault, ...] = ()
    rules: int = 0  # how many rules were looked at
    only: tuple[int, ...] = ()  # the numbers of the patches that were looked at; () for all
    forecast: Forecast | None = None  # None where nobody asked
    branches: tuple[Standing, ...] = ()  # how the series stands on those that it was tried on

    @property
    def patches(self) -> tuple[Patch, ...]:
        """The patches that were looked at."""
        return tuple(patch for patch in self.series.patches if not self.only or patch.index in self.only)

    @property
    def shown(self) -> tuple[Finding, ...]:
        """The findings that selection lets through."""
        return tuple(finding for finding in self.findings if finding.shown)

    def worst(self) -> Severity | None:
        """The highest severity among what is shown; a fault counts as an error; None where there is nothing."""
        if self.errors:
            return Severity.ERROR
        return min((f.severity for f in self.shown), key=lambda s: s.rank, default=None)


def fingerprint(rule: str, path: str, function: str | None, tokens: Iterable[str], occurrence: int) -> str:
    """Sixteen hex digits that survive a reroll: no line number, no white space goes in.

    `occurrence` counts equal findings of one function, from 0.
    """
    import hashlib  # openssl behind it takes 2 ms to load: only where there is a finding

    text = "\0".join((rule, path, function or "", " ".join(tokens), str(occurrence)))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def order(finding: Finding) -> tuple[int, int, int, str]:
    """Sort key: by patch, then as the mail reads."""
    return finding.patch.index, finding.span.message_line, finding.span.column, finding.rule
