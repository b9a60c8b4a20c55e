# SPDX-License-Identifier: GPL-2.0-or-later
"""What is new in an archive since a resume point, so that nobody who reads it again and again misses a mail.

Belongs here: `EpochFeed`, which follows public-inbox's git (on disk, or pulled from a server), and
`LoreFeed`, which asks a server's search. What becomes of a mail, and whether it was seen before, is the
caller's: a feed gives a mail at least once, and twice after a crash, a rewritten archive or in a search's
overlap. Runs git and contacts servers; the content is not trusted.

Why EpochFeed misses nothing: an epoch is a chain of commits, one a mail, to which its writer only appends.
The resume point is the last commit whose mail was dealt with, and `tip ^commit` is exactly what came
behind it, whatever the commits' dates say. A writer that has begun epoch e+1 never appends to e: so whether
there is an e+1 is asked before e is read to its end, and e+1 is then read from its root. Mirrors may copy
e+1 before the last of e, so e stays in the resume point until its last mail is a week old.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, NamedTuple, Protocol
from urllib.parse import urlsplit

from reviewbot.mime import MAX_MAIL
from reviewbot.model import InputError, NotFoundError, TemporaryError
from reviewbot.source import MAX_UNPACKED, look
from reviewbot.source.epoch import git_command, list_epochs, read_files, rev_list
from reviewbot.source.lore import LoreSource

# Commits of a rewritten epoch that are read again at least. Mail is purged when somebody asks for it: of
# linux-mm this is some two days.
_TAIL = 1000
# The image of the last mail that was dealt with is looked for in a rewritten epoch: it or so many before it,
# for it may be the purged one itself.
_ANCHORS = 100
# Looking for the first mail of a day ends behind so many older mails in a row. Dates are those of Received:
# headers; in 14,925 mails of nvdimm 2.4 % were more than five minutes out of order, one by a week.
_QUIET = 500
# Commits by which a clone is first deepened, then twice as many: what is fetched in vain is less than what is not.
_DEEPEN = 500
# An epoch that has a successor is looked at until its last mail is so old.
_SETTLED = timedelta(days=7)

# Seconds that git may take to fetch: an epoch has 1 GB at most, which is 2.4 Mbit/s.
_FETCH = 3600
# Seconds that it may take to say whether a repository is there.
_LOOK = 120
# Less than this many bytes a second for so many seconds is a server that hangs; large packs are counted in silence.
_SLOW = ("-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=120")
_SCHEMES = ("https", "http", "git", "file")
# What a proxy and a private certificate authority are known by; all else of the caller's environment is kept out.
_PROXY = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_TRUST = ("SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")
# How git says that there is no repository, of http, of files and of git-daemon; all else is trouble.
_ABSENT = re.compile(
    r"^fatal: (?:repository '.*' not found|'.*' does not appear to be a git repository"
    r"|remote error: (?:access denied or )?repository not exported)",
    re.M,
)
_LOCKS = ("*.lock", "refs/**/*.lock", "objects/info/**/*.lock")
_EMPTY = "couldn't find remote ref HEAD"

_PLACE = re.compile(r"([0-9]{1,4}):([0-9a-f]{40}(?:[0-9a-f]{24})?)?")
_ZERO = datetime.fromtimestamp(0, UTC)

# Bytes of one search's answer that are held in memory; a range with more is halved.
_MAX_ANSWER = MAX_UNPACKED // 4


class Arrival(NamedTuple):
    """A mail that an archive took."""

    # None: nothing to read, but the resume point moves: the removal of a mail, one too large, or one that was purged,
    # in whose place is an empty file
    raw: bytes | None
    place: str  # where it lies, for Feed.read(): "0:<commit>" in epochs; "" on a server
    arrived: datetime  # when the archive took it, UTC, not in the future; a hint only (a server: when we asked)
    cursor: str  # the resume point once this mail is durably dealt with


class Feed(Protocol):
    """What is new in one archive. After each `news` (or `begin`) `notes` and `position` speak of that pass."""

    name: str
    notes: list[str]  # what a person should know: "epoch 3 was rewritten ..."
    position: str  # the resume point once news() is exhausted and all of it dealt with

    def begin(self, since: datetime | None) -> str:
        """The first resume point: the end of the archive, or before the first mail of `since`.

        With a date some older mails may come as well. Raises as `news`.
        """

    def news(self, cursor: str) -> Iterator[Arrival]:
        """All mails behind a resume point, in the order in which the archive took them.

        Raises InputError where the archive or the resume point is wrong, and TemporaryError for whatever
        trying again may help; what was given before stays valid.
        """

    def read(self, place: str) -> bytes | None:
        """The raw mail that lies at an Arrival's place; None where it is gone, too large, or place is ""."""

    def close(self) -> None:
        """End what read() keeps open."""


