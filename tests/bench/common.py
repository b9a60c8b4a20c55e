# SPDX-License-Identifier: GPL-2.0-or-later
"""What the measuring scripts share: where the corpus is, running a process with its cost, tables.

Belongs here: nothing that only one script uses. The scripts are run by hand or by make, not by
pytest. The import of reviewbot stands in the functions: a parent that is large before it forks
would show in its children's peak memory.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from reviewbot.finding import Review
    from reviewbot.model import Mail

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "tests" / "data" / "example.mbox"
REVIEWBOT = str(Path(sys.executable).with_name("reviewbot"))


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """A parser that knows --corpus and --cache."""
    parser = argparse.ArgumentParser(description=(doc or "").strip().splitlines()[0])
    default = os.environ.get("REVIEWBOT_CORPUS") or ROOT.parent / "shared" / "corpus"
    parser.add_argument("--corpus", type=Path, default=Path(default), help="$REVIEWBOT_CORPUS or %(default)s")
    cache_dir = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reviewbot-bench"
    parser.add_argument("--cache", type=Path, default=cache_dir, help="where the archive is unpacked (%(default)s)")
    return parser


def archive(corpus: Path, cache_dir: Path) -> Path:
    """The directory of a public-inbox (git/0.git below it) made from the corpus's bundle, once."""
    bundles = sorted(corpus.glob("*.bundle"))
    if not bundles:
        sys.exit(f"no *.bundle in '{corpus}': say --corpus DIR or set REVIEWBOT_CORPUS")
    inbox = cache_dir / bundles[0].stem
    epoch = inbox / "git" / "0.git"
    if not epoch.exists():
        epoch.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "clone", "--quiet", "--mirror", bundles[0], epoch], check=True)
    return inbox


def raw_mails(inbox: Path) -> Iterator[bytes]:
    """Every mail of the archive, oldest first."""
    from reviewbot.source.epoch import EpochSource

    return (raw for _, raw in EpochSource(inbox).mails())


def patch_mails(raws: Iterable[bytes]) -> Iterator[tuple[bytes, Mail]]:
    """Those among them that are patches and no replies, parsed."""
    from reviewbot.mail import has_diff, parse_mail, parse_subject
    from reviewbot.model import InputError

    for raw in raws:
        try:
            mail = parse_mail(raw)
        except InputError:
            continue
        subject = parse_subject(mail.subject)
        if subject.patch and not subject.reply and has_diff(mail):
            yield raw, mail


def review_mail(mail: Mail) -> list[Review]:
    """Review one mail by itself, as `check FILE` does; nothing where it has no patch."""
    from reviewbot.engine import review
    from reviewbot.mail import local_series
    from reviewbot.registry import load

    return [review(series, load()) for series in local_series([mail])]


class Cost(NamedTuple):
    """What a process took."""

    wall: float  # seconds
    cpu: float  # seconds, user and system
    rss: float  # peak resident set, MB
    status: int


def run(argv: Sequence[str], stdin: Path | None = None, cwd: Path | None = None, allowed: Sequence[int] = (0,)) -> Cost:
    """Run a command with its output thrown away. Exits with what it said where its status is not allowed."""
    begin = time.perf_counter()
    with open(stdin or os.devnull, "rb") as file:
        child = subprocess.Popen(argv, stdin=file, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=cwd)
        assert child.stderr is not None
        said = child.stderr.read()
        # not Popen.wait(): wait4() alone tells what this one child used
        _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    child.stderr.close()
    if child.returncode not in allowed:
        sys.exit(f"{' '.join(argv)}: exit status {child.returncode}\n{said.decode(errors='replace')}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, child.returncode)


def median(costs: Sequence[Cost]) -> Cost:
    """Each column's median."""
    return Cost(
        statistics.median(c.wall for c in costs),
        statistics.median(c.cpu for c in costs),
        statistics.median(c.rss for c in costs),
        costs[0].status,
    )


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print columns; numbers to the right."""
    text = [[f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(len(line[n]) for line in [list(head), *text]) for n in range(len(head))]
    number = [all(re.fullmatch(r"[-\d./]*", line[n]) for line in text) for n in range(len(head))]
    for line in [list(head), ["-" * width for width in widths], *text]:
        cells = (c.rjust(w) if right else c.ljust(w) for c, w, right in zip(line, widths, number, strict=True))
        print("  ".join(cells).rstrip())
