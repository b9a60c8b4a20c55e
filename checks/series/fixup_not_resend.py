# SPDX-License-Identifier: GPL-2.0-or-later
"""A patch to be squashed into another one is sent instead of the series anew"""

from __future__ import annotations

import re
from collections.abc import Iterator

from reviewbot.checks.series._changelog import is_backport

from reviewbot.dossier import Dossier, header_span, message_lines, message_span, note_lines
from reviewbot.model import Patch, Severity, Span
from reviewbot.rule import SeriesReport, series_rule

# what git commit --fixup and --squash write
_MARK = re.compile(r"(?:fixup|squash|amend)! ", re.I)
# what a person says of a patch that is none by itself
_INCREMENTAL = re.compile(
    r"\b(?:fix|fixup|fix-up|incremental|delta|addendum)(?: (?:patch|fix|diff|change))? "
    r"(?:for|to|on top of|against|on) (?:(?:my|the|our) )?"
    r"(?:(?:previous|last|earlier) (?:patch|series|version|posting|mail)"
    r"|v[0-9]{1,3}(?: (?:patch|series)| of (?:this|the|my) (?:patch|series))?(?= *(?:$|[.,;:)])))"
    r"|\b(?:please|should|can be|could be|to be|must be) (?:be )?(?:squash|fold)(?:ed)? (?:this |it )?(?:in|into) "
    r"(?:the |my )?(?:previous|last|earlier|v[0-9]{1,3}\b|patch [0-9]{1,4})"
)
# one of these is in each of its sentences: a regular expression for all of them takes its time
_WORDS = ("previous", "last ", "earlier", "squash", "fold", " v")
# akpm keeps "mm-foo-fix" beside "mm-foo" until he sends them on: to him fixes are sent alone
_FIX_OF_A_FIX = re.compile(r"[- ](?:fix(?:[- ]?[0-9]{1,2})?(?:[- ]fix){0,9}|checkpatch-fixes)$", re.I)
_KEEPER = re.compile(r"akpm@", re.I)
_FIXES = re.compile(r"[0-9a-f]{6,40}\s+\(\"(.{1,300})\"\)", re.I)


@series_rule(Severity.NOTE, id="HY04")
def check(dossier: Dossier) -> Iterator[SeriesReport]:
    """The mark of git in a subject, a patch that says so, or one whose Fixes: names another patch of the series."""
    titles = {patch.subject.title: patch.index for patch in dossier.series.patches}
    for patch in dossier.series.patches:
        if _MARK.match(patch.subject.title):
            message = f"'{patch.subject.title.split(maxsplit=1)[0]}' is to be squashed before it is sent"
            yield SeriesReport(patch, header_span(patch), f"{message}: the series is to be sent anew")
        elif not is_backport(patch.message) and (fixed := _fixes(patch, titles)):
            yield SeriesReport(patch, fixed[0], f"fixes patch {fixed[1]} of this series: it is to be squashed into it")
        elif (span := _says(patch)) and not _kept(patch):
            message = "a fix on top of what was sent before"
            yield SeriesReport(patch, span, f"{message}: the patch is to be sent anew as a whole, as its next revision")


def _fixes(patch: Patch, titles: dict[str, int]) -> tuple[Span, int] | None:
    """A Fixes: line that names another patch of the series, by its title."""
    if len(titles) == 1 or "Fixes: " not in patch.message:
        return None
    for number, text in message_lines(patch):
        if not text.startswith("Fixes: "):
            continue
        match = _FIXES.search(text[:400])
        other = titles.get(match[1]) if match else None
        if other is not None and other != patch.index:
            return message_span(patch, number), other
    return None


def _kept(patch: Patch) -> bool:
    """A fix to what is in Andrew Morton's tree, where it is right to send the difference."""
    if _FIX_OF_A_FIX.search(patch.subject.title):
        return True
    return any(_KEEPER.match(address.email) for address in (*patch.mail.to, *patch.mail.cc))


def _says(patch: Patch) -> Span | None:
    """The line of a single patch that says that it is only a fix of one that was sent and is no commit yet."""
    if (patch.subject.expected or 1) > 1 or "Fixes: " in patch.message:
        return None
    for number, text in (*message_lines(patch), *note_lines(patch)):
        low = text[:400].lower()
        if not any(word in low for word in _WORDS) or text.startswith((">", "\t", "    ", " |")):
            continue
        if match := _INCREMENTAL.search(low):
            return message_span(patch, number, match.start(), match.end())
    return None
