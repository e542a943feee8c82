"""Editors and type checkers understand the public interface."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import tinylog

ROOT = pathlib.Path(__file__).parent.parent


def test_the_public_interface_type_checks():
    """A misspelt setting is an error in the editor, and correct code is none."""
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "tests/typing/api.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_is_marked_as_typed():
    """Type checkers read annotations only of packages that say so."""
    assert (pathlib.Path(tinylog.__file__).parent / "py.typed").exists()
