# SPDX-License-Identifier: GPL-2.0-or-later
"""What the bot would send if these patches were posted now: the policy's answer before anybody has the mail.

Belongs here: the question. The answer is `policy`'s, `selection`'s and `reply`'s own: nothing is decided here. What
only a list's archive knows (caps, what was said of an earlier revision, what people answer meanwhile) plays no part.
Pure but for the clock.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from reviewbot.config import Config, list_defaults
from reviewbot.dossier import cover_patch
from reviewbot.finding import Finding, Forecast, Review, Silence
from reviewbot.model import Address, Patch, Series
from reviewbot.policy import Reason, Terms, is_list, judge_series, selection_of, terms_of
from reviewbot.recipients import Per, plan, reply_settings
from reviewbot.selection import FOLDED, IGNORED, LOW_CONFIDENCE, SAID_BY, SEVERITY, select

# Stands for the list where none is known that the patches will go to.
_SOME_LIST = "some-list@lists.invalid"


def forecast(review: Review, config: Config, addresses: Collection[str] = ()) -> Forecast:
    """What the bot would make of a review.

    `addresses` are those that the mails will go to, beside their own To: and Cc:. The lists among them that are
    configured decide on which terms, as they would on the list; where none is, a list with the defaults of [policy]
    does. Findings of other tools are not the bot's to tell.
    """
    now = datetime.now(UTC)
    series, config = _addressed(_named(review.series), config, addresses)
    mails = [*([series.cover.mail] if series.cover else []), *(patch.mail for patch in series.patches)]
    lists = [name for mail in mails for a in (*mail.to, *mail.cc) if (name := a.email.lower()) in config.list]
    terms = terms_of(series, config, lists)
    patches = dict(zip((patch.index for patch in _mailed(review.series)), series.patches, strict=True))
    numbers = {patch.index: index for index, patch in patches.items()}
    if series.cover:
        patches[0] = cover_patch(series.cover)
        numbers[0] = 0
    findings = tuple(
        finding._replace(patch=patches[finding.patch.index]) for finding in review.findings if finding.rule_id
    )
    told = [name for name in dict.fromkeys(lists) if name != _SOME_LIST]
    # as if it had waited long enough
    verdict = judge_series(series, terms, config, arrived=now - min(terms.wait, timedelta(days=1)), now=now)
    if verdict is not None and verdict.reason is not Reason.WAITING:
        return Forecast(0, 0, (), tuple(told), f"{verdict.reason}: {verdict.text}")
    chosen = select(review._replace(series=series, findings=findings), selection_of(terms, config))
    settings = reply_settings(config)._replace(
        per=Per(terms.per or "patch"),
        max_mails=terms.max_per_series,
        opted_out=config.policy.opted_out,
        robots=config.policy.bots,
        is_list=lambda email: is_list(email, config),
    )
    _, groups = plan(chosen, settings)
    mailed = {finding.patch.index for _, group in groups for finding in group}
    silent = [
        Silence(numbers[index], why)
        for index in sorted({finding.patch.index for finding in findings} - mailed)
        if (why := _why([f for f in chosen.findings if f.patch.index == index], terms))
    ]
    return Forecast(len(groups), sum(len(group) for _, group in groups), tuple(silent), tuple(told), None)


def _why(findings: list[Finding], terms: Terms) -> str | None:
    """Why nothing is said of a patch; None where there is nothing that could be."""
    whys = [finding.why_not_shown or "" for finding in findings if not finding.preexisting]
    # what is said with another finding is said
    whys = [why for why in whys if why != FOLDED and not why.startswith(SAID_BY)]
    for begin, text in (
        (SEVERITY, f"less than {terms.severity}"),
        (LOW_CONFIDENCE, "low confidence"),
        (IGNORED, "ignored"),
    ):
        if any(why.startswith(begin) for why in whys):
            return text
    return next((why for why in whys if why), None)


def _mailed(series: Series) -> list[Patch]:
    """Without the commits that change nothing: git format-patch makes no mail of them."""
    patches = [patch for patch in series.patches if patch.files or patch.unreadable or not patch.commit]
    return patches or list(series.patches)


def _named(series: Series) -> Series:
    """With Message-IDs, which commits get when they are mailed: a reply needs one to answer."""

    def name(patch: Patch) -> Patch:
        if patch.mail.message_id:
            return patch
        return patch._replace(mail=patch.mail._replace(message_id=f"{patch.index}@to-be-sent.invalid"))

    cover = series.cover
    if cover and not cover.mail.message_id:
        cover = cover._replace(mail=cover.mail._replace(message_id="0@to-be-sent.invalid"))
    mailed = _mailed(series)
    if gone := len(series.patches) - len(mailed):
        mailed = [patch._replace(index=number) for number, patch in enumerate(mailed, 1)]
    return series._replace(cover=cover, patches=tuple(map(name, mailed)), expected=series.expected - gone)


def _addressed(series: Series, config: Config, addresses: Collection[str]) -> tuple[Series, Config]:
    """The series with the addresses that it will go to, and the configuration with a list among them."""
    mails = [*([series.cover.mail] if series.cover else []), *(patch.mail for patch in series.patches)]
    known = {address.email.lower() for mail in mails for address in (*mail.to, *mail.cc)}
    more = [name.lower() for name in addresses if name.lower() not in known]
    if not any(name in config.list for name in (*known, *more)):
        table = list_defaults(config.policy, mode="author+list", send="auto")
        # of lists that have no table the one stands for all
        policy = config.policy._replace(unknown_list="leave-out")
        config = config._replace(list={**config.list, _SOME_LIST: table}, policy=policy)
        more.append(_SOME_LIST)
    if not series.patches or not more:
        return series, config
    first, *rest = series.patches
    to = (*first.mail.to, *(Address("", name) for name in more))
    return series._replace(patches=(first._replace(mail=first.mail._replace(to=to)), *rest)), config
