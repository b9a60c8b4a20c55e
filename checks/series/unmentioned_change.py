# SPDX-License-Identifier: GPL-2.0-or-later
"""The message keeps something from who searches it: a name split over two lines, an assertion it does not name"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from reviewbot.dossier import Dossier, diff_lines, line_span, message_lines, message_span
from reviewbot.model import FileDiff, Line, LineKind, Patch, Severity
from reviewbot.rule import KERNEL, SeriesReport, series_rule

_END = re.compile(r"(?<![\w/.@-])([A-Za-z_]\w{1,80})$")
_BEGIN = re.compile(r"(\w{1,80})(\()?")
# words that are no text of the author's: trailers, what git log and tools print
_OTHERS = re.compile(r"[A-Z][A-Za-z-]{1,30}: |[>|#$]|\t| {4}|\+|-[^ ]")

# the author says that the code does what it did
_NOTHING = re.compile(
    r"\b(?:no (?:intended |intentional )?(?:functional|behaviou?r(?:al)?|semantic) changes?\b|no changes? (?:in|of|to) "
    r"(?:functionality|behaviou?r|semantics)|(?:purely|pure) (?:mechanical|code movement|refactoring|rename|cleanup)"
    r"|functionally equivalent|does not change (?:any )?(?:functionality|behaviou?r)|\bNFCI?\b)",
    re.I,
)
# what stops the kernel, warns, or waits for another: not nothing
_ASSERTION = re.compile(
    r"\b((?:[A-Z]{2,8}_)?(?:WARN|BUG)(?:_ON)?(?:_[A-Z]{2,8}){0,2}|lockdep_assert_\w{1,40}|\w{1,30}_assert_\w{1,30}"
    r"|might_(?:sleep|lock|fault)\w{0,20}|(?:mutex|(?:raw_)?spin|read|write|mmap_(?:read|write))_lock(?:_\w{1,20})?"
    r"|down_(?:read|write)(?:_\w{1,20})?)\("
)
_TOLD = re.compile(r"assert|\bwarn|\bBUG|\bsanity|\block|\bmutex|\bcheck|\bcatch", re.I)


@series_rule(Severity.NOTE, id="HY06")
def check(dossier: Dossier) -> Iterator[SeriesReport]:
    """Of each patch by itself: the split names first, then what the message says is not there."""
    for patch in dossier.series.patches:
        yield from _split_names(patch)
        yield from _unnamed(patch)


def _split_names(patch: Patch) -> Iterator[SeriesReport]:
    """Two lines of the message of which the end and the beginning are one name of the diff, or one call."""
    last: tuple[int, str] = (0, "")
    message = patch.message
    if "_\n" not in message and "\n_" not in message and " \n" not in message:
        return
    text: str | None = None
    for number, line in message_lines(patch):
        before, (last, above) = last, ((number, line), last[1].rstrip())
        end = _END.search(above[-120:]) if above else None
        begin = _BEGIN.match(line)
        if end is None or begin is None or _OTHERS.match(above) or not (end[1][-1] == "_" or line[0] == "_"):
            continue
        whole = end[1] + begin[1]
        text = text if text is not None else _code(patch)
        known = re.search(rf"\b{whole}\b", text, re.A) is not None
        if not known and not (begin[2] and end[1][-1] == "_" and "_" in end[1][:-1]):
            continue
        column = len(above) - len(end[1])
        yield SeriesReport(
            patch,
            message_span(patch, before[0], column, len(above)),
            f"the name '{whole}' is split over two lines: who searches the log for it does not find it",
            related=((message_span(patch, number, 0, len(begin[1])), "the rest of it"),),
            identity=("split", whole),
        )


def _code(patch: Patch) -> str:
    return "\n".join(line.text for _, line in diff_lines(patch))


def _unnamed(patch: Patch) -> Iterator[SeriesReport]:
    """An assertion or a lock that is new in a patch that says that nothing changes, and speaks of none."""
    claim = _NOTHING.search(patch.message)
    if claim is None or _TOLD.search(patch.message.replace(claim[0], "")):
        return
    net: Counter[str] = Counter()
    first: dict[str, tuple[FileDiff, Line]] = {}
    for diff, line in diff_lines(patch):
        if line.kind is LineKind.CONTEXT or not KERNEL.covers(diff.path):
            continue
        if line.text.lstrip().startswith(("#", "/*", "*")):
            continue  # a macro's or comment's
        for match in _ASSERTION.finditer(line.text[:300]):
            added = line.kind is LineKind.ADDED
            net[match[1]] += 1 if added else -1
            if added:
                first.setdefault(match[1], (diff, line))
    if net.total() <= 0:
        return  # where as many go as come, each is another in new words
    name = next((name for name in first if net[name] > 0), None)
    if name is not None and name not in patch.message:
        message = f"{name}() is new here, and the message says '{' '.join(claim[0].split())}' and nothing of it"
        yield SeriesReport(patch, line_span(*first[name]), message, identity=("unnamed", name))
