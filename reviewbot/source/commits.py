# SPDX-License-Identifier: GPL-2.0-or-later
"""Commits of a git repository -> Series, as they would be mailed, with their files from git's own objects.

Belongs here: which commits are meant (a range, one commit, what upstream lacks, a prep branch of b4, what is staged)
and reading them. Does not belong here: applying patches to a base (`tree`), how git is called (`git`). The repository
is only read: messages and blobs come out of one `git cat-file --batch`, diffs out of plumbing that minds no diff.*
setting.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import NamedTuple

from reviewbot.base import find_base
from reviewbot.diff import read_diff
from reviewbot.git import GitError, Object, Objects, first, run, stream
from reviewbot.mail import find_trailers, make_cover, parse_subject
from reviewbot.model import (
    Address,
    Applied,
    Base,
    BaseHow,
    CoverLetter,
    Facts,
    FileDiff,
    InputError,
    Mail,
    NotFoundError,
    Patch,
    Series,
    Unreadable,
    Whole,
)
from reviewbot.tree import FACT_FILES, decode, facts_of, kernel_version, read_facts

# A series of more commits than a merge window has is a slip of the hand, and would not fit into memory.
MAX_COMMITS = 20_000
# A larger diff is not read, as no larger mail is (`mime.MAX_MAIL`): it takes thirty times as much memory.
MAX_DIFF = 32 * 1024 * 1024
# Paths in one command: 500 of 250 bytes are what any system takes.
_MOST_PATHS = 500
# How far below HEAD a prep branch without upstream may have its cover letter.
_PREP_DEPTH = 500
# b4 0.16, ez.py: MAGIC_MARKER; behind it stands JSON
_MARKER = "--- b4-submit-tracking ---"
# The tree without files, by the length of its hash.
_EMPTY_TREE = {
    40: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    64: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}
# What a diff looks like is told here and nowhere else: git's plumbing minds no color.*, diff.renames, diff.external,
# diff.noprefix; what it does mind is set.
_DIFF = (
    "-p",
    "-U3",
    "--inter-hunk-context=0",
    "-M",
    "--full-index",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-relative",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--submodule=short",
    "--ignore-submodules=none",
    "--diff-algorithm=default",
    f"-O{os.devnull}",
)
_SET = ("-c", "diff.suppressBlankEmpty=false", "-c", "core.quotePath=true", "-c", "diff.renameLimit=1000")
_IDENT = re.compile(r"(.*?) ?<([^<>]*)> (-?\d{1,12}) ([+-])(\d{2})(\d{2})")
_CUT = re.compile(r"---\s*")
_TO = re.compile(r"(to|cc):\s*(.+)", re.I)
_SUBMODULE = "160000"
_HASH = re.compile(r"[0-9a-f]{4,64}")


class Commits(NamedTuple):
    """What is to be reviewed."""

    base: str | None  # full hash of the commit before the first; None where that is a root
    ids: tuple[str, ...]  # full hashes, oldest first
    name: str  # how a person calls it: 'origin/master..HEAD'
    prep: Prep | None = None  # of a prep branch


class Prep(NamedTuple):
    """What b4 keeps of a prep branch."""

    cover: str  # subject line, blank line, text
    revision: int
    prefixes: tuple[str, ...]
    change_id: str | None
    to: tuple[str, ...] = ()  # values of To: and Cc: trailers of the cover letter
    cc: tuple[str, ...] = ()


class _Commit(NamedTuple):
    id: str
    parents: tuple[str, ...]
    author: Address
    date: datetime | None
    message: str


class Repository:
    """A repository, the person's own: GIT_DIR and GIT_INDEX_FILE count. To be closed, or used in a `with`."""

    def __init__(self, directory: str, git_dir: str, top: str | None) -> None:
        self.directory = directory
        self.git_dir = git_dir
        self.top = top  # of the work tree, absolute; None in a bare repository
        self._objects = Objects(directory, own=True)

    @classmethod
    def open(cls, directory: str = ".") -> Repository:
        """The repository that a directory is, or lies in. Raises InputError where there is none that git will read."""
        try:
            code, out, err = run(
                directory, "rev-parse", "--absolute-git-dir", "--is-inside-work-tree", "--show-cdup", own=True
            )
        except GitError as error:
            raise InputError(str(error)) from None
        lines = os.fsdecode(out).split("\n")
        if code and len(lines) < 3:
            why = first(err)
            if "not a git repository" in why:
                raise NotFoundError("not in a git repository: name patch files, or '-' for standard input")
            if "dubious ownership" in why:
                why += f": 'git config --global --add safe.directory {os.path.realpath(directory)}' if you trust it"
            raise InputError(why or f"cannot read the repository of '{directory}'")
        git_dir, inside = lines[0], lines[1] == "true"
        top = os.path.realpath(os.path.join(directory, lines[2] or ".")) if inside else None
        return cls(directory, git_dir, top)

    def __enter__(self) -> Repository:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End git."""
        self._objects.close()

    def git(self, *words: str, given: bytes = b"") -> tuple[int, bytes, bytes]:
        """Exit status, output and error output of a git command. Raises GitError where git hangs or is not there."""
        return run(self.directory, *words, given=given, own=True)

    def read(self, commit: str, path: str) -> bytes | None:
        """A file of a commit; None where there is none, or it is too large."""
        if "\n" in path or "\0" in path or not path.isprintable():
            return None
        try:
            found = self._objects.read(f"{commit}:{path}")
        except UnicodeEncodeError:
            return None
        return found.data if found and found.kind == "blob" else None

    def blob(self, name: str) -> bytes | None:
        """A blob by its full id; None where there is none, or it is too large."""
        found = self._objects.read(name)
        return found.data if found and found.kind == "blob" else None

    def raw_commit(self, name: str) -> Object | None:
        """The object of a commit by its hash, which may be short; None where there is none, or several."""
        return self._objects.read(f"{name}^{{commit}}") if _HASH.fullmatch(name) else None

    # -- which commits ----------------------------------------------------------------------------

    def is_revision(self, word: str) -> bool:
        """A word names commits: '@{u}..HEAD', 'v6.12..', 'HEAD~2', '^main'."""
        return bool(self._revisions([word]))

    def _revisions(self, words: Sequence[str]) -> list[str]:
        """Full hashes of the commits that words name, with '^' before what is excluded; [] where one names none."""
        if any(word.startswith("-") or not word or "\0" in word for word in words):
            return []
        code, out, _ = self.git("rev-parse", "--revs-only", *words, "--")
        found = os.fsdecode(out).split("\n")[:-1]
        if code or not all(re.fullmatch(r"\^?[0-9a-f]{40,64}", name) for name in found):
            return []
        # a tag is its commit's; a file or directory of a commit is none
        peeled: list[str] = []
        for name in found:
            commit = self._objects.read(f"{name.lstrip('^')}^{{commit}}")
            if commit is None:
                return []
            peeled.append(("^" if name.startswith("^") else "") + commit.id)
        return peeled

    def find(self, words: Sequence[str] = ()) -> Commits:
        """The commits that are named; without words a prep branch's, else what upstream lacks.

        A range is a range; words that are none are single commits. Raises InputError, which says the way out, where
        there are none, one is a merge, or the parent of one is not there.
        """
        if not words:
            return self._unsent()
        name = " ".join(words)
        named: list[str] = []
        for word in words:
            if "..." in word:
                raise InputError(f"'{word}' names both sides of a fork: name a range with two dots")
            found = self._revisions([word])
            if not found:
                raise InputError(self._unknown(word))
            named += found
        return self._checked(named, name, None)

    def _unknown(self, word: str) -> str:
        if not self._revisions(["HEAD"]):
            return f"'{word}' is no revision: there is no commit yet"
        return f"'{word}' is neither a file nor a revision or range of '{self.top or self.git_dir}'"

    def _unsent(self) -> Commits:
        if not self._revisions(["HEAD"]):
            raise InputError("there is no commit yet: --staged reviews what is staged for the first")
        upstream = self._revisions(["@{upstream}..HEAD"])
        same = bool(upstream) and upstream[0].lstrip("^") == upstream[-1].lstrip("^")
        if same:
            upstream = []  # nothing that it lacks
        branch = self._branch()
        prep = self._prep(upstream, branch)
        if prep:
            return prep
        if upstream:
            return self._checked(upstream, "@{upstream}..HEAD", None)
        if same:
            return Commits(None, (), "@{upstream}..HEAD")
        where = f"branch '{branch}' has no upstream" if branch else "HEAD is detached"
        cure = "name a range, such as origin/master..HEAD, or one commit"
        raise InputError(f"{where}: {cure}" + (", or set one with 'git branch -u'" if branch else ""))

    def _branch(self) -> str | None:
        """The name of the branch; None where HEAD is detached."""
        code, out, _ = self.git("symbolic-ref", "--quiet", "--short", "HEAD")
        return os.fsdecode(out).strip() if not code else None

    def _prep(self, upstream: Sequence[str], branch: str | None) -> Commits | None:
        """A prep branch of b4, by any of its strategies of keeping the cover letter; None where it is none.

        b4 0.16, ez.py: find_cover_commit() and load_cover(). Of 'commit' the cover letter is the series' first commit
        and what is below it the base; of 'tip-commit' it is the last, of 'branch-description' it is configuration, and
        both times the base is where the branch left its base branch.
        """
        if branch is None:
            return None  # as b4 has it: no branch, no series
        bound = upstream or ["HEAD"]
        code, out, _ = self.git("rev-list", f"--max-count={_PREP_DEPTH}", *bound, "--")
        ids = out.decode("ascii", "replace").split("\n")[:-1] if not code else []
        for name in ids:
            raw = self._objects.read(name)
            if raw is None or _MARKER.encode() not in raw.data:
                continue
            commit = _parse(raw)
            cover, _, tracking = commit.message.partition(_MARKER)
            if found := _read_prep(cover, tracking):
                prep, base_branch = found
                if name == ids[0] and (fork := self._fork(base_branch)) and fork not in commit.parents:
                    return self._checked([f"^{fork}", *commit.parents], f"prep branch {branch}", prep)
                found_commits = self._checked([f"^{name}", ids[0]], f"prep branch {branch}", prep)
                # the cover letter's commit changes nothing, and is not what the series is based on
                return found_commits._replace(base=commit.parents[0] if commit.parents else None)
        # a section of the configuration: only where a branch has one that b4 wrote
        code, out, _ = self.git(
            "config", "--null", "--get-regexp", rf"^branch\.{re.escape(branch)}\.(b4-tracking|desc)"
        )
        values = dict(entry.partition("\n")[::2] for entry in out.decode("utf-8", "replace").split("\0") if entry)
        prefix = f"branch.{branch}."
        tracking = values.get(f"{prefix}b4-tracking", "")
        if tracking and (found := _read_prep(values.get(f"{prefix}description", ""), tracking)):
            prep, base_branch = found
            if fork := self._fork(base_branch):
                return self._checked([f"^{fork}", "HEAD"], f"prep branch {branch}", prep)
        return None

    def _fork(self, base_branch: str | None) -> str | None:
        if not base_branch or base_branch.startswith("-"):
            return None
        code, out, _ = self.git("merge-base", base_branch, "HEAD")
        return out.decode("ascii", "replace").strip() or None if not code else None

    def _checked(self, named: Sequence[str], name: str, prep: Prep | None) -> Commits:
        """The commits that hashes name, in order. Raises InputError where they are no series."""
        walk = any(word.startswith("^") for word in named)
        words = ["--reverse", "--topo-order", f"--max-count={MAX_COMMITS + 1}"] if walk else ["--no-walk=unsorted"]
        code, out, err = self.git("rev-list", "--parents", *words, *named, "--")
        if code:
            raise InputError(f"cannot read '{name}': {first(err)}")
        lines = [line.split() for line in out.decode("ascii", "replace").split("\n")[:-1]]
        if len(lines) > MAX_COMMITS:
            raise InputError(f"'{name}' has more than {MAX_COMMITS} commits: name a smaller range")
        merges = [line[0] for line in lines if len(line) > 2]
        if merges and not walk:
            merge = merges[0][:12]
            raise InputError(f"{merge} is a merge: name one side of it, such as {merge}^1..{merge}^2")
        if merges:
            many = "a merge" if len(merges) == 1 else f"{len(merges)} merges"
            last = merges[-1][:12]
            cure = f"what comes after, such as {last}..HEAD"
            if merges[-1] == lines[-1][0]:
                cure = f"one side of the last, such as {last}^1..{last}^2"
            raise InputError(f"'{name}' has {many} in it, a series has none: name {cure}")
        ids = tuple(line[0] for line in lines)
        for line in lines:
            # the edge of a shallow clone has parents that git does not tell
            if len(line) == 1 and (raw := self._objects.read(line[0])) and _parse(raw).parents:
                short = line[0][:12]
                raise InputError(
                    f"commit {short} is the edge of a shallow clone, what it changes is not known: "
                    "'git fetch --deepen=1' gets its parent"
                )
        base = lines[0][1] if lines and len(lines[0]) > 1 else None
        return Commits(base, ids, name, prep)

    # -- reading them -----------------------------------------------------------------------------

    def series(self, commits: Commits, progress: Callable[[int], None] | None = None) -> Series:
        """The commits as the series that they would be. `progress` is told how many are read.

        Raises InputError where there are none.
        """
        if not commits.ids:
            raise InputError(f"no commit in '{commits.name}'")
        prep, total = commits.prep, len(commits.ids)
        brackets = " ".join(
            ["PATCH", *(prep.prefixes if prep else ()), *([f"v{prep.revision}"] if prep and prep.revision > 1 else [])]
        )
        width = len(str(total))
        patches: list[Patch] = []
        for number, (commit, diff) in enumerate(self._diffs(commits.ids), 1):
            if progress:
                progress(number)
            counter = f" {number:0{width}}/{total}" if total > 1 or prep else ""
            subject = f"[{brackets}{counter}] "
            patches.append(self._complete(commit, diff, number, subject, "diff-tree", "--root", commit.id))
        cover = _cover(prep, f"[{brackets} {0:0{width}}/{total}] ", patches[0]) if prep else None
        subject = cover.subject.full if cover else patches[0].subject.full
        return Series(
            subject=subject,
            revision=prep.revision if prep else 1,
            expected=total,
            cover=cover,
            patches=tuple(patches),
            base=self._base(commits.base, patches),
            change_id=prep.change_id if prep else None,
            warnings=tuple(_untold(patches)),
        )

    def staged(self) -> Series:
        """What is staged, as one patch without a message. Raises InputError where that is nothing, or a conflict."""
        if self.top is None and "GIT_INDEX_FILE" not in os.environ:
            raise InputError(f"'{self.git_dir}' is a bare repository: nothing is staged there, name commits")
        head = self._revisions(["HEAD"])
        code, out, _ = self.git("rev-parse", "--show-object-format")
        empty = _EMPTY_TREE[64 if not code and out.strip() == b"sha256" else 40]
        start = head[0] if head else empty
        options = ("--cached", "--ita-invisible-in-index", *_DIFF)
        lines = list(self._lines(*_SET, "diff-index", *options, start, "--"))
        unmerged = [line[16:] for line in lines if line.startswith(b"* Unmerged path ")]
        if unmerged:
            raise InputError(f"'{decode(unmerged[0])}' is in conflict: resolve it and 'git add' it first")
        if not lines:
            raise InputError("nothing is staged: 'git add' what is to be reviewed")
        commit = _Commit("", (), Address("", ""), datetime.now(UTC), "(staged)\n")
        diff = lines if sum(map(len, lines)) <= MAX_DIFF else None
        patch = self._complete(commit, diff, 1, "[PATCH] ", "diff-index", "--cached", start)
        base = self._base(head[0] if head else None, [patch])
        return Series(patch.subject.full, 1, 1, None, (patch,), base, warnings=tuple(_untold([patch])))

    def files(self, series: Series) -> CommitFiles:
        """The files before and after each patch of a series that came from here."""
        return CommitFiles(self, series.base.commit)

    def _base(self, commit: str | None, patches: Sequence[Patch]) -> Base:
        guessed = find_base(None, [patch.subject for patch in patches[:1]], [patch.mail.date for patch in patches])
        makefile = self.read(commit, "Makefile") if commit else None
        version = kernel_version(makefile) if makefile else None
        if version:
            return Base(commit, version, BaseHow.COMMITS, BaseHow.TREE)
        return Base(commit, guessed.version, BaseHow.COMMITS, guessed.version_how)

    def _diffs(self, ids: Sequence[str]) -> Iterator[tuple[_Commit, list[bytes] | None]]:
        """Each commit with the lines of its diff; None where there are more than MAX_DIFF bytes of them."""
        given = "".join(f"{name}\n" for name in ids)
        lines = self._lines(*_SET, "diff-tree", "--stdin", "--root", "--always", *_DIFF, given=given.encode())
        at, size, held = 0, 0, list[bytes]()
        wanted = [name.encode() for name in ids]
        for line in lines:
            # no line of a diff is a bare hash
            if at < len(ids) and line == wanted[at]:
                if at:
                    yield self._commit(ids[at - 1]), held if size <= MAX_DIFF else None
                at, size, held = at + 1, 0, []
                continue
            size += len(line) + 1
            if size <= MAX_DIFF:
                held.append(line)
            elif at == len(ids):
                break  # the import of a whole tree has 1.5 GB
            else:
                held.clear()
        if at != len(ids):
            raise GitError(f"git diff-tree lacks commit {ids[at][:12]}")
        yield self._commit(ids[-1]), held if size <= MAX_DIFF else None

    def _complete(self, commit: _Commit, diff: list[bytes] | None, number: int, brackets: str, *words: str) -> Patch:
        """The patch with the files that an attribute (*.c -diff, binary) hides: those are text by git's own measure.

        `words` are the git command that shows the diff.
        """
        patch = _patch(commit, diff, number, brackets)
        hidden = [one.path for one in patch.files if one.binary and self._is_text(one)]
        if not hidden or diff is None:
            return patch
        lines, size = list(diff), sum(map(len, diff))
        for n in range(0, len(hidden), _MOST_PATHS):
            for line in self._shown(hidden[n : n + _MOST_PATHS], *words):
                lines.append(line)
                size += len(line)
                if size > MAX_DIFF:
                    return _patch(commit, None, number, brackets)
        patch = _patch(commit, lines, number, brackets)
        gone = frozenset(hidden)
        return patch._replace(files=tuple(one for one in patch.files if not (one.binary and one.path in gone)))

    def _is_text(self, diff: FileDiff) -> bool:
        """No NUL in the first 8,000 bytes of either side: git's xdiff-interface.c, buffer_is_binary()."""
        if not _is_regular(diff):
            return False
        names = [name for name in (diff.old_id, diff.new_id) if name and name.strip("0")]
        raws = [self.blob(name) for name in names]
        return bool(raws) and all(raw is not None and b"\0" not in raw[:8000] for raw in raws)

    def _shown(self, paths: Sequence[str], verb: str, *words: str) -> Iterator[bytes]:
        """The diffs of such files, as they are without the attribute."""
        names = [f":(top,literal){path}" for path in paths]
        lines = self._lines(*_SET, verb, *_DIFF, "--text", *words, "--", *names)
        return (line for line in lines if not re.fullmatch(rb"[0-9a-f]{40,64}", line))

    def _lines(self, *words: str, given: bytes = b"") -> Iterator[bytes]:
        for line in stream(self.directory, *words, given=given, own=True):
            yield line.removesuffix(b"\n")

    def _commit(self, name: str) -> _Commit:
        raw = self._objects.read(name)
        if raw is None or raw.kind != "commit":
            raise GitError(f"cannot read commit {name[:12]}: {self._objects.said() or 'it is not there'}")
        return _parse(raw)


