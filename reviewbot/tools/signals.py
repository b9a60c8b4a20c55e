# SPDX-License-Identifier: GPL-2.0-or-later
"""^C, SIGTERM and SIGHUP while tools run: what was started and written is cleaned up, then the process ends.

Belongs here: when such a signal raises an exception, and which. Does not belong here: the cleaning (`program`,
`checkout`). A tool has a session of its own, so that no terminal and no CI ends it in our place.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _State:
    """Of the process: so are signals."""

    came: int | None = None  # the first one
    held: bool = False


_state = _State()


@contextmanager
def cleaned_up() -> Iterator[None]:
    """In here, the signals raise what every `with` and `finally` sees: KeyboardInterrupt, or SystemExit(128 + number).

    One that is ignored (nohup) or that somebody else handles is left alone; outside of the main thread, all are.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pythons = (signal.SIG_DFL, signal.default_int_handler)
    before = {number: handler for number in _SIGNALS if (handler := signal.getsignal(number)) in pythons}
    try:
        for number in before:
            signal.signal(number, _handle)
        yield
        _raise()  # it came where Python drops exceptions: in a __del__
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _state.came = None


@contextmanager
def held() -> Iterator[None]:
    """In here, they raise nothing: `came` says that there was one, and at the end it raises."""
    _state.held = True
    try:
        yield
    finally:
        _state.held = False
        _raise()


def came() -> bool:
    """There was a signal: what is being done is to be given up."""
    return _state.came is not None


def _handle(number: int, _: FrameType | None) -> None:
    # The first one counts: a terminal that is closed sends SIGHUP twice, and CI SIGTERM some seconds behind SIGINT.
    # The second would end the cleaning.
    if _state.came is None:
        _state.came = number
        if not _state.held:
            _raise()


def _raise() -> None:
    if _state.came == signal.SIGINT:
        raise KeyboardInterrupt
    if _state.came is not None:
        raise SystemExit(128 + _state.came)
