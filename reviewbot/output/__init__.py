# SPDX-License-Identifier: GPL-2.0-or-later
"""Reviews -> text, one module a format.

Belongs here: the table of formats and how one is called. Each module has
`render(reviews, screen) -> str`, where the text is complete and ends with a line end; what they
share is in `text`. Pure. A format's module is imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from reviewbot.finding import Review
from reviewbot.model import ConfigError
from reviewbot.output.text import PLAIN, Screen

FORMATS: dict[str, str] = {
    "full": "reviewbot.output.full",
    "terse": "reviewbot.output.terse",
    "json": "reviewbot.output.json",
    "rdjsonl": "reviewbot.output.rdjsonl",
    "sarif": "reviewbot.output.sarif",
    "github": "reviewbot.output.github",
    "b4": "reviewbot.output.b4",
    "diff": "reviewbot.output.diff",
}


def render(format: str, reviews: Sequence[Review], screen: Screen = PLAIN) -> str:  # noqa: A002 - the option's name
    """Reviews as one text; '' where the format has nothing to say of them. The formats for machines need no `screen`.

    Raises ConfigError where no format has that name.
    """
    if format not in FORMATS:
        raise ConfigError(f"unknown format '{format}'; there are: {', '.join(FORMATS)}")
    text: str = import_module(FORMATS[format]).render(reviews, screen)
    return text
