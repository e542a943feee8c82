"""The doors for OpenTelemetry: how they deliver, what they answer, and how they live together with everything else."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings

import pytest

pytest.importorskip("opentelemetry.sdk")

import requests
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricExportResult, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import Status, StatusCode

import tinylog
import tinylog.structlog
from tests import _otel
from tests._otel import NOW, RESOURCE
from tests._server import error
from tests.conftest import TOKEN
from tests.test_otel_rows import make, rows_of  # noqa: F401 - a fixture
from tinylog import ConfigurationError
from tinylog.otel import TinybirdLogExporter, TinybirdMetricExporter, TinybirdSpanExporter
from tinylog.otel._compat import LogRecordExportResult

ERROR, INFO, WARN = SeverityNumber.ERROR, SeverityNumber.INFO, SeverityNumber.WARN


def emit(exporter, body, severity=INFO, **attributes):
    """Emit one log record through a provider of its own."""
    logger = _otel.logger_provider(exporter).get_logger("shop")
    _otel.emit(
        logger, timestamp=NOW, observed_timestamp=NOW, body=body, severity_number=severity, attributes=attributes
    )


def end(exporter, name, status=StatusCode.UNSET, **attributes):
    """End one span through a provider of its own."""
    span = _otel.tracer_provider(exporter).get_tracer("shop").start_span(name, attributes=attributes)
    span.set_status(Status(status))
    span.end()


def waiting(server, field):
    """Which rows were acknowledged, by the value of one field."""
    return {row[field]: request.waits for request in server.requests for row in request.rows}


# -- delivery --------------------------------------------------------------------------------------------------------


def test_errors_are_acknowledged(make, server):  # noqa: F811 - the fixture
    """What a user cannot afford to lose, errors and failed spans, is sent until it is written; the rest once."""
    logs, spans, metrics = make(TinybirdLogExporter), make(TinybirdSpanExporter), make(TinybirdMetricExporter)
    emit(logs, "info")
    emit(logs, "error", ERROR)
    emit(logs, "paid", INFO, tinylog_delivery="ack")
    emit(logs, "noise", ERROR, tinylog_delivery="fire_and_forget")
    end(spans, "fine", StatusCode.OK)
    end(spans, "failed", StatusCode.ERROR)
    end(spans, "charge", StatusCode.OK, tinylog_delivery="ack")
    metrics.export(_otel.metrics_data())
    assert all([logs.force_flush(), spans.force_flush(), metrics.force_flush()])
    assert {row["body"]: r.waits for r in server.requests for row in r.rows if "body" in row} == {
        "info": False,
        "error": True,
        "paid": True,
        "noise": False,
    }
    names = {row["span_name"]: r.waits for r in server.requests for row in r.rows if "span_name" in row}
    assert names == {"fine": False, "failed": True, "charge": True}
    assert {r.waits for r in server.requests if r.params["name"].startswith("otel_metrics")} == {False}
    assert not any("tinylog_delivery" in str(row) for r in server.requests for row in r.rows)


@pytest.mark.parametrize(("delivery", "waits"), [("ack", True), ("fire_and_forget", False)])
def test_delivery_can_be_the_same_for_all(make, server, delivery, waits):  # noqa: F811 - the fixture
    """A user can make everything, metrics included, or nothing acknowledged."""
    logs, spans, metrics = (
        make(kind, delivery=delivery) for kind in (TinybirdLogExporter, TinybirdSpanExporter, TinybirdMetricExporter)
    )
    emit(logs, "info")
    emit(logs, "error", ERROR)
    end(spans, "failed", StatusCode.ERROR)
    metrics.export(_otel.metrics_data())
    assert all([logs.force_flush(), spans.force_flush(), metrics.force_flush()])
    assert {request.waits for request in server.requests} == {waits}


@pytest.mark.parametrize(
    ("ack_level", "expected"), [("WARNING", {"info": False, "warn": True}), (25, {"info": False, "warn": True})]
)
def test_ack_level_is_a_logging_level(make, server, ack_level, expected):  # noqa: F811 - the fixture
    """The setting means the same for all doors."""
    exporter = make(TinybirdLogExporter, ack_level=ack_level)
    emit(exporter, "info", INFO)
    emit(exporter, "warn", WARN)
    assert exporter.force_flush()
    assert waiting(server, "body") == expected


def test_export_answers_failure_when_rows_are_refused(make, server):  # noqa: F811 - the fixture
    """The SDK's own counts of failed exports are right: a full queue and a closed exporter are failures."""
    server.answer = error(503)
    limits = {"max_queue_rows": 1, "flush_interval": 60, "max_attempts": 1}
    spans, metrics = make(TinybirdSpanExporter, **limits), make(TinybirdMetricExporter, **limits)
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("x")
    ended = [tracer.start_span(str(number)) for number in range(2)]
    for span in ended:
        span.end()
    assert spans.export(ended) is SpanExportResult.FAILURE
    assert metrics.export(_otel.metrics_data()) is MetricExportResult.FAILURE
    assert spans.stats().dropped == {"queue_full": 1}
    logs = make(TinybirdLogExporter)
    logs.shutdown()
    logs.shutdown()
    assert logs.export([]) is LogRecordExportResult.SUCCESS
    emit(logs, "late")
    assert logs.stats().dropped == {"closed": 1}


