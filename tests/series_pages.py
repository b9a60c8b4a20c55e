# SPDX-License-Identifier: GPL-2.0-or-later
"""The ```series blocks of a page of a rule over a series: which mails, files and branches they stand for.

Belongs here: the blocks' notation, and that they go the whole way: mails through an archive, files through git. A
block is sections, each below a line `=== ...`:

    === [PATCH v2 1/2] mm: teach the walk about ranges      a mail; its author is Ada, who is reviewed
    === [PATCH] mm: something else | Oto Other              one of somebody else
    === Re: [PATCH 1/2] mm: teach the walk | Rex Reader     an answer to the mail of that subject
    === Re: [PATCH 1/2] mm: teach the walk | Ada Ranger < Rex Reader    an answer to Rex's answer
    === file mm/walk.c                                      a file of the tree, before the series
    === branch mm-unstable mm/walk.c | mm: move the walk    the file as a commit of that title leaves it on a branch

`(deleted)` behind such a file takes it away; sections of one branch and title that follow one another are one commit.
A mail's text is as git format-patch writes it, up to the diff: `--- mm/walk.c` (or `--- mm/walk.c (new)`, `(deleted)`,
`--- mm/old.c -> mm/new.c`) begins a file, `@@ heading` a hunk; the numbers are made. Ada's newest revision is the one
under review. `// note` (error, warning, info) ends a line that a finding must stand on, also that of a subject; words
behind it, `// note: unchanged in v2`, must be in its message. Does not belong here: what a page must hold
(test_pages.py).
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from reviewbot.engine import review
from reviewbot.finding import Finding, Review
from reviewbot.model import Severity, SpanKind
from reviewbot.rule import Rule

AUTHOR = "Ada Ranger"
START = datetime(2024, 11, 20, 10, 0, tzinfo=UTC)
_FENCE = re.compile(r"```series\b(.*)$")
_MARK = re.compile(r"[ \t]*// (error|warning|note|info)(?:: (.+))?$")
_FILE = re.compile(r"--- (\S+?)(?: -> (\S+)| \((new|deleted)\))?$")
_SUBJECT = re.compile(r"(Re: )?(?:\[([^\]]*)\] )?(.*)")


@dataclass(slots=True)
class Mark:
    """What must be found on a line of a mail."""

    severity: Severity
    words: str
    line: int  # of the body, from 1; 0: the subject


@dataclass(slots=True)
class Section:
    """What stands below a `===` line."""

    title: str  # without the name behind the bar
    by: str
    lines: list[str]
    marks: list[Mark] = field(default_factory=list)
    words: tuple[str, ...] = ()  # of a section that is no mail: "file", "branch" and what follows
    to: str = ""  # whose answer it answers

    @property
    def subject(self) -> tuple[str, int, int | None]:
        """(title, revision, number) of a mail; the number is None where it has none."""
        match = _SUBJECT.fullmatch(self.title)
        assert match
        brackets = match[2] or ""
        revision = re.search(r"\bv(\d+)", brackets)
        number = re.search(r"(\d+)/\d+", brackets)
        return match[3], int(revision[1]) if revision else 1, int(number[1]) if number else None


@dataclass(slots=True)
class SeriesBlock:
    """One ```series block."""

    page: str
    number: int  # line of the page on which it begins, from 1
    sections: list[Section]

    def __str__(self) -> str:
        return f"{self.page}:{self.number}"

    @property
    def marked(self) -> bool:
        """Something must be found in it."""
        return any(section.marks for section in self.sections)


def series_blocks(page: str, text: str) -> list[SeriesBlock]:
    """The blocks of a page, in order."""
    found: list[SeriesBlock] = []
    inside = False
    for number, line in enumerate(text.split("\n"), 1):
        if not inside and _FENCE.match(line):
            found.append(SeriesBlock(page, number, []))
            inside = True
        elif inside and line == "```":
            inside = False
        elif inside:
            _take(found[-1].sections, line)
    return found


def _take(sections: list[Section], line: str) -> None:
    mark = _MARK.search(line)
    text = line[: mark.start()] if mark else line
    if text.startswith("=== "):
        title, _, by = text[4:].partition(" | ")
        words = tuple(title.split()) if title.startswith(("file ", "branch ")) else ()
        by, _, to = by.partition(" < ")
        sections.append(Section(title, by or AUTHOR, [], words=words, to=to))
    else:
        sections[-1].lines.append(text)
    if mark:
        at = 0 if text.startswith("=== ") else len(sections[-1].lines)
        sections[-1].marks.append(Mark(Severity(mark[1]), mark[2] or "", at))


# -- mails ----------------------------------------------------------------------------------------------------------


def _address(name: str) -> str:
    return f"{name} <{name.split(maxsplit=1)[0].lower()}@example.org>"


