"""From a mapping of whatever applications log to one NDJSON line. Never raises. Pure.

The common case is one call of orjson. What orjson cannot or must not write as it is (see `tests/test_encode.py`) goes
through `_clean`, which turns one awkward value into text that shows what it was and leaves its neighbours whole.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import math
import os
import uuid
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any

import orjson

__all__ = ["WORD_MAX", "WORD_MIN", "dump_line", "encode_row", "encode_value", "fragment", "plain"]

MAX_DEPTH = 20
MAX_DECIMAL_BITS = 10_000  # Python refuses to write much larger integers in decimal
MAX_ITEMS = 100_000  # of one container: a bound on time, far above what a row may hold
WORD_MIN, WORD_MAX = -(2**63), 2**64 - 1  # what orjson writes
_MARK = "…[truncated]"
# Dates and dataclasses are ours to write: orjson 3.13 crashes the process when a time zone's `utcoffset` raises.
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
_LINE_OPTIONS = _OPTIONS | orjson.OPT_APPEND_NEWLINE


def encode_row(row: Mapping[str, Any], max_bytes: int) -> bytes:
    """Encode one row as an NDJSON line of at most `max_bytes` bytes, its newline included.

    Values that JSON lacks become text: `NaN`, `Infinity`, integers beyond 64 bits, bytes and lone surrogates with
    backslash escapes, other objects by their `repr`. Cycles, depth and what cannot be printed become a mark in
    brackets.
    A row that is too long is shortened: its longest texts and containers first, marked with `…[truncated]`.
    """
    try:
        line = dump_line(row)
        # orjson writes NaN and infinities as null. Layouts leave None out, so that a null is rare and worth a look.
        if b"null" not in line and len(line) <= max_bytes:
            return line
    except Exception:  # noqa: S110 - whatever the application's objects raise
        pass
    return _encode_cleaned(row, max_bytes)


def dump_line(row: Mapping[str, Any]) -> bytes:
    """Encode a row in one go, with `null` for NaN and infinities.

    Raises:
        Exception: it holds what orjson does not write, or an object's own method failed.
    """
    return orjson.dumps(row, _default, _LINE_OPTIONS)


def fragment(fields: Mapping[str, Any], first: str) -> orjson.Fragment | None:
    """Encode fields that many rows begin with; None when `first` is not the first of them.

    It stands for the value of the first, and holds the fields after it too: orjson does not look into it.
    """
    head = f'{{"{first}":'.encode()
    line = encode_row(fields, 2**63)
    return orjson.Fragment(line[len(head) : -2]) if line.startswith(head) else None


def encode_value(value: Any) -> str:
    """Encode one value as JSON text, with the same care."""
    return _dumps(_clean(value, MAX_DEPTH, frozenset())).decode()


def _default(value: Any) -> str:
    """Write the commonest objects; the exception for all others leads to the careful path."""
    if isinstance(value, dt.datetime):
        return _clean_time(value)
    raise TypeError


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Rebuild a row from nothing but what JSON knows, as it would be shipped."""
    cleaned = _clean(row, MAX_DEPTH, frozenset())
    return cleaned if isinstance(cleaned, dict) else {}


def _encode_cleaned(row: Mapping[str, Any], max_bytes: int) -> bytes:
    line = b""
    cleaned = _clean(row, MAX_DEPTH, frozenset())
    limit = max_bytes
    while limit:
        line = _dumps(cleaned, _LINE_OPTIONS)
        if len(line) <= max_bytes:
            return line
        limit //= 2
        cleaned = _shorten(cleaned, limit)
    return b"{}\n"


def _dumps(cleaned: Any, options: int = _OPTIONS) -> bytes:
    return orjson.dumps(cleaned, option=options)


def _clean(value: Any, depth: int, above: frozenset[int]) -> Any:
    """Rebuild a value from what orjson writes faithfully."""
    try:
        return _CLEANERS[type(value)](value) if type(value) in _CLEANERS else _clean_other(value, depth, above)
    except Exception as error:
        return _unprintable(value, error)


