# SPDX-License-Identifier: GPL-2.0-or-later
"""Findings as a patch that cures them: what `git apply` takes on top of the series.

Belongs here: the unified-diff format. Which suggestions count, and where they belong behind the series, is `fixes`'.
Suggestions that are not safe are left out, also under --strict: who applies a patch does not read each of its lines.
What is left out for another reason is told in lines above the first diff, which git apply skips. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from reviewbot.finding import Review
from reviewbot.fixes import Edit, FileFix, plan
from reviewbot.output.text import PLAIN, Screen, clean

_CONTEXT = 3
_NO_NEWLINE = "\\ No newline at end of file\n"
_ESCAPES = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 34: '"', 92: "\\"}


def render(reviews: Sequence[Review], screen: Screen = PLAIN) -> str:  # noqa: ARG001 - a patch looks the same everywhere
    """The safe suggestions as one patch; '' where there is none. Where none can be applied, the lines that say why."""
    plans = [plan(review) for review in reviews]
    left = Counter((one.path, one.why) for made in plans for one in made.left)
    told = "".join(f"# not fixed: {clean(path)}: {clean(why)}{_times(count)}\n" for (path, why), count in left.items())
    return told + "".join(file_diff(file) for made in plans for file in made.files)


def _times(count: int) -> str:
    return f" ({count} places)" if count > 1 else ""


def file_diff(file: FileFix) -> str:
    """The edits of one file, with as many of three lines of context as are known, and git's headers."""
    old, new = quoted(f"a/{file.path}"), quoted(f"b/{file.path}")
    # a name with white space ends with a tab, as git writes it for GNU patch's sake
    tab = "\t" if " " in file.path and not old.startswith('"') else ""
    return f"diff --git {old} {new}\n--- {old}{tab}\n+++ {new}{tab}\n" + "".join(_hunks(file))


def _hunks(file: FileFix) -> Iterator[str]:
    shift = 0
    for edits in _together(file):
        first, last = _reach(file, edits[0].line, -1), _reach(file, edits[-1].line, 1)
        changed = {edit.line: edit for edit in edits}
        text: list[str] = []
        added: list[str] = []  # lines that follow those they replace, as many as there are in a row
        for n in range(first, last + 1):
            unended = file.unended and n == file.last
            if edit := changed.get(n):
                text.append(_line("-", edit.old, unended))
                added += [_line("+", line, unended=False) for line in edit.new[:-1]]
                added.append(_line("+", edit.new[-1], unended))
            else:
                text += [*added, _line(" ", file.lines[n], unended)]
                added = []
        text += added
        count = last - first + 1
        more = sum(len(edit.new) - 1 for edit in edits)
        yield f"@@ -{_range(first, count)} +{_range(first + shift, count + more)} @@\n" + "".join(text)
        shift += more


def _line(mark: str, text: str, unended: bool) -> str:
    return f"{mark}{text}\n" + (_NO_NEWLINE if unended else "")


def _range(start: int, count: int) -> str:
    return str(start) if count == 1 else f"{start},{count}"


def _reach(file: FileFix, line: int, step: int) -> int:
    """How far the context goes."""
    for _ in range(_CONTEXT):
        if line + step not in file.lines:
            break
        line += step
    return line


def _together(file: FileFix) -> Iterator[list[Edit]]:
    """The edits hunk by hunk: those whose context touches are one."""
    hunk: list[Edit] = []
    for edit in file.edits:
        if hunk and _reach(file, edit.line, -1) > _reach(file, hunk[-1].line, 1) + 1:
            yield hunk
            hunk = []
        hunk.append(edit)
    if hunk:
        yield hunk


def quoted(name: str) -> str:
    """A file name as git writes it in a diff: in quotes where it has bytes that are not printing ASCII."""
    raw = name.encode("utf-8", "surrogateescape")
    if all(32 <= byte < 127 and byte not in b'"\\' for byte in raw):
        return name
    return '"' + "".join(_escaped(byte) for byte in raw) + '"'


def _escaped(byte: int) -> str:
    if byte in _ESCAPES:
        return "\\" + _ESCAPES[byte]
    return chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}"
