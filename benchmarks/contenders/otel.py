"""OpenTelemetry's SDK: `logging`'s handler, the batching processor, and OTLP over HTTP with gzip."""

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

from . import Opened, logger_with

QUEUE = 2_000_000  # records, against loss: more than any scenario logs. The default is 2,048


def open_otlp(address: str, scratch: Path, lossless: bool) -> Opened:  # noqa: ARG001
    """Export to a collector; without loss, the processor's queue holds everything."""
    from opentelemetry.exporter.otlp.proto.http import Compression  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter  # noqa: PLC0415

    exporter = OTLPLogExporter(endpoint=f"{address}/v1/logs", compression=Compression.Gzip)
    return Opened(*pipeline("otlp", exporter, lossless))


def open_null(address: str, scratch: Path, lossless: bool) -> Opened:  # noqa: ARG001
    """Open the floor: the same pipeline with an exporter that does nothing. Its queue holds everything, always."""
    from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult  # noqa: PLC0415

    class NullExporter(LogRecordExporter):
        def export(self, batch: Any) -> LogRecordExportResult:  # noqa: ARG002
            return LogRecordExportResult.SUCCESS

        def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002
            return True

        def shutdown(self) -> None:
            pass

    return Opened(*pipeline("otel_null", NullExporter(), lossless=True))


def pipeline(name: str, exporter: Any, lossless: bool) -> tuple[logging.Logger, Callable[[], None]]:
    """Put an exporter behind `logging`; gives the logger, and what flushes and ends it all."""
    provider = LoggerProvider()
    provider.add_log_record_processor(
        BatchLogRecordProcessor(exporter, **({"max_queue_size": QUEUE} if lossless else {}))
    )
    log = logger_with(name, _handler(provider))

    def finish() -> None:
        provider.force_flush()
        provider.shutdown()

    return log, finish


def _handler(provider: LoggerProvider) -> logging.Handler:
    """Make the documented handler, or, where that package is not installed, the SDK's own that it replaces."""
    try:
        from opentelemetry.instrumentation.logging.handler import LoggingHandler  # noqa: PLC0415
    except ImportError:
        from opentelemetry.sdk._logs import LoggingHandler  # noqa: PLC0415

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return LoggingHandler(logger_provider=provider)
    return LoggingHandler(logger_provider=provider)
