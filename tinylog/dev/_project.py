"""Rows to the columns of a Data Source, with the checks that ClickHouse's parser does not make. Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tinylog.dev._rows import Row, dump_line
from tinylog.dev._schema import Column, DataSource, extract

Check = Callable[[Any], bool]

_INTEGER = re.compile(r"(U?)Int(8|16|32|64|128|256)")
_DIGITS = re.compile(r"[+-]?\d{1,80}", re.ASCII)
_MAP = re.compile(r"Map\((?:LowCardinality\(String\)|\w+),\s*(.+)\)", re.DOTALL)
_WRAPPERS = ("Nullable(", "LowCardinality(")


@dataclass(slots=True)
class Projected:
    """A row as its Data Source sees it.

    Args:
        raw: The row as it came.
        values: Column name to value; missing ones are left out, so that NULL or the default applies.
        errors: Column name to what is wrong with its value; a row with errors goes to quarantine.
    """

    raw: Row
    values: Row = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


def project_rows(source: DataSource, rows: list[Row]) -> list[Projected]:
    """Map rows to columns."""
    plan = [(column, _check(column.type)) for column in source.columns]
    return [_project(plan, row) for row in rows]


def misfit(column: Column, value: Any) -> str:
    """Tinybird's words for a value that a column cannot hold."""
    bare = column.type[len("Nullable(") : -1] if column.type.startswith("Nullable(") else column.type
    return f"value '{as_text(value)}' on column '{column.name}' is not {bare}"


def as_text(value: Any) -> str | None:
    """A value as a quarantine table shows it."""
    return value if value is None or isinstance(value, str) else dump_line(value).decode()


def _project(plan: list[tuple[Column, Check | None]], row: Row) -> Projected:
    projected = Projected(row)
    for column, fits in plan:
        path = column.path
        value = row.get(path[0]) if len(path) == 1 else extract(row, path)
        if value is None:
            if column.required:
                projected.errors[column.name] = (
                    f"no value for column '{column.name}', which is not Nullable and has no DEFAULT"
                )
        elif fits is None or fits(value):
            projected.values[column.name] = value
        else:
            projected.errors[column.name] = misfit(column, value)
    return projected


def _check(type_: str) -> Check | None:
    """A test that the integers of a value are in range; ``None`` when its type has none.

    ClickHouse's JSON parser wraps integers around silently: 300 becomes 44 in a UInt8, and "" becomes 0.
    """
    for wrapper in _WRAPPERS:
        if type_.startswith(wrapper):
            return _or_none(_check(type_[len(wrapper) : -1]), allow=wrapper == "Nullable(")
    if type_.startswith("Array("):
        return _each(_check(type_[6:-1]), list, list)
    if match := _MAP.fullmatch(type_):
        return _each(_check(match[1]), dict, dict.values)
    match = _INTEGER.fullmatch(type_)
    return _in_range(int(match[2]), signed=not match[1]) if match else None


def _or_none(check: Check | None, *, allow: bool) -> Check | None:
    if check is None or not allow:
        return check
    return lambda value: value is None or check(value)


def _each(check: Check | None, container: type, items: Callable[[Any], Any]) -> Check | None:
    if check is None:
        return None
    return lambda value: isinstance(value, container) and all(check(item) for item in items(value))


def _in_range(bits: int, *, signed: bool) -> Check:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)

    def check(value: Any) -> bool:
        if isinstance(value, str) and _DIGITS.fullmatch(value):
            value = int(value)
        return isinstance(value, int) and low <= value < high

    return check
