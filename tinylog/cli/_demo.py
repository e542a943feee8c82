"""``tinylog demo``."""

import sys

import click

from tinylog.demo.run import run_demo


@click.command()
@click.option("--visits", type=click.IntRange(100), default=3000, show_default=True, help="Requests to the shop.")
@click.option("--keep", is_flag=True, help="Leave the server up until Ctrl-C, to look further.")
def demo(*, visits: int, keep: bool) -> None:
    """Serve a small web shop to real requests, and read its log back by SQL.

    Ends with status 0 when every record is a row of the table.
    """
    sys.exit(0 if run_demo(click.echo, visits=visits, keep=keep) else 1)
