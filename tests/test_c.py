# SPDX-License-Identifier: GPL-2.0-or-later
"""C as rules see it: tokens, patterns, the skeleton of statements, the flow; and that layout and cuts do not matter.

Belongs here: reviewbot/c, by itself and under the rules with their pages' blocks as text. Not what a rule finds
(test_pages.py). Property tests are derandomized: a run finds what the last one found.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pages import Block, Part, Row, View, blocks, findings, run

from reviewbot import registry
from reviewbot.c.code import Code, Fragment, calls
from reviewbot.c.flow import Flow, facts
from reviewbot.c.pattern import Match, Pattern, closing, matching, split_arguments
from reviewbot.c.skeleton import Function, Statement, StatementKind, parse
from reviewbot.c.tokens import Comment, Kind, Token, comment_head, tokenize
from reviewbot.model import Line, LineKind, Severity
from reviewbot.rule import Over, Rule, Scope

RULES = tuple(rule for rule in registry.load() if rule.over is Over.CODE)
BLOCKS = tuple(block for rule in RULES if registry.has_page(rule) for block in blocks(rule.name, registry.page(rule)))
# every rule on every text: no word, place or version keeps one away
EVERYWHERE = tuple(rule._replace(words=("",), scope=Scope(exclude=(), suffixes=("",)), since=None) for rule in RULES)
QUICK = settings(max_examples=150, deadline=None, derandomize=True, database=None)


def tokens_of(text: str) -> list[Token]:
    return tokenize(text.split("\n"))[0]


def texts(tokens: Sequence[Token | Comment]) -> list[str]:
    return [token.text for token in tokens]


def functions_of(text: str, section: str = "") -> tuple[Function, ...]:
    return parse(tokens_of(text), section)


def only(text: str, section: str = "") -> Function:
    (function,) = functions_of(text, section)
    return function


def code_of(text: str, path: str = "mm/lumen.c") -> Code:
    lines = tuple(Line(LineKind.ADDED, line, None, n, n) for n, line in enumerate(text.split("\n"), 1))
    return Code(path, [Fragment(lines)], whole=True, version=(6, 12))


def shape(statements: Sequence[Statement]) -> str:
    """The statements' kinds and nesting: `if[return] expression`."""
    return " ".join(_shape(statement) for statement in statements)


def _shape(s: Statement) -> str:
    body = f"[{shape(s.body)}]" if s.body else ""
    orelse = f"else[{shape(s.orelse)}]" if s.orelse else ""
    return f"{s.kind}{body}{orelse}"


# -- tokens -------------------------------------------------------------------------------------------------------


def test_tokens_know_their_line_column_and_kind() -> None:
    found = tokens_of("int x =\n\t0x1fUL + \"a\" + 'b';")
    assert texts(found) == ["int", "x", "=", "0x1fUL", "+", '"a"', "+", "'b'", ";"]
    assert [(t.line, t.column) for t in found] == [
        (0, 0), (0, 4), (0, 6), (1, 1), (1, 8), (1, 10), (1, 14), (1, 16), (1, 19),
    ]  # fmt: skip
    assert [t.kind for t in found[2:6]] == [Kind.PUNCT, Kind.NUMBER, Kind.PUNCT, Kind.STRING]
    assert found[7].kind is Kind.CHAR


def test_operators_are_taken_as_long_as_they_go() -> None:
    assert texts(tokens_of("a->b <<= c >>= d && e || f ... ## -- != x&~y")) == (
        "a -> b <<= c >>= d && e || f ... ## -- != x & ~ y".split()
    )


def test_a_number_with_an_exponent_is_one_token_and_a_sum_is_three() -> None:
    assert texts(tokens_of("1e-3 0x1p+2 .5 a-1")) == ["1e-3", "0x1p+2", ".5", "a", "-", "1"]


def test_lines_are_counted_from_the_offset() -> None:
    found, comments = tokenize(["a /* b", "c */ d"], 10)
    assert [(t.text, t.line) for t in found] == [("a", 10), ("d", 11)]
    assert comments == [Comment("/* b", 10, 2), Comment("c */", 11, 0)]


def test_a_comment_of_several_lines_is_one_comment_a_line() -> None:
    found, comments = tokenize(["x; /* a", " * b", " */ y; // z"])
    assert texts(found) == ["x", ";", "y", ";"]
    assert texts(comments) == ["/* a", " * b", " */", "// z"]
    assert [(c.line, c.column) for c in comments] == [(0, 3), (1, 0), (2, 0), (2, 7)]


