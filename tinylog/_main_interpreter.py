"""Refuses to be imported in a sub-interpreter, before anything that breaks there is.

A sub-interpreter must not have daemon threads: until Python 3.12 its end aborts the whole process when one is left,
from then on none can be started. Nor may it fork, and extension modules such as orjson refuse it, with messages that
tell nobody what to do.
"""

from __future__ import annotations

import _thread
import importlib
from typing import Any

from tinylog.errors import SubinterpreterError

__all__ = ["is_main_interpreter"]


def is_main_interpreter() -> bool:
    """Whether this is the interpreter that the process began with."""
    if hasattr(_thread, "_is_main_interpreter"):  # since Python 3.12
        return bool(_thread._is_main_interpreter())  # noqa: SLF001 - there is no public name
    try:
        interpreters: Any = importlib.import_module("_xxsubinterpreters")  # by name: it has no stubs, and is gone later
    except ImportError:  # a Python built without: then nothing makes any but embedding servers
        return True
    return bool(interpreters.get_current() == interpreters.get_main())


if not is_main_interpreter():
    raise SubinterpreterError
