# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot diff`: two revisions of a series side by side, each patch with its findings fixed, new and still there.

Belongs here: which revisions are compared, and printing it, as text in the form of git range-diff and as JSON. Does
not belong here: comparing patches (`rangediff`), finding revisions (`history`).
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from reviewbot.commands.common import (
    choose_rules,
    exit_code,
    find_ground,
    open_tree,
    parse_numbers,
    run_review,
    say,
)
from reviewbot.commands.lore import fetch_thread
from reviewbot.commands.screen import make_screen, paged
from reviewbot.config import Config
from reviewbot.finding import Finding, Review, order
from reviewbot.gather import Around
from reviewbot.matching import How
from reviewbot.model import InputError, NotFoundError, Series
from reviewbot.output.text import BLUE, BOLD, COLORS, RESET, Screen, clean, count, place
from reviewbot.rangediff import Comparison, Row, compare

if TYPE_CHECKING:
    from reviewbot.dossier import History
    from reviewbot.tree import Tree

_MARKS = {
    How.SAME: "=",
    How.CHANGED: "!",
    How.NEW: ">",
    How.DROPPED: "<",
    How.SPLIT: "!",
    How.SQUASHED: "!",
}
_GREEN, _RED, _CYAN = "\x1b[32m", "\x1b[31m", "\x1b[36m"
_COLORS = {"+": _GREEN, "-": _RED, "@": _CYAN}


class Sided(NamedTuple):
    """Findings of a patch, by what became of them."""

    fixed: tuple[Finding, ...]  # shown of the older revision, and not found in the newer one
    new: tuple[Finding, ...]  # shown of the newer one, and not found in the older one
    still: tuple[Finding, ...]  # shown of the newer one, and found in both

    def __bool__(self) -> bool:
        return any(self)


def run(args: argparse.Namespace, config: Config) -> int:
    """The process's exit code."""
    target, versions = _arguments(args)
    args.target = target
    rules = choose_rules(args, config)
    with open_tree(args, config) as tree:
        old, new, history = _choose(args, config, versions)
        say(args, f"comparing {_named(old)} with {_named(new)}")
        only = parse_numbers(args.patches, new.expected) if args.patches else None
        reviews = [_review(args, config, tree, history, series, rules, quiet=series is old) for series in (old, new)]
        comparison = compare(old, new, tree if tree is not None and not isinstance(tree, str) else None)
        if comparison.why:
            say(args, f"note: no git range-diff, the patches are compared as mailed: {comparison.why}")
        rows = [row for row in comparison.rows if not only or (row.new and row.new.index in only)]
        told = _Told(reviews[0], reviews[1])
        if args.format == "json":
            from reviewbot.output.json import dump

            sys.stdout.write(dump(_document(comparison, rows, told)) + "\n")
        else:
            with paged(args):
                screen = make_screen(args, config)
                sys.stdout.write("".join(f"{line}\n" for line in _text(rows, told, screen)))
    return exit_code(args, config, [reviews[1]])


def _arguments(args: argparse.Namespace) -> tuple[str, tuple[int, ...]]:
    """The target and the revisions of -v, which takes what follows it for one: `diff -v 1 3 MESSAGE-ID`."""
    words = list(args.versions or ())
    target = args.target
    if target is None and words and not _is_number(words[-1]):
        target = words.pop()
    if target is None:
        raise InputError("say which series: its Message-ID or address is missing")
    wrong = next((word for word in words if not _is_number(word)), None)
    if wrong is not None or len(words) > 2 or (args.versions and not words):
        raise InputError(f"-v takes one revision or two, not '{' '.join(args.versions)}'")
    return target, tuple(int(word.lstrip("v")) for word in words)


def _is_number(word: str) -> bool:
    digits = word.removeprefix("v")
    return digits.isascii() and digits.isdecimal() and 1 <= int(digits[:6]) <= 999


