"""The Data Sources that exist. ClickHouse's own table and column comments are the catalogue.

A table and its description are thus made and changed in one step, and no crash can come between them.
"""

import json
import threading
import time
from dataclasses import replace
from typing import Any

from tinylog.dev._clickhouse import Database, DatabaseError, quote_name, quote_text
from tinylog.dev._guess import guess_columns, pick_timestamp
from tinylog.dev._problems import RequestError
from tinylog.dev._rows import Row
from tinylog.dev._schema import Column, DataSource, Engine

_QUARANTINE_COLUMNS = (
    "`c__error_column` Array(String), `c__error` Array(String), `c__import_id` String,"
    " `insertion_date` DateTime DEFAULT now()"
)


class Catalog:
    """Find, create and extend Data Sources. Safe to use from several threads.

    Args:
        database: Where they are kept.
        auto_columns: New fields of later rows become columns of Data Sources with a guessed schema.
    """

    def __init__(self, database: Database, *, auto_columns: bool) -> None:
        self._database = database
        self._auto_columns = auto_columns
        self._changing = threading.Lock()
        self._sources = _load(database)

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._sources)

    def get(self, name: str) -> DataSource | None:
        """The Data Source of that name."""
        return self._sources.get(name)

    def for_rows(self, name: str, rows: list[Row]) -> DataSource:
        """The Data Source that rows go to, created or given new columns when they need it.

        Raises:
            RequestError: 400 when there is nothing to guess from.
        """
        source = self._sources.get(name)
        if source is not None and not self._lacks(source, rows):
            return source
        with self._changing:
            source = self._sources.get(name)  # another thread may have been faster
            if source is None:
                return self._guess(name, rows)
            return self._extend(source, self._lacks(source, rows))

    def create(self, name: str, columns: tuple[Column, ...], engine: Engine) -> DataSource:
        """Create a Data Source with a schema that is never changed by rows.

        Raises:
            RequestError: 409 when the name is taken, 400 when ClickHouse refuses the schema.
        """
        with self._changing:
            if name in self._sources:
                raise RequestError(409, f"There is already a Data Source named {name}")
            try:
                return self._create(DataSource(name, columns, guessed=False), engine)
            except DatabaseError as error:
                raise RequestError(400, str(error)) from None

    def _lacks(self, source: DataSource, rows: list[Row]) -> tuple[Column, ...]:
        return guess_columns(rows, source) if source.guessed and self._auto_columns else ()

    def _guess(self, name: str, rows: list[Row]) -> DataSource:
        columns = guess_columns(rows)
        if not columns:
            raise RequestError(
                400, f"Data Source {name} does not exist, and these rows have no values to guess it from"
            )
        timestamp = pick_timestamp(columns, rows)
        columns = tuple(
            replace(column, type=column.type[len("Nullable(") : -1]) if column.name == timestamp else column
            for column in columns
        )
        return self._create(DataSource(name, columns), Engine(sorting_key=timestamp or "tuple()"))

    def _create(self, source: DataSource, engine: Engine) -> DataSource:
        source = replace(source, created_at=time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()))
        quarantine = ", ".join(f"{quote_name(column.name)} Nullable(String)" for column in source.columns)
        # What is not in the catalogue is left over from a creation that a crash cut short, and empty.
        for table in (source.quarantine, source.name):
            self._database.command(f"DROP TABLE IF EXISTS {quote_name(table)}")
        self._database.command(
            f"CREATE TABLE {quote_name(source.quarantine)} ({quarantine}, {_QUARANTINE_COLUMNS})"
            " ENGINE = MergeTree ORDER BY insertion_date"
        )
        comment = quote_text(json.dumps({"guessed": source.guessed, "created_at": source.created_at}))
        columns = ", ".join(map(_definition, source.columns))
        self._database.command(
            f"CREATE TABLE {quote_name(source.name)} ({columns}) {_engine_clause(engine)} COMMENT {comment}"
        )
        return self._reload(source.name)

    def _extend(self, source: DataSource, columns: tuple[Column, ...]) -> DataSource:
        if not columns:
            return source
        add = "ADD COLUMN IF NOT EXISTS"
        texts = ", ".join(f"{add} {quote_name(column.name)} Nullable(String)" for column in columns)
        self._database.command(f"ALTER TABLE {quote_name(source.quarantine)} {texts}")
        typed = ", ".join(f"{add} {_definition(column)}" for column in columns)
        self._database.command(f"ALTER TABLE {quote_name(source.name)} {typed}")
        return self._reload(source.name)

    def _reload(self, name: str) -> DataSource:
        self._sources = _load(self._database)  # swapped whole: readers take no lock
        return self._sources[name]


def _definition(column: Column) -> str:
    default = f" DEFAULT {column.default}" if column.default is not None else ""
    comment = quote_text(json.dumps(column.path))
    return f"{quote_name(column.name)} {column.type}{default} COMMENT {comment}"


def _engine_clause(engine: Engine) -> str:
    clauses = [f"ENGINE = {engine.name}({engine.ver})"]
    if engine.partition_key:
        clauses.append(f"PARTITION BY {_tuple(engine.partition_key)}")
    clauses.append(f"ORDER BY {_tuple(engine.sorting_key)}")
    if engine.ttl:
        clauses.append(f"TTL {engine.ttl}")
    return " ".join(clauses)


def _tuple(key: str) -> str:
    return f"({key})" if "," in key else key


def _load(database: Database) -> dict[str, DataSource]:
    tables = database.rows(
        "SELECT name, comment FROM system.tables WHERE database = currentDatabase() AND comment != ''"
    )
    columns: dict[str, list[Column]] = {}
    for row in database.rows(
        "SELECT table, name, type, default_expression, comment FROM system.columns"
        " WHERE database = currentDatabase() AND comment != '' ORDER BY table, position"
    ):
        columns.setdefault(row["table"], []).append(_column(row))
    return {
        row["name"]: DataSource(row["name"], tuple(columns[row["name"]]), **json.loads(row["comment"]))
        for row in tables
    }


def _column(row: dict[str, Any]) -> Column:
    return Column(row["name"], row["type"], tuple(json.loads(row["comment"])), row["default_expression"] or None)
