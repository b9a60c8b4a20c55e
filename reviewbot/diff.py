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
_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_HUNK_LIKE = re.compile(r"@@ -\d|@@ \+\d")
_KINDS = {" ": LineKind.CONTEXT, "": LineKind.CONTEXT, "+": LineKind.ADDED, "-": LineKind.REMOVED}
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
    region = [line + "\n" for line in body[start:]]
    try:
        parsed = PatchSet(iter(region))
        files = [_file(f, range(start + 1, len(body) + 2)) for f in parsed if _is_file(f)]
    except UnidiffParseError:
        # the first break of a piece is reported; what follows from it is not
        files, broken = _piecewise(region, start)
        return tuple(files), tuple(broken)
    return tuple(files), tuple(_stray_hunks(files, body, start))


def _piecewise(region: list[str], start: int) -> tuple[list[FileDiff], list[Unreadable]]:
    """Read file diff by file diff and hunk by hunk, so that one broken piece does not take the others with it."""
    files: list[FileDiff] = []
    broken: list[Unreadable] = []
    for begin, end in _pieces(region):
        try:
            files.extend(
                _file(f, range(start + begin + 1, start + end + 1))
                for f in PatchSet(iter(region[begin:end]))
                if _is_file(f)
            )
            continue
        except UnidiffParseError as error:
            reason = str(error).split("\n")[0]
        kept, found = _salvage(region, begin, end)
        try:
            parsed = PatchSet(iter([text for text, _ in kept]))
            files.extend(_file(f, [start + n + 1 for _, n in kept]) for f in parsed if _is_file(f))
        except UnidiffParseError as error:
            found = found or [(begin, f"not a diff that can be read: {str(error).splitlines()[0] or reason}")]
        found = found or [(begin, f"not a diff that can be read: {reason}")]
        broken.extend(Unreadable(start + n + 1, why, region[n].rstrip("\n")) for n, why in found)
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
    """What of a broken file diff can be read: (line, its index in region) of it, and (index, reason) of each break.

    A hunk counts as far as its lines are a diff's; its header is made to fit.
    """
    kept: list[tuple[str, int]] = []
    broken: list[tuple[int, str]] = []
    n = begin
    while n < end:
        header = _HUNK.match(region[n])
        if not header:
            if _HUNK_LIKE.match(region[n]):
                broken.append((n, "hunk header is broken (line-wrapped?)"))
            elif not any(_HUNK.match(text) for text, _ in kept):
                kept.append((region[n], n))
            n += 1
            continue
        want = [int(count) if count is not None else 1 for count in header.groups()]
        old, new = want
        at = n + 1
        why: tuple[int, str] | None = None
        while at < end and (old > 0 or new > 0):
            mark = region[at][:1]
            if mark not in (" ", "+", "-", "\\", "\n"):
                why = (at, "hunk is corrupt: not a diff line (line-wrapped?)")
                if at > n + 1:
                    break
                at += 1  # a wrapped hunk heading: what follows it is the hunk
                continue
            if (mark in "- \n" and old == 0) or (mark in "+ \n" and new == 0):
                why = (n, "hunk is corrupt: it holds more lines than its header says")
                break
            old -= mark in "- \n"
            new -= mark in "+ \n"
            at += 1
        if why is None and (old > 0 or new > 0):
            why = (n, "hunk is corrupt: it holds fewer lines than its header says")
        text = region[n]
        if why:
            broken.append(why)
            numbers = re.match(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@(.*)", text)
            if numbers:
                text = f"@@ -{numbers[1]},{want[0] - old} +{numbers[2]},{want[1] - new} @@{numbers[3]}\n"
        if want != [old, new]:
            kept.append((text, n))
            kept.extend((region[line], line) for line in range(n + 1, at) if not (why and line == why[0]))
        n = at
    return kept, broken


def _stray_hunks(files: Sequence[FileDiff], body: Sequence[str], start: int) -> Iterator[Unreadable]:
    """Hunk headers that no hunk has taken up: behind a hunk that is shorter than it should be, or wrapped."""
    inside: set[int] = set()
    for file in files:
        for hunk in file.hunks:
            inside.update(range(hunk.message_line, hunk.message_line + len(hunk.lines) + 1))
    for n in range(start, len(body)):
        if body[n].startswith("@@ -") and n + 1 not in inside:
            yield Unreadable(n + 1, "hunk header is broken (line-wrapped?)", body[n])


def _is_file(file: PatchedFile) -> bool:
    """git's combined diffs (`diff --cc` in a pull request) are no patch: unidiff makes empty files of them."""
    return bool(len(file)) or file.is_binary_file or bool(file.patch_info)


def _file(file: PatchedFile, numbers: Sequence[int]) -> FileDiff:
    """`numbers` gives the message line of each line that was parsed."""
    info = {"rename from": "", "rename to": "", "copy from": "", "copy to": ""}
    for line in file.patch_info or ():
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
    return FileDiff(old, new, change, hunks, file.is_binary_file, file.source_mode, file.target_mode, at)


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
