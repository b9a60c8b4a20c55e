# SPDX-License-Identifier: GPL-2.0-or-later
"""What is new in an archive: EpochFeed and LoreFeed over a real public-inbox, over git, and over servers that fail.

Belongs here: that no mail is missed, whatever happens between two passes and within one.
"""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import count
from pathlib import Path

import pytest
from inbox import deliver, deliver_all, missing_programs, public_inbox, purge, serve, start_inbox, write_epoch
from mails import mail
from test_source_lore import faulty, status

from reviewbot.model import InputError, NotFoundError, TemporaryError
from reviewbot.source import epoch, feed, read_head
from reviewbot.source.feed import Arrival, EpochFeed, Feed, LoreFeed
from reviewbot.source.lore import LoreSource

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="not installed: git")
needs_inbox = pytest.mark.skipif(bool(missing_programs()), reason=f"not installed: {missing_programs()}")

NOW = datetime.now(UTC)


def note(name: str, *, size: int = 10, received: datetime | None = None) -> bytes:
    """A mail that is told apart by its Message-ID, <name>@example.org; its Date is in 2024."""
    headers = [f"Received: from a by b; {format_datetime(received)}"] if received else []
    return mail(name, "x" * size + "\n", f"{name}@example.org", headers=headers)


def names(mails: list[Arrival]) -> list[str]:
    return [name_of(arrival) for arrival in mails]


