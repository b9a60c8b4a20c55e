# SPDX-License-Identifier: GPL-2.0-or-later
"""What is to be said of a posting, as things stand now, or why nothing is.

Belongs here: the order in which a posting is judged: its lists, its thread, the review, what was said and answered
before, what others said; and the mails that come of it. Does not belong here: each judgement (`policy`, `news`,
`selection`), queueing and sending (`delivery`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from glob import escape
from typing import NamedTuple

from reviewbot.base import find_base
from reviewbot.bot.answering import Answering
from reviewbot.bot.archives import parse
from reviewbot.bot.site import Site
from reviewbot.engine import review
from reviewbot.finding import Finding, Review
from reviewbot.gather import Around, gather
from reviewbot.ledger import FindingState, MailState, Outgoing, Posting, Row, Seen
from reviewbot.mail import fold_title
from reviewbot.model import BaseHow, Confidence, Mail, ReviewbotError, Series
from reviewbot.news import News, read_news
from reviewbot.patchwork import is_configured, states
from reviewbot.policy import (
    Mode,
    Reason,
    Sent,
    Terms,
    Verdict,
    is_list,
    judge_caps,
    judge_series,
    selection_of,
    terms_of,
)
from reviewbot.recipients import Per, ReplySettings, recipients
from reviewbot.reply import Earlier, History, fingerprints_of, make_replies, message_id, serialise, target_of
from reviewbot.revisions import find_series
from reviewbot.rule import Over, Rule
from reviewbot.selection import FOLDED, IGNORED, PREEXISTING, RESOLVED, folded, select

_DAY = timedelta(days=1)
# A mail that claims to be so much older or newer than its arrival has a wrong date.
_WRONG = timedelta(days=60)
# Mails of ours above a posting: who posts in answer to so many of them is a program that nothing else gives away.
_TURNS = 5
# How the reasons begin why a finding that was said or answered is not said again.
_KNOWN = ("already said", "answered")


class Draft(NamedTuple):
    """A reply that could be sent."""

    message_id: str  # without brackets
    target: str
    kind: str
    recipients: tuple[str, ...]
    lists: tuple[str, ...]
    raw: bytes
    fingerprints: tuple[str, ...]


class Weighed(NamedTuple):
    """What is to be said of a posting, or why nothing is."""

    series: Series
    posting: Posting
    members: tuple[str, ...]
    terms: Terms
    verdict: Verdict | None  # None where there are drafts
    drafts: tuple[Draft, ...]
    review: Review | None  # None where it was not reviewed
    fixed: tuple[Row, ...]  # mailed before, gone now, and not yet told
    said_by: Mapping[str, str]  # fingerprint -> Message-ID of who else said it
    thread: frozenset[str]


class Weighing:
    """Weighs postings; what it finds out of them is noted by `record`."""

    def __init__(self, site: Site, answering: Answering) -> None:
        self.site, self.answering = site, answering

    def weigh(self, name: str, row: Outgoing | None = None, *, manual: bool = False) -> Weighed:
        """What is to be said of the posting that a mail belongs to, as things stand now.

        `row` is a mail about to be sent: waiting and caps are behind it, and its kind is kept. `manual` is
        for a person who does not wait. Raises what the source raises, InputError where there is no posting.
        """
        raws = self.site.source.thread(name)
        found = find_series(self.site.source, raws, name)
        series = found.series
        mails = [mail for raw in raws if (mail := parse(raw)) is not None]
        members = tuple(
            dict.fromkeys(
                mail.message_id
                for mail in (*([series.cover.mail] if series.cover else ()), *(p.mail for p in series.patches))
                if mail.message_id
            )
        )
        posting = self._register(series, members, mails)
        self.answering.obey(members)
        lists = tuple(dict.fromkeys(
            self.site.config.source[name].list.lower()
            for member in members
            for name, _ in self.site.ledger.places(member)
            if name in self.site.config.source and self.site.config.source[name].list
        ))  # fmt: skip
        terms = terms_of(series, self.site.config, (*self.site.via, *lists))
        thread = frozenset(mail.message_id for mail in mails)
        base = Weighed(series, posting, members, terms, None, (), None, (), {}, thread)
        verdict = self._verdict(base, row, manual=manual)
        news = read_news(series, mails, (), self.site.own)
        if verdict is None:
            verdict = _news_verdict(news, series)
        wants_check = is_configured(self.site.config.patchwork) and (
            verdict is None or verdict.reason in (Reason.LIST_OFF, Reason.UNKNOWN_LIST)
        )
        if verdict is not None and not wants_check:
            return base._replace(verdict=verdict)
        weighed = self._review(base, mails, found.raws, row)
        return weighed._replace(verdict=verdict, drafts=()) if verdict is not None else weighed

    def _register(self, series: Series, members: Sequence[str], mails: Sequence[Mail]) -> Posting:
        above = {name for mail in mails if mail.message_id in members for name in (*mail.references, mail.in_reply_to)}
        first = series.cover.mail if series.cover else series.patches[0].mail
        # who sent it, or whom a relay or list sent it for. Not whom the body names as author: anybody can write that
        # and would be taken for the one whose series it is
        settings = self.site.settings._replace(is_list=lambda email: is_list(email, self.site.config))
        found = recipients(first, first.sender, settings).author
        author = (found or first.sender).email.lower()
        return self.site.ledger.add_posting(
            members,
            revision=series.revision,
            subject=series.subject[:500],
            author=author,
            titles=self._titles(series),
            change_id=series.change_id,
            answers=[name for name in above if name and name not in members],
            arrived=self.site.ledger.arrived(members) or self.site.now(),
        )

    def _titles(self, series: Series) -> list[str]:
        """Of the cover letter and the first patch, as the ledger has them."""
        subjects = [series.cover.subject if series.cover else None, *(p.subject for p in series.patches[:1])]
        return [fold_title(subject.title) for subject in subjects if subject is not None and subject.title]

    def _verdict(self, base: Weighed, row: Outgoing | None, *, manual: bool) -> Verdict | None:
        series, posting, terms = base.series, base.posting, base.terms
        if not self.site.settings.configured and terms.mode is not Mode.OFF:
            return Verdict(Reason.NO_SENDER, "no [reply] sender is configured")
        verdict = judge_series(series, terms, self.site.config, arrived=posting.arrived, now=self.site.now())
        # a person need not wait, and may answer what is old
        by_hand = manual or (row is not None and row.manual)
        passed = (Reason.WAITING, Reason.TOO_OLD) if by_hand else (Reason.WAITING,) if row else ()
        if verdict is not None and verdict.reason not in passed:
            return verdict
        if series.warnings and any("numbered" in warning for warning in series.warnings):
            return Verdict(Reason.INCOMPLETE, series.warnings[0][:200])
        ours = {
            message_id(member, series.revision, self.site.settings, per).strip("<>")
            for member in base.members
            for per in Per
        }
        if not row and (there := sorted(ours & base.thread)) and not self.site.ledger.outgoing_of(posting.id):
            # another ledger's: a second host, or this one was lost
            return Verdict(Reason.ALREADY_SAID, f"the thread has <{there[0]}>")
        first = series.cover.mail if series.cover else series.patches[0].mail
        turns = self.site.ledger.count_ours((*first.references, *([first.in_reply_to] if first.in_reply_to else [])))
        if turns >= _TURNS:
            return Verdict(Reason.ROBOT, f"it answers {turns} mails of ours")
        if posting.author in self.site.ledger.opted_out():
            return Verdict(Reason.OPTED_OUT, "the author asked for no mail")
        if stopped := self.site.ledger.stopped(posting.series):
            return Verdict(Reason.OPTED_OUT, f"stopped by <{stopped}>")
        newer = [
            other
            for other in self.site.ledger.postings(posting.series)
            # a title is used again: what is older was no newer revision
            if other.revision > posting.revision and other.arrived >= posting.arrived
        ]
        if newer:
            return Verdict(Reason.SUPERSEDED, f"v{newer[-1].revision} is known")
        arrived = self.site.ledger.has_newer(
            first.sender.email.lower(), self._titles(series), posting.revision, posting.arrived
        )
        if arrived:
            return Verdict(Reason.SUPERSEDED, f"v{arrived} has come in")
        if row or manual:
            return None
        return self.caps(base, queued=True)

    def caps(self, base: Weighed, *, queued: bool) -> Verdict | None:
        sums = self.site.ledger.sums(base.posting.author, base.terms.lists, self.site.now() - _DAY, queued=queued)
        out = [
            mail
            for mail in self.site.ledger.outgoing_of(base.posting.id)
            if mail.state in (MailState.SENT, MailState.UNCERTAIN)
        ]
        return judge_caps(Sent(len(out), sums.author, sums.day, dict(sums.lists)), base.terms, self.site.config)

    def _room(self, base: Weighed) -> int:
        """How many mails this posting may get."""
        sums = self.site.ledger.sums(base.posting.author, base.terms.lists, self.site.now() - _DAY, queued=True)
        lists = dict(sums.lists)
        return min(
            base.terms.max_per_series,
            base.terms.max_per_author - sums.author,
            self.site.config.policy.max_per_day - sums.day,
            *(most - lists.get(name, 0) for name, most in base.terms.max_per_list),
        )

    def _review(self, base: Weighed, mails: Sequence[Mail], raws: Sequence[bytes], row: Outgoing | None) -> Weighed:
        series, posting, terms = base.series, base.posting, base.terms
        reviewed = self._run_rules(base, raws)
        wanted = selection_of(terms, self.site.config)
        answered = self.answering.answered(posting, reviewed.findings)
        said = self.site.ledger.said(posting, series.change_id, base.thread)
        known = {**{name: f"already said in <{by}>" for name, by in said.items()}, **answered}
        chosen = select(reviewed, wanted._replace(known=known))
        news = read_news(series, mails, chosen.shown, self.site.own)
        others = {one.fingerprint: one.message_id for one in news.said}
        for finding in chosen.shown:
            # who speaks of one place has spoken of those that would be named with it
            if finding.fingerprint in others:
                others |= {one.fingerprint: others[finding.fingerprint] for one in folded(finding, chosen.findings)}
        gone = _gone(news, series)
        if others or gone:
            known |= {name: f"said by <{by}>" for name, by in others.items()}
            known |= {
                f.fingerprint: "the patch was applied or taken back" for f in chosen.findings if f.patch.index in gone
            }
            chosen = select(reviewed, wanted._replace(known=known))
        fixed = self._fixed(posting, terms, chosen, said)
        # as they were said: places of one remark count as one
        still = {
            (f.rule, f.message, f.patch.index) for f in chosen.findings if (f.why_not_shown or "").startswith(_KNOWN)
        }
        weighed = base._replace(review=chosen, fixed=fixed, said_by=others)
        if not chosen.shown:
            return weighed._replace(verdict=_silence(chosen))
        earlier = dict.fromkeys(Earlier(one.rule, one.path, one.last) for one in fixed)
        history = History(tuple(earlier), len(still))
        room = len(series.patches) if row else max(1, self._room(base))
        settings = self._settings(terms, room, row)
        made = make_replies(chosen, settings, now=self.site.now(), history=history)
        if not made:
            return weighed._replace(verdict=Verdict(Reason.NO_AUTHOR, "nobody can be written to"))
        drafts = []
        for message in made:
            to = [
                address.addr_spec.lower()
                for name in ("To", "Cc")
                for address in getattr(message[name], "addresses", ())
            ]
            drafts.append(
                Draft(
                    message_id=str(message["Message-ID"]).strip("<>"),
                    target=target_of(message) or "",
                    kind=str(message["Message-ID"]).split(".")[1],
                    recipients=tuple(to),
                    lists=tuple(name for name in to if name in terms.lists),
                    raw=serialise(message),
                    fingerprints=fingerprints_of(message),
                )
            )
        return weighed._replace(drafts=tuple(drafts))

    def _run_rules(self, base: Weighed, raws: Sequence[bytes]) -> Review:
        series, arrived, terms = base.series, base.posting.arrived, base.terms
        files = None
        mail = series.cover.mail if series.cover else series.patches[0].mail
        wrong = mail.date is None or abs(mail.date - arrived) > _WRONG
        if wrong and series.base.how in (BaseHow.DATE, BaseHow.UNKNOWN):
            # the sender's clock is wrong: the archive's tells which kernel was the newest
            series = series._replace(base=find_base(None, [patch.subject for patch in series.patches], [arrived]))
        if self.site.tree is not None:
            try:
                found = self.site.tree.find_base(series)
                if found.commit is not None:
                    series = series._replace(base=found.base)
                    files = self.site.tree.files(found.commit)
            except ReviewbotError as error:
                self.site.trouble(error)
        # whether it applies to branches is no reason to write: they move on while people sleep
        around = Around(source=self.site.source, raws=raws, files=files, opened=self.site.index, at=arrived)
        return review(series, self._rules(terms), None, files, None, gather(series, around))

    def _rules(self, terms: Terms) -> list[Rule]:
        """Those that are run. What a rule over a series finds takes other threads to be read: not for silence."""
        low = terms.confidence is Confidence.LOW
        return [
            rule
            for rule in self.site.rules
            if rule.over is Over.CODE
            or (rule.severity.rank <= terms.severity.rank and (low or rule.confidence is Confidence.HIGH))
        ]

    def _fixed(self, posting: Posting, terms: Terms, chosen: Review, said: Mapping[str, str]) -> tuple[Row, ...]:
        """Findings that were mailed for an earlier revision, are gone, and were not told to be."""
        if chosen.errors:
            return ()  # what could not be read may still have them
        present = {finding.fingerprint for finding in chosen.findings}
        rules = {rule.name for rule in self._rules(terms)}
        return tuple(
            row
            for row in self.site.ledger.findings(posting.series)
            if row.fingerprint in said
            and row.fingerprint not in present
            and row.rule in rules
            and row.last < posting.revision
            and not row.fix_told
            and row.state in (FindingState.OPEN, FindingState.FIXED)
        )

    def _settings(self, terms: Terms, most: int, row: Outgoing | None) -> ReplySettings:
        draft = terms.mode is Mode.DRAFT
        directory = terms.template_dir or self.site.config.reply.template_dir
        return self.site.settings._replace(
            per=Per(row.kind) if row else Per(terms.per or "patch"),
            max_mails=0 if row else most,
            template_dir=os.path.expanduser(directory) or None,
            author_only=terms.mode is Mode.AUTHOR,
            opted_out=(*self.site.config.policy.opted_out, *map(escape, self.site.ledger.opted_out())),
            robots=self.site.config.policy.bots,
            lists=None if draft else frozenset(terms.lists),
            is_list=lambda email: is_list(email, self.site.config),
            action_required=terms.action_required,
        )

    def record(self, weighed: Weighed, chosen: Review) -> None:
        posting = weighed.posting
        sayable = [f for f in chosen.findings if not f.preexisting and f.resolved_by is None and _sayable(f)]
        seen = [
            Seen(f.fingerprint, f.rule, f.severity, f.span.path[:500], f.function, f.message[:500]) for f in sayable
        ]
        present = {finding.fingerprint for finding in chosen.findings}
        rules = set() if chosen.errors else {rule.name for rule in self._rules(weighed.terms)}
        self.site.ledger.record(posting, seen, present, rules, self.site.now())
        for fingerprint in weighed.said_by:
            self.site.ledger.set_finding(posting.series, fingerprint, FindingState.SUPPRESSED)
        for answer, names in self.answering.answered(posting, sayable).items():
            if names.startswith("answered in"):
                self.site.ledger.set_finding(posting.series, answer, FindingState.ANSWERED)
        if is_configured(self.site.config.patchwork):
            # what was said of an earlier revision and is still there keeps its check red; what was answered does not
            counted = [
                f._replace(shown=True, why_not_shown=None)
                for f in sayable
                if not (f.why_not_shown or "").startswith("answered")
            ]
            for check in states(chosen, counted):
                self.site.ledger.want_check(check.message_id, check.state, check.description, self.site.now())


def _sayable(finding: Finding) -> bool:
    """It is said, or would be if it had not been said, answered, or made a place of another one."""
    why = finding.why_not_shown
    return finding.shown or why == FOLDED or (why is not None and why.startswith((*_KNOWN, "said by <")))


def _news_verdict(news: News, series: Series) -> Verdict | None:
    """The whole posting was taken back or applied."""
    patches = [patch.index for patch in series.patches]
    for reason, find in ((Reason.RETRACTED, news.retraction), (Reason.APPLIED, news.application)):
        told = [find(index) for index in patches]
        if told and all(told) and told[0]:
            return Verdict(reason, f"<{told[0].message_id}> says so")
    return None


def _gone(news: News, series: Series) -> frozenset[int]:
    """Patches that were taken back or applied."""
    patches = [patch.index for patch in series.patches]
    return frozenset(index for index in patches if news.retraction(index) or news.application(index))


def _silence(chosen: Review) -> Verdict:
    """Why a review says nothing."""
    hidden = [finding for finding in chosen.findings if not finding.preexisting and finding.resolved_by is None]
    whys = [finding.why_not_shown or "" for finding in hidden]
    for reason, begin in (
        (Reason.ALREADY_SAID, "already said"),
        (Reason.ANSWERED, "answered"),
        (Reason.SAID_BY_OTHER, "said by <"),
        (Reason.ANSWERED, f"{IGNORED}: "),
        (Reason.APPLIED, "the patch was"),
    ):
        if said := [why for why in whys if why.startswith(begin)]:
            return Verdict(reason, f"{count(len(said), 'finding')}: {said[0]}"[:200])
    if any(why in ("low confidence", "severity") for why in whys):
        return Verdict(Reason.BELOW_MINIMUM, f"{count(len(hidden), 'finding')} below the list's minimum")
    resolved = [f.why_not_shown for f in chosen.findings if (f.why_not_shown or "").startswith(RESOLVED)]
    old = sum(finding.why_not_shown == PREEXISTING for finding in chosen.findings)
    told = [f"{count(len(resolved), 'finding')} {resolved[0]}"] if resolved else []
    told += [f"{count(old, 'finding')} from before the patches"] if old else []
    return Verdict(Reason.NOTHING_FOUND, ", ".join(told))


def count(number: int, what: str) -> str:
    """'2 findings'."""
    return f"{number} {what}{'' if number == 1 else 's'}"
