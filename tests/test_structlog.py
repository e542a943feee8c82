"""The door for structlog: from log calls in every usual configuration to the rows that a server receives."""

from __future__ import annotations

import asyncio
import io
import logging
import subprocess
import sys
import threading
import time
from datetime import datetime

import pytest
import structlog

import tinylog
import tinylog.structlog
from tests._server import error
from tests.conftest import TOKEN
from tinylog import ConfigurationError
from tinylog._event import Event, read_level

# What two calls on two lines, at two moments, cannot have in common.
MOMENT = {
    "timestamp",
    "line",
    "id",
    "code.line.number",
    "log.record.uid",
    "exception_stacktrace",
    "exception.stacktrace",
}


@pytest.fixture
def options(server, tmp_path):
    """Settings for doors to `server`."""
    return {"token": TOKEN, "host": server.url, "spill": tmp_path / "spill", "flush_interval": 0.05}


@pytest.fixture
def ship(options):
    """Configure structlog with a chain around a new processor; gives it. In the end every event is accounted for."""
    made = []

    def configure(before=(), after=(), *, wrapper=None, factory=None, **settings):
        processor = tinylog.structlog.TinybirdProcessor("logs", **{"terminal": not after, **options, **settings})
        structlog.configure(
            processors=[*before, processor, *after],
            wrapper_class=wrapper or structlog.make_filtering_bound_logger(logging.DEBUG),
            logger_factory=factory or structlog.PrintLoggerFactory(io.StringIO()),
            cache_logger_on_first_use=False,
        )
        made.append(processor)
        return processor

    yield configure
    structlog.reset_defaults()
    for processor in made:
        processor.close()
        stats = processor.stats()
        assert stats.submitted == stats.accounted
        assert stats.queued == stats.in_flight == 0


def only_row(processor, server):
    """The one row that has arrived."""
    assert processor.flush()
    (row,) = server.rows
    return row


def comparable(row):
    """Leave out what differs between two moments, or two lines, of one program."""
    same = {key: value for key, value in row.items() if key not in MOMENT}
    if "log_attributes" in row:
        same["log_attributes"] = {k: v for k, v in row["log_attributes"].items() if k not in MOMENT}
    return same


# -- the same rows as the handler's ----------------------------------------------------------------------------------


def plain(log):
    log.info("hello", user="bob", amount=12.5, nested={"a": [1, None]}, missing=None)


def taken_names(log):
    log.warning("hello", id=7, trace_id="mine", line=3, function="f", task_name="t")


def look_up():
    raise LookupError("nobody") from ValueError("first")


def failing(log):
    try:
        look_up()
    except LookupError:
        log.error("went wrong", order=7, exc_info=True)  # noqa: G201 - the same depth of stack in all versions


def critical_override(log):
    log.critical("x", tinylog_delivery="fire_and_forget")


def acknowledged(log):
    log.debug("x", tinylog_delivery="ack")


class ThroughLogging:
    """Calls `logging` as if it were structlog."""

    def __init__(self, logger):
        self._logger = logger

    def __getattr__(self, method):
        def call(event, exc_info=None, **fields):
            getattr(self._logger, method)(event, exc_info=exc_info, extra=fields, stacklevel=2)

        return call


@pytest.mark.parametrize("layout", ["flat", "otel"])
@pytest.mark.parametrize("call", [plain, taken_names, failing, critical_override, acknowledged])
def test_rows_equal_the_handlers(ship, server, options, call, layout):
    """A user who moves from logging to structlog, or has both, has one table with one set of columns."""
    settings = {"layout": layout, "static_fields": {"service": "shop"}}
    processor = ship(**settings)
    call(structlog.get_logger())
    from_structlog = only_row(processor, server)
    waited = server.requests[0].waits
    server.rows.clear()
    server.requests.clear()
    logger = logging.Logger(__name__)
    handler = tinylog.TinybirdHandler("logs", **options, **settings)
    logger.addHandler(handler)
    call(ThroughLogging(logger))
    handler.close()
    (from_logging,) = server.rows
    assert server.requests[0].waits == waited
    assert comparable(from_structlog) == comparable(from_logging)
    assert set(from_structlog) == set(from_logging)
    assert (from_structlog.get("exception_stacktrace") or "").splitlines()[-1:] == (
        from_logging.get("exception_stacktrace") or ""
    ).splitlines()[-1:]


