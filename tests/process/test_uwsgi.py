"""uWSGI: it forks in C, without Python's hooks, and older ones run threads only when told to (pitfalls 12, 14)."""

from __future__ import annotations

import contextlib
import pathlib
import re
import signal
import sys
import textwrap
import urllib.request

import pytest

from tests._waiting import eventually
from tests.process._run import environment, finish, launch, messages, spilled

APP = """
import logging.config

logging.config.dictConfig({
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"t": {"class": "tinylog.TinybirdHandler", "datasource": "logs", "flush_interval": 0.2}},
    "root": {"level": "INFO", "handlers": ["t"]},
})
log = logging.getLogger("app")
log.info("loaded")

def application(environ, start_response):
    log.info("plain %s", environ["PATH_INFO"])
    log.error("critical %s", environ["PATH_INFO"])
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
pytestmark = pytest.mark.servers

HINT = "set enable-threads = true"
THREADS = "--enable-threads"
ADDRESS = re.compile(r"bound to TCP address (127\.0\.0\.1:\d+)")
# Loaded once and then forked, or loaded by both workers.
PREFORKED_ONE = re.compile("spawned uWSGI worker 1 ")
SERVING = re.compile(
    r"ready in .*spawned uWSGI worker (\d.*worker 2|1 \(and the only)|worker 2.*(ready in.*){2}", re.DOTALL
)
MODES = {
    "forked": ["--master", "--processes", "2"],
    "forked, threads": ["--master", "--processes", "2", THREADS],
    "forked, threads of its own": ["--master", "--processes", "2", "--threads", "2"],
    "forked, fork hooks": ["--master", "--processes", "2", THREADS, "--py-call-uwsgi-fork-hooks"],
    "loaded in each worker": ["--master", "--processes", "2", "--lazy-apps"],
    "loaded in each worker, threads": ["--master", "--processes", "2", "--lazy-apps", THREADS],
}


@contextlib.contextmanager
def uwsgi(server, spill, folder, options):
    """Run the application; gives the process, its URL and what it has written."""
    (folder / "app.py").write_text(textwrap.dedent(APP))
    log = folder / "uwsgi.log"
    command = [pathlib.Path(sys.executable).parent / "uwsgi", "--http-socket", "127.0.0.1:0", "--module", "app"]
    command += ["--need-app", "--die-on-term", "--virtualenv", sys.prefix, "--logto2", log, *options]
    with launch(command, environment(server, spill), cwd=folder) as process:
        try:
            yield process, log
        finally:
            process.kill()


def url_of(process, log, serving=SERVING):
    """Wait until it serves."""
    eventually(lambda: process.poll() is not None or (log.exists() and serving.search(log.read_text())))
    return f"http://{ADDRESS.search(log.read_text())[1]}"


@pytest.mark.parametrize("mode", MODES)
def test_all_rows_arrive_once(server, spill, tmp_path, mode):
    """However uWSGI is configured, each row is in the table once it has been stopped, and nothing is doubled."""
    options = MODES[mode]
    with uwsgi(server, spill, tmp_path, options) as (process, log):
        url = url_of(process, log)
        for number in range(20):
            assert urllib.request.urlopen(f"{url}/{number}", timeout=30).read() == b"ok"
        process.send_signal(signal.SIGTERM)
        status, _, _ = finish(process)
    said = log.read_text()
    assert status == 0, said
    threads = "threads support enabled" in said  # always so in newer versions
    loads = 2 if "--lazy-apps" in options else 1
    expected = [f"{kind} /{number}" for kind in ("plain", "critical") for number in range(20)]
    assert messages(server) == sorted(expected + ["loaded"] * loads), said
    assert (HINT in said) != threads, said
    assert threads or not {THREADS, "--threads"} & set(options)
    assert "Traceback" not in said
    assert spilled(spill) == b""


def test_a_worker_that_is_replaced_does_not_send_again(server, spill, tmp_path):
    """With `max-requests` the next worker does not repeat what was logged while the application was loaded."""
    options = ["--master", "--processes", "1", "--max-requests", "3", "--min-worker-lifetime", "0", THREADS]
    with uwsgi(server, spill, tmp_path, options) as (process, log):
        url = url_of(process, log, PREFORKED_ONE)
        for number in range(8):
            assert urllib.request.urlopen(f"{url}/{number}", timeout=30).read() == b"ok"
        process.send_signal(signal.SIGTERM)
        finish(process)
    said = log.read_text()
    assert "Respawned uWSGI worker 1" in said
    expected = [f"{kind} /{number}" for kind in ("plain", "critical") for number in range(8)]
    assert messages(server) == sorted([*expected, "loaded"]), said
