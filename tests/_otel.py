"""OpenTelemetry signals for tests, made with the real SDK: every kind, with fixed ids and times."""

from __future__ import annotations

import itertools

from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk import _logs
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics._internal.point import Buckets
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    get_current_span,
    set_span_in_context,
)

NOW = 1_800_000_000_123_456_789  # 2027-01-15T08:00:00.123456789Z
SECOND = 1_000_000_000
TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0x00F067AA0BA902B7

RESOURCE = Resource({"service.name": "shop", "host.cores": 8, "tags": ["a", "b"]}, "https://schema/resource")
REMOTE = SpanContext(TRACE, SPAN, True, TraceFlags(1), TraceState([("vendor", "x"), ("other", "y")]))
IN_SPAN = set_span_in_context(NonRecordingSpan(REMOTE))

ATTRIBUTES = {
    "text": "é",
    "yes": True,
    "no": False,
    "int": -5,
    "float": 2.50,
    "whole": 3.0,
    "tiny": 1e-7,
    "huge": 1e21,
    "list": ["a", "b"],
    "numbers": [1, 2],
    "empty": [],
}


class CountingIds(IdGenerator):
    """Ids that count, so that golden files can hold them."""

    def __init__(self):
        self._numbers = itertools.count(1)

    def generate_span_id(self):
        return 0xAB00 + next(self._numbers)

    def generate_trace_id(self):
        return 0xFF << 112 | next(self._numbers)


def logger_provider(exporter, resource=RESOURCE):
    """Make a provider that exports each record at once."""
    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    return provider


def emit(logger, **fields):
    """Emit a log record, with whatever the installed SDK calls one."""
    if hasattr(_logs, "ReadableLogRecord"):  # since 1.39
        from opentelemetry._logs import LogRecord  # noqa: PLC0415

        logger.emit(LogRecord(**fields))
    else:
        span = get_current_span(fields.pop("context", None)).get_span_context()
        fields.setdefault("attributes", {})
        if "event_name" in fields:
            fields["attributes"] = {**fields["attributes"], "event.name": fields.pop("event_name")}
        ids = {"trace_id": span.trace_id, "span_id": span.span_id, "trace_flags": span.trace_flags}
        logger.emit(_logs.LogRecord(resource=logger.resource, **ids, **fields))


def emit_logs(exporter):
    """Emit one record of every sort."""
    logger = logger_provider(exporter).get_logger("shop.orders", "1.2", "https://schema/scope", {"team": "a", "n": 1})
    emit(
        logger,
        timestamp=NOW,
        observed_timestamp=NOW + 5,
        context=IN_SPAN,
        severity_text="INFO",
        severity_number=SeverityNumber.INFO,
        body="paid",
        attributes=ATTRIBUTES,
    )
    emit(logger, observed_timestamp=NOW - NOW % SECOND, body={"a": [1, {"b": None}], "c": 1.5}, severity_text="")
    emit(logger, timestamp=NOW, observed_timestamp=NOW, body=b"\x00\xff", severity_number=SeverityNumber.WARN4)
    emit(logger, timestamp=NOW, observed_timestamp=NOW, body=None, event_name="shop.paid", attributes={"n": 1})
    emit(logger, timestamp=NOW, observed_timestamp=NOW, body=True)
    emit(logger, timestamp=NOW, observed_timestamp=NOW, body=["x", 2])


def tracer_provider(exporter, resource=RESOURCE):
    """Make a provider that exports each span at once."""
    provider = TracerProvider(resource=resource, id_generator=CountingIds(), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


def end_spans(exporter):
    """End spans of every kind and status, with events and links."""
    tracer = tracer_provider(exporter).get_tracer("shop.web", "0.9", "https://schema/scope", {"team": "a"})
    for number, kind in enumerate(SpanKind):
        tracer.start_span(f"kind {number}", kind=kind, start_time=NOW).end(NOW + number)
    full = tracer.start_span(
        "GET /pay",
        context=IN_SPAN,
        kind=SpanKind.SERVER,
        attributes=ATTRIBUTES,
        links=[Link(REMOTE, {"why": "retry", "n": 2}), Link(SpanContext(7, 8, False))],
        start_time=NOW,
    )
    full.add_event("cache miss", {"key": "k", "n": 1}, NOW + 1)
    full.add_event("retry", None, NOW + 2)
    full.set_status(Status(StatusCode.OK))
    full.end(NOW + 1_500_000)
    backwards = tracer.start_span("clock set back", start_time=NOW)
    backwards.set_status(Status(StatusCode.ERROR, "boom"))
    backwards.end(NOW - 10)


def metrics_data():
    """Every kind of metric, with and without exemplars, minimum and maximum."""
    exemplars = [
        Exemplar({"user": "u1", "n": 1}, 0.25, NOW, SPAN, TRACE),
        Exemplar({}, 7, NOW + 1),
    ]
    delta, cumulative = AggregationTemporality.DELTA, AggregationTemporality.CUMULATIVE
    series = ({"route": "/pay", "code": 200}, NOW - SECOND, NOW)
    metrics = [
        Metric("queue", "Rows waiting", "{row}", Gauge([NumberDataPoint({"q": 1}, None, NOW, 1.5, exemplars)])),
        Metric("temperature", None, None, Gauge([NumberDataPoint({}, 0, NOW, -3)])),
        Metric("sales", "Sold", "1", Sum([NumberDataPoint(*series, 12, exemplars)], cumulative, True)),
        Metric("stock", "", "1", Sum([NumberDataPoint(*series, -2), NumberDataPoint(*series, 0.5)], delta, False)),
        Metric(
            "latency",
            "Time",
            "ms",
            Histogram(
                [
                    HistogramDataPoint(*series, 3, 11.5, [0, 2, 1], [5.0, 10], 5.5, 12.0, exemplars),
                    HistogramDataPoint(*series, 0, 0, [], [], None, None),
                ],
                delta,
            ),
        ),
        Metric(
            "size",
            "Size",
            "By",
            ExponentialHistogram(
                [
                    ExponentialHistogramDataPoint(
                        *series, 4, 10.5, 2, 1, Buckets(-1, [1, 0, 2]), Buckets(0, []), 1, 0.5, 8.0, exemplars
                    )
                ],
                cumulative,
            ),
        ),
    ]
    scope = InstrumentationScope("shop.meter", "3", "https://schema/scope", {"team": "a"})
    of_scope = ScopeMetrics(scope, metrics, "https://schema/scope")
    return MetricsData([ResourceMetrics(RESOURCE, [of_scope], "https://schema/resource")])
