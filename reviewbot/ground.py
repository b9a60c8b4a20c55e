# SPDX-License-Identifier: GPL-2.0-or-later
"""The tree that a series applies to, as the rules over a series ask for it: `dossier.SeriesTree` for both kinds.

Belongs here: what a file is before the first patch and behind the last, and where words stand in a whole tree. Does not
belong here: applying patches (`tree`), reading commits (`source.commits`), how git is called (`git`).

A word is looked for by `git grep`, one for all words of a question. In a commit it unpacks every file: six seconds for
Linux 6.12. Where there is a work tree whose files are the commit's but for a few, as git's index says, its files are
read instead, in one second, and those few from the commit.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import cached_property

from reviewbot.dossier import Commit, Hit
from reviewbot.git import GitError, Object, output, run
from reviewbot.model import Change, Patch, Series
from reviewbot.source.commits import CommitFiles
from reviewbot.tree import Files, decode

# Words of one question. They are one pattern: of several, git looks for each again behind each hit of another.
MAX_WORDS = 64
# Places of one word that are told; printk() has ten times as many.
MAX_HITS = 1_000
# What git may print for one question, and how long it may take, in seconds.
MAX_OUTPUT = 32 * 1024 * 1024
PATIENCE = 60.0
# Characters of a line that are kept.
MAX_LINE = 500
# Files of a work tree that may differ from the commit before the commit is read instead.
MAX_DIFFERING = 500

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_RUNS = re.compile(rb"\w+", re.A)
_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_ENDING = re.compile(r"\*\.[A-Za-z0-9]{1,20}")
_WHEN = re.compile(rb"^committer .*? (\d{1,12}) ([+-])(\d\d)(\d\d)$", re.M)
# Everything that a configuration might change of what is printed is said.
_GREP = (
    "grep",
    *("-n", "-w", "-E", "-z", "-a", "--full-name", "--no-color", "--no-column", "--no-textconv"),
    "--no-recurse-submodules",
)


class TreeGround:
    """A repository and mailed patches that were applied to it in memory."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def before(self, path: str) -> str | None:
        """A file as the base has it; None where there is none."""
        try:
            raw = self._files.tree.read(self._files.commit, path)
        except GitError:
            return None
        return None if raw is None else decode(raw)

    def after(self, path: str) -> str | None:
        """A file behind the last patch; None where there is none, or the patches do not apply to it."""
        return self._files.after(path)

    def grep(
        self, words: Collection[str], paths: Sequence[str] = (), commit: str | None = None
    ) -> Mapping[str, tuple[Hit, ...]] | None:
        """Where words stand in the base, or in another commit; None where it cannot be found out."""
        return grep(self._files.tree.directory, commit or self._files.commit, words, paths)

    def commit(self, name: str) -> Commit | None:
        """A commit by its hash, which may be short; None where there is none, or several."""
        try:
            return read_commit(self._files.tree.raw_commit(name))
        except GitError:
            return None


