# SPDX-License-Identifier: GPL-2.0-or-later
"""Tokens -> functions and statements, from text that may begin and end anywhere.

Belongs here: the shape of code (blocks, branches, loops, labels) and how much of it is known. What a
statement says is left as its tokens. Layout plays no part: one token a line reads the same. Pure.

A hunk begins somewhere inside something. A } that closes nothing seen makes a block of all that came
before it; a ) that closes nothing seen ends a head that is not seen. Both are marked incomplete.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from reviewbot.c.pattern import closing
from reviewbot.c.tokens import Kind, Token, tokenize

# Deeper nesting is kept as one opaque statement: the deepest in linux 6.12 is under 20, and Python's
# own recursion must never be what ends a run.
MAX_DEPTH = 60

# keyword of the statement -> does it take a parenthesised head
_HEADS = frozenset(("if", "while", "for", "switch"))
_KEYWORDS = frozenset("if else while for switch do return goto break continue case default sizeof typeof".split())
_TOP_WORDS = frozenset(("static", "extern", "typedef"))
_TOP_MACROS = (
    "EXPORT_SYMBOL",
    "SYSCALL_DEFINE",
    "COMPAT_SYSCALL_DEFINE",
    "MODULE_",
    "DEFINE_",
    "TRACE_EVENT",
    "early_param",
    "__setup",
)
_TYPE_WORDS = frozenset(
    "struct union enum const volatile unsigned signed int char long short bool void static register "
    "u8 u16 u32 u64 s8 s16 s32 s64 size_t ssize_t pgoff_t vm_fault_t".split()
)


class TooMuchError(Exception):
    """A rule has looked at more statements than a real function makes it look at."""


class Effort:
    """How many statements a rule may still look at: real code needs a few looks at each, so a rule's time stays
    linear in the file whatever a stranger's mail does to it. And how many tokens of a file may be made statements."""

    __slots__ = ("left", "skipped", "tokens")

    def __init__(self) -> None:
        self.left = 0
        self.tokens = 1 << 40  # no limit
        self.skipped = 0  # tokens that were left out for that

    def allow(self, tokens: int) -> None:
        """Begin anew, for a file of so many tokens: no rule needs as much in any file of 6.12."""
        self.left = min(20_000 + tokens // 2, 60_000)

    def spend(self, looks: int = 1) -> None:
        """A statement is looked at, or something as dear as several looks is done. Raises TooMuchError at the end."""
        self.left -= looks
        if self.left < 0:
            raise TooMuchError

    def take(self, tokens: int) -> bool:
        """So many more tokens may be made statements; where not, they are left out."""
        if tokens > self.tokens:
            self.skipped += tokens
            return False
        self.tokens -= tokens
        return True


class StatementKind(StrEnum):
    """What a statement does to the flow."""

    EXPRESSION = "expression"  # declarations too
    IF = "if"
    LOOP = "loop"  # while, for, and macros with a body: list_for_each_entry() { }
    DO = "do"
    SWITCH = "switch"
    ONCE = "once"  # scoped_guard() { }: a head, then the body exactly once
    CASE = "case"
    LABEL = "label"
    RETURN = "return"
    GOTO = "goto"
    BREAK = "break"
    CONTINUE = "continue"
    BLOCK = "block"
    OPAQUE = "opaque"  # too deep to take apart


class Statement:
    """One statement. `tokens` is what is evaluated when the flow is here: the whole of an expression, the
    head of a branch or loop without its parentheses, the value of a return, the name of a label or goto.

    Two statements are never equal: each is a place.
    """

    __slots__ = ("body", "complete", "extent", "head", "kind", "orelse", "span", "tokens")

    def __init__(
        self,
        kind: StatementKind,
        tokens: tuple[Token, ...],
        body: tuple[Statement, ...] = (),
        orelse: tuple[Statement, ...] = (),
        complete: bool = True,
        head: str = "",
        span: tuple[int, int] = (0, 0),
        extent: tuple[int, int] = (0, 0),
    ) -> None:
        self.kind = kind
        self.tokens = tokens
        self.body = body
        self.orelse = orelse
        self.complete = complete  # False where its beginning or end is not in the text
        self.head = head  # the keyword or macro of a loop: "while", "for", "for_each_vma"
        self.span = span  # first and last line (index) of all of it
        self.extent = extent  # where it begins and ends among the fragment's tokens

    def holds(self, other: Statement) -> bool:
        """The other statement of the same function is this one or lies within it."""
        return self.extent[0] <= other.extent[0] and other.extent[1] <= self.extent[1]

    def walk(self) -> Iterator[Statement]:
        """Itself and all statements within it, in order."""
        todo = [self]
        while todo:
            now = todo.pop()
            yield now
            todo.extend(reversed(now.orelse))
            todo.extend(reversed(now.body))


class Function:
    """A function, or the part of one that a hunk shows."""

    __slots__ = ("closed", "effort", "header", "macro", "name", "opened", "statements")

    def __init__(
        self,
        name: str | None,
        header: tuple[Token, ...],
        statements: tuple[Statement, ...],
        opened: bool,
        closed: bool,
        macro: bool = False,
    ) -> None:
        self.name = name  # None where not even git's hunk heading tells
        self.header = header  # type, name and parameters as far as seen; lines are -1 where from the hunk heading
        self.statements = statements
        self.opened = opened  # its first line is in the text
        self.closed = closed  # its last line is in the text
        self.macro = macro  # the body of a #define
        self.effort = Effort()  # what is spent on it; shared by a file's functions

    @property
    def whole(self) -> bool:
        """All of the function is there."""
        return self.opened and self.closed

    def walk(self) -> Iterator[Statement]:
        """All statements, in order; each look is spent from the rule's effort."""
        spend = self.effort.spend
        for statement in self.statements:
            for inner in statement.walk():
                spend()
                yield inner


class Active(NamedTuple):
    """The tokens of a text that `parse` reads: of #if and #else one side."""

    code: list[Token]
    macros: list[Token]  # what is part of a preprocessor directive


def active(tokens: Sequence[Token]) -> Active:
    """Sort the tokens of a text."""
    kept = _active(tokens)
    return Active([token for token in kept if not token[4]], [token for token in tokens if token[4]])


def parse(
    tokens: Active | Sequence[Token],
    section: str = "",
    effort: Effort | None = None,
    lines: Sequence[int] | None = None,
) -> tuple[Function, ...]:
    """The functions of a fragment. `section` is git's hunk heading, '' where the text begins at the top of a file.

    With `lines` (ascending), of a whole file, only the functions that hold one of them. What `effort` does not allow
    is left out: of a whole file single functions, else the fragment.
    """
    if effort is None:
        effort = Effort()
        effort.allow(len(tokens))
    code, macros = tokens if isinstance(tokens, Active) else active(tokens)
    if lines is not None:
        code, macros = _holding(code, lines, effort), _directives_holding(macros, lines)
    elif not effort.take(len(code)):
        code = []
    functions = (*_Parser(code, section).run(), *_macros(macros if effort.take(len(macros)) else []))
    for function in functions:
        function.effort = effort
    return functions


_BRACES_AND_END = frozenset("{};")


def _holding(tokens: Sequence[Token], lines: Sequence[int], effort: Effort) -> list[Token]:
    """The top-level pieces of a file (up to a ; or a } outside of braces) that hold one of the lines."""
    kept: list[Token] = []
    depth = start = 0
    last = len(tokens) - 1
    marks = [n for n, token in enumerate(tokens) if token[1] in _BRACES_AND_END]
    if last >= 0 and (not marks or marks[-1] != last):
        marks.append(last)
    for n in marks:
        text = tokens[n].text
        if text == "{":
            depth += 1
        elif text == "}":
            depth = max(0, depth - 1)
        if (text in (";", "}") and depth == 0) or n == last:
            at = bisect_left(lines, tokens[start].line)
            if at < len(lines) and lines[at] <= tokens[n].line and effort.take(n + 1 - start):
                kept.extend(tokens[start : n + 1])
            start = n + 1
    return kept


def _directives_holding(tokens: Sequence[Token], lines: Sequence[int]) -> list[Token]:
    """The preprocessor directives that hold one of the lines."""
    ranges: dict[int, tuple[int, int]] = {}
    for token in tokens:
        first, _ = ranges.get(token.directive, (token.line, 0))
        ranges[token.directive] = first, token.line
    wanted = {
        directive
        for directive, (first, last) in ranges.items()
        if (at := bisect_left(lines, first)) < len(lines) and lines[at] <= last
    }
    return [token for token in tokens if token.directive in wanted]


def _active(tokens: Sequence[Token]) -> list[Token]:
    """Without #if 0, and without an #else within a function, or whose #if opens a brace that it does not close."""
    starts = _directives(tokens)
    if not starts:
        return list(tokens)
    kept: list[Token] = []
    stack: list[tuple[bool, int, bool]] = []  # (skipping outside, brace balance at #if, is a #if 0)
    skip, balance = False, 0
    texts = [token[1] for token in tokens]
    at = 0
    for start in (*starts, len(tokens)):
        if not skip:
            balance += texts[at:start].count("{") - texts[at:start].count("}")
            kept.extend(tokens[at:start])
        at = start
        if start == len(tokens):
            break
        directive = tokens[start].directive
        while at < len(tokens) and tokens[at].directive == directive:
            at += 1
        words = texts[start + 1 : at]
        word = words[0] if words else ""
        if word in ("if", "ifdef", "ifndef"):
            zero = words[1:2] == ["0"]
            stack.append((skip, balance, zero))
            skip = skip or zero
        elif word in ("else", "elif") and stack:
            outer, before, zero = stack[-1]
            # one or the other: within a function they are no sequence
            skip = outer or (not zero and (skip or balance != before or balance > 0))
        elif word == "endif" and stack:
            skip = stack.pop()[0]
        if not skip:
            kept.extend(tokens[start:at])
    return kept


def _directives(tokens: Sequence[Token]) -> list[int]:
    """Indices of the # that begin a preprocessor directive."""
    return [
        n
        for n, token in enumerate(tokens)
        if token[4] and token[1] == "#" and (n == 0 or tokens[n - 1].directive != token[4])
    ]


def live(tokens: Sequence[Token]) -> list[Token]:
    """Without what stands between #if 0 and its #else or #endif."""
    if not any(token[4] and token[1] == "0" for token in tokens):
        return list(tokens)
    kept: list[Token] = []
    stack: list[bool] = []  # for each #if: what follows is dead
    at, dead = 0, False
    for start in _directives(tokens):
        if not dead:
            kept.extend(tokens[at:start])
        words = [token.text for token in tokens[start + 1 : start + 3]]
        if words[:1] in (["if"], ["ifdef"], ["ifndef"]):
            stack.append(words == ["if", "0"])
        elif words[:1] in (["else"], ["elif"]) and stack:
            stack[-1] = False
        elif words[:1] == ["endif"] and stack:
            stack.pop()
        at, dead = start, any(stack)
    if not dead:
        kept.extend(tokens[at:])
    return kept


def _macros(tokens: Sequence[Token]) -> Iterator[Function]:
    """The bodies of #define, each as a function named after the macro."""
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if not token.directive:
            at += 1
            continue
        end = at
        while end < len(tokens) and tokens[end].directive == token.directive:
            end += 1
        if end - at > 3 and tokens[at + 1].text == "define":
            body = at + 3
            header = tuple(tokens[at : at + 3])
            adjacent = tokens[body].line == header[2].line and tokens[body].column == header[2].column + len(
                header[2].text
            )
            if tokens[body].text == "(" and adjacent:
                body = closing(tokens, body, end) or end
            statements = _Parser(list(tokens[body:end]), "").block_only()
            if statements:
                yield Function(header[2].text, header, statements, True, True, macro=True)
        at = end


class _Parser:
    def __init__(self, tokens: Sequence[Token], section: str) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.cut = False  # the text has ended inside a block
        self.section = section

    # -- fragments --------------------------------------------------------------------------------

    def run(self) -> list[Function]:
        functions: list[Function] = []
        name, header = _heading(self.section)
        loose: list[Statement] = []

        def close(closed: bool) -> None:
            nonlocal loose, name, header
            if loose:
                functions.append(Function(name, header, tuple(loose), False, closed))
            loose, name, header = [], None, ()

        while self.at < len(self.tokens):
            if found := self._function_header(self.at):
                open_brace, function_name = found
                close(True)
                start = self.at
                self.at = open_brace + 1
                body, closed = self._until_brace()
                functions.append(
                    Function(function_name, tuple(self.tokens[start:open_brace]), tuple(body), True, closed)
                )
                continue
            if self.tokens[self.at].text == "}":
                loose = self._unmatched(loose)
                if self._top_level():
                    close(True)
                continue
            loose.append(self._statement())
        close(False)
        return functions

    def block_only(self) -> tuple[Statement, ...]:
        """The tokens as statements of one macro body."""
        found: list[Statement] = []
        while self.at < len(self.tokens):
            if self.tokens[self.at].text == "}":
                found = self._unmatched(found)
            else:
                found.append(self._statement())
        return tuple(found)

    def _unmatched(self, before: list[Statement]) -> list[Statement]:
        """A } that closes nothing seen: all that came before was a block's inside."""
        line = self.tokens[self.at].line
        first = before[0].span[0] if before else line
        start = before[0].extent[0] if before else self.at
        self.at += 1
        text = self._text()
        if text == "else":
            self.at += 1
            orelse = self._branch()
            return [
                Statement(
                    StatementKind.IF,
                    (),
                    tuple(before),
                    orelse,
                    False,
                    "if",
                    (first, self._last_line()),
                    (start, self.at),
                )
            ]
        if text == "while" and self._text(1) == "(":
            end = closing(self.tokens, self.at + 1)
            if end is not None and self._text(end - self.at) == ";":
                head = tuple(self.tokens[self.at + 2 : end - 1])
                self.at = end + 1
                return [
                    Statement(
                        StatementKind.DO,
                        head,
                        tuple(before),
                        (),
                        False,
                        "do",
                        (first, self._last_line()),
                        (start, self.at),
                    )
                ]
        if not before:
            return []
        # under what condition the flow came into that block is not seen; it may have come past it
        return [Statement(StatementKind.IF, (), tuple(before), (), False, "", (first, line), (start, self.at))]

    def _top_level(self) -> bool:
        """What follows a } that closed nothing seen cannot stand inside a function."""
        if self.at >= len(self.tokens):
            return False
        text = self.tokens[self.at].text
        return (
            text in _TOP_WORDS
            or text.startswith(_TOP_MACROS)
            or self._function_header(self.at) is not None
            or (text in ("struct", "enum", "union") and self._text(2) == "{")
        )

    def _function_header(self, at: int) -> tuple[int, str] | None:
        """(index of the {, name) where a function definition begins at `at`: two words or more, (..), {."""
        tokens = self.tokens
        first = tokens[at]
        if first.kind is not Kind.WORD or first.text in _KEYWORDS:
            return None
        words, n = 0, at
        while n < len(tokens) and n - at < 24:
            token = tokens[n]
            if token.kind is Kind.WORD and token.text not in _KEYWORDS:
                words += 1
            elif token.text == "(" and words:
                end = closing(tokens, n, min(len(tokens), n + 300))
                if end is None:
                    return None
                name = tokens[n - 1]
                after = end
                while after < len(tokens) and tokens[after].kind is Kind.WORD and tokens[after].text not in _KEYWORDS:
                    after += 1
                    if after < len(tokens) and tokens[after].text == "(":
                        # __releases(x), or the attribute before the name: __printf(1, 2) int f(..)
                        behind = closing(tokens, after, min(len(tokens), after + 300))
                        if behind is None:
                            return None
                        if (
                            tokens[behind : behind + 1]
                            and tokens[behind].text == "{"
                            and words == 1
                            and after - end > 1
                        ):
                            return behind, tokens[after - 1].text
                        after = behind
                if after >= len(tokens) or tokens[after].text != "{":
                    return None
                inside = tokens[n + 1 : end - 1]
                if ("DEFINE" in name.text and name.text.isupper()) or name.text.startswith(
                    ("SYSCALL_DEFINE", "COMPAT_SYSCALL_DEFINE")
                ):
                    return after, inside[0].text if inside else name.text
                if name.kind is Kind.WORD and (words >= 2 or _declares(inside)):
                    return after, name.text
                return None
            elif token.text != "*":
                return None
            n += 1
        return None

    # -- statements -------------------------------------------------------------------------------

    def _until_brace(self) -> tuple[list[Statement], bool]:
        """Statements up to the } that ends this block, which is consumed; False where the text ends first."""
        found: list[Statement] = []
        self.depth += 1
        try:
            while self.at < len(self.tokens):
                if self.tokens[self.at].text == "}":
                    self.at += 1
                    return found, True
                found.append(self._statement())
            self.cut = True
            return found, False
        finally:
            self.depth -= 1

    def _branch(self) -> tuple[Statement, ...]:
        """The body of a branch or loop: a block's statements, or one statement."""
        if self.at >= len(self.tokens):
            return ()
        if self.tokens[self.at].text == "{":
            if self.depth >= MAX_DEPTH:
                return (self._opaque(),)
            self.at += 1
            return tuple(self._until_brace()[0])
        if self.tokens[self.at].text == "}":
            return ()
        self.depth += 1
        try:
            return (self._statement(),)
        finally:
            self.depth -= 1

    def _statement(self) -> Statement:
        start = self.at
        tokens = self.tokens
        token = tokens[start]
        text = token.text
        kind = StatementKind.EXPRESSION
        if self.depth >= MAX_DEPTH:
            return self._opaque()
        if text == "{":
            self.at += 1
            body, closed = self._until_brace()
            return self._make(StatementKind.BLOCK, (), start, body=tuple(body), complete=closed)
        if text in _HEADS and self._text(1) == "(":
            end = closing(tokens, start + 1)
            if end is None:
                head = tuple(tokens[start + 2 :])
                self.at = len(tokens)
                return self._make(_HEAD_KINDS[text], head, start, complete=False, head=text)
            head = tuple(tokens[start + 2 : end - 1])
            self.at = end
            if text == "while" and self._text() == ";":
                self.at += 1
                return self._make(StatementKind.LOOP, head, start, head=text)
            body_ = self._branch()
            closed = not self.cut
            orelse: tuple[Statement, ...] = ()
            if text == "if" and self._text() == "else":
                self.at += 1
                orelse = self._branch()
            return self._make(_HEAD_KINDS[text], head, start, body=body_, orelse=orelse, complete=closed, head=text)
        if text == "do" and self._text(1) == "{":
            self.at += 2
            body, closed = self._until_brace()
            head = ()
            if self._text() == "while" and self._text(1) == "(" and (end := closing(tokens, self.at + 1)):
                head = tuple(tokens[self.at + 2 : end - 1])
                self.at = end + (self._text(end - self.at) == ";")
            return self._make(StatementKind.DO, head, start, body=tuple(body), complete=closed, head="do")
        if text == "else":
            # the if is above the hunk, or its body was no block: what follows is the other branch
            self.at += 1
            return self._make(StatementKind.IF, (), start, orelse=self._branch(), complete=False, head="if")
        if text in ("case", "default"):
            self._skip_to(":")
            return self._make(StatementKind.CASE, tuple(tokens[start + 1 : self.at - 1]), start)
        if token.kind is Kind.WORD and self._text(1) == ":" and self._text(2) != ":" and text not in _KEYWORDS:
            self.at += 2
            return self._make(StatementKind.LABEL, (token,), start)
        if text in ("return", "goto", "break", "continue"):
            kind = StatementKind(text)
        elif token.kind is Kind.WORD and self._text(1) == "(" and text not in _KEYWORDS:
            end = closing(tokens, start + 1)
            if end is not None and end < len(tokens) and self._macro_head(text, end):
                self.at = end
                once = text.startswith("scoped_")
                body_ = self._branch()
                return self._make(
                    StatementKind.ONCE if once else StatementKind.LOOP,
                    tuple(tokens[start + 2 : end - 1]),
                    start,
                    body=body_,
                    complete=not self.cut,
                    head=text,
                )
        return self._simple(kind, start)

    def _macro_head(self, name: str, end: int) -> bool:
        """name(..) at a statement's beginning is the head of a loop or of a scope, not a call."""
        following = self.tokens[end].text
        if following == "{":
            return True
        looping = "for_each" in name or name.startswith(("scoped_", "foreach"))
        return looping and following not in (";", ",", ")", "=", "?", ":", ".", "->")

    def _simple(self, kind: StatementKind, start: int) -> Statement:
        """Up to the ; that ends it; a ) or { that fits nothing seen ends a head above the text."""
        tokens = self.tokens
        depth, n = 0, start
        while n < len(tokens):
            text = tokens[n].text
            if text in ("(", "["):
                depth += 1
            elif text in (")", "]"):
                depth -= 1
                if depth < 0:
                    depth = 0
                    following = tokens[n + 1] if n + 1 < len(tokens) else None
                    if (
                        text == ")"
                        and following
                        and (
                            following.text == "{"
                            or (following.kind is Kind.WORD and following.text not in ("__attribute__",))
                        )
                    ):
                        head = tuple(tokens[start:n])
                        self.at = n + 1
                        body = self._branch()
                        orelse: tuple[Statement, ...] = ()
                        if self._text() == "else":
                            self.at += 1
                            orelse = self._branch()
                        return self._make(StatementKind.IF, head, start, body=body, orelse=orelse, complete=False)
            elif text == "{":
                end = closing(tokens, n)
                previous = tokens[n - 1].text if n > start else ""
                if depth == 0 and previous not in ("=", ")", ",", "(") and not self._aggregate(start, n):
                    break  # a block behind something that is no statement: a macro without ;
                if depth == 0 and previous == ")" and end is None:
                    break
                if end is None:
                    n = len(tokens)
                    break
                n = end
                if depth == 0 and previous == ")" and self._text(n - self.at) not in (";", ",", ".", "->", "["):
                    break
                continue
            elif text == "}":
                if depth == 0 or kind is not StatementKind.EXPRESSION:
                    break
                depth = 0
                break
            elif text == ";" and depth <= 0:
                skip = 0 if kind is StatementKind.EXPRESSION else 1
                self.at = n + 1
                return self._make(kind, tuple(tokens[start + skip : n]), start)
            n += 1
        skip = 0 if kind is StatementKind.EXPRESSION else 1
        self.at = max(n, start + 1)
        return self._make(kind, tuple(tokens[start + skip : self.at]), start, complete=False)

    def _aggregate(self, start: int, brace: int) -> bool:
        """struct x { .. }, enum { .. }, x = { .. } : the brace opens members, not statements."""
        return any(self.tokens[n].text in ("struct", "enum", "union", "=") for n in range(start, brace))

    def _opaque(self) -> Statement:
        start = self.at
        depth, n = 0, start
        while n < len(self.tokens):
            text = self.tokens[n].text
            depth += (text == "{") - (text == "}")
            if depth < 0:
                break
            n += 1
            if depth == 0 and text in (";", "}"):
                break
        self.at = max(n, start + 1)
        return self._make(StatementKind.OPAQUE, tuple(self.tokens[start : self.at]), start, complete=False)

    def _make(
        self,
        kind: StatementKind,
        tokens: tuple[Token, ...],
        start: int,
        *,
        body: tuple[Statement, ...] = (),
        orelse: tuple[Statement, ...] = (),
        complete: bool = True,
        head: str = "",
    ) -> Statement:
        span = (self.tokens[start].line, self._last_line())
        return Statement(kind, tokens, body, orelse, complete, head, span, (start, self.at))

    def _last_line(self) -> int:
        return self.tokens[min(self.at, len(self.tokens)) - 1].line

    def _text(self, ahead: int = 0) -> str:
        n = self.at + ahead
        return self.tokens[n].text if 0 <= n < len(self.tokens) else ""

    def _skip_to(self, text: str) -> None:
        """Behind the next `text` outside of brackets and ?:, not further than the statement."""
        depth = 0
        while self.at < len(self.tokens):
            now = self.tokens[self.at].text
            depth += now in ("(", "?")
            depth -= now == ")"
            self.at += 1
            if now == text:
                if depth == 0:
                    return
                depth -= 1
            elif now in (";", "{", "}"):
                return


_HEAD_KINDS = {
    "if": StatementKind.IF,
    "while": StatementKind.LOOP,
    "for": StatementKind.LOOP,
    "switch": StatementKind.SWITCH,
}


def _declares(tokens: Sequence[Token]) -> bool:
    """The inside of a (..) reads as parameters: `struct x *y`, `int z`, `void`."""
    if [t.text for t in tokens] == ["void"]:
        return True
    return any(t.text in _TYPE_WORDS for t in tokens) and len(tokens) > 1


def _heading(section: str) -> tuple[str | None, tuple[Token, ...]]:
    """Function name and header tokens from git's hunk heading, which shows the line that opened the function."""
    if "(" not in section or section.rstrip().endswith(";"):
        return None, ()
    tokens, _ = tokenize([section])
    if not tokens or tokens[0].kind is not Kind.WORD or tokens[0].text in _KEYWORDS:
        return None, ()
    paren = next((n for n, t in enumerate(tokens) if t.text == "("), 0)
    if not paren or tokens[paren - 1].kind is not Kind.WORD:
        return None, ()
    name = tokens[paren - 1].text
    if name.startswith(("SYSCALL_DEFINE", "COMPAT_SYSCALL_DEFINE")) and paren + 1 < len(tokens):
        name = tokens[paren + 1].text
    return name, tuple(t._replace(line=-1) for t in tokens)
