"""The rows in Data Sources with the columns of Tinybird's OpenTelemetry template, on a local Events API."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests import _otel, _template
from tests._devserver import dev_server, running_dev_server  # noqa: F401 - a fixture
from tests.test_otel_rows import GOLDEN, odd_metrics
from tinylog.otel import TinybirdLogExporter, TinybirdMetricExporter, TinybirdSpanExporter

# Before there was a package for it, the SDK exported what `logging` logs only when asked to.
HAS_HANDLER = importlib.util.find_spec("opentelemetry.instrumentation") and importlib.util.find_spec(
    "opentelemetry.instrumentation.logging"
)
OLD_SWITCH = {} if HAS_HANDLER else {"OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true"}

PROGRAM = """
import logging, time
from opentelemetry import metrics, trace

logging.getLogger("shop").error("card refused", extra={"customer": "c1"})
logging.getLogger("shop").warning("slow")
meter = metrics.get_meter("shop")
meter.create_counter("orders").add(3, {"shop": "a"})
meter.create_histogram("latency").record(12.5)
meter.create_gauge("queue").set(7)
with trace.get_tracer("shop").start_as_current_span("pay", attributes={"n": 1}):
    logging.getLogger("shop").warning("inside")
"""


def options(server):
    """Settings for exporters to a `tinylog dev`."""
    return {"token": server.token, "host": server.url, "spill": "off", "delivery": "ack"}


@pytest.fixture
def template(dev_server, fresh_name):  # noqa: F811 - the fixture
    """Create the template's Data Sources under names of this test's own; gives the names."""
    names = {name: f"{fresh_name}_{name}" for name in _template.COLUMNS}
    for name, own in names.items():
        _template.create(dev_server, name, own)
    return names


def expected(kind, value):
    """What a SELECT gives for a field's value in a column of this type."""
    if "DateTime64(9)" in kind and isinstance(value, list):
        return [expected("DateTime64(9)", item) for item in value]
    if kind == "DateTime64(9)":
        whole, _, fraction = value.removesuffix("Z").replace("T", " ").partition(".")
        return f"{whole}.{fraction:0<9}"
    if kind == "DateTime":
        return value[:19].replace("T", " ")
    return value


def plain(value):
    """Forget whether a number came as text, which 64-bit integers do in ClickHouse's JSON."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, str) and value.lstrip("-").isdecimal():
        return Decimal(value)
    return Decimal(str(value)) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


@pytest.mark.parametrize("name", list(_template.COLUMNS))
def test_golden_rows_come_back_from_the_template(dev_server, template, name):  # noqa: F811 - the fixture
    """The template's dashboards find every value in its column, and nothing is in quarantine."""
    rows = json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    sent = dev_server.send(template[name], rows)
    assert sent == {"successful_rows": len(rows), "quarantined_rows": 0}
    columns = ", ".join(column for column, _, _ in _template.COLUMNS[name])
    found = dev_server.sql(f"SELECT {columns} FROM {template[name]} FORMAT JSON")
    wanted = [
        {column: plain(expected(kind, row.get(field))) for column, kind, field in _template.COLUMNS[name]}
        for row in rows
    ]
    got = [{column: plain(value) for column, value in row.items()} for row in found]
    assert sorted(got, key=repr) == sorted(wanted, key=repr)


def test_exporters_fill_the_template(dev_server, template):  # noqa: F811 - the fixture
    """All three exporters, with names of one's own, fill all six Data Sources, odd values included."""
    to = options(dev_server)
    logs = TinybirdLogExporter(template["otel_logs"], **to)
    spans = TinybirdSpanExporter(template["otel_traces"], **to)
    kinds = ("gauge", "sum", "histogram", "exponential_histogram")
    metrics = TinybirdMetricExporter(**{kind: template[f"otel_metrics_{kind}"] for kind in kinds}, **to)
    _otel.emit_logs(logs)
    _otel.end_spans(spans)
    end_a_huge_span(spans)
    metrics.export(_otel.metrics_data())
    metrics.export(odd_metrics(math.nan, math.inf, -math.inf, 2**70))
    for exporter in (logs, spans, metrics):
        assert exporter.force_flush()
        exporter.shutdown()
        stats = exporter.stats()
        assert stats.submitted == stats.delivered
    counts = {name: count(dev_server, own) for name, own in template.items()}
    assert list(counts.values()) == [6, 9, 2 + 4, 3 + 1, 2 + 2, 1]
    (row,) = dev_server.sql(f"SELECT countIf(isNaN(Value)) AS n FROM {template['otel_metrics_gauge']} FORMAT JSON")
    assert int(row["n"]) == 1


