# SPDX-License-Identifier: GPL-2.0-or-later
"""reviewbot.verdict: what a later patch of a series resolves, and what it makes wrong.

A series is made here of the states of its files; each is reviewed on its hunks alone, and with whole files.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_engine import posted, rule
from world import World, series

from reviewbot import registry, verdict
from reviewbot.c.code import Code, images
from reviewbot.config import Config, ListConfig
from reviewbot.engine import review
from reviewbot.finding import Review, Silence
from reviewbot.fixes import wanted
from reviewbot.forecast import forecast
from reviewbot.ledger import FindingState
from reviewbot.mail import local_series
from reviewbot.mime import parse_mail
from reviewbot.model import Applied, Facts, LineKind, Patch, Severity, Whole
from reviewbot.output import json as json_output
from reviewbot.output.full import render
from reviewbot.output.terse import render as render_terse
from reviewbot.output.text import PLAIN, summary
from reviewbot.patchwork import State, states
from reviewbot.policy import Reason
from reviewbot.recipients import plan, reply_settings
from reviewbot.rule import Report, Rule
from reviewbot.selection import Selection, select

Held = Mapping[str, str]  # what each file holds, by path


def c(*bodies: str, name: str = "walk") -> str:
    """A file of functions, each with a body of statements."""
    found = []
    for n, body in enumerate(bodies):
        lines = "".join(f"\t{statement};\n" for statement in body.split("; ") if statement)
        found.append(f"int {name}{n or ''}(void)\n{{\n\tint a;\n\tint b;\n\tint c;\n\n{lines}\treturn a;\n}}\n")
    return "\n".join(found)


def change(old: str, new: str, before: str | None, after: str | None) -> str:
    """A file's part of a patch as git prints it."""
    head = f"diff --git a/{old} b/{new}\n"
    if old != new:
        head += f"similarity index 90%\nrename from {old}\nrename to {new}\n"
    if before is None:
        head += "new file mode 100644\n"
    if after is None:
        head += "deleted file mode 100644\n"
    sides = ((before or "").splitlines(keepends=True), (after or "").splitlines(keepends=True))
    names = (f"a/{old}" if before is not None else "/dev/null", f"b/{new}" if after is not None else "/dev/null")
    return head + "".join(difflib.unified_diff(*sides, *names))


class Story:
    """A series that takes its files from one state to the next. `moves` are renames (old, new) by patch number."""

    def __init__(
        self,
        *states: Held,
        moves: Mapping[int, tuple[str, str]] | None = None,
        facts: Sequence[Facts] = (),
        lost: Sequence[int] = (),
    ) -> None:
        self.states, self.moves, self.facts, self.lost = states, moves or {}, facts, lost
        diffs = []
        for n in range(1, len(states)):
            before, after = states[n - 1], states[n]
            old, new = self.moves.get(n, ("", ""))
            text = change(old, new, before[old], after[new]) if old else ""
            for path in sorted({*before, *after} - {old, new}):
                if before.get(path) != after.get(path):
                    text += change(path, path, before.get(path), after.get(path))
            diffs.append(text)
        self.series = posted(*diffs)

    def apply(self, patch: Patch) -> Applied:
        """As a tree does; `lost` are patches that do not apply to it."""
        before, after = self.states[patch.index - 1], self.states[patch.index]
        facts = self.facts[patch.index - 1] if self.facts else None
        if patch.index in self.lost:
            return Applied({}, facts)
        found = {
            n: Whole(one, before.get(one.old_path or ""), after.get(one.new_path or ""))
            for n, one in enumerate(patch.files)
        }
        return Applied(found, facts)

    def review(self, *rules: Rule, tree: bool, only: Sequence[int] | None = None) -> Review:
        """On hunks or whole files."""
        reviewed = review(self.series, rules or (rule(),), only, self if tree else None)
        assert reviewed.errors == ()
        return reviewed


def verdicts(reviewed: Review) -> list[tuple[int, int | None]]:
    """(patch, by which it is resolved) of each finding."""
    return [(f.patch.index, f.resolved_by) for f in reviewed.findings if not f.preexisting]


both = pytest.mark.parametrize("tree", [False, True], ids=["hunks", "files"])
X = "mm/x.c"


# -- resolved -----------------------------------------------------------------------------------------------------


