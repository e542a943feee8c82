"""sentry-sdk with its structured logs: no handler, for its integration patches `logging.Logger.callHandlers`."""

import logging
from pathlib import Path

import sentry_sdk

from . import Opened, logger_with

# What the SDK may take at the end to send everything; its own two seconds are meant for a quick exit.
PATIENCE_S = 60


def open_sentry(address: str, scratch: Path, lossless: bool) -> Opened:  # noqa: ARG001
    """Start the SDK as its page on logs does; tracing and errors are not asked for and cost nothing here.

    The batcher's thousand records, beyond which it drops, are no setting. `lossless` widens what are: the queue of
    envelopes, and the patience at the end. Whatever a request was refused for, the SDK never sends it again.
    """
    against_loss = {"transport_queue_size": 100_000, "shutdown_timeout": PATIENCE_S} if lossless else {}
    sentry_sdk.init(dsn=address.replace("://", "://benchmark@") + "/1", enable_logs=True, **against_loss)
    log = logger_with("sentry", logging.NullHandler())  # keeps the logger from looking for `logging.lastResort`
    # The documented drain: it flushes the batcher and the queue for `shutdown_timeout` at most, and then closes.
    return Opened(log, sentry_sdk.get_client().close)
