# SPDX-License-Identifier: GPL-2.0-or-later
"""Mail from a public-inbox server such as lore.kernel.org, and what people paste to name a mail there.

Belongs here: the network, through liblore's node and a requests session that retries. `parse_target`
is pure. liblore and requests are imported when they are used: together they cost 0.2 s.
"""

from __future__ import annotations

import gzip
import logging
import re
import time
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import SplitResult, quote_plus, unquote, urlsplit

from reviewbot import __version__
from reviewbot.mime import split_mbox
from reviewbot.model import InputError, NotFoundError, TemporaryError
from reviewbot.source import MAX_RELATED, MAX_UNPACKED, Lineage, read_head

if TYPE_CHECKING:
    import requests
    from liblore import LoreNode
    from urllib3.connectionpool import ConnectionPool
    from urllib3.response import BaseHTTPResponse

LORE = "https://lore.kernel.org/all/"

# Seconds to connect, and between two pieces of an answer: lore builds large threads while it sends.
_TIMEOUT = (5.0, 60.0)
# Seconds for a whole answer: a server that dribbles one byte a minute never runs into the timeout.
_DEADLINE = 600.0
# Seconds that a server may tell us to wait; told more, we give up rather than come back too early.
PATIENCE = 60.0

# Bytes of search results that are read. Titles such as "fixes" find all that a maintainer ever sent.
_MAX_RESULTS = 16 * 1024 * 1024
# Characters of a title that are searched for: the query is part of an address.
_MAX_PHRASE = 200
# Not part of a word to Xapian's term generator; quotation marks of any kind would end a phrase in its query
# parser, and public-inbox looks for d:, dt: and rt: with a pattern of its own.
_NOT_WORDS = re.compile(r"[^\w.,;'&+#@-]+")

# Answers of a server that is worth asking again.
AGAIN = (429, 500, 502, 503, 504)
_KERNEL = "kernel.org"
_SHORT = "patch.msgid.link"
# What an address of Patchwork looks like, for advice alone.
_PATCHWORK = re.compile(r"//patchwork\.|/(?:patch|patches|cover|covers|series)/|[?&]series=", re.I)
# what public-inbox puts behind a mail's address: /T/ and /t/ (thread), /raw, /t.mbox.gz ...
_VIEW = re.compile(r"(?:T|t|raw|s|R|t\.mbox(?:\.gz)?|t\.atom)?")


