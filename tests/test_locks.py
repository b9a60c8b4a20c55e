# SPDX-License-Identifier: GPL-2.0-or-later
"""Which mmap lock is held where: what each call does to it, in every spelling.

Belongs here: reviewbot.locks. The walk by itself is test_paths.py's, what rules make of it test_pages.py's.
"""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from programs import Block, Program, blocks
from test_paths import code_of

from reviewbot.c.code import Code, Fragment
from reviewbot.c.skeleton import Function, Statement
from reviewbot.c.tokens import tokenize
from reviewbot.locks import LockPaths, Mode, foreign, guarded, lock_paths
from reviewbot.model import Line, LineKind

SETTINGS = settings(max_examples=100, deadline=None, derandomize=True, database=None)
GIVEN, READ, WRITE, FREE, UNSURE = Mode.GIVEN, Mode.READ, Mode.WRITE, Mode.FREE, Mode.UNSURE


def function_of(body: str, before: str = "") -> tuple[Code, Function]:
    header = "static int lumen_run(struct lumen *x, struct mm_struct *mm, bool a, bool b)"
    code = code_of(f"{before}\n{header}\n{{\n{body}\n}}\n")
    return code, code.functions[-1]


def paths_of(body: str, before: str = "") -> LockPaths:
    (paths,) = lock_paths(*function_of(body, before))
    return paths


def exits(body: str, before: str = "") -> dict[str, set[Mode]]:
    """For each `return`, by its value, the modes in which it is left; '' for the end of the body."""
    found: dict[str, set[Mode]] = {}
    for way in paths_of(body, before).exits:
        returns = way.statement.kind.value == "return"
        text = "".join(t.text for t in way.statement.tokens) if returns else ""
        found.setdefault(text, set()).add(way.state.mode)
    return found


def statement(function: Function, word: str) -> Statement:
    """The first statement that holds a word."""
    return next(s for s in function.walk() if any(t.text == word for t in s.tokens))


def modes_at(body: str, word: str = "use", before: str = "") -> set[Mode]:
    """The modes in which the flow comes to a statement."""
    code, function = function_of(body, before)
    (paths,) = lock_paths(code, function)
    return {state.mode for state in paths.states(statement(function, word))}


# -- taking it ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "mode"),
    [
        ("mmap_read_lock(mm)", READ),
        ("mmap_write_lock(mm)", WRITE),
        ("mmap_write_lock_nested(mm, SINGLE_DEPTH_NESTING)", WRITE),
        ("down_read(&mm->mmap_lock)", READ),
        ("down_write(&mm->mmap_sem)", WRITE),
        ("down_read_nested(&mm->mmap_sem, 1)", READ),
    ],
)
def test_a_call_takes_the_lock(call: str, mode: Mode) -> None:
    assert exits(f"{call}; return 0;") == {"0": {mode}}


