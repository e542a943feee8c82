"""Which certificate authorities are trusted: those that `requests` would trust."""

from __future__ import annotations

import os
from pathlib import Path

from requests.utils import DEFAULT_CA_BUNDLE_PATH

__all__ = ["authorities"]


def authorities() -> tuple[str, bool]:
    """Find the bundle of authorities: `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`, else certifi's.

    Returns:
        Its path, and whether that is a folder.
    """
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH
    return bundle, Path(bundle).is_dir()
