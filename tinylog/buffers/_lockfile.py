"""Files that survive a crash, and locks that do not survive their process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["lock", "sync_directory", "write_synced"]

if sys.platform == "win32":
    import msvcrt

    def _acquire(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _acquire(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def lock(path: Path) -> int | None:
    """Lock a file for this process.

    Returns:
        A file descriptor; closing it releases the lock, and so does the death of the process. None when somebody else
        holds it, or has deleted the file meanwhile.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC if hasattr(os, "O_CLOEXEC") else os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        _acquire(handle)
        # It may have been sent and deleted by another process between the two calls.
        if os.path.samestat(os.fstat(handle), path.stat()):
            return handle
    except (BlockingIOError, PermissionError, FileNotFoundError):
        pass
    os.close(handle)
    return None


def write_synced(path: Path, data: bytes | bytearray) -> None:
    """Write a new file, readable for its owner only, and wait until it is on the disk."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:  # not by `os.fdopen`, which imports, and so fails at the very end of a process
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_directory(folder: Path) -> None:
    """Make a rename in it survive a power cut, where the platform can."""
    if sys.platform != "win32":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
