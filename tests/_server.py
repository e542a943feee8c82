"""A loopback Events API that answers as a test tells it to: real sockets, real HTTP, no ClickHouse."""

from __future__ import annotations

import gzip
import json
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

DEADLINE = 30.0  # seconds; a test that needs it has failed


@dataclass
class Received:
    """One request, as it arrived."""

    params: dict
    headers: dict
    body: bytes
    rows: list = field(default_factory=list)

    @property
    def waits(self):
        return self.params.get("wait") == "true"


class EventsServer:
    """Answers every request by `answer(received) -> (status, headers, body)`, or None to close without an answer."""

    def __init__(self):
        self.requests = []
        self.rows = []
        self.answer = self.success
        self._changed = threading.Condition()
        self._server = None
        self.port = 0
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @staticmethod
    def success(received):
        body = {"successful_rows": len(received.rows), "quarantined_rows": 0}
        return (200 if received.waits else 202), {}, json.dumps(body).encode()

    def start(self):
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet an answer, or Nagle's algorithm costs 40 ms each

            def do_POST(self):
                owner._serve(self)

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request, client_address):
                pass  # clients may break off

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self):
        """Refuse connections from now on; `start` comes back on the same port."""
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, http):
        url = urlsplit(http.path)
        body = http.rfile.read(int(http.headers["Content-Length"]))
        plain = gzip.decompress(body) if http.headers.get("Content-Encoding") == "gzip" else body
        params = {name: values[0] for name, values in parse_qs(url.query).items()}
        received = Received(params, dict(http.headers), body, [json.loads(line) for line in plain.splitlines()])
        with self._changed:
            self.requests.append(received)
            self._changed.notify_all()
        answer = self.answer(received)
        if answer is None:
            http.close_connection = True
            return
        status, headers, content = answer
        if status in (200, 202):
            with self._changed:
                self.rows.extend(received.rows)
                self._changed.notify_all()
        with suppress(OSError):
            http.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                http.send_header(name, value)
            http.end_headers()
            http.wfile.write(content)

    def wait_for(self, predicate):
        """Wait until the predicate holds of this server, as requests come in."""
        with self._changed:
            assert self._changed.wait_for(lambda: predicate(self), DEADLINE), "the server never saw what was expected"


def error(status, text="no", **headers):
    """Make an answer that refuses."""
    return lambda received: (
        status,
        {k.replace("_", "-"): v for k, v in headers.items()},
        json.dumps({"error": text}).encode(),
    )
