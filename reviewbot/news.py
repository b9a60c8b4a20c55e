# SPDX-License-Identifier: GPL-2.0-or-later
"""What the thread of a posting says right before a mail goes out: retracted, applied, said already.

Belongs here: what people's own words below a posting mean. Does not belong here: a newer revision
(`revisions`, Series.newest), words to the bot (`answers`), what becomes of it (`bot`). Pure, and linear in
the length of the mails, which are strangers'.

Nobody's identity is proven here, and nothing needs it: a forged "applied" keeps one mail back, that is all.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from reviewbot.finding import Finding
from reviewbot.mail import parse_subject
from reviewbot.model import Mail, Series, SpanKind
from reviewbot.policy import is_own, is_robot
from reviewbot.remarks import PREFIX, WIDTH, authors_of, own_lines, squeeze, substantive


class Told(NamedTuple):
    """Somebody says it of a patch, or of all of them."""

    patch: int | None  # index of the patch; None for the whole posting
    message_id: str  # of the mail that says so
    text: str = ""  # the sentence: a stranger's, at most 100 printable characters


class Said(NamedTuple):
    """Somebody had a word to say below the very line that a finding is about."""

    fingerprint: str
    message_id: str  # of the first mail that does


class News(NamedTuple):
    """What a thread says of a posting, each in the order of the mails given."""

    retracted: tuple[Told, ...] = ()  # by its author
    applied: tuple[Told, ...] = ()  # by somebody else, or by the author as tools write it
    said: tuple[Said, ...] = ()  # at most one a fingerprint

    def retraction(self, patch: int) -> Told | None:
        """Who takes this patch back, None where nobody does."""
        return _about(self.retracted, patch)

    def application(self, patch: int) -> Told | None:
        """Who has applied this patch, None where nobody has."""
        return _about(self.applied, patch)


def _about(told: Iterable[Told], patch: int) -> Told | None:
    return next((one for one in told if one.patch in (None, patch)), None)


def read_news(series: Series, thread: Sequence[Mail], findings: Sequence[Finding], own: Collection[str] = ()) -> News:
    """What the replies below the posting's mails say. `own` are the bot's addresses in lower case.

    `thread` may hold anything: other revisions, mails twice. A mail counts where its nearest posting above, by
    In-Reply-To: and References:, is this one.
    """
    replies = list(_replies(series, thread, own))
    authors = authors_of(series)
    retracted: dict[Told, None] = {}
    applied: dict[Told, None] = {}
    for mail, patch in replies:
        by_author = mail.sender.email.lower() in authors
        robot = is_robot(mail.sender) or mail.auto_submitted
        if robot and not _TREE_BOTS.match(mail.sender.email.lower()):
            continue
        sentences = list(_sentences(mail))
        for told in _applied(mail, sentences, series, patch, by_author=by_author):
            applied[told] = None
        if by_author and (taken_back := _retracted(mail, sentences, series, patch)):
            retracted[taken_back] = None
    return News(tuple(retracted), tuple(applied), tuple(_said(replies, findings)))


# --- which mails are answers to the posting --------------------------------------------------------


def _replies(series: Series, thread: Sequence[Mail], own: Collection[str]) -> Iterator[tuple[Mail, int]]:
    """Every mail of others below this posting, with the index of the patch that it answers, 0 for the cover letter."""
    members = {patch.mail.message_id: patch.index for patch in series.patches}
    if series.cover:
        members[series.cover.mail.message_id] = 0
    members.pop("", None)
    mails: dict[str, Mail] = {}
    for mail in thread:
        mails.setdefault(mail.message_id, mail)
    # another posting sent in reply to this one ends it
    found: dict[str, int | None] = {
        name: None for name, mail in mails.items() if name not in members and _is_posting(mail)
    }
    found.update(members)
    for name, mail in mails.items():
        path: list[str] = []
        at: str | None = name
        while at is not None and at not in found:
            path.append(at)
            found[at] = None  # a loop of references ends here
            at = _parent(mails[at], mails, members) if at in mails else None
        for step in path:
            found[step] = found[at] if at is not None else None
        patch = found[name]
        if patch is not None and name not in members and not is_own(mail, own):
            yield mail, patch


def _is_posting(mail: Mail) -> bool:
    subject = parse_subject(mail.subject[:2000])
    return subject.patch and not subject.reply


def _parent(mail: Mail, mails: Collection[str], members: Collection[str]) -> str | None:
    """The nearest mail above that is at hand; one in between may be missing."""
    for name in (mail.in_reply_to, *reversed(mail.references)):
        if name and name != mail.message_id and (name in mails or name in members):
            return name
    return None


# --- people's own words ----------------------------------------------------------------------------


def _sentences(mail: Mail) -> Iterator[str]:
    """One's own words as sentences in lower case, one line each, cut."""
    speech: list[str] = []
    for line in (*own_lines(mail), ""):
        # a list's item or an address begins anew
        if line and not line.startswith(("[", "- ", "* ", "http")):
            speech.append(line)
            continue
        for sentence in re.split(r"(?<=[.!?;])\s+", " ".join(speech)):
            if sentence:
                yield sentence[:WIDTH].lower().replace("’", "'")
        speech = [line] if line else []


