"""Logs, spans and metrics with the OpenTelemetry SDK. Needs: pip install 'tinylog-tinybird[otel]'

Start `tinylog dev` in another terminal and set the two variables that it prints, or set TINYBIRD_TOKEN. The rows are
those of Tinybird's OpenTelemetry template: otel_logs, otel_traces and otel_metrics_*.
"""

import time

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tinylog.otel import TinybirdLogExporter, TinybirdMetricExporter, TinybirdSpanExporter

resource = Resource.create({"service.name": "shop"})
loggers = LoggerProvider(resource=resource)
loggers.add_log_record_processor(BatchLogRecordProcessor(TinybirdLogExporter()))
tracers = TracerProvider(resource=resource)
tracers.add_span_processor(BatchSpanProcessor(TinybirdSpanExporter()))
meters = MeterProvider([PeriodicExportingMetricReader(TinybirdMetricExporter())], resource)

orders = meters.get_meter("shop").create_counter("orders", unit="{order}")
latency = meters.get_meter("shop").create_histogram("latency", unit="s")

with tracers.get_tracer("shop").start_as_current_span("pay", attributes={"order_id": 17}):
    began = time.perf_counter()
    loggers.get_logger("shop").emit(
        LogRecord(
            timestamp=time.time_ns(),
            severity_text="ERROR",
            severity_number=SeverityNumber.ERROR,  # acknowledged, as spans with an error status are
            body="card refused",
            attributes={"order_id": 17},
        )
    )
    orders.add(1, {"method": "card"})
    latency.record(time.perf_counter() - began)

for provider in (tracers, loggers, meters):  # the end of the process does it too
    provider.shutdown()
