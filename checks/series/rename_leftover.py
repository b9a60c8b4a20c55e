# SPDX-License-Identifier: GPL-2.0-or-later
"""The series renames something, and the old name is still used in the tree or in a branch that it will meet"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from reviewbot.checks.series._tree import WORD, Behind, changes, is_comment, is_kernel, places, without_comments

from reviewbot.dossier import Dossier, Hit, SeriesTree, Standing, line_span
from reviewbot.model import FileDiff, Line, Patch, Series, Severity
from reviewbot.rule import SeriesReport, series_rule

# Names that are asked for in one question to the tree, and branches that are looked into.
_MOST = 16
_BRANCHES = 4
# Tokens of a line that are compared: no line of code has more.
_LONG = 200
# How many lines must say the new name instead of the old one, and what part of those that lose the old one.
_FEWEST, _PART = 2, 0.6

_TOKEN = re.compile(r"\w+|[^\w\s]", re.A)
_MACRO = re.compile(r"[ \t]*#[ \t]*define[ \t]+(\w+)", re.A)
_HEAD = re.compile(
    r"(?!(?:return|if|while|for|switch|else|case|goto)\b)(?:[A-Za-z_][^(=#;]{0,200}?(?<!\w))??(\w++)[ \t]*+\(", re.A
)
_MEMBER = re.compile(
    r"[ \t]++(?!return\b|goto\b)[A-Za-z_][\w \t*]{0,200}?[ \t*](\w++)"
    r"(?:\[[^\]]*+\])?+(?:[ \t]*+:[ \t]*+\w++)?+[ \t]*+;",
    re.A,
)
_ENUM = re.compile(r"[ \t]++([A-Z][A-Z0-9_]++)(?:[ \t]*+=[^;()]*+)?+,?+[ \t]*+$", re.A)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?+')
_DISTINCT = re.compile(r"\w+_\w+|\w{10,}", re.A)


class _Kind(StrEnum):
    """What has the name."""

    FUNCTION = "function"
    MACRO = "macro"
    MEMBER = "member"
    CONSTANT = "constant"


class _Rename(NamedTuple):
    """A name that gives way to another, and where its definition goes."""

    old: str
    new: str
    kind: _Kind
    patch: Patch
    diff: FileDiff
    line: Line


@series_rule(Severity.WARNING, id="HY10", needs="tree")
def check(dossier: Dossier) -> Iterator[SeriesReport]:
    """Said where the old definition goes, with the places that are left."""
    renames = _renames(dossier.series)[:_MOST]
    ground = dossier.ground
    if not renames:
        return
    if ground is None:
        dossier.abstain("needs --tree")
        return
    olds = [rename.old for rename in renames]
    behind = Behind(dossier)
    found = behind.find(olds)
    if found is None:
        return
    coming = _coming(dossier.branches, ground, olds)
    for rename in renames:
        code, prose = _leftovers(behind, rename, found[rename.old])
        if code is None:
            continue
        new = {branch: _used(hits[rename.old], rename) for branch, hits in coming.items()}
        yield from _reports(rename, code, prose, {branch: hits for branch, hits in new.items() if hits})


def _reports(
    rename: _Rename, code: Sequence[Hit], prose: Sequence[Hit], coming: Mapping[str, Sequence[Hit]]
) -> Iterator[SeriesReport]:
    said: list[str] = []
    notes: list[str] = []
    if code:
        many = "one place still uses" if len(code) == 1 else f"{len(code)} places still use"
        said.append(f"{many} the old name")
        notes += places(code)
    for branch, hits in coming.items():
        said.append(f"{branch} has {'a new user' if len(hits) == 1 else f'{len(hits)} new users'} of it")
        notes += [f"{branch}: {place}" for place in places(hits)]
    severity = None
    if not said:
        if not prose:
            return
        severity = Severity.NOTE
        many = "a comment or document" if len(prose) == 1 else f"{len(prose)} lines of comments and documents"
        said.append(f"{many} still {'says' if len(prose) == 1 else 'say'} the old name")
        notes += places(prose)
    yield SeriesReport(
        rename.patch,
        line_span(rename.diff, rename.line),
        f"{rename.old} is now {rename.new}, and {', '.join(said)}",
        notes=tuple(notes),
        severity=severity,
        identity=(rename.old,),
    )


# -- what is renamed ------------------------------------------------------------------------------


def _renames(series: Series) -> list[_Rename]:
    """Names whose definition goes, and in whose place another stands in most lines."""
    instead: Counter[tuple[str, str]] = Counter()
    losing: Counter[str] = Counter()
    definitions: dict[tuple[str, _Kind], tuple[Patch, FileDiff, Line]] = {}
    defined: set[tuple[str, _Kind]] = set()
    reached: set[str] = set()  # members that are used as such
    for patch in series.patches:
        for diff in patch.files:
            if not is_kernel(diff.path) or not diff.path.endswith((".c", ".h")):
                continue
            for removed, added in changes(diff):
                olds = [[] if is_comment(line.text) else _tokens(line.text) for line in removed]
                news = [[] if is_comment(line.text) else _tokens(line.text) for line in added]
                for line, tokens in zip(removed, olds, strict=True):
                    losing.update(set(tokens))
                    reached.update(token for n, token in enumerate(tokens) if _reached(tokens, n))
                    if tokens and (definition := _definition(line.text, diff.path)):
                        # the body says more than the declaration
                        known = definitions.get(definition)
                        if known is None or (known[2].text.rstrip().endswith(";") and definition[1] is _Kind.FUNCTION):
                            definitions[definition] = patch, diff, line
                defined.update(d for line in added if (d := _definition(line.text, diff.path)))
                if len(olds) == len(news):
                    for old, new in zip(olds, news, strict=True):
                        instead.update(_differing(old, new))
    chosen: dict[str, _Rename] = {}
    for (name, other), times in instead.most_common():
        if times < _FEWEST or times < _PART * losing[name] or name in chosen or not _DISTINCT.fullmatch(name):
            continue
        for kind in _Kind:
            place = definitions.get((name, kind))
            if place is None or (name, kind) in defined or (other, kind) not in defined:
                continue
            if kind is not _Kind.MEMBER or name in reached:
                chosen[name] = _Rename(name, other, kind, *place)
                break
    return list(chosen.values())


def _tokens(text: str) -> list[str]:
    """Those of a line of code; of a string none of its words."""
    return _TOKEN.findall(_STRING.sub('""', without_comments(text)))[:_LONG]


def _reached(tokens: Sequence[str], n: int) -> bool:
    """A token stands behind -> or a dot."""
    return n > 0 and (tokens[n - 1] == "." or (tokens[n - 1] == ">" and n > 1 and tokens[n - 2] == "-"))


def _differing(old: Sequence[str], new: Sequence[str]) -> set[tuple[str, str]]:
    """The names that differ between two lines that are the same but for names; none where they are not."""
    if len(old) != len(new):
        return set()
    pairs = {(a, b) for a, b in zip(old, new, strict=True) if a != b}
    return pairs if all(WORD.fullmatch(a) and WORD.fullmatch(b) for a, b in pairs) else set()


def _definition(text: str, path: str) -> tuple[str, _Kind] | None:
    """What a line defines or declares for other files to use, by its look."""
    if match := _MACRO.match(text):
        return (match[1], _Kind.MACRO) if path.endswith(".h") else None
    if match := _HEAD.match(text):
        return None if path.endswith(".c") and text.startswith("static") else (match[1], _Kind.FUNCTION)
    if not path.endswith(".h"):
        return None
    if match := _MEMBER.match(text):
        return match[1], _Kind.MEMBER
    if match := _ENUM.match(text):
        return match[1], _Kind.CONSTANT
    return None


# -- what is left ---------------------------------------------------------------------------------


def _ours(path: str) -> bool:
    return not path.startswith(("CREDITS", "LICENSES/", "tools/")) or path.startswith("tools/testing/")


def _used(hits: Sequence[Hit], rename: _Rename) -> list[Hit]:
    """Those that use the name as what it was, without those of files that have one of their own."""
    own = {hit.path for hit in hits if _defines(hit.text, rename.old)}
    return [hit for hit in hits if hit.path not in own and _fits(hit.text, rename)]


def _fits(text: str, rename: _Rename) -> bool:
    tokens = _tokens(text)
    return any(
        token == rename.old
        and _reached(tokens, n) == (rename.kind is _Kind.MEMBER)
        and not (n and tokens[n - 1] in ("struct", "union", "enum"))
        for n, token in enumerate(tokens)
    )


def _defines(text: str, name: str) -> bool:
    """A line that gives the name to something else: a static function, a variable, a member of another structure."""
    match = _MACRO.match(text) or _HEAD.match(text)
    if match and match[1] == name:
        return not text.rstrip().endswith(";")
    match = _MEMBER.match(text)
    return bool(match and match[1] == name)


def _leftovers(behind: Behind, rename: _Rename, hits: Sequence[Hit]) -> tuple[list[Hit] | None, list[Hit]]:
    """Code that uses the old name, and prose that says it; no code at all where the name is still something."""
    code: list[Hit] = []
    prose: list[Hit] = []
    for hit in hits:
        if not _ours(hit.path):
            continue
        inside = behind.in_code(hit, rename.old)
        if inside is None:
            inside = not is_comment(hit.text)
        if inside and rename.old not in _tokens(hit.text):
            continue  # a message to the user says what it likes
        (code if inside else prose).append(hit)
    owners = {hit.path for hit in code if _defines(hit.text, rename.old)}
    # a definition for all, be it a wrapper that is kept: that others use it is meant
    if any(path.endswith(".h") for path in owners) or any(
        _defines(hit.text, rename.old) and not hit.text.startswith(("static", "#", " ", "\t")) for hit in code
    ):
        return None, []
    prose = [hit for hit in prose if hit.path not in owners]
    return _used(code, rename), prose


def _coming(
    branches: Sequence[Standing], ground: SeriesTree, olds: Sequence[str]
) -> dict[str, dict[str, tuple[Hit, ...]]]:
    """By branch and name, the lines of code with the name that the branch has and the base has not."""
    found: dict[str, dict[str, tuple[Hit, ...]]] = {}
    base = ground.grep(olds) if branches else None
    for standing in branches[:_BRANCHES] if base is not None else ():
        there = ground.grep(olds, (), standing.commit)
        if base is None or there is None:
            continue
        found[standing.branch] = {old: tuple(_more(there[old], base[old])) for old in olds}
    return found


def _more(there: Sequence[Hit], base: Sequence[Hit]) -> Iterator[Hit]:
    known = Counter((hit.path, hit.text.strip()) for hit in base)
    for hit in there:
        key = (hit.path, hit.text.strip())
        if known[key]:
            known[key] -= 1
        elif is_kernel(hit.path) and not is_comment(hit.text):
            yield hit
