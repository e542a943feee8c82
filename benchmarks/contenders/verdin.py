"""verdin's queueing appender behind a handler of ten lines: verdin is a client of Tinybird without one."""

import logging
import time
from pathlib import Path
from queue import Queue
from threading import Thread

from verdin import tinybird
from verdin.worker import QueuingDatasourceAppender

from . import Opened, logger_with


class AppendingHandler(logging.Handler):
    """Puts a record as a row of CSV into the appender's queue. The number of the call is the first column."""

    def __init__(self, rows: Queue) -> None:
        super().__init__()
        self._rows = rows

    def emit(self, record: logging.LogRecord) -> None:
        fields = (record.seq, record.request_id, record.user_id, record.tenant)  # of the call's `extra`
        self._rows.put((*fields, record.created, record.levelname, record.name, record.getMessage()))


def open_verdin(address: str, scratch: Path, lossless: bool) -> Opened:  # noqa: ARG001
    """Run the appender as the README does, at its five seconds between batches.

    `close` stops the worker before what it has not yet taken from the queue, and no setting changes that nor makes it
    send again what the server refused. `lossless` is therefore this benchmark's own: it closes at an empty queue.
    """
    rows: Queue = Queue()
    appender = QueuingDatasourceAppender(rows, tinybird.Client("benchmark", api=address).datasource("benchmark"))
    worker = Thread(target=appender.run, daemon=True)  # as the README's, but for a process that never calls `close`
    worker.start()
    log = logger_with("verdin", AppendingHandler(rows))

    def finish() -> None:
        while lossless and not rows.empty():
            time.sleep(0.01)
        appender.close()
        worker.join()

    return Opened(log, finish, lambda: {"queued": rows.qsize()})
