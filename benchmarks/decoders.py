"""What the sink has to know of each contender's protocol: which calls a request carries, and what its client expects.

The packages of the protocols are imported where they are needed: the sink decodes a run of tinylog without them.
"""

import csv
import functools
import json
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_LOKI_LINE = re.compile(r"\bseq=(\d+)")  # loki.py's formatter writes it
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


def decompress(headers: Mapping[str, str], body: bytes) -> bytes:
    """Undo the request's `Content-Encoding`; anything unknown is taken to be the body itself."""
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding in ("gzip", "deflate"):
        return _inflated(body)
    if encoding == "zstd":
        import zstandard  # noqa: PLC0415

        return zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True).read()
    if encoding == "br":
        import brotli  # noqa: PLC0415

        return brotli.decompress(body)
    return body


def sequences(path: str, headers: Mapping[str, str], body: bytes) -> list[int]:  # noqa: ARG001
    """Return the numbers of the calls whose rows this request's decompressed body carries, in its order."""
    decoded, _ = _protocol(path)
    return [int(number) for number in decoded(body) if number is not None]


def answer(path: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:  # noqa: ARG001
    """Return what the client needs to hold a request for successful: its status, its headers and its body."""
    _, (status, kind, body) = _protocol(path)
    return status, {"content-type": kind} if kind else {}, body


def _inflated(body: bytes) -> bytes:
    """Inflate every member of a gzip body, or zlib's format; clients append members to one body."""
    parts = []
    while body:
        inflater = zlib.decompressobj(_GZIP_OR_ZLIB)
        parts.append(inflater.decompress(body))
        body = inflater.unused_data
    return b"".join(parts)


def _of_row(row: Any) -> Any:
    """Find the number in a flat row, in tinylog's otel layout, or under tinybird-python-sdk's `extra`."""
    for place in (row, row.get("log_attributes"), row.get("extra")):
        if isinstance(place, dict) and "seq" in place:
            return place["seq"]
    return None  # a row of the client's own, such as tinylog's summary of what it dropped


def _json_rows(body: bytes) -> Iterable[Any]:
    import orjson  # noqa: PLC0415

    if body.lstrip().startswith(b"["):
        return map(_of_row, orjson.loads(body))
    return (_of_row(orjson.loads(line)) for line in body.splitlines() if line.strip())


def _csv_rows(body: bytes) -> Iterable[Any]:
    """Read the first column, where verdin.py puts the number."""
    return (row[0] for row in csv.reader(body.decode().splitlines()) if row)


def _otlp(body: bytes) -> Iterable[Any]:
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest  # noqa: PLC0415

    for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                for attribute in record.attributes:
                    if attribute.key == "seq":
                        yield attribute.value.int_value or attribute.value.string_value or 0


def _msgpack(body: bytes) -> Iterable[Any]:
    import msgpack  # noqa: PLC0415

    return map(_of_row, msgpack.unpackb(body))


def _sentry(body: bytes) -> Iterable[Any]:
    """Read the items of type `log` of an envelope; others are the SDK's own reports and sessions."""
    _, _, rest = body.partition(b"\n")
    while rest:
        line, _, rest = rest.partition(b"\n")
        if not line.strip():
            continue
        item = json.loads(line)
        length = item.get("length", rest.find(b"\n"))
        payload, rest = (rest, b"") if length < 0 else (rest[:length], rest[length + 1 :])
        if item["type"] == "log":
            for row in json.loads(payload)["items"]:
                yield row["attributes"].get("seq", {}).get("value")


def _loki(body: bytes) -> Iterable[Any]:
    for stream in json.loads(body)["streams"]:
        for _, line, *_ in stream["values"]:
            found = _LOKI_LINE.search(line)
            yield found and found[1]


# By the end of the path: how to read a request, and the status, type and body that its client takes for success.
_JSON = "application/json"
_PROTOCOLS = (
    (r"/v0/events", _json_rows, (202, _JSON, b'{"successful_rows":1,"quarantined_rows":0}')),
    (r"/v0/datasources", _csv_rows, (200, _JSON, b'{"error":false,"invalid_lines":0,"quarantine_rows":0}')),
    (r"/v1/logs", _otlp, (200, "application/x-protobuf", b"")),  # an empty message says full success
    (
        r"/v1/datasets/[^/]+/ingest|/v1/ingest/[^/]+",  # Axiom's, and that of its edge
        _json_rows,
        (200, _JSON, b'{"ingested":1,"failed":0,"failures":[],"processedBytes":1,"blocksCreated":0,"walLength":0}'),
    ),
    (r"/envelope", _sentry, (200, _JSON, b"{}")),
    (r"/loki/api/v1/push", _loki, (204, "", b"")),  # the handler holds any other status for a failure
    (r"", _msgpack, (202, "", b"")),  # logtail posts to the root
)


@functools.lru_cache
def _protocol(path: str) -> tuple[Callable[[bytes], Iterable[Any]], tuple[int, str, bytes]]:
    route = path.partition("?")[0].rstrip("/")
    return next((decoded, reply) for end, decoded, reply in _PROTOCOLS if re.search(f"(?:{end})$", route))
