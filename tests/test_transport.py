"""The HTTP transport, against real sockets that misbehave."""

from __future__ import annotations

import gc
import socket
import threading
import weakref

import pytest
import responses

from tests._server import error
from tests.conftest import TOKEN
from tinylog._sources import Connection, Token
from tinylog._transport import RequestsTransport
from tinylog.protocols import Delivery, Failure, Request, Route

ACK, FAF = Route("logs", Delivery.ACK), Route("logs", Delivery.FIRE_AND_FORGET)


def request(route=ACK, timeout=30.0):
    return Request(route, b'{"a":1}\n', None, timeout)


@pytest.fixture
def transport(server):
    transport = RequestsTransport(Connection(server.url, Token(TOKEN)))
    yield transport
    transport.close()


class Raw:
    """A server that answers with raw bytes, a connection at a time: each item is what one connection does."""

    def __init__(self, *connections):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.connections = connections
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        for answers in self.connections:
            connection, _ = self.listener.accept()
            with connection:
                for answer in answers:
                    data = b""
                    while b'{"a":1}\n' not in data:
                        data += connection.recv(65536)
                    connection.sendall(answer)

    def send(self, *routes):
        transport = RequestsTransport(Connection(self.url, Token(TOKEN)))
        try:
            return [transport.send(request(route)) for route in routes]
        finally:
            transport.close()
            self.thread.join(30)
            self.listener.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def test_request_as_documented(transport, server):
    """The token travels in the header, never in the URL, and `wait` only for acknowledged rows."""
    assert transport.send(request(ACK)).status == 200
    assert transport.send(request(FAF)).status == 202
    first, second = server.requests
    assert (first.params, second.params) == ({"name": "logs", "wait": "true"}, {"name": "logs"})
    assert first.headers["Authorization"] == f"Bearer {TOKEN}"
    assert first.headers["Content-Type"] == "application/x-ndjson"
    assert first.headers["User-Agent"].startswith("tinylog/")


def test_netrc_does_not_replace_the_token(transport, server, tmp_path, monkeypatch):
    """A `.netrc` entry for the host, which `requests` would prefer, is not sent instead of the token."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    transport.send(request())
    assert server.requests[0].headers["Authorization"] == f"Bearer {TOKEN}"


def test_redirects_are_not_followed(transport, server):
    """A redirect cannot carry rows and token to another host."""
    server.answer = lambda received: (302, {"Location": f"{server.url}/elsewhere"}, b"")
    assert transport.send(request()).status == 302
    assert len(server.requests) == 1


def test_the_token_is_masked_in_what_the_server_says(transport, server):
    """A server that repeats the token in its error does not get it into the application's logs."""
    server.answer = error(403, f"invalid token {TOKEN}")
    response = transport.send(request())
    assert TOKEN.encode() not in response.body
    assert b"***" in response.body


def test_a_huge_answer_is_read_in_part(transport, server):
    """A server cannot fill the memory with its answer."""
    server.answer = lambda received: (500, {}, b"x" * 10_000_000)
    assert len(transport.send(request()).body) == 64 * 1024
    server.answer = server.success
    assert transport.send(request()).status == 200


def test_nobody_listens(server, transport):
    """A refused connection is known to have delivered nothing."""
    server.stop()
    response = transport.send(request())
    assert response.failure is Failure.NOT_SENT
    assert "refused" in response.detail
    server.start()


def test_unknown_host():
    """A host that does not resolve is known to have received nothing."""
    transport = RequestsTransport(Connection("http://nowhere.invalid", Token(TOKEN)))
    response = transport.send(request())
    assert response.failure is Failure.NOT_SENT
    transport.close()


def test_sent_without_an_answer(server, transport):
    """A server that takes the rows and closes may have stored them."""
    server.answer = lambda received: None
    assert transport.send(request()).failure is Failure.NO_ANSWER


def test_a_server_that_never_answers_is_given_up(server, transport):
    """A stalled server holds a thread for no longer than the time-out."""
    release = threading.Event()
    server.answer = lambda received: release.wait(30) and None
    assert transport.send(request(timeout=0.2)).failure is Failure.NO_ANSWER
    release.set()


def test_a_stale_connection_is_told_from_a_new_one():
    """A kept-alive connection that was closed under us counts as such, so that it can be reopened."""
    first, second = Raw([OK, b""]).send(ACK, ACK)
    assert first.status == 200
    assert second.failure is Failure.STALE


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", b"not HTTP at all\r\n\r\n", b"HTTP/1.1 "]
)
def test_a_broken_answer_is_no_answer(answer):
    """An answer that breaks off proves neither success nor failure."""
    [response] = Raw([answer]).send(ACK)
    assert response.failure is Failure.NO_ANSWER


class Rows:
    """Stands for what a caller of the transport holds."""


def failing_send(transport, timeout):
    rows = Rows()
    assert transport.send(request(timeout=timeout)).failure
    return weakref.ref(rows)


@pytest.mark.parametrize("trouble", ["refused", "closed", "never answers"])
def test_a_failure_holds_no_rows(server, transport, trouble):
    """In an outage, failed batches must not stay in memory until the garbage collector happens to come by."""
    release = threading.Event()
    server.answer = lambda received: release.wait(30) and None if trouble == "never answers" else None
    if trouble == "refused":
        server.stop()
    gc.collect()
    gc.disable()
    try:
        assert failing_send(transport, timeout=0.2)() is None
    finally:
        gc.enable()
        release.set()
        if trouble == "refused":
            server.start()


def test_a_proxy_from_the_environment_is_used(server, monkeypatch):
    """Users behind a proxy configure it the way they configure `requests`."""
    monkeypatch.setenv("http_proxy", server.url)
    transport = RequestsTransport(Connection("http://tinybird.internal", Token(TOKEN)))
    assert transport.send(request()).status == 200
    transport.close()


@responses.activate
def test_cookies_are_not_kept():
    """A load balancer's cookie does not tie all rows to one of its servers."""
    responses.post("https://api.tinybird.co/v0/events", status=202, headers={"Set-Cookie": "lb=1; Path=/"})
    transport = RequestsTransport(Connection("https://api.tinybird.co", Token(TOKEN)))
    transport.send(request())
    transport.send(request())
    assert "Cookie" not in responses.calls[1].request.headers
    transport.close()
