# SPDX-License-Identifier: GPL-2.0-or-later
"""A server on loopback that answers as Patchwork's REST API 1.2 and 1.3 does, as far as reviewbot asks it.

Written after Patchwork's api/check.py, api/filters.py, api/patch.py, api/series.py and urls.py: filters, order, pages,
what is required and what is refused, and the texts of Django REST framework. Belongs here: the server and the rows that
it holds. `faults` are answers given instead, one a request.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

STATES = ("pending", "success", "warning", "fail")
PER_PAGE = 30

type_fault = Callable[[BaseHTTPRequestHandler], None]


class Request(NamedTuple):
    """A request as it came."""

    method: str
    path: str  # with the query, undecoded
    headers: dict[str, str]  # names in lower case
    body: bytes


@dataclass
class FakePatchwork:
    """The rows, and what was asked."""

    url: str = ""
    projects: dict[str, int] = field(default_factory=lambda: {"linux-mm": 1, "netdevbpf": 2})
    tokens: dict[str, str] = field(default_factory=lambda: {"s3cret-token": "reviewbot"})
    may_add: set[str] = field(default_factory=lambda: {"reviewbot"})
    patches: list[dict[str, Any]] = field(default_factory=list)
    covers: list[dict[str, Any]] = field(default_factory=list)
    series: list[dict[str, Any]] = field(default_factory=list)
    checks: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    faults: list[type_fault | None] = field(default_factory=list)  # None: answered as usual
    lost: int = 0  # so many POSTs are heard, and the answer does not come back
    old: bool = False  # older than 1.2: knows no msgid

    def add_mail(self, kind: str, number: int, message_id: str, project: str = "linux-mm") -> dict[str, Any]:
        """A patch ("patches") or cover letter ("covers")."""
        row = {
            "id": number,
            "msgid": f"<{message_id}>",
            "project": {"id": self.projects[project], "link_name": project, "name": project},
            "name": "[1/2] mm: x",
        }
        (self.patches if kind == "patches" else self.covers).append(row)
        return row

    def add_series(self, number: int, cover: dict[str, Any] | None, patches: list[dict[str, Any]]) -> None:
        self.series.append({"id": number, "name": "x", "cover_letter": cover, "patches": patches})

    def add_check(self, patch: int, state: str, **fields: str | None) -> None:
        """One that is there already; the later it is added, the newer."""
        rows = self.checks.setdefault(patch, [])
        rows.append(
            {
                "id": len(rows) + 1,
                "user": {"id": 7, "username": fields.pop("user", "reviewbot")},
                "date": f"2024-05-06T10:{len(rows) // 60:02}:{len(rows) % 60:02}.000000",
                "state": state,
                "target_url": None,
                "context": "reviewbot",
                "description": None,
                **fields,
            }
        )

    def of(self, method: str) -> list[Request]:
        """The requests of a method."""
        return [request for request in self.requests if request.method == method]

    def answer(self, request: Request) -> tuple[int, Any]:
        """Status and JSON; a status of 301 goes with the address."""
        address = urlsplit(request.path)
        if not address.path.endswith("/"):
            # Django's APPEND_SLASH; what was posted is lost on the way
            return (301, address.path + "/") if request.method == "GET" else (500, None)
        match = re.fullmatch(r"/api(?:/1\.[0-4])?/(patches|covers|series)/(?:([0-9]+)/(checks/)?)?", address.path)
        if not match:
            return 404, None
        header = request.headers.get("authorization")
        user = self.tokens.get(header.removeprefix("Token ")) if header else None
        if header and user is None:
            return 403, {"detail": "Invalid token."}
        kind, number = match[1], int(match[2] or 0)
        rows: list[dict[str, Any]] = getattr(self, kind)
        if not number:
            return self._list(rows, parse_qs(address.query))
        row = next((row for row in rows if row["id"] == number), None)
        if row is None:
            return 404, {"detail": "Not found."}
        if not match[3]:
            return 200, row
        if kind != "patches":
            return 404, None
        if request.method == "POST":
            return self._add_check(number, request, user)
        return self._list(self.checks.get(number, []), parse_qs(address.query))

    def _list(self, rows: list[dict[str, Any]], query: dict[str, list[str]]) -> tuple[int, Any]:
        if project := query.get("project", [""])[0]:
            known = {name: number for name, number in self.projects.items() if project.lower() in (name, str(number))}
            if not known:
                text = f"Select a valid choice. {project} is not one of the available choices."
                return 400, {"project": [text]}
            rows = [row for row in rows if row["project"]["link_name"] in known]
        if "msgid" in query and not self.old:
            rows = [row for row in rows if row["msgid"] == f"<{query['msgid'][0]}>"]
        if "context" in query:
            rows = [row for row in rows if row["context"] == query["context"][0]]
        if order := query.get("order", [""])[0]:
            rows = sorted(rows, key=lambda row: str(row[order.lstrip("-")]), reverse=order.startswith("-"))
        return 200, rows[: int(query.get("per_page", [str(PER_PAGE)])[0])]

    def _add_check(self, patch: int, request: Request, user: str | None) -> tuple[int, Any]:
        if user not in self.may_add:
            detail = "You do not have permission to perform this action."
            return 403, {"detail": detail if user else "Authentication credentials were not provided."}
        fields = json.loads(request.body)
        wrong: dict[str, list[str]] = {}
        if not fields.get("state"):
            wrong["state"] = ["A check must have a state."]
        elif fields["state"] not in STATES:
            wrong["state"] = [f'"{fields["state"]}" is not a valid choice.']
        if (url := fields.get("target_url")) and (len(url) > 200 or not re.fullmatch(r"https?://[^\s/]+(/\S*)?", url)):
            wrong["target_url"] = ["Enter a valid URL."]
        if not re.fullmatch(r"[-a-zA-Z0-9_]{1,255}", fields.get("context", "default")):
            wrong["context"] = ["Enter a valid slug."]
        if wrong:
            return 400, wrong
        self.add_check(patch, user=user, **fields)
        return 201, self.checks[patch][-1]


def reply(code: int, body: bytes = b"", **headers: str) -> type_fault:
    """A fault: this answer instead."""

    def fault(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return fault


@contextmanager
def patchwork(prefix: str = "") -> Iterator[FakePatchwork]:
    """An empty Patchwork; `prefix` is the path below which it lies, such as /pw."""
    fake = FakePatchwork()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, body)
            fake.requests.append(request)
            fault = fake.faults.pop(0) if fake.faults else None
            if fault:
                fault(self)
                self.close_connection = True
                return
            inside = self.path.startswith(f"{prefix}/")
            code, data = fake.answer(request._replace(path=self.path.removeprefix(prefix))) if inside else (404, None)
            if self.command == "POST" and fake.lost:
                fake.lost -= 1
                self.close_connection = True
            elif code == 301:
                reply(301, Location=f"{prefix}{data}")(self)
            elif data is None:
                reply(code, b"<!doctype html><title>Error</title>", Content_Type="text/html")(self)
            else:
                reply(code, json.dumps(data).encode(), Content_Type="application/json")(self)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_port}{prefix}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
