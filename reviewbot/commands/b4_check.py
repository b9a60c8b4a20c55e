# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot b4-check`: the external check of `b4 review`: a mail on standard input, JSON on standard output.

Belongs here: b4's side of it (docs/config.rst, src/b4/review/checks.py of b4 0.16): which series the mail is of, and
where its commits are. Does not belong here: the JSON of a review (`output.b4`). b4 takes the JSON whatever the exit
status and drops stderr while there is JSON, so all that goes wrong is told as JSON, and the exit status is always 0.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from reviewbot.commands.common import Ground, choose_rules, find_ground, open_tree, run_review, settle
from reviewbot.config import Config
from reviewbot.mail import local_series, parse_subject
from reviewbot.mime import parse_patch
from reviewbot.model import FileDiff, InputError, LineKind, Mail, Patch, ReviewbotError, Series
from reviewbot.output import render
from reviewbot.output.text import Screen, clean

if TYPE_CHECKING:
    from reviewbot.finding import Review
    from reviewbot.source.commits import Repository

# b4's branches of series under review (b4.review.REVIEW_BRANCH_PREFIX). A change-id comes out of a stranger's mail.
_BRANCH = "refs/heads/b4/review/"
_CHANGE_ID = re.compile(r"(?!.*(?:\.\.|//|@\{))[A-Za-z0-9_][A-Za-z0-9._/+-]{0,249}")
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# The largest tracking data are some 100 kB: a hundred patches with what people answered.
_MOST = 64 * 1024 * 1024


class Tracked(NamedTuple):
    """What b4 knows of the series that it has on a review branch; of its patches, in order."""

    branch: str  # full name of the ref; its tip is b4's own commit, the patches are below
    first: str  # full hash of the first patch's commit
    ids: tuple[str, ...]  # Message-IDs
    notes: tuple[str, ...]  # what stood below each patch's ---: `git am` drops it


def run(args: argparse.Namespace, config: Config) -> int:
    """Always 0: b4 reads the JSON."""
    args.quiet = True
    reviewed = _review(args, config)
    sys.stdout.write(render("b4", [reviewed], Screen(docs=config.reply.docs or None)))
    return 0


def tell(_args: argparse.Namespace, text: str) -> int:
    """What went wrong, as a result that b4 shows; gives the exit status."""
    from reviewbot.output.json import dump

    said = clean(" ".join(text.split()))
    sys.stdout.write(dump([{"tool": "reviewbot", "status": "warn", "summary": f"not reviewed: {said}"}]))
    return 0


def _review(args: argparse.Namespace, config: Config) -> Review:
    mail = read_mail()
    tracked = read_tracking(os.environ.get("B4_TRACKING_FILE", ""))
    with contextlib.ExitStack() as stack:
        repository = open_repository(stack)
        config = settle(args, config, repository)
        rules = choose_rules(args, config)
        given = local_series([mail])
        mailed = given[0].patches[0] if given and given[0].patches else None
        series = _on_branch(repository, tracked) if repository and tracked and not args.tree else None
        if repository and series and args.series:
            return run_review(args, config, Ground(series, repository.files(series)), rules, None, repository)
        if repository and tracked and series and mailed:
            patch = _by_id(mail, tracked, series) or find_patch(mailed, series)
            if patch:
                series = put(series, join(mailed, patch))
                ground = Ground(series, repository.files(series))
                return run_review(args, config, ground, rules, (patch.index,), repository)
        if args.series and (mailed is None or not given[0].complete):
            raise InputError("the series is on no review branch here: check it out in b4 review, then R asks again")
        if mailed is None:
            raise InputError("there is no patch in the mail")
        tree = stack.enter_context(open_tree(args, config))
        return run_review(args, config, find_ground(args, tree, given[0]), rules)


def open_repository(stack: contextlib.ExitStack) -> Repository | None:
    """The repository that b4 has called us in; None where there is none."""
    from reviewbot.source.commits import Repository

    try:
        return stack.enter_context(Repository.open())
    except InputError:
        return None


def read_mail() -> Mail:
    """The mail on standard input. Raises InputError where there is none.

    b4 gives the decoded body below headers that still say base64 or quoted-printable; `reviewbot.mime` knows.
    """
    raw = sys.stdin.buffer.read()
    if not raw.strip():
        raise InputError("no mail on standard input")
    return parse_patch(raw, "standard input")


