"""Every setting: its name, default, check and meaning, in one place.

A setting comes from the keyword argument, else from its `TINYLOG_*` variable, else from its default. The token and
the host have more sources (see `_sources`). Each group is handed only to the part that needs it.
"""

from __future__ import annotations

import dataclasses
import difflib
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict, TypeVar

from tinylog import _parse as parse
from tinylog._sources import Connection, connection
from tinylog.errors import ConfigurationError

__all__ = [
    "BatchLimits",
    "DoorOptions",
    "Options",
    "QueueLimits",
    "RetryPolicy",
    "Settings",
    "SpillPolicy",
    "resolve",
]

MiB = 1024**2
G = TypeVar("G")


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


def _spill_place(value: Any) -> str | None:
    if value is False or (isinstance(value, str) and value.strip().lower() in {"off", "false", "none"}):
        return None
    if value is True or value == "":
        return ""
    if isinstance(value, (str, os.PathLike)):
        place = os.fspath(value)
        if isinstance(place, str) and "://" not in place:
            return place
    raise ValueError("expected a directory, or 'off'")


@dataclass(frozen=True, slots=True)
class SpillPolicy:
    """Where acknowledged rows go when they cannot be delivered, and how much of them is kept.

    Attributes:
        place: a directory; empty (default) for the user's state directory; None when switched off.
        max_bytes: bytes on disk before the oldest rows are evicted. Default 1 GiB.
        max_files: files before the oldest are evicted. Default 10,000.
        max_age: seconds before rows are evicted. Default 7 days.
        journal: write acknowledged rows to disk before the logging call returns, so that a killed process loses none.
            Default no.
        journal_sync: when to wait for the disk as well, against power cuts: `none` (default), `interval` (one logging
            call in each `flush_interval` waits), or `always` (each does).
    """

    place: str | None = _option("spill", _spill_place, "")
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


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """How requests are made.

    Attributes:
        allow_http: whether the token may travel unencrypted to another machine. Default no.
        compression: `gzip` (default), `zstd` (extra `zstd`), or None.
        timeout: the longest to wait for a connection, and for an answer, in seconds. Default 10.
        shutdown_timeout: the longest that `close` and the end of the process wait for delivery, in seconds. Default
            5.0.
        flush_on_sigterm: whether SIGTERM waits for delivery, of which a Python process otherwise dies at once. Default
            no.
    """

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


_GROUPS: tuple[type[Any], ...] = (
    HttpOptions,
    QueueLimits,
    BatchLimits,
    RetryPolicy,
    SpillPolicy,
    DoorOptions,
)
_CONNECTION = ("token", "host")


def option_fields() -> dict[str, dataclasses.Field[Any]]:
    """Every setting of the groups by its public name."""
    return {item.metadata["name"]: item for group in _GROUPS for item in dataclasses.fields(group)}


def resolve(
    options: Mapping[str, Any],
    environ: Mapping[str, str] | None = None,
    *,
    token_variables: tuple[str, ...] = (),
    host_variables: tuple[str, ...] = (),
) -> Settings:
    """Make settings from keyword arguments, the environment and `.tinyb`.

    Args:
        options: keyword arguments as a user gave them. None means "not given", but for `compression`.
        environ: the environment. Default: the process's.
        token_variables: names that are looked up for the token before `TINYBIRD_TOKEN`.
        host_variables: names that are looked up for the host before `TINYBIRD_URL`.

    Raises:
        ConfigurationError: names the setting, the value and the remedy.
    """
    environ = os.environ if environ is None else environ
    _refuse_unknown(options)
    http, queue, batch, retry, spill, door = (_group(group, options, environ) for group in _GROUPS)
    _check_sizes(door.max_row_bytes, batch.max_bytes, queue.max_bytes)
    if spill.journal and spill.place is None:
        raise ConfigurationError("journal: it is kept in the spill directory, which is switched off; set spill")
    where = {name: options.get(name) for name in _CONNECTION}
    server = connection(
        where,
        environ,
        allow_http=http.allow_http,
        token_variables=token_variables,
        host_variables=host_variables,
    )
    return Settings(server, http, queue, batch, retry, spill, door)


def _group(group: type[G], options: Mapping[str, Any], environ: Mapping[str, str]) -> G:
    values = {}
    for item in dataclasses.fields(group):  # type: ignore[arg-type]
        name, parser = item.metadata["name"], item.metadata["parser"]
        variable = f"TINYLOG_{name.upper()}"
        if options.get(name) is not None or (name == "compression" and name in options):
            values[item.name] = _checked(name, parser, options[name])
        elif environ.get(variable):
            values[item.name] = _checked(f"{name} (from {variable})", parser, environ[variable])
    return group(**values)


def _checked(name: str, parser: Callable[[Any], Any], value: Any) -> Any:
    try:
        return parser(value)
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error}, got {value!r}") from None


def _refuse_unknown(options: Mapping[str, Any]) -> None:
    known = [*option_fields(), *_CONNECTION]
    for name in options:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"the settings are: {', '.join(sorted(known))}"
            raise ConfigurationError(f"unknown setting {name!r}: {hint}")


def _check_sizes(row: int, batch: int, queue: int) -> None:
    """A row must fit into a batch, and a batch into the queue, or nothing could ever be sent."""
    if row > batch:
        raise ConfigurationError(
            f"max_row_bytes ({row}) is above max_batch_bytes ({batch}): lower the first or raise the second"
        )
    if batch > queue:
        raise ConfigurationError(
            f"max_batch_bytes ({batch}) is above max_queue_bytes ({queue}): lower the first or raise the second"
        )