def name_of(arrival: Arrival) -> str:
    assert arrival.raw is not None
    return read_head(arrival.raw).own[0].decode().removesuffix("@example.org")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive of one epoch with three mails: a, b and c."""
    write_epoch(tmp_path / "list/git/0.git", [note(name) for name in "abc"])
    return tmp_path / "list"


@pytest.fixture(params=["directory", "pulled"])
def where(request: pytest.FixtureRequest, archive: Path) -> str:
    """What names `archive`: its directory, and an address to pull it from."""
    return str(archive) if request.param == "directory" else f"file://{archive}"


@pytest.fixture
def feeds(tmp_path: Path) -> Iterator[Feeds]:
    made = Feeds(tmp_path / "clones")
    yield made
    for one in made.open:
        one.close()


class Feeds:
    """Makes feeds that share a directory for clones, as each pass does, and closes them."""

    def __init__(self, clones: Path) -> None:
        self.clones = clones
        self.open: list[EpochFeed] = []

    def __call__(self, where: str) -> EpochFeed:
        self.open.append(EpochFeed("linux-mm", where, self.clones))
        return self.open[-1]


def test_nothing_old_is_news_and_a_new_mail_is(feeds: Feeds, where: str, archive: Path) -> None:
    cursor = feeds(where).begin(None)
    assert list(feeds(where).news(cursor)) == []
    write_epoch(archive / "git/0.git", [note("d"), note("e")])
    one = feeds(where)
    first, second = one.news(cursor)
    assert (first.raw, second.raw) == (note("d"), note("e"))
    assert first.place == first.cursor
    assert one.position == second.cursor
    assert names(list(feeds(where).news(first.cursor))) == ["e"]
    assert list(feeds(where).news(second.cursor)) == []
    assert one.notes == []


def test_a_resume_point_survives_as_text_and_is_short(feeds: Feeds, where: str) -> None:
    cursor = feeds(where).begin(None)
    assert cursor.startswith("0:")
    assert len(cursor) == 42


def test_an_epoch_that_has_just_begun_is_no_error(feeds: Feeds, tmp_path: Path) -> None:
    git_dir = tmp_path / "new/git/0.git"
    subprocess.run(["git", "init", "-q", "--bare", "--initial-branch=master", str(git_dir)], check=True)
    for where in (str(tmp_path / "new"), f"file://{tmp_path}/new"):
        assert feeds(where).begin(None) == "0:"
        assert feeds(where).begin(NOW) == "0:"
        assert list(feeds(where).news("0:")) == []
    commit = ["fast-import", "--quiet"]
    stream = b"commit refs/heads/master\ncommitter t <t@x> 1 +0000\ndata 0\nM 100644 inline m\ndata 2\nx\n\n"
    subprocess.run(["git", f"--git-dir={git_dir}", *commit], input=stream, check=True)
    for where in (str(tmp_path / "new"), f"file://{tmp_path}/new"):
        assert [arrival.raw for arrival in feeds(where).news("0:")] == [b"x\n"]


def test_a_single_bare_epoch_is_followed(feeds: Feeds, archive: Path) -> None:
    where = str(archive / "git/0.git")
    cursor = feeds(where).begin(None)
    write_epoch(archive / "git/0.git", [note("d")])
    assert names(list(feeds(where).news(cursor))) == ["d"]


def test_the_next_epochs_are_read_from_their_roots(feeds: Feeds, where: str, archive: Path) -> None:
    cursor = feeds(where).begin(None)
    write_epoch(archive / "git/0.git", [note("d")])
    write_epoch(archive / "git/1.git", [note("e"), note("f")])
    write_epoch(archive / "git/2.git", [note("g")])
    arrivals = list(feeds(where).news(cursor))
    assert names(arrivals) == ["d", "e", "f", "g"]
    for n, arrival in enumerate(arrivals):
        assert names(list(feeds(where).news(arrival.cursor))) == ["d", "e", "f", "g"][n + 1 :]


def test_what_an_epoch_gets_while_it_is_read_is_not_lost_to_the_next_epoch(
    feeds: Feeds, where: str, archive: Path
) -> None:
    one = feeds(where)
    cursor = one.begin(None)
    write_epoch(archive / "git/0.git", [note("d"), note("e")])
    news = one.news(cursor)
    found = [next(news)]
    write_epoch(archive / "git/0.git", [note("f")])
    write_epoch(archive / "git/1.git", [note("g")])
    found += news
    found += feeds(where).news(one.position)
    assert names(found) == ["d", "e", "f", "g"]


def test_a_mirror_may_copy_the_next_epoch_before_the_last_of_the_one_before(
    feeds: Feeds, where: str, archive: Path
) -> None:
    recently = int(time.time()) - 3600
    cursor = feeds(where).begin(None)
    write_epoch(archive / "git/0.git", [note("d")], when=recently)
    write_epoch(archive / "git/1.git", [note("f")], when=recently)
    one = feeds(where)
    assert names(list(one.news(cursor))) == ["d", "f"]
    assert len(one.position.split()) == 2
    write_epoch(archive / "git/0.git", [note("e")], when=recently)
    write_epoch(archive / "git/1.git", [note("g")], when=recently)
    late = list(feeds(where).news(one.position))
    assert names(late) == ["e", "g"]
    assert names(list(feeds(where).news(late[0].cursor))) == ["g"]


def test_an_epoch_whose_last_mail_is_old_is_left_behind(feeds: Feeds, where: str, archive: Path) -> None:
    cursor = feeds(where).begin(None)
    write_epoch(archive / "git/1.git", [note("d")])
    one = feeds(where)
    list(one.news(cursor))
    assert one.position.startswith("1:")
    assert len(one.position.split()) == 1


DATES = [0, 1, 2**40, 1732096800, 2**31 - 1, 2**33, 1, 4_000_000_000, 1732096801]


def test_impossible_dates_lose_nothing_and_are_no_time_in_the_future(feeds: Feeds, where: str, archive: Path) -> None:
    cursor = feeds(where).begin(None)
    for n, when in enumerate(DATES):
        write_epoch(archive / "git/0.git", [note(f"n{n}")], when=when)
    arrivals = list(feeds(where).news(cursor))
    assert names(arrivals) == [f"n{n}" for n in range(len(DATES))]
    assert all(datetime(1970, 1, 1, tzinfo=UTC) <= arrival.arrived <= datetime.now(UTC) for arrival in arrivals)
    for n, arrival in enumerate(arrivals):
        one = feeds(where)
        assert len(list(one.news(arrival.cursor))) == len(DATES) - 1 - n
        assert one.notes == []


@pytest.fixture
def years(tmp_path: Path) -> Path:
    """Two epochs with a mail a day, 2024-01-01 to 2024-01-20, the tenth of them stamped in 1970."""
    for n in range(1, 21):
        when = 5 if n == 10 else int(datetime(2024, 1, n, 12, tzinfo=UTC).timestamp())
        write_epoch(tmp_path / f"years/git/{int(n > 12)}.git", [note(f"d{n}")], when=when)
    return tmp_path / "years"


@pytest.mark.parametrize("scheme", ["", "file://"])
@pytest.mark.parametrize("day", [1, 2, 8, 11, 12, 13, 14, 20, 21])
def test_a_first_pass_begins_before_the_first_mail_of_a_day(feeds: Feeds, years: Path, scheme: str, day: int) -> None:
    cursor = feeds(f"{scheme}{years}").begin(datetime(2024, 1, day, tzinfo=UTC))
    assert names(list(feeds(f"{scheme}{years}").news(cursor))) == [f"d{n}" for n in range(day, 21)]


def test_a_first_pass_looks_no_further_than_behind_many_old_mails(
    feeds: Feeds, years: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_QUIET", 3)
    monkeypatch.setattr(feed, "_DEEPEN", 2)
    where = f"file://{years}"
    cursor = feeds(where).begin(datetime(2024, 1, 18, tzinfo=UTC))
    assert names(list(feeds(where).news(cursor))) == ["d18", "d19", "d20"]
    assert not (feeds.clones / "linux-mm/0.git").exists()
    assert (feeds.clones / "linux-mm/1.git/shallow").exists()


def test_the_first_pass_fetches_one_mail_of_an_archive(feeds: Feeds, archive: Path) -> None:
    feeds(f"file://{archive}").begin(None)
    listed = ["git", f"--git-dir={feeds.clones}/linux-mm/0.git", "rev-list", "--count", "HEAD"]
    assert subprocess.run(listed, capture_output=True, check=True).stdout == b"1\n"


def test_a_lost_clone_is_made_again_from_the_resume_point(feeds: Feeds, archive: Path) -> None:
    where = f"file://{archive}"
    cursor = feeds(where).begin(None)
    write_epoch(archive / "git/0.git", [note("d"), note("e")])
    shutil.rmtree(feeds.clones)
    one = feeds(where)
    assert names(list(one.news(cursor))) == ["d", "e"]
    assert one.notes == []
    listed = ["git", f"--git-dir={feeds.clones}/linux-mm/0.git", "rev-list", "--count", "HEAD"]
    assert subprocess.run(listed, capture_output=True, check=True).stdout == b"3\n"


def test_a_clone_that_does_not_reach_down_to_the_resume_point_is_made_again(feeds: Feeds, archive: Path) -> None:
    where = f"file://{archive}"
    early = feeds(where).begin(datetime(2024, 1, 1, tzinfo=UTC))
    (first, *_) = feeds(where).news(early)
    feeds(where).begin(None)
    one = feeds(where)
    assert names(list(one.news(first.cursor))) == ["b", "c"]
    feeds(where).begin(None)
    assert names(list(feeds(where).news(early))) == ["a", "b", "c"]
    assert one.notes == []


def rewrite(git_dir: Path, mails: list[bytes]) -> None:
    """Write an epoch anew, as if it had always held these mails; what it was is gone."""
    shutil.rmtree(git_dir)
    write_epoch(git_dir, mails)


def test_a_rewritten_epoch_is_read_again_and_its_new_mails_are_found(feeds: Feeds, where: str, archive: Path) -> None:
    cursor = feeds(where).begin(None)
    rewrite(archive / "git/0.git", [note(name) for name in "acd"])
    one = feeds(where)
    assert names(list(one.news(cursor)))[-1] == "d"
    (told,) = one.notes
    assert told.startswith("source 'linux-mm': epoch 0 was rewritten, its last ")
    again = feeds(where)
    assert list(again.news(one.position)) == []
    assert again.notes == []


def test_a_rewritten_epoch_is_read_again_from_a_bounded_tail(
    feeds: Feeds, where: str, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_TAIL", 2)
    cursor = feeds(where).begin(None)
    rewrite(archive / "git/0.git", [note(name) for name in "bc"] + [note("d")])
    one = feeds(where)
    assert names(list(one.news(cursor))) == ["c", "d"]
    assert one.notes == ["source 'linux-mm': epoch 0 was rewritten, its last 2 mails are read again"]


@pytest.mark.parametrize("gone", ["a", "c"])
def test_more_new_mails_than_the_tail_behind_a_rewrite_are_all_found(
    feeds: Feeds, archive: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    monkeypatch.setattr(feed, "_TAIL", 2)
    where = f"file://{archive}"
    cursor = feeds(where).begin(datetime(2024, 1, 1, tzinfo=UTC))
    *_, last = feeds(where).news(cursor)
    rewrite(archive / "git/0.git", [note(name) for name in "abcdefgh" if name != gone])
    assert names(list(feeds(where).news(last.cursor))) == list("defgh")


def test_an_epoch_that_lost_all_its_mails_is_not_taken_for_nothing_new(feeds: Feeds, where: str, archive: Path) -> None:
    cursor = feeds(where).begin(None)
    shutil.rmtree(archive / "git/0.git")
    subprocess.run(["git", "init", "-q", "--bare", str(archive / "git/0.git")], check=True)
    if not where.startswith("file:"):
        with pytest.raises(TemporaryError, match=r"^source 'linux-mm': epoch 0 is empty, and was not before$"):
            list(feeds(where).news(cursor))
        return
    # the clone still has what it was
    assert list(feeds(where).news(cursor)) == []
    shutil.rmtree(feeds.clones)
    with pytest.raises(TemporaryError, match=r"^source 'linux-mm': epoch 0 is empty, and was not before$"):
        list(feeds(where).news(cursor))


def test_what_was_taken_down_or_is_no_mail_moves_the_resume_point(
    feeds: Feeds, where: str, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor = feeds(where).begin(None)
    monkeypatch.setattr(epoch, "MAX_MAIL", 5000)
    odd = [b"", b"\0\xff\n\n\n", b"no header\n", note("large", size=6000), note("d")]
    write_epoch(archive / "git/0.git", [note("c")], name="d")
    write_epoch(archive / "git/0.git", odd)
    one = feeds(where)
    arrivals = list(one.news(cursor))
    assert [arrival.raw for arrival in arrivals] == [None, None, *odd[1:3], None, note("d")]
    assert len({arrival.cursor for arrival in arrivals}) == len(arrivals)
    assert one.position == arrivals[-1].cursor


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "x", "0", ":", "-1:", "0:abc", f"0:{'g' * 40}", f"0:{'a' * 41}", "0:--all", "1: 0:", "0: 0:", "0: 1: 2:"),
        *("0:\n", "99999:", "0:HEAD", "2026-11-20T21:46:59Z", "\u0663:"),
    ],
)
def test_a_corrupt_resume_point_is_refused_and_the_source_named(feeds: Feeds, where: str, cursor: str) -> None:
    with pytest.raises(InputError, match=r"^source 'linux-mm': not a resume point of a git archive: [^\n]*$"):
        list(feeds(where).news(cursor))


def test_a_resume_point_in_an_epoch_that_is_not_there_is_an_error(feeds: Feeds, where: str) -> None:
    with pytest.raises((InputError, TemporaryError), match=r"^source 'linux-mm': [^\n]*7[^\n]*$"):
        list(feeds(where).news("7:"))


def test_a_forged_commit_reads_the_tail_and_says_so(feeds: Feeds, where: str) -> None:
    one = feeds(where)
    assert names(list(one.news(f"0:{'1' * 40}"))) == ["a", "b", "c"]
    assert one.notes == ["source 'linux-mm': epoch 0 was rewritten, its last 3 mails are read again"]


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("ssh://example.org/x", r"cannot pull from 'ssh://example.org/x': known are https, http, git, file"),
        ("ext::sh -c x://", r"cannot pull from 'ext::sh -c x://': known are https, http, git, file"),
        ("https://u:secret@example.org/x", r"an address with a user or password in it is not used"),
        ("http://[x/", r"not an address: 'http://\[x/'"),
    ],
)
def test_only_archives_can_be_pulled(feeds: Feeds, where: str, why: str) -> None:
    with pytest.raises(InputError, match=f"^source 'linux-mm': {why}$"):
        feeds(where)


def test_a_directory_without_an_archive_is_an_error(feeds: Feeds, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^source 'linux-mm': '.*' is no public-inbox archive: it has no git/0.git$"):
        feeds(str(tmp_path))
    with pytest.raises(NotFoundError, match=r"^source 'linux-mm': no public-inbox archive at 'file://[^\n]*$"):
        feeds(f"file://{tmp_path}").begin(None)


def test_a_directory_is_never_written(feeds: Feeds, archive: Path) -> None:
    def state() -> list[tuple[Path, int]]:
        return sorted((at, at.stat().st_mtime_ns) for at in archive.rglob("*"))

    before = state()
    list(feeds(str(archive)).news(feeds(str(archive)).begin(None)))
    assert state() == before
    assert not feeds.clones.exists()


def test_neither_the_users_git_configuration_nor_a_prompt_counts(
    feeds: Feeds, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".gitconfig").write_text('[url "file:///nonexistent/"]\n\tinsteadOf = file:///\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / ".gitconfig"))
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    assert feeds(f"file://{archive}").begin(None).startswith("0:")


@pytest.mark.parametrize("code", [401, 403, 429, 500, 503])
def test_a_server_that_refuses_is_no_archive_without_news(feeds: Feeds, code: int) -> None:
    with faulty(status(code)) as (url, _):
        for action in (lambda: feeds(url).begin(None), lambda: list(feeds(url).news("0:"))):
            with pytest.raises(TemporaryError, match=r"^source 'linux-mm': cannot (?:look at|fetch) '[^\n]*$"):
                action()


def test_an_epoch_that_vanished_from_its_server_is_no_archive_without_news(feeds: Feeds) -> None:
    with faulty(status(404)) as (url, _), pytest.raises(TemporaryError, match=r": cannot fetch '.*/git/0\.git': "):
        list(feeds(url).news("0:"))


def test_a_server_that_hangs_is_given_up_and_leaves_no_process(
    feeds: Feeds, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faulty(lambda _: time.sleep(3)) as (url, _):
        with monkeypatch.context() as impatient:
            impatient.setattr(feed, "_LOOK", 0.3)
            with pytest.raises(TemporaryError, match=r"^source 'linux-mm': '.*' takes more than 0 s$"):
                feeds(url).begin(None)
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        # what git started to talk to the server would hold the lock
        for _ in range(50):
            time.sleep(0.02)
            with (feeds.clones / "linux-mm/lock").open("ab") as lock, suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
        else:
            pytest.fail("git's helper still runs")
    assert feeds(f"file://{archive}").begin(None)


def test_locks_of_a_git_that_was_killed_are_removed(feeds: Feeds, archive: Path) -> None:
    where = f"file://{archive}"
    cursor = feeds(where).begin(None)
    write_epoch(archive / "git/0.git", [note("d")])
    for left in ("shallow.lock", "refs/heads/master.lock"):
        (feeds.clones / "linux-mm/0.git" / left).touch()
    assert names(list(feeds(where).news(cursor))) == ["d"]


def test_a_clone_that_somebody_else_fetches_into_is_left_alone(feeds: Feeds, archive: Path) -> None:
    where = f"file://{archive}"
    cursor = feeds(where).begin(None)
    with (feeds.clones / "linux-mm/lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(TemporaryError, match=r"^source 'linux-mm': '.*' is in use by another process$"):
            list(feeds(where).news(cursor))
    assert list(feeds(where).news(cursor)) == []


def test_git_that_outlives_its_pass_keeps_the_lock(feeds: Feeds, archive: Path, tmp_path: Path) -> None:
    # a git that hangs: what a pass that was killed leaves behind
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text(
        f'#!/bin/sh\ncase "$*" in *ls-remote*) echo $$ > {tmp_path}/pid; exec sleep 60;; esac\n'
    )
    (tmp_path / "bin/git").chmod(0o755)
    code = (
        "import sys; from pathlib import Path; from reviewbot.source.feed import EpochFeed\n"
        "EpochFeed('linux-mm', sys.argv[1], Path(sys.argv[2])).begin(None)"
    )
    where = f"file://{archive}"
    environment = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    with subprocess.Popen([sys.executable, "-c", code, where, str(feeds.clones)], env=environment) as started:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            time.sleep(0.02)
        started.kill()
    try:
        with pytest.raises(TemporaryError, match="in use by another process"):
            feeds(where).begin(None)
    finally:
        os.kill(int((tmp_path / "pid").read_text()), 9)


def test_a_mail_is_read_again_through_one_process(
    feeds: Feeds, where: str, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = feeds(where)
    cursor = one.begin(None)
    write_epoch(archive / "git/0.git", [note("c")], name="d")
    write_epoch(archive / "git/0.git", [note("large", size=6000), b"", note("d")])
    arrivals = list(one.news(cursor))
    monkeypatch.setattr(feed, "MAX_MAIL", 5000)
    started = []
    popen = subprocess.Popen

    def counted(*words: object, **options: object) -> object:
        started.append(words)
        return popen(*words, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", counted)
    for _ in range(3):
        assert [one.read(arrival.place) for arrival in arrivals] == [None, None, None, note("d")]
    assert len(started) == 1
    assert one.read(f"0:{'1' * 40}") is None
    assert one.read(f"5:{'1' * 40}") is None
    one.close()
    one.close()
    assert one.read(arrivals[-1].place) == note("d")
    one.close()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.parametrize("place", ["", "0:", "0:HEAD", "x", f"0:{'1' * 40}\n0"])
def test_a_place_that_is_none_is_refused(feeds: Feeds, archive: Path, place: str) -> None:
    with pytest.raises(InputError, match=r"^source 'linux-mm': not a mail's place: "):
        feeds(str(archive)).read(place)


def test_a_reader_that_died_is_started_again(feeds: Feeds, archive: Path) -> None:
    one = feeds(str(archive))
    (first, *_) = one.news("0:")
    one.read(first.place)
    one._readers[0].kill()
    one._readers[0].wait()
    assert one.read(first.place) == note("a")


def test_a_reader_that_stops_is_one_line_and_the_next_read_works(feeds: Feeds, archive: Path) -> None:
    one = feeds(str(archive))
    (first, *_) = one.news("0:")
    one.read(first.place)
    one._readers[0].stdout.close()  # type: ignore[union-attr]
    with pytest.raises(InputError, match=r"^source 'linux-mm': cannot read 0:[0-9a-f]{40}: git cat-file stopped$"):
        one.read(first.place)
    assert one.read(first.place) == note("a")


def test_a_pass_that_stops_early_leaves_no_process_and_no_lock(feeds: Feeds, where: str) -> None:
    news = feeds(where).news("0:")
    next(news)
    news.close()  # type: ignore[attr-defined]
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert len(list(feeds(where).news("0:"))) == 3


class Keeper:
    """A caller that is killed at random: what it has dealt with, and the resume point that it has written down."""

    def __init__(self, cursor: str, chance: random.Random) -> None:
        self.cursor = cursor
        self.chance = chance
        self.handled: list[str] = []
        self.twice = 0  # kills between the two
        self.calm = False  # nobody kills it and nothing arrives

    def happens(self, chance: float) -> bool:
        return not self.calm and self.chance.random() < chance

    def run(self, one: Feed, meanwhile: Iterator[None]) -> None:
        for arrival in one.news(self.cursor):
            if self.happens(0.04):
                return
            self.handled.append(name_of(arrival))
            if self.happens(0.04):
                self.twice += 1
                return
            self.cursor = arrival.cursor
            if self.happens(0.1):
                next(meanwhile)
        self.cursor = one.position


@needs_inbox
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("served", [False, True], ids=["directory", "http"])
def test_nothing_is_missed_and_nothing_comes_twice_but_behind_a_kill(
    tmp_path: Path, feeds: Feeds, served: bool, seed: int
) -> None:
    chance = random.Random(seed)
    number = count()
    sent: list[str] = []

    def batches() -> Iterator[None]:
        while True:
            batch = [f"n{next(number)}" for _ in range(chance.randrange(1, 9))]
            sent.extend(batch)
            # some stamped years ahead, some years ago; every few kilobytes another epoch begins
            stamps = [NOW + timedelta(days=chance.choice([-4000, -3, -1, -1, 0, 3000])) for _ in batch]
            mails = [note(name, size=500, received=when) for name, when in zip(batch, stamps, strict=True)]
            deliver_all(tmp_path, "walk", mails, rotate=2500)
            yield

    with ExitStack() as stack:
        where = str(tmp_path / "walk")
        if served:
            where = stack.enter_context(public_inbox(tmp_path, [note("old")]))
        else:
            write_epoch(tmp_path / "walk/git/0.git", [note("old")])
            start_inbox(tmp_path, "walk")
        meanwhile = batches()
        keeper = Keeper(feeds(where).begin(None), chance)
        for _ in range(8):
            next(meanwhile)
            keeper.run(feeds(where), meanwhile)
        keeper.calm = True
        one = feeds(where)
        keeper.run(one, meanwhile)
    assert len(list((tmp_path / "walk/git").iterdir())) > 2
    assert list(dict.fromkeys(keeper.handled)) == sent
    assert len(keeper.handled) == len(sent) + keeper.twice
    assert one.notes == []


@needs_inbox
@pytest.mark.parametrize("served", [False, True], ids=["directory", "http"])
def test_a_mail_that_is_purged_makes_none_missed(tmp_path: Path, feeds: Feeds, served: bool) -> None:
    old = [note(f"old{n}") for n in range(5)]
    with public_inbox(tmp_path, old) as url:
        where = url if served else str(tmp_path / "walk")
        cursor = feeds(where).begin(None)
        deliver(tmp_path, "walk", note("new0"))
        (first,) = feeds(where).news(cursor)
        purge(tmp_path, "walk", old[2])
        deliver(tmp_path, "walk", note("new1"))
        one = feeds(where)
        found = [name_of(arrival) for arrival in one.news(first.cursor) if arrival.raw is not None]
        assert "old2" not in found
        assert found[-2:] == ["new0", "new1"]
        assert len(one.notes) == 1
        assert list(feeds(where).news(one.position)) == []


@needs_inbox
def test_a_server_that_goes_down_half_way_is_caught_up_with_later(tmp_path: Path, feeds: Feeds) -> None:
    mails = [note(f"n{n}", size=500) for n in range(12)]
    with ExitStack() as stack:
        url = stack.enter_context(public_inbox(tmp_path, [note("old")]))
        cursor = feeds(url).begin(None)
        deliver_all(tmp_path, "walk", mails, rotate=2500)
        news = feeds(url).news(cursor)
        found = [next(news)]
        stack.close()
        with pytest.raises(TemporaryError, match=r"^source 'linux-mm': cannot [^\n]*$"):
            found.extend(news)
        with pytest.raises(TemporaryError, match=r"^source 'linux-mm': cannot [^\n]*$"):
            list(feeds(url).news(found[-1].cursor))
    assert 0 < len(found) < len(mails)
    with serve(tmp_path, "walk", "basic") as url:
        found += feeds(url).news(found[-1].cursor)
    assert names(found) == [f"n{n}" for n in range(12)]


@needs_inbox
def test_hostile_mails_stop_neither_the_writer_nor_the_feed(tmp_path: Path, feeds: Feeds) -> None:
    hostile = [
        b"Subject: no id\nDate: Wed, 20 Nov 2024 10:00:00 +0000\n\nx\n",
        b"From: a@b\nMessage-ID: <bin@example.org>\n\n\0\1\2\xff\xfe\n",
        b"From: \x1b[31m\nSubject: \xff\nMessage-ID: <esc@example.org>\nDate: never\n\nFrom x\n>From y\n",
    ]
    with public_inbox(tmp_path, [note("old")]) as url:
        cursor = feeds(url).begin(None)
        deliver_all(tmp_path, "walk", [*hostile, note("last")])
        arrivals = list(feeds(url).news(cursor))
        assert len(arrivals) == 4
        assert name_of(arrivals[-1]) == "last"
        assert arrivals[2].raw is not None
        assert arrivals[2].raw.endswith(b"\nFrom x\n>From y\n")
        assert [one.raw for one in LoreFeed("s", url, timedelta(hours=1)).news("2000-01-01T00:00:00Z")][-1]


OVERLAP = timedelta(hours=25)
START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class Clock:
    """Our clock, as LoreFeed reads it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(feed, "_now", made)
    return made


