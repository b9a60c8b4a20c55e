# SPDX-License-Identifier: GPL-2.0-or-later
"""Mails -> subjects, authors, trailers, patches; local patches in order -> Series.

Belongs here: all that can be read off a mail by itself, without b4, so that `check` starts fast. A thread from an
archive goes through b4's model instead (`series`), which uses the same `make_patch`. Does not belong here: reading its
bytes (`mime`). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from reviewbot.base import find_base
from reviewbot.diff import diff_start, read_diff
from reviewbot.model import CoverLetter, Mail, Patch, Series, Subject, Trailer

_BRACKETS = re.compile(r"\s*\[([^\[\]]*)\]:?")
_REPLY = re.compile(r"\s*(?:re|aw|fwd?|sv|antw|回复|答复|转发)\s*(?:\[\d+\])?\s*[:：]\s*", re.I)

# v2, PATCHv2, RFC/v2, v2.1; not ipv6, and v5.15 is a kernel
_VERSION = re.compile(
    r"(?:^(?:patch|rfc|resend)?|(?<=[^a-z0-9]))v(?:er(?:sion)?)?\.?"
    r"(?!4\.[49]$|5\.4$|6\.[16]$)([0-9]{1,3})(?:\.[0-9])?$",  # the kernels with long support are no v5.4 of a series
    re.I,
)
_COUNTER = re.compile(r"([0-9]{1,4})/([0-9]{1,4})$")
_INBODY = re.compile(r"(?:From|Date|Subject|Author): ", re.I)
_TRAILER = re.compile(
    r"([A-Za-z][A-Za-z-]*(?:-by|-to)|Cc|Fixes|Link|Closes|Bug|BugLink|References|Message-ID|Change-Id): (\S.*)$", re.I
)
_BASE_COMMIT = re.compile(r"base-commit: ([0-9a-f]{7,64})\s*$", re.M)
_PREREQUISITE = re.compile(r"prerequisite-patch-id: ([0-9a-f]{40,64})\s*$")
_CHANGE_ID = re.compile(r"change-id: (\S{1,200})\s*$", re.M)


def parse_subject(full: str) -> Subject:
    """A decoded Subject: taken apart; knows [PATCH v2 1/3], [v3 1/5], [ndctl PATCH], [RFC], list tags."""
    rest, reply = full, False
    words: list[str] = []
    while True:
        if match := _REPLY.match(rest):
            reply, rest = True, rest[match.end() :]
        elif match := _BRACKETS.match(rest):
            words += re.split(r"[\s,]+", match[1].strip())
            rest = rest[match.end() :]
        else:
            break
    revision = counter = expected = None
    patch, prefixes = False, []
    for word in words:
        if match := _COUNTER.search(word):
            counter, expected = int(match[1]), int(match[2])
            word = word[: match.start()]
        if match := _VERSION.search(word):
            revision = int(match[1])
            word = word[: match.start()] + re.sub(r"v.*", "", match[0], flags=re.I)
        if "patch" in word.lower():
            patch = True
        elif word.upper() == "RFC":
            patch = True
            prefixes.append(word)
        elif word:
            prefixes.append(word)
    patch = patch or counter is not None or (revision is not None and bool(words))
    return Subject(full, rest.strip(), reply, patch, tuple(prefixes), revision, counter, expected)


def fold_title(title: str) -> str:
    """A title as titles are compared: case and white space do not count, nor what is behind 500 characters."""
    return " ".join(title.split()).casefold()[:500]


def make_patch(mail: Mail, index: int) -> Patch:
    """Everything of a patch mail; a mail without a diff gives a Patch without files."""
    subject = parse_subject(mail.subject)
    start = diff_start(mail.body)
    head = list(mail.body[:start])
    author = mail.sender
    first = next((n for n, line in enumerate(head) if line.strip()), len(head))
    while first < len(head) and _INBODY.match(head[first]):
        name, _, value = head[first].partition(":")
        if name.lower() == "from":
            from reviewbot.mime import addresses  # loads the email package, which a commit does without

            found = addresses(value)
            author = found[0] if found else author
        first += 1
    cut = next((n for n in range(first, len(head)) if head[n].rstrip() == "---"), len(head))
    message = "\n".join(head[first:cut]).strip("\n")
    files, unreadable = read_diff(mail.body)
    return Patch(
        index=index,
        mail=mail,
        subject=subject,
        author=author,
        message=message,
        notes="\n".join(head[cut + 1 :]).strip("\n"),
        trailers=find_trailers(message, mail.message_id or None),
        files=files,
        unreadable=unreadable,
    )


def make_cover(mail: Mail) -> CoverLetter:
    """A 0/N mail."""
    lines = list(mail.body)
    end = next((n for n, line in enumerate(lines) if line in ("-- ", "--")), len(lines))
    return CoverLetter(mail, parse_subject(mail.subject), mail.sender, "\n".join(lines[:end]).strip("\n"))


def find_trailers(message: str, source: str | None) -> tuple[Trailer, ...]:
    """The trailers of a commit message or a reply, in order."""
    return tuple(Trailer(m[1], m[2].strip(), source) for line in message.split("\n") if (m := _TRAILER.match(line)))


def declared_base(mails: Iterable[Mail]) -> str | None:
    """The base-commit: that a cover letter or patch declares; None where none does."""
    return _declared(_BASE_COMMIT, mails)


def declared_change_id(mails: Iterable[Mail]) -> str | None:
    """b4's change-id: of the posting; None where none does."""
    return _declared(_CHANGE_ID, mails)


