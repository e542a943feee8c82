"""What differs between versions of `opentelemetry-sdk`: the log signal, which is not stable yet.

Before 1.39 a batch held `LogData` whose record knew its resource, and classes were named `LogExporter` and
`LogExportResult`. Since 1.44 `force_flush` is abstract.
"""

from __future__ import annotations

from typing import Any, Protocol, cast

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from tinylog._guard import SPAN_MARK

try:
    from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
except ImportError:  # before 1.39
    from opentelemetry.sdk._logs.export import LogExporter as LogRecordExporter
    from opentelemetry.sdk._logs.export import (  # type: ignore[assignment]
        LogExportResult as LogRecordExportResult,
    )

__all__ = [
    "LogRecord",
    "LogRecordExportResult",
    "LogRecordExporter",
    "event_name_of",
    "made_while_delivering",
    "resource_of",
    "scope_of",
]


class LogRecord(Protocol):
    """What all versions' log records have."""

    timestamp: int | None
    observed_timestamp: int | None
    trace_id: int | None
    span_id: int | None
    trace_flags: Any
    severity_text: str | None
    severity_number: Any
    body: Any
    attributes: Any


def event_name_of(record: LogRecord) -> str | None:
    """Give the name of an event; records have it since 1.35, if it is set."""
    return getattr(record, "event_name", None)


def resource_of(item: Any) -> Resource | None:
    """Give the resource of one item of a batch: its own since 1.39, before that the record's."""
    return cast("Resource | None", getattr(item, "resource", None) or getattr(item.log_record, "resource", None))


def scope_of(item: Any) -> InstrumentationScope | None:
    """Give the instrumentation scope of one item of a batch."""
    return cast("InstrumentationScope | None", getattr(item, "instrumentation_scope", None))


def made_while_delivering(record: LogRecord) -> bool:
    """Tell whether the record was made by a thread that was delivering, which an exporter hears of only later."""
    return record.span_id == SPAN_MARK and not record.trace_id
