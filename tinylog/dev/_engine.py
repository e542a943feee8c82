"""What the HTTP layer may ask for: take rows, run SQL, describe Data Sources. All of it blocks."""

import uuid
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinylog.dev._catalog import Catalog
from tinylog.dev._clickhouse import Database, DatabaseError, quote_name
from tinylog.dev._judge import judge, quarantine_line
from tinylog.dev._problems import RequestError
from tinylog.dev._project import project_rows
from tinylog.dev._rows import Row
from tinylog.dev._schema import DataSource, Engine, check_name, parse_schema
from tinylog.dev._sql import check_fragment, check_query, content_type
from tinylog.dev._writer import Writer

_ENGINES = ("MergeTree", "ReplacingMergeTree", "SummingMergeTree", "AggregatingMergeTree")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of the rows of a request.

    Args:
        successful: Rows that fit, and are or will be in the Data Source.
        quarantined: Rows that do not, and are or will be in its quarantine table.
        written: Done when all of them can be read by SQL.
    """

    successful: int
    quarantined: int
    written: "Future[None]"


class LocalTinybird:
    """The whole of the local Tinybird, without HTTP. Safe to use from several threads.

    Args:
        folder: Where its tables are kept; no other process may use it.
        auto_columns: New fields of later rows become columns of Data Sources with a guessed schema.
    """

    def __init__(self, folder: Path, *, auto_columns: bool = True) -> None:
        self._database = Database(folder)
        self._catalog = Catalog(self._database, auto_columns=auto_columns)
        self._writer = Writer(self._database)

    def ingest(self, name: str, rows: list[Row], *, urgent: bool) -> Receipt:
        """Judge rows and hand them to the writer; both counts are final, whether they are waited for or not.

        Args:
            name: The Data Source, created when it does not exist.
            rows: At least one.
            urgent: The caller will wait until they are written.

        Raises:
            RequestError: 400 for the name, 503 when too much is pending.
        """
        source = self._catalog.for_rows(check_name(name), rows)
        projected = project_rows(source, rows)
        good = judge(self._database, source, projected)
        import_id = str(uuid.uuid4())
        bad = [quarantine_line(source, row, import_id) for row in projected if row.errors]
        parts = {
            table: b"\n".join(lines) + b"\n"
            for table, lines in ((source.name, good), (source.quarantine, bad))
            if lines
        }
        return Receipt(len(good), len(bad), self._writer.put(parts, urgent=urgent))

    def query(self, sql: str, *, quote_integers: bool = False) -> tuple[bytes, str]:
        """Run a user's query.

        Returns:
            The output and its media type.

        Raises:
            RequestError: 400 with ClickHouse's message, or when the query could do more than read.
        """
        output_format = check_query(sql)
        try:
            output = self._database.read_only(sql, output_format, quote_integers=quote_integers)
        except DatabaseError as error:
            raise RequestError(400, str(error)) from None
        return output, content_type(output_format)

    def create(self, name: str, schema: str, engine: dict[str, str]) -> dict[str, Any]:
        """Create a Data Source from a schema.

        Args:
            name: Its name.
            schema: Its columns, as in a ``.datasource`` file.
            engine: ``engine``, ``engine_sorting_key``, ``engine_partition_key``, ``engine_ttl`` and
                ``engine_ver``; others are ignored.

        Returns:
            Its description.
        """
        columns = parse_schema(schema)
        self._catalog.create(check_name(name), columns, _parse_engine(engine))
        return self.describe(name)

    def describe(self, name: str) -> dict[str, Any]:
        """A Data Source in the API's words.

        Raises:
            RequestError: 404 when there is none of that name.
        """
        source = self._catalog.get(name)
        if source is None:
            raise _unknown(name)
        return _describe(source, self._statistics().get(name, {}))

    def describe_all(self) -> list[dict[str, Any]]:
        """All Data Sources in the API's words."""
        statistics = self._statistics()
        sources = filter(None, map(self._catalog.get, self._catalog.names()))
        return [_describe(source, statistics.get(source.name, {})) for source in sources]

    def truncate(self, name: str) -> None:
        """Delete all rows of a Data Source, those that were accepted before and not written yet too.

        Raises:
            RequestError: 404 when there is none of that name.
        """
        source = self._catalog.get(name)
        if source is None:
            raise _unknown(name)
        self._writer.put({}, urgent=True).result()
        self._database.command(f"TRUNCATE TABLE {quote_name(source.name)}")

    def cancel_queries(self) -> None:
        """End the users' queries that are running, with an error."""
        self._database.cancel_queries()

    def close(self) -> None:
        """Write pending rows and let go of the folder."""
        self._writer.close()
        self._database.close()

    def _statistics(self) -> dict[str, dict[str, Any]]:
        found = self._database.rows(
            "SELECT name, engine, sorting_key, partition_key, toUInt64(total_rows) AS row_count,"
            " toUInt64(total_bytes) AS bytes FROM system.tables WHERE database = currentDatabase()"
            " SETTINGS output_format_json_quote_64bit_integers = 0"
        )
        return {row["name"]: row for row in found}


def _unknown(name: str) -> RequestError:
    return RequestError(404, f'Data Source "{name}" does not exist')


def _parse_engine(options: dict[str, str]) -> Engine:
    name = options.get("engine") or "MergeTree"
    if name not in _ENGINES:
        raise RequestError(400, f"Unknown engine {name!r}: use one of {', '.join(_ENGINES)}")
    fragments = {
        key: check_fragment(value)
        for key in ("sorting_key", "partition_key", "ttl", "ver")
        if (value := options.get(f"engine_{key}", "").strip())
    }
    return Engine(name, **fragments)


def _describe(source: DataSource, statistics: dict[str, Any]) -> dict[str, Any]:
    columns = [
        {
            "name": column.name,
            "type": column.type,
            "jsonpath": column.jsonpath,
            "nullable": column.nullable,
            "default_value": column.default,
        }
        for column in source.columns
    ]
    sql_schema = ", ".join(column.sql_schema() for column in source.columns)
    return {
        "id": source.name,
        "name": source.name,
        "type": "ndjson",
        "created_at": source.created_at,
        "engine": {key: statistics.get(key, "") for key in ("engine", "sorting_key", "partition_key")},
        "columns": columns,
        "schema": {"columns": columns, "sql_schema": sql_schema},
        "statistics": {key: statistics.get(key, 0) for key in ("row_count", "bytes")},
        "quarantine": source.quarantine,
    }
