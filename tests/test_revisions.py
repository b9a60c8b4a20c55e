# SPDX-License-Identifier: GPL-2.0-or-later
"""Revisions of a series that were posted in threads of their own: which are found, and which is reviewed."""

from __future__ import annotations

import gzip
import io
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inbox import missing_programs, public_inbox
from mails import AUTHOR, COVER, REVIEWER, mail, patch_body, posting

from reviewbot.cli import main
from reviewbot.mail import parse_subject
from reviewbot.mime import parse_mail
from reviewbot.model import NotFoundError, Series, TemporaryError
from reviewbot.revisions import Found, find_series
from reviewbot.source import MAX_RELATED, Lineage, Source, lore, open_source, read_head
from reviewbot.source.lore import LoreSource, search_query

EMAIL = "ada@example.org"
DAY = 24 * 60
CHANGE = "20241101-walk-0123456789ab"
# What would end the quotes, be an operator, a range that the server computes, or an address' end
HOSTILE = 'mm: "walk" OR s:x) NOT (d:1.day.ago.. “f:y” * don\'t & ?x=A#é <b>'


def name(key: str, revision: int, n: int = 0) -> str:
    return f"{key}-v{revision}-{n}@example.org"


def single(key: str, subject: str, day: int, *, body: str = "", sender: str = AUTHOR) -> bytes:
    """A patch that is a series of its own; its Message-ID is <key>@example.org."""
    return mail(subject, patch_body(key, below=body), f"{key}@example.org", minute=day * DAY, sender=sender)


def archive_mails() -> list[bytes]:
    """An archive's mails, oldest first."""
    changed = f"What it is about.\n\n---\nchange-id: {CHANGE}\n"
    quoted = f"\nOn a day they wrote:\n> change-id: {CHANGE}\nprerequisite-change-id: {CHANGE}:v1\n"
    return [
        # three revisions in three threads, v2 twice, v3 with an answer that repeats the title
        *posting(2),
        *posting(2, revision=2, minute=7 * DAY),
        *posting(3, revision=3, minute=14 * DAY),
        mail("Re: [PATCH v9 0/3] mm: teach walk more", "no\n", "re@example.org", in_reply_to=name("walk", 3)),
        *posting(2, key="again", prefix="PATCH RESEND", revision=1, minute=DAY),
        # the same title by somebody else, and a longer one
        mail("[PATCH v8 0/2] mm: teach walk more", COVER, "theirs@example.net", sender=REVIEWER, minute=20 * DAY),
        mail("[PATCH v7 0/2] mm: teach walk more, again", COVER, "longer@example.org", minute=21 * DAY),
        # titles that change and a change-id that does not
        mail("[PATCH 0/1] mm: first name", changed, "named-v1-0@example.org"),
        mail("[PATCH 1/1] mm: x", patch_body("x"), "named-v1-1@example.org", in_reply_to="named-v1-0@example.org"),
        mail("[PATCH v2 0/1] mm: second name", changed, "named-v2-0@example.org", minute=9 * DAY),
        mail("[PATCH v2 1/1] mm: y", patch_body("y"), "named-v2-1@example.org", in_reply_to="named-v2-0@example.org"),
        mail("[PATCH v3 0/1] mm: needs named", COVER + quoted, "needs@example.org", minute=10 * DAY),
        mail("[PATCH v4 0/1] mm: taken", changed, "taken@example.net", minute=11 * DAY, sender=REVIEWER),
        # a title that was used before, two years ago
        single("old1", "[PATCH] mm: fix it", -700),
        single("old2", "[PATCH v2] mm: fix it", -690),
        single("new1", "[PATCH] mm: fix it", 0),
        single("new2", "[PATCH v2] MM:  fix it", 5),
        # a cover letter with another title, the same first patch
        mail("[PATCH 0/1] mm: old name", COVER, "cover1@example.org"),
        mail("[PATCH 1/1] mm: same patch", patch_body("s"), "c1-1@example.org", in_reply_to="cover1@example.org"),
        mail("[PATCH v2 0/1] mm: new name", COVER, "cover2@example.org", minute=DAY),
        mail("[PATCH v2 1/1] mm: same patch", patch_body("s"), "c2-1@example.org", in_reply_to="cover2@example.org"),
        # backports have revisions of their own
        single("port54", "[PATCH 5.4] mm: port", 0),
        single("port510", "[PATCH 5.10 v2] mm: port", 1),
        single("hostile1", f"[PATCH] {HOSTILE}", 0),
        single("hostile2", f"[PATCH v2] {HOSTILE}", 3),
        # a v2 in reply, as people do it too, and a v3 that is not
        *posting(1, key="reply"),
        *posting(1, key="reply", revision=2, minute=DAY, above=name("reply", 1)),
        *posting(1, key="reply", revision=3, minute=2 * DAY),
        single("alone", "[PATCH] mm: alone", 0),
    ]


