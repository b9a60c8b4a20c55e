# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel-doc comment says of its function what the code below it does not bear out"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cached_property

from reviewbot.checks.series._kernel_doc import VARIADIC, Doc, bare, docs

from reviewbot.c.code import Code
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Comment, Kind, Token
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, code_rule


@code_rule(Severity.NOTE, id="HY09", words=("/**",), confidence=Confidence.HIGH)
def check(code: Code) -> Iterator[Report]:
    """Comments that are seen from end to end, right above their function."""
    functions = _Functions(code)
    for doc in docs(code):
        other = list(_name(doc))
        yield from other or _parameters(doc)
        yield from _lock(doc)
        yield from _errors(code, doc, functions.of(doc))


# -- names ----------------------------------------------------------------------------------------------------------


def _name(doc: Doc) -> Iterator[Report]:
    """The comment is of another function than the one it stands above."""
    name = doc.prototype.name
    if doc.name is None or not ("_" in doc.name.text or _called(doc)) or _plain(doc.name.text) == _plain(name.text):
        return
    yield Report(
        [doc.name],
        f"the kernel-doc comment is of {doc.name.text}(), the function below it is {name.text}()",
        (([name], "which stands here"),),
    )


def _plain(name: str) -> str:
    """Without what a wrapper of the name that is documented takes off, as kernel-doc does with _noprof."""
    return name.strip("_").removesuffix("_noprof")


def _called(doc: Doc) -> bool:
    """The comment begins `name() - ..`."""
    return doc.name is not None and doc.lines[0].text[doc.name.column + len(doc.name.text) :].lstrip()[:1] == "("


def _parameters(doc: Doc) -> Iterator[Report]:
    prototype = doc.prototype
    has = {token.text for token in prototype.parameters}
    told = {comment.text for comment in doc.parameters}
    if not told:
        return
    words = {*told, VARIADIC, *re.findall(r"\w+", doc.text)}
    missing = [token for token in prototype.parameters if token.text not in words]
    more = [c for c in doc.parameters if c.text not in has and c.text.lower() not in _RESULT]
    if VARIADIC in has:
        more = [c for c in more if c.text not in _REST]
    evidence = prototype.tokens
    for comment in more:
        message = (
            f"@{comment.text} is in the kernel-doc comment, and not among the parameters of {prototype.name.text}()"
        )
        if len(more) == len(missing) == 1:
            message += f"; {missing[0].text} is, and not in the comment"
        yield Report([comment], message, evidence=evidence)
    if not told & has or (len(more) == len(missing) == 1):
        return
    if missing:
        names = ", ".join(token.text for token in missing[:MOST_NAMES]) + (", .." if missing[MOST_NAMES:] else "")
        message = f"the kernel-doc comment of {prototype.name.text}() has other parameters, and leaves out {names}"
        yield Report([missing[0]], message, evidence=(doc.parameters[0], doc.parameters[-1], *prototype.tokens))


# hunks and functions of a file in which the rest of a function is looked for
MOST_PARTS = 300
# names of one message
MOST_NAMES = 5
# `@return:` is a section to kernel-doc, too, and no parameter
_RESULT = frozenset(("return", "returns", "retval", VARIADIC))
# what the ... of a variadic function is called
_REST = frozenset("args varargs arguments".split())


# -- the mmap_lock --------------------------------------------------------------------------------------------------

_LOCK = re.compile(r"\bmmap[_ ](?:lock|sem)\b", re.I)
# a sentence that is about some of the callers, or about how the function leaves
_DEPENDS = re.compile(
    r"\b(?:if|when|unless|otherwise|returns?|returning|exit|after|before|or|either|until|once|while|except|then|even|"
    r"may|might|can|drop\w*|releas\w*|unlock\w*|locked|flags?|both|whether|upon|on success|on failure)\b|FOLL_|FAULT_",
    re.I,
)
_MUST = r"\b(?:must|should|shall|has to|have to|needs? to)\b"
_FREE = re.compile(
    rf"{_MUST}(?: not\b|n't)[^.]{{0,60}}\b(?:hold|held|holding)\b|\bcalled without\b|"
    r"\bmustn't (?:be )?h[eo]ld\b|\b(?:do not|don't) hold\b",
    re.I,
)
_HELD = re.compile(
    rf"{_MUST} (?!not\b)[^.]{{0,60}}\b(?:hold|held|holding)\b|\bcalled with\b[^.]{{0,40}}\bheld\b|"
    r"\bcallers? holds?\b",
    re.I,
)


