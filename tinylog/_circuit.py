"""Whether a route is worth trying right now, and how long to wait. Pure: it is told the time."""

from __future__ import annotations

from collections.abc import Callable

from tinylog._backoff import delay
from tinylog.settings import RetryPolicy

__all__ = ["Circuit"]

HOLD_TIME = 30.0  # seconds between probes when a person has to mend something
_MAX_ASKED = 3600.0  # seconds; a server that asks for more is not taken at its word


class Circuit:
    """Closed while deliveries work; open once failures have outlasted the retries; then one probe at a time.

    While it is open nothing waits for the server: rows go straight to the buffer.
    """

    def __init__(self, policy: RetryPolicy, rand: Callable[[], float]) -> None:
        self._policy = policy
        self._rand = rand
        self._failures = 0
        self.open = False
        self.probe_at = 0.0
        """When the next request is due, on the monotonic clock, in seconds."""

    def blocks(self, now: float) -> bool:
        """Tell whether to spare the server a request at this moment."""
        return self.open and now < self.probe_at

    def succeeded(self) -> None:
        """Close: the server works, whatever it thought of the rows."""
        self._failures = 0
        self.open = False

    def failed(self, now: float, server_asks: float | None = None) -> float:
        """Count a failure, and open when it was the last of the attempts.

        Args:
            now: on the monotonic clock, in seconds.
            server_asks: the wait that the server named, in seconds. More than the policy's cap opens at once.

        Returns:
            Seconds to wait before the next request.
        """
        wait = delay(self._policy, self._failures, self._rand)
        if server_asks is not None:
            wait = min(server_asks, _MAX_ASKED) + self._rand() * self._policy.base
        self._failures += 1
        self.open |= self._failures >= self._policy.max_attempts or (server_asks or 0.0) > self._policy.cap
        if self.open:  # full jitter may say zero: not for a probe
            wait = max(wait, self._policy.base)
        self.probe_at = now + wait
        return wait

    def hold(self, now: float) -> None:
        """Open until a person has mended the configuration, with a probe now and then."""
        self.open = True
        self.probe_at = now + HOLD_TIME

    def trip(self) -> None:
        """Open without waiting for the last attempt: there is no room left to wait in."""
        self.open = True
