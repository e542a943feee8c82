"""Data Sources as values: columns, where their JSON comes from, and the schema language. Pure functions."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tinylog.dev._problems import RequestError
from tinylog.dev._rows import Row
from tinylog.dev._sql import check_fragment

Path = tuple[str, ...]

EACH = "[:]"
"""The step of a path that enters every element of an array."""

MAX_NAME = 128  # a table's name becomes a file's, and those end at 255 bytes

_NAME = re.compile(r"[^\W\d]\w*", re.ASCII)
_STEP = re.compile(r"\.?(\w+)|\.?\['((?:[^'\\]|\\.)*)'\]|(\[:\])")
_COLUMN = re.compile(r"(?:`([^`\\]+)`|(\w+))\s+(.+)", re.DOTALL)
_JSONPATH = re.compile(r"`json:\$([^`]*)`")
_CODEC = re.compile(r"\bCODEC\s*\(.*\)\s*$", re.IGNORECASE | re.DOTALL)
_DEFAULT = re.compile(r"\sDEFAULT\s", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a Data Source.

    Args:
        name: Its name in SQL.
        type: Its ClickHouse type.
        path: The keys that lead to its value in a row; empty for the row itself.
        default: The SQL expression for missing values, or ``None``.
    """

    name: str
    type: str
    path: Path
    default: str | None = None

    @property
    def nullable(self) -> bool:
        """Whether it can hold NULL."""
        return self.type.startswith(("Nullable(", "LowCardinality(Nullable("))

    @property
    def required(self) -> bool:
        """Whether a row without a value for it goes to quarantine."""
        return not self.nullable and self.default is None

    @property
    def jsonpath(self) -> str:
        """Where its value comes from, in Tinybird's notation."""
        steps = "".join(_render_step(step) for step in self.path)
        return f"${steps}{EACH}" if self.type.startswith("Array(") and EACH not in self.path else f"${steps}"

    def sql_schema(self) -> str:
        """Its line in a schema."""
        default = f" DEFAULT {self.default}" if self.default is not None else ""
        return f"`{self.name}` {self.type} `json:{self.jsonpath}`{default}"


@dataclass(frozen=True)
class DataSource:
    """A Data Source: a name, columns, and whether they were guessed from rows.

    Args:
        name: Its name in the API and in SQL.
        columns: In the order of the table.
        guessed: Made from rows, so that new fields of later rows may become columns.
        created_at: When, as ``YYYY-MM-DD HH:MM:SS``.
    """

    name: str
    columns: tuple[Column, ...]
    guessed: bool = True
    created_at: str = ""

    @cached_property
    def paths(self) -> frozenset[Path]:
        """The paths that have a column."""
        return frozenset(column.path for column in self.columns)

    @property
    def quarantine(self) -> str:
        """The name of the table for rows that do not fit."""
        return f"{self.name}_quarantine"


@dataclass(frozen=True, slots=True)
class Engine:
    """How a table is stored: the ``ENGINE*`` settings of a ``.datasource`` file."""

    name: str = "MergeTree"
    sorting_key: str = "tuple()"
    partition_key: str = ""
    ttl: str = ""
    ver: str = ""


def check_name(name: str) -> str:
    """Refuse what cannot be the name of a Data Source.

    Raises:
        RequestError: 400, with the rule.
    """
    if not name:
        raise RequestError(400, "The parameter name is missing: the Data Source to write to")
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise RequestError(400, f"Invalid Data Source name {name!r}: use letters, digits and _, no digit first")
    if name.endswith("_quarantine"):
        raise RequestError(400, f"Invalid Data Source name {name!r}: the ending _quarantine is taken")
    return name


def parse_schema(text: str) -> tuple[Column, ...]:
    """Read the column list of a ``.datasource`` file or of ``POST /v0/datasources``.

    Args:
        text: Comma-separated columns: a name, a type, and optionally a ``json:`` path in backticks,
            ``DEFAULT`` and ``CODEC``. Without a path, the field has the column's name.

    Raises:
        RequestError: 400, with the column that is wrong.
    """
    columns = tuple(_parse_column(part) for part in _split(text) if part.strip())
    if not columns:
        raise RequestError(400, "The schema has no columns")
    return columns


def extract(value: Any, path: Path) -> Any:
    """The value at a path of a row, ``None`` when there is none."""
    for position, step in enumerate(path):
        if step == EACH and isinstance(value, list):
            return [extract(item, path[position + 1 :]) for item in value]
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    return value


def leaves(row: Row, known: frozenset[Path], depth: int, prefix: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The fields of a row that no column has yet, nested objects taken apart.

    Args:
        row: The row.
        known: Paths to leave out, with all below them.
        depth: How many levels of objects to enter; deeper ones count as values.
        prefix: The path that leads to ``row``.
    """
    for key, value in row.items():
        path = (*prefix, key)
        if path in known or value is None:
            continue
        if isinstance(value, dict) and depth > 1:
            yield from leaves(value, known, depth - 1, path)
        else:
            yield path, value


def _render_step(step: str) -> str:
    if step == EACH:
        return step
    if re.fullmatch(r"\w+", step):
        return f".{step}"
    escaped = step.replace("\\", "\\\\").replace("'", "\\'")
    return f".['{escaped}']"


def _parse_path(text: str) -> Path:
    steps: list[str] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            raise RequestError(400, f"Not a JSONPath that is understood here: ${text}")
        key, quoted, _ = match.groups()
        steps.append(key or (re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else EACH))
        position = match.end()
    while steps and steps[-1] == EACH:  # $.items[:] is the array itself
        steps.pop()
    return tuple(steps)


def _parse_column(text: str) -> Column:
    match = _COLUMN.fullmatch(text.strip())
    if match is None:
        raise RequestError(400, f"Not a column of a schema: {text.strip()!r}")
    quoted, bare, rest = match.groups()
    name = quoted or bare
    path = _JSONPATH.search(rest)
    rest = _CODEC.sub("", _JSONPATH.sub(" ", rest).strip())
    type_, *default = _DEFAULT.split(f"{rest} ", maxsplit=1)
    return Column(
        name=name,
        type=check_fragment(type_),
        path=_parse_path(path[1]) if path else (name,),
        default=check_fragment(default[0]) if default else None,
    )


def _split(text: str) -> Iterator[str]:
    """Cut at the commas that are outside of brackets and quotes."""
    depth, quote, start = 0, "", 0
    for position, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'`":
            quote = char
        elif char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
        elif char == "," and depth == 0:
            yield text[start:position]
            start = position + 1
    yield text[start:]
