"""Durable buffers for acknowledged rows that cannot be delivered at present."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from tinylog._diagnostics import Diagnostics
from tinylog.buffers.directory import DirectoryBuffer
from tinylog.protocols import Clock
from tinylog.settings import SpillPolicy

__all__ = ["DirectoryBuffer", "default_directory", "make_buffer"]


def make_buffer(policy: SpillPolicy, host: str, clock: Clock, diagnostics: Diagnostics) -> DirectoryBuffer | None:
    """Make the buffer that the settings name; None when spilling is off."""
    if policy.place is None:
        return None
    folder = Path(policy.place).expanduser() if policy.place else default_directory(host)
    return DirectoryBuffer(folder, policy, clock, diagnostics)


def default_directory(host: str) -> Path:
    """Choose the folder for rows of one host: rows for a server under test must never be replayed into another.

    It lies in the user's state directory (https://specifications.freedesktop.org/basedir-spec/), else, for users
    without a home, below the directory for temporary files.
    """
    state = os.environ.get("XDG_STATE_HOME")
    home = Path(state) if state else Path("~/.local/state").expanduser()
    if not home.is_absolute():
        home = Path(tempfile.gettempdir()) / f"state-{os.getuid() if hasattr(os, 'getuid') else 0}"
    return home / "tinylog" / "spill" / re.sub(r"\W+", "-", host.partition("://")[2])
