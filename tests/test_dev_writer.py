"""The writer of ``tinylog dev``, with a database that can be held up."""

import threading

import pytest

from tinylog.dev._clickhouse import DatabaseError
from tinylog.dev._problems import RequestError
from tinylog.dev._writer import MAX_PENDING_BYTES, Writer


class SlowDatabase:
    """Inserts when it is told to; refuses poison."""

    def __init__(self):
        self.go = threading.Event()
        self.inserted = []

    def insert(self, target, lines):
        assert self.go.wait(30)
        if b"poison" in lines:
            raise DatabaseError("poison")
        self.inserted.append((target, lines))
        return 1


@pytest.fixture
def database():
    """A database that is held up."""
    return SlowDatabase()


@pytest.fixture
def writer(database):
    """A writer, stopped in the end."""
    writer = Writer(database)
    yield writer
    database.go.set()
    writer.close()


def test_too_much_pending_is_503(database, writer):
    """A server that is sent more than it can write must say so, not eat the machine's memory."""
    half = b"x" * (MAX_PENDING_BYTES // 2)
    futures = [writer.put({"t": half}, urgent=True), writer.put({"t": half}, urgent=True)]
    with pytest.raises(RequestError) as caught:
        writer.put({"t": half}, urgent=True)
    assert caught.value.status == 503
    database.go.set()
    assert [future.result(30) for future in futures] == [None, None]
    writer.put({"t": half}, urgent=True).result(30)


def test_a_failing_job_fails_alone(database, writer):
    """Rows that are gathered with a neighbour's must not share its fate."""
    bodies = [b"1\n", b"poison\n", b"2\n"]
    futures = [writer.put({"t": body}, urgent=True) for body in bodies]
    database.go.set()
    errors = [future.exception(30) for future in futures]
    assert [type(error) for error in errors] == [type(None), DatabaseError, type(None)]
    assert b"".join(lines for _, lines in database.inserted) == b"1\n2\n"


def test_close_writes_what_is_pending(database, writer):
    """Stopping the server must not cost accepted rows."""
    future = writer.put({"t": b"1\n"}, urgent=False)
    database.go.set()
    writer.close()
    assert future.done()
    with pytest.raises(RequestError):
        writer.put({"t": b"2\n"}, urgent=False)
