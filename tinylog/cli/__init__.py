"""The command line. Needs the extra ``cli``; each command loads what it needs when it is called."""

import sys

from tinylog.errors import MissingExtraError


def main() -> None:
    """Entry point of the console script ``tinylog``."""
    try:
        from tinylog.cli._root import root  # noqa: PLC0415 (click may be missing)
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.stderr.write(f"Error: {MissingExtraError('the command tinylog', 'cli')}\n")
        sys.exit(2)
    root(prog_name="tinylog")
