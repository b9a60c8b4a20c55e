# SPDX-License-Identifier: GPL-2.0-or-later
"""A way out of a function on which mmap_lock stays locked, or a lock released by what does not fit it"""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.c.code import Call, Code, calls
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
            yield from _mismatched(function, paths)
            if not (paths.given or _by_contract(code, function)):
                yield from _leaked(code, function, paths)


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
    return Report(_place(code, s), message, ((call.tokens, "taken here"),))


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
