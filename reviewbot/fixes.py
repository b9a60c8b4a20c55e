# SPDX-License-Identifier: GPL-2.0-or-later
"""Reviews -> the edits that their safe suggestions are, at their places behind the whole series.

Belongs here: which suggestions count, following a line through the later patches of its series, what two suggestions
for one line come to, and that the locking and the unlocking calls of a function are converted together or not at all.
Does not belong here: the text of a patch (`output.diff`), files (`commands.fixing`). Pure.

What is known of a file is what the hunks show, or all of it where its text is given.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from reviewbot.c.code import Call, Code, Fragment
from reviewbot.c.pattern import closing
from reviewbot.c.skeleton import TooMuchError
from reviewbot.c.tokens import Kind
from reviewbot.finding import Finding, Fold, Review, order
from reviewbot.kernel import (
    LONGEST_LINE,
    MMAP_LOCKS,
    MMAP_UNLOCKS,
    PAIRED,
    REPLACEMENTS,
    UNPAIRED,
    member_owner,
    mm_names,
    mm_of_lock,
    replacement,
)
from reviewbot.model import Change, FileDiff, Line, LineKind, Patch, Severity, SpanKind
from reviewbot.selection import FOLDED, LOW_CONFIDENCE, PREEXISTING, RESOLVED, SAID_BY, SEVERITY

_NOT_REVIEWED = "the line is not what was reviewed"

# A file of more lines is not changed: the largest that anybody edits by hand has a tenth of it.
MAX_LINES = 200_000

_API = frozenset((*MMAP_LOCKS, *MMAP_UNLOCKS, "mmap_write_downgrade", "mmap_write_trylock"))
# an mm's lock as an argument of these calls is neither taken nor handed on
_ASKING = frozenset(
    """
    rwsem_is_locked rwsem_is_contended init_rwsem lockdep_assert_held lockdep_assert_held_read lockdep_assert_held_write
    lockdep_assert_not_held lockdep_assert_held_once lockdep_is_held rwsem_assert_held rwsem_assert_held_write
    rwsem_assert_held_nolockdep rwsem_assert_held_write_nolockdep might_lock might_lock_read might_lock_nested
    """.split()
)
_MEMBERS = ("mmap_lock", "mmap_sem")
# what may be a macro or function of somebody's own that locks or unlocks, and what is known to lock something else
_LOCKING = re.compile(r"lock|LOCK|release|drop")
_OTHER = re.compile(
    r"(?:raw_|__)?(?:spin|mutex|rt_mutex|ww_mutex|rcu|srcu|seq|percpu|local|pte|pmd|pud|p4d|pgd|ptl|folio|page|vma|i_mmap"
    r"|anon_vma|hugetlb|lockdep|might|read|write|down|up|mmap|rwsem|init|trace)_",
)
# reasons not to show a finding that do not say that a person wants the line as it is
_NO_WISH = (None, FOLDED, PREEXISTING, SEVERITY, LOW_CONFIDENCE)
# what git's verify_path() refuses on every system: path.c, is_ntfs_dotgit(), is_hfs_dotgit()
_DOT_GIT = re.compile(r"(?:\.git|git~1)[ .]*(?::.*)?\Z", re.I | re.S)
# white space that moves nothing but what follows it; to Python no-break spaces do not print
_BLANKS = re.compile("[\t\f\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_IGNORABLE = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")


class Edit(NamedTuple):
    """One line that becomes others."""

    line: int  # number behind the series, from 1
    old: str  # the line as the review saw it, without its line feed
    new: tuple[str, ...]  # what takes its place
    findings: tuple[Finding, ...]  # what it cures; () for a call that is only converted with those it belongs to


class FileFix(NamedTuple):
    """The edits of one file, in order, and what is known of it behind the series."""

    path: str
    lines: Mapping[int, str]  # the known ones, by number
    last: int | None  # number of the last line; None where that is not known
    unended: bool  # the last line has no line feed
    edits: tuple[Edit, ...]


class Left(NamedTuple):
    """A suggestion that is not taken, and why."""

    finding: Finding
    path: str  # behind the series
    line: int  # behind the series; where the line is gone, of the finding's own patch
    why: str  # one phrase


class Plan(NamedTuple):
    """What is to be done, and what is not."""

    files: tuple[FileFix, ...]  # by path; those without edits are left out
    left: tuple[Left, ...]
    hidden: int  # safe suggestions of findings that only --strict shows

    @property
    def fixed(self) -> tuple[Finding, ...]:
        """The findings that the edits cure."""
        return tuple(finding for file in self.files for edit in file.edits for finding in edit.findings)


class _Cell:
    """A known line, and what is wanted of it. It stays the same while patches move it about."""

    __slots__ = ("bytes_known", "kept", "section", "text", "unended", "wants")

    def __init__(self, text: str) -> None:
        self.text = text
        self.section = ""  # git's hunk heading, where a hunk begins with it
        self.unended = False
        self.bytes_known = True  # the text tells the bytes
        self.kept: str | None = None  # why a person wants the line as it is
        self.wants: list[Finding] = []


class _File:
    """A file behind some of the patches."""

    __slots__ = ("cells", "last", "odd")

    def __init__(self, cells: dict[int, _Cell], last: int | None = None, odd: str = "") -> None:
        self.cells = cells
        self.last = last
        self.odd = odd  # why it is no file to edit: a symbolic link


class Followed(NamedTuple):
    """The files behind a series, with the suggestions at their lines."""

    files: Mapping[str, _File]
    lost: tuple[Left, ...]  # suggestions whose line is gone
    version: tuple[int, int] | None
    hidden: int

    @property
    def paths(self) -> tuple[str, ...]:
        """The files for which there is a suggestion."""
        return tuple(sorted(p for p, file in self.files.items() if any(cell.wants for cell in file.cells.values())))


def plan(review: Review) -> Plan:
    """What can be done knowing no more than the patches, such that a patch with context can be made of it."""
    return settle(follow(review))


def wanted(finding: Finding) -> bool:
    """A safe suggestion of what is shown, be it as a further place or by another rule's finding on the same line."""
    why = finding.why_not_shown
    said = finding.shown or why == FOLDED or (why or "").startswith(f"{SAID_BY} ")
    # the fix would be of that patch alone, and the later one would not apply to it
    resolved = finding.resolved_by is not None
    return finding.fixable and finding.suggestion is not None and said and not finding.preexisting and not resolved