class _Place(NamedTuple):
    epoch: int
    commit: str  # "": before the epoch's first

    def __str__(self) -> str:
        return f"{self.epoch}:{self.commit}"


class EpochFeed:
    """A public-inbox that lies on disk and is kept up to date by others, or one pulled from a server.

    A resume point is "3:<commit>", two such with a space between while two epochs are looked at; "3:" is
    before the first mail of epoch 3.
    """

    def __init__(self, name: str, where: str, clones: Path) -> None:
        """`where` is a public-inbox directory, one bare epoch, or an address below which git/0.git is.

        What is pulled lies in clones/<name>, where a later pass finds it and nobody else writes; it is a cache.
        Raises InputError where `where` is no such thing.
        """
        self.name = name
        self.notes: list[str] = []
        self.position = ""
        self._url = where.rstrip("/") if "://" in where else ""
        self._at = clones / name if self._url else Path(where)
        self._readers: dict[int, subprocess.Popen[bytes]] = {}
        self._lock = -1  # a file that a git which contacts a server keeps locked for as long as it lives
        if not self._url:
            look(self._at)
            if not list_epochs(self._at):
                raise InputError(f"source '{name}': '{where}' is no public-inbox archive: it has no git/0.git")
            return
        try:
            address = urlsplit(self._url)
        except ValueError as error:
            raise InputError(f"source '{name}': not an address: '{where}'") from error
        if address.scheme not in _SCHEMES:
            raise InputError(f"source '{name}': cannot pull from '{where}': known are {', '.join(_SCHEMES)}")
        if "@" in address.netloc:
            # git's messages would show it, and an archive is public
            raise InputError(f"source '{name}': an address with a user or password in it is not used")

    def begin(self, since: datetime | None) -> str:
        """See `Feed.begin`."""
        self.notes.clear()
        with self._alone():
            self.position = str(self._start(since))
        return self.position

    def news(self, cursor: str) -> Iterator[Arrival]:
        """See `Feed.news`."""
        self.notes.clear()
        self.position = cursor
        ahead = self._parse(cursor)
        with self._alone():
            done: list[_Place] = []
            while ahead:
                here = ahead.pop(0)
                # before the epoch is read: what its writer appends until it begins the next is then read, too
                later = None if ahead else self._next(here.epoch)
                git_dir, entries = self._behind(here)
                mails = read_files(git_dir, [commit for commit, _ in entries])
                for (commit, _, raw), (_, arrived) in zip(mails, entries, strict=True):
                    here = here._replace(commit=commit)
                    yield Arrival(raw or None, str(here), arrived, _text([*done[-1:], here, *ahead]))
                done.append(here)
                if later is not None:
                    ahead.append(_Place(later, ""))
            *before, last = done[-2:]
            self.position = _text([*(place for place in before if not self._settled(place)), last])

    def read(self, place: str) -> bytes | None:
        """See `Feed.read`. Raises InputError for a place that is none, or where git fails."""
        match = _PLACE.fullmatch(place)
        if not match or not match[2]:
            raise InputError(f"source '{self.name}': not a mail's place: {place[:100]!r}")
        epoch = int(match[1])
        git_dir = self._directory(epoch)
        if git_dir is None:
            return None
        reader = self._readers.get(epoch)
        if reader is not None and reader.poll() is not None:
            self._end_reader(epoch)
            reader = None
        if reader is None:
            command, environment = git_command(git_dir, "cat-file", "--batch")
            try:
                reader = subprocess.Popen(
                    command,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
            except OSError as error:
                raise InputError(f"cannot run git: {error.strerror}") from error
            self._readers[epoch] = reader
        try:
            return _ask(reader, match[2]) or None
        except (OSError, ValueError) as error:
            self._end_reader(epoch)
            raise InputError(f"source '{self.name}': cannot read {place}: git cat-file stopped") from error

    def close(self) -> None:
        """End the processes that read() keeps open; it may be called again."""
        for epoch in list(self._readers):
            self._end_reader(epoch)

    def _end_reader(self, epoch: int) -> None:
        if (reader := self._readers.pop(epoch, None)) is not None:
            reader.kill()
            for pipe in (reader.stdin, reader.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()
            reader.wait()

    def _parse(self, cursor: str) -> list[_Place]:
        places = [
            _Place(int(match[1]), match[2] or "") if (match := _PLACE.fullmatch(word)) else None
            for word in cursor.split(" ")
        ]
        known = [place for place in places if place is not None]
        if (
            len(known) != len(places)
            or len(known) > 2
            or sorted({place.epoch for place in known}) != [place.epoch for place in known]
        ):
            raise InputError(f"source '{self.name}': not a resume point of a git archive: {cursor[:200]!r}")
        return known

    def _start(self, since: datetime | None) -> _Place:
        epoch = self._newest()
        point = None
        pending = False  # the mail looked at last is wanted: the one before it is the resume point
        quiet = 0
        for number in self._downwards(epoch):
            for commit, arrived in self._backwards(number):
                if pending or point is None:
                    point, pending = _Place(number, commit), False
                if since is None or quiet >= _QUIET:
                    return point
                if arrived >= since:
                    pending, quiet = True, 0
                else:
                    quiet += 1
            if pending or point is None:
                point, pending = _Place(number, ""), False
            if since is None:
                break
        assert point is not None
        return point

    def _newest(self) -> int:
        """The number of the newest epoch."""
        if not self._url:
            return list_epochs(self._at)[-1][0]
        epoch = -1
        while self._remote_has(epoch + 1):
            epoch += 1
        if epoch < 0:
            raise NotFoundError(f"source '{self.name}': no public-inbox archive at '{self._url}': it has no git/0.git")
        return epoch

    def _downwards(self, newest: int) -> Iterator[int]:
        """Epochs from the newest on; of a partial mirror those that it has."""
        if self._url:
            yield from range(newest, -1, -1)
        else:
            yield from (epoch for epoch, _ in reversed(list_epochs(self._at)))

    def _next(self, epoch: int) -> int | None:
        """The epoch behind this one; None where it is the newest."""
        if self._url:
            return epoch + 1 if self._remote_has(epoch + 1) else None
        return next((number for number, _ in list_epochs(self._at) if number > epoch), None)

    def _directory(self, epoch: int) -> Path | None:
        """The bare repository on disk; None where there is none."""
        if self._url:
            at = self._at / f"{epoch}.git"
            return at if (at / "HEAD").is_file() else None
        return dict(list_epochs(self._at)).get(epoch)

    def _local(self, epoch: int) -> Path:
        if (git_dir := self._directory(epoch)) is None:
            raise InputError(f"source '{self.name}': no epoch {epoch} in '{self._at}'")
        return git_dir

    def _backwards(self, epoch: int) -> Iterator[tuple[str, datetime]]:
        """(commit, when it arrived) from the tip on; a clone is made anew, and deepened as far as is asked for."""
        if not self._url:
            yield from reversed(_commits(self._local(epoch), "HEAD"))
            return
        git_dir = self._renew(epoch)
        # not --shallow-since: one commit with an old date would hide all that are before it
        self._fetch(epoch, "--depth=1", "+HEAD:refs/heads/master")
        seen, deepen = 0, _DEEPEN
        while True:
            entries = _commits(git_dir, "HEAD")
            yield from entries[::-1][seen:]
            if not _is_shallow(git_dir):
                return
            seen = len(entries)
            self._fetch(epoch, f"--deepen={deepen}", "+HEAD:refs/heads/master")
            deepen *= 2

    def _behind(self, place: _Place) -> tuple[Path, list[tuple[str, datetime]]]:
        """The epoch's repository, and (commit, when it arrived) of all behind a place, oldest first."""
        git_dir = self._pull(place) if self._url else self._local(place.epoch)
        tip = _resolve(git_dir, "HEAD")
        if tip == place.commit:
            return git_dir, []
        if not tip:
            # a mirror that is made anew, say: to take it for "nothing new" would hide that it is broken
            raise TemporaryError(f"source '{self.name}': epoch {place.epoch} is empty, and was not before")
        if not place.commit:
            return git_dir, _commits(git_dir, tip)
        # unlike rev-list's, its answer is right whatever the dates in the commits
        code = _git(git_dir, "merge-base", "--is-ancestor", place.commit, tip)[0]
        if code == 0:
            return git_dir, _commits(git_dir, tip, f"^{place.commit}")
        entries = _rewritten(git_dir, place.commit, tip)
        self.notes.append(
            f"source '{self.name}': epoch {place.epoch} was rewritten, its last {len(entries)} mails are read again"
        )
        return git_dir, entries

    def _settled(self, place: _Place) -> bool:
        """The epoch's last mail is so old that no mirror is still copying it."""
        if not place.commit:
            # there is no mail yet, so none is old
            return False
        entries = _commits(self._local(place.epoch), "--max-count=1", place.commit)
        return not entries or entries[0][1] < datetime.now(UTC) - _SETTLED

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else fetches into the clones: no other pass, and no git that outlived a killed one."""
        if not self._url:
            yield
            return
        try:
            self._at.mkdir(parents=True, exist_ok=True)
            lock = (self._at / "lock").open("ab")
        except OSError as error:
            raise InputError(f"source '{self.name}': cannot write '{self._at}': {error.strerror}") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise TemporaryError(f"source '{self.name}': '{self._at}' is in use by another process") from error
            # git inherits it: what locks of its own are left now are those of a git that was killed
            self._lock = lock.fileno()
            for left in (left for kind in _LOCKS for left in self._at.glob(f"*.git/{kind}")):
                with suppress(OSError):
                    left.unlink()
            yield

    def _renew(self, epoch: int) -> Path:
        """An empty clone of an epoch; what was there is thrown away."""
        git_dir = self._at / f"{epoch}.git"
        self._end_reader(epoch)
        try:
            if git_dir.exists():
                shutil.rmtree(git_dir)
        except OSError as error:
            raise InputError(f"source '{self.name}': cannot write '{git_dir}': {error.strerror}") from error
        # without a template there are no hooks
        code, _, why = _git(git_dir, "init", "-q", "--bare", "--template=", "--initial-branch=master")
        if code:
            raise InputError(f"source '{self.name}': cannot write '{git_dir}': {_reason(why)}")
        return git_dir

    def _pull(self, place: _Place) -> Path:
        """The clone of an epoch with all that is behind a place on the server."""
        git_dir = self._directory(place.epoch)
        if git_dir is not None and place.commit:
            usable = _resolve(git_dir, f"{place.commit}^{{commit}}") == place.commit
        else:
            usable = git_dir is not None and not _is_shallow(git_dir)
        if git_dir is None or not usable:
            # a clone that does not reach down to the place would hide what lies between
            git_dir = self._renew(place.epoch)
            if place.commit:
                # that commit alone, if the server still has it; else the epoch is fetched whole, and found rewritten
                with suppress(TemporaryError):
                    self._fetch(place.epoch, "--depth=1", f"{place.commit}:refs/reviewbot/start")
        self._fetch(place.epoch, "+HEAD:refs/heads/master")
        return git_dir

    def _fetch(self, epoch: int, *words: str) -> None:
        """Raises TemporaryError where it fails; that an epoch has no commit yet is no failure."""
        url = self._epoch_url(epoch)
        *options, refs = words
        options = ["fetch", "-q", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", *options]
        code, _, why = self._contact(self._at / f"{epoch}.git", _FETCH, *options, "--", url, refs)
        if code and _EMPTY not in why:
            raise TemporaryError(f"source '{self.name}': cannot fetch '{url}': {_reason(why)}")

    def _remote_has(self, epoch: int) -> bool:
        """The server has that epoch. Raises TemporaryError where it does not say."""
        url = self._epoch_url(epoch)
        code, _, why = self._contact(self._at, _LOOK, "ls-remote", "-q", "--", url, "HEAD")
        if code and not _ABSENT.search(why):
            raise TemporaryError(f"source '{self.name}': cannot look at '{url}': {_reason(why)}")
        return code == 0

    def _epoch_url(self, epoch: int) -> str:
        return f"{self._url}/git/{epoch}.git"

    def _contact(self, git_dir: Path, seconds: float, *words: str) -> tuple[int, str, str]:
        """Run git that talks to a server: (exit code, stdout, stderr)."""
        # detached, its housekeeping would go on while the next pass fetches
        settings = (
            *_SLOW,
            "-c",
            "credential.helper=",
            "-c",
            "gc.autoDetach=false",
            "-c",
            "maintenance.autoDetach=false",
        )
        command, environment = git_command(git_dir, *words)
        command[1:1] = settings
        environment["GIT_ALLOW_PROTOCOL"] = ":".join(_SCHEMES)
        environment["GIT_TERMINAL_PROMPT"] = "0"
        environment |= {name: os.environ[name] for name in (*_PROXY, *_TRUST) if name in os.environ}
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            try:
                git = subprocess.Popen(
                    command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    pass_fds=(self._lock,),
                    start_new_session=True,
                )
            except OSError as error:
                raise InputError(f"cannot run git: {error.strerror}") from error
            try:
                code = git.wait(seconds)
            except subprocess.TimeoutExpired as error:
                raise TemporaryError(f"source '{self.name}': '{self._url}' takes more than {seconds:.0f} s") from error
            finally:
                # git's helpers too, which talk to the server; the group is there until git is waited for
                if git.returncode is None:
                    os.killpg(git.pid, signal.SIGKILL)
                    git.wait()
            texts = [_content(file) for file in (out, err)]
        return code, texts[0], texts[1]


class LoreFeed:
    """A list on a public-inbox server, by its search. Mail can be missed: prefer EpochFeed where git can be had.

    A resume point is the time, by our clock, at which the last successful search began: "2026-11-20T21:46:59Z",
    and behind a "/" the time that nothing older is news. Each pass searches by the time at which the archive
    received a mail, from `overlap` before that on, and gives all that it finds: the caller knows what it has seen.

    A mail is missed if and only if it cannot be found until more than `overlap` after the time that the archive
    noted for it, which it takes from the mail's Received: headers, or without any from its Date: a server on its
    way whose clock is late, an archive that imports or indexes late (public-inbox's search lags 30 s behind), our
    clock being ahead by more than that. So is one that the archive noted before the first pass. A mail that is
    stamped too late is given by each pass until its time has come. A clock of ours that was ahead and is put right
    loses nothing.
    """

    def __init__(self, name: str, url: str, overlap: timedelta, source: LoreSource | None = None) -> None:
        """`source` is for another way to ask. Raises InputError where `url` is no http address."""
        self.name = name
        self.notes: list[str] = []
        self.position = ""
        self.source = source or LoreSource(url)
        self._overlap = overlap

    def begin(self, since: datetime | None) -> str:
        """See `Feed.begin`. Raises NotFoundError for a list without mail, such as one that is not there."""
        self.notes.clear()
        now = _now()
        # of a list that it does not have a server says what it says where nothing is found. Of all mails of all
        # lists the search takes long, so it is asked first for what is cheap.
        for first in (now - timedelta(days=7), _ZERO):
            mails, whole = self.source.search(_received(first, None), 1)
            if mails or not whole:
                break
        else:
            raise NotFoundError(f"source '{self.name}': no mail on '{self.source.url}': is it the address of a list?")
        floor = min(since.astimezone(UTC), now) if since else now
        self.position = f"{_stamp(floor)}/{_stamp(floor)}"
        return self.position

    def news(self, cursor: str) -> Iterator[Arrival]:
        """See `Feed.news`: all that the search finds, also what was found before."""
        self.notes.clear()
        self.position = cursor
        last, floor = self._parse(cursor)
        now = _now()
        begin = min(last, now) - self._overlap
        for raw in self._between(max(begin, floor), None, now):
            yield Arrival(raw if len(raw) <= MAX_MAIL else None, "", now, cursor)
        self.position = f"{_stamp(now)}/{_stamp(floor)}" if floor > now - self._overlap else _stamp(now)

    def read(self, place: str) -> bytes | None:  # noqa: ARG002 - see Feed.read
        """None: what a server sent was in the Arrival."""
        return None

    def close(self) -> None:
        """Nothing is kept open."""

    def _parse(self, cursor: str) -> tuple[datetime, datetime]:
        last, slash, floor = cursor.partition("/")
        try:
            times = [
                datetime.strptime(text, _TIME).replace(tzinfo=UTC) for text in ([last, floor] if slash else [last])
            ]
        except ValueError as error:
            raise InputError(f"source '{self.name}': not a resume point of a search: {cursor[:200]!r}") from error
        return times[0], times[1] if slash else _ZERO

    def _between(self, first: datetime, last: datetime | None, now: datetime) -> Iterator[bytes]:
        """The mails received from first to last (None: and whatever is stamped in the future), oldest first."""
        mails, whole = self.source.search(_received(first, last), _MAX_ANSWER)
        if whole:
            # sorted by number, newest first, and numbers are given in the order of arrival
            yield from reversed(mails)
            return
        middle = first + ((last or now) - first) / 2
        if middle - first < timedelta(seconds=1):
            raise TemporaryError(
                f"source '{self.name}': more than {_MAX_ANSWER >> 20} MiB of mail in a second on '{self.source.url}'"
            )
        del mails
        yield from self._between(first, middle, now)
        yield from self._between(middle, last, now)


_TIME = "%Y-%m-%dT%H:%M:%SZ"


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _stamp(when: datetime) -> str:
    return when.strftime(_TIME)


def _received(first: datetime, last: datetime | None) -> str:
    """The search for what the archive received between two times, both included; whole seconds."""
    # public-inbox takes numbers of less than five digits for years or worse
    return f"rt:{max(10_000, int(first.timestamp()))}..{int(last.timestamp()) + 1 if last else ''}"


def _text(places: Sequence[_Place]) -> str:
    return " ".join(str(place) for place in places[-2:])


def _commits(git_dir: Path, *words: str) -> list[tuple[str, datetime]]:
    """(commit, its date, not in the future) of what rev-list gives, oldest first, parents before children."""
    now = datetime.now(UTC)
    latest = int(now.timestamp())
    lines = rev_list(git_dir, "--topo-order", "--timestamp", *words, "--").decode("ascii").splitlines()
    return [
        (commit, datetime.fromtimestamp(min(max(int(stamp), 0), latest), UTC))
        for stamp, _, commit in (line.partition(" ") for line in lines)
    ]


def _rewritten(git_dir: Path, commit: str, tip: str) -> list[tuple[str, datetime]]:
    """What to read of an epoch where the resume point is no longer part of it.

    All since it was rewritten, or where that is much: what is behind the mail of the resume point, which is there
    again in another commit, and _TAIL mails at least.
    """
    known = _resolve(git_dir, f"{commit}^{{commit}}") == commit
    entries = _commits(git_dir, tip, *([f"^{commit}"] if known else []))
    start = max(0, len(entries) - _TAIL)
    if start and known:
        fork = _git(git_dir, "merge-base", commit, tip)[1].strip()
        place = {tree: n for n, (_, tree) in enumerate(_trees(git_dir, tip, f"^{commit}"))}
        # newest first; a commit's tree is its mail
        for anchor, tree in reversed(_trees(git_dir, f"--max-count={_ANCHORS}", commit)):
            if tree in place or anchor == fork:
                start = min(start, place.get(tree, -1) + 1)
                break
    return entries[start:]


def _trees(git_dir: Path, *words: str) -> list[tuple[str, str]]:
    """(commit, tree) of what rev-list gives, oldest first: two lines each, see epoch._candidates()."""
    lines = rev_list(git_dir, "--topo-order", "--format=%T", *words, "--").decode("ascii").splitlines()
    return [(line.removeprefix("commit "), tree) for line, tree in zip(lines[::2], lines[1::2], strict=True)]


def _resolve(git_dir: Path, name: str) -> str:
    """The object that a name stands for; "" where it stands for none. Raises InputError where git fails."""
    code, out, why = _git(git_dir, "rev-parse", "-q", "--verify", name)
    if code not in (0, 1):
        raise InputError(f"cannot read '{git_dir}': {_reason(why)}")
    return out.strip() if code == 0 else ""


def _is_shallow(git_dir: Path) -> bool:
    # the file is git's own record: gitformat-shallow(5)
    return (git_dir / "shallow").is_file() and bool((git_dir / "shallow").stat().st_size)


def _git(git_dir: Path, *words: str) -> tuple[int, str, str]:
    """Run git on a repository alone: (exit code, stdout, stderr)."""
    command, environment = git_command(git_dir, *words)
    try:
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as error:
        raise InputError(f"cannot run git: {error.strerror}") from error
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def _ask(reader: subprocess.Popen[bytes], commit: str) -> bytes | None:
    """The mail of a commit from git cat-file --batch. Raises OSError or ValueError where that ends."""
    assert reader.stdin is not None
    assert reader.stdout is not None
    reader.stdin.write(f"{commit}:m\n".encode("ascii"))
    reader.stdin.flush()
    words = reader.stdout.readline().split()
    if words[1:] == [b"missing"]:
        return None
    if len(words) != 3:
        raise ValueError("no answer")
    size = int(words[2])
    content = None
    if words[1] == b"blob" and size <= MAX_MAIL:
        content = reader.stdout.read(size)
    else:
        left = size
        while left and (chunk := reader.stdout.read(min(left, 1 << 20))):
            left -= len(chunk)
    if (content is not None and len(content) != size) or reader.stdout.read(1) != b"\n":
        raise ValueError("cut off")
    return content


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(1 << 16).decode("utf-8", "replace")


def _reason(why: str) -> str:
    """The first thing of git's stderr that says why it failed; a server may have written to it."""
    lines = [line for line in why.splitlines() if line.strip()]
    line = next((line for line in lines if line.startswith("fatal: ")), lines[0] if lines else "git failed")
    return "".join(sign if sign.isprintable() else "?" for sign in line.removeprefix("fatal: "))[:300]
