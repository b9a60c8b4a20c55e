# SPDX-License-Identifier: GPL-2.0-or-later
"""What the later patches of a series make of what an earlier one brings.

Belongs here: following a file through the patches; which of them resolves a finding of an earlier one, and which of
them makes the lines of an earlier one wrong. Does not belong here: what a patch brings about in the files that it
changes (`engine`). A finding is resolved only where that is seen: a hunk near it resolves nothing. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from reviewbot.c.code import MOST_TEXT, Code, Look, Place, images
from reviewbot.dossier import Claim
from reviewbot.finding import Finding
from reviewbot.model import Applied, Change, Facts, FileDiff, Hunk, Line, LineKind, Patch, Series, Severity, Whole
from reviewbot.reports import Key, evidence, finding_of, key_of, run_rule, touched
from reviewbot.rule import Report, Rule

# What is read of the states of a series' files besides its patches: characters, and tokens of functions times rules;
# four times what one patch may take. Where it does not suffice a finding stays as its patch has it.
_MOST_TEXT = 4 * MOST_TEXT
_MOST_WORK = 12_000_000

_MOST_CODES = 6  # states that are kept for the next rule
Claims = Callable[[str, int], Sequence[Claim]]

_CONTEXT = 3  # lines that a hunk shows around a change, as git's do
_WORD = re.compile(r"\w+")


class Made(NamedTuple):
    """A finding as the engine made it of a report."""

    finding: Finding
    rule: Rule
    key: Key


# -- definitions ----------------------------------------------------------------------------------------------------

# a definition or declaration begins in the first column: #define x, int x(..), struct a *x(..)
_DEFINITION = re.compile(r"#[ \t]*define[ \t]+(\w+)|[A-Za-z_][\w \t*]{0,200}?\b(\w+)\(")


class Definitions:
    """The functions and macros that a series adds, by the look of their lines, and the patches that do so."""

    def __init__(self, patches: Sequence[Patch]) -> None:
        self._patches = patches

    @cached_property
    def _found(self) -> tuple[dict[str, int], dict[str, int]]:
        added: dict[str, int] = {}
        gone: dict[str, int] = {}
        for patch in self._patches:
            lines = [line for diff in patch.files for hunk in diff.hunks for line in hunk.lines]
            for kind in (LineKind.REMOVED, LineKind.ADDED):  # what a patch moves was there before
                for line in lines:
                    if line.kind is kind and (match := _DEFINITION.match(line.text)):
                        name = match[1] or match[2]
                        if kind is LineKind.ADDED:
                            added.setdefault(name, patch.index)
                        elif name not in added:
                            gone[name] = patch.index
        return added, gone

    @property
    def added(self) -> dict[str, int]:
        """The first patch that adds each name."""
        return self._found[0]

    @property
    def gone(self) -> dict[str, int]:
        """The last patch that takes away a definition which the series' base has: until then there is one."""
        return self._found[1]


class Names(Collection[str]):
    """The names that a series has defined by one of its patches, or will and had before it."""

    def __init__(self, definitions: Definitions, patch: int) -> None:
        self._definitions = definitions
        self.patch = patch
        self.late: set[int] = set()  # patches behind it that define a name that was asked for in vain

    def __contains__(self, name: object) -> bool:
        at = self._definitions.added.get(str(name))
        if at is None:
            return False
        if at <= self.patch or self.patch < self._definitions.gone.get(str(name), 0):
            return True
        self.late.add(at)
        return False

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._definitions.added if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def defined_later(rule: Rule, code: Code, names: Names, reports: Sequence[Report]) -> dict[int, int]:
    """By the id() of a report, the patch that defines what it misses. `names` are the code's own."""
    found: dict[int, int] = {}
    patch, abstained, looked = names.patch, code.abstained, set(code.looked)
    try:
        for later in sorted(names.late):
            names.patch = later
            left = {_at(report) for report in run_rule(rule, code)[0]}
            found |= {id(report): later for report in reports if id(report) not in found and _at(report) not in left}
    finally:
        names.patch, code.abstained = patch, abstained
        code.looked |= looked
    return found


def _at(report: Report) -> tuple[Place, Place]:
    return report.at[0], report.at[-1]


# -- moved lines ----------------------------------------------------------------------------------------------------


