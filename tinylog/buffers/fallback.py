"""A store beyond this machine, and the directory that takes over when the store fails.

Rows that are in the directory go from there straight to Tinybird. With a journal, rows are in the directory before the
logging call returns; what is spilled is moved to the store.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tinylog._diagnostics import Diagnostics
from tinylog.buffers._journalfile import AppendedFile
from tinylog.buffers.directory import DirectoryBuffer
from tinylog.errors import BufferUnavailableError
from tinylog.protocols import Batch, Buffer, Claim, Clock, Route

__all__ = ["FallbackBuffer"]

T = TypeVar("T")

_PAUSE = 10.0  # seconds in which a store that failed twice in a row is left alone, since each call may wait for it


class _MovingJournal:
    """A journal file that goes to the store when it is spilled. See `tinylog.protocols.JournalFile`."""

    def __init__(self, file: AppendedFile, route: Route, buffer: FallbackBuffer) -> None:
        self._file = file
        self._route = route
        self._buffer = buffer
        self.append, self.sync, self.discard = file.append, file.sync, file.discard

    def promote(self) -> None:
        """Copy it to the store and delete it, or leave it to the directory."""
        data = self._file.content()
        if self._buffer.offer(Batch(self._route, data, data.count(b"\n"))):
            self._file.discard()
        else:
            self._file.promote()


class FallbackBuffer:
    """Puts batches into the store; into the directory while the store fails. Claims come from both.

    Args:
        store: the one beyond this machine.
        directory: the one that takes over.
        clock: the time.
        diagnostics: told when the store fails.
        look_interval: seconds between looks into a store in which there was nothing for a route.
    """

    def __init__(
        self,
        store: Buffer,
        directory: DirectoryBuffer,
        clock: Clock,
        diagnostics: Diagnostics,
        look_interval: float = 0.0,
    ) -> None:
        self.store = store
        self.directory = directory
        self._clock = clock
        self._diagnostics = diagnostics
        self._interval = look_interval
        self._failed_until = float("-inf")
        self._failures = 0  # in a row
        self._look_at: dict[Route, float] = {}

    def describe(self) -> str:
        """Name both."""
        return f"{self.store.describe()} (while that fails, {self.directory.describe()})"

    def reset(self) -> None:
        """Drop the parent's claims of both."""
        self._failed_until = float("-inf")
        self.store.reset()
        self.directory.reset()

    def close(self) -> None:
        """Let go of both."""
        self.store.close()
        self.directory.close()

    @property
    def damaged(self) -> int:
        """How many batches and torn lines this process has set aside, in both."""
        return self.store.damaged + self.directory.damaged

    def put(self, batch: Batch) -> int:
        """Store a batch in either."""
        return 0 if self.offer(batch) else self.directory.put(batch)

    def offer(self, batch: Batch) -> bool:
        """Put a batch into the store; tell whether it has it."""
        if self._tried(lambda: self.store.put(batch)) is None:
            return False
        self._look_at.pop(batch.route, None)
        return True

    def bury(self, batch: Batch, reason: str) -> None:
        """Set dead letters aside in either."""

        def bury() -> bool:
            self.store.bury(batch, reason)
            return True

        if not self._tried(bury):
            self.directory.bury(batch, reason)

    def journal(self, route: Route) -> _MovingJournal:
        """Begin a journal in the directory."""
        return _MovingJournal(self.directory.journal(route), route, self)

    def claim(self, route: Route) -> Claim | None:
        """Claim from the directory first, which nobody else may be there to send; then from the store."""
        claim: Claim | None = self.directory.claim(route)
        if claim is not None or self._clock.monotonic() < self._look_at.get(route, 0.0):
            return claim
        claim = self._tried(lambda: self.store.claim(route))
        if claim is None:
            self._look_at[route] = self._clock.monotonic() + self._interval
        return claim

    def _tried(self, call: Callable[[], T]) -> T | None:
        """Call the store, unless it has just failed; None when it does not work."""
        if self._clock.monotonic() < self._failed_until:
            return None
        try:
            result = call()
        except BufferUnavailableError as error:
            self._failures += 1
            if self._failures > 1:
                self._failed_until = self._clock.monotonic() + _PAUSE
            where = f"{self.store.describe()} fails ({error})"
            self._diagnostics.warn("store", f"{where}; rows are kept in {self.directory.describe()} meanwhile")
            return None
        self._failures = 0
        return result
