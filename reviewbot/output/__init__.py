# SPDX-License-Identifier: GPL-2.0-or-later
"""Reviews -> text, one module a format.

Belongs here: the table of formats and how one is called. Each module has
`render(review, *, color) -> str`, where the text is complete and ends with a line end; what they
share is in `text`. Pure. A format's module is imported when it is asked for.
"""

from __future__ import annotations

from importlib import import_module

from reviewbot.finding import Review
from reviewbot.model import ConfigError

FORMATS: dict[str, str] = {
    "full": "reviewbot.output.full",
    "terse": "reviewbot.output.terse",
    "json": "reviewbot.output.json",
}


def render(format: str, review: Review, *, color: bool) -> str:  # noqa: A002 - it is the option's name
    """The review as text; '' where the format has nothing to say of it. `color` is ignored by the formats for machines.

    Raises ConfigError where no format has that name.
    """
    if format not in FORMATS:
        raise ConfigError(f"unknown format '{format}'; there are: {', '.join(FORMATS)}")
    text: str = import_module(FORMATS[format]).render(review, color=color)
    return text
