"""Waiting for what no event of this process can tell: another process, a disk, a thread that is somebody else's."""

from __future__ import annotations

import threading
import time

DEADLINE = 30.0  # seconds; a test that needs it has failed


def eventually(predicate):
    """Ask again and again until the predicate holds; fail when it never does."""
    end = time.monotonic() + DEADLINE
    while not predicate():
        assert time.monotonic() < end, "it never came about"
        threading.Event().wait(0.02)
