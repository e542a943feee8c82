"""The exporters of logs and spans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode

from tinylog._attributes import attribute_dict
from tinylog._guard import is_chatter
from tinylog._layout import DELIVERY_KEY, ack_threshold, is_critical, severity_number
from tinylog._registry import Parts
from tinylog._report import Event
from tinylog.otel._compat import (
    LogRecordExporter,
    LogRecordExportResult,
    made_while_delivering,
    resource_of,
    scope_of,
)
from tinylog.otel._door import DoorExporter, OtelDoor, settings_of
from tinylog.otel._rows import log_row, severity_of, span_row
from tinylog.protocols import Buffer, Clock, Transport
from tinylog.settings import Options

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["TinybirdLogExporter", "TinybirdSpanExporter"]

_BOTH = (True, False)


def _severity(level: float) -> float:
    """Turn a threshold among levels into one among severities, as OpenTelemetry's `LoggingHandler` turns levels."""
    if not 0 < level < float("inf"):
        return level
    return severity_number(level) + min(level % 10, 3)


class TinybirdLogExporter(DoorExporter, LogRecordExporter):
    """Exports log records to a Data Source such as `otel_logs` of Tinybird's OpenTelemetry template.

    `export` only puts rows into a bounded queue, so that it never waits, whatever processor is in front of it. Records
    of severity ERROR or above (setting `ack_level`) are acknowledged; one record can override by an attribute
    `tinylog_delivery`, which is not shipped.

    The SDK's batch processor does not hand its own `force_flush` on to exporters: call that of the exporter to know
    that rows have arrived.

    Args:
        datasource: the Data Source's name. Default: `OTEL_TINYBIRD_LOGS_DATASOURCE`, else `otel_logs`.
        transport: `requests` (default), `http2`, a `kafka://` URL, or an object that carries requests.
        buffer: replaces the spill directory.
        clock: replaces the machine's clocks.
        on_event: is told what becomes of rows other than delivery, by a thread of tinylog's, `flush` or `close`.
        options: the settings, as of `tinylog.TinybirdHandler`; see `tinylog.settings`. Static fields are resource
            attributes for resources that lack them.

    Raises:
        ConfigurationError: names the setting, the value and the remedy.
    """

    def __init__(
        self,
        datasource: str | None = None,
        *,
        transport: Transport | str | None = None,
        buffer: Buffer | None = None,
        clock: Clock | None = None,
        on_event: Callable[[Event], None] | None = None,
        **options: Unpack[Options],
    ) -> None:
        settings = settings_of(options)
        self._ack_severity = _severity(ack_threshold(settings.door))
        self._door = OtelDoor(settings, {"logs": datasource}, _BOTH, Parts(transport, buffer, clock, on_event))

    def export(self, batch: Sequence[Any]) -> LogRecordExportResult:
        """Queue the records of a batch.

        Returns:
            FAILURE when one of them was refused, since the queue was full or the exporter shut down.
        """
        kept = [self._export(item) for item in batch]
        return LogRecordExportResult.SUCCESS if all(kept) else LogRecordExportResult.FAILURE

    def _export(self, item: Any) -> bool:
        record, scope = item.log_record, scope_of(item)
        if is_chatter((scope and scope.name) or "", while_delivering=made_while_delivering(record)):
            return True
        attributes, severity = attribute_dict(record.attributes), severity_of(record)
        critical = is_critical(severity, self._ack_severity, attributes.get(DELIVERY_KEY))
        origin = self._door.origins.find(resource_of(item), scope)
        return self._door.offer("logs", critical, origin, log_row, record, attributes, severity, critical)


class TinybirdSpanExporter(DoorExporter, SpanExporter):
    """Exports spans to a Data Source such as `otel_traces` of Tinybird's OpenTelemetry template.

    As `TinybirdLogExporter`; acknowledged are spans with an error status.

    Args:
        datasource: the Data Source's name. Default: `OTEL_TINYBIRD_TRACES_DATASOURCE`, else `otel_traces`.
        transport: `requests` (default), `http2`, a `kafka://` URL, or an object that carries requests.
        buffer: replaces the spill directory.
        clock: replaces the machine's clocks.
        on_event: is told what becomes of rows other than delivery, by a thread of tinylog's, `flush` or `close`.
        options: the settings, as of `tinylog.TinybirdHandler`; see `tinylog.settings`.

    Raises:
        ConfigurationError: names the setting, the value and the remedy.
    """

    def __init__(
        self,
        datasource: str | None = None,
        *,
        transport: Transport | str | None = None,
        buffer: Buffer | None = None,
        clock: Clock | None = None,
        on_event: Callable[[Event], None] | None = None,
        **options: Unpack[Options],
    ) -> None:
        settings = settings_of(options)
        self._delivery = settings.door.delivery
        self._door = OtelDoor(settings, {"traces": datasource}, _BOTH, Parts(transport, buffer, clock, on_event))

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Queue spans.

        Returns:
            FAILURE when one of them was refused, since the queue was full or the exporter shut down.
        """
        kept = [self._export(span) for span in spans]
        return SpanExportResult.SUCCESS if all(kept) else SpanExportResult.FAILURE

    def _export(self, span: ReadableSpan) -> bool:
        failed = span.status.status_code is StatusCode.ERROR
        threshold = {"auto": 1, "ack": 0}.get(self._delivery, float("inf"))
        critical = is_critical(int(failed), threshold, (span.attributes or {}).get(DELIVERY_KEY))
        origin = self._door.origins.find(span.resource, span.instrumentation_scope)
        return self._door.offer("traces", critical, origin, span_row, span, self._door.row_budget)
