# SPDX-License-Identifier: GPL-2.0-or-later
"""Findings -> reply mails, as a careful reviewer would write them, through templates/.

Belongs here: headers, what is quoted, the mail as bytes, and reading back what a mail of
ours says of itself. What is said and in which words stands in `templates/*.j2`; whether a mail may go
out at all (lists, private mail, what was already sent) is for `policy`, `ledger` and `send`. Pure but
for the clock, the templates and `write_mbox`.

`serialise` exists because neither way at hand is right for these mails: the standard library folds
non-ASCII subjects so that spaces are lost (`policy.SMTP`: a tenth of random ones did not survive),
and liblore's `get_msg_as_bytes` undoes the quoted-printable of a body whose header still declares
it, and cuts UTF-8 characters in two between encoded words. `email.header.Header`, one header value
at a time, does neither.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.charset import QP, Charset
from email.header import Header
from email.headerregistry import Address as MailAddress
from email.message import EmailMessage, Message
from email.utils import formataddr
from importlib import resources
from pathlib import Path
from typing import IO, Any, NamedTuple

from reviewbot.finding import Finding, Review
from reviewbot.model import (
    Address,
    BaseHow,
    Confidence,
    ConfigError,
    FileDiff,
    Hunk,
    Line,
    Mail,
    Patch,
    Series,
    Severity,
    SpanKind,
)
from reviewbot.output.text import clean, count, counts, rule_failed
from reviewbot.recipients import (
    MESSAGE_ID,
    Per,
    ReplySettings,
    Target,
    plan,
)
from reviewbot.selection import FOLDED, folded

WIDTH = 72  # of our own text: quoted twice, it still fits 80 columns
CONTEXT = 3  # quoted lines before the one that a remark is about
# RFC 5322 allows 998 bytes a line; servers cut or refuse what is longer (seen: SMTPDataError 500).
MAX_LINE = 990

# A stranger chooses how long his lines and headers are. Each limit is far above what lists carry.
MAX_QUOTED = 2500  # characters of one quoted line; what is behind is cut and marked
MAX_STATEMENT = 30  # quoted lines of one statement: its first and last
MAX_SAID = 1000  # characters of one remark
MAX_NAMED = 60  # characters of a path or of code within our own text
MAX_SUGGESTED = 40  # lines of a suggestion
MAX_BODY = 100_000  # characters; vger's limit was 100 kB, and many lists have a person look at what is larger
MAX_SUBJECT = 1000
# sendmail refuses a mail with more than 32,768 bytes of headers (MaxHeadersLength), and recipients need room, too
MAX_REFERENCES = 16_000
MAX_FINGERPRINTS = 300


# always quoted-printable, never base64: words stay readable in a raw mail, as with git and b4
_UTF8 = Charset("utf-8")
_UTF8.header_encoding = QP

_RE = re.compile(r"re:", re.I)
# A word to reviewbot, as `answers` reads it: our own text never gives one
_COMMAND = re.compile(r"\s*reviewbot\s*:", re.I)
# What b4 takes for a trailer (LoreMessage.find_trailers()), wherever it stands in a reply; and mbox's separator.
_TRAILER = re.compile(r"\s*(\w\S+):\s+\S", re.A)
_ALWAYS = re.compile(
    r"(?:.*-by|.*-to|cc|fixes|.*link|closes|bug|subject|date|from|to|change-id|base-commit|message-id)$", re.I
)
_ALONE = re.compile(r"\s*<[^>]*>\s*$|From ")

_HOW = {
    BaseHow.DECLARED: "as declared",
    BaseHow.BLOBS: "by its index lines",
    BaseHow.COMMITS: "its parent",
    BaseHow.HEAD: "which it applies to",
    BaseHow.PREFIX: "from the subject",
    BaseHow.TREE: "from the tree",
    BaseHow.DATE: "from the mail's date",
    BaseHow.UNKNOWN: "not known",
}


class Earlier(NamedTuple):
    """A finding that was mailed for an earlier revision."""

    rule: str
    path: str  # '' where it was about the message
    revision: int  # of the posting it was mailed for


class History(NamedTuple):
    """What became of the findings of earlier revisions; said in the first mail of a set."""

    fixed: tuple[Earlier, ...] = ()  # gone now
    still: int = 0  # still there, and not said again: they were mailed or answered


@dataclass(frozen=True, slots=True)
class Remark:
    """What is said of one finding."""

    text: str  # without line breaks, ASCII
    tag: str  # [rule, severity]
    suggestion: tuple[str, ...]  # lines, each behind "| "
    notes: tuple[str, ...]  # whose remark it is, and where that can be read
    finding: Finding


@dataclass(frozen=True, slots=True)
class Quote:
    """Lines of the original, each behind "> " or a mark of what was cut, and the remarks on the last of them."""

    lines: tuple[str, ...]
    remarks: tuple[Remark, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One patch's part of a mail."""

    patch: Patch
    heading: str  # the patch's subject as a quoted line; '' in the reply to that very patch
    quotes: tuple[Quote, ...]


