"""What the standard library has: no handler, a file, and the shipping that people write by hand around a queue."""

import json
import logging
import time
from datetime import datetime, timezone
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from queue import Queue
from threading import Event, Thread
from typing import Any

from . import Opened, logger_with

BATCH_ROWS, FLUSH_S, ATTEMPTS = 500, 1.0, 8
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def open_null(address: str, scratch: Path, lossless: bool) -> Opened:  # noqa: ARG001
    """Open the floor: what the call costs without any work for it."""
    return Opened(logger_with("null", logging.NullHandler()), lambda: None)


def open_file(address: str, scratch: Path, lossless: bool) -> Opened:  # noqa: ARG001
    """Write lines as `logging` usually does, which leaves the `extra` fields out."""
    handler = logging.FileHandler(scratch / "benchmark.log")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    return Opened(logger_with("file", handler), handler.close)


def open_handwritten(address: str, scratch: Path, lossless: bool) -> Opened:  # noqa: ARG001
    """Ship as the usual forty lines do: a queue without bound, a listener, JSON by `json`, `requests` without gzip.

    A failed request is lost; without loss, it asks for the acknowledgement and tries again.
    """
    records: Queue = Queue(-1)
    target = BatchingHandler(address, lossless)
    listener = QueueListener(records, target)
    listener.start()
    log = logger_with("handwritten", QueueHandler(records))

    def finish() -> None:
        listener.stop()
        target.close()

    return Opened(log, finish)


class BatchingHandler(logging.Handler):
    """Collects rows, and posts them as NDJSON when there are 500, or each second."""

    def __init__(self, address: str, lossless: bool) -> None:
        super().__init__()
        import requests  # noqa: PLC0415

        self._failed = requests.RequestException
        self._session = requests.Session()
        self._session.headers["Authorization"] = "Bearer benchmark"
        self._url = f"{address}/v0/events"
        self._params = {"name": "benchmark", **({"wait": "true"} if lossless else {})}
        self._attempts = ATTEMPTS if lossless else 1
        self._lines: list[str] = []
        self._ended = Event()
        Thread(target=self._tick, daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(json.dumps(_row(record)))
        if len(self._lines) >= BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        with self.lock:
            if not self._lines:
                return
            body = ("\n".join(self._lines) + "\n").encode()
            self._lines.clear()
            for attempt in range(self._attempts):
                if attempt:
                    time.sleep(0.1 * 2**attempt)
                if self._post(body):
                    return

    def close(self) -> None:
        self._ended.set()
        self.flush()
        self._session.close()
        super().close()

    def _post(self, body: bytes) -> bool:
        try:
            return self._session.post(self._url, params=self._params, data=body, timeout=10).ok
        except self._failed:
            return False

    def _tick(self) -> None:
        while not self._ended.wait(FLUSH_S):
            self.flush()


def _row(record: logging.LogRecord) -> dict[str, Any]:
    """Give the fields of tinylog's flat row."""
    row = {
        "timestamp": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
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
    row.update((key, value) for key, value in vars(record).items() if key not in _OWN)
    return row
