"""A long outage costs disk, never memory: the peak of a process that logs on while nothing can be delivered.

The server refuses connections, or (``--stalled``) takes them and never answers, which is harder: each request then
costs the whole time-out, and rows pile up meanwhile.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import socket
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos._crew import say
from tinylog import TinybirdHandler

CONSTANT = 16  # MiB: a batch being compressed and sent for each route, and what the allocator keeps of it
ACK_EVERY = 100
ROW = 320  # bytes of a row without padding, about
MiB = 1024**2


def run(folder: Path, seconds: float, rate: int, *, queue: str, padding: int, stalled: bool) -> dict:
    """Log for a while to a server that is not there.

    Args:
        folder: for the spill.
        seconds: of the outage.
        rate: records a second, of which one in a hundred is critical.
        queue: `max_queue_bytes`, for each of the two routes.
        padding: bytes added to each row.
        stalled: take connections, and never answer.
    """
    logging.getLogger("tinylog").addHandler(logging.NullHandler())
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        if stalled:
            place.listen(16)  # the kernel takes connections; nobody ever looks at them
        url = f"http://127.0.0.1:{place.getsockname()[1]}"
        options = {"spill": folder, "max_queue_bytes": queue, "shutdown_timeout": 1.0}
        handler = TinybirdHandler("outage", token="t", host=url, **options)
        log = logging.Logger("outage")
        log.addHandler(handler)
        log.info("the first row starts the threads")
        before = memory("VmRSS")
        critical = _log(log, seconds, rate, {"customer": "c1", "padding": "x" * padding})
        stats, peak = handler.stats(), memory("VmHWM")
        handler.close()
    bound = 2 * _mebibytes(queue) + CONSTANT
    ended = handler.stats()
    return {
        "seconds": seconds,
        "submitted": stats.submitted,
        "submitted_mib": round(stats.submitted * (padding + ROW) / MiB),
        "queued_at_the_end": stats.queued + stats.in_flight,
        "dropped": dict(stats.dropped),
        "critical": critical,
        "critical_on_disk": sum(path.read_bytes().count(b"\n") for path in folder.glob("*.ndjson")),
        "disk_mib": round(sum(path.stat().st_size for path in folder.glob("*.ndjson")) / MiB, 1),
        "rss_before_mib": round(before, 1),
        "rss_peak_mib": round(peak, 1),
        "grown_mib": round(peak - before, 1),
        "bound_mib": bound,
        "within": peak - before <= bound,
        "balanced": ended.submitted == ended.accounted and ended.queued == ended.in_flight == 0,
    }


def _log(log: logging.Logger, seconds: float, rate: int, extra: dict) -> int:
    """Log at a steady rate; gives the number of critical records."""
    began = time.monotonic()
    number = critical = 0
    while (elapsed := time.monotonic() - began) < seconds:
        while number < elapsed * rate:
            number += 1
            is_critical = not number % ACK_EVERY
            critical += is_critical
            log.log(logging.ERROR if is_critical else logging.INFO, "row %d", number, extra=extra)
        time.sleep(0.01)
    return critical


def memory(name: str) -> float:
    """Resident memory in MiB as Linux counts it: `VmRSS` now, `VmHWM` at its peak."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) / 1024


def _mebibytes(size: str) -> int:
    return int(size.removesuffix("MiB"))


def main():
    """Run it, print the figures, and fail if memory was not bounded or a critical row is not on disk."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rate", type=int, default=5000, help="records a second, one in a hundred of them critical")
    parser.add_argument("--queue", default="64MiB", help="max_queue_bytes")
    parser.add_argument("--padding", type=int, default=0, help="bytes added to each row")
    parser.add_argument("--stalled", action="store_true", help="the server takes connections and never answers")
    asked = parser.parse_args()
    say(f"outage: {asked.rate} records/s for {asked.seconds:g} s, {'stalled' if asked.stalled else 'refusing'} server")
    with tempfile.TemporaryDirectory(prefix="tinylog-outage-") as scratch:
        figures = run(
            Path(scratch), asked.seconds, asked.rate, queue=asked.queue, padding=asked.padding, stalled=asked.stalled
        )
    say(json.dumps(figures))
    good = figures["within"] and figures["balanced"] and figures["critical_on_disk"] == figures["critical"]
    say(f"memory grew by {figures['grown_mib']} MiB, of {figures['bound_mib']} MiB allowed" if good else "WRONG")
    sys.exit(not good)


if __name__ == "__main__":
    main()
