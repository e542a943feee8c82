"""Real processes that log: each a program of its own, run to its end."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

from tests.conftest import TOKEN

PREAMBLE = """
import logging, os, sys, threading
import tinylog

handler = tinylog.TinybirdHandler("logs", {options})
log = logging.getLogger("app")
log.addHandler(handler)
log.setLevel("DEBUG")
"""


def start(server, spill, body, **options):
    """Start a program: the preamble, then `body`."""
    written = ", ".join(f"{name}={value!r}" for name, value in options.items())
    program = PREAMBLE.format(options=written) + textwrap.dedent(body)
    env = {**os.environ, "TINYBIRD_TOKEN": TOKEN, "TINYBIRD_URL": server.url, "TINYLOG_SPILL": str(spill)}
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(server, spill, body, **options):
    """Run a program to its end; gives status, stdout, stderr."""
    with start(server, spill, body, **options) as process:
        stdout, stderr = process.communicate(timeout=60)
        return process.returncode, stdout, stderr
