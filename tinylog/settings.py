"""Every setting: its name, default, check and meaning, in one place.

Each group is handed only to the part that needs it. Where values come from: `_resolve`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from tinylog import _parse as parse
from tinylog._kafka import parse_kafka_url
from tinylog._place import Place, parse_place
from tinylog._redact import PATTERNS, Redactor
from tinylog._sources import Connection

__all__ = [
    "BatchLimits",
    "DoorOptions",
    "Options",
    "QueueLimits",
    "RetryPolicy",
    "Settings",
    "SourceControls",
    "SpillPolicy",
    "transport_name",
]

MiB = 1024**2


def _option(name: str, parser: Callable[[Any], Any], default: Any) -> Any:
    """Declare a field that users set by `name`."""
    return field(default=default, metadata={"name": name, "parser": parser})


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """How much may wait in memory, for each route (a Data Source and a way of delivery), in flight included.

    Attributes:
        max_rows: rows. Default 200,000.
        max_bytes: bytes of encoded rows. Default 64 MiB.
        when_full: `drop_newest` (default), `drop_oldest`, or `block` the caller for up to `block_timeout`.
        block_timeout: seconds. Default 1.0.
    """

    max_rows: int = _option("max_queue_rows", parse.whole_number(1), 200_000)
    max_bytes: int = _option("max_queue_bytes", parse.byte_size(1024), 64 * MiB)
    when_full: str = _option("when_full", parse.one_of("drop_newest", "drop_oldest", "block"), "drop_newest")
    block_timeout: float = _option("block_timeout", parse.seconds(zero=True), 1.0)


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When a batch is complete: whatever comes first.

    Attributes:
        max_rows: rows in one request. Default 5,000.
        max_bytes: uncompressed bytes in one request. Default 4 MiB; Tinybird's limit is 10 MB
            (https://www.tinybird.co/docs/api-reference/events-api).
        flush_interval: the longest that a row waits for company, in seconds. Default 1.0.
    """

    max_rows: int = _option("max_batch_rows", parse.whole_number(1), 5_000)
    max_bytes: int = _option("max_batch_bytes", parse.byte_size(1024), 4 * MiB)
    flush_interval: float = _option("flush_interval", parse.seconds(), 1.0)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How acknowledged rows are tried again: `random() * min(cap, base * 2**attempt)` seconds apart.

    Attributes:
        max_attempts: requests for one batch before it is spilled. Default 5, after Tinybird's advice of 3 to 5.
        base: the first delay's upper bound, in seconds. Default 0.5.
        cap: every delay's upper bound, in seconds, also for a server's `Retry-After`. Default 30.
    """

    max_attempts: int = _option("max_attempts", parse.whole_number(1), 5)
    base: float = _option("backoff_base", parse.seconds(), 0.5)
    cap: float = _option("backoff_cap", parse.seconds(), 30.0)


@dataclass(frozen=True, slots=True)
class SpillPolicy:
    """Where acknowledged rows go when they cannot be delivered, and how much of them is kept.

    Attributes:
        place: a directory, or the URL of an object store or a Kafka topic (`Place`); empty (default) for the user's
            state directory; None when switched off.
        max_bytes: bytes on disk before the oldest rows are evicted. Default 1 GiB.
        max_files: files before the oldest are evicted. Default 10,000.
        max_age: seconds before rows are evicted. Default 7 days.
        journal: write acknowledged rows to disk before the logging call returns, so that a killed process loses none.
            Default no.
        journal_sync: when to wait for the disk as well, against power cuts: `none` (default), `interval` (one logging
            call in each `flush_interval` waits), or `always` (each does).
    """

    place: str | None = _option("spill", parse_place, "")
    max_bytes: int = _option("spill_max_bytes", parse.byte_size(1024), 1024 * MiB)
    max_files: int = _option("spill_max_files", parse.whole_number(1), 10_000)
    max_age: float = _option("spill_max_age", parse.seconds(), 7 * 86_400.0)
    journal: bool = _option("journal", parse.boolean, default=False)
    journal_sync: str = _option("journal_sync", parse.one_of("none", "interval", "always"), "none")


@dataclass(frozen=True, slots=True)
class DoorOptions:
    """How records become rows, and which of them are critical.

    Attributes:
        ack_level: records at or above it are acknowledged, the others fire-and-forget. Default ERROR.
        delivery: `auto` (default: by `ack_level`), or all `ack`, or all `fire_and_forget`.
        layout: `flat` (default) or `otel`, the row of Tinybird's OpenTelemetry template.
        static_fields: fields of every row, such as `service` and `environment`. Default none.
        max_row_bytes: a longer row is shortened, with a mark. Default 1 MiB.
    """

    ack_level: int = _option("ack_level", parse.level, logging.ERROR)
    delivery: str = _option("delivery", parse.one_of("auto", "ack", "fire_and_forget"), "auto")
    layout: str = _option("layout", parse.one_of("flat", "otel"), "flat")
    static_fields: Mapping[str, Any] = field(
        default_factory=dict, metadata={"name": "static_fields", "parser": parse.field_map}
    )
    max_row_bytes: int = _option("max_row_bytes", parse.byte_size(1024), MiB)


def _redactions(value: Any) -> tuple[str | Redactor, ...]:
    chosen = [word.strip() for word in value.split(",")] if isinstance(value, str) else value
    chosen = [chosen] if callable(chosen) else chosen
    if isinstance(chosen, (list, tuple)) and all(callable(one) or one in PATTERNS for one in chosen):
        return tuple(chosen)
    raise ValueError(f"expected names among {', '.join(map(repr, PATTERNS))}, or functions from a row to a row")


@dataclass(frozen=True, slots=True)
class SourceControls:
    """What is held back or masked before it is queued. All off; critical records are exempt from all but `redact`.

    Attributes:
        rate_limit: records a second for each logger; 0 (default) for no limit. Bursts of one second are let through.
        fold_repeats: seconds in which a record that repeats another (same logger, level and message template) is
            counted only; 0 (default) for never.
        sample_rate: the share of traces whose records are kept, by trace id as `TraceIdRatioBased`, from 0 to 1
            (default). Records outside of a trace are kept by chance.
        redact: names of patterns (`authorization`, `token`, `email`, `card`), functions from a row to a row, or both.
            Default none.
    """

    rate_limit: float = _option("rate_limit", parse.seconds(zero=True), 0.0)
    fold_repeats: float = _option("fold_repeats", parse.seconds(zero=True), 0.0)
    sample_rate: float = _option("sample_rate", parse.share, 1.0)
    redact: tuple[str | Redactor, ...] = _option("redact", _redactions, ())


def transport_name(value: Any) -> str:
    """Accept `requests`, `http2` or a `kafka://` URL.

    Raises:
        ValueError: it is none of them.
    """
    name = value.strip() if isinstance(value, str) else ""
    if name.startswith("kafka://"):
        parse_kafka_url(name)
        return Place(name)
    if name not in {"requests", "http2"}:
        raise ValueError("expected 'requests', 'http2', or a URL such as 'kafka://host:9092/topic'")
    return name


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """How requests are made.

    Attributes:
        transport: `requests` (default: HTTP/1.1), `http2` (extra `http2`), or a `kafka://` URL (extra `kafka`): to a
            topic instead of the Events API.
        allow_http: whether the token may travel unencrypted to another machine. Default no.
        compression: `gzip` (default), `zstd` (extra `zstd`), or None.
        timeout: the longest to wait for a connection, and for an answer, in seconds. Default 10.
        shutdown_timeout: the longest that `close` and the end of the process wait for delivery, in seconds. Default
            5.0.
        flush_on_sigterm: whether SIGTERM waits for delivery, of which a Python process otherwise dies at once. Default
            no.
    """

    transport: str = _option("transport", transport_name, "requests")
    allow_http: bool = _option("allow_http", parse.boolean, default=False)
    compression: str | None = _option("compression", parse.one_of("gzip", "zstd", None), "gzip")
    timeout: float = _option("timeout", parse.seconds(), 10.0)
    shutdown_timeout: float = _option("shutdown_timeout", parse.seconds(zero=True), 5.0)
    flush_on_sigterm: bool = _option("flush_on_sigterm", parse.boolean, default=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, checked."""

    connection: Connection
    http: HttpOptions
    queue: QueueLimits
    batch: BatchLimits
    retry: RetryPolicy
    spill: SpillPolicy
    door: DoorOptions
    controls: SourceControls


class Options(TypedDict, total=False):
    """The keyword arguments of every door, for type checkers. A test holds them against the groups above."""

    token: str | None
    host: str | None
    allow_http: bool
    ack_level: int | str
    delivery: str
    layout: str
    static_fields: Mapping[str, Any]
    compression: str | None
    max_queue_rows: int
    max_queue_bytes: int | str
    when_full: str
    block_timeout: float
    max_batch_rows: int
    max_batch_bytes: int | str
    max_row_bytes: int | str
    flush_interval: float
    timeout: float
    max_attempts: int
    backoff_base: float
    backoff_cap: float
    shutdown_timeout: float
    flush_on_sigterm: bool
    spill: str | os.PathLike[str] | bool | None
    spill_max_bytes: int | str
    spill_max_files: int
    spill_max_age: float
    journal: bool
    journal_sync: str
    rate_limit: float
    fold_repeats: float
    sample_rate: float
    redact: Sequence[str | Redactor] | str
