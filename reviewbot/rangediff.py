# SPDX-License-Identifier: GPL-2.0-or-later
"""Two revisions of a series side by side: which patch became which, and how it has changed.

Where a tree has both bases, the patches are made into commits, in a repository of their own that borrows the tree's
objects, and `git range-diff` compares them. Else the patches are compared as they were mailed: matched by `matching`,
and their texts, in the form that git range-diff gives them, compared by `git diff`. Belongs here: the comparison. Does
not belong here: printing it, and findings (`commands.diff`). The tree is only read; what is written is scratch.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from reviewbot.git import GitError, run
from reviewbot.matching import How, Pair, match_patches
from reviewbot.model import Change, FileDiff, Patch, Series
from reviewbot.tree import Tree

# Lines of the difference of one patch that are kept: nobody reads more.
MOST_LINES = 5_000
# A larger text of a patch is not compared with another one.
_LARGEST = 4 * 1024 * 1024

# Within so many bytes git looks for a NUL (buffer_is_binary() of xdiff-interface.c).
_LOOKED_AT = 8000

_HEADER = re.compile(r" *(\d+|-): +[0-9a-f-]+ ([=!<>]) +(\d+|-): +[0-9a-f-]+ (.*)")
_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+\d+(?:,\d+)? @@")
_PLAIN = re.compile(r"[\w./+@,-]+")


class Row(NamedTuple):
    """A patch before and after, and how the one differs from the other."""

    old: Patch | None
    new: Patch | None
    how: How
    lines: tuple[str, ...]  # a diff of the two patches, as git range-diff prints it, without its indentation
    cut: bool = False  # there were more lines


class Comparison(NamedTuple):
    """Two revisions side by side."""

    rows: tuple[Row, ...]
    bases: tuple[str, str] | None  # full hashes of the bases where git range-diff did it; None: as mailed
    why: str | None = None  # why there is no git range-diff where a tree was given


def compare(old: Series, new: Series, tree: Tree | None = None) -> Comparison:
    """The patches of two revisions in pairs. Raises GitError where git cannot be run at all."""
    if tree is None:
        return Comparison(_as_mailed(old, new), None)
    try:
        return _by_git(old, new, tree)
    except _CannotError as cannot:
        return Comparison(_as_mailed(old, new), None, str(cannot))


class _CannotError(Exception):
    """git range-diff cannot be had; says why."""


# -- commits --------------------------------------------------------------------------------------------------------


def _by_git(old: Series, new: Series, tree: Tree) -> Comparison:
    bases = (_base(old, tree), _base(new, tree))
    stream = b"".join(
        piece
        for name, first, series, base in (("old", 1, old, bases[0]), ("new", 1 + len(old.patches), new, bases[1]))
        for piece in _commits(name, first, series, tree, base)
    )
    with tempfile.TemporaryDirectory(prefix="reviewbot-") as top:
        code, out, err = run(tree.directory, "rev-parse", "--git-path", "objects")
        if code:
            raise _CannotError(f"cannot find the objects of '{tree.directory}'")
        objects = os.path.realpath(os.path.join(tree.directory, os.fsdecode(out).rstrip("\n")))
        _must(top, "init", "-q", "--bare", f"--object-format={'sha256' if len(bases[0]) == 64 else 'sha1'}", ".")
        with open(
            os.path.join(top, "objects", "info", "alternates"), "w", encoding="utf-8", errors="surrogateescape"
        ) as f:
            f.write(objects + "\n")
        _must(top, "fast-import", "--quiet", "--date-format=raw", given=stream)
        ranges = [f"{base}..refs/heads/{name}" for name, base in zip(("old", "new"), bases, strict=True)]
        code, out, err = run(top, "range-diff", "--no-color", "--no-notes", "--no-ext-diff", *ranges)
        if code:
            raise _CannotError(f"git range-diff fails: {err.decode('utf-8', 'replace').strip()[:200]}")
    return Comparison(tuple(_rows(out.decode("utf-8", "replace"), old, new)), bases)


def _must(top: str, *words: str, given: bytes = b"") -> None:
    code, _, err = run(top, *words, given=given)
    if code:
        raise _CannotError(f"git {words[0]} fails: {err.decode('utf-8', 'replace').strip()[:200]}")


def _base(series: Series, tree: Tree) -> str:
    found = tree.find_base(series)
    if found.commit is None:
        raise _CannotError(f"v{series.revision}: {'; '.join(found.notes)}")
    return found.commit


def _commits(name: str, first: int, series: Series, tree: Tree, base: str) -> Iterator[bytes]:
    """The patches of a series for git fast-import, on a branch of that name, numbered from `first` on.

    Raises _CannotError.
    """
    files = tree.files(base)
    above = base.encode()
    for number, patch in enumerate(series.patches, first):
        applied = files.apply(patch)
        if files.trouble:
            raise _CannotError(files.trouble)
        left = next((n for n in range(len(patch.files)) if n not in applied.files), None)
        if files.failures or patch.unreadable or left is not None:
            at = files.failures[0] if files.failures else patch.files[left or 0].path
            raise _CannotError(f"v{series.revision} does not apply: patch {patch.index}/{series.expected}, {at}")
        yield b"commit refs/heads/%s\nmark :%d\n" % (name.encode(), number)
        yield b"author %s 0 +0000\ncommitter reviewbot <reviewbot@invalid> 0 +0000\n" % _ident(patch)
        message = f"{patch.subject.title}\n\n{patch.message}\n".encode("utf-8", "replace")
        yield b"data %d\n%s\n" % (len(message), message)
        yield b"from %s\n" % above
        above = b":%d" % number
        for diff in patch.files:
            content = files.raw(diff.new_path) if diff.new_path else None
            if b"\0" in (content or b"")[:_LOOKED_AT]:
                raise _CannotError(f"v{series.revision}, patch {patch.index}: git takes {diff.path} for binary")
            yield from _file(diff, content, tree, base)
        yield b"\n"


def _ident(patch: Patch) -> bytes:
    def plain(text: str) -> str:
        return "".join(char for char in text if char.isprintable() and char not in "<>")

    return f"{plain(patch.author.name)} <{plain(patch.author.email).replace(' ', '')}>".encode("utf-8", "replace")


def _file(diff: FileDiff, content: bytes | None, tree: Tree, base: str) -> Iterator[bytes]:
    if diff.old_path and diff.change in (Change.DELETED, Change.RENAMED):
        yield b"D %s\n" % _quoted(diff.old_path)
    if diff.new_path and content is not None:
        above = diff.new_path.rpartition("/")[0]
        if above and (there := tree.entry(base, above)) and there[0] != "40000":
            raise _CannotError(f"'{above[:200]}' is no directory")
        entry = tree.entry(base, diff.old_path or diff.new_path)
        mode = diff.new_mode or (entry[0] if entry else "100644")
        mode = mode if mode in ("100644", "100755") else "100644"
        yield b"M %s inline %s\ndata %d\n%s\n" % (mode.encode(), _quoted(diff.new_path), len(content), content)


def _quoted(path: str) -> bytes:
    """As git quotes paths in C's way. Raises _CannotError for one that no tree may have."""
    if any(part in ("", ".", "..") or part.lower() == ".git" for part in path.split("/")) or "\0" in path:
        raise _CannotError(f"not a path: '{path[:200]}'")
    if _PLAIN.fullmatch(path) and path.isascii():
        return path.encode()
    raw = path.encode("utf-8", "replace")
    special = b'"\\'
    return b'"%s"' % b"".join(
        bytes([byte]) if 32 <= byte < 127 and byte not in special else b"\\%03o" % byte for byte in raw
    )


