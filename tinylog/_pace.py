"""How far apart requests to a Data Source are kept. Pure: it is told the time.

A Data Source takes a number of requests per second, from all processes together, which know nothing of each other. Each
widens its gap at every 429 and narrows it slowly when there has been none for a while, as TCP shares a line.
"""

from __future__ import annotations

__all__ = ["Pace"]

_WIDEN = 2.0
_NARROW = 0.8
_FIRST_GAP = 0.25  # seconds
_MAX_GAP = 60.0  # seconds
_QUIET = 30.0  # seconds without a 429 before the gap is narrowed


class Pace:
    """The gap between requests of one process to one Data Source.

    Attributes:
        gap: seconds; 0 while the server has not complained.
    """

    def __init__(self) -> None:
        self.gap = 0.0
        self._last = -_MAX_GAP
        self._quiet_from = 0.0

    def sent(self, now: float) -> None:
        """Note a request."""
        self._last = now

    def refused(self, now: float) -> None:
        """Widen the gap: the server answered 429."""
        self.gap = min(_MAX_GAP, max(_FIRST_GAP, self.gap * _WIDEN))
        self._quiet_from = now + _QUIET

    def accepted(self, now: float) -> None:
        """Narrow the gap after a quiet time."""
        if self.gap and now >= self._quiet_from:
            narrower = self.gap * _NARROW
            self.gap = narrower if narrower >= _FIRST_GAP else 0.0
            self._quiet_from = now + _QUIET * (1 - _NARROW)

    def due_in(self, now: float) -> float:
        """Seconds until the next request may be made."""
        return max(0.0, self._last + self.gap - now)
