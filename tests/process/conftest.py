"""What tests with processes share."""

from __future__ import annotations

import pytest


@pytest.fixture
def spill(tmp_path):
    """The spill directory of the programs that a test starts."""
    return tmp_path / "spill"