def refuse_path(path: str) -> str | None:
    """Why git takes no patch to this path; None where it does."""
    parts = path.split("/")
    if not path or any(part in ("", ".", "..") for part in parts):
        return "its path leads nowhere inside of the tree"
    if any(_DOT_GIT.match(_IGNORABLE.sub("", part)) for part in parts):
        return "its path is git's own"
    if "\0" in path or "\ufffd" in path or any("\ud800" <= char <= "\udfff" for char in path):
        return "its name is not known byte for byte"
    return None


# -- following lines ----------------------------------------------------------------------------------------------


def follow(review: Review) -> Followed:
    """Take each safe suggestion from the patch that it is about to the state behind the whole series."""
    chosen = [finding for finding in review.findings if wanted(finding)]
    hidden = sum(
        finding.fixable and finding.why_not_shown == SEVERITY and not finding.preexisting for finding in review.findings
    )
    version = review.series.base.version
    lost: list[Left] = [
        Left(f, f.span.path, f.span.line, f"patch {f.resolved_by} resolves it: there is nothing to fix")
        for f in review.findings
        if f.resolved_by is not None and f.fixable and (f.shown or (f.why_not_shown or "").startswith(RESOLVED))
    ]
    if not chosen:
        return Followed({}, tuple(lost), version, hidden)
    by_patch: dict[int, list[Finding]] = {}
    for finding in review.findings:
        by_patch.setdefault(finding.patch.index, []).append(finding)
    paths = _names({finding.span.path for finding in chosen}, review.series.patches)
    files: dict[str, _File] = {}
    for patch in review.series.patches:
        at: dict[tuple[str, int], _Cell] = {}
        files = {**files, **_apply(patch, files, paths, at, lost)}
        files = {path: file for path, file in files.items() if path not in _gone(patch, paths)}
        for finding in by_patch.get(patch.index, ()):
            _attach(finding, files, at, lost)
    return Followed(files, tuple(lost), version, hidden)


