# SPDX-License-Identifier: GPL-2.0-or-later
"""Reviews made by hand for the tests of output/ and reply: mails that we wrote, findings placed by searching them.

Pure. No mail here is a real one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, TypeVar

from reviewbot.base import find_base
from reviewbot.finding import Fault, Finding, NotRun, Review, fingerprint
from reviewbot.mail import make_cover, make_patch, parse_subject
from reviewbot.mime import parse_mail
from reviewbot.model import Confidence, Patch, Series, Severity, Span, SpanKind

T = TypeVar("T")


def replace(value: T, **changes: Any) -> T:
    """A frozen value with some fields changed, be it a named tuple or a dataclass."""
    if isinstance(value, tuple):
        return value._replace(**changes)  # type: ignore[attr-defined,no-any-return]
    return dataclasses.replace(value, **changes)  # type: ignore[type-var]


DIFF = """\
diff --git a/mm/foo.c b/mm/foo.c
index 1111111..2222222 100644
--- a/mm/foo.c
+++ b/mm/foo.c
@@ -20,9 +20,14 @@ static int report(struct mm_struct *mm, int __user *p)
 {
 \tstruct vm_area_struct *vma;
 \tint v = 0;
 \tint ret;
\x20
 \tmight_sleep();
+\t/* the ranges of one process, as seen by
+\t * whoever asks for them
+\t */
+\tmmap_read_lock(mm);
+\tvma = find_vma(mm, 0);
+\tret = put_user(v, p);
-\tret = 0;
 \tpr_debug("done");
 \treturn ret;
@@ -80,3 +85,4 @@ static void drop(struct mm_struct *mm)
 \tif (!mm)
 \t\treturn;
+\tdown_read(&mm->mmap_sem);
 \treturn;
diff --git a/mm/bar.c b/mm/bar.c
index 3333333..4444444 100644
--- a/mm/bar.c
+++ b/mm/bar.c
@@ -1,3 +1,4 @@
 #include <linux/mm.h>
+#include <linux/sched.h>
 #include <linux/slab.h>
\x20
"""

MESSAGE = """\
Report the ranges of a process.

Signed-off-by: Ann Author <ann@example.org>
---
 mm/foo.c | 6 +++++-
"""


def raw_mail(
    subject: str | bytes | None = "[PATCH v2 3/7] mm: report ranges",
    message: str = MESSAGE,
    diff: str | bytes = DIFF,
    *,
    sender: str | bytes | None = "Ann Author <ann@example.org>",
    date: str | None = "Mon, 06 May 2024 10:00:00 +0200",
    message_id: str | None = "20240506.3-ann@example.org",
    headers: Iterable[str | bytes] = (
        "To: linux-mm@kvack.example",
        "Cc: Max Maintainer <max@example.org>",
        "In-Reply-To: <20240506.0-ann@example.org>",
        "References: <20240506.0-ann@example.org>",
    ),
) -> bytes:
    """A patch mail. Strings become UTF-8; bytes stay as they are; None leaves the header out."""
    start = (("From", sender), ("Subject", subject), ("Date", date))
    lines = [name.encode() + b": " + _bytes(value) for name, value in start if value is not None]
    if message_id:
        lines.append(b"Message-ID: <" + _bytes(message_id) + b">")
    lines += [_bytes(header) for header in headers]
    return b"\n".join(lines) + b"\n\n" + _bytes(message) + b"\n" + _bytes(diff) + b"-- \n2.45.0\n"


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def patch_of(raw: bytes, index: int = 3) -> Patch:
    """The Patch of a mail."""
    return make_patch(parse_mail(raw), index)


def at(patch: Patch, words: str, kind: SpanKind = SpanKind.SOURCE) -> Span:
    """The span of `words`, which stand once in the diff's lines of that kind, in the message or in the Subject."""
    if kind is SpanKind.HEADER:
        column = patch.mail.subject.index(words) + 1
        return Span(kind, "Subject", 1, column, 1, column + len(words), patch.mail.subject)
    if kind is SpanKind.MESSAGE:
        at_line, text = next((n, line) for n, line in enumerate(patch.mail.body, 1) if words in line)
        column = text.index(words) + 1
        return Span(kind, "", at_line, column, at_line, column + len(words), text, at_line)
    for line in (line for file in patch.files for hunk in file.hunks for line in hunk.lines):
        number = line.new if kind is SpanKind.SOURCE else line.old if line.new is None else None
        if number is not None and words in line.text:
            column = line.text.index(words) + 1
            path = next(file.path for file in patch.files if any(line in hunk.lines for hunk in file.hunks))
            end = column + len(words)
            return Span(kind, path, number, column, number, end, line.text, line.message_line)
    raise LookupError(words)


def finding(
    patch: Patch,
    span: Span,
    message: str = "put_user() may fault with mmap_lock held",
    rule: str = "mmap-lock/user-access-under-lock",
    severity: Severity = Severity.ERROR,
    *,
    related: tuple[tuple[Span, str], ...] = (),
    places: tuple[Span, ...] = (),
    suggestion: str | None = None,
    confidence: Confidence = Confidence.HIGH,
    hidden: str | None = None,
) -> Finding:
    """A finding; `hidden` is the reason for which it is not shown."""
    print_ = fingerprint(rule, span.path, "report", span.text.split(), 0)
    return Finding(
        rule, severity, confidence, message, span, related, places, suggestion, patch, "report", print_,
        preexisting=hidden == "preexisting", shown=hidden is None, why_not_shown=hidden,
    )  # fmt: skip


def review(
    *findings: Finding,
    patches: tuple[Patch, ...] = (),
    cover: bytes | None = None,
    not_run: tuple[NotRun, ...] = (),
    errors: tuple[Fault, ...] = (),
) -> Review:
    """A review of the patches given, or of those that the findings are about."""
    found = patches or tuple({f.patch.index: f.patch for f in findings}.values())
    letter = make_cover(parse_mail(cover)) if cover else None
    subject = letter.subject if letter else found[0].subject if found else parse_subject("")
    series = Series(
        subject=subject.full,
        revision=subject.revision or 1,
        expected=subject.expected or 1,
        cover=letter,
        patches=found,
        base=find_base(None, [subject], [patch.mail.date for patch in found]),
    )
    return Review(series, findings, not_run, errors, rules=20)


def simple() -> Review:
    """One error with a related place in a series of seven, two notes and one ignored beside it."""
    patch = patch_of(raw_mail())
    seven = tuple(replace(patch, index=n) for n in range(1, 8))
    span = at(patch, "put_user")
    note = ("note text", "vma/note", Severity.NOTE)
    return review(
        finding(patch, span, related=((at(patch, "mmap_read_lock"), "lock taken here"),)),
        finding(patch, span, *note, hidden="severity"),
        finding(patch, span, *note, hidden="severity"),
        finding(patch, span, "x", "vma/warning", Severity.WARNING, hidden="ignored: severity is not what it seems"),
        patches=seven,
        not_run=tuple(NotRun(rule, "needs --tree") for rule in ("gup/one", "gup/two", "gup/two")),
    )
