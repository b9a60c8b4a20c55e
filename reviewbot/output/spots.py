# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a program should put a finding: a file of the tree as the whole series leaves it.

Belongs here: what the formats for code hosts share. They show one tree, the last patch's, where a
finding has the lines of its own patch; and each of them wants a file, where a finding may lie in a
mail. Does not belong here: how a format writes it down. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from reviewbot.finding import Fault, Finding, Review
from reviewbot.model import Change, FileDiff, Line, Mail, Patch, Span, SpanKind
from reviewbot.output.text import Screen, clean, fault_place, place, rule_failed, sentence
from reviewbot.selection import folded

# Characters of a message: no rule writes longer ones, a foreign tool might.
LONGEST = 2_000
# Further places told with one finding: code hosts refuse hundreds, and nobody reads them.
MOST_RELATED = 20


class Spot(NamedTuple):
    """A place in the tree that the series makes."""

    path: str  # relative to the tree's top, never above it
    span: Span | None  # None: the file as such, because the finding lies on no line that is still there


class Spots:
    """Finds the spots of one review."""

    def __init__(self, review: Review) -> None:
        self._findings = review.findings
        self._patches = {patch.index: patch for patch in review.series.patches}
        # by the name before; without context, lines put in at a file's top look like a new file (`diff`)
        self._changes = {
            index: {file.old_path or file.path: file for file in patch.files if file.change is not Change.COPIED}
            for index, patch in sorted(self._patches.items())
        }

    def of(self, finding: Finding) -> Spot:
        """The finding's own."""
        return self.at(finding.span, finding.patch)

    def at(self, span: Span, patch: Patch) -> Spot:
        """That of a span of a patch.

        What a patch removes is shown at the line that follows it; what is said of a mail's text or headers, at the
        first file of the patch.
        """
        if span.kind in (SpanKind.MESSAGE, SpanKind.HEADER):
            return Spot(_first(patch, patch.mail), None)
        found: Span | None = span
        if span.kind is SpanKind.REMOVED:
            found = _neighbour(span, patch)
        path, line = self._now(span.path, found.line if found else None, patch.index)
        if found is None or line is None:
            return Spot(inside(path) or _first(patch, patch.mail), None)
        moved = line - found.line
        return Spot(
            inside(path) or _first(patch, patch.mail),
            found._replace(line=line, end_line=max(line, found.end_line + moved)),
        )

    def further(self, finding: Finding) -> Iterator[tuple[Spot, str]]:
        """Those of its related places and of where else the same is found, with what is to be seen there."""
        patches = {other.span: other.patch for other in folded(finding, self._findings)}
        places = [(span, "also here", patches.get(span, finding.patch)) for span in finding.places]
        related = [(span, shortened(clean(remark)), finding.patch) for span, remark in finding.related]
        for span, remark, patch in (related + places)[:MOST_RELATED]:
            yield self.at(span, patch), remark

    def of_fault(self, fault: Fault) -> Spot:
        """The first file of the patch that could not be reviewed."""
        return Spot(_first(self._patches.get(fault.patch or 0), fault.mail), None)

    def _now(self, path: str, line: int | None, index: int) -> tuple[str, int | None]:
        """A line after patch `index`, as the patches after it leave it; None where one of them removes it."""
        for later, files in self._changes.items():
            if later > index and (file := files.get(path)):
                path = file.new_path or path
                line = None if line is None or file.new_path is None else _shifted(file, line)
        return path, line


def _shifted(file: FileDiff, line: int) -> int | None:
    """The number after a diff of the line that has this number before it; None where the diff removes it."""
    shift = 0
    for hunk in file.hunks:
        # an insertion's hunk without context names the line that it follows
        first = hunk.old_start + (not hunk.old_count)
        if line < first:
            break
        if line < first + hunk.old_count:
            return next((entry.new for entry in hunk.lines if entry.old == line), None)
        shift += hunk.new_count - hunk.old_count
    return line + shift


def _neighbour(span: Span, patch: Patch) -> Span | None:
    """The line that stands in a removed one's place: the next of its hunk, else the one before."""
    for file in patch.files if span.message_line else ():
        for hunk in file.hunks:
            lines = hunk.lines
            at = next((n for n, line in enumerate(lines) if line.message_line == span.message_line), None)
            if at is None:
                continue
            near: Line | None = next((line for line in (*lines[at:], *lines[at::-1]) if line.new is not None), None)
            if near is None or near.new is None:
                return None
            # in a tree the hunk may lie elsewhere than the mail says
            number = max(1, near.new + span.line - (lines[at].old or span.line))
            return Span(SpanKind.SOURCE, span.path, number, 1, number, len(near.text) + 1, near.text)
    return None


def _first(patch: Patch | None, mail: Mail) -> str:
    """A file to name for what lies in no file: the first that the patch leaves in the tree, else the mail's name."""
    names = [file.new_path or "" for file in patch.files] if patch else []
    return next((path for name in names if (path := inside(name))), "") or inside(clean(mail.name)) or "patch"


def inside(path: str) -> str:
    """The path as one below the tree's top, whatever a stranger's diff says: no leading /, no `..`; '' for no path."""
    return "/".join(part for part in path.split("/") if part not in ("", ".", ".."))


def said(finding: Finding, spot: Spot) -> str:
    """The message, harmless on a terminal, with the place in front where the spot does not show it."""
    message = shortened(sentence(finding))
    return message if spot.span else f"{shortened(place(finding.span, finding.patch.mail))}: {message}"


def said_of_fault(fault: Fault) -> str:
    """What could not be reviewed, and where, harmless on a terminal."""
    what = fault.message if rule_failed(fault) else f"cannot read the diff: {fault.message}"
    return f"{shortened(fault_place(fault))}: {shortened(clean(what))}"


def fault_rule(fault: Fault) -> str:
    """The name that stands where a finding has its rule."""
    return "reviewbot/rule-failed" if rule_failed(fault) else "reviewbot/unreadable-diff"


def shortened(text: str) -> str:
    """Not more than LONGEST characters."""
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def page_url(screen: Screen, finding: Finding) -> str | None:
    """The address of its rule's page; None where the rules' pages have none, and for a foreign tool's finding."""
    if not screen.docs or not screen.docs.startswith(("http://", "https://")) or not finding.rule_id:
        return None
    return f"{screen.docs.rstrip('/')}/{quoted(finding.rule)}"


def quoted(path: str) -> str:
    """A path as a relative URI."""
    from urllib.parse import quote  # 5 ms, and only where there is something to link to

    return quote(path, errors="replace")