def _names(paths: set[str], patches: Sequence[Patch]) -> set[str]:
    """The paths, and what the series calls these files before and after."""
    for backwards in (True, False):
        for patch in reversed(patches) if backwards else patches:
            for diff in patch.files:
                old, new = diff.old_path, diff.new_path
                if old and new and old != new and (new if backwards else old) in paths:
                    paths.update((old, new))
    return paths


def _gone(patch: Patch, paths: Collection[str]) -> set[str]:
    """What is no more behind a patch: deleted, or renamed and no other file in its place."""
    new = {diff.new_path for diff in patch.files}
    return {
        diff.old_path
        for diff in patch.files
        if diff.old_path in paths
        and diff.old_path
        and diff.old_path not in new
        and diff.change in (Change.DELETED, Change.RENAMED)
    }


def _apply(
    patch: Patch,
    files: Mapping[str, _File],
    paths: Collection[str],
    at: dict[tuple[str, int], _Cell],
    lost: list[Left],
) -> dict[str, _File]:
    """The files that a patch makes, all of them of what was there before it: two files may change names."""
    made: dict[str, _File] = {}
    for diff in patch.files:
        before = files.get(diff.old_path) if diff.old_path else None
        if diff.new_path is None:
            for cell in before.cells.values() if before else ():
                _lose(cell, patch, diff.path, "removes the file", lost)
        elif diff.new_path in paths:
            made[diff.new_path] = _behind(before, diff, patch, at, lost)
    return made


def _behind(
    before: _File | None, diff: FileDiff, patch: Patch, at: dict[tuple[str, int], _Cell], lost: list[Left]
) -> _File:
    path = diff.path
    old = before.cells if before else {}
    copied = diff.change is Change.COPIED  # the lines of the copy are others, the original keeps its suggestions
    numbers = sorted(old)
    cells: dict[int, _Cell] = {}
    next_, shift = 0, 0
    last: int | None = None
    for hunk in diff.hunks:
        first = hunk.old_start if hunk.old_count else hunk.old_start + 1
        while next_ < len(numbers) and numbers[next_] < first:
            cells[numbers[next_] + shift] = _copy(old[numbers[next_]]) if copied else old[numbers[next_]]
            next_ += 1
        for n, line in enumerate(hunk.lines):
            known = old.get(line.old) if line.old is not None else None
            if line.new is None:
                if known and not copied:
                    _lose(known, patch, path, "changes or removes the line", lost)
                continue
            cell = known if known and not copied and known.text == line.text else _Cell(line.text)
            unsure = known is not None and known.text != line.text
            if known and unsure and not copied:
                _lose(known, patch, path, "does not fit the patch before it", lost)
                cell.kept = "the patches do not agree about it"
            cell.section = hunk.section if n == 0 else ""
            cell.unended = _marked(patch, line)
            cell.bytes_known = not unsure and _bytes_known(patch, line.text)
            cells[line.new] = cell
            at[path, line.message_line] = cell
            if cell.unended:
                last = line.new
        end = hunk.old_start + hunk.old_count
        while next_ < len(numbers) and numbers[next_] < end:
            next_ += 1
        shift = hunk.new_start + hunk.new_count - end
        if not hunk.old_count:
            shift -= 1
        if not hunk.new_count:
            shift += 1
    for n in numbers[next_:]:
        cells[n + shift] = _copy(old[n]) if copied else old[n]
    last = _end(diff, patch) if last is None and diff.hunks else last
    if last is None and before and before.last is not None:
        last = before.last + shift
    mode = diff.new_mode or ""
    odd = "it is a symbolic link" if mode == "120000" else "it is a submodule" if mode == "160000" else ""
    return _File(cells, last, odd or (before.odd if before and not mode else ""))


