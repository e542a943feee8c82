"""Many processes share a rate limit that they know nothing of: 64 workers, one Data Source, 100 requests a second.

Left to themselves they would make 320 requests a second. The server counts what it sees, refused requests included.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import requests

from tests._devserver import DEADLINE
from tests.chaos._crew import TABLE, Crew, drain, left, say
from tests.chaos._events import Events, numbers, one


def run(folder: Path, seconds: float, seed: int, *, workers: int, limit: int, flush_interval: float) -> dict:
    """Log for a while, then count.

    Args:
        folder: for everything.
        seconds: to log for.
        seed: of the server.
        workers: processes.
        limit: requests a second that the server takes.
        flush_interval: of the workers, in seconds.
    """
    events = Events(folder / "data", seed)
    events.prepare()
    options = {
        "token": events.token, "host": events.url, "spill": str(folder / "spill"), "delivery": "ack",
        "flush_interval": flush_interval,
    }  # fmt: skip
    with Crew(folder, options, burst=1, pause=flush_interval / 2) as crew, events.serving(f"429@{limit}/s") as server:
        for _ in range(workers):
            crew.start()
        time.sleep(seconds)
        crew.stop()
        timeline = requests.get(f"{server.url}/v0/_faults", timeout=DEADLINE).json()["seconds"]
    ledgers = crew.ledgers()
    with events.serving() as server:
        drain(folder, options, 300)
        once = one(server, f"SELECT uniqExact(id) FROM {TABLE}")
        return {
            "seed": seed,
            "offered": workers / flush_interval,
            **_rates(timeline[: int(seconds)]),
            "logged": len(crew.promised()),
            "lost": len(crew.promised() - numbers(server)),
            "dropped": sum(sum(ledger.dropped.values()) for ledger in ledgers),
            "spilled": sum(ledger.spilled for ledger in ledgers),
            "duplicates": one(server, f"SELECT count() FROM {TABLE}") - once,
            "files_left": left(options),
        }


def _rates(timeline: list[dict]) -> dict:
    """Requests a second, and how many of them were refused, at the beginning and in the last third."""
    phases = {"first_5_s": timeline[:5], "last_third": timeline[-max(1, len(timeline) // 3) :]}
    figures: dict = {"requests_by_second": [second["requests"] for second in timeline]}
    for name, phase in phases.items():
        figures[f"requests_per_s_{name}"] = round(sum(second["requests"] for second in phase) / len(phase), 1)
        figures[f"refused_per_s_{name}"] = round(sum(second.get("429", 0) for second in phase) / len(phase), 1)
    figures["refused"] = sum(second.get("429", 0) for second in timeline)
    return figures


def main():
    """Run it, print the figures, and fail if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--limit", type=int, default=100, help="requests a second that the server takes")
    parser.add_argument("--flush-interval", type=float, default=0.2)
    parser.add_argument("--folder", type=Path, help="keep everything here")
    asked = parser.parse_args()
    say(f"swarm: {asked.workers} workers for {asked.seconds:g} s, --seed {asked.seed}, limit {asked.limit} requests/s")
    with tempfile.TemporaryDirectory(prefix="tinylog-swarm-") as scratch:
        figures = run(
            asked.folder or Path(scratch), asked.seconds, asked.seed,
            workers=asked.workers, limit=asked.limit, flush_interval=asked.flush_interval,
        )  # fmt: skip
    say(json.dumps(figures))
    bad = figures["lost"] or figures["dropped"] or figures["files_left"]
    say("WRONG: rows were lost" if bad else f"0 lost of {figures['logged']} rows")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
