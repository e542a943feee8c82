"""What every transport owes its exporter, held against the real ones; and how settings name them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

import tinylog
from tests._server import EventsServer, error
from tests.conftest import TOKEN
from tinylog._resolve import resolve
from tinylog._sources import Connection, Token
from tinylog.errors import ConfigurationError, MissingExtraError
from tinylog.protocols import Delivery, Failure, Request, Route
from tinylog.testing import TransportConformance
from tinylog.transports import make_transport


class TestRequests(TransportConformance):
    name = "requests"

    @pytest.fixture
    def transport(self, server):
        transport = make_transport(self.name, Connection(server.url, Token(TOKEN)), 10)
        yield transport
        transport.close()

    @pytest.fixture
    def unreachable(self):
        with_nobody = EventsServer()
        with_nobody.stop()
        transport = make_transport(self.name, Connection(with_nobody.url, Token(TOKEN)), 10)
        yield transport
        transport.close()

    @pytest.fixture
    def arrived(self, server):
        return lambda count: list(server.rows)

    def test_a_refusal_is_handed_on_with_the_token_masked(self, transport, server):
        """Users read why, and the token does not get into their logs; a huge answer does not fill the memory."""
        server.answer = error(403, f"invalid token {TOKEN} " + "x" * 1_000_000)
        response = transport.send(Request(Route("logs", Delivery.ACK), b"{}\n", None, 30.0))
        assert (response.status, len(response.body) <= 64 * 1024) == (403, True)
        assert TOKEN.encode() not in response.body

    def test_no_redirect_no_answer(self, transport, server):
        """Rows and token go to no other host, and silence is not success."""
        server.answer = lambda received: (302, {"Location": f"{server.url}/elsewhere"}, b"")
        assert transport.send(Request(Route("logs", Delivery.ACK), b"{}\n", None, 30.0)).status == 302
        server.answer = lambda received: None
        response = transport.send(Request(Route("logs", Delivery.ACK), b"{}\n", None, 30.0))
        assert response.failure in (Failure.NO_ANSWER, Failure.STALE)
        assert len(server.requests) == 2


class TestHttp2(TestRequests):
    name = "http2"


@pytest.fixture(scope="module")
def cluster():
    """Librdkafka's mock cluster, behind real sockets."""
    mock = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    brokers = mock.list_topics(timeout=10).brokers.values()
    yield ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    del mock


def consume(cluster, topic, count):
    consumer = Consumer({"bootstrap.servers": cluster, "group.id": "test", "log_level": 0})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(4)])
    rows = []
    for _ in range(30):
        rows += [message.value() for message in consumer.consume(count, 1.0) if not message.error()]
        if len(rows) >= count:
            break
    consumer.close()
    return [tinylog.testing.orjson.loads(row) for row in rows]


class TestKafka(TransportConformance):
    @pytest.fixture
    def transport(self, cluster, fresh_name):
        transport = make_transport(f"kafka://{cluster}/{fresh_name}", None, 10)
        yield transport
        transport.close()

    @pytest.fixture
    def unreachable(self):
        transport = make_transport("kafka://127.0.0.1:1/topic", None, 1)
        yield transport
        transport.close()

    @pytest.fixture
    def arrived(self, cluster, fresh_name):
        return lambda count: consume(cluster, fresh_name, count)

    def test_a_row_beyond_a_message_is_split_off(self, transport):
        """A row that Kafka cannot carry becomes a dead letter, and does not block its neighbours."""
        response = transport.send(Request(Route("logs", Delivery.ACK), b"x" * 2_000_000 + b"\n", None, 10.0))
        assert response.status == 413

    def test_a_handler_ships_to_a_topic(self, cluster, fresh_name, make_logger):
        """The ledger counts rows as over HTTP, and each Data Source's rows are in its topic."""
        logger, handler = make_logger(transport=f"kafka://{cluster}/{fresh_name}_{{datasource}}")
        logger.error("acknowledged")
        logger.info("once")
        assert handler.flush(30)
        assert (handler.stats().delivered, handler.stats().accepted) == (1, 1)
        assert {row["message"] for row in consume(cluster, f"{fresh_name}_logs", 2)} == {"acknowledged", "once"}


def test_names(monkeypatch):
    """A deployment chooses by a variable; a slip is told at once, without the password."""
    assert resolve({"token": "t"}, {"TINYLOG_TRANSPORT": "http2"}).http.transport == "http2"
    assert "secret" not in repr(resolve({"token": "t", "transport": "kafka://u:secret@h:1/t"}, {}))
    for bad in ("http3", "kafka://u:secret@/t", "kafka://h:1/to pic?sasl.password=secret"):
        with pytest.raises(ConfigurationError, match="transport: expected") as caught:
            tinylog.TinybirdHandler("logs", token="t", transport=bad)
        assert "secret" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="nonsense"):
        make_transport("kafka://h:1/t?nonsense=1", None, 1)
    for package, name in (("pycurl", "http2"), ("confluent_kafka", "kafka://h:1/t")):
        for module in ("http2", "kafka"):
            monkeypatch.delitem(sys.modules, f"tinylog.transports.{module}", raising=False)
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(MissingExtraError, match="pip install"):
            make_transport(name, Connection("http://localhost", Token("t")), 1)


FORK = """
import os, sys
from tinylog._sources import Connection, Token
from tinylog.protocols import Delivery, Request, Route
from tinylog.transports import make_transport
transport = make_transport(sys.argv[1], Connection(sys.argv[2], Token("t")), 10)
send = lambda n: transport.send(Request(Route("logs", Delivery.ACK), b'{"n":%d}\\n' % n, None, 20.0)).status
assert send(1) == 200
child = os.fork()
if child == 0:
    transport.reset()
    assert send(2) == 200
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
assert send(3) == 200
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("name", ["requests", "http2", "kafka"])
def test_a_forked_child_and_its_parent_both_send(name, server, cluster, fresh_name):
    """Workers of a server that forks have connections of their own, and end without harm to the parent's."""
    place = f"kafka://{cluster}/{fresh_name}" if name == "kafka" else name
    command = [sys.executable, "-W", "ignore", "-c", FORK, place, server.url]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    rows = consume(cluster, fresh_name, 3) if name == "kafka" else server.rows
    assert sorted(row["n"] for row in rows) == [1, 2, 3]