def test_a_broken_span_costs_only_itself(make, server):  # noqa: F811 - the fixture
    """A span that some other library got wrong does not take its batch with it, nor raise."""
    exporter = make(TinybirdSpanExporter)
    good = TracerProvider(shutdown_on_exit=False).get_tracer("x").start_span("good")
    good.end()
    broken = TracerProvider(shutdown_on_exit=False).get_tracer("x").start_span("broken")
    broken._links = [object()]
    assert exporter.export([broken, good]) is SpanExportResult.FAILURE
    exporter.force_flush()
    assert [row["span_name"] for row in rows_of(server, "otel_traces")] == ["good"]
    assert exporter.stats().dropped == {"error": 1}


def test_force_flush_and_shutdown_tell_the_truth(make, server, tmp_path):  # noqa: F811 - the fixture
    """A flush that did not deliver says so, also with no time at all, and a shutdown keeps what it cannot deliver."""
    server.answer = error(503)
    exporter = make(TinybirdLogExporter, spill=tmp_path / "spill", backoff_base=0.01, backoff_cap=0.02)
    emit(exporter, "error", ERROR)
    assert exporter.force_flush(timeout_millis=0) is False
    assert exporter.force_flush(timeout_millis=50) is False
    exporter.shutdown(timeout_millis=0)
    stats = exporter.stats()
    assert (stats.submitted, stats.spilled, stats.queued) == (1, 1, 0)
    server.answer = server.success
    fresh = make(TinybirdLogExporter)
    emit(fresh, "fine")
    assert fresh.force_flush(timeout_millis=30_000) is True
    assert fresh.force_flush(0) is True


# -- under the SDK's processors and readers ----------------------------------------------------------------------------


def test_batch_processors(make, server):  # noqa: F811 - the fixture
    """The SDK's batch processors hand over everything, and their shutdown delivers it."""
    spans = make(TinybirdSpanExporter)
    tracers = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(spans))
    for number in range(1000):
        tracers.get_tracer("x").start_span(str(number)).end()
    tracers.shutdown()
    assert len(rows_of(server, "otel_traces")) == 1000


def collect(exporter, temporality=None):
    """Measure twice with a periodic reader, and shut down."""
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider([reader], RESOURCE, shutdown_on_exit=False)
    counter = provider.get_meter("x").create_counter("orders")
    histogram = provider.get_meter("x").create_histogram("latency")
    for _ in range(2):
        counter.add(3)
        histogram.record(2.0)
        provider.force_flush()
    provider.shutdown()


def test_periodic_reader_cumulative_and_delta(make, server):  # noqa: F811 - the fixture
    """A user chooses the temporality and the aggregation, and the rows say which it is."""
    collect(make(TinybirdMetricExporter))
    values = [row["value"] for row in rows_of(server, "otel_metrics_sum")]
    assert values[:2] == [3, 6]
    assert {row["aggregation_temporality"] for row in rows_of(server, "otel_metrics_sum")} == {2}
    server.requests.clear()
    preferred = {Counter: AggregationTemporality.DELTA, Histogram: AggregationTemporality.DELTA}
    exponential = {Histogram: ExponentialBucketHistogramAggregation()}
    collect(make(TinybirdMetricExporter, preferred_temporality=preferred, preferred_aggregation=exponential))
    assert [row["value"] for row in rows_of(server, "otel_metrics_sum")] == [3, 3]
    assert [row["count"] for row in rows_of(server, "otel_metrics_exponential_histogram")] == [1, 1]
    assert {row["aggregation_temporality"] for row in rows_of(server, "otel_metrics_exponential_histogram")} == {1}


