"""Count the instructions of a logging call, which no noise of a shared machine touches.

`python -m benchmarks.instructions` runs each door under `valgrind --tool=callgrind` with few and with many calls, and
takes the difference, so that starting up does not count. Held against the floor, a `NullHandler`: the ratios must not
exceed `LIMITS`, which CI checks.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path

FEW, MANY = 500, 4_500
_NOW = 1_800_000_000  # seconds
LIMITS = {"tinylog": 0.55, "tinylog_structlog": 1.6}
"""The most instructions over the floor's, as multiples of the floor's own."""
FLOORS = {"tinylog": "null", "file": "null", "tinylog_structlog": "structlog_null"}
NOWHERE = {"token": "t", "host": "http://127.0.0.1:1", "spill": False, "flush_interval": 3600, "shutdown_timeout": 0}


def log(door: str, calls: int) -> None:
    """Make the calls; nothing is delivered."""
    # Valgrind slows programs down fifty times, so that calls are far apart. By this clock they are 10 µs apart.
    time.time, time.time_ns = partial(next, count(_NOW, 1e-5)), partial(next, count(_NOW * 10**9, 10_000))
    if "structlog" in door:
        _structlog(door, calls)
        return
    from tinylog import TinybirdHandler  # noqa: PLC0415 - each door starts up alike

    logger = logging.getLogger("bench")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    made = {"null": logging.NullHandler, "file": lambda: logging.FileHandler(os.devnull)}
    logger.addHandler(made[door]() if door in made else TinybirdHandler("logs", **NOWHERE))
    for seq in range(calls):
        extra = {"seq": seq, "request_id": f"{seq:032x}", "user_id": seq % 1000, "tenant": "acme"}
        logger.info("GET %s -> %d in %.1f ms", "/orders", 200, 12.5, extra=extra)


def _structlog(door: str, calls: int) -> None:
    import structlog  # noqa: PLC0415

    from tinylog.structlog import TinybirdProcessor  # noqa: PLC0415

    def drop(*_):
        raise structlog.DropEvent

    last = drop if door == "structlog_null" else TinybirdProcessor("logs", terminal=True, **NOWHERE)
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, stamp, last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    logger = structlog.get_logger().bind()
    for seq in range(calls):
        logger.info("done", path="/orders", status=200, ms=12.5, seq=seq, request_id=f"{seq:032x}", tenant="acme")


def instructions(door: str, calls: int) -> int:
    """Count those of a whole process."""
    valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={os.devnull}"]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "OTEL_SDK_DISABLED": "true"}
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [*valgrind, sys.executable, "-m", __spec__.name, door, str(calls)],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if found is None:
        raise RuntimeError(f"callgrind said nothing of its count:\n{done.stderr[-2000:]}")
    return int(found[1])


def counted(door: str) -> float:
    """Count the instructions of one call."""
    return (instructions(door, MANY) - instructions(door, FEW)) / (MANY - FEW)


def main() -> int:
    """Print the table; the exit status says whether all limits are kept."""
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is not installed; on Debian: apt-get install valgrind")
    doors = ["null", "file", "structlog_null", "tinylog", "tinylog_structlog"]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = dict(zip(doors, pool.map(counted, doors), strict=True))
    print(f"Python {sys.version.split()[0]}: instructions a call")
    exceeded = False
    for door, made in counts.items():
        floor = counts[FLOORS.get(door, door)]
        over = (made - floor) / floor
        limit = LIMITS.get(door)
        exceeded = exceeded or (limit is not None and over > limit)
        told = "" if limit is None else f"  limit {limit:.2f}: {'EXCEEDED' if over > limit else 'kept'}"
        print(f"{door:18} {made:9,.0f}  over the floor {over:5.2f} x{told}")
    return int(exceeded)


if __name__ == "__main__":
    if len(sys.argv) > 2:  # noqa: PLR2004 - the child
        log(sys.argv[1], int(sys.argv[2]))
    else:
        sys.exit(main())
