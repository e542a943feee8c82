"""logtail-python (Better Stack): a queue of a thousand records and a thread that sends them as MessagePack."""

from pathlib import Path

from logtail import LogtailHandler

from . import Opened, logger_with


def open_logtail(address: str, scratch: Path, lossless: bool) -> Opened:  # noqa: ARG001
    """Open the handler as its documentation does; `lossless` blocks the caller at a full queue instead of dropping.

    A batch that has failed four times, 71 seconds after the first attempt, is dropped either way.
    """
    against_loss = {"drop_extra_events": False, "flush_timeout": None} if lossless else {}
    handler = LogtailHandler(source_token="benchmark", host=address, **against_loss)
    log = logger_with("logtail", handler)

    def finish() -> None:
        handler.flush()
        handler.close()

    return Opened(log, finish, lambda: {"dropped": handler.dropcount, "queued": handler.pipe.qsize()})
