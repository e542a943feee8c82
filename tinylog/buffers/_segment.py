"""The names of files in a spill directory, which say everything about them. Pure."""

from __future__ import annotations

import os
import re
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from tinylog.protocols import Batch, Delivery, Route

__all__ = ["Segment"]

_SPILLED, _JOURNAL = "ndjson", "journal"
_STAMPED = re.compile(r"\d{8}T\d{6}\.\d{6}Z", re.ASCII)
_PARTS = {_SPILLED: 6, _JOURNAL: 4}


@dataclass(frozen=True, slots=True)
class Segment:
    """What the name of a file says. Names sort by time.

    `<stamp>~<datasource>~<delivery>~<rows>~<checksum>~<unique>.ndjson` is a spilled batch,
    `<stamp>~<datasource>~<delivery>~<unique>.journal` the journal of a process that lives, or died.

    Attributes:
        stamp: when it was begun: UTC, `20261124T054512.123456Z`.
        datasource: where the rows go.
        delivery: `ack`.
        unique: tells files of the same moment apart.
        rows: how many there are; -1 for a journal, which nobody has counted.
        checksum: CRC-32 of the file, 8 hex digits; empty for a journal.
    """

    stamp: str
    datasource: str
    delivery: str
    unique: str
    rows: int = -1
    checksum: str = ""

    @classmethod
    def begin(cls, route: Route, now: float) -> Segment:
        """Name a journal."""
        # Not by `strftime`, which imports, and so fails at the very end of a process.
        moment = datetime.fromtimestamp(now, timezone.utc).isoformat(timespec="microseconds")
        stamp = moment[:26].replace("-", "").replace(":", "") + "Z"
        return cls(stamp, route.datasource, route.delivery.value, f"{os.getpid()}-{os.urandom(4).hex()}")

    @classmethod
    def of(cls, batch: Batch, now: float) -> Segment:
        """Name a spilled batch."""
        return cls.begin(batch.route, now).sealed(batch.rows, zlib.crc32(batch.data))

    def sealed(self, rows: int, checksum: int) -> Segment:
        """Name the spilled batch that a journal becomes."""
        return Segment(self.stamp, self.datasource, self.delivery, self.unique, rows, f"{checksum:08x}")

    @classmethod
    def parse(cls, name: str) -> Segment | None:
        """Read a file's name; None when it is not one of ours."""
        stem, _, ending = name.rpartition(".")
        parts = stem.split("~")
        if len(parts) != _PARTS.get(ending) or name.startswith(".") or not _STAMPED.fullmatch(parts[0]):
            return None
        stamp, datasource, delivery, *rest = parts
        if ending == _JOURNAL:
            return cls(stamp, datasource, delivery, rest[0])
        rows, checksum, unique = rest
        return cls(stamp, datasource, delivery, unique, int(rows), checksum) if rows.isdecimal() else None

    @property
    def is_journal(self) -> bool:
        """Whether it is a journal."""
        return not self.checksum

    @property
    def name(self) -> str:
        """The file's name."""
        head = f"{self.stamp}~{self.datasource}~{self.delivery}"
        if self.is_journal:
            return f"{head}~{self.unique}.{_JOURNAL}"
        return f"{head}~{self.rows}~{self.checksum}~{self.unique}.{_SPILLED}"

    @property
    def route(self) -> Route:
        """Where its rows go."""
        return Route(self.datasource, Delivery(self.delivery))

    def is_for(self, route: Route) -> bool:
        """Tell whether its rows go that way."""
        return (self.datasource, self.delivery) == (route.datasource, route.delivery.value)

    def written_at(self) -> float:
        """Seconds since the epoch."""
        date, clock = self.stamp[:8], self.stamp[9:15]
        day = datetime(int(date[:4]), int(date[4:6]), int(date[6:]), tzinfo=timezone.utc)
        time = timedelta(hours=int(clock[:2]), minutes=int(clock[2:4]), seconds=int(clock[4:]))
        return (day + time).timestamp() + int(self.stamp[16:22]) / 1e6
