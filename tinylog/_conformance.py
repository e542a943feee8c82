"""What every buffer must do: tests that the author of one can run on theirs. See `tinylog.testing`."""

from __future__ import annotations

import itertools
import threading
import time

from tinylog.protocols import Batch, Buffer, Claim, Delivery, Route

__all__ = ["BufferConformance"]

_numbers = itertools.count(1)


class BufferConformance:
    """Subclass it in a pytest module, and override `make_buffer`.

    ::

        class TestMyBuffer(BufferConformance):
            def make_buffer(self):
                return MyBuffer("somewhere")

    Attributes:
        patience: seconds until a claim must find what is there. Default 0: at the first call.
    """

    patience = 0.0

    def make_buffer(self) -> Buffer:
        """Make a buffer on one and the same store for the whole test, as another process would."""
        raise NotImplementedError

    def end(self, buffer: Buffer) -> None:
        """Do what the end of its process does. Default: `reset`, which drops its claims."""
        buffer.reset()

    # -- helpers -------------------------------------------------------------------------------------------------

    def route(self, name: str = "logs") -> Route:
        """Make a route that no other test uses."""
        return Route(f"{name}_{next(_numbers)}_{time.time_ns()}", Delivery.ACK)

    def batch(self, route: Route, *numbers: int) -> Batch:
        """Make a batch of one row for each number."""
        return Batch(route, b"".join(b'{"n":%d}\n' % number for number in numbers), len(numbers))

    def claimed(self, buffer: Buffer, route: Route, wait: float | None = None) -> Claim | None:
        """Claim, as patiently as the buffer needs."""
        end = time.monotonic() + (self.patience if wait is None else wait)
        while True:
            claim = buffer.claim(route)
            if claim is not None or time.monotonic() >= end:
                return claim
            threading.Event().wait(0.02)

    def data(self, buffer: Buffer, route: Route) -> bytes:
        """Claim, finish, and give the rows."""
        claim = self.claimed(buffer, route)
        assert claim is not None, "nothing could be claimed"
        claim.done()
        return bytes(claim.batch.data)

    def is_empty(self, buffer: Buffer, route: Route) -> bool:
        """Tell whether nothing can be claimed at once."""
        return self.claimed(buffer, route, wait=0.0) is None

    # -- what is asked -------------------------------------------------------------------------------------------

    def test_rows_come_back_as_they_were_oldest_first(self) -> None:
        """Rows are delivered in the order in which they were spilled, and unchanged."""
        buffer, route = self.make_buffer(), self.route()
        batches = [self.batch(route, 1, 2), self.batch(route, 3), self.batch(route, 4)]
        assert [buffer.put(batch) for batch in batches] == [0, 0, 0]
        assert [self.data(buffer, route) for _ in batches] == [batch.data for batch in batches]
        assert self.is_empty(buffer, route)
        self.end(buffer)

    def test_a_claim_says_where_its_rows_go(self) -> None:
        """Rows go back to their own Data Source, and are counted right."""
        buffer, logs, audit = self.make_buffer(), self.route(), self.route("audit")
        buffer.put(self.batch(logs, 1))
        buffer.put(self.batch(audit, 2, 3))
        claim = self.claimed(buffer, audit)
        assert claim is not None
        assert (claim.batch.route, claim.batch.rows, bytes(claim.batch.data)) == (audit, 2, b'{"n":2}\n{"n":3}\n')
        claim.done()
        assert self.is_empty(buffer, audit)
        assert self.data(buffer, logs) == b'{"n":1}\n'
        self.end(buffer)

    def test_a_claim_is_exclusive(self) -> None:
        """The same rows are not sent by two processes, or twice by one, at the same time."""
        first, second, route = self.make_buffer(), self.make_buffer(), self.route()
        first.put(self.batch(route, 1))
        claim = self.claimed(first, route)
        assert claim is not None
        assert self.is_empty(first, route)
        assert self.is_empty(second, route)
        claim.done()
        assert self.is_empty(first, route)
        self.end(first)
        self.end(second)

    def test_what_is_released_can_be_claimed_again(self) -> None:
        """A failed attempt costs no rows, and no turn."""
        buffer, route = self.make_buffer(), self.route()
        buffer.put(self.batch(route, 1))
        buffer.put(self.batch(route, 2))
        claim = self.claimed(buffer, route)
        assert claim is not None
        claim.release()
        assert [self.data(buffer, route) for _ in range(2)] == [b'{"n":1}\n', b'{"n":2}\n']
        self.end(buffer)

    def test_claims_may_end_in_any_order(self) -> None:
        """A batch that is done with before an older one takes nothing of that with it."""
        buffer, route = self.make_buffer(), self.route()
        for number in (1, 2, 3):
            buffer.put(self.batch(route, number))
        claims = [self.claimed(buffer, route) for _ in range(3)]
        assert all(claims)
        for claim in (claims[1], claims[2]):
            assert claim is not None
            claim.done()
        assert claims[0] is not None
        claims[0].release()
        assert self.data(buffer, route) == b'{"n":1}\n'
        assert self.is_empty(buffer, route)
        self.end(buffer)

    def test_what_a_process_left_is_there_for_the_next(self) -> None:
        """The end of a process loses neither what it had stored nor what it was sending; what was sent is gone."""
        first, route = self.make_buffer(), self.route()
        for number in (1, 2, 3):
            first.put(self.batch(route, number))
        assert self.data(first, route) == b'{"n":1}\n'
        assert self.claimed(first, route) is not None  # amidst an attempt
        self.end(first)
        second = self.make_buffer()
        # In any order: a claim may take time to expire, and does not hold up others meanwhile.
        assert sorted(self.data(second, route) for _ in range(2)) == [b'{"n":2}\n', b'{"n":3}\n']
        assert self.is_empty(second, route)
        self.end(second)

    def test_a_claim_can_be_ended_once_only(self) -> None:
        """A second `done` or `release` harms nobody."""
        buffer, route = self.make_buffer(), self.route()
        buffer.put(self.batch(route, 1))
        claim = self.claimed(buffer, route)
        assert claim is not None
        claim.done()
        claim.done()
        claim.release()
        assert self.is_empty(buffer, route)
        self.end(buffer)

    def test_dead_letters_are_not_sent_again(self) -> None:
        """Rows that the server will never take do not come back for ever."""
        buffer, route = self.make_buffer(), self.route()
        buffer.bury(self.batch(route, 1), "HTTP 400: no such column")
        buffer.put(self.batch(route, 2))
        assert self.data(buffer, route) == b'{"n":2}\n'
        assert self.is_empty(buffer, route)
        self.end(buffer)

    def test_large_batches_come_back_whole(self) -> None:
        """The largest request that tinylog makes fits, in one piece or in several."""
        buffer, route = self.make_buffer(), self.route()
        line = b'{"n":"%s"}\n' % (b"x" * 10_000)
        buffer.put(Batch(route, bytearray(line * 400), 400))
        rows = b""
        while len(rows) < len(line) * 400:
            rows += self.data(buffer, route)
        assert rows == line * 400
        self.end(buffer)

    def test_it_can_be_closed_and_used_again(self) -> None:
        """A process that lives on after `close` holds nothing back from the others."""
        buffer, route = self.make_buffer(), self.route()
        buffer.put(self.batch(route, 1))
        buffer.close()
        buffer.close()
        assert self.data(buffer, route) == self.batch(route, 1).data
        self.end(buffer)

    def test_it_describes_itself(self) -> None:
        """Messages say where rows are."""
        buffer = self.make_buffer()
        assert buffer.describe()
        assert buffer.damaged == 0
        self.end(buffer)
