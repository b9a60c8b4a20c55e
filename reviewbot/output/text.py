# SPDX-License-Identifier: GPL-2.0-or-later
"""What the formats for people share: harmless text, columns on a screen, places, the summary line.

Belongs here: everything that two of the text formats need. Every piece of a mail goes through
`clean` before it is printed: a code line or a subject may hold terminal escapes or bidi overrides.
Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from reviewbot.finding import NO_TREE, NOT_APPLIED, Fault, Finding, Review, order
from reviewbot.model import Mail, Severity, Span, SpanKind
from reviewbot.selection import FOLDED, LOW_CONFIDENCE, SAID_BY, SEVERITY

TAB = 8

RESET = "\x1b[0m"
BOLD = "\x1b[1m"
BLUE = "\x1b[1;34m"
COLORS = {
    Severity.ERROR: "\x1b[1;31m",
    Severity.WARNING: "\x1b[1;35m",
    Severity.NOTE: "\x1b[1;36m",
    Severity.INFO: "\x1b[1;32m",
}


class Screen(NamedTuple):
    """What a text is printed on."""

    color: bool = False
    width: int | None = None  # columns; None: lines are not fitted to any width
    root: str | None = None  # absolute directory that paths are links into; None: no hyperlinks to files
    docs: str | None = None  # address of the rules' pages to link to; None: no hyperlinks to rules


PLAIN = Screen()


def harmless(char: str) -> bool:
    """The character shows itself and does nothing else: no control, format, bidi, surrogate or unassigned one."""
    return char.isprintable() or unicodedata.category(char) == "Zs"


def clean(text: str, *, tabs: bool = False) -> str:
    """The text with every character that is not `harmless` made visible: `^[` for ESC, `<U+202E>` for an override.

    `tabs` keeps tabs; nothing keeps a line end.
    """
    if text.isprintable():
        return text
    return "".join(char if harmless(char) or (tabs and char == "\t") else _visible(char) for char in text)


def _visible(char: str) -> str:
    code = ord(char)
    return f"^{chr(code ^ 64)}" if code < 32 or code == 127 else f"<U+{code:04X}>"


def advance(column: int, text: str) -> int:
    """The column, from 0, where the screen's cursor stands behind `text` when it begins at `column`."""
    for char in text:
        column += TAB - column % TAB if char == "\t" else _width(char)
    return column


def blank(text: str) -> str:
    """White space as wide as `text`: its tabs stay tabs, so that what follows stands below what followed `text`."""
    return "".join("\t" if char == "\t" else " " * _width(char) for char in text)


def _width(char: str) -> int:
    if char.isascii():
        return 1
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def place(span: Span, mail: Mail) -> str:
    """`path:line:column`; the mail takes the file's place for what lies in its text or headers."""
    path = clean(span.path)
    if span.kind is SpanKind.MESSAGE:
        path = clean(mail.name)
    elif span.kind is SpanKind.HEADER:
        path = f"{clean(mail.name)}:{path}"
    return f"{path}:{span.line}:{span.column}"


def fault_place(fault: Fault) -> str:
    """`<message-id>:line`, without the line where none is to blame."""
    return clean(fault.mail.name) + (f":{fault.message_line}" if fault.message_line else "")


def rule_failed(fault: Fault) -> bool:
    """A rule raised, where else it is the diff that cannot be read."""
    return fault.rule is not None


def sentence(finding: Finding) -> str:
    """The message, harmless, and that it does not hold to the end of the series."""
    resolved = "" if finding.resolved_by is None else f" (patch {finding.resolved_by} of the series resolves it)"
    return clean(finding.message) + resolved


def also_at(places: Iterable[Span]) -> str:
    """`mm/foo.c:40, 52; mm/bar.c:3`; '' for no places."""
    lines: dict[str, list[int]] = {}
    for span in places:
        lines.setdefault(clean(span.path), []).append(span.line)
    return "; ".join(f"{path}:{', '.join(map(str, dict.fromkeys(numbers)))}" for path, numbers in lines.items())


def entries(review: Review) -> list[Finding | Fault]:
    """What is printed, in reading order: by patch, then by line; what could not be read stands where it was met."""

    def key(entry: Finding | Fault) -> tuple[int, int, int, str]:
        return (entry.patch or 0, entry.message_line, 0, "") if isinstance(entry, Fault) else order(entry)

    return sorted([*review.errors, *review.shown], key=key)


def count(number: int, noun: str) -> str:
    """`1 patch`, `2 patches`, `3 info`."""
    if number == 1 or noun == Severity.INFO:
        return f"{number} {noun}"
    return f"{number} {noun}{'es' if noun.endswith('ch') else 's'}"


def counts(severities: Iterable[Severity]) -> str:
    """`1 error, 2 warnings`, worst first; '' for none."""
    numbers = Counter(severities)
    return ", ".join(count(numbers[severity], severity) for severity in Severity if numbers[severity])


def summary(review: Review) -> str:
    """One line: how many patches, what was found, what is not shown and why, what was not run."""
    seen = [*(Severity.ERROR for _ in review.errors), *(finding.severity for finding in review.shown)]
    line = f"{count(len(review.patches), 'patch')}, {counts(seen) or 'no findings'}"
    rest = ", ".join([*_hidden(review), *_not_run(review)])
    return f"{line}; {rest}" if rest else line


def _hidden(review: Review) -> Iterator[str]:
    """Groups of what selection holds back, by the reason that it gives; what another finding says is not counted."""
    severities: list[Severity] = []
    groups: Counter[str] = Counter()
    for finding in review.findings:
        # "ignored: " has the author's words behind it
        why = (finding.why_not_shown or "hidden").split(":")[0]
        if finding.shown or why == FOLDED or why.startswith(SAID_BY):
            continue
        if why == SEVERITY:
            severities.append(finding.severity)
        else:
            groups[why] += 1
    strict = [counts(severities)] if severities else []
    if low := groups.pop(LOW_CONFIDENCE, 0):
        strict.append(f"{low} of low confidence")
    if strict:
        yield f"{', '.join(strict)} hidden (--strict)"
    yield from (f"{number} {clean(why)}" for why, number in sorted(groups.items()))


def _not_run(review: Review) -> Iterator[str]:
    rules: dict[str, set[str]] = {}
    for entry in review.not_run:
        if entry.rule not in (NO_TREE, NOT_APPLIED):  # was said on stderr
            rules.setdefault(entry.why, set()).add(entry.rule)
    for why, names in rules.items():
        # "needs --tree" is said of one rule
        said = clean(why) if len(names) == 1 else re.sub(r"^needs\b", "need", clean(why))
        yield f"{count(len(names), 'rule')} not run ({said})"
