"""Which doors share a processor: those whose settings agree, so that one process has one queue and one connection."""

from __future__ import annotations

import dataclasses
import os
import threading
import weakref
from collections.abc import Hashable

from tinylog._processor import Processor
from tinylog.protocols import Buffer, Clock, Transport
from tinylog.settings import Settings

__all__ = ["Share", "acquire"]


class Share:
    """A processor and the doors that use it. Doors are held weakly: one that nobody has any more needs no closing.

    Attributes:
        processor: what they share.
    """

    def __init__(self, key: Hashable, processor: Processor) -> None:
        self._key = key
        self._doors: weakref.WeakSet[object] = weakref.WeakSet()
        self.processor = processor

    def join(self, door: object) -> None:
        """Count one more door."""
        self._doors.add(door)

    def leave(self, door: object) -> bool:
        """Count one door less; tell whether it was the last one, whose task it is to close the processor."""
        with _lock:
            self._doors.discard(door)
            if self._doors:
                return False
            if _shares.get(self._key) is self:
                del _shares[self._key]
            return True


_shares: weakref.WeakValueDictionary[Hashable, Share] = weakref.WeakValueDictionary()
# Re-entrant: a garbage collection may close a door while this thread opens another.
_lock = threading.RLock()


def acquire(
    door: object,
    settings: Settings,
    transport: Transport | None,
    buffer: Buffer | None,
    clock: Clock | None,
) -> Share:
    """Give the door a share in a processor: an open one with the same settings, else a new one.

    How records become rows is a door's own affair and does not count. Replaced parts count by identity.
    """
    shared = (getattr(settings, item.name) for item in dataclasses.fields(settings) if item.name != "door")
    key = (*shared, id(transport), id(buffer), id(clock))  # the processor keeps them alive, so that ids stay theirs
    with _lock:
        share = _shares.get(key)
        if share is None or share.processor.closed:
            share = Share(key, Processor(settings, transport=transport, buffer=buffer, clock=clock))
            _shares[key] = share
        share.join(door)
        return share


def _after_fork_in_child() -> None:
    global _lock  # noqa: PLW0603 - the parent's may have been held when it forked
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
