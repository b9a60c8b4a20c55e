# SPDX-License-Identifier: GPL-2.0-or-later
"""What people say below the lines of a patch that they quote, and what is answered to that.

Belongs here: reading replies: which words are a person's own, which line they stand below, what they want. Does not
belong here: whether a remark was taken up (the rules over a series). Pure, and linear in the length of the mails, which
are strangers'.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from reviewbot.dossier import Answer, Asks, Remark, Reply, Stance, function_of
from reviewbot.model import FileDiff, Line, LineKind, Mail, Patch, Series
from reviewbot.policy import is_own, is_robot

# --- people's own words ----------------------------------------------------------------------------

# More of one's own words are not read: who retracts or applies says so in the first lines.
_LINES = 400
WIDTH = 400  # of a line, more of which is not read

_QUOTED = re.compile(r"\s{0,3}[>|]")
_FORWARDED = re.compile(
    r"-{3,}\s*(?:Original Message|Forwarded message)|_{20,}$|From: .{1,200}<.{1,200}@|-{2,}.{0,10}8<"
)
_WROTE = re.compile(r"\bwrote:?$|\bwrites:$|\bschrieb.{0,80}:$|^On .{10,200}\bat\b|\ba écrit ?:$|写道[:：]$")
_CUT = re.compile(r"[\[<(]?\s*(?:\.{2,}|…|snip\w*|cut|skip\w*|trim\w*)\s*[\])>]?\s*\W*$", re.I)
_TAG = re.compile(r"[A-Za-z-]{2,40}-by:|Cc:|Fixes:|Link:|Closes:", re.I)
# Lines of these words alone are thanks or praise.
_POLITE = frozenset(
    """
    a ack acked agree agreed also and applied awesome best better br but catch cheers cleanup cool correct do done
    excellent fine fix for good great hello here hi i improvement indeed is it it's kind like lgtm looks lot lovely
    make makes me much neat nice nit now ok okay one patch perfect point really reasonable regards right sane sense
    series so sounds sure thank thanks that that's the this thx to too very will wishes with work yeah yep yes you your
    """.split()
)


def squeeze(text: str) -> str:
    """A line as lines are compared: white space does not count, nor what is behind 2,000 characters."""
    return " ".join(text[:2000].split())


def own_lines(mail: Mail) -> Iterator[str]:
    """The lines a person wrote himself, cut, '' where one speech ends. Stops at signature, diff or a mail below."""
    kept = 0
    for line in mail.body:
        line = line[:WIDTH].rstrip()
        if line in ("--", "--\xa0") or line.startswith(("diff --git ", "@@ -")) or _FORWARDED.match(line):
            return
        if _QUOTED.match(line) or _WROTE.search(line):
            yield ""
            continue
        yield line.strip()
        kept += bool(line)
        if kept > _LINES:
            return


def substantive(speech: Iterable[str]) -> bool:
    """More than a tag, thanks, praise or a name."""
    words = 0
    for line in islice(speech, 200):
        line = line[:WIDTH].strip()
        if not line or _TAG.match(line) or _CUT.match(line) or _WROTE.search(line):
            continue
        if "?" in line:
            return True
        spoken = [word.lower() for word in re.findall(r"[\w']{1,60}", line)]
        words += 0 if _POLITE.issuperset(spoken) else len(spoken)
    return words > 2


def authors_of(series: Series) -> frozenset[str]:
    """The addresses, in lower case, of who sent a posting, and for whom it was sent."""
    mails = [*([series.cover.mail] if series.cover else []), *(patch.mail for patch in series.patches)]
    known = {mail.sender.email.lower() for mail in mails}
    for mail in mails:
        known.update(address.email.lower() for address in islice(mail.reply_to, 5) if "@" in address.email)
        if mail.original_from:
            known.add(mail.original_from.email.lower())
    # a relay's patches (b4's web endpoint) name the author in the body
    relayed = [patch for patch in series.patches if patch.mail.sender.email.lower().startswith("devnull+")]
    known.update(patch.author.email.lower() for patch in relayed)
    return frozenset(known - {""})


# --- what a person wants ---------------------------------------------------------------------------

_REQUEST = re.compile(
    r"\b(?:please|pls|should(?:n'?t)?|shall we|must|(?:i|we|you|this|it|that)(?:'d)? (?:really )?(?:needs? to"
    r"|need an?"
    r"|needs? some|have to|has to|ought to)|needs? (?:to be|a|an|some)|let'?s|lets|how about|what about"
    r"|why (?:not|don'?t|do not|can'?t|isn'?t|do you need|do we need|is this needed)"
    r"|can (?:you|we|this|that|it|these)\b.{0,200}\?|could (?:you|we|this|that|it|these|be)"
    r"|would(?:n'?t)? (?:you|it be|be|prefer|rather|suggest|just|also|make|have|probably|still|like)"
    r"|i'?d (?:rather|prefer|suggest|like|drop|move|name|call|say|expect|just|also|probably|do|put|make|use|add"
    r"|remove)"
    r"|might (?:be|as well|want)|(?:i )?prefer|better (?:to|if|as|name|off|way)|suggest\w*|recommend|consider"
    r"|instead|rather than|drop (?:this|the|it|that)|remove|delete|rename|missing|misses|forg[eo]t"
    r"|typo|nit|nits|nitpick|no need|(?:not|isn'?t|aren'?t|don'?t|doesn'?t) (?:really |actually )?need(?:ed)?"
    r"|unneeded|needless\w*|unnecessar\w+|not necessary|unused|never used|not used|redundant|superfluous"
    r"|pointless|useless|dead code"
    r"|wrong|incorrect|broken|breaks|bug|bugs|buggy|leak(?:s|ed|ing)?|race|races|racy|deadlocks?|overflows?"
    r"|(?:doesn'?t|does not|won'?t|will not) (?:work|compile|build|make (?:any |much )?sense|look right|apply)"
    r"|(?:don'?t|do not) (?:like|want|think|believe|see (?:why|how|the point)|do this|do that|understand why|use)"
    r"|nak|nack|nacked|confusing|misleading|ugly|avoid|odd|weird|strange|extra (?:blank|space|line|newline|white)"
    r"|stray|whitespace|blank line|trailing|indentation|belongs?|(?:add|use|put|make|move|split|fold|mention"
    r"|document|explain)"
    r" (?:a|an|the|this|that|it|these|those|some|here|in|into|to|why|what|how|\w{2,40}(?:\(\)|_\w{1,40}))"
    r")\b|\bs[/!|,][^/!|,]{1,80}[/!|,][^/!|,]{0,80}[/!|,]",
    re.I,
)
# What takes the edge off: not of this patch, not asked for, the person's own mistake
_OPTIONAL = re.compile(
    r"\b(?:no need to (?:change|respin|resend|repost|re-?spin)|up to you|feel free|just (?:curious|wondering"
    r"|thinking|noting|fyi)"
    r"|not a (?:blocker|big deal|show ?stopper)|no big deal|(?:don'?t|do not|no) (?:feel|have) (?:a |any "
    r"|too )?strong(?:ly)?"
    r"|not (?:too )?(?:sure|asking|worth|for this)|as is\b|as it stands|is fine|are fine|fine (?:as|with|by) "
    r"|in (?:the|a) (?:future|follow)"
    r"|follow-?up|follow-?on|later (?:patch|on|series|time)|(?:separate|different) (?:patch|series|change)"
    r"|for now|(?:doesn'?t|does not) apply (?:here|to th)|out of scope|beyond (?:the|this|what)|not related|unrelated"
    r"|pre-?existing|existing (?:code|issue|problem|bug)|(?:i|you|we) (?:already|later|now) (?:see|saw|found"
    r"|noticed|fix)|i see (?:that|it|now|you)"
    r"|ah,|ahh?\b|oh,|never ?mind|nm\b|ignore (?:me|this|that)|scratch that|answer(?:ed|ing)? my(?:self| own)"
    r"|if you (?:want|like|prefer|respin"
    r"|re-?spin|have to|need to|end up)|in case (?:of a|you) |i'?(?:ll| will) (?:fix|add|drop|change|remove|fold"
    r"|apply|squash)"
    r"|i (?:fixed|added|dropped|folded|squashed|applied|have (?:fixed|added))|fixed (?:it |this )?up"
    r"|while applying|when applying|on applying)",
    re.I,
)
_AGREES = re.compile(
    r"\b(?:will\b|i'?ll|ok(?:ay)?|sure|agree[ds]?|good (?:point|catch|idea|suggestion|call|question|spot|find)"
    r"|nice catch"
    r"|makes? sense|yep|yup|yeah|yes|ack|ack'?d|oops|argh|my bad|you'?re right|you are right|sounds good"
    r"|of course|certainly"
    r"|absolutely|definitely|gotcha|noted|indeed|right|thanks|thx|let me|true|correct|should have)\b",
    re.I,
)
_DISAGREES = re.compile(
    r"\b(?:but|however|because|since|although|though|the reason|intention\w*|on purpose|deliberate\w*|no[,.]|not sure"
    r"|(?:don'?t|do not|didn'?t|did not) (?:think|want|see|like|know|need|believe|agree|understand)|prefer"
    r"|would (?:break|need|require"
    r"|have to|be)|can'?t|cannot|won'?t|couldn'?t|needed (?:for|to|by|in)|in order to|as i|hmm+|unless|except"
    r"|depends|later|follow-?up"
    r"|separate|for now|future|another (?:topic|patch|series|time|change)|actually|is (?:correct|right|needed"
    r"|required)|leave (?:it|this|as)|keep (?:it|this|the)|already|instead i|not (?:really|actually"
    r"|necessar\w+|needed|required|possible))\b|\?",
    re.I,
)
_DO = (
    r"(?:do|fix|change|add|remove|drop|update|move|rename|use|make|clean|address|correct|switch|convert|include"
    r"|split|document"
    r"|mention|respin|adjust|replace|delete|rework|improve|incorporate|modify|revise|take care|get rid|put|fold"
    r"|squash|simplify)"
)
_DID = (
    r"(?:done|fixed|changed|added|removed|dropped|updated|moved|renamed|cleaned|addressed|corrected|switched"
    r"|converted|adjusted"
    r"|replaced|deleted|reworked|modified|simplified|folded|squashed)"
)
_PROMISE = re.compile(
    r"\b(?:(?:will|i'?ll|let me|going to|we'?ll|can|should) (?:\w+ly |also |just )?" + _DO + r"\b|done\b|fixed\b"
    r"|(?:i|i've|have|now|is|was) "
    + _DID + r"\b|oops|good (?:point|catch)|nice catch|my bad)"
    r"|(?:^|[.!,:] )" + _DID + r"\b",
    re.I,
)  # fmt: skip
# Back it goes, whatever was answered
_TAKEN_BACK = re.compile(
    r"\b(?:never ?mind|nm\b|ignore (?:me|this|that|my)|scratch that|disregard|i was wrong|i missed|my mistake|my bad"
    r"|you'?re right|you are right|sorry)",
    re.I,
)
# Content with the answer: to an explanation that is the end of it, to a promise it is not
_CONTENT = re.compile(
    r"\b(?:fair (?:enough|point)|ok(?:ay)?[, ]+then|ah[, ]|ahh?\b|oh[, ]|i see\b|got it|gotcha|makes sense|sounds good"
    r"|that works|works for me|fine (?:with|by) me|that'?s fine|no problem|agreed?\b|ok(?:ay)?[.,!]|ok(?:ay)?$"
    r"|thanks for (?:the )?(?:explan|clarif|explaining|clarifying))",
    re.I,
)


def asks(text: str) -> Asks:
    """What a person's own words want, by the look of them."""
    if _OPTIONAL.search(text):
        return Asks.NOTHING
    if _REQUEST.search(text):
        return Asks.CHANGE
    return Asks.ANSWER if "?" in text else Asks.NOTHING


