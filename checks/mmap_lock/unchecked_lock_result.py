# SPDX-License-Identifier: GPL-2.0-or-later
"""The result of a lock call that may fail is thrown away."""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.c.code import Call, Code, calls
from reviewbot.c.pattern import closing
from reviewbot.c.skeleton import Statement, StatementKind
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, code_rule

# include/linux/mmap_lock.h:118, :165, :175; the last two of the newest header, :191 there
CALLS = (
    "mmap_read_lock_killable",
    "mmap_write_lock_killable",
    "mmap_read_trylock",
    "mmap_write_trylock",
    "vma_start_write_killable",
)
# void until v6.14: mm/userfaultfd.c tested vma_start_read_locked() from v6.15 on
LATER = ("vma_start_read_locked", "vma_start_read_locked_nested")
LATER_SINCE = (6, 15)


@code_rule(
    Severity.ERROR,
    id="ML06",
    since="v5.8",
    words=(*CALLS, *LATER),
    style=True,  # such a line that the patch moves was as wrong where it stood
    confidence=Confidence.HIGH,
    yields_to=("vma-lock/unchecked-start-read",),
)
def check(code: Code) -> Iterator[Report]:
    """Statements that are such a call and nothing else."""
    names = (*CALLS, *LATER) if code.version is None or code.version >= LATER_SINCE else CALLS
    for function in code.functions:
        for statement in function.walk():
            call = _alone(statement, names)
            if call:
                yield Report(
                    call.tokens,
                    f"the result of {call.name}() is thrown away: nobody knows whether the lock is held",
                )


def _alone(statement: Statement, names: tuple[str, ...]) -> Call | None:
    """The call that the whole statement is; a cast to void before it makes no difference."""
    tokens = statement.tokens
    # a macro that is such an expression has its value, and no ; by which it were complete
    if statement.kind is not StatementKind.EXPRESSION or not statement.complete:
        return None
    if [t.text for t in tokens[:3]] == ["(", "void", ")"]:
        tokens = tokens[3:]
    if len(tokens) < 2 or tokens[0].text not in names or tokens[1].text != "(":
        return None
    end = closing(tokens, 1)
    if end is None or [t.text for t in tokens[end:]] not in ([], [";"]):
        return None
    return next(calls(tokens, tokens[0].text), None)