@both
def test_what_patch_2_brings_and_patch_4_takes_away_is_resolved_by_4(*, tree: bool) -> None:
    plain, bad = c("go(); on()"), c("go(); bad(a); on()")
    story = Story(
        {X: plain, "mm/y.c": c("")}, {X: plain, "mm/y.c": c("one()")}, {X: bad, "mm/y.c": c("one()")},
        {X: bad, "mm/y.c": c("two()")}, {X: plain, "mm/y.c": c("two()")}, {X: plain, "mm/y.c": c("three()")},
    )  # fmt: skip
    reviewed = story.review(tree=tree)
    assert verdicts(reviewed) == [(2, 4)]
    assert reviewed.findings[0].severity is Severity.NOTE


@both
def test_what_stays_is_not_resolved_whatever_is_done_around_it(*, tree: bool) -> None:
    story = Story(
        {X: c("go(); on()", "x()")}, {X: c("go(); bad(a); on()", "x()")}, {X: c("stop(); bad(a); on()", "x()")},
        {X: c("stop(); bad(a); off()", "y()")}, {X: c("first(); stop(); bad(a)", "bad(b)")},
    )  # fmt: skip
    assert verdicts(story.review(tree=tree)) == [(1, None), (4, None)]


@both
def test_a_line_that_is_indented_anew_is_still_there(*, tree: bool) -> None:
    inside = c("bad(a)").replace("\tbad(a);\n", "\tif (a) {\n\t\tbad(a);\n\t}\n")
    story = Story({X: c("")}, {X: c("bad(a)")}, {X: inside})
    assert verdicts(story.review(tree=tree)) == [(1, None)]
    story = Story({X: c("")}, {X: c("bad(a)")}, {X: inside}, {X: c("")})
    assert verdicts(story.review(tree=tree)) == [(1, 3)]


@both
def test_who_only_says_it_in_another_way_has_neither_resolved_nor_brought_it(*, tree: bool) -> None:
    story = Story({X: c("")}, {X: c("bad(a)")}, {X: c("bad(a, b)")})
    assert verdicts(story.review(tree=tree)) == [(1, None)]
    story = Story({X: c("")}, {X: c("bad(a)")}, {X: c("bad(b)")}, {X: c("")})
    assert verdicts(story.review(tree=tree)) == [(1, 3)]


@both
def test_what_comes_back_is_found_where_it_comes_back(*, tree: bool) -> None:
    story = Story({X: c("")}, {X: c("bad(a)")}, {X: c("")}, {X: c("bad(a)")}, {X: c("bad(a); on()")})
    assert verdicts(story.review(tree=tree)) == [(1, 2), (3, None)]


@both
def test_a_line_as_such_that_comes_back_is_said_once_and_not_lost(*, tree: bool) -> None:
    # the engine takes it for a line that was moved
    story = Story({X: c("")}, {X: c("bad(a)")}, {X: c("")}, {X: c("bad(a)")})
    assert verdicts(story.review(rule(style=True), tree=tree)) == [(1, None)]


@both
def test_a_line_as_such_that_a_later_patch_removes_was_not_moved(*, tree: bool) -> None:
    style = rule(style=True)
    gone = Story({X: c("")}, {X: c("bad(a)")}, {X: c("")})
    assert verdicts(gone.review(style, tree=tree)) == [(1, 2)]
    # copied by the one patch, removed at its old place by the other: that it was, in this file or another
    copied = Story({X: c("bad(a)", "")}, {X: c("bad(a)", "bad(a)")}, {X: c("", "bad(a)")})
    assert verdicts(copied.review(style, tree=tree)) == []
    y = "mm/y.c"
    other = Story({X: c("bad(a)"), y: c("")}, {X: c("bad(a)"), y: c("bad(a)")}, {X: c(""), y: c("bad(a)")})
    assert verdicts(other.review(style, tree=tree)) == []
    # said where it was brought, not where it was moved to
    on = Story({X: c(""), y: c("")}, {X: c("bad(a)"), y: c("")}, {X: c(""), y: c("bad(a)")})
    assert verdicts(on.review(style, tree=tree)) == [(1, None)]
    back = Story({X: c("bad(a)")}, {X: c("")}, {X: c("bad(a)")}, {X: c("bad(a); on()")})
    assert verdicts(back.review(style, tree=tree)) == []


