"""``tinylog replay``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tinylog._processor import Processor
from tinylog.cli._spilled import directory, from_option
from tinylog.protocols import Delivery, Route


@click.command()
@from_option
@click.option(
    "--datasource",
    "names",
    multiple=True,
    help="A Data Source whose rows wait in a store beyond this machine (TINYLOG_SPILL is a URL). May be repeated.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be sent.")
def replay(*, folder: Path | None, names: tuple[str, ...], dry_run: bool) -> None:
    """Send spilled rows, and the journals of processes that died, oldest first.

    Running applications with the same spill directory do this by themselves; this is for those that run no more. Host
    and token come from TINYBIRD_URL and TINYBIRD_TOKEN. Ends with status 1 when rows are left.
    """
    settings, buffer = directory(folder, needs_token=not dry_run)
    waiting = [entry for entry in buffer.entries() if entry.state in ("spilled", "orphan")]
    routes = sorted({entry.datasource for entry in waiting} | set(names))
    if dry_run:
        for name in routes:
            rows = sum(entry.rows for entry in waiting if entry.datasource == name)
            click.echo(f"would send {rows} rows to {name}")
        return
    processor = Processor(settings)  # with the store, if there is one, and the directory
    complete = True
    for name in routes:  # also after one that fails: it may be this one's token alone
        complete &= processor.lane(Route(name, Delivery.ACK)).replay_all()
    sent = processor.stats().replayed
    processor.close()
    click.echo(f"sent {sent.delivered} rows, {sent.quarantined} of them quarantined, {sent.dead_lettered} dead letters")
    if not complete:
        click.echo("the server takes no more rows at present; what is left stays where it is", err=True)
        sys.exit(1)
