# SPDX-License-Identifier: GPL-2.0-or-later
"""What it costs to say where a series of 30 patches applies: seconds on 2 branches, by the commits they have.

--git DIR is a kernel under git as for tree.py. Branches of commits that each change a line are made in a clone that
shares its objects: one that takes the series, and one where a commit is in the way of every third patch.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from common import arguments, table
from tree import git, make_series, posting

from reviewbot.branches import standings
from reviewbot.mime import parse_mail
from reviewbot.model import Series
from reviewbot.tree import Tree

PATCHES = 30
COMMITS = (300, 3_000, 15_000)  # the last is what a merge window has


def stream(
    repository: Path, name: str, count: int, paths: list[str], clashing: list[tuple[str, str]]
) -> Iterator[bytes]:
    """What git fast-import makes a branch of: `count` commits, the middle one changes a line of each of `clashing`."""
    texts: dict[str, list[bytes]] = {}
    wanted = dict(clashing)
    for n in range(count):
        changes = [paths[n * 7919 % len(paths)]] if n != count // 2 else list(wanted)
        yield f"commit refs/heads/{name}\ncommitter O <o@example.org> {1790000000 + n} +0000\n".encode()
        title = f"{name}: step {n}".encode()
        yield b"data %d\n%s\n" % (len(title), title)
        if n == 0:
            yield f"from {git(repository, 'rev-parse', 'HEAD').strip()}\n".encode()
        for path in changes:
            if path not in texts:
                texts[path] = (
                    git(repository, "show", f"HEAD:{path}").encode("utf-8", "surrogateescape").splitlines(True)
                )
            lines = texts[path]
            if n == count // 2:
                line = wanted[path].encode("utf-8", "surrogateescape") + b"\n"
                texts[path] = lines = [b"\tother();\n" if one == line else one for one in lines]
            else:
                lines.insert(3, b"/* step %d */\n" % n)
            data = b"".join(lines)
            yield f"M 100644 inline {path}\n".encode() + b"data %d\n%s\n" % (len(data), data)


def clashing(series: Series) -> list[tuple[str, str]]:
    """A line of context of every third patch, by its file."""
    return [(patch.files[0].path, patch.files[0].hunks[0].lines[2].text) for patch in series.patches[::3]]


def main() -> None:
    """Print the table."""
    parser = arguments(__doc__)
    parser.add_argument("--git", type=Path, required=True, help="a kernel under git")
    options = parser.parse_args()
    series = posting([parse_mail(raw) for raw in make_series(options.git, PATCHES)])
    busy = {diff.path for patch in series.patches for diff in patch.files}
    paths = [path for path in git(options.git, "ls-files", "*.c").split() if path not in busy][::10]
    rows = []
    for count in COMMITS:
        with tempfile.TemporaryDirectory() as scratch:
            clone = Path(scratch) / "clone.git"
            subprocess.run(["git", "clone", "-q", "--bare", "--shared", options.git, clone], check=True)
            for name, wrong in (("calm", []), ("wild", clashing(series))):
                work = subprocess.Popen(["git", "-C", clone, "fast-import", "--quiet"], stdin=subprocess.PIPE)
                assert work.stdin
                for piece in stream(options.git, name, count, paths, wrong):
                    work.stdin.write(piece)
                work.stdin.close()
                if work.wait():
                    sys.exit("git fast-import failed")
            found = []
            for names in (["calm"], ["wild"], ["calm", "wild"], ["calm", "wild"]):
                with Tree.open(str(clone)) as tree:
                    begin = time.perf_counter()
                    stands = standings(tree, names, series, series.base.commit)
                    found.append(time.perf_counter() - begin)
            begin = time.perf_counter()
            with Tree.open(str(clone)) as tree:
                unknown = standings(tree, ["calm", "wild"], series, None)
            last = time.perf_counter() - begin
            told = stands[1].conflicts
            assert stands[0].applies
            assert not unknown[1].applies
            rows.append((count, *found, last, f"{len(told)}, {sum(c.cause is not None for c in told)}"))
    table(("commits", "applies", "conflicts", "both", "again", "no base", "conflicts, with cause"), rows)


if __name__ == "__main__":
    main()
