# SPDX-License-Identifier: GPL-2.0-or-later
"""An assertion asks for another flavour of a read/write lock than what is held there, or needed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from reviewbot.checks.lockdep._held import Asserted, Held, Site, asserted, callers, held_at, top

from reviewbot.c.code import Call, Code, calls
from reviewbot.c.skeleton import Function
from reviewbot.kernel import has_word, substituted
from reviewbot.model import Severity
from reviewbot.rule import Report, code_rule

# call vma_start_write(), which wants the mmap_lock for writing: include/linux/mm.h:750, :887-915; mm/vma.c
WRITES = (
    "vm_flags_set",
    "vm_flags_clear",
    "vm_flags_mod",
    "vm_flags_reset",
    "vma_start_write",
    "do_vmi_munmap",
    "do_vmi_align_munmap",
    "do_munmap",
    "vma_adjust",
    "vma_expand",
    "split_vma",
)
STRICTER = {
    "mmap_assert_locked": "mmap_assert_write_locked",
    "lockdep_assert_held": "lockdep_assert_held_write",
    "lockdep_assert_held_read": "lockdep_assert_held_write",
    "rwsem_assert_held": "rwsem_assert_held_write",
}
MODIFY = re.compile(
    r"(?!check_)(?:\w*_)?(?:add|insert|del|remove|erase|replace|store|move|unlink|link|splice|set|clear)(?:_|\Z)"
)
STORES = frozenset(("=", "|=", "&=", "+=", "-=", "++", "--"))
READING = {"lockdep_assert_held": "lockdep_assert_held_read", "lockdep_assert_held_write": "lockdep_assert_held_read"}


@code_rule(Severity.NOTE, id="LD06", words=("lockdep_assert_held", "rwsem_assert_held", "mmap_assert_"), needs="file")
def check(code: Code) -> Iterator[Report]:
    """By what the function does, and by how each of its callers takes the lock."""
    found = list(asserted(code))
    sites = callers(code, {a.function for a in found})
    # who asks for one flavour of one lock has thought of it for the others
    chosen = {a.function for a in found if a.how is not None}
    if not code.whole and any(a.how is None and has_word(a.function.header, "static") for a in found):
        # but for the functions that the patch brings along nobody knows their callers
        code.abstain()
    for a in found:
        yield from _here(code, a) or _called(code, a, sites.get(a.function, []), a.function in chosen)


def _here(code: Code, a: Asserted) -> list[Report]:
    """The lock is taken in the function itself, or something is done there that wants it for writing."""
    held = held_at(code, a.function, a.statement, a.key)
    if held:
        return [_report(code, a, held[0], held[1])] if _fails(a, held[0]) else []
    always = frozenset(top(a.function))
    if a.key != "mmap_lock" or a.how is Held.WRITE or a.statement not in always:
        return []
    flow = code.flow(a.function)
    for statement in flow.after(a.statement, lambda s: any(t.text.endswith("lock") for t in s.tokens)):
        call = next(calls(statement.tokens, *WRITES), None)
        if call and statement in always:
            text = f"{a.call.name}() asks for less than {call.name}() needs, which is the lock for writing"
            return [Report(a.call.tokens, text, ((call.tokens, "wants it for writing"),), (), _cure(code, a, STRICTER))]
    return []


def _called(code: Code, a: Asserted, sites: Sequence[Site], chosen: bool) -> list[Report]:
    """Where the assertion fails for a caller, or all of them take the lock in one way."""
    held = [held_at(code, function, statement, a.key) for function, statement, _ in sites]
    known = [h for h in held if h is not None]
    if fails := next((h for h in known if _fails(a, h[0])), None):
        return [_report(code, a, *fails)]
    if known and len(known) == len(held) and len({how for how, _ in known}) == 1 and a.how is None and not chosen:
        how, call = known[0]
        better = STRICTER if how is Held.WRITE else READING if how is Held.READ else {}
        if a.call.name in better and _modifies(a.function) is (how is Held.WRITE):
            return [_report(code, a, how, call)]
    return []


def _modifies(function: Function) -> bool:
    """Something is stored through a pointer, or a function is called whose name says that it changes something."""
    for statement in function.walk():
        tokens = statement.tokens
        for n, token in enumerate(tokens[1:], 1):
            if token.text == "(" and MODIFY.match(tokens[n - 1].text):
                return True
            if token.text in STORES and n >= 2 and tokens[n - 2].text in ("->", "."):
                return True
    return False


def _fails(a: Asserted, held: Held) -> bool:
    """_read while it is held for writing, _write while it is held for reading: lockdep_is_held_type() is exact."""
    return (a.how, held) in ((Held.READ, Held.WRITE), (Held.WRITE, Held.READ))


def _report(code: Code, a: Asserted, held: Held, call: Call) -> Report:
    fails = ", and fails" if _fails(a, held) else ""
    return Report(
        a.call.tokens,
        f"{a.call.name}() in {a.function.name}() stands where the lock is held for {held}{fails}",
        ((call.tokens, "taken here"),),
        (),
        _cure(code, a, STRICTER if held is Held.WRITE else READING),
    )


def _cure(code: Code, a: Asserted, names: Mapping[str, str]) -> str | None:
    right = names.get(a.call.name)
    return substituted(code, a.call.tokens[:1], right) if right else None