def _shown(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text[:100])


# Patchwork's robot and that of the tip tree speak for the maintainer who pushed.
_TREE_BOTS = re.compile(r"patchwork-bot(?:\+[\w.-]{1,60})?@kernel\.org$|tip-bot\d?@")

_DONE = r"(?:applied|queued|picked|merged|pushed|pulled|staged|added|taken|took|landed)"
# What may stand before "applied" in one's own statement; no "if", "not", "can", "will" is among it.
_APPLIED_HEAD = re.compile(
    r"(?:(?:hi|hello|hey|dear)\b[^,.]{0,40},\s{0,3})?"
    r"(?:(?:thanks?|thx|you|yes|yep|yeah|no,|already|above|cheers|great|good|perfect|ok(?:ay)?|cool|nice|alright"
    r"|done|right|fine|lgtm|looks|reviewed"
    r"|tested|fixed|and|so|both|all|now|also|just|i|we|i've|we've|i'm|have|has|been|series|patch(?:es)?|patchset"
    r"|patch-set|this|these|the|that|whole|entire|complete|full|set|commit|following|your|of|them|it|it's|they|is"
    r"|are|was|were|got|went|everything|changes?|to|a lot|very much|so much|again|one|ones|here"
    r"|finally)[\s,!.:&]{1,3}"
    r"|(?:patch(?:es)? |#)?\d{1,3}(?:[-/]\d{1,3})?(?:,? (?:and|&) \d{1,3})?[\s,!.:]{1,3}){0,10}"
    rf"(?P<verb>{_DONE})\b(?P<rest>.*)"
)
_APPLIED_NOT = re.compile(
    r"\b(?:in my|in our|locally|cleanly|against|onto|before|after|when|whenever|by (?:hand|the|mistake|accident)|if"
    r"|but not"
    r"|not yet|not (?:be|the)|on top|with git|(?:and|then|to) (?:try|tried|tested? |ran|run|built?|saw|see|got|get"
    r"|boot"
    r"|still|reproduce|verif)|suggest\w*|feedback|comments?|edits?\b.{0,10}\bfrom|tags?\b|trailers?|your (?:changes"
    r"|edit"
    r"|review)|the (?:same|following|diff|fix|others?|rest)|other patch|v\d+'s|error|fail\w*|reject\w*|revert\w*"
    r"|dropped|for testing|to test)\b"
)
# Where "merged" and its like went; behind "applied" it may be missing.
_WHERE = re.compile(
    r"\s*(?:up\b|it|this|them|these|both|all|the (?:series|patch(?:es)?|set|lot)|patch(?:es)? [\d, &and-]+)?\s*"
    r"(?:up\b)?\s*(?:to|in|into|for|on|as|via|through)\b\s*:?"
)
_TREE = re.compile(
    r"\bfor-|\bnext\b|-next\b|\bfixes\b|\btree\b|\bqueue\b|\bbranch\b|\bmm-\w|\bmaster\b|\bmainline\b|\bpending\b"
    r"|\.git\b"
    r"|\bupstream\b|\bstable\b|\brc\d\b|\b[4-9]\.\d{1,2}\b|\bhttps?:|\bmaterial\b|\bmerge window\b|\w/\w|\btrunk\b"
    r"|\bmain\b"
    r"|\bdevel\b|\btesting\b|\bstaging\b|\blinus\b|\burgent\b|\bmm\b"
)
_BEEN = re.compile(
    r"(?:(?:thanks?|thank you|ok|hi)\b[^.]{0,40}[,!] )?(?:this|the|your|these|both|all|patch(?:es)?|series|it|they"
    r"|i see)\b"
    r"(?P<what>[^?]{0,300}?) (?:has|have|is|are|was|were)(?: now| just| all| already)?(?: been)?(?: now)? "
    r"(?:applied|queued(?: up)?|merged|picked up|added|accepted|pushed|committed) (?:to|in|into|for|on)\b(?P<rest>.*)"
)
_BEEN_WHAT = re.compile(
    r"(?:\s{0,3}(?:\b(?:the|this|that|these|those|of|whole|entire|full|complete|following|fixed|first|last|patch(?:es)?|series"
    r"|patchset|patch-set|set|commits?|changes?|one|ones|v\d+|\d+|them|both|all|and|now)\b|[,:&]|\([^()]{0,80}\)))*\s*"
)
_NOW_IN = re.compile(
    r"(?:this|it|they|these|both|series|patch(?:es)?|all|the series|the patch)\b.{0,20}\b(?:is|are) (?:now"
    r"|already) in"
    r" (?:the |my |our )?[\w./-]{0,40}(?:next|tree|branch|master|mainline|fixes|queue|upstream)"
)
_TAKING = re.compile(
    r"(?:(?:ok(?:ay)?|thanks?|yes|apologies|sorry|great|i should have said)[,.! ]{1,3}){0,2}(?:i'm|i am) taking"
    r" (?:this|it|these|them|the (?:series|patch(?:es)?))(?: one| series| patch(?:es)?)?"
    r"(?:[.,!]|$| (?:through|via|into|for|to)\b)"
)
_SUMMARY = re.compile(r"here is the summary with links\b")
# b4 ty: "[1/3] title" and below it "commit: hash"; patchwork-bot: "- [v2,1/3] title" and the commit's address
_LISTED = re.compile(r"(?:- )?\[(?:[^\[\]]{0,60}[ ,v])?(\d{1,4})/(\d{1,4})\] ")
_NO_COMMIT = re.compile(r"\(no (?:matching )?commit\b|\(not applied")
_COMMIT = re.compile(r"commit: [0-9a-f(]|https?://\S{1,200}/[0-9a-f]{7,64}$")
_NUMBERS = re.compile(
    r"\bpatch(?:es)?,? (?:nr\.? |#|no\.? )?(\d{1,3})(?:\s?(?:-|–|to|through|\.\.)\s?(\d{1,3}))?((?:,? ?(?:and|&"
    r"|,) ?\d{1,3}){0,30})\b"
)
_FIRST = re.compile(
    r"(?:the )?(?:top|first) (\w{1,6}) patch(?:es)?\b.{0,60}?\b(?:applied|queued|merged|pushed) (?:to|in|for)"
)
_WORDS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
_WHOLE = re.compile(r"\b(?:series|set|patchset|patch-set|all|both|whole|patches|them|these|everything|lot)\b")


