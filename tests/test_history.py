# SPDX-License-Identifier: GPL-2.0-or-later
"""All revisions of a series: by author and title, by change-id, by what answers what, by links; and whose reroll it is.

Belongs here: which postings are found, and that a place that cannot be reached costs only itself. What replies say is
test_remarks_of_people's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from mails import COVER, posting, reply

from reviewbot.dossier import History
from reviewbot.history import MOST, find_history
from reviewbot.model import NotFoundError, TemporaryError
from reviewbot.revisions import find_series
from reviewbot.source import Lineage
from reviewbot.source.mbox import MboxSource


class Archive:
    """A source of threads, each a list of mails, that counts what it is asked."""

    def __init__(self, *threads: Sequence[bytes], dead: Sequence[str] = (), searches: bool = True) -> None:
        self.threads = threads
        self.dead = dead
        self.searches = searches
        self.asked: list[str] = []

    def thread(self, message_id: str) -> list[bytes]:
        self.asked.append(message_id)
        if message_id in self.dead:
            raise TemporaryError(f"cannot fetch <{message_id}>")
        for thread in self.threads:
            if any(f"\nMessage-ID: <{message_id}>\n".encode() in raw for raw in thread):
                return list(thread)
        raise NotFoundError(f"no mail <{message_id}>")

    def related(self, lineage: Lineage) -> list[bytes]:
        if not self.searches:
            raise TemporaryError("there is no search")
        return [raw for thread in self.threads for raw in thread if lineage.claims_raw(raw)]


DAY = 24 * 60


def history_of(source: Archive, message_id: str) -> History:
    raws = source.thread(message_id)
    return find_history(source, raws, find_series(source, raws, message_id).series).history


def names(history: History) -> list[str]:
    return [f"v{revision.series.revision}/{len(revision.series.patches)}" for revision in history.revisions]


def test_revisions_in_threads_of_their_own_are_found_by_author_and_title() -> None:
    source = Archive(
        posting(2, revision=1), posting(3, revision=2, minute=7 * DAY), posting(3, revision=3, minute=14 * DAY)
    )
    for n, count in ((1, 2), (2, 3), (3, 3)):
        history = history_of(source, f"walk-v{n}-0@example.org")
        assert names(history) == ["v1/2", "v2/3", "v3/3"]
        assert history.at == n - 1
        assert len(history.this.series.patches) == count
    assert history.previous is history.revisions[1]
    assert history.earlier == history.revisions[:2]


def test_somebody_else_s_series_of_the_same_title_is_not_among_them() -> None:
    other = posting(2, revision=2, minute=7 * DAY, sender="Oto Other <oto@example.org>", key="walk")
    history = history_of(Archive(posting(2), other), "walk-v1-0@example.org")
    assert names(history) == ["v1/2"]


def test_a_revision_in_answer_to_the_one_before_is_found_in_its_thread() -> None:
    first = posting(2, revision=1)
    second = posting(2, revision=2, minute=7 * DAY, above="walk-v1-0@example.org")
    history = history_of(Archive([*first, *second], searches=False), "walk-v2-0@example.org")
    assert names(history) == ["v1/2", "v2/2"]


def change(number: int) -> str:
    return COVER.replace("-- \n2.39.5\n", f"---\nchange-id: 20241120-walk-abc\n-- \n2.39.{number}\n")


def test_a_series_that_was_named_anew_is_found_by_its_change_id() -> None:
    first = posting(2, key="walk", cover_body=change(1))
    second = posting(2, key="stroll", revision=2, minute=7 * DAY, cover_body=change(2))
    history = history_of(Archive(first, second), "stroll-v2-0@example.org")
    assert names(history) == ["v1/2", "v2/2"]


def linked(text: str) -> str:
    return f"What it is about.\n\n{text}\n\n-- \n2.39.5\n"


def test_a_link_to_an_earlier_revision_is_followed_although_title_and_author_are_others() -> None:
    first = posting(2, key="walk", sender="Oto Other <oto@example.org>")
    body = linked(
        "Changes in v2:\n- taken over from Oto\n- Link to v1: https://lore.kernel.org/r/walk-v1-0@example.org"
    )
    second = posting(2, key="walk", revision=2, minute=7 * DAY, cover_body=body)
    assert names(history_of(Archive(first, second), "walk-v2-0@example.org")) == ["v1/2", "v2/2"]


def test_a_link_to_another_series_of_the_author_is_not() -> None:
    first = posting(2, key="stroll")
    body = linked("This needs v1 of https://lore.kernel.org/r/stroll-v1-0@example.org")
    second = posting(2, key="walk", revision=2, minute=7 * DAY, cover_body=body)
    source = Archive(first, second)
    assert names(history_of(source, "walk-v2-0@example.org")) == ["v2/2"]
    assert "stroll-v1-0@example.org" in source.asked


@pytest.mark.parametrize(
    "text",
    [
        "- Link to v1: https://lore.kernel.org/r/stroll-v1-0@example.org",
        "Changes since v1: https://lore.kernel.org/all/stroll-v1-0@example.org/",
        "v1: Link: https://lore.kernel.org/all/stroll-v1-0@example.org/",
        "v1:\n  https://lore.kernel.org/r/stroll-v1-0@example.org",
    ],
)
def test_a_link_that_is_called_v1_leads_to_it_whatever_it_was_called_then(text: str) -> None:
    first = posting(2, key="stroll")
    second = posting(2, key="walk", revision=2, minute=7 * DAY, cover_body=linked(text))
    assert names(history_of(Archive(first, second), "walk-v2-0@example.org")) == ["v1/2", "v2/2"]


def test_nor_does_a_link_that_is_called_v1_lead_to_somebody_else_s_or_to_what_is_no_v1() -> None:
    text = "- Link to v1: https://lore.kernel.org/r/stroll-v1-0@example.org"
    other = posting(2, key="stroll", sender="Oto Other <oto@example.org>")
    third = [raw.replace(b"stroll-v3-", b"stroll-v1-") for raw in posting(2, key="stroll", revision=3)]
    second = posting(2, key="walk", revision=2, minute=7 * DAY, cover_body=linked(text))
    for first in (other, third):
        assert names(history_of(Archive(first, second), "walk-v2-0@example.org")) == ["v2/2"]


def test_what_answers_a_revision_under_the_next_number_is_its_reroll_whatever_it_is_called() -> None:
    first = posting(1, key="walk", cover=False)
    second = [
        raw.replace(b"mm: walk step 1", b"mm: stroll along").replace(b"<walk-v2-1@", b"<stroll@")
        for raw in posting(1, key="walk", revision=2, cover=False, minute=7 * DAY, above="walk-v1-1@example.org")
    ]
    source = Archive([*first, *second], searches=False)
    assert names(history_of(source, "stroll@example.org")) == ["v1/1", "v2/1"]
    another = [raw.replace(b"mm/walk1.c", b"mm/other.c") for raw in second]
    source = Archive([*first, *another], searches=False)
    assert names(history_of(source, "stroll@example.org")) == ["v2/1"]


def test_a_chain_of_links_and_titles_is_followed_to_its_end() -> None:
    one = posting(2, key="walk", prefix="RFC PATCH")
    two = posting(2, key="walk", revision=2, minute=7 * DAY, cover_body=change(1))
    three = posting(2, key="stroll", revision=3, minute=14 * DAY, cover_body=change(2))
    assert names(history_of(Archive(one, two, three), "stroll-v3-0@example.org")) == ["v1/2", "v2/2", "v3/2"]


def test_an_rfc_comes_before_the_first_revision_of_its_number() -> None:
    rfc = posting(2, key="walk", prefix="RFC PATCH")
    # a Message-ID of its own: revisions have the same number
    first = [raw.replace(b"walk-v1-", b"real-v1-") for raw in posting(2, key="walk", minute=7 * DAY)]
    history = history_of(Archive(rfc, first), "real-v1-0@example.org")
    assert history.at == 1
    assert history.before == 0


def test_a_resend_is_no_revision_before() -> None:
    first = posting(2, revision=1)
    second = posting(2, revision=2, minute=7 * DAY)
    again = [
        raw.replace(b"walk-v2-", b"again-v2-") for raw in posting(2, revision=2, prefix="PATCH RESEND", minute=9 * DAY)
    ]
    history = history_of(Archive(first, second, again), "again-v2-0@example.org")
    assert names(history) == ["v1/2", "v2/2", "v2/2"]
    assert history.at == 2
    assert history.before == 0


def test_a_partial_reroll_is_merged_with_the_revision_before() -> None:
    first = posting(3, revision=1)
    reroll = posting(3, revision=2, cover=False, only=[2], above="walk-v1-2@example.org", minute=DAY)
    history = history_of(Archive([*first, *reroll]), "walk-v2-2@example.org")
    assert names(history) == ["v1/3", "v2/3"]
    assert history.this.series.partial_reroll


def test_replies_know_which_patch_they_answer_also_through_others() -> None:
    mails = posting(2)
    direct = reply(mails[2], "r1@example.net", "Why?")
    below = reply(direct, "r2@example.net", "Because.", sender="Ada Ranger <ada@example.org>", minute=120)
    cover = reply(mails[0], "r3@example.net", "Nice.", minute=130)
    later = posting(2, revision=2, minute=7 * DAY, above="walk-v1-0@example.org")
    other = reply(later[1], "r4@example.net", "Still?", minute=8 * DAY)
    source = Archive([*mails, direct, below, cover, *later, other])
    history = history_of(source, "walk-v2-0@example.org")
    assert [(r.mail.message_id, r.patch) for r in history.revisions[0].replies] == [
        ("r1@example.net", 2), ("r2@example.net", 2), ("r3@example.net", 0),
    ]  # fmt: skip
    assert [(r.mail.message_id, r.patch) for r in history.revisions[1].replies] == [("r4@example.net", 1)]


def test_what_cannot_be_reached_is_told_and_costs_only_itself() -> None:
    first, second = posting(2), posting(2, revision=2, minute=7 * DAY)
    source = Archive(first, second, dead=["walk-v1-0@example.org", "walk-v1-1@example.org"])
    raws = source.thread("walk-v2-0@example.org")
    found = find_history(source, raws, find_series(source, raws, "walk-v2-0@example.org").series)
    assert names(found.history) == ["v2/2"]
    assert found.trouble == "cannot fetch <walk-v1-1@example.org>"


def test_without_a_search_the_thread_itself_is_known() -> None:
    source = Archive(posting(2), posting(2, revision=2, minute=7 * DAY), searches=False)
    raws = source.thread("walk-v2-0@example.org")
    found = find_history(source, raws, find_series(source, raws, "walk-v2-0@example.org").series)
    assert names(found.history) == ["v2/2"]
    assert found.trouble == "there is no search"


def test_a_dead_link_is_no_trouble() -> None:
    body = linked("- Link to v1: https://lore.kernel.org/r/gone@example.org")
    source = Archive(posting(2, revision=2, cover_body=body))
    raws = source.thread("walk-v2-0@example.org")
    assert find_history(source, raws, find_series(source, raws, "walk-v2-0@example.org").series).trouble is None


@pytest.mark.parametrize(
    "link", ["https://evil.example/r/x@y", "https://lore.kernel.org/r/", "https://lore.kernel.org/all/no-at/"]
)
def test_links_that_name_no_mail_of_an_archive_are_not_asked_for(link: str) -> None:
    source = Archive(posting(2, revision=2, cover_body=linked(f"v1: {link}")))
    history_of(source, "walk-v2-0@example.org")
    assert source.asked == ["walk-v2-0@example.org"]


def test_a_thousand_links_are_not_all_followed() -> None:
    body = linked("\n".join(f"v1: https://lore.kernel.org/r/x{n}@example.org" for n in range(1000)))
    source = Archive(posting(2, revision=2, cover_body=body))
    history_of(source, "walk-v2-0@example.org")
    assert len(source.asked) < 100


def test_no_more_than_so_many_revisions_are_kept() -> None:
    source = Archive(*(posting(1, revision=n, minute=n * DAY) for n in range(1, MOST + 20)))
    name = f"walk-v{MOST + 10}-0@example.org"
    raws = source.thread(name)
    found = find_history(source, raws, find_series(source, raws, name).series)
    assert len(found.history.revisions) == MOST
    assert found.trouble == f"there are more than {MOST} postings, and some are left out"
    # those nearest in time are kept
    assert found.history.previous
    assert found.history.previous.series.revision == MOST + 9


def test_it_works_on_a_file(tmp_path: Path) -> None:
    mbox = tmp_path / "mails.mbox"
    mails = [*posting(2), *posting(2, revision=2, minute=7 * DAY)]
    mbox.write_bytes(b"".join(b"From mboxrd@z Thu Jan  1 00:00:00 1970\n" + raw + b"\n" for raw in mails))
    source = MboxSource(mbox)
    raws = source.thread("walk-v2-0@example.org")
    found = find_history(source, raws, find_series(source, raws, "walk-v2-0@example.org").series)
    assert names(found.history) == ["v1/2", "v2/2"]
