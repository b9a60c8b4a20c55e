# SPDX-License-Identifier: GPL-2.0-or-later
"""LoreSource against a real public-inbox server, and against servers that fail; what people paste as a target."""

from __future__ import annotations

import gzip
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import pytest
from conftest import ODD_ID, walk_mails
from hypothesis import given
from hypothesis import strategies as st
from mails import mail, patch_body

from reviewbot.model import InputError, NotFoundError, TemporaryError
from reviewbot.series import build_series
from reviewbot.source import lore, read_head
from reviewbot.source.lore import LoreSource, archive_url, parse_target

type_answer = Callable[[BaseHTTPRequestHandler], None]
WANTED = "wanted@example.org"
MBOX = b"From mboxrd@z Thu Jan  1 00:00:00 1970\n" + mail("[PATCH] mm: x", patch_body("x"), WANTED) + b"\n"


@contextmanager
def faulty(answer: type_answer) -> Iterator[tuple[str, list[str]]]:
    """A server that answers each request with `answer`; gives its address and the requests it saw."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(f"{self.command} {self.path}")
            answer(self)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/list/", seen
        finally:
            server.shutdown()
            thread.join()


def status(code: int, body: bytes = b"", **headers: str) -> type_answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)

    return answer


def fails(answer: type_answer, retries: int = 0) -> str:
    """Text of the TemporaryError, checked to be one line that names mail and server."""
    with faulty(answer) as (url, _):
        with pytest.raises(TemporaryError) as caught:
            LoreSource(url, retries=retries, backoff=0, timeout=(1, 1)).thread(WANTED)
        text = str(caught.value)
        start = f"cannot fetch <{WANTED}> from '{url.rstrip('/')}': "
        assert text.startswith(start)
        assert "\n" not in text
        return text.removeprefix(start)


def test_a_thread_comes_from_a_real_server_unescaped_and_complete(inbox_url: str) -> None:
    mails = LoreSource(inbox_url).thread("walk-v1-2@example.org")
    ids = {read_head(raw).own[0].decode() for raw in mails}
    assert ids == {f"walk-v{v}-{n}@example.org" for v in (1, 2) for n in range(4)} | {"review-1@example.net"}
    assert all(raw.startswith((b"From: ", b"Received: ")) for raw in mails)


def test_a_message_id_with_reserved_characters_is_found_and_its_from_lines_are_unescaped(inbox_url: str) -> None:
    (raw,) = LoreSource(inbox_url).thread(ODD_ID)
    assert b"\nFrom the list\n" in raw


def test_a_bare_origin_is_enough_where_the_server_redirects_to_the_list(inbox_url: str) -> None:
    origin = inbox_url.removesuffix("walk/")
    assert len(LoreSource(origin).thread("walk-v1-2@example.org")) == len(walk_mails()) - 1


def test_a_mail_of_another_list_of_the_server_is_found(inbox_url: str) -> None:
    assert LoreSource(inbox_url.replace("/walk/", "/other/")).thread(ODD_ID)


def test_an_unknown_message_id_is_not_found_and_the_server_is_named(inbox_url: str) -> None:
    with pytest.raises(NotFoundError, match=f"^no mail <no-such@example.org> on '{inbox_url.rstrip('/')}'$"):
        LoreSource(inbox_url).thread("no-such@example.org")


def test_a_series_is_built_from_what_the_server_sends(inbox_url: str) -> None:
    series = build_series(LoreSource(inbox_url).thread("walk-v1-2@example.org"), "walk-v1-2@example.org")
    assert (series.revision, series.complete, series.newest) == (1, True, 2)
    assert [trailer.name for trailer in series.followups] == ["Reviewed-by"]


def test_a_real_thread_of_a_real_archive_comes_from_a_real_server(corpus_url: str) -> None:
    wanted = "20260302-iino-u64-v2-0-e5388800dae0@kernel.org"
    series = build_series(LoreSource(corpus_url).thread(wanted), wanted)
    assert (series.revision, series.expected, series.complete) == (2, 110, True)


@pytest.mark.parametrize("code", [500, 502, 503, 504])
def test_a_persistent_server_error_is_temporary_after_the_retries(code: int) -> None:
    with faulty(status(code)) as (url, seen):
        with pytest.raises(TemporaryError, match=f"server answers {code}$"):
            LoreSource(url, retries=2, backoff=0).thread(WANTED)
        assert len(seen) == 3


@pytest.mark.parametrize("code", [301, 403, 451])
def test_other_refusals_are_temporary_and_not_tried_again(code: int) -> None:
    with faulty(status(code)) as (url, seen):
        with pytest.raises(TemporaryError, match=f"server answers {code}$"):
            LoreSource(url, backoff=0).thread(WANTED)
        assert len(seen) == 1


def test_a_server_that_recovers_is_asked_again_after_the_time_it_says() -> None:
    answers = iter([status(429, Retry_After="1"), status(503), status(200, gzip.compress(MBOX))])

    def in_turn(request: BaseHTTPRequestHandler) -> None:
        next(answers)(request)

    with faulty(in_turn) as (url, seen):
        start = time.monotonic()
        assert len(LoreSource(url, backoff=0).thread(WANTED)) == 1
        assert time.monotonic() - start >= 1
        assert len(seen) == 3


def test_a_server_that_says_to_wait_for_hours_is_not_asked_again() -> None:
    with faulty(status(429, Retry_After="7200")) as (url, seen):
        with pytest.raises(TemporaryError, match=r"server answers 429, it asks to wait 7200 s$"):
            LoreSource(url, backoff=0).thread(WANTED)
        assert len(seen) == 1


def test_a_retry_after_that_is_no_time_is_not_obeyed() -> None:
    assert fails(status(429, Retry_After="soon\x1b[31m"), retries=1) == "server answers 429"


def test_404_is_not_found_even_where_the_server_knows_no_redirects() -> None:
    with faulty(status(404)) as (url, _), pytest.raises(NotFoundError, match=f"no mail <{WANTED}> on"):
        LoreSource(url).thread(WANTED)


def test_a_refused_connection_is_temporary_and_said_in_a_few_words() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(TemporaryError, match=r": connection refused$"):
        LoreSource(f"http://127.0.0.1:{port}/list/", retries=0).thread(WANTED)


def test_a_server_that_says_nothing_is_temporary() -> None:
    def silent(request: BaseHTTPRequestHandler) -> None:
        time.sleep(1.2)
        request.close_connection = True

    with faulty(silent) as (url, _), pytest.raises(TemporaryError, match=r": no answer in time$"):
        LoreSource(url, retries=0, timeout=(0.5, 0.5)).thread(WANTED)


def test_a_gzip_that_ends_too_early_is_cut_off() -> None:
    assert fails(status(200, gzip.compress(MBOX)[:-20])) == "answer is cut off"


def test_a_body_shorter_than_announced_is_cut_off() -> None:
    assert fails(status(200, gzip.compress(MBOX)[:-20], Content_Length="100000")) == "answer is cut off"


def test_damaged_gzip_data_is_cut_off() -> None:
    body = bytearray(gzip.compress(MBOX))
    body[30:60] = bytes(30)
    with pytest.raises((zlib.error, OSError, EOFError)):
        gzip.decompress(bytes(body))
    assert fails(status(200, bytes(body))).startswith("answer is")


def test_a_challenge_page_is_no_mbox() -> None:
    page = b"<!doctype html><title>Making sure you are not a bot!</title>"
    assert fails(status(200, page, Content_Type="text/html")) == "answer is no mbox (bot challenge page?)"


def test_an_empty_body_is_temporary() -> None:
    assert fails(status(200)) == "answer is empty"


def test_an_answer_without_the_mail_is_temporary() -> None:
    assert fails(status(200, gzip.compress(MBOX.replace(b"wanted@", b"other@")))) == "answer does not hold it"


def test_a_gzip_bomb_is_stopped_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lore, "MAX_UNPACKED", 8 << 20)
    bomb = gzip.compress(bytes(64 << 20))
    assert len(bomb) < 100_000
    assert fails(status(200, bomb)) == "answer is too large: more than 8 MiB"


def test_a_server_that_dribbles_is_stopped_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lore, "_DEADLINE", 0.0)
    assert fails(status(200, gzip.compress(MBOX))) == "answer takes more than 0 s"


def test_a_redirect_loop_is_temporary() -> None:
    assert "redirects" in fails(status(302, Location="/list/again"))


def test_nothing_is_printed_while_a_server_fails() -> None:
    # in a process of its own: pytest's logging would hide what Python prints where no handler is set
    with faulty(status(503)) as (url, _):
        code = (
            "from reviewbot.source.lore import LoreSource\n"
            f"try: LoreSource({url!r}, retries=1, backoff=0).thread('a@b')\n"
            "except Exception as error: print(error)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.endswith("server answers 503\n")


def test_importing_the_module_does_not_import_requests() -> None:
    code = "import sys, reviewbot.source.lore; print('requests' in sys.modules, 'liblore' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b-1@example.org", ("a.b-1@example.org", None)),
        ("<a.b-1@example.org>", ("a.b-1@example.org", None)),
        (" id:a@example.org\n", ("a@example.org", None)),
        ("mid:a%2Fb@example.org", ("a/b@example.org", None)),
        ("id:a%2Fb@example.org", ("a%2Fb@example.org", None)),
        ("no-at-sign", ("no-at-sign", None)),
        ("https://lore.kernel.org/linux-mm/a@b/", ("a@b", "https://lore.kernel.org/linux-mm/")),
        ("https://lore.kernel.org/linux-mm/a@b", ("a@b", "https://lore.kernel.org/linux-mm/")),
        ("https://lore.kernel.org/r/a@b", ("a@b", None)),
        ("http://lkml.kernel.org/r/a@b", ("a@b", None)),
        ("https://lkml.kernel.org/lkml/a@b/", ("a@b", "https://lore.kernel.org/lkml/")),
        ("https://patch.msgid.link/a@b", ("a@b", None)),
        ("https://lore.kernel.org/all/a@b/T/#u", ("a@b", "https://lore.kernel.org/all/")),
        ("https://lore.kernel.org/all/a@b/t/#m1234", ("a@b", "https://lore.kernel.org/all/")),
        ("https://lore.kernel.org/all/a@b/raw", ("a@b", "https://lore.kernel.org/all/")),
        ("https://lore.kernel.org/all/a@b/t.mbox.gz", ("a@b", "https://lore.kernel.org/all/")),
        ("HTTPS://LORE.KERNEL.ORG/all/a@b/", ("a@b", "https://lore.kernel.org/all/")),
        ("https://lore.kernel.org:443/all/a@b/", ("a@b", "https://lore.kernel.org/all/")),
        ("https://lore.kernel.org/all/a%2Fb%25c+d=e@x/", ("a/b%c+d=e@x", "https://lore.kernel.org/all/")),
        ("https://lore.kernel.org/all/YL+qpL/+ReG@x/", ("YL+qpL/+ReG@x", "https://lore.kernel.org/all/")),
        ("https://lists.kernel.org/all/a@b/", ("a@b", "https://lists.kernel.org/all/")),
        ("http://localhost:8080/in/walk/a@b/raw", ("a@b", "http://localhost:8080/in/walk/")),
        ("http://localhost:8080/other/a@b/", ("a@b", "http://localhost:8080/other/")),
    ],
)
def test_what_people_paste_is_understood(text: str, expected: tuple[str, str | None]) -> None:
    assert parse_target(text, "http://localhost:8080/in/walk/") == expected


@pytest.mark.parametrize(
    "text",
    [
        "https://evil.example/all/a@b/",
        "https://lore.kernel.org.evil.example/all/a@b/",
        "https://evilkernel.org/all/a@b/",
        "https://lore.kernel.org@evil.example/all/a@b/",
        "https://user:pw@lore.kernel.org/all/a@b/",
        "https://lore.kernel.org:8080/all/a@b/",
        "https://lore.kernel.org:x/all/a@b/",
        "http://localhost:8081/walk/a@b/",
        "http://[::1/walk/a@b/",
        "file:///etc/passwd",
        "ftp://lore.kernel.org/all/a@b/",
        "ext::sh -c://x/a@b",
    ],
)
def test_an_address_of_another_host_or_scheme_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^(not an archive that is configured|not a Message-ID): "):
        parse_target(text, "http://localhost:8080/walk/")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<>",
        "..",
        ".",
        "a b@c",
        "a@b\nHost: evil",
        "a@b\x1b[31m",
        "a\u202eb@c",
        "a@b>c",
        "x" * 999,
        "https://lore.kernel.org/all/",
        "https://lore.kernel.org/all/../",
        "https://lore.kernel.org/all/a%0d%0aHost:x@b/",
        "https://lore.kernel.org/all/%2e%2e/",
    ],
)
def test_what_cannot_be_a_message_id_is_refused_in_one_printable_line(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_target(text)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("message_id", ["a@b\r\nX: y", "\x1b]0;title", "a b", ".."])
def test_a_hostile_message_id_never_reaches_the_network(message_id: str) -> None:
    with faulty(status(500)) as (url, seen):
        with pytest.raises(InputError, match="not a Message-ID"):
            LoreSource(url).thread(message_id)
        assert not seen


def test_dots_and_slashes_in_a_message_id_do_not_leave_the_list() -> None:
    with faulty(status(404)) as (url, seen), pytest.raises(NotFoundError):
        LoreSource(url).thread("../../etc/passwd")
    assert seen == ["GET /list/..%2F..%2Fetc%2Fpasswd/t.mbox.gz", "HEAD /..%2F..%2Fetc%2Fpasswd/"]


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_any_text_is_a_target_or_an_input_error(text: str) -> None:
    try:
        message_id, server = parse_target(text)
    except InputError:
        return
    assert message_id.isprintable()
    assert " " not in message_id
    assert server is None or server.startswith("https://")


@given(st.text(st.sampled_from("ab/+=%@.-_~!$&'()*,;:?#[]"), min_size=1, max_size=30))
def test_a_quoted_message_id_survives_an_address(local: str) -> None:
    message_id = f"x{local}@example.org"
    address = f"https://lore.kernel.org/all/{quote(message_id, safe='')}/T/#u"
    assert parse_target(address) == (message_id, "https://lore.kernel.org/all/")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://lore.kernel.org", "https://lore.kernel.org/all"),
        ("https://lore.kernel.org/", "https://lore.kernel.org/all"),
        ("https://lore.kernel.org/linux-mm/", "https://lore.kernel.org/linux-mm"),
        ("http://host:8080/a/b/", "http://host:8080/a/b"),
    ],
)
def test_the_address_of_a_list_is_normalised(url: str, expected: str) -> None:
    assert archive_url(url) == expected


@pytest.mark.parametrize(
    "url", ["lore.kernel.org", "ftp://lore.kernel.org/all", "https://", "http://x:y/", "https://x/?q="]
)
def test_what_is_no_address_of_an_archive_is_refused(url: str) -> None:
    with pytest.raises(InputError, match=r"^not the address of an archive: "):
        LoreSource(url)