def _copy(cell: _Cell) -> _Cell:
    made = _Cell(cell.text)
    made.section, made.unended, made.bytes_known = cell.section, cell.unended, cell.bytes_known
    return made


def _end(diff: FileDiff, patch: Patch) -> int | None:
    """The number of the file's last line, where the last hunk shows that no line follows; None where it does not.

    git gives a hunk fewer lines of context below the change than above it only at the end of the file; a commit's diff
    was asked for with three of them (`source.commits`).
    """
    hunk = diff.hunks[-1]
    kinds = [line.kind for line in hunk.lines]
    end = hunk.new_start + hunk.new_count - 1 if hunk.new_count else hunk.new_start
    if diff.old_path is None:
        return end
    above = next((n for n, kind in enumerate(kinds) if kind is not LineKind.CONTEXT), 0)
    below = next((n for n, kind in enumerate(reversed(kinds)) if kind is not LineKind.CONTEXT), 0)
    return end if below < (above if patch.commit is None else 3) else None


def _marked(patch: Patch, line: Line) -> bool:
    """The patch says below the line that it has no line feed; a FileDiff does not keep that."""
    body, n = patch.mail.body, line.message_line
    return 0 < n < len(body) and body[n].startswith("\\")


def _bytes_known(patch: Patch, text: str) -> bool:
    """The text tells what the bytes of the line are.

    What no UTF-8 is was read as Latin-1, of a mail as a whole and of a commit line by line: both say so, and a commit
    with lines of both kinds says that it is not known which are which.
    """
    if text.isascii():
        return True
    if "\ufffd" in text or any("\ud800" <= char <= "\udfff" for char in text):
        return False
    if patch.mail.charset.lower() in ("utf-8", "utf8"):
        return True
    return patch.mail.charset == "unknown" and any(char > "\xff" for char in text)


def _lose(cell: _Cell, patch: Patch, path: str, what: str, lost: list[Left]) -> None:
    why = f"patch {patch.index} {what}: there is nothing to fix"
    lost.extend(Left(finding, path, finding.span.line, why) for finding in _heard(cell.wants))
    cell.wants = []


def _attach(
    finding: Finding, files: Mapping[str, _File], at: Mapping[tuple[str, int], _Cell], lost: list[Left]
) -> None:
    span = finding.span
    file = files.get(span.path)
    if file is None or span.kind is not SpanKind.SOURCE:
        return
    cell = at.get((span.path, span.message_line)) if span.message_line else None
    cell = cell or file.cells.get(span.line)
    same = cell is not None and cell.text == span.text
    if wanted(finding):
        if cell is not None and same:
            cell.wants.append(finding)
        else:
            lost.append(Left(finding, span.path, span.line, "its line is not in the patch"))
    elif cell is not None and same and finding.fixable and finding.why_not_shown not in _NO_WISH:
        cell.kept = finding.why_not_shown


# -- deciding -----------------------------------------------------------------------------------------------------


def settle(
    followed: Followed,
    texts: Mapping[str, Sequence[str]] | None = None,
    refused: Mapping[str, str] | None = None,
) -> Plan:
    """Decide of each suggestion whether it is taken.

    `texts` are the lines of the files behind the series, without line feeds; `refused` says why one of the others is
    not to be changed. Without them, the edits are such that a patch with context can be made of them.
    """
    files: list[FileFix] = []
    left = list(followed.lost)
    for path in followed.paths:
        file = followed.files[path]
        why = refuse_path(path) or file.odd or (refused or {}).get(path)
        if not why and texts is not None:
            file, why = _known_whole(path, file, texts, left)
        if why:
            left.extend(_refusals(path, file, why))
            continue
        decided = _Decision(path, file, followed.version, whole=texts is not None)
        edits = decided.edits()
        left.extend(decided.left)
        if edits:
            lines = {n: cell.text for n, cell in file.cells.items() if texts is not None or _printable(cell)}
            unended = file.last is not None and file.last in file.cells and file.cells[file.last].unended
            files.append(FileFix(path, lines, file.last, unended, tuple(edits)))
    left.sort(key=lambda one: order(one.finding))
    return Plan(tuple(files), tuple(left), followed.hidden)


