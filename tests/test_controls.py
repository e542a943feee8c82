"""Fewer rows at the source: what is held back is counted, and critical records always pass."""

from __future__ import annotations

import os

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased

from tinylog._controls import Controls
from tinylog.settings import SourceControls
from tinylog.testing import FakeClock


def controls(clock=None, rand=lambda: 0.5, **options):
    return Controls(SourceControls(**options), clock or FakeClock(), rand)


def refuse(made, logger="a", key="k", trace_id=None, shipped=None):
    ship = (lambda make: shipped.append(make())) if shipped is not None else None
    return made.refuse(logger, key, trace_id, lambda: {"message": key}, ship)


def test_off_by_default():
    """Nobody loses a record without having asked for it."""
    assert not controls().active


def test_rate_limit_is_per_logger_and_refills():
    """A logger that runs wild costs the others nothing, and is heard again a moment later."""
    clock = FakeClock()
    made = controls(clock, rate_limit=2)
    assert [refuse(made, "wild") for _ in range(4)] == [None, None, "rate_limited", "rate_limited"]
    assert refuse(made, "calm") is None
    clock.advance(0.5)
    assert [refuse(made, "wild") for _ in range(2)] == [None, "rate_limited"]
    clock.advance(100)
    assert [refuse(made, "wild") for _ in range(3)] == [None, None, "rate_limited"]


def test_the_loggers_that_are_remembered_are_bounded():
    """An application that makes a logger a request does not fill the memory."""
    made = controls(rate_limit=1, fold_repeats=1)
    for number in range(5000):
        refuse(made, f"logger-{number}", f"key-{number}")
        list(made.finished())
    assert len(made._tokens) <= 1000
    assert len(made._repeats) <= 1001


def test_sampling_agrees_with_opentelemetrys_sampler():
    """The records of a trace that is kept are kept with it, and those of one that is not are not."""
    sampler = TraceIdRatioBased(0.3)
    made = controls(sample_rate=0.3)
    kept = 0
    for _ in range(2000):
        trace_id = int.from_bytes(os.urandom(16), "big")
        expected = sampler.should_sample(None, trace_id, "x").decision is Decision.RECORD_AND_SAMPLE
        assert (refuse(made, trace_id=f"{trace_id:032x}") is None) is expected
        kept += expected
    assert 400 < kept < 800


def test_without_a_trace_chance_decides():
    """Records outside of any trace are thinned at the same rate."""
    assert refuse(controls(sample_rate=0.3, rand=lambda: 0.29)) is None
    assert refuse(controls(sample_rate=0.3, rand=lambda: 0.31)) == "sampled_out"


def test_repeats_are_folded_into_one_row(make_logger, server):
    """A loop that logs one line 1,000 times makes two rows: the line, and how often it came again."""
    logger, handler = make_logger(fold_repeats=60)
    for number in range(1000):
        logger.warning("disk %s is full", "sda", extra={"n": number})
    logger.warning("something else")
    assert handler.flush()
    assert [row["message"] for row in server.rows] == [
        "disk sda is full",
        "something else",
        "disk sda is full (repeated 999 times)",
    ]
    assert server.rows[-1]["repeated"] == 999
    stats = handler.stats()
    assert (stats.submitted, dict(stats.dropped), stats.lost) == (1002, {"folded": 999}, 0)


def test_repeats_are_told_of_when_their_time_is_over():
    """A flood that goes on is told of every while, and begins anew."""
    clock = FakeClock()
    made = controls(clock, fold_repeats=5)
    assert [refuse(made) for _ in range(3)] == [None, "folded", "folded"]
    assert refuse(made, key="once") is None
    assert list(made.finished()) == []
    clock.advance(5)
    [told] = made.finished()
    assert told.row() == {"message": "k (repeated 2 times)", "repeated": 2}
    assert refuse(made) is None


def test_repeats_in_the_otel_layout(make_logger, server):
    """The row that stands for the repeats fits the template's Data Source."""
    logger, handler = make_logger(fold_repeats=60, layout="otel")
    logger.info("again")
    logger.info("again")
    assert handler.flush()
    assert [row["body"] for row in server.rows] == ["again", "again (repeated 1 times)"]
    assert server.rows[1]["log_attributes"]["repeated"] == "1"


def test_critical_records_always_pass(make_logger, server):
    """No control can hold back what must not be lost."""
    logger, handler = make_logger(rate_limit=0.001, fold_repeats=60, sample_rate=0)
    for _ in range(5):
        logger.error("critical")
        logger.info("not")
    logger.info("paid", extra={"tinylog_delivery": "ack"})
    assert handler.flush()
    assert sorted(row["message"] for row in server.rows) == [*["critical"] * 5, "paid"]
    assert dict(handler.stats().dropped) == {"sampled_out": 5}


class FixedIds(IdGenerator):
    """Traces that are kept, or not, by their last 64 bits."""

    def __init__(self, trace_id):
        self.trace_id = trace_id

    def generate_trace_id(self):
        return self.trace_id

    def generate_span_id(self):
        return 1


@pytest.mark.parametrize(("trace_id", "rows"), [(1, 1), (2**64 - 1, 0)])
def test_the_current_span_decides(make_logger, server, trace_id, rows):
    """Sampling goes by the span that is current when the record is made."""
    logger, handler = make_logger(sample_rate=0.5)
    tracer = TracerProvider(id_generator=FixedIds(trace_id), shutdown_on_exit=False).get_tracer("t")
    with trace.use_span(tracer.start_span("s")):
        logger.info("in a span")
    assert handler.flush()
    assert len(server.rows) == rows
