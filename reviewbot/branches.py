# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a series applies to branches of a tree, what they have of it already, and which commit is in its way.

Belongs here: walking the patches over a branch's files, and finding in its history what moved or changed the lines
that a hunk wants. Does not belong here: applying a hunk (`tree`), what is said of it (rules, `commands`). All in
memory; git is given hashes, names of branches that look like ones, and literal paths behind `--`, each command with a
time and a size that it may take. The patches and the tree's content are not trusted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from time import monotonic
from typing import NamedTuple

from reviewbot.config import REF_NAME
from reviewbot.dossier import Commit, Conflict, Standing
from reviewbot.git import GitError, glimpse, run
from reviewbot.ground import read_commit
from reviewbot.mail import fold_title
from reviewbot.model import Change, FileDiff, Hunk, LineKind, Mail, Patch, Series
from reviewbot.tree import MAX_SEARCH, MAX_TEXT, Refused, Search, Tree, apply_hunks, broken, decode

# Seconds of git's for all branches of a series, and for one command.
MAX_SECONDS = 60.0
_COMMAND_SECONDS = 15.0
# Conflicts of a branch that a commit is looked for.
MAX_BLAMED = 10
# Commits of a branch whose titles are read, and those that touch one path; a merge window has 15,000.
_COMMITS = 50_000
_TOUCHING = 500
# Without a known base, how far before the series a branch is searched.
_BACK = timedelta(days=365)
_TITLES_SIZE = 16 * 1024 * 1024
_DIFF_SIZE = 8 * 1024 * 1024
_MOVES = 5  # renames of one file that are followed
_LONGEST_PATH = 4096  # what Linux takes
_TELLING = 6  # letters and digits of a line that is not everywhere
_REACH = 60  # lines that may have been put between two of a hunk

