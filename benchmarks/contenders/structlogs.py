"""structlog as its page on performance has it: a filtering logger, cached, and bytes by orjson.

https://www.structlog.org/en/stable/performance.html
"""

import logging
from pathlib import Path
from typing import Any

import structlog

from . import Opened


def open_null(address: str, scratch: Path, lossless: bool) -> Opened:  # noqa: ARG001
    """Open the floor: what structlog's own part of the call costs."""
    return Opened(_configured(_end), lambda: None)


def open_file(address: str, scratch: Path, lossless: bool) -> Opened:  # noqa: ARG001
    """Write each event as a line of JSON."""
    import orjson  # noqa: PLC0415

    file = (scratch / "benchmark.log").open("wb")
    chain = (
        structlog.processors.format_exc_info,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.JSONRenderer(serializer=orjson.dumps),
    )
    return Opened(_configured(*chain, logger_factory=structlog.BytesLoggerFactory(file)), file.close)


def _end(*_: Any) -> None:
    raise structlog.DropEvent


def _configured(*chain: Any, **options: Any) -> Any:
    structlog.configure(
        cache_logger_on_first_use=True,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, *chain],
        **options,
    )
    return structlog.get_logger()
