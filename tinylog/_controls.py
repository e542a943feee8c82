"""Fewer rows at the source: a rate for each logger, repeats folded into one, a share of the traces.

All off by default; critical records are exempt. What is held back is counted as dropped, by reason.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any

from tinylog.protocols import Clock
from tinylog.settings import SourceControls

__all__ = ["Controls", "Repeats"]

MAX_LOGGERS = 1_000  # whose rates are remembered
MAX_KEYS = 1_000  # of repeats that are remembered
_TRACE_BITS = 64

Row = dict[str, Any]


@dataclass(slots=True)
class Repeats:
    """A record and how often it came again.

    Attributes:
        make: makes its row.
        ship: takes a function that makes a row, and ships that row.
        until: when the counting ends, on the monotonic clock, in seconds.
        count: how often it was held back.
    """

    make: Callable[[], Row]
    ship: Callable[[Callable[[], Row]], object]
    until: float
    count: int = 0

    def row(self) -> Row:
        """Make the row that stands for the repeats: the record's own, and how often it came again."""
        row = dict(self.make())
        told = f" (repeated {self.count:,} times)"
        if "log_attributes" in row:
            attributes = {**row["log_attributes"], "repeated": str(self.count)}
            return {**row, "body": f"{row['body']}{told}", "log_attributes": attributes}
        return {**row, "message": f"{row['message']}{told}", "repeated": self.count}


_all: weakref.WeakSet[Controls] = weakref.WeakSet()


class Controls:
    """Decides about each record that is not critical, before its row is made. For many threads at once.

    Args:
        options: what is switched on.
        clock: the time.
        rand: for records without a trace.
    """

    def __init__(self, options: SourceControls, clock: Clock, rand: Callable[[], float]) -> None:
        self._options = options
        self._clock = clock
        self._rand = rand
        self._tokens: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._repeats: OrderedDict[Hashable, Repeats] = OrderedDict()
        self.reset()
        _all.add(self)

    def reset(self) -> None:
        """Start over: for the child after a fork."""
        self._lock = threading.RLock()  # a garbage collection may log meanwhile
        self._tokens.clear()
        self._repeats.clear()

    @property
    def active(self) -> bool:
        """Whether anything is switched on."""
        options = self._options
        return options.sample_rate < 1 or options.fold_repeats > 0 or options.rate_limit > 0

    def refuse(
        self,
        logger: str,
        key: Hashable,
        trace_id: str | None,
        make: Callable[[], Row],
        ship: Callable[[Callable[[], Row]], object],
    ) -> str | None:
        """Decide about a record.

        Args:
            logger: its logger's name, for the rate.
            key: equal for records that repeat each other.
            trace_id: of the current span, in hex.
            make: makes its row, should it have to stand for its repeats.
            ship: takes a function that makes a row, and ships that row.

        Returns:
            The reason to hold it back: `sampled_out`, `folded` or `rate_limited`; None to ship it.
        """
        if self._options.sample_rate < 1 and not self._sampled(trace_id):
            return "sampled_out"
        with self._lock:
            now = self._clock.monotonic()
            if self._options.fold_repeats and self._folded(key, Repeats(make, ship, now + self._options.fold_repeats)):
                return "folded"
            if self._options.rate_limit and not self._within_rate(logger, now):
                return "rate_limited"
        return None

    def finished(self, *, everything: bool = False) -> Iterator[Repeats]:
        """Give the repeats whose time is over, or all, to be told of; they are forgotten here.

        Args:
            everything: those too whose time is not over.
        """
        while True:
            with self._lock:
                key, repeats = next(iter(self._repeats.items()), (None, None))
                crowded = len(self._repeats) > MAX_KEYS
                over = repeats is not None and self._clock.monotonic() >= repeats.until
                if repeats is None or not (everything or crowded or over):
                    return
                del self._repeats[key]
            if repeats.count:
                yield repeats

    def _sampled(self, trace_id: str | None) -> bool:
        """Decide as OpenTelemetry's `TraceIdRatioBased` does, so that the records of a kept trace are kept together.

        https://opentelemetry.io/docs/specs/otel/trace/sdk/#traceidratiobased
        """
        rate = self._options.sample_rate
        if not trace_id:
            return self._rand() < rate
        bound: int = round(rate * 2**_TRACE_BITS)
        return int(trace_id[-_TRACE_BITS // 4 :], 16) < bound

    def _folded(self, key: Hashable, first: Repeats) -> bool:
        known = self._repeats.setdefault(key, first)
        if known is first:
            return False
        known.count += 1
        return True

    def _within_rate(self, logger: str, now: float) -> bool:
        """A token bucket for each logger, one second deep."""
        rate = self._options.rate_limit
        depth = max(1.0, rate)
        tokens, then = self._tokens.pop(logger, (depth, now))
        tokens = min(depth, tokens + (now - then) * rate)
        allowed = tokens >= 1
        self._tokens[logger] = (tokens - allowed, now)
        if len(self._tokens) > MAX_LOGGERS:
            self._tokens.popitem(last=False)
        return allowed


def _after_fork_in_child() -> None:
    for controls in list(_all):
        controls.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
