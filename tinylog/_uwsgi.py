"""What is peculiar to uWSGI: threads that never run, and forks that Python is not told of."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["forks_unnoticed", "threads_hint"]

_OFF = {"", "0", "false", "no", "off"}


def _options() -> dict[str, Any] | None:
    """The server's options; None when this is not uWSGI. Its module exists only inside the server."""
    options = getattr(sys.modules.get("uwsgi"), "opt", None)
    if not isinstance(options, dict):
        return None
    return {_text(name): value for name, value in options.items()}


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _enabled(options: dict[str, Any], name: str) -> bool:
    return _text(options.get(name, "")).lower() not in _OFF


def forks_unnoticed() -> bool:
    """Whether workers are forked without Python's fork hooks, so that only the process's id can tell."""
    options = _options()
    return options is not None and not _enabled(options, "py-call-uwsgi-fork-hooks")


def threads_hint() -> str | None:
    """Say what to do when threads do not run between requests; None when they do."""
    if getattr(sys.modules.get("uwsgi"), "has_threads", True):
        return None
    return (
        "uWSGI runs no threads between requests, so that rows wait for the next request, or for the end, "
        "and what its master logs before it forks is lost without a flush(): set enable-threads = true"
    )
