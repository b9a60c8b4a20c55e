# SPDX-License-Identifier: GPL-2.0-or-later
"""The series removes the last use of an inline function or macro whose definition stays"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from reviewbot.checks.series._tree import CODE, WORD, Behind, is_kernel, is_uapi, lines_of, without_comments

from reviewbot.dossier import Dossier, line_span
from reviewbot.model import FileDiff, Line, LineKind, Patch, Series, Severity
from reviewbot.rule import SeriesReport, series_rule

# Words that are asked for in one question to the tree: each takes time in every file.
_MOST = 16
_MOST_DIRECTORIES = 40

_MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)(\(?)", re.M | re.A)
# static inline int name(, over lines; a plain static function is the compiler's own warning
_INLINE = re.compile(r"^static\b[^;{}()=#]{0,200}?\b(\w+)[ \t]*\(", re.M | re.A)
_QUIET = ("inline", "__maybe_unused")
# not a member of that name, nor a pointer to functions
_USE = re.compile(r"(?<!->)(?<!\.)(?<!\(\*)(?<!\w)([A-Za-z_]\w*+)", re.A)
_HEAD = re.compile(r"[A-Za-z_][^(=#]{0,200}?(?<!\w)(\w++)[ \t]*+\(", re.A)
_PASTED = re.compile(r"(\w+)[ \t]*##|##[ \t]*(\w+)", re.A)
_CONSTANT = re.compile(r"[^_]{2,}_\w+", re.A)
# what the preprocessor itself or a header further down reads
_READ_ELSEWHERE = re.compile(r"(?:pr|dev|drm)_fmt|TRACE_\w+|CREATE_\w+|MODULE_\w+|DEBUG|_\w*_H_*|\w+_H_*", re.A)


class _Definition(NamedTuple):
    """A macro, or an inline function."""

    path: str
    first: int  # lines, from 1
    last: int
    macro: bool


class _Use(NamedTuple):
    """The last line of the series that removes a use, and how many go."""

    patch: Patch
    diff: FileDiff
    line: Line
    times: int


@series_rule(Severity.NOTE, id="HY16", needs="tree")
def check(dossier: Dossier) -> Iterator[SeriesReport]:
    """Said where the last use is removed: there the definition could go, too."""
    uses = _removed_uses(dossier.series)
    if not uses or dossier.ground is None:
        return
    behind = Behind(dossier)
    texts = {path: text for path in sorted(behind.changed) if is_kernel(path) and (text := behind.text(path))}
    used: set[str] = set()  # in a changed file, beside its definition
    defined: dict[str, list[_Definition]] = {}
    for path, text in texts.items():
        code = without_comments(text)
        some = _definitions(path, code, uses.keys())
        for name, found in some.items():
            defined.setdefault(name, []).extend(found)
        used.update(_used(code.split("\n"), some, uses.keys()))
    left = [name for name in sorted(uses, key=lambda name: -uses[name].times) if name not in used]
    # definitions in headers that the series does not touch
    defined.update(_in_headers(behind, [name for name in left if name not in defined][:_MOST]))
    asked = [name for name in left if len(defined.get(name, ())) == 1 and not _spared(defined[name][0], name, behind)]
    found_in_tree = behind.find(asked[:_MOST], CODE) if asked else None
    for name in asked[:_MOST] if found_in_tree is not None else ():
        assert found_in_tree is not None
        where = defined[name][0]
        others = [hit for hit in found_in_tree[name] if not (hit.path == where.path and _within(where, hit.line))]
        if not where.path.endswith(".h"):
            # another file's macro of that name is its own
            others = [hit for hit in others if hit.path == where.path or hit.path.endswith(".h")]
        if any(behind.in_code(hit, name) is not False for hit in others):
            continue
        use = uses[name]
        what = name if where.macro else f"{name}()"
        yield SeriesReport(
            use.patch,
            line_span(use.diff, use.line),
            f"the last use of {what} goes, its definition stays",
            notes=(f"defined at {where.path}:{where.first}",),
            identity=(name,),
        )


def _removed_uses(series: Series) -> dict[str, _Use]:
    """The names of which the series removes more uses than it adds, none of them by adding or removing a definition."""
    balance: Counter[str] = Counter()
    last: dict[str, _Use] = {}
    own: set[str] = set()
    for patch, diff, line in lines_of(series, LineKind.REMOVED, LineKind.ADDED):
        if line.text.lstrip().startswith(("*", "//", "/*")):
            continue
        text = without_comments(line.text)
        match = _MACRO.match(text) or _INLINE.match(text)
        if match:
            own.add(match[1])
        head = match or _HEAD.match(text)
        removed = line.kind is LineKind.REMOVED
        for name in WORD.findall(text):
            balance[name] += 1 if removed else -1
        for name in _USE.findall(text) if removed else ():
            if not (head and name == head[1]):
                last[name] = _Use(patch, diff, line, last[name].times + 1 if name in last else 1)
    return {
        name: use
        for name, use in last.items()
        if balance[name] > 0 and name not in own and len(name) > 3 and _like_a_definition(name)
    }


def _like_a_definition(name: str) -> bool:
    """Not a local variable or member by its look."""
    return "_" in name.strip("_") or name.isupper()


def _definitions(path: str, code: str, names: Collection[str]) -> dict[str, list[_Definition]]:
    """Those of the names that a file defines."""
    wanted = set(names)
    found: dict[str, list[_Definition]] = {}
    for match in _MACRO.finditer(code):
        if match[1] in wanted:
            first = code.count("\n", 0, match.start()) + 1
            found.setdefault(match[1], []).append(_Definition(path, first, _macro_end(code, match.end(), first), True))
    for match in _INLINE.finditer(code):
        if match[1] not in wanted:
            continue
        quiet = any(word in match[0] for word in _QUIET)
        body = re.compile(r"[^;{}]{0,2000}?(?:\)|\w)\s*\{").match(code, match.end())
        if body is None:
            continue  # a declaration
        end = code.find("\n}", body.end() - 1)
        first = code.count("\n", 0, match.start()) + 1
        last = first + code.count("\n", match.start(), end + 1) if end >= 0 else first
        # a plain static one counts as a second definition: then nothing is said
        found.setdefault(match[1], []).extend([_Definition(path, first, last, False)] * (1 if quiet else 2))
    return found


def _macro_end(code: str, at: int, line: int) -> int:
    """The last line of a macro that goes on behind backslashes."""
    while (end := code.find("\n", at)) >= 0 and code[at:end].rstrip().endswith("\\"):
        at, line = end + 1, line + 1
    return line


def _used(lines: Sequence[str], defined: dict[str, list[_Definition]], names: Collection[str]) -> Iterator[str]:
    """Those of the names that stand in a file outside their own definition."""
    wanted = set(names)
    for number, text in enumerate(lines, 1):
        for name in wanted.intersection(WORD.findall(text)):
            if not any(_within(where, number) for where in defined.get(name, ())):
                yield name
                wanted.discard(name)


def _within(where: _Definition, line: int) -> bool:
    return where.first <= line <= where.last


def _in_headers(behind: Behind, names: Sequence[str]) -> dict[str, list[_Definition]]:
    """The definitions of names in the tree's headers; nothing of those that cannot be told."""
    found: dict[str, list[_Definition]] = {}
    # a header that the changed files can include: thousands of others list the registers of a device
    near = {path.rpartition("/")[0] for path in behind.changed if is_kernel(path)} - {""}
    below = ("include", "arch", *sorted(path for path in near if not path.startswith(("include/", "arch/"))))
    hits = behind.find(names, below[:_MOST_DIRECTORIES]) if names else None
    for name, every in (hits or {}).items():
        some = [hit for hit in every if hit.path.endswith(".h")]
        # one that stands in many headers is used
        paths = {
            hit.path
            for hit in some
            if _MACRO.match(hit.text) or hit.text.startswith(("static", name)) or "(" in hit.text
        }
        if len(some) > 20 or len({hit.path for hit in some}) > 3:
            continue
        for path in sorted(paths):
            lines = behind.code(path)
            if lines is not None:
                found.setdefault(name, []).extend(_definitions(path, "\n".join(lines), (name,)).get(name, []))
    return found


