"""Spilled rows on their way back: the same export, oldest first, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterable

from tinylog._chunk import halve
from tinylog._clock import Deadline
from tinylog._exporter import Exporter
from tinylog._queue import RouteQueue
from tinylog._stats import Tally
from tinylog.protocols import Batch, Buffer, Clock, Route

__all__ = ["Replay"]

_LOOK_INTERVAL = 5.0  # seconds between looks into an empty buffer, which other processes fill too


class _ClaimOwner:
    """Answers for the rows of a claim, as the queue does for live ones."""

    def __init__(self, queue: RouteQueue) -> None:
        self._queue = queue
        self.kept = False

    def settle(self, batch: Batch, tally: Tally) -> None:  # noqa: ARG002
        """Book how a batch ended."""
        self._queue.settle_replayed(tally)

    def split(self, batch: Batch) -> list[Batch]:
        """Cut a batch; on disk it stays whole."""
        return halve(batch)

    def give_back(self, batches: Iterable[Batch]) -> None:
        """Leave what is left where it is: on disk."""
        self.kept = self.kept or any(True for _ in batches)

    def spill(self, batch: Batch, buffer: Buffer) -> None:  # noqa: ARG002
        """Nothing to do: it is in the buffer still."""
        self.kept = True

    def pressed(self) -> bool:
        """Never wait for the sake of old rows: new ones are behind them."""
        return True


class Replay:
    """Sends the spilled batches of one route again, those of ended processes included."""

    def __init__(self, route: Route, buffer: Buffer, exporter: Exporter, queue: RouteQueue, clock: Clock) -> None:
        self._route = route
        self._buffer = buffer
        self._exporter = exporter
        self._queue = queue
        self._clock = clock
        self._look_at = 0.0
        self._seen_spills = 0

    def due_in(self) -> float:
        """Seconds until it is time for the next batch. While the circuit is open, that batch is the probe."""
        circuit = self._exporter.circuit
        if self._queue.spills != self._seen_spills:
            self._seen_spills, self._look_at = self._queue.spills, 0.0
        due = max(self._look_at, circuit.probe_at) if circuit.open else self._look_at
        return max(0.0, due - self._clock.monotonic())

    def run_once(self, deadline: Deadline) -> bool:
        """Send the oldest spilled batch, if there is one; tell whether there was.

        A batch that was delivered in part stays in the buffer whole: its rows keep their ids, so that duplicates can
        be told.
        """
        damaged = self._buffer.damaged
        claim = self._buffer.claim(self._route)
        self._queue.book_replayed("damaged", self._buffer.damaged - damaged)
        if claim is None:
            self._look_at = self._clock.monotonic() + _LOOK_INTERVAL
            return False
        owner = _ClaimOwner(self._queue)
        try:
            self._exporter.export(claim.batch, owner, deadline)
        except BaseException:
            claim.release()
            raise
        if owner.kept:
            claim.release()
        else:
            claim.done()
        return True
