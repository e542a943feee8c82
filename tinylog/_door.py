"""What all front doors have in common: a share in a processor, and the way of a record into one of its queues."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from tinylog import _parse as parse
from tinylog._clock import SystemClock
from tinylog._context import new_id, span_ids
from tinylog._controls import Controls
from tinylog._encode import encode_row
from tinylog._guard import delivers, state
from tinylog._lane import Lane
from tinylog._layout import Layout, summary_record
from tinylog._lifecycle import outlive_threads
from tinylog._redact import redactor
from tinylog._registry import Parts, acquire
from tinylog._stats import Stats, total
from tinylog.errors import ConfigurationError
from tinylog.protocols import Delivery, Route
from tinylog.settings import Settings

__all__ = ["Door", "checked_name"]

_MAX_NESTING = 4  # records made while another is being encoded, by a `__repr__` that logs for example

Row = dict[str, Any]
_NO_PARTS = Parts()


class Door:
    """Takes records for one or more Data Sources.

    Args:
        settings: all settings; `door` and `controls` are the door's own, the others are its processor's.
        routes: Data Source and whether rows are acknowledged. Rows that an earlier process spilled for these are
            replayed from the first row on; other routes open when they get one.
        parts: what replaces parts of the processor.
        summary: makes the rows that tell of lost ones; None for no such rows.
        closed_at_exit: whether somebody closes this door as the process ends. Else each row is delivered as it comes
            once exit functions run.
    """

    def __init__(
        self,
        settings: Settings,
        routes: Iterable[tuple[str, bool]],
        *,
        parts: Parts = _NO_PARTS,
        summary: Layout | None = None,
        closed_at_exit: bool = True,
    ) -> None:
        self._closed_at_exit = closed_at_exit
        self._max_row_bytes = settings.door.max_row_bytes
        self._closed = False
        self._summary_layout = summary
        self._redact = redactor(settings.controls.redact) if settings.controls.redact else None
        self._controls = Controls(settings.controls, parts.clock or SystemClock(), random.random)
        self.selective = self._controls.active
        self._share = acquire(self, settings, parts)
        self._processor = self._share.processor
        self._lanes: dict[tuple[str, bool], Lane] = {}
        for datasource, acknowledged in routes:
            self._open(datasource, acknowledged)

    def _open(self, datasource: str, acknowledged: bool) -> Lane:
        delivery = Delivery.ACK if acknowledged else Delivery.FIRE_AND_FORGET
        lane = self._processor.lane(Route(datasource, delivery))
        if self._summary_layout is not None:
            lane.summary = functools.partial(self._summary, self._summary_layout, acknowledged)
        return self._lanes.setdefault((datasource, acknowledged), lane)

    def _summary(self, layout: Layout, acknowledged: bool, lost: Mapping[str, int]) -> bytes:
        record = summary_record(lost)
        row = layout(record, record.getMessage(), new_id() if acknowledged else None)
        return encode_row(row, self._max_row_bytes)

    def holds_back(self, datasource: str, logger: str, key: Hashable, make: Callable[[], Row]) -> bool:
        """Tell whether the source controls hold a record back, and count it. Ask only if `selective`.

        Args:
            datasource: where it was to go.
            logger: its logger's name.
            key: equal for records that repeat each other.
            make: makes its row.
        """
        self._tell_repeats(everything=False)
        span = span_ids()
        repeated = functools.partial(self.offer, datasource, False)
        reason = self._controls.refuse(logger, key, span and span[0], make, repeated)
        if reason is not None:
            self._open(datasource, acknowledged=False).queue.refuse(reason)
        return reason is not None

    def _tell_repeats(self, *, everything: bool) -> None:
        for repeats in self._controls.finished(everything=everything):
            repeats.ship(repeats.row)

    def submit(self, datasource: str, acknowledged: bool, make: Callable[..., Row], *arguments: Any) -> bool:
        """Make a row, encode it and put it into its queue; tell whether it was kept.

        Args:
            datasource: where to.
            acknowledged: how.
            make: makes the row from the arguments. What it raises comes through.
            arguments: what a row is made of.
        """
        lane = self.lane(datasource, acknowledged)
        state.depth += 1
        try:
            if state.depth > _MAX_NESTING:
                lane.queue.refuse("recursion")
                return False
            row = make(*arguments)
            line = encode_row(self._redact(row) if self._redact else row, self._max_row_bytes)
        finally:
            state.depth -= 1
        return self.put(lane, line)

    def lane(self, datasource: str, acknowledged: bool) -> Lane:
        """Give the lane of a route of this door's, opened if need be. It stays the same."""
        return self._lanes.get((datasource, acknowledged)) or self._open(datasource, acknowledged)

    def put(self, lane: Lane, line: bytes) -> bool:
        """Put an encoded row into its queue; tell whether it was kept."""
        if delivers():
            lane.queue.put_aside(line)
            return True
        if self._processor.ending:
            return self._submit_late(lane, line)
        if self._closed:
            lane.queue.refuse("closed")
            return False
        return lane.put(line)

    def _submit_late(self, lane: Lane, line: bytes) -> bool:
        """Take a row while exit functions run, or after them, when other threads are frozen."""
        outlived = outlive_threads()
        if self._closed or outlived:
            return lane.put_late(line)
        kept = lane.put(line)
        if not self._closed_at_exit:
            self._processor.settle(lanes=[lane])
        return kept

    def offer(self, datasource: str, acknowledged: bool, make: Callable[..., Row], *arguments: Any) -> bool:
        """As `submit`, but a record of which no row can be made is counted as dropped, and nothing is raised."""
        try:
            return self.submit(datasource, acknowledged, make, *arguments)
        except Exception:
            self.lose(datasource, acknowledged=acknowledged)
            return False

    def lose(self, datasource: str, *, acknowledged: bool) -> None:
        """Count a record of which no row could be made."""
        self._open(datasource, acknowledged).queue.refuse("error")

    def flush(self, timeout: float | None = None) -> bool:
        """Deliver what this door's queues hold, on the calling thread.

        Args:
            timeout: seconds. Default: the setting `shutdown_timeout`.

        Returns:
            True when Tinybird has answered for every row that came in before the call.
        """
        self._tell_repeats(everything=True)
        return self._processor.flush(timeout, list(self._lanes.values()))

    def close(self, timeout: float | None = None) -> None:
        """Refuse records from now on and deliver what is queued. Idempotent.

        The last door of a processor closes it: what cannot be delivered in time is spilled or counted. What an earlier
        one leaves, the processor goes on delivering.

        Args:
            timeout: seconds. Default: the setting `shutdown_timeout`, which is also the most.
        """
        if self._closed:
            return
        self._tell_repeats(everything=True)
        self._closed = True
        longest = self._processor.shutdown_timeout
        seconds = longest if timeout is None else max(0.0, min(timeout, longest))
        if self._share.leave(self):
            self._processor.close(seconds)
        else:
            self._processor.part(list(self._lanes.values()), seconds)

    def stats(self) -> Stats:
        """Take a snapshot of the ledger of this door's routes. Doors for the same route have one ledger."""
        return total(lane.queue.ledger() for lane in list(self._lanes.values()))


def checked_name(value: Any) -> str:
    """Check a Data Source's name.

    Raises:
        ConfigurationError: it cannot be one.
    """
    try:
        return parse.name_of(value)
    except ValueError as error:
        raise ConfigurationError(f"datasource: {error}, got {value!r}") from None
