# SPDX-License-Identifier: GPL-2.0-or-later
"""A new FAULT_FLAG_, VM_FAULT_ or FOLL_ name that review of an earlier revision said no to"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from reviewbot.dossier import Dossier, Remark, Revision, diff_lines, line_span
from reviewbot.model import FileDiff, Line, LineKind, Patch, Series, Severity
from reviewbot.rule import SeriesReport, series_rule

WORDS = ("FAULT_FLAG_", "VM_FAULT_", "FOLL_")
_NAME = re.compile(r"\b(?:FAULT_FLAG|VM_FAULT|FOLL)_[A-Z0-9_]{1,60}\b")
# `NAME = ..,` in an enum, `#define NAME ..`
_DEFINED = re.compile(r"\s*(?:#\s*define\s+)?((?:FAULT_FLAG|VM_FAULT|FOLL)_[A-Z0-9_]{1,60})(?:\s*=|\s+[(\d])")
# the flag is not wanted; that it wants another name, bit or comment is no rejection
_NO = re.compile(
    r"\b(?:(?:don'?t|do not|doesn'?t|not|no|without|avoid)\b.{0,60}\b(?:need|want|like|add|adding|introduc\w+"
    r"|another|new) (?:\w+ ){0,4}"
    r"(?:flags?|bits?|codes?|it|this|that|these)\b|(?:yet )?another (?:\w+ )?(?:flag|bit|code)\b|(?:why"
    r"|what) (?:\w+ ){0,4}(?:need|new|another)\b"
    r"|no need (?:for|to)|(?:not|isn'?t|aren'?t) (?:really |actually )?(?:needed|necessary|required)|unnecessary"
    r"|redundant|superfluous"
    r"|na?ck?(?:ed)?\b|(?:drop|remove|get rid of|kill) (?:this|the|it|that|new)|(?:would|should|is"
    r"|are) (?:be )?(?:enough|sufficient)"
    r"|already (?:say|says|tell|tells|mean|means|impl\w+))",
    re.I,
)
_QUOTED = 200  # characters of a remark
_LINK = "https://lore.kernel.org/r/"
_NEVER = datetime.min.replace(tzinfo=UTC)


class _New(NamedTuple):
    """A name that a posting defines."""

    patch: Patch
    diff: FileDiff
    line: Line


@series_rule(Severity.NOTE, id="DR13", words=WORDS, needs="history", rerolls=True)
def check(dossier: Dossier) -> Iterator[SeriesReport]:
    """Each name once: that it is back, else that somebody did not want it."""
    mine = _defined(dossier.series)
    history = dossier.history if mine else None
    if history is None:
        return
    when = min((patch.mail.date or _NEVER for patch in dossier.series.patches), default=_NEVER)
    for name, new in mine.items():
        had = [revision for revision in history.earlier if name in _defined(revision.series)]
        if not had or any(
            patch.mail.message_id == new.patch.mail.message_id for r in had for patch in r.series.patches
        ):
            continue
        remark = next((found for found in _objections(history.earlier, name, when)), None)
        if remark is None or _mentioned(name, had[-1].series, dossier.series):
            continue
        revision, said = remark
        who = said.mail.sender.name or said.mail.sender.email
        begin = new.line.text.index(name)
        gone = _dropped(history.earlier, revision, name)
        fate = f"{_label(gone.series)} had dropped it" if gone else f"v{dossier.series.revision} still has it"
        notes = [f"{_LINK}{said.mail.message_id}"]
        if said.agreed:
            notes.append(f"the author agreed in {_LINK}{said.agreed.message_id}")
        yield SeriesReport(
            new.patch,
            line_span(new.diff, new.line, begin, begin + len(name)),
            f"{name} was not wanted in {_label(revision.series)}: {who}: '{said.text[:_QUOTED]}'; {fate}, "
            "and the changelog does not mention it",
            notes=tuple(notes),
            identity=(name, said.mail.message_id),
        )


def _label(series: Series) -> str:
    return f"v{series.revision}"


def _defined(series: Series) -> dict[str, _New]:
    """The names that a posting's patches define, and that no line of them takes away."""
    found: dict[str, _New] = {}
    gone: set[str] = set()
    for patch in series.patches:
        for diff, line in diff_lines(patch):
            match = _DEFINED.match(line.text[:300])
            if match and line.kind is LineKind.REMOVED:
                gone.add(match[1])
            elif match and line.kind is LineKind.ADDED and diff.path.endswith((".h", ".c")):
                found.setdefault(match[1], _New(patch, diff, line))
    return {name: new for name, new in found.items() if name not in gone}


def _objections(revisions: Sequence[Revision], name: str, when: datetime) -> Iterator[tuple[Revision, Remark]]:
    """The remarks that do not want it, the newest first."""
    for revision in reversed(revisions):
        for remark in revision.remarks:
            about = name in _NAME.findall(f"{remark.quoted[:500]} {remark.words[:1000]}")
            if about and remark.is_open and _NO.search(remark.words[:2000]) and (remark.mail.date or _NEVER) < when:
                yield revision, remark


def _dropped(revisions: Sequence[Revision], since: Revision, name: str) -> Revision | None:
    """The last revision after one that does not have the name."""
    later = revisions[next(n for n, revision in enumerate(revisions) if revision is since) + 1 :]
    return next((r for r in reversed(later) if r.series.complete and name not in _defined(r.series)), None)


def _mentioned(name: str, old: Series, new: Series) -> bool:
    """The posting says something of it that the earlier one did not."""
    before = {" ".join(line.split()) for text in _texts(old) for line in text.split("\n")}
    return any(
        name in line and " ".join(line.split()) not in before for text in _texts(new) for line in text.split("\n")
    )


def _texts(series: Series) -> list[str]:
    notes = [f"{patch.message}\n{patch.notes}" for patch in series.patches]
    return [series.cover.text, *notes] if series.cover else notes
