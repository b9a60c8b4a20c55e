# SPDX-License-Identifier: GPL-2.0-or-later
"""Who takes pages of a user's and who lets them go, by which variable; shared by the rules of this family."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from reviewbot.c.code import Call, Code, calls
from reviewbot.c.flow import Edge, Flow
from reviewbot.c.pattern import MAX_REACH, closing
from reviewbot.c.skeleton import Function, Statement, StatementKind
from reviewbot.c.tokens import Kind, Token
from reviewbot.kernel import conditions, contradicts, flag_tokens

PIN, GET = "pin", "get"
UNKNOWN = "?"

# name -> (kind, index of the argument that is filled): mm/gup.c:2698-2779, :3506-3672, :3700, include/linux/mm.h:2639
TAKERS = {
    "pin_user_pages": (PIN, 3),
    "pin_user_pages_fast": (PIN, 3),
    "pin_user_pages_fast_only": (PIN, 3),
    "pin_user_pages_remote": (PIN, 4),
    "pin_user_pages_unlocked": (PIN, 2),
    "pin_user_pages_locked": (PIN, 3),
    "memfd_pin_folios": (PIN, 3),
    "get_user_pages": (GET, 3),
    "get_user_pages_fast": (GET, 3),
    "get_user_pages_fast_only": (GET, 3),
    "get_user_pages_remote": (GET, 4),
    "get_user_pages_unlocked": (GET, 2),
    "get_user_pages_locked": (GET, 3),
    "get_user_page_fast_only": (GET, 2),
}
# one of these stands in every file that takes such pages
TAKING_WORDS = ("pin_user_pages", "get_user_pages", "get_user_page_fast_only", "memfd_pin_folios")
# the index of the flags of each, and of the number of pages
FLAGS = dict.fromkeys(TAKERS, 2) | {
    "pin_user_pages_remote": 3, "get_user_pages_remote": 3, "pin_user_pages_unlocked": 3, "get_user_pages_unlocked": 3,
    "get_user_page_fast_only": 1,
}  # fmt: skip
COUNTS = dict.fromkeys(TAKERS, 1) | {"pin_user_pages_remote": 2, "get_user_pages_remote": 2}
PINS = tuple(name for name, (kind, _) in TAKERS.items() if kind == PIN)
GETS = tuple(name for name, (kind, _) in TAKERS.items() if kind == GET)
# they return the page: include/linux/mm.h:2546
RETURNERS = {"get_user_page_vma_remote": GET}
# name -> kind of what its first argument must be: mm/gup.c:191-472; mm/swap.c:1012, include/linux/mm.h:1475, :1540
RELEASERS = {
    "unpin_user_page": PIN,
    "unpin_user_pages": PIN,
    "unpin_user_pages_dirty_lock": PIN,
    "unpin_user_page_range_dirty_lock": PIN,
    "unpin_folio": PIN,
    "unpin_folios": PIN,
    "unpin_user_folio": PIN,
    "put_page": GET,
    "folio_put": GET,
    "release_pages": GET,
}
# a reference of one's own, to be put whatever else holds the page: include/linux/mm.h:1442,
# include/linux/page_ref.h:125-160
REFERENCES = (
    "get_page", "try_get_page", "folio_get", "folio_try_get", "get_page_unless_zero", "page_ref_inc", "page_ref_add",
    "folio_ref_inc", "folio_ref_add", "try_grab_page", "try_grab_folio", "skb_frag_ref", "__skb_frag_ref",
)  # fmt: skip
# a page -> what stands for it
_SAME = ("page_folio", "compound_head", "folio_page", "nth_page")


# variables for the same pages in one function: real code has four
_NAMES = 12


class Operand(NamedTuple):
    """What an argument names: `pages`, `&buf->pages[i]` and `buf->pages + n` -> pages, buf->pages, buf->pages."""

    text: str
    bare: bool  # nothing but a cast stood around it

    @property
    def root(self) -> str:
        """The variable at its beginning."""
        return self.text.split("-")[0].split(".")[0].split("[")[0]

    @property
    def member(self) -> str:
        """What follows the variable: ->pages; '' for the variable itself."""
        return self.text[len(self.root) :]

    @property
    def last(self) -> str:
        """Its last name."""
        return self.text.replace("->", ".").rsplit(".", 1)[-1]


def operand(tokens: Sequence[Token]) -> Operand | None:
    """The variable or member that an expression is about; None where it is more than one, a call, or a number."""
    tokens, bare = list(tokens), True
    while tokens:
        first = tokens[0].text
        if first in ("&", "*"):
            tokens, bare = tokens[1:], False
        elif first == "(":
            end = closing(tokens, 0)
            if end is None:
                return None
            if end == len(tokens):
                tokens = tokens[1:-1]
            elif tokens[end - 2].text == "*" or tokens[1].text in ("struct", "void", "unsigned", "const"):
                tokens = tokens[end:]  # a cast
            else:
                inner = operand(tokens[1 : end - 1])  # (*pages)[i]
                return inner and _postfix(inner.text, tokens[end:], False)
        elif first in _SAME and len(tokens) > 1 and tokens[1].text == "(":
            end = closing(tokens, 1)
            if end is None:
                return None
            depth = 0
            for n in range(2, end):
                depth += (tokens[n].text in ("(", "[")) - (tokens[n].text in (")", "]"))
                if depth < 0 or (depth == 0 and tokens[n].text == ","):
                    break
            tokens, bare = tokens[2:n], False
        else:
            break
    if not tokens or tokens[0].kind is not Kind.WORD:
        return None
    return _postfix(tokens[0].text, tokens[1:], bare)


def _postfix(text: str, tokens: Sequence[Token], bare: bool) -> Operand | None:
    n, index = 0, ""
    while n < len(tokens):
        now = tokens[n].text
        if now in ("->", ".") and n + 1 < len(tokens):
            text, index = text + index + now + tokens[n + 1].text, ""
            n += 2
        elif now == "[":
            end = closing(tokens, n)
            if end is None:
                return None
            index, bare, n = "[]", False, end
        elif now in ("+", "-"):
            return Operand(text, False)
        else:
            return None
    return Operand(text, bare)


class Use(NamedTuple):
    """A call that takes or releases pages."""

    statement: Statement
    call: Call
    what: Operand
    kind: str
    own: bool  # the kernel's own function, not one of this file
    array: bool = False  # given by value: whatever else stands for the array is filled too


class Assignment(NamedTuple):
    """`what` gets another value: pages of a kind, those of another variable, or something not known."""

    statement: Statement
    what: Operand
    kind: str = ""
    alias: Operand | None = None


class Helpers(NamedTuple):
    """Functions of the file that do nothing but hand on: name -> (kind, index of the parameter)."""

    takers: dict[str, tuple[str, int]]
    returners: dict[str, str]
    releasers: dict[str, tuple[str, int]]


NO_HELPERS = Helpers({}, {}, {})


class Held:
    """What one function does with pages: what it takes, what it releases, which variable stands for what."""

    def __init__(self, function: Function, flow: Flow, helpers: Helpers = NO_HELPERS) -> None:
        self.function = function
        self.flow = flow
        self.helpers = helpers
        self.statements = list(function.walk())
        self.takes: list[Use] = []
        self.releases: list[Use] = []
        self.assigned: dict[str, list[Assignment]] = {}
        self.referenced: list[Operand] = []
        self.members: dict[str, Operand | None] = {}  # what member_of() has found
        self._sources: dict[str, frozenset[str]] = {}
        self._origins: dict[str, tuple[Use | Assignment, ...]] = {}
        self._names: dict[str, frozenset[str]] = {}
        self._wanted = frozenset((*TAKERS, *RELEASERS, *REFERENCES, *helpers.takers, *helpers.releasers))
        for statement in self.statements:
            if statement.tokens:
                self._read(statement)

    @cached_property
    def around(self) -> dict[Statement, tuple[tuple[str, bool], ...]]:
        """What the branches around a statement tell."""
        return conditions(self.function)

    @cached_property
    def results(self) -> frozenset[str]:
        """Variables that hold how many pages there are: what a taking call returns, and what that is added to."""
        names = {name for use in self.takes if (name := result_of(use)) is not None}
        for statement in self.statements:
            texts = [t.text for t in statement.tokens]
            if len(texts) > 2 and texts[1] in ("=", "+=", "-=") and names & set(texts[2:]):
                names.add(texts[0])
        return frozenset(names)

    def sources(self, what: Operand) -> frozenset[str]:
        """Kinds of all that a variable is seen to get, UNKNOWN among them where that is not told."""
        if what.text not in self._sources:
            found: set[str] = set()
            names = self.names(what)
            for name in names:
                assigned = self.assigned.get(name, ())
                taken = self._by_name.get(name, ())
                found.update(use.kind for use in taken)
                found.update(one.kind for one in assigned if one.kind)
                if len(names) > _NAMES or (name != what.text and not assigned and not taken):
                    found.add(UNKNOWN)
            self._sources[what.text] = frozenset(found)
        return self._sources[what.text]

    def origins(self, what: Operand) -> tuple[Use | Assignment, ...]:
        """The statements at which a variable, or what it stands for, gets pages."""
        if what.text not in self._origins:
            found: dict[tuple[int, int], Use | Assignment] = {}
            for name in sorted(self.names(what)):
                for one in (*self._by_name.get(name, ()), *self.assigned.get(name, ())):
                    if one.kind in (PIN, GET):
                        found.setdefault(one.statement.extent, one)
            self._origins[what.text] = tuple(found.values())
        return self._origins[what.text]

    @cached_property
    def _by_name(self) -> dict[str, list[Use]]:
        """The taking calls by the name of what they fill; an array is filled by all its names."""
        found: dict[str, list[Use]] = {}
        for use in self.takes:
            for name in self.names(use.what) if use.array else (use.what.text,):
                found.setdefault(name, []).append(use)
        return found

    def names(self, what: Operand) -> frozenset[str]:
        """The variable and all that it stands for; no more than _NAMES and one."""
        if what.text not in self._names:
            found, todo = {what.text}, [what.text]
            while todo and len(found) <= _NAMES:
                for one in self.assigned.get(todo.pop(), ()):
                    if one.alias is not None and one.alias.text not in found:
                        found.add(one.alias.text)
                        todo.append(one.alias.text)
                        if len(found) > _NAMES:
                            break
            self._names[what.text] = frozenset(found)
        return self._names[what.text]

    @cached_property
    def released(self) -> frozenset[str]:
        """All names of what is released."""
        return frozenset(name for release in self.releases for name in self.names(release.what))

    @cached_property
    def arrays(self) -> dict[str, Use]:
        """Arrays that the kernel's own functions fill, by name, where they are given as such."""
        return {use.what.text: use for use in self.takes if use.own and use.array and use.what.bare}

    @cached_property
    def _parents(self) -> dict[Statement, Statement]:
        return {inner: s for s in self.statements for inner in (*s.body, *s.orelse)}

    def enclosing(self, statement: Statement) -> list[Statement]:
        """The branches and loops that a statement stands in, outermost first; not itself."""
        found: list[Statement] = []
        now = self._parents.get(statement)
        while now is not None:
            self.spend()
            found.append(now)
            now = self._parents.get(now)
        return found[::-1]

    def spend(self) -> None:
        """One more look, of those that a rule has."""
        self.function.effort.spend()

    def struct(self, root: str) -> str | None:
        """The structure that a variable is, or points to; None where its declaration is not seen."""
        words = (self.declared(root) or "").split()
        return words[words.index("struct") + 1] if "struct" in words[:-1] else None

    def declared(self, name: str) -> str | None:
        """The type that a variable or parameter is seen declared with, blank-separated; None where it is not seen."""
        return self._declared.get(name)

    @cached_property
    def _declared(self) -> dict[str, str]:
        found: dict[str, str] = {}
        part: list[str] = []
        for token in self.function.header:
            if token.text in ("(", ",", ")"):
                if len(part) > 1:
                    found.setdefault(part[-1], " ".join(word for word in part[:-1] if word != "const"))
                part = []
            else:
                part.append(token.text)
        for statement in self.statements:
            if statement.kind is StatementKind.EXPRESSION and statement.tokens and statement.tokens[0].text in _TYPES:
                for name, type_ in _declarators(statement.tokens):
                    found.setdefault(name, type_)
        return found

    def releases_at(self, statement: Statement) -> list[Use]:
        """The releases of one statement."""
        return self._releases_at.get(statement, [])

    @cached_property
    def _releases_at(self) -> dict[Statement, list[Use]]:
        found: dict[Statement, list[Use]] = {}
        for use in self.releases:
            found.setdefault(use.statement, []).append(use)
        return found

    def carriers(self) -> list[Operand]:
        """Members of structures that get pages, or anything else, here."""
        found = {use.what.text: use.what for use in self.takes if use.what.member}
        for assignments in self.assigned.values():
            found.update((one.what.text, one.what) for one in assignments if one.what.member)
        return list(found.values())

    def reached(self, start: Statement, root: str) -> frozenset[Statement]:
        """Statements that the flow can reach before the variable gets another value."""

        def stop(statement: Statement) -> bool:
            return statement is start or any(
                one.statement is statement and one.alias is None for one in self.assigned.get(root, ())
            )

        return frozenset(self.flow.after(start, stop, contradicts(self.around[start])))

    # -- reading ----------------------------------------------------------------------------------

    def _read(self, statement: Statement) -> None:
        tokens, helpers = statement.tokens, self.helpers
        names = [t.text for t in tokens if t.text in self._wanted]
        known = [call for call in calls(tokens, *names) if call.arguments] if names else []
        for call in known:
            own = call.name in TAKERS or call.name in RELEASERS
            if taker := TAKERS.get(call.name) or helpers.takers.get(call.name):
                what = filled(call, taker[1])
                if what:
                    self.takes.append(Use(statement, call, what, taker[0], own, _by_value(call, what)))
            elif releaser := helpers.releasers.get(call.name) or (
                (RELEASERS[call.name], 0) if call.name in RELEASERS else None
            ):
                kind, index = releaser
                what = operand(call.arguments[index]) if index < len(call.arguments) else None
                if what and what.text not in ("NULL", "0"):
                    self.releases.append(Use(statement, call, what, kind, own))
            elif call.name in REFERENCES and (what := operand(call.arguments[0])):
                self.referenced.append(what)
        self._assignments(statement)
        taken = {token for call in known for token in call.tokens}
        # handed out by its address, a variable may get anything
        for n, token in enumerate(tokens[:-1]):
            if token.text == "&" and token not in taken and n and tokens[n - 1].text in ("(", ","):
                end = n + 1
                while end < min(len(tokens), n + MAX_REACH) and tokens[end].text not in (",", ")"):
                    end += 1
                if (what := operand(tokens[n + 1 : end])) and what.bare:
                    self._assign(Assignment(statement, what, UNKNOWN))
        if statement.kind is StatementKind.LOOP and statement.head not in ("for", "while"):
            for n, token in enumerate(tokens):
                if token.kind is Kind.WORD and (n == 0 or tokens[n - 1].text == ","):
                    self._assign(Assignment(statement, Operand(token.text, True), UNKNOWN))
        filling = [t.text for t in tokens if t.kind is Kind.WORD and _fills(t.text) and t not in taken]
        for call in calls(tokens, *filling) if filling else ():
            for argument in call.arguments:
                if what := operand(argument):
                    self._assign(Assignment(statement, what, UNKNOWN))

    def _assign(self, one: Assignment) -> None:
        self.assigned.setdefault(one.what.text, []).append(one)

    def _assignments(self, statement: Statement) -> None:
        tokens = statement.tokens
        for n, token in enumerate(tokens):
            if token.text != "=" or not n:
                continue
            left = _left(tokens, n)
            what = operand(left)
            if what is None:
                continue
            value = _value(tokens, n + 1)
            alias = operand(value)
            if alias and alias.text in ("NULL", "0"):
                continue
            if alias and alias.text != what.text and not alias.text.isupper():
                self._assign(Assignment(statement, what, alias=alias))
            elif alias is None or alias.text.isupper():
                kind = self._kind(value)
                if kind is not None:
                    self._assign(Assignment(statement, what, kind))

    def _kind(self, value: Sequence[Token]) -> str | None:
        """What a value is: pages of a kind, UNKNOWN, None for memory that holds no page yet."""
        words = [t.text for t, after in pairwise(value) if after.text == "("]
        name = next((w for w in words if w not in _QUIET), "")
        if not value or (len(value) == 1 and value[0].kind is not Kind.WORD):
            return None
        kind = self.helpers.returners.get(name) or RETURNERS.get(name)
        if kind:
            return kind
        if name in _MEMORY or ("alloc" in name and "page" not in name and "folio" not in name):
            return None
        return UNKNOWN


