# SPDX-License-Identifier: GPL-2.0-or-later
"""A user may pin memory for long without a limit: FOLL_LONGTERM, and nothing accounts for the pages"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reviewbot.checks.pin._pages import FLAGS, PIN, PINS, RELEASERS, Held, Use, count_of, mentions_pages

from reviewbot.c.code import Code
from reviewbot.c.skeleton import Function
from reviewbot.c.tokens import Token
from reviewbot.kernel import flag_tokens
from reviewbot.model import Severity
from reviewbot.rule import Report, Scope, code_rule

# part of any name by which pages are held against a limit: account_locked_vm(), RLIMIT_MEMLOCK, mm->pinned_vm
_ACCOUNTING = ("account", "locked_vm", "pinned_vm", "rlimit", "memlock", "mlock", "charge", "lock_acct")
# these hold the kernel's memory of the call against a limit, not the pages
_OTHER = frozenset(("GFP_KERNEL_ACCOUNT", "__GFP_ACCOUNT", "SLAB_ACCOUNT", "GFP_USER_ACCOUNT"))


@code_rule(
    Severity.WARNING,
    id="PN04",
    since="v5.6",
    words=("FOLL_LONGTERM",),
    needs="file",
    scope=Scope(exclude=(*Scope().exclude, "mm/", "lib/test_")),
)
def check(code: Code) -> Iterator[Report]:
    """Each such call, where neither the file nor the patch knows of a limit."""
    if "test" in code.path.rsplit("/", 1)[-1] or code.once("accounts", _any_accounts):
        return
    for function in code.functions:
        if not mentions_pages(function, PINS) or not _asked_for_here(function):
            continue
        held = Held(function, code.flow(function))
        for use in held.takes:
            flag = _long(held, use)
            if use.kind != PIN or count_of(use.call) == "1" or flag is None:
                continue
            if not code.whole and not _both_new(code, held, use):
                code.abstain()
                continue
            yield Report(
                [flag],
                f"{use.call.name}() with FOLL_LONGTERM: the pages are held against no limit such as RLIMIT_MEMLOCK",
                ((use.call.tokens, "pins pages for long"),),
            )
            break


def _any_accounts(files: Sequence[Code]) -> bool:
    return any(file.readable and _accounts(file) for file in files)


def _asked_for_here(function: Function) -> bool:
    """Who calls the function is in this file, or it is an ioctl: else a caller elsewhere may keep the account."""
    return any(t.text == "static" for t in function.header) or "ioctl" in (function.name or "")


def _long(held: Held, use: Use) -> Token | None:
    """FOLL_LONGTERM among the flags of a call, or in what its flags variable gets."""
    index = FLAGS.get(use.call.name, len(use.call.arguments))
    if index >= len(use.call.arguments):
        return None
    flags = flag_tokens(held.function, use.call.arguments[index])
    return next((t for t in flags if t.text == "FOLL_LONGTERM"), None)


def _accounts(code: Code) -> bool:
    return any(word not in _OTHER and any(part in word.lower() for part in _ACCOUNTING) for word in code.vocabulary)


def _both_new(code: Code, held: Held, use: Use) -> bool:
    """The patch brings the function, the ioctl by which it is called, and a release: a limit would be there too.

    Of a function that others of the file may call, the patch does not show who else accounts.
    """
    if not held.function.whole or not code.changed(held.function.header[0]) or not code.changed(use.call.tokens[0]):
        return False
    if not _by_new_ioctl(code, held.function):
        return False
    unpins = [name for name, kind in RELEASERS.items() if kind == PIN]
    return any(
        code.changed(call.tokens[0]) and code.function_of(call.tokens[0]) is not held.function
        for call in code.calls(*unpins)
    )


def _by_new_ioctl(code: Code, function: Function) -> bool:
    """The function is an ioctl that the patch brings, or only what it brings calls it, an ioctl in the end."""
    seen, todo = {function}, [function]
    while todo:
        name = todo.pop().name or ""
        for call in code.calls(name):
            caller = code.function_of(call.tokens[0])
            if caller is None or not caller.whole or not code.changed(caller.header[0]):
                return False
            if caller not in seen:
                seen.add(caller)
                todo.append(caller)
    return any("ioctl" in (f.name or "") for f in seen)
