# SPDX-License-Identifier: GPL-2.0-or-later
"""The index of series in flight: what goes in, what is met, and that nothing in a mail or in the file breaks it.

Belongs here: `reviewbot.index` and `reviewbot.touches`, `reviewbot index` and the bot that keeps it. What the rule says
of it is on its page.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from inbox import write_epoch
from mails import AUTHOR, START, diff, mail, posting
from site_of_bot import Site
from world import clean, series

from reviewbot.cli import main
from reviewbot.dossier import Overlap
from reviewbot.index import IN_FLIGHT, Index, SeriesIndexError
from reviewbot.mail import local_series, make_patch
from reviewbot.mime import parse_mail
from reviewbot.model import Patch, Series
from reviewbot.touches import MOST_CLAIMS, MOST_FILES, MOST_LINES, MOST_NAMES, bits, definition, touches

OTO = "Oto Other <oto@example.net>"
NOW = START + timedelta(days=30)


def patch(
    name: str, text: str, *, sender: str = OTO, subject: str = "[PATCH] mm: another walk of ranges", day: float = 0,
    body: str = "",
) -> bytes:  # fmt: skip
    """A patch mail with a diff of our own, sent so many days after START."""
    return mail(subject, f"Text.\n{body}---\n{text}", f"{name}@example.net", sender=sender, minute=int(day * 1440))


def ours(text: str | None = None, *, day: float = 1) -> Series:
    """Ada's posting, which touches mm/walk.c as Oto's does."""
    raw = patch("ours", text or diff("walk"), sender=AUTHOR, subject="[PATCH] mm: teach the walk", day=day)
    return local_series([parse_mail(raw)])[0]


def filled(*raws: bytes, index: Index | None = None, now: datetime = NOW) -> Index:
    """An index of mails."""
    index = index or Index(":memory:")
    for raw in raws:
        index.add(parse_mail(raw), None, now)
    return index


def met(index: Index, series: Series | None = None, at: datetime = START + timedelta(days=1)) -> Sequence[Overlap]:
    """What a posting meets, Ada's by default."""
    return index.flight(series or ours(), at).overlaps()


def names(overlaps: Sequence[Overlap]) -> list[str]:
    """The Message-IDs of who is met."""
    return [one.other.message_id.partition("@")[0] for one in overlaps]


def dump(index: Index) -> list[tuple[object, ...]]:
    """All that an index says, whatever the numbers of its rows are."""
    return sorted(
        index._all(
            "SELECT message_id, sender, revision, title, mail.date, path.path, name, hex(gaps), hex(added) FROM mail"
            " JOIN posting ON posting.id = mail.posting LEFT JOIN touch ON touch.mail = mail.id"
            " LEFT JOIN path ON path.id = touch.path LEFT JOIN name ON name.touch = touch.id"
        ),
        key=str,
    )


# -- what goes in ---------------------------------------------------------------------------------------------------


def test_another_series_with_the_same_lines_is_met() -> None:
    (one,) = met(filled(patch("oto", diff("walk"))))
    assert (one.patch, one.path, one.what, one.lines) == (1, "mm/walk.c", "range_walk()", True)
    assert one.other.message_id == "oto@example.net"
    assert one.other.series == "oto@example.net"
    assert one.other.author == "oto@example.net"
    assert one.other.date == START


def test_the_same_mails_again_change_nothing() -> None:
    raws = [*posting(3), patch("oto", diff("walk"))]
    index = filled(*raws)
    before = dump(index)
    assert not index.add(parse_mail(raws[1]), None, NOW)
    assert dump(filled(*raws, index=index)) == before


def test_the_order_of_the_mails_does_not_count() -> None:
    raws = [*posting(4), *posting(4, revision=2, minute=5000), *posting(2, key="other"), patch("oto", diff("walk"))]
    wanted = dump(filled(*raws))
    for seed in range(5):
        shuffled = random.Random(seed).sample(raws, len(raws))
        assert dump(filled(*shuffled)) == wanted


@pytest.mark.parametrize(
    "subject", ["Re: [PATCH] mm: another walk of ranges", "mm: another walk of ranges", "[ANNOUNCE] walk 1.0"]
)
def test_what_is_no_patch_is_not_taken(subject: str) -> None:
    index = filled(patch("oto", diff("walk"), subject=subject))
    assert index.sums().postings == 0


