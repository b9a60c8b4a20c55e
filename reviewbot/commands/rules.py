# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot rules`: the table of rules, or of a family's, or one rule's page with its evidence.

Belongs here: how they look on a terminal (through rich, which nothing else needs), where output is piped (a line a
rule; the page's Markdown as it is), and as JSON. Does not belong here: where rules come from (`registry`).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from reviewbot import registry
from reviewbot.commands.screen import make_screen, paged
from reviewbot.config import Config
from reviewbot.model import Confidence, Severity
from reviewbot.output.text import Screen, clean, count
from reviewbot.registry import Evidence
from reviewbot.rule import Rule

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.markdown import Markdown

# as output/full has them
_STYLES = {
    Severity.ERROR: "bold red",
    Severity.WARNING: "bold magenta",
    Severity.NOTE: "bold cyan",
    Severity.INFO: "bold green",
}
_NARROWEST = 40  # columns; a narrower terminal folds
_SIDE_BY_SIDE = 100  # columns; below, what a rule says stands in a line of its own
_WIDEST = 120  # longer lines are hard to read


def run(args: argparse.Namespace, config: Config) -> int:
    """The process's exit code."""
    # a family has a table, too
    rules = [rule for rule in registry.load(config.rules) if args.name in (None, _family(rule))]
    page = not rules
    rules = rules or [registry.find(args.name, config.rules)]
    if args.format == "json":
        evidence = registry.evidence(config.rules)
        text = json.dumps([_record(rule, evidence.get(rule.name, ())) for rule in rules], indent=1, ensure_ascii=False)
        sys.stdout.write(text + "\n")
        return 0
    screen = make_screen(args, config)
    with paged(args):
        if screen.width is None:
            sys.stdout.write(_page(rules[0], config) if page else _lines(rules))
        elif page:
            sys.stdout.write(_draw([_markdown(_page(rules[0], config))], screen))
        else:
            sys.stdout.write(_draw(_tables(rules, screen.width), screen))
    return 0


def markdown_table() -> str:
    """The README's table of rules: those that come with the program."""
    rules = [rule for rule in registry.load() if registry.origin(rule) == registry.PACKAGED]
    lines = ["| id | rule | severity | confidence | says |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| {r.id} | `{r.name}` | {r.severity} | {r.confidence} | {r.summary} |" for r in rules]
    return "\n".join(lines) + "\n"


def _family(rule: Rule) -> str:
    return rule.name.split("/")[0]


def _version(version: tuple[int, int] | None) -> str | None:
    return f"v{version[0]}.{version[1]}" if version else None


def _record(rule: Rule, evidence: tuple[Evidence, ...]) -> dict[str, Any]:
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
        "fix": rule.fix,
        "origin": registry.origin(rule),
    }


def _lines(rules: Sequence[Rule]) -> str:
    """A line a rule, for programs: id, name, severity, confidence, and what it says."""
    width = max(len(rule.name) for rule in rules)
    return "".join(
        clean(f"{rule.id:5} {rule.name:{width}}  {rule.severity:8} {rule.confidence:5} {rule.summary}") + "\n"
        for rule in rules
    )


def _page(rule: Rule, config: Config) -> str:
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
        clean(f"{e.where}: {e.hits} hits, {e.right} right, {e.wrong} wrong" + (f" ({e.note})" if e.note else ""))
        for e in registry.evidence(config.rules).get(rule.name, ())
    ]
    return "\n".join(lines) + "\n"


# -- on a terminal ------------------------------------------------------------------------------------------------


def _draw(things: Iterable[RenderableType], screen: Screen) -> str:
    """As text with the screen's colours, in its width."""
    import io

    console = _console(io.StringIO(), screen)
    for thing in things:
        console.print(thing)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.rstrip().split("\n")) + "\n"


def _console(stream: Any, screen: Screen) -> Console:
    from rich.console import Console
    from rich.theme import Theme

    plain = {"markdown.code": "cyan", "markdown.h1": "bold", "markdown.h2": "bold", "markdown.item.bullet": "none"}
    return Console(
        file=stream,
        width=max(_NARROWEST, min(_WIDEST, screen.width or _WIDEST)),
        color_system="standard" if screen.color else None,
        force_terminal=screen.color,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
        theme=Theme(plain),
        _environ={},  # it has been decided already what the terminal is
    )


def _tables(rules: Sequence[Rule], screen_width: int) -> Iterable[RenderableType]:
    """A family's name, and below it its rules; at the end how many there are."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    ids = max(len(rule.id) for rule in rules)
    names = max(len(rule.name) - len(_family(rule)) - 1 for rule in rules)
    narrow = screen_width < _SIDE_BY_SIDE
    # of the columns the names' alone gives way; there are two blanks behind each
    fixed = (1, ids, 7, 4, 4)
    names = min(names, 32, max(_NARROWEST, screen_width) - sum(fixed) - 2 * (len(fixed) + 1))

    def row(rule: Rule) -> Table:
        table = Table.grid(padding=(0, 2, 0, 0))
        for width in (1, ids, names, 7, 4, 4):
            table.add_column(width=width, overflow="fold")
        table.add_column(ratio=1)
        table.add_row(
            "",
            Text(clean(rule.id)),
            Text(clean(rule.name.partition("/")[2])),
            Text(rule.severity, style=_STYLES[rule.severity]),
            Text(rule.confidence, style="dim" if rule.confidence is Confidence.LOW else ""),
            Text(clean(rule.needs)),
            Text("" if narrow else clean(rule.summary)),
        )
        return table

    for family, members in groupby(rules, _family):
        yield Text(clean(family), style="bold")
        for rule in members:
            yield row(rule)
            if narrow:
                yield Padding(Text(clean(rule.summary)), (0, 0, 0, 5 + ids))
        yield Text()
    low = sum(rule.confidence is Confidence.LOW for rule in rules)
    yield Text(
        f"{count(len(rules), 'rule')}, {low} of low confidence (--strict shows what they find); "
        "reviewbot rules NAME has more"
    )


def _markdown(text: str) -> Markdown:
    """A page for `_draw`: headings stand left, and a block of code keeps its lines, its tabs, and a diff's colours."""
    from rich.console import ConsoleOptions, RenderResult
    from rich.markdown import CodeBlock, Heading, Markdown
    from rich.padding import Padding
    from rich.text import Text

    class Title(Heading):
        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            yield self.text.copy()

    class Block(CodeBlock):
        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            for line in str(self.text).rstrip("\n").split("\n"):
                style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "") if self.lexer_name == "diff" else ""
                code, mark, severity = line.rpartition("// ")
                shown = Text(style=style, tab_size=8, overflow="fold", no_wrap=False)
                if mark and severity in _STYLES:
                    shown.append(code)
                    shown.append(mark + severity, style=_STYLES[Severity(severity)])
                else:
                    shown.append(line)
                shown.expand_tabs(8)
                yield Padding(shown, (0, 0, 0, 4))

    class Page(Markdown):
        elements = {**Markdown.elements, "heading_open": Title, "fence": Block, "code_block": Block}  # noqa: RUF012

    return Page(text, hyperlinks=False)
