# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot check` on one commit and on many of a kernel tree, beside checkpatch.pl on the same and `import unidiff`.

--linux is a kernel tree under git (Debian's linux-source-6.12, unpacked and committed, will do): a shared clone of it
gets commits made of those patches of the corpus's archive that apply, oldest first, and checkpatch.pl runs in its work
tree. The commands take turns, so that a busy machine is busy for all of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from common import REVIEWBOT, Cost, archive, arguments, median, patch_mails, raw_mails, run, table


def git(repo: Path, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """git in a repository, as somebody without any configuration."""
    who = {"GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "ann@example.org"}
    who |= {"GIT_COMMITTER_NAME": "Ann", "GIT_COMMITTER_EMAIL": "ann@example.org", "GIT_CONFIG_GLOBAL": os.devnull}
    environment = {**os.environ, **who}
    return subprocess.run(["git", "-C", repo, *words], input=given, capture_output=True, env=environment, check=False)


def make_commits(repo: Path, mails: Sequence[bytes], wanted: int) -> int:
    """Commit the patches that apply, until there are enough; how many there are."""
    made = 0
    for raw in mails:
        if made == wanted:
            break
        if git(repo, "apply", "--cached", "-", given=raw).returncode == 0:
            subject = next((line for line in raw.split(b"\n") if line.startswith(b"Subject:")), b"Subject: patch")
            title = subject.partition(b"]")[2].strip() or b"a patch"
            done = git(
                repo, "commit", "--quiet", "--file=-", given=title + b"\n\nSigned-off-by: Ann <ann@example.org>\n"
            )
            made += done.returncode == 0
    return made


def main() -> None:
    """Print the table."""
    parser = arguments(__doc__)
    parser.add_argument("--linux", default=os.environ.get("REVIEWBOT_LINUX"), help="default: $REVIEWBOT_LINUX")
    parser.add_argument("--source", help="a work tree with scripts/checkpatch.pl (default: --linux)")
    parser.add_argument("--commits", type=int, default=20, help="of the longer range (%(default)s)")
    parser.add_argument("--since", default="2024-11", help="year and month of the oldest patch (%(default)s)")
    parser.add_argument("--runs", type=int, default=7, help="of each command (%(default)s)")
    options = parser.parse_args()
    # with it every start would compile a hundred files
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if not options.linux:
        parser.error("say --linux DIR or set REVIEWBOT_LINUX")
    linux = Path(options.linux).resolve()
    source = Path(options.source).resolve() if options.source else linux
    inbox = archive(options.corpus, options.cache)
    mails = [
        raw
        for raw, mail in patch_mails(raw_mails(inbox))
        if mail.date and mail.date.strftime("%Y-%m") >= options.since and b"\nindex " in raw
    ]
    with tempfile.TemporaryDirectory() as directory:
        repo = Path(directory, "linux")
        subprocess.run(["git", "clone", "--quiet", "--shared", "--no-checkout", linux, repo], check=True)
        git(repo, "read-tree", "HEAD")
        git(repo, "branch", "base")
        made = make_commits(repo, mails, options.commits)
        if made < options.commits:
            sys.exit(f"only {made} patches of the archive apply to '{linux}'")
        rows: list[tuple[object, ...]] = []
        costs: dict[str, list[Cost]] = {}
        commands: dict[str, tuple[list[str], Path, Path | None]] = {
            "python -c 'import unidiff'": ([sys.executable, "-c", "import unidiff"], repo, None)
        }
        for name, words in (("1 commit", ["-1"]), (f"{made} commits", ["base.."])):
            series = Path(directory, f"{name}.mbox")
            series.write_bytes(git(repo, "format-patch", "--stdout", *words).stdout)
            target = "HEAD" if words == ["-1"] else "base.."
            commands[f"reviewbot check, {name}"] = ([REVIEWBOT, "check", "-q", target], repo, None)
            commands[f"checkpatch.pl -, {name}"] = (
                ["perl", str(source / "scripts" / "checkpatch.pl"), "-q", "-"],
                source,
                series,
            )
        for _ in range(options.runs):
            for name, (argv, cwd, stdin) in commands.items():
                costs.setdefault(name, []).append(run(argv, cwd=cwd, stdin=stdin, allowed=(0, 1)))
        for name, spent in costs.items():
            cost = median(spent)
            rows.append((name, cost.wall * 1000, cost.cpu * 1000, cost.rss))
        table(("command", "wall ms", "CPU ms", "MB"), rows)
        for line in (
            git(repo, "log", "--reverse", "--format=%h %s", "--shortstat", "base..").stdout.decode().split("\n")
        ):
            print(f"    {line}" if line else "", end="\n" if line else "")


if __name__ == "__main__":
    main()