@both
@pytest.mark.parametrize("left", ["bad(a); go()", "go(); bad(a)"])
def test_of_two_that_are_alike_the_one_that_goes_is_resolved(left: str, *, tree: bool) -> None:
    story = Story({X: c("go()")}, {X: c("bad(a); go(); bad(a)")}, {X: c(left)})
    reviewed = story.review(tree=tree)
    (gone,) = [f for f in reviewed.findings if f.resolved_by]
    (kept,) = [f for f in reviewed.findings if not f.resolved_by and not f.preexisting]
    assert gone.resolved_by == 2
    assert (kept.span.line < gone.span.line) is left.startswith("bad")


@both
def test_the_one_that_was_there_before_is_not_counted(*, tree: bool) -> None:
    story = Story({X: c("bad(a); go()")}, {X: c("bad(a); go(); bad(a)")}, {X: c("go(); bad(a)")})
    # which of two that are alike remains makes no difference to the kernel, but this one is the patch's
    assert verdicts(story.review(tree=tree)) == [(1, None)]


@both
def test_a_file_is_followed_through_a_new_name(*, tree: bool) -> None:
    y = "mm/y.c"
    moved = Story({X: c("")}, {X: c("bad(a)")}, {y: c("bad(a); on()")}, {y: c("on()")}, moves={2: (X, y)})
    assert verdicts(moved.review(tree=tree)) == [(1, 3)]
    kept = Story({X: c("")}, {X: c("bad(a)")}, {y: c("bad(a); on()")}, {y: c("bad(a)")}, moves={2: (X, y)})
    assert verdicts(kept.review(tree=tree)) == [(1, None)]
    out = Story({X: c("")}, {X: c("bad(a)")}, {"tools/x.c": c("bad(a); on()")}, moves={2: (X, "tools/x.c")})
    assert verdicts(out.review(tree=tree)) == [(1, None)]  # it is there, where nobody looks


@both
def test_a_file_that_is_deleted_takes_its_findings_along_unless_they_move(*, tree: bool) -> None:
    assert verdicts(Story({X: c("")}, {X: c("bad(a)")}, {}).review(tree=tree)) == [(1, 2)]
    story = Story({X: c("")}, {X: c("bad(a)")}, {"mm/y.c": c("bad(a)")})
    assert [v for v in verdicts(story.review(tree=tree)) if v[0] == 1] == [(1, None)]


@both
def test_a_function_that_moves_within_its_file_takes_the_finding_along(*, tree: bool) -> None:
    story = Story({X: c("", "")}, {X: c("bad(a)", "")}, {X: c("", "bad(a)")})
    found = verdicts(story.review(tree=tree))
    # said of the one patch or of the other, once
    assert len([by for _, by in found if by is None]) == 1


@both
def test_what_makes_it_right_may_stand_beside_it(*, tree: bool) -> None:
    def check(code: Code) -> Iterator[Report]:
        good = {code.function_of(call.tokens[0]) for call in code.calls("good")}
        for call in code.calls("bad"):
            if code.function_of(call.tokens[0]) not in good:
                yield Report(call.tokens, "bad() without good()")

    story = Story({X: c("")}, {X: c("bad(a)")}, {X: c("on(); bad(a)")}, {X: c("on(); good(); bad(a)")})
    assert verdicts(story.review(rule(check=check), tree=tree)) == [(1, 3)]


def test_what_the_hunks_do_not_show_resolves_nothing() -> None:
    def check(code: Code) -> Iterator[Report]:
        if not any(code.calls("good")):
            yield from (Report(call.tokens, "bad() without good()") for call in code.calls("bad"))

    far = "; ".join(f"x{n}()" for n in range(12))
    story = Story({X: c(far)}, {X: c(f"bad(a); {far}")}, {X: c(f"bad(a); {far}; good()")})
    assert verdicts(story.review(rule(check=check), tree=False)) == [(1, None)]
    assert verdicts(story.review(rule(check=check), tree=True)) == [(1, 2)]
    # a changed line that still has the word: whether that is better is not seen
    story = Story({X: c("")}, {X: c("bad(a)")}, {X: c("if (b) bad(a)")})
    assert verdicts(story.review(rule(check=check), tree=False)) == [(1, None)]


def test_another_function_of_the_file_may_resolve_it() -> None:
    def check(code: Code) -> Iterator[Report]:
        if not any(code.calls("good")):
            yield from (
                Report(call.tokens, "nobody calls good()") for f in code.functions for call in code.calls("bad")
            )

    far = "; ".join(f"x{n}()" for n in range(12))
    story = Story({X: c(far, far)}, {X: c(f"bad(a); {far}", far)}, {X: c(f"bad(a); {far}", f"{far}; good()")})
    assert verdicts(story.review(rule(check=check, needs="file"), tree=True)) == [(1, 2)]


