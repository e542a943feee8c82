"""A batch on its way, step by step: a scripted server, a fake clock, no threads."""

from __future__ import annotations

import logging

import pytest

from tinylog._diagnostics import Diagnostics
from tinylog._exporter import Shared
from tinylog._lane import Lane
from tinylog._resolve import resolve
from tinylog._stats import total
from tinylog.buffers import DirectoryBuffer
from tinylog.protocols import Delivery, Failure, Response, Route
from tinylog.testing import FakeClock, ScriptedTransport, decode


class Rig:
    """A lane that goes forward only when told to."""

    def __init__(self, tmp_path, *script, delivery=Delivery.ACK, rand=lambda: 1.0, on_event=None, **options):
        self.clock = FakeClock()
        self.transport = ScriptedTransport(*script)
        self.folder = tmp_path / "spill"
        settings = resolve(
            {"token": "t", "spill": str(self.folder), "backoff_base": 0.5, "backoff_cap": 30.0, **options}, {}
        )
        self.diagnostics = Diagnostics(self.clock)
        spilling = settings.spill.place is not None
        buffer = DirectoryBuffer(self.folder, settings.spill, self.clock, self.diagnostics) if spilling else None
        shared = Shared(
            self.transport, buffer, settings.http, settings.retry, self.clock, rand, self.diagnostics, on_event
        )
        self.lane = Lane(Route("logs", delivery), settings, shared, start=lambda: None)

    def put(self, *rows):
        for row in rows:
            self.lane.put(b'{"n":%d}\n' % row)

    def step(self, seconds=1.0):
        self.clock.advance(seconds)
        self.lane.run_once()

    @property
    def stats(self):
        snapshot = total([self.lane.queue.ledger()])
        assert snapshot.submitted == snapshot.accounted
        return snapshot

    def sizes(self):
        return [len(self.decode(request)) for request in self.transport.requests]

    @staticmethod
    def decode(request):
        return list(decode(request))

    def spilled(self):
        return sorted(path.name for path in self.folder.glob("*.ndjson"))


@pytest.fixture
def rig(tmp_path):
    return lambda *script, **options: Rig(tmp_path, *script, **options)


def test_retries_back_off_and_succeed(rig):
    """Four failures in a row cost an acknowledged row nothing but time, and the server is asked ever more rarely."""
    made = rig(503, 429, Failure.NOT_SENT, Failure.NO_ANSWER)
    made.put(1, 2)
    made.clock.waits.clear()
    made.step()
    assert made.clock.waits == [0.5, 1.0, 2.0, 4.0]
    assert made.stats.delivered == 2
    assert len({request.body for request in made.transport.requests}) == 1


def test_after_the_last_attempt_rows_are_spilled_as_plain_ndjson(rig):
    """An outage that outlasts the retries puts rows where anyone can read them and send them with curl."""
    made = rig(*[503] * 5)
    made.put(1, 2)
    made.step()
    assert made.stats.spilled == 2
    [name] = made.spilled()
    assert (made.folder / name).read_bytes() == b'{"n":1}\n{"n":2}\n'
    assert (made.folder / name).stat().st_mode & 0o777 == 0o600
    assert made.folder.stat().st_mode & 0o777 == 0o700


def test_during_an_outage_nothing_waits_in_memory(rig):
    """While the circuit is open, rows go to disk without a request, and one probe at a time tests the server."""
    made = rig(*[503] * 9)
    made.put(1)
    made.step()
    requests = len(made.transport.requests)
    for number in range(2, 7):
        made.put(number)
        made.step()
    assert made.stats.spilled == 6
    assert len(made.transport.requests) == requests
    made.step(60.0)
    assert len(made.transport.requests) == requests + 1
    assert len(made.spilled()) == 6


def test_replay_after_an_outage_is_oldest_first_and_complete(rig):
    """When the server is back, the spilled rows become rows in the table, in their order, and the files go away."""
    made = rig(*[503] * 5)
    made.put(1)
    made.step()
    for number in (2, 3):
        made.put(number)
        made.step()
    for _ in range(5):
        made.step(60.0)
    assert [row["n"] for row in made.transport.rows] == [1, 2, 3]
    assert made.spilled() == []
    assert (made.stats.spilled, made.stats.replayed.delivered) == (3, 3)