def _choose(args: argparse.Namespace, config: Config, versions: Sequence[int]) -> tuple[Series, Series, History]:
    """The older and the newer revision. Raises NotFoundError where one of them is not known."""
    from reviewbot.history import find_history, predecessor
    from reviewbot.revisions import find_series

    source, raws, message_id = fetch_thread(args, config)
    series = find_series(source, raws, message_id).series
    found = find_history(source, raws, series)
    history = found.history
    if found.trouble:
        say(args, f"note: cannot look for all revisions: {found.trouble}")
    said = ", ".join(f"v{n}" for n in sorted({revision.series.revision for revision in history.revisions}))
    say(args, f"{count(len(history.revisions), 'posting')} known: {said}")
    at = history.at
    if args.latest:
        at = max(range(len(history.revisions)), key=lambda n: (history.revisions[n].series.revision, n))
    if len(versions) == 1:
        at = _at(history, versions[0], at)
    elif versions:
        one, two = (_at(history, number, at) for number in versions)
        return history.revisions[one].series, history.revisions[two].series, history
    before = predecessor(history.revisions, at)
    if before is None and not versions and not args.latest:
        # the first revision: what has become of it
        later = next((n for n in range(len(history.revisions)) if predecessor(history.revisions, n) == at), None)
        if later is not None:
            return history.revisions[at].series, history.revisions[later].series, history
    if before is None:
        number = history.revisions[at].series.revision
        raise NotFoundError(f"no revision before v{number} of <{message_id}> is known: only {said}")
    return history.revisions[before].series, history.revisions[at].series, history


def _at(history: History, number: int, near: int) -> int:
    """The place of a revision by its number; of several the one of the same subject, the last of these."""
    places = [n for n, revision in enumerate(history.revisions) if revision.series.revision == number]
    if not places:
        known = ", ".join(f"v{n}" for n in sorted({revision.series.revision for revision in history.revisions}))
        raise NotFoundError(f"no v{number} is known: only {known}")
    title = _title(history.revisions[near].series)
    return max(places, key=lambda n: (_title(history.revisions[n].series) == title, n))


def _title(series: Series) -> str:
    from reviewbot.mail import fold_title, parse_subject

    return fold_title(parse_subject(series.subject).title)


def _named(series: Series) -> str:
    from reviewbot.history import own_name

    return f"{_label(series)} <{own_name(series)}> ({count(len(series.patches), 'patch')})"


def _label(series: Series) -> str:
    """ "v2", "RFC v1": an RFC may have the number of the revision behind it."""
    from reviewbot.mail import parse_subject

    rfc = any(prefix.upper() == "RFC" for prefix in parse_subject(series.subject).prefixes)
    return f"{'RFC ' if rfc else ''}v{series.revision}"


def _review(
    args: argparse.Namespace,
    config: Config,
    tree: Tree | str | None,
    history: History,
    series: Series,
    rules: Sequence[Any],
    *,
    quiet: bool,
) -> Review:
    """The review of a revision; of the older one nothing is said but its findings."""
    from reviewbot.history import predecessor

    said = copy.copy(args)
    said.quiet = args.quiet or quiet
    at = next(n for n, revision in enumerate(history.revisions) if revision.series is series)
    seen = history._replace(at=at, before=predecessor(history.revisions, at))
    ground = find_ground(said, tree, series)
    return run_review(said, config, ground._replace(around=Around(history=seen)), rules, fold=False)


class _Told:
    """The findings of two reviews, by patch and by what became of them."""

    def __init__(self, old: Review, new: Review) -> None:
        self.old, self.new = old, new
        before = {finding.fingerprint for finding in old.findings if not finding.preexisting}
        after = {finding.fingerprint for finding in new.findings}
        self.fixed = [finding for finding in old.shown if finding.fingerprint not in after]
        self.fresh = [finding for finding in new.shown if finding.fingerprint not in before]
        self.still = [finding for finding in new.shown if finding.fingerprint in before]

    def of(self, old: int | None, new: int | None) -> Sided:
        """Those of a pair of patches; 0 is the cover letter."""
        return Sided(
            tuple(sorted((f for f in self.fixed if f.patch.index == old), key=order)),
            tuple(sorted((f for f in self.fresh if f.patch.index == new), key=order)),
            tuple(sorted((f for f in self.still if f.patch.index == new), key=order)),
        )