def declared_prerequisites(mails: Iterable[Mail]) -> tuple[str, ...]:
    """The patch ids of all prerequisite-patch-id: lines, in order: what comes between the base and the series."""
    found: dict[str, None] = {}
    for mail in mails:
        # git format-patch --base writes them below one another
        for line in mail.body:
            if line.startswith("prerequisite-patch-id: ") and (match := _PREREQUISITE.match(line)):
                found[match[1]] = None
    return tuple(found)


def _declared(pattern: re.Pattern[str], mails: Iterable[Mail]) -> str | None:
    for mail in mails:
        for line in mail.body:
            if match := pattern.match(line):
                return match[1]
    return None


def has_diff(mail: Mail) -> bool:
    """The mail holds something that looks like a diff, readable or not."""
    return diff_start(mail.body) is not None or any(line.startswith("@@ -") for line in mail.body)


def local_series(mails: Sequence[Mail]) -> list[Series]:
    """Mails of one or more postings, in the order given -> Series.

    A mail with a number that the posting already has, or of another revision or length, begins the
    next one; mails without n/m belong together in their order. Mails without a diff are left out.
    """
    groups: list[list[tuple[Mail, Subject]]] = []
    seen: set[int] = set()
    key: object = None
    for mail in mails:
        subject = parse_subject(mail.subject)
        # answers to a patch, with their own subject's numbers, are no part of the posting
        if not has_diff(mail) and not (subject.counter == 0 and not subject.reply):
            continue
        now = (subject.revision, subject.expected, subject.reply)
        whole = subject.counter == 0 and len(seen) == subject.expected
        if not groups or now != key or whole or (subject.counter is not None and subject.counter in seen):
            groups.append([])
            seen, key = set(), now
        groups[-1].append((mail, subject))
        if subject.counter is not None:
            seen.add(subject.counter)
    return [_one_series(group) for group in groups]


def _one_series(group: Sequence[tuple[Mail, Subject]]) -> Series:
    cover = next((make_cover(mail) for mail, subject in group if subject.counter == 0 and not has_diff(mail)), None)
    rest = [(mail, subject) for mail, subject in group if cover is None or mail is not cover.mail]
    patches = [make_patch(mail, subject.counter or n) for n, (mail, subject) in enumerate(rest, 1)]
    patches.sort(key=lambda patch: patch.index)
    first = cover.subject if cover else patches[0].subject
    mails = [mail for mail, _ in group]
    expected = max([first.expected or 0, *(patch.index for patch in patches)])
    return Series(
        subject=first.full,
        revision=first.revision or 1,
        expected=expected,
        cover=cover,
        patches=tuple(patches),
        base=find_base(declared_base(mails), [first, *(p.subject for p in patches)], [m.date for m in mails]),
        change_id=declared_change_id(mails),
        prerequisites=declared_prerequisites(mails),
    )
