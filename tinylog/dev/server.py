"""Run the local Tinybird: folder, port, signals, and what is printed."""

import errno
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NoReturn

import uvicorn

from tinylog.dev._app import create_app
from tinylog.dev._engine import LocalTinybird
from tinylog.dev._faults import Fault
from tinylog.dev._faulty import Faults, FaultyProtocol
from tinylog.dev._folder import TABLES, default_folder, lock_folder, stored_token, write_private
from tinylog.errors import ConfigurationError

HOST = "127.0.0.1"  # never another: the API has one token and no TLS
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_GRACE = 1  # seconds that open requests get when the server stops
_SEEDS = 2**32


@dataclass(frozen=True, slots=True)
class DevSettings:
    """What ``tinylog dev`` can be told.

    Args:
        port: TCP port on 127.0.0.1; 0 picks a free one.
        data: The data folder; ``None`` for the default one.
        ephemeral: Use a temporary folder, removed at exit.
        token: The token to accept; ``None`` for the folder's own.
        ready_file: Gets ``{"url", "token", "pid"}`` as JSON once requests are served.
        auto_columns: New fields of later rows become columns of Data Sources with a guessed schema.
        faults: Trouble that requests to the Events API meet.
        seed: Makes the trouble repeatable; a random one by default.
    """

    port: int = 7181
    data: Path | None = None
    ephemeral: bool = False
    token: str | None = None
    ready_file: Path | None = None
    auto_columns: bool = True
    faults: tuple[Fault, ...] = ()
    seed: int = field(default_factory=lambda: secrets.randbelow(_SEEDS))


def serve(settings: DevSettings, say: Callable[[str], None]) -> NoReturn:
    """Serve until SIGINT or SIGTERM, then write pending rows and exit with status 0.

    Args:
        settings: What was asked for.
        say: Prints a line.

    Raises:
        ConfigurationError: The folder or the port is taken.
    """
    for number in _SIGNALS:
        # uvicorn stops at a signal, then raises it again: this is what runs in the end.
        signal.signal(number, lambda *_: sys.exit(0))
    with _data_folder(settings) as folder, _listen(settings.port) as listener:
        token = settings.token or stored_token(folder)
        tinybird = LocalTinybird(folder / TABLES, auto_columns=settings.auto_columns)
        try:
            on_ready = partial(_announce, settings, folder, listener, token, say)
            _Server(tinybird, _config(settings, tinybird, token), on_ready).run(sockets=[listener])
        finally:
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_IGN)  # rows are being written: not again
            tinybird.close()
    sys.exit(0)


def _config(settings: DevSettings, tinybird: LocalTinybird, token: str) -> uvicorn.Config:
    faults = Faults(settings.faults, settings.seed) if settings.faults else None
    return uvicorn.Config(
        create_app(
            tinybird,
            token,
            middleware=[faults.middleware()] if faults else (),
            routes=[faults.route()] if faults else (),
        ),
        http=FaultyProtocol if faults else "auto",
        log_level="warning",
        access_log=False,  # the URL may hold a token
        lifespan="off",
        timeout_graceful_shutdown=_GRACE,
    )


class _Server(uvicorn.Server):
    """uvicorn, telling when it serves, and not waiting for long queries when it stops."""

    def __init__(self, tinybird: LocalTinybird, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._tinybird = tinybird
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve."""
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop to serve, once the open requests are answered."""
        self._tinybird.cancel_queries()
        await super().shutdown(sockets)


@contextmanager
def _data_folder(settings: DevSettings) -> Iterator[Path]:
    if settings.ephemeral:
        folder = Path(tempfile.mkdtemp(prefix="tinylog-dev-"))
    else:
        folder = (settings.data or default_folder()).expanduser().absolute()
    lock = lock_folder(folder)
    try:
        yield folder
    finally:
        if settings.ephemeral:
            shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextmanager
def _listen(port: int) -> Iterator[socket.socket]:
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:  # without proto, asyncio leaves Nagle on
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            listener.listen(128)  # before anything else: two servers may bind the same port, but not listen on it
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            hint = "is in use (Tinybird Local uses 7181 too): stop the other server, or pass --port 0"
            text = hint if taken else f"cannot be used: {error.strerror}"
            raise ConfigurationError(f"port {port} {text}") from None
        yield listener


def _announce(
    settings: DevSettings, folder: Path, listener: socket.socket, token: str, say: Callable[[str], None]
) -> None:
    url = f"http://{HOST}:{listener.getsockname()[1]}"
    kept = "removed at exit" if settings.ephemeral else "kept"
    say(f"tinylog dev: a local Tinybird at {url}")
    say(f"data ({kept}): {folder}\n")
    say(f"export TINYBIRD_URL={url}")
    say(f"export TINYBIRD_TOKEN={token}\n")
    if settings.faults:
        specs = " ".join(fault.spec for fault in settings.faults)
        say(f"faults (--seed {settings.seed} to repeat, counts at {url}/v0/_faults): {specs}\n")
    if settings.ready_file:
        ready = {"url": url, "token": token, "pid": os.getpid()}
        write_private(settings.ready_file, json.dumps(ready))
    say("Press Ctrl-C to stop.")
