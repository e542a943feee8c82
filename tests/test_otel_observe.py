"""tinylog's own state as OpenTelemetry metrics."""

from __future__ import annotations

import logging
import subprocess
import sys

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import tinylog
from tests._server import error
from tests.conftest import TOKEN
from tinylog.otel import observe


def collected(reader):
    """All points as {(metric, component, reason): value}."""
    [resource] = reader.get_metrics_data().resource_metrics
    return {
        (metric.name, point.attributes["otel.component.name"], point.attributes.get("error.type")): point.value
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }


def test_queues_and_deliveries_are_metrics(server, tmp_path):
    """Whoever watches a service by its metrics sees there when log rows pile up or are lost, and why."""
    options = {"token": TOKEN, "host": server.url, "spill": tmp_path / "spill", "flush_interval": 60}
    handler = tinylog.TinybirdHandler("observed", max_queue_rows=3, max_batch_rows=3, **options)
    logger = logging.Logger("app")
    logger.addHandler(handler)
    for number in range(4):
        logger.info("%d", number)
    logger.error("critical")
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    observe(provider)
    observe(provider)
    assert handler.flush()
    server.answer = error(400)
    logger.error("bad")
    handler.flush()
    found = {key: value for key, value in collected(reader).items() if key[1].startswith("tinylog/observed/")}
    ack, faf = "tinylog/observed/ack", "tinylog/observed/fire_and_forget"
    assert found["otel.sdk.processor.log.processed", faf, "queue_full"] == 1
    assert found["otel.sdk.processor.log.processed", ack, None] == 2
    assert found["otel.sdk.exporter.log.exported", ack, None] == 1
    assert found["otel.sdk.exporter.log.exported", ack, "rejected"] == 1
    assert found["otel.sdk.exporter.log.inflight", ack, None] == 0
    assert found["otel.sdk.processor.log.queue.size", ack, None] == 0
    assert found["otel.sdk.processor.log.queue.capacity", faf, None] == 3
    provider.shutdown()
    handler.close()


def test_the_sdks_own_switch_turns_them_on():
    """One variable turns on the self-monitoring of the SDK and of our exporters alike."""
    code = """
import os
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from tinylog.otel import TinybirdSpanExporter
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
exporter = TinybirdSpanExporter(token="t", host="http://127.0.0.1:9")
data = reader.get_metrics_data()
print(sorted(m.name for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics) if data else [])
"""
    env = {"PATH": "", "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED": "true"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert "otel.sdk.processor.log.queue.size" in done.stdout
    env = {"PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert "otel.sdk.processor.log.queue.size" not in done.stdout
