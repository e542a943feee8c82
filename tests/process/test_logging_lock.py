"""Locks that are not ours: `flush` and `close` under `dictConfig`, from threads, signal handlers and callbacks."""

from __future__ import annotations

import signal
import threading

from tests.process._run import finish, messages, run, spilled, start

CHATTY = """
    # An HTTP client whose logging of each request needs the very lock that `dictConfig` holds, as urllib3's may.
    import logging.config
    from tinylog._transport import RequestsTransport
    sending = threading.Event()
    class Chatty(RequestsTransport):
        def send(self, request):
            response = super().send(request)
            sending.set()
            with logging._lock:
                logging.getLogger("urllib3").debug("sent")
            return response
    """


def held(server, message):
    """Have the server hold back its answer to one message; gives the events 'it has arrived' and 'answer'."""
    arrived, release = threading.Event(), threading.Event()

    def answer(received):
        if any(row["message"] == message for row in received.rows):
            arrived.set()
            release.wait(60)
        return server.success(received)

    server.answer = answer
    return arrived, release


def test_dict_config_while_the_worker_needs_loggings_lock(server, spill):
    """Configuring logging again does not deadlock with a worker inside a client that logs; no row is lost (4, 5)."""
    arrived, release = held(server, "first")
    body = (
        CHATTY
        + """
    chatty = tinylog.TinybirdHandler("logs", transport=Chatty(handler._door._processor._settings.connection))
    log.handlers[:] = [chatty]
    log.info("first")
    sys.stdin.readline()
    log.info("second")
    log.error("third")
    began = time.monotonic()
    threading.Timer(0.0, lambda: print("go", flush=True)).start()
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
    print(time.monotonic() - began < 2.5, flush=True)
    while chatty.stats().accounted != chatty.stats().submitted or chatty.stats().queued + chatty.stats().in_flight:
        time.sleep(0.01)
    print(chatty.stats().accepted + chatty.stats().delivered, flush=True)
    """
    )
    with start(server, spill, body, flush_interval=0.01, shutdown_timeout=50) as process:
        assert arrived.wait(30)
        print(file=process.stdin, flush=True)
        assert process.stdout.readline() == "go\n"
        release.set()
        status, stdout, stderr = finish(process)
    assert (status, stdout, stderr) == (0, "True\n3\n", "")
    assert messages(server) == ["first", "second", "third"]


def test_dict_config_before_a_server_that_never_answers(server, spill):
    """Configuring logging again while Tinybird hangs takes a second, not the whole time for a shutdown (4, 9)."""
    arrived, release = held(server, "first")
    body = """
    import logging.config
    log.error("first")
    sys.stdin.readline()
    began = time.monotonic()
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
    print(time.monotonic() - began < 10, flush=True)
    """
    with start(server, spill, body, flush_interval=0.01, shutdown_timeout=25) as process:
        assert arrived.wait(30)
        print(file=process.stdin, flush=True)
        assert process.stdout.readline() == "True\n"
        release.set()
        status, _, stderr = finish(process)
    assert (status, stderr) == (0, "")
    assert messages(server) == ["first"]


def test_dict_config_when_nothing_is_in_the_way(server, spill):
    """Configuring again right after start-up delivers at once what the first configuration has logged (4)."""
    body = """
    import logging.config
    config = {
        "version": 1, "disable_existing_loggers": False, "root": {"level": "INFO", "handlers": ["t"]},
        "handlers": {"t": {"class": "tinylog.TinybirdHandler", "datasource": "logs", "flush_interval": 30}},
    }
    log.handlers.clear()
    for number in range(5):
        logging.config.dictConfig(config)
        log.info("%d", number)
    """
    status, _, stderr = run(server, spill, body)
    assert (status, stderr) == (0, "")
    assert messages(server) == list("01234")


def test_flush_from_many_threads(server, spill):
    """Threads that flush at the same time, while others log, wait for each other's rows and not for ever."""
    body = """
    results = []
    def work(name):
        for number in range(20):
            log.info("%s %d", name, number)
            results.append(handler.flush())
    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(len(results), all(results))
    """
    status, stdout, stderr = run(server, spill, body, shutdown_timeout=30)
    assert (status, stdout, stderr) == (0, "80 True\n", "")
    assert messages(server) == sorted(f"{name} {number}" for name in "abcd" for number in range(20))


def test_flush_within_a_signal_handler(server, spill):
    """A signal handler that flushes, amidst a flush of the same thread, gives up instead of waiting for itself (16)."""
    arrived, release = held(server, "first")
    before = """
    import signal
    def flush(*_):
        print("inside", handler.flush(), flush=True)
    signal.signal(signal.SIGUSR1, flush)
    """
    body = """
    log.info("first")
    print("outside", handler.flush(), flush=True)
    os.kill(os.getpid(), signal.SIGUSR1)
    """
    with start(server, spill, body, before=before, flush_interval=30, shutdown_timeout=50) as process:
        assert arrived.wait(30)
        process.send_signal(signal.SIGUSR1)
        release.set()
        status, stdout, stderr = finish(process)
    assert (status, stderr) == (0, "")
    # When the signal comes is up to the kernel: amidst the flush, or right after it. It never hangs.
    assert stdout.splitlines()[-1] == "inside True"
    assert "outside True" in stdout
    assert messages(server) == ["first"]


def test_a_row_logged_by_a_signal_handler(server, spill):
    """A signal handler may log at any moment, amidst our own code, without a deadlock or a lost row (16)."""
    before = """
    import signal
    signal.signal(signal.SIGALRM, lambda *_: log.info("alarm"))
    """
    body = """
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    for number in range(5000):
        log.info("row")
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(handler.flush(), handler.stats().submitted == handler.stats().accepted > 5000)
    """
    status, stdout, stderr = run(server, spill, body, before=before, shutdown_timeout=30)
    assert (status, stdout, stderr) == (0, "True True\n", "")
    assert messages(server).count("row") == 5000


def test_flush_within_a_callback(server, spill):
    """An `on_event` callback that flushes or closes gets its answer at once; tinylog does not wait for itself."""
    server.answer = lambda received: (400, {}, b'{"error": "no"}')  # an event: dropped
    body = """
    told = threading.Event()
    def on_event(event):
        print(event.kind, flush=True)
        told.set()
        print(careful.flush(), flush=True)
    careful = tinylog.TinybirdHandler("more", on_event=on_event, flush_interval=0.01)
    log.handlers[:] = [careful]
    log.info("refused")
    told.wait(60)
    """
    status, stdout, _ = run(server, spill, body, shutdown_timeout=5)
    assert status == 0
    assert stdout.splitlines()[0] == "dropped"
    assert len(stdout.splitlines()) == 2


def test_flush_keeps_the_handler_alive(server, spill):
    """A function that the cloud freezes between invocations flushes at each one's end, again and again (17)."""
    body = """
    def invocation(number):
        log.info("plain %d", number)
        log.error("critical %d", number)
        return handler.flush(5)
    print([invocation(number) for number in range(5)])
    os._exit(0)  # frozen, and never thawed
    """
    status, stdout, stderr = run(server, spill, body, flush_interval=3600)
    assert (status, stdout, stderr) == (0, f"{[True] * 5}\n", "")
    assert messages(server) == sorted(f"{kind} {number}" for kind in ("plain", "critical") for number in range(5))
    assert spilled(spill) == b""
