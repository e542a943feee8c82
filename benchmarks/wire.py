"""The least of HTTP/1.1 that the clients need, on asyncio's protocols: kept-alive connections, bodies by length or in
chunks. It keeps what arrives as it arrived, since the machine's other core is being measured meanwhile."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

REASONS = {200: "OK", 202: "Accepted", 204: "No Content", 400: "Bad Request", 429: "Too Many Requests"}
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a close throws away what is unsent and resets the connection


@dataclass(frozen=True)
class Arrived:
    """One request. `size` is what it took on the wire, its headers included; names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    size: int


@dataclass(frozen=True)
class Answer:
    """What a request is answered with, after a while. Status 0 resets the connection."""

    status: int = 200
    headers: dict[str, str] | None = None
    body: bytes = b""
    delay: float = 0.0


class Connection(asyncio.Protocol):
    """Takes one request after the other apart and has them answered."""

    def __init__(self, serve: Callable[[Arrived], Answer]) -> None:
        self._serve = serve
        self._parts: list[bytes] = []  # joined only when a request is complete: a body comes in many pieces
        self._held = 0
        self._needed = 1
        self._head: tuple[str, str, dict[str, str], int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        self._held += len(data)
        while self._held >= self._needed and self._advance():
            pass

    def _advance(self) -> bool:
        """Take one step: a head, or a whole request. Tells whether another may follow."""
        data = b"".join(self._parts)
        self._parts = [data]
        if self._head is None:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._needed = self._held + 1
                return False
            self._head = (*_head(data[:end]), end + 4)
            if self._head[2].get("expect", "").lower() == "100-continue":
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        method, path, headers, start = self._head
        if headers.get("transfer-encoding", "").lower() == "chunked":
            found = _chunks(data, start)
            if found is None:
                self._needed = self._held + 1
                return False
            body, end = found
        else:
            end = start + int(headers.get("content-length", 0))
            if self._held < end:
                self._needed = end
                return False
            body = data[start:end]
        self._parts, self._held, self._needed, self._head = [data[end:]], self._held - end, 1, None
        self._answer(self._serve(Arrived(method, path, headers, body, end)))
        return self._held > 0

    def _answer(self, answer: Answer) -> None:
        if answer.delay:
            asyncio.get_running_loop().call_later(answer.delay, self._write, answer)
        else:
            self._write(answer)

    def _write(self, answer: Answer) -> None:
        if not answer.status:
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._transport.abort()
            return
        lines = [f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Status')}"]
        if answer.status != 204:  # noqa: PLR2004 - No Content has no length
            lines.append(f"Content-Length: {len(answer.body)}")
        lines += [f"{name}: {value}" for name, value in (answer.headers or {}).items()]
        self._transport.write("\r\n".join([*lines, "", ""]).encode() + answer.body)


def _head(data: bytes) -> tuple[str, str, dict[str, str]]:
    first, *lines = data.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines)
    return method, path, {name.strip().lower(): value.strip() for name, _, value in pairs}


def _chunks(data: bytes, start: int) -> tuple[bytes, int] | None:
    """Join a chunked body; None when it is not complete yet."""
    parts = []
    while True:
        line = data.find(b"\r\n", start)
        if line < 0:
            return None
        size = int(data[start:line].partition(b";")[0], 16)
        start = line + 2 + size + 2
        if len(data) < start:
            return None
        if not size:
            return b"".join(parts), start
        parts.append(data[line + 2 : line + 2 + size])
