# SPDX-License-Identifier: GPL-2.0-or-later
"""Which kernel a series is for: the base gate that decides which facts hold.

Belongs here: kernel version numbers, their dates, and how a base is chosen where no tree is given.
Pure.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from reviewbot.model import Base, BaseHow, Subject

Version = tuple[int, int]

# Day of each final release (kernel.org, and the v* tags of Linus' tree). What is new in v(N+1) is in
# mainline from its -rc1 on, two weeks after vN: the merge window's length since 2005.
RELEASES: tuple[tuple[Version, date], ...] = tuple(
    ((int(version.split(".")[0]), int(version.split(".")[1])), date.fromisoformat(day))
    for version, day in (
        pair.split()
        for pair in """
        4.0 2015-04-12|4.1 2015-06-21|4.2 2015-08-30|4.3 2015-11-01|4.4 2016-01-10|4.5 2016-03-13|4.6 2016-05-15
        4.7 2016-07-24|4.8 2016-10-02|4.9 2016-12-11|4.10 2017-02-19|4.11 2017-04-30|4.12 2017-07-02|4.13 2017-09-03
        4.14 2017-11-12|4.15 2018-01-28|4.16 2018-04-01|4.17 2018-06-03|4.18 2018-08-12|4.19 2018-10-22|4.20 2018-12-23
        5.0 2019-03-03|5.1 2019-05-05|5.2 2019-07-07|5.3 2019-09-15|5.4 2019-11-24|5.5 2020-01-26|5.6 2020-03-29
        5.7 2020-05-31|5.8 2020-08-02|5.9 2020-10-11|5.10 2020-12-13|5.11 2021-02-14|5.12 2021-04-25|5.13 2021-06-27
        5.14 2021-08-29|5.15 2021-10-31|5.16 2022-01-09|5.17 2022-03-20|5.18 2022-05-22|5.19 2022-07-31|6.0 2022-10-02
        6.1 2022-12-11|6.2 2023-02-19|6.3 2023-04-23|6.4 2023-06-25|6.5 2023-08-27|6.6 2023-10-29|6.7 2024-01-07
        6.8 2024-03-10|6.9 2024-05-12|6.10 2024-07-14|6.11 2024-09-15|6.12 2024-11-17|6.13 2025-01-19|6.14 2025-03-24
        6.15 2025-05-25|6.16 2025-07-27|6.17 2025-09-28|6.18 2025-11-30|6.19 2026-02-08|7.0 2026-04-12
        """.replace("\n", "|").split("|")
        if pair.strip()
    )
)
_MERGE_WINDOW = timedelta(days=14)
_STARTS = tuple(day + _MERGE_WINDOW for _, day in RELEASES)

# [PATCH 5.4], [PATCH stable-5.4 1/3], [PATCH 5.4.y], [PATCH AUTOSEL 5.10 12/30], [PATCH 6.1/6.6]
_PREFIX = re.compile(r"(?:^|[-/@:])v?([4-7])\.(\d{1,3})(?:\.(?:[xy]|\d+))?(?:-[a-z][a-z0-9]*)?$", re.I)
_TREE = re.compile(r" to (?:the |apply to )(\d)\.(\d{1,3})-stable tree$")


def parse_version(text: str) -> Version:
    """'v6.12' or '6.12' -> (6, 12). Raises ValueError on anything else."""
    match = re.fullmatch(r"v?(\d{1,3})\.(\d{1,3})", text)
    if not match:
        raise ValueError(f"not a kernel version: '{text}'")
    return int(match[1]), int(match[2])


def version_at(day: date) -> Version:
    """The newest kernel whose merge window had closed on that day: what a patch of that day is for.

    Before the first known release that is (3, 0); behind the last one known, the number after it.
    """
    at = bisect_right(_STARTS, day)
    if at == 0:
        return 3, 0
    if at < len(RELEASES):
        return RELEASES[at][0]
    major, minor = RELEASES[-1][0]
    return major, minor + 1


def find_base(commit: str | None, subjects: Sequence[Subject], dates: Sequence[datetime | None]) -> Base:
    """The base of a posting from what its mails say; a tree, where there is one, knows better.

    `subjects` and `dates` are the cover letter's first: the first that names a kernel counts, and the latest date,
    for one mail's clock may stand in 1970.
    """
    known = [date for date in dates if date is not None]
    how, version = (BaseHow.DATE, version_at(max(known).date())) if known else (BaseHow.UNKNOWN, None)
    named = next((kernel for subject in subjects if (kernel := _named(subject))), None)
    if named:
        how, version = BaseHow.PREFIX, named
    if commit:
        # the hash alone tells no version without a tree: the facts still come from prefix or date
        return Base(commit, version, how if how is BaseHow.PREFIX else BaseHow.DECLARED)
    return Base(None, version, how)


def _named(subject: Subject) -> Version | None:
    """The kernel that a subject names: [PATCH 5.4 1/3], "... has been added to the 5.4-stable tree"."""
    if match := _TREE.search(subject.full):
        return int(match[1]), int(match[2])
    for prefix in subject.prefixes:
        if match := _PREFIX.search(prefix.split("/")[0]) or _PREFIX.search(prefix):
            return int(match[1]), int(match[2])
    return None
