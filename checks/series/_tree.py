# SPDX-License-Identifier: GPL-2.0-or-later
"""The tree behind the last patch of a series, for the rules that ask what is left in it.

Belongs here: the base's files with those of the series laid over them, and telling code from comments. Reading either
is `dossier.SeriesTree`'s. What is not known for certain is None: a rule then says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from reviewbot.dossier import Dossier, Hit
from reviewbot.model import Change, FileDiff, Line, LineKind, Patch, Series

WORD = re.compile(r"[A-Za-z_]\w*+", re.A)
# What holds code that the kernel builds, and bindings that are made of it.
CODE = ("*.c", "*.h", "*.S", "*.rs", "*.y", "*.l")
_CODE_ENDS = tuple(ending[1:] for ending in CODE)
# Files that are read to tell code from comments, of one question.
MOST_FILES = 60
_PIECES = re.compile(
    r"""/\*(?:[^*]++|\*(?!/))*+(?:\*/)?+ | //[^\n]*+ | "(?:[^"\\\n]|\\[\s\S])*+"?+ | '(?:[^'\\\n]|\\.)*+'?+""", re.X
)
_NOT_NEWLINE = re.compile(r"[^\n]")


def is_kernel(path: str) -> bool:
    """Code of the kernel, not of its tools, samples or documentation; the kernel's own tests of tools/ are."""
    return path.endswith(_CODE_ENDS) and not path.startswith(("Documentation/", "tools/", "scripts/", "samples/"))


def is_uapi(path: str) -> bool:
    """What programs and firmware may use: never unused."""
    return "/uapi/" in path or "/dt-bindings/" in path


def without_comments(text: str) -> str:
    """The text with comments blanked; lines and columns stay."""
    return _PIECES.sub(lambda m: _NOT_NEWLINE.sub(" ", m[0]) if m[0][0] == "/" else m[0], text)


def lines_of(series: Series, *kinds: LineKind) -> Iterator[tuple[Patch, FileDiff, Line]]:
    """The lines of kernel code that the series has, in order."""
    for patch in series.patches:
        for diff in patch.files:
            if is_kernel(diff.path):
                for hunk in diff.hunks:
                    for line in hunk.lines:
                        if line.kind in kinds:
                            yield patch, diff, line


def changes(diff: FileDiff) -> Iterator[tuple[tuple[Line, ...], tuple[Line, ...]]]:
    """The runs of changed lines of a diff without context between them: what is removed, and what is added."""
    for hunk in diff.hunks:
        removed: list[Line] = []
        added: list[Line] = []
        for line in (*hunk.lines, None):
            if line is None or line.kind is LineKind.CONTEXT or (line.kind is LineKind.REMOVED and added):
                if removed or added:
                    yield tuple(removed), tuple(added)
                removed, added = [], []
            if line is not None and line.kind is LineKind.REMOVED:
                removed.append(line)
            elif line is not None and line.kind is LineKind.ADDED:
                added.append(line)


def is_comment(text: str) -> bool:
    """By its look alone: a line that begins as one of a comment does."""
    head = text.lstrip()
    return head.startswith(("/*", "//", "* ", "*/")) or head == "*"


class Behind:
    """The files of the tree as the last patch leaves them."""

    def __init__(self, dossier: Dossier) -> None:
        self._ground = dossier.ground
        self.changed, self._gone = _paths(dossier.series)
        self._code: dict[str, list[str]] = {}

    def text(self, path: str) -> str | None:
        """A file; None where there is none, or it is not known."""
        return self._ground.after(path) if self._ground else None

    def code(self, path: str) -> Sequence[str] | None:
        """The lines of a file without comments; None where it is not known, or enough files were read."""
        if path not in self._code:
            text = self.text(path) if len(self._code) < MOST_FILES else None
            if text is None:
                return None
            self._code[path] = without_comments(text).split("\n")
        return self._code[path]

    def find(self, words: Collection[str], paths: Sequence[str] = ()) -> Mapping[str, tuple[Hit, ...]] | None:
        """Where words stand, comments and all; None where a file that the series changes is not known."""
        found = self._ground.grep(words, paths) if self._ground else None
        if found is None:
            return None
        hits = {word: [hit for hit in some if hit.path not in self.changed] for word, some in found.items()}
        for path in sorted(self.changed - self._gone):
            if not _covered(path, paths):
                continue
            text = self.text(path)
            if text is None:
                if path.endswith(_CODE_ENDS):
                    return None
                continue  # a binary file
            for number, line in enumerate(text.split("\n"), 1):
                for word in hits.keys() & set(WORD.findall(line)):
                    hits[word].append(Hit(path, number, line[:500]))
        return {word: tuple(sorted(some)) for word, some in hits.items()}

    def in_code(self, hit: Hit, word: str) -> bool | None:
        """A word stands outside comments there; None where the file cannot be read."""
        if not hit.path.endswith(_CODE_ENDS):
            return False
        lines = self.code(hit.path)
        if lines is None or hit.line > len(lines):
            return None
        return word in WORD.findall(lines[hit.line - 1])


def _covered(path: str, paths: Sequence[str]) -> bool:
    return not paths or any(
        path.endswith(one[1:]) if one.startswith("*.") else path == one or path.startswith(f"{one.rstrip('/')}/")
        for one in paths
    )


def _paths(series: Series) -> tuple[frozenset[str], frozenset[str]]:
    """The files that the series touches, and those that are not there any more behind it."""
    seen: set[str] = set()
    gone: set[str] = set()
    for patch in series.patches:
        for diff in patch.files:
            seen.update(path for path in (diff.old_path, diff.new_path) if path)
            if diff.old_path and diff.change in (Change.DELETED, Change.RENAMED):
                gone.add(diff.old_path)
        for diff in patch.files:
            gone.discard(diff.new_path or "")
    return frozenset(seen), frozenset(gone)


def places(hits: Iterable[Hit], most: int = 4) -> tuple[str, ...]:
    """The first few as a person wants them: "mm/walk.c:12: text", one of each file first."""
    chosen: list[Hit] = []
    rest: list[Hit] = []
    paths: set[str] = set()
    for hit in hits:
        (rest if hit.path in paths else chosen).append(hit)
        paths.add(hit.path)
    return tuple(f"{hit.path}:{hit.line}: {' '.join(hit.text.split())[:100]}" for hit in (*chosen, *rest)[:most])