# no page of a user's: an error, or memory that a list of pages is kept in
_MEMORY = ("ERR_PTR", "ERR_CAST", "__get_free_page", "__get_free_pages", "get_zeroed_page")
_QUIET = frozenset(("sizeof", "likely", "unlikely", "min", "max"))


def filled(call: Call, index: int) -> Operand | None:
    """The argument that a taking call fills; None where it is NULL."""
    if call.name.endswith("_user_pages_remote") and len(call.arguments) == 8:
        index = 5  # with a task, until v5.8
    if index >= len(call.arguments):
        return None
    what = operand(call.arguments[index])
    return None if what is None or what.text in ("NULL", "0") else what


def _by_value(call: Call, what: Operand) -> bool:
    """`pages`, `&pages[n]`, not `&page`."""
    for argument in call.arguments:
        if operand(argument) == what:
            return argument[0].text != "&" or argument[-1].text == "]"
    return True


def result_of(use: Use) -> str | None:
    """The variable that gets what the call returns: `ret = pin_user_pages(..)`, also in a condition."""
    tokens = use.statement.tokens
    first = next((n for n, t in enumerate(tokens) if t is use.call.tokens[0]), 0)
    if first < 2 or tokens[first - 1].text not in ("=", "+="):
        return None
    what = operand(_left(tokens, first - 1))
    return what.text if what else None


