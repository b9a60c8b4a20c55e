# SPDX-License-Identifier: GPL-2.0-or-later
"""Who gets a reply, and which mails there are: the plan of an answer before a word of it is written.

Belongs here: recipients, what gets a mail of its own, the settings of replies. Does not belong here: headers and text
(`reply`), whether a mail may go out at all (`policy`, `ledger`, `send`). Pure, and light: `check` asks what the bot
would do.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import NamedTuple

from reviewbot import __version__
from reviewbot.config import Config
from reviewbot.finding import Finding, Review
from reviewbot.model import Address, ConfigError, Mail, Series

MAX_RECIPIENTS = 500  # more in one mail is refused by many servers

# `.invalid` can never be delivered to (RFC 2606): whoever sends must set a real, monitored address
UNCONFIGURED = Address("reviewbot", "sender-is-not-configured@reviewbot.invalid")

# Addresses that no review mail belongs to: those that act on mail, logs of commits, b4's web relay.
NEVER = ("stable@vger.kernel.org", "stable@kernel.org", "*-commits@*", "devnull+*@kernel.org")

# Addresses of programs that write to kernel lists, in lower case: neither answered nor copied.
ROBOTS = (
    "lkp@intel.com",  # kernel test robot
    "*-lkp@intel.com",
    "oe-kbuild@*",
    "oe-kbuild-all@*",
    "kbuild-all@*",
    "syzbot*@*",
    "*@syzkaller.appspotmail.com",
    "patchwork*@*",
    "patchew*@*",
    "snowpatch*@*",
    "sashiko*@*",
    "kernelci*@*",
    "lkft@linaro.org",
    "bugzilla*@*",
    "buildbot*@*",
    "gitolite*@*",
    "tip-bot*@*",
    "bot@*",
    "bot+*@*",  # bpf-ci: bot+bpf-ci@kernel.org
    "*-bot@*",
    "*-bot+*@*",
    "*+bot@*",
    "*.bot@*",
    "robot@*",
    "*-robot@*",
    "*@bots.*",
    "ci@*",
    "*-ci@*",
    "postmaster@*",
    "*-daemon@*",
    "notifications@github.com",
    "no-reply@*",
    "noreply@*",
    "no_reply@*",
    "donotreply@*",
    "do-not-reply@*",
    "*-noreply@*",
    "*.noreply@*",
    "*@noreply.*",
    "*@*.noreply.*",  # users.noreply.github.com takes no mail
)
_EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?", re.A)
_MAX_EMAIL = 254  # RFC 5321, 4.5.3.1.3

# not so long that it could not stand on one line behind the header's name
MESSAGE_ID = re.compile(r"(?!.*=\?)[!-;=?-~]{1,850}")

# A list or relay that writes under the author's name: "Ann Author via linux-foo", "'Ann' via B4 Relay"
_VIA = re.compile(r"\bvia\s", re.I)


class Per(StrEnum):
    """What gets a mail of its own."""

    PATCH = "patch"
    SERIES = "series"


class Recipients(NamedTuple):
    """Who gets a reply; nobody but whom the mail that is answered names."""

    author: Address | None  # To:; None where there is nobody to write to, and then there is no reply
    cc: tuple[Address, ...]


def no_list(_email: str) -> bool:
    """No address is known to be a mailing list's."""
    return False


class ReplySettings(NamedTuple):
    """How replies are made; the defaults make mails to read, not to send."""

    sender: Address = UNCONFIGURED
    domain: str = ""  # of the Message-IDs, one's own; '' takes the sender's
    per: Per = Per.PATCH
    template_dir: str | None = None  # its files go before the packaged ones, which are also there as packaged/NAME
    budget: int = 10  # findings in one mail, the most severe; the rest is counted
    docs: str | None = None  # URL of the rules' pages
    ruleset: str = __version__
    salt: str = ""  # goes into the Message-IDs
    author_only: bool = False  # no Cc
    opted_out: tuple[str, ...] = ()  # address patterns that never get mail, beside NEVER
    robots: tuple[str, ...] = ()  # further address patterns, beside ROBOTS
    lists: frozenset[str] | None = None  # lists that may get a copy, in lower case; None: a draft, all of them stay
    is_list: Callable[[str], bool] = no_list  # whether an address, in lower case, is a mailing list's
    max_mails: int = 0  # more patches with findings get one mail for the series; 0: no limit
    action_required: bool = False  # have Patchwork mark a reply with an error as unaddressed

    @property
    def configured(self) -> bool:
        """A sender was set: without one the mails must not go out."""
        return self.sender.email != UNCONFIGURED.email


