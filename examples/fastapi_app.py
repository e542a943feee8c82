"""A FastAPI application with logs, spans and metrics in Tinybird, all through one queue and one connection.

Needs: pip install 'tinylog-tinybird[otel]' fastapi uvicorn
Run:   uvicorn fastapi_app:app --app-dir examples, then curl -X POST localhost:8000/orders/17

Start `tinylog dev` in another terminal and set the two variables that it prints, or set TINYBIRD_TOKEN. (To instrument
every library without a line of code, see `opentelemetry-instrument` in the README.)
"""

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from fastapi import FastAPI, HTTPException, Request
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from tinylog import TinybirdHandler
from tinylog.otel import TinybirdMetricExporter, TinybirdSpanExporter

SERVICE = "shop"
UNLUCKY = 13
resource = Resource.create({"service.name": SERVICE})
log = logging.getLogger("shop.web")
tracer = trace.get_tracer("shop.web")
meter = metrics.get_meter("shop.web")
requests = meter.create_counter("http.server.requests", unit="{request}")
duration = meter.create_histogram("http.server.request.duration", unit="s")


@asynccontextmanager
async def telemetry(_: FastAPI) -> AsyncIterator[None]:
    """Set the three signals up when the worker starts, and deliver what is left when it stops."""
    # The otel layout puts plain logging's records into the template's table; they carry the current span's ids.
    handler = TinybirdHandler("otel_logs", layout="otel", static_fields={"service": SERVICE})
    logging.getLogger().addHandler(handler)
    log.setLevel(logging.INFO)
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(TinybirdSpanExporter()))
    trace.set_tracer_provider(tracers)
    meters = MeterProvider([PeriodicExportingMetricReader(TinybirdMetricExporter())], resource)
    metrics.set_meter_provider(meters)
    yield
    tracers.shutdown()
    meters.shutdown()
    logging.getLogger().removeHandler(handler)
    handler.close()


app = FastAPI(lifespan=telemetry)


@app.middleware("http")
async def observe(request: Request, call_next):
    """Make a span, a count and a duration of each request."""
    began = time.perf_counter()
    with tracer.start_as_current_span(f"{request.method} {request.url.path}", kind=SpanKind.SERVER) as span:
        response = await call_next(request)
        span.set_attribute("http.response.status_code", response.status_code)
        if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            span.set_status(Status(StatusCode.ERROR))  # so it is acknowledged
    labels = {"http.request.method": request.method, "http.response.status_code": response.status_code}
    requests.add(1, labels)
    duration.record(time.perf_counter() - began, labels)
    return response


@app.post("/orders/{number}")
async def order(number: int) -> dict[str, int]:
    """Sell something, unless its number is unlucky."""
    if number == UNLUCKY:
        log.error("card refused", extra={"order_id": number})
        raise HTTPException(HTTPStatus.BAD_GATEWAY, "the bank did not answer")
    log.info("order placed", extra={"order_id": number})
    return {"order": number}
