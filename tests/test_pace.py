"""How a process finds a rate that the server takes, and goes back to its own."""

from __future__ import annotations

import pytest

from tests.test_lane import Rig
from tinylog._backoff import headroom
from tinylog._pace import Pace
from tinylog.protocols import Response


def test_each_429_doubles_the_gap_up_to_a_minute():
    """Many processes that know nothing of each other get below a limit that they share."""
    pace = Pace(lambda: 0.0)
    assert pace.due_in(0.0) == 0.0
    gaps = []
    for _ in range(10):
        pace.refused(0.0)
        gaps.append(pace.gap)
    assert gaps == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    pace.sent(100.0)
    assert pace.due_in(110.0) == 50.0


def test_the_gap_narrows_after_a_quiet_time_until_it_is_gone():
    """When the load is over, rows are as fresh as before."""
    pace = Pace(lambda: 0.0)
    for _ in range(4):
        pace.refused(0.0)
    pace.accepted(29.0)
    assert pace.gap == 2.0
    pace.accepted(30.0)
    assert pace.gap == 1.8
    now = 30.0
    while pace.gap:
        now += 1.0
        pace.accepted(now)
        assert now < 300.0
    assert pace.due_in(now) == 0.0


def test_what_was_too_narrow_is_tried_again_ever_more_rarely():
    """A fleet at its limit settles below it, instead of running into it for ever."""
    pace = Pace(lambda: 0.0)
    for _ in range(3):
        pace.refused(0.0)
    now, tries = 0.0, []
    while len(tries) < 6:
        now += 1.0
        pace.accepted(now)
        if pace.gap < 1.0:
            tries.append(now)
            pace.refused(now)
            assert pace.gap == 1.0
    waits = [tries[index + 1] - tries[index] for index in range(5)]
    assert waits == [60.0, 120.0, 240.0, 480.0, 600.0]


def test_the_servers_word_on_what_is_left_is_heeded():
    """A fleet that shares a limit to its last request does not try for more."""
    pace = Pace(lambda: 0.0)
    for _ in range(3):
        pace.refused(0.0)
    pace.accepted(25.0, 0.01)
    pace.accepted(40.0, 0.9)
    assert pace.gap == 1.0
    pace.accepted(56.0, 0.9)
    assert pace.gap == 0.9


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        ({"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "25"}, 0.25),
        ({"X-RateLimit-Limit": "0", "X-RateLimit-Remaining": "25"}, None),
        ({"X-RateLimit-Remaining": "25"}, None),
        ({"X-RateLimit-Limit": "many", "X-RateLimit-Remaining": "some"}, None),
        ({}, None),
    ],
)
def test_headroom(headers, left):
    """The documented headers are read, and strange ones are no trouble."""
    assert headroom(headers) == left


@pytest.fixture
def rig(tmp_path):
    return lambda *script, **options: Rig(tmp_path, *script, **options)


def refused():
    return Response(status=429, headers={"Retry-After": "1"}, body=b"{}")


def test_after_429_requests_are_fewer_and_larger(rig):
    """Rows that come in meanwhile travel together, beyond the usual number of rows, and none is lost."""
    made = rig(refused(), refused(), max_batch_rows=2)
    made.put(1)
    made.step()
    assert made.stats.delivered == 1
    made.put(*range(2, 12))
    made.step(0.1)
    assert made.stats.delivered == 1
    made.step(1.0)
    assert made.stats.delivered == 11
    assert made.sizes()[-1] == 10


def test_replay_and_new_rows_take_turns_under_a_limit(rig):
    """Neither starves the other when only one request in a while is allowed."""
    made = rig(*[503] * 5, max_batch_rows=1)
    made.put(1)
    made.step()
    made.put(2)
    made.step(0.5)
    made.lane._pace.refused(made.clock.monotonic())
    made.transport.requests.clear()
    for number in (10, 11):
        made.put(number)
    for _ in range(4):
        made.step(60.0)
    assert sorted([made.transport.rows[0]["n"], made.transport.rows[1]["n"]]) == [1, 10]
    assert sorted(row["n"] for row in made.transport.rows) == [1, 2, 10, 11]