def test_where_the_tree_ends_the_hunks_go_on() -> None:
    states = [{X: c("on()")}, {X: c("bad(a); on()")}, {X: c("bad(a); off()")}, {X: c("off()")}]
    assert verdicts(Story(*states, lost=[3]).review(tree=True)) == [(1, 3)]
    assert verdicts(Story(*states, lost=[2, 3]).review(tree=True)) == [(1, 3)]
    assert verdicts(Story(*states, lost=[1, 2, 3]).review(tree=True)) == [(1, 3)]


@both
def test_a_rule_that_fails_on_the_later_patch_resolves_nothing(*, tree: bool) -> None:
    def check(code: Code) -> Iterator[Report]:
        if any(code.calls("trap")):
            raise ValueError
        yield from (Report(call.tokens, "bad() is called") for call in code.calls("bad"))

    story = Story({X: c("")}, {X: c("bad(a)")}, {X: c("trap(bad)")})
    reviewed = review(story.series, [rule(check=check)], None, story if tree else None)
    assert [f.resolved_by for f in reviewed.findings] == [None]


@both
def test_a_patch_that_is_not_looked_at_resolves_all_the_same(*, tree: bool) -> None:
    story = Story({X: c("")}, {X: c("bad(a)")}, {X: c("")}, {X: c("bad(b)")})
    assert verdicts(story.review(tree=tree, only=[1])) == [(1, 2)]
    assert verdicts(story.review(tree=tree, only=[3])) == [(3, None)]


def test_what_is_read_for_it_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict, "_MOST_TEXT", 100)
    story = Story({X: c("")}, {X: c("bad(a)")}, {X: c("")})
    assert verdicts(story.review(tree=True)) == [(1, None)]


@both
def test_what_a_later_patch_defines_is_a_finding_that_it_resolves(*, tree: bool) -> None:
    def check(code: Code) -> Iterator[Report]:
        for call in code.calls("bad"):
            if not code.defines("bad"):
                yield Report(call.tokens, "there is no bad()")

    header = "include/linux/x.h"
    later = Story({X: c("")}, {X: c("bad(a)")}, {X: c("bad(a)"), header: "#define Y 1\nint bad(int a);\n"})
    assert verdicts(later.review(rule(check=check), tree=tree)) == [(1, 2)]
    before = Story({X: c("")}, {X: c(""), header: "int bad(int a);\n"}, {X: c("bad(a)"), header: "int bad(int a);\n"})
    assert verdicts(before.review(rule(check=check), tree=tree)) == []
    # the base had it all the time
    moved = Story(
        {X: c(""), header: "int bad(int a);\n"}, {X: c("bad(a)"), header: "int bad(int a);\n"},
        {X: c("bad(a)"), header: "", "include/linux/y.h": "int bad(int a);\n"},
    )  # fmt: skip
    assert verdicts(moved.review(rule(check=check), tree=tree)) == []


# -- blamed -------------------------------------------------------------------------------------------------------

NAMES = frozenset(("mmap_read_lock", "mmap_read_unlock", "mmap_read_lock_lumen", "get_user_pages"))
OPEN = Facts(NAMES, {"FOLL_WRITE": 0, "FOLL_LUMEN": 17}, frozenset())
CLOSED = OPEN._replace(internal=frozenset(("FOLL_LUMEN",)))
DRIVER, MM, INTERNAL = "drivers/x.c", "include/linux/mm_types.h", "mm/internal.h"
PLAIN_DRIVER, USER = c(""), c("get_user_pages(a, 1, FOLL_LUMEN, b)")
OUT, IN = "enum {\n\tFOLL_LUMEN = 1 << 17,\n};\n", "enum {\n\tFOLL_PLACE = 1 << 18,\n};\n"


def closing(*before: Held) -> Story:
    """A driver uses a flag in patch 2, patch 4 makes it internal to mm/."""
    headers, closed = {MM: OUT, INTERNAL: ""}, {MM: "", INTERNAL: OUT}
    return Story(
        {DRIVER: PLAIN_DRIVER, X: c(""), **headers}, {DRIVER: PLAIN_DRIVER, X: c("a()"), **headers},
        {DRIVER: USER, X: c("a()"), **headers}, {DRIVER: USER, X: c("b()"), **headers},
        {DRIVER: USER, X: c("b()"), **closed}, *before,
        facts=[OPEN, OPEN, OPEN, *[CLOSED] * (1 + len(before))],
    )  # fmt: skip


