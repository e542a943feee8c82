"""The short way from a record to a line gives, byte for byte, what the long way gives."""

from __future__ import annotations

import datetime as dt
import enum
import logging
import math

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tinylog import _callsite
from tinylog._callsite import short_way
from tinylog._encode import encode_row
from tinylog._event import Event
from tinylog._eventsite import short_event_way
from tinylog._layout import make_layout, message_of
from tinylog._resolve import resolve

STATIC = {"service": "shop", "region": None, "zone": 3}


class Colour(enum.Enum):
    RED = 1


def make(**options):
    return short_way(resolve({"token": "t", "host": "http://127.0.0.1:1", "static_fields": STATIC, **options}))


def long_way(record):
    layout = make_layout("flat", STATIC)
    return encode_row(layout(record, message_of(record)[0], None), 2**20)


def a_record(msg="hi", args=(), level=logging.INFO, line=42, name="shop.orders", **extra):
    made = logging.LogRecord(name, level, "/app/shop/orders.py", line, msg, args, None, "sell")
    made.__dict__.update(extra)
    return made


# A machine that is busy makes examples slowly, which is no fault.
patiently = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text('aé"\\\n\0\U0001f600', max_size=5),
    st.sampled_from(["\ud800", "null", "a\udfffb"]),
    st.binary(),
    st.sampled_from([Colour.RED, dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc), dt.date(2026, 1, 1)]),
    st.lists(st.one_of(st.none(), st.floats(), st.integers())),
)
names = st.sampled_from(["seq", "user_id", "level", "message", "asctime", "service", "taskName", "odd name", "ü"])


@patiently
@given(
    st.lists(
        st.tuples(
            st.sampled_from([("hi", ()), ("null", ()), ("%s and %d", ("x", 3)), ("%s", None), ("%(a)s", ({"a": 1},))]),
            st.dictionaries(names, values),
            st.floats(0, 4e9),
            st.integers(1, 2),
        ),
        max_size=5,
    )
)
@example([(("hi", ()), {}, 1_700_000_000 + past, 1) for past in (0.9999999, 0.0001, 1.0, 0.000999, 0.9999999, 1.0001)])
def test_the_short_way_is_the_long_way(cases):
    """Whatever came from the same line of code before, a line is the one that the record alone makes, or none."""
    short = make()
    for (msg, args), extra, created, line in cases:
        made = a_record(msg, args, line=line)
        made.__dict__.update(extra, created=created)
        try:
            found, critical = short(made)
        except Exception:
            continue  # then the long way is taken
        assert not critical
        assert found in (None, long_way(made))


def test_ordinary_records_go_the_short_way():
    """The comparison above is not one of nothing with nothing."""
    short = make()
    for number in range(3):
        made = a_record("%s sold", ("cheese",), seq=number, price=1.5, user=None, tags=["a", None][: number + 1])
        assert short(made)[0] == (long_way(made) if number == 0 else None)
        plain = a_record("%s sold", ("cheese",), seq=number, price=1.5, user=None)
        assert short(plain)[0] == long_way(plain)


@pytest.mark.parametrize(
    "change",
    [
        {"exc_info": (ValueError, ValueError("x"), None)},
        {"exc_text": "Traceback"},
        {"stack_info": "Stack"},
        {"msg": ValueError("x")},
        {"level": 1},
        {"tinylog_delivery": "ack"},
        {"name": "tinylog.x"},
        {"levelname": None},
        {"price": math.nan},
        {"price": "\ud800"},
        {"price": object()},
    ],
)
def test_what_is_out_of_the_ordinary_goes_the_long_way(change):
    """What needs care gets it, also at a line of code whose records were ordinary before, and are afterwards."""
    short = make()
    usual = a_record(price=1)
    assert short(usual)[0] == long_way(usual)
    made = a_record(price=1)
    made.__dict__.update(change)
    try:
        assert short(made)[0] is None
    except TypeError:
        assert "price" in change
    assert short(usual)[0] == long_way(usual)