def test_a_comment_that_began_above_is_told_by_its_end() -> None:
    found, comments = tokenize(["down_read(sem) is", "not called here */ up(x);"])
    assert texts(found) == ["up", "(", "x", ")", ";"]
    assert texts(comments) == ["down_read(sem) is", "not called here */"]


def test_a_comment_that_began_above_is_told_by_its_stars() -> None:
    found, comments = tokenize([" * the lock is held", " *", "\t* for reading", "int x;"])
    assert texts(found) == ["int", "x", ";"]
    assert len(comments) == 3


def test_a_line_that_begins_with_a_dereference_is_code() -> None:
    found, comments = tokenize(["\t*locked = 0;"])
    assert texts(found) == ["*", "locked", "=", "0", ";"]
    assert comments == []


def test_a_comment_that_opens_first_did_not_begin_above() -> None:
    found, comments = tokenize(["a; /* b */", "c; /* d */"])
    assert texts(found) == ["a", ";", "c", ";"]
    assert texts(comments) == ["/* b */", "/* d */"]


def test_strings_hold_no_comments_and_comments_no_strings() -> None:
    found, comments = tokenize(['f("/* no */ // no", \'"\', "\\"x"); /* "no */ g();'])
    assert texts(found) == ["f", "(", '"/* no */ // no"', ",", "'\"'", ",", '"\\"x"', ")", ";", "g", "(", ")", ";"]
    assert texts(comments) == ['/* "no */']


def test_an_open_string_ends_with_its_line() -> None:
    assert texts(tokens_of('f("abc\ng();')) == ["f", "(", '"abc', "g", "(", ")", ";"]


def test_an_open_comment_reaches_to_the_end() -> None:
    found, comments = tokenize(["a; /* b", "c;", "d;"])
    assert texts(found) == ["a", ";"]
    assert [c.line for c in comments] == [0, 1, 2]


def test_directives_are_numbered_and_continue_over_spliced_lines() -> None:
    found = tokens_of("#define A(x) \\\n\tf(x)\nint y;\n# ifdef B\nint z;\n#endif")
    numbers = {t.text: t.directive for t in found}
    assert numbers["A"] == numbers["f"] == 1
    assert numbers["y"] == numbers["z"] == 0
    assert (numbers["B"], numbers["endif"]) == (2, 3)


def test_a_hash_inside_a_line_begins_no_directive() -> None:
    assert {t.directive for t in tokens_of("f(a # b);\ng();")} == {0}


# -- patterns -----------------------------------------------------------------------------------------------------


def matches(pattern: str, text: str) -> list[str]:
    return ["".join(texts(match.tokens)) for match in Pattern(pattern).find(tokens_of(text))]


def match_of(pattern: str, text: str) -> Match:
    (match,) = Pattern(pattern).find(tokens_of(text))
    return match


def test_a_name_stands_for_one_operand() -> None:
    assert match_of("down_read(&$mm->mmap_lock)", "down_read(&current->mm->mmap_lock);").text("mm") == "current->mm"
    assert match_of("f($x)", "f(a->b[1](2).c)").text("x") == "a->b[1](2).c"
    assert match_of("f($x)", "f((a + b)->c)").text("x") == "(a+b)->c"
    assert match_of("f($x)", "f(!*&p)").text("x") == "!*&p"
    assert matches("f($x)", "f(a + b); f(a, b); f();") == []


def test_the_same_name_stands_for_the_same_tokens() -> None:
    assert matches("$x = f($x)", "a = f(a); b = f(c); p->q = f(p->q);") == ["a=f(a)", "p->q=f(p->q)", "q=f(p->q)"][:2]


def test_the_empty_name_binds_nothing() -> None:
    match = match_of("f($_, $_)", "f(a, b->c)")
    assert match.bound == {}


def test_dots_stand_for_a_balanced_rest() -> None:
    assert matches("f(..., NULL)", "f(a, g(b, NULL), NULL); f(NULL); f(a, NULL, b);") == ["f(a,g(b,NULL),NULL)"]
    assert matches("f(...)", "f(); f(a, (b)); f(a;") == ["f()", "f(a,(b))"]


