"""The journal: what `emit` has returned for is on disk, whatever happens to the process."""

from __future__ import annotations

import errno
import os
import signal

import pytest

from tests._server import error
from tests._waiting import eventually
from tests.process._run import run, start
from tests.test_lane import Rig
from tinylog.protocols import Failure


@pytest.fixture
def rig(tmp_path):
    return lambda *script, **options: Rig(tmp_path, *script, journal=True, **options)


def files(rig):
    return sorted(path.name.rpartition(".")[2] for path in rig.folder.iterdir() if path.is_file())


def content(rig):
    return b"".join(path.read_bytes() for path in sorted(rig.folder.iterdir()) if path.is_file())


def test_a_row_is_on_disk_before_put_returns(rig):
    """Nothing that a logging call has returned for exists in memory only."""
    made = rig()
    made.put(1)
    assert content(made) == b'{"n":1}\n'
    made.put(2)
    assert content(made) == b'{"n":1}\n{"n":2}\n'
    assert next(made.folder.iterdir()).stat().st_mode & 0o777 == 0o600


def test_it_is_deleted_when_all_its_rows_are_answered_for(rig):
    """A healthy server leaves nothing behind."""
    made = rig(413)
    made.put(1, 2, 3, 4)
    made.step()
    assert made.stats.delivered == 4
    assert files(made) == []


def test_parts_that_are_left_are_still_on_disk(rig):
    """When one half of a batch was delivered and the other was not, no row is without a copy on disk."""
    made = rig(413, 200, *[503] * 5)
    made.put(1, 2, 3, 4)
    made.step()
    assert (made.stats.delivered, made.stats.spilled) == (2, 2)
    assert content(made) == b'{"n":3}\n{"n":4}\n'
    assert files(made) == ["ndjson"]


def test_a_journal_becomes_the_spill_file(rig):
    """In an outage rows are written once, not twice, and are replayed like all spilled ones."""
    made = rig(*[503] * 5)
    made.put(1, 2)
    made.step()
    assert files(made) == ["ndjson"]
    assert content(made) == b'{"n":1}\n{"n":2}\n'
    made.step(60)
    assert made.stats.replayed.delivered == 2
    assert files(made) == []


def test_the_living_journal_is_nobody_elses(rig, tmp_path):
    """Another process with the same directory does not send what its owner is about to."""
    made, other = rig(), Rig(tmp_path)
    made.put(1)
    other.step(10)
    assert other.transport.requests == []
    made.step()
    assert made.stats.delivered == 1


def test_dropped_rows_do_not_come_back(rig):
    """With `drop_oldest`, what the ledger calls dropped is not in the spill file."""
    made = rig(*[503] * 5, when_full="drop_oldest", max_queue_rows=2)
    made.put(1, 2, 3)
    made.step()
    assert (made.stats.spilled, dict(made.stats.dropped)) == (2, {"queue_full": 1})
    assert content(made) == b'{"n":2}\n{"n":3}\n'
    assert files(made) == ["ndjson"]


def test_a_disk_that_is_full_costs_durability_not_rows(rig, monkeypatch, caplog):
    """When the journal cannot be written, logging goes on, rows are delivered from memory, and a warning says so."""
    made = rig()
    made.put(1)
    write = os.write

    def short(handle, data):
        return write(handle, data[: len(data) // 2])

    def full(handle, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", short)
    made.put(2)
    monkeypatch.setattr(os, "write", full)
    made.put(3)
    monkeypatch.undo()
    made.put(4)
    assert content(made) == b'{"n":1}\n{"n":4}\n'
    made.step()
    assert [row["n"] for row in made.transport.rows] == [1, 2, 3, 4]
    assert "the journal cannot be written" in caplog.text


def test_no_directory_at_all(rig, caplog):
    """A spill directory that cannot be made does not make logging fail."""
    made = rig()
    made.folder.write_text("a file")
    made.put(1)
    made.step()
    assert made.stats.delivered == 1
    assert "the journal cannot be written" in caplog.text


@pytest.mark.parametrize(("sync", "expected"), [("none", 0), ("interval", 2), ("always", 4)])
def test_journal_sync(rig, monkeypatch, sync, expected):
    """Whoever fears power cuts chooses how often a logging call waits for the disk."""
    made = rig(journal_sync=sync, flush_interval=1.0)
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(handle), fsync(handle)))
    made.clock.advance(10)
    made.put(1, 2)
    made.clock.advance(1)
    made.put(3, 4)
    assert len(synced) == 2 * expected  # the file and its directory


@pytest.fixture
def spill(tmp_path):
    return tmp_path / "spill"


def test_a_killed_process_loses_no_row_that_emit_returned_for(server, spill):
    """SIGKILL in the middle of everything: the next process sends what the dead one had promised."""
    server.answer = error(503)
    body = """
    for number in range(100_000):
        log.error("critical %d", number)
        os.write(1, b"%d\\n" % number)
    """
    with start(server, spill, body, journal=True, max_batch_rows=50) as process:
        for line in process.stdout:
            if int(line) == 500:
                break
        process.send_signal(signal.SIGKILL)
        promised = 501 + sum(1 for _ in process.stdout)
    assert list(spill.glob("*.journal"))
    server.answer = server.success
    after = 'log.error("next")\nsys.stdin.read()'
    with start(server, spill, after, journal=True) as process:
        eventually(lambda: not list(spill.glob("*.ndjson")) and len(list(spill.glob("*.journal"))) == 0)
        process.stdin.close()
    messages = {row["message"] for row in server.rows}
    assert messages >= {f"critical {number}" for number in range(promised)}
    assert len({row["id"] for row in server.rows}) == len(messages)


def test_the_torn_end_of_a_journal_is_set_aside_and_counted(server, spill):
    """The row in whose middle a process died is kept for a person to look at, and the whole ones are sent."""
    with start(
        server, spill, 'log.error("whole")\nprint("", flush=True)\nsys.stdin.read()', journal=True, flush_interval=60
    ) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    [journal] = spill.glob("*.journal")
    with journal.open("ab") as file:
        file.write(b'{"message":"to')
    body = """
    log.info("go")
    handler.flush()
    import time
    while not handler.stats().replayed.delivered:
        time.sleep(0.01)
    print(handler.stats().replayed.damaged)
    """
    status, stdout, stderr = run(server, spill, body)
    assert (status, stdout) == (0, "1\n"), stderr
    assert {row["message"] for row in server.rows} == {"whole", "go"}
    assert [path.read_bytes() for path in (spill / "corrupt").iterdir()] == [b'{"message":"to']
    assert not list(spill.glob("*.journal"))


def test_a_forked_child_has_a_journal_of_its_own(server, spill):
    """A child neither writes into its parent's journal nor keeps it locked."""
    body = """
    log.error("parent")
    child = os.fork()
    if child == 0:
        log.error("child")
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    os.kill(os.getpid(), 9)
    """
    run(server, spill, body, journal=True, flush_interval=60)
    assert sorted(len(path.read_bytes().splitlines()) for path in spill.glob("*.journal")) == [1, 1]


def test_the_answer_that_never_came_duplicates_nothing_but_ids(rig):
    """A row that may have arrived is sent again under the same id, from memory and from disk alike."""
    made = rig(Failure.NO_ANSWER)
    made.put(1)
    made.step()
    assert len({request.body for request in made.transport.requests}) == 1
    assert files(made) == []