def make_replies(
    review: Review, settings: ReplySettings, *, now: datetime | None = None, history: History | None = None
) -> tuple[EmailMessage, ...]:
    """The mails for the findings that are shown: one for each patch that has any, or one for the series.

    What was there before a patch is never mailed, and faults or a `history` alone make no mail. A mail
    that cannot be answered is skipped: one without a Message-ID, or whose author cannot be told. `now` is
    the Date:, the system's clock by default. Raises ConfigError where a template is wrong or missing.
    """
    per, groups = plan(review, settings)
    answered = frozenset(finding.patch.index for _, group in groups for finding in group)
    work = _Work(review, settings, per, now or datetime.now(UTC), answered)
    said = (history or History(), *(History() for _ in groups))
    return tuple(_reply(work, target, group, before) for (target, group), before in zip(groups, said, strict=False))


class _Work(NamedTuple):
    """What the mails of a set have in common."""

    review: Review
    settings: ReplySettings
    per: Per
    now: datetime
    answered: frozenset[int]  # patches whose findings are in one of the mails


def _reply(work: _Work, target: Target, findings: Sequence[Finding], history: History) -> EmailMessage:
    review, settings, mail = work.review, work.settings, target.mail
    worst = sorted(findings, key=lambda f: (f.severity.rank, f.confidence is Confidence.LOW, f.patch.index, _anchor(f)))
    kept, large = worst[: max(1, settings.budget)], False
    text = _text(work, target, kept, worst[len(kept) :], history, large=large)
    while len(text) > MAX_BODY and len(kept) > 1:
        kept, large = kept[: len(kept) // 2], True
        text = _text(work, target, kept, worst[len(kept) :], history, large=large)
    message = EmailMessage()
    message["From"] = _header_address(settings.sender)
    message["To"] = [_header_address(target.author)]
    if target.cc:
        message["Cc"] = [_header_address(address) for address in target.cc]
    subject = header_text(mail.subject[:MAX_SUBJECT])
    # Patchwork takes for a comment what begins with Re: (parser.py, subject_check())
    message["Subject"] = subject if _RE.match(subject) else f"Re: {subject}".rstrip()
    message["Date"] = work.now
    message["Message-ID"] = message_id(mail.message_id, review.series.revision, settings, work.per)
    message["In-Reply-To"] = f"<{mail.message_id}>"
    message["References"] = _references(mail)
    # RFC 3834; what other robots look for before they answer
    message["Auto-Submitted"] = "auto-generated"
    message["X-Reviewbot-Version"] = header_text(settings.ruleset)
    message["X-Reviewbot-Revision"] = f"v{review.series.revision}"
    places = [other for finding in kept for other in folded(finding, review.findings)]
    message["X-Reviewbot-Rules"] = _list(finding.rule for finding in (*kept, *places))
    message["X-Reviewbot-Fingerprints"] = _list(finding.fingerprint for finding in (*kept, *places))
    if settings.action_required and any(finding.severity is Severity.ERROR for finding in kept):
        # the value plays no part (Patchwork, docs/usage/headers.rst), but some servers drop an empty header
        message["X-Patchwork-Action-Required"] = "yes"
    long = any(len(line) > MAX_LINE for line in text.encode().split(b"\n"))
    message.set_content(text, cte="quoted-printable" if long else "7bit" if text.isascii() else "8bit")
    return message


def _list(values: Iterable[str]) -> str:
    """What `_values` reads back; the most severe come first, so they are not what is cut."""
    return ", ".join([*dict.fromkeys(header_text(value) for value in values)][:MAX_FINGERPRINTS])


def message_id(target: str, revision: int, settings: ReplySettings, per: Per | None = None) -> str:
    """The Message-ID of the reply to `target`, with brackets: the same whenever and wherever it is made.

    `per` is the kind of reply; None: as the settings have it. With `max_mails` it is the number of findings
    that decides between the kinds: who asks whether a mail went out asks for both.
    reviewbot's own version does not go in: after an upgrade the same posting is not answered again.
    """
    kind = per or settings.per
    digest = hashlib.sha256(f"{target}|{revision}|{kind}|{settings.salt}".encode()).hexdigest()[:24]
    domain = settings.domain or settings.sender.email.rpartition("@")[2]
    return f"<reviewbot.{kind}.{digest}@{re.sub(r'[^A-Za-z0-9.-]', '', domain)}>"


def _references(mail: Mail) -> str:
    """The original's whole chain and itself. Of a chain that is too long the middle goes (RFC 5322, 3.6.4 lets one)."""
    above = mail.references or ((mail.in_reply_to,) if mail.in_reply_to else ())
    first, *rest = dict.fromkeys(
        [*(i for i in above if MESSAGE_ID.fullmatch(i) and i != mail.message_id), mail.message_id]
    )
    room = MAX_REFERENCES - len(first)
    kept: list[str] = []
    for name in reversed(rest):
        room -= len(name) + 3
        if kept and room < 0:
            break
        kept.append(name)
    return " ".join(f"<{name}>" for name in (first, *reversed(kept)))


# --- what a mail of ours says of itself -----------------------------------------------------------


def target_of(message: Message) -> str | None:
    """Message-ID, without brackets, of the mail that a reply answers; None where it names none.

    This and the next two take a mail as it was made or as it was read back. They believe what it says:
    anybody can write such a header.
    """
    found = re.search(r"<([^<>\s]+)>", str(message.get("In-Reply-To", "")))
    return found[1] if found else None


def fingerprints_of(message: Message) -> tuple[str, ...]:
    """Fingerprints of the findings that a reply says, those of further places behind them; held back ones are not in.

    At most MAX_FINGERPRINTS, the most severe.
    """
    return _values(message, "X-Reviewbot-Fingerprints")


def rules_of(message: Message) -> tuple[str, ...]:
    """Names of the rules whose findings a reply says."""
    return _values(message, "X-Reviewbot-Rules")


def _values(message: Message, name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(re.findall(r"[^\s,]+", str(message.get(name, "")))))


# --- recipients and headers -----------------------------------------------------------------------


def header_text(value: str) -> str:
    """The value as one line without anything that could end it, hide in it or be decoded once more."""
    text = "".join(c if c.isprintable() else " " if c.isspace() else "" for c in value)
    return " ".join(text.replace("=?", "= ?").split())


def _header_address(address: Address) -> MailAddress:
    user, _, domain = address.email.rpartition("@")
    # a name is for people: what is longer would only break the line length
    return MailAddress(header_text(address.name)[:128].strip(), user, domain)


# --- the text -------------------------------------------------------------------------------------


def _text(
    work: _Work, target: Target, kept: Sequence[Finding], held: Sequence[Finding], history: History, *, large: bool
) -> str:
    review, settings, mail = work.review, work.settings, target.mail
    series = review.series
    patches = {finding.patch.index: finding.patch for finding in kept}
    own = {*patches, *(finding.patch.index for finding in held)}
    said = [finding for finding in review.shown if not finding.preexisting and finding.resolved_by is None]
    others = {finding.patch.index for finding in said} - own
    # "the same in ..." is said of them
    folds = [finding for finding in review.findings if finding.why_not_shown == FOLDED and finding.resolved_by is None]
    places = {finding.patch.index for finding in folds} - own - others
    sections = [
        Section(
            patch,
            heading="" if patch.mail is mail else quoted(f"Subject: {patch.mail.subject}"),
            quotes=tuple(_quotes(patch, findings)),
        )
        for _, patch in sorted(patches.items())
        if (findings := [finding for finding in kept if finding.patch.index == patch.index])
    ]
    # what stands here is an interface: templates/__init__.py tells users of it
    values: dict[str, Any] = {
        "version": settings.ruleset,
        "series": series,
        "checked": len(review.patches),
        "per": work.per,
        "base": _base(series),
        "sections": sections,
        "counts": counts(finding.severity for finding in (*kept, *held)),
        "held_back": counts(finding.severity for finding in held),
        "large": large,
        "budget": settings.budget,
        "elsewhere": len(others & work.answered),
        "silent": len(review.patches) - len((own | others | places) - {0}),  # 0 is the cover letter
        "unread": sum(not rule_failed(fault) for fault in review.errors),
        "fixed": tuple(dict.fromkeys(row._replace(path=_short(row.path)) for row in history.fixed)),
        "still": history.still,
        "docs": settings.docs,
        # quoted for the shell: a Message-ID is a stranger's text that somebody will paste
        "command": f"reviewbot lore {shlex.quote(mail.message_id)}{_TREE if _by_tree(series) else ''}",
    }
    body = _render(f"{work.per}.j2", settings.template_dir, values)
    if not body.strip():
        raise ConfigError(f"template '{work.per}.j2' makes an empty mail")
    return "\n".join(_guard(body.strip("\n").split("\n"))) + "\n"


_TREE = " --tree DIR"


def _by_tree(series: Series) -> bool:
    """A tree was given, and told of the base: without one, less may be seen."""
    return BaseHow.TREE in (series.base.how, series.base.version_how) or series.base.how in (
        BaseHow.BLOBS,
        BaseHow.HEAD,
    )


def _base(series: Series) -> str:
    base = series.base
    if base.how is BaseHow.DECLARED and base.commit and base.version and base.version_from is not BaseHow.TREE:
        # the hash alone tells no version
        return f"commit {_ascii(base.commit[:12])} as declared, taken for v{base.version[0]}.{base.version[1]}"
    return f"{_ascii(str(base))}, {_HOW[base.how]}" if base.how is not BaseHow.UNKNOWN else _HOW[base.how]


def quoted(line: str) -> str:
    """A line of the original, quoted. Only what would act on a screen or break the mail is replaced."""
    return _behind("> ", line)


def _behind(mark: str, line: str) -> str:
    cut = "" if len(line) <= MAX_QUOTED else " [ ... ]"
    return mark + clean(line[:MAX_QUOTED], tabs=True) + cut


def _short(path: str) -> str:
    """The end of a path, which says most: our own lines are short, whatever they name."""
    path = " ".join(clean(path).split())
    return path if len(path) <= MAX_NAMED else "..." + path[3 - MAX_NAMED :]


def _ascii(text: str) -> str:
    """Our own text is ASCII, whatever it names."""
    return clean(text).encode("ascii", "backslashreplace").decode()


def wrap(text: str, tail: str = "") -> str:
    """A paragraph filled to WIDTH, `tail` in one piece behind it."""
    lines = [""]
    # no line of ours begins with the mark of a quoted one
    for word in [*re.split(" (?!>)", _ascii(" ".join(text.split()))), *([f" {tail}"] if tail else [])]:
        # two columns are left for what _guard may put before a line
        if lines[-1] and len(lines[-1]) + 1 + len(word) > WIDTH - 2:
            lines.append(word.strip())
        else:
            lines[-1] += f" {word}" if lines[-1] else word.strip()
    return ("| " if lines[0].startswith(">") else "") + "\n".join(lines)


def _guard(lines: Sequence[str]) -> Iterator[str]:
    """No line of our own that b4 would take for a trailer, an mbox for the next mail, or reviewbot for an answer."""
    end = next((n for n, line in enumerate(lines) if line == "-- "), len(lines))
    for n, line in enumerate(lines):
        line = line if line == "-- " else clean(line, tabs=True)
        match = _TRAILER.match(line)
        # b4 joins a name and the address on the next line
        near = " ".join(lines[n : n + 3])
        trailer = match and ("@" in near or "://" in near or _ALWAYS.match(match[1]))
        yield f"| {line}" if _COMMAND.match(line) or (n < end and (trailer or _ALONE.match(line))) else line


def _anchor(finding: Finding) -> int:
    """The mail's line, from 1, below which a finding is spoken of; 0 where it is not in the body."""
    span = finding.span
    if span.kind is SpanKind.HEADER:
        return 0
    if span.kind is SpanKind.MESSAGE:
        return min(span.message_line or span.line, len(finding.patch.mail.body))
    hunk = _hunk_at(finding.patch, span.message_line)
    if hunk is None:
        return 0
    # a statement of several lines is quoted to its end
    last = span.end_line if span.end_column > 1 else span.end_line - 1

    def number(line: Line) -> int:
        return (line.old if span.kind is SpanKind.REMOVED else line.new) or 0

    # in a tree the hunk may lie elsewhere than the mail says
    moved = span.line - next((number(line) for line in hunk.lines if line.message_line == span.message_line), span.line)
    ends = [line.message_line for line in hunk.lines if span.line <= number(line) + moved <= last and number(line)]
    return max([span.message_line, *ends])


def _hunk_at(patch: Patch, message_line: int) -> Hunk | None:
    for file in patch.files:
        for hunk in file.hunks:
            if hunk.lines and hunk.lines[0].message_line <= message_line <= hunk.lines[-1].message_line:
                return hunk
    return None


def _file_of(patch: Patch, hunk: Hunk) -> FileDiff:
    return next(file for file in patch.files if any(hunk is other for other in file.hunks))


def _quotes(patch: Patch, findings: Sequence[Finding]) -> Iterator[Quote]:
    """The mail's lines that the findings are about, in the mail's order, each piece with its remarks."""
    body = patch.mail.body
    at: dict[int, list[Finding]] = {}
    apart: list[Finding] = []
    for finding in sorted(findings, key=lambda f: (_anchor(f), f.severity.rank, f.span.column)):
        anchor = _anchor(finding)
        if anchor:
            at.setdefault(anchor, []).append(finding)
        else:
            apart.append(finding)
    # headers first, as in the mail; code that only the tree has goes last
    headers = [finding for finding in apart if finding.span.kind is SpanKind.HEADER]
    for line in dict.fromkeys(f"{finding.span.path}: {finding.span.text}" for finding in headers):
        same = [finding for finding in headers if f"{finding.span.path}: {finding.span.text}" == line]
        yield Quote((quoted(line),), tuple(_remark(finding, frozenset()) for finding in same))

    shown = 0  # the last line quoted
    hunk: Hunk | None = None
    keep = _kept(patch, at)
    for anchor, group in at.items():
        lines: list[str] = []
        before, hunk = hunk, _hunk_at(patch, anchor)
        if hunk is not None and hunk is not before:
            lines += _head(patch, hunk, new_file=before is None or _file_of(patch, before) is not _file_of(patch, hunk))
            shown = hunk.message_line
        for number in (n for n in keep if shown < n <= anchor):
            if number > shown + 1 and (shown or hunk is not None):
                lines.append("[ ... ]")
            lines.append(quoted(body[number - 1]))
            shown = number
        yield Quote(tuple(lines), tuple(_remark(finding, keep.keys()) for finding in group))

    for finding in apart:
        if finding.span.kind is not SpanKind.HEADER:
            where = wrap(f"In {_short(finding.span.path)}, outside of what the patch shows:")
            code = _behind("| ", finding.span.text)
            yield Quote((*where.split("\n"), "", code), (_remark(finding, keep.keys()),))


def _kept(patch: Patch, at: dict[int, list[Finding]]) -> dict[int, None]:
    """Numbers of the mail's lines to quote, in order: those spoken of, some before them, and related ones above."""
    keep: set[int] = set()
    for anchor, group in at.items():
        hunk = _hunk_at(patch, anchor)
        first = hunk.message_line + 1 if hunk else 1
        begin = min(finding.span.message_line or anchor for finding in group)
        lines = range(max(first, begin - CONTEXT), anchor + 1)
        keep.update(
            lines if len(lines) <= MAX_STATEMENT else (*lines[: MAX_STATEMENT // 2], *lines[-MAX_STATEMENT // 2 :])
        )
        for finding in group:
            keep.update(span.message_line for span, _ in finding.related if first <= span.message_line < anchor)
    for number in sorted(keep):
        # a mark for what was cut is as long as one or two lines
        gap = next((n for n in (2, 3) if number + n in keep), 0)
        if gap and number + 1 not in keep and _hunk_at(patch, number) is _hunk_at(patch, number + gap):
            keep.update(range(number + 1, number + gap))
    return dict.fromkeys(sorted(keep))


def _head(patch: Patch, hunk: Hunk, *, new_file: bool) -> Iterator[str]:
    """What stands above a hunk in the mail: the file's name, where it was not yet quoted, and the @@ line."""
    body = patch.mail.body
    if new_file:
        first = _header_line(patch, _file_of(patch, hunk).hunks[0]) - 1
        names = [n for n in (first - 2, first - 1) if n >= 0 and body[n].startswith(("--- ", "+++ "))]
        git = next((n for n in range(first - 1, -1, -1) if body[n].startswith(("diff --git ", "@@ -"))), None)
        # no hunk lies between a file's header and its first hunk: behind one, the diff is not git's
        at = [git] if git is not None and body[git].startswith("diff") else names
        yield from (quoted(body[n]) for n in at)
    yield from (quoted(body[n - 1]) for n in range(_header_line(patch, hunk), hunk.message_line + 1))


def _header_line(patch: Patch, hunk: Hunk) -> int:
    """Where the @@ line begins: a mail program may have wrapped it."""
    last = hunk.message_line
    return next((n for n in range(last, max(0, last - 3), -1) if patch.mail.body[n - 1].startswith("@@ -")), last)


def _remark(finding: Finding, quoted_lines: Iterable[int]) -> Remark:
    text = finding.message
    for span, said in finding.related:
        code = " ".join(span.text[:MAX_QUOTED].split())
        code = code if len(code) <= MAX_NAMED else code[: MAX_NAMED - 3] + "..."
        where = "" if span.message_line in quoted_lines else f" in {_short(span.path)}"
        text += f' ({said}{where}: "{code}")' if said else f' (see "{code}"{where})'
    if finding.places:
        # by file and number of places: line numbers say nothing to who reads the mail without the tree
        paths = Counter(_short(span.path) for span in finding.places)
        text += ". The same in " + ", ".join(f"{path} ({count(number, 'place')})" for path, number in paths.items())
    low = ", low confidence" if finding.confidence is Confidence.LOW else ""
    suggestion = finding.suggestion.rstrip("\n").split("\n") if finding.suggestion else []
    cut = ["| [ ... ]"] if len(suggestion) > MAX_SUGGESTED else []
    return Remark(
        text=_ascii(text if len(text) <= MAX_SAID else text[: MAX_SAID - 3] + "..."),
        tag=f"[{_ascii(finding.rule)}, {finding.severity}{low}]",
        suggestion=(*(_behind("| ", line) for line in suggestion[:MAX_SUGGESTED]), *cut),
        notes=tuple(_ascii(note[:MAX_SAID]) for note in finding.notes),
        finding=finding,
    )


def _packaged(name: str) -> str | None:
    """A packaged template's text; None where there is none of that name."""
    if not re.fullmatch(r"[a-z]+\.j2", name):
        return None
    try:
        folder = resources.files("reviewbot.templates")
    except ModuleNotFoundError:  # run from the source tree without an installation
        folder = Path(__file__).parent.parent / "templates"
    file = folder / name
    return file.read_text("utf-8") if file.is_file() else None


def _render(name: str, directory: str | None, values: dict[str, Any]) -> str:
    # jinja2 takes 0.1 s to import, which `check` and `lore` need not pay
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    if directory is not None and not os.path.isdir(directory):
        raise ConfigError(f"cannot open template directory '{directory}': no such directory")
    packaged = jinja2.FunctionLoader(_packaged)
    own = [jinja2.FileSystemLoader(directory)] if directory else []
    environment = ImmutableSandboxedEnvironment(
        loader=jinja2.ChoiceLoader([*own, packaged, jinja2.PrefixLoader({"packaged": packaged})]),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # plain text; what comes out is cleaned line by line
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["wrap"] = wrap
    environment.filters["count"] = count
    try:
        return environment.get_template(name).render(values)
    except jinja2.TemplateNotFound as error:
        raise ConfigError(f"template '{error.name}' does not exist") from error
    except jinja2.TemplateSyntaxError as error:
        raise ConfigError(f"template '{error.name or name}', line {error.lineno}: {error.message}") from error
    except (jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError,
            ValueError) as error:  # fmt: skip
        raise ConfigError(f"template '{name}': {error}") from error


# --- bytes ----------------------------------------------------------------------------------------


def serialise(message: EmailMessage, *, newline: str = "\n") -> bytes:
    r"""The single-part mail as bytes; `newline` is '\r\n' for SMTP. See the module's docstring for why."""
    if message.is_multipart():
        raise ValueError("a reply has one part")
    head = "".join(_header(name, value) + "\n" for name, value in message.items())
    encoding = str(message.get("Content-Transfer-Encoding", "7bit")).strip().lower()
    if encoding in ("7bit", "8bit", "binary"):
        payload = message.get_payload(decode=True)
        body = payload if isinstance(payload, bytes) else b""
    else:
        body = str(message.get_payload()).encode("ascii")
    data = head.encode("ascii") + b"\n" + body.replace(b"\r\n", b"\n")
    return data.replace(b"\n", newline.encode())


def _header(name: str, value: Any) -> str:
    addresses = getattr(value, "addresses", None)
    if addresses is not None:
        return _fold(f"{name}: ", [_address(address) for address in addresses], ", ")
    text = header_text(str(value))
    words = text.split(" ")
    if text.isascii() and max(map(len, words)) < 900:
        return _fold(f"{name}: ", words, " ")
    return f"{name}: {Header(text, _UTF8, maxlinelen=75, header_name=name).encode()}"


def _address(address: MailAddress) -> str:
    name, email = header_text(address.display_name), header_text(address.addr_spec).replace(" ", "")
    if name.isascii():
        return formataddr((name, email))
    return f"{Header(name, _UTF8, maxlinelen=75).encode()} <{email}>"


def _fold(start: str, pieces: Sequence[str], between: str) -> str:
    """Pieces on lines of at most 75 columns where they fit, continued lines behind one space."""
    lines = [start]
    for n, piece in enumerate(pieces):
        last = piece if n == len(pieces) - 1 else piece + between.rstrip()
        if len(lines[-1]) + len(last) > 75 and lines[-1] not in (start, " "):
            lines[-1] = lines[-1].rstrip()
            lines.append(" ")
        lines[-1] += last + " "
    return "\n".join(line.rstrip() for line in lines)


def write_mbox(messages: Iterable[EmailMessage], target: Path | IO[bytes]) -> None:
    """The mails as an mbox (mboxrd), as mutt reads it.

    `git send-email` takes one mail a file, so write one each for it; it sends them as they are with
    `--suppress-cc=author --suppress-cc=body` (`all` would drop the Cc: header, too).
    """
    if isinstance(target, Path):
        with target.open("wb") as file:
            write_mbox(messages, file)
        return
    for message in messages:
        date = getattr(message["Date"], "datetime", None) or datetime.now(UTC)
        target.write(f"From reviewbot {date:%a %b %e %H:%M:%S %Y}\n".encode("ascii"))
        target.write(re.sub(rb"(?m)^(>*From )", rb">\1", serialise(message)).rstrip(b"\n") + b"\n\n")
