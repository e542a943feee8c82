"""Content codings for bodies: every implementation makes what any server can read."""

from __future__ import annotations

import gzip
import importlib.util

import pytest
import zstandard

from tinylog._compress import compressor

BODY = bytearray(b'{"seq":1,"message":"hi"}\n' * 5_000)


@pytest.fixture(params=["isal", "zlib"])
def implementation(request, monkeypatch):
    """With the extra `speed`, and without it."""
    found = importlib.util.find_spec
    if request.param == "zlib":
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "isal" else found(name))
    compressor.cache_clear()
    yield request.param
    compressor.cache_clear()


def test_gzip(implementation):
    """What is faster is the same format, and the same every time."""
    compress = compressor("gzip")
    assert ("igzip" in compress.__code__.co_freevars) is (implementation == "isal")
    packed = compress(BODY)
    assert gzip.decompress(packed) == BODY
    assert len(packed) < len(BODY) // 20
    assert compress(BODY) == packed


def test_zstd_and_none():
    """Zstandard frames carry their size, so that a server can bound it; no coding leaves the body as it is."""
    assert zstandard.ZstdDecompressor().decompress(compressor("zstd")(BODY)) == BODY
    assert compressor(None)(BODY) == BODY