# -- processors around it --------------------------------------------------------------------------------------------


def test_event_dict_is_passed_on_as_it_was(ship, server):
    """The console renderer behind it prints what it would have printed without it."""
    seen, events = [], [{"event": "a", "k": [1]}, {"event": "b", "tinylog_delivery": "ack"}]
    processor = ship(
        after=[
            lambda _, __, event: seen.append(event) or "",
        ]
    )
    log = structlog.get_logger()
    for event in events:
        log.info(**event)
    assert seen == [{"event": "a", "k": [1]}, {"event": "b"}]
    original = {"event": "c", "exc_info": True, "tinylog_delivery": "ack", "timestamp": "x"}
    before = dict(original)
    processor(None, "info", original)
    assert original == before
    assert processor.flush()
    assert [row["message"] for row in server.rows if row["message"] != "a"] == ["b", "c"]


def test_terminal_ends_the_chain(ship, server):
    """Nothing is printed by a program that ships only."""
    printed = io.StringIO()
    processor = ship(factory=structlog.PrintLoggerFactory(printed))
    structlog.get_logger().info("quiet")
    assert only_row(processor, server)["message"] == "quiet"
    assert printed.getvalue() == ""


@pytest.mark.parametrize(
    "formatting",
    [(), (structlog.processors.format_exc_info,), (structlog.processors.dict_tracebacks,)],
    ids=["raw", "format_exc_info", "dict_tracebacks"],
)
def test_exceptions_before_and_after_formatting(ship, server, formatting):
    """Type, message and trace of an exception are columns, wherever in the chain the processor stands."""
    processor = ship(before=formatting)
    failing(structlog.get_logger())
    row = only_row(processor, server)
    assert (row["exception_type"], row["exception_message"]) == ("LookupError", "nobody")
    assert "test_structlog.py" in row["exception_stacktrace"]
    assert "exception" not in row
    assert "exc_info" not in row


def test_exception_formatted_elsewhere(ship, server):
    """An exception that is no longer being handled keeps what the event dict knows of it."""
    processor = ship()
    log = structlog.get_logger()
    log.error("a", exception="Traceback (most recent call last):\nKeyError: 1")
    log.error("b", exception=[{"exc_type": "KeyError", "exc_value": "1", "frames": []}])
    log.error("c", exc_info=KeyError("1"))
    log.error("d", exception=5)
    assert processor.flush()
    rows = {row["message"]: row for row in server.rows}
    assert "exception_type" not in rows["a"]
    assert rows["a"]["exception_stacktrace"].endswith("KeyError: 1")
    assert (rows["b"]["exception_type"], rows["b"]["exception_message"]) == ("KeyError", "1")
    assert (rows["c"]["exception_type"], rows["c"]["exception_message"]) == ("KeyError", "'1'")
    assert rows["d"]["exception"] == 5


@pytest.mark.parametrize("rendered", [False, True])
def test_stack_info(ship, server, rendered):
    """A stack that was asked for arrives, before and after `StackInfoRenderer`."""
    processor = ship(before=[structlog.processors.StackInfoRenderer()] if rendered else [])
    structlog.get_logger().info("here", stack_info=True)
    row = only_row(processor, server)
    assert row["stack_info"].startswith("Stack (most recent call last):\n")
    assert "stack_info=True" in row["stack_info"].splitlines()[-1]
    assert "stack" not in row


def test_callsite_parameters(ship, server):
    """`CallsiteParameterAdder` names the columns that the handler has, not a second set."""
    adder = structlog.processors.CallsiteParameterAdder
    parameters = set(structlog.processors.CallsiteParameter.__members__.values())
    wanted = {item for item in parameters if item.value not in {"qual_name", "qual_module"}}
    processor = ship(before=[adder(wanted)])
    structlog.get_logger().info("x")
    row = only_row(processor, server)
    assert (row["module"], row["function"]) == ("test_structlog", "test_callsite_parameters")
    assert (row["thread_id"], row["logger"]) == (threading.get_ident(), __name__)
    assert row["filename"] == "test_structlog.py"
    assert not {"func_name", "lineno", "thread", "process"} & set(row)


def test_context_variables_and_bound_values(ship, server):
    """What is bound to the context or the logger is in the row, and one thread never sees another's."""
    processor = ship(before=[structlog.contextvars.merge_contextvars])
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        structlog.get_logger(user="bob").bind(step=2).info("x")
    row = only_row(processor, server)
    assert (row["request_id"], row["user"], row["step"]) == ("r1", "bob", 2)


