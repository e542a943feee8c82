"""Forks: the child starts afresh whatever the parent's threads were doing, and never does the parent's work."""

from __future__ import annotations

import threading

from tests._server import error
from tests.process._run import finish, messages, run, spilled, start

END_OF_CHILD = """
    if not child:
        print("child", handler.flush(), handler.stats().submitted, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    """


def test_the_child_sends_its_own_rows_and_not_its_parents(server, spill):
    """A web worker that forks neither goes silent nor sends its parent's rows again (pitfall 12)."""
    body = """
    log.info("parent before")
    log.error("critical before")
    child = os.fork()
    log.info("in %s", "child" if child == 0 else "parent")
    if child:
        os.waitpid(child, 0)
    print(handler.flush(), handler.stats().submitted)
    """
    status, stdout, stderr = run(server, spill, body, flush_interval=30)
    assert status == 0, stderr
    assert sorted(stdout.splitlines()) == ["True 1", "True 3"]
    assert messages(server) == ["critical before", "in child", "in parent", "parent before"]


def test_fork_while_the_worker_is_sending(server, spill):
    """A fork amidst a request, with all that the worker holds then, neither hangs nor mutes the child (10)."""
    release = threading.Event()

    def answer(received):
        if any(row["message"].startswith("slow") for row in received.rows):
            release.wait(60)
        return server.success(received)

    server.answer = answer
    body = """
    log.info("slow")
    log.error("slow and critical")
    input()
    child = os.fork()
    if not child:
        log.info("child")
        log.error("critical child")
    """
    with start(server, spill, body + END_OF_CHILD, flush_interval=0.01) as process:
        server.wait_for(lambda it: len(it.requests) == 2)
        print(file=process.stdin, flush=True)
        server.wait_for(lambda it: len(it.rows) == 2)  # the child's, while both requests of the parent are open
        assert process.stdout.readline() == "child True 2\n"
        release.set()
        status, _, stderr = finish(process)
    assert (status, stderr) == (0, "")
    assert messages(server) == ["child", "critical child", "slow", "slow and critical"]


def test_fork_while_another_thread_holds_the_locks(server, spill):
    """A thread caught by the fork amidst a logging call, a flush or a spill does not block the child for ever (10)."""
    body = """
    door = handler._door
    locks = [door._processor._lock, door._processor._starting, door._processor._shared.buffer._lock]
    for lane in door._lanes.values():
        locks += [lane.queue._lock, lane._export_lock]
    held, done = threading.Event(), threading.Event()
    def hold():
        for lock in locks:
            lock.acquire()
        held.set()
        done.wait(60)
        for lock in reversed(locks):
            lock.release()
    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    child = os.fork()
    if not child:
        log.info("child")
        log.error("critical child")
    """
    end = """
    done.set()
    thread.join()
    log.info("parent")
    """
    status, stdout, stderr = run(server, spill, body + END_OF_CHILD + end)
    assert (status, stdout) == (0, "child True 2\n"), stderr
    assert messages(server) == ["child", "critical child", "parent"]


def test_fork_from_another_thread(server, spill):
    """A job runner that forks in a thread gets a child that logs, and that ends when that thread does (12)."""
    body = """
    log.info("before")
    def fork():
        child = os.fork()
        if child:
            print(os.waitpid(child, 0)[1], flush=True)
        else:
            log.info("child")  # then it ends: no exit function runs, but no thread of ours may keep it alive
    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
    log.info("after")
    """
    status, stdout, stderr = run(server, spill, body, flush_interval=30)
    assert (status, stdout, stderr) == (0, "0\n", "")
    assert messages(server) == ["after", "before", "child"]


def test_children_and_grandchildren_again_and_again(server, spill):
    """A server that forks for each request, whose children fork too, loses and doubles nothing (12)."""
    body = """
    for number in range(5):
        log.info("parent %d", number)
        child = os.fork()
        if not child:
            log.info("child %d", number)
            grandchild = os.fork()
            log.info("%s %d", "child again" if grandchild else "grandchild", number)
            if grandchild:
                os.waitpid(grandchild, 0)
            sys.exit()
        os.waitpid(child, 0)
    """
    status, _, stderr = run(server, spill, body)
    assert status == 0, stderr
    who = ("parent", "child", "child again", "grandchild")
    assert messages(server) == sorted(f"{name} {number}" for name in who for number in range(5))


