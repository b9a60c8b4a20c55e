# SPDX-License-Identifier: GPL-2.0-or-later
"""A git repository of the project under review: the base of a series, and its files before and after each patch.

Belongs here: finding the commit that a series is for (declared, or by the blob ids of its index lines, as b4 does), and
applying patches in memory as `git apply` would. Every file comes out of one `git cat-file --batch`; git is given object
ids and nothing else of a patch: paths are looked up here, in tree objects. The repository is only read: no work tree,
index, ref or hook plays a part, and nothing is fetched. Its content and the patches are not trusted.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from types import TracebackType
from typing import NamedTuple

from reviewbot.git import GitError, Object, Objects, first, run
from reviewbot.model import (
    Applied,
    Base,
    BaseHow,
    Change,
    Facts,
    FileDiff,
    Hunk,
    InputError,
    Line,
    LineKind,
    Mail,
    Patch,
    Series,
    Whole,
)

# The headers whose functions, macros and FOLL_ flags are `Facts`.
FACT_FILES = (
    *(
        f"include/linux/{name}.h"
        for name in (
            "mm mmap_lock mm_types pagemap rmap mm_inline highmem hugetlb userfaultfd_k swap mman mmu_notifier sched/mm"
        ).split()
    ),
    "mm/internal.h",
)
_INTERNAL = "mm/internal.h"

# What the texts of one patch, and what the changed files of a series may take; a patch to 2,000 files takes half of it.
MAX_TEXT = 128 * 1024 * 1024
# Lines that may be looked at in search of where a series' hunks belong: a second. A real hunk is some lines off.
MAX_SEARCH = 10_000_000
# Failures that are told one by one.
MAX_TOLD = 100

# The search for a base goes as far back as b4's (LoreSeries.find_base()), over no more commits than a merge window has.
_BACK = timedelta(days=30)
_COMMITS = 20_000
_FILES = 1_000  # of a series whose index lines count
_BLOBS = 50  # that are searched for at once
_CANDIDATES = 100  # commits that are compared with the index lines

_HASH = re.compile(r"[0-9a-f]{4,64}")
_ENTRY = {size: re.compile(rb"([0-7]+) ([^\0]+)\0(.{%d})" % size, re.S) for size in (20, 32)}
# the blob without content, by SHA-1 and by SHA-256
_EMPTY = (
    "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
    "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
)
_VERSION = re.compile(rb"^VERSION = ([0-9]{1,3})\nPATCHLEVEL = ([0-9]{1,3})$", re.M)
_SPACE = b" \t\r\n"

# possessive: a word of a megabyte is read once, not from each of its letters on
_CALLED = re.compile(r"\b(\w++)[ \t]*+\(")
_MACRO = re.compile(r"[ \t]*#[ \t]*define[ \t]+(\w+)")
_FLAG = re.compile(
    r"\b(FOLL_\w++)(?:\s*=\s*|[ \t]+)\(?(?:1[UL]*\s*<<\s*([0-9]{1,2})|BIT\(([0-9]{1,2})\)|0x([0-9a-fA-F]{1,16})\b)"
)


class Failure(NamedTuple):
    """A file of a patch that is not known from the tree, and why; `hunk` and `line` are None where none is to blame."""

    patch: int
    path: str
    hunk: int | None  # its number in the file's diff, from 1
    line: int | None  # of the file before the patch, as the hunk's header says
    why: str  # "does not apply", "is not in the base"

    def __str__(self) -> str:
        at = f", hunk {self.hunk} at line {self.line}" if self.hunk else ""
        return f"{self.path}{at}: {self.why}"


class Found(NamedTuple):
    """The base of a series in a tree."""

    base: Base  # the series' own where the tree has none
    commit: str | None  # full hash of what the patches are to be applied to; None where the tree has none
    said: str  # how it was found: "declared", "12 of 12 blob ids"
    notes: tuple[str, ...]  # what a person should know


class Tree:
    """A repository. To be closed, or used in a `with`."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._objects = Objects(directory)
        head = self._objects.read("HEAD^{commit}")
        self._head = head.id if head else None  # None where there is no commit yet
        self._trees: dict[str, dict[bytes, tuple[str, str]]] = {}
        self._facts: dict[str, FileFacts] = {}

    @classmethod
    def open(cls, directory: str) -> Tree:
        """The repository that a directory is, or lies in. Raises InputError where there is none that git will read."""
        if not os.path.isdir(directory):
            why = "not a directory" if os.path.exists(directory) else "no such file or directory"
            raise InputError(f"cannot open tree '{directory}': {why}")
        try:
            code, _, err = run(directory, "rev-parse", "--git-dir")
        except GitError as error:
            raise InputError(str(error)) from None
        if code:
            raise InputError(f"cannot open tree '{directory}': {first(err)}")
        return cls(directory)

    def __enter__(self) -> Tree:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End git."""
        self._objects.close()

    # -- the base ---------------------------------------------------------------------------------

    def find_base(self, series: Series) -> Found:
        """The commit that a series is for: as it declares, as its blob ids say, else HEAD if it applies there.

        Raises GitError where git cannot read the repository.
        """
        declared, notes = series.base.commit, list[str]()
        ids = dict(islice(blob_ids(series.patches).items(), _FILES))
        chosen = self.commit(declared) if declared else None
        how, said = BaseHow.DECLARED, "declared"
        lacking = _count(len(series.prerequisites), "prerequisite patch") if series.prerequisites else ""
        if declared and not chosen:
            notes.append(f"base commit {declared[:12]} is not in '{self.directory}'{self._partial()}")
        if not chosen or (lacking and self._differing(chosen, ids)):
            other, matching = self._by_blobs(series, ids)
            if other and (not chosen or matching == len(ids)):
                if chosen:
                    notes.append(f"base commit {chosen[:12]} lacks the {lacking} of the series")
                chosen, how, said, lacking = other, BaseHow.BLOBS, f"{matching} of {len(ids)} blob ids", ""
        if chosen and lacking:
            notes.append(f"the {lacking} that the series wants on its base cannot be had")
        first = ""
        if not chosen and self._head:
            fits, failure = self._applies(series, self._head)
            if fits:
                chosen, how, said = self._head, BaseHow.HEAD, "HEAD"
            elif failure:
                first = f" (patch {failure.patch}/{series.expected}, {failure})"
        if not chosen:
            where = (
                f"the HEAD of '{self.directory}'{first}" if self._head else f"'{self.directory}', which has no commit"
            )
            notes.append(f"the series does not apply to {where}, and no other base is known")
            return Found(series.base, None, "", tuple(notes))
        version = self._version(chosen)
        base = Base(chosen, version or series.base.version, how, BaseHow.TREE if version else series.base.version_how)
        return Found(base, chosen, said, tuple(notes))

    def commit(self, name: str) -> str | None:
        """The full hash of a commit by its hash, which may be short; None where there is none, or several."""
        found = self.raw_commit(name)
        return found.id if found else None

    def raw_commit(self, name: str) -> Object | None:
        """The object of a commit by its hash, which may be short; None where there is none, or several."""
        return self._objects.read(f"{name}^{{commit}}") if _HASH.fullmatch(name) else None

    def files(self, commit: str) -> Files:
        """Where the patches of a series are applied to: the files of a commit."""
        return Files(self, commit)

    def _by_blobs(self, series: Series, ids: Mapping[str, str]) -> tuple[str | None, int]:
        """The commit that has the most of a series' blob ids, and how many; (None, 0) where none has half of them.

        As b4 looks for it (LoreSeries.find_base()): at the date of the series, then at commits that changed the files
        to or from what they should be; HEAD comes first.
        """
        if not ids:
            return None, 0
        best, fewest = None, len(ids)
        for commit in self._candidates(series, ids):
            differing = self._differing(commit, ids)
            if differing < fewest:
                best, fewest = commit, differing
            if not fewest:
                break
        matching = len(ids) - fewest
        return (best, matching) if best and matching >= fewest else (None, 0)

    def _candidates(self, series: Series, ids: Mapping[str, str]) -> Iterator[str]:
        if self._head:
            yield self._head
        blobs = [self._objects.read(name, keep=False) for name in islice(ids.values(), _BLOBS)]
        wanted = [blob.id for blob in blobs if blob and blob.kind == "blob"]
        date = next((patch.mail.date for patch in series.patches if patch.mail.date), None)
        if not wanted or not date:
            return
        try:
            until = f"--min-age={int((date + timedelta(days=1)).timestamp())}"
            since = f"--max-age={int((date - _BACK).timestamp())}"
        except OverflowError:  # a clock at the end of days
            return
        yield from self._lines("rev-list", "--all", "--max-count=1", until)
        commits = self._lines("rev-list", "--all", "--no-merges", f"--max-count={_COMMITS}", until, since)
        finds = [f"--find-object={name}" for name in wanted]
        options = ("-r", "--root", "--raw", "--no-abbrev", "--no-renames", "--no-ext-diff", "--no-textconv")
        changed = self._lines("diff-tree", "--stdin", *options, *finds, given="".join(f"{name}\n" for name in commits))
        for commit in [line for line in changed if _HASH.fullmatch(line)][:_CANDIDATES]:
            yield commit
            # it may be the one that made another file of what the series wants
            raw = self._objects.read(commit)
            parent = re.search(rb"^parent ([0-9a-f]+)$", raw.data, re.M) if raw else None
            if parent and self.commit(parent[1].decode()):
                yield parent[1].decode()

    def _lines(self, *words: str, given: str = "") -> list[str]:
        """The lines that git prints; none where it fails or takes too long: the search is a help, not a must."""
        try:
            code, out, _ = run(self.directory, *words, given=given.encode())
        except GitError:
            return []
        return [] if code else out.decode("ascii", "replace").split("\n")[:-1]

    def _differing(self, commit: str, ids: Mapping[str, str]) -> int:
        """How many files of a commit are not what the index lines say."""
        return sum(not (entry := self.entry(commit, path)) or not entry[1].startswith(ids[path]) for path in ids)

    def _applies(self, series: Series, commit: str) -> tuple[bool, Failure | None]:
        """The series applies to most of the files that it changes, as a commit has them; where it first does not."""
        files = self.files(commit)
        for patch in series.patches:
            files.apply(patch)
        if files.trouble:
            raise GitError(files.trouble)
        return files.fitting >= files.failed, files.failures[0] if files.failures else None

    def _partial(self) -> str:
        code, out, _ = run(self.directory, "rev-parse", "--is-shallow-repository")
        return ", which is a shallow clone" if not code and out.strip() == b"true" else ""

    def _version(self, commit: str) -> tuple[int, int] | None:
        """As the commit's Makefile says; None where there is none, or it is not the kernel's."""
        raw = self.read(commit, "Makefile")
        return kernel_version(raw) if raw else None

    # -- objects ----------------------------------------------------------------------------------

    def entry(self, commit: str, path: str) -> tuple[str, str] | None:
        """(mode, object id) of a path in a commit; None where there is none.

        Raises GitError where git cannot read the repository.
        """
        try:
            names = path.encode().split(b"/")
        except UnicodeEncodeError:
            return None
        at: tuple[str, str] | None = ("40000", f"{commit}^{{tree}}")
        for name in names:
            if at is None or at[0] != "40000":
                return None
            at = self._tree(at[1]).get(name)
        return at

    def _tree(self, name: str) -> dict[bytes, tuple[str, str]]:
        found = self._trees.get(name)
        if found is None:
            read = self._objects.read(name)
            if read is None or read.kind != "tree":
                raise GitError(f"cannot read tree '{self.directory}': {self._objects.said() or 'bad tree object'}")
            entries = _ENTRY[len(read.id) // 2].findall(read.data)
            found = {entry: (mode.decode(), raw.hex()) for mode, entry, raw in entries}
            self._trees[name] = found
        return found

    def read(self, commit: str, path: str) -> bytes | None:
        """A file of a commit; None where there is none that can be read, or it is none. Raises GitError as `entry`."""
        entry = self.entry(commit, path)
        return self.blob(entry[1]) if entry and entry[0].startswith("100") else None

    def blob(self, name: str) -> bytes | None:
        """A blob by its id; None where it is larger than MAX_FILE or cannot be read. Raises GitError as `entry`."""
        found = self._objects.read(name)
        return found.data if found and found.kind == "blob" else None

    def file_facts(self, commit: str, path: str) -> FileFacts | None:
        """What a header of a commit says; None where it is not there. Raises GitError as `entry`."""
        entry = self.entry(commit, path)
        if entry is None:
            return None
        if entry[1] not in self._facts:
            raw = self.blob(entry[1])
            if raw is None:
                return None
            self._facts[entry[1]] = read_facts(decode(raw))
        return self._facts[entry[1]]


class _State(NamedTuple):
    """What a path holds behind the patches so far."""

    raw: bytes | None  # None where there is no file
    known: bool = True  # False: the file is there or not, and what it holds is not known


_LOST = _State(None, False)
_ABSENT = _State(None)


class Refused(Exception):
    """A file diff cannot be applied; `why` is '' where nobody need be told."""

    def __init__(self, why: str, hunk: int | None = None, line: int | None = None) -> None:
        super().__init__(why)
        self.why, self.hunk, self.line = why, hunk, line


class Files:
    """The files of a commit, and what the patches of one series make of them, patch by patch."""

    def __init__(self, tree: Tree, commit: str) -> None:
        self.tree = tree
        self.commit = commit
        self._changed: dict[str, _State] = {}
        self._held = 0  # bytes in `_changed`
        self._search = Search(MAX_SEARCH)
        self._facts: Facts | None = None
        self._facts_read = False
        self.failures: list[Failure] = []  # the first MAX_TOLD
        self.failed = 0  # how many there are
        self.fitting = 0  # files of the base that patches were applied to
        self.trouble: str | None = None  # what git said when it could no longer read; nothing is had from then on

    def apply(self, patch: Patch) -> Applied:
        """The patch on top of the base and the patches before it. Raises nothing: what cannot be had is left out."""
        if self.trouble:
            return Applied({}, None)
        try:
            found = self._apply(patch)
            if not self._facts_read:
                self._facts, self._facts_read = self._read_facts(), True
        except GitError as error:
            self.trouble = str(error)
            return Applied({}, None)
        return Applied(found, self._facts)

    def raw(self, path: str) -> bytes | None:
        """A file behind the patches so far, as git has it; None where there is none, or what it holds is not known."""
        try:
            return self._state(path, {}).raw
        except (Refused, GitError):
            return None

    def _apply(self, patch: Patch) -> dict[int, Whole]:
        found: dict[int, Whole] = {}
        made: dict[str, _State] = {}
        created: set[str] = set()
        # git compares the files of a rename or copy with the tree before the patch, wherever they stand in the diff
        gone = {diff.old_path for diff in patch.files if diff.change in (Change.DELETED, Change.RENAMED)}
        bad = broken(patch)
        texts = 0
        for n, diff in enumerate(patch.files):
            try:
                if n in bad:
                    raise Refused("")  # an error of the review already
                whole, raw = self._one(patch, diff, made, gone)
                texts += len(whole.before or "") + len(whole.after or "") if whole else 0
                if texts > MAX_TEXT or self._held + len(raw or b"") > MAX_TEXT:
                    raise Refused("too much to keep in memory")
            except Refused as refused:
                self._lose(patch, diff, made, refused)
                continue
            # a name may be given away and taken again in one patch, in any order
            if diff.old_path and diff.change in (Change.DELETED, Change.RENAMED) and diff.old_path not in created:
                made[diff.old_path] = _ABSENT
            if diff.new_path:
                made[diff.new_path] = _State(raw)
                created.add(diff.new_path)
            self._held += len(raw or b"")
            self.fitting += diff.old_path is not None and diff.old_path not in self._changed
            if whole:
                found[n] = whole
        for path, state in made.items():
            if before := self._changed.get(path):
                self._held -= len(before.raw or b"")
            self._changed[path] = state
            if path in FACT_FILES:
                self._facts_read = False
        return found

    def _lose(self, patch: Patch, diff: FileDiff, made: dict[str, _State], refused: Refused) -> None:
        """Nothing is known of a file from here on; it is told once."""
        lost = (diff.new_path,) if diff.change is Change.COPIED else (diff.old_path, diff.new_path)
        made.update((path, _LOST) for path in lost if path)
        if refused.why:
            self.failed += 1
            if len(self.failures) < MAX_TOLD:
                self.failures.append(Failure(patch.index, diff.path, refused.hunk, refused.line, refused.why))

    def _one(
        self, patch: Patch, diff: FileDiff, made: Mapping[str, _State], gone: set[str | None]
    ) -> tuple[Whole | None, bytes | None]:
        """A file before and after, and its content after. Raises Refused."""
        if diff.binary or not all((mode or "100").startswith("100") for mode in (diff.old_mode, diff.new_mode)):
            raise Refused("")
        before: bytes | None = None
        old, new = diff.old_path, diff.new_path
        moved = diff.change in (Change.RENAMED, Change.COPIED)
        if old:
            state = self._state(old, {} if moved else made)
            if not state.known:
                if diff.change is Change.DELETED:
                    return None, None
                raise Refused("")  # told when it was lost
            if state.raw is None:
                raise Refused("is not in the base" if old not in self._changed else "is not there any more")
            before = state.raw
        if new and (moved or not old):
            there = self._state(new, made)
            if there.known and there.raw is not None and not (new in gone and new not in made):
                # without a new file mode, @@ -0,0 @@ may as well fill an empty file
                if there.raw or moved or (diff.new_mode and not diff.old_mode):
                    raise Refused("exists already")
                before = b""
        if not diff.hunks:
            if diff.change is Change.DELETED:
                return None, None
            empty = diff.new_id and any(name.startswith(diff.new_id) for name in _EMPTY)
            if not empty if diff.change is Change.ADDED else diff.old_id != diff.new_id:
                raise Refused("")  # binary, or left out
            text = decode(before or b"")
            return Whole(diff, None if diff.change is Change.ADDED else text, text), before or b""
        after, placed = apply_hunks(before or b"", diff, patch.mail, self._search)
        if diff.change is Change.DELETED:
            if after:
                raise Refused("is to be deleted, and is not what the patch deletes")
            return Whole(placed, decode(before or b""), None), None
        return Whole(placed, None if old is None else decode(before or b""), decode(after)), after

    def _state(self, path: str, made: Mapping[str, _State]) -> _State:
        known = made.get(path) or self._changed.get(path)
        if known:
            return known
        entry = self.tree.entry(self.commit, path)
        if entry is None:
            return _ABSENT
        if not entry[0].startswith("100"):
            return _LOST  # a symbolic link, a submodule, a directory
        raw = self.tree.blob(entry[1])
        if raw is None:
            raise Refused("is too large or cannot be read")
        return _State(raw)

    def after(self, path: str) -> str | None:
        """A file behind the patches so far; None where there is none, or it is not known. Raises nothing."""
        state = self._changed.get(path)
        if self.trouble or (state and (state.raw is None or not state.known)):
            return None
        if state is not None and state.raw is not None:
            return decode(state.raw)
        try:
            raw = self.tree.read(self.commit, path)
        except GitError:
            return None
        return None if raw is None else decode(raw)

    def _read_facts(self) -> Facts | None:
        read: dict[str, FileFacts] = {}
        for path in FACT_FILES:
            state = self._changed.get(path)
            if state is None or not state.known:
                found = self.tree.file_facts(self.commit, path)
            else:
                found = None if state.raw is None else read_facts(decode(state.raw))
            if found:
                read[path] = found
        return facts_of(read)


def blob_ids(patches: Iterable[Patch]) -> dict[str, str]:
    """The blob id, mostly abbreviated, of each file that a series changes, as it is before the series.

    As b4 takes them (LoreSeries.indexes): from the first patch that touches a file.
    """
    seen: set[str] = set()
    ids: dict[str, str] = {}
    for diff in (diff for patch in patches for diff in patch.files):
        if diff.old_path and diff.old_path not in seen and diff.old_id:
            ids[diff.old_path] = diff.old_id
        seen.update(path for path in (diff.old_path, diff.new_path) if path)
    return ids


def broken(patch: Patch) -> set[int]:
    """Indices of the file diffs in which something cannot be read: git would apply nothing of them."""
    if not patch.unreadable:
        return set()
    starts = [diff.message_line for diff in patch.files]
    return {max(bisect_right(starts, piece.message_line) - 1, 0) for piece in patch.unreadable}


# -- hunks ----------------------------------------------------------------------------------------


_TOO_FAR = "does not apply where it says, and to search further takes too long"


class Search:
    """How many more lines may be looked at to find where hunks belong."""

    def __init__(self, lines: int) -> None:
        self.left = lines


def apply_hunks(before: bytes, diff: FileDiff, mail: Mail, search: Search | None = None) -> tuple[bytes, FileDiff]:
    """The file after a diff, byte by byte what `git apply` makes of it, and the diff with the lines where it applies.

    The mail has the marks of missing line ends. Raises Refused where a hunk does not apply.
    """
    search = search or Search(MAX_SEARCH)
    refused: Refused | None = None
    ascii_only = all(line.text.isascii() for hunk in diff.hunks for line in hunk.lines)
    # git compares the mail's bytes; a mailer may have sent them in another charset than the file's
    for encoding in ("ascii",) if ascii_only else dict.fromkeys((mail.charset, "utf-8", "latin-1")):
        try:
            return _apply_hunks(before, diff, mail.body, search, encoding)
        except (LookupError, ValueError):  # what codecs raise
            refused = refused or Refused("does not apply")
        except Refused as error:
            refused = refused or error
    raise refused or Refused("does not apply")


class _Hole(NamedTuple):
    """A hunk that was applied: where, and by how much it made the file longer."""

    at: int  # index of its first line in the file as it is now
    longer: int
    hunk: Hunk


def _apply_hunks(
    before: bytes, diff: FileDiff, body: Sequence[str], search: Search, encoding: str
) -> tuple[bytes, FileDiff]:
    image = _Image(_split(before))
    holes: list[_Hole] = []
    unended = not before.endswith(b"\n")
    for number, hunk in enumerate(diff.hunks, 1):
        old, new, changes, trailing = _sides(hunk, body, encoding)
        unended = unended or not all(line.endswith(b"\n") for line in new)
        if not changes:
            raise Refused("has a hunk without a change", number, hunk.old_start)
        if not old and len(image):
            # git would put it at the end of the file
            raise Refused("has a hunk without context", number, hunk.old_start)
        at = image.find(old, hunk.new_start - 1, hunk.old_start <= 1, trailing == 0, search)
        if at is None:
            raise Refused("does not apply" if search.left > 0 else _TOO_FAR, number, hunk.old_start)
        hole = _Hole(at, len(new) - len(old), hunk)
        if holes and at < holes[-1].at:
            # above the one before it: rare, and everything behind it moves
            search.left -= len(holes) + len(image) // 8
            if search.left <= 0:
                raise Refused(_TOO_FAR, number, hunk.old_start)
            holes = [h._replace(at=h.at + hole.longer) if h.at >= at else h for h in holes]
            holes.insert(bisect_right(holes, at, key=lambda h: h.at), hole)
        else:
            holes.append(hole)
        image.replace(at, len(old), new)
    longer, hunks = 0, []
    for hole in holes:
        hunks.append(_placed(hole.hunk, hole.at - longer, hole.at))
        longer += hole.longer
    lines = image.lines()
    if unended and any(not line.endswith(b"\n") for line in lines[:-1]):
        raise Refused("has a line without an end before its last")  # git would join two
    return b"".join(lines), diff._replace(hunks=tuple(hunks))


def _sides(hunk: Hunk, body: Sequence[str], encoding: str) -> tuple[list[bytes], list[bytes], int, int]:
    """The lines before and after, with their ends; how many lines change, and how many of context end the hunk."""
    old: list[bytes] = []
    new: list[bytes] = []
    changes = trailing = 0
    for kind, text, _, _, number in hunk.lines:
        # the line behind it in the mail: body counts from 0, number from 1
        unended = 0 < number < len(body) and body[number].startswith("\\ ")
        raw = text.encode(encoding) if unended else (text + "\n").encode(encoding)
        if kind is LineKind.CONTEXT:
            old.append(raw)
            new.append(raw)
            trailing += 1
            continue
        changes, trailing = changes + 1, 0
        (new if kind is LineKind.ADDED else old).append(raw)
    return old, new, changes, trailing


class _Image:
    """The lines of a file while hunks are applied to it, mostly from top to bottom: `_done`, then what is left."""

    def __init__(self, lines: list[bytes]) -> None:
        self._done: list[bytes] = []
        self._rest = lines
        self._from = 0  # of `_rest` where what is left begins
        # stretches of `_done` that hunks have made, [begin, end), in order: git applies nothing on top of them
        self._made: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._done) + len(self._rest) - self._from

    def lines(self) -> list[bytes]:
        """All lines."""
        return self._done + self._rest[self._from :]

    def _slice(self, begin: int, end: int) -> list[bytes]:
        done = len(self._done)
        if begin >= done:
            shift = self._from - done
            return self._rest[begin + shift : end + shift]
        if end <= done:
            return self._done[begin:end]
        return self._done[begin:] + self._rest[self._from : self._from + end - done]

    def find(self, old: list[bytes], start: int, first: bool, last: bool, search: Search) -> int | None:
        """Where lines stand, nearest to `start`, as git's apply.c looks for it (find_pos()); None where nowhere.

        `first` and `last` demand the beginning and the end of the file.
        """
        size, count = len(self), len(old)
        if first or last:
            at = 0 if first else size - count
            if at < 0 or (last and at + count != size):
                return None
            return at if self._matches(old, at, last, search) else None
        start = min(max(start, 0), size)
        if self._matches(old, start, False, search):
            return start
        # look for the longest line, it is the rarest; the last may stand for another (see _matches)
        key = max(range(max(count - 1, 1)), key=lambda n: len(old[n]))
        wanted = old[key].removesuffix(b"\n")
        up, down = start, start
        while search.left > 0 and (up > 0 or down < size):
            # git tries one below, one above, two below, ...
            if down < size:
                down += 1
                search.left -= 1
                if self._line(down + key).startswith(wanted) and self._matches(old, down, False, search):
                    return down
            if up > 0:
                up -= 1
                search.left -= 1
                if self._line(up + key).startswith(wanted) and self._matches(old, up, False, search):
                    return up
        return None

    def _line(self, n: int) -> bytes:
        done = len(self._done)
        if n < done:
            return self._done[n]
        n += self._from - done
        return self._rest[n] if n < len(self._rest) else b""

    def _matches(self, old: list[bytes], at: int, last: bool, search: Search) -> bool:
        end = at + len(old)
        if end > len(self):
            return False
        search.left -= len(old)
        here = self._slice(at, end)
        if here != old:
            # git compares hashes that ignore white space, and then as many bytes as the hunk has: a last line of
            # context without its end stands for one with its end
            if last or not old or here[:-1] != old[:-1] or old[-1].endswith(b"\n"):
                return False
            if not here[-1].startswith(old[-1]) or here[-1][len(old[-1]) :].strip(_SPACE):
                return False
        return at >= len(self._done) or self._untouched(at, end)

    def _untouched(self, begin: int, end: int) -> bool:
        n = bisect_right(self._made, (begin, len(self)))
        return (n == 0 or self._made[n - 1][1] <= begin) and (n == len(self._made) or self._made[n][0] >= end)

    def replace(self, at: int, count: int, new: list[bytes]) -> None:
        """Put lines in the place of `count` others."""
        done = len(self._done)
        if at < done:
            longer = len(new) - count
            self._rest, self._from = self.lines(), 0
            self._rest[at : at + count] = new
            made = [(b + longer, e + longer) if b >= at else (b, e) for b, e in self._made]
            made.insert(bisect_right(made, (at, 0)), (at, at + len(new)))
            self._made = [stretch for stretch in made if stretch[0] < stretch[1]]
            end = self._made[-1][1] if self._made else 0
            self._done, self._rest = self._rest[:end], self._rest[end:]
            return
        begin = self._from + at - done
        self._done.extend(self._rest[self._from : begin])
        self._done.extend(new)
        self._from = begin + count
        if new:
            self._made.append((at, at + len(new)))


def _split(raw: bytes) -> list[bytes]:
    """Lines with their ends; the last may have none."""
    if b"\r" not in raw:
        return raw.splitlines(keepends=True)
    lines = [line + b"\n" for line in raw.split(b"\n")]
    last = lines.pop()[:-1]
    if last:
        lines.append(last)
    return lines


def _placed(hunk: Hunk, old_at: int, new_at: int) -> Hunk:
    """The hunk with the line numbers of where it applies; indices from 0."""
    # of a side without lines, a header names the line before
    old_start, new_start = old_at + (hunk.old_count > 0), new_at + (hunk.new_count > 0)
    if (old_start, new_start) == (hunk.old_start, hunk.new_start):
        return hunk
    old, new = old_start - hunk.old_start, new_start - hunk.new_start
    lines = tuple(
        Line(
            line.kind,
            line.text,
            None if line.old is None else line.old + old,
            None if line.new is None else line.new + new,
            line.message_line,
        )
        for line in hunk.lines
    )
    return hunk._replace(old_start=old_start, new_start=new_start, lines=lines)


# -- facts ----------------------------------------------------------------------------------------


class FileFacts(NamedTuple):
    """What one header says: see `Facts`."""

    names: frozenset[str]
    foll: Mapping[str, int]


def facts_of(read: Mapping[str, FileFacts]) -> Facts | None:
    """What headers say together, by their paths; None where there are none."""
    if not read:
        return None
    names = frozenset[str]().union(*(found.names for found in read.values()))
    foll = {name: bit for found in read.values() for name, bit in found.foll.items()}
    return Facts(names, foll, frozenset(read[_INTERNAL].foll if _INTERNAL in read else ()))


def kernel_version(makefile: bytes) -> tuple[int, int] | None:
    """What the Makefile at the top of a tree says; None where it is not the kernel's."""
    match = _VERSION.search(makefile)
    return (int(match[1]), int(match[2])) if match else None


def read_facts(text: str) -> FileFacts:
    """The functions and macros that a header declares or defines, and the bits of its FOLL_ flags."""
    names: set[str] = set()
    foll: dict[str, int] = {}
    for line in text.split("\n"):
        # declarations begin at the margin; what is indented is a body, or goes on from the line before
        if "(" in line and (line[0].isalpha() or line[0] == "_"):
            names.update(_CALLED.findall(line.partition("{")[0]))
        elif "define" in line and (macro := _MACRO.match(line)):
            names.add(macro[1])
        if "FOLL_" in line:
            for name, shift, bit, mask in _FLAG.findall(line):
                value = int(mask, 16) if mask else 1 << int(shift or bit)
                if value and not value & (value - 1):
                    foll.setdefault(name, value.bit_length() - 1)
    return FileFacts(frozenset(names), foll)


def decode(raw: bytes) -> str:
    """A file as text: UTF-8, else Latin-1. Its lines are what stands between line feeds."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}es"
