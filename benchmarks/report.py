"""Results as Markdown: the machine, the bars, and every contender's figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.bars import Bar, bars
from benchmarks.scenarios import SCENARIOS

_COLUMNS = (
    ("p50 µs", lambda taken: taken["caller_us"]["p50"]),
    ("p99 µs", lambda taken: taken["caller_us"]["p99"]),
    ("p99.9 µs", lambda taken: taken["caller_us"]["p999"]),
    ("CPU µs/row", lambda taken: taken["cpu_us_row"]),
    ("rows/s", lambda taken: taken["rows_per_s"]),
    ("peak MB", lambda taken: taken["peak_mb"]),
    ("finish s", lambda taken: taken["shutdown_s"]),
    ("wire B/row", lambda taken: taken["wire_bytes_row"]),
    ("lost", lambda taken: taken["lost"]),
    ("twice", lambda taken: taken["duplicated"]),
)


def markdown(results: Mapping[str, Any], plots: Iterable[Path] = ()) -> str:
    """Write the report."""
    machine, imports = results["machine"], results.get("imports")
    most = f", at most {results['most_calls']:,} calls each" if results["most_calls"] else ""
    where = f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, Python {machine['python']}"
    how = f"{results['version']} version, {results['rounds']} rounds{most}"
    parts = [
        "# Benchmark",
        f"{where}; {machine['date']}, commit {machine['commit']}; {how}.",
        table_of_bars(results),
        *(f"![{plot.stem}]({plot.name})" for plot in plots if plot.stem.endswith("-light")),
    ]
    for name in SCENARIOS:
        taken = [one for one in results["measurements"] if one["scenario"] == name]
        if taken:
            header = ("contender", "calls", *(column for column, _ in _COLUMNS))
            parts += [f"## {name}", _table(header, [_row(one) for one in taken])]
    if imports:
        times = ", ".join(f"{program} {_number(took)}" for program, took in imports.items())
        parts += ["## Import", f"Milliseconds, over the bare interpreter's but for its own: {times}."]
    packages = ", ".join(f"{package} {version}" for package, version in machine["packages"].items())
    parts += ["## Packages", packages + "."]
    return "\n\n".join(parts) + "\n"


def table_of_bars(results: Mapping[str, Any]) -> str:
    """Write the bars alone, for a terminal."""
    return _table(("figure", "measured", "to reach", "beyond", "met?"), [_bar(bar) for bar in bars(results)])


def _bar(bar: Bar) -> Sequence[str]:
    sign = "≥" if bar.at_least else "≤"

    def write(value: float | None, prefix: str = "") -> str:
        return "" if value is None else f"{prefix}{_number(value)} {bar.unit}".strip()

    return bar.figure, write(bar.value), write(bar.reach, f"{sign} "), write(bar.beyond, f"{sign} "), bar.verdict


def _row(taken: Mapping[str, Any]) -> Sequence[str]:
    name = taken["contender"] + (", lossless" if taken["lossless"] else "")
    if "error" in taken:
        return name, f"{taken['calls']:,}", f"failed: {' '.join(taken['error'].split())}", *[""] * (len(_COLUMNS) - 1)
    if taken["failed_rounds"]:
        name += f" ({taken['failed_rounds']} of {len(taken['rounds'])} rounds failed)"
    return name, f"{taken['calls']:,}", *(_read(read, taken) for _, read in _COLUMNS)


def _read(read: Any, taken: Mapping[str, Any]) -> str:
    try:
        value = read(taken)
    except TypeError:
        return ""  # not timed
    return "" if value is None else _number(value)


def _number(value: float) -> str:
    if isinstance(value, int) or abs(value) >= 100:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align the columns, so that the table can be read as it is; numbers stand on the right."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    widths = [max(3, *(len(row[at]) for row in cells)) for at in range(len(header))]

    def line(row: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = " | ".join("-" * width if not at else "-" * (width - 1) + ":" for at, width in enumerate(widths))
    return "\n".join([line(cells[0]), f"| {rule} |", *map(line, cells[1:])])
