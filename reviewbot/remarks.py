# SPDX-License-Identifier: GPL-2.0-or-later
"""What people say below the lines of a patch that they quote.

Belongs here: reading replies. Does not belong here: whether a remark was taken up (the rules over a series). Pure, and
linear in the length of the mails, which are strangers'.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reviewbot.dossier import Remark, Reply
from reviewbot.model import Series


def read_remarks(series: Series, replies: Sequence[Reply]) -> Iterator[Remark]:
    """The remarks in the replies to a posting, in their order."""
    del series, replies
    yield from ()