LATE = """
import sys
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()  # its exit function is registered before tinylog's, and so runs after it
from tinylog.otel import TinybirdSpanExporter

exporter = TinybirdSpanExporter(token="t", host=sys.argv[1], spill="off", delivery=sys.argv[2])
provider.add_span_processor(BatchSpanProcessor(exporter))
for number in range(700):
    provider.get_tracer("x").start_span(str(number)).end()
"""


@pytest.mark.parametrize("delivery", ["ack", "fire_and_forget"])
def test_exit_delivers_in_any_order(server, tmp_path, delivery):
    """Spans that a provider hands over at the very end of the process arrive, whatever was imported first."""
    done = subprocess.run(
        [sys.executable, "-c", LATE, server.url, delivery], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "Traceback" not in done.stderr
    assert len(rows_of(server, "otel_traces")) == 700


# -- living together ---------------------------------------------------------------------------------------------------


def logging_handler(provider):
    """OpenTelemetry's handler for `logging`: the SDK's own is deprecated since it has a package of its own."""
    try:
        from opentelemetry.instrumentation.logging.handler import LoggingHandler  # noqa: PLC0415
    except ImportError:
        from opentelemetry.sdk._logs import LoggingHandler  # noqa: PLC0415
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return LoggingHandler(logger_provider=provider)


@pytest.fixture
def everything_logged():
    """Let a handler see every record of the process; gives the function that adds it."""
    root, level = logging.getLogger(), logging.getLogger().level
    handlers = []

    def add(handler):
        handlers.append(handler)
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)

    yield add
    root.setLevel(level)
    for handler in handlers:
        root.removeHandler(handler)


@pytest.mark.parametrize("batched", [False, True])
def test_our_own_records_are_not_exported(make, server, everything_logged, batched):  # noqa: F811 - the fixture
    """With everything logged, what the HTTP client says of our requests does not become rows for ever (pitfall 1)."""
    from opentelemetry.sdk._logs import LoggerProvider  # noqa: PLC0415
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, SimpleLogRecordProcessor  # noqa: PLC0415

    exporter = make(TinybirdLogExporter)
    provider = LoggerProvider(resource=RESOURCE, shutdown_on_exit=False)
    provider.add_log_record_processor((BatchLogRecordProcessor if batched else SimpleLogRecordProcessor)(exporter))
    everything_logged(logging_handler(provider))
    logging.getLogger("tinylog").warning("about ourselves")
    for number in range(3):
        logging.getLogger("till").info("order %d", number)
        provider.force_flush()
        assert exporter.force_flush()
    requests.get(server.url, timeout=5)  # the application's own, by the same HTTP client
    provider.force_flush()
    assert exporter.force_flush()
    provider.shutdown()
    rows = rows_of(server, "otel_logs")
    assert [row["body"] for row in rows if row["scope_name"] == "till"] == ["order 0", "order 1", "order 2"]
    others = {row["body"].split()[0] for row in rows if row["scope_name"].startswith("urllib3")}
    assert not any("/v0/events" in row["body"] for row in rows)
    assert others == {"Starting", server.url}
    assert not any(row["scope_name"] == "tinylog" for row in rows)


def test_our_requests_are_not_traced(make, server):  # noqa: F811 - the fixture
    """An instrumented HTTP client traces the application's requests, never the delivery of the traces."""
    instrumentation = pytest.importorskip("opentelemetry.instrumentation.requests")
    exporter = make(TinybirdSpanExporter)
    provider = _otel.tracer_provider(exporter)
    instrumentation.RequestsInstrumentor().instrument(tracer_provider=provider)
    try:
        with provider.get_tracer("shop").start_as_current_span("pay"):
            requests.get(server.url, timeout=5)
            assert exporter.force_flush()
        for _ in range(3):
            assert exporter.force_flush()
    finally:
        instrumentation.RequestsInstrumentor().uninstrument()
    assert [row["span_name"] for row in rows_of(server, "otel_traces")] == ["GET", "pay"]
    assert not any("traceparent" in request.headers for request in server.requests)