class LoreSource:
    """A list on a public-inbox server. Each call is one request, or more where the server is busy."""

    def __init__(
        self,
        url: str = LORE,
        *,
        user_agent: str = f"reviewbot/{__version__}",
        timeout: tuple[float, float] = _TIMEOUT,
        retries: int = 4,
        backoff: float = 0.5,
    ) -> None:
        """`url` is a list's address, or a server's (then its /all/); `timeout` and `backoff` are seconds.

        Raises InputError where `url` is no http address.
        """
        self.url = archive_url(url)
        self._list = self.url  # where to search: the list to which the server redirected, where it did
        self._user_agent, self._timeout, self._retries, self._backoff = user_agent, timeout, retries, backoff

    def thread(self, message_id: str) -> list[bytes]:
        """See `Source.thread`. Raises TemporaryError for whatever trying again later may help."""
        check_message_id(message_id)
        cannot = f"cannot fetch <{message_id}> from '{self.url}':"
        with self._ask(cannot, lambda node: self._get_thread(node, message_id)) as answer:
            if answer.status_code == 404:
                raise NotFoundError(f"no mail <{message_id}> on '{self.url}'")
            mbox, _ = _unpack(answer, cannot)
        if not mbox:
            raise TemporaryError(f"{cannot} answer is empty")
        mails = list(split_mbox(mbox))
        if not any(message_id.encode() in read_head(mail).own for mail in mails):
            raise TemporaryError(f"{cannot} answer does not hold it")
        return mails

    def related(self, lineage: Lineage) -> list[bytes]:
        """See `Source.related`; one search, newest first. Raises TemporaryError, also where there is no search."""
        query = search_query(lineage)
        if not query:
            return []
        # the newest come first, so what is cut off is what counts least
        mails, _ = self.search(query, _MAX_RESULTS)
        return [raw for raw in mails if lineage.claims_raw(raw)][:MAX_RELATED]

    def search(self, query: str, most: int) -> tuple[list[bytes], bool]:
        """Raw mails that a query in public-inbox's language finds, newest first, and whether these are all.

        Reading stops behind `most` bytes. None where nothing is found, which is also what a server says of a
        list that it does not have. Raises TemporaryError, also where there is no search.
        """
        cannot = f"cannot search '{self._list}':"
        # the results alone: x=m in the body, as LoreNode.get_mbox_by_query() sends it, means their threads
        address = f"{self._list}/?x=m&q={quote_plus(query)}"
        with self._ask(cannot, lambda node: node.request("POST", address, data="", stream=True)) as answer:
            if answer.status_code == 404:
                return [], True
            mbox, whole = _unpack(answer, cannot, most)
        found = list(split_mbox(mbox)) if mbox else []
        return (found if whole else found[:-1]), whole

    @contextmanager
    def _ask(self, cannot: str, request: Callable[[LoreNode], requests.Response]) -> Iterator[requests.Response]:
        """The answer to a request, of status 200 or 404; whatever fails, also in the block, is a TemporaryError."""
        import requests
        from liblore import LibloreError, LoreNode
        from urllib3.exceptions import HTTPError

        # both warn of each attempt; without a handler Python would print that on stderr
        for name in ("liblore", "urllib3"):
            logging.getLogger(name).addHandler(logging.NullHandler())
        with (
            make_session(self._user_agent, self._retries, self._backoff) as session,
            # what a partial mirror lacks is not asked for elsewhere: only the server that was named is contacted
            LoreNode(self.url, cache_dir=None, request_timeout=self._timeout, follow_upstream=False) as node,
        ):
            node.set_requests_session(session)
            try:
                with request(node) as answer:
                    if answer.status_code not in (200, 404):
                        raise TemporaryError(f"{cannot} server answers {answer.status_code}{_wait(answer)}")
                    yield answer
            except gzip.BadGzipFile as error:
                raise TemporaryError(f"{cannot} answer is no mbox (bot challenge page?)") from error
            except (EOFError, zlib.error) as error:
                raise TemporaryError(f"{cannot} answer is cut off") from error
            # liblore's own errors, requests' (redirect loops), urllib3's (while the body is read)
            except (LibloreError, requests.RequestException, HTTPError, OSError) as error:
                raise TemporaryError(f"{cannot} {reason_of(error)}") from error

    def _get_thread(self, node: LoreNode, message_id: str) -> requests.Response:
        """The answer to a request for a thread, its body not yet read.

        LoreNode.get_mbox_by_msgid() would unpack a body of any size in memory.
        """
        quoted = quote_plus(message_id)
        answer = node.request("GET", f"{node.url}/{quoted}/t.mbox.gz", stream=True)
        if answer.status_code != 404:
            return answer
        answer.close()
        # the server may have it on another list: asked without one it redirects there (as liblore does)
        found = node.request("HEAD", f"{node.canonical_origin}/{quoted}/", allow_redirects=True)
        path = urlsplit(found.url).path.rstrip("/")
        if found.status_code != 200 or path in ("", f"/{quoted}"):
            return answer
        place = unquote(path).removesuffix(f"/{message_id}")
        if path.startswith(f"{place}/"):
            self._list = f"{node.canonical_origin}{place}"
        return node.request("GET", f"{node.canonical_origin}{path}/t.mbox.gz", stream=True)


def search_query(lineage: Lineage) -> str:
    """The search for a lineage's mails in public-inbox's language; '' where there is nothing to search for.

    It finds more than is wanted: replies, longer titles. What strangers wrote stands in quotes and cannot
    end them.
    """
    terms = []
    if lineage.change_id and (words := _words(lineage.change_id)):
        terms.append(f'nq:"change-id {words}"')
    titles = " OR ".join(f's:"{words}"' for title in lineage.titles if (words := _words(title)))
    if titles and (email := _words(lineage.email)):
        since = f" AND d:{lineage.since:%Y%m%d}.." if lineage.since else ""
        terms.append(f'(({titles}) AND f:"{email}"{since})')
    return " OR ".join(terms)