def stance(text: str, to: Asks) -> Stance:
    """How an answer stands to a remark, by the look of it."""
    words = len(text.split())
    if words > _LONG or _DISAGREES.search(text):
        return Stance.ARGUES
    if _PROMISE.search(text):
        return Stance.PROMISES
    if to is Asks.ANSWER or words > _SHORT:
        return Stance.ARGUES  # "Yes." tells what was asked for
    return Stance.AGREES if _AGREES.search(text) else Stance.ARGUES


def withdraws(text: str, *, promised: bool = False) -> bool:
    """A reviewer's answer takes a remark back, or is content with the answer, where that promised nothing."""
    return bool(_TAKEN_BACK.search(text)) or (not promised and bool(_CONTENT.search(text)))


_LONG, _SHORT = 60, 25  # words: who only agrees needs no more, and who does not say what he will do has reasons

# --- speeches: own words and what stands above them ------------------------------------------------

_MARK = re.compile(r"\s{0,3}>[ ]?")
_MARKS = re.compile(r"\s{0,3}(?:>\s?)++")
# Quoted lines above a speech among which the line is looked for that it is about: one that was wrapped or cut.
_REACH = 40
_NEAREST = 4  # lines that may be between a speech and the line of the patch that it is about
# A mail program may have wrapped or cut a quoted line: so much of its beginning tells it.
PREFIX = 36
_WORDS = 2000  # characters of one speech that are kept
_TEXT = 200  # of those that are printed
_SPEECHES = 400  # of one mail
_ALIKE = 50  # remarks with the same words
_CODE = re.compile(
    r"\t|[ ]{4,}\S|[+-](?:\t|[ ]{2,}\S)|[{}]$|.*(?:;|\{|\})$|#\s*(?:define|include|if|endif)\b|\s*(?:/\*|\*/)"
)


