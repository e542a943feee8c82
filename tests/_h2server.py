"""A small HTTP/2 Events API over TLS that misbehaves frame by frame: `h2` for the protocol, `hyperframe` beyond it."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
import threading

import h2.config
import h2.connection
import h2.events
import trustme
from hyperframe.frame import GoAwayFrame, RstStreamFrame

DEADLINE = 30.0


class H2Server:
    """Keeps the rows that it takes; `plan(connection, stream, at)` may do something else, and then returns True.

    Args:
        plan: called with `at` "headers" and "end" of each request.

    Attributes:
        rows: every row that was taken.
        requests: every request that came in whole: (connection's number, stream id, path, headers).
        connections: how many there have been.
    """

    def __init__(self, folder, plan=lambda connection, stream, at: False):
        self.plan, self.rows, self.requests, self.connections = plan, [], [], 0
        authority = trustme.CA()
        self.ca = str(folder / "ca.pem")
        authority.cert_pem.write_to_path(self.ca)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.set_alpn_protocols(["h2"])
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(self._tls)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._do(self._listen())
        self.url = f"https://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(DEADLINE)

    async def _listen(self):
        return await self._loop.create_server(lambda: Connection(self), "127.0.0.1", 0, ssl=self._tls)

    async def _stop(self):
        self._server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)

    def stop(self):
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE)
        self._loop.close()


class Connection(asyncio.Protocol):
    """One connection; `bodies` are of requests that are not complete."""

    def __init__(self, server):
        self.server, self.bodies, self.heads = server, {}, {}
        self.state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))

    def connection_made(self, transport):
        self.transport = transport
        self.server.connections += 1
        self.number = self.server.connections
        self.state.initiate_connection()
        self.flush()

    def flush(self):
        self.transport.write(self.state.data_to_send())

    def data_received(self, data):
        for event in self.state.receive_data(data):
            stream = getattr(event, "stream_id", None)
            if isinstance(event, h2.events.RequestReceived):
                self.heads[stream], self.bodies[stream] = dict(event.headers), bytearray()
                self.server.plan(self, stream, "headers")
            elif isinstance(event, h2.events.DataReceived):
                self.bodies[stream] += event.data
                self.state.acknowledge_received_data(event.flow_controlled_length, stream)
            elif isinstance(event, h2.events.StreamEnded) and not self.server.plan(self, stream, "end"):
                self.take(stream)
        if not self.transport.is_closing():
            self.flush()

    def take(self, stream, *, answer=True):
        """Store the rows of a request, and answer."""
        head, body = self.heads.pop(stream), bytes(self.bodies.pop(stream))
        plain = gzip.decompress(body) if head.get(b"content-encoding") == b"gzip" else body
        rows = [json.loads(line) for line in plain.splitlines()]
        self.server.rows += rows
        self.server.requests.append((self.number, stream, head[b":path"].decode(), head))
        if answer:
            status = b"200" if b"wait=true" in head[b":path"] else b"202"
            said = json.dumps({"successful_rows": len(rows), "quarantined_rows": 0}).encode()
            self.state.send_headers(stream, [(b":status", status), (b"content-length", str(len(said)).encode())])
            self.state.send_data(stream, said, end_stream=True)
            self.flush()

    def goaway(self, code, last_stream, *, close=False):
        """Announce the end, beyond h2's own state, which would refuse to answer after it."""
        frame = GoAwayFrame(0)
        frame.error_code, frame.last_stream_id = code, last_stream
        self.transport.write(self.state.data_to_send() + frame.serialize())
        if close:
            self.transport.close()

    def reset(self, stream, code):
        """Refuse or break off one request."""
        frame = RstStreamFrame(stream)
        frame.error_code = code
        self.transport.write(self.state.data_to_send() + frame.serialize())

    def abort(self):
        """Break the connection: a TCP reset."""
        self.transport.abort()