class CommitGround:
    """A repository and commits of it, or what is staged."""

    def __init__(self, files: CommitFiles, series: Series) -> None:
        self._repository = files.repository
        self._base = files.base
        self._patches = series.patches

    def before(self, path: str) -> str | None:
        """A file as the commit before the first has it; None where there is none."""
        return self._read(self._base, path)

    def after(self, path: str) -> str | None:
        """A file behind the last commit; None where there is none, or the commits do not follow one another."""
        if not self._in_a_row or not self._patches:
            return None
        last = self._patches[-1]
        if last.commit is not None:
            return self._read(last.commit, path)
        return self._staged(last, path)

    def grep(
        self, words: Collection[str], paths: Sequence[str] = (), commit: str | None = None
    ) -> Mapping[str, tuple[Hit, ...]] | None:
        """Where words stand in the base, or in another commit; None where it cannot be found out."""
        if not self._in_a_row:
            return None
        where = commit or self._base
        if where is None:
            return dict.fromkeys(words, ())  # the first commit is a root: there is nothing before it
        return grep(self._repository.directory, where, words, paths, own=True)

    def commit(self, name: str) -> Commit | None:
        """A commit by its hash, which may be short; None where there is none, or several."""
        try:
            return read_commit(self._repository.raw_commit(name))
        except GitError:
            return None

    @cached_property
    def _in_a_row(self) -> bool:
        """Each commit's parent is the one before it: single commits that a person names need not be neighbours."""
        parent = self._base
        for patch in self._patches:
            if patch.commit is None:
                return len(self._patches) == 1
            try:
                raw = self._repository.raw_commit(patch.commit)
            except GitError:
                return False
            match = re.search(rb"^parent ([0-9a-f]+)$", raw.data.partition(b"\n\n")[0], re.M) if raw else None
            if raw is None or (match[1].decode() if match else None) != parent:
                return False
            parent = raw.id
        return True

    def _read(self, commit: str | None, path: str) -> str | None:
        try:
            raw = self._repository.read(commit, path) if commit else None
        except GitError:
            return None
        return None if raw is None else decode(raw)

    def _staged(self, patch: Patch, path: str) -> str | None:
        for diff in patch.files:
            if path == diff.new_path and diff.hunks:
                raw = self._repository.blob(diff.new_id) if diff.new_id else None
                return None if raw is None else decode(raw)
            if path == diff.new_path and diff.change is Change.RENAMED:
                return self.before(diff.old_path or "")
            if path == diff.old_path and diff.change in (Change.DELETED, Change.RENAMED):
                return None
        return self.before(path)


def find_ground(series: Series, files: Files | CommitFiles | None) -> TreeGround | CommitGround | None:
    """The tree below a series, of the files that it is reviewed with; None where there are none. Reads nothing."""
    if isinstance(files, Files):
        return TreeGround(files)
    return CommitGround(files, series) if isinstance(files, CommitFiles) else None


def read_commit(raw: Object | None) -> Commit | None:
    """A commit as git keeps it; None where there is none."""
    if raw is None:
        return None
    head, _, message = raw.data.partition(b"\n\n")
    title = decode(message).lstrip("\n").partition("\n\n")[0]
    return Commit(raw.id, " ".join(title.split()), _date(head))


def _date(head: bytes) -> datetime | None:
    match = _WHEN.search(head)
    if match is None:
        return None
    offset = timedelta(hours=int(match[3]), minutes=int(match[4]))
    try:
        date = datetime.fromtimestamp(int(match[1]), UTC)
        return date.astimezone(timezone(-offset if match[2] == b"-" else offset))
    except (ValueError, OverflowError, OSError):
        return None


# -- words ----------------------------------------------------------------------------------------


def grep(
    directory: str, commit: str, words: Collection[str], paths: Sequence[str] = (), *, own: bool = False
) -> Mapping[str, tuple[Hit, ...]] | None:
    """Where words stand as whole words in the files of a commit, the first MAX_HITS of each, by path and line.

    `paths` are directories, files, or "*.h". None where a word is no identifier, a path is none, git cannot read the
    repository, or it is too much.
    """
    wanted = sorted(set(words))
    if not wanted:
        return {}
    if len(wanted) > MAX_WORDS or not all(map(_WORD.fullmatch, wanted)) or not _HASH.fullmatch(commit):
        return None
    if not all(path and path.isprintable() and path.isascii() for path in paths):
        return None
    patterns = ("-e", "|".join(wanted))
    below = [
        f":(top){path}" if _ENDING.fullmatch(path) else f":(top,literal){path.removesuffix('/')}" for path in paths
    ] or [":(top)"]
    wide = not paths or any(map(_ENDING.fullmatch, paths))
    try:
        differing = _differing(directory, commit, own) if wide else None
        if differing is None:
            lines = _lines(directory, commit, patterns, below, own)
        else:
            lines = _lines(directory, None, patterns, below, own)
            there = [path for path in sorted(differing) if _covered(path, paths)]
            if lines is not None and there:
                of_commit = _lines(directory, commit, patterns, [f":(top,literal){path}" for path in there], own)
                lines = [line for line in lines if line[0] not in differing]
                lines = None if of_commit is None else [*lines, *of_commit]
    except GitError:
        return None
    return None if lines is None else _by_word(wanted, sorted(lines))


