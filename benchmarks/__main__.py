"""Run the benchmark: every contender by turns, round after round; then the results, the report and the plots."""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import driver, imports, places, plan, report
from benchmarks.contenders import CONTENDERS
from benchmarks.scenarios import named

MEASURED_TOO = ("orjson", "requests", "urllib3", "opentelemetry-instrumentation-logging")
IMPORT_ROUNDS = 15
ROUNDS, FULL_ROUNDS = 3, 5


def run(asked: argparse.Namespace, core: int | None, side: int | None) -> dict[str, Any]:
    """Take all measurements that are asked for; what is done so far is on disk after each scenario."""
    contenders = asked.contenders.split(",") if asked.contenders else None
    scenarios = [name for name in (asked.scenarios or "").split(",") if name]
    with_imports = not contenders and (not scenarios or "imports" in scenarios)
    scenarios = [name for name in scenarios if name != "imports"]
    wanted = named(",".join(scenarios)) if scenarios else None
    runs = [] if asked.scenarios and not scenarios else plan.chosen(contenders, wanted, full=asked.full)
    rounds = asked.rounds or (FULL_ROUNDS if asked.full else ROUNDS)
    version = "full" if asked.full else "short"
    results: dict[str, Any] = {
        "machine": machine(),
        "version": version,
        "rounds": rounds,
        "most_calls": asked.calls,
        "measurements": [],
    }
    taken: dict[plan.Run, list[dict[str, Any]]] = {one: [] for one in runs}
    with places.running_sink() as address:
        places.pin(side)
        if with_imports:
            say("imports")
            results["imports"] = imports.measure(IMPORT_ROUNDS, core)
        for scenario in dict.fromkeys(one.scenario for one in runs):
            for count in range(rounds):
                for one in runs:
                    if one.scenario == scenario and (one.main or count < max(1, rounds // 2)):
                        calls = one.calls(full=asked.full, most=asked.calls)
                        taken[one].append(measured(address, one, calls, core, count))
            results["measurements"] = plan.summed_up(taken)
            (asked.out / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


def measured(address: str, one: plan.Run, calls: int, core: int | None, count: int) -> dict[str, Any]:
    """Take one measurement, and say in a line what came of it."""
    began = time.monotonic()
    task = driver.Task(one.contender, one.scenario, calls, one.lossless, one.timed)
    figures = driver.measure(address, task, core)
    kind = f"{'lossless ' * one.lossless}{'timed' if one.timed else ''}".strip()
    outcome = figures.get("error") or " ".join(
        f"{name} {figures[name]:.4g}" for name in ("cpu_us_row", "rows_per_s", "lost") if figures[name] is not None
    )
    took = time.monotonic() - began
    say(f"{one.scenario:8} {count + 1} {one.contender:18} {kind:14} {calls:9,} calls {took:5.1f} s  {outcome}")
    return figures


def machine() -> dict[str, Any]:
    """Describe where this is measured, and of what."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    git = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(git, cwd=places.ROOT, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "commit": commit or "unknown",
        "packages": packages(),
    }


def packages() -> dict[str, str]:
    """Give the versions of what is measured, as far as it is installed."""
    asked = (places.ROOT / "benchmarks" / "requirements.txt").read_text(encoding="utf-8")
    names = {*re.findall(r"^([\w-]+)==", asked, re.MULTILINE), *MEASURED_TOO}
    found = {one.metadata["Name"].lower(): one.version for one in importlib.metadata.distributions()}
    return {name: found.get(name, "not installed") for name in sorted(names)}


def plotted(results: dict[str, Any], folder: Path) -> list[Path]:
    """Draw the plots, or say why there are none."""
    try:
        from benchmarks import plots  # noqa: PLC0415
    except ImportError as error:
        say(f"no plots: {error}")
        return []
    return plots.draw(results, folder)


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Measure, or with --again only report what was measured before."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="more rounds, all calls, all contenders in every scenario")
    parser.add_argument("--contenders", help=f"default: all of {', '.join(CONTENDERS)}")
    parser.add_argument("--scenarios", help="such as burst1,slow,imports; default: all")
    parser.add_argument("--rounds", type=int, help=f"default: {ROUNDS}, or {FULL_ROUNDS} with --full")
    parser.add_argument("--calls", type=int, help="at most so many in each run: to try the benchmark out")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks"), help="default: build/benchmarks")
    parser.add_argument("--again", action="store_true", help="measure nothing: report on the folder's results.json")
    asked = parser.parse_args()
    for name in (asked.contenders or "null").split(","):
        if name not in CONTENDERS:
            parser.error(f"no such contender: {name}; there are {', '.join(CONTENDERS)}")
    asked.out.mkdir(parents=True, exist_ok=True)
    if asked.again:
        results = json.loads((asked.out / "results.json").read_text(encoding="utf-8"))
    else:
        results = run(asked, places.measured_core(), places.side_core())
        (asked.out / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    plots = plotted(results, asked.out)
    (asked.out / "results.md").write_text(report.markdown(results, plots), encoding="utf-8")
    say(report.table_of_bars(results))
    say(f"in {asked.out}: results.json, results.md, {len(plots)} plots")


if __name__ == "__main__":
    main()
