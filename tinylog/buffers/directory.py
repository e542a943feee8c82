"""A buffer in a directory: one plain NDJSON file for each spilled batch, for anyone to read and to send with curl.

Invariants:

- A file under its final name is complete: it is written under a temporary name, synced, then renamed.
- Its name says everything about it (`_segment`). Names sort by time.
- A journal grows by whole rows. Its process holds its lock; once that has died, others send what is in it.
- Whoever holds the lock (`flock`) on a file may send or delete it. The kernel releases the lock of a process that dies.
- A file is deleted only once the server has answered for all its rows, or to stay within the bounds, and that is
  counted.
- What does not match its checksum is moved to `corrupt/`, what the server will never take to `dead/`, beside a `.txt`
  with the server's words. Neither stands in the way of the others.
"""

from __future__ import annotations

import contextlib
import os
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tinylog._diagnostics import Diagnostics
from tinylog.buffers._journalfile import AppendedFile, as_unavailable
from tinylog.buffers._lockfile import lock, sync_directory, write_synced
from tinylog.buffers._segment import Segment
from tinylog.protocols import Batch, Clock, Delivery, Route
from tinylog.settings import SpillPolicy

__all__ = ["DirectoryBuffer", "Entry"]

_DEAD, _CORRUPT = "dead", "corrupt"
_STALE_TEMPORARY = 3600.0  # seconds; no write takes that long, so whoever began it is gone


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the directory, for people.

    Attributes:
        stamp: when it was begun, UTC.
        datasource: where its rows were to go.
        state: `spilled`, `journal` (of a living process), `orphan` (the journal of a dead one), or `dead` (letters).
        rows: how many.
        size: bytes.
        reason: the server's words, for dead letters.
    """

    stamp: str
    datasource: str
    state: str
    rows: int
    size: int
    reason: str = ""


class _FileClaim:
    """A locked file. See `tinylog.protocols.Claim`."""

    def __init__(self, path: Path, handle: int, batch: Batch, held: set[int]) -> None:
        self.batch = batch
        self._path = path
        self._handle = handle
        self._held = held

    def done(self) -> None:
        """Delete it."""
        with contextlib.suppress(OSError):  # what cannot be deleted is sent again one day: its rows have ids
            self._path.unlink()
        self.release()

    def release(self) -> None:
        """Unlock it."""
        if self._handle in self._held:
            self._held.discard(self._handle)
            os.close(self._handle)


class DirectoryBuffer:
    """Keeps batches as files in a directory, shared by any number of processes. Made when first needed, mode 0700.

    Args:
        folder: the directory.
        policy: its bounds.
        clock: the time.
        diagnostics: told of what had to be set aside or evicted.
    """

    def __init__(self, folder: Path, policy: SpillPolicy, clock: Clock, diagnostics: Diagnostics) -> None:
        self._folder = folder
        self._policy = policy
        self._clock = clock
        self._diagnostics = diagnostics
        self._held: set[int] = set()
        self._lock = threading.Lock()
        self._damaged = 0

    def describe(self) -> str:
        """Name the directory."""
        return str(self._folder)

    def reset(self) -> None:
        """Close the child's copies of locked files, so that their locks end with the parent's."""
        self._lock = threading.Lock()
        for handle in self._held:
            with contextlib.suppress(OSError):
                os.close(handle)
        self._held.clear()  # the very set that claims and journals look into: theirs to close no more

    def close(self) -> None:
        """Nothing to let go of: claims end with whoever made them."""

    def put(self, batch: Batch) -> int:
        """Write a batch; see `tinylog.protocols.Buffer`."""
        with self._lock, as_unavailable():
            evicted = self._make_room(self._folder, len(batch.data))
            self._write(self._folder, batch)
            return evicted

    def bury(self, batch: Batch, reason: str) -> None:
        """Write rows to `dead/`, and the reason beside them."""
        with self._lock, as_unavailable():
            folder = self._folder / _DEAD
            self._make_room(folder, len(batch.data))
            path = self._write(folder, batch)
            write_synced(path.with_suffix(".txt"), f"{reason}\n".encode())

    def journal(self, route: Route) -> AppendedFile:
        """Begin a journal file."""
        with as_unavailable():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return AppendedFile(self._folder, Segment.begin(route, self._clock.time()), self._held)

    def claim(self, route: Route) -> _FileClaim | None:
        """Lock the oldest file of a route that no other process is sending, or writing as its journal."""
        with self._lock, as_unavailable():
            for segment in _segments(self._folder):
                claim = self._try_claim(segment) if segment.is_for(route) else None
                if claim is not None:
                    return claim
        return None

    @property
    def damaged(self) -> int:
        """How many damaged files and torn lines this process has set aside."""
        return self._damaged

    def entries(self) -> list[Entry]:
        """List everything that is kept, dead letters too, oldest first."""
        folders = (self._folder, self._folder / _DEAD)
        return [_entry(folder, segment) for folder in folders for segment in _segments(folder)]

    def _write(self, folder: Path, batch: Batch) -> Path:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / Segment.of(batch, self._clock.time()).name
        temporary = path.with_name(f".{path.name}.tmp")
        try:
            write_synced(temporary, batch.data)
            temporary.rename(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(folder)
        return path

    def _try_claim(self, segment: Segment) -> _FileClaim | None:
        path = self._folder / segment.name
        handle = lock(path)
        if handle is None:
            return None
        try:
            data = self._read_journal(path, handle) if segment.is_journal else self._read_spilled(path, segment)
        except OSError:
            os.close(handle)
            raise
        if not data:
            os.close(handle)
            return None
        self._held.add(handle)
        batch = Batch(Route(segment.datasource, Delivery(segment.delivery)), data, data.count(b"\n"))
        return _FileClaim(path, handle, batch, self._held)

    def _read_spilled(self, path: Path, segment: Segment) -> bytes:
        """Read a spilled batch; nothing when it is not what its name says, and is set aside."""
        data = path.read_bytes()
        if f"{zlib.crc32(data):08x}" == segment.checksum and data.count(b"\n") == segment.rows:
            return data
        path.rename(self._set_aside(path.name))
        return b""

    def _read_journal(self, path: Path, handle: int) -> bytes:
        """Read a dead process's journal. The row in whose middle it died was never promised: it is set aside."""
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            self._set_aside(path.name).write_bytes(data[whole:])
            os.ftruncate(handle, whole)
        if not whole:
            path.unlink()
        return data[:whole]

    def _set_aside(self, name: str) -> Path:
        """Count damage, and give the place for it."""
        folder = self._folder / _CORRUPT
        folder.mkdir(mode=0o700, exist_ok=True)
        self._damaged += 1
        self._diagnostics.warn("corrupt", f"a damaged spill file, or the torn end of one, is in {folder}: {name}")
        return folder / name

    def _make_room(self, folder: Path, size: int) -> int:
        """Evict the oldest files until a new one fits. What another process is sending stays.

        Returns:
            How many rows were evicted.
        """
        if not folder.is_dir():
            return 0
        self._sweep(folder)
        files = [(segment, _size(folder / segment.name)) for segment in _segments(folder)]
        total, count, rows = sum(size for _, size in files), len(files), 0
        oldest = self._clock.time() - self._policy.max_age
        for segment, length in files:
            fits = total + size <= self._policy.max_bytes and count < self._policy.max_files
            if fits and segment.written_at() >= oldest:
                break
            deleted = _delete(folder / segment.name)
            if deleted is not None:
                total, count, rows = total - length, count - 1, rows + deleted
        if rows:
            self._diagnostics.warn("evicted", f"{rows} rows were evicted from {folder}, which is at its limit")
        return rows

    def _sweep(self, folder: Path) -> None:
        """Delete what a process that died while writing has left. Its `put` never returned, and so promised nothing."""
        for path in folder.glob(".*.tmp"):
            with contextlib.suppress(FileNotFoundError):
                if self._clock.time() - path.stat().st_mtime > _STALE_TEMPORARY:
                    path.unlink()


