# SPDX-License-Identifier: GPL-2.0-or-later
"""A VMA is used after the lock that kept it alive was released."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from reviewbot.c.code import Call, Code, assigned, calls
from reviewbot.c.flow import Edge
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Comment, Kind, Token
from reviewbot.kernel import (
    VMA_UNLOCKS,
    conditions,
    contradicts,
    lock_operand,
    locks,
    looked_up_by_loop,
    mentions,
    pointer_uses,
    reads_first,
    told_near,
    unlocks,
    vma_names,
)
from reviewbot.locks import guarded
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, Scope, code_rule

# what takes the VMA's own lock: with it held, mmap_read_unlock() lets nothing go
OWN_LOCK = (
    "vma_start_read",
    "vma_start_read_locked",
    "vma_start_read_locked_nested",
    "lock_vma",
    "uffd_lock_vma",
    "lock_vma_under_rcu",
    "lock_next_vma",
)

# different words for what is one mm in nearly every function
SAME = {"mm", "current->mm", "vma->vm_mm"}

# a VMA for whoever holds the mmap_lock: include/linux/mm.h:3477-3528
LOOKUPS = frozenset(("find_vma", "vma_lookup", "find_vma_intersection", "find_extend_vma_locked"))
# no function of a person's has more of them
MEMBERS = 8

TYPED = ("vm_area_struct", "find_vma", "vma_lookup", "vmf")


@code_rule(
    Severity.ERROR,
    id="VM02",
    words=(
        "mmap_read_unlock",
        "mmap_write_unlock",
        "vma_end_read",
        "release_fault_lock",
        "up_read",
        "up_write",
        "force_sig",
        "guard",
    ),
    # mm/vma.c and its like free what they unlock; exec's mm is not yet to be reached by anybody else
    scope=Scope(exclude=(*Scope().exclude, "mm/vma.c", "mm/mmap.c", "mm/nommu.c", "fs/exec.c")),
    confidence=Confidence.HIGH,
)
def check(code: Code) -> Iterator[Report]:
    """From each release to the first use on every way that does not look the VMA up again."""
    for function in code.functions:
        statements = list(function.walk())
        names = vma_names(function) | _members(statements)
        if code.path.startswith("drivers/gpu/") and not any(mentions(s, *TYPED) for s in statements):
            names -= {"vma"}  # i915, nouveau and xe have a vma of their own
        around = conditions(function)
        objects = {lock_operand(call) for s in statements for call in (*locks(s), *unlocks(s))}
        if objects <= SAME:
            objects = objects and {"mm"}
        own = any(mentions(s, *OWN_LOCK) for s in statements)
        told: set[Token | Comment] = set()
        for statement in statements:
            if statement.kind is not StatementKind.EXPRESSION:
                continue
            for call in (*unlocks(statement), *calls(statement.tokens, *VMA_UNLOCKS)):
                by_mmap = call.name not in VMA_UNLOCKS
                if by_mmap and own:
                    continue
                here = (*around[statement], *told_near(code.flow(function), statement))
                for name in sorted(names):
                    if (name, False) in around[statement]:
                        continue  # released where there is no VMA
                    about = {name, f"{name}->vm_mm"} & {lock_operand(call) if by_mmap else call.text(0)}
                    if (len(objects) > 1 and by_mmap and not about) or (call.name == "vma_end_read" and not about):
                        continue
                    # a way on which the pointer is NULL is none on which it is stale
                    known = (*here, (name, True))
                    flags = frozenset(operand for operand, _ in known if operand.isidentifier()) - {name}
                    for report in _uses(code, function, statement, call, name, contradicts(known), flags):
                        # a second release by the same patch: the use is stale since the first
                        written = code.changed(*call.tokens) and code.changed(*report.at)
                        if written and report.at[0] in told:
                            continue
                        if written and report.at[0] is not call.tokens[0]:
                            told.add(report.at[0])
                        yield report
        if not own:
            yield from _behind_guards(code, function, names)
        if not function.whole and not objects and "fault" in (function.name or ""):
            yield from _while_signalling(function, names)


def _members(statements: Iterable[Statement]) -> frozenset[str]:
    """`p->vma` where the function itself shows that it is a VMA: by a lookup, or by the lock that is released."""
    found: set[str] = set()
    for statement in statements:
        tokens = statement.tokens
        unlocked = next(unlocks(statement), None) is not None
        for n, token in enumerate(tokens[:-4]):
            if token.kind is not Kind.WORD or tokens[n + 1].text != "->" or tokens[n + 2].kind is not Kind.WORD:
                continue
            if n and tokens[n - 1].text in ("->", "."):
                continue
            looked_up = tokens[n + 3].text == "=" and tokens[n + 4].text in LOOKUPS
            released = unlocked and [t.text for t in tokens[n + 3 : n + 6]] == ["->", "vm_mm", ")"]
            if looked_up or released:
                found.add(f"{token.text}->{tokens[n + 2].text}")
    return frozenset(sorted(found)[:MEMBERS])


def _uses(
    code: Code,
    function: Function,
    start: Statement,
    call: Call,
    name: str,
    cut: Callable[[Statement, Edge], bool],
    flags: Collection[str],
) -> Iterator[Report]:
    def stop(s: Statement) -> bool:
        return _renewed(s, name) or any(pointer_uses(s.tokens, name))

    for reached in code.flow(function).after(start, stop, cut):
        use = next(pointer_uses(reached.tokens, name), None)
        if use is None or (_renewed(reached, name) and not reads_first(reached, name)) or reached is start:
            continue
        if mentions(reached, *flags):
            continue  # `if (!dropped && vma->vm_ops)`: the statement knows itself
        if not _looked_up_before(code, function, start, name):
            return
        message = f"'{name}' is used after {call.name}() released the lock that kept it alive"
        if code.changed(*call.tokens) and not code.changed(*use):
            # the patch wrote the release, and only that: it is what the author is asked about
            yield Report(call.tokens, message, ((use, "used here"),), identity=use)
        else:
            yield Report(use, message, ((call.tokens, "released here"),))


def _behind_guards(code: Code, function: Function, names: frozenset[str]) -> Iterator[Report]:
    """A VMA that was looked up under guard(mmap_read_lock)(mm) or in a scoped_guard() and is used behind that scope."""
    held = guarded(function)
    for start, guard in held.items():
        for name in sorted(names):
            if not _renewed(start, name) or next(locks(start), None):
                continue

            def stop(s: Statement, name: str = name, guard: Call = guard) -> bool:
                return _renewed(s, name) or (held.get(s) is not guard and any(pointer_uses(s.tokens, name)))

            for reached in code.flow(function).after(start, stop, contradicts(((name, True),))):
                use = next(pointer_uses(reached.tokens, name), None)
                if use is None or held.get(reached) is guard:
                    continue
                if not _renewed(reached, name) or reads_first(reached, name):
                    yield Report(
                        use,
                        f"'{name}' is used behind the scope of the {guard.name} guard that kept it alive",
                        ((guard.tokens, "the lock of this scope"),),
                    )


def _looked_up_before(code: Code, function: Function, release: Statement, name: str) -> bool:
    """The lock that is released is the one under which the VMA was looked up, not one that was taken since."""
    flow = code.flow(function)
    earlier = list(flow.before(release, lambda s: next(locks(s), None) is not None))
    if any(_renewed(s, name) for s in earlier):
        return True
    given = not function.opened or any(t.text == name.split("->", maxsplit=1)[0] for t in function.header)
    return given and flow.entry in (release, *(s for s in earlier if next(locks(s), None) is None))


def _renewed(statement: Statement, name: str) -> bool:
    """The name stands for something else from here on."""
    if looked_up_by_loop(statement, name):
        return True
    if "->" in name:
        owner, _, member = name.partition("->")
        texts = [t.text for t in statement.tokens]
        if any(texts[n : n + 4] == [owner, "->", member, "="] for n, text in enumerate(texts) if text == owner):
            return True
        # who has the structure may have found another VMA for it; a fault's is none of theirs to change
        return owner in assigned(statement) or (
            name != "vmf->vma" and any(len(use) == 1 for use in pointer_uses(statement.tokens, owner))
        )
    return name in assigned(statement)


def _while_signalling(function: Function, names: frozenset[str]) -> Iterator[Report]:
    """An arch fault handler sends its signal with the lock dropped (arch/*/mm/fault.c): the VMA is gone by then.

    Only for a hunk that shows neither the lock nor its release; where they are seen, the flow decides.
    """
    for block in _blocks(function):
        signal = next((s for s in block if any("force_sig_fault" in t.text for t in s.tokens)), None)
        if signal is None:
            continue
        for s in block[: block.index(signal)]:
            for name in sorted(names):
                use = next(pointer_uses(s.tokens, name), None)
                if use:
                    yield Report(
                        use,
                        f"'{name}' is used where the fault handler signals, with the lock that kept it alive released",
                        ((signal.tokens[:1], "signal sent here"),),
                    )
                    return


def _blocks(function: Function) -> Iterator[list[Statement]]:
    yield list(function.statements)
    for s in function.walk():
        if s.body:
            yield list(s.body)
        if s.orelse:
            yield list(s.orelse)
