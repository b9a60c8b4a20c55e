# SPDX-License-Identifier: GPL-2.0-or-later
"""A coccinelle conversion comes without its semantic patch, or together with sites that were converted by hand"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from reviewbot.dossier import Dossier, header_span, message_lines, message_span, note_lines
from reviewbot.model import Patch, Severity, Span
from reviewbot.rule import SeriesReport, series_rule

# hunks of a conversion: fewer are read faster than a script
FEWEST = 3
# what has been done by hand is said to be better a patch of its own: then the script's can be made anew and compared
BY_HAND = "what was converted by hand is better a patch of its own: then the one by coccinelle can be made anew"
# lines of a message, and characters of a sentence, that are read
MOST_LINES, LONGEST = 2_000, 1_000

_TOOL = re.compile(r"\b(?:coccinelle|semantic patch|spatch|smpl|cocci(?:nelle)? (?:script|rule))\b", re.I)
# the patch was made with it
_MADE = re.compile(
    r"\b(?:convert\w*|conversions?|transform\w*|replac\w*|renam\w*|automat\w*|automagic\w*|generat\w*|mechanical\w*|"
    r"scripted|treewide|tree-wide|produced|created|made|done|performed|switch\w*|rewrit\w*|rewrote|applied)\b|"
    r"\b(?:using|via|run|ran|use) (?:the |this |that |a |an |following |below ){0,3}"
    r"(?:coccinelle|semantic|spatch|smpl|cocci)",
    re.I,
)
# it only found something, or it did not do this
_NOT_MADE = re.compile(
    r"\b(?:missed|skipped|unhandled|warnings?|coccicheck|report(?:s|ed|ing)?|found|finds|detect(?:s|ed)?|identified|spotted|"
    r"flagged|complain\w*|suggest\w*|without|cannot|can't|could not|couldn't|does not|doesn't|did not|didn't|not be|"
    r"fail(?:s|ed)?|never|future|later|may|might|could|would|should|will|reworked|instead of)\b",
    re.I,
)
# a line of a semantic patch: @@, @rule@, @r depends on patch@, // <smpl>; or where one is to be found
_SCRIPT = re.compile(r"[ \t>|]*(?:@[^@\n]{0,80}@|//[ \t]*<smpl>|virtual (?:patch|report)\b)", re.I)
_POINTER = re.compile(r"\b[\w.-]+/[\w./-]*\.cocci\b|\bscripts/coccinelle\b|\bhttps?://", re.I)
_TRAILER = re.compile(r"[A-Z][A-Za-z-]{2,30}: \S")

_BY_HAND = re.compile(r"\b(?:manual(?:ly)?|by hand|hand[- ](?:edited|converted|made|fixed))\b", re.I)
_SITES = re.compile(
    r"\b(?:convert\w*|conversions?|call ?sites?|sites?|instances?|cases|places|callers?|users|occurrences|files?|"
    r"rest|remaining|missed|fix(?:ed|es|ups?|-ups?)|changes?|edits?|adjust\w*|tweak\w*)\b",
    re.I,
)
# what is done by hand to what a script has left is not a conversion; and a patch may say that it is not in it
_NO_SITES = re.compile(
    r"\b(?:format\w*|indent\w*|white ?space|lines?|align\w*|style|comments?|review\w*|inspect\w*|check\w*|verif\w*|"
    r"test\w*|separate\w*|next|follow\w*|later|another|previous\w*|earlier|no|not|without|instead|would|unused|includes?|"
    r"headers?|wrap\w*|tabs?|spac\w*|clean\w*|polish\w*)\b",
    re.I,
)


class _Sentence(NamedTuple):
    """A sentence of a patch's message, and where it can be shown."""

    text: str
    span: Span


@series_rule(Severity.NOTE, id="HY11", words=("occi", "emantic patch", "spatch", "SmPL"))
def check(dossier: Dossier) -> Iterator[SeriesReport]:
    """Patches of some size that say that coccinelle has made them."""
    series = dossier.series
    if any("coccinelle/" in diff.path or diff.path.endswith(".cocci") for p in series.patches for diff in p.files):
        return
    known = False  # somebody before has shown the script
    if series.cover and dossier.cover:
        known = _shows(dossier.cover)
    lacking = series.expected > 1 and len(series.patches) < series.expected  # it may be in a mail that is not here
    for patch in series.patches:
        known = known or _shows(patch)
        if sum(len(diff.hunks) for diff in patch.files) < FEWEST:
            continue
        sentences = list(_sentences(patch))
        claim = next((s for s in sentences if _claims(s.text)), None)
        if claim is None:
            continue
        hand = next((s for s in sentences if _by_hand(s.text)), None)
        if hand:
            yield SeriesReport(patch, hand.span, BY_HAND)
        if not known and not lacking:
            where = "neither in the message nor in the cover letter" if series.cover else "not in the message"
            message = f"the semantic patch that made this is {where}: with it, it can be checked and run again"
            yield SeriesReport(patch, claim.span, message)


def _claims(text: str) -> bool:
    return bool(_TOOL.search(text) and _MADE.search(text)) and not _NOT_MADE.search(text)


def _by_hand(text: str) -> bool:
    return bool(_BY_HAND.search(text) and _SITES.search(text)) and not _NO_SITES.search(text)


def _shows(patch: Patch) -> bool:
    """A semantic patch, or where it is to be found, outside of trailers."""
    for number, (_, text) in enumerate(_lines(patch)):
        if number > MOST_LINES or _SCRIPT.match(text) or (_POINTER.search(text) and not _TRAILER.match(text)):
            return True
    return False


def _lines(patch: Patch) -> Iterator[tuple[int, str]]:
    yield from message_lines(patch)
    yield from note_lines(patch)


def _sentences(patch: Patch) -> Iterator[_Sentence]:
    """The subject, and what ends with a full stop or before an empty line."""
    yield _Sentence(patch.subject.title, header_span(patch))
    parts: list[tuple[int, str]] = []

    def ready() -> Iterator[_Sentence]:
        if parts:
            text = " ".join(part for _, part in parts)[:LONGEST]
            telling = (n for n, part in parts if _TOOL.search(part) or _BY_HAND.search(part))
            yield _Sentence(text, message_span(patch, next(telling, parts[0][0])))
        parts.clear()

    for count, (number, line) in enumerate(message_lines(patch)):
        if count > MOST_LINES:
            return
        if not line.strip() or _TRAILER.match(line) or line.lstrip()[:2] in ("- ", "* "):
            yield from ready()
        if _TRAILER.match(line):
            continue
        *ended, rest = re.split(r"(?<=[.;:])[ \t]+", line[:LONGEST].strip())
        for piece in ended:
            parts.append((number, piece))
            yield from ready()
        if rest:
            parts.append((number, rest))
        if rest.endswith((".", ";", ":")):
            yield from ready()
    yield from ready()