def test_a_record_that_lacks_an_attribute_goes_the_long_way():
    """A filter may take an attribute away and add another: nothing is lost unseen."""
    short = make()
    short(a_record(price=1))
    for missing in a_record().__dict__:
        made = a_record(price=1, added=2)
        del made.__dict__[missing]
        with pytest.raises(KeyError):
            short(made)
    swapped = a_record(other=1)
    assert short(swapped)[0] is None
    assert short(swapped)[0] == long_way(swapped)


def test_a_critical_record_has_an_id():
    """Acknowledged rows are told apart, so that duplicates can be folded; the rest of the row is the same."""
    line, critical = make()(a_record(level=logging.ERROR))
    assert critical
    assert b'"id":"' in line
    assert make(ack_level="INFO")(a_record())[1]


def test_a_line_that_is_too_long_goes_the_long_way():
    """It has to be shortened."""
    assert make(max_row_bytes=1024)(a_record("x" * 1000))[0] is None


@pytest.mark.parametrize("options", [{"layout": "otel"}, {"redact": "email"}, {"rate_limit": 5}])
def test_settings_that_only_the_long_way_knows(options):
    """No setting is passed over for speed."""
    assert make(**options) is None


def test_memory_is_bounded(monkeypatch):
    """Threads and lines of code that come and go do not pile up; what is forgotten is learnt again."""
    monkeypatch.setattr(_callsite, "MAX_SITES", 3)
    short = make()
    for line in [*range(10), *range(10)]:
        made = a_record(line=line)
        assert short(made)[0] == long_way(made)


events = st.fixed_dictionaries(
    {"event": st.one_of(values, st.just("null"))},
    optional={
        "timestamp": st.sampled_from(
            ["2026-11-24T05:45:12.123456Z", "2026-11-24T05:45:12Z", "2026-13-24T05:45:12.123456Z", 1.5]
        ),
        "logger": st.just("shop"),
        "user": values,
        "price": values,
        "thread_name": values,
        "service": values,
        "exc_info": st.sampled_from([None, True, ValueError("x")]),
        "stack_info": st.just("Stack"),
        "lineno": values,
        "message": values,
    },
)


@patiently
@given(st.lists(events, min_size=1, max_size=5))
@example([{"event": "", "thread_name": ""}, {"event": ""}])
@example([{"event": "", "lineno": 7}, {"event": ""}])
def test_the_short_way_of_events_is_the_long_way(cases):
    """Whatever was logged before, an event dict's line is the one that it alone makes, or none."""
    door = resolve({"token": "t", "host": "http://127.0.0.1:1", "static_fields": STATIC})
    short, layout, level = short_event_way(door), make_layout("flat", STATIC), ("INFO", 20)

    def long_way(event):
        return encode_row(layout(event.as_record(), event.message, None, event.details), 2**20)

    for given_event in cases:
        case = {"timestamp": "2026-11-24T05:45:12.000001Z", **given_event}
        name = case.get("logger")
        try:
            both = short(case, name, level, False), long_way(Event(case, name, level))
        except Exception:
            continue  # then the long way is taken
        assert both[0] in (None, both[1])


def test_ordinary_events_go_the_short_way():
    """The comparison above is not one of nothing with nothing."""
    short = short_event_way(resolve({"token": "t", "host": "http://127.0.0.1:1"}))
    event = {"event": "sold", "timestamp": "2026-11-24T05:45:12.000001Z", "price": 1.5, "user": None, "tags": ["a"]}
    for _ in range(2):
        row = orjson.loads(short(event, None, ("INFO", 20), False))
        assert (row["message"], row["price"], row["logger"]) == ("sold", 1.5, __name__)
        assert (row["timestamp"], row["function"]) == (event["timestamp"], "test_ordinary_events_go_the_short_way")
    assert b'"id":"' in short(event, None, ("ERROR", 40), True)
    assert short({**event, "exc_info": True}, None, ("INFO", 20), False) is None