def read_tracking(name: str) -> Tracked | None:
    """What B4_TRACKING_FILE says; None where there is no such file, or nothing in it that can be used."""
    import json

    try:
        with open(name, "rb") as stream:
            data: Any = json.loads(stream.read(_MOST))
        series, patches = data["series"], data["patches"]
        change, first = series["change-id"], series["first-patch-commit"]
        ids = tuple(str(patch.get("header-info", {}).get("msgid", "")).strip("<>") for patch in patches)
        notes = tuple(str(patch.get("basement", "")) for patch in patches)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if not isinstance(change, str) or not isinstance(first, str):
        return None
    if not _CHANGE_ID.fullmatch(change) or not _HASH.fullmatch(first):
        return None
    return Tracked(_BRANCH + change, first, ids, notes)


def _on_branch(repository: Repository, tracked: Tracked) -> Series | None:
    """The series as the commits of its review branch; None where they are not in the repository at hand."""
    try:
        # as b4 has it: prerequisites lie below the first patch, and its own commit is the tip
        series = repository.series(repository.find([f"{tracked.first}~1..{tracked.branch}~1"]))
    except ReviewbotError:
        return None
    if len(series.patches) == len(tracked.notes):
        both = zip(series.patches, tracked.notes, strict=True)
        series = series._replace(patches=tuple(patch._replace(notes=notes.strip("\n")) for patch, notes in both))
    return series


def _by_id(mail: Mail, tracked: Tracked, series: Series) -> Patch | None:
    """The patch whose mail this is, where the branch still has as many as were posted."""
    if len(series.patches) != len(tracked.ids) or not mail.message_id or mail.message_id not in tracked.ids:
        return None
    patch = series.patches[tracked.ids.index(mail.message_id)]
    return patch if patch.subject.title == parse_subject(mail.subject).title else None


def find_patch(wanted: Patch, series: Series) -> Patch | None:
    """The patch of a series that makes the same change; None where there is none.

    Of another revision's patch with the same title nothing would be true.
    """
    change = _change(wanted.files)
    same = [patch for patch in series.patches if _change(patch.files) == change]
    titled = [patch for patch in same if patch.subject.title == wanted.subject.title]
    if not titled and change and len(same) == 1:
        return same[0]
    return titled[0] if titled else None


def join(mailed: Patch, committed: Patch) -> Patch:
    """A patch as it was mailed that knows its commit and its files' full ids.

    Where `git am` had to look for the place the commit's lines are the right ones, and only the notes are the mail's.
    """
    if not same_hunks(mailed.files, committed.files):
        return committed._replace(notes=mailed.notes or committed.notes)
    files = tuple(
        diff._replace(old_id=its.old_id, new_id=its.new_id)
        for diff, its in zip(mailed.files, committed.files, strict=True)
    )
    return mailed._replace(index=committed.index, commit=committed.commit, files=files)


def put(series: Series, patch: Patch) -> Series:
    """The series with this patch in the place of the one that has its number."""
    return series._replace(patches=tuple(patch if one.index == patch.index else one for one in series.patches))


def _change(files: Sequence[FileDiff]) -> dict[str, int]:
    """How many of each line there are more, or fewer, than before: so it is whatever made the diff, and how.

    Somebody's diff.algorithm, diff.renames or diff.context is no other change.
    """
    found: dict[str, int] = {}
    for line in (line for diff in files for hunk in diff.hunks for line in hunk.lines):
        if line.kind is not LineKind.CONTEXT:
            found[line.text] = found.get(line.text, 0) + (1 if line.kind is LineKind.ADDED else -1)
    return {text: number for text, number in found.items() if number}


def same_hunks(one: Sequence[FileDiff], other: Sequence[FileDiff]) -> bool:
    """Two diffs are the same, line numbers and all."""
    return _hunks(one) == _hunks(other)


def _hunks(files: Sequence[FileDiff]) -> list[tuple[object, ...]]:
    return [
        (
            diff.old_path,
            diff.new_path,
            [(line.kind, line.text, line.old, line.new) for hunk in diff.hunks for line in hunk.lines],
        )
        for diff in files
    ]
