# SPDX-License-Identifier: GPL-2.0-or-later
"""Patchwork: which mail an address of its stands for, and checks, which is how it shows a robot's verdict on a patch.

Belongs here: Patchwork's addresses and what is used of its REST API (1.2 and 1.3). Does not belong here: fetching the
mail (`source.lore` does, from an archive), whether a patch may be judged (`policy`). `parse_address` and `states` are
pure; the rest asks the server. requests is imported when it is used.
"""

from __future__ import annotations

import json
import logging
import os
import re
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from ipaddress import ip_address
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlencode, urljoin, urlsplit

from reviewbot import __version__
from reviewbot.config import PatchworkConfig
from reviewbot.finding import NOT_APPLIED, TOO_LARGE, Finding, Review
from reviewbot.model import ConfigError, InputError, NotFoundError, Severity, TemporaryError
from reviewbot.selection import FOLDED
from reviewbot.source.lore import AGAIN, PATIENCE, check_message_id, make_session, place_of, reason_of

if TYPE_CHECKING:
    import requests

# Seconds to connect, and between two pieces of an answer; then for a whole one: it is a few kilobytes.
_TIMEOUT = (5.0, 30.0)
_DEADLINE = 60.0
# Bytes of an answer. A series of a thousand patches has 0.4 MB.
_MOST = 1_000_000
_MOST_REDIRECTS = 3
_MOST_TOKEN = 4096
# Characters: what fits a line of Patchwork's table, and the target_url of its schema.
_MOST_DESCRIPTION = 200
_MOST_TARGET = 200
_CONTEXT = re.compile(r"[-a-zA-Z0-9_]{1,255}")  # a SlugField of 255


# Servers that anybody's addresses may name, besides the one that is configured.
_OZLABS = "patchwork.ozlabs.org"
_KERNEL = ".kernel.org"
_ARCHIVES = ("lore.kernel.org", "lkml.kernel.org")  # there /series/123/ is mail 123 of a list

# As patchwork/urls.py has them, without the slash they end in. A Message-ID may have slashes, bare or as %2F.
_MAIL = re.compile(r"/project/[^/]+/(?:patch|cover)/(.+?)(?:/(?:mbox|raw))?")
_LIST = re.compile(r"/project/[^/]+/list")  # ?series=123
_NUMBER = re.compile(r"/(patch|cover|series)/([0-9]{1,10})(?:/(?:mbox|raw))?")
_API = re.compile(r"/api(?:/1\.[0-9])?/(patches|covers|series)/([0-9]{1,10})(?:/(?:checks|comments))?")
_API_MAIL = re.compile(r"/api(?:/1\.[0-9])?/(?:patches|covers)")  # ?msgid=a@b


class State(StrEnum):
    """Of a check. The values are the API's."""

    PENDING = "pending"
    SUCCESS = "success"
    WARNING = "warning"
    FAIL = "fail"


class Posted(StrEnum):
    """What became of a check. The value is what is recorded."""

    POSTED = "posted"
    SAME = "same"  # the server says it already
    NO_PATCH = "not-on-patchwork"
    FORBIDDEN = "forbidden"  # the token is wrong, or its user may not add checks to the project


class Check(NamedTuple):
    """What is to be said of one patch."""

    message_id: str  # the patch's, without brackets
    state: State
    description: str  # ASCII, at most 200 characters


class Kind(StrEnum):
    """What has a number on Patchwork. The value is the API's."""

    PATCH = "patches"
    COVER = "covers"
    SERIES = "series"


_NOUNS = {Kind.PATCH: "patch", Kind.COVER: "cover letter", Kind.SERIES: "series"}
_KINDS = {"patch": Kind.PATCH, "cover": Kind.COVER, "series": Kind.SERIES} | {str(kind): kind for kind in Kind}


class Numbered(NamedTuple):
    """A patch, cover letter or series by its number, which only the server can turn into a Message-ID."""

    server: str  # address without the last slash
    kind: Kind
    number: int

    def __str__(self) -> str:
        return f"{_NOUNS[self.kind]} {self.number} on '{self.server}'"


