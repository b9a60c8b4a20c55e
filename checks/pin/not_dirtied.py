# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages that are pinned to be written are unpinned, and nothing has made them dirty"""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.checks.pin._pages import PIN, PINS, Held, Use, good_way, member_of, mentions_pages, sure_flags

from reviewbot.c.code import Code
from reviewbot.c.skeleton import Statement, StatementKind
from reviewbot.c.tokens import Kind
from reviewbot.kernel import has_word
from reviewbot.model import Severity
from reviewbot.rule import Report, code_rule

# they unpin and make nothing dirty: mm/gup.c:191, :401
_PLAIN = ("unpin_user_page", "unpin_user_pages")


@code_rule(Severity.NOTE, id="PN03", since="v5.6", words=("unpin_user_page", "unpin_user_pages"))
def check(code: Code) -> Iterator[Report]:
    """In one function, on the way on which nothing fails; and of a member, where the whole file is known."""
    everywhere = [Held(f, code.flow(f)) for f in code.functions if mentions_pages(f, (*PINS, *_PLAIN))]
    for held in everywhere:
        if not any(_dirties(s) for s in held.statements):
            yield from _in_function(held)
    if code.whole and not any("dirty" in word.lower() for word in code.vocabulary):
        yield from _members(everywhere)


def _dirties(statement: Statement) -> bool:
    return any(t.kind is Kind.WORD and "dirty" in t.text.lower() for t in statement.tokens)


def _written(held: Held, use: Use) -> bool:
    """Pinned, and surely with FOLL_WRITE."""
    return use.kind == PIN and has_word(sure_flags(held.function, use.call), "FOLL_WRITE")


def _in_function(held: Held) -> Iterator[Report]:
    for use in held.takes:
        if not _written(held, use):
            continue
        for statement in good_way(held, use.statement, _never):
            for release in held.releases_at(statement):
                if (
                    release.call.name in _PLAIN
                    and use in held.origins(release.what)
                    and len(held.origins(release.what)) == 1
                    and not _fails(held, use, release)
                ):
                    yield _report(use, release)


def _never(_: Statement) -> bool:
    return False


def _fails(held: Held, use: Use, release: Use) -> bool:
    """The release stands in a branch that the pin does not stand in: what happens there may be no success."""
    return any(
        s.kind is not StatementKind.LOOP and not s.holds(use.statement) for s in held.enclosing(release.statement)
    )


def _members(everywhere: list[Held]) -> Iterator[Report]:
    """Pinned into a member here, unpinned out of it there, and the file knows nothing of dirty pages."""
    pinned: dict[tuple[str, str], list[tuple[Held, Use]]] = {}
    for held in everywhere:
        for what in held.carriers():
            struct = held.struct(what.root)
            if struct is not None:
                found = [o for o in held.origins(what) if isinstance(o, Use)]
                pinned.setdefault((struct, what.member), []).extend((held, use) for use in found)
    for held in everywhere:
        for release in held.releases:
            member = member_of(held, release.what)
            struct = held.struct(member.root) if member else None
            if release.call.name not in _PLAIN or member is None or struct is None or held.origins(release.what):
                continue
            uses = pinned.get((struct, member.member), [])
            if len(uses) == 1 and _written(*uses[0]) and "err" not in (held.function.name or ""):
                yield _report(uses[0][1], release)


def _report(use: Use, release: Use) -> Report:
    return Report(
        release.call.tokens,
        f"{release.call.name}() on '{release.what.text}', pinned with FOLL_WRITE: nothing makes the pages dirty before",
        ((use.call.tokens, "pinned to be written"),),
    )
