# SPDX-License-Identifier: GPL-2.0-or-later
"""What a mail tells reviewbot to do: `reviewbot: wontfix RULE reason` and the like.

Belongs here: the form of the commands, and where in a mail they count. Does not belong here: whether the
sender is who the mail says (`attest`), whether he may say that, which finding is meant (`ledger`),
`reviewbot: ignore` below the --- of a patch (`selection`). Pure.

Only what the sender wrote himself counts. A mail program may quote without marks, and what it quotes may
be one of our own mails, or somebody else's answer: behind anything that looks like the head of such a
quote nothing is read. A command that is missed can be said again; one that was never given cannot be
taken back as easily.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from reviewbot.diff import diff_start
from reviewbot.mail import has_diff, parse_subject
from reviewbot.model import Mail

MAX_COMMANDS = 50  # of one mail; there are fewer rules
MAX_REASON = 300  # characters; what is longer is cut
_MAX_LINE = 1000  # of a line with a command no more is read

# leading blanks: a mail program may indent a paragraph; four blanks are code, or a range-diff's
_COMMAND = re.compile(r"[ \t\xa0]{0,3}reviewbot:[ \t\xa0]*", re.I)
_RULE = re.compile(r"[A-Za-z0-9/_-]{1,80}")
_ID = re.compile(r"[A-Z]{1,4}[0-9]{1,4}")
_IGNORE = "ignore"  # what `selection` obeys below the --- of a patch; in a mail of words it means wontfix

# Heads of what mail programs quote or forward without marks: Outlook, Thunderbird, Gmail, Apple Mail, mutt.
_FORWARD = re.compile(
    r"[ \t]{0,9}(?:"
    r"-{2,20} ?(?:Original|Forwarded|Reply|Weitergeleitete|Urspr).{0,60}-{2,20}"
    # in any language; "------------[ cut here ]------------" is the kernel's
    r"|-{5,20} ?[^\s\[(>-][^\[\]<>]{0,60}[^\s-] ?-{5,20}"
    r"|_{10,}"
    r"|Begin forwarded message:.*"
    r"|Start of forwarded message.*"
    r")[ \t]*$",
    re.I,
)
_HEADER = re.compile(r"[ \t]{0,3}\*{0,2}(?:From|Von|De|Da|Van|Från|发件人)\*{0,2}[ \t]?[:：]\*{0,2}[ \t]*\S", re.I)
_HEADER_MORE = re.compile(
    r"[ \t]{0,3}\*{0,2}(?:Sent|Date|To|Cc|Subject|Gesendet|Datum|An|Betreff|Envoyé|À|Objet|发送时间|日期|收件人|主题)"
    r"\*{0,2}[ \t]?[:：]",
    re.I,
)
# what stands for a part of a quote that was left out
_SNIP = re.compile(r"\W{0,20}(?:snip\w{0,6}|cut|trim\w{0,6}|skip\w{0,6}|…)?\W{0,20}$", re.I)
# "On Monday Ann <ann@example.org> wrote:", "Ann writes:", "Am Montag schrieb Ann:", ...
_WROTE = re.compile(
    r"\b(?:wrote|writes|schrieb|a écrit|écrivait|escribió|ha scritto|skrev|schreef|escreveu"
    r"|napisał|kirjoitti|пишет|писал|написал)\b|写道|書きました|작성",
    re.I,
)
_BY = re.compile(r"<[^<>\s]{1,200}@[^<>\s]{1,200}>[ \t]*(?:\([^()]{0,100}\))?[ \t]*$")


class Command(StrEnum):
    """What can be said."""

    WONTFIX = "wontfix"  # the finding is right, and stays
    FALSE_POSITIVE = "false-positive"  # the finding is wrong
    FIXED = "fixed"  # the next revision has it right
    STOP = "stop"  # no more mail
    START = "start"  # mail again


class Answer(NamedTuple):
    """A command in a mail. Nothing says yet that the sender is proven, or that there is such a rule."""

    command: Command
    rule: str | None  # as written: a rule's name, its id or a family; None for stop, start, and `fixed` without one
    reason: str  # one line, printable, at most MAX_REASON characters; "" where none was given
    line: int  # of the mail's body, from 1


class Malformed(NamedTuple):
    """A line that begins "reviewbot:" and is no command; to be recorded, so that its writer can be told."""

    line: int
    text: str  # printable, at most MAX_REASON characters
    why: str  # "wontfix needs a rule and a reason"


def read_answers(mail: Mail) -> tuple[Answer | Malformed, ...]:
    """The commands of a mail in the order they stand in, at most MAX_COMMANDS.

    Read are: of a patch what stands between its `---` and the diff; of a cover letter its text; of any other
    mail what its sender wrote above the signature, above a diff, and above what looks forwarded or quoted
    without marks. A mail that was sent by a program (Auto-Submitted:) has none.
    """
    body = mail.body
    if mail.auto_submitted or not any(_COMMAND.match(line) for line in body):
        return ()
    subject = parse_subject(mail.subject)
    patch = has_diff(mail) and not subject.reply
    begin, end = _notes(body) if patch else (0, len(body))
    end = _own_end(body, begin, end)
    found: list[Answer | Malformed] = []
    for n in range(begin, end):
        if (match := _COMMAND.match(body[n])) is None:
            continue
        words = body[n][match.end() : match.end() + _MAX_LINE].split()
        if (answer := _command(words, n + 1, patch)) is not None:
            found.append(answer)
            if len(found) == MAX_COMMANDS:
                break
    return tuple(found)


def may_hold_command(line: str) -> bool:
    """Whether a line of a mail's body begins as a command does, wherever it stands."""
    return _COMMAND.match(line) is not None


