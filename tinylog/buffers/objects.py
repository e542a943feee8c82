"""A buffer in an object store: one plain NDJSON object for each spilled batch, for any number of machines to send.

Invariants:

- An object is whole, and never changes: it is created if absent, under a name that says everything about it and
  sorts by time: `<datasource>/<yyyy-mm-dd>/<stamp>~<datasource>~ack~<rows>~<crc>~<unique>.ndjson`.
- Whoever has created the claim `<object>.<n>.claim` may send the object. It says when it expires; whoever finds it
  expired creates the claim `n + 1`, which only one can. Nothing is ever overwritten, so that no store needs more than
  "create if absent", and no takeover can race with another.
- An object is deleted only once the server has answered for all its rows, its claims after it. So whatever goes wrong
  with claims, or with the clocks by which they expire, costs duplicates, never rows. Rows have ids.
- Dead letters go to `_dead/`, damaged objects to `_corrupt/`, where nobody looks who reads a Data Source's folder.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import zlib
from collections import deque
from dataclasses import dataclass
from itertools import groupby

from tinylog._diagnostics import Diagnostics
from tinylog._place import Place
from tinylog.buffers._objectstore import ObjectStore
from tinylog.buffers._segment import Segment
from tinylog.errors import BufferUnavailableError, ConfigurationError
from tinylog.protocols import Batch, Clock, JournalFile, Route

__all__ = ["ObjectBuffer"]

_DEAD, _CORRUPT = "_dead", "_corrupt"
_LEASE = 120.0  # seconds: longer than a batch takes that has to be halved many times


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An object that may be claimed, and the numbers of the claims on it."""

    key: str
    segment: Segment
    claims: tuple[int, ...] = ()

    def claim(self, number: int) -> str:
        return f"{self.key}.{number}.claim"


class _ObjectClaim:
    """A claimed object. See `tinylog.protocols.Claim`."""

    def __init__(self, buffer: ObjectBuffer, candidate: _Candidate, batch: Batch) -> None:
        self.batch = batch
        self._buffer: ObjectBuffer | None = buffer
        self._candidate = candidate

    def done(self) -> None:
        """Delete it."""
        if self._buffer is not None:
            self._buffer.finish(self._candidate)
            self._buffer = None

    def release(self) -> None:
        """Delete the claim."""
        if self._buffer is not None:
            self._buffer.release(self._candidate)
            self._buffer = None