def count_of(call: Call) -> str:
    """How many pages a taking call is asked for, as text."""
    index = COUNTS.get(call.name, 1)
    if call.name.endswith("_user_pages_remote") and len(call.arguments) == 8:
        index = 3  # with a task, until v5.8
    return "1" if call.name == "get_user_page_fast_only" else call.text(index)


def sure_flags(function: Function | None, call: Call) -> list[Token]:
    """The flags that a taking call surely gets; none where it depends on something (`write ? FOLL_WRITE : 0`)."""
    index = FLAGS.get(call.name, 2)
    if call.name.endswith("_user_pages_remote") and len(call.arguments) == 8:
        index = 4
    if index >= len(call.arguments):
        return []
    found = flag_tokens(function, call.arguments[index])
    return [] if any(t.text in ("?", "*", "!", "<<") for t in found) else found


def _fills(name: str) -> bool:
    """A function whose name says that it fills what it is handed."""
    if name in TAKERS or name in RELEASERS or name in REFERENCES or name in _GIVE_NOTHING:
        return False
    parts = name.split("_")
    return not {"put", "unpin", "release", "free"} & set(parts) and bool(
        {"get", "pin", "grab", "extract", "lookup", "fill", "find", "fault", "swap"} & set(parts)
    )


_GIVE_NOTHING = frozenset(("get_order", "get_user", "find_vma", "iov_iter_fault_in_readable"))


