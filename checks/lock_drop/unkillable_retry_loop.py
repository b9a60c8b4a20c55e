# SPDX-License-Identifier: GPL-2.0-or-later
"""A loop that tries a fault again cannot be ended by a signal, or ignores the error that came with the dropped lock"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from reviewbot.c.code import Call, Code, calls
from reviewbot.c.flow import endless, facts, split
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Kind, Token
from reviewbot.kernel import mentions
from reviewbot.model import Severity
from reviewbot.rule import Report, code_rule

# its result is out of date by the time it is used: -EBUSY (mm/hmm.c:582). gup and fixup_user_fault() look for signals
# themselves, and say -EINTR
HMM = ("hmm_range_fault", "hmm_range_fault_unlocked", "hmm_range_fault_unlockable")
# what ends a loop, or lets others run: a signal, a time, a count, a sleep
ENDS = (
    "signal_pending", "cond_resched", "killable", "interruptible", "time_after", "time_before", "jiffies", "timeout",
    "ktime", "schedule", "msleep", "usleep", "ssleep", "wait_", "_wait", "might_resched", "deadline",
)  # fmt: skip
COUNTS = ("tries", "retr", "attempt", "count", "loops", "max", "limit")


class _Loop(NamedTuple):
    """A way back: the condition under which it is taken, and what is done in every turn."""

    condition: tuple[Token, ...]
    body: tuple[Statement, ...]
    truth: bool = True  # False: the condition is that under which the loop is left


@code_rule(Severity.WARNING, id="DR08", words=("hmm", "handle_mm_fault", "locked"))
def check(code: Code) -> Iterator[Report]:
    """Loops around a fault, by while, by continue and by goto."""
    helpers = _helpers(code)
    for function in code.functions:
        for loop in _loops(function):
            if report := _error_ignored(loop):
                yield report
            elif _again(loop) and not _ends(loop.condition, loop.body):
                fault = next((c for s in loop.body for c in _faults(s, helpers)), None)
                if fault is not None and not (fault.name == "handle_mm_fault" and _others_ask(loop)):
                    yield Report(
                        loop.condition,
                        f"{fault.name}() is tried again until it succeeds: no signal, time or count ends the loop",
                        ((fault.tokens, "tried again"),),
                    )


def _helpers(code: Code) -> frozenset[str]:
    """Functions of the file that call hmm_range_fault() and do not themselves look for a signal."""
    return frozenset(
        f.name
        for f in code.functions
        if f.name and not f.macro and any(next(calls(s.tokens, *HMM), None) for s in f.walk())
        if not _ends((), tuple(f.walk()))
    )


def _faults(statement: Statement, helpers: Collection[str]) -> Iterator[Call]:
    """What is tried again; a function that is not seen is taken by its name."""
    unseen = {t.text for t in statement.tokens if t.kind is Kind.WORD and "hmm" in t.text and "fault" in t.text}
    yield from calls(statement.tokens, "handle_mm_fault", *HMM, *helpers, *unseen)


def _others_ask(loop: _Loop) -> bool:
    """The result of the fault is handed to a function: sh's mm_fault_error() looks for the signal."""
    return any(
        before.text in ("(", ",") and after.text in (")", ",") and token.text in ("fault", "ret")
        for s in loop.body
        for before, token, after in zip(s.tokens, s.tokens[1:], s.tokens[2:], strict=False)
    )


def _loops(function: Function) -> Iterator[_Loop]:
    every = list(function.walk())
    labels = {s.tokens[0].text: n for n, s in enumerate(every) if s.kind is StatementKind.LABEL and s.tokens}
    stack: list[Statement] = []  # what is open around the statement at hand
    for n, s in enumerate(every):
        while stack and not stack[-1].holds(s):
            stack.pop()
        if s.kind in (StatementKind.LOOP, StatementKind.DO) and s.complete and s.head in ("while", "do"):
            if not endless(s):
                yield _loop(function, s, [x for x in s.walk() if x is not s])
        elif s.kind in (StatementKind.CONTINUE, StatementKind.BREAK, StatementKind.RETURN) and len(stack) > 1:
            test = stack[-1]
            loop = next((x for x in reversed(stack) if x.kind in (StatementKind.LOOP, StatementKind.DO)), None)
            # a break in a switch leaves that
            inside = stack[stack.index(loop) :] if loop is not None else ()
            if (
                test.kind is StatementKind.IF
                and not any(x.kind is StatementKind.SWITCH for x in inside)
                and s in test.body
                and loop is not None
                and loop.complete
                and endless(loop)
            ):
                body = [x for x in loop.walk() if x is not loop]
                yield _loop(function, test, body, truth=s.kind is StatementKind.CONTINUE)
        elif s.kind is StatementKind.GOTO and s.tokens and labels.get(s.tokens[0].text, n) < n and stack:
            test = stack[-1]
            if test.kind is StatementKind.IF and s in test.body:
                yield _loop(function, test, every[labels[s.tokens[0].text] : n])
        if s.body or s.orelse:
            stack.append(s)


