"""What most tests need: a server, handlers that are closed and whose ledgers add up, a clean environment."""

from __future__ import annotations

import logging
import os

import pytest

import tinylog
from tests._devserver import dev_server, fresh_name  # noqa: F401 - fixtures
from tests._server import EventsServer

TOKEN = "p.eyJ1IjogInNlY3JldCJ9.not-a-real-token"  # appears nowhere but in the Authorization header


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    """Keep the developer's own settings, folders and `.tinyb` out of the tests."""
    for name in list(os.environ):
        if name.startswith(("TINYLOG_", "TINYBIRD_", "OTEL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server():
    """A loopback Events API."""
    server = EventsServer()
    yield server
    server.stop()


@pytest.fixture
def make_handler(server, tmp_path):
    """Make handlers for `server`; at the end they are closed and every record must be accounted for."""
    handlers = []

    def make(**options):
        defaults = {
            "token": TOKEN,
            "host": server.url,
            "spill": tmp_path / "spill",
            "flush_interval": 0.05,
            "backoff_base": 0.01,
            "backoff_cap": 0.05,
        }
        handler = tinylog.TinybirdHandler("logs", **{**defaults, **options})
        handlers.append(handler)
        return handler

    yield make
    for handler in handlers:
        handler.close()
        stats = handler.stats()
        assert stats.submitted == stats.accounted
        assert stats.queued == stats.in_flight == 0


@pytest.fixture
def make_logger(make_handler):
    """Make a logger with one handler; gives both."""
    made = []

    def make(**options):
        logger = logging.Logger(f"app.{len(made)}")
        handler = make_handler(**options)
        logger.addHandler(handler)
        made.append(logger)
        return logger, handler

    return make
