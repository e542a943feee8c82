"""How long to wait before the next try. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime

from tinylog.settings import RetryPolicy

__all__ = ["delay", "headroom", "server_delay"]


def delay(policy: RetryPolicy, attempt: int, rand: Callable[[], float]) -> float:
    """Exponential backoff with full jitter: `random() * min(cap, base * 2**attempt)`.

    Full jitter spreads a fleet best (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).

    Args:
        policy: base and cap, in seconds.
        attempt: 0 for the wait after the first request.
        rand: gives numbers from 0 to 1.
    """
    return rand() * min(policy.cap, policy.base * 2.0 ** min(attempt, 32))


def server_delay(headers: Mapping[str, str], now: float) -> float | None:
    """Read the wait that the server asks for, in seconds.

    `Retry-After` (seconds or a date, RFC 9110 section 10.2.3) wins over `X-RateLimit-Reset` (seconds until the window
    resets), as in Tinybird's own SDK.

    Args:
        headers: of the response.
        now: seconds since the epoch.
    """
    for name in ("Retry-After", "X-RateLimit-Reset"):
        value = _number_or_date(headers.get(name, ""), now)
        if value is not None:
            return max(0.0, value)
    return None


def headroom(headers: Mapping[str, str]) -> float | None:
    """Read which share of the rate limit is left, from `X-RateLimit-Remaining` and `-Limit`; None if not said."""
    remaining, limit = (_number_or_date(headers.get(f"X-RateLimit-{name}", ""), 0.0) for name in ("Remaining", "Limit"))
    return None if remaining is None or not limit else remaining / limit


def _number_or_date(text: str, now: float) -> float | None:
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        return number if 0 <= number < float("inf") else None
    try:
        return parsedate_to_datetime(text).timestamp() - now
    except (TypeError, ValueError, OverflowError):
        return None
