"""A real ``tinylog dev`` for tests: a process of its own, reached over a socket."""

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests

DEADLINE = 30.0


@dataclass(frozen=True)
class DevServer:
    """A running server, and the few requests that tests make over and over."""

    url: str
    token: str
    process: subprocess.Popen
    printed: list[str]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def post(self, name: str, body: Any, *, wait: bool = True, headers=None, **params) -> requests.Response:
        """Send a body to the Events API; a list is sent as NDJSON."""
        if isinstance(body, list):
            body = "\n".join(json.dumps(row) for row in body)
        body = body.encode() if isinstance(body, str) else body
        params = {"name": name, "wait": "true" if wait else "false", **params}
        headers = {**self.headers, **(headers or {})}
        return requests.post(f"{self.url}/v0/events", data=body, params=params, headers=headers, timeout=DEADLINE)

    def send(self, name: str, rows: list[dict], *, wait: bool = True) -> dict[str, int]:
        """Send rows that the server must take; returns its counts."""
        response = self.post(name, rows, wait=wait)
        assert response.status_code == (200 if wait else 202), response.text
        return response.json()

    def get(self, path: str, **params) -> requests.Response:
        return requests.get(f"{self.url}{path}", params=params, headers=self.headers, timeout=DEADLINE)

    def sql(self, query: str) -> list[dict[str, Any]]:
        """The rows that a query answers."""
        response = self.get("/v0/sql", q=query)
        assert response.status_code == 200, response.text
        return response.json()["data"]

    def create(self, name: str, schema: str, **engine: str) -> requests.Response:
        """Create a Data Source from a schema."""
        data = {"mode": "create", "name": name, "format": "ndjson", "schema": schema, **engine}
        url = f"{self.url}/v0/datasources"
        return requests.post(url, data=data, headers=self.headers, timeout=DEADLINE)

    def types(self, name: str) -> dict[str, str]:
        """Column name to type."""
        columns = self.get(f"/v0/datasources/{name}").json()["columns"]
        return {column["name"]: column["type"] for column in columns}

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; returns the exit status."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)


def tinylog(*arguments: str, **options: Any) -> subprocess.Popen:
    """Start a ``tinylog`` command."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    command = [sys.executable, "-c", "from tinylog.cli import main; main()", *arguments]
    return subprocess.Popen(command, **options)


@contextmanager
def running_dev_server(*arguments: str, port: int = 0, env: dict[str, str] | None = None) -> Iterator[DevServer]:
    """Start ``tinylog dev``, wait until it serves, and stop it in the end.

    Args:
        arguments: More of the command line; ``--ephemeral`` unless they name a data folder.
        port: 0 picks a free one.
        env: Environment variables to add.
    """
    with tempfile.TemporaryDirectory() as scratch:
        ready_file = Path(scratch) / "ready.json"
        folder = () if "--data" in arguments else ("--ephemeral",)
        command = ("dev", "--port", str(port), "--ready-file", str(ready_file), *folder, *arguments)
        process = tinylog(*command, env={**os.environ, **(env or {})})
        try:
            yield _wait_for(ready_file, process)
        finally:
            if process.poll() is None:
                process.terminate()
            process.communicate(timeout=DEADLINE)


def _wait_for(ready_file: Path, process: subprocess.Popen) -> DevServer:
    printed = []
    for line in process.stdout:
        printed.append(line.rstrip("\n"))
        if line.startswith("Press Ctrl-C"):
            ready = json.loads(ready_file.read_text())
            return DevServer(ready["url"], ready["token"], process, printed)
    raise AssertionError(f"tinylog dev did not start: {process.communicate()}")


@cache
def shared_dev_server() -> DevServer:
    """The one server that all tests share, started at first use and stopped when Python exits."""
    context = running_dev_server()
    server = context.__enter__()
    atexit.register(context.__exit__, None, None, None)
    return server


@pytest.fixture(scope="session")
def dev_server() -> DevServer:
    """The shared ``tinylog dev``: use Data Source names of your own, see ``fresh_name``."""
    return shared_dev_server()


@pytest.fixture
def fresh_name() -> str:
    """A Data Source name that no other test uses."""
    return f"t_{uuid.uuid4().hex[:12]}"
