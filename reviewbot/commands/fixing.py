# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot check --fix`: apply the safe suggestions to the files of a clean work tree, and say what was done.

Belongs here: whether the work tree is what was reviewed, reading and writing its files, what is said of it. Which edits
there are is `fixes`'. Nothing is committed or staged, so that `git diff` shows what was done and `git checkout` undoes
it; all new contents are in files of their own before the first one takes its place.
"""

from __future__ import annotations

import argparse
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from reviewbot.commands.common import say, show
from reviewbot.config import Config
from reviewbot.finding import Finding, Review
from reviewbot.fixes import Edit, Plan, follow, refuse_path, remaining, settle, without
from reviewbot.git import first, run
from reviewbot.model import InputError, Severity

if TYPE_CHECKING:
    from reviewbot.source.commits import Repository

# A larger file is left alone: `git.MAX_FILE`, more is not reviewed either.
_MAX_SIZE = 8 * 1024 * 1024
# Names of changed files, and lines of what is left, that are told one by one.
_MOST_NAMES = 3
_MOST_TOLD = 20
_DIFF = "--format diff prints the same as a patch"
# How a rule says that it was stopped: `engine.run_rule`.
_STOPPED = re.compile(r"stopped after \d+ findings in (.*)", re.S)
# What a path has that is not itself to git: `git help glossary`, pathspec.
_MAGIC = re.compile(r"^:|[*?\[\\]")


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
    # before anything is printed: the files are changed even where nobody reads, or the disk is full
    _tell(args, plans, top)
    limit = args.fail_on or config.fail_on
    more = False
    for review, made in zip(reviews, plans, strict=True):
        for rule, path in _unfinished(review, made.fixed):
            say(args, f"more may remain in {path}: {rule} was stopped: commit what is fixed and run it again")
            more |= _counts(made.fixed, rule, limit)
    show(args, config, left, top)
    count = remaining(left, limit)
    if count:
        say(args, f"{count} {'finding remains' if count == 1 else 'findings remain'}")
    return 1 if count or more else 0


def _unfinished(review: Review, fixed: Sequence[Finding]) -> list[tuple[str, str]]:
    """Rule and path of what was fixed where the rule was stopped before it had found all."""
    stopped = {(one.rule, match[1]) for one in review.not_run if (match := _STOPPED.fullmatch(one.why))}
    return sorted(stopped & {(finding.rule, finding.span.path) for finding in fixed}) if stopped else []


def _counts(fixed: Sequence[Finding], rule: str, limit: str) -> bool:
    """What the rule finds is a reason to fail."""
    return limit != "never" and any(f.rule == rule and f.severity.rank <= Severity(limit).rank for f in fixed)


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
    filters = _filters(repository)
    off = [(f"filter.{name}.{key}", value) for name in filters for key, value in _OFF]
    code, out, err = run(
        repository.directory,
        *("status", "--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=dirty", "--no-renames"),
        own=True,
        settings=off,
    )
    if code:
        raise InputError(f"cannot read the work tree: {first(err)}")
    names = [os.fsdecode(entry[3:]) for entry in out.split(b"\0") if entry]
    if names:
        shown = ", ".join(f"'{name}'" for name in names[:_MOST_NAMES])
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        # git status by a person's hand runs the filter, and notes that the file is as it was
        seen = " ('git status' first, where a filter such as git lfs makes them)" if filters else ""
        raise InputError(f"the work tree is not clean ({shown}{more}): commit or 'git stash' first{seen}, or {_DIFF}")


# A filter that does nothing. gitattributes(5): an empty command is none.
_OFF = (("clean", ""), ("process", ""), ("smudge", ""), ("required", "false"))


def _filters(repository: Repository) -> list[str]:
    """The names of the filters that are configured: git status runs them on what may have been changed."""
    code, out, err = repository.git("config", "--null", "--name-only", "--get-regexp", "^filter[.]")
    if code not in (0, 1):  # 1: there is none
        raise InputError(f"cannot read git's configuration: {first(err)}")
    keys = [os.fsdecode(key) for key in out.split(b"\0") if key]
    return sorted({name for key in keys for _, dot, name in [key.rpartition(".")[0].partition(".")] if dot})


class _Entry(NamedTuple):
    """What the index has of a file."""

    mode: str  # "100644"
    tag: str  # `git ls-files -v`: "H", in lower case where assume-unchanged, "S" where skip-worktree

    @property
    def ignored(self) -> str | None:
        """The bit that makes git blind to what is changed in the file; None where it looks."""
        if self.tag in "Ss":
            return "skip-worktree"
        return "assume-unchanged" if self.tag.islower() else None


def _entries(repository: Repository, paths: Sequence[str]) -> dict[str, _Entry]:
    """What the index has of each path; without those that it does not have."""
    found: dict[str, _Entry] = {}
    for start in range(0, len(paths), 500):
        words = [f":(top,literal){path}" for path in paths[start : start + 500]]
        code, out, _ = repository.git("ls-files", "-v", "-s", "-z", "--full-name", "--", *words)
        if code:
            continue
        for entry in out.split(b"\0")[:-1]:
            head, _, name = entry.partition(b"\t")
            tag, mode, *_ = head.decode("ascii", "replace").split(" ")
            found[os.fsdecode(name)] = _Entry(mode, tag)
    return found


def _read_all(repository: Repository, top: str, paths: Sequence[str]) -> tuple[dict[str, _Text], dict[str, str]]:
    """The files, and why the others are not touched."""
    texts: dict[str, _Text] = {}
    refused = {path: why for path in paths if (why := refuse_path(path))}
    entries = _entries(repository, [path for path in paths if path not in refused])
    for path in paths:
        if path in refused:
            continue
        entry = entries.get(path)
        if entry is None:
            refused[path] = "git does not know the file"
            continue
        if not entry.mode.startswith("100"):
            refused[path] = "it is a symbolic link" if entry.mode == "120000" else "it is a submodule"
            continue
        if entry.ignored:
            # git diff would not show what is done, and git checkout would take a person's hidden lines along
            refused[path] = f"git is told to ignore its changes ({entry.ignored})"
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
                undo = _undo(top, done) or "'git diff' shows"
                rest = f"{undo} the rest" if done else "nothing was changed"
                raise InputError(f"cannot write '{text.path}': {error.strerror}: {rest}") from None
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
        undo = _undo(top, paths)
        say(args, f"nothing is committed: 'git diff' shows it{undo and f', {undo} it'}")
    else:
        say(args, "nothing to fix")


def _undo(top: str, paths: Sequence[str]) -> str:
    """What takes the changes back, as a shell in this directory takes it; '' where it could not be shown as it is."""
    import shlex

    here = os.path.realpath(".")
    if len(paths) > _MOST_TOLD:
        # what git is told not to look at may lie beside them: 'git checkout -- .' would take its changes along
        where = "" if here == top else f" -C {shlex.quote(os.path.relpath(top, here))}"
        back = f"git{where} --literal-pathspecs checkout --pathspec-from-file=- --pathspec-file-nul"
        words = f"git{where} diff --name-only -z | {back}"
    else:
        names = [os.path.relpath(os.path.join(top, path), here) for path in paths]
        literal = " --literal-pathspecs" if any(map(_MAGIC.search, names)) else ""
        words = f"git{literal} checkout -- {' '.join(map(shlex.quote, names))}"
    return f"'{words}' undoes" if words.isprintable() else ""
