"""The ``tinylog`` group. A command is one line here and a module with a click command of its name."""

from importlib import import_module

import click

from tinylog.errors import MissingExtraError, TinylogError

_COMMANDS = {
    "demo": "tinylog.cli._demo",
    "dev": "tinylog.cli._dev",
    "replay": "tinylog.cli._replay",
    "spill": "tinylog.cli._spill",
}


class _LazyGroup(click.Group):
    """Imports a command's module when the command is looked at, and words our errors."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Names of all commands."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name."""
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(import_module(_COMMANDS[cmd_name]), cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; an error of ours is one line and a status, not a traceback."""
        try:
            return super().invoke(ctx)
        except MissingExtraError as error:
            raise click.UsageError(str(error)) from None  # status 2
        except TinylogError as error:
            raise click.ClickException(str(error)) from None  # status 1


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def root() -> None:
    """Ship logs, spans and metrics to Tinybird, and try it all locally first."""
