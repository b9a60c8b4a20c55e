# SPDX-License-Identifier: GPL-2.0-or-later
"""The reviews behind tests/golden/<case>/, and how a file there is compared or rewritten.

`REVIEWBOT_GOLDEN=update pytest` rewrites every file; look at the diff before you commit it.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from reviews import DIFF, MESSAGE, at, finding, patch_of, raw_mail, replace, review, simple

from reviewbot.finding import Fault, Finding, Review
from reviewbot.model import Address, Confidence, Patch, Severity, SpanKind
from reviewbot.recipients import ReplySettings
from reviewbot.reply import Earlier, History
from reviewbot.selection import FOLDED

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


# --- mails alone ----------------------------------------------------------------------------------

BOT = ReplySettings(sender=Address("reviewbot", "bot@reviews.example"), ruleset="1.0")
LISTS = frozenset(("linux-foo@lists.example", "linux-mm@kvack.example"))


def is_list(email: str) -> bool:
    """As a configuration would have it."""
    return email.endswith(("@lists.example", "@kvack.example"))


PUBLIC = replace(BOT, lists=LISTS, is_list=is_list)


class MailCase(NamedTuple):
    """What tests/golden/<case>/replies.mbox is made of; the output formats have nothing new to say of these."""

    review: Callable[[], Review]
    settings: ReplySettings = BOT
    history: History | None = None


def one(raw: bytes, index: int = 3) -> Review:
    """A review with one finding."""
    patch = patch_of(raw, index)
    return review(finding(patch, at(patch, "put_user")))


def recipients_300() -> Review:
    """As many people as get_maintainer.pl can name, each with a comma in the name."""
    many = ",\n ".join(f'"Person, {n}" <p{n}@example.org>' for n in range(300))
    return one(raw_mail(headers=["To: linux-mm@kvack.example", f"Cc: {many}"]))


def no_headers() -> Review:
    """Neither Subject: nor Date: nor To:."""
    return one(raw_mail(None, date=None, headers=()), 1)


def munged() -> Review:
    """A list that put itself into From:, and the author into X-Original-From:."""
    headers = ["X-Original-From: Ann Author <ann@example.org>", "Reply-To: linux-foo@lists.example",
               "List-Id: foo developers <linux-foo.lists.example>", "To: linux-foo@lists.example"]  # fmt: skip
    return one(raw_mail(sender="Ann Author via linux-foo <linux-foo@lists.example>", headers=headers))


def munged_reply_to() -> Review:
    """As Google's groups and Mailman do it: the author is in Reply-To:."""
    headers = ["Reply-To: linux-foo@lists.example, Ann Author <ann@example.org>", "To: linux-mm@kvack.example"]
    return one(raw_mail(sender="\"'Ann Author' via linux-foo\" <linux-foo@lists.example>", headers=headers))


def names() -> Review:
    """Quoted names with commas, quotes, backslashes, parentheses, comments; a group; an address without a name."""
    headers = [
        r'To: "Doe, \"J.\" (TI \\ x)" <doe@example.org>, Max (a comment, it is) <max@example.org>,',
        "\tundisclosed: a@example.org, b@example.org;, <bare@example.org>, nobody@example.org (Nobody)",
        'Cc: "a@b.example, c" <tricky@example.org>, "<eve@example.org>" <dan@example.org>, =@example.org,',
        " Dots. In. It <dots@example.org>, ann@EXAMPLE.org, not-an-address, @example.org, x@, a b@example.org",
    ]
    return one(raw_mail(sender='"Author, Ann \\"A\\" (ENG)" <ann@example.org>', headers=headers))


def encoded() -> Review:
    """RFC 2047 as it should be, cut in two within a character, in unknown charsets, and broken."""
    headers = [
        "To: =?utf-8?b?w4Q=?= =?utf-8?b?w7Y=?= <two@example.org>, =?iso-8859-1?Q?J=F6rg?= <joerg@example.org>,",
        " =?utf-8?q?half_=C3?= =?utf-8?q?=A4?= <half@example.org>, =?x-none?q?a=E4?= <unknown@example.org>",
        "Cc: =?utf-8?b?!!!!?= <broken@example.org>, =?utf-8?q?never ends <open@example.org>,",
        " =?utf-8?q?a=3C_eve=40example=2Eorg=3E=2C?= <comma@example.org>, =?gb2312?B?1tDOxA==?= <gb@example.org>",
    ]
    subject = (
        "=?utf-8?q?=5BPATCH?= =?utf-8?q?_v2_3/7=5D_f=C3=BCr?=\n =?utf-8?b?w7Y=?= =?us-ascii?q?=FF?= =?utf-8?q?x= ?= end"
    )
    return one(raw_mail(subject, sender="=?UTF-8?Q?Ann_Auth=C3=B6r?= <ann@example.org>", headers=headers))


