"""Which doors share a processor: those whose settings agree, so that one process has one queue and one connection."""

from __future__ import annotations

import dataclasses
import os
import threading
import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from tinylog._place import masked
from tinylog._processor import Processor
from tinylog._report import Event
from tinylog.errors import ConfigurationError
from tinylog.protocols import Buffer, Clock, Transport
from tinylog.settings import Settings, transport_name

__all__ = ["Parts", "Share", "acquire"]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a door brings, in place of what its settings would make.

    Attributes:
        transport: replaces the transport that the settings name; or the name of another.
        buffer: replaces the spill directory.
        clock: replaces the machine's clocks.
        on_event: is told what becomes of rows other than delivery, by a thread of tinylog's, `flush` or `close`.
    """

    transport: Transport | str | None = None
    buffer: Buffer | None = None
    clock: Clock | None = None
    on_event: Callable[[Event], None] | None = None


_OWN = frozenset({"door", "controls"})  # settings of a door


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


def acquire(door: object, settings: Settings, parts: Parts) -> Share:
    """Give the door a share in a processor: an open one with the same settings, else a new one.

    How records become rows is a door's own affair and does not count. Replaced parts count by identity.
    """
    settings, parts = _named_transport(settings, parts)
    shared = (getattr(settings, item.name) for item in dataclasses.fields(settings) if item.name not in _OWN)
    # The processor keeps the parts alive, so that their ids stay theirs.
    key = (*shared, *(id(getattr(parts, item.name)) for item in dataclasses.fields(parts)))
    with _lock:
        share = _shares.get(key)
        if share is None or share.processor.closed:
            share = Share(key, _processor(settings, parts))
            _shares[key] = share
        share.join(door)
        return share


def _named_transport(settings: Settings, parts: Parts) -> tuple[Settings, Parts]:
    """Make a name among the parts a setting. To Kafka, rows travel in messages, which its client compresses."""
    if isinstance(parts.transport, str):
        try:
            name = transport_name(parts.transport)
        except ValueError as error:
            raise ConfigurationError(f"transport: {error}, got {masked(parts.transport)!r}") from None
        settings = dataclasses.replace(settings, http=dataclasses.replace(settings.http, transport=name))
        parts = dataclasses.replace(parts, transport=None)
    if parts.transport is None and settings.http.transport.startswith("kafka://"):
        settings = dataclasses.replace(settings, http=dataclasses.replace(settings.http, compression=None))
    return settings, parts


def _processor(settings: Settings, parts: Parts) -> Processor:
    transport = None if isinstance(parts.transport, str) else parts.transport
    return Processor(settings, transport=transport, buffer=parts.buffer, clock=parts.clock, on_event=parts.on_event)


def _after_fork_in_child() -> None:
    global _lock  # noqa: PLW0603 - the parent's may have been held when it forked
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
