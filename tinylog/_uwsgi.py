"""What is peculiar to uWSGI: threads that never run, and forks that Python is not told of."""

from __future__ import annotations

import os
import sys
from typing import Any

__all__ = ["forks_unnoticed", "is_heir", "is_loading", "threads_hint"]

_LOADED_IN = os.getpid()
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


def is_loading() -> bool:
    """Whether workers are yet to be forked off this process: with a thread of ours at that moment they may hang.

    (Python waits for another thread to take its lock over, which the child does not have.)
    """
    return forks_unnoticed() and os.getpid() == _LOADED_IN and _call("worker_id") == 0


def is_heir() -> bool:
    """Whether this worker delivers what was logged before it was forked: the first one, unless it is a second life."""
    if not forks_unnoticed():  # else the parent has threads, and delivers itself
        return False
    workers: Any = _call("workers") or ({},)
    return bool(_call("worker_id") == 1 and workers[0].get("respawn_count", 0) == 0)


def _call(name: str) -> Any:
    function = getattr(sys.modules.get("uwsgi"), name, None)
    return function() if callable(function) else None


def threads_hint() -> str | None:
    """Say what to do when threads do not run between requests; None when they do."""
    if getattr(sys.modules.get("uwsgi"), "has_threads", True):
        return None
    return (
        "uWSGI runs no threads between requests, so that rows wait for the next request, or for the end: "
        "set enable-threads = true"
    )
