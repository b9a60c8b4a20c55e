# SPDX-License-Identifier: GPL-2.0-or-later
"""Patchwork's addresses, and checks posted to a server that answers as Patchwork does and to one that fails."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mails import posting
from patchwork_server import FakePatchwork, patchwork, reply
from reviews import at, finding, patch_of, raw_mail, replace, review

from reviewbot import cli
from reviewbot import patchwork as module
from reviewbot.config import PatchworkConfig
from reviewbot.finding import NOT_APPLIED, TOO_LARGE, Fault, NotRun
from reviewbot.model import ConfigError, InputError, NotFoundError, Severity, TemporaryError, Unreadable
from reviewbot.patchwork import (
    Kind,
    Numbered,
    Patchwork,
    Posted,
    State,
    find_message_id,
    is_configured,
    parse_address,
    server_url,
    states,
)
from reviewbot.source.lore import parse_target

TOKEN = "s3cret-token"
KERNEL = "https://patchwork.kernel.org"
MINE = "http://localhost:8080/pw"
PATCH = "20240506.3-ann@example.org"


@pytest.fixture
def fake() -> Iterator[FakePatchwork]:
    """A Patchwork that has one patch, number 31, in two projects."""
    with patchwork() as server:
        server.add_mail("patches", 30, PATCH, "netdevbpf")
        server.add_mail("patches", 31, PATCH)
        yield server


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """A file with the token, which nobody else may read."""
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o600)
    return file


class Client:
    """A Patchwork that does not really wait."""

    def __init__(self, fake: FakePatchwork, token: Path, **settings: str) -> None:
        self.waits: list[float] = []
        config = PatchworkConfig(url=fake.url, project="linux-mm", token_file=str(token))
        self.config = config._replace(**settings)

    def post(self, state: State = State.FAIL, description: str = "1 error: a/b", message_id: str = PATCH) -> Posted:
        with Patchwork(self.config, timeout=(1, 1), backoff=0.01, retries=2, sleep=self.waits.append) as server:
            return server.post(message_id, state, description)


def silence(handler: BaseHTTPRequestHandler) -> None:
    """A fault: the connection ends without an answer, and nothing was heard."""


@pytest.fixture
def client(fake: FakePatchwork, token: Path) -> Client:
    return Client(fake, token)


# -- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (f"{KERNEL}/project/linux-mm/patch/a@b/", "a@b"),
        (f"{KERNEL}/project/linux-mm/patch/a@b", "a@b"),
        (f" {KERNEL}/project/linux-mm/patch/a@b/\n", "a@b"),
        (f"{KERNEL}/project/linux-mm/patch/a@b/mbox/", "a@b"),
        (f"{KERNEL}/project/linux-mm/patch/a@b/raw/", "a@b"),
        (f"{KERNEL}/project/linux-mm/patch/a@b/#25123", "a@b"),
        (f"{KERNEL}/project/linux-mm/patch/a@b/?series=1", "a@b"),
        (f"{KERNEL}/project/linux-mm/cover/a@b/", "a@b"),
        (f"{KERNEL}/project/linux-mm/cover/a@b/mbox/", "a@b"),
        (f"{KERNEL}/project/linux-mm/patch/YL+qpL/+Re%2Ff%3F%25@x/", "YL+qpL/+Re/f?%@x"),
        (f"{KERNEL}/project/linux-mm/patch/12345/", "12345"),
        ("http://patchwork.kernel.org/project/linux-mm/patch/a@b/", "a@b"),
        ("HTTPS://PATCHWORK.KERNEL.ORG/project/linux-mm/patch/a@b/", "a@b"),
        ("https://patchwork.kernel.org:443/project/linux-mm/patch/a@b/", "a@b"),
        ("https://patchwork.ozlabs.org/project/linux-ext4/patch/a@b/", "a@b"),
        (f"{MINE}/project/linux-mm/patch/a@b/", "a@b"),
        (f"{KERNEL}/api/patches/?msgid=a%40b&project=linux-mm", "a@b"),
        (f"{KERNEL}/api/1.2/covers/?msgid=a@b", "a@b"),
        (f"{KERNEL}/patch/12345/", Numbered(KERNEL, Kind.PATCH, 12345)),
        (f"{KERNEL}/patch/12345/mbox/", Numbered(KERNEL, Kind.PATCH, 12345)),
        (f"{KERNEL}/patch/12345/raw", Numbered(KERNEL, Kind.PATCH, 12345)),
        (f"{KERNEL}/cover/7/", Numbered(KERNEL, Kind.COVER, 7)),
        (f"{KERNEL}/series/123/", Numbered(KERNEL, Kind.SERIES, 123)),
        (f"{KERNEL}/series/123/mbox/", Numbered(KERNEL, Kind.SERIES, 123)),
        (f"{KERNEL}/project/linux-mm/list/?series=123", Numbered(KERNEL, Kind.SERIES, 123)),
        (f"{KERNEL}/project/linux-mm/list/?state=*&series=123&page=2", Numbered(KERNEL, Kind.SERIES, 123)),
        (f"{KERNEL}/api/patches/5/", Numbered(KERNEL, Kind.PATCH, 5)),
        (f"{KERNEL}/api/patches/5/checks/", Numbered(KERNEL, Kind.PATCH, 5)),
        (f"{KERNEL}/api/1.2/series/123/", Numbered(KERNEL, Kind.SERIES, 123)),
        (f"{KERNEL}/api/covers/9/comments/", Numbered(KERNEL, Kind.COVER, 9)),
        ("http://patchwork.ozlabs.org/patch/5/", Numbered("https://patchwork.ozlabs.org", Kind.PATCH, 5)),
        (f"{MINE}/patch/5/", Numbered(MINE, Kind.PATCH, 5)),
        (f"{MINE}/api/1.3/series/5/", Numbered(MINE, Kind.SERIES, 5)),
    ],
)
def test_an_address_of_patchwork_is_a_message_id_or_a_number(address: str, expected: str | Numbered) -> None:
    assert parse_address(address, f"{MINE}/") == expected


@pytest.mark.parametrize(
    "text",
    [
        "a@b",
        "<a@b>",
        "id:a@b",
        "https://lore.kernel.org/linux-mm/a@b/",
        "https://lore.kernel.org/series/123/",  # mail 123 of a list
        "https://lkml.kernel.org/r/a@b",
        "https://patch.msgid.link/a@b",
        "http://localhost:8080/lore/a@b/",
        "http://localhost:8080/pwx/patch/5/",
        "http://[::1/patch/5/",
        "https://patchwork.kernel.org:x/patch/5/",
    ],
)
def test_what_is_no_address_of_patchwork_is_left_to_others(text: str) -> None:
    assert parse_address(text, MINE) is None


@pytest.mark.parametrize(
    "text",
    [
        "https://patchwork.evil.example/project/x/patch/a@b/",
        "https://evil.example/patch/5/",
        "https://patchwork.kernel.org.evil.example/patch/5/",
        "https://evilkernel.org/patch/5/",
        "https://patchwork.kernel.org@evil.example/patch/5/",
        "https://user:pw@patchwork.kernel.org/patch/5/",
        "https://patchwork.kernel.org:8080/patch/5/",
        "http://localhost:8081/pw/patch/5/",
        "ftp://patchwork.kernel.org/patch/5/",
    ],
)
def test_a_server_that_is_not_configured_is_refused_and_the_way_out_is_named(text: str) -> None:
    assert parse_address(text, MINE) is None
    with pytest.raises(InputError, match=r"^not an archive that is configured: .*, or set patchwork\.url in the file"):
        parse_target(text, "http://localhost:8082/walk/")


def test_patchworks_own_address_is_not_taken_for_an_archives() -> None:
    with pytest.raises(InputError, match=r"^not an archive that is configured: "):
        parse_target(f"{KERNEL}/project/linux-mm/patch/a@b/")


def test_advice_about_patchwork_is_not_given_where_none_is_meant() -> None:
    with pytest.raises(InputError, match=r"'https://evil.example/all/a@b/', use --lore-url$"):
        parse_target("https://evil.example/all/a@b/")


@pytest.mark.parametrize("path", ["", "project/linux-mm/list/", "project/linux-mm/list/?series=x", "bundle/a/b/"])
def test_an_address_of_patchwork_that_names_no_mail_is_said_to_be_one(path: str) -> None:
    with pytest.raises(InputError, match=r"^no patch, cover letter or series in 'https://patchwork\.kernel"):
        parse_address(f"{KERNEL}/{path}")


@pytest.mark.parametrize(
    "quoted", ["a%0d%0aHost:x@b", "%2e%2e", "..", "a%20b@c", "a%3Cb@c", "%1b[31m", "x" * 999, "%E2%80%AEa@b"]
)
def test_a_message_id_that_cannot_be_one_is_refused(quoted: str) -> None:
    for address in (f"{KERNEL}/project/linux-mm/patch/{quoted}/", f"{KERNEL}/api/patches/?msgid={quoted}"):
        with pytest.raises(InputError, match=r"^not a Message-ID: ") as caught:
            parse_address(address)
        assert str(caught.value).isprintable()


@given(st.text(st.sampled_from("ab/+=%@.-_~!$&'()*,;:?#[]"), min_size=1, max_size=30))
def test_a_quoted_message_id_survives_an_address(local: str) -> None:
    message_id = f"x{local}@example.org"
    quoted = quote(message_id, safe="")
    assert parse_address(f"{KERNEL}/project/linux-mm/patch/{quoted}/mbox/") == message_id
    assert parse_address(f"{KERNEL}/api/patches/?msgid={quoted}") == message_id


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_any_address_is_understood_refused_or_left_to_others(text: str) -> None:
    for address in (text, f"{KERNEL}/{text}", f"{KERNEL}/project/x/patch/{text}"):
        try:
            found = parse_address(address)
        except InputError:
            continue
        assert found is None or isinstance(found, Numbered) or (found.isprintable() and " " not in found)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://patchwork.kernel.org", "https://patchwork.kernel.org"),
        ("https://patchwork.kernel.org/", "https://patchwork.kernel.org"),
        ("https://patchwork.kernel.org/api/1.2/", "https://patchwork.kernel.org"),
        ("http://host:8080/pw/api", "http://host:8080/pw"),
    ],
)
def test_the_address_of_a_server_is_normalised(url: str, expected: str) -> None:
    assert server_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "patchwork.kernel.org",
        "ftp://x/",
        "https://",
        "https://x:y/",
        "https://u:p@x/",
        "https://x/?a",
        "https://x/\r\n",
    ],
)
def test_what_is_no_address_of_a_server_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^'patchwork.url' must be the http address of a server"):
        server_url(url)


# -- numbers --------------------------------------------------------------------------------------


def look_up(fake: FakePatchwork, kind: Kind = Kind.PATCH, number: int = 31) -> str:
    return find_message_id(Numbered(fake.url, kind, number), timeout=(1, 1), retries=1, backoff=0)


def test_a_patch_and_a_cover_letter_are_found_by_number(fake: FakePatchwork) -> None:
    fake.add_mail("covers", 32, "cover@example.org")
    assert look_up(fake) == PATCH
    assert look_up(fake, Kind.COVER, 32) == "cover@example.org"
    assert [request.path for request in fake.requests] == ["/api/patches/31/", "/api/covers/32/"]


def test_a_series_is_its_cover_letter_or_its_first_patch(fake: FakePatchwork) -> None:
    cover = fake.add_mail("covers", 40, "cover@example.org")
    patches = [fake.add_mail("patches", number, f"p{number}@example.org") for number in (41, 42)]
    fake.add_series(1, cover, patches)
    fake.add_series(2, None, patches)
    assert look_up(fake, Kind.SERIES, 1) == "cover@example.org"
    assert look_up(fake, Kind.SERIES, 2) == "p41@example.org"


def test_a_series_without_mails_and_an_unknown_number_are_not_found(fake: FakePatchwork) -> None:
    fake.add_series(3, None, [])
    with pytest.raises(NotFoundError, match=rf"^no mail in series 3 on '{fake.url}'$"):
        look_up(fake, Kind.SERIES, 3)
    with pytest.raises(NotFoundError, match=rf"^no cover letter 99 on '{fake.url}'$"):
        look_up(fake, Kind.COVER, 99)


def test_a_server_below_a_path_is_asked_below_it() -> None:
    with patchwork("/pw") as fake:
        fake.add_mail("patches", 31, PATCH)
        address = parse_address(f"{fake.url}/patch/31/", fake.url)
        assert isinstance(address, Numbered)
        assert find_message_id(address) == PATCH
        assert fake.requests[0].path == "/pw/api/patches/31/"


@pytest.mark.parametrize("msgid", ["<a b@c>", "<..>", "<a@b>\r\nX: y", "", "<a@b\u202e>"])
def test_a_message_id_by_the_server_is_checked_like_any(fake: FakePatchwork, msgid: str) -> None:
    fake.patches[1]["msgid"] = msgid
    with pytest.raises(InputError, match=r"^not a Message-ID: "):
        look_up(fake)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"<!doctype html><title>Are you a robot?</title>", "answer is no JSON (bot challenge page?)"),
        (b"", "answer is no JSON (bot challenge page?)"),
        (b"[" * 200_000, "answer is no JSON (bot challenge page?)"),
        (b"[]", "answer has no Message-ID"),
        (b'{"msgid": 5}', "answer has no Message-ID"),
        (b'{"id": 31}', "answer has no Message-ID"),
        (b" " * 1_100_000, "answer is too large: more than 1 MB"),
    ],
)
def test_an_answer_that_is_not_patchworks_is_temporary_and_said_in_one_line(
    fake: FakePatchwork, body: bytes, text: str
) -> None:
    fake.faults.append(reply(200, body))
    with pytest.raises(TemporaryError) as caught:
        look_up(fake)
    assert str(caught.value) == f"cannot ask '{fake.url}': {text}"


def test_a_compressed_answer_is_not_asked_for_and_not_unpacked(fake: FakePatchwork) -> None:
    bomb = gzip.compress(b'{"msgid": "<a@b>"}' + bytes(64 << 20))
    fake.faults.append(reply(200, bomb, Content_Encoding="gzip"))
    with pytest.raises(TemporaryError, match="answer is no JSON"):
        look_up(fake)
    assert fake.requests[0].headers["accept-encoding"] == "identity"


def test_a_server_that_dribbles_is_stopped_at_the_deadline(
    fake: FakePatchwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_DEADLINE", 0.0)
    with pytest.raises(TemporaryError, match=r"answer takes more than 0 s$"):
        look_up(fake)


@pytest.mark.parametrize("code", [401, 403, 418, 500, 503])
def test_an_error_of_the_server_is_temporary(fake: FakePatchwork, code: int) -> None:
    fake.faults += [reply(code)] * 2
    with pytest.raises(TemporaryError, match=rf"server answers {code}$"):
        look_up(fake)


def test_a_server_that_is_busy_is_asked_again(fake: FakePatchwork) -> None:
    fake.faults.append(reply(503))
    assert look_up(fake) == PATCH


def test_a_redirect_on_the_server_is_followed(fake: FakePatchwork) -> None:
    fake.faults.append(reply(301, Location="/api/1.3/patches/31/"))
    assert look_up(fake) == PATCH


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_a_redirect_to_another_host_is_not_followed(fake: FakePatchwork, code: int) -> None:
    with patchwork() as other:
        other.add_mail("patches", 31, "evil@example.org")
        for location in (f"{other.url}/api/patches/31/", f"//127.0.0.1:{urlsplit(other.url).port}/api/patches/31/"):
            fake.faults.append(reply(code, Location=location))
            with pytest.raises(TemporaryError, match=r"server redirects to another host$"):
                look_up(fake)
        assert not other.requests


@pytest.mark.parametrize(
    "location", ["ftp://127.0.0.1/x", "http://[::1/", "http://user@{host}/api/patches/31/", "file:///etc/passwd"]
)
def test_an_odd_redirect_is_not_followed(fake: FakePatchwork, location: str) -> None:
    fake.faults.append(reply(302, Location=location.format(host=urlsplit(fake.url).netloc)))
    with pytest.raises(TemporaryError):
        look_up(fake)
    assert len(fake.requests) == 1


def test_a_redirect_never_leads_from_https_to_http() -> None:
    with module._Server(KERNEL, (1, 1), 0, 0) as server:
        address = f"{KERNEL}/api/patches/31/"
        assert server._follow(address, "/api/1.3/patches/31/") == f"{KERNEL}/api/1.3/patches/31/"
        with pytest.raises(TemporaryError, match=r"server redirects to another host$"):
            server._follow(address, "http://patchwork.kernel.org/api/patches/31/")


def test_nothing_is_printed_while_a_server_fails(fake: FakePatchwork) -> None:
    # in a process of its own: pytest's logging would hide what Python prints where no handler is set
    fake.faults += [silence] * 2
    code = (
        "from reviewbot.patchwork import *\n"
        f"try: find_message_id(Numbered({fake.url!r}, Kind.PATCH, 31), retries=1, backoff=0)\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.startswith(f"cannot ask '{fake.url}': ")


def test_a_redirect_loop_ends(fake: FakePatchwork) -> None:
    fake.faults += [reply(302, Location="/api/patches/31/")] * 9
    with pytest.raises(TemporaryError, match=r"too many redirects$"):
        look_up(fake)
    assert len(fake.requests) == 4


# -- the commands ---------------------------------------------------------------------------------


def run_lore(tmp_path: Path, fake: FakePatchwork | None, *args: str, command: str = "lore") -> int:
    config = tmp_path / "config.toml"
    config.write_text(f'[patchwork]\nurl = "{fake.url}"\n' if fake else "")
    box = tmp_path / "box"
    box.write_bytes(b"".join(b"From x Thu Jan  1 00:00:00 1970\n" + mail + b"\n" for mail in posting(3)))
    return cli.main([command, *args, "-m", str(box), "--config", str(config)])


@pytest.mark.parametrize("command", ["lore", "reply"])
def test_lore_and_reply_take_the_number_of_a_series(
    fake: FakePatchwork, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    fake.add_series(5, fake.add_mail("covers", 50, "walk-v1-0@example.org"), [])
    assert run_lore(tmp_path, fake, f"{fake.url}/project/linux-mm/list/?series=5", command=command) == 0
    err = capsys.readouterr().err
    assert f"series 5 on '{fake.url}' is <walk-v1-0@example.org>\nfetched " in err
    assert "reviewing v1, 3 patches" in err


def test_lore_takes_a_message_id_from_an_address_without_asking_patchwork(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_lore(tmp_path, None, f"{KERNEL}/project/linux-mm/patch/walk-v1-2@example.org/mbox/") == 0
    assert "reviewing v1, 3 patches" in capsys.readouterr().err


def test_lore_fetches_the_mail_of_a_number_from_the_archive(
    fake: FakePatchwork, inbox_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.add_mail("patches", 52, "walk-v1-2@example.org")
    config = tmp_path / "config.toml"
    config.write_text(f'[patchwork]\nurl = "{fake.url}"\n[lore]\nurl = "{inbox_url}"\n')
    assert cli.main(["lore", f"{fake.url}/patch/52/", "--config", str(config)]) == 0
    assert f"from {inbox_url.rstrip('/')}" in capsys.readouterr().err


def test_lore_ends_with_the_code_of_the_error(
    fake: FakePatchwork, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_lore(tmp_path, fake, f"{fake.url}/patch/99/") == 2
    fake.faults.append(reply(200, b"<html>"))
    assert run_lore(tmp_path, fake, f"{fake.url}/patch/31/") == 75
    assert run_lore(tmp_path, None, f"{fake.url}/patch/31/") == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0] == f"reviewbot: no patch 99 on '{fake.url}'"
    assert "or set patchwork.url" in lines[2]


def test_importing_the_module_does_not_import_requests() -> None:
    code = "import sys, reviewbot.patchwork; print('requests' in sys.modules, 'urllib3' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


# -- posting --------------------------------------------------------------------------------------


def test_a_check_is_posted_to_the_patch_of_our_project(fake: FakePatchwork, client: Client) -> None:
    client.config = client.config._replace(target_url="https://bot.example.org/{msgid}.html")
    assert client.post(State.WARNING, "1 warning: a/b") is Posted.POSTED
    (check,) = fake.checks[31]
    assert (check["state"], check["context"], check["description"]) == ("warning", "reviewbot", "1 warning: a/b")
    assert check["target_url"] == f"https://bot.example.org/{PATCH}.html"
    assert 30 not in fake.checks
    (post,) = fake.of("POST")
    assert post.path == "/api/patches/31/checks/"
    assert post.headers["authorization"] == f"Token {TOKEN}"
    assert json.loads(post.body).keys() == {"state", "context", "description", "target_url"}


def test_the_token_goes_along_with_a_post_alone(fake: FakePatchwork, client: Client) -> None:
    client.post()
    assert [("authorization" in request.headers) for request in fake.requests] == [False, False, True]


def test_the_same_message_id_in_another_project_is_not_ours(fake: FakePatchwork, client: Client) -> None:
    del fake.patches[1]
    assert client.post() is Posted.NO_PATCH
    client.config = client.config._replace(project="NetdevBPF")
    assert client.post() is Posted.POSTED
    assert list(fake.checks) == [30]


def test_a_server_that_knows_no_msgid_does_not_make_us_judge_another_patch(fake: FakePatchwork, client: Client) -> None:
    fake.old = True
    fake.patches.insert(0, {**fake.patches[1], "id": 29, "msgid": "<other@example.org>"})
    assert client.post(message_id="absent@example.org") is Posted.NO_PATCH
    assert client.post() is Posted.POSTED
    assert list(fake.checks) == [31]


def test_a_server_that_ignores_what_it_is_asked_for_does_not_mislead(fake: FakePatchwork, client: Client) -> None:
    del fake.patches[1]
    fake.faults = [reply(200, json.dumps(fake.patches).encode())]
    assert client.post() is Posted.NO_PATCH
    fake.add_mail("patches", 31, PATCH)
    check = {"state": "fail", "target_url": None, "context": "build", "description": "1 error: a/b"}
    fake.faults = [None, reply(200, json.dumps([check]).encode())]
    assert client.post() is Posted.POSTED


def test_a_second_check_that_says_the_same_is_not_posted(fake: FakePatchwork, client: Client) -> None:
    assert [client.post(), client.post()] == [Posted.POSTED, Posted.SAME]
    assert len(fake.checks[31]) == 1


@pytest.mark.parametrize(
    "newest",
    [
        {"state": "success", "description": "1 error: a/b"},
        {"state": "fail", "description": "2 errors: a/b"},
        {"state": "fail", "description": None},
        {"state": "fail", "description": "1 error: a/b", "target_url": "https://other.example/"},
        {"state": "fail", "description": "1 error: a/b", "context": "build"},
    ],
)
def test_a_check_that_says_something_else_is_posted(
    fake: FakePatchwork, client: Client, newest: dict[str, Any]
) -> None:
    fake.add_check(31, **newest)
    assert client.post() is Posted.POSTED
    assert len(fake.checks[31]) == 2


def test_only_the_newest_check_of_our_context_counts(fake: FakePatchwork, client: Client) -> None:
    same = {"description": "1 error: a/b"}
    fake.add_check(31, "fail", **same)
    fake.add_check(31, "success")
    assert client.post() is Posted.POSTED
    for _ in range(40):  # more than a page
        fake.add_check(31, "success", context="build")
    assert client.post() is Posted.SAME


def test_pending_never_takes_the_place_of_a_verdict(fake: FakePatchwork, client: Client) -> None:
    for state in (State.SUCCESS, State.WARNING, State.FAIL):
        fake.checks.clear()
        fake.add_check(31, state)
        assert client.post(State.PENDING, "waits") is Posted.SAME
        assert len(fake.checks[31]) == 1


def test_pending_is_posted_once_and_a_verdict_takes_its_place(fake: FakePatchwork, client: Client) -> None:
    pending = (State.PENDING, "waits")
    assert [client.post(*pending), client.post(*pending)] == [Posted.POSTED, Posted.SAME]
    assert client.post(State.SUCCESS, "nothing found") is Posted.POSTED
    assert [check["state"] for check in fake.checks[31]] == ["pending", "success"]


def test_a_user_who_may_not_add_checks_is_forbidden_and_so_is_a_wrong_token(
    fake: FakePatchwork, client: Client
) -> None:
    fake.may_add.clear()
    assert client.post() is Posted.FORBIDDEN
    fake.tokens.clear()
    assert client.post() is Posted.FORBIDDEN
    assert not fake.checks
    assert not client.waits


def test_an_unknown_project_is_a_configuration_error(fake: FakePatchwork, client: Client) -> None:
    client.config = client.config._replace(project="linux-mn")
    with pytest.raises(ConfigError, match=r"^no project 'linux-mn' on 'http"):
        client.post()


def test_a_wrong_path_of_the_server_is_not_found(fake: FakePatchwork, client: Client) -> None:
    client.config = client.config._replace(url=f"{fake.url}/nowhere")
    with pytest.raises(NotFoundError, match=r"^no Patchwork with an API at "):
        client.post()


def test_what_the_server_refuses_is_a_configuration_error_without_the_token(
    fake: FakePatchwork, client: Client
) -> None:
    body = json.dumps({"detail": f"bad \x1b[31m header {TOKEN}\nX"}).encode()
    fake.faults = [None, None, reply(400, body)]
    with pytest.raises(ConfigError, match=r"refuses the check: ") as caught:
        client.post()
    assert TOKEN not in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_busy_server_is_posted_to_after_the_time_it_says(fake: FakePatchwork, client: Client) -> None:
    fake.faults = [None, None, reply(429, Retry_After="17"), None, reply(502)]
    assert client.post() is Posted.POSTED
    assert client.waits == [17.0, 0.02]
    assert len(fake.checks[31]) == 1


# newer versions of urllib3 take what is longer than six hours for six
@pytest.mark.parametrize(("said", "told"), [("7200", "7200"), ("9" * 400, "(21600|1000000000)")])
def test_a_server_that_says_to_wait_for_hours_is_not_asked_again(
    fake: FakePatchwork, client: Client, said: str, told: str
) -> None:
    fake.faults = [None, None, reply(429, Retry_After=said)]
    with pytest.raises(TemporaryError, match=rf"server answers 429, it asks to wait {told} s$"):
        client.post()
    assert not client.waits


def test_a_time_to_wait_that_is_none_is_not_obeyed(fake: FakePatchwork, client: Client) -> None:
    fake.faults = [None, None, reply(429, Retry_After="soon\x1b[31m"), None, reply(503, Retry_After="9" * 5000)]
    assert client.post() is Posted.POSTED
    assert client.waits == [0.01, 0.02]


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_persistent_error_is_temporary_after_the_retries(fake: FakePatchwork, client: Client, code: int) -> None:
    fake.faults = [None, *[None, reply(code)] * 3]
    with pytest.raises(TemporaryError, match=rf"server answers {code}$"):
        client.post()
    assert len(fake.of("POST")) == 3
    assert not fake.checks


def test_a_post_whose_answer_is_lost_is_not_sent_twice(fake: FakePatchwork, client: Client) -> None:
    fake.lost = 1
    assert client.post() is Posted.POSTED
    assert len(fake.of("POST")) == len(fake.checks[31]) == 1


def test_a_post_that_times_out_is_not_sent_twice(fake: FakePatchwork, client: Client) -> None:
    def heard_but_slow(handler: BaseHTTPRequestHandler) -> None:
        fake.add_check(31, "fail", description="1 error: a/b")
        time.sleep(1.3)

    fake.faults = [None, None, heard_but_slow]
    assert client.post() is Posted.POSTED
    assert len(fake.of("POST")) == len(fake.checks[31]) == 1


def test_a_post_that_was_not_heard_is_sent_again(fake: FakePatchwork, client: Client) -> None:
    fake.faults = [None, None, silence]
    assert client.post() is Posted.POSTED
    assert (len(fake.of("POST")), len(fake.checks[31])) == (2, 1)


def test_the_answer_to_a_post_must_say_that_it_was_created(fake: FakePatchwork, client: Client) -> None:
    fake.faults = [None, None, reply(200, b"<html>logged in to the hotel's network</html>")]
    with pytest.raises(TemporaryError, match=r"server answers 200$"):
        client.post()


def test_a_post_is_never_redirected(fake: FakePatchwork, client: Client) -> None:
    with patchwork() as other:
        other.add_mail("patches", 31, PATCH)
        for code in (301, 302, 307, 308):
            fake.faults = [None, None, reply(code, Location=f"{other.url}/api/patches/31/checks/")]
            with pytest.raises(TemporaryError, match=rf"server answers {code}$"):
                client.post()
        assert not other.requests


@pytest.mark.parametrize("step", [0, 1, 2])
def test_html_and_huge_answers_are_temporary(fake: FakePatchwork, client: Client, step: int) -> None:
    for body in (b"<html>", b"[" + b" " * 1_100_000):
        fake.faults = [*[None] * step, *[reply(200, body)] * 3]
        with pytest.raises(TemporaryError):
            client.post()


@pytest.mark.parametrize("rows", [b"{}", b"[5, null]", b'[{"id": "31/../../x", "msgid": 5, "project": "x"}]', b"null"])
def test_rows_of_another_shape_do_no_harm(fake: FakePatchwork, client: Client, rows: bytes) -> None:
    fake.faults = [reply(200, rows)]
    with suppress(TemporaryError):
        assert client.post() is Posted.NO_PATCH
    assert not fake.of("POST")


def test_a_number_that_is_none_does_not_get_into_a_path(fake: FakePatchwork, client: Client) -> None:
    for number in ("31/../../x", True, -1, 1.5, None):
        row = {**fake.patches[1], "id": number}
        fake.faults = [reply(200, json.dumps([row]).encode())]
        assert client.post() is Posted.NO_PATCH
    assert len(fake.requests) == 5


@pytest.mark.parametrize("message_id", ["a@b\r\nX: y", "a b", "..", "\x1b]0;t", "<a@b>", "", "x" * 999])
def test_a_hostile_message_id_never_reaches_the_network(fake: FakePatchwork, client: Client, message_id: str) -> None:
    with pytest.raises(InputError, match="not a Message-ID"):
        client.post(message_id=message_id)
    assert not fake.requests


@pytest.mark.parametrize(
    "message_id", ["/../a@b", "%2e%2e/a@b", "%0d%0aX:@b", "a@b&project=netdevbpf", "a@b#x", "a@b?c=d", "a+b;c@d", "ä@b"]
)
def test_a_message_id_changes_neither_path_nor_query(fake: FakePatchwork, client: Client, message_id: str) -> None:
    fake.add_mail("patches", 77, message_id)
    client.config = client.config._replace(target_url="https://bot.example.org/{msgid}/?a=b")
    assert client.post(message_id=message_id) is Posted.POSTED
    address = urlsplit(fake.requests[0].path)
    assert address.path == "/api/patches/"
    assert parse_qs(address.query) == {"msgid": [message_id], "project": ["linux-mm"]}
    target = fake.checks[77][0]["target_url"]
    assert target == f"https://bot.example.org/{quote(message_id, safe='@')}/?a=b"
    assert urlsplit(target).path.count("/") == 2


@pytest.mark.parametrize(
    "target", ["", "ftp://x/{msgid}", "javascript:alert(1)", "https://x/ {msgid}", "https://x/" + "y" * 191]
)
def test_a_target_that_patchwork_would_refuse_is_left_out(fake: FakePatchwork, client: Client, target: str) -> None:
    client.config = client.config._replace(target_url=target)
    assert [client.post(), client.post()] == [Posted.POSTED, Posted.SAME]
    assert "target_url" not in json.loads(fake.of("POST")[0].body)


def test_a_target_of_two_hundred_characters_is_sent(fake: FakePatchwork, client: Client) -> None:
    client.config = client.config._replace(target_url="https://x/" + "y" * 190)
    assert client.post() is Posted.POSTED
    assert len(fake.checks[31][0]["target_url"]) == 200


def test_a_description_is_one_line_of_ascii_and_compared_as_it_is_posted(fake: FakePatchwork, client: Client) -> None:
    hostile = "ä\x1b[31m\r\nX:  y " + "z" * 500
    assert [client.post(description=hostile), client.post(description=hostile)] == [Posted.POSTED, Posted.SAME]
    said = fake.checks[31][0]["description"]
    assert said.startswith("??[31m X: y zzz")
    assert said.endswith("...")
    assert len(said) == 200


def test_a_netrc_is_not_asked_for_passwords(
    fake: FakePatchwork, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert client.post() is Posted.POSTED
    assert [request.headers.get("authorization") for request in fake.requests] == [None, None, f"Token {TOKEN}"]


def test_a_proxy_does_not_see_the_token_on_its_way_to_loopback(
    fake: FakePatchwork, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    assert client.post() is Posted.POSTED


def test_the_token_is_in_no_traceback_and_no_log(
    fake: FakePatchwork, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    fake.faults = [None, *[None, silence] * 3]
    with pytest.raises(TemporaryError) as caught:
        client.post()
    assert TOKEN not in "".join(traceback.format_exception(caught.value)) + caplog.text
    assert str(caught.value).startswith(f"cannot ask '{fake.url}': ")
    assert str(caught.value).isprintable()


# -- settings -------------------------------------------------------------------------------------


def test_posting_is_off_unless_all_of_it_is_set() -> None:
    whole = PatchworkConfig(url=KERNEL, project="linux-mm", token_file="/x")
    assert is_configured(whole)
    for field in ("url", "project", "token_file"):
        lacking = whole._replace(**{field: ""})
        assert not is_configured(lacking)
        with pytest.raises(ConfigError, match=r"^checks need "):
            Patchwork(lacking)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o666, 0o700 | 0o1])
def test_a_token_that_others_may_read_is_refused(token: Path, mode: int) -> None:
    token.chmod(mode)
    with pytest.raises(ConfigError, match=rf"^others may read '{token}' \('patchwork.token-file'\): chmod 600 it$"):
        Patchwork(PatchworkConfig(url=KERNEL, project="x", token_file=str(token)))


@pytest.mark.parametrize("text", ["", " \n", "two words", "a\nb", "tök", "x" * 5000, "a\x00b"])
def test_a_file_without_a_token_is_refused_and_not_quoted(token: Path, text: str) -> None:
    token.write_text(text)
    with pytest.raises(ConfigError) as caught:
        Patchwork(PatchworkConfig(url=KERNEL, project="x", token_file=str(token)))
    assert str(caught.value) == f"no token in '{token}' ('patchwork.token-file')"


def test_a_token_file_that_is_missing_or_no_file_is_a_configuration_error(tmp_path: Path) -> None:
    config = PatchworkConfig(url=KERNEL, project="x", token_file=str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"^cannot open '.*none' .*: No such file or directory$"):
        Patchwork(config)
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(ConfigError, match=r"fifo' is no file"):
        Patchwork(config._replace(token_file=str(tmp_path / "fifo")))
    with pytest.raises(ConfigError):
        Patchwork(config._replace(token_file=str(tmp_path)))


@pytest.mark.parametrize("context", ["", "a b", "a/b", "ä", "x" * 256, "a\n"])
def test_a_context_that_patchwork_would_refuse_is_refused(token: Path, context: str) -> None:
    with pytest.raises(ConfigError, match=r"^'patchwork.context' must be "):
        Patchwork(PatchworkConfig(url=KERNEL, project="x", token_file=str(token), context=context))


@pytest.mark.parametrize("url", ["http://patchwork.kernel.org", "http://10.0.0.1/", "http://localhost.evil.example/"])
def test_the_token_is_not_sent_in_clear(token: Path, url: str) -> None:
    with pytest.raises(ConfigError, match=r"^'patchwork.url' must begin with https"):
        Patchwork(PatchworkConfig(url=url, project="x", token_file=str(token)))


@pytest.mark.parametrize("url", [KERNEL, "http://localhost:8000/pw", "http://127.0.0.1", "http://[::1]:80/"])
def test_https_and_loopback_are_allowed(token: Path, url: str) -> None:
    with Patchwork(PatchworkConfig(url=url, project="x", token_file=str(token))):
        pass


# -- verdicts -------------------------------------------------------------------------------------

ONE = patch_of(raw_mail("[PATCH 1/2] mm: one", message_id="one@example.org"), 1)
TWO = patch_of(raw_mail("[PATCH 2/2] mm: two", message_id="two@example.org"), 2)
USER, FIND = at(ONE, "put_user"), at(ONE, "find_vma")


def verdicts(*args: Any, **named: Any) -> list[tuple[str, str, str]]:
    reviewed = review(*args, **{"patches": (ONE, TWO), **named})
    return [
        (check.message_id.partition("@")[0], check.state, check.description)
        for check in states(reviewed, reviewed.findings)
    ]


def test_an_error_fails_a_warning_warns_and_nothing_is_success() -> None:
    error = finding(ONE, USER, "x", "a/error")
    warning = finding(TWO, at(TWO, "put_user"), "x", "a/warning", Severity.WARNING)
    assert verdicts(error, warning) == [("one", "fail", "1 error: a/error"), ("two", "warning", "1 warning: a/warning")]
    assert verdicts() == [("one", "success", "nothing found"), ("two", "success", "nothing found")]


def test_notes_and_info_are_told_and_do_not_warn() -> None:
    note = finding(ONE, USER, "x", "a/note", Severity.NOTE)
    info = finding(ONE, USER, "x", "a/info", Severity.INFO)
    assert verdicts(note)[0] == ("one", "success", "1 note")
    assert verdicts(note, info)[0] == ("one", "success", "1 note, 1 info")


def test_findings_are_counted_and_their_rules_named_the_worst_first() -> None:
    found = [
        finding(ONE, USER, "x", "z/warning", Severity.WARNING),
        finding(ONE, USER, "x", "b/error"),
        finding(ONE, FIND, "y", "b/error"),
        finding(ONE, FIND, "y", "a/note", Severity.NOTE),
    ]
    assert verdicts(*found)[0] == ("one", "fail", "2 errors, 1 warning, 1 note: b/error, z/warning")


def test_a_comment_with_several_places_is_one() -> None:
    found = [finding(ONE, USER, "x", "b/error"), finding(ONE, FIND, "x", "b/error", hidden="folded")]
    assert verdicts(*found)[0] == ("one", "fail", "1 error: b/error")


def test_a_place_of_a_finding_that_is_shown_with_another_patch_counts() -> None:
    found = [finding(ONE, USER, "x", "b/error"), finding(TWO, at(TWO, "put_user"), "x", "b/error", hidden="folded")]
    assert [state for _, state, _ in verdicts(*found)] == ["fail", "fail"]


@pytest.mark.parametrize("hidden", ["preexisting", "severity", "low confidence", "ignored: x", "said by a/b"])
def test_what_is_hidden_or_was_there_before_does_not_count(hidden: str) -> None:
    assert verdicts(finding(ONE, USER, hidden=hidden))[0][1] == "success"


def test_what_was_there_before_does_not_count_even_where_it_is_shown() -> None:
    assert verdicts(replace(finding(ONE, USER), preexisting=True))[0][1] == "success"


def test_only_the_findings_that_are_given_count() -> None:
    reviewed = review(finding(ONE, USER), patches=(ONE, TWO))
    assert [check.state for check in states(reviewed, ())] == [State.SUCCESS, State.SUCCESS]


def test_a_patch_that_could_not_be_read_gets_no_check() -> None:
    broken = replace(ONE, unreadable=(Unreadable(9, "hunk is cut off", ""),))
    assert [name for name, *_ in verdicts(patches=(broken, TWO))] == ["two"]
    fault = Fault(ONE.mail, 1, 0, "rule a/b failed", "", "a/b")
    assert [name for name, *_ in verdicts(errors=(fault,))] == ["two"]


def test_a_series_that_does_not_apply_gets_no_check() -> None:
    lack = NotRun(NOT_APPLIED, "patch 1/2, mm/foo.c: no such file")
    assert verdicts(finding(ONE, USER), not_run=(lack,)) == []


def test_a_patch_too_large_to_be_read_is_not_called_clean() -> None:
    lack = NotRun("reviewbot/too-large", "more than is read of one patch: mm/foo.c")
    assert [name for name, *_ in verdicts(finding(ONE, USER), not_run=(lack,))] == ["one"]


def test_the_engine_calls_it_so_where_a_patch_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    from reviewbot import engine, registry

    monkeypatch.setattr(engine, "MOST_TEXT", 0)
    reviewed = engine.review(review(patches=(ONE,)).series, registry.load())
    assert TOO_LARGE in {lack.rule for lack in reviewed.not_run}


def test_a_draft_in_a_reply_and_a_mail_without_an_id_get_no_check() -> None:
    draft = patch_of(raw_mail("Re: [PATCH 1/2] mm: one", message_id="re@example.org"), 1)
    nameless = patch_of(raw_mail("[PATCH 2/2] mm: two", message_id=None), 2)
    assert verdicts(patches=(draft, nameless)) == []


def test_patches_that_were_not_looked_at_get_no_check() -> None:
    reviewed = review(patches=(ONE, TWO))._replace(only=(2,))
    assert [check.message_id for check in states(reviewed, ())] == ["two@example.org"]


def test_a_long_description_is_cut() -> None:
    found = [finding(ONE, USER, "x", f"family/a-rule-with-a-name-{n:02}") for n in range(40)]
    _, _, text = verdicts(*found)[0]
    assert text.startswith("40 errors: family/a-rule-with-a-name-00, ")
    assert text.endswith("...")
    assert len(text) <= 200
    assert text.isascii()