_STATUS = {"=": How.SAME, "!": How.CHANGED, "<": How.DROPPED, ">": How.NEW}


def _rows(out: str, old: Series, new: Series) -> Iterator[Row]:
    """What git range-diff says. A patch without a change is no commit to it: numbers are those of our patches."""
    row: Row | None = None
    lines: list[str] = []
    for line in [*out.split("\n"), None]:
        match = _HEADER.fullmatch(line) if line is not None else None
        if line is None or match:
            if row:
                yield row._replace(lines=tuple(lines[:MOST_LINES]), cut=len(lines) > MOST_LINES)
            if match:
                before = None if match[1] == "-" else old.patches[int(match[1]) - 1]
                after = None if match[3] == "-" else new.patches[int(match[3]) - 1]
                row, lines = Row(before, after, _STATUS[match[2]], ()), []
        elif line or lines:
            lines.append(line.removeprefix("    "))


# -- mails ----------------------------------------------------------------------------------------------------------


def _as_mailed(old: Series, new: Series) -> tuple[Row, ...]:
    pairs = match_patches(old.patches, new.patches)
    told = _differences([pair for pair in pairs if pair.old and pair.new])
    return tuple(_row(pair, told) for pair in pairs)


def _row(pair: Pair, told: Mapping[tuple[int, int], Sequence[str]]) -> Row:
    lines = told.get((pair.old.index, pair.new.index), ()) if pair.old and pair.new else ()
    # to git, a patch of which only the message has changed is another one
    how = How.CHANGED if pair.how is How.SAME and lines else pair.how
    return Row(pair.old, pair.new, how, tuple(lines[:MOST_LINES]), len(lines) > MOST_LINES)