def test_a_child_that_never_logs_costs_nothing(server, spill):
    """A child that has nothing to say starts no thread, sends nothing, and leaves the parent's rows alone (12)."""
    body = """
    log.info("parent")
    log.error("critical")
    child = os.fork()
    if not child:
        print("threads", len(os.listdir("/proc/self/task")), flush=True)
        sys.exit()
    os.waitpid(child, 0)
    print(len(threading.enumerate()))
    """
    status, stdout, stderr = run(server, spill, body, flush_interval=30)
    assert (status, stdout) == (0, "threads 1\n3\n"), stderr
    assert messages(server) == ["critical", "parent"]


def test_the_parents_spill_files_are_not_the_childs(server, spill):
    """A child's end, in order or not, neither deletes nor sends what the parent has spilled (11)."""
    server.answer = error(503)
    body = """
    log.error("spilled")
    handler.flush()
    before = sorted(os.listdir(os.environ["TINYLOG_SPILL"]))
    assert len(before) == 1
    for end in (sys.exit, os._exit):
        child = os.fork()
        if not child:
            end(0)
        os.waitpid(child, 0)
    assert sorted(os.listdir(os.environ["TINYLOG_SPILL"])) == before
    """
    status, _, stderr = run(server, spill, body, max_attempts=1, backoff_base=30)
    assert status == 0, stderr
    assert b'"spilled"' in spilled(spill)


def test_the_parents_claim_on_a_spill_file_outlives_the_child(server, spill):
    """What the parent is replaying at the moment of the fork is not sent by the child as well (11)."""
    server.answer = error(503)
    assert run(server, spill, 'log.error("replayed")', shutdown_timeout=0.1)[0] == 0
    release, replaying = threading.Event(), threading.Event()

    def answer(received):
        if received.rows[0]["message"] == "replayed":
            replaying.set()
            release.wait(60)
        return server.success(received)

    server.answer = answer
    body = """
    log.info("wake up")
    input()
    child = os.fork()
    if not child:
        log.error("child")  # its own thread would look for spilled rows now
        log.info("child")
        while handler.stats().requests < 2:
            time.sleep(0.01)
    """
    with start(server, spill, body + END_OF_CHILD, flush_interval=0.01) as process:
        assert replaying.wait(30)
        print(file=process.stdin, flush=True)
        assert process.stdout.readline() == "child True 2\n"
        release.set()
        status, _, stderr = finish(process)
    assert (status, stderr) == (0, "")
    assert messages(server) == ["child", "child", "replayed", "wake up"]


def test_a_fork_that_python_is_not_told_of(server, spill):
    """Under uWSGI, which forks in C, workers deliver, and do not send again what was logged before (12, 14)."""
    before = """
    import sys, types
    sys.modules["uwsgi"] = types.ModuleType("uwsgi")
    sys.modules["uwsgi"].opt = {b"enable-threads": b"true"}
    """
    body = """
    import ctypes
    start = threading.Thread.start
    threading.Thread.start = lambda self: None  # Python itself may hang when it is forked so with more threads
    log.info("parent")
    threading.Thread.start = start
    child = ctypes.PyDLL(None).fork()
    if not child:
        log.info("child")
    """
    status, stdout, stderr = run(server, spill, body + END_OF_CHILD, before=before, flush_interval=30)
    assert (status, stdout, stderr) == (0, "child True 1\n", "")
    assert messages(server) == ["child", "parent"]


def test_threads_that_uwsgi_does_not_run(server, spill):
    """Where threads do not run between requests, a line says so and names the option; rows wait, and arrive (14)."""
    before = """
    import sys, types
    sys.modules["uwsgi"] = types.ModuleType("uwsgi")
    sys.modules["uwsgi"].__dict__.update(opt={}, has_threads=0, worker_id=lambda: 1)
    """
    status, _, stderr = run(server, spill, 'log.info("plain")', before=before)
    hint = "uWSGI runs no threads between requests, so that rows wait for the next request, or for the end"
    assert (status, stderr) == (0, f"{hint}: set enable-threads = true\n")
    assert messages(server) == ["plain"]
