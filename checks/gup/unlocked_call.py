# SPDX-License-Identifier: GPL-2.0-or-later
"""get_user_pages() without the mmap_lock that it needs, or a call that takes the lock while it is held."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property

from reviewbot.checks.gup._calls import Gup, gup_calls

from reviewbot.c.code import Call, Code, calls
from reviewbot.c.skeleton import Function, StatementKind
from reviewbot.c.tokens import Token, tokenize
from reviewbot.kernel import MMAP_LOCKS, MMAP_UNLOCKS, RAW_LOCKS, RAW_UNLOCKS, mm_of_lock
from reviewbot.locks import LockPaths, Mode, guarded, lock_paths
from reviewbot.model import Hunk, LineKind, Severity
from reviewbot.rule import Report, Scope, code_rule

# mm/gup.c:1744, __get_user_pages_locked() asserts the lock where it was not told to take it
NEEDING = ("get_user_pages", "pin_user_pages")
# mm/gup.c:2735, :3488: take the lock themselves, for current->mm
TAKING = ("get_user_pages_unlocked", "pin_user_pages_unlocked", "get_user_pages_fast", "pin_user_pages_fast")
# a word of this kind in a function says that somebody has thought of the lock
LOCK_WORDS = ("mmap_lock", "mmap_sem", "mmap_assert", "mmap_read", "mmap_write", "mmap_locked", "lock_mm", "mm_lock")
# how far above a function a comment may begin that speaks of the lock
ABOVE = 15
NEEDS = "needs the mmap_lock"
# what the kernel calls with the lock held hands one of these on
GIVEN = frozenset(("vm_area_struct", "vm_fault", "mm_struct", "mm_walk"))


@code_rule(
    Severity.WARNING,
    id="FL10",
    words=NEEDING,
    needs="file",
    scope=Scope(exclude=(*Scope().exclude, "mm/")),
)
def check(code: Code) -> Iterator[Report]:
    """Functions that are seen from header to end; where they take no lock, all who call them must be seen too."""
    suspects: dict[Function, list[Gup]] = {}
    bared = _Bared(code)
    callers: _Callers | None = None
    for gup in gup_calls(code):
        if gup.call.name in NEEDING and (found_at := bared.at(gup)):
            callers = callers or _Callers(code)
            if callers.told(gup.function):
                continue
            message = f"{gup.call.name}() {NEEDS}, which is no longer taken here: {_instead(gup)}"
            yield Report(gup.call.tokens, message, evidence=found_at)
        elif gup.function.whole and gup.call.name in (*NEEDING, *TAKING):
            suspects.setdefault(gup.function, []).append(gup)
    for function, found in suspects.items():
        paths = tuple(path for path in lock_paths(code, function) if not path.cut)
        scopes = guarded(function)
        for gup in found:
            if gup.call.name in TAKING:
                yield from _held(gup, paths, scopes.get(gup.statement))
            elif gup.statement not in scopes and (path := _released(gup, paths)):
                by = path.call(path.states(gup.statement)[0])
                related = ((by.tokens, "released here"),) if by else ()
                yield Report(gup.call.tokens, f"{gup.call.name}() {NEEDS}: {_instead(gup)}", related)
            elif gup.statement not in scopes and not any(path.states(gup.statement) for path in paths):
                callers = callers or _Callers(code)
                if callers.free(function):
                    who = f"{NEEDS}, which {function.name}() does not take"
                    # a lock that went between the function's head and the call is the patch's doing
                    head = function.header[:1]
                    yield Report(gup.call.tokens, f"{gup.call.name}() {who}: {_instead(gup)}", evidence=head)


def _instead(gup: Gup) -> str:
    return f"{gup.call.name}_fast() and {gup.call.name}_unlocked() take it themselves"


def _held(gup: Gup, paths: Sequence[LockPaths], guard: Call | None) -> Iterator[Report]:
    """A call that takes current->mm's lock, where that is held on every way."""
    by = guard if guard and _current(gup, guard.text(0)) else None
    for path in paths:
        state = path.held(gup.statement)
        if state is not None and all(_current(gup, operand) for operand in path.operands):
            by = path.call(state)
    if by:
        plain = gup.call.name.removesuffix("_unlocked").removesuffix("_fast")
        message = f"{gup.call.name}() takes the mmap_lock, which is held here: {plain}() is for that"
        yield Report(gup.call.tokens, message, ((by.tokens, "taken here"),))


