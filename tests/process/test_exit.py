"""The end of a process: nothing that was logged is lost without being counted, and nothing hangs."""

from __future__ import annotations

import threading

import pytest

from tests._server import error
from tests.process._run import run, spilled


ENDINGS = {
    "end of the program": ("pass", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "unhandled exception": ("raise ValueError('bye')", 1),
    "logging.shutdown first": ("logging.shutdown()", 0),
    "a thread that goes on": ("threading.Thread(target=lambda: log.info('late')).start()", 0),
    "exit function that logs": ("import atexit; atexit.register(lambda: log.info('late'))", 0),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_rows_logged_just_before_the_end_arrive(server, spill, ending):
    """However a program ends by itself, its last words are in the table (pitfall 8)."""
    code, status = ENDINGS[ending]
    body = f"""
    for number in range(2000):
        log.info("%d", number)
    log.error("last")
    {code}
    """
    returned, _, stderr = run(server, spill, body)
    assert returned == status, stderr
    assert "tinylog" not in stderr.replace("ValueError", "")
    late = ["late"] if "late" in code else []
    assert sorted(row["message"] for row in server.rows) == sorted([*map(str, range(2000)), "last", *late])


def test_a_server_that_never_answers_does_not_hang_the_end(server, spill):
    """With a server that accepts and says nothing, the process ends in time and spills what is critical (9)."""
    release = threading.Event()
    server.answer = lambda received: release.wait(60) and None
    body = """
    import time
    log.info("lost, and counted")
    log.error("kept")
    began = time.monotonic()
    handler.close()
    print(time.monotonic() - began < 1.0 + 0.5, dict(handler.stats().dropped), handler.stats().spilled)
    """
    status, stdout, stderr = run(server, spill, body, shutdown_timeout=1.0)
    release.set()
    assert (status, stdout) == (0, "True {'shutdown': 1} 1\n"), stderr
    assert b'"kept"' in spilled(spill)


def test_a_server_that_is_down_at_the_end(server, spill):
    """With no server at all, critical rows are on disk when the process has ended, and a later process sends them."""
    server.answer = error(503)
    assert run(server, spill, 'log.error("kept")', shutdown_timeout=0.2)[0] == 0
    assert b'"kept"' in spilled(spill)
    server.answer = server.success
    body = """
    import time
    log.info("hello")
    while not handler.stats().replayed.delivered:
        time.sleep(0.01)
    """
    assert run(server, spill, body)[0] == 0
    assert {row["message"] for row in server.rows} == {"hello", "kept"}
    assert spilled(spill) == b""
