# SPDX-License-Identifier: GPL-2.0-or-later
"""The mmap_lock of an mm that may be torn down: another one's without a reference to its users, or after mmput()"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from reviewbot.c.code import Call, Code, assigned, calls
from reviewbot.c.skeleton import Function, Statement
from reviewbot.c.tokens import Token
from reviewbot.kernel import MMAP_UNLOCKS, RAW_UNLOCKS, has_word, lock_operand, locks, mentions, variable_tokens
from reviewbot.locks import LockPaths, lock_paths
from reviewbot.model import Severity
from reviewbot.rule import Report, Scope, code_rule

# what gives an mm's user count, or shows that somebody has it: include/linux/sched/mm.h,
# kernel/fork.c, mm/mmu_notifier.c
GETS = (
    "mmget", "mmget_not_zero", "get_task_mm", "mm_access", "mm_alloc", "dup_mm", "kthread_use_mm", "use_mm",
    "proc_mem_open", "atomic_inc_not_zero", "mmu_notifier_get", "mmu_notifier_register", "__mmu_notifier_register",
    "mmu_interval_notifier_insert", "atomic_inc", "exec_mm", "lock_mm_and_find_vma", "mm_users", "svm_range_get_mm",
)  # fmt: skip
# of those, what can be for nothing but the users of an mm
USERS = (
    "mmget", "mmget_not_zero", "get_task_mm", "mm_access", "mm_alloc", "dup_mm", "kthread_use_mm", "use_mm",
    "proc_mem_open", "mm_users",
)  # fmt: skip
PUTS = ("mmput", "mmput_async")


@code_rule(
    Severity.WARNING,
    id="ML09",
    words=("mmap_read_", "mmap_write_lock", "mmap_sem"),
    # fork, exec and exit work on an mm that nobody else has, or not any more
    scope=Scope(exclude=(*Scope().exclude, "kernel/fork.c", "fs/exec.c", "kernel/exit.c", "mm/mmap.c")),
)
def check(code: Code) -> Iterator[Report]:
    """Locks of an mm that comes from a task or from a structure which keeps none of its users, and unlocks too late."""
    for function in code.functions:
        if function.macro:
            continue
        for paths in lock_paths(code, function):
            yield from _put(code, function, paths)
        taken = [call for s in function.walk() for call in locks(s)]
        if not taken or any(mentions(s, *GETS, "current") for s in function.walk()):
            continue
        for call in taken:
            source = _source(function, call)
            if source is None:
                continue
            comes = ((source, "comes from here"),) if source[0] not in call.tokens else ()
            if _of_task(function, source):
                yield Report(call.tokens, f"{call.name}() locks the mm of a task that may exit meanwhile", comes)
                continue
            grabbed = _grabbed(function, call)
            if grabbed and not code.once("mm users taken", _users):
                message = f"{call.name}() locks an mm that mmgrab() alone keeps, without a reference to its users"
                yield Report(call.tokens, message, ((grabbed.tokens, "keeps the structure only"),))
                continue
            if code.once("mm references", _gets):
                continue  # somebody takes one
            member, weak = source[-1].text, not comes
            kept = code.once(f"mm in {member}, {weak}", partial(_kept, member=member, weak=weak))
            if kept:
                here = tuple((place, "kept here") for file, place in kept if file is code)
                yield Report(
                    call.tokens,
                    f"{call.name}() locks an mm that '{source[-1].text}' keeps without a reference to its users",
                    (*comes, *here[:1]),
                )


def _source(function: Function, call: Call) -> list[Token] | None:
    """`x->mm` of mmap_read_lock(x->mm), or of the only assignment to the local variable that is locked."""
    operand = lock_operand(call)
    if operand.isidentifier():
        given = any(t.text == operand for t in function.header)
        tokens = [] if given else variable_tokens(function, operand)
    else:
        tokens = [t for t in call.arguments[0] if t.text not in ("&", "mmap_sem", "mmap_lock")]
        if tokens and tokens[-1].text == "->":
            tokens.pop()
    texts = [t.text for t in tokens]
    chain = len(texts) >= 3 and len(texts) % 2 == 1 and set(texts[1::2]) <= {"->", "."}
    if not chain or not {"vma", "vmf"}.isdisjoint(texts) or texts[-1] in ("vm_mm", "active_mm"):
        return None
    return tokens


def _of_task(function: Function, source: list[Token]) -> bool:
    """The structure is a task_struct that the function has found; what it was given may be the current one."""
    if len(source) != 3 or source[-1].text != "mm":
        return False
    for s in function.walk():
        texts = [t.text for t in s.tokens]
        if "task_struct" in texts and any(
            texts[n - 1] == "*" for n, t in enumerate(texts) if t == source[0].text and n
        ):
            return True
    return False


def _grabbed(function: Function, lock: Call) -> Call | None:
    """The mmgrab() of the locked mm in the same function: what somebody else kept would need none."""
    found = (call for s in function.walk() for call in calls(s.tokens, "mmgrab"))
    return next((call for call in found if call.text(0) == lock_operand(lock)), None)


def _users(files: Sequence[Code]) -> bool:
    return any(file.says(*USERS) and has_word(file.tokens, *USERS) for file in files)


def _gets(files: Sequence[Code]) -> bool:
    return any(file.says(*GETS) and has_word(file.tokens, *GETS) for file in files)


def _kept(files: Sequence[Code], member: str, weak: bool) -> list[tuple[Code, tuple[Token, ...]]]:
    """Where an mm is put into a member of that name: `x->member = mm`; where `weak`, only beside an mmgrab()."""
    found = []
    for file in files:
        if not file.says(member) or (weak and not has_word(file.tokens, "mmgrab")):
            continue
        tokens = file.tokens
        for n in file.words(member):
            texts = [t.text for t in tokens[n + 1 : n + 6]]
            whose = texts[1:3] == ["mm", ";"] or texts[1:5] == ["current", "->", "mm", ";"]
            if n > 1 and tokens[n - 1].text in ("->", ".") and texts[:1] == ["="] and whose:
                found.append((file, tuple(tokens[n - 2 : n + 3])))
    return found


def _put(code: Code, function: Function, paths: LockPaths) -> Iterator[Report]:
    """An unlock that the flow comes to with the lock held, behind mmput() of the same mm."""
    for statement in function.walk():
        for put in calls(statement.tokens, *PUTS):
            if put.text(0) not in paths.names or paths.held(statement) is None:
                continue
            name = put.text(0)

            def stop(s: Statement, name: str = name) -> bool:
                return paths.touches(s) or _renewed(s, name)

            for s in code.flow(function).after(statement, stop):
                unlock = next(
                    (c for c in calls(s.tokens, *MMAP_UNLOCKS, *RAW_UNLOCKS) if lock_operand(c) in paths.names), None
                )
                if unlock and not _renewed(s, name):
                    yield Report(
                        unlock.tokens,
                        f"{unlock.name}() comes after {put.name}(), which may have freed the mm",
                        ((put.tokens, "put here"),),
                    )


def _renewed(s: Statement, name: str) -> bool:
    return name in assigned(s) or mentions(s, *GETS)
