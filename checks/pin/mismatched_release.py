# SPDX-License-Identifier: GPL-2.0-or-later
"""Pinned pages are put, pages that are not pinned are unpinned, or an array is put in place of its pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from reviewbot.checks.pin._pages import (
    PIN,
    RELEASERS,
    TAKERS,
    TAKING_WORDS,
    UNKNOWN,
    Assignment,
    Held,
    Use,
    helpers,
    member_of,
    mentions_pages,
)

from reviewbot.c.code import Code
from reviewbot.c.flow import facts
from reviewbot.c.skeleton import Statement, StatementKind
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, code_rule

# page_is_pinned(), iov_iter_extract_will_pin(), bio_flagged(), test_bit()
_QUESTION = re.compile(r"(?:^|_)(?:is|has|will|needs?)_|pinned|flagged|test_bit")
_ONE_KIND = ({"pin"}, {"get"})
# what is handed one page, not an array of them
_SINGLE = ("put_page", "unpin_user_page")


@code_rule(Severity.ERROR, id="PN01", since="v5.6", words=TAKING_WORDS, confidence=Confidence.HIGH)
def check(code: Code) -> Iterator[Report]:
    """Each release of a variable, against all that the function is seen to put into it; then members of structures."""
    known = helpers(code)
    names = (*TAKERS, *RELEASERS, *known.takers, *known.releasers, *known.returners)
    everywhere, others = [], []
    for function in code.functions:
        if mentions_pages(function, names):
            held = Held(function, code.flow(function), known)
            everywhere.append(held)
            yield from _in_function(held)
        else:
            others.append(function)
    carried = {what.last for held in everywhere for what in held.carriers() if held.origins(what)}
    if carried:
        everywhere += [Held(f, code.flow(f), known) for f in others if mentions_pages(f, carried)]
        yield from _members(code, everywhere)


def _in_function(held: Held) -> Iterator[Report]:
    """Taken and released in one function."""
    for release in held.releases:
        sources = held.sources(release.what)
        origins = held.origins(release.what)
        use = held.arrays.get(release.what.text) if release.what.bare else None
        if release.call.name in _SINGLE and use:
            yield Report(
                release.call.tokens,
                f"{release.call.name}() is given the array '{release.what.text}', not a page in it",
                ((use.call.tokens, "fills the array"),),
            )
        elif sources in _ONE_KIND and release.kind not in sources and not _either(held, release):
            names = held.names(release.what)
            if release.kind != PIN and held.referenced:
                continue
            for origin in origins:
                root = origin.what.root
                if release.statement in held.reached(origin.statement, root) and not (
                    isinstance(origin, Use) and origin.statement is release.statement
                ):
                    yield _report(release, origin, names)
                    break


def _report(release: Use, origin: Use | Assignment, names: frozenset[str]) -> Report:
    call = origin.call if isinstance(origin, Use) else None
    at = call.tokens if call else origin.statement.tokens
    taker = call.name if call else next(a.text for a, b in pairwise(at) if b.text == "(")
    shown = min(names, key=len) if release.what.text not in names else release.what.text
    if release.kind == PIN:
        message = f"{release.call.name}() on '{shown}', on which {taker}() took a reference and no pin"
    else:
        message = f"{release.call.name}() on '{shown}', which {taker}() pinned: the pin stays"
    return Report(release.call.tokens, message, ((at, "taken here"),))


def _either(held: Held, release: Use) -> bool:
    """The function serves pages of both kinds and asks which these are."""
    around = held.enclosing(release.statement)
    names = held.names(release.what)
    for statement in around:
        if (
            statement.kind is StatementKind.IF
            and _asks(held, statement)
            and any("pin" in t.text for t in statement.tokens)
        ):
            return True
    for other in held.releases:
        held.spend()
        if other.kind == release.kind or not names & held.names(other.what):
            continue
        for statement in held.enclosing(other.statement):
            if statement.kind is not StatementKind.IF:
                continue
            if statement in around and _branch(statement, other.statement) is not _branch(statement, release.statement):
                return True
            if statement not in around and _asks(held, statement):
                return True
    return False


def _asks(held: Held, statement: Statement) -> bool:
    """An `if` about a flag: neither about how many pages there are, nor about an error."""
    known = facts(statement.tokens, True) or facts(statement.tokens, False)
    return any(_is_mode(held, text) for text, _ in known)


def _is_mode(held: Held, text: str) -> bool:
    """`buf->is_pinned`, `flags&LUMEN_PINNED`: it is true or false, no number, no pointer to pages, no error."""
    if any(sign in text for sign in "<>=") or text in held.results:
        return False
    if "(" in text:
        return _QUESTION.search(text) is not None
    if text in held.released:
        return False
    return text not in ("ret", "err", "rc", "error", "r", "i") and text not in held.assigned


def _branch(statement: Statement, inner: Statement) -> bool:
    return any(s.holds(inner) for s in statement.body)


# -- pages that a structure carries from one function to another ----------------------------------


def _members(code: Code, everywhere: list[Held]) -> Iterator[Report]:
    """Taken into a member in one function and released from it in another: only where the whole file is known."""
    filled: dict[tuple[str, str], list[tuple[str, Use | Assignment | None]]] = {}
    for held in everywhere:
        for what in held.carriers():
            struct = held.struct(what.root)
            if struct is None:
                continue
            origins = held.origins(what)
            for kind in held.sources(what):
                origin = origins[0] if origins and kind != UNKNOWN else None
                filled.setdefault((struct, what.member), []).append((kind, origin))
    referenced = {what.member for held in everywhere for what in held.referenced}
    for held in everywhere:
        for release in held.releases:
            if held.origins(release.what) or _either(held, release):
                continue
            member = member_of(held, release.what)
            struct = held.struct(member.root) if member else None
            if member is None or struct is None:
                continue
            if release.kind != PIN and (held.referenced or member.member in referenced):
                continue
            found = filled.get((struct, member.member), [])
            if not found or {kind for kind, _ in found} not in _ONE_KIND or found[0][0] == release.kind:
                continue
            if any(r.kind != release.kind and member_of(held, r.what) == member for r in held.releases):
                continue
            origin = next((o for _, o in found if o is not None), None)
            if origin is None:
                continue
            if not code.whole:
                code.abstain()
                continue
            yield _report(release, origin, frozenset((member.text,)))
