"""The door for `logging`, from a plain `dictConfig` to the rows that a server receives."""

from __future__ import annotations

import gc
import logging
import logging.config
import threading
import time
import weakref

import pytest

import tinylog
from tests._server import error
from tests.conftest import TOKEN
from tinylog.testing import FakeClock, ScriptedTransport, decode


def configure(**handler):
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"tinybird": {"class": "tinylog.TinybirdHandler", "datasource": "logs", **handler}},
            "loggers": {"shop": {"level": "DEBUG", "handlers": ["tinybird"], "propagate": False}},
        }
    )
    return logging.getLogger("shop"), logging.getLogger("shop").handlers[0]


def test_dict_config_with_plain_values(server, tmp_path):
    """A user who writes strings and numbers in a `dictConfig` gets rows, without a line of code."""
    logger, handler = configure(
        token=TOKEN,
        host=server.url,
        level="INFO",
        ack_level="WARNING",
        max_batch_bytes="2MiB",
        static_fields={"service": "shop"},
        spill=str(tmp_path / "spill"),
    )
    logger.debug("no")
    logger.info("order %d", 7, extra={"customer": "c1"})
    logger.warning("slow")
    assert handler.flush()
    handler.close()
    rows = {row["message"]: row for row in server.rows}
    assert set(rows) == {"order 7", "slow"}
    assert rows["order 7"]["service"] == "shop"
    assert rows["order 7"]["customer"] == "c1"
    assert [(r.params, len(r.rows)) for r in server.requests] == [
        ({"name": "logs"}, 1),
        ({"name": "logs", "wait": "true"}, 1),
    ]


def test_critical_rows_are_acknowledged_and_others_are_not(make_logger, server):
    """A user pays for acknowledgement only where loss is not tolerable, and the ledger says which was which."""
    logger, handler = make_logger()
    for index in range(100):
        logger.info("%d", index)
        logger.error("%d", index)
    assert handler.flush()
    assert {row["level"] for r in server.requests if r.waits for row in r.rows} == {"ERROR"}
    assert {row["level"] for r in server.requests if not r.waits for row in r.rows} == {"INFO"}
    assert (handler.stats().delivered, handler.stats().accepted) == (100, 100)


@pytest.mark.parametrize(("delivery", "waits"), [("ack", {True}), ("fire_and_forget", {False})])
def test_delivery_can_be_the_same_for_all(make_logger, server, delivery, waits):
    """A user can make everything, or nothing, acknowledged."""
    logger, handler = make_logger(delivery=delivery)
    logger.debug("a")
    logger.critical("b")
    assert handler.flush()
    assert {r.waits for r in server.requests} == waits


def test_one_record_can_choose_its_delivery(make_logger, server):
    """An `info` that must not be lost can say so, and the key that says it is not shipped."""
    logger, handler = make_logger()
    logger.info("paid", extra={"tinylog_delivery": "ack"})
    logger.error("noise", extra={"tinylog_delivery": "fire_and_forget"})
    assert handler.flush()
    assert {r.rows[0]["message"]: r.waits for r in server.requests} == {"paid": True, "noise": False}
    assert not any("tinylog_delivery" in row for row in server.rows)


def test_acknowledged_rows_have_one_id_for_all_retries(make_logger, server):
    """Duplicates of an at-least-once delivery can be told by `id` (pitfall 24)."""
    server.answer = error(503)
    logger, handler = make_logger()
    logger.error("once")
    server.wait_for(lambda s: len(s.requests) >= 2)
    server.answer = server.success
    server.wait_for(lambda s: s.rows)
    assert len({r.rows[0]["id"] for r in server.requests}) == 1
    assert handler.stats().submitted == 1


def test_formatter_is_honoured_and_the_record_untouched(make_logger, server):
    """The application's formatter writes the message; other handlers see the record as it was (pitfall 25)."""
    logger, handler = make_logger()
    handler.setFormatter(logging.Formatter("[%(levelname)s] %(message)s"))
    record = logger.makeRecord("app", logging.INFO, __file__, 1, "hi %s", ("you",), None)
    before = dict(record.__dict__)
    logger.handle(record)
    assert record.__dict__ == before
    assert handler.flush()
    assert server.rows[0]["message"] == "[INFO] hi you"


def test_filters_are_honoured(make_logger, server):
    """A filter on the handler keeps records out, and they are not counted as submitted."""
    logger, handler = make_logger()
    handler.addFilter(lambda record: "secret" not in record.getMessage())
    logger.info("a secret")
    logger.info("public")
    assert handler.flush()
    assert [row["message"] for row in server.rows] == ["public"]
    assert handler.stats().submitted == 1


def test_bad_format_string_neither_raises_nor_loses(make_logger, server):
    """A wrong number of arguments costs nothing, and the row shows template and arguments (pitfall 18)."""
    logger, handler = make_logger()
    logger.info("%d items in %s", "many")  # noqa: PLE1206 - on purpose
    assert handler.flush()
    row = server.rows[0]
    assert row["message"] == '%d items in %s ["many"]'
    assert "TypeError" in row["message_error"]


