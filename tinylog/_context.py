"""What surrounds a record: time as text, a row's identity, the current OpenTelemetry span."""

from __future__ import annotations

import functools
import itertools
import math
import os
import random
import sys
import time
from collections.abc import Callable

__all__ = [
    "ENDINGS",
    "MICROS",
    "MILLI",
    "NO_STAMP",
    "TRACING",
    "new_id",
    "rfc3339",
    "rfc3339_nanos",
    "span_ids",
    "stamped",
    "stamper",
]

TRACING = "opentelemetry.trace"
"""The module without which there are no spans. To look for it in `sys.modules` is cheaper than to ask for the ids."""

MICROS, MILLI = 1_000_000, 1000  # microseconds of a second and of a millisecond
ENDINGS = [f"{micros:03d}Z" for micros in range(MILLI)]
Stamp = tuple[int, int, str]  # a second, microseconds of it, and the text up to the millisecond that they begin
NO_STAMP: Stamp = (-(10**12), 0, "")  # nobody's time
# Seeded by the system. To ask the system for each id lets go of the interpreter's lock for a moment, too short for a
# waiting thread to get it, and long enough for it to begin its wait anew: callers who never rest starved the worker so.
_noise = random.Random()  # noqa: S311 - unique, not secret
_VARIANT = 0x8000
_48_BITS = 2**48 - 1
_NO_RUN: tuple[int, str, itertools.count[int]] = (0, "", itertools.count())
_run = _NO_RUN  # of ids; replaced whole, for threads


@functools.lru_cache(maxsize=16)  # records come in the order of time, but for a few
def _date_time(seconds: int) -> str:
    """Write a time up to its second: `2026-11-24T05:45:12`."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def rfc3339(seconds: float) -> str:
    """Write a time as RFC 3339 with microseconds and `Z`: `2026-11-24T05:45:12.123456Z`."""
    whole = math.floor(seconds)
    micros = int((seconds - whole) * MICROS + 0.5)
    if micros == MICROS:  # rounded up
        whole, micros = whole + 1, 0
    return f"{_date_time(whole)}.{micros:06d}Z"


def stamped(seconds: float) -> tuple[str, Stamp]:
    """Write a time as `rfc3339` does, and give what other times of its millisecond can be written from."""
    whole = math.floor(seconds)
    micros = int((seconds - whole) * MICROS + 0.5)
    if micros == MICROS:
        return rfc3339(seconds), NO_STAMP
    millis, rest = divmod(micros, MILLI)
    text = f"{_date_time(whole)}.{millis:03d}"
    return text + ENDINGS[rest], (whole, micros - rest, text)


def stamper() -> Callable[[float], str]:
    """Make a function that writes what `rfc3339` does, sooner for the times of one millisecond."""
    recent = NO_STAMP  # replaced whole, for threads

    def stamp(seconds: float) -> str:
        nonlocal recent
        whole, start, text = recent
        past = int((seconds - whole) * MICROS + 0.5) - start
        if 0 <= past < MILLI:
            return text + ENDINGS[past]
        text, recent = stamped(seconds)
        return text

    return stamp


def rfc3339_nanos(nanos: int) -> str:
    """Write nanoseconds since the epoch with up to nine fractional digits, trailing zeros cut, as Go does."""
    whole, fraction = divmod(nanos, 1_000_000_000)
    text = f"{_date_time(whole)}.{fraction:09d}"
    return (text if text[-1] != "0" else text.rstrip("0").rstrip(".")) + "Z"


def new_id() -> str:
    """Make a UUIDv7: sorts by time, unique across processes whatever the application seeds.

    The first id of a millisecond is random, those after it count on from there (RFC 9562, 6.2, method 2): ids of a
    burst are cheap, and compress well.
    """
    global _run  # noqa: PLW0603 - state of the process
    run, millis = _run, time.time_ns() // 1_000_000
    if run[0] != millis:
        stamp, noise = f"{millis:012x}", _noise.getrandbits(74)
        head = f"{stamp[:8]}-{stamp[8:]}-7{noise >> 62:03x}-{_VARIANT | noise >> 48 & 0x3FFF:04x}-"
        run = _run = (millis, head, itertools.count(noise))
    return f"{run[1]}{next(run[2]) & _48_BITS:012x}"


def _after_fork_in_child() -> None:
    global _run  # noqa: PLW0603 - likewise
    _noise.seed()
    _run = _NO_RUN


if hasattr(os, "register_at_fork"):  # not on Windows. The standard library's `random` does the same.
    os.register_at_fork(after_in_child=_after_fork_in_child)


def span_ids() -> tuple[str, str, int] | None:
    """Trace id, span id (hex) and trace flags of the current OpenTelemetry span; None without one or that package."""
    trace = sys.modules.get(TRACING)
    if trace is None:
        return None
    try:
        context = trace.get_current_span().get_span_context()
        if not context.is_valid:
            return None
        return f"{context.trace_id:032x}", f"{context.span_id:016x}", int(context.trace_flags)
    except Exception:  # half-imported, or somebody's own span class
        return None
