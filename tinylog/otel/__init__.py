"""The doors for OpenTelemetry: exporters of logs, spans and metrics for Tinybird's OpenTelemetry Data Sources.

::

    provider.add_span_processor(BatchSpanProcessor(TinybirdSpanExporter()))

or, without a line of code, `OTEL_TRACES_EXPORTER=tinybird` (also `OTEL_LOGS_EXPORTER`, `OTEL_METRICS_EXPORTER`) with
`OTEL_TINYBIRD_TOKEN` and `OTEL_TINYBIRD_API_HOST`, under `opentelemetry-instrument`; or `tinybird:` in a declarative
configuration file, with the arguments of the exporter as its keys.
"""

from __future__ import annotations

from tinylog.errors import MissingExtraError

try:
    import opentelemetry.sdk.version  # noqa: F401 - only to know
except ImportError:
    raise MissingExtraError("tinylog.otel", "otel") from None

from tinylog.otel._exporters import TinybirdLogExporter, TinybirdSpanExporter
from tinylog.otel._metrics import TinybirdMetricExporter
from tinylog.otel._observe import observe

__all__ = ["TinybirdLogExporter", "TinybirdMetricExporter", "TinybirdSpanExporter", "observe"]
