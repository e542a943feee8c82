"""`tinylog spill ls` and `tinylog replay`: rows of applications that run no more."""

from __future__ import annotations

import os
import signal

import pytest

from tests._devserver import tinylog
from tests._s3 import running_s3
from tests._server import error
from tests.conftest import TOKEN
from tests.process._run import run, start


@pytest.fixture
def spill(tmp_path):
    return tmp_path / "spill"


def command(*arguments, server=None):
    env = dict(os.environ)
    if server is not None:
        env.update(TINYBIRD_URL=server.url, TINYBIRD_TOKEN=TOKEN, TINYLOG_BACKOFF_BASE="0.01")
    with tinylog(*arguments, env=env) as process:
        stdout, stderr = process.communicate(timeout=60)
    return process.returncode, stdout, stderr


@pytest.fixture
def left_behind(server, spill):
    """A spilled batch, the journal of a killed process, and a dead letter."""
    server.answer = error(503)
    assert run(server, spill, 'log.error("spilled")\nlog.error("spilled too")', shutdown_timeout=0.1)[0] == 0
    with start(
        server, spill, 'log.error("journaled")\nprint("", flush=True)\nsys.stdin.read()', journal=True
    ) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    server.answer = error(400, "no such column")
    assert run(server, spill / "other", 'log.error("dead")\nhandler.flush()')[0] == 0
    (spill / "other" / "dead").rename(spill / "dead")
    server.answer = server.success
    server.requests.clear()


def test_ls_shows_what_waits(left_behind, spill):
    """An operator sees what is kept, for which Data Source, and why, without a token."""
    status, stdout, stderr = command("spill", "ls", "--from", str(spill))
    assert status == 0, stderr
    states = [line.split()[1] for line in stdout.splitlines() if line.startswith("20")]
    assert sorted(states) == ["dead", "orphan", "spilled"]
    assert "HTTP 400: no such column" in stdout
    assert f"4 rows in 3 files of {spill}" in stdout


def test_dry_run_sends_nothing(left_behind, spill, server):
    """Whoever wants to know first what would happen is told."""
    status, stdout, _ = command("replay", "--dry-run", "--from", str(spill))
    assert (status, stdout) == (0, "would send 3 rows to logs\n")
    assert server.requests == []


def test_replay_sends_everything(left_behind, spill, server):
    """Rows of dead processes get into the table by one command."""
    status, stdout, stderr = command("replay", "--from", str(spill), server=server)
    assert status == 0, stderr
    assert "sent 3 rows" in stdout
    assert sorted(row["message"] for row in server.rows) == ["journaled", "spilled", "spilled too"]
    assert not [path for path in spill.iterdir() if path.is_file()]


def test_replay_against_a_server_that_is_down(left_behind, spill, server):
    """A failed replay says so, by its status too, and keeps the rows."""
    server.answer = error(503)
    status, _, stderr = command("replay", "--from", str(spill), server=server)
    assert status == 1
    assert "no more rows at present" in stderr
    assert TOKEN not in stderr
    assert len([path for path in spill.iterdir() if path.is_file()]) == 2


def test_replay_without_a_token(spill):
    """A missing setting is one line, not a traceback."""
    status, _, stderr = command("replay", "--from", str(spill))
    assert status == 1
    assert stderr.startswith("Error: token: none found")


def test_replay_from_a_store_beyond_this_machine(server, spill):
    """Rows of dead processes come back from an object store too, when their Data Source is named."""
    with running_s3() as s3:
        place = s3.place("rows", directory=spill)
        server.answer = error(503)
        assert run(server, place, 'log.error("stored")', shutdown_timeout=1.0, backoff_base=0.01)[0] == 0
        server.answer = server.success
        env = dict(os.environ, TINYLOG_SPILL=place, TINYBIRD_URL=server.url, TINYBIRD_TOKEN=TOKEN)
        with tinylog("replay", "--datasource", "logs", env=env) as process:
            stdout, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr
        assert "sent 1 rows" in stdout
        assert "hush-hush" not in stdout + stderr
    assert [row["message"] for row in server.rows] == ["stored"]
    assert not list(spill.glob("*.ndjson"))