@pytest.mark.parametrize(
    "body",
    [
        "if (mmap_read_lock_killable(mm)) return 1; return 0;",
        "if (unlikely(mmap_read_lock_killable(mm))) return 1; return 0;",
        "if (mmap_read_lock_killable(mm) != 0) return 1; return 0;",
        "if (mmap_read_lock_killable(mm) < 0) return 1; return 0;",
        "if (mmap_read_lock_killable(mm) == 0) return 0; return 1;",
        "if (!mmap_read_lock_killable(mm)) return 0; return 1;",
        "if (!mmap_read_lock_killable(mm)) return 0; else return 1;",
        "int ret = mmap_read_lock_killable(mm); if (ret) return 1; return 0;",
        "int ret; ret = mmap_read_lock_killable(mm); if (ret < 0) return 1; return 0;",
        "int ret = -EINVAL; ret = mmap_read_lock_killable(mm); if (ret != 0) goto out; return 0; out: return 1;",
        "int ret; if ((ret = mmap_read_lock_killable(mm))) return 1; return 0;",
        "int ret; if ((ret = mmap_read_lock_killable(mm)) < 0) return 1; return 0;",
        "int ret; ret = mmap_read_lock_killable(mm); if (!ret) { return 0; } return 1;",
        "if (a || mmap_read_lock_killable(mm)) return 1; return 0;",
        "if (!a && !mmap_read_lock_killable(mm)) return 0; return 1;",
        "if (!x || (a && b) || mmap_read_lock_killable(mm)) return 1; return 0;",
        "bool bad = a || mmap_read_lock_killable(mm); if (bad) return 1; return 0;",
        "int ret = a ? mmap_read_lock_killable(mm) : -EINVAL; if (ret) return 1; return 0;",
        "int ret = a ? mmap_read_lock_killable(mm) : mmap_read_lock_killable(mm); if (ret) return 1; return 0;",
        "int ret = mmap_read_lock_killable(mm) ? -EINTR : 0; if (ret) return 1; return 0;",
        "if (down_read_killable(&mm->mmap_sem)) return 1; return 0;",
        "if (!mmap_read_trylock(mm)) return 1; return 0;",
        "if (mmap_read_trylock(mm)) return 0; return 1;",
        "if (likely(mmap_read_trylock(mm))) return 0; return 1;",
        "bool held = mmap_read_trylock(mm); if (!held) return 1; return 0;",
        "if (a && mmap_read_trylock(mm)) return 0; return 1;",
        "if (a && b && mmap_read_trylock(mm)) return 0; return 1;",
        "if (!a || !mmap_read_trylock(mm)) return 1; return 0;",
        "if (!(a && mmap_read_trylock(mm))) return 1; return 0;",
        "if (a || (b && mmap_read_trylock(mm))) { if (a) return 1; return 0; } return 1;",
        "if (mmap_read_trylock(mm) == false) return 1; return 0;",
        "bool held = a && mmap_read_trylock(mm); if (held) return 0; return 1;",
        "if (!down_read_trylock(&mm->mmap_lock)) goto out; return 0; out: return 1;",
        "if (a) { if (!mmap_read_trylock(mm)) return 1; } else { mmap_read_lock(mm); } return 0;",
        "while (!mmap_read_trylock(mm)) { if (a) return 1; } return 0;",
        "do { if (a) return 1; } while (!mmap_read_trylock(mm)); return 0;",
        "BUG_ON(!mmap_read_trylock(mm)); if (a) return 0; return 0; return 1;",
    ],
)
def test_what_may_fail_is_held_exactly_where_it_succeeded(body: str) -> None:
    expected = {"0": {READ}} if "BUG_ON" in body else {"0": {READ}, "1": {GIVEN}}
    assert exits(body) == expected


def test_a_condition_behind_the_call_decides_as_well() -> None:
    assert exits("if (mmap_read_trylock(mm) && a) return 0; return 1;") == {"0": {READ}, "1": {READ, GIVEN}}
    assert exits("if (!mmap_read_trylock(mm) || a) return 1; return 0;") == {"0": {READ}, "1": {READ, GIVEN}}


def test_an_unchecked_trylock_is_either() -> None:
    assert exits("mmap_read_trylock(mm); return 0;") == {"0": {READ, GIVEN}}


def test_a_downgrade_leaves_it_for_reading() -> None:
    assert exits("mmap_write_lock(mm); mmap_write_downgrade(mm); return 0;") == {"0": {READ}}
    assert exits("mmap_write_lock(mm); downgrade_write(&mm->mmap_sem); return 0;") == {"0": {READ}}


# -- giving it back -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    ["mmap_read_unlock(mm)", "mmap_write_unlock(mm)", "up_read(&mm->mmap_sem)", "mmap_read_unlock_non_owner(mm)"],
)
def test_a_call_releases_the_lock(call: str) -> None:
    assert exits(f"mmap_read_lock(mm); {call}; return 0;") == {"0": {FREE}}


def test_the_label_before_the_unlock_and_the_one_behind_it() -> None:
    body = "mmap_read_lock(mm); if (a) goto out; if (b) goto unlock; f(); unlock: mmap_read_unlock(mm); out: return 0;"
    assert exits(body) == {"0": {READ, FREE}}
    code, function = function_of(body)
    (paths,) = lock_paths(code, function)
    assert not paths.given
    jumps = [s for s in function.walk() if s.kind.value == "goto"]
    assert [paths.held(s) for s in jumps] == [paths.states(s)[0] for s in jumps]
    assert {call.name for s in jumps if (call := paths.call(paths.states(s)[0]))} == {"mmap_read_lock"}


def test_a_mirrored_branch_releases_what_it_took() -> None:
    body = (
        "if (a) mmap_write_lock(mm); else mmap_read_lock(mm); f();"
        "if (b) { if (a) mmap_write_unlock(mm); else mmap_read_unlock(mm); return 1; }"
        "if (!a) mmap_read_unlock(mm); else mmap_write_unlock(mm); return 0;"
    )
    assert exits(body) == {"0": {FREE}, "1": {FREE}}
    assert modes_at(body, "mmap_read_unlock") == {READ}


