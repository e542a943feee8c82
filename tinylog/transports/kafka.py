"""Rows to a Kafka topic, for Tinybird's Kafka connector or another consumer to bring to Tinybird. Extra `kafka`.

One message a row: the value is the row's JSON object, which is what the connector reads, the key is empty, so that
rows spread over the partitions, and a header names the Data Source
(https://www.tinybird.co/docs/get-data-in/connectors/kafka). The producer is idempotent, and waits for all in-sync
replicas.

A batch's answer waits for the delivery report of every row, whatever the way of delivery: the thread that waits is the
route's own, librdkafka's queue never holds more than the routes' batches, which count as being sent, and a lost row is
counted by the same ledger as over HTTP.
"""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import orjson
from confluent_kafka import KafkaError, KafkaException, Producer

from tinylog._kafka import parse_kafka_url
from tinylog.errors import ConfigurationError
from tinylog.protocols import Delivery, Failure, Request, Response
from tinylog.transports._leak import leak

__all__ = ["KafkaTransport"]

_POLL = 0.05  # seconds; another thread's poll may bring our reports
_MAX_MESSAGE = 1_000_000  # bytes, librdkafka's default of message.max.bytes
_OVERHEAD = 1024  # bytes beside the value that count into it

_DEFAULTS: dict[str, Any] = {
    "enable.idempotence": True,
    "compression.type": "zstd",
    "linger.ms": 5,  # a batch comes at once, so that there is nothing to wait for
    "queue.buffering.max.messages": 1_000_000,
    "queue.buffering.max.kbytes": 64 * 1024,
    "log_level": 0,  # librdkafka would write to stderr; what it has to say comes as errors too
}

# What Kafka's refusals would be over HTTP (https://kafka.apache.org/protocol#protocol_error_codes).
_STATUSES = {
    KafkaError.MSG_SIZE_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    KafkaError.INVALID_MSG: HTTPStatus.BAD_REQUEST,
    KafkaError.INVALID_RECORD: HTTPStatus.BAD_REQUEST,
    KafkaError.TOPIC_AUTHORIZATION_FAILED: HTTPStatus.FORBIDDEN,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: HTTPStatus.FORBIDDEN,
    KafkaError.TOPIC_EXCEPTION: HTTPStatus.NOT_FOUND,
    KafkaError.UNKNOWN_TOPIC_OR_PART: HTTPStatus.NOT_FOUND,
    KafkaError._UNKNOWN_TOPIC: HTTPStatus.NOT_FOUND,  # noqa: SLF001 - the client's own errors begin so
}


class _Reports:
    """The delivery reports of one batch."""

    def __init__(self, rows: int) -> None:
        self._open = rows
        self._lock = threading.Lock()
        self.all_in = threading.Event()
        self.error: KafkaError | None = None

    def report(self, error: KafkaError | None, _message: object) -> None:
        """Take the report of one message. Called by whichever thread polls."""
        with self._lock:
            self._open -= 1
            if error is not None and (self.error is None or error.code() in _STATUSES):
                self.error = error
            if not self._open:
                self.all_in.set()


