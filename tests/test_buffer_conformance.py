"""Every buffer does what a buffer must: the tests that `tinylog.testing` offers to authors of other ones."""

from __future__ import annotations

import functools

import pytest

from tests._kafka import running_kafka
from tests._s3 import running_s3
from tinylog._clock import SystemClock
from tinylog._diagnostics import Diagnostics
from tinylog._place import parse_place
from tinylog.buffers import make_buffer
from tinylog.buffers.kafka import KafkaBuffer
from tinylog.settings import SpillPolicy
from tinylog.testing import BufferConformance


def opened(place):
    clock = SystemClock()
    return make_buffer(SpillPolicy(place=parse_place(place)), "http://localhost:1", clock, Diagnostics(clock))


class TestDirectory(BufferConformance):
    """The spill directory."""

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path):
        self.make_buffer = lambda: opened(str(tmp_path / "spill"))


class TestFile(BufferConformance):
    """Objects in a folder, such as a network share."""

    patience = 2.0

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path):
        self.make_buffer = lambda: opened(f"file://{tmp_path}/share?lease=1").store


class TestMemory(BufferConformance):
    """Objects in memory, for tests of applications."""

    patience = 2.0

    @pytest.fixture(autouse=True)
    def _place(self):
        self.make_buffer = functools.cache(lambda: opened("memory://?lease=1").store)


@pytest.fixture(scope="module")
def s3():
    with running_s3() as s3:
        yield s3


class TestS3(BufferConformance):
    """Objects in S3."""

    patience = 2.0

    @pytest.fixture(autouse=True)
    def _place(self, s3, request):
        self.make_buffer = lambda: opened(s3.place(request.node.name, lease=1)).store


@pytest.fixture(scope="module")
def kafka():
    with running_kafka() as kafka:
        yield kafka


class TestKafka(BufferConformance):
    """Messages in Kafka."""

    patience = 15.0

    @pytest.fixture(autouse=True)
    def _place(self, kafka):
        self.make_buffer = lambda: opened(f"kafka://{kafka.servers}/spill").store

    def end(self, buffer):
        assert isinstance(buffer, KafkaBuffer)
        buffer.close()