def test_a_flag_that_a_later_patch_makes_internal_is_that_patch_s_doing() -> None:
    story = closing()
    (found,) = story.review(registry.find("FL01"), tree=True).findings
    assert (found.patch.index, found.span.path, found.span.line, found.resolved_by) == (4, DRIVER, 7, None)
    assert found.severity is Severity.ERROR
    assert "FOLL_LUMEN is internal" in found.message
    assert [(span.line, text) for span, text in found.related] == [(7, "added by patch 2/4")]
    assert verdicts(story.review(registry.find("FL01"), tree=False)) == []


def test_with_some_patches_alone_the_blame_is_the_same() -> None:
    assert verdicts(closing().review(registry.find("FL01"), tree=True, only=[4])) == [(4, None)]
    assert verdicts(closing().review(registry.find("FL01"), tree=True, only=[1, 2, 3])) == []


def test_a_use_that_is_gone_at_the_end_is_nobody_s() -> None:
    last = {DRIVER: PLAIN_DRIVER, X: c("b()"), MM: "", INTERNAL: OUT}
    assert verdicts(closing(last).review(registry.find("FL01"), tree=True)) == []


def test_a_flag_that_a_later_patch_opens_is_resolved_by_it() -> None:
    headers, opened = {MM: "", INTERNAL: OUT}, {MM: OUT, INTERNAL: ""}
    story = Story(
        {DRIVER: PLAIN_DRIVER, **headers}, {DRIVER: USER, **headers}, {DRIVER: USER, **opened}, facts=[CLOSED, OPEN]
    )
    assert verdicts(story.review(registry.find("FL01"), tree=True)) == [(1, 2)]


def test_a_helper_that_a_later_patch_takes_away_is_that_patch_s_doing() -> None:
    lock = "include/linux/mmap_lock.h"
    user = c("mmap_read_lock_lumen(mm)")
    text = "static inline void mmap_read_lock_lumen(struct mm_struct *mm) { }\n"
    story = Story(
        {DRIVER: c(""), lock: text}, {DRIVER: user, lock: text}, {DRIVER: user, lock: ""},
        facts=[OPEN, OPEN._replace(names=NAMES - {"mmap_read_lock_lumen"})],
    )  # fmt: skip
    (found,) = story.review(registry.find("ML05"), tree=True).findings
    assert (found.patch.index, found.span.path, found.message) == (
        2, DRIVER, "mmap_read_lock_lumen() is not in this tree",
    )  # fmt: skip


def test_a_helper_that_a_later_patch_brings_resolves_its_use() -> None:
    lock = "include/linux/mmap_lock.h"
    user = c("mmap_read_lock_new(mm)")
    text = "static inline void mmap_read_lock_new(struct mm_struct *mm) { }\n"
    facts = [OPEN, OPEN._replace(names=NAMES | {"mmap_read_lock_new"})]
    story = Story({DRIVER: c(""), lock: ""}, {DRIVER: user, lock: ""}, {DRIVER: user, lock: text}, facts=facts)
    assert verdicts(story.review(registry.find("ML05"), tree=True)) == [(1, 2)]


def test_two_flags_of_one_bit_are_named_once() -> None:
    bits = [OPEN._replace(foll={"FOLL_ONE": 9}), OPEN._replace(foll={"FOLL_ONE": 9, "FOLL_TWO": 9})]
    one, two = (f"enum {{\n\tFOLL_{name} = 1 << 9, /* x */\n}};\n" for name in ("ONE", "TWO"))
    story = Story({MM: "", "include/linux/mm.h": ""}, {MM: one, "include/linux/mm.h": ""},
                  {MM: one, "include/linux/mm.h": two}, facts=bits)  # fmt: skip
    found = [f for f in story.review(registry.find("FL03"), tree=True).findings if "takes bit" in f.message]
    assert [(f.patch.index, f.span.path) for f in found if f.severity is Severity.ERROR] == [(2, "include/linux/mm.h")]


