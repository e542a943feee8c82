"""A buffer in a directory: one plain NDJSON file for each spilled batch, for anyone to read and to send with curl.

Invariants:

- A file under its final name is complete: it is written under a temporary name, synced, then renamed.
- Its name says everything about it: time, Data Source, delivery, rows, CRC-32 of its bytes. Names sort by time.
- Whoever holds the lock (`flock`) on a file may send or delete it. The kernel releases the lock of a process that dies.
- A file is deleted only once the server has answered for all its rows, or to stay within the bounds, and that is
  counted.
- What does not match its checksum is moved to `corrupt/`, what the server will never take to `dead/`, beside a `.txt`
  with the
  server's words. Neither stands in the way of the others.
"""

from __future__ import annotations

import contextlib
import os
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from tinylog._diagnostics import Diagnostics
from tinylog.buffers._lockfile import lock, sync_directory, write_synced
from tinylog.errors import BufferUnavailableError
from tinylog.protocols import Batch, Clock, Delivery, Route
from tinylog.settings import SpillPolicy

__all__ = ["DirectoryBuffer", "Segment"]

_DEAD, _CORRUPT = "dead", "corrupt"
_STALE_TEMPORARY = 3600.0  # seconds; no write takes that long, so whoever began it is gone


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """What the name of a file says.

    Attributes:
        stamp: when it was spilled: UTC, `20261124T054512.123456Z`.
        datasource: where the rows go.
        delivery: `ack`.
        rows: how many there are.
        checksum: CRC-32 of the file, 8 hex digits.
        unique: tells files of the same moment apart.
    """

    stamp: str
    datasource: str
    delivery: str
    rows: int
    checksum: str
    unique: str

    @classmethod
    def of(cls, batch: Batch, now: float) -> Segment:
        """Name a batch."""
        stamp = datetime.fromtimestamp(now, timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
        route = batch.route
        unique = f"{os.getpid()}-{os.urandom(4).hex()}"
        return cls(stamp, route.datasource, route.delivery.value, batch.rows, f"{zlib.crc32(batch.data):08x}", unique)

    @classmethod
    def parse(cls, name: str) -> Segment | None:
        """Read a file's name; None when it is not one of ours."""
        parts = name.removesuffix(".ndjson").split("~")
        if name.startswith(".") or not name.endswith(".ndjson") or len(parts) != 6 or not parts[3].isdecimal():  # noqa: PLR2004
            return None
        return cls(parts[0], parts[1], parts[2], int(parts[3]), parts[4], parts[5])

    @property
    def name(self) -> str:
        """The file's name."""
        fields = (self.stamp, self.datasource, self.delivery, str(self.rows), self.checksum, self.unique)
        return "~".join(fields) + ".ndjson"

    def written_at(self) -> float:
        """Seconds since the epoch."""
        return datetime.strptime(self.stamp, "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=timezone.utc).timestamp()


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

    def describe(self) -> str:
        """Name the directory."""
        return str(self._folder)

    def reset(self) -> None:
        """Close the child's copies of locked files, so that their locks end with the parent's."""
        self._lock = threading.Lock()
        for handle in self._held:
            with contextlib.suppress(OSError):
                os.close(handle)
        self._held = set()

    def put(self, batch: Batch) -> int:
        """Write a batch; see `tinylog.protocols.Buffer`."""
        with self._lock, _as_unavailable():
            evicted = self._make_room(self._folder, len(batch.data))
            self._write(self._folder, batch)
            return evicted

    def bury(self, batch: Batch, reason: str) -> None:
        """Write rows to `dead/`, and the reason beside them."""
        with self._lock, _as_unavailable():
            folder = self._folder / _DEAD
            self._make_room(folder, len(batch.data))
            path = self._write(folder, batch)
            write_synced(path.with_suffix(".txt"), f"{reason}\n".encode())

    def claim(self, route: Route) -> _FileClaim | None:
        """Lock the oldest file of a route that no other process is sending."""
        with self._lock, _as_unavailable():
            for segment in self.segments():
                if (segment.datasource, segment.delivery) != (route.datasource, route.delivery.value):
                    continue
                claim = self._try_claim(segment)
                if claim is not None:
                    return claim
        return None

    def segments(self) -> list[Segment]:
        """List what waits to be sent again, oldest first."""
        return sorted(_segments(self._folder))

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
        data = path.read_bytes()
        if f"{zlib.crc32(data):08x}" != segment.checksum or data.count(b"\n") != segment.rows:
            self._set_aside(path, handle)
            return None
        self._held.add(handle)
        batch = Batch(Route(segment.datasource, Delivery(segment.delivery)), data, segment.rows)
        return _FileClaim(path, handle, batch, self._held)

    def _set_aside(self, path: Path, handle: int) -> None:
        try:
            (self._folder / _CORRUPT).mkdir(mode=0o700, exist_ok=True)
            path.rename(self._folder / _CORRUPT / path.name)
        finally:
            os.close(handle)
        self._diagnostics.warn("corrupt", f"a damaged spill file was moved to {self._folder / _CORRUPT}: {path.name}")

    def _make_room(self, folder: Path, size: int) -> int:
        """Evict the oldest files until a new one fits. What another process is sending stays.

        Returns:
            How many rows were evicted.
        """
        if not folder.is_dir():
            return 0
        self._sweep(folder)
        files = [(segment, (folder / segment.name).stat().st_size) for segment in sorted(_segments(folder))]
        total, count, rows = sum(size for _, size in files), len(files), 0
        oldest = self._clock.time() - self._policy.max_age
        for segment, length in files:
            fits = total + size <= self._policy.max_bytes and count < self._policy.max_files
            if fits and segment.written_at() >= oldest:
                break
            if _delete(folder / segment.name):
                total, count, rows = total - length, count - 1, rows + segment.rows
        if rows:
            self._diagnostics.warn("evicted", f"{rows} rows were evicted from {folder}, which is at its limit")
        return rows

    def _sweep(self, folder: Path) -> None:
        """Delete what a process that died while writing has left. Its `put` never returned, and so promised nothing."""
        for path in folder.glob(".*.tmp"):
            if self._clock.time() - path.stat().st_mtime > _STALE_TEMPORARY:
                path.unlink(missing_ok=True)


def _segments(folder: Path) -> Iterator[Segment]:
    with contextlib.suppress(FileNotFoundError):
        for path in folder.iterdir():
            segment = Segment.parse(path.name)
            if segment is not None:
                yield segment


def _delete(path: Path) -> bool:
    handle = lock(path)
    if handle is None:
        return False
    try:
        path.unlink()
        path.with_suffix(".txt").unlink(missing_ok=True)
    finally:
        os.close(handle)
    return True


@contextlib.contextmanager
def _as_unavailable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BufferUnavailableError(f"{type(error).__name__}: {error}") from error