def test_a_cover_letter_names_the_series_of_its_patches() -> None:
    raws = [raw.replace(b"mm/range1.c", b"mm/walk.c") for raw in posting(2, key="range", sender=OTO)]
    found = met(filled(*reversed(raws)))
    cover = parse_mail(raws[0]).message_id
    assert found
    assert {one.other.series for one in found} == {cover}


# -- what is in flight ----------------------------------------------------------------------------------------------


def test_a_newer_revision_takes_the_place_of_an_older_one() -> None:
    old = patch("old", diff("walk"))
    new = patch("new", diff("other"), subject="[PATCH v2] mm: another walk of ranges", day=0.5)
    assert names(met(filled(old))) == ["old"]
    assert met(filled(new, old)) == []


def test_a_newer_revision_under_another_title_is_known_by_its_change_id() -> None:
    change = "change-id: 20241120-walk-1\n"
    old = patch("old", diff("walk"), body=change)
    new = patch("new", diff("other"), subject="[PATCH v2] mm: quite another walk", day=0.5, body=change)
    assert names(met(filled(old, new))) == []


def test_a_revision_to_come_does_not_take_the_place_of_one_that_is_there() -> None:
    old = patch("old", diff("walk"))
    new = patch("new", diff("other"), subject="[PATCH v2] mm: another walk of ranges", day=9)
    assert names(met(filled(old, new))) == ["old"]
    assert met(filled(old, new), at=START + timedelta(days=10)) == []


def test_a_series_that_somebody_else_took_over_is_superseded_too() -> None:
    old = patch("old", diff("walk"))
    new = patch("new", diff("walk"), sender="Una Under <una@example.com>", day=0.5)
    assert names(met(filled(old, new))) == ["new"]


def test_own_revisions_are_never_met() -> None:
    same_sender = patch("a", diff("walk"), sender=AUTHOR)
    same_person = patch("b", diff("walk"), sender="Ada Ranger <ada@home.example>")
    same_title = patch("c", diff("walk"), sender=OTO, subject="[PATCH RFC] mm: teach the walk")
    assert met(filled(same_sender, same_person, same_title)) == []


def test_the_same_thread_is_never_met() -> None:
    alternative = mail("[PATCH] mm: rather so, I think", f"T.\n---\n{diff('walk')}", "alt@example.net", sender=OTO,
                       in_reply_to="ours@example.net", minute=1)  # fmt: skip
    assert met(filled(alternative)) == []


def test_whom_the_posting_names_is_never_met() -> None:
    series = local_series([parse_mail(patch(
        "ours", diff("walk"), sender=AUTHOR, subject="[PATCH] mm: teach the walk", day=1,
        body="On top of https://lore.kernel.org/r/oto@example.net/\n",
    ))])[0]  # fmt: skip
    assert met(filled(patch("oto", diff("walk"))), series) == []


def test_only_the_last_ninety_days_count_and_not_the_future() -> None:
    index = filled(patch("oto", diff("walk"), day=10))
    at = START + timedelta(days=10)
    assert names(met(index, at=at + IN_FLIGHT - timedelta(hours=1))) == ["oto"]
    assert met(index, at=at + IN_FLIGHT + timedelta(hours=1)) == []
    assert names(met(index, at=at - timedelta(hours=23))) == ["oto"]
    assert met(index, at=at - timedelta(days=2)) == []


def test_a_clock_in_the_future_counts_as_now() -> None:
    index = filled(patch("oto", diff("walk"), day=4000), now=START)
    assert names(met(index)) == ["oto"]
    index = Index(":memory:")
    index.add(parse_mail(patch("oto", diff("walk"), day=4000)), START, NOW)
    assert index.sums().newest == START


def test_a_clock_without_a_battery_counts_as_the_arrival() -> None:
    raw = patch("oto", diff("walk")).replace(b"Wed, 20 Nov 2024", b"Thu, 01 Jan 1970")
    index = Index(":memory:")
    index.add(parse_mail(raw), START, NOW)
    assert names(met(index)) == ["oto"]


def test_of_one_author_the_newest_is_met_at_one_place() -> None:
    old = patch("old", diff("walk"), subject="[PATCH] mm: walk the first range")
    new = patch("new", diff("walk"), subject="[PATCH] mm: walk the last range", day=0.5)
    assert names(met(filled(old, new))) == ["new"]


