"""tinylog's own state as OpenTelemetry metrics, under the semantic conventions for SDK self-monitoring.

https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter

from tinylog._lifecycle import living
from tinylog._processor import Processor
from tinylog._stats import Ledger, merged
from tinylog.protocols import Route

__all__ = ["observe", "observe_if_enabled"]

_SWITCH = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"  # the SDK's own, for its own metrics
_SENT = ("delivered", "accepted", "quarantined")
_FINISHED = (*_SENT, "spilled", "dead_lettered")
_observed: set[int] = set()


def observe(meter_provider: MeterProvider | None = None) -> None:
    """Report the queues and the deliveries of all doors of this process as metrics. Once for each provider.

    `otel.sdk.processor.log.processed` (lost rows with their reason as `error.type`), `.queue.size`, `.queue.capacity`,
    `otel.sdk.exporter.log.exported`, `.inflight`; by route, in `otel.component.name`. Called for you when an exporter
    of ours is made and `OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED` is true.

    Args:
        meter_provider: where to. Default: the global one.
    """
    if id(meter_provider) in _observed:
        return
    _observed.add(id(meter_provider))
    meter = get_meter("tinylog", meter_provider=meter_provider)
    unit, processor, exporter = "{log_record}", "otel.sdk.processor.log", "otel.sdk.exporter.log"
    meter.create_observable_counter(f"{processor}.processed", [_processed], unit, "Rows that are done with.")
    meter.create_observable_up_down_counter(f"{processor}.queue.size", [_queued], unit, "Rows that wait.")
    meter.create_observable_up_down_counter(f"{processor}.queue.capacity", [_capacity], unit, "Rows that may wait.")
    meter.create_observable_counter(f"{exporter}.exported", [_exported], unit, "Rows that were sent.")
    meter.create_observable_up_down_counter(f"{exporter}.inflight", [_in_flight], unit, "Rows that are being sent.")


def observe_if_enabled() -> None:
    """Report to the global provider if the SDK's switch for its own metrics is on."""
    if os.environ.get(_SWITCH, "").strip().lower() == "true":
        observe()


def _ledgers() -> Iterator[tuple[Route, Ledger, int]]:
    """Each route once, whatever the number of processors that have it: two points of a name would hide one another."""
    found: dict[Route, list[tuple[Ledger, int]]] = {}
    for processor in living():
        for route, ledger, capacity in processor.ledgers() if isinstance(processor, Processor) else ():
            found.setdefault(route, []).append((ledger, capacity))
    for route, parts in found.items():
        yield route, merged(ledger for ledger, _ in parts), sum(capacity for _, capacity in parts)


def _observation(value: int, route: Route, reason: str = "") -> Observation:
    attributes = {
        "otel.component.type": "tinylog_processor",
        "otel.component.name": f"tinylog/{route.datasource}/{route.delivery.value}",
    }
    return Observation(value, {**attributes, "error.type": reason} if reason else attributes)


def _processed(_: CallbackOptions) -> Iterable[Observation]:
    for route, ledger, _capacity_rows in _ledgers():
        yield _observation(sum(ledger.columns[name] for name in _FINISHED), route)
        for reason, rows in ledger.dropped.items():
            yield _observation(rows, route, reason)


def _queued(_: CallbackOptions) -> Iterable[Observation]:
    return (_observation(ledger.columns["queued"], route) for route, ledger, _rows in _ledgers())


def _capacity(_: CallbackOptions) -> Iterable[Observation]:
    return (_observation(rows, route) for route, _ledger, rows in _ledgers())


def _exported(_: CallbackOptions) -> Iterable[Observation]:
    for route, ledger, _rows in _ledgers():
        yield _observation(sum(ledger.columns[name] for name in _SENT), route)
        if ledger.columns["dead_lettered"]:
            yield _observation(ledger.columns["dead_lettered"], route, "rejected")


def _in_flight(_: CallbackOptions) -> Iterable[Observation]:
    return (_observation(ledger.columns["in_flight"], route) for route, ledger, _rows in _ledgers())
