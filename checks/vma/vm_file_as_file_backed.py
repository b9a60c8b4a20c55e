# SPDX-License-Identifier: GPL-2.0-or-later
"""vm_file is tested to tell file mappings from anonymous ones"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reviewbot.c.code import Code
from reviewbot.c.skeleton import Statement, StatementKind
from reviewbot.c.tokens import Token
from reviewbot.kernel import is_vma, member_owner, mentions, pointer_uses, struct_names
from reviewbot.model import Severity
from reviewbot.rule import Report, Scope, code_rule

# the file is asked for where files are managed; mm/ and its headers know what they ask
SCOPE = Scope(exclude=(*Scope().exclude, "mm/", "include/linux/mm", "fs/proc/"))
BEFORE = frozenset(("(", "!", "&&", "||"))
AFTER = frozenset((")", "&&", "||", "?"))
# what may stand around it in a return: its callers are told of nothing else
ALONE = frozenset(("!", "(", ")", "!=", "==", "NULL", ";"))


@code_rule(Severity.INFO, id="VM05", words=("vm_file",), scope=SCOPE)
def check(code: Code) -> Iterator[Report]:
    """`if (vma->vm_file)` in a function that does nothing with the file, nor lets another one."""
    for function in code.functions:
        declared: dict[str, str] | None = None
        tested: list[tuple[Statement, Sequence[Token], str]] = []
        used = False
        for statement in function.walk():
            tokens = statement.tokens
            for n in (n for n, token in enumerate(tokens) if token.text == "vm_file"):
                owner = member_owner(tokens, n)
                declared = struct_names(function) if declared is None else declared
                if not owner or not is_vma(owner, declared):
                    continue
                start = n - 1 - len(owner)
                if _tested(statement, start, n + 1):
                    tested.append((statement, tokens[start : n + 1], "".join(t.text for t in owner)))
                else:
                    used = True
        if used or any(mentions(s, "vma_is_anonymous", "file_inode") for s in function.walk()):
            continue
        for statement, at, name in tested:
            behind = code.flow(function).after(statement, lambda _: False)
            if not any(len(use) == 1 for s in (statement, *behind) for use in pointer_uses(s.tokens, name)):
                yield Report(
                    at, f"'{name}->vm_file' does not tell whether {name} is anonymous: vma_is_anonymous() does"
                )


def _tested(statement: Statement, start: int, end: int) -> bool:
    """The member is an operand of its own: `if (vma->vm_file)`, `!vma->vm_file &&`, `vma->vm_file != NULL`."""
    tokens = statement.tokens
    if statement.kind is StatementKind.RETURN:
        return all(t.text in ALONE for t in (*tokens[:start], *tokens[end:]))
    before = tokens[start - 1].text if start else ""
    after = tokens[end].text if end < len(tokens) else ""
    compared = after in ("==", "!=")
    if compared:
        if end + 1 >= len(tokens) or tokens[end + 1].text != "NULL":
            return False
        after = tokens[end + 2].text if end + 2 < len(tokens) else ""
    if statement.kind not in (StatementKind.IF, StatementKind.LOOP, StatementKind.DO):
        made_bool = compared or before == "!"
        return before in (*BEFORE, "=") and (after == "?" or (made_bool and after in ("", ";", ",", "&&", "||")))
    return before in (*BEFORE, "") and after in (*AFTER, "")
