"""The outcome table: every status and failure, for both ways of delivery."""

from __future__ import annotations

import pytest

from tinylog._backoff import delay, server_delay
from tinylog._circuit import Circuit
from tinylog._outcome import Action, action, explain, quarantined_rows, verdict
from tinylog.protocols import Delivery, Failure, Response
from tinylog.settings import RetryPolicy

TABLE = {
    (200,): ("delivered", "delivered"),
    (202,): ("accepted", "accepted"),
    (413,): ("split", "split"),
    (400, 402, 405, 406, 409, 410, 411, 415, 418, 431, 451): ("split", "drop"),
    (408, 429, 500, 501, 502, 503, 504, 507, 520, 599): ("retry", "drop"),
    (401, 403, 404, 301, 302, 303, 307, 308, 201, 204): ("hold", "hold"),
    (422,): ("dead_letter", "drop"),
    (100, 0, 999): ("retry", "drop"),
}


@pytest.mark.parametrize(("status", "expected"), [(s, e) for statuses, e in TABLE.items() for s in statuses])
def test_every_status(status, expected):
    """What a server answers decides between delivery, another try, a person's attention and loss: never a guess."""
    outcome = verdict(Response(status=status, body=b"{}"))
    assert tuple(action(outcome, delivery).value for delivery in (Delivery.ACK, Delivery.FIRE_AND_FORGET)) == expected


@pytest.mark.parametrize("body", [b"<html>Please log in</html>", b"", b"[]", b"OK"])
def test_success_that_is_not_the_apis(body):
    """A proxy's login page under status 200 does not count as delivery: the rows are held."""
    assert action(verdict(Response(status=200, body=body)), Delivery.ACK) is Action.HOLD


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (Failure.NOT_SENT, (Action.RETRY, Action.DROP)),
        (Failure.NO_ANSWER, (Action.RETRY, Action.DROP)),
        (Failure.STALE, (Action.RETRY, Action.RESEND)),
    ],
)
def test_every_failure(failure, expected):
    """A network that fails costs an acknowledged row nothing."""
    outcome = verdict(Response(failure=failure))
    assert (action(outcome, Delivery.ACK), action(outcome, Delivery.FIRE_AND_FORGET)) == expected


@pytest.mark.parametrize(
    ("body", "rows", "expected"),
    [
        (b'{"successful_rows": 3, "quarantined_rows": 2}', 5, 2),
        (b'{"quarantined_rows": 9}', 5, 5),
        (b'{"quarantined_rows": -1}', 5, 0),
        (b'{"quarantined_rows": "2"}', 5, 0),
        (b"[]", 5, 0),
        (b"<html>", 5, 0),
        (b"", 5, 0),
    ],
)
def test_quarantined_rows(body, rows, expected):
    """A 200 with quarantined rows is not taken for success, and a strange body is not taken for quarantine."""
    assert quarantined_rows(Response(status=200, body=body), rows) == expected


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (Response(status=400, body=b'{"error": "no such column"}'), "HTTP 400: no such column"),
        (Response(status=502, body=b"<html>bad gateway"), "HTTP 502: <html>bad gateway"),
        (Response(status=500), "HTTP 500"),
        (Response(failure=Failure.NOT_SENT, detail="refused"), "refused"),
    ],
)
def test_explain(response, words):
    """A warning says what the server said."""
    assert explain(response) == words


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0.5", "X-RateLimit-Reset": "9"}, 0.5),
        ({"X-RateLimit-Reset": "3"}, 3.0),
        ({"Retry-After": "Tue, 14 Nov 2023 22:13:30 GMT"}, 10.0),
        ({"Retry-After": "Tue, 14 Nov 2023 22:13:00 GMT"}, 0.0),
        ({"Retry-After": "soon", "X-RateLimit-Reset": "4"}, 4.0),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({}, None),
    ],
)
def test_server_delay(headers, expected):
    """A server that says when to come back is taken at its word, whichever way it says so."""
    assert server_delay(headers, 1_700_000_000.0) == expected


def test_backoff_series():
    """The upper bounds double up to the cap, and jitter reaches over the whole range."""
    policy = RetryPolicy(base=0.5, cap=4.0)
    assert [delay(policy, attempt, lambda: 1.0) for attempt in range(6)] == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    assert delay(policy, 10_000, lambda: 0.0) == 0.0


def test_circuit_opens_after_the_last_attempt_and_closes_on_success():
    """After the attempts of the policy nothing waits for a dead server, which gets one probe at a time."""
    circuit = Circuit(RetryPolicy(max_attempts=3, base=1.0, cap=8.0), lambda: 1.0)
    assert [circuit.failed(0.0) for _ in range(2)] == [1.0, 2.0]
    assert not circuit.open
    circuit.failed(10.0)
    assert circuit.blocks(13.9)
    assert not circuit.blocks(14.0)
    circuit.failed(14.0)
    assert circuit.blocks(21.9)
    circuit.succeeded()
    assert not circuit.blocks(0.0)


def test_a_long_retry_after_opens_at_once():
    """A server that asks for ten minutes is not asked again before, and nothing waits in memory meanwhile."""
    circuit = Circuit(RetryPolicy(cap=30.0), lambda: 0.0)
    circuit.failed(0.0, 600.0)
    assert circuit.blocks(599.0)
    assert not circuit.blocks(601.0)


def test_a_short_retry_after_is_waited_for():
    """A 429 with `Retry-After: 2` costs two seconds, not the row."""
    circuit = Circuit(RetryPolicy(base=0.5), lambda: 1.0)
    assert circuit.failed(0.0, 2.0) == 2.5
    assert not circuit.open
