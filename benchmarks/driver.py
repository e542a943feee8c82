"""Run one contender through one scenario in a fresh process, and print everything about it as one line of JSON.

``python -m benchmarks.driver tinylog burst1 --calls 20000`` runs a sink of its own; ``--address`` names another.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from benchmarks import places
from benchmarks.contenders import CONTENDERS
from benchmarks.scenarios import SCENARIOS

TAIL = 600  # characters of what a failed process said


@dataclass(frozen=True)
class Task:
    """What to measure: one process' worth."""

    contender: str
    scenario: str
    calls: int
    lossless: bool = False
    timed: bool = True


def measure(address: str, task: Task, core: int | None) -> dict[str, Any]:
    """Take one measurement; what goes wrong is in it as `error`.

    Args:
        address: of the sink.
        task: what to measure.
        core: where the process is to run; None for anywhere.
    """
    scenario = SCENARIOS[task.scenario]
    places.ask(address, "/_reset?" + urlencode({"latency": scenario.latency, "fault": scenario.fault}), "POST")
    with tempfile.TemporaryDirectory(prefix="tinylog-benchmark-") as folder:
        scratch = Path(folder)
        figures = {"calls": task.calls, "timed": task.timed}
        with places.dead_end(listening=scenario.stalled) as dead_end:
            figures |= _run(dead_end if scenario.dead else address, task, core, scratch)
        if "error" in figures:
            return figures
        seen = places.ask(address, f"/_report?expected={task.calls}")
        kept, size = _kept(scratch / "spill", seen["missing"])
    figures |= _counted(figures, seen, kept, CONTENDERS[task.contender].local)
    if size and figures["queued_down"]:
        figures["queued_mb"] = size * figures["queued_down"] / 1e6
    if seen["troubles"]:
        figures["error"] = f"the sink cannot read {seen['undecodable']} requests, such as {seen['troubles'][0]}"
    return figures


def _run(target: str, task: Task, core: int | None, scratch: Path) -> dict[str, Any]:
    """Run the process; gives what it measured."""
    out = scratch / "figures.json"
    command = [sys.executable, "-m", "benchmarks.workload", task.contender, task.scenario, "--calls", str(task.calls)]
    command += ["--address", target, "--scratch", str(scratch), "--out", str(out)]
    command += ["--core", str(core)] if core is not None else []
    command += ["--lossless"] * task.lossless + ["--untimed"] * (not task.timed)
    with (scratch / "said").open("w+b") as said:
        try:
            outcome = subprocess.run(
                command,
                cwd=places.ROOT,
                env=places.environment(),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                timeout=places.PATIENCE_S,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            outcome = f"none within {places.PATIENCE_S} s"
        ended = time.monotonic()
    figures = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    if outcome != 0 or not figures:
        words = (scratch / "said").read_text("utf-8", "replace")[-TAIL:]
        return {"error": figures.get("error", f"exit status: {outcome}"), "said": words}
    left = ended - figures.pop("ended_at")
    if "shutdown_s" not in figures:  # the program just ended, and what it still did is its way to finish
        figures["shutdown_s"] = left
    return {**figures, "exit_s": left}


def _kept(spill: Path, missing: list[tuple[int, int]]) -> tuple[int, float]:
    """Count the missing rows that are safe on disk, since the server is to get them later; and the bytes of one."""
    wanted = {number for start, end in missing for number in range(start, end)}
    found: set[int] = set()
    rows = size = 0
    for path in spill.glob("*.ndjson") if wanted else ():
        lines = path.read_bytes().splitlines(keepends=True)
        rows, size = rows + len(lines), size + sum(map(len, lines))
        found.update(json.loads(line).get("seq") for line in lines)
    return len(wanted & found), size / rows if rows else 0.0


def _counted(figures: Mapping[str, Any], seen: Mapping[str, Any], kept: int, local: bool) -> dict[str, Any]:
    """Put what the process measured and what the sink saw together. Times are per delivered row: a lost one is none."""
    calls = figures["calls"]
    delivered = calls if local else seen["distinct"]
    cpu, whole = figures.get("cpu_s"), figures.get("end_to_end_s")
    ledger, down = figures.get("ledger") or {}, figures.get("ledger_down") or {}
    known = "submitted" in ledger
    return {
        "sink": {name: value for name, value in seen.items() if name != "missing"},
        "delivered": delivered,
        "lost": None if local else calls - delivered - kept,
        "kept_on_disk": kept,
        "duplicated": None if local else seen["duplicates"],
        "cpu_us_row": 1e6 * cpu / delivered if cpu is not None and delivered else None,
        "rows_per_s": delivered / whole if whole and delivered else None,
        "wire_bytes_row": seen["wire_bytes"] / delivered if delivered and not local else None,
        "faulted": seen["faulted"],
        # Within the ledger; and of what the sink did not see, as far as the ledger has no column for it.
        "unaccounted": ledger["submitted"] - ledger["accounted"] if known else None,
        "unexplained": calls - seen["distinct"] - kept - sum(ledger["dropped"].values()) if known else None,
        "queued_down": down.get("queued"),
        "bytes_queued_row": 1e6 * figures["grown_mb"] / down["queued"] if down.get("queued") else None,
    }


def main() -> None:
    """Take one measurement, with a sink of its own unless one is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--calls", type=int, help="default: the scenario's")
    parser.add_argument("--address", help="of a sink that runs already")
    parser.add_argument("--lossless", action="store_true")
    parser.add_argument("--untimed", action="store_true", help="do not time each call, which costs")
    asked = parser.parse_args()
    core, side = places.measured_core(), places.side_core()
    calls = asked.calls or SCENARIOS[asked.scenario].calls
    task = Task(asked.contender, asked.scenario, calls, asked.lossless, not asked.untimed)
    if asked.address:
        places.pin(side)
        figures = measure(asked.address, task, core)
    else:
        with places.running_sink() as address:
            places.pin(side)
            figures = measure(address, task, core)
    named = {"contender": task.contender, "scenario": task.scenario, "lossless": task.lossless}
    sys.stdout.write(json.dumps(named | figures) + "\n")
    sys.exit("error" in figures)


if __name__ == "__main__":
    main()
