"""Which thread is doing what, so that tinylog never waits for itself or ships its own chatter."""

from __future__ import annotations

import _thread
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

__all__ = [
    "SPAN_MARK",
    "attempt",
    "delivering",
    "delivers",
    "forget_other_threads",
    "holds_logging_lock",
    "inside",
    "is_chatter",
    "state",
]

SPAN_MARK = int.from_bytes(b"tinylog", "big")
"""OpenTelemetry's current span id while this library delivers, without a trace id, so that it is none.

Log records keep it, and so can be told from the application's later, on other threads. (Of a record's context nothing
else is left: batch processors strip it before exporters see the record.)
"""

_T = TypeVar("_T")
_OWN_PREFIX = "tinylog"
_CLIENT_PREFIXES = ("tinylog", "urllib3", "requests", "charset_normalizer")


inside: set[int] = set()
"""Threads that deliver, or take the short way with a record: what they log meanwhile goes the long way."""

# By the id that `_thread` gives now, so that it holds for greenlets too, even when gevent patches after the import.
_delivering: set[int] = set()


class _State(threading.local):
    """Per thread: how many records it is encoding inside one another."""

    depth = 0


state = _State()


def delivers() -> bool:
    """Tell whether the current thread delivers."""
    return _thread.get_ident() in _delivering


@contextmanager
def delivering() -> Iterator[None]:
    """Mark the current thread as one that delivers."""
    me = _thread.get_ident()
    outer = me in _delivering
    _delivering.add(me)
    inside.add(me)
    trace_again = _stop_tracing()
    try:
        yield
    finally:
        trace_again()
        if not outer:
            _delivering.discard(me)
            inside.discard(me)


def attempt(make: Callable[..., _T], *arguments: Any) -> _T | None:
    """Take the short way; None when it failed, or when this thread is inside of something already.

    What the application's objects log meanwhile goes the long way, which bounds how deep that gets.
    """
    me = _thread.get_ident()
    if me in inside:
        return None
    try:
        inside.add(me)
        return make(*arguments)
    except Exception:
        return None  # the long way knows what to do
    finally:
        inside.discard(me)


def forget_other_threads() -> None:
    """Start over in the child of a fork, where other threads will get the ids of the parent's."""
    for threads in (_delivering, inside):
        threads.intersection_update({_thread.get_ident()})


def holds_logging_lock() -> bool:
    """Whether this thread is inside `dictConfig` or the like, so that one that wants to log may be waiting for it."""
    owned = getattr(getattr(logging, "_lock", None), "_is_owned", None)  # gone one day: then no harm but a longer wait
    return bool(owned and owned())


def _stop_tracing() -> Callable[[], Any]:
    """Keep OpenTelemetry's instrumentations from tracing our requests, as its own exporters do; give the way back."""
    context, trace = sys.modules.get("opentelemetry.context"), sys.modules.get("opentelemetry.trace")
    try:
        if context is not None and trace is not None:
            quiet = context.set_value(context._SUPPRESS_INSTRUMENTATION_KEY, True)  # noqa: SLF001 - has no public name
            mark = trace.NonRecordingSpan(trace.SpanContext(0, SPAN_MARK, is_remote=False))
            return partial(context.detach, context.attach(trace.set_span_in_context(mark, quiet)))
    except Exception:  # noqa: S110 - half-imported: then nothing traces yet
        pass
    return _nothing


def _nothing() -> None:
    """Nothing to undo."""


def is_chatter(logger: str | None, *, while_delivering: bool = False) -> bool:
    """Tell whether a record of this logger speaks of our own delivery.

    What the HTTP client says about the application's own requests, on other threads, is the application's.

    Args:
        logger: its name; a record that was made from a mapping may have none.
        while_delivering: the record was made while its thread delivered. Asked of this thread in any case.
    """
    if logger is None:
        return False
    if while_delivering or delivers():
        return logger.partition(".")[0] in _CLIENT_PREFIXES
    return logger.startswith(_OWN_PREFIX) and logger.partition(".")[0] == _OWN_PREFIX
