"""``tinylog spill``."""

from __future__ import annotations

from pathlib import Path

import click

from tinylog.cli._spilled import directory, from_option


@click.group()
def spill() -> None:
    """Look at rows that wait to be sent again."""


@spill.command()
@from_option
def ls(*, folder: Path | None) -> None:
    """List spilled rows, journals and dead letters, oldest first."""
    _, buffer = directory(folder, needs_token=False)
    entries = buffer.entries()
    for entry in entries:
        click.echo(
            f"{entry.stamp}  {entry.state:<8}  {entry.datasource:<24}  {entry.rows:>8} rows  {entry.size:>10} bytes"
        )
        for line in entry.reason.splitlines():
            click.echo(f"    {line}")
    click.echo(f"{sum(entry.rows for entry in entries)} rows in {len(entries)} files of {buffer.describe()}")