def _clean_other(value: Any, depth: int, above: frozenset[int]) -> Any:
    for base in _SUBCLASSED:
        if isinstance(value, base):
            return _CLEANERS[base](value)
    if id(value) in above:
        return f"[cycle: {type(value).__qualname__}]"
    if depth <= 0:
        return f"[too deep: {type(value).__qualname__}]"
    above |= {id(value)}
    if isinstance(value, (Mapping, list, tuple, AbstractSet)):
        return _clean_container(value, depth - 1, above)
    plain = _unwrap(value)
    if plain is not value:
        return _clean(plain, depth, above)
    return _clean_text(os.fspath(value) if isinstance(value, os.PathLike) else repr(value))


def _unwrap(value: Any) -> Any:
    """Find the plainer value that an object stands for; itself if none."""
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name, None) for item in dataclasses.fields(value)}
    if type(value).__module__ == "numpy":
        return value.tolist()
    return value


def _clean_container(value: Mapping[Any, Any] | Iterable[Any], depth: int, above: frozenset[int]) -> Any:
    if not isinstance(value, Mapping):
        return [_clean(item, depth, above) for item in islice(value, MAX_ITEMS)]
    cleaned: dict[str, Any] = {}
    for key, item in islice(value.items(), MAX_ITEMS):
        name = _clean_key(key)
        while name in cleaned:  # 1 and "1" are two keys in Python
            name += "_"
        cleaned[name] = _clean(item, depth, above)
    return cleaned


def _clean_key(key: Any) -> str:
    cleaned = _clean(key, 1, frozenset())
    return cleaned if isinstance(cleaned, str) else _dumps(cleaned).decode()


def _clean_text(value: str | bytes) -> str:
    """Escape what UTF-8 lacks: lone surrogates and undecodable bytes show as backslash escapes."""
    if isinstance(value, (bytes, bytearray)):
        return value.decode("utf-8", "backslashreplace")
    return str.encode(value, "utf-8", "backslashreplace").decode("utf-8")


def _clean_int(value: int) -> int | str:
    if WORD_MIN <= value <= WORD_MAX:
        return int(value)
    return str(int(value)) if value.bit_length() < MAX_DECIMAL_BITS else hex(value)


def _clean_float(value: float) -> float | str:
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _clean_time(value: dt.date | dt.time) -> str:
    return value.isoformat().replace("+00:00", "Z")


def _unprintable(value: Any, error: BaseException) -> str:
    return f"[unprintable {type(value).__qualname__}: {type(error).__name__}]"


_CLEANERS: dict[type, Callable[[Any], Any]] = {
    str: _clean_text,
    int: _clean_int,
    float: _clean_float,
    bool: bool,
    type(None): lambda value: value,
    bytes: _clean_text,
    bytearray: _clean_text,
    dt.datetime: _clean_time,
    dt.date: _clean_time,
    dt.time: _clean_time,
    uuid.UUID: str,
    decimal.Decimal: str,
}

_SUBCLASSED = tuple(base for base in _CLEANERS if base is not type(None))


def _shorten(value: Any, limit: int) -> Any:
    """Cut texts to `limit` characters and containers to as many items as could fit into `limit` bytes."""
    if isinstance(value, str):
        return value if len(value) <= limit else value[:limit] + _MARK
    if isinstance(value, list):
        kept = [_shorten(item, limit) for item in value[: max(1, limit // 8)]]
        return kept if len(kept) == len(value) else [*kept, _MARK]
    if isinstance(value, dict):
        kept_items = {_shorten(k, limit): _shorten(v, limit) for k, v in islice(value.items(), max(1, limit // 16))}
        return kept_items if len(kept_items) == len(value) else {**kept_items, "truncated": _MARK}
    return value
