"""One route from end to end: its queue, its exporter, its share of the buffer, and the loop that drives them.

Each route has a thread of its own, so that a server that fails or stalls for one never delays another.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Mapping

from tinylog._clock import Deadline
from tinylog._exporter import Exporter, Shared
from tinylog._guard import delivering
from tinylog._journal import Journal
from tinylog._pace import Pace
from tinylog._queue import NEVER, RouteQueue
from tinylog._replay import Replay
from tinylog._report import Reporter
from tinylog._stats import HELD_BACK, Ledger, Tally
from tinylog.protocols import Delivery, Route
from tinylog.settings import Settings

__all__ = ["Lane"]

_PAUSE = 1.0  # seconds, when neither the server nor the buffer takes rows
_LONGEST_WAIT = 3600.0  # seconds; platforms limit a wait


class Lane:
    """Delivers the rows of one route.

    Args:
        route: where to.
        settings: limits and intervals.
        shared: what it shares with other lanes.
        start: called before the first row, to start the threads.
        pace: how far apart requests to the Data Source are kept.

    Attributes:
        started: whether it has a thread, so that nobody need start one.
        direct: whether its queue may be used without `put`: it is started, and the process does not end.
        summary: makes an encoded row of lost rows by reason, for the table to show the hole; None for no such row.
        behind: whether the last `drain` was cut short, so that rows are left that have had their chance.
    """

    def __init__(
        self, route: Route, settings: Settings, shared: Shared, start: Callable[[], None], pace: Pace | None = None
    ) -> None:
        self.summary: Callable[[Mapping[str, int]], bytes] | None = None
        self._pace = pace or Pace()
        self.route = route
        self._shared = shared
        self._buffer = shared.buffer if route.delivery is Delivery.ACK else None
        self.queue = RouteQueue(route, settings.queue, settings.batch, shared.clock, self._journal(settings))
        self._start = start
        self.reset()

    def reset(self) -> None:
        """Start over, empty and not started: for the child after a fork."""
        self.queue.reset()
        self.started = self.direct = False
        shared, buffer = self._shared, self._buffer
        self._exporter = Exporter(self.route, shared, self._pace, self.queue.sent)
        self._reporter = Reporter(self.route, shared.clock, shared.diagnostics, shared.on_event)
        self._replay = buffer and Replay(self.route, buffer, self._exporter, self.queue, shared.clock)
        self._lock_type = threading.Lock
        self._export_lock = threading.Lock()
        self._interrupt = threading.Event()
        self._flushers: set[object] = set()
        self._stopping = self._retiring = False
        self.behind = False
        self._pause_until = 0.0
        self._replay_next = False

    def _journal(self, settings: Settings) -> Journal | None:
        if self._buffer is None or not settings.spill.journal:
            return None
        begin = functools.partial(self._buffer.journal, self.route)
        interval = settings.batch.flush_interval
        return Journal(begin, settings.spill.journal_sync, interval, self._shared.clock, self._shared.diagnostics)

    def inherit(self) -> None:
        """Start over, but keep the rows: in a child to whom its parent leaves them."""
        lines = self.queue.waiting()
        self.reset()
        for line in lines:
            self.queue.put(line)

    def put(self, line: bytes) -> bool:
        """Take one encoded row; tell whether it was kept."""
        if not self.started:
            self._start()
        return self.queue.put(line)

    def put_late(self, line: bytes) -> bool:
        """Take a row after `close`, as the process ends: to be sent by another process if it is acknowledged."""
        if self._buffer is None:
            self.queue.refuse("closed")
        else:
            self.queue.put_in_flight(line)
            self._leave("closed")
        return self._buffer is not None

    def renew_locks(self) -> None:
        """Start over if gevent or eventlet has patched `threading` since: its threads never let go of native locks.

        To be called before there is a thread.
        """
        if self._lock_type is not threading.Lock:
            self.inherit()

    # -- the worker thread's side ----------------------------------------------------------------------------------

    def run(self) -> None:
        """Deliver until told to stop. The body of the worker thread."""
        while not (self._stopping or (self._retiring and not self.waits())):
            self._shared.clock.wait(self.queue.wake, self._idle())
            self.queue.wake.clear()  # before looking, so that no signal is lost
            if not self._interrupt.is_set():
                self.run_once()
        self._report()

    def run_once(self) -> None:
        """Deliver one batch if one is due, and send one spilled batch again if it is time for that."""
        deadline = Deadline(self._shared.clock, NEVER, self._interrupt)
        with delivering(), self._export_lock:
            try:
                self._take_turns(deadline)
            except Exception as error:  # our own fault: the rows must be accounted for all the same
                self._shared.diagnostics.warn("internal", f"an internal error, please report it: {error!r}")
                self._leave("internal_error")
        self._report()

    def _take_turns(self, deadline: Deadline) -> None:
        """Send a new batch and a spilled one; only one of them, by turns, while the server asks for fewer requests."""
        for _ in range(2):
            if self._pace.due_in(self._shared.clock.monotonic()):
                break
            self._replay_next = not self._replay_next
            if self._replay_next:
                self._deliver(deadline)
            elif self._replay and not self._replay.due_in():
                self._replay.run_once(deadline)
        self.queue.grow(larger=self._pace.gap > 0)

    def _deliver(self, deadline: Deadline) -> None:
        batch = self.queue.take()
        if batch is not None and not self._exporter.export(batch, self.queue, deadline):
            self._pause_until = self._shared.clock.monotonic() + _PAUSE

    def _idle(self) -> float | None:
        """How long to wait for a signal, in seconds."""
        if self._interrupt.is_set():
            return None
        now = self._shared.clock.monotonic()
        due = min(self.queue.due_in(), self._replay.due_in() if self._replay else NEVER)
        return min(max(due, self._pause_until - now, self._pace.due_in(now)), _LONGEST_WAIT)

    # -- anybody's side --------------------------------------------------------------------------------------------

    def waits(self) -> bool:
        """Tell whether rows wait for their end."""
        return _waiting(self.queue.ledger()) > 0

    def drain(self, at: float) -> bool:
        """Deliver what is queued now, on the calling thread.

        Args:
            at: the moment to stop, on the monotonic clock, in seconds.

        Returns:
            True when the server has answered for every row that was queued before the call.
        """
        before = self.queue.ledger()
        goal = _passed(before) + _waiting(before)
        clock = self._shared.clock
        if _waiting(before):
            self.behind = True
            with self._handed_over():
                if not self._export_lock.acquire(timeout=max(0.0, at - clock.monotonic())):
                    return False
                try:
                    self._drain(goal, Deadline(clock, at, threading.Event()))
                finally:
                    self._export_lock.release()
        after = self.queue.ledger()
        self.behind = _passed(after) < goal
        self._report()
        return not self.behind and _unsent(after) == _unsent(before)

    @contextlib.contextmanager
    def _handed_over(self) -> Iterator[None]:
        """Have the worker hand over when it waits to try again, until the last of those who flush is done."""
        flusher = object()
        self._flushers.add(flusher)
        self._interrupt.set()
        try:
            yield
        finally:
            self._flushers.discard(flusher)
            if not self._flushers:
                self._interrupt.clear()
                self.queue.wake.set()

    def _drain(self, goal: int, deadline: Deadline) -> None:
        with delivering():
            while _passed(self.queue.ledger()) < goal and not deadline.over():
                batch = self.queue.take(all_rows=True)
                if batch is None or not self._exporter.export(batch, self.queue, deadline):
                    return

    def replay_all(self) -> bool:
        """Send what is spilled for this route, on the calling thread; tell whether the server took it all."""
        deadline = Deadline(self._shared.clock, NEVER, threading.Event())
        with delivering(), self._export_lock:
            while self._replay and not self._exporter.circuit.open and self._replay.run_once(deadline):
                pass
        self._report()
        return not self._exporter.circuit.open

    def close(self, *, go_on: bool = False) -> None:
        """Refuse rows from now on, and let the worker end.

        Args:
            go_on: once it has delivered what is queued.
        """
        self._retiring = True
        self._stopping = not go_on
        self.queue.close()

    def finish(self, *, for_good: bool) -> None:
        """Account for what the shutdown left behind: spill it, or count it as dropped.

        Args:
            for_good: nobody comes after this. Else rows that are newer than the last `drain`, and could only be
                dropped, wait for the worker, the next `flush` or `close`.
        """
        if for_good or self.behind or self._buffer is not None:
            with delivering():
                self._leave("shutdown")
        self._report()

    def _leave(self, reason: str) -> None:
        for batch in self.queue.seize():
            if self._buffer is not None:
                with contextlib.suppress(Exception):  # whatever is wrong with it, the rows must be counted
                    self.queue.spill(batch, self._buffer)
            self.queue.settle(batch, Tally(dropped=batch.rows, reason=reason))  # does nothing once it is spilled

    def _report(self) -> None:
        """Tell of what happened to rows. Without any lock."""
        ledger = self.queue.ledger()
        self._reporter.report(ledger)
        lost = self._reporter.hole(ledger, working=not self._exporter.circuit.open)
        if lost and self.summary is not None:
            self.queue.put(self.summary(lost))


def _passed(ledger: Ledger) -> int:
    return ledger.columns["submitted"] - _waiting(ledger)


def _waiting(ledger: Ledger) -> int:
    return ledger.columns["queued"] + ledger.columns["in_flight"]


def _unsent(ledger: Ledger) -> int:
    dropped = sum(rows for reason, rows in ledger.dropped.items() if reason not in HELD_BACK)
    return ledger.columns["spilled"] + ledger.columns["dead_lettered"] + dropped
