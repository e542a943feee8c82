"""What tinylog has to say about itself: on logger `tinylog`, once a minute for each reason.

Messages are collected and emitted later, because whoever notices trouble often holds a lock that a handler of the
application's might wait for.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass

from tinylog.protocols import Clock

__all__ = ["Diagnostics"]

logger = logging.getLogger("tinylog")

INTERVAL = 60.0  # seconds
_MAX_PENDING = 100


@dataclass(slots=True)
class _Reason:
    quiet_until: float
    suppressed: int = 0


class Diagnostics:
    """Collects warnings and emits them when it is safe to."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._reasons: dict[str, _Reason]
        self._pending: deque[str]
        self.reset()

    def warn(self, reason: str, message: str) -> None:
        """Note a warning, unless one for the same reason was noted within the last minute."""
        now = self._clock.monotonic()
        known = self._reasons.get(reason)
        if known is not None and now < known.quiet_until:
            known.suppressed += 1
            return
        more = f" ({known.suppressed} more like this since)" if known is not None and known.suppressed else ""
        self._reasons[reason] = _Reason(now + INTERVAL)
        self._pending.append(message + more)

    def reset(self) -> None:
        """Forget what was noted: after a fork it is the parent's to tell, and the child may tell its own."""
        self._reasons = {}
        self._pending = deque(maxlen=_MAX_PENDING)

    def emit(self) -> None:
        """Log what was noted. Call without any lock."""
        while self._pending:
            try:
                message = self._pending.popleft()
            except IndexError:  # another thread was faster
                return
            _say(message)


def _say(message: str) -> None:
    if _somebody_listens():
        logger.warning("%s", message)
    elif logger.isEnabledFor(logging.WARNING) and logging.lastResort is not None:  # as with no handler at all
        logging.lastResort.handle(logger.makeRecord(logger.name, logging.WARNING, __file__, 0, message, (), None))


def _somebody_listens() -> bool:
    """Whether a handler other than ours, which passes over what we say ourselves, would get it."""
    current: logging.Logger | None = logger
    while current is not None:
        if not all(_is_ours(handler) for handler in current.handlers):
            return True
        current = current.parent if current.propagate else None
    return False


def _is_ours(handler: logging.Handler) -> bool:
    return any(cls.__module__ == "tinylog.handler" for cls in type(handler).__mro__)
