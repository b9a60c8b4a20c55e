# SPDX-License-Identifier: GPL-2.0-or-later
"""The walk over a function's states: branches that ask the same agree, no way is lost, and it ends.

Belongs here: reviewbot.c.paths with the plainest of states. What calls do to mmap_lock is test_locks.py's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from programs import Block, Program, blocks

from reviewbot.c.code import Code, Fragment
from reviewbot.c.paths import MOST_STATES, Outcome, Paths
from reviewbot.c.skeleton import Statement
from reviewbot.model import Line, LineKind

SETTINGS = settings(max_examples=200, deadline=None, derandomize=True, database=None)


def code_of(text: str) -> Code:
    lines = tuple(Line(LineKind.ADDED, line, None, n, n) for n, line in enumerate(text.split("\n"), 1))
    return Code("mm/lumen.c", [Fragment(lines)], whole=True, version=(6, 12))


def step(statement: Statement, state: str, known: Mapping[str, bool]) -> Iterable[Outcome[str]]:
    """`lock();` and `unlock();`, also as mmap_read_lock(mm)."""
    text = statement.tokens[0].text if statement.tokens else ""
    for name, after in (("lock", "read"), ("mmap_read_lock", "read"), ("unlock", "free"), ("mmap_read_unlock", "free")):
        if text == name:
            return (Outcome(after),)
    return (Outcome(state),)


def paths_of(code: Code) -> Paths[str]:
    (function,) = code.functions
    return Paths(code.flow(function), "given", step)


def exits(body: str) -> set[str]:
    """The states in which a function of this body is left."""
    paths = paths_of(code_of(f"static int lumen_run(int a, int b)\n{{\n{body}\n}}"))
    assert not paths.cut
    return {way.state for way in paths.exits}


# -- branches that ask the same -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a", "a"),
        ("a", "a != 0"),
        ("!a", "a == 0"),
        ("a && b", "a && b"),
        ("unlikely(a)", "likely(a)"),
        ("a < 0", "a < 0"),
        ("a < 0", "!(a >= 0)"),
        ("x->write", "x->write"),
        ("a == MODE", "a == MODE"),
        ("flags & LUMEN_WRITE", "flags & LUMEN_WRITE"),
        ("IS_ERR(p)", "IS_ERR(p)"),
    ],
)
def test_a_mirrored_branch_goes_the_same_way(first: str, second: str) -> None:
    if "&&" in first:
        first = second = "c"  # one operand stands for both where the compiler would, too
        body = f"bool c = a && b; if ({first}) lock(); lumen(); if ({second}) unlock(); return 0;"
    else:
        body = f"if ({first}) lock(); lumen(); if ({second}) unlock(); return 0;"
    assert exits(body) == {"given", "free"}


def test_both_sides_of_a_mirrored_branch_agree() -> None:
    assert exits("if (a) lock(); else lumen(); if (!a) return 1; unlock(); return 0;") == {"given", "free"}


def test_a_variable_that_is_changed_tells_nothing_any_more() -> None:
    for change in ("a = f();", "a++;", "f(&a);", "a |= b;", "for (a = 0; a < 3; a++) f();"):
        assert exits(f"if (a) lock(); {change} if (a) unlock(); return 0;") == {"given", "free", "read"}, change


def test_a_member_that_is_lent_or_assigned_tells_nothing_any_more() -> None:
    for change in ("x->a = f();", "f(&x->a);", "x = f();"):
        assert exits(f"if (x->a) lock(); {change} if (x->a) unlock(); return 0;") == {"given", "free", "read"}, change


def test_a_constant_is_known_until_the_variable_changes() -> None:
    assert exits("bool held = false; if (f()) { lock(); held = true; } if (held) unlock(); return 0;") == {
        "given",
        "free",
    }
    assert exits("x->held = 0; if (f()) { lock(); x->held = 1; } if (x->held) unlock(); return 0;") == {"given", "free"}
    assert exits("int ret = -EINVAL; if (f()) goto out; lock(); ret = 0; out: if (!ret) unlock(); return 0;") == {
        "given",
        "free",
    }


def test_one_value_is_not_another() -> None:
    assert exits("if (a == ONE) lock(); else return 1; if (a == TWO) return 2; unlock(); return 0;") == {
        "given",
        "free",
    }
    assert exits("switch (a) { case ONE: lock(); break; case TWO: break; } if (a == ONE) unlock(); return 0;") == {
        "given",
        "free",
    }


def test_a_negative_result_is_one() -> None:
    assert exits("int ret = f(); if (ret < 0) lock(); if (ret) unlock(); return 0;") == {"given", "free"}


# -- loops --------------------------------------------------------------------------------------------------------


def test_what_a_call_said_is_not_what_it_says_the_next_time() -> None:
    assert exits("while (!ready()) lock(); return 0;") == {"given", "read"}
    assert exits("for (;;) { if (ready()) break; lock(); } return 0;") == {"given", "read"}
    assert exits("again: if (!x->ready) { lock(); goto again; } return 0;") == {"given", "read"}
    assert exits("do { lock(); } while (!x->ready); return 0;") == {"read"}


def test_what_is_asked_outside_of_a_loop_is_known_behind_it() -> None:
    body = "if (x->write) lock(); list_for_each_entry(y, &x->list, entry) { f(y); } if (x->write) unlock(); return 0;"
    assert exits(body) == {"given", "free"}


def test_the_first_part_of_a_for_is_not_done_again() -> None:
    assert exits("for (a = 0; a < 3; a++) { if (a) lock(); } return 0;") == {"given", "read"}


def test_the_cursor_of_a_macro_changes_with_each_turn() -> None:
    assert exits("for_each_lumen(a, &x->list) { if (a) lock(); } if (!a) return 1; return 0;") == {"given", "read"}


def test_a_flag_is_carried_round() -> None:
    body = "bool held = false; while (more()) { if (!held) { lock(); held = true; } } if (held) unlock(); return 0;"
    assert exits(body) == {"given", "free"}


# -- ends ---------------------------------------------------------------------------------------------------------


def test_the_end_of_a_function_is_an_exit_and_the_end_of_a_hunk_is_none() -> None:
    assert exits("lock();") == {"read"}
    code = code_of("static void lumen_run(void)\n{\n\tlock();\n\tf();")
    assert paths_of(code).exits == []


def test_a_label_that_is_not_seen_is_no_exit() -> None:
    assert exits("lock(); if (a) goto elsewhere; unlock(); return 0;") == {"free"}


def test_with_too_many_states_nothing_is_said() -> None:
    body = "".join(f"if (f{n}()) state{n}();" for n in range(MOST_STATES + 1))
    code = code_of(f"static int lumen_run(void)\n{{ {body} return 0; }}")
    (function,) = code.functions

    def count(statement: Statement, state: int, known: Mapping[str, bool]) -> Iterable[Outcome[int]]:
        text = statement.tokens[0].text if statement.tokens else ""
        return (Outcome(int(text[5:]) if text.startswith("state") else state),)

    paths = Paths(code.flow(function), -1, count)
    assert paths.cut
    assert paths.exits == []
    assert all(paths.states(s) == () and paths.surely(s) is None for s in function.walk())


def test_what_a_step_tells_decides_the_branch() -> None:
    code = code_of("static int lumen_run(void)\n{\n\tif (take())\n\t\treturn 1;\n\treturn 0;\n}")
    (function,) = code.functions

    def take(statement: Statement, state: str, known: Mapping[str, bool]) -> Iterable[Outcome[str]]:
        if any(t.text == "take" for t in statement.tokens):
            return (Outcome("read", (("take()", False),)), Outcome(state, (), True))
        return (Outcome(state),)

    paths = Paths(code.flow(function), "given", take)
    assert {(code.lines[e.statement.span[0]].text.strip(), e.state) for e in paths.exits} == {
        ("return 1;", "given"),
        ("return 0;", "read"),
    }


# -- against what really can happen -------------------------------------------------------------------------------


def found(program: Program) -> tuple[dict[int, set[str]], set[str]] | None:
    """The states at each line and at the exits; None where the walk was cut."""
    code = code_of(program.text)
    paths = paths_of(code)
    if paths.cut:
        return None
    at: dict[int, set[str]] = {}
    for statement in code.functions[0].walk():
        if statement.kind.value not in ("label", "block") and paths.states(statement):
            at.setdefault(statement.span[0], set()).update(paths.states(statement))
    return at, {way.state for way in paths.exits}


@SETTINGS
@given(blocks("a"))
def test_with_one_variable_exactly_the_states_that_can_be_are_found(body: Block) -> None:
    program = Program(body, "a")
    result = found(program)
    assume(result is not None)
    assert result == (program.at, program.exits), program.text


@SETTINGS
@given(blocks("abc"))
def test_with_several_variables_no_state_is_lost(body: Block) -> None:
    program = Program(body, "abc")
    result = found(program)
    assume(result is not None)
    at, ends = result or ({}, set())
    assert ends >= program.exits, program.text
    for line, states in program.at.items():
        assert at.get(line, set()) >= states, (line, program.text)


@settings(SETTINGS, max_examples=40)
@given(st.lists(blocks("abc"), min_size=1, max_size=3), st.integers(8, 20))
def test_the_effort_is_linear_in_the_function(bodies: list[Block], times: int) -> None:
    """Four times the text costs about four times as much, and no statement is visited for ever."""

    def effort(times: int) -> tuple[int, int]:
        code = code_of(Program(tuple(node for _ in range(times) for body in bodies for node in body), "abc").text)
        (function,) = code.functions
        statements = sum(1 for _ in function.walk())
        code.effort.left = before = 10_000_000
        paths_of(code)
        return before - code.effort.left, statements

    small, few = effort(times)
    large, many = effort(4 * times)
    assert large <= 5 * small + 200
    assert small <= 2 * MOST_STATES * few + 100
    assert large <= 2 * MOST_STATES * many + 100