def parse_address(text: str, patchwork_url: str = "") -> str | Numbered | None:
    """The Message-ID in an address of Patchwork, or what to ask the server for; None for what is no such address.

    The server must be of kernel.org, patchwork.ozlabs.org, or that of `patchwork_url`. Raises InputError for an address
    of a Patchwork that names no mail, ConfigError for a `patchwork_url` that is none.
    """
    text = text.strip()
    try:
        address = urlsplit(text)
        host, _ = place_of(address)
    except ValueError:
        return None
    server = _server_of(address, patchwork_url)
    if server is None:
        return None
    path = address.path.removeprefix(urlsplit(server).path).rstrip("/")
    query = parse_qs(address.query[:4096], max_num_fields=50) if address.query.count("&") < 50 else {}
    if match := _MAIL.fullmatch(path):
        return check_message_id(unquote(match[1]))
    if match := _NUMBER.fullmatch(path) or _API.fullmatch(path):
        return Numbered(server, _KINDS[match[1]], int(match[2]))
    if _LIST.fullmatch(path) and re.fullmatch(r"[0-9]{1,10}", series := query.get("series", [""])[0]):
        return Numbered(server, Kind.SERIES, int(series))
    if _API_MAIL.fullmatch(path) and (message_id := query.get("msgid", [""])[0]):
        return check_message_id(message_id)
    if host.startswith("patchwork."):
        raise InputError(f"no patch, cover letter or series in '{text}'")
    return None


def _server_of(address: SplitResult, patchwork_url: str) -> str | None:
    """The server of an address, without the last slash; None where it may not be asked."""
    if address.scheme not in ("http", "https") or "@" in address.netloc:
        return None
    host, port = place_of(address)
    if patchwork_url:
        known = server_url(patchwork_url)
        mine = urlsplit(known)
        if (host, port) == place_of(mine) and f"{address.path}/".startswith(f"{mine.path}/"):
            return known
    if port is None and (host == _OZLABS or (host.endswith(_KERNEL) and host not in _ARCHIVES)):
        return f"https://{host}"  # plain http redirects there
    return None


def server_url(url: str) -> str:
    """Address of a Patchwork server without the last slash and /api/1.2. Raises ConfigError for what is none."""
    wrong = ConfigError(f"'patchwork.url' must be the http address of a server, not '{url}'")
    try:
        address = urlsplit(url)
        host, _ = place_of(address)
    except ValueError as error:
        raise wrong from error
    odd = re.search(r"[^!-~]", url) or "@" in address.netloc or address.query or address.fragment
    if address.scheme not in ("http", "https") or not host or odd:
        raise wrong
    path = re.sub(r"/api(?:/1\.[0-9])?$", "", address.path.rstrip("/"))
    return f"{address.scheme}://{address.netloc}{path}"


def find_message_id(
    numbered: Numbered, *, timeout: tuple[float, float] = _TIMEOUT, retries: int = 3, backoff: float = 0.5
) -> str:
    """Ask the server which mail it is; of a series the cover letter, else the first patch.

    Raises NotFoundError where it has none of that number, TemporaryError for whatever trying again later may help,
    InputError where what it says cannot be a Message-ID.
    """
    with _Server(numbered.server, timeout, retries, backoff) as server:
        answer = server.get(f"{numbered.kind}/{numbered.number}/")
    if answer.status == 404:
        raise NotFoundError(f"no {numbered}")
    mail = answer.data
    if numbered.kind is Kind.SERIES and isinstance(mail, dict):
        patches = mail.get("patches")
        mail = mail.get("cover_letter") or (patches[0] if isinstance(patches, list) and patches else None)
        if mail is None and patches == []:
            raise NotFoundError(f"no mail in {numbered}")
    message_id = mail.get("msgid") if isinstance(mail, dict) else None
    if not isinstance(message_id, str):
        raise TemporaryError(f"{server.cannot} answer has no Message-ID")
    return check_message_id(_bare(message_id))


def _bare(message_id: str) -> str:
    return message_id.strip().removeprefix("<").removesuffix(">")


def states(review: Review, findings: Sequence[Finding]) -> tuple[Check, ...]:
    """A check for each patch of a review, from those of its findings that are to count.

    What is hidden does not count, but for a place of a finding that is shown with another patch; what was there before
    the patch never does, nor does what a later one resolves. A patch that could not be read as a whole gets no check,
    nor does any of a series that does not apply: that is no verdict, and Patchwork cannot take one back.
    """
    if any(lack.rule == NOT_APPLIED for lack in review.not_run):
        return ()
    # it is not told of which patch: none of them is called clean
    cut = any(lack.rule == TOO_LARGE for lack in review.not_run)
    faulty = {fault.patch for fault in review.errors}
    checks = []
    for patch in review.patches:
        # a draft in a reply is a comment to Patchwork
        if patch.index in faulty or patch.unreadable or patch.reply or not patch.mail.message_id:
            continue
        mine = [f for f in findings if f.patch.index == patch.index and not f.preexisting and f.resolved_by is None]
        mine = [f for f in mine if f.shown or f.why_not_shown == FOLDED]
        state, description = _judge(mine)
        if not (cut and state is State.SUCCESS):
            checks.append(Check(patch.mail.message_id, state, description))
    return tuple(checks)