def _applied(mail: Mail, sentences: Sequence[str], series: Series, patch: int, *, by_author: bool) -> Iterator[Told]:
    sentence = next((one for one in sentences if _is_applied(one)), None)
    if sentence is None:
        return
    listed = dict(_listed(mail))
    if by_author and not listed:
        return  # "applied": the reviewer's suggestion
    text = _shown(sentence)
    numbers = {patch.index for patch in series.patches}
    if listed:
        here = {number for number, done in listed.items() if done}
        if not here:
            return
    else:
        here = _named(sentence)
    if here and not numbers <= here:
        yield from (Told(number, mail.message_id, text) for number in sorted(here & numbers))
    elif here or patch == 0 or series.expected <= 1 or _WHOLE.search(sentence):
        yield Told(None, mail.message_id, text)
    else:
        yield Told(patch, mail.message_id, text)


def _is_applied(sentence: str) -> bool:
    if sentence.endswith("?"):
        return False
    if _SUMMARY.match(sentence) or _NOW_IN.match(sentence) or _FIRST.match(sentence):
        return True
    if sentence.startswith("the patch titled ") and " has been added to the -mm " in sentence:
        return True
    if match := _APPLIED_HEAD.match(sentence):
        verb, rest = match["verb"], match["rest"]
        head = sentence[: match.start("verb")]
        if _APPLIED_NOT.search(rest):
            return False
        where = _WHERE.match(rest)
        tree = bool(where and _TREE.search(rest, where.end()))
        if verb == "applied":
            # "I applied the patch": who tests it says so, too
            tries = re.search(r"\b(?:i|we)\s*$", head)
            return tree or not tries or bool(re.search(r"\bthanks?\b", rest))
        if verb in ("queued", "picked", "staged", "pulled") and re.fullmatch(r"(?: up)?[\s.,!:]*(?:thank.*)?", rest):
            return True
        if verb == "queued" and where:
            return True
        return tree and (verb != "added" or " to " in rest)
    if _TAKING.match(sentence):
        return True
    match = _BEEN.match(sentence)
    return bool(
        match
        and _BEEN_WHAT.fullmatch(match["what"])
        and not _APPLIED_NOT.search(match["rest"])
        and _TREE.search(match["rest"])
    )