def _refusals(path: str, file: _File, why: str) -> Iterator[Left]:
    for n, cell in sorted(file.cells.items()):
        for finding in _heard(cell.wants):
            yield Left(finding, path, n, why)


def _known_whole(
    path: str, file: _File, texts: Mapping[str, Sequence[str]], left: list[Left]
) -> tuple[_File, str | None]:
    """The file with all its lines, each compared with what the review saw."""
    text = texts.get(path)
    if text is None:
        return file, "the file is not there"
    if len(text) > MAX_LINES:
        return file, "the file is too large"
    cells = {n: _Cell(line) for n, line in enumerate(text, 1)}
    for n, seen in sorted(file.cells.items()):
        cell = cells.get(n)
        # a work tree may have CR LF where git has LF
        if cell is not None and cell.text in (seen.text, f"{seen.text}\r"):
            cell.wants, cell.kept = seen.wants, seen.kept
        else:
            left.extend(Left(finding, path, n, _NOT_REVIEWED) for finding in _heard(seen.wants))
            if cell is not None:
                cell.kept = _NOT_REVIEWED
    return _File(cells, len(text)), None


def _printable(cell: _Cell) -> bool:
    """The line can be shown as it is, so that git finds it: its bytes are known, and none of them moves a cursor."""
    text = cell.text.removesuffix("\r")
    return cell.bytes_known and (text.isprintable() or _BLANKS.sub("", text).isprintable())


class _Want(NamedTuple):
    """A line as one finding wants it; `finding` is None for a call that goes with its group."""

    text: str
    finding: Finding | None


class _Member(NamedTuple):
    """A call of a group that is to be converted."""

    line: int
    want: _Want


