"""`POST /v0/events` by libcurl: all threads' requests multiplexed over one HTTP/2 connection. Extra `http2`.

What a server says of requests that it did not answer, and what becomes of them:

| the server | the rows |
|---|---|
| GOAWAY, the request's stream above its last stream id (RFC 9113, 6.8) | sent again at once |
| the same with ENHANCE_YOUR_CALM (0x0b) | `STALE`: sent again once, or later if acknowledged |
| RST_STREAM with REFUSED_STREAM (RFC 9113, 8.7) | sent again at once |
| GOAWAY, the stream at or below its last stream id | the answer is awaited |
| any other end without an answer | `NO_ANSWER`: the exporter sends again what is acknowledged, with the same ids |

libcurl itself opens a new connection and sends again, up to five times, what was refused. It would do so too when a
connection that it used before breaks amidst a request, where the server may have taken the rows: to send again it has
to rewind the body, and `_Post.seek` lets it only if no row had left or the stream was refused.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from typing import Any
from urllib.parse import urlencode

import pycurl
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies, select_proxy

from tinylog._sources import Connection
from tinylog._transport import user_agent
from tinylog.protocols import Delivery, Failure, Request, Response
from tinylog.transports._ca import authorities
from tinylog.transports._leak import leak
from tinylog.transports._multi import Multi

__all__ = ["Http2Transport"]

_MAX_ANSWER = 64 * 1024
_UPLOAD_BUFFER = 256 * 1024
_REFUSED = re.compile(rb"stream \d+ refused|REFUSED_STREAM")  # how libcurl's versions put it
_STREAM_ERROR = 92  # CURLE_HTTP2_STREAM: the others on the connection are well
_CALM_DOWN = re.compile(r"stream \d+ reset by curl \(error 0xb\b")  # above a GOAWAY's last stream id, by its code


class _Post:
    """One request: its body's way out, its answer's way in. libcurl calls `read` to `debug`."""

    def __init__(self, easy: Any, body: bytes) -> None:
        self.easy = easy
        self.done = False
        self.code, self.words = 0, ""
        self.status: int | None = None
        self.headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
        self.answer = bytearray()
        self._body = body
        self._sent = 0
        self._refused = False

    def read(self, size: int) -> bytes:
        chunk = self._body[self._sent : self._sent + size]
        self._sent += len(chunk)
        return chunk

    def seek(self, offset: int, _origin: int) -> int:
        """Allow another try, or not: https://curl.se/libcurl/c/CURLOPT_SEEKFUNCTION.html."""
        if not self.untouched:
            return int(pycurl.SEEKFUNC_FAIL)
        self._sent, self._refused = offset, False
        return int(pycurl.SEEKFUNC_OK)

    def header(self, line: bytes) -> None:
        name, colon, value = line.decode("iso-8859-1").strip().partition(":")
        if colon:
            self.headers[name.strip()] = value.strip()
        elif name.startswith("HTTP/"):
            self.status = int(name.split()[1])
            self.headers.clear()  # of an interim answer

    def write(self, data: bytes) -> int:
        self.answer += data[: _MAX_ANSWER - len(self.answer)]
        return -1 if self.full else len(data)

    def debug(self, kind: int, text: bytes) -> None:
        if kind == pycurl.INFOTYPE_TEXT and _REFUSED.search(text):
            self._refused = True

    def finished(self, code: int, words: str) -> None:
        self.done, self.code, self.words, self._body = True, code, words, b""

    @property
    def full(self) -> bool:
        """Whether there is more of an answer than is read."""
        return len(self.answer) >= _MAX_ANSWER

    @property
    def untouched(self) -> bool:
        """Whether the server has surely processed no row. That nothing left says more than any error's number."""
        return self._sent == 0 or self._refused


