# SPDX-License-Identifier: GPL-2.0-or-later
"""Of a patch: which lines, functions and bits it touches, so that it can be seen to meet another one.

Belongs here: what two patches can be compared by that were made against different kernels, where line numbers tell
nothing. Does not belong here: keeping it (`index`), and whose patch the other one is. Pure.

Lines are compared as git merges them: two patches conflict where one changes a line or inserts between two lines, and
the other changes one of these or inserts there, too. So what a patch touches is a set of gaps, each a pair of lines
that stand below one another before the patch, and of which one is removed or between which something comes. A gap is a
number, the checksum of the two lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import NamedTuple
from zlib import crc32

from reviewbot.model import FileDiff, Hunk, Line, LineKind, Patch

# What is kept of one file of one patch, and the files of one patch: real patches stay below, but for those that
# rename something in a thousand files, which meet everybody.
MOST_NAMES = 60
MOST_LINES = 200
MOST_FILES = 300
MOST_CLAIMS = 100
# Characters; longer names are nobody's.
_LONGEST_NAME = 80
_LONGEST_PATH = 250
# Letters and digits that the two lines of a gap have together: "return ret;" above "}" is everywhere.
_TELLING = 14

_C = (".c", ".h", ".S", ".inc")
# int x(..), struct a *x(..), DEFINE_Y(x, ..: in the first column. Not a label, not what ends in ; (a declaration).
_FUNCTION = re.compile(r"(?:[A-Za-z_][\w \t*]{0,200}?[ \t*])?(\w{1,80})\((?:(\w{1,80})[,)])?")
_AGGREGATE = re.compile(
    r"(?:(?:static|const|typedef|extern)[ \t]+){0,4}+(struct|enum|union)[ \t]+(\w{1,80})[ \t]*\{?[ \t]*$"
)
_VARIABLE = re.compile(r"[A-Za-z_][\w \t*]{0,200}?\b(\w{1,80})(?:\[[^\]\n]{0,80}\])?[ \t]*=[ \t]*\{?[ \t]*$")
# An empty line, or one that looks like a comment's: who puts a comment right does not meet who changes the code.
_COMMENT = re.compile(r"[ \t]*(?:/\*|//|\*[ \t/]|\*?$)")
_NO_DEFINITION = re.compile(r"(?:if|for|while|switch|return|else|case|do|goto)\b|EXPORT_|MODULE_|module_")

_CLAIM = re.compile(
    r"(?:[ \t]*#[ \t]*define[ \t]+([A-Z]\w{1,79})[ \t]+|[ \t]+([A-Z]\w{1,79})[ \t]*=[ \t]*)"
    r"([^,/]{1,60}?)[ \t]*(?:,|/[*/]|$)"
)
_SHIFT = re.compile(
    r"\(*+(?:\(__force[\w ]{0,20}\)|\(\w{1,20}\))?(?:1(?:U|L|UL|LL|ULL)?[ ]?<<[ ]?|BIT(?:_ULL)?\()(\d{1,2})\)*+$"
)
_HEX = re.compile(r"\(*+0x([0-9a-fA-F]{1,16})(?:U|L|UL|ULL)?\)*+$")


class Touch(NamedTuple):
    """What a patch touches of one file."""

    path: str
    names: Mapping[str, int]  # "walk()", "struct walk"; the line of the file before the patch where each is touched
    anew: frozenset[str]  # those of which it changes the very first line: another name, other arguments
    gaps: Mapping[int, int]  # checksum of two lines -> that of the second, before the patch
    places: Mapping[int, str]  # checksum -> the function it lies in, where that is known
    added: frozenset[int]  # checksums of the lines that it adds
    before: frozenset[int]  # and of those that it shows of the file before: all


class Bit(NamedTuple):
    """A bit that a patch gives to a flag."""

    path: str
    flag: str
    bit: int
    prefix: str  # what its neighbours' names begin with, too: FAULT_FLAG_
    shared: bool  # there are such neighbours; else the prefix is the name's first word
    line: Line
    diff: FileDiff


def touches(patch: Patch) -> Iterator[Touch]:
    """Each file of a patch; MOST_FILES at most."""
    for diff in patch.files[:MOST_FILES]:
        path = diff.old_path or diff.path
        if diff.hunks and len(path) <= _LONGEST_PATH:
            yield _touch(diff, path)


def compares_names(path: str, name: str) -> bool:
    """That two patches touch one definition of that name in this file says something: in a header all meet all."""
    return path.endswith(".c") or name.endswith("()")


def _touch(diff: FileDiff, path: str) -> Touch:
    names: dict[str, int] = {}
    anew: set[str] = set()
    gaps: dict[int, int] = {}
    places: dict[int, str] = {}
    added: set[int] = set()
    before: set[int] = set()
    is_c = path.endswith(_C)
    for hunk in diff.hunks:
        inside = _owners(hunk, path) if is_c else [""] * len(hunk.lines)
        _gaps(hunk, inside, gaps, places)
        last = hunk.old_start
        for line, owner in zip(hunk.lines, inside, strict=True):
            last = line.old or last
            if line.kind is not LineKind.CONTEXT and owner and not _COMMENT.match(line.text):
                names.setdefault(owner, last)
                if not line.text[:1].isspace() and _definition(line.text, header=path.endswith(".h")) == owner:
                    anew.add(owner)
            if (mark := _checksum(line.text)) is not None:
                (added if line.kind is LineKind.ADDED else before).add(mark)
    if diff.old_path is None:
        gaps[crc32(b"\0new file")] = 1
    return Touch(
        path,
        dict(list(names.items())[:MOST_NAMES]),
        frozenset(anew),
        {mark: gaps[mark] for mark in few(gaps)},
        places,
        frozenset(few(added - before)),
        frozenset(before),
    )


def few(marks: Mapping[int, int] | Set[int]) -> list[int]:
    """The smallest, at most MOST_LINES: of two patches with more than are kept, the same ones."""
    return sorted(marks)[:MOST_LINES]


def _plain(text: str) -> str:
    return " ".join(text[:400].split())


def _checksum(text: str) -> int | None:
    """Of a line that tells something; None for one that is everywhere."""
    plain = _plain(text)
    if sum(map(str.isalnum, plain)) < _TELLING or plain.startswith("#include"):
        return None
    return crc32(plain.encode("utf-8", "surrogateescape"))


def _gaps(hunk: Hunk, inside: Sequence[str], gaps: dict[int, int], places: dict[int, str]) -> None:
    above: str | None = "" if hunk.old_start <= 1 else None  # the line above; None where it is not shown
    dirty = False  # something comes behind it, or it is removed
    for line, owner in zip(hunk.lines, inside, strict=True):
        plain = _plain(line.text)
        if not plain:
            continue  # empty lines come and go
        if line.kind is LineKind.ADDED:
            dirty = True
            continue
        removed = line.kind is LineKind.REMOVED
        if above is not None and (dirty or removed) and _tells(above, plain):
            mark = crc32(f"{above}\n{plain}".encode("utf-8", "surrogateescape"))
            gaps.setdefault(mark, line.old or 1)
            if owner:
                places.setdefault(mark, owner)
        above, dirty = plain, removed


def _tells(above: str, below: str) -> bool:
    if above.startswith("#include") or below.startswith("#include"):
        return False  # everybody sorts something in there
    return sum(map(str.isalnum, above)) + sum(map(str.isalnum, below)) >= _TELLING


def _owners(hunk: Hunk, path: str) -> list[str]:
    """Of each line the function, structure or macro that it belongs to; '' where that is not known."""
    header = path.endswith(".h")
    current = _definition(hunk.section, header=header)
    found: list[str] = []
    macro = ""
    for line in hunk.lines:
        text = line.text
        if macro or text.startswith("#"):
            if not macro and (match := re.match(r"#[ \t]*define[ \t]+(\w{1,80})", text)):
                macro = match[1]
            found.append(macro or current)
            if not text.rstrip().endswith("\\"):
                macro = ""
            continue
        if text[:1].isalpha() or text[:1] == "_":
            current = _definition(text, header=header) or ("" if text.rstrip().endswith(";") else current)
        found.append(current)
        if text[:1] == "}":
            current = ""
    return found


def _definition(line: str, *, header: bool) -> str:
    """As `definition`; of a header no function that is not inline, for that is declared."""
    name = definition(line)
    return "" if header and name.endswith("()") and "inline" not in line else name


def definition(line: str) -> str:
    """What a line in the first column begins to define: "walk()", "struct walk"; '' for nothing.

    Of git's hunk headings, too.
    """
    text = line[:300]
    if not (text[:1].isalpha() or text[:1] == "_") or _NO_DEFINITION.match(text):
        return ""
    if match := _AGGREGATE.match(text):
        return f"{match[1]} {match[2]}"
    if text.rstrip().endswith((";", ":")):
        return ""
    if match := _FUNCTION.match(text):
        # SYSCALL_DEFINE3(name, ..), DEFINE_X(name): what is defined is the argument
        return f"{match[2] if match[1].isupper() and match[2] else match[1]}()"
    if match := _VARIABLE.match(text):
        return match[1]
    return ""


# -- bits -----------------------------------------------------------------------------------------------------------


def bits(patch: Patch) -> Iterator[Bit]:
    """The flags that a patch gives bits of their own to, in headers; not what is only renamed or moved."""
    found = 0
    headers = [diff for diff in patch.files[:MOST_FILES] if diff.path.endswith(".h") and diff.hunks]
    lines = [(diff, hunk, line, flag) for diff in headers for hunk in diff.hunks for line in hunk.lines
             if (flag := _flag(line.text)) is not None]  # fmt: skip
    gone = {flag for _, _, line, flag in lines if line.kind is LineKind.REMOVED}
    freed = {bit for _, bit in gone}
    names = {name for name, _ in gone}
    for diff, hunk, line, (name, bit) in lines:
        if line.kind is not LineKind.ADDED or name in names or bit in freed:
            continue
        near = [flag[0] for _, other, _, flag in lines if other is hunk and flag[0] != name]
        if "0x" in line.text and not _are_bits(hunk, name):
            continue
        found += 1
        if found > MOST_CLAIMS:
            return
        yield Bit(diff.path, name, bit, *_prefix(name, near), line, diff)


def _flag(text: str) -> tuple[str, int] | None:
    """(name, bit) of a line that gives a name the value of one bit."""
    match = _CLAIM.match(text[:300])
    if match is None:
        return None
    name, value = match[1] or match[2], match[3].strip().replace("\t", " ")
    if shift := _SHIFT.match(value):
        return name, int(shift[1])
    if number := _HEX.match(value):
        bit = int(number[1], 16)
        return (name, bit.bit_length() - 1) if bit and bit & (bit - 1) == 0 else None
    return None


def _are_bits(hunk: Hunk, name: str) -> bool:
    """The numbers around it are bits, too: 0x10 alone may as well follow 0xf."""
    first = name.partition("_")[0] + "_"
    others = 0
    for line in hunk.lines:
        match = _CLAIM.match(line.text[:300])
        if match is None or not (other := match[1] or match[2]).startswith(first) or other == name:
            continue
        if number := _HEX.match(match[3].strip()):
            value = int(number[1], 16)
            if value & (value - 1) and "MASK" not in other:
                return False
            others += value > 0
    return others > 0


def _prefix(name: str, others: Sequence[str]) -> tuple[str, bool]:
    """The longest beginning, up to a _, that a neighbour has, too; without one the first word."""
    words = name.split("_")
    for count in range(len(words) - 1, 0, -1):
        prefix = "_".join(words[:count]) + "_"
        if any(other.startswith(prefix) for other in others[:200]):
            return prefix, True
    return (words[0] + "_" if len(words) > 1 else name), False
