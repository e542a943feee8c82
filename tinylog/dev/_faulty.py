"""Faults put to work: around the application, and on its connections. See :mod:`tinylog.dev._faults`."""

import asyncio
import itertools
import socket
import struct
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

import anyio.to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from tinylog.dev._body import MAX_BODY_BYTES, decode_body
from tinylog.dev._faults import (
    Dice,
    Fault,
    Refusal,
    Windows,
    is_cut,
    rate_headers,
    refusal,
    rejects_connection,
    stall_seconds,
)
from tinylog.dev._problems import RequestError

_PATH = "/v0/events"  # all else works, so that one can see what became of the rows
_TRANSPORT = "tinylog.transport"
_REMEMBERED = 3600  # seconds for which requests are counted apart
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # linger for 0 seconds: the kernel sends RST instead of FIN


class FaultyProtocol(H11Protocol):
    """HTTP that lets the application at its connection, through the ``state`` of the ASGI scope."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """Remember the connection."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, _TRANSPORT: transport}


class Tally:
    """What became of the requests, second by second since the server started."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._seconds: dict[int, Counter[str]] = {}

    def elapsed(self) -> float:
        """Seconds since the server started."""
        return time.monotonic() - self._began

    def arrived(self) -> Counter[str]:
        """Count a request; gives the counts of its second, to add how it ends."""
        second = int(self.elapsed())
        for old in [key for key in self._seconds if key < second - _REMEMBERED]:
            del self._seconds[old]
        counts = self._seconds.setdefault(second, Counter())
        counts["requests"] += 1
        return counts

    def as_list(self) -> list[dict[str, int]]:
        """The counts of each second in which there was a request."""
        return [{"second": second, **counts} for second, counts in self._seconds.items()]


class Faults:
    """The faults of a server, to be put around its application.

    Args:
        faults: What may happen.
        seed: Makes it repeatable.
    """

    def __init__(self, faults: Sequence[Fault], seed: int) -> None:
        self._faults = faults
        self._seed = seed
        self._tally = Tally()

    def middleware(self) -> Middleware:
        """What does it."""
        return Middleware(_FaultMiddleware, faults=self._faults, seed=self._seed, tally=self._tally)

    def route(self) -> Route:
        """``GET /v0/_faults``: the faults, and counts of requests and of how they ended, by the second."""
        return Route("/v0/_faults", self._report)

    async def _report(self, _: Request) -> Response:
        specs = [fault.spec for fault in self._faults]
        return JSONResponse({"faults": specs, "seed": self._seed, "seconds": self._tally.as_list()})


class _FaultMiddleware:
    """Makes requests for the Events API fail."""

    def __init__(self, app: ASGIApp, faults: Sequence[Fault], seed: int, tally: Tally) -> None:
        self._app = app
        self._faults = faults
        self._seed = seed
        self._tally = tally
        self._numbers = itertools.count(1)
        self._windows = Windows()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or not."""
        if scope["type"] != "http" or scope["path"] != _PATH:
            await self._app(scope, receive, send)
            return
        counts, dice = self._tally.arrived(), Dice(self._seed, next(self._numbers))
        reason = rejects_connection(self._faults, dice, self._tally.elapsed())
        if reason:
            counts[reason] += 1
            await _reset(scope, receive)
            return
        messages = await _read(receive)  # also when it is refused: who is still sending misses an answer
        body = await anyio.to_thread.run_sync(_plain_body, scope, messages)
        await asyncio.sleep(stall_seconds(self._faults, dice))
        answer = _Answer(send, counts)
        refused = self._refusal(scope, dice, body, answer)
        receive = _replay(messages, receive)
        if refused is not None:
            await JSONResponse({"error": refused.error}, refused.status, refused.headers)(scope, receive, answer.send)
        elif is_cut(self._faults, dice):
            await self._app(scope, receive, answer.send_half)
            if answer.cut:
                await _hang_up(scope, receive)
        else:
            await self._app(scope, receive, answer.send)

    def _refusal(self, scope: Scope, dice: Dice, body: bytes, answer: "_Answer") -> Refusal | None:
        name = parse_qs(scope["query_string"].decode("latin-1")).get("name", [""])[0]
        used = self._windows.count(name, self._tally.elapsed())
        answer.headers = rate_headers(self._faults, used)
        return refusal(self._faults, dice, used, body)


class _Answer:
    """The way of an answer to the client: counted, with the headers of the rate limit, perhaps half of it."""

    def __init__(self, send: Send, counts: Counter[str]) -> None:
        self._send = send
        self._counts = counts
        self.headers: dict[str, str] = {}
        self.cut = False

    async def send(self, message: Message) -> None:
        """Pass on."""
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(self.headers)
            self._counts[str(message["status"])] += 1
        await self._send(message)

    async def send_half(self, message: Message) -> None:
        """Pass on; when it is a success, only half of the body."""
        if message["type"] == "http.response.start":
            self.cut = message["status"] < 300  # noqa: PLR2004 - an answer that says that the rows were taken
            self._counts["cut"] += self.cut
        elif self.cut:
            body = message.get("body", b"")
            message = {"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True}
        await self.send(message)


async def _read(receive: Receive) -> list[Message]:
    """Read a body, but not much more than the application would take."""
    messages, size = [], 0
    while size <= MAX_BODY_BYTES:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
        if not message.get("more_body", False):
            break
    return messages


def _replay(messages: list[Message], receive: Receive) -> Receive:
    first = iter(messages)

    async def replay() -> Message:
        return next(first, None) or await receive()

    return replay


def _plain_body(scope: Scope, messages: list[Message]) -> bytes:
    body = b"".join(message.get("body", b"") for message in messages)
    try:
        return decode_body(body, Headers(scope=scope).get("content-encoding", ""))
    except RequestError:
        return body  # the application refuses it


async def _reset(scope: Scope, receive: Receive) -> None:
    connection = _connection(scope)
    connection.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
    connection.abort()
    await _until_closed(receive)


async def _hang_up(scope: Scope, receive: Receive) -> None:
    _connection(scope).close()  # what is written is sent before
    await _until_closed(receive)


def _connection(scope: Scope) -> Any:
    return scope["state"][_TRANSPORT]


async def _until_closed(receive: Receive) -> None:
    """Return only once uvicorn knows, or it would report an application that does not answer."""
    while (await receive())["type"] != "http.disconnect":
        pass
