"""What came with a request: parameters and a body, whichever way the client wrapped them."""

from dataclasses import dataclass
from email import message_from_bytes
from urllib.parse import parse_qsl

from starlette.requests import Request

from tinylog.dev._body import MAX_BODY_BYTES, too_large
from tinylog.dev._problems import RequestError

# A body above the limit is read to its end, up to here, because a client that is still sending misses the 413.
_DRAINED_BYTES = 10 * MAX_BODY_BYTES


@dataclass(frozen=True, slots=True)
class Form:
    """Parameters of the URL and of a form, and the rest of the body.

    Args:
        parameters: By name; a form's win over the URL's.
        body: A plain body, or the file of a multipart form.
    """

    parameters: dict[str, str]
    body: bytes

    def get(self, name: str, default: str = "") -> str:
        """A parameter."""
        return self.parameters.get(name, default)


async def read_form(request: Request) -> Form:
    """Read a request whole.

    Raises:
        RequestError: 413 for a large body, 400 for text that is not UTF-8.
    """
    parameters = dict(request.query_params)
    kind, body = request.headers.get("content-type", ""), await read_body(request)
    try:
        if kind.startswith("application/x-www-form-urlencoded"):
            return Form(parameters | dict(parse_qsl(body.decode(), keep_blank_values=True)), b"")
        if kind.startswith("multipart/form-data"):
            return _read_multipart(parameters, kind, body)
    except UnicodeDecodeError:
        raise RequestError(400, "The form is not valid UTF-8") from None
    return Form(parameters, body)


async def read_body(request: Request) -> bytes:
    """Read a body as it was sent.

    Raises:
        RequestError: 413 above the limit.
    """
    body, seen = bytearray(), 0
    async for chunk in request.stream():
        seen += len(chunk)
        if seen <= MAX_BODY_BYTES:
            body += chunk
        elif seen > _DRAINED_BYTES:
            break
    if seen > MAX_BODY_BYTES:
        raise too_large()
    return bytes(body)


def _read_multipart(parameters: dict[str, str], kind: str, body: bytes) -> Form:
    message = message_from_bytes(b"Content-Type: " + kind.encode("latin-1") + b"\r\n\r\n" + body)
    file = b""
    for part in message.walk():
        content = part.get_payload(decode=True)
        if not isinstance(content, bytes):
            continue
        name = str(part.get_param("name", "", header="content-disposition"))
        if part.get_filename() is not None:
            file = content
        elif name:
            parameters[name] = content.decode()
    return Form(parameters, file)
