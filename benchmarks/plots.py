"""The plots of README: bars by contender as SVG, in a light and a dark variant for GitHub's `<picture>`.

The same results draw the same bytes on every machine: no date, fixed ids, matplotlib's own font, text left as text.
"""

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from benchmarks.contenders import CONTENDERS

# What a call costs with nothing behind it, by the contender's door. OpenTelemetry stands behind `logging`, and its own
# pipeline is a part of what its users pay: "otel_null" is a bar like any other.
FLOORS = {"logging": "null", "otel": "null", "structlog": "structlog_null"}
LOG_BEYOND = 20.0  # a span of this much between the shortest and the longest bar takes a logarithmic axis
WIDTH_IN, NAMES_IN, BAR_IN, FRAME_IN = 9.2, 2.1, 0.25, 0.75
VALUE_IN = 0.68  # what the value takes at the end of the longest bar
NAMES = {
    "null": "no handler",
    "axiom": "axiom-py",
    "file": "logging to a file",
    "handwritten": "written by hand",
    "logtail": "logtail-python",
    "loki": "python-logging-loki",
    "otel_null": "OpenTelemetry, no exporter",
    "otlp": "OpenTelemetry, OTLP",
    "sentry": "sentry-sdk",
    "structlog_file": "structlog to a file",
    "structlog_null": "structlog, no processor",
    "tinybird_sdk": "tinybird-python-sdk",
    "tinybird_sdk_sync": "tinybird-python-sdk, sync",
    "tinylog_otel": "tinylog, OpenTelemetry",
    "tinylog_plain": "tinylog, uncompressed",
    "tinylog_structlog": "tinylog, structlog",
}
FONT = "DejaVu Sans"  # comes with matplotlib, and is wide: whatever a reader's browser has instead needs no more room
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tinylog",
    "font.family": FONT,
    "font.size": 9,
}


@dataclass(frozen=True)
class Theme:
    """The colours of one of GitHub's themes; the background stays transparent."""

    name: str
    text: str
    muted: str
    grid: str
    other: str
    accent: str


THEMES = (
    Theme("light", text="#1f2328", muted="#59636e", grid="#d1d9e0", other="#afb8c1", accent="#0969da"),
    Theme("dark", text="#f0f6fc", muted="#9198a1", grid="#3d444d", other="#656c76", accent="#4493f8"),
)


@dataclass(frozen=True)
class Panel:
    """One column of bars. Its scale is left to the span of the values unless it is said; `top` is the least end."""

    title: str
    values: Mapping[str, float]
    label: Callable[[float], str]
    logarithmic: bool | None = None
    top: float = 0


