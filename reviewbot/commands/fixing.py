# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot check --fix`: apply the safe suggestions to the files of a clean work tree, and say what was done.

Belongs here: whether the work tree is what was reviewed, reading and writing its files, what is said of it. Which edits
there are is `fixes`'. Nothing is committed or staged, so that `git diff` shows what was done and `git checkout` undoes
it; all new contents are in files of their own before the first one takes its place.
"""

from __future__ import annotations

import argparse
import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from reviewbot.commands.common import say, show
from reviewbot.config import Config
from reviewbot.finding import Review
from reviewbot.fixes import Edit, Plan, follow, refuse_path, remaining, settle, without
from reviewbot.git import first
from reviewbot.model import InputError

if TYPE_CHECKING:
    from reviewbot.source.commits import Repository

# A larger file is left alone: `git.MAX_FILE`, more is not reviewed either.
_MAX_SIZE = 8 * 1024 * 1024
# Names of changed files, and lines of what is left, that are told one by one.
_MOST_NAMES = 3
_MOST_TOLD = 20
_DIFF = "--format diff prints the same as a patch"


class _Text(NamedTuple):
    """A file of the work tree."""

    path: str
    lines: tuple[bytes, ...]  # without line feeds; the last one is empty where the file ends with one
    status: os.stat_result

    @property
    def texts(self) -> list[str]:
        """Its lines as a review sees them."""
        return [_decode(line) for line in (self.lines if self.lines[-1] else self.lines[:-1])]


def apply_fixes(
    args: argparse.Namespace, repository: Repository, reviews: Sequence[Review], config: Config | None = None
) -> int:
    """Apply what is safe, show what remains. The process's exit code: 1 where something remains, else 0.

    Raises InputError, which says the way out, where the work tree is not clean or not at the last commit reviewed, or
    a file cannot be written: then nothing was changed.
    """
    config = config or Config()
    if args.staged:
        raise InputError("--fix is for commits: commit what is staged first")
    top = repository.top
    if top is None:
        raise InputError(f"--fix needs a work tree and '{repository.git_dir}' has none: {_DIFF}")
    _require_head(repository, reviews)
    _require_clean(repository)
    left: list[Review] = []
    plans: list[Plan] = []
    for review in reviews:
        followed = follow(review)
        texts, refused = _read_all(repository, top, followed.paths)
        plan = settle(followed, {path: text.texts for path, text in texts.items()}, refused)
        plans.append(plan)
        _write_all(top, [(texts[file.path], file.edits) for file in plan.files])
        left.append(without(review, plan.fixed))
    show(args, config, left, top)
    _tell(args, plans, top)
    limit = args.fail_on or config.fail_on
    count = remaining(left, limit)
    if count:
        say(args, f"{count} {'finding remains' if count == 1 else 'findings remain'}")
    return 1 if count else 0


# -- the work tree ------------------------------------------------------------------------------------------------


def _require_head(repository: Repository, reviews: Sequence[Review]) -> None:
    """What is checked out is what the last commit has; a prep branch may end with a cover letter without files."""
    commits = [patch.commit for review in reviews for patch in review.series.patches]
    last = commits[-1] if len(reviews) == 1 and commits else None
    if last is None:
        raise InputError(f"--fix is for the commits of one range: {_DIFF}")
    if _tree(repository, "HEAD") != _tree(repository, last):
        raise InputError(
            f"HEAD is not {last[:12]}, the last commit reviewed: 'git checkout {last[:12]}' first, or "
            f"git rebase -x 'reviewbot check --fix HEAD'; {_DIFF}"
        )


def _tree(repository: Repository, commit: str) -> str:
    code, out, _ = repository.git("rev-parse", "--verify", "--quiet", f"{commit}^{{tree}}")
    return "" if code else out.decode("ascii", "replace").strip()


def _require_clean(repository: Repository) -> None:
    """No tracked file is changed or staged. Untracked ones are not looked at, nor what lies in submodules.

    A merge, rebase or am that is under way does no harm where nothing is changed: `git rebase -x` stops after us.
    """
    code, out, err = repository.git(
        "status", "--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=dirty", "--no-renames"
    )
    if code:
        raise InputError(f"cannot read the work tree: {first(err)}")
    names = [os.fsdecode(entry[3:]) for entry in out.split(b"\0") if entry]
    if names:
        shown = ", ".join(f"'{name}'" for name in names[:_MOST_NAMES])
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        raise InputError(f"the work tree is not clean ({shown}{more}): commit or 'git stash' first, or {_DIFF}")


def _modes(repository: Repository, paths: Sequence[str]) -> dict[str, str]:
    """The index's mode of each path that it has."""
    found: dict[str, str] = {}
    for start in range(0, len(paths), 500):
        words = [f":(top,literal){path}" for path in paths[start : start + 500]]
        code, out, _ = repository.git("ls-files", "-s", "-z", "--full-name", "--", *words)
        if code:
            continue
        for entry in out.split(b"\0")[:-1]:
            head, _, name = entry.partition(b"\t")
            found[os.fsdecode(name)] = head.split(b" ")[0].decode("ascii", "replace")
    return found


