"""The ways to the Events API, by the name that settings give them."""

from __future__ import annotations

from tinylog._sources import Connection
from tinylog.errors import MissingExtraError
from tinylog.protocols import Transport

__all__ = ["make_transport"]


def make_transport(name: str, connection: Connection, timeout: float) -> Transport:
    """Make the transport that a setting names.

    Args:
        name: `requests`, `http2`, or a `kafka://` URL.
        connection: the server and the token.
        timeout: how long to try, in seconds.

    Raises:
        MissingExtraError: it needs a package that is not installed.
        ConfigurationError: the URL has a part that Kafka's client does not know.
    """
    if name == "http2":
        return _http2(connection)
    return _kafka(name, timeout) if name.startswith("kafka://") else _requests(connection)


def _requests(connection: Connection) -> Transport:
    from tinylog._transport import RequestsTransport  # noqa: PLC0415 - an import of tinylog does not wait for requests

    return RequestsTransport(connection)


def _http2(connection: Connection) -> Transport:
    try:
        from tinylog.transports.http2 import Http2Transport  # noqa: PLC0415 - loaded by who asks for it
    except ImportError as error:
        raise MissingExtraError("transport='http2'", "http2") from error
    return Http2Transport(connection)


def _kafka(url: str, timeout: float) -> Transport:
    try:
        from tinylog.transports.kafka import KafkaTransport  # noqa: PLC0415 - loaded by who asks for it
    except ImportError as error:
        raise MissingExtraError("transport='kafka://…'", "kafka") from error
    return KafkaTransport(url, timeout)
