"""`multiprocessing` and `concurrent.futures`: children that end by `os._exit`, without exit functions, lose nothing."""

from __future__ import annotations

import sys

import pytest

from tests._server import error
from tests.process._run import messages, run_file, spilled

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks for every way to start a process")

METHODS = ["fork", "spawn", "forkserver"]
PROGRAM = """
import logging, multiprocessing, os, sys
import concurrent.futures
import tinylog

log = logging.getLogger("app")

def configure():
    handler = tinylog.TinybirdHandler("logs", flush_interval=30, {options})
    log.addHandler(handler)
    log.setLevel("DEBUG")
    return handler

def work(name):
    log.info("plain %s", name)
    log.error("critical %s", name)
    return os.getpid()

if "{method}" != "fork" or __name__ == "__main__":  # children that are not forked import this and configure anew
    handler = configure()

def main():
    context = multiprocessing.get_context("{method}")
    {body}

if __name__ == "__main__":
    main()
"""


def run_program(server, spill, folder, method, body, *, options="", **env):
    source = PROGRAM.format(method=method, body=body.strip("\n").replace("\n", "\n    "), options=options)
    status, stdout, stderr = run_file(server, spill, folder, source, **env)
    assert status == 0, stderr
    assert "tinylog" not in stderr.lower(), stderr
    return stdout


def expected(*names):
    return sorted(f"{kind} {name}" for kind in ("plain", "critical") for name in names)


@pytest.mark.parametrize("method", METHODS)
def test_a_process_delivers_its_rows_once(server, spill, tmp_path, method):
    """What a `Process` logs arrives once, and what its parent had queued is not sent by both (12, 13)."""
    body = """
work("before")
processes = [context.Process(target=work, args=(number,)) for number in range(3)]
for process in processes:
    process.start()
for process in processes:
    process.join()
    assert process.exitcode == 0
work("after")
"""
    run_program(server, spill, tmp_path, method, body)
    assert messages(server) == expected("before", 0, 1, 2, "after")


@pytest.mark.parametrize("method", METHODS)
def test_the_workers_of_a_pool_deliver_their_rows_once(server, spill, tmp_path, method):
    """A `Pool` that is closed and joined loses nothing of what its tasks logged (13)."""
    body = """
work("before")
with context.Pool(2, maxtasksperchild=2) as pool:
    pool.map(work, range(8), chunksize=1)
    pool.close()
    pool.join()
"""
    run_program(server, spill, tmp_path, method, body)
    assert messages(server) == expected("before", *range(8))


@pytest.mark.parametrize("method", METHODS)
def test_the_workers_of_an_executor_deliver_their_rows_once(server, spill, tmp_path, method):
    """A `ProcessPoolExecutor` loses nothing of what its tasks logged (13)."""
    body = """
work("before")
with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
    list(pool.map(work, range(8)))
"""
    run_program(server, spill, tmp_path, method, body)
    assert messages(server) == expected("before", *range(8))


def test_a_handler_made_in_the_child(server, spill, tmp_path):
    """A worker that configures logging by itself, as a Pool's initializer does, delivers at its end (13)."""
    body = """
log.handlers.clear()
def child():
    configure()
    work("child")
process = context.Process(target=child)
process.start()
process.join()
"""
    run_program(server, spill, tmp_path, "fork", body)
    assert messages(server) == expected("child")


def test_multiprocessing_imported_after_the_first_row(server, spill, tmp_path):
    """A program that imports multiprocessing late, in a function, loses nothing of its children's rows either (13)."""
    source = """
    import logging, sys
    import tinylog
    log = logging.getLogger("app")
    log.addHandler(tinylog.TinybirdHandler("logs", flush_interval=30))
    log.error("parent")
    assert "multiprocessing.util" not in sys.modules
    import multiprocessing
    process = multiprocessing.get_context("fork").Process(target=log.error, args=("child",))
    process.start()
    process.join()
    """
    status, _, stderr = run_file(server, spill, tmp_path, source)
    assert (status, stderr) == (0, "")
    assert messages(server) == ["child", "parent"]


@pytest.mark.parametrize("method", METHODS)
def test_the_parents_spill_outlives_its_children(server, spill, tmp_path, method):
    """The end of a child deletes none of the rows that its parent has spilled, and doubles none (11, 13)."""
    server.answer = error(503)
    body = """
work("parent")
handler.flush()
folder = os.environ["TINYLOG_SPILL"]
before = set(os.listdir(folder))
process = context.Process(target=work, args=("child",))
process.start()
process.join()
assert before and before < set(os.listdir(folder)), (before, os.listdir(folder))
"""
    run_file_options = "max_attempts=1, backoff_base=30, shutdown_timeout=0.3"
    source = PROGRAM.format(method=method, body=body.replace("\n", "\n    "), options=run_file_options)
    status, _, stderr = run_file(server, spill, tmp_path, source)
    assert status == 0, stderr
    kept = spilled(spill)
    assert (kept.count(b'"critical parent"'), kept.count(b'"critical child"')) == (1, 1)


def test_os_exit_after_a_flush(server, spill, tmp_path):
    """A job runner whose children end by `os._exit` itself has `flush` to call first, as documented (13)."""
    body = """
child = os.fork()
if not child:
    work("child")
    assert handler.flush()
    os._exit(0)
os.waitpid(child, 0)
"""
    run_program(server, spill, tmp_path, "fork", body)
    assert messages(server) == expected("child")