def _lock(doc: Doc) -> Iterator[Report]:
    """Two sentences of one comment, of which one wants the mmap_lock held and one does not."""
    held: Comment | None = None
    free: Comment | None = None
    for line, text in _sentences(doc.lines):
        if not _LOCK.search(text) or _DEPENDS.search(text):
            continue
        if _FREE.search(text):
            free = free or line
        elif _HELD.search(text):
            held = held or line
    if held and free:
        first, last = sorted((held, free), key=lambda line: line.line)
        message = (
            f"the kernel-doc comment of {doc.prototype.name.text}() wants the mmap_lock held, and wants it not held"
        )
        yield Report([last], message, (([first], "the other of the two"),))


def _sentences(lines: Sequence[Comment]) -> Iterator[tuple[Comment, str]]:
    """(the line on which the sentence names the lock, else begins; text) of each sentence or item of a list."""
    parts: list[tuple[Comment, str]] = []

    def ready() -> Iterator[tuple[Comment, str]]:
        if parts:
            at = next((line for line, text in parts if _LOCK.search(text)), parts[0][0])
            yield at, " ".join(text for _, text in parts)
        parts.clear()

    for line in lines:
        text = bare(line)
        if not text or text[:2] in ("- ", "* ") or text[:1] == "@":
            yield from ready()
        *ended, rest = re.split(r"(?<=[.;])\s+", text)
        for piece in ended:
            parts.append((line, piece))
            yield from ready()
        if rest:
            parts.append((line, rest))
        if rest.endswith((".", ";")):
            yield from ready()
    yield from ready()


# -- what is returned -----------------------------------------------------------------------------------------------

_ERRNO = re.compile(r"(?<![\w-])-(E[A-Z0-9]{2,20})\b")
_RETURNS = re.compile(r"(?:returns?|return values?)\b(?! to\b)", re.I)
_SECTION = re.compile(r"(?:@|[A-Z]\w{0,20}:(?:\s|$))")
_DENIED = re.compile(
    r"\b(?:not|cannot|can't|never|no longer|instead|rather|other than|doesn't|won't|previously|used to|ex:|e\.g|"
    r"for example|such as)(?!\w)",
    re.I,
)
# a state that is told of what a parameter points to: *locked == 0
_STATE = re.compile(r"\*(\w+)\s*(?:={1,2}|is|set to)\s*(\d{1,4}|true|false|NULL)\b")
_IN_STATE = re.compile(r"\b[Rr]eturn(?:s|ed|ing)?(?: value)?(?: is| of| with)? %?-(E[A-Z0-9]{2,20})\b")
# what stands for an error, and is none
_ANY = frozenset("ERRNO ERROR EERROR ERR EXXX EXXXX EFOO".split())
# functions that are there for another to take their place: the comment is of that one
_STUBS = frozenset("__weak __bpf_kfunc".split())
_CONSTANTS = frozenset("NULL true false ERR_PTR".split())
# macros that may return behind the reader's back
_HIDDEN = re.compile(r"RET|TRY|CHECK|GOTO|FAIL|ASSERT|BAIL|VERIFY|REQUIRE|ERROR|_ON_ERR")


class _Functions:
    """The functions of a file, by where their name stands."""

    def __init__(self, code: Code) -> None:
        self._code = code

    @cached_property
    def _named(self) -> dict[Token, Function]:
        functions = (f for f in self._code.functions if f.opened and not f.macro)
        return {token: f for f in functions for token in f.header if token.text == f.name}

    def of(self, doc: Doc) -> Function | None:
        """The function below a comment that speaks of errors; None where it is none, or the patch leaves it alone."""
        return self._named.get(doc.prototype.name) if "-E" in doc.text else None