def test_dots_do_not_cross_a_semicolon() -> None:
    assert matches("lock(...) ... unlock(...)", "lock(a); unlock(a);") == []


def test_braces_stand_for_one_of_several() -> None:
    assert matches("{f, g}(x)", "f(x); g(x); h(x);") == ["f(x)", "g(x)"]


def test_layout_plays_no_part_in_a_pattern() -> None:
    assert matches("f(&$m->x)", "f\n(\n&\na\n->\nm\n->\nx\n)") == ["f(&a->m->x)"]


@pytest.mark.parametrize("text", ["", "...", "... f(x)", "{a, b (x)"])
def test_a_pattern_without_a_definite_beginning_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        Pattern(text)


def test_a_bracket_that_is_not_closed_has_no_end() -> None:
    assert closing(tokens_of("(a, (b)"), 0) is None
    assert closing(tokens_of("(a, [b], {c}) d"), 0) == 11
    assert split_arguments(tokens_of("()"), 0, 2) == ()
    assert matching(tokens_of("(a, (b, c")) == {}
    assert matching(tokens_of("(a, [b])")) == {0: 7, 3: 6}


def test_calls_are_told_from_definitions_methods_and_members() -> None:
    text = "int f(int a) { x->f(1); y.f(2); return f(3); f(4, g(5)); struct f (6); }"
    assert [call.text(0) for call in calls(tokens_of(text), "f")] == ["3", "4"]
    (call,) = calls(tokens_of("f(4, g(5, 6));"), "f")
    assert (call.text(1), call.text(-1), call.text(2)) == ("g(5,6)", "g(5,6)", "")
    assert texts(call.tokens)[-1] == ")"
    assert len(call.tokens) == 11


# -- skeleton -----------------------------------------------------------------------------------------------------


def test_a_function_knows_its_name_and_whether_it_is_all_there() -> None:
    one, two = functions_of("static int f(void)\n{\n\treturn 0;\n}\n\nvoid __init g(int x)\n{\n\tx++;")
    assert (one.name, one.whole, shape(one.statements)) == ("f", True, "return")
    assert (two.name, two.opened, two.closed) == ("g", True, False)


def test_a_syscall_is_named_by_its_first_argument() -> None:
    assert only("SYSCALL_DEFINE2(lumen, int, a, int, b)\n{\n\treturn 0;\n}").name == "lumen"


def test_the_heading_of_a_hunk_names_the_function() -> None:
    function = only("\tx = 1;\n\treturn x;", "static int f(struct vm_fault *vmf)")
    assert (function.name, function.opened, shape(function.statements)) == ("f", False, "expression return")
    assert {t.line for t in function.header} == {-1}
    assert only("\tx = 1;", "struct lumen {").name is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("if (a) b(); else if (c) d(); else e();", "if[expression]else[if[expression]else[expression]]"),
        ("for (i = 0; i < 3; i++) f(i);", "loop[expression]"),
        ("while (a) { b(); continue; }", "loop[expression continue]"),
        ("do { a(); } while (b); c();", "do[expression] expression"),
        ("while (a); b();", "loop expression"),
        ("switch (a) { case 1: b(); break; default: c(); }", "switch[case expression break case expression]"),
        ("case A ? B : C: x();", "case expression"),
        ("list_for_each_entry(a, b, c) d();", "loop[expression]"),
        ("for_each_vma(vmi, vma) { d(); }", "loop[expression]"),
        ("scoped_guard(mmap_read_lock, mm) { d(); }", "once[expression]"),
        ("out: return x;", "label return"),
        ("{ a(); { b(); } }", "block[expression block[expression]]"),
        ("struct foo x = { .a = 1, .b = { 2 } }; f();", "expression expression"),
        ("x = ({ int y = 1; y; }); f();", "expression expression"),
        ("goto out; ;", "goto expression"),
        ("if (a) { b(); } else { c(); } d();", "if[expression]else[expression] expression"),
    ],
)
def test_statements_are_taken_apart(text: str, expected: str) -> None:
    assert shape(only(text).statements) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\t  a, b);\n\treturn x;", "expression return"),  # in the arguments of a call
        ("\t    b) {\n\t\tc();\n\t}\n\td();", "if[expression] expression"),  # in the head of an if
        ("\t    b)\n\t\treturn c;\n\td();", "if[return] expression"),
        ("\t\tb();\n\t}\n\tc();", "if[expression] expression"),  # an unmatched }: the way past it is not seen
        ("\t\tb();\n\t} else {\n\t\tc();\n\t}", "if[expression]else[expression]"),
        ("\telse\n\t\tc();\n\td();", "ifelse[expression] expression"),
        ("\t\tb();\n\t} while (c);\n\td();", "do[expression] expression"),
        ("\tif (a) {\n\t\tb();", "if[expression]"),  # cut off below
        ("\tif (a &&", "if"),
        ("\tf(a,", "expression"),
    ],
)
def test_a_fragment_may_begin_and_end_anywhere(text: str, expected: str) -> None:
    assert shape(only(text).statements) == expected


