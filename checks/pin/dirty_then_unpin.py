# SPDX-License-Identifier: GPL-2.0-or-later
"""A loop of set_page_dirty_lock() before the pages are unpinned: unpin_user_pages_dirty_lock() is both"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reviewbot.checks.pin._pages import Held, Operand, Use, mentions_pages, operand

from reviewbot.c.code import Call, Code, calls
from reviewbot.c.skeleton import Statement, StatementKind
from reviewbot.c.tokens import Kind, Token
from reviewbot.kernel import substituted
from reviewbot.model import Severity
from reviewbot.rule import Report, code_rule

DIRTY = "set_page_dirty_lock"
_LOOPS = (StatementKind.LOOP, StatementKind.DO)
# unpin_user_pages_dirty_lock() asks that itself: mm/gup.c:302
_ASKED = ("PageDirty", "PageReserved", "PageCompound")


@code_rule(Severity.NOTE, id="PN07", since="v5.6", words=(DIRTY,))
def check(code: Code) -> Iterator[Report]:
    """Each page is made dirty and unpinned in one loop; or a loop, and then one call for all of them."""
    for function in code.functions:
        if not mentions_pages(function, (DIRTY,)):
            continue
        held = Held(function, code.flow(function))
        for statement in held.statements:
            for call in calls(statement.tokens, DIRTY):
                what = operand(call.arguments[0]) if len(call.arguments) == 1 else None
                loop = _loop(held, statement)
                if what and loop:
                    yield from _one_by_one(held, statement, call, what, loop)
                    yield from _then_all(code, held, statement, call, what, loop)


def _loop(held: Held, statement: Statement) -> Statement | None:
    """The innermost loop around a statement."""
    found = [s for s in held.enclosing(statement) if s.kind in _LOOPS]
    return found[-1] if found else None


def _conditions(held: Held, statement: Statement, other: Statement) -> list[Statement]:
    """The branches that a statement stands in and another one does not."""
    return [s for s in held.enclosing(statement) if s.kind is StatementKind.IF and not s.holds(other)]


def _about_page(held: Held, what: Operand, loop: Statement, branches: Sequence[Statement]) -> bool:
    """It depends on the page whether it becomes dirty."""
    names = {name for text in held.names(what) for name in (text.split("->")[-1], text)} | _counters(loop)
    for branch in branches:
        words = {t.text for t in branch.tokens if t.kind is Kind.WORD}
        if not words or ((words - {"likely", "unlikely"}) & names and not words & set(_ASKED)):
            return True
    return False


def _counters(loop: Statement) -> set[str]:
    """`i` of a for."""
    return {t.text for n, t in enumerate(loop.tokens[:-1]) if loop.tokens[n + 1].text in ("=", "++", "--")}


def _one_by_one(held: Held, statement: Statement, call: Call, what: Operand, loop: Statement) -> Iterator[Report]:
    for release in held.releases:
        held.spend()
        if release.call.name != "unpin_user_page" or not held.names(what) & held.names(release.what):
            continue
        if _loop(held, release.statement) is not loop or release.statement.extent < statement.extent:
            continue
        if _conditions(held, release.statement, statement) or not _of_array(held, release):
            continue
        if not _about_page(held, what, loop, _conditions(held, statement, release.statement)):
            yield _report(release, call, None)
            return


def _of_array(held: Held, release: Use) -> bool:
    """`unpin_user_page(pages[i])`, or of a variable that gets `pages[i]`."""
    statements = (release.statement, *(one.statement for one in held.assigned.get(release.what.text, ())))
    return any(t.text == "[" for s in statements for t in s.tokens)


def _then_all(
    code: Code, held: Held, statement: Statement, call: Call, what: Operand, loop: Statement
) -> Iterator[Report]:
    for release in held.releases:
        held.spend()
        if release.call.name != "unpin_user_pages" or not held.names(what) & held.names(release.what):
            continue
        if loop.holds(release.statement) or release.statement.extent < loop.extent:
            continue
        inside = [s for s in _conditions(held, statement, release.statement) if loop.holds(s)]
        if _about_page(held, what, loop, inside) or not _all_of(loop, release.call.text(1)):
            continue
        if release.statement not in held.reached(loop, what.root):
            continue
        branches = [s for s in _conditions(held, statement, release.statement) if not _asks_page(s)]
        yield _report(release, call, _suggestion(code, release, branches))
        return


def _asks_page(branch: Statement) -> bool:
    return any(t.text in _ASKED for t in branch.tokens)


def _all_of(loop: Statement, count: str) -> bool:
    """for (i = 0; i < count; i++)"""
    text = "".join(t.text for t in loop.tokens)
    return loop.head == "for" and bool(count) and "=0;" in text and f"<{count};" in text


def _suggestion(code: Code, release: Use, branches: Sequence[Statement]) -> str | None:
    if len(branches) > 1 or any(s.orelse or not s.complete for s in branches):
        return None
    dirty = "true"
    if branches:
        tokens: Sequence[Token] = branches[0].tokens
        if not tokens or tokens[0].line != tokens[-1].line or any(t.text in (",", "=") for t in tokens):
            return None
        line = code.lines[tokens[0].line].text
        dirty = line[tokens[0].column : tokens[-1].column + len(tokens[-1].text)]
    first = code.lines[release.call.tokens[0].line].text if release.call.tokens[0].line >= 0 else ""
    start, end = release.call.tokens[0], release.call.tokens[-2]
    if start.line != end.line:
        return None
    inside = first[start.column + len(start.text) : end.column + len(end.text)]
    return substituted(code, release.call.tokens, f"unpin_user_pages_dirty_lock{inside}, {dirty})")


def _report(release: Use, call: Call, suggestion: str | None) -> Report:
    return Report(
        release.call.tokens,
        f"{DIRTY}() in a loop and {release.call.name}() are unpin_user_pages_dirty_lock() open-coded",
        ((call.tokens, "needless with it"),),
        suggestion=suggestion,
    )