class KafkaTransport:
    """A `Transport` to a Kafka topic.

    Args:
        url: see `tinylog._kafka.parse_kafka_url`. Without a topic, each Data Source has one of its own name.
        timeout: how long librdkafka goes on trying to deliver a message, in seconds. Default 10.
        producer: replaces `confluent_kafka.Producer`, for tests.

    Raises:
        ConfigurationError: it is no such URL, or librdkafka does not know a property.
    """

    def __init__(self, url: str, timeout: float = 10.0, producer: Callable[..., Any] = Producer) -> None:
        bootstrap, topic, properties = parse_kafka_url(url)
        self._topic = topic or "{datasource}"
        self._longest = int(properties.get("message.max.bytes", _MAX_MESSAGE)) - _OVERHEAD
        self._properties = {
            **_DEFAULTS,
            "delivery.timeout.ms": max(1000, round(timeout * 1000)),
            **properties,
            "bootstrap.servers": bootstrap,
        }
        self._make = producer
        try:  # what librdkafka refuses is known now rather than with the first row
            producer(dict(self._properties))
        except KafkaException as error:
            raise ConfigurationError(f"transport: {error.args[0].str()}") from None
        self._producer: Any = None
        self.reset()

    def reset(self) -> None:
        """Start over; the parent's producer is kept for ever, since its threads are not here to be ended."""
        if self._producer is not None:
            leak(self._producer)
        self._lock = threading.Lock()
        self._producer = None
        self._trouble = ""

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            self._producer = None

    def send(self, request: Request) -> Response:
        """Send once; see `tinylog.protocols.Transport`."""
        until = time.monotonic() + request.timeout
        rows = _rows(request)
        if any(len(row) > self._longest for row in rows):
            return _refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "a row is above message.max.bytes")
        reports = _Reports(len(rows))
        try:
            producer = self._current()
            produced = self._produce(producer, request, rows, reports, until)
            while produced == len(rows) and not reports.all_in.is_set() and time.monotonic() < until:
                producer.poll(min(_POLL, max(0.0, until - time.monotonic())))
        except KafkaException as error:
            return self._failed(error.args[0])
        if produced < len(rows):
            return Response(
                failure=Failure.NO_ANSWER if produced else Failure.NOT_SENT,
                detail=f"librdkafka's queue is full {self._trouble}".rstrip(),
            )
        if not reports.all_in.is_set():
            return Response(failure=Failure.NO_ANSWER, detail=self._trouble or "no delivery reports in time")
        return _taken(request, len(rows)) if reports.error is None else self._failed(reports.error)

    def _current(self) -> Any:
        with self._lock:
            if self._producer is None:
                self._producer = self._make({**self._properties, "error_cb": self._note})
            return self._producer

    def _note(self, error: KafkaError) -> None:
        """Remember what is wrong with the connection: a message that timed out does not tell."""
        self._trouble = error.str()
        if error.fatal():  # of an idempotent producer: https://github.com/confluentinc/librdkafka, INTRODUCTION.md
            self.close()

    def _produce(self, producer: Any, request: Request, rows: list[bytes], reports: _Reports, until: float) -> int:
        """Queue rows while there is room and time; tell how many."""
        topic = self._topic.replace("{datasource}", request.route.datasource)
        headers = {"datasource": request.route.datasource}
        for index, row in enumerate(rows):
            while True:
                try:
                    producer.produce(topic, row, headers=headers, on_delivery=reports.report)
                    break
                except BufferError:
                    if time.monotonic() >= until:
                        return index
                    producer.poll(_POLL)
        return len(rows)

    def _failed(self, error: KafkaError) -> Response:
        if error.fatal():
            self.close()
        status = _STATUSES.get(error.code())
        if status is not None:
            return _refused(status, error.str())
        return Response(failure=Failure.NO_ANSWER, detail=" ".join(filter(None, (error.str(), self._trouble)))[:300])


def _rows(request: Request) -> list[bytes]:
    body = request.body
    if request.encoding == "gzip":
        body = gzip.decompress(body)
    elif request.encoding == "zstd":
        import zstandard  # noqa: PLC0415 - only who asks for it has it

        body = zstandard.ZstdDecompressor().decompressobj().decompress(body)
    return bytes(body).splitlines()


def _taken(request: Request, rows: int) -> Response:
    status = HTTPStatus.OK if request.route.delivery is Delivery.ACK else HTTPStatus.ACCEPTED
    return Response(status=status, body=orjson.dumps({"successful_rows": rows, "quarantined_rows": 0}))


def _refused(status: HTTPStatus, words: str) -> Response:
    return Response(status=status, body=orjson.dumps({"error": f"Kafka: {words}"}))
