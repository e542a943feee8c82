"""The JSON of every signal, field by field, against golden files, and values that no exporter likes."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

pytest.importorskip("opentelemetry.sdk")

from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
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
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests import _otel
from tests._otel import NOW, RESOURCE
from tests.conftest import TOKEN
from tinylog.otel import TinybirdLogExporter, TinybirdMetricExporter, TinybirdSpanExporter

GOLDEN = Path(__file__).parent / "golden"


def golden(name):
    """The rows that the specification asks for."""
    return json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))


@pytest.fixture
def make(server):
    """Make exporters for `server`; in the end they are shut down and every row is accounted for."""
    made = []

    def make(kind, **options):
        exporter = kind(**{"token": TOKEN, "host": server.url, "spill": "off", **options})
        made.append(exporter)
        return exporter

    yield make
    for exporter in made:
        exporter.shutdown()
        stats = exporter.stats()
        assert stats.submitted == stats.accounted
        assert stats.queued == stats.in_flight == 0


def rows_of(server, datasource):
    """What has arrived for a Data Source, in the order of arrival."""
    return [row for request in server.requests if request.params["name"] == datasource for row in request.rows]


def without_id(row):
    """Check and remove the id of an acknowledged row."""
    if "log.record.uid" in row["log_attributes"]:
        assert re.fullmatch(r"[0-9a-f-]{36}", row["log_attributes"].pop("log.record.uid"))
    return row


def test_log_rows(make, server):
    """Log records fill the template's columns as Tinybird's Collector exporter would."""
    exporter = make(TinybirdLogExporter)
    _otel.emit_logs(exporter)
    assert exporter.force_flush()
    assert rows_of(server, "otel_logs") == golden("otel_logs")


def test_span_rows(make, server):
    """Spans of every kind, with events and links, fill the template's columns; durations are never negative."""
    exporter = make(TinybirdSpanExporter)
    _otel.end_spans(exporter)
    assert exporter.force_flush()
    rows = sorted(rows_of(server, "otel_traces"), key=lambda row: row["span_id"])
    assert rows == sorted(golden("otel_traces"), key=lambda row: row["span_id"])


def test_metric_rows(make, server):
    """Every kind of metric fills the columns of its Data Source, with its exemplars."""
    exporter = make(TinybirdMetricExporter)
    exporter.export(_otel.metrics_data())
    assert exporter.force_flush()
    for kind in ("gauge", "sum", "histogram", "exponential_histogram"):
        assert rows_of(server, f"otel_metrics_{kind}") == golden(f"otel_metrics_{kind}")


def test_acknowledged_logs_have_an_id(make, server):
    """Duplicates of an at-least-once delivery can be told, unless the application has its own id."""
    exporter = make(TinybirdLogExporter)
    logger = _otel.logger_provider(exporter).get_logger("x")
    for attributes in ({}, {"log.record.uid": "mine"}):
        _otel.emit(
            logger,
            timestamp=NOW,
            observed_timestamp=NOW,
            severity_number=SeverityNumber.ERROR,
            body="x",
            attributes=attributes,
        )
    assert exporter.force_flush()
    first, second = rows_of(server, "otel_logs")
    assert len(first["log_attributes"]["log.record.uid"]) == 36
    assert second["log_attributes"] == {"log.record.uid": "mine"}


def test_what_is_unset_is_empty(make, server):
    """A record or span with nothing in it still arrives, with every field."""
    exporter = make(TinybirdSpanExporter)
    exporter.export([ReadableSpan("", events=[Event("e", None, None)], instrumentation_scope=None)])
    exporter.export([ReadableSpan("x", resource=Resource({}), start_time=NOW)])
    assert exporter.force_flush()
    first, second = rows_of(server, "otel_traces")
    assert set(first) == set(second) == set(golden("otel_traces")[0])
    assert not any(value is None for row in (first, second) for value in row.values())
    assert (first["trace_id"], first["start_time"], first["duration"]) == ("", "1970-01-01T00:00:00Z", 0)
    assert (second["duration"], second["service_name"], second["scope_name"]) == (0, "", "")


def odd_metrics(*values):
    """Metrics of values that are no proper numbers."""
    minus, plus, nothing = -math.inf, math.inf, math.nan
    histograms = [
        HistogramDataPoint({}, NOW, NOW, 0, nothing, [0], [], plus, minus),
        HistogramDataPoint({}, NOW, NOW, 1, plus, [1], [plus], 1.0, 2.0),
    ]
    metrics = [
        Metric("g", None, None, Gauge([NumberDataPoint({"v": str(value)}, 0, NOW, value) for value in values])),
        Metric("s", None, None, Sum([NumberDataPoint({}, 0, 2**70, 1)], AggregationTemporality.DELTA, True)),
        Metric("h", None, None, Histogram(histograms, AggregationTemporality.DELTA)),
        Metric("summary", None, None, object()),
    ]
    return MetricsData([ResourceMetrics(RESOURCE, [ScopeMetrics(None, metrics, "")], "")])


