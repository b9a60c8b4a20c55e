# SPDX-License-Identifier: GPL-2.0-or-later
"""A member of the VMA list or tree is used that the maple tree replaced in v6.1"""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.c.code import Code
from reviewbot.c.skeleton import Function
from reviewbot.kernel import is_mm, is_vma, member_owner, mm_names, struct_names
from reviewbot.model import Confidence, Severity
from reviewbot.rule import Report, code_rule

# member -> what there is instead; gone with 763ecb035029 and the maple tree's series
OF_VMA = {
    "vm_next": "for_each_vma() and vma_next() find the next VMA",
    "vm_prev": "vma_prev() finds the one before",
    "vm_rb": "the VMAs are in a maple tree",
    "rb_subtree_gap": "vm_unmapped_area() finds a gap",
}
OF_MM = {
    "mmap": "for_each_vma() walks the VMAs",
    "mm_rb": "the VMAs are in a maple tree",
    "highest_vm_end": "find_vma_prev() finds the last VMA",
    "vmacache_seqnum": "lookups are not cached",
}


@code_rule(
    Severity.ERROR,
    id="VM04",
    since="v6.1",
    words=(*OF_VMA, "->mmap", ".mmap", "mm_rb", "highest_vm_end", "vmacache_seqnum"),
    build=True,
    confidence=Confidence.HIGH,
)
def check(code: Code) -> Iterator[Report]:
    """Members of what is a VMA or an mm, by declaration or name."""
    tokens = code.tokens
    known: dict[Function | None, dict[str, str]] = {}
    mms = mm_names(code)
    for n in code.words(*OF_VMA, *OF_MM):
        token = tokens[n]
        cure = OF_VMA.get(token.text) or OF_MM.get(token.text)
        if cure is None or n == 0 or tokens[n - 1].text not in ("->", "."):
            continue
        owner = member_owner(tokens, n)
        if not owner or not code.changed(token):
            continue
        function = code.function_of(token)
        if function not in known:
            known[function] = struct_names(function)
        if token.text in OF_VMA:
            found = is_vma(owner, known[function])
        else:
            called = n + 1 < len(tokens) and tokens[n + 1].text == "("
            name = "".join(t.text for t in owner)
            tag = known[function].get(name)
            found = not called and (tag == "mm_struct" or (tag is None and (is_mm(owner) or name in mms)))
        if found:
            at = tokens[n - 1 - len(owner) : n + 1]
            yield Report(at, f"'{''.join(t.text for t in at)}' is gone since v6.1: {cure}")