def _released(gup: Gup, paths: Sequence[LockPaths]) -> LockPaths | None:
    """The lock of the current process, where every way to the call has released it."""
    for path in paths:
        states = path.states(gup.statement)
        if states and all(state.mode is Mode.FREE for state in states):
            return path if len(paths) == 1 else None
    return None


def _current(gup: Gup, operand: str) -> bool:
    """An expression for current->mm."""
    values = [[token.text for token in value] for value in gup.body.values(operand)]
    return operand == "current->mm" or values == [["current", "->", "mm"]]


class _Bared:
    """Where the patch takes the lock away from around a call, and says nothing of the lock elsewhere."""

    def __init__(self, code: Code) -> None:
        self._code = code

    @cached_property
    def _calls(self) -> dict[int, int]:
        """The numbers of the lines that stood between a lock and its release, and the last line before that lock."""
        found: dict[int, int] = {}
        hunks = self._code.diff.hunks if self._code.diff and self._code.side is LineKind.ADDED else ()
        if not hunks or self._code.once("adds the lock", _adds_lock):
            return found
        for hunk in hunks:
            if any(line.kind is LineKind.ADDED and "lock" in line.text for line in hunk.lines):
                continue
            found.update(_bared(hunk))
        return found

    def at(self, gup: Gup) -> tuple[Token, ...]:
        """What stood before the lock that went; () where none did, or somebody may still hold it."""
        first = gup.call.tokens[0]
        if first.line < 0 or (before := self._calls.get(self._code.lines[first.line].new or 0)) is None:
            return ()
        if gup.statement.kind not in (StatementKind.EXPRESSION, StatementKind.RETURN, StatementKind.IF):
            return ()
        tokens = [*gup.function.header, *(t for s in gup.function.walk() for t in s.tokens)]
        if "locked" in (gup.function.name or "") or any(
            t.text in GIVEN or t.text == "guard" or any(word in t.text for word in LOCK_WORDS) for t in tokens
        ):
            return ()
        numbers = [(self._code.lines[t.line].new or 0, t) for t in tokens if t.line >= 0]
        above = [t for number, t in numbers if number <= before]
        return tuple(above[-1:])


def _bared(hunk: Hunk) -> Iterator[tuple[int, int]]:
    """Numbers of lines from a lock to its release in the same block, both removed; the last line before the lock."""
    lines = [line for line in hunk.lines if line.kind is not LineKind.ADDED]
    tokens, _ = tokenize([line.text for line in lines], 0)
    takes, releases = _named(tokens, *MMAP_LOCKS, *RAW_LOCKS), _named(tokens, *MMAP_UNLOCKS, *RAW_UNLOCKS)
    inside: list[int] | None = None
    kept = before = depth = 0
    for token in tokens:
        line = lines[token.line]
        removed = line.kind is LineKind.REMOVED
        depth += (token.text == "{") - (token.text == "}")
        if depth < 0 or token in takes:
            inside, before, depth = ([] if removed and token in takes else None), kept, 0
        elif token in releases:
            if removed and inside and depth == 0:
                yield from ((number, before) for number in inside)
            inside = None
        elif inside is not None and line.new and not removed:
            inside.append(line.new)
        kept = kept if removed else line.new or kept


def _named(tokens: Sequence[Token], *names: str) -> frozenset[Token]:
    """Where a call of one of the functions begins, of those for any semaphore only an mm's."""
    return frozenset(
        call.tokens[0]
        for call in calls(tokens, *names)
        if call.name.startswith("mmap_") or (call.arguments and mm_of_lock(call.arguments[0]) is not None)
    )