def _message_id(section: Section) -> str:
    title, revision, number = section.subject
    reply = "re-" if section.title.startswith("Re: ") else ""
    slug = re.sub(r"\W+", "-", title).strip("-").lower()[:40]
    people = ".".join(name.split()[0].lower() for name in (section.by, section.to) if name)
    return f"{reply}v{revision}-{number or 0}-{slug}.{people}@example.org"


@dataclass(slots=True)
class _Mails:
    """The mails of a block as bytes, and where each line of a section has gone."""

    raws: list[bytes] = field(default_factory=list)
    lines: dict[int, dict[int, int]] = field(default_factory=dict)  # section -> line of it -> line of the body


def _mails(block: SeriesBlock) -> _Mails:
    made = _Mails()
    files = {section.words[1]: list(section.lines) for section in block.sections if section.words[:1] == ("file",)}
    state: dict[tuple[str, int], dict[str, list[str]]] = {}  # by (author, revision): files behind the patches so far
    for n, section in enumerate(block.sections):
        if section.words:
            continue
        _, revision, number = section.subject
        mine = state.setdefault((section.by, revision), {path: list(lines) for path, lines in files.items()})
        body, where = _body(section, mine)
        made.lines[n] = where
        reply = section.title.startswith("Re: ")
        when = START + timedelta(days=7 * revision + reply, minutes=(number or n) if not reply else n)
        headers = [
            f"From: {_address(section.by)}",
            f"Subject: {section.title}",
            f"Date: {format_datetime(when)}",
            f"Message-ID: <{_message_id(section)}>",
            "To: linux-mm@example.org",
        ]
        if parent := _parent(block, section):
            headers.append(f"In-Reply-To: <{parent}>\nReferences: <{parent}>")
        made.raws.append(("\n".join(headers) + "\n\n" + "\n".join(body) + "\n").encode())
    return made


def _parent(block: SeriesBlock, section: Section) -> str | None:
    """What a mail answers: by its subject, or the first mail of its posting."""
    for other in block.sections:
        if other is section:
            return None
        if other.words:
            continue
        if section.to:
            if (other.title, other.by) == (section.title, section.to):
                return _message_id(other)
        elif section.title.startswith("Re: "):
            if other.title == section.title.removeprefix("Re: "):
                return _message_id(other)
        elif (other.by, other.subject[1]) == (section.by, section.subject[1]) and not other.title.startswith("Re: "):
            return _message_id(other) if section.subject[2] else None
    return None


def _body(section: Section, files: dict[str, list[str]]) -> tuple[list[str], dict[int, int]]:
    """The lines of a mail, and which of them each line of the section has become."""
    body: list[str] = []
    where: dict[int, int] = {}
    lines = section.lines
    start = next((n for n, line in enumerate(lines) if _FILE.fullmatch(line)), len(lines))
    if section.title.startswith("Re: "):
        start = len(lines)  # what a reply quotes is no diff
    for n, line in enumerate(lines[:start], 1):
        body.append(line)
        where[n] = len(body)
    if start < len(lines) and "---" not in body:
        body.append("---")
    n = start
    while n < len(lines):
        match = _FILE.fullmatch(lines[n])
        assert match, f"'{lines[n]}' begins no file"
        end = next((m for m in range(n + 1, len(lines)) if _FILE.fullmatch(lines[m])), len(lines))
        _file(match, lines[n + 1 : end], n + 2, files, body, where)
        n = end
    if start < len(lines):
        body += ["-- ", "2.39.5"]
    return body, where


def _file(
    match: re.Match[str], lines: Sequence[str], first: int, files: dict[str, list[str]], body: list[str],
    where: dict[int, int],
) -> None:  # fmt: skip
    old, new, kind = match[1], match[2] or match[1], match[3]
    body.append(f"diff --git a/{old} b/{new}")
    if kind == "new":
        body.append("new file mode 100644")
    if kind == "deleted":
        body.append("deleted file mode 100644")
    if old != new:
        body += ["similarity index 90%", f"rename from {old}", f"rename to {new}"]
        files[new] = files.pop(old, [])
    if not lines:
        return
    body.append("--- /dev/null" if kind == "new" else f"--- a/{old}")
    body.append("+++ /dev/null" if kind == "deleted" else f"+++ b/{new}")
    state = files.setdefault(new, [])
    hunks: list[tuple[str, list[tuple[int, str]]]] = []
    for number, line in enumerate(lines, first):
        if line.startswith("@@"):
            hunks.append((line[2:].strip(), []))
            continue
        if not hunks:
            hunks.append(("", []))
        hunks[-1][1].append((number, line or " "))
    shift = 0
    for count, (heading, rows) in enumerate(hunks):
        before = [line[1:] for _, line in rows if line[0] in " -"]
        after = [line[1:] for _, line in rows if line[0] in " +"]
        at = next((m for m in range(len(state)) if state[m : m + len(before)] == before), None) if before else 0
        if at is None:
            at = 9 + 100 * count + shift
        else:
            state[at : at + len(before)] = after
        a, b = (0 if kind == "new" else at + 1 - shift), (0 if kind == "deleted" else at + 1)
        body.append(f"@@ -{a},{len(before)} +{b},{len(after)} @@ {heading}".rstrip())
        shift += len(after) - len(before)
        for number, line in rows:
            body.append(line)
            where[number] = len(body)


