"""How a process finds a rate that the server takes, and goes back to its own."""

from __future__ import annotations

import pytest

from tests.test_lane import Rig
from tinylog._pace import Pace
from tinylog.protocols import Response


def test_each_429_doubles_the_gap_up_to_a_minute():
    """Many processes that know nothing of each other get below a limit that they share."""
    pace = Pace()
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
    pace = Pace()
    for _ in range(4):
        pace.refused(0.0)
    pace.accepted(29.0)
    assert pace.gap == 2.0
    pace.accepted(30.0)
    assert pace.gap == 1.6
    now = 30.0
    while pace.gap:
        now += 1.0
        pace.accepted(now)
        assert now < 200.0
    assert pace.due_in(now) == 0.0


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
