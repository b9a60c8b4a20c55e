# SPDX-License-Identifier: GPL-2.0-or-later
"""A reference is taken before the lock may be dropped, and not put on the way on which it was"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from reviewbot.c.code import Call, Code, assigned, calls
from reviewbot.c.flow import Edge, facts
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Kind, Token
from reviewbot.kernel import contradicts, locks, mentions, pointer_uses, takes_vm_fault
from reviewbot.model import Severity
from reviewbot.rule import Report, code_rule

# x is referenced from here on: include/linux/mm.h, fs.h, page_ref.h
GETS = ("folio_get", "get_page", "folio_try_get", "get_file", "get_page_unless_zero", "try_get_page")
# x = f(..): mm/filemap.c, mm/swap_state.c
FINDS = (
    "get_file", "filemap_get_folio", "filemap_lock_folio", "swap_cache_get_folio", "find_get_page", "find_lock_page",
    "find_get_entry",
)  # fmt: skip
# the folio is not locked, and the lock dropped: include/linux/pagemap.h:1207, mm/filemap.c:1687
WAITS = ("folio_lock_or_retry", "__folio_lock_or_retry", "lock_page_or_retry", "__lock_page_or_retry")
PINS = ("maybe_unlock_mmap_for_io",)  # mm/internal.h:1046
UNLOCKS = ("release_fault_lock", "mmap_read_unlock")


class _Dropped(NamedTuple):
    """A call that may drop the lock, what holds where it did, and which way out of its statement that is."""

    call: Call
    known: tuple[tuple[str, bool], ...]
    first: Callable[[Edge], bool] | None


@code_rule(Severity.WARNING, id="DR12", since="v5.1", words=(*WAITS[::2], *PINS, *UNLOCKS))
def check(code: Code) -> Iterator[Report]:
    """From the call that drops the lock to each return, on the way on which it did."""
    for function in code.functions:
        if function.macro:
            continue
        for statement in function.walk():
            if not mentions(statement, *WAITS, *PINS, *UNLOCKS):
                continue
            for call in calls(statement.tokens, *PINS):
                if name := _target(statement, call):
                    dropped = _Dropped(call, ((name, True),), None)
                    yield from _leaks(code, function, statement, dropped, name, call.tokens)
            for dropped in _drops(code, function, statement):
                for name, taken in _held(code, function, statement):
                    yield from _leaks(code, function, statement, dropped, name, taken)


def _drops(code: Code, function: Function, statement: Statement) -> Iterator[_Dropped]:
    for call in calls(statement.tokens, *WAITS):
        dropped = call.name.endswith("folio_lock_or_retry") and (code.version is None or code.version >= (6, 6))
        target = _target(statement, call)
        if target is not None:
            known = ((target, dropped), (f"{target}&VM_FAULT_RETRY", True)) if dropped else ((target, False),)
            yield _Dropped(call, known, None)
        elif statement.kind is StatementKind.IF:
            yield _Dropped(call, (), _way(statement, call, dropped))
    if takes_vm_fault(function) and statement.kind is StatementKind.EXPRESSION:
        for call in calls(statement.tokens, *UNLOCKS):
            yield _Dropped(call, (), None)


def _way(statement: Statement, call: Call, dropped: bool) -> Callable[[Edge], bool]:
    """The branch on which the call said that it dropped the lock."""
    return lambda edge: (
        edge.truth is not None
        and any(call.name in operand and value is dropped for operand, value in facts(statement.tokens, edge.truth))
    )


def _target(statement: Statement, call: Call) -> str | None:
    """`x = call(..)`, `x |= call(..)`."""
    tokens = statement.tokens
    at = tokens.index(call.tokens[0])
    if at < 2 or tokens[at - 1].text not in ("=", "|=") or tokens[at - 2].kind is not Kind.WORD:
        return None
    # not x->y = .., nor *x = .., which is the caller's; struct file *x = .. is a declaration
    other = at > 2 and (tokens[at - 3].text in ("->", ".") or (at == 3 and tokens[0].text == "*"))
    return None if other else tokens[at - 2].text


def _held(code: Code, function: Function, statement: Statement) -> Iterator[tuple[str, Sequence[Token]]]:
    """What is surely referenced at a statement by a call before it on the straight way here, with that call."""
    parents = _parents(function)
    around = set(_around(parents, statement))
    found: dict[str, Sequence[Token]] = {}
    put: set[str] = set()
    for s in code.flow(function).before(statement):
        if next(locks(s), None):
            return  # another lock, not the caller's
        for call in calls(s.tokens, *GETS, *FINDS):
            name = _name(s, call)
            # taken under a condition that does not hold here, it may not be taken at all
            if name is not None and all(x in around for x in _around(parents, s)):
                found.setdefault(name, call.tokens)
        for call in _calls(s):
            if _puts(call):
                put.update(t.text for a in call.arguments for t in a)
    yield from ((name, tokens) for name, tokens in found.items() if _last(name) not in put)


def _parents(function: Function) -> dict[Statement, Statement]:
    """What each statement lies in."""
    found: dict[Statement, Statement] = {}
    for s in function.walk():
        for inner in (*s.body, *s.orelse):
            found[inner] = s
    return found


def _around(parents: dict[Statement, Statement], statement: Statement) -> Iterator[Statement]:
    """The branches and loops that a statement lies in."""
    now = parents.get(statement)
    while now is not None:
        if now.kind is not StatementKind.BLOCK:
            yield now
        now = parents.get(now)


def _puts(call: Call) -> bool:
    return any(word in call.name for word in ("put", "release", "free"))


def _name(statement: Statement, call: Call) -> str | None:
    if call.name in FINDS and (target := _target(statement, call)):
        return target
    if call.name in GETS and len(call.arguments) == 1 and len(call.arguments[0]) == 1:
        return call.text(0)
    if call.name == "get_file" and statement.tokens[:1] == call.tokens[:1] and len(call.arguments) == 1:
        text = call.text(0)  # get_file(vmf->vma->vm_file): kept nowhere else
        return text if text.endswith("->vm_file") and "(" not in text else None
    return None


def _last(name: str) -> str:
    """`vm_file` of vma->vm_file: by whatever way it is reached, it may be the same."""
    return name.rpartition("->")[2]


def _waits(statement: Statement, name: str) -> bool:
    """`lumen_wait(file);`: a call by itself that waits for the thing, and does not put it."""
    call = next(_calls(statement), None)
    return (
        statement.kind is StatementKind.EXPRESSION
        and call is not None
        and "wait" in call.name
        and not _puts(call)
        and len(call.tokens) == len(statement.tokens)
        and any([t.text for t in argument] == [name] for argument in call.arguments)
    )


def _calls(statement: Statement) -> Iterator[Call]:
    names = {t.text for t in statement.tokens if t.kind is Kind.WORD}
    yield from calls(statement.tokens, *names)


def _leaks(
    code: Code, function: Function, start: Statement, dropped: _Dropped, name: str, taken: Sequence[Token]
) -> Iterator[Report]:
    word = _last(name)
    # it puts the thing itself on another way: that is not left to what it is handed to
    own = any(
        _puts(c) and c.text(0) == name for s in function.walk() if mentions(s, word) for c in _calls(s) if c.arguments
    )

    def settled(s: Statement) -> bool:
        if own and _waits(s, name):
            return False
        if s.kind in (StatementKind.EXPRESSION, StatementKind.RETURN, StatementKind.LOOP) and mentions(s, word):
            return True
        if any(pointer_uses(s.tokens, name)) or word in assigned(s):
            return True
        return any(_puts(c) for c in _calls(s))

    def stop(s: Statement) -> bool:
        return s.kind is StatementKind.RETURN or settled(s)

    cut = contradicts((*dropped.known, (name, True)))
    for reached in code.flow(function).after(start, stop, cut, dropped.first):
        if settled(reached) or reached.kind is not StatementKind.RETURN or not _gives_retry(reached, dropped):
            continue
        at = dropped.call.tokens
        yield Report(
            at,
            f"'{name}' is not put where {dropped.call.name}() has dropped the lock",
            (
                *([(taken, "taken here")] if taken is not at else []),
                (reached.tokens or at, "returns without putting it"),
            ),
        )
        return


def _gives_retry(reached: Statement, dropped: _Dropped) -> bool:
    """After a plain unlock only the way that says RETRY is that of the dropped lock."""
    return dropped.call.name not in UNLOCKS or [t.text for t in reached.tokens] == ["VM_FAULT_RETRY"]
