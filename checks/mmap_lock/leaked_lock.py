# SPDX-License-Identifier: GPL-2.0-or-later
"""A way out of a function on which mmap_lock stays locked, or a lock released by what does not fit it"""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.c.code import Call, Code, assigned, calls
from reviewbot.c.flow import bare
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Token
from reviewbot.kernel import MMAP_UNLOCKS, RAW_UNLOCKS, lock_operand, takes_vm_fault
from reviewbot.locks import HELD, LockPaths, Mode, State, lock_paths
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, code_rule

UNLOCKS = (*MMAP_UNLOCKS, *RAW_UNLOCKS)
WRITE_UNLOCKS = ("mmap_write_unlock", "up_write")
# functions of these names return with the lock held by contract: m_start(), uffd_move_lock(), fixup_user_fault()
BY_CONTRACT = ("lock", "start", "begin", "fault")
# 0 or true when taken: include/linux/mmap_lock.h:118, :165, :175; include/linux/rwsem.h
MAY_FAIL = (
    "mmap_read_lock_killable", "mmap_write_lock_killable", "mmap_read_trylock", "mmap_write_trylock",
    "down_read_killable", "down_write_killable", "down_read_trylock", "down_write_trylock",
)  # fmt: skip
ANNOTATIONS = ("__acquires", "__releases", "__must_hold", "__cond_acquires", "__cond_lock")
# variables that hold an error code, or how far the function came: what is returned says nothing of the lock
RESULTS = frozenset("ret rc err error retval result res status r rv ret_val rval count copied done".split())
ERRORS = ("-E", "-1", "ERR_PTR(", "ERR_CAST(", "PTR_ERR(", "VM_FAULT_")
JUMPS = (StatementKind.GOTO, StatementKind.BREAK)


@code_rule(
    Severity.ERROR,
    id="ML07",
    words=("mmap_read_", "mmap_write_", "mmap_sem"),
    confidence=Confidence.HIGH,
)
def check(code: Code) -> Iterator[Report]:
    """Every way out on which the lock is surely held that was taken here, in functions that release it elsewhere."""
    for function in code.functions:
        for paths in lock_paths(code, function):
            if paths.cut or function.macro:
                continue
            if not function.whole and any(call.name not in UNLOCKS for call in paths.calls):
                code.abstain()  # what is not seen may release it, or leave with it
            yield from _mismatched(function, paths)
            yield from _again(code, function, paths)
            if _by_contract(code, function):
                continue
            yield from _inverted(code, function, paths) if paths.given else _leaked(code, function, paths)


def _mismatched(function: Function, paths: LockPaths) -> Iterator[Report]:
    """An unlock of the other flavour, or a second one."""
    for statement in function.walk():
        released = [call for call in calls(statement.tokens, *UNLOCKS) if lock_operand(call) in paths.names]
        states = paths.states(statement)
        if len(released) != 1 or not states or sum(1 for _ in calls(statement.tokens, *paths.words)) != 1:
            continue
        call, before = released[0], paths.call(states[0])
        modes = {state.mode for state in states}
        if before is None or len(modes) != 1:
            continue
        mode = modes.pop()
        taken = ((before.tokens, "taken here"),)
        if mode is Mode.READ and call.name in WRITE_UNLOCKS:
            downgraded = "downgrade" in before.name
            done = "downgraded" if downgraded else "took for reading"
            related = ((before.tokens, "downgraded here"),) if downgraded else taken
            yield Report(call.tokens, f"{call.name}() releases what {before.name}() {done}", related)
        elif mode is Mode.WRITE and call.name not in WRITE_UNLOCKS:
            yield Report(call.tokens, f"{call.name}() releases what {before.name}() took for writing", taken)
        elif mode is Mode.READ and ("non_owner" in before.name) is not ("non_owner" in call.name):
            if not any("rwsem_release" in t.text for s in function.walk() for t in s.tokens):
                yield Report(call.tokens, f"{call.name}() does not pair with {before.name}()", taken)
        elif mode is Mode.FREE and all((by := paths.call(s)) and by.name in UNLOCKS for s in states):
            yield Report(
                call.tokens,
                f"{call.name}() releases mmap_lock a second time",
                ((before.tokens, "released here"),),
            )