def test_what_is_cut_off_is_incomplete() -> None:
    head = only("\t    b) {\n\t\tc();\n\t}").statements[0]
    tail = only("\tf(a,").statements[0]
    whole = only("\tif (a)\n\t\tb();").statements[0]
    assert [head.complete, tail.complete, whole.complete] == [False, False, True]


def test_a_brace_in_the_first_column_ends_the_function_and_the_next_begins() -> None:
    first, second = functions_of("\treturn 0;\n}\n\nstatic int g(void)\n{\n\ta();\n}", "int f(void)")
    assert (first.name, first.opened, first.closed) == ("f", False, True)
    assert (second.name, second.whole) == ("g", True)


def test_a_fragment_that_begins_in_a_comment_begins_in_code_behind_it() -> None:
    code = code_of(" * if (a) {\n */\n\tb();")
    assert shape(code.functions[0].statements) == "expression"


def test_the_body_of_a_macro_is_a_function_of_its_own() -> None:
    found = functions_of("#define LOCK(x) \\\ndo { \\\n\tf(x); \\\n} while (0)\n\nint g(void)\n{\n\treturn 1;\n}")
    macro = next(f for f in found if f.macro)
    assert (macro.name, shape(macro.statements)) == ("LOCK", "do[expression]")
    assert [f.name for f in found if not f.macro] == ["g"]


def test_a_fragment_that_begins_within_a_macro_is_read() -> None:
    code = code_of("\tdown_read(&(mm)->mmap_lock);\t\\\n} while (0)\n\n#define NEXT(x) f(x)")
    assert [call.text(0) for call in code.calls("down_read")] == ["&(mm)->mmap_lock"]
    assert [f.name for f in code.functions if f.macro] == ["NEXT"]


def test_code_under_if_0_is_not_read() -> None:
    assert shape(only("a();\n#if 0\nreturn;\n#else\nif (b) c();\n#endif").statements) == "expression if[expression]"


def test_of_two_branches_that_open_the_same_brace_the_first_is_read() -> None:
    text = "#ifdef A\nif (a) {\n#else\nif (b) {\n#endif\n\tc();\n}\nd();"
    assert shape(only(text).statements) == "if[expression] expression"


def test_both_branches_are_read_where_they_leave_the_braces_alone() -> None:
    assert shape(only("#ifdef A\na();\n#else\nreturn b;\n#endif").statements) == "expression return"


# -- flow ---------------------------------------------------------------------------------------------------------


def walk(text: str, start: str, stop: str = "") -> set[str]:
    """Names of the one-word calls that the flow reaches after the call `start`, as far as the call `stop`."""
    function = only(text)
    first = next(s for s in function.walk() if s.tokens and s.tokens[0].text == start)
    reached = Flow(function).after(first, lambda s: bool(s.tokens) and s.tokens[0].text == stop)
    return {s.tokens[0].text for s in reached if s.kind is StatementKind.EXPRESSION and s.tokens}


def test_what_comes_before_is_not_reached() -> None:
    assert walk("a(); b(); c();", "b") == {"c"}


def test_the_flow_stops_at_a_return_and_goes_on_behind_the_branch() -> None:
    assert walk("a(); if (x) { b(); return; c(); } d();", "a") == {"b", "d"}
    assert walk("if (x) { a(); } else { b(); } c();", "a") == {"c"}


def test_the_stop_is_reached_and_nothing_behind_it() -> None:
    assert walk("a(); b(); c();", "a", stop="b") == {"b"}
    assert walk("a(); if (x) b(); c();", "a", stop="b") == {"b", "c"}


