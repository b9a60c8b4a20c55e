# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot hook`: git's sendemail-validate, pre-commit and pre-push.

Belongs here: what git gives a hook (githooks(5)), which commits or mails that means, and what lets git go on. Does not
belong here: reviewing them. Findings go to stderr, where git shows them; a clean run says nothing. Exit status: 0 lets
git go on, 1 stops it because of findings, 2 because reviewbot itself failed; both say what goes on without it.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from reviewbot.commands.b4_check import join, same_hunks
from reviewbot.commands.common import (
    Ground,
    choose_rules,
    exit_code,
    find_ground,
    foresee,
    numbers,
    open_tree,
    run_review,
    say,
    settle,
    tell_forecast,
)
from reviewbot.config import Config
from reviewbot.finding import Review
from reviewbot.git import first
from reviewbot.mail import local_series
from reviewbot.mime import addresses, parse_patch
from reviewbot.model import InputError, Mail, ReviewbotError, Series
from reviewbot.output import render
from reviewbot.output.text import Screen, clean, count

if TYPE_CHECKING:
    from reviewbot.rule import Rule
    from reviewbot.source.commits import Repository

# What lets git go on without the hook.
_WAYS = {
    "sendemail-validate": "git send-email --no-validate",
    "pre-commit": "git commit --no-verify",
    "pre-push": "git push --no-verify",
}
# More commits in one push are a new repository or a merge window, not somebody's series.
MOST_PUSHED = 200
# More files in one posting are none.
_MOST_FILES = 2_000
# What a run of git send-email left behind that did not come to its end is forgotten after a day.
_STALE = 24 * 3600
# Names of git format-patch: 0001-x.patch, v2-0001-x.patch
_NUMBERED = re.compile(r"(?:v[0-9.]{1,9}-)?[0-9]{4,}-.*\.(?:patch|eml|txt)")
_FROM_COMMIT = re.compile(rb"From ([0-9a-f]{40}|[0-9a-f]{64}) Mon Sep 17 00:00:00 2001")


def run(args: argparse.Namespace, config: Config) -> int:
    """The hook's exit code."""
    from reviewbot.source.commits import Repository

    args.fail_on = None  # a hook has none of the options for results
    with Repository.open() as repository:
        settled = settle(args, config, repository)
        return _HOOKS[args.name](Desk(args, settled, choose_rules(args, settled, all_of=True), repository, config))


def tell(args: argparse.Namespace, text: str) -> int:
    """What went wrong and how to go on without it, in one line on stderr; gives the exit status."""
    print(f"reviewbot: {clean(' '.join(text.split()))}; '{_WAYS[args.name]}' goes on without it", file=sys.stderr)
    return 2


class Desk(NamedTuple):
    """What every hook works with."""

    args: argparse.Namespace
    config: Config  # with the tree's own part of it
    rules: Sequence[Rule]
    repository: Repository
    own: Config  # without the tree's part: the bot does not read it

    def say(self, text: str) -> None:
        """A line on stderr; nothing under -q."""
        say(self.args, f"reviewbot: {text}")

    def review(self, series: Series, only: Sequence[int] | None = None) -> Review:
        """The review of a series that the repository has the files of."""
        files = self.repository.files(series)
        reviewed = run_review(self.args, self.config, Ground(series, files), self.rules, only, self.repository)
        for lost in files.lost:
            self.say(f"{lost}: the diff alone is reviewed there")
        return reviewed

    def judge(self, reviews: Sequence[Review]) -> int:
        """Print what is found, if anything; 1 where it stops git."""
        for review in reviews:
            if review.shown or review.errors:
                sys.stderr.write(render("full", [review], Screen(color=_color())))
                tell_forecast(self.args, review)
        code = exit_code(self.args, self.config, reviews)
        if code:
            print(f"reviewbot: '{_WAYS[self.args.name]}' goes on in spite of it", file=sys.stderr)
        return code


def _color() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


# -- pre-commit ---------------------------------------------------------------------------------------


def _pre_commit(desk: Desk) -> int:
    """What is staged. A merge is left alone: its lines are of commits that were made already."""
    repository = desk.repository
    if os.path.exists(os.path.join(repository.git_dir, "MERGE_HEAD")):
        return 0
    if repository.git("diff", "--cached", "--quiet", "--no-ext-diff")[0] == 0:
        return 0  # a commit that changes the message alone, or nothing
    return desk.judge([desk.review(repository.staged())])


# -- pre-push -----------------------------------------------------------------------------------------


