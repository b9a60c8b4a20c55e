# SPDX-License-Identifier: GPL-2.0-or-later
"""Text of a mail -> FileDiffs, and what in it could not be read as a diff.

Belongs here: everything that knows the unified-diff format; the only importer of unidiff. What
unidiff gets silently wrong on real mail (measured on 30,054 patches) is put right here: transport
CRLF is gone before (`mail`), the diff region is cut as git cuts it, paths are read with -p1 and
C-unquoted, a rename is what the diff calls a rename. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import unidiff
from unidiff import PatchedFile, PatchSet, UnidiffParseError

from reviewbot.model import Change, FileDiff, Hunk, Line, LineKind, Unreadable

# As git mailinfo: a line of three dashes ends the commit message; a diff begins at "diff --git" or
# at a ---/+++ pair (mailinfo.c, patchbreak()).
_CUT = re.compile(r"---[ \t]*$")
_GIT = re.compile(r"diff --git |Index: ")
_OLD = re.compile(r"--- (?:a/|/dev/null|\"a/|\S)")
# nine digits: git's line numbers are C's, and Python refuses to print numbers of more than 4,300 digits
_HUNK = re.compile(r"@@ -([0-9]{1,9})(?:,([0-9]{1,9}))? \+([0-9]{1,9})(?:,([0-9]{1,9}))? @@(.*)")
_HUNK_LIKE = re.compile(r"@@ -\d|@@ \+\d")
_BINARY = re.compile(r"Binary files? [^\t]+ (?:differ|has changed)$")
_NOT_A_LINE = "hunk is corrupt: not a diff line (line-wrapped?)"
_TOO_MANY = "hunk is corrupt: it holds more lines than its header says"
_TOO_FEW = "hunk is corrupt: it holds fewer lines than its header says"
_BROKEN_HEADER = "hunk header is broken (line-wrapped?)"
_KINDS = {" ": LineKind.CONTEXT, "": LineKind.CONTEXT, "+": LineKind.ADDED, "-": LineKind.REMOVED}
_INDEX = re.compile(r"index ([0-9a-f]{4,64})\.\.([0-9a-f]{4,64})(?: [0-7]+)?\s*$")
_OCTAL = re.compile(r'\\([0-7]{3}|["\\abfnrtv])')
_ESCAPES = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, '"': 34, "\\": 92}


def diff_start(body: Sequence[str]) -> int | None:
    """Index of the first line of the diff region, or None where the text holds no diff.

    A diff that is quoted in the commit message, above the --- line, is not the patch.
    """
    cut = next((n for n, line in enumerate(body) if _CUT.match(line)), None)
    for begin in (0,) if cut is None else (cut + 1, 0):
        for n in range(begin, len(body)):
            line = body[n]
            if line.startswith("diff --git ") or (
                _OLD.match(line) and n + 1 < len(body) and body[n + 1].startswith("+++ ")
            ):
                return n
    return None


def read_diff(body: Sequence[str]) -> tuple[tuple[FileDiff, ...], tuple[Unreadable, ...]]:
    """All file diffs of a mail's body, in order, and the pieces that cannot be read, each with its reason.

    A broken file diff costs only itself: the others are still returned.
    """
    start = diff_start(body)
    if start is None:
        stray = next((n for n, line in enumerate(body) if _HUNK.match(line)), None)
        if stray is None:
            return (), ()
        return (), (Unreadable(stray + 1, "hunk without a file header", body[stray]),)
    region = [_tame(line) + "\n" for line in body[start:]]
    try:
        parsed = PatchSet(iter(region))
        files = [_file(f, range(start + 1, len(body) + 2)) for f in parsed if _is_file(f)]
        broken = _left_over(files, region, range(len(region)), start)
    except UnidiffParseError:
        # the first break of a piece is reported; what follows from it is not
        files, broken = _piecewise(region, start)
    return tuple(files), tuple(Unreadable(start + n + 1, why, body[start + n]) for n, why in broken)


def _tame(line: str) -> str:
    """A line as unidiff may see it: without what it takes ages over or stumbles over."""
    if line.startswith("Binary file"):
        # its pattern tries every " and " with every other: a line of 20 kB takes minutes
        return line if _BINARY.match(line) else "Binary"
    if line.startswith("@@ -"):
        return line if _HUNK.match(line) else "@@ -0"
    return line


def _piecewise(region: list[str], start: int) -> tuple[list[FileDiff], list[tuple[int, str]]]:
    """Read file diff by file diff and hunk by hunk, so that one broken piece does not take the others with it.

    The breaks are (index in region, reason).
    """
    files: list[FileDiff] = []
    broken: list[tuple[int, str]] = []
    for begin, end in _pieces(region):
        try:
            parsed = PatchSet(iter(region[begin:end]))
            read = [_file(f, range(start + begin + 1, start + end + 2)) for f in parsed if _is_file(f)]
            files.extend(read)
            broken.extend(_left_over(read, region, range(begin, end), start))
            continue
        except UnidiffParseError as error:
            reason = str(error).splitlines()[0]
        kept, found = _salvage(region, begin, end)
        try:
            parsed = PatchSet(iter([text for text, _ in kept]))
            files.extend(_file(f, [start + n + 1 for _, n in kept]) for f in parsed if _is_file(f))
        except UnidiffParseError as error:
            reason = str(error).splitlines()[0]
        broken.extend(found or [(begin, f"not a diff that can be read: {reason}")])
    return files, broken


def _pieces(region: list[str]) -> Iterator[tuple[int, int]]:
    starts = [n for n, line in enumerate(region) if line.startswith("diff --git ")]
    if not starts or starts[0] != 0:
        plain = [
            n
            for n, line in enumerate(region[:-1])
            if _OLD.match(line) and region[n + 1].startswith("+++ ") and (not starts or n < starts[0])
        ]
        starts = sorted({0, *plain, *starts})
    yield from zip(starts, [*starts[1:], len(region)], strict=False)


def _salvage(region: list[str], begin: int, end: int) -> tuple[list[tuple[str, int]], list[tuple[int, str]]]:
    """What of a file diff can be read: (line, its index in region) of it, and (index, reason) of each break.

    A hunk counts as far as its lines are a diff's; its header is made to fit.
    """
    kept: list[tuple[str, int]] = []
    broken: list[tuple[int, str]] = []
    last = stray = None  # the last hunk that is whole, and the first line behind it that belongs to none
    head = True  # no hunk was met yet
    n = begin
    while n < end:
        header = _HUNK.match(region[n])
        if not header:
            if _HUNK_LIKE.match(region[n]):
                broken.append((n, _BROKEN_HEADER))
                head, last = False, None
            elif head:
                kept.append((region[n], n))
            elif last is not None and stray is None and region[n][0] not in "\n\\":
                stray = n
                if _is_left_over(region[n]):
                    broken.append((last, _TOO_MANY))
                    last = None
            n += 1
            continue
        if last is not None and stray is not None:
            broken.append((stray, _NOT_A_LINE))
        head, last, stray = False, None, None
        want = [int(count) if count is not None else 1 for count in header.group(2, 4)]
        old, new = want
        at = n + 1
        why: tuple[int, str] | None = None
        while at < end and (old > 0 or new > 0):
            mark = region[at][0]
            if _HUNK_LIKE.match(region[at]) or (
                region[at] == "-- \n" and (at + 1 == end or region[at + 1][0] not in " +-@\\")
            ):
                break  # the next hunk, or the mail's signature
            if mark not in (" ", "+", "-", "\\", "\n"):
                why = (at, _NOT_A_LINE)
                if at > n + 1:
                    break
                at += 1  # a wrapped hunk heading: what follows it is the hunk
                continue
            if (mark in "- \n" and old == 0) or (mark in "+ \n" and new == 0):
                why = (n, _TOO_MANY)
                break
            old -= mark in "- \n"
            new -= mark in "+ \n"
            at += 1
        if why is None and (old > 0 or new > 0):
            why = (n, _TOO_FEW)
        text = region[n]
        if why:
            broken.append(why)
            text = f"@@ -{header[1]},{want[0] - old} +{header[3]},{want[1] - new} @@{header[5]}\n"
        else:
            last = n
        if want != [old, new]:
            kept.append((text, n))
            kept.extend((region[line], line) for line in range(n + 1, at) if not (why and line == why[0]))
        n = at
    return kept, broken


def _is_left_over(line: str) -> bool:
    """A line behind a whole hunk that reads as one more of its lines: no signature, no next file's ---."""
    return line.startswith(("+", " ", "-")) and not line.startswith(("--", "+++ ")) and bool(line.strip())


