"""The lifecycle of delivery: when its threads start, who delivers when they do not, and how it all ends."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator

from tinylog._clock import SystemClock
from tinylog._diagnostics import Diagnostics
from tinylog._exporter import Shared
from tinylog._guard import delivers, holds_logging_lock
from tinylog._lane import Lane
from tinylog._lifecycle import begin, ending, notice_fork, watch
from tinylog._pace import Pace
from tinylog._queue import NEVER
from tinylog._report import Event
from tinylog._sigterm import flush_on_sigterm
from tinylog._stats import Ledger, Stats, total
from tinylog._uwsgi import forks_unnoticed, is_heir, is_loading, threads_hint
from tinylog.buffers import make_buffer
from tinylog.protocols import Buffer, Clock, Delivery, Route, Transport
from tinylog.settings import Settings
from tinylog.transports import make_transport

__all__ = ["Processor"]

_RETRY_INTERVAL = 5.0  # seconds until a thread is tried again when none could be started
_LOCKED_WAIT = 1.0  # seconds that a flush may take while this thread holds the lock that a worker may need to log


class Processor:
    """Owns the lanes of a set of routes that share settings, a transport and a buffer.

    Args:
        settings: what was configured.
        transport: replaces the one that the settings name.
        buffer: replaces the buffer that the settings name.
        clock: replaces the machine's clocks.
        on_event: told what becomes of rows other than delivery, by the worker, `flush` or `close`.
        rand: replaces `random.random`, for jitter.

    Attributes:
        ending: whether exit functions run, or have run.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        transport: Transport | None = None,
        buffer: Buffer | None = None,
        clock: Clock | None = None,
        on_event: Callable[[Event], None] | None = None,
        rand: Callable[[], float] = random.random,
    ) -> None:
        clock = clock or SystemClock()
        self._settings = settings
        self._clock = clock
        self._diagnostics = Diagnostics(clock)
        self._shared = Shared(
            transport=transport or make_transport(settings.http.transport, settings.connection, settings.http.timeout),
            buffer=buffer or make_buffer(settings.spill, settings.connection.host, clock, self._diagnostics),
            http=settings.http,
            retry=settings.retry,
            clock=clock,
            rand=rand,
            diagnostics=self._diagnostics,
            on_event=on_event,
        )
        self._paces: dict[str, Pace] = {}  # a Data Source has one limit, whatever the way of delivery
        self._lanes: dict[Route, Lane] = {}
        self._closed = False
        self._settled = False
        self._start_afresh()
        watch(self)
        obstacle = flush_on_sigterm() if settings.http.flush_on_sigterm else None
        if obstacle:
            self._diagnostics.warn("sigterm", f"flush_on_sigterm has no effect: {obstacle}")
        if ending():  # made by an exit function
            self.at_exit(self.shutdown_timeout)

    def _start_afresh(self) -> None:
        self._lock = threading.Lock()  # of the table of lanes; no row waits for it
        self._starting = threading.Lock()
        self._attended: set[Route] = set()  # whose threads have been started, in this process
        self._start_at = -NEVER
        self._exit_at = NEVER
        self.ending = False

    @property
    def shutdown_timeout(self) -> float:
        """How long `close` may take by default, in seconds."""
        return self._settings.http.shutdown_timeout

    @property
    def closed(self) -> bool:
        """Whether rows are refused."""
        return self._closed

    def now(self) -> float:
        """Read the monotonic clock, in seconds."""
        return self._clock.monotonic()

    def lane(self, route: Route) -> Lane:
        """Give the lane of a route, a new one if need be."""
        with self._lock:
            if route not in self._lanes:
                pace = self._paces.setdefault(route.datasource, Pace())
                self._lanes[route] = Lane(route, self._settings, self._shared, self._start, pace)
                if self._closed:
                    self._lanes[route].close()
            return self._lanes[route]

    def _start(self) -> None:
        """Start a thread for each lane, for spilled rows may wait for one that has no new ones.

        Never waits: whoever starts a thread waits for it to come up, and that thread may log before it does.
        """
        notice_fork()
        if self._closed or is_loading() or self.now() < self._start_at or not self._starting.acquire(blocking=False):
            return
        try:
            begin()
            for lane in list(self._lanes.values()):
                if lane.route not in self._attended and self._start_thread(lane):
                    self._attended.add(lane.route)
                    lane.started = not forks_unnoticed()  # else each row asks again whether it is in a child
                    lane.direct = lane.started and not self.ending
        finally:
            self._starting.release()

    def _start_thread(self, lane: Lane) -> bool:
        lane.renew_locks()
        name = f"tinylog-{lane.route.datasource}-{lane.route.delivery.value}"
        # The bound method keeps this object alive as long as it has rows to deliver.
        thread = threading.Thread(target=self._run, args=(lane,), name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the interpreter is shutting down, or the machine has no threads left
            self._start_at = self.now() + _RETRY_INTERVAL
            if "shutdown" not in str(error):  # then exit functions deliver
                self._diagnostics.warn("thread", f"no thread could be started ({error}); rows wait for flush or close")
            return False
        hint = threads_hint()
        if hint:
            self._diagnostics.warn("uwsgi", hint)
            self._diagnostics.emit()
        return True

    def _run(self, lane: Lane) -> None:
        lane.run()

    def flush(self, timeout: float | None = None, lanes: Iterable[Lane] | None = None) -> bool:
        """Deliver what is queued, on the calling thread.

        Args:
            timeout: seconds. Default: the setting `shutdown_timeout`.
            lanes: the ones to flush. Default: all.

        Returns:
            True when the server has answered for every row that came in before the call.
        """
        notice_fork()
        if delivers():  # a callback of ours, or a signal handler amidst a flush: it would wait for itself
            return False
        now = self.now()
        at = min(now + (self.shutdown_timeout if timeout is None else timeout), self._exit_at)
        if holds_logging_lock():  # then a worker that logs cannot hand over
            at = min(at, now + _LOCKED_WAIT)
        # What is sent once goes first: it cannot use up the time with retries.
        chosen = self._lanes.values() if lanes is None else lanes
        lanes = sorted(chosen, key=lambda lane: lane.route.delivery is Delivery.ACK)
        done = True
        for index, lane in enumerate(lanes):
            now, sharing = self.now(), sum(other.waits() for other in lanes[index + 1 :])
            done &= lane.drain(now + max(0.0, at - now) / (1 + sharing))
        self._diagnostics.emit()
        return done

    def settle(
        self, timeout: float | None = None, lanes: Iterable[Lane] | None = None, *, for_good: bool = False
    ) -> None:
        """Deliver what is queued, spill or count the rest. Rows may go on coming in.

        Args:
            timeout: seconds for delivery. Default: the setting `shutdown_timeout`.
            lanes: the ones to settle. Default: all.
            for_good: nobody comes after this, not even for rows that came in meanwhile.
        """
        lanes = list(self._lanes.values() if lanes is None else lanes)
        seconds = self.shutdown_timeout if timeout is None else timeout
        at = self.now() + seconds
        try:
            self.flush(seconds, lanes)
            # What came in meanwhile has its chance, too. What was cut short is not sent twice.
            self.flush(max(0.0, at - self.now()), [lane for lane in lanes if not lane.behind])
        finally:  # also when Ctrl-C cuts it short
            for lane in lanes:
                lane.finish(for_good=for_good)

    def close(self, timeout: float | None = None) -> None:
        """Refuse rows from now on, deliver what is queued, spill or count the rest. Idempotent.

        Within `dictConfig`, which closes all handlers under the lock that a logging worker needs, what is left is the
        workers': they deliver it after that, and end.

        Args:
            timeout: seconds for delivery. Default: the setting `shutdown_timeout`.
        """
        notice_fork()
        with self._lock:
            if self._closed:
                return
            self._closed = True
        later = holds_logging_lock() and not self.ending
        for lane in list(self._lanes.values()):
            lane.close(go_on=later)
        if later:
            self.flush(timeout)
        else:
            self._end(timeout)

    def _end(self, timeout: float | None) -> None:
        self._settled = True
        try:
            self.settle(timeout, for_good=True)
        finally:
            self._shared.transport.close()
            if self._shared.buffer is not None and not self.ending:  # else it goes with the process, without a wait
                self._shared.buffer.close()

    def part(self, lanes: Iterable[Lane], timeout: float) -> None:
        """Let a door go that shares these lanes with others.

        Args:
            lanes: the door's.
            timeout: seconds for delivery.
        """
        if self.ending:  # nobody may come after it
            self.settle(timeout, lanes)
        else:
            self.flush(timeout, lanes)

    def at_exit(self, timeout: float) -> None:
        """Settle, and go on taking rows: other exit functions may log, and `logging.shutdown` has yet to come.

        Args:
            timeout: seconds for delivery, of what comes later too.
        """
        self.ending = True
        for lane in list(self._lanes.values()):
            lane.direct = False
        self._exit_at = self.now() + timeout
        if not self._closed:
            self.settle(timeout)
        elif not self._settled:
            self._end(timeout)

    def stats(self) -> Stats:
        """Take a snapshot of the ledger."""
        return total(lane.queue.ledger() for lane in list(self._lanes.values()))

    def ledgers(self) -> Iterator[tuple[Route, Ledger, int]]:
        """Each route, a snapshot of its ledger, and how many rows it may hold."""
        for route, lane in list(self._lanes.items()):
            yield route, lane.queue.ledger(), self._settings.queue.max_rows

    def after_fork_in_child(self) -> None:
        """Start over in the child: the parent sends what it had, and keeps its connections and claims.

        Takes no lock of anybody's, and imports nothing: a thread of the parent may have held any lock.
        """
        self._start_afresh()
        self._settled = self._closed
        self._diagnostics.reset()
        self._shared.transport.reset()
        if self._shared.buffer is not None:
            self._shared.buffer.reset()
        heir = is_heir()
        for lane in self._lanes.values():
            if heir:
                lane.inherit()
            else:
                lane.reset()
            if self._closed:
                lane.close()
