# SPDX-License-Identifier: GPL-2.0-or-later
"""May a posting be answered, by which mode and on which terms; and the reasons why not.

Belongs here: which mails are never reviewed (robots, pull requests, stable trees, other projects), what
the lists of a posting allow together, waiting, caps, the guard of private mail. Does not belong here:
what the thread says in the meantime (`news`), what was sent (`ledger`), the clock, the kill switch's
file. Pure: the same mails, settings and times give the same verdict.

Every doubt goes towards silence: what may be a list is one, what may be a robot is one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import islice
from typing import NamedTuple

from reviewbot.base import find_base
from reviewbot.config import MODES, Config, ListConfig, list_defaults
from reviewbot.mail import has_diff, parse_subject
from reviewbot.model import Address, BaseHow, Confidence, Mail, Patch, Series, Severity, Subject
from reviewbot.recipients import NEVER, ROBOTS
from reviewbot.selection import Selection, path_rules


class Mode(StrEnum):
    """What a list gets, the most restrictive first. The values are those of the configuration (`config.MODES`)."""

    OFF = "off"  # nothing is even drafted
    DRAFT = "draft"  # a mail to read; it never goes out
    AUTHOR = "author-only"  # To: the author, no Cc:
    ALL = "author+list"  # as a person would answer, but for lists that are not configured

    @property
    def rank(self) -> int:
        """0 for the most restrictive."""
        return MODES.index(self.value)


class Reason(StrEnum):
    """Why no mail went out. The value is what is printed and stored, so none may be renamed."""

    # what the mail is
    REPLY = "reply"
    ROBOT = "robot"
    OWN_MAIL = "own-mail"
    PULL_REQUEST = "pull-request"
    ANNOUNCEMENT = "announcement"
    STABLE = "stable"
    OTHER_PROJECT = "other-project"
    NOT_A_PATCH = "not-a-patch"
    UNREADABLE = "unreadable"
    NO_AUTHOR = "no-author"
    OPTED_OUT = "opted-out"
    RFC = "rfc"
    # to whom it went
    PRIVATE = "private"
    EMBARGOED = "embargoed"
    UNKNOWN_LIST = "unknown-list"
    LIST_OFF = "list-off"
    # how it stands
    INCOMPLETE = "incomplete"
    WAITING = "waiting"
    TOO_OLD = "too-old"
    SUPERSEDED = "superseded"
    RETRACTED = "retracted"
    APPLIED = "applied"
    # what there is to say
    NOTHING_FOUND = "nothing-found"
    BELOW_MINIMUM = "below-minimum"  # of the list's severity or confidence
    ALREADY_SAID = "already-said"  # by us, of an earlier revision
    SAID_BY_OTHER = "said-by-other"
    ANSWERED = "answered"
    # volume
    CAP_SERIES = "cap-series"
    CAP_LIST = "cap-list"
    CAP_AUTHOR = "cap-author"
    CAP_DAY = "cap-day"
    # the way out
    KILL_SWITCH = "kill-switch"
    ARCHIVE_DOWN = "archive-down"  # the thread cannot be read once more right before sending
    NO_SENDER = "no-sender"  # [reply] sender is not configured
    DRAFT = "draft"
    AWAITING_APPROVAL = "awaiting-approval"
    DROPPED = "dropped"
    FAILED = "failed"
    UNCERTAIN = "uncertain"  # the server may have taken it


class Verdict(NamedTuple):
    """No mail, and why."""

    reason: Reason
    text: str  # one line that names what decided; holds nothing of a stranger but addresses, cut and printable
    final: bool = True  # False: a later pass asks again


class Terms(NamedTuple):
    """What the lists of a posting allow together: of every setting the most restrictive."""

    mode: Mode
    auto: bool  # it goes out; False: a person approves it
    per: str  # "patch" or "series"
    wait: timedelta
    severity: Severity  # the least that is mailed
    confidence: Confidence  # the least that is mailed
    rfc: bool
    max_per_series: int
    max_per_author: int
    max_per_list: tuple[tuple[str, int], ...]  # of each of `lists`
    ignore: tuple[str, ...]
    template_dir: str  # of the list that decides, '' where it has none
    action_required: bool
    lists: tuple[str, ...]  # those that may get a copy: addressed, configured and not off; no other list may
    unknown: tuple[str, ...]  # those that the posting went to and that have no table
    decided_by: str  # the list with the most restrictive mode; '' where no list counts
    why_off: Verdict | None = None  # None unless mode is OFF


class Sent(NamedTuple):
    """Mails of the last 24 hours that were sent, or that are claimed for sending."""

    series: int = 0  # to this posting
    author: int = 0  # to its author
    day: int = 0  # to anybody
    lists: Mapping[str, int] = {}  # with a copy to the list, by its address in lower case


_DEFAULTS = Config()
_MAX_EMAIL = 254  # RFC 5321, 4.5.3.1.3

# --- who wrote ------------------------------------------------------------------------------------

# Further addresses of programs, beside those known to `reply`, in lower case.
_ROBOTS = (
    *ROBOTS,
    "*-lkp@intel.com",
    "*@syzkaller.appspotmail.com",
    "syzkaller*@*",
    "patchwork*@*",
    "bot@*",
    "*+bot@*",
    "*.bot@*",
    "robot@*",
    "*-robot@*",
    "lkft@linaro.org",
    "ci@*",
    "*-ci@*",
    "patchew*@*",
    "snowpatch*@*",
    "buildbot*@*",
    "bugzilla*@*",
    "gitolite*@*",
    "notifications@github.com",
    "no_reply@*",
    "donotreply@*",
    "do-not-reply@*",
    "*-daemon@*",
    "postmaster@*",
    "*@bots.*",
)
# What they call themselves. Whole words: there are people named Abbot and Talbot.
_ROBOT_NAME = re.compile(
    r"\b(?:ro)?bot\d{0,3}\b|\bsyz(?:bot|kaller)\b|\bmailer.daemon\b|\bpatchwork\b|\bsashiko\b", re.I
)
# Message-IDs of replies that this program made, be it here or at somebody else's: `reply.message_id`.
_OWN_ID = re.compile(r"reviewbot\.(?:patch|series)\.[0-9a-f]{24}@")


def is_robot(address: Address | str, config: Config = _DEFAULTS) -> bool:
    """A program sends mail from this address, as far as the address or the name beside it tells."""
    name, email = ("", address) if isinstance(address, str) else address
    email = email.lower()
    if any(fnmatchcase(email, pattern) for pattern in _ROBOTS):
        return True
    return _matches(email, config.policy.bots) or bool(_ROBOT_NAME.search(name[:200]))


def is_own(mail: Mail, own: Collection[str]) -> bool:
    """The mail is ours: from one of these addresses, in lower case, or with a Message-ID of our making."""
    return mail.sender.email.lower() in own or bool(_OWN_ID.match(mail.message_id))


def _matches(email: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(email.lower(), pattern.lower()) for pattern in patterns)


# --- which addresses are lists --------------------------------------------------------------------

# Hosts where every address is a list's. kvack.org, infradead.org, ozlabs.org and freedesktop.org are none of them:
# people have addresses there, the lists are told by their names or are at lists.*.
_LIST_HOST = re.compile(
    r"(?:.*\.)?(?:"
    r"(?:e|ec|mail|mailing)?lists?\d*\..+|.*mailman\d*\..+|googlegroups\.com|groups\.io|freelists\.org|sourceware\.org"
    r"|gcc\.gnu\.org|nongnu\.org|vger\.kernel\.org|other\.debian\.org|coda\.cs\.cmu\.edu|kernelnewbies\.org"
    r"|listserv\..+|sympa\..+|listman\..+|alioth.*\.debian\.(?:org|net)"
    r")"
)
# Names of lists on other hosts. "kernel@", "linux@", "lkml@" and "x86@" are people's, or teams' that MAINTAINERS
# names as such; in front of a dash "linux" is a list's (linux-mm@kvack.org).
_LIST_NAME = re.compile(
    r"linux(?:ppc)?-.+|linux-?kernel|(?:dri|xen|qemu|git|kvm|alsa|dm|cluster|ocfs2|devicetree)-.+"
    r"|.+[-_](?:dev|devel|lists?|users|announce|discuss|discussion|bugs|commits|patches|maintainers|team|sig|technical"
    r"|testers|reviews?|reports?|security|alpha)"
    r"|.+\.pdl|coreteam|.*drivers?|storagedev|devel|patches|discuss|announce|mailing-?list|maillist|cocci|lists?|distros"
)
# Whoever has an address here is a person, whatever it is called; lists of the kind are at googlegroups.com.
_PEOPLES_HOST = re.compile(
    r"(?:gmail|googlemail|outlook|hotmail|live|yahoo|protonmail|proton|zohomail|icloud|gmx|163|126|qq|foxmail|mailbox"
    r"|posteo|fastmail|fastmail\.fm|web|naver|tutanota|riseup|yandex|mail)\.[a-z.]{2,6}"
)
# Where fixes are discussed that must not be known yet: Documentation/process/security-bugs.rst and
# embargoed-hardware-issues.rst. linux-security-module@vger.kernel.org is public and none of them.
_EMBARGOED = re.compile(r"(?:.+[-_.])?(?:security|psirt|secalert|embargo|predisclosure)@.+|(?:linux-)?distros@.+")


def is_list(email: str, config: Config = _DEFAULTS) -> bool:
    """A mailing list has this address: as configured, or as the names of the field go. In doubt it is one."""
    email = email.lower()
    if len(email) > _MAX_EMAIL:
        return False  # no address at all
    name, _, host = email.rpartition("@")
    if email in config.list or any(email == source.list.lower() for source in config.source.values()):
        return True
    if _LIST_HOST.fullmatch(host):
        return True
    return bool(_LIST_NAME.fullmatch(name)) and not _PEOPLES_HOST.fullmatch(host)


def _addressed(mails: Iterable[Mail]) -> dict[str, None]:
    """Every address in To: and Cc:, in lower case, in order."""
    return {address.email.lower(): None for mail in mails for address in (*mail.to, *mail.cc)}


def _mails(series: Series) -> list[Mail]:
    return [*([series.cover.mail] if series.cover else []), *(patch.mail for patch in series.patches)]


def _list_of_id(list_id: str | None) -> str:
    """'Linux MM <linux-mm.kvack.org>' -> 'linux-mm.kvack.org', in lower case."""
    if not list_id:
        return ""
    _, _, inner = list_id[:1000].rpartition("<")
    return inner.partition(">")[0].strip().lower()


def proof(series: Series, config: Config, via: Collection[str]) -> tuple[str, ...]:
    """The lists that prove that a posting is public, in lower case; () where nothing does: it may be private mail.

    An archive that has it is proof (`via`). Without one, as with a local file, the List-Id: is believed where it is
    that of a configured list: its header was put there by the list or by who can write the file.
    """
    if via:
        return tuple(dict.fromkeys(name.lower() for name in via))
    ids = {_list_of_id(mail.list_id) for mail in _mails(series)} - {""}
    return tuple(name for name in config.list if name.replace("@", ".") in ids)


# --- what a mail is -------------------------------------------------------------------------------

_PULL = re.compile(r"\bpull\b", re.I)
_PULL_TITLE = re.compile(r"(?:git[ -])?pull[ -]?(?:request)?\b *[:(]|pull[ -]request\b", re.I)
# git request-pull writes both
_PULL_TEXT = ("for you to fetch changes up to ", "are available in the git repository at:")
_ANNOUNCE = re.compile(r"\bANN(?:OUNCE(?:MENT)?)?\b", re.I)
_ANNOUNCE_TITLE = re.compile(r"ANNOUNCE(?:MENT)?\b")
_STABLE_WORD = re.compile(
    r"AUTOSEL\b|backport|(?:.*[-/])?stable(?:$|[-/]\D*\d|-commit|-only|-backport|-rc)|.*[-/]stable(?:$|[-/])|lts\b"
    r"|(?:linux-|queue-|v)?[2-9]\.\d{1,3}\.(?:y|x|\d{1,3})(?:\D.*)?$|v?[23]\.\d{1,2}$",
    re.I,
)
_STABLE_TITLE = re.compile(
    r"has been added to the .{1,30}-stable tree|failed to apply to .{1,30}-stable tree|^Linux \d+\.\d+\.\d+$", re.I
)
_STABLE_TEXT = re.compile(r"(?:\d+\.\d+|this is the start of the).{0,30}-?stable review\b", re.I)
# mainline's own: [PATCH for-6.12], [PATCH v6.12-rc3], [PATCH 6.12-rc], [PATCH mm-hotfixes-6.12]
_MAINLINE = re.compile(r"(?:^|.*[-/_])(?:for|next|rc\d{0,2}|hotfixes|fixes|mainline)(?:$|[-/_.].*|\d.*)", re.I)
_RFC = re.compile(
    r"\b(?:RFC|WIP|DRAFT|PoC)|\b(?:do ?n.?t|do not|not for|not yet for) (?:merge|merging|apply|upstream|inclusion)",
    re.I,
)

# First words in the brackets of patches that are not for the kernel but are sent to its lists.
_PROJECTS = frozenset(
    """
    accel-config acpica alsa-lib alsa-utils audit-testsuite audit-userspace b4 barebox bcachefs-tools binutils blktests
    bluez bridge-utils btrfs-progs btrfsprogs buildroot cifs-utils conntrack-tools crash crash-utility criu cryptsetup
    cxl-cli daxctl dpdk dracut dt-schema dtc dwarves e2fsprogs ebtables edk2 edk2-devel edk2-platforms elfutils
    erofs-utils ethtool exfatprogs f2fs-tools fio fscryptctl fstests fsverity-utils gcc gdb git glibc grub grub2
    gssproxy hdparm hostap hostapd
    i-g-t i2c-tools igt igt-gpu-tools ima-evm-utils ipset iproute iproute2 iptables isar iw iwd
    jailhouse kexec kexec-tools keyutils klibc kmod kvm-unit-tests kvmtool libaio libcamera libdrm libfuse libgpiod
    libhugetlbfs libmnl libnftnl libnl libnvme librseq libseccomp libselinux libsepol libtirpc libtraceevent libtracefs
    liburing linux-firmware linuxptp ltp lttng-modules lttng-tools lttng-ust lvm2 makedumpfile man man-pages mcelog
    mdadm memkind mesa mkosi mmc-utils mmtests mstflint multipath-tools musl ndctl newlib nfs-utils nft nftables
    nilfs-utils numactl nvme-cli nvme-stas nvmetcli ocfs2-tools open-iscsi openembedded opensbi openwrt optee_os pahole
    patchwork powertop pynfs qemu qemu-devel quota-tools rasdaemon rdma-core refpolicy rt-tests rteval seabios
    selinux-notebook selinux-testsuite smatch smartmontools sparse spice stalld stg stgit strace stress-ng
    squashfs-tools syslinux sysstat systemd tboot tpm2-tools trace-cmd trace-cruncher trinity u-boot uboot udisks
    uclibc-ng usbutils userspace util-linux v4l-utils valgrind virglrenderer virt-manager virtio-comment virtio-spec
    virtiofsd wayland weston wireguard-tools wireless-regdb wpa_supplicant xdp-tools xen-devel xfs-documentation
    xfsdump xfsprogs xfstests xfstests-bld xfstests-dev yocto zephyr zonefs-tools
    """.split()
)
# Those that no name of a kernel's branch or subsystem begins with, so that more may follow: iproute2-next, qemu-9.1.
_MORE_FOLLOWS = tuple(
    """
    blktests bluez btrfs-progs daxctl dwarves e2fsprogs edk2 ethtool f2fs-tools fstests iproute iproute2 kexec-tools
    kvm-unit-tests kvmtool liburing mdadm multipath-tools ndctl nfs-utils nftables nvme-cli opensbi pahole qemu
    rdma-core trace-cmd u-boot util-linux xfsprogs xfstests
    """.split()
)
_PROJECT = re.compile(rf"(?:{'|'.join(map(re.escape, _MORE_FOLLOWS))})(?:[-_/:@.\d].*)?")

# The top of the kernel's tree, with what it had since 4.0.
_TOP = frozenset(
    """
    arch block certs crypto Documentation drivers firmware fs include init io_uring ipc kernel lib LICENSES mm net rust
    samples scripts security sound tools usr virt
    COPYING CREDITS Kbuild Kconfig MAINTAINERS Makefile README README.md REPORTING-BUGS
    .clang-format .clippy.toml .cocciconfig .editorconfig .get_maintainer.ignore .gitattributes .gitignore .mailmap
    .pylintrc .rustfmt.toml
    """.split()
)

# Lines of a mail's text in which it may say what it is: git request-pull and stable review say it near the top.
_TEXT_LINES = 400


def judge_mail(mail: Mail, config: Config, own: Collection[str]) -> Verdict | None:
    """Why this mail is not reviewed, by itself; None for a patch or cover letter that may be.

    `own` holds the bot's own addresses in lower case, beside [reply] sender. All verdicts are final.
    """
    subject = parse_subject(mail.subject[:2000])
    configured = _emails(config.reply.sender) if config.reply.sender else frozenset[str]()
    if is_own(mail, {*own, *configured}):
        return Verdict(Reason.OWN_MAIL, "the bot's own mail")
    if mail.auto_submitted:
        return Verdict(Reason.ROBOT, "Auto-Submitted: says that a program sent it")
    if is_robot(mail.sender, config):
        return Verdict(Reason.ROBOT, f"{_shown(mail.sender.email)} is a robot's address, or its name a robot's")
    if secret := next((email for email in _addressed([mail]) if _EMBARGOED.fullmatch(email)), None):
        return Verdict(Reason.EMBARGOED, f"{_shown(secret)} is addressed")
    if subject.reply:
        return Verdict(Reason.REPLY, "a reply, not a posting")
    return _kind(mail, subject, config) or _whether_patch(mail, subject) or _author_verdict([mail], (), config)


def _emails(value: str) -> frozenset[str]:
    from reviewbot.mime import addresses  # loads the email package, which a forecast does without

    return frozenset(address.email.lower() for address in addresses(value))


def _kind(mail: Mail, subject: Subject, config: Config) -> Verdict | None:
    """What the mail is for, where that is not a patch for the kernel under development."""
    head = _brackets(subject)
    if _PULL.search(head) or _PULL_TITLE.match(subject.title):
        return Verdict(Reason.PULL_REQUEST, "the subject says pull request")
    if _ANNOUNCE.search(head) or _ANNOUNCE_TITLE.match(subject.title):
        return Verdict(Reason.ANNOUNCEMENT, "the subject says announcement")
    words = {word.lower() for word in re.split(r"[\s,\[\]]+", head)}
    if project := next((word for word in sorted(words) if _is_project(word, config)), None):
        return Verdict(Reason.OTHER_PROJECT, f"the subject's prefix '{_shown(project)}' is another project's")
    if _STABLE_TITLE.search(subject.title):
        return Verdict(Reason.STABLE, "the subject speaks of a stable tree")
    for word in subject.prefixes:
        if _for_stable(word, subject):
            return Verdict(Reason.STABLE, "the subject's prefix names a stable kernel")
    for line in islice(mail.body, _TEXT_LINES):
        text = line.strip().lower()[:200]
        if text.startswith("diff --git "):
            break
        if text.startswith(_PULL_TEXT):
            return Verdict(Reason.PULL_REQUEST, "the text is git request-pull's")
        if _STABLE_TEXT.match(text):
            return Verdict(Reason.STABLE, "the text says stable review")
    return None


def _for_stable(word: str, subject: Subject) -> bool:
    if _STABLE_WORD.match(word):
        return True
    named = find_base(None, [subject._replace(prefixes=(word,))], ()).how is BaseHow.PREFIX
    return named and not _MAINLINE.match(word)


def _is_project(word: str, config: Config) -> bool:
    if word in _PROJECTS or _PROJECT.fullmatch(word):
        return True
    return any(fnmatchcase(word, project.lower()) for project in config.policy.projects)


def _brackets(subject: Subject) -> str:
    """What stands before the title: brackets and Re:."""
    full = subject.full.rstrip()
    return full[: len(full) - len(subject.title)]


def _whether_patch(mail: Mail, subject: Subject) -> Verdict | None:
    if subject.patch and (subject.counter == 0 or has_diff(mail)):
        return None
    if subject.patch:
        return Verdict(Reason.NOT_A_PATCH, "it holds no diff and is no cover letter")
    return Verdict(Reason.NOT_A_PATCH, "the subject has no [PATCH]")


def _author_verdict(mails: Iterable[Mail], patches: Iterable[Patch], config: Config) -> Verdict | None:
    """Nobody to write to, or somebody who does not want it."""
    patches = tuple(patches)
    known = [*(mail.sender for mail in mails), *(patch.author for patch in patches)]
    known = [address for address in known if "@" in address.email]
    if not known and not any(address for mail in mails for address in mail.reply_to):
        return Verdict(Reason.NO_AUTHOR, "the mail names nobody to answer to")
    if out := next((address for address in known if _matches(address.email, config.policy.opted_out)), None):
        return Verdict(Reason.OPTED_OUT, f"{_shown(out.email)} wants no mail")
    # behind a relay's address; elsewhere a person sent it, who answers for it
    relayed = (patch.author for patch in patches if patch.mail.sender.email.lower().startswith("devnull+"))
    if robot := next((author for author in relayed if is_robot(author, config)), None):
        return Verdict(Reason.ROBOT, f"{_shown(robot.email)} is a robot's address, or its name a robot's")
    return None


def _shown(text: str) -> str:
    """A stranger's text, cut, without what would act on a screen."""
    return "".join(char if char.isprintable() else "?" for char in text[:100])


