"""Who runs where: the measured process has a core for itself, and everything else shares another."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

FOREIGN = ("TINYLOG_", "TINYBIRD_", "OTEL_", "SENTRY_", "AXIOM_", "LOGTAIL_", "PYTHONDONTWRITEBYTECODE")
ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 300


def side_core() -> int | None:
    """Find the core of the sink and of whoever waits; None when there is but one, or no way to choose."""
    cores = _cores()
    return cores[0] if len(cores) > 1 else None


def measured_core() -> int | None:
    """Find the core of the measured process, likewise."""
    cores = _cores()
    return cores[-1] if len(cores) > 1 else None


def pin(core: int | None) -> None:
    """Stay on this core from now on, with all threads that are yet to start."""
    if core is not None:
        os.sched_setaffinity(0, {core})


def environment() -> dict[str, str]:
    """Give this process' variables without those that would change what a contender does."""
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


@contextlib.contextmanager
def running_sink() -> Iterator[str]:
    """Run a sink; gives its address."""
    command = [sys.executable, "-m", "benchmarks.sink"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as sink:
        try:
            yield sink.stdout.readline().strip()
        finally:
            sink.stdin.close()
            sink.wait(10)


def ask(address: str, path: str, method: str = "GET") -> Any:
    """Ask the sink for something."""
    with urlopen(Request(address + path, method=method), timeout=PATIENCE_S) as answer:
        return json.loads(answer.read())


@contextlib.contextmanager
def dead_end(*, listening: bool) -> Iterator[str]:
    """Give an address that refuses connections, or takes them and never answers."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        if listening:
            place.listen(128)  # the kernel takes connections; nobody ever looks at them
        yield f"http://127.0.0.1:{place.getsockname()[1]}"