def _errors(code: Code, doc: Doc, function: Function | None) -> Iterator[Report]:
    """Errors that the comment promises."""
    if function:
        yield from _in_a_state(code, doc, function)
        if function.whole:
            yield from _never(code, doc, function)


def _never(code: Code, doc: Doc, function: Function) -> Iterator[Report]:
    """An error of the Return: section that a function does not return, all of whose returns are constants."""
    named = _promised(doc)
    if len(function.statements) < 2 or any(token.text in _STUBS for token in function.header):
        return
    if not named or (returned := _returned(code, function)) is None:
        return
    for error, line in named:
        if error not in returned and error not in _ANY:
            at = Comment(f"-{error}", line.line, line.column + line.text.index(f"-{error}"))
            last = [s for s in function.walk() if s.kind is StatementKind.RETURN][-1]
            evidence = [*doc.prototype.tokens, *last.tokens]
            message = f"the kernel-doc comment says that {function.name}() returns -{error}, which it never does"
            yield Report([at], message, evidence=evidence)


def _promised(doc: Doc) -> list[tuple[str, Comment]]:
    """(errno, line) of the paragraph that begins with Return."""
    found: dict[str, Comment] = {}
    inside = False
    for line in doc.lines:
        text = bare(line)
        if _RETURNS.match(text):
            inside = True
        elif not text or _SECTION.match(text):
            inside = False
        if inside:
            if _DENIED.search(text):
                return []
            for match in _ERRNO.finditer(text if not text.endswith(");") and "return -" not in text else ""):
                found.setdefault(match[1], line)
    return list(found.items())


def _returned(code: Code, function: Function) -> frozenset[str] | None:
    """The constants that a function returns, and every errno that it names; None where something else is returned."""
    first, last = function.header[0].line, max((s.span[1] for s in function.statements), default=0)
    begin, end = (bisect_left(code.tokens, line, key=lambda token: token.line) for line in (first, last + 1))
    body = code.tokens[begin:end]
    statements = list(function.walk())
    returns = [s for s in statements if s.kind is StatementKind.RETURN]
    if not returns or len(returns) != sum(token.text == "return" for token in body):
        return None
    if any(s.kind is StatementKind.OPAQUE for s in statements) or any("asm" in token.text for token in body):
        return None
    if any(
        token.text.isupper() and _HIDDEN.search(token.text) and body[n + 1 : n + 2] and body[n + 1].text == "("
        for n, token in enumerate(body)
        if token.kind is Kind.WORD and token.text not in ("IS_ERR", "PTR_ERR")
    ):
        return None
    found = {token.text for token in body if _errno(token)}
    variables = {"".join(t.text for t in s.tokens).strip("()") for s in returns if not _constant(s.tokens)}
    if len(variables) > MOST_NAMES or not all(_variable(name, function, body) for name in variables):
        return None
    return frozenset(found)


def _errno(token: Token) -> bool:
    return token.kind is Kind.WORD and token.text[0] == "E" and token.text.isupper()


def _constant(tokens: Sequence[Token]) -> bool:
    """0, -EBUSY, NULL, ERR_PTR(-EBUSY); of a ? b : c what stands behind the ?."""
    texts = [token.text for token in tokens]
    rest = tokens[texts.index("?") + 1 :] if "?" in texts else tokens
    return bool(rest) and all(
        token.kind is Kind.NUMBER or token.text in "()-:" or token.text in _CONSTANTS or _errno(token) for token in rest
    )


_STORES = frozenset("+= -= *= /= %= &= |= ^= <<= >>= ++ -- [".split())


def _variable(name: str, function: Function, body: Sequence[Token]) -> bool:
    """A variable of the function that is given constants only."""
    if not name.isidentifier() or any(token.text == name for token in function.header):
        return False
    given = 0
    for n, token in enumerate(body):
        if token.text != name or n + 1 == len(body) or body[n - 1].text in ("->", "."):
            continue
        after = body[n + 1].text
        if body[n - 1].text in ("&", "++", "--") or after in _STORES:
            return False
        if after == "=":
            end = next((m for m in range(n + 2, len(body)) if body[m].text in (";", ",")), len(body))
            if not _constant(body[n + 2 : end]):
                return False
            given += 1
    return given > 0


