# SPDX-License-Identifier: GPL-2.0-or-later
"""What a changelog between revisions looks like: the lines that begin one, and whether a mail says what changed.

Belongs here: words of people about their own revisions, as they write them in the archives. Pure; every pattern is
anchored or bounded, for the text is anybody's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# v2, V2, Ver2, version 2, RFC v2, RFCv2, PATCH v3; the number in the group
_VERSION = r"(?:(?:rfc|patch)[ /-]?)?v(?:er(?:sion)?)?\.? ?([0-9]{1,3})(?![\w]|\.[0-9])"
_ARROW = r" {0,3}(?:-{1,3}>|={1,2}>|→|\.\.|to\b|vs\b\.?|/) {0,3}"
# what may stand before the words: a bullet, quotes of markdown, brackets
_LEAD = r"[\s*#=+>(\[-]{0,12}"
_CHANGES = (
    r"(?:(?:the|main|major|minor|some|other|no|notable|significant|functional|key|all) ){0,2}"
    r"(?:change|changed|changes|changelog|change[ -]log|updates?|updated|differences?|diff|delta|modifications?"
    r"|improvements|history|new)"
)
_BETWEEN = r"(?: (?:are|made|log|list))? (?:since|in|from|for|of|to|between|compared to|against|over|on|with|after)"
_OLDER = (
    r"(?:(?:the|this|my|rfc|patch|series) ){0,2}(?:"
    + _VERSION
    + r"|rfc\b|(?:previous|prior|last|initial|first|earlier|old)"
    r" (?:version|revision|post|posting|series|patch ?set|set|rfc|spin|round|iteration|submission)s?\b)"
)

_NEXT = r"(?:rfc\b|" + _VERSION + r"|[0-9]{1,3}\b)"

# A line that stands above a changelog, or is one; group 1 is its text behind the words
HEADING = re.compile(
    _LEAD
    + r"(?:"
    + r"(?:(?:from|in|since|rfc|on|for)\s)?(?:rfc|" + _VERSION + r")" + _ARROW + _NEXT
    + r"|" + _CHANGES + _BETWEEN + r" " + _OLDER
    + r"|" + _CHANGES + r" (?:this (?:version|revision)|" + _VERSION + r")"
    + r"|(?:since|compared to|as of|new in|in) " + _OLDER + r"(?= {0,2}(?:[:-]|$))"
    + r"|(?:change[ -]?log|change history|(?:version|revision|patch) (?:history|log|changes)|changes)(?= {0,2}(?::|$))"
    + r"|" + _VERSION + r" (?:changes|updates?|changelog|change log|fix(?:es)?)\b"
    + r"|" + _VERSION + r"(?= {0,2}(?:[:)\]}]|-{1,3}(?:\s|$)|(?:\([^()]{0,60}\)|\[[^\[\]]{0,60}\]) {0,2}(?::|-|$)|$))"
    + r")",
    re.I,
)  # fmt: skip

# A mail has somewhere, in whatever words, what this revision is about
_TOLD = re.compile(
    r"\b(?:since|from|in|after|to|than|of|on|over|and|against|address(?:e[ds])?|unlike|compared (?:to|with)) "
    r"[*_]{0,2}(?:the |my |patch |rfc |series |our ){0,2}"
    r"(?:v[0-9]{1,3}\b(?!\.)|(?:previous|prior|last|earlier|first|older) "
    r"(?:version|revision|post|posting|patch|series|round|rfc|iteration|attempt|submission|spin|set)\b)"
    r"|\b(?:this|new|next|updated|latest|current) (?:version|revision|iteration|spin|respin|round|reroll)\b"
    r"|\bv[0-9]{1,3} (?:is|was|were|are|had|has|adds?|added|drops?|dropped|fix|fixes|fixed|breaks?|did|does|of|just|now"
    r"|here|contains?|addresses|addressed|includes?|included|includes|changes|changed|only|uses?|used|had|makes?|takes?)\b"
    r"|\b(?:re-?send|re-?sending|re-?sent|re-?post(?:ed|ing)?|re-?spin|re-?spun|re-?base[ds]?|re-?basing)\b"
    r"|\b(?:replacement (?:for|of)|replaces (?:the|my|patch|https?)|supersedes?)(?!\w)"
    r"|\b(?:range-diff|interdiff)\b|\bchange ?log\b",
    re.I,
)
_RANGE_DIFF = re.compile(
    r"\s{0,4}(?:[0-9]{1,3}|-): {1,3}[0-9a-f-]{7,40} [=!<>] {1,3}(?:[0-9]{1,3}|-): {1,3}[0-9a-f-]{7,40}"
)
_LINK = re.compile(r"<?https?://\S++|<[^<>\s@]{1,120}@[^<>\s]{1,120}>")
# what stands behind a heading or a link and says nothing: punctuation, "Link to v1", a reference's number
_EMPTY = re.compile(
    r"[\W_]*(?:(?:link|links|url|lore|see|the|series|posting|patch|rfc|cover letter|last|previous|prior|version"
    r"|to|at|of|for|in|v[0-9]{1,3}|[0-9]{1,2}|is|here|was|none|n/?a|tbd|editme)\b[\W_]*)*+$",
    re.I,
)
# the message is that of a commit which there is already, and is copied as it is
_COPIED = re.compile(
    r"\s{0,8}(?:\[ {0,2}upstream commit [0-9a-f]{8}|commit [0-9a-f]{12,40} upstream|\(cherry picked from commit )", re.I
)
# nobody reads further in a message
_MOST = 10_000
_BULLET = re.compile(r"\s*(?:[-*o+•]|\(?\d{1,2}[.)]) +(?!link\b|v\d{1,3}\b *[:=]|https?:)\S", re.I)


def heading(line: str) -> re.Match[str] | None:
    """The words with which a changelog begins on this line; None where none does, or it is only a link."""
    match = HEADING.match(line[:200])
    if match is None:
        return None
    link = _LINK.search(line)
    return None if link and _EMPTY.match(_LINK.sub("", line[match.end() : 400])) else match


def tells(lines: Sequence[str]) -> bool:
    """Somewhere in these lines stands what has changed, in a list or in a sentence; links alone do not say it."""
    lines = lines[:_MOST]
    for number, line in enumerate(lines):
        if _RANGE_DIFF.match(line):
            return True
        if HEADING.match(line[:200]) and _follows(line, lines[number + 1 : number + 6]):
            return True
        text = _LINK.sub("", line[:1000]) if "://" in line or "@" in line else line[:1000]
        if _TOLD.search(text) and not (text != line and _EMPTY.match(text)):
            return True
    return False


def _follows(line: str, below: Sequence[str]) -> bool:
    """There is text behind the heading, or a list or paragraph below it: "v1:" and a link says nothing."""
    match = heading(line)
    if match and not _EMPTY.match(line[match.end() : 400]):
        return True
    if match is None:  # "v1: https://..." has a list right below it, or is one of the links at the end
        return bool(below) and bool(_BULLET.match(below[0]))
    return any(text.strip() and not _EMPTY.match(_LINK.sub("", text[:400])) for text in below)


def is_backport(message: str) -> bool:
    """A commit that there is already, for an older kernel: what stands in its message stays there."""
    lines = message.split("\n")
    return any(_COPIED.match(line) for line in (*lines[:4], *lines[-12:]))