def _judge(findings: Sequence[Finding]) -> tuple[State, str]:
    # one comment with several places is one
    said = {(f.severity, f.rule, f.message) for f in findings}
    counts = Counter(severity for severity, _, _ in said)
    if not counts:
        return State.SUCCESS, "nothing found"
    words = [
        f"{counts[severity]} {severity}{'s' if counts[severity] != 1 and severity is not Severity.INFO else ''}"
        for severity in Severity
        if counts[severity]
    ]
    if not (counts[Severity.ERROR] or counts[Severity.WARNING]):
        return State.SUCCESS, ", ".join(words)
    state = State.FAIL if counts[Severity.ERROR] else State.WARNING
    rules = dict.fromkeys(
        rule
        for severity, rule, _ in sorted(said, key=lambda one: (one[0].rank, *one[1:]))
        if severity in (Severity.ERROR, Severity.WARNING)
    )
    return state, _plain(f"{', '.join(words)}: {', '.join(rules)}")


def _plain(text: str) -> str:
    """ASCII on one line, at most 200 characters: it goes into Patchwork's pages and mails."""
    text = re.sub(r"[^ -~]", "?", " ".join(text.split()))
    return text if len(text) <= _MOST_DESCRIPTION else text[: _MOST_DESCRIPTION - 3].rstrip(" ,:") + "..."


def is_configured(config: PatchworkConfig) -> bool:
    """Checks are posted: all that it takes is set."""
    return bool(config.url and config.project and config.token_file)