def test_new_rows_are_not_starved_by_replay(rig):
    """Each round sends a new batch before an old one."""
    made = rig(*[503] * 5)
    for number in (1, 2, 3):
        made.put(number)
        made.step()
    made.transport.requests.clear()
    made.put(10)
    made.step(60.0)
    assert [row["n"] for row in made.transport.rows] == [10, 1]


def test_retry_after_is_honoured(rig):
    """A server that asks for three seconds gets them."""
    made = rig(Response(status=429, headers={"Retry-After": "3"}), rand=lambda: 0.0)
    made.put(1)
    made.step()
    assert made.clock.waits == [3.0]
    assert made.stats.delivered == 1


def test_413_is_split_until_it_fits(rig):
    """A batch that is too large for the server arrives in parts."""
    made = rig(413, 413)
    made.put(*range(8))
    made.step()
    assert made.sizes() == [8, 4, 2, 2, 4]
    assert [row["n"] for row in made.transport.rows] == list(range(8))
    assert made.stats.delivered == 8


class Picky(ScriptedTransport):
    """Refuses every batch that holds one of the bad rows."""

    def __init__(self, bad, status=400):
        super().__init__()
        self.bad, self.status = bad, status

    def send(self, request):
        if any(row["n"] in self.bad for row in Rig.decode(request)):
            self.requests.append(request)
            return Response(status=self.status, body=b'{"error": "row is bad, token=t0ken"}')
        return super().send(request)


def picky(rig, bad, **options):
    made = rig(**options)
    made.transport = Picky(bad)
    object.__setattr__(made.lane._shared, "transport", made.transport)
    return made


def test_400_is_halved_down_to_the_culprit(rig):
    """One bad row goes to the dead letters with the server's words; its 99 neighbours are delivered (pitfall 23)."""
    made = picky(rig, {42})
    made.put(*range(100))
    made.step()
    assert sorted(row["n"] for row in made.transport.rows) == [n for n in range(100) if n != 42]
    assert (made.stats.delivered, made.stats.dead_lettered) == (99, 1)
    [dead] = (made.folder / "dead").glob("*.ndjson")
    assert dead.read_bytes() == b'{"n":42}\n'
    assert "HTTP 400: row is bad" in dead.with_suffix(".txt").read_text()
    assert len(made.transport.requests) <= 2 * 7 + 1


@pytest.mark.parametrize("culprits", [5, 10, 20, 50])
def test_all_culprits_are_found_and_no_neighbour_is_buried(rig, culprits):
    """Dozens of bad rows in one batch cost exactly themselves."""
    bad = set(range(7, 5000, 5000 // culprits))
    made = picky(rig, bad)
    made.put(*range(5000))
    made.step()
    assert (made.stats.delivered, made.stats.dead_lettered) == (5000 - len(bad), len(bad))
    assert len(made.transport.requests) < 1000


def test_halving_is_bounded(rig):
    """A batch of nothing but bad rows does not become thousands of requests."""
    made = picky(rig, set(range(1000)))
    made.put(*range(1000))
    made.step()
    assert len(made.transport.requests) < 150
    assert made.stats.dead_lettered == 1000


class Narrow(ScriptedTransport):
    """Takes no more than so many bytes."""

    def send(self, request):
        if sum(len(str(row)) for row in Rig.decode(request)) > 500:
            self.requests.append(request)
            return Response(status=413, body=b"{}")
        return super().send(request)


def test_a_server_that_takes_little_gets_it_in_as_many_parts_as_it_needs(rig):
    """A limit far below the batch's size buries no row."""
    made = rig()
    made.transport = Narrow()
    object.__setattr__(made.lane._shared, "transport", made.transport)
    made.put(*range(5000))
    made.step()
    assert (made.stats.delivered, made.stats.dead_lettered) == (5000, 0)


@pytest.mark.parametrize("status", [401, 403, 404, 302, 204])
def test_misconfiguration_holds_rows_until_it_is_mended(rig, status, caplog):
    """A wrong token or host costs no acknowledged row, makes one warning that names the remedy, and few requests."""
    made = rig(status)
    made.put(1)
    made.step()
    for number in (2, 3):
        made.put(number)
        made.step()
    assert (made.stats.spilled, len(made.transport.requests)) == (3, 1)
    [record] = [record for record in caplog.records if record.name == "tinylog"]
    assert record.levelno == logging.WARNING
    assert "check" in record.getMessage()
    assert "'logs'" in record.getMessage()
    for _ in range(4):
        made.step(60.0)
    assert made.stats.replayed.delivered == 3


def test_422_is_never_retried(rig):
    """A partial failure, where a retry may duplicate, is set aside as such."""
    made = rig(422)
    made.put(1, 2)
    made.step()
    assert len(made.transport.requests) == 1
    assert made.stats.dead_lettered == 2
    assert "partial" in next((made.folder / "dead").glob("*.txt")).read_text()


def test_quarantined_rows_are_counted_apart_and_reported(rig, caplog):
    """A 200 that hides quarantined rows is not mistaken for success, and the warning names the table to look at."""
    made = rig(Response(status=200, body=b'{"successful_rows":1,"quarantined_rows":2}'))
    made.put(1, 2, 3)
    made.step()
    assert (made.stats.delivered, made.stats.quarantined) == (1, 2)
    assert "logs_quarantine" in caplog.text


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (503, "unavailable"),
        (429, "unavailable"),
        (400, "rejected"),
        (422, "partial"),
        (403, "misconfigured"),
        (Failure.NOT_SENT, "unavailable"),
        (Failure.NO_ANSWER, "no_answer"),
    ],
)
def test_fire_and_forget_is_one_post_and_a_counted_loss(rig, answer, reason):
    """What need not arrive never gets in the way: one request, no wait, and the loss has a reason."""
    made = rig(answer, delivery=Delivery.FIRE_AND_FORGET)
    made.put(1, 2)
    made.step()
    assert len(made.transport.requests) == 1
    assert made.clock.waits == []
    assert dict(made.stats.dropped) == {reason: 2}