def _read_all(repository: Repository, top: str, paths: Sequence[str]) -> tuple[dict[str, _Text], dict[str, str]]:
    """The files, and why the others are not touched."""
    texts: dict[str, _Text] = {}
    refused = {path: why for path in paths if (why := refuse_path(path))}
    modes = _modes(repository, [path for path in paths if path not in refused])
    for path in paths:
        if path in refused:
            continue
        mode = modes.get(path)
        if mode is None:
            refused[path] = "git does not know the file"
            continue
        if not mode.startswith("100"):
            refused[path] = "it is a symbolic link" if mode == "120000" else "it is a submodule"
            continue
        try:
            texts[path] = _read(top, path)
        except _Refused as why:
            refused[path] = str(why)
        except OSError as error:
            refused[path] = f"cannot be read: {error.strerror}"
    return texts, refused


class _Refused(Exception):
    """A file is not to be touched; the text says why."""


def _read(top: str, path: str) -> _Text:
    """A regular file that is reached through directories alone. Raises _Refused and OSError."""
    at = top
    for part in path.split("/")[:-1]:
        at = os.path.join(at, part)
        if not stat.S_ISDIR(os.lstat(at).st_mode):
            raise _Refused("a directory above it is a symbolic link")
    name = os.path.join(top, path)
    # a fifo must not hold us up before we see what it is
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _Refused("it is no regular file")
        if status.st_size > _MAX_SIZE:
            raise _Refused("it is too large")
        return _Text(path, tuple(file.read().split(b"\n")), status)


def _decode(line: bytes) -> str:
    """A line as a review of commits sees it (`tree.decode`)."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _encode(text: str, like: bytes) -> bytes:
    """A line in the encoding of the one that it replaces."""
    try:
        like.decode()
    except UnicodeDecodeError:
        with suppress(UnicodeEncodeError):
            return text.encode("latin-1")
    return text.encode("utf-8", "surrogateescape")


# -- writing ------------------------------------------------------------------------------------------------------


def _write_all(top: str, changes: Sequence[tuple[_Text, Sequence[Edit]]]) -> None:
    """Write the new contents beside the files, then put them in their places; nothing is changed where one fails."""
    import tempfile

    made: list[tuple[str, str, _Text]] = []
    try:
        for text, edits in changes:
            name = os.path.join(top, text.path)
            try:
                descriptor, new = tempfile.mkstemp(prefix=".reviewbot-", dir=os.path.dirname(name))
                made.append((new, name, text))
                with open(descriptor, "wb") as file:
                    file.write(b"\n".join(_changed(text.lines, edits)))
                    os.fchmod(descriptor, stat.S_IMODE(text.status.st_mode))
            except OSError as error:
                raise InputError(f"cannot write '{text.path}': {error.strerror}: nothing was changed") from None
        for _, name, text in made:
            if _differs(name, text.status):
                raise InputError(f"'{text.path}' was changed while it was read: nothing was changed, try again")
        done: list[str] = []
        for new, name, text in made:
            try:
                os.replace(new, name)
            except OSError as error:
                undo = f": 'git checkout -- {' '.join(done)}' undoes the rest" if done else ": nothing was changed"
                raise InputError(f"cannot write '{text.path}': {error.strerror}{undo}") from None
            done.append(text.path)
    finally:
        for new, _, _ in made:
            with suppress(FileNotFoundError):
                os.unlink(new)


def _differs(name: str, status: os.stat_result) -> bool:
    now = os.lstat(name)
    return (now.st_ino, now.st_size, now.st_mtime_ns, now.st_mode) != (
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_mode,
    )


def _changed(lines: Sequence[bytes], edits: Sequence[Edit]) -> Iterator[bytes]:
    by_line = {edit.line: edit for edit in edits}
    for n, line in enumerate(lines, 1):
        if edit := by_line.get(n):
            yield from (_encode(new, line) for new in edit.new)
        else:
            yield line


# -- what is said -------------------------------------------------------------------------------------------------


def _tell(args: argparse.Namespace, plans: Sequence[Plan], top: str) -> None:
    """A line for each file and rule that was fixed, for each file and reason why not, and how to undo it."""
    paths: list[str] = []
    for plan in plans:
        for file in plan.files:
            paths.append(file.path)
            rules = Counter(finding.rule for edit in file.edits for finding in edit.findings)
            for rule, count in sorted(rules.items()):
                say(args, f"fixed {count} in {file.path}: {rule}")
            along = [edit.line for edit in file.edits if not edit.findings]
            if along:
                lines = ", ".join(map(str, along))
                say(args, f"changed {file.path}:{lines}, too: the other side of what was converted")
    left = Counter((one.path, one.why) for plan in plans for one in plan.left)
    for (path, why), count in list(left.items())[:_MOST_TOLD]:
        say(args, f"left {count} in {path}: {why}")
    if len(left) > _MOST_TOLD:
        say(args, f"left more in {len(left) - _MOST_TOLD} other places")
    hidden = sum(plan.hidden for plan in plans)
    if hidden:
        say(args, f"{hidden} more could be fixed with --strict")
    if paths:
        names = " ".join(_quoted(top, path) for path in paths) if len(paths) <= _MOST_TOLD else _quoted(top, "")
        say(args, f"nothing is committed: 'git diff' shows it, 'git checkout -- {names}' undoes it")
    else:
        say(args, "nothing to fix")


def _quoted(top: str, path: str) -> str:
    """A path as a shell in this directory takes it."""
    import shlex

    return shlex.quote(os.path.relpath(os.path.join(top, path), os.path.realpath(".")))
