# SPDX-License-Identifier: GPL-2.0-or-later
"""Mails for tests, made up here: patches, cover letters, whole postings, replies.

Pure and without chance: the same call gives the same bytes. What makes a mail odd is said in the test
that wants it odd.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

AUTHOR = "Ada Ranger <ada@example.org>"
REVIEWER = "Rex Reader <rex@example.net>"
START = datetime(2024, 11, 20, 10, 0, tzinfo=UTC)


def mail(
    subject: str,
    body: str,
    message_id: str,
    *,
    sender: str = AUTHOR,
    minute: int = 0,
    in_reply_to: str | None = None,
    references: Sequence[str] = (),
    headers: Sequence[str] = (),
) -> bytes:
    """One mail, sent `minute` minutes after START."""
    lines = [
        f"From: {sender}",
        f"Subject: {subject}",
        f"Date: {format_datetime(START + timedelta(minutes=minute))}",
        f"Message-ID: <{message_id}>",
        "To: linux-mm@example.org",
    ]
    if in_reply_to:
        lines.append(f"In-Reply-To: <{in_reply_to}>")
        lines.append("References: " + "\n ".join(f"<{name}>" for name in (*references, in_reply_to)))
    lines += headers
    return ("\n".join(lines) + "\n\n" + body).encode()


def diff(name: str) -> str:
    """A diff that adds a line with `name` in it to mm/<name>.c."""
    return (
        f"diff --git a/mm/{name}.c b/mm/{name}.c\n"
        "index 1111111111111111..2222222222222222 100644\n"
        f"--- a/mm/{name}.c\n"
        f"+++ b/mm/{name}.c\n"
        "@@ -10,3 +10,4 @@ static int range_walk(struct range *range)\n"
        " \tint ret;\n"
        " \n"
        f"+\tret = range_{name}(range);\n"
        " \treturn ret;\n"
    )


def patch_body(name: str, *, trailers: Sequence[str] = (), below: str = "") -> str:
    """What git format-patch writes below the headers."""
    signed = "\n".join([*trailers, f"Signed-off-by: {AUTHOR}"])
    return (
        f"Teach range_walk() about {name}.\n\n{signed}\n---\n mm/{name}.c | 1 +\n"
        f" 1 file changed, 1 insertion(+)\n\n{diff(name)}{below}-- \n2.39.5\n"
    )


COVER = "What it is about.\n\n mm/walk.c | 2 ++\n 1 file changed, 2 insertions(+)\n\n-- \n2.39.5\n"


def posting(
    count: int,
    *,
    key: str = "walk",
    prefix: str = "PATCH",
    revision: int = 1,
    cover: bool = True,
    cover_body: str = COVER,
    minute: int = 0,
    above: str | None = None,
    only: Sequence[int] = (),
    sender: str = AUTHOR,
    tag: str = "",
) -> list[bytes]:
    """A posting as git send-email makes it; Message-IDs are `<key>-v<revision>-<n>@example.org`.

    `above` is the mail that cover letter, or without one each patch, is sent in reply to; `only` are the
    numbers that are sent, all where it is empty; `tag` stands before the brackets.
    """
    version = f" v{revision}" if revision > 1 else ""
    width = len(str(count))

    def name(n: int) -> str:
        return f"{key}-v{revision}-{n}@example.org"

    def subject(n: int, title: str) -> str:
        return f"{tag}[{prefix}{version} {n:0{width}}/{count}] {title}"

    mails = []
    if cover:
        text = subject(0, f"mm: teach {key} more")
        mails.append(mail(text, cover_body, name(0), minute=minute, in_reply_to=above, sender=sender))
    for n in only or range(1, count + 1):
        parent = name(0) if cover else above or (name(1) if n > 1 else None)
        mails.append(
            mail(
                subject(n, f"mm: {key} step {n}"),
                patch_body(f"{key}{n}"),
                name(n),
                minute=minute + n,
                in_reply_to=parent,
                references=[above] if cover and above else (),
                sender=sender,
            )
        )
    return mails


def reply(to: bytes, message_id: str, text: str, *, sender: str = REVIEWER, minute: int = 100) -> bytes:
    """An answer to one of the mails above."""
    headers = dict(line.split(": ", 1) for line in to.decode().split("\n\n")[0].split("\n") if line[0] != " ")
    parent = headers["Message-ID"].strip("<>")
    subject = "Re: " + headers["Subject"].removeprefix("Re: ")
    body = f"On a day in November, they wrote:\n> Teach range_walk() more.\n\n{text}\n"
    return mail(subject, body, message_id, sender=sender, minute=minute, in_reply_to=parent)
