"""``tinylog dev``."""

from dataclasses import replace
from pathlib import Path

import click

from tinylog.dev._faults import Fault, parse_fault
from tinylog.errors import ConfigurationError, MissingExtraError


def _parse_faults(_: click.Context, __: click.Parameter, specs: tuple[str, ...]) -> tuple[Fault, ...]:
    try:
        return tuple(parse_fault(spec) for spec in specs)
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=7181,
    show_default=True,
    help="Port on 127.0.0.1; 0 picks a free one.",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Data folder. [default: $XDG_DATA_HOME/tinylog/dev, or ~/.local/share/tinylog/dev]",
)
@click.option("--ephemeral", is_flag=True, help="Keep the data in a temporary folder, removed at exit.")
@click.option(
    "--token", envvar="TINYLOG_DEV_TOKEN", help="Token to accept. [default: a random one, kept in the data folder]"
)
@click.option(
    "--auto-columns/--no-auto-columns",
    default=True,
    show_default=True,
    help="Add new fields of later rows as columns, where the schema was guessed.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="SPEC",
    callback=_parse_faults,
    help="Trouble for the Events API, as often as you like: 503:0.1 (status with a probability), 400~TEXT (bodies with"
    " that text), 413>1MB (bodies above a size), 429@100/s (a rate limit for each Data Source), reset:0.02 (before the"
    " rows are read), cut:0.02 (after they are stored), stall:2s:0.05, down:5s/20s (the last 5 of every 20 seconds).",
)
@click.option("--seed", type=int, help="Repeats the faults of an earlier run. [default: a random one, printed]")
@click.option(
    "--ready-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="For scripts: written when the server is ready, as JSON with url, token and pid.",
)
def dev(
    *,
    port: int,
    data: Path | None,
    ephemeral: bool,
    token: str | None,
    auto_columns: bool,
    faults: tuple[Fault, ...],
    seed: int | None,
    ready_file: Path | None,
) -> None:
    """Run a local stand-in for Tinybird: its Events API and SQL, on this machine only.

    Unmodified clients can send events to it and query them. Stop it with Ctrl-C.
    """
    if data and ephemeral:
        raise click.UsageError("--data and --ephemeral exclude each other.")
    try:
        from tinylog.dev.server import DevSettings, serve  # noqa: PLC0415 (slow, and may be missing)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tinylog"):
            raise
        raise MissingExtraError(f"tinylog dev (no module {error.name})", "dev") from None
    settings = DevSettings(port, data, ephemeral, token, ready_file, auto_columns, faults)
    if seed is not None:
        settings = replace(settings, seed=seed)
    serve(settings, click.echo)
