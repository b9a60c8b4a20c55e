# SPDX-License-Identifier: GPL-2.0-or-later
"""A file as a rule sees it: lines, tokens, comments, functions, and how much of it is known.

Belongs here: what ties tokens to the lines of a patch, and the questions many rules ask. Does not
belong here: what one rule alone wants to know. Pure.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from enum import Enum
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, TypeVar

from reviewbot.c.flow import Flow
from reviewbot.c.pattern import MAX_REACH, Match, Pattern, matching, split_arguments
from reviewbot.c.skeleton import Active, Effort, Function, Statement, active, live, parse
from reviewbot.c.tokens import Comment, Kind, Token, tokenize
from reviewbot.dossier import Claim
from reviewbot.model import Applied, Facts, FileDiff, Line, LineKind, Span, SpanKind, Whole

Place = Token | Comment
T = TypeVar("T")

# Characters of the files that rules look at, of one patch: the largest file of 6.12's mm/ has 0.2 million.
MOST_TEXT = 2_000_000


class Look(Enum):
    """What a rule looks at that a later patch may change without touching the functions in question."""

    FACTS = 1  # the tree's headers
    FILE = 2  # functions of the file that the patch leaves alone


class Call(NamedTuple):
    """A call: its name and arguments. `tokens` reaches from the name to the )."""

    name: str
    arguments: tuple[tuple[Token, ...], ...]
    tokens: tuple[Token, ...]

    def text(self, n: int) -> str:
        """Argument n without white space; '' where there is no such argument. Negative n counts from the end."""
        if not -len(self.arguments) <= n < len(self.arguments):
            return ""
        return "".join(token.text for token in self.arguments[n])


class Fragment(NamedTuple):
    """A stretch of lines without a gap. `section` is git's hunk heading."""

    lines: tuple[Line, ...]
    section: str = ""


class _Text:
    """A text, tokenized, and what is found out of its tokens alone."""

    def __init__(self, lines: Sequence[str], offset: int) -> None:
        self.tokens, self.comments = tokenize(lines, offset)

    @cached_property
    def live(self) -> tuple[Token, ...]:
        """Without what #if 0 takes out."""
        return tuple(live(self.tokens))

    @cached_property
    def index(self) -> dict[str, list[int]]:
        """Where each word stands among the live tokens."""
        found: dict[str, list[int]] = {}
        for n, token in enumerate(self.live):
            if token[0] is Kind.WORD:
                found.setdefault(token[1], []).append(n)
        return found

    @cached_property
    def active(self) -> Active:
        """As `parse` wants them."""
        return active(self.tokens)


# a series mostly stays with its files: what one patch makes of a file is what the next one finds
@lru_cache(maxsize=6)
def _tokenized(text: str) -> _Text:
    return _Text(text.split("\n"), 0)