class CommitFiles:
    """The files before and after each commit: as git has them, nothing is applied."""

    def __init__(self, repository: Repository, base: str | None) -> None:
        self.repository = repository
        self.base = base
        self._facts: Callable[[], Facts | None] | None = None  # of the patches so far
        self.lost: list[str] = []  # what could not be read, each with the reason

    def apply(self, patch: Patch) -> Applied:
        """The files of a patch. Raises GitError where git cannot read the repository."""
        found: dict[int, Whole] = {}
        for n, diff in enumerate(patch.files):
            if diff.binary or not diff.hunks or not _is_regular(diff):
                continue
            before, after = self._text(diff.old_path, diff.old_id), self._text(diff.new_path, diff.new_id)
            if (before is None) != (diff.old_path is None) or (after is None) != (diff.new_path is None):
                self.lost.append(f"{diff.path}: is too large or cannot be read")
                continue
            found[n] = Whole(diff, before, after)
        touched = {path for diff in patch.files for path in (diff.old_path, diff.new_path)}
        if self._facts is None or touched.intersection(FACT_FILES):
            # fifteen milliseconds, and the rules on most patches do not ask
            self._facts = cache(lambda: self._read_facts(patch))
        return Applied(found, None, self._facts)

    def _text(self, path: str | None, name: str | None) -> str | None:
        raw = self.repository.blob(name) if path and name else None
        return decode(raw) if raw is not None else None

    def _read_facts(self, patch: Patch) -> Facts | None:
        """As the tree behind a patch has them; behind the commit itself, or what is staged on its base."""
        raws: dict[str, bytes] = {}
        staged = {diff.new_path: diff.new_id for diff in patch.files} if patch.commit is None else {}
        for path in FACT_FILES:
            commit = patch.commit or self.base
            raw = self.repository.blob(staged[path] or "") if path in staged else None
            raw = raw or (self.repository.read(commit, path) if commit else None)
            if raw is not None:
                raws[path] = raw
        return facts_of({path: read_facts(decode(raw)) for path, raw in raws.items()})


