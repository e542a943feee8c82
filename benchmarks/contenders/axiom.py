"""axiom-py's `AxiomHandler`: a list that the caller sends himself, and a timer thread started anew at every call."""

from pathlib import Path

from axiom_py import Client
from axiom_py.logging import AxiomHandler

from . import Opened, logger_with


def open_axiom(address: str, scratch: Path, lossless: bool) -> Opened:  # noqa: ARG001
    """Open the handler on its documented settings.

    There are none against loss: the buffer has no bound, a failed batch is retried three times by its HTTP session and
    then raised, out of `log.info` where the caller's thread sent it. Hence `lossless` changes nothing.
    """
    client = Client(token="xaat-benchmark", url=address)
    handler = AxiomHandler(client, "benchmark")
    log = logger_with("axiom", handler)
    # What the client registers with `atexit`: it flushes the handler, stops its timer and closes the session.
    return Opened(log, client.shutdown_hook, lambda: {"queued": len(handler.buffer)})
