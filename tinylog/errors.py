"""Everything tinylog raises, in one tree.

::

    TinylogError
    ├── ConfigurationError (also a ValueError)
    ├── MissingExtraError (also an ImportError)
    ├── SubinterpreterError (also an ImportError)
    └── BufferUnavailableError

None of them ever contains a token, and none is raised by a logging call: they come from constructors, the
command line and buffers.
"""

__all__ = ["BufferUnavailableError", "ConfigurationError", "MissingExtraError", "SubinterpreterError", "TinylogError"]


class TinylogError(Exception):
    """Base of every error that tinylog raises on purpose."""


class ConfigurationError(TinylogError, ValueError):
    """A setting is unknown, missing or has a value that cannot work; the message names it and the remedy."""


class MissingExtraError(TinylogError, ImportError):
    """A feature needs a package that is not installed; the message says which extra brings it."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an optional package: pip install 'tinylog-tinybird[{extra}]'")


class SubinterpreterError(TinylogError, ImportError):
    """This is a sub-interpreter, in which tinylog cannot deliver."""

    def __init__(self) -> None:
        super().__init__(
            "tinylog does not work in a sub-interpreter, which may neither fork nor have daemon threads: import it in "
            "the main interpreter and hand records over to it, or have the server use one interpreter for each "
            "process (mod_wsgi: WSGIApplicationGroup %{GLOBAL}; uWSGI: single-interpreter = true)"
        )


class BufferUnavailableError(TinylogError):
    """A durable buffer could not take a batch, for example because its disk is full."""
