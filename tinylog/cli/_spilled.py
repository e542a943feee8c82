"""What the commands for spilled rows share: where they are, and how they are shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tinylog._clock import SystemClock
from tinylog._diagnostics import Diagnostics
from tinylog._resolve import resolve
from tinylog.buffers import DirectoryBuffer, make_directory
from tinylog.errors import ConfigurationError
from tinylog.settings import Settings

__all__ = ["directory", "from_option"]

from_option = click.option(
    "--from",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Spill directory. [default: TINYLOG_SPILL, or the one of this host in the state directory]",
)


def directory(folder: Path | None, *, needs_token: bool) -> tuple[Settings, DirectoryBuffer]:
    """Find the settings and the spill directory that they name, or that takes over from the store that they name.

    Raises:
        ConfigurationError: there is none.
    """
    options: dict[str, Any] = {"spill": folder} if folder else {}
    if not needs_token:
        options["token"] = "none-needed"  # noqa: S105 - nothing is sent
    settings = resolve(options)
    clock = SystemClock()
    buffer = make_directory(settings.spill, settings.connection.host, clock, Diagnostics(clock))
    if buffer is None:
        raise ConfigurationError("spill: it is switched off; name the directory with --from")
    return settings, buffer