class _Group:
    """The calls on one mm's lock in one function."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, Call]] = []
        self.members: list[_Member] = []
        self.why: str | None = None  # why none of it is converted

    @property
    def takes(self) -> set[str]:
        """The modes in which the lock is taken."""
        return {_mode(call.name) for _, call in self.calls if not _releases(call.name) and not _downgrades(call.name)}

    @property
    def drops(self) -> set[str]:
        """The modes from which it is released."""
        return {_mode(call.name) for _, call in self.calls if _releases(call.name)}

    @property
    def paired(self) -> bool:
        """As far as can be seen, what is taken is released, and what is released was taken."""
        downgraded = any(_downgrades(call.name) for _, call in self.calls)
        return bool(self.takes and self.drops) and (downgraded or self.takes == self.drops)


def _mode(name: str) -> str:
    return "write" if "write" in name else "read"


def _releases(name: str) -> bool:
    return name.startswith("up_") or "unlock" in name


def _downgrades(name: str) -> bool:
    return "downgrade" in name


class _Decision:
    """What is done about the suggestions for one file."""

    def __init__(self, path: str, file: _File, version: tuple[int, int] | None, *, whole: bool) -> None:
        self.path = path
        self.file = file
        self.whole = whole
        self.version = version
        self.left: list[Left] = []
        self._wants = {
            n: [_Want(_as_lines(cell.text, finding.suggestion or ""), finding) for finding in _heard(cell.wants)]
            for n, cell in sorted(file.cells.items())
            if cell.wants
        }

    def edits(self) -> list[Edit]:
        """The edits, by line; what is not taken is in `left`."""
        groups = self._lock_groups() if any(m in self.file.cells[n].text for n in self._wants for m in _MEMBERS) else []
        wants = {n: list(found) for n, found in self._wants.items()}
        for group in groups:
            for line, want in group.members:
                if want.finding is None:
                    wants.setdefault(line, []).append(want)
        refused: dict[int, list[tuple[_Want, str]]] = {}

        def drop(line: int, want: _Want, why: str) -> None:
            if want in wants.get(line, ()):
                wants[line].remove(want)
                refused.setdefault(line, []).append((want, why))

        for line in list(wants):
            if why := self._no_context(line):
                for want in list(wants[line]):
                    drop(line, want, why)
        # a group that loses one of its calls goes, and may free a line for another: until nothing changes
        going = True
        while going:
            going = False
            for line, found in wants.items():
                for want in _losers(self.file.cells[line].text, found):
                    drop(line, want, "another suggestion for the same line is taken first")
            for group in groups:
                here = [member for member in group.members if member.want in wants.get(member.line, ())]
                if not here or (group.why is None and len(here) == len(group.members)):
                    continue
                missing = next((m for m in group.members if m not in here), None)
                why = group.why or f"line {missing.line if missing else 0}, which goes with it, cannot be converted"
                for member in here:
                    drop(member.line, member.want, why)
                    going = True
        for line, gone in sorted(refused.items()):
            self.left.extend(Left(want.finding, self.path, line, why) for want, why in gone if want.finding)
        made = (self._edit(line, found) for line, found in sorted(wants.items()) if found)
        return [edit for edit in made if edit.new != (edit.old,)]

    def _edit(self, line: int, wants: Sequence[_Want]) -> Edit:
        old = self.file.cells[line].text
        findings = tuple(want.finding for want in wants if want.finding)
        return Edit(line, old, tuple(_combined(old, wants).split("\n")), findings)

    def _no_context(self, line: int) -> str | None:
        """Why no patch can be made of a change to a line; None where the whole file is at hand, or enough of it."""
        if self.whole:
            return None
        if not _printable(self.file.cells[line]):
            return "the line's bytes are not known, or do not print"
        # git takes a hunk without context below for the end of the file
        if self.file.last == line:
            return None
        after = self.file.cells.get(line + 1)
        if after is None:
            return "the line below it is not in the patch"
        return None if _printable(after) else "the bytes of the line below it are not known, or do not print"

    # -- locks ------------------------------------------------------------------------------------

    def _lock_groups(self) -> list[_Group]:
        """The groups that somebody wants to convert."""
        code = self._code()
        try:
            return self._grouped(code)
        except TooMuchError:
            group = _Group()
            group.why = "the file is too much to follow"
            group.members = [_Member(n, want) for n, wants in self._wants.items() for want in wants]
            return [group]

    def _code(self) -> Code:
        fragments: list[Fragment] = []
        lines: list[Line] = []
        section = ""
        numbers = sorted(self.file.cells)
        for n, after in [*pairwise(numbers), (numbers[-1], None)]:
            cell = self.file.cells[n]
            section = section if lines else cell.section
            lines.append(Line(LineKind.CONTEXT, cell.text, n, n, 0))
            if after != n + 1:
                fragments.append(Fragment(tuple(lines), section))
                lines = []
        return Code(self.path, fragments, whole=self.whole, version=self.version)

    def _grouped(self, code: Code) -> list[_Group]:
        number = [line.new or 0 for line in code.lines]
        raw = [c for c in code.calls(*PAIRED, *UNPAIRED) if c.arguments]
        # whose declaration is out of sight is an mm where a finding says so
        names = set(mm_names(code)) | {
            "".join(t.text for t in c.arguments[0][1:-2])
            for c in raw
            if self._conversion(code, number[c.tokens[0].line], c) and len(c.arguments[0]) > 3
        }
        groups: dict[tuple[object, str], _Group] = {}
        for call in (*raw, *code.calls(*_API)):
            mm = call.text(0) if call.name in _API else mm_of_lock(call.arguments[0], names=names)
            if not mm:
                continue
            function = code.function_of(call.tokens[0])
            where: object = (function.name or function) if function else "outside"
            group = groups.setdefault((where, mm.replace("(", "").replace(")", "")), _Group())
            group.calls.append((number[call.tokens[0].line], call))
        found = _merged(groups)
        reached = self._reached(code, names)
        for keys, group in found:
            self._judge(code, group, names)
            if group.members and group.why is None and reached & keys:
                group.why = "the lock is reached in another way, too, in this function"
        return [group for _, group in found if any(member.want.finding for member in group.members)]

    def _judge(self, code: Code, group: _Group, names: Collection[str]) -> None:
        """What of a group is to be converted, or why nothing is."""
        for line, call in group.calls:
            if call.name in _API:
                continue
            if want := self._conversion(code, line, call):
                group.members.append(_Member(line, want))
                continue
            text = replacement(code, call, names) if self.file.cells[line].kept is None else None
            if text is not None:
                group.members.append(_Member(line, _Want(_as_lines(self.file.cells[line].text, text), None)))
            elif group.why is None:
                group.why = f"{call.name}() in line {line}, which goes with it, {self._obstacle(line, call)}"
        if group.why is None and group.paired and (other := self._other_half(code, group)):
            group.why = f"{other}(), to which the mm goes, may be the other half of it"
        if group.why is None and not group.paired:
            lacking = "what releases it" if group.takes else "what takes it"
            group.why = f"{lacking if not (group.takes and group.drops) else 'part of the locking'} is not in sight"

    def _other_half(self, code: Code, group: _Group) -> str | None:
        """What is called like a lock function of nobody's knowing and has to do with the mm: a macro, a member."""
        first = group.calls[0][1]
        function = code.function_of(first.tokens[0])
        mm = first.arguments[0] if first.name in _API else [t for t in first.arguments[0] if t.kind is Kind.WORD][:1]
        if function is None or not mm:
            return None
        ours = {token for _, call in group.calls for token in call.tokens[:1]}
        for statement in function.walk():
            tokens = statement.tokens
            for n, (word, bracket) in enumerate(pairwise(tokens)):
                if bracket.text != "(" or word in ours or not _LOCKING.search(word.text) or _OTHER.match(word.text):
                    continue
                end = closing(tokens, n + 1) or len(tokens)
                if end == n + 3 or any(token.text == mm[0].text for token in tokens[n + 2 : end]):
                    return word.text
        return None

    def _obstacle(self, line: int, call: Call) -> str:
        if (kept := self.file.cells[line].kept) is not None:
            return f"is to stay ({kept})"
        if call.tokens[0].line != call.tokens[-1].line:
            return "stands on several lines"
        return "cannot be converted" if call.name in REPLACEMENTS else "has no counterpart in the API"

    def _conversion(self, code: Code, line: int, call: Call) -> _Want | None:
        """The suggestion that takes a call out of its line; None where there is none."""
        first, last = call.tokens[0], call.tokens[1 + len(call.arguments[0]) if call.arguments else 0]
        if first.line != last.line or line not in self._wants:
            return None
        old = code.lines[first.line].text
        text = old[first.column : last.column + len(last.text)]
        return next((want for want in self._wants[line] if want.text.count(text) < old.count(text)), None)

    def _reached(self, code: Code, names: Collection[str]) -> set[tuple[object, str]]:
        """(function, mm) whose lock's address goes elsewhere than to the calls that are known."""
        known = {token for c in code.calls(*PAIRED, *UNPAIRED, *REPLACEMENTS, *_ASKING) for token in c.tokens}
        found: set[tuple[object, str]] = set()
        tokens = code.tokens
        for n in (n for word in _MEMBERS for n in code.words(word)):
            owner = member_owner(tokens, n)
            if not owner or tokens[n] in known:
                continue
            start = n - 1 - len(owner)
            if "&" not in (t.text for t in tokens[max(0, start - 2) : start]):
                continue
            function = code.function_of(tokens[n])
            where: object = (function.name or function) if function else "outside"
            mm = mm_of_lock([tokens[start - 1], *tokens[start : n + 1]], names=names) or ""
            found.add((where, mm.replace("(", "").replace(")", "")))
        return found


