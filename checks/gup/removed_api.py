# SPDX-License-Identifier: GPL-2.0-or-later
"""A function of the GUP interface that the kernel has no more, or an argument that it takes no more."""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.checks.gup._calls import Gup, declared, gup_calls

from reviewbot.c.code import Call, Code
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, Scope, code_rule

# name -> (first kernel without it, what to use instead)
GONE = {
    "get_user_pages_longterm": ((5, 2), "pin_user_pages() with FOLL_LONGTERM"),  # 932f4a630a69
    "put_user_page": ((5, 6), "unpin_user_page()"),  # f1f6a7dd9b53
    "put_user_pages": ((5, 6), "unpin_user_pages()"),
    "put_user_pages_dirty": ((5, 6), "unpin_user_pages_dirty_lock()"),
    "put_user_pages_dirty_lock": ((5, 6), "unpin_user_pages_dirty_lock()"),
    "__get_user_pages_fast": ((5, 8), "get_user_pages_fast_only()"),  # dadbb612f6e5
    "get_user_pages_locked": ((5, 18), "get_user_pages_remote() or get_user_pages_unlocked()"),  # 73fd16d8080f
    "pin_user_pages_locked": ((5, 18), "pin_user_pages_remote() or pin_user_pages_unlocked()"),  # ad6c441266dc
    "follow_page": ((6, 12), "folio_walk_start()"),  # 7290840de65e
    "follow_pfn": ((6, 10), "follow_pfnmap_start()"),  # cb10c28ac82c
    "follow_pte": ((6, 12), "follow_pfnmap_start()"),  # b0a1c0d0edcd
}
# arguments that went: first kernel without, what it was
VMAS = ((6, 5), "vmas")  # 54d020692b34 and its series
TASK = ((5, 9), "task")  # 64019a2e467a
WRITE = ((4, 9), "write and force")  # 768ae309a961
OLD_TASK = ((4, 6), "task and mm")  # cde70140fed8
COUNTS = {
    **{f"{verb}_user_pages": {5: VMAS, 6: WRITE, 8: OLD_TASK} for verb in ("get", "pin")},
    "get_user_pages_unlocked": {5: WRITE, 7: OLD_TASK},
    **{f"{verb}_user_pages_remote": {7: VMAS, 8: TASK} for verb in ("get", "pin")},
}
# in code that is kept for many kernels, the call for an old one is right
OTHER_KERNELS = ("LINUX_VERSION_CODE", "KERNEL_VERSION")


@code_rule(
    Severity.ERROR,
    id="FL09",
    words=("user_page", "follow_page", "follow_pfn", "follow_pte"),
    scope=Scope(exclude=(*Scope().exclude, "mm/gup.c")),
    build=True,
    confidence=Confidence.HIGH,
)
def check(code: Code) -> Iterator[Report]:
    """Each name and number of arguments from the first kernel on that has them no more; None counts as the newest."""
    if any(word in code.vocabulary for word in OTHER_KERNELS):
        return
    own = {function.name for function in code.functions if function.opened}
    for call in code.calls(*GONE):
        since, instead = GONE[call.name]
        if _reached(code, since) and call.name not in own and not declared(call) and not _there(code, call):
            yield Report(call.tokens, f"{call.name}() is gone since v{_dotted(since)}: {instead} does it")
    for call in code.calls(*COUNTS):
        since, what = COUNTS[call.name].get(len(call.arguments), ((99, 0), ""))
        if _reached(code, since) and not declared(call):
            yield Report(call.tokens, f"{call.name}() has no {what} argument since v{_dotted(since)}")
    if code.version and code.version < VMAS[0]:
        yield from _unused(code)


def _reached(code: Code, since: tuple[int, int]) -> bool:
    return code.version is None or code.version >= since


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def _there(code: Code, call: Call) -> bool:
    """The series or the tree has a function of that name."""
    return code.defines(call.name) or (code.facts is not None and call.name in code.facts.names)


def _unused(code: Code) -> Iterator[Report]:
    """A VMA is asked for (`&vma`) and the function, all of which is seen, never looks at it."""
    for gup in gup_calls(code):
        argument = [token.text for token in gup.argument("vmas")]
        if len(argument) == 2 and argument[0] == "&" and gup.function.whole and _mentions(gup, argument[1]) == 1:
            message = f"{gup.call.name}() is asked for '{argument[1]}', which nobody reads: v6.5 has no vmas argument"
            yield Report(gup.call.tokens, message, severity=Severity.NOTE)


def _mentions(gup: Gup, name: str) -> int:
    """How often a function names a local variable, its declaration apart."""
    return sum(
        token.text == name
        for statement in gup.function.walk()
        if not any(token.text == "vm_area_struct" for token in statement.tokens)
        for token in statement.tokens
    )
