"""From a logging call to a row of a ClickHouse table, read back by SQL: the promises of the README, kept."""

from __future__ import annotations

import json
import logging
import logging.config
import threading
import tracemalloc

import pytest

import tinylog
from tests._devserver import running_dev_server
from tests._waiting import eventually

LEVELS = ("debug", "info", "warning", "error", "critical")


@pytest.fixture
def configured(tmp_path):
    """Configure a logger by a `dictConfig` of plain values; the handler is closed in the end."""
    handlers = []

    def configure(server, datasource, **options):
        logging.config.dictConfig(
            {
                "version": 1,
                "disable_existing_loggers": False,
                "handlers": {
                    "tinybird": {
                        "class": "tinylog.TinybirdHandler",
                        "datasource": datasource,
                        "host": server.url,
                        "token": server.token,
                        "spill": str(tmp_path / "spill"),
                        "flush_interval": 0.1,
                        "backoff_base": 0.05,
                        "backoff_cap": 0.2,
                        **options,
                    }
                },
                "loggers": {"shop": {"level": "DEBUG", "handlers": ["tinybird"], "propagate": False}},
            }
        )
        logger = logging.getLogger("shop")
        handlers.append(logger.handlers[0])
        return logger, logger.handlers[0]

    yield configure
    for handler in handlers:
        handler.close()
        assert handler.stats().submitted == handler.stats().accounted


def settle(server):
    """Whatever a 202 promised is written before a later row is acknowledged."""
    server.send("settle", [{"n": 1}])


def test_ten_thousand_records_of_eight_threads_are_ten_thousand_rows(configured, dev_server, fresh_name):
    """No record is lost or doubled, and each is delivered the way its level asks for."""
    logger, handler = configured(dev_server, fresh_name, ack_level="ERROR")

    def work(thread):
        for number in range(1250):
            getattr(logger, LEVELS[number % 5])("record %d", number, extra={"worker": thread, "number": number})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert handler.flush(30)
    settle(dev_server)
    query = f"SELECT count() AS n, uniqExact(worker, number) AS u, countIf(id != '') AS ids FROM {fresh_name}"
    assert dev_server.sql(query) == [{"n": 10_000, "u": 10_000, "ids": 4_000}]
    stats = handler.stats()
    assert (stats.submitted, stats.delivered, stats.accepted) == (10_000, 4_000, 6_000)


def test_an_outage_loses_no_critical_row(configured, tmp_path):
    """With the server down, logging goes on; critical rows wait on disk and are sent when it is back."""
    data = ("--data", str(tmp_path / "data"), "--token", "t")
    with running_dev_server(*data) as server:
        logger, handler = configured(
            server, "logs", max_queue_bytes="1MiB", max_batch_bytes="256KiB", max_row_bytes=2048
        )
        logger.error("before")
        assert handler.flush(30)
    tracemalloc.start()
    for number in range(20_000):
        logger.info("filler %d", number, extra={"text": "x" * 200})
        if number % 100 == 0:
            logger.error("critical %d", number, extra={"number": number})
    assert not handler.flush(10)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * 1024**2 + 4 * 1024**2  # two routes, and as much again for what requests and logging need
    lines = [
        json.loads(line) for path in (tmp_path / "spill").glob("*.ndjson") for line in path.read_bytes().splitlines()
    ]
    assert sorted(line["number"] for line in lines) == list(range(0, 20_000, 100))
    with running_dev_server(*data, port=int(server.url.rpartition(":")[2])) as server:
        eventually(lambda: handler.stats().replayed.delivered == 200)
        found = server.sql("SELECT message, number FROM logs WHERE level = 'ERROR' ORDER BY timestamp")
        assert [row["message"] for row in found] == ["before", *(f"critical {n}" for n in range(0, 20_000, 100))]
    assert not list((tmp_path / "spill").glob("*.ndjson"))


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no")


def odd_values():
    endless = [1]
    endless.append(endless)
    return [
        (float("nan"), "NaN"),
        (object(), "<object object at 0x"),
        (b"\xff", "\\xff"),
        ("\ud800", "\\ud800"),
        ({1: 2}, '{"1":2}'),
        (2**80, str(2**80)),
        (endless, "[cycle: list]"),
        ("x" * 20_000_000, "…[truncated]"),
        (Unprintable(), "[unprintable Unprintable: RuntimeError]"),
    ]


def test_odd_values_arrive_and_show_what_they_were(configured, dev_server, fresh_name):
    """Whatever somebody puts into `extra`, its row is in the table, readable, and its neighbours are whole."""
    logger, handler = configured(dev_server, fresh_name)
    dev_server.create(
        fresh_name, "`message` String `json:$.message`, `odd` Nullable(String) `json:$.odd`, `n` Int64 `json:$.n`"
    )
    for number, (odd, _) in enumerate(odd_values()):
        logger.error("before", extra={"n": number})
        logger.error("odd", extra={"odd": odd, "n": number})
        logger.error("after", extra={"n": number})
    assert handler.flush(30)
    rows = dev_server.sql(f"SELECT message, odd, n FROM {fresh_name} ORDER BY n, message")
    assert [row["message"] for row in rows] == ["after", "before", "odd"] * len(odd_values())
    for (_, shown), row in zip(odd_values(), rows[2::3], strict=True):
        assert shown in row["odd"]


def test_a_wrong_token_is_one_warning_with_the_remedy(configured, dev_server, fresh_name, tmp_path, caplog):
    """Somebody who mistyped the token reads so once, and loses no critical row; the token is not repeated."""
    secret = "p.wrong-but-secret"
    logger, handler = configured(dev_server, fresh_name, token=secret)
    for number in range(3):
        logger.error("%d", number)
        assert not handler.flush(30)
    [warning] = [record.getMessage() for record in caplog.records if record.name == "tinylog"]
    assert "403" in warning
    assert "TINYBIRD_TOKEN" in warning
    assert str(tmp_path / "spill") in warning
    assert secret not in caplog.text
    assert handler.stats().spilled == 3


def test_a_wrong_host_is_one_warning_with_the_remedy(configured, dev_server, fresh_name, caplog):
    """Somebody who pointed at the wrong path or server reads so."""
    logger, handler = configured(dev_server, fresh_name, host=f"{dev_server.url}/wrong")
    logger.error("lost?")
    assert not handler.flush(30)
    [warning] = [record.getMessage() for record in caplog.records if record.name == "tinylog"]
    assert "404" in warning
    assert "TINYBIRD_HOST" in warning
    assert handler.stats().spilled == 1


def test_every_name_of_the_public_api_exists():
    """What the documentation imports can be imported."""
    assert all(hasattr(tinylog, name) for name in tinylog.__all__)
