"""python-logging-loki's `LokiQueueHandler`: a process queue, as in its README, and a request a record."""

import logging
from multiprocessing import Queue
from pathlib import Path

from logging_loki import LokiQueueHandler

from . import Opened, logger_with

# The handler sends the line and the labels under `extra["tags"]` only; the other fields go into the line, as logfmt.
LINE = "%(message)s seq=%(seq)d request_id=%(request_id)s user_id=%(user_id)d tenant=%(tenant)s"


def open_loki(address: str, scratch: Path, lossless: bool) -> Opened:  # noqa: ARG001
    """Open the queueing handler of the README.

    There is no setting against loss: the queue has no bound, and a record whose only request fails is printed and
    gone. Hence `lossless` changes nothing.
    """
    handler = LokiQueueHandler(
        Queue(-1), url=f"{address}/loki/api/v1/push", tags={"application": "benchmark"}, version="1"
    )
    handler.setFormatter(logging.Formatter(LINE))
    log = logger_with("loki", handler)
    # Its README documents no end. The listener is the standard library's, and `stop` sends what is queued.
    return Opened(log, handler.listener.stop)
