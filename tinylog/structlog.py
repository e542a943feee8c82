"""The door for structlog: a processor that ships event dicts to a Tinybird Data Source."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from tinylog import _parse as parse
from tinylog._context import new_id
from tinylog._door import Door, checked_name
from tinylog._event import Event, read_level, read_name
from tinylog._eventsite import short_event_way
from tinylog._guard import attempt, is_chatter
from tinylog._layout import DELIVERY_KEY, ack_threshold, is_critical, make_layout
from tinylog._registry import Parts
from tinylog._report import Event as TinylogEvent
from tinylog._resolve import resolve
from tinylog._stats import Stats
from tinylog.errors import ConfigurationError, MissingExtraError
from tinylog.protocols import Buffer, Clock, Transport
from tinylog.settings import Options

try:
    import structlog
except ImportError:
    raise MissingExtraError("tinylog.structlog", "structlog") from None

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["TinybirdProcessor", "configure"]

_LEVELS = frozenset(range(logging.NOTSET, logging.CRITICAL + 1, 10))


class TinybirdProcessor:
    """A structlog processor that ships each event dict, without a detour through `logging`.

    The row is the one that `TinybirdHandler` makes of the same event. Put it after the processors that add fields and
    before those that render; before `format_exc_info` and `dict_tracebacks` it sees the exception itself. It changes
    no event dict and never raises, but for the `structlog.DropEvent` that ends a chain.

    Inside of a `structlog.stdlib.ProcessorFormatter`, records of plain `logging` are shipped too, with the fields that
    its processors put into the event dict (`ExtraAdder` for what was passed as `extra`).

    Args:
        datasource: the Data Source's name.
        level: events below it are passed on, but not shipped.
        terminal: end the chain here, so that nothing is printed. Default: pass the event dict on. The chain of a
            `ProcessorFormatter` cannot be ended: there it is passed on in any case.
        transport: `requests` (default), `http2`, a `kafka://` URL, or an object that carries requests.
        buffer: replaces the spill directory.
        clock: replaces the machine's clocks.
        on_event: is told what becomes of rows other than delivery, by a thread of tinylog's, `flush` or `close`.
        options: the settings, as of `TinybirdHandler`; see `tinylog.settings`.

    Raises:
        ConfigurationError: names the setting, the value and the remedy.
    """

    def __init__(
        self,
        datasource: str,
        *,
        level: int | str = logging.NOTSET,
        terminal: bool = False,
        transport: Transport | str | None = None,
        buffer: Buffer | None = None,
        clock: Clock | None = None,
        on_event: Callable[[TinylogEvent], None] | None = None,
        **options: Unpack[Options],
    ) -> None:
        settings = resolve(options)
        self._terminal = terminal
        self._level = _level(level)
        self._layout = make_layout(settings.door.layout, settings.door.static_fields)
        self._ack_level = ack_threshold(settings.door)
        self._datasource = checked_name(datasource)
        routes = [(self._datasource, True), (self._datasource, False)]
        parts = Parts(transport, buffer, clock, on_event)
        self._door = Door(settings, routes, parts=parts, summary=self._layout, closed_at_exit=False)
        self._lanes = [self._door.lane(self._datasource, critical) for critical in (False, True)]
        self._short = short_event_way(settings)

    def __call__(self, logger: Any, method_name: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Ship the event dict; structlog calls this.

        Raises:
            structlog.DropEvent: the processor is terminal.
        """
        try:
            self._ship(logger, method_name, event_dict)
        except Exception:
            self._door.lose(self._datasource, acknowledged=False)
        if self._terminal and not _has(event_dict, "_record"):
            raise structlog.DropEvent
        if _has(event_dict, DELIVERY_KEY):  # the key is ours alone
            return {key: value for key, value in event_dict.items() if key != DELIVERY_KEY}
        return event_dict

    def _ship(self, logger: Any, method_name: str, event_dict: Mapping[str, Any]) -> None:
        name = read_name(logger, event_dict)
        level = read_level(method_name, event_dict)
        if level[1] < self._level or (name is not None and is_chatter(name)):
            return
        critical = is_critical(level[1], self._ack_level, event_dict.get(DELIVERY_KEY))
        if self._door.selective and not critical and self._is_held_back(event_dict, name, level):
            return
        line = attempt(self._short, event_dict, name, level, critical) if self._short else None
        if line is None:
            self._door.offer(self._datasource, critical, self._row, event_dict, name, level, critical)
            return
        lane = self._lanes[critical]
        if lane.direct:
            lane.queue.put(line)
        else:
            self._door.put(lane, line)

    def _is_held_back(self, event_dict: Mapping[str, Any], name: str | None, level: tuple[str, int]) -> bool:
        make = functools.partial(self._row, dict(event_dict), name, level, critical=False)
        event = event_dict.get("event")
        key = (name, level[1], event if isinstance(event, str) else type(event).__qualname__)
        return self._door.holds_back(self._datasource, name or "", key, make)

    def _row(
        self, event_dict: Mapping[str, Any], name: str | None, level: tuple[str, int], critical: bool
    ) -> dict[str, Any]:
        event = Event(event_dict, name, level)
        row = self._layout(event.as_record(), event.message, new_id() if critical else None, event.details)
        if event.trouble:
            row["message_error"] = event.trouble
        return row

    def flush(self, timeout: float | None = None) -> bool:
        """Deliver what is queued, on the calling thread.

        Args:
            timeout: seconds. Default: the setting `shutdown_timeout`.

        Returns:
            True when Tinybird has answered for every event logged before the call; False when the time was over, or
            rows were spilled, dead-lettered or dropped on the way.
        """
        return self._door.flush(timeout)

    def close(self) -> None:
        """Deliver what is queued within `shutdown_timeout`, spill or count the rest, refuse later events.

        Idempotent. The end of the process does it too.
        """
        self._door.close()

    def stats(self) -> Stats:
        """Take a snapshot of the ledger."""
        return self._door.stats()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._datasource!r} ({'terminal' if self._terminal else 'passes on'})>"