def end_a_huge_span(exporter):
    """End one span with 100,000 attributes, and one with 20,000 events."""
    limits = SpanLimits(*[SpanLimits.UNSET] * 4)
    provider = TracerProvider(resource=_otel.RESOURCE, span_limits=limits, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("x")
    tracer.start_span("attributes", attributes={f"key.{n}": n for n in range(100_000)}).end()
    span = tracer.start_span("events")
    for number in range(20_000):
        span.add_event("e", {"n": number})
    span.end()


def count(server, name):
    """How many rows a Data Source has."""
    return int(server.sql(f"SELECT count() AS n FROM {name} FORMAT JSON")[0]["n"])


def run(server, tmp_path, **environ):
    """Run an unmodified program under `opentelemetry-instrument` with nothing but environment variables."""
    command = shutil.which("opentelemetry-instrument", path=str(Path(sys.executable).parent))
    if command is None:
        pytest.skip("opentelemetry-distro is not installed")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    environ = {
        **os.environ,
        "OTEL_SERVICE_NAME": "checkout",
        "OTEL_TINYBIRD_TOKEN": server.token,
        "OTEL_TINYBIRD_API_HOST": server.url,
        "TINYLOG_DELIVERY": "ack",  # so that rows can be read as soon as the program has ended
        **OLD_SWITCH,
        **environ,
    }
    done = subprocess.run(
        [sys.executable, command, sys.executable, program],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # Not "Traceback": on Python 3.12, OpenTelemetry's own handler fails to start a thread when the process ends.
    assert f"tinylog{os.sep}" not in done.stderr, done.stderr


def assert_filled(server):
    """Check what the program must have left."""
    rows = server.sql("SELECT Body, ServiceName, TraceId, LogAttributes FROM otel_logs ORDER BY Body FORMAT JSON")
    bodies = {row["Body"]: row for row in rows if row["Body"] in {"card refused", "inside", "slow"}}
    assert set(bodies) == {"card refused", "inside", "slow"}
    assert bodies["card refused"]["LogAttributes"]["customer"] == "c1"
    assert {row["ServiceName"] for row in bodies.values()} == {"checkout"}
    (span,) = server.sql("SELECT SpanName, TraceId, ServiceName, SpanAttributes FROM otel_traces FORMAT JSON")
    assert (span["SpanName"], span["SpanAttributes"]) == ("pay", {"n": "1"})
    assert bodies["inside"]["TraceId"] == span["TraceId"]
    for kind, name in (("sum", "orders"), ("histogram", "latency"), ("gauge", "queue")):
        (found,) = server.sql(f"SELECT count() AS n FROM otel_metrics_{kind} WHERE MetricName = '{name}' FORMAT JSON")
        assert int(found["n"]) == 1


def test_opentelemetry_instrument_by_environment_alone(tmp_path):
    """A program that knows nothing of tinylog fills the template's Data Sources."""
    with running_dev_server() as server:
        for name in _template.COLUMNS:
            _template.create(server, name)
        run(
            server,
            tmp_path,
            OTEL_LOGS_EXPORTER="tinybird",
            OTEL_TRACES_EXPORTER="tinybird",
            OTEL_METRICS_EXPORTER="tinybird",
        )
        assert_filled(server)


DECLARATIVE = """
file_format: "1.0"
resource:
  attributes:
    - {name: service.name, value: checkout}
logger_provider:
  processors: [{batch: {exporter: {tinybird: {delivery: ack}}}}]
tracer_provider:
  processors: [{batch: {exporter: {tinybird: {max_batch_rows: 100}}}}]
meter_provider:
  readers: [{periodic: {exporter: {tinybird: }}}]
"""


def test_declarative_configuration(tmp_path):
    """The exporters and their settings can be written in OpenTelemetry's configuration file."""
    pytest.importorskip("opentelemetry.configuration")
    (tmp_path / "otel.yaml").write_text(DECLARATIVE)
    with running_dev_server() as server:
        for name in _template.COLUMNS:
            _template.create(server, name)
        run(server, tmp_path, OTEL_CONFIG_FILE=str(tmp_path / "otel.yaml"))
        assert_filled(server)