class Speech(NamedTuple):
    """A person's own words in one place, and the quoted lines above them, with their marks, the nearest last."""

    quoted: Sequence[str]
    lines: Sequence[str]


def speeches(mail: Mail) -> Iterator[Speech]:
    """The places of a mail where a person says something, in order, without those of only a tag."""
    quoted: list[str] = []
    lines: list[str] = []
    count = 0
    for line in mail.body:
        line = line[:2000].rstrip()
        if line in ("--", "--\xa0") or line.startswith(("diff --git ", "@@ -")) or _FORWARDED.match(line):
            break
        if _QUOTED.match(line):
            if lines and any(lines):
                if _speaks(lines):
                    yield Speech(quoted, lines)
                    count += 1
                quoted = [] if any(not _CUT.match(text) for text in lines if text) else quoted
            lines = []
            quoted.append(line)
            if count >= _SPEECHES:
                return
        elif _WROTE.search(line[:WIDTH]):
            while lines and lines[-1]:
                lines.pop()  # the beginning of it
            if _speaks(lines):
                yield Speech(quoted, lines)  # on top of what it answers
            lines = []
        elif lines or line:
            lines.append(line[:WIDTH])
    if _speaks(lines):
        yield Speech(quoted, lines)


def _speaks(lines: Sequence[str]) -> bool:
    return any(line and not (_TAG.match(line) or _CUT.match(line)) for line in lines[:200])


