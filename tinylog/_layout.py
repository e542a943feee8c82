"""From a `logging.LogRecord` to a row: a mapping of field names to values. Pure; a record is never changed."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from tinylog._attributes import attribute_map, attribute_text
from tinylog._context import rfc3339, rfc3339_nanos, span_ids
from tinylog._encode import encode_value
from tinylog.errors import ConfigurationError
from tinylog.protocols import Delivery
from tinylog.settings import DoorOptions

__all__ = [
    "DELIVERY_KEY",
    "FLAT_FIELDS",
    "Details",
    "Layout",
    "ack_threshold",
    "is_critical",
    "make_layout",
    "resource_of",
    "severity_number",
]

DELIVERY_KEY = "tinylog_delivery"
"""An `extra` key that overrides the delivery of one record; consumed, not shipped."""


class Details(NamedTuple):
    """What a record has beside its own attributes."""

    extras: Mapping[Any, Any]
    exception: tuple[str | None, str | None, str | None]
    """Type, message and stack trace."""


class Layout(Protocol):
    """Makes a row."""

    def __call__(
        self, record: logging.LogRecord, message: str, row_id: str | None, details: Details | None = None
    ) -> dict[str, Any]:
        """Take a record, its message, an id for an acknowledged row, and details that are not the record's own."""


RECORD_ATTRIBUTES = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "taskName",
    DELIVERY_KEY,
}

FLAT_FIELDS = (
    *("timestamp", "level", "logger", "module", "function", "line", "pathname"),
    *("process_id", "process_name", "thread_id", "thread_name", "task_name", "message"),
    *("exception_type", "exception_message", "exception_stacktrace", "stack_info"),
    *("trace_id", "span_id", "id", "message_error"),
)
"""The fields that a flat row may have of its own. An `extra` field of the same name is shipped as `extra_<name>`."""

_SEVERITIES = (
    (logging.CRITICAL, 21),
    (logging.ERROR, 17),
    (logging.WARNING, 13),
    (logging.INFO, 9),
    (logging.DEBUG, 5),
)


def ack_threshold(options: DoorOptions) -> float:
    """Find the level from which on records are acknowledged; 0 for all, infinity for none."""
    return {"auto": options.ack_level, "ack": logging.NOTSET}.get(options.delivery, float("inf"))


def is_critical(levelno: float, threshold: float, override: Any) -> bool:
    """Tell whether a record is acknowledged: as it says itself, else by its level."""
    if override == Delivery.ACK:
        return True
    return levelno >= threshold and override != Delivery.FIRE_AND_FORGET


def make_layout(name: str, static_fields: Mapping[str, Any]) -> Layout:
    """Choose a layout.

    Args:
        name: `flat` or `otel`.
        static_fields: fields of every row. In the `otel` layout they are resource attributes.

    Raises:
        ConfigurationError: a static field has the name of a record's own field.
    """
    if name == "otel":
        return _otel(static_fields)
    for field in static_fields:
        if field in FLAT_FIELDS:
            raise ConfigurationError(f"static_fields: {field!r} is a field of the record itself; choose another name")
    return _flat({field: value for field, value in static_fields.items() if value is not None})


def summary_record(lost: Mapping[str, int]) -> logging.LogRecord:
    """Make the record that shows the hole in the table: how many records were lost since the last one, and why."""
    reasons = ", ".join(f"{reason} {rows:,}" for reason, rows in sorted(lost.items()))
    return logging.makeLogRecord(
        {
            "name": "tinylog.summary",
            "levelno": logging.WARNING,
            "levelname": "WARNING",
            "msg": "%s records were lost: %s",
            "args": (f"{sum(lost.values()):,}", reasons),
            "lost": sum(lost.values()),
            "lost_by_reason": dict(lost),
        }
    )


def message_of(record: logging.LogRecord) -> tuple[str, str | None]:
    """Format the message; when that fails, give the raw message with its arguments and say why."""
    try:
        return record.getMessage(), None
    except Exception as error:
        return (
            f"{encode_value(record.msg).strip(chr(34))} {encode_value(record.args)}",
            f"{type(error).__name__}: {error}",
        )


def extras(record: logging.LogRecord) -> dict[str, Any]:
    """Find what the caller added to the record."""
    return {key: value for key, value in record.__dict__.items() if key not in RECORD_ATTRIBUTES}


def details_of(record: logging.LogRecord) -> Details:
    """Find the details of a record of the logging package."""
    return Details(extras(record), exception_fields(record.exc_info, record.exc_text))


def exception_fields(info: Any, known_text: str | None) -> tuple[str | None, str | None, str | None]:
    """Type, message and stack trace of an exception, each None when there is none."""
    if not (isinstance(info, tuple) and len(info) == 3 and info[0] is not None):  # noqa: PLR2004 - as sys.exc_info()
        return None, None, known_text or None
    kind, error, trace = info
    try:
        message = str(error)
    except Exception as failure:
        message = f"[unprintable {kind.__qualname__}: {type(failure).__name__}]"
    text = known_text or "".join(traceback.format_exception(kind, error, trace)).rstrip("\n")
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return name, message, text