def _spared(where: _Definition, name: str, behind: Behind) -> bool:
    """A definition of which nobody wants to hear that it is unused."""
    if is_uapi(where.path) or not is_kernel(where.path) or _READ_ELSEWHERE.fullmatch(name):
        return True
    lines = behind.code(where.path)
    if lines is None:
        return True
    for paste in _PASTED.finditer("\n".join(lines)):
        piece = paste[1] or paste[2]
        if len(piece) > 2 and (name.startswith(piece) or name.endswith(piece)):
            return True
    if not where.macro:
        return False
    # registers, bits, limits, the forms of one operation: a list of what there is, used or not
    head = _MACRO.match(lines[where.first - 1])
    if head is None:
        return False
    family = _forms_of if head[2] else _family
    return any(
        (near := _MACRO.match(text)) and near[1] != name and not family(near[1]).isdisjoint(family(name))
        for text in (*lines[max(where.first - 9, 0) : where.first - 1], *lines[where.last : where.last + 3])
    )


def _family(name: str) -> frozenset[str]:
    """RANGE of RANGE_CTRL."""
    return frozenset([name.lstrip("_").partition("_")[0]])


def _forms_of(name: str) -> frozenset[str]:
    """range_cpu of range_cpu_add(), and NOOP of SETRANGE_NOOP(); of a name in two parts not the first."""
    first, _, last = name.strip("_").rpartition("_")
    return frozenset([last, *([first] if "_" in first else [])])