def prose(lines: Iterable[str]) -> str:
    """The words of a speech without code and trailers, in one line."""
    kept: list[str] = []
    size = 0
    for line in lines:
        text = line.strip()
        if not text or _TAG.match(text) or _CUT.match(text) or _is_code(line):
            continue
        kept.append(text)
        size += len(text)
        if size > _WORDS:
            break
    return squeeze(" ".join(kept)).replace("’", "'")[:_WORDS]


def code(lines: Iterable[str]) -> tuple[str, ...]:
    """The lines of a speech that are code: what a person would write instead."""
    return tuple(squeeze(line.strip().lstrip("+")) for line in islice(lines, 200) if line.strip() and _is_code(line))


def _is_code(line: str) -> bool:
    return bool(_CODE.match(line)) and not re.match(
        r"[ ]{0,8}(?:[A-Z][a-z]+|[a-z]+|I'?\w*)(?: [\w',.-]+){3,}[^;{}]*$", line
    )


_FAREWELL = frozenset("thanks thx cheers regards best kind many br ta".split())


def _without_farewell(text: str, name: str) -> str:
    """What a person says without the name, initials and good wishes that end it; '' where it is only these.

    Thanks alone stay: they are an answer.
    """
    parts = [part.casefold() for part in re.findall(r"\w{1,40}", name[:100])]
    ends = {*parts, *(part[0] for part in parts), "".join(part[0] for part in parts), "-", "--", "---", "~"}
    words = text.split()
    kept = len(words)
    while kept and len(words) - kept < _ENDING:
        word = words[kept - 1].strip(".,!-~").casefold()
        if word and word not in ends and word not in _FAREWELL:
            break
        kept -= 1
    return " ".join(words[:kept]) if kept or len(words) > 1 else text


_ENDING = 6  # words
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[\"'(]?[A-Z`])")
_POLITE_START = re.compile(r"(?:hi|hello|hey|thanks|thank you|sorry)\b[^.!?]{0,40}[.!?,]?$", re.I)


_PROPOSAL = re.compile(r"(?:perhaps|maybe|probably)\b", re.I)


