"""The door for `logging`: a handler that ships records to a Tinybird Data Source."""

from __future__ import annotations

import copy
import functools
import logging
from _thread import get_ident
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from tinylog._callsite import short_way
from tinylog._context import new_id
from tinylog._door import Door, checked_name
from tinylog._guard import inside, is_chatter
from tinylog._layout import DELIVERY_KEY, ack_threshold, is_critical, make_layout, message_of
from tinylog._registry import Parts
from tinylog._report import Event
from tinylog._resolve import resolve
from tinylog._stats import Stats
from tinylog.protocols import Buffer, Clock, Transport
from tinylog.settings import Options

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["TinybirdHandler"]


class TinybirdHandler(logging.Handler):
    """Ships records to a Tinybird Data Source from a background thread.

    A logging call only encodes the record and puts it into a bounded queue: it does no I/O, waits for nothing, and
    never raises. Records at `ack_level` or above are acknowledged (`wait=true`, retried, spilled to disk, replayed),
    the others are fire-and-forget.

    Args:
        datasource: the Data Source's name.
        level: records below it are ignored.
        transport: `requests` (default), `http2`, a `kafka://` URL, or an object that carries requests.
        buffer: replaces the spill directory.
        clock: replaces the machine's clocks.
        on_event: is told what becomes of rows other than delivery, by a thread of tinylog's, `flush` or `close`.
        options: the settings, all of them plain values; see `tinylog.settings` or the table in README.md.

    Raises:
        ConfigurationError: names the setting, the value and the remedy.
    """

    def __init__(
        self,
        datasource: str,
        *,
        level: int | str = logging.NOTSET,
        transport: Transport | str | None = None,
        buffer: Buffer | None = None,
        clock: Clock | None = None,
        on_event: Callable[[Event], None] | None = None,
        **options: Unpack[Options],
    ) -> None:
        settings = resolve(options)
        self._layout = make_layout(settings.door.layout, settings.door.static_fields)
        self._ack_level = ack_threshold(settings.door)
        self._datasource = checked_name(datasource)
        routes = [(self._datasource, True), (self._datasource, False)]
        parts = Parts(transport, buffer, clock, on_event)
        self._door = Door(settings, routes, parts=parts, summary=self._layout)
        self._lanes = [self._door.lane(self._datasource, critical) for critical in (False, True)]
        own = type(self).emit is TinybirdHandler.emit and type(self).filter is logging.Handler.filter
        self._short = short_way(settings) if own else None
        super().__init__(level)  # last, since from then on logging knows the handler, and flushes it at exit

    def handle(self, record: logging.LogRecord) -> bool:
        """Emit a record unless a filter, or our own part in its making, forbids.

        The handler's lock is not taken: the queue has its own, and `logging.shutdown` holds the handler's while it
        flushes.
        """
        me, short = get_ident(), self._short
        if short is None or me in inside or self.filters or self.formatter:
            return self._handle(record)
        line = None
        try:  # as `attempt` does it, without the call
            inside.add(me)
            line, critical = short(record)
        except Exception:  # noqa: S110 - the long way knows what to do
            pass
        finally:
            inside.discard(me)
        if line is None:
            return self._handle(record)
        lane = self._lanes[critical]
        if lane.direct:
            lane.queue.put(line)
        else:
            self._door.put(lane, line)
        return True

    def _handle(self, record: logging.LogRecord) -> bool:
        """Handle a record the long way."""
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
            critical = is_critical(record.levelno, self._ack_level, record.__dict__.get(DELIVERY_KEY))
            if self._door.selective and not critical and self._is_held_back(record):
                return
            self._door.submit(self._datasource, critical, self._row, record, critical)
        except Exception:
            self.handleError(record)

    def _is_held_back(self, record: logging.LogRecord) -> bool:
        template = record.msg if isinstance(record.msg, str) else type(record.msg).__qualname__
        key = (record.name, record.levelno, template)
        make = functools.partial(self._row, record, critical=False)
        return self._door.holds_back(self._datasource, record.name, key, make)

    def _row(self, record: logging.LogRecord, critical: bool) -> dict[str, Any]:
        message, trouble = (self._formatted(record), None) if self.formatter else message_of(record)
        row = self._layout(record, message, new_id() if critical else None)
        if trouble:
            row["message_error"] = trouble
        return row

    def _formatted(self, record: logging.LogRecord) -> str:
        """Use the formatter that the application chose, on a copy: formatters write into the record."""
        return self.format(copy.copy(record))

    def flush(self, timeout: float | None = None) -> bool:  # type: ignore[override]
        """Deliver what is queued, on the calling thread.

        Args:
            timeout: seconds. Default: the setting `shutdown_timeout`. Always bounded, since
                `logging.config.dictConfig` holds logging's own lock while it flushes.

        Returns:
            True when Tinybird has answered for every record logged before the call; False when the time was over, or
            rows were spilled, dead-lettered or dropped on the way.
        """
        return self._door.flush(timeout)

    def close(self) -> None:
        """Deliver what is queued within `shutdown_timeout`, spill or count the rest, refuse later records.

        Idempotent.
        """
        super().close()
        self._short = None
        self._door.close()

    def stats(self) -> Stats:
        """Take a snapshot of the ledger."""
        return self._door.stats()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._datasource!r} ({logging.getLevelName(self.level)})>"
