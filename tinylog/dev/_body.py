"""Decompress request bodies without ever holding much more than the limit. Pure functions."""

import zlib
from collections.abc import Callable, Iterator

import zstandard

from tinylog.dev._problems import RequestError

MAX_BODY_BYTES = 10 * 1024 * 1024
"""Largest body taken, after decompression: the limit of Tinybird's free plan."""

_GZIP = 31  # zlib's window bits for "a gzip header, nothing else"
_ZSTD_STEP = 512  # a zstd block of 4 bytes can grow to 128 KB, and zstandard has no output limit


def decode_body(body: bytes, encoding: str) -> bytes:
    """Undo a ``Content-Encoding``.

    Args:
        body: The body as it came.
        encoding: The header's value; empty means none.

    Raises:
        RequestError: 400 for an unknown encoding or broken data, 413 above ``MAX_BODY_BYTES``.
    """
    decoder = _DECODERS.get(encoding.strip().lower())
    if decoder is None:
        raise RequestError(400, f"Content-Encoding {encoding!r} is not supported: use gzip, zstd or none")
    chunks, size = [], 0
    for chunk in decoder(body):
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise too_large()
    return b"".join(chunks)


def too_large() -> RequestError:
    """The answer to a body above the limit."""
    return RequestError(413, f"The body is larger than {MAX_BODY_BYTES} bytes uncompressed: send it in parts")


def _identity(body: bytes) -> Iterator[bytes]:
    yield body


def _gunzip(body: bytes) -> Iterator[bytes]:
    while body:
        stream = zlib.decompressobj(_GZIP)
        try:
            yield stream.decompress(body, MAX_BODY_BYTES + 1)
        except zlib.error as error:
            raise RequestError(400, f"The body is not valid gzip: {error}") from None
        if not stream.eof:
            # Either the limit stopped it (the caller has seen that already) or the data ends early.
            raise RequestError(400, "The body is not valid gzip: it is cut short")
        body = stream.unused_data


def _unzstd(body: bytes) -> Iterator[bytes]:
    while body:
        stream, start = zstandard.ZstdDecompressor().decompressobj(), 0
        while not stream.eof:
            if start >= len(body):
                raise RequestError(400, "The body is not valid zstd: it is cut short")
            try:
                yield stream.decompress(body[start : start + _ZSTD_STEP])
            except zstandard.ZstdError as error:
                raise RequestError(400, f"The body is not valid zstd: {error}") from None
            start += _ZSTD_STEP
        body = stream.unused_data + body[start:]


_DECODERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "": _identity,
    "identity": _identity,
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "zstd": _unzstd,
}