def good_elsewhere(code: Code) -> Iterator[Report]:
    """bad() is only right where a function of the file calls good()."""
    if not any(code.calls("good")):
        for function in code.functions:
            for call in code.calls("bad"):
                if code.function_of(call.tokens[0]) is function:
                    yield Report(call.tokens, "nobody calls good()")


FAR = "; ".join(f"x{n}()" for n in range(12))


def test_another_function_may_make_it_wrong() -> None:
    whole = rule(check=good_elsewhere, needs="file", words=("bad", "good"))
    story = Story(
        {X: c(FAR, f"{FAR}; good()")}, {X: c(f"bad(a); {FAR}", f"{FAR}; good()")},
        {X: c(f"bad(a); {FAR}", f"{FAR}; good(); more()")}, {X: c(f"bad(a); {FAR}", FAR)},
        {X: c(f"bad(a); {FAR}", f"{FAR}; more()")},
    )  # fmt: skip
    (found,) = story.review(whole, tree=True).findings
    assert (found.patch.index, found.function, found.span.line) == (3, "walk", 7)
    assert [text for _, text in found.related] == ["added by patch 1/4"]
    assert found.span.message_line == 0


def test_what_was_there_before_the_series_is_nobody_s_of_it() -> None:
    whole = rule(check=good_elsewhere, needs="file", words=("bad", "good"))
    story = Story(
        {X: c(f"bad(a); {FAR}", f"{FAR}; good()")}, {X: c(f"bad(a); {FAR}; y()", f"{FAR}; good()")},
        {X: c(f"bad(a); {FAR}; y()", FAR)},
    )  # fmt: skip
    assert verdicts(story.review(whole, tree=True)) == []


# -- who is told --------------------------------------------------------------------------------------------------


def resolved() -> Review:
    """A finding of 2/5 that 4/5 resolves."""
    plain, bad = c("go(); on()"), c("go(); bad(a); on()")
    y = "mm/y.c"
    return Story(
        {X: plain, y: c("")}, {X: plain, y: c("a()")}, {X: bad, y: c("a()")}, {X: bad, y: c("b()")},
        {X: plain, y: c("b()")}, {X: plain, y: c("d()")},
    ).review(tree=False)  # fmt: skip


def test_only_strict_shows_it() -> None:
    every = (Selection(), Selection(low=True, least=Severity.INFO))
    for selection in every:
        chosen = select(resolved(), selection)
        assert [(f.shown, f.why_not_shown) for f in chosen.findings] == [(False, "resolved by 4/5")]
        assert summary(chosen) == "5 patches, no findings; 1 resolved by 4/5"
        assert chosen.worst() is None
    chosen = select(resolved(), Selection(strict=True))
    assert [f.shown for f in chosen.findings] == [True]
    assert chosen.worst() is Severity.NOTE
    assert select(resolved(), Selection(strict=True, ignore=("test",))).shown == ()


def test_it_is_never_mailed_whoever_shows_it() -> None:
    chosen = select(resolved(), Selection(strict=True))
    assert plan(chosen, reply_settings(Config()))[1] == []
    assert {check.state for check in states(chosen, chosen.shown)} == {State.SUCCESS}


def test_it_is_told_what_resolves_it() -> None:
    chosen = select(resolved(), Selection(strict=True))
    assert "= patch 4 of the series resolves it" in render([chosen], PLAIN)
    assert "note: bad() is called (patch 4 of the series resolves it) [test/bad]" in render_terse([chosen], PLAIN)
    (one,) = json.loads(json_output.render([resolved()], PLAIN))["findings"]
    assert (one["resolved_by"], one["severity"]) == (4, "note")


def test_it_is_not_fixed() -> None:
    fixable = [f._replace(fixable=True, suggestion="x") for f in select(resolved(), Selection(strict=True)).findings]
    assert not any(map(wanted, fixable))
    assert all(wanted(f._replace(resolved_by=None)) for f in fixable)


def test_it_is_no_place_of_one_that_stays_and_speaks_for_none() -> None:
    story = Story({X: c("")}, {X: c("bad(a); bad(b)")}, {X: c("bad(b)")})
    other = rule("test/other", yields_to=("test/bad",))
    chosen = select(story.review(rule(), other, tree=False), Selection(strict=True))
    assert {(f.rule, f.resolved_by) for f in chosen.shown} == {("test/bad", 2), ("test/bad", None), ("test/other", 2)}
    assert all(f.places == () for f in chosen.shown)