def _words(text: str) -> str:
    """Text for a search in quotes: the words and what belongs to them, as Xapian splits them.

    A phrase that is cut off finds more, not less; its last word goes because it may be cut in two.
    """
    text = " ".join(_NOT_WORDS.sub(" ", text).split())
    if len(text) > _MAX_PHRASE:
        text = text[:_MAX_PHRASE].rpartition(" ")[0]
    return text if re.search(r"\w", text) else ""


def parse_target(text: str, lore_url: str = LORE) -> tuple[str, str | None]:
    """What a person gave to name a mail -> (Message-ID without brackets, address of its list or None).

    Takes a Message-ID, with or without <>, `id:` or `mid:`, and addresses of archives. None for the
    list means: it says none, use the configured one. Addresses must be of kernel.org, patch.msgid.link
    or the server of `lore_url`: InputError else, and for what cannot be a Message-ID. Patchwork's addresses
    are `patchwork.parse_address`'s, to be asked before.
    """
    text = text.strip()
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text):
        scheme, colon, rest = text.partition(":")
        if colon and scheme.lower() in ("id", "mid"):
            # RFC 2392 percent-encodes behind mid:, notmuch's id: is plain
            text = unquote(rest) if scheme.lower() == "mid" else rest
        return check_message_id(text.removeprefix("<").removesuffix(">")), None
    cure = "use --lore-url"
    if _PATCHWORK.search(text):
        cure += ", or set patchwork.url in the file of --config if this is a Patchwork server"
    refused = InputError(f"not an archive that is configured: '{text}', {cure}")
    try:
        address, known = urlsplit(text), urlsplit(archive_url(lore_url))
        place, home = place_of(address), place_of(known)
    except ValueError as error:
        raise refused from error
    if address.scheme not in ("http", "https") or "@" in address.netloc:
        raise refused
    parts = address.path.lstrip("/").split("/")
    host, port = place
    if place == home:
        base = known.path.strip("/").split("/")
        server = f"{known.scheme}://{known.netloc}"
        depth = len(base) if parts[: len(base)] == base else 1
    elif host.startswith("patchwork."):
        raise refused
    elif port is None and (host == _SHORT or f".{host}".endswith(f".{_KERNEL}")):
        # lkml.kernel.org is an old name of lore, which it redirects to; plain http does as well
        server = f"https://{'lore.kernel.org' if host == f'lkml.{_KERNEL}' else host}"
        depth = 0 if host == _SHORT else 1
    else:
        raise refused
    message_id = parts[depth:]
    while message_id and _VIEW.fullmatch(message_id[-1]):
        message_id.pop()
    if not message_id:
        raise InputError(f"no Message-ID in '{text}'")
    where = "/".join(parts[:depth])
    # /r/ is lore's redirector, not a list
    return check_message_id(unquote("/".join(message_id))), f"{server}/{where}/" if where not in ("", "r") else None


def check_message_id(text: str) -> str:
    """`text`, which is a Message-ID without angle brackets. Raises InputError where it cannot be one."""
    # isprintable() is false for control characters, line separators and what turns the writing direction
    if not text or len(text) > 998 or not text.isprintable() or re.search(r"[\s<>]", text) or not text.strip("."):
        raise InputError(f"not a Message-ID: {text[:200]!r}")
    return text


def archive_url(url: str) -> str:
    """Address of a list without the last slash; a server's own means its /all/. Raises InputError where it is none."""
    try:
        address = urlsplit(url.strip())
        host, _ = place_of(address)
    except ValueError as error:
        raise InputError(f"not the address of an archive: '{url}'") from error
    if address.scheme not in ("http", "https") or not host or address.query or address.fragment:
        raise InputError(f"not the address of an archive: '{url}'")
    return f"{address.scheme}://{address.netloc}{address.path.rstrip('/') or '/all'}"