def _is_regular(diff: FileDiff) -> bool:
    """No symbolic link and no submodule on either side."""
    return all((mode or "100").startswith("100") for mode in (diff.old_mode, diff.new_mode))


def _untold(patches: Sequence[Patch]) -> Iterator[str]:
    """What nobody looks into."""
    for patch in patches:
        for diff in patch.files:
            if diff.binary and diff.path.endswith((".c", ".h")):
                yield f"patch {patch.index}/{len(patches)}, {diff.path}: a binary file is not looked into"
            subproject = any(line.text.startswith("Subproject commit ") for hunk in diff.hunks for line in hunk.lines)
            if _SUBMODULE in (diff.old_mode, diff.new_mode) or (subproject and len(diff.hunks) == 1):
                yield f"patch {patch.index}/{len(patches)}, {diff.path}: a submodule is not looked into"


def _parse(raw: Object) -> _Commit:
    """A commit object. What it says is a stranger's as well as a mail."""
    head, _, body = raw.data.partition(b"\n\n")
    parents: list[str] = []
    author, date, encoding = Address("", ""), None, "utf-8"
    for line in head.split(b"\n"):
        key, _, value = line.partition(b" ")
        if key == b"parent":
            parents.append(value.decode("ascii", "replace"))
        elif key == b"author":
            author, date = _ident(decode(value))
        elif key == b"encoding":
            encoding = value.decode("ascii", "replace")
    try:
        message = body.decode(encoding)
    except (LookupError, ValueError):
        message = decode(body)
    return _Commit(raw.id, tuple(parents), author, date, message)


