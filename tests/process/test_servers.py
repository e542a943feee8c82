"""Servers and event loops as they are run in production: real workers, real requests, every row once."""

from __future__ import annotations

import contextlib
import http.client
import signal
import socket
import sys

import pytest

from tests._waiting import eventually
from tests.process._run import environment, finish, launch, messages, run_file

APP = """
import logging, logging.config, os
logging.config.dictConfig({
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"tinybird": {"class": "tinylog.TinybirdHandler", "datasource": "logs", "flush_interval": 30}},
    "loggers": {"shop": {"level": "INFO", "handlers": ["tinybird"]}},
})
log = logging.getLogger("shop")
log.info("loaded")

def app(environ, start_response):
    path = environ["PATH_INFO"]
    log.info("plain %s", path)
    log.error("critical %s", path)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def listening(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def ask(port, path):
    """Make a request; gives the process that has answered."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", path)
        return connection.getresponse().read().decode()


def serve(server, spill, folder, command):
    """Run a server of `APP` with two workers through some requests and a stop by SIGTERM; give messages, expected."""
    (folder / "shop.py").write_text(APP)
    port = free_port()
    command = [part.replace("PORT", str(port)) for part in command]
    workers = []
    with launch(command, environment(server, spill), cwd=folder) as process:
        try:
            eventually(lambda: listening(port) or process.poll() is not None)
            # Both must have come up: servers lose a SIGTERM that finds a worker amidst its start, and kill it later.
            eventually(lambda: workers.append(ask(port, f"/{len(workers)}")) or len(set(workers)) == 2)
            workers += [ask(port, f"/{number}") for number in range(len(workers), len(workers) + 10)]
        finally:
            process.send_signal(signal.SIGTERM)
            status, _, stderr = finish(process)
    assert status == 0, stderr
    assert "Traceback" not in stderr, stderr
    assert str(process.pid) not in workers
    expected = sorted(f"{kind} /{number}" for kind in ("plain", "critical") for number in range(len(workers)))
    return [message for message in messages(server) if message != "loaded"], expected


