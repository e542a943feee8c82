"""The ledger: every record that came in is in exactly one column. Pure; whoever owns a ledger guards it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

__all__ = ["HELD_BACK", "Ledger", "Replayed", "Stats", "Tally", "merged", "total"]

HELD_BACK = frozenset({"sampled_out", "folded", "rate_limited"})
"""Reasons of rows that were dropped because the application wants it so."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How the rows of one batch ended. Dropped rows have a reason."""

    delivered: int = 0
    accepted: int = 0
    quarantined: int = 0
    spilled: int = 0
    dead_lettered: int = 0
    dropped: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of spilled rows, this process's or others', that this process sent again.

    Attributes:
        delivered: written, as the server acknowledged.
        quarantined: accepted by the server, but put into the quarantine table.
        dead_lettered: set aside, since the server will never take them.
        evicted: deleted to keep the buffer within its bounds.
        damaged: files and torn lines that were set aside, since they could not be read.
    """

    delivered: int = 0
    quarantined: int = 0
    dead_lettered: int = 0
    evicted: int = 0
    damaged: int = 0


@dataclass(frozen=True, slots=True)
class Stats:
    """A snapshot of the ledger, taken in one moment for each route.

    `submitted == delivered + accepted + quarantined + spilled + dead_lettered + sum(dropped.values()) + queued +
    in_flight`

    Attributes:
        submitted: records that came in.
        delivered: rows that the database acknowledged (HTTP 200).
        accepted: rows that the server took without acknowledging the write (HTTP 202).
        quarantined: rows in `<datasource>_quarantine`, since they do not fit the schema.
        spilled: rows in the durable buffer. They stay in this column when they are replayed; see `replayed`.
        dead_lettered: rows set aside with the server's message, since it will never take them.
        dropped: lost rows, by reason.
        queued: rows waiting in memory.
        in_flight: rows being sent.
        replayed: what became of rows that came back from the buffer.
        requests: requests made.
        bytes_sent: bytes of their bodies, as sent.
    """

    submitted: int = 0
    delivered: int = 0
    accepted: int = 0
    quarantined: int = 0
    spilled: int = 0
    dead_lettered: int = 0
    dropped: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    queued: int = 0
    in_flight: int = 0
    replayed: Replayed = field(default_factory=Replayed)
    requests: int = 0
    bytes_sent: int = 0

    @property
    def accounted(self) -> int:
        """The right-hand side of the ledger; always `submitted`."""
        settled = self.delivered + self.accepted + self.quarantined + self.spilled + self.dead_lettered
        return settled + sum(self.dropped.values()) + self.queued + self.in_flight

    @property
    def lost(self) -> int:
        """Rows that are neither in Tinybird nor on their way nor kept, although nobody wanted it so."""
        dropped = sum(rows for reason, rows in self.dropped.items() if reason not in HELD_BACK)
        return dropped + self.dead_lettered


_COLUMNS = (
    "submitted",
    "delivered",
    "accepted",
    "quarantined",
    "spilled",
    "dead_lettered",
    "queued",
    "in_flight",
)
_RESULTS = ("delivered", "accepted", "quarantined", "spilled", "dead_lettered")
_TRAFFIC = ("requests", "bytes_sent")
_REPLAYED = ("delivered", "quarantined", "dead_lettered", "evicted", "damaged")


@dataclass(slots=True)
class Ledger:
    """The running counts of one route."""

    columns: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    replayed: Counter[str] = field(default_factory=Counter)

    def drop(self, reason: str, rows: int = 1) -> None:
        """Book lost rows."""
        self.dropped[reason] += rows

    def settle(self, tally: Tally) -> None:
        """Book the end of rows that were in flight."""
        for name in _RESULTS:
            self.columns[name] += getattr(tally, name)
        if tally.dropped:
            self.drop(tally.reason, tally.dropped)

    def settle_replayed(self, tally: Tally) -> None:
        """Book the end of rows that came from the buffer. A 202 counts as delivered: no more will be heard."""
        self.replayed["delivered"] += tally.delivered + tally.accepted
        self.replayed["quarantined"] += tally.quarantined
        self.replayed["dead_lettered"] += tally.dead_lettered

    def copy(self) -> Ledger:
        """Take a snapshot."""
        return Ledger(self.columns.copy(), self.dropped.copy(), self.replayed.copy())


def merged(ledgers: Iterable[Ledger]) -> Ledger:
    """Add snapshots up."""
    whole = Ledger()
    for ledger in ledgers:
        whole.columns.update(ledger.columns)
        whole.dropped.update(ledger.dropped)
        whole.replayed.update(ledger.replayed)
    return whole


def total(ledgers: Iterable[Ledger]) -> Stats:
    """Add snapshots up, for users to read."""
    whole = merged(ledgers)
    return Stats(
        **{name: whole.columns[name] for name in _COLUMNS + _TRAFFIC},
        dropped=MappingProxyType(dict(whole.dropped)),
        replayed=Replayed(**{name: whole.replayed[name] for name in _REPLAYED}),
    )