def _adds_lock(files: Sequence[Code]) -> bool:
    """Some line that the patch adds is about the lock: it may have moved."""
    return any(
        line.kind is LineKind.ADDED and (any(word in line.text for word in LOCK_WORDS) or "mmap" in line.text)
        for file in files
        if file.diff
        for hunk in file.diff.hunks
        for line in hunk.lines
    )


class _Callers:
    """Who calls whom in a file, and who is surely never called with the lock."""

    def __init__(self, code: Code) -> None:
        self._code = code
        self._named = {f.name: f for f in code.every_function if f.name and f.opened and not f.macro}
        self._count = Counter(token.text for token in code.tokens if token.text in self._named)
        self._told = sorted({comment.line for comment in code.comments if _about_lock(comment.text)})
        # a function is not known to be free of the lock if it says something of it, or if one is that calls it
        calls: dict[Function, set[Function]] = {}
        todo: list[Function] = []
        for function in code.every_function:
            speaks = False
            tokens = [*function.header, *(t for s in function.walk() for t in s.tokens)]
            for n, token in enumerate(tokens):
                speaks = speaks or token.text in GIVEN or any(word in token.text for word in LOCK_WORDS)
                # what has no name is a piece of a function where it calls something, else a table of functions
                if token.text in self._named and (
                    function.name or (not code.whole and [t.text for t in tokens[n + 1 : n + 2]] == ["("])
                ):
                    calls.setdefault(function, set()).add(self._named[token.text])
            # what has no name in a whole file is no function: module_init(..)
            known = function.whole and self._starts(function) and not self._remarked(function)
            if speaks or not (known or (code.whole and not function.name)):
                todo.append(function)
        doubtful: set[Function] = set(todo)
        while todo:
            for called in calls.get(todo.pop(), ()):
                if called not in doubtful:
                    doubtful.add(called)
                    todo.append(called)
        self._doubtful = frozenset(function.name for function in doubtful)

    def free(self, function: Function) -> bool:
        """Neither the function nor anybody who calls it says anything of the lock, and all of them are known."""
        if not _entry(function) and not self._private(function):
            self._code.abstain("needs the callers in other files")
        elif not self._code.whole and not _entry(function) and self._count[function.name or ""] < 2:
            self._code.abstain("needs the callers in the rest of the file")
        return "locked" not in (function.name or "") and function.name not in self._doubtful

    def told(self, function: Function) -> bool:
        """Only the file can call the function, all of it is seen, and somebody says something of the lock."""
        return self._code.whole and self._private(function) and not self.free(function)

    def _private(self, function: Function) -> bool:
        """Only the file itself can call it by name."""
        return not self._code.path.endswith(".h") and any(token.text == "static" for token in function.header)

    def _starts(self, function: Function) -> bool:
        """Who calls it is seen: it is static and named elsewhere in the file, or a system call."""
        name = function.name or ""
        if not name or "fault" in name:
            return False
        if _entry(function):
            return True
        seen = self._code.whole or self._code.changed(*function.header)
        return self._private(function) and self._count[name] > 1 and seen

    def _remarked(self, function: Function) -> bool:
        """A comment in the function, or right above it, speaks of the lock."""
        lines = [token.line for token in function.header if token.line >= 0]
        first = min(lines, default=0) - ABOVE
        last = max((s.span[1] for s in function.statements), default=first)
        return bisect_left(self._told, first) < bisect_right(self._told, last)


def _entry(function: Function) -> bool:
    """A system call."""
    return bool(function.header) and function.header[0].text.startswith(("SYSCALL_DEFINE", "COMPAT_SYSCALL_DEFINE"))


def _about_lock(text: str) -> bool:
    lowered = text.lower()
    return any(word in lowered for word in ("mmap_lock", "mmap_sem", "mmap lock", "mmap sem", "mm lock"))
