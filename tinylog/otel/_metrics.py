"""The exporter of metrics, and its rows. Each kind of metric has its own Data Source; summaries are skipped.

https://opentelemetry.io/docs/specs/otel/metrics/data-model/
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogram,
    Gauge,
    Histogram,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    Sum,
)
from opentelemetry.sdk.metrics.view import Aggregation

from tinylog._attributes import attribute_map
from tinylog._registry import Parts
from tinylog._report import Event
from tinylog._stats import Stats
from tinylog.otel._door import OtelDoor, settings_of
from tinylog.otel._rows import Row, span_id_of, time_of, trace_id_of
from tinylog.protocols import Buffer, Clock, Transport
from tinylog.settings import Options

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["TinybirdMetricExporter"]

_WORD = 2**63


class TinybirdMetricExporter(MetricExporter):
    """Exports metrics to four Data Sources such as those of Tinybird's OpenTelemetry template.

    Metrics are not critical: unless `delivery` says otherwise they are sent once.

    Args:
        preferred_temporality: see `opentelemetry.sdk.metrics.export.MetricReader`. Default: cumulative.
        preferred_aggregation: see there.
        gauge: name of a Data Source. Default: `OTEL_TINYBIRD_METRICS_GAUGE_DATASOURCE`, else `otel_metrics_gauge`.
        sum: likewise.
        histogram: likewise.
        exponential_histogram: likewise.
        transport: `requests` (default), `http2`, a `kafka://` URL, or an object that carries requests.
        buffer: replaces the spill directory.
        clock: replaces the machine's clocks.
        on_event: is told what becomes of rows other than delivery, by a thread of tinylog's, `flush` or `close`.
        options: the settings, as of `tinylog.TinybirdHandler`; see `tinylog.settings`.

    Raises:
        ConfigurationError: names the setting, the value and the remedy.
    """

    def __init__(
        self,
        preferred_temporality: dict[type, AggregationTemporality] | None = None,
        preferred_aggregation: dict[type, Aggregation] | None = None,
        *,
        gauge: str | None = None,
        sum: str | None = None,  # noqa: A002 - OpenTelemetry's word
        histogram: str | None = None,
        exponential_histogram: str | None = None,
        transport: Transport | str | None = None,
        buffer: Buffer | None = None,
        clock: Clock | None = None,
        on_event: Callable[[Event], None] | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(preferred_temporality, preferred_aggregation)
        settings = settings_of(options)
        self._acknowledged = settings.door.delivery == "ack"
        names = {
            "metrics_gauge": gauge,
            "metrics_sum": sum,
            "metrics_histogram": histogram,
            "metrics_exponential_histogram": exponential_histogram,
        }
        # Only spilled rows need their route before the first new row, and most programs lack some kinds of metrics.
        open_now = (True,) if self._acknowledged else ()
        self._door = OtelDoor(settings, names, open_now, Parts(transport, buffer, clock, on_event), numbers=True)

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Queue all data points, each a row. It does not wait, so that neither of the other arguments matters.

        Returns:
            FAILURE when one of them was refused, since the queue was full or the exporter shut down.
        """
        del timeout_millis, kwargs
        kept = [self._export(*parts) for parts in _points(metrics_data)]
        return MetricExportResult.SUCCESS if all(kept) else MetricExportResult.FAILURE

    def _export(self, resource: Any, scope: Any, metric: Metric, point: Any) -> bool:
        signal, make = _KINDS[type(metric.data)]
        origin = self._door.origins.find(resource, scope)
        return self._door.offer(signal, self._acknowledged, origin, _metric_row, metric, point, make)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Deliver what is queued, on the calling thread.

        Args:
            timeout_millis: the longest that it may take, in milliseconds.

        Returns:
            True when Tinybird has answered for every data point that was exported before the call.
        """
        return self._door.flush(timeout_millis)

    def shutdown(self, timeout_millis: float | None = None, **kwargs: Any) -> None:
        """Deliver what is queued, spill or count the rest, refuse later data points. Idempotent.

        Args:
            timeout_millis: the longest that delivery may take, in milliseconds. Default, and the most: the setting
                `shutdown_timeout`.
            kwargs: `timeout`, as `PeriodicExportingMetricReader` calls the same.
        """
        self._door.close(kwargs.get("timeout") if timeout_millis is None else timeout_millis)

    def stats(self) -> Stats:
        """Take a snapshot of the ledger."""
        return self._door.stats()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._door!r}>"


def _points(metrics_data: MetricsData) -> Iterator[tuple[Any, Any, Metric, Any]]:
    for of_resource in metrics_data.resource_metrics:
        for of_scope in of_resource.scope_metrics:
            for metric in of_scope.metrics:
                if type(metric.data) in _KINDS:
                    for point in metric.data.data_points:
                        yield of_resource.resource, of_scope.scope, metric, point


def _metric_row(origin: Row, metric: Metric, point: Any, make: Callable[[Any, Any], Row]) -> Row:
    return {
        **origin,
        "metric_name": metric.name,
        "metric_description": metric.description or "",
        "metric_unit": metric.unit or "",
        "metric_attributes": attribute_map(point.attributes),
        "start_timestamp": time_of(point.start_time_unix_nano),
        "timestamp": time_of(point.time_unix_nano),
        "flags": getattr(point, "flags", 0),
        **_exemplars(point.exemplars or ()),
        **make(metric.data, point),
    }


def _exemplars(exemplars: Sequence[Any]) -> Row:
    return {
        "exemplars_filtered_attributes": [attribute_map(exemplar.filtered_attributes) for exemplar in exemplars],
        "exemplars_timestamp": [time_of(exemplar.time_unix_nano) for exemplar in exemplars],
        "exemplars_value": [_number(exemplar.value) for exemplar in exemplars],
        "exemplars_span_id": [span_id_of(exemplar.span_id) for exemplar in exemplars],
        "exemplars_trace_id": [trace_id_of(exemplar.trace_id) for exemplar in exemplars],
    }


def _gauge(_: Gauge, point: Any) -> Row:
    return {"value": _number(point.value)}


def _sum(data: Sum, point: Any) -> Row:
    return {
        "value": _number(point.value),
        "aggregation_temporality": int(data.aggregation_temporality),
        "is_monotonic": bool(data.is_monotonic),
    }


def _histogram(data: Histogram, point: Any) -> Row:
    return {
        "count": point.count,
        "sum": _number(point.sum),
        "bucket_counts": list(point.bucket_counts),
        "explicit_bounds": [_number(bound) for bound in point.explicit_bounds],
        **_extremes(point),
        "aggregation_temporality": int(data.aggregation_temporality),
    }


def _exponential_histogram(data: ExponentialHistogram, point: Any) -> Row:
    return {
        "count": point.count,
        "sum": _number(point.sum),
        "scale": point.scale,
        "zero_count": point.zero_count,
        "positive_offset": point.positive.offset,
        "positive_bucket_counts": list(point.positive.bucket_counts),
        "negative_offset": point.negative.offset,
        "negative_bucket_counts": list(point.negative.bucket_counts),
        **_extremes(point),
        "aggregation_temporality": int(data.aggregation_temporality),
    }


def _extremes(point: Any) -> Row:
    """Write minimum and maximum, if set; their columns are Nullable, so that what is no number can be null."""
    set_ones = {name: getattr(point, name, None) for name in ("min", "max")}
    known = {name: _number(value) for name, value in set_ones.items() if value is not None}
    return {name: value if math.isfinite(value) else None for name, value in known.items()}


def _number(value: float | None) -> float:
    """Bring a number into the range of a Float64 that is not Nullable.

    What is no number is encoded as the text `NaN`, `Infinity` or `-Infinity`, which ClickHouse reads as such.
    """
    if value is None:
        return 0
    try:
        return value if isinstance(value, int) and -_WORD <= value < _WORD else float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


_KINDS: dict[type, tuple[str, Callable[[Any, Any], Row]]] = {
    Gauge: ("metrics_gauge", _gauge),
    Sum: ("metrics_sum", _sum),
    Histogram: ("metrics_histogram", _histogram),
    ExponentialHistogram: ("metrics_exponential_histogram", _exponential_histogram),
}
