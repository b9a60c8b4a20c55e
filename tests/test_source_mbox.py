# SPDX-License-Identifier: GPL-2.0-or-later
"""MboxSource and open_source over files, maildirs and standard input."""

from __future__ import annotations

import gzip
import io
import os
import sys
import time
from pathlib import Path

import pytest
from mails import mail, patch_body, posting

from reviewbot.model import InputError, NotFoundError
from reviewbot.source import mbox, open_source, read_head
from reviewbot.source.mbox import MboxSource

OTHER = mail("[PATCH] mm: other", patch_body("other"), "other@example.org")


def as_mbox(mails: list[bytes]) -> bytes:
    return b"".join(b"From mboxrd@z Thu Jan  1 00:00:00 1970\n" + raw + b"\n" for raw in mails)


def thread_ids(path: Path | str, message_id: str) -> list[str]:
    return [read_head(raw).own[0].decode() for raw in open_source(path).thread(message_id)]


SERIES = [f"walk-v1-{n}@example.org" for n in range(3)]


@pytest.mark.parametrize("packed", [False, True])
def test_a_thread_is_taken_out_of_an_mbox_packed_or_not(tmp_path: Path, packed: bool) -> None:
    data = as_mbox([OTHER, *posting(2)])
    # by its content: the name does not say that it is packed
    (tmp_path / "box").write_bytes(gzip.compress(data) if packed else data)
    assert thread_ids(tmp_path / "box", "walk-v1-2@example.org") == SERIES


def test_from_lines_in_a_body_are_unescaped(tmp_path: Path) -> None:
    (tmp_path / "box").write_bytes(as_mbox([mail("x", ">From here on\n>>From there on\n", "a@example.org")]))
    ((_, raw),) = MboxSource(tmp_path / "box").mails()
    assert b"\n\nFrom here on\n>From there on\n" in raw


def test_a_single_mail_is_a_source(tmp_path: Path) -> None:
    (tmp_path / "one.eml").write_bytes(OTHER)
    assert open_source(tmp_path / "one.eml").thread("other@example.org") == [OTHER]
    assert list(open_source(tmp_path / "one.eml").mails()) == [(str(tmp_path / "one.eml"), OTHER)]


def test_a_maildir_is_read_in_the_order_of_delivery_without_what_is_being_delivered(tmp_path: Path) -> None:
    cover, one, two = posting(2)
    for part in ("cur", "new", "tmp"):
        (tmp_path / part).mkdir()
    (tmp_path / "new/1700000001.a").write_bytes(two)
    (tmp_path / "cur/1700000000.a:2,S").write_bytes(cover)
    (tmp_path / "tmp/1700000002.a").write_bytes(one)
    assert thread_ids(tmp_path, "walk-v1-0@example.org") == [SERIES[0], SERIES[2]]


def test_a_directory_of_mails_is_read_by_name_and_nothing_else_of_it(tmp_path: Path) -> None:
    cover, one, two = posting(2)
    (tmp_path / "0002.patch").write_bytes(two)
    (tmp_path / "0001.patch").write_bytes(one)
    (tmp_path / "0000.eml").write_bytes(cover)
    (tmp_path / "notes.txt").write_bytes(OTHER)
    assert thread_ids(tmp_path, "walk-v1-1@example.org") == SERIES
    with pytest.raises(NotFoundError):
        open_source(tmp_path).thread("other@example.org")


def test_standard_input_is_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(as_mbox(posting(2)))))
    assert thread_ids("-", "walk-v1-1@example.org") == SERIES


def test_an_unknown_message_id_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "box").write_bytes(as_mbox(posting(2)))
    with pytest.raises(NotFoundError, match=f"^no mail <no@example.org> in '{tmp_path}/box'$"):
        open_source(tmp_path / "box").thread("no@example.org")


def test_a_missing_file_is_one_line_as_git_words_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^cannot open '{tmp_path}/no': No such file or directory$"):
        open_source(tmp_path / "no")


def test_a_name_that_no_file_can_have_is_one_line() -> None:
    with pytest.raises(InputError, match=r"^cannot open '"):
        open_source("a\0b")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "box").write_bytes(OTHER)
    (tmp_path / "box").chmod(0)
    with pytest.raises(InputError, match=r"^cannot open '.*/box': Permission denied$"):
        list(open_source(tmp_path / "box").mails())


def test_a_file_that_vanishes_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(OTHER)
    source = open_source(tmp_path)
    (tmp_path / "a.eml").unlink()
    with pytest.raises(InputError, match=r"^cannot open '.*/a.eml': No such file or directory$"):
        list(source.mails())


@pytest.mark.parametrize("content", [b"", b"\n\n", gzip.compress(b"")])
def test_an_empty_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "box").write_bytes(content)
    with pytest.raises(InputError, match=f"^no mail in '{tmp_path}/box': it is empty$"):
        open_source(tmp_path / "box").thread("a@example.org")


def test_a_directory_without_mail_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "readme").write_text("x")
    with pytest.raises(InputError, match=f"^no mail in '{tmp_path}': neither "):
        open_source(tmp_path)


def test_a_packed_file_that_is_cut_off_or_damaged_is_one_line(tmp_path: Path) -> None:
    data = gzip.compress(as_mbox(posting(2)))
    for content in (data[:-9], data[:40] + bytes(40) + data[80:], b"\x1f\x8b", b"\x1f\x8bxx"):
        (tmp_path / "box.gz").write_bytes(content)
        with pytest.raises(InputError, match=f"^cannot unpack '{tmp_path}/box.gz': [^\n]+$"):
            list(open_source(tmp_path / "box.gz").mails())


def test_a_packed_bomb_is_stopped_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mbox, "MAX_UNPACKED", 1 << 20)
    (tmp_path / "box.gz").write_bytes(gzip.compress(bytes(32 << 20)))
    with pytest.raises(InputError, match=r"is too large: it unpacks to more than 1 MiB$"):
        list(open_source(tmp_path / "box.gz").mails())


def test_the_time_to_split_an_mbox_grows_with_its_size_and_no_faster(tmp_path: Path) -> None:
    (tmp_path / "box").write_bytes(as_mbox([mail("x", "y\n" * 5000, f"{n}@example.org") for n in range(1500)]))
    start = time.monotonic()
    assert sum(1 for _ in open_source(tmp_path / "box").mails()) == 1500
    # 15 MB: 0.2 s, and 8 s where each mail copies what is before it
    assert time.monotonic() - start < 3


def test_a_long_from_line_does_not_stop_the_reader(tmp_path: Path) -> None:
    (tmp_path / "box").write_bytes(b"From x " + b"1:00 " * 50_000 + b"\n" + OTHER)
    start = time.monotonic()
    list(open_source(tmp_path / "box").mails())
    assert time.monotonic() - start < 2
