"""`make demo`'s command, as a newcomer runs it."""

from __future__ import annotations

import subprocess
import sys


def test_the_demo_ends_well_and_shows_what_it_promises():
    """The first command that a newcomer types works, and every record of the shop is a row."""
    command = [sys.executable, "-c", "from tinylog.cli import main; main()", "demo", "--visits", "300"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for promised in ("Rows by level", "The slowest requests", "The last error", "Traceback", "Every record is a row."):
        assert promised in done.stdout
