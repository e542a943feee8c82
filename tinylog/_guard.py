"""Which thread is doing what, so that tinylog never waits for itself or ships its own chatter."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["delivering", "is_chatter", "state"]

_OWN_PREFIX = "tinylog"
_CLIENT_PREFIXES = ("tinylog", "urllib3", "requests", "charset_normalizer")


class _State(threading.local):
    """Per thread: whether it delivers, and how many records it is encoding inside one another."""

    delivering = False
    depth = 0


state = _State()


@contextmanager
def delivering() -> Iterator[None]:
    """Mark the current thread as one that delivers."""
    outer, state.delivering = state.delivering, True
    try:
        yield
    finally:
        state.delivering = outer


def is_chatter(logger: str) -> bool:
    """Tell whether a record of this logger, made on this thread, speaks of our own delivery.

    What the HTTP client says about the application's own requests, on other threads, is the application's.
    """
    if state.delivering:
        return logger.partition(".")[0] in _CLIENT_PREFIXES
    return logger.startswith(_OWN_PREFIX) and logger.partition(".")[0] == _OWN_PREFIX