class Push(NamedTuple):
    """A line that git gives the hook: a ref and where it is to point, here and at the remote."""

    local: str  # name of the ref or whatever was pushed, "(delete)"
    local_id: str  # full hash, all zeros for a deletion
    remote: str
    remote_id: str  # all zeros for a new ref


def _pre_push(desk: Desk) -> int:
    """The commits that are on no remote-tracking branch, of each ref that is pushed."""
    from reviewbot.source.commits import Commits

    reviews: list[Review] = []
    done: set[str] = set()
    for push in pushes(os.fsdecode(line) for line in sys.stdin.buffer):  # names of refs are bytes
        fresh = tuple(name for name in _fresh(desk, push) if name not in done)
        if fresh:
            done.update(fresh)
            base = _commit(desk.repository, f"{fresh[0]}^")
            reviews.append(desk.review(desk.repository.series(Commits(base, fresh, push.local))))
    return desk.judge(reviews)


def pushes(lines: Iterable[str]) -> Iterator[Push]:
    """What git writes to the hook's standard input. Raises InputError for what is no such line."""
    for line in lines:
        words = line.rstrip("\n").split(" ")
        if len(words) != 4 or not all(re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", words[n]) for n in (1, 3)):
            raise InputError("not what git gives a pre-push hook: '<ref> <object> <ref> <object>' is expected")
        yield Push(*words)


def _fresh(desk: Desk, push: Push) -> tuple[str, ...]:
    """The commits of a ref that no remote has, as far as is known here, oldest first; says what is left out."""
    if not push.local_id.strip("0"):
        return ()
    repository = desk.repository
    tip = _commit(repository, push.local_id)
    if tip is None:  # a tag of a file: nothing to review
        return ()
    # what the remote has now is known here unless somebody else has pushed; a forced push leaves part of it
    theirs = _commit(repository, push.remote_id) if push.remote_id.strip("0") else None
    words = [tip, *([f"^{theirs}"] if theirs else []), "--not", "--remotes"]
    code, out, err = repository.git("rev-list", "--parents", "--topo-order", f"--max-count={MOST_PUSHED + 1}", *words)
    if code:
        raise InputError(f"cannot list the commits of '{push.local}': {first(err)}")
    lines = [line.split() for line in out.decode("ascii", "replace").split("\n")[:-1]]
    if len(lines) > MOST_PUSHED:
        desk.say(f"more than {MOST_PUSHED} commits of '{push.local}' are on no remote: they are not reviewed")
        return ()
    edge = _edge(repository) if any(len(line) == 1 for line in lines) else frozenset()
    if edge.intersection(line[0] for line in lines):
        # what such a commit changes is not known: it would seem to add every file
        desk.say(f"'{push.local}' reaches the edge of a shallow clone: what is there is not reviewed")
    plain = tuple(line[0] for line in reversed(lines) if len(line) <= 2 and line[0] not in edge)
    if merges := sum(len(line) > 2 for line in lines):
        desk.say(f"{count(merges, 'merge')} in '{push.local}' not reviewed, the commits of both sides are")
    return plain


def _edge(repository: Repository) -> frozenset[str]:
    """The commits whose parents a shallow clone lacks."""
    _, out, _ = repository.git("rev-parse", "--git-path", "shallow")
    try:
        with open(os.fsdecode(out).rstrip("\n"), encoding="ascii", errors="replace") as stream:
            return frozenset(stream.read().split())
    except OSError:
        return frozenset()


def _commit(repository: Repository, name: str) -> str | None:
    """The commit that an object is, or a tag is of; None where there is none here."""
    code, out, _ = repository.git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    return out.decode().strip() if code == 0 else None


# -- sendemail-validate -------------------------------------------------------------------------------


class Letter(NamedTuple):
    """A mail that git send-email is about to send."""

    path: str
    recipients: tuple[str, ...]  # addresses in lower case; () where git does not say


class Batch(NamedTuple):
    """Mails that are judged at once."""

    letters: Sequence[Letter]  # also such as are not sent now, of the same series
    wanted: frozenset[str]  # the paths of those whose findings count
    first: bool = True  # nothing was said yet of this run


def _sendemail(desk: Desk) -> int:
    """All mails of a run at once: a refusal at the first would hide what is wrong with the others."""
    files = desk.args.args
    if not 1 <= len(files) <= 2:
        raise InputError('a file or two are expected: reviewbot hook sendemail-validate "$@"')
    letter = Letter(os.path.abspath(files[0]), _recipients(files[1]) if len(files) == 2 else ())
    number, total = _place()
    letters: Sequence[Letter] | None = ()
    if total:
        letters = Pile(desk.repository.git_dir, total).add(number, letter)
        if letters is None:
            return 0
    # git before 2.41, or a run whose other files are not known
    return _judge_letters(desk, _whole(letters) if letters else _siblings(letter))


def _whole(letters: Sequence[Letter]) -> Batch:
    return Batch(letters, frozenset(letter.path for letter in letters))


def _place() -> tuple[int, int]:
    """Which of how many files this is, from 1; (0, 0) for git before 2.41, which does not say."""
    words = [os.environ.get(f"GIT_SENDEMAIL_FILE_{name}", "") for name in ("COUNTER", "TOTAL")]
    if not all(word.isascii() and word.isdecimal() and len(word) < 7 for word in words):
        return 0, 0
    number, total = map(int, words)
    return (number, total) if 1 <= number <= total <= _MOST_FILES else (0, 0)


def _recipients(path: str) -> tuple[str, ...]:
    """The addresses of the To: and Cc: in the file of headers that git gives; () where it cannot be read."""
    try:
        with open(path, "rb") as stream:
            text = stream.read(1024 * 1024).decode("utf-8", "replace")
    except OSError:
        return ()
    values = re.findall(r"^(?:to|cc|bcc):[ \t]*(.*(?:\n[ \t].*)*)", text, re.I | re.M)
    return tuple(dict.fromkeys(address.email.lower() for value in values for address in addresses(value)))


class Pile:
    """The files of one run of git send-email, kept in the repository's directory from call to call.

    A run is told by git send-email's process, so two at a time have a pile each. A run that was broken off leaves a
    file of some bytes, which the next one removes.
    """

    def __init__(self, git_dir: str, total: int) -> None:
        self._directory = os.path.join(git_dir, "reviewbot")
        self._total = total
        self._file = os.path.join(self._directory, f"sendemail-{_run_key()}")

    def add(self, number: int, letter: Letter) -> tuple[Letter, ...] | None:
        """All of them where this is the last; None where others come; () where some are not known."""
        letters = (*(self._read(number) if number > 1 else ()), letter)
        if len(letters) != number:
            self._forget()
            return ()
        if number == self._total:
            self._forget()
            return letters
        return None if self._write(letters) else ()

    def _read(self, number: int) -> tuple[Letter, ...]:
        import json

        try:
            with open(self._file, encoding="utf-8", errors="surrogateescape") as stream:
                total, letters = json.load(stream)
            if total == self._total and len(letters) == number - 1:
                return tuple(Letter(str(path), tuple(map(str, to))) for path, to in letters)
        except (OSError, ValueError, TypeError):
            pass
        return ()

    def _write(self, letters: Sequence[Letter]) -> bool:
        import json

        draft = f"{self._file}.{os.getpid()}"
        try:
            os.makedirs(self._directory, exist_ok=True)
            self._clean()
            with open(draft, "w", encoding="utf-8", errors="surrogateescape") as stream:
                json.dump([self._total, letters], stream)
            os.replace(draft, self._file)
        except OSError:
            return False
        return True

    def _forget(self) -> None:
        try:
            os.unlink(self._file)
            os.rmdir(self._directory)
        except OSError:
            pass

    def _clean(self) -> None:
        import time

        for entry in os.scandir(self._directory):
            if entry.name.startswith("sendemail-") and entry.stat().st_mtime < time.time() - _STALE:
                os.unlink(entry.path)


class Sender(NamedTuple):
    """The process of git send-email that has called us."""

    pid: int
    start: str  # when it began, in the system's own unit: process ids come again


def _sender() -> Sender | None:
    """Between it and us are `git hook run` and a shell, anew for each mail. None where the system does not tell."""
    pid = os.getppid()
    for _ in range(10):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
                head, _, rest = stream.read().rpartition(")")
        except OSError:
            return None
        fields = rest.split()
        if head.partition("(")[2].startswith("git-send-email"):
            return Sender(pid, fields[19])
        pid = int(fields[1])
    return None


def _run_key() -> str:
    """What the calls for one run of git send-email have in common and no other has.

    Where the system does not tell who called, the process group does: a shell gives each of its jobs one.
    """
    sender = _sender()
    return f"{sender.pid}-{sender.start}" if sender else f"group-{os.getpgrp()}"


def _named_files() -> frozenset[str]:
    """The words behind `git send-email`, without directories: the names of files are among them, if any are named."""
    sender = _sender()
    try:
        with open(f"/proc/{sender.pid if sender else 'none'}/cmdline", "rb") as stream:
            words = os.fsdecode(stream.read(1024 * 1024)).split("\0")
    except OSError:
        return frozenset()
    return frozenset(os.path.basename(word) for word in words)


def _siblings(letter: Letter) -> Batch:
    """The files of the same series beside one of git format-patch's.

    git before 2.41 does not say which other files it is to send, nor which is the last. The first of a series stands
    for all that are sent, so that all is told at once; each of the others stands for itself, in its series.
    """
    from reviewbot.mail import parse_subject

    alone = _whole((letter,))
    directory, name = os.path.split(letter.path)
    own = _read_mail(letter.path) if _NUMBERED.fullmatch(name) else None
    subject = parse_subject(own.subject) if own else None
    if subject is None or own is None or subject.counter is None:
        return alone
    try:
        names = sorted(other for other in os.listdir(directory) if _NUMBERED.fullmatch(other))
    except OSError:
        return alone
    if len(names) > _MOST_FILES:
        return alone
    key = (subject.revision, subject.expected, subject.prefixes, own.sender.email)
    found: dict[int, str] = {}
    for other in names:
        mail = own if other == name else _read_mail(os.path.join(directory, other))
        its = parse_subject(mail.subject) if mail else None
        if mail is None or its is None or its.counter is None:
            continue
        if (its.revision, its.expected, its.prefixes, mail.sender.email) == key:
            if its.counter in found:  # an older copy lies there, too: which of them is sent is not known
                return alone
            found[its.counter] = other
    named = _named_files()
    # where files are named, and not a directory or commits, no other is sent
    sent = [found[number] for number in sorted(found) if found[number] in named or name not in named]
    letters = [Letter(os.path.join(directory, found[number]), letter.recipients) for number in sorted(found)]
    first = sent[0] == name
    return Batch(letters, frozenset(os.path.join(directory, one) for one in (sent if first else [name])), first)


def _read_mail(path: str) -> Mail | None:
    """None for what is none, or no file: reading a pipe would not end."""
    try:
        if not os.path.isfile(path):
            return None
        with open(path, "rb") as stream:
            return parse_patch(stream.read(), path)
    except (OSError, InputError):
        return None


def _judge_letters(desk: Desk, batch: Batch) -> int:
    mails: list[Mail] = []
    commits: dict[str, str] = {}  # path -> what `git format-patch` made it of
    for letter in batch.letters:
        try:
            with open(letter.path, "rb") as stream:
                raw = stream.read()
            mails.append(parse_patch(raw, letter.path))
        except OSError as error:
            raise InputError(f"cannot open '{letter.path}': {error.strerror}") from error
        except InputError as error:
            # what is no mail is git send-email's to refuse
            desk.say(f"{error}: not reviewed")
            continue
        if match := _FROM_COMMIT.match(raw):
            commits[letter.path] = match[1].decode()
    sent_to = tuple(dict.fromkeys(address for letter in batch.letters for address in letter.recipients))
    reviews = []
    for series in local_series(mails):
        only = [patch.index for patch in series.patches if patch.mail.origin in batch.wanted]
        if not only:
            continue
        some = only if len(only) < len(series.patches) else None
        if series.missing and batch.first:
            desk.say(f"missing {numbers(series.missing)} of {series.expected} of '{series.subject}'")
        made = None if desk.args.tree else _from_commits(desk.repository, series, commits)
        if made:
            reviewed = desk.review(made, some)
        else:
            with open_tree(desk.args, desk.config) as tree:
                ground = find_ground(desk.args, tree, series)
                reviewed = run_review(desk.args, desk.config, ground, desk.rules, some)
        reviews.append(foresee(desk.args, desk.own, reviewed, sent_to) if batch.first else reviewed)
    return desk.judge(reviews)


def _from_commits(repository: Repository, series: Series, commits: Mapping[str, str]) -> Series | None:
    """The mails as the commits that they were made of; None where they are not those any more.

    A file that was written over by hand says the commit that it was made of as well.
    """
    from reviewbot.source.commits import Commits

    ids = [commits.get(patch.mail.origin, "") for patch in series.patches]
    known = tuple(name for name in ids if name and _commit(repository, name) == name)
    if not known or len(known) != len(ids):
        return None
    try:
        made = repository.series(Commits(_commit(repository, f"{known[0]}^"), known, series.subject))
    except ReviewbotError:
        return None
    both = list(zip(series.patches, made.patches, strict=True))
    if not all(same_hunks(mailed.files, committed.files) for mailed, committed in both):
        return None
    patches = tuple(join(mailed, committed)._replace(index=mailed.index) for mailed, committed in both)
    return series._replace(patches=patches, base=made.base)


_HOOKS: dict[str, Callable[[Desk], int]] = {
    "sendemail-validate": _sendemail,
    "pre-commit": _pre_commit,
    "pre-push": _pre_push,
}