def telling(text: str) -> str:
    """All of it where it is short, else the sentence that asks or proposes, cut."""
    if len(text) <= _TEXT:
        return text
    sentences = [one for one in _SENTENCE.split(text) if one and not _POLITE_START.match(one)]
    chosen = next((one for one in sentences if _PROPOSAL.match(one) or _REQUEST.search(one)), None)
    chosen = chosen or next((one for one in sentences if "?" in one), None) or (sentences[0] if sentences else text)
    if len(chosen) < _TEXT // 5 and sentences and chosen is not sentences[-1]:
        chosen = f"{chosen} {sentences[sentences.index(chosen) + 1]}"
    return chosen if len(chosen) <= _TEXT else f"{chosen[: _TEXT - 3].rsplit(' ', 1)[0]}..."


# --- remarks ---------------------------------------------------------------------------------------


class _Patch:
    """Where the lines of a patch's mail stand, by their text."""

    def __init__(self, patch: Patch) -> None:
        self.patch = patch
        self.lines: dict[int, tuple[FileDiff, Line]] = {}  # by line of the mail
        for diff in patch.files:
            for hunk in diff.hunks:
                for line in hunk.lines:
                    self.lines[line.message_line] = (diff, line)
        self._places: dict[str, list[int]] = {}
        self._starts: dict[str, list[int]] = {}
        for number, text in enumerate(patch.mail.body, 1):
            key = squeeze(text)
            if key and key not in "+-":
                self._places.setdefault(key, []).append(number)
                if len(key) > PREFIX:
                    self._starts.setdefault(key[:PREFIX], []).append(number)

    def telling(self, place: int, quoted: Sequence[int]) -> int:
        """The line that is meant: of a brace that the patch only shows, the changed line right above it."""
        _, line = self.lines.get(place, (None, None))
        if line is None or line.kind is not LineKind.CONTEXT or re.search(r"\w{3}", line.text):
            return place
        above = (n for n in reversed(quoted[-_NEAREST:]) if n in self.lines)
        return next((n for n in above if self.lines[n][1].kind is not LineKind.CONTEXT), place)

    def find(self, text: str, after: int) -> int | None:
        """The line of the mail that a quoted one is: the next behind `after`, else the first; None where none is."""
        key = squeeze(text)
        places = self._places.get(key)
        if places is None and len(key) >= PREFIX:
            body = self.patch.mail.body
            near = self._starts.get(key[:PREFIX], ())
            cut = key.removesuffix("...").removesuffix("…").rstrip()
            places = [n for n in near[:50] if squeeze(body[n - 1]).startswith(cut)]
        if not places:
            return None
        at = bisect_left(places, after)
        return places[at] if at < len(places) else places[0]


def read_remarks(series: Series, replies: Sequence[Reply]) -> Iterator[Remark]:
    """The remarks in the replies to a posting, in their order, each with what was answered to it.

    Robots make none, nor does the posting's author; a mail counts that answers a patch directly. What answers another
    reply is an answer to the remark whose words, or whose line, stand above it.
    """
    reader = _Reader(series, replies)
    for reply in replies:
        reader.read(reply)
    yield from reader.remarks()


def _name(name: str) -> frozenset[str]:
    """A name as names are compared: people write from several addresses. Empty where it is one word."""
    words = frozenset(re.findall(r"[^\W\d_]{2,}", name[:200].casefold()))
    return words if len(words) > 1 else frozenset()


