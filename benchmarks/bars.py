"""The bars: from results to rows of a table. Pure, and nothing here knows a figure: what is missing is not measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.scenarios import SCENARIOS
from benchmarks.sink import FAULTS

FLOOR, CPU = "null", "cpu_us_row"
HELD = 0.5  # of the rows, at least, must be in memory for its size to say something of a row's
ALLOCATOR_MB = 16 * 1024**2 / 1e6  # as in tests/chaos/outage.py: a batch on its way, and what the allocator keeps
BYTE_BOUND_MB = 64 * 1024**2 / 1e6  # the default of max_queue_bytes


@dataclass(frozen=True)
class Bar:
    """One row.

    Attributes:
        value: what was measured; None if it was not.
        reach: the bar.
        beyond: a higher bar, if there is one.
        unit: of all three.
        at_least: the bars are lower bounds; else upper ones.
    """

    figure: str
    value: float | None
    reach: float
    beyond: float | None = None
    unit: str = "x"
    at_least: bool = False

    @property
    def verdict(self) -> str:
        """Tell whether it is met."""
        if self.value is None:
            return "not measured"
        if self.beyond is not None and self._meets(self.beyond):
            return "beyond"
        return "met" if self._meets(self.reach) else "NOT met"

    def _meets(self, bar: float) -> bool:
        return self.value is not None and (self.value >= bar if self.at_least else self.value <= bar)


class Figures:
    """Looks figures up in results."""

    def __init__(self, results: Mapping[str, Any]) -> None:
        self._results = results
        self._found = {
            (taken["contender"], taken["scenario"], taken["lossless"]): taken for taken in results["measurements"]
        }

    def get(self, contender: str, scenario: str, name: str, *, lossless: bool = False) -> float | None:
        """Give one figure, `caller_us.p50` for one within another; None if it was not measured."""
        value: Any = self._found.get((contender, scenario, lossless))
        for part in name.split("."):
            value = value.get(part) if value else None
        return value

    def whole(self, contender: str, scenario: str, name: str) -> float | None:
        """Give a figure that says nothing unless the scenario was run as it is meant: None if it was not.

        That is: with all calls of the short version, with each kind of fault met, with the rows still in memory.
        """
        taken, meant = self._found.get((contender, scenario, False)) or {}, SCENARIOS[scenario]
        met = not meant.fault or taken.get("faulted", 0) >= len(FAULTS[meant.fault])
        held = not meant.down or taken.get("queued_down", 0) >= HELD * taken.get("calls", 0)
        return taken.get(name) if taken.get("calls", 0) >= meant.short and met and held else None

    def failed(self, contender: str) -> int | None:
        """Count the processes of those contenders whose name begins so that ended with an error."""
        rounds = [
            one for (who, *_), taken in self._found.items() if who.startswith(contender) for one in taken["rounds"]
        ]
        return sum("error" in one for one in rounds) if rounds else None

    def over(self, floor: str | None, contender: str, scenario: str, name: str, **options: bool) -> float | None:
        """Give what a figure is more than the floor's in the same scenario."""
        value = self.get(contender, scenario, name, **options)
        least = self.get(floor, scenario, name) if floor else 0.0
        return None if value is None or least is None else value - least

    def imported(self, own: str, other: str) -> float | None:
        """Compare times of two programs; see `imports.py`."""
        times = self._results.get("imports") or {}
        return _ratio(times.get(own), times.get(other))

    def largest(self, name: str, contender: str = "tinylog") -> float | None:
        """Give the largest of a figure over all scenarios of those contenders whose name begins so."""
        values = [
            abs(taken[name])
            for (who, *_), taken in self._found.items()
            if who.startswith(contender) and taken.get(name) is not None
        ]
        return max(values, default=None)


def bars(results: Mapping[str, Any]) -> list[Bar]:
    """Compute all rows."""
    figures = Figures(results)
    return [*_speed(figures), *_latency_and_memory(figures), *_loss(figures), *_doors(figures)]


def _speed(figures: Figures) -> Iterator[Bar]:
    caller = [figures.over(FLOOR, name, "burst1", "caller_us.p50") for name in ("tinylog", "file")]
    yield Bar("caller's time over the floor, of FileHandler's", _ratio(*caller), 0.45, 0.3)
    yield from _costs(figures, "tinylog", "")
    threads = _ratio(figures.get("tinylog", "burst8", CPU), figures.get("tinylog", "burst1", CPU))
    yield Bar("CPU a row with 8 threads, of that with one", threads, 1.3, 1.1)
    yield from _costs(figures, "tinylog_speed", "extra `speed`: ")


