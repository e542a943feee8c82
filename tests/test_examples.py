"""The examples, run as a newcomer would run them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import TOKEN

EXAMPLES = Path(__file__).parent.parent / "examples"


def environment(server):
    """What `tinylog dev` tells one to set."""
    return {**os.environ, "TINYBIRD_URL": server.url, "TINYBIRD_TOKEN": TOKEN, "PYTHONWARNINGS": "error"}


def received(server):
    """All rows, by Data Source."""
    rows = {}
    for request in server.requests:
        rows.setdefault(request.params["name"], []).extend(request.rows)
    return rows


@pytest.mark.parametrize(
    ("name", "module", "expected"),
    [
        ("logging_dictconfig", "logging", {"logs": 3}),
        ("structlog_json", "structlog", {"logs": 2}),
        (
            "otel_three_signals",
            "opentelemetry._logs",
            {"otel_logs": 1, "otel_traces": 1, "otel_metrics_sum": 1, "otel_metrics_histogram": 1},
        ),
    ],
)
def test_example_runs(server, tmp_path, name, module, expected):
    """A newcomer who copies an example sees its rows."""
    pytest.importorskip(module)
    if name == "otel_three_signals":
        pytest.importorskip("opentelemetry.sdk._logs", reason="needs the SDK")
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py"],
        env=environment(server),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {name: len(rows) for name, rows in received(server).items()} == expected


FASTAPI = """
import socket, sys, threading, requests, uvicorn
sys.path.insert(0, sys.argv[1])
from fastapi_app import app
with socket.create_server(("127.0.0.1", 0)) as listener:  # takes connections even before the application is ready
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/orders"
    try:
        assert requests.post(f"{url}/17", timeout=30).json() == {"order": 17}
        assert requests.post(f"{url}/13", timeout=30).status_code == 502
    finally:
        server.should_exit = True
        thread.join()
"""


def test_fastapi_example(server, tmp_path):
    """The three signals of one application arrive together, and a log record leads to its span."""
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    environ = {**environment(server), "PYTHONWARNINGS": "ignore"}  # FastAPI's own deprecations are not ours
    done = subprocess.run(
        [sys.executable, "-c", FASTAPI, EXAMPLES],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = received(server)
    spans = {row["span_name"]: row for row in rows["otel_traces"] if row["scope_name"] == "shop.web"}
    logs = {row["body"]: row for row in rows["otel_logs"]}
    assert spans["POST /orders/13"]["status_code"] == "Error"
    assert logs["card refused"]["trace_id"] == spans["POST /orders/13"]["trace_id"]
    assert logs["order placed"]["trace_id"] == spans["POST /orders/17"]["trace_id"]
    assert {"otel_metrics_sum", "otel_metrics_histogram"} <= set(rows)