def _in_a_state(code: Code, doc: Doc, function: Function) -> Iterator[Report]:
    """ "*locked == 0: .. the return value is -EBUSY", where the code returns other constants with *locked = 0."""
    parameters = {token.text for token in doc.prototype.parameters}
    parts: list[Function] | None = None
    for item in _items(doc.lines):
        text = " ".join(bare(line) for line in item)
        state, told = _STATE.search(text), _IN_STATE.search(text)
        if not state or not told or state[1] not in parameters or _DENIED.search(text) or text.count("-E") > 1:
            continue
        parts = parts or _parts(code, function)
        for back in _left_in(code, parts, state[1], state[2]):
            if any(token.text == told[1] for statement in back for token in statement.tokens):
                continue
            line = next(line for line in item if f"-{told[1]}" in line.text)
            at = Comment(f"-{told[1]}", line.line, line.column + line.text.index(f"-{told[1]}"))
            value = "".join(token.text for token in back[-1].tokens)
            message = (
                f"the kernel-doc comment says that {function.name}() returns -{told[1]} with "
                f"*{state[1]} = {state[2]}, where the code returns {value}"
            )
            yield Report([at], message, ((back[-1].tokens, "returned here"),))
            break


def _items(lines: Sequence[Comment]) -> Iterator[list[Comment]]:
    """The items of lists, and paragraphs."""
    item: list[Comment] = []
    for line in lines:
        text = bare(line)
        if item and (not text or text[:2] in ("- ", "* ") or text[:1] == "@"):
            yield item
            item = []
        if text:
            item.append(line)
    if item:
        yield item


def _parts(code: Code, function: Function) -> list[Function]:
    """A function, and what following hunks show of it: git's heading of such a hunk stands in one before it."""
    parts = [function]
    hunks = code.diff.hunks if code.diff else ()
    if function.closed or len(hunks) != len(code.fragments) or max(len(hunks), len(code.functions)) > MOST_PARTS:
        return parts
    code.effort.spend(MOST_PARTS)
    seen: set[str] = set()
    at = 0
    started = False
    for fragment, hunk in zip(code.fragments, hunks, strict=True):
        here = [f for f in code.functions if _within(f, at, at + len(fragment.lines))]
        if function in here:
            started = True
            if here[-1] is not function:
                break
        elif started:
            if not here or here[0].opened or fragment.section.strip() not in seen:
                break
            parts.append(here[0])
            if here[0].closed or len(here) > 1:
                break
        # the heading is of the old file
        seen.update(line.text.strip() for line in hunk.lines)
        at += len(fragment.lines)
    return parts


def _within(function: Function, start: int, end: int) -> bool:
    lines = [s.span[0] for s in function.statements[:1]] or [t.line for t in function.header if t.line >= 0]
    return bool(lines) and start <= lines[0] < end


def _left_in(code: Code, parts: Sequence[Function], name: str, value: str) -> Iterator[list[Statement]]:
    """The returns of each block that ends in one, in which `*name = value` is done or spoken of; constants only."""
    spoken = re.compile(rf"\*{re.escape(name)}\s*={{1,2}}\s*{re.escape(value)}\b")
    told = [comment.line for comment in code.comments if spoken.search(comment.text)][:MOST_PARTS]
    for part in parts:
        for statement in part.walk():
            for block in (statement.body, statement.orelse):
                if len(block) < 1 or block[-1].kind is not StatementKind.RETURN:
                    continue
                start = statement.span[0] if block is statement.body else block[0].span[0]
                inner = [s.span for s in block if s.body]
                end = block[-1].span[1]
                says = any(
                    start <= line <= end and not any(first <= line <= last for first, last in inner) for line in told
                )
                done = any(
                    [t.text for t in s.tokens] == ["*", name, "=", value]
                    for s in block
                    if s.kind is StatementKind.EXPRESSION
                )
                if not says and not done:
                    continue
                back = [r for s in block for r in s.walk() if r.kind is StatementKind.RETURN]
                if all(_constant(r.tokens) for r in back):
                    yield back
