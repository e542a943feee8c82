"""Which contender runs through which scenario, how often, and what the rounds of it come to."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.contenders import CONTENDERS
from benchmarks.scenarios import SCENARIOS

STANDARD = ("null", "file", "tinylog", "handwritten", "otlp")
OWN = ("tinylog_speed", "tinylog_plain")
DOORS = ("structlog_null", "structlog_file", "tinylog_structlog", "otel_null", "tinylog_otel")
OTHERS = ("axiom", "logtail", "sentry", "verdin", "loki", "tinybird_sdk", "tinybird_sdk_sync")
SHIPPERS = ("tinylog", "handwritten", "otlp")
SAFE = (*SHIPPERS, *OWN, "tinylog_otel", "logtail", "sentry", "verdin")  # those with settings against loss


@dataclass(frozen=True)
class Run:
    """One kind of measurement.

    Attributes:
        timed: time each call, which slows all of them down a little; else measure speed and CPU time.
        main: done in every round, since a bar hangs on it; the others in half as many.
        full: part of the full version only.
    """

    scenario: str
    contender: str
    lossless: bool = False
    timed: bool = False
    main: bool = True
    full: bool = False

    def calls(self, *, full: bool, most: int | None) -> int:
        """Say how many calls one round has."""
        scenario, contender = SCENARIOS[self.scenario], CONTENDERS[self.contender]
        asked, limit = (scenario.calls, contender.full_calls) if full else (scenario.short, contender.calls)
        return min(asked, limit or asked, most or asked)


def _runs() -> Iterator[Run]:
    for contender in (*STANDARD, "bare", *OWN, *DOORS, *OTHERS):
        for timed in (True, False):
            yield Run("burst1", contender, timed=timed, main=contender not in OTHERS)
    for contender in SAFE:
        yield Run("burst1", contender, lossless=True, main=contender not in OTHERS)
    for contender in STANDARD:
        yield Run("burst8", contender, timed=True, full=True)
        yield Run("burst8", contender)
    for contender in (*STANDARD, *OTHERS):
        yield Run("paced", contender, timed=True, main=contender in STANDARD, full=contender in OTHERS)
    for contender in SHIPPERS:
        yield Run("memory", contender, main=False, full=contender != "tinylog")
        yield Run("slow20", contender, main=False)
        yield Run("slow100", contender, main=False)
    for contender in (*SHIPPERS, "tinylog_structlog", "tinylog_otel", *OTHERS):
        yield Run("exit", contender, main=False)
    yield Run("faults", "tinylog", main=False)
    for contender in (*SHIPPERS[1:], *OTHERS):
        yield Run("faults", contender, lossless=True, main=False, full=contender in OTHERS)
    yield Run("down", "tinylog_outage", main=False)
    yield Run("stalled8", "tinylog_bound", main=False)


def chosen(contenders: Collection[str] | None, scenarios: Collection[str] | None, *, full: bool) -> list[Run]:
    """Choose what to run, in order of the scenarios. What is asked for by its contender's name is never left out."""
    order = list(SCENARIOS)
    runs = [
        run
        for run in _runs()
        if (full or contenders or not run.full)
        and (not contenders or run.contender in contenders)
        and (not scenarios or run.scenario in scenarios)
    ]
    return sorted(runs, key=lambda run: order.index(run.scenario))


def summed_up(taken: Mapping[Run, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Turn rounds into measurements: medians, of times scaled to the machine's usual speed, and the worst of losses.

    Timed and untimed rounds make one measurement: latencies come from the former, speed and CPU time from the latter.
    """
    speeds = [one["calibration_ns"] for rounds in taken.values() for one in rounds if "error" not in one]
    reference = median(speeds) if speeds else None
    groups: dict[tuple[str, str, bool], list[Mapping[str, Any]]] = {}
    for run, rounds in taken.items():
        groups.setdefault((run.contender, run.scenario, run.lossless), []).extend(rounds)
    return [
        {"contender": contender, "lossless": lossless, "scenario": scenario, **_measurement(rounds, reference)}
        for (contender, scenario, lossless), rounds in groups.items()
        if rounds
    ]


def _measurement(rounds: Sequence[Mapping[str, Any]], reference: float | None) -> dict[str, Any]:
    good = [one for one in rounds if "error" not in one]
    errors = [one["error"] for one in rounds if "error" in one]
    if not good:
        return {"calls": rounds[0]["calls"], "error": errors[0], "rounds": list(rounds)}
    timed = [one for one in good if one["timed"]]
    untimed = [one for one in good if not one["timed"]] or timed

    def scale(one: Mapping[str, Any]) -> float:
        return reference / one["calibration_ns"]

    percentiles = {
        name: median(one["caller_us"][name] * scale(one) for one in timed)
        for name in (timed[0]["caller_us"] if timed else ())
    }
    return {
        "calls": good[0]["calls"],
        "caller_us": percentiles or None,
        "cpu_us_row": _middle(one["cpu_us_row"] and one["cpu_us_row"] * scale(one) for one in untimed),
        "rows_per_s": _middle(one["rows_per_s"] and one["rows_per_s"] / scale(one) for one in untimed),
        **{name: _middle(one.get(name) for one in untimed) for name in _MIDDLE},
        **{name: _worst(one[name] for one in good) for name in _WORST},
        "calibration_ns": median(one["calibration_ns"] for one in good),
        "failed_rounds": len(errors),
        "rounds": list(rounds),
    }


_MIDDLE = (
    "peak_mb",
    "calls_peak_mb",
    "shutdown_s",
    "wire_bytes_row",
    "bytes_queued_row",
    "queued_down",
    "queued_mb",
    "faulted",
)
_WORST = ("lost", "duplicated", "kept_on_disk", "unaccounted", "unexplained")


def _middle(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _worst(values: Iterator[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return max(known, key=abs) if known else None
