# SPDX-License-Identifier: GPL-2.0-or-later
"""EpochSource over repositories that are written here, hostile ones among them, and over a real archive."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import time
from pathlib import Path

import pytest
from conftest import walk_mails
from inbox import write_epoch
from mails import mail, patch_body, posting

from reviewbot.model import InputError, NotFoundError
from reviewbot.source import Head, epoch, open_source, read_head, thread_members
from reviewbot.source.epoch import EpochSource

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="not installed: git")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive of two epochs; v1 of a series is in the first and v2, in reply to it, in the second."""
    write_epoch(tmp_path / "list/git/0.git", walk_mails()[:5])
    write_epoch(tmp_path / "list/git/1.git", walk_mails()[5:])
    return tmp_path / "list"


def ids(mails: list[bytes]) -> list[str]:
    return [read_head(raw).own[0].decode() for raw in mails]


def test_mails_come_oldest_first_over_all_epochs_unchanged(archive: Path) -> None:
    assert [raw for _, raw in EpochSource(archive).mails()] == walk_mails()
    commits = [commit for commit, _ in EpochSource(archive).mails()]
    assert len(set(commits)) == len(walk_mails())
    assert all(len(commit) == 40 for commit in commits)


def test_a_tenth_epoch_comes_after_the_second(tmp_path: Path) -> None:
    for n in (10, 2, 9):
        write_epoch(tmp_path / f"git/{n}.git", [mail("x", "y\n", f"{n}@example.org")])
    assert ids([raw for _, raw in EpochSource(tmp_path).mails()]) == [f"{n}@example.org" for n in (2, 9, 10)]


def test_a_thread_is_found_across_epochs_and_holds_nothing_else(archive: Path) -> None:
    assert EpochSource(archive).thread("walk-v2-3@example.org") == walk_mails()[:-1]


def test_a_single_epoch_is_enough(archive: Path) -> None:
    assert EpochSource(archive / "git/1.git").thread("walk-v2-3@example.org") == walk_mails()[5:-1]


def test_open_source_knows_an_archive_and_an_epoch(archive: Path) -> None:
    assert isinstance(open_source(archive), EpochSource)
    assert isinstance(open_source(archive / "git/0.git"), EpochSource)


def test_an_unknown_message_id_is_not_found(archive: Path) -> None:
    with pytest.raises(NotFoundError, match=f"^no mail <no@example.org> in '{archive}'$"):
        EpochSource(archive).thread("no@example.org")


def test_a_mail_that_was_taken_down_is_not_in_the_thread(archive: Path) -> None:
    write_epoch(archive / "git/1.git", [walk_mails()[7]], name="d")
    assert len(EpochSource(archive).thread("walk-v2-3@example.org")) == len(walk_mails()) - 2


def test_an_epoch_that_has_just_begun_has_no_mail(archive: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", str(archive / "git/2.git")], check=True)
    assert len(list(EpochSource(archive).mails())) == len(walk_mails())


def test_a_missing_path_is_one_line_as_git_words_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^cannot open '{tmp_path}/no': No such file or directory$"):
        EpochSource(tmp_path / "no")


def test_a_directory_without_epochs_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is no public-inbox archive: it has no git/0.git$"):
        EpochSource(tmp_path)


def test_an_extindex_alone_is_no_archive(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "all.git")], check=True)
    with pytest.raises(InputError, match=r"is no public-inbox archive: it has no git/0.git$"):
        open_source(tmp_path)


def test_an_epoch_that_is_no_repository_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "git/0.git").mkdir(parents=True)
    with pytest.raises(InputError, match=r"^cannot read '.*0\.git': fatal: not a git repository[^\n]*$"):
        EpochSource(tmp_path).thread("a@example.org")


def test_a_lost_object_is_one_line(archive: Path) -> None:
    packs = list((archive / "git/0.git/objects").rglob("*.pack"))
    loose = [file for file in (archive / "git/0.git/objects").glob("??/*") if file.is_file()]
    assert packs or loose
    for file in packs or loose:
        file.chmod(0o644)
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match=r"^(archive|cannot read) '[^\n]*$"):
        EpochSource(archive).thread("walk-v1-1@example.org")