@pytest.mark.parametrize(
    ("stamp", "kept"),
    [
        ("2026-11-24T05:45:12.123456Z", "2026-11-24T05:45:12.123456Z"),
        ("2026-11-24T06:45:12+01:00", "2026-11-24T05:45:12.000000Z"),
        (1_700_000_000.123456, "2023-11-14T22:13:20.123456Z"),
        ("yesterday", None),
        (1_700_000_000_000, None),
        (True, None),
        (float("nan"), None),
    ],
)
def test_timestamps(ship, server, stamp, kept):
    """The time that `TimeStamper` noted is the row's; what is no time is shipped beside the row's own."""
    processor = ship()
    structlog.get_logger().info("x", timestamp=stamp)
    row = only_row(processor, server)
    if kept is None:
        assert str(row["extra_timestamp"]).lower() == str(stamp).lower()
    else:
        assert row["timestamp"] == kept
        assert "extra_timestamp" not in row


@pytest.mark.parametrize("utc", [True, False])
@pytest.mark.parametrize("fmt", ["iso", "%Y-%m-%d %H:%M:%S.%f"])
def test_time_stamper(ship, server, monkeypatch, fmt, utc):
    """Every usual `TimeStamper`, local time included, gives the right moment."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    processor = ship(before=[structlog.processors.TimeStamper(fmt=fmt, utc=utc)])
    before = time.time()
    structlog.get_logger().info("x")
    after = time.time()
    row = only_row(processor, server)
    monkeypatch.undo()
    time.tzset()
    moment = datetime.fromisoformat(row["timestamp"].replace("Z", "+00:00")).timestamp()
    assert before - 1e-3 <= moment <= after + 1e-3


def test_positional_arguments(ship, server):
    """`%s` arguments are in the message, also when they do not fit."""
    processor = ship(wrapper=structlog.stdlib.BoundLogger, factory=structlog.stdlib.LoggerFactory())
    log = structlog.get_logger("app.shop")
    log.info("%s of %d", "one", 2)
    log.info("%(a)s", {"a": 1})
    log.info("%d", "no number")
    assert processor.flush()
    assert [row["message"] for row in server.rows] == ["one of 2", "1", '%d ["no number"]']
    assert "TypeError" in server.rows[2]["message_error"]
    assert {row["logger"] for row in server.rows} == {"app.shop"}


# -- loggers of every kind -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrapper", "factory"),
    [
        (structlog.make_filtering_bound_logger(logging.DEBUG), structlog.PrintLoggerFactory()),
        (structlog.BoundLogger, structlog.BytesLoggerFactory()),
        (structlog.stdlib.BoundLogger, structlog.stdlib.LoggerFactory()),
        (structlog.BoundLogger, structlog.WriteLoggerFactory()),
    ],
)
def test_wrapper_classes(ship, server, wrapper, factory):
    """Every wrapper class of structlog's can be used, with levels by the method's name."""
    processor = ship(wrapper=wrapper, factory=factory)
    log = structlog.get_logger()
    for method in ("debug", "info", "warning", "error", "critical"):
        getattr(log, method)(method)
    assert processor.flush()
    assert {row["message"].upper() for row in server.rows} == {row["level"] for row in server.rows}
    assert {row["level"] for r in server.requests if r.waits for row in r.rows} == {"ERROR", "CRITICAL"}
    assert {row["function"] for row in server.rows} == {"test_wrapper_classes"}


@pytest.mark.parametrize(
    ("method", "event", "level"),
    [
        ("warn", {}, ("WARNING", 30)),
        ("exception", {}, ("ERROR", 40)),
        ("msg", {}, ("INFO", 20)),
        ("info", {"level": "critical"}, ("CRITICAL", 50)),
        ("error", {"level": "audit"}, ("AUDIT", 40)),
        ("unheard_of", {}, ("UNHEARD_OF", 20)),
        ("info", {"level": 30}, ("WARNING", 30)),
        ("info", {"level": None}, ("INFO", 20)),
    ],
)
def test_levels(method, event, level):
    """Whatever a chain calls its levels, rows have those of `logging`, and no level is an accident."""
    assert read_level(method, event) == level


def test_async_methods(ship, server):
    """`await log.ainfo(...)` ships the caller's place, exception and context, not those of the executor's thread."""
    processor = ship(before=[structlog.contextvars.merge_contextvars])

    async def main():
        structlog.contextvars.bind_contextvars(request_id="r1")
        await structlog.get_logger().ainfo("a")
        try:
            look_up()
        except LookupError:
            await structlog.get_logger().aexception("b")

    asyncio.run(main())
    assert processor.flush()
    rows = {row["message"]: row for row in server.rows}
    assert rows["a"]["function"] == rows["b"]["function"] == "main"
    assert rows["a"]["request_id"] == "r1"
    assert rows["b"]["exception_type"] == "LookupError"


def test_inside_a_task(ship, server):
    """The name of the asyncio task is a column."""
    processor = ship()

    async def main():
        structlog.get_logger().info("a")

    async def run():
        await asyncio.create_task(main(), name="worker-7")

    asyncio.run(run())
    assert only_row(processor, server)["task_name"] == "worker-7"


# -- together with logging -------------------------------------------------------------------------------------------


@pytest.fixture
def formatter_logger(ship):
    """A logger of `logging` whose handler formats by a chain with our processor; gives both, and the output."""
    output = io.StringIO()

    def make(*processors, pre=(), **settings):
        shipper = ship(
            [*pre],
            [structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
            wrapper=structlog.stdlib.BoundLogger,
            factory=structlog.stdlib.LoggerFactory(),
            level="CRITICAL",
        )
        inner = tinylog.structlog.TinybirdProcessor("logs", **settings)
        handler = logging.StreamHandler(output)
        handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=[*pre],
                processors=[
                    inner,
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.dev.ConsoleRenderer(colors=False),
                ],
            )
        )
        logger = logging.getLogger("formatted")
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.DEBUG)
        return logger, inner, output, shipper

    yield make
    logging.getLogger("formatted").handlers = []


def test_processor_formatter_with_foreign_records(formatter_logger, options, server):
    """Records of plain logging and of structlog, through one `ProcessorFormatter`, become rows of one kind."""
    logger, processor, output, _ = formatter_logger(pre=[structlog.stdlib.ExtraAdder()], terminal=True, **options)
    try:
        look_up()
    except LookupError:
        logger.exception("foreign %d", 1, extra={"customer": "c1"})
    structlog.get_logger("formatted").info("native", customer="c2")
    assert processor.flush()
    processor.close()
    rows = {row["message"]: row for row in server.rows}
    assert set(rows) == {"foreign 1", "native"}
    for row in rows.values():
        assert row["logger"] == "formatted"
        assert row["function"] == "test_processor_formatter_with_foreign_records"
        assert not {"_record", "_from_structlog"} & set(row)
    assert (rows["foreign 1"]["level"], rows["foreign 1"]["customer"]) == ("ERROR", "c1")
    assert rows["foreign 1"]["exception_type"] == "LookupError"
    assert rows["native"]["customer"] == "c2"
    assert "foreign 1" in output.getvalue()
    assert "native" in output.getvalue()


def test_our_own_records_are_not_shipped(formatter_logger, options, server):
    """What tinylog says about itself while it cannot deliver never feeds the stream that is stuck (pitfall 1)."""
    _, processor, _, _ = formatter_logger(**options)
    for name in ("tinylog", "tinylog.x"):
        record = logging.LogRecord(name, logging.WARNING, "x.py", 1, "x", (), None)
        processor(None, "warning", {"event": "x", "_record": record})
        processor(logging.getLogger(name), "warning", {"event": "x"})
    assert processor.stats().submitted == 0
    processor.close()


# -- trouble ---------------------------------------------------------------------------------------------------------


class Hostile:
    """Logs while it is being shown, or refuses to be."""

    def __init__(self, log=None):
        self._log = log

    def __repr__(self):
        if self._log is None:
            raise RuntimeError("no")
        self._log.info("again", value=self)
        return "shown"

    __str__ = __repr__


def test_awkward_events_never_raise(ship, server):
    """A log call never breaks the application, whatever it is given, and every event is in the ledger."""
    processor = ship()
    log = structlog.get_logger()
    log.info(Hostile(), value=Hostile())
    log.info("nan", value=float("nan"), big=2**70, data=b"\xff", text="\ud800")
    log.info("recursive", value=Hostile(log))
    for event in ("not a mapping", None, 5, {5: "key", "event": None}):
        assert_chain_ends(processor, event)
    assert processor.flush()
    assert processor.stats().dropped == {"error": 3, "recursion": 1}
    assert any("unprintable" in row["message"] for row in server.rows)
    assert any(row["message"] == "nan" for row in server.rows)


def assert_chain_ends(processor, event):
    """A terminal processor still ends the chain when it is given what is no event dict."""
    try:
        processor(None, "info", event)
    except structlog.DropEvent:
        return
    raise AssertionError("expected the end of the chain")


def test_full_queue_is_counted(ship, server):
    """Rows that find no room are counted, and the application goes on."""
    server.answer = error(503)
    processor = ship(max_queue_rows=2, max_attempts=1, flush_interval=60, delivery="ack")
    for _ in range(5):
        structlog.get_logger().info("x")
    assert processor.stats().dropped == {"queue_full": 3}


def test_level_and_close(ship, server):
    """Events below the level are not shipped, and none after `close`, but both are still passed on."""
    seen = []
    processor = ship(after=[lambda _, __, event: seen.append(event["event"]) or ""], level="WARNING")
    log = structlog.get_logger()
    log.info("low")
    log.warning("high")
    processor.close()
    processor.close()
    log.warning("late")
    assert [row["message"] for row in server.rows] == ["high"]
    assert seen == ["low", "high", "late"]
    assert processor.stats().dropped == {"closed": 1}


def test_settings_are_checked(options):
    """A mistake in a setting is named when the program starts."""
    for wrong in ({"layuot": "flat"}, {"level": "LOUD"}, {"static_fields": {"level": 1}}):
        with pytest.raises(ConfigurationError):
            tinylog.structlog.TinybirdProcessor("logs", **options, **wrong)
    with pytest.raises(ConfigurationError):
        tinylog.structlog.TinybirdProcessor("no-name!", **options)
    with pytest.raises(ConfigurationError):
        tinylog.structlog.configure("logs", level=25, **options)


# -- one line --------------------------------------------------------------------------------------------------------


def test_configure_in_one_line(options, server, capsys):
    """One call configures structlog to print and to ship."""
    processor = tinylog.structlog.configure("logs", **options)
    try:
        with structlog.contextvars.bound_contextvars(request_id="r1"):
            structlog.get_logger("app.shop").warning("sold", amount=2)
        structlog.get_logger().debug("below")
        assert processor.flush()
    finally:
        structlog.reset_defaults()
        processor.close()
    (row,) = server.rows
    assert (row["message"], row["level"], row["logger"]) == ("sold", "WARNING", "app.shop")
    assert (row["amount"], row["request_id"]) == (2, "r1")
    assert "sold" in capsys.readouterr().out


AT_EXIT = """
import atexit, sys, structlog
atexit.register(lambda: structlog.get_logger().error("late"))  # runs after tinylog's own exit function
import tinylog.structlog
tinylog.structlog.configure("logs", token="t", host=sys.argv[1], spill="off", console=False)
structlog.get_logger().info("early")
"""


def test_events_of_exit_functions_arrive(server, tmp_path):
    """The last words of a program, from exit functions that were registered before tinylog was imported, arrive."""
    command = [sys.executable, "-c", AT_EXIT, server.url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stderr == ""
    assert sorted(row["message"] for row in server.rows) == ["early", "late"]


def test_event_has_what_a_record_has():
    """A layout can read from an event what it reads from a record: neither door can gain a column alone."""
    record = logging.makeLogRecord({})
    event = Event({"event": "x"}, None, ("INFO", 20))
    missing = set(vars(record)) - set(vars(event))
    assert missing == {"args", "exc_info", "exc_text", "filename", "msecs", "msg", "relativeCreated"} & missing


def test_import_tinylog_loads_no_extras():
    """A program that only uses `logging` does not pay for structlog and OpenTelemetry."""
    code = (
        "import tinylog, sys; print([m for m in sys.modules if m.partition('.')[0] in ('structlog', 'opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("module", "extra"), [("tinylog.structlog", "structlog"), ("tinylog.otel", "otel")])
def test_missing_extra_is_named(module, extra):
    """A user who lacks a package learns which extra brings it."""
    blocked = {"structlog": "structlog", "otel": "opentelemetry"}[extra]
    code = f"import sys; sys.modules['{blocked}'] = None; import {module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (
        f"MissingExtraError: {module} needs an optional package: pip install 'tinylog-tinybird[{extra}]'" in done.stderr
    )
