"""The nouns that every layer shares, and the seams at which a part can be replaced.

`Transport`, `Buffer`, `Claim` and `Clock` are protocols: anything with these methods will do. What they exchange is
frozen data.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

__all__ = [
    "Batch",
    "Buffer",
    "Claim",
    "Clock",
    "Delivery",
    "Failure",
    "JournalFile",
    "Request",
    "Response",
    "Route",
    "Transport",
]


class Delivery(str, enum.Enum):
    """What a row is owed."""

    ACK = "ack"
    """Acknowledged: `wait=true`, retried, spilled to a durable buffer, replayed. At least once."""

    FIRE_AND_FORGET = "fire_and_forget"
    """One POST. A loss is counted, never repaired."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where rows go and how: each route has its own queue and thread, so that none can hold up another."""

    datasource: str
    delivery: Delivery


class Backing(Protocol):
    """What a batch has on disk already, before it is sent: its journal. Called with no lock held."""

    def settled(self, rows: int) -> None:
        """Note that rows no longer need it; delete it with the last of them."""

    def keep(self, batch: Batch) -> bool:
        """Leave it in the buffer as a spilled batch; false when it does not hold exactly this batch."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Whole NDJSON lines for one route. Compared by identity: two equal batches are two deliveries.

    Attributes:
        route: where the rows go.
        data: the lines, each with its newline.
        rows: how many lines `data` holds.
        backing: its journal, when there is one. Parts of a batch share it.
    """

    route: Route
    data: bytes | bytearray
    rows: int
    backing: Backing | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One POST to the Events API.

    Attributes:
        route: gives the query parameters `name` and `wait`.
        body: the NDJSON lines, already encoded as `encoding` says.
        encoding: the `Content-Encoding`, or None for a plain body.
        timeout: the longest to wait for a connection and for an answer, in seconds.
    """

    route: Route
    body: bytes
    encoding: str | None
    timeout: float


class Failure(enum.Enum):
    """Why a request has no status."""

    NOT_SENT = "no connection"
    """Nothing reached the server: sending again cannot duplicate."""

    STALE = "connection closed while idle"
    """A kept-alive connection turned out to be closed before it brought an answer."""

    NO_ANSWER = "sent, no answer"
    """The server may have taken the rows: sending again may duplicate."""


@dataclass(frozen=True, slots=True)
class Response:
    """Either a status or a failure, never both.

    Attributes:
        status: the HTTP status, or None when there was no answer.
        failure: why there was none.
        headers: the response's headers, looked up without regard to case.
        body: the first part of the response's body.
        detail: the failure in words. Free of secrets.
    """

    status: int | None = None
    failure: Failure | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    detail: str = ""


class Transport(Protocol):
    """Carries one request to the Events API and brings the answer. Called from several threads at once."""

    def send(self, request: Request) -> Response:
        """Send once, without retry. Network trouble comes back as a `Failure`, not as an exception."""

    def reset(self) -> None:
        """Forget all connections without touching them: they belong to the parent process (called after a fork)."""

    def close(self) -> None:
        """Close all connections."""


class JournalFile(Protocol):
    """A file that rows are appended to before the logging call returns.

    Every method raises `BufferUnavailableError` when the disk refuses.
    """

    def append(self, line: bytes) -> None:
        """Write a row, whole or not at all."""

    def sync(self) -> None:
        """Wait until what was written survives a power cut."""

    def promote(self) -> None:
        """Leave it to the buffer as a spilled batch."""

    def discard(self) -> None:
        """Delete it: its rows have been answered for."""


class Claim(Protocol):
    """One spilled batch, reserved for this process until it is done with, released, or the process dies."""

    @property
    def batch(self) -> Batch:
        """The rows, as they were spilled."""

    def done(self) -> None:
        """Delete it: every row has been answered for."""

    def release(self) -> None:
        """Give it back for another try."""


class Buffer(Protocol):
    """Keeps acknowledged rows safe while they cannot be delivered. Called from several threads at once."""

    def put(self, batch: Batch) -> int:
        """Store a batch durably.

        Returns:
            How many older rows had to be evicted to stay within the buffer's bounds.

        Raises:
            BufferUnavailableError: the batch is not stored.
        """

    def claim(self, route: Route) -> Claim | None:
        """Reserve the oldest stored batch of a route, or None when there is none."""

    def journal(self, route: Route) -> JournalFile:
        """Begin a journal, which other processes can claim once this one has died.

        Raises:
            BufferUnavailableError: this buffer has none, or the disk refuses.
        """

    def bury(self, batch: Batch, reason: str) -> None:
        """Set rows aside that the server will never take, with the reason: the dead letters.

        Raises:
            BufferUnavailableError: the batch is not stored.
        """

    def reset(self) -> None:
        """Drop what is claimed without releasing it: it is the parent process's (called after a fork)."""

    def close(self) -> None:
        """Let go of connections. Idempotent; a closed buffer may be used again."""

    @property
    def damaged(self) -> int:
        """How many damaged files and torn lines this process has set aside."""

    def describe(self) -> str:
        """Name the place for a message to people, without credentials."""


class Clock(Protocol):
    """Time, as everything but the timestamps of records sees it. Seconds."""

    def monotonic(self) -> float:
        """Read a clock that never goes backwards."""

    def time(self) -> float:
        """Seconds since the epoch."""

    def wait(self, event: threading.Event, timeout: float | None) -> bool:
        """Wait until the event is set or the time is over; tell whether it is set."""