def _left(tokens: Sequence[Token], equal: int) -> Sequence[Token]:
    """The operand in front of an = ."""
    n = equal
    first = max(0, equal - MAX_REACH)
    while n > first:
        now = tokens[n - 1]
        if now.text == "]":
            depth = 0
            while n > first:
                n -= 1
                depth += (tokens[n].text == "]") - (tokens[n].text == "[")
                if depth == 0:
                    break
            continue
        if now.kind is Kind.WORD:
            n -= 1
            if n > 0 and tokens[n - 1].text in ("->", "."):
                n -= 1
                continue
        break
    return tokens[n:equal]


def _value(tokens: Sequence[Token], start: int) -> Sequence[Token]:
    depth = 0
    last = min(len(tokens), start + MAX_REACH)
    for n in range(start, last):
        depth += tokens[n].text in ("(", "[", "{")
        depth -= tokens[n].text in (")", "]", "}")
        if depth < 0 or (depth == 0 and tokens[n].text in (",", ";")):
            return tokens[start:n]
    return tokens[start:last]


def mentions_pages(function: Function, names: Iterable[str]) -> bool:
    """One of the names stands in the function."""
    wanted = frozenset(names)
    return any(t.text in wanted for s in function.walk() for t in s.tokens)


def helpers(code: Code) -> Helpers:
    """Functions seen whole in the file that take or release what they are given, or return what they take."""
    found = Helpers({}, {}, {})
    for function in code.functions:
        if not function.whole or function.macro or not function.name:
            continue
        held = Held(function, code.flow(function))
        if not held.takes and not held.releases:
            continue
        parameters = _parameters(function)
        entry = held.flow.entry
        good = frozenset((entry, *good_way(held, entry, lambda _: False))) if entry else frozenset()
        for n, name in enumerate(parameters):
            takes = {u.kind for u in held.takes if u.what.text == name}
            releases = {u.kind for u in held.releases if name in held.names(u.what) and _hands_on(held, u, good)}
            if name in held.assigned or held.referenced:
                continue
            if takes and not releases and len(takes) == 1:
                found.takers[function.name] = (next(iter(takes)), n)
            elif releases and not takes and len(releases) == 1 and "page" in name:
                found.releasers[function.name] = (next(iter(releases)), n)
        returned = [operand(s.tokens) for s in held.statements if s.kind is StatementKind.RETURN]
        kinds: set[str] = set()
        for what in returned:
            if what and held.origins(what):
                kinds |= held.sources(what)
        if len(kinds) == 1 and UNKNOWN not in kinds and not held.referenced:
            found.returners[function.name] = next(iter(kinds))
    return found


