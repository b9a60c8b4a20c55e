# SPDX-License-Identifier: GPL-2.0-or-later
"""A comment or a document speaks of mmap_sem, which has been mmap_lock since v5.8."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reviewbot.c.code import Code
from reviewbot.c.tokens import Comment
from reviewbot.kernel import LONGEST_LINE
from reviewbot.model import Confidence, LineKind, Severity
from reviewbot.rule import Report, Scope, code_rule

OLD = re.compile(r"(?<![\w>.])((?:[\w>.-]*(?:->|\.))?mmap_sem)s?\b|(?<!\w)(__lock_page_or_retry)\b")
# name -> what it is now: da1c55f1b272; 9138e47ed425 (5.16), mm/filemap.c:1687
NEW = {"mmap_sem": "mmap_lock", "__lock_page_or_retry": "__folio_lock_or_retry"}
LATER = {"__lock_page_or_retry": (5, 16)}


@code_rule(
    Severity.NOTE,
    id="ML03",
    since="v5.8",
    words=tuple(NEW),
    scope=Scope(exclude=("tools/", "scripts/"), suffixes=(".c", ".h", ".S", ".rst", ".txt", "Kconfig")),
    style=True,
    confidence=Confidence.HIGH,
    fix=True,
)
def check(code: Code) -> Iterator[Report]:
    """Comment lines, and every line of a document."""
    if code.path.endswith((".rst", ".txt", "Kconfig")):
        lines = [Comment(line.text, n, 0) for n, line in enumerate(code.lines)]
    else:
        lines = list(code.comments)
    where = "comment" if code.path.endswith((".c", ".h", ".S")) else "text"
    for comment in lines:
        if code.lines[comment.line].kind is LineKind.CONTEXT or not any(name in comment.text for name in NEW):
            continue
        said: set[str] = set()
        for match in OLD.finditer(comment.text):
            text = match[1] or match[2]
            old = "mmap_sem" if match[1] else match[2]
            if old in said or not _holds(old, code.version):
                continue
            said.add(old)
            since = "v{}.{}".format(*LATER.get(old, (5, 8)))
            yield Report(
                [Comment(text, comment.line, comment.column + match.start(match.lastindex or 0))],
                f"the {where} names {old}, which is {NEW[old]} since {since}",
                suggestion=_renamed(code, comment),
            )


def _holds(old: str, version: tuple[int, int] | None) -> bool:
    """The name is gone from that kernel, if from any that the rule is for."""
    return version is None or version >= LATER.get(old, version)


def _renamed(code: Code, comment: Comment) -> str | None:
    """The comment's line with the names of today; the code beside it stays, which is another rule's."""
    line, text = code.lines[comment.line].text, comment.text
    if len(line) > LONGEST_LINE:
        return None
    for old, new in NEW.items():
        if _holds(old, code.version):
            text = re.sub(rf"(?<!\w){old}(?=s?\b)", new, text)
    return line[: comment.column] + text + line[comment.column + len(comment.text) :]