def _listed(mail: Mail) -> Iterator[tuple[int, bool]]:
    """The patches that a tool lists as applied or not: (number, applied)."""
    number = None
    for line in own_lines(mail):
        if match := _LISTED.match(line):
            number = int(match[1])
        elif number is not None and _NO_COMMIT.search(line):
            yield number, False
            number = None
        elif number is not None and _COMMIT.match(line):
            yield number, True
            number = None


def _named(sentence: str) -> set[int]:
    """The numbers of the patches that a sentence names."""
    named: set[int] = set()
    if match := _FIRST.match(sentence):
        count = _WORDS.get(match[1]) or (int(match[1]) if match[1].isdecimal() else 0)
        named.update(range(1, min(count, 1000) + 1))
    for match in _NUMBERS.finditer(sentence):
        first = int(match[1])
        named.update(range(first, int(match[2] or first) + 1))
        named.update(map(int, re.findall(r"\d{1,3}", match[3])))
    return named


# --- the author takes it back ----------------------------------------------------------------------

_IT = (
    r"(?:(?:this|the|these|my|that|those|both)\s)?(?:(?:whole|entire|previous|earlier|current|old|v?\d+|patch|rfc"
    r"|single"
    r"|first|duplicate)\s){0,3}(?:series|patch(?:es|set)?|patch[ -]set|set|posting|submission|version|revision"
    r"|v\d+\b|mail"
    r"|e-?mail|thread|one|it|this|these|them|resend|pull)\b"
)
# "ignore this comment" is not about the patch
_OTHER = (
    r"(?!['\w]|\s*-|\s+(?:comment|question|remark|part|hunk|line|check|sentence|paragraph|message|report|noise"
    r"|suggestion"
    r"|change|chunk|bit|warning|error|issue|case|test|function|field|flag|header|code|section|note|reply|response"
    r"|point"
    r"|of the|in the|from the|helper|bool\w*|argument|param\w*|variable|macro|include|trailer|tag)s?\b)"
)
_IGNORE = re.compile(
    rf"\b(?:please|pls|plz|kindly)\b.{{0,30}}?\b(?:ignore|disregard|drop|discard|skip|scrap|(?:don't|do not)"
    rf" (?:apply|merge|take|queue|pick(?: up)?|review|pull|bother with))(?:\s+{_IT}{_OTHER}|\s*[.!,;:-]*(?:$"
    rf"|\s+(?:sorry|i|we|will|the v)\b))"
)
_IGNORE_AT_ONCE = re.compile(
    rf"\W{{0,3}}(?:(?:sorry|oops|argh|hmm|ok|actually|hi \w{{1,20}})[,.! ]{{1,3}})?(?:ignore|disregard|drop|scrap"
    rf"|discard)"
    rf"(?:,?\s+(?:please|pls)\b)?(?:\s+(?!it\b|them\b|that\b){_IT}{_OTHER}|[.,!]|$)"
)
_AGAIN = re.compile(
    r"\b(?:i'll|i will|i am going to|i'm going to|we'll|we will|will|let me|going to|about to|i am"
    r"|i'm)\b[^?]{0,40}?\b"
    r"(?:re-?send(?:ing)?|re-?post(?:ing)?|re-?spin(?:ning)?|re-?submit(?:ting)?|re-?roll(?:ing)?"
    r"|(?:send|sending|post|posting|submit|submitting|prepare|spin|cook|roll|issue)\s+(?:(?:out|up|you)\s)?"
    r"(?:(?:a|an|the|my|this|as|it as|them as|it in a|new|updated|next|fixed|corrected|another|revised|proper"
    r"|better|patch)\s){0,4}"
    r"(?:version|revision|v\d{1,3}|series|patch ?set|spin|respin|reroll))\b"
)
_AGAIN_NOT = re.compile(
    r"\b(?:if|unless|whether|not|n't|never|should|shall|could|would|can|might|may|until|wait for|in case|before"
    r"|as (?:a )?"
    r"separate|separate(?:ly)?|follow-?up|another (?:patch|patchset|series)|different (?:patch|series)|either"
    r"|depend\w*)\b|n't\b"
)
_GONE = re.compile(
    r"\bself[- ]?nac?k(?:ed)?\b|\bnac?k(?:ed)?(?:ing)? (?:this|my own|from me|by me|to this|to my)\b|\bwithdraw(?:ing"
    r"|n)?\b"
    r" (?:this|the|my|it)\b|\b(?:this|the|my) (?:patch|series|version|set|v\d+) (?:is|was|can be|has been|should be"
    r"|is now)"
    r" (?:withdrawn|obsolete|superseded|dropped|ignored|discarded|bogus|no longer (?:needed|necessary|required))\b"
    r"|\bscrap (?:this|that) (?:patch|series|version)\b|\b(?:i|we) (?:hereby )?(?:retract|withdraw)\b"
    r"|\bplease hold off\b"
)
_GONE_NOT = re.compile(r"\b(?:if|once|unless|when|not|whether|would|could)\b|n't\b")
_ALL_OF_IT = re.compile(
    r"\b(?:series|set|patch ?set|patches|version|revision|v\d+|thread|posting|all|resen[dt]|respin|spin)\b"
)
_ONE_OF_IT = re.compile(r"\b(?:drop|patch|one)\b")
_REVISION = re.compile(r"\bv(\d{1,3})\b")