def test_a_missing_git_is_one_line(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(InputError, match=r"^cannot run git: No such file or directory$"):
        EpochSource(archive).thread("a@example.org")


def test_neither_the_users_nor_the_callers_git_configuration_counts(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".gitconfig").write_text("[core]\n\tnonsense = [\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / ".gitconfig"))
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", "/nonexistent")
    assert EpochSource(archive).thread("walk-v2-3@example.org") == walk_mails()[:-1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_an_archive_of_another_user_can_be_read(archive: Path) -> None:
    for at in (archive, *archive.rglob("*")):
        os.chown(at, 65534, 65534)
    assert EpochSource(archive).thread("walk-v2-3@example.org") == walk_mails()[:-1]


def test_the_archives_own_configuration_runs_nothing(archive: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    evil = tmp_path / "evil.sh"
    evil.write_text(f"#!/bin/sh\ntouch {mark}\n")
    evil.chmod(evil.stat().st_mode | stat.S_IXUSR)
    git_dir = archive / "git/1.git"
    with (git_dir / "config").open("a") as config:
        config.write(
            f"[core]\n\trepositoryformatversion = 1\n\tpager = {evil}\n\tfsmonitor = {evil}\n"
            f"\tsshCommand = {evil}\n\talternateRefsCommand = {evil}\n"
            f"[log]\n\tshowSignature = true\n[gpg]\n\tprogram = {evil}\n[diff]\n\texternal = {evil}\n"
            f'[extensions]\n\tpartialClone = origin\n[remote "origin"]\n\turl = ext::{evil}\n\tpromisor = true\n'
            '[protocol "ext"]\n\tallow = always\n'
        )
    # a commit whose mail is not there, so that a partial clone would fetch it; two settings keep git from
    # that, because git knows the first (GIT_NO_LAZY_FETCH) only since 2.44 and where it was backported
    tree = b"100644 m\0" + bytes(range(1, 21))
    write = ["git", f"--git-dir={git_dir}", "hash-object", "--literally", "-t", "tree", "-w", "--stdin"]
    people = {f"GIT_{who}_{what}": "t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    name = subprocess.run(write, input=tree, capture_output=True, check=True).stdout.decode().strip()
    commit = subprocess.run(
        ["git", f"--git-dir={git_dir}", "commit-tree", "-p", "master", "-m", "x", name],
        env={**os.environ, **people},
        capture_output=True,
        check=True,
    ).stdout.decode()
    (git_dir / "refs/heads/master").write_text(commit)
    mark.unlink(missing_ok=True)
    assert EpochSource(archive).thread("walk-v2-3@example.org") == walk_mails()[:-1]
    assert not mark.exists()


def test_a_mail_that_is_too_large_or_no_file_is_passed_over(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epoch, "MAX_MAIL", 5000)
    large = mail("Re: large", "x" * 6000, "large@example.org", in_reply_to="walk-v2-3@example.org")
    write_epoch(archive / "git/1.git", [large])
    found = ids(EpochSource(archive).thread("walk-v2-3@example.org"))
    assert "large@example.org" not in found
    assert "walk-v2-0@example.org" in found


def children() -> set[str]:
    """Process ids of our children, dead ones that nobody waited for among them."""
    return {pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


def test_a_reader_that_stops_early_leaves_no_process(archive: Path) -> None:
    before = children()  # servers that other tests share
    mails = EpochSource(archive).mails()
    next(mails)
    assert children() - before
    mails.close()  # type: ignore[attr-defined]
    assert not children() - before


def test_a_thread_is_connected_through_mails_that_are_missing() -> None:
    heads = [
        Head((b"a",), (b"ghost",)),
        Head((b"b",), (b"ghost",)),
        Head((b"c",), (b"other",)),
        Head((b"d",), (b"b", b"x")),
        Head((), (b"d",)),
    ]
    assert thread_members(heads, "a") == [0, 1, 3, 4]
    assert thread_members(heads, "c") == [2]


def test_a_message_id_that_is_only_referred_to_has_no_thread() -> None:
    assert thread_members([Head((b"a",), (b"ghost",))], "ghost") == []


def test_mails_that_answer_themselves_and_each_other_end() -> None:
    assert thread_members([Head((b"a",), (b"a", b"b")), Head((b"b",), (b"a",))], "a") == [0, 1]


def test_only_the_headers_name_a_mail_folded_and_in_any_case() -> None:
    raw = (
        b"MESSAGE-ID:\r\n <a@x>\r\nIn-Reply-To: <b@x>\r\nReferences: <c@x>\r\n\t<b@x>\r\nX: <no@x>\r\n"
        b"\r\nMessage-ID: <body@x>\r\n"
    )
    assert read_head(raw) == Head((b"a@x",), (b"b@x", b"c@x", b"b@x"))


def test_a_mail_without_headers_names_nothing() -> None:
    assert read_head(b"\n\nMessage-ID: <a@x>\n") == Head((), ())
    assert read_head(b"") == Head((), ())


def test_reading_the_head_of_a_hostile_mail_takes_no_time() -> None:
    hostile = b"References: " + b"<a\n " * 200_000 + b"\n\n"
    start = time.monotonic()
    assert read_head(hostile) == Head((), ())
    assert time.monotonic() - start < 2


def test_a_real_thread_is_found_in_a_real_archive(corpus_archive: Path) -> None:
    source = EpochSource(corpus_archive)
    wanted = "20260302-iino-u64-v2-0-e5388800dae0@kernel.org"
    mails = source.thread(wanted)
    assert len(mails) == 177
    assert wanted in ids(mails)


def test_series_and_thread_of_one_epoch_fit(tmp_path: Path) -> None:
    write_epoch(tmp_path / "0.git", [*posting(2), mail("[PATCH] x", patch_body("x"), "x@example.org")])
    assert len(EpochSource(tmp_path / "0.git").thread("walk-v1-0@example.org")) == 3
