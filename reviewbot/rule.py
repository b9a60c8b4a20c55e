# SPDX-License-Identifier: GPL-2.0-or-later
"""What a rule is: Rule, Scope, what it yields, and the decorators that make a rule of a function.

Belongs here: what a rule declares of itself. What every rule would otherwise have to do (base gate,
scope, moves, causation) is the engine's. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from reviewbot.base import parse_version
from reviewbot.c.code import Code, Place
from reviewbot.model import Confidence, Patch, Severity, Span

if TYPE_CHECKING:
    from reviewbot.dossier import Dossier


class Scope(NamedTuple):
    """Which files a rule looks at: `include` and `exclude` are path prefixes or whole paths, `suffixes` file endings.

    The defaults leave out what is not kernel code: documentation, tools, scripts, samples.
    """

    include: tuple[str, ...] = ()  # empty: every file
    exclude: tuple[str, ...] = ("Documentation/", "tools/", "scripts/", "samples/")
    suffixes: tuple[str, ...] = (".c", ".h")

    def covers(self, path: str) -> bool:
        """The rule looks at this file."""
        return (
            path.endswith(self.suffixes)
            and not path.startswith(self.exclude)
            and (not self.include or path.startswith(self.include))
        )


KERNEL = Scope()


class Report(NamedTuple):
    """What a rule yields: the tokens (or comment) it is about, and one phrase that names the function.

    `related` are further places that make it true; together with `at` they are the evidence that must hold a
    line of the patch. `suggestion` is what the line at `at` should read instead. `severity` overrides the rule's.
    """

    at: Sequence[Place]
    message: str
    related: tuple[tuple[Sequence[Place], str], ...] = ()
    evidence: Sequence[Place] = ()  # further places that count for causation alone
    suggestion: str | None = None
    severity: Severity | None = None
    identity: Sequence[Place] = ()  # what makes it the same report before and after a patch, where that is not `at`


class SeriesReport(NamedTuple):
    """What a rule over a series yields: where it is to be said, and one phrase.

    `patch` is the mail to answer; the cover letter is patch 0 (`dossier.cover_patch`). `notes` are lines to be printed
    below it, such as where the remark is that nobody took up. `identity` makes it the same finding in the next
    revision; where it is empty, the text at `span` does.
    """

    patch: Patch
    span: Span
    message: str
    related: tuple[tuple[Span, str], ...] = ()  # of the same patch
    notes: tuple[str, ...] = ()
    suggestion: str | None = None
    severity: Severity | None = None
    identity: tuple[str, ...] = ()


class Over(StrEnum):
    """What a rule is shown."""

    CODE = "code"  # a file of a patch, before and after it
    SERIES = "series"  # all patches, and what is known of them: earlier revisions, answers, a tree, other series


Check = Callable[[Code], Iterable[Report]]
SeriesCheck = Callable[["Dossier"], Iterable[SeriesReport]]


class Rule(NamedTuple):
    """A rule. Its name comes from its file's place (`registry`), so that it cannot misname itself."""

    name: str  # lock-drop/stale-vma
    id: str  # DR06
    severity: Severity
    confidence: Confidence
    since: tuple[int, int] | None  # the first kernel in which it holds; None: always did
    until: tuple[int, int] | None  # the first kernel in which it holds no more; None: still does
    scope: Scope
    words: tuple[str, ...]  # not run on a file diff that contains none of these
    style: bool  # about a line as such: a line that the series only moves is not reported
    needs: str  # "diff", "file" or "tree"; of a rule over a series one of dossier.Needs
    yields_to: tuple[str, ...]  # not shown on a line of which one of these rules speaks
    build: bool  # what it finds does not build on a kernel that it holds for: one comment a series will do
    summary: str
    check: Callable[[Any], Iterable[Any]]  # Check or SeriesCheck, as `over` says
    fix: bool = False  # its suggestions are safe: they change nothing but what they say
    over: Over = Over.CODE
    rerolls: bool = False  # over a series: only where it is not the first revision

    def holds_for(self, version: tuple[int, int] | None) -> bool:
        """The base gate; an unknown version is taken for a current one."""
        if version is None:
            return self.until is None
        return (self.since is None or version >= self.since) and (self.until is None or version < self.until)


def code_rule(
    severity: Severity,
    *,
    id: str,  # noqa: A002 - the rule book's word
    words: Sequence[str],
    since: str | None = None,
    until: str | None = None,
    scope: Scope = KERNEL,
    style: bool = False,
    needs: str = "diff",
    confidence: Confidence = Confidence.LOW,
    yields_to: Sequence[str] = (),
    build: bool = False,
    fix: bool = False,
) -> Callable[[Check], Rule]:
    """Make a rule of a function from Code to Reports.

    `since` and `until` are kernel versions ("v5.8"); `words` must be such that every report needs one of them in
    the file diff. Raises ValueError for a version that is none.
    """

    if isinstance(words, str):
        raise TypeError("words must be a list of words, not one string")

    def make(check: Check) -> Rule:
        name, summary = _declared(check)
        return Rule(
            name=name,
            id=id,
            severity=severity,
            confidence=confidence,
            since=parse_version(since) if since else None,
            until=parse_version(until) if until else None,
            scope=scope,
            words=tuple(words),
            style=style,
            needs=needs,
            yields_to=tuple(yields_to),
            build=build,
            summary=summary,
            check=check,
            fix=fix,
        )

    return make


def series_rule(
    severity: Severity,
    *,
    id: str,  # noqa: A002 - the rule book's word
    words: Sequence[str] = (),
    needs: str = "series",
    rerolls: bool = False,
    since: str | None = None,
    until: str | None = None,
    confidence: Confidence = Confidence.LOW,
    yields_to: Sequence[str] = (),
) -> Callable[[SeriesCheck], Rule]:
    """Make a rule of a function from Dossier to SeriesReports.

    `words`, where there are any, must be such that every report needs one of them in a mail of the posting: its
    subject, message or diff. `needs` is one of dossier.Needs; a rule is not run where the dossier lacks it. `rerolls`
    keeps it from first revisions. Raises ValueError for a version that is none.
    """

    def make(check: SeriesCheck) -> Rule:
        name, summary = _declared(check)
        return Rule(
            name=name,
            id=id,
            severity=severity,
            confidence=confidence,
            since=parse_version(since) if since else None,
            until=parse_version(until) if until else None,
            scope=KERNEL,
            words=tuple(words),
            style=False,
            needs=needs,
            yields_to=tuple(yields_to),
            build=False,
            summary=summary,
            check=check,
            over=Over.SERIES,
            rerolls=rerolls,
        )

    return make


def _declared(check: Callable[..., object]) -> tuple[str, str]:
    """Name and summary of a rule: its file's place and docstring."""
    family, stem = check.__module__.split(".")[-2:]
    doc = str(getattr(check, "__globals__", {}).get("__doc__") or "")
    return f"{family}/{stem}".replace("_", "-"), doc.strip().split("\n")[0].rstrip(".")
