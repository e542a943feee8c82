"""The batches of one route that somebody is sending right now. Whoever owns the books guards them."""

from __future__ import annotations

from tinylog.protocols import Batch

__all__ = ["InFlight"]


class InFlight:
    """Knows batches by identity, and how many rows they hold.

    Attributes:
        rows: how many.
    """

    def __init__(self) -> None:
        self._batches: dict[int, Batch] = {}
        self.rows = 0

    def __contains__(self, batch: Batch) -> bool:
        return self._batches.get(id(batch)) is batch

    def add(self, batch: Batch) -> None:
        """Let a batch take off."""
        self._batches[id(batch)] = batch
        self.rows += batch.rows

    def remove(self, batch: Batch) -> bool:
        """Let a batch land; tell whether it was in flight."""
        if batch not in self:
            return False
        del self._batches[id(batch)]
        self.rows -= batch.rows
        return True

    def clear(self) -> list[Batch]:
        """Take all batches away."""
        batches = list(self._batches.values())
        self._batches.clear()
        self.rows = 0
        return batches