def test_no_number_is_lost(make, server):
    """A NaN or an infinity costs neither its row nor its neighbours: null where the column can hold it, else text."""
    exporter = make(TinybirdMetricExporter)
    exporter.export(odd_metrics(math.nan, math.inf, -math.inf, 2**70, 10**400, 5))
    assert exporter.force_flush()
    values = [row["value"] for row in rows_of(server, "otel_metrics_gauge")]
    assert values == ["NaN", "Infinity", "-Infinity", float(2**70), "Infinity", 5]
    empty, full = rows_of(server, "otel_metrics_histogram")
    assert (empty["min"], empty["max"], empty["sum"]) == (None, None, "NaN")
    assert (full["min"], full["max"], full["explicit_bounds"]) == (1.0, 2.0, ["Infinity"])
    assert rows_of(server, "otel_metrics_sum")[0]["timestamp"].startswith("2262-")


def unlimited(exporter):
    """Make a provider whose spans may have any number of attributes and events."""
    limits = SpanLimits(SpanLimits.UNSET, SpanLimits.UNSET, SpanLimits.UNSET, SpanLimits.UNSET)
    provider = TracerProvider(resource=RESOURCE, span_limits=limits, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


def test_huge_spans_arrive(make, server):
    """A span with 100,000 attributes or events is shortened, not lost, and its arrays keep their types and lengths."""
    exporter = make(TinybirdSpanExporter)
    tracer = unlimited(exporter).get_tracer("x")
    tracer.start_span("attributes", attributes={f"key.{n}": n for n in range(100_000)}).end()
    span = tracer.start_span("events")
    for number in range(20_000):
        span.add_event(f"event {number}", {"n": number}, NOW)
    span.end()
    assert exporter.force_flush()
    attributes, events = rows_of(server, "otel_traces")
    assert len(attributes["span_attributes"]) > 10_000
    assert len(events["events_name"]) > 1_000
    lengths = {len(events[name]) for name in events if name.startswith("events_")}
    assert len(lengths) == 1
    assert set(events["events_timestamp"]) == {"2027-01-15T08:00:00.123456789Z"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"\x00\xff", "AP8="),
        ({"list": [b"\x00\xff"]}, '{"list":["AP8="]}'),
        ({"a": {"b": [1, {"c": None}]}}, '{"a":{"b":[1,{"c":null}]}}'),
        (math.nan, "NaN"),
        ([], "[]"),
        (None, ""),
        ("\ud800", "\\ud800"),
    ],
)
def test_awkward_values(make, server, value, text):
    """Whatever a record's body or attribute is, its row is valid and shows it."""
    exporter = make(TinybirdLogExporter)
    logger = _otel.logger_provider(exporter).get_logger("x")
    _otel.emit(logger, timestamp=NOW, observed_timestamp=NOW, body=value)
    assert exporter.force_flush()
    assert rows_of(server, "otel_logs")[0]["body"] == text


class Keeping:
    """An exporter that keeps what it is given."""

    def __init__(self):
        self.items = []

    def export(self, items):
        self.items += items if isinstance(items, (list, tuple)) else [items]

    def shutdown(self):
        pass


def odd_logs(exporter):
    """Log records that no row can be made of in one go, and what resembles one."""
    logger = _otel.logger_provider(exporter).get_logger("null", "null")
    for body in ("null", "\ud800", math.nan, None, 2**70, {"a": [b"x", None]}, "x" * 3_000_000):
        _otel.emit(logger, timestamp=NOW, observed_timestamp=NOW, body=body, attributes={"n": 2**64, "f": math.inf})
    _otel.emit(logger, timestamp=NOW, observed_timestamp=NOW, body="x", attributes={"log.record.uid": "mine"})


@pytest.mark.parametrize(
    ("kind", "make_items"),
    [
        (TinybirdLogExporter, _otel.emit_logs),
        (TinybirdLogExporter, odd_logs),
        (TinybirdSpanExporter, _otel.end_spans),
        (TinybirdMetricExporter, lambda kept: kept.export(_otel.metrics_data())),
        (TinybirdMetricExporter, lambda kept: kept.export(odd_metrics(math.nan, 1, 10**400))),
    ],
)
def test_what_is_encoded_in_one_go_is_the_same_row(make, server, kind, make_items):
    """The short way from a record to a line, byte for byte, gives what the long way gives."""
    kept, bodies = Keeping(), []
    make_items(kept)
    for options in ({}, {"redact": lambda row: row}):  # a function that may change rows has to see them
        server.requests.clear()
        exporter = make(kind, compression=None, delivery="fire_and_forget", **options)
        for item in kept.items:
            exporter.export(item if kind is TinybirdMetricExporter else [item])
        assert exporter.force_flush()
        bodies.append([request.body for request in server.requests])
    assert bodies[0] == bodies[1]
    assert b"".join(bodies[0]).count(b"\n") >= len(kept.items)
