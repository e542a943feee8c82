"""What becomes known of losses: warnings, events, and a row in the table itself. Called without any lock."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tinylog._diagnostics import Diagnostics
from tinylog._stats import HELD_BACK, Ledger
from tinylog.protocols import Clock, Route

__all__ = ["Event", "Reporter"]

_SUMMARY_INTERVAL = 60.0  # seconds between summary rows
_AT_THE_DOOR = frozenset(
    {"queue_full", "closed", "shutdown", "recursion", "error"}
)  # reasons that nobody else warns of
_NO_HOLE = HELD_BACK | {"closed"}  # reasons that are the application's own doing
_TOLD = ("quarantined", "dead_lettered", "spilled")


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened to rows.

    Attributes:
        kind: `dropped`, `quarantined`, `dead_lettered`, `spilled`; of spilled rows `replayed.delivered`,
            `replayed.quarantined`, `replayed.dead_lettered`, `replayed.evicted`, `replayed.damaged`.
        datasource: where they were to go.
        delivery: `ack` or `fire_and_forget`.
        rows: how many, since the last event of this kind.
        reason: why they were dropped; empty for other kinds.
    """

    kind: str
    datasource: str
    delivery: str
    rows: int
    reason: str = ""


class Reporter:
    """Compares the ledger of a route with what it was, and tells.

    Args:
        route: whose ledger.
        clock: the time.
        diagnostics: for warnings.
        on_event: told of each event; what it raises is a warning.
    """

    def __init__(
        self, route: Route, clock: Clock, diagnostics: Diagnostics, on_event: Callable[[Event], None] | None
    ) -> None:
        self._route = route
        self._clock = clock
        self._diagnostics = diagnostics
        self._on_event = on_event
        self._seen = Ledger()
        self._summarised: Counter[str] = Counter()
        self._sent_at_loss = 0
        self._quiet_until = 0.0
        self._telling = threading.Lock()

    def report(self, ledger: Ledger) -> None:
        """Tell what is new. When another thread is telling, that is left for the next time."""
        if self._telling.acquire(blocking=False):
            try:
                self._tell(ledger)
            finally:
                self._telling.release()
        self._diagnostics.emit()

    def _tell(self, ledger: Ledger) -> None:
        for event in self._events(ledger):
            if event.reason in _AT_THE_DOOR:
                name = event.datasource
                text = f"Data Source {name!r}: lost {event.rows} rows ({event.reason})"
                self._diagnostics.warn(f"{name} dropped {event.reason}", text)
            if self._on_event is not None:
                try:
                    self._on_event(event)
                except Exception as error:
                    self._diagnostics.warn("on_event", f"on_event raised {error!r}")
        self._seen = ledger

    def hole(self, ledger: Ledger, *, working: bool) -> Mapping[str, int] | None:
        """Find the losses that a summary row has to tell of, now that delivery works again.

        Args:
            ledger: as it is now.
            working: whether the server takes rows.

        Returns:
            Lost rows by reason since the last summary; None when there is nothing to tell, or it is too early.
        """
        lost = Counter({reason: rows for reason, rows in ledger.dropped.items() if reason not in _NO_HOLE})
        lost -= self._summarised
        sent = ledger.columns["delivered"] + ledger.columns["accepted"]
        now = self._clock.monotonic()
        if not lost or not working or now < self._quiet_until:
            self._sent_at_loss = sent
            return None
        if sent == self._sent_at_loss:  # nothing has arrived since
            return None
        self._summarised += lost
        self._quiet_until = now + _SUMMARY_INTERVAL
        return dict(lost)

    def _events(self, ledger: Ledger) -> Iterator[Event]:
        counts = [("dropped", reason, rows) for reason, rows in (ledger.dropped - self._seen.dropped).items()]
        counts += [(name, "", ledger.columns[name] - self._seen.columns[name]) for name in _TOLD]
        counts += [(f"replayed.{name}", "", rows) for name, rows in (ledger.replayed - self._seen.replayed).items()]
        for kind, reason, rows in counts:
            if rows > 0:
                yield Event(kind, self._route.datasource, self._route.delivery.value, rows, reason)
