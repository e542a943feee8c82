"""A small web shop on the standard library, as yours might be. It knows nothing of tinylog but the name in `LOGGING`.

`python -m tinylog.demo.shop` prints its port, serves until SIGTERM, and then prints the handler's ledger as JSON.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import logging.config
import os
import random
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {
        "tinybird": {
            "class": "tinylog.TinybirdHandler",  # host and token come from the environment
            "datasource": "shop_logs",
            "level": "DEBUG",
            "static_fields": {"service": "shop", "environment": "demo"},
        },
    },
    "root": {"level": "DEBUG", "handlers": ["tinybird"]},
}

PRICES = {"apple": 30, "bread": 210, "cheese": 480, "durian": None}  # nobody has set the durian's price

DECLINED, SLOW = 0.02, 0.05  # of all checkouts

log = logging.getLogger("shop.orders")
access = logging.getLogger("shop.access")


class PaymentDeclinedError(Exception):
    """The bank said no."""


def checkout(product: str, user: str) -> dict[str, Any]:
    """Sell one piece."""
    log.debug("checking out", extra={"product": product, "user": user})
    price: Any = PRICES[product]
    total = price + price * 19 // 100
    if random.random() < DECLINED:  # noqa: S311 - a demo
        raise PaymentDeclinedError(f"card of {user} was declined for {total} cents")
    if random.random() < SLOW:  # noqa: S311
        time.sleep(0.03)
        log.warning("the warehouse is slow", extra={"product": product})
    log.info("sold", extra={"product": product, "user": user, "total_cents": total})
    return {"sold": product, "total_cents": total}


class Shop(BaseHTTPRequestHandler):
    """`GET /checkout/<product>?<user>`."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self) -> None:
        """Serve, and log how it went."""
        began = time.perf_counter()
        try:
            path, _, user = self.path.partition("?")
            status, answer = 200, checkout(path.rpartition("/")[2], user)
        except Exception as error:
            log.exception("checkout failed")
            status, answer = 500, {"error": type(error).__name__}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        duration = round((time.perf_counter() - began) * 1000, 3)
        details = {"method": "GET", "path": path, "status": status, "duration_ms": duration, "user": user}
        access.info("%s %s -> %d", "GET", path, status, extra=details)

    def log_message(self, *_: Any) -> None:
        """Nothing: we log for ourselves."""


def main() -> None:
    """Serve until SIGTERM."""
    logging.config.dictConfig(LOGGING)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the demo that started us decides
    threading.Thread(target=server.serve_forever, name="serve").start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    stop.wait()
    server.shutdown()
    server.server_close()
    handler: Any = logging.getLogger().handlers[0]
    logging.shutdown()  # as Python does at exit; here, so that the ledger is final
    ledger = dataclasses.replace(handler.stats(), dropped=dict(handler.stats().dropped))
    sys.stdout.write(json.dumps(dataclasses.asdict(ledger)) + "\n")


if __name__ == "__main__":
    random.seed(int(os.environ.get("SHOP_SEED", "7")))
    main()
