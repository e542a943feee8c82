"""The data folder: where it is, who uses it, and the token it keeps."""

import fcntl
import os
import secrets
from pathlib import Path

from tinylog.errors import ConfigurationError

_LOCK = "lock"
_TOKEN = "token"  # noqa: S105 (a file name)
TABLES = "tables"
"""The subfolder that belongs to ClickHouse."""


def default_folder() -> Path:
    """``$XDG_DATA_HOME/tinylog/dev``, or below ``~/.local/share``.

    One place for the user, not one a working directory: a terminal that sends and a terminal that queries then
    see the same rows wherever they were opened, and no log rows end up in a repository.
    """
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "tinylog" / "dev"


def lock_folder(folder: Path) -> int:
    """Take a folder for this process, making it when missing.

    Returns:
        The descriptor of the lock file; the lock lasts until it is closed, or the process dies.

    Raises:
        ConfigurationError: Another process has it, or it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigurationError(f"cannot use the data folder {folder}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.read(descriptor, 20).decode() or "unknown"
        os.close(descriptor)
        raise ConfigurationError(
            f"{folder} is in use by another tinylog dev (process {owner}): stop it, or pass --data or --ephemeral"
        ) from None
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def stored_token(folder: Path) -> str:
    """The folder's token, made at first use and readable by its owner only."""
    path = folder / _TOKEN
    if path.exists():
        return path.read_text().strip()
    token = f"dev_{secrets.token_urlsafe(24)}"
    write_private(path, token)
    return token


def write_private(path: Path, text: str) -> None:
    """Write a file whole or not at all, readable by its owner only."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)
