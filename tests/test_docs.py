"""What README says is so: its snippets run, its settings exist with these defaults, its commands are real."""

from __future__ import annotations

import ast
import os
import pathlib
import re
import subprocess
import sys

import pytest

from tests.conftest import TOKEN
from tinylog._resolve import _CONNECTION, option_fields

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SNIPPETS = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_snippets_run_and_deliver(number, server, tmp_path):
    """Whoever copies a snippet from the README gets rows."""
    env = {**os.environ, "TINYBIRD_TOKEN": TOKEN, "TINYBIRD_URL": server.url}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SNIPPETS[number]],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert server.rows
    assert "tinylog" not in done.stderr


def settings_table():
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", README, re.MULTILINE)
    return {name: default for name, default, _ in rows}


def test_every_setting_is_in_the_table():
    """No setting is a secret, and none that is documented is missing."""
    assert set(settings_table()) == {*option_fields(), *_CONNECTION}


def shown(value):
    """Write a default the way the table does."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    for size, unit in ((1024**3, "GiB"), (1024**2, "MiB"), (86_400.0, "days")):
        if isinstance(value, (int, float)) and value >= size and value % size == 0:
            return f"{value / size:g} {unit}"
    return f"{value:,}" if isinstance(value, int) else f'"{value}"' if isinstance(value, str) else f"{value:g}"


def test_the_defaults_in_the_table_are_true():
    """Whoever plans memory by the table plans by what the code does."""
    in_words = {"redact", "static_fields", "spill", "ack_level", *_CONNECTION}
    table = {name: default for name, default in settings_table().items() if name not in in_words}
    assert {name: default.strip("`").removesuffix(".0") for name, default in table.items()} == {
        name: shown(option_fields()[name].default) for name in table
    }


def test_make_targets_exist():
    """The commands that the README shows are the Makefile's, and CI runs the very one for tests."""
    targets = set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = set(re.findall(r"^\$ make ([\w-]+)", README, re.MULTILINE))
    assert {"demo", "test"} <= shown <= targets
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("make test")


def test_every_test_says_what_a_user_would_lose():
    """A test that fails in a year's time explains itself."""
    silent = [
        f"{path.name}:{node.name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert silent == []
