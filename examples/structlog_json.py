"""structlog: JSON on the console, rows in Tinybird. Needs: pip install 'tinylog-tinybird[structlog]'

Start `tinylog dev` in another terminal and set the two variables that it prints, or set TINYBIRD_TOKEN.
"""

import logging

import structlog

from tinylog.structlog import TinybirdProcessor

structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        TinybirdProcessor("logs", static_fields={"service": "shop"}),  # after what adds fields, before what renders
        structlog.processors.dict_tracebacks,
        structlog.processors.JSONRenderer(),
    ],
    wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
)

log = structlog.get_logger()
with structlog.contextvars.bound_contextvars(request_id="r-1"):
    log.info("order placed", order_id=17, amount=12.5)
    try:
        {}["card"]
    except KeyError:
        log.exception("payment failed", order_id=18)