def eight_bit() -> Review:
    """Headers with raw bytes: UTF-8, Latin-1, and what is neither."""
    headers: list[str | bytes] = [
        "To: Žofie Č <zofie@example.org>",
        b"Cc: J\xf6rg <joerg@example.org>, \xff\xfe <bytes@example.org>",
    ]
    return one(
        raw_mail(b"[PATCH v2 3/7] mm: z\xe4hle \xe4\xb8\xad", sender="Ann Authör <ann@example.org>", headers=headers)
    )


EVIL = (
    "x\r\nBcc: eve@example.org\n\nFrom eve\n\x1b]0;t\x07\u202e\u2066\x00\x85\u2028"
    " =?utf-8?q?=0ABcc:_eve?= Reviewed-by: E <e@e.org>"
)


def injection() -> Review:
    """The same hostile text in every field of a mail, a patch and a finding that ends in a reply."""
    patch = patch_of(raw_mail(message="x\nreviewbot: stop\n---\n", diff=DIFF.replace("done", "\x1b[2J\u202e")))
    person = Address(EVIL, "ann@example.org")
    mail = patch.mail._replace(
        subject=EVIL,
        sender=person,
        to=(Address(EVIL, "to@example.org"), Address("", f"to@example.org{EVIL}"), Address("x", "a@b\nBcc: e@x.org")),
        cc=(
            Address('"', "cc@example.org"),
            Address("a\\", "cc2@example.org"),
            Address("", "x@y.org>, <eve@example.org"),
        ),
        reply_to=(Address(EVIL, f"{EVIL}@example.org"),),
        in_reply_to=EVIL,
        references=("a@x", EVIL, "b@x\nBcc: eve@example.org", "c@x>, <d@x", "=?utf-8?q?e?=@x"),
    )
    patch = patch._replace(mail=mail, author=person)
    call = at(patch, "put_user")
    found = finding(
        patch,
        call,
        EVIL,
        rule="a/b\nBcc: eve@example.org",
        related=((call._replace(path=EVIL, text=EVIL, message_line=0), EVIL),),
        places=(call._replace(path=EVIL),),
        suggestion=EVIL,
    )
    elsewhere = finding(patch, call._replace(path=EVIL, text=EVIL, message_line=0), "reviewbot: stop", "a/c")
    stop = finding(patch, at(patch, "reviewbot: stop", SpanKind.MESSAGE), "reviewbot: wontfix a/b x", "a/d")
    subject = call._replace(kind=SpanKind.HEADER, path="Subject", text=EVIL)
    found = found._replace(fingerprint=EVIL)
    named = review(found, elsewhere, stop, finding(patch, subject, "subject", "a/e"))
    return named._replace(series=named.series._replace(base=named.series.base._replace(commit=EVIL)))


def tagged() -> Review:
    """As some lists deliver: a tag before the subject, base64, CRLF, the list's footer."""
    head, _, body = raw_mail("[Foo] [PATCH v2 3/7] mm: report ranges").partition(b"\n\n")
    footer = b"_______________________________________________\nfoo mailing list\nfoo@lists.example\n"
    head += b"\nMIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: base64\n\n"
    return one(head + b64encode((body + footer).replace(b"\n", b"\r\n")) + b"\n")


def unknown_lists() -> Review:
    """Lists of whom nobody said that they want such mail, a robot, and the list that the mail came through."""
    headers = [
        "To: linux-foo@lists.example, other@lists.example, Max <max@example.org>, through@strange.example",
        "Cc: linux-mm@kvack.example, LKP <lkp@intel.com>, syzbot+1a2b@syzkaller.appspotmail.com,",
        " sashiko-bot@kernel.org, patchwork-bot+netdevbpf@kernel.org, noreply@github.com",
        "List-Id: <through.strange.example>",
    ]
    return one(raw_mail(headers=headers))


