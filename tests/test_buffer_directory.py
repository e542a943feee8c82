"""The spill directory: durable, shared, bounded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tinylog._diagnostics import Diagnostics
from tinylog.buffers import DirectoryBuffer, default_directory
from tinylog.errors import BufferUnavailableError
from tinylog.protocols import Batch, Delivery, Route
from tinylog.settings import SpillPolicy
from tinylog.testing import FakeClock

ROUTE = Route("logs", Delivery.ACK)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def make(tmp_path, clock):
    return lambda **policy: DirectoryBuffer(tmp_path / "spill", SpillPolicy(**policy), clock, Diagnostics(clock))


def batch(*numbers, route=ROUTE):
    return Batch(route, b"".join(b'{"n":%d}\n' % number for number in numbers), len(numbers))


def put(buffer, clock, *batches):
    evicted = 0
    for item in batches:
        evicted += buffer.put(item)
        clock.advance(1)
    return evicted


def claimed(buffer, route=ROUTE):
    found = []
    while (claim := buffer.claim(route)) is not None:
        found.append(bytes(claim.batch.data))
        claim.done()
    return found


def test_oldest_first_and_gone_when_done(make, clock):
    """Rows come back in the order in which they were spilled, once."""
    buffer = make()
    put(buffer, clock, batch(1, 2), batch(3))
    assert claimed(buffer) == [batch(1, 2).data, batch(3).data]
    assert buffer.claim(ROUTE) is None


def test_a_claim_is_exclusive_until_released(make, clock):
    """Two processes never send the same file at the same time, and a failed attempt leaves it for the next."""
    first, second = make(), make()
    put(first, clock, batch(1), batch(2))
    claim = first.claim(ROUTE)
    other = second.claim(ROUTE)
    assert claim.batch.data != other.batch.data
    assert second.claim(ROUTE) is None
    claim.release()
    assert second.claim(ROUTE).batch.data == claim.batch.data


def test_routes_are_kept_apart(make, clock):
    """Rows go back to the Data Source that they were for."""
    buffer = make()
    put(buffer, clock, batch(1), batch(2, route=Route("audit", Delivery.ACK)))
    assert claimed(buffer, Route("audit", Delivery.ACK)) == [batch(2).data]


HOLDER = """
import sys, pathlib
from tinylog._diagnostics import Diagnostics
from tinylog._clock import SystemClock
from tinylog.buffers import DirectoryBuffer
from tinylog.protocols import Delivery, Route
from tinylog.settings import SpillPolicy
clock = SystemClock()
buffer = DirectoryBuffer(pathlib.Path(sys.argv[1]), SpillPolicy(), clock, Diagnostics(clock))
claim = buffer.claim(Route("logs", Delivery.ACK))
print("claimed", flush=True)
sys.stdin.read()
"""


def test_the_claim_of_a_killed_process_is_free_again(make, clock, tmp_path):
    """A process that dies while it replays takes nothing with it."""
    buffer = make()
    put(buffer, clock, batch(1))
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "spill")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"claimed\n"
        assert buffer.claim(ROUTE) is None
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert claimed(buffer) == [batch(1).data]


def test_the_childs_copy_of_a_claim_does_not_outlive_the_parents(make, clock):
    """A forked child neither keeps its parent's file locked nor deletes it (pitfall 11)."""
    buffer = make()
    put(buffer, clock, batch(1))
    claim = buffer.claim(ROUTE)
    ready, done = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        buffer.reset()
        os.write(ready[1], b".")
        os.read(done[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    claim.release()
    assert claimed(make()) == [batch(1).data]
    os.write(done[1], b".")
    os.waitpid(child, 0)
    for end in (*ready, *done):
        os.close(end)


@pytest.mark.parametrize("damage", [b"", b'{"n":1', b'{"n":9}\n', b'{"n":1}\n{"n":1}\n'])
def test_a_damaged_file_is_set_aside_and_blocks_nothing(make, clock, tmp_path, damage, caplog):
    """A torn or corrupt file is kept for a person to look at, and the others are sent."""
    buffer = make()
    put(buffer, clock, batch(1), batch(2))
    oldest = min((tmp_path / "spill").glob("*.ndjson"))
    oldest.write_bytes(damage)
    assert claimed(buffer) == [batch(2).data]
    assert [path.read_bytes() for path in (tmp_path / "spill" / "corrupt").iterdir()] == [damage]
    buffer._diagnostics.emit()
    assert oldest.name in caplog.text


def test_strange_files_are_left_alone(make, clock, tmp_path):
    """Somebody's own files in the folder are neither sent nor deleted."""
    buffer = make(max_files=1)
    (tmp_path / "spill").mkdir()
    for name in ("notes.txt", "x.ndjson", "a~b~c~d~e~f.ndjson", ".hidden.ndjson"):
        (tmp_path / "spill" / name).write_text("mine")
    put(buffer, clock, batch(1), batch(2))
    assert claimed(buffer) == [batch(2).data]
    assert len(list((tmp_path / "spill").iterdir())) == 4


@pytest.mark.parametrize(
    ("policy", "evicted", "left"),
    [
        ({"max_files": 2}, 3, [(4,), (5, 6)]),
        ({"max_bytes": 25}, 3, [(4,), (5, 6)]),
        ({"max_age": 2.5}, 2, [(3,), (4,), (5, 6)]),
        ({"max_bytes": 10}, 4, [(5, 6)]),
    ],
)
def test_the_bounds_evict_the_oldest_and_count_them(make, clock, policy, evicted, left):
    """The buffer never fills the disk, and what that costs is counted."""
    buffer = make(**policy)
    assert put(buffer, clock, batch(1), batch(2), batch(3), batch(4), batch(5, 6)) == evicted
    assert claimed(buffer) == [batch(*numbers).data for numbers in left]


def test_what_another_process_is_sending_is_not_evicted(make, clock):
    """An eviction never takes a file from under a process that is about to deliver it."""
    buffer = make(max_files=1)
    put(buffer, clock, batch(1))
    claim = make().claim(ROUTE)
    assert put(buffer, clock, batch(2), batch(3)) == 1
    claim.release()
    assert claimed(buffer) == [batch(1).data, batch(3).data]


def test_dead_letters_say_why(make, clock, tmp_path):
    """Rows that the server will never take are kept beside its words, and are not sent again."""
    buffer = make()
    buffer.bury(batch(1), "HTTP 400: no such column")
    [path] = (tmp_path / "spill" / "dead").glob("*.ndjson")
    assert path.read_bytes() == batch(1).data
    assert path.with_suffix(".txt").read_text() == "HTTP 400: no such column\n"
    assert buffer.claim(ROUTE) is None


def test_a_disk_that_refuses_is_an_error_that_says_so(make, tmp_path):
    """A full or forbidden disk is reported, and the rows stay with whoever had them."""
    (tmp_path / "spill").write_text("a file")
    with pytest.raises(BufferUnavailableError, match=r"FileExistsError|NotADirectoryError"):
        make().put(batch(1))


def test_what_a_killed_writer_left_is_swept(make, clock, tmp_path):
    """Half-written files of dead processes do not pile up."""
    buffer = make()
    put(buffer, clock, batch(1))
    orphan = tmp_path / "spill" / ".x.ndjson.tmp"
    orphan.write_bytes(b'{"n":')
    os.utime(orphan, (clock.time() - 4000, clock.time() - 4000))
    put(buffer, clock, batch(2))
    assert not orphan.exists()
    assert claimed(buffer) == [batch(1).data, batch(2).data]


def test_default_directories_differ_by_host(monkeypatch, tmp_path):
    """Rows for a server under test are never replayed into production."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folders = {default_directory("https://api.tinybird.co"), default_directory("http://localhost:7181")}
    assert folders == {tmp_path / "tinylog/spill/api-tinybird-co", tmp_path / "tinylog/spill/localhost-7181"}
