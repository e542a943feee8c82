"""The end of a process: nothing that was logged is lost without being counted, and nothing hangs."""

from __future__ import annotations

import signal
import threading

import pytest

from tests._server import error
from tests.process._run import UNTIL_A_SIGNAL, finish, messages, run, spilled, start

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


def test_exit_functions_that_run_after_ours(server, spill):
    """What is logged by exit functions older than tinylog's import, even than logging's, is not lost in silence (8)."""
    before = """
    import atexit, sys
    def say(when):
        log.info("plain %s", when)
        log.error("critical %s", when)
        if structlog_too:
            processor(None, "info", {"event": f"structlog {when}"})
        stats = handler.stats()
        print(when, stats.submitted == stats.accounted, stats.spilled, dict(stats.dropped), flush=True)
    assert "logging" not in sys.modules
    atexit.register(say, "after logging.shutdown")
    import logging
    atexit.register(say, "before logging.shutdown")
    """
    body = """
    from tinylog.structlog import TinybirdProcessor
    processor, structlog_too = TinybirdProcessor("logs"), True
    log.info("plain")
    """
    status, stdout, stderr = run(server, spill, body, before=before)
    assert status == 0, stderr
    assert stdout == "before logging.shutdown True 0 {}\nafter logging.shutdown True 1 {'closed': 1}\n"
    assert messages(server) == [
        "critical before logging.shutdown",
        "plain",
        "plain before logging.shutdown",
        "structlog after logging.shutdown",
        "structlog before logging.shutdown",
    ]
    assert b'"critical after logging.shutdown"' in spilled(spill)
    assert stderr == "Data Source 'logs': lost 1 rows (closed)\n"


def test_a_destructor_that_logs_as_modules_are_torn_down(server, spill):
    """A `__del__` that logs at the very end, beside frozen threads, neither hangs nor prints tracebacks (2, 16)."""
    body = """
    class Last:
        def __del__(self, log=log):  # the module's own names are gone by then
            log.info("plain")
            log.error("critical")
    log.last = Last()
    def forever():
        while True:
            log.info("busy")
    for _ in range(2):
        threading.Thread(target=forever, daemon=True).start()
    last = Last()
    threading.program = sys.modules["__main__"]  # so that it is torn down, and not just left to frozen threads
    """
    status, _, stderr = run(server, spill, body, max_queue_rows=10, max_batch_rows=10)
    assert status == 0, stderr
    assert "Traceback" not in stderr
    assert "Error" not in stderr
    # Whether logging itself still works by then, and so the row exists at all, is a matter of the interpreter's order.


def test_the_first_row_at_the_end(server, spill):
    """A program that logs nothing until its exit functions run, when no thread can start any more, is heard (5, 6)."""
    body = 'import atexit; atexit.register(lambda: (log.info("plain"), log.error("critical")))'
    status, _, stderr = run(server, spill, body)
    assert (status, stderr) == (0, "")
    assert messages(server) == ["critical", "plain"]


def test_threads_that_cannot_start(server, spill):
    """On a machine that is out of threads rows wait for a flush, and threads are tried again later (6)."""
    body = """
    start = threading.Thread.start
    def refuse(self):
        raise RuntimeError("can't start new thread")
    threading.Thread.start = refuse
    log.info("first")
    print(handler.flush(), len(threading.enumerate()))
    threading.Thread.start = start
    handler._door._processor._start_at = 0.0  # "later"
    log.info("second")
    print(len(threading.enumerate()))
    """
    status, stdout, stderr = run(server, spill, body)
    assert (status, stdout) == (0, "True 1\n3\n"), stderr
    assert stderr == "no thread could be started (can't start new thread); rows wait for flush or close\n"
    assert messages(server) == ["first", "second"]


def test_ctrl_c_during_the_end(server, spill):
    """Whoever loses patience with a server that hangs, and presses Ctrl-C, keeps the critical rows on disk (9)."""
    release = threading.Event()
    server.answer = lambda received: release.wait(60) and None
    body = """
    log.info("plain")
    log.error("critical")
    """
    with start(server, spill, body, shutdown_timeout=50, flush_interval=30) as process:
        server.wait_for(lambda it: it.requests)
        process.send_signal(signal.SIGINT)
        finish(process)  # within its deadline
    release.set()
    assert b'"critical"' in spilled(spill)


def test_ctrl_c(server, spill):
    """A program that dies of KeyboardInterrupt has its rows delivered (8)."""
    body = """
    log.info("plain")
    log.error("critical")
    """
    with start(server, spill, body + UNTIL_A_SIGNAL, flush_interval=30) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        status, _, stderr = finish(process)
    assert status == -signal.SIGINT
    assert "KeyboardInterrupt" in stderr
    assert messages(server) == ["critical", "plain"]


def test_the_end_takes_no_longer_than_promised_for_all_handlers_together(server, spill):
    """Five handlers before a dead server cost one `shutdown_timeout`, though logging flushes each again (pitfall 9)."""
    release = threading.Event()
    server.answer = lambda received: release.wait(60) and None
    body = """
    for number in range(5):
        log.addHandler(tinylog.TinybirdHandler(f"logs{number}", shutdown_timeout=1.0, flush_interval=0.01 + number))
    log.info("plain")
    log.error("critical")
    import atexit
    began = time.monotonic()
    """
    before = """
    import atexit
    atexit.register(lambda: print(time.monotonic() - began < 4, flush=True))
    import time
    """
    status, stdout, stderr = run(server, spill, body, before=before, shutdown_timeout=1.0)
    release.set()
    assert (status, stdout) == (0, "True\n"), stderr
    assert spilled(spill).count(b'"critical"') == 6


def test_rows_that_come_in_while_the_end_delivers(server, spill):
    """What another thread logs while exit functions deliver is delivered too, spill or not, when time is left (8)."""
    first, release = threading.Event(), threading.Event()

    def answer(received):
        if received.rows[0]["message"] == "early":
            first.set()
            release.wait(60)
        return server.success(received)

    server.answer = answer
    body = """
    log.info("early")
    def late():
        sys.stdin.readline()
        log.info("late")
        log.error("late and critical")
        print("logged", flush=True)
    threading.Thread(target=late, daemon=True).start()
    """
    options = {"flush_interval": 60, "shutdown_timeout": 50, "env": {"TINYLOG_SPILL": "off"}}
    with start(server, spill, body, **options) as process:
        assert first.wait(30)
        print(file=process.stdin, flush=True)
        assert process.stdout.readline() == "logged\n"
        release.set()
        status, _, stderr = finish(process)
    assert (status, stderr) == (0, "")
    assert messages(server) == ["early", "late", "late and critical"]
