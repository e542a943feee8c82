"""What shipping costs with nothing around it: a prototype, for the scale. Not for use.

It encodes on the caller's thread, compresses by gzip's level 1, and posts by `requests`, as tinylog does. It has no
bound, no ledger, no guard against records made meanwhile, no care for odd values, forks, time or failures.
"""

import gzip
import logging
from datetime import datetime, timezone
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import orjson

from . import Opened, logger_with

BATCH_ROWS = 5_000  # as tinylog's default
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def open_bare(address: str, scratch: Path, lossless: bool) -> Opened:  # noqa: ARG001
    """Ship the fields that tinylog ships."""
    handler = BareHandler(address)
    return Opened(logger_with("bare", handler), handler.finish)


class BareHandler(logging.Handler):
    """Collects rows in a buffer, and hands it to a thread when it is full."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._url = f"{address}/v0/events"
        self._buffer, self._rows = bytearray(), 0
        self._full: SimpleQueue[bytearray | None] = SimpleQueue()
        self._worker = Thread(target=self._send, daemon=True)
        self._worker.start()

    def handle(self, record: logging.LogRecord) -> bool:
        fields = record.__dict__
        row: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, timezone.utc),
            "level": record.levelname,
            "logger": record.name,
            "module": record.module,
            "function": record.funcName,
            "line": record.lineno,
            "pathname": record.pathname,
            "process_id": record.process,
            "process_name": record.processName,
            "thread_id": record.thread,
            "thread_name": record.threadName,
            "message": record.getMessage(),
        }
        for name in fields:
            if name not in _OWN:
                row[name] = fields[name]
        self._buffer += orjson.dumps(row, None, orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z)
        self._rows += 1
        if self._rows >= BATCH_ROWS:
            self.flush()
        return True

    def flush(self) -> None:
        full, self._buffer, self._rows = self._buffer, bytearray(), 0
        self._full.put(full)

    def finish(self) -> None:
        self.flush()
        self._full.put(None)
        self._worker.join()

    def _send(self) -> None:
        import requests  # noqa: PLC0415

        session = requests.Session()
        session.headers.update({"Authorization": "Bearer benchmark", "Content-Encoding": "gzip"})
        while (rows := self._full.get()) is not None:
            if rows:
                session.post(self._url, gzip.compress(rows, 1), params={"name": "benchmark"}, timeout=10)
