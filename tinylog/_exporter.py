"""One batch on its way: send it, look the answer up in the outcome table, and do what the table says.

An exporter never keeps rows. It leaves each with its owner: settled, spilled, split, or given back because the time
was over. The owner is the queue, or a claim on the buffer when spilled rows are sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from tinylog._backoff import headroom, server_delay
from tinylog._circuit import Circuit
from tinylog._clock import Deadline
from tinylog._compress import compressor
from tinylog._diagnostics import Diagnostics
from tinylog._halving import Halving
from tinylog._outcome import Action, Verdict, action, explain, quarantined_rows, verdict
from tinylog._pace import Pace
from tinylog._report import Event
from tinylog._stats import Tally
from tinylog.errors import BufferUnavailableError
from tinylog.protocols import Batch, Buffer, Clock, Delivery, Failure, Request, Response, Route, Transport
from tinylog.settings import HttpOptions, RetryPolicy

__all__ = ["Exporter", "Owner", "Shared"]

_MIN_TIMEOUT = 0.05  # seconds; in less no answer can arrive

_HINTS = {
    401: "the token is not valid: check `token` or TINYBIRD_TOKEN",
    403: "the token lacks the scope DATASOURCE:APPEND (or DATASOURCE:CREATE) for it: check `token` or TINYBIRD_TOKEN",
    404: "unknown Data Source, or a host of another region: check `datasource` and `host` or TINYBIRD_HOST",
}
_OTHER_HINT = "this is not the answer of an Events API: check `host` or TINYBIRD_HOST, and proxies on the way"


class Owner(Protocol):
    """Whoever answers for the rows of a batch."""

    def settle(self, batch: Batch, tally: Tally) -> None:
        """Book how a batch ended."""

    def split(self, batch: Batch) -> list[Batch]:
        """Replace a batch by two smaller ones."""

    def give_back(self, batches: Iterable[Batch]) -> None:
        """Take batches back for another try."""

    def spill(self, batch: Batch, buffer: Buffer) -> None:
        """Keep an acknowledged batch for later, and book it.

        Raises:
            BufferUnavailableError: it cannot be kept; it is still the exporter's.
        """

    def pressed(self) -> bool:
        """Tell whether rows are piling up, so that there is no time to wait."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What the exporters of all routes share."""

    transport: Transport
    buffer: Buffer | None
    http: HttpOptions
    retry: RetryPolicy
    clock: Clock
    rand: Callable[[], float]
    diagnostics: Diagnostics
    on_event: Callable[[Event], None] | None = None


