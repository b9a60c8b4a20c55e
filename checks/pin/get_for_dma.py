# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages from get_user_pages*() are mapped for DMA, or made a bio of: such pages are pinned."""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.checks.pin._pages import GET, GETS, Held, Operand, mentions_pages, operand

from reviewbot.c.code import Call, Code, calls
from reviewbot.c.skeleton import Statement
from reviewbot.model import Severity
from reviewbot.rule import Report, Scope, code_rule

# name -> index of the argument that is a page, or an array of them: include/linux/dma-mapping.h:150, :465,
# include/linux/scatterlist.h:136, :433-471, include/drm/drm_prime.h:95, block/bio.c:1058-1148,
# include/rdma/ib_verbs.h:4102
MAPPERS = {
    "dma_map_page": 1,
    "dma_map_page_attrs": 1,
    "pci_map_page": 1,
    "ib_dma_map_page": 1,
    "sg_set_page": 1,
    "sg_alloc_table_from_pages": 1,
    "sg_alloc_table_from_pages_segment": 1,
    "__sg_alloc_table_from_pages": 1,
    "sg_alloc_append_table_from_pages": 1,
    "drm_prime_pages_to_sg": 1,
    "bio_add_page": 1,
    "bio_add_pc_page": 2,
    "__bio_add_page": 1,
}
# drm_prime_pages_to_sg(pages, nr) until v5.9
_EITHER = ("drm_prime_pages_to_sg",)
# who reads a scatterlist by the CPU; who stops its device when the mapping goes (case 3)
_NO_DMA = ("crypto_", "skcipher_", "ahash_", "aead_", "mmu_notifier", "mmu_interval_notifier", "hmm_range", "sg_copy_")


@code_rule(
    Severity.NOTE,
    id="PN05",
    since="v5.6",
    words=("get_user_pages", "get_user_page_fast_only"),
    scope=Scope(exclude=(*Scope().exclude, "mm/", "drivers/iommu/iommufd/selftest.c", "lib/test_")),
)
def check(code: Code) -> Iterator[Report]:
    """From the taking call to a mapping one, by the variable or the member of one name."""
    if any(word.startswith(_NO_DMA) for word in code.vocabulary):
        return
    taking: list[Held] = []
    here: dict[tuple[Held, Statement], Call] = {}  # what is mapped in the function that took it
    members: dict[str, Call] = {}  # what is mapped out of a member of this name
    for function in code.functions:
        if not mentions_pages(function, (*GETS, *MAPPERS)):
            continue
        held = Held(function, code.flow(function))
        if held.takes and all(use.kind == GET for use in held.takes):
            taking.append(held)
        for statement in held.statements:
            for call, what in _mapped(statement):
                for origin in held.origins(what):
                    held.spend()
                    here.setdefault((held, origin.statement), call)
                for name in held.names(what):
                    if "->" in name or "." in name:
                        members.setdefault(name.replace("->", ".").rsplit(".", 1)[-1], call)
    for held in taking:
        carried = {origin.statement: what.last for what in held.carriers() for origin in held.origins(what)}
        for use in held.takes:
            found = here.get((held, use.statement)) or members.get(carried.get(use.statement, ""))
            if found is not None:
                yield Report(
                    use.call.tokens,
                    f"{use.call.name}() does not pin '{use.what.text}', and {found.name}() gives the pages to a device",
                    ((found.tokens, "the pages go to a device"),),
                )


def _mapped(statement: Statement) -> Iterator[tuple[Call, Operand]]:
    names = {t.text for t in statement.tokens if t.text in MAPPERS}
    for call in calls(statement.tokens, *names) if names else ():
        indices = (0, 1) if call.name in _EITHER else (MAPPERS[call.name],)
        for index in indices:
            if index < len(call.arguments) and (what := operand(call.arguments[index])):
                yield call, what
