# SPDX-License-Identifier: GPL-2.0-or-later
"""How often each rule speaks: on every patch of the corpus archive, and on whole files of a kernel tree.

With --linux DIR the .c and .h files of an unpacked kernel are taken as if a patch had added every line. The numbers
stand beside those that checks/<family>/evidence.toml records; --show RULE prints the hits, to be read and judged.
Exit status 1 where a recorded number is another one.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from common import archive, arguments, raw_mails, review_mail, table

from reviewbot.c.code import Code, Fragment
from reviewbot.mail import has_diff
from reviewbot.mime import parse_mail
from reviewbot.model import Change, FileDiff, InputError, Line, LineKind
from reviewbot.registry import evidence, load
from reviewbot.reports import run_rule
from reviewbot.rule import Over, Rule

# the kernel that the recorded numbers are of
VERSION = (6, 12)


def of_archive(inbox: Path) -> Iterator[tuple[str, str]]:
    """(rule, place and line) of each finding that a patch of the archive brought about."""
    for raw in raw_mails(inbox):
        try:
            mail = parse_mail(raw)
        except InputError:
            continue
        if not has_diff(mail):
            continue
        for review in review_mail(mail):
            for f in review.findings:
                if not f.preexisting:
                    yield f.rule, f"{mail.name} {f.span.path}:{f.span.line}: {f.span.text.strip()} | {f.message}"


def of_tree(top: Path, rules: Sequence[Rule]) -> Iterator[tuple[str, str]]:
    """(rule, place and line) of each report on a kernel tree's files."""
    for directory, _, names in os.walk(top):
        for name in sorted(names):
            path = os.path.relpath(os.path.join(directory, name), top)
            mine = [
                rule for rule in rules if rule.over is Over.CODE and rule.holds_for(VERSION) and rule.scope.covers(path)
            ]
            if not name.endswith((".c", ".h")) or not mine:
                continue
            text = Path(directory, name).read_text(encoding="utf-8", errors="replace")
            mine = [rule for rule in mine if any(word in text for word in rule.words)]
            if not mine:
                continue
            lines = tuple(Line(LineKind.ADDED, line, None, n, n) for n, line in enumerate(text.split("\n"), 1))
            code = Code(path, [Fragment(lines)], whole=True, version=VERSION, diff=_added(path))
            code.patch = (code,)
            for rule in mine:
                reports, cut = run_rule(rule, code)
                if cut:
                    print(f"{rule.name}: {cut} in {path}", file=sys.stderr)
                for report in reports:
                    span = code.span(report.at)
                    yield rule.name, f"{path}:{span.line}: {span.text.strip()} | {report.message}"


def _added(path: str) -> FileDiff:
    return FileDiff(None, path, Change.ADDED, ())


def recorded(rule: str, where: str) -> int | None:
    """The hits that the evidence has; None where it has none of that place."""
    return next((entry.hits for entry in evidence().get(rule, ()) if entry.where.startswith(where)), None)


def main() -> None:
    """Print the table, and what differs from the evidence."""
    parser = arguments(__doc__)
    parser.add_argument("--linux", type=Path, help="an unpacked kernel")
    parser.add_argument("--rules", help="only these: names, families or ids, with commas between them")
    parser.add_argument("--show", action="store_true", help="print every hit")
    options = parser.parse_args()
    wanted = options.rules.split(",") if options.rules else []
    rules = [r for r in load() if not wanted or {r.name, r.name.split("/", maxsplit=1)[0], r.id} & set(wanted)]
    sources = [("nvdimm archive", of_archive(archive(options.corpus, options.cache)))]
    if options.linux:
        sources.append(("linux 6.12", of_tree(options.linux, rules)))
    counts: dict[str, Counter[str]] = {}
    names = {rule.name for rule in rules}
    for where, found in sources:
        begin = time.process_time()
        counts[where] = Counter()
        for name, text in found:
            if name in names:
                counts[where][name] += 1
                if options.show:
                    print(f"{name}: {text}")
        print(f"{where}: {time.process_time() - begin:.0f} CPU s", file=sys.stderr)
    rows, other = [], []
    for rule in rules:
        row: list[object] = [rule.id, rule.name, str(rule.confidence)]
        for where in counts:
            hits, known = counts[where][rule.name], recorded(rule.name, where)
            row += [hits, "" if known is None else known]
            if known != hits:
                other.append(f"{rule.name}: {hits} hits in {where}, {known} recorded")
        rows.append(row)
    table(("id", "rule", "confidence", *(head for where in counts for head in (where, "recorded"))), rows)
    print("\n".join(["", *other]) if other else "")
    sys.exit(1 if other else 0)


if __name__ == "__main__":
    main()
