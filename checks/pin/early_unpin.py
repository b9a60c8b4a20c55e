# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages are unpinned when their transfer has been started, and nobody has waited for its end"""

from __future__ import annotations

from collections.abc import Iterator

from reviewbot.checks.pin._pages import PIN, RELEASERS, Held, all_calls, good_way, mentions_pages

from reviewbot.c.code import Code, calls
from reviewbot.c.skeleton import Statement, StatementKind
from reviewbot.c.tokens import Kind
from reviewbot.model import Severity
from reviewbot.rule import Report, code_rule

# they start a transfer and return before its end: block/blk-core.c:900, include/linux/dmaengine.h:1450,
# drivers/usb/core/urb.c:368, drivers/spi/spi.c:4470, block/blk-mq.c:1407, drivers/virtio/virtio_ring.c:2405
STARTS = (
    "submit_bio",
    "dma_async_issue_pending",
    "usb_submit_urb",
    "spi_async",
    "blk_execute_rq_nowait",
    "virtqueue_kick",
)
_WAITING = frozenset("wait sync flush poll drain spin terminate cancel kill complete completed completion stop".split())
_UNPINS = tuple(name for name, kind in RELEASERS.items() if kind == PIN)


@code_rule(Severity.INFO, id="PN06", since="v5.6", words=("unpin_",))
def check(code: Code) -> Iterator[Report]:
    """From the start of a transfer to an unpin on the way on which nothing fails, without anything like a wait."""
    for function in code.functions:
        if not mentions_pages(function, STARTS) or not mentions_pages(function, _UNPINS):
            continue
        held = Held(function, code.flow(function))
        for start in held.statements:
            for call in calls(start.tokens, *STARTS):
                for statement in good_way(held, start, _waits):
                    for release in held.releases_at(statement):
                        if release.kind == PIN and not _waits(statement) and not _fails(held, start, statement):
                            yield Report(
                                release.call.tokens,
                                f"{release.call.name}() after {call.name}() without a wait: the device may still use "
                                "the pages",
                                ((call.tokens, "starts the transfer"),),
                            )


def _waits(statement: Statement) -> bool:
    """A call that waits by its name, or a callback or result of one: who says `done` has waited."""
    if any(_WAITING & set(call.name.lower().split("_")) for call in all_calls(statement.tokens)):
        return True
    return any(t.kind is Kind.WORD and ("wait" in t.text or "complet" in t.text) for t in statement.tokens)


def _fails(held: Held, start: Statement, statement: Statement) -> bool:
    """It stands in a branch that the start does not stand in."""
    return any(s.kind is not StatementKind.LOOP and not s.holds(start) for s in held.enclosing(statement))