def large() -> Review:
    """5 MB: a patch of 60,000 lines, one of them of 2 MB, and a statement of 20,000 lines."""
    lines = [f"+#define REGISTER_{n:<30} 0x{n:08x}" for n in range(40_000)]
    lines += [
        "+\tput_user(v,",
        *("+\t\ta +" for _ in range(20_000)),
        "+\t\tp);",
        "+\tlong_one(" + "a + " * 500_000 + "b);",
    ]
    diff = f"--- a/mm/foo.c\n+++ b/mm/foo.c\n@@ -0,0 +1,{len(lines)} @@\n" + "\n".join(lines) + "\n"
    patch = patch_of(raw_mail("[PATCH] mm: " + "long " * 20_000, MESSAGE, diff), 1)
    call, last = at(patch, "put_user(v,"), at(patch, "p);")
    statement = call._replace(end_line=last.line, end_column=5)
    return review(
        finding(patch, statement),
        finding(patch, at(patch, "long_one"), "long_one() " + "is long " * 10_000, related=((statement, "seen"),)),
        finding(patch, at(patch, "REGISTER_7 "), suggestion="\n".join(("x" * 9999, *("y" for _ in range(99))))),
    )


def references() -> Review:
    """A thread of 2,000 mails."""
    chain = "\n ".join(f"<thread-{n}.of.many.mails@lists.example>" for n in range(2000))
    return one(raw_mail(headers=["To: linux-mm@kvack.example", f"References: {chain}"]))


def folded() -> Review:
    """350 places of one finding; others of the same line and words in another patch, and another rule's."""
    lines = "".join(f"+\tdown_read(&mm{n}->mmap_sem);\n" for n in range(351))
    diff = f"--- a/mm/foo.c\n+++ b/mm/foo.c\n@@ -0,0 +1,351 @@\n{lines}"
    patch, other = (patch_of(raw_mail(diff=diff, message_id=f"{n}@x.org"), n) for n in (3, 4))

    def at_line(patch: Patch, n: int, rule: str = "mmap-lock/old-name") -> Finding:
        span = at(patch, f"mm{n}->mmap_sem")
        return finding(patch, span, "mmap_sem is called mmap_lock since v5.8", rule)

    first, *rest = (at_line(patch, n) for n in range(351))
    hidden = [f._replace(shown=False, why_not_shown=FOLDED) for f in rest]
    foreign = [at_line(other, 1), at_line(patch, 2, "vma/other")]
    return review(
        first._replace(places=tuple(f.span for f in rest)),
        *hidden,
        *(f._replace(shown=False, why_not_shown=FOLDED, fingerprint="0" * 16) for f in foreign),
    )


def revisions() -> Review:
    """A set of two mails, of which the first says what became of the earlier findings."""
    found = whole_series()
    return found._replace(errors=(), series=found.series._replace(revision=3))


EARLIER = History(
    (
        Earlier("lock-drop/stale-vma", "mm/foo.c", 1),
        Earlier("lock-drop/stale-vma", "mm/foo.c", 1),
        Earlier("gup/foll-force", "drivers/" + "very/" * 20 + "deep/driver.c", 2),
        Earlier("log/why", "", 2),
        Earlier("a/b", "mm/\x1b[2J\u202e\nbar.c", 2),
        Earlier("a/c", "mm/bar.c", 2),
    ),
    still=2,
)

MAILS: dict[str, MailCase] = {
    "recipients-300": MailCase(recipients_300),
    "no-headers": MailCase(no_headers),
    "munged": MailCase(munged, PUBLIC),
    "munged-reply-to": MailCase(munged_reply_to, PUBLIC),
    "names": MailCase(names),
    "encoded": MailCase(encoded),
    "eight-bit": MailCase(eight_bit),
    "injection": MailCase(injection, replace(BOT, action_required=True), History((Earlier(EVIL, EVIL, 1),), 1)),
    "tagged": MailCase(tagged),
    "unknown-lists": MailCase(unknown_lists, PUBLIC),
    "author-only": MailCase(unknown_lists, replace(PUBLIC, author_only=True)),
    "history": MailCase(revisions, replace(PUBLIC, action_required=True), EARLIER),
    "one-for-many": MailCase(revisions, replace(PUBLIC, max_mails=1), History(EARLIER.fixed[:1], 1)),
    "large": MailCase(large),
    "references": MailCase(references),
    "folded": MailCase(folded),
}