def test_what_was_made_on_top_of_another_series_does_not_meet_it() -> None:
    base = diff("walk")
    on_top = (
        "diff --git a/mm/walk.c b/mm/walk.c\n--- a/mm/walk.c\n+++ b/mm/walk.c\n"
        "@@ -10,4 +10,4 @@ static int range_walk(struct range *range)\n"
        " \tint ret;\n \n \tret = range_walk(range);\n-\treturn ret;\n+\treturn ret ?: -ENOENT;\n"
    )
    assert met(filled(patch("oto", base)), ours(on_top)) == []


def test_what_is_older_is_forgotten() -> None:
    index = filled(patch("old", diff("walk")), patch("new", diff("other"), subject="[PATCH] mm: other walks", day=9))
    assert index.prune(START + timedelta(days=1)) == 1
    assert index.sums() == (1, 1, 1, START + timedelta(days=9), START + timedelta(days=9))
    assert index.prune(START + timedelta(days=1)) == 0
    for table in ("mail", "posting", "path", "touch"):
        assert index._one(f"SELECT count(*) FROM {table}")[0] == 1


# -- touches --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("static int walk(struct mm_struct *mm)", "walk()"),
        ("static struct range *walk(struct mm_struct *mm,", "walk()"),
        ("SYSCALL_DEFINE3(walk, int, a, int, b)", "walk()"),
        ("walk(void)", "walk()"),
        ("struct range {", "struct range"),
        ("static const struct range_ops ops = {", "ops"),
        ("static int table[WALK_MAX] = {", "table"),
        ("enum walk_kind {", "enum walk_kind"),
        ("int walk(struct mm_struct *mm);", ""),
        ("EXPORT_SYMBOL_GPL(walk)", ""),
        ("out:", ""),
        ("\tif (walk(mm))", ""),
        ("}", ""),
        ("if (x)", ""),
        ("", ""),
        ("a" * 100_000 + "(", ""),
        ("a " * 50_000 + "(", ""),
    ],
)
def test_a_line_in_the_first_column_defines_something(line: str, name: str) -> None:
    assert definition(line) == name


def read(text: str) -> Patch:
    """A patch of a diff."""
    return make_patch(parse_mail(patch("x", text)), 1)


def header(*lines: str) -> str:
    """A diff of a header."""
    count = sum(line[0] != "+" for line in lines), sum(line[0] != "-" for line in lines)
    body = "\n".join(lines)
    return (
        f"diff --git a/include/linux/walk.h b/include/linux/walk.h\n--- a/include/linux/walk.h\n"
        f"+++ b/include/linux/walk.h\n@@ -5,{count[0]} +5,{count[1]} @@\n{body}\n"
    )


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ((" #define WALK_FLAG_A 0x1", "+#define WALK_FLAG_B 0x2"), [("WALK_FLAG_B", 1, "WALK_FLAG_")]),
        ((" \tWALK_A = 1 << 3,", "+\tWALK_B = 1 << 4,"), [("WALK_B", 4, "WALK_")]),
        (("+#define WALK_B (1UL << 7) /* why */",), [("WALK_B", 7, "WALK_")]),
        (("+\tWALK_B = BIT(9),",), [("WALK_B", 9, "WALK_")]),
        (("+#define WALK_B BIT_ULL(40)",), [("WALK_B", 40, "WALK_")]),
        (("+#define WALK_B ((__force walk_t)(1u << 3))",), []),
        (("+#define WALK_CMD_B 0x10", " #define WALK_CMD_A 0xf"), []),
        (("+#define WALK_B 4",), []),
        (("-#define WALK_A BIT(4)", "+#define WALK_B BIT(4)"), []),
        (("-#define WALK_A BIT(4)", "+#define WALK_A BIT(5)"), []),
        (("+#define WALK_MASK (BIT(4) | BIT(5))",), []),
    ],
)
def test_bits_are_those_that_a_header_gives_anew(lines: Sequence[str], found: list[tuple[str, int, str]]) -> None:
    assert [(one.flag, one.bit, one.prefix) for one in bits(read(header(*lines)))] == found


def test_a_bit_is_claimed_until_it_is_superseded() -> None:
    text = header(" \tWALK_A = BIT(3),", "+\tWALK_B = BIT(4),")
    index = filled(patch("oto", text))
    flight = index.flight(ours(), START + timedelta(days=1))
    (claim,) = flight.claims("WALK_", 4)
    assert (claim.flag, claim.bit, claim.path, claim.other.message_id) == (
        "WALK_B", 4, "include/linux/walk.h", "oto@example.net",
    )  # fmt: skip
    assert flight.claims("WALK_", 3) == flight.claims("TALK_", 4) == []
    filled(patch("new", diff("other"), subject="[PATCH v2] mm: another walk of ranges", day=0.5), index=index)
    assert index.flight(ours(), START + timedelta(days=1)).claims("WALK_", 4) == []