def _differences(pairs: Sequence[Pair]) -> Mapping[tuple[int, int], Sequence[str]]:
    """The lines in which two patches differ, by their numbers: one git diff of two directories for all of them."""
    texts: dict[str, tuple[tuple[int, int], list[str]]] = {}
    with tempfile.TemporaryDirectory(prefix="reviewbot-") as top:
        for side in ("a", "b"):
            os.mkdir(os.path.join(top, side))
        for n, pair in enumerate(pairs):
            assert pair.old
            assert pair.new
            before, after = patch_text(pair.old), patch_text(pair.new)
            if before == after or max(len(text) for text in ("\n".join(before), "\n".join(after))) > _LARGEST:
                continue
            texts[str(n)] = ((pair.old.index, pair.new.index), before)
            for side, lines in (("a", before), ("b", after)):
                with open(
                    os.path.join(top, side, str(n)), "w", encoding="utf-8", errors="replace", newline="\n"
                ) as file:
                    file.write("\n".join(lines) + "\n")
        if not texts:
            return {}
        options = ("--no-index", "--no-color", "--no-ext-diff", "--no-textconv", "--text", "-U3", "--no-renames")
        code, out, err = run(top, "diff", *options, "--src-prefix=a/", "--dst-prefix=b/", "a", "b")
        if code not in (0, 1):
            raise GitError(f"git diff fails: {err.decode('utf-8', 'replace').strip()[:200]}")
    found: dict[tuple[int, int], list[str]] = defaultdict(list)
    key: tuple[int, int] | None = None
    headings: list[str] = []
    inside = False
    for line in out.decode("utf-8", "replace").split("\n")[:-1]:
        if line.startswith("diff --git "):
            key, lines = texts[line.rpartition("/")[2]]
            headings, inside = _headings(lines), False
        elif key and (match := _HUNK.match(line)):
            inside = True
            # as git names the function that a hunk is in: the last that begins above it
            above = min(int(match[1]) - 2, len(headings) - 1)
            found[key].append(f"@@ {headings[above] if above >= 0 else ''}".rstrip())
        elif inside and key and not line.startswith("\\ "):
            found[key].append(line)
    return found


def _headings(lines: Sequence[str]) -> list[str]:
    """Of each line the nearest heading above it."""
    found: list[str] = []
    last = ""
    for line in lines:
        if line.startswith(" ## "):
            last = line.strip("# ")
        elif line.startswith("@@ "):
            last = line[3:]
        found.append(last)
    return found


def patch_text(patch: Patch) -> list[str]:
    """A patch as git range-diff compares it: author, message, and diffs without line numbers."""
    lines = [
        " ## Metadata ##",
        f"Author: {patch.author}",
        "",
        " ## Commit message ##",
        f"    {patch.subject.title}",
        "",
    ]
    lines += [f"    {line}".rstrip() for line in patch.message.split("\n")]
    for diff in patch.files:
        lines += ["", f" ## {_named(diff)} ##"]
        for hunk in diff.hunks:
            lines.append(f"@@ {diff.path}: {hunk.section}".rstrip(": "))
            lines += [f"{line.kind}{line.text}" for line in hunk.lines]
    return lines


def _named(diff: FileDiff) -> str:
    if diff.change is Change.ADDED:
        return f"{diff.path} (new)"
    if diff.change is Change.DELETED:
        return f"{diff.path} (deleted)"
    if diff.old_path != diff.new_path:
        return f"{diff.old_path} => {diff.new_path}"
    return diff.path
