# SPDX-License-Identifier: GPL-2.0-or-later
"""What another tool prints -> Remarks.

Belongs here: the forms that tools print in (gcc's, checkpatch's, a diff, b4's JSON). Does not belong here: whether a
patch brought a remark about (`causes`), how the tool is run (`program`). What is read is not trusted: it is bounded,
and a line that is in no known form is left out. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from reviewbot.diff import read_diff
from reviewbot.model import Line, LineKind, Severity

# Characters of a message, as in engine: a name in it is a stranger's.
LONGEST = 500
# Characters of a line that are looked at; the rest cannot be a message for people.
_LINE = 2_000
# Characters of what stands for a kind of remark in a rule's name; checkpatch's longest is 36.
_KIND = 60


class Remark(NamedTuple):
    """One thing that a tool says. Lines and columns count from 1; 0 where the tool does not say."""

    path: str  # as the tool wrote it; '' where it names none
    line: int  # of the file; of the standard input where there is no path
    column: int  # as the tool counts it: in characters, or on the screen with tabs of eight
    severity: Severity
    kind: str  # of its own words for what it found: LINE_SPACING, unused-variable; '' where it has none
    message: str
    notes: tuple[tuple[str, int, str], ...] = ()  # further places: path, line, what is to be seen there
    preexisting: bool = False  # the tool itself says that it was there before
    text: str = ""  # the line itself, where the tool prints that instead of its number
    characters: bool = False  # the column certainly counts characters
    suggestion: str | None = None  # the line(s) to put in the line's place


class Said(NamedTuple):
    """Everything that a tool printed."""

    remarks: tuple[Remark, ...]
    unread: str = ""  # the first line that is in no known form, '' where there is none


# what a terminal would make colours of
_ESCAPE = re.compile(r"\x1b\[[0-9;]{0,20}[A-Za-z]")

# mm/gup.c:31:2: warning: text [-Wfoo]; the column may be missing; a path has no colon, as no file of the kernel has
_GCC = re.compile(
    r"(?P<path>[^\s:][^:]{0,1000}):(?P<line>[0-9]{1,9}):(?:(?P<column>[0-9]{1,6}):)? +"
    r"(?P<severity>fatal error|error|warning|note|info): (?P<text>.*)"
)
# mm/gup.c:31:2-9: WARNING: text, as spatch's coccilib.report prints it: columns from 0
_SPATCH = re.compile(
    r"(?P<path>[^\s:][^:]{0,1000}):(?P<line>[0-9]{1,9}):(?P<column>[0-9]{1,6})-[0-9]{1,6}:(?P<text> ?.*)"
)
# * TODO [[view:mm/gup.c::face=ovl-face1::linb=31::colb=2::cole=9][text]], as its coccilib.org does
_ORG = re.compile(
    r"\*{1,9} \w{1,20} \[\[view:(?P<path>[^\s:][^:]{0,1000})::face=[^:]{1,40}::linb=(?P<line>[0-9]{1,9})"
    r"::colb=(?P<column>[0-9]{1,6})::cole=[0-9]{1,6}\]\[(?P<text>.*)\]\]"
)
# mm/gup.c:31 walk() warn: text, as smatch prints it
_SMATCH = re.compile(
    r"(?P<path>[^\s:][^:]{0,1000}):(?P<line>[0-9]{1,9}) \w{1,100}\(\) (?P<severity>error|warn|info): (?P<text>.*)"
)
# mm/gup.c:31:2:    expected int *q: sparse goes on with its last warning
_MORE = re.compile(r"(?P<place>[^\s:][^:]{0,1000}:[0-9]{1,9}:[0-9]{1,6}): {2,}(?P<text>\S.*)")
_FLAG = re.compile(r" \[(?:-W)?(?:error[=,]-?W?)?([A-Za-z][\w.=+,-]{1,80})\]$")
_LEVEL = re.compile(r"(ERROR|WARNING|CHECK|INFO)\b:? *")
_SEVERITIES = {
    "fatal error": Severity.ERROR,
    "error": Severity.ERROR,
    "warning": Severity.WARNING,
    "warn": Severity.WARNING,
    "check": Severity.NOTE,
    "note": Severity.NOTE,
    "info": Severity.INFO,
}


def read(reads: str, out: bytes, err: bytes) -> Said:
    """What a tool printed, in the form that the configuration says. Raises ValueError where b4's JSON is none."""
    if reads == "b4":
        return Said(tuple(_b4(out)))
    text = _lines(out)
    if reads == "checkpatch":
        return _checkpatch(text)
    if reads == "diff":
        return Said(tuple(_diff(text)), next((line for line in [*text, *_lines(err)] if line), ""))
    # gcc and sparse complain on standard error, spatch on standard output
    return _gcc([*text, *_lines(err)])


