"""The lifecycle of delivery: threads, fork, exit, flush. The only module that knows of them."""

from __future__ import annotations

import atexit
import os
import random
import threading
import weakref
from collections.abc import Callable, Iterable

from tinylog._clock import SystemClock
from tinylog._diagnostics import Diagnostics
from tinylog._exporter import Shared
from tinylog._guard import state
from tinylog._lane import Lane
from tinylog._pace import Pace
from tinylog._report import Event
from tinylog._queue import NEVER
from tinylog._stats import Stats, total
from tinylog._transport import RequestsTransport
from tinylog.buffers import make_buffer
from tinylog.protocols import Buffer, Clock, Delivery, Route, Transport
from tinylog.settings import Settings

__all__ = ["Processor"]

_live: weakref.WeakSet[Processor] = weakref.WeakSet()


class Processor:
    """Owns the lanes of a set of routes that share settings, a transport and a buffer.

    Args:
        settings: what was configured.
        transport: replaces the HTTP transport.
        buffer: replaces the buffer that the settings name.
        clock: replaces the machine's clocks.
        on_event: told, on a thread of ours, what became of rows other than delivery.
        rand: replaces `random.random`, for jitter.
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
            transport=transport or RequestsTransport(settings.connection),
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
        self._lingers = False
        self._exit_at = NEVER
        self._reset_locks()
        _live.add(self)

    def _reset_locks(self) -> None:
        self._lock = threading.Lock()  # of the table of lanes; no row waits for it
        self._starting = threading.Lock()
        self._closed = False

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
        if self._closed or not self._starting.acquire(blocking=False):
            return
        try:
            for lane in list(self._lanes.values()):
                if not lane.started:
                    lane.started = True  # also when it fails: then `flush` and `close` deliver
                    self._start_thread(lane)
        finally:
            self._starting.release()

    def _start_thread(self, lane: Lane) -> None:
        name = f"tinylog-{lane.route.datasource}-{lane.route.delivery.value}"
        # The bound method keeps this object alive as long as it has rows to deliver.
        thread = threading.Thread(target=self._run, args=(lane,), name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the interpreter is shutting down, or the machine has no threads left
            self._diagnostics.warn(
                "thread", f"no thread could be started ({error}); rows are sent by flush() and close()"
            )

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
        if state.delivering:  # a callback of ours, or a signal handler amidst a flush: it would wait for itself
            return False
        at = self._clock.monotonic() + (self.shutdown_timeout if timeout is None else timeout)
        # What is sent once goes first: it cannot use up the time with retries.
        chosen = self._lanes.values() if lanes is None else lanes
        lanes = sorted(chosen, key=lambda lane: lane.route.delivery is Delivery.ACK)
        done = True
        for index, lane in enumerate(lanes):
            now = self._clock.monotonic()
            done &= lane.drain(now + max(0.0, at - now) / (len(lanes) - index))
        self._diagnostics.emit()
        return done

    def close(self, timeout: float | None = None) -> None:
        """Refuse rows from now on, deliver what is queued, spill or count the rest. Idempotent.

        Args:
            timeout: seconds for delivery. Default: the setting `shutdown_timeout`.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
        for lane in list(self._lanes.values()):
            lane.close()
        self._settle(timeout)
        self._shared.transport.close()

    def _settle(self, timeout: float | None) -> None:
        """Deliver what is queued, spill or count the rest."""
        seconds = self.shutdown_timeout if timeout is None else timeout
        self.flush(max(0.0, min(seconds, self._exit_at - self.now())))
        self._finish()

    def _finish(self) -> None:
        """Spill or count what is still queued."""
        for lane in list(self._lanes.values()):
            lane.finish()

    def linger(self) -> None:
        """Take rows until the very end of the process: somebody else will close.

        OpenTelemetry's providers hand over their last batch in exit functions of their own, which run after ours when
        tinylog was imported after a provider was made, as declarative configuration does.
        """
        self._lingers = True

    def at_exit(self, timeout: float) -> None:
        """Close; if rows are still to come, deliver what there is, and let them and `close` have what time is left.

        Args:
            timeout: seconds for delivery.
        """
        if not self._lingers:
            self.close(timeout)
        elif not self._closed:
            self._exit_at = self.now() + timeout
            if not self.flush(timeout):
                self._finish()

    def stats(self) -> Stats:
        """Take a snapshot of the ledger."""
        return total(lane.queue.ledger() for lane in list(self._lanes.values()))

    def after_fork_in_child(self) -> None:
        """Start over in the child: the parent sends what it had, and keeps its connections and claims."""
        closed = self._closed
        self._reset_locks()
        self._shared.transport.reset()
        if self._shared.buffer is not None:
            self._shared.buffer.reset()
        for lane in self._lanes.values():
            lane.reset()
        if closed:
            self.close()


def _close_all() -> None:
    """Close every processor, all under the longest of their deadlines."""
    processors = list(_live)
    began = {processor: processor.now() for processor in processors}
    longest = max((processor.shutdown_timeout for processor in processors), default=0.0)
    for processor in processors:
        elapsed = processor.now() - began[processor]
        processor.at_exit(max(0.0, min(processor.shutdown_timeout, longest - elapsed)))


def _reset_all() -> None:
    for processor in list(_live):
        processor.after_fork_in_child()


# Registered when tinylog is imported, which is early: exit functions run in reverse order, so that what the application
# logs in its own ones is still delivered. No new thread is needed, as Python 3.12 forbids them by then.
atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)
