"""What the three exporters have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from tinylog._door import Door, checked_name
from tinylog._encode import dump_line
from tinylog._guard import attempt
from tinylog._layout import resource_of
from tinylog._registry import Parts
from tinylog._resolve import resolve
from tinylog._stats import Stats
from tinylog.errors import ConfigurationError
from tinylog.otel._observe import observe_if_enabled
from tinylog.otel._rows import Origin, Origins
from tinylog.settings import Options, Settings

__all__ = ["DoorExporter", "OtelDoor", "settings_of"]


def settings_of(options: Options) -> Settings:
    """Make settings; `OTEL_TINYBIRD_TOKEN` and `OTEL_TINYBIRD_API_HOST` come before tinylog's own variables.

    Raises:
        ConfigurationError: names the setting, the value and the remedy.
    """
    if options.get("layout") not in (None, "otel"):
        raise ConfigurationError(f"layout: an exporter's rows are always 'otel', got {options.get('layout')!r}")
    return resolve(options, token_variables=("OTEL_TINYBIRD_TOKEN",), host_variables=("OTEL_TINYBIRD_API_HOST",))


class OtelDoor:
    """A door with OpenTelemetry's units: milliseconds.

    Args:
        settings: all settings.
        names: Data Sources by signal, as given; a missing one comes from `OTEL_TINYBIRD_<SIGNAL>_DATASOURCE`, else it
            is the template's.
        open_now: the ways of delivery, acknowledged or not, that are opened before they get a row.
        parts: what replaces parts of the processor.
        numbers: rows hold numbers that JSON may lack, beside texts and integers.

    Attributes:
        names: Data Sources by signal.
        origins: the fields for resource and scope.
        row_budget: bytes that one part of a row may take.
    """

    def __init__(
        self,
        settings: Settings,
        names: Mapping[str, str | None],
        open_now: tuple[bool, ...],
        parts: Parts,
        *,
        numbers: bool = False,
    ) -> None:
        self._numbers = numbers
        self.names = {signal: _name(signal, given) for signal, given in names.items()}
        self.origins = Origins(resource_of(settings.door.static_fields))
        self.row_budget = settings.door.max_row_bytes // 4
        routes = [(name, acknowledged) for name in self.names.values() for acknowledged in open_now]
        self._door = Door(settings, routes, parts=parts)
        self._max_row_bytes = settings.door.max_row_bytes
        self._short = not settings.controls.redact
        observe_if_enabled()

    def offer(
        self, signal: str, acknowledged: bool, origin: Origin, make: Callable[..., dict[str, Any]], *parts: Any
    ) -> bool:
        """Queue a row; tell whether it was kept. Never raises.

        An ordinary row is encoded in one go, and what it shares with others is not encoded again.

        Args:
            signal: says where to.
            acknowledged: how.
            origin: the fields for resource and scope.
            make: makes the row from those fields and the parts.
            parts: what else a row is made of.
        """
        datasource = self.names[signal]
        line = attempt(self._encode, make, origin, parts) if self._short else None
        if line is None:
            return self._door.offer(datasource, acknowledged, make, origin.fields, *parts)
        lane = self._door.lane(datasource, acknowledged)
        return lane.queue.put(line) if lane.direct else self._door.put(lane, line)

    def _encode(self, make: Callable[..., dict[str, Any]], origin: Origin, parts: tuple[Any, ...]) -> bytes | None:
        line = dump_line(make(origin.encoded, *parts))
        if len(line) > self._max_row_bytes or (self._numbers and b"null" in line):
            return None
        return line

    def flush(self, timeout_millis: float | None) -> bool:
        """Deliver what is queued; tell whether Tinybird has answered for every row."""
        return self._door.flush(None if timeout_millis is None else max(0.0, timeout_millis / 1000))

    def close(self, timeout_millis: float | None) -> None:
        """Deliver what is queued and refuse later rows."""
        self._door.close(None if timeout_millis is None else timeout_millis / 1000)

    def stats(self) -> Stats:
        """Take a snapshot of the ledger."""
        return self._door.stats()

    def __repr__(self) -> str:
        return ", ".join(self.names.values())


class DoorExporter:
    """What the exporters of logs and spans have in common: their end."""

    _door: OtelDoor

    def force_flush(self, timeout_millis: float = 30_000) -> bool:
        """Deliver what is queued, on the calling thread.

        Args:
            timeout_millis: the longest that it may take, in milliseconds.

        Returns:
            True when Tinybird has answered for everything that was exported before the call.
        """
        return self._door.flush(timeout_millis)

    def shutdown(self, timeout_millis: float | None = None) -> None:
        """Deliver what is queued, spill or count the rest, refuse what comes later. Idempotent.

        Args:
            timeout_millis: the longest that delivery may take, in milliseconds. Default, and the most: the setting
                `shutdown_timeout`.
        """
        self._door.close(timeout_millis)

    def stats(self) -> Stats:
        """Take a snapshot of the ledger."""
        return self._door.stats()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._door!r}>"


def _name(signal: str, given: Any) -> str:
    variable = f"OTEL_TINYBIRD_{signal.upper()}_DATASOURCE"
    return checked_name(given if given is not None else os.environ.get(variable) or f"otel_{signal}")