def test_stale_connection_is_reopened_once(rig):
    """A kept-alive connection that the server closed meanwhile does not cost fire-and-forget rows."""
    made = rig(Failure.STALE, delivery=Delivery.FIRE_AND_FORGET)
    made.put(1)
    made.step()
    assert made.stats.accepted == 1
    made.transport.then(Failure.STALE, Failure.STALE)
    made.put(2)
    made.step()
    assert dict(made.stats.dropped) == {"stale": 1}


def test_with_spill_off_losses_are_counted(rig):
    """Whoever switches the buffer off sees in the ledger what that cost."""
    made = rig(*[503] * 5, spill=False)
    made.put(1)
    made.step()
    assert dict(made.stats.dropped) == {"unavailable": 1}


def test_when_the_disk_refuses_rows_stay_in_memory(rig, caplog):
    """A full disk in the middle of an outage loses nothing while the queue has room."""
    made = rig(*[503] * 5)
    made.folder.parent.mkdir(exist_ok=True)
    made.folder.write_text("a file where the folder should be")
    made.put(1)
    made.step()
    assert (made.stats.queued, made.stats.spilled) == (1, 0)
    assert "buffer" in caplog.text
    made.folder.unlink()
    for _ in range(3):
        made.step(60.0)
    assert made.stats.delivered + made.stats.replayed.delivered == 1


def test_a_queue_that_fills_up_ends_the_wait(rig):
    """While a batch waits for its next attempt, rows behind it go to disk before the queue overflows."""
    made = rig(*[503] * 5, max_queue_rows=10, max_batch_rows=2)
    made.put(*range(8))
    for _ in range(4):
        made.step(0.0)
    assert made.stats.spilled == 8
    assert len(made.transport.requests) == 1
    assert not made.stats.dropped


def test_a_transport_that_raises_is_a_failed_request(rig):
    """A third party's transport with a bug cannot lose a row or stop the thread."""
    made = rig()

    def broken(request):
        raise RuntimeError("bug")

    send, made.transport.send = made.transport.send, broken
    made.put(1)
    made.step()
    assert made.stats.spilled == 1
    made.transport.send = send
    made.step(60.0)
    assert made.stats.replayed.delivered == 1


def test_warnings_come_once_a_minute(rig, caplog):
    """A long outage fills no log."""
    made = rig(*[503] * 200, delivery=Delivery.FIRE_AND_FORGET)
    for number in range(100):
        made.put(number)
        made.step()
    assert 1 <= len(caplog.records) <= 3
    assert "more like this" in caplog.records[-1].getMessage()
