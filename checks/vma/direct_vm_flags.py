# SPDX-License-Identifier: GPL-2.0-or-later
"""The vm_flags of a VMA are written directly; since v6.3 only vm_flags_set() and its like may"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reviewbot.c.code import Code
from reviewbot.c.flow import split
from reviewbot.c.pattern import closing
from reviewbot.c.skeleton import Function
from reviewbot.c.tokens import Kind, Token
from reviewbot.kernel import is_vma, member_owner, struct_names, substituted
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, code_rule

# operator -> function (include/linux/mm.h:855-917)
HELPERS = {"=": "vm_flags_reset", "|=": "vm_flags_set", "&=": "vm_flags_clear", "^=": "vm_flags_mod"}
# calls that write through the address they are given: mm/ksm.c, mm/khugepaged.c (arguments of 6.2 and 6.12), bitops
WRITERS = frozenset("ksm_madvise hugepage_madvise set_bit __set_bit clear_bit __clear_bit".split())
# what makes a VMA that is in no tree yet: kernel/fork.c:471, :485
NEW = frozenset(("vm_area_alloc", "vm_area_dup"))
# what stands in front of a statement: only a whole one is replaced, the functions return nothing
BEFORE = frozenset((";", "{", "}", ")", "else", ":"))
# more tokens than the value of a real assignment of flags has
LONGEST = 200


@code_rule(Severity.ERROR, id="VM01", since="v6.3", words=("vm_flags",), build=True, confidence=Confidence.HIGH)
def check(code: Code) -> Iterator[Report]:
    """Assignments to the member, WRITE_ONCE() of it, and its address where a function writes through it."""
    tokens = code.tokens
    known: dict[Function | None, dict[str, str]] = {}
    fresh: dict[Function | None, frozenset[str]] = {}
    for n in code.words("vm_flags"):
        owner = member_owner(tokens, n)
        after = tokens[n + 1].text if n + 1 < len(tokens) else ""
        start = n - 1 - len(owner)
        called = _called(tokens, start, after)
        if not owner or (after not in HELPERS and not called):
            continue
        function = code.function_of(tokens[n])
        if function not in known:
            known[function] = struct_names(function)
            fresh[function] = _fresh(function)
        if not is_vma(owner, known[function]):
            continue
        name = "".join(t.text for t in owner)
        at = tokens[start : n + 1]
        if called:
            cure = "vm_flags_reset_once" if called == "WRITE_ONCE" else "vm_flags_set() or vm_flags_clear"
            yield Report(at, f"'{name}{tokens[n - 1].text}vm_flags' is written by {called}(), not by {cure}()")
            continue
        value = _value(tokens, n + 2)
        pointer = _pointer(code, owner, tokens[n - 1].text)
        new = tokens[n - 1].text == "." or name in fresh[function]
        helper, text = _change(code, at, after, value, pointer, fresh=new)
        alone = _begins(tokens, start) and tokens[n + 2 + len(value)].text == ";"
        suggestion = substituted(code, tokens[start : n + 2 + len(value)], text) if text and value and alone else None
        yield Report(
            at, f"'{name}{tokens[n - 1].text}vm_flags' is written directly, not by {helper}()", suggestion=suggestion
        )


def _begins(tokens: Sequence[Token], start: int) -> bool:
    """A statement begins here, so that what ends with its ; is all of it."""
    before = tokens[start - 1] if start > 0 else None
    return before is not None and (before.text in BEFORE or bool(before.directive and not tokens[start].directive))


def _called(tokens: Sequence[Token], start: int, after: str) -> str | None:
    """The function that writes a member whose expression begins at `start`: WRITE_ONCE(x), set_bit(n, &x)."""
    before = tokens[start - 1].text if start > 0 else ""
    if before == "(" and after == "," and start > 1 and tokens[start - 2].text == "WRITE_ONCE":
        return "WRITE_ONCE"
    if before == "&" and after in (",", ")") and start > 1 and tokens[start - 2].text in ("(", ","):
        depth = 0
        for n in range(start - 2, max(0, start - LONGEST), -1):
            depth += tokens[n].text == ")"
            depth -= tokens[n].text == "("
            if depth < 0:
                return tokens[n - 1].text if tokens[n - 1].text in WRITERS else None
            if tokens[n].text in (";", "{", "}"):
                break
    return None


def _value(tokens: Sequence[Token], at: int) -> Sequence[Token]:
    """What is assigned, up to its ; or the bracket around the assignment; () where that is not seen."""
    depth = 0
    for n in range(at, min(len(tokens), at + LONGEST)):
        text = tokens[n].text
        depth += text in ("(", "[", "{")
        depth -= text in (")", "]", "}")
        if depth < 0 or (depth == 0 and text in (";", ",")):
            return tokens[at:n]
    return ()


def _pointer(code: Code, owner: Sequence[Token], access: str) -> str:
    """The VMA as an argument: `vma`, `*prev` of `(*prev)->`, `&vma` of `vma.`."""
    if len(owner) > 2 and owner[0].text == "(" and closing(owner, 0) == len(owner):
        owner = owner[1:-1]
    return ("&" if access == "." else "") + _text(code, owner)


def _fresh(function: Function | None) -> frozenset[str]:
    """The variables of a function that it gives a VMA which is in no tree."""
    return frozenset(
        s.tokens[n - 2].text
        for s in (function.walk() if function else ())
        for n, t in enumerate(s.tokens)
        if t.text in NEW and n >= 2 and s.tokens[n - 1].text == "="
    )


def _change(
    code: Code, at: Sequence[Token], operator: str, value: Sequence[Token], pointer: str, *, fresh: bool
) -> tuple[str, str]:
    """The function to call, and the call; '' where what is written does not tell it.

    vm_flags_mod() sets before it clears; `(old & ~A) | B` clears before, which is the same for flags that are not in
    both, and no more than a reader checks at one glance.
    """
    if operator == "|=":
        return "vm_flags_set", f"vm_flags_set({pointer}, {_text(code, _bare(value))})"
    if operator == "&=" and value and value[0].text == "~" and _one(value[1:]):
        return "vm_flags_clear", f"vm_flags_clear({pointer}, {_text(code, _bare(value[1:]))})"
    if operator == "=" and not any(t.text == "?" for t in value):
        added, removed, rest = _parts(value, "".join(t.text for t in at))
        if not rest and (added or removed) and not fresh:
            plus = " | ".join(_text(code, part) for part in added)
            minus = " | ".join(_text(code, part) for part in removed)
            if added and removed:
                return "vm_flags_mod", f"vm_flags_mod({pointer}, {plus}, {minus})"
            name = "vm_flags_set" if added else "vm_flags_clear"
            return name, f"{name}({pointer}, {plus or minus})"
    if operator == "=":
        name = "vm_flags_init" if fresh else "vm_flags_reset"
        return name, f"{name}({pointer}, {_text(code, _bare(value))})"
    return HELPERS[operator], ""


def _parts(value: Sequence[Token], old: str) -> tuple[list[Sequence[Token]], list[Sequence[Token]], bool]:
    """What an expression adds to the old flags and takes from them; True where it is none of that kind."""
    value = _bare(value)
    if "".join(t.text for t in value) == old:
        return [], [], False
    for operator in ("|", "&"):
        operands = split(value, operator)
        if len(operands) == 1:
            continue
        about = [o for o in operands if any(t.text == "vm_flags" for t in o)]
        others = [o for o in operands if o not in about]
        if len(about) != 1:
            return [], [], True
        added, removed, rest = _parts(about[0], old)
        if operator == "|":
            return [*added, *others], removed, rest
        if any(o[0].text != "~" or not _one(o[1:]) for o in others if o) or not all(others):
            return [], [], True
        return added, [*removed, *(_bare(o[1:]) for o in others)], rest
    return [], [], True


def _one(tokens: Sequence[Token]) -> bool:
    """One operand: a name, or all of it in brackets."""
    return len(tokens) == 1 or (len(tokens) > 2 and tokens[0].text == "(" and closing(tokens, 0) == len(tokens))


def _bare(tokens: Sequence[Token]) -> Sequence[Token]:
    while len(tokens) > 2 and tokens[0].text == "(" and closing(tokens, 0) == len(tokens):
        tokens = tokens[1:-1]
    return tokens


def _text(code: Code, tokens: Sequence[Token]) -> str:
    """The tokens as they are written, where they stand on one line."""
    if not tokens:
        return ""
    first, last = tokens[0], tokens[-1]
    if first.line != last.line or any(t.kind is Kind.STRING for t in tokens):
        return " ".join(t.text for t in tokens)
    return code.lines[first.line].text[first.column : last.column + len(last.text)]