def _by_word(wanted: Sequence[str], found: Iterable[tuple[str, int, bytes]]) -> dict[str, tuple[Hit, ...]]:
    """The lines by the words that are in them."""
    known = {word.encode(): word for word in wanted}
    hits: dict[str, list[Hit]] = {word: [] for word in wanted}
    for path, number, raw in found:
        hit: Hit | None = None
        for word in set(_RUNS.findall(raw)) & known.keys():
            mine = hits[known[word]]
            if len(mine) < MAX_HITS:
                hit = hit or Hit(path, number, decode(raw[: MAX_LINE * 4])[:MAX_LINE])
                mine.append(hit)
    return {word: tuple(mine) for word, mine in hits.items()}


def _lines(
    directory: str, commit: str | None, patterns: Sequence[str], below: Sequence[str], own: bool
) -> list[tuple[str, int, bytes]] | None:
    """(path, line, text) of what git finds in a commit, or in the work tree; None where it fails, or it is too much."""
    which = [commit] if commit else []
    done = output(directory, *_GREP, *patterns, *which, "--", *below, own=own, most=MAX_OUTPUT, patience=PATIENCE)
    if done is None:
        return None
    code, out, err = done
    # a file that cannot be read is complained of and left out: then nothing is known
    if code not in (0, 1) or any(line and not line.startswith(b"warning: ") for line in err.split(b"\n")):
        return None
    prefix = f"{commit}:".encode() if commit else b""
    found: list[tuple[str, int, bytes]] = []
    for line in out.split(b"\n"):
        path, _, rest = line.partition(b"\0")
        number, _, text = rest.partition(b"\0")
        # a line with a NUL is no text; a name with a line feed makes two lines, of which none is right
        if not path.startswith(prefix) or not number.isdigit() or len(number) > 9 or b"\0" in text:
            continue
        found.append((path[len(prefix) :].decode("utf-8", "replace"), int(number), text))
    return found


def _covered(path: str, paths: Sequence[str]) -> bool:
    return not paths or any(
        path.endswith(one[1:]) if _ENDING.fullmatch(one) else path == one or path.startswith(f"{one.rstrip('/')}/")
        for one in paths
    )


def _differing(directory: str, commit: str, own: bool) -> frozenset[str] | None:
    """The tracked files of the work tree that are not the commit's; None where there is no work tree, or there are too
    many of them.

    The index says so: nothing of a file is read, so no filter that the repository configures is run; those that git
    might run, where a time stamp does not tell, are taken out.
    """
    code, out, _ = run(directory, "rev-parse", "--is-inside-work-tree", own=own)
    if code or not out.startswith(b"true\n"):
        return None
    code, out, _ = run(directory, "config", "-z", "--name-only", "--get-regexp", r"^filter\.", own=own)
    keys = {key for key in out.decode("utf-8", "replace").split("\0") if key} if not code else set[str]()
    if len(keys) > 100:
        return None
    drivers = {key.rpartition(".")[0] for key in keys}
    off = [(f"{name}.{what}", "") for name in sorted(drivers) for what in ("clean", "process")]
    off += [(f"{name}.required", "false") for name in sorted(drivers)]
    names: set[str] = set()
    options = ("--name-only", "-z", "--no-renames", "--no-relative", "--ignore-submodules=all")
    for words in (
        ("diff-index", "--cached", "--ita-invisible-in-index", *options, commit, "--"),
        ("diff-files", *options, "--"),
        ("ls-files", "-v", "-z", "--full-name", ":(top)"),
    ):
        done = output(directory, *words, own=own, settings=off, most=MAX_OUTPUT)
        if done is None or done[0]:
            return None
        entries = done[1].decode("utf-8", "surrogateescape").split("\0")[:-1]
        if words[0] == "ls-files":
            # what is in a sparse work tree's index alone, or may have been changed behind git's back
            entries = [entry[2:] for entry in entries if not entry.startswith("H ")]
        names.update(entries)
        if len(names) > MAX_DIFFERING:
            return None
    return frozenset(names)
