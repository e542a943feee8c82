"""Nothing that was promised is lost in a store beyond the machine.

A process logs acknowledged rows with ``journal=True`` and writes down each number once the logging call has returned.
The Events API is down for the middle half of the rows, every tenth call to the store is refused, and the process is
killed (SIGKILL) three times. Then another process sends what is left, and every number must have arrived.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from tests._kafka import running_kafka
from tests._s3 import running_s3
from tests._server import EventsServer
from tests.chaos._crew import say
from tests.process._run import environment

WORKER = """
import json, logging, os, sys, time
import tinylog
first, last, promises, options = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4])
handler = tinylog.TinybirdHandler("chaos", delivery="ack", journal=True, flush_interval=0.1, timeout=2,
                                  backoff_base=0.05, backoff_cap=0.5, max_batch_rows=500, **options)
log = logging.Logger("chaos")
log.addHandler(handler)
file = os.open(promises, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
log.error("hello", extra={"n": -1})
for number in range(first, last):
    log.error("row", extra={"n": number})
    os.write(file, b"%07d\\n" % number)
    if number % 50 == 0:
        time.sleep(0.003)
if first == last:
    sys.stdin.read()
handler.close()
"""


@contextlib.contextmanager
def store(kind: str, folder: Path, rows: int):
    """Start a store that refuses every tenth call; gives its URL, and what mends it and counts its batches."""
    if kind == "s3":
        with running_s3() as s3:
            s3.every(10)
            place = s3.place("chaos", lease=2, max_retries=0, directory=folder / "spill")
            yield place, lambda: s3.every(0)
    elif kind == "kafka":
        with running_kafka() as kafka:
            kafka.tell("tenth", rows)
            yield f"kafka://{kafka.servers}/chaos?directory={folder / 'spill'}", lambda: _messages(kafka.servers)
    else:
        yield str(folder / "spill"), lambda: 0


def run(kind: str, folder: Path, rows: int) -> dict:
    """Make trouble, then look at what has arrived."""
    server, promises = EventsServer(), folder / "promised"
    with store(kind, folder, rows) as (place, mend):
        env = environment(server, place)
        try:
            kills = _suffer(server, env, promises, rows)
            stored = mend()
            began = time.monotonic()
            promised = {int(line) for line in promises.read_bytes().split()}
            turns = _drain(server, env, promises, promised)
        finally:
            with contextlib.suppress(Exception):
                server.stop()
    found = [row for row in server.rows if row["n"] >= 0]
    return {
        "store": kind,
        "batches_in_the_store": stored,
        "promised": len(promised),
        "killed": kills,
        "lost": len(promised - {row["n"] for row in found}),
        "arrived": len(found),
        "duplicates": len(found) - len({row["n"] for row in found}),
        "duplicates_after_limit_1_by_id": len({row["id"] for row in found}) - len({row["n"] for row in found}),
        "drain_seconds": round(time.monotonic() - began, 1),
        "drain_turns": turns,
    }


def _messages(servers: str) -> int:
    """Count what a topic has been given."""
    reader = Consumer({"bootstrap.servers": servers, "group.id": "count"})
    try:
        return sum(reader.get_watermark_offsets(TopicPartition("chaos", number))[1] for number in range(4))
    finally:
        reader.close()


def _start(env: dict, first: int, last: int, promises: Path):
    command = [sys.executable, "-c", WORKER, str(first), str(last), str(promises), "{}"]
    return subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _suffer(server: EventsServer, env: dict, promises: Path, rows: int) -> int:
    """Give the number of kills."""
    todo = [(0.2, "kill"), (0.25, "down"), (0.45, "kill"), (0.7, "kill"), (0.75, "up")]
    kills, process = 0, _start(env, 0, rows, promises)
    while process.poll() is None:
        done = promises.stat().st_size // 8 if promises.exists() else 0
        while todo and done >= todo[0][0] * rows:
            what = todo.pop(0)[1]
            if what == "down":
                server.stop()
            elif what == "up":
                server.start()
            else:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                kills += 1
                # The next number may have been logged, and not written down.
                process = _start(env, int(promises.read_bytes().split()[-1]) + 2, rows, promises)
        time.sleep(0.01)
    process.communicate()
    assert process.returncode == 0
    assert not todo, todo
    return kills


def _drain(server: EventsServer, env: dict, promises: Path, promised: set) -> int:
    """Start processes that send what is left, until all has arrived or time is over; gives how many."""
    for turn in range(1, 9):
        process = _start(env, 0, 0, promises)
        end = time.monotonic() + 12
        while time.monotonic() < end and promised - {row["n"] for row in list(server.rows)}:
            time.sleep(0.2)
        process.communicate()
        if not promised - {row["n"] for row in server.rows}:
            return turn
    return 8


def main():
    """Run it over each store, print the figures, and fail if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("stores", nargs="*", default=["directory", "s3", "kafka"])
    asked = parser.parse_args()
    wrong = 0
    for kind in asked.stores:
        with tempfile.TemporaryDirectory(prefix="tinylog-chaos-") as folder:
            figures = run(kind, Path(folder), asked.rows)
        say(json.dumps(figures))
        wrong += figures["lost"] + figures["duplicates_after_limit_1_by_id"]
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