def _retracted(mail: Mail, sentences: Sequence[str], series: Series, patch: int) -> Told | None:
    """The author's word that this posting or patch is not what is wanted any more."""
    for sentence in sentences:
        if sentence.endswith("?"):
            continue
        again = _AGAIN.search(sentence)
        if again and not _AGAIN_NOT.search(sentence):
            number = _REVISION.search(again[0])
            if number is None or int(number[1]) > series.revision:
                return Told(None, mail.message_id, _shown(sentence))
        ignore = _IGNORE.search(sentence) or _IGNORE_AT_ONCE.match(sentence)
        if ignore:
            number = _REVISION.search(ignore[0])
            if number and int(number[1]) != series.revision:
                continue
            one = (
                patch != 0
                and series.expected > 1
                and bool(_ONE_OF_IT.search(ignore[0]))
                and not _ALL_OF_IT.search(ignore[0])
            )
            return Told(patch if one else None, mail.message_id, _shown(sentence))
        if _GONE.search(sentence) and not _GONE_NOT.search(sentence):
            one = patch != 0 and series.expected > 1 and not _ALL_OF_IT.search(sentence)
            return Told(patch if one else None, mail.message_id, _shown(sentence))
    return None


# --- said already ----------------------------------------------------------------------------------

# Within so many quoted lines below the line somebody must have a word of his own for it to be about the line.
_BELOW = 3
# Lines that stand in every function: they count only where the function is quoted, too.
_SHORT = 20

_MARKS = re.compile(r"\s{0,3}(?:>\s?)+")
_HEADER = ("@@ -", "diff --git ", "index ", "--- ", "+++ ", "diff -")
_PLACE = re.compile(r":(\d{1,7})(?=[:,\s)\]]|$)")


class _Wanted(NamedTuple):
    finding: Finding
    text: str  # its line, white space squeezed
    rooted: bool  # it counts only below its function's name