def test_a_goto_leads_to_its_label_and_one_without_label_out() -> None:
    assert walk("a(); goto out; b(); out: c();", "a") == {"c"}
    assert walk("a(); goto elsewhere; b();", "a") == set()
    assert walk("again: a(); b(); if (x) goto again; c();", "b") == {"a", "b", "c"}


def test_a_loop_comes_round_and_ends() -> None:
    assert walk("while (x) { a(); b(); } c();", "b") == {"a", "b", "c"}
    assert walk("do { a(); b(); } while (x); c();", "b") == {"a", "b", "c"}
    assert walk("do { a(); b(); } while (0); c();", "b") == {"c"}
    assert walk("for (;;) { a(); b(); } c();", "b") == {"a", "b"}
    assert walk("while (1) { a(); if (x) break; b(); } c();", "b") == {"a", "b", "c"}


def test_continue_goes_to_the_head_and_break_behind_the_loop() -> None:
    assert walk("while (x) { a(); continue; b(); } c();", "a") == {"a", "c"}
    assert walk("while (x) { a(); break; b(); } c();", "a") == {"c"}


def test_a_case_falls_through_and_break_leaves_the_switch() -> None:
    text = "switch (x) { case 1: a(); case 2: b(); break; default: c(); } d();"
    assert walk(text, "a") == {"b", "d"}
    assert walk("z(); " + text, "z") == {"a", "b", "c", "d"}


def test_a_scope_is_entered_once() -> None:
    assert walk("scoped_guard(x) { a(); b(); } c();", "b") == {"c"}


def test_statements_after_a_call_that_does_not_return_are_not_reached() -> None:
    assert walk("a(); BUG(); b();", "a") == {"BUG"}


def known(condition: str, truth: bool) -> list[tuple[str, bool]]:
    return facts(tokens_of(condition), truth)


@pytest.mark.parametrize(
    ("condition", "truth", "expected"),
    [
        ("vma", True, [("vma", True)]),
        ("!vma", True, [("vma", False)]),
        ("!!vma", False, [("vma", False)]),
        ("vma == NULL", True, [("vma", False)]),
        ("vma != NULL", True, [("vma", True)]),
        ("locked == true", False, [("locked", False)]),
        ("likely(vma) && !err", True, [("vma", True), ("err", False)]),
        ("likely(vma) && !err", False, []),
        ("!vma || err", False, [("vma", True), ("err", False)]),
        ("!vma || err", True, []),
        ("!(a && b)", False, [("a", True), ("b", True)]),
        ("fault & VM_FAULT_RETRY", True, [("fault&VM_FAULT_RETRY", True)]),
        ("!(fault & VM_FAULT_RETRY)", True, [("fault&VM_FAULT_RETRY", False)]),
        ("(ret & A) == 0", True, [("ret&A", False)]),
        ("(ret = f(x))", True, [("ret", True)]),
        ("(ret = f(x)) != 0", False, [("ret", False)]),
        ("a == b", False, [("a==b", False)]),
        ("a != b", False, [("a==b", True)]),
        ("unlikely(!vma)", True, [("vma", False)]),
        ("", True, []),
    ],
)
def test_a_condition_tells_what_is_sure(condition: str, truth: bool, expected: list[tuple[str, bool]]) -> None:
    assert known(condition, truth) == expected


def test_an_error_pointer_is_no_true_pointer() -> None:
    assert ("vma", True) not in known("IS_ERR_OR_NULL(vma)", True)


def test_a_condition_nested_2000_deep_is_no_reason_to_raise() -> None:
    assert isinstance(known("(a && " * 2_000 + "a" + ")" * 2_000, True), list)


# -- layout, cuts, comments: every rule over the blocks of its page -------------------------------------------------


def relaid(block: Block) -> Block:
    """Each code line's tokens one a line, with the same mark; directives, comments and what no hunk shows stay."""
    return block.map(lambda file: [Part(part.heading, tuple(_relay(part.rows))) for part in file.parts])


