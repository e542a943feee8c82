"""How long `import tinylog` takes beside `import requests`, each in fresh processes by turns."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from statistics import median

from benchmarks import places

PROGRAMS = {
    "bare": "pass",
    "requests": "import requests",
    "tinylog": "import tinylog",
    "requests_session": "import requests; requests.Session()",
    "tinylog_handler": (
        "import tinylog; tinylog.TinybirdHandler('logs', token='t', host='http://127.0.0.1:9', spill='spill')"
    ),
}


def measure(rounds: int, core: int | None) -> dict[str, float]:
    """Time each program from start to end.

    Returns:
        medians in milliseconds; those beside `bare` are without it, the bare interpreter's.
    """
    taken: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    with tempfile.TemporaryDirectory(prefix="tinylog-benchmark-") as elsewhere:
        for count in range(-1, rounds):  # one round for the file system's caches
            for name, program in PROGRAMS.items():
                before = time.perf_counter()
                subprocess.run(
                    [sys.executable, "-c", program],
                    cwd=elsewhere,
                    check=True,
                    env=places.environment(),
                    preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),
                )
                if count >= 0:
                    taken[name].append(1000 * (time.perf_counter() - before))
    bare = median(taken.pop("bare"))
    return {"bare": bare, **{name: median(times) - bare for name, times in taken.items()}}
