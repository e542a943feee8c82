"""The bounded queue of one route, and the keeper of its ledger.

Rows are appended, already encoded, to the chunk that will be the next request's body: nothing per record stays alive,
its size is exact, and no row has to be looked at again. One lock guards rows and ledger together, so that the ledger
adds up at every moment.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from tinylog._chunk import Chunk, halve
from tinylog._inflight import InFlight
from tinylog._journal import Journal
from tinylog._stats import Ledger, Tally
from tinylog.protocols import Batch, Buffer, Clock, Route
from tinylog.settings import BatchLimits, QueueLimits

__all__ = ["NEVER", "RouteQueue"]

NEVER = float("inf")  # seconds
# How much may wait for the lock: little against bounds and batches. More is reserved, for threads that come together.
_INBOX, _SHORT = 64, 4096  # rows; bytes of one
_RESERVE_ROWS, _RESERVE_BYTES = 4 * _INBOX, 4 * _INBOX * _SHORT


class RouteQueue:
    """Rows of one route between the callers and the worker.

    Args:
        route: where the rows go.
        limits: rows and bytes that may be queued and in flight together, and what to do with a row too many.
        batch: when a chunk is complete.
        clock: the time.
        journal: writes rows to disk before `put` returns.

    Attributes:
        wake: set when there may be something to do: a first row, a complete chunk, the end.
        spills: how many batches went into the buffer.
    """

    def __init__(
        self, route: Route, limits: QueueLimits, batch: BatchLimits, clock: Clock, journal: Journal | None = None
    ) -> None:
        self.route = route
        self._limits = limits
        self._batch = batch
        self._clock = clock
        self._journal = journal
        self._normal, self._grown = batch, replace(batch, max_rows=limits.max_rows)
        self.reset()

    def reset(self) -> None:
        """Start empty with new locks: after a fork the rows are the parent's to send, and its locks may be held."""
        # Re-entrant, since a garbage collection or a signal handler may log while this thread holds it.
        self._lock = threading.RLock()
        self._space = threading.Condition(self._lock)
        self.wake = threading.Event()
        self._busy = False
        self._inbox: list[bytes] = []
        self._unlocked = 0
        self._chunks: deque[Chunk] = deque()
        self._returned: deque[Batch] = deque()
        self._in_flight = InFlight()
        self._rows = self._bytes = self._submitted = 0
        self.spills = 0
        self._ledger = Ledger()
        self._closed = False

    # -- the callers' side ---------------------------------------------------------------------------------------

    def put(self, line: bytes) -> bool:
        """Take one encoded row; tell whether it was kept. Never raises; waits only under `when_full="block"`."""
        if not self._unlocked or len(line) > _SHORT:
            with self._section() as nested:
                if nested:
                    self._inbox.append(line)
                return nested or self._append(line)
        inbox = self._inbox
        inbox.append(line)
        # Asked after the append: the worker looks into the inbox after it took the last chunk.
        if len(inbox) >= self._unlocked or not self._chunks:
            with self._section():
                pass
        return True

    def put_aside(self, line: bytes) -> None:
        """Take a row from a thread that delivers: no lock, no signal, no effect before the next call."""
        self._inbox.append(line)

    def put_in_flight(self, line: bytes) -> None:
        """Take a row that no queue will see: whoever seizes what is in flight answers for it."""
        with self._section():
            self._submitted, self._rows, self._bytes = self._submitted + 1, self._rows + 1, self._bytes + len(line)
            self._in_flight.add(Batch(self.route, line, 1))

    def refuse(self, reason: str) -> None:
        """Count a record that is not taken."""
        with self._section():
            self._submitted += 1
            self._ledger.drop(reason)

    @contextmanager
    def _section(self) -> Iterator[bool]:
        """Hold the lock; what this thread logs meanwhile waits in the inbox. Tells whether it is inside already."""
        with self._lock:
            outer, self._busy = self._busy, True
            try:
                if not outer:  # else a flush would not know of what came before it
                    self._empty_inbox()
                yield outer
            finally:
                if not outer:
                    self._empty_inbox()
                self._busy = outer

    def _empty_inbox(self) -> None:
        """Book what is in the inbox; the lock is held, and nobody is inside."""
        while self._inbox:
            lines = self._inbox[:]  # this and its counterpart below are calls into C: no other thread appends meanwhile
            rows, data = len(lines), b"".join(lines)
            size = len(data)
            chunk = self._chunks[-1] if self._chunks and self._fits(size, rows) and not self._closed else None
            if chunk and chunk.takes(self._batch, size, rows):
                chunk.add_all(data, rows)
                self._submitted, self._rows, self._bytes = self._submitted + rows, self._rows + rows, self._bytes + size
            else:
                for line in lines:
                    self._append(line)
            del self._inbox[:rows]
        roomy = self._fits(_RESERVE_BYTES, _RESERVE_ROWS) and not self._closed and self._journal is None
        self._unlocked = min(_INBOX, self._batch.max_rows // _INBOX) if roomy else 0

    def _append(self, line: bytes) -> bool:
        self._submitted += 1
        if self._closed:
            self._ledger.drop("closed")
            return False
        size = len(line)
        if not self._fits(size) and not self._make_room(size):
            self._ledger.drop("queue_full")
            return False
        chunk = self._chunks[-1] if self._chunks else None
        if chunk is None or not chunk.takes(self._batch, size):
            chunk = Chunk(self._clock.monotonic(), self._journal)
            self._chunks.append(chunk)
            self.wake.set()
        chunk.add(line)
        self._rows += 1
        self._bytes += size
        return True

    def _fits(self, size: int, rows: int = 1) -> bool:
        return self._rows + rows <= self._limits.max_rows and self._bytes + size <= self._limits.max_bytes

    def _make_room(self, size: int) -> bool:
        if self._limits.when_full == "drop_oldest":
            while not self._fits(size) and self._chunks:
                self._bytes -= self._chunks[0].drop_first()
                self._rows -= 1
                self._ledger.drop("queue_full")
                if not self._chunks[0].rows:
                    self._chunks.popleft()
        elif self._limits.when_full == "block":
            # Others may enter while this one waits: what they add is consistent, since nothing is half done here.
            self._busy = False
            self._space.wait_for(lambda: self._closed or self._fits(size), self._limits.block_timeout)
            self._busy = True
        return self._fits(size) and not self._closed

    # -- the worker's side ---------------------------------------------------------------------------------------

    def due_in(self) -> float:
        """Seconds until there is a batch to take: 0 for now, infinity for not before `wake` is set."""
        with self._section():
            if self._returned or len(self._chunks) > 1:
                return 0.0
            if not self._chunks:
                return NEVER
            chunk = self._chunks[0]
            if not chunk.takes(self._batch):
                return 0.0
            return max(0.0, chunk.born + self._batch.flush_interval - self._clock.monotonic())

    def take(self, *, all_rows: bool = False) -> Batch | None:
        """Move the oldest batch that is due, or just the oldest one, from queued to in flight."""
        with self._section():
            if self._returned:
                batch = self._returned.popleft()
            elif self._chunks and (all_rows or self.due_in() == 0):
                batch = self._chunks.popleft().batch(self.route)
            else:
                return None
            self._in_flight.add(batch)
            return batch

    def split(self, batch: Batch) -> list[Batch]:
        """Replace a batch in flight by its halves. Nothing comes back when it is no longer in flight."""
        with self._section():
            if not self._in_flight.remove(batch):
                return []
            halves = halve(batch)
            for half in halves:
                self._in_flight.add(half)
            return halves

    def settle(self, batch: Batch, tally: Tally) -> None:
        """Book the end of a batch in flight, unless somebody else has seized it meanwhile."""
        with self._section():
            if not self._in_flight.remove(batch):
                return
            self._rows -= batch.rows
            self._bytes -= len(batch.data)
            self._space.notify_all()
            self._ledger.settle(tally)
        if batch.backing is not None:
            batch.backing.settled(batch.rows)

    def spill(self, batch: Batch, buffer: Buffer) -> None:
        """Put a batch in flight into the buffer. Writes to disk or network: not under the lock."""
        if batch not in self._in_flight:  # seized: who did that spills it
            return
        kept = batch.backing is not None and batch.backing.keep(batch)
        evicted = 0 if kept else buffer.put(batch)
        self.settle(batch, Tally(spilled=batch.rows))
        self.spills += 1
        self.book_replayed("evicted", evicted)

    def grow(self, *, larger: bool) -> None:
        """Make requests fewer and larger: bounded by bytes, not by rows."""
        self._batch = self._grown if larger else self._normal

    def pressed(self) -> bool:
        """Tell whether the queue is half full."""
        return self._bytes * 2 > self._limits.max_bytes or self._rows * 2 > self._limits.max_rows

    def give_back(self, batches: Iterable[Batch]) -> None:
        """Queue batches again, in front of all others and in the given order."""
        with self._section():
            back = [batch for batch in batches if self._in_flight.remove(batch)]
            self._returned.extendleft(reversed(back))

    def close(self) -> None:
        """Refuse rows from now on, and let go of callers who wait for space."""
        with self._section():
            self._closed = True
            self._unlocked = 0
            self._space.notify_all()
        self.wake.set()

    def seize(self) -> list[Batch]:
        """Take everything, what others are sending right now included: their later word on it will not count.

        The batches count as in flight, and are the caller's to settle.
        """
        with self._section():
            held = self._in_flight.clear()
            queued = [*self._returned, *(chunk.batch(self.route) for chunk in self._chunks)]
            self._returned.clear()
            self._chunks.clear()
            mine = [replace(batch) for batch in (*held, *queued)]
            for batch in mine:
                self._in_flight.add(batch)
            return mine

    def waiting(self) -> list[bytes]:
        """Copy what is queued, without the lock: a thread that a forked child does not have may have held it."""
        booked = [line for chunk in list(self._chunks) for line in bytes(chunk.data).splitlines(keepends=True)]
        return booked + self._inbox[:]

    def settle_replayed(self, tally: Tally) -> None:
        """Book the end of rows that came from the buffer, not from this queue."""
        with self._section():
            self._ledger.settle_replayed(tally)

    def book_replayed(self, column: str, number: int) -> None:
        """Book what else became of the buffer's content."""
        with self._section():
            self._ledger.replayed[column] += number

    def sent(self, size: int) -> None:
        """Book one request."""
        with self._section():
            self._ledger.columns["requests"] += 1
            self._ledger.columns["bytes_sent"] += size

    def ledger(self) -> Ledger:
        """Take a snapshot that adds up."""
        with self._section():
            snapshot = self._ledger.copy()
            snapshot.columns["submitted"] = self._submitted
            snapshot.columns["in_flight"] = self._in_flight.rows
            snapshot.columns["queued"] = self._rows - self._in_flight.rows
            return snapshot