def _segments(folder: Path) -> Iterator[Segment]:
    """Find what is ours, oldest first. Names are read one by one: there may be thousands, and the first often does."""
    with contextlib.suppress(FileNotFoundError):
        for name in sorted(os.listdir(folder)):  # noqa: PTH208 - names are all that is needed
            segment = Segment.parse(name)
            if segment is not None:
                yield segment


def _entry(folder: Path, segment: Segment) -> Entry:
    path = folder / segment.name
    state, reason = "spilled", ""
    if folder.name == _DEAD:
        state, reason = "dead", path.with_suffix(".txt").read_text("utf-8")
    elif segment.is_journal:
        handle = lock(path)
        state = "journal" if handle is None else "orphan"
        if handle is not None:
            os.close(handle)
    rows = path.read_bytes().count(b"\n")
    return Entry(segment.stamp, segment.datasource, state, rows, _size(path), reason)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # another process has just delivered it
        return 0


def _delete(path: Path) -> int | None:
    """Delete a file; give its rows, or None when another process has it."""
    handle = lock(path)
    if handle is None:
        return None
    try:
        rows = path.read_bytes().count(b"\n")
        path.unlink()
        path.with_suffix(".txt").unlink(missing_ok=True)
        return rows
    finally:
        os.close(handle)
