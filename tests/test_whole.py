# SPDX-License-Identifier: GPL-2.0-or-later
"""reviewbot.engine with a tree, and what it does alike without one: whole files, abstention, moves, folding.

The tree here is a dictionary; git's is test_tree.py's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pytest
from test_engine import ADDS, ALL, NEUTRAL, file, hunk, posted, rule

from reviewbot.c.code import MOST_TEXT, Code, images
from reviewbot.c.skeleton import Function, StatementKind, TooMuchError
from reviewbot.c.tokens import Token
from reviewbot.engine import review
from reviewbot.finding import Finding, Fold, NotRun
from reviewbot.model import Applied, Facts, LineKind, Patch, Series, Severity, Whole
from reviewbot.reports import MOST
from reviewbot.rule import Report, Rule
from reviewbot.selection import FOLDED, Selection, select

BEFORE = "int first(void)\n{\n\told(1);\n}\n\nint second(void)\n{\n\tint a;\n\treturn a;\n}\n\n#define THIRD bad(3)\n"
AFTER = BEFORE.replace("\tint a;\n", "\tint a;\n\tbad(2);\n")
CHANGE = file("@@ -7,3 +7,4 @@ int second(void)\n {\n \tint a;\n+\tbad(2);\n \treturn a;\n")


class Tree:
    """The files of each patch, as (before, after) by path."""

    def __init__(self, *patches: Mapping[str, tuple[str, str]], facts: Facts | None = None) -> None:
        self.patches = iter(patches)
        self.facts = facts
        self.asked: list[int] = []

    def apply(self, patch: Patch) -> Applied:
        self.asked.append(patch.index)
        texts = next(self.patches, {})
        found = {n: Whole(diff, *texts[diff.path]) for n, diff in enumerate(patch.files) if diff.path in texts}
        return Applied(found, self.facts)


def looking(see: list[Code], needs: str = "diff", word: str = "bad") -> Rule:
    """A rule that keeps what it is shown and says nothing."""

    def check(code: Code) -> Iterator[Report]:
        see.append(code)
        yield from ()

    return rule(check=check, needs=needs, word=word)


def test_with_a_tree_a_rule_sees_the_whole_file_and_the_functions_that_the_patch_touches() -> None:
    seen: list[Code] = []
    review(posted(CHANGE), [looking(seen)], files=Tree({"mm/x.c": (BEFORE, AFTER)}))
    (code,) = seen
    assert code.whole
    assert [line.text for line in code.lines] == AFTER.splitlines()
    assert [line.new for line in code.lines] == list(range(1, 14))
    assert [line.old for line in code.lines] == [1, 2, 3, 4, 5, 6, 7, 8, None, 9, 10, 11, 12]
    assert [(function.name, function.whole) for function in code.functions] == [("second", True)]
    assert [function.name for function in code.every_function] == ["first", "second", "THIRD"]
    assert [call.name for call in code.calls("old", "bad")] == ["old", "bad", "bad"]


def test_a_tree_has_both_sides_of_a_file() -> None:
    (patch,) = posted(CHANGE).patches
    applied = Tree({"mm/x.c": (BEFORE, AFTER)}).apply(patch)
    (before,) = images(patch.files, LineKind.REMOVED, applied=applied)
    assert [line.text for line in before.lines] == BEFORE.splitlines()
    assert [line.old for line in before.lines] == list(range(1, 13))
    assert [function.name for function in before.functions] == ["second"]


def test_a_line_that_is_only_removed_touches_its_function_on_both_sides() -> None:
    diff = file("@@ -8 +7,0 @@ int second(void)\n-\tint a;\n")
    (patch,) = posted(diff).patches
    applied = Tree({"mm/x.c": (BEFORE, BEFORE.replace("\tint a;\n", ""))}).apply(patch)
    for side in (LineKind.ADDED, LineKind.REMOVED):
        (code,) = images(patch.files, side, applied=applied)
        assert [function.name for function in code.functions] == ["second"]


def test_a_directive_is_a_function_of_the_patch_only_where_the_patch_changes_it() -> None:
    diff = file("@@ -12 +12 @@ int second(void)\n-#define THIRD bad(3)\n+#define THIRD bad(4)\n")
    (patch,) = posted(diff).patches
    applied = Tree({"mm/x.c": (BEFORE, BEFORE.replace("bad(3)", "bad(4)"))}).apply(patch)
    (code,) = images(patch.files, LineKind.ADDED, applied=applied)
    assert [function.name for function in code.functions] == ["THIRD"]


def test_what_the_tree_had_before_is_preexisting() -> None:
    reviewed = review(posted(CHANGE), [rule()], files=Tree({"mm/x.c": (BEFORE, AFTER)}))
    assert [(f.span.line, f.preexisting) for f in reviewed.findings] == [(13, True), (9, False)]


@pytest.mark.parametrize(
    ("word", "needs", "runs"),
    [
        ("second(", "diff", True),  # above the hunk, in the function that it changes
        ("old(", "diff", False),  # in another function
        ("old(", "file", True),
        ("nowhere", "file", False),
    ],
)
def test_a_rule_is_run_where_only_the_tree_has_its_word(word: str, needs: str, runs: bool) -> None:
    seen: list[Code] = []
    review(posted(CHANGE), [looking(seen, needs, word)], files=Tree({"mm/x.c": (BEFORE, AFTER)}))
    assert bool(seen) is runs
    review(posted(CHANGE), [looking(seen, needs, word)])
    assert len(seen) == runs


def test_what_is_behind_the_last_function_is_near_a_change_there() -> None:
    diff = file("@@ -12 +12,2 @@ int second(void)\n #define THIRD bad(3)\n+#define FOURTH 4\n")
    seen: list[Code] = []
    tree = Tree({"mm/x.c": (BEFORE, BEFORE + "#define FOURTH 4\n")})
    review(posted(diff), [looking(seen, word="THIRD"), looking(seen, word="return a")], files=tree)
    assert [code.near for code in seen] == ["\n#define THIRD bad(3)\n#define FOURTH 4"]


def test_a_file_that_the_tree_does_not_have_is_reviewed_as_the_diff_shows_it() -> None:
    seen: list[Code] = []
    reviewed = review(posted(ADDS), [looking(seen), rule()], files=Tree({}))
    assert [code.whole for code in seen] == [False]
    assert [f.preexisting for f in reviewed.findings] == [False]


def test_every_patch_is_applied_in_order_also_those_not_reviewed() -> None:
    tree = Tree()
    review(posted(ADDS, NEUTRAL, ADDS), [rule()], [2], tree)
    assert tree.asked == [1, 2, 3]


def test_facts_of_the_tree_reach_a_rule() -> None:
    seen: list[Code] = []
    facts = Facts(frozenset(("a",)), {"FOLL_X": 3}, frozenset())
    review(posted(ADDS), [looking(seen)], files=Tree(facts=facts))
    assert seen[0].facts is facts


def test_a_rule_that_needs_a_tree_is_counted_where_there_is_none() -> None:
    seen: list[Code] = []
    needy = looking(seen, needs="tree")
    assert review(posted(ADDS, ADDS), [needy]).not_run == (NotRun("test/bad", "needs --tree"),)
    assert not seen
    assert review(posted(NEUTRAL), [needy]).not_run == ()
    facts = Facts(frozenset(), {}, frozenset())
    assert review(posted(ADDS), [needy], files=Tree(facts=facts)).not_run == ()
    assert seen


def test_a_rule_that_abstains_is_counted_once() -> None:
    def check(code: Code) -> Iterator[Report]:
        code.abstain()
        yield from ()

    assert review(posted(ADDS, ADDS), [rule(check=check)]).not_run == (NotRun("test/bad", "needs --tree"),)


def test_a_rule_that_did_not_come_to_the_end_of_the_old_file_says_nothing() -> None:
    def check(code: Code) -> Iterator[Report]:
        if code.side is LineKind.REMOVED:
            raise TooMuchError
        for call in code.calls("bad"):
            yield Report(call.tokens, "bad() is called")

    reviewed = review(posted(ADDS), [rule(check=check)])
    assert reviewed.findings == ()
    (entry,) = reviewed.not_run
    assert entry.why == "gave up: more to follow than in real code in mm/x.c before the patch"


def test_more_findings_than_anybody_reads_are_cut() -> None:
    body = "".join(f"+\tbad({n});\n" for n in range(MOST + 5))
    reviewed = review(posted(file(hunk(" \tint a;\n" + body))), [rule()])
    assert len(reviewed.findings) == MOST
    assert reviewed.not_run[0].why == f"stopped after {MOST} findings in mm/x.c"


def test_a_series_defines_what_its_added_lines_define() -> None:
    seen: list[Code] = []
    header = file(
        hunk("+#define ONE 1\n+static inline int two(void)\n+void *three(int a);\n-int four(void)\n+\tfive(1);")
    )
    review(posted(header, ADDS), [looking(seen)])
    names = ("ONE", "two", "three", "four", "five")
    assert [name for name in names if seen[-1].defines(name)] == ["ONE", "two", "three"]


def test_what_concerns_all_files_of_a_patch_is_asked_once() -> None:
    asked: list[int] = []

    def count(files: Sequence[Code]) -> int:
        asked.append(len(files))
        return len(files)

    (patch,) = posted(ADDS + NEUTRAL.replace("mm/x.c", "mm/y.c")).patches
    codes = images(patch.files, LineKind.ADDED)
    assert [code.once("files", count) for code in codes] == [2, 2]
    assert asked == [2]
    assert Code("mm/z.c", []).once("files", count) == 1


def test_a_file_says_what_is_in_its_text_unless_it_is_larger_than_is_read() -> None:
    (patch,) = posted(CHANGE).patches
    (code,) = images(patch.files, LineKind.ADDED)
    assert (code.says("bad("), code.says("nowhere", "old("), code.readable) == (True, False, True)
    applied = Tree({"mm/x.c": (BEFORE, AFTER)}).apply(patch)
    (code,) = images(patch.files, LineKind.ADDED, applied=applied)
    assert code.says("nowhere", "old(")
    giant = AFTER + "\n" * MOST_TEXT
    (code,) = images(patch.files, LineKind.ADDED, applied=Tree({"mm/x.c": (BEFORE, giant)}).apply(patch))
    assert (code.says("old("), code.readable) == (False, False)


def test_more_than_is_read_of_one_patch_is_refused_and_said() -> None:
    lines = MOST_TEXT // 60
    body = "+\tbad(1); /* as long a line as one can have in the kernel, or so */\n" * lines
    giant = f"diff --git a/mm/b.c b/mm/b.c\n--- a/mm/b.c\n+++ b/mm/b.c\n@@ -1 +1,{lines + 1} @@\n int a;\n{body}"
    reviewed = review(posted(ADDS + giant), [rule()])
    assert [f.span.path for f in reviewed.findings] == ["mm/x.c"]
    assert reviewed.not_run == (NotRun("reviewbot/too-large", "more than is read of one patch: mm/b.c"),)


def test_a_function_that_is_larger_than_is_read_is_left_out_and_said() -> None:
    calls = "\tbad(1);\n" * 200_000
    texts = BEFORE + f"int giant(void)\n{{\n{calls}}}\n", AFTER + f"int giant(void)\n{{\n{calls}\tbad(2);\n}}\n"
    diff = CHANGE + "@@ -200014 +200015,2 @@ int giant(void)\n \tbad(1);\n+\tbad(2);\n"

    def check(code: Code) -> Iterator[Report]:
        for function in code.functions:
            for call in calls_of(function):
                yield Report(call, "bad() is called")

    def calls_of(function: Function) -> Iterator[tuple[Token, ...]]:
        return (s.tokens for s in function.walk() if s.tokens and s.tokens[0].text == "bad")

    rules = [rule(f"test/{n}", check=check) for n in range(10)]
    reviewed = review(posted(diff), rules, files=Tree({"mm/x.c": texts}))
    assert {f.function for f in reviewed.findings} == {"second"}
    assert NotRun("reviewbot/too-large", "functions larger than is read of one patch: mm/x.c") in reviewed.not_run


def leaking(code: Code) -> Iterator[Report]:
    """A return behind take() with no give() in between: what a patch removes is not in its evidence."""
    for function in code.functions:
        held: list[Token] = []
        for statement in function.walk():
            for token in statement.tokens:
                if token.text in ("take", "give"):
                    held = [token] if token.text == "take" else []
            if statement.kind is StatementKind.RETURN and held:
                yield Report(statement.tokens, "returns with it taken")


TAKES = "int one(void)\n{\n\ttake();\n\tgive();\n\ta();\n\tb();\n\tc();\n\treturn 1;\n}\n"


def causes(before: str, after: str, diff: str) -> list[bool]:
    """For each finding of `leaking`, whether it was there before."""
    tree = Tree({"mm/x.c": (before, after)})
    return [f.preexisting for f in review(posted(file(diff)), [rule(check=leaking, word="take")], files=tree).findings]


def test_what_a_patch_removes_far_from_the_finding_is_its_doing() -> None:
    after = TAKES.replace("\tgive();\n", "")
    assert causes(TAKES, after, "@@ -3,3 +3,2 @@ int one(void)\n \ttake();\n-\tgive();\n \ta();\n") == [False]


def test_what_was_wrong_before_is_not_the_patchs_doing_though_it_touches_the_function() -> None:
    before = TAKES.replace("\tgive();\n", "")
    after = before.replace("\tb();\n", "\tb(2);\n")
    diff = "@@ -4,3 +4,3 @@ int one(void)\n \ta();\n-\tb();\n+\tb(2);\n \tc();\n"
    assert causes(before, after, diff) == [True]


def test_a_new_name_for_a_function_makes_no_new_finding() -> None:
    before = TAKES.replace("\tgive();\n", "")
    after = before.replace("int one", "int two")
    diff = "@@ -1,3 +1,3 @@\n-int one(void)\n+int two(void)\n {\n \ttake();\n"
    assert causes(before, after, diff) == [True]


def test_a_message_with_a_megabyte_of_a_name_is_cut() -> None:
    def check(code: Code) -> Iterator[Report]:
        for call in code.calls("bad"):
            yield Report(call.tokens, "x" * 1_000_000)

    (finding,) = review(posted(ADDS), [rule(check=check)]).findings
    assert len(finding.message) == 500


# -- moves ----------------------------------------------------------------------------------------

GONE = file(hunk("-int walk(void)\n-{\n-\tbad(1);\n-}"), path="mm/a.c")
HERE = file(hunk("+int walk(void)\n+{\n+\tbad(1);\n+}"), path="mm/b.c")


def test_code_that_the_patch_moves_from_another_file_is_not_its_doing() -> None:
    (finding,) = review(posted(GONE + HERE), [rule()]).findings
    assert finding.preexisting


def test_moved_once_and_written_once_is_one_finding() -> None:
    twice = HERE.replace("+\tbad(1);\n", "+\tbad(1);\n+\tbad(1);\n").replace("+10,4", "+10,5")
    assert [f.preexisting for f in review(posted(GONE + twice), [rule()]).findings] == [True, False]


def test_what_was_changed_on_the_way_is_the_patchs_own() -> None:
    other = HERE.replace("+\tbad(1);\n", "+\tgood();\n+\tbad(1);\n").replace("+10,4", "+10,5")
    assert [f.preexisting for f in review(posted(GONE + other), [rule()]).findings] == [False]
    exported = GONE.replace("-int walk", "-static int walk")
    assert [f.preexisting for f in review(posted(exported + HERE), [rule()]).findings] == [False]


def test_a_line_that_is_moved_into_another_function_is_new() -> None:
    other = HERE.replace("walk(void)\n+", "run(void)\n+")
    assert [f.preexisting for f in review(posted(GONE + other), [rule()]).findings] == [False]


# -- one comment, not twenty ----------------------------------------------------------------------


def shown(series: Series, *rules: Rule) -> list[Finding]:
    return list(select(review(series, rules), Selection(strict=ALL.strict)).shown)


def test_what_is_said_of_a_line_as_such_is_said_once_a_series() -> None:
    (finding,) = shown(posted(ADDS, ADDS), rule(style=True))
    assert (finding.patch.index, len(finding.places)) == (1, 1)


def test_what_is_said_of_the_code_is_said_in_each_patch() -> None:
    assert [f.patch.index for f in shown(posted(ADDS, ADDS), rule())] == [1, 2]


def test_what_does_not_build_is_one_comment_a_series_and_asks_for_a_rebase() -> None:
    both = file(hunk(" \tint a;\n+\tbad(a);\n+\tworse(a);\n \treturn a;"))
    rules = (rule(build=True), rule("test/worse", "worse", build=True), rule("test/apart", "bad"))
    found = shown(posted(both, both), *rules)
    assert [(f.rule, f.patch.index, f.fold) for f in found] == [
        ("test/apart", 1, Fold.PATCH),
        ("test/bad", 1, Fold.BUILD),
        ("test/apart", 2, Fold.PATCH),
    ]
    assert found[1].message == "bad() is called; 3 more places do not build on v6.12: please rebase"
    assert len(found[1].places) == 3
    hidden = [f for f in select(review(posted(both), rules), ALL).findings if not f.shown]
    assert [(f.rule, f.why_not_shown) for f in hidden] == [("test/worse", FOLDED)]


def test_what_a_rule_says_of_code_that_builds_is_apart() -> None:
    def check(code: Code) -> Iterator[Report]:
        for call in code.calls("bad"):
            yield Report(call.tokens, "bad() is called")
            yield Report(call.tokens, "bad() is odd", severity=Severity.NOTE)

    series = posted(ADDS, ADDS)
    assert [(f.fold, f.severity) for f in shown(series, rule(check=check, build=True))] == [
        (Fold.BUILD, Severity.ERROR),
        (Fold.PATCH, Severity.NOTE),
        (Fold.PATCH, Severity.NOTE),
    ]


def test_one_rule_in_one_patch_needs_no_rebase_to_be_asked_for() -> None:
    twice = file(hunk(" \tint a;\n+\tbad(a);\n+\tbad(b);\n \treturn a;"))
    (finding,) = shown(posted(twice), rule(build=True))
    assert finding.message == "bad() is called"
    assert len(finding.places) == 1
