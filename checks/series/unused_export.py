# SPDX-License-Identifier: GPL-2.0-or-later
"""The series exports or declares a new function that nothing uses"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from reviewbot.checks.series._promise import promised
from reviewbot.checks.series._tree import CODE, WORD, Behind, changes, is_comment, is_kernel, without_comments

from reviewbot.dossier import Dossier, Hit, SeriesTree, diff_lines, line_span
from reviewbot.model import FileDiff, Line, LineKind, Patch, Series, Severity
from reviewbot.rule import SeriesReport, series_rule

# Symbols that are asked for in one question to the tree.
_MOST = 24
# EXPORT_SYMBOL_FOR_MODULES() names its users, the exports for KUnit are for tests.
_EXPORT = re.compile(r"^[ \t]*EXPORT_SYMBOL(?:_NS)?(?:_GPL)?[ \t]*\([ \t]*(\w+)", re.A)
# the head of a function at the margin: type and name, or the name alone below its type
_HEAD = re.compile(
    r"^(?!(?:return|if|while|for|switch|else|case)\b)[A-Za-z_][^(=#]{0,200}?(?<!\w)(\w++)[ \t]*+\(", re.A
)
_HEAD_ALONE = re.compile(r"^(\w++)[ \t]*+\(", re.A)
_HIDDEN = re.compile(r"\b(?:static|__weak|asmlinkage|typedef|__init|__visible)\b")
_USERS = (".c", ".h", ".S", ".rs", ".y", ".l")


class _Symbol(NamedTuple):
    """What the series adds."""

    patch: Patch
    diff: FileDiff
    line: Line
    exported: bool


@series_rule(Severity.NOTE, id="HY12")
def check(dossier: Dossier) -> Iterator[SeriesReport]:
    """One finding a symbol, on the line that exports it, else on its definition."""
    series = dossier.series
    if not series.complete or series.partial_reroll or _is_draft(series):
        return
    added = _Added(series)
    symbols = {
        name: symbol
        for name, symbol in list(added.symbols().items())[:_MOST]
        if not added.is_used(name, symbol) and not promised(series, name)
    }
    if not symbols:
        return
    users = {name: set(added.used.get(name, ())) for name in symbols}
    if dossier.ground is None:
        # only an export tells that it is the kernel's; and what was built in may have become a module
        symbols = {
            name: symbol
            for name, symbol in symbols.items()
            if symbol.exported and (name in added.defined or not (added.builds or users[name]))
        }
    else:
        behind = Behind(dossier)
        found = behind.find(symbols, CODE)
        if found is None:
            return
        for name, hits in found.items():
            if _was_exported(dossier.ground, name, hits):
                del symbols[name]
                continue
            for hit in hits:
                if _is_use(hit.text, name) and behind.in_code(hit, name) is not False:
                    users[name].add(hit.path)
            if users[name] - ({symbols[name].diff.path} if symbols[name].exported else set()):
                del symbols[name]
    where = "the series" if dossier.ground is None else "the series or the tree"
    for name, symbol in symbols.items():
        if users[name]:
            said = "is exported, and only its own file uses it"
        elif symbol.exported:
            said = f"is exported, and nothing in {where} uses it"
        else:
            said = f"is declared in a header, and nothing in {where} uses it"
        yield SeriesReport(symbol.patch, line_span(symbol.diff, symbol.line), f"{name}() {said}", identity=(name,))


def _was_exported(ground: SeriesTree, name: str, hits: Sequence[Hit]) -> bool:
    """The base exports it already, there or elsewhere."""
    exports = [hit for hit in hits if (match := _EXPORT.match(hit.text)) and match[1] == name]
    if len(exports) != 1:
        return len(exports) > 1
    before = ground.before(exports[0].path)
    return before is not None and any((m := _EXPORT.match(text)) and m[1] == name for text in before.split("\n"))


def _is_draft(series: Series) -> bool:
    return any(
        prefix.upper().startswith("RFC") for patch in series.patches for prefix in patch.subject.prefixes
    ) or bool(series.cover and any(prefix.upper().startswith("RFC") for prefix in series.cover.subject.prefixes))


class _Added:
    """What the series adds, and what it uses, by the look of its lines."""

    def __init__(self, series: Series) -> None:
        self.defined: dict[str, _Symbol] = {}  # functions whose definition it adds
        self.used: dict[str, set[str]] = {}  # the files that a name is used in
        self.builds = False  # it changes what is built
        self._exports: dict[str, _Symbol] = {}
        self._declared: set[str] = set()  # in a header, for the first time
        self._known: set[str] = set()  # that stand in lines that it removes
        self._unexported: set[str] = set()
        for patch in series.patches:
            for diff, line in diff_lines(patch):
                self._read(patch, diff, line)
            for diff in patch.files:
                self._renames(diff)

    def symbols(self) -> dict[str, _Symbol]:
        """The new exports, and the new functions that headers declare."""
        found = {name: symbol for name, symbol in self._exports.items() if name not in self._unexported}
        for name, symbol in self.defined.items():
            if name in self._declared and name not in self._known and name not in self._exports:
                found.setdefault(name, symbol)
        return found

    def is_used(self, name: str, symbol: _Symbol) -> bool:
        """By the series; an export for the file alone that exports it is none."""
        files = self.used.get(name, set())
        return bool(files - {symbol.diff.path} if symbol.exported else files)

    def _read(self, patch: Patch, diff: FileDiff, line: Line) -> None:
        base = diff.path.rpartition("/")[2]
        if line.kind is not LineKind.CONTEXT and base.startswith(("Kconfig", "Makefile", "Kbuild")):
            self.builds = True
        if not diff.path.endswith(_USERS) or is_comment(line.text):
            return
        text = without_comments(line.text)
        if match := _EXPORT.match(text):
            if line.kind is LineKind.REMOVED:
                self._unexported.add(match[1])
            elif line.kind is LineKind.ADDED and is_kernel(diff.path):
                self._exports.setdefault(match[1], _Symbol(patch, diff, line, True))
            return
        words = WORD.findall(text)
        if line.kind is LineKind.REMOVED:
            self._known.update(words)
            return
        head = _head(text)
        if head and line.kind is LineKind.ADDED and is_kernel(diff.path) and not _HIDDEN.search(text):
            if diff.path.endswith(".h"):
                self._declared.add(head)
            elif not text.rstrip().endswith(";"):
                self.defined.setdefault(head, _Symbol(patch, diff, line, False))
        for word in words:
            if word != head:
                self.used.setdefault(word, set()).add(diff.path)

    def _renames(self, diff: FileDiff) -> None:
        """An export in the place of another is no new one."""
        for removed, added in changes(diff):
            old = [match[1] for line in removed if (match := _EXPORT.match(line.text))]
            new = [match[1] for line in added if (match := _EXPORT.match(line.text))]
            if old and len(old) == len(new):
                self._unexported.update(new)


def _head(text: str) -> str | None:
    """The function whose head or declaration a line is."""
    match = _HEAD.match(text) or _HEAD_ALONE.match(text)
    return match[1] if match else None


def _is_use(text: str, name: str) -> bool:
    return not _EXPORT.match(text) and _head(text) != name
