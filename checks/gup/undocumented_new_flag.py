# SPDX-License-Identifier: GPL-2.0-or-later
"""A new FOLL_ flag lacks its comment, stands in the wrong header, or is named like an order."""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.c.code import Code
from reviewbot.c.tokens import Token
from reviewbot.kernel import FOLL_BITS, foll_definitions
from reviewbot.model import Severity
from reviewbot.rule import Report, Scope, code_rule

# names that tell somebody to do something, where a flag says what is the case (David Hildenbrand on FOLL_UNLOCK)
ORDERS = frozenset("UNLOCK LOCK DROP RELEASE UNPIN FLUSH RETRY WAIT".split())
# David Hildenbrand: "Not that I particularly like adding new internal FOLL flags where avoidable"
WHY = ", if a new flag is needed at all"
# where the external flags are described
GUIDE = "Documentation/core-api/pin_user_pages.rst"
HEADERS = Scope(include=("include/linux/mm.h", "include/linux/mm_types.h", "mm/internal.h"))


@code_rule(Severity.WARNING, id="FL02", words=("FOLL_",), scope=HEADERS)
def check(code: Code) -> Iterator[Report]:
    """Definitions that the patch adds; a flag or value that it also removes was renamed or moved."""
    public = code.path.startswith("include/")
    for name, value in foll_definitions(code):
        known = code.version is None or code.version >= (6, 3)
        if not code.changed(name) or (known and name.text in FOLL_BITS) or _renamed(code, name, value):
            continue
        comment = _comment(code, name)
        if not comment:
            yield Report(
                [name], f"{name.text} is a new flag without a comment that says what it does and who may set it"
            )
        elif name.text.removeprefix("FOLL_") in ORDERS:
            yield Report(
                [name], f"{name.text} sounds like an order: a flag's name says what is the case ({name.text}ABLE?)"
            )
        elif public and _set_by_mm(code, name.text) and "internal" not in comment.lower():
            where = "it belongs in mm/internal.h" if known else "its comment does not say so"
            yield Report([name], f"{name.text} is set by mm/ alone, so it is an internal flag, and {where}{WHY}")
        elif public and known and "internal" in comment.lower():
            where = "it belongs in mm/internal.h and in INTERNAL_GUP_FLAGS"
            yield Report([name], f"{name.text} is internal by its comment: {where}{WHY}")
        elif not public and known and code.diff and not _in_mask(code, name.text):
            message = f"{name.text} is not in INTERNAL_GUP_FLAGS, so is_valid_gup_args() lets everybody pass it{WHY}"
            yield Report([name], message)
        elif public and known and not _considered(code, name.text):
            message = f"{name.text} is external, and neither gup_fast_fallback()'s mask nor pin_user_pages.rst has it"
            yield Report([name], message, severity=Severity.NOTE)


def _renamed(code: Code, name: Token, value: str) -> bool:
    """The same name, or the same value, is removed by the patch."""
    for text in (text for other in code.patch if other.diff for text in other.diff.removed()):
        words = text.replace("(", " ").split()
        if name.text in words or (value in words and "FOLL_" in text):
            return True
    return False


def _comment(code: Code, name: Token) -> str:
    """The comment on the line of a definition or directly above it; '' where there is none."""
    texts: dict[int, str] = {}
    for comment in code.comments:
        texts[comment.line] = texts.get(comment.line, "") + comment.text
    coded = {token.line for token in code.tokens}
    found = [texts.get(name.line, "")]
    line = name.line - 1
    while line in texts and line not in coded:
        found.insert(0, texts[line])
        line -= 1
    return " ".join(found).strip()


def _set_by_mm(code: Code, flag: str) -> bool:
    """Somewhere in mm/ the patch sets the flag (|= FLAG, or FLAG in an argument), and nowhere else is it named."""
    found = False
    for other in code.patch:
        for n in other.words(flag):
            token = other.tokens[n]
            if other.path == code.path or not other.changed(token):
                continue
            if not other.path.startswith("mm/"):
                return False
            start = n
            while start and other.tokens[start - 1].text not in (";", "{", "}"):
                start -= 1
            around = [t.text for t in other.tokens[start:n]]
            # tested (`flags & FLAG`) or accepted (`flags & ~(.. | FLAG)`) is not set
            found = found or "|=" in around or (around[-1:] == ["|"] and "&" not in around and "~" not in around)
    return found


def _in_mask(code: Code, flag: str) -> bool:
    tokens = code.tokens
    masks = list(code.words("INTERNAL_GUP_FLAGS"))
    return any(t.text == flag for n in masks for t in tokens[n : n + 40])


def _considered(code: Code, flag: str) -> bool:
    """The patch says whether the fast functions accept the flag: in their mask (mm/gup.c:3445) or in the guide."""
    for other in code.patch:
        if other.path == GUIDE:
            return True
        if other.path != "mm/gup.c":
            continue
        tokens = other.tokens
        for n in other.words(flag):
            around = [t.text for t in tokens[max(n - 40, 0) : n]]
            if "~" in around[-around[::-1].index(";") :] if ";" in around else "~" in around:
                return True
    return False
