# SPDX-License-Identifier: GPL-2.0-or-later
"""A lockdep assertion is given the lock itself instead of a pointer to it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from reviewbot.checks.lockdep._asserts import LOCKDEP, RWSEM

from reviewbot.c.code import Call, Code
from reviewbot.c.tokens import Kind, Token
from reviewbot.kernel import is_mm, substituted
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, code_rule

# include/linux/lockdep.h:284-297, :549-561; include/linux/rwsem.h:78-206
CALLS = (
    *LOCKDEP,
    "lockdep_assert_not_held",
    *RWSEM,
    "might_lock",
    "might_lock_read",
    "might_lock_nested",
)
# members that are locks, not pointers to one, in the one structure that has them: include/linux/fs.h (struct inode,
# address_space, super_block), dcache.h, mm_types.h, sched.h, sched/signal.h, mmzone.h, kvm_host.h
OBJECTS = frozenset(
    (
        "i_rwsem i_lock i_mmap_rwsem invalidate_lock s_umount s_vfs_rename_mutex d_lock page_table_lock alloc_lock "
        "pi_lock cred_guard_mutex exec_update_lock slots_lock slots_arch_lock"
    ).split()
)
# too many structures have these for one to tell of another
COMMON = frozenset("lock mutex sem rwsem mtx lk spinlock rwlock".split())
_LOCKISH = re.compile(r"(?:\A|_)(?:lock|mutex|sem|rwsem|mtx|spinlock|rwlock)\Z")
_SLEEPING = re.compile(r"(?:\A|_)(?:mutex|sem|rwsem|mtx)\Z")
_TYPES = frozenset(
    "spinlock_t raw_spinlock_t rwlock_t seqlock_t mutex rw_semaphore ww_mutex percpu_rw_semaphore".split()
)
_GLOBALS = re.compile(r"DEFINE_(?:STATIC_)?(?:RAW_)?(?:MUTEX|SPINLOCK|RWLOCK|PERCPU_RWSEM|WW_MUTEX)\Z|DECLARE_RWSEM\Z")
_TAKES = re.compile(
    r"(?:raw_)?(?:spin|read|write|mutex|down|up|rt_mutex|ww_mutex|percpu|lockdep|might_lock|init_rwsem|seqlock)\w*\Z"
)


class _Known(NamedTuple):
    """What a file tells of its locks, by the text of an operand and by the name of a member."""

    addressed: frozenset[str]  # f(&a->b): "a->b", and its suffixes
    plain: frozenset[str]  # spin_lock(a->b): "a->b"
    members: frozenset[str]  # members that are addressed
    pointers: frozenset[str]  # names that are a pointer to a lock
    objects: frozenset[str]  # names that are declared as a lock
    globals: frozenset[str]  # DEFINE_MUTEX(x)


@code_rule(
    Severity.ERROR,
    id="LD04",
    words=("lockdep_assert_", "might_lock", "rwsem_assert_"),
    confidence=Confidence.HIGH,
    fix=True,
)
def check(code: Code) -> Iterator[Report]:
    """Surely so where the file takes the lock's address elsewhere or declares it; by its name alone a warning."""
    found = [(call, operand) for call in code.calls(*CALLS) if (operand := _operand(call))]
    known = _known(code) if found else None
    for call, operand in found:
        if known is None:
            break
        sure = _is_object(known, operand)
        if sure is None:
            continue
        text = "".join(t.text for t in operand)
        first = operand[0]
        yield Report(
            call.tokens,
            f"{call.name}() is given the lock {text}, not its address",
            # where it may be a pointer after all, the & would be wrong
            suggestion=substituted(code, [first], f"&{first.text}") if sure else None,
            severity=None if sure else Severity.WARNING,
        )


def _operand(call: Call) -> tuple[Token, ...] | None:
    """The first argument where it names a variable or a member: x, a->b, (l)->c[i].d; no &, *, call or cast."""
    tokens = call.arguments[0] if call.arguments else ()
    while len(tokens) > 2 and tokens[0].text == "(" and tokens[-1].text == ")" and len(tokens) < 200:
        tokens = tokens[1:-1]
    if not tokens or tokens[-1].kind is not Kind.WORD:
        return None
    if len(tokens) > 1 and tokens[-2].text not in ("->", "."):
        return None
    for n, token in enumerate(tokens):
        if token.kind is Kind.PUNCT and token.text not in ("->", ".", "(", ")", "[", "]"):
            return None
        if token.text == "(" and n and tokens[n - 1].kind is Kind.WORD:
            return None
    return tokens


def _is_object(known: _Known, operand: tuple[Token, ...]) -> bool | None:
    """True where it is a lock for sure, False where by its name, None where it may be a pointer."""
    text, last = "".join(t.text for t in operand), operand[-1].text
    if len(operand) == 1:
        return True if last in known.globals and last not in known.pointers else None
    if operand[-1].text in ("mmap_lock", "mmap_sem") and is_mm(operand[:-2]):
        return True
    if last in known.pointers or text in known.plain:
        return None
    if text in known.addressed or _tail(operand) in known.addressed or last in OBJECTS:
        return True
    if last not in COMMON and (last in known.objects or (last in known.members and _LOCKISH.search(last))):
        return True
    # of the 70 assertions in 6.12 on a member that is a pointer none has the dot, or a mutex or semaphore behind it
    return False if (_LOCKISH if operand[-2].text == "." else _SLEEPING).search(last) else None


def _tail(operand: Sequence[Token]) -> str:
    """`vn->busy.lock` -> 'busy.lock'."""
    return "".join(t.text for t in operand[-3:])


def _known(code: Code) -> _Known:
    addressed: set[str] = set()
    plain: set[str] = set()
    members: set[str] = set()
    for call in _lock_calls(code):
        argument = call.arguments[0]
        if argument[0].text == "&" and argument[-1].kind is Kind.WORD:
            addressed.add("".join(t.text for t in argument[1:]))
            if len(argument) > 3:
                addressed.add(_tail(argument))
                members.add(argument[-1].text)
        elif call.name not in CALLS:
            plain.add("".join(t.text for t in argument))
    pointers: set[str] = set()
    objects: set[str] = set()
    defined: set[str] = set()
    tokens = code.tokens
    for n in code.words(*(word for word in code.vocabulary if word in _TYPES or _GLOBALS.match(word))):
        token = tokens[n]
        if n >= len(tokens) - 3:
            continue
        if token.text in _TYPES:
            after = tokens[n + 1]
            if after.text == "*":
                pointers.add(tokens[n + 2].text)
            elif after.kind is Kind.WORD and tokens[n + 2].text in (";", ",", "[", "="):
                objects.add(after.text)
        elif _GLOBALS.match(token.text) and tokens[n + 1].text == "(" and tokens[n + 3].text == ")":
            defined.add(tokens[n + 2].text)
    plain_members = {text.rsplit(">", maxsplit=1)[-1].rsplit(".", maxsplit=1)[-1] for text in plain if ">" in text}
    return _Known(
        frozenset(addressed - plain),
        frozenset(plain),
        frozenset(members - plain_members),
        frozenset(pointers),
        frozenset(objects - pointers),
        frozenset(defined),
    )


def _lock_calls(code: Code) -> Iterator[Call]:
    """Calls of lock functions that have an argument."""
    names = [word for word in code.vocabulary if _TAKES.match(word)]
    yield from (call for call in code.calls(*names) if call.arguments and call.arguments[0])
