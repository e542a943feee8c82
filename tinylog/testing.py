"""For tests of applications that log through tinylog, and for its own: time and a server that do as they are told.

::

    transport = ScriptedTransport(503, 200)
    handler = TinybirdHandler("logs", token="t", transport=transport)
    ...
    assert handler.flush()
    assert transport.rows[0]["message"] == "hello"
"""

from __future__ import annotations

import gzip
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from tinylog._conformance import BufferConformance
from tinylog._transportconformance import TransportConformance
from tinylog.protocols import Delivery, Failure, Request, Response

__all__ = ["BufferConformance", "FakeClock", "ScriptedTransport", "TransportConformance"]

_Answer = int | Failure | Response
_TAKEN = frozenset({200, 202, 422})


class FakeClock:
    """A `Clock` that stands still until somebody waits or `advance` is called.

    Attributes:
        waits: every wait that was asked for, in seconds.
    """

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = 0.0
        self._start = start
        self._lock = threading.Lock()
        self.waits: list[float] = []

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._now

    def time(self) -> float:
        """Seconds since the epoch."""
        return self._start + self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self._now += seconds

    def wait(self, event: threading.Event, timeout: float | None) -> bool:
        """Let the time-out pass at once, unless the event is set. A wait without time-out is a real one."""
        if timeout is None:
            return event.wait()
        self.waits.append(timeout)
        if not event.is_set():
            self.advance(timeout)
        return event.is_set()


class ScriptedTransport:
    """A `Transport` that keeps what it is sent, and answers as told.

    Args:
        script: what to answer, in order: a status, a `Failure` or a whole `Response`. Then, as by default, success.

    Attributes:
        requests: every request.
        rows: the decoded rows of all requests that were answered with success.
    """

    def __init__(self, *script: _Answer) -> None:
        self._script = deque(script)
        self._lock = threading.Lock()
        self.requests: list[Request] = []
        self.rows: list[dict[str, Any]] = []

    def then(self, *script: _Answer) -> None:
        """Append answers."""
        self._script.extend(script)

    def send(self, request: Request) -> Response:
        """Keep the request and give the next answer."""
        with self._lock:
            self.requests.append(request)
            answer = self._script.popleft() if self._script else _success(request)
            response = _response(answer)
            if response.status in _TAKEN:
                self.rows.extend(decode(request))
            return response

    def reset(self) -> None:
        """Nothing to forget."""

    def close(self) -> None:
        """Nothing to close."""


def decode(request: Request) -> Iterable[dict[str, Any]]:
    """Read the rows of a request."""
    body = gzip.decompress(request.body) if request.encoding == "gzip" else request.body
    return [orjson.loads(line) for line in body.splitlines()]


def _success(request: Request) -> int:
    return 200 if request.route.delivery is Delivery.ACK else 202


def _response(answer: _Answer) -> Response:
    if isinstance(answer, Response):
        return answer
    if isinstance(answer, Failure):
        return Response(failure=answer, detail=answer.value)
    headers: Mapping[str, str] = {}
    return Response(status=answer, headers=headers, body=b"{}")
