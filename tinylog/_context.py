"""What surrounds a record: time as text, a row's identity, the current OpenTelemetry span."""

from __future__ import annotations

import os
import sys
import time
import uuid

__all__ = ["new_id", "rfc3339", "rfc3339_nanos", "span_ids"]

_second: tuple[int, str] = (-1, "")


def rfc3339(seconds: float) -> str:
    """Write a time as RFC 3339 with microseconds and `Z`: `2026-11-24T05:45:12.123456Z`."""
    global _second  # noqa: PLW0603 - one tuple, replaced whole, so that no thread sees half of it
    whole = int(seconds // 1)
    fraction = round((seconds - whole) * 1e6)
    if fraction == 1_000_000:  # noqa: PLR2004 - rounded up
        whole, fraction = whole + 1, 0
    cached = _second
    if cached[0] != whole:
        cached = _second = (whole, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)))
    return f"{cached[1]}.{fraction:06d}Z"


def rfc3339_nanos(nanos: int) -> str:
    """Write nanoseconds since the epoch with up to nine fractional digits, trailing zeros cut, as Go does."""
    whole, fraction = divmod(nanos, 1_000_000_000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
    return f"{text}.{fraction:09d}".rstrip("0").rstrip(".") + "Z"


def new_id() -> str:
    """Make a UUIDv7 (RFC 9562): sorts by time, unique across processes whatever the application seeds."""
    stamp = time.time_ns() // 1_000_000
    noise = int.from_bytes(os.urandom(10), "big")
    high, low = noise >> 68, noise & (2**62 - 1)
    return str(uuid.UUID(int=(stamp << 80) | (0x7 << 76) | (high << 64) | (0b10 << 62) | low))


def span_ids() -> tuple[str, str, int] | None:
    """Trace id, span id (hex) and trace flags of the current OpenTelemetry span; None without one or that package."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    try:
        context = trace.get_current_span().get_span_context()
        if not context.is_valid:
            return None
        return f"{context.trace_id:032x}", f"{context.span_id:016x}", int(context.trace_flags)
    except Exception:  # half-imported, or somebody's own span class
        return None