class Removed:
    """The lines that a series removes, stripped: one that it adds as well was moved."""

    def __init__(self, patches: Sequence[Patch]) -> None:
        self._patches = patches
        self.texts = frozenset(text.strip() for patch in patches for diff in patch.files for text in diff.removed())

    @cached_property
    def first(self) -> dict[str, int]:
        """The patch from which on such a line counts as moved: 0 where the base has it, else the first to remove it.

        Of a line that the series itself has brought, the removal says nothing of how it came there.
        """
        found: dict[str, int] = {}
        own: dict[str, list[tuple[int, str]]] = {}  # lines of the series by path: number and text, ascending
        for patch in self._patches:
            moved: dict[str, list[tuple[int, str]]] = {}
            for diff in patch.files:
                lines = own.get(diff.old_path or "", [])
                known = {number for number, _ in lines}
                for line in (line for hunk in diff.hunks for line in hunk.lines if line.kind is LineKind.REMOVED):
                    text = line.text.strip()
                    found[text] = min(found.get(text, patch.index), patch.index if line.old in known else 0)
                if diff.new_path:
                    moved[diff.new_path] = self._behind(diff, lines)
                if diff.old_path and diff.change is not Change.COPIED:
                    moved.setdefault(diff.old_path, [])
            own |= moved
        return found

    def _behind(self, diff: FileDiff, lines: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
        """The lines of the series behind a diff of their file, with those that it brings and some patch removes."""
        found: list[tuple[int, str]] = []
        at = shift = 0
        for hunk in diff.hunks:
            start = hunk.old_start + (not hunk.old_count)
            while at < len(lines) and lines[at][0] < start:
                found.append((lines[at][0] + shift, lines[at][1]))
                at += 1
            kept = {line.old: line.new for line in hunk.lines if line.kind is LineKind.CONTEXT}
            mine = [(line.new or 0, line.text.strip()) for line in hunk.lines if line.kind is LineKind.ADDED]
            mine = [(number, text) for number, text in mine if text in self.texts]
            while at < len(lines) and lines[at][0] < start + hunk.old_count:
                if number := kept.get(lines[at][0]):
                    mine.append((number, lines[at][1]))
                at += 1
            found.extend(sorted(mine))
            shift += hunk.new_count - hunk.old_count
        found.extend((number + shift, text) for number, text in lines[at:])
        return found

    def before(self, patch: int) -> Gone:
        """What counts as moved where a patch adds it."""
        return Gone(self, patch)


class Gone:
    """Lines that count as moved where some patch adds them."""

    def __init__(self, removed: Removed, patch: int) -> None:
        self._removed, self._patch = removed, patch

    def __contains__(self, text: object) -> bool:
        return text in self._removed.texts and self._removed.first.get(str(text), 0) <= self._patch


# -- the states of a file -------------------------------------------------------------------------------------------


class _Line:
    """A line of a file, from the patch that adds it to the one that removes it."""

    __slots__ = ("added", "removed", "text")

    def __init__(self, text: str, added: int) -> None:
        self.text = text
        self.added = added  # index of a patch; 0: it was there before
        self.removed: int | None = None

    def stands(self, patch: int) -> bool:
        """It is there behind a patch."""
        return self.added <= patch and (self.removed is None or self.removed > patch)


class _Step(NamedTuple):
    """What a patch does to a file."""

    patch: int
    number: int  # the file's place in the patch
    diff: FileDiff  # as it applies
    whole: bool  # it is known to apply so
    readable: bool  # all of its hunks are there


class _Weave:
    """Every line that a file has had since some patch: all its states, and what leads from one to the other."""

    def __init__(self, base: str) -> None:
        self.lines = [_Line(text, 0) for text in _split(base)]

    def apply(self, step: _Step) -> bool:
        """Take in the next patch; False where it is not about this file, and nothing was taken in."""
        woven: list[_Line] = []
        at, number = 0, 0  # of the next line, and how many before it stand
        gone: list[_Line] = []
        for hunk in step.diff.hunks:
            start = hunk.old_start - (hunk.old_count > 0)
            while number < start and at < len(self.lines):
                number += self.lines[at].removed is None
                woven.append(self.lines[at])
                at += 1
            if number != start:
                return False
            for line in hunk.lines:
                if line.kind is LineKind.ADDED:
                    woven.append(_Line(line.text, step.patch))
                    continue
                while at < len(self.lines) and self.lines[at].removed is not None:
                    woven.append(self.lines[at])
                    at += 1
                if at == len(self.lines) or self.lines[at].text != line.text:
                    return False
                if line.kind is LineKind.REMOVED:
                    gone.append(self.lines[at])
                woven.append(self.lines[at])
                at, number = at + 1, number + 1
        for entry in gone:
            entry.removed = step.patch
        self.lines = woven + self.lines[at:]
        return True

    def state(self, patch: int) -> list[_Line]:
        """The lines behind a patch."""
        return [line for line in self.lines if line.stands(patch)]

    def view(self, path: str, first: int, last: int) -> Whole:
        """The file behind patch `last`, with all that the patches from `first` on have done to it."""
        lines: list[Line] = []
        old = new = 0
        for line in self.lines:
            was, stands = line.added < first and (line.removed is None or line.removed >= first), line.stands(last)
            if not was and not stands:
                continue
            old, new = old + was, new + stands
            kind = LineKind.CONTEXT if was and stands else LineKind.ADDED if stands else LineKind.REMOVED
            lines.append(Line(kind, line.text, old if was else None, new if stands else None, 0))
        diff = FileDiff(path, path, Change.MODIFIED, tuple(_hunks(lines)))
        texts = [
            "".join(f"{line.text}\n" for line in lines if line.kind is not kind)
            for kind in (LineKind.ADDED, LineKind.REMOVED)
        ]
        return Whole(diff, *texts)


def _split(text: str) -> list[str]:
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


def _hunks(lines: Sequence[Line]) -> Iterator[Hunk]:
    """The hunks that lead from the old to the new state of a whole file."""
    changed = [n for n, line in enumerate(lines) if line.kind is not LineKind.CONTEXT]
    at = 0
    while at < len(changed):
        begin = end = changed[at]
        while at < len(changed) and changed[at] - end <= 2 * _CONTEXT:
            end = changed[at]
            at += 1
        start = max(0, begin - _CONTEXT)
        part = tuple(lines[start : end + _CONTEXT + 1])
        old = [line.old for line in part if line.old is not None]
        new = [line.new for line in part if line.new is not None]
        before = lines[start - 1] if start else None  # stands on both sides
        yield Hunk(
            old[0] if old else (before.old or 0) if before else 0,
            len(old),
            new[0] if new else (before.new or 0) if before else 0,
            len(new),
            "",
            part,
            0,
        )


# -- following files ------------------------------------------------------------------------------------------------


def _carried(findings: Sequence[Finding], resolved: dict[int, int]) -> dict[int, int]:
    """By the id() of a finding that a patch seems to resolve, that of the same patch's own which is what is left of it.

    Who renames a variable of a wrong line has neither put it right nor brought it: the finding stays where it was, and
    what becomes of it later is what becomes of the one that was left. `resolved` is set right.
    """
    found: dict[int, int] = {}
    own: dict[tuple[int, str, str, str | None], list[Finding]] = {}
    for finding in findings:
        if not finding.preexisting:
            key = (finding.patch.index, finding.rule, finding.span.path, finding.function)
            own.setdefault(key, []).append(finding)
    for finding in sorted(findings, key=lambda finding: -finding.patch.index):
        by = resolved.get(id(finding))
        left = own.get((by, finding.rule, finding.span.path, finding.function)) if by else None
        if not left:
            continue
        rest = left.pop(0)
        found[id(finding)] = id(rest)
        if later := resolved.get(id(rest)):
            resolved[id(finding)] = later
        else:
            del resolved[id(finding)]
    return found


class _Open:
    """A finding that no later patch has resolved yet, and where it stands."""

    __slots__ = ("by", "entry", "line", "made", "text")

    def __init__(self, made: Made) -> None:
        self.made = made
        self.by = made.finding.resolved_by
        self.entry: _Line | None = None  # in a weave
        self.line: int | None = made.finding.span.line  # of the file behind the last patch; None where it got lost
        self.text = made.finding.span.text


class Asked(NamedTuple):
    """A rule that was run on a file of which later patches may change what it has seen."""

    rule: Rule
    patch: int  # the first
    looks: frozenset[Look]
    names: frozenset[str]  # of the functions that it was asked about


class _Track:
    """A file, from the first patch that says something of it."""

    def __init__(self, path: str, first: _Step, base: str | None) -> None:
        self.paths = [(first.patch, path)]  # its names, each from a patch on
        self.steps = [first]
        self.base = base  # the file before the first step; None where it is not known as a whole
        self.gone: int | None = None  # the patch that deletes it
        self.made: list[Made] = []
        self.open: list[_Open] = []
        self.asked: dict[str, Asked] = {}

    def path(self, patch: int) -> str:
        """Its name behind a patch."""
        return [path for at, path in self.paths if at <= patch][-1]

    def placed(self) -> list[tuple[_Line, Made]]:
        """What was found in it, each with its line; without what stands where the states are not known."""
        weave, lost = self.weave
        states: dict[int, list[_Line]] = {}
        found = []
        for made in self.made if weave else ():
            patch, line = made.finding.patch.index, made.finding.span.line
            if weave and (lost is None or patch < lost):
                state = states.get(patch) or states.setdefault(patch, weave.state(patch))
                if 0 < line <= len(state):
                    found.append((state[line - 1], made))
        return found

    @cached_property
    def weave(self) -> tuple[_Weave | None, int | None]:
        """Its states, and the patch from which on they are not known, None where they are to the end."""
        if self.base is None:
            return None, self.steps[0].patch
        weave = _Weave(self.base)
        for step in self.steps:
            if not step.whole or not weave.apply(step):
                return (None if step is self.steps[0] else weave), step.patch
        return weave, None


class _Run(NamedTuple):
    """What a rule says of a state of a file."""

    code: Code
    reports: list[tuple[_Line, Key, Report]]  # with the line that each is at


class Verdict:
    """Follows the files of a series for as long as something may become of what was found in them.

    To be told of every patch in order (`step`), then of what was made of its files (`keep`); then asked (`findings`).
    """

    def __init__(self, series: Series, definitions: Definitions, claims: Claims, only: Collection[int] | None) -> None:
        self._series = series
        self._definitions = definitions
        self._claims = claims
        self._only = only
        self._tracks: dict[str, _Track] = {}
        self._all: list[_Track] = []
        self._heads: dict[int, Applied | None] = {}
        self._patches = {patch.index: patch for patch in series.patches}
        self._text, self._work = _MOST_TEXT, _MOST_WORK
        self._codes: dict[tuple[int, int, int], Code | None] = {}
        self._images: dict[int, tuple[list[Code], list[Code]]] = {}

    @cached_property
    def _last(self) -> dict[str, int]:
        """The last patch that changes each file, by the name that it finds it under; '' for any header."""
        return _last(self._series.patches)

    @cached_property
    def _last_looked_at(self) -> dict[str, int]:
        """Of those that are looked at."""
        return _last([patch for patch in self._series.patches if patch.index in (self._only or self._patches)])

    def step(self, patch: Patch, applied: Applied | None) -> None:
        """The next patch."""
        self._heads[patch.index] = Applied({}, applied.facts, applied.later) if applied else None
        if not self._tracks:
            return
        moved: dict[str, _Track] = {}
        for number, diff in enumerate(patch.files):
            track = self._tracks.get(diff.old_path or "")
            if track is None or diff.change is Change.COPIED:
                continue
            track.steps.append(_step(patch, number, applied))
            if diff.new_path is None:
                track.gone = patch.index
            if diff.new_path != diff.old_path:
                moved[diff.old_path or ""] = track
        for path in moved:
            del self._tracks[path]
        # where something is put over it, it is another file
        for diff in patch.files:
            if diff.new_path and diff.new_path != diff.old_path:
                self._tracks.pop(diff.new_path, None)
        for diff in patch.files:
            if diff.new_path and diff.old_path in moved and diff.change is not Change.COPIED:
                track = moved[diff.old_path]
                track.paths.append((patch.index, diff.new_path))
                self._tracks[diff.new_path] = track

    def awaits(self, patch: Patch) -> bool:
        """A later patch, of those that are looked at, may make wrong what this one has in its files."""
        last = self._last_looked_at
        return any(last.get(path or "", 0) > patch.index for path in ("", *(diff.new_path for diff in patch.files)))

    def asked(self, rule: Rule, code: Code, patch: Patch) -> Asked | None:
        """What is to be kept of a rule's run on a file of a patch; None where no later patch adds to what it said."""
        if code.file is None:
            return None
        last = self._last_looked_at
        looks = frozenset(code.looked | ({Look.FILE} if rule.needs == "file" else set()))
        awaited = last.get(code.path, 0) > patch.index or (Look.FACTS in looks and last.get("", 0) > patch.index)
        if not looks or not awaited:
            return None
        functions = code.functions if Look.FILE in looks else ()
        names = frozenset(function.name for function in functions if function.name)
        return Asked(rule, patch.index, looks, names)

    def keep(
        self, patch: Patch, number: int, applied: Applied | None, made: Sequence[Made], asked: Sequence[Asked]
    ) -> None:
        """What was made of a file of the patch, what was there before included, and who has looked beyond it."""
        path = patch.files[number].new_path
        if path is None or not (asked or any(not one.finding.preexisting for one in made)):
            return
        track = self._tracks.get(path)
        if track is None:
            if max(self._last.get(path, 0), self._last.get("", 0) if applied else 0) <= patch.index:
                return  # nothing of it changes any more
            whole = applied.files.get(number) if applied else None
            base = (whole.before or "") if whole and whole.after is not None else None
            track = self._tracks[path] = _Track(path, _step(patch, number, applied), base)
            self._all.append(track)
        track.made.extend(made)
        if self._only is None or patch.index in self._only:
            track.open.extend(_Open(one) for one in made if not one.finding.preexisting)
        for one in asked:
            first = track.asked.setdefault(one.rule.name, one)
            looks, names = first.looks | one.looks, first.names | one.names
            track.asked[one.rule.name] = first._replace(looks=looks, names=names)

    def findings(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """The findings, those that are resolved marked so, and then those that a later patch is to blame for."""
        for track in self._all:
            self._resolve(track)
        resolved = {id(one.made.finding): one.by for track in self._all for one in track.open if one.by}
        found = list(findings)
        carried = _carried(found, resolved)
        for finding in found:
            if id(finding) in carried.values():
                finding = finding._replace(preexisting=True)
            by = resolved.get(id(finding), finding.resolved_by)
            if by:
                # at the end it is not there: what is left of it is that the commits between cannot be bisected
                severity = max(finding.severity, Severity.NOTE, key=lambda s: s.rank)
                finding = finding._replace(resolved_by=by, severity=severity)
            yield finding
        for track in self._all:
            yield from self._blame(track)

    # -- resolved -------------------------------------------------------------------------------------------------

    def _resolve(self, track: _Track) -> None:
        groups: dict[tuple[int, str], list[_Open]] = {}
        for one in track.open:
            groups.setdefault((one.made.finding.patch.index, one.made.rule.name), []).append(one)
        for (patch, _), group in groups.items():
            weave, lost = track.weave
            if weave is not None and (lost is None or patch < lost):
                self._resolve_states(track, weave, lost, patch, group)
            self._resolve_hunks([step for step in track.steps if step.patch > patch and _from(step, lost)], group)
            if track.gone:
                for one in group:
                    if not self._put_back(one, track.gone, track.steps[-1].number):
                        one.by = _first(one.by, track.gone)

    def _resolve_states(
        self, track: _Track, weave: _Weave, lost: int | None, patch: int, group: Sequence[_Open]
    ) -> None:
        """By what the rule says of the file as each later patch leaves it."""
        rule = group[0].made.rule
        state = weave.state(patch)
        for one in group:
            line = one.made.finding.span.line
            entry = state[line - 1] if 0 < line <= len(state) else None
            one.entry = entry if entry and entry.text == one.text else None
        end = min([n for n in (lost, track.gone) if n], default=1 << 30)
        changes = [step.patch for step in track.steps if patch < step.patch < end]
        if (seen := track.asked.get(rule.name)) and Look.FACTS in seen.looks:
            changes += [n for n in self._turns(patch) if n < end]
        if changes and all(one.entry for one in group):
            self._walk(track, rule, patch, sorted(set(changes)), group)
        # where the hunks of what comes then find it
        numbers = {id(line): n for n, line in enumerate(weave.state((lost or 1 << 30) - 1), 1)}
        for one in group:
            one.line = numbers.get(id(one.entry))

    def _walk(self, track: _Track, rule: Rule, patch: int, changes: Sequence[int], group: Sequence[_Open]) -> None:
        last = self._run(track, rule, patch, changes[-1])
        if last is None:
            return
        keys = {one.made.key[1:] for one in group}
        again = any(
            made.rule.name == rule.name and made.key[1:] in keys and made.finding.patch.index > patch
            for made in track.made
            if not made.finding.preexisting
        )
        at = {(id(entry), key[1:]) for entry, key, _ in last.reports}
        if not again and all((id(one.entry), one.made.key[1:]) in at for one in group):
            return  # as most are: it stands there to the end
        first = self._run(track, rule, patch, patch)
        said = {(id(entry), key[1:]) for entry, key, _ in first.reports} if first else set()
        if first is None or not all((id(one.entry), one.made.key[1:]) in said for one in group):
            return  # what is seen here is not what the finding was made of
        # what has changed in their functions is looked at first: mostly it is that
        places = {id(one.entry) for one in group}
        near = {n for e, _, report in first.reports if id(e) in places for n in self._near(track, first, report, patch)}
        begin = [one.entry for one in group]
        for some in ([n for n in changes if n in near], changes):
            for change in some:
                run = last if change == changes[-1] else self._run(track, rule, patch, change)
                if run is None or (run.code.abstained and not first.code.abstained):
                    return
                self._match(track, patch, change, run, said, [one for one in group if not one.by])
            if all(one.by or (id(one.entry), one.made.key[1:]) in at for one in group):
                return
            for one, entry in zip(group, begin, strict=True):
                one.entry = one.entry if one.by else entry

    def _near(self, track: _Track, run: _Run, report: Report, patch: int) -> set[int]:
        weave, _ = track.weave
        return _changing(weave, run.code, report, patch) if weave else set()

    def _match(
        self,
        track: _Track,
        patch: int,
        change: int,
        run: _Run,
        said: Collection[tuple[int, Key]],
        group: Sequence[_Open],
    ) -> None:
        """Pair what is open with what the rule says behind a change; what is left has been resolved by it."""
        own = self._own(track, patch, change)
        left = {id(report): (entry, key) for entry, key, report in run.reports}
        homeless: list[_Open] = []
        for one in group:
            same = next((n for n, (e, key) in left.items() if e is one.entry and key[1:] == one.made.key[1:]), None)
            if same is None:
                homeless.append(one)
            else:
                del left[same]
        # what was not said there before, and is no finding of another patch, may be the same in another place
        spare = [
            (n, entry, key)
            for n, (entry, key) in left.items()
            if (id(entry), key[1:]) not in said and (id(entry), key[1:]) not in own
        ]
        for one in homeless:
            other = next(
                (
                    (n, entry)
                    for n, entry, key in spare
                    if key[1:] == one.made.key[1:] or (key[0] == one.made.key[0] and entry.added > patch)
                ),
                None,
            )
            if other:
                spare = [entry for entry in spare if entry[0] != other[0]]
                if _line_of(one) == other[1].text.strip():
                    one.entry = other[1]
                continue
            number = next((step.number for step in track.steps if step.patch == change), None)
            gone = one.entry is not None and one.entry.removed == change
            if not (gone and self._put_back(one, change, number)) and not self._comes_again(one, change):
                one.by = _first(one.by, change)

    def _own(self, track: _Track, patch: int, change: int) -> set[tuple[int, Key]]:
        """Where the patches behind one have findings of their own, or saw lines that are older than both."""
        return {
            (id(entry), made.key[1:])
            for entry, made in track.placed()
            if patch < made.finding.patch.index <= change and (not made.finding.preexisting or entry.added <= patch)
        }

    def _resolve_hunks(self, steps: Sequence[_Step], group: Sequence[_Open]) -> None:
        """By what the hunks of the later patches show."""
        for step in steps:
            for one in group:
                if one.by or one.line is None:
                    continue
                if not step.readable:
                    one.line = None
                    continue
                self._pass(step, one)

    def _pass(self, step: _Step, one: _Open) -> None:
        """What a patch of which only the hunks are known makes of a finding."""
        line, here = _behind(step.diff, one.line or 0, one.text)
        if here is None:
            one.line = line
            return
        one.line = None
        now = here if here.kind is LineKind.CONTEXT else _same_again(step.diff, here)
        shown = self._shown(step, one)
        if shown is None:
            return
        before, after = shown
        key = one.made.key
        if now is not None:
            one.line, one.text = now.new, now.text
            cured = (here.old, key[1:]) in before and (now.new, key[1:]) not in after
            if cured and _number(after, key) < _number(before, key) and not self._comes_again(one, step.patch):
                one.by = step.patch
            return
        if self._put_back(one, step.patch, None) or self._comes_again(one, step.patch):
            return
        word = next((word for text in key[1:] if (word := _WORD.search(text))), None)
        named = word is not None and any(
            line.kind is LineKind.ADDED and word[0] in _WORD.findall(line.text)
            for hunk in step.diff.hunks
            for line in hunk.lines
        )
        if not named or ((here.old, key[1:]) in before and _number(after, key) < _number(before, key)):
            one.by = step.patch

    def _shown(self, step: _Step, one: _Open) -> tuple[set[tuple[int | None, Key]], set[tuple[int | None, Key]]] | None:
        """What the rule says of the patch's hunks before and after it, by line; None where it cannot be said."""
        sides: list[set[tuple[int | None, Key]]] = []
        if step.patch not in self._images:
            patch, version = self._patches[step.patch], self._series.base.version
            names = Names(self._definitions, step.patch)
            before, after = (
                images(patch.files, side, version, None, lambda: names, self._claims)
                for side in (LineKind.REMOVED, LineKind.ADDED)
            )
            self._images[step.patch] = before, after
        if not one.made.rule.scope.covers(step.diff.path):
            return None
        abstained = False  # on the side before
        for side in self._images[step.patch]:
            code = side[step.number]
            reports = self._reports(one.made.rule, code)
            if reports is None or (code.abstained and code.side is LineKind.ADDED and not abstained):
                return None
            abstained = code.abstained is not None
            found: set[tuple[int | None, Key]] = set()
            for report in reports:
                line = code.lines[report.at[0].line]
                key = key_of(report, code)
                found.add((line.old if code.side is LineKind.REMOVED else line.new, key[1:]))
            sides.append(found)
        return sides[0], sides[1]

    def _put_back(self, one: _Open, patch: int, number: int | None) -> bool:
        """The patch adds the line of a finding in a file, other than the one of a number."""
        wanted = _line_of(one)
        return any(wanted in texts for n, texts in self._added(patch).items() if n != number)

    def _comes_again(self, one: _Open, patch: int) -> bool:
        """A line as such that a later patch adds again is taken for one that was moved, and is not said there."""
        if not one.made.rule.style:
            return False
        return any(self._put_back(one, later, None) for later in self._patches if later >= patch)

    def _added(self, patch: int) -> dict[int, set[str]]:
        return {
            number: {line.text.strip() for hunk in diff.hunks for line in hunk.lines if line.kind is LineKind.ADDED}
            for number, diff in enumerate(self._patches[patch].files)
        }

    # -- to blame -------------------------------------------------------------------------------------------------

    def _blame(self, track: _Track) -> Iterator[Finding]:
        for asked in track.asked.values():
            turns = self._turns(asked.patch) if Look.FACTS in asked.looks else []
            steps = [step for step in track.steps if step.patch > asked.patch]
            causes = {*turns, *(step.patch for step in steps if _may_matter(step.diff, asked))}
            weave, lost = track.weave if causes else (None, None)
            end = min([n for n in (lost, track.gone) if n], default=1 << 30)
            causes = {n for n in causes if n < end}
            if weave is not None and causes:
                states = sorted({*causes, *(step.patch for step in steps if step.patch < end)})
                yield from self._blame_rule(track, weave, asked, turns, states, causes)

    def _blame_rule(
        self,
        track: _Track,
        weave: _Weave,
        asked: Asked,
        turns: Sequence[int],
        states: Sequence[int],
        causes: Collection[int],
    ) -> Iterator[Finding]:
        rule, first = asked.rule, asked.patch
        last = self._run(track, rule, first, states[-1])
        if last is None:
            return
        known = {(id(entry), made.key[1:]) for entry, made in track.placed() if made.rule.name == rule.name}
        new = {
            (id(entry), key[1:]): entry
            for entry, key, report in last.reports
            if (id(entry), key[1:]) not in known and touched(report, last.code)
        }
        for state in [first, *states] if new else ():
            run = self._run(track, rule, first, state)
            if run is None:
                return
            said: Counter[Key] = Counter()
            for entry, key, report in run.reports:
                said[key] += 1
                if new.pop((id(entry), key[1:]), None) is None or state not in causes or entry.added == state:
                    continue
                if state not in turns and state in _changing(weave, run.code, report, state):
                    continue  # the patch's own review has seen this function
                if (finding := self._blamed(weave, rule, run.code, report, key, said[key] - 1, state)) is not None:
                    yield finding

    def _blamed(
        self,
        weave: _Weave,
        rule: Rule,
        code: Code,
        report: Report,
        key: Key,
        occurrence: int,
        patch: int,
    ) -> Finding | None:
        """The finding of a patch that makes the line of an earlier one wrong; None where it is said already."""
        if self._only is not None and patch not in self._only:
            return None
        # two that do not go together are named once, by what came second
        mine = (made for other in self._all for made in other.made if made.rule.name == rule.name)
        for made in mine:
            names = set(_WORD.findall(made.finding.message))
            if made.finding.patch.index == patch and made.key[1:] != key[1:] and names.issuperset(key[1:]):
                return None
        state = weave.state(patch)
        added = [(place, state[place.line].added) for place in evidence(report) if place.line >= 0]
        by = [(place, index) for place, index in added if index]
        if not by:
            return None
        place, index = by[0]
        finding = finding_of(rule, self._patches[patch], code, report, key, occurrence)
        told = (code.span([place]), f"added by patch {index}/{self._series.expected}")
        return finding._replace(related=(*finding.related, told))

    # -- running rules --------------------------------------------------------------------------------------------

    def _turns(self, patch: int) -> list[int]:
        """The patches behind one that change what the headers say."""
        return [index for index in self._all_turns if index > patch]

    @cached_property
    def _all_turns(self) -> list[int]:
        found = []
        before: Facts | None = None
        for index in self._patches:
            facts = self._facts(index)
            if facts is not before and facts != before:
                found.append(index)
            before = facts
        return found

    def _facts(self, patch: int) -> Facts | None:
        head = self._heads.get(patch)
        return head.facts or (head.later() if head.later else None) if head else None

    def _run(self, track: _Track, rule: Rule, first: int, last: int) -> _Run | None:
        """What a rule says of a file behind a patch, all that was done since another one being its doing.

        None where it cannot be said.
        """
        weave, _ = track.weave
        if weave is None or not rule.scope.covers(track.path(last)):
            return None
        at = (id(track), first, last)
        if at not in self._codes:
            if len(self._codes) == _MOST_CODES:
                del self._codes[next(iter(self._codes))]
            self._codes[at] = self._code(track, weave, first, last)
        code = self._codes[at]
        reports = self._reports(rule, code) if code else None
        if code is None or reports is None:
            return None
        state = weave.state(last)
        return _Run(code, [(state[report.at[0].line], key_of(report, code), report) for report in reports])

    def _code(self, track: _Track, weave: _Weave, first: int, last: int) -> Code | None:
        whole = weave.view(track.path(last), first, last)
        self._text -= len(whole.after or "")
        if self._text < 0:
            return None
        head = self._heads.get(last) or Applied({}, None)
        names = Names(self._definitions, last)
        applied = Applied({0: whole}, head.facts, head.later)
        version = self._series.base.version
        return images([whole.diff], LineKind.ADDED, version, applied, lambda: names, self._claims)[0]

    def _reports(self, rule: Rule, code: Code) -> list[Report] | None:
        """What a rule says; None where it does not come to its end, or something was left out."""
        if not any(word in text for text in (code.text, *_shown_lines(code)) for word in rule.words):
            return []
        code.effort.tokens = self._work
        try:
            reports, cut = run_rule(rule, code)
        except (Exception, SystemExit):  # noqa: BLE001 - a rule is a plug-in; of the patch itself it was told
            return None
        self._work = code.effort.tokens
        return None if cut or code.effort.skipped else [report for report in reports if report.at[0].line >= 0]


def _step(patch: Patch, number: int, applied: Applied | None) -> _Step:
    diff = patch.files[number]
    whole = applied.files.get(number) if applied else None
    placed = whole.diff if whole else diff
    return _Step(patch.index, number, placed, whole is not None, not patch.unreadable and not diff.binary)


def _last(patches: Iterable[Patch]) -> dict[str, int]:
    found: dict[str, int] = {}
    for patch in patches:
        for diff in patch.files:
            if diff.old_path:
                found[diff.old_path] = patch.index
            if diff.path.endswith(".h"):
                found[""] = patch.index
    return found


def _may_matter(diff: FileDiff, asked: Asked) -> bool:
    """What a rule sees of functions may be another thing behind a diff that leaves them alone.

    A call is gone, or something is about them or what the rule is about: nothing else is looked into.
    """
    around = Look.FILE in asked.looks
    for hunk in diff.hunks:
        for line in hunk.lines:
            if line.kind is LineKind.CONTEXT or not (around or line.kind is LineKind.REMOVED):
                continue
            if around and line.kind is LineKind.REMOVED and "(" in line.text:
                return True
            if any(word in line.text for word in asked.rule.words):
                return True
            if asked.names and not asked.names.isdisjoint(_WORD.findall(line.text)):
                return True
    return False


def _line_of(one: _Open) -> str:
    """The line of a finding without its indentation."""
    return one.text.strip()


def _shown_lines(code: Code) -> Iterator[str]:
    return (line.text for hunk in (code.diff.hunks if code.diff else ()) for line in hunk.lines)


def _first(one: int | None, other: int) -> int:
    return other if one is None else min(one, other)


def _from(step: _Step, lost: int | None) -> bool:
    return lost is not None and step.patch >= lost


def _number(reports: Collection[tuple[int | None, Key]], key: Key) -> int:
    return sum(texts == key[1:] for _, texts in reports)


def _behind(diff: FileDiff, number: int, text: str) -> tuple[int | None, Line | None]:
    """Where a line is behind a diff, and the diff's own line where it shows it; (None, None) where it is another."""
    shift = 0
    for hunk in diff.hunks:
        if number < hunk.old_start + (not hunk.old_count):
            break
        if number < hunk.old_start + hunk.old_count:
            line = next((line for line in hunk.lines if line.old == number), None)
            return (line.new, line) if line and line.text == text else (None, None)
        shift += hunk.new_count - hunk.old_count
    return number + shift, None


def _same_again(diff: FileDiff, line: Line) -> Line | None:
    """The line that a diff puts in the place of one that it removes, where they differ in white space alone."""
    hunk = next(hunk for hunk in diff.hunks if line in hunk.lines)
    found = [n for n in hunk.lines if n.kind is LineKind.ADDED and n.text.strip() == line.text.strip()]
    return found[0] if len(found) == 1 else None


def _changing(weave: _Weave, code: Code, report: Report, patch: int) -> set[int]:
    """The patches that change something in the function of a report, which stands in the file behind a patch.

    None of them where it stands in no function.
    """
    function = code.function_of(report.at[0])
    if function is None or not function.statements:
        return set()
    state = weave.state(patch)
    first = min([function.statements[0].span[0], *(token.line for token in function.header if token.line >= 0)])
    end = state[min(function.statements[-1].span[1], len(state) - 1)]
    found: set[int] = set()
    inside = False
    for line in weave.lines:
        inside = inside or line is state[first]
        if inside:
            found |= {line.added, line.removed or 0}
        if line is end:
            break
    return found