def _ident(text: str) -> tuple[Address, datetime | None]:
    match = _IDENT.fullmatch(text)
    if not match:
        return Address("", ""), None
    offset = timedelta(hours=int(match[5]), minutes=int(match[6]))
    try:
        zone = timezone(-offset if match[4] == "-" else offset)
        date = datetime.fromtimestamp(int(match[3]), zone)
    except (ValueError, OverflowError, OSError):
        date = None
    return Address(match[1], match[2]), date


def _decoded(raws: Sequence[bytes]) -> tuple[list[str], str]:
    """Lines as text, each as UTF-8, else Latin-1: a commit may touch files of both; and what they were."""
    lines: list[str] = []
    seen: set[str] = set()
    for raw in raws:
        if raw.isascii():
            lines.append(raw.decode("ascii"))
            continue
        try:
            lines.append(raw.decode())
            seen.add("utf-8")
        except UnicodeDecodeError:
            lines.append(raw.decode("latin-1"))
            seen.add("latin-1")
    return lines, "unknown" if len(seen) > 1 else seen.pop() if seen else "utf-8"


def _patch(commit: _Commit, raws: Sequence[bytes] | None, number: int, brackets: str) -> Patch:
    """A commit as the patch that git format-patch would make of it; None for a diff that is too large."""
    diff, charset = _decoded(raws or ())
    title, text = _title(commit.message)
    lines = text.rstrip("\n").split("\n") if text.strip() else []
    cut = next((n for n, line in enumerate(lines) if _CUT.fullmatch(line)), len(lines))
    notes = lines[cut + 1 :]
    body = (*lines[:cut], "---", *notes, *diff)
    head = cut + 1 + len(notes)
    subject = parse_subject(brackets)._replace(full=brackets + title, title=title)
    mail = Mail(
        message_id="",
        subject=brackets + title,
        sender=commit.author,
        date=commit.date,
        in_reply_to=None,
        references=(),
        reply_to=(),
        to=(),
        cc=(),
        list_id=None,
        auto_submitted=False,
        body=body,
        origin=f"commit {commit.id[:12]}" if commit.id else "staged changes",
        charset=charset,
    )
    files: tuple[FileDiff, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    if raws is None:
        unreadable = (Unreadable(0, f"it has more than {MAX_DIFF >> 20} MiB, no more is read of one patch", ""),)
    elif diff:
        # what a message quotes is no diff
        files, unreadable = read_diff(("",) * head + tuple(diff))
    message = "\n".join(lines[:cut]).strip("\n")
    return Patch(
        index=number,
        mail=mail,
        subject=subject,
        author=commit.author,
        message=message,
        notes="\n".join(notes).strip("\n"),
        trailers=find_trailers(message, None),
        files=files,
        unreadable=unreadable,
        commit=commit.id or None,
    )


def _title(message: str) -> tuple[str, str]:
    """The first paragraph on one line, as git has it, and the rest."""
    head, _, rest = message.lstrip("\n").partition("\n\n")
    return " ".join(head.split("\n")).strip(), rest


def _cover(prep: Prep, brackets: str, patch: Patch) -> CoverLetter:
    from reviewbot.mime import addresses

    title, text = _title(prep.cover)
    mail = patch.mail._replace(
        subject=brackets + title,
        body=tuple(text.rstrip("\n").split("\n")),
        origin="cover letter",
        to=tuple(address for value in prep.to for address in addresses(value)),
        cc=tuple(address for value in prep.cc for address in addresses(value)),
    )
    return make_cover(mail)


def _read_prep(cover: str, tracking: str) -> tuple[Prep, str | None] | None:
    """b4's note of a prep branch and the name of its base branch; None where it is none that can be read."""
    import json  # for prep branches alone

    _, brace, rest = tracking.partition("{")
    try:
        series = json.loads(brace + rest)["series"]
        revision, prefixes = series.get("revision", 1), series.get("prefixes", [])
        change_id, base_branch = series.get("change-id"), series.get("base-branch")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if not isinstance(revision, int) or not isinstance(prefixes, list) or not 1 <= revision <= 999:
        return None
    text = "\n".join(line for line in cover.split("\n") if not line.startswith("#")).strip()
    found: dict[str, list[str]] = {"to": [], "cc": []}
    for line in text.split("\n"):
        if match := _TO.fullmatch(line):
            found[match[1].lower()].append(match[2])
    words = tuple(word for word in prefixes if isinstance(word, str) and re.fullmatch(r"[^\s\[\]]{1,60}", word))
    return (
        Prep(
            cover=text,
            revision=revision,
            prefixes=words,
            change_id=change_id if isinstance(change_id, str) else None,
            to=tuple(found["to"]),
            cc=tuple(found["cc"]),
        ),
        base_branch if isinstance(base_branch, str) else None,
    )