def _relay(rows: Sequence[Row]) -> Iterator[Row]:
    pieces: dict[int, list[str]] = {}
    stay: set[int] = set()
    for side in ("-", "+"):  # what a context line is, the post-image says
        at = [n for n, row in enumerate(rows) if row.mark in (" ", "|", side)]
        tokens, comments = tokenize([rows[n].text for n in at])
        stay.update(at[c.line] for c in comments)
        for n in at:
            pieces[n] = []
        for token in tokens:
            pieces[at[token.line]].append(token.text)
            if token.directive or "\n" in token.text:
                stay.update(at[token.line : token.line + token.text.count("\n") + 1])
    for n, row in enumerate(rows):
        # a heading is a line by its nature: git takes the one in the first column
        heading = row.mark != "+" and not row.text[:1].isspace()
        words = pieces[n]
        if n in stay or row.mark == "|" or heading or not words:
            yield row
            continue
        if words[0] == "*":  # alone on the first line of a hunk it would be a comment's
            words = [" ".join(words[:2]), *words[2:]]
        for word in words:
            yield replace(row, text="\t" + word)


def fingerprints(rule: Rule, block: Block, view: View) -> Counter[tuple[str, str, Severity]]:
    # that a line was moved is about lines
    return Counter((f.fingerprint, f.message, f.severity) for _, f in findings(rule._replace(style=False), block, view))


# find_vma() and the comparison with vm_start: the rule book's six lines; `->mmap` is looked for as it is written
# the lines of #include are read as they are
OF_LINES = frozenset(("vma/find-vma-as-lookup", "vma/removed-list-field", "series/missing-include"))


@pytest.mark.parametrize("rule", [r for r in RULES if r.name not in OF_LINES], ids=lambda rule: rule.name)
def test_one_token_a_line_gives_the_same_findings(rule: Rule) -> None:
    compared = 0
    for block in blocks(rule.name, registry.page(rule)):
        for view in View:
            expected = fingerprints(rule, block, view)
            assert fingerprints(rule, relaid(block), view) == expected, f"{block} ({view})"
            compared += bool(expected)
    assert compared


@st.composite
def pieces(draw: st.DrawFn) -> Block:
    """A stretch of the lines of each file of a block, with some of its tokens left out."""
    block = draw(st.sampled_from(BLOCKS))
    sizes = [len(list(file.rows())) for file in block.files]
    cuts = {
        file.path: sorted(draw(st.tuples(st.integers(0, size), st.integers(0, size))))
        for file, size in zip(block.files, sizes, strict=True)
    }
    gone = draw(st.sets(st.integers(0, 400), max_size=12))

    def change(parts: Sequence[Part], begin: int, end: int) -> Iterator[Part]:
        at = count = 0
        for part in parts:
            kept: list[Row] = []
            for row in part.rows:
                found = tokenize([row.text])[0]
                text = row.text
                for n, token in reversed(list(enumerate(found, count))):
                    if n in gone:
                        text = text[: token.column] + text[token.column + len(token.text) :]
                count += len(found)
                if begin <= at < end:
                    kept.append(replace(row, text=text))
                at += 1
            if kept:
                yield Part(part.heading, tuple(kept))

    cut = block.map(lambda file: list(change(file.parts, *cuts[file.path])))
    return replace(cut, files=tuple(file for file in cut.files if file.parts))


@QUICK
@given(pieces(), st.sampled_from(View))
def test_no_piece_of_a_hunk_makes_a_rule_raise(block: Block, view: View) -> None:
    assert run(EVERYWHERE, block, view).errors == ()


@pytest.mark.parametrize("view", View)
def test_no_line_of_a_hunk_by_itself_makes_a_rule_raise(view: View) -> None:
    for block in BLOCKS:
        for n in range(len(list(block.rows()))):
            single = block.map(lambda file, n=n: _single(file.parts, n))  # type: ignore[misc]
            single = replace(single, files=tuple(file for file in single.files if file.parts))
            if single.files:
                assert run(EVERYWHERE, single, view).errors == ()


def _single(parts: Sequence[Part], n: int) -> list[Part]:
    rows = [(part, row) for part in parts for row in part.rows]
    return [Part(rows[n][0].heading, (rows[n][1],))] if n < len(rows) else []


def as_comment(text: str) -> str:
    return "\t/* " + text.replace("*/", "* /") + " */"


def as_line_comment(text: str) -> str:
    return "\t// " + text.rstrip("\\")


def as_string(text: str) -> str:
    return '\tlumen_say("' + text.replace("\\", "\\\\").replace('"', '\\"') + '");'


# these are about comments
OF_COMMENTS = ("mmap-lock/stale-name", "series/kernel-doc-mismatch")