@pytest.fixture
def searched(tmp_path: Path) -> Iterator[str]:
    """Address of a list whose search can be asked; it holds a mail a day and an hour and a minute old."""
    if missing := missing_programs():
        pytest.skip(f"not installed: {missing}")
    old = [note(f"old{n}", received=START - timedelta(minutes=n)) for n in (1440, 60, 1)]
    with public_inbox(tmp_path, old, level="medium") as url:
        yield url


def stamped(*given: tuple[str, float]) -> list[bytes]:
    """Mails that the archive received so many hours after START."""
    return [note(name, received=START + timedelta(hours=hours)) for name, hours in given]


def search(url: str, cursor: str) -> tuple[list[str], str]:
    """What a pass finds and its position."""
    one = LoreFeed("linux-mm", url, OVERLAP)
    return names(list(one.news(cursor))), one.position


def test_a_search_gives_late_and_reordered_mail_oldest_arrival_first(
    searched: str, tmp_path: Path, clock: Clock
) -> None:
    cursor = LoreFeed("linux-mm", searched, OVERLAP).begin(None)
    assert cursor == "2026-03-01T12:00:00Z/2026-03-01T12:00:00Z"
    assert search(searched, cursor) == ([], cursor)
    clock.now = START + timedelta(hours=2)
    # their Date: is of 2024
    deliver_all(tmp_path, "walk", stamped(("b", 1.5), ("a", 0.5)))
    found, cursor = search(searched, cursor)
    assert found == ["b", "a"]
    clock.now = START + timedelta(hours=24)
    deliver_all(tmp_path, "walk", stamped(("c", 23), ("late", 0.1), ("ahead", 150)))
    found, cursor = search(searched, cursor)
    assert found == ["b", "a", "c", "late", "ahead"]
    assert cursor == "2026-03-02T12:00:00Z/2026-03-01T12:00:00Z"
    clock.now = START + timedelta(hours=26)
    found, cursor = search(searched, cursor)
    assert set(found) == {"b", "a", "c", "late", "ahead"}
    # nothing from before the beginning comes within the overlap any more
    assert cursor == "2026-03-02T14:00:00Z"
    clock.now = START + timedelta(hours=27)
    assert search(searched, cursor) == (["b", "c", "ahead"], "2026-03-02T15:00:00Z")


