"""What becomes known of losses: events for the application, a row for the table."""

from __future__ import annotations

import pytest

import tinylog
from tests._server import error
from tests.test_lane import Rig
from tinylog.protocols import Response


def test_events_tell_what_became_of_rows(make_logger, server):
    """An application can count losses in its own metrics."""
    events = []
    server.answer = error(400, "no")
    logger, handler = make_logger(on_event=events.append, max_queue_rows=2, max_batch_rows=2, flush_interval=60)
    for number in range(3):
        logger.info("%d", number)
    logger.error("bad")
    handler.flush()
    assert {(event.kind, event.delivery, event.rows, event.reason) for event in events} == {
        ("dropped", "fire_and_forget", 1, "queue_full"),
        ("dropped", "fire_and_forget", 2, "rejected"),
        ("dead_lettered", "ack", 1, ""),
    }
    assert all(isinstance(event, tinylog.Event) and event.datasource == "logs" for event in events)


def test_a_callback_that_raises_is_a_warning(make_logger, server, caplog):
    """A bug in the callback stops nothing."""
    server.answer = error(400)
    logger, handler = make_logger(on_event=lambda event: 1 / 0)
    logger.info("a")
    handler.flush()
    server.answer = server.success
    logger.info("b")
    assert handler.flush()
    assert "on_event raised ZeroDivisionError" in caplog.text


def test_a_summary_row_shows_the_hole(make_logger, server):
    """Whoever reads the table, and not the application's log, learns how many rows are missing and why (20)."""
    server.answer = error(503)
    logger, handler = make_logger()
    for number in range(3):
        logger.info("lost %d", number)
    assert not handler.flush()
    server.answer = server.success
    logger.info("arrives")
    server.wait_for(lambda s: len(s.rows) == 2)
    [summary] = [row for row in server.rows if row["logger"] == "tinylog.summary"]
    assert summary["message"] == "3 records were lost: unavailable 3"
    assert (summary["level"], summary["lost"], summary["lost_by_reason"]) == ("WARNING", 3, {"unavailable": 3})
    assert handler.stats().submitted == 5


@pytest.fixture
def rig(tmp_path):
    def make(*script, **options):
        made = Rig(tmp_path, *script, **options)
        made.lane.summary = lambda lost: b'{"n":-%d}\n' % sum(lost.values())
        return made

    return make


def test_summaries_come_once_a_minute_and_leave_nothing_out(rig):
    """A long trouble makes few rows, and in the end their numbers add up to the losses."""
    made = rig(max_queue_rows=1)
    for _ in range(200):
        made.put(1, 2, 3)
        made.step()
    made.step(120)
    made.step(120)
    summaries = [-row["n"] for row in made.transport.rows if row["n"] < 0]
    assert 3 <= len(summaries) <= 6
    lost = made.stats.dropped["queue_full"]
    made.put(1)
    made.step(61)
    made.step(61)
    assert sum(-row["n"] for row in made.transport.rows if row["n"] < 0) >= lost - 3


def test_no_summary_while_nothing_arrives(rig):
    """A summary waits for delivery to work, instead of being lost with the rest."""
    made = rig(*[503] * 300, max_queue_rows=2, spill=False)
    for _ in range(30):
        made.put(1, 2, 3)
        made.step()
    assert not [row for row in made.transport.rows if row["n"] < 0]


def test_evictions_and_replay_are_events(tmp_path):
    """What the bounds of the disk cost is told, too."""
    events = []
    made = Rig(tmp_path, *[503] * 5, spill_max_files=1, on_event=events.append)
    for number in range(3):
        made.put(number)
        made.step()
    made.transport.then(Response(status=200, body=b'{"successful_rows":0,"quarantined_rows":1}'))
    made.step(60)
    kinds = [event.kind for event in events]
    assert kinds.count("spilled") == 3
    assert kinds.count("replayed.evicted") == 2
    assert kinds[-1] == "replayed.quarantined"