def configure(
    datasource: str, *, level: int | str = logging.INFO, console: bool = True, **options: Unpack[Options]
) -> TinybirdProcessor:
    """Configure structlog in one line: ship everything, and print it too.

    ::

        tinylog.structlog.configure("logs")
        structlog.get_logger(__name__).info("paid", amount=12)

    Events get what `structlog.contextvars` holds, their level and a time stamp.

    Args:
        datasource: the Data Source's name.
        level: events below it cost next to nothing: one of the five usual levels. Default INFO.
        console: print events with structlog's `ConsoleRenderer`. Default True.
        options: the settings, as of `TinybirdHandler`; see `tinylog.settings`.

    Returns:
        The processor, for `flush`, `stats` and `close`.

    Raises:
        ConfigurationError: names the setting, the value and the remedy.
    """
    number = _level(level)
    if number not in _LEVELS:
        raise ConfigurationError(f"level: structlog filters by 'DEBUG' to 'CRITICAL' only, got {level!r}")
    processor = TinybirdProcessor(datasource, terminal=not console, **options)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.set_exc_info,
            processor,
            structlog.processors.StackInfoRenderer(),
            structlog.dev.ConsoleRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=_NamedLogger,
        cache_logger_on_first_use=True,
    )
    return processor


class _NamedLogger(structlog.PrintLogger):
    """Prints, and knows the name that was passed to `structlog.get_logger`."""

    def __init__(self, name: str = "", *_: Any) -> None:
        super().__init__()
        self.name = name


def _has(event_dict: Any, key: str) -> bool:
    """Look for a key, also in what is no event dict: after a renderer comes text."""
    return (type(event_dict) is dict or isinstance(event_dict, Mapping)) and key in event_dict


def _level(value: int | str) -> int:
    try:
        return parse.level(value)
    except ValueError as error:
        raise ConfigurationError(f"level: {error}, got {value!r}") from None
