"""The server under which the workers suffer: it fails in every documented way, goes away, and comes back."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from tests._devserver import DEADLINE, DevServer, running_dev_server
from tests.chaos._crew import SCHEMA, TABLE


@dataclass
class Events:
    """One data folder, one address, any number of servers one after another."""

    folder: Path
    seed: int
    token: str = "chaos-token"
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def serving(self, *faults: str):
        """A server with these faults."""
        arguments = ["--data", str(self.folder), "--token", self.token, "--seed", str(self.seed)]
        for fault in faults:
            arguments += ["--fault", fault]
        with running_dev_server(*arguments, port=self.port) as server:
            self.port = int(server.url.rpartition(":")[2])
            yield server

    def prepare(self):
        """Create the table, and settle on a port."""
        with self.serving() as server:
            assert server.create(TABLE, SCHEMA).status_code == 200


def counted(server: DevServer) -> dict[str, int]:
    """What a faulty server did, over all seconds."""
    totals: dict[str, int] = {}
    for second in requests.get(f"{server.url}/v0/_faults", timeout=DEADLINE).json()["seconds"]:
        for name, count in second.items():
            if name != "second":
                totals[name] = totals.get(name, 0) + count
    return totals


def numbers(server: DevServer) -> set[int]:
    """The numbers of all rows in the table."""
    response = server.get("/v0/sql", q=f"SELECT DISTINCT n FROM {TABLE} WHERE n IS NOT NULL FORMAT CSV")
    assert response.status_code == 200, response.text
    return {int(line) for line in response.text.split()}


def one(server: DevServer, query: str) -> int:
    """The only value that a query answers."""
    return int(server.sql(f"SELECT toInt64(({query})) AS value")[0]["value"])