# --- what the lists allow -------------------------------------------------------------------------


def terms_of(series: Series, config: Config, via: Collection[str]) -> Terms:
    """What the lists of a posting allow together. `via` are the lists whose archives have it; () for a local file.

    A list counts where it is addressed by the cover letter or any patch, has the posting in its archive, or is named
    by a List-Id:. Those that never get a copy (`reply.NEVER`: stable@, logs of commits) do not count, unless
    they are configured.
    """
    mails = _mails(series)
    addressed = _addressed(mails)
    public = proof(series, config, via)
    names = [name for name in addressed if is_list(name, config)]
    ids = {_list_of_id(mail.list_id) for mail in mails}
    arrived = [*public, *(name for name in config.list if name.replace("@", ".") in ids)]
    names = list(dict.fromkeys([*names, *arrived]))
    # a source's list may be spelled otherwise than in the archive; what is not configured and not addressed is none
    known = [name for name in names if name in config.list]
    unknown = tuple(name for name in names if name not in config.list and not _matches(name, NEVER))
    copies = tuple(name for name in known if name in addressed and config.list[name].mode != Mode.OFF)

    tables: list[tuple[str, ListConfig]] = [(name, config.list[name]) for name in known]
    if config.policy.unknown_list != "leave-out":
        stranger = list_defaults(config.policy, mode=config.policy.unknown_list)
        tables += [(name, stranger) for name in unknown]
    modes = [(Mode(table.mode), name, table) for name, table in tables]
    mode, decided_by, decider = min(modes, key=lambda item: item[0].rank, default=(Mode.OFF, "", ListConfig()))
    if not copies:
        # nobody asked the list: it saw the posting by Bcc:, or through another list
        mode = min(mode, Mode.AUTHOR, key=lambda one: one.rank)

    why: Verdict | None = None
    if secret := next((email for email in addressed if _EMBARGOED.fullmatch(email)), None):
        why = Verdict(Reason.EMBARGOED, f"{_shown(secret)} is addressed")
    elif not public:
        why = Verdict(Reason.PRIVATE, "nothing proves that it is public: no archive has it, no known list delivered it")
    elif not known:
        name = f"{_shown(unknown[0])} is not configured" if unknown else "it went to no list"
        why = Verdict(Reason.UNKNOWN_LIST, name)
    elif mode is Mode.OFF and decided_by in config.list:
        why = Verdict(Reason.LIST_OFF, f"{_shown(decided_by)} is off")
    elif mode is Mode.OFF:
        why = Verdict(Reason.UNKNOWN_LIST, f"{_shown(decided_by)} is not configured")
    all_tables = [table for _, table in tables] or [ListConfig()]
    pers = [table.per or config.reply.per for table in all_tables]
    return Terms(
        mode=Mode.OFF if why else mode,
        auto=why is None and all(table.send == "auto" for table in all_tables),
        per="series" if "series" in pers else "patch",
        wait=max(table.wait for table in all_tables),
        severity=min((Severity(table.severity) for table in all_tables), key=lambda severity: severity.rank),
        confidence=Confidence.HIGH if any(t.confidence == Confidence.HIGH for t in all_tables) else Confidence.LOW,
        rfc=all(table.rfc for table in all_tables),
        max_per_series=min(table.max_per_series for table in all_tables),
        max_per_author=min(table.max_per_author for table in all_tables),
        max_per_list=tuple((name, config.list[name].max_per_list) for name in copies),
        ignore=tuple(dict.fromkeys(word for table in all_tables for word in table.ignore)),
        template_dir=decider.template_dir,
        action_required=all(table.action_required for table in all_tables),
        lists=copies if mode is Mode.ALL and why is None else (),
        unknown=unknown,
        decided_by=decided_by,
        why_off=why,
    )


