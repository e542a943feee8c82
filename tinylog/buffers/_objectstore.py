"""One object store, by obstore: opened when first needed, once a process, with errors made ours.

obstore's threads do not survive a fork, and whoever calls it in a child whose parent has called it may wait for ever.
So nothing here touches it before it must, and such a child is told that the store is unavailable.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tinylog._place import Place
from tinylog.buffers._lockfile import sync_directory
from tinylog.errors import BufferUnavailableError, ConfigurationError

__all__ = ["ObjectStore"]

_CONNECT, _REQUEST, _RETRY = 3.0, 8.0, 8.0  # seconds: whoever waits for the store holds up live rows
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_METADATA_SCHEMES = ("s3", "gs", "az")
_MAX_NAMES = 10_000  # that one look takes in
_users: set[int] = set()  # the processes, this one and those it was forked from, that have called obstore


class ObjectStore:
    """Objects below the prefix of a URL. Every method raises `BufferUnavailableError` when the store fails.

    Args:
        place: `s3://`, `gs://`, `az://`, `file://` or `memory://`. Its query is handed to obstore as configuration.
    """

    def __init__(self, place: Place) -> None:
        self._url = place.url
        self._options = place.options
        self._retries = int(self._options.pop("max_retries", "2"))
        self._store: Any = None
        self._pid = 0
        self._lock = threading.Lock()

    def describe(self) -> str:
        """Name the place, without credentials."""
        return f"{self._url.scheme}://{self._url.hostname or ''}{self._url.path}"

    def reset(self) -> None:
        """Forget the parent's store, in a forked child."""
        self._lock = threading.Lock()

    def create(self, key: str, data: bytes, metadata: dict[str, str] | None = None) -> bool:
        """Write a new object, durably; false when there is one of that name."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        attributes: dict[str, str] | None = None
        if metadata is not None and self._url.scheme in _METADATA_SCHEMES:
            attributes = {"Content-Type": "application/x-ndjson", **metadata}
        with _ours():
            try:
                obstore.put(self._opened(), key, data, mode="create", attributes=attributes)
            except AlreadyExistsError:
                return False
            self._sync(key)
            return True

    def read(self, key: str) -> bytes | None:
        """Read an object; None when it is gone."""
        import obstore

        with _ours():
            try:
                return bytes(obstore.get(self._opened(), key).bytes())
            except FileNotFoundError:
                return None

    def delete(self, *keys: str) -> None:
        """Delete objects, those that are gone already included."""
        import obstore

        with _ours():
            for key in keys:
                with contextlib.suppress(FileNotFoundError):
                    obstore.delete(self._opened(), key)

    def names(self, folder: str) -> list[str]:
        """List the objects of a folder and those below it, sorted. Stores list in that order: the first ones matter."""
        import obstore

        found: list[str] = []
        with _ours():
            for page in obstore.list(self._opened(), f"{folder}/"):
                found += [item["path"] for item in page]
                if len(found) >= _MAX_NAMES and self._url.scheme in _METADATA_SCHEMES:
                    break
        return sorted(found)

    def _opened(self) -> Any:
        with self._lock:
            pid = os.getpid()
            if self._pid != pid:
                if _users - {pid}:
                    raise BufferUnavailableError("the object store was used before this process was forked")
                _users.add(pid)
                self._store = self._open()
                self._pid = pid
            return self._store

    def _open(self) -> Any:
        from obstore import store

        if self._url.scheme == "memory":
            return store.MemoryStore()
        if self._url.scheme == "file":
            return store.LocalStore(self._url.path, mkdir=True)
        made: Any = {"s3": store.S3Store, "gs": store.GCSStore, "az": store.AzureStore}[self._url.scheme]
        timing = {"connect_timeout": timedelta(seconds=_CONNECT), "timeout": timedelta(seconds=_REQUEST)}
        return made(
            self._url.hostname,
            prefix=self._url.path.strip("/") or None,
            client_options={**timing, **({"allow_http": True} if self._is_local() else {})},
            retry_config={"max_retries": self._retries, "retry_timeout": timedelta(seconds=_RETRY)},
            **self._options,
        )

    def _is_local(self) -> bool:
        """Whether the endpoint is on this machine, so that no credential leaves it unencrypted."""
        candidates = (self._options.get("endpoint"), *map(os.environ.get, _ENDPOINTS))
        url = urlsplit(next(filter(None, candidates), None) or "")
        with contextlib.suppress(ValueError):
            return url.scheme == "http" and ipaddress.ip_address(url.hostname or "").is_loopback
        return url.scheme == "http" and url.hostname == "localhost"

    def _sync(self, key: str) -> None:
        """Wait for the disk: obstore renames, but never syncs."""
        if self._url.scheme == "file":
            path = Path(self._url.path) / key
            with path.open("rb") as file:
                os.fsync(file.fileno())
            sync_directory(path.parent)


@contextlib.contextmanager
def _ours() -> Iterator[None]:
    """Make foreign errors ours: their first line says what happened, the others are a dump."""
    try:
        yield
    except (BufferUnavailableError, ConfigurationError):
        raise
    except Exception as error:
        raise BufferUnavailableError(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}") from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of Rust, and no Exception
            raise
        raise BufferUnavailableError(f"obstore panicked: {str(error).partition(chr(10))[0]}") from None