@pytest.mark.parametrize("wrap", [as_comment, as_line_comment, as_string], ids=lambda wrap: wrap.__name__)
@pytest.mark.parametrize("rule", [r for r in RULES if r.name not in OF_COMMENTS], ids=lambda rule: rule.name)
def test_the_inside_of_a_comment_or_string_is_no_code(rule: Rule, wrap: object) -> None:
    assert callable(wrap)
    speaks_of_comments = rule.name == "mmap-lock/unknown-api"  # with a note
    if speaks_of_comments and wrap is not as_string:
        return
    for block in blocks(rule.name, registry.page(rule)):
        for marked in [
            r.number for r in block.rows() if r.severity and not (speaks_of_comments and r.severity == "note")
        ]:
            wrapped = block.map(
                lambda file, marked=marked: [  # type: ignore[misc]
                    replace(
                        part,
                        rows=tuple(replace(r, text=wrap(r.text)) if r.number == marked else r for r in part.rows),
                    )
                    for part in file.parts
                ]
            )
            for view in View:
                found = [row.number for row, _ in findings(rule, wrapped, view)]
                assert marked not in found, f"{block}, line {marked} ({view})"


# -- any text -----------------------------------------------------------------------------------------------------

SNIPPETS = [
    "if (", "else", "for (;;)", "while (", "do {", "} while (", "switch (", "case ", "default:", "return", "goto out;",
    "out:", "{", "}", "(", ")", "[", "]", ";", ",", "->", ".", "&", "*", "!", "=", "?", ":", "&&", "||", "==", "/*",
    "*/", "//", '"', "'", "\\", "\\\n", "\n", "\n#define X(a) ", "\n#if 0\n", "\n#else\n", "\n#endif\n", "\n#", " ",
    "\t", "\n * ", "vma", "mm", "mmap_read_unlock(mm)", "vma->vm_start", "handle_mm_fault(vma, a, FAULT_FLAG_DEFAULT)",
    "VM_FAULT_RETRY", "fixup_user_fault(", "&locked", "struct vm_area_struct *", "struct vm_fault *vmf", "int f(",
    "FOLL_PIN", "FOLL_X = 1 << 3", "might_lock(&mm->mmap_lock)", "down_read(&mm->mmap_sem)", "scoped_guard(", "bool ",
    "int locked", "get_user_pages_remote(mm, a, 1, 0, &p, &locked)", "__attribute__((x))", "é", "\0", "0x1f", "1e-",
]  # fmt: skip
soup = st.lists(st.one_of(st.sampled_from(SNIPPETS), st.text(max_size=3)), max_size=60).map("".join)


@QUICK
@given(soup)
def test_no_text_makes_the_reading_or_a_rule_raise(text: str) -> None:
    code = code_of(text)
    for function in code.functions:
        code.flow(function)
    for rule in RULES:
        for report in rule.check(code):
            code.span(report.at)


@QUICK
@given(soup)
def test_every_character_is_in_one_token_or_comment_or_blank(text: str) -> None:
    lines = text.split("\n")
    left = [list(line) for line in lines]
    tokens, comments = tokenize(lines)
    places: list[Token | Comment] = [*tokens, *comments]
    for place in places:
        for n, piece in enumerate(place.text.split("\n")):
            at, column = place.line + n, 0 if n else place.column
            assert lines[at][column : column + len(piece)] == piece
            assert "\0taken" not in left[at][column : column + len(piece)]
            left[at][column : column + len(piece)] = ["\0taken"] * len(piece)
    for line, rest in zip(lines, left, strict=True):
        blank = "".join(c for c in rest if c != "\0taken").strip(" \t\f\v\r")
        # a backslash at the end of a line joins it with the next
        assert blank in ("", "\\"), line


