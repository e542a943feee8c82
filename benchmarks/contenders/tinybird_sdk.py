"""tinybird-python-sdk's two handlers: one request a record, from the caller's thread or from a queue's.

Importing `tb` runs `logging.basicConfig(level=logging.INFO)`, and every request logs a line to the root logger: a line
on stderr a record is part of what these handlers cost.
"""

import logging
from collections.abc import Callable
from multiprocessing import Queue
from pathlib import Path

from tb.logger import TinybirdLoggingHandler, TinybirdLoggingQueueHandler

from . import Opened, logger_with


def open_tinybird_sdk(address: str, scratch: Path, lossless: bool) -> Opened:  # noqa: ARG001
    """Open the README's non-blocking handler.

    There is no setting against loss: the queue has no bound, and a record whose request fails is printed and gone.
    Hence `lossless` changes nothing.
    """
    handler = TinybirdLoggingQueueHandler(Queue(-1), **_settings(address))
    # The README documents no end. The listener is the standard library's, and `stop` sends what is queued.
    return _opened("tinybird_sdk", handler, handler.listener.stop)


def open_tinybird_sdk_sync(address: str, scratch: Path, lossless: bool) -> Opened:  # noqa: ARG001
    """Open the README's plain handler: the caller waits for each record's request, and nothing is left to finish."""
    handler = TinybirdLoggingHandler(**_settings(address))
    return _opened("tinybird_sdk_sync", handler, handler.close)


def _settings(address: str) -> dict[str, str]:
    """Name the arguments: the README passes the address before the token, and the handlers take them the other way."""
    return {"tinybird_admin_token": "benchmark", "tinybird_api_url": address, "app_name": "benchmark"}


def _opened(name: str, handler: logging.Handler, finish: Callable[[], None]) -> Opened:
    handler.setFormatter(logging.Formatter("%(asctime)s - %(name)s - %(levelname)s - %(message)s"))
    log = logger_with(name, handler)
    return Opened(log, finish)
