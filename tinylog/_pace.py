"""How far apart requests to a Data Source are kept. Pure: it is told the time.

A Data Source takes a number of requests per second, from all processes together, which know nothing of each other.
Each widens its gap at a 429, as TCP shares a line, and narrows it a little when there has been none for a while. What
was too narrow is not tried again for longer each time.
"""

from __future__ import annotations

import random
from collections.abc import Callable

__all__ = ["Pace"]

_WIDEN = 2.0
_NARROW = 0.9
_FIRST_GAP = 0.25  # seconds
_MAX_GAP = 60.0  # seconds
_PATIENCE = 30.0  # seconds without a 429 before the gap is narrowed, at first
_MAX_PATIENCE = 600.0  # seconds
_TIGHT = 0.2  # of the limit
_STEP = 0.2  # of the patience, from one narrowing to the next


class Pace:
    """The gap between requests of one process to one Data Source.

    Args:
        rand: gives numbers from 0 to 1, so that a fleet does not narrow its gaps all at once.

    Attributes:
        gap: seconds; 0 while the server has not complained.
    """

    def __init__(self, rand: Callable[[], float] = random.random) -> None:
        self.gap = 0.0
        self._rand = rand
        self._last = -_MAX_GAP
        self._patience = _PATIENCE
        self._narrow_at = 0.0
        self._proven: float | None = None  # the gap that was narrowed, to go back to

    def sent(self, now: float) -> None:
        """Note a request."""
        self._last = now

    def refused(self, now: float) -> None:
        """Widen the gap: the server answered 429."""
        if self._proven is None:
            self.gap = min(_MAX_GAP, max(_FIRST_GAP, self.gap * _WIDEN))
        else:
            self.gap, self._proven = self._proven, None
            self._patience = min(_MAX_PATIENCE, self._patience * 2)
        self._narrow_at = now + self._patience * (1 + self._rand())

    def accepted(self, now: float, left: float | None = None) -> None:
        """Narrow the gap after a quiet time.

        Args:
            now: on the monotonic clock, in seconds.
            left: the share of the limit that the server says is left. While that is little, nothing is narrowed.
        """
        if left is not None and left < _TIGHT:
            self._narrow_at = max(self._narrow_at, now + self._patience)
        if not self.gap or now < self._narrow_at:
            return
        self._proven = self.gap
        self.gap *= _NARROW
        self._narrow_at = now + self._patience * _STEP
        if self.gap < _FIRST_GAP / 2:
            self.gap, self._proven, self._patience = 0.0, None, _PATIENCE

    def due_in(self, now: float) -> float:
        """Seconds until the next request may be made."""
        return max(0.0, self._last + self.gap - now)
