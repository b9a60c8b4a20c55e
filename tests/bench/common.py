# SPDX-License-Identifier: GPL-2.0-or-later
"""What the measuring scripts share: where the corpus is, running a process with its cost, tables.

Belongs here: nothing that only one script uses. The scripts are run by hand or by make, not by
pytest. reviewbot is imported in the functions, for the scripts that only start it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
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


def find_cover(inbox: Path, subject: str) -> str:
    """The Message-ID of the first cover letter whose subject matches; exits where there is none.

    Read with git alone: a public-inbox's commit subjects are its mails'.
    """
    git = ["git", "-C", str(inbox / "git" / "0.git")]
    log = subprocess.run([*git, "log", "--reverse", "--format=%H %s"], capture_output=True, check=True)
    for line in log.stdout.decode(errors="replace").splitlines():
        commit, _, title = line.partition(" ")
        if re.match(subject, title):
            mail = subprocess.run([*git, "cat-file", "blob", f"{commit}:m"], capture_output=True, check=True)
            if found := re.search(rb"^Message-Id:\s*<([^>\s]+)>", mail.stdout, re.M | re.I):
                return found[1].decode()
    sys.exit(f"no cover letter with a subject like '{subject}' in '{inbox}'")


def raw_mails(inbox: Path) -> Iterator[bytes]:
    """Every mail of the archive, oldest first."""
    from reviewbot.source.epoch import EpochSource

    return (raw for _, raw in EpochSource(inbox).mails())


def patch_mails(raws: Iterable[bytes]) -> Iterator[tuple[bytes, Mail]]:
    """Those among them that are patches and no replies, parsed."""
    from reviewbot.mail import has_diff, parse_subject
    from reviewbot.mime import parse_mail
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


# A process's peak memory counts from before its exec, when it was a copy of its parent. So a parent that is
# smaller than any Python we measure starts it: no site, no module but built-in ones.
_STARTER = """
import posix, sys, time
begin = time.perf_counter()
quiet = [(posix.POSIX_SPAWN_OPEN, 1, "/dev/null", posix.O_WRONLY, 0)]
pid = posix.posix_spawn(sys.argv[1], sys.argv[1:], posix.environ, file_actions=quiet)
_, status, usage = posix.wait4(pid, 0)
wall = time.perf_counter() - begin
print(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, posix.waitstatus_to_exitcode(status))
"""


def run(argv: Sequence[str], stdin: Path | None = None, cwd: Path | None = None, allowed: Sequence[int] = (0,)) -> Cost:
    """Run a command with its output thrown away. Exits with what it said where its status is not allowed."""
    program = shutil.which(argv[0])
    if program is None:
        sys.exit(f"{argv[0]}: not found")
    starter = [sys.executable, "-I", "-S", "-c", _STARTER, program, *argv[1:]]
    with open(stdin or os.devnull, "rb") as file:
        done = subprocess.run(
            starter, stdin=file, capture_output=True, text=True, errors="replace", cwd=cwd, check=True
        )
    wall, cpu, rss, status = done.stdout.split()
    if int(status) not in allowed:
        sys.exit(f"{' '.join(argv)}: exit status {status}\n{done.stderr}")
    return Cost(float(wall), float(cpu), float(rss), int(status))


def median(costs: Sequence[Cost]) -> Cost:
    """Each column's median."""
    return Cost(
        statistics.median(c.wall for c in costs),
        statistics.median(c.cpu for c in costs),
        statistics.median(c.rss for c in costs),
        costs[0].status,
    )


def compare(commands: Mapping[str, Sequence[str]], runs: int) -> None:
    """Run commands in turn, so that all of them meet the same noise, and print a table of their medians."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, argv in commands.items():
            costs[name].append(run(argv, allowed=(0, 1)))
    middle = {name: median(measured) for name, measured in costs.items()}
    table(
        ("command", "wall ms", "cpu ms", "peak MB"),
        [(name, cost.wall * 1000, cost.cpu * 1000, cost.rss) for name, cost in middle.items()],
    )


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print columns; numbers to the right."""
    text = [[f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(len(line[n]) for line in [list(head), *text]) for n in range(len(head))]
    number = [all(re.fullmatch(r"[-\d./]*", line[n]) for line in text) for n in range(len(head))]
    for line in [list(head), ["-" * width for width in widths], *text]:
        cells = (c.rjust(w) if right else c.ljust(w) for c, w, right in zip(line, widths, number, strict=True))
        print("  ".join(cells).rstrip())