class Code:
    """One side of one file: the post-image (context and added lines), or the pre-image.

    `whole` says that the file is known from its first line to its last: only then absence means something.
    `version` is the kernel whose facts hold, None where unknown.
    """

    def __init__(
        self,
        path: str,
        fragments: Sequence[Fragment] | None = None,
        *,
        whole: bool = False,
        side: LineKind = LineKind.ADDED,
        version: tuple[int, int] | None = None,
        diff: FileDiff | None = None,
        file: Whole | None = None,
        patch: Sequence[Code] = (),
    ) -> None:
        self.path = path
        self.whole = whole
        self.side = side
        self.version = version
        self.diff = diff
        self.patch = patch  # the same side of every file of the patch, this one among them
        self.applied = False  # there is a tree, though it may not have this file
        self.headers: Applied | None = None  # has what the tree's headers say; None without a tree
        self.defined: Callable[[], Collection[str]] = frozenset  # the names that the series defines
        # the flags of other series in flight that begin so and take a bit: dossier.Flight.claims
        self.claims: Callable[[str, int], Sequence[Claim]] = lambda _prefix, _bit: ()
        self.abstained: str | None = None  # why a rule could not decide something here
        self.file = file  # as the tree has it; None where only hunks are known
        self.shared: dict[str, Any] = {}  # what was found out once for all files of the patch
        self.looked: set[Look] = set()  # what a rule has looked at, besides the functions that the patch touches
        self._given = fragments
        self.effort = Effort()
        self._flows: dict[Function, Flow] = {}

    def hunks_alone(self) -> Code:
        """The same side of the file as the diff shows it, where the whole of it is more than is read."""
        created = self.diff is not None and self.diff.old_path is None
        code = Code(self.path, None, whole=created, side=self.side, version=self.version, diff=self.diff)
        code.patch, code.shared, code.headers, code.defined = self.patch, self.shared, self.headers, self.defined
        code.applied, code.claims = self.applied, self.claims
        return code

    @property
    def facts(self) -> Facts | None:
        """What the tree's headers say; None without a tree."""
        self.looked.add(Look.FACTS)
        return self._facts

    @cached_property
    def _facts(self) -> Facts | None:
        if self.headers is None:
            return None
        return self.headers.facts or (self.headers.later() if self.headers.later else None)

    @cached_property
    def fragments(self) -> tuple[Fragment, ...]:
        """The stretches that are known: those given, or this side of the file diff's hunks."""
        if self._given is not None:
            return tuple(self._given)
        if self.file is not None:
            return (Fragment(_whole_lines(self.file, self.side)),)
        keep = (LineKind.CONTEXT, self.side)
        return tuple(
            Fragment(tuple(line for line in hunk.lines if line.kind in keep), hunk.section)
            for hunk in (self.diff.hunks if self.diff else ())
        )

    @property
    def text(self) -> str:
        """The whole file as the tree has it; '' where only hunks are known."""
        file = self.file
        return (file.after if self.side is LineKind.ADDED else file.before) or "" if file else ""

    @property
    def near(self) -> str:
        """Of the whole file, the text from the } in the first column above each change to the one below it."""
        if self.file is None:
            return ""
        kept: list[str] = []
        lines, end = self.lines, 0
        for n in self._touched:
            if n < end:
                continue
            start = n
            while start > end and lines[start - 1].text[:1] != "}":
                start -= 1
            end = n + 1
            while end < len(lines) and lines[end - 1].text[:1] != "}":
                end += 1
            kept.extend(line.text for line in lines[start:end])
        return "\n".join(kept)

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """All lines; a token's `line` is an index here."""
        if len(self.fragments) == 1:
            return self.fragments[0].lines
        return tuple(line for fragment in self.fragments for line in fragment.lines)

    @cached_property
    def _read(self) -> list[_Text]:
        if self.file is not None:
            return [_tokenized("\n".join(line.text for line in self.lines))]
        read, offset = list[_Text](), 0
        for fragment in self.fragments:
            read.append(_Text([line.text for line in fragment.lines], offset))
            offset += len(fragment.lines)
        return read

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """All tokens, preprocessor directives included; not what #if 0 takes out."""
        if len(self._read) == 1:
            return self._read[0].live
        return tuple(token for text in self._read for token in text.live)

    @cached_property
    def comments(self) -> tuple[Comment, ...]:
        """All comments, line by line."""
        return tuple(comment for text in self._read for comment in text.comments)

    @cached_property
    def functions(self) -> tuple[Function, ...]:
        """The functions or what is seen of them, macros included, in order.

        Of a whole file only those that the patch touches: in the others nothing can be its doing.
        """
        self.effort.allow(len(self.tokens))
        lines = self._touched if self.whole and self.diff and self.diff.hunks else None
        return self._parse(lines)

    @property
    def every_function(self) -> tuple[Function, ...]:
        """All functions of the file that are known, also those that the patch leaves alone: dear for a whole file."""
        self.looked.add(Look.FILE)
        return self._every_function

    @cached_property
    def _every_function(self) -> tuple[Function, ...]:
        if self.whole and self.diff and self.diff.hunks:
            return self._parse(None)
        return self.functions

    def _parse(self, lines: Sequence[int] | None) -> tuple[Function, ...]:
        return tuple(
            function
            for fragment, text in zip(self.fragments, self._read, strict=True)
            for function in parse(text.active, fragment.section, self.effort, lines)
        )

    @cached_property
    def _touched(self) -> list[int]:
        """Indices of the lines that are the patch's on this side, or next to which it has some on the other."""
        if self.file is not None:
            return _touched_lines(self.file.diff, self.side, len(self.lines))
        found: list[int] = []
        before: Line | None = None
        for n, line in enumerate(self.lines):
            gap = (
                before is not None
                and before.kind is line.kind is LineKind.CONTEXT
                and ((line.new or 0) - (before.new or 0) != (line.old or 0) - (before.old or 0))
            )
            if gap and (not found or found[-1] != n - 1):
                found.append(n - 1)
            if gap or line.kind is self.side:
                found.append(n)
            before = line
        return found

    def flow(self, function: Function) -> Flow:
        """The control flow of one of `functions`; made once."""
        if function not in self._flows:
            self._flows[function] = Flow(function)
        return self._flows[function]

    def touches(self, first: int, last: int) -> bool:
        """The patch has a line on either side among those from one index to another, both included."""
        at = bisect_left(self._touched, first)
        return at < len(self._touched) and self._touched[at] <= last

    # -- tokens and lines -------------------------------------------------------------------------

    def changed(self, *places: Place) -> bool:
        """One of the tokens stands on a line of this patch (added, or removed in a pre-image)."""
        return any(place.line >= 0 and self.lines[place.line].kind is self.side for place in places)

    def span(self, places: Sequence[Place]) -> Span:
        """From the first token to the end of the last."""
        first, last = places[0], places[-1]
        line, end = self.lines[first.line], self.lines[last.line]
        removed = line.kind is LineKind.REMOVED
        number = (line.old if removed else line.new) or 0
        end_number = (end.old if end.kind is LineKind.REMOVED else end.new) or number
        return Span(
            SpanKind.REMOVED if removed else SpanKind.SOURCE,
            self.path,
            number,
            first.column + 1,
            end_number,
            last.column + len(last.text) + 1,
            line.text,
            line.message_line,
        )

    def function_of(self, place: Place) -> Function | None:
        """The function that a token stands in; None outside of any."""
        at = bisect_right(self._ranges, (place.line, 1 << 60)) - 1
        best = None
        for start, end, function in self._bounds[: at + 1][-3:]:
            if start <= place.line <= end and (best is None or not function.macro):
                best = function
        return best

    @cached_property
    def _bounds(self) -> list[tuple[int, int, Function]]:
        found = []
        for function in self.functions:
            first = [t.line for t in function.header if t.line >= 0] or [s.span[0] for s in function.statements]
            last = max([s.span[1] for s in function.statements] or first or [0])
            if first:
                found.append((min(first), last + 1 if function.closed and not function.macro else last, function))
        return sorted(found, key=lambda bound: bound[0])

    @cached_property
    def _ranges(self) -> list[tuple[int, int]]:
        return [(start, end) for start, end, _ in self._bounds]

    # -- questions --------------------------------------------------------------------------------

    def once(self, name: str, find: Callable[[Sequence[Code]], T]) -> T:
        """What `find` says of the files of the patch, asked once for all of them: a patch may have ten thousand."""
        if name not in self.shared:
            self.shared[name] = find(tuple(self.patch) or (self,))
        found: T = self.shared[name]
        return found

    def says(self, *words: str) -> bool:
        """One of the words is in the text, be it in a comment; never in a file that is not `readable`."""
        return self.readable and any(word in self._known for word in words)

    @property
    def readable(self) -> bool:
        """It is not larger than what is read of one patch."""
        return len(self._known) <= MOST_TEXT

    @cached_property
    def _known(self) -> str:
        return self.text if self.file is not None else "\n".join(line.text for line in self.lines)

    def abstain(self, why: str = "needs --tree") -> None:
        """A rule says that it cannot decide something of this file: the review counts it as not run."""
        self.abstained = self.abstained or why

    def defines(self, name: str) -> bool:
        """The series itself adds a function, a declaration or a macro of that name."""
        return name in self.defined()

    def calls(self, *names: str) -> Iterator[Call]:
        """Calls of the named functions anywhere in the file, macros included; cut-off calls are left out."""
        at = sorted(n for name in frozenset(names) for n in self._index.get(name, ()))
        return _calls_at(self.tokens, at, lambda: self._brackets) if at else iter(())

    def words(self, *texts: str) -> Iterator[int]:
        """Indices in `tokens` of words, ascending."""
        if len(texts) == 1:
            return iter(self._index.get(texts[0], ()))
        return iter(sorted(n for text in frozenset(texts) for n in self._index.get(text, ())))

    @property
    def vocabulary(self) -> Collection[str]:
        """Every word of `tokens` once: a file has a tenth as many as it has tokens."""
        return self._index.keys()

    def matches(self, pattern: Pattern) -> Iterator[Match]:
        """All matches of a pattern in the file, in order, overlapping ones included."""
        first = pattern.first
        if not first or not all(word.isidentifier() for word in first):
            return pattern.find(self.tokens)
        return (match for n in self.words(*first) if (match := pattern.match(self.tokens, n)))

    @cached_property
    def _index(self) -> dict[str, list[int]]:
        """Where each word stands among the tokens."""
        if len(self._read) == 1:
            return self._read[0].index
        found: dict[str, list[int]] = {}
        for n, token in enumerate(self.tokens):
            if token.kind is Kind.WORD:
                found.setdefault(token.text, []).append(n)
        return found

    @cached_property
    def _brackets(self) -> dict[int, int]:
        return matching(self.tokens)


