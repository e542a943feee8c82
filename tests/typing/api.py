"""The public interface as a type checker sees it; never run, checked by `tests/test_typing.py`."""

import logging

import tinylog
import tinylog.otel
import tinylog.structlog
from tinylog.protocols import Buffer, Clock, Delivery, Route, Transport
from tinylog.testing import FakeClock, ScriptedTransport

handler = tinylog.TinybirdHandler(
    "logs",
    level="INFO",
    token="t",
    ack_level=logging.ERROR,
    static_fields={"service": "shop"},
    max_queue_bytes="64MiB",
    compression=None,
    spill="/var/spool/tinylog",
    journal=True,
    redact=["email", lambda row: row],
    transport=ScriptedTransport(503, 200),
    on_event=lambda event: logging.getLogger("ops").info("%s %d", event.kind, event.rows),
)
delivered: bool = handler.flush(timeout=1.5)
stats: tinylog.Stats = handler.stats()
lost: int = stats.lost + stats.dropped.get("queue_full", 0) + stats.replayed.damaged
handler.close()

handler = tinylog.TinybirdHandler("logs", max_queue_row=1)  # type: ignore[call-arg]
handler = tinylog.TinybirdHandler("logs", flush_interval="soon")  # type: ignore[arg-type]

processor = tinylog.structlog.TinybirdProcessor("logs", terminal=True, layout="otel")
exporter = tinylog.otel.TinybirdSpanExporter(token="t")

transport: Transport = ScriptedTransport()
clock: Clock = FakeClock()


def needs_a_buffer(buffer: Buffer) -> int | None:
    """Use the protocol's methods."""
    claim = buffer.claim(Route("logs", Delivery.ACK))
    return claim.batch.rows if claim is not None else None
