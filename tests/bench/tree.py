# SPDX-License-Identifier: GPL-2.0-or-later
"""What a tree costs: milliseconds a patch with and without it, stage by stage, and how they grow with the series.

--git DIR is a kernel under git, such as Debian's linux-source-6.12 unpacked, `git init`, `git add -A`, `git commit`.
The series are made here: each patch adds a statement to a function that names the mmap lock, GUP or a VMA.
"""

from __future__ import annotations

import difflib
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from archive import exponent, read_again, read_by, timed
from common import arguments, table

from reviewbot.engine import review
from reviewbot.mail import local_series
from reviewbot.mime import parse_mail
from reviewbot.model import Applied, Mail, Patch, Series
from reviewbot.registry import load
from reviewbot.tree import Tree

LENGTHS = (1, 10, 100)
WORDS = "mmap_read_lock|mmap_write_lock|get_user_pages|pin_user_pages|handle_mm_fault|find_vma|vm_flags_set"


def git(repository: Path, *words: str) -> str:
    """What git prints."""
    done = subprocess.run(["git", "-C", repository, *words], capture_output=True, check=True)
    return done.stdout.decode("utf-8", "surrogateescape")


def make_series(repository: Path, length: int) -> list[bytes]:
    """The mails of a posting of so many patches, on top of HEAD."""
    head = git(repository, "rev-parse", "HEAD").strip()
    paths = git(repository, "grep", "-lE", WORDS, "HEAD", "--", "*.c", ":!tools", ":!Documentation").split()
    paths = [path.split(":", 1)[1] for path in paths]
    texts: dict[str, list[str]] = {}
    mails = []
    for n in range(1, length + 1):
        path = paths[n * 7919 % len(paths)]
        if path not in texts:
            texts[path] = git(repository, "show", f"HEAD:{path}").splitlines(keepends=True)
        before = texts[path]
        spots = [at for at, line in enumerate(before) if line.startswith("\t") and line.endswith(";\n")]
        at = spots[n * 104729 % len(spots)] + 1
        after = texts[path] = [*before[:at], f"\tpr_debug({n});\n", *before[at:]]
        diff = "".join(difflib.unified_diff(before, after, f"a/{path}", f"b/{path}"))
        text = (
            f"From: A <a@example.org>\nSubject: [PATCH {n}/{length}] fill\nDate: Mon, 14 Sep 2026 10:12:00 +0200\n"
            f"Message-ID: <{n}@example.org>\n\nText.\n---\ndiff --git a/{path} b/{path}\n{diff}"
            f"-- \n2.49.0\n\nbase-commit: {head}\n"
        )
        mails.append(text.encode("utf-8", "surrogateescape"))
    return mails


class Kept:
    """What a tree said of each patch, said again for nothing."""

    def __init__(self, applied: Sequence[Applied]) -> None:
        self.applied = list(applied)

    def apply(self, patch: Patch) -> Applied:
        return self.applied[patch.index - 1]


def posting(mails: Sequence[Mail]) -> Series:
    """The mails as a series."""
    (series,) = local_series(mails)
    return series


def applied(tree: Tree, series: Series) -> list[Applied]:
    """Each patch on top of those before it."""
    files = tree.files(series.base.commit or "")
    return [files.apply(patch) for patch in series.patches]


def main() -> None:
    """Print the tables."""
    parser = arguments(__doc__)
    parser.add_argument("--git", type=Path, required=True, help="a kernel under git")
    options = parser.parse_args()
    columns: dict[str, list[float]] = {}
    load()
    for length in LENGTHS:
        raws = make_series(options.git, length)
        mails = [parse_mail(raw) for raw in raws]
        series = posting(mails)
        with Tree.open(str(options.git)) as tree:
            base = tree.find_base(series)
            if base.commit is None:
                sys.exit("the series that was made here has no base there")
            kept = applied(tree, series)
            cost = {
                "1 mail": timed(partial(lambda raws: [parse_mail(raw) for raw in raws], raws), 3),
                "2 diff": timed(partial(posting, mails), 3),
                "3 tree: base and files": timed(partial(applied_anew, str(options.git), series), 3),
                "4 C reading": timed(partial(read_again, read_by([series])), 3),
                "4 C reading, whole files": timed(partial(read_again, read_by([series], Kept(kept))), 3),
            }
            hunks = timed(partial(review, series, load()), 3)
            whole = timed(partial(review, series, load(), None, Kept(kept)), 3)
        cost["5 rules"] = hunks - cost["4 C reading"]
        cost["5 rules, whole files"] = whole - cost["4 C reading, whole files"]
        parse = cost["1 mail"] + cost["2 diff"]
        cost["all, without tree"] = parse + hunks
        cost["all, with tree"] = parse + cost["3 tree: base and files"] + whole
        for name, seconds in cost.items():
            columns.setdefault(name, []).append(seconds)
    head = ("cpu ms a patch, series of", *(str(length) for length in LENGTHS), "exponent")
    rows = [
        (
            name,
            *(1000 * second / length for second, length in zip(seconds, LENGTHS, strict=True)),
            exponent(LENGTHS, seconds),
        )
        for name, seconds in columns.items()
    ]
    table(head, rows)


def applied_anew(directory: str, series: Series) -> None:
    """A tree opened, the base found in it, every patch applied: git's own time is in another process."""
    with Tree.open(directory) as tree:
        found = tree.find_base(series)
        applied(tree, series._replace(base=found.base))


if __name__ == "__main__":
    main()
