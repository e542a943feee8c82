"""Content codings for request bodies, the cheapest implementation that is installed."""

from __future__ import annotations

import functools
import gzip
import importlib.util
from collections.abc import Callable

from tinylog.errors import MissingExtraError

__all__ = ["compressor"]

Compress = Callable[[bytes | bytearray], bytes]


@functools.cache  # so that the child of a fork imports nothing: another thread may have been importing just then
def compressor(coding: str | None) -> Compress:
    """Give the function that compresses a body.

    Args:
        coding: `gzip`, `zstd`, or None to leave bodies as they are.

    Raises:
        MissingExtraError: `zstd` without its package.
    """
    if coding == "gzip":
        return _gzip()
    if coding == "zstd":
        return _zstd()
    return bytes


def _gzip() -> Compress:
    # Level 1: higher levels cost several times the CPU for a few percent, and stall the callers meanwhile.
    if importlib.util.find_spec("isal"):
        from isal import igzip  # noqa: PLC0415

        return lambda data: bytes(igzip.compress(data, 1))
    return lambda data: gzip.compress(data, 1, mtime=0)


def _zstd() -> Compress:
    if importlib.util.find_spec("zstandard") is None:
        raise MissingExtraError("compression='zstd'", "zstd")
    import zstandard  # noqa: PLC0415

    # A compressor object is not for two threads at once; making one a request costs little.
    return lambda data: zstandard.ZstdCompressor(level=1).compress(data)
