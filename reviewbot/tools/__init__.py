# SPDX-License-Identifier: GPL-2.0-or-later
"""Findings of other tools: checkpatch, spatch, sparse, whatever prints as gcc or as b4's check commands do.

Belongs here: which tools run on what, and that one which fails costs only its own findings. Does not belong here: what
they print (`remarks`), how they are run (`program`), files for them (`checkout`), what a patch has caused (`causes`).
A command comes from the person's own configuration; what it prints and the commits that it reads are not trusted.
"""

from __future__ import annotations

import os
import re
import shlex
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain
from typing import NamedTuple

from reviewbot.config import ToolConfig
from reviewbot.finding import Finding, NotRun
from reviewbot.model import InputError, Mail, Patch, ReviewbotError, Series
from reviewbot.selection import matches
from reviewbot.tools.causes import Placed, Places, compared, in_file, judged
from reviewbot.tools.checkout import Checkout, CheckoutError, ToolTree
from reviewbot.tools.program import failed, run
from reviewbot.tools.remarks import Remark, read
from reviewbot.tools.signals import cleaned_up

# Findings of one tool, new ones and old ones each: as engine, nobody reads more.
MOST = 1_000

# The names of files that are put into a command. A name with a quote, a blank or an = could be more than a name to a
# shell or to make; no source file of Linux has one.
_PLAIN = re.compile(r"[A-Za-z0-9_.,+@/-]{1,1000}")
# What a mail ends with: git's own signature, so that no tool takes the end of the mail for the end of the diff.
_SIGNATURE = ("-- ", "reviewbot", "")


class ToolRun(NamedTuple):
    """What the tools gave."""

    findings: tuple[Finding, ...]  # those that were there before are marked; nothing is selected
    not_run: tuple[NotRun, ...]  # by the tool's name

    def wanted(self, select: Sequence[str], ignore: Sequence[str]) -> ToolRun:
        """Without the rules that are ignored or, of a tool that is selected by rules, those that are not.

        As with our own rules: what is not wanted is not there, and not merely hidden.
        """
        chosen = {word.partition("/")[0] for word in select}
        return self._replace(
            findings=tuple(
                finding
                for finding in self.findings
                if not matches(ignore, finding.rule)
                and (finding.rule.partition("/")[0] not in chosen or matches(select, finding.rule))
            )
        )


def choose_tools(
    tools: Mapping[str, ToolConfig], named: Sequence[str] = (), select: Sequence[str] = (), ignore: Sequence[str] = ()
) -> dict[str, ToolConfig]:
    """The tools that are to run: those for every check, unless they are ignored or others are selected; those `named`.

    Raises InputError for a name that is not configured.
    """
    for name in named:
        if name not in tools:
            from difflib import get_close_matches

            near = get_close_matches(name, tools, 1, 0.5)
            hint = f", did you mean '{near[0]}'?" if near else f": there is no [tool.{name}] in the configuration"
            raise InputError(f"no tool is named '{name}'{hint}")
    families = {word.partition("/")[0] for word in select}
    return {
        name: tool
        for name, tool in tools.items()
        if name in named or (tool.always and name not in ignore and (not families or name in families))
    }


def run_tools(
    tools: Mapping[str, ToolConfig],
    series: Series,
    source: ToolTree | None,
    *,
    told: Callable[[str], None],
    only: Sequence[int] = (),
) -> ToolRun:
    """Run each tool on a series. `source` is the repository that it is in, None where there is none.

    `only` are the numbers of the patches to look at, () for all. What goes wrong with a tool is told in one line (a
    warning, without that word) and is in the result; the others run all the same.
    """
    findings: list[Finding] = []
    not_run: list[NotRun] = []
    for name, tool in tools.items():
        job = _Job(name, tool, series, source, tuple(only))
        taken = Counter[bool]()
        try:
            with cleaned_up(), closing(job.findings()) as found:
                for finding in found:
                    taken[finding.preexisting] += 1
                    if taken[finding.preexisting] <= MOST:
                        findings.append(finding)
                    elif not finding.preexisting:
                        job.whys.append(f"stopped after {MOST} findings")
                        break
        except ReviewbotError as error:
            job.whys.append(str(error))
        except OSError as error:
            job.whys.append(f"cannot make its files: {error.strerror or error}")
        whys = tuple(dict.fromkeys(job.whys))
        if whys:
            more = f" (and {len(whys) - 1} more)" if len(whys) > 1 else ""
            told(f"tool '{name}': {whys[0]}{more}")
        not_run += [NotRun(name, why) for why in whys]
    return ToolRun(tuple(findings), tuple(not_run))


