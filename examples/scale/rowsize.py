"""Measures a row: `python examples/scale/rowsize.py` prints its bytes raw, gzipped as tinylog does, and by zstd."""

# ruff: noqa: LOG001, S106, S311
import gzip
import logging
import random
import uuid

import zstandard

import tinylog
from tinylog.testing import ScriptedTransport

random.seed(1)
transport = ScriptedTransport()
handler = tinylog.TinybirdHandler(
    "app_logs",
    token="none",
    transport=transport,
    spill="off",
    compression=None,
    static_fields={"service": "shop", "environment": "production"},
)
logger = logging.Logger("shop.orders")
logger.addHandler(handler)
ROWS = 20_000
for _ in range(ROWS):
    order, customer = str(uuid.UUID(int=random.getrandbits(128))), f"c{random.randrange(100_000)}"
    logger.info("order %s of %s took %d ms", order, customer, random.randrange(9999), extra={"order": order})
handler.flush(60)
handler.close()
bodies = [bytes(request.body) for request in transport.requests]
packers = {"raw": bytes, "gzip 1": lambda b: gzip.compress(b, 1), "zstd 1": lambda b: zstandard.compress(b, 1)}
for name, pack in packers.items():
    print(f"{name}: {sum(len(pack(body)) for body in bodies) / ROWS:.0f} bytes a row")
