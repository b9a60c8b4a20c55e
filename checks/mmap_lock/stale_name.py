# SPDX-License-Identifier: GPL-2.0-or-later
"""A comment or a document speaks of mmap_sem, which has been mmap_lock since v5.8."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reviewbot.c.code import Code
from reviewbot.c.tokens import Comment
from reviewbot.model import Confidence, LineKind, Severity
from reviewbot.rule import Report, Scope, code_rule

OLD = re.compile(r"(?<![\w>.])((?:[\w>.-]*(?:->|\.))?mmap_sem)s?\b")


@code_rule(
    Severity.NOTE,
    id="ML03",
    since="v5.8",
    words=("mmap_sem",),
    scope=Scope(exclude=("tools/", "scripts/"), suffixes=(".c", ".h", ".S", ".rst", ".txt", "Kconfig")),
    style=True,
    confidence=Confidence.HIGH,
)
def check(code: Code) -> Iterator[Report]:
    """Comment lines, and every line of a document."""
    if code.path.endswith((".rst", ".txt", "Kconfig")):
        lines = [Comment(line.text, n, 0) for n, line in enumerate(code.lines) if "mmap_sem" in line.text]
    else:
        lines = [comment for comment in code.comments if "mmap_sem" in comment.text]
    for comment in lines:
        match = OLD.search(comment.text)
        if match and code.lines[comment.line].kind is not LineKind.CONTEXT:
            column = comment.column + match.start(1)
            where = "comment" if code.path.endswith((".c", ".h", ".S")) else "text"
            yield Report(
                [Comment(match[1], comment.line, column)],
                f"the {where} names mmap_sem, which is mmap_lock since v5.8",
                suggestion=code.lines[comment.line].text.replace("mmap_sem", "mmap_lock"),
            )