def _of_row(row: Row, rows: Sequence[Row], told: _Told) -> Sided:
    """Each finding stands beside one row: where a patch was split or squashed into, the first that has it."""
    first_old = next((r for r in rows if r.old and row.old and r.old.index == row.old.index), None)
    first_new = next((r for r in rows if r.new and row.new and r.new.index == row.new.index), None)
    return told.of(
        row.old.index if row.old and first_old is row else None, row.new.index if row.new and first_new is row else None
    )


# -- text -----------------------------------------------------------------------------------------------------------


def _text(rows: Sequence[Row], told: _Told, screen: Screen) -> Iterator[str]:
    width = len(str(max([1, *(patch.index for row in rows for patch in (row.old, row.new) if patch)])))
    cover = told.of(0, 0)
    beside = [_of_row(row, rows, told) for row in rows]
    yield from _findings(cover, told, screen)
    for row, sided in zip(rows, beside, strict=True):
        patch = row.new or row.old
        assert patch
        numbered = (f"{side.index if side else '-':>{width}}" for side in (row.old, row.new))
        old, new = numbered
        remark = f" ({row.how})" if row.how in (How.SPLIT, How.SQUASHED) else ""
        head = f"{old}: {_MARKS[row.how]} {new}: {clean(patch.subject.title)}{remark}"
        yield _paint(head, {How.SAME: "", How.NEW: _GREEN, How.DROPPED: _RED}.get(row.how, BOLD), screen)
        for line in row.lines:
            yield "    " + _paint(clean(line, tabs=True), _COLORS.get(line[:1], ""), screen)
        if row.cut:
            yield "    ... and more"
        yield from _findings(sided, told, screen)
    yield ""
    yield _summary(rows, told, (cover, *beside))


def _paint(text: str, code: str, screen: Screen) -> str:
    return f"{code}{text}{RESET}" if screen.color and code and text else text


def _findings(sided: Sided, told: _Told, screen: Screen) -> Iterator[str]:
    for what, findings in (("fixed", sided.fixed), ("new", sided.new), ("still there", sided.still)):
        for finding in findings:
            severity = _paint(finding.severity, COLORS[finding.severity], screen)
            where = place(finding.span, finding.patch.mail)
            label = f"{what}:" if what != "fixed" else f"fixed since {_label(told.old.series)}:"
            yield f"    {_paint(label, BLUE, screen)} {where}: {severity}: {clean(finding.message)} [{finding.rule}]"
            for note in finding.notes:
                yield f"        {clean(note)}"


def _summary(rows: Sequence[Row], told: _Told, shown: Sequence[Sided]) -> str:
    kinds = [row.how for row in rows]
    parts = [f"{kinds.count(how)} {how}" for how in How if how in kinds]
    fixed, new, still = (sum(len(sided[n]) for sided in shown) for n in range(3))
    found = f"{fixed} fixed, {new} new, {still} still there" if fixed or new or still else "none in either"
    revisions = f"{_label(told.old.series)} to {_label(told.new.series)}"
    return f"{revisions}: {', '.join(parts) or 'no patches'}; findings: {found}"


# -- JSON -----------------------------------------------------------------------------------------------------------


def _document(comparison: Comparison, rows: Sequence[Row], told: _Told) -> dict[str, Any]:
    from reviewbot.output.json import VERSION, series_document

    def entry(row: Row) -> dict[str, Any]:
        patch = row.new or row.old
        return {
            "old": row.old.index if row.old else None,
            "new": row.new.index if row.new else None,
            "how": row.how,
            "title": patch.subject.title if patch else "",
            "diff": list(row.lines),
            "cut": row.cut,
            **_sided(_of_row(row, rows, told)),
        }

    return {
        "version": VERSION,
        "old": series_document(told.old.series),
        "new": series_document(told.new.series),
        "by": "git range-diff" if comparison.bases else "mails",
        "patches": [entry(row) for row in rows],
        "cover": _sided(told.of(0, 0)),
    }


def _sided(sided: Sided) -> dict[str, Any]:
    from reviewbot.output.json import finding_document

    return {
        "fixed": [finding_document(finding) for finding in sided.fixed],
        "new_findings": [finding_document(finding) for finding in sided.new],
        "still_there": [finding_document(finding) for finding in sided.still],
    }