def calls(tokens: Sequence[Token], *names: str) -> Iterator[Call]:
    """Calls of the named functions among tokens; definitions and declarations are told apart by the word before."""
    wanted = frozenset(names)
    at = [n for n, token in enumerate(tokens) if token.text in wanted and token.kind is Kind.WORD]
    return _calls_at(tokens, at, lambda: matching(tokens)) if at else iter(())


def _calls_at(tokens: Sequence[Token], at: Sequence[int], brackets: Callable[[], dict[int, int]]) -> Iterator[Call]:
    ends: dict[int, int] | None = None
    for n in at:
        if n + 1 < len(tokens) and tokens[n + 1].text == "(":
            before = tokens[n - 1] if n else None
            named = before is not None and before.kind is Kind.WORD and before.text not in _BEFORE_CALL
            # a definition or declaration, but for #define X call(..)
            if named and not (tokens[n].directive and n > 1 and tokens[n - 2].text == "define"):
                continue
            if before is not None and before.text in ("->", "."):
                continue
            ends = brackets() if ends is None else ends
            end = ends.get(n + 1, 0)
            if n < end <= n + MAX_REACH:
                yield Call(tokens[n].text, split_arguments(tokens, n + 1, end), tuple(tokens[n:end]))


_BEFORE_CALL = frozenset(("return", "else", "do", "case", "goto"))