def test_a_search_begins_at_a_date(searched: str, clock: Clock) -> None:
    cursor = LoreFeed("linux-mm", searched, OVERLAP).begin(START - timedelta(hours=2))
    assert search(searched, cursor)[0] == ["old60", "old1"]


def test_a_clock_that_was_ahead_loses_nothing(searched: str, tmp_path: Path, clock: Clock) -> None:
    deliver_all(tmp_path, "walk", stamped(("a", -0.5)))
    found, cursor = search(searched, "2031-01-01T00:00:00Z")
    assert found[-1] == "a"
    assert cursor == "2026-03-01T12:00:00Z"


def test_a_search_with_too_much_to_hold_is_split_by_time(
    searched: str, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver_all(
        tmp_path, "walk", [note(f"n{n}", size=3000, received=START - timedelta(hours=10 - n)) for n in range(8)]
    )
    monkeypatch.setattr(feed, "_MAX_ANSWER", 10_000)
    found, _ = search(searched, "2026-03-01T11:00:00Z")
    assert set(found) == {f"n{n}" for n in range(8)} | {"old1440", "old60", "old1"}
    monkeypatch.setattr(feed, "_MAX_ANSWER", 1000)
    with pytest.raises(TemporaryError, match=r"^source 'linux-mm': more than 0 MiB of mail in a second on '[^\n]*'$"):
        search(searched, "2026-03-01T11:00:00Z")


def test_a_list_that_is_not_there_is_not_one_without_news(searched: str) -> None:
    with pytest.raises(NotFoundError, match=r"^source 'linux-mm': no mail on '.*/no': is it the address of a list\?$"):
        LoreFeed("linux-mm", searched.replace("/walk/", "/no/"), OVERLAP).begin(None)


def test_a_search_that_fails_moves_nothing(clock: Clock) -> None:
    one = LoreFeed("linux-mm", "http://127.0.0.1:1/x/", OVERLAP, LoreSource("http://127.0.0.1:1/x/", retries=0))
    with pytest.raises(TemporaryError, match=r"^cannot search 'http://127.0.0.1:1/x': connection refused$"):
        list(one.news("2026-03-01T11:00:00Z"))
    assert one.position == "2026-03-01T11:00:00Z"


@pytest.mark.parametrize("cursor", ["", "x", "0:", "2026-03-01", "2026-03-01T11:00:00Z/", "2026-13-01T11:00:00Z", "/"])
def test_a_corrupt_resume_point_of_a_search_is_refused_and_the_source_named(cursor: str) -> None:
    with pytest.raises(InputError, match=r"^source 'linux-mm': not a resume point of a search: [^\n]*$"):
        list(LoreFeed("linux-mm", "http://127.0.0.1:1/x/", OVERLAP).news(cursor))


def test_a_search_has_no_places(clock: Clock) -> None:
    one = LoreFeed("linux-mm", "http://127.0.0.1:1/x/", OVERLAP)
    assert one.read("") is None
    one.close()
