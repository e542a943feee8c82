"""Durable buffers for acknowledged rows that cannot be delivered at present."""

from __future__ import annotations

import importlib.util
import os
import re
import tempfile
from pathlib import Path

from tinylog._diagnostics import Diagnostics
from tinylog._place import KAFKA, Place
from tinylog.buffers.directory import DirectoryBuffer
from tinylog.buffers.fallback import FallbackBuffer
from tinylog.errors import ConfigurationError, MissingExtraError
from tinylog.protocols import Buffer, Clock
from tinylog.settings import SpillPolicy

__all__ = ["DirectoryBuffer", "FallbackBuffer", "default_directory", "make_buffer", "make_directory"]

_DIRECTORY = "directory"  # in the query of a URL: what takes over when the store fails
_LOOK_INTERVAL = 30.0  # seconds: each look into an object store is a request that is paid for


def make_buffer(policy: SpillPolicy, host: str, clock: Clock, diagnostics: Diagnostics) -> Buffer | None:
    """Make the buffer that the settings name; None when spilling is off.

    Raises:
        MissingExtraError: it needs a package that is not installed.
    """
    place = policy.place
    if isinstance(place, Place):
        return _beyond(place, policy, host, clock, diagnostics)
    return make_directory(policy, host, clock, diagnostics)


def make_directory(policy: SpillPolicy, host: str, clock: Clock, diagnostics: Diagnostics) -> DirectoryBuffer | None:
    """Make the directory that the settings name, or that takes over from a store; None when spilling is off."""
    place = policy.place
    if isinstance(place, Place):
        place = place.options.get(_DIRECTORY, "")
    if place is None:
        return None
    folder = Path(place).expanduser() if place else default_directory(host)
    return DirectoryBuffer(folder, policy, clock, diagnostics)


def _beyond(place: Place, policy: SpillPolicy, host: str, clock: Clock, diagnostics: Diagnostics) -> FallbackBuffer:
    """Make a buffer beyond this machine, with a directory that takes over. Loads no client yet: see `_objectstore`."""
    directory = make_directory(policy, host, clock, diagnostics)
    if directory is None:  # pragma: no cover - a place is never None
        raise ConfigurationError("spill: no directory")
    bare = place.with_options({name: value for name, value in place.options.items() if name != _DIRECTORY})
    store: Buffer
    if place.url.scheme == KAFKA:
        _need("confluent_kafka", "spill to kafka://", "kafka")
        from tinylog.buffers.kafka import KafkaBuffer

        store = KafkaBuffer(bare, clock, diagnostics)
        return FallbackBuffer(store, directory, clock, diagnostics)
    _need("obstore", f"spill to {place.url.scheme}://", "s3")
    from tinylog.buffers.objects import ObjectBuffer

    store = ObjectBuffer(bare, clock, diagnostics)
    return FallbackBuffer(store, directory, clock, diagnostics, _LOOK_INTERVAL)


def _need(package: str, feature: str, extra: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise MissingExtraError(feature, extra)


def default_directory(host: str) -> Path:
    """Choose the folder for rows of one host: rows for a server under test must never be replayed into another.

    It lies in the user's state directory (https://specifications.freedesktop.org/basedir-spec/), else, for users
    without a home, below the directory for temporary files.
    """
    state = os.environ.get("XDG_STATE_HOME")
    home = Path(state) if state else Path("~/.local/state").expanduser()
    if not home.is_absolute():
        home = Path(tempfile.gettempdir()) / f"state-{os.getuid() if hasattr(os, 'getuid') else 0}"
    return home / "tinylog" / "spill" / re.sub(r"\W+", "-", host.partition("://")[2])