def _lines(printed: bytes) -> list[str]:
    text = printed.decode("utf-8", "replace")
    return [_ESCAPE.sub("", line[:_LINE]).rstrip() for line in text.split("\n")]


def _word(kind: str) -> str:
    """A piece of a rule's name: what may stand in an ignore line."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", kind[:_KIND]).strip("-")


# -- gcc and those who print like it -----------------------------------------------------------------


def _gcc(lines: Sequence[str]) -> Said:
    remarks: list[Remark] = []
    unread, last = "", ""
    for line in lines:
        if remarks and (more := _MORE.fullmatch(line)) and more["place"] == last:
            joint = ", " if ": expected " in remarks[-1].message else ": "
            remarks[-1] = remarks[-1]._replace(message=(remarks[-1].message + joint + more["text"])[:LONGEST])
        elif match := _GCC.fullmatch(line):
            last = line[: match.start("severity")].rstrip(" :")
            remark = _gcc_remark(match)
            if match["severity"] == "note" and remarks:
                # gcc's notes say more of what comes before them
                note = (remark.path, remark.line, remark.message)
                remarks[-1] = remarks[-1]._replace(notes=(*remarks[-1].notes, note)[:20])
            else:
                remarks.append(remark)
        elif match := _SPATCH.fullmatch(line) or _ORG.fullmatch(line):
            remarks.append(_spatch_remark(match))
        elif match := _SMATCH.fullmatch(line):
            severity = _SEVERITIES[match["severity"]]
            remarks.append(Remark(match["path"], int(match["line"]), 0, severity, "", match["text"][:LONGEST]))
        elif line and not unread:
            unread = line
    return Said(tuple(remarks), unread)


def _gcc_remark(match: re.Match[str]) -> Remark:
    text, kind = match["text"], ""
    if flag := _FLAG.search(text[-200:]):
        text, kind = text[: -len(flag[0])], flag[1]
    return Remark(
        match["path"],
        int(match["line"]),
        int(match["column"] or 0),
        _SEVERITIES[match["severity"]],
        _word(kind),
        text.strip()[:LONGEST],
    )


def _spatch_remark(match: re.Match[str]) -> Remark:
    text = match["text"].strip()
    severity = Severity.WARNING
    if level := _LEVEL.match(text):
        severity = _SEVERITIES[level[1].lower()]
        text = text[level.end() :]
    line, column = int(match["line"]), int(match["column"]) + 1
    return Remark(match["path"], line, column, severity, "", text[:LONGEST], characters=True)


# -- checkpatch --------------------------------------------------------------------------------------

# "-:7: WARNING:TYPE: text" (--terse), "mm/gup.c:31: ..." (--showfile), ":2: ..." (--showfile, above the diff)
_TERSE = re.compile(
    r"(?P<path>[^\s:][^:]{0,1000}|):(?P<line>[0-9]{1,9}): (?P<severity>ERROR|WARNING|CHECK):"
    r"(?:(?P<kind>[A-Z][A-Z0-9_]{1,59}):)? (?P<text>.*)"
)
# the same over several lines: "WARNING:TYPE: text" and then "#19: FILE: mm/gup.c:31:"
_LONG = re.compile(r"(?P<severity>ERROR|WARNING|CHECK):(?:(?P<kind>[A-Z][A-Z0-9_]{1,59}):)? (?P<text>.*)")
_AT = re.compile(r"#([0-9]{1,9}): ?(?:FILE: .*)?")


def _checkpatch(lines: Sequence[str]) -> Said:
    remarks: list[Remark] = []
    unread, before = "", False  # the line before began a remark
    for line in lines:
        match = _TERSE.fullmatch(line) or _LONG.fullmatch(line)
        if match:
            named = match.groupdict()
            path = named.get("path") or ""
            # a file above the diff is none: its number counts no line of anything
            number = int(named.get("line") or 0) if named.get("path") else 0
            severity = _SEVERITIES[match["severity"].lower()]
            kind, text = match["kind"] or "", match["text"].strip()[:LONGEST]
            remarks.append(Remark("" if path == "-" else path, number, 0, severity, kind, text))
        elif before and (at := _AT.fullmatch(line)) and not remarks[-1].line:
            remarks[-1] = remarks[-1]._replace(line=int(at[1]))
        elif line and not before and not unread:
            unread = line
        before = match is not None or (before and bool(line))
    return Said(tuple(remarks), unread)


# -- a diff ------------------------------------------------------------------------------------------

_OLD_FILE = re.compile(r"--- (?:a/)?([^\s/][^\t]{0,1000}?)(?:\t.*)?")


def _diff(lines: Sequence[str]) -> Iterator[Remark]:
    """What a tool would make of the files: spatch in patch mode, clang-format. Each change is a remark."""
    named = list(lines)
    for number, (old, new) in enumerate(pairwise(lines)):
        # spatch names a temporary file as the new one
        if new.startswith("+++ ") and (match := _OLD_FILE.fullmatch(old)):
            named[number : number + 2] = [f"--- a/{match[1]}", f"+++ b/{match[1]}"]
    for diff in read_diff(named)[0]:
        for hunk in diff.hunks:
            before = hunk.old_start
            for kept, group in groupby(hunk.lines, key=lambda line: line.kind is LineKind.CONTEXT):
                changed = list(group)
                if not kept:
                    yield _change(diff.path, changed, before)
                before = next((line.old for line in reversed(changed) if line.old is not None), before)


def _change(path: str, changed: Sequence[Line], before: int) -> Remark:
    """A run of removed and added lines; `before` is the line that comes before it."""
    removed = [line for line in changed if line.kind is LineKind.REMOVED]
    added = [line.text for line in changed if line.kind is LineKind.ADDED]
    first = next((text.strip() for text in added if text.strip()), "")
    if not removed:
        return Remark(path, before, 0, Severity.WARNING, "", f"would be followed by '{first}'"[:LONGEST])
    message = f"would become '{first}'" if added else "would be removed"
    # in place of several lines nothing can be suggested: only one is pointed at
    suggestion = "\n".join(added) if added and len(removed) == 1 else None
    return Remark(path, removed[0].old or 1, 0, Severity.WARNING, "", message[:LONGEST], suggestion=suggestion)


# -- b4's JSON ---------------------------------------------------------------------------------------

_STATUS = {"fail": Severity.ERROR, "warn": Severity.WARNING, "pass": Severity.INFO}
_PREEXISTING = "(pre-existing)"
# "-:7: ", "mm/gup.c:31: ", "mm/gup.c:31:2: warning: " before what is said
_PLACE = re.compile(r"(?P<path>[^\s:][^:]{0,1000}):(?P<line>[0-9]{1,9}):(?:(?P<column>[0-9]{1,6}):)? +(?P<text>.+)")
_NUMBERED = re.compile(r"(?P<line>[0-9]{1,9}): +(?P<text>.+)")


def _b4(out: bytes) -> Iterator[Remark]:
    """As `b4 review` reads it (review/checks.py): a list, or one object; a status that it does not know is `fail`."""
    import json

    if not out.strip():
        return
    try:
        data = json.loads(out)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    for entry in data if isinstance(data, list) else [data]:
        if not isinstance(entry, dict):
            raise ValueError("not a list of objects")
        yield from _entry(entry)


def _text(entry: dict[str, object], key: str) -> str:
    value = entry.get(key)
    return " ".join(value[:_LINE].split()) if isinstance(value, str) else ""


def _entry(entry: dict[str, object]) -> Iterator[Remark]:
    import json

    details = entry.get("details")
    found: list[Remark] = []
    if isinstance(details, str):
        try:
            items = json.loads(details)
        except (ValueError, RecursionError):
            items = None
        if isinstance(items, list):
            found = [remark for item in items if isinstance(item, dict) for remark in _item(item)]
        else:
            lines = _lines(details.encode("utf-8", "replace"))
            found = [*_gcc(lines).remarks] or [*_checkpatch(lines).remarks]
    if not found and entry.get("status") != "pass":
        severity = _STATUS.get(str(entry.get("status")), Severity.ERROR)
        message = _text(entry, "summary") or "fails"
        first = next((line for line in str(details or "")[:_LINE].split("\n") if line.strip()), "")
        if first and not first.lstrip().startswith(("[", "{")):
            message = f"{message}: {' '.join(first.split())}"
        found = [Remark("", 0, 0, severity, "", message[:LONGEST])]
    url = _text(entry, "url")
    for remark in found:
        yield remark._replace(message=f"{remark.message} ({url})"[:LONGEST]) if url else remark


def _item(item: dict[str, object]) -> Iterator[Remark]:
    """One finding of details that are JSON; what passes is none, unless it says that it was there before."""
    status, said = item.get("status"), _text(item, "description")
    preexisting = said.startswith(_PREEXISTING)
    if not said or (status == "pass" and not preexisting):
        return
    said = said.removeprefix(_PREEXISTING).strip()
    path, line, column = "", 0, 0
    if match := _NUMBERED.fullmatch(said):
        line, said = int(match["line"]), match["text"]
    elif match := _PLACE.fullmatch(said):
        path, line, column, said = match["path"], int(match["line"]), int(match["column"] or 0), match["text"]
    severity = Severity.WARNING if preexisting else _STATUS.get(str(status), Severity.ERROR)
    kind = _word(_text(item, "context"))
    if level := _LONG.fullmatch(said):
        said, kind = level["text"], level["kind"] or kind
    else:
        said = re.sub(r"^(?:fatal error|error|warning|note|info): ", "", said)
    yield Remark(
        "" if path == "-" else path,
        line,
        column,
        severity,
        kind,
        said[:LONGEST],
        (),
        preexisting,
        _text(item, "srcline"),
    )