def _loop(function: Function, condition: Statement, body: Sequence[Statement], *, truth: bool = True) -> _Loop:
    """Its statements are looked at once more: loops may lie within each other, and many gotos go to one label."""
    for _ in body:
        function.effort.spend()
    return _Loop(condition.tokens, tuple(body), truth)


def _again(loop: _Loop) -> bool:
    """It goes on because of -EBUSY, -EAGAIN, VM_FAULT_RETRY, or because the lock was dropped."""
    for part in split(loop.condition, "||" if loop.truth else "&&"):
        for operand, true in facts(part, loop.truth):
            name, equals, value = operand.partition("==")
            if true and equals and value in ("-EBUSY", "-EAGAIN"):
                return True
            if true and name.endswith("VM_FAULT_RETRY"):
                return True
            if (not true and name in ("locked", "mmap_locked")) or (true and name == "unlocked"):
                return True
    return False


def _ends(condition: Sequence[Token], body: Sequence[Statement]) -> bool:
    """Something else ends the loop, or makes it wait."""
    for tokens in (condition, *(s.tokens for s in body)):
        for n, token in enumerate(tokens):
            if token.text in ("++", "--", "-=", "+="):
                near = tokens[max(0, n - 1) : n + 2]
                if any(word in t.text.lower() for t in near for word in COUNTS):
                    return True
            if token.kind is Kind.WORD and any(word in token.text for word in ENDS):
                return True
            compared = n + 1 < len(tokens) and tokens[n + 1].text in ("<", "<=", ">", ">=")
            if compared and any(word in token.text.lower() for word in COUNTS):
                return True
    return False


def _error_ignored(loop: _Loop) -> Report | None:
    """`while (!locked || ret == -EBUSY)`: with the lock dropped the error of a fatal signal is not looked at."""
    if not loop.truth:
        return None
    parts = split(loop.condition, "||")
    for part in parts:
        told = facts(part, True)
        if len(told) != 1 or told[0][1] or not told[0][0].endswith("locked"):
            continue
        name = told[0][0]
        for s in loop.body:
            target = _result(s, name)
            if target is None:
                continue
            rest = loop.body[loop.body.index(s) + 1 :]
            # who asks for the error and leaves, or goes on only without one, has seen it
            if any(x.kind is StatementKind.IF and mentions(x, target.name) and _leaves(x) for x in rest):
                return None
            return Report(
                loop.condition,
                f"the loop goes on while '{name}' is 0, whatever '{target.name}' says: the -EINTR of a fatal signal "
                "comes with the lock dropped",
                ((target.call.tokens, "may fail with the lock dropped"),),
            )
    return None


class _Target(NamedTuple):
    name: str
    call: Call


def _result(statement: Statement, locked: str) -> _Target | None:
    """`ret = f(.., &locked, ..)`."""
    tokens = statement.tokens
    for n, token in enumerate(tokens):
        if token.text == "=" and n + 2 < len(tokens) and tokens[n + 2].text == "(" and tokens[n - 1].kind is Kind.WORD:
            call = next(calls(tokens[n + 1 :], tokens[n + 1].text), None)
            if call and any([t.text for t in a] == ["&", locked] for a in call.arguments):
                return _Target(tokens[n - 1].text, call)
    return None


def _leaves(statement: Statement) -> bool:
    kinds = (StatementKind.BREAK, StatementKind.RETURN, StatementKind.GOTO)
    return any(s.kind in kinds for s in statement.walk())
