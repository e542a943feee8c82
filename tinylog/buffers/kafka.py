"""A buffer in a Kafka topic: one message for each spilled batch, for any number of processes and machines to send.

Invariants:

- A message is a batch: NDJSON; its key is the Data Source, its headers say everything about it. `put` returns once all
  in-sync replicas have it.
- Each Data Source has a consumer group of its own, `<topic>.<datasource>`, which passes over the messages of others:
  so none can hold up another, and only processes that log to a Data Source send its rows.
- Kafka gives each partition to one process of a group, and to another when that process has died. What is committed is
  the offset before which the server has answered for every row: whoever comes next begins there, and never skips.
- Dead letters, and what does not match its checksum, go to topic `<topic>.dead`, with the reason in a header.
- The topic's retention is the only bound.
"""

from __future__ import annotations

import threading
import zlib
from collections import deque
from importlib.metadata import version
from typing import Any

from tinylog._chunk import halve
from tinylog._diagnostics import Diagnostics
from tinylog._kafka import parse_kafka_url
from tinylog._place import Place, masked
from tinylog.buffers._kafkaclient import Producing, consumer
from tinylog.errors import BufferUnavailableError
from tinylog.protocols import Batch, Clock, JournalFile, Route
from tinylog.transports._leak import leak

__all__ = ["KafkaBuffer"]

_MESSAGE = 900_000  # bytes: brokers refuse more than 1 MiB, unless told otherwise
_JOINING, _LOOKING = 1.0, 0.2  # seconds to wait for a message: while joining the group, and after that
_MAX_PASSED = 1000  # messages of other Data Sources that one look passes over


class _KafkaClaim:
    """A message that is not committed. See `tinylog.protocols.Claim`."""

    def __init__(self, reader: _Reader, partition: int, offset: int, batch: Batch) -> None:
        self.batch = batch
        self.partition = partition
        self.offset = offset
        self._reader: _Reader | None = reader

    def done(self) -> None:
        """Commit it, once everything before it is done with."""
        if self._reader is not None:
            self._reader.finish(self)
            self._reader = None

    def release(self) -> None:
        """Give it back for another try."""
        if self._reader is not None:
            self._reader.give_back(self)
            self._reader = None


class _Reader:
    """This process's share in the messages of one Data Source."""

    def __init__(self, buffer: KafkaBuffer, route: Route, client: Any, topic: str) -> None:
        self._buffer = buffer
        self._route = route
        self._topic = topic
        self.client = client
        self._lock = threading.Lock()
        self._returned: deque[_KafkaClaim] = deque()
        self._open: dict[int, set[int]] = {}  # partition -> offsets that are claimed, or given back
        self._next: dict[int, int] = {}  # partition -> the offset after the last message read
        client.subscribe([topic], on_revoke=self._forget, on_lost=self._forget)

    def _forget(self, client: Any, partitions: Any) -> None:  # noqa: ARG002
        """Another process has these partitions now, and begins where we committed."""
        for gone in partitions:
            self._open.pop(gone.partition, None)
            self._next.pop(gone.partition, None)
            self._returned = deque(claim for claim in self._returned if claim.partition != gone.partition)

    def claim(self) -> _KafkaClaim | None:
        with self._lock:
            message = None
            if not self._returned:  # whoever has messages in hand must still be seen to poll
                message = self._read()
            if self._returned:
                claim = self._returned.popleft()
                return _KafkaClaim(self, claim.partition, claim.offset, claim.batch)
            return message

    def _read(self) -> _KafkaClaim | None:
        wait = _LOOKING if self.client.assignment() else _JOINING
        for _ in range(_MAX_PASSED):
            message = self.client.poll(wait)
            if message is None:
                return None
            if message.error() is not None:
                self._buffer.check(message.error())
                continue
            partition, offset = message.partition(), message.offset()
            self._next[partition] = offset + 1
            batch = self._buffer.unpack(message, self._route)
            if batch is not None:
                self._open.setdefault(partition, set()).add(offset)
                return _KafkaClaim(self, partition, offset, batch)
            self._commit(partition)
        return None

    def finish(self, claim: _KafkaClaim) -> None:
        with self._lock:
            opened = self._open.get(claim.partition, set())
            if claim.offset in opened:  # else it is another process's by now, which sends it again
                opened.discard(claim.offset)
                self._commit(claim.partition)

    def give_back(self, claim: _KafkaClaim) -> None:
        with self._lock:
            if claim.offset in self._open.get(claim.partition, ()):
                self._returned.appendleft(claim)

    def _commit(self, partition: int) -> None:
        """Commit in the background: what is lost of that costs duplicates."""
        upto = min(self._open.get(partition) or {self._next[partition]})
        self._buffer.commit(self.client, self._topic, partition, upto)