def _left_over(files: Sequence[FileDiff], region: list[str], of: range, start: int) -> list[tuple[int, str]]:
    """(Index, reason) of hunks that are shorter than what follows their header, and of headers that are none."""
    inside: set[int] = set()
    found: list[tuple[int, str]] = []
    for hunk in (hunk for file in files for hunk in file.hunks if hunk.lines):
        begin, end = hunk.message_line - start - 1, hunk.lines[-1].message_line - start
        inside.update(range(begin, end))
        if end in of and _is_left_over(region[end]):
            found.append((begin, _TOO_MANY))
    found += [(n, _BROKEN_HEADER) for n in of if region[n].startswith("@@ -") and n not in inside]
    return sorted(found)


def _is_file(file: PatchedFile) -> bool:
    """git's combined diffs (`diff --cc` in a pull request) are no patch: unidiff makes empty files of them."""
    return bool(len(file)) or file.is_binary_file or bool(file.patch_info)


def _file(file: PatchedFile, numbers: Sequence[int]) -> FileDiff:
    """`numbers` gives the message line of each line that was parsed."""
    info = {"rename from": "", "rename to": "", "copy from": "", "copy to": ""}
    ids: tuple[str | None, ...] = (None, None)
    for line in file.patch_info or ():
        if match := _INDEX.match(line):
            ids = tuple(found if found.strip("0") else None for found in match.groups())
        for key in info:
            if line.startswith(key + " "):
                info[key] = _unquote(line[len(key) + 1 :].rstrip("\n"))
    change = Change.MODIFIED
    old, new = _path(file.source_file), _path(file.target_file)
    if info["rename from"]:
        change, old, new = Change.RENAMED, info["rename from"], info["rename to"] or new
    elif info["copy from"]:
        change, old, new = Change.COPIED, info["copy from"], info["copy to"] or new
    elif old is None:
        change = Change.ADDED
    elif new is None:
        change = Change.DELETED
    elif old != new:
        old = new  # quilt's and SVN's prefixes (`linux-next.orig/`): -p1 on both sides names one file
    hunks = tuple(_hunk(hunk, numbers) for hunk in file)
    if change is Change.MODIFIED and len(hunks) == 1 and hunks[0].old_start == hunks[0].old_count == 0:
        change, old = Change.ADDED, None
    at = numbers[(file.diff_line_no or 1) - 1]
    return FileDiff(old, new, change, hunks, file.is_binary_file, file.source_mode, file.target_mode, at, *ids)