def _again(code: Code, function: Function, paths: LockPaths) -> Iterator[Report]:
    """An unlock to which some ways come with the lock held, and one surely with it released, or never taken."""
    statements = list(function.walk())
    ends: dict[Statement, Call] = {}  # unlocks that some ways, not all, come to with the lock held
    for s in statements:
        found = [call for call in calls(s.tokens, *UNLOCKS) if lock_operand(call) in paths.names]
        modes = {state.mode for state in paths.states(s)}
        if len(found) == 1 and modes & set(HELD) and modes & {Mode.FREE, Mode.GIVEN} and Mode.UNSURE not in modes:
            ends[s] = found[0]
    told: set[Statement] = set()
    for s in statements if ends else ():
        if not paths.touches(s) or sum(1 for _ in calls(s.tokens, *paths.words)) != 1:
            continue
        call = next(calls(s.tokens, *UNLOCKS), None)
        if call and paths.held(s):
            end = _comes_to(code, function, paths, s)
            if end in ends and end not in told and end is not s and lock_operand(ends[end]) == lock_operand(call):
                told.add(end)
                related = ((call.tokens, "released here"),)
                yield Report(ends[end].tokens, f"{ends[end].name}() releases mmap_lock a second time", related)
        call = next(calls(s.tokens, *MAY_FAIL), None)
        if call is None or s.kind is not StatementKind.IF or not s.body or not paths.states(s.body[0]):
            continue
        inner, _ = bare(s.tokens)
        if len(inner) != len(call.tokens) or {state.mode for state in paths.states(s.body[0])} - {Mode.GIVEN}:
            continue
        end = _comes_to(code, function, paths, s.body[0], first=True)
        if end not in ends or end in told or lock_operand(ends[end]) != lock_operand(call):
            continue
        if all(paths.call(state) in (None, call) for state in paths.states(end)):
            told.add(end)
            what = f"{ends[end].name}() releases mmap_lock where {call.name}() has failed"
            yield Report(ends[end].tokens, what, ((call.tokens, "may not take it"),))


def _comes_to(
    code: Code, function: Function, paths: LockPaths, start: Statement, first: bool = False
) -> Statement | None:
    """The one statement about the lock to which every way from `start` comes; `first`: it may be `start` itself."""
    if first and paths.touches(start):
        return start
    flow, name = code.flow(function), paths.operand
    if start.kind is StatementKind.RETURN:
        return None
    found = None
    for s in flow.after(start, paths.touches):
        if paths.touches(s):
            if found is not None or s.kind is StatementKind.OPAQUE:
                return None
            found = s
        elif (
            s.kind in (StatementKind.RETURN, StatementKind.OPAQUE)
            or not flow.edges(s)
            or any(edge.to is None for edge in flow.edges(s))
            or name in assigned(s)
        ):
            return None
    return found if found is not start else None


def _inverted(code: Code, function: Function, paths: LockPaths) -> Iterator[Report]:
    """`if (mmap_read_trylock(mm)) return -EAGAIN;`: leaves where it is taken, releases it where it is not."""
    flow, numeric = code.flow(function), _numeric(function)
    unlocks = [(s, call) for s in function.walk() for call in calls(s.tokens, *UNLOCKS) if paths.touches(s)]
    for s in function.walk():
        call = next(calls(s.tokens, *MAY_FAIL), None) if paths.touches(s) else None
        if call is None:
            continue
        held = [n for n, by in enumerate(paths.calls) if by.tokens[0] is call.tokens[0]]
        if not held or any(state.by in held for u, _ in unlocks for state in paths.states(u)):
            continue
        ends = [e for e in paths.exits if e.state.by in held and e.state.mode in HELD]
        if not ends or not all(_leaks(e.statement, set(), [], numeric) for e in ends):
            continue
        after = set(flow.after(s, lambda _: False))
        for u, unlock in unlocks:
            states = paths.states(u)
            if u in after and states and all(state.mode is Mode.GIVEN for state in states):
                related = ((_place(code, ends[0].statement), "returns with it held"), (unlock.tokens, "releases it"))
                yield Report(call.tokens, f"the result of {call.name}() is tested the wrong way round", related)
                break


