"""The bounded queue and its ledger."""

from __future__ import annotations

import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tinylog._chunk import halve
from tinylog._queue import NEVER, RouteQueue
from tinylog._stats import Tally, total
from tinylog.protocols import Batch, Delivery, Route
from tinylog.settings import BatchLimits, QueueLimits
from tinylog.testing import FakeClock

ROUTE = Route("logs", Delivery.ACK)


def make(clock=None, **limits):
    batch = BatchLimits(
        max_rows=limits.pop("batch_rows", 10), max_bytes=limits.pop("batch_bytes", 1000), flush_interval=1.0
    )
    return RouteQueue(ROUTE, QueueLimits(**limits), batch, clock or FakeClock())


def line(number):
    return b'{"n":%d}\n' % number


def stats(queue):
    snapshot = total([queue.ledger()])
    assert snapshot.submitted == snapshot.accounted
    return snapshot


def test_a_batch_is_due_by_rows_bytes_or_age():
    """Rows wait for company, but never longer than the flush interval."""
    clock = FakeClock()
    queue = make(clock, batch_rows=3, batch_bytes=30)
    assert queue.due_in() == NEVER
    queue.put(line(1))
    assert queue.due_in() == 1.0
    assert queue.take() is None
    clock.advance(0.75)
    assert queue.due_in() == 0.25
    clock.advance(0.25)
    assert queue.take().rows == 1
    for number in range(3):
        queue.put(line(number))
    assert queue.take().rows == 3
    queue.put(b"x" * 25 + b"\n")
    queue.put(b"y" * 25 + b"\n")
    assert queue.take().data == b"x" * 25 + b"\n"
    assert queue.take() is None


def test_wake_is_set_for_the_first_row_and_for_a_full_chunk():
    """A worker sleeps until there is something to do, and callers pay for a signal only once a batch."""
    queue = make(batch_rows=2)
    for number, expected in enumerate([True, False, True, False, True]):
        queue.wake.clear()
        queue.put(line(number))
        assert queue.wake.is_set() is expected


def test_drop_newest():
    """A full queue keeps what it has, and counts what it refuses."""
    queue = make(max_rows=2)
    assert [queue.put(line(number)) for number in range(3)] == [True, True, False]
    assert queue.take(all_rows=True).data == line(0) + line(1)
    assert dict(stats(queue).dropped) == {"queue_full": 1}


def test_drop_oldest():
    """With `drop_oldest` the newest rows survive, row by row."""
    queue = make(max_rows=3, batch_rows=2, when_full="drop_oldest")
    for number in range(5):
        assert queue.put(line(number))
    assert queue.take(all_rows=True).data + queue.take(all_rows=True).data == line(2) + line(3) + line(4)
    assert dict(stats(queue).dropped) == {"queue_full": 2}


def test_drop_oldest_cannot_drop_what_is_being_sent():
    """Rows in flight count against the bound, and are nobody's to drop."""
    queue = make(max_rows=1, when_full="drop_oldest")
    queue.put(line(0))
    queue.take(all_rows=True)
    assert not queue.put(line(1))


def test_byte_bound_counts_what_is_in_flight():
    """Memory stays within the bound while a slow server holds a batch (pitfall 19)."""
    queue = make(max_bytes=2048, batch_bytes=1024)
    size = 100
    row = b"x" * (size - 1) + b"\n"
    accepted = sum(queue.put(row) for _ in range(50))
    assert accepted == 2048 // size
    batch = queue.take(all_rows=True)
    assert not queue.put(row)
    queue.settle(batch, Tally(delivered=batch.rows))
    assert queue.put(row)


def test_block_waits_for_space():
    """With `block` a caller waits until the worker has made room, and no row is lost."""
    queue = make(max_rows=1, when_full="block", block_timeout=30.0)
    queue.put(line(0))
    entered = threading.Event()

    def caller():
        entered.set()
        assert queue.put(line(1))

    thread = threading.Thread(target=caller)
    thread.start()
    entered.wait()
    batch = queue.take(all_rows=True)
    queue.settle(batch, Tally(delivered=1))
    thread.join(30)
    assert not thread.is_alive()
    assert stats(queue).queued == 1
    assert not stats(queue).dropped


def test_block_gives_up_after_its_timeout_and_at_close():
    """A caller never waits for ever: not for a server that is down, nor for a handler that is being closed."""
    queue = make(max_rows=1, when_full="block", block_timeout=0.0)
    queue.put(line(0))
    assert not queue.put(line(1))
    patient = make(max_rows=1, when_full="block", block_timeout=1000.0)
    patient.put(line(0))
    thread = threading.Thread(target=patient.put, args=(line(1),))
    thread.start()
    patient.close()
    thread.join(30)
    assert not thread.is_alive()
    assert stats(patient).submitted == 2


