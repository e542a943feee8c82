"""Plain logging, configured by plain values. Needs: pip install tinylog-tinybird

Start `tinylog dev` in another terminal and set the two variables that it prints, or set TINYBIRD_TOKEN.
"""

import logging.config

logging.config.dictConfig(
    {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {
            "console": {"class": "logging.StreamHandler"},
            "tinybird": {
                "class": "tinylog.TinybirdHandler",
                "datasource": "logs",
                "level": "INFO",
                "static_fields": {"service": "shop", "environment": "dev"},
            },
        },
        "root": {"level": "INFO", "handlers": ["console", "tinybird"]},
    }
)

log = logging.getLogger("shop.orders")
log.info("order placed", extra={"order_id": 17, "amount": 12.5})
log.info("paid", extra={"order_id": 17, "tinylog_delivery": "ack"})  # as safe as an error
try:
    {}["card"]
except KeyError:
    log.exception("payment failed", extra={"order_id": 18})  # errors are acknowledged, retried, kept on disk if need be