def test_a_function_that_releases_its_callers_lock_says_so() -> None:
    assert paths_of("mmap_read_unlock(mm); f(); mmap_read_lock(mm); return 0;").given
    assert not paths_of("mmap_read_lock(mm); f(); mmap_read_unlock(mm); return 0;").given


def test_each_turn_of_a_loop_releases_its_own() -> None:
    body = "while (more()) { mmap_read_lock(mm); if (a) break; f(); mmap_read_unlock(mm); } return 0;"
    assert exits(body) == {"0": {GIVEN, FREE, READ}}
    turn = "mmap_read_lock(mm); if (a) { mmap_read_unlock(mm); continue; } mmap_read_unlock(mm);"
    assert exits(f"while (more()) {{ {turn} }} return 0;") == {"0": {GIVEN, FREE}}


# -- what drops it ------------------------------------------------------------------------------------------------

FAULT = "vm_fault_t fault; unsigned int flags = FAULT_FLAG_DEFAULT; mmap_read_lock(mm); "


def test_a_fault_drops_the_lock_with_retry_and_completed() -> None:
    call = f"{FAULT} fault = handle_mm_fault(vma, addr, flags, regs);"
    assert exits(f"{call} if (fault & VM_FAULT_RETRY) return 1; return 0;") == {"1": {FREE}, "0": {READ, FREE}}
    assert exits(
        f"{call} if (fault & VM_FAULT_COMPLETED) return 1; if (fault & VM_FAULT_RETRY) return 2; return 0;"
    ) == {
        "1": {FREE},
        "2": {FREE},
        "0": {READ},
    }
    assert exits(f"{call} if (fault & (VM_FAULT_RETRY | VM_FAULT_COMPLETED)) return 1; return 0;") == {
        "1": {FREE},
        "0": {READ},
    }
    assert exits(f"{call} if (!(fault & (VM_FAULT_RETRY | VM_FAULT_COMPLETED))) mmap_read_unlock(mm); return 0;") == {
        "0": {FREE}
    }


def test_a_signal_is_pending_only_with_retry() -> None:
    call = f"{FAULT} fault = handle_mm_fault(vma, addr, flags, regs);"
    assert exits(f"{call} if (fault_signal_pending(fault, regs)) return 1; mmap_read_unlock(mm); return 0;") == {
        "1": {FREE},
        "0": {FREE},
    }


def test_a_fault_that_may_not_retry_keeps_the_lock() -> None:
    body = "mmap_read_lock(mm); fault = handle_mm_fault(vma, addr, FAULT_FLAG_WRITE, NULL); return 0;"
    assert exits(body) == {"0": {READ}}


def test_a_fault_under_the_vma_lock_leaves_this_one_alone() -> None:
    body = (
        f"{FAULT} mmap_read_unlock(mm); fault = handle_mm_fault(vma, addr, flags | FAULT_FLAG_VMA_LOCK, regs);"
        "mmap_read_lock(mm); fault = handle_mm_fault(vma, addr, flags | FAULT_FLAG_VMA_LOCK, regs); return 0;"
    )
    assert exits(body) == {"0": {READ}}


def test_a_fault_whose_result_is_not_kept_leaves_it_unsure() -> None:
    assert exits(f"{FAULT} return f(handle_mm_fault(vma, addr, flags, regs));") == {
        "f(handle_mm_fault(vma,addr,flags,regs))": {UNSURE}
    }


@pytest.mark.parametrize(
    "check",
    ["if (!vma) return 1;", "if (unlikely(!vma)) return 1;", "if (vma == NULL) goto out;", "if (!vma) goto out;"],
)
def test_null_from_lock_mm_and_find_vma_is_without_the_lock(check: str) -> None:
    body = f"vma = lock_mm_and_find_vma(mm, addr, regs); {check} return 0; out: return 1;"
    assert exits(body) == {"1": {FREE}, "0": {READ}}


def test_null_from_expand_stack_is_without_the_lock_where_it_is_given_an_mm() -> None:
    body = "mmap_read_lock(mm); vma = expand_stack(mm, addr); if (!vma) return 1; return 0;"
    assert exits(body) == {"1": {FREE}, "0": {READ}}
    # before 6.5
    body = "mmap_read_lock(mm); if (expand_stack(vma, addr)) return 1; return 0;"
    assert exits(body) == {"1": {READ}, "0": {READ}}