_HASH = re.compile(rb"[0-9a-f]{40,64}")
_WORDS = re.compile(r"\w")
_DEFINED = re.compile(r"[ \t]*#[ \t]*define[ \t]+(\w+)|[ \t]+([A-Z]\w+)(?=[ \t]*[=,])")
# without --root: the commit that a shallow clone or an import begins with has changed nothing
_PLUMBING = ("-r", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--no-relative")
_PATCH = ("-p", "-U0", "--src-prefix=a/", "--dst-prefix=b/")


def find_branch(tree: Tree, name: str) -> str | None:
    """The full hash of the commit that a branch, tag or hash of a tree is; None where there is none of that name.

    Raises GitError where git is not there or hangs.
    """
    if not REF_NAME.fullmatch(name) or ".." in name:
        return None
    code, out, _ = run(tree.directory, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    found = out.strip()
    return found.decode() if not code and _HASH.fullmatch(found) else None


def standings(tree: Tree, names: Iterable[str], series: Series, base: str | None = None) -> tuple[Standing, ...]:
    """How a series stands on branches, in their order; a name that the tree does not have is left out.

    `base` is the full hash of the commit that the series applies to, None where that is not known: then what a branch
    has from a year before the series on is searched for what is in the way. Nothing is raised: a branch that git cannot
    read is left out, too.
    """
    found: list[Standing] = []
    effort = _Effort(tree.directory, MAX_SECONDS)
    tips: dict[str, Standing] = {}
    for name in dict.fromkeys(names):
        try:
            tip = find_branch(tree, name)
            if tip is None:
                continue
            if tip not in tips:
                tips[tip] = _Branch(tree, tip, series, base, effort).standing(name)
            found.append(tips[tip]._replace(branch=name))
        except GitError:
            continue
    return tuple(found)


# -- git ------------------------------------------------------------------------------------------


class _Effort:
    """git commands that only help; what takes too long is not known."""

    def __init__(self, directory: str, seconds: float) -> None:
        self._directory = directory
        self._until = monotonic() + seconds

    def read(self, *words: str, size: int, given: bytes = b"") -> bytes:
        """What git prints within its time and `size` bytes; b'' where it fails."""
        left = min(self._until - monotonic(), _COMMAND_SECONDS)
        if left <= 0:
            return b""
        got = glimpse(self._directory, *words, seconds=left, size=size, given=given)
        return got[0] if got else b""

    def lines(self, *words: str, size: int, given: bytes = b"") -> list[bytes]:
        """The same as lines without their ends, as far as they are whole."""
        return self.read(*words, size=size, given=given).split(b"\n")[:-1]


def _range(tip: str, base: str | None, series: Series) -> tuple[str, ...]:
    if base:
        return (tip, f"^{base}")
    dates = [patch.mail.date for patch in series.patches if patch.mail.date]
    try:
        return (f"--max-age={max(int((min(dates) - _BACK).timestamp()), 0)}", tip) if dates else (tip,)
    except (OverflowError, ValueError):  # a clock at the end of days
        return (tip,)


# -- one branch -----------------------------------------------------------------------------------


class _Lost(Exception):
    """What a file holds is not known: nothing can be said of a diff to it."""


class _Clash(NamedTuple):
    """A conflict, and what is needed to find its cause."""

    conflict: Conflict
    diff: FileDiff
    before: bytes | None  # the file as the patch finds it; None where there is none


class _Patched(NamedTuple):
    """What became of a patch."""

    made: dict[str, bytes | None]  # the files that it changed
    unknown: set[str]  # files of which nothing is known behind it
    clashes: list[_Clash]
    there: bool  # the branch has all of it


class _Branch:
    """The files of a branch's tip while patches are applied to them."""

    def __init__(self, tree: Tree, tip: str, series: Series, base: str | None, effort: _Effort) -> None:
        self._tree, self._tip, self._series, self._effort = tree, tip, series, effort
        self._range = _range(tip, base, series)
        self._changed: dict[str, bytes | None] = {}
        self._unknown: set[str] = set()
        self._held = 0
        self._search = Search(MAX_SEARCH)
        self._titles: dict[str, list[tuple[str, str]]] | None = None
        self._gone: dict[str, _Gone | None] = {}
        self._walked: list[bytes] = []
        self._walked_for: frozenset[str] = frozenset()

    def standing(self, name: str) -> Standing:
        """How the series stands."""
        applied: list[int] = []
        clashes: list[_Clash] = []
        patches = self._series.patches
        at = 0
        while at < len(patches):
            done = self._patch(patches[at])
            # what was applied and then changed once more: its author and title tell, or that all up to a later one is
            run = 1 if done.there or (done.clashes and self._has(patches[at])) else 0
            if done.clashes and not run:
                run = self._applied_run(patches[at:])
            if run:
                applied += [patch.index for patch in patches[at : at + run]]
                at += run
                continue
            self._take(done)
            clashes += done.clashes
            at += 1
        # a walk over the history takes seconds: one for all of them
        wanted = [clash.diff.old_path or clash.diff.path for clash in clashes[:MAX_BLAMED]]
        self._walked_for = frozenset(wanted)
        self._walked = self._walk(list(dict.fromkeys(wanted)))
        conflicts = [
            self._blame(clash) if number < MAX_BLAMED else clash.conflict for number, clash in enumerate(clashes)
        ]
        return Standing(name, self._tip, tuple(conflicts), tuple(applied), self._commit(self._tip).date)

    def _take(self, done: _Patched) -> None:
        for path, raw in done.made.items():
            self._held += len(raw or b"") - len(self._changed.get(path) or b"")
            self._changed[path] = raw
        self._unknown |= done.unknown

    # -- applying ---------------------------------------------------------------------------------

    def _patch(self, patch: Patch) -> _Patched:
        done = _Patched({}, set(), [], False)
        # as `git apply`: the files of a rename or copy are compared with the tree before the patch
        gone = {diff.old_path for diff in patch.files if diff.change in (Change.DELETED, Change.RENAMED)}
        bad = broken(patch)
        there = 0
        for n, diff in enumerate(patch.files):
            paths = {path for path in (diff.old_path, diff.new_path) if path}
            try:
                if n in bad or paths & done.unknown:
                    raise _Lost
                made = self._forward(patch.mail, diff, done.made, gone)
                if self._held + sum(len(raw or b"") for raw in made.values()) > MAX_TEXT:
                    raise _Lost
                done.made.update(made)
            except _Lost:
                done.unknown.update(paths)
            except Refused as refused:
                if self._is_there(patch.mail, diff, done.made):
                    there += 1
                    continue
                conflict = Conflict(patch.index, diff.path, refused.hunk, refused.line, refused.why)
                done.clashes.append(_Clash(conflict, diff, self._peek(diff.old_path or diff.path, done.made)))
                done.unknown.update(paths)
        return done._replace(there=bool(patch.files) and there == len(patch.files))

    def _read(self, path: str, made: Mapping[str, bytes | None]) -> bytes | None:
        """What a file holds; None where there is none. Raises _Lost where it cannot be known."""
        if path in self._unknown:
            raise _Lost
        for known in (made, self._changed):
            if path in known:
                return known[path]
        entry = self._tree.entry(self._tip, path)
        if entry is None:
            return None
        raw = self._tree.blob(entry[1]) if entry[0].startswith("100") else None
        if raw is None:
            raise _Lost  # a symbolic link, a submodule, a directory; too large
        return raw

    def _peek(self, path: str, made: Mapping[str, bytes | None]) -> bytes | None:
        try:
            return self._read(path, made)
        except _Lost:
            return b""

    def _forward(
        self, mail: Mail, diff: FileDiff, made: Mapping[str, bytes | None], gone: Collection[str | None]
    ) -> dict[str, bytes | None]:
        """The files that a diff makes of others. Raises Refused, and _Lost."""
        old, new = diff.old_path, diff.new_path
        if diff.binary:
            return self._binary(diff, made)
        if not all((mode or "100").startswith("100") for mode in (diff.old_mode, diff.new_mode)):
            raise _Lost
        moved = diff.change in (Change.RENAMED, Change.COPIED)
        before = b""
        if old:
            raw = self._read(old, {} if moved else made)
            if raw is None:
                raise Refused("is not in the branch" if old not in self._changed else "is not there any more")
            before = raw
        if new and (moved or not old) and self._read(new, made) is not None and not (new in gone and new not in made):
            raise Refused("exists already")
        after = apply_hunks(before, diff, mail, self._search)[0] if diff.hunks else before
        changes: dict[str, bytes | None] = {}
        if old and diff.change in (Change.DELETED, Change.RENAMED):
            if diff.change is Change.DELETED and diff.hunks and after:
                raise Refused("is to be deleted, and is not what the patch deletes")
            changes[old] = None
        if new:
            changes[new] = after
        return changes

    def _binary(self, diff: FileDiff, made: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
        """As `_forward`; of what is not text only the ids tell."""
        paths = {path for path in (diff.old_path, diff.new_path) if path}
        if any(path in made or path in self._changed for path in paths):
            raise _Lost
        path = diff.old_path or diff.path
        entry = self._tree.entry(self._tip, path)
        if diff.old_path and entry is None:
            raise Refused("is not in the branch")
        if diff.old_path is None and entry is not None:
            raise Refused("exists already")
        if entry and diff.old_id and not entry[1].startswith(diff.old_id):
            raise Refused("does not apply")
        raise _Lost  # it applies, and nobody knows what it makes

    def _is_there(self, mail: Mail, diff: FileDiff, made: Mapping[str, bytes | None]) -> bool:
        """The file is what the diff makes of it."""
        try:
            self._backward(mail, diff, made)
        except (Refused, _Lost):
            return False
        return True

    def _backward(self, mail: Mail, diff: FileDiff, made: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
        """The files before a diff, where they are what it has made. Raises Refused, and _Lost."""
        old, new = diff.old_path, diff.new_path
        if diff.binary:
            entry = self._tree.entry(self._tip, diff.path)
            if any(path in made or path in self._changed for path in (old, new) if path):
                raise _Lost
            if new is None or not diff.new_id or entry is None or not entry[1].startswith(diff.new_id):
                raise Refused("is not there")
            return {}
        if new is None:
            if old is None or self._read(old, made) is not None:
                raise Refused("is there")
            if old not in made and (gone := self._find_gone(old)) and gone.renamed_to:
                raise Refused("was renamed")
            return {old: apply_hunks(b"", reverse(diff), mail, self._search)[0] if diff.hunks else b""}
        after = self._read(new, made)
        if after is None or (diff.change is Change.RENAMED and old and self._read(old, made) is not None):
            raise Refused("is not there")
        before = apply_hunks(after, reverse(diff), mail, self._search)[0] if diff.hunks else after
        if old is None:
            if before:
                raise Refused("is not what the patch adds")
            return {new: None}
        if diff.change is Change.MODIFIED:
            return {new: before}
        return {new: None} if diff.change is Change.COPIED else {new: None, old: before}

    def _applied_run(self, patches: Sequence[Patch]) -> int:
        """How many patches from the first on the branch has, though later ones have changed them again; 0: none."""
        for count in range(len(patches), 1, -1):
            made: dict[str, bytes | None] = {}
            try:
                for patch in reversed(patches[:count]):
                    if not patch.files or broken(patch):
                        raise _Lost
                    for diff in reversed(patch.files):
                        made.update(self._backward(patch.mail, diff, made))
            except (Refused, _Lost):
                continue
            return count
        return 0

    # -- history ----------------------------------------------------------------------------------

    def _has(self, patch: Patch) -> bool:
        """A commit of the branch has the title and the author of a patch."""
        if self._titles is None:
            self._titles = {}
            wanted = {fold_title(one.subject.title) for one in self._series.patches}
            lines = self._effort.lines(
                "rev-list",
                "--no-merges",
                f"--max-count={_COMMITS}",
                "--encoding=UTF-8",
                "--format=tformat:%an%x00%ae%x00%s",
                *self._range,
                "--",
                size=_TITLES_SIZE,
            )
            for line in lines:
                name, _, rest = line.partition(b"\0")
                mail, zero, title = rest.partition(b"\0")
                if zero and (text := fold_title(decode(title))) in wanted:
                    self._titles.setdefault(text, []).append((decode(name).lower(), decode(mail).lower()))
        author = patch.author
        return any(
            mail == author.email.lower() or (name == author.name.lower() and name)
            for name, mail in self._titles.get(fold_title(patch.subject.title), ())
        )

    def _walk(self, paths: Sequence[str]) -> list[bytes]:
        """The commits of the branch that touch one of some paths, newest first."""
        specs = [_spec(path) for path in paths if _plain(path)]
        if not specs:
            return []
        most = _TOUCHING * len(specs)
        words = ("rev-list", "--no-merges", f"--max-count={most}", *self._range, "--", *specs)
        return [line for line in self._effort.lines(*words, size=100 * most) if _HASH.fullmatch(line)]

    def _touching(self, path: str, *options: str) -> list[str]:
        """The commits that touch a path, newest first; `options` of git diff-tree may leave some of them out."""
        if not _plain(path):
            return []
        commits = self._walked if path in self._walked_for else self._walk([path])
        given = b"".join(name + b"\n" for name in commits)
        words = ("diff-tree", "--stdin", "--name-only", *options, *_PLUMBING, "--", _spec(path))
        lines = self._effort.lines(*words, size=_DIFF_SIZE, given=given) if commits else []
        return [line.decode() for line in lines if _HASH.fullmatch(line)]

    def _find_gone(self, path: str) -> _Gone | None:
        """Which commit took a file away that the branch does not have; None where that is not known."""
        if path not in self._gone:
            self._gone[path] = self._look_for_gone(path)
        return self._gone[path]

    def _look_for_gone(self, path: str) -> _Gone | None:
        first: str | None = None
        at = path
        for _ in range(_MOVES):
            taken = next(iter(self._touching(at, "--diff-filter=D")), None)
            if taken is None:
                break
            first = first or taken
            to = self._renamed(taken, at)
            if to is None:
                return _Gone(first, None)
            at = to
            if self._tree.entry(self._tip, at) is not None:
                return _Gone(first, at)
        return _Gone(first, None) if first else None

    def _renamed(self, commit: str, path: str) -> str | None:
        """What a commit renamed a file to; None where it did not."""
        words = ("diff-tree", "-r", "-M", "-l1000", "--raw", "-z", "--diff-filter=R", "--no-commit-id")
        fields = self._effort.read(*words, "--no-ext-diff", commit, "--", size=_DIFF_SIZE).split(b"\0")
        # ":100644 100644 1234 5678 R090", old, new, ...
        for old, new in zip(fields[1::3], fields[2::3], strict=False):
            if old == path.encode(errors="replace"):
                try:
                    return new.decode()
                except UnicodeDecodeError:
                    return None
        return None

    # -- the commit in the way --------------------------------------------------------------------

    def _blame(self, clash: _Clash) -> Conflict:
        """The conflict with what has brought it about, as far as that is found."""
        conflict, diff, before = clash
        if before is None:
            gone = self._find_gone(diff.old_path) if diff.old_path and diff.old_path not in self._changed else None
            if gone is None:
                return conflict
            why = f"was renamed to {gone.renamed_to}" if gone.renamed_to else "was deleted"
            return conflict._replace(why=why, cause=self._commit(gone.commit), moved_to=gone.renamed_to)
        path = diff.old_path or diff.path
        if conflict.hunk is None or conflict.hunk > len(diff.hunks):
            # it exists already, or is not what is to be deleted, or is binary: whatever touched it last
            touching = self._touching(path)
            return conflict._replace(cause=self._commit(touching[0])) if touching else conflict
        hunk = diff.hunks[conflict.hunk - 1]
        absent, between = _differences(
            [line.text for line in hunk.lines if line.kind is not LineKind.ADDED],
            decode(before).split("\n"),
            hunk.old_start - 1,
        )
        found = self._cause(path, absent, between)
        if found is None:
            return conflict
        conflict = conflict._replace(cause=self._commit(found.commit))
        to, moved = self._moved(found, path)
        return conflict._replace(moved_to=to, moved=moved) if to else conflict

    def _commit(self, name: str) -> Commit:
        """A commit of the branch with its title."""
        return read_commit(self._tree.raw_commit(name)) or Commit(name, "")

    def _cause(self, path: str, absent: Sequence[str], between: Sequence[str]) -> _Cause | None:
        """The newest commit that removed a line which the branch's file has no more, else that put one in between."""
        if not absent and not between:
            return None
        touching = self._touching(path)
        if not touching:
            return None
        given = "".join(f"{name}\n" for name in touching[:_TOUCHING]).encode()
        lines = self._effort.lines(
            "diff-tree", "--stdin", *_PATCH, *_PLUMBING, "--", _spec(path), size=_DIFF_SIZE, given=given
        )
        for commit, removed, added in _changes(lines):
            if absent:
                gone = tuple(text for text in absent if removed[text] > added[text])
                if gone:
                    return _Cause(commit, gone)
            elif any(added[text] > removed[text] for text in between):
                return _Cause(commit, ())
        return None

    def _moved(self, cause: _Cause, path: str) -> tuple[str | None, tuple[str, ...]]:
        """The other file that the same commit put a line into and that still has it, and which lines; None: nowhere."""
        wanted = {key: text for text in cause.gone for key in _keys(text)}
        if not wanted:
            return None, ()
        words = ("diff-tree", "--no-commit-id", *_PATCH, *_PLUMBING, cause.commit, "--")
        found: dict[str, set[str]] = {}
        for to, text in _additions(self._effort.lines(*words, size=_DIFF_SIZE)):
            if to != path:
                found.setdefault(to, set()).update(key for key in _keys(text) if key in wanted)
        for to, keys in sorted(found.items(), key=lambda item: -len(item[1])):
            if not keys:
                break
            entry = self._tree.entry(self._tip, to)
            raw = self._tree.blob(entry[1]) if entry and entry[0].startswith("100") else None
            there = {key for text in decode(raw or b"").split("\n") for key in _keys(text)}
            if moved := dict.fromkeys(wanted[key] for key in wanted if key in keys & there):
                return to, tuple(moved)
        return None, ()


class _Gone(NamedTuple):
    """How a file has gone."""

    commit: str  # full hash
    renamed_to: str | None  # what it is called at the tip; None where it was deleted


class _Cause(NamedTuple):
    """A commit that is in the way of a hunk."""

    commit: str  # full hash
    gone: tuple[str, ...]  # lines of the hunk that it removed


# -- lines ----------------------------------------------------------------------------------------

_OTHER_SIDE = {LineKind.ADDED: LineKind.REMOVED, LineKind.REMOVED: LineKind.ADDED, LineKind.CONTEXT: LineKind.CONTEXT}


def reverse(diff: FileDiff) -> FileDiff:
    """The diff with its hunks the other way round: it takes back what the other does."""
    hunks = tuple(
        Hunk(
            hunk.new_start,
            hunk.new_count,
            hunk.old_start,
            hunk.old_count,
            hunk.section,
            tuple(line._replace(kind=_OTHER_SIDE[line.kind], old=line.new, new=line.old) for line in hunk.lines),
            hunk.message_line,
        )
        for hunk in diff.hunks
    )
    return diff._replace(hunks=hunks)


def _differences(old: Sequence[str], lines: Sequence[str], start: int) -> tuple[list[str], list[str]]:
    """The lines of a hunk that a file does not have, and what the file has between those that it does have.

    Only lines that tell something: of a brace nobody knows which commit took it. `start` is where the hunk says that
    it belongs, from 0.
    """
    count = Counter(lines)
    absent = list(dict.fromkeys(text for text in old if text not in count and _tells(text)))
    known = [n for n, text in enumerate(old) if text in count and _tells(text)]
    if not known:
        return absent, []
    key = min(known, key=lambda n: count[old[n]])
    places = [n for n, text in enumerate(lines) if text == old[key]]
    at = min(places, key=lambda place: abs(place - start - key))
    between: list[str] = []
    for step in (1, -1):
        here = at
        for text in old[key + 1 :] if step == 1 else reversed(old[:key]):
            near = range(here + step, here + step * (_REACH + 1), step)
            there = next((n for n in near if 0 <= n < len(lines) and lines[n] == text), None)
            if there is not None:
                between += lines[min(here, there) + 1 : max(here, there)]
                here = there
    return absent, [text for text in dict.fromkeys(between) if _tells(text) and count[text] == 1]


def _tells(text: str) -> bool:
    """A line that does not stand everywhere."""
    return len(_WORDS.findall(text)) >= _TELLING


def _keys(text: str) -> Iterator[str]:
    """What a line is recognised by elsewhere: its text without indentation, and what it defines."""
    if _tells(text):
        yield text.strip()
    if match := _DEFINED.match(text):
        yield f"#{match[1] or match[2]}"


def _changes(lines: Iterable[bytes]) -> Iterator[tuple[str, Counter[str], Counter[str]]]:
    """(commit, lines that it removes, lines that it adds) from what `diff-tree --stdin -p` prints of one path."""
    commit, inside = "", False
    removed, added = Counter[str](), Counter[str]()
    for line in lines:
        mark = line[:1]
        if inside and mark in b"+-\\" and mark:
            if mark != b"\\":
                (added if mark == b"+" else removed)[decode(line[1:])] += 1
        elif _HASH.fullmatch(line):
            if commit:
                yield commit, removed, added
            commit, inside = line.decode(), False
            removed, added = Counter[str](), Counter[str]()
        else:
            inside = line.startswith(b"@@ ")
    if commit:
        yield commit, removed, added


def _additions(lines: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """(path, text) of each added line of a commit; files with names that git quotes are left out."""
    path, inside = "", False
    for line in lines:
        mark = line[:1]
        if inside and mark in b"+-\\" and mark:
            if mark == b"+" and path:
                yield path, decode(line[1:])
            continue
        inside = line.startswith(b"@@ ")
        if line.startswith(b"diff --git "):
            path = ""
        elif line.startswith(b"+++ b/"):
            path = decode(line[6:]).removesuffix("\t")


def _plain(path: str) -> bool:
    """A path that can be an argument."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    parts = path.split("/")
    return len(path) < _LONGEST_PATH and "\0" not in path and not any(part in ("", ".", "..") for part in parts)


def _spec(path: str) -> str:
    """A path as an argument: no pattern, and from the top, wherever in the tree git is called."""
    return f":(top,literal){path}"
