"""From a record to the fields of a row: both layouts."""

from __future__ import annotations

import logging
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tinylog import ConfigurationError
from tinylog._attributes import attribute_text
from tinylog._context import new_id, rfc3339, rfc3339_nanos
from tinylog._layout import FLAT_FIELDS, make_layout


def record(levelno=logging.INFO, exc_info=None, **extra):
    logger = logging.Logger("shop.orders")
    made = logger.makeRecord("shop.orders", levelno, "/app/orders.py", 42, "hi", (), exc_info, "place", extra or None)
    made.created = 1_700_000_000.123456
    return made


def raised(error):
    try:
        raise error
    except type(error):
        return sys.exc_info()


def test_flat_fields():
    """The columns of the documentation are the fields of a row, and what a record lacks is left out."""
    made = record(customer="c1")
    row = make_layout("flat", {"service": "shop", "region": None})(made, "hi", None)
    assert row == {
        "timestamp": "2023-11-14T22:13:20.123456Z",
        "level": "INFO",
        "logger": "shop.orders",
        "message": "hi",
        "service": "shop",
        "module": "orders",
        "function": "place",
        "line": 42,
        "pathname": "/app/orders.py",
        "process_id": made.process,
        "process_name": made.processName,
        "thread_id": made.thread,
        "thread_name": made.threadName,
        "customer": "c1",
    }
    assert set(row) - {"service", "customer"} <= set(FLAT_FIELDS)


def test_flat_exception_and_stack():
    """A traceback can be searched for by type, message and text."""
    made = record(exc_info=raised(ValueError("wrong")))
    made.stack_info = "Stack (most recent call last): ..."
    row = make_layout("flat", {})(made, "hi", "the-id")
    assert (row["exception_type"], row["exception_message"]) == ("ValueError", "wrong")
    assert row["exception_stacktrace"].startswith("Traceback (most recent call last):")
    assert row["exception_stacktrace"].endswith("ValueError: wrong")
    assert row["stack_info"].startswith("Stack")
    assert row["id"] == "the-id"


def test_exception_that_cannot_be_printed():
    """An exception whose `__str__` raises still has its type and traceback."""

    class Broken(Exception):
        def __str__(self):
            raise RuntimeError

    row = make_layout("flat", {})(record(exc_info=raised(Broken())), "hi", None)
    assert "Broken" in row["exception_type"]
    assert "[unprintable" in row["exception_message"]
    assert "Broken" in row["exception_stacktrace"]


@pytest.mark.parametrize("layout", ["flat", "otel"])
def test_record_from_a_queue_handler_keeps_its_traceback(layout):
    """A record that crossed a `QueueHandler`, which turns the exception into text, keeps that text."""
    made = record()
    made.exc_text = "Traceback ... ValueError"
    assert "Traceback ... ValueError" in str(make_layout(layout, {})(made, "hi", None))


def test_clash_of_names_loses_nothing():
    """An `extra` field named like one of ours is there as `extra_<name>`, always under the same name."""
    made = record(level="mine", id=7, service="theirs", extra_level="too", exception_type="x")
    row = make_layout("flat", {"service": "shop"})(made, "hi", None)
    assert (row["level"], row["service"]) == ("INFO", "shop")
    assert row["extra_id"] == 7
    assert row["extra_service"] == "theirs"
    assert row["extra_exception_type"] == "x"
    assert sorted([row["extra_level"], row["extra_extra_level"]]) == ["mine", "too"]


def test_static_field_with_a_reserved_name_is_refused():
    """A static field cannot silently replace what a record says of itself."""
    with pytest.raises(ConfigurationError, match="static_fields: 'level'"):
        make_layout("flat", {"level": "x"})


def test_task_name():
    """Records of asyncio tasks say which."""
    made = record()
    made.taskName = "worker-1"
    assert make_layout("flat", {})(made, "hi", None)["task_name"] == "worker-1"


def test_otel_row():
    """A plain `logging` user's row fits the OpenTelemetry template's Data Source field by field."""
    made = record(logging.ERROR, exc_info=raised(KeyError("k")), user_id=7, ratio=0.5, tags=["a"], gone=None)
    row = make_layout("otel", {"service": "shop", "deployment.environment": "test"})(made, "hi", "the-id")
    attributes = row.pop("log_attributes")
    assert row == {
        "resource_schema_url": "",
        "resource_attributes": {"service.name": "shop", "deployment.environment": "test"},
        "service_name": "shop",
        "scope_name": "shop.orders",
        "scope_version": "",
        "scope_schema_url": "",
        "scope_attributes": {},
        "timestamp": "2023-11-14T22:13:20.123456Z",
        "trace_id": "",
        "span_id": "",
        "flags": 0,
        "severity_text": "ERROR",
        "severity_number": 17,
        "body": "hi",
    }
    assert attributes["code.function.name"] == "place"
    assert attributes["code.line.number"] == "42"
    assert attributes["exception.type"] == "KeyError"
    assert attributes["log.record.uid"] == "the-id"
    assert (attributes["user_id"], attributes["ratio"], attributes["tags"]) == ("7", "0.5", '["a"]')
    assert "gone" not in attributes
    assert all(isinstance(value, str) for value in attributes.values())


@pytest.mark.parametrize(
    ("level", "number"), [(5, 1), (10, 5), (15, 5), (20, 9), (30, 13), (40, 17), (45, 17), (50, 21), (60, 21)]
)
def test_otel_severity_numbers(level, number):
    """Levels between and beyond the usual ones fall into OpenTelemetry's ranges."""
    assert make_layout("otel", {})(record(level), "hi", None)["severity_number"] == number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (7, "7"),
        (2**70, str(2**70)),
        (1.0, "1"),
        (0.1, "0.1"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (1.5e-9, "1.5e-9"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (float("nan"), "NaN"),
        (None, ""),
        (b"\xff", "/w=="),
        ([1, "a", True], '[1,"a",true]'),
        ({"a": {"b": 1}}, '{"a":{"b":1}}'),
        (ValueError('"x"'), "ValueError('\"x\"')"),
    ],
)
def test_attribute_text_is_the_collectors(value, text):
    """An attribute reads the same whether it came through a Collector or not."""
    assert attribute_text(value) == text


def test_times_and_ids():
    """Timestamps are exact at the edges of a second, and ids sort by time."""
    assert rfc3339(1_700_000_000.9999999) == "2023-11-14T22:13:21.000000Z"
    assert rfc3339(-0.5) == "1969-12-31T23:59:59.500000Z"
    assert rfc3339_nanos(0) == "1970-01-01T00:00:00Z"
    assert rfc3339_nanos(1_700_000_000_120_000_000) == "2023-11-14T22:13:20.12Z"
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert {(i[14], i[19] in "89ab", len(i)) for i in ids} == {("7", True, 36)}
    assert sorted(i[:13] for i in ids) == [i[:13] for i in ids]


def test_ids_of_threads_and_forks_differ(monkeypatch):
    """Also those of one millisecond, in which most bits are the same."""
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_000_000_000)
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: [new_id() for _ in range(500)], range(8)))
    assert len({one for made in ids for one in made}) == 4000
    reader, writer = os.pipe()
    if not (child := os.fork()):
        os.write(writer, new_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    assert os.read(reader, 36).decode() != new_id()
    os.close(reader)