def test_a_flag_that_is_lent_says_whether_the_lock_was_dropped() -> None:
    call = "int locked = 1; mmap_read_lock(mm); ret = pin_user_pages_remote(mm, addr, 1, 0, &page, &locked);"
    assert exits(f"{call} if (!locked) return 1; return 0;") == {"1": {FREE}, "0": {READ}}
    assert exits(f"{call} if (locked) mmap_read_unlock(mm); return 0;") == {"0": {FREE}}
    assert exits(f"{call} if (!locked) {{ mmap_read_lock(mm); locked = 1; }} return 0;") == {"0": {READ}}
    assert exits(f"{call.replace('&locked', '&x->locked')} if (x->locked) mmap_read_unlock(mm); return 0;") == {
        "0": {FREE}
    }


def test_unlocked_of_fixup_user_fault_is_held_again() -> None:
    body = "bool unlocked = false; mmap_read_lock(mm); fixup_user_fault(mm, addr, 0, &unlocked); return 0;"
    assert exits(body) == {"0": {READ}}


def test_munmap_releases_where_it_is_told_to() -> None:
    call = "mmap_write_lock(mm); ret = do_vmi_munmap(&vmi, mm, addr, len, NULL, %s); if (ret) return 1; return 0;"
    assert exits(call % "true") == {"1": {WRITE}, "0": {FREE}}
    assert exits(call % "false") == {"1": {WRITE}, "0": {WRITE}}
    assert exits(call % "a") == {"1": {UNSURE}, "0": {UNSURE}}


def test_userfaultfd_remove_releases_where_it_is_false() -> None:
    body = "mmap_read_lock(mm); if (!userfaultfd_remove(vma, addr, end)) return 1; return 0;"
    assert exits(body) == {"1": {FREE}, "0": {READ}}


# -- what is not seen ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["lumen_unlock(mm)", "lumen_unlock_mm(x)", "bpf_mmap_unlock_mm(x)"])
def test_an_unlock_that_is_not_seen_leaves_it_unsure(call: str) -> None:
    assert exits(f"mmap_read_lock(mm); {call}; return 0;") == {"0": {UNSURE}}


@pytest.mark.parametrize("call", ["mutex_unlock(&x->lock)", "spin_unlock(&mm->page_table_lock)", "unlock_page(page)"])
def test_another_lock_is_another_lock(call: str) -> None:
    assert exits(f"mmap_read_lock(mm); {call}; return 0;") == {"0": {READ}}


def test_a_function_of_the_file_that_releases_its_callers_lock_is_known() -> None:
    before = (
        "static void lumen_put(struct mm_struct *mm)\n{\n\tmmap_read_unlock(mm);\n}\n"
        "static void lumen_bail(struct mm_struct *mm)\n{\n\tlumen_put(mm);\n}\n"
        "static void lumen_look(struct mm_struct *mm)\n{\n\tmmap_read_lock(mm);\n\tmmap_read_unlock(mm);\n}\n"
    )
    assert exits("mmap_read_lock(mm); lumen_put(mm); return 0;", before) == {"0": {UNSURE}}
    assert exits("mmap_read_lock(mm); lumen_bail(mm); return 0;", before) == {"0": {UNSURE}}
    assert exits("lumen_look(mm); mmap_read_lock(mm); return 0;", before) == {"0": {READ}}


def test_a_function_of_another_file_of_the_patch_is_known_too() -> None:
    helper = code_of("void lumen_put(struct mm_struct *mm)\n{\n\tmmap_read_unlock(mm);\n}\n")
    helper.effort.left = 0  # spent by whoever looked at it before
    code, function = function_of("mmap_read_lock(mm); lumen_put(mm); return 0;")
    code.patch = (code, helper)
    (paths,) = lock_paths(code, function)
    assert [way.state.mode for way in paths.exits] == [UNSURE]


# -- several mms --------------------------------------------------------------------------------------------------


def test_each_mm_has_a_lock_of_its_own() -> None:
    body = "mmap_read_lock(src_mm); mmap_write_lock(dst_mm); use(x); mmap_read_unlock(src_mm); return 0;"
    code, function = function_of(body)
    source, target = lock_paths(code, function)
    here = statement(function, "use")
    assert (source.operand, target.operand) == ("src_mm", "dst_mm")
    assert [state.mode for state in source.states(here)] == [READ]
    assert [state.mode for state in target.states(here)] == [WRITE]
    assert [way.state.mode for way in source.exits] == [FREE]
    assert [way.state.mode for way in target.exits] == [WRITE]