def a_file(name: str, before: str | None, after: str) -> str:
    path = f"drivers/misc/{name}.c"
    return change(path, path, before, after)


LOCK = "static void lumen_look(struct mm_struct *mm)\n{\n\tdown_read(&mm->mmap_sem);\n\tlook(mm);\n}\n"
MENDED = LOCK.replace("down_read(&mm->mmap_sem)", "mmap_read_lock(mm)")
A, B = "int a;\n", "int a;\nint b;\n"


def five(revision: int = 1, *, mend: bool = True) -> list[bytes]:
    """Five patches: what the second brings the fourth takes away, or not."""
    diffs = [
        a_file("one", None, A), a_file("two", None, LOCK), a_file("three", None, A),
        a_file("two", LOCK, MENDED) if mend else a_file("four", None, A), a_file("one", A, B),
    ]  # fmt: skip
    return series(*diffs, revision=revision)


def test_the_bot_sends_no_mail_for_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.post(five())
    world.wait(hours=2)
    assert world.run() == []
    assert world.reasons() == [("lumen-v1-0@example.org", Reason.NOTHING_FOUND)]
    world = World(tmp_path / "other")
    world.post(five(mend=False))
    world.wait(hours=2)
    assert len(world.run()) == 1


def test_what_was_said_of_v1_and_is_resolved_within_v2_is_not_called_fixed(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.post(five(mend=False))
    world.wait(hours=2)
    assert len(world.run()) == 1
    world.post(five(2))
    world.wait(hours=2)
    assert world.run() == []
    with world.ledger() as ledger:
        (row,) = ledger.findings(1)
    assert (row.state, row.last) == (FindingState.OPEN, 1)


def test_the_forecast_is_no_mail() -> None:
    (found,) = local_series([parse_mail(raw) for raw in five()])
    reviewed = select(review(found, registry.load()), Selection())
    foreseen = forecast(reviewed, Config(list={"linux-mm@example.org": ListConfig(mode="author+list", send="auto")}))
    assert (foreseen.mails, foreseen.findings) == (0, 0)
    assert Silence(2, "resolved by 4/5") in foreseen.silent


# -- states of a file ---------------------------------------------------------------------------------------------

LINES = st.lists(st.sampled_from(["a", "b", "c", "\tbad(a);", "}", ""]), max_size=12)


@settings(max_examples=150, deadline=None)
@given(st.lists(LINES, min_size=2, max_size=6))
def test_every_state_of_a_file_and_the_way_between_two_is_known(texts: list[list[str]]) -> None:
    states = ["".join(f"{line}\n" for line in ["int top;", *lines, "int end;"]) for lines in texts]
    states = [state for n, state in enumerate(states) if not n or state != states[n - 1]]
    if len(states) < 2:
        return
    story = Story(*({X: state} for state in states))
    patches = story.series.patches
    weave = verdict._Weave(states[0])
    for patch in patches:
        assert weave.apply(verdict._step(patch, 0, story.apply(patch)))
    for first in range(1, len(states)):
        for last in range(first, len(states)):
            whole = weave.view(X, first, last)
            assert (whole.before, whole.after) == (states[first - 1], states[last])
            for side, text in ((LineKind.REMOVED, states[first - 1]), (LineKind.ADDED, states[last])):
                (code,) = images([whole.diff], side, None, Applied({0: whole}, None))
                assert [line.text for line in code.lines] == text.split("\n")[:-1]
                numbers = [line.old if side is LineKind.REMOVED else line.new for line in code.lines]
                assert numbers == list(range(1, len(numbers) + 1))


@both
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bodies=st.lists(st.lists(st.sampled_from(["a()", "b()", "bad(a)", "d()"]), max_size=5), min_size=2, max_size=5))
def test_what_is_there_at_the_end_is_somebody_s_and_what_is_not_is_nobody_s(
    bodies: list[list[str]], *, tree: bool
) -> None:
    states = [c("; ".join(body)) for body in bodies]
    states = [state for n, state in enumerate(states) if not n or state != states[n - 1]]
    if len(states) < 2:
        return
    reviewed = Story(*({X: state} for state in states)).review(tree=tree)
    live = sum(not f.preexisting and not f.resolved_by for f in reviewed.findings)
    first, last = states[0].count("bad(a)"), states[-1].count("bad(a)")
    # never fewer than what the series has added; never more than there is
    assert max(0, last - first) <= live
    if tree:
        assert live <= last