# -- files ----------------------------------------------------------------------------------------------------------


def _git(top: Path, *words: str) -> None:
    who = ("-c", "user.name=Ada Ranger", "-c", "user.email=ada@example.org", "-c", "commit.gpgSign=false")
    env = {"PATH": "/usr/bin:/bin", "HOME": str(top), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *who, "-C", str(top), *words], check=True, env=env, capture_output=True)


def _repository(block: SeriesBlock, top: Path) -> list[str]:
    """Make the tree and the branches of a block; the branches' names."""
    _git(top, "init", "-q", "--initial-branch=master")
    _write(top, "Makefile", ["VERSION = 6", "PATCHLEVEL = 12"])
    for section in block.sections:
        if section.words[:1] == ("file",):
            _write(top, section.words[1], section.lines)
    _git(top, "add", "-A")
    _git(top, "commit", "-q", "-m", "the base")
    branches: list[str] = []
    last = "", ""
    for section in block.sections:
        if section.words[:1] == ("branch",):
            name = section.words[1]
            if name not in branches:
                branches.append(name)
                _git(top, "branch", "-q", name, "master")
            _git(top, "checkout", "-q", name)
            if section.words[3:] == ("(deleted)",):
                (top / section.words[2]).unlink()
            else:
                _write(top, section.words[2], section.lines)
            _git(top, "add", "-A")
            if last == (name, section.by):
                _git(top, "commit", "-q", "--amend", "--no-edit")
            else:
                _git(top, "commit", "-q", "-m", section.by)
            last = name, section.by
    _git(top, "checkout", "-q", "master")
    return branches


def _write(top: Path, path: str, lines: Sequence[str]) -> None:
    file = top / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


# -- what is found --------------------------------------------------------------------------------------------------


def run_block(rules: Sequence[Rule], block: SeriesBlock) -> Review:
    """The review of Ada's newest revision, with everything that the block has around it."""
    from reviewbot.gather import Around, gather
    from reviewbot.revisions import find_series
    from reviewbot.source.mbox import MboxSource
    from reviewbot.tree import Tree

    made = _mails(block)
    own = [s for s in block.sections if not s.words and s.by == AUTHOR and not s.title.startswith("Re: ")]
    newest = max(section.subject[1] for section in own)
    target = _message_id(next(section for section in own if section.subject[1] == newest))
    with ExitStack() as stack:
        top = Path(stack.enter_context(TemporaryDirectory(prefix="series-page-")))
        mbox = top / "mails.mbox"
        mbox.write_bytes(b"".join(b"From mboxrd@z Thu Jan  1 00:00:00 1970\n" + raw + b"\n" for raw in made.raws))
        source = MboxSource(mbox)
        raws = source.thread(target)
        series = find_series(source, raws, target).series
        around = Around(source=source, raws=raws, mails=made.raws)
        files = None
        if any(section.words for section in block.sections):
            repository = top / "tree"
            repository.mkdir()
            branches = _repository(block, repository)
            tree = stack.enter_context(Tree.open(str(repository)))
            found = tree.find_base(series)
            assert found.commit, found.notes
            series = series._replace(base=found.base)
            files = tree.files(found.commit)
            around = around._replace(tree=tree, commit=found.commit, files=files, branches=tuple(branches))
        return review(series, rules, None, files, None, gather(series, around))


def series_differences(rule: Rule, block: SeriesBlock) -> list[str]:
    """What is found and not marked, and what is marked and not found; each a sentence."""
    reviewed = run_block([rule], block)
    said = [f"the rule failed: {fault.message}" for fault in reviewed.errors]
    made = _mails(block)
    wanted: dict[tuple[str, int], list[Mark]] = {}
    for n, section in enumerate(block.sections):
        for mark in section.marks:
            line = made.lines[n][mark.line] if mark.line else 0
            wanted.setdefault((_message_id(section), line), []).append(mark)
    for finding in reviewed.findings:
        at = (finding.patch.mail.message_id, _line(finding))
        fitting = [m for m in wanted.get(at, []) if m.severity is finding.severity and m.words in finding.message]
        if fitting:
            wanted[at].remove(fitting[0])
        else:
            said.append(f"not marked: {finding.severity} on {at[0]} line {at[1]}: {finding.message}")
    said += [
        f"not found: {mark.severity} on {name} line {line} {mark.words}"
        for (name, line), marks in wanted.items()
        for mark in marks
    ]
    return said


def _line(finding: Finding) -> int:
    return 0 if finding.span.kind is SpanKind.HEADER else finding.span.message_line
