"""HTTP/2 against a server that refuses, resets and goes away at every point of a request."""

from __future__ import annotations

import threading

import pytest

from tests._h2server import H2Server
from tests.conftest import TOKEN
from tinylog._sources import Connection, Token
from tinylog.protocols import Delivery, Failure, Request, Route
from tinylog.transports.http2 import Http2Transport

ACK, FAF = Route("logs", Delivery.ACK), Route("logs", Delivery.FIRE_AND_FORGET)
BODY = b'{"a":1,"p":"' + b"x" * 200_000 + b'"}\n'  # several frames, and beyond a window


@pytest.fixture
def h2(tmp_path, monkeypatch):
    server = H2Server(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", server.ca)
    yield server
    server.stop()


@pytest.fixture
def transport(h2):
    transport = Http2Transport(Connection(h2.url, Token(TOKEN)))
    yield transport
    transport.close()


def send(transport, body=BODY, route=ACK):
    return transport.send(Request(route, body, None, 10.0))


def once(act, at):
    """A plan that does something else at the first such point."""
    done = []

    def plan(connection, stream, now):
        if now != at or done:
            return False
        done.append(stream)
        act(connection, stream)
        return True

    return plan


@pytest.fixture(params=["new", "used"])
def connection(request, transport):
    """A new connection, or one that has served: libcurl treats them differently."""
    if request.param == "used":
        assert send(transport, b"{}\n").status == 200


@pytest.mark.parametrize("at", ["headers", "end"])
@pytest.mark.parametrize("code", [0x00, 0x07])
def test_what_goaway_leaves_out_is_sent_again_at_once(h2, transport, connection, code, at):
    """A server that restarts, or has too many connections, costs no row and doubles none."""
    h2.plan = once(lambda peer, stream: peer.goaway(code, max(0, stream - 2), close=at == "end"), at)
    assert send(transport, route=FAF).status == 202
    assert [row for row in h2.rows if row] == [{"a": 1, "p": "x" * 200_000}]


@pytest.mark.parametrize("at", ["headers", "end"])
def test_enhance_your_calm_leaves_the_pace_to_the_exporter(h2, transport, connection, at):
    """A server that asks for calm is not hit again by acknowledged rows without a pause, and no row is lost."""
    h2.plan = once(lambda peer, stream: peer.goaway(0x0B, max(0, stream - 2), close=at == "end"), at)
    assert send(transport).failure is Failure.STALE
    assert send(transport).status == 200


@pytest.mark.parametrize("code", [0x00, 0x07, 0x0B])
def test_an_answer_after_goaway_is_heard(h2, transport, connection, code):
    """The graceful end of a connection does not make rows look lost that the server took."""
    h2.plan = once(lambda peer, stream: (peer.goaway(code, stream), peer.take(stream)), "end")
    assert send(transport).status == 200
    assert send(transport).status == 200


@pytest.mark.parametrize("code", [0x00, 0x07, 0x0B])
def test_what_goaway_covers_is_not_sent_again_by_libcurl(h2, transport, connection, code):
    """Rows that the server may have taken are not doubled behind the exporter's back."""
    h2.plan = once(lambda peer, stream: (peer.take(stream, answer=False), peer.goaway(code, stream, close=True)), "end")
    assert send(transport).failure is Failure.NO_ANSWER
    assert len([row for row in h2.rows if row]) == 1


@pytest.mark.parametrize("at", ["headers", "end"])
def test_a_refused_stream_is_sent_again_at_once(h2, transport, connection, at):
    """REFUSED_STREAM promises that nothing was processed."""
    h2.plan = once(lambda peer, stream: peer.reset(stream, 0x07), at)
    assert send(transport).status == 200
    assert len([row for row in h2.rows if row]) == 1


def test_a_server_that_always_refuses_is_given_up(h2, transport):
    """Refusal after refusal ends in the exporter's backoff, not in an endless loop."""
    h2.plan = lambda peer, stream, at: at == "headers" and (peer.reset(stream, 0x07) or True)
    assert send(transport).failure is Failure.NOT_SENT
    assert h2.connections <= 7


@pytest.mark.parametrize("at", ["headers", "end"])
@pytest.mark.parametrize("act", [lambda peer, stream: peer.abort(), lambda peer, stream: peer.reset(stream, 0x02)])
def test_a_broken_connection_or_stream_proves_nothing(h2, transport, connection, at, act):
    """Libcurl would send again on a connection that broke in use; rows the server may have are not doubled so."""
    h2.plan = once(act, at)
    assert send(transport).failure is Failure.NO_ANSWER
    assert send(transport).status == 200


def test_threads_share_one_connection(h2, transport):
    """Eight routes cost the server one connection, and each gets its own answer."""
    assert send(transport, b"{}\n").status == 200
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(send(transport).status)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 8
    assert h2.connections == 1


def test_token_and_parameters(h2, transport):
    """The token travels in the header, never in the URL, and `wait` only for acknowledged rows."""
    send(transport, b"{}\n")
    send(transport, b"{}\n", FAF)
    paths = [path for _, _, path, _ in h2.requests]
    assert paths == ["/v0/events?name=logs&wait=true", "/v0/events?name=logs"]
    assert h2.requests[0][3][b"authorization"] == f"Bearer {TOKEN}".encode()


def test_a_certificate_of_a_stranger_is_refused(h2, monkeypatch):
    """The token is not handed to whoever answers."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    transport = Http2Transport(Connection(h2.url, Token(TOKEN)))
    assert send(transport).failure is Failure.NOT_SENT
    assert h2.requests == []
    transport.close()
