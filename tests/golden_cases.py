# SPDX-License-Identifier: GPL-2.0-or-later
"""The reviews behind tests/golden/<case>/, and how a file there is compared or rewritten.

`REVIEWBOT_GOLDEN=update pytest` rewrites every file; look at the diff before you commit it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from reviews import DIFF, at, finding, patch_of, raw_mail, review, simple

from reviewbot.finding import Fault, Review
from reviewbot.model import Confidence, Severity, SpanKind

GOLDEN = Path(__file__).parent / "golden"

COVER = raw_mail(
    "[PATCH v2 0/2] mm: report ranges",
    "Two patches.\n",
    "",
    message_id="20240506.0-ann@example.org",
    headers=("To: linux-mm@kvack.example", "Cc: stable@vger.kernel.org, mm-commits@vger.kernel.org"),
)


def compare(case: str, name: str, data: bytes) -> None:
    """The file holds exactly these bytes."""
    file = GOLDEN / case / name
    if os.environ.get("REVIEWBOT_GOLDEN") == "update":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    assert data.decode("utf-8", "backslashreplace") == file.read_bytes().decode("utf-8", "backslashreplace")


def several() -> Review:
    """Every kind of place, several findings on one line, a statement's suggestion, further places."""
    patch = patch_of(raw_mail())
    call = at(patch, "put_user(v, p)")
    return review(
        finding(
            patch,
            call,
            related=((at(patch, "mmap_read_lock"), "lock taken here"), (at(patch, "sched.h"), "declared here")),
            suggestion="\tif (put_user(v, p))\n\t\tret = -EFAULT;",
        ),
        finding(patch, call, "the return value of put_user() is not looked at", "gup/unchecked", Severity.WARNING),
        finding(
            patch,
            at(patch, "down_read(&mm->mmap_sem)"),
            "mmap_sem is called mmap_lock since v5.8",
            "mmap-lock/old-name",
            places=(at(patch, "mmap_read_lock"), at(patch, "find_vma"), at(patch, "sched.h")),
        ),
        finding(
            patch,
            at(patch, "ret = 0;", SpanKind.REMOVED),
            "ret is never set",
            "vma/unset",
            Severity.NOTE,
            confidence=Confidence.LOW,
        ),
        finding(patch, at(patch, "Report", SpanKind.MESSAGE), "says what, not why", "log/why", Severity.NOTE),
        finding(patch, at(patch, "report", SpanKind.HEADER), "subject has no function", "log/subject", Severity.INFO),
    )


def hostile() -> Review:
    """Names with commas, RFC 2047, raw 8-bit, a subject with ESC and a new line, bidi, wide characters, a long line."""
    long = "x = " + "a + " * 500 + "put_user(v, p);"
    diff = (
        b"diff --git a/mm/foo.c b/mm/foo.c\n--- a/mm/foo.c\n+++ b/mm/foo.c\n@@ -1,2 +1,6 @@\n #include <x.h>\n"
        b"+\tif (a) /* \xe2\x80\xae } \xe2\x81\xa6 */\treturn;\n"
        b"+\t/* \xe4\xb8\xad\xe6\x96\x87 */\tput_user(1, p);\n"
        b"+\x1b[2J\tput_user(2, p);\xe2\x80\x8b\n"
        b"+" + long.encode() + b"\n \n"
    )
    patch = patch_of(
        raw_mail(
            b"=?utf-8?q?=5BPATCH=5D_mm=3A_z=C3=A4hle=1B=5B31m=0ABcc=3A_eve=40example=2Eorg?=\n =?utf-8?q?_und_mehr?=",
            "Change.\n\n",
            diff,
            sender=b'"Auth\xf6r, Ann (TI)" <ann@example.org>',
            headers=(
                'To: "Lists, All" <all@example.org>, =?utf-8?q?=C5=BDofie_=22Z=22_N=2C_X?= <zofie@example.org>',
                b"Cc: J\xc3\xb6rg <joerg@example.org>, ANN@example.org, <bad address@@>, stable@vger.kernel.org,",
                " Eve <eve@example.org\x1b>, x-commits@example.org",
            ),
        ),
        1,
    )
    wide = at(patch, "put_user(1, p)")
    return review(
        finding(patch, at(patch, "return"), "direction changes in a comment", "text/bidi", Severity.WARNING),
        finding(patch, wide, "\x1b]0;title\x07 is not \u202e text"),
        finding(patch, at(patch, "put_user(2, p)")),
        finding(patch, at(patch, "put_user(v, p)"), related=((wide, "first one"),)),
    )


def relay() -> Review:
    """A mail that a web relay sent for its author, all of it with CRLF line ends."""
    raw = raw_mail(
        "[PATCH v2 1/2] mm: report ranges",
        "From: Ann Author <ann@example.org>\n\nReport.\n---\n",
        sender="Ann Author via B4 Relay <devnull+ann.example.org@kernel.org>",
        headers=(
            "Reply-To: ann@example.org",
            "To: linux-mm@kvack.example",
            "References: <a@example.org> <20240506.0-ann@example.org>",
        ),
    )
    patch = patch_of(raw.replace(b"\n", b"\r\n"), 1)
    return review(finding(patch, at(patch, "put_user")))


def whole_series() -> Review:
    """A cover letter, two patches with findings, one of them unreadable in part."""
    first = patch_of(raw_mail("[PATCH v2 1/2] mm: one", message_id="20240506.1-ann@example.org"), 1)
    broken = DIFF + "@@ -1,3 +1,4 @@\n broken\n"
    second = patch_of(raw_mail("[PATCH v2 2/2] mm: two", diff=broken, message_id="20240506.2-ann@example.org"), 2)
    unreadable = second.unreadable[0]
    fault = Fault(second.mail, 2, unreadable.message_line, unreadable.reason, unreadable.text)
    raised = Fault(first.mail, 1, 0, "rule a/b failed on mm/foo.c: ValueError: x", "", "a/b")
    return review(
        finding(first, at(first, "put_user")),
        finding(second, at(second, "down_read"), "mmap_sem is called mmap_lock since v5.8", "mmap-lock/old-name"),
        cover=COVER,
        errors=(fault, raised),
    )


CASES: dict[str, Callable[[], Review]] = {
    "simple": simple,
    "several": several,
    "hostile": hostile,
    "relay": relay,
    "whole-series": whole_series,
}