def _hands_on(held: Held, use: Use, good: frozenset[Statement]) -> bool:
    """What is released is nothing but what was given, and it is so on every way on which nothing fails."""
    names = held.names(use.what)
    return (
        use.statement in good
        and all(one.alias is not None for name in names for one in held.assigned.get(name, ()))
        and all(
            s.kind is not StatementKind.IF or names & {t.text for t in s.tokens}
            for s in held.enclosing(use.statement)
        )
    )  # fmt: skip


def _parameters(function: Function) -> list[str]:
    """The names of a function's parameters, in order."""
    tokens = function.header
    start = next((n for n, t in enumerate(tokens) if t.text == "("), None)
    if start is None:
        return []
    found, last = [], ""
    for token in tokens[start + 1 :]:
        if token.text in (",", ")"):
            found.append(last)
            last = ""
        elif token.kind is Kind.WORD:
            last = token.text
    return found


_TYPES = frozenset(
    "int long short unsigned signed char bool void u8 u16 u32 u64 s8 s16 s32 s64 __u32 __u64 uint32_t uint64_t uint "
    "ulong ssize_t size_t loff_t pgoff_t const static struct dma_addr_t phys_addr_t gfn_t __s32 int32_t".split()
)


def _declarators(tokens: Sequence[Token]) -> Iterator[tuple[str, str]]:
    """(name, type) of each variable of a declaration."""
    base: list[str] = []
    depth, stars, value = 0, 0, False
    for n, token in enumerate(tokens):
        depth += token.text in ("(", "[", "{")
        depth -= token.text in (")", "]", "}")
        after = tokens[n + 1].text if n + 1 < len(tokens) else ","
        if depth:
            continue
        if token.text == ",":
            value, stars = False, 0
        elif token.text == "=":
            value = True
        elif not value and token.text == "*":
            stars += 1
        elif not value and token.kind is Kind.WORD:
            if base and after in (",", "=", "["):
                yield (
                    token.text,
                    " ".join((*base, *(["*" * stars] if stars else []), *(["[]"] if after == "[" else []))),
                )
            elif token.text not in ("const", "static"):
                base.append(token.text)


