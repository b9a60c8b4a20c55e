# SPDX-License-Identifier: GPL-2.0-or-later
"""A new FOLL_ flag lacks its comment, stands in the wrong header, or is named like an order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

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
# how many lines a comment, and how many tokens a statement, is followed: more has none in 6.12
LONGEST, REACH = 60, 100
HEADERS = Scope(include=("include/linux/mm.h", "include/linux/mm_types.h", "mm/internal.h"))


@code_rule(Severity.WARNING, id="FL02", words=("FOLL_",), scope=HEADERS)
def check(code: Code) -> Iterator[Report]:
    """Definitions that the patch adds; a flag or value that it also removes was renamed or moved."""
    public = code.path.startswith("include/")
    known = code.version is None or code.version >= (6, 3)
    removed = code.once("removed words with flags", _removed)
    comments = _Comments(code)
    uses: dict[str, list[tuple[Code, int]]] | None = None
    for name, value in foll_definitions(code):
        if not code.changed(name) or (known and name.text in FOLL_BITS) or not removed.isdisjoint((name.text, value)):
            continue
        uses = code.once("flags", _uses) if uses is None else uses
        comment = comments.of(name)
        if not comment:
            yield Report(
                [name], f"{name.text} is a new flag without a comment that says what it does and who may set it"
            )
        elif name.text.removeprefix("FOLL_") in ORDERS:
            yield Report(
                [name], f"{name.text} sounds like an order: a flag's name says what is the case ({name.text}ABLE?)"
            )
        elif public and "internal" not in comment.lower() and _set_by_mm(code, uses.get(name.text, ())):
            where = "it belongs in mm/internal.h" if known else "its comment does not say so"
            yield Report([name], f"{name.text} is set by mm/ alone, so it is an internal flag, and {where}{WHY}")
        elif public and known and "internal" in comment.lower():
            where = "it belongs in mm/internal.h and in INTERNAL_GUP_FLAGS"
            yield Report([name], f"{name.text} is internal by its comment: {where}{WHY}")
        elif not public and known and code.diff and not _in_mask(code, name.text):
            message = f"{name.text} is not in INTERNAL_GUP_FLAGS, so is_valid_gup_args() lets everybody pass it{WHY}"
            yield Report([name], message)
        elif public and known and not _considered(code, uses.get(name.text, ())):
            message = f"{name.text} is external, and neither gup_fast_fallback()'s mask nor pin_user_pages.rst has it"
            yield Report([name], message, severity=Severity.NOTE)


def _removed(files: Sequence[Code]) -> frozenset[str]:
    """The words, names and values among them, of the lines with a flag that the patch removes."""
    texts = (text for other in files if other.diff for text in other.diff.removed())
    return frozenset(word for text in texts if "FOLL_" in text for word in text.replace("(", " ").split())


class _Comments:
    """The comments of a file, by line."""

    def __init__(self, code: Code) -> None:
        self._texts: dict[int, str] = {}
        for comment in code.comments:
            self._texts[comment.line] = self._texts.get(comment.line, "") + comment.text
        self._coded = {token.line for token in code.tokens}

    def of(self, name: Token) -> str:
        """The comment on the line of a definition or directly above it; '' where there is none."""
        found = [self._texts.get(name.line, "")]
        line = name.line - 1
        while line in self._texts and line not in self._coded and len(found) < LONGEST:
            found.append(self._texts[line])
            line -= 1
        return " ".join(reversed(found)).strip()


def _uses(files: Sequence[Code]) -> dict[str, list[tuple[Code, int]]]:
    """Where in the patch each flag is named: (file, index of the token)."""
    found: dict[str, list[tuple[Code, int]]] = {}
    for other in files:
        for n, token in enumerate(other.tokens if other.says("FOLL_") else ()):
            if token.text.startswith("FOLL_"):
                found.setdefault(token.text, []).append((other, n))
    return found


def _set_by_mm(code: Code, uses: Iterable[tuple[Code, int]]) -> bool:
    """Somewhere in mm/ the patch sets the flag (|= FLAG, or FLAG in an argument), and nowhere else is it named."""
    found = False
    for other, n in uses:
        if other.path == code.path or not other.changed(other.tokens[n]):
            continue
        if not other.path.startswith("mm/"):
            return False
        around = _before(other, n)
        # tested (`flags & FLAG`) or accepted (`flags & ~(.. | FLAG)`) is not set
        found = found or "|=" in around or (around[-1:] == ["|"] and "&" not in around and "~" not in around)
    return found


def _before(code: Code, n: int) -> list[str]:
    """What stands before a token in its statement."""
    start = n
    while start > max(n - REACH, 0) and code.tokens[start - 1].text not in (";", "{", "}"):
        start -= 1
    return [token.text for token in code.tokens[start:n]]


def _in_mask(code: Code, flag: str) -> bool:
    """INTERNAL_GUP_FLAGS has the flag."""
    masks = islice(code.words("INTERNAL_GUP_FLAGS"), 4)
    return any(t.text == flag for n in masks for t in code.tokens[n : n + 40])


def _considered(code: Code, uses: Iterable[tuple[Code, int]]) -> bool:
    """The patch says whether the fast functions accept the flag: in their mask (mm/gup.c:3445) or in the guide."""
    if any(other.path == GUIDE for other in code.patch):
        return True
    return any(other.path == "mm/gup.c" and "~" in _before(other, n) for other, n in uses)