_Findings = Generator[Finding, None, None]  # to be closed: a checkout is open in between


class _GivenUpError(ReviewbotError):
    """The tool will not do better on the next patch."""


class _Job:
    """One tool on one series."""

    def __init__(
        self, name: str, tool: ToolConfig, series: Series, source: ToolTree | None, only: tuple[int, ...]
    ) -> None:
        self.name = name
        self.tool = tool
        self.series = series
        self.source = source
        self.patches = [patch for patch in series.patches if not only or patch.index in only]
        self.whys: list[str] = []

    def findings(self) -> _Findings:
        """All of them, those that were there before marked. Raises _GivenUpError, GitError."""
        words = _words(self.tool.command)
        ways = {"patch": self._on_patches, "files": self._on_files, "series": self._on_series}
        return ways[self.tool.on](words)

    def _where(self, patch: Patch | None) -> str:
        count = self.series.expected
        return f" on patch {patch.index}/{count}" if patch and count > 1 else ""

    def _top(self) -> str:
        if self.source is None or self.source.top is None:
            raise _GivenUpError("needs a work tree")
        return self.source.top

    # -- what the tool says of a patch -------------------------------------------------------------

    def _on_patches(self, words: Sequence[str]) -> _Findings:
        yield from judged(self.name, self._said_of_patches(words), self.series)

    def _said_of_patches(self, words: Sequence[str]) -> Iterator[Placed]:
        top = self._top()
        command = _command(words, top, ())
        for patch in self.patches:
            given, head = mail_bytes(patch.mail)
            remarks = self._run(command, top, given, patch)
            places = Places(patch)
            for remark in (remarks or ())[: MOST + 1]:
                if placed := self._place(remark, places, head, top):
                    yield placed

    def _on_series(self, words: Sequence[str]) -> _Findings:
        """The cover letter or the first patch on standard input, as b4 has it."""
        top = self._top()
        if not self.series.patches:
            return
        first = self.series.patches[0]
        cover = self.series.cover
        given, head = mail_bytes(cover.mail if cover else first.mail)
        remarks = self._run(_command(words, top, ()), top, given, None)
        every = [Places(patch) for patch in self.series.patches]
        found: list[Placed] = []
        for remark in (remarks or ())[: MOST + 1]:
            path = _inside(remark.path, top)
            # the patch that has a line last is the one that brought it
            with_line = next((p for p in reversed(every) if path and (path, remark.line) in p.by_file), None)
            with_text = next((p for p in every if remark.text and p.by_text(remark.text)), None)
            if cover and not (with_line or with_text):
                found.append(every[0].subject(remark))
            elif placed := self._place(remark, with_line or with_text or every[0], head, top):
                found.append(placed)
        yield from judged(self.name, found, self.series)

    def _place(self, remark: Remark, places: Places, head: int, top: str) -> Placed | None:
        """Where a remark lies; None for a file that is none of the tree's."""
        path = _inside(remark.path, top) if remark.path else ""
        if remark.text and (at := places.by_text(remark.text)):
            return places.in_mail(remark, at) if isinstance(at, int) else places.in_hunk(remark, at)
        if not remark.path and remark.line:
            return places.in_mail(remark, remark.line - head)
        if not remark.path or remark.path.startswith("<"):  # the mail, by its Message-ID
            return places.subject(remark)
        if path is None:
            return None
        if at := places.by_file.get((path, remark.line)):
            return places.in_hunk(remark, at)
        # checkpatch counts on where a file's diff has no line: what it says there is of the patch
        return places.subject(remark)

    # -- what the tool says of files, before and after -----------------------------------------------

    def _on_files(self, words: Sequence[str]) -> _Findings:
        source = self.source
        if source is None or not any(patch.commit for patch in self.patches):
            raise _GivenUpError("needs commits: their files are what it is run on")
        each = any("{file}" in word for word in words)
        wants = each or any("{files}" in word for word in words)
        last: tuple[str, tuple[str, ...], list[_Line] | None] | None = None
        with Checkout(source) as checkout:
            for patch in self.patches:
                if patch.commit is None:
                    continue
                new = self._names(patch, [diff.new_path for diff in patch.files if not diff.binary])
                old = self._names(patch, [diff.old_path for diff in patch.files if not diff.binary])
                if not new and not old:
                    continue
                sides: list[list[_Line] | None] = []
                for commit, names in ((_parent(source, patch.commit), old), (patch.commit, new)):
                    if commit is None or (wants and not names):
                        sides.append([])
                        continue
                    # two patches to the same files have one state between them
                    if last is None or last[:2] != (commit, names) or self.tool.checkout == "tree":
                        runs = [(name,) for name in names] if each else [names]
                        last = (commit, names, self._side(checkout, words, patch, commit, names, runs))
                    sides.append(last[2])
                before, after = sides
                if before is None or after is None:
                    continue  # with one side alone, nothing can be said
                places = Places(patch)
                yield from compared(
                    self.name,
                    [line.placed(places) for line in after],
                    [line.placed(places) for line in before],
                )

    def _names(self, patch: Patch, paths: Sequence[str | None]) -> tuple[str, ...]:
        """The files of a patch that the tool is for."""
        suffixes = tuple(self.tool.suffixes)
        wanted = [path for path in paths if path and (not suffixes or path.endswith(suffixes))]
        plain = [path for path in wanted if _PLAIN.fullmatch(path)]
        if len(plain) < len(wanted):
            odd = next(path for path in wanted if not _PLAIN.fullmatch(path))
            self.whys.append(f"not run on '{odd}'{self._where(patch)}: a name that no command is given")
        return tuple(dict.fromkeys(plain))

    def _side(
        self,
        checkout: Checkout,
        words: Sequence[str],
        patch: Patch,
        commit: str,
        names: tuple[str, ...],
        runs: Sequence[tuple[str, ...]],
    ) -> list[_Line] | None:
        """What is said of a commit's files; None where the tool failed, which is noted."""
        assert self.source
        try:
            if self.tool.checkout == "tree":
                checkout.put_tree(commit)
                # what is built already says nothing: both sides are to say all that depends on the patch's files
                checkout.touch(path for diff in patch.files for path in (diff.old_path, diff.new_path) if path)
            else:
                checkout.put_files(commit, names)
        except CheckoutError as error:
            self.whys.append(f"{error}{self._where(patch)}")
            return None
        found: dict[Remark, None] = {}  # each once: a header that several files include is complained of for each
        for some in runs:
            remarks = self._run(_command(words, self.source.top, some), checkout.directory, b"", patch)
            if remarks is None:
                return None
            below = (_below(remark, checkout.directory) for remark in remarks)
            found.update((remark, None) for remark in below if remark)
        texts = _Texts(self.source, commit)
        return [_Line(remark, texts) for remark in found if not remark.path or texts.get(remark.path)]

    def _run(self, command: Sequence[str], cwd: str, given: bytes, patch: Patch | None) -> Sequence[Remark] | None:
        """What the tool says; None where it failed, which is noted. Raises _GivenUpError."""
        done = run(command, cwd, given, self.tool.timeout.total_seconds())
        why, unread, remarks = done.why, "", tuple[Remark, ...]()
        if why is None:
            try:
                remarks, unread = read(self.tool.reads, done.out, done.err)
            except ValueError as error:
                why = f"prints no JSON that b4 would read: {error}"
        if why is None and done.code and not remarks:
            why = failed(done, unread)
        if why is None:
            return remarks
        if done.final:
            raise _GivenUpError(f"{why}{self._where(patch)}")
        self.whys.append(f"{why}{self._where(patch)}")
        return None