def _notes(body: Sequence[str]) -> tuple[int, int]:
    """Where the lines between a patch's `---` and its diff are."""
    start = diff_start(body)
    end = len(body) if start is None else start
    cut = next((n for n in range(end) if body[n].rstrip() == "---"), end)
    return min(cut + 1, end), end


def _own_end(body: Sequence[str], begin: int, end: int) -> int:
    """Index of the first line that is not its sender's own word any more, quotes with marks aside."""
    for n in range(begin, end):
        line = body[n]
        # a relaxed DKIM signature does not cover the blank of "-- ", so it must not matter
        if line.rstrip() == "--" or line.startswith(("diff --git ", "@@ -")):
            return n
        if line.startswith("--- ") and n + 1 < end and body[n + 1].startswith("+++ "):
            return n
        if len(line) > _MAX_LINE:
            continue
        if _FORWARD.match(line):
            return n
        if _HEADER.match(line) and any(_HEADER_MORE.match(more[:_MAX_LINE]) for more in body[n + 1 : min(n + 5, end)]):
            return n
        if _is_attribution(line) and not _marked_quote_follows(body, n + 1, end):
            return n
    return end


def _is_attribution(line: str) -> bool:
    text = line.rstrip()
    if text.lstrip().startswith(">"):
        return False  # within a quote with marks
    if text.endswith((":", "：", "...")):
        return bool(_WROTE.search(text) or _BY.search(text.rstrip(":：")))
    return bool(_BY.search(text) and _WROTE.search(text))


def _marked_quote_follows(body: Sequence[str], begin: int, end: int) -> bool:
    """The next line with a word on it is quoted with a mark: what the attribution is about can be told apart."""
    for n in range(begin, end):
        text = body[n].strip()
        if text and (len(text) > 60 or text[0] in ">|" or not _SNIP.match(text)):
            return text.startswith((">", "|")) or bool(re.match(r"[A-Za-z]{1,4}>", text))
    return True  # nothing follows


def _command(words: Sequence[str], line: int, patch: bool) -> Answer | Malformed | None:
    """The command that the words behind "reviewbot:" are; None where it is for `selection`."""
    text = _printable(" ".join(["reviewbot:", *words]))
    if not words:
        return Malformed(line, text, "no command")
    name = words[0].lower().rstrip(".,;:!")
    if name != _IGNORE and name not in tuple(Command):
        return Malformed(line, text, f"no such command: '{_printable(name)[:40]}'")
    rest = words[1:]
    if name in (Command.STOP, Command.START):
        return Answer(Command(name), None, _printable(" ".join(rest)), line)
    rule = _rule(rest[0]) if rest else None
    if name == Command.FIXED and rest and not _is_rule(rule, alone=len(rest) == 1):
        return Answer(Command.FIXED, None, _printable(" ".join(rest)), line)
    reason = _printable(" ".join(rest[1:]))
    if name == Command.FIXED:
        return Answer(Command.FIXED, rule, reason, line)
    needs = "a rule" if name == Command.FALSE_POSITIVE else "a rule and a reason"
    if rule is None or (name != Command.FALSE_POSITIVE and not reason):
        return Malformed(line, text, f"{name} needs {needs}")
    if rule == "RULE":  # our own footer, copied
        return Malformed(line, text, "RULE stands for the name of a rule")
    if name == _IGNORE:
        return None if patch else Answer(Command.WONTFIX, rule, reason, line)
    return Answer(Command(name), rule, reason, line)


def _rule(word: str) -> str | None:
    """A word as a rule's name, without the brackets or quotes it may have been copied with."""
    name = word.strip("[](){}<>`'\"“”‘’.,;:!")
    return name if _RULE.fullmatch(name) else None


def _is_rule(rule: str | None, *, alone: bool) -> bool:
    """`fixed` may go without a rule: "fixed in v3" names none, "fixed gup", "fixed FL11 in v3" do."""
    return rule is not None and (alone or "/" in rule or bool(_ID.fullmatch(rule)))


def _printable(text: str) -> str:
    """One line without control characters, terminal escapes and marks that turn the text around."""
    return "".join(char if char.isprintable() else " " for char in text[: MAX_REASON * 2]).strip()[:MAX_REASON]