def _merged(groups: Mapping[tuple[object, str], _Group]) -> list[tuple[set[tuple[object, str]], _Group]]:
    """Groups by what they are of. What a function only takes under one name, it may release under another."""
    found: list[tuple[set[tuple[object, str]], _Group]] = []
    single: dict[object, tuple[set[tuple[object, str]], _Group]] = {}
    for key, group in groups.items():
        if group.paired:
            found.append(({key}, group))
            continue
        keys, other = single.setdefault(key[0], (set(), _Group()))
        keys.add(key)
        other.calls.extend(group.calls)
    return [*found, *single.values()]


# -- lines --------------------------------------------------------------------------------------------------------


def _heard(findings: Sequence[Finding]) -> list[Finding]:
    """Without those for which another one speaks that has a suggestion itself."""
    speakers = {f"{SAID_BY} {finding.rule}" for finding in findings if finding.why_not_shown in (None, FOLDED)}
    return [finding for finding in findings if finding.why_not_shown not in speakers]


def _as_lines(old: str, suggestion: str) -> str:
    """A suggestion with the line ends of the line that it replaces."""
    if old.endswith("\r"):
        return "\n".join(line.removesuffix("\r") + "\r" for line in suggestion.split("\n"))
    return suggestion


class _Change(NamedTuple):
    """The stretch of a line that a suggestion replaces."""

    start: int
    end: int
    text: str


