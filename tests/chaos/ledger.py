"""The ledgers add up to the table, to the row: workers without a journal that come to an end by themselves.

One row in five is acknowledged, the others are fire-and-forget. The faults are those of which both sides can be sure:
what is refused or reset is not stored. (After an answer that breaks off nobody can know, so that a fire-and-forget row
is then counted as lost, and is in the table.)
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos._crew import POISON, TABLE, Crew, dead_letters, drain, left, say
from tests.chaos._events import Events, counted, one

FAULTS = ("503:0.05", "500:0.03", "429@40/s", "reset:0.05", f"400~{POISON}", "413>100KB", "down:1s/6s")
RESULTS = ("delivered", "accepted", "quarantined", "spilled", "dead_lettered")


def run(folder: Path, rows: int, seed: int, workers: int) -> dict:
    """Log so many rows in all, then hold the ledgers against the table.

    Args:
        folder: for everything.
        rows: to be logged.
        seed: of the server's dice.
        workers: processes.
    """
    events = Events(folder / "data", seed)
    events.prepare()
    options = {
        "token": events.token, "host": events.url, "spill": str(folder / "spill"), "flush_interval": 0.1,
        "timeout": 60, "backoff_base": 0.1, "backoff_cap": 1.0, "max_batch_rows": 1000, "max_batch_bytes": "512KiB",
        "max_row_bytes": "64KiB", "max_attempts": 3,
    }  # fmt: skip
    with Crew(folder, options, rows=rows // workers, ack_every=5) as crew, events.serving(*FAULTS) as server:
        for _ in range(workers):
            crew.start()
        crew.join()
        answers = counted(server)
    with events.serving(f"400~{POISON}") as server:
        drain(folder, options, 300)
        return {"seed": seed, "answers": answers, **_check(crew, options, server)}


def _check(crew: Crew, options: dict, server) -> dict:
    ledgers = crew.ledgers()
    columns = {name: sum(getattr(ledger, name) for ledger in ledgers) for name in ("submitted", *RESULTS)}
    dropped: dict[str, int] = {}
    for ledger in ledgers:
        for reason, count in ledger.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + count
    kept = sum(columns[name] for name in RESULTS)
    table = one(server, f"SELECT uniqExact(id) + countIf(id IS NULL) FROM {TABLE}")
    return {
        **columns,
        "dropped": dropped,
        "logged": len(crew.promised()),
        "unbalanced_ledgers": sum(ledger.submitted != ledger.accounted or ledger.queued > 0 for ledger in ledgers),
        "in_table_once": table,
        "dead_letters": len(dead_letters(options)),
        "files_left": left(options),
        "difference": kept - table - len(dead_letters(options)),
        "difference_submitted": columns["submitted"] - kept - sum(dropped.values()),
    }


MUST_BE_NOTHING = ("unbalanced_ledgers", "files_left", "difference", "difference_submitted")


def main():
    """Run it, print the figures, and fail if they do not add up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--folder", type=Path, help="keep everything here")
    asked = parser.parse_args()
    say(f"ledger: {asked.rows} rows, --seed {asked.seed}, faults {' '.join(FAULTS)}")
    with tempfile.TemporaryDirectory(prefix="tinylog-ledger-") as scratch:
        figures = run(asked.folder or Path(scratch), asked.rows, asked.seed, asked.workers)
    say(json.dumps(figures, indent=1))
    wrong = [name for name in MUST_BE_NOTHING if figures[name]]
    say(f"WRONG: {', '.join(wrong)}" if wrong else f"{figures['submitted']} rows accounted for, to the row")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
