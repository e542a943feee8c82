"""From OpenTelemetry's log records and spans to rows, as Tinybird's Collector exporter writes them. Pure.

https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/exporter/tinybirdexporter
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext

from tinylog._attributes import attribute_map, attribute_text
from tinylog._context import new_id, rfc3339_nanos
from tinylog._encode import encode_value, fragment
from tinylog._layout import DELIVERY_KEY
from tinylog.otel._compat import LogRecord, event_name_of

__all__ = ["Origin", "Origins", "attributes_of", "log_row", "span_row", "time_of"]

Row = dict[str, Any]

_LAST_NANO = 2**63 - 1  # of a DateTime64(9), in the year 2262
_MAX_ORIGINS = 256
_FIRST = "resource_schema_url"
_MANY = 128  # events or links of a span, the SDK's default limits


class Origin(NamedTuple):
    """What the rows of a resource and a scope have in common.

    Attributes:
        fields: as a row has them; not to be changed.
        encoded: the same for `tinylog._encode.dump_line`, which need not encode them again.
        kept: resource and scope, so that no other objects get their identities.
    """

    fields: Row
    encoded: Row
    kept: tuple[Resource | None, InstrumentationScope | None]


class Origins:
    """Finds the origins of rows.

    Args:
        static: resource attributes for resources that lack them.
    """

    def __init__(self, static: Mapping[str, str]) -> None:
        self._static = static
        # By identity, since a resource's hash and equality cost as much as its fields.
        self._known: dict[tuple[int, int], Origin] = {}

    def find(self, resource: Resource | None, scope: InstrumentationScope | None) -> Origin:
        """Give the origin of a row."""
        key = (id(resource), id(scope))
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MAX_ORIGINS:
                self._known = {}
            fields = self._make(resource, scope)
            encoded = {_FIRST: fragment(fields, _FIRST)}
            known = self._known[key] = Origin(fields, encoded, (resource, scope))
        return known

    def _make(self, resource: Resource | None, scope: InstrumentationScope | None) -> Row:
        attributes = {**self._static, **attribute_map(resource.attributes if resource is not None else None)}
        return {
            _FIRST: (resource.schema_url if resource is not None else None) or "",
            "resource_attributes": attributes,
            "service_name": attributes.get("service.name", ""),
            "scope_name": (scope.name if scope is not None else None) or "",
            "scope_version": (scope.version if scope is not None else None) or "",
            "scope_schema_url": (scope.schema_url if scope is not None else None) or "",
            "scope_attributes": attribute_map(scope.attributes if scope is not None else None),
        }


def time_of(nanos: int | None) -> str:
    """Write a time; 1970 when it is unset, and never beyond what the column holds."""
    if nanos and 0 < nanos < _LAST_NANO:
        return rfc3339_nanos(nanos)
    return rfc3339_nanos(_LAST_NANO if nanos and nanos > 0 else 0)


def attributes_of(attributes: Mapping[str, Any] | None) -> dict[str, str]:
    """Turn attributes into a map of text to text, without the one that is meant for us."""
    texts = attribute_map(attributes)
    texts.pop(DELIVERY_KEY, None)
    return texts


def trace_id_of(value: int | None) -> str:
    """Write a trace's id; empty when there is none."""
    return f"{value:032x}" if value else ""


def span_id_of(value: int | None) -> str:
    """Write a span's id; empty when there is none."""
    return f"{value:016x}" if value else ""


def log_row(origin: Row, record: LogRecord, given: Mapping[str, Any], severity: int, critical: bool) -> Row:
    """Make the row of a log record with the given attributes and severity number.

    What the row has no field for is an attribute: the name of an event (`event.name`), and the id by which duplicates
    of an acknowledged row can be told (`log.record.uid`), see
    https://opentelemetry.io/docs/specs/semconv/registry/attributes/log/.
    """
    attributes = attributes_of(given)
    name = event_name_of(record)
    if name:
        attributes.setdefault("event.name", name)
    if critical:
        attributes.setdefault("log.record.uid", new_id())
    return {
        **origin,
        "timestamp": time_of(record.timestamp or record.observed_timestamp),
        "trace_id": trace_id_of(record.trace_id),
        "span_id": span_id_of(record.span_id if record.trace_id else None),
        "flags": int(record.trace_flags or 0),
        "severity_text": record.severity_text or "",
        "severity_number": severity,
        "log_attributes": attributes,
        "body": attribute_text(record.body),
    }


def severity_of(record: LogRecord) -> int:
    """Give the severity number, 0 when it is unset."""
    number = record.severity_number
    return int(getattr(number, "_value_", number) or 0)  # an enumeration's `value` costs ten times as much


def span_row(origin: Row, span: ReadableSpan, budget: int) -> Row:
    """Make the row of a span.

    Args:
        origin: the fields for resource and scope.
        span: an ended span.
        budget: bytes that the events, and the links, of a span may take when they are more than usual.
    """
    context: SpanContext | None = span.context
    start, end = span.start_time or 0, span.end_time or 0
    return {
        **origin,
        "trace_id": trace_id_of(context and context.trace_id),
        "span_id": span_id_of(context and context.span_id),
        "parent_span_id": span_id_of(span.parent and span.parent.span_id),
        "trace_state": context.trace_state.to_header() if context else "",
        "trace_flags": int(context.trace_flags) if context else 0,
        "span_name": span.name or "",
        "span_kind": span.kind.name.capitalize() if span.kind is not None else "Unspecified",
        "span_attributes": attributes_of(span.attributes),
        "start_time": time_of(start),
        "end_time": time_of(end),
        # Also when it is 0, and never below: the column is a UInt64 without default.
        "duration": max(0, end - start) if start and end else 0,
        "status_code": span.status.status_code.name.capitalize(),
        "status_message": span.status.description or "",
        **_events(span, budget),
        **_links(span, budget),
    }


def _events(span: ReadableSpan, budget: int) -> Row:
    events = _fitting(span.events or (), budget)
    return {
        "events_timestamp": [time_of(event.timestamp) for event in events],
        "events_name": [event.name or "" for event in events],
        "events_attributes": [attribute_map(event.attributes) for event in events],
    }


def _links(span: ReadableSpan, budget: int) -> Row:
    links: Sequence[Link] = _fitting(span.links or (), budget)
    return {
        "links_trace_id": [trace_id_of(link.context.trace_id) for link in links],
        "links_span_id": [span_id_of(link.context.span_id) for link in links],
        "links_trace_state": [link.context.trace_state.to_header() for link in links],
        "links_attributes": [attribute_map(link.attributes) for link in links],
    }


def _fitting(items: Sequence[Any], budget: int) -> Sequence[Any]:
    """Keep as many of the first events or links as surely fit into a row.

    A row that is too long is shortened in general by marking where something was cut; a mark among an array's times
    would put the row into quarantine.
    """
    if len(items) <= _MANY:
        return items
    for index, item in enumerate(items):
        budget -= 150 + len(encode_value(attribute_map(item.attributes))) + len(getattr(item, "name", ""))
        if budget < 0:
            return items[:index]
    return items