def _hunk(hunk: unidiff.Hunk, numbers: Sequence[int]) -> Hunk:
    lines: list[Line] = []
    add = lines.append
    for line in hunk:
        # '\\' is the no-newline marker; '' with no number is unidiff's note of an empty line behind the hunk
        if line.line_type == "\\" or (line.source_line_no is None and line.target_line_no is None):
            continue
        add(
            Line(
                _KINDS[line.line_type],
                line.value.removesuffix("\n"),
                line.source_line_no,
                line.target_line_no,
                numbers[(line.diff_line_no or 1) - 1],
            )
        )
    first = lines[0].message_line if lines else numbers[0] + 1
    return Hunk(
        hunk.source_start,
        hunk.source_length,
        hunk.target_start,
        hunk.target_length,
        hunk.section_header.strip(),
        tuple(lines),
        first - 1,
    )


def _path(name: str) -> str | None:
    """-p1 of a name in a ---/+++ or diff --git line; None for /dev/null."""
    name = _unquote(name)
    if name == "/dev/null":
        return None
    return name.split("/", 1)[1] if "/" in name else name


def _unquote(name: str) -> str:
    """git's C-style quoting of odd file names, undone; bytes that are no UTF-8 are replaced."""
    if not (len(name) > 1 and name.startswith('"') and name.endswith('"')):
        return name

    def byte(match: re.Match[str]) -> str:
        code = match[1]
        return chr(_ESCAPES[code] if code in _ESCAPES else int(code, 8) & 0xFF)

    raw = _OCTAL.sub(byte, name[1:-1])
    try:
        return raw.encode("latin-1").decode("utf-8", "replace")
    except UnicodeEncodeError:
        return raw
