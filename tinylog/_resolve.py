"""Where settings come from: the keyword argument, else the `TINYLOG_*` variable, else the default.

The token and the host have more sources: see `_sources`.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from tinylog._place import masked
from tinylog._sources import connection
from tinylog.errors import ConfigurationError
from tinylog.settings import (
    BatchLimits,
    DoorOptions,
    HttpOptions,
    QueueLimits,
    RetryPolicy,
    Settings,
    SourceControls,
    SpillPolicy,
)

__all__ = ["option_fields", "resolve"]

G = TypeVar("G")

_GROUPS: tuple[type[Any], ...] = (
    HttpOptions,
    QueueLimits,
    BatchLimits,
    RetryPolicy,
    SpillPolicy,
    DoorOptions,
    SourceControls,
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
    http, queue, batch, retry, spill, door, controls = (_group(group, options, environ) for group in _GROUPS)
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
    return Settings(server, http, queue, batch, retry, spill, door, controls)


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
        shown = masked(value) if isinstance(value, str) else value
        raise ConfigurationError(f"{name}: {error}, got {shown!r}") from None


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