def place_of(address: SplitResult) -> tuple[str, int | None]:
    """(host, port); the port is None where it is the scheme's own. Raises ValueError for an impossible port."""
    usual = {"http": 80, "https": 443}.get(address.scheme)
    return (address.hostname or "").rstrip("."), None if address.port == usual else address.port


def make_session(
    user_agent: str, retries: int, backoff: float, methods: Collection[str] | None = None
) -> requests.Session:
    """A session that asks again where the server says so or does not answer; `backoff` is seconds.

    With `methods` that goes for these alone; others are sent again only where no connection was made.
    """
    from requests import Session
    from requests.adapters import HTTPAdapter
    from urllib3.exceptions import InvalidHeader, MaxRetryError
    from urllib3.util.retry import Retry

    class PatientRetry(Retry):
        """Waits as long as the server says, but not for hours."""

        def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
            try:
                return super().get_retry_after(response)
            except InvalidHeader:
                return None

        def increment(
            self,
            method: str | None = None,
            url: str | None = None,
            response: BaseHTTPResponse | None = None,
            error: Exception | None = None,
            _pool: ConnectionPool | None = None,
            _stacktrace: TracebackType | None = None,
        ) -> Self:
            if response is not None and _pool and (self.get_retry_after(response) or 0) > PATIENCE:
                raise MaxRetryError(_pool, url or "")
            return super().increment(method, url, response, error, _pool, _stacktrace)

    session = Session()
    session.headers["User-Agent"] = user_agent
    retry = PatientRetry(
        total=retries,
        backoff_factor=backoff,
        status_forcelist=AGAIN,
        allowed_methods=methods,
        respect_retry_after_header=True,
        raise_on_status=False,
    )
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session


def _unpack(answer: requests.Response, cannot: str, most: int | None = None) -> tuple[bytes, bool]:
    """The body gunzipped, b'' for an empty one, and whether that is all of it.

    More than MAX_UNPACKED is refused; with `most` reading stops behind so many bytes.
    """
    until = time.monotonic() + _DEADLINE
    pieces: list[bytes] = []
    size = 0
    with gzip.GzipFile(fileobj=answer.raw) as body:
        while piece := body.read1(1 << 20):
            pieces.append(piece)
            size += len(piece)
            if most is not None and size > most:
                return b"".join(pieces), False
            if size > MAX_UNPACKED:
                raise TemporaryError(f"{cannot} answer is too large: more than {MAX_UNPACKED >> 20} MiB")
            if time.monotonic() > until:
                raise TemporaryError(f"{cannot} answer takes more than {_DEADLINE:.0f} s")
    return b"".join(pieces), True


def _wait(answer: requests.Response) -> str:
    seconds = answer.headers.get("Retry-After", "")
    return f", it asks to wait {seconds} s" if seconds.isdecimal() and len(seconds) < 9 else ""


def reason_of(error: BaseException) -> str:
    """The cause in a few words: requests wraps it in four exceptions, with an object's address in each text."""
    from urllib3.exceptions import ConnectTimeoutError, IncompleteRead, NameResolutionError, ReadTimeoutError

    causes: list[BaseException] = [error]
    for cause in causes:  # grows while it is walked, outermost first
        inner = (cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args)
        causes += [more for more in inner if isinstance(more, BaseException) and more not in causes]
    if any(isinstance(cause, IncompleteRead) for cause in causes):
        return "answer is cut off"
    if any(isinstance(cause, NameResolutionError) for cause in causes):
        return "cannot resolve the host's name"
    system = [cause.strerror for cause in causes if isinstance(cause, OSError) and cause.errno and cause.strerror]
    if system:
        return system[-1].lower()
    # urllib3 calls a refused connection a ConnectTimeoutError too, so this comes behind what the system says
    if any(isinstance(cause, (ConnectTimeoutError, ReadTimeoutError, TimeoutError)) for cause in causes):
        return "no answer in time"
    return (str(error).splitlines() or ["no answer"])[0][:200]
