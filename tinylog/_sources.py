"""Where to send and with which token: from arguments, the environment and the Tinybird CLI's `.tinyb` file."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tinylog.errors import ConfigurationError

__all__ = ["Connection", "Token", "connection"]

DEFAULT_HOST = "https://api.tinybird.co"
TOKEN_VARIABLES = ("TINYBIRD_TOKEN",)
HOST_VARIABLES = ("TINYBIRD_URL", "TINYBIRD_HOST")


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """A secret that shows itself only when asked to."""

    value: str

    def reveal(self) -> str:
        """Hand the secret to the one who sends it."""
        return self.value

    def mask(self, text: str) -> str:
        """Blot the secret out of somebody else's text, such as a server's error message."""
        return text.replace(self.value, "***")

    def __repr__(self) -> str:
        return "Token(***)"


@dataclass(frozen=True, slots=True)
class Connection:
    """The server and the right to use it.

    Attributes:
        host: the base URL without a trailing slash.
        token: with scope `DATASOURCE:APPEND`, and `DATASOURCE:CREATE` to create Data Sources by sending.
    """

    host: str
    token: Token


def connection(
    given: Mapping[str, Any],
    environ: Mapping[str, str],
    *,
    allow_http: bool = False,
    token_variables: tuple[str, ...] = (),
    host_variables: tuple[str, ...] = (),
) -> Connection:
    """Find host and token: arguments win, then the environment, then the nearest `.tinyb`.

    Args:
        given: the arguments `token` and `host`, None where there is none.
        environ: the environment.
        allow_http: whether the token may travel unencrypted to another machine.
        token_variables: names to look for before the usual ones.
        host_variables: names to look for before the usual ones.

    Raises:
        ConfigurationError: no token, or a host that cannot be used.
    """
    token = given.get("token") or _first(environ, token_variables + TOKEN_VARIABLES)
    host = given.get("host") or _first(environ, host_variables + HOST_VARIABLES)
    if token is None or host is None:
        stored = _tinyb()
        # Its token belongs to its host: it is never sent to another one.
        if token is None and host in (None, stored.get("host")):
            token = stored.get("token")
        if host is None and token == stored.get("token"):
            host = stored.get("host")
    return Connection(_host(host or DEFAULT_HOST, allow_http=allow_http), _token(token))


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((environ[name] for name in names if environ.get(name)), None)


def _tinyb() -> dict[str, Any]:
    """Read the nearest `.tinyb`, from the working directory upwards; an unreadable one is as none."""
    try:
        here = Path.cwd()
        path = next(p for p in (folder / ".tinyb" for folder in (here, *here.parents)) if p.is_file())
        content = json.loads(path.read_text("utf-8"))
    except (StopIteration, OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _token(value: Any) -> Token:
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(
            "token: none found. Pass token=..., set TINYBIRD_TOKEN, or log in with Tinybird's command line (.tinyb); "
            "for a local server without an account, run `tinylog dev`"
        )
    token = value.strip()  # a secret that was read from a file often ends in a newline
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigurationError(
            "token: it holds spaces or characters that no Tinybird token has; copy it again (value hidden)"
        )
    return Token(token)


def _host(value: Any, *, allow_http: bool) -> str:
    text = str(value).strip()
    if "://" not in text:
        text = f"{'http' if _is_loopback(urlsplit(f'//{text}').hostname) else 'https'}://{text}"
    try:
        url = urlsplit(text)
        usable = url.scheme in {"http", "https"} and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        usable = False
    if not usable or url.query or url.fragment or url.username:
        shown = text if usable and not url.username and not url.query else "(hidden, since it may hold a secret)"
        raise ConfigurationError(
            f"host: expected a base URL such as {DEFAULT_HOST!r} or 'http://localhost:7181', got {shown}"
        )
    if url.scheme == "http" and not allow_http and not _is_loopback(url.hostname):
        raise ConfigurationError(
            f"host: {text!r} would send the token unencrypted; use https, or set allow_http=True "
            "(TINYLOG_ALLOW_HTTP) if you mean it"
        )
    return text.rstrip("/")


def _is_loopback(hostname: str | None) -> bool:
    if hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(hostname or "").is_loopback
    except ValueError:
        return False