class Http2Transport:
    """A `Transport` by HTTP/2 where the server speaks it, else HTTP/1.1. Proxies and CA bundles as `requests` has them.

    A connection's stop takes no other with it, but all requests share one as long as it works.
    """

    def __init__(self, connection: Connection) -> None:
        self._token = connection.token
        self._url = f"{connection.host}/v0/events"
        self._agent = user_agent(f"libcurl/{pycurl.version_info()[1]}")
        self._multi: Multi | None = None
        self.reset()

    def reset(self) -> None:
        """Start over; what was there stays as it is for ever, since its connections are another process's."""
        if self._multi is not None:
            leak((self._multi, self._idle))
        self._lock = threading.Lock()
        self._multi = None
        self._idle: deque[Any] = deque()

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            multi, self._multi = self._multi, None
            self._idle = deque()
        if multi is not None:
            multi.close()

    def send(self, request: Request) -> Response:
        """Send once; see `tinylog.protocols.Transport`."""
        idle = self._idle
        easy = idle.pop() if idle else self._handle()
        try:
            post = self._post(easy, request)
        except (pycurl.error, OSError) as error:  # a CA bundle that is not there
            return Response(failure=Failure.NOT_SENT, detail=self._token.mask(str(error)))
        multi = self._current()
        while not multi.run(post):  # closed meanwhile
            multi = self._current()
        idle.append(easy)  # not if Ctrl-C has left it in use
        response = self._response(post)
        if response.failure is Failure.NO_ANSWER and post.code != _STREAM_ERROR:
            self._retire(multi)
        return response

    def _retire(self, multi: Multi) -> None:
        """Trust no connection any more: libcurl may take time to notice that one is dead. What is under way goes on."""
        with self._lock:
            if self._multi is multi:
                self._multi = None
        multi.close()

    def _current(self) -> Multi:
        with self._lock:
            self._multi = self._multi or Multi()
            return self._multi

    def _handle(self) -> Any:
        """Make a handle, with what all requests have in common."""
        easy = pycurl.Curl()
        for option, value in {
            pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_2TLS,
            pycurl.PIPEWAIT: 1,  # for a connection that others can share, rather than open one more
            pycurl.NOSIGNAL: 1,
            pycurl.POST: 1,
            pycurl.VERBOSE: 1,  # to `debug` only
            pycurl.USERAGENT: self._agent,
            pycurl.UPLOAD_BUFFERSIZE: _UPLOAD_BUFFER,
        }.items():
            easy.setopt(option, value)
        bundle, folder = authorities()
        easy.setopt(pycurl.CAPATH if folder else pycurl.CAINFO, bundle)
        return easy

    def _post(self, easy: Any, request: Request) -> _Post:
        post = _Post(easy, request.body)
        params = {"name": request.route.datasource}
        if request.route.delivery is Delivery.ACK:
            params["wait"] = "true"
        milliseconds = max(1, round(request.timeout * 1000))
        for option, value in {
            pycurl.URL: f"{self._url}?{urlencode(params)}",
            pycurl.PROXY: select_proxy(self._url, get_environ_proxies(self._url, None)) or "",
            pycurl.HTTPHEADER: self._headers(request),
            pycurl.POSTFIELDSIZE_LARGE: len(request.body),
            pycurl.CONNECTTIMEOUT_MS: milliseconds,
            pycurl.TIMEOUT_MS: 2 * milliseconds,  # to connect, and for the answer
            pycurl.READFUNCTION: post.read,
            pycurl.SEEKFUNCTION: post.seek,
            pycurl.HEADERFUNCTION: post.header,
            pycurl.WRITEFUNCTION: post.write,
            pycurl.DEBUGFUNCTION: post.debug,
        }.items():
            easy.setopt(option, value)
        return post

    def _headers(self, request: Request) -> list[str]:
        headers = [f"Authorization: Bearer {self._token.reveal()}", "Content-Type: application/x-ndjson", "Expect:"]
        return [*headers, f"Content-Encoding: {request.encoding}"] if request.encoding else headers

    def _response(self, post: _Post) -> Response:
        if post.status is not None and (post.code == 0 or post.full):
            body = bytes(post.answer).replace(self._token.reveal().encode(), b"***")
            return Response(status=post.status, headers=post.headers, body=body)
        words = self._token.mask(f"libcurl error {post.code}: {post.words}")
        return Response(failure=_failure(post), detail=words[:300])


def _failure(post: _Post) -> Failure:
    if post.untouched:
        return Failure.NOT_SENT
    return Failure.STALE if _CALM_DOWN.search(post.words) else Failure.NO_ANSWER
