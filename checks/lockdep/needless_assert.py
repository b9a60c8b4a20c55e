# SPDX-License-Identifier: GPL-2.0-or-later
"""An assertion says that a lock is held where the code next to it shows as much"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from reviewbot.checks.lockdep._held import Asserted, Held, Site, asserted, callers, held_at, releases

from reviewbot.c.code import Call, Code
from reviewbot.c.tokens import Kind
from reviewbot.model import Severity
from reviewbot.rule import Report, code_rule


@code_rule(Severity.INFO, id="LD07", words=("lockdep_assert_held", "rwsem_assert_held", "mmap_assert_"), style=True)
def check(code: Code) -> Iterator[Report]:
    """Said twice, said behind the lock call, or said in a static function where no other file can be meant."""
    found = list(asserted(code))
    sites = callers(code, {a.function for a in found})
    own = _static_locks(code) if code.path.endswith(".c") else frozenset[str]()
    for a, earlier in _with_earlier(code, found):
        name = f"{a.call.name}() in {a.function.name or 'this function'}()"
        if earlier:
            yield Report(a.call.tokens, f"{name} repeats an assertion", ((earlier.tokens, "asserted here"),))
        elif held := held_at(code, a.function, a.statement, a.key):
            if not _fails(a, held[0]) and not _changed_between(a, held[1]):
                text = f"{name} stands where the lock was just taken"
                yield Report(a.call.tokens, text, ((held[1].tokens, "taken here"),))
        elif _static(a) and a.key.removeprefix("&") in own and a.key.startswith("&"):
            yield Report(a.call.tokens, f"{name}, a static function: only this file can take that lock")
        elif taken := _taken(code, a, sites.get(a.function, [])):
            yield Report(
                a.call.tokens,
                f"{name}, a static function: its one caller takes the lock in plain sight",
                ((taken.tokens, "taken here"),),
            )


def _with_earlier(code: Code, found: Sequence[Asserted]) -> Iterator[tuple[Asserted, Call | None]]:
    """Each assertion, with one in front of it that says the same, nothing between them but straight code."""
    last: Asserted | None = None
    for a in found:
        earlier = None
        if last and last.function is a.function and _said(last) == _said(a):
            flow = code.flow(a.function)
            now = flow.only_next(last.statement)
            for _ in range(20):
                if now is None or releases(now):
                    break
                if now is a.statement:
                    earlier = last.call
                    break
                now = flow.only_next(now)
        last = a
        yield a, earlier


def _said(a: Asserted) -> tuple[str, ...]:
    """Assertion and lock, as they are written."""
    return a.call.name, *(t.text for t in a.call.tokens)


def _changed_between(a: Asserted, lock: Call) -> bool:
    """The variable through which the lock is reached got another value since."""
    root = next((t.text for t in a.call.arguments[0] if t.kind is Kind.WORD), "")
    return any(
        now.text == root and after.text == "="
        for s in a.function.walk()
        if s.tokens and lock.tokens[0].line <= s.tokens[0].line <= a.call.tokens[0].line
        for now, after in pairwise(s.tokens)
    )


def _static(a: Asserted) -> bool:
    return any(t.text == "static" for t in a.function.header)


def _static_locks(code: Code) -> frozenset[str]:
    """Locks that only this file knows: static DEFINE_MUTEX(x)."""
    tokens = code.tokens
    return frozenset(
        tokens[n + 3].text
        for n in code.words("static")
        if n < len(tokens) - 4
        and tokens[n + 1].text.startswith(("DEFINE_", "DECLARE_"))
        and tokens[n + 2].text == "("
        and tokens[n + 4].text == ")"
    )


def _fails(a: Asserted, held: Held) -> bool:
    """That is lockdep/assert-flavour's."""
    return a.how is not None and held is not Held.ONLY and a.how is not held


def _taken(code: Code, a: Asserted, sites: Sequence[Site]) -> Call | None:
    """Where the one caller takes the lock."""
    if len(sites) != 1:
        return None
    function, statement, _ = sites[0]
    held = held_at(code, function, statement, a.key)
    return None if held is None or _fails(a, held[0]) else held[1]
