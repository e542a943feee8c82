"""The journal of a queue: the rows of each chunk are in a file of the buffer before the logging call returns."""

from __future__ import annotations

from collections.abc import Callable

from tinylog._diagnostics import Diagnostics
from tinylog.errors import BufferUnavailableError
from tinylog.protocols import Batch, Clock, JournalFile

__all__ = ["Journal", "JournalBacking"]


class JournalBacking:
    """The journal file of one batch, deleted once every row of it is settled.

    Args:
        file: where its rows are.
        rows: of the batch.
        complete: whether the file holds all rows of the batch and no others. A disk that refused a row, or rows
            that were dropped since, are why it may not.
    """

    def __init__(self, file: JournalFile, rows: int, *, complete: bool) -> None:
        self._file: JournalFile | None = file
        self._rows = self._left = rows
        self._complete = complete

    def settled(self, rows: int) -> None:
        """Note that rows no longer need the file; delete it with the last."""
        self._left -= rows
        if self._left <= 0 and self._file is not None:
            self._file.discard()
            self._file = None

    def keep(self, batch: Batch) -> bool:
        """Leave the file in the buffer, unless a part of the batch has been answered for already."""
        if self._file is None or not self._complete or not batch.rows == self._left == self._rows:
            return False
        self._file.promote()
        self._file = None  # what is settled from now on deletes nothing
        return True


class Journal:
    """Writes rows to the files of a buffer. The queue's lock is held.

    A disk that refuses costs durability, not rows: they stay in memory, and a warning says so.

    Args:
        begin: begins a file.
        sync: `none`, `interval` or `always`.
        interval: seconds, for `interval`.
        clock: the time.
        diagnostics: told of a disk that refuses.
    """

    def __init__(
        self, begin: Callable[[], JournalFile], sync: str, interval: float, clock: Clock, diagnostics: Diagnostics
    ) -> None:
        self._begin = begin
        self._interval = {"none": float("inf"), "interval": interval, "always": 0.0}[sync]
        self._clock = clock
        self._diagnostics = diagnostics
        self._synced_at = 0.0

    def begin(self) -> JournalFile | None:
        """Begin the file of a chunk; None when the disk refuses."""
        try:
            return self._begin()
        except BufferUnavailableError as error:
            self._warn(error)
            return None

    def append(self, file: JournalFile, line: bytes) -> bool:
        """Write a row; false when the disk refuses."""
        try:
            file.append(line)
            now = self._clock.monotonic()
            if now - self._synced_at >= self._interval:
                self._synced_at = now
                file.sync()
        except BufferUnavailableError as error:
            self._warn(error)
            return False
        return True

    def _warn(self, error: BufferUnavailableError) -> None:
        self._diagnostics.warn("journal", f"the journal cannot be written ({error}); rows are in memory only meanwhile")
