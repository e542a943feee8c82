"""Request bodies to rows, and rows to the lines that ClickHouse reads. Pure functions."""

import json
import re
from typing import Any, NoReturn

import orjson

from tinylog.dev._problems import RequestError

Row = dict[str, Any]

# orjson turns integers above 64 bits into floats: such lines take the slower, exact way.
_HUGE_NUMBER = re.compile(rb"\d{20}")
_EXCERPT = 80


def parse_rows(body: bytes, layout: str) -> list[Row]:
    """Read the rows of a body.

    Args:
        body: The decompressed body.
        layout: ``ndjson``, one object a line, or ``json``, a single object.

    Raises:
        RequestError: 400 for anything that is not valid; no row is taken then.
    """
    if layout not in ("ndjson", "json"):
        raise RequestError(400, f"format must be ndjson or json, not {layout!r}")
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise RequestError(400, f"The body is not valid UTF-8 at byte {error.start}") from None
    texts = [body] if layout == "json" else body.split(b"\n")
    rows = [_parse(text, number) for number, text in enumerate(texts, 1) if text.strip()]
    if not rows:
        raise RequestError(400, "The body holds no rows")
    return rows


def dump_line(row: Row) -> bytes:
    """One row as JSON without a line break inside it."""
    try:
        return orjson.dumps(row)
    except TypeError:  # an integer above 64 bits
        return json.dumps(row, ensure_ascii=False).encode()


def _parse(text: bytes, number: int) -> Row:
    try:
        row = _parse_exactly(text) if _HUGE_NUMBER.search(text) else _parse_quickly(text)
    except (ValueError, RecursionError) as error:
        excerpt = text[:_EXCERPT].decode(errors="replace")
        raise RequestError(400, f"Row {number} is not valid JSON ({error}): {excerpt}") from None
    if not isinstance(row, dict):
        raise RequestError(400, f"Row {number} is not a JSON object")
    return row


def _parse_quickly(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        return _parse_exactly(text)  # an escaped lone surrogate, or an error that json words better


def _parse_exactly(text: bytes) -> Any:
    value = json.loads(text, parse_constant=_refuse)
    if b"\\u" not in text:
        return value
    # JSON can escape a lone surrogate, UTF-8 (and ClickHouse) cannot hold it: U+FFFD takes its place.
    clean = json.dumps(value, ensure_ascii=False).encode("utf-16-le", "surrogatepass")
    return json.loads(clean.decode("utf-16-le", "replace"))


def _refuse(token: str) -> NoReturn:
    raise ValueError(f"{token} is not JSON")
