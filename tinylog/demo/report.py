"""What the demo reads back: tables of text, from SQL over the API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import requests

__all__ = ["Report"]

Say = Callable[[str], None]

_LEVELS = """
SELECT level, count() AS rows, uniq(thread_id) AS threads, formatReadableSize(sum(length(message))) AS messages
FROM shop_logs GROUP BY level ORDER BY rows DESC
"""
_SLOWEST = """
SELECT duration_ms, method, path, status, user, thread_name
FROM shop_logs WHERE logger = 'shop.access' ORDER BY duration_ms DESC LIMIT 5
"""
_LAST_ERROR = """
SELECT timestamp, exception_type, exception_message, exception_stacktrace
FROM shop_logs WHERE level = 'ERROR' ORDER BY timestamp DESC LIMIT 1
"""


class Report:
    """Asks the server.

    Args:
        url: its base URL.
        token: to be let in.
    """

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}

    def count(self) -> int:
        """Count all rows."""
        return int(self._ask("SELECT count() AS rows FROM shop_logs")[0]["rows"])

    def print(self, say: Say) -> None:
        """Print rows by level, the slowest requests, and the last error."""
        self._print_query(say, "Rows by level", _LEVELS)
        self._print_query(say, "The slowest requests", _SLOWEST)
        say("The last error:")
        for row in self._ask(_LAST_ERROR):
            say(f"  {row['timestamp']}  {row['exception_type']}: {row['exception_message']}")
            for line in row["exception_stacktrace"].splitlines():
                say(f"  | {line}")
        say("")

    def print_ledger(self, say: Say, ledger: dict[str, Any], rows: int) -> bool:
        """Print the handler's ledger beside the count of the table; tell whether nothing is missing."""
        names = ("submitted", "delivered", "accepted", "quarantined", "spilled", "dead_lettered")
        lost = sum(ledger["dropped"].values())
        complete: bool = lost == 0 and rows == ledger["submitted"] == ledger["delivered"] + ledger["accepted"]
        say("The handler's ledger:")
        _print_table(say, [*names, "dropped", "rows in the table"], [[*(ledger[name] for name in names), lost, rows]])
        say("Every record is a row." if complete else f"{ledger['submitted'] - rows} records are missing!")
        return complete

    def _print_query(self, say: Say, title: str, query: str) -> None:
        rows = self._ask(query)
        say(f"{title}:")
        _print_table(say, list(rows[0]) if rows else [], [list(row.values()) for row in rows])
        say("")

    def _ask(self, query: str) -> list[dict[str, Any]]:
        with requests.Session() as session:
            session.trust_env = False  # no proxy for our own loopback
            answer = session.post(f"{self._url}/v0/sql", data=query.encode(), headers=self._headers, timeout=30)
        answer.raise_for_status()
        data: list[dict[str, Any]] = answer.json()["data"]
        return data


def _print_table(say: Say, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    cells = [list(names), *([str(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        say("  " + "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
