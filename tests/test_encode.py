"""Whatever an application logs becomes one JSON line, and its neighbours stay whole."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime as dt
import decimal
import enum
import json
import math
import pathlib
import sys
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinylog._encode import encode_row

LIMIT = 10_000


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no")


class BrokenZone(dt.tzinfo):
    def utcoffset(self, moment):
        raise ValueError("no")


class Lying(collections.abc.Mapping):
    def __getitem__(self, key):
        raise KeyError("no")

    def __iter__(self):
        return iter("a")

    def __len__(self):
        return 1


class Text(str):
    __slots__ = ()


class Color(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    y: object


def cyclic():
    value = [1]
    value.append(value)
    return value


def deep(levels):
    value = "end"
    for _ in range(levels):
        value = {"next": value}
    return value


ODD = {
    "nan": (math.nan, "NaN"),
    "infinity": (-math.inf, "-Infinity"),
    "nested nan": ({"a": [math.nan, 1.5]}, {"a": ["NaN", 1.5]}),
    "object": (object, "<class 'object'>"),
    "bytes": (b"caf\xc3\xa9 \xff", "café \\xff"),
    "surrogate": ("a\ud800b", "a\\ud800b"),
    "surrogate in a key": ({"\ud800": 1}, {"\\ud800": 1}),
    "keys that are no text": ({1: 2, None: 3, (1, 2): 4}, {"1": 2, "null": 3, "[1,2]": 4}),
    "keys that become equal": ({1: "a", "1": "b"}, {"1": "a", "1_": "b"}),
    "largest unsigned": (2**64 - 1, 2**64 - 1),
    "beyond 64 bits": (2**80, str(2**80)),
    "beyond decimal": (1 << 20_000, hex(1 << 20_000)),
    "cycle": (cyclic(), [1, "[cycle: list]"]),
    "unprintable": (Unprintable(), "[unprintable Unprintable: RuntimeError]"),
    "broken time zone": (dt.datetime(2026, 1, 1, tzinfo=BrokenZone()), "[unprintable datetime: ValueError]"),
    "mapping that raises": (Lying(), "[unprintable Lying: KeyError]"),
    "time": (dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.timezone.utc), "2026-01-02T03:04:05.000006Z"),
    "naive time": (dt.datetime(2026, 1, 2), "2026-01-02T00:00:00"),
    "date": ([dt.date(2026, 1, 2)], ["2026-01-02"]),
    "uuid": (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    "decimal": (decimal.Decimal("1.10"), "1.10"),
    "path": (pathlib.PurePosixPath("/tmp/x"), "/tmp/x"),
    "enum": (Color.RED, "red"),
    "text subclass": (Text("x"), "x"),
    "dataclass": (Point(1, {2}), {"x": 1, "y": [2]}),
    "named tuple": (collections.namedtuple("P", "x")(1), [1]),
    "exception": (ValueError("x"), "ValueError('x')"),
    "nested None": ({"a": None}, {"a": None}),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_value_shows_what_it_was(name):
    """A value that JSON lacks reaches the table in a readable form, not as a lost row (pitfall 22)."""
    value, shown = ODD[name]
    assert json.loads(encode_row({"before": 1, "odd": value, "after": "ä"}, LIMIT)) == {
        "before": 1,
        "odd": shown,
        "after": "ä",
    }


def test_depth_is_bounded():
    """A structure that is nested without end becomes a row with a mark."""
    row = json.loads(encode_row({"deep": deep(sys.getrecursionlimit() * 3), "after": 1}, LIMIT))
    assert row["after"] == 1
    assert "[too deep: dict]" in json.dumps(row)


OVERSIZE = {
    "20 MB": "x" * 20_000_000,
    "not ASCII": "é" * 9_000,
    "list": ["y" * 50] * 9_999,
    "mapping": {str(i): i for i in range(9_999)},
    "integer": 1 << 100_000,
}


@pytest.mark.parametrize("name", OVERSIZE)
def test_oversize_row_is_shortened_with_a_mark(name):
    """A 20 MB value costs neither the row nor its neighbours, and the row says that it was cut (pitfall 23)."""
    line = encode_row({"before": 1, "big": OVERSIZE[name], "after": 2}, LIMIT)
    assert LIMIT / 8 < len(line) <= LIMIT
    row = json.loads(line)
    assert (row["before"], row["after"]) == (1, 2)
    assert "…[truncated]" in json.dumps(row["big"], ensure_ascii=False)


awkward = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(), max_size=50),
    st.binary(max_size=50),
    st.datetimes(timezones=st.none() | st.timezones()),
    st.decimals(allow_nan=False),
    st.uuids(),
    st.builds(Unprintable),
)
values = st.recursive(
    awkward,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(awkward.filter(lambda key: not isinstance(key, list)), inner, max_size=5),
        st.tuples(inner, inner),
    ),
    max_leaves=25,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(max_size=20), values, max_size=8), st.integers(1024, 4096))
def test_any_row_is_one_line_of_valid_json_within_its_size(row, limit):
    """No value that anybody can build breaks the batch that it travels in."""
    line = encode_row(row, limit)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert len(line) <= limit
    assert isinstance(json.loads(line, parse_constant=pytest.fail), dict)


def test_numpy_values():
    """A number out of numpy is a number in the table."""
    numpy = pytest.importorskip("numpy")
    row = json.loads(encode_row({"a": numpy.float32(1.5), "b": numpy.arange(3), "c": numpy.float64("nan")}, LIMIT))
    assert row == {"a": 1.5, "b": [0, 1, 2], "c": "NaN"}