def test_many_threads_at_once_and_a_worker_that_takes():
    """Rows come in without a lock, yet none is lost or doubled, and each thread's stay in their order."""
    queue = make(batch_rows=5_000, batch_bytes=2**20)
    taken = []

    def worker():
        while len(taken) < 40_000:
            queue.wake.wait(30)
            queue.wake.clear()
            while batch := queue.take(all_rows=True):
                taken.extend(bytes(batch.data).splitlines())
                queue.settle(batch, Tally(delivered=batch.rows))

    def caller(name):
        for number in range(5_000):
            assert queue.put(b"%d %d\n" % (name, number))

    threads = [threading.Thread(target=worker), *(threading.Thread(target=caller, args=(name,)) for name in range(8))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for name in range(8):
        assert [row for row in taken if row.startswith(b"%d " % name)] == [b"%d %d" % (name, n) for n in range(5_000)]
    assert stats(queue).delivered == stats(queue).submitted == 40_000


def test_a_first_row_wakes_the_worker_whatever_the_limits():
    """A worker that found nothing sleeps until it is woken; later rows of the same chunk need not wake it."""
    queue = make(batch_rows=5_000, batch_bytes=2**20)
    for _ in range(3):
        queue.wake.clear()
        queue.put(line(1))
        assert queue.wake.is_set()
        queue.wake.clear()
        queue.put(line(2))
        assert not queue.wake.is_set()
        assert queue.take(all_rows=True).data == line(1) + line(2)


def test_bounds_are_kept_by_rows_that_come_in_without_a_lock():
    """What waits for the lock counts as well."""
    queue = make(batch_rows=5_000, batch_bytes=2**20, max_rows=1_000)
    kept = sum(queue.put(line(1)) for _ in range(2_000))
    assert kept == stats(queue).queued == 1_000
    assert stats(queue).dropped == {"queue_full": 1_000}
    queue.close()
    assert not queue.put(line(1))


def test_rows_put_aside_arrive_with_the_next_call():
    """What is logged while its own thread delivers is kept: no lock, no send of its own (pitfall 3)."""
    queue = make()
    queue.put_aside(line(1))
    queue.put(line(2))
    assert queue.take(all_rows=True).data == line(1) + line(2)


def test_what_is_seized_is_no_longer_the_workers():
    """At exit the rows of a request that hangs are spilled, and its late answer books nothing twice."""
    queue = make(batch_rows=1)
    queue.put(line(1))
    queue.put(line(2))
    sending = queue.take()
    seized = queue.seize()
    assert [batch.data for batch in seized] == [line(1), line(2)]
    queue.settle(sending, Tally(delivered=1))
    assert queue.split(sending) == []
    queue.give_back([sending])
    assert stats(queue).in_flight == 2
    for batch in seized:
        queue.settle(batch, Tally(spilled=1))
    assert (stats(queue).spilled, stats(queue).delivered) == (2, 0)


@pytest.mark.parametrize(
    "lines",
    [
        [b"a\n", b"b\n"],
        [b"a\n", b"bbbbbbbb\n"],
        [b"aaaaaaaa\n", b"b\n"],
        [b"a\n"] * 7,
        [b"aaaaaaaaa\n", b"b\n", b"c\n"],
    ],
)
def test_halve_cuts_between_rows(lines):
    """A batch is cut into two that are not empty, at the end of a row."""
    first, second = halve(Batch(ROUTE, bytearray(b"".join(lines)), len(lines)))
    assert first.data + second.data == b"".join(lines)
    assert first.data.endswith(b"\n")
    assert (first.data.count(b"\n"), second.data.count(b"\n")) == (first.rows, second.rows)
    assert min(first.rows, second.rows) >= 1


class QueueModel(RuleBasedStateMachine):
    """Any order of calls: rows keep their order, the bounds hold, and the ledger adds up after each step."""

    def __init__(self):
        super().__init__()
        self.clock = FakeClock()
        self.queue = make(self.clock, max_rows=12, max_bytes=2000, batch_rows=4, batch_bytes=60)
        self.flying = []
        self.number = 0
        self.settled = 0

    @rule(size=st.integers(0, 50))
    def put(self, size):
        self.queue.put(b'{"n":%d,"x":"%s"}\n' % (self.number, b"x" * size))
        self.number += 1

    @rule(seconds=st.sampled_from([0.1, 1.0]), everything=st.booleans())
    def take(self, seconds, everything):
        self.clock.advance(seconds)
        batch = self.queue.take(all_rows=everything)
        if batch is not None:
            assert batch.rows == batch.data.count(b"\n") <= 4
            self.flying.append(batch)

    @precondition(lambda self: self.flying)
    @rule(tally=st.sampled_from(["delivered", "accepted", "spilled", "dead_lettered", "quarantined"]))
    def settle(self, tally):
        batch = self.flying.pop()
        self.queue.settle(batch, Tally(**{tally: batch.rows}))
        self.settled += batch.rows

    @precondition(lambda self: self.flying and self.flying[-1].rows > 1)
    @rule()
    def split(self):
        self.flying += self.queue.split(self.flying.pop())

    @precondition(lambda self: self.flying)
    @rule()
    def give_back(self):
        self.queue.give_back([self.flying.pop()])

    @rule()
    def seize(self):
        self.flying = self.queue.seize()

    @invariant()
    def adds_up(self):
        snapshot = stats(self.queue)
        assert snapshot.submitted == self.number
        assert snapshot.in_flight == sum(batch.rows for batch in self.flying)
        assert snapshot.queued + snapshot.in_flight <= 12
        assert (
            snapshot.accounted - snapshot.queued - snapshot.in_flight - sum(snapshot.dropped.values()) == self.settled
        )


QueueModel.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
test_any_order_of_calls = QueueModel.TestCase