class _Reader:
    def __init__(self, series: Series, replies: Sequence[Reply]) -> None:
        self._authors = authors_of(series) | {patch.author.email.lower() for patch in series.patches}
        self._names = {
            _name(address.name) for patch in series.patches for address in (patch.author, patch.mail.sender)
        } - {frozenset()}
        self._patches = {patch.mail.message_id: patch for patch in series.patches}
        self._known: dict[int, _Patch] = {}
        self._mails = {reply.mail.message_id: reply.mail for reply in replies}
        self._found: list[Remark] = []
        self._answers: dict[int, list[Answer]] = {}  # by place in _found
        self._said: dict[str, dict[str, list[int]]] = {}  # mail -> its own lines, squeezed -> places in _found
        self._below: dict[str, dict[str, list[int]]] = {}  # mail -> quoted line, squeezed -> places in _found

    def remarks(self) -> Iterator[Remark]:
        for n, remark in enumerate(self._found):
            yield remark._replace(answers=tuple(self._answers.get(n, ())))

    def read(self, reply: Reply) -> None:
        mail = reply.mail
        if is_robot(mail.sender) or mail.auto_submitted or is_own(mail, ()):
            return
        patch = self._patches.get(mail.in_reply_to or "")
        by_author = mail.sender.email.lower() in self._authors or _name(mail.sender.name) in self._names
        if patch is not None and not by_author:
            self._remark(mail, patch)
        elif patch is None and mail.in_reply_to in self._mails:
            self._answer(mail, by_author)

    def _remark(self, mail: Mail, patch: Patch) -> None:
        known = self._known.setdefault(patch.index, _Patch(patch))
        at = 0
        for speech in speeches(mail):
            place, near, quoted = None, 0, []
            for n, line in enumerate(speech.quoted):
                if not (mark := _MARK.match(line)):
                    continue
                found = known.find(line[mark.end() :], at)
                if found is not None:
                    quoted.append(found)
                    place, near, at = found, n, found + 1
            between = sum(bool(_MARKS.sub("", line).strip()) for line in speech.quoted[near + 1 :])
            text = _without_farewell(prose(speech.lines), mail.sender.name)
            if place is None or between > _NEAREST or not (substantive(speech.lines) or code(speech.lines)):
                continue
            place = known.telling(place, quoted)
            diff, line_ = known.lines.get(place, (None, None))
            self._note(
                speech,
                Remark(
                    mail,
                    patch.index,
                    patch.mail.body[place - 1],
                    telling(text),
                    diff.path if diff else None,
                    function_of(diff, line_) if diff and line_ else None,
                    line_,
                    place=place,
                    words=text,
                    code=code(speech.lines),
                    asks=asks(text),
                    quote=tuple(quoted[-_REACH:]),
                ),
            )

    def _note(self, speech: Speech, remark: Remark) -> None:
        mail = remark.mail
        n = len(self._found)
        self._found.append(remark)
        self._below.setdefault(mail.message_id, {}).setdefault(squeeze(remark.quoted), []).append(n)
        self._say(mail, speech, [n])

    def _say(self, mail: Mail, speech: Speech, places: Sequence[int]) -> None:
        said = self._said.setdefault(mail.message_id, {})
        for line in speech.lines[:_LINES]:
            key = squeeze(line)
            if not key:
                continue
            for part in {key, key[:PREFIX]}:
                known = said.setdefault(part, [])
                if len(known) < _ALIKE:
                    known.extend(places[:_ALIKE])

    def _answer(self, mail: Mail, by_author: bool) -> None:
        above = list(self._above(mail))
        unplaced: list[Speech] = []
        placed = False
        for speech in speeches(mail):
            if found := self._meant(speech, above):
                self._add(mail, speech, found, by_author)
                placed = True
            else:
                unplaced.append(speech)
        if placed or not above:
            return
        # an answer on top of all, or without a quote, is one to all that the mail said
        every = [n for places in self._below.get(above[0], {}).values() for n in places]
        for speech in unplaced[:1]:
            self._add(mail, speech, every[:50], by_author)

    def _add(self, mail: Mail, speech: Speech, found: Sequence[int], by_author: bool) -> None:
        text = _without_farewell(prose(speech.lines), mail.sender.name)
        if not text:
            return
        for n in found:
            remark = self._found[n]
            same = mail.sender.email.lower() == remark.mail.sender.email.lower()
            answers = self._answers.setdefault(n, [])
            promised = any(answer.stance is Stance.PROMISES for answer in answers[-_REACH:])
            insists = Stance.WITHDRAWS if withdraws(text, promised=promised) else Stance.INSISTS
            answers.append(Answer(mail, text, by_author, insists if same else stance(text, remark.asks)))
        self._say(mail, speech, found)

    def _above(self, mail: Mail) -> Iterator[str]:
        """The mails that this one answers, the nearest first, as far as they are replies to the posting."""
        name, seen = mail.in_reply_to, set[str]()
        while name in self._mails and name not in seen and len(seen) < 50:
            seen.add(name)
            yield name
            name = self._mails[name].in_reply_to

    def _meant(self, speech: Speech, above: Sequence[str]) -> list[int]:
        """The remarks whose words, or whose line, are the nearest above a speech."""
        for line in reversed(speech.quoted[-_REACH:]):
            key = squeeze(_MARKS.sub("", line, count=1))
            if not key:
                continue
            for name in above[:6]:
                said = self._said.get(name, {})
                if found := said.get(key) or (said.get(key[:PREFIX]) if len(key) >= PREFIX else None):
                    return list(dict.fromkeys(found))
        for line in reversed(speech.quoted[-_REACH:]):
            key = squeeze(_MARKS.sub("", line, count=1))
            for name in above[:6] if key else ():
                if found := self._below.get(name, {}).get(key):
                    return list(found)
        return []