def write_archive(git_dir: Path, mails: Iterable[bytes], file: str = "m", author: str = "") -> None:
    """As public-inbox does: a commit bears its mail's author, or the one it was relayed for, date and subject."""
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    new = not git_dir.exists()
    if new:
        subprocess.run(["git", "init", "-q", "--bare", "--initial-branch=m", git_dir], env=environment, check=True)
    stream = []
    for n, raw in enumerate(mails):
        read = parse_mail(raw)
        date = int(read.date.timestamp()) if read.date else 0
        # mail() does not MIME-encode, and for such a byte public-inbox puts this character
        subject = re.sub(rb"[\x80-\xff]", "\ufffd".encode(), read.subject.encode())
        stream.append(
            f"commit refs/heads/m\nauthor {read.sender.name} <{author or read.sender.email}> {date} +0000\n"
            f"committer t <t@example.org> {date} +0000\ndata {len(subject)}\n".encode()
            + subject
            + (b"\n" if new or n else b"\nfrom refs/heads/m^0\n")
            + b"deleteall\nM 100644 inline %s\ndata %d\n" % (file.encode(), len(raw))
            + raw
            + b"\n"
        )
    command = ["git", f"--git-dir={git_dir}", "fast-import", "--quiet"]
    subprocess.run(command, env=environment, input=b"".join(stream), check=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a list that can be searched."""
    if missing := missing_programs():
        pytest.skip(f"not installed: {missing}")
    with public_inbox(tmp_path_factory.mktemp("server"), archive_mails()) as url:
        yield url


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the same mails in `box` (an mbox) and in `list` (an archive of two epochs)."""
    directory = tmp_path_factory.mktemp("files")
    separator = b"From mboxrd@z Thu Jan  1 00:00:00 1970\n"
    (directory / "box").write_bytes(b"".join(separator + raw + b"\n" for raw in archive_mails()))
    write_archive(directory / "list/git/0.git", archive_mails()[:4])
    write_archive(directory / "list/git/1.git", archive_mails()[4:])
    return directory


@pytest.fixture(params=["lore", "epoch", "mbox"])
def source(request: pytest.FixtureRequest) -> Source:
    """Each kind of source, with archive_mails() in it."""
    if request.param == "lore":
        return LoreSource(request.getfixturevalue("server"))
    return open_source(request.getfixturevalue("files") / {"epoch": "list", "mbox": "box"}[request.param])


def find(source: Source, message_id: str, revision: int | None = None, *, latest: bool = False) -> Found:
    return find_series(source, source.thread(message_id), message_id, revision=revision, latest=latest)


def which(series: Series) -> tuple[str, int, int | None]:
    return series.message_id, series.revision, series.newest


def lineage(title: str, *, change_id: str | None = None, since: datetime | None = None, email: str = EMAIL) -> Lineage:
    return Lineage((title,), email, change_id, since)


def ids(mails: Iterable[bytes]) -> set[str]:
    return {read_head(raw).own[0].decode() for raw in mails}


# ---- which posting is reviewed


@pytest.mark.parametrize("asked", [name("walk", 1), name("walk", 1, 2)])
def test_a_newer_revision_in_another_thread_is_known_and_not_reviewed(source: Source, asked: str) -> None:
    found = find(source, asked)
    assert which(found.series) == (name("walk", 1), 1, 3)
    assert (found.newest, found.fetched, found.trouble) == (name("walk", 3), 0, None)


@pytest.mark.parametrize("asked", [1, 2, 3])
def test_latest_takes_the_newest_revision_from_whatever_thread(source: Source, asked: int) -> None:
    found = find(source, name("walk", asked, 1), latest=True)
    assert which(found.series) == (name("walk", 3), 3, 3)
    assert (len(found.series.patches), found.newest) == (3, None)
    assert found.fetched == (0 if asked == 3 else 5)


@pytest.mark.parametrize("asked", [1, 2, 3])
@pytest.mark.parametrize("wanted", [1, 2, 3])
def test_each_revision_is_reached_from_each(source: Source, asked: int, wanted: int) -> None:
    found = find(source, name("walk", asked), wanted)
    assert which(found.series) == (name("walk", wanted), wanted, 3)
    assert found.newest == (None if wanted == 3 else name("walk", 3))


def test_a_revision_that_is_nowhere_is_an_error_that_names_those_that_are_known(source: Source) -> None:
    with pytest.raises(NotFoundError, match=rf"^no v4 of <{name('walk', 2)}>: v1, v2 and v3 are known$"):
        find(source, name("walk", 2), 4)
    with pytest.raises(NotFoundError, match=r"^no v2 of <alone@example.org>: only v1 is known$"):
        find(source, "alone@example.org", 2)


def test_a_series_without_another_revision_is_its_own_newest(source: Source) -> None:
    found = find(source, "alone@example.org", latest=True)
    assert which(found.series) == ("alone@example.org", 1, 1)


def test_a_resend_is_no_newer_revision(source: Source) -> None:
    found = find(source, name("again", 1))
    assert which(found.series) == (name("again", 1), 1, 1)


def test_another_authors_posting_of_the_same_title_is_no_revision(source: Source) -> None:
    assert find(source, name("walk", 3), latest=True).series.newest == 3
    assert ids(source.related(lineage("mm: teach walk more", email="rex@example.net"))) == {"theirs@example.net"}


def test_a_change_id_leads_to_another_title_but_not_to_another_author_or_a_dependent_series(source: Source) -> None:
    found = find(source, "named-v1-1@example.org")
    assert (found.series.newest, found.newest) == (2, "named-v2-0@example.org")
    assert find(source, "named-v1-1@example.org", latest=True).series.subject == "[PATCH v2 0/1] mm: second name"
    assert find(source, "named-v2-0@example.org", 1).series.subject == "[PATCH 0/1] mm: first name"


def test_a_first_patch_leads_to_a_series_whose_cover_letter_was_named_anew(source: Source) -> None:
    found = find(source, "cover1@example.org", latest=True)
    assert found.series.subject == "[PATCH v2 0/1] mm: new name"
    assert [patch.subject.title for patch in found.series.patches] == ["mm: same patch"]
    assert find(source, "cover2@example.org", 1).series.message_id == "cover1@example.org"


def test_a_title_that_is_used_again_years_later_is_another_series(source: Source) -> None:
    assert find(source, "new1@example.org", latest=True).series.message_id == "new2@example.org"
    assert find(source, "new2@example.org", 1).series.message_id == "new1@example.org"
    assert find(source, "old1@example.org", latest=True).series.message_id == "old2@example.org"
    assert find(source, "old2@example.org", 1).series.message_id == "old1@example.org"


def test_a_backport_to_another_kernel_is_no_revision(source: Source) -> None:
    assert find(source, "port54@example.org").series.newest == 1


def test_a_title_full_of_quotes_and_operators_finds_its_revisions_and_nothing_else(source: Source) -> None:
    found = find(source, "hostile1@example.org", latest=True)
    assert which(found.series) == ("hostile2@example.org", 2, 2)
    assert ids(source.related(lineage(HOSTILE))) == {"hostile1@example.org", "hostile2@example.org"}


def test_a_revision_in_reply_and_one_in_a_thread_of_its_own_are_both_known(source: Source) -> None:
    assert which(find(source, name("reply", 1)).series) == (name("reply", 1), 1, 3)
    found = find(source, name("reply", 1), 2)
    assert (which(found.series), found.fetched) == ((name("reply", 2), 2, 3), 0)
    assert which(find(source, name("reply", 1), latest=True).series) == (name("reply", 3), 3, 3)


def test_a_revision_in_reply_to_one_that_is_elsewhere_is_found_under_another_title(tmp_path: Path) -> None:
    third = mail("[PATCH v3] mm: b", patch_body("b"), "b3@example.org", minute=DAY, in_reply_to="a2@example.org")
    mails = [single("a1", "[PATCH] mm: a", 0), single("a2", "[PATCH v2] mm: a", 0), third]
    write_archive(tmp_path / "0.git", mails)
    source = open_source(tmp_path / "0.git")
    assert which(find(source, "a1@example.org", latest=True).series) == ("b3@example.org", 3, 3)
    found = find(source, "a1@example.org", 2)
    assert (which(found.series), found.newest) == (("a2@example.org", 2, 3), "b3@example.org")


def test_another_series_of_the_author_in_the_thread_does_not_hide_the_revision_elsewhere(tmp_path: Path) -> None:
    other = mail("[PATCH v2] mm: other", patch_body("o"), "o@example.org", minute=1, in_reply_to="a1@example.org")
    write_archive(tmp_path / "0.git", [single("a1", "[PATCH] mm: a", 0), other, single("a2", "[PATCH v2] mm: a", 1)])
    assert find(open_source(tmp_path / "0.git"), "a1@example.org", 2).series.message_id == "a2@example.org"


def test_a_series_that_was_sent_together_with_this_one_is_no_revision_of_it() -> None:
    above = mail("mm: what all of it is about", "x\n", "top@example.org")
    kernel = posting(1, key="kernel", revision=3, minute=2, above="top@example.org")
    mails = [above, *posting(1, key="tool", minute=9, above="top@example.org"), *kernel]
    found = find_series(NoSearch(), mails, name("tool", 1))
    assert which(found.series) == (name("tool", 1), 1, 1)


def test_a_diff_in_a_reply_is_reviewed_without_looking_for_revisions() -> None:
    draft = mail("Re: [PATCH] mm: a", patch_body("d"), "d@example.org", in_reply_to="a1@example.org")
    found = find_series(NoSearch(), [single("a1", "[PATCH] mm: a", 0), draft], "d@example.org")
    assert (found.series.message_id, found.series.newest, found.trouble) == ("d@example.org", None, None)


# ---- a look-up that fails


class NoSearch:
    """A source that cannot look for revisions."""

    def thread(self, message_id: str) -> list[bytes]:
        above = name("walk", 1)
        return [*posting(2), *posting(2, revision=2, minute=DAY, above=above)] if message_id == above else []

    def related(self, lineage: Lineage) -> list[bytes]:  # noqa: ARG002 - as the protocol has it
        raise TemporaryError("cannot search 'x': server answers 500")


def test_a_review_goes_on_where_other_threads_cannot_be_looked_at() -> None:
    found = find(NoSearch(), name("walk", 1))
    assert which(found.series) == (name("walk", 1), 1, 2)
    assert (found.newest, found.trouble) == (name("walk", 2), "cannot search 'x': server answers 500")
    assert find(NoSearch(), name("walk", 1), 2).series.revision == 2


@pytest.mark.parametrize(("revision", "latest"), [(3, False), (None, True)])
def test_it_is_an_error_where_the_revision_asked_for_depends_on_it(revision: int | None, latest: bool) -> None:
    with pytest.raises(TemporaryError, match="server answers 500"):
        find(NoSearch(), name("walk", 1), revision, latest=latest)


@contextmanager
def answering(code: int, body: bytes) -> Iterator[tuple[str, list[str]]]:
    """A server that answers each POST alike; gives its address and the requests it saw."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(f"{self.path} {self.rfile.read(int(self.headers['Content-Length'])).decode()}")
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):  # who has read enough hangs up
                self.wfile.write(body)

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


@pytest.mark.parametrize(
    ("code", "body", "why"),
    [
        (503, b"", "server answers 503"),
        (200, b"<!doctype html>", "answer is no mbox (bot challenge page?)"),
        (200, gzip.compress(b"From mboxrd@z")[:-9], "answer is cut off"),
    ],
)
def test_a_search_that_fails_is_temporary_and_one_line(code: int, body: bytes, why: str) -> None:
    with answering(code, body) as (url, _), pytest.raises(TemporaryError) as caught:
        LoreSource(url, retries=0, timeout=(1, 1)).related(lineage("x"))
    assert str(caught.value) == f"cannot search '{url.rstrip('/')}': {why}"


def test_of_an_endless_answer_only_the_beginning_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lore, "_MAX_RESULTS", 1 << 20)
    separator = b"From mboxrd@z Thu Jan  1 00:00:00 1970\n"
    body = separator + single("a", "[PATCH] x", 0) + b"\n" + separator + bytes(64 << 20)
    with answering(200, gzip.compress(body)) as (url, seen):
        assert ids(LoreSource(url).related(lineage("x"))) == {"a@example.org"}
    # an x=m in the body would ask for the threads of what is found
    assert seen == ["/list/?x=m&q=%28%28s%3A%22x%22%29+AND+f%3A%22ada%40example.org%22%29 "]


def test_a_server_without_search_is_temporary(tmp_path: Path) -> None:
    if missing := missing_programs():
        pytest.skip(f"not installed: {missing}")
    with public_inbox(tmp_path, posting(1), level="basic") as url:
        found = find(LoreSource(url), name("walk", 1))
        assert found.series.newest == 1
        assert found.trouble == f"cannot search '{url.rstrip('/')}': server answers 501"
        with pytest.raises(TemporaryError, match=r"server answers 501$"):
            find(LoreSource(url), name("walk", 1), latest=True)


# ---- the sources


def test_only_cover_letters_and_first_patches_are_claimed(source: Source) -> None:
    wanted = {name("walk", n) for n in (1, 2, 3)}
    assert ids(source.related(lineage("mm: teach walk more"))) == wanted
    assert ids(source.related(lineage("mm: walk step 1"))) == {name("walk", n, 1) for n in (1, 2, 3)}
    assert source.related(lineage("mm: walk step 2")) == []


def test_nothing_found_is_an_empty_list(source: Source) -> None:
    assert source.related(lineage("mm: no such title")) == []
    assert source.related(lineage('"', email='"')) == []
    assert source.related(lineage("", change_id="no-such-change")) == []


def test_titles_older_than_asked_for_need_the_change_id(source: Source) -> None:
    since = datetime(2024, 1, 1, tzinfo=UTC)
    assert ids(source.related(lineage("mm: fix it", since=since))) == {"new1@example.org", "new2@example.org"}
    assert len(source.related(lineage("mm: fix it"))) == 4
    later = since + timedelta(days=800)
    assert len(source.related(lineage("mm: first name", change_id=CHANGE, since=later))) == 2


def test_a_list_that_the_server_redirects_to_is_the_one_that_is_searched(server: str) -> None:
    assert find(LoreSource(server.removesuffix("walk/")), name("walk", 1)).series.newest == 3


def test_what_is_cut_off_at_the_limit_is_the_oldest(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lore, "MAX_RELATED", 1)
    assert ids(LoreSource(server).related(lineage("mm: teach walk more"))) == {name("walk", 3)}
    monkeypatch.undo()
    monkeypatch.setattr(lore, "_MAX_RESULTS", 10)
    # one read takes all of it here, and the last mail of an answer that is too long is not trusted
    assert name("walk", 3) in ids(LoreSource(server).related(lineage("mm: teach walk more")))


@pytest.mark.parametrize("kind", ["epoch", "mbox"])
def test_the_newest_of_too_many_count(tmp_path: Path, kind: str) -> None:
    mails = [single(f"s{n}", f"[PATCH v{n}] mm: much", n) for n in range(1, MAX_RELATED + 20)]
    if kind == "epoch":
        write_archive(tmp_path / "git/0.git", mails[:100])
        write_archive(tmp_path / "git/1.git", mails[100:])
        assert open_source(tmp_path).related(lineage("mm: much")) == mails[-MAX_RELATED:]
    else:
        separator = b"From mboxrd@z Thu Jan  1 00:00:00 1970\n"
        (tmp_path / "box").write_bytes(b"".join(separator + raw + b"\n" for raw in mails))
        assert len(open_source(tmp_path / "box").related(lineage("mm: much"))) == MAX_RELATED


def test_an_author_behind_a_relay_is_found(tmp_path: Path) -> None:
    relay = "Ada Ranger via B4 Relay <devnull+ada.example.org@kernel.org>"
    mails = [single(f"r{n}", f"[PATCH v{n}] mm: relayed", n, sender=relay) for n in (1, 2)]
    write_archive(tmp_path / "0.git", mails, author=EMAIL)
    assert find(open_source(tmp_path / "0.git"), "r1@example.org").series.newest == 2


def test_a_mail_that_was_taken_down_is_no_revision(tmp_path: Path) -> None:
    mails = [single(f"a{n}", f"[PATCH v{n}] mm: a", n) for n in (1, 2, 3)]
    write_archive(tmp_path / "git/0.git", mails[:2])
    write_archive(tmp_path / "git/1.git", mails[2:])
    write_archive(tmp_path / "git/1.git", [mails[1]], "d")
    assert ids(open_source(tmp_path).related(lineage("mm: a"))) == {"a1@example.org", "a3@example.org"}


def test_standard_input_is_looked_through_too(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((files / "box").read_bytes())))
    assert find(open_source("-"), name("walk", 1), latest=True).series.revision == 3


def test_revisions_are_found_fast_in_a_real_archive(corpus_archive: Path) -> None:
    source = open_source(corpus_archive)
    asked = lineage("dax/kmem: atomic whole-device hotplug via sysfs", email="gourry@gourry.net")
    start = time.monotonic()
    revisions = {parse_subject(parse_mail(raw).subject).revision or 1 for raw in source.related(asked)}
    # 0.2 s for 7,083 mails
    assert time.monotonic() - start < 2
    assert revisions == {1, 4, 5, 6, 7}


@pytest.mark.parametrize(
    ("title", "query"),
    [
        ("mm/gup: don't walk_page", 's:"mm gup don\'t walk_page"'),
        ('a" OR f:"b', 's:"a OR f b"'),
        ("a\x00\n“b” (c) *", 's:"a b c"'),
        ("word " * 100, 's:"' + " ".join(["word"] * 40) + '"'),
    ],
)
def test_a_title_is_searched_by_its_words(title: str, query: str) -> None:
    assert search_query(lineage(title)) == f'(({query}) AND f:"{EMAIL}")'


def test_a_query_has_the_change_id_and_a_date() -> None:
    asked = lineage("x", change_id='a"b', since=datetime(2024, 2, 3, tzinfo=UTC))
    assert search_query(asked) == f'nq:"change-id a b" OR ((s:"x") AND f:"{EMAIL}" AND d:20240203..)'


@given(st.text(), st.text())
def test_no_text_ends_the_quotes(title: str, email: str) -> None:
    query = search_query(lineage(title, email=email, change_id=title))
    pieces = query.split('"')
    assert "".join(pieces[::2]) in ("", "nq:", "((s:) AND f:)", "nq: OR ((s:) AND f:)")
    assert not {*"“”„‟\x00\n\\*:"} & {*"".join(pieces[1::2])}


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_bytes_are_claimed_or_not(head: bytes, body: bytes) -> None:
    raw = b"From: ada@example.org\nSubject: [PATCH] x\n" + head + b"\n\n" + body
    assert lineage("x").claims_raw(raw) in (True, False)


# ---- the command


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[str]]:
    """Exit code and lines on stderr of `reviewbot` with no configuration."""
    code = main([*words, "--config", os.devnull])
    return code, capsys.readouterr().err.splitlines()


@pytest.fixture
def lore_command(capsys: pytest.CaptureFixture[str], files: Path) -> Callable[..., tuple[int, list[str]]]:
    return lambda *words: run(capsys, "lore", "-m", str(files / "list"), *words)


def test_the_command_says_which_newer_revision_is_known(lore_command: Callable[..., tuple[int, list[str]]]) -> None:
    _, lines = lore_command(name("walk", 1))
    assert f"note: v3 is known: <{name('walk', 3)}>, --latest reviews it" in lines
    assert lore_command("-q", name("walk", 1))[1] == []


def test_the_command_says_which_posting_is_reviewed(lore_command: Callable[..., tuple[int, list[str]]]) -> None:
    _, lines = lore_command(name("walk", 1), "--latest")
    assert f"fetched 5 mails of <{name('walk', 3)}>" in lines
    assert "reviewing v3, 3 patches: [PATCH v3 0/3] mm: teach walk more" in lines
    assert f"note: v3 is <{name('walk', 3)}>" in lines


def test_the_command_fails_where_the_revision_is_nowhere(lore_command: Callable[..., tuple[int, list[str]]]) -> None:
    code, lines = lore_command(name("walk", 1), "-v", "5")
    assert code == 2
    assert lines[-1] == f"reviewbot: no v5 of <{name('walk', 1)}>: v1, v2 and v3 are known"


def test_reply_takes_the_newest_revision_too(capsys: pytest.CaptureFixture[str], files: Path) -> None:
    code, lines = run(capsys, "reply", "-m", str(files / "box"), name("walk", 1), "--latest")
    assert code == 0
    assert f"note: v3 is <{name('walk', 3)}>" in lines


def test_a_list_without_search_is_a_note_and_an_error_with_latest(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    if missing := missing_programs():
        pytest.skip(f"not installed: {missing}")
    with public_inbox(tmp_path, posting(1), level="basic") as url:
        words = ("lore", name("walk", 1), "--lore-url", url)
        code, lines = run(capsys, *words)
        assert code == 0
        assert [line for line in lines if line.startswith("note: cannot look for newer revisions: cannot search")]
        assert run(capsys, *words, "-q") == (0, [])
        assert run(capsys, *words, "--latest")[0] == TemporaryError.exit_code
