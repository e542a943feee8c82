"""Ships logs, spans and metrics to Tinybird from inside the process."""

from __future__ import annotations

import tinylog._main_interpreter  # noqa: F401 - first, since it refuses where the others would break
from tinylog._report import Event
from tinylog._stats import Replayed, Stats
from tinylog.errors import BufferUnavailableError, ConfigurationError, MissingExtraError, TinylogError
from tinylog.handler import TinybirdHandler

__all__ = [
    "BufferUnavailableError",
    "ConfigurationError",
    "Event",
    "MissingExtraError",
    "Replayed",
    "Stats",
    "TinybirdHandler",
    "TinylogError",
]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - slow, and rarely asked for

        return version("tinylog-tinybird")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