class Exporter:
    """Delivers the batches of one route. For one thread at a time.

    Args:
        route: where to.
        shared: what it shares with other routes.
        pace: how far apart requests to the Data Source are kept; told of every request and answer.
        on_request: told the size of each request's body, in bytes.
    """

    def __init__(self, route: Route, shared: Shared, pace: Pace, on_request: Callable[[int], None]) -> None:
        self._route = route
        self._shared = shared
        self._pace = pace
        self._on_request = on_request
        self._compress = compressor(shared.http.compression)
        self.circuit = Circuit(shared.retry, shared.rand)

    def export(self, batch: Batch, owner: Owner, deadline: Deadline) -> bool:
        """Deliver a batch as far as the deadline allows.

        Returns:
            False when rows had to be given back.
        """
        todo = [batch]
        halving = Halving()
        try:
            while todo:
                halves = self._deliver(todo[-1], owner, deadline, halving)
                todo.pop()
                todo += reversed(halves)
        except _TimeIsOver:
            pass
        except BufferUnavailableError as error:
            self._warn("buffer", f"the buffer takes no rows ({error}); acknowledged rows stay in memory meanwhile")
        except BaseException:  # Ctrl-C amidst a flush
            owner.give_back(reversed(todo))
            raise
        owner.give_back(reversed(todo))
        return not todo

    def _deliver(self, batch: Batch, owner: Owner, deadline: Deadline, halving: Halving) -> list[Batch]:
        """Bring a batch to its end, or give the halves to go on with."""
        resent = False
        while not self.circuit.blocks(self._shared.clock.monotonic()):
            response = self._send(batch, deadline)
            self._note_pace(response)
            outcome = verdict(response)
            todo = action(outcome, self._route.delivery)
            if response.failure is not None and not deadline.remaining():
                raise _TimeIsOver  # cut short by the deadline, so that its failure proves nothing
            if todo is Action.RETRY:
                self._back_off(response, owner, deadline)
            elif todo is Action.RESEND and not resent:
                resent = True
            else:
                return self._conclude(batch, response, owner, halving)
        self._set_aside(batch, owner)
        return []

    def _send(self, batch: Batch, deadline: Deadline) -> Response:
        if deadline.over():
            raise _TimeIsOver
        http = self._shared.http
        body = self._compress(batch.data)
        timeout = max(_MIN_TIMEOUT, min(http.timeout, deadline.remaining()))
        self._on_request(len(body))
        self._pace.sent(self._shared.clock.monotonic())
        try:
            return self._shared.transport.send(Request(self._route, body, http.compression, timeout))
        except Exception as error:  # somebody's own transport
            return Response(
                failure=Failure.NO_ANSWER,
                detail=f"{type(self._shared.transport).__qualname__} raised {error!r}",
            )

    def _note_pace(self, response: Response) -> None:
        now = self._shared.clock.monotonic()
        if response.status == HTTPStatus.TOO_MANY_REQUESTS:
            self._pace.refused(now)
        elif response.status is not None:
            self._pace.accepted(now, headroom(response.headers))

    def _back_off(self, response: Response, owner: Owner, deadline: Deadline) -> None:
        """Wait for the next attempt, or open the circuit when there is none, or no room to wait in."""
        clock = self._shared.clock
        wait = self.circuit.failed(clock.monotonic(), server_delay(response.headers, clock.time()))
        if owner.pressed():
            self.circuit.trip()
        if self.circuit.open:
            self._warn("unavailable", f"cannot be delivered to at present ({explain(response)}); {self._fate()}")
        elif deadline.wait(wait):
            raise _TimeIsOver

    def _conclude(self, batch: Batch, response: Response, owner: Owner, halving: Halving) -> list[Batch]:
        outcome = verdict(response)
        todo = action(outcome, self._route.delivery)
        if todo is Action.HOLD:
            self._hold(response)
            self._set_aside(batch, owner)
            return []
        self.circuit.succeeded()
        if todo is Action.SPLIT and batch.rows > 1 and halving.goes_on(outcome):
            return owner.split(batch)
        if todo in (Action.DELIVERED, Action.ACCEPTED):
            halving.delivered()
            self._settle_taken(batch, todo, response, owner)
        elif self._route.delivery is Delivery.ACK:
            self._bury(batch, outcome, response, owner)
        else:
            self._drop(batch, outcome.value, owner, explain(response))
        return []

    def _settle_taken(self, batch: Batch, todo: Action, response: Response, owner: Owner) -> None:
        quarantined = quarantined_rows(response, batch.rows)
        taken = batch.rows - quarantined
        written = taken if todo is Action.DELIVERED else 0
        owner.settle(batch, Tally(delivered=written, accepted=taken - written, quarantined=quarantined))
        if quarantined:
            name = self._route.datasource
            self._warn(
                "quarantined",
                f"put {quarantined} of {batch.rows} rows into {name}_quarantine, since they do not fit its schema",
            )

    def _bury(self, batch: Batch, outcome: Verdict, response: Response, owner: Owner) -> None:
        """Keep rows that the server will never take where a person can look at them."""
        reason = explain(response)
        if outcome is Verdict.PARTIAL:
            reason = f"partial, some rows may be in the table: {reason}"
        buffer = self._shared.buffer
        if buffer is None:
            self._drop(batch, outcome.value, owner, reason)
            return
        buffer.bury(batch, reason)
        owner.settle(batch, Tally(dead_lettered=batch.rows))
        self._warn(
            outcome.value,
            f"refused {batch.rows} rows ({reason}); they are dead letters in {buffer.describe()}",
        )

    def _set_aside(self, batch: Batch, owner: Owner) -> None:
        """While the circuit is open: into the buffer with what is acknowledged, the rest is lost."""
        if self._route.delivery is not Delivery.ACK:
            self._drop(batch, Verdict.MISCONFIGURED.value, owner, "see the earlier warning")
        elif self._shared.buffer is None:
            self._drop(batch, Verdict.UNAVAILABLE.value, owner, "spill is off")
        else:
            owner.spill(batch, self._shared.buffer)

    def _drop(self, batch: Batch, reason: str, owner: Owner, why: str) -> None:
        owner.settle(batch, Tally(dropped=batch.rows, reason=reason))
        self._warn(f"dropped {reason}", f"lost {batch.rows} rows ({why})")

    def _hold(self, response: Response) -> None:
        self.circuit.hold(self._shared.clock.monotonic())
        hint = _HINTS.get(response.status or 0, _OTHER_HINT)
        self._warn("misconfigured", f"refuses rows ({explain(response)}): {hint}; {self._fate()}")

    def _fate(self) -> str:
        if self._route.delivery is not Delivery.ACK:
            return "its fire-and-forget rows are lost meanwhile, and counted"
        buffer = self._shared.buffer
        if buffer is None:
            return "its rows are lost meanwhile, and counted, since spill is off"
        return f"its acknowledged rows are kept in {buffer.describe()} and sent once it works"

    def _warn(self, reason: str, message: str) -> None:
        datasource = self._route.datasource
        self._shared.diagnostics.warn(f"{datasource} {reason}", f"Data Source {datasource!r}: {message}")


class _TimeIsOver(Exception):  # noqa: N818 - a signal, not an error
    """The deadline came before the end of a batch."""
