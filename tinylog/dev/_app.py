"""The HTTP surface: routes, tokens, statuses. Whatever blocks runs on a thread."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tinylog.dev._body import decode_body
from tinylog.dev._engine import LocalTinybird, Receipt
from tinylog.dev._form import read_body, read_form
from tinylog.dev._problems import RequestError
from tinylog.dev._rows import parse_rows

T = TypeVar("T")
Endpoint = Callable[[Request], Awaitable[Response]]

_INGEST_THREADS = 4
_QUERY_THREADS = 8
# A web page of another origin must not reach the API through a name that resolves to 127.0.0.1.
_HOSTS = ["127.0.0.1", "localhost", "host.docker.internal"]


def create_app(
    tinybird: LocalTinybird, token: str, *, middleware: Sequence[Middleware] = (), routes: Sequence[Route] = ()
) -> Starlette:
    """The ASGI application.

    Args:
        tinybird: What it serves.
        token: The only token that is accepted.
        middleware: Put around every request, outermost first.
        routes: Served besides the API.
    """
    api = _Api(tinybird, token)
    return Starlette(
        routes=[*api.routes(), *routes],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=_HOSTS), *middleware],
        exception_handlers={
            RequestError: _on_request_error,
            HTTPException: _on_http_exception,
            ClientDisconnect: _on_disconnect,
            Exception: _on_error,
        },
    )


class _Api:
    """The endpoints."""

    def __init__(self, tinybird: LocalTinybird, token: str) -> None:
        self._tinybird = tinybird
        self._token = token
        self._ingest_limit = anyio.CapacityLimiter(_INGEST_THREADS)
        self._query_limit = anyio.CapacityLimiter(_QUERY_THREADS)

    def routes(self) -> list[Route]:
        """All paths of the API."""
        return [
            Route("/tokens", self.tokens),
            Route("/v0/events", self._guarded(self.events), methods=["POST"]),
            Route("/v0/sql", self._guarded(self.sql), methods=["GET", "POST"]),
            Route("/v0/datasources", self._guarded(self.list_sources), methods=["GET"]),
            Route("/v0/datasources", self._guarded(self.change_source), methods=["POST"]),
            Route("/v0/datasources/{name}", self._guarded(self.show_source), methods=["GET"]),
            Route("/v0/datasources/{name}/truncate", self._guarded(self.truncate_source), methods=["POST"]),
        ]

    async def tokens(self, _: Request) -> Response:
        """``GET /tokens``, as Tinybird Local has it: open, because only this machine can ask."""
        return JSONResponse(dict.fromkeys(("user_token", "admin_token", "workspace_admin_token"), self._token))

    async def events(self, request: Request) -> Response:
        """``POST /v0/events``.

        Rows are judged before either answer, so both counts are final with ``wait=false`` too. What a 202 does
        not promise is that the rows are written: they are soon after, unless the process is killed before.
        """
        query = request.query_params
        waits = query.get("wait", "").lower() in ("true", "1")
        body, encoding = await read_body(request), request.headers.get("content-encoding", "")

        def ingest() -> Receipt:
            rows = parse_rows(decode_body(body, encoding), query.get("format", "ndjson"))
            return self._tinybird.ingest(query.get("name", ""), rows, urgent=waits)

        receipt = await self._on_thread(ingest, self._ingest_limit)
        if waits:
            await asyncio.wrap_future(receipt.written)
        counts = {"successful_rows": receipt.successful, "quarantined_rows": receipt.quarantined}
        return JSONResponse(counts, 200 if waits else 202)

    async def sql(self, request: Request) -> Response:
        """``GET`` and ``POST /v0/sql``."""
        form = await read_form(request)
        try:
            query = form.get("q") or form.body.decode()
        except UnicodeDecodeError:
            raise RequestError(400, "The query is not valid UTF-8") from None
        quote = form.get("output_format_json_quote_64bit_integers") in ("1", "true")
        output, media_type = await self._on_thread(
            lambda: self._tinybird.query(query, quote_integers=quote), self._query_limit
        )
        return Response(output, media_type=media_type)

    async def list_sources(self, _: Request) -> Response:
        """``GET /v0/datasources``."""
        sources = await self._on_thread(self._tinybird.describe_all, self._query_limit)
        return JSONResponse({"datasources": sources})

    async def show_source(self, request: Request) -> Response:
        """``GET /v0/datasources/<name>``."""
        name = request.path_params["name"]
        return JSONResponse(await self._on_thread(lambda: self._tinybird.describe(name), self._query_limit))

    async def change_source(self, request: Request) -> Response:
        """``POST /v0/datasources``: ``mode=create`` with a schema, ``mode=append`` with NDJSON."""
        form = await read_form(request)
        name, mode = form.get("name"), form.get("mode", "create")
        if form.get("format", "ndjson") != "ndjson":
            raise RequestError(400, "Only format=ndjson is supported here")
        if mode == "append":
            return await self._append(name, form.body)
        if mode != "create":
            raise RequestError(400, f"mode={mode} is not supported here: use create or append")
        source = await self._on_thread(
            lambda: self._tinybird.create(name, form.get("schema"), form.parameters), self._ingest_limit
        )
        return JSONResponse({"datasource": source})

    async def truncate_source(self, request: Request) -> Response:
        """``POST /v0/datasources/<name>/truncate``."""
        name = request.path_params["name"]
        await self._on_thread(lambda: self._tinybird.truncate(name), self._ingest_limit)
        return JSONResponse({})

    async def _append(self, name: str, body: bytes) -> Response:
        receipt = await self._on_thread(
            lambda: self._tinybird.ingest(name, parse_rows(body, "ndjson"), urgent=True), self._ingest_limit
        )
        await asyncio.wrap_future(receipt.written)
        source = await self._on_thread(lambda: self._tinybird.describe(name), self._query_limit)
        return JSONResponse({"datasource": source, "invalid_lines": 0, "quarantine_rows": receipt.quarantined})

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        async def guarded(request: Request) -> Response:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer":
                token = request.query_params.get("token", "")
            if not token:
                raise RequestError(401, "No token: send the header Authorization: Bearer <token>")
            if not secrets.compare_digest(token.strip().encode(), self._token.encode()):
                raise RequestError(403, "Invalid token: the right one was printed when tinylog dev started")
            return await endpoint(request)

        return guarded

    @staticmethod
    async def _on_thread(task: Callable[[], T], limiter: anyio.CapacityLimiter) -> T:
        return await anyio.to_thread.run_sync(task, limiter=limiter, abandon_on_cancel=True)


def _error(status: int, message: str) -> JSONResponse:
    headers = {"Retry-After": "1"} if status == 503 else None  # noqa: PLR2004
    return JSONResponse({"error": message}, status, headers)


async def _on_request_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)  # noqa: S101 (starlette's handlers are typed by their base)
    return _error(error.status, error.message)


async def _on_http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    return _error(error.status_code, error.detail)


async def _on_disconnect(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it


async def _on_error(_: Request, error: Exception) -> Response:
    return _error(500, f"{type(error).__name__}: {error}")