def reply_settings(config: Config) -> ReplySettings:
    """How replies are made, as [reply] says. Raises ConfigError where the sender is no address or `per` is neither."""
    reply = config.reply
    from reviewbot.mime import addresses  # loads the email package, which a forecast without a sender does without

    sender = addresses(reply.sender) if reply.sender else ()
    if reply.sender and len(sender) != 1:
        raise ConfigError(f"'reply.sender' must be one address, not '{reply.sender}'")
    if reply.domain and not re.fullmatch(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", reply.domain):
        raise ConfigError(f"'reply.domain' must be a domain of one's own, not '{reply.domain}'")
    if reply.per not in tuple(Per):
        raise ConfigError(f"'reply.per' must be patch or series, not '{reply.per}'")
    return ReplySettings(
        sender=sender[0] if sender else ReplySettings().sender,
        domain=reply.domain,
        per=Per(reply.per),
        template_dir=os.path.expanduser(reply.template_dir) or None,
        budget=reply.budget,
        docs=reply.docs or None,
        salt=reply.salt,
    )


def plan(review: Review, settings: ReplySettings) -> tuple[Per, list[tuple[Target, list[Finding]]]]:
    """What mails there would be: of which kind, and of each what it answers and which findings are in it."""
    findings = [finding for finding in review.shown if not finding.preexisting and finding.resolved_by is None]
    if not findings:
        return settings.per, []
    per, groups = settings.per, list[tuple[Target, list[Finding]]]()
    if per is Per.PATCH:
        patches = {finding.patch.index: finding.patch for finding in findings}
        groups = [
            (target, [f for f in findings if f.patch.index == index])
            for index, patch in sorted(patches.items())
            if (target := _target(patch.mail, patch.author, settings))
        ]
    if per is Per.SERIES or 0 < settings.max_mails < len(groups):
        per, target = Per.SERIES, series_target(review.series, settings)
        groups = [(target, findings)] if target else []
    return per, groups


class Target(NamedTuple):
    """A mail that can be answered, and who gets the answer."""

    mail: Mail
    author: Address
    cc: tuple[Address, ...]


def series_target(series: Series, settings: ReplySettings) -> Target | None:
    """What one mail for the series answers: the cover letter, else the first patch that can be answered.

    None where none can.
    """
    mails = [(series.cover.mail, series.cover.author)] if series.cover else []
    mails += [(patch.mail, patch.author) for patch in series.patches]
    return next((target for mail, author in mails if (target := _target(mail, author, settings))), None)


def _target(mail: Mail, author: Address, settings: ReplySettings) -> Target | None:
    if not MESSAGE_ID.fullmatch(mail.message_id):
        return None
    who = recipients(mail, author, settings)
    return Target(mail, who.author, who.cc) if who.author else None


def recipients(mail: Mail, author: Address, settings: ReplySettings) -> Recipients:
    """Who gets a reply to `mail`; `author` is its in-body From: where it has one, else its sender.

    To: the author, that is the first person of: in-body From:; X-Original-From:, where a list or a relay
    has put itself into From:; Reply-To:; From:. Cc: whom the mail names besides, but for robots, who opted
    out, and lists that may not get a copy. Who opted out as an author gets no reply under another address.
    """
    name = mail.list_id.rpartition("<")[2].rstrip("> \t").lower() if mail.list_id else ""
    ours = (*NEVER, *ROBOTS, *(p.lower() for p in settings.robots), settings.sender.email.lower())
    opted_out = tuple(pattern.lower() for pattern in settings.opted_out)

    def listed(email: str) -> bool:
        # List-Id: <linux-mm.kvack.org>
        allowed = settings.lists is not None and email in settings.lists
        return allowed or settings.is_list(email) or email.replace("@", ".") == name

    def usable(email: str) -> bool:
        return bool(len(email) <= _MAX_EMAIL and _EMAIL.fullmatch(email)) and not _any(email, ours)

    def personal(address: Address) -> bool:
        email = address.email.lower()
        return usable(email) and not listed(email)

    munged = bool(_VIA.search(mail.sender.name)) or not personal(mail.sender)
    copied = {address.email.lower() for address in (*mail.to, *mail.cc)}
    # an in-body From: of the same address may have the better name
    same = author.email.lower() == mail.sender.email.lower()
    who, sender = ([], author) if same else ([author], mail.sender)
    if munged:
        who += [mail.original_from] if mail.original_from else []
        who += mail.reply_to
    else:
        # a list nobody told us of, which writes itself into Reply-To:, is among the recipients, too
        answers = [address for address in mail.reply_to if address.email.lower() not in copied]
        both = any(address.email.lower() == sender.email.lower() for address in answers)
        who += [sender] if both else [*answers, sender]
    to = next((address for address in who if personal(address)), None)
    if to is None or _any(to.email.lower(), opted_out):
        return Recipients(None, ())
    if settings.author_only:
        return Recipients(to, ())
    cc: dict[str, Address] = {}
    # what a list has put itself behind is not its name
    first = Address("", mail.sender.email) if munged else mail.sender
    for address in (first, *mail.reply_to, *mail.to, *mail.cc):
        email = address.email.lower()
        if email in cc or email == to.email.lower() or not usable(email) or _any(email, opted_out):
            continue
        if settings.lists is not None and email not in settings.lists and listed(email):
            continue
        cc[email] = address
        if len(cc) + 1 >= MAX_RECIPIENTS:
            break
    return Recipients(to, tuple(cc.values()))


def _any(email: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(email, pattern) for pattern in patterns)