def _costs(figures: Figures, own: str, prefix: str) -> Iterator[Bar]:
    def cpu(other: str, *, lossless: bool = False) -> float | None:
        costs = [figures.over(FLOOR, name, "burst1", CPU, lossless=lossless) for name in (own, other)]
        return _ratio(*costs)

    def rate(other: str) -> float | None:
        return _ratio(*(figures.get(name, "burst1", "rows_per_s", lossless=True) for name in (own, other)))

    yield Bar(f"{prefix}CPU a row over the floor, gzip, of FileHandler's", cpu("file"), 0.6, 0.4)
    yield Bar(f"{prefix}CPU a row over the floor, of the hand-written one's", cpu("handwritten"), 1 / 4, 1 / 6)
    yield Bar(f"{prefix}CPU a row over the floor, of OpenTelemetry's OTLP", cpu("otlp"), 1 / 12, 1 / 20)
    # The default OTLP pipeline drops most of a burst, which makes a delivered row dear; this is the kinder comparison.
    yield Bar(f"{prefix}the same, both without loss", cpu("otlp", lossless=True), 1 / 12, 1 / 20)
    handwritten, otlp = rate("handwritten"), rate("otlp")
    yield Bar(f"{prefix}rows/s without loss, of the hand-written one's", handwritten, 2.4, 3, at_least=True)
    yield Bar(f"{prefix}rows/s without loss, of OpenTelemetry's OTLP", otlp, 6.5, 8, at_least=True)


def _latency_and_memory(figures: Figures) -> Iterator[Bar]:
    longest = (
        figures.get("tinylog", "burst1", "caller_us.p999") if figures.whole("tinylog", "burst1", "calls") else None
    )
    yield Bar("caller's p99.9 in a burst, flushing meanwhile", _times(longest, 1e-3), 1, 0.4, "ms")
    yield Bar(
        "caller's median over the floor, 2,000/s", figures.over(FLOOR, "tinylog", "paced", "caller_us.p50"), 20, 8, "µs"
    )
    yield Bar(
        "peak memory over the start, burst of 1,000,000", figures.whole("tinylog", "memory", "peak_mb"), 20, 8, "MB"
    )
    yield Bar("records of it that the ledger misses", figures.whole("tinylog", "memory", "unaccounted"), 0, unit="")
    yield Bar(
        "records of it lost but not counted as dropped", figures.whole("tinylog", "memory", "unexplained"), 0, unit=""
    )
    yield Bar(
        "memory a queued record, server down",
        figures.whole("tinylog_outage", "down", "bytes_queued_row"),
        600,
        450,
        "B",
    )
    rows, memory = (figures.whole("tinylog_bound", "stalled8", name) for name in ("queued_mb", "calls_peak_mb"))
    yield Bar("rows in a full queue, 8 busy threads, bound 64 MiB", rows, BYTE_BOUND_MB, unit="MB")
    yield Bar("memory of it, 16 MiB more for a batch on its way", memory, BYTE_BOUND_MB + ALLOCATOR_MB, unit="MB")
    yield Bar("import tinylog, of import requests", figures.imported("tinylog", "requests"), 1.3, 1.1)
    yield Bar(
        "with a handler, of requests with a Session", figures.imported("tinylog_handler", "requests_session"), 1.3, 1.1
    )


def _loss(figures: Figures) -> Iterator[Bar]:
    for figure, scenario in (
        ("lost, burst of 200,000, server at 20 ms", "slow20"),
        ("lost, plain exit after 2,000", "exit"),
        ("lost, critical, every third request 503, 429, reset", "faults"),
    ):
        yield Bar(figure, figures.whole("tinylog", scenario, "lost"), 0, unit="")
    yield Bar("records that the ledger misses, worst run of all", figures.largest("unaccounted"), 0, unit="")
    yield Bar("runs of tinylog that failed", figures.failed("tinylog"), 0, unit="")


def _doors(figures: Figures) -> Iterator[Bar]:
    caller = "caller_us.p50"

    def otel(contender: str, floor: str | None = None) -> float | None:
        return figures.over(floor, contender, "burst1", CPU, lossless=True)

    def structlog(contender: str) -> float | None:
        return figures.get(contender, "burst1", caller)

    yield Bar(
        "OpenTelemetry door, CPU a row, of OTLP's, both without loss",
        _ratio(otel("tinylog_otel"), otel("otlp")),
        1 / 3,
        1 / 6,
    )
    exporters = _ratio(otel("tinylog_otel", "otel_null"), otel("otlp", "otel_null"))
    yield Bar("the same over an exporter that does nothing", exporters, 1 / 3, 1 / 6)
    door = _ratio(structlog("tinylog_structlog"), structlog("structlog_file"))
    yield Bar("structlog door, caller's time, of structlog's into a file", door, 1.3, 1.0)


def _ratio(own: float | None, other: float | None) -> float | None:
    return own / other if own is not None and other is not None and other > 0 else None


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
