"""Processes that others stop: frozen and thawed, terminated as a worker, interrupted at the keyboard."""

from __future__ import annotations

import signal

from tests.process._run import finish, messages, run, run_file, start


def test_stopped_and_continued(server, spill):
    """A process that is frozen between a flush and its next rows, as on AWS Lambda, goes on as if nothing was (17)."""
    body = """
    for number in range(3):
        log.info("%d", number)
        print(handler.flush(10), flush=True)
        input()
    """
    with start(server, spill, body, flush_interval=30) as process:
        for number in range(3):
            assert process.stdout.readline() == "True\n"
            assert messages(server) == [str(done) for done in range(number + 1)]
            process.send_signal(signal.SIGSTOP)
            process.send_signal(signal.SIGCONT)
            print(file=process.stdin, flush=True)
        status, _, stderr = finish(process)
    assert (status, stderr) == (0, "")


def test_a_pool_that_is_terminated(server, spill, tmp_path):
    """`with Pool()` kills its workers by SIGTERM: with `flush_on_sigterm` their rows arrive all the same (8, 13)."""
    source = """
    import logging, multiprocessing
    import tinylog
    log = logging.getLogger("app")
    log.addHandler(tinylog.TinybirdHandler("logs", flush_interval=30, flush_on_sigterm=True))
    log.setLevel("DEBUG")
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(log.info, map(str, range(20)), chunksize=1)
    """
    status, _, stderr = run_file(server, spill, tmp_path, source)
    assert (status, stderr) == (0, "")
    assert messages(server) == sorted(map(str, range(20)))


def test_sigterm_in_a_forked_child(server, spill):
    """Workers that inherit `flush_on_sigterm` deliver when they are stopped, and not what is their parent's (8, 12)."""
    body = """
    import signal
    log.info("parent")
    child = os.fork()
    log.info("child" if child == 0 else "parent again")
    if child == 0:
        print("child", flush=True)
        while True:
            time.sleep(1)
    print(sys.stdin.readline().strip(), os.kill(child, signal.SIGTERM), os.waitpid(child, 0)[1], flush=True)
    """
    with start(server, spill, body, flush_interval=30, flush_on_sigterm=True) as process:
        assert process.stdout.readline() == "child\n"
        print("go", file=process.stdin, flush=True)
        status, stdout, stderr = finish(process)
    assert (status, stdout, stderr) == (0, "go None 15\n", "")
    assert messages(server) == ["child", "parent", "parent again"]


def test_ctrl_c_amidst_a_flush(server, spill):
    """A program that survives Ctrl-C while it flushes delivers those rows with the next flush (9)."""
    body = """
    transport = handler._door._processor._shared.transport
    send = transport.send
    def interrupted(request):
        transport.send = send
        raise KeyboardInterrupt
    transport.send = interrupted
    log.error("critical")
    try:
        handler.flush()
    except KeyboardInterrupt:
        print(handler.stats().in_flight, handler.stats().queued, handler.flush())
    """
    status, stdout, stderr = run(server, spill, body, flush_interval=30, backoff_base=0.01)
    assert (status, stdout, stderr) == (0, "0 1 True\n", "")
    assert messages(server) == ["critical"]
