# SPDX-License-Identifier: GPL-2.0-or-later
"""policy: what is never answered and why, what lists allow together, how long a mail waits, how many there are.

Pure: mails are made up here, times are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from growth import seconds
from mails import COVER, diff, mail, patch_body

from reviewbot.config import MODES, Config, ListConfig, PolicyConfig, SourceConfig
from reviewbot.mail import local_series, make_cover
from reviewbot.mime import parse_mail
from reviewbot.model import Address, Confidence, Mail, Series, Severity
from reviewbot.policy import (
    Mode,
    Reason,
    Sent,
    Terms,
    Verdict,
    is_list,
    is_robot,
    judge_caps,
    judge_mail,
    judge_series,
    proof,
    terms_of,
)

MM = "linux-mm@kvack.org"
CXL = "linux-cxl@vger.kernel.org"
LKML = "linux-kernel@vger.kernel.org"
NOW = datetime(2024, 11, 25, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ANSWERED = ListConfig(mode="author+list", send="auto")


def config(policy: PolicyConfig = PolicyConfig(), **lists: ListConfig) -> Config:  # noqa: B008 - a value
    """Settings with tables for the lists `mm` and `cxl`."""
    names = {"mm": MM, "cxl": CXL}
    return Config(policy=policy, list={names[key]: table for key, table in lists.items()})


def a_patch(
    subject: str = "[PATCH] mm: walk on",
    *,
    body: str | None = None,
    to: Sequence[str] = (MM,),
    sender: str = "Ada Ranger <ada@example.org>",
    headers: Sequence[str] = (),
    key: str = "one",
) -> bytes:
    cc = [f"Cc: {', '.join(to)}"] if to else []
    raw = mail(subject, patch_body("walk") if body is None else body, f"{key}@example.org", sender=sender)
    raw = raw.replace(b"To: linux-mm@example.org\n", b"To: max@example.org\n")
    head, _, text = raw.partition(b"\n\n")
    return head + "".join(f"\n{line}" for line in [*cc, *headers]).encode() + b"\n\n" + text


def parsed(subject: str = "[PATCH] mm: walk on", **how: object) -> Mail:
    return parse_mail(a_patch(subject, **how))  # type: ignore[arg-type]


def series(*raws: bytes) -> Series:
    (one,) = local_series([parse_mail(raw) for raw in raws or (a_patch(),)])
    return one


def reason(verdict: Verdict | None) -> Reason | None:
    return verdict.reason if verdict else None


def judged(subject: str = "[PATCH] mm: walk on", settings: Config = Config(), **how: object) -> Reason | None:  # noqa: B008
    return reason(judge_mail(parsed(subject, **how), settings, {"bot@reviews.example"}))


# -- words ------------------------------------------------------------------------------------------


def test_modes_are_those_of_the_configuration_in_its_order() -> None:
    assert [mode.value for mode in Mode] == list(MODES)
    assert [mode.rank for mode in Mode] == [0, 1, 2, 3]


# -- one mail ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "subject",
    [
        "[PATCH] mm: walk on",
        "[PATCH v2 3/7] mm: walk on",
        "[PATCH net-next] net: pull the header in one go",
        "[PATCH mm-unstable v3] mm: fix the stable tree of ranges",
        "[PATCH for-6.12] mm: walk on",
        "[PATCH cgroup/for-6.12] cgroup: walk on",
        "[PATCH 6.12-rc3] mm: walk on",
        "[PATCH mm-hotfixes] mm: walk on",
        "[PATCH v5.4] mm: walk on",
        "[PATCH bpf-next v6] libbpf: announce the walk",
        "[PATCH RESEND] tools/power: walk on",
        "[PATCH man-made] mm: walk on",
        "[PATCH sparse-next] mm: walk on",
        "[RFC PATCH] mm: walk on",
    ],
)
def test_a_patch_for_the_kernel_may_be_reviewed(subject: str) -> None:
    expected = Reason.STABLE if subject == "[PATCH v5.4] mm: walk on" else None
    assert judged(subject) is expected


def test_a_cover_letter_may_be_reviewed() -> None:
    assert judged("[PATCH 0/3] mm: walk on", body=COVER) is None


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Re: [PATCH] mm: walk on", Reason.REPLY),
        ("AW: [PATCH] mm: walk on", Reason.REPLY),
        ("回复: [PATCH] mm: walk on", Reason.REPLY),
        ("[GIT PULL] walks for 6.13", Reason.PULL_REQUEST),
        ("[PULL 03/17] walk on", Reason.PULL_REQUEST),
        ("[PATCH 0/4][pull request] walks", Reason.PULL_REQUEST),
        ("pull-request: walks 2024-11-20", Reason.PULL_REQUEST),
        ("GIT PULL: walks", Reason.PULL_REQUEST),
        ("[ANNOUNCE] walk v80", Reason.ANNOUNCEMENT),
        ("[PATCH 5.4 1/3] mm: walk on", Reason.STABLE),
        ("[PATCH 5.10.y] mm: walk on", Reason.STABLE),
        ("[PATCH 4.19 001/300] mm: walk on", Reason.STABLE),
        ("[PATCH 6.1/6.6] mm: walk on", Reason.STABLE),
        ("[PATCH 3.16 1/9] mm: walk on", Reason.STABLE),
        ("[PATCH AUTOSEL 6.11 29/33] mm: walk on", Reason.STABLE),
        ("[PATCH stable-5.15] mm: walk on", Reason.STABLE),
        ("[PATCH stable 5.15] mm: walk on", Reason.STABLE),
        ('Patch "mm: walk on" has been added to the 6.1-stable tree', Reason.STABLE),
        ('FAILED: patch "[PATCH] mm: walk on" failed to apply to 6.1-stable tree', Reason.STABLE),
        ("[PATCH iproute2-next] ip: walk on", Reason.OTHER_PROJECT),
        ("[ndctl PATCH v2 1/2] test: walk on", Reason.OTHER_PROJECT),
        ("[NDCTL PATCH] test: walk on", Reason.OTHER_PROJECT),
        ("[kvm-unit-tests PATCH] x86: walk on", Reason.OTHER_PROJECT),
        ("[PATCH qemu v3] hw: walk on", Reason.OTHER_PROJECT),
        ("[PATCH xfsprogs/for-next] walk on", Reason.OTHER_PROJECT),
        ("[PATCH mdadm-4.3] walk on", Reason.OTHER_PROJECT),
        ("[PATCH BlueZ v2] walk on", Reason.OTHER_PROJECT),
        ("mm: walk on", Reason.NOT_A_PATCH),
    ],
)
def test_a_subject_tells_what_is_not_answered(subject: str, expected: Reason) -> None:
    assert judged(subject) is expected


def test_a_project_of_the_configuration_is_another_one() -> None:
    settings = config(PolicyConfig(projects=("MyTool*",)))
    assert judged("[PATCH mytool-next] walk on", settings) is Reason.OTHER_PROJECT
    assert judged("[PATCH mytool-next] walk on") is None


def test_git_request_pull_is_known_by_its_text() -> None:
    text = "The following changes since commit 1234:\n\nare available in the Git repository at:\n\n  git://walk\n"
    assert judged("[PATCH 0/3] walks for 6.13", body=text) is Reason.PULL_REQUEST
    assert judged("[PATCH 0/3] walks for 6.13", body="for you to fetch changes up to 1234:\n") is Reason.PULL_REQUEST
    below = patch_body("walk") + "for you to fetch changes up to 1234:\n"
    assert judged("[PATCH] walks for 6.13", body=below) is None
    assert judged("[PATCH 0/3] walks for 6.13", body="> for you to fetch changes up to 1234:\n") is None


def test_stable_review_is_known_by_its_text() -> None:
    text = "6.1-stable review patch.  If anyone has any objections, please let me know.\n\n"
    assert judged("[PATCH 01/99] mm: walk on", body=text + patch_body("walk")) is Reason.STABLE


def test_a_mail_without_a_diff_is_no_patch() -> None:
    assert judged("[PATCH] mm: walk on", body="See the attachment.\n") is Reason.NOT_A_PATCH
    assert judged("[PATCH 2/3] mm: walk on", body="See the attachment.\n") is Reason.NOT_A_PATCH


@pytest.mark.parametrize("sender", ["bot@reviews.example", "Reviews <BOT@reviews.example>"])
def test_own_mail_is_not_answered(sender: str) -> None:
    assert judged(sender=sender) is Reason.OWN_MAIL


def test_the_configured_sender_is_known_as_own() -> None:
    settings = Config()
    settings = settings._replace(reply=settings.reply._replace(sender="reviewbot <me@reviews.example>"))
    assert judged(settings=settings, sender="me@reviews.example") is Reason.OWN_MAIL


def test_a_mail_with_a_message_id_of_our_making_is_own_whoever_sent_it() -> None:
    assert judged(key="reviewbot.patch.0123456789abcdef01234567") is Reason.OWN_MAIL


@pytest.mark.parametrize(
    "sender",
    [
        "kernel test robot <lkp@intel.com>",
        "kernel test robot <some.person@intel.com>",
        "syzbot <syzbot+0123@syzkaller.appspotmail.com>",
        "patchwork-bot+walk@kernel.org",
        "sashiko-bot@kernel.org",
        "Bot of CI <bot+bpf-ci@kernel.org>",
        "tip-bot2 for Ada <tip-bot2@example.org>",
        '"walk[bot]" <walk@example.org>',
        "noreply@example.org",
    ],
)
def test_a_robot_is_not_answered(sender: str) -> None:
    assert judged(sender=sender) is Reason.ROBOT


@pytest.mark.parametrize(
    "sender",
    [
        "Tony Abbot <abbot@example.org>",
        "Jo Talbot <jtalbot@example.org>",
        "Ada via B4 Relay <devnull+ada.example.org@kernel.org>",
        "Robin Bottle <robin@bot.example>",
    ],
)
def test_people_are_no_robots(sender: str) -> None:
    assert judged(sender=sender) is None


def test_a_robot_of_the_configuration_is_one() -> None:
    settings = config(PolicyConfig(bots=("*@CI.example",)))
    assert is_robot("walker@ci.example", settings)
    assert not is_robot("walker@ci.example")
    assert is_robot(Address("", "Walker@Ci.Example"), settings)


def test_auto_submitted_mail_is_not_answered() -> None:
    assert judged(headers=["Auto-Submitted: auto-generated"]) is Reason.ROBOT
    assert judged(headers=["Auto-Submitted: no"]) is None


@pytest.mark.parametrize(
    "secret",
    ["security@kernel.org", "linux-distros@vs.openwall.org", "hardware-security@kernel.org", "psirt@chips.example"],
)
def test_what_is_under_embargo_is_never_answered(secret: str) -> None:
    assert judged(to=[MM, secret]) is Reason.EMBARGOED
    terms = terms_of(series(a_patch(to=[MM, secret])), config(mm=ANSWERED), [MM])
    assert (terms.mode, reason(terms.why_off), terms.lists) == (Mode.OFF, Reason.EMBARGOED, ())


def test_the_list_about_security_modules_is_public() -> None:
    assert judged(to=["linux-security-module@vger.kernel.org"]) is None


def test_who_opted_out_gets_no_mail() -> None:
    settings = config(PolicyConfig(opted_out=("*@Example.org",)))
    assert judged(settings=settings) is Reason.OPTED_OUT


def test_an_author_named_in_the_body_may_have_opted_out() -> None:
    settings = config(PolicyConfig(opted_out=("bea@example.net",)), mm=ANSWERED)
    one = series(a_patch(body="From: Bea Walker <bea@example.net>\n\n" + patch_body("walk")))
    verdict = judge_series(one, terms_of(one, settings, [MM]), settings, arrived=NOW - 20 * HOUR, now=NOW)
    assert reason(verdict) is Reason.OPTED_OUT


def test_a_mail_without_an_author_is_not_answered() -> None:
    assert judged(sender="nobody") is Reason.NO_AUTHOR


def test_a_verdict_is_short_and_harmless_whatever_the_mail_holds() -> None:
    name = "\x1b0;x" + "security" * 100
    for how in ({"to": [f"{'a' * 900}.security@example.org"]}, {"sender": f"{'x' * 900}bot@bots.example"}):
        verdict = judge_mail(parsed(**how), Config(), ())
        assert verdict is not None
        assert len(verdict.text) < 200
        assert verdict.text.isprintable()
    verdict = judge_mail(parsed(f"[PATCH {name}] walk"), config(PolicyConfig(projects=("*security*",))), ())
    assert verdict is not None
    assert len(verdict.text) < 200
    assert verdict.text.isprintable()


# -- which addresses are lists ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "email",
    [
        "linux-mm@kvack.org", "anything@vger.kernel.org", "dev@lists.linux.dev", "dri-devel@freedesktop.org",
        "dri-devel@lists.freedesktop.org", "kasan-dev@googlegroups.com", "walk@groups.io", "LINUX-MM@KVACK.ORG",
        "linuxppc-dev@ozlabs.org", "linux-um@lists.infradead.org", "nbd@other.debian.org", "qemu-devel@nongnu.org",
        "linux-xtensa@linux-xtensa.org", "alsa-devel@alsa-project.org", "libc-alpha@sourceware.org",
        "kernel-team@meta.example", "apparmor@lists.ubuntu.com", "mm-commits@example.org", "x@mailman.example.org",
        "devel@driverdev.example.org", "walk-list@example.org", "user-mode-linux-devel@lists.sourceforge.net",
    ],
)  # fmt: skip
def test_mailing_lists_are_known_by_their_names(email: str) -> None:
    assert is_list(email)


@pytest.mark.parametrize(
    "email",
    [
        "ada@kvack.org", "ada@infradead.org", "ada@ozlabs.org", "ada@linux.dev", "linux@armlinux.example",
        "kernel@ada.example", "lkml@ada.example", "linux_ada@example.org", "ada.linux@gmail.com", "ada.dev@example.com",
        "adevel@example.org", "ada-devel@gmail.com", "ada@users.sourceforge.net", "ada@specialists.example",
        "coda@cs.cmu.edu", "x86@kernel.org", "ada+kernel@example.org", "",
    ],
)  # fmt: skip
def test_people_with_such_names_are_no_lists(email: str) -> None:
    assert not is_list(email)


def test_a_configured_list_is_one_whatever_its_name() -> None:
    settings = Config(
        list={"walkers@example.org": ListConfig()}, source={"w": SourceConfig(git="/walk", list="Talk@example.org")}
    )
    assert is_list("Walkers@example.org", settings)
    assert is_list("talk@example.org", settings)
    assert not is_list("walkers@example.org")


# -- what lists allow -------------------------------------------------------------------------------


def terms(settings: Config, *to: str, via: Sequence[str] = (MM,)) -> Terms:
    return terms_of(series(a_patch(to=to)), settings, via)


def test_a_configured_list_gets_what_its_table_says() -> None:
    found = terms(config(mm=ANSWERED._replace(template_dir="/t", max_per_list=7, action_required=True, rfc=True)), MM)
    assert found == Terms(
        mode=Mode.ALL, auto=True, per="patch", wait=12 * HOUR, severity=Severity.WARNING, confidence=Confidence.HIGH,
        rfc=True, max_per_series=3, max_per_author=5, max_per_list=((MM, 7),), ignore=(), template_dir="/t",
        action_required=True, lists=(MM,), unknown=(), decided_by=MM,
    )  # fmt: skip


def test_a_posting_to_unknown_lists_only_is_off_whatever_is_set_for_them() -> None:
    for mode in (*MODES, "leave-out"):
        found = terms(config(PolicyConfig(unknown_list=mode), mm=ANSWERED), LKML, via=[LKML])
        assert (found.mode, reason(found.why_off), found.lists) == (Mode.OFF, Reason.UNKNOWN_LIST, ())


def test_an_unknown_list_beside_a_known_one_turns_it_off_by_default() -> None:
    found = terms(config(mm=ANSWERED), MM, LKML)
    assert (found.mode, found.unknown, found.decided_by) == (Mode.OFF, (LKML,), LKML)
    assert found.why_off == Verdict(Reason.UNKNOWN_LIST, f"{LKML} is not configured")


def test_an_unknown_list_that_is_left_out_gets_no_copy_and_decides_nothing() -> None:
    found = terms(config(PolicyConfig(unknown_list="leave-out"), mm=ANSWERED), MM, LKML)
    assert (found.mode, found.lists, found.unknown, found.auto) == (Mode.ALL, (MM,), (LKML,), True)


@pytest.mark.parametrize("mode", ["draft", "author-only"])
def test_an_unknown_list_may_bring_a_lesser_mode(mode: str) -> None:
    found = terms(config(PolicyConfig(unknown_list=mode), mm=ANSWERED), MM, LKML)
    assert (found.mode, found.decided_by, found.lists, found.auto) == (mode, LKML, (), False)


def test_the_most_restrictive_of_each_setting_wins() -> None:
    one = ListConfig(
        mode="author+list", send="auto", per="patch", wait=HOUR, severity="note", confidence="low", rfc=True,
        max_per_series=1, max_per_list=2, max_per_author=9, ignore=("a",), template_dir="/one", action_required=True,
    )  # fmt: skip
    two = ListConfig(
        mode="author-only", send="approve", per="series", wait=5 * HOUR, severity="error", confidence="high", rfc=False,
        max_per_series=4, max_per_list=8, max_per_author=2, ignore=("b", "a"), template_dir="/two",
    )  # fmt: skip
    for to in ((MM, CXL), (CXL, MM)):
        found = terms(config(mm=one, cxl=two), *to)
        assert found._replace(max_per_list=(), ignore=()) == Terms(
            mode=Mode.AUTHOR, auto=False, per="series", wait=5 * HOUR, severity=Severity.ERROR,
            confidence=Confidence.HIGH, rfc=False, max_per_series=1, max_per_author=2, max_per_list=(), ignore=(),
            template_dir="/two", action_required=False, lists=(), unknown=(), decided_by=CXL,
        )  # fmt: skip
        assert sorted(found.ignore) == ["a", "b"]


def test_a_list_that_is_off_silences_the_posting() -> None:
    found = terms(config(mm=ANSWERED, cxl=ListConfig()), MM, CXL)
    assert (found.mode, found.why_off) == (Mode.OFF, Verdict(Reason.LIST_OFF, f"{CXL} is off"))


def test_what_gets_a_mail_is_as_reply_has_it_where_the_list_does_not_say() -> None:
    settings = config(mm=ANSWERED)
    settings = settings._replace(reply=settings.reply._replace(per="series"))
    assert terms(settings, MM).per == "series"
    assert terms(settings._replace(list={MM: ANSWERED._replace(per="patch")}), MM).per == "patch"


def test_lists_of_every_mail_of_the_posting_count() -> None:
    posting = series(
        a_patch("[PATCH 0/2] mm: walk", body=COVER, to=[MM], key="c"),
        a_patch("[PATCH 1/2] mm: walk", to=[MM], key="1"),
        a_patch("[PATCH 2/2] mm: walk", to=[CXL], key="2"),
    )
    assert terms_of(posting, config(mm=ANSWERED), [MM]).unknown == (CXL,)


def test_a_list_that_was_not_addressed_brings_no_copy_to_anybody() -> None:
    found = terms(config(mm=ANSWERED), via=[MM])
    assert (found.mode, found.lists, found.decided_by) == (Mode.AUTHOR, (), MM)
    assert terms(config(mm=ANSWERED._replace(mode="draft")), via=[MM]).mode is Mode.DRAFT


def test_stable_and_logs_of_commits_do_not_decide() -> None:
    found = terms(config(mm=ANSWERED), MM, "stable@vger.kernel.org", "mm-commits@vger.kernel.org")
    assert (found.mode, found.unknown, found.lists) == (Mode.ALL, (), (MM,))


# -- private mail -----------------------------------------------------------------------------------


def test_without_proof_a_posting_is_private() -> None:
    found = terms(config(mm=ANSWERED), MM, via=())
    assert (found.mode, reason(found.why_off)) == (Mode.OFF, Reason.PRIVATE)


@pytest.mark.parametrize("list_id", ["Linux MM <linux-mm.kvack.org>", "<LINUX-MM.kvack.org>"])
def test_the_list_id_of_a_configured_list_is_proof(list_id: str) -> None:
    posting = series(a_patch(headers=[f"List-Id: {list_id}"]))
    settings = config(mm=ANSWERED)
    assert proof(posting, settings, ()) == (MM,)
    assert terms_of(posting, settings, ()).mode is Mode.ALL


@pytest.mark.parametrize("list_id", ["<linux-cxl.vger.kernel.org>", "linux-mm.kvack.org <evil.example>", "<>"])
def test_another_list_id_is_none(list_id: str) -> None:
    posting = series(a_patch(headers=[f"List-Id: {list_id}"]))
    assert reason(terms_of(posting, config(mm=ANSWERED), ()).why_off) is Reason.PRIVATE


def test_an_archive_of_an_unknown_list_proves_that_it_is_public_but_asks_for_nothing() -> None:
    found = terms(config(mm=ANSWERED), via=[LKML])
    assert reason(found.why_off) is Reason.UNKNOWN_LIST


# -- a posting --------------------------------------------------------------------------------------


def judge(
    *raws: bytes,
    settings: Config | None = None,
    arrived: datetime = NOW - 20 * HOUR,
    newest: int | None = None,
) -> Verdict | None:
    settings = settings or config(mm=ANSWERED)
    posting = series(*raws)._replace(newest=newest)
    return judge_series(posting, terms_of(posting, settings, [MM]), settings, arrived=arrived, now=NOW)


def test_a_posting_that_is_old_enough_is_answered() -> None:
    assert judge() is None


def test_what_the_lists_forbid_comes_first() -> None:
    assert reason(judge(settings=config(mm=ListConfig()))) is Reason.LIST_OFF


def test_any_mail_of_the_posting_may_forbid_it() -> None:
    bad = a_patch("[PATCH 2/2] mm: walk", headers=["Auto-Submitted: auto-generated"], key="2")
    assert reason(judge(a_patch("[PATCH 1/2] mm: walk", key="1"), bad)) is Reason.ROBOT


def test_a_cover_letter_without_its_prefix_is_no_hindrance() -> None:
    cover = make_cover(parsed("walk on, all of you", body=COVER))
    settings = config(mm=ANSWERED)
    for letter, expected in ((cover, None), (make_cover(parsed("[GIT PULL] walks", body=COVER)), Reason.PULL_REQUEST)):
        posting = series()._replace(cover=letter)
        found = terms_of(posting, settings, [MM])
        assert reason(judge_series(posting, found, settings, arrived=NOW - 20 * HOUR, now=NOW)) is expected


@pytest.mark.parametrize("prefix", ["RFC PATCH", "PATCH RFC", "RFC", "PATCH/RFC", "PATCH WIP", "RFCv2 PATCH"])
def test_an_rfc_is_answered_where_all_lists_want_that(prefix: str) -> None:
    raw = a_patch(f"[{prefix}] mm: walk")
    assert reason(judge(raw)) is Reason.RFC
    assert judge(raw, settings=config(mm=ANSWERED._replace(rfc=True))) is None
    both = config(mm=ANSWERED._replace(rfc=True), cxl=ANSWERED)
    assert reason(judge(a_patch(f"[{prefix}] mm: walk", to=[MM, CXL]), settings=both)) is Reason.RFC


@pytest.mark.parametrize("path", ["ndctl/list.c", "meson.build", "hw/mem/x.c", "linux-6.1/mm/walk.c"])
def test_files_that_the_kernel_does_not_have_are_another_project(path: str) -> None:
    assert reason(judge(a_patch(body="x\n---\n" + diff("walk").replace("mm/walk.c", path)))) is Reason.OTHER_PROJECT


@pytest.mark.parametrize("path", ["mm/walk.c", "MAINTAINERS", "Documentation/mm/walk.rst", "tools/mm/x.c", ".mailmap"])
def test_files_of_the_kernel_are_not(path: str) -> None:
    assert judge(a_patch(body="x\n---\n" + diff("walk").replace("mm/walk.c", path))) is None


def test_a_superseded_posting_is_not_answered() -> None:
    assert judge(newest=2) == Verdict(Reason.SUPERSEDED, "v2 is known")
    assert judge(newest=1) is None


def test_people_answer_first() -> None:
    verdict = judge(arrived=NOW - 12 * HOUR + timedelta(seconds=1))
    assert verdict == Verdict(Reason.WAITING, "people answer first, for 12 h", final=False)
    assert judge(arrived=NOW - 12 * HOUR) is None


def test_an_incomplete_posting_is_given_time_and_then_given_up() -> None:
    first = a_patch("[PATCH 1/3] mm: walk")
    early = judge(first, arrived=NOW - 24 * HOUR + timedelta(seconds=1))
    assert early == Verdict(Reason.INCOMPLETE, "2 of 3 patches are missing", final=False)
    late = judge(first, arrived=NOW - 24 * HOUR)
    assert late == Verdict(Reason.INCOMPLETE, "2 of 3 patches are missing", final=True)


def test_what_is_too_old_is_never_answered() -> None:
    assert judge(arrived=NOW - timedelta(days=7)) is None
    assert judge(arrived=NOW - timedelta(days=7, seconds=1)) == Verdict(
        Reason.TOO_OLD, "arrived more than 7 days ago", final=True
    )


def test_an_arrival_in_the_future_does_not_hold_a_mail_for_ever() -> None:
    assert reason(judge(arrived=NOW + HOUR)) is Reason.WAITING
    assert judge(arrived=NOW + timedelta(days=3000)) is None
    verdict = judge(a_patch("[PATCH 1/3] mm: walk"), arrived=NOW + timedelta(days=3000))
    assert verdict is not None
    assert verdict.final


def test_times_at_the_ends_of_the_calendar_do_no_harm() -> None:
    assert judge(arrived=datetime.max.replace(tzinfo=UTC)) is None
    assert reason(judge(arrived=datetime.min.replace(tzinfo=UTC))) is Reason.TOO_OLD


def test_a_diff_in_a_reply_is_no_submission() -> None:
    assert reason(judge(a_patch("Re: [PATCH] mm: walk"))) is Reason.REPLY


# -- caps -------------------------------------------------------------------------------------------

CAPPED = ListConfig(mode="author+list", max_per_series=3, max_per_list=20, max_per_author=5)


@pytest.mark.parametrize(
    ("sent", "expected", "final"),
    [
        (Sent(), None, None),
        (Sent(2, 4, 49, {MM: 19}), None, None),
        (Sent(series=3), Reason.CAP_SERIES, True),
        (Sent(author=5), Reason.CAP_AUTHOR, False),
        (Sent(day=50), Reason.CAP_DAY, False),
        (Sent(lists={MM: 20}), Reason.CAP_LIST, False),
        (Sent(lists={CXL: 20}), None, None),
    ],
)
def test_a_cap_holds_the_next_mail_back(sent: Sent, expected: Reason | None, final: bool | None) -> None:
    settings = config(mm=CAPPED)
    verdict = judge_caps(sent, terms(settings, MM), settings)
    assert (reason(verdict), verdict.final if verdict else None) == (expected, final)


def test_a_mail_to_the_author_alone_does_not_count_for_the_list() -> None:
    settings = config(mm=CAPPED._replace(mode="author-only"))
    assert judge_caps(Sent(lists={MM: 20}), terms(settings, MM), settings) is None


def test_a_cap_of_none_lets_nothing_out() -> None:
    settings = config(PolicyConfig(max_per_day=0), mm=CAPPED)
    assert reason(judge_caps(Sent(), terms(settings, MM), settings)) is Reason.CAP_DAY


# -- hostile mail -----------------------------------------------------------------------------------


def test_judging_grows_no_faster_than_the_mail() -> None:
    def work(count: int) -> float:
        many = [f"{'linux-' * 20}{n}@{'lists.' * 20}example" for n in range(count)]
        one = parsed("[" * 50 + "PATCH " + "5.4." * count + "] x", to=many, body="pull request\n" * count * 40)
        posting = series(a_patch(to=many))
        settings = config(mm=ANSWERED)
        return seconds(lambda: (judge_mail(one, settings, ()), terms_of(posting, settings, [MM])))

    small = work(200)
    assert work(1600) < 8 * 3 * small + 0.05
