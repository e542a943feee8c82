"""Spilling beyond one machine: URLs, secrets, and the directory that takes over."""

from __future__ import annotations

import importlib.util

import pytest

from tests.chaos.buffers import run
from tinylog._clock import SystemClock
from tinylog._diagnostics import Diagnostics
from tinylog._resolve import resolve
from tinylog.buffers import make_buffer
from tinylog.errors import BufferUnavailableError, ConfigurationError, MissingExtraError
from tinylog.protocols import Batch, Delivery, Route
from tinylog.settings import SpillPolicy

ROUTE = Route("logs", Delivery.ACK)
BATCH = Batch(ROUTE, b'{"n":1}\n', 1)


def opened(place):
    policy = resolve({"token": "t", "spill": place}).spill
    clock = SystemClock()
    return make_buffer(policy, "http://localhost:1", clock, Diagnostics(clock))


@pytest.mark.parametrize(
    "place", ["s33://b/p?secret=hush", "s3:///p?k=hush", "file://host/p", "kafka://h:9092/?k=hush"]
)
def test_a_url_that_cannot_work_is_refused_without_its_secrets(place):
    """A typing error is found at the start, and its message may be shown to anybody."""
    with pytest.raises(ConfigurationError, match="spill") as caught:
        resolve({"token": "t", "spill": place})
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("place", ["s3://b/p?secret_access_key=hush", "kafka://u:hush@h:9092/t?sasl.password=hush"])
def test_secrets_are_not_shown(place):
    """Credentials in the URL appear in no message, repr or description."""
    assert "hush" not in repr(resolve({"token": "t", "spill": place}).spill)
    assert "hush" not in opened(place).describe()


@pytest.mark.parametrize(("place", "extra"), [("s3://b/p", "s3"), ("kafka://h:9092/t", "kafka")])
def test_a_missing_package_is_named(monkeypatch, place, extra):
    """Whoever lacks a client learns what to install, at the start."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=rf"\[{extra}\]"):
        opened(place)


@pytest.mark.parametrize(
    "place", ["s3://b/p?endpoint=http://127.0.0.1:1&access_key_id=k&secret_access_key=s&max_retries=0"]
)
def test_the_directory_takes_over_when_the_store_fails(place):
    """Rows are safe while the store is away, are sent from here, and journals work all the same."""
    buffer = opened(place)
    assert buffer.put(BATCH) == 0
    claim = buffer.claim(ROUTE)
    assert bytes(claim.batch.data) == BATCH.data
    claim.done()
    journal = buffer.journal(ROUTE)
    journal.append(b'{"n":2}\n')
    journal.promote()
    assert buffer.claim(ROUTE).batch.rows == 1
    with pytest.raises(BufferUnavailableError):
        buffer.store.put(BATCH)


def test_objects_lie_where_the_layout_says(tmp_path):
    """A connector that reads the bucket finds rows by Data Source and day, dead letters apart."""
    buffer = opened(f"file://{tmp_path}/share")
    journal = buffer.journal(ROUTE)
    journal.append(BATCH.data)
    journal.promote()  # moves to the store
    buffer.bury(BATCH, "HTTP 400")
    [path] = (tmp_path / "share").glob("logs/*-*-*/*~logs~ack~1~*.ndjson")
    assert path.read_bytes() == BATCH.data
    assert len(list((tmp_path / "share").glob("_dead/logs/*/*.txt"))) == 1
    path.write_bytes(b"{")
    assert buffer.claim(ROUTE) is None
    assert buffer.damaged == 1
    assert len(list((tmp_path / "share").glob("_corrupt/logs/*/*.ndjson"))) == 1


def test_every_policy_has_a_place():
    """The default is a directory of this machine."""
    assert SpillPolicy().place == ""


def test_nothing_is_lost_in_s3(tmp_path):
    """Kills, an outage of Tinybird and a store that refuses calls cost no row that was promised."""
    figures = run("s3", tmp_path, 4_000)
    assert (figures["lost"], figures["duplicates_after_limit_1_by_id"], figures["killed"]) == (0, 0, 3)