def _said(replies: Sequence[tuple[Mail, int]], findings: Sequence[Finding]) -> Iterator[Said]:
    done: set[str] = set()
    by_patch: dict[int, list[_Wanted]] = {}
    for wanted in _wanted(findings):
        by_patch.setdefault(wanted.finding.patch.index, []).append(wanted)
    every = [wanted for group in by_patch.values() for wanted in group]
    known = {index: _Known(group) for index, group in (*by_patch.items(), (0, every))}
    for mail, patch in replies:
        if not (look := known.get(patch)):
            continue
        for finding in look.read(mail):
            if finding.fingerprint not in done:
                done.add(finding.fingerprint)
                yield Said(finding.fingerprint, mail.message_id)


def _wanted(findings: Sequence[Finding]) -> Iterator[_Wanted]:
    counts: dict[int, dict[str, int]] = {}
    for finding in findings:
        patch = finding.patch
        text = squeeze(finding.span.text)
        if finding.span.kind is SpanKind.HEADER or not text:
            continue
        if patch.index not in counts:
            here = counts[patch.index] = {}
            for line in patch.mail.body:
                squeezed = squeeze(line[1:] if line[:1] in "+- " else line)
                here[squeezed] = here.get(squeezed, 0) + 1
        rooted = len(text) < _SHORT or counts[patch.index].get(text, 0) > 1
        if finding.span.kind is SpanKind.MESSAGE:
            rooted = False  # a sentence of the message has no function
            if len(text) < _SHORT // 2:
                continue
        if not rooted or finding.function:
            yield _Wanted(finding, text, rooted)


class _Known:
    """The findings of one patch, or of all, as they are looked for in a mail."""

    def __init__(self, wanted: Sequence[_Wanted]) -> None:
        self._lines: dict[str, list[_Wanted]] = {}
        self._starts: dict[str, list[_Wanted]] = {}
        self._places: dict[int, list[Finding]] = {}
        self._functions = {one.finding.function for one in wanted if one.rooted and one.finding.function}
        for one in wanted:
            self._lines.setdefault(one.text, []).append(one)
            if len(one.text) > PREFIX:
                self._starts.setdefault(one.text[:PREFIX], []).append(one)
            if one.finding.span.kind is SpanKind.SOURCE:
                self._places.setdefault(one.finding.span.line, []).append(one.finding)

    def read(self, mail: Mail) -> Iterator[Finding]:
        """The findings whose line the mail quotes with a word below it, or names as file:line."""
        pending: list[tuple[int, Finding]] = []  # (quoted lines until it is out of reach, finding)
        functions: set[str] = set()  # those named since the last @@
        speech: list[str] = []
        for line in mail.body:
            if ":" in line:
                yield from self._named(line)
            match = _MARKS.match(line) if ">" in line[:4] else None
            if match is None:
                if line.rstrip() == "--":
                    break
                if pending:
                    speech.append(line)
                continue
            if speech and substantive(speech):
                yield from (finding for _, finding in pending)
                pending = []
            speech = []
            text = line[match.end() :][:2000]
            if text.startswith(_HEADER):
                pending = []
            if self._functions:
                if text.startswith("@@ -"):
                    functions = set()
                functions.update(self._functions.intersection(re.findall(r"\w+", text)))
            if not text.strip() and pending:
                continue
            pending = [(left - 1, finding) for left, finding in pending if left > 0]
            for one in self._quoted(text):
                if not one.rooted or one.finding.function in functions:
                    pending.append((_BELOW, one.finding))
        if speech and substantive(speech):
            yield from (finding for _, finding in pending)

    def _quoted(self, text: str) -> Iterator[_Wanted]:
        whole = squeeze(text)
        bare = squeeze(text[1:]) if text[:1] in "+- " else whole
        for squeezed in dict.fromkeys((bare, whole)):
            exact = self._lines.get(squeezed, ())
            yield from exact[:50]
            if not exact and len(squeezed) >= PREFIX:
                near = self._starts.get(squeezed[:PREFIX], ())
                cut = squeezed.removesuffix("...").removesuffix("…").rstrip()
                yield from (one for one in near[:50] if one.text.startswith(cut))

    def _named(self, line: str) -> Iterator[Finding]:
        for match in _PLACE.finditer(line[:2000]):
            for finding in self._places.get(int(match[1]), ())[:50]:
                before = line[: match.start()]
                if before.endswith(finding.span.path) and not before[: -len(finding.span.path)][-1:].isalnum():
                    yield finding
