"""Nothing that was promised is lost: workers with a journal are killed while the server fails in every way.

Four workers log acknowledged rows with ``journal=True``. Each writes down the number of a row once the logging call has
returned. They are killed (SIGKILL) at random moments and replaced; the server answers 503, 500, 429, 400 and 413,
resets, stalls, breaks off answers, goes away and is killed too. In the end a good server is started on the same data,
one process sends what the others have left, and SQL must find every number that was written down.

The seed repeats the server's dice and the order of the kills. Which request and which row they meet is a matter of
timing, so that a seed repeats the conditions of a run, not the run.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from tests.chaos._crew import POISON, TABLE, Crew, dead_letters, drain, is_poison, left, say
from tests.chaos._events import Events, counted, numbers, one
from tinylog import TinybirdHandler

POISONED = f"400~{POISON}"
FAULTS = (
    "503:0.05",
    "500:0.03",
    "429@40/s",
    "reset:0.04",
    "cut:0.04",
    "stall:3s:0.01",  # longer than the workers' time-out
    POISONED,
    "413>100KB",
    "down:2s/9s",
)


def run(folder: Path, rows: int, seed: int, *, workers: int, life: float, era: float, journal: bool = True) -> dict:
    """Make trouble until so many rows are promised, then look at what is left.

    Args:
        folder: for everything.
        rows: to be promised, at least.
        seed: of the server's dice and of the kills.
        workers: processes at the same time.
        life: seconds between two kills.
        era: seconds until the server goes away, or is killed.
        journal: without one, rows in memory are lost at each kill: to see that this would be noticed.
    """
    random, events = Random(seed), Events(folder / "data", seed)
    events.prepare()
    options = {
        "token": events.token, "host": events.url, "spill": str(folder / "spill"), "delivery": "ack",
        "journal": journal, "flush_interval": 0.1, "timeout": 2, "backoff_base": 0.1, "backoff_cap": 1.0,
        "max_batch_rows": 1000, "max_batch_bytes": "512KiB", "max_row_bytes": "64KiB",
    }  # fmt: skip
    with Crew(folder, options, preloaded=TinybirdHandler(TABLE, **options)) as crew:
        for _ in range(workers):
            crew.start()
        answers, eras = _suffer(crew, events, rows, random, life=life, era=era)
        with events.serving(POISONED) as server:  # a bad row stays a bad row
            time.sleep(life)  # the survivors see that it works again
            crew.stop()
            waited = len(left(options))
            drain(folder, options, 300)
            told = {"seed": seed, "lives": crew.lives, "killed": crew.killed, "server_eras": eras, "answers": answers}
            return {**told, "files_left_by_the_crew": waited, **_check(crew, options, server)}


def _suffer(crew: Crew, events: Events, rows: int, random: Random, *, life: float, era: float):
    """Give the server's answers, and how often it was there."""
    answers: Counter[str] = Counter()
    eras = 0
    while len(crew.promised()) < rows:
        eras += 1
        with events.serving(*FAULTS) as server:
            _kill(crew, random, life, era)
            answers.update(counted(server))
            if eras % 2:
                server.process.kill()  # what it has acknowledged must survive that
        _kill(crew, random, life, era / 3)
    return dict(answers), eras


def _kill(crew: Crew, random: Random, life: float, seconds: float):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(min(random.expovariate(1 / life), max(0.0, end - time.monotonic())))
        crew.kill_one(random)


def _check(crew: Crew, options: dict, server) -> dict:
    promised, found, dead = crew.promised(), numbers(server), dead_letters(options)
    poison = {number for number in promised if is_poison(number)}
    once = f"SELECT n FROM {TABLE} WHERE n IS NOT NULL LIMIT 1 BY id"
    return {
        "promised": len(promised),
        "lost": len(promised - poison - found),
        "in_table": one(server, f"SELECT count() FROM {TABLE}"),
        "duplicates": one(server, f"SELECT count() - uniqExact(id) FROM {TABLE}"),
        "duplicates_after_limit_1_by_id": one(server, f"SELECT count() - uniqExact(n) FROM ({once})"),
        "quarantined": one(server, f"SELECT count() FROM {TABLE}_quarantine"),
        "poison_promised": len(poison),
        "poison_lost": len(poison - dead),
        "poison_in_table": sum(map(is_poison, found)),
        "dead_that_are_not_poison": sum(number is None or not is_poison(number) for number in dead),
        "torn_files": len(list((Path(options["spill"]) / "corrupt").glob("*"))),
        "files_left": left(options),
    }  # fmt: skip


MUST_BE_NOTHING = (
    "lost", "duplicates_after_limit_1_by_id", "quarantined", "poison_lost", "poison_in_table",
    "dead_that_are_not_poison", "files_left",
)  # fmt: skip


def main():
    """Run it, print the figures, and fail if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--life", type=float, default=0.7, help="seconds between two kills, on average")
    parser.add_argument("--era", type=float, default=12.0, help="seconds until the server goes away")
    parser.add_argument("--no-journal", action="store_true", help="see that losses are noticed")
    parser.add_argument("--folder", type=Path, help="keep everything here")
    asked = parser.parse_args()
    say(f"chaos: {asked.rows} rows or more, --seed {asked.seed}, faults {' '.join(FAULTS)}")
    with tempfile.TemporaryDirectory(prefix="tinylog-chaos-") as scratch:
        folder, journal = asked.folder or Path(scratch), not asked.no_journal
        figures = run(
            folder, asked.rows, asked.seed, workers=asked.workers, life=asked.life, era=asked.era, journal=journal
        )
    say(json.dumps(figures, indent=1))
    wrong = [name for name in MUST_BE_NOTHING if figures[name]]
    say(f"WRONG: {', '.join(wrong)}" if wrong else f"0 lost of {figures['promised']} promised rows")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
