"""One journal file: rows are appended as they come; it becomes a spilled batch, or is deleted."""

from __future__ import annotations

import contextlib
import errno
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from tinylog.buffers._lockfile import lock, sync_directory
from tinylog.buffers._segment import Segment
from tinylog.errors import BufferUnavailableError

__all__ = ["AppendedFile", "as_unavailable"]


@contextlib.contextmanager
def as_unavailable() -> Iterator[None]:
    """Make the disk's errors ours."""
    try:
        yield
    except OSError as error:
        raise BufferUnavailableError(f"{type(error).__name__}: {error}") from error


class AppendedFile:
    """A locked file in the spill directory. See `tinylog.protocols.JournalFile`.

    It is locked before it has its name, so that no other process takes it for a dead one's.

    Args:
        folder: the directory.
        segment: its name.
        held: the descriptors that this process has to close in a forked child.
    """

    def __init__(self, folder: Path, segment: Segment, held: set[int]) -> None:
        self._folder = folder
        self._segment = segment
        self._held = held
        self._path = folder / segment.name
        self._rows = self._size = self._checksum = 0
        temporary = folder / f".{segment.name}.tmp"
        with as_unavailable():
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            handle = lock(temporary)
            if handle is None:
                raise BufferUnavailableError(f"{temporary} is somebody else's")
            self._handle = handle
            held.add(handle)
            temporary.rename(self._path)

    def append(self, line: bytes) -> None:
        """Write a row, whole or not at all."""
        with as_unavailable():
            try:
                _write_whole(self._handle, line)
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._handle, self._size)
                    os.lseek(self._handle, self._size, os.SEEK_SET)
                raise
            self._rows += 1
            self._size += len(line)
            self._checksum = zlib.crc32(line, self._checksum)

    def sync(self) -> None:
        """Wait until what was written survives a power cut."""
        with as_unavailable():
            os.fsync(self._handle)
            sync_directory(self._folder)

    def content(self) -> bytes:
        """Read what was written."""
        with as_unavailable():
            return self._path.read_bytes()

    def promote(self) -> None:
        """Give it the name of a spilled batch, and let others claim it."""
        with as_unavailable():
            os.fsync(self._handle)
            self._path.rename(self._folder / self._segment.sealed(self._rows, self._checksum).name)
            sync_directory(self._folder)
        self._close()

    def discard(self) -> None:
        """Delete it."""
        with contextlib.suppress(OSError):  # what cannot be deleted is sent again one day: its rows have ids
            self._path.unlink()
        self._close()

    def _close(self) -> None:
        if self._handle in self._held:
            self._held.discard(self._handle)
            os.close(self._handle)


def _write_whole(handle: int, line: bytes) -> None:
    if os.write(handle, line) != len(line):
        raise OSError(errno.ENOSPC, "the disk took only a part of a row")