def images(
    diffs: Sequence[FileDiff],
    side: LineKind,
    version: tuple[int, int] | None = None,
    applied: Applied | None = None,
    defined: Callable[[], Collection[str]] = frozenset,
    claims: Callable[[str, int], Sequence[Claim]] = lambda _prefix, _bit: (),
) -> list[Code]:
    """One side of each file of a patch: ADDED for what it becomes, REMOVED for what it was. Nothing is read yet.

    Files that `applied` has are whole, the others are what the hunks show.
    """
    found: list[Code] = []
    shared: dict[str, Any] = {}
    for n, diff in enumerate(diffs):
        path = diff.path if side is LineKind.ADDED else diff.old_path or diff.path
        whole = applied.files.get(n) if applied else None
        if whole is None:
            code = Code(path, None, whole=diff.old_path is None, side=side, version=version, diff=diff)
        else:
            code = Code(path, whole=True, side=side, version=version, diff=whole.diff, file=whole)
        code.patch, code.shared, code.headers, code.defined = found, shared, applied, defined
        code.applied, code.claims = applied is not None, claims
        found.append(code)
    return found


def _whole_lines(whole: Whole, side: LineKind) -> tuple[Line, ...]:
    """One side of a whole file: the lines of its hunks, and between them those that the patch leaves alone."""
    text = (whole.after if side is LineKind.ADDED else whole.before) or ""
    texts = text.split("\n")
    if not texts[-1]:
        texts.pop()
    lines: list[Line] = []
    shift = 0  # new - old line number
    for hunk in whole.diff.hunks:
        first = next((n for line in hunk.lines if (n := line.new if side is LineKind.ADDED else line.old)), None)
        if first is None:
            # it only removes, and shows nothing else: its place is behind the line that it names
            first = (hunk.new_start if side is LineKind.ADDED else hunk.old_start) + 1
        lines.extend(_untouched(texts, len(lines), first - 1, shift, side))
        lines.extend(line for line in hunk.lines if line.kind in (LineKind.CONTEXT, side))
        shift += sum(line.kind is LineKind.ADDED for line in hunk.lines)
        shift -= sum(line.kind is LineKind.REMOVED for line in hunk.lines)
    lines.extend(_untouched(texts, len(lines), len(texts), shift, side))
    return tuple(lines)