class ObjectBuffer:
    """Keeps batches as objects, for any number of processes and machines. Its bounds are the bucket's lifecycle rules.

    Args:
        place: the URL. `?lease=` is how long a claim holds, in seconds (default 120); everything else in its query is
            obstore's configuration.
        clock: the time.
        diagnostics: told of what had to be set aside.

    Raises:
        ConfigurationError: `lease` is no number of seconds.
    """

    def __init__(self, place: Place, clock: Clock, diagnostics: Diagnostics) -> None:
        options = place.options
        lease = options.pop("lease", str(_LEASE))
        if not lease.replace(".", "", 1).isdecimal():
            raise ConfigurationError(f"spill: expected seconds in lease=, got {lease!r}")
        self._lease = float(lease)
        self._store = ObjectStore(place.with_options(options))
        self._clock = clock
        self._diagnostics = diagnostics
        self._damaged = 0
        self.reset()

    def close(self) -> None:
        """Nothing to let go of: the store keeps no session."""

    def reset(self) -> None:
        """Forget the parent's claims: it goes on with them."""
        self._store.reset()
        self._lock = threading.Lock()
        self._candidates: dict[Route, deque[_Candidate]] = {}
        self._expiry: dict[str, tuple[float, float]] = {}  # claim -> when it expires, and for how long it is known
        self._sent: set[str] = set()  # objects that could not be deleted
        self._owner = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"

    @property
    def damaged(self) -> int:
        """How many damaged objects this process has set aside."""
        return self._damaged

    def describe(self) -> str:
        """Name the bucket and the prefix."""
        return self._store.describe()

    def put(self, batch: Batch) -> int:
        """Create an object. Nothing is evicted."""
        self._write("", batch)
        return 0

    def bury(self, batch: Batch, reason: str) -> None:
        """Create an object in `_dead/`, and the reason beside it."""
        key = self._write(f"{_DEAD}/", batch)
        self._store.create(f"{key.removesuffix('.ndjson')}.txt", f"{reason}\n".encode())

    def journal(self, route: Route) -> JournalFile:
        """Refuse: objects cannot grow.

        Raises:
            BufferUnavailableError: always.
        """
        raise BufferUnavailableError(f"an object store keeps no journal of {route.datasource}")

    def claim(self, route: Route) -> _ObjectClaim | None:
        """Claim the oldest object that nobody is sending. One listing serves for all the objects that it names."""
        with self._lock:
            known = self._candidates.setdefault(route, deque())
            for fresh in (False, True):
                if fresh:
                    known.extend(self._look(route))
                while known:
                    claim = self._try_claim(known.popleft())
                    if claim is not None:
                        return claim
        return None

    def finish(self, candidate: _Candidate) -> None:
        """Delete an object that has been sent, then its claims. What remains is deleted at the next look."""
        with self._lock:
            self._sent.add(candidate.key)
            try:
                self._delete_sent(candidate)
            except BufferUnavailableError as error:
                self._diagnostics.warn("objects", f"{self.describe()}: what was sent cannot be deleted yet ({error})")

    def release(self, candidate: _Candidate) -> None:
        """Give an object back. A claim that cannot be deleted expires."""
        with self._lock:
            try:
                self._store.delete(*map(candidate.claim, candidate.claims))
            except BufferUnavailableError as error:
                self._diagnostics.warn("objects", f"{self.describe()}: a claim cannot be released ({error})")
                return
            again = _Candidate(candidate.key, candidate.segment)
            self._candidates.setdefault(candidate.segment.route, deque()).appendleft(again)

    def _write(self, folder: str, batch: Batch) -> str:
        segment = Segment.of(batch, self._clock.time())
        key = f"{folder}{_folder(segment)}/{segment.name}"
        metadata = {
            "datasource": segment.datasource,
            "delivery": segment.delivery,
            "rows": str(segment.rows),
            "crc32": segment.checksum,
        }
        self._store.create(key, bytes(batch.data), metadata)  # nobody else has that name: if it exists, it is ours
        return key

    def _look(self, route: Route) -> list[_Candidate]:
        """List what is there: each object is followed by its claims, for names sort that way."""
        found = []
        for key, names in groupby(self._store.names(route.datasource), _object_of):
            present, *claims = names
            if present != key:  # its process died, or failed, between deleting the two
                self._store.delete(present, *claims)
                continue
            segment = Segment.parse(key.rpartition("/")[2])
            if segment is not None and segment.is_for(route):
                numbers = tuple(int(claim.split(".")[-2]) for claim in claims)
                found.append(_Candidate(key, segment, numbers))
        seen = {candidate.claim(number) for candidate in found for number in candidate.claims}
        self._expiry = {claim: times for claim, times in self._expiry.items() if claim in seen}
        return found

    def _try_claim(self, candidate: _Candidate) -> _ObjectClaim | None:
        if candidate.key in self._sent:
            self._delete_sent(candidate)
            return None
        latest = max(candidate.claims, default=0)
        if latest and not self._expired(candidate.claim(latest)):
            return None
        mine = _Candidate(candidate.key, candidate.segment, (*candidate.claims, latest + 1))
        says = json.dumps({"owner": self._owner, "expires": self._clock.time() + self._lease})
        if not self._store.create(mine.claim(latest + 1), says.encode()):
            return None
        data = self._store.read(mine.key)
        if data is None:  # sent by another process since the listing
            self._store.delete(mine.claim(latest + 1))
            return None
        if f"{zlib.crc32(data):08x}" != mine.segment.checksum or data.count(b"\n") != mine.segment.rows:
            self._set_aside(mine, data)
            return None
        return _ObjectClaim(self, mine, Batch(mine.segment.route, data, mine.segment.rows))

    def _expired(self, claim: str) -> bool:
        """Whether a claim is over by its own word, or has been there for a lease's length while we looked.

        The first goes by two machines' clocks, the second by one. It bounds what a clock that is wrong can hold up.
        """
        now = self._clock.monotonic()
        if claim not in self._expiry:
            data = self._store.read(claim)
            self._expiry[claim] = (_expires(data), now)
        expires, since = self._expiry[claim]
        return self._clock.time() >= expires or now - since >= self._lease

    def _delete_sent(self, candidate: _Candidate) -> None:
        self._store.delete(candidate.key, *map(candidate.claim, candidate.claims))
        self._sent.discard(candidate.key)

    def _set_aside(self, candidate: _Candidate, data: bytes) -> None:
        self._damaged += 1
        place = f"{_CORRUPT}/{candidate.key}"
        self._diagnostics.warn("corrupt", f"a damaged object is in {self.describe()}: {place}")
        self._store.create(place, data)
        self._delete_sent(candidate)


def _folder(segment: Segment) -> str:
    stamp = segment.stamp
    return f"{segment.datasource}/{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}"


def _object_of(name: str) -> str:
    """Name the object that a claim is on, or the object itself."""
    return name.rsplit(".", 2)[0] if name.endswith(".claim") else name


def _expires(data: bytes | None) -> float:
    """Read a claim. One that is gone, or that nobody can read, holds nobody up for long."""
    try:
        return float(json.loads(data or b"{}")["expires"])
    except (ValueError, KeyError, TypeError):
        return 0.0
