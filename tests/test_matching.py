# SPDX-License-Identifier: GPL-2.0-or-later
"""Which patch became which: equal, renamed, changed, split, squashed, new, dropped.

Belongs here: pairs of made-up patches. Finding revisions is test_history's, showing them test_diff_command's.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from mails import mail

from reviewbot.mail import make_patch
from reviewbot.matching import How, became, match_patches, patch_id
from reviewbot.mime import parse_mail
from reviewbot.model import Patch


def patch(number: int, title: str, lines: Sequence[str], path: str = "mm/walk.c", at: int = 10) -> Patch:
    """A patch that adds lines to a file."""
    body = (
        f"Because.\n\nSigned-off-by: Ada Ranger <ada@example.org>\n---\n"
        f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n"
        f"@@ -{at},2 +{at},{2 + len(lines)} @@ static int walk(void)\n \tint ret;\n"
        + "".join(f"+{line}\n" for line in lines)
        + " \treturn ret;\n"
    )
    raw = mail(f"[PATCH {number}/9] {title}", body, f"{title.replace(' ', '-')}-{number}@example.org")
    return make_patch(parse_mail(raw), number)


def work(name: str, count: int = 6) -> list[str]:
    """Lines of code that no other work has."""
    return [f"\t{name}_step_{n}(range, {n});" for n in range(count)]


def pairs(old: Sequence[Patch], new: Sequence[Patch]) -> list[tuple[int | None, int | None, str]]:
    found = match_patches(old, new)
    return [(pair.old and pair.old.index, pair.new and pair.new.index, str(pair.how)) for pair in found]


def test_the_same_diff_at_other_lines_and_with_other_white_space_is_the_same() -> None:
    one = patch(1, "mm: a", work("a"))
    other = patch(1, "mm: b", [line.replace("\t", "        ") for line in work("a")], at=99)
    assert patch_id(one) == patch_id(other)
    assert pairs([one], [other]) == [(1, 1, "same")]


def test_one_line_more_makes_it_changed() -> None:
    assert pairs([patch(1, "mm: a", work("a"))], [patch(1, "mm: a", [*work("a"), "\tmore();"])]) == [(1, 1, "changed")]


def test_patches_that_change_places_are_found_by_what_they_do() -> None:
    a, b = patch(1, "mm: a", work("a")), patch(2, "mm: b", work("b"))
    assert pairs([a, b], [b._replace(index=1), a._replace(index=2)]) == [(2, 1, "same"), (1, 2, "same")]


def test_a_patch_that_is_named_anew_and_changed_is_found_by_its_content() -> None:
    old = [patch(1, "mm: a", work("a")), patch(2, "mm: b", work("b"))]
    new = [patch(1, "mm: teach the walk", [*work("a")[:5], "\tother();"]), patch(2, "mm: b", work("b"))]
    assert pairs(old, new) == [(1, 1, "changed"), (2, 2, "same")]


def test_another_patch_under_no_known_title_is_new_and_the_old_one_is_dropped() -> None:
    assert pairs([patch(1, "mm: a", work("a"))], [patch(1, "mm: z", work("z"))]) == [
        (None, 1, "new"),
        (1, None, "dropped"),
    ]


def test_a_dropped_patch_stands_at_its_old_place() -> None:
    old = [patch(n, f"mm: {name}", work(name)) for n, name in enumerate("abc", 1)]
    new = [old[0], old[2]._replace(index=2)]
    assert pairs(old, new) == [(1, 1, "same"), (2, None, "dropped"), (3, 2, "same")]


def test_a_patch_that_is_split_is_in_two_pairs() -> None:
    whole = patch(1, "mm: a", [*work("a"), *work("b")])
    new = [patch(1, "mm: a", work("a")), patch(2, "mm: the second half", work("b"))]
    assert pairs([whole], new) == [(1, 1, "changed"), (1, 2, "split")]
    assert [found.index for found in became(match_patches([whole], new), whole)] == [1, 2]


def test_patches_that_are_squashed_point_to_the_same_one() -> None:
    old = [patch(1, "mm: a", work("a")), patch(2, "mm: b", work("b"))]
    new = [patch(1, "mm: a", [*work("a"), *work("b")])]
    assert pairs(old, new) == [(1, 1, "changed"), (2, 1, "squashed")]
    assert [found.index for found in became(match_patches(old, new), old[1])] == [1]


def test_what_was_dropped_became_nothing() -> None:
    old = [patch(1, "mm: a", work("a")), patch(2, "mm: b", work("b"))]
    assert became(match_patches(old, old[:1]), old[1]) == ()


def test_two_patches_of_one_title_are_told_apart_by_their_files() -> None:
    old = [patch(1, "mm: fix", work("a"), "mm/a.c"), patch(2, "mm: fix", work("b"), "mm/b.c")]
    new = [patch(1, "mm: fix", [*work("b"), "\tx_more();"], "mm/b.c"), patch(2, "mm: fix", work("a"), "mm/a.c")]
    assert pairs(old, new) == [(2, 1, "changed"), (1, 2, "same")]


def test_patches_without_a_diff_are_equal_to_nothing() -> None:
    one = make_patch(parse_mail(mail("[PATCH 1/1]", "Nothing.\n", "a@example.org")), 1)
    other = make_patch(parse_mail(mail("[PATCH 1/1]", "Nothing.\n", "b@example.org")), 1)
    assert patch_id(one) == 0
    assert pairs([one], [other]) == [(None, 1, "new"), (1, None, "dropped")]


def test_nothing_against_something() -> None:
    a = patch(1, "mm: a", work("a"))
    assert pairs([], [a]) == [(None, 1, "new")]
    assert pairs([a], []) == [(1, None, "dropped")]
    assert pairs([], []) == []


def test_every_patch_is_in_a_pair_whatever_came_of_it() -> None:
    old = [patch(n, f"mm: {n}", work(f"w{n % 3}", 3 + n)) for n in range(1, 9)]
    new = [patch(n, f"mm: {n * 2}", work(f"w{n % 4}", 2 + n)) for n in range(1, 7)]
    found = match_patches(old, new)
    assert {pair.old.index for pair in found if pair.old} == set(range(1, 9))
    assert {pair.new.index for pair in found if pair.new} == set(range(1, 7))
    assert all(pair.how in (How.NEW, How.DROPPED) for pair in found if not (pair.old and pair.new))


def test_hundreds_of_patches_without_an_equal_take_bounded_work() -> None:
    old = [patch(n, f"mm: a {n}", work(f"a{n}", 3)) for n in range(400)]
    new = [patch(n, f"mm: b {n}", work(f"b{n}", 3)) for n in range(400)]
    begin = time.process_time()
    assert len(match_patches(old, new)) == 800
    assert time.process_time() - begin < 60  # it is one or two; what is asked for is that it ends