class Patchwork:
    """Posts checks to a project; a context manager.

    Patchwork never changes nor deletes a check: the newest one of a context and user counts, and all of them stay to be
    seen. There are none for series and cover letters, so each patch gets its own.
    """

    def __init__(
        self,
        config: PatchworkConfig,
        *,
        timeout: tuple[float, float] = _TIMEOUT,
        retries: int = 3,
        backoff: float = 0.5,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`timeout` and `backoff` are seconds. Raises ConfigError for a setting that cannot be meant so."""
        if not is_configured(config):
            raise ConfigError("checks need 'patchwork.url', 'patchwork.project' and 'patchwork.token-file'")
        url = server_url(config.url)
        if urlsplit(url).scheme != "https" and not _loopback(url):
            raise ConfigError(f"'patchwork.url' must begin with https, the token is sent there: '{config.url}'")
        if not _CONTEXT.fullmatch(config.context):
            raise ConfigError(
                f"'patchwork.context' must be 1 to 255 letters, digits, '-' and '_', not '{config.context[:255]}'"
            )
        if not config.project.isprintable():
            raise ConfigError("'patchwork.project' must be the link name of a project")
        self._config, self._retries, self._backoff, self._sleep = config, retries, backoff, sleep
        self._server = _Server(url, timeout, retries, backoff, _read_token(config.token_file))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    def post(self, message_id: str, state: State, description: str) -> Posted:
        """Post a check of a patch, unless its newest one says the same, or is conclusive and this one is not.

        Raises TemporaryError for whatever trying again later may help, ConfigError where the server does not know
        the project or refuses what is posted, NotFoundError where it has no API.
        """
        check_message_id(message_id)
        patch = self._find(message_id)
        if patch is None:
            return Posted.NO_PATCH
        wanted = _Said(state, self._target(message_id), _plain(description))
        fields = {"context": self._config.context, **wanted._asdict()}
        fields = {name: text for name, text in fields.items() if text}
        for attempt in range(self._retries + 1):
            # read before each attempt: one that had no answer may have been heard all the same
            newest = self._newest(patch)
            if newest == wanted:
                return Posted.POSTED if attempt else Posted.SAME
            if newest and state is State.PENDING and newest.state != State.PENDING:
                return Posted.SAME
            wait = self._backoff * 2**attempt
            try:
                answer = self._server.post(f"patches/{patch}/checks/", fields)
            except TemporaryError:
                if attempt == self._retries:
                    raise
            else:
                if answer.status not in AGAIN:
                    return self._outcome(answer)
                told = answer.wait or 0.0
                if attempt == self._retries or told > PATIENCE:
                    raise TemporaryError(f"{self._server.cannot} {answer}")
                wait = max(wait, told)
            self._sleep(wait)
        raise AssertionError  # the last attempt returns or raises

    def _outcome(self, answer: _Answer) -> Posted:
        if answer.status == 201:
            return Posted.POSTED
        # Django REST framework answers 403 to a wrong token, too, for its first way to log in is a session
        if answer.status in (401, 403):
            return Posted.FORBIDDEN
        if answer.status == 404:
            return Posted.NO_PATCH
        if answer.status == 400:
            raise ConfigError(f"'{self._server.url}' refuses the check: {answer.complaint or 'bad request'}")
        raise TemporaryError(f"{self._server.cannot} {answer}")

    def _find(self, message_id: str) -> int | None:
        """The patch's number in our project; None where it is not there (yet)."""
        project = self._config.project
        answer = self._server.get("patches/", {"msgid": message_id, "project": project})
        if answer.status == 400 and isinstance(answer.data, dict) and "project" in answer.data:
            raise ConfigError(f"no project '{project}' on '{self._server.url}' ('patchwork.project')")
        if answer.status == 404:
            raise NotFoundError(f"no Patchwork with an API at '{self._server.url}'")
        for patch in self._rows(answer):
            # the same mail may be in many projects, and a server older than 1.2 knows no msgid and gives all patches
            place, number, its = patch.get("project"), patch.get("id"), patch.get("msgid")
            names = (place.get("link_name"), place.get("id")) if isinstance(place, dict) else ()
            ours = project.lower() in (str(name).lower() for name in names)
            if ours and isinstance(its, str) and _bare(its) == message_id and type(number) is int and number > 0:
                return number
        return None

    def _newest(self, patch: int) -> _Said | None:
        """What the newest check of our context says. Its user is not compared: no request tells who we are."""
        context = self._config.context
        query = {"context": context, "order": "-date", "per_page": "1"}
        answer = self._server.get(f"patches/{patch}/checks/", query)
        for row in () if answer.status == 404 else self._rows(answer):
            if row.get("context") == context:
                texts = (row.get(name) for name in _Said._fields)
                return _Said(*(text if isinstance(text, str) else "" for text in texts))
        return None

    def _rows(self, answer: _Answer) -> Iterator[dict[str, object]]:
        if answer.status != 200:
            raise TemporaryError(f"{self._server.cannot} {answer}")
        if not isinstance(answer.data, list):
            raise TemporaryError(f"{self._server.cannot} answer is no list")
        return (row for row in answer.data if isinstance(row, dict))

    def _target(self, message_id: str) -> str:
        """What the check links to; '' for nothing, which is better than a check that is refused."""
        url = self._config.target_url.replace("{msgid}", quote(message_id, safe="@"))
        return url if re.fullmatch(r"https?://[!-~]+", url) and len(url) <= _MOST_TARGET else ""


class _Said(NamedTuple):
    """What a check says; '' for what it leaves out. The names are the API's."""

    state: str
    target_url: str
    description: str


class _Answer(NamedTuple):
    """An answer that was read."""

    status: int
    data: object  # the JSON; None where an error's page is none
    wait: float | None = None  # seconds of Retry-After
    complaint: str = ""  # what an error says, for a person

    def __str__(self) -> str:
        return f"server answers {self.status}{f', it asks to wait {self.wait:.0f} s' if self.wait else ''}"


class _Server:
    """The API of one server: requests that do not leave it, answers of bounded size.

    The token goes along with what is posted and nothing else: all that is read is public.
    """

    def __init__(
        self, url: str, timeout: tuple[float, float], retries: int, backoff: float, token: str | None = None
    ) -> None:
        # urllib3 warns of each attempt; without a handler Python would print that on stderr
        logging.getLogger("urllib3").addHandler(logging.NullHandler())
        self.url = url
        self.cannot = f"cannot ask '{url}':"
        self._timeout, self._token = timeout, token
        # a check that is posted is not known to be lost only because there was no answer
        self._session = make_session(f"reviewbot/{__version__}", retries, backoff, methods=("GET",))
        # bytes are counted as they come
        self._session.headers["Accept-Encoding"] = "identity"
        self._session.headers["Accept"] = "application/json"
        if urlsplit(url).scheme != "https":
            # a proxy of the environment's would see the token on its way to loopback
            self._session.trust_env = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._session.close()

    def get(self, path: str, query: Mapping[str, str] | None = None) -> _Answer:
        """The answer to a GET, JSON where it is 200. Raises TemporaryError, also where it asks to come back later."""
        address = f"{self.url}/api/{path}"
        if query:
            address += f"?{urlencode(query)}"
        for _ in range(_MOST_REDIRECTS + 1):
            with self._ask("GET", address) as response:
                if not response.is_redirect:
                    answer = self._read(response)
                    break
                address = self._follow(address, response.headers["Location"])
        else:
            raise TemporaryError(f"{self.cannot} too many redirects")
        if answer.status in AGAIN or answer.status >= 500:
            raise TemporaryError(f"{self.cannot} {answer}")
        if answer.status not in (200, 400, 404):
            raise TemporaryError(f"{self.cannot} {answer}")
        if answer.status == 200 and answer.data is None:
            raise TemporaryError(f"{self.cannot} answer is no JSON (bot challenge page?)")
        return answer

    def post(self, path: str, fields: Mapping[str, str]) -> _Answer:
        """The answer to a POST, which is sent once. Raises TemporaryError where there is none."""
        with self._ask("POST", f"{self.url}/api/{path}", fields) as response:
            return self._read(response)

    @contextmanager
    def _ask(self, method: str, address: str, fields: Mapping[str, str] | None = None) -> Iterator[requests.Response]:
        import requests
        from urllib3.exceptions import HTTPError

        token = self._token if fields is not None else None

        def log_in(request: requests.PreparedRequest) -> requests.PreparedRequest:
            # as `auth` it also keeps requests from sending what ~/.netrc has for the host
            if token is not None:
                request.headers["Authorization"] = f"Token {token}"
            return request

        try:
            with self._session.request(
                method, address, json=fields, auth=log_in, timeout=self._timeout, stream=True, allow_redirects=False
            ) as response:
                yield response
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            raise TemporaryError(f"{self.cannot} {self._hide(reason_of(error))}") from error

    def _follow(self, address: str, location: str) -> str:
        """Where a redirect leads. Raises TemporaryError for another host or port, and from https to http."""
        target = urljoin(address, location)
        before, after = urlsplit(address), urlsplit(target)  # ValueError is the caller's
        if place_of(after) != place_of(before) or after.scheme not in (before.scheme, "https") or "@" in after.netloc:
            raise TemporaryError(f"{self.cannot} server redirects to another host")
        return target

    def _read(self, response: requests.Response) -> _Answer:
        until = time.monotonic() + _DEADLINE
        body = bytearray()
        while piece := response.raw.read1(1 << 16, decode_content=False):
            body += piece
            if len(body) > _MOST:
                raise TemporaryError(f"{self.cannot} answer is too large: more than {_MOST // 1_000_000} MB")
            if time.monotonic() > until:
                raise TemporaryError(f"{self.cannot} answer takes more than {_DEADLINE:.0f} s")
        try:
            data: object = json.loads(body)
        except (ValueError, RecursionError):  # nested a hundred thousand deep
            data = None
        complaint = ""
        if response.status_code == 400 and data is not None:
            complaint = self._hide(_plain(json.dumps(data)[:_MOST]))
        return _Answer(response.status_code, data, _wait(response), complaint)

    def _hide(self, text: str) -> str:
        """Some servers repeat in an error what they were sent."""
        return text.replace(self._token, "***") if self._token else text


def _wait(response: requests.Response) -> float | None:
    """Seconds of Retry-After, which may also be a date; None where it is neither or absent."""
    from urllib3.exceptions import InvalidHeader
    from urllib3.util.retry import Retry

    try:
        seconds = Retry().get_retry_after(response.raw)
    except (InvalidHeader, ValueError, OverflowError):  # "soon", five thousand digits, an impossible date
        return None
    return None if seconds is None else float(min(seconds, 1_000_000_000))


def _loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read_token(name: str) -> str:
    """The token in a file. Raises ConfigError, which never quotes what is in it."""
    file = os.path.expanduser(name)
    try:
        # a FIFO must not be waited for
        with open(file, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ConfigError(f"'{file}' is no file ('patchwork.token-file')")
            if status.st_mode & 0o077:
                raise ConfigError(f"others may read '{file}' ('patchwork.token-file'): chmod 600 it")
            text = stream.read(_MOST_TOKEN + 1)
    except OSError as error:
        raise ConfigError(f"cannot open '{file}' ('patchwork.token-file'): {error.strerror}") from error
    if len(text) > _MOST_TOKEN or not (match := re.fullmatch(rb"\s*([!-~]+)\s*", text)):
        raise ConfigError(f"no token in '{file}' ('patchwork.token-file')")
    return match[1].decode("ascii")