def draw(results: dict, folder: Path) -> list[Path]:
    """Draw every plot that the results hold measurements for, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with mpl.rc_context(STYLE):
        for name, plotted in _plots(results["measurements"]):
            panels = [panel for panel in plotted if panel.values]
            for theme in THEMES if panels else ():
                path = folder / f"{name}-{theme.name}.svg"
                path.write_text(_svg(_figure(panels, theme)), encoding="utf-8")
                written.append(path)
    return written


def _svg(figure: Figure) -> str:
    """Write the figure without a date or a version, and with a font to fall back on; matplotlib would look for it."""
    written = io.StringIO()
    figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return written.getvalue().replace(f"'{FONT}'", f"'{FONT}', Verdana, sans-serif")


def _plots(measurements: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[Panel]]]:
    """Say which measurement stands in which plot. Speed is that of the defaults, but throughput counts what arrives."""
    sound = [taken for taken in measurements if not taken.get("error")]
    calls = _values(sound, "burst1", False, lambda taken: taken["caller_us"]["p50"])
    rows = _values(sound, "burst1", False, lambda taken: taken["cpu_us_row"])
    yield (
        "caller",
        [
            Panel("Caller's time a call, median, over no handler", _over_floor(calls), _duration),
            Panel("CPU time a delivered row, over no handler", _over_floor(rows), _duration),
        ],
    )
    speed = _values(sound, "burst1", True, lambda taken: taken["rows_per_s"])
    yield "throughput", [Panel("Rows a second, end to end, set against loss", _sent(speed), _rate)]
    yield (
        "latency",
        [
            Panel(
                title,
                _values(sound, "paced", False, lambda taken, at=at: taken["caller_us"][at]),
                _duration,
                logarithmic=True,
            )
            for at, title in (("p50", "A call, median"), ("p99", "p99"), ("p999", "p99.9"), ("max", "longest"))
        ],
    )
    yield (
        "loss",
        [
            Panel(title, _sent(_values(measurements, scenario, lossless, _lost)), _percent, False, top=100)
            for title, scenario, lossless in (
                ("Lost in a burst, defaults", "burst1", False),
                ("Lost at a plain exit, defaults", "exit", False),
                ("Lost to faults, set against loss", "faults", True),
            )
        ],
    )


def _values(
    measurements: Sequence[Mapping[str, Any]], scenario: str, lossless: bool, read: Callable[[Mapping[str, Any]], Any]
) -> dict[str, float]:
    """Read one number a contender: the median of its repetitions with these settings, or else with the others."""
    found: dict[str, dict[bool, list[float]]] = {}
    for taken in measurements:
        if taken["scenario"] != scenario:
            continue
        try:
            number = read(taken)
        except (KeyError, TypeError):
            continue  # not measured
        if number is not None and math.isfinite(number):
            found.setdefault(taken["contender"], {}).setdefault(taken["lossless"], []).append(number)
    return {name: median(kinds.get(lossless) or kinds[not lossless]) for name, kinds in found.items()}


def _lost(taken: Mapping[str, Any]) -> float:
    return 100 * taken["lost"] / taken["calls"]


def _sent(values: Mapping[str, float]) -> dict[str, float]:
    """Leave out what sends nothing: it has nothing to lose, and no end to end."""
    return {name: number for name, number in values.items() if name not in CONTENDERS or not CONTENDERS[name].local}


def _over_floor(values: Mapping[str, float]) -> dict[str, float]:
    """Subtract what the call costs without a handler; without that measurement there is nothing to plot."""
    floors = {name: FLOORS[CONTENDERS[name].door if name in CONTENDERS else "logging"] for name in values}
    return {
        name: max(values[name] - values[floor], 0)
        for name, floor in floors.items()
        if floor in values and name not in FLOORS.values()
    }


def _figure(panels: Sequence[Panel], theme: Theme) -> Figure:
    """Draw the panels side by side over one list of contenders, the best of the first panel on top."""
    sign = -1 if panels[0].label is _rate else 1
    contenders = sorted(
        {name for panel in panels for name in panel.values},
        key=lambda name: ([sign * panel.values.get(name, math.inf * sign) for panel in panels], name),
    )
    figure = Figure(figsize=(WIDTH_IN, FRAME_IN + BAR_IN * len(contenders)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1)
    columns = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    spans = [_span(panel, VALUE_IN * len(panels) / (WIDTH_IN - NAMES_IN)) for panel in panels]
    for axes, panel, span in zip(columns, panels, spans, strict=True):
        _bars(axes, panel, span, contenders, theme)
        scale = "(log scale)" if span[2] else " "  # a second line for all, or the titles stand at different heights
        title = f"{panel.title}\n{scale}" if any(logarithmic for *_, logarithmic in spans) else panel.title
        axes.set_title(title, color=theme.text, fontsize=9, loc="left")
    columns[0].set_yticks(range(len(contenders)), [_name(name) for name in contenders])
    columns[0].set_ylim(len(contenders) - 0.4, -0.6)
    for tick, name in zip(columns[0].get_yticklabels(), contenders, strict=True):
        tick.set(color=theme.text, fontweight="bold" if _is_own(name) else "normal")
    return figure


def _bars(axes: Axes, panel: Panel, span: tuple[float, float, bool], contenders: Sequence[str], theme: Theme) -> None:
    places = {place: panel.values[name] for place, name in enumerate(contenders) if name in panel.values}
    low, high, logarithmic = span
    axes.set_xscale("log" if logarithmic else "linear")
    axes.set_xlim(low, high)
    axes.barh(
        list(places),
        [max(number - low, 0) for number in places.values()],
        left=low,
        height=0.68,
        color=[theme.accent if _is_own(contenders[place]) else theme.other for place in places],
    )
    for place, number in places.items():
        axes.annotate(
            panel.label(number),
            (max(number, low), place),
            xytext=(3, 0),
            textcoords="offset points",
            va="center_baseline",
            color=theme.text,
            fontweight="bold" if _is_own(contenders[place]) else "normal",
            fontsize=8,
        )
    _axis(axes, panel, logarithmic, theme)


def _axis(axes: Axes, panel: Panel, logarithmic: bool, theme: Theme) -> None:
    """Leave of the axes what is read beside the values at the bars: the scale below, and the line they start from."""
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set(color=theme.grid, linewidth=0.8)
    axes.xaxis.set_major_locator(LogLocator(numticks=4) if logarithmic else MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda number, _: panel.label(number)))
    axes.tick_params(axis="x", length=3, color=theme.grid, labelsize=7.5, labelcolor=theme.muted)
    axes.tick_params(axis="y", length=0)


def _span(panel: Panel, room: float) -> tuple[float, float, bool]:
    """Return the axis' ends, with this share of it for the last value, and whether it is logarithmic."""
    numbers = panel.values.values()
    top = max(panel.top, *numbers)
    positive = [number for number in numbers if number > 0]
    logarithmic = panel.logarithmic
    if logarithmic is None:
        logarithmic = top > LOG_BEYOND * min(positive, default=math.inf)
    if not (logarithmic and positive):
        return 0, (top or 1) / (1 - room), False
    low = 10 ** math.floor(math.log10(min(positive) / 1.5))  # leaves the shortest bar a length
    return low, low * (top / low) ** (1 / (1 - room)), True


def _is_own(name: str) -> bool:
    return name.startswith("tinylog")


def _name(name: str) -> str:
    return NAMES.get(name, name.replace("_", " "))


def _duration(us: float) -> str:
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if us >= size * 0.9995:
            return f"{_digits(us / size)} {unit}"
    return f"{_digits(us)} µs" if us else "0"


def _rate(rows: float) -> str:
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if rows >= size * 0.9995:
            return f"{_digits(rows / size)}{unit}"
    return _digits(rows)


def _percent(share: float) -> str:
    return f"{_digits(share)} %" if share >= 0.01 or not share else "< 0.01 %"  # noqa: PLR2004


def _digits(number: float) -> str:
    """Write two or three digits, and no zeros after the point."""
    digits = 2 if number < 1 else 1 if number < 10 else 0  # noqa: PLR2004
    written = f"{number:.{digits}f}"
    return written.rstrip("0").rstrip(".") if "." in written else written