def site_fields(record: logging.LogRecord, static_fields: Mapping[str, Any]) -> dict[str, Any]:
    """Give the fields of a flat row that all records of one line of code share."""
    fields = {
        "level": record.levelname,
        "logger": record.name,
        **static_fields,
        "module": record.module,
        "function": record.funcName,
        "line": record.lineno,
        "pathname": record.pathname,
    }
    return {name: value for name, value in fields.items() if value is not None}


def context_fields(record: logging.LogRecord) -> dict[str, Any]:
    """Give the fields of a flat row that all records of one thread or task share."""
    fields = {
        "process_id": record.process,
        "process_name": record.processName,
        "thread_id": record.thread,
        "thread_name": record.threadName,
        "task_name": getattr(record, "taskName", None),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _flat(static_fields: Mapping[str, Any]) -> Layout:
    taken = frozenset(FLAT_FIELDS) | frozenset(static_fields)

    def layout(
        record: logging.LogRecord, message: str, row_id: str | None, details: Details | None = None
    ) -> dict[str, Any]:
        row = {
            "timestamp": rfc3339(record.created),
            **site_fields(record, static_fields),
            **context_fields(record),
            "message": message,
        }
        _add_rare(row, record, row_id, details)
        for key, value in (extras(record) if details is None else details.extras).items():
            if value is not None:
                row[key if key not in taken and key not in row else _free_name(key, row, taken)] = value
        return row

    return layout


def _add_rare(row: dict[str, Any], record: logging.LogRecord, row_id: str | None, details: Details | None) -> None:
    """Add what most records lack."""
    if details is not None or record.exc_info or record.exc_text:
        exception = details.exception if details else exception_fields(record.exc_info, record.exc_text)
        names = ("exception_type", "exception_message", "exception_stacktrace")
        row.update((name, value) for name, value in zip(names, exception, strict=True) if value is not None)
    ids = span_ids()
    if ids is not None:
        row["trace_id"], row["span_id"], _ = ids
    if record.stack_info is not None:
        row["stack_info"] = record.stack_info
    if row_id is not None:
        row["id"] = row_id


def _free_name(key: Any, row: Mapping[str, Any], taken: frozenset[str]) -> str:
    """Rename an extra field whose name is taken: `level` to `extra_level`, and so on until it is free."""
    name = key if isinstance(key, str) else encode_value(key).strip('"')
    while name in taken or name in row:
        name = f"extra_{name}"
    return name


def severity_number(levelno: float) -> int:
    """Map a level to OpenTelemetry's SeverityNumber, as its logging instrumentation does; 1 (TRACE) below DEBUG."""
    return next((number for level, number in _SEVERITIES if levelno >= level), 1)


def _otel(static_fields: Mapping[str, Any]) -> Layout:
    resource = {**resource_of({"service": os.environ.get("OTEL_SERVICE_NAME")}), **resource_of(static_fields)}
    fixed = {
        "resource_schema_url": "",
        "resource_attributes": resource,
        "service_name": resource.get("service.name", ""),
        "scope_version": "",
        "scope_schema_url": "",
        "scope_attributes": {},
    }

    def layout(
        record: logging.LogRecord, message: str, row_id: str | None, details: Details | None = None
    ) -> dict[str, Any]:
        trace_id, span_id, flags = span_ids() or ("", "", 0)
        return {
            **fixed,
            "scope_name": record.name,
            "timestamp": rfc3339_nanos(round(record.created * 1e6) * 1000),
            "trace_id": trace_id,
            "span_id": span_id,
            "flags": flags,
            "severity_text": record.levelname,
            "severity_number": severity_number(record.levelno),
            "log_attributes": _otel_attributes(record, row_id, details or details_of(record)),
            "body": message,
        }

    return layout


def resource_of(static_fields: Mapping[str, Any]) -> dict[str, str]:
    """Turn static fields into resource attributes; `service` is `service.name`, and empty ones are left out."""
    named = {"service.name" if name == "service" else name: value for name, value in static_fields.items()}
    return attribute_map({name: value for name, value in named.items() if value not in (None, "")})


def _otel_attributes(record: logging.LogRecord, row_id: str | None, details: Details) -> dict[str, str]:
    """Name the record's details by OpenTelemetry's semantic conventions.

    https://opentelemetry.io/docs/specs/semconv/registry/attributes/ (code, thread, process, exception, log.record.uid)
    """
    kind, text, trace = details.exception
    own = {
        "code.function.name": record.funcName,
        "code.file.path": record.pathname,
        "code.line.number": record.lineno,
        "process.pid": record.process,
        "thread.id": record.thread,
        "thread.name": record.threadName,
        "asyncio.task.name": getattr(record, "taskName", None),
        "exception.type": kind,
        "exception.message": text,
        "exception.stacktrace": trace,
        "code.stacktrace": record.stack_info,
        "log.record.uid": row_id,
    }
    row = {name: attribute_text(value) for name, value in own.items() if value is not None}
    for name, value in details.extras.items():
        if value is not None:
            row[_free_name(name, row, frozenset(own))] = attribute_text(value)
    return row
