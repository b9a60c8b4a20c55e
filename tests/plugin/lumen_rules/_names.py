# SPDX-License-Identifier: GPL-2.0-or-later
"""Names of the lumen driver's functions, for more than one rule: a file that begins with '_' is no rule."""

from __future__ import annotations

SLEEPING = {"lumen_reset_now": "lumen_reset", "lumen_flush_now": "lumen_flush"}
