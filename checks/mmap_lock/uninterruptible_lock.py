# SPDX-License-Identifier: GPL-2.0-or-later
"""The mmap_lock is waited for uninterruptibly where a killed task could leave with an error"""

from __future__ import annotations

import re
from collections.abc import Iterator

from reviewbot.c.code import Call, Code, calls
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Kind
from reviewbot.kernel import MMAP_UNLOCKS, has_word, is_mm, takes_vm_fault
from reviewbot.model import Severity
from reviewbot.rule import Report, Scope, code_rule

KILLABLE = {"mmap_read_lock": "mmap_read_lock_killable", "mmap_write_lock": "mmap_write_lock_killable"}
# fault in pages, and may be at it for long; they return an error: mm/gup.c:1635, :1866, :2450-3680, mm/hmm.c:582
FAULTS = re.compile(
    r"fixup_user_fault\Z|(?:__)?(?:get|pin)_user_pages(?:_remote|_locked)?\Z|hmm_range_fault\w*\Z|faultin_page_range\Z"
    r"|populate_vma_page_range\Z|do_mmap\Z|__access_remote_vm\Z"
)
# another task's mm, which that task may hold for as long as it likes: kernel/fork.c, mm/rmap.c
FOREIGN = ("get_task_mm", "mm_access", "mmget_not_zero", "proc_mem_open")
HANDLER = re.compile(
    r"(?:\A|_)ioctl(?:\Z|_)|\A(?:(?:__|do_)?sys|ksys|prctl)_|_(?:show|store|seq_start)\Z|\Aproc_\w+(?:read|write|open)\Z"
)
_MOST = 20  # loops of a function that are looked at
# types of a function that returns no errno
NO_ERRNO = ("void", "bool", "vm_fault_t", "irqreturn_t", "u32", "unsigned", "u64", "gfp_t")


@code_rule(
    Severity.INFO,
    id="ML08",
    since="v5.8",
    words=("mmap_read_lock", "mmap_write_lock"),
    scope=Scope(exclude=(*Scope().exclude, "include/linux/mmap_lock.h", "lib/test_lockup.c")),
)
def check(code: Code) -> Iterator[Report]:
    """Syscalls, ioctls, other tasks' mms, calls that fault pages in: where an error is returned anyway."""
    for function in code.functions:
        if function.macro or takes_vm_fault(function) or _no_errno(function):
            continue
        found = [
            (statement, call)
            for statement in function.walk()
            if statement.kind is StatementKind.EXPRESSION
            for call in calls(statement.tokens, *KILLABLE)
            if call.tokens[0] is statement.tokens[0] and call.arguments and is_mm(call.arguments[0])
        ]
        if not found:
            continue
        known = _Known(function)
        for statement, call in found:
            if has_word(call.arguments[0], "init_mm"):
                continue
            why = _why(code, function, statement, call, known)
            if why:
                text = f"{call.name}() in {function.name or 'this function'}() cannot be interrupted, though {why}"
                yield Report(call.tokens, text)


class _Known:
    """What is asked of a function more than once."""

    def __init__(self, function: Function) -> None:
        self.exit: int | None = None  # where the first error is returned or set
        self.foreign = False
        self.labels: dict[str, int] = {}
        self.gotos: list[tuple[int, str]] = []
        self.returned: dict[str, int] = {}  # variable -> where it is last returned
        for s in function.walk():
            here = s.extent[0]
            if self.exit is None and _error(s):
                self.exit = here
            self.foreign = self.foreign or has_word(s.tokens, *FOREIGN)
            if s.kind is StatementKind.LABEL:
                self.labels[s.tokens[0].text] = here
            elif s.kind is StatementKind.GOTO and s.tokens:
                self.gotos.append((here, s.tokens[0].text))
            elif s.kind is StatementKind.RETURN:
                self.returned.update((t.text, here) for t in s.tokens if t.kind is Kind.WORD)
        # where gotos lead back over: (first, last)
        self.loops = [(self.labels[to], at) for at, to in self.gotos if self.labels.get(to, at) < at]


def _no_errno(function: Function) -> bool:
    """Its type says that it returns no error."""
    head = []
    for token in function.header:
        if token.text == "(":
            break
        head.append(token.text)
    return any(word in head for word in NO_ERRNO) and "long" not in head


def _error(statement: Statement) -> bool:
    """`return -EINVAL`, `ret = -EFAULT`, `return ERR_PTR(-ENOMEM)`: there is a way out with an error."""
    tokens = statement.tokens
    if statement.kind is not StatementKind.RETURN and "=" not in [t.text for t in tokens[1:3]]:
        return False
    return any(
        t.kind is Kind.WORD and t.text.startswith("E") and t.text[1:].isupper() and n and tokens[n - 1].text == "-"
        for n, t in enumerate(tokens)
    )


def _why(code: Code, function: Function, statement: Statement, call: Call, known: _Known) -> str | None:
    here = statement.extent[0]
    if not code.path.startswith("mm/"):
        if known.exit is not None and known.exit < here:
            if known.foreign and call.text(0) != "current->mm":
                return "the mm may be another task's and there is a way out with an error"
            if _handler(function):
                return "a system call can return -EINTR"
            if any(first < here < last for first, last in known.loops[:_MOST]):
                return "it is tried again and there is a way out with an error"
    elif not function.header or has_word(function.header, "static"):
        return None
    # the error of a call that faults pages in goes to the caller
    for inside in code.flow(function).after(statement, lambda s: has_word(s.tokens, *MMAP_UNLOCKS)):
        name = next((t.text for t in inside.tokens if t.kind is Kind.WORD and FAULTS.match(t.text)), None)
        if name and known.returned.get(_target(inside), -1) > inside.extent[0]:
            return f"the error of {name}() is returned anyway"
    return None


def _handler(function: Function) -> bool:
    head = function.header[0].text if function.header else ""
    return (
        head.startswith(("SYSCALL_DEFINE", "COMPAT_SYSCALL_DEFINE"))
        # the read and write of a file's operations: struct file *file, char __user *buf
        or (has_word(function.header, "file") and has_word(function.header, "__user"))
        or bool(function.name and HANDLER.search(function.name))
    )


def _target(statement: Statement) -> str:
    """The variable that a statement assigns to."""
    tokens = statement.tokens
    at = next((n for n, t in enumerate(tokens) if t.text == "="), 0)
    return tokens[at - 1].text if at else ""