GUNICORN = [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:PORT", "--workers", "2", "--no-control-socket"]


@pytest.mark.parametrize("worker", ["sync", "gthread", "gevent"])
@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
def test_gunicorn(server, spill, tmp_path, worker, preload):
    """Behind gunicorn, preloaded or not, what each worker logs arrives once, up to the last request (10, 12, 15)."""
    command = [*GUNICORN, "--worker-class", worker, *preload, "shop:app"]
    arrived, expected = serve(server, spill, tmp_path, command)
    assert arrived == expected
    loaded = [row for row in server.rows if row["message"] == "loaded"]
    assert len(loaded) == (1 if preload else 2)


GREEN = """
{patch}
import logging, sys, threading
import tinylog
{late_patch}
handler = tinylog.TinybirdHandler("logs", flush_interval=0.02, shutdown_timeout=20)
log = logging.getLogger("app")
log.addHandler(handler)
log.setLevel("INFO")

def work(number):
    for row in range(20):
        log.info("%d %d", number, row)
        if row == 10:
            log.error("critical %d", number)
            assert handler.flush()
        {sleep}(0)

{spawn}
assert handler.flush()
log.info("last")
"""
GEVENT = {
    "sleep": "__import__('gevent').sleep",
    "spawn": "import gevent\ngevent.joinall([gevent.spawn(work, number) for number in range(5)], raise_error=True)",
}
EXPECTED_GREEN = sorted(
    [
        *(f"{number} {row}" for number in range(5) for row in range(20)),
        *(f"critical {number}" for number in range(5)),
        "last",
    ]
)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("patch", ["patch", "late_patch"])
def test_gevent(server, spill, tmp_path, patch):
    """A program that gevent has patched, before tinylog's import or after, delivers and never parks for ever (15)."""
    lines = {"patch": "", "late_patch": "", patch: "from gevent import monkey; monkey.patch_all()", **GEVENT}
    status, _, stderr = run_file(server, spill, tmp_path, GREEN.format(**lines))
    assert status == 0, stderr
    assert messages(server) == EXPECTED_GREEN


@pytest.mark.servers
def test_eventlet(server, spill, tmp_path):
    """A program that eventlet has patched delivers and never parks for ever (15)."""
    lines = {
        "patch": "import eventlet; eventlet.monkey_patch()",
        "late_patch": "",
        "sleep": "eventlet.sleep",
        "spawn": "for thread in [eventlet.spawn(work, number) for number in range(5)]: thread.wait()",
    }
    status, _, stderr = run_file(server, spill, tmp_path, GREEN.format(**lines))
    assert status == 0, stderr
    assert messages(server) == EXPECTED_GREEN


def test_asyncio(server, spill, tmp_path):
    """An event loop is never blocked by logging, and what its tasks log up to the end arrives (18)."""
    source = """
    import asyncio, logging
    import tinylog
    handler = tinylog.TinybirdHandler("logs", flush_interval=0.02)
    log = logging.getLogger("app")
    log.addHandler(handler)
    log.setLevel("INFO")

    async def work(number):
        for row in range(20):
            log.info("%d %d", number, row)
            await asyncio.sleep(0)
        log.error("critical %d", number)
        assert await asyncio.to_thread(handler.flush)

    async def main():
        await asyncio.gather(*map(work, range(5)))
        log.info("last")

    asyncio.run(main())
    """
    status, _, stderr = run_file(server, spill, tmp_path, source)
    assert (status, stderr) == (0, "")
    assert messages(server) == EXPECTED_GREEN


@pytest.mark.parametrize("has_threads", [0, 1])
def test_uwsgi_without_threads_is_told_what_to_do(server, spill, tmp_path, has_threads):
    """Whoever runs uWSGI without threads reads the option's name, once for all handlers; with threads nothing (14)."""
    source = f"""
    import sys, types
    sys.modules["uwsgi"] = types.ModuleType("uwsgi")
    sys.modules["uwsgi"].opt = {{}}
    sys.modules["uwsgi"].has_threads = {has_threads}
    import logging
    import tinylog
    log = logging.getLogger("app")
    log.addHandler(tinylog.TinybirdHandler("logs"))
    log.addHandler(tinylog.TinybirdHandler("logs"))
    for number in range(10):
        log.error("%d", number)
    """
    status, _, stderr = run_file(server, spill, tmp_path, source)
    assert status == 0
    assert stderr.count("set enable-threads = true") == (0 if has_threads else 1), stderr
    assert messages(server) == sorted([*map(str, range(10))] * 2)


CELERY = """
import logging, os, sys
from celery import Celery
import tinylog

folder = os.environ["BROKER"]
app = Celery("jobs", broker="filesystem://")
app.conf.broker_transport_options = {"data_folder_in": folder, "data_folder_out": folder, "control_folder": folder}
app.conf.worker_hijack_root_logger = False
log = logging.getLogger("app")
log.addHandler(tinylog.TinybirdHandler("logs", flush_interval=30))
log.setLevel("INFO")
log.info("loaded")

@app.task
def work(number):
    log.info("plain %d", number)
    log.error("critical %d", number)
    with open(os.path.join(os.environ["DONE"], str(number)), "w"):
        pass
"""


@pytest.mark.servers
def test_celery_prefork(server, spill, tmp_path):
    """Celery's workers, which end by `os._exit`, lose nothing of what their tasks logged, and double nothing (13)."""
    broker, done = tmp_path / "broker", tmp_path / "done"
    broker.mkdir()
    done.mkdir()
    (tmp_path / "jobs.py").write_text(CELERY)
    env = environment(server, spill, BROKER=str(broker), DONE=str(done))
    send = "import jobs; [jobs.work.delay(number) for number in range(8)]"
    with launch([sys.executable, "-c", send], env, cwd=tmp_path) as process:
        assert finish(process)[0] == 0
    command = [sys.executable, "-m", "celery", "-A", "jobs", "worker", "--pool", "prefork", "--concurrency", "2"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    with launch([*command, *quiet], env, cwd=tmp_path) as process:
        eventually(lambda: len(list(done.iterdir())) == 8 or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        status, _, stderr = finish(process)
    assert status == 0, stderr
    rows = [message for message in messages(server) if message != "loaded"]
    assert rows == sorted(f"{kind} {number}" for kind in ("plain", "critical") for number in range(8)), stderr
