"""Guess columns from rows. Pure functions.

Nested objects become columns named ``parent_child``, as Tinybird names them; below ``MAX_DEPTH`` levels, and
inside arrays, they stay JSON text. Everything is Nullable (arrays: empty by default), because log rows lack fields
often; only the timestamp that the table is sorted by is not.
"""

import re
from collections.abc import Iterable
from typing import Any

from tinylog.dev._rows import Row
from tinylog.dev._schema import Column, DataSource, Path, leaves

MAX_DEPTH = 5
MAX_COLUMNS = 500
RESERVED = frozenset({"c__error_column", "c__error", "c__import_id", "insertion_date"})
"""Columns of every quarantine table, which no field may be named like."""

_TIME = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[T ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d"
    r"(?:\.(\d{1,9}))?(?:Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_MICROS, _NANOS = "DateTime64(6)", "DateTime64(9)"
_MICRO_DIGITS = 6
_UNKNOWN = ""  # of the elements of an empty array
_MERGED = {
    frozenset({"Int64", "Float64"}): "Float64",
    frozenset({"UInt64", "Float64"}): "Float64",
    frozenset({_MICROS, _NANOS}): _NANOS,
}


def guess_columns(rows: list[Row], source: DataSource | None = None) -> tuple[Column, ...]:
    """Columns for the fields of rows.

    Args:
        rows: A sample: all are looked at.
        source: A Data Source that exists; only what it lacks is returned then.
    """
    known = source.paths if source else frozenset()
    types: dict[Path, str] = {}
    for row in rows:
        for path, value in leaves(row, known, MAX_DEPTH):
            kind = _kind(value)
            types[path] = _merge(types[path], kind) if path in types else kind
    taken = {column.name for column in source.columns} if source else set()
    room = MAX_COLUMNS - len(taken)
    return tuple(_column(path, kind, taken) for path, kind in list(types.items())[:room])


def pick_timestamp(columns: tuple[Column, ...], rows: list[Row]) -> str | None:
    """The column to sort by: a time that every row has, preferably the one named ``timestamp``."""
    names = [
        column.name
        for column in columns
        if column.type.startswith("Nullable(DateTime64") and len(column.path) == 1 and _in_all(column, rows)
    ]
    return "timestamp" if "timestamp" in names else next(iter(names), None)


def _in_all(column: Column, rows: list[Row]) -> bool:
    return all(row.get(column.path[0]) is not None for row in rows)


def _column(path: Path, kind: str, taken: set[str]) -> Column:
    name = _free_name(path, taken)
    taken.add(name)
    if kind.startswith("Array("):
        return Column(name, kind.replace(f"Array({_UNKNOWN})", "Array(String)"), path, "[]")
    return Column(name, f"Nullable({kind})", path)


def _free_name(path: Path, taken: set[str]) -> str:
    base = re.sub(r"\W", "_", "_".join(path)) or "_"
    base = f"_{base}" if base[0].isdigit() else base
    name, number = base, 1
    while name in taken or name in RESERVED:
        number += 1
        name = f"{base}_{number}"
    return name


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "Bool"
    if isinstance(value, int):
        return _int_kind(value)
    if isinstance(value, float):
        return "Float64"
    if isinstance(value, list):
        return _array_kind(value)
    return _text_kind(value) if isinstance(value, str) else "String"


def _int_kind(value: int) -> str:
    if -(2**63) <= value < 2**63:
        return "Int64"
    return "UInt64" if 0 < value < 2**64 else "String"  # as text it keeps every digit


def _text_kind(value: str) -> str:
    match = _TIME.fullmatch(value)
    if match is None:
        return "String"
    return _NANOS if len(match[1] or "") > _MICRO_DIGITS else _MICROS


def _array_kind(items: list[Any]) -> str:
    if any(isinstance(item, (dict, list)) for item in items):
        return "String"
    inner = _merge_all(_kind(item) for item in items if item is not None)
    return f"Array(Nullable({inner}))" if inner and None in items else f"Array({inner})"


def _merge_all(kinds: Iterable[str]) -> str:
    merged = _UNKNOWN
    for kind in kinds:
        merged = _merge(merged, kind)
    return merged


def _merge(one: str, two: str) -> str:
    if two in (one, _UNKNOWN):
        return one
    if one == _UNKNOWN:
        return two
    if one.startswith("Array(") and two.startswith("Array("):
        return f"Array({_merge_elements(one[6:-1], two[6:-1])})"
    return _MERGED.get(frozenset({one, two}), "String")


def _merge_elements(one: str, two: str) -> str:
    bare = _merge(_strip_nullable(one), _strip_nullable(two))
    return f"Nullable({bare})" if bare and (one.startswith("Nullable(") or two.startswith("Nullable(")) else bare


def _strip_nullable(kind: str) -> str:
    return kind[9:-1] if kind.startswith("Nullable(") else kind
