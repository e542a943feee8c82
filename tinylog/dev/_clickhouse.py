"""The embedded ClickHouse (chDB): one folder, one process, a fresh session for every task.

Sessions are not reused, because after a query that failed midway its partial output comes before the next
result of that session; a new one costs about a millisecond.
"""

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chdb import ChdbError
from chdb.session import Session

from tinylog.errors import TinylogError

DATABASE = "workspace"
QUERY_SECONDS = 10
"""How long a user's query may run."""

# Rows travel inside SQL text when bad ones are told from good ones, so the text may be long.
_SETTINGS = (
    "SET date_time_input_format = 'best_effort', input_format_skip_unknown_fields = 1,"
    " input_format_null_as_default = 0, max_query_size = 1000000000"
)
_LIMITS = (
    f"SET max_execution_time = {QUERY_SECONDS}, max_memory_usage = 2000000000, max_result_bytes = 200000000,"
    " output_format_json_quote_64bit_integers = {quote_integers}, output_format_json_quote_denormals = 0,"
    " readonly = 1"
)
_NOISE = re.compile(r"^.*?DB::Exception: (?:Code: \d+\. DB::Exception: )?|\s*\(version [\d.]+[^)]*\)", re.DOTALL)


class DatabaseError(TinylogError):
    """ClickHouse refused a statement; the text is its own, without codes and versions."""


def quote_name(name: str) -> str:
    """An identifier for SQL."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def quote_text(text: str) -> str:
    """A string literal for SQL."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


class Database:
    """ClickHouse on a folder, which no other process may use meanwhile. Safe to use from several threads.

    Args:
        folder: Where the tables are kept; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        os.environ["TZ"] = "UTC"  # Tinybird's; ClickHouse reads it once, when it starts
        time.tzset()
        self._keeper = Session(self._folder)  # ClickHouse stays up for as long as one session is open
        self.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}", in_database=False)

    def command(self, sql: str, *, in_database: bool = True) -> None:
        """Run a statement that answers nothing."""
        with self._session(in_database=in_database) as session:
            session.query(sql)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Run one of our own queries."""
        with self._session() as session:
            return [json.loads(line) for line in session.query(sql, "JSONEachRow").bytes().splitlines()]

    def read(self, sql: str, output_format: str) -> bytes:
        """Run one of our own queries, and get its output as ClickHouse writes it."""
        with self._session() as session:
            return bytes(session.query(sql, output_format).bytes())

    def read_only(self, sql: str, output_format: str, *, quote_integers: bool = False) -> bytes:
        """Run a user's query: nothing is written, and it ends after ``QUERY_SECONDS``."""
        with self._session() as session:
            session.query(_LIMITS.format(quote_integers=int(quote_integers)))
            return bytes(session.query(sql, output_format).bytes())

    def insert(self, target: str, lines: bytes) -> int:
        """Insert NDJSON, all rows or none.

        Args:
            target: A quoted table name, or ``FUNCTION ...``.
            lines: The rows.

        Returns:
            The number of rows written.
        """
        with self._session() as session:
            inserter = session.send_insert(f"INSERT INTO {target}", "JSONEachRow")
            inserter.append(lines)
            return int(inserter.finish().rows_written)

    def cancel_queries(self) -> None:
        """End the users' queries that are running, with an error."""
        self.command("KILL QUERY WHERE query_id != queryID() AND Settings['readonly'] = '1' ASYNC")

    def close(self) -> None:
        """Let go of the folder."""
        self._keeper.close()

    @contextmanager
    def _session(self, *, in_database: bool = True) -> Iterator[Session]:
        session = Session(self._folder)
        try:
            session.query(_SETTINGS)
            if in_database:
                session.query(f"USE {DATABASE}")
            yield session
        except (ChdbError, RuntimeError) as error:
            raise DatabaseError(_NOISE.sub("", str(error)).strip()) from None
        finally:
            session.close()
