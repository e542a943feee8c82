"""A request's body in the making, and how bodies are cut."""

from __future__ import annotations

from dataclasses import replace

from tinylog._journal import Journal, JournalBacking
from tinylog.protocols import Batch, Route
from tinylog.settings import BatchLimits

__all__ = ["Chunk", "halve"]


class Chunk:
    """Rows that will be sent together, and their journal if there is one. Whoever owns it guards it.

    Args:
        born: on the monotonic clock, in seconds.
        journal: writes rows to disk as they are added.

    Attributes:
        data: the rows, each with its newline.
        rows: how many there are.
        born: when it was begun.
    """

    __slots__ = ("_file", "_journal", "_journaled", "born", "data", "rows")

    def __init__(self, born: float, journal: Journal | None) -> None:
        self.data = bytearray()
        self.rows = 0
        self.born = born
        self._journal = journal
        self._file = journal.begin() if journal else None
        self._journaled = 0

    def takes(self, limits: BatchLimits, size: int = 1, rows: int = 1) -> bool:
        """Tell whether so many bytes and rows more are within the limits."""
        return self.rows + rows <= limits.max_rows and len(self.data) + size <= limits.max_bytes

    def add(self, line: bytes) -> None:
        """Add a row, on disk first."""
        if self._journal is not None and self._file is not None:
            self._journaled += self._journal.append(self._file, line)
        self.data += line
        self.rows += 1

    def add_all(self, lines: bytes, rows: int) -> None:
        """Add rows that need not be on disk."""
        self.data += lines
        self.rows += rows

    def drop_first(self) -> int:
        """Take the oldest row away; give its bytes. Its journal goes with the last."""
        size = self.data.index(b"\n") + 1
        del self.data[:size]
        self.rows -= 1
        if not self.rows and self._file is not None:
            self._file.discard()
        return size

    def batch(self, route: Route) -> Batch:
        """Make it ready to be sent."""
        if self._file is None:
            return Batch(route, self.data, self.rows)
        backing = JournalBacking(self._file, self.rows, complete=self._journaled == self.rows)
        return Batch(route, self.data, self.rows, backing)


def halve(batch: Batch) -> list[Batch]:
    """Cut a batch of two rows or more into two at the row end nearest to its middle. Pure."""
    data = bytes(batch.data)
    cut = data.rfind(b"\n", 0, len(data) // 2) + 1 or data.index(b"\n") + 1
    rows = data.count(b"\n", 0, cut)
    first, second = data[:cut], data[cut:]
    return [replace(batch, data=first, rows=rows), replace(batch, data=second, rows=batch.rows - rows)]