_WORD = re.compile(r"\w")


def _change(old: str, new: str) -> _Change:
    """What differs, widened to whole words."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end, stop = len(old), len(new)
    while end > start and stop > start and old[end - 1] == new[stop - 1]:
        end, stop = end - 1, stop - 1
    while start and _WORD.match(old[start - 1]):
        start -= 1
    while end < len(old) and _WORD.match(old[end]):
        end, stop = end + 1, stop + 1
    return _Change(start, end, new[start:stop])


def _losers(old: str, wants: Sequence[_Want]) -> list[_Want]:
    """Those that cannot be had together with those before them."""
    taken: list[_Change] = []
    texts: set[str] = set()
    lost: list[_Want] = []
    for want in wants:
        if want.text in texts:
            continue
        change = _change(old, want.text)
        several = "\n" in want.text or len(old) > LONGEST_LINE
        # a stretch between them stays as it is: they are about different tokens
        if texts and (several or any(not (change.end < t.start or t.end < change.start) for t in taken)):
            lost.append(want)
            continue
        taken.append(change)
        texts.add(want.text)
    return lost


def _combined(old: str, wants: Iterable[_Want]) -> str:
    """The line with all of them; they are about different tokens."""
    texts = list(dict.fromkeys(want.text for want in wants))
    if len(texts) == 1:
        return texts[0]
    for change in sorted((_change(old, text) for text in texts), reverse=True):
        old = old[: change.start] + change.text + old[change.end :]
    return old


# -- afterwards ---------------------------------------------------------------------------------------------------

FIXED = "fixed"


def without(review: Review, fixed: Collection[Finding]) -> Review:
    """A review in which the fixed findings are not shown, and what was said with one of them is said by itself."""
    cured = {id(finding) for finding in fixed}
    findings: list[Finding] = []
    heads: dict[object, int] = {}
    for finding in review.findings:
        if id(finding) in cured:
            findings.append(finding._replace(shown=False, why_not_shown=FIXED, places=()))
        elif finding.shown or finding.why_not_shown == FOLDED:
            message = "" if finding.fold is Fold.BUILD else finding.message
            key = (finding.rule, finding.patch.index, message, finding.resolved_by)
            if key in heads:
                head = findings[heads[key]]
                findings[heads[key]] = head._replace(places=(*head.places, finding.span))
                findings.append(finding._replace(shown=False, why_not_shown=FOLDED, places=()))
            else:
                heads[key] = len(findings)
                findings.append(finding._replace(shown=True, why_not_shown=None, places=()))
        else:
            findings.append(finding)
    return review._replace(findings=tuple(findings))


def remaining(reviews: Sequence[Review], limit: str) -> int:
    """How many findings and faults at or above a severity are shown, places of one counted each; 'never' has none."""
    if limit == "never":
        return 0
    rank = Severity(limit).rank
    shown = (finding for review in reviews for finding in review.shown if finding.severity.rank <= rank)
    return sum(1 + len(finding.places) for finding in shown) + sum(len(review.errors) for review in reviews)
