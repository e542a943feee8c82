"""What a child process must never free: connections and threads that are its parent's."""

from __future__ import annotations

import ctypes

__all__ = ["leak"]


def leak(thing: object) -> None:
    """Keep an object for ever.

    After a fork, to free a C library's handle would say goodbye on the parent's connections, or wait for threads that
    only the parent has; and Python frees whatever a module holds as it ends.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
