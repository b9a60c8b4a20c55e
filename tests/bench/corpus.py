# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules against labelled lines of real mail: what must be found is found, what must not is not.

$REVIEWBOT_CORPUS/cases.jsonl has a row a case: mail, rule, `expect` (fires or silent), file,
line_text, and how sure the label is. Each mail is reviewed by itself. Exit status 1 where a label of
high confidence that demands silence is broken, or less than 0.95 of the lines that must be found
with high confidence are found.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from common import arguments, review_mail, table

from reviewbot.finding import Finding
from reviewbot.mime import parse_mail
from reviewbot.registry import load

RECALL = 0.95


@dataclass(frozen=True, slots=True)
class Case:
    """A row of cases.jsonl."""

    mail: str
    message_id: str
    rule: str
    id: str
    expect: str
    file: str  # '' where it is not about a file
    line_text: str
    confidence: str
    why: str


def normal(text: str) -> str:
    """White space does not count."""
    return " ".join(text.split())


def lines_of(finding: Finding) -> Iterator[str]:
    """The line of the finding and the related ones, normalised."""
    yield normal(finding.span.text)
    for span, _ in finding.related:
        yield normal(span.text)


@cache
def findings_in(path: Path) -> tuple[Finding, ...]:
    """What the rules say of a mail, low confidence included; what was there before the patch left out."""
    mail = parse_mail(path.read_bytes(), str(path))
    return tuple(f for review in review_mail(mail) for f in review.findings if not f.preexisting)


def holds(case: Case, corpus: Path) -> bool:
    """The label is right."""
    mine = [f for f in findings_in(corpus / case.mail) if f.rule == case.rule and case.file in ("", f.span.path)]
    wanted = normal(case.line_text)
    if case.expect == "fires":
        return any(not wanted or wanted in lines_of(finding) for finding in mine)
    return not any(not wanted or normal(finding.span.text) == wanted for finding in mine)


def main() -> None:
    """Print the table and the failures."""
    parser = arguments(__doc__)
    parser.add_argument("--rules", help="only these: names or families, with commas between them")
    options = parser.parse_args()
    wanted = tuple(options.rules.split(",")) if options.rules else ()
    known = {rule.name for rule in load()}
    fields = Case.__dataclass_fields__
    table_of_cases = options.corpus / "cases.jsonl"
    if not table_of_cases.exists():
        sys.exit(f"no '{table_of_cases}': say --corpus DIR or set REVIEWBOT_CORPUS")
    rows = [json.loads(line) for line in table_of_cases.read_text(encoding="utf-8").splitlines()]
    cases = [Case(**{name: row[name] or "" for name in fields}) for row in rows]
    cases = [c for c in cases if not wanted or c.rule in wanted or c.rule.split("/")[0] in wanted]
    results = [(case, holds(case, options.corpus)) for case in cases if case.rule in known]

    def share(rule: str, expect: str, confidence: str) -> str:
        mine = [ok for c, ok in results if (c.rule, c.expect, c.confidence) == (rule, expect, confidence)]
        return f"{sum(mine)}/{len(mine)}" if mine else ""

    columns = [(expect, confidence) for expect in ("fires", "silent") for confidence in ("high", "medium")]
    table(
        ("rule", *(f"{expect} {confidence}" for expect, confidence in columns)),
        [(rule, *(share(rule, *column) for column in columns)) for rule in sorted({c.rule for c, _ in results})],
    )
    missing = sorted({case.rule for case in cases} - known)
    if missing:
        print(f"\nlabelled, but no such rule: {', '.join(missing)}")
    for case, ok in results:
        if not ok:
            fault = "not found" if case.expect == "fires" else "found, must be silent"
            print(f"\n{case.rule}: {fault} ({case.confidence}): {case.mail} <{case.message_id}>")
            print(f"    {case.file}: {case.line_text.strip()}\n    {case.why}")
    broken = sum(1 for case, ok in results if case.expect == "silent" and case.confidence == "high" and not ok)
    due = [ok for case, ok in results if case.expect == "fires" and case.confidence == "high"]
    recall = sum(due) / len(due) if due else 1.0
    print(f"\nhigh confidence: {broken} that demand silence broken, {sum(due)} of {len(due)} found")
    sys.exit(1 if broken or recall < RECALL else 0)


if __name__ == "__main__":
    main()
