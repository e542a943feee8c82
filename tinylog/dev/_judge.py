"""Tell rows that fit their Data Source from rows that do not.

ClickHouse's own parser decides: a strict insert into its ``null`` table function is the fast path, and says
whether all rows fit. Only when they do not is each row, and then each value, asked about.
"""

from array import array
from collections.abc import Sequence

from tinylog.dev._clickhouse import Database, DatabaseError, quote_name, quote_text
from tinylog.dev._project import Projected, as_text, misfit
from tinylog.dev._rows import Row, dump_line
from tinylog.dev._schema import Column, DataSource, extract

_ROW = "tinylog:row"  # a guessed column has no colon
_TEXT = ("String", "Nullable(String)", "LowCardinality(String)", "LowCardinality(Nullable(String))")


def judge(database: Database, source: DataSource, rows: list[Projected]) -> list[bytes]:
    """Give every row that does not fit its ``errors``.

    Returns:
        The lines of the rows that fit, in their order.
    """
    candidates = [row for row in rows if not row.errors]
    lines = [dump_line(row.values) for row in candidates]
    fitting = set(range(len(lines)))
    if lines and not _all_fit(database, source.columns, lines):
        fitting = _fitting(database, source.columns, lines, range(len(lines)))
    if len(fitting) < len(rows):
        misfits = [row for index, row in enumerate(candidates) if index not in fitting]
        _explain(database, source, [row for row in rows if row.errors] + misfits)
    return [lines[index] for index in sorted(fitting)]


def quarantine_line(source: DataSource, row: Projected, import_id: str) -> bytes:
    """A row for the quarantine table."""
    values: Row = {column.name: as_text(extract(row.raw, column.path)) for column in source.columns}
    values["c__error_column"] = list(row.errors)
    values["c__error"] = list(row.errors.values())
    values["c__import_id"] = import_id
    return dump_line(values)


def _explain(database: Database, source: DataSource, bad: list[Projected]) -> None:
    lines = [dump_line(row.values) for row in bad]
    for column in source.columns:
        if column.type in _TEXT:
            continue  # takes everything
        fitting = _fitting(database, [column], lines, range(len(lines)))
        for index, row in enumerate(bad):
            if index not in fitting:
                row.errors[column.name] = misfit(column, row.values.get(column.name))
    for row in bad:
        row.errors = row.errors or {"": "the row does not fit"}


def _all_fit(database: Database, columns: Sequence[Column], lines: list[bytes]) -> bool:
    try:
        target = f"FUNCTION null({quote_text(_structure(columns))})"
        return database.insert(target, b"\n".join(lines)) == len(lines)
    except DatabaseError:
        return False


def _fitting(database: Database, columns: Sequence[Column], lines: list[bytes], which: range) -> set[int]:
    numbered = b"\n".join(_number(lines[index], index) for index in which)
    structure = f"{quote_name(_ROW)} UInt32, {_structure(columns)}"
    table = f"format(JSONEachRow, {quote_text(structure)}, {quote_text(numbered.decode())})"
    # ignore() has every column parsed; without it ClickHouse skips those that are not selected.
    parsed = f"NOT ignore({', '.join(quote_name(column.name) for column in columns)})"
    try:
        found = database.read(
            f"SELECT {quote_name(_ROW)} FROM {table} WHERE {parsed} SETTINGS input_format_allow_errors_ratio = 1",  # noqa: S608
            "RowBinary",
        )
    except DatabaseError:  # some errors, such as a decimal overflow, end the statement instead of the row
        if len(which) == 1:
            return set()
        middle = len(which) // 2
        return _fitting(database, columns, lines, which[:middle]) | _fitting(database, columns, lines, which[middle:])
    return set(array("I", found))


def _number(line: bytes, index: int) -> bytes:
    rest = line[1:] if line == b"{}" else b"," + line[1:]
    return b'{"%s":%d%s' % (_ROW.encode(), index, rest)


def _structure(columns: Sequence[Column]) -> str:
    return ", ".join(f"{quote_name(column.name)} {column.type}" for column in columns)
