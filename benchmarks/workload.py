"""The fresh process: one contender, one scenario, and what can be measured from inside as one line of JSON.

`driver.py` runs it, and adds what the sink saw.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import resource
import sys
import threading
import time
import traceback
from array import array
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks import calls, places
from benchmarks.contenders import CONTENDERS, Opened
from benchmarks.scenarios import SCENARIOS, Scenario

PERCENTS = {"p10": 0.1, "p50": 0.5, "p99": 0.99, "p999": 0.999}
MB = 1e6


def run(opened: Opened, scenario: Scenario, *, door: str, count: int, critical: bool, timed: bool) -> dict[str, Any]:
    """Log, and finish unless the scenario forbids it.

    The CPU time and the end-to-end time begin with the first call and end when `finish` has returned.
    """
    method = opened.log.error if critical else opened.log.info
    call = calls.by_structlog if door == "structlog" else calls.by_logging
    make = calls.fields if scenario.lazy else calls.prepared
    shares = [
        range(count * at // scenario.threads, count * (at + 1) // scenario.threads) for at in range(scenario.threads)
    ]
    work = [(make(share), array("q", bytes(8 * len(share))) if timed else None) for share in shares]
    gc.collect()
    speed = calls.calibrate()
    resident = _restarted_peak()
    used, began = _cpu(), time.perf_counter()
    _call(call, method, work, scenario)
    called = time.perf_counter()
    figures = {
        "calls_s": called - began,
        "calls_cpu_s": _cpu() - used,
        "calls_peak_mb": (_memory("VmHWM") - resident) / MB,
    }
    if scenario.dead:
        figures["grown_mb"] = (_memory("VmRSS") - resident) / MB
        figures["ledger_down"] = dict(opened.stats()) if opened.stats else None
    if scenario.finishes:
        finishing = time.perf_counter()
        opened.finish()
        ended = time.perf_counter()
        figures |= {"shutdown_s": ended - finishing, "end_to_end_s": ended - began, "cpu_s": _cpu() - used}
        figures["ledger"] = dict(opened.stats()) if opened.stats else None
    figures["peak_mb"] = (_memory("VmHWM") - resident) / MB
    figures["calibration_ns"] = (speed + calls.calibrate()) / 2 if scenario.finishes else speed
    figures["caller_us"] = _summary(durations for _, durations in work) if timed else None
    return figures


def _call(call: calls.Calls, method: Callable[..., None], work: list, scenario: Scenario) -> None:
    def one(rows: Iterable[calls.Fields], durations: array[int] | None) -> None:
        call(method, calls.at_a_rate(rows, scenario.rate, scenario.tick) if scenario.rate else rows, durations)

    if len(work) == 1:
        one(*work[0])
        return
    threads = [threading.Thread(target=one, args=share) for share in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _summary(durations: Iterable[array[int]]) -> dict[str, float]:
    ordered = sorted(itertools.chain.from_iterable(durations))
    last = len(ordered) - 1
    found = {name: ordered[round(share * last)] / 1000 for name, share in PERCENTS.items()}
    return {**found, "max": ordered[-1] / 1000, "mean": sum(ordered) / len(ordered) / 1000}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _restarted_peak() -> int:
    """Forget the peak of resident memory so far; gives what is resident now, in bytes."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _memory("VmRSS")


def _memory(name: str) -> int:
    """Read `VmRSS`, resident memory now, or `VmHWM`, its peak, in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


def main() -> None:
    """Open the contender, run the scenario, print the figures; the process' end is part of what is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--address", required=True)
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="file for the line; contenders print to stdout")
    parser.add_argument("--core", type=int)
    parser.add_argument("--lossless", action="store_true")
    parser.add_argument("--untimed", action="store_true")
    asked = parser.parse_args()
    places.pin(asked.core)
    contender, scenario = CONTENDERS[asked.contender], SCENARIOS[asked.scenario]
    try:
        opened = contender.open(asked.address, asked.scratch, asked.lossless)
        critical = scenario.critical and contender.acknowledges
        figures = run(
            opened, scenario, door=contender.door, count=asked.calls, critical=critical, timed=not asked.untimed
        )
    except Exception as error:
        traceback.print_exc()
        figures = {"error": f"{type(error).__name__}: {error}"}
    asked.out.write_text(json.dumps(figures | {"ended_at": time.monotonic()}), encoding="utf-8")
    if "error" in figures:
        sys.stderr.flush()
        os._exit(1)  # a contender that failed may never end by itself


if __name__ == "__main__":
    main()
