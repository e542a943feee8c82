"""The long runs, for a short while: `make chaos`, `make swarm` and `make outage` take minutes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(name, *arguments):
    """Run one of the programs to its end; gives the figures that it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", f"tests.chaos.{name}", *arguments],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout[done.stdout.index("{") : done.stdout.rindex("}") + 1])


def test_no_promised_row_is_lost_when_workers_are_killed(tmp_path):
    """What the journal is for: a killed process, in the midst of any trouble, costs no acknowledged row."""
    figures = run("crash", "--rows", "10000", "--era", "3", "--life", "0.4", "--seed", "1", "--folder", str(tmp_path))
    assert figures["promised"] >= 10_000
    assert figures["killed"] >= 3
    assert figures["lost"] == 0


def test_ledgers_add_up_to_the_table(tmp_path):
    """Whoever reads `stats()` after an outage reads the truth, to the row."""
    figures = run("ledger", "--rows", "10000", "--seed", "1", "--folder", str(tmp_path))
    assert figures["submitted"] > 10_000
    assert figures["dropped"]
    assert figures["difference"] == 0


def test_a_swarm_under_a_rate_limit_loses_nothing(tmp_path):
    """Processes that know nothing of each other must not refuse each other's rows into oblivion."""
    figures = run(
        "swarm", "--seconds", "4", "--workers", "8", "--limit", "10", "--seed", "1", "--folder", str(tmp_path)
    )
    assert figures["refused"] > 0
    assert figures["lost"] == 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")
@pytest.mark.parametrize("server", [[], ["--stalled"]], ids=["refusing", "stalled"])
def test_an_outage_does_not_cost_memory(server):
    """An application must not be killed for its logger's memory because its log server is away."""
    figures = run("outage", "--seconds", "4", "--rate", "20000", "--padding", "2000", "--queue", "8MiB", *server)
    assert figures["submitted_mib"] > 2 * figures["bound_mib"]
    assert figures["critical_on_disk"] == figures["critical"]
