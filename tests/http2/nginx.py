"""HTTP/2 through nginx, which says GOAWAY after every fifth request, to `tinylog dev`: no row lost, none twice.

python -m tests.http2.nginx [batches]
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import trustme

import tinylog
from tests._devserver import running_dev_server

THREADS, ROWS = 8, 10
CONFIG = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log warn;
events {{ worker_connections 512; }}
http {{
  access_log {folder}/access.log; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; client_max_body_size 20m;
  server {{
    listen 127.0.0.1:{port} ssl http2; keepalive_requests 5;
    ssl_certificate {folder}/chain.pem; ssl_certificate_key {folder}/key.pem;
    location / {{ proxy_pass {upstream}; }}
  }}
}}
"""


def start_nginx(folder, upstream):
    """Start nginx with a certificate of its own; gives the process and its URL."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "chain.pem")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "nginx.conf").write_text(CONFIG.format(folder=folder, port=port, upstream=upstream))
    process = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")])
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    return process, f"https://127.0.0.1:{port}"


def log(server, url, number, batches, stats):
    """Log from one thread: even ones acknowledged, odd ones fire-and-forget, a Data Source each."""
    handler = tinylog.TinybirdHandler(
        f"h2_{number}",
        token=server.token,
        host=url,
        transport="http2",
        delivery=("ack", "fire_and_forget")[number % 2],
        max_batch_rows=ROWS,
        flush_interval=60,
        shutdown_timeout=120,
    )
    logger = logging.Logger(f"h2.{number}")
    logger.addHandler(handler)
    for index in range(batches * ROWS):
        logger.info("row", extra={"n": index})
    handler.close()
    stats[number] = handler.stats()


def main(batches=2000):
    """Run it; gives the figures."""
    if shutil.which("nginx") is None:
        sys.exit("make test-http2 needs nginx: apt-get install nginx-light (as root)")
    each, stats = batches // THREADS, {}
    with tempfile.TemporaryDirectory() as name, running_dev_server() as server:
        folder = Path(name)
        os.environ.update(REQUESTS_CA_BUNDLE=str(folder / "ca.pem"), XDG_STATE_HOME=str(folder / "state"))
        nginx, url = start_nginx(folder, server.url)
        began = time.monotonic()
        threads = [threading.Thread(target=log, args=(server, url, n, each, stats)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - began
        counts = [server.sql(f"SELECT count() c, uniqExact(n) d FROM h2_{n} FORMAT JSON")[0] for n in range(THREADS)]
        found = {"rows": sum(int(row["c"]) for row in counts), "distinct": sum(int(row["d"]) for row in counts)}
        requests = (folder / "access.log").read_text().splitlines()
        nginx.terminate()
        nginx.wait(10)
    lost = {n: dict(s.dropped) for n, s in stats.items() if s.dropped}
    over_http2 = sum("HTTP/2.0" in line for line in requests)
    print(f"{each * THREADS} batches of {ROWS} rows from {THREADS} threads in {took:.1f} s")  # noqa: T201
    print(f"nginx: {len(requests)} requests, {over_http2} by HTTP/2; in the tables: {found}; lost: {lost}")  # noqa: T201
    expected = each * THREADS * ROWS
    if found != {"rows": expected, "distinct": expected} or lost:
        sys.exit("rows were lost or doubled")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