class KafkaBuffer:
    """Keeps batches as messages of a topic.

    Args:
        place: `kafka://host:port/topic`. Its query is librdkafka's configuration.
        clock: the time.
        diagnostics: told of what had to be set aside.

    Raises:
        ConfigurationError: the URL is none of Kafka's.
    """

    def __init__(self, place: Place, clock: Clock, diagnostics: Diagnostics) -> None:
        servers, self._topic, properties = parse_kafka_url(str(place))
        self._place = place
        self._config = {"bootstrap.servers": servers, **properties}
        self._clock = clock
        self._diagnostics = diagnostics
        self._damaged = 0
        self._readers: dict[Route, _Reader] = {}
        self._producing = Producing(self._config)
        self._lock = threading.Lock()

    def reset(self) -> None:
        """Forget the parent's clients without touching them."""
        leak(self._readers)
        leak(self._producing)
        self._readers = {}
        self._producing = Producing(self._config)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Leave the groups, so that others need not wait until this process is missed."""
        with self._lock:
            for reader in self._readers.values():
                reader.client.close()
            self._readers = {}

    @property
    def damaged(self) -> int:
        """How many damaged messages this process has set aside."""
        return self._damaged

    def describe(self) -> str:
        """Name the servers and the topic."""
        return masked(self._place).partition("?")[0]

    def put(self, batch: Batch) -> int:
        """Produce a message, or several where the batch is too large for one. Nothing is evicted."""
        self._producing.produce(self._topic, [_message(part) for part in _parts(batch)])
        return 0

    def bury(self, batch: Batch, reason: str) -> None:
        """Produce to `<topic>.dead`."""
        self._producing.produce(f"{self._topic}.dead", [_message(part, reason) for part in _parts(batch)])

    def journal(self, route: Route) -> JournalFile:
        """Refuse: messages cannot grow.

        Raises:
            BufferUnavailableError: always.
        """
        raise BufferUnavailableError(f"a Kafka topic keeps no journal of {route.datasource}")

    def claim(self, route: Route) -> _KafkaClaim | None:
        """Read the next message. Whoever calls it for the first time joins a group, and gets nothing meanwhile."""
        with self._lock:
            reader = self._readers.get(route)
            if reader is None:
                client = consumer(self._config, f"{self._topic}.{route.datasource}")
                reader = self._readers[route] = _Reader(self, route, client, self._topic)
        return reader.claim()

    def check(self, error: Any) -> None:
        """Raise what does not pass by itself: a missing topic does, with the first message."""
        if error.fatal():
            raise BufferUnavailableError(f"Kafka: {error.str()}")

    def commit(self, client: Any, topic: str, partition: int, offset: int) -> None:
        """Note up to where everything has been sent."""
        from confluent_kafka import KafkaException, TopicPartition

        try:
            client.commit(offsets=[TopicPartition(topic, partition, offset)], asynchronous=True)
        except KafkaException as error:  # it is another process's by now, or comes with the next one
            self._diagnostics.warn("kafka", f"{self.describe()}: what was sent cannot be committed yet ({error})")

    def unpack(self, message: Any, route: Route) -> Batch | None:
        """Make a batch of a message; None when it is none of this route's, or is damaged and set aside."""
        headers = {name: value.decode("utf-8", "replace") for name, value in message.headers() or () if value}
        if (headers.get("datasource"), headers.get("delivery")) != (route.datasource, route.delivery.value):
            return None
        data = message.value() or b""
        batch = Batch(route, data, data.count(b"\n"))
        if headers.get("crc32") == f"{zlib.crc32(data):08x}" and headers.get("rows") == str(batch.rows):
            return batch
        self.bury(batch, "damaged: it does not match its checksum")
        self._damaged += 1
        self._diagnostics.warn("corrupt", f"a damaged message of {self.describe()} is in topic {self._topic}.dead")
        return None


def _message(batch: Batch, reason: str = "") -> dict[str, Any]:
    data = bytes(batch.data)
    headers = {
        "datasource": batch.route.datasource,
        "delivery": batch.route.delivery.value,
        "rows": str(batch.rows),
        "crc32": f"{zlib.crc32(data):08x}",
        "tinylog": version("tinylog-tinybird"),
        **({"reason": reason} if reason else {}),
    }
    return {"key": batch.route.datasource.encode(), "value": data, "headers": list(headers.items())}


def _parts(batch: Batch) -> list[Batch]:
    """Halve a batch until its parts fit into messages, or have one row."""
    if len(batch.data) <= _MESSAGE or batch.rows == 1:
        return [batch]
    return [part for half in halve(batch) for part in _parts(half)]
