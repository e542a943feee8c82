"""The one thread that writes rows. It gathers small requests: ClickHouse is slow at many small inserts."""

import logging
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

from tinylog.dev._clickhouse import Database, quote_name
from tinylog.dev._problems import RequestError

GATHER_SECONDS = 0.05
"""How long rows that nobody waits for are gathered before they are written."""

MAX_PENDING_BYTES = 64 * 1024 * 1024
"""Accepted but not written rows above which requests are refused with a 503."""

_log = logging.getLogger("tinylog.dev")


@dataclass(frozen=True, slots=True)
class Job:
    """The rows of one request, by table, and the promise that they are written."""

    parts: dict[str, bytes]
    written: "Future[None]" = field(default_factory=Future)

    @property
    def size(self) -> int:
        """Bytes that it keeps in memory."""
        return sum(map(len, self.parts.values()))


class Writer:
    """Writes jobs in the order in which they were put.

    Args:
        database: Where to.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changed = threading.Condition()
        self._pending: list[Job] = []
        self._size = 0  # of the pending jobs and of those that are being written
        self._urgent = False
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="tinylog-dev-writer", daemon=True)
        self._thread.start()

    def put(self, parts: dict[str, bytes], *, urgent: bool) -> "Future[None]":
        """Hand over rows.

        Args:
            parts: Table name to NDJSON.
            urgent: Somebody waits: write at once, with everything that was put before.

        Returns:
            Done when the rows can be read by SQL.

        Raises:
            RequestError: 503 when too much is pending.
        """
        job = Job(parts)
        job.written.set_running_or_notify_cancel()  # from here on nobody can cancel it
        with self._changed:
            if self._closing:
                raise RequestError(503, "The server is stopping")
            if self._size and self._size + job.size > MAX_PENDING_BYTES:
                raise RequestError(503, "Too many rows are waiting to be written: try again in a second")
            self._size += job.size
            self._pending.append(job)
            self._urgent |= urgent
            self._changed.notify()
        return job.written

    def close(self) -> None:
        """Write what is pending, and stop."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while jobs := self._take():
            self._write(jobs)
            with self._changed:
                self._size -= sum(job.size for job in jobs)

    def _take(self) -> list[Job]:
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._closing)
            self._changed.wait_for(lambda: self._urgent or self._closing, GATHER_SECONDS)
            jobs, self._pending, self._urgent = self._pending, [], False
            return jobs

    def _write(self, jobs: list[Job]) -> None:
        tables: dict[str, list[Job]] = {}
        for job in jobs:
            for table in job.parts:
                tables.setdefault(table, []).append(job)
        for table, group in tables.items():
            self._insert(table, group)
        for job in jobs:
            if not job.written.done():
                job.written.set_result(None)

    def _insert(self, table: str, jobs: list[Job]) -> None:
        try:
            self._database.insert(quote_name(table), b"".join(job.parts[table] for job in jobs))
        except Exception as error:  # this thread must live
            if len(jobs) > 1:  # so that one job's trouble is not its neighbours'
                for job in jobs:
                    self._insert(table, [job])
                return
            _log.exception("rows for %s were not written", table)
            if not jobs[0].written.done():
                jobs[0].written.set_exception(error)
