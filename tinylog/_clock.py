"""Time for real. Tests inject another `Clock`."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from tinylog.protocols import Clock

__all__ = ["Deadline", "SystemClock"]


class SystemClock:
    """The machine's clocks."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)

    @staticmethod
    def wait(event: threading.Event, timeout: float | None) -> bool:
        """Wait on the event itself, so that a set event ends the wait at once."""
        return event.wait(timeout)


@dataclass(frozen=True, slots=True)
class Deadline:
    """How long a delivery may go on: until a moment, or until somebody else wants to take over.

    Attributes:
        clock: the time it goes by.
        at: the moment on the monotonic clock, in seconds; infinity for none.
        interrupt: set by whoever cannot wait.
    """

    clock: Clock
    at: float
    interrupt: threading.Event

    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - self.clock.monotonic())

    def over(self) -> bool:
        """Tell whether to stop now."""
        return self.interrupt.is_set() or self.clock.monotonic() >= self.at

    def wait(self, seconds: float) -> bool:
        """Sleep, and tell whether it is time to stop.

        A sleep that would outlast the deadline is not begun: the time is better spent on handing over.
        """
        if seconds >= self.remaining():
            return True
        return self.clock.wait(self.interrupt, seconds)
