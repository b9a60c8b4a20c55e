# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot rules`: the table of rules, or of a family's, or one rule's page with its evidence."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from reviewbot import registry
from reviewbot.config import Config
from reviewbot.output.text import clean
from reviewbot.registry import Evidence
from reviewbot.rule import CodeRule


def run(args: argparse.Namespace, config: Config) -> int:  # noqa: ARG001 - every command is called alike
    """The process's exit code."""
    # a family has a table, too
    rules = [rule for rule in registry.load() if args.name in (None, rule.name.split("/")[0])]
    page = not rules
    rules = rules or [registry.find(args.name)]
    if args.format == "json":
        evidence = registry.evidence()
        text = json.dumps([_record(rule, evidence.get(rule.name, ())) for rule in rules], indent=1, ensure_ascii=False)
        sys.stdout.write(text + "\n")
    elif page:
        sys.stdout.write(_page(rules[0]))
    else:
        width = max(len(rule.name) for rule in rules)
        for rule in rules:
            sys.stdout.write(f"{rule.id:5} {rule.name:{width}}  {rule.severity:8} {rule.confidence:5} {rule.summary}\n")
    return 0


def markdown_table() -> str:
    """The README's table of rules."""
    lines = ["| id | rule | severity | confidence | says |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| {r.id} | `{r.name}` | {r.severity} | {r.confidence} | {r.summary} |" for r in registry.load()]
    return "\n".join(lines) + "\n"


def _version(version: tuple[int, int] | None) -> str | None:
    return f"v{version[0]}.{version[1]}" if version else None


def _record(rule: CodeRule, evidence: tuple[Evidence, ...]) -> dict[str, Any]:
    return {
        "name": rule.name,
        "id": rule.id,
        "severity": rule.severity,
        "confidence": rule.confidence,
        "needs": rule.needs,
        "since": _version(rule.since),
        "until": _version(rule.until),
        "summary": rule.summary,
        "evidence": [{"where": e.where, "hits": e.hits, "right": e.right, "wrong": e.wrong} for e in evidence],
    }


def _page(rule: CodeRule) -> str:
    page = "\n".join(clean(line, tabs=True) for line in registry.page(rule).split("\n"))
    holds = [
        text
        for text in (rule.since and f"from {_version(rule.since)} on", rule.until and f"until {_version(rule.until)}")
        if text
    ]
    lines = [
        page.rstrip("\n"),
        "",
        "## evidence",
        f"{rule.id}, {rule.severity}, confidence {rule.confidence}" + "".join(f", {h}" for h in holds),
    ]
    lines += [
        f"{e.where}: {e.hits} hits, {e.right} right, {e.wrong} wrong" + (f" ({e.note})" if e.note else "")
        for e in registry.evidence().get(rule.name, ())
    ]
    return "\n".join(lines) + "\n"
