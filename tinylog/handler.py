"""The door for `logging`: a handler that ships records to a Tinybird Data Source."""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, Any, cast

from tinylog import _parse as parse
from tinylog._context import new_id
from tinylog._encode import encode_row
from tinylog._guard import is_chatter, state
from tinylog._layout import DELIVERY_KEY, make_layout, message_of
from tinylog._processor import Processor
from tinylog._stats import Stats
from tinylog.errors import ConfigurationError
from tinylog.protocols import Buffer, Clock, Delivery, Route, Transport
from tinylog.settings import Options, resolve

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["TinybirdHandler"]

_MAX_NESTING = 4  # records made while another is being encoded, by a `__repr__` that logs for example


class TinybirdHandler(logging.Handler):
    """Ships records to a Tinybird Data Source from a background thread.

    A logging call only encodes the record and puts it into a bounded queue: it does no I/O, waits for nothing, and
    never
    raises. Records at `ack_level` or above are acknowledged (`wait=true`, retried, spilled to disk, replayed), the
    others are
    fire-and-forget.

    Args:
        datasource: the Data Source's name.
        level: records below it are ignored.
        transport: replaces the HTTP transport.
        buffer: replaces the spill directory.
        clock: replaces the machine's clocks.
        options: the settings, all of them plain values; see `tinylog.settings` or the table in README.md.

    Raises:
        ConfigurationError: names the setting, the value and the remedy.
    """

    def __init__(
        self,
        datasource: str,
        *,
        level: int | str = logging.NOTSET,
        transport: Transport | None = None,
        buffer: Buffer | None = None,
        clock: Clock | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(level)
        settings = resolve(options)
        door = settings.door
        self._layout = make_layout(door.layout, door.static_fields)
        self._max_row_bytes = door.max_row_bytes
        self._ack_level = {"auto": door.ack_level, "ack": logging.NOTSET}.get(door.delivery, float("inf"))
        self._processor = Processor(settings, transport=transport, buffer=buffer, clock=clock)
        self._acknowledged, self._unacknowledged = (
            self._processor.lane(Route(_datasource(datasource), delivery))
            for delivery in (Delivery.ACK, Delivery.FIRE_AND_FORGET)
        )

    def handle(self, record: logging.LogRecord) -> bool:
        """Emit a record unless a filter, or our own part in its making, forbids.

        The handler's lock is not taken: the queue has its own, and `logging.shutdown` holds the handler's while it
        flushes.
        """
        if is_chatter(record.name):
            return False
        passed = self.filter(record)
        if passed:
            # Since Python 3.12 a filter may replace the record.
            self.emit(record if passed is True else cast("logging.LogRecord", passed))
        return bool(passed)

    def emit(self, record: logging.LogRecord) -> None:
        """Encode and enqueue. Never raises into the application: trouble goes to `handleError`, as logging does it."""
        try:
            state.depth += 1
            self._enqueue(record)
        except Exception:
            self.handleError(record)
        finally:
            state.depth -= 1

    def _enqueue(self, record: logging.LogRecord) -> None:
        critical = self._is_critical(record)
        lane = self._acknowledged if critical else self._unacknowledged
        if state.depth > _MAX_NESTING:
            lane.queue.refuse("recursion")
            return
        message, trouble = (self._formatted(record), None) if self.formatter else message_of(record)
        row = self._layout(record, message, new_id() if critical else None)
        if trouble:
            row["message_error"] = trouble
        line = encode_row(row, self._max_row_bytes)
        if state.delivering:
            lane.queue.put_aside(line)
        else:
            lane.put(line)

    def _is_critical(self, record: logging.LogRecord) -> bool:
        override = record.__dict__.get(DELIVERY_KEY)
        if override == Delivery.ACK:
            return True
        return record.levelno >= self._ack_level and override != Delivery.FIRE_AND_FORGET

    def _formatted(self, record: logging.LogRecord) -> str:
        """Use the formatter that the application chose, on a copy: formatters write into the record."""
        return self.format(copy.copy(record))

    def flush(self, timeout: float | None = None) -> bool:  # type: ignore[override]
        """Deliver what is queued, on the calling thread.

        Args:
            timeout: seconds. Default: the setting `shutdown_timeout`. Always bounded, since
                `logging.config.dictConfig` holds
                logging's own lock while it flushes.

        Returns:
            True when Tinybird has answered for every record logged before the call; False when the time was over, or
            rows
            were spilled, dead-lettered or dropped on the way.
        """
        return self._processor.flush(timeout)

    def close(self) -> None:
        """Deliver what is queued within `shutdown_timeout`, spill or count the rest, refuse later records.

        Idempotent.
        """
        super().close()
        self._processor.close()

    def stats(self) -> Stats:
        """Take a snapshot of the ledger."""
        return self._processor.stats()

    def __repr__(self) -> str:
        name = self._acknowledged.route.datasource
        return f"<{type(self).__name__} {name!r} ({logging.getLevelName(self.level)})>"


def _datasource(value: Any) -> str:
    try:
        return parse.name_of(value)
    except ValueError as error:
        raise ConfigurationError(f"datasource: {error}, got {value!r}") from None
