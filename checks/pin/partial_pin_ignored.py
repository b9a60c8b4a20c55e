# SPDX-License-Identifier: GPL-2.0-or-later
"""How many pages get_user_pages*() or pin_user_pages*() took is not asked, misread, or the few it took are leaked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from reviewbot.checks.pin._pages import (
    RELEASERS,
    TAKERS,
    TAKING_WORDS,
    Held,
    Use,
    all_calls,
    count_of,
    mentions_pages,
    operand,
    result_of,
)

from reviewbot.c.code import Call, Code, assigned, calls
from reviewbot.c.flow import Edge
from reviewbot.c.skeleton import Statement, StatementKind
from reviewbot.c.tokens import Kind, Token
from reviewbot.kernel import has_word
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, code_rule

# true or false, nothing else: include/linux/mm.h:2639
_BOOL = ("get_user_page_fast_only",)
# their only errors are of the address: mm/gup.c:3440-3469, :3486-3521
_COUNT = ("get_user_pages_fast_only", "pin_user_pages_fast_only")
_WIDE = frozenset(("unsigned long", "unsigned long int", "unsigned long long", "size_t", "u64", "__u64", "uint64_t",
                   "ulong", "pgoff_t"))  # fmt: skip
_NARROW = frozenset(("unsigned", "unsigned int", "u32", "__u32", "uint32_t", "uint"))
_INT = frozenset(("int", "s32", "signed int"))
_LONG = frozenset(("long", "long int", "ssize_t", "s64", "signed long", "long long"))
_FREES = ("kfree", "kvfree", "vfree", "kfree_sensitive", "kvfree_sensitive")
_LETS_GO = frozenset("put unpin release free cleanup destroy undo abort fini drop unmap teardown".split())
_ZEROED = ("zalloc", "zalloc_array", "calloc")


@code_rule(Severity.ERROR, id="PN02", since="v5.6", words=TAKING_WORDS, confidence=Confidence.HIGH)
def check(code: Code) -> Iterator[Report]:
    """The result of each call: thrown away, taken for unsigned, tested for 0 only, or fewer than asked for and lost."""
    for function in code.functions:
        if not mentions_pages(function, TAKERS):
            continue
        held = Held(function, code.flow(function))
        for use in held.takes:
            if _ignored(use):
                if not _null_tells(held, use):
                    yield Report(
                        use.call.tokens,
                        f"the result of {use.call.name}() is ignored: '{use.what.text}' holds no page where it failed",
                    )
            elif use.call.name not in (*_BOOL, *_COUNT):
                found = list(_misread(held, use))
                yield from found
                if not found and _takes_part_for_all(held, use):
                    count = count_of(use.call)
                    yield Report(
                        use.call.tokens,
                        f"{use.call.name}() may take fewer pages than '{count}': only its errors are asked for",
                    )
            if use.call.name not in _BOOL:
                yield from _leaked(held, use)


# -- nobody asks ----------------------------------------------------------------------------------


def _ignored(use: Use) -> bool:
    """The call is the whole statement."""
    tokens = use.statement.tokens
    if use.statement.kind is not StatementKind.EXPRESSION or not use.statement.complete:
        return False
    if [t.text for t in tokens[:3]] == ["(", "void", ")"]:
        tokens = tokens[3:]
    return bool(tokens) and tokens[0] is use.call.tokens[0] and len(tokens) == len(use.call.tokens)


def _null_tells(held: Held, use: Use) -> bool:
    """The page was NULL before, so that its value is the answer; or what it was is not seen."""
    if use.what.last in _nulled(held):
        return True
    if use.array:
        return False
    if use.what.member:
        return any(s.kind is StatementKind.IF and has_word(s.tokens, use.what.last) for s in held.statements)
    return held.declared(use.what.text) is None


def _nulled(held: Held) -> frozenset[str]:
    """Last names of what a function sets to NULL, or gets from an allocation that is all zeroes."""
    found: set[str] = set()
    for statement in held.statements:
        held.spend()
        tokens = statement.tokens
        for n, token in enumerate(tokens[:-1]):
            empty = tokens[n + 1].text in ("NULL", "{", "0") or tokens[n + 1].text.endswith(_ZEROED)
            if n and token.text == "=" and empty:
                left = [t.text for t in tokens[:n] if t.kind is Kind.WORD]
                before = tokens[n - 1]
                if before.kind is Kind.WORD:
                    found.add(before.text)
                elif before.text == "]":
                    found.update(left[-4:])
        for call in calls(tokens, "memset"):
            found.update(t.text for argument in call.arguments[:1] for t in argument)
    return frozenset(found)


# -- somebody asks, and misreads the answer -------------------------------------------------------


def _misread(held: Held, use: Use) -> Iterator[Report]:
    if (tested := _only_zero(use)) is not None:
        yield Report(tested, f"{use.call.name}() is only asked for 0: it returns a negative error")
        return
    result = result_of(use)
    if result is None:
        return
    type_ = (held.declared(result) or "").removesuffix(" []")

    def asks(statement: Statement) -> bool:
        return has_word(statement.tokens, result)

    for statement in (use.statement, *held.flow.after(use.statement, asks)):
        if not asks(statement) or statement.kind not in (StatementKind.IF, StatementKind.LOOP):
            continue
        found = list(_compared(statement.tokens, result))
        if statement is use.statement and not found:
            continue
        # `ret < 0 || ret < n`: the error is asked for
        if type_ in _INT | _LONG and any(other[0].text == "0" for _, _, other in found if len(other) == 1):
            continue
        for what, sign, other in found:
            # a loop's head may be far from the call
            at, also = what, use.call.tokens
            if statement.kind is StatementKind.LOOP:
                at, also = also, what
            asked = ((also, "may return a negative error" if also is not what else "asked here"),)
            text = "".join(t.text for t in other)
            if type_ in _WIDE | _NARROW and sign in ("<", "<="):
                yield Report(
                    at,
                    f"'{result}' is unsigned: an error of {use.call.name}() is taken for very many pages",
                    asked,
                )
                break
            if sign == "<" and type_ in _INT | _LONG and len(other) == 1 and _unsigned(held, text, type_):
                yield Report(
                    at,
                    f"'{result}' is compared as unsigned, as '{text}' is: an error of {use.call.name}() is taken for "
                    "very many pages",
                    asked,
                )
                break


def _unsigned(held: Held, name: str, type_: str) -> bool:
    """Compared with a variable of this name, what is declared as `type_` becomes unsigned."""
    other = held.declared(name) or ""
    return other in _WIDE or (other in _NARROW and type_ in _INT)


def _only_zero(use: Use) -> Sequence[Token] | None:
    """`!get_user_pages(..)`, `get_user_pages(..) == 0`."""
    tokens = use.statement.tokens
    if use.statement.kind is not StatementKind.IF:
        return None
    call: Call = use.call
    first = next((n for n, t in enumerate(tokens) if t is call.tokens[0]), None)
    if first is None:
        return None
    end = first + len(call.tokens)
    before = tokens[first - 1].text if first else ""
    after = [t.text for t in tokens[end : end + 2]]
    if (before == "!" and not (after and after[0] in ("==", "!=", "<", ">"))) or after == ["==", "0"]:
        return call.tokens
    return None


def _compared(tokens: Sequence[Token], what: str | Call) -> Iterator[tuple[Sequence[Token], str, Sequence[Token]]]:
    """(tokens, sign, other operand) of each comparison of a variable or of a call: `n > x` is `x < n`."""
    mirrored = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "!=": "!=", "==": "=="}
    ends = ("&&", "||", ")", "?", ":")
    for n, token in enumerate(tokens):
        sign = token.text
        if sign not in mirrored or not n:
            continue
        left, right = _before(tokens, n), n + 1
        depth = 0
        while right < len(tokens):
            depth += tokens[right].text in ("(", "[")
            if depth == 0 and tokens[right].text in ends:
                break
            depth -= tokens[right].text in (")", "]")
            right += 1
        one, other = tokens[left:n], tokens[n + 1 : right]
        if one and other and _is(one, what):
            yield tokens[left:right], sign, other
        elif one and other and _is(other, what):
            yield tokens[left:right], mirrored[sign], one


def _is(tokens: Sequence[Token], name: str | Call) -> bool:
    """The variable, or `(x = call(..))`; the call."""
    if isinstance(name, Call):
        return tokens[0] is name.tokens[0] and len(tokens) == len(name.tokens)
    if len(tokens) == 1:
        return tokens[0].text == name
    return len(tokens) > 4 and [t.text for t in (tokens[0], tokens[2], tokens[-1])] == ["(", "=", ")"] and (
        tokens[1].text == name
    )  # fmt: skip


def _before(tokens: Sequence[Token], at: int) -> int:
    """Where the operand in front of a comparison begins."""
    depth, n = 0, at
    while n > 0:
        text = tokens[n - 1].text
        depth += text in (")", "]")
        if depth == 0 and text in ("(", "[", "&&", "||", "!", "?", ":", ",", ";"):
            break
        depth -= text in ("(", "[")
        n -= 1
    return n


def _takes_part_for_all(held: Held, use: Use) -> bool:
    """More than one page is asked for, and the result is asked for errors at most, and never read again."""
    count = count_of(use.call)
    if count in ("1", "") or _is_one(held, count) or use.call.name == "memfd_pin_folios":
        return False
    result = result_of(use)
    if result is None:
        tokens = [t.text for t in use.statement.tokens]
        first = next((n for n, t in enumerate(use.statement.tokens) if t is use.call.tokens[0]), 0)
        end = first + len(use.call.tokens)
        way = list(held.flow.after(use.statement, _never))
        if use.statement.kind is not StatementKind.IF or not _seen_to_the_end(held, way):
            return False
        return tokens[end : end + 2] in (["<", "0"], ["<=", "0"])
    if not result.isidentifier() or held.declared(result) is None:
        return False

    def error(statement: Statement) -> bool:
        signs = [
            sign
            for _, sign, other in _compared(statement.tokens, result)
            if sign in ("<", "<=") and [t.text for t in other] == ["0"]
        ]
        named = sum(t.text == result for t in statement.tokens)
        return statement.kind is StatementKind.IF and 0 < named == len(signs)

    def failing(statement: Statement, edge: Edge) -> bool:
        return edge.truth is True and error(statement)

    def again(statement: Statement) -> bool:
        return statement is use.statement or result in assigned(statement)

    way = list(held.flow.after(use.statement, again, failing))
    if not _seen_to_the_end(held, [use.statement, *(s for s in way if not again(s))]):
        return False
    for statement in (use.statement, *way):
        texts = [t.text for t in statement.tokens]
        if statement is use.statement:
            reads = texts.count(result) > 1
        else:
            reads = result in (texts[2:] if texts[:2] == [result, "="] else texts)
        if reads and not error(statement):
            return False
        if statement.kind is StatementKind.IF and statement is use.statement and not error(statement):
            return False
    return True


# -- fewer pages than asked for, and gone ---------------------------------------------------------


def _leaked(held: Held, use: Use) -> Iterator[Report]:
    """From `if (ret != npages)` to the end of the function nothing is released, but the array is freed."""
    result = result_of(use)
    count = count_of(use.call)
    if count in ("1", "") or _is_one(held, count) or use.call.name == "memfd_pin_folios":
        return
    if result is None and use.statement.kind is not StatementKind.IF:
        return
    later = held.flow.after(use.statement, _never) if result else ()
    for statement in (use.statement, *later):
        if statement.kind is not StatementKind.IF or (result and not has_word(statement.tokens, result)):
            continue
        found = [
            (at, sign != "==")
            for at, sign, other in _compared(statement.tokens, result or use.call)
            if sign in ("!=", "<", "==") and "".join(t.text for t in other) == count
        ]
        if not found or any(t.text == ("&&" if found[0][1] else "||") for t in statement.tokens):
            continue
        way = list(held.flow.after(statement, _never, first=_outcome(found[0][1])))
        if not way or use.statement in way or not _seen_to_the_end(held, way):
            continue
        whose = f"'{result}'" if result else "its result"
        if _gone(held, use, way) and not any(_lets_go(held, use, s) for s in way):
            yield Report(
                found[0][0],
                f"the pages that {use.call.name}() did take are not released where {whose} is not '{count}'",
                ((use.call.tokens, "may take fewer pages than asked for"),),
            )
        return


def _outcome(truth: bool) -> Callable[[Edge], bool]:
    return lambda edge: edge.truth is truth


def _never(_: Statement) -> bool:
    return False


def _is_one(held: Held, name: str) -> bool:
    """`int nr = 1;`"""
    for statement in held.statements:
        held.spend()
        for n, token in enumerate(statement.tokens[:-2]):
            if token.text == name and [t.text for t in statement.tokens[n + 1 : n + 3]] == ["=", "1"]:
                return True
    return False


def _seen_to_the_end(held: Held, way: Sequence[Statement]) -> bool:
    """Every end of the way is a return, or the function's own end."""
    ends = [s for s in way if not held.flow.edges(s) or any(edge.to is None for edge in held.flow.edges(s))]
    return all(
        s.kind is StatementKind.RETURN or (held.function.closed and s.kind is not StatementKind.GOTO) for s in ends
    )


def _gone(held: Held, use: Use, way: Sequence[Statement]) -> bool:
    """Nobody can release them later: the array is freed on this way, or is on the stack."""
    names = held.names(use.what)
    for statement in way:
        for call in calls(statement.tokens, *_FREES):
            what = operand(call.arguments[0]) if call.arguments else None
            if what and what.text in names:
                return True
    return not use.what.member and (held.declared(use.what.text) or "").endswith("[]")


def _lets_go(held: Held, use: Use, statement: Statement) -> bool:
    """The statement may release pages: by its call's name, or because it is handed the array."""
    tokens = statement.tokens
    names = [t.text for t in tokens if t.kind is Kind.WORD]
    for call in all_calls(tokens):
        if call.name in _FREES:
            continue
        if call.name in RELEASERS or _LETS_GO & set(call.name.lower().split("_")):
            return True
        if any((what := operand(a)) and what.text in held.names(use.what) for a in call.arguments):
            return True
    return statement.kind is StatementKind.OPAQUE or "guard" in names