def member_of(held: Held, what: Operand) -> Operand | None:
    """The one member that a variable stands for; None for what gets its value in another way."""
    if what.text not in held.members:
        held.members[what.text] = _member_of(held, what, 0)
    return held.members[what.text]


def _member_of(held: Held, what: Operand, depth: int) -> Operand | None:
    if what.member:
        return None if held.assigned.get(what.text) else what
    found = held.assigned.get(what.text, [])
    if len({one.alias.text if one.alias else "" for one in found}) != 1 or found[0].alias is None or depth > 4:
        return None
    return _member_of(held, found[0].alias, depth + 1)


def good_way(held: Held, start: Statement, stop: Callable[[Statement], bool]) -> Iterator[Statement]:
    """Statements that the flow reaches from `start` where nothing fails, up to one where `stop` is true.

    A branch that ends in a goto or return is taken for what happens where something failed.
    """

    def failing(statement: Statement, edge: Edge) -> bool:
        if statement.kind is not StatementKind.IF or edge.truth is None:
            return False
        branch = statement.body if edge.truth else statement.orelse
        return bool(branch) and branch[-1].kind in (StatementKind.GOTO, StatementKind.RETURN)

    return held.flow.after(start, stop, failing)


def all_calls(tokens: Sequence[Token]) -> Iterator[Call]:
    """All calls among tokens, whatever their name."""
    found = {a.text for a, b in pairwise(tokens) if b.text == "(" and a.kind is Kind.WORD}
    yield from calls(tokens, *found) if found else ()
