"""Where spilled rows go: a directory, or the URL of an object store or a Kafka topic. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from tinylog._kafka import parse_kafka_url

__all__ = ["KAFKA", "OBJECTS", "Place", "masked", "parse_place"]

OBJECTS = ("s3", "gs", "az", "file", "memory")
KAFKA = "kafka"
_EXPECTED = "expected a directory, 'off', or a URL that begins with " + ", ".join(
    f"{scheme}://" for scheme in (*OBJECTS, KAFKA)
)


class Place(str):
    """A URL whose `repr` hides what may be secret."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(masked(self))

    @property
    def url(self) -> SplitResult:
        """Its parts."""
        return urlsplit(self)

    @property
    def options(self) -> dict[str, str]:
        """What its query sets."""
        return dict(parse_qsl(self.url.query))

    def with_options(self, options: Mapping[str, str]) -> Place:
        """Give the same place with another query."""
        return Place(urlunsplit(self.url._replace(query=urlencode(options))))


def masked(text: str) -> str:
    """Leave out of a URL what may be secret: its query, a user and a password. Other text stays as it is."""
    scheme, found, rest = text.partition("://")
    if not found:
        return text
    plain, _, query = rest.partition("?")
    server, slash, path = plain.partition("/")
    return f"{scheme}://{server.rpartition('@')[2]}{slash}{path}{'?…' if query else ''}"


def parse_place(value: Any) -> str | None:
    """Check the setting `spill`.

    Returns:
        A directory, a `Place`, an empty text for the default directory, or None when it is switched off.

    Raises:
        ValueError: it is none of them.
    """
    if value is False or (isinstance(value, str) and value.strip().lower() in {"off", "false", "none"}):
        return None
    if value is True or value == "":
        return ""
    if isinstance(value, (str, os.PathLike)):
        place = os.fspath(value)
        if isinstance(place, str):
            return _checked(Place(place)) if "://" in place else place
    raise ValueError(_EXPECTED)


def _checked(place: Place) -> Place:
    url = place.url
    if url.scheme not in (*OBJECTS, KAFKA):
        raise ValueError(_EXPECTED)
    if url.scheme in ("s3", "gs", "az") and not url.hostname:
        raise ValueError(f"expected a bucket, as in {url.scheme}://bucket/prefix")
    if url.scheme == "file" and (url.netloc or len(url.path) < 2):  # noqa: PLR2004 - "/" alone
        raise ValueError("expected an absolute path, as in file:///mnt/share/tinylog")
    if url.scheme == KAFKA and not parse_kafka_url(place)[1]:
        raise ValueError("expected a topic, as in kafka://host:9092/topic")
    return place
