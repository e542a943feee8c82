"""tinylog: its handler, its structlog processor and its OpenTelemetry exporter."""

import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tinylog import Stats, TinybirdHandler

from . import Opened, logger_with

# What a user who wants every row sets; the last two are for a benchmark that must not end early.
LOSSLESS = {"delivery": "ack", "when_full": "block", "block_timeout": 60, "shutdown_timeout": 60}


def open_tinylog(address: str, scratch: Path, lossless: bool) -> Opened:
    """Open the handler on its defaults; without loss, every record is acknowledged and a full queue blocks."""
    return _handler("tinylog", address, scratch, LOSSLESS if lossless else {})


def open_plain(address: str, scratch: Path, lossless: bool) -> Opened:
    """As above, without compression."""
    return _handler("tinylog_plain", address, scratch, {"compression": None, **(LOSSLESS if lossless else {})})


def open_speed(address: str, scratch: Path, lossless: bool) -> Opened:
    """As `open_tinylog`, with the extra `speed`."""
    return _handler("tinylog_speed", address, scratch, LOSSLESS if lossless else {}, speed=True)


def open_outage(address: str, scratch: Path, lossless: bool) -> Opened:  # noqa: ARG001
    """Keep every row in the queue while the server is down, for the memory of a queued record."""
    # A queue that is half full would spill, and so would the last of five attempts.
    roomy = {"max_queue_rows": 10_000_000, "max_queue_bytes": "1GiB", "max_attempts": 1000}
    return _handler("tinylog_outage", address, scratch, {"delivery": "ack", **roomy})


def open_bound(address: str, scratch: Path, lossless: bool) -> Opened:  # noqa: ARG001
    """Let nothing but the default byte bound limit the queue while the server does not answer."""
    return _handler("tinylog_bound", address, scratch, {"delivery": "ack", "max_queue_rows": 10_000_000})


def open_structlog(address: str, scratch: Path, lossless: bool) -> Opened:
    """Chain the processor as README.md does, but let it end the chain: nothing is printed."""
    import structlog  # noqa: PLC0415

    from tinylog.structlog import TinybirdProcessor  # noqa: PLC0415

    options = {**_place(address, scratch), **(LOSSLESS if lossless else {})}
    processor = TinybirdProcessor("benchmark", terminal=True, **options)
    structlog.configure(
        cache_logger_on_first_use=True,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, processor],
    )
    return Opened(structlog.get_logger(), processor.close, _ledger(processor.stats))


def open_otel(address: str, scratch: Path, lossless: bool) -> Opened:
    """Put the exporter behind the pipeline that the OTLP contender has."""
    from benchmarks.contenders.otel import pipeline  # noqa: PLC0415
    from tinylog.otel import TinybirdLogExporter  # noqa: PLC0415

    exporter = TinybirdLogExporter("benchmark", **_place(address, scratch), **(LOSSLESS if lossless else {}))
    log, finish = pipeline("tinylog_otel", exporter, lossless)
    return Opened(log, finish, _ledger(exporter.stats))


def _handler(name: str, address: str, scratch: Path, options: dict[str, Any], *, speed: bool = False) -> Opened:
    handler = TinybirdHandler("benchmark", **_place(address, scratch, speed=speed), **options)
    return Opened(logger_with(name, handler), handler.close, _ledger(handler.stats))


def _place(address: str, scratch: Path, *, speed: bool = False) -> dict[str, Any]:
    if not speed:
        sys.modules["isal"] = None  # type: ignore[assignment] # as if the extra `speed` were not installed
    return {"token": "benchmark", "host": address, "spill": scratch / "spill"}


def _ledger(stats: Callable[[], Stats]) -> Callable[[], Mapping[str, Any]]:
    def read() -> dict[str, Any]:
        taken = stats()
        return {
            "submitted": taken.submitted,
            "accounted": taken.accounted,
            "delivered": taken.delivered + taken.accepted,
            "spilled": taken.spilled,
            "dropped": dict(taken.dropped),
            "queued": taken.queued + taken.in_flight,
            "requests": taken.requests,
        }

    return read
