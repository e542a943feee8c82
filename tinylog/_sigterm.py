"""`flush_on_sigterm`: SIGTERM, of which Python dies without running exit functions, waits for delivery.

A signal handler runs in the main thread between any two bytecodes, perhaps amidst the queue's own code, with its lock
held. So it delivers nothing itself and waits for nothing: it starts a thread, and the main thread goes on meanwhile.

- Nobody else handles SIGTERM: the thread delivers what is queued, within `shutdown_timeout`, spills or counts the
  rest, and then lets the signal have its way: the process ends with the status that its parent expects. A second
  SIGTERM kills at once.
- Somebody else's handler was there: it is called as always, and decides about the end. The thread delivers meanwhile.
- SIGTERM is ignored: that stays so.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import sys
from types import FrameType
from typing import Any

from tinylog._lifecycle import ending, settle_all

__all__ = ["flush_on_sigterm"]

_previous: Any = signal.SIG_DFL


def flush_on_sigterm() -> str | None:
    """Install the handler, if it is not yet. To be called in the main thread.

    Returns:
        None, or why it could not be installed.
    """
    global _previous  # noqa: PLW0603 - a process has one disposition of SIGTERM
    previous = signal.getsignal(signal.SIGTERM)
    if previous in (_on_sigterm, signal.SIG_IGN) or sys.platform == "win32":  # Windows has no SIGTERM from outside
        return None
    if previous is None:
        return "a handler that Python does not know of is installed for SIGTERM"
    try:
        signal.signal(signal.SIGTERM, _on_sigterm)
    except ValueError:
        return "Python lets only the main thread install it: make the handler there"
    _previous = previous
    return None


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    if callable(_previous):
        with contextlib.suppress(RuntimeError):  # no threads any more: exit functions deliver
            _thread.start_new_thread(settle_all, ())
        _previous(number, frame)
    elif not ending():  # else exit functions are delivering, and the process is about to end
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            # Not a `threading.Thread`, whose start takes a lock that the main thread may hold right now.
            _thread.start_new_thread(_settle_and_die, ())
        except RuntimeError:
            sys.exit(128 + number)  # no threads left: end in order, which delivers as well


def _settle_and_die() -> None:
    try:
        settle_all()
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