def identifiers(text: str) -> Iterator[str]:
    """Every identifier outside of comments and strings: another way to the same, one character at a time."""
    n, end = 0, len(text)
    start_set = string.ascii_letters + "_$"
    while n < end:
        c = text[n]
        if text.startswith("/*", n):
            close = text.find("*/", n + 2)
            n = end if close < 0 else close + 2
        elif text.startswith("//", n):
            close = text.find("\n", n)
            n = end if close < 0 else close
        elif c in "\"'":
            n += 1
            while n < end and text[n] not in (c, "\n"):
                if text[n] == "\\" and (n + 1 >= end or (c == "'" and text[n + 1] == "\n")):
                    break
                n += 2 if text[n] == "\\" else 1
            n += n < end and text[n] == c
        elif c in start_set or (c.isascii() and c.isdigit()):
            begin, number = n, c.isdigit()
            inside = "_." if number else "_$"
            while n < end and (text[n].isalnum() or text[n] in inside):
                n += 1
                if number and text[n - 1] in "eEpP" and n < end and text[n] in "+-":
                    n += 1
            if not number:
                yield text[begin:n]
        else:
            n += 1


@QUICK
@given(st.lists(st.sampled_from([*SNIPPETS, "abc", "x1", "e", "_y", "$z"]), max_size=60).map("".join))
def test_every_identifier_outside_of_comments_and_strings_is_a_token_once(text: str) -> None:
    assume(comment_head(text.split("\n")) == 0)
    assert [t.text for t in tokens_of(text) if t.kind is Kind.WORD] == list(identifiers(text))


# -- size ---------------------------------------------------------------------------------------------------------

HEAD = "static vm_fault_t lumen(struct vm_fault *vmf)\n{\n"
LARGE = {
    "a function of 30,000 lines": HEAD + "\tlumen_look(vma);\n" * 30_000 + "}",
    "2,000 nested blocks": HEAD + "{\n" * 2_000 + "lumen_look(vma);\n" + "}\n" * 2_000 + "}",
    "2,000 nested ifs": HEAD + "if (a) {\n" * 2_000 + "lumen_look(vma);\n" + "}\n" * 2_000 + "}",
    "5,000 ifs without braces": HEAD + "if (a)\n" * 5_000 + "lumen_look(vma);\n}",
    "10,000 else-ifs": HEAD + "if (a)\nx();\n" + "else if (b)\nx();\n" * 10_000 + "}",
    "10,000 else-ifs with braces": HEAD + "if (a) {\nx();\n" + "} else if (b) {\nx();\n" * 10_000 + "}\n}",
    "20,000 open braces": HEAD + "{\n" * 20_000,
    "20,000 closed braces": "}\n" * 20_000,
    "20,000 closed parentheses": ")\n" * 20_000,
    "3,000 nested parentheses": HEAD + "x = " + "(" * 3_000 + "a" + ")" * 3_000 + ";\n}",
    "5,000 open parentheses": HEAD + "x = " + "(" * 5_000,
    "a comment that does not end": HEAD + "/*\n" + "down_read(&mm->mmap_sem)\n" * 20_000,
    "10,000 labels": HEAD + "".join(f"l{n}:\n" for n in range(10_000)) + "goto l1;\n}",
    "10,000 cases": HEAD + "switch (x) {\n" + "".join(f"case {n}:\n" for n in range(10_000)) + "}\n}",
    "3,000 nested switches": HEAD + "switch (x) {\n" * 3_000,
    "3,000 nested do-loops": HEAD + "do {\n" * 3_000,
    "5,000 nested #ifdefs": HEAD + "#ifdef A\n" * 5_000 + "x();\n" + "#endif\n" * 5_000 + "}",
    "10,000 macros": "".join(f"#define A{n}(x) do {{ f(x); }} while (0)\n" for n in range(10_000)),
    "20,000 quotation marks": HEAD + '"\n' * 20_000,
    "an initialiser of 10,000 lines": HEAD + "int x[][2] = {\n" + "{ 1, 2 },\n" * 10_000 + "};\n}",
}


@pytest.mark.parametrize("name", LARGE)
def test_size_and_depth_are_read_without_an_exception(name: str) -> None:
    code = code_of(LARGE[name])
    for function in code.functions:
        code.flow(function)
        assert sum(1 for _ in function.walk()) >= len(function.statements)
    assert len(code.tokens) + len(code.comments) > 1_000


def test_a_long_function_is_taken_apart_to_its_last_line() -> None:
    (function,) = code_of(LARGE["a function of 30,000 lines"]).functions
    assert (function.whole, len(function.statements)) == (True, 30_000)


def test_what_is_behind_deep_nesting_is_still_read() -> None:
    code = code_of(LARGE["2,000 nested blocks"] + "\n\nint next(void)\n{\n\treturn 0;\n}")
    assert [f.name for f in code.functions] == ["lumen", "next"]