def test_a_drop_with_two_locks_is_that_of_the_mm_that_is_named() -> None:
    body = (
        "int locked = 1; mmap_read_lock(src_mm); mmap_read_lock(dst_mm);"
        "get_user_pages_remote(src_mm, addr, 1, 0, &page, &locked); return 0;"
    )
    source, target = lock_paths(*function_of(body))
    assert {way.state.mode for way in source.exits} == {READ, FREE}
    assert {way.state.mode for way in target.exits} == {READ}


def test_the_usual_words_for_one_mm_are_one() -> None:
    body = "mmap_read_lock(current->mm); f(); mmap_read_unlock(vma->vm_mm); return 0;"
    paths = paths_of(body)
    assert paths.operand == ""
    assert paths.operands == {"current->mm", "vma->vm_mm"}
    assert [way.state.mode for way in paths.exits] == [FREE]


# -- guards, hunks, ends ------------------------------------------------------------------------------------------


def test_a_guard_holds_to_the_end_of_its_scope() -> None:
    code, function = function_of(
        "if (a) { guard(mmap_read_lock)(mm); one(); } two(); scoped_guard(mmap_write_lock, x->mm) { three(); } four();"
    )
    assert list(lock_paths(code, function)) == []
    held = guarded(function)
    by = {name: held.get(statement(function, name)) for name in ("one", "two", "three", "four")}
    assert {name: call and (call.name, call.text(0)) for name, call in by.items()} == {
        "one": ("mmap_read_lock", "mm"),
        "two": None,
        "three": ("mmap_write_lock", "x->mm"),
        "four": None,
    }


def test_a_hunk_that_begins_and_ends_within_a_function_is_read() -> None:
    text = "\t}\n\tmmap_read_lock(mm);\n\tif (a)\n\t\treturn 1;\n\tmmap_read_unlock(mm);\n\tuse(x);"
    lines = tuple(Line(LineKind.CONTEXT, line, n, n, n) for n, line in enumerate(text.split("\n"), 1))
    code = Code("mm/lumen.c", [Fragment(lines, "static int lumen_run(struct mm_struct *mm)")])
    (function,) = code.functions
    (paths,) = lock_paths(code, function)
    assert [(way.state.mode, way.statement.span[0]) for way in paths.exits] == [(READ, 3)]
    assert paths.surely(statement(function, "use")) == paths.states(statement(function, "use"))[0]


def test_with_too_many_states_nothing_is_said() -> None:
    body = "".join(f"if (f{n}()) mmap_read_lock(mm); " for n in range(20))
    paths = paths_of(f"{body} use(x); return 0;")
    assert paths.cut
    assert paths.exits == ()
    assert modes_at(f"{body} use(x); return 0;") == set()


def test_a_mm_is_told_by_its_name() -> None:
    names = {text: foreign(tokenize([text])[0]) for text in ("current->mm", "lm->mm", "src_mm", "lock")}
    assert names == {"current->mm": False, "lm->mm": True, "src_mm": True, "lock": False}


# -- against what really can happen -------------------------------------------------------------------------------


def found(program: Program) -> tuple[dict[int, set[str]], set[str]] | None:
    """The modes at each line and at the exits; None where the walk was cut, or nothing is locked."""
    code = code_of(program.text)
    (function,) = code.functions
    paths = list(lock_paths(code, function))
    if not paths or paths[0].cut:
        return None
    at: dict[int, set[str]] = {}
    for s in function.walk():
        if s.kind.value not in ("label", "block") and paths[0].states(s):
            at.setdefault(s.span[0], set()).update(state.mode.value for state in paths[0].states(s))
    return at, {way.state.mode.value for way in paths[0].exits}


@SETTINGS
@given(blocks("a", takes=True))
def test_with_one_variable_exactly_the_modes_that_can_be_are_found(body: Block) -> None:
    program = Program(body, "a")
    result = found(program)
    assume(result is not None)
    assert result == (program.at, program.exits), program.text


@SETTINGS
@given(blocks("abc", takes=True))
def test_with_several_variables_no_mode_is_lost(body: Block) -> None:
    program = Program(body, "abc")
    result = found(program)
    assume(result is not None)
    at, ends = result or ({}, set())
    assert ends >= program.exits, program.text
    for line, modes in program.at.items():
        assert at.get(line, set()) >= modes, (line, program.text)