def selection_of(terms: Terms, config: Config) -> Selection:
    """What of a review is mailed on these terms."""
    return Selection(
        least=terms.severity,
        low=terms.confidence is Confidence.LOW,
        ignore=(*terms.ignore, *config.ignore),
        select=config.select,
        per_path=path_rules(config.per_path),
    )


# --- how a posting stands -------------------------------------------------------------------------

# An arrival that lies further ahead than this was noted by a clock that was wrong: nothing can be waited for.
_SKEW = timedelta(days=1)


def judge_series(series: Series, terms: Terms, config: Config, *, arrived: datetime, now: datetime) -> Verdict | None:
    """Why this posting gets no mail now; None where it may be reviewed and answered, or drafted.

    `arrived` is when the last of its mails came to be known, not what its Date: says. An arrival ahead of `now` by no
    more than a day is waited for; one further ahead holds nothing up.
    """
    if terms.why_off:
        return terms.why_off
    mails = _mails(series)
    for mail in mails:
        verdict = judge_mail(mail, config, ())
        # a cover letter may lack its [PATCH 0/n]: the patches below it have theirs
        lead = series.cover is not None and mail is series.cover.mail
        if verdict and not (lead and verdict.reason is Reason.NOT_A_PATCH):
            return verdict
    if verdict := _author_verdict(mails, series.patches, config):
        return verdict
    if not any(patch.files or patch.unreadable for patch in series.patches):
        return Verdict(Reason.NOT_A_PATCH, "no patch of it holds a diff")
    if not terms.rfc and any(_RFC.search(_brackets(parse_subject(mail.subject[:2000]))) for mail in mails):
        return Verdict(Reason.RFC, f"RFC, and {_shown(terms.decided_by)} or another list does not want them answered")
    if any(_foreign(path) for patch in series.patches for path in _paths(patch)):
        return Verdict(Reason.OTHER_PROJECT, "it changes files that the kernel's tree does not have")
    if series.newest is not None and series.newest > series.revision:
        return Verdict(Reason.SUPERSEDED, f"v{series.newest} is known")
    age = now - arrived
    if age > config.policy.max_age:
        return Verdict(Reason.TOO_OLD, f"arrived more than {_span(config.policy.max_age)} ago")
    skewed = age < -_SKEW
    if missing := series.missing:
        text = f"{len(missing)} of {series.expected} patches are missing"
        return Verdict(Reason.INCOMPLETE, text, final=skewed or age >= config.policy.complete_within)
    if age < terms.wait and not skewed:
        return Verdict(Reason.WAITING, f"people answer first, for {_span(terms.wait)}", final=False)
    return None