def test_logging_from_inside_a_repr(make_logger, server):
    """An object that logs while it is being encoded gets its own row and blocks nothing (pitfall 16)."""
    logger, handler = make_logger()

    class Chatty:
        def __repr__(self):
            logger.info("printed")
            return "chatty"

    logger.info("outer", extra={"thing": Chatty()})
    assert handler.flush()
    assert sorted(row["message"] for row in server.rows) == ["outer", "printed"]


def test_endless_recursion_is_cut_and_counted(make_logger, server):
    """An object whose `__repr__` logs itself cannot take the process down."""
    logger, handler = make_logger()

    class Ouroboros:
        def __repr__(self):
            logger.info("again", extra={"me": self})
            return "me"

    logger.info("start", extra={"me": Ouroboros()})
    assert handler.flush()
    assert len(server.rows) == 4
    assert dict(handler.stats().dropped) == {"recursion": 1}


def test_finalizers_that_log_do_not_deadlock(make_logger, server):
    """A garbage collection that logs in the middle of our own code cannot stop the application (pitfall 16)."""
    logger, handler = make_logger(max_batch_rows=7)
    dead = []

    class Cycle:
        def __init__(self):
            self.me = self
            self.ref = weakref.finalize(self, lambda: (logger.info("finalized"), dead.append(1)))

    threshold = gc.get_threshold()
    gc.set_threshold(3)
    try:
        for index in range(300):
            Cycle()
            logger.info("%d", index)
    finally:
        gc.set_threshold(*threshold)
    deadline = time.monotonic() + 30
    while len(dead) < 300 and time.monotonic() < deadline:
        gc.collect()  # does nothing while the worker, say, is amidst a collection
        time.sleep(0)
    assert handler.flush()
    assert (len(dead), len(server.rows)) == (300, 600)


def test_own_http_client_does_not_feed_back(server, make_handler):
    """Delivering a row makes no new rows with every logger at DEBUG (pitfall 1); the application's are kept."""
    root = logging.getLogger()
    handler = make_handler()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        logging.getLogger("urllib3.connectionpool").debug("the application's own request")
        logging.getLogger("tinylog").warning("ours")
        assert handler.flush()
        assert handler.flush()
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert [row["message"] for row in server.rows] == ["the application's own request"]


def test_logging_after_close_is_counted_quietly(make_logger, server):
    """A record after `close` is neither an error nor a silent loss (pitfall 2)."""
    logger, handler = make_logger()
    logger.info("a")
    handler.close()
    logger.info("b")
    handler.close()
    assert dict(handler.stats().dropped) == {"closed": 1}
    assert [row["message"] for row in server.rows] == ["a"]


def test_dict_config_twice_does_not_hang(server, tmp_path):
    """Configuring again, which flushes and closes the old handler under logging's lock, ends at once (pitfall 4)."""
    options = {"token": TOKEN, "host": server.url, "spill": str(tmp_path / "spill")}
    logger, first = configure(**options)
    logger.info("one")
    logger, second = configure(**options)
    logger.info("two")
    assert second.flush()
    second.close()
    assert [row["message"] for row in server.rows] == ["one", "two"]
    assert first.stats().accepted == second.stats().accepted == 1


def test_many_threads(make_logger, server):
    """Rows of threads that log at the same time arrive once each (pitfall 21)."""
    logger, handler = make_logger(max_batch_rows=100)

    def work(name):
        for index in range(500):
            logger.info("%s-%d", name, index)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert handler.flush()
    assert len({row["message"] for row in server.rows}) == len(server.rows) == 4000


def test_version_and_repr_show_no_token(make_handler):
    """The token is in no repr, and the version can be asked for."""
    handler = make_handler()
    assert TOKEN not in repr(handler) + repr(vars(handler)) + repr(handler._door._processor._settings)
    assert tinylog.__version__.count(".") == 2


class SlowClock(FakeClock):
    """Passes when something is sent, and when the main thread waits; others wait until they are told."""

    def wait(self, event, timeout):
        if threading.current_thread() is threading.main_thread():
            return super().wait(event, timeout)
        return event.wait()


class SlowTransport(ScriptedTransport):
    """Takes one row at a time, and a second for each request."""

    def __init__(self, clock):
        super().__init__()
        self.clock = clock

    def send(self, request):
        self.clock.advance(1.0)
        self.then(200 if len(list(decode(request))) == 1 else 413)
        return super().send(request)


def test_the_time_for_the_end_is_for_those_who_need_it():
    """No half of `shutdown_timeout` is kept for acknowledged rows when there are none."""
    clock = SlowClock()
    options = {"transport": SlowTransport(clock), "clock": clock, "spill": "off"}
    handler = tinylog.TinybirdHandler("logs", token=TOKEN, flush_interval=3600, shutdown_timeout=8, **options)
    for number in range(4):  # seven requests: one for all, two for halves, one for each
        handler.handle(logging.LogRecord("shop", logging.INFO, "", 1, f"row {number}", None, None))
    handler.close()
    stats = handler.stats()
    assert (stats.delivered + stats.accepted, stats.requests, dict(stats.dropped)) == (4, 7, {})
