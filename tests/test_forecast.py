# SPDX-License-Identifier: GPL-2.0-or-later
"""reviewbot.forecast: what the bot would send. The measure is the bot itself, which gets the same patches."""

from __future__ import annotations

from pathlib import Path

import pytest
from world import World, clean, old_name, raw_call, series

from reviewbot import registry
from reviewbot.config import Config, ListConfig, PolicyConfig
from reviewbot.engine import review
from reviewbot.finding import Finding, Forecast, Review, Silence
from reviewbot.forecast import forecast
from reviewbot.mail import local_series
from reviewbot.mime import parse_mail
from reviewbot.model import Confidence, Severity
from reviewbot.selection import Selection, select

LIST = "linux-mm@example.org"


def reviewed(mails: list[bytes]) -> Review:
    """As `check` has it."""
    (found,) = local_series([parse_mail(raw) for raw in mails])
    return select(review(found, registry.load()), Selection())


def low(found: Review, index: int) -> Review:
    """The same with the findings of one patch of low confidence."""
    findings = tuple(f._replace(confidence=Confidence.LOW) if f.patch.index == index else f for f in found.findings)
    return select(found._replace(findings=findings), Selection())


def configured(**table: object) -> Config:
    """A configuration with one list."""
    return Config(list={LIST: ListConfig(**{"mode": "author+list", "send": "auto", **table})})  # type: ignore[arg-type]


POSTINGS = {
    "clean": series(clean("a")),
    "one": series(old_name("a")),
    "two of three": series(old_name("a"), clean("b"), raw_call("c")),
    "more than the limit": series(*(old_name(name) for name in "abcde")),
    "RFC": series(old_name("a"), prefix="RFC PATCH"),
    "stable": series(old_name("a"), prefix="PATCH 5.15.y"),
    "another project": series(old_name("a"), prefix="PATCH ndctl"),
    "ignored": series(raw_call("a"), notes=["reviewbot: ignore mmap-lock/raw-rwsem-call it is the API itself"]),
}


@pytest.mark.parametrize("name", POSTINGS)
def test_it_says_what_the_bot_then_does(name: str, tmp_path: Path) -> None:
    world = World(tmp_path)
    foreseen = forecast(reviewed(POSTINGS[name]), world.config)
    world.post(POSTINGS[name])
    world.wait(hours=2)
    world.run()
    assert len(world.out) == foreseen.mails
    said = sum(sending.text.count("mmap-lock/") - sending.text.count("ignore mmap-lock/") for sending in world.out)
    assert (said > 0) is (foreseen.findings > 0)
    assert foreseen.lists == (LIST,)


def test_each_patch_with_findings_gets_a_mail_and_the_silent_one_a_reason() -> None:
    found = low(reviewed(series(old_name("a"), clean("b"), raw_call("c"))), 3)
    assert forecast(found, Config()) == Forecast(1, 1, (Silence(3, "low confidence"),), (), None)


def test_a_list_s_own_terms_decide_where_the_patches_go_to_it() -> None:
    found = reviewed(series(old_name("a"), raw_call("b")))
    assert forecast(found, configured()).mails == 2
    assert forecast(found, configured(per="series")).mails == 1
    assert forecast(found, configured(ignore=("mmap-lock",))).silent == (Silence(1, "ignored"), Silence(2, "ignored"))
    assert forecast(found, configured(mode="off")).verdict == f"list-off: {LIST} is off"
    noted = found._replace(findings=tuple(f._replace(severity=Severity.WARNING) for f in found.findings))
    assert forecast(noted, configured(severity="error")).silent[0] == Silence(1, "less than error")


def test_commits_go_to_the_addresses_that_are_told_or_to_a_list_with_the_defaults() -> None:
    found = reviewed(series(old_name("a")))
    # as a commit: neither addresses nor Message-IDs
    patches = tuple(p._replace(mail=p.mail._replace(to=(), cc=(), message_id="")) for p in found.series.patches)
    findings = tuple(f._replace(patch=patches[0]) for f in found.findings)
    bare = found._replace(series=found.series._replace(patches=patches), findings=findings)
    assert forecast(bare, configured(mode="off")) == Forecast(1, 1, (), (), None)
    told = forecast(bare, configured(mode="off"), ["Somebody@example.org", LIST.upper()])
    assert (told.mails, told.lists, told.verdict) == (0, (LIST,), f"list-off: {LIST} is off")
    strict = Config(policy=PolicyConfig(severity="error", confidence="low"))
    assert forecast(bare, strict).mails == 1


def test_findings_of_other_tools_are_not_the_bot_s() -> None:
    found = reviewed(series(old_name("a")))

    def foreign(finding: Finding) -> Finding:
        return finding._replace(rule="checkpatch/SPACING", rule_id="")

    assert forecast(found._replace(findings=tuple(map(foreign, found.findings))), Config()).mails == 0


def test_what_was_there_before_is_no_reason_for_silence() -> None:
    found = reviewed(series(old_name("a")))
    old = found._replace(findings=tuple(f._replace(preexisting=True) for f in found.findings))
    assert forecast(select(old, Selection()), Config()) == Forecast(0, 0, (), (), None)


def test_an_incomplete_series_gets_nothing() -> None:
    found = reviewed(series(old_name("a"), old_name("b"))[:2])
    assert forecast(found, Config()).verdict == "incomplete: 1 of 2 patches are missing"


@pytest.mark.parametrize(
    "config",
    ['[per-path."drivers/misc/"]\nignore = ["mmap-lock"]\n', 'ignore = ["mmap-lock"]\n', 'select = ["pin"]\n'],
)
def test_what_the_configuration_leaves_out_the_bot_does_not_mail_either(config: str, tmp_path: Path) -> None:
    world = World(tmp_path, config)
    assert forecast(reviewed(POSTINGS["one"]), world.config).mails == 0
    world.post(POSTINGS["one"])
    world.wait(hours=2)
    world.run()
    assert world.out == []
