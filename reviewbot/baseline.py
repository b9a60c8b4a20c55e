# SPDX-License-Identifier: GPL-2.0-or-later
"""A file of findings that are known and not shown again, for people to read, compare and merge.

Belongs here: what such a file looks like, reading and writing it, and which of its entries nothing needs any more.
Does not belong here: hiding (`selection`, by `Baseline.known`). It reads and writes the one file that is named.

The first line is HEADER. Each further line is an entry: fingerprint, rule, path, message and the title of the patch,
with tabs between. Lines are sorted, so that two baselines merge like any text; the fingerprint has no line numbers in
it, so an entry outlives a reroll. Empty lines and lines that begin with # say nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from reviewbot.finding import Finding, Review
from reviewbot.model import ConfigError, InputError, NotFoundError
from reviewbot.selection import FOLDED, IGNORED

_NAME = "# reviewbot baseline"
HEADER = f"{_NAME} 1"
# 4 MiB are some 30,000 findings: nobody has judged more.
MAX_BYTES = 4 * 1024 * 1024
_FINGERPRINT = re.compile(r"[0-9a-f]{16,64}")
_COLUMNS = 5
_NO_FILE = "'{}' is no regular file: a baseline is one"


class Entry(NamedTuple):
    """A finding that is known. All but the fingerprint is for people, and for telling what became of it."""

    fingerprint: str
    rule: str
    path: str  # as `_plain` writes it; that of a finding in a mail's text is whatever its span says
    message: str
    patch: str  # title of the patch that it was found in

    def __str__(self) -> str:
        return f"{self.path}: {self.message} [{self.rule}] in '{self.patch}'"


class Baseline(NamedTuple):
    """What a file holds."""

    name: str  # of the file, as it was asked for
    entries: tuple[Entry, ...]

    @property
    def known(self) -> Mapping[str, str]:
        """By fingerprint, why a finding is not shown: fits `Selection.known`, and counts as ignored."""
        why = f"{_why()}'{self.name}'"
        return {entry.fingerprint: why for entry in self.entries}


def _why() -> str:
    return f"{IGNORED}: in baseline "


def read_baseline(name: str) -> Baseline:
    """The baseline in a file.

    Raises NotFoundError where there is no such file, and ConfigError, which names the line, for what is no baseline.
    """
    if os.path.exists(name) and not os.path.isfile(name):  # who opens a pipe waits, and a device may do anything
        raise ConfigError(_NO_FILE.format(name))
    try:
        with open(name, "rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise NotFoundError(f"cannot open '{name}': {error.strerror}: --write-baseline makes one") from error
    except OSError as error:
        raise ConfigError(f"cannot open '{name}': {error.strerror}") from error
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"'{name}' is too large for a baseline: {MAX_BYTES >> 20} MiB are allowed")
    try:
        lines = [line.removesuffix("\r") for line in raw.decode().split("\n")]
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot read '{name}': not UTF-8") from error
    _check_header(name, lines[0])
    entries = [
        _entry(name, number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")
    ]
    return Baseline(name, tuple(dict.fromkeys(entries)))


def _check_header(name: str, line: str) -> None:
    if line == HEADER:
        return
    if re.fullmatch(re.escape(_NAME) + r" [0-9]{1,9}", line):
        raise ConfigError(f"'{name}' line 1 is of version {line[len(_NAME) :].strip()}: this reviewbot reads version 1")
    raise ConfigError(f"'{name}' is no baseline: its first line is not '{HEADER}'")


def _entry(name: str, number: int, line: str) -> Entry:
    columns = line.split("\t")
    if line.startswith(("<<<<<<<", "=======", ">>>>>>>", "|||||||")):
        raise ConfigError(f"'{name}' line {number} is of a merge that is not done: keep the entries of both sides")
    if len(columns) != _COLUMNS or not _FINGERPRINT.fullmatch(columns[0]):
        raise ConfigError(
            f"'{name}' line {number} is no entry: fingerprint, rule, path, message and patch are expected"
        )
    return Entry(*columns)


def write_baseline(name: str, reviews: Iterable[Review]) -> int:
    """Write what the reviews show, and what the baseline in use hid, in a file's place; how many entries it has.

    Nothing else that the file held is kept: what was not found again is not known any more. The file is there as a
    whole or not at all. Raises InputError where it cannot be written, or is something else than a baseline.
    """
    entries = sorted({_entry_of(finding) for reviewed in reviews for finding in reviewed.findings if _counts(finding)})
    _check_place(name)
    text = "\n".join([HEADER, *("\t".join(entry) for entry in entries), ""])
    temporary = f"{name}.{os.getpid()}.tmp"
    try:
        # nothing that is there is written to, wherever it leads
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            with open(handle, "wb") as stream:
                stream.write(text.encode())
                stream.flush()
                os.fsync(handle)
            os.replace(temporary, name)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise InputError(f"cannot write '{name}': {error.strerror}") from error
    return len(entries)


def _counts(finding: Finding) -> bool:
    """It is shown, or would be without the baseline; so are the places that are told with a finding that is shown."""
    why = finding.why_not_shown or ""
    return finding.shown or why == FOLDED or why.startswith(_why())


def _entry_of(finding: Finding) -> Entry:
    texts = (finding.rule, finding.span.path, finding.message, finding.patch.subject.title)
    return Entry(finding.fingerprint, *(_plain(text) for text in texts))


def _plain(text: str) -> str:
    """The text in one line and column, and harmless on a terminal: a stranger wrote it."""
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(
        char if char.isprintable() and char != "\\" else char.encode("unicode_escape").decode() for char in text
    )


def _check_place(name: str) -> None:
    """Raises InputError where something else than a baseline would be lost: a source file, a device."""
    if os.path.islink(name):
        raise InputError(f"'{name}' is a symbolic link: name the file that is to be written")
    if not os.path.lexists(name):
        return
    if not os.path.isfile(name):
        raise InputError(_NO_FILE.format(name))
    try:
        with open(name, "rb") as stream:
            begin = stream.read(len(_NAME))
    except OSError as error:
        raise InputError(f"cannot open '{name}': {error.strerror}") from error
    if begin and begin != _NAME.encode():
        raise InputError(f"'{name}' is there and is no baseline: name another file, or remove it")


def unused(baseline: Baseline, reviews: Sequence[Review], rules: Collection[str] | None = None) -> tuple[Entry, ...]:
    """The entries that nothing needs any more: their patch was looked at, and what was known of it is gone.

    A finding is what a patch brought about, so another series says nothing of it, be it about the same file. An entry
    is judged where a patch of the same title was reviewed without a fault, and its rule was run: it is one of `rules`
    (None: of all that there are), and not among those that could not be decided. No other entry is called unused:
    neither that of a patch with a new title, nor that of a patch that is no more.
    """
    found = {finding.fingerprint for reviewed in reviews for finding in reviewed.findings}
    left = [entry for entry in baseline.entries if entry.fingerprint not in found]
    if not left:
        return ()
    titles: set[str] = set()
    undecided: set[str] = set()
    for reviewed in reviews:
        broken = {fault.patch for fault in reviewed.errors}
        if None not in broken:
            titles |= {_plain(patch.subject.title) for patch in reviewed.patches if patch.index not in broken}
        undecided |= {_plain(one.rule) for one in reviewed.not_run}
    return tuple(
        entry
        for entry in left
        if entry.patch in titles and entry.rule not in undecided and (rules is None or entry.rule in rules)
    )
