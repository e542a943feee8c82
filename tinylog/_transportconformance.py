"""What a `Transport` owes its exporter, as tests for `pytest`: see `TransportConformance`."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable
from typing import Any

from tinylog.protocols import Delivery, Request, Route, Transport

__all__ = ["TransportConformance"]

_ACK, _ONCE = Route("logs", Delivery.ACK), Route("logs", Delivery.FIRE_AND_FORGET)


def _request(route: Route, *numbers: int, encoding: str | None = None) -> Request:
    body = b"".join(b'{"n":%d}\n' % number for number in numbers)
    return Request(route, gzip.compress(body) if encoding else body, encoding, 30.0)


class TransportConformance:
    """Derive from it, and give it three fixtures.

    ::

        class TestMine(TransportConformance):
            @pytest.fixture
            def transport(self): ...        # one that reaches a server
            @pytest.fixture
            def unreachable(self): ...      # one that does not
            @pytest.fixture
            def arrived(self): ...          # given a count of rows, the rows that the server has
    """

    def test_success_says_how_many_rows(self, transport: Transport, arrived: Callable[[int], list[Any]]) -> None:
        """Rows that have arrived are counted as such: 200 when acknowledged, 202 when taken."""
        answers = [transport.send(_request(_ACK, 1, 2)), transport.send(_request(_ONCE, 3, encoding="gzip"))]
        _equal([answer.status for answer in answers], [200, 202])
        _equal(sorted(row["n"] for row in arrived(3)), [1, 2, 3])

    def test_several_threads_send_at_once(self, transport: Transport, arrived: Callable[[int], list[Any]]) -> None:
        """No route's rows end up in another's answer, or nowhere."""
        answers: list[int | None] = []

        def send(start: int) -> None:
            answers.extend(transport.send(_request(_ACK, start + n)).status for n in range(10))

        threads = [threading.Thread(target=send, args=(10 * number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        _equal(answers, [200] * 80)
        _equal(sorted(row["n"] for row in arrived(80)), list(range(80)))

    def test_trouble_is_an_answer(self, unreachable: Transport) -> None:
        """Network trouble comes back as a failure with words, never as an exception."""
        answer = unreachable.send(Request(_ACK, b"{}\n", None, 2.0))
        _equal((answer.status, answer.failure is None, bool(answer.detail)), (None, False, True))

    def test_it_works_on_after_reset_and_close(self, transport: Transport) -> None:
        """A child process, and a door that is used after its end, can send."""
        for forget in (transport.reset, transport.close, transport.close):
            forget()
            _equal(transport.send(_request(_ACK, 1)).status, 200)


def _equal(got: object, expected: object) -> None:
    if got != expected:
        raise AssertionError(f"expected {expected!r}, got {got!r}")