class _Texts:
    """The lines of a commit's files."""

    def __init__(self, source: ToolTree, commit: str) -> None:
        self._source = source
        self._commit = commit
        self._known: dict[str, list[str]] = {}

    def get(self, path: str) -> list[str]:
        """[] for what is no file of the commit."""
        if path not in self._known:
            data = self._source.read(self._commit, path) if path else None
            self._known[path] = data.decode("utf-8", "replace").split("\n") if data is not None else []
        return self._known[path]


class _Line(NamedTuple):
    """A remark with the files that it speaks of: the checkout is another's when it is looked at."""

    remark: Remark
    texts: _Texts

    def placed(self, places: Places) -> Placed:
        """As a remark about a patch."""
        if not self.remark.path:
            return places.subject(self.remark)
        notes = {path: self.texts.get(path) for path, _, _ in self.remark.notes}
        return in_file(self.remark, places, self.remark.path, self.texts.get(self.remark.path), notes)


def _parent(source: ToolTree, commit: str) -> str | None:
    """The commit before; None where there is none."""
    code, out, _ = source.git("rev-parse", "--verify", "--quiet", f"{commit}^")
    return out.decode("ascii", "replace").strip() if code == 0 else None


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise _GivenUpError(f"cannot read its command: {str(error).lower()}") from None
    if not words:
        raise _GivenUpError("has no command")
    return [os.path.expanduser(word) if word.startswith("~/") else word for word in words]


