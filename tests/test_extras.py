"""Without an extra, tinylog works, and what needs it says which one to install."""

from __future__ import annotations

import subprocess
import sys

import pytest

BLOCKED = """
import sys
sys.modules.update(dict.fromkeys({blocked!r}))  # None there: as if it were not installed
{body}
"""


def run(body, *blocked):
    code = BLOCKED.format(blocked=blocked, body=body)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("body", "blocked", "extra"),
    [
        ("import tinylog.structlog", "structlog", "structlog"),
        ("import tinylog.otel", "opentelemetry", "otel"),
        ("import tinylog; tinylog.TinybirdHandler('logs', token='t', compression='zstd')", "zstandard", "zstd"),
        ("sys.argv = ['tinylog', 'dev']; from tinylog.cli import main; main()", "click", "cli"),
        ("sys.argv = ['tinylog', 'dev']; from tinylog.cli import main; main()", "chdb", "dev"),
        ("sys.argv = ['tinylog', 'dev']; from tinylog.cli import main; main()", "starlette", "dev"),
    ],
)
def test_a_missing_extra_is_named(body, blocked, extra):
    """Nobody has to guess which package a feature needs."""
    status, output = run(body, blocked)
    assert status != 0
    assert f"pip install 'tinylog-tinybird[{extra}]'" in output


def test_the_core_needs_two_packages_only():
    """The handler works where nothing but requests and orjson is installed."""
    body = """
import logging, tinylog
from tinylog.testing import ScriptedTransport
transport = ScriptedTransport()
handler = tinylog.TinybirdHandler("logs", token="t", transport=transport)
handler.handle(logging.makeLogRecord({"msg": "hi", "levelno": 40}))
assert handler.flush()
print([row["message"] for row in transport.rows])
"""
    extras = (
        "structlog",
        "opentelemetry",
        "zstandard",
        "isal",
        "click",
        "chdb",
        "starlette",
        "uvicorn",
        "numpy",
        "pandas",
    )
    assert run(body, *extras) == (0, "['hi']\n")
