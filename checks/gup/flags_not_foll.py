# SPDX-License-Identifier: GPL-2.0-or-later
"""get_user_pages*() or pin_user_pages*() gets a truth value or a number where FOLL_ flags belong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from reviewbot.checks.gup._calls import WORDS, Gup, gup_calls

from reviewbot.c.code import Code
from reviewbot.c.pattern import closing
from reviewbot.c.skeleton import Function
from reviewbot.c.tokens import Kind, Token
from reviewbot.kernel import substituted
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, Scope, code_rule

# until 5.1 the third argument of get_user_pages_fast() was `int write` (73b0140bf0fe)
FAST_FLAGS = (5, 2)
# what a truth value is called that says whether the pages are written to, or that they are not
WRITES = re.compile(r"(?!.*(?:flag|foll|gup))(?:.*writ(?:e|es|able|eable|ing)$|write_|rw$|wr$)", re.I)
READS = re.compile(r"(?:is_|user_)?(?:read_?only|rd_?only|ro)$", re.I)
CASTS = frozenset(("unsigned", "int", "long", "u32"))
COMPARED = frozenset(("==", "!=", "<", ">", "<=", ">=", "&&", "||"))


@code_rule(
    Severity.ERROR,
    id="FL07",
    words=WORDS,
    scope=Scope(exclude=(*Scope().exclude, "mm/gup.c")),
    confidence=Confidence.HIGH,
    fix=True,
)
def check(code: Code) -> Iterator[Report]:
    """The argument that holds the flags, by the function and its number of arguments."""
    for gup in gup_calls(code):
        argument, pages = gup.argument("flags"), gup.argument("pages")
        if any(token.text.startswith("FOLL_") for token in _outside(pages)):
            unlocked = gup.call.name.endswith("_unlocked")
            slots = "the pages before the flags" if unlocked else "the flags before the pages"
            text = next(token.text for token in pages if token.text.startswith("FOLL_"))
            yield Report(
                pages,
                f"{gup.call.name}() takes {slots}: '{text}' stands where the pages belong",
                ((gup.call.tokens[:1], "the call"),) if pages[0].line != gup.call.tokens[0].line else (),
            )
            continue
        if "_fast" in gup.call.name and code.version and code.version < FAST_FLAGS:
            continue
        what = _odd(gup, _bare(argument)) if argument else None
        if what is None:
            continue
        instead = _instead(code, _bare(argument))
        shown = argument if argument[-1].text == ")" else _bare(argument)
        text = "".join(token.text for token in shown) if len(shown) < 12 else "its argument"
        yield Report(
            argument,
            f"{gup.call.name}() takes FOLL_ flags where '{text}' is {what}",
            ((gup.call.tokens[:1], "the call"),) if argument[0].line != gup.call.tokens[0].line else (),
            suggestion=substituted(code, argument, instead) if instead else None,
        )


def _outside(tokens: Sequence[Token]) -> Iterator[Token]:
    """The tokens of an argument that are not those of a call in it, nor of an index."""
    depth = 0
    for n, token in enumerate(tokens):
        inner = token.text == "[" or (token.text == "(" and n > 0 and tokens[n - 1].kind is Kind.WORD)
        depth += inner or (depth > 0 and token.text == "(")
        if depth == 0:
            yield token
        depth -= depth > 0 and token.text in (")", "]")


def _bare(tokens: Sequence[Token]) -> Sequence[Token]:
    """Without brackets around all of it, and without a cast to a type of flags."""
    while tokens and tokens[0].text == "(":
        end = closing(tokens, 0)
        if end == len(tokens):
            tokens = tokens[1:-1]
        elif end and 2 < end < len(tokens) and all(token.text in CASTS for token in tokens[1 : end - 1]):
            tokens = tokens[end:]
        else:
            break
    return tokens


def _odd(gup: Gup, tokens: Sequence[Token]) -> str | None:
    """What the argument is instead of flags; None where it may be flags."""
    texts = [token.text for token in tokens]
    if not texts or any(text.startswith("FOLL_") for text in texts):
        return None
    if len(texts) == 1:
        return _odd_word(gup, tokens[0])
    top = _top(tokens)
    if "?" in top:
        choices = texts[texts.index("?") + 1 :]
        numbers = len(choices) == 3 and all(choice.isdigit() for choice in choices[::2])
        return "a number" if numbers and choices != ["0", ":", "0"] else None
    if texts[0] == "!" or COMPARED.intersection(top):
        return "a truth value"
    if "&" in top[1:] and texts[-1].startswith(("VM_", "PROT_", "IOMMU_", "DMA_")):
        return "another flag"
    if len(texts) > 2 and texts[-2] == "&" and texts[-1] in ("WRITE", "READ"):
        return "no FOLL_ flag"
    if texts[-2] in ("->", ".") and _truth(texts[-1]) and "(" not in top:
        return "a truth value"
    return None


def _odd_word(gup: Gup, token: Token) -> str | None:
    if token.kind is Kind.NUMBER:
        return "a number" if token.text.rstrip("uUlL") not in ("0", "0x0", "00") else None
    if token.text in ("true", "false"):
        return "a truth value"
    if token.text in ("WRITE", "READ", "VERIFY_WRITE", "VERIFY_READ"):
        return "no FOLL_ flag"
    if token.kind is not Kind.WORD or _may_be_flags(gup, token.text):
        return None
    declared = _type(gup.function, token.text)
    if declared == "bool" or (_truth(token.text) and declared in (None, "int")):
        return "a truth value"
    return None


def _truth(name: str) -> bool:
    """The name says that something is or is not so."""
    return bool(WRITES.match(name) or READS.match(name))


def _may_be_flags(gup: Gup, name: str) -> bool:
    """Somebody gives the variable a FOLL_ flag."""
    return any(token.text.startswith("FOLL_") for value in gup.body.values(name) for token in value)


def _type(function: Function, name: str) -> str | None:
    """bool, int or another last word of a variable's or parameter's type; None where its declaration is not seen."""
    for tokens in (function.header, *(s.tokens for s in function.walk())):
        for n, token in enumerate(tokens):
            if token.text != name or not n:
                continue
            before = tokens[n - 1]
            if before.kind is Kind.WORD and before.text not in ("return", "else"):
                return before.text
            if before.text == "," and tokens[0].text in ("bool", "int") and tokens is not function.header:
                return tokens[0].text
    return None


def _top(tokens: Sequence[Token]) -> list[str]:
    """The texts outside of inner brackets."""
    found, depth = [], 0
    for token in tokens:
        depth -= token.text in (")", "]")
        if depth == 0:
            found.append(token.text)
        depth += token.text in ("(", "[")
    return found


def _instead(code: Code, tokens: Sequence[Token]) -> str | None:
    """What says in flags what a truth value said, `x ? FOLL_WRITE : 0`; None where its name says something else."""
    texts = [token.text for token in tokens]
    if texts in (["1"], ["true"], ["WRITE"], ["VERIFY_WRITE"]):
        return "FOLL_WRITE"
    if texts in (["false"], ["READ"], ["VERIFY_READ"]):
        return "0"
    first, last = tokens[0], tokens[-1]
    compared = COMPARED.intersection(texts)
    if first.line != last.line or (last.kind is Kind.NUMBER and not compared) or {"?", "&"} & set(texts[:-1]):
        return None
    text = code.lines[first.line].text[first.column : last.column + len(last.text)]
    if first.text == "!" and not compared and texts[1] != "!":
        return f"{text[1:].lstrip()} ? 0 : FOLL_WRITE"
    reads = READS.match(last.text) and not compared
    return None if reads or "force" in last.text else f"{text} ? FOLL_WRITE : 0"
