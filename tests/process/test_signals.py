"""SIGTERM: what is documented to be lost without a handler, and what `flush_on_sigterm` keeps."""

from __future__ import annotations

import signal
import threading

import pytest

from tests.process._run import UNTIL_A_SIGNAL, finish, messages, run, spilled, start

ROWS = """
    log.info("plain")
    log.error("critical")
    """


def terminate(process):
    """Send SIGTERM once the program has said that it is ready; gives what `finish` gives."""
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    return finish(process)


def test_without_a_handler_nothing_is_sent(server, spill):
    """SIGTERM kills Python at once, as README says: nobody is surprised by a delay, or by rows in memory lost (8)."""
    with start(server, spill, ROWS + UNTIL_A_SIGNAL, flush_interval=30) as process:
        status, _, stderr = terminate(process)
    assert (status, stderr) == (-signal.SIGTERM, "")
    assert server.rows == []


def test_without_a_handler_a_journal_keeps_acknowledged_rows(server, spill):
    """With a journal the next process sends the critical rows of one that SIGTERM has killed (8)."""
    with start(server, spill, ROWS + UNTIL_A_SIGNAL, flush_interval=30, journal=True) as process:
        status, _, _ = terminate(process)
    assert status == -signal.SIGTERM
    body = """
    log.info("next")
    while not handler.stats().replayed.delivered:
        time.sleep(0.01)
    """
    assert run(server, spill, body)[0] == 0
    assert messages(server) == ["critical", "next"]


def test_flush_on_sigterm_delivers_and_dies_of_the_signal(server, spill):
    """A container's stop costs no rows, and its supervisor sees the status that it expects (8)."""
    with start(server, spill, ROWS + UNTIL_A_SIGNAL, flush_interval=30, flush_on_sigterm=True) as process:
        status, _, stderr = terminate(process)
    assert (status, stderr) == (-signal.SIGTERM, "")
    assert messages(server) == ["critical", "plain"]


def test_flush_on_sigterm_before_a_server_that_never_answers(server, spill):
    """A stop waits no longer than `shutdown_timeout`, and critical rows are on disk then (8, 9)."""
    release = threading.Event()
    server.answer = lambda received: release.wait(60) and None
    options = {"flush_interval": 30, "flush_on_sigterm": True, "shutdown_timeout": 0.5}
    with start(server, spill, ROWS + UNTIL_A_SIGNAL, **options) as process:
        status, _, _ = terminate(process)
    release.set()
    assert status == -signal.SIGTERM
    assert b'"critical"' in spilled(spill)


def test_a_second_sigterm_kills_at_once(server, spill):
    """Whoever insists is obeyed: the second SIGTERM does not wait for a server that hangs (9)."""
    release = threading.Event()
    server.answer = lambda received: release.wait(60) and None
    options = {"flush_interval": 30, "flush_on_sigterm": True, "shutdown_timeout": 1000}
    with start(server, spill, ROWS + UNTIL_A_SIGNAL, **options) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        server.wait_for(lambda it: it.requests)
        process.send_signal(signal.SIGTERM)
        status, _, _ = finish(process)  # within its deadline
    release.set()
    assert status == -signal.SIGTERM


def test_the_applications_handler_is_called_as_before(server, spill):
    """A graceful shutdown of the application's own goes on as it was written, and decides about the status (8)."""
    before = """
    import signal, sys
    def stop(number, frame):
        log.info("stopping %d %s", number, frame is not None)
        sys.exit(5)
    signal.signal(signal.SIGTERM, stop)
    """
    with start(
        server, spill, ROWS + UNTIL_A_SIGNAL, before=before, flush_interval=30, flush_on_sigterm=True
    ) as process:
        status, _, stderr = terminate(process)
    assert (status, stderr) == (5, "")
    assert messages(server) == ["critical", "plain", "stopping 15 True"]


def test_an_application_that_carries_on_loses_no_rows(server, spill):
    """A handler of the application's that ends nothing, as one that reloads does, costs no row logged since (8)."""
    before = """
    import signal
    signal.signal(signal.SIGTERM, lambda *_: log.info("no"))
    """
    body = """
    for number in range(5):
        for row in range(200):
            log.info("%d", number * 200 + row)
        os.kill(os.getpid(), signal.SIGTERM)
    """
    options = {"flush_interval": 0.01, "flush_on_sigterm": True, "env": {"TINYLOG_SPILL": "off"}}
    status, _, stderr = run(server, spill, body, before=before, **options)
    assert (status, stderr) == (0, "")
    assert messages(server) == sorted([*map(str, range(1000)), *["no"] * 5])


def test_ignored_stays_ignored(server, spill):
    """A program that ignores SIGTERM, as under nohup-like supervisors, is not made to die of it."""
    before = """
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    """
    body = """
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    os.kill(os.getpid(), signal.SIGTERM)
    """
    status, _, stderr = run(server, spill, body + ROWS, before=before, flush_on_sigterm=True)
    assert (status, stderr) == (0, "")
    assert messages(server) == ["critical", "plain"]


def test_outside_of_the_main_thread(server, spill):
    """Whoever makes the handlers where Python forbids signal handlers is told so, once, and logs all the same."""
    body = """
    def make():
        for name in ("one", "two"):
            log.addHandler(tinylog.TinybirdHandler(name, flush_on_sigterm=True))
    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    log.info("plain")
    """
    status, _, stderr = run(server, spill, body)
    assert status == 0
    assert stderr.count("flush_on_sigterm has no effect: Python lets only the main thread install it") == 1
    assert messages(server) == ["plain"] * 3


def test_two_handlers_install_one_signal_handler(server, spill):
    """Two handlers with the setting neither call each other nor the application's handler twice."""
    before = """
    import signal, sys
    signal.signal(signal.SIGTERM, lambda *_: print("called", flush=True))
    """
    body = """
    log.addHandler(tinylog.TinybirdHandler("more", flush_on_sigterm=True, flush_interval=5))
    os.kill(os.getpid(), signal.SIGTERM)
    log.info("plain")
    """
    status, stdout, stderr = run(server, spill, body, before=before, flush_on_sigterm=True)
    assert (status, stdout, stderr) == (0, "called\n", "")
    assert messages(server) == ["plain", "plain"]


@pytest.mark.parametrize("rows", ["log.info('plain')", "log.error('critical')"])
def test_while_logging_in_a_loop(server, spill, rows):
    """SIGTERM at any moment, amidst our own code and its locks, never hangs a program that logs all the time (8)."""
    body = f"""
    while True:
        {rows}
    """
    with start(server, spill, body, flush_interval=0.01, flush_on_sigterm=True) as process:
        server.wait_for(lambda it: it.rows)
        process.send_signal(signal.SIGTERM)
        status, _, stderr = finish(process)
    assert (status, stderr) == (-signal.SIGTERM, "")


@pytest.mark.parametrize("lock", ["queue._lock", "_export_lock"])
def test_while_a_lock_of_ours_is_held(server, spill, lock):
    """A signal that finds the main thread inside of a lock does not wait for it: the main thread goes on (8)."""
    body = f"""
    log.info("plain")
    lane = next(lane for lane in handler._door._lanes.values() if lane.route.delivery.value != "ack")
    got_it = threading.Event()
    with lane.{lock}:
        os.kill(os.getpid(), signal.SIGTERM)
        signal_seen = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        print(signal_seen, flush=True)
    got_it.wait(60)
    """
    status, stdout, stderr = run(server, spill, body, before="import signal", flush_interval=30, flush_on_sigterm=True)
    assert (status, stdout, stderr) == (-signal.SIGTERM, "True\n", "")
    assert messages(server) == ["plain"]
