"""One of many application processes: logs to Kafka.

TINYLOG_TRANSPORT=kafka://host:9092/app_logs python examples/scale/app.py ROWS
"""

import logging
import sys

import tinylog

handler = tinylog.TinybirdHandler("app_logs", delivery="ack")
logger = logging.getLogger("shop.orders")
logger.setLevel(logging.INFO)
logger.addHandler(handler)
for number in range(int(sys.argv[1])):
    logger.info("sold %s", "cheese", extra={"number": number})
if not handler.flush(30):
    sys.exit(f"not everything is in Kafka: {handler.stats()}")