def _touched_lines(diff: FileDiff, side: LineKind, count: int) -> list[int]:
    """`Code._touched` of a whole file of so many lines, from its hunks: a file is long, and a patch is not."""
    found: list[int] = []
    at = 0  # index of the next line on this side
    before: LineKind | None = None  # the kind of the line above it; None at the top of the file
    gap = False  # lines of the other side stand between the two

    def close(kind: LineKind) -> None:
        """The line at `at` comes, of that kind."""
        if gap and before is kind is LineKind.CONTEXT:
            if not found or found[-1] != at - 1:
                found.append(at - 1)
            found.append(at)
        elif kind is side:
            found.append(at)

    for hunk in diff.hunks:
        first = next((n for line in hunk.lines if (n := line.new if side is LineKind.ADDED else line.old)), None)
        if first is None:
            first = (hunk.new_start if side is LineKind.ADDED else hunk.old_start) + 1
        if first - 1 > at:
            close(LineKind.CONTEXT)
            at, before, gap = first - 1, LineKind.CONTEXT, False
        for line in hunk.lines:
            if line.kind is LineKind.CONTEXT or line.kind is side:
                close(line.kind)
                at, before, gap = at + 1, line.kind, False
            else:
                gap = True
    if at < count:
        close(LineKind.CONTEXT)
    return found


def _untouched(texts: Sequence[str], start: int, end: int, shift: int, side: LineKind) -> Iterator[Line]:
    back, ahead = (shift, 0) if side is LineKind.ADDED else (0, shift)
    make, context = tuple.__new__, LineKind.CONTEXT  # a file of 7,000 lines has as many
    for n in range(start, min(end, len(texts))):
        yield make(Line, (context, texts[n], n + 1 - back, n + 1 + ahead, 0))


def assigned(statement: Statement) -> Iterator[str]:
    """Names that a statement gives a new value: `x = ..`, `x++`, `for (x = ..)`, `f(&x)`; x->y is not x."""
    tokens = statement.tokens
    for n, token in enumerate(tokens):
        if token.kind is not Kind.WORD or (n and tokens[n - 1].text in ("->", ".")):
            continue
        after = tokens[n + 1].text if n + 1 < len(tokens) else ""
        if after == "=" or (n and tokens[n - 1].text == "&" and (n < 2 or tokens[n - 2].text in ("(", ",", "="))):
            yield token.text