def test_a_hostile_patch_costs_a_bounded_number_of_rows_and_little_time() -> None:
    files = "".join(diff(f"f{n}") for n in range(3_000))
    names_of = "".join(f"+static int f{n}(void)\n+{{\n+\treturn some_long_name({n});\n+}}\n" for n in range(5_000))
    many = f"diff --git a/mm/x.c b/mm/x.c\n--- a/mm/x.c\n+++ b/mm/x.c\n@@ -1,1 +1,20001 @@\n int x;\n{names_of}"
    flags = header(*(f"+#define WALK_{n} BIT({n % 60})" for n in range(5_000)))
    index = Index(":memory:")
    begin = time.monotonic()
    filled(
        patch("a", files), patch("b", many, subject="[PATCH] b"), patch("c", flags, subject="[PATCH] c"), index=index
    )
    assert time.monotonic() - begin < 20
    assert index._one("SELECT count(*) FROM touch")[0] == MOST_FILES + 2
    assert index._one("SELECT max(n) FROM (SELECT count(*) AS n FROM name GROUP BY touch)")[0] == MOST_NAMES
    assert index._one("SELECT max(length(gaps), length(added)) FROM touch ORDER BY 1 DESC")[0] <= 4 * MOST_LINES
    assert index._one("SELECT count(*) FROM claim")[0] == MOST_CLAIMS


@pytest.mark.parametrize(
    "text",
    [
        diff("x" * 10_000),
        "diff --git a/../../etc/x b/../../etc/x\n--- a/../../etc/x\n+++ b/../../etc/x\n@@ -1 +1 @@\n-a\n+b\n",
        header("+" + "#define A" * 10_000),
        header("+\tWALK = " + "(" * 50_000),
        header("+\t" + "A" * 50_000 + " = 1"),
        header("+static " * 3 + "const " * 50_000),
        header("+\udcff\x00".replace("\x00", "\x01")),
    ],
)
def test_odd_text_breaks_nothing(text: str) -> None:
    raw = patch("x", "").replace(b"---\n", b"---\n" + text.encode("utf-8", "surrogateescape"))
    begin = time.monotonic()
    index = filled(raw)
    assert met(index) == []
    list(touches(make_patch(parse_mail(raw), 1)))
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"another walk", b"\xff\xfe walk \xed\xb3\xbf"),
        (b"mm/walk.c", b"mm/w\xfflk.c"),
        (b"Oto Other", b"O\xff Other"),
        (b"oto@example.net", b"o\xff@example.net"),
        (b"range_walk", b"range_\xff\xed\xb3\xbfwalk"),
        (b"another walk", b"=?utf-8?q?=ED=B3=BF?= walk"),
        (b"another walk", b"=?utf-16?q?=DC=FF?= walk"),
        (b"another walk", b"a" * 100_000),
        (b"<oto@example.net>\nTo", b"<" + b"o" * 900 + b"@example.net>\nTo"),
        (b"Text.\n", b"change-id: " + b"\xff" * 100 + b"\n"),
    ],
)
def test_bytes_that_are_no_text_are_taken_all_the_same(old: bytes, new: bytes, path: Path) -> None:
    raw = patch("oto", diff("walk"))
    assert old in raw
    with Index(path) as index:
        filled(raw.replace(old, new), index=index)
        assert index.sums().patches == 1
        list(met(index))
        index.find("walk.c", NOW, START)


def test_thousands_of_patches_of_one_file_are_looked_at_in_bounded_time() -> None:
    index = Index(":memory:")
    with index.transaction():
        filled(*(patch(f"p{n}", diff("walk"), subject=f"[PATCH] mm: walk number {n} of many") for n in range(2_500)),
               index=index)  # fmt: skip
    begin = time.monotonic()
    assert names(met(index)) == ["p999"] or len(met(index)) == 1
    assert time.monotonic() - begin < 5


# -- the file -------------------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "index.sqlite"


