"""Real processes that log: each a program of its own, run to its end."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import textwrap

from tests.conftest import TOKEN

ROOT = pathlib.Path(__file__).parent.parent.parent
DEADLINE = 60.0  # seconds; a program that needs it hangs

PREAMBLE = """
import logging, os, sys, threading, time
import tinylog

handler = tinylog.TinybirdHandler("logs", {options})
log = logging.getLogger("app")
log.addHandler(handler)
log.setLevel("DEBUG")
"""

# CPython heeds a signal that comes just before a wait for a lock only after the wait, hence short ones.
UNTIL_A_SIGNAL = """
    print("ready", flush=True)
    while True:
        threading.Event().wait(0.1)
    """


def environment(server, spill, **more):
    """The environment of a program that sends to `server`."""
    ours = {
        "TINYBIRD_TOKEN": TOKEN,
        "TINYBIRD_URL": server.url,
        "TINYLOG_SPILL": str(spill),
        # Python 3.12 and later warn of every fork beside threads, which is what some of these programs are about.
        "PYTHONWARNINGS": "ignore:This process:DeprecationWarning",
    }
    return {**os.environ, "PYTHONPATH": str(ROOT), **ours, **more}


class Program(subprocess.Popen):
    """A program that does not outlive a test that failed."""

    def __exit__(self, kind, *rest):
        if kind is not None:
            self.kill()
        super().__exit__(kind, *rest)


def launch(command, env, **more):
    """Start a program."""
    return Program(
        [str(part) for part in command],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def finish(process):
    """Wait for the end of a program; gives status, stdout, stderr."""
    try:
        stdout, stderr = process.communicate(timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, stdout, stderr


def start(server, spill, body, *, before="", env=None, **options):
    """Start a program: `before`, the preamble, then `body`."""
    written = ", ".join(f"{name}={value!r}" for name, value in options.items())
    program = textwrap.dedent(before) + PREAMBLE.format(options=written) + textwrap.dedent(body)
    return launch([sys.executable, "-c", program], environment(server, spill, **(env or {})))


def run(server, spill, body, **options):
    """Run a program to its end; gives status, stdout, stderr."""
    with start(server, spill, body, **options) as process:
        return finish(process)


def run_file(server, spill, folder, source, **env):
    """Run a program that has to be a file, since its children import it."""
    path = folder / "program.py"
    path.write_text(textwrap.dedent(source))
    with launch([sys.executable, path], environment(server, spill, **env)) as process:
        return finish(process)


def messages(server):
    """What has arrived, sorted."""
    return sorted(row["message"] for row in server.rows)


def spilled(spill):
    """What is in the files of a spill directory."""
    return b"".join(path.read_bytes() for path in sorted(spill.glob("*.ndjson")))
