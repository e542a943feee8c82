"""Kafka's clients, with time-outs that suit a buffer and errors made ours."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from tinylog.errors import BufferUnavailableError

__all__ = ["Producing", "consumer"]

_DELIVERY = 5.0  # seconds for a message: whoever waits for it holds up live rows
_COMMON = {"socket.connection.setup.timeout.ms": 3000, "log_level": 0}  # its log would go to stderr
_PRODUCER = {
    "enable.idempotence": True,
    "acks": "all",
    "compression.type": "zstd",
    "linger.ms": 0,
    "message.max.bytes": 8 * 1024**2,  # the broker's limit is what counts
    "message.timeout.ms": int(_DELIVERY * 1000),
    "queue.buffering.max.kbytes": 64 * 1024,
}
_CONSUMER = {
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "session.timeout.ms": 6000,  # until the partitions of a process that was killed are another's
    "heartbeat.interval.ms": 1000,
    "max.poll.interval.ms": 120_000,  # longer than a batch takes that has to be halved many times
    "queued.max.messages.kbytes": 8192,
    "topic.metadata.refresh.interval.ms": 10_000,  # a topic may be created by the first message
    "partition.assignment.strategy": "range",
}


def _quiet() -> logging.Logger:
    """Make a logger that says nothing: what matters comes back as an error."""
    logger = logging.Logger("tinylog.kafka")  # noqa: LOG001 - nobody else is to configure it
    logger.addHandler(logging.NullHandler())
    return logger


class Producing:
    """A producer, made when first needed, and again after an error that it cannot recover from.

    Args:
        config: librdkafka's.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = {**_COMMON, **_PRODUCER, **config}
        self._client: Any = None
        self._trouble = "no answer"
        self._lock = threading.Lock()  # one batch at a time, so that none is left in librdkafka's own queue

    def produce(self, topic: str, messages: Sequence[Mapping[str, Any]]) -> None:
        """Wait until all in-sync replicas have the messages.

        Raises:
            BufferUnavailableError: they may have none, some or all of them.
        """
        from confluent_kafka import KafkaException, Producer

        failures: list[Any] = []

        def delivered(error: Any, message: Any) -> None:  # noqa: ARG001
            if error is not None:
                failures.append(error)

        with self._lock:
            try:
                if self._client is None:
                    self._client = Producer({**self._config, "error_cb": self._note}, logger=_quiet())
                for message in messages:
                    self._client.produce(topic, **message, on_delivery=delivered)
                left = self._client.flush(_DELIVERY + 1)
            except (KafkaException, BufferError) as error:
                self._give_up()
                raise BufferUnavailableError(f"Kafka: {error}") from None
            if failures or left:
                trouble = failures[0].str() if failures else "no answer"
                self._give_up()
                raise BufferUnavailableError(f"Kafka: {trouble} ({self._trouble})")

    def _note(self, error: Any) -> None:
        self._trouble = error.str()

    def _give_up(self) -> None:
        """Forget the client, and with it what it would still send: the batch is somebody else's now."""
        if self._client is not None:
            self._client.purge()
            self._client = None


def consumer(config: Mapping[str, Any], group: str) -> Any:
    """Make a consumer.

    Raises:
        BufferUnavailableError: librdkafka refuses the configuration.
    """
    from confluent_kafka import Consumer, KafkaException

    try:
        return Consumer({**_COMMON, **_CONSUMER, **config, "group.id": group, "error_cb": _ignore}, logger=_quiet())
    except KafkaException as error:
        raise BufferUnavailableError(f"Kafka: {error}") from None


def _ignore(error: Any) -> None:
    """Leave it to librdkafka, which connects again."""