def test_a_file_that_is_damaged_is_told_in_one_line(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    for readonly in (False, True):
        with pytest.raises(SeriesIndexError, match=r"^cannot read index '.*': file is not a database$"):
            Index(path, readonly=readonly)


def test_a_database_of_another_program_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE mine (x)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(SeriesIndexError, match="is no index: it is a database of another program"):
        Index(path)
    assert path.read_bytes() == before


def test_a_newer_reviewbots_index_is_left_alone(path: Path) -> None:
    Index(path).close()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(SeriesIndexError, match="is of a newer reviewbot"):
        Index(path)


def test_what_is_not_there_is_not_made_by_reading(path: Path) -> None:
    with pytest.raises(SeriesIndexError, match="cannot open index"):
        Index(path, readonly=True)
    assert not path.exists()


def test_a_reader_sees_what_was_committed_while_another_writes(path: Path) -> None:
    with Index(path) as writer:
        filled(patch("oto", diff("walk")), index=writer)
        with Index(path, readonly=True) as reader, writer.transaction():
            filled(patch("una", diff("walk"), sender="Una Under <una@example.com>",
                         subject="[PATCH] mm: una walks, too"), index=writer)  # fmt: skip
            assert names(met(reader)) == ["oto"]
            with pytest.raises(SeriesIndexError, match="cannot write to index"):
                reader.prune(NOW)
        with Index(path, readonly=True) as reader:
            assert sorted(names(met(reader))) == ["oto", "una"]


def test_a_full_disk_is_told_in_one_line_and_loses_nothing_that_was_there(path: Path) -> None:
    with Index(path) as index:
        filled(patch("oto", diff("walk")), index=index)
        pages = index._one("PRAGMA page_count")[0]
        index._db.execute(f"PRAGMA max_page_count = {pages + 5}")
        with pytest.raises(SeriesIndexError, match=r"^cannot write to index '.*': database or disk is full$"):
            filled(*(patch(f"p{n}", diff("walk"), subject=f"[PATCH] mm: walk {n}") for n in range(999)), index=index)
    with Index(path) as index:
        assert index.knows("oto@example.net")


def test_a_table_that_is_gone_is_told_and_meets_nothing(path: Path) -> None:
    with Index(path) as index:
        filled(patch("oto", diff("walk")), index=index)
        index._db.execute("DROP TABLE name")
        told: list[Exception] = []
        assert index.flight(ours(), START + timedelta(days=1), told.append).overlaps() == []
        assert str(told[0]) == f"cannot read index '{path}': no such table: name"


# -- the command ----------------------------------------------------------------------------------------------------


def run(path: Path, capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """`reviewbot index` with this file."""
    capfd.readouterr()
    code = main(["index", "-c", f'index="{path}"', *words])
    return code, *capfd.readouterr()


def recent(name: str, text: str, **more: str) -> bytes:
    """A patch of an hour ago."""
    when = datetime.now(UTC) - timedelta(hours=1)
    return patch(name, text, **more, day=(when - START) / timedelta(days=1))


def test_an_archive_is_taken_once_and_what_is_new_later(
    path: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "mm"
    (archive / "git").mkdir(parents=True)
    write_epoch(archive / "git" / "0.git", [*posting(3), recent("oto", diff("walk"))])
    code, out, err = run(path, capfd, "-m", str(archive))
    assert (code, out) == (0, "")
    assert err.startswith("5 mails read, 4 patches of 2 postings, ")
    assert run(path, capfd, "-m", str(archive))[2].startswith("0 mails read, 0 patches of 0 postings, ")
    write_epoch(archive / "git" / "0.git", [recent("una", diff("other"), subject="[PATCH] mm: una walks")])
    assert run(path, capfd, "-m", str(archive))[2].startswith("1 mail read, 1 patch of 1 posting, ")
    assert run(path, capfd)[1].startswith("5 patches of 3 postings\n")
    sums = json.loads(run(path, capfd, "--format", "json")[1])
    assert (sums["patches"], sums["postings"]) == (5, 3)


def test_an_mbox_is_taken_and_who_touches_a_file_or_function_is_listed(
    path: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mbox = tmp_path / "mails"
    mbox.write_bytes(recent("oto", diff("walk")))
    assert run(path, capfd, "-m", str(mbox))[2].startswith("1 mail read, 1 patch of 1 posting, ")
    for what in ("mm/walk.c", "walk.c", "range_walk", "range_walk()"):
        code, out, err = run(path, capfd, what)
        assert (code, err) == (0, "")
        assert "<oto@example.net>  [PATCH] mm: another walk of ranges\n" in out
        assert "mm/walk.c: range_walk()\n" in out
    (entry,) = json.loads(run(path, capfd, "range_walk", "--format", "json")[1])
    assert (entry["path"], entry["names"], entry["author"]) == ("mm/walk.c", ["range_walk()"], "oto@example.net")
    code, out, err = run(path, capfd, "no_such")
    assert (code, out) == (0, "")
    assert err.startswith("no series since ")


def test_what_is_old_is_not_taken_where_a_time_is_given_and_can_be_forgotten(
    path: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mbox = tmp_path / "mails"
    mbox.write_bytes(patch("oto", diff("walk")))
    assert "0 patches of 0 postings" in run(path, capfd, "-m", str(mbox), "--since", "2024-11-21")[2]
    assert "1 patch of 1 posting" in run(path, capfd, "-m", str(mbox))[2]
    assert run(path, capfd, "--prune", "--since", "2024-11-20")[2] == "0 mails older than 2024-11-20 forgotten\n"
    assert run(path, capfd, "--prune", "--since", "2024-11-21")[2] == "1 mail older than 2024-11-21 forgotten\n"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ((), "there is no index '.*' yet: reviewbot index -m ARCHIVE makes one"),
        (("-m", "/nonexistent"), "cannot open '/nonexistent': No such file or directory"),
        (("--since", "someday"), "--since: not a time: 'someday'.*"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    path: Path, words: Sequence[str], error: str, capfd: pytest.CaptureFixture[str]
) -> None:
    import re

    code, out, err = run(path, capfd, *words)
    assert (code, out) == (2, "")
    assert re.fullmatch(f"reviewbot: {error}\n", err)


def test_check_uses_the_index_where_there_is_one(path: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine.patch"
    mine.write_bytes(recent("ours", diff("walk"), sender=AUTHOR, subject="[PATCH] mm: teach the walk"))
    words = ["check", "-c", f'index="{path}"', "--select", "series/in-flight-overlap", "--strict", str(mine)]
    assert main(words) == 0
    assert capfd.readouterr().out == ""
    with Index(path) as index:
        filled(recent("oto", diff("walk")), index=index, now=datetime.now(UTC))
    assert main(words) == 0
    out, err = capfd.readouterr()
    assert "changes the same lines of range_walk() of mm/walk.c as '[PATCH] mm: another walk" in out
    path.write_bytes(b"damaged" * 1000)
    for name in ("-wal", "-shm"):
        if os.path.exists(f"{path}{name}"):
            os.unlink(f"{path}{name}")
    assert main(words) == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert "warning: cannot read index" in err


# -- the bot --------------------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Site:
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    return Site(tmp_path, capfd)


def test_watch_keeps_an_index_beside_its_ledger(site: Site) -> None:
    site.begin(clean("a"))
    assert site("watch") == (0, "", "")
    with Index(site.state / "index.sqlite", readonly=True) as index:
        assert index.knows("lumen-v1-1@example.org")
        assert index.sums().patches == 1


def test_a_rehearsal_makes_no_index(site: Site) -> None:
    site.begin(clean("a"))
    (site.state / "index.sqlite").unlink()
    assert site("watch", "--dry-run").code == 0
    assert site("watch", "--since", "30d").code == 0
    assert not (site.state / "index.sqlite").exists()


def test_a_broken_index_is_told_of_and_stops_nothing(site: Site) -> None:
    site.begin(clean("a"))
    file = site.state / "index.sqlite"
    for name in (file, Path(f"{file}-wal"), Path(f"{file}-shm")):
        name.unlink(missing_ok=True)
    file.write_bytes(b"damaged" * 1000)
    ran = site("watch")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"reviewbot: cannot read index '{file}': file is not a database\n"
    with site.ledger() as ledger:
        assert ledger.knows("lumen-v1-1@example.org")


def test_the_bot_tells_of_a_series_that_it_saw_before(site: Site) -> None:
    site.configure(send="approve", policy='severity = "info"\nconfidence = "low"')
    site.begin(clean("a"))
    site.post(series(clean("a"), key="other", sender="Oto Other <oto@example.net>"), hours=2)
    ran = site("watch", "--select", "series/in-flight-overlap")
    # each meets the other: both were posted within a day
    assert ran.err == ""
    assert ran.out.count("queued <") == 2
    text = site("queue", "show", "2").out
    assert "changes the same lines of lumen_a()" in text
    assert "<lumen-v1-1@example.org>" in text
