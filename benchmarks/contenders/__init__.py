"""What a contender is, and the table of all of them.

A contender's package is imported only in the process that measures it: the table names the function that opens it.
"""

import importlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Opened:
    """What a contender gives to the workload.

    Attributes:
        log: a `logging.Logger` of level INFO with this handler only, or a structlog logger.
        finish: flushes and closes as the contender documents it.
        stats: the contender's own ledger, if it keeps one. Of `submitted` and `accounted` the benchmark takes the
            difference, `queued` says how many records are in memory.
    """

    log: Any
    finish: Callable[[], Any]
    stats: Callable[[], Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class Contender:
    """One row of the table.

    Attributes:
        name: unique.
        place: `module:function` of what opens it; the module is one of this package.
        door: `logging`, `structlog`, or `otel` for OpenTelemetry's handler behind `logging`.
        local: sends nothing; each call counts as delivered.
        calls: the most calls in one run of the short version; 0 for no limit. The slow ones have one.
        full_calls: likewise with `--full`.
        acknowledges: whether a critical record is treated in another way than the rest.
    """

    name: str
    place: str
    door: str = "logging"
    local: bool = False
    calls: int = 0
    full_calls: int = 0
    acknowledges: bool = False

    def open(self, address: str, scratch: Path, lossless: bool) -> Opened:
        """Import and open it.

        Args:
            address: of the sink, `http://127.0.0.1:PORT`.
            scratch: an empty folder.
            lossless: set it against loss, by whatever settings it has for that.
        """
        module, _, function = self.place.partition(":")
        return getattr(importlib.import_module(f"benchmarks.contenders.{module}"), function)(address, scratch, lossless)


def logger_with(name: str, handler: logging.Handler) -> logging.Logger:
    """Make a logger that has this handler only, as an application's own would be but for the root."""
    log = logging.getLogger(f"benchmark.{name}")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(handler)
    return log


_SLOW = {"calls": 20_000, "full_calls": 200_000}
_ONE_BY_ONE = {"calls": 3_000, "full_calls": 20_000}  # a request for each record: a second for a thousand

CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender("null", "stdlib:open_null", local=True),
        Contender("file", "stdlib:open_file", local=True),
        Contender("tinylog", "own:open_tinylog", acknowledges=True),
        Contender("tinylog_plain", "own:open_plain", acknowledges=True, calls=100_000),
        Contender("tinylog_speed", "own:open_speed", acknowledges=True),
        Contender("tinylog_structlog", "own:open_structlog", "structlog", acknowledges=True, calls=100_000),
        Contender("tinylog_otel", "own:open_otel", "otel", acknowledges=True, calls=50_000),
        Contender("tinylog_outage", "own:open_outage", acknowledges=True),
        Contender("tinylog_bound", "own:open_bound", acknowledges=True),
        Contender("bare", "bare:open_bare"),
        Contender("handwritten", "stdlib:open_handwritten", calls=100_000),
        Contender("structlog_null", "structlogs:open_null", "structlog", local=True, calls=100_000),
        Contender("structlog_file", "structlogs:open_file", "structlog", local=True, calls=100_000),
        Contender("otel_null", "otel:open_null", "otel", local=True, calls=50_000),
        Contender("otlp", "otel:open_otlp", "otel", calls=50_000),
        Contender("axiom", "axiom:open_axiom", **_SLOW),
        Contender("logtail", "logtail:open_logtail", **_SLOW),
        Contender("sentry", "sentry:open_sentry", **_SLOW),
        Contender("verdin", "verdin:open_verdin", **_SLOW),
        Contender("loki", "loki:open_loki", **_ONE_BY_ONE),
        Contender("tinybird_sdk", "tinybird_sdk:open_tinybird_sdk", **_ONE_BY_ONE),
        Contender("tinybird_sdk_sync", "tinybird_sdk:open_tinybird_sdk_sync", **_ONE_BY_ONE),
    )
}
