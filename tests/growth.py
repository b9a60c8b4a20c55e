# SPDX-License-Identifier: GPL-2.0-or-later
"""How work grows with its size, for the tests of hostile mail.

Belongs here: CPU time as a ratio of two sizes. What a thing costs is measured in bench/.
"""

from __future__ import annotations

import time
from collections.abc import Callable


def seconds(work: Callable[[], object]) -> float:
    best = 1e9
    for _ in range(3):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best
