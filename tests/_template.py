"""The columns of the Data Sources in Tinybird's OpenTelemetry template, as schemas for `POST /v0/datasources`.

https://github.com/tinybirdco/tinybird-otel-template
"""

from __future__ import annotations

MAP = "Map(LowCardinality(String), String)"
TIME = "DateTime64(9)"
WORD = "LowCardinality(String)"

_SOURCE = (
    ("ResourceSchemaUrl", "String", "resource_schema_url"),
    ("ResourceAttributes", MAP, "resource_attributes"),
    ("ScopeSchemaUrl", "String", "scope_schema_url"),
    ("ScopeName", "String", "scope_name"),
    ("ScopeVersion", "String", "scope_version"),
    ("ScopeAttributes", MAP, "scope_attributes"),
)

_LOGS = (
    ("Timestamp", TIME, "timestamp"),
    ("TimestampTime", "DateTime", "timestamp"),
    ("TraceId", "String", "trace_id"),
    ("SpanId", "String", "span_id"),
    ("TraceFlags", "UInt8", "flags"),
    ("SeverityText", WORD, "severity_text"),
    ("SeverityNumber", "UInt8", "severity_number"),
    ("ServiceName", WORD, "service_name"),
    ("Body", "String", "body"),
    *_SOURCE,
    ("LogAttributes", MAP, "log_attributes"),
)

_TRACES = (
    ("Timestamp", TIME, "start_time"),
    ("TraceId", "String", "trace_id"),
    ("SpanId", "String", "span_id"),
    ("ParentSpanId", "String", "parent_span_id"),
    ("TraceState", "String", "trace_state"),
    ("SpanName", WORD, "span_name"),
    ("SpanKind", WORD, "span_kind"),
    ("ServiceName", WORD, "service_name"),
    ("StatusCode", WORD, "status_code"),
    ("StatusMessage", "String", "status_message"),
    ("Duration", "UInt64", "duration"),
    *_SOURCE,
    ("SpanAttributes", MAP, "span_attributes"),
    ("EventsTimestamp", f"Array({TIME})", "events_timestamp"),
    ("EventsName", f"Array({WORD})", "events_name"),
    ("EventsAttributes", f"Array({MAP})", "events_attributes"),
    ("LinksTraceId", "Array(String)", "links_trace_id"),
    ("LinksSpanId", "Array(String)", "links_span_id"),
    ("LinksTraceState", "Array(String)", "links_trace_state"),
    ("LinksAttributes", f"Array({MAP})", "links_attributes"),
)

_METRIC = (
    *_SOURCE,
    ("ServiceName", "String DEFAULT 'unknown'", "service_name"),
    ("MetricName", WORD, "metric_name"),
    ("MetricDescription", "String", "metric_description"),
    ("MetricUnit", "String", "metric_unit"),
    ("Attributes", MAP, "metric_attributes"),
    ("StartTimeUnix", TIME, "start_timestamp"),
    ("TimeUnix", TIME, "timestamp"),
    ("Flags", "UInt8", "flags"),
    ("ExemplarsTraceId", "Array(String)", "exemplars_trace_id"),
    ("ExemplarsSpanId", "Array(String)", "exemplars_span_id"),
    ("ExemplarsTimestamp", f"Array({TIME})", "exemplars_timestamp"),
    ("ExemplarsValue", "Array(Float64)", "exemplars_value"),
    ("ExemplarsFilteredAttributes", f"Array({MAP})", "exemplars_filtered_attributes"),
)

_TEMPORALITY = ("AggregationTemporality", "Int32", "aggregation_temporality")
_EXTREMES = (("Min", "Nullable(Float64)", "min"), ("Max", "Nullable(Float64)", "max"))

COLUMNS = {
    "otel_logs": _LOGS,
    "otel_traces": _TRACES,
    "otel_metrics_gauge": (*_METRIC, ("Value", "Float64", "value")),
    "otel_metrics_sum": (
        *_METRIC,
        ("Value", "Float64", "value"),
        _TEMPORALITY,
        ("IsMonotonic", "Bool", "is_monotonic"),
    ),
    "otel_metrics_histogram": (
        *_METRIC,
        ("Count", "UInt64", "count"),
        ("Sum", "Float64", "sum"),
        ("BucketCounts", "Array(UInt64)", "bucket_counts"),
        ("ExplicitBounds", "Array(Float64)", "explicit_bounds"),
        *_EXTREMES,
        _TEMPORALITY,
    ),
    "otel_metrics_exponential_histogram": (
        *_METRIC,
        ("Count", "UInt64", "count"),
        ("Sum", "Float64", "sum"),
        ("Scale", "Int32", "scale"),
        ("ZeroCount", "UInt64", "zero_count"),
        ("PositiveOffset", "Int32", "positive_offset"),
        ("PositiveBucketCounts", "Array(UInt64)", "positive_bucket_counts"),
        ("NegativeOffset", "Int32", "negative_offset"),
        ("NegativeBucketCounts", "Array(UInt64)", "negative_bucket_counts"),
        *_EXTREMES,
        _TEMPORALITY,
    ),
}
"""For each Data Source: name, type and JSON field of its columns."""

ENGINE = {
    "otel_logs": ("ServiceName, TimestampTime, Timestamp", "toDate(TimestampTime)"),
    "otel_traces": ("ServiceName, SpanName, toDateTime(Timestamp)", "toDate(Timestamp)"),
}
_METRIC_ENGINE = ("ServiceName, MetricName, Attributes, toUnixTimestamp64Nano(TimeUnix)", "toDate(TimeUnix)")


def schema(template):
    """Write the schema of one of the template's Data Sources."""
    lines = []
    for name, declared, field in COLUMNS[template]:
        kind, _, default = declared.partition(" DEFAULT ")
        path = f"$.{field}[:]" if kind.startswith("Array(") else f"$.{field}"
        lines.append(f"`{name}` {kind} `json:{path}`" + (f" DEFAULT {default}" if default else ""))
    return ", ".join(lines)


def create(server, template, name=None):
    """Create one of the template's Data Sources on a `tinylog dev`."""
    sorting_key, partition_key = ENGINE.get(template, _METRIC_ENGINE)
    response = server.create(
        name or template,
        schema(template),
        engine="MergeTree",
        engine_sorting_key=sorting_key,
        engine_partition_key=partition_key,
    )
    assert response.status_code == 200, response.text
