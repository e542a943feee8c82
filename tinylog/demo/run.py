"""The demo from start to end: a server, a shop, a crowd of customers, and what their log tells."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tinylog.demo.report import Report
from tinylog.demo.shop import PRICES
from tinylog.errors import TinylogError

__all__ = ["run_demo"]

_CUSTOMERS = 8
_TIMEOUT = 60.0  # seconds, for anything here
_WRITTEN_WITHIN = 10.0  # seconds; what is accepted, not acknowledged, is written a moment later


def run_demo(say: Callable[[str], None], *, visits: int = 3000, keep: bool = False) -> bool:
    """Run it.

    Args:
        say: prints a line.
        visits: requests to the shop.
        keep: leave the server up until Ctrl-C.

    Returns:
        True when every record is a row.
    """
    with _dev_server() as (url, token):
        say(f"1. A local Tinybird serves at {url}.")
        say(f"2. A small web shop, which logs through tinylog, serves {visits} requests of {_CUSTOMERS} customers...")
        ledger = _trade(url, token, visits)
        report = Report(url, token)
        rows = _settled_count(report, ledger["submitted"])
        say("3. Its log, read back by SQL:\n")
        report.print(say)
        complete = report.print_ledger(say, ledger, rows)
        if keep:
            _keep(say, url, token)
        else:
            say("\nTo look further, with SQL of your own: make demo KEEP=1 (or tinylog demo --keep).")
        return complete


@contextmanager
def _dev_server() -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as scratch:
        ready = Path(scratch) / "ready.json"
        command = (*_tinylog(), "dev", "--ephemeral", "--port", "0", "--ready-file", str(ready))
        with _process(*command, env=dict(os.environ)) as server:
            if not any(line.startswith("Press Ctrl-C") for line in server.stdout or ()):
                raise TinylogError("tinylog dev did not start; its message is above")
            found = json.loads(ready.read_text())
            yield found["url"], found["token"]


def _trade(url: str, token: str, visits: int) -> dict[str, Any]:
    """Let customers in, then close the shop; give its handler's ledger."""
    env = {**os.environ, "TINYBIRD_URL": url, "TINYBIRD_TOKEN": token}
    with _process(sys.executable, "-m", "tinylog.demo.shop", env=env) as shop:
        port = int(shop.stdout.readline() if shop.stdout else 0)
        crowd = [
            threading.Thread(target=_customer, args=(port, number, visits // _CUSTOMERS))
            for number in range(_CUSTOMERS)
        ]
        for customer in crowd:
            customer.start()
        for customer in crowd:
            customer.join()
        shop.terminate()
        output, _ = shop.communicate(timeout=_TIMEOUT)
        ledger: dict[str, Any] = json.loads(output)
        return ledger


def _customer(port: int, number: int, visits: int) -> None:
    products = list(PRICES)
    with requests.Session() as session:
        session.trust_env = False  # no proxy for our own loopback
        for visit in range(visits):
            # Three in a hundred try to buy what has no price: a bug, with a real traceback.
            product = products[3 if visit % 33 == number else visit % 3]
            session.get(f"http://127.0.0.1:{port}/checkout/{product}?customer-{number}", timeout=_TIMEOUT)


def _settled_count(report: Report, expected: int) -> int:
    """Count the rows, as soon as they are as many as expected, or after a while."""
    deadline = time.monotonic() + _WRITTEN_WITHIN
    while (rows := report.count()) < expected and time.monotonic() < deadline:
        time.sleep(0.05)
    return rows


def _keep(say: Callable[[str], None], url: str, token: str) -> None:
    say("\nThe server stays up until Ctrl-C. In another terminal:\n")
    say(f"  export TINYBIRD_URL={url} TINYBIRD_TOKEN={token}")
    say('  curl -H "Authorization: Bearer $TINYBIRD_TOKEN" "$TINYBIRD_URL/v0/sql" -d "SELECT * FROM shop_logs LIMIT 3"')
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        say("")


@contextmanager
def _process(*command: str, env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def _tinylog() -> tuple[str, ...]:
    return (sys.executable, "-c", "from tinylog.cli import main; main()")