def judge_caps(sent: Sent, terms: Terms, config: Config) -> Verdict | None:
    """Why one more mail to this posting would be too many; None where it would not.

    `sent` must count what is claimed for sending, too. All but cap-series are asked again: a posting's rest does not
    drip out day by day.
    """
    if sent.series >= terms.max_per_series:
        return Verdict(Reason.CAP_SERIES, f"{_mailed(sent.series)} to this posting")
    if sent.author >= terms.max_per_author:
        return Verdict(Reason.CAP_AUTHOR, f"{_mailed(sent.author)} to its author in 24 h, sent or waiting", final=False)
    for name, most in terms.max_per_list if terms.mode is Mode.ALL else ():
        if sent.lists.get(name, 0) >= most:
            return Verdict(
                Reason.CAP_LIST,
                f"{_mailed(sent.lists.get(name, 0))} to {_shown(name)} in 24 h, sent or waiting",
                final=False,
            )
    if sent.day >= config.policy.max_per_day:
        return Verdict(Reason.CAP_DAY, f"{_mailed(sent.day)} in 24 h, sent or waiting", final=False)
    return None


def _paths(patch: Patch) -> Iterator[str]:
    for file in patch.files:
        yield from (path for path in (file.old_path, file.new_path) if path)


def _foreign(path: str) -> bool:
    return path.partition("/")[0] not in _TOP


def _mailed(number: int) -> str:
    return f"{number} mail{'' if number == 1 else 's'}"


def _span(span: timedelta) -> str:
    """'12 h', '7 days'."""
    hours = span.total_seconds() / 3600
    return f"{hours / 24:g} days" if hours >= 48 and hours % 24 == 0 else f"{hours:g} h"