def _leaked(code: Code, function: Function, paths: LockPaths) -> Iterator[Report]:
    exits = [e for e in paths.exits if e.state.mode in HELD]
    statements = list(function.walk())
    touching = [s for s in statements if paths.touches(s)]
    unlocks = [s for s in touching if any(call.name in UNLOCKS for call in calls(s.tokens, *UNLOCKS))]
    taken = {call.tokens[0]: s for s in touching for call in calls(s.tokens, *paths.words)}
    flow = code.flow(function)
    leading = {s for t in touching for s in flow.before(t, paths.touches)}
    free = {_text(e.statement) for e in paths.exits if e.state.mode is Mode.FREE}
    numeric = _numeric(function)
    reached: set[Statement] = set()

    def culprit(s: Statement) -> tuple[State, Call] | None:
        """The state in which a statement is surely reached, where an unlock of that lock follows in the text."""
        state = paths.held(s)
        call = paths.call(state) if state else None
        if state is None or call is None or len(paths.states(s)) != 1 or call.tokens[0] not in taken:
            return None
        start = taken[call.tokens[0]].extent[0]
        return (state, call) if any(u.extent[0] > start for u in unlocks) else None

    for s in statements:
        found = culprit(s) if s.kind in (*JUMPS, StatementKind.CONTINUE) else None
        if not found:
            continue
        state, call = found
        if s.kind in JUMPS and s not in leading:
            after = list(flow.after(s, lambda _: False))
            ends = [e for e in exits if e.state == state and e.statement in after]
            if any(_leaks(e.statement, free, unlocks, numeric) for e in ends):
                reached.update(after)
                yield _report(code, function, s, call, "leaves")
        elif s.kind in (StatementKind.GOTO, StatementKind.CONTINUE):
            again = taken[call.tokens[0]]
            if state in paths.states(again) and again in set(flow.after(s, paths.touches)):
                yield _report(code, function, s, call, "goes back to")
    for e in exits:
        s = e.statement
        found = culprit(s) if s.kind is StatementKind.RETURN and s not in reached else None
        if found and found[0] == e.state and _leaks(s, free, unlocks, numeric):
            yield _report(code, function, s, found[1], "returns")


def _numeric(function: Function) -> bool:
    """It returns a number, by its header: no pointer, nor a yes or no."""
    texts = [t.text for t in function.header]
    before = texts[: texts.index(function.name)] if function.name in texts else []
    return bool(before) and not {"*", "bool"} & set(before)


def _leaks(s: Statement, free: set[str], unlocks: list[Statement], numeric: bool) -> bool:
    """What is returned is not what says that the lock is held: an error, a result, or what an unlocked way returns."""
    text = _text(s)
    if text in ("", "NULL", "false") or text in RESULTS or text.startswith(ERRORS):
        return True
    if numeric and text.isidentifier() and not text.isupper() and text != "true":
        return True
    if text in ("0", "true") or text.isupper():
        return bool(free & {text, *RESULTS}) and any(u.extent[0] > s.extent[0] for u in unlocks)
    return text in free and "(" not in text


def _text(s: Statement) -> str:
    return "".join(t.text for t in s.tokens) if s.kind is StatementKind.RETURN else ""


def _report(code: Code, function: Function, s: Statement, call: Call, how: str) -> Report:
    name = f"{function.name}()" if function.name else "the function"
    message = {
        "returns": f"{name} returns with mmap_lock held by {call.name}()",
        "leaves": f"{name} leaves with mmap_lock held by {call.name}(): no unlock follows this {s.kind}",
        "goes back to": f"{name} goes back to {call.name}() with mmap_lock held",
    }[how]
    at = _place(code, s)
    # another error code makes no other leak
    return Report(at, message, ((call.tokens, "taken here"),), identity=[*call.tokens, *at[:1]])


def _place(code: Code, s: Statement) -> list[Token]:
    """The keyword, which is not among a statement's tokens, and what stands behind it."""
    line = s.span[0]
    return [*(t for t in code.tokens if t.line == line and t.text == s.kind.value), *s.tokens]


def _by_contract(code: Code, function: Function) -> bool:
    """By its name, an annotation or its comment a function may return with the lock held."""
    name = function.name or ""
    if any(word in name.lower() for word in BY_CONTRACT) or takes_vm_fault(function):
        return True
    if any(t.text in ANNOTATIONS for t in function.header):
        return True
    line = next((t.line for t in function.header if t.line >= 0), 0) - 1
    text = ""
    for comment in reversed(code.comments):
        if comment.line == line:
            text, line = comment.text + text, line - 1
    return any(word in text for word in ("mmap_lock", "mmap_sem", "mmap lock")) and any(
        word in text for word in (" held", "locked", "unlocks", "releases", "drops", "takes")
    )
