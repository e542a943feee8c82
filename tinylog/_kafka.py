"""`kafka://` URLs: where a cluster is, how to log in, and which topic. Nothing here needs a Kafka client.

::

    kafka://user:password@broker1:9092,broker2:9092/topic?security.protocol=SASL_SSL&sasl.mechanism=PLAIN

Every parameter of the query is a property of librdkafka:
https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote

from tinylog.errors import ConfigurationError

__all__ = ["parse_kafka_url"]

_SCHEME = "kafka://"
_HOST = re.compile(r"[^\s:]+(:\d+)?|\[.+\]:\d+")
_TOPIC = re.compile(r"(?:[\w.-]|\{datasource\})+", re.ASCII)


def parse_kafka_url(url: str) -> tuple[str, str, dict[str, str]]:
    """Take a `kafka://` URL apart.

    Args:
        url: `kafka://[user:password@]host:port[,host:port…]/[topic][?property=value…]`. User and password are
            percent-encoded; with them SASL_SSL and PLAIN are the defaults of `security.protocol` and `sasl.mechanism`.

    Returns:
        The bootstrap servers, the topic (empty if there is none; it may contain `{datasource}`), and properties of
        librdkafka other than `bootstrap.servers`.

    Raises:
        ConfigurationError: it is no such URL. The message shows no credentials.
    """
    rest, _, query = url.removeprefix(_SCHEME).partition("?")
    place, _, topic = rest.partition("/")
    login, _, bootstrap = place.rpartition("@")
    hosts = [host for host in bootstrap.split(",") if host]
    if (
        not url.startswith(_SCHEME)
        or not hosts
        or not all(re.fullmatch(r"[^\s:]+(:\d+)?|\[.+\]:\d+", h) for h in hosts)
    ):
        raise ConfigurationError("expected kafka://host:9092/topic")
    if topic and not _TOPIC.fullmatch(topic):
        raise ConfigurationError("expected a topic of letters, digits, '.', '_', '-' and {datasource}")
    return ",".join(hosts), topic, {**_login(login), **dict(parse_qsl(query, keep_blank_values=True))}


def _login(text: str) -> dict[str, str]:
    if not text:
        return {}
    user, _, password = text.partition(":")
    return {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": unquote(user),
        "sasl.password": unquote(password),
    }
