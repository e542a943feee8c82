"""``tinylog dev`` as a process: its folder, its port, its end."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests._devserver import DEADLINE, running_dev_server, tinylog


def _fails(*arguments, **options):
    process = tinylog("dev", *arguments, **options)
    output, errors = process.communicate(timeout=DEADLINE)
    assert output == ""
    assert len(errors.strip().splitlines()) == 1, errors
    return process.returncode, errors


def test_rows_survive_kill_9_and_restart(tmp_path):
    """An acknowledged row is promised; and nobody wants to send everything again after a restart."""
    with running_dev_server("--data", str(tmp_path / "d")) as server:
        token = server.token
        for number in range(20):
            server.send("logs", [{"n": number}])
        server.send("logs", [{"n": "x", "new": 1}])
        server.process.kill()
        server.process.wait(DEADLINE)
    with running_dev_server("--data", str(tmp_path / "d")) as server:
        assert server.token == token
        assert server.sql("SELECT count() AS c, sum(n) AS s FROM logs") == [{"c": 20, "s": 190}]
        assert server.sql("SELECT n, new FROM logs_quarantine") == [{"n": "x", "new": "1"}]
        server.send("logs", [{"n": 20, "newer": True}])
        assert server.types("logs") == {"n": "Nullable(Int64)", "new": "Nullable(Int64)", "newer": "Nullable(Bool)"}
    assert oct((tmp_path / "d" / "token").stat().st_mode & 0o777) == "0o600"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_writes_accepted_rows(tmp_path, number):
    """Ctrl-C after a 202 must not cost the row, nor look like a failure to a supervisor."""
    with running_dev_server("--data", str(tmp_path)) as server:
        for value in range(10):
            server.send("logs", [{"n": value}], wait=False)
        assert server.stop(number) == 0
        assert server.process.stderr.read() == ""
    with running_dev_server("--data", str(tmp_path)) as server:
        assert server.sql("SELECT count() AS c FROM logs") == [{"c": 10}]


def test_stop_does_not_wait_for_a_long_query():
    """Ctrl-C must end the server though somebody's query would run on, and without a traceback."""
    query = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"
    with running_dev_server() as server, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(server.get, "/v0/sql", q=query)
        running = (
            "SELECT count() AS c FROM system.processes WHERE query LIKE '%sipHash64%' AND query NOT LIKE '%system%'"
        )
        while server.sql(running) == [{"c": 0}]:
            assert not answer.done()
        assert server.stop() == 0
        assert "cancelled" in answer.result(DEADLINE).json()["error"]
        assert server.process.stderr.read() == ""


def test_second_server_on_folder_or_port(tmp_path):
    """Two servers on one folder would corrupt it; the message must say what to do."""
    with running_dev_server("--data", str(tmp_path)) as server:
        status, errors = _fails("--data", str(tmp_path), "--port", "0")
        assert status == 1
        assert str(server.process.pid) in errors
        assert str(tmp_path) in errors
        status, errors = _fails("--ephemeral", "--port", server.url.rpartition(":")[2])
        assert status == 1
        assert "--port 0" in errors


def test_ephemeral_folder_is_removed(tmp_path):
    """A test suite that starts a server a run must not fill the disk."""
    with running_dev_server(env={"TMPDIR": str(tmp_path)}) as server:
        server.send("logs", [{"n": 1}])
        assert list(tmp_path.iterdir())
        assert server.stop() == 0
    assert not list(tmp_path.iterdir())


def test_default_folder_and_printed_lines(tmp_path):
    """The first thing a newcomer does is copy the two export lines."""
    env = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "xdg"), "TINYLOG_DEV_TOKEN": "my-token"}
    with running_dev_server("--data", str(tmp_path / "xdg" / "tinylog" / "dev")) as server:
        status, errors = _fails("--port", "0", env=env)
        assert (status, str(tmp_path / "xdg" / "tinylog" / "dev") in errors) == (1, True)
    assert f"export TINYBIRD_URL={server.url}" in server.printed
    assert f"export TINYBIRD_TOKEN={server.token}" in server.printed


def test_token_from_the_environment():
    """A compose file or a CI job fixes the token before the server is started."""
    with running_dev_server(env={"TINYLOG_DEV_TOKEN": "my-token"}) as server:
        assert server.token == "my-token"
        server.send("logs", [{"n": 1}])


def test_no_auto_columns():
    """Who wants Tinybird's own behaviour, new fields ignored, must be able to have it."""
    with running_dev_server("--no-auto-columns") as server:
        server.send("logs", [{"n": 1}])
        assert server.send("logs", [{"n": 2, "new": 1}])["successful_rows"] == 1
        assert server.types("logs") == {"n": "Nullable(Int64)"}


@pytest.mark.parametrize(
    ("missing", "arguments", "extra"),
    [("chdb", ["dev"], "dev"), ("uvicorn", ["dev"], "dev"), ("click", ["--help"], "cli")],
)
def test_missing_extra_is_named(missing, arguments, extra):
    """A traceback does not tell a newcomer what to install."""
    code = f"import sys; sys.modules[{missing!r}] = None; from tinylog.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"tinylog-tinybird[{extra}]" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_loads_nothing_heavy():
    """The help must be there at once, and without the extra."""
    code = (
        "import sys; from tinylog.cli import main\ntry: main()\n"
        "finally: assert not {'chdb', 'uvicorn', 'starlette'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, "dev", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--ephemeral" in done.stdout