def test_all_doors_share_a_processor(make, server):  # noqa: F811 - the fixture
    """A program that uses everything at once has one connection and one queue for each Data Source, until the last."""
    options = {"token": TOKEN, "host": server.url, "spill": "off"}
    handler = tinylog.TinybirdHandler("logs", static_fields={"a": 1}, **options)
    processor = tinylog.structlog.TinybirdProcessor("logs", layout="otel", ack_level="INFO", **options)
    exporters = [make(kind) for kind in (TinybirdLogExporter, TinybirdSpanExporter, TinybirdMetricExporter)]
    other = tinylog.TinybirdHandler("logs", **options, timeout=3)
    doors = [handler._door, processor._door, *(exporter._door._door for exporter in exporters)]
    assert len({id(door._processor) for door in doors}) == 1
    assert other._door._processor is not handler._door._processor
    other.close()
    handler.handle(logging.makeLogRecord({"msg": "one", "levelno": 20}))
    handler.close()
    handler.handle(logging.makeLogRecord({"msg": "late", "levelno": 20}))
    processor(None, "info", {"event": "two"})
    emit(exporters[0], "three")
    for exporter in exporters:
        exporter.shutdown()
    assert not handler._door._processor.closed
    processor.close()
    assert handler._door._processor.closed
    assert [row.get("message", row.get("body")) for row in server.rows] == ["one", "three", "two"]
    assert handler.stats().dropped == {"closed": 1}


def test_injected_parts_are_shared_by_identity(server):
    """A test's scripted transport never gets another test's rows."""
    from tinylog.testing import ScriptedTransport  # noqa: PLC0415

    first, second = ScriptedTransport(), ScriptedTransport()
    options = {"token": TOKEN, "spill": "off"}
    handlers = [tinylog.TinybirdHandler("logs", transport=part, **options) for part in (first, second, first)]
    for number, handler in enumerate(handlers):
        handler.handle(logging.makeLogRecord({"msg": str(number), "levelno": 20}))
    for handler in handlers:
        handler.close()
    assert [row["message"] for row in first.rows] == ["0", "2"]
    assert [row["message"] for row in second.rows] == ["1"]


# -- settings ----------------------------------------------------------------------------------------------------------


def test_settings_by_environment(monkeypatch, server):
    """OpenTelemetry's own names of the variables come first, and every Data Source can be renamed."""
    monkeypatch.setenv("OTEL_TINYBIRD_TOKEN", "otel")
    monkeypatch.setenv("TINYBIRD_TOKEN", "plain")
    monkeypatch.setenv("OTEL_TINYBIRD_API_HOST", server.url)
    monkeypatch.setenv("TINYBIRD_HOST", "http://127.0.0.1:1")
    monkeypatch.setenv("TINYLOG_SPILL", "off")
    monkeypatch.setenv("TINYLOG_STATIC_FIELDS", "service=ignored,region=eu")
    monkeypatch.setenv("OTEL_TINYBIRD_LOGS_DATASOURCE", "my_logs")
    monkeypatch.setenv("OTEL_TINYBIRD_METRICS_SUM_DATASOURCE", "my_sums")
    logs, metrics = TinybirdLogExporter(), TinybirdMetricExporter()
    emit(logs, "x")
    metrics.export(_otel.metrics_data())
    logs.shutdown()
    metrics.shutdown()
    assert {request.headers["Authorization"] for request in server.requests} == {"Bearer otel"}
    names = {request.params["name"] for request in server.requests}
    assert {"my_logs", "my_sums", "otel_metrics_gauge"} <= names
    (row,) = rows_of(server, "my_logs")
    assert row["service_name"] == "shop"
    assert row["resource_attributes"]["region"] == "eu"


def test_settings_are_checked(server):
    """A mistake in a setting is named when the program starts, and no token is ever shown."""
    options = {"token": TOKEN, "host": server.url}
    for wrong in ({"layout": "flat"}, {"dleivery": "ack"}, {"datasource": "no-name!"}):
        with pytest.raises(ConfigurationError):
            TinybirdLogExporter(**options, **wrong)
    with pytest.raises(ConfigurationError):
        TinybirdMetricExporter(**options, gauge="no name")
    exporter = TinybirdSpanExporter("my_traces", **options)
    assert repr(exporter) == "<TinybirdSpanExporter my_traces>"
    exporter.shutdown()