def _command(words: Sequence[str], top: str | None, files: Sequence[str]) -> list[str]:
    """The command with its placeholders filled in; a program that is named with a directory is the work tree's."""
    # -x is an option, @x is a file of options to gcc, +x is a command to editors and pagers
    named = [f"./{name}" if name.startswith(("-", "@", "+")) else name for name in files]
    if top is None and (any("{top}" in word for word in words) or ("/" in words[0] and not os.path.isabs(words[0]))):
        raise _GivenUpError(f"'{words[0]}' needs a work tree")
    filled: list[str] = []
    for word in words:
        if word == "{files}":
            filled += named
            continue
        for name, value in (("{files}", " ".join(named)), ("{file}", " ".join(named)), ("{top}", top or "")):
            word = word.replace(name, value)
        filled.append(word)
    if "/" in filled[0] and not os.path.isabs(filled[0]):
        filled[0] = os.path.join(top or "", filled[0])
    return filled


def _inside(path: str, directory: str) -> str | None:
    """A path that a tool printed, below the directory that it ran in; None for what lies elsewhere."""
    if os.path.isabs(path):
        below = os.path.normpath(path)
        if not below.startswith(f"{directory}/"):
            return None
        path = below[len(directory) + 1 :]
    path = os.path.normpath(path)
    return None if path in ("", ".", "..") or path.startswith("../") else path


def _below(remark: Remark, directory: str) -> Remark | None:
    """With the paths as a commit has them; None for what is about a file elsewhere."""
    path = _inside(remark.path, directory) if remark.path else ""
    if path is None:
        return None
    notes = tuple((_inside(name, directory) or "", line, said) for name, line, said in remark.notes)
    return remark._replace(path=path, message=remark.message.replace(f"{directory}/", ""), notes=notes)


def mail_bytes(mail: Mail) -> tuple[bytes, int]:
    """A mail as git format-patch would print it, and how many lines come before its body.

    Line n of the body is line n + that number of the whole, which is how a tool that reads it counts.
    """
    sender = str(mail.sender) if mail.sender.name.isascii() else _encoded_address(mail)
    headers = [
        ("From", sender),
        ("Date", mail.date.strftime("%a, %d %b %Y %H:%M:%S %z") if mail.date else ""),
        ("Subject", _encoded(mail.subject)),
        ("Message-ID", f"<{mail.message_id}>" if mail.message_id else ""),
    ]
    if not all(line.isascii() for line in mail.body):
        headers += [
            ("MIME-Version", "1.0"),
            ("Content-Type", f"text/plain; charset={mail.charset}"),
            ("Content-Transfer-Encoding", "8bit"),
        ]
    # a line end or another control character would be a header of a stranger's
    lines = [f"{name}: {re.sub('[^ -~]+', ' ', value)}" for name, value in headers if value]
    try:
        body = "\n".join(mail.body).encode(mail.charset)
    except (LookupError, ValueError):
        body = "\n".join(mail.body).encode("utf-8", "replace")
    end = "\n".join(("", *_SIGNATURE)).encode()
    return "\n".join(chain(lines, ("", ""))).encode("ascii", "replace") + body + end, len(lines) + 1


def _encoded(text: str) -> str:
    if text.isascii():
        return text
    from email.header import Header

    return Header(text, "utf-8", maxlinelen=100_000).encode()


def _encoded_address(mail: Mail) -> str:
    return f"{_encoded(mail.sender.name)} <{mail.sender.email}>"
