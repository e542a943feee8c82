"""`POST /v0/events` by `requests`: one session, no redirects, no surprises from `.netrc`, no exceptions.

https://www.tinybird.co/docs/api-reference/events-api
"""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from tinylog._sources import Connection, Token
from tinylog.protocols import Delivery, Failure, Request, Response

__all__ = ["RequestsTransport", "user_agent"]

_MAX_ANSWER = 64 * 1024
_IDLE_CONNECTIONS = 8  # one for each route that sends at the same time; more are opened and closed as needed
_RESPONSELESS = (requests.ConnectionError, requests.Timeout)


class _Bearer(AuthBase):
    """Sets the header itself, since `requests` would let a `.netrc` entry override a plain header."""

    def __init__(self, token: Token) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return request


class RequestsTransport:
    """The default `Transport`: HTTP/1.1 with kept-alive connections. Proxies and CA bundles as `requests` has them."""

    def __init__(self, connection: Connection) -> None:
        self._token = connection.token
        self._url = f"{connection.host}/v0/events"
        self._user_agent = user_agent(f"requests/{requests.__version__}")
        self._sessions: list[requests.Session] = []
        self.reset()

    def reset(self) -> None:
        """Start over with a new session; the old one's sockets stay untouched for their other owner.

        It is kept: to give it up takes a lock of its connection pool, which a thread of the parent may have held.
        """
        session = requests.Session()
        session.auth = _Bearer(self._token)
        session.headers.update({"User-Agent": self._user_agent, "Content-Type": "application/x-ndjson"})
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._adapter = HTTPAdapter(pool_connections=1, pool_maxsize=_IDLE_CONNECTIONS, max_retries=0)
        session.mount("http://", self._adapter)
        session.mount("https://", self._adapter)
        self._session = session
        self._sessions.append(session)

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def send(self, request: Request) -> Response:
        """Send once; see `tinylog.protocols.Transport`."""
        opened = self._connections_opened()
        try:
            with self._post(request) as answer:
                body = answer.raw.read(_MAX_ANSWER, decode_content=True) or b""
                return Response(status=answer.status_code, headers=answer.headers, body=self._masked(body))
        except _RESPONSELESS as error:
            failure = _failure(error, reused=opened == self._connections_opened())
            return self._failed(failure, error)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            # Headers came, the body broke off; or the request could not be made at all.
            return self._failed(Failure.NO_ANSWER, error)

    def _failed(self, failure: Failure, error: Exception) -> Response:
        # urllib3 keeps exceptions in its own frames: a cycle, which by way of the frames above would hold the rows of
        # each failed request until the next garbage collection.
        for cause in _causes(error):
            cause.__traceback__ = None
        return Response(failure=failure, detail=self._token.mask(_words(error)))

    def _post(self, request: Request) -> requests.Response:
        params = {"name": request.route.datasource}
        if request.route.delivery is Delivery.ACK:
            params["wait"] = "true"
        return self._session.post(
            self._url,
            params=params,
            data=request.body,
            headers={"Content-Encoding": request.encoding} if request.encoding else None,
            timeout=(request.timeout, request.timeout),
            allow_redirects=False,
            stream=True,  # an answer is read up to a limit
        )

    def _masked(self, body: bytes) -> bytes:
        return body.replace(self._token.reveal().encode(), b"***")

    def _connections_opened(self) -> int:
        """Count the connections this session has made, to tell a stale kept-alive one from a new one."""
        pools: Any = self._adapter.poolmanager.pools
        return sum(pool.num_connections for pool in (pools.get(key) for key in list(pools.keys())) if pool)


def _failure(error: requests.RequestException, *, reused: bool) -> Failure:
    causes = _causes(error)
    if isinstance(error, (requests.exceptions.SSLError, requests.exceptions.ProxyError, requests.ConnectTimeout)):
        return Failure.NOT_SENT
    if any(isinstance(cause, (NewConnectionError, ConnectTimeoutError)) for cause in causes):
        return Failure.NOT_SENT
    if reused and any(isinstance(cause, (ConnectionError, BrokenPipeError)) for cause in causes):
        return Failure.STALE
    return Failure.NO_ANSWER


def _causes(error: BaseException) -> list[BaseException]:
    """All exceptions in the arguments, reasons and contexts of one: urllib3 wraps several deep, each in its own way."""
    found: list[BaseException] = []
    todo: list[Any] = [error]
    while todo:
        item = todo.pop()
        if isinstance(item, BaseException) and item not in found:
            found.append(item)
            todo += [*item.args, getattr(item, "reason", None), item.__cause__, item.__context__]
    return found


def _words(error: BaseException) -> str:
    """Name the innermost trouble: `ConnectionRefusedError: [Errno 111] Connection refused`."""
    cause = _causes(error)[-1]
    return f"{type(cause).__name__}: {cause}"[:300]


def user_agent(client: str) -> str:
    """Introduce ourselves, and the HTTP client in use."""
    try:
        return f"tinylog/{version('tinylog-tinybird')} {client}"
    except PackageNotFoundError:
        return "tinylog"
